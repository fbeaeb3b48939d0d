/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sched/goal.h"

/* base_us + row_us a row, known at 1 and 64 rows. */
static struct gal_cost line(uint64_t base_us, uint64_t row_us)
{
    struct gal_cost c = {0};
    gal_cost_observe(&c, 1, (base_us + row_us) * 1000);
    gal_cost_observe(&c, 64, (base_us + 64 * row_us) * 1000);
    c.spread = 0.0;
    return c;
}

/* A goal that has seen so many rows a second for a second. */
static struct gal_goal at_rate(uint64_t target_us, uint64_t rows_a_second)
{
    struct gal_goal g;
    gal_goal_init(&g, target_us);
    for (uint64_t i = 0; i <= 100; i++)
        gal_goal_on_arrival(&g, rows_a_second / 100, 1000000 + i * 10000);
    return g;
}

static struct gal_goal_plan plan(const struct gal_goal *g, const struct gal_cost *c,
                                 unsigned workers, size_t rows_max, uint64_t delay_us_max)
{
    struct gal_policy p;
    gal_policy_init(&p);
    p.rows_max = rows_max;
    p.delay_us_max = delay_us_max;
    return gal_goal_plan(g, c, workers, &p);
}

static void without_a_goal_nothing_is_bounded_or_shed(void **state)
{
    (void)state;
    struct gal_cost c = line(210, 18);
    struct gal_goal g = at_rate(0, 1000);
    struct gal_goal_plan p = plan(&g, &c, 1, 64, 700);
    assert_int_equal(p.rows_max, 64);
    assert_int_equal(p.delay_us, 700);
    const struct gal_goal_view v = {
        .rows = 1, .rows_ahead = 1000000, .rows_max = 64, .running = 1, .workers = 1};
    assert_false(gal_goal_sheds(&g, &c, &v));
}

static void with_nothing_measured_nothing_is_bounded_or_shed(void **state)
{
    (void)state;
    const struct gal_cost c = {0};
    struct gal_goal g = at_rate(1000, 1000);
    struct gal_goal_plan p = plan(&g, &c, 1, 64, 700);
    assert_int_equal(p.rows_max, 64);
    assert_int_equal(p.delay_us, 700);
    const struct gal_goal_view v = {
        .rows = 1, .rows_ahead = 1000000, .rows_max = 64, .running = 1, .workers = 1};
    assert_int_equal(gal_goal_predict_us(&c, &v), 0);
    assert_false(gal_goal_sheds(&g, &c, &v));
}

static void the_arrival_rate_is_measured_and_follows(void **state)
{
    (void)state;
    struct gal_goal g = at_rate(1000, 5000);
    assert_true(g.rate > 4900.0 && g.rate < 5100.0);
    for (uint64_t i = 0; i <= 100; i++)
        gal_goal_on_arrival(&g, 200, 2010000 + i * 10000);
    assert_true(g.rate > 19000.0 && g.rate < 20500.0);
    gal_goal_on_arrival(&g, 1, 60000000); /* nothing for a minute */
    assert_true(g.rate < 100.0);
}

static void a_call_may_take_half_the_target(void **state)
{
    (void)state;
    struct gal_cost c = line(200, 20);
    struct gal_goal g = at_rate(100000, 1000);
    assert_int_equal(plan(&g, &c, 1, 64, 0).rows_max, 64);
    g = at_rate(2000, 1000);
    assert_int_equal(plan(&g, &c, 1, 64, 0).rows_max, 40);
    g.margin = 0.5;
    assert_int_equal(plan(&g, &c, 1, 64, 0).rows_max, 15);
}

static void a_tight_target_chooses_what_serves_most_in_time(void **state)
{
    (void)state;
    struct gal_cost c = line(1000, 5); /* half of the target serves nothing at all */
    struct gal_goal g = at_rate(1500, 40000);
    size_t rows = plan(&g, &c, 1, 64, 0).rows_max;
    /* In time is who comes in the last 1500 - (1000 + 5 n) us of a call: 40 rows a millisecond. */
    assert_in_range(rows, 14, 22);
    g = at_rate(500, 40000); /* not even one call: there is no best */
    assert_int_equal(plan(&g, &c, 1, 64, 0).rows_max, 1);
}

static void a_delay_is_the_users_and_cut_to_what_calls_leave(void **state)
{
    (void)state;
    struct gal_cost c = line(200, 20);
    struct gal_goal g = at_rate(20000, 20000);
    assert_int_equal(plan(&g, &c, 1, 64, 0).delay_us, 0);
    assert_int_equal(plan(&g, &c, 1, 64, 1000).delay_us, 1000);
    /* 200 rows would come within 10 ms; two calls of 64 are 2960 us and two of rounding. */
    g = at_rate(10000, 20000);
    assert_int_equal(plan(&g, &c, 1, 64, 9000).delay_us, 10000 - 2962);
    g = at_rate(2000, 20000);
    assert_int_equal(plan(&g, &c, 1, 64, 1900).delay_us, 2000 - 2 * (200 + 20 * 39 + 1));
    g = at_rate(400, 20000); /* not even a call and the rest of one */
    assert_int_equal(plan(&g, &c, 1, 64, 300).delay_us, 0);
}

