/* SPDX-License-Identifier: Apache-2.0 */
/* The native endpoints: from the body to a job, from its outputs to the answer. */
#include "api/native.h"

#include "api/image_body.h"
#include "api/route.h"

#include <stdio.h>

/* The JSON types, none at all, and what `curl -d` says when it is told nothing: the body decides.
 */
static bool is_json_type(struct gal_str type)
{
    static const struct gal_str plain[] = {{"application/json", 16},
                                           {"text/json", 9},
                                           {"text/plain", 10},
                                           {"application/x-www-form-urlencoded", 33}};
    struct gal_str media;

    if (type.n == 0)
        return true;
    gal_str_cut(&type, ';', &media);
    media = gal_str_trim(media);
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
        if (gal_str_ieq(media, plain[i]))
            return true;
    return media.n > 5 && gal_str_ieq((struct gal_str){media.p + media.n - 5, 5}, GAL_STR("+json"));
}

static void note_outcome(struct gal_exchange *x, const char *field, const char *text)
{
    x->outcome = GAL_INVALID;
    snprintf(x->outcome_text, sizeof(x->outcome_text), "%.60s%s%.90s", field, field[0] ? ": " : "",
             text);
}

/* 400, unlike a body that is JSON and does not fit. */
static void fail_json(struct gal_exchange *x, const struct gal_err *err)
{
    char text[640];

    if (err->code != GAL_INVALID) {
        gal_exchange_fail(x, err);
        return;
    }
    if (x->body.n == 0)
        snprintf(text, sizeof(text), "the body is empty; send JSON");
    else
        snprintf(text, sizeof(text), "the body is no JSON: %s%s%s%s", err->message,
                 err->place[0] ? " (at " : "", err->place, err->place[0] ? ")" : "");
    note_outcome(x, "", text);
    gal_buf_clear(&x->out, GAL_ARENA_KEEP_BYTES);
    gal_buf_puts(&x->out, "{\"detail\":");
    gal_json_put_str(&x->out, gal_str_of(text));
    gal_buf_puts(&x->out, ",\"request_id\":");
    gal_json_put_str(&x->out, gal_str_of(x->request_id));
    gal_buf_putc(&x->out, '}');
    gal_exchange_finish(x, 400, GAL_TYPE_JSON);
}

static void fail_fields(struct gal_exchange *x, const struct gal_native *n)
{
    const struct gal_native_error *first = &n->errors.at[0];
    char field[64] = "";

    snprintf(field, sizeof(field), "%.*s", (int)(first->key.n < 60 ? first->key.n : 60),
             first->key.p != NULL ? first->key.p : "");
    note_outcome(x, field, first->message);
    gal_buf_clear(&x->out, GAL_ARENA_KEEP_BYTES);
    gal_native_put_errors(&n->errors, x->request_id, &x->out);
    gal_exchange_finish(x, 422, GAL_TYPE_JSON);
}

static void refuse(struct gal_exchange *x, struct gal_infer *inf, const struct gal_err *err)
{
    struct gal_native *n = inf->state;

    (void)err;
    gal_native_find(n, x->model->manifest, inf->findings, &x->arena);
    fail_fields(x, n);
}

static void encode(struct gal_exchange *x, struct gal_infer *inf)
{
    const struct gal_native *n = inf->state;
    const struct gal_native_answer answer = {
        .request_id = x->request_id,
        .model = x->model,
        .outputs = inf->outputs,
        .output_count = inf->wanted_count,
        .findings = inf->findings,
        .rows = n->rows,
        .single = n->form != GAL_NATIVE_INSTANCES,
        .now_us = gal_mono_us(x->api->clock),
        .start_us = x->start_us,
        .wall_us = gal_wall_us(x->api->clock),
    };
    struct gal_err err;

    if (gal_native_encode(&answer, &x->out, &err) == GAL_OK) {
        gal_exchange_finish(x, 200, GAL_TYPE_JSON);
        return;
    }
    if (err.code == GAL_INVALID) /* the model's doing, not the client's */
        err.code = GAL_UNSUPPORTED;
    gal_exchange_fail(x, &err);
}

