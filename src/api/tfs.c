/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints of KServe's protocol version 1 and of TensorFlow Serving's REST API. They share
 * /v1/models/M: one answer has what the clients of both read. */
#include "api/tfs.h"

#include "api/faults.h"
#include "api/route.h"

/* A request under way. */
struct tfs_request {
    enum gal_tfs_form form;
};

/* --- inference --- */

static void encode(struct gal_exchange *x, struct gal_infer *inf)
{
    const struct tfs_request *r = inf->state;
    struct gal_err err;

    if (gal_tfs_encode(x->model, r->form, inf, x->rows, &x->arena, &x->out, &err) == GAL_OK)
        gal_exchange_finish(x, 200, GAL_TYPE_JSON);
    else
        gal_exchange_fail(x, &err);
}

static void infer(struct gal_exchange *x, struct gal_str version, bool examples,
                  enum gal_tfs_form form)
{
    struct tfs_request *r = gal_arena_small(&x->arena, sizeof(*r));
    struct gal_infer *inf = NULL;
    yyjson_val *root = NULL;
    struct gal_err err;
    enum gal_status st;

    gal_err_clear(&err);
    st = gal_infer_resolve(x, x->params[0], version, &err);
    if (st == GAL_OK)
        inf = gal_infer_new(x);
    if (st == GAL_OK && (inf == NULL || r == NULL))
        st = gal_fail(&err, GAL_NO_MEMORY, "no memory for the request");
    if (st == GAL_OK)
        st = gal_json_read(x->body, &x->arena, GAL_JSON_DEPTH_MAX, &root, &err);
    if (st == GAL_OK && r != NULL) {
        r->form = form;
        st = gal_tfs_decode(root, examples, x, inf, &r->form, &err);
    }
    if (st != GAL_OK || r == NULL || inf == NULL) {
        gal_faults_end(x, &err);
        gal_exchange_fail(x, &err);
        return;
    }
    inf->encode = encode;
    inf->state = r;
    gal_infer_run(x, inf);
}

void gal_handle_tfs_predict(struct gal_exchange *x)
{
    infer(x, x->params[1], false, GAL_TFS_ROWS);
}

void gal_handle_tfs_classify(struct gal_exchange *x)
{
    infer(x, x->params[1], true, GAL_TFS_CLASSIFY);
}

void gal_handle_tfs_regress(struct gal_exchange *x)
{
    infer(x, x->params[1], true, GAL_TFS_REGRESS);
}

/* The version that a label stands for: `latest` is the newest that is ready, which is what no
 * version means; others are the model's `version_labels`, as its newest version has them. */
static bool resolve_label(struct gal_exchange *x)
{
    const struct gal_catalog_entry *e = gal_catalog_find(x->api->catalog, x->params[0]);
    const struct gal_version_label *l;
    struct gal_str label = x->params[1];
    struct gal_err err;

    if (gal_str_is(label, "latest")) {
        x->params[1] = (struct gal_str){NULL, 0};
        return true;
    }
    l = e != NULL ? gal_model_config_label(&e->versions[0]->config, label) : NULL;
    if (l != NULL) {
        x->params[1] = gal_str_of(l->version);
        return true;
    }
    gal_fail(&err, GAL_NOT_FOUND, "unknown version label '%.*s' of model '%.*s'",
             (int)(label.n < 64 ? label.n : 64), label.p,
             (int)(x->params[0].n < 128 ? x->params[0].n : 128), x->params[0].p);
    gal_err_hint(&err, "\"latest\" is always there, others are of the setting version_labels; or "
                       "name a version: /versions/N");
    gal_exchange_fail(x, &err);
    return false;
}

void gal_handle_tfs_label_predict(struct gal_exchange *x)
{
    if (resolve_label(x))
        gal_handle_tfs_predict(x);
}

void gal_handle_tfs_label_classify(struct gal_exchange *x)
{
    if (resolve_label(x))
        gal_handle_tfs_classify(x);
}

void gal_handle_tfs_label_regress(struct gal_exchange *x)
{
    if (resolve_label(x))
        gal_handle_tfs_regress(x);
}

