/* SPDX-License-Identifier: Apache-2.0 */
/* A connection that speaks HTTP/1.1: bytes from net/stream.h into http/http1.h, requests to
 * api/exchange.h, answers back. What a request needs (input buffer, codec, exchange) is a slot,
 * taken from the front's pool with the first byte and given back with the last, so that an idle
 * connection holds next to nothing and a busy one allocates nothing.
 *
 * States, one setter (set_state):
 *   IDLE     no slot, or a slot without a byte       deadline: idle_timeout
 *   READING  part of a request is here               deadline: head_timeout from its first byte,
 *                                                    body_timeout from the last byte
 *   HANDLING the exchange has it                     the job's own
 *   WRITING  the answer is on its way                a look each write_timeout whether it goes on
 *   RESTING  a request was refused, and the loop refuses enough already: nothing is read for a
 *            while (server/pace.h)              the front's timer
 *   CLOSING  only on_close is left
 * IDLE -> READING [on_data] -> HANDLING [take_request] -> WRITING [on_finished]
 *      -> IDLE or READING [go_on]; WRITING -> RESTING [rest] -> IDLE or READING [go_on];
 * any -> CLOSING [close_now, gal_stream_finish, on_close] */
#include "server/http_conn.h"

#include "base/mem.h"
#include "server/h2_conn.h"

#define INPUT_FIRST_BYTES 16384u
/* Read beyond the present request, and at once where its length is not known: who sends very many
 * small requests gets as many answered a turn of the loop as this holds. */
#define AHEAD_BYTES_MAX 16384u
#define READ_BYTES_MAX 65536u

void gal_conn_set_state(struct gal_conn *c, enum gal_conn_state to)
{
    static const unsigned char legal[] = {
        [CONN_IDLE] = 1u << CONN_READING | 1u << CONN_CLOSING,
        [CONN_READING] = 1u << CONN_HANDLING | 1u << CONN_CLOSING,
        [CONN_HANDLING] = 1u << CONN_WRITING | 1u << CONN_CLOSING,
        [CONN_WRITING] =
            1u << CONN_IDLE | 1u << CONN_READING | 1u << CONN_RESTING | 1u << CONN_CLOSING,
        [CONN_RESTING] = 1u << CONN_IDLE | 1u << CONN_READING | 1u << CONN_CLOSING,
        [CONN_CLOSING] = 0,
    };
    GAL_ASSERT(legal[c->state] & (1u << to));
    gal_rest_leave(&c->front->rests, &c->rest);
    c->state = to;
}

void gal_conn_deadline_in(struct gal_conn *c, uint64_t us)
{
    gal_stream_deadline(c->stream, us != 0 ? gal_loop_turn_us(c->front->loop) + us : 0);
}

/* --- end of a connection --- */

void gal_conn_enter_flight(struct gal_conn *c)
{
    if (!c->in_flight)
        c->front->api.process->in_flight++;
    c->in_flight = true;
}

void gal_conn_leave_flight(struct gal_conn *c)
{
    if (c->in_flight)
        c->front->api.process->in_flight--;
    c->in_flight = false;
}

void gal_conn_give(struct gal_conn *c)
{
    struct gal_front *f = c->front;

    gal_conn_leave_flight(c);
    gal_slot_give(f, c->slot);
    c->slot = NULL;
    c->next = f->free_conns;
    f->free_conns = c;
}

void gal_conn_close_now(struct gal_conn *c)
{
    if (c->state != CONN_CLOSING)
        gal_conn_set_state(c, CONN_CLOSING);
    gal_stream_close(c->stream);
}

void gal_conn_close_softly(struct gal_conn *c)
{
    gal_conn_set_state(c, CONN_CLOSING);
    gal_stream_deadline(c->stream, 0);
    gal_stream_finish(c->stream);
}

static void on_close(void *user)
{
    struct gal_conn *c = user;

    c->stream = NULL;
    if (c->state == CONN_RESTING)
        gal_conn_set_state(c, CONN_CLOSING);
    c->front->api.process->connections--;
    if (c->slot != NULL && c->slot->x.job_running)
        gal_slot_abandon(c->slot);
    else if (!c->outbox.waits) /* else gal_conn_send does */
        gal_conn_give(c);
}