static void the_end_is_predicted_from_the_line_and_the_calls(void **state)
{
    (void)state;
    struct gal_cost c = line(200, 20);
    struct gal_goal_view v = {.rows = 1, .rows_max = 10, .workers = 1};
    assert_in_range(gal_goal_predict_us(&c, &v), 220, 222);
    v.running = 1;
    v.rest_us = 300;
    assert_in_range(gal_goal_predict_us(&c, &v), 520, 522);
    v.rows_ahead = 9; /* its own call is full */
    assert_in_range(gal_goal_predict_us(&c, &v), 700, 702);
    v.rows_ahead = 25; /* two calls before it */
    assert_in_range(gal_goal_predict_us(&c, &v), 300 + 800 + 320, 300 + 800 + 322);
    v.workers = v.running = 4; /* the first of four ends sooner, and they share the work */
    assert_in_range(gal_goal_predict_us(&c, &v), 120 + 200 + 320, 120 + 200 + 322);
    v.running = 0;
    assert_in_range(gal_goal_predict_us(&c, &v), 320, 322);
    v.rows_ahead = 0;
    v.rows = 30; /* alone */
    assert_in_range(gal_goal_predict_us(&c, &v), 800, 802);
    v.rows = 1;
    v.delay_us = 1000;
    c.spread = 0.1;
    assert_in_range(gal_goal_predict_us(&c, &v), 1264, 1266); /* and twice a tenth of the call */
}

static void who_would_be_late_is_shed_unless_it_begins_at_once(void **state)
{
    (void)state;
    struct gal_cost c = line(200, 20);
    struct gal_goal g;
    gal_goal_init(&g, 1000);
    struct gal_goal_view v = {
        .rows = 1, .rows_ahead = 9, .rows_max = 10, .running = 1, .workers = 1, .rest_us = 590};
    assert_false(gal_goal_sheds(&g, &c, &v)); /* 991 */
    v.rest_us = 610;
    assert_true(gal_goal_sheds(&g, &c, &v));
    /* Those beside it have waited for 300 us on average: their 991 would be too late for them. */
    v.rest_us = 590;
    v.oldest_us = 600;
    assert_true(gal_goal_sheds(&g, &c, &v));
    v.rows_ahead = 10; /* its call is its own */
    v.rest_us = 300;
    assert_false(gal_goal_sheds(&g, &c, &v));
    gal_goal_init(&g, 100); /* below any call */
    assert_true(gal_goal_sheds(&g, &c, &v));
    v.rows_ahead = 0;
    assert_true(gal_goal_sheds(&g, &c, &v));
    v.running = 0;
    assert_false(gal_goal_sheds(&g, &c, &v));
}

static void answers_over_the_target_shrink_the_margin_and_good_ones_restore_it(void **state)
{
    (void)state;
    struct gal_goal g;
    uint64_t now = 1000000;
    gal_goal_init(&g, 1000);
    assert_true(g.margin == 1.0);
    for (int i = 0; i < 500; i++)
        gal_goal_on_answer(&g, 1000, now += 10); /* within */
    assert_true(g.margin == 1.0);
    for (int i = 0; i < 500; i++)
        gal_goal_on_answer(&g, i % 100 ? 500 : 1001, now += 10); /* 1 % over */
    assert_true(g.margin < 0.96);
    for (int i = 0; i < 500 * 50; i++)
        gal_goal_on_answer(&g, i % 10 ? 500 : 1001, now += 10); /* never below its bound */
    assert_true(g.margin >= 0.4 && g.margin < 0.41);
    for (int i = 0; i < 500 * 130; i++)
        gal_goal_on_answer(&g, 500, now += 10);
    assert_true(g.margin == 1.0);
    /* Few answers are judged once a second, very few not at all. */
    for (int i = 0; i < 30; i++)
        gal_goal_on_answer(&g, 2000, now += 100000);
    assert_true(g.margin < 1.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_goal_nothing_is_bounded_or_shed),
        cmocka_unit_test(with_nothing_measured_nothing_is_bounded_or_shed),
        cmocka_unit_test(the_arrival_rate_is_measured_and_follows),
        cmocka_unit_test(a_call_may_take_half_the_target),
        cmocka_unit_test(a_tight_target_chooses_what_serves_most_in_time),
        cmocka_unit_test(a_delay_is_the_users_and_cut_to_what_calls_leave),
        cmocka_unit_test(the_end_is_predicted_from_the_line_and_the_calls),
        cmocka_unit_test(who_would_be_late_is_shed_unless_it_begins_at_once),
        cmocka_unit_test(answers_over_the_target_shrink_the_margin_and_good_ones_restore_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
