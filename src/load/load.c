/* SPDX-License-Identifier: Apache-2.0 */
#include "load/load.h"

#include "base/mem.h"
#include "http/http2.h"

#include <errno.h>

#define READ_BYTES (256u << 10) /* a large answer in few calls, and still within a core's cache */
#define SCAN_NS 5000000u        /* between looks at time limits and lost connections */
#define TICK_NS 100000000u      /* between calls of on_tick */
#define SPIN_NS 50000u          /* how late a sleeping thread may wake: the rest is not slept */
#define BURST_MAX 64            /* requests sent before the loop reads again */
#define CONNECT_NS 1000000000   /* time for connections before the warm-up begins without them */
#define RETRY_NS 10000000u      /* first pause before a connection is tried again; doubles */
#define RETRY_DOUBLINGS_MAX 6

enum state { CLOSED, CONNECTING, IDLE, BUSY, CLOSING };

struct conn {
    struct gal_load *load;
    struct gal_stream *stream; /* from on_open to on_close */
    void *wire;                /* owned */
    enum state state;
    bool writing;     /* the kernel has not taken all of what was gathered */
    bool measured;    /* open loop: this request belongs to the measurement */
    unsigned retries; /* without an answer in between */
    uint64_t retry_ns;
    uint64_t intended_ns, sent_ns; /* of the request in flight */
};

struct gal_load {
    struct gal_loop *loop;
    struct gal_load_options o;
    const struct gal_wire_ops *wire;
    struct gal_http2_pool *pool; /* owned */
    struct gal_load_result result;
    struct conn *conns; /* o.connections; owned */
    struct conn **idle; /* a stack, the latest used on top; owned */
    size_t idle_count, open_count, busy_count;
    size_t next_request;
    struct gal_arrivals arrivals;
    uint64_t next_ns;    /* intended start of the next arrival */
    uint64_t starved_ns; /* when no connection was free for the last time */
    enum gal_load_phase phase;
    uint64_t phase_ns, measure_ns, end_ns; /* begin of the phase, the measurement, the drain */
    uint64_t scan_ns, tick_ns;             /* of the next */
    uint64_t events;                       /* callbacks, so that a quiet turn is known */
    uint64_t answered, failed;
    bool stop;
    struct gal_timer *beat;
    char space[READ_BYTES]; /* every connection reads here: answers are not kept */
};

static uint64_t now(const struct gal_load *l)
{
    return l->o.now_ns(l->o.ctx);
}

static bool is_open_loop(const struct gal_load *l)
{
    return l->o.rate > 0;
}

/* --- counting --- */

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

static bool is_ok(int status)
{
    return status >= 200 && status < 300;
}

/* Whether a request that ends now is one of the measurement's. */
static bool counts(const struct conn *c)
{
    return is_open_loop(c->load) ? c->measured : c->load->phase == GAL_LOAD_MEASURE;
}

static void count_answer(struct conn *c, int status, uint64_t at_ns)
{
    struct gal_load *l = c->load;
    struct gal_load_result *r = &l->result;

    l->answered++;
    l->failed += !is_ok(status);
    r->done_ok += is_ok(status) && l->phase == GAL_LOAD_MEASURE;
    if (!counts(c))
        return;
    r->counts.offered++;
    r->counts.by_status[status < GAL_LOAD_STATUSES ? status : GAL_LOAD_STATUSES - 1]++;
    gal_histogram_add(&r->delay, c->sent_ns - c->intended_ns);
    if (is_ok(status)) {
        gal_histogram_add(&r->latency, at_ns - c->intended_ns);
        gal_histogram_add(&r->service, at_ns - c->sent_ns);
    }
}

static void count_loss(struct conn *c, uint64_t *cause)
{
    c->load->failed++;
    if (counts(c)) {
        c->load->result.counts.offered++;
        (*cause)++;
        gal_histogram_add(&c->load->result.delay, c->sent_ns - c->intended_ns);
    }
}

/* --- sending --- */

static void lose(struct conn *c)
{
    c->load->busy_count -= c->state == BUSY;
    c->state = CLOSING;
    gal_stream_close(c->stream);
}

/* Writes what the wire has to say, until it has no more or the kernel has enough. */
static void flush(struct conn *c)
{
    struct gal_load *l = c->load;
    struct gal_str parts[GAL_WIRE_PARTS_MAX];
    size_t n;

    while (!c->writing && c->state != CLOSING && (n = l->wire->gather(c->wire, parts)) > 0) {
        for (size_t i = 0; i < n && l->phase == GAL_LOAD_MEASURE; i++)
            l->result.bytes_out += parts[i].n;
        c->writing = !gal_stream_write(c->stream, parts, n);
    }
}

static void send_request(struct conn *c, uint64_t intended_ns, uint64_t at_ns)
{
    struct gal_load *l = c->load;
    struct gal_str request = l->o.requests[l->next_request];

    if (++l->next_request == l->o.request_count)
        l->next_request = 0;
    c->state = BUSY;
    c->intended_ns = intended_ns;
    c->sent_ns = at_ns;
    c->measured = intended_ns >= l->measure_ns && intended_ns < l->end_ns;
    l->busy_count++;
    if (l->wire->send(c->wire, request)) {
        flush(c);
    } else {
        count_loss(c, &l->result.counts.broken);
        lose(c);
    }
}

