/* SPDX-License-Identifier: Apache-2.0 */
#include "server/loader.h"

#include "base/mem.h"
#include "base/thread.h"
#include "net/loop.h"

#include <stdatomic.h>
#include <stdio.h>

struct gal_loader {
    struct gal_task task; /* on_end */
    struct gal_loader_options options;
    struct gal_model **models; /* owned references */
    bool *loaded;              /* which of them this loader has loaded, well or not; owned */
    size_t count;
    _Atomic size_t next;    /* first model that nobody has taken */
    _Atomic unsigned alive; /* threads not yet through */
    _Atomic bool stopped;
    pthread_t *threads;
    unsigned started;
};

void gal_loader_show(struct gal_metrics *metrics, const struct gal_model *m, bool gone)
{
    struct gal_str labels[2] = {gal_str_of(m->name), gal_str_of(m->version)};
    gal_series load = gal_metrics_series(metrics, GAL_METRIC_MODEL_LOAD, labels);
    gal_series ready = gal_metrics_series(metrics, GAL_METRIC_MODEL_READY, labels);

    if (gone || gal_model_state(m) == GAL_MODEL_IDLE) /* nothing was loaded */
        gal_gauge_hide(metrics, load);
    if (gone) {
        gal_gauge_hide(metrics, ready);
        return;
    }
    if (gal_model_state(m) != GAL_MODEL_IDLE)
        gal_gauge_set(metrics, load, (double)m->load_us / 1e6);
    gal_gauge_set(metrics, ready, gal_model_state(m) == GAL_MODEL_READY);
}

static void log_end(struct gal_loader *l, const struct gal_model *m, bool ready)
{
    size_t n = 4;
    char ms[32];
    struct gal_log_field f[7] = {
        {"model", gal_str_of(m->name), false},
        {"version", gal_str_of(m->version), false},
        {"path", gal_str_of(m->path), false},
        {"load_ms", {NULL, 0}, true},
        {"error", gal_str_of(m->error.message), false},
        {"place", gal_str_of(m->error.place), false},
        {"hint", gal_str_of(m->error.hint), false},
    };

    if (ready)
        f[n++] = (struct gal_log_field){"batching",
                                        gal_str_of(m->config.batching ? "true" : "false"), true};
    else
        n = m->error.hint[0] != '\0' ? 7 : 6;
    snprintf(ms, sizeof(ms), "%.3f", (double)m->load_us / 1000.0);
    f[3].value = gal_str_of(ms);
    gal_log_write(l->options.log, ready ? GAL_LOG_INFO : GAL_LOG_ERROR,
                  ready ? "model_ready" : "model_failed", f, n);
}

/* What needs a queue, of a model that has none. */
static void log_unheard(struct gal_loader *l, const struct gal_model *m)
{
    const char *names[GAL_UNHEARD_MAX];
    size_t n = gal_model_config_unheard(&m->config, names);

    for (size_t i = 0; i < n; i++) {
        const struct gal_log_field f[] = {
            {"model", gal_str_of(m->name), false},
            {"field", gal_str_of(names[i]), false},
            {"reason", GAL_STR("with schedule inline nothing waits in a queue"), false}};
        gal_log_write(l->options.log, GAL_LOG_WARN, "setting_without_effect", f, 3);
    }
}

/* Settings that change nothing, said once a model, not a version. */
static void log_notes(struct gal_loader *l, size_t i)
{
    const struct gal_model *m = l->models[i];
    char where[300];

    for (size_t k = 0; k < i; k++) {
        if (strcmp(l->models[k]->name, m->name) == 0)
            return;
    }
    log_unheard(l, m);
    for (const struct gal_config_note *n = m->config.notes; n != NULL; n = n->next) {
        struct gal_log_field f[4] = {{"model", gal_str_of(m->name), false},
                                     {"field", gal_str_of(n->field), false},
                                     {"place", {NULL, 0}, false},
                                     {"reason", gal_str_of(n->reason), false}};
        snprintf(where, sizeof(where), "%.280s:%u", m->config.source, n->line);
        f[2].value = gal_str_of(where);
        gal_log_write(l->options.log, GAL_LOG_WARN, "setting_without_effect", f, 4);
    }
}

