/* SPDX-License-Identifier: Apache-2.0 */
/* The protobuf format: io.prometheus.client.MetricFamily (proto2), each behind its length as a
 * varint. Wire format: https://protobuf.dev/programming-guides/encoding/. A message that holds
 * others is written when they are known: value in `part`, sample in `metric`, family in `family`.
 */
#include "watch/exposition.h"

enum {
    FAMILY_NAME = 1,
    FAMILY_HELP = 2,
    FAMILY_TYPE = 3,
    FAMILY_METRIC = 4,
    METRIC_LABEL = 1,
    METRIC_GAUGE = 2,
    METRIC_COUNTER = 3,
    METRIC_HISTOGRAM = 7,
    LABEL_NAME = 1,
    LABEL_VALUE = 2,
    VALUE = 1, /* of a gauge, a counter */
    HISTOGRAM_COUNT = 1,
    HISTOGRAM_SUM = 2,
    HISTOGRAM_BUCKET = 3,
    HISTOGRAM_SCHEMA = 5,
    HISTOGRAM_ZERO_THRESHOLD = 6,
    HISTOGRAM_ZERO_COUNT = 7,
    HISTOGRAM_POSITIVE_SPAN = 12,
    HISTOGRAM_POSITIVE_DELTA = 13,
    BUCKET_CUMULATIVE_COUNT = 1,
    BUCKET_UPPER_BOUND = 2,
    SPAN_OFFSET = 1,
    SPAN_LENGTH = 2,
};
enum { TYPE_COUNTER = 0, TYPE_GAUGE = 1, TYPE_HISTOGRAM = 4 };
enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2 };

#define VARINT_BYTES_MAX 10

static void put_varint(struct gal_buf *out, uint64_t v)
{
    char bytes[VARINT_BYTES_MAX];
    size_t n = 0;

    for (; v >= 0x80; v >>= 7)
        bytes[n++] = (char)(v | 0x80);
    bytes[n++] = (char)v;
    gal_buf_put(out, bytes, n);
}

/* Small magnitudes stay short: 0, -1, 1, -2 become 0, 1, 2, 3. */
static uint64_t zigzag(int64_t v)
{
    return v < 0 ? ~((uint64_t)v << 1) : (uint64_t)v << 1;
}

static void put_uint(struct gal_buf *out, unsigned field, uint64_t v)
{
    put_varint(out, field << 3 | WIRE_VARINT);
    put_varint(out, v);
}

static void put_double(struct gal_buf *out, unsigned field, double v)
{
    char bytes[8];
    uint64_t bits;

    memcpy(&bits, &v, sizeof(bits));
    for (size_t i = 0; i < 8; i++)
        bytes[i] = (char)(bits >> 8 * i);
    put_varint(out, field << 3 | WIRE_FIXED64);
    gal_buf_put(out, bytes, sizeof(bytes));
}

static void put_bytes(struct gal_buf *out, unsigned field, struct gal_str s)
{
    put_varint(out, field << 3 | WIRE_BYTES);
    put_varint(out, s.n);
    gal_buf_put_str(out, s);
}

static struct gal_str bytes_of(struct gal_expo *e, const struct gal_buf *b)
{
    e->out->failed |= b->failed;
    return gal_buf_str(b);
}

/* --- labels --- */

/* The value of a label from its escaped text: up to the quote that ends it; *at moves behind it. */
static void put_unescaped(struct gal_buf *out, const char **at)
{
    const char *p = *at;

    for (; *p != '"'; p++) {
        if (*p != '\\') {
            gal_buf_putc(out, *p);
            continue;
        }
        p++;
        gal_buf_putc(out, *p == 'n' ? '\n' : *p);
    }
    *at = p + 1;
}

static size_t varint_size(uint64_t v)
{
    size_t n = 1;
    for (; v >= 0x80; v >>= 7)
        n++;
    return n;
}

/* Into metric; uses part. */
static void put_labels(struct gal_expo *e, const char *labels)
{
    while (*labels) {
        const char *equals = strchr(labels, '=');
        struct gal_str name = {labels, (size_t)(equals - labels)}, value;

        gal_buf_clear(&e->part, SIZE_MAX);
        labels = equals + 2;
        put_unescaped(&e->part, &labels);
        labels += *labels == ',';
        value = bytes_of(e, &e->part);
        put_varint(&e->metric, METRIC_LABEL << 3 | WIRE_BYTES);
        put_varint(&e->metric,
                   1 + varint_size(name.n) + name.n + 1 + varint_size(value.n) + value.n);
        put_bytes(&e->metric, LABEL_NAME, name);
        put_bytes(&e->metric, LABEL_VALUE, value);
    }
}

static void begin_metric(struct gal_expo *e, const char *labels)
{
    gal_buf_clear(&e->metric, SIZE_MAX);
    put_labels(e, labels);
    gal_buf_clear(&e->part, SIZE_MAX);
}

