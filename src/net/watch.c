/* SPDX-License-Identifier: Apache-2.0 */
#include "net/watch.h"

#include "base/mem.h"
#include "net/net_impl.h"

struct gal_watch {
    uv_poll_t uv;
    void (*on_ready)(void *ctx, bool readable, bool writable);
    void *ctx;
};

static void on_poll(uv_poll_t *uv, int status, int events)
{
    struct gal_watch *w = uv->data;
    bool broken = status < 0; /* who reads and writes finds out why */
    w->on_ready(w->ctx, broken || (events & UV_READABLE), broken || (events & UV_WRITABLE));
}

enum gal_status gal_watch_new(struct gal_loop *loop, int fd,
                              void (*on_ready)(void *ctx, bool readable, bool writable), void *ctx,
                              struct gal_watch **out, struct gal_err *err)
{
    struct gal_watch *w = gal_calloc(1, sizeof *w);
    *out = NULL;
    if (!w)
        return gal_fail(err, GAL_NO_MEMORY, "no memory to watch a socket");
    int rc = uv_poll_init(&loop->uv, &w->uv, fd);
    if (rc) {
        gal_free(w);
        return gal_fail(err, GAL_IO, "a socket cannot be watched: %s", uv_strerror(rc));
    }
    w->uv.data = w;
    w->on_ready = on_ready;
    w->ctx = ctx;
    *out = w;
    return GAL_OK;
}

void gal_watch_set(struct gal_watch *w, bool readable, bool writable)
{
    int events = (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0);
    if (events)
        (void)uv_poll_start(&w->uv, events, on_poll);
    else
        (void)uv_poll_stop(&w->uv);
}

static void on_closed(uv_handle_t *handle)
{
    gal_free(handle->data);
}

void gal_watch_free(struct gal_watch *w)
{
    if (w)
        uv_close((uv_handle_t *)&w->uv, on_closed);
}
