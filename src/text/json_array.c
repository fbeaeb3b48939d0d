/* SPDX-License-Identifier: Apache-2.0 */
#include "text/json_array.h"

#include "base/decimal.h"
#include "base/word.h"
#include "text/json_real.h"

#define EXACT_DIGITS_MAX ((UINT64_C(1) << 53) - 1) /* as an integer a double holds exactly */
#define DIGITS_MAX 19                              /* of any such integer uint64_t holds */
#define ROOM_MIN 16u                               /* numbers */

/* --- one number: what is read here has NUMBER_BYTES bytes, so that no step asks for the end --- */

#define NUMBER_BYTES 96 /* "-", digits, ".", zeros, digits, an exponent, each bounded below */
#define ZEROS_MAX 10

struct number {
    uint64_t bits; /* an int64_t's when `minus`, a double's when `real` */
    bool minus, real;
};

static inline bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

/* The number that eight digits make, each a byte of 0 to 9, the first one lowest. */
static inline uint64_t join_digits(uint64_t w)
{
    w = w * 10 + (w >> 8);
    return ((w & 0x000000ff000000ffu) * 0x000f424000000064u +
            ((w >> 16 & 0x000000ff000000ffu) * 0x0000271000000001u)) >>
           32;
}

/* Appends the digits at p to *value, modulo 2^64; returns their end, or where 24 of them are. */
static inline const char *read_digits(const char *p, uint64_t *value)
{
    static const uint32_t power[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000};
    for (int i = 0; i < 2; i++, p += 8) {
        uint64_t w;
        memcpy(&w, p, sizeof w);
        w ^= GAL_EACH_BYTE('0');
        uint64_t others =
            (((w & GAL_EACH_BYTE(0x7f)) + GAL_EACH_BYTE(0x76)) | w) & GAL_EACH_BYTE(0x80);
        if (others) {
            unsigned count = (unsigned)__builtin_ctzll(others) / 8;
            if (count > 0)
                *value = *value * power[count] + join_digits(w << (64 - 8 * count));
            return p + count;
        }
        *value = *value * 100000000u + join_digits(w);
    }
    for (const char *most = p + 8; p < most && is_digit(*p); p++)
        *value = *value * 10 + (uint64_t)(*p - '0');
    return p;
}

/* Any number that ends before `end`, by yyjson. */
static const char *read_any(const char *p, const char *end, struct number *out)
{
    const char *last = p;
    yyjson_val v;
    while (last < end && (is_digit(*last) || *last == '.' || *last == '-' || *last == '+' ||
                          (*last | 0x20) == 'e'))
        last++;
    if (last == end || yyjson_read_number(p, &v, YYJSON_READ_NOFLAG, NULL, NULL) != last)
        return NULL;
    out->bits = v.uni.u64;
    out->real = unsafe_yyjson_is_real(&v);
    out->minus = !out->real && unsafe_yyjson_is_sint(&v);
    return last;
}

/* NULL when it is none or a long one. */
static const char *read_exponent(const char *p, int *exponent)
{
    uint64_t value = 0;
    bool minus = *p == '-';
    p += minus || *p == '+';
    const char *digits = p;
    p = read_digits(p, &value);
    if (p == digits || p - digits > 4)
        return NULL;
    *exponent += minus ? -(int)value : (int)value;
    return p;
}

static inline bool make_real(uint64_t digits, int exponent, double *out)
{
    /* One operation on exact values rounds once. */
    if (digits <= EXACT_DIGITS_MAX && (unsigned)-exponent < GAL_POW10_COUNT) {
        *out = (double)(int64_t)digits / gal_pow10[-exponent];
        return true;
    }
    return gal_json_real(digits, exponent, out);
}

/* The rest of a number from its point or its exponent on; `value` and `count` are those of the
 * digits before. NULL: not to be read here. */
