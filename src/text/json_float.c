/* SPDX-License-Identifier: Apache-2.0 */
/* Shortest decimal text of a binary32 number, by Raffaello Giulietti, "The Schubfach way to render
 * doubles" (2021), with the constants of binary32: the number's rounding interval is scaled by a
 * power of ten so that it holds one or two whole numbers, and at most four candidates are looked
 * at. Names follow the paper's. */
#include "text/json_float.h"

#define POWER_MIN (-31)

/* 10^k for k = -31 .. 45, scaled by a power of two into 64 bits, rounded up. */
static const uint64_t powers[] = {
    0x81ceb32c4b43fcf5u, 0xa2425ff75e14fc32u, 0xcad2f7f5359a3b3fu, 0xfd87b5f28300ca0eu,
    0x9e74d1b791e07e49u, 0xc612062576589ddbu, 0xf79687aed3eec552u, 0x9abe14cd44753b53u,
    0xc16d9a0095928a28u, 0xf1c90080baf72cb2u, 0x971da05074da7befu, 0xbce5086492111aebu,
    0xec1e4a7db69561a6u, 0x9392ee8e921d5d08u, 0xb877aa3236a4b44au, 0xe69594bec44de15cu,
    0x901d7cf73ab0acdau, 0xb424dc35095cd810u, 0xe12e13424bb40e14u, 0x8cbccc096f5088ccu,
    0xafebff0bcb24aaffu, 0xdbe6fecebdedd5bfu, 0x89705f4136b4a598u, 0xabcc77118461cefdu,
    0xd6bf94d5e57a42bdu, 0x8637bd05af6c69b6u, 0xa7c5ac471b478424u, 0xd1b71758e219652cu,
    0x83126e978d4fdf3cu, 0xa3d70a3d70a3d70bu, 0xcccccccccccccccdu, 0x8000000000000000u,
    0xa000000000000000u, 0xc800000000000000u, 0xfa00000000000000u, 0x9c40000000000000u,
    0xc350000000000000u, 0xf424000000000000u, 0x9896800000000000u, 0xbebc200000000000u,
    0xee6b280000000000u, 0x9502f90000000000u, 0xba43b74000000000u, 0xe8d4a51000000000u,
    0x9184e72a00000000u, 0xb5e620f480000000u, 0xe35fa931a0000000u, 0x8e1bc9bf04000000u,
    0xb1a2bc2ec5000000u, 0xde0b6b3a76400000u, 0x8ac7230489e80000u, 0xad78ebc5ac620000u,
    0xd8d726b7177a8000u, 0x878678326eac9000u, 0xa968163f0a57b400u, 0xd3c21bcecceda100u,
    0x84595161401484a0u, 0xa56fa5b99019a5c8u, 0xcecb8f27f4200f3au, 0x813f3978f8940985u,
    0xa18f07d736b90be6u, 0xc9f2c9cd04674edfu, 0xfc6f7c4045812297u, 0x9dc5ada82b70b59eu,
    0xc5371912364ce306u, 0xf684df56c3e01bc7u, 0x9a130b963a6c115du, 0xc097ce7bc90715b4u,
    0xf0bdc21abb48db21u, 0x96769950b50d88f5u, 0xbc143fa4e250eb32u, 0xeb194f8e1ae525feu,
    0x92efd1b8d0cf37bfu, 0xb7abc627050305aeu, 0xe596b7b0c643c71au, 0x8f7e32ce7bea5c70u,
    0xb35dbf821ae4f38cu,
};

/* floor(log10(3/4 * 2^e)), for all e that occur. */
static int floor_log10_three_quarters_pow2(int e)
{
    return (e * 1262611 - 524031) >> 22;
}

struct decimal {
    uint32_t digits;
    int exponent; /* value = digits * 10^exponent */
};

/* Upper bits of g * c with the rest folded into the lowest bit, so that comparisons stay exact. */
static uint32_t round_to_odd(uint64_t g, uint32_t c)
{
    __extension__ typedef unsigned __int128 u128;
    u128 product = (u128)g * c;
    return (uint32_t)(product >> 64) | ((uint64_t)product >> 32 > 1);
}

/* v = c * 2^q, c > 0; `irregular`: the lower neighbour is half as far as the upper. Digits of a
 * shortest text, zeros behind them maybe. */
