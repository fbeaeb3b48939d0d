/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "http/http1.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct gal_http1_limits usual = {GAL_HTTP_HEAD_BYTES_MAX, 1u << 20};

static struct gal_http1 *codec(void)
{
    struct gal_http1 *h = NULL;
    assert_int_equal(gal_http1_new(&h, &usual, NULL), GAL_OK);
    return h;
}

/* Bytes in memory of their own size, so that a sanitizer sees one byte read too many; growing
 * moves them. */
struct input {
    char *p;
    size_t n;
};

static void input_add(struct input *in, const char *p, size_t n)
{
    char *grown = malloc(in->n + n);
    assert_non_null(grown);
    if (in->n)
        memcpy(grown, in->p, in->n);
    memcpy(grown + in->n, p, n);
    free(in->p);
    in->p = grown;
    in->n += n;
}

static void input_shift(struct input *in, size_t n)
{
    assert_true(n <= in->n);
    memmove(in->p, in->p + n, in->n - n);
    in->n -= n;
}

/* Feeds `text` in pieces of `piece` bytes until a step other than MORE; goes on behind HEAD. */
static enum gal_http1_step feed(struct gal_http1 *h, struct input *in, struct gal_str text,
                                size_t piece, struct gal_err *err)
{
    enum gal_http1_step step = GAL_HTTP1_MORE;
    size_t at = 0;
    while (at < text.n && step == GAL_HTTP1_MORE) {
        size_t n = text.n - at < piece ? text.n - at : piece;
        input_add(in, text.p + at, n);
        at += n;
        step = gal_http1_parse(h, in->p, in->n, err);
        if (step == GAL_HTTP1_HEAD)
            step = gal_http1_parse(h, in->p, in->n, err);
        assert_int_not_equal(step, GAL_HTTP1_HEAD);
    }
    if (step != GAL_HTTP1_MORE && at < text.n)
        input_add(in, text.p + at, text.n - at); /* belongs to the next request */
    return step;
}

/* A request that is complete in one call. */
static struct gal_http_request *parse_whole(struct gal_http1 *h, struct input *in, const char *text)
{
    struct gal_err err;
    enum gal_http1_step step = feed(h, in, gal_str_of(text), strlen(text), &err);
    if (step == GAL_HTTP1_ERROR)
        print_error("%s\n", err.message);
    assert_int_equal(step, GAL_HTTP1_DONE);
    return gal_http1_request(h);
}

static void assert_str(struct gal_str s, const char *want)
{
    char text[512];
    assert_true(s.n < sizeof text);
    if (s.n)
        memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    assert_string_equal(text, want);
}

static void a_get_is_complete_with_its_head(void **state)
{
    (void)state;
    struct gal_http1 *h = codec();
    struct input in = {0};
    struct gal_http_request *r = parse_whole(h, &in,
                                             "GET /v2/models/iris?a=1&b=%20 HTTP/1.1\r\n"
                                             "Host: localhost:8080\r\n"
                                             "User-Agent:curl/8 \t\r\n"
                                             "ACCEPT:   */*\r\n"
                                             "X-Empty:\r\n"
                                             "x-request-ID: 7\r\n\r\n");
    assert_int_equal(r->method, GAL_METHOD_GET);
    assert_int_equal(r->version_major, 1);
    assert_int_equal(r->version_minor, 1);
    assert_str(r->target, "/v2/models/iris?a=1&b=%20");
    assert_str(r->path, "/v2/models/iris");
    assert_str(r->query, "a=1&b=%20");
    assert_str(r->known[GAL_HDR_HOST], "localhost:8080");
    assert_str(r->known[GAL_HDR_USER_AGENT], "curl/8");
    assert_str(r->known[GAL_HDR_ACCEPT], "*/*");
    assert_str(r->known[GAL_HDR_X_REQUEST_ID], "7");
    assert_null(r->known[GAL_HDR_CONTENT_TYPE].p);
    assert_int_equal(r->header_count, 5);
    assert_str(r->headers[3].name, "X-Empty");
    assert_non_null(r->headers[3].value.p);
    assert_str(r->headers[3].value, "");
    assert_int_equal(r->content_length, -1);
    assert_true(r->keep_alive);
    assert_int_equal(r->body.n, 0);
    assert_int_equal(gal_http1_next(h), in.n);
    assert_true(gal_http1_idle(h));
    gal_http1_free(h);
    free(in.p);
}

