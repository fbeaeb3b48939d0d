/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets. galley accepts by itself: libuv's own accepting closes peers when descriptors
 * run out, and turns round without a rest on other errors. */
#include "base/mem.h"
#include "net/net_impl.h"
#include "net/tls.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <unistd.h>

#define REST_MS 100
#define ACCEPTS_PER_TURN 64 /* then the open connections get their share */

struct gal_listener {
    uv_poll_t poll;
    uv_timer_t rest;
    struct gal_loop *loop;
    struct gal_listener *next, *prev; /* in the loop's list */
    const struct gal_stream_ops *ops;
    void *ctx;
    struct gal_tls *tls; /* owned reference; NULL: plain TCP */
    int fd;
    uint16_t port;
    bool closing;
    unsigned handles; /* that are not closed */
};

/* --- addresses --- */

/* The text of host and port, as an address bar takes it. */
static void place_text(const char *host, uint16_t port, char *out, size_t size)
{
    bool v6 = strchr(host, ':') || !host[0];
    (void)snprintf(out, size, "%s%s%s:%u", v6 ? "[" : "", host[0] ? host : "::", v6 ? "]" : "",
                   port);
}

static bool is_all(const char *host)
{
    return host[0] == '\0' || strcmp(host, "::") == 0;
}

#define CANDIDATES_MAX 8

struct candidates {
    union gal_address at[CANDIDATES_MAX];
    size_t count;
};

static void add(struct candidates *c, const struct sockaddr *a, size_t n, uint16_t port)
{
    if (c->count == CANDIDATES_MAX || n > sizeof c->at[0])
        return;
    union gal_address *to = &c->at[c->count++];
    memcpy(to, a, n);
    to->v4.sin_port = htons(port); /* at the same place in both */
}

/* Of "all addresses" the IPv6 socket takes IPv4 too; where there is no IPv6, IPv4 is all. */
static enum gal_status resolve(const char *host, uint16_t port, struct candidates *out,
                               struct gal_err *err)
{
    out->count = 0;
    if (is_all(host)) {
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_any};
        struct sockaddr_in v4 = {.sin_family = AF_INET};
        add(out, (struct sockaddr *)&v6, sizeof v6, port);
        add(out, (struct sockaddr *)&v4, sizeof v4, port);
        return GAL_OK;
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(host, NULL, &hints, &list);
    if (rc != 0) {
        enum gal_status status =
            gal_fail(err, GAL_IO, "the host %s is not known here: %s", host, gai_strerror(rc));
        gal_err_hint(err, "127.0.0.1 is this machine only, 0.0.0.0 all its addresses");
        return status;
    }
    for (const struct addrinfo *a = list; a; a = a->ai_next)
        add(out, a->ai_addr, a->ai_addrlen, port);
    freeaddrinfo(list);
    return GAL_OK;
}

/* --- sockets --- */

/* Returns a bound socket, or an errno made negative. */
static int bind_one(const union gal_address *a, bool shared)
{
    const int on = 1;
    const int off = 0;
    bool v6 = a->any.sa_family == AF_INET6;
    int fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int rc = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (rc == 0 && shared)
        rc = setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (rc == 0 && v6 && IN6_IS_ADDR_UNSPECIFIED(&a->v6.sin6_addr))
        rc = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (rc == 0)
        rc = bind(fd, &a->any, v6 ? sizeof a->v6 : sizeof a->v4);
    if (rc == 0)
        return fd;
    rc = -errno;
    (void)close(fd);
    return rc;
}

static const char *hint_of(int error)
{
    switch (error) {
    case EADDRINUSE:
        return "another program has the port: choose a free one, or stop that program "
               "(`ss -ltnp` names it)";
    case EACCES:
        return "ports below 1024 are for privileged programs: choose a higher one";
    case EADDRNOTAVAIL:
        return "this machine has no such address: 127.0.0.1 is this machine only, 0.0.0.0 all its "
               "addresses";
    default:
        return "";
    }
}

static enum gal_status fail_place(const char *host, uint16_t port, int error, struct gal_err *err)
{
    char place[300];
    place_text(host, port, place, sizeof place);
    (void)gal_fail(err, GAL_IO, "cannot listen on %s: %s", place,
                   uv_strerror(uv_translate_sys_error(error)));
    gal_err_hint(err, "%s", hint_of(error));
    return GAL_IO;
}

/* The first address that this machine has. */
static enum gal_status bind_place(const char *host, uint16_t port, bool shared, int *out,
                                  struct gal_err *err)
{
    struct candidates c;
    enum gal_status status = resolve(host, port, &c, err);
    if (status != GAL_OK)
        return status;
    int fd = -EADDRNOTAVAIL;
    for (size_t i = 0; i < c.count; i++) {
        fd = bind_one(&c.at[i], shared);
        if (fd != -EADDRNOTAVAIL && fd != -EAFNOSUPPORT && fd != -EPROTONOSUPPORT)
            break;
    }
    if (fd < 0)
        return fail_place(host, port, -fd, err);
    *out = fd;
    return GAL_OK;
}

