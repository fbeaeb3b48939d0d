/* SPDX-License-Identifier: Apache-2.0 */
#include "load/histogram.h"

#include <math.h>
#include <string.h>

#define CELLS_A_DOUBLING (UINT64_C(1) << GAL_HISTOGRAM_FINE)
#define VALUE_MAX ((UINT64_C(1) << GAL_HISTOGRAM_BITS) - 1)

/* A value's first GAL_HISTOGRAM_FINE + 1 bits, and how many follow, name its cell. */
static size_t cell_of(uint64_t value)
{
    unsigned shift;

    if (value < 2 * CELLS_A_DOUBLING)
        return (size_t)value;
    if (value > VALUE_MAX)
        value = VALUE_MAX;
    shift = 63u - (unsigned)__builtin_clzll(value) - GAL_HISTOGRAM_FINE;
    return (size_t)((shift * CELLS_A_DOUBLING) + (value >> shift));
}

static uint64_t cell_low(size_t cell)
{
    uint64_t shift = cell < 2 * CELLS_A_DOUBLING ? 0 : cell / CELLS_A_DOUBLING - 1;
    return (cell - shift * CELLS_A_DOUBLING) << shift;
}

static uint64_t cell_high(size_t cell)
{
    return cell_low(cell + 1) - 1;
}

void gal_histogram_clear(struct gal_histogram *h)
{
    memset(h, 0, sizeof *h);
    h->min = UINT64_MAX;
}

void gal_histogram_add(struct gal_histogram *h, uint64_t value)
{
    h->cells[cell_of(value)]++;
    h->count++;
    h->sum += (double)value;
    h->min = value < h->min ? value : h->min;
    h->max = value > h->max ? value : h->max;
}

void gal_histogram_merge(struct gal_histogram *to, const struct gal_histogram *from)
{
    for (size_t i = 0; i < GAL_HISTOGRAM_CELLS; i++)
        to->cells[i] += from->cells[i];
    to->count += from->count;
    to->sum += from->sum;
    to->min = from->min < to->min ? from->min : to->min;
    to->max = from->max > to->max ? from->max : to->max;
}

static uint64_t within(const struct gal_histogram *h, uint64_t value)
{
    value = value < h->min ? h->min : value;
    return value > h->max ? h->max : value;
}

uint64_t gal_histogram_quantile(const struct gal_histogram *h, double q)
{
    double wanted = ceil(q * (double)h->count);
    uint64_t rank = wanted < 1 ? 1 : (uint64_t)wanted, seen = 0;

    if (h->count == 0)
        return 0;
    if (rank >= h->count)
        return h->max;
    for (size_t i = 0; i < GAL_HISTOGRAM_CELLS; i++) {
        seen += h->cells[i];
        if (seen >= rank)
            return within(h, cell_low(i) + (cell_high(i) - cell_low(i)) / 2);
    }
    return h->max;
}

double gal_histogram_mean(const struct gal_histogram *h)
{
    return h->count ? h->sum / (double)h->count : 0;
}

uint64_t gal_histogram_count_to(const struct gal_histogram *h, uint64_t value)
{
    size_t last = cell_of(value);
    uint64_t count = 0;

    for (size_t i = 0; i <= last; i++)
        count += h->cells[i];
    return count;
}

void gal_histogram_each(const struct gal_histogram *h,
                        void (*visit)(uint64_t low, uint64_t high, uint64_t count, void *ctx),
                        void *ctx)
{
    for (size_t i = 0; i < GAL_HISTOGRAM_CELLS; i++) {
        if (h->cells[i])
            visit(cell_low(i), cell_high(i), h->cells[i], ctx);
    }
}
