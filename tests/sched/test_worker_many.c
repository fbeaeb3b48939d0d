/* SPDX-License-Identifier: Apache-2.0 */
/* Workers under many loops, and without memory: every job gets its one answer, whatever happens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/thread.h"
#include "sched/crew.h"

/* ---- memory that runs out ---- */

/* How often memory is asked for in a round depends on how the workers meet: a round that did not
 * come to the failure is followed by rounds of later ones. */
enum { ENOUGH = 5 };

static bool is_told(enum gal_status status, bool is_bad, bool failed)
{
    return status == (is_bad ? GAL_INVALID : GAL_OK) || (failed && status != GAL_OK);
}

static bool survive(struct crew *c, uint64_t at, int once)
{
    c->options.policy.rows_max = 6;
    crew_open(c, 14);
    c->works[4].x[0][0] = BAD;
    c->works[7].job.wanted = c->works[8].job.wanted = toy_turned;
    crew_rows(c, 9, 4);
    c->works[0].next = &c->works[13];
    c->works[0].next_count = 1;
    const uint64_t before = gal_alloc_count();
    gal_alloc_fail_at(at, once);
    crew_send(c, 0, 13);
    crew_finish(c);
    gal_alloc_fail_at(0, 0);
    const bool failed = gal_alloc_count() - before >= at;
    for (size_t i = 0; i < 14; i++) {
        assert_int_equal(c->works[i].done, 1);
        assert_true(is_told(c->works[i].job.status, i == 4, failed));
    }
    crew_close(c);
    return !failed;
}

static void memory_that_runs_out_loses_no_job(void **state)
{
    (void)state;
    for (int once = 0; once < 2; once++) {
        int through = 0;
        for (uint64_t i = 1; through < ENOUGH; i++) {
            through += survive(crew_new(2), i, once);
            assert_true(i < 400);
        }
    }
}

static void a_scheduler_needs_memory(void **state)
{
    (void)state;
    struct crew *c = crew_new(3);
    enum gal_status status = GAL_NO_MEMORY;
    c->options.policy.keep_order = true;
    for (uint64_t i = 1; status; i++) {
        struct gal_sched *s = NULL;
        gal_alloc_fail_at(i, 1);
        status = gal_sched_new(&c->options, &s, NULL);
        gal_alloc_fail_at(0, 0);
        assert_true((status == GAL_OK) == (s != NULL));
        assert_true(i > 1 || status == GAL_NO_MEMORY);
        gal_sched_free(s);
    }
}

/* Until the worker has looked at the clock so often that some looks began after now. */
static void await_looks(struct crew *c)
{
    const uint64_t before = toy_reads;
    while (toy_reads < before + 20)
        crew_turn(c);
}

static void memory_of_a_burst_is_given_back_in_quiet(void **state)
{
    (void)state;
    struct crew *c = crew_new(1);
    crew_low_clock();
    crew_open(c, 14);
    crew_send(c, 0, 8);
    crew_finish(c);
    for (size_t i = 0; i < 8; i++)
        work_give_back(&c->works[i]);
    uint64_t before = gal_alloc_count();
    crew_send(c, 8, 2); /* at once: the memory is still there */
    crew_finish(c);
    assert_int_equal(gal_alloc_count() - before, 2); /* the jobs' own arenas */
    toy_now_us += 999999;
    await_looks(c);
    assert_int_equal(c->toy.trims, 0);
    toy_now_us += 1;
    toy_await_trims(&c->toy, 1);
    crew_expect(c, 8, GAL_OK); /* what is out stays whole */
    crew_expect(c, 9, GAL_OK);
    await_looks(c);
    toy_now_us += 1000000; /* it is looked after again */
    toy_await_trims(&c->toy, 2);
    work_give_back(&c->works[8]);
    work_give_back(&c->works[9]);
    await_looks(c);
    toy_now_us += 1000000;
    toy_await_trims(&c->toy, 3);
    toy_now_us += 1000000; /* there is no more: nobody wakes for it */
    before = gal_alloc_count();
    crew_send(c, 10, 4);
    crew_finish(c);
    assert_true(gal_alloc_count() - before > 4);
    assert_int_equal(c->toy.trims, 3);
    crew_close(c);
}

