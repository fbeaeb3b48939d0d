/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sched/decide.h"

static void nothing_known_is_never_inline(void **state)
{
    (void)state;
    const struct gal_cost c = {0};
    assert_int_equal(gal_cost_estimate_us(&c, 1), 0);
    assert_false(gal_cost_is_inline(&c, 1, UINT64_MAX));
    assert_int_equal(gal_cost_inline_rows_max(&c, UINT64_MAX), 0);
}

static void the_first_samples_are_averaged_plainly(void **state)
{
    (void)state;
    struct gal_cost c = {0};
    gal_cost_observe(&c, 1, 100);
    assert_int_equal(gal_cost_estimate_us(&c, 1), 100);
    gal_cost_observe(&c, 1, 200);
    assert_int_equal(gal_cost_estimate_us(&c, 1), 150);
    gal_cost_observe(&c, 1, 300);
    assert_int_equal(gal_cost_estimate_us(&c, 1), 200);
}

static void old_samples_fade(void **state)
{
    (void)state;
    struct gal_cost c = {0};
    for (int i = 0; i < 1000; i++)
        gal_cost_observe(&c, 1, 100);
    for (int i = 0; i < 16; i++)
        gal_cost_observe(&c, 1, 200);
    /* 100 + 100 * (1 - (15/16)^16) = 164.4 */
    assert_int_equal(gal_cost_estimate_us(&c, 1), 164);
    for (int i = 0; i < 200; i++)
        gal_cost_observe(&c, 1, 200);
    assert_true(gal_cost_estimate_us(&c, 1) >= 199);
}

static void one_slow_run_moves_a_cheap_model_little(void **state)
{
    (void)state;
    struct gal_cost c = {0};
    for (int i = 0; i < 100; i++)
        gal_cost_observe(&c, 1, 10);
    gal_cost_observe(&c, 1, 1000000);
    assert_true(gal_cost_estimate_us(&c, 1) <= 15);
    /* A model that has become dear is known as such soon. */
    for (int i = 0; i < 20; i++)
        gal_cost_observe(&c, 1, 1000000);
    assert_true(gal_cost_estimate_us(&c, 1) > 1000);
}

static void a_cost_below_the_clocks_grain_can_still_grow(void **state)
{
    (void)state;
    struct gal_cost c = {0};
    for (int i = 0; i < 100; i++)
        gal_cost_observe(&c, 1, 0);
    assert_int_equal(gal_cost_estimate_us(&c, 1), 1);
    for (int i = 0; i < 1000; i++)
        gal_cost_observe(&c, 1, 50);
    assert_true(gal_cost_estimate_us(&c, 1) >= 49);
}

static void further_rows_cost_what_batches_showed(void **state)
{
    (void)state;
    struct gal_cost c = {0};
    gal_cost_observe(&c, 1, 100);
    assert_int_equal(gal_cost_estimate_us(&c, 10), 1000); /* unmeasured: as dear as the first */
    gal_cost_observe(&c, 11, 150);
    assert_int_equal(gal_cost_estimate_us(&c, 11), 150);
    assert_int_equal(gal_cost_estimate_us(&c, 21), 200);
    gal_cost_observe(&c, 11, 50); /* cheaper than one row: clamped to nothing a row */
    assert_int_equal(gal_cost_estimate_us(&c, 11), 125);
}

static void batches_alone_tell_the_cost_too(void **state)
{
    (void)state;
    struct gal_cost c = {0};
    gal_cost_observe(&c, 10, 1000);
    assert_int_equal(gal_cost_estimate_us(&c, 1), 100);
    assert_int_equal(gal_cost_estimate_us(&c, 10), 1000);
}

static void the_most_inline_rows_agree_with_the_decision(void **state)
{
    (void)state;
    static const uint64_t bases[] = {0, 1, 7, 100, 199, 200, 201, 100000};
    static const uint64_t batches[] = {0, 1, 100, 107, 500, 100000};
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
        for (size_t k = 0; k < sizeof batches / sizeof *batches; k++) {
            struct gal_cost c = {0};
            gal_cost_observe(&c, 1, bases[i]);
            if (k > 0)
                gal_cost_observe(&c, 16, batches[k]);
            size_t most = gal_cost_inline_rows_max(&c, 200);
            for (size_t rows = 1; rows < 500; rows++)
                assert_int_equal(rows <= most, gal_cost_is_inline(&c, rows, 200));
        }
    }
}

static void a_deadline_is_late_from_its_own_microsecond_on(void **state)
{
    (void)state;
    assert_false(gal_job_is_late(0, UINT64_MAX));
    assert_false(gal_job_is_late(100, 99));
    assert_true(gal_job_is_late(100, 100));
    assert_true(gal_job_is_late(100, 101));
}

static void a_worker_is_wanted_when_more_wait_than_are_idle(void **state)
{
    (void)state;
    assert_true(gal_workers_want_one(1, 0, 0, 1));
    assert_false(gal_workers_want_one(1, 0, 1, 1)); /* all are there */
    assert_false(gal_workers_want_one(1, 1, 1, 4)); /* one will take it */
    assert_true(gal_workers_want_one(2, 1, 1, 4));
    assert_false(gal_workers_want_one(0, 0, 0, 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_known_is_never_inline),
        cmocka_unit_test(the_first_samples_are_averaged_plainly),
        cmocka_unit_test(old_samples_fade),
        cmocka_unit_test(one_slow_run_moves_a_cheap_model_little),
        cmocka_unit_test(a_cost_below_the_clocks_grain_can_still_grow),
        cmocka_unit_test(further_rows_cost_what_batches_showed),
        cmocka_unit_test(batches_alone_tell_the_cost_too),
        cmocka_unit_test(the_most_inline_rows_agree_with_the_decision),
        cmocka_unit_test(a_deadline_is_late_from_its_own_microsecond_on),
        cmocka_unit_test(a_worker_is_wanted_when_more_wait_than_are_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
