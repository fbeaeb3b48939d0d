/* SPDX-License-Identifier: Apache-2.0 */
#include "server/grpc_stream.h"

#include "api/grpc_health.h"
#include "api/route.h"
#include "http/grpc.h"
#include "server/h2_conn.h"

#define TIMER_LEAST_US 1000u    /* one that starts itself with less never lets the loop go */
#define WATCH_PERIOD_US 200000u /* a change of health is told within */

/* One message and its answer, in its exchange's arena. */
struct message {
    struct message *next;
    struct stream *stream; /* NULL: the call has gone before the answer came */
    struct gal_slot *slot;
    struct gal_call_chunk chunk;
    bool done, sent, expired;
};

struct stream {
    struct gal_call *call;
    struct gal_exchange *x; /* the call's own: arena, metadata, the status at the end */
    struct gal_front *front;
    struct gal_buf *in; /* bytes that are no whole message yet */
    const struct gal_route *route;
    struct message *first, **last; /* under way, in order; those that are sent go first */
    unsigned count;
    size_t owed;             /* bytes received that the client's window does not have back */
    struct gal_timer *timer; /* NULL until one is needed */
    uint64_t armed_us;       /* its time; 0: it does not run */
    uint64_t deadline_us;    /* the call's; 0: none */
    uint64_t part_us;        /* the message that comes has begun then; 0: none has */
    uint64_t look_us;        /* then answers are looked at that wait; 0: none does */
    uint64_t watch_us;       /* the next look at what Watch tells */
    size_t queued, sent;     /* of answers, at the last look */
    bool keeps_errors;       /* an error goes into the answer, the call goes on */
    bool client_ended, draining, ending, parsing;
    bool lost; /* messages came that the drain leaves unanswered */
    /* of Health/Watch */
    bool watches;
    struct gal_str service; /* in the call's arena */
    enum gal_grpc_health health;
    bool health_sending;
    char frame[GAL_GRPC_HEALTH_BYTES];
    struct gal_str frame_part;
    struct gal_call_chunk frame_chunk;
};

static void parse(struct stream *s);
static void settle(struct stream *s);
static void arm(struct stream *s);

/* --- the end --- */

static void on_status(struct gal_exchange *x)
{
    struct stream *s = x->state;

    s->ending = true;
    gal_call_end(s->call, x->resp.trailers, x->resp.trailer_count);
}

/* Ends the call with the error's status. */
static void fail(struct stream *s, const struct gal_err *err)
{
    if (s->ending)
        return;
    s->x->on_finished = on_status;
    gal_api_reject(s->x, err);
}

static void refuse(struct stream *s)
{
    struct gal_err err;

    gal_fail(&err, GAL_UNAVAILABLE, "Service shutting down");
    fail(s, &err);
}

static void end_well(struct stream *s)
{
    static const struct gal_header ok[] = {{{"grpc-status", 11}, {"0", 1}}};

    s->ending = true;
    gal_call_end(s->call, ok, 1);
}

/* The status of a message that failed is the call's. */
static void end_as(struct stream *s, const struct gal_http_response *r)
{
    struct gal_http_response *own = &s->x->resp;

    own->trailer_count = 0;
    for (size_t i = 0; i < r->trailer_count; i++) {
        struct gal_header h = r->trailers[i];
        const char *copy = gal_arena_strdup(&s->x->arena, h.value);

        if (copy != NULL) /* names are literals */
            own->trailers[own->trailer_count++] = (struct gal_header){h.name, {copy, h.value.n}};
    }
    s->ending = true;
    gal_call_end(s->call, own->trailers, own->trailer_count);
}

/* --- one message --- */

static void give(struct gal_front *f, struct gal_slot *slot)
{
    f->api.process->in_flight--;
    slot->in_flight = false;
    gal_slot_give(f, slot);
}

static void drop_first(struct stream *s)
{
    struct message *m = s->first;

    s->first = m->next;
    if (s->first == NULL)
        s->last = &s->first;
    s->count--;
    give(s->front, m->slot);
}