/* A call of eight rows, then calls of one, with a look behind each: it is over with the third. */
static void burst_and_go_on(struct crew *c)
{
    crew_open(c, 20);
    crew_send(c, 0, 8);
    crew_finish(c);
    for (size_t i = 0; i < 8; i++)
        work_give_back(&c->works[i]);
    gal_sched_tidy(c->sched);
    for (size_t i = 8; i < 11; i++) {
        assert_int_equal(c->toy.trims, 0);
        crew_send(c, i, 1);
        crew_finish(c);
        gal_sched_tidy(c->sched);
    }
}

static void memory_of_a_burst_is_given_back_while_small_calls_go_on(void **state)
{
    (void)state;
    struct crew *c = crew_new(2); /* time stands: there is no quiet */
    burst_and_go_on(c);
    toy_await_trims(&c->toy, 1);
    const uint64_t before = gal_alloc_count();
    crew_send(c, 11, 4);
    crew_finish(c);
    assert_true(gal_alloc_count() - before > 4); /* more than the jobs' own arenas */
    for (unsigned i = 0; i < 10; i++)
        gal_sched_tidy(c->sched); /* behind a call of four rows */
    crew_send(c, 15, 2);
    crew_finish(c);
    assert_int_equal(c->toy.trims, 1);
    crew_close(c);
}

static void memory_of_a_burst_on_loops_is_given_back_too(void **state)
{
    (void)state;
    struct crew *c = crew_new(1);
    c->options.mode = GAL_SCHED_INLINE;
    burst_and_go_on(c);
    assert_int_equal(c->toy.trims, 1);
    crew_close(c);
}

/* ---- many loops, many workers ---- */

enum { LOOPS = 3, JOBS = 300 };

struct side {
    struct gal_loop *loop;
    struct gal_turn *turn;
    struct gal_sched *sched;
    struct gal_task step;
    struct work works[JOBS];
    uint64_t random;
    size_t submitted;
    pthread_t thread;
};

