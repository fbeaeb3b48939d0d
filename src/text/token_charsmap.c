/* SPDX-License-Identifier: Apache-2.0 */
#include "text/token_charsmap.h"

static uint32_t u32_at(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

enum gal_status gal_charsmap_open(struct gal_str bytes, struct gal_charsmap *out,
                                  struct gal_err *err)
{
    const unsigned char *p = (const unsigned char *)bytes.p;
    size_t size = bytes.n >= 4 ? u32_at(p) : 0;

    if (size < 4 || size % 4 != 0 || size > bytes.n - 4 || bytes.n - 4 - size == 0 ||
        p[bytes.n - 1] != 0)
        return gal_fail(err, GAL_INVALID, "is no table of SentencePiece");
    *out = (struct gal_charsmap){p + 4, size / 4, {bytes.p + 4 + size, bytes.n - 4 - size}};
    if (!gal_utf8_valid(out->texts))
        return gal_fail(err, GAL_INVALID, "holds texts that are no UTF-8");
    return GAL_OK;
}

/* A unit of the double array: bits 0 to 7 and 31 are its label, 8 says that a value hangs on it, 9
 * that its offset counts in 256s, 10 on are the offset. */
static uint32_t offset_of(uint32_t unit)
{
    return (unit >> 10) << ((unit & (1u << 9)) >> 6);
}

bool gal_charsmap_find(const struct gal_charsmap *m, struct gal_str s, struct gal_str *out)
{
    uint32_t at = offset_of(u32_at(m->units)), unit, from;

    for (size_t i = 0; i < s.n && s.p[i] != '\0'; i++) {
        unsigned char c = (unsigned char)s.p[i];

        at ^= c;
        if (at >= m->unit_count)
            return false;
        unit = u32_at(m->units + 4 * (size_t)at);
        if ((unit & (0x80000000u | 0xffu)) != c)
            return false;
        at ^= offset_of(unit);
        if ((unit & (1u << 8)) == 0)
            continue;
        if (at >= m->unit_count)
            return false;
        from = u32_at(m->units + 4 * (size_t)at) & 0x7fffffffu;
        if (from >= m->texts.n || (from > 0 && ((unsigned char)m->texts.p[from] & 0xc0u) == 0x80u))
            return false; /* nowhere, or within a character */
        *out = (struct gal_str){m->texts.p + from, strlen(m->texts.p + from)};
        return true;
    }
    return false;
}
