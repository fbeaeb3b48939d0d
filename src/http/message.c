/* SPDX-License-Identifier: Apache-2.0 */
#include "http/message.h"

const char *gal_method_name(enum gal_method m)
{
    static const char *const names[GAL_METHOD_COUNT] = {
        [GAL_METHOD_GET] = "GET",       [GAL_METHOD_HEAD] = "HEAD",
        [GAL_METHOD_POST] = "POST",     [GAL_METHOD_PUT] = "PUT",
        [GAL_METHOD_DELETE] = "DELETE", [GAL_METHOD_OPTIONS] = "OPTIONS",
        [GAL_METHOD_PATCH] = "PATCH",   [GAL_METHOD_OTHER] = "OTHER",
    };
    GAL_ASSERT((unsigned)m < GAL_METHOD_COUNT);
    return names[m];
}

static enum gal_known_header same(struct gal_str name, const char *known, enum gal_known_header h)
{
    if (memcmp(name.p, known, name.n) == 0) /* HTTP/2's letters are small */
        return h;
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];
        if (c >= 'A' && c <= 'Z')
            c |= 0x20;
        if (c != (unsigned char)known[i])
            return GAL_HDR_COUNT;
    }
    return h;
}

/* Length and one letter leave one candidate; only that is compared. */
enum gal_known_header gal_known_header_find(struct gal_str name)
{
    int first = name.n ? name.p[0] | 0x20 : 0;
    switch (name.n) {
    case 4:
        return same(name, "host", GAL_HDR_HOST);
    case 5:
        return same(name, "ce-id", GAL_HDR_CE_ID);
    case 6:
        return first == 'a' ? same(name, "accept", GAL_HDR_ACCEPT)
                            : same(name, "expect", GAL_HDR_EXPECT);
    case 7:
        return same(name, "ce-type", GAL_HDR_CE_TYPE);
    case 9:
        return same(name, "ce-source", GAL_HDR_CE_SOURCE);
    case 10:
        return first == 'u' ? same(name, "user-agent", GAL_HDR_USER_AGENT)
                            : same(name, "tracestate", GAL_HDR_TRACESTATE);
    case 11:
        return same(name, "traceparent", GAL_HDR_TRACEPARENT);
    case 12:
        if (first == 'g')
            return same(name, "grpc-timeout", GAL_HDR_GRPC_TIMEOUT);
        return first == 'c' ? same(name, "content-type", GAL_HDR_CONTENT_TYPE)
                            : same(name, "x-request-id", GAL_HDR_X_REQUEST_ID);
    case 13:
        return same(name, "grpc-encoding", GAL_HDR_GRPC_ENCODING);
    case 14:
        return name.p[2] == '-' ? same(name, "ce-specversion", GAL_HDR_CE_SPECVERSION)
                                : same(name, "content-length", GAL_HDR_CONTENT_LENGTH);
    case 15:
        return first == 'a' ? same(name, "accept-encoding", GAL_HDR_ACCEPT_ENCODING)
                            : same(name, "x-model-version", GAL_HDR_X_MODEL_VERSION);
    case 16:
        return first == 'c' ? same(name, "content-encoding", GAL_HDR_CONTENT_ENCODING)
                            : same(name, "x-correlation-id", GAL_HDR_X_CORRELATION_ID);
    case 18:
        return same(name, "x-request-priority", GAL_HDR_X_REQUEST_PRIORITY);
    case 20:
        if (first == 'g')
            return same(name, "grpc-accept-encoding", GAL_HDR_GRPC_ACCEPT_ENCODING);
        return same(name, "x-request-timeout-ms", GAL_HDR_X_REQUEST_TIMEOUT_MS);
    case 30:
        return same(name, "x-envoy-expected-rq-timeout-ms", GAL_HDR_X_ENVOY_TIMEOUT_MS);
    case 31:
        return same(name, "inference-header-content-length",
                    GAL_HDR_INFERENCE_HEADER_CONTENT_LENGTH);
    default:
        return GAL_HDR_COUNT;
    }
}

void gal_http_response_header(struct gal_http_response *r, struct gal_str name,
                              struct gal_str value)
{
    GAL_ASSERT(r->header_count < GAL_HTTP_RESPONSE_HEADERS_MAX);
    r->headers[r->header_count++] = (struct gal_header){name, value};
}

/* RFC 9110 15, RFC 6585, and 499 as log readers know it. */
static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {200, "OK"},
    {100, "Continue"},
    {101, "Switching Protocols"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {499, "Client Closed Request"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

const char *gal_http_reason(int status)
{
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Unknown";
}
