/* SPDX-License-Identifier: Apache-2.0 */
/* A model that is asked alone by the one loop of one core: it runs there, whatever a call costs up
 * to a bound, and is turned away there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sched/crew.h"

#define SECOND UINT64_C(1000000)

static void open_alone(struct crew *c, size_t count, enum gal_sched_mode mode)
{
    c->options.mode = mode;
    c->options.one_core = true;
    crew_open(c, count);
    gal_sched_observe(c->sched, 1, 1000000); /* 1 ms a row: a worker's, else */
    assert_false(gal_sched_is_inline(c->sched, 1));
}

static void on_one_core_a_model_that_is_asked_alone_runs_on_its_loop(void **state)
{
    (void)state;
    struct crew *c = crew_new(1);
    open_alone(c, 8, GAL_SCHED_AUTO);
    crew_send(c, 0, 8); /* done at once: 5 rows are 5 ms, GAL_ALONE_US_MAX */
    crew_expect_all(c, GAL_OK);
    crew_expect_call(c, 0, 0, 5);
    crew_expect_call(c, 1, 5, 3);
    crew_close(c);
}

static void it_goes_back_to_workers_while_another_is_asked(void **state)
{
    (void)state;
    static struct toy other;
    struct crew *c = crew_new(1);
    struct gal_sched_options o = toy_options(&other, GAL_SCHED_AUTO);
    struct gal_sched *s;
    open_alone(c, 5, GAL_SCHED_AUTO);
    o.one_core = true;
    s = toy_start(&o);
    gal_sched_observe(s, 1, 1000); /* a cheap one */
    c->works[1].sched = s;
    crew_send(c, 0, 2);
    crew_expect(c, 0, GAL_OK);
    crew_expect(c, 1, GAL_OK);
    toy_gate_close(&c->toy, 0);
    for (size_t i = 2; i < 4; i++) {
        crew_send(c, i, 1); /* would hang at the gate here */
        toy_now_us += SECOND / 2 - 1;
    }
    toy_gate_open(&c->toy);
    crew_finish(c);
    crew_expect(c, 3, GAL_OK);
    toy_now_us += 2;
    crew_send(c, 4, 1); /* a second after the other's */
    crew_expect(c, 4, GAL_OK);
    work_give_back(&c->works[1]);
    crew_close(c);
    gal_sched_free(s);
}

static void with_a_goal_the_loop_makes_shorter_calls_and_sheds_what_waited(void **state)
{
    (void)state;
    struct crew *c = crew_new(1);
    c->options.policy.target_us = 9000;
    open_alone(c, 5, GAL_SCHED_AUTO);
    toy_now_us += 100000;
    for (size_t i = 0; i < 5; i++)
        c->works[i].job.arrived_us = toy_now_us - (i == 4 ? 4501 : 4500);
    crew_send(c, 0, 5); /* 3 rows are 3 ms, a third of the goal; writing takes half of that */
    for (size_t i = 0; i < 4; i++)
        crew_expect(c, i, GAL_OK);
    crew_expect(c, 4, GAL_OVERLOADED);
    assert_non_null(strstr(c->works[4].job.err.message, "latency target"));
    crew_expect_call(c, 0, 0, 3);
    crew_expect_call(c, 1, 3, 1);
    crew_close(c);
}

/* Rows that each cost less than inline_limit, whose call does not. */
static struct crew *open_cheap_rows(uint64_t target_us, size_t count)
{
    struct crew *c = crew_new(1);
    c->options.mode = GAL_SCHED_AUTO;
    c->options.one_core = true;
    c->options.policy.target_us = target_us;
    crew_open(c, count);
    gal_sched_observe(c->sched, 1, 100000);
    gal_sched_observe(c->sched, 8, 800000);
    assert_true(gal_sched_is_inline(c->sched, 1) && !gal_sched_is_inline(c->sched, 8));
    toy_now_us += 100000;
    for (size_t i = 0; i < count; i++)
        c->works[i].job.arrived_us = toy_now_us;
    return c;
}

