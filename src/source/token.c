/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens of OAuth 2.0, for Google and Azure. */
#include "source/google.h"
#include "source/sign.h"
#include "text/json.h"

#define JSON_DEPTH_MAX 8u
#define JWT_BYTES_MAX 16384u

enum gal_status gal_token_read(struct gal_str json, struct gal_arena *arena, const char **out,
                               struct gal_err *err)
{
    yyjson_val *root;
    enum gal_status status = gal_json_read(json, arena, JSON_DEPTH_MAX, &root, err);
    if (status)
        return status;
    yyjson_val *token = yyjson_obj_get(root, "access_token");
    if (!yyjson_is_str(token))
        return gal_fail(err, GAL_INVALID, "the answer holds no access_token");
    *out =
        gal_arena_printf(arena, "Bearer %.*s", (int)yyjson_get_len(token), yyjson_get_str(token));
    return *out ? GAL_OK : gal_fail(err, GAL_NO_MEMORY, "no memory for a token");
}

static enum gal_status use(struct gal_source_run *r, struct gal_str json, struct gal_err *err)
{
    const char *header;
    const char *copy = gal_plan_text(r, json);
    enum gal_status status =
        copy ? gal_token_read(gal_str_of(copy), r->arena, &header, err) : gal_plan_no_memory(err);
    if (status)
        return status;
    r->plan.auth.kind = GAL_AUTH_HEADER;
    r->plan.auth.header = header;
    return GAL_OK;
}

enum gal_status gal_token_ask(struct gal_source_run *r, const char *url, struct gal_str form,
                              struct gal_err *err)
{
    static const struct gal_fetch_header header = {"Content-Type",
                                                   "application/x-www-form-urlencoded"};
    struct gal_fetch_response a;
    const struct gal_fetch_request q = {
        .method = "POST", .url = url, .headers = &header, .header_count = 1, .body = form};
    enum gal_status status = gal_fetch(r->fetcher, &q, &a, err);
    if (!status && a.status != 200)
        status = gal_fetch_failed(&q, &a, err);
    if (!status)
        status = use(r, gal_buf_str(&a.body), err);
    gal_fetch_response_release(&a);
    return status;
}

enum gal_status gal_token_near(struct gal_source_run *r, const char *url,
                               const struct gal_fetch_header *header, bool *found,
                               struct gal_err *err)
{
    const struct gal_fetch_request q = {.url = url, .headers = header, .header_count = 1};
    struct gal_fetch_response a;
    enum gal_status status = gal_plan_ask_near(r, &q, &a, NULL);
    *found = status == GAL_OK;
    if (*found)
        status = use(r, gal_buf_str(&a.body), err);
    else if (status == GAL_NO_MEMORY)
        status = gal_plan_no_memory(err);
    else
        status = GAL_OK;
    gal_fetch_response_release(&a);
    return status;
}

enum gal_status gal_jwt_make(struct gal_str claims, struct gal_str pem, struct gal_buf *out,
                             struct gal_err *err)
{
    struct gal_buf signature;
    gal_buf_init(out, JWT_BYTES_MAX);
    gal_buf_init(&signature, JWT_BYTES_MAX);
    gal_base64url_put(out, GAL_STR("{\"alg\":\"RS256\",\"typ\":\"JWT\"}"));
    gal_buf_putc(out, '.');
    gal_base64url_put(out, claims);
    enum gal_status status =
        out->failed ? gal_fail(err, GAL_TOO_LARGE, "the claims of a token are too long")
                    : gal_rs256(pem, gal_buf_str(out), &signature, err);
    gal_buf_putc(out, '.');
    gal_base64url_put(out, gal_buf_str(&signature));
    if (!status && out->failed)
        status = gal_fail(err, GAL_NO_MEMORY, "no memory for a token");
    gal_buf_release(&signature);
    return status;
}
