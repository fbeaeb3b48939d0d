/* SPDX-License-Identifier: Apache-2.0 */
/* One request and its answer, whatever HTTP version carries them, and the context of the loop that
 * handles it. An exchange is recycled: everything of a request lies in its arena and buffers.
 *
 * Life: the carrier (server/http_conn.c) fills `req`, calls gal_api_handle once; exactly one
 * gal_exchange_finish follows, at once or later on the same loop; on_finished hands the response
 * back; when its bytes are written the carrier calls gal_exchange_reset.
 * Thread: the loop's, all of it. A job's worker only touches job, arena and outputs meanwhile. */
#ifndef GAL_API_EXCHANGE_H
#define GAL_API_EXCHANGE_H

#include "api/check.h"
#include "base/arena.h"
#include "base/budget.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/log.h"
#include "http/message.h"
#include "model/catalog.h"
#include "net/loop.h"
#include "sched/sched.h"
#include "watch/load.h"
#include "watch/metrics.h"

struct gal_cache;
struct gal_call;
struct gal_lazy_place;
struct gal_lazy_wait;
struct gal_control_ops;
struct gal_repository;
struct gal_trace;
struct gal_shm;
struct gal_shm_region;
struct gal_cached;
struct gal_event;
struct gal_redis;
struct gal_route;
struct gal_infer;
struct gal_faults;
struct gal_exchange;

/* How errors are rendered. */
enum gal_dialect {
    GAL_DIALECT_NATIVE, /* {"detail": ..., "request_id": ...}; INVALID is 422 */
    GAL_DIALECT_OIP,    /* {"error": "..."} */
    GAL_DIALECT_GRPC,   /* 200, grpc-status and grpc-message (http/grpc.h) */
    GAL_DIALECT_MLFLOW, /* {"error_code": "...", "message": "..."} */
};

/* A request may be a message of a connection that carries many (api/websocket.h). */
enum gal_message { GAL_MESSAGE_NONE, GAL_MESSAGE_TEXT, GAL_MESSAGE_BINARY };

/* What all loops share; written by server/ only. */
struct gal_process {
    _Atomic bool draining; /* readiness is 503 */
    _Atomic bool refusing; /* new inference requests are refused with "Service shutting down" */
    _Atomic bool loaded;   /* the first load of all models has ended, well or not */
    uint64_t start_wall_us, start_mono_us;
    /* Requests between their last byte (when a drain begins: their first) and their answer's. */
    _Atomic uint64_t in_flight;
    _Atomic uint64_t untold;      /* loops that do not know yet that a drain refuses */
    _Atomic uint64_t connections; /* open */
    _Atomic uint64_t websockets;  /* those of them that speak WebSocket */
    _Atomic uint64_t catalog_age; /* bumped with each new catalog */
    _Atomic uint32_t cpu_ppm; /* share of the machine's processors that was busy in the last second,
                                 millionths; kept while some options say triton_metrics */
    struct gal_check check;   /* deep health */
    struct gal_budget memory; /* of all requests: bodies, arenas, answers */
};

/* Whose habits /invocations keeps where MLflow's and SageMaker's differ (docs/mlflow.md). */
enum gal_invocations { GAL_INVOCATIONS_MLFLOW, GAL_INVOCATIONS_SAGEMAKER };

/* Immutable while a loop uses it; replaced whole on reload. */
struct gal_api_options {
    struct gal_str default_model; /* may be empty */
    size_t body_bytes_max;        /* decoded */
    size_t instances_max;
    uint64_t request_timeout_us; /* deadline of a request that brings none; 0: none */
    uint64_t readiness_ttl_us;   /* a deep readiness check is at most this old */
    double access_sample;        /* share of requests with an access line: 0 off, 1 all; errors
                                    (5xx) are always written unless 0 */
    bool compress;               /* honour Accept-Encoding */
    bool triton_metrics;         /* /metrics has Triton's names too */
    bool client_settings;        /* clients may change trace and log settings */
    enum gal_invocations invocations;
};

