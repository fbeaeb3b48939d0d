/* SPDX-License-Identifier: Apache-2.0 */
/* Loads at start and on SIGHUP. A reload reads the configuration again, scans the paths again,
 * keeps what has not changed (by the digests of the file and the configuration), loads the rest
 * beside it and swaps the catalog when the load has ended; a version that fails to load leaves its
 * older self serving. */
#include "base/digest.h"
#include "base/mem.h"
#include "server/model_keys.h"
#include "server/server_impl.h"

#include <inttypes.h>

struct message {
    struct gal_task task;
    struct gal_front *front;
    struct gal_catalog *catalog; /* owned reference or NULL */
    const struct gal_settings *settings;
    void (*apply)(struct gal_front *f, struct gal_catalog *catalog,
                  const struct gal_settings *settings);
};

static void deliver(struct gal_task *task)
{
    struct message *m = (struct message *)task; /* its first member */

    m->apply(m->front, m->catalog, m->settings);
    gal_catalog_unref(m->catalog);
    gal_free(m);
}

size_t gal_server_tell_fronts(struct gal_server *s,
                              void (*apply)(struct gal_front *f, struct gal_catalog *catalog,
                                            const struct gal_settings *settings))
{
    size_t told = 0;

    for (size_t i = 0; i < s->front_count; i++) {
        struct message *m = gal_alloc(sizeof(*m));
        if (m == NULL) {
            gal_log_msg(s->log, GAL_LOG_ERROR, "out_of_memory", "a change did not reach a loop");
            continue;
        }
        *m = (struct message){
            {deliver, NULL}, s->fronts[i], gal_catalog_ref(s->catalog), s->settings, apply};
        gal_loop_post(s->fronts[i]->loop, &m->task);
        told++;
    }
    return told;
}

static void apply_all(struct gal_front *f, struct gal_catalog *catalog,
                      const struct gal_settings *settings)
{
    struct gal_catalog *old = f->api.catalog;

    f->api.catalog = gal_catalog_ref(catalog);
    f->api.options = &settings->api;
    f->options = &settings->front;
    gal_catalog_unref(old);
}

/* Gauges tell of what the fresh catalog serves, an old version that was kept among it. */
static void show_gauges(struct gal_server *s, const struct gal_catalog *c,
                        const struct gal_catalog *fresh)
{
    for (size_t i = 0; i < c->count; i++) {
        for (size_t v = 0; v < c->entries[i].version_count; v++) {
            struct gal_model *m = c->entries[i].versions[v], *now;
            bool gone = gal_catalog_model(fresh, gal_str_of(m->name), gal_str_of(m->version), &now,
                                          NULL) != GAL_OK;
            gal_loader_show(s->metrics, gone ? m : now, gone);
        }
    }
}

enum gal_status gal_server_make_catalog(struct gal_server *s, struct gal_model *const *models,
                                        size_t count, struct gal_catalog **out, struct gal_err *err)
{
    enum gal_status st = gal_catalog_new(models, count, out, err);

    if (st == GAL_OK)
        (*out)->may_be_empty = s->settings->explicit_control;
    return st;
}

void gal_server_publish(struct gal_server *s, struct gal_catalog *fresh)
{
    show_gauges(s, s->catalog, fresh);
    show_gauges(s, fresh, fresh);
    gal_caching_forget(s->caching, s->catalog, fresh);
    gal_retired_add(&s->retired, s->catalog, fresh);
    gal_catalog_unref(s->catalog);
    s->catalog = fresh;
    gal_sampler_take(s->sampler, fresh, gal_loop_now_us(s->loop));
    s->process.catalog_age++;
    s->process.memory.max = s->settings->request_memory_max;
    (void)gal_server_tell_fronts(s, apply_all);
}

void gal_server_drop_coming(struct gal_server *s)
{
    for (size_t i = 0; i < s->coming_count; i++)
        gal_model_unref(s->coming[i]);
    gal_free(s->coming);
    s->coming = NULL;
    s->coming_count = 0;
}

void gal_server_log_err(struct gal_server *s, const char *event, const struct gal_err *err)
{
    struct gal_log_field f[3] = {{"error", gal_str_of(err->message), false}};
    size_t n = 1;

    if (err->place[0] != '\0')
        f[n++] = (struct gal_log_field){"place", gal_str_of(err->place), false};
    if (err->hint[0] != '\0')
        f[n++] = (struct gal_log_field){"hint", gal_str_of(err->hint), false};
    gal_log_write(s->log, GAL_LOG_ERROR, event, f, n);
}

