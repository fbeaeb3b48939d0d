/* SPDX-License-Identifier: Apache-2.0 */
#include "api/cached.h"

static void add(struct gal_api *api, enum gal_metric metric, const struct gal_str *labels,
                uint64_t by)
{
    gal_shard_add(api->shard, gal_metrics_series(api->metrics, metric, labels), by);
}

static void add_result(struct gal_api *api, enum gal_metric metric, struct gal_str labels[3],
                       struct gal_str result, uint64_t by)
{
    labels[2] = result;
    add(api, metric, labels, by);
}

static void show_redis(struct gal_api *api, struct gal_str labels[3],
                       const struct gal_cache_claim *c)
{
    add_result(api, GAL_METRIC_CACHE_REDIS, labels, GAL_STR("hit"), c->n[GAL_CACHE_REDIS_HITS]);
    add_result(api, GAL_METRIC_CACHE_REDIS, labels, GAL_STR("miss"), c->n[GAL_CACHE_REDIS_MISSES]);
    add_result(api, GAL_METRIC_CACHE_REDIS, labels, GAL_STR("error"), c->n[GAL_CACHE_REDIS_ERRORS]);
}

static void show_model(struct gal_api *api, struct gal_cache_model *m)
{
    struct gal_str labels[3] = {gal_str_of(m->name), gal_str_of(m->version), {NULL, 0}};
    struct gal_cache_claim c;

    gal_cache_claim(m, &c);
    add_result(api, GAL_METRIC_CACHE_REQUESTS, labels, GAL_STR("hit"), c.n[GAL_CACHE_HITS]);
    add_result(api, GAL_METRIC_CACHE_REQUESTS, labels, GAL_STR("miss"), c.n[GAL_CACHE_MISSES]);
    add_result(api, GAL_METRIC_CACHE_REQUESTS, labels, GAL_STR("wait"), c.n[GAL_CACHE_WAITS]);
    add(api, GAL_METRIC_CACHE_EVICTIONS, labels, c.n[GAL_CACHE_EVICTIONS]);
    add(api, GAL_METRIC_CACHE_EXPIRATIONS, labels, c.n[GAL_CACHE_EXPIRATIONS]);
    gal_gauge_add(api->metrics, gal_metrics_series(api->metrics, GAL_METRIC_CACHE_ENTRIES, labels),
                  c.entries);
    gal_gauge_add(api->metrics, gal_metrics_series(api->metrics, GAL_METRIC_CACHE_BYTES, labels),
                  c.bytes);
    if (api->redis != NULL)
        show_redis(api, labels, &c);
}

void gal_cached_show(struct gal_api *api)
{
    if (api->cache == NULL)
        return;
    for (struct gal_cache_model *m = gal_cache_models(api->cache); m != NULL; m = m->next)
        show_model(api, m);
}

void gal_cached_spans(const struct gal_api *api, const struct gal_model *m,
                      struct gal_cache_spans *out)
{
    const struct gal_cache_model *known =
        api->cache != NULL ? gal_cache_find_model(api->cache, m->index) : NULL;
    struct gal_cache_stats s;

    if (known == NULL)
        return;
    gal_cache_model_stats(known, &s);
    *out = (struct gal_cache_spans){.hit = {s.hits + s.waits, s.hit_ns + s.wait_ns},
                                    .miss = {s.misses, s.miss_ns}};
}
