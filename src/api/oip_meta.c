/* SPDX-License-Identifier: Apache-2.0 */
/* The Open Inference Protocol's health and metadata. Bodies of health answers, which the protocol
 * leaves open, hold what KServe's client reads. */
#include "api/lazy.h"
#include "api/oip.h"
#include "api/openapi.h"
#include "api/route.h"
#include "api/validate.h"
#include "text/json.h"

static void finish(struct gal_exchange *x, int status)
{
    gal_exchange_finish(x, status, GAL_TYPE_JSON);
}

void gal_handle_oip_server(struct gal_exchange *x)
{
    gal_buf_puts(&x->out, "{\"name\":\"galley\",\"version\":\"" GAL_VERSION
                          "\",\"extensions\":[\"classification\",");
    if (x->api->control != NULL)
        gal_buf_puts(&x->out, "\"model_repository\",\"model_repository(unload_dependents)\",");
    gal_buf_puts(&x->out, "\"schedule_policy\",\"model_configuration\",");
    if (x->api->shm != NULL)
        gal_buf_puts(&x->out, "\"system_shared_memory\",");
    gal_buf_puts(&x->out, "\"binary_tensor_data\",\"parameters\",\"statistics\",\"trace\",");
    gal_buf_puts(&x->out, "\"logging\"]}");
    finish(x, 200);
}

void gal_handle_oip_live(struct gal_exchange *x)
{
    gal_buf_puts(&x->out, "{\"live\":true}");
    finish(x, 200);
}

/* "ready" ends the object that was begun. Not ready is 503, which load balancers understand, with
 * the reason where clients look for it. */
static void finish_ready(struct gal_exchange *x, const char *reason)
{
    gal_buf_puts(&x->out, reason == NULL ? "\"ready\":true" : "\"ready\":false,\"error\":");
    if (reason != NULL)
        gal_json_put_str(&x->out, gal_str_of(reason));
    gal_buf_putc(&x->out, '}');
    finish(x, reason == NULL ? 200 : 503);
}

static void finish_server(struct gal_exchange *x, const char *reason)
{
    gal_buf_puts(&x->out, "{\"live\":true,");
    finish_ready(x, reason);
}

static void answer_check(struct gal_exchange *x, const struct gal_check_result *result)
{
    finish_server(x, result->failed ? result->text : NULL);
}

void gal_handle_oip_ready(struct gal_exchange *x)
{
    struct gal_err reason;

    if (gal_api_stopping(x->api))
        finish_server(x, "Service shutting down");
    else if (!gal_catalog_ready(x->api->catalog, &reason))
        finish_server(x, reason.message);
    else if (!x->api->process->loaded)
        finish_server(x, "models are being loaded");
    else
        gal_check_run(x, x->api->options->readiness_ttl_us, answer_check);
}

void gal_handle_oip_models(struct gal_exchange *x)
{
    const struct gal_catalog *c = x->api->catalog;

    gal_buf_puts(&x->out, "{\"models\":[");
    for (size_t i = 0; i < c->count; i++) {
        if (i > 0)
            gal_buf_putc(&x->out, ',');
        gal_json_put_str(&x->out, c->entries[i].name);
    }
    gal_buf_puts(&x->out, "]}");
    finish(x, 200);
}

/* Why m cannot answer; NULL when it can, perhaps after a load. */
static const char *reason_of(const struct gal_model *m)
{
    if (gal_model_takes(m))
        return NULL;
    switch (gal_model_state(m)) {
    case GAL_MODEL_READY:
    case GAL_MODEL_IDLE:
        return NULL;
    case GAL_MODEL_LOADING:
        return "the model is being loaded";
    case GAL_MODEL_FAILED:
        break;
    }
    return m->error.message;
}

static struct gal_model *find(struct gal_exchange *x)
{
    struct gal_model *m = NULL;
    struct gal_err err;

    if (gal_catalog_model(x->api->catalog, x->params[0], x->params[1], &m, &err) == GAL_OK)
        return m;
    gal_exchange_fail(x, &err);
    return NULL;
}

void gal_handle_oip_model_ready(struct gal_exchange *x)
{
    const struct gal_model *m = find(x);

    if (m == NULL)
        return;
    gal_buf_puts(&x->out, "{\"name\":");
    gal_json_put_str(&x->out, gal_str_of(m->name));
    gal_buf_putc(&x->out, ',');
    finish_ready(x, gal_api_stopping(x->api) ? "Service shutting down" : reason_of(m));
}

