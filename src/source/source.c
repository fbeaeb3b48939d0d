/* SPDX-License-Identifier: Apache-2.0 */
#include "source/source.h"

#include "base/file_write.h"
#include "base/mem.h"
#include "net/loop.h"
#include "source/download.h"
#include "source/env.h"
#include "source/mlflow.h"
#include "source/shelf.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define CACHE_BYTES_MAX (10ull << 30)
#define ARENA_BYTES_MAX (256u << 20)
#define TRIES 5u /* when what is fetched changes meanwhile */

struct gal_source {
    struct gal_source_options options; /* as they were opened, for gal_source_changed */
    char *text;                        /* owned, as are the next three */
    char *path, *origin, *identity;    /* identity: NULL where nothing tells versions apart */
    struct gal_shelf_hold hold;
};

/* --- where the cache is --- */

/* In a directory that all users write to, another's would be another's models. */
static enum gal_status check_owner(const char *path, struct gal_err *err)
{
    struct stat s;
    if (lstat(path, &s) != 0 || (S_ISDIR(s.st_mode) && s.st_uid == getuid() && !(s.st_mode & 022)))
        return GAL_OK;
    gal_fail(err, GAL_FORBIDDEN, "%s is not this user's alone", path);
    gal_err_hint(err, "set cache_dir, HOME or XDG_CACHE_HOME");
    return GAL_FORBIDDEN;
}

enum gal_status gal_source_cache_dir(const struct gal_source_options *o, struct gal_arena *arena,
                                     const char **out, struct gal_err *err)
{
    const char *xdg = gal_env(o->env, "XDG_CACHE_HOME"), *home = gal_env(o->env, "HOME");
    enum gal_status status = GAL_OK;
    if (o->cache_dir && o->cache_dir[0])
        *out = gal_arena_strdup(arena, gal_str_of(o->cache_dir));
    else if (xdg)
        *out = gal_arena_printf(arena, "%s/galley", xdg);
    else if (home && access(home, W_OK) == 0)
        *out = gal_arena_printf(arena, "%s/.cache/galley", home);
    else {
        *out = gal_arena_printf(arena, "/tmp/galley-%lu", (unsigned long)getuid());
        status = *out ? check_owner(*out, err) : GAL_OK;
    }
    return status || *out ? status : gal_plan_no_memory(err);
}

/* --- kinds --- */

static enum gal_status make_plan(struct gal_source_run *r, struct gal_err *err)
{
    r->plan = (struct gal_source_plan){0};
    r->root = NULL;
    switch (r->url.kind) {
    case GAL_SOURCE_HTTP:
        return gal_plan_http(r, err);
    case GAL_SOURCE_S3:
        return gal_plan_s3(r, err);
    case GAL_SOURCE_GS:
        return gal_plan_gs(r, err);
    case GAL_SOURCE_AZURE:
        return gal_plan_azure(r, err);
    case GAL_SOURCE_MLFLOW:
        return gal_plan_mlflow(r, err);
    case GAL_SOURCE_OCI:
        return gal_plan_oci(r, err);
    case GAL_SOURCE_PATH:
        break;
    }
    gal_fail(err, GAL_INTERNAL, "a path is not fetched");
    return GAL_INTERNAL;
}

/* What lies on this machine is named, not copied. */
static enum gal_status link_local(struct gal_source_run *r, const char *to, struct gal_err *err)
{
    char *parent = gal_strndup(to, (size_t)(strrchr(to, '/') - to));
    enum gal_status status = parent ? gal_dir_make_all(parent, err) : gal_plan_no_memory(err);
    gal_free(parent);
    (void)unlink(to);
    if (!status && symlink(r->plan.local, to) != 0)
        status = gal_fail(err, GAL_IO, "cannot link %.200s: %s", to, strerror(errno));
    return status;
}

static enum gal_status fetch_mlflow(struct gal_source_run *r, const char *dir, struct gal_err *err)
{
    char *files = gal_path_join(dir, GAL_SHELF_FILES),
         *root = files ? gal_path_join(files, r->plan.root) : NULL;
    gal_free(files);
    if (!root)
        return gal_plan_no_memory(err);
    enum gal_status status = r->plan.local ? link_local(r, root, err) : gal_download(r, dir, err);
    if (!status)
        status = gal_mlmodel_settle(root, r->arena, err);
    gal_free(root);
    return status;
}

/* Makes room for it first. */
static enum gal_status fetch(struct gal_source_run *r, const char *dir, struct gal_err *err)
{
    if (r->url.kind == GAL_SOURCE_OCI)
        return gal_pull_oci(r, dir, err);
    enum gal_status status = gal_shelf_room(r->shelf, r->hold, gal_download_bytes(&r->plan),
                                            r->options->cache_bytes_max, err);
    if (status)
        return status;
    if (r->url.kind == GAL_SOURCE_MLFLOW)
        return fetch_mlflow(r, dir, err);
    return gal_download(r, dir, err);
}

/* --- opening --- */

static enum gal_status run_init(struct gal_source_run *r, const struct gal_source_options *o,
                                struct gal_arena *arena, struct gal_str text, struct gal_err *err)
{
    const struct gal_clock *clock = o->registry.fetch.clock;
    *r = (struct gal_source_run){
        .options = o, .arena = arena, .clock = clock ? clock : &gal_clock_system};
    gal_arena_init(arena, 16384, 0, ARENA_BYTES_MAX);
    enum gal_status status = gal_source_url_parse(text, &r->url, err);
    if (!status && r->url.kind != GAL_SOURCE_PATH)
        status = gal_fetcher_new(&o->registry.fetch, &r->fetcher, err);
    return status;
}