static void a_body_of_known_length_is_announced_once(void **state)
{
    (void)state;
    struct gal_http1 *h = codec();
    struct gal_err err;
    char text[] = "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET";
    size_t head = strlen(text) - 8;
    assert_int_equal(gal_http1_parse(h, text, 10, &err), GAL_HTTP1_MORE);
    assert_true(gal_http1_in_head(h));
    assert_false(gal_http1_idle(h));
    assert_int_equal(gal_http1_want(h), 0);
    assert_int_equal(gal_http1_end(h), 0);
    assert_int_equal(gal_http1_parse(h, text, head + 2, &err), GAL_HTTP1_HEAD);
    assert_int_equal(gal_http1_end(h), head + 5);
    assert_false(gal_http1_in_head(h));
    assert_int_equal(gal_http1_request(h)->content_length, 5);
    assert_str(gal_http1_request(h)->path, "/p");
    assert_int_equal(gal_http1_want(h), 3);
    assert_int_equal(gal_http1_parse(h, text, head + 2, &err), GAL_HTTP1_MORE);
    assert_int_equal(gal_http1_parse(h, text, head + 4, &err), GAL_HTTP1_MORE);
    assert_int_equal(gal_http1_want(h), 1);
    assert_int_equal(gal_http1_parse(h, text, head + 8, &err), GAL_HTTP1_DONE);
    assert_int_equal(gal_http1_want(h), 0);
    assert_str(gal_http1_request(h)->body, "hello");
    assert_int_equal(gal_http1_next(h), head + 5);
    gal_http1_free(h);
}

/* As the bytes come, moved: the request and what follows it are the same. */
static void a_body_may_begin_further_back(void **state)
{
    (void)state;
    static const char head[] = "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
    const size_t at = sizeof head - 1, gap = 7;
    struct gal_http1 *h = codec();
    struct gal_err err;
    char text[256];
    size_t n = at + 2;
    memcpy(text, head, at);
    memcpy(text + at, "he", 2);
    assert_int_equal(gal_http1_parse(h, text, at - 1, &err), GAL_HTTP1_MORE);
    assert_int_equal(gal_http1_body_at(h), 0);
    assert_int_equal(gal_http1_parse(h, text, n, &err), GAL_HTTP1_HEAD);
    assert_int_equal(gal_http1_body_at(h), at);
    memmove(text + at + gap, text + at, 2);
    memset(text + at, 'x', gap);
    gal_http1_leave(h, gap);
    n += gap;
    assert_int_equal(gal_http1_body_at(h), at + gap);
    assert_int_equal(gal_http1_want(h), 3);
    assert_int_equal(gal_http1_end(h), at + gap + 5);
    assert_int_equal(gal_http1_parse(h, text, n, &err), GAL_HTTP1_MORE);
    memcpy(text + n, "lloGET", 6);
    assert_int_equal(gal_http1_parse(h, text, n + 6, &err), GAL_HTTP1_DONE);
    assert_str(gal_http1_request(h)->body, "hello");
    assert_str(gal_http1_request(h)->known[GAL_HDR_HOST], "a");
    assert_int_equal(gal_http1_body_at(h), 0);
    assert_int_equal(gal_http1_next(h), at + gap + 5);
    gal_http1_free(h);
}

static void an_empty_body_is_not_announced(void **state)
{
    (void)state;
    struct gal_http1 *h = codec();
    struct gal_err err;
    char text[] = "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    assert_int_equal(gal_http1_parse(h, text, strlen(text), &err), GAL_HTTP1_DONE);
    assert_int_equal(gal_http1_request(h)->content_length, 0);
    assert_int_equal(gal_http1_request(h)->body.n, 0);
    gal_http1_free(h);
}

static void a_chunked_body_becomes_one_piece(void **state)
{
    (void)state;
    struct gal_http1 *h = codec();
    struct input in = {0};
    struct gal_http_request *r =
        parse_whole(h, &in,
                    "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"
                    "3;name=value;q=\"a "
                    "b\"\r\nabc\r\n1\r\nd\r\n00A\r\nefghijklmn\r\n0\r\nX-Trailer: yes\r\n\r\n");
    assert_true(r->chunked);
    assert_int_equal(r->content_length, -1);
    assert_str(r->body, "abcdefghijklmn");
    assert_int_equal(r->header_count, 2); /* trailers are no headers */
    assert_int_equal(gal_http1_next(h), in.n);
    gal_http1_free(h);
    free(in.p);
}

