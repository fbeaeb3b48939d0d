/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sched/cost.h"

/* A generator of numbers for these tests alone. */
static uint64_t draw(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void assert_near(uint64_t is, uint64_t wanted, uint64_t within)
{
    assert_in_range(is, wanted - within, wanted + within);
}

static void assert_never_falls(const struct gal_cost *c)
{
    uint64_t last = 0;
    for (size_t rows = 1; rows < 5000; rows++) {
        uint64_t ns = gal_cost_estimate_ns(c, rows);
        assert_true(ns >= last);
        last = ns;
    }
}

static void nothing_known_is_never_inline(void **state)
{
    (void)state;
    const struct gal_cost c = {0};
    assert_int_equal(gal_cost_estimate_ns(&c, 1), 0);
    assert_int_equal(gal_cost_estimate_us(&c, 1), 0);
    assert_false(gal_cost_is_inline(&c, 1, UINT64_MAX));
    assert_int_equal(gal_cost_rows_within(&c, UINT64_MAX, 64), 0);
    assert_true(gal_cost_rate(&c, 1) == 0.0);
}

static void the_first_samples_are_averaged_plainly(void **state)
{
    (void)state;
    struct gal_cost c = {0};
    gal_cost_observe(&c, 1, 100000);
    assert_int_equal(gal_cost_estimate_ns(&c, 1), 100000);
    gal_cost_observe(&c, 1, 200000);
    assert_int_equal(gal_cost_estimate_ns(&c, 1), 150000);
    gal_cost_observe(&c, 1, 300000);
    assert_int_equal(gal_cost_estimate_ns(&c, 1), 200000);
}

static void old_samples_fade(void **state)
{
    (void)state;
    struct gal_cost c = {0};
    for (int i = 0; i < 1000; i++)
        gal_cost_observe(&c, 1, 100000);
    for (int i = 0; i < 16; i++)
        gal_cost_observe(&c, 1, 200000);
    /* 100 + 100 * (1 - (15/16)^16) = 164.39 */
    assert_near(gal_cost_estimate_ns(&c, 1), 164390, 10);
    for (int i = 0; i < 200; i++)
        gal_cost_observe(&c, 1, 200000);
    assert_true(gal_cost_estimate_ns(&c, 1) >= 199000);
}

static void one_slow_run_moves_a_cheap_model_little(void **state)
{
    (void)state;
    struct gal_cost c = {0};
    for (int i = 0; i < 100; i++)
        gal_cost_observe(&c, 1, 10000);
    gal_cost_observe(&c, 1, 1000000000);
    assert_true(gal_cost_estimate_us(&c, 1) <= 15);
    /* A model that has become dear is known as such soon. */
    for (int i = 0; i < 20; i++)
        gal_cost_observe(&c, 1, 1000000000);
    assert_true(gal_cost_estimate_us(&c, 1) > 1000);
}

static void a_cost_below_the_clocks_grain_can_still_grow(void **state)
{
    (void)state;
    struct gal_cost c = {0};
    for (int i = 0; i < 100; i++)
        gal_cost_observe(&c, 1, 0);
    assert_int_equal(gal_cost_estimate_ns(&c, 1), 1);
    assert_int_equal(gal_cost_estimate_us(&c, 1), 1);
    for (int i = 0; i < 1000; i++)
        gal_cost_observe(&c, 1, 50000);
    assert_true(gal_cost_estimate_us(&c, 1) >= 49);
}

static void one_known_size_tells_of_the_others_in_proportion(void **state)
{
    (void)state;
    struct gal_cost c = {0};
    gal_cost_observe(&c, 1, 100000);
    assert_int_equal(gal_cost_estimate_ns(&c, 10), 1000000);
    assert_int_equal(gal_cost_estimate_ns(&c, 10000), 1000000000);
    struct gal_cost batches = {0};
    gal_cost_observe(&batches, 16, 1600000);
    assert_int_equal(gal_cost_estimate_ns(&batches, 1), 100000);
    assert_int_equal(gal_cost_estimate_ns(&batches, 16), 1600000);
    assert_int_equal(gal_cost_estimate_ns(&batches, 32), 3200000);
}

static void between_two_known_sizes_lies_a_line(void **state)
{
    (void)state;
    struct gal_cost c = {0};
    gal_cost_observe(&c, 1, 100000);
    gal_cost_observe(&c, 32, 410000); /* 90000 + 10000 a row */
    assert_near(gal_cost_estimate_ns(&c, 2), 110000, 1);
    assert_near(gal_cost_estimate_ns(&c, 11), 200000, 1);
    assert_near(gal_cost_estimate_ns(&c, 64), 730000, 1);
    assert_near(gal_cost_estimate_ns(&c, 2048), 20570000, 10);
    assert_near(gal_cost_estimate_ns(&c, 4096), 41140000, 20); /* beyond the sizes: in proportion */
    assert_true(gal_cost_rate(&c, 32) > 78048.0 && gal_cost_rate(&c, 32) < 78049.0);
}

static void below_the_smallest_known_size_the_line_goes_on(void **state)
{
    (void)state;
    struct gal_cost c = {0};
    gal_cost_observe(&c, 8, 170000);
    gal_cost_observe(&c, 64, 730000);
    assert_near(gal_cost_estimate_ns(&c, 1), 100000, 1);
    /* But never below the rows' share: here the line would pass below nothing. */
    struct gal_cost steep = {0};
    gal_cost_observe(&steep, 8, 80000);
    gal_cost_observe(&steep, 64, 6400000);
    assert_int_equal(gal_cost_estimate_ns(&steep, 1), 10000);
}

static void a_size_beside_the_outermost_does_not_steer_the_line(void **state)
{
    (void)state;
    struct gal_cost c = {0};
    gal_cost_observe(&c, 1, 100000);
    gal_cost_observe(&c, 16, 250000);
    gal_cost_observe(&c, 32, 410000);
    /* From 1 to 32: 10000 a row; the neighbours 16 and 32 would say the same. */
    assert_near(gal_cost_estimate_ns(&c, 64), 730000, 1);
    struct gal_cost noisy = {0};
    gal_cost_observe(&noisy, 1, 100000);
    gal_cost_observe(&noisy, 16, 409000); /* noise */
    gal_cost_observe(&noisy, 32, 410000);
    assert_near(gal_cost_estimate_ns(&noisy, 64), 730000, 1);
}

static void any_number_of_rows_finds_the_whole_curve(void **state)
{
    (void)state;
    struct gal_cost c = {0};
    uint64_t seed = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        size_t rows = 1 + (size_t)(draw(&seed) % 100);
        gal_cost_observe(&c, rows, 200000 + 15000 * rows);
    }
    for (size_t rows = 1; rows <= 128; rows++) {
        uint64_t truth = 200000 + 15000 * rows;
        assert_near(gal_cost_estimate_ns(&c, rows), truth, truth / 50);
    }
}