static void run_release(struct gal_source_run *r)
{
    gal_fetcher_free(r->fetcher);
    gal_arena_release(r->arena);
}

/* What has no version that could be told apart is fetched anew each time. */
static enum gal_status make_key(const struct gal_source_run *r, char key[GAL_SHA256_HEX_SIZE],
                                struct gal_err *err)
{
    struct gal_rng rng;
    char once[GAL_UUID_SIZE];
    if (r->plan.identity)
        return gal_sha256_bytes(gal_str_of(r->plan.identity), key, err);
    gal_rng_seed(&rng);
    gal_uuid4(&rng, once);
    (void)snprintf(key, GAL_SHA256_HEX_SIZE, "once-%s", once);
    return GAL_OK;
}

static enum gal_status fill(struct gal_source_run *r, const char *root, struct gal_shelf_hold *h,
                            struct gal_err *err)
{
    enum gal_status status = gal_shelf_begin(h, r->plan.origin, err);
    if (status || h->complete)
        return status;
    r->shelf = root;
    r->hold = h;
    status = fetch(r, h->part, err);
    if (status == GAL_INVALID || status == GAL_CONFLICT) /* nothing of it is to be gone on with */
        (void)gal_shelf_restart(h, NULL);
    return status ? status : gal_shelf_finish(h, r->plan.origin, err);
}

static enum gal_status take(struct gal_source_run *r, const char *root, struct gal_source *s,
                            struct gal_err *err)
{
    char key[GAL_SHA256_HEX_SIZE];
    enum gal_status status = make_plan(r, err);
    if (!status)
        status = make_key(r, key, err);
    if (!status)
        status = gal_shelf_take(root, key, &s->hold, err);
    if (!status)
        status = fill(r, root, &s->hold, err);
    if (status) {
        gal_shelf_release(&s->hold);
        return status;
    }
    char *files = gal_shelf_files(root, key);
    s->path = files ? gal_path_join(files, r->plan.root) : NULL;
    gal_free(files);
    s->origin = gal_strdup(r->plan.origin);
    s->identity = r->plan.identity ? gal_strdup(r->plan.identity) : NULL;
    if (!s->path || !s->origin || (r->plan.identity && !s->identity))
        return gal_plan_no_memory(err);
    return GAL_OK;
}

static enum gal_status open_path(const struct gal_source_run *r, struct gal_source *s,
                                 struct gal_err *err)
{
    struct gal_file_info info;
    s->path = gal_strndup(r->url.key.p, r->url.key.n);
    s->origin = gal_strndup(r->url.key.p, r->url.key.n);
    if (!s->path || !s->origin)
        return gal_plan_no_memory(err);
    enum gal_status status = gal_file_stat(s->path, &info, err);
    if (!status && info.kind == GAL_FILE_NONE)
        status = gal_fail(err, GAL_NOT_FOUND, "%.200s does not exist", s->path);
    return status;
}

static enum gal_status open_remote(struct gal_source_run *r, struct gal_source *s,
                                   struct gal_err *err)
{
    const char *root;
    enum gal_status status = gal_source_cache_dir(r->options, r->arena, &root, err);
    if (status)
        return status;
    for (unsigned i = 0; i < TRIES; i++) {
        status = take(r, root, s, err);
        if (status != GAL_CONFLICT)
            return status;
    }
    gal_err_hint(err, "it is being written; fetch it when that has ended");
    return status;
}

enum gal_status gal_source_open(struct gal_str text, const struct gal_source_options *options,
                                struct gal_source **out, struct gal_err *err)
{
    struct gal_source *s = gal_calloc(1, sizeof *s);
    struct gal_source_run r;
    struct gal_arena arena;
    *out = NULL;
    gal_err_clear(err);
    if (!s)
        return gal_plan_no_memory(err);
    s->hold = (struct gal_shelf_hold){.lock_fd = -1, .fetch_fd = -1};
    s->options = *options;
    if (s->options.cache_bytes_max == 0)
        s->options.cache_bytes_max = CACHE_BYTES_MAX;
    enum gal_status status = run_init(&r, &s->options, &arena, text, err);
    s->text = gal_strndup(text.p, text.n);
    if (!status && !s->text)
        status = gal_plan_no_memory(err);
    if (!status)
        status = r.url.kind == GAL_SOURCE_PATH ? open_path(&r, s, err) : open_remote(&r, s, err);
    run_release(&r);
    if (status) {
        gal_source_close(s);
        return status;
    }
    *out = s;
    return GAL_OK;
}

const char *gal_source_shown(const char *text, char *out, size_t size)
{
    /* Also a scheme that is written wrong: HTTPS://. */
    bool is_url = strstr(text, "://") != NULL;
    return is_url ? gal_fetch_shown(text, out, size) : text;
}

const char *gal_source_path(const struct gal_source *s)
{
    return s->path;
}

const char *gal_source_origin(const struct gal_source *s)
{
    return s->origin;
}

enum gal_status gal_source_changed(struct gal_source *s, bool *changed, struct gal_err *err)
{
    struct gal_source_run r;
    struct gal_arena arena;
    *changed = false;
    gal_err_clear(err);
    if (!s->identity)
        return GAL_OK;
    enum gal_status status = run_init(&r, &s->options, &arena, gal_str_of(s->text), err);
    if (!status)
        status = make_plan(&r, err);
    if (!status)
        *changed = !r.plan.identity || strcmp(r.plan.identity, s->identity) != 0;
    run_release(&r);
    return status;
}

void gal_source_close(struct gal_source *s)
{
    if (!s)
        return;
    gal_shelf_release(&s->hold);
    gal_free(s->text);
    gal_free(s->path);
    gal_free(s->origin);
    gal_free(s->identity);
    gal_free(s);
}