static void drop_arrival(struct gal_load *l)
{
    struct gal_load_counts *c = &l->result.counts;

    l->failed++;
    if (l->next_ns >= l->measure_ns && l->next_ns < l->end_ns) {
        c->offered++;
        c->unsent++;
    }
}

/* Sends what is due, as long as connections are free for it. Half of the time limit is kept for the
 * target: were the oldest arrivals sent just before their end, all of an overload would time out.
 */
static void fire(struct gal_load *l, uint64_t at_ns)
{
    for (int burst = 0; burst < BURST_MAX && l->next_ns <= at_ns && l->next_ns < l->end_ns;) {
        if (at_ns - l->next_ns > l->o.timeout_ns / 2) {
            drop_arrival(l);
        } else if (l->idle_count == 0) {
            l->starved_ns = at_ns;
            return;
        } else {
            l->result.held += l->next_ns <= l->starved_ns && l->next_ns >= l->measure_ns;
            send_request(l->idle[--l->idle_count], l->next_ns, at_ns);
            at_ns = now(l);
            burst++;
        }
        l->next_ns = gal_arrivals_next(&l->arrivals);
    }
}

/* A connection has nothing to do: in a closed loop it goes on at once. */
static void go_on(struct conn *c, uint64_t at_ns)
{
    struct gal_load *l = c->load;

    c->state = IDLE;
    if (is_open_loop(l)) {
        l->idle[l->idle_count++] = c;
        if (l->phase != GAL_LOAD_CONNECT)
            fire(l, at_ns);
    } else if (l->phase == GAL_LOAD_WARMUP || l->phase == GAL_LOAD_MEASURE) {
        send_request(c, at_ns, at_ns);
    } else {
        l->idle[l->idle_count++] = c;
    }
}

static void forget_idle(struct conn *c)
{
    struct gal_load *l = c->load;

    for (size_t i = l->idle_count; i-- > 0;) {
        if (l->idle[i] == c) {
            memmove(&l->idle[i], &l->idle[i + 1], (l->idle_count - i - 1) * sizeof(struct conn *));
            l->idle_count--;
            return;
        }
    }
}

/* --- answers --- */

static void keep_sample(struct gal_load *l, const struct gal_wire_answer *answer)
{
    struct gal_load_result *r = &l->result;
    size_t n = answer->text.n < sizeof r->sample ? answer->text.n : sizeof r->sample - 1;

    r->sample_status = answer->status;
    if (n)
        memcpy(r->sample, answer->text.p, n);
    r->sample[n] = '\0';
}

/* The answer is whole. A request whose last bytes are still to be written was refused early: only
 * a wire that interleaves can send another behind it. */
static void end_request(struct conn *c, const struct gal_wire_answer *answer, uint64_t at_ns)
{
    struct gal_load *l = c->load;

    count_answer(c, answer->status, at_ns);
    if (!is_ok(answer->status) && l->result.sample_status == 0)
        keep_sample(l, answer);
    c->retries = 0;
    if (!answer->again || (c->writing && !l->wire->interleaves)) {
        lose(c);
        return;
    }
    l->busy_count--;
    go_on(c, at_ns);
}

/* The connection is of no more use; *cause is where a request in flight counts. */
static void break_off(struct conn *c, uint64_t *cause)
{
    if (c->state == BUSY)
        count_loss(c, cause);
    else if (c->state == IDLE)
        forget_idle(c);
    if (c->state != CLOSING)
        lose(c);
}

static char *on_space(void *user, size_t *n)
{
    struct conn *c = user;
    *n = READ_BYTES;
    return c->load->space;
}

static void on_data(void *user, size_t n)
{
    struct conn *c = user;
    struct gal_load *l = c->load;
    uint64_t at_ns = now(l);
    struct gal_wire_answer answer;

    l->events++;
    if (l->phase == GAL_LOAD_MEASURE)
        l->result.bytes_in += n;
    switch (l->wire->feed(c->wire, l->space, n, &answer)) {
    case GAL_WIRE_DONE:
        end_request(c, &answer, at_ns);
        break;
    case GAL_WIRE_OVER:
        break_off(c, &l->result.counts.broken);
        break;
    case GAL_WIRE_BAD:
        break_off(c, &l->result.counts.malformed);
        break;
    default:
        break;
    }
    flush(c);
}

static void on_eof(void *user)
{
    struct conn *c = user;
    struct gal_load *l = c->load;
    struct gal_wire_answer answer;

    l->events++;
    if (l->wire->end(c->wire, &answer) == GAL_WIRE_DONE)
        end_request(c, &answer, now(l));
    else
        break_off(c, &l->result.counts.broken);
}

static void on_written(void *user)
{
    struct conn *c = user;

    c->writing = false;
    c->load->events++;
    flush(c);
}

/* --- connections --- */

