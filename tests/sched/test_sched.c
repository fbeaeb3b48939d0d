/* SPDX-License-Identifier: Apache-2.0 */
/* The scheduler over the fake backend: time is the test's own, and a gate in the backend says when
 * a run goes on, so that nothing here sleeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/fake.h"
#include "base/mem.h"
#include "base/thread.h"
#include "sched/sched.h"
#include "support/onnx_model.h"

#include <stdatomic.h>
#include <stdio.h>

/* ---- a clock that stands until it is moved ---- */

static _Atomic uint64_t now_us;

static uint64_t read_now(void *ctx)
{
    (void)ctx;
    return now_us;
}

static uint64_t read_wall(void *ctx)
{
    (void)ctx;
    return now_us + 1000000;
}

static const struct gal_clock test_clock = {.mono_us = read_now, .wall_us = read_wall};

/* ---- a job with all that it needs ---- */

struct work {
    struct gal_job job;
    struct gal_arena arena;
    struct gal_value input, output;
    float x;
    unsigned done;  /* calls of on_done */
    unsigned order; /* of all answers so far */
    pthread_t ran_on;
};

static const size_t first_output[] = {0};
static _Atomic unsigned released; /* outputs given back by the scheduler or a test */
static struct gal_backend_ops counting;

static void count_release(struct gal_session *s, struct gal_value *v)
{
    released++;
    gal_backend_fake.release_output(s, v);
}

static void on_done(struct gal_job *job)
{
    static _Atomic unsigned answers;
    struct work *w = (struct work *)job;
    w->done++;
    w->order = answers++;
    w->ran_on = pthread_self();
}

static void work_init(struct work *w, float x, struct gal_loop *home)
{
    memset(w, 0, sizeof *w);
    w->x = x;
    w->input =
        (struct gal_value){.kind = GAL_KIND_TENSOR, .tensor = {.dtype = GAL_DT_FP32, .count = 1}};
    w->input.tensor.data = &w->x;
    gal_arena_init(&w->arena, 1024, 0, 65536);
    w->job = (struct gal_job){.inputs = &w->input,
                              .wanted = first_output,
                              .output_count = 1,
                              .rows = 1,
                              .arena = &w->arena,
                              .outputs = &w->output,
                              .home = home,
                              .on_done = on_done};
}

static void work_release(struct work *w)
{
    gal_arena_release(&w->arena);
}

static void assert_done(const struct work *w, enum gal_status status)
{
    assert_int_equal(w->done, 1);
    assert_int_equal(w->job.status, status);
    if (status == GAL_OK)
        assert_true(*(const float *)w->output.tensor.data == 2 * w->x);
}

/* ---- a scheduler and one loop, both on the test's thread ---- */

struct bench {
    struct gal_session *session;
    struct gal_sched *sched;
    struct gal_loop *loop;
    struct gal_task stop;
};

static void bench_open(struct bench *b, const char *extra, enum gal_sched_mode mode,
                       unsigned workers, size_t queue_max)
{
    char text[256];
    snprintf(text, sizeof text, "input x FP32\noutput y FP32\n%s", extra);
    counting = gal_backend_fake;
    counting.release_output = count_release;
    released = 0;
    const struct gal_backend_options none = {0};
    assert_int_equal(
        counting.load(test_file_write("m.txt", gal_str_of(text)), &none, &b->session, NULL),
        GAL_OK);
    struct gal_sched_options o = {.ops = &counting,
                                  .session = b->session,
                                  .clock = &test_clock,
                                  .mode = mode,
                                  .workers = workers,
                                  .inline_us_max = 200};
    gal_policy_init(&o.policy);
    o.policy.jobs_max = queue_max;
    assert_int_equal(gal_sched_new(&o, &b->sched, NULL), GAL_OK);
    assert_int_equal(gal_loop_new(&b->loop, NULL), GAL_OK);
}

static void bench_close(struct bench *b)
{
    gal_sched_free(b->sched);
    gal_loop_free(b->loop);
    counting.free(b->session);
}

static struct gal_sched_stats stats_of(const struct bench *b)
{
    struct gal_sched_stats s;
    gal_sched_stats(b->sched, &s);
    return s;
}

/* Runs the loop until all of `count` jobs are done. */
struct until {
    struct gal_task task;
    struct bench *b;
    const struct work *works;
    size_t count;
};

static void look(struct gal_task *task)
{
    struct until *u = (struct until *)task;
    for (size_t i = 0; i < u->count; i++) {
        if (u->works[i].done == 0) {
            gal_loop_post(u->b->loop, &u->task);
            return;
        }
    }
    gal_loop_stop(u->b->loop);
}

