/* SPDX-License-Identifier: Apache-2.0 */
/* Writes metrics for who scrapes them, in the format that was agreed on:
 *
 *   TEXT         Prometheus text 0.0.4
 *   OPENMETRICS  OpenMetrics text 1.0.0
 *   PROTOBUF     io.prometheus.client.MetricFamily messages, each behind its length: the one format
 *                that carries native histograms
 *
 * A family is begun, its samples follow. Failures (memory, the buffer's maximum) show in
 * out->failed. One thread. */
#ifndef GAL_WATCH_EXPOSITION_H
#define GAL_WATCH_EXPOSITION_H

#include "base/buf.h"
#include "watch/buckets.h"

enum gal_expo_format { GAL_EXPO_TEXT, GAL_EXPO_OPENMETRICS, GAL_EXPO_PROTOBUF };
enum gal_expo_type { GAL_EXPO_COUNTER, GAL_EXPO_GAUGE, GAL_EXPO_HISTOGRAM };

/* Best of the three for an Accept header (RFC 9110 12.5.1 with q values; ties go to the first
 * named); TEXT when it is absent or names nothing that is there. */
enum gal_expo_format gal_expo_choose(struct gal_str accept);
struct gal_str gal_expo_content_type(enum gal_expo_format format); /* static text */

struct gal_expo {
    enum gal_expo_format format;
    struct gal_buf *out;
    const char *name; /* of the family under way; borrowed */
    enum gal_expo_type type;
    bool open; /* PROTOBUF: a family is in `family` */
    struct gal_buf family, metric, part;
};

void gal_expo_init(struct gal_expo *e, enum gal_expo_format format, struct gal_buf *out);
/* name and help stay until the next family; help is plain text of one line. */
void gal_expo_family(struct gal_expo *e, const char *name, enum gal_expo_type type,
                     const char *help);
/* labels: `model="x",status="ok"`, escaped as gal_expo_put_labels does; "" for none. A sample of a
 * counter or gauge. */
void gal_expo_u64(struct gal_expo *e, const char *labels, uint64_t v);
void gal_expo_f64(struct gal_expo *e, const char *labels, double v);

/* The counts of a histogram, not cumulative. */
struct gal_expo_histogram {
    const struct gal_bucket_list *list;
    const uint64_t *classic; /* list->count + 1 */
    const uint64_t *native;  /* the zero bucket, then list->native_count; NULL unless PROTOBUF */
    uint64_t sum;
};
void gal_expo_histogram(struct gal_expo *e, const char *labels, const struct gal_expo_histogram *h);
/* The last family ends, and the page. Releases what init took. */
void gal_expo_end(struct gal_expo *e);

/* names, comma-separated, with a value each. Quotes, backslashes and line ends are escaped; a NUL,
 * and what is not UTF-8 and would spoil the whole page, become `?`. */
void gal_expo_put_labels(struct gal_buf *out, const char *names, const struct gal_str *values);

/* expo_proto.c: PROTOBUF's part of the above. */
void gal_expo_proto_family(struct gal_expo *e, const char *help);
void gal_expo_proto_value(struct gal_expo *e, const char *labels, double v);
void gal_expo_proto_histogram(struct gal_expo *e, const char *labels,
                              const struct gal_expo_histogram *h);
void gal_expo_proto_flush(struct gal_expo *e);

#endif
