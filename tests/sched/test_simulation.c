/* SPDX-License-Identifier: Apache-2.0 */
/* Random policies, arrivals and accidents by the thousand, each step judged (simulate.h). A breach
 * names the seed; GALLEY_SIM_SEED=N runs that one alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sched/simulate.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEDS 1000u
#define REQUESTS 1200u
#define KEEPS_ORDER 4u /* one seed in so many */

/* The run that is under way, for who reads of its end. */
static char under_way[128];

static void on_abort(int sig)
{
    (void)sig;
    fprintf(stderr, "%s\n", under_way);
}

static void pick_levels(struct gal_policy *p, uint64_t *draws)
{
    p->levels = 1 + (unsigned)(sim_draw(draws) % 4);
    p->default_level = 1 + (unsigned)(sim_draw(draws) % p->levels);
    for (unsigned i = 0; i < p->levels; i++) {
        struct gal_level_policy *l = &p->level[i];
        l->override = sim_draw(draws) % 4 != 0;
        l->action = sim_draw(draws) % 3 ? GAL_TIMEOUT_REJECT : GAL_TIMEOUT_DELAY;
        l->timeout_us = sim_draw(draws) % 3 ? 0 : 500 + sim_draw(draws) % 20000;
        l->jobs_max = sim_draw(draws) % 4 ? 0 : 1 + (size_t)(sim_draw(draws) % p->jobs_max);
    }
}

static void pick_policy(struct gal_policy *p, uint64_t *draws)
{
    gal_policy_init(p);
    p->rows_max = (size_t)1 << (sim_draw(draws) % 6);
    p->jobs_max = 4 + (size_t)(sim_draw(draws) % (sim_draw(draws) % 8 ? 60 : 600));
    p->bytes_max = sim_draw(draws) % 3 ? GAL_TAKE_LOOKS_MAX * 1000 : 5000;
    p->delay_us_max = sim_draw(draws) % 2 ? 0 : 50 + sim_draw(draws) % 5000;
    for (size_t size = 1; size <= p->rows_max && sim_draw(draws) % 2; size *= 2)
        p->preferred[p->preferred_count++] = size;
    if (sim_draw(draws) % 5 == 0)
        p->target_us = p->delay_us_max + 500 + sim_draw(draws) % 20000;
    pick_levels(p, draws);
}

/* Everything that a seed decides. */
static struct sim_options picked(uint64_t seed, size_t requests)
{
    uint64_t draws = seed * 0x9E3779B97F4A7C15u + 1;
    struct sim_options o = {.seed = seed, .requests = requests, .check = true};
    pick_policy(&o.policy, &draws);
    o.policy.keep_order = seed % KEEPS_ORDER == 0; /* not drawn: the others stay as they are */
    o.workers = 1 + (unsigned)(sim_draw(&draws) % 4);
    o.base_us = 20.0 + (double)(sim_draw(&draws) % 1000);
    o.row_us = 1.0 + (double)(sim_draw(&draws) % 100);
    o.noise = 1.0 + sim_draw_share(&draws);
    o.arrivals = (enum sim_arrivals)(sim_draw(&draws) % 4);
    o.clients = 1 + (unsigned)(sim_draw(&draws) % 100);
    o.rows_most =
        sim_draw(&draws) % 2 ? 1 : 1 + (size_t)(sim_draw(&draws) % (2 * o.policy.rows_max));
    o.bytes_most = 1000;
    double rows = ((double)o.rows_most + 1.0) / 2.0;
    o.phase[0].rate = sim_capacity(&o) / rows * (0.2 + 2.0 * sim_draw_share(&draws));
    o.keys = 1 + (unsigned)(sim_draw(&draws) % 7);
    o.alone = sim_draw(&draws) % 3 ? 0.0 : 0.1;
    o.urgent = sim_draw(&draws) % 2 ? 0.0 : 0.8;
    o.with_timeout = sim_draw(&draws) % 2 ? 0.0 : 0.5;
    o.timeout_us = 10000;
    o.with_deadline = sim_draw(&draws) % 2 ? 0.0 : 0.7;
    o.deadline_us = 2000 + sim_draw(&draws) % 40000;
    o.cancelled = sim_draw(&draws) % 2 ? 0.0 : 0.1;
    o.timers = sim_draw(&draws) % 2;
    o.fails = sim_draw(&draws) % 3 ? 0.0 : 0.05;
    o.with_cost = sim_draw(&draws) % 3;
    o.stale_us = sim_draw(&draws) % 3 ? 0 : 200;
    return o;
}

