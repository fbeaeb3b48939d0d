/* SPDX-License-Identifier: Apache-2.0 */
/* GET /: a discovery document for machines, a page of links for browsers. */
#include "api/links.h"
#include "api/oip.h"
#include "api/page.h"
#include "text/json.h"

static const struct gal_str none = {NULL, 0};

/* The version that answers where none is asked for. */
static const struct gal_model *serving(const struct gal_catalog *c,
                                       const struct gal_catalog_entry *e)
{
    struct gal_model *m = e->versions[0];

    (void)gal_catalog_model(c, e->name, none, &m, NULL);
    return m;
}

/* --- JSON --- */

/* "urls": all routes of the server, or all of a model with its names in their places. */
static void put_urls(struct gal_buf *out, const struct gal_api *api, const struct gal_model *m)
{
    bool first = true;

    gal_buf_puts(out, ",\"urls\":{");
    for (size_t i = 0; i < GAL_ROUTE_COUNT; i++) {
        const struct gal_route *r = &gal_routes[i];

        if (gal_link_has(r, "{model}") != (m != NULL) || gal_link_has(r, "{asset}") ||
            !gal_link_serves(api, r))
            continue;
        gal_buf_puts(out, first ? "\"" : ",\"");
        first = false;
        gal_link_put_id(out, r);
        gal_buf_puts(out, "\":\"");
        gal_link_put_path(out, r, m != NULL ? gal_str_of(m->name) : none,
                          m != NULL ? gal_str_of(m->version) : none);
        gal_buf_putc(out, '"');
    }
    gal_buf_putc(out, '}');
}

static void put_model(struct gal_buf *out, const struct gal_api *api,
                      const struct gal_catalog_entry *e)
{
    const struct gal_model *m = serving(api->catalog, e);

    gal_buf_puts(out, "{\"name\":");
    gal_json_put_str(out, e->name);
    gal_buf_puts(out, ",\"version\":");
    gal_json_put_str(out, gal_str_of(m->version));
    gal_buf_puts(out, ",\"versions\":[");
    for (size_t i = 0; i < e->version_count; i++) {
        if (i > 0)
            gal_buf_putc(out, ',');
        gal_json_put_str(out, gal_str_of(e->versions[i]->version));
    }
    gal_buf_puts(out, "],\"state\":\"");
    gal_buf_puts(out, gal_state_text(m));
    gal_buf_putc(out, '"');
    if (gal_model_state(m) == GAL_MODEL_FAILED) {
        gal_buf_puts(out, ",\"reason\":");
        gal_json_put_str(out, gal_str_of(m->error.message));
    } else if (gal_model_state(m) == GAL_MODEL_READY) {
        gal_buf_puts(out, ",\"sha256\":");
        gal_json_put_str(out, gal_str_of(m->sha256));
        gal_oip_put_ports(out, m, true);
        gal_oip_put_ports(out, m, false);
        if (m->package_digest[0] != '\0') {
            gal_buf_puts(out, ",\"package_digest\":");
            gal_json_put_str(out, gal_str_of(m->package_digest));
        }
    }
    put_urls(out, api, m);
    gal_buf_putc(out, '}');
}

static void answer_json(struct gal_exchange *x)
{
    const struct gal_catalog *c = x->api->catalog;

    gal_buf_puts(&x->out,
                 "{\"name\":\"galley\",\"version\":\"" GAL_VERSION "\",\"status\":\"alive\"");
    gal_buf_puts(&x->out, ",\"models\":[");
    for (size_t i = 0; i < c->count; i++) {
        if (i > 0)
            gal_buf_putc(&x->out, ',');
        put_model(&x->out, x->api, &c->entries[i]);
    }
    gal_buf_putc(&x->out, ']');
    put_urls(&x->out, x->api, NULL);
    gal_buf_putc(&x->out, '}');
    gal_exchange_finish(x, 200, GAL_TYPE_JSON);
}

/* --- HTML --- */

static void put_html_ports(struct gal_buf *out, const char *what, const struct gal_port *ports,
                           size_t count)
{
    char shape[128];

    for (size_t i = 0; i < count; i++) {
        gal_buf_puts(out, "<tr><td>");
        gal_buf_puts(out, what);
        gal_buf_puts(out, "</td><td><code>");
        gal_html_put(out, ports[i].name);
        gal_buf_puts(out, "</code></td><td>");
        gal_html_put(out, gal_str_of(ports[i].type_text));
        gal_buf_puts(out, "</td><td>");
        if (ports[i].kind == GAL_KIND_TENSOR && ports[i].shape_known)
            gal_buf_puts(out,
                         gal_shape_format(ports[i].shape, ports[i].rank, shape, sizeof(shape)));
        gal_buf_puts(out, "</td></tr>\n");
    }
}

