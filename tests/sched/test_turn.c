/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs of one turn, over the toy backend. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/fake.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/thread.h"
#include "sched/toy.h"
#include "support/onnx_model.h"

enum { JOBS = 256 };

/* ---- one loop's turn and a model ---- */

struct bench {
    struct toy toy;
    struct gal_sched *sched;
    struct gal_turn *turn;
    struct work works[JOBS];
    size_t count;
    struct gal_loop *loop;
};

static struct bench bench;

static struct bench *bench_open(enum gal_sched_mode mode, size_t count)
{
    struct bench *b = &bench;
    toy_now_us = 1000;
    b->sched = toy_open(&b->toy, mode);
    b->count = count;
    assert_int_equal(gal_turn_new(&toy_clock, &b->turn, NULL), GAL_OK);
    assert_int_equal(gal_loop_new(&b->loop, NULL), GAL_OK);
    for (size_t i = 0; i < count; i++) {
        work_init(&b->works[i], (float)i, 1);
        b->works[i].sched = b->sched;
        b->works[i].job.turn = b->turn;
        b->works[i].job.home = b->loop;
    }
    return b;
}

/* What holds after every step. */
static void check(const struct bench *b)
{
    struct gal_sched_stats s;
    uint64_t by_status[GAL_STATUS_COUNT] = {0}, rows = 0, done = 0, out = 0;
    bool waits = false;
    gal_sched_stats(b->sched, &s);
    for (size_t i = 0; i < b->count; i++) {
        const struct work *w = &b->works[i];
        assert_true(w->done <= 1);
        waits |= w->submitted && w->done == 0;
        if (w->done == 0)
            continue;
        by_status[w->job.status]++;
        rows += w->job.status == GAL_OK ? w->job.rows : 0;
        done += w->sched == b->sched;
        if (w->job.status == GAL_OK && !w->released) {
            work_check(w);
            out++;
        }
    }
    assert_int_equal(gal_turn_waits(b->turn), waits);
    assert_true((out == 0) == (b->toy.live == 0) || waits);
    assert_int_equal(s.executions, b->toy.runs);
    assert_int_equal(s.success + s.failed + s.rejected + s.expired + s.cancelled, done);
    assert_true(s.running == 0 && s.waiting == 0 && s.rejected == 0);
    if (done == b->count) {
        assert_true(s.success == by_status[GAL_OK] && s.rows == rows);
        assert_true(s.expired == by_status[GAL_DEADLINE]);
        assert_true(s.cancelled == by_status[GAL_CANCELLED]);
    }
}

static void submit(struct bench *b, size_t from, size_t count)
{
    for (size_t i = from; i < from + count; i++) {
        work_submit(&b->works[i]);
        check(b);
    }
}

static void run(struct bench *b)
{
    gal_turn_run(b->turn);
    assert_false(gal_turn_waits(b->turn));
    check(b);
}

static void assert_status(const struct work *w, enum gal_status status)
{
    assert_int_equal(w->done, 1);
    assert_int_equal(w->job.status, status);
}

static void assert_all(const struct bench *b, enum gal_status status)
{
    for (size_t i = 0; i < b->count; i++)
        assert_status(&b->works[i], status);
}

static void bench_close(struct bench *b)
{
    for (size_t i = 0; i < b->count; i++) {
        struct work *w = &b->works[i];
        if (w->done && w->job.status == GAL_OK && !w->released)
            work_give_back(w);
        gal_arena_release(&w->arena);
    }
    assert_int_equal(b->toy.live, 0);
    gal_turn_free(b->turn);
    gal_sched_free(b->sched);
    gal_loop_free(b->loop);
}

/* ---- one call ---- */

static void jobs_of_a_turn_are_one_call_and_each_gets_its_rows(void **state)
{
    (void)state;
    struct bench *b = bench_open(GAL_SCHED_INLINE, 7);
    submit(b, 0, 7);
    assert_int_equal(b->toy.runs, 0);
    run(b);
    assert_all(b, GAL_OK);
    assert_true(b->toy.runs == 1 && b->toy.rows_seen == 7 && b->toy.live == 2);
    assert_true(b->works[6].job.started_us == 1000 && b->works[6].job.finished_us == 1000);
    bench_close(b);
}