static void run_until_done(struct bench *b, const struct work *works, size_t count)
{
    struct until u = {.task.run = look, .b = b, .works = works, .count = count};
    gal_loop_post(b->loop, &u.task);
    gal_loop_run(b->loop);
}

/* ---- inline ---- */

static void a_job_without_a_home_runs_at_once(void **state)
{
    (void)state;
    struct bench b;
    struct work w;
    bench_open(&b, "", GAL_SCHED_WORKERS, 1, 8);
    work_init(&w, 3, NULL);
    gal_sched_submit(b.sched, &w.job);
    assert_done(&w, GAL_OK);
    work_release(&w);
    bench_close(&b);
}

static void inline_mode_answers_inside_submit_and_counts(void **state)
{
    (void)state;
    struct bench b;
    struct work w;
    bench_open(&b, "", GAL_SCHED_INLINE, 1, 8);
    now_us = 5000;
    work_init(&w, 1, b.loop);
    w.job.rows = 7;
    gal_sched_submit(b.sched, &w.job);
    assert_done(&w, GAL_OK);
    assert_true(w.job.submitted_us == 5000 && w.job.started_us == 5000 &&
                w.job.finished_us == 5000);
    now_us = 9000;
    const struct gal_sched_stats s = stats_of(&b);
    assert_true(s.success == 1 && s.rows == 7 && s.executions == 1 && s.running == 0);
    assert_true(s.last_finished_wall_us == 1005000);
    work_release(&w);
    bench_close(&b);
}

static void a_failing_backend_is_told_and_counted(void **state)
{
    (void)state;
    struct bench b;
    struct work w;
    bench_open(&b, "fail_every 1\n", GAL_SCHED_INLINE, 1, 8);
    work_init(&w, 1, b.loop);
    gal_sched_submit(b.sched, &w.job);
    assert_done(&w, GAL_INTERNAL);
    assert_non_null(strstr(w.job.err.message, "fake failure"));
    const struct gal_sched_stats s = stats_of(&b);
    assert_true(s.failed == 1 && s.success == 0 && s.executions == 1 && s.rows == 0);
    work_release(&w);
    bench_close(&b);
}

static void late_and_cancelled_jobs_cost_nothing(void **state)
{
    (void)state;
    struct bench b;
    struct work late, gone;
    bench_open(&b, "", GAL_SCHED_INLINE, 1, 8);
    now_us = 100;
    work_init(&late, 1, b.loop);
    late.job.deadline_us = 100;
    gal_sched_submit(b.sched, &late.job);
    assert_done(&late, GAL_DEADLINE);
    assert_int_equal(late.job.started_us, 0);
    work_init(&gone, 1, b.loop);
    gal_job_cancel(&gone.job);
    gal_sched_submit(b.sched, &gone.job);
    assert_done(&gone, GAL_CANCELLED);
    assert_int_equal(gal_fake_runs(b.session), 0);
    const struct gal_sched_stats s = stats_of(&b);
    assert_true(s.expired == 1 && s.cancelled == 1 && s.executions == 0);
    work_release(&late);
    work_release(&gone);
    bench_close(&b);
}

static void auto_mode_follows_the_measured_cost(void **state)
{
    (void)state;
    struct bench b;
    struct work w;
    now_us = UINT64_C(1) << 50; /* far ahead of the system's: an idle worker sleeps */
    bench_open(&b, "", GAL_SCHED_AUTO, 1, 8);
    assert_false(gal_sched_is_inline(b.sched, 1));
    work_init(&w, 1, b.loop);
    gal_sched_submit(b.sched, &w.job);
    run_until_done(&b, &w, 1);
    assert_done(&w, GAL_OK);
    /* The clock stood still: as cheap as can be. */
    assert_true(gal_sched_is_inline(b.sched, 1));
    work_release(&w);
    /* A sample is left out while the worker has the lock, on its way to sleep. */
    while (gal_sched_is_inline(b.sched, 1))
        gal_sched_observe(b.sched, 1, 10000000);
    while (!gal_sched_is_inline(b.sched, 2))
        gal_sched_observe(b.sched, 1, 50000);
    assert_false(gal_sched_is_inline(b.sched, 20));
    bench_close(&b);
}

/* ---- queue ---- */

