/* SPDX-License-Identifier: Apache-2.0 */
#include "server/sources.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/thread.h"
#include "model/catalog.h"
#include "package/package.h"

#include <inttypes.h>
#include <stdio.h>

#define TELL_US 5000000u /* a line of progress so often */

struct gal_sourcing {
    struct gal_task task; /* on_end */
    struct gal_sourcing_options options;
    struct gal_sources *sources;
    const char *source; /* under way, as the configuration names it */
    char shown[512];    /* where that is kept, of a URL with secrets in it */
    uint64_t told_us;
    bool changed;
    enum gal_status status;
    struct gal_err err;
    pthread_t thread;
};

/* --- a configuration's sources --- */

void gal_sources_free(struct gal_sources *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++) {
        gal_source_close(s->open[i]);
        gal_free(s->places[i]);
    }
    gal_free(s->open);
    gal_free(s->places);
    gal_free(s);
}

static struct gal_sources *sources_new(size_t count)
{
    struct gal_sources *s = gal_calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->open = gal_calloc(count + 1, sizeof(struct gal_source *));
    s->places = gal_calloc(count + 1, sizeof(char *));
    s->count = s->open && s->places ? count : 0;
    if (s->open && s->places)
        return s;
    gal_sources_free(s);
    return NULL;
}

/* file:// too is opened: it may be misspelt. */
static bool is_remote(const char *path)
{
    return gal_source_kind(gal_str_of(path)) != GAL_SOURCE_PATH || strstr(path, "://") != NULL;
}

bool gal_sources_needed(const struct gal_config *c)
{
    for (size_t i = 0; i < c->path_count; i++) {
        if (is_remote(c->paths[i].path))
            return true;
    }
    return false;
}

const char *gal_sources_place(const struct gal_sources *s, const struct gal_config *c, size_t path)
{
    return s && path < s->count && s->places[path] ? s->places[path] : c->paths[path].path;
}

enum gal_status gal_sources_scan_place(const char *path, char **out, struct gal_err *err)
{
    struct gal_file_info info = {.kind = GAL_FILE_NONE};
    char *file = gal_path_join(path, "model.onnx");
    *out = gal_strdup(path);
    if (file && !gal_package_is(path) && gal_version_valid(gal_str_of(gal_path_base(path))) &&
        gal_file_stat(file, &info, NULL) == GAL_OK && info.kind == GAL_FILE_REGULAR) {
        gal_free(*out);
        *out = file;
        return GAL_OK;
    }
    bool failed = !file || !*out;
    gal_free(file);
    return failed ? gal_fail(err, GAL_NO_MEMORY, "no memory for a source") : GAL_OK;
}

void gal_sources_options(const struct gal_config *c, const atomic_bool *stop,
                         struct gal_source_options *out)
{
    const char *dir = c->values[GAL_KEY_CACHE_DIR].text;
    *out = (struct gal_source_options){.cache_dir = dir[0] ? dir : NULL,
                                       .cache_bytes_max = c->values[GAL_KEY_CACHE_SIZE].number,
                                       .env = c->env};
    out->registry.env = c->env;
    out->registry.fetch.stop = stop;
}

/* --- the thread --- */

static void log_line(const struct gal_sourcing *g, const char *event, uint64_t done, uint64_t total)
{
    char of[2][GAL_U64_CHARS_MAX + 1];
    struct gal_log_field f[3] = {{"source", gal_str_of(g->source), false},
                                 {"bytes", {of[0], 0}, true},
                                 {"of", {of[1], 0}, true}};
    f[1].value.n = (size_t)(gal_u64_write(of[0], done) - of[0]);
    f[2].value.n = (size_t)(gal_u64_write(of[1], total) - of[1]);
    gal_log_write(g->options.log, GAL_LOG_INFO, event, f, total ? 3 : 2);
}

