/* SPDX-License-Identifier: Apache-2.0 */
/* POST /invocations and its kin: MLflow's scoring server and SageMaker's container share these
 * paths. What a body without a header or an envelope means is the setting `invocations`. */
#include "api/image_body.h"
#include "api/media.h"
#include "api/mlflow.h"
#include "api/route.h"

#define CUSTOM_ATTRIBUTES "X-Amzn-SageMaker-Custom-Attributes"

/* A request under way. */
struct invocation {
    struct gal_mlflow in;
    enum gal_mlflow_answer answer;
};

static bool is_sagemaker(const struct gal_exchange *x)
{
    return x->api->options->invocations == GAL_INVOCATIONS_SAGEMAKER;
}

/* --- decode --- */

static enum gal_status fail_media(struct gal_str type, struct gal_err *err)
{
    gal_fail(err, GAL_MEDIA_TYPE, "Content-Type '%.*s' is not supported",
             (int)(type.n < 64 ? type.n : 64), type.n > 0 ? type.p : "");
    gal_err_hint(err, "send application/json, text/csv, application/jsonlines, or image/png or "
                      "image/jpeg to a model that takes images");
    return GAL_MEDIA_TYPE;
}

static enum gal_status read_json(struct gal_exchange *x, struct gal_str text, bool sagemaker,
                                 struct invocation *v, struct gal_err *err)
{
    yyjson_val *root;
    enum gal_status st;

    if (text.n == 0)
        return gal_fail(err, GAL_INVALID, "the body is empty");
    st = gal_json_read(text, &x->arena, GAL_JSON_DEPTH_MAX, &root, err);
    if (st == GAL_INVALID) {
        struct gal_err why = *err;

        gal_fail(err, GAL_INVALID, "the body is no JSON: %s", why.message);
        gal_err_place(err, "%s", why.place);
    }
    return st == GAL_OK ? gal_mlflow_envelope(root, sagemaker, &x->arena, &v->in, err) : st;
}

/* RFC 4180's own parameter stands above the setting. */
static enum gal_status find_header(struct gal_exchange *x, struct gal_str parameters, bool *header,
                                   struct gal_err *err)
{
    struct gal_str told = gal_media_parameter(parameters, "header");

    *header = !is_sagemaker(x);
    if (told.p == NULL)
        return GAL_OK;
    *header = gal_str_ieq(told, GAL_STR("present"));
    if (*header || gal_str_ieq(told, GAL_STR("absent")))
        return GAL_OK;
    return gal_fail(err, GAL_INVALID, "the parameter header of text/csv is present or absent");
}

static enum gal_status read_csv(struct gal_exchange *x, struct gal_str parameters,
                                struct invocation *v, struct gal_err *err)
{
    bool header;
    enum gal_status st = find_header(x, parameters, &header, err);

    return st == GAL_OK ? gal_mlflow_csv(x->body, header, x->model, &x->arena, &v->in, err) : st;
}

static enum gal_status read_body(struct gal_exchange *x, struct invocation *v,
                                 struct gal_infer *inf, struct gal_err *err)
{
    struct gal_str parameters, lines;
    struct gal_str type = gal_media_type(x->req->known[GAL_HDR_CONTENT_TYPE], &parameters);
    enum gal_status st;

    if (gal_image_is_type(type))
        return gal_image_decode_body(x, inf, err);
    if (gal_str_ieq(type, GAL_STR("text/csv"))) {
        st = read_csv(x, parameters, v, err);
    } else if (gal_str_ieq(type, GAL_STR("application/jsonlines"))) {
        st = gal_mlflow_json_lines(x->body, &x->arena, &lines, err);
        if (st == GAL_OK)
            st = read_json(x, lines, true, v, err);
    } else if (type.n == 0 || gal_media_is_json(type)) {
        st = read_json(x, x->body, is_sagemaker(x), v, err);
    } else {
        return fail_media(type, err);
    }
    return st == GAL_OK ? gal_mlflow_decode(x, &v->in, inf, err) : st;
}

/* --- answer --- */

static enum gal_mlflow_answer answer_form(struct gal_exchange *x, const struct gal_mlflow *in)
{
    static const char *const types[] = {"application/json", "text/csv", NULL};

    if (gal_media_choose(x->req->known[GAL_HDR_ACCEPT], types, 0) == 1)
        return GAL_MLFLOW_CSV;
    if (is_sagemaker(x))
        return GAL_MLFLOW_VALUES;
    return in->table ? GAL_MLFLOW_RECORDS : GAL_MLFLOW_WHOLE;
}