/* --- requests --- */

static void on_deadline_of(struct gal_exchange *x)
{
    const struct gal_conn *c = x->carrier;

    gal_stream_deadline(c->stream, x->job.expires_us);
}

static void begin(struct gal_conn *c, struct gal_http_request *req)
{
    struct gal_exchange *x = &c->slot->x;

    gal_conn_set_state(c, CONN_HANDLING);
    gal_stream_deadline(c->stream, 0);
    gal_conn_enter_flight(c);
    c->unread = false;
    x->req = req;
    x->carrier = c;
    x->on_finished = gal_conn_on_finished;
    x->on_deadline = on_deadline_of;
    x->peer = gal_stream_peer(c->stream);
    x->client_name = gal_stream_client_name(c->stream);
    x->arrived_us = gal_loop_turn_us(c->front->loop);
}

static void reject(struct gal_conn *c, struct gal_http_request *req, const struct gal_err *err,
                   gal_series counter)
{
    gal_shard_add(c->front->api.shard, counter, 1);
    begin(c, req);
    c->unread = true;
    gal_api_reject(&c->slot->x, err);
}

static enum gal_status admit_body(struct gal_conn *c, struct gal_err *err)
{
    const struct gal_buf *in = &c->slot->in;

    return gal_slot_admit(c->front, in, in->n + gal_http1_want(c->slot->codec), err);
}

/* While a body arrives its memory has run out. */
static void starve(struct gal_conn *c)
{
    struct gal_http1 *codec = c->slot->codec;
    struct gal_err err;

    if (c->state == CONN_IDLE) {
        gal_conn_close_now(c);
        return;
    }
    (void)gal_slot_fail_memory(c->front, c->slot->in.n, &err);
    reject(c, gal_http1_in_head(codec) ? &c->front->no_request : gal_http1_request(codec), &err, 0);
}

/* False when the client is told to go on but does not take 25 bytes. */
static bool send_continue(struct gal_conn *c)
{
    struct gal_str line = gal_http1_continue();

    if (!gal_http1_request(c->slot->codec)->expect_continue || c->continue_sent)
        return true;
    c->continue_sent = true;
    return gal_stream_write(c->stream, &line, 1);
}

static void await_body(struct gal_conn *c)
{
    uint64_t now_us = gal_loop_turn_us(c->front->loop);

    if (c->body_since_us == 0)
        c->body_since_us = now_us;
    gal_stream_deadline(c->stream,
                        gal_front_body_due(c->front, c->body_since_us, now_us, c->slot->in.n));
}

/* Before most of a large body comes. Not where the buffer would have to double once more for it. */
static void align_body(struct gal_slot *s)
{
    size_t at = gal_http1_body_at(s->codec), come = s->in.n - at, want = gal_http1_want(s->codec),
           all = s->in.n + want, gap;

    if (at == 0 || want < come + GAL_SLOT_BODY_LARGE_BYTES)
        return;
    gap = gal_slot_gap(gal_http1_request(s->codec), at);
    if (gap == 0 || __builtin_clzl(all) != __builtin_clzl(all + gap) ||
        gal_buf_reserve(&s->in, gap) == NULL)
        return;
    memmove(s->in.p + at + gap, s->in.p + at, come);
    memset(s->in.p + at, 0, gap);
    s->in.n += gap;
    gal_http1_leave(s->codec, gap);
}

