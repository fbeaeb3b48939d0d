/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ws_conn_impl.h"

#include "api/websocket.h"
#include "base/mem.h"

#include <stdio.h>

#define INPUT_FIRST_BYTES 16384u
#define PONG_WAIT_US 10000000u /* no byte for so long behind a ping: the peer has gone */
#define TEXT_KEEP_BYTES 1024u

void gal_ws_conn_set_state(struct gal_ws_conn *c, enum gal_ws_conn_state to)
{
    static const unsigned char legal[] = {
        [GAL_WS_OPEN] = 1u << GAL_WS_ENDING | 1u << GAL_WS_CLOSING | 1u << GAL_WS_DONE,
        [GAL_WS_ENDING] = 1u << GAL_WS_CLOSING | 1u << GAL_WS_DONE,
        [GAL_WS_CLOSING] = 1u << GAL_WS_DONE,
        [GAL_WS_DONE] = 1u << GAL_WS_DONE,
    };
    GAL_ASSERT(legal[c->state] & (1u << to));
    c->state = to;
}

/* --- end of a connection --- */

void gal_ws_conn_give(struct gal_ws_conn *c)
{
    if (c->stream != NULL || c->slots > 0 || c->outbox.waits || c->held)
        return;
    gal_buf_clear(&c->text, TEXT_KEEP_BYTES);
    c->next = c->front->ws.free_conns;
    c->front->ws.free_conns = c;
}

static void count_close(struct gal_ws_conn *c)
{
    char text[12] = "other";
    struct gal_str label;

    if (c->end_code >= GAL_WS_NORMAL && c->end_code < 1016)
        snprintf(text, sizeof(text), "%u", c->end_code);
    label = gal_str_of(text);
    gal_shard_add(c->front->api.shard,
                  gal_metrics_series(c->front->api.metrics, GAL_METRIC_WEBSOCKET_CLOSES, &label),
                  1);
}

static void on_close(void *user)
{
    struct gal_ws_conn *c = user;
    struct gal_process *p = c->front->api.process;

    c->stream = NULL;
    gal_ws_conn_set_state(c, GAL_WS_DONE);
    p->connections--;
    p->websockets--;
    if (c->in_flight)
        p->in_flight--;
    c->in_flight = false;
    gal_rest_leave(&c->front->rests, &c->rest);
    count_close(c);
    c->held = true;
    gal_ws_in_cancel(c);
    gal_ws_in_release_all(&c->answers);
    gal_ws_in_release_all(&c->sending);
    gal_ws_slot_give(&c->front->ws.slots, c->filling);
    c->filling = NULL;
    c->held = false;
    gal_ws_conn_give(c);
}

void gal_ws_conn_finish(struct gal_ws_conn *c)
{
    if (c->state == GAL_WS_DONE)
        return;
    gal_ws_conn_set_state(c, GAL_WS_DONE);
    gal_stream_deadline(c->stream, 0);
    gal_stream_finish(c->stream);
}

void gal_ws_conn_cut(struct gal_ws_conn *c)
{
    if (c->state != GAL_WS_DONE)
        gal_ws_conn_set_state(c, GAL_WS_DONE);
    gal_stream_close(c->stream);
}

/* --- deadlines --- */

static uint64_t partial_until(const struct gal_ws_conn *c)
{
    size_t n = c->filling != NULL ? c->filling->in.n : 0;

    return gal_front_body_due(c->front, c->partial_us, c->heard_us, n);
}

static uint64_t idle_until(const struct gal_ws_conn *c)
{
    return c->pinged ? c->pinged_us + PONG_WAIT_US
                     : c->heard_us + c->front->options->idle_timeout_us;
}

void gal_ws_conn_set_deadline(struct gal_ws_conn *c)
{
    uint64_t at = UINT64_MAX;

    if (c->stream == NULL || c->state == GAL_WS_DONE)
        return;
    gal_ws_lower(&at, c->expires_us);
    if (c->writing)
        gal_ws_lower(&at, c->write_until_us);
    if (c->close_sent)
        gal_ws_lower(&at, c->close_until_us);
    else if (c->partial_us != 0 && !c->read_stopped)
        gal_ws_lower(&at, partial_until(c));
    else if (c->slots == 0 && c->state == GAL_WS_OPEN && c->front->options->idle_timeout_us != 0)
        gal_ws_lower(&at, idle_until(c));
    gal_stream_deadline(c->stream, at == UINT64_MAX ? 0 : at);
}

/* --- the stream's calls --- */

