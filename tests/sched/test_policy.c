/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "sched/policy.h"

static struct gal_policy untold(void)
{
    struct gal_policy p;
    gal_policy_init(&p);
    return p;
}

static void assert_fine(const struct gal_policy *p)
{
    struct gal_err err = {0};
    assert_int_equal(gal_policy_check(p, &err), GAL_OK);
    assert_string_equal(err.message, "");
}

static void assert_wrong(const struct gal_policy *p, const char *place, const char *hint)
{
    struct gal_err err = {0};
    assert_int_equal(gal_policy_check(p, &err), GAL_INVALID);
    assert_int_equal(err.code, GAL_INVALID);
    assert_string_equal(err.place, place);
    assert_string_equal(err.hint, hint);
    assert_int_equal(gal_policy_check(p, NULL), GAL_INVALID);
}

static void untold_a_model_batches_without_delay(void **state)
{
    (void)state;
    struct gal_policy p = untold();
    assert_fine(&p);
    assert_int_equal(p.rows_max, GAL_BATCH_ROWS_MAX);
    assert_int_equal(p.delay_us_max, 0);
    assert_int_equal(p.preferred_count, 0);
    assert_int_equal(p.levels, 1);
    assert_int_equal(p.default_level, 1);
    assert_int_equal(p.jobs_max, GAL_QUEUE_MAX);
    assert_int_equal(p.bytes_max, GAL_QUEUE_BYTES_MAX);
    assert_true(p.level[0].override);
    assert_int_equal(p.level[0].timeout_us, 0);
    assert_int_equal(p.level[0].action, GAL_TIMEOUT_REJECT);
}

static void a_field_out_of_bounds_is_named_with_its_bounds(void **state)
{
    (void)state;
    struct gal_policy p = untold();
    p.rows_max = 0;
    assert_wrong(&p, "rows_max", "1 to 1048576");
    p = untold();
    p.preferred_count = GAL_PREFERRED_MAX + 1;
    assert_wrong(&p, "preferred_count", "0 to 16");
    p = untold();
    p.delay_us_max = GAL_DELAY_US_MOST + 1;
    assert_wrong(&p, "delay_us_max", "0 to 60000000");
    p = untold();
    p.levels = 0;
    assert_wrong(&p, "levels", "1 to 32");
    p = untold();
    p.levels = 3;
    p.default_level = 4;
    assert_wrong(&p, "default_level", "1 to 3");
    p = untold();
    p.jobs_max = 0;
    assert_wrong(&p, "jobs_max", "1 to 1048576");
    p = untold();
    p.bytes_max = 0;
    assert_wrong(&p, "bytes_max", "1 to 18446744073709551615");
    p = untold();
    p.target_us = GAL_TIMEOUT_US_MOST + 1;
    assert_wrong(&p, "target_us", "0 to 86400000000");
}

static void a_levels_field_is_named_with_its_level(void **state)
{
    (void)state;
    struct gal_policy p = untold();
    p.levels = 2;
    p.level[1].timeout_us = GAL_TIMEOUT_US_MOST + 1;
    assert_wrong(&p, "level[2].timeout_us", "0 to 86400000000");
    p.levels = 1; /* the second is not one any more */
    assert_fine(&p);
    p.level[0].jobs_max = GAL_QUEUE_JOBS_MOST + 1;
    assert_wrong(&p, "level[1].jobs_max", "0 to 1048576");
}

static void preferred_sizes_ascend_within_the_largest_batch(void **state)
{
    (void)state;
    struct gal_policy p = untold();
    p.rows_max = 32;
    p.preferred_count = 3;
    p.preferred[0] = 8;
    p.preferred[1] = 16;
    p.preferred[2] = 32;
    assert_fine(&p);
    p.preferred[2] = 33;
    assert_wrong(&p, "preferred[2]", "sizes from 1 to 32, ascending, each once");
    p.preferred[2] = 16;
    assert_wrong(&p, "preferred[2]", "sizes from 1 to 32, ascending, each once");
    p.preferred[0] = 0;
    assert_wrong(&p, "preferred[0]", "sizes from 1 to 32, ascending, each once");
}

static void a_delay_that_eats_the_target_contradicts_it(void **state)
{
    (void)state;
    struct gal_policy p = untold();
    p.target_us = 20000;
    assert_fine(&p);
    p.delay_us_max = 19999;
    assert_fine(&p);
    p.delay_us_max = 20000;
    assert_wrong(
        &p, "delay_us_max",
        "a latency target adds no delay: leave it out, or make it shorter than the target");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(untold_a_model_batches_without_delay),
        cmocka_unit_test(a_field_out_of_bounds_is_named_with_its_bounds),
        cmocka_unit_test(a_levels_field_is_named_with_its_level),
        cmocka_unit_test(preferred_sizes_ascend_within_the_largest_batch),
        cmocka_unit_test(a_delay_that_eats_the_target_contradicts_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
