/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that speak HTTP/2.
 *
 * States: OPEN -> CLOSING [end, close_now, on_close]; CLOSING: only on_close is left.
 * While OPEN: `reading` on_data is on the stack, `writing` the kernel owes on_written, rest.resting
 * nothing is read for a while. The stream's one deadline is the first of all that may be due; what
 * is due is looked for when it passes (on_deadline), so that answers cost no search.
 *
 * Output: whatever puts something into the session adds the connection to the front's outbox, which
 * sends at the end of the turn; never while the session reads, or its calls are gone through. */
#include "server/h2_conn.h"

#include "base/mem.h"

#define INPUT_BYTES (128u << 10) /* one buffer for all connections of a loop */

void gal_h2_arm(struct gal_h2_conn *c, uint64_t at_us)
{
    if (c->closing || (c->deadline_us != 0 && c->deadline_us <= at_us))
        return;
    c->deadline_us = at_us;
    gal_stream_deadline(c->stream, at_us);
}

static void close_now(struct gal_h2_conn *c)
{
    c->closing = true;
    gal_rest_leave(&c->front->rests, &c->rest);
    gal_stream_close(c->stream);
}

/* All that is to be said has been. */
static void end(struct gal_h2_conn *c)
{
    struct gal_front *f = c->front;

    if (gal_http2_is_abused(c->http2))
        gal_shard_add(f->api.shard, f->refused_abuse, 1);
    else if (c->failed)
        gal_shard_add(f->api.shard, f->refused_bad, 1);
    c->closing = true;
    gal_rest_leave(&f->rests, &c->rest);
    gal_stream_deadline(c->stream, 0);
    gal_stream_finish(c->stream);
}

static void rest(struct gal_h2_conn *c)
{
    struct gal_front *f = c->front;

    gal_shard_add(f->api.shard, f->rests_begun, 1);
    gal_rest_begin(&f->rests, &c->rest, c->rest_us);
    c->rest_us = 0;
}

static void on_rest_end(void *conn)
{
    struct gal_h2_conn *c = conn;

    if (c->read_stopped)
        gal_stream_read_resume(c->stream);
    c->read_stopped = false;
}

static void flush(struct gal_h2_conn *c)
{
    struct gal_str parts[GAL_HTTP2_PARTS_MAX];
    size_t n;

    while ((n = gal_http2_gather(c->http2, parts)) > 0) {
        if (!gal_stream_write(c->stream, parts, n)) {
            c->writing = true;
            c->unsent = gal_stream_unsent(c->stream);
            c->write_due_us =
                gal_loop_turn_us(c->front->loop) + c->front->options->write_timeout_us;
            gal_h2_arm(c, c->write_due_us);
            return;
        }
        gal_http2_sent(c->http2);
    }
    if (gal_http2_is_over(c->http2)) {
        end(c);
        return;
    }
    if (c->rest_us > 0 && !c->rest.resting)
        rest(c);
    if (gal_http2_calls(c->http2) == NULL)
        gal_h2_arm(c, c->idle_since_us + c->front->options->idle_timeout_us);
}

static void send_out(void *conn)
{
    struct gal_h2_conn *c = conn;

    if (c->stream == NULL)
        gal_free(c);
    else if (!c->closing && !c->writing && !c->reading && !c->walking)
        flush(c);
}

static void feed(struct gal_h2_conn *c, const char *p, size_t n)
{
    struct gal_front *f = c->front;
    uint64_t head_us;

    c->reading = true;
    c->failed = !gal_http2_feed(c->http2, p, n, gal_loop_turn_us(f->loop));
    c->reading = false;
    head_us = gal_http2_head_since_us(c->http2);
    if (head_us != 0)
        gal_h2_arm(c, head_us + f->options->head_timeout_us);
    if (gal_http2_wants_send(c->http2) || gal_http2_is_over(c->http2))
        gal_outbox_add(&f->outbox, &c->outbox, 0, 0);
}

/* --- the stream's calls --- */

static char *on_space(void *user, size_t *n)
{
    struct gal_h2_conn *c = user;
    struct gal_front *f = c->front;

    if (c->closing)
        return NULL;
    if (c->rest.resting || c->failed) {
        c->read_stopped = true;
        return NULL;
    }
    if (f->h2_input == NULL && (f->h2_input = gal_alloc(INPUT_BYTES)) == NULL) {
        close_now(c);
        return NULL;
    }
    *n = INPUT_BYTES;
    return f->h2_input;
}

static void on_data(void *user, size_t n)
{
    struct gal_h2_conn *c = user;

    gal_shard_add(c->front->api.shard, c->front->received, n);
    if (!c->closing)
        feed(c, c->front->h2_input, n);
}

/* Without a way to open windows for us, and to end streams, a client is of no use any more. */
static void on_eof(void *user)
{
    close_now(user);
}

