/* SPDX-License-Identifier: Apache-2.0 */
#include "text/token_class.h"

#include "text/unicode.h"

uint32_t gal_token_classes(uint32_t c)
{
    size_t low = 0, high = gal_token_range_count;

    if (c < 0x80) { /* most texts end here: no search */
        uint32_t lower = c | 0x20;

        if (lower >= 'a' && lower <= 'z')
            return GAL_TOKEN_LETTER | GAL_TOKEN_WORD;
        if (c >= '0' && c <= '9')
            return GAL_TOKEN_NUMBER | GAL_TOKEN_WORD;
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
            return 0;
        if (c < 0x20 || c == 0x7f)
            return GAL_TOKEN_DROPPED;
        return c == '_' ? GAL_TOKEN_PUNCTUATION | GAL_TOKEN_WORD : GAL_TOKEN_PUNCTUATION;
    }
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (gal_token_ranges[middle].last < c)
            low = middle + 1;
        else
            high = middle;
    }
    return low < gal_token_range_count && gal_token_ranges[low].first <= c
               ? gal_token_ranges[low].classes
               : 0;
}

bool gal_token_is_space(uint32_t c)
{
    if (c < 0x80)
        return c == ' ' || (c >= 0x09 && c <= 0x0d);
    return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
           c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

bool gal_token_is_cjk(uint32_t c)
{
    if (c < 0x3400)
        return false;
    return c <= 0x4dbf || (c >= 0x4e00 && c <= 0x9fff) || (c >= 0xf900 && c <= 0xfaff) ||
           (c >= 0x20000 && c <= 0x2a6df) || (c >= 0x2a700 && c <= 0x2b81f) ||
           (c >= 0x2b920 && c <= 0x2ceaf) || (c >= 0x2f800 && c <= 0x2fa1f);
}

/* Letters of Unicode 16 and 17, whose small forms the system's table may not know yet. */
uint32_t gal_token_lower(uint32_t c)
{
    if (c < 0x80)
        return c >= 'A' && c <= 'Z' ? c + 0x20 : c;
    switch (c) {
    case 0xa7cb:
        return 0x264;
    case 0xa7dc:
        return 0x19b;
    case 0x1c89:
    case 0xa7cc:
    case 0xa7ce:
    case 0xa7d2:
    case 0xa7d4:
    case 0xa7da:
        return c + 1;
    default:
        if (c >= 0x10d50 && c <= 0x10d65)
            return c + 0x20;
        return c >= 0x16ea0 && c <= 0x16eb8 ? c + 0x1b : gal_unicode_lower(c);
    }
}
