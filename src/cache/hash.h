/* SPDX-License-Identifier: Apache-2.0 */
/* The 128-bit hash that the cache looks up by: XXH3, of xxHash. Fast and well spread, but not
 * proof against somebody who wants collisions, so nothing relies on it alone: who finds an entry
 * by its hash compares the whole key. Any thread. */
#ifndef GAL_CACHE_HASH_H
#define GAL_CACHE_HASH_H

#include "base/str.h"

struct gal_hash128 {
    uint64_t lo, hi;
};

/* The same bytes and seed give the same hash in every process. */
struct gal_hash128 gal_hash128(struct gal_str s, uint64_t seed);

static inline bool gal_hash128_eq(struct gal_hash128 a, struct gal_hash128 b)
{
    return a.lo == b.lo && a.hi == b.hi;
}

#endif