static void on_sent(struct gal_call_chunk *chunk, bool ok)
{
    struct message *m = chunk->user;
    struct stream *s = m->stream;

    GAL_ASSERT(s->first == m);
    drop_first(s);
    if (ok && !s->ending)
        parse(s);
}

static void send_chunk(struct stream *s, struct gal_call_chunk *chunk)
{
    gal_call_send(s->call, chunk);
    if (s->look_us != 0)
        return;
    s->look_us = gal_loop_turn_us(s->front->loop) + s->front->options->write_timeout_us;
    s->queued = gal_call_queued(s->call);
    s->sent = s->call->sent;
    arm(s);
}

static bool failed(const struct gal_http_response *r)
{
    return r->trailer_count > 0 && !gal_str_is(r->trailers[0].value, "0");
}

/* Sends what is next in order, and ends when nothing is to come. */
static void settle(struct stream *s)
{
    struct message *m;

    if (s->call->closed) /* on_close follows the write that is under way, and gives all back */
        return;
    for (m = s->first; m != NULL && m->done && !s->ending; m = m->next) {
        const struct gal_http_response *r = &m->slot->x.resp;

        if (m->sent)
            continue;
        if (failed(r) && !s->keeps_errors) {
            end_as(s, r);
            return;
        }
        m->sent = true;
        m->chunk = (struct gal_call_chunk){
            .parts = r->parts, .count = r->part_count, .on_sent = on_sent, .user = m};
        gal_shard_add(s->front->api.shard, s->front->sent, r->body_bytes);
        send_chunk(s, &m->chunk);
    }
    if (s->ending || s->first != NULL || s->watches)
        return;
    if (s->client_ended && !s->lost)
        end_well(s);
    else if (s->draining)
        refuse(s);
}

static void on_finished(struct gal_exchange *x)
{
    struct message *m = x->carrier;
    struct stream *s = m->stream;

    if (s == NULL) { /* the client has gone meanwhile */
        give((struct gal_front *)(void *)((char *)x->api - offsetof(struct gal_front, api)),
             m->slot);
        return;
    }
    m->done = true;
    if (!s->parsing)
        settle(s);
}

/* Also when a job follows a wait that was timed by itself. */
static void on_deadline(struct gal_exchange *x)
{
    struct message *m = x->carrier;

    m->expired = false;
    if (m->stream != NULL)
        arm(m->stream);
}

/* What of the call's metadata a message has too. */
static bool copy_headers(struct stream *s, struct gal_exchange *x, struct gal_http_request *req)
{
    static const enum gal_known_header taken[] = {
        GAL_HDR_GRPC_ENCODING,   GAL_HDR_GRPC_ACCEPT_ENCODING, GAL_HDR_TRACEPARENT,
        GAL_HDR_X_MODEL_VERSION, GAL_HDR_X_REQUEST_PRIORITY,   GAL_HDR_X_REQUEST_TIMEOUT_MS,
        GAL_HDR_X_CORRELATION_ID};

    memset(req->known, 0, sizeof(req->known));
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        struct gal_str value = s->x->req->known[taken[i]];

        if (value.p == NULL)
            continue;
        req->known[taken[i]] = (struct gal_str){gal_arena_strdup(&x->arena, value), value.n};
        if (req->known[taken[i]].p == NULL)
            return false;
    }
    req->known[GAL_HDR_CONTENT_TYPE] = GAL_STR("application/grpc");
    return true;
}

/* The call's deadline is that of each of its messages. */
static bool copy_deadline(struct stream *s, struct gal_exchange *x, struct gal_http_request *req)
{
    uint64_t now_us = gal_loop_turn_us(s->front->loop), left_us;
    const char *text;

    if (s->deadline_us == 0)
        return true;
    left_us = s->deadline_us > now_us ? s->deadline_us - now_us : 0;
    text = left_us < 99999999
               ? gal_arena_printf(&x->arena, "%luu", (unsigned long)left_us)
               : gal_arena_printf(&x->arena, "%luS",
                                  left_us / 1000000 < 99999999 ? (unsigned long)(left_us / 1000000)
                                                               : 99999999ul);
    req->known[GAL_HDR_GRPC_TIMEOUT] = gal_str_of(text);
    return text != NULL;
}

