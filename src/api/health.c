/* SPDX-License-Identifier: Apache-2.0 */
/* Liveness, readiness, startup.
 *
 * Live says that the process answers; it stays 200 while models load, fail or drain, so that a
 * broken model never causes a restart. Ready needs the newest version of every model READY and a
 * deep check (api/check.h) not older than readiness_ttl_us; it is 503 while the server drains.
 * `?deep=1` on a liveness path runs a new deep check. */
#include "api/links.h"
#include "http/url.h"
#include "text/json.h"

#include <stdio.h>

static void finish(struct gal_exchange *x, int status)
{
    gal_exchange_header(x, GAL_STR("Cache-Control"), GAL_STR("no-store"));
    gal_exchange_finish(x, status, GAL_TYPE_JSON);
}

/* Notes why for the log line. */
static void note(struct gal_exchange *x, const char *text)
{
    x->outcome = GAL_UNAVAILABLE;
    snprintf(x->outcome_text, sizeof(x->outcome_text), "%.*s", (int)sizeof(x->outcome_text) - 1,
             text);
}

static void put_timestamp(struct gal_exchange *x)
{
    char text[GAL_TIMESTAMP_SIZE];

    gal_timestamp_format(gal_wall_us(x->api->clock), text);
    gal_buf_puts(&x->out, ",\"timestamp\":\"");
    gal_buf_puts(&x->out, text);
    gal_buf_putc(&x->out, '"');
}

/* --- live --- */

static void fail_deep(struct gal_exchange *x, const char *prefix, const char *text)
{
    char detail[600];

    snprintf(detail, sizeof(detail), "%s%s", prefix, text);
    note(x, detail);
    gal_buf_puts(&x->out, "{\"status\":\"unhealthy\",\"detail\":");
    gal_json_put_str(&x->out, gal_str_of(detail));
    put_timestamp(x);
    gal_buf_putc(&x->out, '}');
    finish(x, 503);
}

static void answer_deep(struct gal_exchange *x, const struct gal_check_result *r)
{
    size_t n = strlen(r->shape);

    if (r->failed) {
        fail_deep(x, "Model health check failed: ", r->text);
        return;
    }
    gal_buf_puts(&x->out, "{\"status\":\"healthy\",\"model_loaded\":true,\"output_shape\":");
    gal_buf_puts(&x->out, n > 0 && r->shape[n - 1] == ']' ? r->shape : "null");
    gal_buf_puts(&x->out, ",\"device\":\"cpu\"");
    put_timestamp(x);
    gal_buf_putc(&x->out, '}');
    finish(x, 200);
}

static bool is_deep(struct gal_exchange *x)
{
    struct gal_str v;

    return gal_query_get(x->req->query, "deep", &x->arena, &v) && !gal_str_is(v, "0") &&
           !gal_str_is(v, "false");
}

void gal_handle_health(struct gal_exchange *x)
{
    if (!is_deep(x)) {
        gal_buf_puts(&x->out, "{\"status\":\"healthy\"");
        put_timestamp(x);
        gal_buf_putc(&x->out, '}');
        finish(x, 200);
    } else if (!gal_catalog_ready(x->api->catalog, NULL)) {
        fail_deep(x, "Model not loaded", "");
    } else {
        gal_check_run(x, 0, answer_deep);
    }
}

/* --- ready --- */

static void put_models(struct gal_exchange *x)
{
    const struct gal_catalog *c = x->api->catalog;

    gal_buf_puts(&x->out, ",\"models\":[");
    for (size_t i = 0; i < c->count; i++) {
        const struct gal_model *m = c->entries[i].versions[0];

        gal_buf_puts(&x->out, i > 0 ? ",{\"name\":" : "{\"name\":");
        gal_json_put_str(&x->out, gal_str_of(m->name));
        gal_buf_puts(&x->out, ",\"version\":");
        gal_json_put_str(&x->out, gal_str_of(m->version));
        gal_buf_puts(&x->out, ",\"state\":\"");
        gal_buf_puts(&x->out, gal_state_text(m));
        gal_buf_puts(&x->out, "\"}");
    }
    gal_buf_putc(&x->out, ']');
}

