/* SPDX-License-Identifier: Apache-2.0 */
/* The parser. llhttp takes heads and chunked bodies apart and calls back with pieces; a body of
 * known length needs no parser, only its bytes.
 *
 *   HEAD -> FIXED, CHUNKED or DONE [on_head]    FIXED -> DONE [parse_fixed]
 *   CHUNKED -> DONE [parse_chunked]             DONE -> HEAD [gal_http1_next]
 *   HEAD, CHUNKED -> FAILED [refuse]            any -> HEAD [gal_http1_reset]
 *
 * However the bytes are cut into calls, the outcome is the same: what is checked here is checked
 * where a piece is complete, and never more than the head's limit is looked at for a head. */
#include "http/http1.h"

#include "base/mem.h"
#include "http/http1_head.h"

#include <llhttp.h>

enum state { STATE_HEAD, STATE_FIXED, STATE_CHUNKED, STATE_DONE, STATE_FAILED };

/* Offset from the buffer's base: the base may move between calls. */
struct span {
    size_t at, n;
};

struct field {
    struct span name, value;
};

struct gal_http1 {
    llhttp_t parser; /* first: the callbacks' argument is the codec too */
    struct gal_http1_limits limits;
    enum state state;
    bool begun;      /* a byte of the request line has come */
    bool refused;    /* a callback has filled err */
    char *base;      /* of this call, */
    size_t seen;     /* with so many bytes */
    size_t fed;      /* of which the parser has taken so many */
    size_t head_end; /* bytes of the head */
    size_t body_at;  /* where the body begins: there, or behind what gal_http1_leave has left */
    size_t body_n;   /* bytes of the body that have been gathered behind the head */
    size_t end;      /* bytes of the request; known in FIXED and DONE */
    enum gal_status failure;
    struct gal_err *err; /* of this call */
    struct span target;
    struct field open; /* the header whose pieces are coming */
    size_t field_count;
    struct field fields[GAL_HTTP_HEADERS_MAX];
    struct gal_http_request request;
};

static struct gal_http1 *codec(llhttp_t *parser)
{
    return (struct gal_http1 *)(void *)parser;
}

/* Pieces of one thing are neighbours: the buffer is contiguous. */
static void span_add(struct gal_http1 *h, struct span *s, const char *at, size_t n)
{
    if (s->n == 0)
        s->at = (size_t)(at - h->base);
    s->n += n;
}

static struct gal_str span_str(const struct gal_http1 *h, struct span s)
{
    return (struct gal_str){h->base + s.at, s.n};
}

/* For callbacks: ends the parse with this error, which must have been put into h->err. */
static int stop(struct gal_http1 *h, enum gal_status code)
{
    h->failure = code;
    h->refused = true;
    return HPE_USER;
}

static enum gal_status target_too_long(struct gal_http1 *h)
{
    return gal_fail(h->err, GAL_URI_TOO_LONG, "the request target is longer than %u bytes",
                    GAL_HTTP_TARGET_BYTES_MAX);
}

static enum gal_status head_too_large(struct gal_http1 *h)
{
    return gal_fail(h->err, GAL_HEAD_TOO_LARGE, "the request head is longer than %zu bytes",
                    h->limits.head_bytes_max);
}

