/* SPDX-License-Identifier: Apache-2.0 */
/* Outgoing HTTP against a server that misbehaves on purpose. Time is the test's: the clock moves
 * two seconds each time it is read, so that waits are over after a few looks. */
#include "base/mem.h"
#include "net/fetch.h"
#include "net/fetch_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HOUR_US 3600000000u
#define RESOURCE "abcdefghijklmnopqrstuvwxyz"

static atomic_ullong now_us;

static uint64_t read_now(void *ctx)
{
    (void)ctx;
    return atomic_fetch_add(&now_us, 2000000);
}

static const struct gal_clock leaping = {read_now, read_now, NULL, NULL};

static struct gal_fetcher *make(struct gal_fetch_options o)
{
    struct gal_fetcher *f;
    struct gal_err err;
    o.clock = &leaping;
    o.stall_timeout_us = o.stall_timeout_us ? o.stall_timeout_us : HOUR_US;
    if (gal_fetcher_new(&o, &f, &err) != GAL_OK)
        fail_msg("%s", err.message);
    return f;
}

/* Pieces laid where they belong. */
struct whole {
    char bytes[256];
    size_t n, restarts;
    enum gal_status answer;
};

static enum gal_status on_piece(uint64_t offset, struct gal_str piece, void *ctx)
{
    struct whole *w = ctx;
    if (offset == 0 && w->n > 0)
        w->restarts++;
    assert_true(offset + piece.n < sizeof w->bytes);
    for (size_t i = 0; i < piece.n; i++)
        w->bytes[offset + i] = piece.p[i];
    w->n = offset + piece.n;
    return w->answer;
}

/* --- plain answers --- */

static bool plain(struct fetch_peer *p, int fd, unsigned index)
{
    (void)p, (void)index;
    fetch_peer_send(fd,
                    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A:  one \r\nx-a: two\r\n\r\nhello");
    return true;
}

static void an_answer_has_status_head_and_body(void **state)
{
    (void)state;
    static struct fetch_peer p;
    struct gal_fetch_response r;
    struct gal_err err;
    fetch_peer_start(&p, plain, NULL);
    struct gal_fetcher *f = make((struct gal_fetch_options){0});
    struct gal_fetch_header h[] = {{"X-Mine", "yes"}};
    struct gal_fetch_request q = {
        .url = fetch_peer_url(&p, "/a?b=c"), .headers = h, .header_count = 1};
    for (int i = 0; i < 2; i++) { /* the second on the same connection */
        assert_int_equal(gal_fetch(f, &q, &r, &err), GAL_OK);
        assert_int_equal(r.status, 200);
        assert_true(gal_str_is(gal_buf_str(&r.body), "hello"));
        struct gal_str one = gal_fetch_header(&r, "X-A");
        assert_true(gal_str_is(one, "one"));
        struct gal_str two = gal_fetch_header_next(&r, "x-a", one);
        assert_true(gal_str_is(two, "two"));
        assert_int_equal(gal_fetch_header_next(&r, "x-a", two).n, 0);
        assert_int_equal(r.bytes, 5);
        assert_int_equal(r.tries, 1);
        gal_fetch_response_release(&r);
    }
    assert_true(fetch_peer_has(&p, 1, "X-Mine: yes"));
    assert_true(fetch_peer_has(&p, 1, "User-Agent: galley/" GAL_VERSION));
    assert_memory_equal(p.asked[0].head, "GET /a?b=c HTTP/1.1", 19);
    gal_fetcher_free(f);
    fetch_peer_stop(&p);
}

static void what_is_larger_than_it_may_be_is_refused(void **state)
{
    (void)state;
    static struct fetch_peer p;
    struct gal_fetch_response r;
    struct gal_err err;
    fetch_peer_start(&p, plain, NULL);
    struct gal_fetcher *f = make((struct gal_fetch_options){0});
    struct gal_fetch_request q = {.url = fetch_peer_url(&p, "/"), .body_max = 4};
    assert_int_equal(gal_fetch(f, &q, &r, &err), GAL_TOO_LARGE);
    assert_non_null(strstr(err.message, "larger than 4 bytes"));
    gal_fetch_response_release(&r);
    gal_fetcher_free(f);
    fetch_peer_stop(&p);
}

static void urls_and_headers_that_are_none_are_refused(void **state)
{
    (void)state;
    static const char *const urls[] = {
        "",        "nothing",     "ftp://host/a",      "file:///etc/passwd",
        "http://", "http://a b/", "http://host:99999/"};
    struct gal_fetch_header h[] = {{"A", "b\r\nC: d"}};
    struct gal_fetch_response r;
    struct gal_err err;
    struct gal_fetcher *f = make((struct gal_fetch_options){0});
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct gal_fetch_request q = {.url = urls[i]};
        assert_int_equal(gal_fetch(f, &q, &r, &err), GAL_INVALID);
        gal_fetch_response_release(&r);
    }
    struct gal_fetch_request q = {.url = "http://127.0.0.1:1/", .headers = h, .header_count = 1};
    assert_int_equal(gal_fetch(f, &q, &r, &err), GAL_INVALID);
    gal_fetch_response_release(&r);
    gal_fetcher_free(f);
}

