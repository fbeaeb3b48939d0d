/* SPDX-License-Identifier: Apache-2.0 */
/* The load generator: one step of a benchmark, on one thread and one loop, over keep-alive
 * connections, each with one request at a time. What they speak is load/wire.h's: HTTP/1.1 or gRPC.
 * In steady state it allocates nothing, and a small request costs it one write, one read and one
 * look at the clock.
 *
 * Closed loop (rate 0): each connection sends its next request when the answer to the last has
 * come. Open loop: requests have times of their own (load/arrivals.h), and an answer's latency
 * counts from the time at which its request was *meant* to start, whether or not a connection was
 * free for it: a target that stalls cannot hide it by stalling the client too.
 *
 * Time: connect (up to a second) -> warm-up -> measured -> drain (until all are answered or timed
 * out). Open loop: a request belongs to the measurement when its intended start lies in it. Closed
 * loop: when its answer does. `timeout_ns` after the intended start a request has failed and its
 * connection is closed; one that no connection was free for is given up unsent after half of that.
 * So the backlog of an overload is bounded by time, and costs no memory.
 *
 * States of a connection: CLOSED -> CONNECTING [gal_load_open] -> IDLE [on_open]
 *   -> BUSY [gal_load_send] -> IDLE [end_request];  any -> CLOSING [gal_load_lose]
 *   -> CLOSED [on_close], all in load_conn.c */
#ifndef GAL_LOAD_LOAD_H
#define GAL_LOAD_LOAD_H

#include "load/arrivals.h"
#include "load/histogram.h"
#include "load/wire.h"
#include "net/connect.h"

#define GAL_LOAD_STATUSES 600 /* HTTP statuses are below */

enum gal_load_phase { GAL_LOAD_CONNECT, GAL_LOAD_WARMUP, GAL_LOAD_MEASURE, GAL_LOAD_DRAIN };

/* For a progress line. */
struct gal_load_live {
    enum gal_load_phase phase;
    uint64_t elapsed_ns, total_ns; /* of warm-up and measurement together */
    uint64_t answered, failed;     /* all so far, warm-up included */
    size_t in_flight;
    const struct gal_histogram *latency; /* of the measurement, so far */
};

struct gal_load_options {
    struct gal_endpoint target;
    const struct gal_wire_ops *wire;
    const char *authority;          /* gRPC: of all calls; borrowed; so the next */
    uint64_t deadline_us;           /* gRPC: asked for in grpc-timeout; 0: none */
    const struct gal_str *requests; /* as the wire has them, sent in turn; borrowed */
    size_t request_count;           /* at least 1 */
    size_t connections;             /* at least 1; in a closed loop as many are in flight */
    double rate;                    /* arrivals a second; 0: closed loop */
    enum gal_arrival_kind arrivals;
    uint64_t seed;
    uint64_t warmup_ns, duration_ns, timeout_ns;                  /* timeout_ns above 0 */
    uint64_t (*now_ns)(void *ctx);                                /* monotonic */
    void (*on_tick)(const struct gal_load_live *live, void *ctx); /* ten times a second; optional */
    void *ctx;
};

/* What of the measurement became of its requests. Their sum is `offered`. */
struct gal_load_counts {
    uint64_t offered;
    uint64_t by_status[GAL_LOAD_STATUSES]; /* answered */
    uint64_t unsent;                       /* no connection was free within half of timeout_ns */
    uint64_t unanswered;                   /* timed out behind that */
    uint64_t broken;                       /* the connection was closed or reset under it */
    uint64_t malformed;                    /* the answer was none of the wire's protocol */
    uint64_t unfinished;                   /* in flight when the run was stopped */
};

struct gal_load_result {
    uint64_t measured_ns; /* shorter than duration_ns when stopped */
    bool stopped;         /* by gal_load_stop */
    struct gal_load_counts counts;
    uint64_t done_ok; /* good answers that came within the measurement, whenever meant */
    uint64_t bytes_out, bytes_in; /* within the measurement */
    uint64_t held;                /* requests that waited until a connection was free */
    uint64_t connect_failures;    /* all phases */
    int connect_error;            /* errno of the latest; 0: none */
    size_t opened;                /* connections that were open when the warm-up began */
    struct gal_histogram latency; /* of 2xx answers, ns from the intended start */
    struct gal_histogram service; /* of 2xx answers, ns from the write */
    struct gal_histogram delay;   /* of all sent, ns from the intended start to the write */
    int sample_status;            /* of the first answer that was not 2xx; 0: none */
    char sample[256];             /* how it begins; NUL-terminated */
};

uint64_t gal_load_ok(const struct gal_load_counts *c);     /* 2xx */
uint64_t gal_load_failed(const struct gal_load_counts *c); /* all that were offered, but 2xx */
double gal_load_rate(const struct gal_load_result *r);     /* done_ok a second */

struct gal_load;

/* Owned by the caller; the loop is borrowed and must be free of other connections. */
enum gal_status gal_load_new(struct gal_loop *loop, const struct gal_load_options *options,
                             struct gal_load **out, struct gal_err *err);
/* Runs the step to its end by turning the loop; once. */
const struct gal_load_result *gal_load_run(struct gal_load *l);
/* From a callback of the loop: gal_load_run returns soon, with what there is. */
void gal_load_stop(struct gal_load *l);
void gal_load_free(struct gal_load *l); /* NULL is fine */

#endif
