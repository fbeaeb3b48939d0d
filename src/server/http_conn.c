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
 *   WRITING  the answer is on its way                deadline: write_timeout and a second for each
 *                                                    64 KiB
 *   RESTING  a request was refused, and the loop refuses enough already: nothing is read for a
 *            while (server/pace.h)              the front's timer
 *   CLOSING  only on_close is left
 * IDLE -> READING [on_data] -> HANDLING [take_request] -> WRITING [on_finished]
 *      -> IDLE or READING [go_on]; WRITING -> RESTING [rest] -> IDLE or READING [go_on];
 * any -> CLOSING [close_now, gal_stream_finish, hand_over, on_close] */
#include "base/mem.h"
#include "server/front.h"

#include <stdio.h>

#define INPUT_FIRST_BYTES 16384u
#define INPUT_KEEP_BYTES (1u << 20)
/* Read beyond the present request, and at once where its length is not known: who sends very many
 * small requests gets as many answered a turn of the loop as this holds. */
#define AHEAD_BYTES_MAX 16384u
#define READ_BYTES_MAX 65536u
#define SLOTS_KEPT_MAX 64u /* for later requests; more than that are a burst's */
#define WRITE_BYTES_PER_S 65536u
#define HEAD_BYTES_MAX 8192u /* of an answer */
/* A body of at most this many bytes is copied behind its head: one buffer costs the kernel less
 * than two. */
#define JOIN_BYTES_MAX 4096u
/* Answers of one turn of the loop go out together at its end: a peer on this machine is woken once
 * and not for each (a wake-up costs more than an answer). So many answers at most wait, of so many
 * bytes, and the first of them for so long; the clock is looked at for one in so many. */
#define ANSWERS_WAITING_MAX 32u
#define ANSWERS_BYTES_MAX (256u << 10)
#define ANSWERS_WAIT_US_MAX 200u
#define ANSWERS_LOOK_EVERY 4u

enum conn_state {
    CONN_IDLE,
    CONN_READING,
    CONN_HANDLING,
    CONN_WRITING,
    CONN_RESTING,
    CONN_CLOSING
};

/* What one request needs. */
struct gal_slot {
    struct gal_slot *next; /* in the pool */
    struct gal_http1 *codec;
    struct gal_buf in;
    struct gal_buf head; /* of the answer */
    struct gal_exchange x;
    char peer[64]; /* x's, once the stream has gone that tells it */
};

struct gal_conn {
    struct gal_conn *next; /* in the pool, among the answers that wait, or those that rest */
    struct gal_conn *prev; /* among those that rest */
    struct gal_front *front;
    struct gal_stream *stream; /* NULL once closed */
    struct gal_slot *slot;     /* NULL while idle */
    enum conn_state state;
    bool eof;               /* the peer sends no more */
    bool keep_alive;        /* after the present answer */
    bool read_stopped;      /* on_space had no room */
    bool pumping;           /* pump is on the stack */
    bool handling;          /* gal_api_handle is */
    bool answer_waits;      /* the connection is in the front's list */
    bool continue_sent;     /* 100-continue */
    uint64_t body_since_us; /* first wait for the present body; 0: none yet */
    bool head_sent;         /* of the answer */
    size_t parts_sent;      /* of the answer's body */
    bool in_flight;         /* counted in the process's requests in flight */
    uint64_t rest_us;       /* pause behind the present answer */
    uint64_t rest_until_us; /* RESTING */
};

static void pump(struct gal_conn *c);

static void leave_rest(struct gal_conn *c)
{
    struct gal_front *f = c->front;

    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        f->resting = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    else
        f->resting_last = c->prev;
}

static void set_state(struct gal_conn *c, enum conn_state to)
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
    if (c->state == CONN_RESTING)
        leave_rest(c);
    c->state = to;
}

static void deadline_in(struct gal_conn *c, uint64_t us)
{
    gal_stream_deadline(c->stream, us != 0 ? gal_loop_turn_us(c->front->loop) + us : 0);
}

