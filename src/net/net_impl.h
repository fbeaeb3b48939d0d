/* SPDX-License-Identifier: Apache-2.0 */
/* What net/'s own files know of one another. */
#ifndef GAL_NET_NET_IMPL_H
#define GAL_NET_NET_IMPL_H

#include "net/stream.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <uv.h>

#define GAL_CACHE_LINE 64
#define GAL_DISCARD_BYTES 16384

struct gal_signal;
struct gal_connect;
struct gal_secure;
struct gal_secure_loop;
struct gal_tls;

struct gal_loop {
    uv_loop_t uv;
    uv_poll_t wake; /* of wake_fd */
    int wake_fd;    /* an eventfd */
    uv_prepare_t before_sleep;
    uv_idle_t again; /* active: the next poll does not sleep */
    uv_timer_t tick; /* runs while there is a stream */
    void (*on_turn)(void *ctx);
    void *on_turn_ctx;
    uint64_t turn_us;           /* 0: not read in this turn */
    uint64_t ended_us, took_us; /* the turn before: its end and its length; 0: it did little */
    uint64_t waited_us;         /* with turn_us: gal_loop_waited_us */

    struct gal_stream *streams;      /* all that are not closed; owned */
    struct gal_stream *free_streams; /* kept for the next peers; owned */
    size_t stream_count, free_count;
    struct gal_secure_loop
        *secure;          /* what its streams of TLS share; owned; NULL before the first */
    uv_idle_t deferred;   /* active while such a stream has older bytes to read */
    uint64_t deadline_us; /* no stream's deadline is earlier */
    struct gal_listener *listeners;  /* owned */
    struct gal_signal *signals;      /* owned */
    struct gal_connect *connects;    /* under way; owned */
    size_t connect_count;            /* those and what of them libuv has not closed yet */
    char discard[GAL_DISCARD_BYTES]; /* where unwanted bytes go */

    char apart[GAL_CACHE_LINE];       /* what follows is written by other threads */
    _Atomic(struct gal_task *) inbox; /* latest first */
    atomic_bool stopping;
};

union gal_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* Takes fd, a connected socket: it becomes a stream of the loop, or is closed when on_open refuses
 * or memory is out. tls: NULL for plain TCP. */
void gal_stream_adopt(struct gal_loop *loop, int fd, const union gal_address *peer,
                      struct gal_tls *tls, const struct gal_stream_ops *ops, void *listener_ctx);
/* Calls on_deadline of the streams whose time has come. */
void gal_streams_check_deadlines(struct gal_loop *loop);
/* Turns the 100 ms beat behind them on or off. */
void gal_loop_tick(struct gal_loop *loop, bool on);
/* gal_secure_run_waiting runs in the next turn, which does not sleep before. */
void gal_loop_defer(struct gal_loop *loop);

/* For gal_loop_free: closes all, and frees what is kept for the next peers. */
void gal_listeners_close(struct gal_loop *loop);
void gal_connects_close(struct gal_loop *loop); /* no callback is called */
void gal_streams_close(struct gal_loop *loop);
void gal_streams_free_kept(struct gal_loop *loop);

/* "127.0.0.1:80", "[::1]:80". A v4 address in v6 form is written as v4. */
#define GAL_ADDRESS_TEXT_SIZE 56
void gal_address_text(const union gal_address *a, char out[GAL_ADDRESS_TEXT_SIZE]);

#endif
