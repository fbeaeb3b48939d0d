/* SPDX-License-Identifier: Apache-2.0 */
/* What one turn of a loop has read for the same model runs as one call of the engine at its end:
 * on a small model 32 rows cost little more than one. An idle loop runs a lone job at the end of
 * the turn that read it, so nothing waits for company.
 *
 * Only jobs whose model is known to treat rows apart (gal_sched_stack) come here. Jobs that agree
 * in everything but their rows are put behind each other; when the call for all fails, each runs
 * alone, so that a bad one fails alone. One a loop; the loop's thread. */
#ifndef GAL_SCHED_TURN_H
#define GAL_SCHED_TURN_H

#include "sched/sched.h"

/* Jobs that wait at most: one more runs all of them. */
#define GAL_TURN_JOBS_MAX 32u

enum gal_status gal_turn_new(const struct gal_clock *clock, struct gal_turn **out,
                             struct gal_err *err);
void gal_turn_free(struct gal_turn *t); /* no job may wait or hold outputs; NULL is fine */
/* Runs all that wait; on_done is called for each from inside. */
void gal_turn_run(struct gal_turn *t);
bool gal_turn_waits(const struct gal_turn *t); /* a job does */

#endif