static uint64_t next_random(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

static void submit_one(struct side *s)
{
    struct work *w = &s->works[s->submitted++];
    const uint64_t r = next_random(&s->random);
    work_init(w, (float)(r % 500), 1 + (r >> 9) % ROWS_MAX);
    w->sched = s->sched;
    w->job.home = s->loop;
    w->job.turn = (r >> 12) % 8 ? s->turn : NULL;
    w->job.wanted = (r >> 16) % 4 ? toy_both : toy_turned;
    w->job.priority = (r >> 18) % 4;
    w->job.deadline_us = (r >> 20) % 4 == 0 ? toy_now_us + (r >> 24) % 200 : 0;
    w->job.timeout_us = (r >> 22) % 4 == 0 ? 1 + (r >> 32) % 100 : 0;
    if ((r >> 40) % 32 == 0)
        w->x[0][0] = BAD;
    work_submit(w);
}

/* A few jobs; some of those under way are cancelled or expire, some answers are given back. */
static void step(struct gal_task *task)
{
    struct side *s = (struct side *)((char *)task - offsetof(struct side, step));
    size_t done = 0;
    for (uint64_t n = next_random(&s->random) % 12; n > 0 && s->submitted < JOBS; n--)
        submit_one(s);
    for (size_t i = 0; i < s->submitted; i++) {
        struct work *w = &s->works[i];
        const uint64_t r = next_random(&s->random);
        done += w->done > 0;
        if (w->done == 0 && r % 64 == 0)
            gal_job_cancel(&w->job);
        else if (w->done == 0 && w->job.expires_us != 0 && w->job.expires_us <= toy_now_us)
            gal_job_expire(&w->job);
        else if (w->done == 1 && w->job.status == GAL_OK && !w->released && r % 4 == 0) {
            work_check(w);
            work_give_back(w);
        }
    }
    toy_now_us += next_random(&s->random) % 20;
    if (done == JOBS)
        gal_loop_stop(s->loop);
    else
        gal_loop_post(s->loop, &s->step);
}

static void on_turn(void *turn)
{
    gal_turn_run(turn);
}

static void *run_side(void *arg)
{
    struct side *s = arg;
    gal_loop_post(s->loop, &s->step);
    gal_loop_run(s->loop);
    return NULL;
}

static void side_open(struct side *s, struct gal_sched *sched, uint64_t seed)
{
    memset(s, 0, sizeof *s);
    assert_int_equal(gal_loop_new(&s->loop, NULL), GAL_OK);
    assert_int_equal(gal_turn_new(&toy_clock, &s->turn, NULL), GAL_OK);
    gal_loop_on_turn(s->loop, on_turn, s->turn);
    s->sched = sched;
    s->random = seed * 2654435761u + 1;
    s->step.run = step;
}

static void side_close(struct side *s, uint64_t *by_status)
{
    for (size_t i = 0; i < JOBS; i++) {
        struct work *w = &s->works[i];
        assert_int_equal(w->done, 1);
        assert_true(pthread_equal(w->ran_on, s->thread));
        by_status[w->job.status]++;
        if (w->job.status == GAL_OK && !w->released) {
            work_check(w);
            work_give_back(w);
        }
        gal_arena_release(&w->arena);
    }
    gal_loop_on_turn(s->loop, NULL, NULL);
    gal_loop_free(s->loop);
    gal_turn_free(s->turn);
}

static void simulate(const struct gal_sched_options *o, struct toy *toy, uint64_t seed,
                     uint64_t *sum)
{
    static struct side sides[LOOPS];
    struct gal_sched *sched = toy_start(o);
    uint64_t n[GAL_STATUS_COUNT] = {0};
    struct gal_sched_stats s;
    for (size_t i = 0; i < LOOPS; i++)
        side_open(&sides[i], sched, seed * 100 + i);
    for (size_t i = 0; i < LOOPS; i++)
        assert_int_equal(gal_thread_start(&sides[i].thread, "side", run_side, &sides[i], NULL),
                         GAL_OK);
    for (size_t i = 0; i < LOOPS; i++)
        pthread_join(sides[i].thread, NULL);
    for (size_t i = 0; i < LOOPS; i++)
        side_close(&sides[i], n);
    gal_sched_stats(sched, &s);
    assert_true(s.success == n[GAL_OK] && s.failed == n[GAL_INVALID]);
    assert_true(s.expired == n[GAL_DEADLINE] && s.cancelled == n[GAL_CANCELLED]);
    assert_true(s.rejected == n[GAL_OVERLOADED]);
    assert_int_equal(s.success + s.failed + s.expired + s.cancelled + s.rejected, LOOPS * JOBS);
    assert_true(s.waiting == 0 && s.running == 0 && s.in_flight == 0);
    assert_true(s.executions == toy->runs && toy->live == 0);
    for (size_t i = 0; i < GAL_STATUS_COUNT; i++)
        sum[i] += n[i];
    gal_sched_free(sched);
}

static bool saw_all(const uint64_t *sum)
{
    return sum[GAL_OK] > 0 && sum[GAL_INVALID] > 0 && sum[GAL_DEADLINE] > 0 &&
           sum[GAL_CANCELLED] > 0 && sum[GAL_OVERLOADED] > 0;
}

/* How many of a kind there are is up to the machine: more seeds until there was one of each. */
static void nothing_is_lost_and_nothing_answered_twice(void **state)
{
    (void)state;
    static struct toy toy;
    uint64_t sum[GAL_STATUS_COUNT] = {0};
    for (uint64_t seed = 1; seed <= 16 || (seed <= 500 && !saw_all(sum)); seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        toy_now_us = seed % 2 ? CREW_START_US : 1000;
        struct gal_sched_options o =
            toy_options(&toy, seed % 5 == 4 ? GAL_SCHED_AUTO : GAL_SCHED_WORKERS);
        toy.row_cost_us = seed % 3;
        o.workers = 1 + (unsigned)seed % 3;
        o.policy.rows_max = 1 + seed % 9;
        o.policy.keep_order = seed % 3 == 1;
        o.policy.levels = 1 + (unsigned)seed % 4;
        o.policy.default_level = 1;
        o.policy.delay_us_max = seed % 4 == 2 ? 20 : 0; /* with the low clock: it goes on */
        o.policy.jobs_max = 10 + seed;
        o.policy.level[0].action = seed % 2 ? GAL_TIMEOUT_REJECT : GAL_TIMEOUT_DELAY;
        simulate(&o, &toy, seed, sum);
    }
    assert_true(saw_all(sum));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_that_runs_out_loses_no_job),
        cmocka_unit_test(a_scheduler_needs_memory),
        cmocka_unit_test(memory_of_a_burst_is_given_back_in_quiet),
        cmocka_unit_test(memory_of_a_burst_is_given_back_while_small_calls_go_on),
        cmocka_unit_test(memory_of_a_burst_on_loops_is_given_back_too),
        cmocka_unit_test(nothing_is_lost_and_nothing_answered_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
