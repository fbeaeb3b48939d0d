/* SPDX-License-Identifier: Apache-2.0 */
/* Models that their first request loads (`load: lazy`). A scan leaves them IDLE; a loop that gets a
 * request for one asks here, in the queue of all loads (server/control.c):
 *
 *     IDLE | FAILED -> LOADING [gal_server_demand] ; beside it another object of the same version
 * is scanned and loaded, and takes its place in the next catalog, READY or FAILED [on_demanded]
 *
 * So an object that was shared stays as it is but for its state, which is told while it is loaded.
 * Who has asked for the same meanwhile is answered with the same: a load serves all. After a failed
 * load, or a scan that does not find it, requests of the next RETRY_US get the reason, so that a
 * model that does not load cannot keep the process busy; then a request is a next try. Main
 * thread. */
#include "base/mem.h"
#include "server/model_keys.h"
#include "server/server_impl.h"

#define RETRY_US 1000000u

void gal_server_defer(struct gal_model *const *models, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct gal_model *m = models[i];

        m->on_demand = m->config.lazy && m->error.code == GAL_OK;
        if (m->on_demand)
            m->state = GAL_MODEL_IDLE;
    }
}

void gal_server_keep_warm(const struct gal_server *s, struct gal_model *m)
{
    struct gal_model *old;

    if (gal_model_state(m) == GAL_MODEL_IDLE &&
        gal_catalog_model(s->catalog, gal_str_of(m->name), gal_str_of(m->version), &old, NULL) ==
            GAL_OK &&
        gal_model_state(old) == GAL_MODEL_READY)
        m->state = GAL_MODEL_LOADING;
}

/* --- one load --- */

static enum gal_status tell_gone(const struct gal_model *m, const char *other, struct gal_err *err)
{
    if (other == NULL)
        return gal_fail(err, GAL_UNAVAILABLE, "Model not loaded: '%s' version %s is gone from %s",
                        m->name, m->version, m->path);
    gal_fail(err, GAL_UNAVAILABLE,
             "Model not loaded: '%s' version %s is not what %s holds to be served: that is version "
             "%s",
             m->name, m->version, m->path, other);
    gal_err_hint(err, "a reload (SIGHUP, or a load of the repository extension) takes it up");
    return GAL_UNAVAILABLE;
}

/* The version anew, LOADING, as its path holds it now; an owned reference. What other paths have
 * come to does not matter. */
static enum gal_status scan_one(struct gal_server *s, const struct gal_model *m,
                                struct gal_model **out, struct gal_err *err)
{
    const struct gal_scan_options how = {.may_be_empty = true};
    struct gal_model **found;
    size_t count;
    /* A name of the settings is the only model's, or the default's among several. */
    const char *name = s->settings->name;
    enum gal_status st = gal_model_keys_scan(
        s->settings->config, name && strcmp(name, m->name) == 0 ? name : NULL,
        &s->settings->model_base, &how, s->settings->sources, m->path, &found, &count, err);
    const char *other = NULL;
    struct gal_err why;

    *out = NULL;
    if (st != GAL_OK) {
        why = *err;
        gal_fail(err, GAL_UNAVAILABLE, "Model not loaded: '%.100s' version %.40s: %s", m->name,
                 m->version, why.message);
        gal_err_hint(err, "%s", why.hint);
        return GAL_UNAVAILABLE;
    }
    for (size_t i = 0; i < count; i++) {
        bool same =
            strcmp(found[i]->name, m->name) == 0 && strcmp(found[i]->version, m->version) == 0;
        if (same && *out == NULL)
            *out = gal_model_ref(found[i]);
        else if (strcmp(found[i]->name, m->name) == 0)
            other = found[i]->version;
    }
    if (*out != NULL)
        (*out)->on_demand = true;
    else
        st = tell_gone(m, other, err);
    for (size_t i = 0; i < count; i++)
        gal_model_unref(found[i]);
    gal_free(found);
    return st;
}

/* The newcomer, and all else that is served. */
static enum gal_status gather(struct gal_server *s, struct gal_model *m, struct gal_err *err)
{
    struct gal_model *fresh;
    enum gal_status st = scan_one(s, m, &fresh, err);

