/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/exposition.h"

#include "text/json.h"

#include <math.h>
#include <stdio.h>

/* --- which format --- */

/* "0.75" as thousandths; what is no such number counts as 1. */
static unsigned quality(struct gal_str text)
{
    unsigned whole = 0, digits = 100;
    if (text.n == 0 || (text.p[0] != '0' && text.p[0] != '1'))
        return 1000;
    whole = text.p[0] == '1' ? 1000 : 0;
    for (size_t i = 2; i < text.n && digits > 0; i++, digits /= 10) {
        if (text.p[1] != '.' || text.p[i] < '0' || text.p[i] > '9')
            return 1000;
        whole += (unsigned)(text.p[i] - '0') * digits;
    }
    return whole < 1000 ? whole : 1000;
}

static struct gal_str unquoted(struct gal_str s)
{
    s = gal_str_trim(s);
    if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"')
        s = (struct gal_str){s.p + 1, s.n - 2};
    return s;
}

/* One media range of an Accept header. */
struct range {
    struct gal_str type, proto, encoding, version;
    unsigned q; /* thousandths */
};

static struct range parse_range(struct gal_str text)
{
    struct range r = {.q = 1000};
    struct gal_str part, name;

    if (gal_str_cut(&text, ';', &part))
        r.type = gal_str_trim(part);
    while (gal_str_cut(&text, ';', &part)) {
        gal_str_cut(&part, '=', &name);
        name = gal_str_trim(name);
        if (gal_str_ieq(name, GAL_STR("q")))
            r.q = quality(unquoted(part));
        else if (gal_str_ieq(name, GAL_STR("proto")))
            r.proto = unquoted(part);
        else if (gal_str_ieq(name, GAL_STR("encoding")))
            r.encoding = unquoted(part);
        else if (gal_str_ieq(name, GAL_STR("version")))
            r.version = unquoted(part);
    }
    return r;
}

static bool any_of(struct gal_str s, const char *a, const char *b)
{
    return s.n == 0 || gal_str_is(s, a) || gal_str_is(s, b);
}

/* False when it is none that is written here. */
static bool format_of(const struct range *r, enum gal_expo_format *out)
{
    if (gal_str_ieq(r->type, GAL_STR("application/vnd.google.protobuf"))) {
        *out = GAL_EXPO_PROTOBUF;
        return gal_str_is(r->proto, "io.prometheus.client.MetricFamily") &&
               gal_str_is(r->encoding, "delimited");
    }
    if (gal_str_ieq(r->type, GAL_STR("application/openmetrics-text"))) {
        *out = GAL_EXPO_OPENMETRICS;
        return any_of(r->version, "1.0.0", "0.0.1");
    }
    *out = GAL_EXPO_TEXT;
    return gal_str_ieq(r->type, GAL_STR("text/plain"))
               ? any_of(r->version, "0.0.4", "0.0.4")
               : gal_str_is(r->type, "*/*") || gal_str_ieq(r->type, GAL_STR("text/*"));
}

enum gal_expo_format gal_expo_choose(struct gal_str accept)
{
    enum gal_expo_format best = GAL_EXPO_TEXT, format;
    unsigned best_q = 0;
    struct gal_str part;

    while (gal_str_cut(&accept, ',', &part)) {
        struct range r = parse_range(part);
        if (r.q > best_q && format_of(&r, &format)) {
            best = format;
            best_q = r.q;
        }
    }
    return best;
}

struct gal_str gal_expo_content_type(enum gal_expo_format format)
{
    switch (format) {
    case GAL_EXPO_OPENMETRICS:
        return GAL_STR("application/openmetrics-text; version=1.0.0; charset=utf-8");
    case GAL_EXPO_PROTOBUF:
        return GAL_STR("application/vnd.google.protobuf; "
                       "proto=io.prometheus.client.MetricFamily; encoding=delimited");
    case GAL_EXPO_TEXT:
        break;
    }
    return GAL_STR("text/plain; version=0.0.4; charset=utf-8");
}

/* --- labels --- */

static void put_label_value(struct gal_buf *out, struct gal_str value)
{
    bool valid = gal_utf8_valid(value);

    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        if (c == '\\' || c == '"')
            gal_buf_putc(out, '\\');
        if (c == '\n')
            gal_buf_puts(out, "\\n");
        else
            gal_buf_putc(out, c != '\0' && (valid || (unsigned char)c < 0x80) ? c : '?');
    }
}

void gal_expo_put_labels(struct gal_buf *out, const char *names, const struct gal_str *values)
{
    struct gal_str rest = gal_str_of(names), name;

    for (size_t i = 0; rest.n && gal_str_cut(&rest, ',', &name); i++) {
        gal_buf_puts(out, i ? "," : "");
        gal_buf_put_str(out, name);
        gal_buf_puts(out, "=\"");
        put_label_value(out, values[i]);
        gal_buf_puts(out, "\"");
    }
}

/* --- the text formats --- */

/* Nanoseconds as seconds, exactly. */
static void put_seconds(struct gal_buf *out, uint64_t ns)
{
    uint64_t fraction = ns % 1000000000;
    int digits = 9;

    gal_buf_put_u64(out, ns / 1000000000);
    if (fraction == 0)
        return;
    for (; fraction % 10 == 0; digits--)
        fraction /= 10;
    gal_buf_printf(out, ".%0*llu", digits, (unsigned long long)fraction);
}

