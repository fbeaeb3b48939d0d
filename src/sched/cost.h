/* SPDX-License-Identifier: Apache-2.0 */
/* What a call costs by its number of rows, measured as it runs: a running mean for each of the
 * sizes 1, 2, 4, ... 2^(GAL_COST_SIZES-1), straight lines between them. Pure; the owner's lock
 * guards it.
 *
 * Means are exponentially weighted (weight 1/16; a plain mean until there are 16 samples). A sample
 * counts for at most 8 times the present mean and a microsecond: one that met a busy machine does
 * not spoil it, a model that became dear is known as such after a few samples. A sample between two
 * sizes counts for the nearer one (the larger when both are as near), scaled along the present
 * curve. Zero-initialised: nothing known.
 *
 * More rows are never estimated cheaper. A sample that contradicts the mean of another size (fewer
 * rows that cost more, more rows that cost less) also moves that one by 1/16 towards it: what is
 * not run any more does not keep an old figure for ever. What contradiction is left between
 * neighbouring means is levelled out to their average in the curve, which estimates come from. */
#ifndef GAL_SCHED_COST_H
#define GAL_SCHED_COST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GAL_COST_SIZES 12u /* up to 2048 rows; beyond it in proportion */

struct gal_cost {
    uint64_t samples[GAL_COST_SIZES];
    double ns[GAL_COST_SIZES];     /* mean cost of 2^i rows */
    double curve[GAL_COST_SIZES];  /* estimate of 2^i rows, measured or not; never falling */
    uint64_t seen[GAL_COST_SIZES]; /* number of the last sample, of all sizes together */
    uint64_t total;
    double spread; /* mean of |sample / estimate - 1|, each at most 1 */
    uint64_t spread_samples;
};

/* What a call of `rows` rows took. */
void gal_cost_observe(struct gal_cost *c, size_t rows, uint64_t cost_ns);
/* Expected nanoseconds of one call, at least 1; 0 when nothing is known. Between known sizes along
 * the straight line. Beyond them along the line through the outermost known size and the nearest
 * known one that has at least four times (below: a quarter of) its rows, or the farthest when none
 * has: neighbours that differ by noise alone do not steer it. Below the smallest known size never
 * less than rows' share of its cost. With one size known, in proportion to rows. */
uint64_t gal_cost_estimate_ns(const struct gal_cost *c, size_t rows);
uint64_t gal_cost_estimate_us(const struct gal_cost *c,
                              size_t rows); /* rounded, at least 1; 0: unknown */
/* The estimate of who decides what may be tried: up to twice the largest size that one of the last
 * GAL_COST_FRESH calls had, no more than that size costs. A size that was never run, or seemed too
 * dear at a bad moment, is tried once in so many calls instead of never. 0: unknown. */
#define GAL_COST_FRESH 1000u
uint64_t gal_cost_hope_ns(const struct gal_cost *c, size_t rows);
/* What nearly every call stays within: gal_cost_hope_ns and three times the mean deviation that
 * calls showed (about 99 of 100 where they deviate like the normal distribution), at most twice it.
 * Microseconds, rounded up; 0: unknown. */
uint64_t gal_cost_most_us(const struct gal_cost *c, size_t rows);
/* Unknown cost counts as too dear: an unmeasured model never blocks a loop. */
bool gal_cost_is_inline(const struct gal_cost *c, size_t rows, uint64_t inline_us_max);
/* The most rows (at most rows_max) whose call costs at most `us`; 0: none, or unknown. Agrees with
 * gal_cost_is_inline. */
size_t gal_cost_rows_within(const struct gal_cost *c, uint64_t us, size_t rows_max);
/* The same for gal_cost_hope_ns: a size that once seemed too dear is tried again. */
size_t gal_cost_rows_hoped(const struct gal_cost *c, uint64_t us, size_t rows_max);
/* The same for gal_cost_most_us; at least 1, rows_max when nothing is known. */
size_t gal_cost_rows_within_most(const struct gal_cost *c, uint64_t us, size_t rows_max);
/* What a row costs less in a call of many than alone, nanoseconds: by the largest size of several
 * rows that one of the last GAL_COST_FRESH calls had. UINT64_MAX: none had, or none was of one row,
 * so nothing is known; try. */
uint64_t gal_cost_saved_ns(const struct gal_cost *c);
/* Rows a second that calls of `rows` rows give; 0: unknown. */
double gal_cost_rate(const struct gal_cost *c, size_t rows);

#endif
