/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "sched/queue.h"

#define ENTRIES 2048

/* A queue whose invariants are checked behind each step, and entries to put into it. */
struct bench {
    struct gal_policy policy;
    struct gal_queue q;
    struct gal_entry e[ENTRIES];
    struct gal_cost cost;
    bool with_cost;
};

static struct bench bench; /* too large for a stack */

static struct bench *fresh(void)
{
    bench = (struct bench){0};
    gal_policy_init(&bench.policy);
    return &bench;
}

static void start(struct bench *b)
{
    assert_int_equal(gal_policy_check(&b->policy, NULL), GAL_OK);
    gal_queue_init(&b->q, &b->policy);
    gal_queue_check(&b->q);
    for (size_t i = 0; i < ENTRIES; i++)
        if (b->e[i].rows == 0)
            b->e[i].rows = 1;
}

static enum gal_admit admit(struct bench *b, size_t i, uint64_t now_us)
{
    enum gal_admit a = gal_queue_admit(&b->q, &b->e[i], now_us);
    gal_queue_check(&b->q);
    assert_int_equal(b->e[i].waiting, a == GAL_ADMITTED);
    return a;
}

static void admit_all(struct bench *b, size_t from, size_t count, uint64_t now_us)
{
    for (size_t i = from; i < from + count; i++)
        assert_int_equal(admit(b, i, now_us), GAL_ADMITTED);
}

static enum gal_take take(struct bench *b, uint64_t now_us, struct gal_taken *out)
{
    enum gal_take t = gal_queue_take(&b->q, b->with_cost ? &b->cost : NULL, now_us, out);
    gal_queue_check(&b->q);
    size_t rows = 0;
    for (const struct gal_entry *e = out->batch.head; e; e = e->next) {
        assert_false(e->waiting);
        rows += e->rows;
    }
    assert_int_equal(rows, out->rows);
    assert_int_equal(out->batch.count > 0, t == GAL_TAKE_BATCH);
    return t;
}

/* The list holds exactly these entries, in this order; the last number is -1. */
static void assert_list(const struct bench *b, const struct gal_entry_list *list, const int *wanted)
{
    const struct gal_entry *e = list->head;
    size_t count = 0;
    for (; *wanted >= 0; wanted++, count++) {
        assert_non_null(e);
        assert_int_equal(e - b->e, *wanted);
        e = e->next;
    }
    assert_null(e);
    assert_int_equal(list->count, count);
}
#define ASSERT_LIST(b, list, ...) assert_list(b, list, (const int[]){__VA_ARGS__, -1})

/* Takes a batch that consists of these. */
#define ASSERT_BATCH(b, now_us, ...)                                                               \
    do {                                                                                           \
        struct gal_taken taken_;                                                                   \
        assert_int_equal(take(b, now_us, &taken_), GAL_TAKE_BATCH);                                \
        ASSERT_LIST(b, &taken_.batch, __VA_ARGS__);                                                \
    } while (0)

static void assert_waits(struct bench *b, uint64_t now_us, uint64_t until_us)
{
    struct gal_taken t;
    assert_int_equal(take(b, now_us, &t), GAL_TAKE_WAIT);
    assert_int_equal(t.wait_until_us, until_us);
}

static void assert_nothing(struct bench *b, uint64_t now_us)
{
    struct gal_taken t;
    assert_int_equal(take(b, now_us, &t), GAL_TAKE_NOTHING);
}

static void an_empty_queue_has_nothing(void **state)
{
    (void)state;
    struct bench *b = fresh();
    start(b);
    assert_nothing(b, 0);
    assert_nothing(b, UINT64_MAX);
}

static void who_waits_is_taken_up_to_the_largest_batch(void **state)
{
    (void)state;
    struct bench *b = fresh();
    b->policy.rows_max = 4;
    start(b);
    admit_all(b, 0, 6, 100);
    ASSERT_BATCH(b, 100, 0, 1, 2, 3);
    ASSERT_BATCH(b, 100, 4, 5);
    assert_nothing(b, 100);
}