static void a_full_queue_refuses_inside_submit(void **state)
{
    (void)state;
    struct bench b;
    struct work w[4];
    bench_open(&b, "", GAL_SCHED_WORKERS, 1, 2);
    gal_fake_gate_close(b.session);
    for (size_t i = 0; i < 4; i++)
        work_init(&w[i], (float)i, b.loop);
    gal_sched_submit(b.sched, &w[0].job);
    gal_fake_gate_await(b.session, 1);
    gal_sched_submit(b.sched, &w[1].job);
    gal_sched_submit(b.sched, &w[2].job);
    const struct gal_sched_stats full = stats_of(&b);
    assert_true(full.waiting == 2 && full.running == 1);
    gal_sched_submit(b.sched, &w[3].job);
    assert_done(&w[3], GAL_OVERLOADED);
    assert_int_equal(w[3].job.retry_us, 0); /* no call has been measured */
    gal_sched_observe(b.sched, 1, 1500000000);
    gal_sched_submit(b.sched, &w[3].job);
    assert_true(w[3].job.retry_us >= 1500000 && w[3].job.retry_us <= 3000000);
    gal_fake_gate_open(b.session);
    run_until_done(&b, w, 4);
    for (size_t i = 0; i < 3; i++)
        assert_done(&w[i], GAL_OK);
    const struct gal_sched_stats s = stats_of(&b);
    assert_true(s.success == 3 && s.rejected == 2 && s.waiting == 0 && s.running == 0);
    for (size_t i = 0; i < 4; i++)
        work_release(&w[i]);
    bench_close(&b);
}

static void late_jobs_make_room_in_a_full_queue(void **state)
{
    (void)state;
    struct bench b;
    struct work w[4];
    bench_open(&b, "", GAL_SCHED_WORKERS, 1, 2);
    gal_fake_gate_close(b.session);
    now_us = 1000;
    for (size_t i = 0; i < 4; i++)
        work_init(&w[i], (float)i, b.loop);
    w[1].job.deadline_us = w[2].job.deadline_us = 2000;
    gal_sched_submit(b.sched, &w[0].job);
    gal_fake_gate_await(b.session, 1);
    gal_sched_submit(b.sched, &w[1].job);
    gal_sched_submit(b.sched, &w[2].job);
    now_us = 2000;
    gal_sched_submit(b.sched, &w[3].job);
    run_until_done(&b, w + 1, 2); /* answered while the worker is still busy */
    assert_done(&w[1], GAL_DEADLINE);
    assert_done(&w[2], GAL_DEADLINE);
    gal_fake_gate_open(b.session);
    run_until_done(&b, w, 4);
    assert_done(&w[3], GAL_OK);
    assert_int_equal(gal_fake_runs(b.session), 2);
    for (size_t i = 0; i < 4; i++)
        work_release(&w[i]);
    bench_close(&b);
}

static void a_worker_drops_what_has_become_late(void **state)
{
    (void)state;
    struct bench b;
    struct work w[2];
    bench_open(&b, "", GAL_SCHED_WORKERS, 1, 8);
    gal_fake_gate_close(b.session);
    now_us = 10;
    work_init(&w[0], 1, b.loop);
    work_init(&w[1], 2, b.loop);
    w[1].job.deadline_us = 20;
    gal_sched_submit(b.sched, &w[0].job);
    gal_fake_gate_await(b.session, 1);
    gal_sched_submit(b.sched, &w[1].job);
    now_us = 30;
    gal_fake_gate_open(b.session);
    run_until_done(&b, w, 2);
    assert_done(&w[0], GAL_OK);
    assert_done(&w[1], GAL_DEADLINE);
    assert_int_equal(gal_fake_runs(b.session), 1);
    assert_int_equal(w[1].job.started_us, 0);
    work_release(&w[0]);
    work_release(&w[1]);
    bench_close(&b);
}

static void a_cancelled_job_leaves_the_queue_at_once(void **state)
{
    (void)state;
    struct bench b;
    struct work w[4];
    bench_open(&b, "", GAL_SCHED_WORKERS, 1, 8);
    gal_fake_gate_close(b.session);
    for (size_t i = 0; i < 4; i++) {
        work_init(&w[i], (float)i, b.loop);
        gal_sched_submit(b.sched, &w[i].job);
        if (i == 0)
            gal_fake_gate_await(b.session, 1);
    }
    /* The middle, the end, the front. */
    gal_job_cancel(&w[2].job);
    assert_int_equal(w[2].done, 0); /* never from inside */
    gal_job_cancel(&w[3].job);
    gal_job_cancel(&w[1].job);
    assert_int_equal(stats_of(&b).waiting, 0);
    run_until_done(&b, w + 1, 3);
    for (size_t i = 1; i < 4; i++)
        assert_done(&w[i], GAL_CANCELLED);
    gal_fake_gate_open(b.session);
    run_until_done(&b, w, 4);
    assert_done(&w[0], GAL_OK);
    assert_int_equal(gal_fake_runs(b.session), 1);
    for (size_t i = 0; i < 4; i++)
        work_release(&w[i]);
    bench_close(&b);
}

