/* SPDX-License-Identifier: Apache-2.0 */
/* The scheduler's decisions as pure functions of state and time. */
#ifndef GAL_SCHED_DECIDE_H
#define GAL_SCHED_DECIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Running estimate of what an inference costs: a fixed part and a part a row, both in nanoseconds,
 * as exponentially weighted means (weight 1/16). Zero-initialised: nothing known. */
struct gal_cost {
    uint64_t samples;
    double base_ns; /* cost of one row */
    double row_ns;  /* each further row */
};

void gal_cost_observe(struct gal_cost *c, size_t rows, uint64_t cost_us);
/* Expected microseconds; 0 when nothing is known. */
uint64_t gal_cost_estimate_us(const struct gal_cost *c, size_t rows);
/* Unknown cost counts as too dear: an unmeasured model never blocks a loop. */
bool gal_cost_is_inline(const struct gal_cost *c, size_t rows, uint64_t inline_us_max);

#endif
