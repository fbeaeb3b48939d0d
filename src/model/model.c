/* SPDX-License-Identifier: Apache-2.0 */
#include "model/model.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/thread.h"
#include "model/features.h"
#include "model/packaged.h"
#include "model/probe.h"
#include "model/reshape.h"
#include "model/rows.h"
#include "model/warmup.h"
#include "package/session.h"

#include <stdatomic.h>

#define SAMPLE_BYTES_MAX (256ul << 20)
#define FULL_CALL_US_MAX 1000000u
#define WARMUP_RUNS_MIN 3u          /* which are always made where they are asked for */
#define WARMUP_US_MAX 250000u       /* with these behind it a model is warm */
#define MODEL_BYTES_MAX (16u << 20) /* of names and metadata, not of weights */

/* ---- life ---- */

static void model_free(struct gal_model *m)
{
    gal_sched_free(m->sched);
    if (m->session)
        m->ops->free(m->session);
    gal_package_close(m->package);
    gal_arena_release(&m->arena);
    gal_free(m->name);
    gal_free(m->version);
    gal_free(m->path);
    if (m->on_gone)
        m->on_gone(m->gone_ctx);
    gal_free(m);
}

enum gal_status gal_model_new(const char *name, const char *version, const char *path,
                              struct gal_model **out, struct gal_err *err)
{
    static _Atomic unsigned made;
    *out = NULL;
    struct gal_model *m = gal_calloc(1, sizeof *m);
    if (!m)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a model");
    gal_arena_init(&m->arena, 4096, 0, MODEL_BYTES_MAX);
    m->name = gal_strdup(name);
    m->version = gal_strdup(version);
    m->path = gal_strdup(path);
    if (!m->name || !m->version || !m->path) {
        model_free(m);
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a model");
    }
    m->refs = 1;
    m->index = atomic_fetch_add_explicit(&made, 1, memory_order_relaxed);
    *out = m;
    return GAL_OK;
}

struct gal_model *gal_model_ref(struct gal_model *m)
{
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    return m;
}

void gal_model_unref(struct gal_model *m)
{
    if (m && atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) == 1)
        model_free(m);
}

/* ---- load ---- */

static bool is_open_first(const struct gal_port *p)
{
    if (p->kind == GAL_KIND_SEQUENCE)
        return p->of_maps;
    return p->kind == GAL_KIND_TENSOR && p->shape_known && p->rank > 0 && p->shape[0] < 0;
}

static bool has_batch_dim(const struct gal_model_info *info)
{
    for (size_t i = 0; i < info->input_count; i++) {
        if (!info->inputs[i].optional && !is_open_first(&info->inputs[i]))
            return false;
    }
    for (size_t i = 0; i < info->output_count; i++) {
        if (!is_open_first(&info->outputs[i]))
            return false;
    }
    return info->input_count > 0 && info->output_count > 0;
}

/* The file's digest, beside its load: both read all of it. */
struct digesting {
    struct gal_model *model;
    pthread_t thread;
    enum gal_status status;
    struct gal_err err;
};

static void *digest(void *arg)
{
    struct digesting *d = arg;
    d->status = gal_sha256_file(d->model->path, d->model->sha256, &d->err);
    return NULL;
}

static enum gal_status load_file(struct gal_model *m, const struct gal_model_options *o,
                                 struct gal_err *err)
{
    struct digesting d = {.model = m};
    enum gal_status status = gal_thread_start(&d.thread, "galley-digest", digest, &d, err);
    if (status)
        return status;
    status = o->ops->load(m->path, &o->config.backend, &m->session, err);
    pthread_join(d.thread, NULL);
    if (!status && d.status && err)
        *err = d.err;
    return status ? status : d.status;
}

static enum gal_status open_file(struct gal_model *m, const struct gal_model_options *o,
                                 struct gal_err *err)
{
    struct gal_file_info file;
    if (m->package)
        return gal_packaged_open(m, o, err);
    enum gal_status status = gal_file_stat(m->path, &file, err);
    if (!status && file.kind == GAL_FILE_NONE)
        status = gal_fail(err, GAL_NOT_FOUND, "the file is gone");
    if (!status)
        status = load_file(m, o, err);
    m->file_bytes = file.bytes;
    return status;
}