static bool begin(struct stream *s, struct gal_slot *slot)
{
    struct gal_exchange *x = &slot->x;
    struct gal_http_request *req = &slot->call.req;
    struct message *m = gal_arena_small(&x->arena, sizeof(*m));

    if (m == NULL || !copy_headers(s, x, req) || !copy_deadline(s, x, req))
        return false;
    memset(m, 0, sizeof(*m));
    m->stream = s;
    m->slot = slot;
    req->method = GAL_METHOD_POST;
    req->version_major = 2;
    req->version_minor = 0;
    req->path = req->target = gal_str_of(s->route->pattern);
    req->query = (struct gal_str){NULL, 0};
    req->header_count = 0;
    req->body = gal_buf_str(&slot->in);
    req->content_length = (int64_t)slot->in.n;
    x->req = req;
    x->carrier = m;
    x->on_finished = on_finished;
    x->on_deadline = on_deadline;
    x->peer = s->x->peer;
    x->arrived_us = gal_loop_turn_us(s->front->loop);
    slot->h2 = NULL;
    slot->in_flight = true;
    s->front->api.process->in_flight++;
    *s->last = m;
    s->last = &m->next;
    s->count++;
    gal_api_handle(x);
    return true;
}

/* --- what Watch tells --- */

static void on_health_sent(struct gal_call_chunk *chunk, bool ok)
{
    struct stream *s = chunk->user;

    (void)ok;
    s->health_sending = false;
}

static void look_at_health(struct stream *s)
{
    enum gal_grpc_health now = gal_grpc_health_of(&s->front->api, s->service);

    if (s->ending || s->health_sending || now == s->health)
        return;
    s->health = now;
    s->health_sending = true;
    gal_grpc_health_frame(now, s->frame);
    s->frame_part = (struct gal_str){s->frame, sizeof(s->frame)};
    s->frame_chunk = (struct gal_call_chunk){
        .parts = &s->frame_part, .count = 1, .on_sent = on_health_sent, .user = s};
    send_chunk(s, &s->frame_chunk);
}

/* --- time --- */

/* When the message that has begun is late. Its bytes may have come long before: then it has begun
 * when room was made for the rest. */
static uint64_t part_due(const struct stream *s)
{
    uint64_t last_us = s->call->data_us > s->part_us ? s->call->data_us : s->part_us;

    return s->part_us == 0 ? 0 : gal_front_body_due(s->front, s->part_us, last_us, s->in->n);
}

static uint64_t earlier(uint64_t a_us, uint64_t b_us)
{
    return a_us == 0 || (b_us != 0 && b_us < a_us) ? b_us : a_us;
}

/* When something is due first; 0: nothing is. */
static uint64_t due_of(const struct stream *s)
{
    uint64_t due_us = s->look_us;

    if (s->ending)
        return due_us;
    due_us = earlier(due_us, s->deadline_us);
    due_us = earlier(due_us, part_due(s));
    due_us = earlier(due_us, s->watch_us);
    for (const struct message *m = s->first; m != NULL; m = m->next)
        if (m->slot->x.job_running && !m->expired)
            due_us = earlier(due_us, m->slot->x.job.expires_us);
    return due_us;
}

/* Answers wait and have not moved since the last look. Where the connection's own write waits, that
 * is looked at by the connection, and calls that could send wait for their turn. */
