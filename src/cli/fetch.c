/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/fetch.h"

#include "base/limits.h"
#include "http/answer.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- where --- */

/* "HOST[:PORT][/PATH]". False when it is none. */
static bool split_url(const char *rest, bool tls, struct gal_str *host, uint64_t *port,
                      const char **path)
{
    bool in_brackets = rest[0] == '[';
    const char *behind;

    host->p = rest + in_brackets;
    host->n = strcspn(host->p, in_brackets ? "]" : ":/");
    behind = host->p + host->n;
    if (in_brackets && *behind++ != ']')
        return false;
    *port = tls ? 443 : 80;
    if (*behind == ':') {
        struct gal_str digits = {behind + 1, strcspn(behind + 1, "/")};
        if (gal_str_u64(digits, port) != GAL_OK || *port == 0 || *port > 65535)
            return false;
        behind = digits.p + digits.n;
    }
    *path = behind;
    return host->n > 0 && (*behind == '\0' || *behind == '/');
}

enum gal_status gal_target_parse(const char *url, struct gal_target *t, struct gal_err *err)
{
    struct gal_str host;
    const char *path, *rest = url;
    uint64_t port;

    *t = (struct gal_target){.tls = strncmp(url, "https://", 8) == 0};
    if (t->tls)
        rest += 8;
    else if (strncmp(url, "http://", 7) == 0)
        rest += 7;
    if (!split_url(rest, t->tls, &host, &port, &path) || host.n >= sizeof(t->host) ||
        strlen(path) >= sizeof(t->path) || strpbrk(url, " \r\n\t"))
        return gal_fail(err, GAL_INVALID, "'%s' is not a URL such as http://127.0.0.1:8080", url);
    snprintf(t->host, sizeof(t->host), "%.*s", GAL_STR_ARG(host));
    snprintf(t->port, sizeof(t->port), "%u", (unsigned)port);
    snprintf(t->path, sizeof(t->path), "%s", path);
    return GAL_OK;
}

char *gal_target_authority(const struct gal_target *t, char *out, size_t size)
{
    bool is_v6 = strchr(t->host, ':') != NULL;
    snprintf(out, size, "%s%s%s:%s", is_v6 ? "[" : "", t->host, is_v6 ? "]" : "", t->port);
    return out;
}

/* --- the exchange --- */

/* Waits for the socket; false with errno ETIMEDOUT when the deadline passes. */
static bool wait_for(int fd, short events, uint64_t deadline_us)
{
    struct pollfd p = {.fd = fd, .events = events};

    for (;;) {
        uint64_t now = gal_mono_us(&gal_clock_system);
        uint64_t left_ms = now < deadline_us ? (deadline_us - now + 999) / 1000 : 0;
        int n = poll(&p, 1, left_ms < 60000 ? (int)left_ms : 60000);
        if (n > 0)
            return true;
        if (n < 0 && errno != EINTR)
            return false;
        if (n == 0 && left_ms == 0) {
            errno = ETIMEDOUT;
            return false;
        }
    }
}

/* Connects to one address; -1 with errno. */
static int connect_one(const struct addrinfo *a, uint64_t deadline_us)
{
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol);
    int failure = 0;
    socklen_t size = sizeof(failure);

    if (fd < 0)
        return -1;
    if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
        return fd;
    if (errno == EINPROGRESS && wait_for(fd, POLLOUT, deadline_us) &&
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) == 0 && failure == 0)
        return fd;
    failure = failure ? failure : errno;
    close(fd);
    errno = failure;
    return -1;
}

static enum gal_status open_socket(const struct gal_target *t, uint64_t deadline_us, int *fd,
                                   struct gal_endpoint *reached, struct gal_err *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int failure = getaddrinfo(t->host, t->port, &hints, &list);

    *fd = -1;
    if (failure)
        return gal_fail(err, GAL_UNAVAILABLE, "%s: %s", t->host, gai_strerror(failure));
    for (const struct addrinfo *a = list; a && *fd < 0; a = a->ai_next) {
        *fd = connect_one(a, deadline_us);
        if (*fd >= 0 && reached)
            gal_endpoint_set(reached, a->ai_addr, a->ai_addrlen);
    }
    failure = errno;
    freeaddrinfo(list);
    if (*fd < 0)
        return gal_fail(err, GAL_UNAVAILABLE, "%s port %s: %s", t->host, t->port,
                        strerror(failure));
    return GAL_OK;
}

/* A connection, of TLS or not. */
struct link {
    int fd;
    struct gal_tls_client *tls; /* owned; NULL: none */
    bool failed;                /* TLS did; gal_tls_client_explain knows why */
};

/* One step of TLS as send and recv have it: -1 with EAGAIN, and what to wait for. */
static ssize_t told(struct link *l, enum gal_tls_io io, size_t n, short *events)
{
    if (io == GAL_TLS_IO_DONE)
        return (ssize_t)n;
    if (io == GAL_TLS_IO_END)
        return 0;
    l->failed = io == GAL_TLS_IO_FAILED;
    *events = io == GAL_TLS_IO_WRITE ? POLLOUT : POLLIN;
    errno = l->failed ? EIO : EAGAIN;
    return -1;
}

