/* SPDX-License-Identifier: Apache-2.0 */
/* Answers, whole and byte by byte. */
#include "base/mem.h"
#include "http/answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

struct seen {
    enum gal_answer_step step; /* the last */
    unsigned count;            /* answers */
    int status;                /* of the last */
    bool keep_alive;
    uint64_t body_bytes;
    char body[64]; /* of all */
    struct gal_err err;
};

/* Feeds bytes in pieces, then the peer's end when `ends`. */
static struct seen feed(const char *bytes, size_t n, size_t piece, bool ends)
{
    struct seen s = {.step = GAL_ANSWER_MORE};
    struct gal_answer *a;
    struct gal_buf body;
    size_t at = 0, taken;

    gal_buf_init(&body, sizeof s.body - 1);
    assert_int_equal(gal_answer_new(&a, 64, NULL), GAL_OK);
    gal_answer_keep(a, &body);
    while (s.step != GAL_ANSWER_ERROR && (at < n || (ends && s.step == GAL_ANSWER_MORE))) {
        size_t size = n - at < piece ? n - at : piece;
        if (at == n && gal_answer_idle(a) && s.count)
            break;
        s.step = at < n ? gal_answer_feed(a, bytes + at, size, &taken, &s.err)
                        : gal_answer_end(a, &s.err);
        at += at < n && s.step != GAL_ANSWER_ERROR ? taken : 0;
        if (s.step == GAL_ANSWER_DONE) {
            s.count++;
            s.status = gal_answer_status(a);
            s.keep_alive = gal_answer_keep_alive(a);
            s.body_bytes = gal_answer_body_bytes(a);
            gal_answer_next(a);
        }
    }
    if (body.n)
        memcpy(s.body, body.p, body.n);
    gal_buf_release(&body);
    gal_answer_free(a);
    return s;
}

static void check(const char *bytes, bool ends, unsigned count, int status, bool keep_alive,
                  const char *body)
{
    for (size_t piece = strlen(bytes); piece > 0; piece = piece > 1 ? piece / 2 : 0) {
        struct seen s = feed(bytes, strlen(bytes), piece, ends);
        if (s.step == GAL_ANSWER_ERROR)
            fail_msg("%s: %s (%zu a piece)", bytes, s.err.message, piece);
        assert_int_equal(s.count, count);
        assert_int_equal(s.status, status);
        assert_int_equal(s.keep_alive, keep_alive);
        assert_string_equal(s.body, body);
    }
}

static void the_length_ends_a_body(void **state)
{
    (void)state;
    check("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, 1, 200, true, "hello");
    check("HTTP/1.1 429 \r\ncontent-length:0\r\n\r\n", false, 1, 429, true, "");
    check("HTTP/1.1 204 No Content\r\n\r\n", false, 1, 204, true, "");
    check("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", false, 1, 304, true, "");
}

static void chunks_end_a_body(void **state)
{
    (void)state;
    check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n"
          "A: b\r\n\r\n",
          false, 1, 200, true, "abcde");
}

static void the_end_of_the_connection_ends_a_body(void **state)
{
    (void)state;
    check("HTTP/1.1 200 OK\r\n\r\nrest", true, 1, 200, false, "rest");
    check("HTTP/1.0 500 Oh\r\n\r\n", true, 1, 500, false, "");
}

static void connections_are_kept_as_the_answer_says(void **state)
{
    (void)state;
    check("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx", false, 1, 200,
          false, "x");
    check("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", false, 1, 200, false, "x");
    check("HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\nx", false, 1, 200,
          true, "x");
}

static void answers_follow_one_another(void **state)
{
    (void)state;
    check("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 404 No\r\nContent-Length: 2\r\n"
          "\r\nbc",
          false, 2, 404, true, "abc");
}

static void interim_answers_are_read_over(void **state)
{
    (void)state;
    check("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n"
          "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
          false, 1, 200, true, "a");
}

static void what_is_no_answer_is_an_error(void **state)
{
    static const char *const wrong[] = {
        "SSH-2.0-x\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "HTTP/1.1 xyz OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 101 Switching\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA head of more bytes: than the limit that the test sets, by far.....",
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        for (size_t piece = 1; piece < 100; piece += 98) {
            struct seen s = feed(wrong[i], strlen(wrong[i]), piece, false);
            if (s.step != GAL_ANSWER_ERROR)
                fail_msg("'%s' is taken (%zu a piece)", wrong[i], piece);
            assert_true(s.err.message[0] != '\0');
        }
    }
}

static void an_end_too_early_is_an_error(void **state)
{
    static const char *const cut[] = {"", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\n",
                                      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nx",
                                      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n"};

    (void)state;
    for (size_t i = 0; i < sizeof cut / sizeof cut[0]; i++)
        assert_int_equal(feed(cut[i], strlen(cut[i]), 7, true).step, GAL_ANSWER_ERROR);
}

static void a_body_that_does_not_fit_is_counted_and_cut(void **state)
{
    char bytes[300];
    int n =
        snprintf(bytes, sizeof bytes, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n%0100d", 7);
    struct seen s = feed(bytes, (size_t)n, 9, false);

    (void)state;
    assert_int_equal(s.step, GAL_ANSWER_DONE);
    assert_int_equal(s.body_bytes, 100);
    assert_int_equal(strlen(s.body), sizeof s.body - 1);
}

static void a_reset_forgets_half_an_answer(void **state)
{
    struct gal_answer *a;
    size_t taken;

    (void)state;
    assert_int_equal(gal_answer_new(&a, 1000, NULL), GAL_OK);
    assert_true(gal_answer_idle(a));
    assert_int_equal(gal_answer_feed(a, "HTTP/1.1 5", 10, &taken, NULL), GAL_ANSWER_MORE);
    assert_false(gal_answer_idle(a));
    gal_answer_reset(a);
    assert_int_equal(gal_answer_feed(a, "HTTP/1.1 204 \r\n\r\n", 17, &taken, NULL),
                     GAL_ANSWER_DONE);
    assert_int_equal(taken, 17);
    gal_answer_free(a);
}

static void without_memory_there_is_an_error(void **state)
{
    struct gal_answer *a = NULL;
    struct gal_err err;

    (void)state;
    gal_alloc_fail_at(1, 1);
    assert_int_equal(gal_answer_new(&a, 1000, &err), GAL_NO_MEMORY);
    gal_alloc_fail_at(0, 0);
    assert_null(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_length_ends_a_body),
        cmocka_unit_test(chunks_end_a_body),
        cmocka_unit_test(the_end_of_the_connection_ends_a_body),
        cmocka_unit_test(connections_are_kept_as_the_answer_says),
        cmocka_unit_test(answers_follow_one_another),
        cmocka_unit_test(interim_answers_are_read_over),
        cmocka_unit_test(what_is_no_answer_is_an_error),
        cmocka_unit_test(an_end_too_early_is_an_error),
        cmocka_unit_test(a_body_that_does_not_fit_is_counted_and_cut),
        cmocka_unit_test(a_reset_forgets_half_an_answer),
        cmocka_unit_test(without_memory_there_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
