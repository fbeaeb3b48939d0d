/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of workers: what goes together, what waits, what is refused, who comes first. A gate in
 * the toy backend says when a call goes on; the clock is the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sched/crew.h"

/* ---- one call ---- */

static void jobs_of_a_turn_become_one_call_of_a_worker(void **state)
{
    (void)state;
    struct crew *c = crew_new(3);
    unsigned led = 0;
    crew_open(c, 7);
    crew_send(c, 0, 7);
    crew_finish(c);
    crew_expect_all(c, GAL_OK);
    assert_int_equal(c->toy.runs, 1);
    crew_expect_call(c, 0, 0, 7);
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(c->works[i].job.call_rows, 7);
        led += c->works[i].job.led;
    }
    assert_int_equal(led, 1);
    crew_close(c);
}

static void what_waits_behind_a_call_becomes_the_next(void **state)
{
    (void)state;
    struct crew *c = crew_new(1);
    crew_open(c, 6);
    toy_gate_close(&c->toy, 0);
    crew_send(c, 0, 1);
    toy_gate_await(&c->toy, 1);
    crew_send(c, 1, 2);
    crew_send(c, 3, 1);
    crew_send(c, 4, 2);
    assert_int_equal(crew_stats(c).waiting, 5);
    assert_int_equal(crew_stats(c).running, 1);
    toy_gate_open(&c->toy);
    crew_finish(c);
    crew_expect_all(c, GAL_OK);
    assert_int_equal(c->toy.runs, 2);
    crew_expect_call(c, 1, 1, 5);
    crew_close(c);
}

static void rows_max_bounds_a_call_and_a_larger_request_runs_alone(void **state)
{
    (void)state;
    struct crew *c = crew_new(1);
    c->options.policy.rows_max = 3;
    crew_open(c, 11);
    crew_rows(c, 7, 4);
    crew_send(c, 0, 11);
    crew_finish(c);
    crew_expect_all(c, GAL_OK);
    assert_int_equal(c->toy.runs, 5);
    crew_expect_call(c, 0, 0, 3);
    crew_expect_call(c, 1, 3, 3);
    crew_expect_call(c, 2, 6, 1);
    crew_expect_call(c, 3, 7, 4);
    crew_expect_call(c, 4, 8, 3);
    assert_null(c->works[7].job.batch);
    crew_close(c);
}

static void requests_of_several_rows_get_their_own(void **state)
{
    (void)state;
    static const size_t rows[] = {1, 4, 2, 1, 3};
    struct crew *c = crew_new(1);
    crew_open(c, 5);
    for (size_t i = 0; i < 5; i++)
        crew_rows(c, i, rows[i]);
    crew_send(c, 0, 5);
    crew_finish(c);
    crew_expect_all(c, GAL_OK);
    crew_expect_call(c, 0, 0, 11);
    crew_close(c);
}

/* ---- what does not go together ---- */

static void what_differs_is_not_mixed(void **state)
{
    (void)state;
    for (int how = 0; how < WORK_ODDS; how++) {
        struct crew *c = crew_new(1);
        crew_open(c, 4);
        work_make_odd(&c->works[1], how);
        crew_send(c, 0, 4);
        crew_finish(c);
        crew_expect_all(c, GAL_OK);
        assert_int_equal(c->toy.runs, 2);
        assert_null(c->works[1].job.batch);
        crew_expect_call(c, 0, 0, 3);
        crew_close(c);
    }
}

static void kinds_that_alternate_become_one_call_each(void **state)
{
    (void)state;
    struct crew *c = crew_new(1);
    crew_open(c, 8);
    for (size_t i = 1; i < 8; i += 2)
        c->works[i].job.wanted = toy_turned;
    crew_send(c, 0, 8);
    crew_finish(c);
    crew_expect_all(c, GAL_OK);
    assert_int_equal(c->toy.runs, 2);
    crew_expect_call(c, 0, 0, 4);
    crew_expect_call(c, 1, 1, 4);
    crew_close(c);
}

