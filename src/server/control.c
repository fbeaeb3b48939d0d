/* SPDX-License-Identifier: Apache-2.0 */
/* Models loaded and unloaded by request. All of it happens on the main thread, one after the other
 * in the order of arrival, and never beside a reload:
 *
 *     submit -> waiting -> unload: a catalog without it, swapped in -> home
 *                       -> load: scan -> loader (beside the old) -> verified: swapped in -> home
 *                                                                -> failed: the old stays -> home
 *            -> draining: refused -> home
 *
 * A load of a model that is served and has not changed is done at once. SIGHUP waits for the load's
 * end, and a load for the reload's. */
#include "base/mem.h"
#include "server/model_keys.h"
#include "server/overlay.h"
#include "server/server_impl.h"

static struct gal_control_request *request_of(struct gal_task *task)
{
    return (struct gal_control_request *)((char *)task -
                                          offsetof(struct gal_control_request, task));
}

static void come_home(struct gal_task *task)
{
    struct gal_control_request *r = request_of(task);

    r->on_done(r);
}

void gal_server_answer(struct gal_control_request *r, enum gal_status st)
{
    r->status = st;
    r->task.run = come_home;
    gal_loop_post(r->home, &r->task);
}

static void refuse(struct gal_control_request *r)
{
    gal_server_answer(r, gal_fail(&r->err, GAL_UNAVAILABLE, "Service shutting down"));
}

static struct gal_control_request *take_first(struct gal_server *s)
{
    struct gal_control_request *r = s->waiting;

    if (r == NULL)
        return NULL;
    s->waiting = r->next;
    if (s->waiting == NULL)
        s->waiting_end = &s->waiting;
    return r;
}

static void note(struct gal_server *s, struct gal_str name, struct gal_str version,
                 enum gal_index_state state, const char *reason)
{
    if (gal_repository_note(s->repository, name, version, state, gal_str_of(reason)) != GAL_OK)
        gal_log_msg(s->log, GAL_LOG_WARN, "index_full", "the index leaves out '%.*s'",
                    GAL_STR_ARG(name));
}

/* --- what is coming --- */

enum gal_status gal_server_add_coming(struct gal_server *s, struct gal_model *m,
                                      struct gal_err *err)
{
    struct gal_model **grown =
        gal_realloc(s->coming, (s->coming_count + 1) * sizeof(struct gal_model *));

    if (grown == NULL) {
        gal_model_unref(m);
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the list of models");
    }
    s->coming = grown;
    s->coming[s->coming_count++] = m;
    return GAL_OK;
}

/* All that is served, but for the versions of one name. */
static enum gal_status keep_others(struct gal_server *s, struct gal_str name, struct gal_err *err)
{
    enum gal_status st = GAL_OK;

    for (size_t i = 0; i < s->catalog->count; i++) {
        const struct gal_catalog_entry *e = &s->catalog->entries[i];

        for (size_t v = 0; v < e->version_count && st == GAL_OK; v++)
            if (!gal_str_eq(e->name, name))
                st = gal_server_add_coming(s, gal_model_ref(e->versions[v]), err);
    }
    return st;
}

/* Of what a scan has found: those of the name, into what is coming. Others are noted. */
static enum gal_status pick(struct gal_server *s, const struct gal_control_request *r,
                            struct gal_model **found, size_t count, struct gal_err *err)
{
    bool is_own = r->config.p != NULL;
    enum gal_status st = GAL_OK;

    for (size_t i = 0; i < count; i++) {
        struct gal_str name = gal_str_of(found[i]->name);

        if (gal_str_eq(name, r->model) && st == GAL_OK) {
            found[i]->overridden = is_own;
            found[i]->state = GAL_MODEL_LOADING; /* who asks for it does not mean later */
            if (!is_own)
                gal_server_keep_unchanged(s, &found[i]);
            st = gal_server_add_coming(s, found[i], err);
            continue;
        }
        if (gal_catalog_find(s->catalog, name) == NULL &&
            !gal_repository_knows(s->repository, name))
            note(s, name, (struct gal_str){NULL, 0}, GAL_INDEX_UNKNOWN, NULL);
        gal_model_unref(found[i]);
    }
    gal_free(found);
    return st;
}

