/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/cache.h"

#include "cache/cache_impl.h"

#include "base/mem.h"

#include <stdatomic.h>

#define SHARDS_MAX 16u
#define SHARD_BYTES_MIN (4u << 20) /* below this an entry might find its shard too small */
#define BYTES_A_BUCKET 512u        /* small entries are little more: chains stay short */
#define BUCKETS_MIN 16u
#define BUCKETS_MAX (1u << 20)

/* ---- life ---- */

static unsigned choose_shards(size_t bytes_max)
{
    unsigned n = 1;
    while (n < SHARDS_MAX && bytes_max / (2 * n) >= SHARD_BYTES_MIN)
        n *= 2;
    return n;
}

static enum gal_status shard_init(struct gal_cache_shard *s, size_t bytes_max)
{
    size_t buckets = BUCKETS_MIN;

    while (buckets < BUCKETS_MAX && buckets < bytes_max / BYTES_A_BUCKET)
        buckets *= 2;
    s->buckets = gal_calloc(buckets, sizeof(struct gal_cache_entry *));
    if (s->buckets == NULL)
        return GAL_NO_MEMORY;
    s->mask = buckets - 1;
    s->bytes_max = bytes_max;
    pthread_mutex_init(&s->lock, NULL);
    return GAL_OK;
}

enum gal_status gal_cache_new(const struct gal_cache_options *options, struct gal_cache **out,
                              struct gal_err *err)
{
    unsigned shards = options->shards != 0 ? options->shards : choose_shards(options->bytes_max);
    struct gal_cache *c = gal_calloc(1, sizeof(*c) + shards * sizeof(c->shards[0]));

    *out = NULL;
    GAL_ASSERT((shards & (shards - 1)) == 0);
    if (c == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the response cache");
    c->hash = options->hash != NULL ? options->hash : gal_hash128;
    c->seed = options->seed;
    pthread_mutex_init(&c->models_lock, NULL);
    while (c->shard_count < shards) {
        if (shard_init(&c->shards[c->shard_count], options->bytes_max / shards) != GAL_OK) {
            gal_cache_free(c);
            return gal_fail(err, GAL_NO_MEMORY, "no memory for the response cache's table");
        }
        c->shard_count++;
    }
    *out = c;
    return GAL_OK;
}

static void shard_release(struct gal_cache_shard *s)
{
    for (size_t i = 0; i < GAL_FLIGHT_BUCKETS; i++)
        GAL_ASSERT(s->flights[i] == NULL);
    for (struct gal_cache_entry *e = s->newest, *older; e != NULL; e = older) {
        older = e->older;
        gal_cache_entry_unref(e);
    }
    gal_free(s->buckets);
    pthread_mutex_destroy(&s->lock);
}

void gal_cache_free(struct gal_cache *c)
{
    if (c == NULL)
        return;
    for (unsigned i = 0; i < c->shard_count; i++)
        shard_release(&c->shards[i]);
    gal_cache_models_release(c);
    pthread_mutex_destroy(&c->models_lock);
    gal_free(c);
}

/* ---- entries of a shard; all under its lock ---- */

static struct gal_cache_shard *shard_of(struct gal_cache *c, struct gal_hash128 h)
{
    return &c->shards[h.hi & (c->shard_count - 1)];
}

static void line_remove(struct gal_cache_shard *s, struct gal_cache_entry *e)
{
    *(e->newer != NULL ? &e->newer->older : &s->newest) = e->older;
    *(e->older != NULL ? &e->older->newer : &s->oldest) = e->newer;
}

static void line_add(struct gal_cache_shard *s, struct gal_cache_entry *e)
{
    e->newer = NULL;
    e->older = s->newest;
    *(s->newest != NULL ? &s->newest->newer : &s->oldest) = e;
    s->newest = e;
}

static struct gal_cache_entry *find(const struct gal_cache_shard *s,
                                    const struct gal_cache_ask *ask)
{
    struct gal_cache_entry *e = s->buckets[ask->hash.lo & s->mask];

    while (e != NULL && !(gal_hash128_eq(e->hash, ask->hash) && e->model == ask->model &&
                          gal_str_eq(e->key, ask->key)))
        e = e->next;
    return e;
}

/* Out of the table; the table's reference is the caller's, to give back behind the lock. */
static void take_out(struct gal_cache_shard *s, struct gal_cache_entry *e)
{
    struct gal_cache_entry **at = &s->buckets[e->hash.lo & s->mask];

    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    line_remove(s, e);
    s->bytes -= e->bytes;
    s->count--;
    atomic_fetch_sub_explicit(&e->model->bytes, e->bytes, memory_order_relaxed);
    atomic_fetch_sub_explicit(&e->model->entries, 1, memory_order_relaxed);
}

/* Takes the entry out and puts it on a list over `older`, to be given back behind the lock. */
static void drop(struct gal_cache_shard *s, struct gal_cache_entry *e,
                 struct gal_cache_entry **dropped)
{
    take_out(s, e);
    e->older = *dropped;
    *dropped = e;
}

static void give_back(struct gal_cache_entry *dropped)
{
    while (dropped != NULL) {
        struct gal_cache_entry *older = dropped->older;
        gal_cache_entry_unref(dropped);
        dropped = older;
    }
}

/* Puts it in, with a reference of the table's own, where it fits. */
static void put_in(struct gal_cache_shard *s, const struct gal_cache_ask *ask,
                   struct gal_cache_entry *e, uint64_t expires_us, struct gal_cache_entry **dropped)
{
    struct gal_cache_entry *old = find(s, ask), **bucket;

