/* SPDX-License-Identifier: Apache-2.0 */
/* Eight bytes at once: scans of text without an instruction a byte. Pure. */
#ifndef GAL_BASE_WORD_H
#define GAL_BASE_WORD_H

#include <stdint.h>

/* A word whose bytes are all b. */
#define GAL_EACH_BYTE(b) (UINT64_C(0x0101010101010101) * (b))

/* Not 0 when one of the eight bytes is zero: its lowest bit is that of the first such byte (in
 * memory's order, little-endian). Xor with GAL_EACH_BYTE(b) first to look for b. */
static inline uint64_t gal_word_zero(uint64_t w)
{
    return (w - GAL_EACH_BYTE(1)) & ~w & GAL_EACH_BYTE(0x80);
}

#endif
