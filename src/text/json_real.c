/* SPDX-License-Identifier: Apache-2.0 */
/* Decimal to binary64 by one multiplication: the digits times the power of ten, cut to 128 bits,
 * tell the nearest double unless the product lies within its error of a tie. Daniel Lemire, "Number
 * parsing at a gigabyte per second" (2021), for the powers that tensors have; the rest is refused
 * and left to the general reader. */
#include "text/json_real.h"

#define EXPONENT_MIN (-65)
#define EXPONENT_MAX 44

/* The first 128 bits of 10^e, e = -65 .. 44, rounded down: high and low half. */
static const uint64_t powers[][2] = {
    {0x86ccbb52ea94baeau, 0x98e947129fc2b4e9u}, {0xa87fea27a539e9a5u, 0x3f2398d747b36224u},
    {0xd29fe4b18e88640eu, 0x8eec7f0d19a03aadu}, {0x83a3eeeef9153e89u, 0x1953cf68300424acu},
    {0xa48ceaaab75a8e2bu, 0x5fa8c3423c052dd7u}, {0xcdb02555653131b6u, 0x3792f412cb06794du},
    {0x808e17555f3ebf11u, 0xe2bbd88bbee40bd0u}, {0xa0b19d2ab70e6ed6u, 0x5b6aceaeae9d0ec4u},
    {0xc8de047564d20a8bu, 0xf245825a5a445275u}, {0xfb158592be068d2eu, 0xeed6e2f0f0d56712u},
    {0x9ced737bb6c4183du, 0x55464dd69685606bu}, {0xc428d05aa4751e4cu, 0xaa97e14c3c26b886u},
    {0xf53304714d9265dfu, 0xd53dd99f4b3066a8u}, {0x993fe2c6d07b7fabu, 0xe546a8038efe4029u},
    {0xbf8fdb78849a5f96u, 0xde98520472bdd033u}, {0xef73d256a5c0f77cu, 0x963e66858f6d4440u},
    {0x95a8637627989aadu, 0xdde7001379a44aa8u}, {0xbb127c53b17ec159u, 0x5560c018580d5d52u},
    {0xe9d71b689dde71afu, 0xaab8f01e6e10b4a6u}, {0x9226712162ab070du, 0xcab3961304ca70e8u},
    {0xb6b00d69bb55c8d1u, 0x3d607b97c5fd0d22u}, {0xe45c10c42a2b3b05u, 0x8cb89a7db77c506au},
    {0x8eb98a7a9a5b04e3u, 0x77f3608e92adb242u}, {0xb267ed1940f1c61cu, 0x55f038b237591ed3u},
    {0xdf01e85f912e37a3u, 0x6b6c46dec52f6688u}, {0x8b61313bbabce2c6u, 0x2323ac4b3b3da015u},
    {0xae397d8aa96c1b77u, 0xabec975e0a0d081au}, {0xd9c7dced53c72255u, 0x96e7bd358c904a21u},
    {0x881cea14545c7575u, 0x7e50d64177da2e54u}, {0xaa242499697392d2u, 0xdde50bd1d5d0b9e9u},
    {0xd4ad2dbfc3d07787u, 0x955e4ec64b44e864u}, {0x84ec3c97da624ab4u, 0xbd5af13bef0b113eu},
    {0xa6274bbdd0fadd61u, 0xecb1ad8aeacdd58eu}, {0xcfb11ead453994bau, 0x67de18eda5814af2u},
    {0x81ceb32c4b43fcf4u, 0x80eacf948770ced7u}, {0xa2425ff75e14fc31u, 0xa1258379a94d028du},
    {0xcad2f7f5359a3b3eu, 0x096ee45813a04330u}, {0xfd87b5f28300ca0du, 0x8bca9d6e188853fcu},
    {0x9e74d1b791e07e48u, 0x775ea264cf55347du}, {0xc612062576589ddau, 0x95364afe032a819du},
    {0xf79687aed3eec551u, 0x3a83ddbd83f52204u}, {0x9abe14cd44753b52u, 0xc4926a9672793542u},
    {0xc16d9a0095928a27u, 0x75b7053c0f178293u}, {0xf1c90080baf72cb1u, 0x5324c68b12dd6338u},
    {0x971da05074da7beeu, 0xd3f6fc16ebca5e03u}, {0xbce5086492111aeau, 0x88f4bb1ca6bcf584u},
    {0xec1e4a7db69561a5u, 0x2b31e9e3d06c32e5u}, {0x9392ee8e921d5d07u, 0x3aff322e62439fcfu},
    {0xb877aa3236a4b449u, 0x09befeb9fad487c2u}, {0xe69594bec44de15bu, 0x4c2ebe687989a9b3u},
    {0x901d7cf73ab0acd9u, 0x0f9d37014bf60a10u}, {0xb424dc35095cd80fu, 0x538484c19ef38c94u},
    {0xe12e13424bb40e13u, 0x2865a5f206b06fb9u}, {0x8cbccc096f5088cbu, 0xf93f87b7442e45d3u},
    {0xafebff0bcb24aafeu, 0xf78f69a51539d748u}, {0xdbe6fecebdedd5beu, 0xb573440e5a884d1bu},
    {0x89705f4136b4a597u, 0x31680a88f8953030u}, {0xabcc77118461cefcu, 0xfdc20d2b36ba7c3du},
    {0xd6bf94d5e57a42bcu, 0x3d32907604691b4cu}, {0x8637bd05af6c69b5u, 0xa63f9a49c2c1b10fu},
    {0xa7c5ac471b478423u, 0x0fcf80dc33721d53u}, {0xd1b71758e219652bu, 0xd3c36113404ea4a8u},
    {0x83126e978d4fdf3bu, 0x645a1cac083126e9u}, {0xa3d70a3d70a3d70au, 0x3d70a3d70a3d70a3u},
    {0xccccccccccccccccu, 0xccccccccccccccccu}, {0x8000000000000000u, 0x0000000000000000u},
    {0xa000000000000000u, 0x0000000000000000u}, {0xc800000000000000u, 0x0000000000000000u},
    {0xfa00000000000000u, 0x0000000000000000u}, {0x9c40000000000000u, 0x0000000000000000u},
    {0xc350000000000000u, 0x0000000000000000u}, {0xf424000000000000u, 0x0000000000000000u},
    {0x9896800000000000u, 0x0000000000000000u}, {0xbebc200000000000u, 0x0000000000000000u},
    {0xee6b280000000000u, 0x0000000000000000u}, {0x9502f90000000000u, 0x0000000000000000u},
    {0xba43b74000000000u, 0x0000000000000000u}, {0xe8d4a51000000000u, 0x0000000000000000u},
    {0x9184e72a00000000u, 0x0000000000000000u}, {0xb5e620f480000000u, 0x0000000000000000u},
    {0xe35fa931a0000000u, 0x0000000000000000u}, {0x8e1bc9bf04000000u, 0x0000000000000000u},
    {0xb1a2bc2ec5000000u, 0x0000000000000000u}, {0xde0b6b3a76400000u, 0x0000000000000000u},
    {0x8ac7230489e80000u, 0x0000000000000000u}, {0xad78ebc5ac620000u, 0x0000000000000000u},
    {0xd8d726b7177a8000u, 0x0000000000000000u}, {0x878678326eac9000u, 0x0000000000000000u},
    {0xa968163f0a57b400u, 0x0000000000000000u}, {0xd3c21bcecceda100u, 0x0000000000000000u},
    {0x84595161401484a0u, 0x0000000000000000u}, {0xa56fa5b99019a5c8u, 0x0000000000000000u},
    {0xcecb8f27f4200f3au, 0x0000000000000000u}, {0x813f3978f8940984u, 0x4000000000000000u},
    {0xa18f07d736b90be5u, 0x5000000000000000u}, {0xc9f2c9cd04674edeu, 0xa400000000000000u},
    {0xfc6f7c4045812296u, 0x4d00000000000000u}, {0x9dc5ada82b70b59du, 0xf020000000000000u},
    {0xc5371912364ce305u, 0x6c28000000000000u}, {0xf684df56c3e01bc6u, 0xc732000000000000u},
    {0x9a130b963a6c115cu, 0x3c7f400000000000u}, {0xc097ce7bc90715b3u, 0x4b9f100000000000u},
    {0xf0bdc21abb48db20u, 0x1e86d40000000000u}, {0x96769950b50d88f4u, 0x1314448000000000u},
    {0xbc143fa4e250eb31u, 0x17d955a000000000u}, {0xeb194f8e1ae525fdu, 0x5dcfab0800000000u},
    {0x92efd1b8d0cf37beu, 0x5aa1cae500000000u}, {0xb7abc627050305adu, 0xf14a3d9e40000000u},
    {0xe596b7b0c643c719u, 0x6d9ccd05d0000000u}, {0x8f7e32ce7bea5c6fu, 0xe4820023a2000000u},
};
_Static_assert(sizeof powers / sizeof *powers == EXPONENT_MAX - EXPONENT_MIN + 1, "one a power");

