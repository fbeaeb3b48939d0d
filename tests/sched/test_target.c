/* SPDX-License-Identifier: Apache-2.0 */
/* What a latency target and deadlines are worth, in virtual time (simulate.h): p99 from 10 % to 90
 * % of capacity, goodput and recovery when three times the capacity is offered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sched/simulate.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* A model, in microseconds a call and a row; calls take up to half as much again. */
struct curve {
    const char *name;
    double base_us, row_us;
    double
        shed_max; /* share of requests that a target of three worthwhile calls may shed at 90 % */
};
#define NOISE 1.5
#define CURVES 3u

static const struct curve curves[CURVES] = {
    {"MLP, 210 + 18 n us", 210.0, 18.0, 0.001},
    {"flat, 1000 + 5 n us", 1000.0, 5.0, 0.001},
    {"steep, 100 + 100 n us", 100.0, 100.0, 0.02},
};

static struct sim_options options(const struct curve *c, unsigned workers)
{
    struct sim_options o = {.seed = 1,
                            .workers = workers,
                            .base_us = c->base_us,
                            .row_us = c->row_us,
                            .noise = NOISE,
                            .rows_most = 1,
                            .with_cost = true,
                            .timers = true};
    gal_policy_init(&o.policy);
    o.policy.jobs_max = 100000; /* not what bounds here */
    return o;
}

/* The mean cost of the smallest batch that gives 95 % of the best rate. */
static uint64_t worthwhile_call_us(const struct sim_options *o)
{
    double most = (double)o->policy.rows_max;
    double best = most / (o->base_us + o->row_us * most);
    double rows = 1.0;
    while (rows / (o->base_us + o->row_us * rows) < 0.95 * best)
        rows += 1.0;
    return (uint64_t)((o->base_us + o->row_us * rows) * (1.0 + o->noise) / 2.0);
}

/* Long enough for a p99 of thousands of requests, short where many come in a second. */
static uint64_t span_us(const struct sim_options *o)
{
    return sim_capacity(o) < 100000.0 ? 1000000 : 400000;
}

static void steady(struct sim_options *o, double load)
{
    uint64_t span = span_us(o);
    o->phase[0].rate = sim_capacity(o) * load;
    o->requests = (size_t)(o->phase[0].rate * 1.5 * (double)span / 1e6);
    o->settle_us = span / 2;
}

static void print_steady(const struct sim_options *o, double load, const struct sim_result *r)
{
    const struct sim_measure *m = &r->phase[0];
    printf("  %u worker%s %3.0f %% of capacity: p50 %5" PRIu64 " us, p99 %5" PRIu64 " of %5" PRIu64
           " us, shed %5.2f %%, busy %3.0f %%, %4.1f rows a call\n",
           o->workers, o->workers > 1 ? "s," : ", ", load * 100.0, m->p50_us, m->p99_us,
           o->policy.target_us, 100.0 * (double)m->shed / (double)m->submitted, 100.0 * r->busy,
           (double)r->rows / (double)r->calls);
}

static void the_target_holds_from_10_to_90_percent_of_capacity(void **state)
{
    (void)state;
    static const double loads[] = {0.1, 0.3, 0.5, 0.7, 0.8, 0.9};
    for (size_t k = 0; k < CURVES; k++) {
        printf("%s\n", curves[k].name);
        for (unsigned workers = 1; workers <= 4; workers += 3) {
            for (size_t i = 0; i < sizeof loads / sizeof *loads; i++) {
                struct sim_options o = options(&curves[k], workers);
                o.policy.target_us = 3 * worthwhile_call_us(&o);
                steady(&o, loads[i]);
                struct sim_result r = sim_run(&o);
                const struct sim_measure *m = &r.phase[0];
                print_steady(&o, loads[i], &r);
                assert_true(m->p99_us <= o.policy.target_us);
                /* Where batches gain nothing, the queue itself is longer than the target at times.
                 */
                assert_true((double)m->shed <= curves[k].shed_max * (double)m->submitted);
            }
        }
    }
}

static void bursts_keep_the_target_too(void **state)
{
    (void)state;
    static const double loads[] = {0.1, 0.5, 0.7};
    for (size_t i = 0; i < sizeof loads / sizeof *loads; i++) {
        struct sim_options o = options(&curves[0], 1);
        o.arrivals = SIM_BURSTS;
        o.policy.target_us = 6 * worthwhile_call_us(&o);
        steady(&o, loads[i]);
        struct sim_result r = sim_run(&o);
        print_steady(&o, loads[i], &r);
        assert_true(r.phase[0].p99_us <= o.policy.target_us);
        assert_true(r.phase[0].shed * 100 <= r.phase[0].submitted);
    }
}

static void an_idle_server_makes_nobody_wait(void **state)
{
    (void)state;
    struct sim_options o = options(&curves[0], 1);
    o.arrivals = SIM_CLOSED;
    o.clients = 1;
    o.noise = 1.0;
    o.requests = 1000;
    for (uint64_t target_us = 0; target_us <= 4000; target_us += 4000) {
        o.policy.target_us = target_us;
        struct sim_result r = sim_run(&o);
        assert_int_equal(r.phase[0].p50_us, 229);
        assert_int_equal(r.phase[0].most_us, 229);
    }
}

