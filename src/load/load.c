/* SPDX-License-Identifier: Apache-2.0 */
#include "load/load_impl.h"

#include "base/mem.h"
#include "http/http2.h"

#define SCAN_NS 5000000u      /* between looks at time limits and lost connections */
#define TICK_NS 100000000u    /* between calls of on_tick */
#define SPIN_NS 50000u        /* how late a sleeping thread may wake: the rest is not slept */
#define CONNECT_NS 1000000000 /* time for connections before the warm-up begins without them */

/* --- figures --- */

uint64_t gal_load_ok(const struct gal_load_counts *c)
{
    uint64_t sum = 0;

    for (int status = 200; status < 300; status++)
        sum += c->by_status[status];
    return sum;
}

uint64_t gal_load_failed(const struct gal_load_counts *c)
{
    return c->offered - gal_load_ok(c);
}

double gal_load_rate(const struct gal_load_result *r)
{
    return r->measured_ns ? (double)r->done_ok * 1e9 / (double)r->measured_ns : 0;
}

/* --- time --- */

/* Requests beyond their time, and connections that are to be opened again. */
static void scan(struct gal_load *l, uint64_t at_ns)
{
    l->scan_ns = at_ns + SCAN_NS;
    for (size_t i = 0; i < l->o.connections; i++) {
        struct gal_load_conn *c = &l->conns[i];
        if (c->state == GAL_LOAD_BUSY && at_ns > c->intended_ns + l->o.timeout_ns)
            gal_load_give_up(c);
        else if (c->state == GAL_LOAD_CLOSED && c->retry_ns <= at_ns && l->phase != GAL_LOAD_DRAIN)
            gal_load_open(c);
    }
}

static void tick(struct gal_load *l, uint64_t at_ns)
{
    uint64_t begin = l->measure_ns - l->o.warmup_ns;
    struct gal_load_live live = {
        .phase = l->phase,
        .elapsed_ns = l->phase == GAL_LOAD_CONNECT ? 0 : at_ns - begin,
        .total_ns = l->o.warmup_ns + l->o.duration_ns,
        .answered = l->answered,
        .failed = l->failed,
        .in_flight = l->busy_count,
        .latency = &l->result.latency,
    };

    l->tick_ns = at_ns + TICK_NS;
    if (live.elapsed_ns > live.total_ns)
        live.elapsed_ns = live.total_ns;
    if (l->o.on_tick)
        l->o.on_tick(&live, l->o.ctx);
}

/* What is known of time once the warm-up begins. */
static void begin(struct gal_load *l, uint64_t at_ns)
{
    l->result.opened = l->open_count;
    l->measure_ns = at_ns + l->o.warmup_ns;
    l->end_ns = l->measure_ns + l->o.duration_ns;
    l->phase = GAL_LOAD_WARMUP;
    if (gal_load_is_open(l)) {
        gal_arrivals_init(&l->arrivals, l->o.arrivals, l->o.rate, l->o.seed, at_ns);
        l->next_ns = gal_arrivals_next(&l->arrivals);
        return;
    }
    while (l->idle_count) {
        uint64_t send_ns = gal_load_now(l);
        gal_load_send(l->idle[--l->idle_count], send_ns, send_ns);
    }
}

static void advance(struct gal_load *l, uint64_t at_ns)
{
    if (l->phase == GAL_LOAD_CONNECT &&
        (l->open_count == l->o.connections || at_ns - l->phase_ns > CONNECT_NS))
        begin(l, at_ns);
    l->stop = l->stop || (l->phase != GAL_LOAD_CONNECT && l->result.opened == 0);
    if (l->phase == GAL_LOAD_WARMUP && at_ns >= l->measure_ns)
        l->phase = GAL_LOAD_MEASURE;
    if (l->phase == GAL_LOAD_MEASURE && at_ns >= l->end_ns) {
        l->phase = GAL_LOAD_DRAIN;
        l->result.measured_ns = l->o.duration_ns;
    }
}

static bool finished(const struct gal_load *l)
{
    if (l->stop)
        return true;
    return l->phase == GAL_LOAD_DRAIN && l->busy_count == 0 &&
           (!gal_load_is_open(l) || l->next_ns >= l->end_ns);
}

/* Sleeps until the next arrival is nearly due, at most until the next scan. */
static void rest(struct gal_load *l)
{
    uint64_t at_ns = gal_load_now(l), until = l->scan_ns;
    bool waits = l->idle_count > 0 && l->phase != GAL_LOAD_CONNECT && l->next_ns < l->end_ns;

    if (waits && l->next_ns < until)
        until = l->next_ns;
    if (until > at_ns + SPIN_NS)
        gal_loop_wait_ns(l->loop, until - at_ns - SPIN_NS);
}