static void requests_in_one_buffer_come_one_after_another(void **state)
{
    (void)state;
    struct gal_http1 *h = codec();
    struct gal_err err;
    struct input in = {0};
    struct gal_str text = GAL_STR("\r\n\r\nGET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
                                  "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi\r\n"
                                  "POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
                                  "\r\n2\r\nyo\r\n0\r\n\r\n"
                                  "GET /4 HTTP/1.1\r\nHost: b\r\n\r\n");
    static const char *const paths[] = {"/1", "/2", "/3", "/4"};
    static const char *const bodies[] = {"", "hi", "yo", ""};
    input_add(&in, text.p, text.n);
    for (int i = 0; i < 4; i++) {
        enum gal_http1_step step = gal_http1_parse(h, in.p, in.n, &err);
        if (step == GAL_HTTP1_HEAD)
            step = gal_http1_parse(h, in.p, in.n, &err);
        assert_int_equal(step, GAL_HTTP1_DONE);
        assert_str(gal_http1_request(h)->path, paths[i]);
        assert_str(gal_http1_request(h)->body, bodies[i]);
        input_shift(&in, gal_http1_next(h));
    }
    assert_int_equal(in.n, 0);
    gal_http1_free(h);
    free(in.p);
}

static void empty_lines_before_a_request_are_no_request(void **state)
{
    (void)state;
    struct gal_http1 *h = codec();
    struct gal_err err;
    char text[] = "\r\n\r\nG";
    assert_int_equal(gal_http1_parse(h, text, 4, &err), GAL_HTTP1_MORE);
    assert_true(gal_http1_idle(h));
    assert_false(gal_http1_in_head(h));
    assert_int_equal(gal_http1_parse(h, text, 5, &err), GAL_HTTP1_MORE);
    assert_false(gal_http1_idle(h));
    assert_true(gal_http1_in_head(h));
    gal_http1_free(h);
}

static void slices_follow_the_buffer_when_it_moves(void **state)
{
    (void)state;
    struct gal_http1 *h = codec();
    struct gal_err err;
    struct input in = {0};
    struct gal_str head =
        GAL_STR("POST http://h?q HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n");
    struct gal_str more = GAL_STR("abcd");
    input_add(&in, head.p, head.n);
    assert_int_equal(gal_http1_parse(h, in.p, in.n, &err), GAL_HTTP1_HEAD);
    input_add(&in, more.p, more.n); /* frees what the slices pointed to */
    assert_int_equal(gal_http1_parse(h, in.p, in.n, &err), GAL_HTTP1_DONE);
    input_add(&in, more.p, more.n);
    assert_int_equal(gal_http1_parse(h, in.p, in.n, &err), GAL_HTTP1_DONE);
    struct gal_http_request *r = gal_http1_request(h);
    assert_ptr_equal(r->target.p, in.p + 5);
    assert_str(r->path, "/");
    assert_str(r->query, "q");
    assert_str(r->known[GAL_HDR_HOST], "a");
    assert_str(r->headers[1].name, "Content-Length");
    assert_str(r->body, "abc");
    assert_ptr_equal(r->body.p, in.p + head.n);
    gal_http1_free(h);
    free(in.p);
}