static void models_are_not_mixed(void **state)
{
    (void)state;
    static struct toy other;
    struct crew *c = crew_new(1);
    struct gal_sched *s = toy_open(&other, GAL_SCHED_WORKERS);
    crew_open(c, 6);
    c->works[1].sched = c->works[4].sched = s;
    crew_send(c, 0, 6);
    crew_finish(c);
    crew_expect_all(c, GAL_OK);
    assert_true(c->toy.runs == 1 && other.runs == 1 && other.rows_seen == 2);
    work_give_back(&c->works[1]);
    work_give_back(&c->works[4]);
    assert_int_equal(other.live, 0);
    crew_close(c);
    gal_sched_free(s);
}

static void without_proof_that_rows_are_apart_each_job_runs_alone(void **state)
{
    (void)state;
    struct crew *c = crew_new(1);
    crew_open(c, 5);
    gal_sched_free(c->sched);
    assert_int_equal(gal_sched_new(&c->options, &c->sched, NULL), GAL_OK);
    for (size_t i = 0; i < 5; i++)
        c->works[i].sched = c->sched;
    crew_send(c, 0, 5);
    crew_finish(c);
    crew_expect_all(c, GAL_OK);
    assert_true(c->toy.runs == 5 && c->toy.rows_seen == 1);
    crew_close(c);
}

/* ---- what goes wrong ---- */

static void a_bad_job_fails_alone(void **state)
{
    (void)state;
    struct crew *c = crew_new(1);
    crew_open(c, 6);
    c->works[3].x[1][2] = BAD;
    crew_send(c, 0, 6);
    crew_finish(c);
    for (size_t i = 0; i < 6; i++)
        crew_expect(c, i, i == 3 ? GAL_INVALID : GAL_OK);
    assert_string_equal(c->works[3].job.err.message, "toy: a bad element");
    assert_int_equal(c->toy.runs, 7);
    crew_close(c);
}

static void an_output_without_rows_falls_back_to_single_runs(void **state)
{
    (void)state;
    struct crew *c = crew_new(1);
    crew_open(c, 5);
    c->toy.odd_output = 1;
    crew_send(c, 0, 5);
    crew_finish(c);
    crew_expect_all(c, GAL_OK);
    assert_true(c->toy.runs == 6 && c->toy.live == 10);
    crew_close(c);
}

/* ---- cancelled, late ---- */

static void a_job_cancelled_while_it_waits_for_the_turn_never_runs(void **state)
{
    (void)state;
    struct crew *c = crew_new(1);
    crew_open(c, 3);
    for (size_t i = 0; i < 3; i++)
        work_submit(&c->works[i]);
    gal_job_cancel(&c->works[1].job);
    assert_int_equal(c->works[1].done, 0); /* never from inside */
    crew_send(c, 0, 0);
    crew_finish(c);
    for (size_t i = 0; i < 3; i++)
        crew_expect(c, i, i == 1 ? GAL_CANCELLED : GAL_OK);
    crew_expect_call(c, 0, 0, 2);
    crew_close(c);
}

static void cancelled_and_expired_jobs_leave_the_queue_at_once(void **state)
{
    (void)state;
    struct crew *c = crew_new(1);
    crew_open(c, 6);
    toy_gate_close(&c->toy, 0);
    crew_send(c, 0, 1);
    toy_gate_await(&c->toy, 1);
    crew_send(c, 1, 5);
    gal_job_cancel(&c->works[2].job);
    gal_job_expire(&c->works[4].job);
    assert_int_equal(crew_stats(c).waiting, 3);
    assert_true(c->works[2].done == 0 && c->works[4].done == 0);
    crew_turn(c); /* while the call is still held */
    crew_expect(c, 2, GAL_CANCELLED);
    crew_expect(c, 4, GAL_DEADLINE);
    toy_gate_open(&c->toy);
    crew_finish(c);
    for (size_t i = 0; i < 6; i++)
        if (i != 2 && i != 4)
            crew_expect(c, i, GAL_OK);
    crew_expect_call(c, 1, 1, 3);
    crew_close(c);
}

