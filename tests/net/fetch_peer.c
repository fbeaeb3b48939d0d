/* SPDX-License-Identifier: Apache-2.0 */
#include "net/fetch_peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* False: the peer is to stop, or there is nothing to be had from fd any more. */
static bool wait_readable(struct fetch_peer *p, int fd)
{
    struct pollfd fds[2] = {{.fd = p->wake[0], .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    return poll(fds, 2, -1) > 0 && fds[0].revents == 0;
}

void fetch_peer_hang(struct fetch_peer *p, int fd)
{
    char byte;
    while (wait_readable(p, fd) && recv(fd, &byte, 1, 0) > 0)
        continue;
}

void fetch_peer_send(int fd, const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    for (ssize_t sent = 0, got; sent < n; sent += got) {
        got = send(fd, text + sent, (size_t)(n - sent), MSG_NOSIGNAL);
        if (got <= 0)
            break;
    }
    free(text);
}

/* Reads one request; false when the client has closed. */
static bool read_request(struct fetch_peer *p, int fd, struct asked *a)
{
    size_t n = 0;
    char *end = NULL;
    while (!end) {
        if (n + 1 >= sizeof a->head || !wait_readable(p, fd) || recv(fd, a->head + n, 1, 0) <= 0)
            return false;
        a->head[++n] = '\0';
        end = n >= 4 ? strstr(a->head + n - 4, "\r\n\r\n") : NULL;
    }
    const char *length = strcasestr(a->head, "\r\ncontent-length:");
    size_t want = length ? strtoul(length + 17, NULL, 10) : 0;
    if (strcasestr(a->head, "\r\nexpect: 100-continue"))
        fetch_peer_send(fd, "HTTP/1.1 100 Continue\r\n\r\n");
    a->body_bytes = 0;
    while (a->body_bytes < want && a->body_bytes < sizeof a->body) {
        ssize_t got = -1;
        if (wait_readable(p, fd))
            got = recv(fd, a->body + a->body_bytes, want - a->body_bytes, 0);
        if (got <= 0)
            return false;
        a->body_bytes += (size_t)got;
    }
    return true;
}

static void serve(struct fetch_peer *p, int fd)
{
    unsigned index;
    do {
        index = atomic_load(&p->count);
        if (index >= ASKED_MAX || !read_request(p, fd, &p->asked[index]))
            return;
        atomic_store(&p->count, index + 1);
    } while (p->answer(p, fd, index));
}

static void *run(void *arg)
{
    struct fetch_peer *p = arg;
    while (wait_readable(p, p->listener)) {
        int fd = accept(p->listener, NULL, NULL);
        if (fd < 0)
            break;
        serve(p, fd);
        close(fd);
    }
    return NULL;
}

void fetch_peer_start(struct fetch_peer *p, bool (*answer)(struct fetch_peer *, int, unsigned),
                      const void *ctx)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    memset(p, 0, sizeof *p);
    p->answer = answer;
    p->ctx = ctx;
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (p->listener < 0 || bind(p->listener, (struct sockaddr *)&a, size) != 0 ||
        listen(p->listener, 16) != 0 ||
        getsockname(p->listener, (struct sockaddr *)&a, &size) != 0 || pipe(p->wake) != 0 ||
        pthread_create(&p->thread, NULL, run, p) != 0)
        abort();
    p->port = ntohs(a.sin_port);
}

void fetch_peer_stop(struct fetch_peer *p)
{
    close(p->wake[1]); /* poll sees the pipe's end, for ever */
    pthread_join(p->thread, NULL);
    close(p->wake[0]);
    close(p->listener);
}

const char *fetch_peer_url(const struct fetch_peer *p, const char *path)
{
    static char urls[4][256];
    static unsigned turn;
    char *url = urls[turn++ % 4];
    snprintf(url, sizeof urls[0], "http://127.0.0.1:%u%s", p->port, path);
    return url;
}

bool fetch_peer_has(const struct fetch_peer *p, unsigned index, const char *line)
{
    char wanted[512];
    snprintf(wanted, sizeof wanted, "\r\n%s\r\n", line);
    return index < atomic_load(&p->count) && strcasestr(p->asked[index].head, wanted) != NULL;
}