    if (e->bytes > s->bytes_max || atomic_load_explicit(&ask->model->gone, memory_order_relaxed))
        return;
    if (old != NULL)
        drop(s, old, dropped);
    while (s->bytes_max - s->bytes < e->bytes) {
        gal_cache_count(s->oldest->model, GAL_CACHE_EVICTIONS, 1);
        drop(s, s->oldest, dropped);
    }
    bucket = &s->buckets[ask->hash.lo & s->mask];
    e->hash = ask->hash;
    e->model = ask->model;
    e->expires_us = expires_us;
    e->next = *bucket;
    *bucket = gal_cache_entry_ref(e);
    line_add(s, e);
    s->bytes += e->bytes;
    s->count++;
    atomic_fetch_add_explicit(&e->model->bytes, e->bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&e->model->entries, 1, memory_order_relaxed);
}

/* ---- requests in flight; under the shard's lock ---- */

static struct gal_cache_ask **flight_bucket(struct gal_cache_shard *s, struct gal_hash128 h)
{
    return &s->flights[h.lo % GAL_FLIGHT_BUCKETS];
}

static struct gal_cache_ask *find_leader(struct gal_cache_shard *s, const struct gal_cache_ask *ask)
{
    struct gal_cache_ask *l = *flight_bucket(s, ask->hash);

    while (l != NULL && !(gal_hash128_eq(l->hash, ask->hash) && l->model == ask->model &&
                          gal_str_eq(l->key, ask->key)))
        l = l->next;
    return l;
}

static void lead(struct gal_cache_shard *s, struct gal_cache_ask *ask)
{
    struct gal_cache_ask **bucket = flight_bucket(s, ask->hash);

    ask->state = GAL_ASK_LEADING;
    ask->prev = NULL;
    ask->next = *bucket;
    if (ask->next != NULL)
        ask->next->prev = ask;
    *bucket = ask;
}

static void leave(struct gal_cache_shard *s, struct gal_cache_ask *ask)
{
    GAL_ASSERT(ask->state == GAL_ASK_LEADING);
    *(ask->prev != NULL ? &ask->prev->next : flight_bucket(s, ask->hash)) = ask->next;
    if (ask->next != NULL)
        ask->next->prev = ask->prev;
    ask->state = GAL_ASK_OUT;
}

static void line_up(struct gal_cache_ask *leader, struct gal_cache_ask *ask)
{
    ask->state = GAL_ASK_WAITING;
    ask->leader = leader;
    ask->next = NULL;
    ask->prev = leader->last;
    *(leader->last != NULL ? &leader->last->next : &leader->first) = ask;
    leader->last = ask;
}

static void step_out(struct gal_cache_ask *ask)
{
    struct gal_cache_ask *leader = ask->leader;

    *(ask->prev != NULL ? &ask->prev->next : &leader->first) = ask->next;
    *(ask->next != NULL ? &ask->next->prev : &leader->last) = ask->prev;
    ask->leader = NULL;
}

static void on_task(struct gal_task *task)
{
    struct gal_cache_ask *ask =
        (struct gal_cache_ask *)(void *)((char *)task - offsetof(struct gal_cache_ask, task));

    if (ask->answer != GAL_CACHE_LEAD)
        ask->state = GAL_ASK_OUT;
    ask->on_answer(ask);
}

/* From here on the ask is its loop's. */
static void tell(struct gal_cache_ask *ask, enum gal_cache_answer answer)
{
    ask->answer = answer;
    ask->task.run = on_task;
    gal_loop_post(ask->home, &ask->task);
}

/* ---- interface ---- */

enum gal_cache_answer gal_cache_ask(struct gal_cache *c, struct gal_cache_ask *ask, uint64_t now_us)
{
    struct gal_cache_entry *e, *dropped = NULL;
    struct gal_cache_ask *leader;
    struct gal_cache_shard *s;