static bool is_stuck(struct stream *s)
{
    const struct gal_slot *slot = s->x->carrier;
    size_t queued = gal_call_queued(s->call), sent = s->call->sent;
    uint64_t least = s->front->options->write_timeout_us * GAL_WRITE_RATE_MIN / 1000000;
    bool moved = sent - s->sent >= (s->queued < least ? s->queued : least);
    bool waits = slot->h2->writing && gal_call_may_send(s->call);

    s->queued = queued;
    s->sent = sent;
    return queued > 0 && !moved && !waits;
}

static void expire_messages(struct stream *s, uint64_t now_us)
{
    struct message *next;

    s->parsing = true; /* one that ends now does not take others away under us */
    for (struct message *m = s->first; m != NULL; m = next) {
        struct gal_exchange *x = &m->slot->x;

        next = m->next;
        if (!x->job_running || m->expired || x->job.expires_us == 0 || x->job.expires_us > now_us)
            continue;
        m->expired = true; /* its answer comes later, or when its inference ends */
        gal_exchange_expire(x);
    }
    s->parsing = false;
    settle(s);
}

/* Ends the call when it is late, or what comes of it is. */
static void end_late(struct stream *s, uint64_t now_us)
{
    uint64_t part_us = part_due(s);
    struct gal_err err;

    if (s->deadline_us != 0 && s->deadline_us <= now_us) {
        gal_fail(&err, GAL_DEADLINE, "the call's deadline has passed");
        fail(s, &err);
    } else if (part_us != 0 && part_us <= now_us) {
        gal_shard_add(s->front->api.shard, s->front->refused_slow, 1);
        gal_fail(&err, GAL_TIMEOUT_CLIENT, "the message did not arrive in time");
        fail(s, &err);
    }
}

static void on_time(void *ctx)
{
    struct stream *s = ctx;
    uint64_t now_us = gal_loop_turn_us(s->front->loop);

    s->armed_us = 0;
    if (s->watches && s->watch_us <= now_us) {
        s->watch_us = now_us + WATCH_PERIOD_US;
        look_at_health(s);
    }
    expire_messages(s, now_us);
    if (!s->ending)
        end_late(s, now_us);
    if (s->look_us != 0 && s->look_us <= now_us) {
        if (is_stuck(s))
            gal_call_reset(s->call, GAL_CALL_CANCEL);
        s->look_us = s->queued > 0 ? now_us + s->front->options->write_timeout_us : 0;
    }
    arm(s);
}

/* A timer that runs for an earlier time stays: it looks, and is set anew. */
static void arm(struct stream *s)
{
    uint64_t now_us = gal_loop_turn_us(s->front->loop), due_us = due_of(s);

    if (due_us == 0 || (s->armed_us != 0 && s->armed_us <= due_us))
        return;
    if (s->timer == NULL && gal_timer_new(s->front->loop, on_time, s, &s->timer, NULL) != GAL_OK)
        return; /* the job's worker looks at its deadline too */
    s->armed_us = due_us;
    gal_timer_start(s->timer, due_us > now_us ? due_us - now_us : TIMER_LEAST_US, 0);
}

/* --- bytes --- */

/* The whole message into a slot: the buffer itself when there is nothing else in it. */
static bool move(struct stream *s, struct gal_slot *slot, size_t n)
{
    if (n == s->in->n && slot->in.budget == s->in->budget) {
        struct gal_buf all = *s->in;

        *s->in = slot->in;
        slot->in = all;
        s->in->max = all.max;
        gal_buf_clear(s->in, SIZE_MAX);
        return true;
    }
    slot->in.max = s->in->max;
    gal_buf_put(&slot->in, s->in->p, n);
    if (slot->in.failed)
        return false;
    gal_buf_shift(s->in, n);
    return true;
}

static void fail_memory(struct stream *s)
{
    struct gal_err err;

    gal_fail(&err, GAL_NO_MEMORY, "other requests have taken the memory for requests");
    fail(s, &err);
}

