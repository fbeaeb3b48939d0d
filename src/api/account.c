/* SPDX-License-Identifier: Apache-2.0 */
#include "api/account.h"

#include "api/infer.h"
#include "api/route.h"
#include "api/trace_log.h"
#include "base/mem.h"

#include <stdio.h>

/* Status codes that have a slot of their own; others share the last one's look-up by name. */
static const int codes[] = {200, 400, 404, 405, 408, 411, 413, 414, 415, 417,
                            422, 429, 431, 499, 500, 501, 503, 504, 505};
#define CODE_COUNT (sizeof(codes) / sizeof(codes[0]))
#define ROUTE_SLOTS (GAL_ROUTE_COUNT + 1) /* the last: no route matched */

struct http_series {
    gal_series requests, duration;
};

struct model_series {
    bool known;
    gal_series success, error, refused, duration, queue, input, compute, output, batch;
    gal_series ok_rows, error_rows, prediction;
    gal_series outliers, unsure, unstable;
    gal_series unsure_refused, unstable_refused;
};

/* Numbers of the series that this loop has used: a look-up by name happens once each. */
struct gal_series_cache {
    struct http_series http[ROUTE_SLOTS][GAL_METHOD_COUNT][CODE_COUNT];
    struct model_series *models; /* owned; by gal_model.index */
    size_t model_cap;
};

enum gal_status gal_account_new(struct gal_api *api, struct gal_err *err)
{
    api->series = gal_calloc(1, sizeof(*api->series));
    if (api->series == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for metrics");
    return GAL_OK;
}

void gal_account_free(struct gal_api *api)
{
    if (api->series != NULL)
        gal_free(api->series->models);
    gal_free(api->series);
    api->series = NULL;
}

static struct http_series make_http(struct gal_api *api, const struct gal_route *route,
                                    enum gal_method method, int status)
{
    char code[12];
    struct gal_str labels[3];

    snprintf(code, sizeof(code), "%d", status);
    labels[0] = gal_str_of(gal_method_name(method));
    labels[1] = route != NULL ? gal_str_of(route->pattern) : GAL_STR("(none)");
    labels[2] = gal_str_of(code);
    return (struct http_series){gal_metrics_series(api->metrics, GAL_METRIC_HTTP_REQUESTS, labels),
                                gal_metrics_series(api->metrics, GAL_METRIC_HTTP_DURATION, labels)};
}

static struct http_series find_http(struct gal_exchange *x)
{
    size_t route = x->route != NULL ? (size_t)x->route->id : GAL_ROUTE_COUNT;
    size_t code = 0;
    struct http_series *slot;