/* SO_REUSEADDR lets a port be bound whose old connections still linger, not one that somebody
 * listens on. */
enum gal_status gal_listener_probe(const char *host, uint16_t port, struct gal_err *err)
{
    int fd = -1;
    enum gal_status status = bind_place(host, port, false, &fd, err);
    if (status == GAL_OK)
        (void)close(fd);
    return status;
}

static uint16_t port_of(int fd)
{
    union gal_address a = {.any = {.sa_family = AF_UNSPEC}};
    socklen_t n = sizeof a;
    return getsockname(fd, &a.any, &n) == 0 ? ntohs(a.v4.sin_port) : 0;
}

/* --- accepting --- */

static void on_readable(uv_poll_t *poll, int status, int events);

static void on_rested(uv_timer_t *rest)
{
    struct gal_listener *l = rest->data;
    (void)uv_poll_start(&l->poll, UV_READABLE, on_readable);
}

static void take_a_rest(struct gal_listener *l)
{
    (void)uv_poll_stop(&l->poll);
    (void)uv_timer_start(&l->rest, on_rested, REST_MS, 0);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct gal_listener *l = poll->data;
    (void)events;
    if (status != 0) {
        take_a_rest(l);
        return;
    }
    for (int i = 0; i < ACCEPTS_PER_TURN && !l->closing; i++) {
        union gal_address peer = {.any = {.sa_family = AF_UNSPEC}};
        socklen_t n = sizeof peer;
        int fd = accept4(l->fd, &peer.any, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            gal_stream_adopt(l->loop, fd, &peer, l->tls, l->ops, l->ctx);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != ECONNABORTED && errno != EINTR) {
            take_a_rest(l);
            return;
        }
    }
}

/* --- life --- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct gal_listener *l = handle->data;
    if (--l->handles > 0)
        return;
    gal_tls_unref(l->tls);
    gal_free(l);
}

static void enlist(struct gal_listener *l)
{
    l->next = l->loop->listeners;
    if (l->next)
        l->next->prev = l;
    l->loop->listeners = l;
}

enum gal_status gal_listener_new(struct gal_loop *loop, const char *host, uint16_t port,
                                 int backlog, const struct gal_stream_ops *ops, void *ctx,
                                 struct gal_listener **out, struct gal_err *err)
{
    int fd = -1;
    int rc;
    enum gal_status status;
    struct gal_listener *l = gal_calloc(1, sizeof *l);
    if (!l)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a listener");
    status = bind_place(host, port, true, &fd, err);
    if (status != GAL_OK)
        goto out;
    rc = listen(fd, backlog) == 0 ? 0 : -errno;
    if (rc == 0)
        rc = uv_poll_init(&loop->uv, &l->poll, fd);
    if (rc != 0) {
        status = fail_place(host, port, -rc, err);
        goto out;
    }
    (void)uv_timer_init(&loop->uv, &l->rest);
    l->handles = 2;
    l->poll.data = l->rest.data = l;
    l->loop = loop;
    l->ops = ops;
    l->ctx = ctx;
    l->fd = fd;
    l->port = port_of(fd);
    enlist(l);
    (void)uv_poll_start(&l->poll, UV_READABLE, on_readable); /* its fd is new: cannot fail */
    *out = l;
    return GAL_OK;
out:
    if (fd >= 0)
        (void)close(fd);
    gal_free(l);
    return status;
}

enum gal_status gal_listener_new_tls(struct gal_loop *loop, const char *host, uint16_t port,
                                     int backlog, struct gal_tls *tls,
                                     const struct gal_stream_ops *ops, void *ctx,
                                     struct gal_listener **out, struct gal_err *err)
{
    enum gal_status status = gal_listener_new(loop, host, port, backlog, ops, ctx, out, err);
    if (status == GAL_OK)
        (*out)->tls = gal_tls_ref(tls);
    return status;
}

void gal_listener_use_tls(struct gal_listener *l, struct gal_tls *tls)
{
    struct gal_tls *old = l->tls;
    l->tls = gal_tls_ref(tls);
    gal_tls_unref(old);
}

uint16_t gal_listener_port(const struct gal_listener *l)
{
    return l->port;
}

void gal_listener_free(struct gal_listener *l)
{
    if (!l || l->closing)
        return;
    if (l->prev)
        l->prev->next = l->next;
    else
        l->loop->listeners = l->next;
    if (l->next)
        l->next->prev = l->prev;
    l->closing = true;
    uv_close((uv_handle_t *)&l->poll, on_handle_closed);
    uv_close((uv_handle_t *)&l->rest, on_handle_closed);
    (void)close(l->fd); /* at once: peers are turned away from now on */
}

void gal_listeners_close(struct gal_loop *loop)
{
    while (loop->listeners)
        gal_listener_free(loop->listeners);
}
