/* SPDX-License-Identifier: Apache-2.0 */
/* Many bytes at once: scans of text without an instruction a byte. Pure. */
#ifndef GAL_BASE_WORD_H
#define GAL_BASE_WORD_H

#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* A word whose bytes are all b. */
#define GAL_EACH_BYTE(b) (UINT64_C(0x0101010101010101) * (b))

/* Not 0 when one of the eight bytes is zero: its lowest bit is that of the first such byte (in
 * memory's order, little-endian). Xor with GAL_EACH_BYTE(b) first to look for b. */
static inline uint64_t gal_word_zero(uint64_t w)
{
    return (w - GAL_EACH_BYTE(1)) & ~w & GAL_EACH_BYTE(0x80);
}

/* Which of the 64 bytes at p are b: bit i tells of p[i]. */
static inline uint64_t gal_find_64_plain(const char *p, char b)
{
    const uint64_t low = GAL_EACH_BYTE(0x7f), top = GAL_EACH_BYTE(0x80);
    uint64_t found = 0;
    for (unsigned i = 0; i < 64; i += 8) {
        uint64_t w, hits;
        memcpy(&w, p + i, sizeof w);
        w ^= GAL_EACH_BYTE((unsigned char)b);
        hits = ~(((w & low) + low) | w) & top;
        /* The top bits of the bytes, side by side in the last one. */
        found |= (hits >> 7) * UINT64_C(0x0102040810204080) >> 56 << i;
    }
    return found;
}

#ifdef __SSE2__
static inline uint64_t gal_find_64(const char *p, char b)
{
    uint64_t found = 0;
    for (unsigned i = 0; i < 64; i += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + i));
        int hits = _mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8(b)));
        found |= (uint64_t)(unsigned)hits << i;
    }
    return found;
}
#else
static inline uint64_t gal_find_64(const char *p, char b)
{
    return gal_find_64_plain(p, b);
}
#endif

#endif
