/* SPDX-License-Identifier: Apache-2.0 */
/* Equal requests in flight: one computes, the others are told; whatever becomes of the one. */
#include "cache/parts.h"

#include "base/digest.h"
#include "base/mem.h"
#include "base/thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define ASKS 6

static struct gal_cache *cache;
static struct gal_cache_model *model;
static struct gal_loop *loop;
static unsigned wanted; /* answers that the loop runs for */

struct asker {
    struct gal_cache_ask ask;
    unsigned told;
    enum gal_cache_answer answer;
};
static struct asker askers[ASKS];

static void on_answer(struct gal_cache_ask *ask)
{
    struct asker *a = (struct asker *)(void *)ask;

    a->told++;
    a->answer = ask->answer;
    if (--wanted == 0)
        gal_loop_stop(loop);
}

static void run_for(unsigned answers)
{
    wanted = answers;
    gal_loop_run(loop);
}

static void open_flight(size_t bytes_max)
{
    const struct gal_cache_options o = {.bytes_max = bytes_max};

    assert_int_equal(gal_cache_new(&o, &cache, NULL), GAL_OK);
    assert_int_equal(gal_loop_new(&loop, NULL), GAL_OK);
    model = gal_cache_model(cache, 0, "m", "1");
    memset(askers, 0, sizeof(askers));
}

static void close_flight(void)
{
    gal_cache_check(cache);
    gal_cache_free(cache);
    gal_loop_free(loop);
}

static enum gal_cache_answer ask(unsigned i, const char *key)
{
    askers[i] = (struct asker){
        .ask = {.model = model, .key = gal_str_of(key), .home = loop, .on_answer = on_answer}};
    enum gal_cache_answer answer = gal_cache_ask(cache, &askers[i].ask, 1);
    gal_cache_check(cache);
    return answer;
}

/* Asker 0 leads, the others wait. */
static void line_up(void)
{
    assert_int_equal(ask(0, "k"), GAL_CACHE_LEAD);
    for (unsigned i = 1; i < ASKS; i++)
        assert_int_equal(ask(i, "k"), GAL_CACHE_WAIT);
}

static void settle(unsigned i, float answer)
{
    struct gal_cache_entry *e;
    struct part p;

    assert_int_equal(gal_cache_entry_new(askers[i].ask.key, part_make(&p, answer, 4), 1, &e, NULL),
                     GAL_OK);
    gal_cache_settle(cache, &askers[i].ask, e, 0, 1);
    gal_cache_entry_unref(e);
    gal_cache_check(cache);
}

static void expect_hit(unsigned i, float answer)
{
    assert_int_equal(askers[i].told, 1);
    assert_int_equal(askers[i].answer, GAL_CACHE_HIT);
    assert_int_equal(askers[i].ask.state, GAL_ASK_OUT);
    assert_true(part_is(&askers[i].ask.entry->outputs[0], answer, 4));
    gal_cache_entry_unref(askers[i].ask.entry);
}

static void all_that_wait_get_the_leaders_answer(void **state)
{
    (void)state;
    for (int kept = 0; kept < 2; kept++) {
        open_flight(kept ? 1 << 20 : 0);
        line_up();
        settle(0, 5);
        for (unsigned i = 1; i < ASKS; i++)
            assert_int_equal(askers[i].told, 0); /* from the loop alone */
        run_for(ASKS - 1);
        for (unsigned i = 1; i < ASKS; i++)
            expect_hit(i, 5);
        assert_int_equal(askers[0].told, 0);
        assert_int_equal(ask(0, "k"), kept ? GAL_CACHE_HIT : GAL_CACHE_LEAD);
        if (kept)
            gal_cache_entry_unref(askers[0].ask.entry);
        else
            gal_cache_give_up(cache, &askers[0].ask);
        close_flight();
    }
}

static void others_do_not_wait_for_it(void **state)
{
    (void)state;
    open_flight(1 << 20);
    assert_int_equal(ask(0, "k"), GAL_CACHE_LEAD);
    assert_int_equal(ask(1, "l"), GAL_CACHE_LEAD);
    struct gal_cache_ask other = {.model = gal_cache_model(cache, 1, "m", "2"),
                                  .key = GAL_STR("k")};
    assert_int_equal(gal_cache_ask(cache, &other, 1), GAL_CACHE_LEAD);
    gal_cache_give_up(cache, &other);
    settle(1, 1);
    gal_cache_give_up(cache, &askers[0].ask);
    close_flight();
}

