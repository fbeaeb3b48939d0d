/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the steps of a plan. Sides take turns, and the one that begins changes from round to round,
 * so that a machine that grows warm or busy favours none. */
#include "cli/bench.h"
#include "net/loop.h"

#include <sys/prctl.h>
#include <time.h>

static uint64_t read_ns(clockid_t id)
{
    struct timespec t;

    (void)clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t now_ns(void *ctx)
{
    (void)ctx;
    return read_ns(CLOCK_MONOTONIC);
}

/* --- results --- */

struct gal_load_summary *gal_bench_result(const struct gal_bench *b, size_t step, size_t round,
                                          size_t side)
{
    return &b->results[(step * b->plan.rounds + round) * b->side_count + side];
}

const struct gal_load_summary *gal_bench_median(const struct gal_bench *b, size_t step, size_t side)
{
    size_t rounds = b->rounds_done[step];

    for (size_t i = 0; i < rounds; i++) { /* its rank is the middle one */
        const struct gal_load_summary *s = gal_bench_result(b, step, i, side);
        size_t below = 0;
        for (size_t k = 0; k < rounds; k++) {
            double rate = gal_bench_result(b, step, k, side)->rate;
            below += rate < s->rate || (rate == s->rate && k < i);
        }
        if (below == (rounds - 1) / 2)
            return s;
    }
    return NULL;
}

void gal_bench_compare(const struct gal_bench *b, size_t step,
                       double (*value)(const struct gal_load_summary *s), struct gal_ratio *out)
{
    double first[GAL_PAIRS_MAX], second[GAL_PAIRS_MAX];
    size_t rounds = b->rounds_done[step];

    for (size_t i = 0; i < rounds; i++) {
        first[i] = value(gal_bench_result(b, step, i, 0));
        second[i] = value(gal_bench_result(b, step, i, 1));
    }
    gal_ratio_of(first, second, rounds, out);
}

const struct gal_objective *gal_bench_missed(const struct gal_bench *b,
                                             const struct gal_load_summary *s)
{
    const struct gal_objectives *all = &b->plan.objectives;

    for (size_t i = 0; i < all->count; i++) {
        if (!gal_objective_kept(&all->at[i], s))
            return &all->at[i];
    }
    return NULL;
}

/* --- one run --- */

struct running {
    struct gal_bench *bench;
    size_t step, round, side;
};

static void on_tick(const struct gal_load_live *live, void *ctx)
{
    struct running *r = ctx;
    gal_bench_progress(r->bench, &r->bench->steps[r->step], r->step, r->round, r->side, live);
}

static void take_usage(struct gal_load_summary *out, const struct gal_bench_side *s,
                       const uint64_t before[3])
{
    uint64_t wall = read_ns(CLOCK_MONOTONIC) - before[0];
    uint64_t own = read_ns(CLOCK_THREAD_CPUTIME_ID) - before[1];
    uint64_t served = gal_bench_child_cpu_ns(&s->child);

    out->client_busy = wall ? (double)own / (double)wall : -1;
    out->server_busy = served && wall ? (double)(served - before[2]) / (double)wall : -1;
    out->server_rss_bytes = gal_bench_child_rss(&s->child);
}

static enum gal_status run_once(struct running *r, struct gal_err *err)
{
    struct gal_bench *b = r->bench;
    struct gal_bench_side *s = &b->sides[r->side];
    const struct gal_bench_step *step = &b->steps[r->step];
    struct gal_load_summary *out = gal_bench_result(b, r->step, r->round, r->side);
    const struct gal_load_options options = {
        .target = s->endpoint,
        .wire = s->spec.protocol == GAL_PROTOCOL_GRPC ? &gal_wire_grpc : &gal_wire_http1,
        .authority = s->authority,
        .deadline_us = s->spec.timeout_us,
        .requests = s->requests,
        .request_count = s->request_count,
        .connections = step->connections,
        .rate = step->rate,
        .arrivals = b->plan.arrivals,
        .seed = b->plan.seed + r->round,
        .warmup_ns = b->plan.warmup_ns,
        .duration_ns = b->plan.duration_ns,
        .timeout_ns = b->plan.client_timeout_ns,
        .now_ns = now_ns,
        .on_tick = on_tick,
        .ctx = r,
    };
    struct gal_server_stats before, after;
    uint64_t usage[3];
    enum gal_status status = gal_load_new(b->loop, &options, &b->load, err);

    if (status != GAL_OK)
        return status;
    gal_bench_side_stats(s, &before);
    usage[0] = read_ns(CLOCK_MONOTONIC);
    usage[1] = read_ns(CLOCK_THREAD_CPUTIME_ID);
    usage[2] = gal_bench_child_cpu_ns(&s->child);
    *out = (struct gal_load_summary){.connections = step->connections, .offered_rate = step->rate};
    gal_summary_fill(out, gal_load_run(b->load), s->rows);
    take_usage(out, s, usage);
    gal_load_free(b->load);
    b->load = NULL;
    gal_bench_side_stats(s, &after);
    gal_server_stats_since(&before, &after, &out->server);
    gal_bench_progress_clear(b);
    if (out->opened == 0 && !b->interrupted)
        return gal_fail(err, GAL_UNAVAILABLE, "%s does not take connections any more",
                        s->authority);
    return GAL_OK;
}

/* --- all of them --- */

static enum gal_status run_round(struct gal_bench *b, size_t step, size_t round,
                                 struct gal_err *err)
{
    enum gal_status status = GAL_OK;

    for (size_t i = 0; i < b->side_count && status == GAL_OK && !b->interrupted; i++) {
        struct running r = {b, step, round, b->side_count == 2 ? (i + round) % 2 : i};
        status = run_once(&r, err);
        if (status == GAL_OK && i + 1 == b->side_count)
            b->rounds_done[step] = round + 1;
    }
    return status;
}

static enum gal_status run_step(struct gal_bench *b, size_t step, struct gal_err *err)
{
    enum gal_status status = GAL_OK;

    for (size_t i = 0; i < b->side_count && status == GAL_OK; i++) {
        if (step == 0 || b->steps[step].rows != b->steps[step - 1].rows)
            status = gal_bench_side_make(&b->sides[i], &b->plan, b->steps[step].rows, err);
        if (status == GAL_OK && step == 0 && i + 1 == b->side_count)
            gal_bench_table_head(b);
    }
    for (size_t round = 0; round < b->plan.rounds && status == GAL_OK && !b->interrupted; round++)
        status = run_round(b, step, round, err);
    if (b->rounds_done[step]) {
        b->steps_done = step + 1;
        gal_bench_table_step(b, step);
    }
    return status;
}

enum gal_status gal_bench_run(struct gal_bench *b, struct gal_err *err)
{
    enum gal_status status = GAL_OK;

    (void)prctl(PR_SET_TIMERSLACK, 1ul, 0, 0, 0); /* arrivals are due to the microsecond */
    for (size_t i = 0; i < b->step_count && status == GAL_OK && !b->interrupted; i++)
        status = run_step(b, i, err);
    return status;
}
