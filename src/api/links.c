/* SPDX-License-Identifier: Apache-2.0 */
#include "api/links.h"

static const char *const ids[GAL_ROUTE_COUNT] = {
#define GAL_ROUTE_ROW(id, method, pattern, dialect, handler, summary) #id,
#include "api/routes.def"
#undef GAL_ROUTE_ROW
};

void gal_link_put_id(struct gal_buf *out, const struct gal_route *route)
{
    for (const char *p = ids[route->id]; *p != '\0'; p++)
        gal_buf_putc(out, *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p);
}

static void put_segment(struct gal_buf *out, struct gal_str text)
{
    static const char hex[] = "0123456789ABCDEF";

    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                     c == '-' || c == '.' || c == '_' || c == '~';

        if (plain) {
            gal_buf_putc(out, (char)c);
        } else {
            gal_buf_putc(out, '%');
            gal_buf_putc(out, hex[c >> 4]);
            gal_buf_putc(out, hex[c & 15]);
        }
    }
}

void gal_link_put_path(struct gal_buf *out, const struct gal_route *route, struct gal_str model,
                       struct gal_str version)
{
    for (const char *p = route->pattern; *p != '\0';) {
        if (strncmp(p, "{model}", 7) == 0) {
            put_segment(out, model);
            p += 7;
        } else if (strncmp(p, "{version}", 9) == 0) {
            put_segment(out, version);
            p += 9;
        } else {
            gal_buf_putc(out, *p++);
        }
    }
}

void gal_link_put_tail(struct gal_buf *out, const char *text)
{
    gal_buf_putc(out, '/');
    put_segment(out, gal_str_of(text));
}

bool gal_link_has(const struct gal_route *route, const char *parameter)
{
    return strstr(route->pattern, parameter) != NULL;
}

bool gal_link_serves(const struct gal_api *api, const struct gal_route *route)
{
    if (route->dialect == GAL_DIALECT_GRPC)
        return false;
    if (route->handle == gal_handle_cuda_shm || route->handle == gal_handle_repository_named)
        return false;
    if (api == NULL)
        return true;
    if (route->handle == gal_handle_repository_load ||
        route->handle == gal_handle_repository_unload)
        return api->control != NULL;
    if (route->handle == gal_handle_shm_status || route->handle == gal_handle_shm_register ||
        route->handle == gal_handle_shm_unregister)
        return api->shm != NULL;
    if (route->handle == gal_handle_trace_set || route->handle == gal_handle_logging_set)
        return api->options->client_settings;
    return true;
}

void gal_html_put(struct gal_buf *out, struct gal_str text)
{
    for (size_t i = 0; i < text.n; i++) {
        switch (text.p[i]) {
        case '&':
            gal_buf_puts(out, "&amp;");
            break;
        case '<':
            gal_buf_puts(out, "&lt;");
            break;
        case '>':
            gal_buf_puts(out, "&gt;");
            break;
        case '"':
            gal_buf_puts(out, "&quot;");
            break;
        default:
            gal_buf_putc(out, text.p[i]);
        }
    }
}

const char *gal_state_text(const struct gal_model *m)
{
    switch (gal_model_state(m)) {
    case GAL_MODEL_LOADING:
        return "LOADING";
    case GAL_MODEL_READY:
        return "READY";
    case GAL_MODEL_IDLE:
        return "NOT_LOADED";
    case GAL_MODEL_FAILED:
        break;
    }
    return "FAILED";
}