/* Memory grows with what has come, not with what was announced. */
static size_t make_room(struct gal_ws_conn *c)
{
    struct gal_buf *in = &c->filling->in;
    size_t left = gal_ws_want(&c->ws), want, room;

    if (left == 0)
        want = in->cap - in->n > INPUT_FIRST_BYTES / 4 ? 1 : INPUT_FIRST_BYTES;
    else
        want = in->n > INPUT_FIRST_BYTES ? in->n : INPUT_FIRST_BYTES;
    if (left > 0 && want > left)
        want = left;
    if (gal_buf_reserve(in, want) == NULL) {
        gal_ws_slots_free(&c->front->ws.slots);
        if (gal_buf_reserve(in, want) == NULL)
            return 0;
    }
    room = in->cap - in->n;
    return room < left + GAL_WS_READ_BYTES_MAX ? room : left + GAL_WS_READ_BYTES_MAX;
}

static char *on_space(void *user, size_t *n)
{
    struct gal_ws_conn *c = user;

    if (c->state == GAL_WS_DONE)
        return NULL;
    if (c->slots >= GAL_WS_IN_FLIGHT_MAX || c->rest.resting) {
        c->read_stopped = true;
        return NULL;
    }
    if (c->filling == NULL)
        c->filling = gal_ws_slot_take(&c->front->ws.slots, &c->front->api, gal_ws_in_max(c));
    if (c->filling == NULL) {
        gal_ws_conn_cut(c);
        return NULL;
    }
    *n = make_room(c);
    if (*n == 0) {
        c->read_stopped = true;
        gal_ws_out_close(c, GAL_WS_TRY_LATER, GAL_STR("the memory for requests is taken"));
        return NULL;
    }
    return c->filling->in.p + c->filling->in.n;
}

static void on_written(void *user)
{
    gal_ws_out_written(user);
}

static void on_data(void *user, size_t n)
{
    struct gal_ws_conn *c = user;

    gal_shard_add(c->front->api.shard, c->front->received, n);
    c->filling->in.n += n;
    c->heard_us = gal_ws_conn_turn_us(c);
    c->pinged = false;
    gal_ws_in_pump(c);
    gal_ws_conn_set_deadline(c);
}

static void on_eof(void *user)
{
    gal_ws_conn_cut(user); /* a client that ends well says so by a Close */
}

static void check_idle(struct gal_ws_conn *c, uint64_t now_us)
{
    if (c->state != GAL_WS_OPEN || c->slots > 0 || c->partial_us != 0 || idle_until(c) > now_us)
        return;
    if (c->pinged) {
        gal_ws_out_close(c, GAL_WS_GOING_AWAY, GAL_STR("a ping was not answered"));
        return;
    }
    c->pinged = c->ping_wanted = true;
    c->pinged_us = now_us;
    gal_ws_out_queue(c, 0, 0);
}

static void on_deadline(void *user)
{
    struct gal_ws_conn *c = user;
    uint64_t now_us = gal_ws_conn_turn_us(c);

    if (c->writing && c->write_until_us <= now_us &&
        gal_front_write_goes_on(c->front, gal_stream_unsent(c->stream), &c->unsent))
        c->write_until_us = now_us + c->front->options->write_timeout_us;
    if ((c->writing && c->write_until_us <= now_us) ||
        (c->close_sent && c->close_until_us <= now_us && c->writing)) {
        gal_ws_conn_cut(c);
        return;
    }
    if (c->close_sent && c->close_until_us <= now_us) {
        gal_ws_conn_finish(c);
        return;
    }
    if (c->expires_us != 0 && c->expires_us <= now_us)
        gal_ws_in_expire(c, now_us);
    if (c->state != GAL_WS_DONE && c->partial_us != 0 && !c->read_stopped &&
        partial_until(c) <= now_us)
        gal_ws_out_close(c, GAL_WS_POLICY, GAL_STR("a message did not arrive in time"));
    check_idle(c, now_us);
    gal_ws_conn_set_deadline(c);
}

static void on_drain(void *user)
{
    struct gal_ws_conn *c = user;

    if (c->state != GAL_WS_OPEN)
        return;
    gal_ws_conn_set_state(c, GAL_WS_ENDING);
    c->in_flight = true; /* until the peer has heard of it */
    c->front->api.process->in_flight++;
    gal_ws_out_queue(c, 0, 0);
}

static void on_rest_end(void *conn)
{
    struct gal_ws_conn *c = conn;

    gal_ws_in_go_on(c);
    gal_ws_conn_set_deadline(c);
}