/* --- load --- */

#define CONFIG_SOURCE "parameters.config"

static enum gal_status scan_files(struct gal_server *s, const struct gal_control_request *r,
                                  const char *name, struct gal_err *err)
{
    struct gal_scan_path path = {.name = name};
    struct gal_scan_options o = {.paths = &path,
                                 .path_count = 1,
                                 .base = &s->settings->model_base,
                                 .override_name = name,
                                 .override_json = r->config,
                                 .override_source = CONFIG_SOURCE};
    struct gal_overlay *overlay;
    struct gal_model **found = NULL;
    size_t count = 0;
    enum gal_status st = gal_overlay_new(name, r->files, r->file_count, &overlay, err);

    if (st != GAL_OK)
        return st;
    path.path = gal_overlay_path(overlay);
    st = gal_catalog_scan(&o, &found, &count, err);
    for (size_t i = 0; i < count; i++) {
        found[i]->on_gone = gal_overlay_unref;
        found[i]->gone_ctx = gal_overlay_ref(overlay);
    }
    if (st == GAL_OK)
        st = pick(s, r, found, count, err);
    gal_overlay_unref(overlay);
    return st;
}

static enum gal_status scan_repository(struct gal_server *s, const struct gal_control_request *r,
                                       const char *name, struct gal_err *err)
{
    const struct gal_scan_options how = {.may_be_empty = true,
                                         .override_name = name,
                                         .override_json = r->config,
                                         .override_source = CONFIG_SOURCE};
    struct gal_model **found;
    size_t count;
    enum gal_status st =
        gal_model_keys_scan(s->settings->config, s->settings->name, &s->settings->model_base, &how,
                            s->settings->sources, NULL, &found, &count, err);

    return st == GAL_OK ? pick(s, r, found, count, err) : st;
}

static enum gal_status gather(struct gal_server *s, const struct gal_control_request *r,
                              const char *name, struct gal_err *err)
{
    enum gal_status st =
        r->file_count > 0 ? scan_files(s, r, name, err) : scan_repository(s, r, name, err);

    if (st == GAL_OK && s->coming_count == 0) {
        gal_fail(err, GAL_NOT_FOUND, "failed to load '%.100s': there is no such model", name);
        gal_err_hint(err, "POST /v2/repository/index lists those that are known");
        st = GAL_NOT_FOUND;
    }
    /* A configuration that came with the request is the client's to put right. */
    for (size_t i = 0; i < s->coming_count && st == GAL_OK && r->config.p != NULL; i++) {
        if (s->coming[i]->error.code == GAL_OK)
            continue;
        *err = s->coming[i]->error;
        st = err->code;
    }
    return st == GAL_OK ? keep_others(s, r->model, err) : st;
}

/* Why the load is not to be served; OK when it is. */
static enum gal_status judge(struct gal_server *s, const struct gal_control_request *r,
                             struct gal_err *err)
{
    for (size_t i = 0; i < s->coming_count; i++) {
        const struct gal_model *m = s->coming[i];

        if (!gal_str_is(r->model, m->name) || gal_model_state(m) == GAL_MODEL_READY)
            continue;
        gal_fail(err, GAL_INTERNAL, "failed to load '%.100s' version %.40s: %s", m->name,
                 m->version, m->error.message);
        gal_err_place(err, "%s", m->error.place);
        gal_err_hint(err, "%s", m->error.hint);
        return GAL_INTERNAL;
    }
    return GAL_OK;
}

/* The gauges of what has not come to be served show what is. */
static void show_old(struct gal_server *s, const struct gal_control_request *r)
{
    for (size_t i = 0; i < s->coming_count; i++) {
        const struct gal_model *m = s->coming[i];
        struct gal_model *old;
        bool gone = gal_catalog_model(s->catalog, gal_str_of(m->name), gal_str_of(m->version), &old,
                                      NULL) != GAL_OK;

        if (gal_str_is(r->model, m->name))
            gal_loader_show(s->metrics, gone ? m : old, gone);
    }
}