/* Of a package with golden cases: the first one's inputs. */
static enum gal_status run_sample(const struct gal_model *m, const struct gal_probe_target *t,
                                  uint64_t *cost_us, char *shape_text, size_t size,
                                  struct gal_err *err)
{
    struct gal_arena arena;
    gal_arena_init(&arena, GAL_ARENA_FIRST_BYTES, 0, SAMPLE_BYTES_MAX);
    enum gal_status status = gal_probe_call(t, m->sample, &arena, cost_us, shape_text, size, err);
    gal_arena_release(&arena);
    return status;
}

static enum gal_status run_probe(const struct gal_model *m, const struct gal_probe_target *t,
                                 uint64_t *cost_us, char *shape_text, size_t size,
                                 struct gal_err *err)
{
    return m->sample ? run_sample(m, t, cost_us, shape_text, size, err)
                     : gal_probe_run(t, m->probe_try, cost_us, shape_text, size, err);
}

/* The first made-up input that the model takes; the first one's error when it takes none. What is
 * refused for another reason than its content is not tried otherwise. */
static enum gal_status find_input(struct gal_model *m, const struct gal_probe_target *t,
                                  uint64_t *cost_us, struct gal_err *err)
{
    if (m->sample)
        return run_sample(m, t, cost_us, NULL, 0, err);
    enum gal_status first = gal_probe_run(t, 0, cost_us, NULL, 0, err), status = first;
    for (unsigned i = 1; status == GAL_INVALID && i < GAL_PROBE_TRIES; i++) {
        status = gal_probe_run(t, i, cost_us, NULL, 0, NULL);
        m->probe_try = i;
    }
    return status ? first : GAL_OK;
}

/* What the model's own configuration says stands above the load's; from now on m->config is what
 * runs. */
static struct gal_model_options own_options(struct gal_model *m,
                                            const struct gal_model_options *options)
{
    struct gal_model_options o = *options;
    if (m->configured) {
        o.config = m->config;
        o.config.backend.library = options->config.backend.library;
        o.config.one_core = options->config.one_core;
    }
    m->config = o.config;
    return o;
}

/* The configuration's samples. The first run of all pays for what the engine puts off. */
static enum gal_status run_samples(struct gal_model *m, const struct gal_probe_target *t,
                                   struct gal_err *err)
{
    enum gal_status status = GAL_OK;
    for (size_t i = 0; !status && i < m->config.warmup_count; i++) {
        const struct gal_warmup *w = &m->config.warmup[i];
        for (unsigned k = 0; !status && k < w->count; k++) {
            uint64_t cost_us;
            status = gal_warmup_run(t, &m->config, w, &cost_us, NULL, 0, err);
            if (!status && i + k > 0)
                gal_sched_observe(m->sched, gal_warmup_rows(w), cost_us * 1000);
        }
    }
    return status;
}

/* The first run pays for what the engine puts off: it counts only when there is no other. A model
 * that takes long is warm after a few. */
static enum gal_status warm_up(struct gal_model *m, const struct gal_model_options *o,
                               struct gal_err *err)
{
    const struct gal_probe_target t = {m->ops, m->session, o->clock, 1};
    uint64_t cost_us = 0;
    if (m->config.warmup_count > 0)
        return run_samples(m, &t, err);
    if (o->config.warmup_runs == 0)
        return GAL_OK;
    enum gal_status status = find_input(m, &t, &cost_us, err);
    uint64_t spent_us = cost_us;
    if (!status && o->config.warmup_runs == 1)
        gal_sched_observe(m->sched, 1, cost_us * 1000);
    for (unsigned i = 1; !status && i < o->config.warmup_runs; i++) {
        if (i >= WARMUP_RUNS_MIN && spent_us >= WARMUP_US_MAX)
            break;
        status = run_probe(m, &t, &cost_us, NULL, 0, err);
        spent_us += cost_us;
        if (!status)
            gal_sched_observe(m->sched, 1, cost_us * 1000);
    }
    if (status)
        gal_err_hint(
            err,
            "this is a warm-up inference with made-up input; --warmup 0 serves the model untried");
    return status;
}