static void a_lone_job_is_run_by_itself(void **state)
{
    (void)state;
    struct bench *b = bench_open(GAL_SCHED_INLINE, 1);
    submit(b, 0, 1);
    run(b);
    assert_all(b, GAL_OK);
    assert_null(b->works[0].job.batch);
    bench_close(b);
}

static void jobs_bring_different_numbers_of_rows(void **state)
{
    (void)state;
    static const size_t rows[] = {1, 4, 2, 1, 3};
    struct bench *b = bench_open(GAL_SCHED_INLINE, 5);
    for (size_t i = 0; i < 5; i++) {
        b->works[i].shape[0] = (int64_t)rows[i];
        b->works[i].job.rows = rows[i];
        for (size_t k = 0; k < INPUTS; k++) {
            b->works[i].inputs[k].tensor.count = rows[i] * COLS;
            for (size_t n = 0; n < rows[i] * COLS; n++)
                b->works[i].x[k][n] = (float)(100 * i + 10 * n + k);
        }
    }
    submit(b, 0, 5);
    run(b);
    assert_all(b, GAL_OK);
    assert_true(b->toy.runs == 1 && b->toy.rows_seen == 11);
    bench_close(b);
}

static void outputs_come_in_the_order_that_is_wanted(void **state)
{
    (void)state;
    struct bench *b = bench_open(GAL_SCHED_INLINE, 3);
    for (size_t i = 0; i < 3; i++)
        b->works[i].job.wanted = toy_turned;
    submit(b, 0, 3);
    run(b);
    assert_all(b, GAL_OK);
    assert_int_equal(b->toy.runs, 1);
    bench_close(b);
}

static void rows_without_elements_are_told_as_such(void **state)
{
    (void)state;
    static const int64_t nothing[] = {1, 0};
    struct bench *b = bench_open(GAL_SCHED_INLINE, 3);
    for (size_t i = 0; i < 3; i++) {
        struct gal_tensor *t = &b->works[i].inputs[1].tensor;
        t->shape = nothing;
        t->count = 0;
        t->data = NULL;
    }
    submit(b, 0, 3);
    run(b);
    assert_all(b, GAL_OK);
    assert_int_equal(b->toy.runs, 1);
    bench_close(b);
}

/* ---- what does not go together ---- */

static int64_t wide[] = {1, COLS, 1};

static void what_differs_is_not_mixed(void **state)
{
    (void)state;
    for (int how = 0; how < WORK_ODDS; how++) {
        struct bench *b = bench_open(GAL_SCHED_INLINE, 4);
        work_make_odd(&b->works[1], how);
        submit(b, 0, 4);
        run(b);
        assert_all(b, GAL_OK);
        assert_true(b->toy.runs == 2 && b->toy.rows_seen == 3);
        assert_null(b->works[1].job.batch);
        bench_close(b);
    }
}

static void kinds_that_alternate_become_one_call_each(void **state)
{
    (void)state;
    struct bench *b = bench_open(GAL_SCHED_INLINE, 8);
    for (size_t i = 1; i < 8; i += 2)
        b->works[i].job.wanted = toy_turned;
    submit(b, 0, 8);
    run(b);
    assert_all(b, GAL_OK);
    assert_true(b->toy.runs == 2 && b->toy.rows_seen == 4);
    bench_close(b);
}

static void models_are_not_mixed(void **state)
{
    (void)state;
    static struct toy other;
    struct bench *b = bench_open(GAL_SCHED_INLINE, 4);
    struct gal_sched *s = toy_open(&other, GAL_SCHED_INLINE);
    b->works[1].sched = b->works[3].sched = s;
    for (size_t i = 0; i < 4; i++)
        work_submit(&b->works[i]);
    run(b);
    assert_all(b, GAL_OK);
    assert_true(b->toy.runs == 1 && other.runs == 1 && other.rows_seen == 2);
    for (size_t i = 0; i < 4; i++)
        work_give_back(&b->works[i]);
    assert_int_equal(other.live, 0);
    bench_close(b);
    gal_sched_free(s);
}

