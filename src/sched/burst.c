/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/burst.h"

#include <stdatomic.h>

#define BURST_TIMES 4u

void gal_burst_note(struct gal_burst *b, size_t bytes, size_t rows)
{
    size_t size = bytes + rows; /* inputs may have no bytes of their own */
    size_t share = rows ? size / rows : size;
    size_t most = atomic_load_explicit(&b->most, memory_order_relaxed);
    size_t least = atomic_load_explicit(&b->least, memory_order_relaxed);
    while (size > most && !atomic_compare_exchange_weak_explicit(
                              &b->most, &most, size, memory_order_relaxed, memory_order_relaxed))
        continue;
    while ((least == 0 || share < least) &&
           !atomic_compare_exchange_weak_explicit(&b->least, &least, share, memory_order_relaxed,
                                                  memory_order_relaxed))
        continue;
}

bool gal_burst_is_over(struct gal_burst *b)
{
    size_t most = atomic_exchange_explicit(&b->most, 0, memory_order_relaxed);
    size_t least = atomic_load_explicit(&b->least, memory_order_relaxed);
    size_t needed = most > least ? most : least;
    b->peak = most > b->peak ? most : b->peak;
    if (b->peak / BURST_TIMES <= needed) {
        b->small = b->looks = 0;
        return false;
    }
    b->small = most > b->small ? most : b->small;
    if (++b->looks < GAL_BURST_LOOKS)
        return false;
    b->peak = b->small;
    b->small = b->looks = 0;
    return true;
}
