/* SPDX-License-Identifier: Apache-2.0 */
/* A goal instead of knobs: the user names the latency that 99 % of the answers shall keep
 * (`latency_target`), this part chooses the largest batch, the delay, and who is turned away, from
 * the measured cost curve and the measured arrival rate. Pure; the scheduler's lock guards it.
 *
 * A request that comes while a worker is busy waits for the rest of that call and then for its own:
 * at most two calls when every free worker takes all that wait. So a batch may cost at most a share
 * of half the target. A delay saves work only where calls of few rows keep the workers busy: it is
 * chosen so long that the arrivals of that time let the workers rest a fifth of theirs, and never
 * longer than what the target leaves. A request whose predicted end (rows ahead of it at the best
 * measured rate, the rest of running calls, its own call) lies behind the target is shed at once.
 */
#ifndef GAL_SCHED_GOAL_H
#define GAL_SCHED_GOAL_H

#include "sched/cost.h"

struct gal_goal {
    uint64_t target_us; /* 0: no goal; nothing below is used */
    /* arrival rate, exponentially weighted */
    double rate;            /* rows a second */
    uint64_t rate_since_us; /* start of the present window */
    uint64_t rate_rows;     /* rows in it */
    /* feedback: share of answers over the target in the present window moves `margin` */
    double margin;          /* share of the target that plans may use, 0.3..0.9 */
    uint64_t answers, over; /* of the present window */
    uint64_t judged_us;
};

struct gal_goal_plan {
    size_t rows_max;   /* of a call */
    uint64_t delay_us; /* for company */
};

void gal_goal_init(struct gal_goal *g, uint64_t target_us);
void gal_goal_on_arrival(struct gal_goal *g, size_t rows, uint64_t now_us);
/* Time from submission to the end of its call. */
void gal_goal_on_answer(struct gal_goal *g, uint64_t latency_us, uint64_t now_us);
struct gal_goal_plan gal_goal_plan(const struct gal_goal *g, const struct gal_cost *cost,
                                   unsigned workers, size_t rows_max);
/* Predicted time to the end for a request of `rows` that comes now: rows_ahead wait before it,
 * `running` of the workers are within a call for which `rest_us` are left on average. */
uint64_t gal_goal_predict_us(const struct gal_cost *cost, size_t rows, size_t rows_ahead,
                             unsigned running, uint64_t rest_us, unsigned workers, size_t rows_max);
bool gal_goal_sheds(const struct gal_goal *g, uint64_t predicted_us);

#endif