static void a_running_job_that_is_cancelled_gives_its_share_back(void **state)
{
    (void)state;
    struct crew *c = crew_new(1);
    crew_open(c, 3);
    toy_gate_close(&c->toy, 0);
    crew_send(c, 0, 3);
    toy_gate_await(&c->toy, 1);
    gal_job_cancel(&c->works[1].job);
    gal_job_expire(&c->works[2].job); /* one that runs is let finish */
    toy_gate_open(&c->toy);
    crew_finish(c);
    crew_expect(c, 0, GAL_OK);
    crew_expect(c, 1, GAL_CANCELLED);
    crew_expect(c, 2, GAL_OK);
    crew_close(c);
}

static void deadlines_that_pass_in_the_turn_or_the_queue_cost_no_call(void **state)
{
    (void)state;
    struct crew *c = crew_new(1);
    crew_open(c, 5);
    c->works[1].job.deadline_us = CREW_START_US; /* has passed when it comes */
    c->works[2].job.deadline_us = CREW_START_US + 10;
    c->works[3].job.deadline_us = CREW_START_US + 1000;
    toy_gate_close(&c->toy, 0);
    crew_send(c, 0, 1);
    toy_gate_await(&c->toy, 1);
    crew_send(c, 1, 4);
    crew_expect(c, 1, GAL_DEADLINE); /* inside the turn's end */
    toy_now_us += 10;
    toy_gate_open(&c->toy);
    crew_finish(c);
    crew_expect(c, 2, GAL_DEADLINE);
    crew_expect(c, 3, GAL_OK);
    assert_true(c->works[2].job.started_us == 0 && c->works[2].job.call_rows == 0);
    crew_expect_call(c, 1, 3, 2);
    crew_close(c);
}

static void a_timeout_ends_the_wait_and_the_longest_never_does(void **state)
{
    (void)state;
    struct crew *c = crew_new(1);
    crew_open(c, 4);
    c->works[1].job.timeout_us = 50;
    c->works[2].job.timeout_us = UINT64_MAX;
    c->works[3].job.timeout_us = 51;
    toy_gate_close(&c->toy, 0);
    crew_send(c, 0, 1);
    toy_gate_await(&c->toy, 1);
    crew_send(c, 1, 3);
    assert_true(c->works[0].job.expires_us == 0);
    assert_true(c->works[1].job.expires_us == CREW_START_US + 50);
    assert_true(c->works[2].job.expires_us > CREW_START_US + 1000000);
    toy_now_us += 50;
    toy_gate_open(&c->toy);
    crew_finish(c);
    crew_expect(c, 1, GAL_DEADLINE);
    crew_expect(c, 2, GAL_OK);
    crew_expect(c, 3, GAL_OK);
    crew_close(c);
}

/* The load's one cold call took long; nobody is to be turned away for it for ever. */
static void a_curve_that_is_wrong_is_put_right_by_deadlines_too(void **state)
{
    (void)state;
    enum { JOBS = 80 };
    struct crew *c = crew_new(1);
    size_t ok = 0, last_late = 0;
    crew_open(c, JOBS);
    c->toy.row_cost_us = 20000;
    gal_sched_observe(c->sched, 1, 200000000);
    for (size_t i = 0; i < JOBS; i++) {
        c->works[i].job.deadline_us = toy_now_us + 100000;
        crew_send(c, i, 1);
        crew_finish(c);
        ok += c->works[i].job.status == GAL_OK;
        last_late = c->works[i].job.status == GAL_OK ? last_late : i;
        assert_true(c->works[i].job.status == GAL_OK || c->works[i].job.status == GAL_DEADLINE);
        toy_now_us += 100000;
    }
    assert_int_equal(c->works[0].job.status, GAL_OK);
    assert_int_equal(c->works[1].job.status, GAL_DEADLINE); /* a call has just been measured */
    assert_true(ok > JOBS / 2 && last_late < JOBS / 2);
    crew_close(c);
}

