/* SPDX-License-Identifier: Apache-2.0 */
#include "server/retired.h"

#include "base/mem.h"

#include <stdatomic.h>

static bool holds(const struct gal_catalog *c, const struct gal_model *m)
{
    struct gal_model *now;

    return gal_catalog_model(c, gal_str_of(m->name), gal_str_of(m->version), &now, NULL) ==
               GAL_OK &&
           now == m;
}

static void keep(struct gal_retired *r, struct gal_model *m)
{
    if (r->count == r->cap) {
        size_t cap = r->cap ? 2 * r->cap : 8;
        struct gal_model **grown = gal_realloc(r->models, cap * sizeof(struct gal_model *));
        if (grown == NULL)
            return;
        r->models = grown;
        r->cap = cap;
    }
    r->models[r->count++] = gal_model_ref(m);
}

void gal_retired_add(struct gal_retired *r, const struct gal_catalog *old,
                     const struct gal_catalog *fresh)
{
    for (size_t i = 0; i < old->count; i++) {
        for (size_t v = 0; v < old->entries[i].version_count; v++) {
            if (!holds(fresh, old->entries[i].versions[v]))
                keep(r, old->entries[i].versions[v]);
        }
    }
}

void gal_retired_sweep(struct gal_retired *r)
{
    size_t left = 0;

    for (size_t i = 0; i < r->count; i++) {
        struct gal_model *m = r->models[i];
        /* No catalog that anybody can get holds it: from 1 the count cannot rise. */
        if (atomic_load_explicit(&m->refs, memory_order_acquire) == 1)
            gal_model_unref(m);
        else
            r->models[left++] = m;
    }
    r->count = left;
}

void gal_retired_release(struct gal_retired *r)
{
    for (size_t i = 0; i < r->count; i++)
        gal_model_unref(r->models[i]);
    gal_free(r->models);
    *r = (struct gal_retired){0};
}
