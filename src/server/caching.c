/* SPDX-License-Identifier: Apache-2.0 */
#include "server/caching.h"

#include "api/cached.h"
#include "base/mem.h"

#include <stdatomic.h>

enum gal_status gal_caching_new(const struct gal_caching_options *options, struct gal_caching **out,
                                struct gal_err *err)
{
    struct gal_caching *c = gal_calloc(1, sizeof(*c));
    struct gal_cache_options o = {.bytes_max = options->bytes_max};
    struct gal_rng rng;
    enum gal_status st;

    *out = NULL;
    if (c == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the response cache");
    gal_rng_seed(&rng);
    o.seed = gal_rng_next(&rng);
    c->o = *options;
    st = gal_cache_new(&o, &c->cache, err);
    if (st != GAL_OK) {
        gal_free(c);
        return st;
    }
    c->connections = gal_metrics_series(options->metrics, GAL_METRIC_CACHE_REDIS_UP, NULL);
    *out = c;
    return GAL_OK;
}

void gal_caching_free(struct gal_caching *c)
{
    if (c == NULL)
        return;
    gal_cache_free(c->cache);
    gal_free(c);
}

/* Each loop has a connection: the log tells the first loss and the first return. */
static void on_change(void *ctx, bool up, bool was_up, const char *reason)
{
    struct gal_caching *c = ctx;

    if (up) {
        gal_gauge_add(c->o.metrics, c->connections, 1);
        if (atomic_exchange(&c->is_down, false))
            gal_log_msg(c->o.log, GAL_LOG_INFO, "redis_back", "Redis at %s:%u answers again",
                        c->o.redis->host, (unsigned)c->o.redis->port);
        return;
    }
    if (was_up)
        gal_gauge_add(c->o.metrics, c->connections, -1);
    if (!atomic_exchange(&c->is_down, true))
        gal_log_msg(c->o.log, GAL_LOG_WARN, "redis_lost",
                    "Redis at %s:%u: %s; answers are cached in memory alone until it is back",
                    c->o.redis->host, (unsigned)c->o.redis->port, reason);
}

enum gal_status gal_caching_join(struct gal_caching *c, struct gal_api *api, struct gal_err *err)
{
    const struct gal_redis_options o = {.url = c->o.redis,
                                        .value_bytes_max = GAL_CACHE_VALUE_BYTES_MAX,
                                        .on_change = on_change,
                                        .ctx = c};

    api->cache = c->cache;
    api->cache_spans = gal_cached_spans;
    return c->o.redis != NULL ? gal_redis_new(api->loop, &o, &api->redis, err) : GAL_OK;
}

static bool serves(const struct gal_catalog *c, const struct gal_model *m)
{
    const struct gal_catalog_entry *e = gal_catalog_find(c, gal_str_of(m->name));

    for (size_t i = 0; e != NULL && i < e->version_count; i++)
        if (e->versions[i] == m)
            return true;
    return false;
}

void gal_caching_forget(struct gal_caching *c, const struct gal_catalog *before,
                        const struct gal_catalog *now)
{
    for (size_t i = 0; i < before->count; i++)
        for (size_t v = 0; v < before->entries[i].version_count; v++)
            if (!serves(now, before->entries[i].versions[v]))
                gal_cache_forget(c->cache, before->entries[i].versions[v]->index);
}