    while (code < CODE_COUNT && codes[code] != x->resp.status)
        code++;
    if (code == CODE_COUNT)
        return make_http(x->api, x->route, x->req->method, x->resp.status);
    slot = &x->api->series->http[route][x->req->method][code];
    if (slot->requests == 0)
        *slot = make_http(x->api, x->route, x->req->method, x->resp.status);
    return *slot;
}

static void make_model(struct gal_api *api, const struct gal_model *m, struct model_series *out)
{
    struct gal_str labels[3] = {gal_str_of(m->name), gal_str_of(m->version), {NULL, 0}};
    struct gal_metrics *ms = api->metrics;

    out->duration = gal_metrics_series(ms, GAL_METRIC_INFERENCE_DURATION, labels);
    out->queue = gal_metrics_series(ms, GAL_METRIC_QUEUE_DURATION, labels);
    out->input = gal_metrics_series(ms, GAL_METRIC_INPUT_DURATION, labels);
    out->compute = gal_metrics_series(ms, GAL_METRIC_COMPUTE_DURATION, labels);
    out->output = gal_metrics_series(ms, GAL_METRIC_OUTPUT_DURATION, labels);
    out->batch = gal_metrics_series(ms, GAL_METRIC_BATCH_SIZE, labels);
    out->refused = gal_metrics_series(ms, GAL_METRIC_INFERENCE_REFUSED, labels);
    out->prediction = gal_metrics_series(ms, GAL_METRIC_PREDICTION_DURATION, labels);
    labels[2] = GAL_STR("success");
    out->success = gal_metrics_series(ms, GAL_METRIC_INFERENCE_REQUESTS, labels);
    labels[2] = GAL_STR("error");
    out->error = gal_metrics_series(ms, GAL_METRIC_INFERENCE_REQUESTS, labels);
    out->error_rows = gal_metrics_series(ms, GAL_METRIC_PREDICTIONS, labels);
    labels[2] = GAL_STR("ok");
    out->ok_rows = gal_metrics_series(ms, GAL_METRIC_PREDICTIONS, labels);
    if (m->manifest != NULL) {
        labels[2] = GAL_STR("outlier");
        out->outliers = gal_metrics_series(ms, GAL_METRIC_INFERENCE_FLAGGED, labels);
        labels[2] = GAL_STR("confidence");
        out->unsure = gal_metrics_series(ms, GAL_METRIC_INFERENCE_FLAGGED, labels);
        out->unsure_refused = gal_metrics_series(ms, GAL_METRIC_INFERENCE_WITHHELD, labels);
        labels[2] = GAL_STR("stability");
        out->unstable = gal_metrics_series(ms, GAL_METRIC_INFERENCE_FLAGGED, labels);
        out->unstable_refused = gal_metrics_series(ms, GAL_METRIC_INFERENCE_WITHHELD, labels);
    }
    out->known = true;
}

/* NULL when memory is out: the request then goes uncounted. */
static const struct model_series *find_model(struct gal_api *api, const struct gal_model *m)
{
    struct gal_series_cache *c = api->series;

    if (m->index >= c->model_cap) {
        size_t cap = (size_t)m->index + 16;
        struct model_series *grown = gal_realloc(c->models, cap * sizeof(*grown));
        if (grown == NULL)
            return NULL;
        memset(grown + c->model_cap, 0, (cap - c->model_cap) * sizeof(*grown));
        c->models = grown;
        c->model_cap = cap;
    }
    if (!c->models[m->index].known)
        make_model(api, m, &c->models[m->index]);
    return &c->models[m->index];
}

/* A call's times belong to each of its requests, its size to the call: the request that led it
 * counts it. */
static void observe_job(struct gal_shard *shard, const struct model_series *s,
                        const struct gal_job *job)
{
    gal_shard_observe_us(shard, s->duration, job->finished_us - job->started_us);
    gal_shard_observe_us(shard, s->queue, job->started_us - job->submitted_us);
    if (job->call_rows == 0)
        return;
    gal_shard_observe(shard, s->input, job->input_ns);
    gal_shard_observe(shard, s->compute, job->infer_ns);
    gal_shard_observe(shard, s->output, job->output_ns);
    if (job->led)
        gal_shard_observe(shard, s->batch, job->call_rows);
}

/* Flags of an answer that was given; of one that was refused, what it was refused for. */
static void count_doubts(struct gal_shard *shard, const struct model_series *s,
                         const struct gal_infer *inf, const struct gal_manifest *m)
{
    if (!inf->withheld) {
        gal_shard_add(shard, s->outliers, inf->outliers);
        gal_shard_add(shard, s->unsure, inf->unsure);
        gal_shard_add(shard, s->unstable, inf->unstable);
        return;
    }
    if (m->confidence_action == GAL_DOUBT_REFUSE)
        gal_shard_add(shard, s->unsure_refused, inf->unsure);
    if (m->stability.action == GAL_DOUBT_REFUSE)
        gal_shard_add(shard, s->unstable_refused, inf->unstable);
}

static void count_inference(struct gal_exchange *x, uint64_t now_us)
{
    const struct model_series *s = find_model(x->api, x->model);
    struct gal_shard *shard = x->api->shard;

    if (s == NULL)
        return;
    if (x->job.started_us != 0)
        observe_job(shard, s, &x->job);
    gal_shard_observe_us(shard, s->prediction, now_us - x->start_us);
    if (x->outcome == GAL_OK || (x->infer != NULL && x->infer->withheld)) {
        gal_shard_add(shard, s->success, 1);
        gal_shard_add(shard, s->ok_rows, x->rows);
        if (x->infer != NULL && x->model->manifest != NULL)
            count_doubts(shard, s, x->infer, x->model->manifest);
    } else {
        gal_shard_add(shard, s->error, 1);
        gal_shard_add(shard, s->error_rows, x->rows);
    }
}

/* The model was found, and the request did not get as far as its scheduler. */
static void count_refusal(struct gal_exchange *x)
{
    const struct model_series *s = find_model(x->api, x->model);

    if (s != NULL)
        gal_shard_add(x->api->shard, s->refused, 1);
}

static bool access_wanted(struct gal_exchange *x)
{
    double share = x->api->options->access_sample;

    if (x->api->log == NULL || !gal_log_on(x->api->log, GAL_LOG_INFO) || share <= 0)
        return false;
    if (share >= 1 || x->resp.status >= 500)
        return true;
    return (double)(gal_rng_next(&x->api->rng) >> 11) * 0x1p-53 < share;
}

/* The 32 hex digits of a traceparent's trace id (W3C Trace Context 3.2.2.3); empty when none. */
static struct gal_str trace_id(const struct gal_exchange *x)
{
    struct gal_str t = x->req->known[GAL_HDR_TRACEPARENT];