static void a_running_job_that_is_cancelled_gives_its_outputs_back(void **state)
{
    (void)state;
    struct bench b;
    struct work w;
    bench_open(&b, "", GAL_SCHED_WORKERS, 1, 8);
    gal_fake_gate_close(b.session);
    work_init(&w, 1, b.loop);
    gal_sched_submit(b.sched, &w.job);
    gal_fake_gate_await(b.session, 1);
    gal_job_cancel(&w.job);
    assert_int_equal(w.done, 0);
    gal_fake_gate_open(b.session);
    run_until_done(&b, &w, 1);
    assert_done(&w, GAL_CANCELLED);
    assert_int_equal(released, 1);
    const struct gal_sched_stats s = stats_of(&b);
    assert_true(s.cancelled == 1 && s.success == 0 && s.executions == 1);
    work_release(&w);
    bench_close(&b);
}

static void workers_run_side_by_side_up_to_their_number(void **state)
{
    (void)state;
    struct bench b;
    struct work w[6];
    bench_open(&b, "", GAL_SCHED_WORKERS, 3, 8);
    gal_fake_gate_close(b.session);
    for (size_t i = 0; i < 6; i++) {
        work_init(&w[i], (float)i, b.loop);
        gal_sched_submit(b.sched, &w[i].job);
    }
    gal_fake_gate_await(b.session, 3);
    assert_int_equal(stats_of(&b).waiting, 3);
    assert_int_equal(gal_fake_runs(b.session), 3);
    gal_fake_gate_open(b.session);
    run_until_done(&b, w, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_done(&w[i], GAL_OK);
        work_release(&w[i]);
    }
    bench_close(&b);
}

static void one_worker_keeps_the_order_of_arrival(void **state)
{
    (void)state;
    struct bench b;
    struct work w[9];
    bench_open(&b, "", GAL_SCHED_WORKERS, 1, 16);
    gal_fake_gate_close(b.session);
    for (size_t i = 0; i < 9; i++) {
        work_init(&w[i], (float)i, b.loop);
        gal_sched_submit(b.sched, &w[i].job);
    }
    gal_fake_gate_open(b.session);
    run_until_done(&b, w, 9);
    for (size_t i = 0; i < 9; i++) {
        assert_done(&w[i], GAL_OK);
        assert_true(i == 0 || w[i].order == w[i - 1].order + 1);
        work_release(&w[i]);
    }
    bench_close(&b);
}

static void memory_that_runs_out_is_an_error(void **state)
{
    (void)state;
    struct gal_sched_options o = {.ops = &gal_backend_fake, .clock = &test_clock, .workers = 2};
    gal_policy_init(&o.policy);
    enum gal_status status = GAL_NO_MEMORY;
    for (uint64_t i = 1; status; i++) {
        struct gal_sched *s = NULL;
        gal_alloc_fail_at(i, 1);
        status = gal_sched_new(&o, &s, NULL);
        gal_alloc_fail_at(0, 0);
        assert_true((status == GAL_OK) == (s != NULL));
        gal_sched_free(s);
        assert_true(i < 10);
    }
}

/* ---- many loops, many jobs ---- */

enum { LOOPS = 3, JOBS = 400 };

struct side {
    struct gal_loop *loop;
    struct gal_sched *sched;
    struct gal_task step;
    struct work works[JOBS];
    uint64_t random;
    size_t submitted, done;
    pthread_t thread;
};

