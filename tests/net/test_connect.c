/* SPDX-License-Identifier: Apache-2.0 */
/* Outgoing connections, and a loop that is turned by hand. */
#include "base/mem.h"
#include "net/connect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>

struct end {
    struct gal_stream *stream;
    bool refuses;
    unsigned opened, closed, failed;
    int error;
    char space[64];
    size_t received;
};

static void *on_open(struct gal_stream *s, void *ctx)
{
    struct end *e = ctx;
    e->opened++;
    e->stream = s;
    return e->refuses ? NULL : e;
}

static char *on_space(void *user, size_t *n)
{
    struct end *e = user;
    *n = sizeof e->space - e->received;
    return e->space + e->received;
}

static void on_data(void *user, size_t n)
{
    struct end *e = user;
    e->received += n;
}

static void on_close(void *user)
{
    struct end *e = user;
    e->closed++;
}

static void on_failed(int error, void *ctx)
{
    struct end *e = ctx;
    e->failed++;
    e->error = error;
}

static const struct gal_stream_ops ops = {
    .on_open = on_open, .on_space = on_space, .on_data = on_data, .on_close = on_close};

static struct gal_endpoint at(const char *host, uint16_t port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct gal_endpoint e = {0};

    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1)
        gal_endpoint_set(&e, (struct sockaddr *)&v4, sizeof v4);
    else if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1)
        gal_endpoint_set(&e, (struct sockaddr *)&v6, sizeof v6);
    else
        fail_msg("%s is no address", host);
    return e;
}

static void endpoints_know_what_stays_on_this_machine(void **state)
{
    static const struct {
        const char *host, *text;
        bool loopback;
    } cases[] = {{"127.0.0.1", "127.0.0.1:80", true},
                 {"127.9.8.7", "127.9.8.7:80", true},
                 {"128.0.0.1", "128.0.0.1:80", false},
                 {"0.0.0.0", "0.0.0.0:80", false},
                 {"::1", "[::1]:80", true},
                 {"::2", "[::2]:80", false},
                 {"::ffff:127.0.0.1", "127.0.0.1:80", true},
                 {"::ffff:10.0.0.1", "10.0.0.1:80", false}};
    char text[GAL_ENDPOINT_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct gal_endpoint e = at(cases[i].host, 80);
        assert_int_equal(gal_endpoint_is_loopback(&e), cases[i].loopback);
        assert_string_equal(gal_endpoint_text(&e, text), cases[i].text);
    }
}

/* Turns the loop until *what is `want`, a bounded number of times. */
static void turn_until(struct gal_loop *loop, const unsigned *what, unsigned want)
{
    for (int i = 0; i < 1000 && *what < want; i++)
        gal_loop_turn(loop);
    assert_int_equal(*what, want);
}

static void both_ends_open_and_bytes_pass(void **state)
{
    struct end server = {0}, client = {0};
    struct gal_listener *listener;
    struct gal_loop *loop;
    struct gal_endpoint to;
    const struct gal_str hello = GAL_STR("hello");

    (void)state;
    assert_int_equal(gal_loop_new(&loop, NULL), GAL_OK);
    assert_int_equal(gal_listener_new(loop, "127.0.0.1", 0, 8, &ops, &server, &listener, NULL),
                     GAL_OK);
    to = at("127.0.0.1", gal_listener_port(listener));
    assert_int_equal(gal_stream_connect(loop, &to, &ops, on_failed, &client, NULL), GAL_OK);
    assert_int_equal(client.opened, 0); /* never inside the call */
    turn_until(loop, &client.opened, 1);
    turn_until(loop, &server.opened, 1);
    assert_true(gal_stream_write(client.stream, &hello, 1));
    for (int i = 0; i < 1000 && server.received < 5; i++)
        gal_loop_turn(loop);
    assert_memory_equal(server.space, "hello", 5);
    gal_stream_close(client.stream);
    turn_until(loop, &client.closed, 1);
    turn_until(loop, &server.closed, 1);
    assert_int_equal(client.failed, 0);
    gal_listener_free(listener);
    gal_loop_free(loop);
}