/* Where the same name and version serves already, a failed newcomer gives way to it. */
static void keep_old_for_failed(struct gal_server *s)
{
    s->kept_old = false;
    for (size_t i = 0; i < s->coming_count; i++) {
        struct gal_model *m = s->coming[i], *old;

        if (gal_model_state(m) == GAL_MODEL_READY ||
            gal_catalog_model(s->catalog, gal_str_of(m->name), gal_str_of(m->version), &old,
                              NULL) != GAL_OK ||
            gal_model_state(old) != GAL_MODEL_READY)
            continue;
        gal_log_msg(
            s->log, GAL_LOG_WARN, "old_version_kept",
            "%s version %s: the changed file does not load; the one loaded before serves on",
            m->name, m->version);
        s->coming[i] = gal_model_ref(old);
        gal_model_unref(m);
        s->kept_old = true;
    }
}

static size_t count_idle(const struct gal_catalog *c)
{
    size_t count = 0;

    for (size_t i = 0; i < c->count; i++)
        count += gal_model_state(c->entries[i].versions[0]) == GAL_MODEL_IDLE;
    return count;
}

static void log_loaded(struct gal_server *s)
{
    size_t idle = count_idle(s->catalog), loaded = s->catalog->count - idle;
    struct gal_err reason;
    char more[64] = "";
    uint64_t us = gal_loop_now_us(s->loop) - s->load_began_us;

    if (idle > 0)
        snprintf(more, sizeof(more), "; %zu to be loaded by the first request", idle);
    if (gal_catalog_ready(s->catalog, &reason))
        gal_log_msg(s->log, GAL_LOG_INFO, "ready", "%zu %s ready after %.1f ms%s", loaded,
                    loaded == 1 ? "model" : "models", (double)us / 1000.0, more);
    else
        gal_server_log_err(s, "not_ready", &reason);
}

static void on_load_end(struct gal_loader *l, void *ctx)
{
    struct gal_server *s = ctx;
    struct gal_catalog *fresh;
    struct gal_err err;

    gal_loader_free(l);
    s->loader = NULL;
    if (s->state >= GAL_SERVER_DRAINING) {
        gal_server_drop_coming(s);
        return;
    }
    if (s->process.loaded)
        keep_old_for_failed(s);
    if (gal_server_make_catalog(s, s->coming, s->coming_count, &fresh, &err) == GAL_OK)
        gal_server_publish(s, fresh);
    else
        gal_server_log_err(s, "reload_failed", &err);
    gal_server_drop_coming(s);
    s->process.loaded = true;
    if (s->state == GAL_SERVER_STARTING)
        gal_server_set_state(s, GAL_SERVER_SERVING);
    gal_server_let_go(s);
    gal_server_arm_poll(s);
    log_loaded(s);
    gal_server_load_ended(s);
}

void gal_server_load_ended(struct gal_server *s)
{
    if (s->reload_again) {
        s->reload_again = false;
        gal_server_signal_reload(0, s);
    }
    gal_server_control_next(s);
}

static enum gal_status scan(struct gal_server *s, struct gal_err *err)
{
    const struct gal_scan_options how = {.may_be_empty = s->settings->explicit_control};
    enum gal_status st =
        gal_model_keys_scan(s->settings->config, s->settings->name, &s->settings->model_base, &how,
                            s->settings->sources, NULL, &s->coming, &s->coming_count, err);

    gal_server_defer(s->coming, s->coming_count);
    return st == GAL_OK && s->settings->explicit_control ? gal_server_control_filter(s, err) : st;
}

enum gal_status gal_server_load_coming(struct gal_server *s,
                                       void (*on_end)(struct gal_loader *l, void *ctx),
                                       struct gal_err *err)
{
    struct gal_loader_options o = {.model = s->settings->model,
                                   .threads = s->settings->threads,
                                   .metrics = s->metrics,
                                   .shard = s->shard,
                                   .log = s->log,
                                   .home = s->loop,
                                   .on_end = on_end,
                                   .ctx = s};

    return gal_loader_start(&o, s->coming, s->coming_count, &s->loader, err);
}

enum gal_status gal_server_first_load(struct gal_server *s, struct gal_err *err)
{
    bool comes = gal_sources_needed(s->settings->config);
    enum gal_status st = comes ? GAL_OK : scan(s, err);

    if (st == GAL_OK)
        st = gal_server_make_catalog(s, s->coming, s->coming_count, &s->catalog, err);
    if (st == GAL_OK)
        s->catalog->coming = comes;
    return st;
}

/* What both were made from, a model file or a package. */
static bool same_content(struct gal_model *fresh, const struct gal_model *old)
{
    char hex[GAL_SHA256_HEX_SIZE];

    if ((fresh->package == NULL) != (old->package == NULL))
        return false;
    if (fresh->package == NULL)
        return gal_sha256_file(fresh->path, hex, NULL) == GAL_OK && strcmp(hex, old->sha256) == 0;
    if (!fresh->package->is_sealed && gal_package_digest(fresh->package, NULL) != GAL_OK)
        return false;
    return strcmp(fresh->package->digest, old->package_digest) == 0;
}