static void many_clients_fill_batches_untold(void **state)
{
    (void)state;
    struct sim_options o = options(&curves[0], 1);
    o.arrivals = SIM_CLOSED;
    o.clients = 64;
    o.turns = true;
    o.requests = 50000;
    struct sim_result with = sim_run(&o);
    double capacity = sim_capacity(&o);
    o.policy.rows_max = 1;
    struct sim_result without = sim_run(&o);
    printf("64 clients: %.0f rows/s, %.1f rows a call, %.1f %% of capacity; %.0f without batches\n",
           with.phase[0].rate, (double)with.rows / (double)with.calls,
           100.0 * with.phase[0].rate / capacity, without.phase[0].rate);
    assert_true(with.phase[0].rate >= 0.95 * capacity);
    assert_true(with.phase[0].rate >= 8.0 * without.phase[0].rate);
}

static void a_target_below_any_call_sheds_but_serves(void **state)
{
    (void)state;
    struct sim_options o = options(&curves[1], 1);
    o.policy.target_us = 500;
    steady(&o, 0.5);
    struct sim_result r = sim_run(&o);
    print_steady(&o, 0.5, &r);
    assert_true(r.phase[0].answered > 500); /* whoever finds the worker idle */
    assert_true(r.phase[0].p99_us <= 1508); /* and they wait for nobody */
    assert_true(r.phase[0].shed > r.phase[0].answered);
}

/* 50 %, then three times the capacity, then 50 % again. */
static void surge(struct sim_options *o)
{
    double capacity = sim_capacity(o);
    uint64_t span = span_us(o);
    for (unsigned i = 0; i < 3; i++)
        o->phase[i] = (struct sim_phase){(i + 1) * span, capacity * (i == 1 ? 3.0 : 0.5)};
    o->phase[2].until_us = 0;
    o->requests = (size_t)(capacity * 4.0 * (double)span / 1e6);
    o->settle_us = span / 2;
}

static void print_surge(const struct sim_options *o, const struct sim_result *r)
{
    double capacity = sim_capacity(o);
    for (unsigned i = 0; i < 3; i++) {
        const struct sim_measure *m = &r->phase[i];
        printf("  %u workers, %3.0f %% offered: in time %5.1f %% of capacity, %6.2f %% of answers; "
               "p99 "
               "%5" PRIu64 " us; shed %4.1f %%, expired %4.1f %%\n",
               o->workers, 100.0 * o->phase[i].rate / capacity, 100.0 * m->rate / capacity,
               100.0 * (double)m->in_time / (double)m->answered, m->p99_us,
               100.0 * (double)m->shed / (double)m->submitted,
               100.0 * (double)m->expired / (double)m->submitted);
    }
    printf("    nothing waits %" PRIu64 " us after the surge\n", r->empty_after_us);
}

static void judge_surge(const struct sim_options *o, const struct sim_result *r, double goodput)
{
    const struct sim_measure *m = r->phase;
    print_surge(o, r);
    assert_true(m[1].rate >= goodput * sim_capacity(o));
    assert_true((double)m[1].in_time >= 0.99 * (double)m[1].answered);
    assert_true(r->empty_after_us <= 1000000);
    for (unsigned i = 0; i < 3; i += 2) { /* as if nothing had been */
        assert_int_equal(m[i].in_time, m[i].submitted);
        assert_true(m[i].p99_us <= m[0].p99_us * 5 / 4);
    }
}

static void overload_costs_no_goodput_where_requests_have_deadlines(void **state)
{
    (void)state;
    for (size_t k = 0; k < CURVES; k++) {
        printf("%s\n", curves[k].name);
        for (unsigned workers = 1; workers <= 4; workers += 3) {
            struct sim_options o = options(&curves[k], workers);
            surge(&o);
            o.with_deadline = 1.0;
            o.exact = true;
            o.deadline_us = 4 * worthwhile_call_us(&o);
            struct sim_result r = sim_run(&o);
            judge_surge(&o, &r, 0.95);
        }
    }
}

static void overload_costs_little_goodput_under_a_target(void **state)
{
    (void)state;
    for (size_t k = 0; k < CURVES; k++) {
        printf("%s\n", curves[k].name);
        for (unsigned workers = 1; workers <= 4; workers += 3) {
            struct sim_options o = options(&curves[k], workers);
            surge(&o);
            o.policy.target_us = 3 * worthwhile_call_us(&o);
            struct sim_result r = sim_run(&o);
            judge_surge(&o, &r, 0.93); /* calls are bounded to half the target */
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_target_holds_from_10_to_90_percent_of_capacity),
        cmocka_unit_test(bursts_keep_the_target_too),
        cmocka_unit_test(an_idle_server_makes_nobody_wait),
        cmocka_unit_test(many_clients_fill_batches_untold),
        cmocka_unit_test(a_target_below_any_call_sheds_but_serves),
        cmocka_unit_test(overload_costs_no_goodput_where_requests_have_deadlines),
        cmocka_unit_test(overload_costs_little_goodput_under_a_target),
    };
    const char *sanitize = getenv("GALLEY_SANITIZE");
    if (sanitize && *sanitize) {
        /* The same code runs under sanitizers in test_simulation; here it is only its figures. */
        printf("figures are not taken under sanitizers\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