static void a_refusal_is_told_once(void **state)
{
    struct end client = {0};
    struct gal_loop *loop;
    struct gal_endpoint to = at("127.0.0.1", 1);
    struct gal_err err;

    (void)state;
    assert_int_equal(gal_loop_new(&loop, NULL), GAL_OK);
    if (gal_stream_connect(loop, &to, &ops, on_failed, &client, &err) == GAL_OK) {
        turn_until(loop, &client.failed, 1);
        assert_int_equal(client.error, ECONNREFUSED);
    } else {
        assert_int_equal(err.code, GAL_UNAVAILABLE);
        assert_non_null(strstr(err.message, "127.0.0.1:1: "));
    }
    assert_int_equal(client.opened, 0);
    gal_loop_free(loop);
    assert_true(client.failed <= 1);
}

static void an_attempt_ends_with_its_user_or_its_loop(void **state)
{
    struct end client = {0}, other = {0};
    struct gal_listener *listener;
    struct gal_loop *loop;
    struct gal_endpoint to;
    struct end server = {0};

    (void)state;
    assert_int_equal(gal_loop_new(&loop, NULL), GAL_OK);
    assert_int_equal(gal_listener_new(loop, "127.0.0.1", 0, 8, &ops, &server, &listener, NULL),
                     GAL_OK);
    to = at("127.0.0.1", gal_listener_port(listener));
    assert_int_equal(gal_stream_connect(loop, &to, &ops, on_failed, &client, NULL), GAL_OK);
    assert_int_equal(gal_stream_connect(loop, &to, &ops, on_failed, &other, NULL), GAL_OK);
    gal_connect_cancel(loop, &client);
    turn_until(loop, &other.opened, 1);
    assert_int_equal(client.opened + client.failed, 0);
    assert_int_equal(gal_stream_connect(loop, &to, &ops, on_failed, &client, NULL), GAL_OK);
    gal_listener_free(listener);
    gal_loop_free(loop); /* with one attempt under way */
    assert_int_equal(client.opened + client.failed, 0);
    assert_int_equal(other.closed, 1);
}

static void without_memory_nothing_is_left_open(void **state)
{
    struct end client = {0};
    struct gal_loop *loop;
    struct gal_endpoint to = at("127.0.0.1", 1);
    struct gal_err err;

    (void)state;
    assert_int_equal(gal_loop_new(&loop, NULL), GAL_OK);
    gal_alloc_fail_at(1, 1);
    assert_int_equal(gal_stream_connect(loop, &to, &ops, on_failed, &client, &err), GAL_NO_MEMORY);
    gal_alloc_fail_at(0, 0);
    gal_loop_free(loop);
}

static void count(void *ctx)
{
    ++*(unsigned *)ctx;
}

static void a_loop_turned_by_hand_runs_its_timers(void **state)
{
    struct gal_loop *loop;
    struct gal_timer *timer;
    unsigned fired = 0;

    (void)state;
    assert_int_equal(gal_loop_new(&loop, NULL), GAL_OK);
    assert_int_equal(gal_timer_new(loop, count, &fired, &timer, NULL), GAL_OK);
    gal_loop_poll(loop); /* nothing to do: returns */
    gal_timer_start(timer, 0, 0);
    for (int i = 0; i < 1000 && fired == 0; i++)
        gal_loop_poll(loop);
    assert_int_equal(fired, 1);
    gal_timer_start(timer, 1000, 0);
    gal_loop_turn(loop); /* sleeps until it is due */
    assert_int_equal(fired, 2);
    gal_loop_wait_ns(loop, 1); /* nothing comes: the time ends it */
    gal_timer_free(timer);
    gal_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(endpoints_know_what_stays_on_this_machine),
        cmocka_unit_test(both_ends_open_and_bytes_pass),
        cmocka_unit_test(a_refusal_is_told_once),
        cmocka_unit_test(an_attempt_ends_with_its_user_or_its_loop),
        cmocka_unit_test(without_memory_nothing_is_left_open),
        cmocka_unit_test(a_loop_turned_by_hand_runs_its_timers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