static void more_rows_are_never_estimated_cheaper(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct gal_cost c = {0};
        uint64_t s = seed * 0x9E3779B97F4A7C15u;
        for (int i = 0; i < 60; i++) {
            gal_cost_observe(&c, (size_t)1 << (draw(&s) % 13), draw(&s) % 1000000);
            if (i % 10 == 9)
                assert_never_falls(&c);
        }
    }
}

static void what_is_not_run_any_more_follows_what_is(void **state)
{
    (void)state;
    struct gal_cost c = {0};
    for (int i = 0; i < 16; i++) {
        gal_cost_observe(&c, 1, 1000000); /* at a start on a busy machine */
        gal_cost_observe(&c, 64, 2000000);
    }
    for (int i = 0; i < 200; i++)
        gal_cost_observe(&c, 32, 400000);
    assert_true(gal_cost_estimate_ns(&c, 1) <= 401000);
    assert_near(gal_cost_estimate_ns(&c, 32), 400000, 500);
    assert_int_equal(gal_cost_estimate_ns(&c, 64), 2000000); /* nothing speaks against it */
    for (int i = 0; i < 200; i++)
        gal_cost_observe(&c, 32, 3000000);
    assert_true(gal_cost_estimate_ns(&c, 64) >= 2990000);
}