static void targets_come_in_all_their_forms(void **state)
{
    static const struct {
        const char *line, *path, *query;
    } rows[] = {
        {"GET / HTTP/1.1", "/", ""},
        {"GET /? HTTP/1.1", "/", ""},
        {"GET /a?b?c HTTP/1.1", "/a", "b?c"},
        {"GET http://example.org/a/b?c=d HTTP/1.1", "/a/b", "c=d"},
        {"GET HTTPS://example.org:8/ HTTP/1.1", "/", ""},
        {"GET http://example.org HTTP/1.1", "/", ""},
        {"GET http://example.org?x=/ HTTP/1.1", "/", "x=/"},
        {"OPTIONS * HTTP/1.1", "*", ""},
        {"DELETE //a HTTP/1.1", "//a", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct gal_http1 *h = codec();
        struct input in = {0};
        char text[256];
        snprintf(text, sizeof text, "%s\r\nHost: a\r\n\r\n", rows[i].line);
        struct gal_http_request *r = parse_whole(h, &in, text);
        assert_str(r->path, rows[i].path);
        assert_str(r->query, rows[i].query);
        gal_http1_free(h);
        free(in.p);
    }
}

static void connections_stay_open_as_the_versions_have_it(void **state)
{
    static const struct {
        const char *version, *header;
        bool keep_alive;
    } rows[] = {
        {"1.1", "X: y", true},
        {"1.1", "Connection: close", false},
        {"1.1", "Connection: Upgrade, Close", false},
        {"1.1", "Connection: keep-alive", true},
        {"1.0", "X: y", false},
        {"1.0", "Connection: keep-alive", true},
        {"1.0", "Connection: close", false},
        {"1.1", "Connection: upgrade\r\nUpgrade: h2c", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct gal_http1 *h = codec();
        struct input in = {0};
        char text[256];
        snprintf(text, sizeof text, "GET / HTTP/%s\r\nHost: a\r\n%s\r\n\r\n", rows[i].version,
                 rows[i].header);
        assert_int_equal(parse_whole(h, &in, text)->keep_alive, rows[i].keep_alive);
        assert_int_equal(gal_http1_next(h), in.n);
        gal_http1_free(h);
        free(in.p);
    }
}

static void an_upgrade_that_is_not_taken_up_does_not_change_the_body(void **state)
{
    (void)state;
    struct gal_http1 *h = codec();
    struct input in = {0};
    struct gal_http_request *r = parse_whole(h, &in,
                                             "POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n"
                                             "Upgrade: websocket\r\nContent-Length: 2\r\n\r\nhi");
    assert_str(r->body, "hi");
    gal_http1_free(h);
    free(in.p);
}

static void a_client_may_wait_for_100_continue(void **state)
{
    (void)state;
    struct gal_http1 *h = codec();
    struct gal_err err;
    char text[] = "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n";
    assert_int_equal(gal_http1_parse(h, text, strlen(text), &err), GAL_HTTP1_HEAD);
    assert_true(gal_http1_request(h)->expect_continue);
    gal_http1_reset(h, &usual);
    char old[] = "PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n";
    assert_int_equal(gal_http1_parse(h, old, strlen(old), &err), GAL_HTTP1_HEAD);
    assert_false(gal_http1_request(h)->expect_continue);
    gal_http1_free(h);
}

/* --- what is refused --- */

#define HOST "Host: a\r\n"
#define CHUNKED "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"

struct refusal {
    struct gal_str text;
    enum gal_status code;
    const char *words; /* in the message */
};
#define REFUSE(text, code, words)                                                                  \
    {                                                                                              \
        {text, sizeof(text) - 1}, GAL_##code, words                                                \
    }

static const struct refusal refusals[] = {
    /* request line */
    REFUSE("\x16\x03\x01\x02\x00\x01", INVALID, "TLS"),
    REFUSE("\x00\x01", INVALID, "0x00 at byte 0"),
    REFUSE("get / HTTP/1.1\r\n" HOST "\r\n", INVALID, "0x67 at byte 0"),
    REFUSE("BREW / HTTP/1.1\r\n" HOST "\r\n", UNSUPPORTED, "not one that HTTP knows"),
    REFUSE("DESCRIBE / HTTP/1.1\r\n" HOST "\r\n", UNSUPPORTED, "not one of HTTP's"),
    REFUSE("GET\t/ HTTP/1.1\r\n" HOST "\r\n", INVALID, "byte 3"),
    REFUSE("GET / HTTP/2.0\r\n\r\n", HTTP_VERSION, "HTTP/1.1"),
    REFUSE("GET / HTTP/3.1\r\n\r\n", HTTP_VERSION, "HTTP/1.1"),
    REFUSE("GET / HTTP/1.2\r\n\r\n", HTTP_VERSION, "HTTP/1.1"),
    REFUSE("GET / HTTP/0.9\r\n\r\n", HTTP_VERSION, "HTTP/1.1"),
    REFUSE("GET /\r\n\r\n", HTTP_VERSION, "HTTP/1.1"),
    REFUSE("GET /\n\n", HTTP_VERSION, "HTTP/1.1"),
    REFUSE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HTTP_VERSION, "HTTP/1.1"),
    REFUSE("GET / HTTP/x.1\r\n\r\n", INVALID, "HTTP/1.1"),
    REFUSE("GET / HTTP/1.x\r\n\r\n", INVALID, "HTTP/1.1"),
    REFUSE("GET / HTTP/11\r\n\r\n", INVALID, "HTTP/1.1"),
    REFUSE("GET / HTTP/1.1 \r\n\r\n", INVALID, "byte 14"),
    REFUSE("GET / HTTP/1.10\r\n\r\n", INVALID, "byte 14"),
    REFUSE("GET / HTTP/1.1\n" HOST "\r\n", INVALID, "CR LF"),
    REFUSE("GET / http/1.1\r\n" HOST "\r\n", INVALID, "HTTP/1.1"),
    REFUSE("OPTIONS * RTSP/1.0\r\n" HOST "\r\n", INVALID, "HTTP/1.1"),
    REFUSE("GET  / HTTP/1.1\r\n" HOST "\r\n", INVALID, "more than one space"),
    REFUSE("GET /  HTTP/1.1\r\n" HOST "\r\n", INVALID, "one space"),
    REFUSE("GET HTTP/1.1\r\n" HOST "\r\n", INVALID, "target"),
    /* target */
    REFUSE("GET /a\x01 HTTP/1.1\r\n" HOST "\r\n", INVALID, "0x01 at byte 6"),
    REFUSE("GET /a\x00 HTTP/1.1\r\n" HOST "\r\n", INVALID, "0x00 at byte 6"),
    REFUSE("GET /\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n", INVALID, "0xc3 at byte 5"),
    REFUSE("GET /a\x7f HTTP/1.1\r\n" HOST "\r\n", INVALID, "0x7f at byte 6"),
    REFUSE("GET /a#b HTTP/1.1\r\n" HOST "\r\n", INVALID, "0x23"),
    REFUSE("GET a/b HTTP/1.1\r\n" HOST "\r\n", INVALID, "target"),
    REFUSE("GET * HTTP/1.1\r\n" HOST "\r\n", INVALID, "OPTIONS"),
    REFUSE("GET *a HTTP/1.1\r\n" HOST "\r\n", INVALID, "must begin with /"),
    REFUSE("GET ftp://a/b HTTP/1.1\r\n" HOST "\r\n", INVALID, "must begin with /"),
    REFUSE("GET http:///b HTTP/1.1\r\n" HOST "\r\n", INVALID, "must begin with /"),
    REFUSE("GET example.org:80 HTTP/1.1\r\n" HOST "\r\n", INVALID, "target"),
    REFUSE("CONNECT example.org:80 HTTP/1.1\r\n" HOST "\r\n", METHOD, "CONNECT"),
    REFUSE("CONNECT / HTTP/1.1\r\n" HOST "\r\n", METHOD, "CONNECT"),
    /* header lines */
    REFUSE("GET / HTTP/1.1\r\n Host: a\r\n\r\n", INVALID, "name holds 0x20 at byte 16"),
    REFUSE("GET / HTTP/1.1\r\nHost : a\r\n\r\n", INVALID, "name holds 0x20 at byte 20"),
    REFUSE("GET / HTTP/1.1\r\n" HOST "Connection : close\r\n\r\n", INVALID,
           "name holds 0x20 at byte 35"),
    REFUSE("GET / HTTP/1.1\r\n: a\r\n\r\n", INVALID, "name holds 0x3a at byte 16"),
    REFUSE("GET / HTTP/1.1\r\nHo(st: a\r\n\r\n", INVALID, "name holds 0x28 at byte 18"),
    REFUSE("GET / HTTP/1.1\r\nH\xc3\xb6st: a\r\n\r\n", INVALID, "name holds 0xc3 at byte 17"),
    REFUSE("GET / HTTP/1.1\r\nHost\r\n\r\n", INVALID, "name holds 0x0d at byte 20"),
    REFUSE("GET / HTTP/1.1\r\nHost: a\r\nX: a\x00"
           "b\r\n\r\n",
           INVALID, "header X holds 0x00 at byte 29"),
    REFUSE("GET / HTTP/1.1\r\nHost: a\r\nX: a\x1b\r\n\r\n", INVALID,
           "header X holds 0x1b at byte 29"),
    REFUSE("GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n", INVALID,
           "header X holds 0x7f at byte 28"),
    REFUSE("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", INVALID, "header X is folded"),
    REFUSE("GET / HTTP/1.1\r\nHost: a\r\nX:\r\n\tb\r\n\r\n", INVALID, "header X is folded"),
    REFUSE("GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", INVALID, "does not end in CR LF"),
    REFUSE("GET / HTTP/1.1\r\nHost:\nX: b\r\n\r\n", INVALID, "header Host holds 0x0a at byte 21"),
    REFUSE("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", INVALID, "does not end in CR LF"),
    REFUSE("GET / HTTP/1.1\r\nHost: a\r\n\n", INVALID, "0x0a at byte 25"),
    REFUSE("GET / HTTP/1.1\r\nHost: a\r\n\rX", INVALID, "malformed"),
    /* Host */
    REFUSE("GET / HTTP/1.1\r\n\r\n", INVALID, "Host is missing"),
    REFUSE("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", INVALID, "Host is sent twice (byte 25)"),
    REFUSE("GET / HTTP/1.0\r\nHost: a\r\nHOST: b\r\n\r\n", INVALID, "Host is sent twice"),
    REFUSE("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", INVALID, "not a host name and port (byte 23)"),
    REFUSE("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", INVALID, "not a host name and port"),
    REFUSE("GET / HTTP/1.1\r\nHost: u@b\r\n\r\n", INVALID, "not a host name and port"),
    /* framing */
    REFUSE("POST / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n", INVALID, "Content-Length"),
    REFUSE("POST / HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\n", INVALID, "Content-Length"),
    REFUSE("POST / HTTP/1.1\r\n" HOST "Content-Length: 0x1\r\n\r\n", INVALID, "Content-Length"),
    REFUSE("POST / HTTP/1.1\r\n" HOST "Content-Length: 1 2\r\n\r\n", INVALID, "Content-Length"),
    REFUSE("POST / HTTP/1.1\r\n" HOST "Content-Length: 1,1\r\n\r\n", INVALID, "Content-Length"),
    REFUSE("POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n", INVALID, "Content-Length"),
    REFUSE("POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", INVALID,
           "Content-Length is sent twice"),
    REFUSE("POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", INVALID,
           "Content-Length is sent twice"),
    REFUSE("POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
           INVALID, "both Content-Length and Transfer-Encoding"),
    REFUSE("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
           INVALID, "both Content-Length and Transfer-Encoding"),
    REFUSE("POST / HTTP/1.1\r\n" HOST "Content-Length: 1048577\r\n\r\n", TOO_LARGE, "1048577"),
    REFUSE("POST / HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551615\r\n\r\n", TOO_LARGE,
           "at most 1048576"),
    REFUSE("POST / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999999\r\n\r\n", TOO_LARGE,
           "larger than 1048576"),
    REFUSE("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n", UNSUPPORTED, "chunked"),
    REFUSE("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n", UNSUPPORTED,
           "chunked"),
    REFUSE("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n\r\n", UNSUPPORTED, "chunked"),
    REFUSE("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n", UNSUPPORTED,
           "chunked"),
    REFUSE("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunkedx\r\n\r\n", UNSUPPORTED,
           "chunked"),
    REFUSE("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, gzip\r\n\r\n", INVALID,
           "behind chunked"),
    REFUSE("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"
           "\r\n",
           INVALID, "Transfer-Encoding"),
    REFUSE("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"
           "\r\n",
           INVALID, "Transfer-Encoding is sent twice"),
    REFUSE("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", INVALID, "HTTP/1.0"),
    REFUSE("POST / HTTP/1.1\r\n" HOST "Expect: 200-ok\r\nContent-Length: 1\r\n\r\n", EXPECTATION,
           "100-continue"),
    /* chunks */
    REFUSE(CHUNKED "x\r\n", INVALID, "0x78 at byte 56"),
    REFUSE(CHUNKED "-1\r\n", INVALID, "hexadecimal"),
    REFUSE(CHUNKED "\r\n", INVALID, "hexadecimal"),
    REFUSE(CHUNKED "1 \r\na", INVALID, "chunk"),
    REFUSE(CHUNKED "1\nabc", INVALID, "CR LF"),
    REFUSE(CHUNKED "1\r\nabc\r\n", INVALID, "chunked body is malformed"),
    REFUSE(CHUNKED "100001\r\n", TOO_LARGE, "1048576"),
    REFUSE(CHUNKED "1\r\na\r\n100000\r\n", TOO_LARGE, "1048576"),
    REFUSE(CHUNKED "fffffffffffffffffffff\r\n", TOO_LARGE, "1048576"),
    REFUSE(CHUNKED "0\r\nX : y\r\n\r\n", INVALID, "trailer"),
    REFUSE(CHUNKED "0\r\nX: \x01\r\n\r\n", INVALID, "trailer X holds 0x01"),
};

static void check_refusal(const struct refusal *r, size_t piece)
{
    struct gal_http1 *h = codec();
    struct input in = {0};
    struct gal_err err = {0};
    enum gal_http1_step step = feed(h, &in, r->text, piece, &err);
    if (step != GAL_HTTP1_ERROR || err.code != r->code || !strstr(err.message, r->words))
        fail_msg("in pieces of %zu: %.*s\nstep %d, %s, not %s, %s: %s", piece, GAL_STR_ARG(r->text),
                 step, gal_status_name(err.code), gal_status_name(r->code), r->words, err.message);
    assert_false(gal_http1_request(h)->keep_alive);
    /* Whoever asks again gets the same code. */
    assert_int_equal(gal_http1_parse(h, in.p, in.n, &err), GAL_HTTP1_ERROR);
    assert_int_equal(err.code, r->code);
    /* And with another connection all is well again. */
    struct input good = {0};
    gal_http1_reset(h, &usual);
    (void)parse_whole(h, &good, "GET / HTTP/1.1\r\n" HOST "\r\n");
    gal_http1_free(h);
    free(in.p);
    free(good.p);
}

static void malformed_requests_are_refused_with_reason_and_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        check_refusal(&refusals[i], refusals[i].text.n);
        check_refusal(&refusals[i], 1);
    }
}

