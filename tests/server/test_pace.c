/* SPDX-License-Identifier: Apache-2.0 */
/* The pace of refusing, over a clock of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/pace.h"

#define START_US 5000000u

static void one_refusal_now_and_then_costs_no_pause(void **state)
{
    (void)state;
    struct gal_pace p = {0};
    for (uint64_t now_us = START_US; now_us < START_US + 10000000; now_us += 2000)
        assert_int_equal(gal_pace_refused(&p, now_us, 25), 0);
}

/* The credit. */
static void use_up(struct gal_pace *p, uint64_t now_us)
{
    assert_int_equal(gal_pace_refused(p, now_us, GAL_PACE_CREDIT_US / GAL_PACE_SHARE), 0);
}

static void a_burst_behind_a_quiet_time_costs_no_pause(void **state)
{
    (void)state;
    struct gal_pace p = {0};
    uint64_t now_us = START_US;
    for (int burst = 0; burst < 2; burst++, now_us += GAL_PACE_CREDIT_US - 1) {
        for (unsigned i = 0; i < GAL_PACE_CREDIT_US / GAL_PACE_SHARE / 10; i++)
            assert_int_equal(gal_pace_refused(&p, now_us, 10), 0);
    }
    now_us -= GAL_PACE_CREDIT_US - 1; /* behind the second there is no credit */
    assert_int_equal(gal_pace_refused(&p, now_us, 100), 100 * GAL_PACE_SHARE + 1);
}

/* Many connections send again as soon as they may; each refusal costs loop time, during which the
 * clock goes on. */
static void flood(unsigned connections, uint64_t cost_us, uint64_t *spent_us, uint64_t *longest_us)
{
    static uint64_t wake_us[20000];
    struct gal_pace p = {0};
    const uint64_t end_us = START_US + 20000000;
    uint64_t now_us = START_US, last_us = 0;
    *spent_us = *longest_us = 0;
    for (unsigned i = 0; i < connections; i++)
        wake_us[i] = START_US;
    /* Pauses end in the order in which they were given, so the connections take turns. */
    for (unsigned i = 0; now_us < end_us; i = (i + 1) % connections) {
        if (wake_us[i] > now_us)
            now_us = wake_us[i];
        now_us += cost_us;
        *spent_us += cost_us;
        uint64_t pause_us = gal_pace_refused(&p, now_us, cost_us);
        *longest_us = pause_us > *longest_us ? pause_us : *longest_us;
        wake_us[i] = now_us + pause_us;
        if (pause_us > 0)
            assert_true(wake_us[i] >= last_us);
        last_us = pause_us > 0 ? wake_us[i] : last_us;
    }
}

static void refusing_takes_its_share_and_no_more(void **state)
{
    (void)state;
    static const unsigned connections[] = {1, 2, 64, 1000};
    for (size_t i = 0; i < sizeof connections / sizeof *connections; i++) {
        uint64_t spent_us, longest_us;
        flood(connections[i], 25, &spent_us, &longest_us);
        if (spent_us > 20000000 / GAL_PACE_SHARE * 11 / 10)
            fail_msg("%u connections: %llu us of 20 s", connections[i],
                     (unsigned long long)spent_us);
        assert_true(longest_us <= GAL_PACE_PAUSE_US_MAX);
    }
}

static void more_connections_than_a_pause_can_hold_back_cost_what_they_must(void **state)
{
    (void)state;
    uint64_t spent_us, longest_us;
    flood(10000, 25, &spent_us, &longest_us);
    assert_int_equal(longest_us, GAL_PACE_PAUSE_US_MAX);
    assert_true(spent_us < 20000000 / 3); /* each once a second: a quarter of it */
}

static void calm_ends_all_pauses(void **state)
{
    (void)state;
    struct gal_pace p = {0};
    uint64_t pause_us = 0;
    for (unsigned i = 0; i < 5000; i++)
        pause_us = gal_pace_refused(&p, START_US, 100);
    assert_int_equal(pause_us, GAL_PACE_PAUSE_US_MAX);
    assert_int_equal(gal_pace_calm_us(&p), START_US + GAL_PACE_CALM_US);
    assert_int_equal(gal_pace_refused(&p, START_US + GAL_PACE_CALM_US - 1, 10),
                     GAL_PACE_PAUSE_US_MAX - GAL_PACE_CALM_US + 1 + 10 * GAL_PACE_SHARE);
    assert_int_equal(gal_pace_refused(&p, START_US + 2 * GAL_PACE_CALM_US, 10), 0);
}

static void a_pause_is_the_cost_by_the_share(void **state)
{
    (void)state;
    struct gal_pace p = {0};
    use_up(&p, START_US);
    assert_int_equal(gal_pace_refused(&p, START_US, 200), 200 * GAL_PACE_SHARE);
    assert_int_equal(gal_pace_refused(&p, START_US, 200), 400 * GAL_PACE_SHARE);
    assert_int_equal(gal_pace_refused(&p, START_US + 4000, 100), 500 * GAL_PACE_SHARE - 4000);
    p = (struct gal_pace){0};
    assert_int_equal(gal_pace_refused(&p, START_US, UINT64_MAX), GAL_PACE_PAUSE_US_MAX);
}

static void a_body_that_was_read_for_nothing_costs(void **state)
{
    (void)state;
    assert_int_equal(gal_pace_cost(7, 100), gal_pace_cost(7, 0));
    assert_int_equal(gal_pace_cost(7, 64u << 20), gal_pace_cost(7, 0) + 65536);
    assert_true(gal_pace_cost(0, 0) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_refusal_now_and_then_costs_no_pause),
        cmocka_unit_test(a_burst_behind_a_quiet_time_costs_no_pause),
        cmocka_unit_test(refusing_takes_its_share_and_no_more),
        cmocka_unit_test(more_connections_than_a_pause_can_hold_back_cost_what_they_must),
        cmocka_unit_test(calm_ends_all_pauses),
        cmocka_unit_test(a_pause_is_the_cost_by_the_share),
        cmocka_unit_test(a_body_that_was_read_for_nothing_costs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