static void the_first_that_does_not_fit_closes_the_batch(void **state)
{
    (void)state;
    struct bench *b = fresh();
    b->policy.rows_max = 8;
    b->e[0].rows = 5;
    b->e[1].rows = 4;
    b->e[2].rows = 1; /* would fit beside the first, but not before the second */
    start(b);
    admit_all(b, 0, 3, 100);
    ASSERT_BATCH(b, 100, 0);
    ASSERT_BATCH(b, 100, 1, 2);
}

static void a_request_larger_than_a_batch_runs_alone(void **state)
{
    (void)state;
    struct bench *b = fresh();
    b->policy.rows_max = 8;
    b->e[1].rows = 9;
    b->e[2].rows = 100;
    start(b);
    admit_all(b, 0, 4, 100);
    ASSERT_BATCH(b, 100, 0);
    ASSERT_BATCH(b, 100, 1);
    ASSERT_BATCH(b, 100, 2);
    ASSERT_BATCH(b, 100, 3);
}

static void without_batching_each_runs_alone(void **state)
{
    (void)state;
    struct bench *b = fresh();
    b->policy.rows_max = 1;
    start(b);
    admit_all(b, 0, 3, 100);
    ASSERT_BATCH(b, 100, 0);
    ASSERT_BATCH(b, 100, 1);
    ASSERT_BATCH(b, 100, 2);
}

static void different_keys_never_share_a_batch(void **state)
{
    (void)state;
    struct bench *b = fresh();
    for (size_t i = 0; i < 6; i++)
        b->e[i].key = i % 2;
    start(b);
    admit_all(b, 0, 6, 100);
    ASSERT_BATCH(b, 100, 0, 2, 4);
    ASSERT_BATCH(b, 100, 1, 3, 5);
}

static void who_is_alone_shares_with_nobody(void **state)
{
    (void)state;
    struct bench *b = fresh();
    b->e[1].alone = true;
    b->e[3].alone = true;
    start(b);
    admit_all(b, 0, 5, 100);
    ASSERT_BATCH(b, 100, 0, 2, 4);
    ASSERT_BATCH(b, 100, 1);
    ASSERT_BATCH(b, 100, 3);
}

static void urgent_levels_go_first(void **state)
{
    (void)state;
    struct bench *b = fresh();
    b->policy.rows_max = 2;
    b->policy.levels = 3;
    b->policy.default_level = 2;
    b->e[0].level = 3;
    b->e[1].level = 0; /* the default */
    b->e[2].level = 1;
    b->e[3].level = 99; /* the last */
    b->e[4].level = 1;
    b->e[5].level = 2;
    start(b);
    admit_all(b, 0, 6, 100);
    assert_int_equal(b->e[1].level, 2);
    assert_int_equal(b->e[3].level, 3);
    assert_int_equal(gal_queue_rows_ahead(&b->q, 1), 2);
    assert_int_equal(gal_queue_rows_ahead(&b->q, 0), 4);
    assert_int_equal(gal_queue_rows_ahead(&b->q, 7), 6);
    assert_int_equal(gal_queue_oldest_us(&b->q, 1, 150), 50);
    assert_int_equal(gal_queue_oldest_us(&b->q, 1, 90), 0);
    ASSERT_BATCH(b, 100, 2, 4);
    ASSERT_BATCH(b, 100, 1, 5);
    ASSERT_BATCH(b, 100, 0, 3);
}

/* Level 1 never runs dry; batches until each of the others has begun one. */
static void nobody_starves_behind_urgent_levels(void **state)
{
    (void)state;
    for (unsigned levels = 2; levels <= 5; levels++) {
        struct bench *b = fresh();
        b->policy.rows_max = 1;
        b->policy.levels = levels;
        for (size_t i = 0; i < ENTRIES; i++)
            b->e[i].level = i < 20u * levels ? (unsigned)(1 + i % levels) : 1;
        start(b);
        admit_all(b, 0, 20u * levels, 100);
        size_t next = 20u * levels;
        size_t last[GAL_LEVELS_MAX + 1] = {0};
        for (size_t batch = 1; batch <= 8u * 20u * (levels - 1); batch++) {
            struct gal_taken t;
            assert_int_equal(take(b, 100 + batch, &t), GAL_TAKE_BATCH);
            unsigned level = t.batch.head->level;
            assert_true(batch - last[level] <= GAL_STARVE_BATCHES * (levels - 1));
            last[level] = batch;
            if (level == 1)
                assert_int_equal(admit(b, next++, 100 + batch), GAL_ADMITTED);
        }
        for (unsigned level = 2; level <= levels; level++)
            assert_true(b->q.level_count[level - 1] == 0); /* all 20 had their turn */
    }
}

