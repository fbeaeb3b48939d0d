/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the running process share: server.c (start, stop), drain.c, reload.c. All of it
 * belongs to the main thread, whose loop handles signals, timers and ends of loads. */
#ifndef GAL_SERVER_SERVER_IMPL_H
#define GAL_SERVER_SERVER_IMPL_H

#include "api/control.h"
#include "server/caching.h"
#include "server/front.h"
#include "server/loader.h"
#include "server/retired.h"
#include "server/sampler.h"
#include "server/server.h"
#include "server/settings.h"

enum gal_server_state {
    GAL_SERVER_STARTING,
    GAL_SERVER_SERVING,
    GAL_SERVER_DRAINING,
    GAL_SERVER_REFUSING,
    GAL_SERVER_STOPPED
};

struct gal_server {
    enum gal_server_state state;
    struct gal_loop *loop; /* the main thread's */
    struct gal_log *log;   /* borrowed; may be NULL */
    enum gal_status (*reread)(struct gal_config *out, void *ctx, struct gal_err *err);
    void *reread_ctx;
    struct gal_settings *settings; /* newest first; owned */
    struct gal_metrics *metrics;
    struct gal_shard *shard; /* the main thread's */
    struct gal_process process;
    struct gal_caching *caching;
    struct gal_catalog *catalog; /* newest; owned reference */
    struct gal_retired retired;  /* models of older ones */
    struct gal_front **fronts;
    size_t front_count;
    uint16_t port, https_port, grpc_port;  /* 0: none */
    struct gal_certificates *certificates; /* server/certificates.c; NULL: no TLS */

    struct gal_loader *loader; /* NULL when no load is under way */
    struct gal_model **coming; /* of the load under way: what the next catalog holds; owned */
    size_t coming_count;
    struct gal_control_request *asked; /* whose load it is; NULL: the configuration's */
    struct gal_sourcing *sourcing;     /* NULL: no source is being fetched or looked at */
    struct gal_timer *poll_timer;      /* source_poll */
    struct gal_settings *before;       /* what a reload falls back to while sources are fetched */
    bool kept_old; /* the last load left a model of older settings in its place */
    atomic_bool sources_stop;
    struct gal_err failure; /* of a start that came to nothing later on; code OK: none */
    bool reload_again;      /* SIGHUP came during a load */
    uint64_t load_began_us; /* monotonic: the process's start, then the last SIGHUP */

    struct gal_control_ops
        control; /* for the fronts: of clients when settings say explicit_control,
                    of requests for models that are not loaded yet always */
    struct gal_control_request *waiting, **waiting_end; /* loads and unloads, in their order */
    struct gal_repository *repository;                  /* NULL unless explicit_control */
    struct gal_shm *shm;                                /* NULL unless allowed */
    struct gal_trace *trace;

    struct gal_sampler *sampler;
    struct gal_timer *sample_timer; /* GAL_METER_PERIOD_US */
    struct gal_cpu_meter cpu;       /* used while settings say triton_metrics */

    struct gal_timer *timer; /* drain_delay, then the poll of requests in flight */
    uint64_t stop_at_us;     /* end of the grace, monotonic */
    int exit_code;
};

void gal_server_set_state(struct gal_server *s, enum gal_server_state to);
/* certificates.c */
/* Reads the files of TLS, where https_port is on: an error ends the start. */
enum gal_status gal_certificates_start(struct gal_server *s, struct gal_err *err);
void gal_certificates_free(struct gal_server *s);
struct gal_tls *gal_certificates_tls(const struct gal_server *s); /* borrowed */
/* The files, as the newest settings name them, take effect for new connections; files that do not
 * fit leave the old context in place and are logged. Nothing without TLS. */