/* --- slots --- */

static void slot_free(struct gal_slot *s)
{
    gal_http1_free(s->codec);
    gal_buf_release(&s->in);
    gal_buf_release(&s->head);
    gal_exchange_release(&s->x);
    gal_free(s);
}

static struct gal_slot *slot_new(struct gal_front *f)
{
    struct gal_slot *s = gal_calloc(1, sizeof(*s));

    if (s == NULL)
        return NULL;
    gal_exchange_init(&s->x, &f->api);
    gal_buf_init(&s->head, HEAD_BYTES_MAX + JOIN_BYTES_MAX);
    gal_buf_init(&s->in, 0);
    s->in.budget = &f->api.process->memory;
    if (gal_http1_new(&s->codec, &f->options->http1, NULL) != GAL_OK) {
        slot_free(s);
        return NULL;
    }
    return s;
}

static struct gal_slot *slot_take(struct gal_front *f)
{
    struct gal_slot *s = f->free_slots;

    if (s != NULL) {
        f->free_slots = s->next;
        f->free_slot_count--;
    } else {
        s = slot_new(f);
    }
    if (s == NULL)
        return NULL;
    gal_http1_reset(s->codec, &f->options->http1);
    s->in.max = gal_http1_bytes_max(&f->options->http1) + 2 * INPUT_FIRST_BYTES;
    return s;
}

static void slot_give(struct gal_conn *c)
{
    struct gal_slot *s = c->slot;

    if (s == NULL)
        return;
    c->slot = NULL;
    if (c->front->free_slot_count == SLOTS_KEPT_MAX ||
        gal_budget_is_tight(&c->front->api.process->memory)) {
        slot_free(s);
        return;
    }
    gal_exchange_reset(&s->x);
    gal_buf_clear(&s->in, INPUT_KEEP_BYTES);
    gal_buf_clear(&s->head, HEAD_BYTES_MAX + JOIN_BYTES_MAX);
    s->next = c->front->free_slots;
    c->front->free_slots = s;
    c->front->free_slot_count++;
}

static void free_kept_slots(struct gal_front *f)
{
    while (f->free_slots != NULL) {
        struct gal_slot *s = f->free_slots;
        f->free_slots = s->next;
        slot_free(s);
    }
    f->free_slot_count = 0;
}

/* --- end of a connection --- */

static void leave_flight(struct gal_conn *c)
{
    if (c->in_flight)
        c->front->api.process->in_flight--;
    c->in_flight = false;
}

static void conn_give(struct gal_conn *c)
{
    struct gal_front *f = c->front;

    leave_flight(c);
    slot_give(c);
    c->next = f->free_conns;
    f->free_conns = c;
}

static void close_now(struct gal_conn *c)
{
    if (c->state != CONN_CLOSING)
        set_state(c, CONN_CLOSING);
    gal_stream_close(c->stream);
}

static void close_softly(struct gal_conn *c)
{
    set_state(c, CONN_CLOSING);
    gal_stream_deadline(c->stream, 0);
    gal_stream_finish(c->stream);
}

/* The job goes on without its client; on_finished gives the connection back. */
static void abandon(struct gal_slot *s)
{
    snprintf(s->peer, sizeof(s->peer), "%s", s->x.peer);
    s->x.peer = s->peer;
    gal_exchange_cancel(&s->x);
}

static void on_close(void *user)
{
    struct gal_conn *c = user;

    c->stream = NULL;
    if (c->state == CONN_RESTING)
        set_state(c, CONN_CLOSING);
    c->front->api.process->connections--;
    if (c->slot != NULL && c->slot->x.job_running)
        abandon(c->slot);
    else if (!c->answer_waits) /* else gal_http_send_answers does */
        conn_give(c);
}

/* --- answers --- */

static struct gal_str date_text(struct gal_front *f)
{
    uint64_t turn_us = gal_loop_turn_us(f->loop), now_s;