static void a_turn_is_not_saved_up_while_nobody_waits(void **state)
{
    (void)state;
    struct bench *b = fresh();
    b->policy.rows_max = 1;
    b->policy.levels = 2;
    for (size_t i = 0; i < 100; i++)
        b->e[i].level = 1;
    b->e[50].level = 2;
    start(b);
    admit_all(b, 0, 40, 100);
    for (int i = 0; i < 20; i++)
        ASSERT_BATCH(b, 100, i);
    admit_all(b, 50, 1, 100);
    for (int i = 20; i < 27; i++)
        ASSERT_BATCH(b, 100, i);
    ASSERT_BATCH(b, 100, 50);
    ASSERT_BATCH(b, 100, 27);
}

static void a_full_queue_admits_no_more(void **state)
{
    (void)state;
    struct bench *b = fresh();
    b->policy.jobs_max = 3;
    b->policy.levels = 2;
    b->policy.level[1].jobs_max = 1;
    b->e[1].level = b->e[2].level = 2;
    start(b);
    admit_all(b, 0, 2, 100);
    assert_int_equal(admit(b, 2, 100), GAL_ADMIT_LEVEL_FULL);
    admit_all(b, 3, 1, 100);
    assert_int_equal(admit(b, 4, 100), GAL_ADMIT_FULL);
    gal_queue_remove(&b->q, &b->e[1]);
    gal_queue_check(&b->q);
    assert_int_equal(admit(b, 2, 100), GAL_ADMITTED);
    assert_int_equal(admit(b, 4, 100), GAL_ADMIT_FULL);
}

static void the_urgent_displace_who_holds_more_than_a_share(void **state)
{
    (void)state;
    struct bench *b = fresh();
    b->policy.jobs_max = 6;
    b->policy.levels = 3;
    b->policy.level[0].jobs_max = 3;
    b->e[0].level = 2;
    for (size_t i = 1; i < 6; i++)
        b->e[i].level = i < 3 ? 2 : 3;
    b->e[9].level = 3;
    b->e[8].level = 2;
    start(b);
    admit_all(b, 0, 6, 100);
    assert_int_equal(admit(b, 6, 100), GAL_ADMIT_FULL);
    assert_null(gal_queue_displaced(&b->q, &b->e[9])); /* nobody is less urgent */
    static const size_t goes[] = {5, 2};               /* then each has its share */
    for (size_t i = 0; i < 2; i++) {
        assert_ptr_equal(gal_queue_displaced(&b->q, &b->e[6 + i]), &b->e[goes[i]]);
        gal_queue_remove(&b->q, &b->e[goes[i]]);
        assert_int_equal(admit(b, 6 + i, 100), GAL_ADMITTED);
    }
    assert_null(gal_queue_displaced(&b->q, &b->e[10]));
    assert_null(gal_queue_displaced(&b->q, &b->e[8]));
}

static void nobody_is_displaced_in_vain(void **state)
{
    (void)state;
    struct bench *b = fresh();
    b->policy.jobs_max = 4;
    b->policy.levels = 2;
    b->policy.bytes_max = 100;
    b->policy.level[0].jobs_max = 2;
    for (size_t i = 0; i < 4; i++) {
        b->e[i].level = 2;
        b->e[i].bytes = 20;
    }
    b->e[4].bytes = 41;
    b->e[5].bytes = 40;
    start(b);
    admit_all(b, 0, 4, 100);
    assert_null(gal_queue_displaced(&b->q, &b->e[4])); /* its bytes would not fit */
    assert_ptr_equal(gal_queue_displaced(&b->q, &b->e[5]), &b->e[3]);
    b->policy.level[0].jobs_max = 1;
    gal_queue_remove(&b->q, &b->e[3]);
    assert_int_equal(admit(b, 5, 100), GAL_ADMITTED);
    assert_null(gal_queue_displaced(&b->q, &b->e[6])); /* its level is full too */
}