static void the_next_in_line_leads_when_the_leader_fails(void **state)
{
    (void)state;
    open_flight(1 << 20);
    line_up();
    for (unsigned i = 0; i + 2 < ASKS; i++) {
        gal_cache_give_up(cache, &askers[i].ask);
        gal_cache_check(cache);
        run_for(1);
        assert_int_equal(askers[i + 1].told, 1);
        assert_int_equal(askers[i + 1].answer, GAL_CACHE_LEAD);
        assert_int_equal(askers[i + 2].told, 0);
    }
    settle(ASKS - 2, 9);
    run_for(1);
    expect_hit(ASKS - 1, 9);
    close_flight();
}

static void who_comes_late_waits_for_the_new_leader(void **state)
{
    (void)state;
    open_flight(1 << 20);
    assert_int_equal(ask(0, "k"), GAL_CACHE_LEAD);
    assert_int_equal(ask(1, "k"), GAL_CACHE_WAIT);
    gal_cache_give_up(cache, &askers[0].ask); /* 1 leads, and does not know yet */
    assert_int_equal(ask(2, "k"), GAL_CACHE_WAIT);
    run_for(1);
    settle(1, 3);
    run_for(1);
    expect_hit(2, 3);
    close_flight();
}

static void an_answer_that_cannot_be_shared_lets_all_go(void **state)
{
    (void)state;
    open_flight(1 << 20);
    line_up();
    gal_cache_settle(cache, &askers[0].ask, NULL, 0, 1);
    run_for(ASKS - 1);
    for (unsigned i = 1; i < ASKS; i++) {
        assert_int_equal(askers[i].told, 1);
        assert_int_equal(askers[i].answer, GAL_CACHE_ALONE);
    }
    close_flight();
}

static void one_that_waits_can_leave_from_any_place(void **state)
{
    (void)state;
    for (unsigned gone = 1; gone < ASKS; gone++) {
        open_flight(1 << 20);
        line_up();
        assert_true(gal_cache_withdraw(cache, &askers[gone].ask));
        gal_cache_check(cache);
        assert_false(gal_cache_withdraw(cache, &askers[gone].ask)); /* once */
        settle(0, 2);
        run_for(ASKS - 1);
        for (unsigned i = 1; i < ASKS; i++) {
            if (i == gone)
                assert_int_equal(askers[i].answer, GAL_CACHE_WITHDRAWN);
            else
                expect_hit(i, 2);
            assert_int_equal(askers[i].told, 1);
        }
        close_flight();
    }
}

static void one_that_was_told_cannot_leave(void **state)
{
    (void)state;
    open_flight(1 << 20);
    line_up();
    gal_cache_give_up(cache, &askers[0].ask);
    assert_false(gal_cache_withdraw(cache, &askers[1].ask)); /* it leads: it is to give up itself */
    run_for(1);
    settle(1, 4);
    assert_false(gal_cache_withdraw(cache, &askers[2].ask));
    run_for(ASKS - 2);
    for (unsigned i = 2; i < ASKS; i++)
        expect_hit(i, 4);
    close_flight();
}

/* ---- many loops ---- */

#define LOOPS 4
#define ASKERS 8     /* a loop */
#define ROUNDS 3000u /* a loop */
#define KEYS 3

struct side;
struct runner {
    struct gal_cache_ask ask;
    struct gal_task step;
    struct side *side;
    char key[2];
    enum { IDLE, COMPUTING, WAITING } doing;
};
struct side {
    struct gal_loop *loop;
    pthread_t thread;
    struct gal_rng rng;
    struct runner runners[ASKERS];
    unsigned asked, ended, hits, waited, led, failed, withdrawn, alone, at_rest;
};

static void next_step(struct runner *r)
{
    gal_loop_post(r->side->loop, &r->step);
}

static void end_one(struct runner *r)
{
    r->doing = IDLE;
    r->side->ended++;
    next_step(r);
}

static void take_answer(struct runner *r)
{
    if (!part_is(&r->ask.entry->outputs[0], (float)r->key[0], 4))
        fail_msg("the answer to another key");
    gal_cache_entry_unref(r->ask.entry);
    end_one(r);
}

static void on_told(struct gal_cache_ask *ask)
{
    struct runner *r = (struct runner *)(void *)ask;

    GAL_ASSERT(r->doing == WAITING);
    switch (ask->answer) {
    case GAL_CACHE_HIT:
        r->side->waited++;
        take_answer(r);
        break;
    case GAL_CACHE_LEAD:
        r->doing = COMPUTING;
        next_step(r);
        break;
    case GAL_CACHE_ALONE:
        r->side->alone++;
        end_one(r);
        break;
    default:
        r->side->withdrawn++;
        end_one(r);
        break;
    }
}