    if (turn_us != f->date_turn_us) { /* one look at the clock a turn */
        f->date_turn_us = turn_us;
        now_s = gal_wall_us(f->api.clock) / 1000000;
        if (now_s != f->date_s)
            gal_http_date(now_s * 1000000, f->date);
        f->date_s = now_s;
    }
    return (struct gal_str){f->date, GAL_HTTP_DATE_SIZE - 1};
}

/* On to the next request; what has been read of it is in the slot, which is NULL when that is
 * nothing. */
static void go_on(struct gal_conn *c)
{
    if (c->slot != NULL) {
        set_state(c, CONN_READING);
        deadline_in(c, c->front->options->head_timeout_us);
    } else if (c->eof) {
        close_softly(c);
        return;
    } else {
        set_state(c, CONN_IDLE);
        deadline_in(c, c->front->options->idle_timeout_us);
    }
    if (c->read_stopped) {
        c->read_stopped = false;
        gal_stream_read_resume(c->stream);
    }
    pump(c);
}

/* The timer is set for the first to go on, or for the calm, which each refusal puts off. */
static void set_rest_timer(struct gal_front *f)
{
    uint64_t now_us = gal_loop_now_us(f->loop), at_us = gal_pace_calm_us(&f->pace);

    if (f->resting == NULL || f->rest_timer == NULL)
        return;
    if (f->resting->rest_until_us < at_us)
        at_us = f->resting->rest_until_us;
    gal_timer_start(f->rest_timer, at_us > now_us ? at_us - now_us : 0, 0);
}

static void rest(struct gal_conn *c)
{
    struct gal_front *f = c->front;
    bool is_first = f->resting == NULL;

    set_state(c, CONN_RESTING);
    gal_stream_deadline(c->stream, 0);
    c->rest_until_us = gal_loop_turn_us(f->loop) + c->rest_us;
    c->rest_us = 0;
    c->next = NULL;
    c->prev = f->resting_last;
    if (is_first)
        f->resting = c;
    else
        f->resting_last->next = c;
    f->resting_last = c;
    gal_shard_add(f->api.shard, f->rests, 1);
    if (is_first)
        set_rest_timer(f);
}

void gal_http_end_rests(void *ctx)
{
    struct gal_front *f = ctx;
    uint64_t now_us = gal_loop_now_us(f->loop);

    /* Looked at anew each time: who goes on may be refused again, and that is no calm. */
    while (f->resting != NULL &&
           (f->resting->rest_until_us <= now_us || gal_pace_calm_us(&f->pace) <= now_us))
        go_on(f->resting);
    set_rest_timer(f);
}

/* Behind a 101: the stream, and what was read beyond the request, are another protocol's. */
static bool hand_over(struct gal_conn *c)
{
    struct gal_str rest = gal_buf_str(&c->slot->in);
    size_t taken = gal_http1_end(c->slot->codec);

    rest = (struct gal_str){rest.p + taken, rest.n - taken};
    if (!gal_ws_adopt(c->front, c->stream, &c->slot->x, rest))
        return false;
    set_state(c, CONN_CLOSING);
    conn_give(c);
    return true;
}

static void end_request(struct gal_conn *c)
{
    struct gal_slot *s = c->slot;

    leave_flight(c);
    if (s->x.resp.status == 101 && hand_over(c))
        return;
    if (!c->keep_alive) {
        slot_give(c); /* the peer may take its time to go */
        close_softly(c);
        return;
    }
    gal_buf_shift(&s->in, gal_http1_next(s->codec));
    gal_exchange_reset(&s->x);
    gal_buf_clear(&s->head, HEAD_BYTES_MAX + JOIN_BYTES_MAX);
    if (s->in.n == 0)
        slot_give(c);
    if (c->rest_us > 0)
        rest(c);
    else
        go_on(c);
}