static void bytes_are_bounded_but_an_empty_queue_takes_any(void **state)
{
    (void)state;
    struct bench *b = fresh();
    b->policy.bytes_max = 100;
    b->e[0].bytes = 1000;
    b->e[1].bytes = 1;
    b->e[2].bytes = 60;
    b->e[3].bytes = 40;
    b->e[4].bytes = 1;
    start(b);
    admit_all(b, 0, 1, 100);
    assert_int_equal(admit(b, 1, 100), GAL_ADMIT_BYTES);
    gal_queue_remove(&b->q, &b->e[0]);
    admit_all(b, 2, 2, 100);
    assert_int_equal(admit(b, 4, 100), GAL_ADMIT_BYTES);
    ASSERT_BATCH(b, 100, 2, 3);
    admit_all(b, 4, 1, 100);
}

static void who_comes_behind_the_deadline_is_not_admitted(void **state)
{
    (void)state;
    struct bench *b = fresh();
    b->e[0].deadline_us = b->e[1].deadline_us = 100;
    start(b);
    assert_int_equal(admit(b, 0, 100), GAL_ADMIT_LATE);
    assert_int_equal(admit(b, 1, 99), GAL_ADMITTED);
}

static void who_has_expired_is_answered_not_run(void **state)
{
    (void)state;
    struct bench *b = fresh();
    struct gal_taken t;
    b->policy.level[0].timeout_us = 50;
    b->e[1].deadline_us = 120; /* before the timeout */
    b->e[2].timeout_us = 10;
    b->e[3].timeout_us = 500; /* cannot lengthen it */
    start(b);
    admit_all(b, 0, 4, 100);
    assert_int_equal(b->e[0].expires_us, 150);
    assert_int_equal(b->e[1].expires_us, 120);
    assert_int_equal(b->e[2].expires_us, 110);
    assert_int_equal(b->e[3].expires_us, 150);
    assert_int_equal(take(b, 120, &t), GAL_TAKE_BATCH);
    ASSERT_LIST(b, &t.batch, 0, 3);
    ASSERT_LIST(b, &t.late, 1, 2);
    admit_all(b, 0, 1, 200);
    assert_int_equal(take(b, 250, &t), GAL_TAKE_NOTHING);
    ASSERT_LIST(b, &t.late, 0);
}

static void without_override_a_requests_own_timeout_is_nothing(void **state)
{
    (void)state;
    struct bench *b = fresh();
    b->policy.level[0].override = false;
    b->e[0].timeout_us = 10;
    b->e[1].timeout_us = 10;
    b->e[1].deadline_us = 500; /* always counts */
    start(b);
    admit_all(b, 0, 2, 100);
    assert_int_equal(b->e[0].expires_us, 0);
    assert_int_equal(b->e[1].expires_us, 500);
}

static void who_is_late_under_delay_goes_behind_all_others(void **state)
{
    (void)state;
    struct bench *b = fresh();
    b->policy.rows_max = 2;
    b->policy.levels = 2;
    b->policy.level[0].timeout_us = 50;
    b->policy.level[0].action = GAL_TIMEOUT_DELAY;
    for (size_t i = 0; i < 5; i++)
        b->e[i].level = i < 3 ? 1 : 2;
    b->e[1].timeout_us = 20;
    start(b);
    admit_all(b, 0, 5, 100);
    assert_int_equal(b->e[0].demotes_us, 150);
    assert_int_equal(b->e[0].expires_us, 0);
    ASSERT_BATCH(b, 130, 0, 2);
    assert_true(b->e[1].late);
    ASSERT_BATCH(b, 130, 3, 4);
    ASSERT_BATCH(b, 10000, 1);
    assert_nothing(b, 10000);
}