static uint64_t next_random(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

/* Submits a few jobs, cancels some of those under way, moves the common clock, and comes again. */
static void step(struct gal_task *task)
{
    struct side *s = (struct side *)((char *)task - offsetof(struct side, step));
    for (uint64_t n = next_random(&s->random) % 8; n > 0 && s->submitted < JOBS; n--) {
        struct work *w = &s->works[s->submitted++];
        uint64_t r = next_random(&s->random);
        w->job.rows = 1 + r % 5;
        w->job.deadline_us = r % 3 == 0 ? now_us + r % 50 : 0;
        gal_sched_submit(s->sched, &w->job);
    }
    if (s->submitted > 0) {
        struct work *w = &s->works[next_random(&s->random) % s->submitted];
        if (w->done == 0)
            gal_job_cancel(&w->job);
    }
    now_us += next_random(&s->random) % 20;
    s->done = 0;
    for (size_t i = 0; i < s->submitted; i++)
        s->done += s->works[i].done > 0;
    if (s->done == JOBS)
        gal_loop_stop(s->loop);
    else
        gal_loop_post(s->loop, &s->step);
}

static void *run_side(void *arg)
{
    struct side *s = arg;
    gal_loop_post(s->loop, &s->step);
    gal_loop_run(s->loop);
    return NULL;
}

static void side_open(struct side *s, struct bench *b, uint64_t seed)
{
    memset(s, 0, sizeof *s);
    assert_int_equal(gal_loop_new(&s->loop, NULL), GAL_OK);
    s->sched = b->sched;
    s->random = seed;
    s->step.run = step;
    for (size_t i = 0; i < JOBS; i++)
        work_init(&s->works[i], (float)i, s->loop);
}

/* Every job once, at its own home, with an answer that fits its end; adds up what there was. */
static void side_check(struct side *s, struct gal_sched_stats *sum)
{
    for (size_t i = 0; i < JOBS; i++) {
        struct work *w = &s->works[i];
        assert_int_equal(w->done, 1);
        assert_true(pthread_equal(w->ran_on, s->thread));
        sum->success += w->job.status == GAL_OK;
        sum->failed += w->job.status == GAL_INTERNAL;
        sum->rejected += w->job.status == GAL_OVERLOADED;
        sum->expired += w->job.status == GAL_DEADLINE;
        sum->cancelled += w->job.status == GAL_CANCELLED;
        if (w->job.status == GAL_OK)
            assert_true(*(const float *)w->output.tensor.data == 2 * w->x);
        work_release(w);
    }
}

static void simulate(enum gal_sched_mode mode, uint64_t seed)
{
    static struct side sides[LOOPS];
    struct bench b;
    struct gal_sched_stats sum = {0};
    print_message("mode %d seed %llu\n", (int)mode, (unsigned long long)seed);
    bench_open(&b, "fail_every 17\n", mode, 3, 10);
    for (size_t i = 0; i < LOOPS; i++)
        side_open(&sides[i], &b, seed + i);
    for (size_t i = 0; i < LOOPS; i++)
        assert_int_equal(gal_thread_start(&sides[i].thread, "side", run_side, &sides[i], NULL),
                         GAL_OK);
    for (size_t i = 0; i < LOOPS; i++)
        pthread_join(sides[i].thread, NULL);
    for (size_t i = 0; i < LOOPS; i++) {
        side_check(&sides[i], &sum);
        gal_loop_free(sides[i].loop);
    }
    const struct gal_sched_stats s = stats_of(&b);
    assert_int_equal(sum.success + sum.failed + sum.rejected + sum.expired + sum.cancelled,
                     LOOPS * JOBS);
    assert_true(s.success == sum.success && s.failed == sum.failed && s.rejected == sum.rejected);
    assert_true(s.expired == sum.expired && s.cancelled == sum.cancelled);
    assert_true(s.waiting == 0 && s.running == 0 && s.executions == gal_fake_runs(b.session));
    bench_close(&b);
}

static void nothing_is_lost_and_nothing_answered_twice(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        simulate(GAL_SCHED_WORKERS, seed * 7919);
        simulate(GAL_SCHED_AUTO, seed * 104729);
        simulate(GAL_SCHED_INLINE, seed * 1299709);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_without_a_home_runs_at_once),
        cmocka_unit_test(inline_mode_answers_inside_submit_and_counts),
        cmocka_unit_test(a_failing_backend_is_told_and_counted),
        cmocka_unit_test(late_and_cancelled_jobs_cost_nothing),
        cmocka_unit_test(auto_mode_follows_the_measured_cost),
        cmocka_unit_test(a_full_queue_refuses_inside_submit),
        cmocka_unit_test(late_jobs_make_room_in_a_full_queue),
        cmocka_unit_test(a_worker_drops_what_has_become_late),
        cmocka_unit_test(a_cancelled_job_leaves_the_queue_at_once),
        cmocka_unit_test(a_running_job_that_is_cancelled_gives_its_outputs_back),
        cmocka_unit_test(workers_run_side_by_side_up_to_their_number),
        cmocka_unit_test(one_worker_keeps_the_order_of_arrival),
        cmocka_unit_test(memory_that_runs_out_is_an_error),
        cmocka_unit_test(nothing_is_lost_and_nothing_answered_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