static void secrets_of_a_url_are_not_shown(void **state)
{
    (void)state;
    char out[64];
    assert_string_equal(gal_fetch_shown("https://me:pw@h/a?sig=x#f", out, sizeof out),
                        "https://h/a");
    assert_string_equal(gal_fetch_shown("https://h/a@b", out, sizeof out), "https://h/a@b");
    assert_string_equal(gal_fetch_shown("https://h?a=b@c://", out, sizeof out), "https://h");
    assert_string_equal(gal_fetch_shown("a@b?u=http://x@y", out, sizeof out), "b");
}

/* --- tries --- */

static bool busy_then_fine(struct fetch_peer *p, int fd, unsigned index)
{
    if (index < 2)
        fetch_peer_send(fd, "HTTP/1.1 503 Busy\r\nRetry-After: %s\r\nContent-Length: 3\r\n\r\nno\n",
                        (const char *)p->ctx);
    else
        return plain(p, fd, index);
    return true;
}

static void a_busy_server_is_asked_again_when_it_says(void **state)
{
    (void)state;
    static struct fetch_peer p;
    struct gal_fetch_response r;
    struct gal_err err;
    fetch_peer_start(&p, busy_then_fine, "7");
    struct gal_fetcher *f = make((struct gal_fetch_options){0});
    struct gal_fetch_request q = {.url = fetch_peer_url(&p, "/")};
    uint64_t before = atomic_load(&now_us);
    assert_int_equal(gal_fetch(f, &q, &r, &err), GAL_OK);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.tries, 3);
    assert_true(atomic_load(&now_us) - before >= 14000000);
    gal_fetch_response_release(&r);
    gal_fetcher_free(f);
    fetch_peer_stop(&p);
}

static void more_patience_than_there_is_ends_it(void **state)
{
    (void)state;
    static struct fetch_peer p;
    struct gal_fetch_response r;
    struct gal_err err;
    fetch_peer_start(&p, busy_then_fine, "3600");
    struct gal_fetcher *f = make((struct gal_fetch_options){0});
    struct gal_fetch_request q = {.url = fetch_peer_url(&p, "/x?secret=1")};
    assert_int_equal(gal_fetch(f, &q, &r, &err), GAL_OK);
    assert_int_equal(r.status, 503);
    assert_int_equal(r.tries, 1);
    assert_int_equal(gal_fetch_failed(&q, &r, &err), GAL_UNAVAILABLE);
    assert_non_null(strstr(err.message, "/x: 503 Service Unavailable: no"));
    assert_null(strstr(err.message, "secret"));
    gal_fetch_response_release(&r);
    q.no_retry = true;
    p.ctx = "1";
    assert_int_equal(gal_fetch(f, &q, &r, &err), GAL_OK);
    assert_int_equal(r.status, 503);
    gal_fetch_response_release(&r);
    gal_fetcher_free(f);
    fetch_peer_stop(&p);
}

static void nobody_there_is_said_with_the_address(void **state)
{
    (void)state;
    static struct fetch_peer p;
    struct gal_fetch_response r;
    struct gal_err err;
    fetch_peer_start(&p, plain, NULL);
    fetch_peer_stop(&p);
    struct gal_fetcher *f = make((struct gal_fetch_options){.tries = 3});
    struct gal_fetch_request q = {.url = fetch_peer_url(&p, "/a")};
    assert_int_equal(gal_fetch(f, &q, &r, &err), GAL_UNAVAILABLE);
    assert_int_equal(r.tries, 3);
    assert_non_null(strstr(err.message, fetch_peer_url(&p, "/a")));
    gal_fetch_response_release(&r);
    gal_fetcher_free(f);
}