static void the_most_rows_within_a_time_agree_with_the_decision(void **state)
{
    (void)state;
    static const uint64_t bases[] = {0, 1, 7000, 100000, 199999, 200000, 200001, 100000000};
    static const uint64_t batches[] = {0, 1, 100000, 107000, 500000, 100000000};
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
        for (size_t k = 0; k < sizeof batches / sizeof *batches; k++) {
            struct gal_cost c = {0};
            gal_cost_observe(&c, 1, bases[i]);
            if (k > 0)
                gal_cost_observe(&c, 16, batches[k]);
            size_t most = gal_cost_rows_within(&c, 200, 400);
            for (size_t rows = 1; rows <= 400; rows++)
                assert_int_equal(rows <= most, gal_cost_is_inline(&c, rows, 200));
        }
    }
}

static void sizes_not_run_lately_are_hoped_to_be_cheap(void **state)
{
    (void)state;
    struct gal_cost c = {0};
    assert_int_equal(gal_cost_hope_ns(&c, 1), 0);
    gal_cost_observe(&c, 1, 100000);
    assert_int_equal(gal_cost_hope_ns(&c, 1), 100000);
    assert_int_equal(gal_cost_hope_ns(&c, 2), 100000); /* never run */
    assert_int_equal(gal_cost_hope_ns(&c, 3), 300000);
    gal_cost_observe(&c, 64, 9000000);
    assert_int_equal(gal_cost_hope_ns(&c, 64), 9000000);
    assert_int_equal(gal_cost_hope_ns(&c, 128), 9000000);
    for (unsigned i = 0; i < GAL_COST_FRESH; i++)
        gal_cost_observe(&c, 32, 900000);
    assert_int_equal(gal_cost_estimate_ns(&c, 64), 9000000);
    assert_int_equal(gal_cost_hope_ns(&c, 64),
                     gal_cost_estimate_ns(&c, 32)); /* may be better now */
    gal_cost_observe(&c, 64, 8000000);
    assert_true(gal_cost_hope_ns(&c, 64) > 8000000);
}

static void what_company_saves_a_row_is_known_as_long_as_it_is_tried(void **state)
{
    (void)state;
    struct gal_cost c = {0};
    assert_true(gal_cost_saved_ns(&c) == UINT64_MAX);
    gal_cost_observe(&c, 1, 100000);
    assert_true(gal_cost_saved_ns(&c) == UINT64_MAX); /* so try */
    gal_cost_observe(&c, 8, 320000);
    assert_near(gal_cost_saved_ns(&c), 60000, 1);
    for (unsigned i = 1; i < GAL_COST_FRESH; i++)
        gal_cost_observe(&c, 1, 100000);
    assert_near(gal_cost_saved_ns(&c), 60000, 1);
    gal_cost_observe(&c, 1, 100000);
    assert_true(gal_cost_saved_ns(&c) == UINT64_MAX);
    gal_cost_observe(&c, 2, 300000); /* dearer than two alone */
    assert_int_equal(gal_cost_saved_ns(&c), 0);
    for (unsigned i = 0; i < GAL_COST_FRESH; i++)
        gal_cost_observe(&c, 4, 5400000);
    assert_true(gal_cost_saved_ns(&c) == UINT64_MAX); /* what one costs was long ago */
    c = (struct gal_cost){0};
    gal_cost_observe(&c, 4, 5400000);
    assert_true(gal_cost_saved_ns(&c) == UINT64_MAX); /* or never: a share of four is no measure */
}

/* The thread was put off while it ran its first call of 8 rows: 4 ms in place of 54 us. Who then
 * runs what is within 200 us comes back to it. */
static void one_bad_moment_does_not_forbid_a_size_for_ever(void **state)
{
    (void)state;
    struct gal_cost c = {0};
    for (int i = 0; i < 10; i++)
        gal_cost_observe(&c, 1, 33000);
    gal_cost_observe(&c, 8, 4000000);
    assert_int_equal(gal_cost_rows_hoped(&c, 200, 64), 1);
    size_t rows = 1;
    for (int i = 0; i < 3000; i++) {
        rows = gal_cost_rows_hoped(&c, 200, 16);
        gal_cost_observe(&c, rows, 30000 + 3000 * rows);
    }
    assert_in_range(rows, 4, 16);
    for (int i = 0; i < 20000; i++) {
        rows = gal_cost_rows_hoped(&c, 200, 16);
        gal_cost_observe(&c, rows, 30000 + 3000 * rows);
    }
    assert_int_equal(rows, 16);
    assert_int_equal(gal_cost_rows_hoped(&c, 1, 16), 0); /* nothing to hope for */
}