static void a_refused_head_is_blank_and_a_refused_body_keeps_its_head(void **state)
{
    (void)state;
    struct gal_http1 *h = codec();
    struct gal_err err;
    struct input in = {0};
    (void)feed(h, &in, GAL_STR("GET /x HTTP/1.1\r\n" HOST "\r\n"), 1000, &err);
    input_shift(&in, gal_http1_next(h));
    assert_int_equal(feed(h, &in, GAL_STR("GET /y HTTP/1.1\r\nX\r\n"), 1000, &err),
                     GAL_HTTP1_ERROR);
    assert_int_equal(gal_http1_request(h)->method, GAL_METHOD_OTHER);
    assert_int_equal(gal_http1_request(h)->path.n, 0);
    assert_null(gal_http1_request(h)->known[GAL_HDR_HOST].p);
    assert_int_equal(gal_http1_request(h)->header_count, 0);

    gal_http1_reset(h, &usual);
    in.n = 0;
    assert_int_equal(feed(h, &in,
                          GAL_STR("POST /z HTTP/1.1\r\n" HOST "Content-Length: 9999999\r\n\r\n"),
                          1000, &err),
                     GAL_HTTP1_ERROR);
    assert_int_equal(gal_http1_request(h)->method, GAL_METHOD_POST);
    assert_str(gal_http1_request(h)->path, "/z");
    gal_http1_free(h);
    free(in.p);
}

