/* SPDX-License-Identifier: Apache-2.0 */
/* What load.c (time) and load_conn.c (connections) know of one another. */
#ifndef GAL_LOAD_LOAD_IMPL_H
#define GAL_LOAD_LOAD_IMPL_H

#include "load/load.h"

/* A large answer in few calls, and still within a core's cache. */
#define GAL_LOAD_READ_BYTES (256u << 10)

enum gal_load_state {
    GAL_LOAD_CLOSED,
    GAL_LOAD_CONNECTING,
    GAL_LOAD_IDLE,
    GAL_LOAD_BUSY,
    GAL_LOAD_CLOSING
};

struct gal_load_conn {
    struct gal_load *load;
    struct gal_stream *stream; /* from on_open to on_close */
    void *wire;                /* owned */
    enum gal_load_state state;
    bool writing;     /* the kernel has not taken all of what was gathered */
    bool measured;    /* open loop: this request belongs to the measurement */
    unsigned retries; /* without an answer in between */
    uint64_t retry_ns;
    uint64_t intended_ns, sent_ns; /* of the request in flight */
};

struct gal_load {
    struct gal_loop *loop;
    struct gal_load_options o;
    const struct gal_wire_ops *wire;
    struct gal_http2_pool *pool; /* owned */
    struct gal_load_result result;
    struct gal_load_conn *conns; /* o.connections; owned */
    struct gal_load_conn **idle; /* a stack, the latest used on top; owned */
    size_t idle_count, open_count, busy_count;
    size_t next_request;
    struct gal_arrivals arrivals;
    uint64_t next_ns;    /* intended start of the next arrival */
    uint64_t starved_ns; /* when no connection was free for the last time */
    enum gal_load_phase phase;
    uint64_t phase_ns, measure_ns, end_ns; /* begin of the phase, the measurement, the drain */
    uint64_t scan_ns, tick_ns;             /* of the next */
    uint64_t events;                       /* callbacks, so that a quiet turn is known */
    uint64_t answered, failed;
    bool stop;
    struct gal_timer *beat;
    char space[GAL_LOAD_READ_BYTES]; /* every connection reads here: answers are not kept */
};

static inline uint64_t gal_load_now(const struct gal_load *l)
{
    return l->o.now_ns(l->o.ctx);
}

static inline bool gal_load_is_open(const struct gal_load *l)
{
    return l->o.rate > 0;
}

/* --- load_conn.c --- */
/* Begins to connect. */
void gal_load_open(struct gal_load_conn *c);
/* Sends the next request; the connection is idle, and on no list. */
void gal_load_send(struct gal_load_conn *c, uint64_t intended_ns, uint64_t at_ns);
/* Open loop: sends what is due, as long as connections are free for it. */
void gal_load_fire(struct gal_load *l, uint64_t at_ns);
/* Whether a request that ends now is one of the measurement's. */
bool gal_load_counts_now(const struct gal_load_conn *c);
/* Its request is beyond its time. */
void gal_load_give_up(struct gal_load_conn *c);
/* Closes the connection; a request in flight has been counted. */
void gal_load_lose(struct gal_load_conn *c);

#endif