static void what_is_too_dear_for_its_deadline_seldom_runs(void **state)
{
    (void)state;
    enum { JOBS = 100 };
    struct crew *c = crew_new(1);
    crew_open(c, JOBS);
    c->toy.row_cost_us = 20000;
    gal_sched_observe(c->sched, 1, 20000000);
    for (size_t i = 0; i < JOBS; i++) {
        c->works[i].job.deadline_us = toy_now_us + 10000;
        crew_send(c, i, 1);
        crew_finish(c);
        toy_now_us += 10000;
    }
    assert_in_range(c->toy.runs, 2, 10); /* in a second and more */
    crew_close(c);
}

/* ---- levels, bounds ---- */

static void hold_one(struct crew *c)
{
    toy_gate_close(&c->toy, 0);
    crew_send(c, 0, 1);
    toy_gate_await(&c->toy, 1);
}

static void levels_run_in_order(void **state)
{
    (void)state;
    static const size_t order[] = {3, 6, 2, 4, 1, 5}; /* 5 names none: the default, 3 */
    struct crew *c = crew_new(1);
    c->options.policy.levels = 3;
    c->options.policy.default_level = 3;
    c->options.policy.rows_max = 1;
    crew_open(c, 7);
    c->works[1].job.priority = 9; /* beyond the levels: the last */
    c->works[2].job.priority = c->works[4].job.priority = 2;
    c->works[3].job.priority = c->works[6].job.priority = 1;
    hold_one(c);
    crew_send(c, 1, 6);
    toy_gate_open(&c->toy);
    crew_finish(c);
    crew_expect_all(c, GAL_OK);
    for (size_t k = 0; k < 6; k++)
        crew_expect_call(c, 1 + k, order[k], 1);
    crew_close(c);
}

static void the_last_level_is_not_starved(void **state)
{
    (void)state;
    struct crew *c = crew_new(1);
    size_t at = 0;
    c->options.policy.levels = 2;
    c->options.policy.default_level = 1;
    c->options.policy.rows_max = 1;
    crew_open(c, 40);
    c->works[1].job.priority = 2;
    hold_one(c);
    crew_send(c, 1, 39);
    toy_gate_open(&c->toy);
    crew_finish(c);
    crew_expect_all(c, GAL_OK);
    while ((size_t)c->toy.call[at].first != 2)
        at++;
    assert_in_range(at, 2, GAL_STARVE_BATCHES + 1);
    crew_close(c);
}

static void expect_refused(const struct crew *c, size_t i, const char *words)
{
    crew_expect(c, i, GAL_OVERLOADED);
    assert_non_null(strstr(c->works[i].job.err.message, words));
}

static void full_queues_refuse_in_words(void **state)
{
    (void)state;
    struct crew *c = crew_new(1);
    const size_t bytes = (size_t)INPUTS * COLS * sizeof(float);
    c->options.policy.levels = 2;
    c->options.policy.default_level = 1;
    c->options.policy.level[1].jobs_max = 1;
    c->options.policy.jobs_max = 4;
    c->options.policy.bytes_max = 4 * bytes;
    crew_open(c, 9);
    c->works[1].job.priority = c->works[2].job.priority = 2;
    crew_rows(c, 3, 4);
    hold_one(c);
    crew_send(c, 1, 8);
    expect_refused(c, 2, "1 requests wait in all, too many of this priority");
    expect_refused(c, 3, "24 bytes of requests wait");
    expect_refused(c, 7, "4 requests wait");
    expect_refused(c, 8, "4 requests wait");
    assert_int_equal(crew_stats(c).waiting, 4);
    assert_int_equal(crew_stats(c).waiting_bytes, 4 * bytes);
    toy_gate_open(&c->toy);
    crew_finish(c);
    crew_expect(c, 1, GAL_OK);
    for (size_t i = 4; i < 7; i++)
        crew_expect(c, i, GAL_OK);
    crew_close(c);
}

