/* SPDX-License-Identifier: Apache-2.0 */
/* An HTTP request and response as handlers see them, whatever version carried them. Slices borrow
 * from the connection's buffers and the request's arena and live until the exchange ends. */
#ifndef GAL_HTTP_MESSAGE_H
#define GAL_HTTP_MESSAGE_H

#include "base/limits.h"
#include "base/str.h"

enum gal_method {
    GAL_METHOD_GET,
    GAL_METHOD_HEAD,
    GAL_METHOD_POST,
    GAL_METHOD_PUT,
    GAL_METHOD_DELETE,
    GAL_METHOD_OPTIONS,
    GAL_METHOD_PATCH,
    GAL_METHOD_OTHER, /* known to HTTP, used by nobody here */
    GAL_METHOD_COUNT
};
const char *gal_method_name(enum gal_method m);

/* Headers that galley reads, found once while parsing. */
enum gal_known_header {
    GAL_HDR_HOST,
    GAL_HDR_CONTENT_TYPE,
    GAL_HDR_CONTENT_LENGTH,
    GAL_HDR_CONTENT_ENCODING,
    GAL_HDR_ACCEPT,
    GAL_HDR_ACCEPT_ENCODING,
    GAL_HDR_EXPECT,
    GAL_HDR_INFERENCE_HEADER_CONTENT_LENGTH,
    GAL_HDR_X_REQUEST_ID,
    GAL_HDR_X_CORRELATION_ID,
    GAL_HDR_TRACEPARENT,
    GAL_HDR_TRACESTATE,
    GAL_HDR_X_MODEL_VERSION,
    GAL_HDR_USER_AGENT,
    GAL_HDR_X_REQUEST_TIMEOUT_MS,
    GAL_HDR_X_REQUEST_PRIORITY,
    GAL_HDR_X_ENVOY_TIMEOUT_MS, /* X-Envoy-Expected-Rq-Timeout-Ms */
    GAL_HDR_GRPC_TIMEOUT,
    GAL_HDR_GRPC_ENCODING,
    GAL_HDR_GRPC_ACCEPT_ENCODING,
    GAL_HDR_CE_ID,
    GAL_HDR_CE_SOURCE,
    GAL_HDR_CE_SPECVERSION,
    GAL_HDR_CE_TYPE,
    GAL_HDR_COUNT
};
/* GAL_HDR_COUNT when the name is none of them. Names compare without case. */
enum gal_known_header gal_known_header_find(struct gal_str name);

struct gal_header {
    struct gal_str name, value; /* value without outer spaces */
};

struct gal_http_request {
    enum gal_method method;
    unsigned version_major, version_minor;
    struct gal_str target;               /* as sent */
    struct gal_str path;                 /* target before `?`, still percent-encoded */
    struct gal_str query;                /* behind `?`, without it */
    struct gal_str known[GAL_HDR_COUNT]; /* p == NULL: absent. Sent twice: the first (the codec
                                            refuses Host and Content-Length) */
    struct gal_header headers[GAL_HTTP_HEADERS_MAX];
    size_t header_count;
    int64_t content_length; /* -1: none sent (no body, or chunked) */
    bool chunked;
    bool keep_alive;
    bool expect_continue;
    struct gal_str body; /* whole, de-chunked, still in its content coding; bytes may be changed by
                            the handler */
};

struct gal_http_response {
    int status;
    struct gal_header headers[GAL_HTTP_RESPONSE_HEADERS_MAX];
    size_t header_count;
    const struct gal_str *parts; /* the body, in order; borrowed until the exchange ends */
    size_t part_count;
    size_t body_bytes;                                          /* sum of the parts */
    struct gal_header trailers[GAL_HTTP_RESPONSE_TRAILERS_MAX]; /* behind the body, HTTP/2 only */
    size_t trailer_count;
    bool close; /* end the connection behind this response */
};

/* Adds a header; beyond GAL_HTTP_RESPONSE_HEADERS_MAX it is a program error. Content-Length, Date
 * and Connection are the codec's. Values must not hold CR, LF or NUL (the codec drops a header
 * that does). */
void gal_http_response_header(struct gal_http_response *r, struct gal_str name,
                              struct gal_str value);
/* Standard reason phrase, "Unknown" for codes without one. */
const char *gal_http_reason(int status);

#endif