/* floor(log2(10^e)) for all e of the table. */
static int floor_log2_pow10(int e)
{
    return e * 217706 >> 16;
}

static uint64_t multiply(uint64_t a, uint64_t b, uint64_t *low)
{
    __extension__ typedef unsigned __int128 u128;
    u128 product = (u128)a * b;
    *low = (uint64_t)product;
    return (uint64_t)(product >> 64);
}

bool gal_json_real(uint64_t digits, int exponent, double *out)
{
    if (digits == 0 || exponent < EXPONENT_MIN || exponent > EXPONENT_MAX)
        return false;
    const uint64_t *power = powers[exponent - EXPONENT_MIN];
    int zeros = __builtin_clzll(digits);
    uint64_t low, high = multiply(digits << zeros, power[0], &low);
    /* 53 bits stay, the highest set one of `high` first; what is cut decides the rounding. */
    int top = (int)(high >> 63), cut = 10 + top;
    uint64_t mask = (UINT64_C(1) << cut) - 1, half = mask / 2 + 1, rest = high & mask;
    if (rest + 1 - half < 2) {
        /* Near a tie the power's low half counts; what it leaves out is less than 2 of `low`. */
        uint64_t unused, more = multiply(digits << zeros, power[1], &unused);
        high += (uint64_t)__builtin_add_overflow(low, more, &low);
        rest = high & mask;
        if ((rest == half && low == 0) || (rest == half - 1 && low >= UINT64_MAX - 1))
            return false; /* maybe a tie, maybe beside it */
    }
    uint64_t mantissa = (high >> cut) + (rest >= half);
    /* A mantissa that rounds up to 2^53 carries into the exponent, which is what it means. */
    int64_t power_of_2 = (int64_t)floor_log2_pow10(exponent) + 63 - zeros + top;
    uint64_t biased = (uint64_t)(power_of_2 + 1023);
    uint64_t bits = ((biased - 1) << 52) + mantissa;
    memcpy(out, &bits, sizeof bits);
    return true;
}