static void a_name_that_is_none_is_asked_for_again_and_said(void **state)
{
    (void)state;
    struct gal_fetch_response r;
    struct gal_err err;
    struct gal_fetcher *f = make((struct gal_fetch_options){.tries = 2});
    struct gal_fetch_request q = {.url = "https://nowhere.invalid/a"};
    assert_int_equal(gal_fetch(f, &q, &r, &err), GAL_UNAVAILABLE);
    assert_int_equal(r.tries, 2);
    assert_string_equal(err.message, "GET https://nowhere.invalid/a: Could not resolve host: "
                                     "nowhere.invalid");
    gal_fetch_response_release(&r);
    gal_fetcher_free(f);
}

static bool silent(struct fetch_peer *p, int fd, unsigned index)
{
    (void)index;
    if (p->ctx)
        atomic_store((atomic_bool *)(uintptr_t)p->ctx, true);
    fetch_peer_hang(p, fd);
    return false;
}

static void a_silent_server_is_given_up(void **state)
{
    (void)state;
    static struct fetch_peer p;
    struct gal_fetch_response r;
    struct gal_err err;
    fetch_peer_start(&p, silent, NULL);
    struct gal_fetcher *f =
        make((struct gal_fetch_options){.tries = 2, .stall_timeout_us = 10000000});
    struct gal_fetch_request q = {.url = fetch_peer_url(&p, "/a")};
    assert_int_equal(gal_fetch(f, &q, &r, &err), GAL_DEADLINE);
    assert_int_equal(r.tries, 2);
    assert_non_null(strstr(err.message, "bytes a second"));
    gal_fetch_response_release(&r);
    gal_fetcher_free(f);
    fetch_peer_stop(&p);
}

static void who_stops_is_not_kept_waiting(void **state)
{
    (void)state;
    static struct fetch_peer p;
    atomic_bool stop = false;
    struct gal_fetch_response r;
    struct gal_err err;
    fetch_peer_start(&p, silent, &stop); /* stops with the first request */
    struct gal_fetcher *f = make((struct gal_fetch_options){.stop = &stop});
    struct gal_fetch_request q = {.url = fetch_peer_url(&p, "/a")};
    assert_int_equal(gal_fetch(f, &q, &r, &err), GAL_CANCELLED);
    gal_fetch_response_release(&r);
    gal_fetcher_free(f);
    fetch_peer_stop(&p);
}

/* --- cut bodies --- */

enum fault { CUT, CUT_UNNAMED, CHANGED, WRONG_RANGE, NO_RANGES, CUT_AT_END };

/* The first answer ends after ten bytes; then `fault` decides. */
static bool cutting(struct fetch_peer *p, int fd, unsigned index)
{
    enum fault fault = *(const enum fault *)p->ctx;
    const char *tag = fault == CUT_UNNAMED ? "X: y" : "ETag: \"one\"";
    size_t all = sizeof RESOURCE - 1;
    bool ranged = strcasestr(p->asked[index].head, "\r\nrange:") != NULL;
    if (index == 0 && fault == CUT_AT_END)
        fetch_peer_send(fd,
                        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n%s\r\n\r\n1a\r\n%s\r\n",
                        tag, RESOURCE);
    else if (index == 0)
        fetch_peer_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n%s\r\n\r\n%.10s", all, tag,
                        RESOURCE);
    else if (fault == CUT_AT_END)
        fetch_peer_send(
            fd, "HTTP/1.1 416 No\r\nContent-Range: bytes */%zu\r\nContent-Length: 0\r\n\r\n", all);
    else if (ranged && fault != NO_RANGES)
        fetch_peer_send(fd,
                        "HTTP/1.1 206 Part\r\nContent-Length: %zu\r\nETag: \"%s\"\r\n"
                        "Content-Range: bytes %d-25/26\r\n\r\n%s",
                        all - 10, fault == CHANGED ? "two" : "one", fault == WRONG_RANGE ? 9 : 10,
                        &RESOURCE[10]);
    else
        fetch_peer_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n%s\r\n\r\n%s", all, tag,
                        RESOURCE);
    return false;
}

