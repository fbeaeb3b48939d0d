/* SPDX-License-Identifier: Apache-2.0 */
/* A request's head. nghttp2 has checked its grammar: pseudo headers first and once each, small
 * letters, no header of a connection, no bytes that no header may hold (RFC 9113 8.2, 8.3).
 *
 * While the head comes, only lengths are kept of its slices: they lie in `head` one behind the
 * other, and it may move. :path and :authority lie among them without a header of their own. */
#include "http/http2_impl.h"
#include "http/target.h"

/* As a header's line would have around it. */
#define FRAMING_BYTES 4u
/* A head that is so many times too large is an attack on the decoder. */
#define EXCESS 8u

static enum gal_method method_of(struct gal_str name)
{
    for (int m = 0; m < GAL_METHOD_OTHER; m++)
        if (gal_str_is(name, gal_method_name((enum gal_method)m)))
            return (enum gal_method)m;
    return GAL_METHOD_OTHER;
}

static void keep(struct gal_call *call, struct gal_str s, size_t *at, size_t *n)
{
    *at = call->head->n;
    *n = s.n;
    gal_buf_put_str(call->head, s);
}

static void add_pseudo(struct gal_call *call, struct gal_str name, struct gal_str value)
{
    if (gal_str_is(name, ":path")) {
        call->has_path = true;
        keep(call, value, &call->path_at, &call->path_n);
    } else if (gal_str_is(name, ":method")) {
        call->req.method = method_of(value);
    } else if (gal_str_is(name, ":authority")) {
        call->has_authority = true;
        keep(call, value, &call->authority_at, &call->authority_n);
    }
}

bool gal_http2_head_add(struct gal_call *call, size_t bytes_max, struct gal_str name,
                        struct gal_str value)
{
    struct gal_http_request *r = &call->req;

    call->head_bytes += name.n + value.n + FRAMING_BYTES;
    if (call->head_bytes > bytes_max)
        call->head_failed = true;
    if (call->head_failed)
        return call->head_bytes <= EXCESS * bytes_max;
    if (name.p[0] == ':') {
        add_pseudo(call, name, value);
    } else if (r->header_count == GAL_HTTP_HEADERS_MAX) {
        call->head_failed = true;
    } else {
        struct gal_header *h = &r->headers[r->header_count++];

        h->name.n = name.n;
        h->value.n = value.n;
        call->header_at[r->header_count - 1] = (uint32_t)call->head->n;
        char *to = gal_buf_reserve(call->head, name.n + value.n);

        if (to != NULL) {
            memcpy(to, name.p, name.n);
            memcpy(to + name.n, value.p, value.n);
            call->head->n += name.n + value.n;
        }
    }
    if (call->head->failed)
        call->head_failed = true;
    return true;
}

/* Host and :authority say the same, or one of them is missing. */
static enum gal_status find_known(struct gal_http_request *r, struct gal_err *err)
{
    for (size_t i = 0; i < r->header_count; i++) {
        const struct gal_header *h = &r->headers[i];
        enum gal_known_header k = gal_known_header_find(h->name);

        if (k == GAL_HDR_COUNT)
            continue;
        if (k == GAL_HDR_HOST && r->known[k].p != NULL && !gal_str_ieq(r->known[k], h->value))
            return gal_fail(err, GAL_INVALID, "the header host is not what :authority says");
        if (k == GAL_HDR_EXPECT) {
            if (!gal_str_ieq(h->value, GAL_STR("100-continue")))
                return gal_fail(err, GAL_EXPECTATION,
                                "the header expect may only say 100-continue");
            r->expect_continue = true;
        }
        if (r->known[k].p == NULL)
            r->known[k] = h->value;
    }
    return GAL_OK;
}

static enum gal_status check_length(struct gal_http_request *r, size_t bytes_max,
                                    struct gal_err *err)
{
    struct gal_str length = r->known[GAL_HDR_CONTENT_LENGTH];
    uint64_t bytes = 0;

    if (length.p == NULL)
        return GAL_OK;
    if (gal_str_u64(length, &bytes) != GAL_OK)
        return gal_fail(err, GAL_INVALID, "the header content-length is not a number of bytes");
    if (bytes > bytes_max)
        return gal_fail(err, GAL_TOO_LARGE, "the body has %llu bytes, at most %zu are taken",
                        (unsigned long long)bytes, bytes_max);
    r->content_length = (int64_t)bytes;
    return GAL_OK;
}

/* The buffer moves no more: lengths become slices. */
static void place(struct gal_call *call)
{
    struct gal_http_request *r = &call->req;
    const char *base = call->head->p;

    for (size_t i = 0; i < r->header_count; i++) {
        r->headers[i].name.p = base + call->header_at[i];
        r->headers[i].value.p = r->headers[i].name.p + r->headers[i].name.n;
    }
    if (call->has_path)
        r->target = (struct gal_str){base + call->path_at, call->path_n};
    if (call->has_authority)
        r->known[GAL_HDR_HOST] = (struct gal_str){base + call->authority_at, call->authority_n};
}

enum gal_status gal_http2_head_end(struct gal_call *call, const struct gal_http2_limits *limits,
                                   struct gal_err *err)
{
    struct gal_http_request *r = &call->req;
    enum gal_status st;

    if (call->head_failed) {
        r->header_count = 0; /* the last may be there in part */
        return gal_fail(err, GAL_HEAD_TOO_LARGE,
                        "the request head is longer than %zu bytes or has more than %u headers",
                        limits->head_bytes_max, GAL_HTTP_HEADERS_MAX);
    }
    place(call);
    if (r->target.n == 0)
        return gal_fail(err, GAL_UNSUPPORTED, "CONNECT is not served here");
    if (r->target.n > GAL_HTTP_TARGET_BYTES_MAX)
        return gal_fail(err, GAL_URI_TOO_LONG, "the request target is longer than %u bytes",
                        GAL_HTTP_TARGET_BYTES_MAX);
    st = gal_http_split_target(r, r->target.p, err);
    if (st == GAL_OK)
        st = find_known(r, err);
    if (st == GAL_OK && r->known[GAL_HDR_HOST].p != NULL)
        st = gal_http_check_host(r->known[GAL_HDR_HOST], ":authority", r->known[GAL_HDR_HOST].p,
                                 err);
    if (st == GAL_OK)
        st = check_length(r, limits->body_bytes_max, err);
    return st;
}
