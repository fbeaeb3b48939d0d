/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

struct gal_hash128 gal_hash128(struct gal_str s, uint64_t seed)
{
    XXH128_hash_t h = XXH3_128bits_withSeed(s.p, s.n, seed);
    return (struct gal_hash128){h.low64, h.high64};
}