static void end_load(struct gal_server *s, struct gal_control_request *r, enum gal_status st)
{
    bool is_served;

    if (st != GAL_OK)
        show_old(s, r);
    gal_server_drop_coming(s);
    is_served = gal_catalog_find(s->catalog, r->model) != NULL;
    if (is_served)
        gal_repository_forget(s->repository, r->model);
    else if (st != GAL_NOT_FOUND)
        note(s, r->model, (struct gal_str){NULL, 0}, GAL_INDEX_UNAVAILABLE, r->err.message);
    if (st != GAL_OK)
        gal_log_msg(s->log, GAL_LOG_WARN, "load_refused", "%s%s", r->err.message,
                    is_served ? "; what was served before serves on" : "");
    gal_server_answer(r, st);
}

static void on_loaded(struct gal_loader *l, void *ctx)
{
    struct gal_server *s = ctx;
    struct gal_control_request *r = s->asked;
    struct gal_catalog *fresh;
    enum gal_status st;

    gal_loader_free(l);
    s->loader = NULL;
    s->asked = NULL;
    if (s->state >= GAL_SERVER_DRAINING) {
        gal_server_drop_coming(s);
        refuse(r);
        return;
    }
    st = judge(s, r, &r->err);
    if (st == GAL_OK)
        st = gal_server_make_catalog(s, s->coming, s->coming_count, &fresh, &r->err);
    if (st == GAL_OK)
        gal_server_publish(s, fresh);
    end_load(s, r, st);
    gal_server_load_ended(s);
}

static void load(struct gal_server *s, struct gal_control_request *r)
{
    char name[GAL_NAME_BYTES_MAX + 1];
    enum gal_status st;

    memcpy(name, r->model.p, r->model.n);
    name[r->model.n] = '\0';
    st = gather(s, r, name, &r->err);
    if (st == GAL_OK && gal_catalog_find(s->catalog, r->model) == NULL)
        note(s, r->model, (struct gal_str){NULL, 0}, GAL_INDEX_LOADING, NULL);
    s->asked = r;
    if (st == GAL_OK)
        st = gal_server_load_coming(s, on_loaded, &r->err);
    if (st == GAL_OK)
        return;
    s->asked = NULL;
    end_load(s, r, st);
}

/* --- unload --- */

static void unload(struct gal_server *s, struct gal_control_request *r)
{
    const struct gal_catalog_entry *e = gal_catalog_find(s->catalog, r->model);
    struct gal_catalog *fresh;
    enum gal_status st = GAL_OK;

    if (e == NULL) {
        if (!gal_repository_knows(s->repository, r->model))
            st = gal_fail(&r->err, GAL_NOT_FOUND, "failed to unload '%.*s': there is no such model",
                          GAL_STR_ARG(r->model));
        gal_server_answer(r, st);
        return;
    }
    st = keep_others(s, r->model, &r->err);
    if (st == GAL_OK)
        st = gal_server_make_catalog(s, s->coming, s->coming_count, &fresh, &r->err);
    if (st == GAL_OK) {
        note(s, r->model, gal_str_of(e->versions[0]->version), GAL_INDEX_UNAVAILABLE, "unloaded");
        gal_server_publish(s, fresh);
        gal_log_msg(s->log, GAL_LOG_INFO, "model_unloaded", "'%.*s' is served no more",
                    GAL_STR_ARG(r->model));
    }
    gal_server_drop_coming(s);
    gal_server_answer(r, st);
}

/* --- the queue --- */

void gal_server_control_next(struct gal_server *s)
{
    while (s->loader == NULL && s->sourcing == NULL && s->waiting != NULL &&
           s->state < GAL_SERVER_DRAINING) {
        struct gal_control_request *r = take_first(s);

        if (r->action == GAL_CONTROL_DEMAND)
            gal_server_demand(s, r);
        else if (r->action == GAL_CONTROL_LOAD)
            load(s, r);
        else
            unload(s, r);
    }
}

