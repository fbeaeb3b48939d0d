/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "net/peers.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* --- many, addresses, listeners --- */

static void name_peer(struct peer *p, enum event e, size_t n)
{
    (void)n;
    if (e != EV_DATA)
        return;
    const char *name = gal_stream_peer(p->stream);
    if (gal_stream_loop(p->stream) == p->server->loop && strlen(name) < sizeof p->name)
        memcpy(p->name, name, strlen(name) + 1);
    gal_stream_close(p->stream);
}

static void peers_have_addresses(void **state)
{
    (void)state;
    static const char *const hosts[] = {"127.0.0.1", "localhost", "", "::", "0.0.0.0"};
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        struct server s;
        char want[32];
        struct sockaddr_in a;
        socklen_t n = sizeof a;
        start_on(&s, name_peer, hosts[i]);
        run_in_thread(&s);
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(s.port)};
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0) {
            assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
            snprintf(want, sizeof want, "127.0.0.1:%u", ntohs(a.sin_port));
            send_all(fd, "x", 1);
            assert_true(is_ended(fd));
            wait_closed(&s);
            stop(&s);
            assert_string_equal(s.peers[0]->name, want);
        } else { /* localhost may be ::1 only */
            assert_string_equal(hosts[i], "localhost");
            stop(&s);
        }
        close(fd);
        clean(&s);
    }
}

static void a_peer_of_ipv6_stands_in_brackets(void **state)
{
    (void)state;
    struct server s;
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    socklen_t n = sizeof a;
    char want[64];
    int probe = socket(AF_INET6, SOCK_STREAM, 0);
    bool can = probe >= 0 && bind(probe, (struct sockaddr *)&a, sizeof a) == 0;
    if (probe >= 0)
        close(probe);
    if (!can)
        skip();
    start_on(&s, name_peer, "::1");
    run_in_thread(&s);
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    a.sin6_port = htons(s.port);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    snprintf(want, sizeof want, "[::1]:%u", ntohs(a.sin6_port));
    send_all(fd, "x", 1);
    assert_true(is_ended(fd));
    wait_closed(&s);
    stop(&s);
    assert_string_equal(s.peers[0]->name, want);
    close(fd);
    clean(&s);
}

static int drains;

static void say_hello(struct peer *p, enum event e, size_t n)
{
    (void)n;
    if (e == EV_DRAIN) {
        drains++;
        gal_stream_close(p->stream);
    }
    struct gal_str hello = GAL_STR("hello");
    if (e == EV_OPEN && !gal_stream_write(p->stream, &hello, 1))
        p->step = 100;
}

static void all_streams_of_a_loop_are_told_of_a_drain(void **state)
{
    (void)state;
    struct server s;
    int fds[20];
    char hello[5];
    start(&s, say_hello);
    for (int i = 0; i < 20; i++) {
        fds[i] = dial(s.port, 0);
        assert_int_equal(recv(fds[i], hello, 5, MSG_WAITALL), 5);
    }
    stop_running(&s);
    assert_int_equal(gal_loop_streams(s.loop), 20);
    drains = 0;
    gal_loop_drain_streams(s.loop);
    assert_int_equal(drains, 20);
    gal_loop_drain_streams(s.loop); /* those that are closing are left out */
    assert_int_equal(drains, 20);
    gal_loop_free(s.loop);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(s.peers[i]->seen[EV_CLOSE], 1);
        assert_true(is_ended(fds[i]));
        close(fds[i]);
    }
    clean(&s);
}

static void connecting_again_takes_no_memory(void **state)
{
    (void)state;
    struct server s;
    uint64_t before = 0;
    start(&s, echo);
    for (int i = 0; i < 30; i++) {
        if (i == 10)
            before = gal_alloc_count();
        int fd = dial(s.port, 0);
        char c = 'x';
        send_all(fd, &c, 1);
        assert_int_equal(recv(fd, &c, 1, 0), 1);
        close(fd);
        wait_closed(&s);
    }
    assert_int_equal(gal_alloc_count(), before);
    stop(&s);
    clean(&s);
}

static void a_freed_listener_leaves_open_connections_alone(void **state)
{
    (void)state;
    struct server s;
    char c = 'x';
    start(&s, echo);
    int fd = dial(s.port, 0);
    send_all(fd, &c, 1);
    assert_int_equal(recv(fd, &c, 1, 0), 1);
    stop_running(&s);
    gal_listener_free(s.listener);
    gal_listener_free(NULL);
    run_in_thread(&s);
    send_all(fd, &c, 1);
    assert_int_equal(recv(fd, &c, 1, 0), 1);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(s.port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int late = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(late, (struct sockaddr *)&a, sizeof a), -1);
    close(late);
    close(fd);
    stop(&s);
    clean(&s);
}

