/* SPDX-License-Identifier: Apache-2.0 */
/* The response cache of the process, and each loop's connection to the Redis behind it. */
#ifndef GAL_SERVER_CACHING_H
#define GAL_SERVER_CACHING_H

#include "api/exchange.h"
#include "cache/cache.h"
#include "cache/redis.h"

struct gal_caching_options {
    size_t bytes_max;
    const struct gal_redis_url *redis; /* borrowed, outlives it; NULL: none */
    struct gal_log *log;               /* borrowed; may be NULL */
    struct gal_metrics *metrics;       /* borrowed */
};

struct gal_caching {
    struct gal_caching_options o;
    struct gal_cache *cache;
    gal_series connections;
    _Atomic bool is_down; /* the log says so */
};

/* On the main thread, before loops run. */
enum gal_status gal_caching_new(const struct gal_caching_options *options, struct gal_caching **out,
                                struct gal_err *err);
/* Behind all loops. NULL is fine. */
void gal_caching_free(struct gal_caching *c);
/* Gives a loop's api its cache and its connection, which the loop's owner frees with gal_redis_free
 * before the loop. Before the loop runs. */
enum gal_status gal_caching_join(struct gal_caching *c, struct gal_api *api, struct gal_err *err);
/* Forgets what versions have answered that `now` does not serve any more. */
void gal_caching_forget(struct gal_caching *c, const struct gal_catalog *before,
                        const struct gal_catalog *now);

#endif
