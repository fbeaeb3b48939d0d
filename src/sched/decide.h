/* SPDX-License-Identifier: Apache-2.0 */
/* The scheduler's decisions as pure functions of state and time. */
#ifndef GAL_SCHED_DECIDE_H
#define GAL_SCHED_DECIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Running estimate of what an inference costs: a fixed part and a part a row, both in nanoseconds,
 * as exponentially weighted means (weight 1/16; a plain mean until there are 16 samples).
 * A sample counts for at most 8 times the estimate: one that met a busy machine does not send a
 * cheap model to workers, a model that became dear is known as such after a few samples.
 * Zero-initialised: nothing known. */
struct gal_cost {
    uint64_t samples;     /* of one row */
    uint64_t row_samples; /* of more rows */
    double base_ns;       /* cost of one row */
    double row_ns;        /* each further row; taken as base_ns while row_samples is 0 */
};

void gal_cost_observe(struct gal_cost *c, size_t rows, uint64_t cost_us);
/* Expected microseconds, at least 1; 0 when nothing is known. */
uint64_t gal_cost_estimate_us(const struct gal_cost *c, size_t rows);
/* Unknown cost counts as too dear: an unmeasured model never blocks a loop. */
bool gal_cost_is_inline(const struct gal_cost *c, size_t rows, uint64_t inline_us_max);
/* The most rows for which gal_cost_is_inline holds; 0: none. */
size_t gal_cost_inline_rows_max(const struct gal_cost *c, uint64_t inline_us_max);

/* deadline 0: none. */
bool gal_job_is_late(uint64_t deadline_us, uint64_t now_us);
/* Another worker thread is worth starting: more jobs wait than idle workers can take. */
bool gal_workers_want_one(size_t waiting, unsigned idle, unsigned started, unsigned workers_max);

#endif