static inline const char *read_fraction(const char *p, uint64_t value, size_t count, double *out)
{
    int exponent = 0;
    if (*p == '.') {
        const char *fraction = ++p;
        if (value == 0) { /* nothing yet: zeros do not matter */
            count = 0;
            while (*p == '0' && p - fraction < ZEROS_MAX)
                p++;
        }
        const char *digits = p;
        p = read_digits(p, &value);
        count += (size_t)(p - digits);
        exponent = (int)(fraction - p);
        if (exponent == 0)
            return NULL;
    }
    if ((*p | 0x20) == 'e' && !(p = read_exponent(p + 1, &exponent)))
        return NULL;
    return count <= DIGITS_MAX && make_real(value, exponent, out) ? p : NULL;
}

/* The number at `start`, NUMBER_BYTES before `end` or more; NULL when it is none. */
static inline const char *read_number(const char *const start, const char *end, struct number *out)
{
    double real;
    out->minus = *start == '-';
    const char *digits = start + out->minus, *p = digits + 1;
    if (!is_digit(*digits))
        return NULL;
    uint64_t value = (uint64_t)(*digits - '0');
    if (is_digit(*p)) {
        if (value == 0)
            return NULL;
        p = read_digits(p, &value);
    }
    size_t count = (size_t)(p - digits);
    out->real = *p == '.' || (*p | 0x20) == 'e';
    if (!out->real) {
        if (count > DIGITS_MAX || (out->minus && value > INT64_MAX))
            return read_any(start, end, out);
        out->bits = out->minus ? 0 - value : value;
        return p;
    }
    p = count <= DIGITS_MAX ? read_fraction(p, value, count, &real) : NULL;
    if (!p)
        return read_any(start, end, out);
    real = out->minus ? -real : real;
    memcpy(&out->bits, &real, sizeof real);
    out->minus = false;
    return p;
}

/* --- the array --- */

struct reader {
    const char *start, *p, *end;
    struct gal_arena *arena;
    struct gal_json_numbers *out;
    uint64_t *values;
    size_t room;
    bool minus, big; /* integers so far: some with a minus, some beyond int64_t */
    bool in_tail;
    unsigned pause, last_pause;  /* numbers until read_short_reals is tried again; as set last */
    char tail[2 * NUMBER_BYTES]; /* the last bytes of the text, then zeros */
};

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* The next byte that is no space; 0 at the end. */
static inline char look(struct reader *r)
{
    while (r->p < r->end && is_space(*r->p))
        r->p++;
    return r->p < r->end ? *r->p : '\0';
}

static double to_real(uint64_t bits, bool minus)
{
    return minus ? (double)(int64_t)bits : (double)bits;
}

/* The first number that is no integer makes all reals. */
static bool become_real(struct reader *r)
{
    if (r->minus && r->big)
        return false; /* 8 bytes do not tell which is which */
    for (size_t i = 0; i < r->out->count; i++) {
        double real = to_real(r->values[i], r->minus);
        memcpy(&r->values[i], &real, sizeof real);
    }
    r->out->kind = GAL_JSON_REAL;
    return true;
}

/* The first real among integers, or an integer among reals. */
static bool mix(struct reader *r, struct number *n)
{
    double real;
    if (n->real)
        return become_real(r);
    real = to_real(n->bits, n->minus);
    memcpy(&n->bits, &real, sizeof real);
    return true;
}

/* A number takes two bytes of text at least: twice is as often as this is called for one array. */
static bool make_room(struct reader *r)
{
    size_t room = 2 * r->room;
    uint64_t *values =
        gal_arena_grow(r->arena, r->values, r->room * sizeof *values, room * sizeof *values);
    if (!values)
        return false;
    r->values = values;
    r->room = room;
    return true;
}

/* Near the text's end it goes on in a copy with zeros behind it. */
static const char *enter_tail(struct reader *r, const char *p)
{
    size_t n = (size_t)(r->end - p);
    memcpy(r->tail, p, n);
    memset(r->tail + n, 0, sizeof r->tail - n);
    r->end = r->tail + n;
    r->in_tail = true;
    return r->tail;
}

