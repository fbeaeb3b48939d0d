/* SPDX-License-Identifier: Apache-2.0 */
/* echo PORT: what a bare server in C does with a body: read it, copy it once, answer with it. One
 * thread, epoll, HTTP/1.1 with Content-Length and keep-alive, as much of it as a load generator on
 * the same machine needs: no limits, no errors. The yardstick of the scenario `tensors`. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define HEAD_MAX 8192
#define EVENTS 64

struct conn {
    int fd;
    char *in, *out; /* the request; head and body of the answer */
    size_t in_cap, in_n;
    size_t need; /* bytes of the request, head included; 0: its head is not whole */
    size_t out_cap, out_n, sent;
    size_t body;
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static char *grow(char *p, size_t *cap, size_t to)
{
    if (to <= *cap)
        return p;
    *cap = to;
    p = realloc(p, to);
    if (!p)
        die("realloc");
    return p;
}

static int listen_on(unsigned short port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) ||
        bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 1024))
        die("listen");
    return fd;
}

static void watch(int ep, int op, int fd, unsigned events, void *data)
{
    struct epoll_event e = {.events = events, .data = {.ptr = data}};
    if (epoll_ctl(ep, op, fd, &e))
        die("epoll_ctl");
}

static void drop(struct conn *c)
{
    close(c->fd);
    free(c->in);
    free(c->out);
    free(c);
}

/* Reads the head as far as it matters. */
static void measure(struct conn *c)
{
    char *end, *length;
    c->in = grow(c->in, &c->in_cap, c->in_n + 1);
    c->in[c->in_n] = '\0';
    end = strstr(c->in, "\r\n\r\n");
    if (!end)
        return;
    length = strcasestr(c->in, "\r\ncontent-length:");
    c->body = length && length < end ? strtoul(length + 17, NULL, 10) : 0;
    c->need = (size_t)(end - c->in) + 4 + c->body;
    c->in = grow(c->in, &c->in_cap, c->need + 1);
}

/* The one copy. */
static void answer(struct conn *c)
{
    char head[160];
    int n = snprintf(
        head, sizeof head,
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %zu\r\n\r\n",
        c->body);
    c->out = grow(c->out, &c->out_cap, (size_t)n + c->body);
    memcpy(c->out, head, (size_t)n);
    memcpy(c->out + n, c->in + c->need - c->body, c->body);
    c->out_n = (size_t)n + c->body;
    c->sent = 0;
    memmove(c->in, c->in + c->need, c->in_n - c->need);
    c->in_n -= c->need;
    c->need = 0;
}

/* False when the connection has ended. */
static bool send_some(struct conn *c, int ep)
{
    while (c->sent < c->out_n) {
        ssize_t n = write(c->fd, c->out + c->sent, c->out_n - c->sent);
        if (n < 0 && errno == EAGAIN) {
            watch(ep, EPOLL_CTL_MOD, c->fd, EPOLLOUT, c);
            return true;
        }
        if (n <= 0)
            return false;
        c->sent += (size_t)n;
    }
    watch(ep, EPOLL_CTL_MOD, c->fd, EPOLLIN, c);
    return true;
}

static bool read_some(struct conn *c, int ep)
{
    for (;;) {
        size_t room;
        ssize_t n;
        c->in = grow(c->in, &c->in_cap, c->need ? c->need + 1 : c->in_n + HEAD_MAX);
        room = c->in_cap - c->in_n - 1;
        n = read(c->fd, c->in + c->in_n, room);
        if (n < 0 && errno == EAGAIN)
            return true;
        if (n <= 0)
            return false;
        c->in_n += (size_t)n;
        if (!c->need)
            measure(c);
        if (c->need && c->in_n >= c->need) {
            answer(c);
            return send_some(c, ep);
        }
        if ((size_t)n < room)
            return true;
    }
}

static void meet(int listener, int ep)
{
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct conn *c = calloc(1, sizeof *c);
        if (!c)
            die("calloc");
        c->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        watch(ep, EPOLL_CTL_ADD, fd, EPOLLIN, c);
    }
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];
    int listener, ep = epoll_create1(0);
    if (argc != 2) {
        fprintf(stderr, "usage: echo PORT\n");
        return 2;
    }
    listener = listen_on((unsigned short)strtoul(argv[1], NULL, 10));
    watch(ep, EPOLL_CTL_ADD, listener, EPOLLIN, NULL);
    for (;;) {
        int n = epoll_wait(ep, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            if (!c)
                meet(listener, ep);
            else if (!(events[i].events & EPOLLOUT ? send_some(c, ep) : read_some(c, ep)))
                drop(c);
        }
    }
}