/* --- limits --- */

/* `from` + n times `unit` + `to`. */
static struct input repeat(const char *from, const char *unit, size_t n, const char *to)
{
    struct input in = {0};
    size_t unit_n = strlen(unit);
    in.n = strlen(from) + n * unit_n + strlen(to);
    in.p = malloc(in.n + 1);
    assert_non_null(in.p);
    char *at = in.p + snprintf(in.p, in.n + 1, "%s", from);
    for (size_t i = 0; i < n; i++, at += unit_n)
        memcpy(at, unit, unit_n);
    memcpy(at, to, strlen(to));
    return in;
}

static void check_limit(struct input text, enum gal_status want)
{
    const size_t pieces[] = {1, 7, 1000, text.n};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        struct gal_http1 *h = codec();
        struct gal_err err = {0};
        /* In place: these are long. */
        enum gal_http1_step step = GAL_HTTP1_MORE;
        char *copy = malloc(text.n);
        assert_non_null(copy);
        memcpy(copy, text.p, text.n);
        for (size_t n = 0; n < text.n && step <= GAL_HTTP1_HEAD;) {
            n = n + pieces[i] < text.n ? n + pieces[i] : text.n;
            step = gal_http1_parse(h, copy, n, &err);
            if (step == GAL_HTTP1_HEAD)
                step = gal_http1_parse(h, copy, n, &err);
        }
        if (want == GAL_OK)
            assert_int_equal(step, GAL_HTTP1_DONE);
        else
            assert_int_equal(step, GAL_HTTP1_ERROR);
        assert_int_equal(err.code, want);
        gal_http1_free(h);
        free(copy);
    }
    free(text.p);
}

