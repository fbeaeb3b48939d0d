/* SPDX-License-Identifier: Apache-2.0 */
/* Counters, gauges and histograms, for Prometheus (watch/exposition.h).
 *
 * Families are rows of watch/metrics.def. A series is a family with label values; it is made once
 * (a lock, an allocation) and then known by a number. Every loop owns a shard: adding is an
 * unlocked store into the shard's own cells, a scrape sums the shards. Cells may be read while
 * they are written: each is a relaxed atomic of one writer. */
#ifndef GAL_WATCH_METRICS_H
#define GAL_WATCH_METRICS_H

#include "watch/exposition.h"

enum gal_metric {
#define GAL_METRIC_ROW(id, name, type, unit_buckets, labels, help) GAL_METRIC_##id,
#include "watch/metrics.def"
#undef GAL_METRIC_ROW
    GAL_METRIC_COUNT
};

struct gal_metrics; /* the process's */
struct gal_shard;   /* one writer's cells */

typedef unsigned gal_series; /* 0 is a series that counts nowhere */

enum gal_status gal_metrics_new(struct gal_metrics **out, struct gal_err *err);
void gal_metrics_free(struct gal_metrics *m); /* frees its shards too */
/* A shard for the calling thread's use alone; lives as long as m. Any thread may ask. */
enum gal_status gal_metrics_shard(struct gal_metrics *m, struct gal_shard **out,
                                  struct gal_err *err);
/* Finds or makes the series with these label values (as many as the row names, in its order,
 * copied). Any thread; takes a lock: keep the number. 0 beyond GAL_SERIES_MAX,
 * when memory is out, or when the labels take more than 4 KiB. */
#define GAL_SERIES_MAX 20000u
gal_series gal_metrics_series(struct gal_metrics *m, enum gal_metric metric,
                              const struct gal_str *labels); /* NULL for a row without labels */
/* The shard's owner only: counters add, histograms observe: nanoseconds, or a plain number where
 * the row's buckets are of numbers (watch/buckets.h). Both allocate at the first use of a series in
 * the shard at most, never after; when memory is out nothing is counted. */
void gal_shard_add(struct gal_shard *s, gal_series series, uint64_t by);
void gal_shard_observe(struct gal_shard *s, gal_series histogram, uint64_t value);
void gal_shard_observe_us(struct gal_shard *s, gal_series histogram, uint64_t us);
/* What all shards have counted in a series of a counter. Any thread; takes the lock. */
uint64_t gal_metrics_sum(struct gal_metrics *m, gal_series counter);
/* Gauges belong to the process: set or add from any thread. */
void gal_gauge_set(struct gal_metrics *m, gal_series series, double value);
void gal_gauge_add(struct gal_metrics *m, gal_series series, double by);
/* Series live as long as the process: a model that is gone keeps its counts. A gauge of what is
 * gone is left out of the exposition until it is set again. */
void gal_gauge_hide(struct gal_metrics *m, gal_series series);

/* Writes all families in the table's order, series sorted by label. A row without labels is one
 * series from the start; other families appear with their first series. Any thread. */
void gal_metrics_render(struct gal_metrics *m, struct gal_expo *e);
/* Writes process_*, galley_allocations_total and galley_build_info, read from the system right
 * now. start_wall_us as given. */
void gal_metrics_render_process(struct gal_expo *e, uint64_t start_wall_us);

#endif