/* Takes one step on what has been read; false when there is nothing more to do now. */
static bool step(struct gal_conn *c)
{
    struct gal_slot *s = c->slot;
    struct gal_err err;

    switch (gal_http1_parse(s->codec, s->in.p, s->in.n, &err)) {
    case GAL_HTTP1_MORE:
        if (c->eof)
            gal_conn_close_now(c);
        else if (!gal_http1_in_head(s->codec))
            await_body(c);
        return false;
    case GAL_HTTP1_HEAD:
        if (admit_body(c, &err) != GAL_OK) {
            reject(c, gal_http1_request(s->codec), &err, 0);
            return false;
        }
        if (!send_continue(c)) {
            gal_conn_close_now(c);
            return false;
        }
        align_body(s);
        return true;
    case GAL_HTTP1_DONE:
        c->continue_sent = false;
        c->body_since_us = 0;
        begin(c, gal_http1_request(s->codec));
        c->handling = true;
        gal_api_handle(&s->x);
        c->handling = false;
        if (c->state == CONN_HANDLING && s->x.job_running)
            gal_stream_deadline(c->stream, s->x.job.expires_us);
        return true;
    case GAL_HTTP1_ERROR:
        break;
    }
    reject(c, gal_http1_request(s->codec), &err, c->front->refused_bad);
    return false;
}

/* Answers that finish at once come back here by end_request: the flag turns that recursion into
 * this loop, so that pipelined requests do not pile up the stack. */
void gal_conn_pump(struct gal_conn *c)
{
    if (c->pumping)
        return;
    c->pumping = true;
    while (c->state == CONN_READING && c->slot->in.n > 0 && step(c))
        ;
    c->pumping = false;
}

/* --- the stream's calls --- */

static void *on_open(struct gal_stream *stream, void *listener_ctx)
{
    struct gal_front *f = listener_ctx;
    struct gal_conn *c = f->free_conns;

    if (f->api.process->connections >= f->options->connections_max) {
        gal_shard_add(f->api.shard, f->refused_full, 1);
        return NULL;
    }
    if (c != NULL)
        f->free_conns = c->next;
    else
        c = gal_alloc(sizeof(*c));
    if (c == NULL)
        return NULL;
    *c = (struct gal_conn){.front = f, .stream = stream, .state = CONN_IDLE, .fresh = true};
    c->outbox = (struct gal_outbox_item){.send = gal_conn_send, .conn = c};
    c->rest = (struct gal_rest){.on_end = gal_conn_on_rest_end, .conn = c};
    f->api.process->connections++;
    gal_conn_deadline_in(c, f->options->idle_timeout_us);
    return c;
}

/* Memory grows with what has come, not with what was announced. One byte stays free: while a
 * request is handled, only a read tells that its client has gone. 0 when memory is out. */
static size_t make_room(struct gal_slot *s)
{
    struct gal_buf *in = &s->in;
    size_t rest = gal_http1_want(s->codec), want = rest + 1, most = READ_BYTES_MAX, room;

    if (rest == 0)
        want = in->cap - in->n > INPUT_FIRST_BYTES / 4 ? 1 : INPUT_FIRST_BYTES;
    else if (rest > in->n && rest > INPUT_FIRST_BYTES)
        want = in->n > INPUT_FIRST_BYTES ? in->n : INPUT_FIRST_BYTES;
    if (gal_buf_reserve(in, want) == NULL)
        return 0;
    room = in->cap - in->n - 1;
    if (rest > 0)
        most = rest + AHEAD_BYTES_MAX - 1;
    return room < most ? room : most;
}

/* While a request's slices point into the buffer, it does not move. */
static size_t room_ahead(const struct gal_slot *s)
{
    size_t most = gal_http1_end(s->codec) + AHEAD_BYTES_MAX;

    if (most > s->in.cap)
        most = s->in.cap;
    return s->in.n < most ? most - s->in.n : 0;
}

static bool take_slot(struct gal_conn *c)
{
    const struct gal_http1_limits *limits = &c->front->options->http1;
    struct gal_slot *s = gal_slot_take(c->front);

    if (s == NULL)
        return false;
    gal_http1_reset(s->codec, limits);
    s->in.max = gal_http1_bytes_max(limits) + 2 * INPUT_FIRST_BYTES;
    s->head.max = GAL_SLOT_HEAD_BYTES + GAL_SLOT_JOIN_BYTES;
    c->slot = s;
    return true;
}

