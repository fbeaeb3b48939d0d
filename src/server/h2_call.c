/* SPDX-License-Identifier: Apache-2.0 */
/* The requests of a connection that speaks HTTP/2. What a slot's stream waits for:
 *
 *   its body      [on_head]      until body_timeout, as HTTP/1.1's
 *   its exchange  [on_request, reject]  until the job's own deadline
 *   its way out   [on_finished]  a look each write_timeout whether it goes on
 *   its claimer   [on_head, claimed]    the claimer's own times (grpc_stream.h)
 * The stream may end before its job [on_close]: then the slot is without a connection, the job is
 * cancelled, and on_finished gives the slot back. */
#include "api/grpc.h"
#include "server/h2_conn.h"

static struct gal_slot *slot_of(struct gal_call *call)
{
    return (struct gal_slot *)(void *)((char *)call - offsetof(struct gal_slot, call));
}

static struct gal_front *front_of(struct gal_api *api)
{
    return (struct gal_front *)(void *)((char *)api - offsetof(struct gal_front, api));
}

static void give(struct gal_front *f, struct gal_slot *s)
{
    if (s->in_flight)
        f->api.process->in_flight--;
    s->in_flight = false;
    s->h2 = NULL;
    gal_slot_give(f, s);
}

static struct gal_call *on_open(void *user)
{
    struct gal_h2_conn *c = user;
    struct gal_slot *s = gal_slot_take(c->front);

    if (s == NULL)
        return NULL;
    s->h2 = c;
    s->head.max = c->front->options->http2.head_bytes_max;
    s->in.max = c->front->options->http2.body_bytes_max + GAL_SLOT_ALIGN;
    s->call.head = &s->head;
    s->call.body = &s->in;
    return &s->call;
}

/* Who is refused waits before it is heard again, when the loop refuses much: the connection is not
 * read from, which holds up its other streams' bodies too. Who sees 429 has to slow down as one. */
static void pace(struct gal_h2_conn *c, const struct gal_exchange *x)
{
    uint64_t us = gal_rest_pause_us(&c->front->rests, x, c->reading);

    if (us > c->rest_us)
        c->rest_us = us;
}

static void on_finished(struct gal_exchange *x)
{
    struct gal_slot *s = x->carrier;
    struct gal_h2_conn *c = s->h2;
    struct gal_front *f = front_of(x->api);
    size_t bytes = x->resp.body_bytes;

    if (c == NULL) { /* the client has gone meanwhile */
        give(f, s);
        return;
    }
    pace(c, x);
    gal_shard_add(f->api.shard, f->sent, bytes);
    if (x->outcome == GAL_NO_MEMORY && !x->submitted)
        gal_shard_add(f->api.shard, f->refused_memory, 1);
    s->unsent = bytes;
    s->due_us = gal_loop_turn_us(f->loop) + f->options->write_timeout_us;
    gal_h2_arm(c, s->due_us);
    gal_http2_answer(&s->call, &x->resp, gal_front_date(f));
    if (f->api.process->draining && !c->told_drain) {
        c->told_drain = true;
        gal_http2_shut_down(c->http2, true);
    }
    gal_outbox_add(&f->outbox, &c->outbox, 1, bytes);
}

static void on_deadline(struct gal_exchange *x)
{
    const struct gal_slot *s = x->carrier;

    if (x->job.expires_us != 0)
        gal_h2_arm(s->h2, x->job.expires_us);
}

static void enter_flight(struct gal_slot *s)
{
    if (!s->in_flight)
        s->h2->front->api.process->in_flight++;
    s->in_flight = true;
}

static void begin(struct gal_slot *s)
{
    struct gal_front *f = s->h2->front;
    struct gal_exchange *x = &s->x;

    enter_flight(s);
    x->req = &s->call.req;
    x->carrier = s;
    x->on_finished = on_finished;
    x->on_deadline = on_deadline;
    x->peer = gal_stream_peer(s->h2->stream);
    x->client_name = gal_stream_client_name(s->h2->stream);
    x->arrived_us = gal_loop_turn_us(f->loop);
}

static void reject(struct gal_slot *s, const struct gal_err *err, gal_series counter)
{
    gal_shard_add(s->h2->front->api.shard, counter, 1);
    begin(s);
    gal_api_reject(&s->x, err);
}

/* When the body of a unary call is late. */
static uint64_t body_due(const struct gal_h2_conn *c, const struct gal_call *call)
{
    return gal_front_body_due(c->front, call->opened_us, call->data_us, call->received);
}

static void on_head(void *user, struct gal_call *call)
{
    struct gal_h2_conn *c = user;
    struct gal_slot *s = slot_of(call);
    struct gal_api *api = &c->front->api;
    bool was_counted = s->in_flight; /* a drain came within its head */
    struct gal_err err;

    if (api->claim != NULL) {
        begin(s);
        if (api->claim(&s->x, call)) {
            if (was_counted && call->ops->on_drain != NULL)
                call->ops->on_drain(call->user);
            return;
        }
        if (!was_counted)
            api->process->in_flight--;
        s->in_flight = was_counted;
    }
    if (call->ended)
        return;
    if (call->req.content_length > 0 &&
        gal_slot_admit(c->front, &s->in, (size_t)call->req.content_length, &err) != GAL_OK) {
        gal_http2_refuse(call);
        reject(s, &err, 0);
        return;
    }
    gal_http2_continue(call);
    gal_h2_arm(c, body_due(c, call));
}

