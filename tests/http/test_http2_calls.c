/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that stream, and what peers may cost. */
#include "http/h2_pair.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct gal_http2_limits limits = {.head_bytes_max = 4096,
                                               .body_bytes_max = 4u << 20,
                                               .streams_max = 100,
                                               .stream_window = 1u << 16,
                                               .connection_window = 1u << 20};
static const struct gal_str hello = {"hello", 5};
static const struct gal_http_response plain = {
    .status = 200, .parts = &hello, .part_count = 1, .body_bytes = 5};

/* What a claimer has heard. */
struct claimer {
    size_t bytes, chunks_sent, chunks_dropped;
    bool ended, closed;
    uint32_t code;
};

static void on_data(void *user, const char *p, size_t n)
{
    (void)p;
    ((struct claimer *)user)->bytes += n;
}

static void on_end(void *user)
{
    ((struct claimer *)user)->ended = true;
}

static void on_close(void *user, uint32_t code)
{
    struct claimer *c = user;

    assert_false(c->closed);
    c->closed = true;
    c->code = code;
}

static void on_sent(struct gal_call_chunk *chunk, bool ok)
{
    struct claimer *c = chunk->user;

    assert_false(c->closed);
    if (ok)
        c->chunks_sent++;
    else
        c->chunks_dropped++;
}

static const struct gal_call_ops ops = {.on_data = on_data, .on_end = on_end, .on_close = on_close};

static void a_claimed_call_tells_its_pieces(void **state)
{
    static const struct gal_header trailers[] = {{{"grpc-status", 11}, {"0", 1}}};
    static const struct gal_str empty = {"", 0};
    struct pair *p = pair_new(&limits);
    struct claimer c = {0};
    struct gal_call_chunk first = {.parts = &hello, .count = 1, .on_sent = on_sent, .user = &c};
    struct gal_call_chunk none = {.parts = &empty, .count = 1, .on_sent = on_sent, .user = &c};
    struct gal_call_chunk last = first;
    struct pair_answer *a;

    (void)state;
    p->claim = &ops;
    p->claim_user = &c;
    a = pair_answer_of(p, pair_ask(p, "POST", "/", NULL, "question", 8));
    pair_run(p);
    assert_int_equal(c.bytes, 8);
    assert_true(c.ended);
    assert_int_equal(p->requests, 0);
    gal_call_head(p->last, &(struct gal_http_response){.status = 200});
    assert_true(p->outputs);
    pair_run(p);
    assert_int_equal(a->status, 200);
    gal_call_send(p->last, &first);
    pair_run(p);
    assert_int_equal(a->body_n, 5);
    assert_int_equal(c.chunks_sent, 1);
    gal_call_send(p->last, &none);
    pair_run(p);
    assert_int_equal(c.chunks_sent, 2);
    gal_call_send(p->last, &first);
    gal_call_send(p->last, &last);
    gal_call_end(p->last, trailers, 1);
    assert_false(c.closed);
    pair_run(p);
    assert_int_equal(a->body_n, 15);
    assert_string_equal(a->headers, "--\ngrpc-status: 0\n");
    assert_int_equal(c.chunks_sent, 4);
    assert_true(c.closed && c.code == 0);
    pair_free(p);
}

static void a_claimed_call_may_end_without_a_body(void **state)
{
    static const struct gal_header head[] = {{{"content-type", 12}, {"application/grpc", 16}},
                                             {{"grpc-status", 11}, {"12", 2}}};
    struct pair *p = pair_new(&limits);
    struct claimer c = {0};
    struct pair_answer *a;

    (void)state;
    p->claim = &ops;
    p->claim_user = &c;
    a = pair_answer_of(p, pair_ask(p, "POST", "/", NULL, "x", 1));
    pair_run(p);
    gal_call_end(p->last, head, 2);
    pair_run(p);
    assert_int_equal(a->status, 200);
    assert_string_equal(a->headers, "content-type: application/grpc\ngrpc-status: 12\n");
    assert_int_equal(a->frames, 0);
    assert_true(c.closed && c.code == 0);
    pair_free(p);
}