static const struct gal_stream_ops stream_ops = {
    .on_space = on_space,
    .on_data = on_data,
    .on_eof = on_eof,
    .on_deadline = on_deadline,
    .on_written = on_written,
    .on_close = on_close,
    .on_drain = on_drain,
};

/* --- life --- */

static struct gal_str keep(struct gal_ws_conn *c, struct gal_str s)
{
    struct gal_str copy = {c->text.p + c->text.n, s.n};

    gal_buf_put_str(&c->text, s);
    return s.p != NULL ? copy : s;
}

/* What of the handshake holds for each message. */
static bool keep_request(struct gal_ws_conn *c, const struct gal_exchange *x)
{
    static const enum gal_known_header kept[] = {GAL_HDR_X_MODEL_VERSION, GAL_HDR_TRACEPARENT,
                                                 GAL_HDR_X_REQUEST_TIMEOUT_MS,
                                                 GAL_HDR_X_REQUEST_PRIORITY};
    const struct gal_http_request *r = x->req;
    size_t bytes =
        r->target.n + r->path.n + r->query.n + GAL_REQUEST_ID_BYTES_MAX + x->client_name.n + 1;

    for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++)
        bytes += r->known[kept[i]].n;
    if (gal_buf_reserve(&c->text, bytes) == NULL) /* so that it does not move below */
        return false;
    c->target = keep(c, r->target);
    c->path = keep(c, r->path);
    c->query = keep(c, r->query);
    c->client_name = keep(c, x->client_name);
    for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++)
        c->known[kept[i]] = keep(c, r->known[kept[i]]);
    c->known[GAL_HDR_X_CORRELATION_ID] = keep(c, gal_str_of(x->correlation_id));
    return true;
}

bool gal_ws_adopt(struct gal_front *f, struct gal_stream *stream, const struct gal_exchange *x,
                  struct gal_str rest)
{
    struct gal_ws_conn *c = f->ws.free_conns;
    const struct gal_websocket *options = x->state;
    struct gal_buf text;

    if (c != NULL) {
        f->ws.free_conns = c->next;
        text = c->text;
    } else {
        c = gal_alloc(sizeof(*c));
        gal_buf_init(&text, 2 * GAL_HTTP_HEAD_BYTES_MAX);
    }
    if (c == NULL)
        return false;
    memset(c, 0, sizeof(*c));
    c->front = f;
    c->text = text;
    c->outbox = (struct gal_outbox_item){.send = gal_ws_out_send, .conn = c};
    c->rest = (struct gal_rest){.on_end = on_rest_end, .conn = c};
    if (!keep_request(c, x)) {
        gal_ws_conn_give(c);
        return false;
    }
    c->stream = stream;
    c->state = GAL_WS_OPEN;
    c->ordered = options->ordered;
    c->end_code = 1006;
    c->heard_us = c->controls_since_us = gal_ws_conn_turn_us(c);
    snprintf(c->peer, sizeof(c->peer), "%s", x->peer != NULL ? x->peer : "");
    gal_ws_init(&c->ws, f->options->http1.body_bytes_max);
    f->api.process->websockets++;
    gal_stream_switch(stream, &stream_ops, c);
    if (rest.n > 0 && (c->filling = gal_ws_in_slot(c, rest.n)) != NULL) {
        gal_buf_put_str(&c->filling->in, rest);
        gal_ws_in_pump(c);
    }
    gal_stream_read_resume(stream);
    gal_ws_conn_set_deadline(c);
    if (f->api.process->refusing)
        on_drain(c);
    return true;
}

void gal_ws_front_init(struct gal_front *f)
{
    struct gal_metrics *m = f->api.metrics;
    struct gal_str in[2][2] = {{GAL_STR("in"), GAL_STR("text")},
                               {GAL_STR("in"), GAL_STR("binary")}};
    struct gal_str out[2][2] = {{GAL_STR("out"), GAL_STR("text")},
                                {GAL_STR("out"), GAL_STR("binary")}};

    for (size_t i = 0; i < 2; i++) {
        f->ws.in[i] = gal_metrics_series(m, GAL_METRIC_WEBSOCKET_MESSAGES, in[i]);
        f->ws.out[i] = gal_metrics_series(m, GAL_METRIC_WEBSOCKET_MESSAGES, out[i]);
    }
}

void gal_ws_free_pools(struct gal_front *f)
{
    gal_ws_slots_free(&f->ws.slots);
    while (f->ws.free_conns != NULL) {
        struct gal_ws_conn *c = f->ws.free_conns;
        f->ws.free_conns = c->next;
        gal_buf_release(&c->text);
        gal_free(c);
    }
}