/* Makes the number of the array's kind, or the array of the number's. */
static inline bool fit(struct reader *r, struct number *n)
{
    if (n->real != (r->out->kind == GAL_JSON_REAL))
        return mix(r, n);
    if (!n->real) {
        r->minus |= n->minus;
        r->big |= !n->minus && n->bits > INT64_MAX;
    }
    return true;
}

#define SHORT_MAX 14 /* digits behind the point: with the one before it they are exact */
#define LOOK_BACK 16 /* bytes before a number that are looked at */
#define PAUSE_MAX 63 /* numbers */

/* The digits of a fraction of n digits that ends at `end`, which 16 bytes lie before; false when
 * some byte is none. No branch asks how many there are. */
static inline bool join_fraction(const char *end, size_t n, uint64_t *out)
{
#define LAST(n) (UINT64_MAX << (64 - 8 * (n)))
    static const uint64_t first_of[SHORT_MAX + 1] = {0,       0,       0,       0,       0,
                                                     0,       0,       0,       0,       LAST(1),
                                                     LAST(2), LAST(3), LAST(4), LAST(5), LAST(6)},
                                               last_of[SHORT_MAX + 1] = {
                                                   0,       LAST(1), LAST(2), LAST(3), LAST(4),
                                                   LAST(5), LAST(6), LAST(7), LAST(8), LAST(8),
                                                   LAST(8), LAST(8), LAST(8), LAST(8), LAST(8)};
#undef LAST
    uint64_t last, first;
    memcpy(&last, end - 8, sizeof last);
    memcpy(&first, end - 16, sizeof first);
    last = (last ^ GAL_EACH_BYTE('0')) & last_of[n];
    first = (first ^ GAL_EACH_BYTE('0')) & first_of[n];
    *out = join_digits(first) * 100000000u + join_digits(last);
    first = ((first & GAL_EACH_BYTE(0x7f)) + GAL_EACH_BYTE(0x76)) | first;
    last = ((last & GAL_EACH_BYTE(0x7f)) + GAL_EACH_BYTE(0x76)) | last;
    return ((first | last) & GAL_EACH_BYTE(0x80)) == 0;
}

/* Numbers like -0.123, a comma behind each, as long as there are such and room for them; returns
 * where the first other begins. Where they end is looked up for many at a time, so that none waits
 * for the one before it; signs and spaces, which are alike in one text, are branches for that. */
static const char *read_short_reals(struct reader *r, const char *p)
{
    uint64_t *to = r->values + r->out->count, *full = r->values + r->room, commas = 0;
    const char *stop = r->end - NUMBER_BYTES, *next = p, *from = p;
    while (to < full) {
        uint64_t sign = 0, all;
        for (; commas == 0 && next <= stop; next += 64) {
            commas = gal_find_64(next, ',');
            from = next;
        }
        if (commas == 0)
            break;
        const char *digits = p, *end = from + __builtin_ctzll(commas);
        commas &= commas - 1;
        if (*p == '-') {
            sign = UINT64_C(1) << 63;
            digits++;
        }
        size_t n = (size_t)(end - digits) - 2;
        if (!is_digit(*digits) || digits[1] != '.' || n - 1 >= SHORT_MAX ||
            !join_fraction(end, n, &all))
            break;
        all += (uint64_t)(*digits - '0') * gal_pow10_u64[n];
        double real = (double)(int64_t)all / gal_pow10[n];
        memcpy(to, &real, sizeof real);
        *to++ |= sign;
        p = end + 1;
        if (*p == ' ')
            p++;
    }
    r->out->count = (size_t)(to - r->values);
    if (!is_digit(*p) && *p != '-') {
        r->p = p;
        look(r);
        p = r->p;
    }
    return p;
}

/* The same where such numbers are to be expected: a try that finds none costs as much as reading
 * one, so the next is made later and later. */