static void a_target_may_be_as_long_as_the_limit(void **state)
{
    (void)state;
    check_limit(repeat("GET /", "a", GAL_HTTP_TARGET_BYTES_MAX - 1, " HTTP/1.1\r\n" HOST "\r\n"),
                GAL_OK);
    check_limit(repeat("GET /", "a", GAL_HTTP_TARGET_BYTES_MAX, " HTTP/1.1\r\n" HOST "\r\n"),
                GAL_URI_TOO_LONG);
    check_limit(repeat("GET /", "a", 100000, " HTTP/1.1\r\n" HOST "\r\n"), GAL_URI_TOO_LONG);
    check_limit(repeat("GET /", "a", 9000, "\x01 HTTP/1.1\r\n" HOST "\r\n"), GAL_URI_TOO_LONG);
    check_limit(repeat("GET /", "a", 9000, "\r\n"), GAL_URI_TOO_LONG);
}

static void a_head_may_be_as_long_as_the_limit(void **state)
{
    (void)state;
    size_t around = strlen("GET / HTTP/1.1\r\n" HOST "X: \r\n\r\n");
    const char *from = "GET / HTTP/1.1\r\n" HOST "X: ";
    check_limit(repeat(from, "a", GAL_HTTP_HEAD_BYTES_MAX - around, "\r\n\r\n"), GAL_OK);
    check_limit(repeat(from, "a", GAL_HTTP_HEAD_BYTES_MAX - around + 1, "\r\n\r\n"),
                GAL_HEAD_TOO_LARGE);
    check_limit(repeat(from, "a", 1u << 20, "\r\n\r\n"), GAL_HEAD_TOO_LARGE);
    check_limit(repeat("", "\r\n", 100000, ""), GAL_HEAD_TOO_LARGE);
    check_limit(repeat("GET / HTTP/1.1\r\n", "n", 20000, ": \x01"), GAL_HEAD_TOO_LARGE);
}

static void there_may_be_as_many_headers_as_the_limit(void **state)
{
    (void)state;
    const char *from = "GET / HTTP/1.1\r\n" HOST;
    check_limit(repeat(from, "a: b\r\n", GAL_HTTP_HEADERS_MAX - 1, "\r\n"), GAL_OK);
    check_limit(repeat(from, "a: b\r\n", GAL_HTTP_HEADERS_MAX, "\r\n"), GAL_HEAD_TOO_LARGE);
    check_limit(repeat(from, "a:\r\n", GAL_HTTP_HEADERS_MAX, "\r\n"), GAL_HEAD_TOO_LARGE);
}

