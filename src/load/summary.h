/* SPDX-License-Identifier: Apache-2.0 */
/* The figures of a step as reports show them, small enough to keep for every step; and the figures
 * of several. Pure. */
#ifndef GAL_LOAD_SUMMARY_H
#define GAL_LOAD_SUMMARY_H

#include "load/load.h"
#include "load/stats.h"

#define GAL_CURVE_POINTS 64u

/* Latencies in ns; all 0 when count is 0. */
struct gal_latencies {
    uint64_t count, min, p50, p90, p95, p99, p999, max;
    double mean;
};

struct gal_load_summary {
    uint64_t rows;       /* of a request; 0: unknown */
    size_t connections;  /* concurrency of a closed loop */
    double offered_rate; /* arrivals a second; 0: closed loop */
    struct gal_load_counts counts;
    uint64_t ok, failed;
    double measured_s;
    double rate;                /* good answers a second */
    double rows_rate;           /* rows of good answers a second */
    double bytes_in, bytes_out; /* a second */
    uint64_t held;
    size_t opened;
    int connect_error; /* errno of the latest failure to connect; 0: none */
    bool stopped;
    struct gal_latencies latency, service, delay;
    /* Latency at the shares 1 - 10^(-i/16): 0, 0.134, ... so that each further 16 points are a
     * further nine; points beyond what the count resolves repeat the maximum. */
    double curve[GAL_CURVE_POINTS];
    struct gal_server_stats server; /* of the step; known is false when the server has none */
    double client_busy;             /* share of the client's one core, 0..1; -1: unknown */
    double server_busy;             /* cores of a server that was started here; -1: unknown */
    uint64_t server_rss_bytes;      /* 0: unknown */
    int sample_status;
    char sample[256];
};

/* Fills what a result tells; the step's own fields and those behind `curve` but the sample are the
 * caller's. */
void gal_summary_fill(struct gal_load_summary *s, const struct gal_load_result *r, uint64_t rows);
double gal_curve_share(size_t point);

/* Middle of the values; the mean of the two middle ones of an even number; 0 when there are none.
 * Sorts them. */
double gal_median(double *values, size_t count);

/* Paired ratios a[i] / b[i]. */
struct gal_ratio {
    double median, low, high;
    size_t pairs; /* with both values above 0 */
};
#define GAL_PAIRS_MAX 64u
void gal_ratio_of(const double *a, const double *b, size_t count, struct gal_ratio *out);

#endif
