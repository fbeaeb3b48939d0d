/* SPDX-License-Identifier: Apache-2.0 */
/* What cache.c and models.c share. Not for other parts. */
#ifndef GAL_CACHE_CACHE_IMPL_H
#define GAL_CACHE_CACHE_IMPL_H

#include "cache/cache.h"

#include <pthread.h>

#define GAL_FLIGHT_BUCKETS 64u
#define GAL_CACHE_MODEL_CHUNK 256u
#define GAL_CACHE_MODEL_CHUNKS (GAL_CACHE_MODELS_MAX / GAL_CACHE_MODEL_CHUNK)

struct gal_cache_shard {
    _Alignas(64) pthread_mutex_t lock;
    struct gal_cache_entry **buckets; /* mask + 1 of them; owned */
    size_t mask;
    struct gal_cache_entry *newest, *oldest; /* by last use; a reference each */
    size_t bytes, count, bytes_max;
    struct gal_cache_ask *flights[GAL_FLIGHT_BUCKETS]; /* leaders by hash */
};

struct gal_cache_model_chunk {
    _Atomic(struct gal_cache_model *) at[GAL_CACHE_MODEL_CHUNK];
};

struct gal_cache {
    struct gal_hash128 (*hash)(struct gal_str s, uint64_t seed);
    uint64_t seed;
    pthread_mutex_t models_lock; /* for making one */
    _Atomic(struct gal_cache_model_chunk *) chunks[GAL_CACHE_MODEL_CHUNKS];
    _Atomic(struct gal_cache_model *) models; /* newest first */
    unsigned shard_count;
    struct gal_cache_shard shards[];
};

void gal_cache_models_release(struct gal_cache *c);

#endif