static void refuse_ready(struct gal_exchange *x, const char *prefix, const char *text)
{
    char detail[600];

    snprintf(detail, sizeof(detail), "%s%s", prefix, text);
    note(x, detail);
    gal_buf_puts(&x->out, "{\"status\":\"not_ready\",\"detail\":");
    gal_json_put_str(&x->out, gal_str_of(detail));
    put_models(x);
    gal_buf_putc(&x->out, '}');
    finish(x, 503);
}

/* Those that their first request loads may not be, and all is well. */
static bool all_loaded(const struct gal_catalog *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (gal_model_state(c->entries[i].versions[0]) != GAL_MODEL_READY)
            return false;
    return true;
}

static void answer_ready(struct gal_exchange *x, const struct gal_check_result *r)
{
    uint64_t now_us = gal_mono_us(x->api->clock), start_us = x->api->process->start_mono_us;
    struct gal_model *m = NULL;

    if (r->failed) {
        refuse_ready(x, "Model inference check failed: ", r->text);
        return;
    }
    gal_buf_puts(&x->out, "{\"status\":\"ready\",\"model_version\":");
    if (gal_catalog_default(x->api->catalog, x->api->options->default_model, &m, NULL) == GAL_OK)
        gal_json_put_str(&x->out, gal_str_of(m->version));
    else
        gal_buf_puts(&x->out, "null");
    gal_buf_puts(&x->out, ",\"uptime_seconds\":");
    gal_buf_put_u64(&x->out, now_us > start_us ? (now_us - start_us) / 1000000 : 0);
    gal_buf_puts(&x->out, all_loaded(x->api->catalog) ? ",\"model_loaded\":true"
                                                      : ",\"model_loaded\":false");
    gal_buf_puts(&x->out, ",\"gpu_available\":false");
    put_models(x);
    gal_buf_putc(&x->out, '}');
    finish(x, 200);
}

/* The newest version of the first name in this state, but for those that requests load; NULL when
 * there is none. */
static const struct gal_model *find_state(const struct gal_catalog *c, enum gal_model_state state)
{
    for (size_t i = 0; i < c->count; i++)
        if (gal_model_state(c->entries[i].versions[0]) == state &&
            !c->entries[i].versions[0]->on_demand)
            return c->entries[i].versions[0];
    return NULL;
}

static void refuse_failed(struct gal_exchange *x, const struct gal_model *m)
{
    const char *text = gal_arena_printf(
        &x->arena, "model '%.100s' version %.40s failed to load: ", m->name, m->version);

    refuse_ready(x, text != NULL ? text : "", m->error.message);
}

void gal_handle_ready(struct gal_exchange *x)
{
    const struct gal_process *p = x->api->process;
    const struct gal_model *failed = find_state(x->api->catalog, GAL_MODEL_FAILED);
    struct gal_err reason;

    if (p->draining || p->refusing)
        refuse_ready(x, "draining: service shutting down", "");
    else if (failed != NULL)
        refuse_failed(x, failed);
    else if (!p->loaded || find_state(x->api->catalog, GAL_MODEL_LOADING) != NULL)
        refuse_ready(x, "model loading", "");
    else if (!gal_catalog_ready(x->api->catalog, &reason))
        refuse_ready(x, "", reason.message);
    else
        gal_check_run(x, x->api->options->readiness_ttl_us, answer_ready);
}

/* --- startup --- */

void gal_handle_startup(struct gal_exchange *x)
{
    bool loaded = x->api->process->loaded;

    if (!loaded)
        note(x, "Still loading model");
    gal_buf_puts(&x->out, loaded ? "{\"status\":\"started\"}"
                                 : "{\"status\":\"starting\",\"detail\":\"Still loading model\"}");
    finish(x, loaded ? 200 : 503);
}