    if (st == GAL_OK) {
        st = gal_server_add_coming(s, fresh, err);
    } else {
        m->unfound = *err;
        m->unfound_until_us = gal_mono_us(&gal_clock_system) + RETRY_US;
        gal_server_log_err(s, "load_failed", err);
    }
    for (size_t i = 0; i < s->catalog->count; i++) {
        const struct gal_catalog_entry *e = &s->catalog->entries[i];
        for (size_t v = 0; v < e->version_count && st == GAL_OK; v++)
            if (e->versions[v] != m)
                st = gal_server_add_coming(s, gal_model_ref(e->versions[v]), err);
    }
    return st;
}

/* Those that wait for the same are not to try it once more at once. */
static void answer_same(struct gal_server *s, const struct gal_control_request *r,
                        enum gal_status st)
{
    struct gal_control_request **at = &s->waiting;

    while (*at != NULL) {
        struct gal_control_request *other = *at;

        if (other->action != GAL_CONTROL_DEMAND || !gal_str_eq(other->model, r->model) ||
            !gal_str_eq(other->version, r->version)) {
            at = &other->next;
            continue;
        }
        *at = other->next;
        other->err = r->err;
        gal_server_answer(other, st);
    }
    s->waiting_end = at;
}

static void end(struct gal_server *s, struct gal_control_request *r, enum gal_status st)
{
    gal_server_drop_coming(s);
    if (st != GAL_OK)
        answer_same(s, r, st);
    gal_server_answer(r, st);
}

/* The newcomer's place in what is coming is the first. */
static void on_demanded(struct gal_loader *l, void *ctx)
{
    struct gal_server *s = ctx;
    struct gal_control_request *r = s->asked;
    struct gal_model *m = s->coming[0], *old;
    struct gal_catalog *fresh;
    enum gal_status st;

    gal_loader_free(l);
    s->loader = NULL;
    s->asked = NULL;
    if (s->state >= GAL_SERVER_DRAINING) {
        gal_server_drop_coming(s);
        gal_server_answer(r, gal_fail(&r->err, GAL_UNAVAILABLE, "Service shutting down"));
        return;
    }
    st = gal_model_state(m) == GAL_MODEL_READY ? GAL_OK : gal_model_tell_failed(m, &r->err);
    if (gal_server_make_catalog(s, s->coming, s->coming_count, &fresh, &r->err) == GAL_OK) {
        gal_server_publish(s, fresh);
    } else {
        st = r->err.code;
        if (gal_catalog_model(s->catalog, r->model, r->version, &old, NULL) == GAL_OK)
            old->state = GAL_MODEL_IDLE;
    }
    end(s, r, st);
    gal_server_load_ended(s);
}

static bool failed_just_now(const struct gal_model *m)
{
    uint64_t now_us = gal_wall_us(&gal_clock_system);

    return gal_model_state(m) == GAL_MODEL_FAILED && now_us >= m->loaded_wall_us &&
           now_us - m->loaded_wall_us < RETRY_US;
}

static void log_demand(struct gal_server *s, const struct gal_model *m)
{
    const struct gal_log_field f[2] = {{"model", gal_str_of(m->name), false},
                                       {"version", gal_str_of(m->version), false}};

    gal_log_write(s->log, GAL_LOG_INFO, "load_demanded", f, 2);
}

void gal_server_demand(struct gal_server *s, struct gal_control_request *r)
{
    struct gal_model *m;
    enum gal_status st;
    int before;

    /* What is there no more, or ready already, the requests find out themselves. */
    if (gal_catalog_model(s->catalog, r->model, r->version, &m, NULL) != GAL_OK || !m->on_demand ||
        gal_model_state(m) == GAL_MODEL_READY) {
        gal_server_answer(r, GAL_OK);
        return;
    }
    if (failed_just_now(m)) {
        gal_server_answer(r, gal_model_tell_failed(m, &r->err));
        return;
    }
    if (gal_mono_us(&gal_clock_system) < m->unfound_until_us) {
        r->err = m->unfound;
        gal_server_answer(r, GAL_UNAVAILABLE);
        return;
    }
    log_demand(s, m);
    before = m->state;
    st = gather(s, m, &r->err);
    s->asked = r;
    m->state = GAL_MODEL_LOADING;
    if (st == GAL_OK)
        st = gal_server_load_coming(s, on_demanded, &r->err);
    if (st == GAL_OK)
        return;
    m->state = before;
    s->asked = NULL;
    end(s, r, st);
}
