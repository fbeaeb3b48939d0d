/* SPDX-License-Identifier: Apache-2.0 */
#include "api/control.h"

#include "api/exchange.h"
#include "base/mem.h"

#include <pthread.h>

struct noted {
    struct noted *next; /* by name */
    enum gal_index_state state;
    size_t name_bytes, version_bytes, reason_bytes;
    char text[]; /* name, version, reason */
};

struct gal_repository {
    pthread_mutex_t lock;
    struct noted *first; /* owned */
    size_t count;
};

const char *gal_index_state_name(enum gal_index_state s)
{
    static const char *const names[] = {[GAL_INDEX_UNKNOWN] = "",
                                        [GAL_INDEX_READY] = "READY",
                                        [GAL_INDEX_UNAVAILABLE] = "UNAVAILABLE",
                                        [GAL_INDEX_LOADING] = "LOADING",
                                        [GAL_INDEX_UNLOADING] = "UNLOADING"};

    return names[s];
}

static struct gal_str name_of(const struct noted *n)
{
    return (struct gal_str){n->text, n->name_bytes};
}

static int compare(struct gal_str a, struct gal_str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n > 0 ? memcmp(a.p, b.p, n) : 0;

    return c != 0 ? c : (a.n > b.n) - (a.n < b.n);
}

/* --- what is noted --- */

struct gal_repository *gal_repository_new(void)
{
    struct gal_repository *r = gal_calloc(1, sizeof(*r));

    if (r != NULL)
        pthread_mutex_init(&r->lock, NULL);
    return r;
}

void gal_repository_free(struct gal_repository *r)
{
    if (r == NULL)
        return;
    while (r->first != NULL) {
        struct noted *n = r->first;
        r->first = n->next;
        gal_free(n);
    }
    pthread_mutex_destroy(&r->lock);
    gal_free(r);
}

/* The link to the name, or to what comes behind it. Under the lock. */
static struct noted **find(struct gal_repository *r, struct gal_str name, bool *there)
{
    struct noted **at = &r->first;

    while (*at != NULL && compare(name_of(*at), name) < 0)
        at = &(*at)->next;
    *there = *at != NULL && gal_str_eq(name_of(*at), name);
    return at;
}

static void drop(struct noted **at)
{
    struct noted *n = *at;

    *at = n->next;
    gal_free(n);
}

enum gal_status gal_repository_note(struct gal_repository *r, struct gal_str name,
                                    struct gal_str version, enum gal_index_state state,
                                    struct gal_str reason)
{
    struct noted *n = gal_calloc(1, sizeof(*n) + name.n + version.n + reason.n), **at;
    bool there;
    char *p;

    if (n == NULL)
        return GAL_NO_MEMORY;
    n->state = state;
    n->name_bytes = name.n;
    n->version_bytes = version.n;
    n->reason_bytes = reason.n;
    p = n->text;
    memcpy(p, name.p, name.n);
    if (version.n > 0)
        memcpy(p + name.n, version.p, version.n);
    if (reason.n > 0)
        memcpy(p + name.n + version.n, reason.p, reason.n);
    pthread_mutex_lock(&r->lock);
    at = find(r, name, &there);
    if (!there && r->count == GAL_MODELS_MAX) {
        pthread_mutex_unlock(&r->lock);
        gal_free(n);
        return GAL_TOO_LARGE;
    }
    if (there)
        drop(at);
    r->count += !there;
    n->next = *at;
    *at = n;
    pthread_mutex_unlock(&r->lock);
    return GAL_OK;
}

void gal_repository_forget(struct gal_repository *r, struct gal_str name)
{
    struct noted **at;
    bool there;

    pthread_mutex_lock(&r->lock);
    at = find(r, name, &there);
    if (there)
        drop(at);
    r->count -= there;
    pthread_mutex_unlock(&r->lock);
}