static inline struct decimal shortest(uint32_t c, int q, bool irregular)
{
    int k = irregular ? floor_log10_three_quarters_pow2(q) : gal_floor_log10_pow2(q);
    int h = q + gal_floor_log2_pow10(-k) + 1;
    uint64_t g = powers[-k - POWER_MIN];
    uint32_t odd = c & 1; /* an odd number does not own the ends of its interval */
    uint32_t lower = round_to_odd(g, (4 * c - 2 + irregular) << h) + odd;
    uint32_t value = round_to_odd(g, (4 * c) << h);
    uint32_t upper = round_to_odd(g, (4 * c + 2) << h) - odd;
    /* No branches: which candidate it is, no predictor knows. Of the two that are ten times as
     * coarse one is inside at most; when it is, it is the shortest. */
    uint32_t s = value / 4, ten = s / 10, middle = 4 * s + 2;
    uint32_t below = lower <= 40 * ten, above = 40 * ten + 40 <= upper;
    uint32_t coarse = (below ^ above) & (s >= 10);
    uint32_t digits = 10 * (ten + above), mask = 0 - coarse;
    /* Of the two others, where both or none are inside, the nearer, the even one on a tie. */
    below = lower <= 4 * s;
    above = 4 * s + 4 <= upper;
    uint32_t nearer = (value > middle) | ((value == middle) & s & 1);
    uint32_t fine = s + (((below ^ above) & above) | (~(below ^ above) & nearer));
    return (struct decimal){(digits & mask) | (fine & ~mask), k};
}

/* The eight digits of v < 10^8, a byte of 0 to 9 each, the first one lowest. Divisions by 100 and
 * 10 of two and four parts at once are multiplications that are exact for so few bits. */
static inline uint64_t split_digits(uint32_t v)
{
    uint64_t parts = v / 10000 | (uint64_t)(v % 10000) << 32;
    uint64_t upper = (parts * 10486 >> 20) & 0x0000007f0000007fu;
    parts = upper | (parts - 100 * upper) << 16;
    upper = (parts * 103 >> 10) & 0x000f000f000f000fu;
    return upper | (parts - 10 * upper) << 8;
}

static inline struct gal_digits take_apart(struct decimal d)
{
    static const uint32_t to_nine[] = {100, 10, 1};
    for (; d.digits < 1000000; d.exponent--) /* of a subnormal number: others have 7 to 9 */
        d.digits *= 10;
    int longer = (d.digits >= 10000000) + (d.digits >= 100000000);
    uint32_t nine = d.digits * to_nine[longer], ninth = nine % 10;
    uint64_t eight = split_digits(nine / 10), behind = eight >> 8 | (uint64_t)ninth << 56;
    return (struct gal_digits){
        .eight = eight | GAL_EACH_BYTE('0'),
        .ninth = (char)('0' + ninth),
        .count = behind ? 9 - __builtin_clzll(behind) / 8 : 1,
        .dot = d.exponent + 7 + longer,
    };
}

static inline void put_digits(char *p, const struct gal_digits *d)
{
    memcpy(p, &d->eight, 8);
    p[8] = d->ninth;
}

static char *write_scientific(char *p, const struct gal_digits *d)
{
    put_digits(p + 1, d);
    p[0] = p[1];
    p[1] = '.';
    p += d->count > 1 ? d->count + 1 : 1;
    *p++ = 'e';
    return gal_i64_write(p, d->dot - 1);
}

char *gal_digits_write(char *p, struct gal_digits d)
{
    if (d.dot <= -6 || d.dot > 21)
        return write_scientific(p, &d);
    if (d.dot <= 0) {
        memcpy(p, "0.000000", 8);
        p += 2 - d.dot;
        put_digits(p, &d);
        return p + d.count;
    }
    if (d.dot >= d.count) {
        memset(p, '0', 24);
        put_digits(p, &d);
        memcpy(p + d.dot, ".0", 2);
        return p + d.dot + 2;
    }
    uint64_t behind = d.eight >> 4 * d.dot >> 4 * d.dot; /* in two steps: dot may be 8 */
    memcpy(p, &d.eight, 8);
    p[d.dot] = '.';
    memcpy(p + d.dot + 1, &behind, 8);
    p[9] = d.ninth;
    return p + d.count + 1;
}

char *gal_json_write_f32(char *p, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    uint32_t mantissa = bits & 0x7fffffu;
    int exponent = (int)(bits >> 23 & 0xff);
    if (exponent == 0xff)
        return gal_json_write_f64(p, (double)v);
    if (bits >> 31)
        *p++ = '-';
    if (exponent == 0 && mantissa == 0) {
        memcpy(p, "0.0", 3);
        return p + 3;
    }
    bool normal = exponent > 0;
    return gal_digits_write(
        p, take_apart(shortest(mantissa | (uint32_t)normal << 23, exponent - normal - 149,
                               mantissa == 0 && exponent > 1)));
}