static void count_loads(struct gal_loader *l)
{
    for (size_t i = 0; i < l->count; i++) {
        const struct gal_model *m = l->models[i];
        bool ready = gal_model_state(m) == GAL_MODEL_READY;
        struct gal_str labels[3] = {gal_str_of(m->name), gal_str_of(m->version),
                                    ready ? GAL_STR("success") : GAL_STR("error")};
        if (l->loaded[i])
            gal_shard_add(l->options.shard,
                          gal_metrics_series(l->options.metrics, GAL_METRIC_MODEL_LOADS, labels),
                          1);
    }
}

static void end(struct gal_task *task)
{
    struct gal_loader *l = (struct gal_loader *)task; /* its first member */

    count_loads(l);
    l->options.on_end(l, l->options.ctx);
}

static void *run(void *arg)
{
    struct gal_loader *l = arg;

    while (!l->stopped) {
        size_t i = l->next++;
        struct gal_err err;
        bool ready;

        if (i >= l->count)
            break;
        if (gal_model_state(l->models[i]) != GAL_MODEL_LOADING)
            continue;
        l->loaded[i] = true;
        log_notes(l, i);
        ready = gal_model_load(l->models[i], &l->options.model, &err) == GAL_OK;
        gal_loader_show(l->options.metrics, l->models[i], false);
        log_end(l, l->models[i], ready);
        if (ready) {
            gal_model_verify(l->models[i]);
            if (gal_model_state(l->models[i]) == GAL_MODEL_FAILED)
                log_end(l, l->models[i], false);
        }
    }
    if (--l->alive == 0)
        gal_loop_post(l->options.home, &l->task);
    return NULL;
}

static enum gal_status start_threads(struct gal_loader *l, struct gal_err *err)
{
    unsigned n = l->options.threads < l->count ? l->options.threads : (unsigned)l->count;

    n = n > 0 ? n : 1;
    l->threads = gal_calloc(n, sizeof(*l->threads));
    if (l->threads == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory to load models");
    l->alive = n;
    while (l->started < n) {
        enum gal_status st = gal_thread_start(&l->threads[l->started], "galley-load", run, l, err);
        if (st != GAL_OK && l->started == 0)
            return st;
        if (st != GAL_OK) { /* fewer threads do as well; those that run may have ended already */
            if (atomic_fetch_sub(&l->alive, n - l->started) == n - l->started)
                gal_loop_post(l->options.home, &l->task);
            break;
        }
        l->started++;
    }
    return GAL_OK;
}

enum gal_status gal_loader_start(const struct gal_loader_options *options,
                                 struct gal_model *const *models, size_t count,
                                 struct gal_loader **out, struct gal_err *err)
{
    struct gal_loader *l = gal_calloc(1, sizeof(*l));
    enum gal_status st;

    if (l == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory to load models");
    l->options = *options;
    l->task.run = end;
    l->models = gal_calloc(count > 0 ? count : 1, sizeof(struct gal_model *));
    l->loaded = gal_calloc(count > 0 ? count : 1, sizeof(bool));
    if (l->models == NULL || l->loaded == NULL) {
        gal_loader_free(l);
        return gal_fail(err, GAL_NO_MEMORY, "no memory to load models");
    }
    for (size_t i = 0; i < count; i++)
        l->models[i] = gal_model_ref(models[i]);
    l->count = count;
    st = start_threads(l, err);
    if (st != GAL_OK) {
        gal_loader_free(l);
        return st;
    }
    *out = l;
    return GAL_OK;
}

void gal_loader_stop(struct gal_loader *l)
{
    l->stopped = true;
}

void gal_loader_free(struct gal_loader *l)
{
    if (l == NULL)
        return;
    for (unsigned i = 0; i < l->started; i++)
        pthread_join(l->threads[i], NULL);
    for (size_t i = 0; l->models != NULL && i < l->count; i++)
        gal_model_unref(l->models[i]);
    gal_free(l->models);
    gal_free(l->loaded);
    gal_free(l->threads);
    gal_free(l);
}
