/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sched/decide.h"

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

static void a_wait_ends_with_the_deadline_or_the_timeout_of_the_level(void **state)
{
    (void)state;
    struct gal_policy p;
    struct gal_entry e = {0};
    gal_policy_init(&p);
    assert_int_equal(gal_wait_ends_us(&p, &e, 1000), 0);
    e.deadline_us = 5000;
    assert_int_equal(gal_wait_ends_us(&p, &e, 1000), 5000);
    p.levels = 2;
    p.default_level = 2;
    p.level[1].timeout_us = 300;
    p.level[1].override = false;
    assert_int_equal(gal_wait_ends_us(&p, &e, 1000), 1300);
    e.timeout_us = 200;
    assert_int_equal(gal_wait_ends_us(&p, &e, 1000), 1300);
    p.level[1].override = true;
    assert_int_equal(gal_wait_ends_us(&p, &e, 1000), 1200);
    e.timeout_us = 400; /* shortens, never lengthens */
    assert_int_equal(gal_wait_ends_us(&p, &e, 1000), 1300);
    p.level[1].timeout_us = 0;
    e.deadline_us = 0;
    e.timeout_us = UINT64_MAX; /* longer than time itself */
    assert_true(gal_wait_ends_us(&p, &e, 1000) == UINT64_MAX);
    p.level[1].timeout_us = 300;
    e.deadline_us = 5000;
    p.level[1].action = GAL_TIMEOUT_DELAY;
    assert_int_equal(gal_wait_ends_us(&p, &e, 1000), 5000);
    e.level = 9; /* beyond the levels: the last */
    p.level[1].action = GAL_TIMEOUT_REJECT;
    assert_int_equal(gal_wait_ends_us(&p, &e, 1000), 1300);
}

static void as_many_workers_wake_as_there_are_calls_to_make(void **state)
{
    (void)state;
    assert_int_equal(gal_workers_to_wake(0, 8, 4), 0);
    assert_int_equal(gal_workers_to_wake(1, 8, 4), 1);
    assert_int_equal(gal_workers_to_wake(9, 8, 4), 2);
    assert_int_equal(gal_workers_to_wake(100, 8, 4), 4);
    assert_int_equal(gal_workers_to_wake(3, 1, 4), 3);
    assert_int_equal(gal_workers_to_wake(3, 8, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deadline_is_late_from_its_own_microsecond_on),
        cmocka_unit_test(a_worker_is_wanted_when_more_wait_than_are_idle),
        cmocka_unit_test(a_wait_ends_with_the_deadline_or_the_timeout_of_the_level),
        cmocka_unit_test(as_many_workers_wake_as_there_are_calls_to_make),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
