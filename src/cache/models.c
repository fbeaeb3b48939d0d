/* SPDX-License-Identifier: Apache-2.0 */
/* What the cache knows of each model version: its counts. */
#include "cache/cache_impl.h"

#include "base/mem.h"

#include <stdatomic.h>

struct gal_cache_model *gal_cache_find_model(const struct gal_cache *c, unsigned index)
{
    struct gal_cache_model_chunk *chunk;

    if (index >= GAL_CACHE_MODELS_MAX)
        return NULL;
    chunk = atomic_load_explicit(&c->chunks[index / GAL_CACHE_MODEL_CHUNK], memory_order_acquire);
    if (chunk == NULL)
        return NULL;
    return atomic_load_explicit(&chunk->at[index % GAL_CACHE_MODEL_CHUNK], memory_order_acquire);
}

static void model_free(struct gal_cache_model *m)
{
    gal_free((char *)m->name);
    gal_free((char *)m->version);
    gal_free(m);
}

static struct gal_cache_model *model_new(unsigned index, const char *name, const char *version)
{
    struct gal_cache_model *m = gal_calloc(1, sizeof(*m));

    if (m == NULL)
        return NULL;
    m->index = index;
    m->name = gal_strdup(name);
    m->version = gal_strdup(version);
    if (m->name != NULL && m->version != NULL)
        return m;
    model_free(m);
    return NULL;
}

/* Under the lock. */
static struct gal_cache_model *make(struct gal_cache *c, unsigned index, const char *name,
                                    const char *version)
{
    struct gal_cache_model *m = gal_cache_find_model(c, index);
    struct gal_cache_model_chunk *chunk = c->chunks[index / GAL_CACHE_MODEL_CHUNK];

    if (m != NULL)
        return m;
    if (chunk == NULL)
        chunk = gal_calloc(1, sizeof(*chunk));
    if (chunk == NULL)
        return NULL;
    atomic_store_explicit(&c->chunks[index / GAL_CACHE_MODEL_CHUNK], chunk, memory_order_release);
    m = model_new(index, name, version);
    if (m == NULL)
        return NULL;
    m->next = c->models;
    atomic_store_explicit(&c->models, m, memory_order_release);
    atomic_store_explicit(&chunk->at[index % GAL_CACHE_MODEL_CHUNK], m, memory_order_release);
    return m;
}

struct gal_cache_model *gal_cache_model(struct gal_cache *c, unsigned index, const char *name,
                                        const char *version)
{
    struct gal_cache_model *m = gal_cache_find_model(c, index);

    if (m != NULL || index >= GAL_CACHE_MODELS_MAX)
        return m;
    pthread_mutex_lock(&c->models_lock);
    m = make(c, index, name, version);
    pthread_mutex_unlock(&c->models_lock);
    return m;
}

struct gal_cache_model *gal_cache_models(const struct gal_cache *c)
{
    return atomic_load_explicit(&c->models, memory_order_acquire);
}

void gal_cache_models_release(struct gal_cache *c)
{
    for (struct gal_cache_model *m = c->models, *next; m != NULL; m = next) {
        next = m->next;
        model_free(m);
    }
    for (size_t i = 0; i < GAL_CACHE_MODEL_CHUNKS; i++)
        gal_free(c->chunks[i]);
}

void gal_cache_count(struct gal_cache_model *m, enum gal_cache_count what, uint64_t by)
{
    atomic_fetch_add_explicit(&m->n[what], by, memory_order_relaxed);
}

/* Whoever moves `shown` to the present value owns the step between. */
static double claim(_Atomic size_t *total, _Atomic size_t *shown)
{
    size_t before = atomic_load_explicit(shown, memory_order_relaxed), now;

    do
        now = atomic_load_explicit(total, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(shown, &before, now, memory_order_relaxed,
                                                  memory_order_relaxed));
    return (double)now - (double)before;
}

static uint64_t claim_count(_Atomic uint64_t *total, _Atomic uint64_t *shown)
{
    uint64_t before = atomic_load_explicit(shown, memory_order_relaxed), now;

    do { /* a total never falls, but another claim may have seen more of it */
        now = atomic_load_explicit(total, memory_order_relaxed);
        if (now <= before)
            return 0;
    } while (!atomic_compare_exchange_weak_explicit(shown, &before, now, memory_order_relaxed,
                                                    memory_order_relaxed));
    return now - before;
}

void gal_cache_claim(struct gal_cache_model *m, struct gal_cache_claim *out)
{
    for (size_t i = 0; i < GAL_CACHE_COUNTS; i++)
        out->n[i] = claim_count(&m->n[i], &m->shown[i]);
    out->entries = claim(&m->entries, &m->shown_entries);
    out->bytes = claim(&m->bytes, &m->shown_bytes);
}

static void add_stats(const struct gal_cache_model *m, struct gal_cache_stats *out)
{
    uint64_t n[GAL_CACHE_COUNTS];

    for (size_t i = 0; i < GAL_CACHE_COUNTS; i++)
        n[i] = atomic_load_explicit(&m->n[i], memory_order_relaxed);
    out->hits += n[GAL_CACHE_HITS];
    out->hit_ns += n[GAL_CACHE_HIT_NS];
    out->misses += n[GAL_CACHE_MISSES];
    out->miss_ns += n[GAL_CACHE_MISS_NS];
    out->waits += n[GAL_CACHE_WAITS];
    out->wait_ns += n[GAL_CACHE_WAIT_NS];
    out->evictions += n[GAL_CACHE_EVICTIONS];
    out->expirations += n[GAL_CACHE_EXPIRATIONS];
    out->redis_hits += n[GAL_CACHE_REDIS_HITS];
    out->redis_misses += n[GAL_CACHE_REDIS_MISSES];
    out->redis_errors += n[GAL_CACHE_REDIS_ERRORS];
    out->entries += atomic_load_explicit(&m->entries, memory_order_relaxed);
    out->bytes += atomic_load_explicit(&m->bytes, memory_order_relaxed);
}

void gal_cache_model_stats(const struct gal_cache_model *m, struct gal_cache_stats *out)
{
    *out = (struct gal_cache_stats){0};
    add_stats(m, out);
}

void gal_cache_stats(const struct gal_cache *c, struct gal_cache_stats *out)
{
    *out = (struct gal_cache_stats){0};
    for (const struct gal_cache_model *m = gal_cache_models(c); m != NULL; m = m->next)
        add_stats(m, out);
}