static struct whole fetch_cut(enum fault fault, bool immutable, struct fetch_peer *p,
                              enum gal_status expected)
{
    struct whole w = {.n = 0};
    struct gal_fetch_response r;
    struct gal_err err;
    fetch_peer_start(p, cutting, &fault);
    struct gal_fetcher *f = make((struct gal_fetch_options){0});
    struct gal_fetch_request q = {
        .url = fetch_peer_url(p, "/a"), .immutable = immutable, .on_piece = on_piece, .ctx = &w};
    assert_int_equal(gal_fetch(f, &q, &r, &err), expected);
    if (expected == GAL_OK) {
        assert_int_equal(r.status, 200);
        assert_int_equal(w.n, sizeof RESOURCE - 1);
        assert_memory_equal(w.bytes, RESOURCE, w.n);
    }
    gal_fetch_response_release(&r);
    gal_fetcher_free(f);
    fetch_peer_stop(p);
    return w;
}

static void a_cut_body_goes_on_where_it_was_cut(void **state)
{
    (void)state;
    static struct fetch_peer p;
    struct whole w = fetch_cut(CUT, false, &p, GAL_OK);
    assert_int_equal(w.restarts, 0);
    assert_int_equal(atomic_load(&p.count), 2);
    assert_true(fetch_peer_has(&p, 1, "Range: bytes=10-"));
    assert_true(fetch_peer_has(&p, 1, "If-Range: \"one\""));
}

static void without_a_validator_it_begins_anew_unless_it_cannot_change(void **state)
{
    (void)state;
    static struct fetch_peer p;
    assert_int_equal(fetch_cut(CUT_UNNAMED, false, &p, GAL_OK).restarts, 1);
    assert_null(strcasestr(p.asked[1].head, "range:"));
    assert_int_equal(fetch_cut(CUT_UNNAMED, true, &p, GAL_OK).restarts, 0);
    assert_true(fetch_peer_has(&p, 1, "Range: bytes=10-"));
    assert_null(strcasestr(p.asked[1].head, "if-range:"));
}

static void a_server_without_ranges_begins_anew(void **state)
{
    (void)state;
    static struct fetch_peer p;
    assert_int_equal(fetch_cut(NO_RANGES, false, &p, GAL_OK).restarts, 1);
}

static void content_that_changed_begins_anew(void **state)
{
    (void)state;
    static struct fetch_peer p;
    assert_int_equal(fetch_cut(CHANGED, false, &p, GAL_OK).restarts, 1);
    assert_int_equal(atomic_load(&p.count), 3);
    assert_null(strcasestr(p.asked[2].head, "range:"));
}

static void another_range_than_was_asked_for_is_refused(void **state)
{
    (void)state;
    static struct fetch_peer p;
    assert_int_equal(fetch_cut(WRONG_RANGE, false, &p, GAL_INVALID).n, 10);
}

static void a_body_cut_behind_its_last_byte_is_whole(void **state)
{
    (void)state;
    static struct fetch_peer p;
    assert_int_equal(fetch_cut(CUT_AT_END, false, &p, GAL_OK).restarts, 0);
    assert_true(fetch_peer_has(&p, 1, "Range: bytes=26-"));
}

static void a_piece_that_is_not_wanted_ends_it(void **state)
{
    (void)state;
    static struct fetch_peer p;
    struct whole w = {.answer = GAL_CONFLICT};
    struct gal_fetch_response r;
    struct gal_err err;
    fetch_peer_start(&p, plain, NULL);
    struct gal_fetcher *f = make((struct gal_fetch_options){0});
    struct gal_fetch_request q = {.url = fetch_peer_url(&p, "/"), .on_piece = on_piece, .ctx = &w};
    assert_int_equal(gal_fetch(f, &q, &r, &err), GAL_CONFLICT);
    assert_int_equal(r.tries, 1);
    gal_fetch_response_release(&r);
    gal_fetcher_free(f);
    fetch_peer_stop(&p);
}

/* --- bodies that go out --- */