static void take_watch(struct stream *s, const struct gal_grpc_frame *frame)
{
    struct gal_str message, service;
    struct gal_err err;
    enum gal_status st = gal_grpc_unpack(frame, s->x->req->known[GAL_HDR_GRPC_ENCODING], s->in->max,
                                         &s->x->arena, &message, &err);

    if (st == GAL_OK)
        st = gal_grpc_health_read(message, &service, &err);
    if (st != GAL_OK) {
        fail(s, &err);
        return;
    }
    s->service = (struct gal_str){gal_arena_strdup(&s->x->arena, service), service.n};
    if (s->service.p == NULL) {
        fail_memory(s);
        return;
    }
    s->watches = true;
    s->watch_us = gal_loop_turn_us(s->front->loop) + WATCH_PERIOD_US;
    look_at_health(s);
}

/* Messages out of the bytes, as many as may be under way. False: an end has come. */
static bool cut(struct stream *s)
{
    size_t max = s->front->api.options->body_bytes_max;

    while (!s->ending && (!s->draining || (s->client_ended && !s->lost)) &&
           s->count < GAL_GRPC_AHEAD_MAX) {
        struct gal_str rest = gal_buf_str(s->in);
        struct gal_grpc_frame frame;
        struct gal_err err;
        enum gal_grpc_next r = gal_grpc_next(&rest, max, &frame, &err);
        struct gal_slot *slot;

        if (r == GAL_GRPC_SHORT)
            return true;
        if (r == GAL_GRPC_BAD) {
            fail(s, &err);
            return false;
        }
        if (s->route->id == GAL_ROUTE_GRPC_HEALTH_WATCH) {
            if (!s->watches)
                take_watch(s, &frame);
            gal_buf_shift(s->in, s->in->n - rest.n);
            continue;
        }
        slot = gal_slot_take(s->front);
        if (slot == NULL || !move(s, slot, s->in->n - rest.n) || !begin(s, slot)) {
            gal_slot_give(s->front, slot);
            fail_memory(s);
            return false;
        }
        s->part_us = 0;
    }
    return false;
}

static void parse(struct stream *s)
{
    struct gal_err err;
    bool reads_on;

    if (s->parsing || s->call->closed)
        return;
    s->parsing = true;
    reads_on = cut(s);
    s->parsing = false;
    if (reads_on && s->owed > 0) {
        gal_call_consume(s->call, s->owed);
        s->owed = 0;
    }
    if (!reads_on || s->in->n == 0)
        s->part_us = 0;
    else if (s->part_us == 0)
        s->part_us = gal_loop_turn_us(s->front->loop);
    if (reads_on && s->client_ended && s->in->n > 0) {
        gal_fail(&err, GAL_INVALID, "the call ends within a message, after %zu bytes", s->in->n);
        fail(s, &err);
    }
    if (!s->ending)
        settle(s);
    arm(s);
}

/* --- the call's --- */

static void on_data(void *user, const char *p, size_t n)
{
    struct stream *s = user;

    if (s->ending || s->draining) {
        s->lost = s->lost || n > 0;
        gal_call_consume(s->call, n);
        return;
    }
    s->owed += n;
    gal_buf_put(s->in, p, n);
    if (s->in->failed)
        fail_memory(s);
    else
        parse(s);
}

static void on_end(void *user)
{
    struct stream *s = user;

    s->client_ended = true;
    if (!s->ending)
        parse(s);
}

static void on_drain(void *user)
{
    struct stream *s = user;

    s->draining = true;
    s->part_us = 0; /* what comes of a message is not waited for */
    s->lost = !s->client_ended && s->in->n > 0;
    if (s->watches) { /* it is told that nothing is served any more */
        look_at_health(s);
        if (!s->ending)
            end_well(s);
        return;
    }
    if (s->first == NULL)
        refuse(s);
}

static void on_close(void *user, uint32_t code)
{
    struct stream *s = user;
    struct message *next;

    (void)code;
    s->ending = true;
    gal_timer_free(s->timer);
    for (struct message *m = s->first; m != NULL; m = next) {
        next = m->next;
        m->stream = NULL;
        if (m->slot->x.job_running || !m->done)
            gal_slot_abandon(m->slot);
        else
            give(s->front, m->slot);
    }
}