static void compute(struct runner *r)
{
    struct gal_cache_entry *e = NULL;
    struct part p;
    uint64_t dice = gal_rng_next(&r->side->rng) % 8;

    r->side->led++;
    if (dice == 0) {
        r->side->failed++;
        gal_cache_give_up(cache, &r->ask);
    } else {
        if (dice > 1)
            assert_int_equal(
                gal_cache_entry_new(r->ask.key, part_make(&p, (float)r->key[0], 4), 1, &e, NULL),
                GAL_OK);
        gal_cache_settle(cache, &r->ask, e, 1, 0); /* gone at once: others compute again */
        gal_cache_entry_unref(e);
    }
    end_one(r);
}

static void begin(struct runner *r)
{
    struct side *s = r->side;

    if (s->asked == ROUNDS) {
        if (++s->at_rest == ASKERS)
            gal_loop_stop(s->loop);
        return;
    }
    s->asked++;
    r->key[0] = (char)('a' + gal_rng_next(&s->rng) % KEYS);
    r->ask = (struct gal_cache_ask){
        .model = model, .key = {r->key, 1}, .home = s->loop, .on_answer = on_told};
    r->doing = WAITING;
    switch (gal_cache_ask(cache, &r->ask, gal_rng_next(&s->rng) % 2)) {
    case GAL_CACHE_HIT:
        s->hits++;
        take_answer(r);
        break;
    case GAL_CACHE_LEAD:
        r->doing = COMPUTING;
        next_step(r);
        break;
    default:
        if (gal_rng_next(&s->rng) % 4 == 0)
            (void)gal_cache_withdraw(cache, &r->ask);
        break;
    }
}

static void on_step(struct gal_task *task)
{
    struct runner *r = (struct runner *)(void *)((char *)task - offsetof(struct runner, step));

    if (r->doing == COMPUTING)
        compute(r);
    else
        begin(r);
}

static void *run_side(void *arg)
{
    gal_loop_run(((struct side *)arg)->loop);
    return NULL;
}

static void every_request_ends_once_on_many_loops(void **state)
{
    static struct side sides[LOOPS];
    const struct gal_cache_options o = {.bytes_max = 1 << 20};
    unsigned waited = 0, withdrawn = 0, hits = 0;

    (void)state;
    assert_int_equal(gal_cache_new(&o, &cache, NULL), GAL_OK);
    model = gal_cache_model(cache, 0, "m", "1");
    for (unsigned i = 0; i < LOOPS; i++) {
        struct side *s = &sides[i];
        assert_int_equal(gal_loop_new(&s->loop, NULL), GAL_OK);
        s->rng = (struct gal_rng){{i + 1, 2, 3, 4}};
        for (unsigned k = 0; k < ASKERS; k++) {
            s->runners[k] = (struct runner){.side = s, .step = {on_step, NULL}};
            next_step(&s->runners[k]);
        }
    }
    for (unsigned i = 0; i < LOOPS; i++)
        assert_int_equal(gal_thread_start(&sides[i].thread, "side", run_side, &sides[i], NULL),
                         GAL_OK);
    for (unsigned i = 0; i < LOOPS; i++) {
        struct side *s = &sides[i];
        pthread_join(s->thread, NULL);
        assert_int_equal(s->asked, ROUNDS);
        assert_int_equal(s->ended, ROUNDS);
        assert_int_equal(s->hits + s->waited + s->led + s->withdrawn + s->alone, ROUNDS);
        waited += s->waited;
        withdrawn += s->withdrawn;
        hits += s->hits;
        gal_loop_free(s->loop);
    }
    assert_true(waited > 0 && withdrawn > 0 && hits > 0);
    gal_cache_check(cache);
    gal_cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_wait_get_the_leaders_answer),
        cmocka_unit_test(others_do_not_wait_for_it),
        cmocka_unit_test(the_next_in_line_leads_when_the_leader_fails),
        cmocka_unit_test(who_comes_late_waits_for_the_new_leader),
        cmocka_unit_test(an_answer_that_cannot_be_shared_lets_all_go),
        cmocka_unit_test(one_that_waits_can_leave_from_any_place),
        cmocka_unit_test(one_that_was_told_cannot_leave),
        cmocka_unit_test(every_request_ends_once_on_many_loops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
