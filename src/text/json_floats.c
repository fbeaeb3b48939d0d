/* SPDX-License-Identifier: Apache-2.0 */
/* Many binary32 numbers as their shortest decimal texts. Most are of a size at which a double tells
 * their digits: 10^-15 to 10^7. One step is taken for a block of them at a time, without a branch,
 * so that vectors do it and nothing waits; who is left over goes to gal_json_write_f32, whose texts
 * these are to the byte. */
#include "text/json_float.h"

#include "base/decimal.h"

#include <math.h>

#define BLOCK 32
#define ODD_ONE (-1000) /* or less: not for these loops */

struct block {
    double size[BLOCK], scale[BLOCK], half[BLOCK]; /* |v|, a power of ten, half of v's last bit */
    int64_t dot[BLOCK];                            /* as in struct gal_digits, or ODD_ONE */
    uint64_t nine[BLOCK];                          /* digits, zeros at the end if it has fewer */
    uint16_t ninth[BLOCK];                         /* the last of them */
    uint16_t fours[2 * BLOCK], twos[4 * BLOCK];    /* the others, in groups of so many */
    uint16_t ones[4 * BLOCK]; /* a byte a digit: `eight` of struct gal_digits */
};

/* The power of ten that makes v's last bit 1 to 10; true when it is no number for these loops. */
static inline bool measure(struct block *b, size_t i, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    int q = (int)(bits >> 23 & 0xff) - 150, k = gal_floor_log10_pow2(q);
    /* 0, a power of two (whose neighbours are not equally far), too large, too small */
    bool odd_one = (bits & 0x7fffffu) == 0 || (unsigned)-k >= GAL_POW10_COUNT;
    b->size[i] = odd_one ? 1.5 : (double)fabsf(v);
    q = odd_one ? -23 : q;
    k = odd_one ? -6 : k;
    uint64_t half = (uint64_t)(q - 1 + 1023) << 52;
    memcpy(&b->half[i], &half, sizeof half);
    b->scale[i] = gal_pow10[-k];
    b->dot[i] = odd_one ? ODD_ONE : k + 9;
    return odd_one;
}

typedef double reals __attribute__((vector_size(16)));
typedef int64_t masks __attribute__((vector_size(16)));

static inline reals magnitude(reals v)
{
    return (reals)((masks)v & INT64_MAX);
}

static inline reals pick(masks which, reals yes, reals no)
{
    return (reals)((which & (masks)yes) | (~which & (masks)no));
}

/* The nearest multiple of ten is the text when v's own interval, half a bit each way, holds it;
 * else the nearest whole number, which it always holds. Adding and taking off WHOLE rounds, to even
 * on a tie. The scaled number is below 2^28 and off by 2^-26 at most: what UNSURE apart is decided.
 */
static inline void find_digits(struct block *b)
{
    static const reals one = {1, 1}, ten = {10, 10}, hundred = {100, 100};
    const double WHOLE = 0x1p52, UNSURE = 0x1p-24;
    for (size_t i = 0; i < BLOCK; i += sizeof one / sizeof(double)) {
        reals size, scale, half;
        masks dot;
        memcpy(&size, &b->size[i], sizeof size);
        memcpy(&scale, &b->scale[i], sizeof scale);
        memcpy(&half, &b->half[i], sizeof half);
        memcpy(&dot, &b->dot[i], sizeof dot);
        reals scaled = size * scale, fine = scaled + WHOLE - WHOLE;
        reals coarse = (scaled * 0.1 + WHOLE - WHOLE) * 10, far = magnitude(scaled - coarse);
        reals digits = pick(far < half * scale, coarse, fine);
        masks unsure =
            (magnitude(far - half * scale) < UNSURE) | (magnitude(scaled - fine) > 0.5 - UNSURE);
        masks seven = digits < 1e7, eight = digits < 1e8;
        reals nine = digits * pick(seven, hundred, pick(eight, ten, one)) + WHOLE;
        dot = (unsure & ODD_ONE) | (~unsure & (dot + seven + eight));
        memcpy(&b->nine[i], &nine, sizeof nine);
        memcpy(&b->dot[i], &dot, sizeof dot);
    }
}

static inline void split_digits(struct block *b)
{
    for (size_t i = 0; i < BLOCK; i++) {
        uint32_t nine = (uint32_t)b->nine[i], /* the rest of that double */
            eight = nine / 10, four = eight / 10000;
        b->ninth[i] = (uint16_t)(nine - 10 * eight);
        b->fours[2 * i] = (uint16_t)four;
        b->fours[2 * i + 1] = (uint16_t)(eight - 10000 * four);
    }
    for (size_t i = 0; i < 2 * BLOCK; i++) {
        uint16_t two = (uint16_t)((uint32_t)b->fours[i] * 5243 >> 16) >> 3;
        b->twos[2 * i] = two;
        b->twos[2 * i + 1] = (uint16_t)(b->fours[i] - 100 * two);
    }
    for (size_t i = 0; i < 4 * BLOCK; i++) {
        uint16_t one = (uint16_t)((uint32_t)b->twos[i] * 6554 >> 16);
        b->ones[i] = (uint16_t)(one | (b->twos[i] - 10 * one) << 8);
    }
}

/* Number i of the block, v; without a branch when it has at most eight digits before its point. */
static inline char *lay_out(char *p, const struct block *b, size_t i, float v)
{
    int dot = (int)b->dot[i];
    if (dot <= ODD_ONE)
        return gal_json_write_f32(p, v);
    uint64_t eight, ninth = b->ninth[i];
    memcpy(&eight, b->ones + 4 * i, sizeof eight);
    uint64_t behind = (eight >> 8 | ninth << 56) << 4 | 1;
    size_t count = (size_t)(75 - __builtin_clzll(behind)) / 8;
    eight |= GAL_EACH_BYTE('0');
    *p = '-';
    p += signbit(v) != 0;
    if ((unsigned)dot + 5 > 13)
        return gal_digits_write(p,
                                (struct gal_digits){eight, (char)('0' + ninth), (int)count, dot});
    size_t point = dot > 0, mask = 0 - point;
    size_t whole = (size_t)dot & mask, start = (size_t)(2 - dot) & ~mask;
    behind = eight >> 4 * whole >> 4 * whole;
    memcpy(p, "0.000000", 8);
    memcpy(p + start, &eight, 8);
    p[whole + (point ^ 1)] = '.';
    memcpy(p + start + whole + point, &behind, 8);
    p[start + 8 + point] = (char)('0' + ninth);
    return p + start + point + (count > whole ? count : whole + 1);
}

static char *write_one_by_one(char *p, const float *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        p = gal_json_write_f32(p, v[i]);
        *p++ = ',';
    }
    return p;
}

char *gal_json_write_f32s(char *p, const float *v, size_t n)
{
    struct block b;
    for (; n >= BLOCK; v += BLOCK, n -= BLOCK) {
        size_t odd_ones = 0;
        for (size_t i = 0; i < BLOCK; i++)
            odd_ones += measure(&b, i, v[i]);
        if (odd_ones > BLOCK / 2) {
            p = write_one_by_one(p, v, BLOCK);
            continue;
        }
        find_digits(&b);
        split_digits(&b);
        for (size_t i = 0; i < BLOCK; i++) {
            p = lay_out(p, &b, i, v[i]);
            *p++ = ',';
        }
    }
    return write_one_by_one(p, v, n);
}