static void the_late_do_not_starve(void **state)
{
    (void)state;
    struct bench *b = fresh();
    b->policy.rows_max = 1;
    b->policy.level[0].timeout_us = 50;
    b->policy.level[0].action = GAL_TIMEOUT_DELAY;
    start(b);
    admit_all(b, 0, 1, 100);
    admit_all(b, 1, 1000, 500);
    for (int i = 1; i < 8; i++)
        ASSERT_BATCH(b, 500, i);
    ASSERT_BATCH(b, 500, 0);
    ASSERT_BATCH(b, 500, 8);
}

static void a_batch_waits_for_company_until_its_delay(void **state)
{
    (void)state;
    struct bench *b = fresh();
    b->policy.rows_max = 4;
    b->policy.delay_us_max = 1000;
    start(b);
    admit_all(b, 0, 1, 100);
    admit_all(b, 1, 1, 600);
    assert_waits(b, 600, 1100);
    assert_waits(b, 1099, 1100);
    ASSERT_BATCH(b, 1100, 0, 1);
    admit_all(b, 2, 4, 2000);
    ASSERT_BATCH(b, 2000, 2, 3, 4, 5); /* full */
    b->e[7].rows = 3;
    admit_all(b, 6, 2, 3000);
    ASSERT_BATCH(b, 3000, 6, 7);
    b->e[8].rows = b->e[9].rows = 3;
    admit_all(b, 8, 2, 4000);
    ASSERT_BATCH(b, 4000, 8); /* the next does not fit: full too */
    assert_waits(b, 4000, 5000);
}

static void a_preferred_size_is_taken_as_soon_as_it_can_be_had(void **state)
{
    (void)state;
    struct bench *b = fresh();
    b->policy.rows_max = 16;
    b->policy.delay_us_max = 1000;
    b->policy.preferred_count = 2;
    b->policy.preferred[0] = 2;
    b->policy.preferred[1] = 4;
    start(b);
    admit_all(b, 0, 1, 100);
    assert_waits(b, 100, 1100);
    admit_all(b, 1, 2, 100);
    ASSERT_BATCH(b, 100, 0, 1);
    admit_all(b, 3, 4, 100);
    ASSERT_BATCH(b, 100, 2, 3, 4, 5);
    admit_all(b, 7, 4, 200);
    /* The delay has passed: all that wait. */
    ASSERT_BATCH(b, 1100, 6, 7, 8, 9, 10);
}

static void without_delay_preferred_sizes_choose_how_many(void **state)
{
    (void)state;
    struct bench *b = fresh();
    b->policy.rows_max = 16;
    b->policy.preferred_count = 2;
    b->policy.preferred[0] = 2;
    b->policy.preferred[1] = 4;
    start(b);
    admit_all(b, 0, 7, 100);
    ASSERT_BATCH(b, 99999, 0, 1, 2, 3);
    ASSERT_BATCH(b, 99999, 4, 5);
    ASSERT_BATCH(b, 99999, 6); /* none can be had */
    b->e[7].rows = b->e[8].rows = b->e[9].rows = 3;
    admit_all(b, 7, 3, 100);
    ASSERT_BATCH(b, 100, 7, 8, 9);
}

static void a_full_batch_of_another_key_does_not_wait(void **state)
{
    (void)state;
    struct bench *b = fresh();
    b->policy.rows_max = 3;
    b->policy.delay_us_max = 1000;
    b->policy.levels = 2;
    for (size_t i = 1; i < 4; i++)
        b->e[i].key = 7;
    b->e[4].level = 2;
    b->e[4].key = 9;
    start(b);
    admit_all(b, 4, 1, 50);
    admit_all(b, 0, 4, 100);
    ASSERT_BATCH(b, 100, 1, 2, 3);
    assert_waits(b, 100, 1050);
    ASSERT_BATCH(b, 1050, 4); /* the oldest, though not the most urgent */
    assert_waits(b, 1050, 1100);
    ASSERT_BATCH(b, 1100, 0);
}

