/* SPDX-License-Identifier: Apache-2.0 */
/* A bound on memory that many owners take together: who wants more charges it first, and gives it
 * back with the memory. Buffers and arenas that name a budget (base/buf.h, base/arena.h) do so by
 * themselves, where they grow and nowhere else. What one of them takes up to
 * GAL_BUDGET_FREE_BYTES is not counted: small requests never meet the budget, and a server that
 * refuses large ones still answers them. Any thread. */
#ifndef GAL_BASE_BUDGET_H
#define GAL_BASE_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GAL_BUDGET_FREE_BYTES 65536u

/* Zeroed: no bound. */
struct gal_budget {
    _Atomic uint64_t used; /* bytes */
    _Atomic uint64_t
        max; /* 0: no bound. May be changed at any time; lowered, what is taken stays */
};

/* What of a piece of `bytes` is counted. */
static inline size_t gal_budget_counts(size_t bytes)
{
    return bytes > GAL_BUDGET_FREE_BYTES ? bytes - GAL_BUDGET_FREE_BYTES : 0;
}

/* b may be NULL in all of these: no bound, and nothing is counted. */

/* Takes the bytes; false, and nothing is taken, when the bound would be passed. */
bool gal_budget_charge(struct gal_budget *b, size_t bytes);
/* At most what was charged. */
void gal_budget_release(struct gal_budget *b, size_t bytes);
/* Would a charge go through now? */
bool gal_budget_fits(const struct gal_budget *b, size_t bytes);
/* More than half is taken: memory that is only kept for later is to be given back. */
bool gal_budget_is_tight(const struct gal_budget *b);

#endif
