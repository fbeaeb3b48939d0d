/* SPDX-License-Identifier: Apache-2.0 */
/* Many binary32 numbers as their shortest decimal texts. Most are of a size at which a double tells
 * their digits: 10^-15 to 10^7. One step is taken for a block of them at a time, without a branch,
 * so that vectors do it and nothing waits; who is left over goes to gal_json_write_f32, whose texts
 * these are to the byte. */
#include "text/json_float.h"

#include "base/decimal.h"

#include <math.h>

#define BLOCK 32
/* Part of each of the two callers below, which are for different processors. */
#define WITHIN inline __attribute__((always_inline))
#define ODD_ONE (-1000) /* or less: not for these loops */

struct block {
    double size[BLOCK], scale[BLOCK], half[BLOCK]; /* |v|, a power of ten, half of v's last bit */
    int64_t dot[BLOCK];                            /* as in struct gal_digits, or ODD_ONE */
    uint64_t nine[BLOCK];                          /* digits, zeros at the end if it has fewer */
    uint16_t ninth[BLOCK];                         /* the last of them */
    uint16_t fours[2 * BLOCK], twos[4 * BLOCK];    /* the others, in groups of so many */
    uint16_t ones[4 * BLOCK]; /* a byte a digit: `eight` of struct gal_digits */
};

/* The power of ten that makes each number's last bit 1 to 10; returns how many are no numbers for
 * these loops: 0, a power of two (whose neighbours are not equally far), too large, too small. Of
 * those the other figures mean nothing. */
static WITHIN int measure(struct block *b, const float *v)
{
    uint32_t bits[BLOCK];
    int32_t power[BLOCK], exponent[BLOCK], dot[BLOCK], odd_ones = 0;
    memcpy(bits, v, sizeof bits);
    for (size_t i = 0; i < BLOCK; i++) {
        int32_t q = (int32_t)(bits[i] >> 23 & 0xff) - 150, k = gal_floor_log10_pow2(q);
        int32_t odd_one =
            0 - (((bits[i] & 0x7fffffu) == 0) | (k > 0) | (k <= -(int32_t)GAL_POW10_COUNT));
        power[i] = ~odd_one & -k;
        exponent[i] = q - 1 + 1023;
        dot[i] = (odd_one & ODD_ONE) | (~odd_one & (k + 9));
        odd_ones -= odd_one;
    }
    for (size_t i = 0; i < BLOCK; i++) {
        uint64_t half = (uint64_t)(uint32_t)exponent[i] << 52;
        memcpy(&b->half[i], &half, sizeof half);
        b->dot[i] = dot[i];
    }
    for (size_t i = 0; i < BLOCK; i++)
        b->size[i] = fabs((double)v[i]);
    for (size_t i = 0; i < BLOCK; i++)
        b->scale[i] = gal_pow10[power[i]];
    return odd_ones;
}

typedef double reals __attribute__((vector_size(32)));
typedef int64_t masks __attribute__((vector_size(32)));

/* No functions: how vectors are handed over depends on the processor. */
#define MAGNITUDE(v) ((reals)((masks)(v)&INT64_MAX))
#define PICK(which, yes, no) ((reals)(((which) & (masks)(yes)) | (~(which) & (masks)(no))))

/* The nearest multiple of ten is the text when v's own interval, half a bit each way, holds it;
 * else the nearest whole number, which it always holds. Adding and taking off WHOLE rounds, to even
 * on a tie. The scaled number is below 2^28 and off by 2^-26 at most: what UNSURE apart is decided.
 */
static WITHIN void find_digits(struct block *b)
{
    static const reals one = {1, 1, 1, 1}, ten = {10, 10, 10, 10}, hundred = {100, 100, 100, 100};
    const double WHOLE = 0x1p52, UNSURE = 0x1p-24;
    for (size_t i = 0; i < BLOCK; i += sizeof one / sizeof(double)) {
        reals size, scale, half;
        masks dot;
        memcpy(&size, &b->size[i], sizeof size);
        memcpy(&scale, &b->scale[i], sizeof scale);
        memcpy(&half, &b->half[i], sizeof half);
        memcpy(&dot, &b->dot[i], sizeof dot);
        reals scaled = size * scale, fine = scaled + WHOLE - WHOLE;
        reals coarse = (scaled * 0.1 + WHOLE - WHOLE) * 10, far = MAGNITUDE(scaled - coarse);
        reals digits = PICK(far < half * scale, coarse, fine);
        masks unsure =
            (MAGNITUDE(far - half * scale) < UNSURE) | (MAGNITUDE(scaled - fine) > 0.5 - UNSURE);
        masks seven = digits < 1e7, eight = digits < 1e8;
        reals nine = digits * PICK(seven, hundred, PICK(eight, ten, one)) + WHOLE;
        dot = (unsure & ODD_ONE) | (~unsure & (dot + seven + eight));
        memcpy(&b->nine[i], &nine, sizeof nine);
        memcpy(&b->dot[i], &dot, sizeof dot);
    }
}

static WITHIN void split_digits(struct block *b)
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
static WITHIN char *lay_out(char *p, const struct block *b, size_t i, float v)
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

static WITHIN char *write_blocks(char *p, const float *v, size_t n)
{
    struct block b;
    for (; n >= BLOCK; v += BLOCK, n -= BLOCK) {
        if (measure(&b, v) > BLOCK / 2) {
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

char *gal_json_write_f32s_plain(char *p, const float *v, size_t n)
{
    return write_blocks(p, v, n);
}

#ifdef __x86_64__
/* No fused multiplication: it would round otherwise. */
__attribute__((target("avx2,bmi2"))) static char *write_wide(char *p, const float *v, size_t n)
{
    return write_blocks(p, v, n);
}

char *gal_json_write_f32s(char *p, const float *v, size_t n)
{
    bool is_wide = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
    return is_wide ? write_wide(p, v, n) : gal_json_write_f32s_plain(p, v, n);
}
#else
char *gal_json_write_f32s(char *p, const float *v, size_t n)
{
    return gal_json_write_f32s_plain(p, v, n);
}
#endif