static void on_written(void *user)
{
    struct gal_h2_conn *c = user;

    c->writing = false;
    gal_http2_sent(c->http2);
    if (!c->closing)
        flush(c);
}

static void on_deadline(void *user)
{
    struct gal_h2_conn *c = user;
    const struct gal_front_options *o = c->front->options;
    uint64_t now_us = gal_loop_turn_us(c->front->loop), head_us = gal_http2_head_since_us(c->http2);
    uint64_t idle_us = c->idle_since_us + o->idle_timeout_us;

    c->deadline_us = 0;
    if (c->writing && c->write_due_us <= now_us) {
        if (!gal_front_write_goes_on(c->front, gal_stream_unsent(c->stream), &c->unsent)) {
            close_now(c);
            return;
        }
        c->write_due_us = now_us + o->write_timeout_us;
    }
    if (head_us != 0 && head_us + o->head_timeout_us <= now_us) {
        if (!c->failed) {
            gal_shard_add(c->front->api.shard, c->front->refused_slow, 1);
            gal_http2_abort(c->http2, GAL_CALL_NO_ERROR);
        }
        c->failed = true;
        if (c->writing)
            gal_h2_arm(c, c->write_due_us);
        return;
    }
    if (c->writing)
        gal_h2_arm(c, c->write_due_us);
    if (head_us != 0)
        gal_h2_arm(c, head_us + o->head_timeout_us);
    if (gal_http2_calls(c->http2) != NULL)
        gal_h2_check_calls(c, now_us);
    else if (idle_us <= now_us)
        gal_http2_shut_down(c->http2, false);
    else
        gal_h2_arm(c, idle_us);
}

static void on_drain(void *user)
{
    struct gal_h2_conn *c = user;

    if (c->closing)
        return;
    c->told_drain = true;
    gal_http2_shut_down(c->http2, false);
    gal_h2_drain_calls(c);
}

static void on_close(void *user)
{
    struct gal_h2_conn *c = user;

    c->closing = true;
    gal_rest_leave(&c->front->rests, &c->rest);
    c->front->api.process->connections--;
    gal_http2_free(c->http2); /* closes the calls, which may still ask for the peer */
    c->http2 = NULL;
    c->stream = NULL;
    if (!c->outbox.waits) /* else send_out frees it */
        gal_free(c);
}

/* NULL: no memory. */
static struct gal_h2_conn *conn_new(struct gal_front *f, struct gal_stream *stream)
{
    struct gal_h2_conn *c = gal_calloc(1, sizeof(*c));

    if (c == NULL)
        return NULL;
    if ((f->h2_pool == NULL && gal_http2_pool_new(&f->h2_pool, NULL) != GAL_OK) ||
        gal_http2_new(&c->http2, f->h2_pool, &f->options->http2, &gal_h2_ops, c, NULL) != GAL_OK) {
        gal_free(c);
        return NULL;
    }
    c->front = f;
    c->stream = stream;
    c->outbox = (struct gal_outbox_item){.send = send_out, .conn = c};
    c->rest = (struct gal_rest){.on_end = on_rest_end, .conn = c};
    c->idle_since_us = gal_loop_turn_us(f->loop);
    return c;
}

static void begin(struct gal_h2_conn *c, struct gal_str bytes)
{
    gal_stream_deadline(c->stream, 0);
    gal_h2_arm(c, c->idle_since_us + c->front->options->idle_timeout_us);
    if (bytes.n > 0)
        feed(c, bytes.p, bytes.n);
    else
        gal_outbox_add(&c->front->outbox, &c->outbox, 0, 0);
}

bool gal_h2_adopt(struct gal_front *f, struct gal_stream *stream, struct gal_str bytes)
{
    struct gal_h2_conn *c = conn_new(f, stream);

    if (c == NULL)
        return false;
    gal_stream_switch(stream, &gal_h2_stream_ops, c);
    begin(c, bytes);
    if (f->api.process->refusing)
        on_drain(c);
    return true;
}

/* On a port of its own a connection is HTTP/2 from its first byte. */
static void *on_open(struct gal_stream *stream, void *listener_ctx)
{
    struct gal_front *f = listener_ctx;
    struct gal_h2_conn *c;

    if (f->api.process->connections >= f->options->connections_max) {
        gal_shard_add(f->api.shard, f->refused_full, 1);
        return NULL;
    }
    c = conn_new(f, stream);
    if (c == NULL)
        return NULL;
    f->api.process->connections++;
    begin(c, (struct gal_str){NULL, 0});
    return c;
}

const struct gal_stream_ops gal_h2_stream_ops = {
    .on_open = on_open,
    .on_space = on_space,
    .on_data = on_data,
    .on_eof = on_eof,
    .on_deadline = on_deadline,
    .on_written = on_written,
    .on_close = on_close,
    .on_drain = on_drain,
};
