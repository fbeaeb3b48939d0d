/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/buckets.h"

#include <math.h>
#include <string.h>

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)
#define S UINT64_C(1000000000)
/* 238 ns to 128 s. */
#define TIME_FIRST (-175)
#define TIME_COUNT 232
/* 0.5 to 8192. */
#define ROWS_FIRST (-7)
#define ROWS_COUNT 112

const struct gal_bucket_list gal_bucket_lists[GAL_BUCKETS_COUNT] = {
    [GAL_BUCKETS_NONE] = {.count = 0},
    [GAL_BUCKETS_HTTP] = {true,
                          15,
                          {250 * US, 500 * US, 1 * MS, 2500 * US, 5 * MS, 10 * MS, 25 * MS, 50 * MS,
                           100 * MS, 250 * MS, 500 * MS, 1 * S, 2500 * MS, 5 * S, 10 * S},
                          TIME_FIRST,
                          TIME_COUNT},
    [GAL_BUCKETS_INFERENCE] = {true,
                               17,
                               {10 * US, 25 * US, 50 * US, 100 * US, 250 * US, 500 * US, 1 * MS,
                                2500 * US, 5 * MS, 10 * MS, 25 * MS, 50 * MS, 100 * MS, 250 * MS,
                                500 * MS, 1 * S, 2500 * MS},
                               TIME_FIRST,
                               TIME_COUNT},
    [GAL_BUCKETS_ROWS] =
        {false, 11, {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024}, ROWS_FIRST, ROWS_COUNT},
};

size_t gal_bucket_classic(const struct gal_bucket_list *list, uint64_t value)
{
    size_t i = 0;
    while (i < list->count && value > list->bounds[i])
        i++;
    return i;
}

double gal_bucket_shown(const struct gal_bucket_list *list, uint64_t value)
{
    return list->is_time ? (double)value / 1e9 : (double)value;
}

/* An IEEE double's exponent is the octave, its fraction says which eighth: steps are the fractions
 * of 2^(0/8) to 2^(7/8). */
static int native_index(double v)
{
    static const uint64_t steps[8] = {0x0000000000000, 0x172b83c7d517b, 0x306fe0a31b715,
                                      0x4bfdad5362a27, 0x6a09e667f3bcd, 0x8ace5422aa0db,
                                      0xae89f995ad3ad, 0xd5818dcfba487};
    uint64_t bits, fraction;
    memcpy(&bits, &v, sizeof bits);
    fraction = bits & 0xfffffffffffff;
    int index = ((int)(bits >> 52) - 1023) * 8;
    for (size_t i = 0; i < 8; i++)
        index += fraction > steps[i];
    return index;
}

size_t gal_bucket_native(const struct gal_bucket_list *list, uint64_t value)
{
    if (value == 0)
        return 0;
    int place = native_index(gal_bucket_shown(list, value)) - list->native_first;
    if (place < 0)
        return 0;
    return (unsigned)place < list->native_count ? (size_t)place + 1 : list->native_count;
}

double gal_bucket_zero_threshold(const struct gal_bucket_list *list)
{
    return ldexp(1.0, (list->native_first - 1) / 8);
}