/* One a loop. */
struct gal_api {
    const struct gal_api_options *options; /* borrowed */
    struct gal_process *process;           /* borrowed */
    struct gal_catalog *catalog;           /* owned reference; never NULL */
    struct gal_metrics *metrics;           /* borrowed */
    struct gal_shard *shard;               /* this loop's */
    struct gal_log *log;                   /* borrowed; may be NULL */
    struct gal_buf log_lines;              /* gathered in this turn; flushed by the carrier */
    const struct gal_clock *clock;
    struct gal_loop *loop;
    struct gal_turn *turn;                 /* borrowed; NULL on the command line */
    struct gal_cache *cache;               /* borrowed; NULL: no responses are cached */
    struct gal_redis *redis;               /* this loop's, borrowed; NULL: none */
    const struct gal_control_ops *control; /* borrowed; NULL: models stay as they are */
    struct gal_repository *repository;     /* borrowed; NULL: all names are served */
    const struct gal_control_ops *lazy;    /* borrowed; NULL: nothing is loaded on demand */
    struct gal_lazy_wait *lazy_waits;      /* api/lazy.c's */
    struct gal_trace *trace;               /* borrowed; NULL: nothing is traced */
    struct gal_shm *shm;                   /* borrowed; NULL: no client's memory is mapped */
    struct gal_rng rng;
    struct gal_series_cache *series; /* api/account.c's */
    /* What the response cache has done for a model; NULL where there is none. */
    void (*cache_spans)(const struct gal_api *api, const struct gal_model *m,
                        struct gal_cache_spans *out);
    /* Asked at the end of each head that came over HTTP/2: true when it has claimed the call
     * (http/call.h), whose exchange x is, with its request, until the call's on_close; its arena is
     * the claimer's to use. NULL: no call is claimed. */
    bool (*claim)(struct gal_exchange *x, struct gal_call *call);
    struct gal_openapi *openapi; /* api/openapi.c's; gal_openapi_free */
};

/* No new work is wanted: readiness is refused. */
static inline bool gal_api_stopping(const struct gal_api *api)
{
    return api->process->draining || api->process->refusing;
}

#define GAL_PATH_PARAMS_MAX 3

struct gal_exchange {
    /* the carrier's */
    struct gal_http_request *req;
    void (*on_finished)(struct gal_exchange *x); /* resp is complete */
    /* The request has waited, for its model (api/lazy.h) or for another's answer (api/cached.h),
     * and runs only now: its job.expires_us is another than gal_api_handle left. NULL: nobody looks
     * at it. */
    void (*on_deadline)(struct gal_exchange *x);
    void *carrier;
    const char *peer;           /* may be NULL */
    struct gal_str client_name; /* of the client's certificate, verified; p NULL: it showed none */
    enum gal_message message;   /* the carrier says what the request is, the handler what the answer
                                   is; NONE: HTTP's own */
    uint64_t arrived_us; /* monotonic, the loop found the request; 0: unknown. What a long turn lets
                            wait counts from its start */

    struct gal_api *api;
    struct gal_http_response resp;
    struct gal_arena arena;
    struct gal_buf out; /* JSON text of the answer; resp.parts usually point here */
    uint64_t start_us;  /* monotonic, the request was there: arrived_us where the carrier says it */
    uint64_t began_us;  /* monotonic, its handling began */

    const struct gal_route *route;              /* NULL until matched */
    struct gal_str params[GAL_PATH_PARAMS_MAX]; /* decoded path parameters, route's order */
    struct gal_str body;                        /* of the request, content coding taken off */
    char request_id[GAL_REQUEST_ID_BYTES_MAX + 1];
    char correlation_id[GAL_REQUEST_ID_BYTES_MAX + 1];

