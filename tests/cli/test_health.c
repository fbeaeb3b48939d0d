/* SPDX-License-Identifier: Apache-2.0 */
/* `galley health` against servers that answer one thing. */
#include "cli/cli_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

/* Answers the first connection with `answer`, then waits for the peer to leave. */
struct server {
    int fd, port;
    const char *answer; /* NULL: silence */
    bool keep_open;     /* do not close behind the answer */
    char request[2048];
    pthread_t thread;
};

static void *serve_one(void *arg)
{
    struct server *s = arg;
    int fd = accept(s->fd, NULL, NULL);
    ssize_t n = recv(fd, s->request, sizeof(s->request) - 1, 0);
    char rest[64];

    s->request[n > 0 ? n : 0] = '\0';
    if (s->answer) /* byte after byte, as a slow network would */
        for (const char *p = s->answer; *p; p++)
            send(fd, p, 1, MSG_NOSIGNAL);
    if (!s->answer || s->keep_open)
        while (recv(fd, rest, sizeof(rest), 0) > 0)
            continue;
    close(fd);
    return NULL;
}

static void server_start(struct server *s, const char *answer, bool keep_open)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(a);

    *s = (struct server){.answer = answer, .keep_open = keep_open};
    s->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(s->fd, 1), 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&a, &size), 0);
    s->port = ntohs(a.sin_port);
    assert_int_equal(pthread_create(&s->thread, NULL, serve_one, s), 0);
}

static void server_stop(struct server *s)
{
    pthread_join(s->thread, NULL);
    close(s->fd);
}

/* `galley health http://127.0.0.1:PORT REST` against a server that answers so. */
static struct run ask(struct server *s, const char *rest, const char *answer, bool keep_open)
{
    char line[256];
    struct run r;

    server_start(s, answer, keep_open);
    snprintf(line, sizeof(line), "health http://127.0.0.1:%d%s", s->port, rest);
    r = cli_run(line);
    server_stop(s);
    return r;
}

static void check(const char *answer, int code, const char *out, const char *err)
{
    struct server s;
    struct run r = ask(&s, "", answer, false);

    assert_int_equal(r.code, code);
    assert_string_equal(r.out, out);
    assert_string_equal(r.err, err);
    run_release(&r);
}

static void a_ready_server_is_healthy(void **state)
{
    (void)state;
    check("HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n{\"status\":\"ready\"}", 0,
          "200 OK: ready\n", "");
    check("HTTP/1.1 204 No Content\r\n\r\n", 0, "204 No Content\n", "");
    check("HTTP/1.0 200\r\n\r\nfine\n", 0, "200 : fine\n", "");
    check("HTTP/1.1 200 OK\r\nA-head: that is cut o", 0, "200 OK\n", "");
}

static void any_other_answer_is_not_and_its_reason_is_shown(void **state)
{
    (void)state;
    check("HTTP/1.1 503 Service Unavailable\r\n\r\n{\"status\":\"not_ready\",\"detail\":\"model "
          "loading\"}",
          1, "", "galley: health: 503 Service Unavailable: model loading\n");
    check("HTTP/1.1 404 Not Found\r\n\r\n{\"error\":\"no \\u001b[31m\"}", 1, "",
          "galley: health: 404 Not Found: no ?[31m\n");
    check("HTTP/1.1 301 Moved\r\nLocation: /x\r\n\r\n", 1, "", "galley: health: 301 Moved\n");
}

static void what_is_not_http_is_an_error(void **state)
{
    static const char error[] = "galley: health: the answer is no HTTP/1.1\n";

    (void)state;
    check("SSH-2.0-OpenSSH_9.2\r\n", 1, "", error);
    check("", 1, "", error);
    check("HTTP/1.1 200 OK", 1, "", error);
    check("HTTP/1.1 banana\r\n\r\n", 1, "", error);
    check("HTTP/1.\r\n\r\n", 1, "", error);
}

static void silence_ends_at_the_time_limit(void **state)
{
    struct server s;
    struct run r = ask(&s, " --timeout 50ms", NULL, true);

    (void)state;
    assert_int_equal(r.code, 1);
    assert_non_null(strstr(r.err, "Connection timed out"));
    run_release(&r);
}

static void the_path_is_readiness_unless_it_is_given(void **state)
{
    struct server s;
    struct run r = ask(&s, "", "HTTP/1.1 200 OK\r\n\r\n", false);

    (void)state;
    assert_int_equal(strncmp(s.request, "GET /health/ready HTTP/1.1\r\nHost: 127.0.0.1:", 44), 0);
    run_release(&r);
    r = ask(&s, "/health/live?x=1", "HTTP/1.1 200 OK\r\n\r\n", false);
    assert_int_equal(strncmp(s.request, "GET /health/live?x=1 HTTP/1.1\r\n", 31), 0);
    run_release(&r);
}

static void without_a_url_the_settings_say_where(void **state)
{
    struct server s;
    char port[64], host[] = "GALLEY_HOST=0.0.0.0";
    char *const env[] = {port, host, NULL};
    struct run r;

    (void)state;
    server_start(&s, "HTTP/1.1 200 OK\r\n\r\n", false);
    snprintf(port, sizeof(port), "GALLEY_HTTP_PORT=%d", s.port);
    r = cli_run_with("health", env, NULL);
    server_stop(&s);
    assert_int_equal(r.code, 0);
    run_release(&r);
}

static void a_closed_port_is_named(void **state)
{
    struct run r = cli_run("health 127.0.0.1:1");

    (void)state;
    assert_int_equal(r.code, 1);
    assert_string_equal(r.err, "galley: health: 127.0.0.1 port 1: Connection refused\n");
    run_release(&r);
}

static void what_is_no_url_is_an_error_of_usage(void **state)
{
    static const char *const lines[] = {"health ftp://127.0.0.1/",
                                        "health http://",
                                        "health http://:80",
                                        "health http://h:0",
                                        "health http://h:65536",
                                        "health http://h:x/",
                                        "health [::1",
                                        "health [::1]x",
                                        "health http://h:80x",
                                        "health --timeout soon",
                                        "health --timeout 0",
                                        "health a b"};

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct run r = cli_run(lines[i]);
        if (r.code != GAL_EXIT_FAILURE || !r.err[0]) /* probes know 0 and 1 alone */
            fail_msg("%s: %d %s", lines[i], r.code, r.err);
        run_release(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ready_server_is_healthy),
        cmocka_unit_test(any_other_answer_is_not_and_its_reason_is_shown),
        cmocka_unit_test(what_is_not_http_is_an_error),
        cmocka_unit_test(silence_ends_at_the_time_limit),
        cmocka_unit_test(the_path_is_readiness_unless_it_is_given),
        cmocka_unit_test(without_a_url_the_settings_say_where),
        cmocka_unit_test(a_closed_port_is_named),
        cmocka_unit_test(what_is_no_url_is_an_error_of_usage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
