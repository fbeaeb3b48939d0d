/* SPDX-License-Identifier: Apache-2.0 */
/* A socket that connects is watched until it is writable; then it becomes a stream. */
#include "net/connect.h"

#include "base/mem.h"
#include "net/net_impl.h"

#include <errno.h>
#include <unistd.h>

_Static_assert(sizeof(union gal_address) == GAL_ENDPOINT_BYTES, "an endpoint holds any address");

struct gal_connect {
    uv_poll_t poll;
    struct gal_connect *next, *prev; /* in the loop's list */
    struct gal_loop *loop;
    const struct gal_stream_ops *ops;
    void (*on_failed)(int error, void *ctx);
    void *ctx;
    union gal_address peer;
    int fd; /* -1: given on, or closed */
};

/* --- endpoints --- */

static const union gal_address *address_of(const struct gal_endpoint *e)
{
    return (const union gal_address *)(const void *)e->address;
}

void gal_endpoint_set(struct gal_endpoint *e, const struct sockaddr *address, size_t bytes)
{
    memset(e, 0, sizeof *e);
    memcpy(e->address, address, bytes < sizeof e->address ? bytes : sizeof e->address);
}

bool gal_endpoint_is_loopback(const struct gal_endpoint *e)
{
    const union gal_address *a = address_of(e);
    if (a->any.sa_family == AF_INET)
        return ntohl(a->v4.sin_addr.s_addr) >> 24 == 127;
    if (IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr))
        return a->v6.sin6_addr.s6_addr[12] == 127;
    return IN6_IS_ADDR_LOOPBACK(&a->v6.sin6_addr);
}

char *gal_endpoint_text(const struct gal_endpoint *e, char out[GAL_ENDPOINT_TEXT_SIZE])
{
    gal_address_text(address_of(e), out);
    return out;
}

/* --- attempts --- */

static void delist(struct gal_connect *c)
{
    if (c->prev)
        c->prev->next = c->next;
    else
        c->loop->connects = c->next;
    if (c->next)
        c->next->prev = c->prev;
}

static void on_closed(uv_handle_t *handle)
{
    struct gal_connect *c = handle->data;
    c->loop->connect_count--;
    gal_free(c);
}

/* The poll is over; the descriptor stays open. */
static void end(struct gal_connect *c)
{
    delist(c);
    (void)uv_poll_stop(&c->poll);
    uv_close((uv_handle_t *)&c->poll, on_closed);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct gal_connect *c = poll->data;
    int failure = 0;
    socklen_t size = sizeof failure;

    (void)events;
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &failure, &size) != 0)
        failure = errno;
    if (failure == 0) /* libuv's own status is EBADF for every error of the socket */
        failure = -status;
    end(c);
    if (failure != 0) {
        (void)close(c->fd);
        c->on_failed(failure, c->ctx);
        return;
    }
    gal_stream_adopt(c->loop, c->fd, &c->peer, NULL, c->ops, c->ctx);
}

static socklen_t address_size(const union gal_address *a)
{
    return a->any.sa_family == AF_INET ? sizeof a->v4 : sizeof a->v6;
}

/* 0, or the errno of a refusal that comes at once, as the loopback interface's may. */
static int begin(const union gal_address *a, int *fd)
{
    *fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0)
        return errno;
    if (connect(*fd, &a->any, address_size(a)) != 0 && errno != EINPROGRESS) {
        int failure = errno;
        (void)close(*fd);
        return failure;
    }
    return 0;
}

enum gal_status gal_stream_connect(struct gal_loop *loop, const struct gal_endpoint *to,
                                   const struct gal_stream_ops *ops,
                                   void (*on_failed)(int error, void *ctx), void *ctx,
                                   struct gal_err *err)
{
    struct gal_connect *c = gal_calloc(1, sizeof *c);
    char text[GAL_ENDPOINT_TEXT_SIZE];
    int rc;

    if (!c)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a connection");
    c->peer = *address_of(to);
    rc = begin(&c->peer, &c->fd);
    if (rc == 0) {
        rc = -uv_poll_init(&loop->uv, &c->poll, c->fd);
        if (rc)
            (void)close(c->fd);
    }
    if (rc) {
        gal_free(c);
        return gal_fail(err, GAL_UNAVAILABLE, "%s: %s", gal_endpoint_text(to, text), strerror(rc));
    }
    c->poll.data = c;
    c->loop = loop;
    c->ops = ops;
    c->on_failed = on_failed;
    c->ctx = ctx;
    c->next = loop->connects;
    if (c->next)
        c->next->prev = c;
    loop->connects = c;
    loop->connect_count++;
    (void)uv_poll_start(&c->poll, UV_WRITABLE, on_ready); /* fails for closing handles only */
    return GAL_OK;
}

static void cancel(struct gal_connect *c)
{
    end(c);
    (void)close(c->fd);
}

void gal_connect_cancel(struct gal_loop *loop, const void *ctx)
{
    for (struct gal_connect *c = loop->connects, *next; c; c = next) {
        next = c->next;
        if (c->ctx == ctx)
            cancel(c);
    }
}

void gal_connects_close(struct gal_loop *loop)
{
    while (loop->connects)
        cancel(loop->connects);
}