void gal_server_keep_unchanged(struct gal_server *s, struct gal_model **at)
{
    struct gal_model *m = *at, *old;

    if (gal_catalog_model(s->catalog, gal_str_of(m->name), gal_str_of(m->version), &old, NULL) !=
            GAL_OK ||
        old == m || gal_model_state(old) != GAL_MODEL_READY || strcmp(old->path, m->path) != 0 ||
        strcmp(old->config.digest, m->config.digest) != 0 || !same_content(m, old))
        return;
    *at = gal_model_ref(old);
    gal_model_unref(m);
}

static void report_fixed(struct gal_server *s, const struct gal_config *old,
                         const struct gal_config *fresh)
{
    for (size_t i = 0; i < GAL_KEY_COUNT; i++) {
        const struct gal_config_row *row = &gal_config_rows[i];
        if (row->scope == GAL_SCOPE_START &&
            strcmp(old->values[i].text, fresh->values[i].text) != 0)
            gal_log_msg(s->log, GAL_LOG_WARN, "restart_needed",
                        "%s changed from %s to %s; it takes effect after a restart", row->name,
                        gal_config_shown(row, old->values[i].text),
                        gal_config_shown(row, fresh->values[i].text));
    }
}

static enum gal_status reread(struct gal_server *s, struct gal_err *err)
{
    struct gal_config *c = gal_calloc(1, sizeof(*c));
    struct gal_settings *fresh = NULL;
    enum gal_status st;

    if (c == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a configuration");
    gal_config_init(c);
    st = s->reread(c, s->reread_ctx, err);
    if (st == GAL_OK)
        st = gal_settings_new(c, &fresh, err);
    if (st != GAL_OK) {
        gal_config_release(c);
        gal_free(c);
        return st;
    }
    report_fixed(s, s->settings->config, c);
    fresh->own_config = c;
    fresh->older = s->settings;
    fresh->model = s->settings->model;                       /* the engine stays as it is */
    fresh->explicit_control = s->settings->explicit_control; /* and who may load models */
    s->settings = fresh;
    return GAL_OK;
}

static void use_log_level(struct gal_server *s)
{
    if (s->log != NULL)
        s->log->level = (int)s->settings->config->values[GAL_KEY_LOG_LEVEL].number;
}

void gal_server_forget_newest(struct gal_server *s, struct gal_settings *before)
{
    struct gal_settings *newest = s->settings;

    if (newest == before)
        return;
    s->settings = before;
    newest->older = NULL;
    gal_settings_free(newest);
}

/* What could not stand in one catalog is told before it is loaded. */
static enum gal_status check_names(const struct gal_server *s, struct gal_err *err)
{
    struct gal_catalog *trial = NULL;
    enum gal_status st = gal_catalog_new(s->coming, s->coming_count, &trial, err);

    gal_catalog_unref(trial);
    return st;
}

enum gal_status gal_server_load_changed(struct gal_server *s, struct gal_err *err)
{
    enum gal_status st = scan(s, err);

    if (st == GAL_OK)
        st = check_names(s, err);
    for (size_t i = 0; st == GAL_OK && i < s->coming_count; i++)
        gal_server_keep_unchanged(s, &s->coming[i]);
    for (size_t i = 0; st == GAL_OK && i < s->coming_count; i++)
        gal_server_keep_warm(s, s->coming[i]);
    return st == GAL_OK ? gal_server_load_coming(s, on_load_end, err) : st;
}

void gal_server_reloaded(struct gal_server *s)
{
    use_log_level(s);
    gal_certificates_reload(s);
}

enum gal_status gal_server_start_load(struct gal_server *s, struct gal_err *err)
{
    s->before = s->settings;
    if (gal_sources_needed(s->settings->config))
        return gal_server_fetch(s, err);
    return gal_server_load_coming(s, on_load_end, err);
}

void gal_server_signal_reload(int signum, void *ctx)
{
    struct gal_server *s = ctx;
    struct gal_settings *before = s->settings;
    struct gal_err err;
    enum gal_status st;

    (void)signum;
    if (s->state >= GAL_SERVER_DRAINING)
        return;
    if (s->loader != NULL || s->sourcing != NULL) {
        s->reload_again = true;
        return;
    }
    s->load_began_us = gal_loop_now_us(s->loop);
    gal_log_msg(s->log, GAL_LOG_INFO, "reload", "reading the configuration again");
    st = s->reread != NULL ? reread(s, &err) : GAL_OK;
    s->before = before;
    if (st == GAL_OK && gal_sources_needed(s->settings->config)) {
        st = gal_server_fetch(s, &err);
    } else if (st == GAL_OK) {
        st = gal_server_load_changed(s, &err);
        if (st == GAL_OK)
            gal_server_reloaded(s);
    }
    if (st == GAL_OK)
        return;
    gal_server_log_err(s, "reload_failed", &err);
    gal_server_drop_coming(s);
    gal_server_forget_newest(s, before);
}
