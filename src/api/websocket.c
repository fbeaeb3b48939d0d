/* SPDX-License-Identifier: Apache-2.0 */
#include "api/websocket.h"

#include "api/oip.h"
#include "api/route.h"
#include "http/url.h"
#include "http/ws_handshake.h"

/* --- the handshake --- */

static enum gal_status read_options(struct gal_exchange *x, struct gal_websocket *ws,
                                    struct gal_err *err)
{
    struct gal_str v;

    ws->ordered = false;
    if (!gal_query_get(x->req->query, "ordered", &x->arena, &v))
        return GAL_OK;
    ws->ordered = gal_str_is(v, "true");
    if (ws->ordered || gal_str_is(v, "false"))
        return GAL_OK;
    return gal_fail(err, GAL_INVALID, "?ordered= must be true or false, got '%.*s'",
                    (int)(v.n < 32 ? v.n : 32), v.p);
}

static void add_upgrade(struct gal_exchange *x)
{
    gal_http_response_header(&x->resp, GAL_STR("Upgrade"), GAL_STR("websocket"));
}

static void shake_hands(struct gal_exchange *x)
{
    struct gal_websocket *ws = gal_arena_small(&x->arena, sizeof(*ws));
    struct gal_ws_handshake hello;
    struct gal_err err;
    enum gal_status st;

    if (ws == NULL)
        st = gal_fail(&err, GAL_NO_MEMORY, "no memory for the request");
    else
        st = gal_ws_handshake_read(x->req, GAL_WEBSOCKET_PROTOCOL, &hello, &err);
    if (st == GAL_UPGRADE) {
        add_upgrade(x);
        gal_http_response_header(&x->resp, GAL_STR("Sec-WebSocket-Version"), GAL_WS_VERSION);
    }
    if (st == GAL_OK && ws != NULL)
        st = read_options(x, ws, &err);
    if (st == GAL_OK) /* a model that is not there is told before the protocol changes */
        st = gal_infer_resolve(x, x->params[0], x->params[1], &err);
    if (st != GAL_OK) {
        gal_exchange_fail(x, &err);
        return;
    }
    add_upgrade(x);
    gal_exchange_header(x, GAL_STR("Sec-WebSocket-Accept"), gal_str_of(hello.accept));
    if (hello.has_protocol)
        gal_http_response_header(&x->resp, GAL_STR("Sec-WebSocket-Protocol"),
                                 GAL_WEBSOCKET_PROTOCOL);
    x->state = ws;
    x->resp.close = true; /* HTTP ends here, also where the carrier cannot go on */
    gal_exchange_finish_parts(x, 101, (struct gal_str){NULL, 0}, NULL, 0);
}

/* --- a message --- */

struct message {
    struct gal_str json, binary;
    bool raw; /* no JSON: the only input's bytes */
};

static enum gal_status split(const struct gal_exchange *x, struct message *m, struct gal_err *err)
{
    struct gal_str body = x->body;
    uint32_t n = 0;

    *m = (struct message){.json = body};
    if (x->message == GAL_MESSAGE_TEXT)
        return GAL_OK;
    if (body.n < GAL_WEBSOCKET_PREFIX_BYTES)
        return gal_fail(err, GAL_INVALID,
                        "a binary message begins with the length of its JSON in 4 bytes, got %zu "
                        "bytes in all",
                        body.n);
    for (unsigned i = GAL_WEBSOCKET_PREFIX_BYTES; i-- > 0;)
        n = n << 8 | (unsigned char)body.p[i];
    body.p += GAL_WEBSOCKET_PREFIX_BYTES;
    body.n -= GAL_WEBSOCKET_PREFIX_BYTES;
    if (n > body.n)
        return gal_fail(err, GAL_INVALID,
                        "the JSON of a binary message has %lu bytes by its first 4 (the least "
                        "first), but %zu follow",
                        (unsigned long)n, body.n);
    m->raw = n == 0;
    m->json = (struct gal_str){body.p, n};
    m->binary = (struct gal_str){body.p + n, body.n - n};
    return GAL_OK;
}

static enum gal_status decode(struct gal_exchange *x, const struct message *m,
                              struct gal_oip_request *req, struct gal_err *err)
{
    enum gal_status st;

    memset(req, 0, sizeof(*req));
    st = gal_oip_take(x, m->json, m->binary, m->raw, req, err);
    x->message_id = req->id;
    return st;
}

/* The error of a request whose model has gone is to carry its id, too. */
static void find_id(struct gal_exchange *x, const struct message *m, struct gal_oip_request *req)
{
    if (m->raw)
        return;
    (void)gal_oip_decode(x->params[0], m->json, m->binary, &x->arena, req, NULL);
    x->message_id = req->id;
}

static const struct gal_str *put_prefix(struct gal_exchange *x, const struct gal_oip_answer *answer)
{
    struct gal_str *parts =
        gal_arena_small(&x->arena, (answer->part_count + 1) * sizeof(*answer->parts));
    char *prefix = gal_arena_small(&x->arena, GAL_WEBSOCKET_PREFIX_BYTES);

    if (parts == NULL || prefix == NULL)
        return NULL;
    for (unsigned i = 0; i < GAL_WEBSOCKET_PREFIX_BYTES; i++)
        prefix[i] = (char)(answer->parts[0].n >> (8 * i));
    parts[0] = (struct gal_str){prefix, GAL_WEBSOCKET_PREFIX_BYTES};
    memcpy(parts + 1, answer->parts, answer->part_count * sizeof(*answer->parts));
    return parts;
}

static void encode(struct gal_exchange *x, struct gal_infer *inf)
{
    const struct gal_str *parts = NULL;
    struct gal_oip_answer answer;
    struct gal_err err;
    enum gal_status st =
        gal_oip_encode(x->model, inf->state, inf, &x->arena, &x->out, &answer, &err);

    if (st == GAL_OK && answer.binary) {
        parts = put_prefix(x, &answer);
        if (parts == NULL)
            st = gal_fail(&err, GAL_NO_MEMORY, "there is no memory for the answer");
    }
    if (st != GAL_OK) {
        gal_exchange_fail(x, &err);
        return;
    }
    x->message = answer.binary ? GAL_MESSAGE_BINARY : GAL_MESSAGE_TEXT;
    if (answer.binary)
        gal_exchange_finish_parts(x, 200, GAL_TYPE_OCTETS, parts, answer.part_count + 1);
    else
        gal_exchange_finish_parts(x, 200, GAL_TYPE_JSON, answer.parts, answer.part_count);
}

static void infer(struct gal_exchange *x)
{
    struct gal_oip_request *req = gal_arena_small(&x->arena, sizeof(*req));
    struct gal_infer *inf = NULL;
    struct message m;
    struct gal_err err;
    enum gal_status st = split(x, &m, &err);

    if (st == GAL_OK && req == NULL)
        st = gal_fail(&err, GAL_NO_MEMORY, "no memory for the request");
    if (st == GAL_OK && req != NULL) {
        inf = gal_oip_open(x, x->params[0], x->params[1], &err);
        if (inf == NULL)
            find_id(x, &m, req);
    }
    if (inf != NULL && req != NULL && decode(x, &m, req, &err) == GAL_OK)
        gal_oip_run(x, inf, req, encode);
    else
        gal_exchange_fail(x, &err);
}

void gal_handle_websocket(struct gal_exchange *x)
{
    if (x->message == GAL_MESSAGE_NONE)
        shake_hands(x);
    else
        infer(x);
}