/* The client sends what its window lets it, and more as it is consumed. */
static void a_window_opens_as_bytes_are_consumed(void **state)
{
    struct pair *p = pair_new(&limits);
    struct claimer c = {0};
    char *body = calloc(1, 500000);
    size_t consumed = 0;

    (void)state;
    assert_non_null(body);
    p->claim = &ops;
    p->claim_user = &c;
    pair_ask(p, "POST", "/", NULL, body, 500000);
    pair_run(p);
    while (!c.ended) {
        size_t more = c.bytes - consumed;
        assert_true(c.bytes <= consumed + limits.stream_window);
        assert_true(more > 0);
        gal_call_consume(p->last, more);
        consumed += more;
        pair_run(p);
    }
    assert_int_equal(c.bytes, 500000);
    gal_call_reset(p->last, GAL_CALL_CANCEL);
    pair_run(p);
    assert_true(c.closed && c.code == GAL_CALL_CANCEL);
    pair_free(p);
    free(body);
}

static void chunks_of_a_call_that_was_reset_are_dropped(void **state)
{
    struct pair *p = pair_new(&limits);
    struct claimer c = {0};
    char *big = calloc(1, 1000000);
    struct gal_str part = {big, 1000000};
    struct gal_call_chunk chunks[3];
    int32_t id;

    (void)state;
    assert_non_null(big);
    p->claim = &ops;
    p->claim_user = &c;
    id = pair_ask(p, "POST", "/", NULL, "x", 1);
    (void)nghttp2_session_set_local_window_size(p->client, NGHTTP2_FLAG_NONE, 0, 70000);
    pair_run(p);
    (void)nghttp2_submit_rst_stream(p->client, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
    gal_call_head(p->last, &(struct gal_http_response){.status = 200});
    for (size_t i = 0; i < 3; i++) {
        chunks[i] =
            (struct gal_call_chunk){.parts = &part, .count = 1, .on_sent = on_sent, .user = &c};
        gal_call_send(p->last, &chunks[i]);
    }
    pair_run(p);
    assert_int_equal(c.chunks_sent, 0);
    assert_int_equal(c.chunks_dropped, 3);
    assert_true(c.closed && c.code == GAL_CALL_CANCEL);
    pair_free(p);
    free(big);
}

static void calls_hear_the_end_of_their_connection(void **state)
{
    struct pair *p = pair_new(&limits);
    struct claimer c = {0};

    (void)state;
    p->claim = &ops;
    p->claim_user = &c;
    pair_ask(p, "POST", "/", NULL, "x", 1);
    pair_run(p);
    gal_http2_free(p->server);
    p->server = NULL;
    assert_true(c.closed);
    assert_int_equal(p->closed, 1);
    pair_free(p);
}

/* --- what only costs --- */

static void put_frame(struct gal_buf *out, unsigned type, unsigned flags, unsigned stream,
                      const void *payload, size_t n)
{
    const char head[9] = {0, (char)(n >> 8),      (char)n,     (char)type, (char)flags, 0,
                          0, (char)(stream >> 8), (char)stream};

    gal_buf_put(out, head, sizeof(head));
    gal_buf_put(out, payload, n);
}

/* A pair whose client's first bytes have gone over, so that the test can write frames itself. */
static struct pair *open_pair(void)
{
    struct pair *p = pair_new(&limits);

    p->answer = &plain;
    pair_ask(p, "GET", "/", NULL, NULL, 0);
    pair_run(p);
    assert_int_equal(p->closed, 1);
    return p;
}

/* Feeds `bytes` again and again, as fast as can be or with some time between. Returns how often it
 * was taken, at most `most`. */
static size_t feed_often(struct pair *p, struct gal_str bytes, size_t most, uint64_t pause_us)
{
    struct gal_str parts[GAL_HTTP2_PARTS_MAX];
    size_t n = 0;

    for (; n < most && !p->failed; n++) {
        p->now_us += pause_us;
        pair_feed(p, bytes.p, bytes.n);
        while (gal_http2_gather(p->server, parts) > 0)
            gal_http2_sent(p->server);
    }
    return n;
}

static void check_flood(unsigned type, unsigned flags, unsigned stream, const void *payload,
                        size_t payload_n)
{
    struct gal_buf frame;
    struct pair *p = open_pair();

    gal_buf_init(&frame, 1000);
    put_frame(&frame, type, flags, stream, payload, payload_n);
    assert_in_range(feed_often(p, gal_buf_str(&frame), 100000, 0), 1000, 5000);
    assert_true(gal_http2_is_abused(p->server));
    pair_free(p);
    p = open_pair(); /* ten a second hurt nobody */
    assert_int_equal(feed_often(p, gal_buf_str(&frame), 5000, 100000), 5000);
    assert_false(gal_http2_is_abused(p->server));
    pair_free(p);
    gal_buf_release(&frame);
}

static void floods_of_frames_end_the_connection(void **state)
{
    (void)state;
    check_flood(NGHTTP2_PING, 0, 0, "12345678", 8);
    check_flood(NGHTTP2_SETTINGS, 0, 0, "", 0);
    check_flood(NGHTTP2_PRIORITY, 0, 99, "\0\0\0\1\1", 5);
    check_flood(NGHTTP2_WINDOW_UPDATE, 0, 0, "\0\0\0\1", 4);
    check_flood(0xfe, 0, 0, "unknown", 7);
}

static void empty_data_ends_the_connection(void **state)
{
    struct pair *p = open_pair();
    struct gal_buf frame;

    (void)state;
    p->answer = NULL;
    gal_buf_init(&frame, 1000);
    put_frame(&frame, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 3, "\x83\x84\x86\x01\x01h", 6);
    pair_feed(p, frame.p, frame.n);
    assert_int_equal(p->heads, 2);
    gal_buf_clear(&frame, 1000);
    put_frame(&frame, NGHTTP2_DATA, 0, 3, "", 0);
    assert_in_range(feed_often(p, gal_buf_str(&frame), 100000, 0), 1000, 5000);
    assert_true(gal_http2_is_abused(p->server));
    pair_free(p);
    gal_buf_release(&frame);
}

/* A head that never ends: nghttp2 bounds the CONTINUATION frames of one. */
static void a_flood_of_continuations_ends_the_connection(void **state)
{
    struct pair *p = open_pair();
    struct gal_buf frame;

    (void)state;
    gal_buf_init(&frame, 1000);
    put_frame(&frame, NGHTTP2_HEADERS, 0, 3, "\x83\x84\x86\x01\x01h", 6);
    pair_feed(p, frame.p, frame.n);
    assert_int_equal(gal_http2_head_since_us(p->server), p->now_us);
    gal_buf_clear(&frame, 1000);
    put_frame(&frame, NGHTTP2_CONTINUATION, 0, 3, "\x90", 1);
    assert_in_range(feed_often(p, gal_buf_str(&frame), 100000, 0), 1, 3000);
    assert_true(p->failed);
    pair_free(p);
    gal_buf_release(&frame);
}

/* One byte a header, each of 4,000 bytes once it is decoded. */
static void a_bomb_of_headers_ends_the_connection(void **state)
{
    struct pair *p = open_pair();
    struct gal_buf frame;
    char payload[16000];
    size_t n = 0;

    (void)state;
    memcpy(payload, "\x83\x84\x86\x40\x01x\x7f\xa1\x1e", 9); /* x: 4,000 bytes, into the table */
    memset(payload + 9, 'y', 4000);
    n = 4009;
    memset(payload + n, 0xbe, sizeof(payload) - n); /* that header, again and again */
    gal_buf_init(&frame, 20000);
    put_frame(&frame, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 3,
              payload, sizeof(payload));
    pair_feed(p, frame.p, frame.n);
    assert_true(p->failed);
    assert_true(gal_http2_is_abused(p->server));
    assert_int_equal(p->requests, 1);
    pair_free(p);
    gal_buf_release(&frame);
}

static size_t reset_often(struct pair *p, size_t most, uint64_t pause_us, bool answered)
{
    struct gal_buf frames;
    size_t n = 0;

    gal_buf_init(&frames, 1000);
    p->answer = answered ? &plain : NULL;
    for (unsigned id = 3; n < most && !p->failed; n++, id += 2) {
        gal_buf_clear(&frames, 1000);
        put_frame(&frames, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, id,
                  "\x82\x84\x86\x01\x01h", 6);
        (void)feed_often(p, gal_buf_str(&frames), 1, 0);
        gal_buf_clear(&frames, 1000);
        put_frame(&frames, NGHTTP2_RST_STREAM, 0, id, "\0\0\0\x08", 4);
        (void)feed_often(p, gal_buf_str(&frames), 1, pause_us);
    }
    gal_buf_release(&frames);
    return n;
}

static void rapid_resets_end_the_connection(void **state)
{
    struct pair *p = open_pair();

    (void)state;
    assert_in_range(reset_often(p, 10000, 0, false), 100, 300);
    assert_true(gal_http2_is_abused(p->server));
    assert_int_equal(p->closed, p->opened);
    pair_free(p);
    p = open_pair(); /* five a second are some client's way */
    assert_int_equal(reset_often(p, 2000, 200000, false), 2000);
    pair_free(p);
    p = open_pair(); /* and behind an answer they cost little */
    assert_int_equal(reset_often(p, 2000, 0, true), 2000);
    pair_free(p);
}

/* Streams that we reset because of what is in them cost the peer as much. */
static void malformed_requests_in_a_row_end_the_connection(void **state)
{
    static const char *const extra[] = {"X-Upper", "a", NULL};
    struct pair *p = open_pair();
    size_t n = 0;

    (void)state;
    for (; n < 1000 && !p->failed && !gal_http2_is_over(p->server); n++) {
        p->answer_count = 0;
        pair_ask(p, "GET", "/", extra, NULL, 0);
        pair_run(p);
    }
    assert_in_range(n, 100, 300);
    assert_true(gal_http2_is_abused(p->server));
    pair_free(p);
}

static void frames_on_a_stream_that_the_peer_ended_are_an_error(void **state)
{
    struct pair *p = open_pair();
    struct gal_buf frame;

    (void)state;
    gal_buf_init(&frame, 1000);
    put_frame(&frame, NGHTTP2_DATA, 0, 1, "late", 4);
    pair_feed(p, frame.p, frame.n);
    pair_run(p);
    assert_true(p->failed);
    assert_int_equal(p->goaway, NGHTTP2_STREAM_CLOSED);
    assert_true(gal_http2_is_over(p->server));
    pair_free(p);
    gal_buf_release(&frame);
}

/* Streams beyond the limit are refused, or end the connection of who knows it. */
static void streams_are_bounded(void **state)
{
    struct gal_http2_limits few = limits;
    struct pair *p;
    size_t refused = 0;

    (void)state;
    few.streams_max = 5;
    p = pair_new(&few);
    for (int i = 0; i < 20; i++)
        pair_ask(p, "POST", "/", NULL, "x", 1);
    pair_run(p);
    assert_int_equal(p->opened, 5);
    for (size_t i = 0; i < p->answer_count; i++)
        refused += p->answers[i].closed && p->answers[i].code == NGHTTP2_REFUSED_STREAM;
    assert_true(refused == 15 || p->answer_count == 0); /* or the client waits, told in time */
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_claimed_call_tells_its_pieces),
        cmocka_unit_test(a_claimed_call_may_end_without_a_body),
        cmocka_unit_test(a_window_opens_as_bytes_are_consumed),
        cmocka_unit_test(chunks_of_a_call_that_was_reset_are_dropped),
        cmocka_unit_test(calls_hear_the_end_of_their_connection),
        cmocka_unit_test(floods_of_frames_end_the_connection),
        cmocka_unit_test(empty_data_ends_the_connection),
        cmocka_unit_test(a_flood_of_continuations_ends_the_connection),
        cmocka_unit_test(a_bomb_of_headers_ends_the_connection),
        cmocka_unit_test(rapid_resets_end_the_connection),
        cmocka_unit_test(malformed_requests_in_a_row_end_the_connection),
        cmocka_unit_test(frames_on_a_stream_that_the_peer_ended_are_an_error),
        cmocka_unit_test(streams_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
