/* SPDX-License-Identifier: Apache-2.0 */
#include "base/budget.h"

#include "base/status.h"

#include <stdatomic.h>

/* Counts alone: whoever has charged owns memory that nobody else looks at. */
static uint64_t load(const _Atomic uint64_t *n)
{
    return atomic_load_explicit(n, memory_order_relaxed);
}

static bool fits(uint64_t used, uint64_t max, size_t bytes)
{
    return max == 0 || (used <= max && bytes <= max - used);
}

/* Not added first and taken back when it was too much: that would refuse others meanwhile. */
bool gal_budget_charge(struct gal_budget *b, size_t bytes)
{
    if (!b || bytes == 0)
        return true;
    uint64_t used = load(&b->used);
    do {
        if (!fits(used, load(&b->max), bytes))
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&b->used, &used, used + bytes,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

void gal_budget_release(struct gal_budget *b, size_t bytes)
{
    if (!b || bytes == 0)
        return;
    uint64_t before = atomic_fetch_sub_explicit(&b->used, bytes, memory_order_relaxed);
    GAL_ASSERT(before >= bytes);
}

bool gal_budget_fits(const struct gal_budget *b, size_t bytes)
{
    return !b || fits(load(&b->used), load(&b->max), bytes);
}

bool gal_budget_is_tight(const struct gal_budget *b)
{
    return b && load(&b->max) > 0 && load(&b->used) > load(&b->max) / 2;
}
