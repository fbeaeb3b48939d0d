/* SPDX-License-Identifier: Apache-2.0 */
/* Durations counted in cells whose width grows with the value: constant memory, and a percentile
 * that is within 0.1 % of the exact one. Up to 1,023 every value has a cell of its own; above, each
 * doubling has 512 of equal width. Values beyond the last cell (73 minutes in ns) count there;
 * min, max and mean are exact. Not thread-safe. */
#ifndef GAL_LOAD_HISTOGRAM_H
#define GAL_LOAD_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#define GAL_HISTOGRAM_BITS 42 /* values below 2^42 */
#define GAL_HISTOGRAM_FINE 9  /* 2^9 cells a doubling */
#define GAL_HISTOGRAM_CELLS                                                                        \
    (((size_t)GAL_HISTOGRAM_BITS - GAL_HISTOGRAM_FINE + 1) << GAL_HISTOGRAM_FINE)

struct gal_histogram {
    uint64_t count, min, max; /* min is UINT64_MAX and max 0 while count is 0 */
    double sum;
    uint64_t cells[GAL_HISTOGRAM_CELLS];
};

void gal_histogram_clear(struct gal_histogram *h); /* also makes a new one ready */
void gal_histogram_add(struct gal_histogram *h, uint64_t value);
void gal_histogram_merge(struct gal_histogram *to, const struct gal_histogram *from);
/* The value that the share q (0..1) of all does not pass: the one of rank ceil(q * count); 0 when
 * there are none. */
uint64_t gal_histogram_quantile(const struct gal_histogram *h, double q);
double gal_histogram_mean(const struct gal_histogram *h); /* 0 when there are none */
/* How many values lie in cells up to that of `value`. */
uint64_t gal_histogram_count_to(const struct gal_histogram *h, uint64_t value);
/* Visits cells that are not empty, from small to large: the values of one are low..high. */
void gal_histogram_each(const struct gal_histogram *h,
                        void (*visit)(uint64_t low, uint64_t high, uint64_t count, void *ctx),
                        void *ctx);

#endif
