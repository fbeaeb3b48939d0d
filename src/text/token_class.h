/* SPDX-License-Identifier: Apache-2.0 */
/* What the library `tokenizers` takes a code point for. Its parts follow editions of Unicode of
 * their own, and a vocabulary was made by them: a newer edition would give other tokens. The table
 * is made by asking the library (tests/text/make_token_classes.py). Pure; any thread. */
#ifndef GAL_TEXT_TOKEN_CLASS_H
#define GAL_TEXT_TOKEN_CLASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gal_token_class {
    GAL_TOKEN_DROPPED = 1,     /* control, format, private use: BertNormalizer cleans it away */
    GAL_TOKEN_MARK = 2,        /* an accent that strip_accents takes */
    GAL_TOKEN_PUNCTUATION = 4, /* BertPreTokenizer makes it a piece */
    GAL_TOKEN_LETTER = 8,      /* \p{L} of byte-level BPE */
    GAL_TOKEN_NUMBER = 16,     /* \p{N} */
    GAL_TOKEN_WORD = 32,       /* \w of Whitespace, and of single_word */
    GAL_TOKEN_MOVES = 64,      /* decomposes, or has a combining class */
    GAL_TOKEN_COMBINING = 128, /* any mark: StripAccents takes it */
};

struct gal_token_range {
    uint32_t first, last;
    uint32_t classes;
};
extern const struct gal_token_range gal_token_ranges[]; /* rising */
extern const size_t gal_token_range_count;

uint32_t gal_token_classes(uint32_t c);
static inline bool gal_token_is(uint32_t c, enum gal_token_class k)
{
    return (gal_token_classes(c) & (uint32_t)k) != 0;
}
bool gal_token_is_space(uint32_t c);  /* White_Space of Unicode */
bool gal_token_is_cjk(uint32_t c);    /* ideographs that BertNormalizer puts spaces around */
uint32_t gal_token_lower(uint32_t c); /* U+0130 is the caller's: it becomes two */

#endif
