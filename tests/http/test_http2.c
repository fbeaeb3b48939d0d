/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "http/h2_pair.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct gal_http2_limits limits = {.head_bytes_max = 4096,
                                               .body_bytes_max = 4u << 20,
                                               .streams_max = 100,
                                               .stream_window = 1u << 20,
                                               .connection_window = 4u << 20};

static const struct gal_str hello = {"hello", 5};
static const struct gal_http_response plain = {.status = 200,
                                               .headers = {{{"Content-Type", 12}, {"text/x", 6}}},
                                               .header_count = 1,
                                               .parts = &hello,
                                               .part_count = 1,
                                               .body_bytes = 5};

static char *bytes_new(size_t n)
{
    char *p = malloc(n);
    uint32_t x = 1;

    assert_non_null(p);
    for (size_t i = 0; i < n; i++)
        p[i] = (char)((x = x * 1664525u + 1013904223u) >> 24);
    return p;
}

static void a_request_is_whole(void **state)
{
    static const char *const extra[] = {"x-request-id", "r1", "content-type", "a/b", NULL};
    struct pair *p = pair_new(&limits);
    const struct gal_http_request *r;

    (void)state;
    p->piece = 1;
    pair_ask(p, "POST", "/v2/models?x=1", extra, "body", 4);
    pair_run(p);
    assert_int_equal(p->requests, 1);
    r = &p->last->req;
    assert_int_equal(r->method, GAL_METHOD_POST);
    assert_int_equal(r->version_major, 2);
    assert_true(gal_str_is(r->path, "/v2/models"));
    assert_true(gal_str_is(r->query, "x=1"));
    assert_true(gal_str_is(r->known[GAL_HDR_HOST], "host:80"));
    assert_true(gal_str_is(r->known[GAL_HDR_X_REQUEST_ID], "r1"));
    assert_true(gal_str_is(r->known[GAL_HDR_CONTENT_TYPE], "a/b"));
    assert_int_equal(r->header_count, 2);
    assert_true(gal_str_is(r->headers[1].name, "content-type"));
    assert_true(gal_str_is(r->body, "body"));
    assert_true(r->keep_alive);
    pair_free(p);
}

static void an_answer_has_head_and_body(void **state)
{
    struct pair *p = pair_new(&limits);
    struct pair_answer *a;

    (void)state;
    p->answer = &plain;
    a = pair_answer_of(p, pair_ask(p, "GET", "/", NULL, NULL, 0));
    pair_run(p);
    assert_int_equal(a->status, 200);
    assert_string_equal(a->headers, "content-type: text/x\ncontent-length: 5\n"
                                    "date: Tue, 14 Nov 2023 22:13:20 GMT\n");
    assert_int_equal(a->body_n, 5);
    assert_true(a->closed && a->code == 0);
    assert_int_equal(p->closed, 1);
    a = pair_answer_of(p, pair_ask(p, "HEAD", "/", NULL, NULL, 0));
    pair_run(p);
    assert_non_null(strstr(a->headers, "content-length: 5\n"));
    assert_int_equal(a->body_n, 0);
    assert_true(a->closed && a->code == 0);
    pair_free(p);
}

static void headers_of_a_connection_and_broken_values_are_not_sent(void **state)
{
    struct gal_http_response r = {.status = 204};
    struct pair *p = pair_new(&limits);
    struct pair_answer *a;

    (void)state;
    gal_http_response_header(&r, GAL_STR("Connection"), GAL_STR("close"));
    gal_http_response_header(&r, GAL_STR("Transfer-Encoding"), GAL_STR("chunked"));
    gal_http_response_header(&r, GAL_STR("X-Broken"), GAL_STR("a\r\nb: c"));
    gal_http_response_header(&r, GAL_STR("X-Good"), GAL_STR("yes"));
    p->answer = &r;
    a = pair_answer_of(p, pair_ask(p, "GET", "/", NULL, NULL, 0));
    pair_run(p);
    assert_int_equal(a->status, 204);
    assert_string_equal(a->headers, "x-good: yes\ndate: Tue, 14 Nov 2023 22:13:20 GMT\n");
    pair_free(p);
}

