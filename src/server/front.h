/* SPDX-License-Identifier: Apache-2.0 */
/* One event loop that serves HTTP: its thread, its listener, its connections and the api context
 * that handlers see. A process has one a core; they share nothing on the path of a request.
 * All calls on the loop's thread, but for new, start, join and free (the main thread). */
#ifndef GAL_SERVER_FRONT_H
#define GAL_SERVER_FRONT_H

#include "api/exchange.h"
#include "http/http1.h"
#include "http/http2.h"
#include "net/stream.h"
#include "net/tls.h"
#include "server/outbox.h"
#include "server/rest.h"
#include "server/ws_conn.h"

#include <pthread.h>

/* Immutable while a front uses it; replaced whole on reload. */
struct gal_front_options {
    struct gal_http1_limits http1;
    struct gal_http2_limits http2;
    size_t connections_max; /* of the process */
    uint64_t head_timeout_us, body_timeout_us, idle_timeout_us, write_timeout_us;
};

struct gal_caching;
struct gal_conn;
struct gal_slot;

struct gal_front {
    struct gal_loop *loop;
    struct gal_listener *listener; /* NULL: none, or closed */
    struct gal_listener *secure;   /* the one of TLS; NULL: none, or closed */
    struct gal_listener *rpc;      /* of HTTP/2 alone, for gRPC; NULL: none, or closed */
    pthread_t thread;
    bool started;
    struct gal_api api;
    const struct gal_front_options *options; /* borrowed */
    struct gal_conn *free_conns;             /* owned, recycled */
    struct gal_outbox outbox;
    struct gal_rests rests;
    struct gal_slot *free_slots; /* owned, recycled */
    unsigned free_slot_count;
    struct gal_ws_front ws;
    struct gal_http2_pool *h2_pool; /* owned; NULL before the first connection of HTTP/2, */
    char *h2_input;                 /* as this: where all of them read */
    gal_series received, sent, refused_full, refused_slow, refused_bad, refused_memory,
        refused_abuse, rests_begun, log_dropped;
    gal_series handshakes[2][2]; /* TLS 1.2 and 1.3; anew and resumed */
    gal_series handshake_failures[GAL_TLS_FAIL_COUNT];
    struct gal_http_request no_request; /* stands in for one that did not arrive in time */
    char date[GAL_HTTP_DATE_SIZE];      /* of the second date_s */
    uint64_t date_s, date_turn_us;      /* looked up in that turn of the loop */
};

/* What a front borrows from the process; all of it outlives the front. */
struct gal_front_setup {
    const struct gal_front_options *options;
    const struct gal_api_options *api_options;
    struct gal_process *process;
    struct gal_metrics *metrics;
    struct gal_log *log;
    struct gal_caching *caching;
    struct gal_catalog *catalog; /* the front takes a reference of its own */
    /* may be NULL: see struct gal_api */
    const struct gal_control_ops *control;
    struct gal_repository *repository;
    const struct gal_control_ops *lazy;
    struct gal_shm *shm;
    struct gal_trace *trace;
};

enum gal_status gal_front_new(const struct gal_front_setup *setup, struct gal_front **out,
                              struct gal_err *err);
/* When a body is late that began at `begun_us`, whose last byte came at `last_us` and of which
 * `received` bytes are here: each gives it another body_timeout, but not for ever: a whole one
 * comes at GAL_BODY_RATE_MIN at least. */
uint64_t gal_front_body_due(const struct gal_front *f, uint64_t begun_us, uint64_t last_us,
                            size_t received);
/* An answer has been on its way for a write_timeout since the last look: does it go on? `unsent` of
 * it is left now, *before was then; that it is more means that the next part has begun. */
bool gal_front_write_goes_on(const struct gal_front *f, size_t unsent, size_t *before);
enum gal_status gal_front_listen(struct gal_front *f, const char *host, uint16_t port,
                                 struct gal_err *err);
/* The same over TLS; connections end up at the same place. tls->on_handshake is gal_front_shaken.
 */
/* HTTP/2 only, for gRPC. */
enum gal_status gal_front_listen_grpc(struct gal_front *f, const char *host, uint16_t port,
                                      struct gal_err *err);
enum gal_status gal_front_listen_tls(struct gal_front *f, const char *host, uint16_t port,
                                     struct gal_tls *tls, struct gal_err *err);
/* Counts and logs how a handshake ended. */
void gal_front_shaken(void *front, struct gal_stream *stream, const struct gal_tls_report *r);
enum gal_status gal_front_start(struct gal_front *f, unsigned number, struct gal_err *err);
/* Ends the loop and waits for its thread. */
void gal_front_join(struct gal_front *f);
void gal_front_free(struct gal_front *f); /* NULL is fine; not while its thread runs */
/* Closes the listeners and all connections without a request under way. */
void gal_front_refuse(struct gal_front *f);
/* Now, for the header Date: http1.h's form. */
struct gal_str gal_front_date(struct gal_front *f);

/* The connections (server/http_conn.c). */
extern const struct gal_stream_ops gal_http_stream_ops; /* listener's ctx is the front */
void gal_http_free_pools(struct gal_front *f);

#endif