void gal_certificates_reload(struct gal_server *s);
/* drain.c: first signal drains, second ends the grace. */
void gal_server_signal_stop(int signum, void *ctx);
/* Ends the loop; the process ends with this code. */
void gal_server_stop_now(struct gal_server *s, int exit_code);
/* reload.c */
void gal_server_signal_reload(int signum, void *ctx);
/* Scans the paths and starts the first load; the catalog knows the names at once. */
enum gal_status gal_server_first_load(struct gal_server *s, struct gal_err *err);
enum gal_status gal_server_start_load(struct gal_server *s, struct gal_err *err);
void gal_server_drop_coming(struct gal_server *s);
/* Starts loading what is coming; on_end as in loader.h, ctx is the server. */
enum gal_status gal_server_load_coming(struct gal_server *s,
                                       void (*on_end)(struct gal_loader *l, void *ctx),
                                       struct gal_err *err);
/* A catalog as this server serves it, and its way to the fronts; publish takes the reference. */
enum gal_status gal_server_make_catalog(struct gal_server *s, struct gal_model *const *models,
                                        size_t count, struct gal_catalog **out,
                                        struct gal_err *err);
void gal_server_publish(struct gal_server *s, struct gal_catalog *fresh);
/* Same path, same bytes, same configuration as what serves under its name? That stays, in *m's
 * place. */
void gal_server_keep_unchanged(struct gal_server *s, struct gal_model **m);
/* Scans what the newest settings name, and loads what is not served as it is. */
enum gal_status gal_server_load_changed(struct gal_server *s, struct gal_err *err);
void gal_server_reloaded(struct gal_server *s); /* what else new settings change, when they stay */
/* Nobody has been told of the newest settings: a reload that fails changes nothing. */
void gal_server_forget_newest(struct gal_server *s, struct gal_settings *before);
void gal_server_log_err(struct gal_server *s, const char *event, const struct gal_err *err);
/* fetching.c */
/* Fetches what the newest settings name by URL, then goes on with gal_server_load_changed;
 * s->before are the settings that a failure goes back to. */
enum gal_status gal_server_fetch(struct gal_server *s, struct gal_err *err);
/* After each load: the period may be another. */
void gal_server_arm_poll(struct gal_server *s);
/* What only older settings name may leave the cache, unless a model of theirs serves on. */
void gal_server_let_go(struct gal_server *s);
/* What waited for the load's end: a reload, requests. */
void gal_server_load_ended(struct gal_server *s);

/* control.c: models loaded and unloaded by request, when settings say explicit_control. */
void gal_server_control_init(struct gal_server *s);
enum gal_status gal_server_control_new(struct gal_server *s, struct gal_err *err);
/* Of the models that a scan has found: those that load_models names (at the start), those that are
 * served (later; the ones loaded by a request with its own configuration stay as they are). */
enum gal_status gal_server_control_filter(struct gal_server *s, struct gal_err *err);
void gal_server_control_next(struct gal_server *s);
/* No more: those that wait are refused. */
void gal_server_control_stop(struct gal_server *s);
/* Sends a request home. */
void gal_server_answer(struct gal_control_request *r, enum gal_status st);
/* At the end of what is coming; takes the reference. */
enum gal_status gal_server_add_coming(struct gal_server *s, struct gal_model *m,
                                      struct gal_err *err);

/* lazy.c */
/* Of a scan: those that their first request loads become IDLE. */
void gal_server_defer(struct gal_model *const *models, size_t count);
/* One that was scanned anew and is IDLE is loaded at once where its older self serves already. */
void gal_server_keep_warm(const struct gal_server *s, struct gal_model *m);
/* A DEMAND that has come to its turn. */
void gal_server_demand(struct gal_server *s, struct gal_control_request *r);
/* Runs `apply` on each front's loop, with the front; the catalog (may be NULL) is handed over by
 * reference, settings are the newest. How many will: a front is left out, and logged, when memory
 * is out. */
size_t gal_server_tell_fronts(struct gal_server *s,
                              void (*apply)(struct gal_front *f, struct gal_catalog *catalog,
                                            const struct gal_settings *settings));

#endif