/* Bytes of one row of all inputs, as far as the model tells sizes: an open one counts as 1. */
static size_t row_bytes(const struct gal_model_info *info)
{
    size_t bytes = 0;
    for (size_t i = 0; i < info->input_count; i++) {
        const struct gal_port *p = &info->inputs[i];
        size_t row = gal_dtype_size(p->dtype);
        for (size_t d = 1; p->shape_known && d < p->rank; d++)
            row *= p->shape[d] > 0 ? (size_t)p->shape[d] : 1;
        bytes += row;
    }
    return bytes ? bytes : 1;
}

/* Rows of one call where the user has not said: as many as a batch's memory holds of them. */
static size_t find_rows_max(const struct gal_model *m)
{
    size_t fit = GAL_BATCH_INPUT_BYTES_MAX / row_bytes(m->info);
    if (!m->batch_dim || fit == 0)
        return 1;
    return fit < GAL_BATCH_ROWS_MAX ? fit : GAL_BATCH_ROWS_MAX;
}

static enum gal_status make_sched(struct gal_model *m, const struct gal_model_options *o,
                                  struct gal_err *err)
{
    struct gal_sched_options sched = {.ops = m->ops,
                                      .session = m->session,
                                      .clock = o->clock,
                                      .mode = o->config.mode,
                                      .workers = o->config.workers,
                                      .inline_us_max = o->config.inline_us_max,
                                      .one_core = o->config.one_core,
                                      .policy = o->config.policy};
    if (sched.workers == 0)
        sched.workers = gal_cpu_count();
    if (sched.policy.rows_max == 0)
        sched.policy.rows_max = find_rows_max(m);
    while (sched.policy.preferred_count > 0 &&
           sched.policy.preferred[sched.policy.preferred_count - 1] > sched.policy.rows_max)
        sched.policy.preferred_count--; /* of no use for rows so large */
    m->config.policy = sched.policy;
    m->config.workers = sched.workers;
    return gal_sched_new(&sched, &m->sched, err);
}

/* Do steps make rows as long as the longest of a call? What stands around them hides it. */
static bool may_pad(const struct gal_model *m)
{
    return m->ops != &gal_packed_ops || gal_packed_pads(m->session);
}

/* May requests share a call? The user may say so; else the model shows it. */
static bool may_stack(const struct gal_model *m, const struct gal_model_config *c)
{
    if (!m->batch_dim || c->policy.rows_max == 1)
        return false;
    return c->rows_told ||
           (m->engine_session /* the steps work row by row, but for those that fill rows up */
                ? gal_rows_are_apart(m->engine_ops, m->engine_session, 1) &&
                      (!may_pad(m) || gal_rows_bear_padding(m->ops, m->session))
                : gal_rows_are_apart(m->ops, m->session, gal_probe_open_size(m->probe_try)));
}

/* A goal plans from the cost curve: it begins with what the largest call costs, where that takes no
 * longer than FULL_CALL_US_MAX. A refusal says nothing: the curve is then learnt from requests. */
static void measure_full(struct gal_model *m, const struct gal_model_options *o)
{
    const struct gal_probe_target t = {m->ops, m->session, o->clock, m->config.policy.rows_max};
    uint64_t one_us = 0, cost_us;
    const struct gal_probe_target one = {m->ops, m->session, o->clock, 1};
    if (m->config.policy.target_us == 0 || m->config.warmup_runs == 0)
        return;
    if (gal_probe_run(&one, m->probe_try, &one_us, NULL, 0, NULL) ||
        one_us * m->config.policy.rows_max > FULL_CALL_US_MAX)
        return;
    for (int i = 0; i < 3; i++) { /* the first pays for memory */
        if (!gal_probe_run(&t, m->probe_try, &cost_us, NULL, 0, NULL) && i > 0)
            gal_sched_observe(m->sched, t.rows, cost_us * 1000);
    }
}

