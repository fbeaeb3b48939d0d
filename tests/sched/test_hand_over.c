/* SPDX-License-Identifier: Apache-2.0 */
/* Where loops and workers share a model that is cheap alone: what a turn has read counts together.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sched/crew.h"
#include "sched/sched_impl.h"

#define INLINE_ROWS 4

/* 50 us a row: of the 200 that may run on a loop, four. */
static struct crew *open_cheap(size_t count)
{
    struct crew *c = crew_new(1);
    c->options.mode = GAL_SCHED_AUTO;
    c->options.inline_us_max = 200;
    crew_open(c, count);
    gal_sched_observe(c->sched, 1, 50000);
    assert_true(gal_sched_is_inline(c->sched, INLINE_ROWS));
    assert_false(gal_sched_is_inline(c->sched, INLINE_ROWS + 1));
    return c;
}

static void what_a_turn_has_read_runs_there_while_it_is_cheap_together(void **state)
{
    (void)state;
    struct crew *c = open_cheap(INLINE_ROWS);
    crew_send(c, 0, INLINE_ROWS);
    crew_expect_all(c, GAL_OK); /* without a turn of the loop: it has run here */
    crew_expect_call(c, 0, 0, INLINE_ROWS);
    crew_close(c);
}

static void what_is_dear_together_is_one_call_of_a_worker(void **state)
{
    (void)state;
    struct crew *c = open_cheap(12);
    toy_gate_close(&c->toy, 0);
    crew_send(c, 0, 12); /* would hang at the gate here */
    toy_gate_await(&c->toy, 1);
    assert_int_equal(crew_stats(c).running, 1);
    toy_gate_open(&c->toy);
    crew_finish(c);
    crew_expect_all(c, GAL_OK);
    assert_int_equal(c->toy.runs, 1);
    crew_expect_call(c, 0, 0, 12);
    crew_close(c);
}

/* A worker's call ends a little behind its answers. */
static void await_rest(struct gal_sched *s)
{
    bool runs;
    do {
        pthread_mutex_lock(&s->lock);
        runs = s->workers[0].ends_us != 0;
        pthread_mutex_unlock(&s->lock);
    } while (runs);
}

static void what_comes_while_a_worker_has_work_joins_it(void **state)
{
    (void)state;
    struct crew *c = open_cheap(10);
    toy_gate_close(&c->toy, 0);
    crew_send(c, 0, 6);
    toy_gate_await(&c->toy, 1);
    crew_send(c, 6, 1);
    crew_send(c, 7, 2);
    assert_int_equal(crew_stats(c).waiting, 3);
    toy_gate_open(&c->toy);
    crew_finish(c);
    crew_expect_call(c, 1, 6, 3);
    await_rest(c->sched);
    crew_send(c, 9, 1);
    crew_expect(c, 9, GAL_OK);
    crew_expect_all(c, GAL_OK);
    crew_close(c);
}

static void models_of_a_turn_are_weighed_apart(void **state)
{
    (void)state;
    static struct toy other;
    struct crew *c = open_cheap(12);
    struct gal_sched *s = toy_open(&other, GAL_SCHED_AUTO);
    gal_sched_observe(s, 1, 1000);
    for (size_t i = 0; i < 12; i += 2)
        c->works[i].sched = s;
    crew_send(c, 0, 12); /* 6 rows each: 6 us, and 300 */
    for (size_t i = 0; i < 12; i += 2)
        crew_expect(c, i, GAL_OK);
    assert_int_equal(other.runs, 1);
    crew_finish(c);
    crew_expect_all(c, GAL_OK);
    assert_int_equal(c->toy.runs, 1);
    for (size_t i = 0; i < 12; i += 2)
        work_give_back(&c->works[i]);
    crew_close(c);
    gal_sched_free(s);
}

static struct crew *open_small_queue(size_t jobs_max, size_t level_jobs_max, size_t bytes_max)
{
    struct crew *c = crew_new(1);
    c->options.mode = GAL_SCHED_AUTO;
    c->options.inline_us_max = 200;
    c->options.policy.jobs_max = jobs_max;
    c->options.policy.level[0].jobs_max = level_jobs_max;
    c->options.policy.bytes_max = bytes_max;
    crew_open(c, 12);
    gal_sched_observe(c->sched, 1, 50000);
    return c;
}

static void what_finds_no_room_in_the_queue_runs_on_its_loop(void **state)
{
    (void)state;
    static const size_t bounds[][3] = {{8, 0, 1 << 20}, {100, 8, 1 << 20}, {100, 0, 1}};
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        struct crew *c = open_small_queue(bounds[i][0], bounds[i][1], bounds[i][2]);
        crew_send(c, 0, 12);
        crew_finish(c);
        crew_expect_all(c, GAL_OK);
        assert_true(c->toy.runs > 1);
        assert_int_equal(crew_stats(c).rejected, 0);
        crew_close(c);
    }
}

static void inline_by_wish_stays_inline(void **state)
{
    (void)state;
    struct crew *c = crew_new(1);
    c->options.mode = GAL_SCHED_INLINE;
    crew_open(c, 12);
    gal_sched_observe(c->sched, 1, 50000);
    crew_send(c, 0, 12);
    crew_expect_all(c, GAL_OK);
    crew_close(c);
}

static void preferred_sizes_are_kept_by_the_queue(void **state)
{
    (void)state;
    struct crew *c = crew_new(1);
    c->options.mode = GAL_SCHED_AUTO;
    c->options.inline_us_max = 200;
    c->options.policy.preferred[0] = 4;
    c->options.policy.preferred_count = 1;
    crew_open(c, 11);
    gal_sched_observe(c->sched, 1, 1000);
    crew_send(c, 0, 11);
    crew_finish(c);
    crew_expect_all(c, GAL_OK);
    crew_expect_call(c, 0, 0, 4);
    crew_expect_call(c, 1, 4, 4);
    crew_expect_call(c, 2, 8, 3);
    crew_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_turn_has_read_runs_there_while_it_is_cheap_together),
        cmocka_unit_test(what_is_dear_together_is_one_call_of_a_worker),
        cmocka_unit_test(what_comes_while_a_worker_has_work_joins_it),
        cmocka_unit_test(models_of_a_turn_are_weighed_apart),
        cmocka_unit_test(what_finds_no_room_in_the_queue_runs_on_its_loop),
        cmocka_unit_test(inline_by_wish_stays_inline),
        cmocka_unit_test(preferred_sizes_are_kept_by_the_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