static void late_jobs_make_room_in_a_full_queue(void **state)
{
    (void)state;
    struct crew *c = crew_new(1);
    c->options.policy.jobs_max = 2;
    crew_open(c, 4);
    c->works[1].job.deadline_us = CREW_START_US + 10;
    hold_one(c);
    crew_send(c, 1, 2);
    toy_now_us += 10;
    crew_send(c, 3, 1);
    crew_turn(c);
    crew_expect(c, 1, GAL_DEADLINE);
    toy_gate_open(&c->toy);
    crew_finish(c);
    crew_expect(c, 2, GAL_OK);
    crew_expect(c, 3, GAL_OK);
    crew_close(c);
}

static void an_urgent_job_takes_a_place_in_a_full_queue(void **state)
{
    (void)state;
    struct crew *c = crew_new(1);
    c->options.policy.levels = 2;
    c->options.policy.default_level = 2;
    c->options.policy.jobs_max = 2;
    crew_open(c, 5);
    c->works[3].job.priority = c->works[4].job.priority = 1;
    hold_one(c);
    crew_send(c, 1, 2);
    crew_send(c, 3, 2);
    crew_turn(c);
    expect_refused(c, 2, "a more urgent request took the place");
    expect_refused(c, 4, "2 requests wait"); /* the last of level 2 keeps its share */
    toy_gate_open(&c->toy);
    crew_finish(c);
    crew_expect(c, 1, GAL_OK);
    crew_expect(c, 3, GAL_OK);
    crew_close(c);
}

static void a_goal_out_of_reach_refuses_in_words(void **state)
{
    (void)state;
    struct crew *c = crew_new(1);
    c->options.policy.target_us = 10000;
    crew_open(c, 3);
    gal_sched_observe(c->sched, 1, 9000000); /* 9 ms a row */
    hold_one(c);
    crew_send(c, 1, 1);
    expect_refused(c, 1, "beyond the model's latency target");
    toy_gate_open(&c->toy);
    crew_finish(c);
    crew_expect(c, 0, GAL_OK);
    crew_close(c);
}

/* A slot's job serves one model after the other: what one of them has said is not the other's. */
static void who_is_turned_away_on_its_loop_is_not_told_of_another_models_queue(void **state)
{
    (void)state;
    struct crew *c = crew_new(1);
    c->options.mode = GAL_SCHED_AUTO;
    c->options.one_core = true;
    c->options.policy.target_us = 9000;
    crew_open(c, 2);
    gal_sched_observe(c->sched, 1, 1000000);
    toy_now_us += 100000;
    c->works[0].job.arrived_us = toy_now_us;
    c->works[1].job.arrived_us = toy_now_us - 8000;
    c->works[1].job.retry_us = 30000000;
    crew_send(c, 0, 2);
    crew_expect(c, 0, GAL_OK);
    expect_refused(c, 1, "latency target");
    assert_int_equal(c->works[1].job.retry_us, 0);
    crew_close(c);
}

/* ---- order, delay, several workers ---- */

static void answers_leave_in_the_order_taken(void **state)
{
    (void)state;
    enum { JOBS = 100, WINDOW = 3 * 16 };
    struct crew *c = crew_new(3);
    c->options.policy.keep_order = true;
    c->options.policy.rows_max = 1;
    crew_open(c, JOBS);
    c->works[5].x[1][1] = BAD;
    toy_gate_close(&c->toy, 1); /* the first job alone */
    crew_send(c, 0, JOBS);
    toy_await_calls(&c->toy, WINDOW);
    crew_turn(c);
    for (size_t i = 0; i < JOBS; i++)
        assert_int_equal(c->works[i].done, 0);
    assert_int_equal(c->toy.calls, WINDOW); /* the places for answers are taken */
    toy_gate_open(&c->toy);
    crew_finish(c);
    for (size_t i = 0; i < JOBS; i++) {
        crew_expect(c, i, i == 5 ? GAL_INVALID : GAL_OK);
        assert_true(i == 0 || c->works[i].order == c->works[i - 1].order + 1);
    }
    crew_close(c);
}

