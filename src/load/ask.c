/* SPDX-License-Identifier: Apache-2.0 */
#include "load/ask.h"

#include "base/mem.h"
#include "http/grpc.h"
#include "http/http2_client.h"
#include "load/wire.h"

#include <errno.h>

#define READ_BYTES 16384u
#define PORT_HINT "name a port for gRPC; galley's is the one of HTTP too"

enum outcome { WAITING, ANSWERED, NO_GRPC, TOO_LATE, NOT_REACHED };

struct asking {
    struct gal_http2_client *client;
    struct gal_stream *stream; /* from on_open to on_close */
    struct gal_str request;
    enum outcome outcome;
    int error; /* errno of NOT_REACHED */
    bool writing;
    char space[READ_BYTES];
};

static void end(struct asking *a, enum outcome outcome)
{
    if (a->outcome == WAITING)
        a->outcome = outcome;
    if (a->stream)
        gal_stream_close(a->stream);
}

static void flush(struct asking *a)
{
    struct gal_str parts[GAL_HTTP2_PARTS_MAX];
    size_t n;

    while (!a->writing && (n = gal_http2_client_gather(a->client, parts)) > 0)
        a->writing = !gal_stream_write(a->stream, parts, n);
}

static void *on_open(struct gal_stream *s, void *ctx)
{
    struct asking *a = ctx;

    a->stream = s;
    if (gal_http2_client_open(a->client) && gal_http2_client_ask(a->client, a->request))
        flush(a);
    else
        end(a, NO_GRPC);
    return a;
}

static char *on_space(void *user, size_t *n)
{
    struct asking *a = user;
    *n = sizeof a->space;
    return a->space;
}

static void on_data(void *user, size_t n)
{
    struct asking *a = user;

    switch (gal_http2_client_feed(a->client, a->space, n)) {
    case GAL_HTTP2_CLIENT_MORE:
        flush(a);
        break;
    case GAL_HTTP2_CLIENT_DONE:
        end(a, ANSWERED);
        break;
    default:
        end(a, NO_GRPC);
        break;
    }
}

static void on_written(void *user)
{
    struct asking *a = user;
    a->writing = false;
    flush(a);
}

static void on_close(void *user)
{
    struct asking *a = user;
    a->stream = NULL;
    end(a, NO_GRPC); /* by the server, before it has answered */
}

static const struct gal_stream_ops ops = {
    .on_open = on_open,
    .on_space = on_space,
    .on_data = on_data,
    .on_written = on_written,
    .on_close = on_close,
};

static void on_failed(int error, void *ctx)
{
    struct asking *a = ctx;
    a->error = error;
    end(a, NOT_REACHED);
}

static void on_time(void *ctx)
{
    end(ctx, TOO_LATE);
}

/* DEADLINE_EXCEEDED, UNAVAILABLE */
static bool is_passing(int code)
{
    return code == 4 || code == 14;
}

static enum gal_status tell_answer(const struct gal_ask *ask, const struct asking *a,
                                   struct gal_buf *out, struct gal_err *err)
{
    struct gal_http2_client_answer answer;

    gal_http2_client_answer(a->client, &answer);
    if (answer.reset != 0)
        return gal_fail(err, GAL_UNAVAILABLE, "%s cuts the call (error %u of HTTP/2)",
                        ask->authority, (unsigned)answer.reset);
    if (answer.code > 0)
        return gal_fail(err, is_passing(answer.code) ? GAL_UNAVAILABLE : GAL_NOT_FOUND,
                        "the server answers %s: %.*s", gal_wire_grpc_code(answer.code),
                        GAL_STR_ARG(answer.message));
    if (answer.http_status != 200)
        return gal_fail(err, GAL_UNAVAILABLE, "%s answers a call of gRPC with HTTP's status %d",
                        ask->authority, answer.http_status);
    if (answer.code < 0 || !answer.framed) {
        gal_fail(err, GAL_UNAVAILABLE, "%s speaks HTTP/2, but no gRPC", ask->authority);
        gal_err_hint(err, PORT_HINT);
        return GAL_UNAVAILABLE;
    }
    if (out->failed)
        return gal_fail(err, GAL_TOO_LARGE, "the server's answer is larger than %zu bytes",
                        out->max);
    gal_buf_shift(out, GAL_GRPC_PREFIX_BYTES);
    return GAL_OK;
}

static enum gal_status tell(const struct gal_ask *ask, const struct asking *a, struct gal_buf *out,
                            struct gal_err *err)
{
    switch (a->outcome) {
    case ANSWERED:
        return tell_answer(ask, a, out, err);
    case NO_GRPC:
        gal_fail(err, GAL_UNAVAILABLE, "%s does not speak gRPC (HTTP/2 with prior knowledge)",
                 ask->authority);
        gal_err_hint(err, PORT_HINT);
        return GAL_UNAVAILABLE;
    case NOT_REACHED:
        return gal_fail(err, GAL_UNAVAILABLE, "%s: %s", ask->authority, strerror(a->error));
    default:
        return gal_fail(err, GAL_UNAVAILABLE, "%s does not answer a call of gRPC in time",
                        ask->authority);
    }
}

/* Until it is over and its connection closed. */
static enum gal_status turn(struct gal_loop *loop, const struct gal_ask *ask, struct asking *a,
                            struct gal_err *err)
{
    struct gal_timer *timer;
    enum gal_status status = gal_timer_new(loop, on_time, a, &timer, err);

    if (status != GAL_OK)
        return status;
    gal_timer_start(timer, ask->timeout_us, 0);
    status = gal_stream_connect(loop, &ask->target, &ops, on_failed, a, err);
    while (status == GAL_OK && (a->outcome == WAITING || a->stream))
        gal_loop_turn(loop);
    gal_connect_cancel(loop, a);
    gal_timer_free(timer);
    return status;
}

enum gal_status gal_ask_grpc(const struct gal_ask *ask, struct gal_str message, struct gal_buf *out,
                             struct gal_err *err)
{
    const struct gal_http2_client_head head = {ask->authority, ask->path, ask->timeout_us};
    struct asking *a = gal_calloc(1, sizeof *a);
    struct gal_http2_pool *pool = NULL;
    struct gal_loop *loop = NULL;
    struct gal_buf framed;
    char prefix[GAL_GRPC_PREFIX_BYTES];
    enum gal_status status = GAL_NO_MEMORY;

    gal_grpc_prefix(prefix, false, message.n);
    gal_buf_init(&framed, sizeof prefix + message.n);
    gal_buf_put(&framed, prefix, sizeof prefix);
    gal_buf_put_str(&framed, message);
    if (!a || framed.failed)
        gal_fail(err, GAL_NO_MEMORY, "no memory to ask the server");
    else
        status = gal_http2_pool_new(&pool, err);
    if (status == GAL_OK)
        status = gal_http2_client_new(&a->client, pool, &head, err);
    if (status == GAL_OK)
        status = gal_loop_new(&loop, err);
    if (status == GAL_OK) {
        a->request = gal_buf_str(&framed);
        gal_http2_client_keep(a->client, out);
        status = turn(loop, ask, a, err);
    }
    if (status == GAL_OK)
        status = tell(ask, a, out, err);
    gal_loop_free(loop);
    if (a)
        gal_http2_client_free(a->client);
    gal_http2_pool_free(pool);
    gal_buf_release(&framed);
    gal_free(a);
    return status;
}