static void a_chunked_body_is_bounded_with_all_that_is_round_it(void **state)
{
    (void)state;
    check_limit(repeat(CHUNKED, "1\r\na\r\n", 4000, "0\r\n\r\n"), GAL_OK);
    check_limit(repeat(CHUNKED, "1\r\na\r\n", 6000, "0\r\n\r\n"), GAL_TOO_LARGE);
    check_limit(repeat(CHUNKED "100000\r\n", "a", 1u << 20, "\r\n0\r\n\r\n"), GAL_OK);
    check_limit(repeat(CHUNKED "100000\r\n", "a", 1u << 20, "\r\n1\r\na\r\n"), GAL_TOO_LARGE);
    check_limit(repeat(CHUNKED "1;", "a", 20000, "\r\na\r\n0\r\n\r\n"), GAL_TOO_LARGE);
    check_limit(repeat(CHUNKED "1;", "a", 20000, "\x01"), GAL_TOO_LARGE);
    check_limit(repeat(CHUNKED "0", "0", 20000, "\r\n\r\n"), GAL_TOO_LARGE);
    check_limit(repeat(CHUNKED "0\r\n", "a: b\r\n", 1000, "\r\n"), GAL_OK);
    check_limit(repeat(CHUNKED "0\r\n", "a: b\r\n", 3000, "\r\n"), GAL_TOO_LARGE);
    assert_true(gal_http1_bytes_max(&usual) >= 2 * (usual.head_bytes_max + usual.body_bytes_max));
}

/* --- memory --- */

static void parsing_takes_no_memory(void **state)
{
    (void)state;
    struct gal_http1 *h = codec();
    struct gal_err err;
    char text[] = CHUNKED "2\r\nyo\r\n0\r\n\r\n";
    char bad[] = "GET / HTTP/1.1\r\n\r\n";
    uint64_t before = gal_alloc_count();
    for (int i = 0; i < 3; i++) {
        char again[sizeof text];
        memcpy(again, text, sizeof text);
        assert_int_equal(gal_http1_parse(h, again, strlen(CHUNKED), &err), GAL_HTTP1_HEAD);
        assert_int_equal(gal_http1_parse(h, again, sizeof text - 1, &err), GAL_HTTP1_DONE);
        (void)gal_http1_next(h);
    }
    assert_int_equal(gal_http1_parse(h, bad, sizeof bad - 1, &err), GAL_HTTP1_ERROR);
    gal_http1_reset(h, &usual);
    assert_int_equal(gal_alloc_count(), before);
    gal_http1_free(h);
}

static void a_codec_without_memory_is_an_error(void **state)
{
    (void)state;
    struct gal_http1 *h = NULL;
    struct gal_err err;
    gal_alloc_fail_at(1, 1);
    assert_int_equal(gal_http1_new(&h, &usual, &err), GAL_NO_MEMORY);
    gal_alloc_fail_at(0, 0);
    assert_null(h);
    gal_http1_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_get_is_complete_with_its_head),
        cmocka_unit_test(a_body_of_known_length_is_announced_once),
        cmocka_unit_test(a_body_may_begin_further_back),
        cmocka_unit_test(an_empty_body_is_not_announced),
        cmocka_unit_test(a_chunked_body_becomes_one_piece),
        cmocka_unit_test(requests_in_one_buffer_come_one_after_another),
        cmocka_unit_test(empty_lines_before_a_request_are_no_request),
        cmocka_unit_test(slices_follow_the_buffer_when_it_moves),
        cmocka_unit_test(targets_come_in_all_their_forms),
        cmocka_unit_test(connections_stay_open_as_the_versions_have_it),
        cmocka_unit_test(an_upgrade_that_is_not_taken_up_does_not_change_the_body),
        cmocka_unit_test(a_client_may_wait_for_100_continue),
        cmocka_unit_test(malformed_requests_are_refused_with_reason_and_place),
        cmocka_unit_test(a_refused_head_is_blank_and_a_refused_body_keeps_its_head),
        cmocka_unit_test(a_target_may_be_as_long_as_the_limit),
        cmocka_unit_test(a_head_may_be_as_long_as_the_limit),
        cmocka_unit_test(there_may_be_as_many_headers_as_the_limit),
        cmocka_unit_test(a_chunked_body_is_bounded_with_all_that_is_round_it),
        cmocka_unit_test(parsing_takes_no_memory),
        cmocka_unit_test(a_codec_without_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