static void turn(struct gal_load *l)
{
    uint64_t at_ns = gal_load_now(l);

    advance(l, at_ns);
    if (at_ns >= l->scan_ns)
        scan(l, at_ns);
    if (at_ns >= l->tick_ns)
        tick(l, at_ns);
    if (!gal_load_is_open(l)) {
        gal_loop_turn(l->loop);
        return;
    }
    if (l->phase != GAL_LOAD_CONNECT)
        gal_load_fire(l, at_ns);
    l->events = 0;
    gal_loop_poll(l->loop);
    if (l->events == 0 && !finished(l))
        rest(l);
}

/* --- life --- */

static void on_beat(void *ctx)
{
    (void)ctx; /* ends a turn */
}

static enum gal_status make_wires(struct gal_load *l, struct gal_err *err)
{
    struct gal_wire_head head = {.authority = l->o.authority, .timeout_us = l->o.deadline_us};
    enum gal_status status = GAL_OK;

    if (l->wire == &gal_wire_grpc)
        status = gal_http2_pool_new(&l->pool, err);
    head.pool = l->pool;
    for (size_t i = 0; i < l->o.connections && status == GAL_OK; i++) {
        l->conns[i].load = l;
        status = l->wire->new (&head, &l->conns[i].wire, err);
    }
    return status;
}

enum gal_status gal_load_new(struct gal_loop *loop, const struct gal_load_options *options,
                             struct gal_load **out, struct gal_err *err)
{
    struct gal_load *l = gal_calloc(1, sizeof *l);
    enum gal_status status;

    if (!l)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the load generator");
    l->loop = loop;
    l->o = *options;
    l->wire = options->wire;
    l->measure_ns = l->end_ns = UINT64_MAX;
    gal_histogram_clear(&l->result.latency);
    gal_histogram_clear(&l->result.service);
    gal_histogram_clear(&l->result.delay);
    l->conns = gal_calloc(options->connections, sizeof *l->conns);
    l->idle = gal_calloc(options->connections, sizeof(struct gal_load_conn *));
    if (!l->conns || !l->idle) {
        gal_load_free(l);
        return gal_fail(err, GAL_NO_MEMORY, "no memory for %zu connections", options->connections);
    }
    status = make_wires(l, err);
    if (status == GAL_OK)
        status = gal_timer_new(loop, on_beat, l, &l->beat, err);
    if (status != GAL_OK) {
        gal_load_free(l);
        return status;
    }
    *out = l;
    return GAL_OK;
}

static void close_all(struct gal_load *l)
{
    for (size_t i = 0; i < l->o.connections; i++) {
        struct gal_load_conn *c = &l->conns[i];
        if (c->state == GAL_LOAD_CONNECTING)
            gal_connect_cancel(l->loop, c);
        if (c->state == GAL_LOAD_BUSY && gal_load_counts_now(c)) {
            l->result.counts.offered++;
            l->result.counts.unfinished++;
        }
        if (c->stream && c->state != GAL_LOAD_CLOSING)
            gal_load_lose(c);
    }
    while (l->open_count)
        gal_loop_poll(l->loop);
}

const struct gal_load_result *gal_load_run(struct gal_load *l)
{
    struct gal_load_result *r = &l->result;

    l->phase_ns = gal_load_now(l);
    gal_timer_start(l->beat, SCAN_NS / 1000, SCAN_NS / 1000);
    while (!finished(l))
        turn(l);
    if (l->phase == GAL_LOAD_MEASURE) {
        uint64_t at_ns = gal_load_now(l);
        r->measured_ns = at_ns > l->measure_ns ? at_ns - l->measure_ns : 0;
    }
    r->stopped = l->stop;
    l->stop = true;
    gal_timer_stop(l->beat);
    close_all(l);
    return r;
}

void gal_load_stop(struct gal_load *l)
{
    l->stop = true;
}

void gal_load_free(struct gal_load *l)
{
    if (!l)
        return;
    for (size_t i = 0; l->conns && i < l->o.connections; i++)
        l->wire->free(l->conns[i].wire);
    gal_http2_pool_free(l->pool);
    gal_timer_free(l->beat);
    gal_free(l->conns);
    gal_free(l->idle);
    gal_free(l);
}