static void without_keep_order_nobody_waits_for_another_call(void **state)
{
    (void)state;
    struct crew *c = crew_new(2);
    c->options.policy.rows_max = 1;
    crew_open(c, 4);
    toy_gate_close(&c->toy, 1);
    crew_send(c, 0, 4);
    while (c->works[1].done + c->works[2].done + c->works[3].done < 3)
        crew_turn(c);
    assert_int_equal(c->works[0].done, 0);
    toy_gate_open(&c->toy);
    crew_finish(c);
    crew_close(c);
}

/* Until the workers have looked at the clock so often that some looks began after now. */
static void await_looks(struct crew *c)
{
    const uint64_t before = toy_reads;
    while (toy_reads < before + 20)
        crew_turn(c);
}

static void a_delay_waits_for_company_and_no_longer(void **state)
{
    (void)state;
    struct crew *c = crew_new(1);
    crew_low_clock();
    c->options.policy.delay_us_max = 500;
    c->options.policy.rows_max = 4;
    crew_open(c, 7);
    crew_send(c, 0, 1);
    await_looks(c);
    toy_now_us += 400;
    crew_send(c, 1, 1);
    await_looks(c);
    assert_int_equal(c->toy.calls, 0);
    toy_now_us += 99;
    await_looks(c);
    assert_int_equal(c->toy.calls, 0);
    toy_now_us += 1;
    crew_finish(c);
    crew_expect_call(c, 0, 0, 2);
    assert_true(c->works[0].job.started_us == 1500 && c->works[1].job.started_us == 1500);
    crew_send(c, 2, 1);
    crew_send(c, 3, 4); /* full: four go at once, one stays */
    while (c->works[2].done == 0)
        crew_turn(c);
    crew_expect_call(c, 1, 2, 4);
    await_looks(c);
    assert_int_equal(c->works[6].done, 0);
    toy_now_us += 500;
    crew_finish(c);
    crew_expect_all(c, GAL_OK);
    crew_close(c);
}

static void several_workers_wake_for_several_calls(void **state)
{
    (void)state;
    struct crew *c = crew_new(3);
    c->options.policy.rows_max = 2;
    crew_open(c, 18);
    for (size_t round = 0; round < 3; round++) { /* started first, then woken */
        toy_gate_close(&c->toy, 0);
        crew_send(c, round * 6, 6);
        toy_gate_await(&c->toy, 3);
        assert_int_equal(crew_stats(c).running, 3);
        assert_int_equal(crew_stats(c).waiting, 0);
        toy_gate_open(&c->toy);
        crew_finish(c);
    }
    crew_expect_all(c, GAL_OK);
    assert_int_equal(c->toy.runs, 9);
    crew_close(c);
}

/* What a worker leaves when its call begins wakes the next, of other keys too. */
static void calls_of_other_kinds_wake_workers_too(void **state)
{
    (void)state;
    struct crew *c = crew_new(3);
    crew_open(c, 6);
    toy_gate_close(&c->toy, 0);
    for (size_t round = 0; round < 2; round++) {
        c->works[3 * round + 1].job.wanted = toy_turned;
        c->works[3 * round + 2].job.output_count = 1;
        toy_gate_close(&c->toy, 0);
        crew_send(c, 3 * round, 3);
        toy_gate_await(&c->toy, 3);
        toy_gate_open(&c->toy);
        crew_finish(c);
    }
    crew_expect_all(c, GAL_OK);
    crew_close(c);
}

/* ---- what is told ---- */

