/* SPDX-License-Identifier: Apache-2.0 */
#include "api/load.h"

static size_t count_ready(const struct gal_catalog *c)
{
    size_t count = 0;

    for (size_t i = 0; i < c->count; i++)
        for (size_t k = 0; k < c->entries[i].version_count; k++)
            count += gal_model_state(c->entries[i].versions[k]) == GAL_MODEL_READY;
    return count;
}

struct gal_cache_spans gal_load_cache(const struct gal_api *api, const struct gal_model *m)
{
    struct gal_cache_spans spans = {{0, 0}, {0, 0}};

    if (api->cache_spans != NULL)
        api->cache_spans(api, m, &spans);
    return spans;
}

static const char *make_labels(struct gal_arena *arena, const char *names,
                               const struct gal_model *m)
{
    const struct gal_str values[] = {gal_str_of(m->name), gal_str_of(m->version),
                                     gal_str_of(m->package_digest)};
    char space[GAL_LOAD_LABELS_MAX];
    struct gal_buf b = {.p = space, .cap = sizeof(space), .max = sizeof(space)};

    gal_expo_put_labels(&b, names, values);
    return b.failed ? NULL : gal_arena_strdup(arena, gal_buf_str(&b));
}

/* What only Triton's names tell. */
static void fill_triton(struct gal_exchange *x, const struct gal_model *m,
                        struct gal_batch_stats *batches, struct gal_load *l)
{
    size_t sizes = gal_sched_batch_stats(m->sched, batches, GAL_BATCH_SIZES_MAX);

    for (size_t i = 0; i < sizes; i++)
        l->executions += batches[i].infer.count;
    l->triton_labels = make_labels(&x->arena, "model,version", m);
    l->cache = gal_load_cache(x->api, m);
    l->load_us = m->load_us;
}

static bool fill(struct gal_exchange *x, const struct gal_model *m, struct gal_batch_stats *batches,
                 struct gal_load *l)
{
    const struct gal_str labels[] = {gal_str_of(m->name), gal_str_of(m->version)};
    struct gal_metrics *metrics = x->api->metrics;
    bool triton = x->api->options->triton_metrics;

    *l = (struct gal_load){.labels = make_labels(&x->arena, "model,model_version", m)};
    if (m->package_digest[0] != '\0')
        l->package_labels = make_labels(&x->arena, "model,model_version,package_digest", m);
    gal_sched_stats(m->sched, &l->stats);
    l->refused =
        gal_metrics_sum(metrics, gal_metrics_series(metrics, GAL_METRIC_INFERENCE_REFUSED, labels));
    if (triton)
        fill_triton(x, m, batches, l);
    return l->labels != NULL && (l->triton_labels != NULL || !triton);
}

enum gal_status gal_load_gather(struct gal_exchange *x, struct gal_load **out, size_t *count,
                                struct gal_err *err)
{
    const struct gal_catalog *c = x->api->catalog;
    size_t room = count_ready(c), n = 0;
    struct gal_batch_stats *batches;
    struct gal_load *loads;

    *out = NULL;
    *count = 0;
    if (room == 0)
        return GAL_OK;
    batches = gal_arena_array(&x->arena, GAL_BATCH_SIZES_MAX, sizeof(*batches));
    loads = gal_arena_array(&x->arena, room, sizeof(*loads));
    if (batches == NULL || loads == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the models' figures");
    for (size_t i = 0; i < c->count; i++)
        for (size_t k = 0; k < c->entries[i].version_count && n < room; k++) {
            const struct gal_model *m = c->entries[i].versions[k];

            if (gal_model_state(m) != GAL_MODEL_READY)
                continue;
            if (!fill(x, m, batches, &loads[n++]))
                return gal_fail(err, GAL_NO_MEMORY, "no memory for the models' figures");
        }
    *out = loads;
    *count = n;
    return GAL_OK;
}
