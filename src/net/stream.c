/* SPDX-License-Identifier: Apache-2.0 */
/* Connections. The states of stream.h, and how they are told here:
 *
 *   OPEN     closing and finishing are false; `reading` says whether bytes are wanted
 *   FINISHING[gal_stream_finish] pending parts go first, then FIN; what comes is thrown away until
 *            the peer's FIN, or FINISH_US after ours
 *   CLOSING  [gal_stream_close] libuv has the handle; only on_close is left
 *
 * A stream whose on_close has run is kept for a later peer, up to KEEP_MAX of them. */
#include "net/stream.h"

#include "base/limits.h"
#include "base/mem.h"
#include "net/stream_impl.h"
#include "net/tls.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define FINISH_US 1000000u
#define PENDING_US                                                                                 \
    (GAL_WRITE_TIMEOUT_MS * 1000u) /* of parts that a finishing stream still sends                 \
                                    */
#define KEEP_MAX 1024
#define REQUEST_PARTS_MAX 4 /* uv_write allocates for more */

/* --- the loop's list --- */

static void enlist(struct gal_stream *s)
{
    struct gal_loop *loop = s->loop;
    s->prev = NULL;
    s->next = loop->streams;
    if (s->next)
        s->next->prev = s;
    loop->streams = s;
    if (loop->stream_count++ == 0)
        gal_loop_tick(loop, true);
}

static void delist(struct gal_stream *s)
{
    struct gal_loop *loop = s->loop;
    if (s->prev)
        s->prev->next = s->next;
    else
        loop->streams = s->next;
    if (s->next)
        s->next->prev = s->prev;
    if (--loop->stream_count == 0)
        gal_loop_tick(loop, false);
}

static void keep(struct gal_loop *loop, struct gal_stream *s)
{
    if (loop->free_count == KEEP_MAX) {
        gal_free(s);
        return;
    }
    s->next = loop->free_streams;
    loop->free_streams = s;
    loop->free_count++;
}

static struct gal_stream *take(struct gal_loop *loop)
{
    struct gal_stream *s = loop->free_streams;
    if (!s)
        return gal_alloc(sizeof *s);
    loop->free_streams = s->next;
    loop->free_count--;
    return s;
}

/* --- closing --- */

static void on_closed(uv_handle_t *handle)
{
    struct gal_stream *s = handle->data;
    delist(s);
    if (s->user)
        s->ops->on_close(s->user);
    gal_secure_free(s);
    keep(s->loop, s);
}

void gal_stream_close(struct gal_stream *s)
{
    if (s->closing)
        return;
    s->deadline_us = 0;
    if (s->asking) {
        s->close_soon = true;
        return;
    }
    s->closing = true;
    uv_close((uv_handle_t *)&s->tcp, on_closed);
}

static void on_fin_sent(uv_shutdown_t *request, int status)
{
    struct gal_stream *s = request->data;
    if (s->closing)
        return;
    s->fin_sent = true;
    if (status != 0 || s->eof)
        gal_stream_close(s);
}

void gal_stream_set_deadline(struct gal_stream *s, uint64_t at_us)
{
    s->deadline_us = at_us;
    if (at_us && at_us < s->loop->deadline_us)
        s->loop->deadline_us = at_us;
}

static void send_fin(struct gal_stream *s)
{
    gal_stream_set_deadline(s, gal_loop_turn_us(s->loop) + FINISH_US);
    s->shutdown.data = s;
    if (uv_shutdown(&s->shutdown, gal_stream_uv(s), on_fin_sent) != 0)
        gal_stream_close(s);
}

/* --- reading --- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct gal_stream *s = handle->data;
    char *space = NULL;
    size_t n = 0;
    (void)suggested;
    if (!s->finishing && s->secure) {
        space = gal_secure_space(s, &n);
    } else if (!s->finishing) {
        s->asking = true;
        space = s->ops->on_space(s->user, &n);
        s->asking = false;
        if (!s->reading || s->close_soon)
            space = NULL;
    }
    if (s->finishing) {
        space = s->loop->discard;
        n = sizeof s->loop->discard;
    }
    buf->base = space;
    buf->len = space ? n : 0;
}

void gal_stream_ended(struct gal_stream *s)
{
    s->eof = true;
    s->reading = false;
    if (s->finishing) {
        if (s->fin_sent)
            gal_stream_close(s);
    } else if (s->ops->on_eof) {
        s->ops->on_eof(s->user);
    } else {
        gal_stream_close(s);
    }
}

static void on_read(uv_stream_t *uv, ssize_t n, const uv_buf_t *buf)
{
    struct gal_stream *s = uv->data;
    if (s->close_soon) {
        s->close_soon = false;
        gal_stream_close(s);
    } else if (n > 0) {
        if (s->finishing)
            return;
        if (s->secure)
            gal_secure_take(s, buf->base, (size_t)n);
        else
            s->ops->on_data(s->user, (size_t)n);
    } else if (n < 0 && n != UV_ENOBUFS && gal_secure_is_shaking(s) && !s->finishing) {
        gal_secure_give_up(s, true);
    } else if (n == UV_EOF) {
        gal_stream_ended(s);
    } else if (n == UV_ENOBUFS) { /* on_space gave nothing, or wanted no more */
        s->reading = false;
        (void)uv_read_stop(uv);
    } else if (n < 0) {
        gal_stream_close(s);
    }
}