static void put_double(struct gal_buf *out, double v)
{
    if (fabs(v) < 1e15 && v == trunc(v))
        gal_buf_put_i64(out, (int64_t)v);
    else if (isfinite(v))
        gal_json_put_f64(out, v);
    else
        gal_buf_puts(out, v > 0 ? "+Inf" : "-Inf");
}

/* `name_suffix{labels} `, ready for the value. */
static void put_name(struct gal_expo *e, const char *suffix, const char *labels)
{
    gal_buf_puts(e->out, e->name);
    gal_buf_puts(e->out, suffix);
    if (labels[0]) {
        gal_buf_putc(e->out, '{');
        gal_buf_puts(e->out, labels);
        gal_buf_putc(e->out, '}');
    }
    gal_buf_putc(e->out, ' ');
}

/* OpenMetrics knows a counter by its name without `_total`, and no counter whose samples lack it.
 */
static void put_head(struct gal_expo *e, const char *help)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    struct gal_str name = gal_str_of(e->name);
    const char *type = types[e->type];

    if (e->format == GAL_EXPO_OPENMETRICS && e->type == GAL_EXPO_COUNTER) {
        if (gal_str_ends(name, GAL_STR("_total")))
            name.n -= 6;
        else
            type = "unknown";
    }
    gal_buf_puts(e->out, "# HELP ");
    gal_buf_put_str(e->out, name);
    gal_buf_printf(e->out, " %s\n# TYPE ", help);
    gal_buf_put_str(e->out, name);
    gal_buf_printf(e->out, " %s\n", type);
}

/* OpenMetrics asks for a point or an exponent, as Prometheus makes of protobuf's numbers. */
static void put_bound(struct gal_expo *e, const struct gal_bucket_list *list, uint64_t bound)
{
    char text[32];

    if (e->format == GAL_EXPO_TEXT) {
        if (list->is_time)
            put_seconds(e->out, bound);
        else
            gal_buf_put_u64(e->out, bound);
        return;
    }
    snprintf(text, sizeof(text), "%g", gal_bucket_shown(list, bound));
    gal_buf_puts(e->out, text);
    if (!strpbrk(text, ".e"))
        gal_buf_puts(e->out, ".0");
}

static void put_histogram(struct gal_expo *e, const char *labels,
                          const struct gal_expo_histogram *h)
{
    uint64_t count = 0;

    for (size_t i = 0; i <= h->list->count; i++) {
        count += h->classic[i];
        gal_buf_puts(e->out, e->name);
        gal_buf_puts(e->out, "_bucket{");
        gal_buf_puts(e->out, labels);
        gal_buf_puts(e->out, labels[0] ? ",le=\"" : "le=\"");
        if (i < h->list->count)
            put_bound(e, h->list, h->list->bounds[i]);
        else
            gal_buf_puts(e->out, "+Inf");
        gal_buf_puts(e->out, "\"} ");
        gal_buf_put_u64(e->out, count);
        gal_buf_putc(e->out, '\n');
    }
    put_name(e, "_sum", labels);
    if (h->list->is_time)
        put_seconds(e->out, h->sum);
    else
        gal_buf_put_u64(e->out, h->sum);
    gal_buf_putc(e->out, '\n');
    put_name(e, "_count", labels);
    gal_buf_put_u64(e->out, count);
    gal_buf_putc(e->out, '\n');
}

/* --- all formats --- */

void gal_expo_init(struct gal_expo *e, enum gal_expo_format format, struct gal_buf *out)
{
    *e = (struct gal_expo){.format = format, .out = out};
    gal_buf_init(&e->family, out->max);
    gal_buf_init(&e->metric, out->max);
    gal_buf_init(&e->part, out->max);
}

void gal_expo_family(struct gal_expo *e, const char *name, enum gal_expo_type type,
                     const char *help)
{
    if (e->format == GAL_EXPO_PROTOBUF)
        gal_expo_proto_flush(e);
    e->name = name;
    e->type = type;
    if (e->format == GAL_EXPO_PROTOBUF)
        gal_expo_proto_family(e, help);
    else
        put_head(e, help);
}

void gal_expo_u64(struct gal_expo *e, const char *labels, uint64_t v)
{
    if (e->format == GAL_EXPO_PROTOBUF) {
        gal_expo_proto_value(e, labels, (double)v);
        return;
    }
    put_name(e, "", labels);
    gal_buf_put_u64(e->out, v);
    gal_buf_putc(e->out, '\n');
}

void gal_expo_f64(struct gal_expo *e, const char *labels, double v)
{
    if (e->format == GAL_EXPO_PROTOBUF) {
        gal_expo_proto_value(e, labels, v);
        return;
    }
    put_name(e, "", labels);
    put_double(e->out, v);
    gal_buf_putc(e->out, '\n');
}

void gal_expo_histogram(struct gal_expo *e, const char *labels, const struct gal_expo_histogram *h)
{
    if (e->format == GAL_EXPO_PROTOBUF)
        gal_expo_proto_histogram(e, labels, h);
    else
        put_histogram(e, labels, h);
}

void gal_expo_end(struct gal_expo *e)
{
    if (e->format == GAL_EXPO_PROTOBUF)
        gal_expo_proto_flush(e);
    else if (e->format == GAL_EXPO_OPENMETRICS)
        gal_buf_puts(e->out, "# EOF\n");
    gal_buf_release(&e->family);
    gal_buf_release(&e->metric);
    gal_buf_release(&e->part);
}