static void a_model_whose_rows_are_not_known_apart_runs_at_once(void **state)
{
    (void)state;
    struct bench *b = bench_open(GAL_SCHED_INLINE, 0);
    struct gal_sched_options o = {.ops = &toy_ops,
                                  .session = (struct gal_session *)&b->toy,
                                  .clock = &toy_clock,
                                  .mode = GAL_SCHED_INLINE,
                                  .workers = 1};
    struct gal_sched *s;
    static struct work w;
    gal_policy_init(&o.policy);
    assert_int_equal(gal_sched_new(&o, &s, NULL), GAL_OK);
    work_init(&w, 1, 1);
    w.job.turn = b->turn;
    w.job.home = b->loop;
    gal_sched_submit(s, &w.job);
    assert_status(&w, GAL_OK);
    work_check(&w);
    work_give_back(&w);
    gal_arena_release(&w.arena);
    gal_sched_free(s);
    bench_close(b);
}

static void texts_run_as_one_and_each_gets_its_own(void **state)
{
    (void)state;
    const struct gal_backend_options none = {0};
    const struct gal_str says = GAL_STR("input x BYTES [-1]\noutput y BYTES [-1]\n");
    static const struct gal_str texts[] = {{"abc", 3}, {"", 0}, {"x", 1}};
    static const char *const twice[] = {"abcabc", "", "xx"};
    static struct work w[3];
    struct gal_session *session;
    struct gal_sched *s;
    struct gal_turn *turn;
    assert_int_equal(
        gal_backend_fake.load(test_file_write("texts.txt", says), &none, &session, NULL), GAL_OK);
    struct gal_sched_options o = {.ops = &gal_backend_fake,
                                  .session = session,
                                  .clock = &toy_clock,
                                  .mode = GAL_SCHED_INLINE,
                                  .workers = 1};
    gal_policy_init(&o.policy);
    assert_int_equal(gal_sched_new(&o, &s, NULL), GAL_OK);
    assert_int_equal(gal_turn_new(&toy_clock, &turn, NULL), GAL_OK);
    gal_sched_stack(s);
    for (size_t i = 0; i < 3; i++) {
        work_init(&w[i], 0, 1);
        w[i].inputs[0].tensor =
            (struct gal_tensor){GAL_STR("x"), GAL_DT_BYTES, 1, wide, 1, &texts[i]};
        w[i].job.output_count = 1;
        w[i].job.turn = turn;
        gal_sched_submit(s, &w[i].job);
    }
    gal_turn_run(turn);
    assert_int_equal(gal_fake_runs(session), 1);
    for (size_t i = 0; i < 3; i++) {
        assert_status(&w[i], GAL_OK);
        assert_true(gal_str_is(*(const struct gal_str *)w[i].outputs[0].tensor.data, twice[i]));
        work_give_back(&w[i]);
        gal_arena_release(&w[i].arena);
    }
    gal_turn_free(turn);
    gal_sched_free(s);
    gal_backend_fake.free(session);
}

/* ---- what goes wrong ---- */

static void an_output_without_rows_falls_back_to_single_runs(void **state)
{
    (void)state;
    for (size_t odd = 0; odd < 2; odd++) {
        struct bench *b = bench_open(GAL_SCHED_INLINE, 5);
        b->toy.odd_output = odd;
        submit(b, 0, 5);
        run(b);
        assert_all(b, GAL_OK);
        assert_int_equal(b->toy.runs, 6);
        assert_int_equal(b->toy.live, 10); /* nothing of the call for all */
        bench_close(b);
    }
}

static void a_bad_job_fails_alone(void **state)
{
    (void)state;
    struct bench *b = bench_open(GAL_SCHED_INLINE, 6);
    b->works[3].x[1][2] = BAD;
    submit(b, 0, 6);
    run(b);
    assert_int_equal(b->toy.runs, 7);
    for (size_t i = 0; i < 6; i++)
        assert_status(&b->works[i], i == 3 ? GAL_INVALID : GAL_OK);
    assert_string_equal(b->works[3].job.err.message, "toy: a bad element");
    bench_close(b);
}

/* ---- rows that are too large for company ---- */

enum { WIDE = 8200 }; /* elements of an input's row: with the other's, more than 64 KiB */

