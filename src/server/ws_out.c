/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ws_conn_impl.h"

#define CLOSE_WAIT_US 1000000u /* for the peer's Close behind ours */

/* An answer of which a part is out goes out whole: frames do not mix. */
static void drop_answers(struct gal_ws_conn *c)
{
    struct gal_ws_slot *s = c->answers.first, *next;

    for (; s != NULL; s = next) {
        next = s->next;
        if (s->head_sent)
            continue;
        gal_ws_list_remove(&c->answers, s);
        gal_ws_in_release(s);
    }
}

void gal_ws_out_queue(struct gal_ws_conn *c, unsigned count, size_t bytes)
{
    gal_outbox_add(&c->front->outbox, &c->outbox, count, bytes);
}

/* Ends the connection; what is under way is not answered any more. */
void gal_ws_out_close(struct gal_ws_conn *c, unsigned code, struct gal_str reason)
{
    if (c->state == GAL_WS_CLOSING || c->state == GAL_WS_DONE)
        return;
    gal_ws_conn_set_state(c, GAL_WS_CLOSING);
    c->close_code = c->end_code = code;
    c->reason_n = reason.n < sizeof(c->reason) ? reason.n : sizeof(c->reason);
    if (c->reason_n > 0)
        memcpy(c->reason, reason.p, c->reason_n);
    gal_ws_in_cancel(c);
    drop_answers(c);
    gal_ws_out_queue(c, 0, 0);
}

static size_t put_control(struct gal_ws_conn *c, enum gal_ws_opcode op, struct gal_str payload)
{
    size_t n = gal_ws_control(c->control + c->control_n, op, payload);

    c->control_n += n;
    return n;
}

/* Pings and pongs go in front of an answer; of several pings the latest is answered (RFC 6455
 * 5.5.3), so a flood of them takes no memory. */
static size_t gather_control(struct gal_ws_conn *c, struct gal_str *part)
{
    c->control_n = 0;
    if (c->state == GAL_WS_DONE || c->state == GAL_WS_CLOSING)
        return 0;
    if (c->pong_wanted)
        put_control(c, GAL_WS_OP_PONG, (struct gal_str){c->pong, c->pong_n});
    if (c->ping_wanted)
        put_control(c, GAL_WS_OP_PING, (struct gal_str){NULL, 0});
    c->pong_wanted = c->ping_wanted = false;
    *part = (struct gal_str){c->control, c->control_n};
    return c->control_n > 0;
}

static size_t gather_close(struct gal_ws_conn *c, struct gal_str *part)
{
    size_t n;

    if (c->state == GAL_WS_ENDING && c->running.first == NULL) {
        gal_ws_out_close(c, GAL_WS_GOING_AWAY, GAL_STR("the server stops"));
        c->close_awaits = true;
    }
    if (c->state != GAL_WS_CLOSING || c->close_sent)
        return 0;
    n = gal_ws_close(c->control + c->control_n, c->close_code,
                     (struct gal_str){c->reason, c->reason_n});
    *part = (struct gal_str){c->control + c->control_n, n};
    c->control_n += n;
    c->close_sent = true;
    c->close_until_us = gal_ws_conn_turn_us(c) + CLOSE_WAIT_US;
    return 1;
}

static size_t gather_answer(struct gal_ws_conn *c, struct gal_ws_slot *s, struct gal_str *parts,
                            size_t room)
{
    const struct gal_http_response *r = &s->x.resp;
    size_t n = 0;

    if (!s->head_sent)
        parts[n++] = gal_buf_str(&s->head);
    s->head_sent = true;
    while (n < room && s->parts_sent < r->part_count)
        parts[n++] = r->parts[s->parts_sent++];
    if (s->parts_sent == r->part_count) {
        gal_ws_list_remove(&c->answers, s);
        gal_ws_list_add(&c->sending, s);
    }
    return n;
}

static size_t gather(struct gal_ws_conn *c, struct gal_str *parts)
{
    struct gal_ws_slot *s = c->answers.first;
    size_t n = 0;

    if (s == NULL || !s->head_sent)
        n += gather_control(c, parts);
    while ((s = c->answers.first) != NULL && n < GAL_STREAM_PARTS_MAX)
        n += gather_answer(c, s, parts + n, GAL_STREAM_PARTS_MAX - n);
    if (c->answers.first == NULL && n < GAL_STREAM_PARTS_MAX)
        n += gather_close(c, parts + n);
    return n;
}

/* All that gather gave is with the kernel. */
static void on_sent(struct gal_ws_conn *c)
{
    gal_ws_in_release_all(&c->sending);
    if (c->close_sent && (!c->close_awaits || c->close_heard))
        gal_ws_conn_finish(c);
}

static void count_bytes(struct gal_ws_conn *c, const struct gal_str *parts, size_t n)
{
    size_t bytes = 0;

    for (size_t i = 0; i < n; i++)
        bytes += parts[i].n;
    c->write_until_us = gal_ws_conn_turn_us(c) + c->front->options->write_timeout_us;
    gal_shard_add(c->front->api.shard, c->front->sent, bytes);
}

static void send_some(struct gal_ws_conn *c)
{
    while (c->stream != NULL && c->state != GAL_WS_DONE && !c->writing) {
        struct gal_str parts[GAL_STREAM_PARTS_MAX];
        size_t n = gather(c, parts);

        if (n == 0)
            break;
        count_bytes(c, parts, n);
        if (gal_stream_write(c->stream, parts, n)) {
            on_sent(c);
        } else {
            c->writing = true;
            c->unsent = gal_stream_unsent(c->stream);
        }
    }
}

/* In the order of the requests an answer waits for those of the requests before it. */
void gal_ws_out_answer(struct gal_ws_conn *c, struct gal_ws_slot *s)
{
    size_t bytes = s->x.resp.body_bytes;

    if (c->ordered) {
        while ((s = c->running.first) != NULL && s->answered) {
            gal_ws_list_remove(&c->running, s);
            gal_ws_list_add(&c->answers, s);
        }
    } else {
        gal_ws_list_remove(&c->running, s);
        gal_ws_list_add(&c->answers, s);
    }
    gal_ws_out_queue(c, 1, bytes);
}

void gal_ws_out_send(void *conn)
{
    struct gal_ws_conn *c = conn;

    send_some(c);
    gal_ws_in_go_on(c); /* may queue it again */
    gal_ws_conn_set_deadline(c);
    gal_ws_conn_give(c);
}

void gal_ws_out_written(struct gal_ws_conn *c)
{
    c->writing = false;
    on_sent(c);
    gal_ws_out_queue(c, 0, 0);
}