static void a_port_is_shared_by_loops_but_not_with_others(void **state)
{
    (void)state;
    struct server s;
    struct gal_listener *second = NULL;
    struct gal_err err;
    start(&s, echo);
    assert_int_equal(gal_listener_probe("127.0.0.1", s.port, &err), GAL_IO);
    assert_non_null(strstr(err.message, "127.0.0.1:"));
    assert_non_null(strstr(err.message, "in use"));
    assert_non_null(strstr(err.hint, "port"));
    stop_running(&s);
    assert_int_equal(
        gal_listener_new(s.loop, "127.0.0.1", s.port, 128, &peer_ops, &s, &second, &err), GAL_OK);
    assert_int_equal(gal_listener_port(second), s.port);
    gal_loop_free(s.loop);
    /* A connection that lingers does not hold the port. */
    assert_int_equal(gal_listener_probe("127.0.0.1", s.port, &err), GAL_OK);
    assert_int_equal(gal_listener_probe("", s.port, &err), GAL_OK);
    assert_int_equal(gal_listener_probe("127.0.0.1", 0, &err), GAL_OK);
    clean(&s);
}

static void a_place_that_cannot_be_had_is_an_error_with_a_hint(void **state)
{
    (void)state;
    struct gal_loop *loop = NULL;
    struct gal_listener *l = NULL;
    struct gal_err err;
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t n = sizeof a;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int other = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(other, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(other, 1), 0);
    assert_int_equal(getsockname(other, (struct sockaddr *)&a, &n), 0);
    assert_int_equal(gal_loop_new(&loop, NULL), GAL_OK);
    uint16_t port = ntohs(a.sin_port);
    assert_int_equal(gal_listener_new(loop, "127.0.0.1", port, 1, &peer_ops, NULL, &l, &err),
                     GAL_IO);
    assert_non_null(strstr(err.message, "address already in use"));
    assert_true(err.hint[0] != '\0');
    assert_int_equal(gal_listener_new(loop, "192.0.2.1", 0, 1, &peer_ops, NULL, &l, &err), GAL_IO);
    assert_non_null(strstr(err.message, "192.0.2.1"));
    assert_non_null(strstr(err.hint, "127.0.0.1"));
    assert_int_equal(gal_listener_new(loop, "no host", 0, 1, &peer_ops, NULL, &l, &err), GAL_IO);
    assert_non_null(strstr(err.message, "no host"));
    assert_null(l);
    close(other);
    gal_loop_free(loop);
}

/* Client and server are one process: the limit is set so low that the client's socket is the last
 * descriptor, and lifted while the server rests. */
static void a_peer_waits_while_there_are_no_descriptors(void **state)
{
    (void)state;
    struct server s;
    struct rlimit before, low;
    char c = 'x';
    start(&s, echo);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int fd = dial(s.port, 0); /* libuv opens its spare descriptor with the first stream */
    send_all(fd, &c, 1);
    assert_int_equal(recv(fd, &c, 1, 0), 1);
    int late = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(s.port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int next = dup(late); /* the lowest that is free */
    close(next);
    low = (struct rlimit){(rlim_t)next, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    int turns = atomic_load(&s.turns);
    int connected = connect(late, (struct sockaddr *)&a, sizeof a); /* by the kernel */
    send_all(late, &c, 1);
    struct timeval limit = {.tv_usec = 500000};
    setsockopt(late, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ssize_t got = recv(late, &c, 1, 0);
    turns = atomic_load(&s.turns) - turns;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(connected, 0);
    assert_int_equal(got, -1);
    assert_true(turns < 50); /* rests, and beats ten times a second */
    limit = (struct timeval){.tv_sec = 20};
    setsockopt(late, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    assert_int_equal(recv(late, &c, 1, 0), 1);
    close(late);
    close(fd);
    stop(&s);
    clean(&s);
}

static void every_failing_allocation_is_an_error(void **state)
{
    (void)state;
    struct gal_loop *loop = NULL;
    struct gal_listener *l = NULL;
    struct gal_err err;
    assert_int_equal(gal_loop_new(&loop, NULL), GAL_OK);
    gal_alloc_fail_at(1, 1);
    assert_int_equal(gal_listener_new(loop, "127.0.0.1", 0, 1, &peer_ops, NULL, &l, &err),
                     GAL_NO_MEMORY);
    gal_alloc_fail_at(0, 0);
    gal_loop_free(loop);

    struct server s;
    char c = 'x';
    start(&s, echo);
    gal_alloc_fail_at(1, 1); /* of the stream */
    int fd = dial(s.port, 0);
    assert_true(is_ended(fd));
    close(fd);
    gal_alloc_fail_at(0, 0);
    fd = dial(s.port, 0);
    send_all(fd, &c, 1);
    assert_int_equal(recv(fd, &c, 1, 0), 1);
    close(fd);
    stop(&s);
    assert_int_equal(atomic_load(&s.opened), 1);
    clean(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peers_have_addresses),
        cmocka_unit_test(a_peer_of_ipv6_stands_in_brackets),
        cmocka_unit_test(all_streams_of_a_loop_are_told_of_a_drain),
        cmocka_unit_test(connecting_again_takes_no_memory),
        cmocka_unit_test(a_freed_listener_leaves_open_connections_alone),
        cmocka_unit_test(a_port_is_shared_by_loops_but_not_with_others),
        cmocka_unit_test(a_place_that_cannot_be_had_is_an_error_with_a_hint),
        cmocka_unit_test(a_peer_waits_while_there_are_no_descriptors),
        cmocka_unit_test(every_failing_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