static struct bench *bench_open_wide(const struct gal_sched_options *o, size_t count)
{
    static const int64_t shape[] = {1, WIDE};
    static float x[4][WIDE];
    struct bench *b = bench_open(GAL_SCHED_INLINE, count);
    gal_sched_free(b->sched);
    b->toy.runs = 0;
    b->sched = toy_start(o);
    for (size_t i = 0; i < count; i++) {
        struct work *w = &b->works[i];
        for (size_t n = 0; n < WIDE; n++)
            x[i][n] = (float)(100 * i + n % 100);
        gal_arena_release(&w->arena);
        gal_arena_init(&w->arena, 1024, 4096, 1 << 20);
        w->sched = b->sched;
        for (size_t k = 0; k < INPUTS; k++) {
            w->inputs[k].tensor.shape = shape;
            w->inputs[k].tensor.count = WIDE;
            w->inputs[k].tensor.data = x[i];
        }
    }
    return b;
}

static void check_wide(const struct gal_sched_options *o, uint64_t cost_of_four_ns, uint64_t runs)
{
    struct bench *b = bench_open_wide(o, 4);
    gal_sched_observe(b->sched, 1, 100000);
    if (cost_of_four_ns > 0)
        gal_sched_observe(b->sched, 4, cost_of_four_ns);
    submit(b, 0, 4);
    run(b);
    assert_all(b, GAL_OK);
    assert_int_equal(b->toy.runs, runs);
    bench_close(b);
}

static void large_rows_share_a_call_where_that_saves_more_than_their_copy(void **state)
{
    (void)state;
    struct gal_sched_options o = toy_options(&bench.toy, GAL_SCHED_INLINE);
    check_wide(&o, 0, 1);      /* nobody has tried */
    check_wide(&o, 360000, 1); /* 10 us a row: 80,000 bytes are copied in less */
    check_wide(&o, 380000, 4);
    o.policy.delay_us_max = 1000; /* company is asked for */
    check_wide(&o, 380000, 1);
}

/* Its inputs are in the caches while it is read. */
static void what_shares_no_call_on_one_core_runs_at_once(void **state)
{
    (void)state;
    struct gal_sched_options o = toy_options(&bench.toy, GAL_SCHED_INLINE);
    o.one_core = true;
    struct bench *b = bench_open_wide(&o, 2);
    gal_sched_observe(b->sched, 1, 100000);
    gal_sched_observe(b->sched, 4, 400000);
    submit(b, 0, 1);
    assert_status(&b->works[0], GAL_OK);
    assert_false(gal_turn_waits(b->turn));
    submit(b, 1, 1);
    assert_int_equal(b->toy.runs, 2);
    bench_close(b);
    o.policy.target_us = 6000; /* who is turned away for it, the turn tells */
    b = bench_open_wide(&o, 1);
    gal_sched_observe(b->sched, 1, 100000);
    gal_sched_observe(b->sched, 4, 400000);
    submit(b, 0, 1);
    assert_true(gal_turn_waits(b->turn));
    run(b);
    assert_all(b, GAL_OK);
    bench_close(b);
}

static void late_and_cancelled_jobs_are_left_out_of_the_call(void **state)
{
    (void)state;
    struct bench *b = bench_open(GAL_SCHED_INLINE, 6);
    b->works[0].job.deadline_us = 1500;
    b->works[1].job.deadline_us = 2500;
    submit(b, 0, 6);
    gal_job_cancel(&b->works[4].job);
    gal_job_expire(&b->works[2].job); /* is not late by the clock: it runs */
    check(b);
    assert_int_equal(b->works[4].done, 0); /* never from inside */
    toy_now_us = 2000;
    run(b);
    assert_true(b->toy.runs == 1 && b->toy.rows_seen == 4);
    assert_status(&b->works[0], GAL_DEADLINE);
    assert_status(&b->works[4], GAL_CANCELLED);
    assert_true(b->works[0].job.started_us == 0 && b->works[4].job.started_us == 0);
    for (size_t i = 1; i < 4; i++)
        assert_status(&b->works[i], GAL_OK);
    bench_close(b);
}

static void a_turn_of_which_all_are_gone_runs_nothing(void **state)
{
    (void)state;
    struct bench *b = bench_open(GAL_SCHED_INLINE, 3);
    submit(b, 0, 3);
    for (size_t i = 0; i < 3; i++)
        gal_job_cancel(&b->works[i].job);
    run(b);
    assert_all(b, GAL_CANCELLED);
    assert_int_equal(b->toy.runs, 0);
    bench_close(b);
}