static void times_and_counts_are_those_of_the_call(void **state)
{
    (void)state;
    struct crew *c = crew_new(1);
    struct gal_batch_stats sizes[4];
    crew_open(c, 7);
    crew_rows(c, 5, 2);
    c->toy.row_cost_us = 100;
    hold_one(c);
    crew_send(c, 1, 6);
    toy_now_us += 40;
    toy_gate_open(&c->toy);
    crew_finish(c);
    crew_expect_all(c, GAL_OK);
    assert_true(c->works[0].job.finished_us == CREW_START_US + 140);
    for (size_t i = 1; i < 7; i++) {
        const struct gal_job *job = &c->works[i].job;
        assert_true(job->submitted_us == CREW_START_US);
        assert_true(job->started_us == CREW_START_US + 140);
        assert_true(job->finished_us == CREW_START_US + 840);
        assert_int_equal(job->infer_ns, 700000);
        assert_int_equal(job->call_rows, 7);
        assert_int_equal(job->led, i == 1);
    }
    const struct gal_sched_stats s = crew_stats(c);
    assert_true(s.executions == 2 && s.success == 7 && s.rows == 8);
    assert_int_equal(s.busy_ns, 140000 + 700000);
    assert_int_equal(s.infer.ns, 140000 + 6 * 700000);
    assert_int_equal(s.queue.ns, 6 * 140000);
    assert_int_equal(s.success_time.ns, 140000 + 6 * 840000);
    assert_int_equal(gal_sched_batch_stats(c->sched, sizes, 4), 2);
    assert_true(sizes[0].rows == 1 && sizes[0].infer.count == 1 && sizes[0].infer.ns == 140000);
    assert_true(sizes[1].rows == 7 && sizes[1].infer.count == 1 && sizes[1].infer.ns == 700000);
    crew_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_of_a_turn_become_one_call_of_a_worker),
        cmocka_unit_test(what_waits_behind_a_call_becomes_the_next),
        cmocka_unit_test(rows_max_bounds_a_call_and_a_larger_request_runs_alone),
        cmocka_unit_test(requests_of_several_rows_get_their_own),
        cmocka_unit_test(what_differs_is_not_mixed),
        cmocka_unit_test(kinds_that_alternate_become_one_call_each),
        cmocka_unit_test(models_are_not_mixed),
        cmocka_unit_test(without_proof_that_rows_are_apart_each_job_runs_alone),
        cmocka_unit_test(a_bad_job_fails_alone),
        cmocka_unit_test(an_output_without_rows_falls_back_to_single_runs),
        cmocka_unit_test(a_job_cancelled_while_it_waits_for_the_turn_never_runs),
        cmocka_unit_test(cancelled_and_expired_jobs_leave_the_queue_at_once),
        cmocka_unit_test(a_running_job_that_is_cancelled_gives_its_share_back),
        cmocka_unit_test(deadlines_that_pass_in_the_turn_or_the_queue_cost_no_call),
        cmocka_unit_test(a_timeout_ends_the_wait_and_the_longest_never_does),
        cmocka_unit_test(a_curve_that_is_wrong_is_put_right_by_deadlines_too),
        cmocka_unit_test(what_is_too_dear_for_its_deadline_seldom_runs),
        cmocka_unit_test(levels_run_in_order),
        cmocka_unit_test(the_last_level_is_not_starved),
        cmocka_unit_test(full_queues_refuse_in_words),
        cmocka_unit_test(late_jobs_make_room_in_a_full_queue),
        cmocka_unit_test(an_urgent_job_takes_a_place_in_a_full_queue),
        cmocka_unit_test(a_goal_out_of_reach_refuses_in_words),
        cmocka_unit_test(who_is_turned_away_on_its_loop_is_not_told_of_another_models_queue),
        cmocka_unit_test(answers_leave_in_the_order_taken),
        cmocka_unit_test(without_keep_order_nobody_waits_for_another_call),
        cmocka_unit_test(a_delay_waits_for_company_and_no_longer),
        cmocka_unit_test(several_workers_wake_for_several_calls),
        cmocka_unit_test(calls_of_other_kinds_wake_workers_too),
        cmocka_unit_test(times_and_counts_are_those_of_the_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