static void on_progress(const char *what, uint64_t done, uint64_t total, void *ctx)
{
    struct gal_sourcing *g = ctx;
    uint64_t now_us = gal_mono_us(&gal_clock_system);
    (void)what;
    if (now_us - g->told_us < TELL_US)
        return;
    g->told_us = now_us;
    log_line(g, "fetching", done, total);
}

static enum gal_status fetch_one(struct gal_sourcing *g, const struct gal_source_options *o,
                                 size_t i, struct gal_err *err)
{
    const struct gal_config_path *p = &g->options.config->paths[i];
    struct gal_source **at = &g->sources->open[i];
    uint64_t begin_us = g->told_us = gal_mono_us(&gal_clock_system);
    if (!is_remote(p->path))
        return GAL_OK;
    g->source = gal_source_shown(p->path, g->shown, sizeof g->shown);
    enum gal_status status = gal_source_open(gal_str_of(p->path), o, at, err);
    if (!status)
        status = gal_sources_scan_place(gal_source_path(*at), &g->sources->places[i], err);
    if (status && !err->place[0])
        gal_err_place(err, "%s", p->where ? p->where : g->source);
    if (status)
        return status;
    gal_log_msg(g->options.log, GAL_LOG_INFO, "source_ready", "%s is in place after %.1f ms: %s",
                gal_source_origin(*at),
                (double)(gal_mono_us(&gal_clock_system) - begin_us) / 1000.0,
                g->sources->places[i]);
    return GAL_OK;
}

static void fetch_all(struct gal_sourcing *g)
{
    struct gal_source_options o;
    gal_sources_options(g->options.config, g->options.stop, &o);
    o.on_progress = on_progress;
    o.ctx = g;
    for (size_t i = 0; i < g->sources->count && !g->status; i++)
        g->status = fetch_one(g, &o, i, &g->err);
}

static void poll_all(struct gal_sourcing *g)
{
    struct gal_sources *s = g->options.poll;
    for (size_t i = 0; i < s->count && !g->status && !g->changed; i++) {
        if (!s->open[i])
            continue;
        g->status = gal_source_changed(s->open[i], &g->changed, &g->err);
        if (g->status && !g->err.place[0])
            gal_err_place(&g->err, "%s", gal_source_origin(s->open[i]));
    }
}

static void end(struct gal_task *task)
{
    struct gal_sourcing *g = (struct gal_sourcing *)task; /* its first member */
    g->options.on_end(g, g->options.ctx);
}

static void *run(void *arg)
{
    struct gal_sourcing *g = arg;
    if (g->options.poll)
        poll_all(g);
    else
        fetch_all(g);
    gal_loop_post(g->options.home, &g->task);
    return NULL;
}

enum gal_status gal_sourcing_start(const struct gal_sourcing_options *o, struct gal_sourcing **out,
                                   struct gal_err *err)
{
    struct gal_sourcing *g = gal_calloc(1, sizeof *g);
    enum gal_status status = GAL_OK;
    if (!g)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for sources");
    g->options = *o;
    g->task.run = end;
    if (!o->poll && !(g->sources = sources_new(o->config->path_count)))
        status = gal_fail(err, GAL_NO_MEMORY, "no memory for sources");
    if (!status)
        status = gal_thread_start(&g->thread, "galley-source", run, g, err);
    if (status) {
        gal_sources_free(g->sources);
        gal_free(g);
        return status;
    }
    *out = g;
    return GAL_OK;
}

enum gal_status gal_sourcing_take(struct gal_sourcing *g, struct gal_sources **out,
                                  struct gal_err *err)
{
    *out = NULL;
    if (g->status) {
        *err = g->err;
        return g->status;
    }
    *out = g->sources;
    g->sources = NULL;
    return GAL_OK;
}

bool gal_sourcing_changed(const struct gal_sourcing *g)
{
    return g->changed;
}

void gal_sourcing_free(struct gal_sourcing *g)
{
    if (!g)
        return;
    pthread_join(g->thread, NULL);
    gal_sources_free(g->sources);
    gal_free(g);
}