static const struct gal_call_ops ops = {
    .on_data = on_data, .on_end = on_end, .on_drain = on_drain, .on_close = on_close};

/* --- claiming --- */

static const struct gal_route *route_of(const struct gal_exchange *x)
{
    static const enum gal_route_id streams[] = {
        GAL_ROUTE_GRPC_STREAM_INFER, GAL_ROUTE_GRPC_HEALTH_WATCH, GAL_ROUTE_GRPC_REFLECTION,
        GAL_ROUTE_GRPC_REFLECTION_ALPHA};

    for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++)
        if (gal_str_is(x->req->path, gal_routes[streams[i]].pattern))
            return &gal_routes[streams[i]];
    return NULL;
}

/* Metadata triton_grpc_error: true. */
static bool wants_status(const struct gal_http_request *req)
{
    for (size_t i = 0; i < req->header_count; i++)
        if (gal_str_ieq(req->headers[i].name, GAL_STR("triton_grpc_error")))
            return gal_str_ieq(req->headers[i].value, GAL_STR("true"));
    return false;
}

static void send_head(struct gal_exchange *x, struct gal_call *call)
{
    enum gal_coding coding = gal_coding_parse(x->req->known[GAL_HDR_GRPC_ENCODING]);

    x->resp.status = 200;
    gal_http_response_header(&x->resp, GAL_STR("Content-Type"), GAL_STR("application/grpc"));
    gal_http_response_header(&x->resp, GAL_STR("grpc-accept-encoding"),
                             GAL_STR(GAL_GRPC_ACCEPT_ENCODING));
    /* Said for the whole call; which messages are compressed, each says itself. */
    if (x->api->options->compress && coding != GAL_CODING_IDENTITY &&
        coding != GAL_CODING_UNKNOWN &&
        gal_grpc_accepts(x->req->known[GAL_HDR_GRPC_ACCEPT_ENCODING], coding))
        gal_http_response_header(&x->resp, GAL_STR("grpc-encoding"),
                                 gal_str_of(gal_coding_name(coding)));
    gal_call_head(call, &x->resp);
}

static enum gal_status take_deadline(struct stream *s, struct gal_err *err)
{
    uint64_t us;
    enum gal_status st = gal_grpc_timeout(s->x->req->known[GAL_HDR_GRPC_TIMEOUT], &us, err);

    if (st == GAL_OK)
        s->deadline_us = gal_loop_turn_us(s->front->loop) + us;
    return st;
}

bool gal_grpc_claim(struct gal_exchange *x, struct gal_call *call)
{
    struct gal_slot *slot = x->carrier;
    const struct gal_route *route;
    struct stream *s;
    struct gal_err err;
    enum gal_status st = GAL_OK;

    if (x->req->method != GAL_METHOD_POST || !gal_grpc_speaks(x->req) ||
        (route = route_of(x)) == NULL || (s = gal_arena_small(&x->arena, sizeof(*s))) == NULL)
        return false;
    memset(s, 0, sizeof(*s));
    s->call = call;
    s->x = x;
    s->front = (struct gal_front *)(void *)((char *)x->api - offsetof(struct gal_front, api));
    s->in = &slot->in;
    s->in->max = x->api->options->body_bytes_max + GAL_GRPC_PREFIX_BYTES +
                 s->front->options->http2.stream_window;
    s->route = route;
    s->last = &s->first;
    s->keeps_errors = route->id == GAL_ROUTE_GRPC_STREAM_INFER && !wants_status(x->req);
    x->state = s;
    gal_call_claim(call, &ops, s);
    send_head(x, call);
    if (x->req->known[GAL_HDR_GRPC_TIMEOUT].p != NULL)
        st = take_deadline(s, &err);
    if (st != GAL_OK)
        fail(s, &err);
    else
        arm(s);
    return true;
}
