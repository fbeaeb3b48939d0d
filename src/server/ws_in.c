/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ws_conn_impl.h"

/* A message of at most so many bytes is copied out of the buffer in which others follow it; a
 * larger one keeps the buffer, and what follows it moves. */
#define COPY_BYTES_MAX 16384u
#define CONTROLS_WINDOW_US 10000000u

/* --- requests --- */

void gal_ws_in_release(struct gal_ws_slot *s)
{
    struct gal_ws_conn *c = s->conn;

    gal_ws_slot_give(&c->front->ws.slots, s);
    c->slots--;
    c->front->api.process->in_flight--;
}

void gal_ws_in_release_all(struct gal_ws_list *l)
{
    while (l->first != NULL) {
        struct gal_ws_slot *s = l->first;
        gal_ws_list_remove(l, s);
        gal_ws_in_release(s);
    }
}

/* Nobody wants the answers any more; on_finished gives the slots back. It may come from within, so
 * the list is looked at anew each time. */
void gal_ws_in_cancel(struct gal_ws_conn *c)
{
    struct gal_ws_slot *s = c->running.first;

    while (s != NULL) {
        bool answered = s->answered;

        if (!answered && s->cancelled) {
            s = s->next;
            continue;
        }
        s->cancelled = true;
        if (answered) { /* it waited for its turn */
            gal_ws_list_remove(&c->running, s);
            gal_ws_in_release(s);
        } else {
            gal_exchange_cancel(&s->x);
        }
        s = c->running.first;
    }
}

static struct gal_ws_slot *find_late(const struct gal_ws_conn *c, uint64_t now_us)
{
    struct gal_ws_slot *s = c->running.first;

    while (s != NULL && (s->expired || !s->x.job_running || s->x.job.expires_us == 0 ||
                         s->x.job.expires_us > now_us))
        s = s->next;
    return s;
}

/* An answer may come from within, and others go with it: the list is looked at anew each time. */
void gal_ws_in_expire(struct gal_ws_conn *c, uint64_t now_us)
{
    struct gal_ws_slot *s;
    uint64_t earliest = UINT64_MAX;

    while ((s = find_late(c, now_us)) != NULL) {
        s->expired = true;
        gal_exchange_expire(&s->x);
    }
    for (s = c->running.first; s != NULL; s = s->next)
        if (s->x.job_running && !s->expired)
            gal_ws_lower(&earliest, s->x.job.expires_us);
    c->expires_us = earliest == UINT64_MAX ? 0 : earliest;
}

/* Who is refused waits before it is heard again, when the loop refuses much. */
static void pace(struct gal_ws_conn *c, const struct gal_exchange *x)
{
    struct gal_front *f = c->front;
    uint64_t pause_us = gal_rest_pause_us(&f->rests, x, false);

    if (pause_us == 0 || c->rest.resting)
        return;
    gal_rest_begin(&f->rests, &c->rest, pause_us);
    gal_shard_add(f->api.shard, f->rests_begun, 1);
}

static void on_finished(struct gal_exchange *x)
{
    struct gal_ws_slot *s = x->carrier;
    struct gal_ws_conn *c = s->conn;
    struct gal_front *f = c->front;

    if (c->state == GAL_WS_CLOSING || c->state == GAL_WS_DONE) {
        gal_ws_list_remove(&c->running, s);
        gal_ws_in_release(s);
        gal_ws_conn_give(c);
        return;
    }
    pace(c, x);
    s->answered = true;
    gal_shard_add(f->api.shard, f->ws.out[x->message == GAL_MESSAGE_BINARY], 1);
    if (!gal_ws_slot_frame(s)) {
        gal_ws_conn_cut(c);
        return;
    }
    gal_ws_out_answer(c, s);
}

static void note_expiry(struct gal_ws_conn *c, const struct gal_exchange *x)
{
    if (x->job_running && x->job.expires_us != 0 &&
        (c->expires_us == 0 || x->job.expires_us < c->expires_us))
        c->expires_us = x->job.expires_us;
}

static void on_deadline(struct gal_exchange *x)
{
    struct gal_ws_conn *c = ((struct gal_ws_slot *)x->carrier)->conn;

    note_expiry(c, x);
    gal_ws_conn_set_deadline(c);
}

static void dispatch(struct gal_ws_conn *c, struct gal_ws_slot *s, struct gal_str message)
{
    struct gal_front *f = c->front;
    struct gal_exchange *x = &s->x;
    struct gal_http_request *r = &s->req;

    r->method = GAL_METHOD_GET;
    r->version_major = r->version_minor = 1;
    r->keep_alive = true;
    r->content_length = -1;
    r->target = c->target;
    r->path = c->path;
    r->query = c->query;
    memcpy(r->known, c->known, sizeof(r->known));
    r->body = message;
    s->conn = c;
    x->req = r;
    x->carrier = s;
    x->on_finished = on_finished;
    x->on_deadline = on_deadline;
    x->peer = c->peer;
    x->client_name = c->client_name;
    x->arrived_us = gal_ws_conn_turn_us(c);
    x->message = c->ws.is_text ? GAL_MESSAGE_TEXT : GAL_MESSAGE_BINARY;
    gal_shard_add(f->api.shard, f->ws.in[!c->ws.is_text], 1);
    gal_ws_list_add(&c->running, s);
    c->slots++;
    f->api.process->in_flight++;
    gal_api_handle(x);
    if (c->running.last == s) /* else it is answered, and may be another message's already */
        note_expiry(c, x);
}

/* --- messages --- */