static enum gal_status wrong_version(struct gal_http1 *h)
{
    enum gal_status code =
        gal_fail(h->err, GAL_HTTP_VERSION, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    gal_err_hint(h->err, "speak HTTP/1.1 to this port");
    return code;
}

static enum gal_status body_too_large(struct gal_http1 *h)
{
    return gal_fail(h->err, GAL_TOO_LARGE, "the body is larger than %zu bytes",
                    h->limits.body_bytes_max);
}

/* What a chunked body may take beside its data; see gal_http1_bytes_max. `at` is the first byte
 * that is not accounted for. */
static bool too_much_framing(const struct gal_http1 *h, size_t at)
{
    return at - h->head_end - h->body_n > h->limits.head_bytes_max + h->body_n;
}

static enum gal_status framing_too_large(struct gal_http1 *h)
{
    return gal_fail(h->err, GAL_TOO_LARGE,
                    "the chunks' sizes, extensions and trailers take more bytes than their data");
}

static int on_message_begin(llhttp_t *parser)
{
    codec(parser)->begun = true;
    return 0;
}

static int on_url(llhttp_t *parser, const char *at, size_t n)
{
    struct gal_http1 *h = codec(parser);
    span_add(h, &h->target, at, n);
    return h->target.n > GAL_HTTP_TARGET_BYTES_MAX ? stop(h, target_too_long(h)) : 0;
}

/* Here the parser has set a version only when there was none: HTTP/0.9. */
static int on_url_complete(llhttp_t *parser)
{
    struct gal_http1 *h = codec(parser);
    return parser->http_minor == 9 ? stop(h, wrong_version(h)) : 0;
}

static int on_version_complete(llhttp_t *parser)
{
    struct gal_http1 *h = codec(parser);
    return parser->http_major != 1 ? stop(h, wrong_version(h)) : 0;
}

static int on_header_field(llhttp_t *parser, const char *at, size_t n)
{
    struct gal_http1 *h = codec(parser);
    span_add(h, &h->open.name, at, n);
    return 0;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t n)
{
    struct gal_http1 *h = codec(parser);
    span_add(h, &h->open.value, at, n);
    return 0;
}

static int on_header_value_complete(llhttp_t *parser)
{
    struct gal_http1 *h = codec(parser);
    struct field f = h->open;
    memset(&h->open, 0, sizeof h->open);
    if (h->state != STATE_HEAD)
        return 0; /* a trailer */
    if (h->field_count == GAL_HTTP_HEADERS_MAX)
        return stop(h, gal_fail(h->err, GAL_HEAD_TOO_LARGE, "there are more than %u headers",
                                GAL_HTTP_HEADERS_MAX));
    if (f.value.n == 0)
        f.value.at = f.name.at + f.name.n + 1;
    while (f.value.n && (h->base[f.value.at + f.value.n - 1] == ' ' ||
                         h->base[f.value.at + f.value.n - 1] == '\t'))
        f.value.n--;
    h->fields[h->field_count++] = f;
    return 0;
}

static int on_headers_complete(llhttp_t *parser)
{
    parser->upgrade = 0; /* an Upgrade that is not taken up is ignored (RFC 9110 7.8) */
    return HPE_PAUSED;
}

static int on_chunk_header(llhttp_t *parser)
{
    struct gal_http1 *h = codec(parser);
    return parser->content_length > h->limits.body_bytes_max - h->body_n
               ? stop(h, body_too_large(h))
               : 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t n)
{
    struct gal_http1 *h = codec(parser);
    if (too_much_framing(h, (size_t)(at - h->base)))
        return stop(h, framing_too_large(h));
    char *to = h->base + h->head_end + h->body_n;
    if (to != at)
        memmove(to, at, n);
    h->body_n += n;
    return 0;
}

static int on_message_complete(llhttp_t *parser)
{
    (void)parser;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_message_begin = on_message_begin,
    .on_url = on_url,
    .on_url_complete = on_url_complete,
    .on_version_complete = on_version_complete,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_header_value_complete = on_header_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_chunk_header = on_chunk_header,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* --- errors of the grammar, in words --- */

/* Where the target begins when the parser has not said so. */
static size_t find_target(const struct gal_http1 *h, size_t end)
{
    size_t at = 0;
    while (at < end && (h->base[at] == '\r' || h->base[at] == '\n'))
        at++;
    while (at < end && h->base[at] != ' ')
        at++;
    while (at < end && h->base[at] == ' ')
        at++;
    return at;
}

static enum gal_status explain_method(struct gal_http1 *h, size_t at, unsigned char c)
{
    if (c == 0x16)
        return gal_fail(h->err, GAL_INVALID,
                        "the client speaks TLS, but this port speaks plain HTTP");
    if ((c >= 'A' && c <= 'Z') || c == '-' || c == '_')
        return gal_fail(h->err, GAL_UNSUPPORTED,
                        "the request's method is not one that HTTP knows (byte %zu)", at);
    return gal_fail(h->err, GAL_INVALID,
                    "the request does not begin with a method: 0x%02x at byte %zu", c, at);
}

static enum gal_status explain_target(struct gal_http1 *h, size_t at, unsigned char c)
{
    if (at - find_target(h, at) > GAL_HTTP_TARGET_BYTES_MAX)
        return target_too_long(h);
    return gal_fail(h->err, GAL_INVALID,
                    "the request target is malformed: 0x%02x at byte %zu is not allowed there", c,
                    at);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static enum gal_status explain_version(struct gal_http1 *h, size_t at)
{
    const char *p = h->base + at;
    bool numbered = at >= 3 && is_digit(p[-3]) && p[-2] == '.' && is_digit(p[-1]);
    if (numbered && (h->parser.http_major != 1 || h->parser.http_minor > 1))
        return wrong_version(h);
    return gal_fail(h->err, GAL_INVALID,
                    "the request line must end in HTTP/1.1 and CR LF (byte %zu)", at);
}

/* The protocol is not HTTP, or it is, and the method is another protocol's. */
static enum gal_status explain_protocol(struct gal_http1 *h, size_t at)
{
    if (at >= 5 && memcmp(h->base + at - 5, "HTTP/", 5) == 0)
        return gal_fail(h->err, GAL_UNSUPPORTED, "the request's method is not one of HTTP's");
    return explain_version(h, at);
}

/* The parser stops before a number would overflow. */
static bool overflown(const struct gal_http1 *h)
{
    return h->parser.content_length > UINT64_MAX / 32;
}

static enum gal_status explain_length(struct gal_http1 *h, size_t at)
{
    if (h->parser.flags & F_TRANSFER_ENCODING)
        return gal_fail(h->err, GAL_INVALID,
                        "both Content-Length and Transfer-Encoding are sent (byte %zu)", at);
    if (overflown(h))
        return body_too_large(h);
    return gal_fail(h->err, GAL_INVALID,
                    "the header Content-Length is not a number of bytes (byte %zu)", at);
}

static enum gal_status explain_coding(struct gal_http1 *h, size_t at)
{
    if (h->parser.flags & F_CONTENT_LENGTH)
        return gal_fail(h->err, GAL_INVALID,
                        "both Content-Length and Transfer-Encoding are sent (byte %zu)", at);
    return gal_fail(h->err, GAL_INVALID,
                    "the header Transfer-Encoding has something behind chunked (byte %zu)", at);
}

/* The parser stops at the bad byte of a header line or just behind it: a line feed alone, a space
 * in a name, or a space that begins a line. */
static size_t bad_byte(const struct gal_http1 *h, size_t at, bool in_value)
{
    if (at < 2)
        return at;
    char last = h->base[at - 1];
    char before = h->base[at - 2];
    if (last == '\n')
        return before == '\r' ? at : at - 1;
    if ((last == ' ' || last == '\t') && (before == '\n' || !in_value))
        return at - 1;
    return at;
}

/* In a header: its name is known once the colon has been read. */
static enum gal_status explain_header(struct gal_http1 *h, size_t at)
{
    struct span open = h->open.name;
    const char *what = h->state == STATE_HEAD ? "header" : "trailer";
    bool in_value = open.n && at > open.at + open.n && h->base[open.at + open.n] == ':';
    at = bad_byte(h, at, in_value);
    unsigned char c = at < h->seen ? (unsigned char)h->base[at] : 0;
    if (!in_value)
        return gal_fail(h->err, GAL_INVALID,
                        "a %s's name holds 0x%02x at byte %zu, which is not allowed there", what, c,
                        at);
    int name_n = open.n < 64 ? (int)open.n : 64;
    if ((c == ' ' || c == '\t') && h->base[at - 1] == '\n')
        return gal_fail(h->err, GAL_INVALID, "the %s %.*s is folded over two lines (byte %zu)",
                        what, name_n, h->base + open.at, at);
    return gal_fail(h->err, GAL_INVALID,
                    "the %s %.*s holds 0x%02x at byte %zu, which is not allowed there", what,
                    name_n, h->base + open.at, c, at);
}

static enum gal_status explain_chunk_size(struct gal_http1 *h, size_t at, unsigned char c)
{
    if (overflown(h))
        return body_too_large(h);
    return gal_fail(h->err, GAL_INVALID,
                    "a chunk's size is not a hexadecimal number: 0x%02x at byte %zu", c, at);
}

static enum gal_status explain(struct gal_http1 *h, llhttp_errno_t e, size_t at)
{
    unsigned char c = at < h->seen ? (unsigned char)h->base[at] : 0;
    switch (e) {
    case HPE_INVALID_METHOD:
        return explain_method(h, at, c);
    case HPE_INVALID_URL:
        return explain_target(h, at, c);
    case HPE_INVALID_VERSION:
        return explain_version(h, at);
    case HPE_INVALID_CONSTANT:
        return explain_protocol(h, at);
    case HPE_UNEXPECTED_SPACE:
    case HPE_INVALID_HEADER_TOKEN:
        return explain_header(h, at);
    case HPE_INVALID_CONTENT_LENGTH:
        return explain_length(h, at);
    case HPE_UNEXPECTED_CONTENT_LENGTH:
        return gal_fail(h->err, GAL_INVALID, "the header Content-Length is sent twice (byte %zu)",
                        at);
    case HPE_INVALID_TRANSFER_ENCODING:
        return explain_coding(h, at);
    case HPE_INVALID_CHUNK_SIZE:
        return explain_chunk_size(h, at, c);
    case HPE_CR_EXPECTED:
    case HPE_LF_EXPECTED:
        return gal_fail(h->err, GAL_INVALID,
                        "a line does not end in CR LF, but in one of them alone (byte %zu)", at);
    default:
        return gal_fail(h->err, GAL_INVALID, "%s: 0x%02x at byte %zu is not what HTTP asks for",
                        h->state == STATE_HEAD ? "the request head is malformed"
                                               : "the chunked body is malformed",
                        c, at);
    }
}

/* --- the request as handlers see it --- */

/* Nothing is known: what a handler of refusals may read. */
static void blank_request(struct gal_http1 *h)
{
    struct gal_http_request *r = &h->request;
    const struct gal_str none = {NULL, 0};
    r->method = GAL_METHOD_OTHER;
    r->version_major = r->version_minor = 1;
    r->target = r->path = r->query = r->body = none;
    memset(r->known, 0, sizeof r->known);
    r->header_count = 0;
    r->content_length = -1;
    r->chunked = r->keep_alive = r->expect_continue = false;
}

static enum gal_method method_of(const llhttp_t *parser)
{
    switch (parser->method) {
    case HTTP_GET:
        return GAL_METHOD_GET;
    case HTTP_HEAD:
        return GAL_METHOD_HEAD;
    case HTTP_POST:
        return GAL_METHOD_POST;
    case HTTP_PUT:
        return GAL_METHOD_PUT;
    case HTTP_DELETE:
        return GAL_METHOD_DELETE;
    case HTTP_OPTIONS:
        return GAL_METHOD_OPTIONS;
    case HTTP_PATCH:
        return GAL_METHOD_PATCH;
    default:
        return GAL_METHOD_OTHER;
    }
}

/* Made anew when the buffer has moved: the head is still there, and what was right stays right. */
static enum gal_status read_request(struct gal_http1 *h)
{
    struct gal_http_request *r = &h->request;
    blank_request(h);
    r->method = method_of(&h->parser);
    r->version_minor = h->parser.http_minor;
    r->keep_alive = llhttp_should_keep_alive(&h->parser);
    r->target = span_str(h, h->target);
    r->header_count = h->field_count;
    for (size_t i = 0; i < h->field_count; i++)
        r->headers[i] =
            (struct gal_header){span_str(h, h->fields[i].name), span_str(h, h->fields[i].value)};
    return gal_http1_check_head(r, h->base, &h->limits, h->err);
}

/* --- steps --- */

static enum gal_http1_step refuse(struct gal_http1 *h, enum gal_status code)
{
    if (h->state == STATE_HEAD && h->head_end == 0)
        blank_request(h);
    h->request.keep_alive = false;
    h->state = STATE_FAILED;
    h->failure = code;
    return GAL_HTTP1_ERROR;
}

static enum gal_http1_step refuse_parse(struct gal_http1 *h, llhttp_errno_t e)
{
    size_t at = (size_t)(llhttp_get_error_pos(&h->parser) - h->base);
    if (h->refused)
        return refuse(h, h->failure);
    if (h->state == STATE_CHUNKED && too_much_framing(h, at))
        return refuse(h, framing_too_large(h));
    return refuse(h, explain(h, e, at));
}

static enum gal_http1_step done(struct gal_http1 *h, size_t end)
{
    h->end = end;
    h->state = STATE_DONE;
    h->request.body = (struct gal_str){h->base + h->body_at, h->body_n};
    return GAL_HTTP1_DONE;
}

static enum gal_http1_step on_head(struct gal_http1 *h)
{
    h->head_end = (size_t)(llhttp_get_error_pos(&h->parser) - h->base);
    h->fed = h->body_at = h->head_end;
    enum gal_status status = read_request(h);
    if (h->parser.method == HTTP_CONNECT)
        status = gal_fail(h->err, GAL_METHOD, "CONNECT is for proxies, this is none");
    if (status != GAL_OK)
        return refuse(h, status);
    if (h->request.chunked) {
        llhttp_resume(&h->parser);
        h->state = STATE_CHUNKED;
        return GAL_HTTP1_HEAD;
    }
    if (h->request.content_length <= 0)
        return done(h, h->head_end);
    h->end = h->head_end + (size_t)h->request.content_length;
    h->state = STATE_FIXED;
    return GAL_HTTP1_HEAD;
}

static enum gal_http1_step parse_head(struct gal_http1 *h)
{
    size_t max = h->limits.head_bytes_max;
    size_t end = h->seen < max ? h->seen : max;
    if (h->fed < end) {
        llhttp_errno_t e = llhttp_execute(&h->parser, h->base + h->fed, end - h->fed);
        if (e == HPE_PAUSED)
            return on_head(h);
        if (e != HPE_OK)
            return refuse_parse(h, e);
        h->fed = end;
    }
    return end < max ? GAL_HTTP1_MORE : refuse(h, head_too_large(h));
}

static enum gal_http1_step parse_fixed(struct gal_http1 *h)
{
    if (h->seen < h->end)
        return GAL_HTTP1_MORE;
    h->body_n = h->end - h->body_at;
    return done(h, h->end);
}

static enum gal_http1_step parse_chunked(struct gal_http1 *h)
{
    llhttp_errno_t e = HPE_OK;
    if (h->fed < h->seen)
        e = llhttp_execute(&h->parser, h->base + h->fed, h->seen - h->fed);
    h->fed = h->seen;
    if (e == HPE_PAUSED)
        h->fed = (size_t)(llhttp_get_error_pos(&h->parser) - h->base);
    else if (e != HPE_OK)
        return refuse_parse(h, e);
    if (too_much_framing(h, h->fed))
        return refuse(h, framing_too_large(h));
    return e == HPE_PAUSED ? done(h, h->fed) : GAL_HTTP1_MORE;
}

enum gal_http1_step gal_http1_parse(struct gal_http1 *h, char *base, size_t n, struct gal_err *err)
{
    GAL_ASSERT(n >= h->seen);
    bool moved = h->base != base;
    h->base = base;
    h->seen = n;
    h->err = err;
    if (moved && h->head_end && h->state != STATE_FAILED)
        (void)read_request(h);
    switch (h->state) {
    case STATE_HEAD:
        return parse_head(h);
    case STATE_FIXED:
        return parse_fixed(h);
    case STATE_CHUNKED:
        return parse_chunked(h);
    case STATE_DONE:
        return done(h, h->end);
    case STATE_FAILED:
        break;
    }
    (void)gal_fail(err, h->failure, "the connection has failed before");
    return GAL_HTTP1_ERROR;
}

/* --- life --- */

static void start(struct gal_http1 *h)
{
    llhttp_reset(&h->parser);
    h->state = STATE_HEAD;
    h->begun = h->refused = false;
    h->base = NULL;
    h->seen = h->fed = h->head_end = h->body_at = h->body_n = h->end = 0;
    memset(&h->target, 0, sizeof h->target);
    memset(&h->open, 0, sizeof h->open);
    h->field_count = 0;
}

enum gal_status gal_http1_new(struct gal_http1 **out, const struct gal_http1_limits *limits,
                              struct gal_err *err)
{
    struct gal_http1 *h = gal_alloc(sizeof *h);
    if (!h)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for an HTTP connection");
    llhttp_init(&h->parser, HTTP_REQUEST, &settings);
    gal_http1_reset(h, limits);
    *out = h;
    return GAL_OK;
}

void gal_http1_free(struct gal_http1 *h)
{
    gal_free(h);
}

void gal_http1_reset(struct gal_http1 *h, const struct gal_http1_limits *limits)
{
    h->limits = *limits;
    start(h);
    blank_request(h);
}

size_t gal_http1_bytes_max(const struct gal_http1_limits *limits)
{
    return 2 * (limits->head_bytes_max + limits->body_bytes_max);
}

struct gal_http_request *gal_http1_request(struct gal_http1 *h)
{
    return &h->request;
}

size_t gal_http1_want(const struct gal_http1 *h)
{
    return h->state == STATE_FIXED && h->end > h->seen ? h->end - h->seen : 0;
}

size_t gal_http1_body_at(const struct gal_http1 *h)
{
    return h->state == STATE_FIXED ? h->body_at : 0;
}

void gal_http1_leave(struct gal_http1 *h, size_t gap)
{
    GAL_ASSERT(h->state == STATE_FIXED && h->seen < h->end);
    h->body_at += gap;
    h->seen += gap;
    h->end += gap;
}

size_t gal_http1_end(const struct gal_http1 *h)
{
    return h->end;
}

bool gal_http1_in_head(const struct gal_http1 *h)
{
    return h->state == STATE_HEAD && h->begun;
}

bool gal_http1_idle(const struct gal_http1 *h)
{
    return h->state == STATE_HEAD && !h->begun;
}

size_t gal_http1_next(struct gal_http1 *h)
{
    GAL_ASSERT(h->state == STATE_DONE);
    size_t end = h->end;
    start(h);
    return end;
}