static void a_job_cancelled_by_an_answer_of_its_group_gives_its_share_back(void **state)
{
    (void)state;
    struct bench *b = bench_open(GAL_SCHED_INLINE, 3);
    b->works[0].cancels = &b->works[1];
    submit(b, 0, 3);
    run(b);
    assert_status(&b->works[1], GAL_CANCELLED);
    assert_true(b->toy.runs == 1 && b->toy.live == 2);
    work_give_back(&b->works[0]);
    check(b);
    work_give_back(&b->works[2]);
    assert_int_equal(b->toy.live, 0);
    bench_close(b);
}

/* ---- outputs ---- */

static void outputs_stay_until_the_last_job_is_released_in_any_order(void **state)
{
    (void)state;
    static const size_t orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                        {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (size_t k = 0; k < 6; k++) {
        struct bench *b = bench_open(GAL_SCHED_INLINE, 6);
        submit(b, 0, 3);
        run(b);
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(b->toy.live, i == 0 ? 2 : 4);
            if (i == 0) { /* another call while the first one's outputs are out */
                submit(b, 3, 3);
                run(b);
            }
            work_give_back(&b->works[orders[k][i]]);
            check(b);
        }
        assert_int_equal(b->toy.live, 2);
        bench_close(b);
    }
}

static void a_second_round_takes_no_memory(void **state)
{
    (void)state;
    struct bench *b = bench_open(GAL_SCHED_INLINE, 20);
    uint64_t before = 0;
    for (int round = 0; round < 3; round++) {
        if (round > 0)
            before = gal_alloc_count();
        for (size_t i = 0; i < 20; i++) {
            work_submit(&b->works[i]);
            if (i % 10 == 9)
                gal_turn_run(b->turn); /* two calls are out at once */
        }
        assert_int_equal(b->toy.live, 4);
        for (size_t i = 20; i-- > 0;) {
            work_check(&b->works[i]);
            gal_job_release(&b->works[i].job);
            gal_arena_clear(&b->works[i].arena);
        }
        assert_int_equal(b->toy.live, 0);
        if (round > 0)
            assert_int_equal(gal_alloc_count(), before);
    }
    for (size_t i = 0; i < 20; i++)
        b->works[i].released = true;
    bench_close(b);
}

/* Slow clients may have held a great many at once: their memory does not stay for ever. */
static void few_batches_are_kept_of_very_many(void **state)
{
    (void)state;
    struct bench *b = bench_open(GAL_SCHED_INLINE, 80);
    uint64_t taken = 0;
    for (int round = 0; round < 3; round++) {
        taken = gal_alloc_count();
        for (size_t i = 0; i < 80; i++) {
            work_submit(&b->works[i]);
            if (i % 2)
                gal_turn_run(b->turn);
        }
        taken = gal_alloc_count() - taken;
        assert_int_equal(b->toy.live, 80);
        for (size_t i = 0; i < 80; i++) {
            gal_job_release(&b->works[i].job);
            gal_arena_clear(&b->works[i].arena);
        }
    }
    assert_true(taken > 0);
    for (size_t i = 0; i < 80; i++)
        b->works[i].released = true;
    bench_close(b);
}

/* ---- many ---- */

static void a_full_turn_runs_without_waiting_for_its_end(void **state)
{
    (void)state;
    struct bench *b = bench_open(GAL_SCHED_INLINE, GAL_TURN_JOBS_MAX + 5);
    submit(b, 0, GAL_TURN_JOBS_MAX - 1);
    assert_int_equal(b->toy.runs, 0);
    submit(b, GAL_TURN_JOBS_MAX - 1, 6);
    assert_true(b->toy.runs == 1 && b->toy.rows_seen == GAL_TURN_JOBS_MAX);
    run(b);
    assert_all(b, GAL_OK);
    assert_int_equal(b->toy.runs, 2);
    bench_close(b);
}

