/* SPDX-License-Identifier: Apache-2.0 */
#include "api/exchange.h"

#include "api/account.h"
#include "api/cached.h"
#include "api/cloudevents.h"
#include "api/infer.h"
#include "api/lazy.h"
#include "api/route.h"
#include "api/shm.h"
#include "http/coding.h"
#include "http/grpc.h"
#include "http/url.h"
#include "text/json.h"

#include <stdio.h>

/* Below this many bytes a compressed answer gains nothing. */
#define COMPRESS_BYTES_MIN 1024u

void gal_exchange_init(struct gal_exchange *x, struct gal_api *api)
{
    memset(x, 0, sizeof(*x));
    x->api = api;
    gal_arena_init(&x->arena, GAL_ARENA_FIRST_BYTES, GAL_ARENA_KEEP_BYTES, GAL_ARENA_BYTES_MAX);
    gal_buf_init(&x->out, GAL_RESPONSE_BYTES_MAX);
    gal_buf_init(&x->packed, GAL_RESPONSE_BYTES_MAX);
    x->arena.budget = api->process != NULL ? &api->process->memory : NULL;
    x->out.budget = x->packed.budget = x->arena.budget;
}

static void release_outputs(struct gal_exchange *x)
{
    if (x->infer != NULL && x->infer->has_run)
        gal_job_release(&x->job);
}

static void let_go(struct gal_exchange *x)
{
    GAL_ASSERT(!x->job_running);
    release_outputs(x);
    gal_cached_release(x);
    gal_lazy_reset(x);
    for (size_t i = 0; i < x->region_count; i++)
        gal_shm_region_unref(x->regions[i]);
    gal_model_unref(x->model);
}

void gal_exchange_release(struct gal_exchange *x)
{
    let_go(x);
    gal_arena_release(&x->arena);
    gal_buf_release(&x->out);
    gal_buf_release(&x->packed);
}

void gal_exchange_reset(struct gal_exchange *x)
{
    let_go(x);
    gal_arena_clear(&x->arena);
    gal_buf_clear(&x->out, GAL_ARENA_KEEP_BYTES);
    gal_buf_clear(&x->packed, GAL_ARENA_KEEP_BYTES);
    x->resp.header_count = 0;
    x->resp.trailer_count = 0;
    x->resp.part_count = 0;
    x->resp.body_bytes = 0;
    x->resp.close = false;
    x->resp.status = 0;
    x->route = NULL;
    x->body = (struct gal_str){NULL, 0};
    x->model = NULL;
    x->infer = NULL;
    x->faults = NULL;
    x->event = NULL;
    x->malformed = false;
    x->client_name = (struct gal_str){NULL, 0};
    x->regions = NULL;
    x->region_count = 0;
    x->state = NULL;
    x->message = GAL_MESSAGE_NONE;
    x->message_id = (struct gal_str){NULL, 0};
    x->render = NULL;
    x->rows = 0;
    x->submitted = false;
    x->outcome = GAL_OK;
    x->outcome_text[0] = '\0';
}

/* An identifier from a client is taken over only when it is short and plain, so that it can stand
 * in a header and a log line. */
static bool id_usable(struct gal_str id)
{
    if (id.n == 0 || id.n > GAL_REQUEST_ID_BYTES_MAX)
        return false;
    for (size_t i = 0; i < id.n; i++)
        if (id.p[i] <= ' ' || id.p[i] > '~' || id.p[i] == '"' || id.p[i] == '\\')
            return false;
    return true;
}

static void set_id(char *out, struct gal_str id)
{
    memcpy(out, id.p, id.n);
    out[id.n] = '\0';
}

static void identify(struct gal_exchange *x)
{
    struct gal_str sent = x->req->known[GAL_HDR_X_REQUEST_ID];
    struct gal_str correlation = x->req->known[GAL_HDR_X_CORRELATION_ID];

    if (id_usable(sent))
        set_id(x->request_id, sent);
    else
        gal_uuid4(&x->api->rng, x->request_id);
    if (id_usable(correlation))
        set_id(x->correlation_id, correlation);
    else
        memcpy(x->correlation_id, x->request_id, sizeof(x->correlation_id));
}

static enum gal_status decode_body(struct gal_exchange *x, struct gal_err *err)
{
    struct gal_str value = x->req->known[GAL_HDR_CONTENT_ENCODING];
    enum gal_coding coding = gal_coding_parse(value);