static char *on_space(void *user, size_t *n)
{
    struct gal_conn *c = user;
    bool takes = c->state == CONN_IDLE || c->state == CONN_READING;
    struct gal_buf *in;

    if (c->state == CONN_CLOSING)
        return NULL;
    if (c->state == CONN_RESTING) {
        c->read_stopped = true;
        return NULL;
    }
    if (c->slot == NULL && !take_slot(c)) {
        gal_conn_close_now(c);
        return NULL;
    }
    in = &c->slot->in;
    *n = takes ? make_room(c->slot) : room_ahead(c->slot);
    if (takes && *n == 0) {
        gal_slots_free_kept(c->front);
        *n = make_room(c->slot);
    }
    if (takes && *n == 0) {
        starve(c);
        return NULL;
    }
    c->read_stopped = *n == 0;
    return *n > 0 ? in->p + in->n : NULL;
}

/* The first bytes are HTTP/2's, as far as they have come. That a request of HTTP/1.1 begins with
 * PRI is impossible: RFC 9113 keeps the method for this. */
static bool is_preface(struct gal_conn *c)
{
    struct gal_str preface = gal_http2_preface(), in = gal_buf_str(&c->slot->in);

    c->fresh = gal_str_starts(in.n < preface.n ? preface : in, in.n < preface.n ? in : preface);
    return c->fresh;
}

/* Who has agreed on it over TLS must, and hears from HTTP/2 what is wrong. */
static bool is_http2(struct gal_conn *c)
{
    return is_preface(c) || gal_str_is(gal_stream_protocol(c->stream), "h2");
}

static void become_http2(struct gal_conn *c)
{
    if (c->fresh && c->slot->in.n < gal_http2_preface().n)
        return; /* more is to come, or the head's time passes */
    if (!gal_h2_adopt(c->front, c->stream, gal_buf_str(&c->slot->in)))
        gal_conn_close_now(c);
    else
        gal_conn_give(c);
}

static void on_data(void *user, size_t n)
{
    struct gal_conn *c = user;

    gal_shard_add(c->front->api.shard, c->front->received, n);
    c->slot->in.n += n;
    if (c->state == CONN_IDLE) {
        gal_conn_set_state(c, CONN_READING);
        gal_conn_deadline_in(c, c->front->options->head_timeout_us);
    }
    if (c->fresh && is_http2(c))
        become_http2(c);
    else
        gal_conn_pump(c);
}

static void on_eof(void *user)
{
    struct gal_conn *c = user;

    c->eof = true;
    if (c->state == CONN_IDLE || c->state == CONN_READING)
        gal_conn_close_now(c);
    else if (c->state == CONN_HANDLING)
        gal_exchange_cancel(&c->slot->x);
}

static void on_deadline(void *user)
{
    struct gal_conn *c = user;
    struct gal_err err;

    if (c->state == CONN_IDLE) {
        gal_conn_close_softly(c);
    } else if (c->state == CONN_READING) {
        gal_fail(&err, GAL_TIMEOUT_CLIENT, "the request did not arrive in time");
        reject(c, &c->front->no_request, &err, c->front->refused_slow);
    } else if (c->state == CONN_HANDLING) {
        gal_exchange_expire(&c->slot->x);
    } else if (c->state == CONN_WRITING &&
               gal_front_write_goes_on(c->front, gal_stream_unsent(c->stream), &c->unsent)) {
        gal_conn_deadline_in(c, c->front->options->write_timeout_us);
    } else {
        gal_conn_close_now(c);
    }
}

static void on_drain(void *user)
{
    struct gal_conn *c = user;

    if (c->state == CONN_IDLE || (c->state == CONN_RESTING && c->slot == NULL))
        gal_conn_close_softly(c);
    else if (c->state == CONN_READING || c->state == CONN_RESTING)
        gal_conn_enter_flight(c); /* a part of a request has come: it is answered, here or late */
}

const struct gal_stream_ops gal_http_stream_ops = {
    .on_open = on_open,
    .on_space = on_space,
    .on_data = on_data,
    .on_eof = on_eof,
    .on_deadline = on_deadline,
    .on_written = gal_conn_on_written,
    .on_close = on_close,
    .on_drain = on_drain,
};

void gal_http_free_pools(struct gal_front *f)
{
    gal_slots_free_kept(f);
    while (f->free_conns != NULL) {
        struct gal_conn *c = f->free_conns;
        f->free_conns = c->next;
        gal_free(c);
    }
}