static void nobody_expires_waiting_for_company(void **state)
{
    (void)state;
    struct bench *b = fresh();
    b->policy.delay_us_max = 1000;
    b->e[0].deadline_us = 500;
    start(b);
    admit_all(b, 0, 2, 100);
    assert_waits(b, 100, 300); /* half of 400 */
    ASSERT_BATCH(b, 300, 0, 1);
    gal_cost_observe(&b->cost, 1, 99000);
    gal_cost_observe(&b->cost, 1, 99000);
    b->with_cost = true;
    admit_all(b, 0, 1, 100);
    assert_waits(b, 100, 250); /* half of what its call leaves: 300 */
    ASSERT_BATCH(b, 250, 0);
}

static void a_hopeless_deadline_is_answered_before_its_call(void **state)
{
    (void)state;
    struct bench *b = fresh();
    struct gal_taken t;
    gal_cost_observe(&b->cost, 1, 99900);
    b->with_cost = true;
    b->e[0].deadline_us = 299;
    b->e[1].deadline_us = 300;
    start(b);
    admit_all(b, 0, 2, 0);
    b->policy.rows_max = 1;
    gal_queue_bound(&b->q, 1, 0);
    assert_int_equal(take(b, 200, &t), GAL_TAKE_BATCH);
    ASSERT_LIST(b, &t.batch, 1);
    ASSERT_LIST(b, &t.late, 0);
    b->with_cost = false;
    admit_all(b, 0, 1, 0);
    ASSERT_BATCH(b, 298, 0); /* nothing known: it may try */
}

static void a_call_takes_half_of_the_lives_in_it_at_most(void **state)
{
    (void)state;
    struct bench *b = fresh();
    gal_cost_observe(&b->cost, 1, 99000);
    gal_cost_observe(&b->cost, 64, 6399000); /* no gain from batches: 100 a row */
    b->cost.spread = 0.0;
    b->with_cost = true;
    for (size_t i = 0; i < 64; i++)
        b->e[i].deadline_us = 1000 + 100;
    start(b);
    admit_all(b, 0, 64, 100);
    ASSERT_BATCH(b, 100, 0, 1, 2, 3, 4);
    ASSERT_BATCH(b, 600, 5, 6, 7, 8, 9);
    struct gal_taken t;
    assert_int_equal(take(b, 601, &t), GAL_TAKE_BATCH);
    /* The rest would be late in a call of five: they give way until a call is short enough. */
    assert_int_equal(t.batch.count, 4);
    assert_int_equal(t.late.count, 50);
    assert_int_equal(b->q.count, 0);
}

static void one_short_life_bounds_the_call_it_is_in(void **state)
{
    (void)state;
    for (size_t hurried = 0; hurried < 2; hurried++) {
        struct bench *b = fresh();
        gal_cost_observe(&b->cost, 1, 99000);
        gal_cost_observe(&b->cost, 64, 6399000);
        b->cost.spread = 0.0;
        b->with_cost = true;
        b->e[hurried].deadline_us = 100 + 600;
        start(b);
        admit_all(b, 0, 8, 100);
        ASSERT_BATCH(b, 100, 0, 1, 2);
        ASSERT_BATCH(b, 100, 3, 4, 5, 6, 7);
    }
}

static void many_keys_do_not_make_a_take_long(void **state)
{
    (void)state;
    struct bench *b = fresh();
    b->policy.jobs_max = ENTRIES;
    for (size_t i = 0; i < ENTRIES; i++)
        b->e[i].key = 1 + i;
    b->e[0].key = b->e[256].key = b->e[258].key = 9999;
    start(b);
    admit_all(b, 0, 300, 100);
    ASSERT_BATCH(b, 100, 0, 256); /* 255 looks lie between, 256 before the third */
    for (int i = 1; i < 256; i++)
        ASSERT_BATCH(b, 100, i);
    ASSERT_BATCH(b, 100, 257);
    ASSERT_BATCH(b, 100, 258);
}