/* Hands parts to the kernel until it takes no more (on_written goes on) or all are sent. */
static void send_parts(struct gal_conn *c)
{
    const struct gal_http_response *r = &c->slot->x.resp;
    size_t count = c->slot->x.req->method == GAL_METHOD_HEAD ? 0 : r->part_count;

    do {
        struct gal_str parts[GAL_STREAM_PARTS_MAX];
        size_t n = 0;

        if (!c->head_sent)
            parts[n++] = gal_buf_str(&c->slot->head);
        c->head_sent = true;
        while (n < GAL_STREAM_PARTS_MAX && c->parts_sent < count)
            parts[n++] = r->parts[c->parts_sent++];
        if (!gal_stream_write(c->stream, parts, n))
            return;
    } while (c->parts_sent < count);
    end_request(c);
}

static void on_written(void *user)
{
    struct gal_conn *c = user;

    if (c->state != CONN_WRITING)
        return;
    if (c->parts_sent <
        (c->slot->x.req->method == GAL_METHOD_HEAD ? 0 : c->slot->x.resp.part_count))
        send_parts(c);
    else
        end_request(c);
}

void gal_http_send_answers(struct gal_front *f)
{
    struct gal_conn *c;

    if (f->sending)
        return; /* what a pipelined request adds meanwhile, the caller above takes */
    f->sending = true;
    while ((c = f->answers) != NULL) {
        f->answers = c->next;
        if (f->answers == NULL)
            f->answers_end = &f->answers;
        f->answer_count--;
        c->answer_waits = false;
        if (c->stream == NULL)
            conn_give(c);
        else if (c->state == CONN_WRITING)
            send_parts(c);
    }
    f->sending = false;
}

static void send_later(struct gal_conn *c)
{
    struct gal_front *f = c->front;

    c->answer_waits = true;
    c->next = NULL;
    *f->answers_end = c;
    f->answers_end = &c->next;
    if (f->answer_count++ == 0) {
        f->answers_since_us = gal_loop_now_us(f->loop);
        f->answer_bytes = 0;
    }
    f->answer_bytes += c->slot->x.resp.body_bytes;
    if (f->answer_count >= ANSWERS_WAITING_MAX || f->answer_bytes > ANSWERS_BYTES_MAX ||
        (f->answer_count % ANSWERS_LOOK_EVERY == 0 &&
         gal_loop_now_us(f->loop) - f->answers_since_us > ANSWERS_WAIT_US_MAX))
        gal_http_send_answers(f);
}

static void join_body(struct gal_conn *c, const struct gal_http_response *r)
{
    if (r->body_bytes > JOIN_BYTES_MAX || c->slot->x.req->method == GAL_METHOD_HEAD)
        return;
    while (c->parts_sent < r->part_count)
        gal_buf_put_str(&c->slot->head, r->parts[c->parts_sent++]);
}

/* Who is refused waits before it is heard again, when the loop refuses much. */
static void pace(struct gal_conn *c, const struct gal_exchange *x)
{
    struct gal_front *f = c->front;
    uint64_t now_us, handled_us;

    if (x->resp.status != 429 && x->resp.status != 503)
        return;
    now_us = gal_loop_now_us(f->loop);
    handled_us = c->handling && now_us > x->began_us ? now_us - x->began_us : 0;
    c->rest_us = gal_pace_refused(&f->pace, now_us, gal_pace_cost(handled_us, x->req->body.n));
}

