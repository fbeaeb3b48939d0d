/* SPDX-License-Identifier: Apache-2.0 */
/* The jobs that one turn of a loop has read, until its end. Those of a cheap model run there, as
 * one call where its rows are apart: on a small model 32 rows cost little more than one. Those of
 * other models go into their queues together: a worker that wakes finds all of them. An idle loop
 * ends its turn at once, so nothing waits for company. One a loop; the loop's thread. */
#ifndef GAL_SCHED_TURN_H
#define GAL_SCHED_TURN_H

#include "sched/sched.h"

/* Jobs of a kind that wait at most: one more runs, or sends, all of them. */
#define GAL_TURN_JOBS_MAX 64u
#define GAL_TURN_GATHERS_MAX 16u

enum gal_status gal_turn_new(const struct gal_clock *clock, struct gal_turn **out,
                             struct gal_err *err);
void gal_turn_free(struct gal_turn *t); /* no job may wait or hold outputs; NULL is fine */
/* Runs all that wait, or hands them to their queues; on_done may be called from inside. */
void gal_turn_run(struct gal_turn *t);
/* At a turn's end: true while it pays to take what else is ready before running: jobs of a dear
 * model (one_core) wait, this turn has brought some, and more fit into their call. The caller then
 * ends another turn at once, without sleeping. At most GAL_TURN_GATHERS_MAX times in a row. */
bool gal_turn_gathers(struct gal_turn *t);
bool gal_turn_waits(const struct gal_turn *t); /* a job does */

#endif
