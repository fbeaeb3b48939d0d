/* SPDX-License-Identifier: Apache-2.0 */
/* http:// and https://: one file. A first request for its first byte tells size, version and
 * whether parts may be asked for; HEAD would not do for URLs that are signed for GET. */
#include "source/plan.h"

struct probe {
    bool told; /* the whole began to come: enough is known */
};

static enum gal_status on_piece(uint64_t offset, struct gal_str piece, void *ctx)
{
    struct probe *p = ctx;
    if (offset == 0 && piece.n <= 1)
        return GAL_OK;
    p->told = true;
    return GAL_CANCELLED;
}

/* "bytes 0-0/1234", "bytes * /0": the size. */
static bool range_size(struct gal_str range, uint64_t *size)
{
    struct gal_str part;
    gal_str_cut(&range, '/', &part);
    return range.p && gal_str_u64(range, size) == GAL_OK;
}

static enum gal_status take_answer(struct gal_source_run *r, const struct gal_fetch_request *q,
                                   const struct gal_fetch_response *a, struct gal_source_object *o,
                                   struct gal_err *err)
{
    struct gal_str length = gal_fetch_header(a, "content-length");
    bool strong;
    if (a->status == 416 && range_size(gal_fetch_header(a, "content-range"), &o->size)) {
        o->size_known = true;
        return gal_plan_take_head(r, a, o, err);
    }
    if (a->status < 200 || a->status > 299)
        return gal_fetch_failed(q, a, err);
    enum gal_status status = gal_plan_take_head(r, a, o, err);
    if (status)
        return status;
    strong = o->etag ? strncmp(o->etag, "W/", 2) != 0 : o->modified != NULL;
    if (a->status == 206) {
        o->size_known = range_size(gal_fetch_header(a, "content-range"), &o->size);
        o->ranges = o->size_known && (strong || r->url.sha256[0]);
    } else if (gal_fetch_header(a, "content-encoding").n == 0) {
        o->size_known = gal_str_u64(length, &o->size) == GAL_OK;
    }
    return GAL_OK;
}

static enum gal_status probe(struct gal_source_run *r, struct gal_source_object *o,
                             struct gal_err *err)
{
    struct probe p = {0};
    struct gal_fetch_response answer;
    const struct gal_fetch_request q = {
        .url = o->url, .range_first = 0, .range_bytes = 1, .on_piece = on_piece, .ctx = &p};
    enum gal_status status = gal_plan_ask(r, &q, &answer, err);
    if (status && p.told)
        status = GAL_OK;
    if (!status)
        status = take_answer(r, &q, &answer, o, err);
    gal_fetch_response_release(&answer);
    return status;
}

enum gal_status gal_plan_http(struct gal_source_run *r, struct gal_err *err)
{
    struct gal_source_object *o;
    char shown[256];
    struct gal_str host = r->url.host;
    const char *at = host.n > 0 ? memrchr(host.p, '@', host.n) : NULL;
    if (at) /* user and password are no part of a name on the disk */
        host = (struct gal_str){at + 1, host.n - (size_t)(at + 1 - host.p)};
    enum gal_status status = gal_plan_root(r, r->url.key, false, host, err);
    if (!status)
        status = gal_plan_add(r, &o, err);
    if (status)
        return status;
    o->place = r->plan.root;
    o->url = gal_plan_text(r, r->url.text);
    if (!o->url)
        return gal_plan_no_memory(err);
    r->plan.origin = gal_plan_text(r, gal_str_of(gal_fetch_shown(o->url, shown, sizeof shown)));
    status = r->plan.origin ? probe(r, o, err) : gal_plan_no_memory(err);
    if (status)
        return status;
    if (r->url.sha256[0])
        memcpy(o->sha256, r->url.sha256, sizeof o->sha256);
    return gal_plan_settle(r, err);
}
