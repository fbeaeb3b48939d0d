/* SPDX-License-Identifier: Apache-2.0 */
/* The response cache of the process: answers by key, within a bound of bytes, least recently used
 * out first; and one computation for equal requests that are in flight at once.
 *
 * A request asks (gal_cache_ask) and is told one of three things: HIT, here is the answer; LEAD, it
 * computes the answer itself and must end in gal_cache_settle or gal_cache_give_up; WAIT, an equal
 * request leads, and on_answer comes. States of an ask:
 *
 *   OUT -> LEADING           [gal_cache_ask: LEAD]
 *   OUT -> WAITING           [gal_cache_ask: WAIT]
 *   LEADING -> OUT           [gal_cache_settle, gal_cache_give_up]
 *   WAITING -> TOLD          [the leader's settle: HIT or ALONE; gal_cache_withdraw: WITHDRAWN]
 *   WAITING -> LEADING       [the leader's give_up: the one that waits longest is told LEAD]
 *   TOLD -> OUT              [on_answer, on the ask's own loop]
 *
 * Equal means: the same model object and the same bytes of key. The hash only says where to look;
 * keys are compared in full, so a collision costs a comparison and nothing else.
 *
 * Threads: any; an ask is its loop's alone but for what the cache writes under its lock. Locks:
 * one a shard, held for a look-up and a comparison, never for an allocation, never two at once.
 * Time is an argument. */
#ifndef GAL_CACHE_CACHE_H
#define GAL_CACHE_CACHE_H

#include "cache/entry.h"
#include "net/loop.h"

struct gal_cache;

struct gal_cache_options {
    size_t bytes_max; /* of all entries; a shard has its even part of it. 0: nothing is kept,
                         equal requests in flight still run once */
    struct gal_hash128 (*hash)(struct gal_str s, uint64_t seed); /* NULL: gal_hash128 */
    uint64_t seed;   /* of the hash; not known to clients */
    unsigned shards; /* a power of two; 0: as many as bytes_max is worth, at most 16 */
};

enum gal_status gal_cache_new(const struct gal_cache_options *options, struct gal_cache **out,
                              struct gal_err *err);
/* No ask may be out. Entries that answers still hold live on. NULL is fine. */
void gal_cache_free(struct gal_cache *c);

/* --- models --- */

/* Sums since the start, read at any time. hit_ns and miss_ns: looking up, and on a miss keeping the
 * answer, without computing it; wait_ns: from asking to the other's answer. */
struct gal_cache_stats {
    uint64_t hits, hit_ns;    /* answered from here, or from Redis */
    uint64_t misses, miss_ns; /* computed, well or not */
    uint64_t waits, wait_ns;  /* answered by an equal request's computation */
    uint64_t evictions;       /* entries that made room for others */
    uint64_t expirations;     /* entries whose time was over when they were asked for */
    uint64_t redis_hits, redis_misses, redis_errors; /* errors: no answer in time, or a wrong one */
    size_t entries, bytes;                           /* in the cache now */
};

enum gal_cache_count {
    GAL_CACHE_HITS,
    GAL_CACHE_HIT_NS,
    GAL_CACHE_MISSES,
    GAL_CACHE_MISS_NS,
    GAL_CACHE_WAITS,
    GAL_CACHE_WAIT_NS,
    GAL_CACHE_EVICTIONS,
    GAL_CACHE_EXPIRATIONS,
    GAL_CACHE_REDIS_HITS,
    GAL_CACHE_REDIS_MISSES,
    GAL_CACHE_REDIS_ERRORS,
    GAL_CACHE_COUNTS
};

/* A model version as the cache knows it: made once for each loaded version, lives as long as the
 * cache. */
struct gal_cache_model {
    unsigned index;             /* gal_model.index */
    const char *name, *version; /* owned copies */
    _Atomic uint64_t n[GAL_CACHE_COUNTS];
    _Atomic size_t entries, bytes;
    _Atomic bool gone;            /* keeps nothing any more */
    struct gal_cache_model *next; /* of all, newest first */
    /* What gal_cache_claim has handed out. */
    _Atomic uint64_t shown[GAL_CACHE_COUNTS];
    _Atomic size_t shown_entries, shown_bytes;
};

