/* SPDX-License-Identifier: Apache-2.0 */
/* Into which bucket of a histogram a value falls. A histogram has two sets of buckets at once:
 * classic ones, whose upper bounds a list names, and those of Prometheus's native histograms:
 * schema 3, bounds at the powers of 2^(1/8), so that a quantile is off by 9 % at most.
 * Times are nanoseconds and shown as seconds; anything else is a plain number. Pure; any thread. */
#ifndef GAL_WATCH_BUCKETS_H
#define GAL_WATCH_BUCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GAL_NATIVE_SCHEMA 3
#define GAL_BOUNDS_MAX 17u
#define GAL_NATIVE_MAX 232u

enum gal_buckets {
    GAL_BUCKETS_NONE,      /* no histogram */
    GAL_BUCKETS_HTTP,      /* requests: 250 us to 10 s */
    GAL_BUCKETS_INFERENCE, /* parts of them: 10 us to 2.5 s */
    GAL_BUCKETS_ROWS,      /* of a call: 1 to 1024 */
    GAL_BUCKETS_COUNT
};

struct gal_bucket_list {
    bool is_time;
    size_t count; /* of bounds */
    uint64_t bounds[GAL_BOUNDS_MAX];
    /* Native bucket i holds what is above 2^((i-1)/8) and at most 2^(i/8), in seconds where
     * is_time. What is below the first belongs to the zero bucket, what is above the last to it. */
    int native_first;
    unsigned native_count;
};

extern const struct gal_bucket_list gal_bucket_lists[GAL_BUCKETS_COUNT];

/* 0..count; a value on a bound is within it, count is above all. */
size_t gal_bucket_classic(const struct gal_bucket_list *list, uint64_t value);
/* 0: the zero bucket; else 1 more than the bucket's place behind native_first. */
size_t gal_bucket_native(const struct gal_bucket_list *list, uint64_t value);
/* What is at most this is in the zero bucket; in seconds where is_time. */
double gal_bucket_zero_threshold(const struct gal_bucket_list *list);
/* A bound, or a sum of values, as it is shown. */
double gal_bucket_shown(const struct gal_bucket_list *list, uint64_t value);

#endif