/* part becomes the metric's value, the metric the family's next. */
static void end_metric(struct gal_expo *e, unsigned field)
{
    put_bytes(&e->metric, field, bytes_of(e, &e->part));
    put_bytes(&e->family, FAMILY_METRIC, bytes_of(e, &e->metric));
}

/* --- values --- */

void gal_expo_proto_value(struct gal_expo *e, const char *labels, double v)
{
    begin_metric(e, labels);
    put_double(&e->part, VALUE, v);
    end_metric(e, e->type == GAL_EXPO_COUNTER ? METRIC_COUNTER : METRIC_GAUGE);
}

/* Cumulative; the last, which is above all, is the count. Others were read while loops count, so
 * none may pass it. */
static void put_classic(struct gal_buf *out, const struct gal_expo_histogram *h, uint64_t count)
{
    uint64_t below = 0;

    for (size_t i = 0; i < h->list->count; i++) {
        char bytes[32];
        struct gal_buf bucket = {.p = bytes, .cap = sizeof(bytes), .max = sizeof(bytes)};

        below += h->classic[i];
        put_uint(&bucket, BUCKET_CUMULATIVE_COUNT, below < count ? below : count);
        put_double(&bucket, BUCKET_UPPER_BOUND, gal_bucket_shown(h->list, h->list->bounds[i]));
        put_bytes(out, HISTOGRAM_BUCKET, gal_buf_str(&bucket));
    }
}

/* A span is a run of buckets that are written, `gap` behind the last one. */
static void put_span(struct gal_buf *out, int gap, size_t length)
{
    char bytes[2 * (1 + VARINT_BYTES_MAX)];
    struct gal_buf span = {.p = bytes, .cap = sizeof(bytes), .max = sizeof(bytes)};

    put_uint(&span, SPAN_OFFSET, zigzag(gap));
    put_uint(&span, SPAN_LENGTH, length);
    put_bytes(out, HISTOGRAM_POSITIVE_SPAN, gal_buf_str(&span));
}

/* Runs of buckets that are not empty; the differences go into deltas. */
static void put_spans(struct gal_buf *out, const struct gal_bucket_list *list,
                      const uint64_t *counts, struct gal_buf *deltas)
{
    size_t end = 0; /* of the last run */
    uint64_t last = 0;

    for (size_t i = 0; i < list->native_count;) {
        size_t start = i;
        for (; i < list->native_count && counts[i] > 0; i++) {
            put_varint(deltas, zigzag((int64_t)(counts[i] - last)));
            last = counts[i];
        }
        if (i == start) {
            i++;
            continue;
        }
        put_span(out, (end == 0 ? list->native_first : 0) + (int)(start - end), i - start);
        end = i;
    }
}

void gal_expo_proto_histogram(struct gal_expo *e, const char *labels,
                              const struct gal_expo_histogram *h)
{
    char bytes[GAL_NATIVE_MAX * VARINT_BYTES_MAX];
    struct gal_buf deltas = {.p = bytes, .cap = sizeof(bytes), .max = sizeof(bytes)};
    uint64_t count = 0;

    begin_metric(e, labels);
    for (size_t i = 0; i <= h->list->native_count; i++)
        count += h->native[i];
    put_uint(&e->part, HISTOGRAM_COUNT, count);
    put_double(&e->part, HISTOGRAM_SUM, gal_bucket_shown(h->list, h->sum));
    put_classic(&e->part, h, count);
    put_uint(&e->part, HISTOGRAM_SCHEMA, zigzag(GAL_NATIVE_SCHEMA));
    put_double(&e->part, HISTOGRAM_ZERO_THRESHOLD, gal_bucket_zero_threshold(h->list));
    put_uint(&e->part, HISTOGRAM_ZERO_COUNT, h->native[0]);
    put_spans(&e->part, h->list, h->native + 1, &deltas);
    if (deltas.n > 0)
        put_bytes(&e->part, HISTOGRAM_POSITIVE_DELTA, gal_buf_str(&deltas));
    end_metric(e, METRIC_HISTOGRAM);
}

/* --- families --- */

void gal_expo_proto_family(struct gal_expo *e, const char *help)
{
    static const unsigned types[] = {TYPE_COUNTER, TYPE_GAUGE, TYPE_HISTOGRAM};

    put_bytes(&e->family, FAMILY_NAME, gal_str_of(e->name));
    put_bytes(&e->family, FAMILY_HELP, gal_str_of(help));
    put_uint(&e->family, FAMILY_TYPE, types[e->type]);
    e->open = true;
}

void gal_expo_proto_flush(struct gal_expo *e)
{
    struct gal_str family = bytes_of(e, &e->family);

    if (!e->open)
        return;
    put_varint(e->out, family.n);
    gal_buf_put_str(e->out, family);
    gal_buf_clear(&e->family, SIZE_MAX);
    e->open = false;
}