static void open_connection(struct conn *c);

/* A connection that has served is replaced at once, one that never did after a while. */
static void plan_retry(struct conn *c)
{
    struct gal_load *l = c->load;
    unsigned doublings = c->retries < RETRY_DOUBLINGS_MAX ? c->retries : RETRY_DOUBLINGS_MAX;
    bool at_once = c->retries == 0 && !l->stop && l->phase != GAL_LOAD_DRAIN;

    c->state = CLOSED;
    c->retry_ns = now(l) + ((uint64_t)RETRY_NS << doublings);
    c->retries++;
    if (at_once)
        open_connection(c);
}

static void *on_open(struct gal_stream *s, void *ctx)
{
    struct conn *c = ctx;

    c->load->events++;
    c->load->open_count++;
    c->stream = s;
    if (!c->load->wire->open(c->wire)) {
        lose(c);
        return c;
    }
    go_on(c, now(c->load));
    flush(c);
    return c;
}

static void on_close(void *user)
{
    struct conn *c = user;

    c->load->events++;
    if (c->state == BUSY) { /* reset by the peer */
        count_loss(c, &c->load->result.counts.broken);
        c->load->busy_count--;
    } else if (c->state == IDLE) {
        forget_idle(c);
    }
    c->load->open_count--;
    c->stream = NULL;
    c->writing = false;
    plan_retry(c);
}

static const struct gal_stream_ops ops = {
    .on_open = on_open,
    .on_space = on_space,
    .on_data = on_data,
    .on_eof = on_eof,
    .on_written = on_written,
    .on_close = on_close,
};

static void on_failed(int error, void *ctx)
{
    struct conn *c = ctx;

    c->load->events++;
    c->load->result.connect_failures++;
    c->load->result.connect_error = error;
    plan_retry(c);
}

static void open_connection(struct conn *c)
{
    struct gal_load *l = c->load;

    c->state = CONNECTING;
    if (gal_stream_connect(l->loop, &l->o.target, &ops, on_failed, c, NULL) != GAL_OK)
        on_failed(errno, c);
}

/* --- time --- */

static void give_up(struct conn *c)
{
    count_loss(c, &c->load->result.counts.unanswered);
    lose(c);
}

/* Requests beyond their time, and connections that are to be opened again. */
static void scan(struct gal_load *l, uint64_t at_ns)
{
    l->scan_ns = at_ns + SCAN_NS;
    for (size_t i = 0; i < l->o.connections; i++) {
        struct conn *c = &l->conns[i];
        if (c->state == BUSY && at_ns > c->intended_ns + l->o.timeout_ns)
            give_up(c);
        else if (c->state == CLOSED && c->retry_ns <= at_ns && l->phase != GAL_LOAD_DRAIN)
            open_connection(c);
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
    if (is_open_loop(l)) {
        gal_arrivals_init(&l->arrivals, l->o.arrivals, l->o.rate, l->o.seed, at_ns);
        l->next_ns = gal_arrivals_next(&l->arrivals);
        return;
    }
    while (l->idle_count) {
        uint64_t send_ns = now(l);
        send_request(l->idle[--l->idle_count], send_ns, send_ns);
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
           (!is_open_loop(l) || l->next_ns >= l->end_ns);
}

/* Sleeps until the next arrival is nearly due, at most until the next scan. */
static void rest(struct gal_load *l)
{
    uint64_t at_ns = now(l), until = l->scan_ns;
    bool waits = l->idle_count > 0 && l->phase != GAL_LOAD_CONNECT && l->next_ns < l->end_ns;

    if (waits && l->next_ns < until)
        until = l->next_ns;
    if (until > at_ns + SPIN_NS)
        gal_loop_wait_ns(l->loop, until - at_ns - SPIN_NS);
}

static void turn(struct gal_load *l)
{
    uint64_t at_ns = now(l);

    advance(l, at_ns);
    if (at_ns >= l->scan_ns)
        scan(l, at_ns);
    if (at_ns >= l->tick_ns)
        tick(l, at_ns);
    if (!is_open_loop(l)) {
        gal_loop_turn(l->loop);
        return;
    }
    if (l->phase != GAL_LOAD_CONNECT)
        fire(l, at_ns);
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
    l->idle = gal_calloc(options->connections, sizeof(struct conn *));
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
        struct conn *c = &l->conns[i];
        if (c->state == CONNECTING)
            gal_connect_cancel(l->loop, c);
        if (c->state == BUSY && counts(c)) {
            l->result.counts.offered++;
            l->result.counts.unfinished++;
        }
        if (c->stream && c->state != CLOSING)
            lose(c);
    }
    while (l->open_count)
        gal_loop_poll(l->loop);
}

const struct gal_load_result *gal_load_run(struct gal_load *l)
{
    struct gal_load_result *r = &l->result;

    l->phase_ns = now(l);
    gal_timer_start(l->beat, SCAN_NS / 1000, SCAN_NS / 1000);
    while (!finished(l))
        turn(l);
    if (l->phase == GAL_LOAD_MEASURE) {
        uint64_t at_ns = now(l);
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
