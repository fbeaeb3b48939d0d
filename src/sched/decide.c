/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/decide.h"

#define WEIGHT_SAMPLES 16
#define SAMPLE_FACTOR_MAX 8.0

/* Mean over `samples` earlier values and this one, the old ones fading. */
static double fold(double mean, uint64_t samples, double value)
{
    if (samples == 0)
        return value;
    double most =
        mean * SAMPLE_FACTOR_MAX + 1000.0; /* 1 us: the clock's grain must not pin it at 0 */
    if (value > most)
        value = most;
    uint64_t weight = samples + 1 < WEIGHT_SAMPLES ? samples + 1 : WEIGHT_SAMPLES;
    return mean + (value - mean) / (double)weight;
}

void gal_cost_observe(struct gal_cost *c, size_t rows, uint64_t cost_us)
{
    double ns = (double)cost_us * 1000.0;
    if (rows <= 1) {
        c->base_ns = fold(c->base_ns, c->samples, ns);
        c->samples++;
        return;
    }
    if (c->samples == 0) {
        /* Only batches so far: the whole cost, shared out evenly. */
        c->base_ns = fold(c->base_ns, c->row_samples, ns / (double)rows);
        c->row_ns = c->base_ns;
    } else {
        double rest = ns > c->base_ns ? ns - c->base_ns : 0.0;
        c->row_ns = fold(c->row_ns, c->row_samples, rest / (double)(rows - 1));
    }
    c->row_samples++;
}

static double estimate_ns(const struct gal_cost *c, size_t rows)
{
    double row_ns = c->row_samples ? c->row_ns : c->base_ns;
    return c->base_ns + (rows > 1 ? row_ns * (double)(rows - 1) : 0.0);
}

uint64_t gal_cost_estimate_us(const struct gal_cost *c, size_t rows)
{
    if (c->samples == 0 && c->row_samples == 0)
        return 0;
    double us = estimate_ns(c, rows) / 1000.0;
    if (us >= 1e18)
        return UINT64_C(1000000000000000000);
    return us < 1.0 ? 1 : (uint64_t)us;
}

bool gal_cost_is_inline(const struct gal_cost *c, size_t rows, uint64_t inline_us_max)
{
    uint64_t us = gal_cost_estimate_us(c, rows);
    return us > 0 && us <= inline_us_max;
}

size_t gal_cost_inline_rows_max(const struct gal_cost *c, uint64_t inline_us_max)
{
    if (!gal_cost_is_inline(c, 1, inline_us_max))
        return 0;
    double row_ns = c->row_samples ? c->row_ns : c->base_ns;
    double room_ns = ((double)inline_us_max + 1.0) * 1000.0 - c->base_ns;
    double rows = row_ns > 0.0 ? 1.0 + room_ns / row_ns : 1e18;
    size_t most = rows < 1e18 ? (size_t)rows : SIZE_MAX;
    /* Rounding may have gone a row too far. */
    return most > 1 && !gal_cost_is_inline(c, most, inline_us_max) ? most - 1 : most;
}

bool gal_job_is_late(uint64_t deadline_us, uint64_t now_us)
{
    return deadline_us != 0 && now_us >= deadline_us;
}

bool gal_workers_want_one(size_t waiting, unsigned idle, unsigned started, unsigned workers_max)
{
    return waiting > idle && started < workers_max;
}
