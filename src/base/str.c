/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include "base/decimal.h"

static unsigned char fold(char c)
{
    unsigned char u = (unsigned char)c;
    return u >= 'A' && u <= 'Z' ? (unsigned char)(u | 0x20) : u;
}

bool gal_str_ieq(struct gal_str a, struct gal_str b)
{
    if (a.n != b.n)
        return false;
    if (gal_str_eq(a, b)) /* the rule: what is compared with a name is mostly it */
        return true;
    for (size_t i = 0; i < a.n; i++)
        if (fold(a.p[i]) != fold(b.p[i]))
            return false;
    return true;
}

bool gal_str_starts(struct gal_str s, struct gal_str prefix)
{
    return s.n >= prefix.n && gal_str_eq((struct gal_str){s.p, prefix.n}, prefix);
}

bool gal_str_ends(struct gal_str s, struct gal_str suffix)
{
    if (s.n < suffix.n || suffix.n == 0)
        return suffix.n == 0;
    return memcmp(s.p + (s.n - suffix.n), suffix.p, suffix.n) == 0;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct gal_str gal_str_trim(struct gal_str s)
{
    while (s.n > 0 && is_space(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && is_space(s.p[s.n - 1]))
        s.n--;
    return s;
}

bool gal_str_cut(struct gal_str *rest, char sep, struct gal_str *part)
{
    if (!rest->p)
        return false;
    const char *at = rest->n ? memchr(rest->p, sep, rest->n) : NULL;
    if (!at) {
        *part = *rest;
        *rest = (struct gal_str){NULL, 0};
        return true;
    }
    *part = (struct gal_str){rest->p, (size_t)(at - rest->p)};
    *rest = (struct gal_str){at + 1, rest->n - part->n - 1};
    return true;
}

enum gal_status gal_str_u64(struct gal_str s, uint64_t *out)
{
    uint64_t v = 0;
    if (s.n == 0)
        return GAL_INVALID;
    for (size_t i = 0; i < s.n; i++) {
        unsigned digit = (unsigned)(unsigned char)s.p[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, digit, &v))
            return GAL_INVALID;
    }
    *out = v;
    return GAL_OK;
}

enum gal_status gal_str_i64(struct gal_str s, int64_t *out)
{
    bool minus = s.n > 0 && s.p[0] == '-';
    uint64_t v;
    if (minus)
        s = (struct gal_str){s.p + 1, s.n - 1};
    if (gal_str_u64(s, &v) || v > (uint64_t)INT64_MAX + minus)
        return GAL_INVALID;
    *out = minus ? (int64_t)(0 - v) : (int64_t)v;
    return GAL_OK;
}

size_t gal_utf8_next(const char *p, size_t n)
{
    const unsigned char *u = (const unsigned char *)p;
    if (n == 0 || u[0] < 0x80)
        return n ? 1 : 0;
    /* The second byte's range excludes overlong forms, surrogates and what lies above U+10FFFF. */
    unsigned low = u[0] == 0xe0 ? 0xa0 : u[0] == 0xf0 ? 0x90 : 0x80;
    unsigned high = u[0] == 0xed ? 0x9f : u[0] == 0xf4 ? 0x8f : 0xbf;
    size_t want = u[0] < 0xc2 ? 0 : u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : u[0] < 0xf5 ? 4 : 0;
    if (want == 0 || n < want || u[1] < low || u[1] > high)
        return 0;
    for (size_t i = 2; i < want; i++)
        if ((u[i] & 0xc0) != 0x80)
            return 0;
    return want;
}

bool gal_utf8_valid(struct gal_str s)
{
    size_t i = 0;
    while (i < s.n) {
        uint64_t word;
        if (s.n - i >= sizeof word) {
            memcpy(&word, s.p + i, sizeof word);
            if ((word & 0x8080808080808080u) == 0) {
                i += sizeof word;
                continue;
            }
        }
        size_t step = gal_utf8_next(s.p + i, s.n - i);
        if (step == 0)
            return false;
        i += step;
    }
    return true;
}

static const char digit_pairs[] = "00010203040506070809101112131415161718192021222324"
                                  "25262728293031323334353637383940414243444546474849"
                                  "50515253545556575859606162636465666768697071727374"
                                  "75767778798081828384858687888990919293949596979899";

static unsigned count_digits(uint64_t v)
{
    unsigned bits = 64 - (unsigned)__builtin_clzll(v | 1);
    unsigned low = bits * 1233 >> 12; /* bits * log10(2): the count, or one less */
    return low + (v >= gal_pow10_u64[low]) + (v == 0);
}

char *gal_u64_write(char *p, uint64_t v)
{
    char *end = p + count_digits(v);
    char *at = end;
    while (v >= 100) {
        at -= 2;
        memcpy(at, digit_pairs + 2 * (v % 100), 2);
        v /= 100;
    }
    if (v >= 10)
        memcpy(p, digit_pairs + 2 * v, 2);
    else
        *p = (char)('0' + v);
    return end;
}

char *gal_i64_write(char *p, int64_t v)
{
    if (v < 0)
        *p++ = '-';
    return gal_u64_write(p, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}
