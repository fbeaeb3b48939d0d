/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "oci/registry_impl.h"
#include "text/json.h"

#include <stdio.h>

#define HEADERS_MAX 8

void gal_registry_url(const struct gal_registry *r, char url[GAL_REGISTRY_URL_SIZE],
                      const char *format, ...)
{
    va_list args;
    int n = snprintf(url, GAL_REGISTRY_URL_SIZE, "%s/v2/%s/", r->shared->base,
                     r->shared->ref.repository);
    va_start(args, format);
    vsnprintf(url + n, GAL_REGISTRY_URL_SIZE - (size_t)n, format, args);
    va_end(args);
}

void gal_registry_hint(const struct gal_registry_shared *s, struct gal_err *err)
{
    if (!err || s->options.fetch.insecure || strncmp(s->base, "https:", 6) != 0)
        return;
    if (strstr(err->message, "wrong version number"))
        gal_err_hint(err, "if %s speaks plain HTTP: --plain-http", s->ref.host);
    else if (strstr(err->message, "certificate"))
        gal_err_hint(err, "its certificate is not trusted here; SSL_CERT_FILE=FILE names the "
                          "authority's (PEM), --insecure trusts anybody");
}

enum gal_status gal_registry_call(struct gal_registry *r, bool pushes, struct gal_fetch_request *q,
                                  struct gal_fetch_response *out, struct gal_err *err)
{
    const struct gal_fetch_header *own = q->headers;
    size_t own_count = q->header_count;
    struct gal_fetch_header headers[HEADERS_MAX];
    struct gal_registry_pass pass;
    /* Storage that a registry sends uploads to has its own ways: none of our passes goes there. */
    bool is_ours = gal_fetch_same_origin(r->fetcher, q->url, r->shared->base);
    enum gal_status status;
    GAL_ASSERT(own_count < HEADERS_MAX);
    memset(out, 0, sizeof *out);
    for (unsigned round = 0;; round++) {
        pass.header[0] = '\0';
        status = is_ours ? gal_registry_authorize(r, pushes, &pass, err) : GAL_OK;
        if (status)
            break;
        for (size_t i = 0; i < own_count; i++)
            headers[i] = own[i];
        headers[own_count] = (struct gal_fetch_header){"Authorization", pass.header};
        q->headers = headers;
        q->header_count = own_count + (pass.header[0] != '\0');
        status = gal_fetch(r->fetcher, q, out, err);
        if (status)
            gal_registry_hint(r->shared, err);
        if (status || out->status != 401 || !is_ours)
            break;
        gal_registry_refused(r, out, &pass);
        if (round == 1 || (round == 0 && pass.header[0] && strncmp(pass.header, "Basic", 5) == 0)) {
            status = gal_registry_denied(r, err);
            break;
        }
        gal_fetch_response_release(out);
    }
    q->headers = own;
    q->header_count = own_count;
    return status;
}

/* --- errors --- */

/* errors[0] of the body; false when it is no such thing. Texts in the arena. */
static bool read_error(const struct gal_fetch_response *answer, struct gal_arena *arena,
                       struct gal_str *code, struct gal_str *message)
{
    yyjson_val *root, *first;
    *code = *message = (struct gal_str){NULL, 0};
    if (answer->body.n == 0 ||
        gal_json_read(gal_buf_str(&answer->body), arena, GAL_JSON_DEPTH_MAX, &root, NULL) != GAL_OK)
        return false;
    first = yyjson_arr_get_first(yyjson_obj_get(root, "errors"));
    *code = gal_str_of(yyjson_get_str(yyjson_obj_get(first, "code")));
    *message = gal_str_of(yyjson_get_str(yyjson_obj_get(first, "message")));
    return code->n > 0;
}

void gal_registry_error_code(const struct gal_fetch_response *answer, char out[64])
{
    struct gal_str code, message;
    struct gal_arena arena;
    gal_arena_init(&arena, 4096, 0, 1 << 20);
    read_error(answer, &arena, &code, &message);
    snprintf(out, 64, "%.*s", GAL_STR_ARG(code));
    gal_arena_release(&arena);
}

/* Control bytes of a peer's words do not get further. */
static void clean(char *text)
{
    for (; *text; text++)
        *text = (unsigned char)*text < 0x20 || *text == 0x7f ? ' ' : *text;
}

enum gal_status gal_registry_failed(const struct gal_registry *r, const struct gal_fetch_request *q,
                                    const struct gal_fetch_response *answer, struct gal_err *err)
{
    enum gal_status status = gal_fetch_status(answer->status);
    char words[200];
    struct gal_str code, message;
    struct gal_arena arena;
    gal_arena_init(&arena, 4096, 0, 1 << 20);
    if (read_error(answer, &arena, &code, &message)) {
        snprintf(words, sizeof words, "%.*s (%.*s)", (int)(message.n < 140 ? message.n : 140),
                 message.n ? message.p : "", (int)(code.n < 40 ? code.n : 40), code.p);
        clean(words);
        status = status == GAL_OK ? GAL_UNAVAILABLE : status;
        gal_fail(err, status, "%s/%s: %s: %d: %s", r->shared->ref.host, r->shared->ref.repository,
                 q->method ? q->method : "GET", answer->status, words);
    } else {
        status = gal_fetch_failed(q, answer, err);
    }
    gal_arena_release(&arena);
    if (status == GAL_FORBIDDEN)
        gal_err_hint(err, "the user has no right to this; galley login %s as another",
                     r->shared->ref.host);
    return status;
}