/* In a message of gRPC the first large tensor may stand anywhere. */
static size_t on_body(void *user, struct gal_call *call, struct gal_str begin)
{
    size_t at;

    (void)user;
    if (begin.n < GAL_SLOT_BODY_LARGE_BYTES)
        return 0;
    if (!gal_grpc_speaks(&call->req))
        return gal_slot_gap(&call->req, 0);
    if (begin.p[0] != 0)
        return 0;
    begin = (struct gal_str){begin.p + GAL_GRPC_PREFIX_BYTES, begin.n - GAL_GRPC_PREFIX_BYTES};
    at = gal_grpc_raw_at(begin);
    return at == 0 ? 0 : (size_t)(-(at + GAL_GRPC_PREFIX_BYTES) % GAL_SLOT_ALIGN);
}

static void on_request(void *user, struct gal_call *call)
{
    struct gal_slot *s = slot_of(call);

    (void)user;
    begin(s);
    gal_api_handle(&s->x);
    /* Nothing is sent while the connection is read from: the slot is still its stream's. */
    if (s->x.job_running)
        on_deadline(&s->x);
}

static void on_fault(void *user, struct gal_call *call, const struct gal_err *err)
{
    struct gal_h2_conn *c = user;
    struct gal_slot *s = slot_of(call);
    struct gal_err memory;

    if (err->code != GAL_NO_MEMORY) {
        reject(s, err, c->front->refused_bad);
        return;
    }
    gal_slots_free_kept(c->front);
    (void)gal_slot_fail_memory(c->front, s->in.n, &memory);
    reject(s, &memory, 0);
}

static void on_close(void *user, struct gal_call *call, uint32_t code)
{
    struct gal_h2_conn *c = user;
    struct gal_slot *s = slot_of(call);

    (void)code;
    if (gal_http2_calls(c->http2) == NULL)
        c->idle_since_us = gal_loop_turn_us(c->front->loop);
    s->h2 = NULL;
    if (s->x.job_running)
        gal_slot_abandon(s);
    else
        give(c->front, s);
}

static void on_output(void *user)
{
    struct gal_h2_conn *c = user;

    gal_outbox_add(&c->front->outbox, &c->outbox, 0, 0);
}

const struct gal_http2_ops gal_h2_ops = {
    .on_open = on_open,
    .on_head = on_head,
    .on_body = on_body,
    .on_request = on_request,
    .on_fault = on_fault,
    .on_close = on_close,
    .on_output = on_output,
};

/* --- time --- */

/* When something of the call is due; 0: nothing is. */
static uint64_t due_of(const struct gal_h2_conn *c, struct gal_call *call)
{
    const struct gal_slot *s = slot_of(call);

    if (call->ops != NULL)
        return 0;
    if (call->answered)
        return s->due_us;
    if (s->x.job_running)
        return s->x.job.expires_us;
    return call->ended || call->faulted ? 0 : body_due(c, call);
}

/* Of a unary answer's body: what the client's windows have not let through yet. */
static size_t unsent_of(const struct gal_slot *s)
{
    const struct gal_call *call = &s->call;
    const struct gal_http_response *r = &s->x.resp;
    size_t sent = call->part_at;

    for (size_t i = 0; i < call->part && i < r->part_count; i++)
        sent += r->parts[i].n;
    return r->body_bytes > sent ? r->body_bytes - sent : 0;
}

static void end_due(struct gal_h2_conn *c, struct gal_call *call)
{
    struct gal_slot *s = slot_of(call);
    struct gal_err err;

    /* Where the connection's own write waits, that is looked at, and calls that could send wait for
     * their turn. */
    if (call->answered && ((c->writing && gal_call_may_send(call)) ||
                           gal_front_write_goes_on(c->front, unsent_of(s), &s->unsent))) {
        s->due_us = gal_loop_turn_us(c->front->loop) + c->front->options->write_timeout_us;
    } else if (call->answered) {
        gal_call_reset(call, GAL_CALL_CANCEL);
    } else if (s->x.job_running) {
        gal_exchange_expire(&s->x);
    } else {
        gal_http2_refuse(call);
        gal_fail(&err, GAL_TIMEOUT_CLIENT, "the request did not arrive in time");
        reject(s, &err, c->front->refused_slow);
    }
}

void gal_h2_check_calls(struct gal_h2_conn *c, uint64_t now_us)
{
    struct gal_call *next;

    c->walking = true;
    for (struct gal_call *call = gal_http2_calls(c->http2); call != NULL; call = next) {
        uint64_t due_us = due_of(c, call);

        next = call->next;
        if (due_us != 0 && due_us <= now_us) {
            end_due(c, call);
            due_us = due_of(c, call);
        }
        if (due_us > now_us)
            gal_h2_arm(c, due_us);
    }
    c->walking = false;
    if (gal_http2_wants_send(c->http2) || gal_http2_is_over(c->http2))
        on_output(c);
}

void gal_h2_drain_calls(struct gal_h2_conn *c)
{
    struct gal_call *next;

    for (struct gal_call *call = gal_http2_calls(c->http2); call != NULL; call = next) {
        next = call->next;
        if (call->ops == NULL) /* what comes of it is waited for, and answered */
            enter_flight(slot_of(call));
        else if (call->ops->on_drain != NULL)
            call->ops->on_drain(call->user);
    }
}
