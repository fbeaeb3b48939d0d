/* SPDX-License-Identifier: Apache-2.0 */
/* A loaded model version: session, scheduler, what it is called, where it stands.
 *
 * States: IDLE -> LOADING    [server/lazy.c: its first request is here; what is loaded is another
 *                            object, which takes its place]
 *         LOADING -> READY  [gal_model_load: session made, warm-up inferences answered]
 *         LOADING -> FAILED [gal_model_load: the reason is kept]
 * A model that is replaced or removed just loses its references; the last one frees it
 * (gal_model_unref), so a request in flight never meets a model that is gone. Immutable once READY
 * or FAILED, but for counters inside the scheduler; any thread may read. */
#ifndef GAL_MODEL_MODEL_H
#define GAL_MODEL_MODEL_H

#include "backend/backend.h"
#include "model/config.h"
#include "model/labels.h"
#include "model/pad.h"
#include "package/package.h"
#include "sched/sched.h"

/* IDLE: on_demand, and nobody has asked for it yet. A request makes it LOADING while another object
 * of the same version is loaded, which takes its place (server/lazy.c). */
enum gal_model_state { GAL_MODEL_LOADING, GAL_MODEL_READY, GAL_MODEL_FAILED, GAL_MODEL_IDLE };

struct gal_model_options {
    const struct gal_backend_ops *ops;
    const struct gal_clock *clock;
    struct gal_model_config config;
    bool unproven; /* a package's golden cases are not run: the caller does that itself */
};

struct gal_model {
    char *name;                /* owned, NUL-terminated */
    char *version;             /* "1", "2.1.0" */
    char *path;                /* of the model file */
    _Atomic int state;         /* enum gal_model_state; READY is published with release order */
    struct gal_err unfound;    /* on_demand, the main thread's: why no scan found its files, */
    uint64_t unfound_until_us; /* which holds until then; monotonic, 0: it was found */
    struct gal_err error; /* FAILED: why. Filled before the load (gal_catalog_scan): it fails so */
    struct gal_package *package;          /* owned; NULL: a bare model file */
    char package_digest[GAL_DIGEST_SIZE]; /* empty: of none, or not loaded */
    const struct gal_backend_ops *ops;
    struct gal_session *session;              /* READY */
    const struct gal_backend_ops *engine_ops; /* of a package: of the model without its steps */
    struct gal_session *engine_session;       /* session's own */
    const struct gal_value *sample;    /* inputs that the model has answered; NULL: made up, see
                                          probe_try */
    const struct gal_model_info *info; /* READY; the session's */
    struct gal_sched *sched;           /* READY */
    uint64_t file_bytes;
    char sha256[65];  /* of the model file, hex */
    uint64_t load_us; /* start of load to READY, warm-up included */
    uint64_t loaded_wall_us;
    bool batch_dim; /* first dimension of all inputs that must be given and of all outputs is
                       open (a sequence of maps counts): rows may be stacked */
    const char *const *feature_names; /* metadata `feature_names` (JSON array of text) of a model
                                         with one tensor input; NULL when none, or when it is in
                                         another tool's format */
    size_t feature_count;
    const struct gal_manifest *manifest; /* of a package whose features are the session's inputs, in
                                            their order; NULL: nothing is told of the inputs */
    const struct gal_labels *labels;     /* one an output; NULL: none has any (model/labels.h) */
    const struct gal_pad *pad;           /* NULL: no axis is padded */
    struct gal_model_config config;      /* how it is served; in the arena what it points to */
    bool configured;        /* config has been filled: it stands above the options of the load */
    unsigned probe_try;     /* the made-up input that the model has answered, see model/probe.h */
    struct gal_arena arena; /* what the fields above borrow */
    void (*on_gone)(void *ctx); /* the model has been freed; NULL: nobody asks */
    void *gone_ctx;
    bool on_demand;  /* its first request loads it: IDLE before, and tried again once FAILED */
    bool overridden; /* loaded with a configuration or files of a request's own */
    unsigned index;  /* number in the process, from 0, never given twice: for metrics slots */
    _Atomic uint32_t refs;
};

/* One reference; state LOADING. */
enum gal_status gal_model_new(const char *name, const char *version, const char *path,
                              struct gal_model **out, struct gal_err *err);
/* Loads, warms up, publishes READY or FAILED; returns the same as status. One call a model, on a
 * loader's thread. */
enum gal_status gal_model_load(struct gal_model *m, const struct gal_model_options *options,
                               struct gal_err *err);
/* A package whose configuration says `verify: after`: its files against their digests, on a
 * loader's thread while it serves. One that is damaged becomes FAILED; what is under way ends well.
 */
void gal_model_verify(struct gal_model *m);
/* One inference with the first warm-up sample of the configuration, else with zeros (empty text for
 * BYTES, 1 for each open dimension; where the model did not take that, with what it took when it
 * was loaded), outputs thrown away: warm-up and deep health. Blocking. *shape_text (optional, >= 64
 * bytes) gets the first output's shape, "[1,3]". */
enum gal_status gal_model_probe(const struct gal_model *m, const struct gal_clock *clock,
                                char *shape_text, size_t size, struct gal_err *err);
struct gal_model *gal_model_ref(struct gal_model *m);
void gal_model_unref(struct gal_model *m); /* NULL is fine */
/* UNAVAILABLE, for who needs a model that is FAILED: with its reason, place and hint. */
enum gal_status gal_model_tell_failed(const struct gal_model *m, struct gal_err *err);
static inline enum gal_model_state gal_model_state(const struct gal_model *m)
{
    return (enum gal_model_state)m->state;
}
/* Requests for it are answered, the first of them perhaps after a load. */
static inline bool gal_model_takes(const struct gal_model *m)
{
    enum gal_model_state state = gal_model_state(m);
    return state == GAL_MODEL_READY || (m->on_demand && state != GAL_MODEL_FAILED);
}

#endif