static void on_finished(struct gal_exchange *x)
{
    struct gal_conn *c = x->carrier;
    struct gal_front *f = c->front;
    size_t head_bytes;

    if (c->stream == NULL) { /* the client has gone meanwhile */
        conn_give(c);
        return;
    }
    if (c->state == CONN_CLOSING)
        return; /* on_close is on its way */
    set_state(c, CONN_WRITING);
    /* From the start of a drain on: clients come to the end of their connections one by one, and
     * none is cut that is about to send. */
    c->keep_alive = x->req->keep_alive && !x->resp.close && !f->api.process->draining;
    c->parts_sent = 0;
    c->head_sent = false;
    pace(c, x);
    gal_http1_write_head(&c->slot->head, &x->resp, x->req, date_text(f), c->keep_alive);
    head_bytes = c->slot->head.n;
    join_body(c, &x->resp);
    if (c->slot->head.failed) {
        close_now(c);
        return;
    }
    gal_shard_add(f->api.shard, f->sent, head_bytes + x->resp.body_bytes);
    if (x->outcome == GAL_NO_MEMORY && !x->submitted)
        gal_shard_add(f->api.shard, f->refused_memory, 1);
    deadline_in(c, f->options->write_timeout_us + x->resp.body_bytes * 1000000 / WRITE_BYTES_PER_S);
    send_later(c);
}

/* --- requests --- */

static void begin(struct gal_conn *c, struct gal_http_request *req)
{
    struct gal_exchange *x = &c->slot->x;

    set_state(c, CONN_HANDLING);
    gal_stream_deadline(c->stream, 0);
    c->in_flight = true;
    c->front->api.process->in_flight++;
    x->req = req;
    x->carrier = c;
    x->on_finished = on_finished;
    x->peer = gal_stream_peer(c->stream);
    x->arrived_us = gal_loop_turn_us(c->front->loop);
}

static void reject(struct gal_conn *c, struct gal_http_request *req, const struct gal_err *err,
                   gal_series counter)
{
    gal_shard_add(c->front->api.shard, counter, 1);
    begin(c, req);
    gal_api_reject(&c->slot->x, err);
}

/* The memory for requests is taken by others; a request that is larger than all of it never fits.
 */
static enum gal_status fail_memory(const struct gal_conn *c, size_t bytes, struct gal_err *err)
{
    const struct gal_budget *b = &c->front->api.process->memory;
    uint64_t max = b->max;

    if (max != 0 && gal_budget_counts(bytes) > max) {
        gal_fail(err, GAL_TOO_LARGE, "the body is larger than the %llu bytes for all requests",
                 (unsigned long long)max);
        gal_err_hint(err, "send less at once, or raise max_request_memory");
        return GAL_TOO_LARGE;
    }
    gal_fail(err, GAL_NO_MEMORY, "other requests have taken the memory for requests");
    gal_err_hint(err, "try again later; max_request_memory bounds what all take together");
    return GAL_NO_MEMORY;
}

/* Before the body is read: is there room for it? Memory that is only kept makes way. Nothing is set
 * aside: a client that announces much and sends little must not keep others out. */
static enum gal_status admit_body(struct gal_conn *c, struct gal_err *err)
{
    struct gal_budget *b = &c->front->api.process->memory;
    const struct gal_buf *in = &c->slot->in;
    size_t bytes = in->n + gal_http1_want(c->slot->codec), more;

    if (bytes <= in->cap)
        return GAL_OK;
    more = gal_budget_counts(bytes) - gal_budget_counts(in->cap);
    if (!gal_budget_fits(b, more))
        free_kept_slots(c->front);
    return gal_budget_fits(b, more) ? GAL_OK : fail_memory(c, bytes, err);
}

