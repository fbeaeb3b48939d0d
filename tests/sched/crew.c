/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sched/crew.h"

static struct crew crew;

struct crew *crew_new(unsigned workers)
{
    toy_now_us = CREW_START_US;
    crew.options = toy_options(&crew.toy, GAL_SCHED_WORKERS);
    crew.options.workers = workers;
    return &crew;
}

void crew_low_clock(void)
{
    toy_now_us = 1000;
}

static void prepare(struct crew *c, size_t i, size_t rows)
{
    struct work *w = &c->works[i];
    work_init(w, (float)(i + 1), rows);
    w->sched = c->sched;
    w->job.turn = c->turn;
    w->job.home = c->loop;
}

static void on_turn(void *turn)
{
    gal_turn_run(turn);
}

void crew_open(struct crew *c, size_t count)
{
    assert_true(count <= CREW_JOBS);
    c->sched = toy_start(&c->options);
    c->count = count;
    assert_int_equal(gal_turn_new(&toy_clock, &c->turn, NULL), GAL_OK);
    assert_int_equal(gal_loop_new(&c->loop, NULL), GAL_OK);
    gal_loop_on_turn(c->loop, on_turn, c->turn);
    for (size_t i = 0; i < count; i++)
        prepare(c, i, 1);
}

void crew_rows(struct crew *c, size_t i, size_t rows)
{
    gal_arena_release(&c->works[i].arena);
    prepare(c, i, rows);
}

void crew_send(struct crew *c, size_t from, size_t count)
{
    for (size_t i = from; i < from + count; i++)
        work_submit(&c->works[i]);
    gal_turn_run(c->turn);
}

/* ---- the loop ---- */

struct until {
    struct gal_task task;
    struct crew *crew;
    bool once;
};

static void look(struct gal_task *task)
{
    struct until *u = (struct until *)task;
    for (size_t i = 0; !u->once && i < u->crew->count; i++) {
        const struct work *w = &u->crew->works[i];
        if (w->submitted && w->done == 0) {
            gal_loop_post(u->crew->loop, &u->task);
            return;
        }
    }
    gal_loop_stop(u->crew->loop);
}

static void run(struct crew *c, bool once)
{
    struct until u = {.task.run = look, .crew = c, .once = once};
    gal_loop_post(c->loop, &u.task);
    gal_loop_run(c->loop);
}

void crew_finish(struct crew *c)
{
    run(c, false);
}

void crew_turn(struct crew *c)
{
    run(c, true);
}

/* ---- what came ---- */

void crew_expect(const struct crew *c, size_t i, enum gal_status status)
{
    const struct work *w = &c->works[i];
    assert_int_equal(w->done, 1);
    assert_int_equal(w->job.status, status);
    assert_true(pthread_equal(w->ran_on, pthread_self()));
    if (status == GAL_OK && !w->released)
        work_check(w);
}

void crew_expect_all(const struct crew *c, enum gal_status status)
{
    for (size_t i = 0; i < c->count; i++)
        crew_expect(c, i, status);
}

void crew_expect_call(const struct crew *c, size_t k, size_t first, size_t rows)
{
    assert_true(k < c->toy.calls);
    assert_int_equal((size_t)c->toy.call[k].first, first + 1);
    assert_int_equal(c->toy.call[k].rows, rows);
}

struct gal_sched_stats crew_stats(const struct crew *c)
{
    struct gal_sched_stats s;
    gal_sched_stats(c->sched, &s);
    return s;
}

/* Of the jobs of this scheduler, as the test saw them. */
static void check_stats(const struct crew *c)
{
    const struct gal_sched_stats s = crew_stats(c);
    uint64_t by_status[GAL_STATUS_COUNT] = {0}, rows = 0, jobs = 0, started = 0, led_rows = 0;
    for (size_t i = 0; i < c->count; i++) {
        const struct gal_job *job = &c->works[i].job;
        if (!c->works[i].submitted || c->works[i].sched != c->sched)
            continue;
        jobs++;
        by_status[job->status]++;
        rows += job->status == GAL_OK ? job->rows : 0;
        started += job->started_us != 0;
        led_rows += job->led ? job->call_rows : 0;
    }
    assert_int_equal(s.success, by_status[GAL_OK]);
    assert_int_equal(s.expired, by_status[GAL_DEADLINE]);
    assert_int_equal(s.cancelled, by_status[GAL_CANCELLED]);
    assert_int_equal(s.rejected, by_status[GAL_OVERLOADED]);
    assert_int_equal(s.failed, jobs - s.success - s.expired - s.cancelled - s.rejected);
    assert_int_equal(s.rows, rows);
    assert_int_equal(s.executions, c->toy.runs);
    assert_int_equal(s.queue.count, started);
    assert_true(s.waiting == 0 && s.waiting_bytes == 0 && s.running == 0 && s.in_flight == 0);
    assert_true(led_rows >= rows);
}

void crew_close(struct crew *c)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct work *w = &c->works[i];
        assert_int_equal(w->done, w->submitted);
        if (w->done)
            crew_expect(c, i, w->job.status);
    }
    check_stats(c);
    for (size_t i = 0; i < c->count; i++) {
        struct work *w = &c->works[i];
        if (w->done && w->job.status == GAL_OK && !w->released)
            work_give_back(w);
        gal_arena_release(&w->arena);
    }
    assert_int_equal(c->toy.live, 0);
    gal_loop_on_turn(c->loop, NULL, NULL);
    gal_turn_free(c->turn);
    gal_sched_free(c->sched);
    gal_loop_free(c->loop);
}
