/* SPDX-License-Identifier: Apache-2.0 */
#include "net/peers.h"

#include "base/thread.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void happen(struct peer *p, enum event e, size_t n)
{
    p->seen[e]++;
    if (p->server->act)
        p->server->act(p, e, n);
}

static void *on_open(struct gal_stream *s, void *listener_ctx)
{
    struct server *server = listener_ctx;
    atomic_fetch_add(&server->opened, 1);
    if (server->refuse)
        return NULL;
    struct peer *p = server->peers[server->peer_count++ % PEERS_MAX];
    int closes = p->seen[EV_CLOSE];
    *p = (struct peer){.server = server, .stream = s};
    p->seen[EV_CLOSE] = closes; /* summed over those who used the place */
    happen(p, EV_OPEN, 0);
    return p;
}

static char *on_space(void *user, size_t *n)
{
    struct peer *p = user;
    happen(p, EV_SPACE, 0);
    *n = sizeof p->space;
    return p->silent ? NULL : p->space;
}

static void on_data(void *user, size_t n)
{
    struct peer *p = user;
    p->received += n;
    happen(p, EV_DATA, n);
}

static void on_eof(void *user)
{
    happen(user, EV_EOF, 0);
}

static void on_deadline(void *user)
{
    happen(user, EV_DEADLINE, 0);
}

static void on_written(void *user)
{
    happen(user, EV_WRITTEN, 0);
}

static void on_close(void *user)
{
    struct peer *p = user;
    happen(p, EV_CLOSE, 0);
    sem_post(&p->server->closed);
}

static void on_drain(void *user)
{
    happen(user, EV_DRAIN, 0);
}

const struct gal_stream_ops peer_ops = {
    .on_open = on_open,
    .on_space = on_space,
    .on_data = on_data,
    .on_eof = on_eof,
    .on_deadline = on_deadline,
    .on_written = on_written,
    .on_close = on_close,
    .on_drain = on_drain,
};

static void count_turn(void *ctx)
{
    struct server *s = ctx;
    atomic_fetch_add(&s->turns, 1);
}

static void *serve(void *loop)
{
    gal_loop_run(loop);
    return NULL;
}

static void make(struct server *s, act_fn *act)
{
    memset(s, 0, sizeof *s);
    s->act = act;
    sem_init(&s->closed, 0, 0);
    sem_init(&s->wrote, 0, 0);
    for (int i = 0; i < PEERS_MAX; i++) {
        s->peers[i] = calloc(1, sizeof(struct peer));
        assert_non_null(s->peers[i]);
    }
    assert_int_equal(gal_loop_new(&s->loop, NULL), GAL_OK);
    gal_loop_on_turn(s->loop, count_turn, s);
}

void start_tls(struct server *s, act_fn *act, struct gal_tls *tls)
{
    make(s, act);
    assert_int_equal(
        gal_listener_new_tls(s->loop, "127.0.0.1", 0, 128, tls, &peer_ops, s, &s->listener, NULL),
        GAL_OK);
    s->port = gal_listener_port(s->listener);
    run_in_thread(s);
}

void start_on(struct server *s, act_fn *act, const char *host)
{
    make(s, act);
    assert_int_equal(gal_listener_new(s->loop, host, 0, 128, &peer_ops, s, &s->listener, NULL),
                     GAL_OK);
    s->port = gal_listener_port(s->listener);
    assert_int_not_equal(s->port, 0);
}

void run_in_thread(struct server *s)
{
    assert_int_equal(gal_thread_start(&s->thread, "server", serve, s->loop, NULL), GAL_OK);
}

void start(struct server *s, act_fn *act)
{
    start_on(s, act, "127.0.0.1");
    run_in_thread(s);
}

void stop_running(struct server *s)
{
    gal_loop_stop(s->loop);
    pthread_join(s->thread, NULL);
}

void stop(struct server *s)
{
    stop_running(s);
    gal_loop_free(s->loop);
}

void clean(struct server *s)
{
    for (int i = 0; i < PEERS_MAX; i++)
        free(s->peers[i]);
    sem_destroy(&s->closed);
    sem_destroy(&s->wrote);
}

static void wait_for(sem_t *event)
{
    struct timespec end = {.tv_sec = (time_t)(gal_wall_us(&gal_clock_system) / 1000000 + 60)};
    int rc;
    do
        rc = sem_timedwait(event, &end);
    while (rc != 0 && errno == EINTR);
    assert_int_equal(rc, 0);
}

void wait_closed(struct server *s)
{
    wait_for(&s->closed);
}

void wait_wrote(struct server *s)
{
    wait_for(&s->wrote);
}

/* --- the client's side --- */

int dial(uint16_t port, int buffer_bytes)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct timeval limit = {.tv_sec = 20};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    if (buffer_bytes)
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof buffer_bytes),
                         0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

bool sends_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        p += sent;
        n -= (size_t)sent;
    }
    return true;
}

void send_all(int fd, const char *p, size_t n)
{
    assert_true(sends_all(fd, p, n));
}

size_t read_all(int fd, const char *want)
{
    static _Thread_local char piece[65536];
    size_t n = 0;
    bool same = true;
    for (;;) {
        ssize_t got = recv(fd, piece, sizeof piece, 0);
        if (got <= 0)
            break;
        if (want && memcmp(piece, want + n, (size_t)got) != 0)
            same = false;
        n += (size_t)got;
    }
    return same ? n : SIZE_MAX;
}

bool is_ended(int fd)
{
    char c;
    return recv(fd, &c, 1, 0) <= 0;
}

char *pattern(void)
{
    char *p = malloc(BIG_BYTES);
    assert_non_null(p);
    for (size_t i = 0; i < BIG_BYTES; i++)
        p[i] = (char)(i * 7 + (i >> 8) * 13 + (i >> 16));
    return p;
}

void echo(struct peer *p, enum event e, size_t n)
{
    if (e == EV_DATA) {
        struct gal_str all = {p->space, n};
        p->silent = !gal_stream_write(p->stream, &all, 1); /* its bytes must stay */
        if (p->silent)
            sem_post(&p->server->wrote);
    } else if (e == EV_WRITTEN) {
        p->silent = false;
        gal_stream_read_resume(p->stream);
    } else if (e == EV_EOF) {
        gal_stream_finish(p->stream);
    }
}
