/* SPDX-License-Identifier: Apache-2.0 */
/* The answers of a connection that speaks HTTP/1.1 (the states are http_conn.c's). */
#include "server/http_conn.h"

/* On to the next request; what has been read of it is in the slot, which is NULL when that is
 * nothing. */
static void go_on(struct gal_conn *c)
{
    bool refuses = c->front->api.process->refusing; /* it heard so while its answer was sent */

    if (c->slot != NULL) {
        gal_conn_set_state(c, CONN_READING);
        gal_conn_deadline_in(c, c->front->options->head_timeout_us);
        if (refuses)
            gal_conn_enter_flight(c);
    } else if (c->eof || refuses) {
        gal_conn_close_softly(c);
        return;
    } else {
        gal_conn_set_state(c, CONN_IDLE);
        gal_conn_deadline_in(c, c->front->options->idle_timeout_us);
    }
    if (c->read_stopped) {
        c->read_stopped = false;
        gal_stream_read_resume(c->stream);
    }
    gal_conn_pump(c);
}

static void rest(struct gal_conn *c)
{
    struct gal_front *f = c->front;

    gal_conn_set_state(c, CONN_RESTING);
    gal_stream_deadline(c->stream, 0);
    gal_shard_add(f->api.shard, f->rests_begun, 1);
    gal_rest_begin(&f->rests, &c->rest, c->rest_us);
    c->rest_us = 0;
}

void gal_conn_on_rest_end(void *conn)
{
    go_on(conn);
}

static void give_slot(struct gal_conn *c)
{
    gal_slot_give(c->front, c->slot);
    c->slot = NULL;
}

/* Behind a 101: the stream, and what was read beyond the request, are another protocol's. */
static bool hand_over(struct gal_conn *c)
{
    struct gal_str rest = gal_buf_str(&c->slot->in);
    size_t taken = gal_http1_end(c->slot->codec);

    rest = (struct gal_str){rest.p + taken, rest.n - taken};
    if (!gal_ws_adopt(c->front, c->stream, &c->slot->x, rest))
        return false;
    gal_conn_set_state(c, CONN_CLOSING);
    gal_conn_give(c);
    return true;
}

static void end_request(struct gal_conn *c)
{
    struct gal_slot *s = c->slot;

    /* In a drain the process stays for a client that still sends, until it has heard the answer. */
    if (c->keep_alive || !c->unread || !c->front->api.process->refusing)
        gal_conn_leave_flight(c);
    if (s->x.resp.status == 101 && hand_over(c))
        return;
    if (!c->keep_alive) {
        give_slot(c); /* the peer may take its time to go */
        gal_conn_close_softly(c);
        return;
    }
    gal_buf_shift(&s->in, gal_http1_next(s->codec));
    gal_exchange_reset(&s->x);
    gal_buf_clear(&s->head, GAL_SLOT_HEAD_BYTES + GAL_SLOT_JOIN_BYTES);
    if (s->in.n == 0)
        give_slot(c);
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
        if (!gal_stream_write(c->stream, parts, n)) {
            c->unsent = gal_stream_unsent(c->stream);
            return;
        }
    } while (c->parts_sent < count);
    end_request(c);
}

void gal_conn_on_written(void *conn)
{
    struct gal_conn *c = conn;

    if (c->state != CONN_WRITING)
        return;
    if (c->parts_sent <
        (c->slot->x.req->method == GAL_METHOD_HEAD ? 0 : c->slot->x.resp.part_count))
        send_parts(c);
    else
        end_request(c);
}

void gal_conn_send(void *conn)
{
    struct gal_conn *c = conn;

    if (c->stream == NULL)
        gal_conn_give(c);
    else if (c->state == CONN_WRITING)
        send_parts(c);
}

static void join_body(struct gal_conn *c, const struct gal_http_response *r)
{
    if (r->body_bytes > GAL_SLOT_JOIN_BYTES || c->slot->x.req->method == GAL_METHOD_HEAD)
        return;
    while (c->parts_sent < r->part_count)
        gal_buf_put_str(&c->slot->head, r->parts[c->parts_sent++]);
}

void gal_conn_on_finished(struct gal_exchange *x)
{
    struct gal_conn *c = x->carrier;
    struct gal_front *f = c->front;
    size_t head_bytes;

    if (c->stream == NULL) { /* the client has gone meanwhile */
        gal_conn_give(c);
        return;
    }
    if (c->state == CONN_CLOSING)
        return; /* on_close is on its way */
    gal_conn_set_state(c, CONN_WRITING);
    /* From the start of a drain on: clients come to the end of their connections one by one, and
     * none is cut that is about to send. */
    c->keep_alive = x->req->keep_alive && !x->resp.close && !f->api.process->draining;
    c->parts_sent = 0;
    c->head_sent = false;
    c->rest_us = gal_rest_pause_us(&f->rests, x, c->handling);
    gal_http1_write_head(&c->slot->head, &x->resp, x->req, gal_front_date(f), c->keep_alive);
    head_bytes = c->slot->head.n;
    join_body(c, &x->resp);
    if (c->slot->head.failed) {
        gal_conn_close_now(c);
        return;
    }
    gal_shard_add(f->api.shard, f->sent, head_bytes + x->resp.body_bytes);
    if (x->outcome == GAL_NO_MEMORY && !x->submitted)
        gal_shard_add(f->api.shard, f->refused_memory, 1);
    gal_conn_deadline_in(c, f->options->write_timeout_us);
    gal_outbox_add(&f->outbox, &c->outbox, 1, x->resp.body_bytes);
}
