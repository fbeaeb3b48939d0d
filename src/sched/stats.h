/* SPDX-License-Identifier: Apache-2.0 */
/* What one model's scheduler counts: how jobs ended and how long they took, what calls of the
 * engine cost by their number of rows, and the latency that 99 % of the last minute's jobs kept.
 *
 * The scheduler calls gal_stats_submit and gal_stats_job once for each job, as it comes and as it
 * ends, gal_stats_begin before and gal_stats_end after each call of the engine. Counting is a
 * handful of relaxed atomic additions in cells that the thread has almost to itself: no lock, no
 * memory, no clock. Sums are exact once those who count are at rest; meanwhile they may be a job
 * apart from each other.
 * Threads: new and free the owner's; the rest any. */
#ifndef GAL_SCHED_STATS_H
#define GAL_SCHED_STATS_H

#include "sched/sched.h"

/* Threads beyond so many share cells. */
#define GAL_STATS_CELLS_MAX 16u
/* The window of p99 is the current slot and all before it: 50 to 60 s. */
#define GAL_STATS_SLOTS 6u
#define GAL_STATS_SLOT_US 10000000u

struct gal_stats;

/* threads: how many are expected to count (loops and workers); more or fewer are right too.
 * About 32 KiB and 6 KiB a cell. */
enum gal_status gal_stats_new(unsigned threads, struct gal_stats **out, struct gal_err *err);
void gal_stats_free(struct gal_stats *s); /* NULL is fine */

/* A job has been submitted: it is among `in_flight` until gal_stats_job. */
void gal_stats_submit(struct gal_stats *s);
/* A call of the engine begins: it is among `running` until its end. */
void gal_stats_begin(struct gal_stats *s);
/* A call of the engine, as it went. */
struct gal_stats_call {
    size_t rows; /* at least 1 */
    uint64_t input_ns, infer_ns, output_ns;
    uint64_t finished_us; /* monotonic */
    bool failed;          /* counts as an execution and as busy time, not among batches */
};
void gal_stats_end(struct gal_stats *s, const struct gal_stats_call *call);

/* A job has ended: status, rows, submitted_us, started_us (0: never ran) and its call's times are
 * read. ended_us: monotonic; where the job's answer is handed back. */
void gal_stats_job(struct gal_stats *s, const struct gal_job *job, uint64_t ended_us);

/* Fills all that is counted here: everything up to last_finished_wall_us, in_flight, running
 * and p99_us. The
 * rest of *out (waiting, workers, what is chosen) is left as it is. now_us monotonic, wall_us the
 * same moment. */
void gal_stats_read(const struct gal_stats *s, uint64_t now_us, uint64_t wall_us,
                    struct gal_sched_stats *out);
/* As gal_sched_batch_stats: sizes of successful calls, ascending. */
size_t gal_stats_batches(const struct gal_stats *s, struct gal_batch_stats *out, size_t room);

/* ---- the estimate of p99, for tests ---- */

/* Latencies fall into buckets as wide as an eighth of their value at most; from 2^28 us (268 s) on
 * into the last one. */
#define GAL_STATS_BUCKETS 208u
size_t gal_stats_bucket(uint64_t us);
uint64_t gal_stats_bucket_end(size_t bucket); /* the largest latency in it, us */

#endif
