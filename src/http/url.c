/* SPDX-License-Identifier: Apache-2.0 */
#include "http/url.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte of the escape at s.p[i] (a `%`), negative when it is broken. */
static int escape_at(struct gal_str s, size_t i)
{
    if (s.n - i < 3)
        return -1;
    int high = hex_digit(s.p[i + 1]);
    int low = hex_digit(s.p[i + 2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static bool is_plain(struct gal_str s, bool plus)
{
    if (s.n == 0)
        return true;
    return !memchr(s.p, '%', s.n) && !(plus && memchr(s.p, '+', s.n));
}

enum gal_status gal_url_decode(struct gal_str s, bool plus, struct gal_arena *arena,
                               struct gal_str *out, struct gal_err *err)
{
    if (is_plain(s, plus)) {
        *out = s;
        return GAL_OK;
    }
    char *to = gal_arena_small(arena, s.n);
    if (!to)
        return gal_fail(err, GAL_NO_MEMORY, "no memory to decode a path of %zu bytes", s.n);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '%') {
            to[n++] = plus && s.p[i] == '+' ? ' ' : s.p[i];
            continue;
        }
        int byte = escape_at(s, i);
        if (byte < 0)
            return gal_fail(err, GAL_INVALID,
                            "a percent sign must be followed by two hexadecimal digits, or be "
                            "written %%25 (character %zu of \"%.*s\")",
                            i + 1, (int)(s.n < 80 ? s.n : 80), s.p);
        if (byte == 0)
            return gal_fail(err, GAL_INVALID, "%%00 is not allowed in a path or query");
        to[n++] = (char)byte;
        i += 2;
    }
    *out = (struct gal_str){to, n};
    return GAL_OK;
}

bool gal_query_get(struct gal_str query, const char *name, struct gal_arena *arena,
                   struct gal_str *out)
{
    struct gal_str pair;
    while (gal_str_cut(&query, '&', &pair)) {
        struct gal_str value = pair;
        struct gal_str raw, key = {NULL, 0};
        if (!gal_str_cut(&value, '=', &raw))
            continue;
        if (gal_url_decode(raw, true, arena, &key, NULL) != GAL_OK || !gal_str_is(key, name))
            continue;
        if (gal_url_decode(value, true, arena, out, NULL) == GAL_OK)
            return true;
    }
    return false;
}

void gal_url_put_segment(struct gal_buf *out, struct gal_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c && strchr("-._~", c)) || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
            (c >= 'a' && c <= 'z'))
            gal_buf_putc(out, (char)c);
        else
            gal_buf_printf(out, "%%%02X", c);
    }
}