    struct gal_model *model; /* owned reference once resolved; for metrics and log */
    size_t rows;             /* of an inference */
    enum gal_status outcome; /* OK or why it failed */
    char outcome_text[160];  /* error's message for the log; empty on OK */
    struct gal_job job;
    struct gal_infer *infer;      /* of an inference; its outputs are given back by reset */
    struct gal_model *wanted;     /* owned reference: it is to be loaded first (api/lazy.h) */
    struct gal_lazy_place *place; /* it is parked until that has happened; NULL: it is not */
    bool *finished; /* set when it is, before on_finished, after which x may be gone; may be NULL */
    struct gal_cached *cached; /* its place in the response cache (api/cached.h); NULL: none */
    struct gal_faults *faults; /* what is wrong with its fields (api/faults.h); NULL: nothing */
    struct gal_event *event;   /* it came as a CloudEvent (api/cloudevents.h); NULL: it did not */
    bool malformed; /* the event around the body is wrong: INVALID is 400 in all dialects */
    struct gal_str message_id;              /* of a message, for its error; p NULL: not known */
    void *state;                            /* the handler's own, in the arena */
    void (*render)(struct gal_exchange *x); /* gal_exchange_finish hands x->out here instead, once:
                                               a dialect that says it in other words. NULL: none */
    struct gal_shm_region **regions; /* that the tensors lie in, in the arena; let go by reset */
    size_t region_count;
    struct gal_buf packed; /* the compressed body, when there is one */
    bool submitted;        /* the job was handed to a scheduler */
    bool job_running; /* the answer comes later: between submit and on_done, while the cache has
                         it, while it waits for its model, another thread or the main thread */
};

void gal_exchange_init(struct gal_exchange *x, struct gal_api *api);
void gal_exchange_release(struct gal_exchange *x);
/* Ready for the next request: arena, buffers, model reference, response. */
void gal_exchange_reset(struct gal_exchange *x);

/* Entry: identifies, decodes, routes, handles. */
void gal_api_handle(struct gal_exchange *x);
/* Once more, from its route on: what it asks for was not there (api/lazy.h). */
void gal_api_again(struct gal_exchange *x);
/* A request that the codec refused: fills an error response without a route and finishes. */
void gal_api_reject(struct gal_exchange *x, const struct gal_err *err);
/* The client has gone: a waiting job is cancelled; finish still comes. */
void gal_exchange_cancel(struct gal_exchange *x);
/* The deadline of a job under way (job.expires_us) has passed: one that still waits ends now. */
void gal_exchange_expire(struct gal_exchange *x);

/* --- for handlers --- */
/* Behind a wait: does `step`, which may finish x, and where x then has a job under way tells the
 * carrier of that job's time (on_deadline). x may be gone afterwards. */
void gal_exchange_go_on(struct gal_exchange *x, void (*step)(struct gal_exchange *x));
/* Answer with x->out's content (or nothing when empty) of this content type (static text). Adds
 * the headers, compresses when asked, accounts, logs, calls on_finished. */
void gal_exchange_finish(struct gal_exchange *x, int status, struct gal_str content_type);
/* Answer with parts (in the arena or x->out) as they are. */
void gal_exchange_finish_parts(struct gal_exchange *x, int status, struct gal_str content_type,
                               const struct gal_str *parts, size_t count);
/* Answer with an error in the route's dialect; where it is that the model is not loaded yet, and
 * asking loads it, the answer comes after that (api/lazy.h). */
void gal_exchange_fail(struct gal_exchange *x, const struct gal_err *err);
/* Adds a response header; value is copied into the arena. */
void gal_exchange_header(struct gal_exchange *x, struct gal_str name, struct gal_str value);

#define GAL_TYPE_JSON GAL_STR("application/json")
#define GAL_TYPE_OCTETS GAL_STR("application/octet-stream")
#define GAL_TYPE_HTML GAL_STR("text/html; charset=utf-8")

#endif
