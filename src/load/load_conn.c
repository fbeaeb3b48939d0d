/* SPDX-License-Identifier: Apache-2.0 */
/* The connections of the load generator: requests out, answers in, and what each is counted as. */
#include "load/load_impl.h"

#include <errno.h>

#define BURST_MAX 64       /* requests sent before the loop reads again */
#define RETRY_NS 10000000u /* first pause before a connection is tried again; doubles */
#define RETRY_DOUBLINGS_MAX 6

/* --- counting --- */

static bool is_ok(int status)
{
    return status >= 200 && status < 300;
}

bool gal_load_counts_now(const struct gal_load_conn *c)
{
    return gal_load_is_open(c->load) ? c->measured : c->load->phase == GAL_LOAD_MEASURE;
}

static void count_answer(struct gal_load_conn *c, int status, uint64_t at_ns)
{
    struct gal_load *l = c->load;
    struct gal_load_result *r = &l->result;

    l->answered++;
    l->failed += !is_ok(status);
    r->done_ok += is_ok(status) && l->phase == GAL_LOAD_MEASURE;
    if (!gal_load_counts_now(c))
        return;
    r->counts.offered++;
    r->counts.by_status[status < GAL_LOAD_STATUSES ? status : GAL_LOAD_STATUSES - 1]++;
    gal_histogram_add(&r->delay, c->sent_ns - c->intended_ns);
    if (is_ok(status)) {
        gal_histogram_add(&r->latency, at_ns - c->intended_ns);
        gal_histogram_add(&r->service, at_ns - c->sent_ns);
    }
}

static void count_loss(struct gal_load_conn *c, uint64_t *cause)
{
    c->load->failed++;
    if (gal_load_counts_now(c)) {
        c->load->result.counts.offered++;
        (*cause)++;
        gal_histogram_add(&c->load->result.delay, c->sent_ns - c->intended_ns);
    }
}

/* --- sending --- */

void gal_load_lose(struct gal_load_conn *c)
{
    c->load->busy_count -= c->state == GAL_LOAD_BUSY;
    c->state = GAL_LOAD_CLOSING;
    gal_stream_close(c->stream);
}

/* Writes what the wire has to say, until it has no more or the kernel has enough. */
static void flush(struct gal_load_conn *c)
{
    struct gal_load *l = c->load;
    struct gal_str parts[GAL_WIRE_PARTS_MAX];
    size_t n;

    while (!c->writing && c->state != GAL_LOAD_CLOSING &&
           (n = l->wire->gather(c->wire, parts)) > 0) {
        for (size_t i = 0; i < n && l->phase == GAL_LOAD_MEASURE; i++)
            l->result.bytes_out += parts[i].n;
        c->writing = !gal_stream_write(c->stream, parts, n);
    }
}