/* NULL when memory is out or beyond GAL_CACHE_MODELS_MAX: such a model is not cached. A look-up
 * without a lock once it is made. */
#define GAL_CACHE_MODELS_MAX 65536u
struct gal_cache_model *gal_cache_model(struct gal_cache *c, unsigned index, const char *name,
                                        const char *version);
/* NULL when the index has never asked. */
struct gal_cache_model *gal_cache_find_model(const struct gal_cache *c, unsigned index);
/* All of them, newest first, over ->next. */
struct gal_cache_model *gal_cache_models(const struct gal_cache *c);
/* The version serves no more: drops its entries; answers to requests that are still in flight are
 * handed on, but not kept. */
void gal_cache_forget(struct gal_cache *c, unsigned index);
void gal_cache_count(struct gal_cache_model *m, enum gal_cache_count what, uint64_t by);
void gal_cache_model_stats(const struct gal_cache_model *m, struct gal_cache_stats *out);
/* What has been counted, and how entries and bytes have changed, since the last claim: for metrics,
 * whose writers are many and want each count once. Any thread, without a lock. */
struct gal_cache_claim {
    uint64_t n[GAL_CACHE_COUNTS];
    double entries, bytes;
};
void gal_cache_claim(struct gal_cache_model *m, struct gal_cache_claim *out);
/* Of all models. */
void gal_cache_stats(const struct gal_cache *c, struct gal_cache_stats *out);

/* --- requests --- */

enum gal_cache_answer {
    GAL_CACHE_HIT,       /* ask->entry is the answer; its reference is the asker's */
    GAL_CACHE_LEAD,      /* compute it, then settle or give up */
    GAL_CACHE_WAIT,      /* on_answer comes */
    GAL_CACHE_ALONE,     /* on_answer only: the leader's answer cannot be shared; compute your own,
                            and neither settle nor give up */
    GAL_CACHE_WITHDRAWN, /* on_answer only: as was asked for */
};

struct gal_cache_ask {
    /* filled by the caller; unchanged until the ask is OUT again */
    struct gal_cache_model *model;
    struct gal_str key;
    struct gal_loop *home;
    void (*on_answer)(struct gal_cache_ask *ask); /* on home, once after WAIT; the answer is in
                                                     ask->answer: HIT, LEAD, ALONE, WITHDRAWN */
    /* the cache's */
    enum gal_cache_answer answer;
    struct gal_cache_entry *entry;
    enum { GAL_ASK_OUT, GAL_ASK_LEADING, GAL_ASK_WAITING, GAL_ASK_TOLD } state;
    struct gal_hash128 hash;
    struct gal_cache_ask *leader;       /* WAITING: whose answer */
    struct gal_cache_ask *next, *prev;  /* WAITING: in the leader's line; LEADING: in its bucket */
    struct gal_cache_ask *first, *last; /* LEADING: who waits */
    struct gal_task task;
};

/* A zeroed ask with the caller's fields. Allocates nothing. */
enum gal_cache_answer gal_cache_ask(struct gal_cache *c, struct gal_cache_ask *ask,
                                    uint64_t now_us);
/* The leader's answer: kept for ttl_us (0: for ever) when there is room, handed to all that wait.
 * entry: its reference is borrowed; NULL when the answer cannot be shared: all that wait are told
 * ALONE. */
void gal_cache_settle(struct gal_cache *c, struct gal_cache_ask *ask, struct gal_cache_entry *entry,
                      uint64_t ttl_us, uint64_t now_us);
/* The leader has no answer: the next in the line leads, the others wait for that one. */
void gal_cache_give_up(struct gal_cache *c, struct gal_cache_ask *ask);
/* One that waits leaves the line; on_answer comes, from the loop, as after every WAIT. False when
 * it has been told already: on_answer with that answer is on its way. */
bool gal_cache_withdraw(struct gal_cache *c, struct gal_cache_ask *ask);

/* Asserts every invariant: bounds, sums, lists, order. Tests only. */
void gal_cache_check(struct gal_cache *c);

#endif