/* Maps and sequences of maps are answered as a matrix of their values. A rank that the model does
 * not tell, and a sequence's, is one open size. */
static void put_port(struct gal_buf *out, const struct gal_port *port)
{
    bool maps = port->kind == GAL_KIND_MAP || port->of_maps;

    gal_buf_puts(out, "\"name\":");
    gal_json_put_str(out, port->name);
    gal_buf_puts(out, ",\"datatype\":\"");
    gal_buf_puts(out, gal_dtype_name(port->dtype));
    gal_buf_puts(out, "\",\"shape\":[");
    if (maps)
        gal_buf_puts(out, "-1,-1");
    else if (port->kind != GAL_KIND_TENSOR || !port->shape_known)
        gal_buf_puts(out, "-1");
    else
        for (size_t i = 0; i < port->rank; i++) {
            if (i > 0)
                gal_buf_putc(out, ',');
            gal_json_put_i64(out, port->shape[i]);
        }
    gal_buf_putc(out, ']');
}

void gal_oip_put_ports(struct gal_buf *out, const struct gal_model *m, bool inputs)
{
    const struct gal_port *ports = inputs ? m->info->inputs : m->info->outputs;
    size_t count = inputs ? m->info->input_count : m->info->output_count;

    gal_buf_puts(out, inputs ? ",\"inputs\":[" : ",\"outputs\":[");
    for (size_t i = 0; i < count; i++) {
        const struct gal_feature *f = inputs ? gal_validate_feature(m, i) : NULL;
        const struct gal_output *told = inputs ? NULL : gal_doc_output(m, ports[i].name);

        gal_buf_puts(out, i > 0 ? ",{" : "{");
        put_port(out, &ports[i]);
        if (f != NULL)
            gal_doc_feature_parameters(out, f);
        if (told != NULL && told->description.n > 0) {
            gal_buf_puts(out, ",\"parameters\":{\"description\":");
            gal_json_put_str(out, told->description);
            gal_buf_putc(out, '}');
        }
        gal_buf_putc(out, '}');
    }
    gal_buf_putc(out, ']');
}

/* The versions that answer, newest first. */
static void put_versions(struct gal_buf *out, const struct gal_catalog_entry *e)
{
    bool first = true;

    gal_buf_puts(out, ",\"versions\":[");
    for (size_t i = 0; i < e->version_count; i++) {
        if (!gal_model_takes(e->versions[i]))
            continue;
        if (!first)
            gal_buf_putc(out, ',');
        first = false;
        gal_json_put_str(out, gal_str_of(e->versions[i]->version));
    }
    gal_buf_putc(out, ']');
}

const struct gal_model *gal_oip_ready_model(struct gal_exchange *x)
{
    struct gal_model *m = find(x);
    struct gal_err err;

    if (m == NULL || gal_model_state(m) == GAL_MODEL_READY)
        return m;
    if (m->on_demand) {
        gal_lazy_want(x, m, &err);
    } else {
        gal_fail(&err, GAL_UNAVAILABLE, "model '%s' version %s is not ready: %s", m->name,
                 m->version, reason_of(m));
    }
    gal_exchange_fail(x, &err);
    return NULL;
}

void gal_handle_oip_model(struct gal_exchange *x)
{
    const struct gal_model *m = gal_oip_ready_model(x);

    if (m == NULL)
        return;
    gal_buf_puts(&x->out, "{\"name\":");
    gal_json_put_str(&x->out, gal_str_of(m->name));
    put_versions(&x->out, gal_catalog_find(x->api->catalog, gal_str_of(m->name)));
    gal_buf_puts(&x->out, ",\"platform\":");
    gal_json_put_str(&x->out, gal_str_of(m->info->platform));
    gal_oip_put_ports(&x->out, m, true);
    gal_oip_put_ports(&x->out, m, false);
    if (m->package_digest[0] != '\0') {
        gal_buf_puts(&x->out, ",\"parameters\":{\"package_digest\":");
        gal_json_put_str(&x->out, gal_str_of(m->package_digest));
        gal_buf_putc(&x->out, '}');
    }
    gal_buf_putc(&x->out, '}');
    finish(x, 200);
}
