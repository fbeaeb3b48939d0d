/* SPDX-License-Identifier: Apache-2.0 */
#include "model/catalog.h"

#include "base/mem.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- making ---- */

/* By name, then newest version first. */
static int compare_models(const void *a, const void *b)
{
    const struct gal_model *x = *(struct gal_model *const *)a, *y = *(struct gal_model *const *)b;
    int c = strcmp(x->name, y->name);
    return c ? c : -gal_version_compare(gal_str_of(x->version), gal_str_of(y->version));
}

/* Cuts the sorted models into entries. `models` becomes the entries'. */
static enum gal_status fill_entries(struct gal_catalog *c, struct gal_model **models, size_t count,
                                    struct gal_err *err)
{
    for (size_t i = 0; i < count; i++) {
        struct gal_catalog_entry *e = c->count ? &c->entries[c->count - 1] : NULL;
        if (!e || !gal_str_is(e->name, models[i]->name)) {
            e = &c->entries[c->count++];
            *e = (struct gal_catalog_entry){gal_str_of(models[i]->name), &models[i], 0};
        } else if (strcmp(models[i - 1]->version, models[i]->version) == 0) {
            gal_fail(err, GAL_CONFLICT,
                     "model '%.100s' version %.40s is there twice: %.90s and %.90s",
                     models[i]->name, models[i]->version, models[i - 1]->path, models[i]->path);
            gal_err_hint(err, "rename one of them");
            return GAL_CONFLICT;
        }
        e->version_count++;
    }
    for (size_t i = 0; i < c->count; i++) {
        if (gal_map_set(&c->by_name, c->entries[i].name, &c->entries[i]))
            return gal_fail(err, GAL_NO_MEMORY, "no memory for the catalog");
    }
    return GAL_OK;
}

enum gal_status gal_catalog_new(struct gal_model *const *models, size_t count,
                                struct gal_catalog **out, struct gal_err *err)
{
    *out = NULL;
    enum gal_status status = GAL_NO_MEMORY;
    struct gal_catalog *c = gal_calloc(1, sizeof *c);
    /* One more each: an empty catalog asks for no memory of size 0. */
    struct gal_catalog_entry *entries = gal_calloc(count + 1, sizeof *entries);
    struct gal_model **sorted = gal_calloc(count + 1, sizeof(struct gal_model *));
    if (!c || !entries || !sorted) {
        gal_fail(err, status, "no memory for the catalog");
        goto out;
    }
    gal_map_init(&c->by_name);
    c->entries = entries;
    if (count > 0) {
        memcpy(sorted, models, count * sizeof(struct gal_model *));
        qsort(sorted, count, sizeof(struct gal_model *), compare_models);
    }
    status = fill_entries(c, sorted, count, err);
    if (status) {
        gal_map_release(&c->by_name);
        goto out;
    }
    entries[0].versions = sorted; /* also when there is none: freed by it */
    for (size_t i = 0; i < count; i++)
        gal_model_ref(sorted[i]);
    c->refs = 1;
    *out = c;
    return GAL_OK;
out:
    gal_free(sorted);
    gal_free(entries);
    gal_free(c);
    return status;
}

struct gal_catalog *gal_catalog_ref(struct gal_catalog *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void gal_catalog_unref(struct gal_catalog *c)
{
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < c->count; i++) {
        for (size_t k = 0; k < c->entries[i].version_count; k++)
            gal_model_unref(c->entries[i].versions[k]);
    }
    gal_map_release(&c->by_name);
    gal_free(c->entries[0].versions);
    gal_free(c->entries);
    gal_free(c);
}

/* ---- looking up ---- */

const struct gal_catalog_entry *gal_catalog_find(const struct gal_catalog *c, struct gal_str name)
{
    return gal_map_get(&c->by_name, name);
}

/* "a, b, c", cut with "..." where it gets too long. */
struct list {
    char text[160];
    size_t n;
};