size_t gal_ws_in_max(const struct gal_ws_conn *c)
{
    return c->ws.message_bytes_max + 2 * GAL_WS_READ_BYTES_MAX;
}

struct gal_ws_slot *gal_ws_in_slot(struct gal_ws_conn *c, size_t bytes)
{
    struct gal_ws_slots *slots = &c->front->ws.slots;
    struct gal_ws_slot *s = gal_ws_slot_take(slots, &c->front->api, gal_ws_in_max(c));

    if (s != NULL && gal_buf_reserve(&s->in, bytes) == NULL) {
        gal_ws_slots_free(slots); /* memory that is only kept makes way */
        if (gal_buf_reserve(&s->in, bytes) == NULL) {
            gal_ws_slot_give(slots, s);
            s = NULL;
        }
    }
    if (s == NULL)
        gal_ws_out_close(c, GAL_WS_TRY_LATER, GAL_STR("the memory for requests is taken"));
    return s;
}

/* The message leaves the buffer as a copy, or with the buffer. */
static void take_message(struct gal_ws_conn *c)
{
    struct gal_ws_slot *from = c->filling, *to;
    struct gal_str message = c->ws.message, rest;
    size_t behind = from->in.n - c->ws.at;

    c->partial_us = 0;
    if (c->state != GAL_WS_OPEN) { /* too late: it is not taken */
        gal_ws_next(&c->ws);
        return;
    }
    if (c->ws.start > 0 || (behind > 0 && message.n <= COPY_BYTES_MAX)) {
        to = gal_ws_in_slot(c, message.n + 1);
        if (to == NULL)
            return;
        gal_buf_put_str(&to->in, message);
        gal_ws_next(&c->ws);
        dispatch(c, to, gal_buf_str(&to->in));
        return;
    }
    to = NULL;
    if (behind > 0 && (to = gal_ws_in_slot(c, behind)) == NULL)
        return;
    rest = gal_ws_leave(&c->ws, from->in.p, from->in.n);
    if (to != NULL)
        gal_buf_put_str(&to->in, rest);
    c->filling = to;
    dispatch(c, from, message);
}

/* Every frame that is no data counts: who sends them only has the loop work for nothing. */
static bool controls_bounded(struct gal_ws_conn *c)
{
    uint64_t now_us = gal_ws_conn_turn_us(c);

    if (now_us - c->controls_since_us > CONTROLS_WINDOW_US) {
        c->controls_since_us = now_us;
        c->controls = 0;
    }
    if (++c->controls <= GAL_WS_CONTROLS_MAX)
        return true;
    gal_ws_out_close(c, GAL_WS_POLICY, GAL_STR("too many control frames"));
    return false;
}

static void take_ping(struct gal_ws_conn *c)
{
    if (!controls_bounded(c))
        return;
    c->pong_n = c->ws.control.n;
    if (c->pong_n > 0)
        memcpy(c->pong, c->ws.control.p, c->pong_n);
    c->pong_wanted = true;
    gal_ws_out_queue(c, 0, 0);
}

static void take_close(struct gal_ws_conn *c)
{
    c->close_heard = true;
    if (c->state == GAL_WS_CLOSING) {
        if (c->close_sent && !c->writing)
            gal_ws_conn_finish(c);
        return;
    }
    gal_ws_out_close(c, c->ws.close_code, (struct gal_str){NULL, 0});
}

/* All that was read is taken, but for a part of a message or a head. */
static void await_more(struct gal_ws_conn *c)
{
    bool partial = c->filling->in.n > 0 || c->ws.in_message;

    if (!partial) {
        gal_ws_slot_give(&c->front->ws.slots, c->filling);
        c->filling = NULL;
        c->partial_us = 0;
    } else if (c->partial_us == 0) {
        c->partial_us = gal_ws_conn_turn_us(c);
    }
}

/* Takes one step on what has been read; false when there is nothing more to do now. */
static bool step(struct gal_ws_conn *c)
{
    struct gal_buf *in = &c->filling->in;
    struct gal_err err;

    switch (gal_ws_parse(&c->ws, in->p, &in->n, &err)) {
    case GAL_WS_MORE:
        await_more(c);
        return false;
    case GAL_WS_MESSAGE:
        take_message(c);
        return true;
    case GAL_WS_PING:
        take_ping(c);
        return true;
    case GAL_WS_PONG:
        (void)controls_bounded(c);
        return true;
    case GAL_WS_CLOSE:
        take_close(c);
        return true;
    case GAL_WS_ERROR:
        gal_ws_out_close(c, c->ws.close_code, gal_str_of(err.message));
        return true;
    }
    return false;
}

/* Messages that are answered at once come back here by go_on; the flag keeps the stack flat. */
void gal_ws_in_pump(struct gal_ws_conn *c)
{
    if (c->pumping)
        return;
    c->pumping = true;
    while (c->filling != NULL && c->state != GAL_WS_DONE && c->slots < GAL_WS_IN_FLIGHT_MAX &&
           !c->rest.resting && step(c))
        ;
    c->pumping = false;
}

/* There is room again for what the peer sends. */
void gal_ws_in_go_on(struct gal_ws_conn *c)
{
    if (c->stream == NULL || c->state == GAL_WS_DONE || c->slots >= GAL_WS_IN_FLIGHT_MAX ||
        c->rest.resting)
        return;
    if (c->read_stopped) {
        c->read_stopped = false;
        c->heard_us = gal_ws_conn_turn_us(c);
        if (c->partial_us != 0)
            c->partial_us = c->heard_us;
        gal_stream_read_resume(c->stream);
    }
    gal_ws_in_pump(c);
}