/* While a body arrives its memory has run out. */
static void starve(struct gal_conn *c)
{
    struct gal_http1 *codec = c->slot->codec;
    struct gal_err err;

    if (c->state == CONN_IDLE) {
        close_now(c);
        return;
    }
    (void)fail_memory(c, c->slot->in.n, &err);
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

/* Each byte gives the body another while, but not for ever: a whole one comes at GAL_BODY_RATE_MIN
 * at least. */
static void await_body(struct gal_conn *c)
{
    uint64_t now_us = gal_loop_turn_us(c->front->loop);
    uint64_t more_us = c->front->options->body_timeout_us, at_us = now_us + more_us, last_us;

    if (c->body_since_us == 0)
        c->body_since_us = now_us;
    last_us = c->body_since_us + more_us + c->slot->in.n * 1000000 / GAL_BODY_RATE_MIN;
    gal_stream_deadline(c->stream, at_us < last_us ? at_us : last_us);
}

/* Takes one step on what has been read; false when there is nothing more to do now. */
static bool step(struct gal_conn *c)
{
    struct gal_slot *s = c->slot;
    struct gal_err err;

    switch (gal_http1_parse(s->codec, s->in.p, s->in.n, &err)) {
    case GAL_HTTP1_MORE:
        if (c->eof)
            close_now(c);
        else if (!gal_http1_in_head(s->codec))
            await_body(c);
        return false;
    case GAL_HTTP1_HEAD:
        if (admit_body(c, &err) != GAL_OK) {
            reject(c, gal_http1_request(s->codec), &err, 0);
            return false;
        }
        if (send_continue(c))
            return true;
        close_now(c);
        return false;
    case GAL_HTTP1_DONE:
        c->continue_sent = false;
        c->body_since_us = 0;
        begin(c, gal_http1_request(s->codec));
        c->handling = true;
        gal_api_handle(&s->x);
        c->handling = false;
        if (c->state == CONN_HANDLING && s->x.submitted)
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
static void pump(struct gal_conn *c)
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
    *c = (struct gal_conn){.front = f, .stream = stream, .state = CONN_IDLE};
    f->api.process->connections++;
    deadline_in(c, f->options->idle_timeout_us);
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
    if (c->slot == NULL && (c->slot = slot_take(c->front)) == NULL) {
        close_now(c);
        return NULL;
    }
    in = &c->slot->in;
    *n = takes ? make_room(c->slot) : room_ahead(c->slot);
    if (takes && *n == 0) {
        free_kept_slots(c->front);
        *n = make_room(c->slot);
    }
    if (takes && *n == 0) {
        starve(c);
        return NULL;
    }
    c->read_stopped = *n == 0;
    return *n > 0 ? in->p + in->n : NULL;
}

static void on_data(void *user, size_t n)
{
    struct gal_conn *c = user;

    gal_shard_add(c->front->api.shard, c->front->received, n);
    c->slot->in.n += n;
    if (c->state == CONN_IDLE) {
        set_state(c, CONN_READING);
        deadline_in(c, c->front->options->head_timeout_us);
    }
    pump(c);
}

static void on_eof(void *user)
{
    struct gal_conn *c = user;

    c->eof = true;
    if (c->state == CONN_IDLE || c->state == CONN_READING)
        close_now(c);
    else if (c->state == CONN_HANDLING)
        gal_exchange_cancel(&c->slot->x);
}

static void on_deadline(void *user)
{
    struct gal_conn *c = user;
    struct gal_err err;

    if (c->state == CONN_IDLE) {
        close_softly(c);
    } else if (c->state == CONN_READING) {
        gal_fail(&err, GAL_TIMEOUT_CLIENT, "the request did not arrive in time");
        reject(c, &c->front->no_request, &err, c->front->refused_slow);
    } else if (c->state == CONN_HANDLING) {
        gal_exchange_expire(&c->slot->x);
    } else {
        close_now(c);
    }
}

static void on_drain(void *user)
{
    struct gal_conn *c = user;

    if (c->state == CONN_IDLE || (c->state == CONN_RESTING && c->slot == NULL))
        close_softly(c);
}

const struct gal_stream_ops gal_http_stream_ops = {
    .on_open = on_open,
    .on_space = on_space,
    .on_data = on_data,
    .on_eof = on_eof,
    .on_deadline = on_deadline,
    .on_written = on_written,
    .on_close = on_close,
    .on_drain = on_drain,
};

void gal_http_free_pools(struct gal_front *f)
{
    free_kept_slots(f);
    while (f->free_conns != NULL) {
        struct gal_conn *c = f->free_conns;
        f->free_conns = c->next;
        gal_free(c);
    }
}