static void put_html_link(struct gal_buf *out, enum gal_route_id id, const struct gal_model *m,
                          const char *text)
{
    gal_buf_puts(out, "<a href=\"");
    gal_link_put_path(out, &gal_routes[id], m != NULL ? gal_str_of(m->name) : none,
                      m != NULL ? gal_str_of(m->version) : none);
    gal_buf_puts(out, "\">");
    gal_html_put(out, gal_str_of(text));
    gal_buf_puts(out, "</a> ");
}

static void put_html_model(struct gal_buf *out, const struct gal_catalog *c,
                           const struct gal_catalog_entry *e)
{
    const struct gal_model *m = serving(c, e);

    gal_buf_puts(out, "<h2>");
    gal_html_put(out, e->name);
    gal_buf_puts(out, " <span class=\"state\">");
    gal_buf_puts(out, gal_state_text(m));
    gal_buf_puts(out, "</span></h2>\n<p>version ");
    for (size_t i = 0; i < e->version_count; i++) {
        gal_buf_puts(out, i > 0 ? ", " : "");
        gal_html_put(out, gal_str_of(e->versions[i]->version));
    }
    gal_buf_puts(out, "</p>\n");
    if (gal_model_state(m) == GAL_MODEL_FAILED) {
        gal_buf_puts(out, "<p>");
        gal_html_put(out, gal_str_of(m->error.message));
        gal_buf_puts(out, "</p>\n");
    }
    if (gal_model_state(m) != GAL_MODEL_READY)
        return;
    if (m->info->description != NULL && m->info->description[0] != '\0') {
        gal_buf_puts(out, "<p>");
        gal_html_put(out, gal_str_of(m->info->description));
        gal_buf_puts(out, "</p>\n");
    }
    gal_buf_puts(out, "<nav>");
    put_html_link(out, GAL_ROUTE_OIP_MODEL, m, "metadata");
    put_html_link(out, GAL_ROUTE_OIP_MODEL_READY, m, "ready");
    put_html_link(out, GAL_ROUTE_TFS_METADATA, m, "signature");
    gal_buf_puts(out, "</nav>\n<p><code>POST ");
    gal_link_put_path(out, &gal_routes[GAL_ROUTE_V1_MODEL_PREDICT], e->name, none);
    gal_buf_puts(out, "</code> <code>POST ");
    gal_link_put_path(out, &gal_routes[GAL_ROUTE_OIP_INFER], e->name, none);
    gal_buf_puts(out, "</code> <code>POST ");
    gal_link_put_path(out, &gal_routes[GAL_ROUTE_TFS_PREDICT], e->name, none);
    gal_buf_puts(out, "</code></p>\n<table>");
    put_html_ports(out, "input", m->info->inputs, m->info->input_count);
    put_html_ports(out, "output", m->info->outputs, m->info->output_count);
    gal_buf_puts(out, "</table>\n");
}

static void answer_html(struct gal_exchange *x)
{
    const struct gal_catalog *c = x->api->catalog;

    gal_page_begin(&x->out, "galley");
    gal_buf_puts(&x->out,
                 "<h1>galley</h1>\n<p>version " GAL_VERSION ", serving models.</p>\n<nav>");
    put_html_link(&x->out, GAL_ROUTE_DOCS, NULL, "API explorer");
    put_html_link(&x->out, GAL_ROUTE_OPENAPI, NULL, "OpenAPI");
    put_html_link(&x->out, GAL_ROUTE_HEALTH, NULL, "health");
    put_html_link(&x->out, GAL_ROUTE_READY, NULL, "ready");
    put_html_link(&x->out, GAL_ROUTE_METRICS, NULL, "metrics");
    gal_buf_puts(&x->out, "</nav>\n");
    for (size_t i = 0; i < c->count; i++)
        put_html_model(&x->out, c, &c->entries[i]);
    gal_page_finish(x);
}

/* Browsers name text/html before JSON, or without it. */
static bool wants_html(struct gal_str accept)
{
    struct gal_str part, type;

    while (gal_str_cut(&accept, ',', &part)) {
        gal_str_cut(&part, ';', &type);
        type = gal_str_trim(type);
        if (gal_str_ieq(type, GAL_STR("text/html")))
            return true;
        if (gal_str_ieq(type, GAL_STR("application/json")))
            return false;
    }
    return false;
}

void gal_handle_root(struct gal_exchange *x)
{
    gal_exchange_header(x, GAL_STR("Vary"), GAL_STR("Accept"));
    if (wants_html(x->req->known[GAL_HDR_ACCEPT]))
        answer_html(x);
    else
        answer_json(x);
}