static void an_answer_may_bring_the_next_job(void **state)
{
    (void)state;
    enum { LINES = GAL_TURN_JOBS_MAX, LENGTH = 3 };
    struct bench *b = bench_open(GAL_SCHED_INLINE, LINES * LENGTH);
    for (size_t i = 0; i < LINES * (LENGTH - 1); i++) {
        b->works[i].next = &b->works[i + LINES];
        b->works[i].next_count = 1;
    }
    for (size_t i = 0; i < LINES; i++)
        work_submit(&b->works[i]); /* the last one runs them all */
    check(b);
    assert_all(b, GAL_OK);
    assert_int_equal(b->toy.runs, LENGTH);
    bench_close(b);
}

static void an_answer_may_bring_more_jobs_than_wait(void **state)
{
    (void)state;
    enum { MORE = 8 };
    struct bench *b = bench_open(GAL_SCHED_INLINE, 2 + GAL_TURN_JOBS_MAX + MORE + 1);
    b->works[0].next = &b->works[2];
    b->works[0].next_count = GAL_TURN_JOBS_MAX + MORE;
    /* One of those that find no room brings one too. */
    b->works[2 + GAL_TURN_JOBS_MAX].next = &b->works[b->count - 1];
    b->works[2 + GAL_TURN_JOBS_MAX].next_count = 1;
    submit(b, 0, 2);
    run(b);
    assert_all(b, GAL_OK);
    /* The two, all that the first brings as calls of at most that many rows, and the last. */
    size_t calls = (GAL_TURN_JOBS_MAX + MORE + GAL_BATCH_ROWS_MAX - 1) / GAL_BATCH_ROWS_MAX;
    assert_int_equal(b->toy.runs, 1 + calls + 1);
    bench_close(b);
}

/* ---- memory ---- */

static void memory_that_runs_out_loses_no_job(void **state)
{
    (void)state;
    for (int once = 0; once < 2; once++) {
        bool is_through = false;
        for (uint64_t i = 1; !is_through; i++) {
            struct bench *b = bench_open(GAL_SCHED_INLINE, 9);
            b->works[4].x[0][0] = BAD;
            b->works[7].job.wanted = b->works[8].job.wanted = toy_turned;
            b->works[0].next = &b->works[6];
            b->works[0].next_count = 1;
            uint64_t before = gal_alloc_count();
            gal_alloc_fail_at(i, once);
            for (size_t k = 0; k < 9; k++) {
                if (k != 6)
                    work_submit(&b->works[k]);
            }
            gal_turn_run(b->turn);
            gal_alloc_fail_at(0, 0);
            is_through = gal_alloc_count() - before < i;
            check(b);
            for (size_t k = 0; k < 9; k++) {
                enum gal_status status = b->works[k].job.status;
                assert_int_equal(b->works[k].done, 1);
                assert_true(status == (k == 4 ? GAL_INVALID : GAL_OK) ||
                            (!is_through && status == GAL_NO_MEMORY));
            }
            bench_close(b);
            assert_true(i < 200);
        }
    }
}

static void a_turn_needs_memory(void **state)
{
    (void)state;
    struct gal_turn *t = NULL;
    gal_alloc_fail_at(1, 1);
    assert_int_equal(gal_turn_new(&toy_clock, &t, NULL), GAL_NO_MEMORY);
    gal_alloc_fail_at(0, 0);
    assert_null(t);
    gal_turn_free(NULL);
}

/* ---- loops side by side on one model ---- */

enum { LOOPS = 3, TURNS = 300, A_TURN = 40 };

struct side {
    struct gal_sched *sched;
    struct gal_turn *turn;
    struct work works[A_TURN];
    uint64_t random, by_status[GAL_STATUS_COUNT];
    pthread_t thread;
};