static void what_waited_for_the_turn_before_is_shed_too_but_for_the_first(void **state)
{
    (void)state;
    struct crew *c = open_cheap_rows(6000, 6); /* calls of up to 2 ms */
    c->works[0].job.waited_us = 1000000;
    c->works[1].job.waited_us = 5700; /* and 0.2 ms of a call, with the first, and 0.1 */
    c->works[2].job.waited_us = 5551; /* and 0.45 */
    c->works[3].job.waited_us = 5550;
    c->works[4].job.waited_us = 0;
    c->works[5].job.waited_us = 1000000;
    crew_send(c, 0, 5);
    crew_expect(c, 0, GAL_OK);
    crew_expect(c, 1, GAL_OK);
    crew_expect(c, 2, GAL_OVERLOADED);
    crew_expect(c, 3, GAL_OK);
    crew_expect(c, 4, GAL_OK);
    crew_expect_call(c, 0, 0, 4);
    c->works[5].job.arrived_us = ++toy_now_us;
    crew_send(c, 5, 1); /* begins another turn */
    crew_expect(c, 5, GAL_OK);
    crew_close(c);
}

static void a_wait_that_stands_is_cut(void **state)
{
    (void)state;
    enum { TURNS = 40, STEP_US = 10000 };
    struct crew *c = open_cheap_rows(30000, 2 * TURNS); /* calls of up to 5 ms */
    for (size_t turn = 0; turn < TURNS; turn++, toy_now_us += STEP_US) {
        bool waits = turn < 20, stands = turn >= 5;
        for (size_t i = 2 * turn; i < 2 * turn + 2; i++) {
            c->works[i].job.arrived_us = toy_now_us;
            c->works[i].job.waited_us = waits ? 16000 : 0;
        }
        if (turn == 35)
            c->works[2 * turn + 1].job.waited_us = 16000; /* a burst's, again */
        crew_send(c, 2 * turn, 2);
        crew_expect(c, 2 * turn, GAL_OK);
        crew_expect(c, 2 * turn + 1, stands && waits ? GAL_OVERLOADED : GAL_OK);
    }
    crew_close(c);
}

static void one_long_wait_does_not_stand(void **state)
{
    (void)state;
    struct crew *c = open_cheap_rows(30000, 6);
    static const uint64_t step_us[] = {0, 60000, 1000}, waited[] = {16000, 0, 16000};
    for (size_t turn = 0; turn < 3; turn++) {
        toy_now_us += step_us[turn];
        for (size_t i = 2 * turn; i < 2 * turn + 2; i++) {
            c->works[i].job.arrived_us = toy_now_us;
            c->works[i].job.waited_us = waited[turn];
        }
        crew_send(c, 2 * turn, 2);
    }
    crew_expect_all(c, GAL_OK);
    crew_close(c);
}

static void calls_ahead_in_the_turn_count(void **state)
{
    (void)state;
    struct crew *c = crew_new(1);
    c->options.policy.target_us = 20000;
    open_alone(c, 20, GAL_SCHED_AUTO); /* 5 rows are 5 ms */
    toy_now_us += 100000;
    for (size_t i = 0; i < 20; i++)
        c->works[i].job.arrived_us = toy_now_us;
    crew_send(c, 0, 20);
    for (size_t i = 0; i < 20; i++) /* 15 ms, and 3 rows' and half of that again; 4 are beyond */
        crew_expect(c, i, i < 18 ? GAL_OK : GAL_OVERLOADED);
    crew_close(c);
}

static void a_call_that_is_dear_or_wants_a_queue_is_never_the_loops(void **state)
{
    (void)state;
    for (int how = 0; how < 5; how++) {
        struct crew *c = crew_new(1);
        c->options.policy.keep_order = how == 1;
        c->options.policy.levels = how == 2 ? 2 : 1;
        c->options.policy.target_us = how == 3 ? 2000 : 0; /* a third of it is less than a row */
        open_alone(c, 1, how == 4 ? GAL_SCHED_WORKERS : GAL_SCHED_AUTO);
        for (int i = 0; how == 0 && i < 40; i++)
            gal_sched_observe(c->sched, 1, 2000ul * GAL_ALONE_US_MAX);
        toy_gate_close(&c->toy, 0);
        crew_send(c, 0, 1);
        assert_int_equal(c->works[0].done, 0);
        toy_gate_open(&c->toy);
        crew_finish(c);
        crew_expect_all(c, GAL_OK);
        crew_close(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_one_core_a_model_that_is_asked_alone_runs_on_its_loop),
        cmocka_unit_test(with_a_goal_the_loop_makes_shorter_calls_and_sheds_what_waited),
        cmocka_unit_test(what_waited_for_the_turn_before_is_shed_too_but_for_the_first),
        cmocka_unit_test(a_wait_that_stands_is_cut),
        cmocka_unit_test(one_long_wait_does_not_stand),
        cmocka_unit_test(calls_ahead_in_the_turn_count),
        cmocka_unit_test(it_goes_back_to_workers_while_another_is_asked),
        cmocka_unit_test(a_call_that_is_dear_or_wants_a_queue_is_never_the_loops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