/* Which version the path or the body asks for. */
static enum gal_status find_version(const struct gal_exchange *x, struct gal_native *n,
                                    struct gal_str *version, struct gal_err *err)
{
    *version = x->params[1];
    if (version->n == 0)
        *version = n->version;
    if (n->version.n == 0 || gal_str_eq(n->version, *version))
        return GAL_OK;
    return gal_fail(err, GAL_INVALID, "the path names another version");
}

/* From the document to the inputs. INVALID with n->errors, or err. */
static enum gal_status prepare(struct gal_exchange *x, yyjson_val *root, bool batch,
                               struct gal_native *n, struct gal_infer **out, struct gal_err *err)
{
    struct gal_str version;
    enum gal_status st = gal_native_envelope(root, batch, &x->arena, n);

    if (st != GAL_OK)
        return st;
    if (find_version(x, n, &version, err) != GAL_OK) {
        gal_native_wrong(n, &x->arena, GAL_STR("model_version"), "value", err->message);
        return GAL_INVALID;
    }
    if (n->rows > x->api->options->instances_max) {
        gal_fail(err, GAL_INVALID, "%zu instances; a request may have %zu (max_instances)", n->rows,
                 x->api->options->instances_max);
        gal_native_wrong(n, &x->arena, GAL_STR("instances"), "length", err->message);
        return GAL_INVALID;
    }
    st = gal_infer_resolve(x, x->params[0], version, err);
    if (st != GAL_OK)
        return st;
    *out = gal_infer_new(x);
    if (*out == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the request");
    return gal_native_decode(x->model, n, &x->arena, (*out)->inputs, err);
}

/* The body is the only row, as an encoded image. */
static void predict_image(struct gal_exchange *x, struct gal_native *n)
{
    struct gal_infer *inf = NULL;
    struct gal_err err;
    enum gal_status st;

    memset(n, 0, sizeof(*n));
    n->rows = 1;
    gal_err_clear(&err);
    st = gal_infer_resolve(x, x->params[0], x->params[1], &err);
    if (st == GAL_OK) {
        inf = gal_infer_new(x);
        st = inf != NULL ? gal_image_decode_body(x, inf, &err)
                         : gal_fail(&err, GAL_NO_MEMORY, "no memory for the request");
    }
    if (st != GAL_OK || inf == NULL) {
        gal_exchange_fail(x, &err);
        return;
    }
    inf->encode = encode;
    inf->refuse = refuse;
    inf->state = n;
    gal_infer_run(x, inf);
}

static void predict(struct gal_exchange *x, bool batch)
{
    struct gal_native *n = gal_arena_small(&x->arena, sizeof(*n));
    struct gal_infer *inf;
    yyjson_val *root;
    struct gal_err err;
    enum gal_status st;

    if (n == NULL) {
        gal_fail(&err, GAL_NO_MEMORY, "no memory for the request");
        gal_exchange_fail(x, &err);
    } else if (!batch && gal_image_is_body(x)) {
        predict_image(x, n);
    } else if (!is_json_type(x->req->known[GAL_HDR_CONTENT_TYPE])) {
        gal_fail(&err, GAL_MEDIA_TYPE, "the body's type is not JSON");
        gal_err_hint(&err, "send Content-Type: application/json");
        gal_exchange_fail(x, &err);
    } else if (gal_json_read(x->body, &x->arena, GAL_JSON_DEPTH_MAX, &root, &err) != GAL_OK) {
        fail_json(x, &err);
    } else if ((st = prepare(x, root, batch, n, &inf, &err)) == GAL_OK) {
        inf->encode = encode;
        inf->refuse = refuse;
        inf->state = n;
        gal_infer_run(x, inf);
    } else if (st == GAL_INVALID && n->errors.count > 0) {
        fail_fields(x, n);
    } else {
        gal_exchange_fail(x, &err);
    }
}

void gal_handle_predict(struct gal_exchange *x)
{
    predict(x, false);
}

void gal_handle_predict_batch(struct gal_exchange *x)
{
    predict(x, true);
}