static bool busy_once(struct fetch_peer *p, int fd, unsigned index)
{
    (void)p;
    fetch_peer_send(fd, "HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n",
                    index == 0 ? "503 Busy" : "201 Created");
    return true;
}

static void part_of_a_file_is_sent_and_sent_again(void **state)
{
    (void)state;
    static struct fetch_peer p;
    char path[] = "/tmp/galley-test-XXXXXX";
    struct gal_fetch_response r;
    struct gal_err err;
    int fd = mkstemp(path);
    assert_int_equal(write(fd, RESOURCE, 26), 26);
    fetch_peer_start(&p, busy_once, NULL);
    struct gal_fetcher *f = make((struct gal_fetch_options){0});
    struct gal_fetch_request q = {.method = "PUT",
                                  .url = fetch_peer_url(&p, "/"),
                                  .body_fd = fd,
                                  .body_from_fd = true,
                                  .body_offset = 3,
                                  .body_bytes = 20};
    assert_int_equal(gal_fetch(f, &q, &r, &err), GAL_OK);
    assert_int_equal(r.status, 201);
    gal_fetch_response_release(&r);
    for (unsigned i = 0; i < 2; i++) {
        assert_memory_equal(p.asked[i].head, "PUT / HTTP/1.1\r\n", 16);
        assert_int_equal(p.asked[i].body_bytes, 20);
        assert_memory_equal(p.asked[i].body, &RESOURCE[3], 20);
    }
    q.body_bytes = 24; /* one more than there is */
    assert_int_equal(gal_fetch(f, &q, &r, &err), GAL_IO);
    gal_fetch_response_release(&r);
    q = (struct gal_fetch_request){.method = "POST", .url = fetch_peer_url(&p, "/")};
    assert_int_equal(gal_fetch(f, &q, &r, &err), GAL_OK);
    assert_true(fetch_peer_has(&p, 2, "Content-Length: 0"));
    gal_fetch_response_release(&r);
    gal_fetcher_free(f);
    fetch_peer_stop(&p);
    close(fd);
    unlink(path);
}

/* --- redirects --- */

static bool redirecting(struct fetch_peer *p, int fd, unsigned index)
{
    (void)index;
    fetch_peer_send(fd, "HTTP/1.1 307 There\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n",
                    (const char *)p->ctx);
    return true;
}

static void credentials_stay_with_the_first_host(void **state)
{
    (void)state;
    static struct fetch_peer here, there;
    struct gal_fetch_response r;
    struct gal_err err;
    struct gal_fetch_header h[] = {{"Authorization", "Bearer secret"},
                                   {"X-Amz-Security-Token", "secret"},
                                   {"Accept", "text/plain"},
                                   {"Range", "bytes=0-3"}};
    fetch_peer_start(&there, plain, NULL);
    char target[64];
    snprintf(target, sizeof target, "%s", fetch_peer_url(&there, "/b"));
    fetch_peer_start(&here, redirecting, target);
    struct gal_fetcher *f = make((struct gal_fetch_options){0});
    struct gal_fetch_request q = {
        .url = fetch_peer_url(&here, "/a"), .headers = h, .header_count = 4};
    assert_int_equal(gal_fetch(f, &q, &r, &err), GAL_OK);
    assert_string_equal(r.url, target);
    gal_fetch_response_release(&r);
    assert_true(fetch_peer_has(&here, 0, "Authorization: Bearer secret"));
    assert_null(strcasestr(there.asked[0].head, "secret"));
    assert_true(fetch_peer_has(&there, 0, "Accept: text/plain"));
    assert_true(fetch_peer_has(&there, 0, "Range: bytes=0-3"));

    static const char *const signs[] = {NULL, "aws:amz:eu-west-1:s3"};
    for (unsigned i = 0; i < 2; i++) {
        q = (struct gal_fetch_request){.url = fetch_peer_url(&here, "/a"),
                                       .user = "me",
                                       .password = "secret",
                                       .sigv4 = signs[i]};
        if (gal_fetch(f, &q, &r, &err) != GAL_OK)
            fail_msg("%s", err.message);
        gal_fetch_response_release(&r);
        assert_null(strcasestr(there.asked[1 + i].head, "authorization"));
    }
    assert_true(fetch_peer_has(&here, 1, "Authorization: Basic bWU6c2VjcmV0"));
    assert_non_null(strstr(here.asked[2].head, "Authorization: AWS4-HMAC-SHA256 Credential=me/"));
    assert_non_null(strstr(here.asked[2].head, "/eu-west-1/s3/aws4_request"));
    gal_fetcher_free(f);
    fetch_peer_stop(&here);
    fetch_peer_stop(&there);
}

