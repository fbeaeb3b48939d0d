/* SPDX-License-Identifier: Apache-2.0 */
/* /docs: Swagger UI from this server alone; without it in the binary, a list of the routes. */
#include "api/assets.h"
#include "api/links.h"
#include "api/page.h"
#include "http/coding.h"

/* Swagger UI sets style attributes and draws icons from data: URLs; scripts are files. */
#define POLICY                                                                                     \
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "                    \
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; "           \
    "form-action 'none'; frame-ancestors 'none'"

static const char page[] =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
    "<title>galley API</title>"
    "<link rel=\"stylesheet\" href=\"/docs/swagger-ui.css\"></head>\n"
    "<body><div id=\"explorer\"></div><noscript>The API explorer needs JavaScript; "
    "<a href=\"/openapi.json\">the OpenAPI document</a> does not.</noscript>"
    "<script src=\"/docs/swagger-ui-bundle.js\"></script>"
    "<script src=\"/docs/explorer.js\"></script></body></html>\n";

struct asset {
    const char *name;
    struct gal_str type;
    const unsigned char *bytes; /* gzip */
    const size_t *size;
};

static const struct asset assets[] = {
    {"explorer.js",
     {"text/javascript; charset=utf-8", 30},
     gal_asset_explorer_js,
     &gal_asset_explorer_js_size},
    {"swagger-ui-bundle.js",
     {"text/javascript; charset=utf-8", 30},
     gal_asset_swagger_ui_js,
     &gal_asset_swagger_ui_js_size},
    {"swagger-ui.css",
     {"text/css; charset=utf-8", 23},
     gal_asset_swagger_ui_css,
     &gal_asset_swagger_ui_css_size},
    {"LICENSE",
     {"text/plain; charset=utf-8", 25},
     gal_asset_swagger_ui_license,
     &gal_asset_swagger_ui_license_size},
};

static void put_list(struct gal_buf *out)
{
    gal_page_begin(out, "galley API");
    gal_buf_puts(out, "<h1>galley API</h1>\n<p>This build has no API explorer. "
                      "<a href=\"/openapi.json\">The OpenAPI document</a> describes every "
                      "request; these are its endpoints.</p>\n<table>");
    for (size_t i = 0; i < GAL_ROUTE_COUNT; i++) {
        const struct gal_route *r = &gal_routes[i];
        bool link = r->method == GAL_METHOD_GET && !gal_link_has(r, "{");

        if (r->dialect == GAL_DIALECT_GRPC)
            continue;
        gal_buf_puts(out, "<tr><td>");
        gal_buf_puts(out, gal_method_name(r->method));
        gal_buf_puts(out, "</td><td>");
        if (link)
            gal_buf_printf(out, "<a href=\"%s\">%s</a>", r->pattern, r->pattern);
        else
            gal_buf_printf(out, "<code>%s</code>", r->pattern);
        gal_buf_puts(out, "</td><td>");
        gal_html_put(out, gal_str_of(r->summary));
        gal_buf_puts(out, "</td></tr>\n");
    }
    gal_buf_puts(out, "</table>\n");
}

void gal_handle_docs(struct gal_exchange *x)
{
    if (gal_asset_swagger_ui_js_size == 0 || gal_asset_swagger_ui_css_size == 0) {
        put_list(&x->out);
        gal_page_finish(x);
        return;
    }
    gal_buf_puts(&x->out, page);
    gal_exchange_header(x, GAL_STR("Content-Security-Policy"), GAL_STR(POLICY));
    gal_exchange_header(x, GAL_STR("X-Content-Type-Options"), GAL_STR("nosniff"));
    gal_exchange_finish(x, 200, GAL_TYPE_HTML);
}

/* As it lies in the binary for who takes gzip, else unpacked. */
static void answer_asset(struct gal_exchange *x, const struct asset *a)
{
    struct gal_str *part = gal_arena_small(&x->arena, sizeof(*part));
    struct gal_err err;

    if (part == NULL) {
        gal_fail(&err, GAL_NO_MEMORY, "no memory for the file");
        gal_exchange_fail(x, &err);
        return;
    }
    *part = (struct gal_str){(const char *)a->bytes, *a->size};
    if (gal_coding_choose(x->req->known[GAL_HDR_ACCEPT_ENCODING]) == GAL_CODING_GZIP) {
        gal_exchange_header(x, GAL_STR("Content-Encoding"), GAL_STR("gzip"));
    } else if (gal_inflate(GAL_CODING_GZIP, *part, GAL_BODY_BYTES_MAX, &x->arena, part, &err) !=
               GAL_OK) {
        gal_exchange_fail(x, &err);
        return;
    }
    gal_exchange_header(x, GAL_STR("Vary"), GAL_STR("Accept-Encoding"));
    gal_exchange_header(x, GAL_STR("Cache-Control"), GAL_STR("max-age=3600"));
    gal_exchange_header(x, GAL_STR("X-Content-Type-Options"), GAL_STR("nosniff"));
    gal_exchange_finish_parts(x, 200, a->type, part, 1);
}

void gal_handle_docs_asset(struct gal_exchange *x)
{
    struct gal_err err;

    for (size_t i = 0; i < sizeof(assets) / sizeof(assets[0]); i++)
        if (gal_str_is(x->params[0], assets[i].name) && *assets[i].size > 0) {
            answer_asset(x, &assets[i]);
            return;
        }
    gal_fail(&err, GAL_NOT_FOUND, "Not Found");
    gal_err_hint(&err, "GET /docs is the API explorer");
    gal_exchange_fail(x, &err);
}