void gal_stream_read_stop(struct gal_stream *s)
{
    if (s->closing || s->finishing)
        return;
    s->reading = false;
    if (!s->asking && !gal_secure_is_shaking(s))
        (void)uv_read_stop(gal_stream_uv(s));
}

void gal_stream_listen(struct gal_stream *s)
{
    (void)uv_read_start(gal_stream_uv(s), on_alloc, on_read);
}

void gal_stream_read_resume(struct gal_stream *s)
{
    if (s->closing || s->finishing || s->eof)
        return;
    s->reading = true;
    if (!s->asking && s->user && (!s->secure || gal_secure_resume(s)))
        gal_stream_listen(s);
}

/* --- writing --- */

void gal_stream_advance(struct gal_stream *s, size_t n)
{
    while (s->part < s->part_count && n >= s->parts[s->part].len)
        n -= s->parts[s->part++].len;
    if (n) {
        s->parts[s->part].base += n;
        s->parts[s->part].len -= n;
    }
}

void gal_stream_wrote(struct gal_stream *s)
{
    if (s->finishing) {
        if (!s->secure || gal_secure_say_end(s))
            send_fin(s);
    } else if (s->ops->on_written) {
        s->ops->on_written(s->user);
    }
}

static void on_write_done(uv_write_t *request, int status);

/* True when the kernel has all of it. What it does not take at once goes with a request of libuv's,
 * a few parts at a time. */
static bool push(struct gal_stream *s)
{
    int rc = uv_try_write(gal_stream_uv(s), s->parts + s->part, s->part_count - s->part);
    if (rc > 0)
        gal_stream_advance(s, (size_t)rc);
    if (s->part == s->part_count)
        return true;
    unsigned n = s->part_count - s->part;
    if (n > REQUEST_PARTS_MAX)
        n = REQUEST_PARTS_MAX;
    s->write.data = s;
    if (rc >= 0 || rc == UV_EAGAIN)
        rc = uv_write(&s->write, gal_stream_uv(s), s->parts + s->part, n, on_write_done);
    s->writing = rc == 0;
    if (rc != 0)
        gal_stream_close(s);
    else
        s->part += n; /* these are libuv's now */
    return false;
}

static void on_write_done(uv_write_t *request, int status)
{
    struct gal_stream *s = request->data;
    s->writing = false;
    if (s->closing)
        return;
    if (status != 0) {
        gal_stream_close(s);
    } else if (s->part == s->part_count || push(s)) {
        gal_stream_wrote(s);
    }
}

bool gal_stream_write(struct gal_stream *s, const struct gal_str *parts, size_t count)
{
    GAL_ASSERT(count <= GAL_STREAM_PARTS_MAX && !s->writing);
    if (s->closing || s->close_soon || s->finishing)
        return false;
    s->part = s->part_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].n == 0)
            continue;
        uv_buf_t *b = &s->parts[s->part_count++];
        b->base = (char *)(uintptr_t)parts[i].p; /* libuv reads it only */
        b->len = parts[i].n;
    }
    if (s->part_count == 0)
        return true;
    return s->secure ? gal_secure_write(s) : push(s);
}

size_t gal_stream_unsent(const struct gal_stream *s)
{
    size_t bytes = uv_stream_get_write_queue_size((const uv_stream_t *)&s->tcp);
    uv_os_fd_t fd;
    int queued = 0;

    for (unsigned i = s->part; i < s->part_count; i++)
        bytes += s->parts[i].len;
    /* Room is told only once a third of the queue is free, which may be megabytes. */
    if (uv_fileno((const uv_handle_t *)&s->tcp, &fd) == 0 && ioctl(fd, TIOCOUTQ, &queued) == 0)
        bytes += (size_t)queued;
    return bytes;
}

void gal_stream_finish(struct gal_stream *s)
{
    if (s->closing || s->close_soon || s->finishing)
        return;
    s->finishing = true;
    if (!s->eof)
        gal_stream_listen(s);
    if (!s->writing && (!s->secure || gal_secure_say_end(s)))
        send_fin(s);
    else if (s->deadline_us == 0 && !s->closing)
        gal_stream_set_deadline(s, gal_loop_turn_us(s->loop) + PENDING_US);
}

/* --- time, addresses, lists --- */

