/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "http/http1.h"

#include <setjmp.h>

#include <cmocka.h>

static const struct gal_str date = {"Tue, 14 Nov 2023 22:13:20 GMT", 29};

static void check_head(const struct gal_http_response *r, const struct gal_http_request *req,
                       bool keep_alive, const char *want)
{
    struct gal_buf out;
    gal_buf_init(&out, 4096);
    gal_buf_puts(&out, "before|");
    gal_http1_write_head(&out, r, req, date, keep_alive);
    assert_false(out.failed);
    gal_buf_putc(&out, '\0');
    assert_memory_equal(out.p, "before|", 7);
    assert_string_equal(out.p + 7, want);
    gal_buf_release(&out);
}

static void an_answer_has_length_and_date(void **state)
{
    (void)state;
    struct gal_http_response r = {.status = 200, .body_bytes = 1234567};
    struct gal_http_request req = {.version_major = 1, .version_minor = 1};
    gal_http_response_header(&r, GAL_STR("Content-Type"), GAL_STR("application/json"));
    gal_http_response_header(&r, GAL_STR("X-Empty"), (struct gal_str){NULL, 0});
    check_head(&r, &req, true,
               "HTTP/1.1 200 OK\r\n"
               "Content-Type: application/json\r\n"
               "X-Empty: \r\n"
               "Content-Length: 1234567\r\n"
               "Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n\r\n");
}

static void the_end_of_a_connection_is_announced(void **state)
{
    (void)state;
    struct gal_http_response r = {.status = 404};
    const char *closing = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n"
                          "Date: Tue, 14 Nov 2023 22:13:20 GMT\r\nConnection: close\r\n\r\n";
    check_head(&r, NULL, false, closing);
    r.close = true;
    check_head(&r, NULL, true, closing);
}

static void an_old_client_hears_that_the_connection_stays(void **state)
{
    (void)state;
    struct gal_http_response r = {.status = 200};
    struct gal_http_request req = {.version_major = 1, .version_minor = 0};
    check_head(&r, &req, true,
               "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
               "Date: Tue, 14 Nov 2023 22:13:20 GMT\r\nConnection: keep-alive\r\n\r\n");
}

static void answers_without_a_body_have_no_length(void **state)
{
    (void)state;
    struct gal_http_response r = {.status = 204};
    check_head(&r, NULL, true,
               "HTTP/1.1 204 No Content\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\n\r\n");
    r.status = 304;
    check_head(&r, NULL, true,
               "HTTP/1.1 304 Not Modified\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\n\r\n");
    r.status = 101;
    check_head(&r, NULL, true,
               "HTTP/1.1 101 Switching Protocols\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\n"
               "Connection: Upgrade\r\n\r\n");
    assert_true(gal_str_is(gal_http1_continue(), "HTTP/1.1 100 Continue\r\n\r\n"));
}

static void a_header_cannot_smuggle_lines(void **state)
{
    (void)state;
    struct gal_http_response r = {.status = 599};
    gal_http_response_header(&r, GAL_STR("X-A"), GAL_STR("a\r\nSet-Cookie: b"));
    gal_http_response_header(&r, GAL_STR("X-B"), GAL_STR("a\nb"));
    gal_http_response_header(&r, GAL_STR("X-C"), GAL_STR("a\0b"));
    gal_http_response_header(&r, GAL_STR("X-D\r\nX"), GAL_STR("a"));
    gal_http_response_header(&r, GAL_STR("X-E"), GAL_STR("good\xc3\xa9"));
    check_head(&r, NULL, true,
               "HTTP/1.1 599 Unknown\r\nX-E: good\xc3\xa9\r\nContent-Length: 0\r\n"
               "Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n\r\n");
}

static void a_full_buffer_is_marked_and_unchanged(void **state)
{
    (void)state;
    struct gal_http_response r = {.status = 200};
    struct gal_buf out;
    gal_buf_init(&out, 64);
    gal_buf_puts(&out, "x");
    gal_http1_write_head(&out, &r, NULL, date, true);
    assert_true(out.failed);
    assert_int_equal(out.n, 1);
    gal_buf_release(&out);
}

static void a_head_without_memory_is_marked(void **state)
{
    (void)state;
    struct gal_http_response r = {.status = 200};
    struct gal_buf out;
    gal_buf_init(&out, 4096);
    gal_alloc_fail_at(1, 1);
    gal_http1_write_head(&out, &r, NULL, date, true);
    gal_alloc_fail_at(0, 0);
    assert_true(out.failed);
    gal_buf_release(&out);
}

/* The longest of everything fits the room that is reserved: a sanitizer would see it. */
static void the_longest_head_fits(void **state)
{
    (void)state;
    struct gal_http_response r = {.status = 431, .body_bytes = SIZE_MAX, .close = true};
    for (size_t i = 0; i < GAL_HTTP_RESPONSE_HEADERS_MAX; i++)
        gal_http_response_header(&r, GAL_STR("a"), GAL_STR("b"));
    struct gal_buf out;
    gal_buf_init(&out, 1u << 20);
    gal_http1_write_head(&out, &r, NULL, date, false);
    assert_true(out.n > 100 && out.n <= out.cap);
    assert_true(gal_str_ends(gal_buf_str(&out), GAL_STR("Connection: close\r\n\r\n")));
    gal_buf_release(&out);
}

static void dates_are_written_as_http_wants_them(void **state)
{
    static const struct {
        uint64_t seconds;
        const char *text;
    } rows[] = {
        {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
        {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"}, /* RFC 9110 5.6.7 */
        {951782399, "Mon, 28 Feb 2000 23:59:59 GMT"},
        {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
        {1700000000, "Tue, 14 Nov 2023 22:13:20 GMT"},
        {4102444800, "Fri, 01 Jan 2100 00:00:00 GMT"},
        {4107542400, "Mon, 01 Mar 2100 00:00:00 GMT"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char out[GAL_HTTP_DATE_SIZE];
        gal_http_date(rows[i].seconds * 1000000 + 999999, out);
        assert_string_equal(out, rows[i].text);
    }
}

static void writing_again_takes_no_memory(void **state)
{
    (void)state;
    struct gal_http_response r = {.status = 503, .body_bytes = 3};
    struct gal_buf out;
    gal_buf_init(&out, 4096);
    gal_http1_write_head(&out, &r, NULL, date, true);
    uint64_t before = gal_alloc_count();
    for (int i = 0; i < 3; i++) {
        gal_buf_clear(&out, 4096);
        gal_http1_write_head(&out, &r, NULL, date, true);
    }
    assert_int_equal(gal_alloc_count(), before);
    gal_buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_has_length_and_date),
        cmocka_unit_test(the_end_of_a_connection_is_announced),
        cmocka_unit_test(an_old_client_hears_that_the_connection_stays),
        cmocka_unit_test(answers_without_a_body_have_no_length),
        cmocka_unit_test(a_header_cannot_smuggle_lines),
        cmocka_unit_test(a_full_buffer_is_marked_and_unchanged),
        cmocka_unit_test(a_head_without_memory_is_marked),
        cmocka_unit_test(the_longest_head_fits),
        cmocka_unit_test(dates_are_written_as_http_wants_them),
        cmocka_unit_test(writing_again_takes_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
