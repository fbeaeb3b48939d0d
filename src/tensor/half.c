/* SPDX-License-Identifier: Apache-2.0 */
/* binary16 and bfloat16 by whole-number arithmetic on IEEE 754's bits: no rounding mode, no
 * compiler option and no processor changes the result. */
#include "tensor/dtype.h"

/* A 16-bit format: a sign, exponent bits, mantissa bits. */
struct format {
    int mantissa_bits;
    int bias;
};

static const struct format fp16 = {10, 15};
static const struct format bf16 = {7, 127};

/* v / 2^shift, rounded to nearest, ties to even; shift from 1 to 63. */
static uint64_t shift_round(uint64_t v, int shift)
{
    uint64_t rest = v & ((UINT64_C(1) << shift) - 1);
    uint64_t half = UINT64_C(1) << (shift - 1);
    uint64_t q = v >> shift;
    return q + (rest > half || (rest == half && (q & 1)));
}

/* Rounds a double, which holds every float exactly, once. */
static uint16_t from_double(double d, struct format f)
{
    uint64_t bits;
    memcpy(&bits, &d, sizeof bits);
    unsigned sign = (unsigned)(bits >> 48) & 0x8000u;
    unsigned infinity = 0x7fffu & ~((1u << f.mantissa_bits) - 1);
    int exponent = (int)(bits >> 52 & 0x7ff);
    uint64_t mantissa = bits & ((UINT64_C(1) << 52) - 1);
    if (exponent == 0x7ff) {
        /* A NaN keeps its upper bits and becomes quiet. */
        unsigned payload = (unsigned)(mantissa >> (52 - f.mantissa_bits));
        unsigned nan = mantissa ? payload | 1u << (f.mantissa_bits - 1) : 0;
        return (uint16_t)(sign | infinity | nan);
    }
    int e = exponent - 1023 + f.bias; /* in the target's exponent field, when that is over 0 */
    if (exponent == 0 || e < -f.mantissa_bits)
        return (uint16_t)sign; /* under half of the smallest subnormal */
    mantissa |= UINT64_C(1) << 52;
    int shift = 52 - f.mantissa_bits + (e < 1 ? 1 - e : 0);
    uint64_t rounded = shift_round(mantissa, shift);
    /* A normal result carries its hidden bit, worth one exponent step, and so does a rounding
     * that overflows the mantissa: adding lets the carry run into the exponent. */
    uint64_t magnitude = e < 1 ? rounded : ((uint64_t)(e - 1) << f.mantissa_bits) + rounded;
    return (uint16_t)(sign | (magnitude < infinity ? (unsigned)magnitude : infinity));
}

uint16_t gal_fp16_from_fp32(float v)
{
    return from_double((double)v, fp16);
}

uint16_t gal_fp16_from_fp64(double d)
{
    return from_double(d, fp16);
}

uint16_t gal_bf16_from_fp32(float v)
{
    return from_double((double)v, bf16);
}

uint16_t gal_bf16_from_fp64(double d)
{
    return from_double(d, bf16);
}

static float float_of_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

float gal_fp16_to_fp32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    uint32_t exponent = h >> 10 & 31u;
    uint32_t mantissa = h & 0x3ffu;
    if (exponent == 31)
        return float_of_bits(sign | 0x7f800000u | mantissa << 13);
    if (exponent > 0)
        return float_of_bits(sign | (exponent + 112) << 23 | mantissa << 13);
    float magnitude = (float)mantissa * 0x1p-24f; /* exact */
    return sign ? -magnitude : magnitude;
}

float gal_bf16_to_fp32(uint16_t b)
{
    return float_of_bits((uint32_t)b << 16);
}