void gal_stream_deadline(struct gal_stream *s, uint64_t at_us)
{
    if (s->finishing || s->closing)
        return;
    if (gal_secure_is_shaking(s))
        gal_secure_defer_deadline(s, at_us);
    else
        gal_stream_set_deadline(s, at_us);
}

static void pass_deadline(struct gal_stream *s)
{
    s->deadline_us = 0;
    if (gal_secure_is_shaking(s) && !s->finishing)
        gal_secure_give_up(s, false);
    else if (s->finishing || !s->ops->on_deadline)
        gal_stream_close(s);
    else
        s->ops->on_deadline(s->user);
}

/* Closed streams leave the list in a later turn, new ones enter it at its front: the walk is safe
 * from what on_deadline does. A deadline that was set during it is seen, or lowers the bound. */
void gal_streams_check_deadlines(struct gal_loop *loop)
{
    uint64_t now = gal_loop_turn_us(loop);
    if (now < loop->deadline_us)
        return;
    loop->deadline_us = UINT64_MAX;
    for (struct gal_stream *s = loop->streams; s; s = s->next) {
        if (s->deadline_us && s->deadline_us <= now)
            pass_deadline(s);
        if (s->deadline_us && s->deadline_us < loop->deadline_us)
            loop->deadline_us = s->deadline_us;
    }
}

struct gal_loop *gal_stream_loop(const struct gal_stream *s)
{
    return s->loop;
}

void gal_address_text(const union gal_address *a, char out[GAL_ADDRESS_TEXT_SIZE])
{
    char host[INET6_ADDRSTRLEN] = "";
    unsigned port = ntohs(a->v4.sin_port); /* at the same place in both */
    if (a->any.sa_family == AF_INET) {
        (void)inet_ntop(AF_INET, &a->v4.sin_addr, host, sizeof host);
        (void)snprintf(out, GAL_ADDRESS_TEXT_SIZE, "%s:%u", host, port);
    } else if (IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr)) {
        (void)inet_ntop(AF_INET, a->v6.sin6_addr.s6_addr + 12, host, sizeof host);
        (void)snprintf(out, GAL_ADDRESS_TEXT_SIZE, "%s:%u", host, port);
    } else {
        (void)inet_ntop(AF_INET6, &a->v6.sin6_addr, host, sizeof host);
        (void)snprintf(out, GAL_ADDRESS_TEXT_SIZE, "[%s]:%u", host, port);
    }
}

const char *gal_stream_peer(struct gal_stream *s)
{
    if (!s->peer_text[0])
        gal_address_text(&s->peer, s->peer_text);
    return s->peer_text;
}

size_t gal_loop_streams(const struct gal_loop *loop)
{
    return loop->stream_count;
}

void gal_loop_drain_streams(struct gal_loop *loop)
{
    for (struct gal_stream *s = loop->streams; s; s = s->next)
        if (s->user && !s->closing && !s->close_soon && s->ops->on_drain)
            s->ops->on_drain(s->user);
}

void gal_stream_switch(struct gal_stream *s, const struct gal_stream_ops *ops, void *user)
{
    s->ops = ops;
    s->user = user;
}

/* --- life --- */

void gal_stream_adopt(struct gal_loop *loop, int fd, const union gal_address *peer,
                      struct gal_tls *tls, const struct gal_stream_ops *ops, void *listener_ctx)
{
    struct gal_stream *s = take(loop);
    if (!s) {
        (void)close(fd);
        return;
    }
    /* Not the parts: most of the memory, and of no meaning before a write. */
    memset(s, 0, offsetof(struct gal_stream, parts));
    s->peer_text[0] = '\0';
    s->peer = *peer;
    s->loop = loop;
    s->ops = ops;
    (void)uv_tcp_init(&loop->uv, &s->tcp); /* makes no socket: cannot fail */
    s->tcp.data = s;
    enlist(s);
    if (uv_tcp_open(&s->tcp, fd) != 0) {
        (void)close(fd);
        gal_stream_close(s);
        return;
    }
    (void)uv_tcp_nodelay(&s->tcp, 1);
    (void)uv_tcp_keepalive(&s->tcp, 1, GAL_TCP_KEEPALIVE_S);
    if (tls && gal_secure_begin(s, tls, listener_ctx) != GAL_OK) {
        gal_stream_close(s);
        return;
    }
    s->reading = true;
    s->user = ops->on_open(s, listener_ctx);
    if (!s->user)
        gal_stream_close(s);
    else if (s->secure)
        gal_secure_start_time(s);
    else if (s->reading)
        gal_stream_read_resume(s);
}

void gal_streams_close(struct gal_loop *loop)
{
    for (struct gal_stream *s = loop->streams; s; s = s->next)
        gal_stream_close(s);
}

void gal_streams_free_kept(struct gal_loop *loop)
{
    while (loop->free_streams)
        gal_free(take(loop));
}
