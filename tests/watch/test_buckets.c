/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/buckets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>
#include <math.h>

#define S UINT64_C(1000000000)

static const struct gal_bucket_list *times = &gal_bucket_lists[GAL_BUCKETS_INFERENCE];
static const struct gal_bucket_list *sizes = &gal_bucket_lists[GAL_BUCKETS_ROWS];

/* The index that Prometheus gives the bucket; INT_MIN: the zero bucket. */
static int index_of(const struct gal_bucket_list *list, uint64_t value)
{
    size_t place = gal_bucket_native(list, value);
    assert_true(place <= list->native_count);
    return place == 0 ? -10000 : list->native_first + (int)place - 1;
}

static void classic_bounds_rise_and_hold_what_lies_on_them(void **state)
{
    (void)state;
    for (size_t k = GAL_BUCKETS_HTTP; k < GAL_BUCKETS_COUNT; k++) {
        const struct gal_bucket_list *list = &gal_bucket_lists[k];
        assert_true(list->count <= GAL_BOUNDS_MAX && list->native_count <= GAL_NATIVE_MAX);
        for (size_t i = 0; i < list->count; i++) {
            assert_true(i == 0 || list->bounds[i] > list->bounds[i - 1]);
            assert_int_equal(gal_bucket_classic(list, list->bounds[i]), i);
            assert_int_equal(gal_bucket_classic(list, list->bounds[i] + 1), i + 1);
        }
        assert_int_equal(gal_bucket_classic(list, 0), 0);
        assert_int_equal(gal_bucket_classic(list, UINT64_MAX), list->count);
    }
}

static void a_power_of_two_ends_its_bucket(void **state)
{
    (void)state;
    assert_int_equal(index_of(times, 1 * S), 0);
    assert_int_equal(index_of(times, 1 * S + 1), 1);
    assert_int_equal(index_of(times, 1 * S - 1), 0);
    assert_int_equal(index_of(times, 2 * S), 8);
    assert_int_equal(index_of(times, S / 2), -8);
    assert_int_equal(index_of(times, S / 2 + 1), -7);
    assert_int_equal(index_of(sizes, 1), 0);
    assert_int_equal(index_of(sizes, 2), 8);
    assert_int_equal(index_of(sizes, 3), 13);
    assert_int_equal(index_of(sizes, 32), 40);
    assert_int_equal(index_of(sizes, 33), 41);
}

static void every_bucket_begins_behind_the_one_before(void **state)
{
    (void)state;
    for (int i = -120; i <= 56; i++) { /* from 30 us on a nanosecond is far from a bucket's width */
        double bound = pow(2.0, i / 8.0) * 1e9;
        uint64_t within = (uint64_t)floor(bound * (1 - 1e-12)), beyond = (uint64_t)bound + 1;
        assert_int_equal(index_of(times, within), i);
        assert_int_equal(index_of(times, beyond), i < 56 ? i + 1 : 56);
    }
}

static void what_is_too_small_is_zero_and_what_is_too_large_is_the_last(void **state)
{
    (void)state;
    assert_true(gal_bucket_zero_threshold(times) == ldexp(1, -22));
    assert_true(gal_bucket_zero_threshold(sizes) == 0.5);
    assert_int_equal(gal_bucket_native(times, 0), 0);
    assert_int_equal(gal_bucket_native(times, 238), 0);
    assert_int_equal(gal_bucket_native(times, 239), 1);
    assert_int_equal(gal_bucket_native(times, 128 * S), times->native_count);
    assert_int_equal(gal_bucket_native(times, 129 * S), times->native_count);
    assert_int_equal(gal_bucket_native(times, UINT64_MAX), times->native_count);
    assert_int_equal(gal_bucket_native(sizes, 0), 0);
    assert_int_equal(gal_bucket_native(sizes, 8192), sizes->native_count);
    assert_int_equal(gal_bucket_native(sizes, UINT64_MAX), sizes->native_count);
}

static void times_are_shown_in_seconds(void **state)
{
    (void)state;
    assert_true(gal_bucket_shown(times, 10000) == 0.00001);
    assert_true(gal_bucket_shown(times, 2500 * S / 1000) == 2.5);
    assert_true(gal_bucket_shown(sizes, 64) == 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classic_bounds_rise_and_hold_what_lies_on_them),
        cmocka_unit_test(a_power_of_two_ends_its_bucket),
        cmocka_unit_test(every_bucket_begins_behind_the_one_before),
        cmocka_unit_test(what_is_too_small_is_zero_and_what_is_too_large_is_the_last),
        cmocka_unit_test(times_are_shown_in_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