    x->body = x->req->body;
    if (coding == GAL_CODING_IDENTITY)
        return GAL_OK;
    if (coding == GAL_CODING_UNKNOWN) {
        gal_exchange_header(x, GAL_STR("Accept-Encoding"), GAL_STR("gzip, deflate"));
        gal_fail(err, GAL_MEDIA_TYPE, "Content-Encoding '%.*s' is not supported",
                 (int)(value.n < 64 ? value.n : 64), value.p);
        gal_err_hint(err, "send gzip, deflate or identity");
        return GAL_MEDIA_TYPE;
    }
    return gal_inflate(coding, x->req->body, x->api->options->body_bytes_max, &x->arena, &x->body,
                       err);
}

static enum gal_status find_route(struct gal_exchange *x, struct gal_err *err)
{
    struct gal_str raw[GAL_PATH_PARAMS_MAX] = {{NULL, 0}};
    char allow[64];
    enum gal_status st = gal_route_find(x->req->method, x->req->path, &x->route, raw, allow, err);

    if (st == GAL_METHOD)
        gal_exchange_header(x, GAL_STR("Allow"), gal_str_of(allow));
    for (size_t i = 0; st == GAL_OK && i < GAL_PATH_PARAMS_MAX; i++)
        st = gal_url_decode(raw[i], false, &x->arena, &x->params[i], err);
    return st;
}

/* Its messages have an encoding of their own, the body has none. */
static enum gal_status check_grpc(struct gal_exchange *x, struct gal_err *err)
{
    x->body = x->req->body;
    if (gal_grpc_speaks(x->req))
        return GAL_OK;
    gal_fail(err, GAL_MEDIA_TYPE, "this is a method of gRPC");
    gal_err_hint(err, "call it over HTTP/2 with content-type application/grpc");
    return GAL_MEDIA_TYPE;
}

static void set_start(struct gal_exchange *x)
{
    x->began_us = gal_mono_us(x->api->clock);
    x->start_us = x->arrived_us != 0 && x->arrived_us < x->began_us ? x->arrived_us : x->began_us;
}

void gal_api_handle(struct gal_exchange *x)
{
    struct gal_err err;
    enum gal_status st;

    set_start(x);
    identify(x);
    st = find_route(x, &err);
    if (st == GAL_OK)
        st = x->route->dialect == GAL_DIALECT_GRPC ? check_grpc(x, &err) : decode_body(x, &err);
    if (st == GAL_OK)
        st = gal_event_open(x, &err);
    if (st == GAL_OK)
        x->route->handle(x);
    else
        gal_exchange_fail(x, &err);
}

void gal_api_again(struct gal_exchange *x)
{
    struct gal_err err;

    /* What the handler has begun: the answer's headers, its parameters. */
    x->resp.header_count = x->resp.trailer_count = 0;
    x->render = NULL;
    gal_buf_clear(&x->out, GAL_ARENA_KEEP_BYTES);
    if (find_route(x, &err) == GAL_OK)
        x->route->handle(x);
    else
        gal_exchange_fail(x, &err);
}

void gal_api_reject(struct gal_exchange *x, const struct gal_err *err)
{
    set_start(x);
    identify(x);
    x->resp.close = true;
    gal_exchange_fail(x, err);
}

void gal_exchange_cancel(struct gal_exchange *x)
{
    if (x->job_running && !gal_lazy_end_wait(x, GAL_CANCELLED) &&
        !gal_cached_end_wait(x, GAL_CANCELLED))
        gal_job_cancel(&x->job);
}

void gal_exchange_expire(struct gal_exchange *x)
{
    if (x->job_running && !gal_lazy_end_wait(x, GAL_DEADLINE) &&
        !gal_cached_end_wait(x, GAL_DEADLINE))
        gal_job_expire(&x->job);
}

void gal_exchange_header(struct gal_exchange *x, struct gal_str name, struct gal_str value)
{
    char *copy = gal_arena_small(&x->arena, value.n + 1);

    if (copy == NULL)
        return;
    if (value.n > 0)
        memcpy(copy, value.p, value.n);
    gal_http_response_header(&x->resp, name, (struct gal_str){copy, value.n});
}

