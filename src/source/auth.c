/* SPDX-License-Identifier: Apache-2.0 */
/* Requests for objects: who asks, and what the answers' heads tell. */
#include "source/listing.h"

#include <stdio.h>

static void add(struct gal_fetch_request *q, struct gal_auth_room *room, const char *name,
                const char *value)
{
    room->headers[q->header_count++] = (struct gal_fetch_header){name, value};
}

static enum gal_status apply_sigv4(const struct gal_auth *a, const struct gal_clock *clock,
                                   struct gal_fetch_request *q, struct gal_auth_room *room,
                                   struct gal_arena *arena, struct gal_err *err)
{
    const struct gal_sigv4 how = {&a->keys, a->region, a->service, gal_wall_us(clock)};
    enum gal_status status = gal_sigv4_sign(&how, q->method ? q->method : "GET", gal_str_of(q->url),
                                            arena, &room->signature, err);
    if (status)
        return status;
    add(q, room, "Authorization", room->signature.authorization);
    add(q, room, "x-amz-content-sha256", GAL_SIGV4_EMPTY);
    add(q, room, "x-amz-date", room->signature.date);
    if (a->keys.token)
        add(q, room, "x-amz-security-token", a->keys.token);
    return GAL_OK;
}

enum gal_status gal_auth_apply(const struct gal_auth *a, const struct gal_clock *clock,
                               struct gal_fetch_request *q, struct gal_auth_room *room,
                               struct gal_arena *arena, struct gal_err *err)
{
    GAL_ASSERT(q->header_count <= 2); /* room->headers has eight */
    if (q->header_count)
        memcpy(room->headers, q->headers, q->header_count * sizeof room->headers[0]);
    q->headers = room->headers;
    for (size_t i = 0; i < 2 && a->always[i].name; i++)
        add(q, room, a->always[i].name, a->always[i].value);
    if (a->kind == GAL_AUTH_SIGV4)
        return apply_sigv4(a, clock, q, room, arena, err);
    if (a->kind == GAL_AUTH_HEADER)
        add(q, room, "Authorization", a->header);
    if (a->kind == GAL_AUTH_BASIC) {
        q->user = a->user;
        q->password = a->password;
    }
    return GAL_OK;
}

enum gal_status gal_plan_ask(struct gal_source_run *r, const struct gal_fetch_request *request,
                             struct gal_fetch_response *out, struct gal_err *err)
{
    struct gal_fetch_request q = *request;
    struct gal_auth_room room;
    memset(out, 0, sizeof *out);
    enum gal_status status = gal_auth_apply(&r->plan.auth, r->clock, &q, &room, r->arena, err);
    return status ? status : gal_fetch(r->fetcher, &q, out, err);
}

enum gal_status gal_plan_get(struct gal_source_run *r, const char *url,
                             struct gal_fetch_response *out, struct gal_err *err)
{
    const struct gal_fetch_request q = {.url = url, .body_max = 16u << 20};
    enum gal_status status = gal_plan_ask(r, &q, out, err);
    if (!status && (out->status < 200 || out->status > 299))
        status = gal_fetch_failed(&q, out, err);
    return status;
}

/* --- heads --- */

/* RFC 9530 (`sha-256=:BASE64:`), and `sha-256=BASE64` as it was before. */
static void take_digest(struct gal_source_run *r, struct gal_str text, char *hex)
{
    struct gal_str part, name;
    while (gal_str_cut(&text, ',', &part)) {
        part = gal_str_trim(part);
        if (!gal_str_cut(&part, '=', &name) || !part.p || !gal_str_ieq(name, GAL_STR("sha-256")))
            continue;
        if (part.n > 2 && part.p[0] == ':' && part.p[part.n - 1] == ':')
            part = (struct gal_str){part.p + 1, part.n - 2};
        gal_listing_base64(r->arena, part, 32, hex);
    }
}

static const char *header_text(struct gal_source_run *r, const struct gal_fetch_response *a,
                               const char *name, bool *failed)
{
    struct gal_str s = gal_fetch_header(a, name);
    const char *text = s.n ? gal_plan_text(r, s) : NULL;
    *failed = *failed || (s.n && !text);
    return text;
}

enum gal_status gal_plan_take_head(struct gal_source_run *r, const struct gal_fetch_response *a,
                                   struct gal_source_object *o, struct gal_err *err)
{
    struct gal_str coding = gal_fetch_header(a, "content-encoding");
    bool failed = false;
    o->etag = header_text(r, a, "etag", &failed);
    o->modified = header_text(r, a, "last-modified", &failed);
    if (coding.n == 0 || gal_str_ieq(coding, GAL_STR("identity"))) {
        take_digest(r, gal_fetch_header(a, "digest"), o->sha256);
        take_digest(r, gal_fetch_header(a, "repr-digest"), o->sha256);
    }
    return failed ? gal_plan_no_memory(err) : GAL_OK;
}

enum gal_status gal_plan_ask_near(struct gal_source_run *r, const struct gal_fetch_request *request,
                                  struct gal_fetch_response *out, struct gal_err *err)
{
    struct gal_fetch_options o = r->options->registry.fetch;
    struct gal_fetcher *near;
    memset(out, 0, sizeof *out);
    o.connect_timeout_us = 1000000;
    o.stall_timeout_us = 2000000;
    o.tries = 1;
    enum gal_status status = gal_fetcher_new(&o, &near, err);
    if (status)
        return status;
    status = gal_fetch(near, request, out, err);
    if (!status && out->status != 200)
        status = gal_fetch_failed(request, out, err);
    gal_fetcher_free(near);
    return status;
}
