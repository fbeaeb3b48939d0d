/* SPDX-License-Identifier: Apache-2.0 */
/* nghttp2 has checked the head's grammar: lower-case names, pseudo headers first and once each, no
 * header of a connection, a Content-Length that is a number (RFC 9113 8.2, 8.3). */
#include "http/http2_impl.h"

/* Overhead of a header in the list's size, RFC 9113 6.5.2. */
#define HEADER_OVERHEAD 32u

static enum gal_method method_of(struct gal_str name)
{
    for (int m = 0; m < GAL_METHOD_OTHER; m++)
        if (gal_str_is(name, gal_method_name((enum gal_method)m)))
            return (enum gal_method)m;
    return GAL_METHOD_OTHER;
}

/* The bytes' place in the head's buffer, which may still move. */
static struct gal_str keep(struct gal_http2_call *c, struct gal_str s)
{
    struct gal_str at = {(const char *)(uintptr_t)c->head.n, s.n};

    gal_buf_put_str(&c->head, s);
    return at;
}

static struct gal_str found(const struct gal_http2_call *c, struct gal_str at)
{
    return (struct gal_str){c->head.p + (uintptr_t)at.p, at.n};
}

static void take_pseudo(struct gal_http2_call *c, struct gal_str name, struct gal_str value)
{
    struct gal_http_request *r = &c->req;

    if (gal_str_is(name, ":method"))
        r->method = method_of(value);
    else if (gal_str_is(name, ":path"))
        r->target = keep(c, value);
    else if (gal_str_is(name, ":authority") && r->header_count < GAL_HTTP_HEADERS_MAX)
        r->headers[r->header_count++] =
            (struct gal_header){keep(c, GAL_STR("host")), keep(c, value)};
}

void gal_http2_head_add(struct gal_http2_call *c, size_t bytes_max, struct gal_str name,
                        struct gal_str value)
{
    struct gal_http_request *r = &c->req;

    if (c->head_too_large)
        return;
    if (c->head.n + name.n + value.n + HEADER_OVERHEAD > bytes_max ||
        r->header_count == GAL_HTTP_HEADERS_MAX || c->head.failed) {
        c->head_too_large = true;
        return;
    }
    if (name.n > 0 && name.p[0] == ':')
        take_pseudo(c, name, value);
    else
        r->headers[r->header_count++] = (struct gal_header){keep(c, name), keep(c, value)};
}

static void split_target(struct gal_http_request *r)
{
    const char *mark = r->target.n > 0 ? memchr(r->target.p, '?', r->target.n) : NULL;

    r->path = r->target;
    if (mark == NULL)
        return;
    r->path.n = (size_t)(mark - r->target.p);
    r->query = (struct gal_str){mark + 1, r->target.n - r->path.n - 1};
}

static void read_framing(struct gal_http_request *r)
{
    struct gal_str length = r->known[GAL_HDR_CONTENT_LENGTH];
    struct gal_str expect = r->known[GAL_HDR_EXPECT];
    uint64_t n;

    if (length.p != NULL && gal_str_u64(length, &n) == GAL_OK && n <= INT64_MAX)
        r->content_length = (int64_t)n;
    r->expect_continue = expect.p != NULL && gal_str_ieq(expect, GAL_STR("100-continue"));
}

void gal_http2_head_end(struct gal_http2_call *c)
{
    struct gal_http_request *r = &c->req;

    if (c->head.failed)
        c->head_too_large = true;
    if (r->target.n > 0)
        r->target = found(c, r->target);
    else
        r->target = (struct gal_str){"", 0};
    for (size_t i = 0; i < r->header_count; i++) {
        struct gal_header *h = &r->headers[i];
        enum gal_known_header known;

        h->name = found(c, h->name);
        h->value = found(c, h->value);
        known = gal_known_header_find(h->name);
        if (known != GAL_HDR_COUNT && r->known[known].p == NULL)
            r->known[known] = h->value;
    }
    split_target(r);
    read_framing(r);
}