static inline const char *try_short_reals(struct reader *r, const char *p)
{
    size_t before = r->out->count;
    if (r->pause > 0) {
        r->pause--;
        return p;
    }
    p = read_short_reals(r, p);
    if (r->out->count > before)
        r->last_pause = 0;
    else if (r->last_pause < PAUSE_MAX)
        r->last_pause = 2 * r->last_pause + 1;
    r->pause = r->last_pause;
    return p;
}

/* Numbers up to the bracket that ends their array, which is read too. */
static bool read_run(struct reader *r)
{
    const char *p = r->p;
    size_t count = r->out->count;
    for (;;) {
        struct number n;
        if (r->out->kind == GAL_JSON_REAL && p - r->start >= LOOK_BACK && !r->in_tail) {
            r->out->count = count;
            p = try_short_reals(r, p);
            count = r->out->count;
        }
        if (r->end - p < NUMBER_BYTES && !r->in_tail)
            p = enter_tail(r, p);
        p = read_number(p, r->end, &n);
        r->out->count = count;
        if (!p || (count == r->room && !make_room(r)) || !fit(r, &n))
            return false;
        r->values[count++] = n.bits;
        if (r->end - p > 2 && *p == ',') {
            p += 1 + (p[1] == ' ');
            if (is_digit(*p) || *p == '-')
                continue;
            r->p = p;
        } else {
            r->p = p;
            char c = look(r);
            if (c != ',' && c != ']')
                return false;
            r->p++;
            if (c == ']') {
                r->out->count = count;
                return true;
            }
        }
        look(r);
        p = r->p;
    }
}

/* An array of level `level` has ended after n values. */
static bool check_length(struct gal_json_numbers *out, size_t level, size_t n)
{
    if (out->lens[level] == 0)
        out->lens[level] = n;
    return out->lens[level] == n;
}

/* Arrays within arrays; no recursion. */
static bool read_levels(struct reader *r, size_t depth_max)
{
    struct gal_json_numbers *out = r->out;
    size_t done[GAL_RANK_MAX] = {0}, level = 0;
    for (;;) {
        while (look(r) == '[') {
            if (level == depth_max || (out->depth > 0 && level == out->depth))
                return false;
            out->lens[level] = out->depth == 0 ? 0 : out->lens[level];
            done[level++] = 0;
            r->p++;
        }
        if (out->depth == 0)
            out->depth = level;
        size_t before = out->count;
        if (level != out->depth || !read_run(r) || !check_length(out, --level, out->count - before))
            return false;
        for (char c = 0; c != ',';) {
            if (level == 0)
                return true;
            done[level - 1]++;
            c = look(r);
            if (c != ',' && (c != ']' || !check_length(out, level - 1, done[level - 1])))
                return false;
            r->p++;
            level -= c == ']';
        }
    }
}

size_t gal_json_read_array(struct gal_str text, size_t at, unsigned depth_max,
                           struct gal_arena *arena, struct gal_json_numbers *out)
{
    struct reader r = {
        .start = text.p, .p = text.p + at, .end = text.p + text.n, .arena = arena, .out = out};
    /* Most numbers take four bytes of text or more, and what is left over goes back. */
    r.room = (text.n - at) / 4 + ROOM_MIN;
    r.values = gal_arena_array(arena, r.room, sizeof *r.values);
    if (!r.values)
        return 0;
    out->count = out->depth = 0;
    out->kind = GAL_JSON_UNSIGNED;
    bool ok = read_levels(&r, depth_max < GAL_RANK_MAX ? depth_max : GAL_RANK_MAX);
    gal_arena_trim(arena, r.values, r.room * sizeof *r.values,
                   ok ? out->count * sizeof *r.values : 0);
    if (!ok || (r.minus && r.big && out->kind != GAL_JSON_REAL))
        return 0;
    if (out->kind == GAL_JSON_UNSIGNED && r.minus)
        out->kind = GAL_JSON_SIGNED;
    out->values = r.values;
    return text.n - (size_t)(r.end - r.p);
}