static ssize_t send_some(struct link *l, struct gal_str s, short *events)
{
    enum gal_tls_io io;
    size_t n = 0;

    *events = POLLOUT;
    if (l->tls == NULL)
        return send(l->fd, s.p, s.n, MSG_NOSIGNAL);
    io = gal_tls_client_send(l->tls, s.p, s.n, &n);
    return told(l, io, n, events);
}

static ssize_t receive_some(struct link *l, char *p, size_t size, short *events)
{
    enum gal_tls_io io;
    size_t n = 0;

    *events = POLLIN;
    if (l->tls == NULL)
        return recv(l->fd, p, size, 0);
    io = gal_tls_client_receive(l->tls, p, size, &n);
    return told(l, io, n, events);
}

static bool send_all(struct link *l, struct gal_str s, uint64_t deadline_us)
{
    short events;

    while (s.n) {
        ssize_t n = send_some(l, s, &events);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        if (n < 0 && !wait_for(l->fd, events, deadline_us))
            return false;
        s = n > 0 ? (struct gal_str){s.p + n, s.n - (size_t)n} : s;
    }
    return true;
}

/* Until the peer closes: the request asks for that. */
static bool receive_all(struct link *l, struct gal_buf *out, uint64_t deadline_us)
{
    short events = POLLIN;

    for (;;) {
        size_t room = out->max - out->n < 4096 ? out->max - out->n : 4096;
        char *space = room ? gal_buf_reserve(out, room) : NULL;
        ssize_t n = space ? receive_some(l, space, room, &events) : 0;
        if (n > 0)
            out->n += (size_t)n;
        if (n == 0)
            return true;
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        if (n < 0 && !wait_for(l->fd, events, deadline_us))
            return false;
    }
}

static enum gal_status exchange(const struct gal_target *t, struct link *l, uint64_t deadline_us,
                                struct gal_buf *answer, struct gal_err *err)
{
    char request[1600], authority[300];
    int n = snprintf(request, sizeof(request),
                     "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: galley/" GAL_VERSION
                     "\r\nAccept: application/json\r\nConnection: close\r\n\r\n",
                     t->path, gal_target_authority(t, authority, sizeof(authority)));

    if (send_all(l, (struct gal_str){request, (size_t)n}, deadline_us) &&
        receive_all(l, answer, deadline_us))
        return GAL_OK;
    if (l->failed)
        return gal_tls_client_explain(l->tls, err);
    return gal_fail(err, GAL_UNAVAILABLE, "%s port %s: %s", t->host, t->port, strerror(errno));
}

enum gal_status gal_target_fetch_raw(const struct gal_target *t, uint64_t timeout_us,
                                     struct gal_buf *answer, struct gal_err *err)
{
    uint64_t deadline_us = gal_mono_us(&gal_clock_system) + timeout_us;
    struct link l = {.fd = -1};
    enum gal_status status = open_socket(t, deadline_us, &l.fd, NULL, err);

    if (status != GAL_OK)
        return status;
    if (t->tls)
        status = gal_tls_client_new(&t->trust, t->host, l.fd, &l.tls, err);
    if (status == GAL_OK)
        status = exchange(t, &l, deadline_us, answer, err);
    gal_tls_client_free(l.tls);
    close(l.fd);
    return status;
}

static enum gal_status read_answer(struct gal_str raw, int *status, struct gal_buf *body,
                                   struct gal_err *err)
{
    struct gal_answer *a;
    size_t taken;
    enum gal_answer_step step;

    if (gal_answer_new(&a, GAL_HTTP_HEAD_BYTES_MAX, err) != GAL_OK)
        return GAL_NO_MEMORY;
    gal_answer_keep(a, body);
    step = gal_answer_feed(a, raw.p, raw.n, &taken, err);
    if (step == GAL_ANSWER_MORE)
        step = gal_answer_end(a, err);
    *status = gal_answer_status(a);
    gal_answer_free(a);
    return step == GAL_ANSWER_DONE ? GAL_OK : GAL_UNAVAILABLE;
}

enum gal_status gal_target_fetch(const struct gal_target *t, const char *path, uint64_t timeout_us,
                                 int *status, struct gal_buf *body, struct gal_err *err)
{
    struct gal_target target = *t;
    struct gal_buf raw;
    enum gal_status code;

    gal_buf_clear(body, SIZE_MAX);
    gal_buf_init(&raw, body->max);
    snprintf(target.path, sizeof(target.path), "%s", path);
    code = gal_target_fetch_raw(&target, timeout_us, &raw, err);
    if (code == GAL_OK)
        code = read_answer(gal_buf_str(&raw), status, body, err);
    if (code != GAL_OK && err && err->place[0] == '\0')
        gal_err_place(err, "GET %s", path);
    gal_buf_release(&raw);
    return code;
}

enum gal_status gal_target_reach(const struct gal_target *t, uint64_t timeout_us,
                                 struct gal_endpoint *out, struct gal_err *err)
{
    int fd;
    enum gal_status status =
        open_socket(t, gal_mono_us(&gal_clock_system) + timeout_us, &fd, out, err);

    if (status == GAL_OK)
        close(fd);
    return status;
}