static uint64_t next_random(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

static void side_turn(struct side *s)
{
    size_t count = next_random(&s->random) % A_TURN;
    for (size_t i = 0; i < count; i++) {
        struct work *w = &s->works[i];
        uint64_t r = next_random(&s->random);
        work_init(w, (float)(r % 500), 1 + r % ROWS_MAX);
        w->sched = s->sched;
        w->job.turn = s->turn;
        w->job.wanted = r >> 8 & 1 ? toy_both : toy_turned;
        w->job.deadline_us = (r >> 9) % 8 == 0 ? toy_now_us + (r >> 12) % 10 : 0;
        if ((r >> 16) % 64 == 0)
            w->x[0][0] = BAD;
        work_submit(w);
        if ((r >> 24) % 16 == 0 && w->done == 0)
            gal_job_cancel(&w->job);
        toy_now_us += (r >> 32) % 3;
    }
    gal_turn_run(s->turn);
    for (size_t i = 0; i < count; i++) {
        struct work *w = &s->works[i];
        s->by_status[w->done == 1 ? w->job.status : GAL_INTERNAL]++;
        if (w->job.status == GAL_OK) {
            work_check(w);
            work_give_back(w);
        }
        gal_arena_release(&w->arena);
    }
}

static void *run_side(void *arg)
{
    for (int i = 0; i < TURNS; i++)
        side_turn(arg);
    return NULL;
}

static void loops_do_not_meet_in_each_others_calls(void **state)
{
    (void)state;
    static struct side sides[LOOPS];
    static struct toy toy;
    struct gal_sched *sched = toy_open(&toy, GAL_SCHED_INLINE);
    struct gal_sched_stats s;
    uint64_t sum[GAL_STATUS_COUNT] = {0};
    for (size_t i = 0; i < LOOPS; i++) {
        sides[i].sched = sched;
        sides[i].random = (i + 1) * UINT64_C(7919);
        assert_int_equal(gal_turn_new(&toy_clock, &sides[i].turn, NULL), GAL_OK);
        assert_int_equal(pthread_create(&sides[i].thread, NULL, run_side, &sides[i]), 0);
    }
    for (size_t i = 0; i < LOOPS; i++) {
        pthread_join(sides[i].thread, NULL);
        for (size_t k = 0; k < GAL_STATUS_COUNT; k++)
            sum[k] += sides[i].by_status[k];
        gal_turn_free(sides[i].turn);
    }
    gal_sched_stats(sched, &s);
    assert_true(s.success == sum[GAL_OK] && s.failed == sum[GAL_INVALID]);
    assert_true(s.expired == sum[GAL_DEADLINE] && s.cancelled == sum[GAL_CANCELLED]);
    assert_true(sum[GAL_INTERNAL] == 0 && s.rejected == 0 && toy.live == 0);
    assert_true(s.executions == toy.runs && s.executions < s.success);
    assert_true(s.failed > 0 && s.expired > 0 && s.cancelled > 0);
    gal_sched_free(sched);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_of_a_turn_are_one_call_and_each_gets_its_rows),
        cmocka_unit_test(a_lone_job_is_run_by_itself),
        cmocka_unit_test(jobs_bring_different_numbers_of_rows),
        cmocka_unit_test(outputs_come_in_the_order_that_is_wanted),
        cmocka_unit_test(rows_without_elements_are_told_as_such),
        cmocka_unit_test(what_differs_is_not_mixed),
        cmocka_unit_test(kinds_that_alternate_become_one_call_each),
        cmocka_unit_test(models_are_not_mixed),
        cmocka_unit_test(a_model_whose_rows_are_not_known_apart_runs_at_once),
        cmocka_unit_test(texts_run_as_one_and_each_gets_its_own),
        cmocka_unit_test(an_output_without_rows_falls_back_to_single_runs),
        cmocka_unit_test(a_bad_job_fails_alone),
        cmocka_unit_test(large_rows_share_a_call_where_that_saves_more_than_their_copy),
        cmocka_unit_test(what_shares_no_call_on_one_core_runs_at_once),
        cmocka_unit_test(late_and_cancelled_jobs_are_left_out_of_the_call),
        cmocka_unit_test(a_turn_of_which_all_are_gone_runs_nothing),
        cmocka_unit_test(a_job_cancelled_by_an_answer_of_its_group_gives_its_share_back),
        cmocka_unit_test(outputs_stay_until_the_last_job_is_released_in_any_order),
        cmocka_unit_test(a_second_round_takes_no_memory),
        cmocka_unit_test(few_batches_are_kept_of_very_many),
        cmocka_unit_test(a_full_turn_runs_without_waiting_for_its_end),
        cmocka_unit_test(an_answer_may_bring_the_next_job),
        cmocka_unit_test(an_answer_may_bring_more_jobs_than_wait),
        cmocka_unit_test(memory_that_runs_out_loses_no_job),
        cmocka_unit_test(a_turn_needs_memory),
        cmocka_unit_test(loops_do_not_meet_in_each_others_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