static enum gal_status make_pad(struct gal_model *m, const struct gal_model_config *c, bool stacks,
                                struct gal_err *err)
{
    struct gal_pad *pad;
    enum gal_status status =
        gal_pad_new(c->padding, c->padding_count, m->info, stacks, &m->arena, &pad, err);
    m->pad = pad;
    return status;
}

static enum gal_status load(struct gal_model *m, const struct gal_model_options *o,
                            struct gal_err *err)
{
    m->ops = o->ops;
    if (m->error.code) /* its configuration is wrong */
        return m->error.code;
    enum gal_status status = open_file(m, o, err);
    if (status)
        return status;
    status = gal_model_config_check(&m->config, m->ops->info(m->session), err);
    if (!status)
        status = gal_reshape_wrap(&m->config, &m->ops, &m->session, err);
    if (status)
        return status;
    m->info = m->ops->info(m->session);
    m->batch_dim = has_batch_dim(m->info);
    if (!m->package || m->manifest->feature_count == 0)
        status = gal_features_read(m->info, &m->arena, &m->feature_names, &m->feature_count, err);
    if (!status && !(m->package && m->manifest->after))
        status = gal_labels_read(&m->config, m->info, &m->arena, &m->labels, err);
    if (!status && m->package && !o->unproven)
        status = gal_packaged_prove(m, err);
    if (status)
        return status;
    status = make_sched(m, o, err);
    if (!status)
        status = warm_up(m, o, err);
    bool stacks = !status && may_stack(m, &o->config);
    if (stacks) {
        gal_sched_stack(m->sched);
        measure_full(m, o);
    }
    m->config.batching = stacks;
    return status ? status : make_pad(m, &o->config, stacks, err);
}

enum gal_status gal_model_load(struct gal_model *m, const struct gal_model_options *options,
                               struct gal_err *err)
{
    uint64_t start_us = gal_mono_us(options->clock);
    const struct gal_model_options own = own_options(m, options);
    enum gal_status status = load(m, &own, &m->error);
    m->load_us = gal_mono_us(options->clock) - start_us;
    m->loaded_wall_us = gal_wall_us(options->clock);
    if (!status) {
        gal_err_clear(&m->error); /* a first made-up input may have been refused */
        atomic_store_explicit(&m->state, GAL_MODEL_READY, memory_order_release);
        return GAL_OK;
    }
    if (m->error.place[0] == '\0')
        gal_err_place(&m->error, "%s", m->path);
    gal_sched_free(m->sched);
    if (m->session)
        m->ops->free(m->session);
    m->sched = NULL;
    m->session = NULL;
    m->sample = NULL;
    m->engine_session = NULL;
    m->info = NULL;
    m->pad = NULL;
    m->feature_names = NULL;
    m->feature_count = 0;
    if (err)
        *err = m->error;
    atomic_store_explicit(&m->state, GAL_MODEL_FAILED, memory_order_release);
    return status;
}

enum gal_status gal_model_probe(const struct gal_model *m, const struct gal_clock *clock,
                                char *shape_text, size_t size, struct gal_err *err)
{
    const struct gal_probe_target t = {m->ops, m->session, clock, 1};
    if (m->config.warmup_count > 0)
        return gal_warmup_run(&t, &m->config, &m->config.warmup[0], NULL, shape_text, size, err);
    return run_probe(m, &t, NULL, shape_text, size, err);
}

enum gal_status gal_model_tell_failed(const struct gal_model *m, struct gal_err *err)
{
    gal_fail(err, GAL_UNAVAILABLE, "Model not loaded: '%.100s' version %.40s failed: %s", m->name,
             m->version, m->error.message);
    gal_err_place(err, "%s", m->error.place);
    gal_err_hint(err, "%s", m->error.hint);
    return GAL_UNAVAILABLE;
}
