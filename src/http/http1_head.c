/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http1_head.h"

#include "http/target.h"

static size_t offset(const char *base, struct gal_str s)
{
    return (size_t)(s.p - base);
}

/* Between method, target and version stands one space each, and the protocol is HTTP: the grammar
 * that made `r` lets more spaces and other protocols pass. */
static enum gal_status check_line(const struct gal_http_request *r, const char *base,
                                  struct gal_err *err)
{
    size_t at = offset(base, r->target);
    const char *behind = r->target.p + r->target.n;
    if (at < 2 || base[at - 2] == ' ')
        return gal_fail(err, GAL_INVALID,
                        "the request line has more than one space before its target (byte %zu)",
                        at - 1);
    if (memcmp(behind, " HTTP/", 6) != 0)
        return gal_fail(err, GAL_INVALID,
                        "the request line must end in one space and HTTP/1.1 (byte %zu)",
                        at + r->target.n);
    return GAL_OK;
}

/* Host may come once only; the others that come twice count by their first. Content-Length is
 * refused by the grammar, and each Expect must be one that we know. */
static enum gal_status find_known(struct gal_http_request *r, const char *base,
                                  struct gal_str *transfer_encoding, struct gal_err *err)
{
    *transfer_encoding = (struct gal_str){NULL, 0};
    for (size_t i = 0; i < r->header_count; i++) {
        const struct gal_header *h = &r->headers[i];
        enum gal_known_header k = gal_known_header_find(h->name);
        if (k == GAL_HDR_COUNT) {
            if (h->name.n != 17 || !gal_str_ieq(h->name, GAL_STR("transfer-encoding")))
                continue;
            if (transfer_encoding->p)
                return gal_fail(err, GAL_INVALID,
                                "the header Transfer-Encoding is sent twice (byte %zu)",
                                offset(base, h->name));
            *transfer_encoding = h->value;
            continue;
        }
        if (k == GAL_HDR_HOST && r->known[k].p)
            return gal_fail(err, GAL_INVALID, "the header Host is sent twice (byte %zu)",
                            offset(base, h->name));
        if (k == GAL_HDR_EXPECT) {
            if (!gal_str_ieq(h->value, GAL_STR("100-continue")))
                return gal_fail(err, GAL_EXPECTATION,
                                "the header Expect may only say 100-continue (byte %zu)",
                                offset(base, h->value));
            r->expect_continue = r->version_minor == 1; /* 1.0 knows no interim answers */
        }
        if (!r->known[k].p)
            r->known[k] = h->value;
    }
    return GAL_OK;
}

static enum gal_status check_host(const struct gal_http_request *r, const char *base,
                                  struct gal_err *err)
{
    struct gal_str host = r->known[GAL_HDR_HOST];
    if (host.p)
        return gal_http_check_host(host, "header Host", base, err);
    return r->version_minor == 0
               ? GAL_OK
               : gal_fail(err, GAL_INVALID, "the header Host is missing, HTTP/1.1 needs it");
}

static enum gal_status check_framing(struct gal_http_request *r, const char *base,
                                     struct gal_str transfer_encoding,
                                     const struct gal_http1_limits *limits, struct gal_err *err)
{
    struct gal_str length = r->known[GAL_HDR_CONTENT_LENGTH];
    uint64_t bytes = 0;
    r->content_length = -1;
    r->chunked = transfer_encoding.p != NULL;
    if (r->chunked && !gal_str_ieq(transfer_encoding, GAL_STR("chunked")))
        return gal_fail(err, GAL_UNSUPPORTED,
                        "the header Transfer-Encoding may only say chunked (byte %zu)",
                        offset(base, transfer_encoding));
    if (r->chunked && r->version_minor == 0)
        return gal_fail(err, GAL_INVALID,
                        "the header Transfer-Encoding needs HTTP/1.1, this is HTTP/1.0 (byte %zu)",
                        offset(base, transfer_encoding));
    if (!length.p)
        return GAL_OK;
    if (gal_str_u64(length, &bytes) != GAL_OK)
        return gal_fail(err, GAL_INVALID,
                        "the header Content-Length is not a number of bytes (byte %zu)",
                        offset(base, length));
    if (bytes > limits->body_bytes_max)
        return gal_fail(err, GAL_TOO_LARGE, "the body has %llu bytes, at most %zu are taken",
                        (unsigned long long)bytes, limits->body_bytes_max);
    r->content_length = (int64_t)bytes;
    return GAL_OK;
}

enum gal_status gal_http1_check_head(struct gal_http_request *r, const char *base,
                                     const struct gal_http1_limits *limits, struct gal_err *err)
{
    struct gal_str transfer_encoding;
    enum gal_status status = check_line(r, base, err);
    if (status == GAL_OK)
        status = gal_http_split_target(r, base, err);
    if (status == GAL_OK)
        status = find_known(r, base, &transfer_encoding, err);
    if (status == GAL_OK)
        status = check_host(r, base, err);
    if (status == GAL_OK)
        status = check_framing(r, base, transfer_encoding, limits, err);
    return status;
}