void gal_handle_v1_explain(struct gal_exchange *x)
{
    struct gal_err err;

    gal_fail(&err, GAL_UNSUPPORTED, "model '%.*s' has no explainer",
             (int)(x->params[0].n < 128 ? x->params[0].n : 128), x->params[0].p);
    gal_err_hint(&err, "run an explainer of its own beside galley, and let it ask :predict");
    gal_exchange_fail(x, &err);
}

/* --- models and their state --- */

/* The same answer; OpenAPI tells the routes apart by their handlers. */
void gal_handle_v1_models(struct gal_exchange *x)
{
    gal_handle_oip_models(x);
}

static void put_state(struct gal_buf *out, const struct gal_model *m)
{
    enum gal_model_state state = gal_model_state(m);

    gal_buf_puts(out, "{\"version\":");
    gal_json_put_str(out, gal_str_of(m->version));
    gal_buf_puts(out, state == GAL_MODEL_READY     ? ",\"state\":\"AVAILABLE\""
                      : state == GAL_MODEL_LOADING ? ",\"state\":\"LOADING\""
                      : state == GAL_MODEL_IDLE    ? ",\"state\":\"START\""
                                                   : ",\"state\":\"END\"");
    gal_buf_puts(out, state == GAL_MODEL_FAILED
                          ? ",\"status\":{\"error_code\":\"INTERNAL\",\"error_message\":"
                          : ",\"status\":{\"error_code\":\"OK\",\"error_message\":");
    gal_json_put_str(out, gal_str_of(state == GAL_MODEL_FAILED ? m->error.message : ""));
    gal_buf_puts(out, "}}");
}

/* KServe's clients read `name` and `ready`, TensorFlow's `model_version_status`. */
void gal_handle_v1_model(struct gal_exchange *x)
{
    const struct gal_catalog_entry *e;
    struct gal_model *m = NULL;
    struct gal_err err;
    bool first = true;

    if (gal_catalog_model(x->api->catalog, x->params[0], x->params[1], &m, &err) != GAL_OK) {
        gal_exchange_fail(x, &err);
        return;
    }
    e = gal_catalog_find(x->api->catalog, gal_str_of(m->name));
    gal_buf_puts(&x->out, "{\"name\":");
    gal_json_put_str(&x->out, gal_str_of(m->name));
    gal_buf_puts(&x->out, gal_model_takes(m) && !gal_api_stopping(x->api)
                              ? ",\"ready\":true,\"model_version_status\":["
                              : ",\"ready\":false,\"model_version_status\":[");
    for (size_t i = 0; i < e->version_count; i++) {
        if (x->params[1].n > 0 && e->versions[i] != m)
            continue;
        if (!first)
            gal_buf_putc(&x->out, ',');
        first = false;
        put_state(&x->out, e->versions[i]);
    }
    gal_buf_puts(&x->out, "]}");
    gal_exchange_finish(x, 200, GAL_TYPE_JSON);
}

void gal_handle_v1_label(struct gal_exchange *x)
{
    struct gal_model *m = NULL;
    struct gal_err err;

    if (!resolve_label(x))
        return;
    if (gal_catalog_model(x->api->catalog, x->params[0], x->params[1], &m, &err) != GAL_OK) {
        gal_exchange_fail(x, &err);
        return;
    }
    x->params[1] = gal_str_of(m->version);
    gal_handle_v1_model(x);
}

void gal_handle_tfs_metadata(struct gal_exchange *x)
{
    struct gal_err err;

    if (gal_infer_resolve(x, x->params[0], x->params[1], &err) != GAL_OK) {
        gal_exchange_fail(x, &err);
        return;
    }
    gal_buf_puts(&x->out, "{\"model_spec\":{\"name\":");
    gal_json_put_str(&x->out, gal_str_of(x->model->name));
    gal_buf_puts(&x->out, ",\"signature_name\":\"\",\"version\":");
    gal_json_put_str(&x->out, gal_str_of(x->model->version));
    gal_buf_puts(&x->out, "},\"metadata\":{\"signature_def\":{\"signature_def\":{"
                          "\"serving_default\":{");
    gal_tfs_put_signature(&x->out, x->model);
    gal_buf_puts(&x->out, ",\"method_name\":\"tensorflow/serving/predict\"}}}}}");
    gal_exchange_finish(x, 200, GAL_TYPE_JSON);
}

void gal_handle_tfs_label_metadata(struct gal_exchange *x)
{
    if (resolve_label(x))
        gal_handle_tfs_metadata(x);
}
