/* SPDX-License-Identifier: Apache-2.0 */
/* One loop's connection to a Redis that processes share. Its loss costs speed alone: what is not
 * answered in time counts as not found, and while it is away nothing is asked of it.
 *
 *   AWAY -> RESOLVING -> CONNECTING -> GREETING -> READY    (a numeric host skips RESOLVING)
 *   any -> AWAY    [an error, a time-out of any reply; then a pause that doubles up to 10 s]
 *
 * Only READY sends commands of callers. A name is resolved on a thread of its own (the system's
 * resolver blocks), anew for each connection. Loop's thread only; over hiredis. */
#ifndef GAL_CACHE_REDIS_H
#define GAL_CACHE_REDIS_H

#include "cache/hash.h"
#include "cache/redis_url.h"
#include "net/loop.h"

struct gal_redis;

struct gal_redis_options {
    const struct gal_redis_url *url; /* borrowed, for as long as the connection */
    uint64_t reply_us_max;           /* a reply that takes longer is given up; 0: 20 ms */
    uint64_t connect_us_max;         /* connecting and greeting; 0: 1 s */
    uint64_t pause_us_min;           /* before the first new try; 0: 100 ms */
    size_t value_bytes_max;          /* larger ones are neither stored nor read */
    /* The connection has become READY (up), or has left it or has not come there at the first try:
     * `reason` says why. Called for changes only: a further try that fails tells nothing. Not
     * called by gal_redis_free. */
    void (*on_change)(void *ctx, bool up, bool was_up, const char *reason);
    void *ctx;
};

/* Begins to connect at once. The loop and the options' url outlive it. */
enum gal_status gal_redis_new(struct gal_loop *loop, const struct gal_redis_options *options,
                              struct gal_redis **out, struct gal_err *err);
/* Gets under way end as GAL_REDIS_ERROR inside. NULL is fine. */
void gal_redis_free(struct gal_redis *r);
bool gal_redis_is_ready(const struct gal_redis *r);

enum gal_redis_result {
    GAL_REDIS_FOUND,
    GAL_REDIS_ABSENT,
    GAL_REDIS_ERROR, /* no reply in time, a wrong one, or the connection was lost */
};

struct gal_redis_get {
    /* value: borrowed for the call. The get is the caller's again. */
    void (*on_value)(struct gal_redis_get *get, enum gal_redis_result result, struct gal_str value);
    struct gal_redis_slot *slot; /* the connection's, while under way; else NULL */
};

/* False when it cannot be asked now (not READY, or too much is under way): on_value never comes.
 * Else it comes exactly once, from the loop, within reply_us_max or little more. */
bool gal_redis_get(struct gal_redis *r, struct gal_hash128 key, struct gal_redis_get *get);
/* on_value of a get under way will not come. */
void gal_redis_forget(struct gal_redis_get *get);
/* Stores for ttl_us (0: for ever), without an answer to the caller. False when it was not sent. */
bool gal_redis_set(struct gal_redis *r, struct gal_hash128 key, struct gal_str value,
                   uint64_t ttl_us);

#endif