static void list_add(struct list *l, const char *item)
{
    if (l->n >= sizeof l->text - 4)
        return;
    int n = snprintf(l->text + l->n, sizeof l->text - 4 - l->n, "%s%s", l->n ? ", " : "", item);
    if (n < 0 || (size_t)n >= sizeof l->text - 4 - l->n) {
        memcpy(l->text + l->n, "...", 4);
        l->n = sizeof l->text;
        return;
    }
    l->n += (size_t)n;
}

static void hint_names(const struct gal_catalog *c, struct gal_err *err)
{
    struct list l = {.n = 0};
    for (size_t i = 0; i < c->count; i++)
        list_add(&l, c->entries[i].versions[0]->name);
    if (l.n > 0)
        gal_err_hint(err, "models: %s", l.text);
}

static void hint_versions(const struct gal_catalog_entry *e, struct gal_err *err)
{
    struct list l = {.n = 0};
    for (size_t i = 0; i < e->version_count; i++)
        list_add(&l, e->versions[i]->version);
    gal_err_hint(err, "versions: %s", l.text);
}

static struct gal_model *newest(const struct gal_catalog_entry *e)
{
    for (size_t i = 0; i < e->version_count; i++) {
        if (gal_model_takes(e->versions[i]))
            return e->versions[i];
    }
    return e->versions[0];
}

enum gal_status gal_catalog_model(const struct gal_catalog *c, struct gal_str name,
                                  struct gal_str version, struct gal_model **out,
                                  struct gal_err *err)
{
    const struct gal_catalog_entry *e = gal_catalog_find(c, name);
    *out = NULL;
    if (!e && c->coming)
        return gal_fail(err, GAL_UNAVAILABLE, "the models are still being fetched");
    if (!e) {
        gal_fail(err, GAL_NOT_FOUND, "unknown model '%.*s'", GAL_STR_ARG(name));
        hint_names(c, err);
        return GAL_NOT_FOUND;
    }
    if (version.n == 0)
        *out = newest(e);
    for (size_t i = 0; i < e->version_count && !*out; i++) {
        if (gal_str_is(version, e->versions[i]->version))
            *out = e->versions[i];
    }
    if (*out)
        return GAL_OK;
    gal_fail(err, GAL_NOT_FOUND, "unknown version '%.*s' of model '%.*s'", GAL_STR_ARG(version),
             GAL_STR_ARG(name));
    hint_versions(e, err);
    return GAL_NOT_FOUND;
}

enum gal_status gal_catalog_default(const struct gal_catalog *c, struct gal_str preferred,
                                    struct gal_model **out, struct gal_err *err)
{
    const struct gal_catalog_entry *e = preferred.n ? gal_catalog_find(c, preferred) : NULL;
    *out = NULL;
    if (!e && c->count == 0)
        return c->coming ? gal_fail(err, GAL_UNAVAILABLE, "the models are still being fetched")
                         : gal_fail(err, GAL_NOT_FOUND, "no model is served");
    if (!e && c->count > 1) {
        gal_fail(err, GAL_NOT_FOUND, "several models are served and none is the default");
        hint_names(c, err);
        return GAL_NOT_FOUND;
    }
    *out = newest(e ? e : &c->entries[0]);
    return GAL_OK;
}

bool gal_catalog_ready(const struct gal_catalog *c, struct gal_err *reason)
{
    if (c->coming)
        return gal_fail(reason, GAL_UNAVAILABLE, "the models are still being fetched") == GAL_OK;
    if (c->count == 0 && !c->may_be_empty)
        gal_fail(reason, GAL_UNAVAILABLE, "no model is served");
    for (size_t i = 0; i < c->count; i++) {
        const struct gal_model *m = c->entries[i].versions[0];
        enum gal_model_state state = gal_model_state(m);
        if (state == GAL_MODEL_READY || m->on_demand)
            continue;
        if (state == GAL_MODEL_FAILED)
            gal_fail(reason, GAL_UNAVAILABLE, "model '%.100s' version %.40s failed to load: %s",
                     m->name, m->version, m->error.message);
        else
            gal_fail(reason, GAL_UNAVAILABLE, "model '%.100s' version %.40s is loading", m->name,
                     m->version);
        return false;
    }
    return c->count > 0 || c->may_be_empty;
}
