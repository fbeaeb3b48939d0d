/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC: what comes of a call is counted as the status of HTTP that stands for it, and told by its
 * own name. */
#include "load/wire.h"

#include "base/mem.h"
#include "http/http2_client.h"
#include "load/request.h"

#include <stdio.h>

_Static_assert(GAL_WIRE_PARTS_MAX == GAL_HTTP2_PARTS_MAX, "room for what a client gathers");

struct grpc {
    struct gal_http2_client *client; /* owned */
    char text[320];
};

/* google.rpc.Code and the status of HTTP that its definition gives for it. */
static const struct {
    const char *name;
    int status;
} codes[] = {
    {"OK", 200},
    {"CANCELLED", 499},
    {"UNKNOWN", 500},
    {"INVALID_ARGUMENT", 400},
    {"DEADLINE_EXCEEDED", 504},
    {"NOT_FOUND", 404},
    {"ALREADY_EXISTS", 409},
    {"PERMISSION_DENIED", 403},
    {"RESOURCE_EXHAUSTED", 429},
    {"FAILED_PRECONDITION", 400},
    {"ABORTED", 409},
    {"OUT_OF_RANGE", 400},
    {"UNIMPLEMENTED", 501},
    {"INTERNAL", 500},
    {"UNAVAILABLE", 503},
    {"DATA_LOSS", 500},
    {"UNAUTHENTICATED", 401},
};
enum {
    CODE_CANCELLED = 1,
    CODE_UNKNOWN = 2,
    CODE_EXHAUSTED = 8,
    CODE_INTERNAL = 13,
    CODE_UNAVAILABLE = 14,
    CODE_COUNT = sizeof codes / sizeof codes[0]
};

const char *gal_wire_grpc_code(int code)
{
    return codes[code >= 0 && code < CODE_COUNT ? code : CODE_UNKNOWN].name;
}

static void grpc_free(void *wire)
{
    struct grpc *w = wire;

    if (!w)
        return;
    gal_http2_client_free(w->client);
    gal_free(w);
}

static enum gal_status grpc_new(const struct gal_wire_head *head, void **wire, struct gal_err *err)
{
    const struct gal_http2_client_head all = {
        .authority = head->authority, .path = GAL_GRPC_INFER, .timeout_us = head->timeout_us};
    struct grpc *w = gal_calloc(1, sizeof *w);
    enum gal_status status;

    if (!w)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a connection");
    status = gal_http2_client_new(&w->client, head->pool, &all, err);
    if (status != GAL_OK) {
        grpc_free(w);
        return status;
    }
    *wire = w;
    return GAL_OK;
}

static bool grpc_open(void *wire)
{
    struct grpc *w = wire;
    return gal_http2_client_open(w->client);
}

static bool grpc_send(void *wire, struct gal_str request)
{
    struct grpc *w = wire;
    return gal_http2_client_ask(w->client, request);
}

static size_t grpc_gather(void *wire, struct gal_str *parts)
{
    struct grpc *w = wire;
    return gal_http2_client_gather(w->client, parts);
}

/* What a stream's error is in gRPC (PROTOCOL-HTTP2, "Errors"). */
static int code_of_reset(uint32_t error)
{
    switch (error) {
    case 7: /* REFUSED_STREAM */
        return CODE_UNAVAILABLE;
    case 8: /* CANCEL */
        return CODE_CANCELLED;
    case 11: /* ENHANCE_YOUR_CALM */
        return CODE_EXHAUSTED;
    default:
        return CODE_INTERNAL;
    }
}

/* An answer by gRPC's rules; BAD when it keeps none of them. */
static enum gal_wire_step finish(struct grpc *w, struct gal_wire_answer *answer)
{
    struct gal_http2_client_answer a;
    int code;

    gal_http2_client_answer(w->client, &a);
    answer->again = gal_http2_client_may_ask(w->client);
    answer->text = GAL_STR("");
    if (a.reset) {
        code = code_of_reset(a.reset);
        snprintf(w->text, sizeof w->text, "%s: the stream was reset with error %u of HTTP/2",
                 codes[code].name, a.reset);
    } else if (a.code < 0) { /* an answer of HTTP alone */
        answer->status = a.http_status;
        return a.http_status >= 300 && a.http_status < 600 ? GAL_WIRE_DONE : GAL_WIRE_BAD;
    } else {
        code = a.code < CODE_COUNT ? a.code : CODE_UNKNOWN;
        if (code == 0 && !a.framed)
            return GAL_WIRE_BAD;
        if (code != 0)
            snprintf(w->text, sizeof w->text, "%s: %.*s", codes[code].name, GAL_STR_ARG(a.message));
    }
    answer->status = codes[code].status;
    if (code != 0)
        answer->text = gal_str_of(w->text);
    return GAL_WIRE_DONE;
}

static enum gal_wire_step grpc_feed(void *wire, const char *p, size_t n,
                                    struct gal_wire_answer *answer)
{
    struct grpc *w = wire;

    switch (gal_http2_client_feed(w->client, p, n)) {
    case GAL_HTTP2_CLIENT_MORE:
        return GAL_WIRE_MORE;
    case GAL_HTTP2_CLIENT_DONE:
        return finish(w, answer);
    case GAL_HTTP2_CLIENT_OVER:
        return GAL_WIRE_OVER;
    default:
        return GAL_WIRE_BAD;
    }
}

static enum gal_wire_step grpc_end(void *wire, struct gal_wire_answer *answer)
{
    (void)wire, (void)answer;
    return GAL_WIRE_OVER; /* an answer has an end of its own */
}

const struct gal_wire_ops gal_wire_grpc = {
    .interleaves = true,
    .new = grpc_new,
    .free = grpc_free,
    .open = grpc_open,
    .send = grpc_send,
    .gather = grpc_gather,
    .feed = grpc_feed,
    .end = grpc_end,
};