static struct sim_result run(const struct sim_options *o)
{
    snprintf(under_way, sizeof under_way,
             "it was GALLEY_SIM_SEED=%" PRIu64 ", %zu requests, accident %d at step %" PRIu64,
             o->seed, o->requests, (int)o->inject, o->inject_step);
    assert_int_equal(gal_policy_check(&o->policy, NULL), GAL_OK);
    return sim_run(o);
}

static bool is_sanitized(void)
{
    const char *s = getenv("GALLEY_SANITIZE");
    return s && *s;
}

static void random_policies_and_arrivals_break_no_rule(void **state)
{
    (void)state;
    const char *replay = getenv("GALLEY_SIM_SEED");
    uint64_t first = replay ? strtoull(replay, NULL, 10) : 1;
    uint64_t seeds = replay ? 1 : is_sanitized() ? SEEDS / 20 : SEEDS;
    size_t requests = 0, answered = 0, not_run = 0;
    uint64_t steps = 0, calls = 0;
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        struct sim_options o = picked(seed, REQUESTS);
        struct sim_result r = run(&o);
        requests += r.requests;
        answered += r.answered;
        not_run += r.not_run;
        steps += r.steps;
        calls += r.calls;
    }
    printf("%" PRIu64 " seeds%s: %zu requests, %zu answered, %zu turned away, expired or gone, "
           "%" PRIu64 " calls, %" PRIu64 " steps\n",
           seeds, is_sanitized() && !replay ? " (fewer under sanitizers)" : "", requests, answered,
           not_run, calls, steps);
    assert_int_equal(requests, seeds * REQUESTS);
    assert_true(replay || (answered > requests / 4 && not_run > requests / 20));
}

/* Every seed again, short, with the accident at each of its steps. */
static void break_everywhere(enum sim_injection what)
{
    uint64_t runs = 0;
    uint64_t seeds = is_sanitized() ? 2 : 12;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct sim_options o = picked(seed, 120);
        uint64_t steps = run(&o).steps;
        o.inject = what;
        for (o.inject_step = 0; o.inject_step <= steps; o.inject_step++, runs++)
            (void)run(&o);
    }
    printf("%" PRIu64 " runs\n", runs);
    assert_true(runs > 100 * seeds);
}

static void a_call_may_fail_at_any_step(void **state)
{
    (void)state;
    break_everywhere(SIM_CALL_FAILS);
}

static void an_admission_may_fail_at_any_step(void **state)
{
    (void)state;
    break_everywhere(SIM_ADMIT_FAILS);
}

static void the_oldest_may_be_cancelled_at_any_step(void **state)
{
    (void)state;
    break_everywhere(SIM_CANCEL);
}

static void the_youngest_may_be_cancelled_at_any_step(void **state)
{
    (void)state;
    break_everywhere(SIM_CANCEL_YOUNG);
}

static void the_clock_may_jump_at_any_step(void **state)
{
    (void)state;
    break_everywhere(SIM_CLOCK_JUMPS);
}

static void a_seed_is_always_the_same_run(void **state)
{
    (void)state;
    struct sim_options o = picked(7, REQUESTS);
    struct sim_result a = run(&o);
    struct sim_result b = run(&o);
    assert_memory_equal(&a, &b, sizeof a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_policies_and_arrivals_break_no_rule),
        cmocka_unit_test(a_call_may_fail_at_any_step),
        cmocka_unit_test(an_admission_may_fail_at_any_step),
        cmocka_unit_test(the_oldest_may_be_cancelled_at_any_step),
        cmocka_unit_test(the_youngest_may_be_cancelled_at_any_step),
        cmocka_unit_test(the_clock_may_jump_at_any_step),
        cmocka_unit_test(a_seed_is_always_the_same_run),
    };
    signal(SIGABRT, on_abort);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
