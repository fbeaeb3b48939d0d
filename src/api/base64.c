/* SPDX-License-Identifier: Apache-2.0 */
#include "api/base64.h"

static unsigned value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (unsigned)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (unsigned)(c - 'a') + 26;
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0') + 52;
    return c == '+' ? 62 : c == '/' ? 63 : 64;
}

enum gal_status gal_base64_decode(struct gal_str text, struct gal_arena *arena, struct gal_str *out,
                                  struct gal_err *err)
{
    size_t pad = 0, n = 0;
    unsigned bits = 0;
    char *bytes;

    if (text.n % 4 != 0)
        return gal_fail(err, GAL_INVALID, "base64 text comes in groups of 4, this has %zu", text.n);
    while (pad < 2 && pad < text.n && text.p[text.n - 1 - pad] == '=')
        pad++;
    bytes = gal_arena_alloc(arena, text.n / 4 * 3);
    if (bytes == NULL)
        return gal_arena_fail(arena, text.n / 4 * 3, "base64 text", err);
    for (size_t i = 0; i < text.n; i++) {
        unsigned v = i < text.n - pad ? value_of(text.p[i]) : 0;

        if (v > 63)
            return gal_fail(err, GAL_INVALID, "no base64 text: a strange character at %zu", i);
        bits = bits << 6 | v;
        if (i % 4 != 3)
            continue;
        bytes[n++] = (char)(bits >> 16);
        bytes[n++] = (char)(bits >> 8);
        bytes[n++] = (char)bits;
        bits = 0;
    }
    *out = (struct gal_str){bytes, n - pad};
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
