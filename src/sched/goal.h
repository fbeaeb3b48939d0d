/* SPDX-License-Identifier: Apache-2.0 */
/* A goal instead of knobs: the user names the latency that 99 % of the answers shall keep
 * (`latency_target`), this part chooses the largest batch and who is turned away, from
 * the measured cost curve and the measured arrival rate. Pure; the scheduler's lock guards it.
 *
 * The largest batch. A request that comes while a worker is busy waits for the rest of that call
 * and then for its own, so a call may take half the target: as many rows as that allows, which is
 * also the most capacity that keeps the target. Untold, batches stay as small as the load lets
 * them. Where not even that serves what comes (a tight target, a curve that hardly rises), a call
 * may take longer: the size is chosen that serves most requests in time.
 *
 * The delay. None of its own: a worker that is free takes what waits, and batches grow with the
 * load. (Simulated, waiting for company saves workers a fifth of their time at half load and helps
 * neither p99 nor capacity, and it slows clients down that ask again when they are answered, for
 * whom no company can come.) A delay that the user wants is cut to what two calls leave of the
 * target.
 *
 * Turning away. A request whose predicted end (rest of the running calls, calls of those ahead of
 * it, its own, and what calls deviate by) lies behind the target, or would make
 * those late whose call it lengthens, is shed at once, unless it can begin at once: the curve goes
 * on being measured, and a target below the cost of a single call does not stop the model.
 *
 * Feedback. Estimates are means; `margin` is the share of the target that predictions may use. It
 * shrinks as soon as more than 0.6 % of the answers of a window are over the target and grows while
 * fewer than 0.2 % are. */
#ifndef GAL_SCHED_GOAL_H
#define GAL_SCHED_GOAL_H

#include "sched/cost.h"
#include "sched/policy.h"

struct gal_goal {
    uint64_t target_us; /* 0: no goal; nothing below is used */
    /* arrival rate, exponentially weighted */
    double rate;            /* rows a second, turned away or not; 0: unknown */
    uint64_t rate_since_us; /* start of the present window */
    uint64_t rate_rows;     /* rows in it */
    /* feedback */
    double margin;          /* share of the target that plans may use, 0.4..1 */
    uint64_t answers, over; /* of the present window */
    uint64_t judged_us;
};

struct gal_goal_plan {
    size_t rows_max;   /* of a call; at least 1 */
    uint64_t delay_us; /* for company: the policy's, cut */
};

void gal_goal_init(struct gal_goal *g, uint64_t target_us);
/* Every request that comes, before it is known whether it is shed. */
void gal_goal_on_arrival(struct gal_goal *g, size_t rows, uint64_t now_us);
/* Time from submission to the end of its call, and what it is believed to have waited before; only
 * of requests that ran. */
void gal_goal_on_answer(struct gal_goal *g, uint64_t latency_us, uint64_t now_us);
/* For gal_queue_bound. Worth asking again after every call or every few dozen arrivals. */
struct gal_goal_plan gal_goal_plan(const struct gal_goal *g, const struct gal_cost *cost,
                                   unsigned workers, const struct gal_policy *policy);
/* Predicted time to the end for a request of `rows` that comes now: rows_ahead wait before it
 * (gal_queue_rows_ahead), `running` of the workers are within a call for which `rest_us` are left
 * on average, delay_us is what a batch waits for company, rows_max its bound. 0: unknown. */
struct gal_goal_view {
    size_t rows, rows_ahead, rows_max;
    unsigned running, workers;
    uint64_t rest_us;
    uint64_t delay_us;
    uint64_t oldest_us; /* how long the first in line has waited (gal_queue_oldest_us); for sheds */
};
uint64_t gal_goal_predict_us(const struct gal_cost *cost, const struct gal_goal_view *v);
/* Whether the request is to be turned away (OVERLOADED). */
bool gal_goal_sheds(const struct gal_goal *g, const struct gal_cost *cost,
                    const struct gal_goal_view *v);

#endif