    if (t.n < 55 || t.p[2] != '-' || t.p[35] != '-')
        return (struct gal_str){NULL, 0};
    return (struct gal_str){t.p + 3, 32};
}

struct fields {
    struct gal_log_field at[16];
    size_t n;
};

static void put_text(struct fields *f, const char *key, struct gal_str value)
{
    if (value.n > 0)
        f->at[f->n++] = (struct gal_log_field){key, value, false};
}

static void put_number(struct fields *f, const char *key, char text[24], uint64_t value)
{
    snprintf(text, 24, "%llu", (unsigned long long)value);
    f->at[f->n++] = (struct gal_log_field){key, gal_str_of(text), true};
}

static void write_access(struct gal_exchange *x, uint64_t now_us)
{
    char status[24], in[24], out[24], rows[24], duration[32];
    struct fields f = {.n = 0};

    put_text(&f, "method", gal_str_of(gal_method_name(x->req->method)));
    put_text(&f, "path", x->req->target);
    put_number(&f, "status", status, (uint64_t)x->resp.status);
    snprintf(duration, sizeof(duration), "%.3f", (double)(now_us - x->start_us) / 1000.0);
    f.at[f.n++] = (struct gal_log_field){"duration_ms", gal_str_of(duration), true};
    put_number(&f, "bytes_in", in, x->req->body.n);
    put_number(&f, "bytes_out", out, x->resp.body_bytes);
    put_text(&f, "request_id", gal_str_of(x->request_id));
    put_text(&f, "correlation_id", gal_str_of(x->correlation_id));
    put_text(&f, "trace_id", trace_id(x));
    if (x->model != NULL) {
        put_text(&f, "model", gal_str_of(x->model->name));
        put_text(&f, "model_version", gal_str_of(x->model->version));
        put_text(&f, "package_digest", gal_str_of(x->model->package_digest));
        put_number(&f, "rows", rows, x->rows);
    }
    put_text(&f, "peer", gal_str_of(x->peer));
    put_text(&f, "client", x->client_name);
    put_text(&f, "error", gal_str_of(x->outcome_text));
    gal_log_render(x->api->log, &x->api->log_lines,
                   x->resp.status == 500 ? GAL_LOG_ERROR : GAL_LOG_INFO, "request", f.at, f.n);
}

void gal_account(struct gal_exchange *x)
{
    uint64_t now_us = gal_mono_us(x->api->clock);
    struct http_series s;

    if (x->api->series == NULL)
        return; /* a caller without metrics: the command line */
    s = find_http(x);
    gal_shard_add(x->api->shard, s.requests, 1);
    gal_shard_observe_us(x->api->shard, s.duration, now_us - x->start_us);
    if (x->submitted)
        count_inference(x, now_us);
    else if (x->model != NULL && x->outcome != GAL_OK)
        count_refusal(x);
    if (x->submitted && gal_trace_on(x->api->trace))
        gal_trace_request(x, now_us);
    if (access_wanted(x))
        write_access(x, now_us);
}