static void a_steep_curve_does_not_drag_the_size_below_down(void **state)
{
    (void)state;
    struct gal_cost c = {0};
    gal_cost_observe(&c, 1, 33000);
    gal_cost_observe(&c, 4, 42000);
    gal_cost_observe(&c, 8, 700000);
    for (int i = 0; i < 1000; i++)
        gal_cost_observe(&c, 5, 45000);
    assert_in_range(gal_cost_estimate_ns(&c, 4), 35000, 45000);
    assert_in_range(gal_cost_estimate_ns(&c, 1), 20000, 45000);
    for (int i = 0; i < 1000; i++)
        gal_cost_observe(&c, 7, 51000);
    assert_in_range(gal_cost_estimate_ns(&c, 8), 51000, 60000);
}

static void nearly_every_call_stays_within_the_most(void **state)
{
    (void)state;
    struct gal_cost c = {0};
    assert_int_equal(gal_cost_most_us(&c, 1), 0);
    assert_int_equal(gal_cost_rows_within_most(&c, 1, 64), 64);
    uint64_t seed = 88172645463325252u;
    size_t within = 0;
    for (int i = 0; i < 10000; i++) {
        size_t rows = 1 + (size_t)(draw(&seed) % 64);
        uint64_t ns = (200000 + 15000 * rows) * (1000 + draw(&seed) % 500) / 1000;
        within += ns <= gal_cost_most_us(&c, rows) * 1000;
        gal_cost_observe(&c, rows, ns);
    }
    assert_in_range(within, 9800, 10000);
    uint64_t mean_us = (200000 + 15000 * 32) / 1000 * 5 / 4;
    assert_in_range(gal_cost_most_us(&c, 32), mean_us * 11 / 10, mean_us * 3 / 2);
    size_t most = gal_cost_rows_within_most(&c, mean_us, 64);
    assert_true(gal_cost_most_us(&c, most) <= mean_us);
    assert_true(gal_cost_most_us(&c, most + 1) > mean_us);
    assert_int_equal(gal_cost_rows_within_most(&c, 1, 64), 1);
}

static void the_largest_numbers_do_no_harm(void **state)
{
    (void)state;
    struct gal_cost c = {0};
    gal_cost_observe(&c, SIZE_MAX, UINT64_MAX);
    gal_cost_observe(&c, 0, UINT64_MAX);
    assert_true(gal_cost_estimate_ns(&c, SIZE_MAX) >= gal_cost_estimate_ns(&c, 1));
    assert_true(gal_cost_estimate_ns(&c, SIZE_MAX) <= 1000000000000000000u);
    assert_int_equal(gal_cost_rows_within(&c, UINT64_MAX, SIZE_MAX), SIZE_MAX);
    assert_never_falls(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_known_is_never_inline),
        cmocka_unit_test(the_first_samples_are_averaged_plainly),
        cmocka_unit_test(old_samples_fade),
        cmocka_unit_test(one_slow_run_moves_a_cheap_model_little),
        cmocka_unit_test(a_cost_below_the_clocks_grain_can_still_grow),
        cmocka_unit_test(one_known_size_tells_of_the_others_in_proportion),
        cmocka_unit_test(between_two_known_sizes_lies_a_line),
        cmocka_unit_test(below_the_smallest_known_size_the_line_goes_on),
        cmocka_unit_test(a_size_beside_the_outermost_does_not_steer_the_line),
        cmocka_unit_test(any_number_of_rows_finds_the_whole_curve),
        cmocka_unit_test(more_rows_are_never_estimated_cheaper),
        cmocka_unit_test(what_is_not_run_any_more_follows_what_is),
        cmocka_unit_test(the_most_rows_within_a_time_agree_with_the_decision),
        cmocka_unit_test(sizes_not_run_lately_are_hoped_to_be_cheap),
        cmocka_unit_test(what_company_saves_a_row_is_known_as_long_as_it_is_tried),
        cmocka_unit_test(one_bad_moment_does_not_forbid_a_size_for_ever),
        cmocka_unit_test(a_steep_curve_does_not_drag_the_size_below_down),
        cmocka_unit_test(nearly_every_call_stays_within_the_most),
        cmocka_unit_test(the_largest_numbers_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
