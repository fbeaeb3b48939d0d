/* SPDX-License-Identifier: Apache-2.0 */
/* What sched.c and turn.c share. Not for other parts. */
#ifndef GAL_SCHED_SCHED_IMPL_H
#define GAL_SCHED_SCHED_IMPL_H

#include "sched/sched.h"

/* One call of the backend. */
struct gal_call {
    const struct gal_value *inputs;
    const size_t *wanted;
    size_t output_count, rows;
    struct gal_arena *arena;
    struct gal_value *outputs;
    uint64_t started_us, finished_us;
};

/* Runs it, counts it, learns its cost; any thread. */
enum gal_status gal_sched_call(struct gal_sched *s, struct gal_call *c, struct gal_err *err);
/* True when the job is to run now; else its status says why it was dropped. */
bool gal_job_begin(struct gal_job *job, uint64_t now_us);
/* Runs a job that has begun, by itself. */
void gal_job_run(struct gal_job *job, uint64_t now_us);
/* The job's last step, on its home: after on_done neither job nor scheduler may be there. */
void gal_job_finish(struct gal_job *job);
/* Rows that one inline call may have. */
size_t gal_sched_rows_max(const struct gal_sched *s);
const struct gal_sched_options *gal_sched_options(const struct gal_sched *s);

/* turn.c: puts a job behind those that wait. */
void gal_turn_add(struct gal_turn *t, struct gal_job *job);
/* Gives back a job's share of a batch's outputs. */
void gal_batch_unref(struct gal_batch *b);

#endif
