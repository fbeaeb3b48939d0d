/* SPDX-License-Identifier: Apache-2.0 */
/* How much of its time a loop spends on refusing. A server that is offered more than it can do has
 * to refuse the rest, and who ignores Retry-After and sends again at once could have the loop do
 * nothing else. So a connection whose request was refused (429, 503) is not read from for a while:
 * as long as it takes until all refusals so far are GAL_PACE_SHARE of the time. That is nothing for
 * one that comes now and then, nor for the burst of a bad moment, whose share of GAL_PACE_CREDIT_US
 * was not used before: the next request on such a connection is as welcome as any. It is at most
 * GAL_PACE_PAUSE_US_MAX, less than Retry-After tells.
 *
 * Pauses end in the order in which they were given. When nothing was refused for GAL_PACE_CALM_US,
 * all of them are over, and no time is owed any more.
 *
 * Pure: times are monotonic microseconds. One a loop; zeroed: nothing refused yet. */
#ifndef GAL_SERVER_PACE_H
#define GAL_SERVER_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GAL_PACE_SHARE 20u /* one part in so many: 5 % */
#define GAL_PACE_PAUSE_US_MAX 1000000u
#define GAL_PACE_PAUSE_US_MIN 1000u /* shorter ones are none: what a timer can tell apart */
#define GAL_PACE_CREDIT_US 500000u
#define GAL_PACE_CALM_US 100000u

struct gal_pace {
    uint64_t paid_us; /* when all that was refused will have been the share of the time; before
                       * the present while there is credit */
    uint64_t last_us; /* refusal */
};

/* What refusing one request has cost: the time that its handler took and, in round figures, what
 * the kernel and the parser take for a request of so many bytes. */
uint64_t gal_pace_cost(uint64_t handled_us, size_t bytes);
/* A request was refused at now_us; returns the pause. */
uint64_t gal_pace_refused(struct gal_pace *p, uint64_t now_us, uint64_t cost_us);
/* When the calm begins if nothing more is refused. */
uint64_t gal_pace_calm_us(const struct gal_pace *p);

#endif