bool gal_repository_knows(struct gal_repository *r, struct gal_str name)
{
    bool there;

    pthread_mutex_lock(&r->lock);
    (void)find(r, name, &there);
    pthread_mutex_unlock(&r->lock);
    return there;
}

/* --- the index --- */

struct rows {
    struct gal_index_row *at;
    size_t count, room;
    struct gal_arena *arena;
    bool only_ready;
    bool starved;
};

static void add(struct rows *r, const struct gal_index_row *row)
{
    if (r->only_ready && row->state != GAL_INDEX_READY)
        return;
    if (r->count == r->room) {
        size_t room = 2 * r->room;

        r->at = gal_arena_grow(r->arena, r->at, r->room * sizeof(*r->at), room * sizeof(*r->at));
        r->starved |= r->at == NULL;
        r->room = room;
    }
    if (!r->starved)
        r->at[r->count++] = *row;
}

static void add_entry(struct rows *r, const struct gal_catalog_entry *e)
{
    for (size_t v = 0; v < e->version_count && !r->starved; v++) {
        const struct gal_model *m = e->versions[v];
        struct gal_index_row row = {.name = e->name, .version = gal_str_of(m->version)};

        switch (gal_model_state(m)) {
        case GAL_MODEL_READY:
            row.state = GAL_INDEX_READY;
            break;
        case GAL_MODEL_LOADING:
            row.state = GAL_INDEX_LOADING;
            break;
        case GAL_MODEL_IDLE:
            row.state = GAL_INDEX_UNAVAILABLE;
            row.reason = GAL_STR("not loaded yet: its first request loads it");
            break;
        case GAL_MODEL_FAILED:
            row.state = GAL_INDEX_UNAVAILABLE;
            row.reason = gal_str_of(m->error.message);
            break;
        }
        add(r, &row);
    }
}

static struct gal_str copy(struct rows *r, const char *text, size_t n)
{
    struct gal_str s = {gal_arena_strdup(r->arena, (struct gal_str){text, n}), n};

    r->starved |= s.p == NULL;
    return s;
}

static void add_noted(struct rows *r, const struct noted *n)
{
    struct gal_index_row row = {.state = n->state};

    row.name = copy(r, n->text, n->name_bytes);
    row.version = copy(r, n->text + n->name_bytes, n->version_bytes);
    row.reason = copy(r, n->text + n->name_bytes + n->version_bytes, n->reason_bytes);
    if (!r->starved)
        add(r, &row);
}

enum gal_status gal_control_index(struct gal_exchange *x, bool only_ready,
                                  struct gal_index_row **out, size_t *count, struct gal_err *err)
{
    const struct gal_catalog *c = x->api->catalog;
    struct gal_repository *known = x->api->repository;
    struct rows r = {.room = 16, .arena = &x->arena, .only_ready = only_ready};
    const struct noted *n = NULL;
    size_t i = 0;

    r.at = gal_arena_array(&x->arena, r.room, sizeof(*r.at));
    r.starved = r.at == NULL;
    if (known != NULL) {
        pthread_mutex_lock(&known->lock);
        n = known->first;
    }
    while ((i < c->count || n != NULL) && !r.starved) { /* two sorted lists become one */
        int order = i == c->count ? 1 : n == NULL ? -1 : compare(c->entries[i].name, name_of(n));

        if (order > 0)
            add_noted(&r, n);
        else
            add_entry(&r, &c->entries[i++]);
        if (order >= 0)
            n = n->next;
    }
    if (known != NULL)
        pthread_mutex_unlock(&known->lock);
    if (r.starved)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the index of models");
    *out = r.at;
    *count = r.count;
    return GAL_OK;
}

enum gal_status gal_control_allowed(const struct gal_exchange *x, struct gal_err *err)
{
    if (x->api->control != NULL)
        return GAL_OK;
    gal_fail(err, GAL_UNAVAILABLE,
             "explicit model load / unload is not allowed: model_control is none");
    gal_err_hint(err, "start galley with --model-control explicit");
    return GAL_UNAVAILABLE;
}
