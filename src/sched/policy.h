/* SPDX-License-Identifier: Apache-2.0 */
/* How one model's requests are batched and what may wait: plain numbers, filled from galley's
 * configuration or from a config.pbtxt (model/config.h), read by the queue (sched/queue.h).
 * gal_policy_init gives what galley does untold. */
#ifndef GAL_SCHED_POLICY_H
#define GAL_SCHED_POLICY_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GAL_LEVELS_MAX 32u    /* priorities of a model */
#define GAL_PREFERRED_MAX 16u /* preferred batch sizes of a model */

/* What becomes of a request that waited longer than its level's timeout. */
enum gal_timeout_action {
    GAL_TIMEOUT_REJECT, /* it ends as DEADLINE */
    GAL_TIMEOUT_DELAY,  /* it waits on, behind all that are not late */
};

/* One priority level's queue. */
struct gal_level_policy {
    size_t jobs_max;     /* requests waiting in this level; 0: the model's bound alone */
    uint64_t timeout_us; /* longest wait; 0: none */
    enum gal_timeout_action action;
    bool override; /* a request's own timeout may shorten timeout_us (never lengthen it) */
};

struct gal_policy {
    size_t rows_max; /* rows of one call; 1: every request runs alone. A larger request still runs,
                        alone */
    size_t preferred[GAL_PREFERRED_MAX]; /* rows; ascending, each at most rows_max */
    size_t preferred_count;
    uint64_t delay_us_max; /* how long the oldest request waits for company; 0: not at all */
    bool keep_order;       /* answers leave in the order in which requests were taken up */
    unsigned levels;       /* 1..GAL_LEVELS_MAX; level 1 is the most urgent */
    unsigned default_level;
    struct gal_level_policy level[GAL_LEVELS_MAX]; /* level 1 at [0] */
    size_t jobs_max;                               /* requests waiting in all levels */
    size_t bytes_max;                              /* of their memory */
    bool bytes_told;                               /* else it follows from the process's */
    uint64_t target_us; /* latency that 99 % shall keep (sched/goal.h); 0: none */
};

/* Batches up to GAL_BATCH_ROWS_MAX, no delay, one level whose requests may bring a timeout,
 * GAL_QUEUE_MAX waiting requests, GAL_QUEUE_BYTES_MAX. */
void gal_policy_init(struct gal_policy *p);
/* INVALID with the field's name as place when a field is out of bounds or two contradict. */
enum gal_status gal_policy_check(const struct gal_policy *p, struct gal_err *err);
/* The settings that only a queue can keep: company, an order or a size is wanted. Returns how many
 * there are, and their names where names is not NULL. */
#define GAL_POLICY_NEEDS_MAX 4u
size_t gal_policy_needs_queue(const struct gal_policy *p, const char *names[GAL_POLICY_NEEDS_MAX]);

#endif