static void redirects_end(void **state)
{
    (void)state;
    static struct fetch_peer p;
    struct gal_fetch_response r;
    struct gal_err err;
    fetch_peer_start(&p, redirecting, "/again");
    struct gal_fetcher *f = make((struct gal_fetch_options){0});
    struct gal_fetch_request q = {.url = fetch_peer_url(&p, "/a")};
    assert_int_equal(gal_fetch(f, &q, &r, &err), GAL_UNAVAILABLE);
    assert_non_null(strstr(err.message, "redirects more than 5 times"));
    assert_int_equal(atomic_load(&p.count), 6);
    gal_fetch_response_release(&r);
    q.no_redirects = true;
    assert_int_equal(gal_fetch(f, &q, &r, &err), GAL_OK);
    assert_int_equal(r.status, 307);
    assert_true(gal_str_is(gal_fetch_header(&r, "location"), "/again"));
    gal_fetch_response_release(&r);
    p.ctx = "file:///etc/passwd";
    q.no_redirects = false;
    assert_int_not_equal(gal_fetch(f, &q, &r, &err), GAL_OK);
    gal_fetch_response_release(&r);
    gal_fetcher_free(f);
    fetch_peer_stop(&p);
}

static void memory_that_is_out_is_an_error(void **state)
{
    (void)state;
    static struct fetch_peer p;
    struct gal_fetch_options o = {.clock = &leaping, .stall_timeout_us = HOUR_US};
    struct gal_fetch_request q = {.no_retry = true};
    enum gal_status status = GAL_NO_MEMORY;
    fetch_peer_start(&p, plain, NULL);
    q.url = fetch_peer_url(&p, "/");
    for (uint64_t i = 1; status != GAL_OK; i++) {
        struct gal_fetcher *f = NULL;
        struct gal_fetch_response r;
        assert_true(i < 30);
        gal_alloc_fail_at(i, 1);
        status = gal_fetcher_new(&o, &f, NULL);
        if (status == GAL_OK) {
            status = gal_fetch(f, &q, &r, NULL);
            gal_fetch_response_release(&r);
        }
        gal_alloc_fail_at(0, 0);
        gal_fetcher_free(f);
        assert_true(status == GAL_OK || status == GAL_NO_MEMORY);
    }
    fetch_peer_stop(&p);
}

int main(void)
{
    setenv("no_proxy", "*", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_has_status_head_and_body),
        cmocka_unit_test(what_is_larger_than_it_may_be_is_refused),
        cmocka_unit_test(urls_and_headers_that_are_none_are_refused),
        cmocka_unit_test(secrets_of_a_url_are_not_shown),
        cmocka_unit_test(a_busy_server_is_asked_again_when_it_says),
        cmocka_unit_test(more_patience_than_there_is_ends_it),
        cmocka_unit_test(nobody_there_is_said_with_the_address),
        cmocka_unit_test(a_name_that_is_none_is_asked_for_again_and_said),
        cmocka_unit_test(a_silent_server_is_given_up),
        cmocka_unit_test(who_stops_is_not_kept_waiting),
        cmocka_unit_test(a_cut_body_goes_on_where_it_was_cut),
        cmocka_unit_test(without_a_validator_it_begins_anew_unless_it_cannot_change),
        cmocka_unit_test(a_server_without_ranges_begins_anew),
        cmocka_unit_test(content_that_changed_begins_anew),
        cmocka_unit_test(another_range_than_was_asked_for_is_refused),
        cmocka_unit_test(a_body_cut_behind_its_last_byte_is_whole),
        cmocka_unit_test(a_piece_that_is_not_wanted_ends_it),
        cmocka_unit_test(part_of_a_file_is_sent_and_sent_again),
        cmocka_unit_test(credentials_stay_with_the_first_host),
        cmocka_unit_test(redirects_end),
        cmocka_unit_test(memory_that_is_out_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