/* Larger than every window and every frame, in parts of all sizes. */
static void large_bodies_pass_both_ways(void **state)
{
    enum { N = 3000000, PARTS = 700 };
    struct gal_str parts[PARTS];
    struct gal_http_response r = {.status = 200, .parts = parts, .part_count = PARTS};
    struct pair *p = pair_new(&limits);
    char *bytes = bytes_new(N);
    struct pair_answer *a;

    (void)state;
    for (size_t i = 0, at = 0; i < PARTS; i++) {
        size_t n = i + 1 == PARTS ? N - at : i % 3 == 0 ? i : i % 3 == 1 ? 12000 : 0;
        parts[i] = (struct gal_str){bytes + at, at + n <= N ? n : N - at};
        at += parts[i].n;
        r.body_bytes += parts[i].n;
    }
    assert_int_equal(r.body_bytes, N);
    p->answer = &r;
    a = pair_answer_of(p, pair_ask(p, "POST", "/", NULL, bytes, N));
    pair_run(p);
    assert_int_equal(p->requests, 1);
    assert_int_equal(a->body_n, N);
    assert_int_equal(a->body_hash, pair_hash(bytes, N, 0));
    assert_true(a->closed && a->code == 0);
    pair_free(p);
    free(bytes);
}

static void trailers_come_behind_the_body(void **state)
{
    struct gal_http_response r = plain;
    struct pair *p = pair_new(&limits);
    struct pair_answer *a;

    (void)state;
    r.trailers[0] = (struct gal_header){GAL_STR("grpc-status"), GAL_STR("0")};
    r.trailer_count = 1;
    p->answer = &r;
    a = pair_answer_of(p, pair_ask(p, "POST", "/", NULL, "x", 1));
    pair_run(p);
    assert_string_equal(a->headers, "content-type: text/x\ndate: Tue, 14 Nov 2023 22:13:20 GMT\n"
                                    "--\ngrpc-status: 0\n");
    assert_int_equal(a->body_n, 5);
    assert_true(a->closed && a->code == 0);
    r.part_count = r.body_bytes = 0;
    a = pair_answer_of(p, pair_ask(p, "POST", "/", NULL, "x", 1));
    pair_run(p);
    assert_string_equal(a->headers, "content-type: text/x\ngrpc-status: 0\n"
                                    "date: Tue, 14 Nov 2023 22:13:20 GMT\n");
    assert_true(a->closed && a->code == 0);
    pair_free(p);
}

static void a_client_that_asks_is_told_to_go_on(void **state)
{
    static const char *const extra[] = {"expect", "100-continue", NULL};
    struct pair *p = pair_new(&limits);
    struct pair_answer *a;

    (void)state;
    p->answer = &plain;
    a = pair_answer_of(p, pair_ask(p, "POST", "/", extra, "x", 1));
    pair_run(p);
    assert_int_equal(a->interim, 100);
    assert_int_equal(a->status, 200);
    pair_free(p);
}

static void check_fault(const char *path, const char *const *extra, size_t body_n,
                        enum gal_status want)
{
    static const struct gal_http_response refused = {.status = 400};
    struct gal_http2_limits small = limits;
    char *body = bytes_new(200000);
    struct pair *p;
    struct pair_answer *a;

    small.body_bytes_max = 100000;
    p = pair_new(&small);
    p->answer = &refused;
    a = pair_answer_of(p, pair_ask(p, "POST", path, extra, body, body_n));
    pair_run(p);
    assert_int_equal(p->faults, 1);
    assert_int_equal(p->requests, 0);
    assert_int_equal(p->fault.code, want);
    assert_int_equal(a->status, 400);
    assert_true(a->closed);
    p->answer = &plain; /* the connection is as good as before */
    a = pair_answer_of(p, pair_ask(p, "GET", "/", NULL, NULL, 0));
    pair_run(p);
    assert_int_equal(a->status, 200);
    pair_free(p);
    free(body);
}

static void what_is_too_large_or_wrong_is_refused_alone(void **state)
{
    const char *many[2 * 110 + 1] = {NULL};
    static char big[5001];
    const char *large[] = {"x-large", big, NULL};
    static const char *const length[] = {"content-length", "200000", NULL};
    static const char *const other_host[] = {"host", "another", NULL};
    static const char *const expect[] = {"expect", "a-lot", NULL};

    (void)state;
    memset(big, 'x', sizeof(big) - 1);
    for (size_t i = 0; i < 110; i++) {
        many[2 * i] = "x";
        many[2 * i + 1] = "y";
    }
    check_fault("/", many, 0, GAL_HEAD_TOO_LARGE);
    check_fault("/", large, 0, GAL_HEAD_TOO_LARGE);
    check_fault("/", length, 200000, GAL_TOO_LARGE);
    check_fault("/", NULL, 200000, GAL_TOO_LARGE);
    check_fault("/a#b", NULL, 0, GAL_INVALID);
    check_fault("/", other_host, 0, GAL_INVALID);
    check_fault("/", expect, 10, GAL_EXPECTATION);
}