void gal_load_send(struct gal_load_conn *c, uint64_t intended_ns, uint64_t at_ns)
{
    struct gal_load *l = c->load;
    struct gal_str request = l->o.requests[l->next_request];

    if (++l->next_request == l->o.request_count)
        l->next_request = 0;
    c->state = GAL_LOAD_BUSY;
    c->intended_ns = intended_ns;
    c->sent_ns = at_ns;
    c->measured = intended_ns >= l->measure_ns && intended_ns < l->end_ns;
    l->busy_count++;
    if (l->wire->send(c->wire, request)) {
        flush(c);
    } else {
        count_loss(c, &l->result.counts.broken);
        gal_load_lose(c);
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
void gal_load_fire(struct gal_load *l, uint64_t at_ns)
{
    for (int burst = 0; burst < BURST_MAX && l->next_ns <= at_ns && l->next_ns < l->end_ns;) {
        if (at_ns - l->next_ns > l->o.timeout_ns / 2) {
            drop_arrival(l);
        } else if (l->idle_count == 0) {
            l->starved_ns = at_ns;
            return;
        } else {
            l->result.held += l->next_ns <= l->starved_ns && l->next_ns >= l->measure_ns;
            gal_load_send(l->idle[--l->idle_count], l->next_ns, at_ns);
            at_ns = gal_load_now(l);
            burst++;
        }
        l->next_ns = gal_arrivals_next(&l->arrivals);
    }
}

/* A connection has nothing to do: in a closed loop it goes on at once. */
static void go_on(struct gal_load_conn *c, uint64_t at_ns)
{
    struct gal_load *l = c->load;

    c->state = GAL_LOAD_IDLE;
    if (gal_load_is_open(l)) {
        l->idle[l->idle_count++] = c;
        if (l->phase != GAL_LOAD_CONNECT)
            gal_load_fire(l, at_ns);
    } else if (l->phase == GAL_LOAD_WARMUP || l->phase == GAL_LOAD_MEASURE) {
        gal_load_send(c, at_ns, at_ns);
    } else {
        l->idle[l->idle_count++] = c;
    }
}

static void forget_idle(struct gal_load_conn *c)
{
    struct gal_load *l = c->load;

    for (size_t i = l->idle_count; i-- > 0;) {
        if (l->idle[i] == c) {
            memmove(&l->idle[i], &l->idle[i + 1],
                    (l->idle_count - i - 1) * sizeof(struct gal_load_conn *));
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
static void end_request(struct gal_load_conn *c, const struct gal_wire_answer *answer,
                        uint64_t at_ns)
{
    struct gal_load *l = c->load;

    count_answer(c, answer->status, at_ns);
    if (!is_ok(answer->status) && l->result.sample_status == 0)
        keep_sample(l, answer);
    c->retries = 0;
    if (!answer->again || (c->writing && !l->wire->interleaves)) {
        gal_load_lose(c);
        return;
    }
    l->busy_count--;
    go_on(c, at_ns);
}

/* The connection is of no more use; *cause is where a request in flight counts. */
static void break_off(struct gal_load_conn *c, uint64_t *cause)
{
    if (c->state == GAL_LOAD_BUSY)
        count_loss(c, cause);
    else if (c->state == GAL_LOAD_IDLE)
        forget_idle(c);
    if (c->state != GAL_LOAD_CLOSING)
        gal_load_lose(c);
}

static char *on_space(void *user, size_t *n)
{
    struct gal_load_conn *c = user;
    *n = GAL_LOAD_READ_BYTES;
    return c->load->space;
}

static void on_data(void *user, size_t n)
{
    struct gal_load_conn *c = user;
    struct gal_load *l = c->load;
    uint64_t at_ns = gal_load_now(l);
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
    struct gal_load_conn *c = user;
    struct gal_load *l = c->load;
    struct gal_wire_answer answer;

    l->events++;
    if (l->wire->end(c->wire, &answer) == GAL_WIRE_DONE)
        end_request(c, &answer, gal_load_now(l));
    else
        break_off(c, &l->result.counts.broken);
}

static void on_written(void *user)
{
    struct gal_load_conn *c = user;

    c->writing = false;
    c->load->events++;
    flush(c);
}

/* --- connections --- */

/* A connection that has served is replaced at once, one that never did after a while. */
static void plan_retry(struct gal_load_conn *c)
{
    struct gal_load *l = c->load;
    unsigned doublings = c->retries < RETRY_DOUBLINGS_MAX ? c->retries : RETRY_DOUBLINGS_MAX;
    bool at_once = c->retries == 0 && !l->stop && l->phase != GAL_LOAD_DRAIN;

    c->state = GAL_LOAD_CLOSED;
    c->retry_ns = gal_load_now(l) + ((uint64_t)RETRY_NS << doublings);
    c->retries++;
    if (at_once)
        gal_load_open(c);
}

static void *on_open(struct gal_stream *s, void *ctx)
{
    struct gal_load_conn *c = ctx;

    c->load->events++;
    c->load->open_count++;
    c->stream = s;
    if (!c->load->wire->open(c->wire)) {
        gal_load_lose(c);
        return c;
    }
    go_on(c, gal_load_now(c->load));
    flush(c);
    return c;
}

static void on_close(void *user)
{
    struct gal_load_conn *c = user;

    c->load->events++;
    if (c->state == GAL_LOAD_BUSY) { /* reset by the peer */
        count_loss(c, &c->load->result.counts.broken);
        c->load->busy_count--;
    } else if (c->state == GAL_LOAD_IDLE) {
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
    struct gal_load_conn *c = ctx;

    c->load->events++;
    c->load->result.connect_failures++;
    c->load->result.connect_error = error;
    plan_retry(c);
}

void gal_load_open(struct gal_load_conn *c)
{
    struct gal_load *l = c->load;

    c->state = GAL_LOAD_CONNECTING;
    if (gal_stream_connect(l->loop, &l->o.target, &ops, on_failed, c, NULL) != GAL_OK)
        on_failed(errno, c);
}

/* --- the end of patience --- */

void gal_load_give_up(struct gal_load_conn *c)
{
    count_loss(c, &c->load->result.counts.unanswered);
    gal_load_lose(c);
}