static void encode(struct gal_exchange *x, struct gal_infer *inf)
{
    const struct invocation *v = inf->state;
    const struct gal_native_answer answer = {.request_id = x->request_id,
                                             .model = x->model,
                                             .outputs = inf->outputs,
                                             .output_count = inf->wanted_count,
                                             .rows = x->rows};
    struct gal_err err;

    if (gal_mlflow_encode(&answer, v->answer, &x->out, &err) == GAL_OK) {
        gal_exchange_finish(x, 200,
                            v->answer == GAL_MLFLOW_CSV ? GAL_STR("text/csv; charset=utf-8")
                                                        : GAL_TYPE_JSON);
        return;
    }
    if (err.code == GAL_INVALID) /* the model's doing, not the client's */
        err.code = GAL_UNSUPPORTED;
    gal_exchange_fail(x, &err);
}

/* SageMaker's clients get back what they sent. */
static void return_attributes(struct gal_exchange *x)
{
    for (size_t i = 0; i < x->req->header_count; i++) {
        if (!gal_str_ieq(x->req->headers[i].name, GAL_STR(CUSTOM_ATTRIBUTES)))
            continue;
        gal_exchange_header(x, GAL_STR(CUSTOM_ATTRIBUTES), x->req->headers[i].value);
        return;
    }
}

void gal_handle_invocations(struct gal_exchange *x)
{
    struct invocation *v = gal_arena_small(&x->arena, sizeof(*v));
    struct gal_infer *inf = NULL;
    struct gal_err err;
    enum gal_status st;

    gal_err_clear(&err);
    return_attributes(x);
    st = gal_infer_resolve(x, x->params[0], (struct gal_str){NULL, 0}, &err);
    if (st == GAL_OK)
        inf = gal_infer_new(x);
    if (st == GAL_OK && (inf == NULL || v == NULL))
        st = gal_fail(&err, GAL_NO_MEMORY, "no memory for the request");
    if (st == GAL_OK && v != NULL) {
        memset(v, 0, sizeof(*v));
        st = read_body(x, v, inf, &err);
    }
    if (st != GAL_OK || v == NULL || inf == NULL) {
        gal_exchange_fail(x, &err);
        return;
    }
    v->answer = answer_form(x, &v->in);
    inf->encode = encode;
    inf->state = v;
    gal_infer_run(x, inf);
}

/* --- the small ones --- */

/* 200 once every model answers: what MLflow and SageMaker wait for before they send requests. */
void gal_handle_ping(struct gal_exchange *x)
{
    struct gal_err err;

    if (x->api->process->draining || x->api->process->refusing)
        gal_fail(&err, GAL_UNAVAILABLE, "Service shutting down");
    else if (gal_catalog_ready(x->api->catalog, &err)) {
        gal_buf_putc(&x->out, '\n');
        gal_exchange_finish(x, 200, GAL_STR("text/plain; charset=utf-8"));
        return;
    }
    err.code = GAL_UNAVAILABLE;
    gal_exchange_fail(x, &err);
}

void gal_handle_version(struct gal_exchange *x)
{
    gal_buf_puts(&x->out, GAL_VERSION);
    gal_exchange_finish(x, 200, GAL_STR("text/plain; charset=utf-8"));
}

static void put_model(struct gal_exchange *x, const struct gal_catalog_entry *e)
{
    gal_buf_puts(&x->out, "{\"modelName\":");
    gal_json_put_str(&x->out, e->name);
    gal_buf_puts(&x->out, ",\"modelUrl\":");
    gal_json_put_str(&x->out, gal_str_of(e->versions[0]->path));
    gal_buf_putc(&x->out, '}');
}

/* What a SageMaker multi-model endpoint lists. */
void gal_handle_sagemaker_models(struct gal_exchange *x)
{
    const struct gal_catalog *c = x->api->catalog;

    gal_buf_puts(&x->out, "{\"models\":[");
    for (size_t i = 0; i < c->count; i++) {
        gal_buf_puts(&x->out, i > 0 ? "," : "");
        put_model(x, &c->entries[i]);
    }
    gal_buf_puts(&x->out, "]}");
    gal_exchange_finish(x, 200, GAL_TYPE_JSON);
}

void gal_handle_sagemaker_model(struct gal_exchange *x)
{
    const struct gal_catalog_entry *e = gal_catalog_find(x->api->catalog, x->params[0]);
    struct gal_err err;

    if (e == NULL) {
        gal_fail(&err, GAL_NOT_FOUND, "unknown model '%.*s'",
                 (int)(x->params[0].n < 64 ? x->params[0].n : 64), x->params[0].p);
        gal_exchange_fail(x, &err);
        return;
    }
    put_model(x, e);
    gal_exchange_finish(x, 200, GAL_TYPE_JSON);
}