/* Replaces the parts by their compressed form when the client wants it and it pays. */
static void compress(struct gal_exchange *x)
{
    struct gal_str accept = x->req->known[GAL_HDR_ACCEPT_ENCODING];
    enum gal_coding coding;
    struct gal_str *part;

    if (!x->api->options->compress || accept.p == NULL || x->resp.body_bytes < COMPRESS_BYTES_MIN)
        return;
    for (size_t i = 0; i < x->resp.header_count; i++)
        if (gal_str_ieq(x->resp.headers[i].name, GAL_STR("Content-Encoding")))
            return; /* packed already */
    coding = gal_coding_choose(accept);
    if (coding == GAL_CODING_IDENTITY)
        return;
    part = gal_arena_small(&x->arena, sizeof(*part));
    if (part == NULL || gal_deflate(coding, x->resp.parts, x->resp.part_count, &x->arena,
                                    &x->packed, NULL) != GAL_OK)
        return; /* the plain answer is as right */
    *part = gal_buf_str(&x->packed);
    x->resp.parts = part;
    x->resp.part_count = 1;
    x->resp.body_bytes = part->n;
    gal_http_response_header(&x->resp, GAL_STR("Content-Encoding"),
                             gal_str_of(gal_coding_name(coding)));
    gal_http_response_header(&x->resp, GAL_STR("Vary"), GAL_STR("Accept-Encoding"));
}

static void add_trace_headers(struct gal_exchange *x)
{
    struct gal_str trace = x->req->known[GAL_HDR_TRACEPARENT];

    gal_http_response_header(&x->resp, GAL_STR("X-Request-ID"), gal_str_of(x->request_id));
    /* Where HTTP/2 packs each header of each answer, it is not said twice. */
    if (x->route == NULL || x->route->dialect != GAL_DIALECT_GRPC ||
        strcmp(x->correlation_id, x->request_id) != 0)
        gal_http_response_header(&x->resp, GAL_STR("X-Correlation-ID"),
                                 gal_str_of(x->correlation_id));
    if (id_usable(trace))
        gal_http_response_header(&x->resp, GAL_STR("traceparent"), trace);
    if (x->model != NULL && x->model->package_digest[0] != '\0')
        gal_http_response_header(&x->resp, GAL_STR("X-Galley-Package"),
                                 gal_str_of(x->model->package_digest));
}

void gal_exchange_finish_parts(struct gal_exchange *x, int status, struct gal_str content_type,
                               const struct gal_str *parts, size_t count)
{
    struct gal_err err;

    if (x->event != NULL && status == 200 &&
        gal_event_close(x, &content_type, &parts, &count, &err) != GAL_OK) {
        x->event = NULL;
        gal_exchange_fail(x, &err);
        return;
    }
    x->resp.status = status;
    x->resp.parts = parts;
    x->resp.part_count = count;
    x->resp.body_bytes = 0;
    for (size_t i = 0; i < count; i++)
        x->resp.body_bytes += parts[i].n;
    if (content_type.n > 0)
        gal_http_response_header(&x->resp, GAL_STR("Content-Type"), content_type);
    compress(x);
    add_trace_headers(x);
    gal_account(x);
    if (x->finished != NULL)
        *x->finished = true;
    x->finished = NULL;
    x->on_finished(x);
}

void gal_exchange_go_on(struct gal_exchange *x, void (*step)(struct gal_exchange *x))
{
    bool *outer = x->finished, finished = false;

    x->finished = &finished;
    step(x);
    if (finished) {
        if (outer != NULL)
            *outer = true;
        return;
    }
    x->finished = outer;
    if (x->job_running && x->on_deadline != NULL)
        x->on_deadline(x);
}

void gal_exchange_finish(struct gal_exchange *x, int status, struct gal_str content_type)
{
    struct gal_str *part = gal_arena_small(&x->arena, sizeof(*part));
    void (*render)(struct gal_exchange *) = x->render;
    struct gal_err err;

    if (render != NULL) {
        x->render = NULL;
        render(x);
        return;
    }
    if (x->out.failed || part == NULL) {
        if (x->out.starved)
            gal_fail(&err, GAL_NO_MEMORY, "there is no memory for the answer");
        else
            gal_fail(&err, GAL_INTERNAL, "the answer is larger than %lu bytes",
                     (unsigned long)GAL_RESPONSE_BYTES_MAX);
        gal_buf_clear(&x->out, 0);
        if (part == NULL || status >= 400) {
            gal_exchange_finish_parts(x, 500, (struct gal_str){NULL, 0}, NULL, 0);
            return;
        }
        gal_exchange_fail(x, &err);
        return;
    }
    *part = gal_buf_str(&x->out);
    gal_exchange_finish_parts(x, status, content_type, part, x->out.n > 0 ? 1 : 0);
}
