/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base64.h"

/* 64: it is none. */
static uint32_t sextet(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (uint32_t)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (uint32_t)(c - 'a') + 26;
    if (c >= '0' && c <= '9')
        return (uint32_t)(c - '0') + 52;
    return c == '+' ? 62 : c == '/' ? 63 : 64;
}

static enum gal_status fail_at(size_t at, struct gal_err *err)
{
    return gal_fail(err, GAL_INVALID, "no base64 text: a strange character at %zu", at);
}

enum gal_status gal_base64_decode(struct gal_str text, struct gal_arena *arena, struct gal_str *out,
                                  struct gal_err *err)
{
    size_t padding = 0, n = text.n / 4 * 3;
    char *to;

    if (text.n % 4 != 0)
        return gal_fail(err, GAL_INVALID, "base64 text comes in groups of 4, this has %zu", text.n);
    while (padding < 2 && padding < text.n && text.p[text.n - 1 - padding] == '=')
        padding++;
    to = gal_arena_small(arena, n);
    if (to == NULL)
        return gal_arena_fail(arena, n, "base64 text", err);
    *out = (struct gal_str){to, n - padding};
    for (size_t i = 0; i < text.n; i += 4, to += 3) {
        uint32_t bits = 0;

        for (size_t k = 0; k < 4; k++) {
            uint32_t six = i + k >= text.n - padding ? 0 : sextet(text.p[i + k]);

            if (six == 64)
                return fail_at(i + k, err);
            bits = bits << 6 | six;
        }
        if (i + 4 == text.n && padding > 0 && (bits & (padding == 1 ? 0xffu : 0xffffu)) != 0)
            return gal_fail(err, GAL_INVALID, "no base64 text: its last bits stand for nothing");
        to[0] = (char)(bits >> 16);
        to[1] = (char)(bits >> 8);
        to[2] = (char)bits;
    }
    return GAL_OK;
}

void gal_base64_put(struct gal_buf *out, struct gal_str bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)bytes.p;
    char *to = gal_buf_reserve(out, (bytes.n + 2) / 3 * 4);

    if (to == NULL)
        return;
    for (size_t i = 0; i < bytes.n; i += 3) {
        size_t left = bytes.n - i;
        unsigned group = (unsigned)p[i] << 16 | (left > 1 ? (unsigned)p[i + 1] << 8 : 0) |
                         (left > 2 ? p[i + 2] : 0);

        *to++ = digits[group >> 18];
        *to++ = digits[group >> 12 & 63];
        *to++ = left > 1 ? digits[group >> 6 & 63] : '=';
        *to++ = left > 2 ? digits[group & 63] : '=';
    }
    out->n += (bytes.n + 2) / 3 * 4;
}