static void a_sweep_finds_who_has_expired_near_the_front(void **state)
{
    (void)state;
    struct bench *b = fresh();
    for (size_t i = 0; i < 10; i++)
        b->e[i].deadline_us = i % 2 ? 150 : 0;
    start(b);
    admit_all(b, 0, 10, 100);
    struct gal_entry_list out = {0};
    gal_queue_sweep(&b->q, 149, 100, &out);
    assert_int_equal(out.count, 0);
    gal_queue_sweep(&b->q, 150, 4, &out);
    gal_queue_check(&b->q);
    ASSERT_LIST(b, &out, 1, 3);
    gal_queue_sweep(&b->q, 150, 100, &out);
    gal_queue_check(&b->q);
    ASSERT_LIST(b, &out, 1, 3, 5, 7, 9);
}

static void a_goal_chooses_in_place_of_the_policy(void **state)
{
    (void)state;
    struct bench *b = fresh();
    b->policy.rows_max = 8;
    b->policy.target_us = 20000;
    start(b);
    admit_all(b, 0, 8, 100);
    gal_queue_bound(&b->q, 3, 500);
    ASSERT_BATCH(b, 100, 0, 1, 2);
    gal_queue_bound(&b->q, 100, 500); /* never more than the policy's */
    gal_queue_check(&b->q);
    assert_waits(b, 100, 600);
    gal_queue_bound(&b->q, 0, 0);
    ASSERT_BATCH(b, 100, 3);
}

static void a_clock_that_steps_back_keeps_the_order(void **state)
{
    (void)state;
    struct bench *b = fresh();
    start(b);
    admit_all(b, 0, 1, 1000);
    admit_all(b, 1, 1, 900);
    assert_int_equal(b->e[1].since_us, 1000);
    ASSERT_BATCH(b, 800, 0, 1);
    b->policy.delay_us_max = UINT64_MAX;
    gal_queue_bound(&b->q, 64, UINT64_MAX);
    admit_all(b, 0, 1, UINT64_MAX - 1);
    assert_waits(b, UINT64_MAX - 1, UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_queue_has_nothing),
        cmocka_unit_test(who_waits_is_taken_up_to_the_largest_batch),
        cmocka_unit_test(the_first_that_does_not_fit_closes_the_batch),
        cmocka_unit_test(a_request_larger_than_a_batch_runs_alone),
        cmocka_unit_test(without_batching_each_runs_alone),
        cmocka_unit_test(different_keys_never_share_a_batch),
        cmocka_unit_test(who_is_alone_shares_with_nobody),
        cmocka_unit_test(urgent_levels_go_first),
        cmocka_unit_test(nobody_starves_behind_urgent_levels),
        cmocka_unit_test(a_turn_is_not_saved_up_while_nobody_waits),
        cmocka_unit_test(a_full_queue_admits_no_more),
        cmocka_unit_test(the_urgent_displace_who_holds_more_than_a_share),
        cmocka_unit_test(nobody_is_displaced_in_vain),
        cmocka_unit_test(bytes_are_bounded_but_an_empty_queue_takes_any),
        cmocka_unit_test(who_comes_behind_the_deadline_is_not_admitted),
        cmocka_unit_test(who_has_expired_is_answered_not_run),
        cmocka_unit_test(without_override_a_requests_own_timeout_is_nothing),
        cmocka_unit_test(who_is_late_under_delay_goes_behind_all_others),
        cmocka_unit_test(the_late_do_not_starve),
        cmocka_unit_test(a_batch_waits_for_company_until_its_delay),
        cmocka_unit_test(a_preferred_size_is_taken_as_soon_as_it_can_be_had),
        cmocka_unit_test(without_delay_preferred_sizes_choose_how_many),
        cmocka_unit_test(a_full_batch_of_another_key_does_not_wait),
        cmocka_unit_test(nobody_expires_waiting_for_company),
        cmocka_unit_test(a_hopeless_deadline_is_answered_before_its_call),
        cmocka_unit_test(a_call_takes_half_of_the_lives_in_it_at_most),
        cmocka_unit_test(one_short_life_bounds_the_call_it_is_in),
        cmocka_unit_test(many_keys_do_not_make_a_take_long),
        cmocka_unit_test(a_sweep_finds_who_has_expired_near_the_front),
        cmocka_unit_test(a_goal_chooses_in_place_of_the_policy),
        cmocka_unit_test(a_clock_that_steps_back_keeps_the_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