    ask->hash = c->hash(ask->key, c->seed ^ ask->model->index);
    s = shard_of(c, ask->hash);
    pthread_mutex_lock(&s->lock);
    e = find(s, ask);
    if (e != NULL && e->expires_us != 0 && now_us >= e->expires_us) {
        gal_cache_count(e->model, GAL_CACHE_EXPIRATIONS, 1);
        drop(s, e, &dropped);
        e = NULL;
    }
    if (e != NULL) {
        if (e != s->newest) {
            line_remove(s, e);
            line_add(s, e);
        }
        ask->entry = gal_cache_entry_ref(e);
        ask->answer = GAL_CACHE_HIT;
    } else if ((leader = find_leader(s, ask)) != NULL) {
        line_up(leader, ask);
        ask->answer = GAL_CACHE_WAIT;
    } else {
        lead(s, ask);
        ask->answer = GAL_CACHE_LEAD;
    }
    /* One that waits may be told before this returns: its answer is read under the lock. */
    enum gal_cache_answer answer = ask->answer;
    pthread_mutex_unlock(&s->lock);
    give_back(dropped);
    return answer;
}

void gal_cache_settle(struct gal_cache *c, struct gal_cache_ask *ask, struct gal_cache_entry *entry,
                      uint64_t ttl_us, uint64_t now_us)
{
    struct gal_cache_shard *s = shard_of(c, ask->hash);
    struct gal_cache_entry *dropped = NULL;
    uint64_t expires_us = ttl_us != 0 ? now_us + ttl_us : 0;
    struct gal_cache_ask *waiting, *next;

    pthread_mutex_lock(&s->lock);
    leave(s, ask);
    if (entry != NULL)
        put_in(s, ask, entry, expires_us < now_us && ttl_us != 0 ? UINT64_MAX : expires_us,
               &dropped);
    waiting = ask->first;
    ask->first = ask->last = NULL;
    for (struct gal_cache_ask *w = waiting; w != NULL; w = w->next)
        w->state = GAL_ASK_TOLD; /* none can withdraw any more: the list is ours */
    pthread_mutex_unlock(&s->lock);
    for (; waiting != NULL; waiting = next) {
        next = waiting->next;
        waiting->leader = NULL;
        if (entry != NULL)
            waiting->entry = gal_cache_entry_ref(entry);
        tell(waiting, entry != NULL ? GAL_CACHE_HIT : GAL_CACHE_ALONE);
    }
    give_back(dropped);
}

void gal_cache_give_up(struct gal_cache *c, struct gal_cache_ask *ask)
{
    struct gal_cache_shard *s = shard_of(c, ask->hash);
    struct gal_cache_ask *heir;

    pthread_mutex_lock(&s->lock);
    leave(s, ask);
    heir = ask->first;
    if (heir != NULL) {
        step_out(heir);
        heir->first = ask->first;
        heir->last = ask->last;
        for (struct gal_cache_ask *w = heir->first; w != NULL; w = w->next)
            w->leader = heir;
        lead(s, heir);
    }
    ask->first = ask->last = NULL;
    pthread_mutex_unlock(&s->lock);
    if (heir != NULL)
        tell(heir, GAL_CACHE_LEAD);
}

bool gal_cache_withdraw(struct gal_cache *c, struct gal_cache_ask *ask)
{
    struct gal_cache_shard *s = shard_of(c, ask->hash);
    bool waits;

    pthread_mutex_lock(&s->lock);
    waits = ask->state == GAL_ASK_WAITING;
    if (waits) {
        step_out(ask);
        ask->state = GAL_ASK_TOLD;
    }
    pthread_mutex_unlock(&s->lock);
    if (waits)
        tell(ask, GAL_CACHE_WITHDRAWN);
    return waits;
}

void gal_cache_forget(struct gal_cache *c, unsigned index)
{
    struct gal_cache_model *m = gal_cache_find_model(c, index);

    if (m == NULL)
        return;
    atomic_store_explicit(&m->gone, true, memory_order_relaxed);
    for (unsigned i = 0; i < c->shard_count; i++) {
        struct gal_cache_entry *dropped = NULL, *older;

        pthread_mutex_lock(&c->shards[i].lock);
        for (struct gal_cache_entry *e = c->shards[i].newest; e != NULL; e = older) {
            older = e->older;
            if (e->model == m)
                drop(&c->shards[i], e, &dropped);
        }
        pthread_mutex_unlock(&c->shards[i].lock);
        give_back(dropped);
    }
}

/* ---- invariants ---- */

static size_t check_chains(const struct gal_cache_shard *s)
{
    size_t count = 0;

    for (size_t b = 0; b <= s->mask; b++) {
        for (const struct gal_cache_entry *e = s->buckets[b]; e != NULL; e = e->next) {
            GAL_ASSERT((e->hash.lo & s->mask) == b);
            count++;
        }
    }
    return count;
}

static void check_flights(const struct gal_cache_shard *s)
{
    for (size_t b = 0; b < GAL_FLIGHT_BUCKETS; b++) {
        const struct gal_cache_ask *before = NULL;
        for (const struct gal_cache_ask *l = s->flights[b]; l != NULL; before = l, l = l->next) {
            const struct gal_cache_ask *last = NULL;
            GAL_ASSERT(l->state == GAL_ASK_LEADING && l->prev == before);
            for (const struct gal_cache_ask *w = l->first; w != NULL; last = w, w = w->next)
                GAL_ASSERT(w->state == GAL_ASK_WAITING && w->leader == l && w->prev == last);
            GAL_ASSERT(l->last == last);
        }
    }
}

static size_t check_shard(const struct gal_cache_shard *s)
{
    size_t bytes = 0, count = 0;
    const struct gal_cache_entry *newer = NULL;

    for (const struct gal_cache_entry *e = s->newest; e != NULL; newer = e, e = e->older) {
        GAL_ASSERT(e->newer == newer && e->refs > 0);
        GAL_ASSERT(e->bytes == gal_cache_entry_size(e->key, e->outputs, e->output_count));
        bytes += e->bytes;
        count++;
    }
    GAL_ASSERT(s->oldest == newer);
    GAL_ASSERT(bytes == s->bytes && count == s->count && bytes <= s->bytes_max);
    GAL_ASSERT(check_chains(s) == count);
    check_flights(s);
    return bytes;
}

void gal_cache_check(struct gal_cache *c)
{
    struct gal_cache_stats all;
    size_t bytes = 0;

    for (unsigned i = 0; i < c->shard_count; i++)
        pthread_mutex_lock(&c->shards[i].lock);
    for (unsigned i = 0; i < c->shard_count; i++)
        bytes += check_shard(&c->shards[i]);
    gal_cache_stats(c, &all);
    GAL_ASSERT(all.bytes == bytes);
    for (unsigned i = 0; i < c->shard_count; i++)
        pthread_mutex_unlock(&c->shards[i].lock);
}