static void check_malformed(const char *method, const char *path, const char *const *extra,
                            size_t body_n)
{
    struct pair *p = pair_new(&limits);
    struct pair_answer *a = pair_answer_of(p, pair_ask(p, method, path, extra, "body", body_n));

    pair_run(p);
    assert_int_equal(p->requests, 0);
    assert_true(a->closed);
    assert_int_equal(a->code, NGHTTP2_PROTOCOL_ERROR);
    assert_false(p->failed);
    pair_free(p);
}

static void malformed_requests_end_their_stream(void **state)
{
    static const char *const headers[][5] = {
        {"X-Upper", "a", NULL},
        {"connection", "close", NULL},
        {"transfer-encoding", "chunked", NULL},
        {"te", "gzip", NULL},
        {":path", "/twice", NULL},
        {":unknown", "a", NULL},
        {"content-length", "5", NULL}, /* of 4 bytes */
        {"content-length", "4", "content-length", "4", NULL},
        {"a b", "c", NULL},
        {"x-nul", "a\x01", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
        check_malformed("POST", "/", headers[i], 4);
    check_malformed("GET", "", NULL, 0);
    check_malformed("GET", "no-slash", NULL, 0);
}

static void a_stream_without_room_may_be_tried_again(void **state)
{
    struct pair *p = pair_new(&limits);
    struct pair_answer *a;

    (void)state;
    p->no_room = true;
    a = pair_answer_of(p, pair_ask(p, "POST", "/", NULL, "body", 4));
    pair_run(p);
    assert_int_equal(a->code, NGHTTP2_REFUSED_STREAM);
    p->no_room = false;
    p->answer = &plain;
    a = pair_answer_of(p, pair_ask(p, "POST", "/", NULL, "body", 4));
    pair_run(p);
    assert_int_equal(a->status, 200);
    pair_free(p);
}

static void an_answer_before_the_end_of_its_request_stops_it(void **state)
{
    struct pair *p = pair_new(&limits);
    char *body = bytes_new(2000000);
    struct pair_answer *a = pair_answer_of(p, pair_ask(p, "POST", "/", NULL, body, 2000000));

    (void)state;
    pair_feed(p, gal_http2_preface().p, 0);
    for (int i = 0; i < 3; i++) { /* the head and some of the body */
        const uint8_t *bytes;
        ssize_t n = nghttp2_session_mem_send(p->client, &bytes);
        pair_feed(p, bytes, (size_t)n);
    }
    assert_int_equal(p->heads, 1);
    gal_http2_refuse(p->last);
    gal_http2_answer(p->last, &plain, (struct gal_str){NULL, 0});
    pair_run(p);
    assert_int_equal(a->status, 200);
    assert_true(a->closed);
    assert_int_equal(a->code, 0);
    assert_int_equal(p->requests + p->faults, 0);
    pair_free(p);
    free(body);
}

static void a_drain_lets_streams_end(void **state)
{
    struct pair *p = pair_new(&limits);
    struct pair_answer *a = pair_answer_of(p, pair_ask(p, "GET", "/", NULL, NULL, 0));

    (void)state;
    pair_run(p);
    gal_http2_shut_down(p->server, false);
    pair_run(p);
    assert_int_equal(p->goaway, 0);
    assert_false(gal_http2_is_over(p->server));
    gal_http2_answer(p->last, &plain, (struct gal_str){NULL, 0});
    pair_run(p);
    assert_int_equal(a->status, 200);
    assert_true(gal_http2_is_over(p->server));
    pair_free(p);
}

static void room_before_a_body_is_not_of_it(void **state)
{
    char *body = bytes_new(50000);

    (void)state;
    for (size_t n = 0; n < 16; n += 5) {
        struct pair *p = pair_new(&limits);
        struct gal_str got;

        p->body_free = n;
        pair_ask(p, "POST", "/", NULL, body, 50000);
        pair_run(p);
        got = p->last->req.body;
        assert_true(p->begin_n > 1000 && p->begin_n < 50000); /* once, at the first piece */
        assert_int_equal(got.n, 50000);
        assert_memory_equal(got.p, body, 50000);
        assert_int_equal((uintptr_t)got.p % 16, n);
        pair_free(p);
    }
    free(body);
}

/* Where the pieces are large; small ones are joined in frames that fit the output. */
static void frames_are_as_large_as_the_client_takes_them(void **state)
{
    enum { N = 1000000 };
    static const uint32_t most[] = {16384, 50000, 1u << 20};
    static const size_t frames[] = {62, 20, 16};
    struct gal_str parts[1000];
    char *bytes = bytes_new(N);

    (void)state;
    for (size_t k = 0; k < 6; k++) {
        bool is_small = k >= 3;
        struct gal_http_response r = {.status = 200, .parts = parts, .body_bytes = N};
        struct pair *p = pair_new(&limits);
        struct pair_answer *a;

        r.part_count = is_small ? 1000 : 1;
        for (size_t i = 0; i < r.part_count; i++)
            parts[i] = (struct gal_str){bytes + i * 1000, is_small ? 1000 : N};
        pair_take_frames(p, most[k % 3], 1u << 30);
        p->answer = &r;
        a = pair_answer_of(p, pair_ask(p, "GET", "/", NULL, NULL, 0));
        pair_run(p);
        assert_int_equal(a->body_n, N);
        assert_int_equal(a->body_hash, pair_hash(bytes, N, 0));
        assert_in_range(a->frames, is_small ? 16 : frames[k], frames[is_small ? 0 : k] + 4);
        pair_free(p);
    }
    free(bytes);
}

/* Pieces that are copied beside pieces that are not: wherever a window cuts a frame, it fits. */
static void frames_fit_wherever_a_window_cuts_them(void **state)
{
    enum { N = 12 * 4000 + 3 * 30000 + 7 };
    char *bytes = bytes_new(N);
    struct gal_str parts[16];
    size_t count = 0, at = 0;

    (void)state;
    for (size_t i = 0; i < 12; i++, at += 4000)
        parts[count++] = (struct gal_str){bytes + at, 4000};
    for (size_t i = 0; i < 3; i++, at += 30000)
        parts[count++] = (struct gal_str){bytes + at, 30000};
    parts[count++] = (struct gal_str){bytes + at, 7};
    for (uint32_t window = 16000; window < N + 1000; window += window % 4096 < 3500 ? 13 : 251) {
        struct gal_http_response r = {
            .status = 200, .parts = parts, .part_count = count, .body_bytes = N};
        struct pair *p = pair_new(&limits);
        struct pair_answer *a;

        pair_take_frames(p, 1u << 20, window);
        p->answer = &r;
        a = pair_answer_of(p, pair_ask(p, "GET", "/", NULL, NULL, 0));
        pair_run(p);
        assert_int_equal(a->body_n, N);
        assert_int_equal(a->body_hash, pair_hash(bytes, N, 0));
        pair_free(p);
    }
    free(bytes);
}

static void requests_in_steady_state_allocate_nothing(void **state)
{
    struct pair *p = pair_new(&limits);
    uint64_t before = 0;

    (void)state;
    p->answer = &plain;
    for (int i = 0; i < 100; i++) {
        if (i == 20)
            before = gal_alloc_count();
        p->answer_count = 0;
        for (int j = 0; j < 10; j++)
            pair_ask(p, "POST", "/v2", NULL, "body", 4);
        pair_run(p);
    }
    assert_int_equal(p->requests, 1000);
    assert_int_equal(gal_alloc_count(), before);
    pair_free(p);
}

/* Whatever allocation fails, the connection or the stream ends, and nothing is lost. */
static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (uint64_t i = 1;; i++) {
        struct pair *p = pair_new(&limits);
        uint64_t before = gal_alloc_count();
        char *body = bytes_new(100000);

        p->answer = &plain;
        gal_alloc_fail_at(i, 1);
        pair_ask(p, "POST", "/", NULL, body, 100000);
        pair_ask(p, "GET", "/", NULL, NULL, 0);
        pair_run(p);
        gal_alloc_fail_at(0, 0);
        before = gal_alloc_count() - before;
        assert_true(p->requests <= 2);
        assert_true(before < i || p->requests < 2 || p->answers[1].status == 200 ||
                    gal_http2_is_over(p->server));
        pair_free(p);
        free(body);
        if (before < i)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_whole),
        cmocka_unit_test(an_answer_has_head_and_body),
        cmocka_unit_test(headers_of_a_connection_and_broken_values_are_not_sent),
        cmocka_unit_test(large_bodies_pass_both_ways),
        cmocka_unit_test(trailers_come_behind_the_body),
        cmocka_unit_test(a_client_that_asks_is_told_to_go_on),
        cmocka_unit_test(what_is_too_large_or_wrong_is_refused_alone),
        cmocka_unit_test(malformed_requests_end_their_stream),
        cmocka_unit_test(a_stream_without_room_may_be_tried_again),
        cmocka_unit_test(an_answer_before_the_end_of_its_request_stops_it),
        cmocka_unit_test(a_drain_lets_streams_end),
        cmocka_unit_test(room_before_a_body_is_not_of_it),
        cmocka_unit_test(frames_are_as_large_as_the_client_takes_them),
        cmocka_unit_test(frames_fit_wherever_a_window_cuts_them),
        cmocka_unit_test(requests_in_steady_state_allocate_nothing),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