static void arrive(struct gal_task *task)
{
    struct gal_control_request *r = request_of(task);
    struct gal_server *s = r->ctx;

    if (s->state >= GAL_SERVER_DRAINING) {
        refuse(r);
        return;
    }
    r->next = NULL;
    *s->waiting_end = r;
    s->waiting_end = &r->next;
    gal_server_control_next(s);
}

static void submit(void *ctx, struct gal_control_request *r)
{
    struct gal_server *s = ctx;

    r->ctx = s;
    r->task.run = arrive;
    gal_loop_post(s->loop, &r->task);
}

void gal_server_control_stop(struct gal_server *s)
{
    struct gal_control_request *r;

    while ((r = take_first(s)) != NULL)
        refuse(r);
}

/* --- the configuration's models --- */

static bool names(struct gal_str list, const char *name)
{
    struct gal_str item;

    while (list.n > 0 && gal_str_cut(&list, ',', &item))
        if (gal_str_is(gal_str_trim(item), name))
            return true;
    return false;
}

static enum gal_status check_list(struct gal_server *s, struct gal_str list, struct gal_err *err)
{
    struct gal_str item;

    while (list.n > 0 && gal_str_cut(&list, ',', &item)) {
        bool there = false;

        item = gal_str_trim(item);
        for (size_t i = 0; i < s->coming_count && !there; i++)
            there = gal_str_is(item, s->coming[i]->name);
        if (!there) {
            gal_fail(err, GAL_NOT_FOUND, "there is no model '%.*s'", GAL_STR_ARG(item));
            gal_err_place(err, "load_models");
            return GAL_NOT_FOUND;
        }
    }
    return GAL_OK;
}

static bool stays(const struct gal_server *s, const struct gal_model *m, struct gal_str wanted)
{
    const struct gal_catalog_entry *e;

    if (s->catalog == NULL) /* the start */
        return gal_str_is(wanted, "all") || (!gal_str_is(wanted, "none") && names(wanted, m->name));
    e = gal_catalog_find(s->catalog, gal_str_of(m->name));
    return e != NULL && !e->versions[0]->overridden;
}

static enum gal_status keep_overridden(struct gal_server *s, struct gal_err *err)
{
    enum gal_status st = GAL_OK;

    for (size_t i = 0; s->catalog != NULL && i < s->catalog->count; i++) {
        const struct gal_catalog_entry *e = &s->catalog->entries[i];

        for (size_t v = 0; v < e->version_count && st == GAL_OK; v++)
            if (e->versions[v]->overridden)
                st = gal_server_add_coming(s, gal_model_ref(e->versions[v]), err);
    }
    return st;
}

enum gal_status gal_server_control_filter(struct gal_server *s, struct gal_err *err)
{
    struct gal_str wanted = gal_str_of(s->settings->config->values[GAL_KEY_LOAD_MODELS].text);
    bool is_list = !gal_str_is(wanted, "all") && !gal_str_is(wanted, "none");
    enum gal_status st = GAL_OK;
    size_t kept = 0;

    if (s->catalog == NULL && is_list)
        st = check_list(s, wanted, err);
    for (size_t i = 0; i < s->coming_count; i++) {
        struct gal_model *m = s->coming[i];
        struct gal_str name = gal_str_of(m->name);

        if (stays(s, m, wanted)) {
            s->coming[kept++] = m;
            continue;
        }
        if ((s->catalog == NULL || gal_catalog_find(s->catalog, name) == NULL) &&
            !gal_repository_knows(s->repository, name))
            note(s, name, (struct gal_str){NULL, 0}, GAL_INDEX_UNKNOWN, NULL);
        gal_model_unref(m);
    }
    s->coming_count = kept;
    return st == GAL_OK ? keep_overridden(s, err) : st;
}

void gal_server_control_init(struct gal_server *s)
{
    s->waiting_end = &s->waiting;
    s->control = (struct gal_control_ops){submit, s};
}

enum gal_status gal_server_control_new(struct gal_server *s, struct gal_err *err)
{
    s->repository = gal_repository_new();
    return s->repository != NULL ? GAL_OK
                                 : gal_fail(err, GAL_NO_MEMORY, "no memory for model control");
}
