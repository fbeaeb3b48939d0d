/* SPDX-License-Identifier: Apache-2.0 */
#include "load/summary.h"

#include <math.h>
#include <stdlib.h>

static void take_latencies(struct gal_latencies *out, const struct gal_histogram *h)
{
    *out = (struct gal_latencies){
        .count = h->count,
        .min = h->count ? h->min : 0,
        .p50 = gal_histogram_quantile(h, 0.5),
        .p90 = gal_histogram_quantile(h, 0.9),
        .p95 = gal_histogram_quantile(h, 0.95),
        .p99 = gal_histogram_quantile(h, 0.99),
        .p999 = gal_histogram_quantile(h, 0.999),
        .max = h->max,
        .mean = gal_histogram_mean(h),
    };
}

double gal_curve_share(size_t point)
{
    return 1 - pow(10, -(double)point / 16);
}

void gal_summary_fill(struct gal_load_summary *s, const struct gal_load_result *r, uint64_t rows)
{
    double seconds = (double)r->measured_ns / 1e9, a_second = seconds > 0 ? 1 / seconds : 0;

    s->rows = rows;
    s->counts = r->counts;
    s->ok = gal_load_ok(&r->counts);
    s->failed = gal_load_failed(&r->counts);
    s->measured_s = seconds;
    s->rate = gal_load_rate(r);
    s->rows_rate = s->rate * (double)rows;
    s->bytes_in = (double)r->bytes_in * a_second;
    s->bytes_out = (double)r->bytes_out * a_second;
    s->held = r->held;
    s->opened = r->opened;
    s->connect_error = r->connect_error;
    s->stopped = r->stopped;
    take_latencies(&s->latency, &r->latency);
    take_latencies(&s->service, &r->service);
    take_latencies(&s->delay, &r->delay);
    for (size_t i = 0; i < GAL_CURVE_POINTS; i++)
        s->curve[i] = (double)gal_histogram_quantile(&r->latency, gal_curve_share(i));
    s->sample_status = r->sample_status;
    memcpy(s->sample, r->sample, sizeof s->sample);
}

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

double gal_median(double *values, size_t count)
{
    if (count == 0)
        return 0;
    qsort(values, count, sizeof *values, by_value);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

void gal_ratio_of(const double *a, const double *b, size_t count, struct gal_ratio *out)
{
    double ratios[GAL_PAIRS_MAX];

    *out = (struct gal_ratio){0};
    for (size_t i = 0; i < count && out->pairs < GAL_PAIRS_MAX; i++) {
        if (a[i] > 0 && b[i] > 0)
            ratios[out->pairs++] = a[i] / b[i];
    }
    if (out->pairs == 0)
        return;
    out->median = gal_median(ratios, out->pairs);
    out->low = ratios[0];
    out->high = ratios[out->pairs - 1];
}
