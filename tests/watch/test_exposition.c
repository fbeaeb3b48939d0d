/* SPDX-License-Identifier: Apache-2.0 */
/* The three formats. Protobuf is read back with the reader that looks into model files. */
#include "text/protobuf.h"
#include "base/mem.h"
#include "watch/exposition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct gal_bucket_list *times = &gal_bucket_lists[GAL_BUCKETS_HTTP];
static const struct gal_bucket_list *sizes = &gal_bucket_lists[GAL_BUCKETS_ROWS];

/* --- which format --- */

static void the_accept_header_chooses(void **state)
{
#define PROTO "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
#define OPEN "application/openmetrics-text"
    static const struct {
        const char *accept;
        enum gal_expo_format format;
    } rows[] = {
        {"", GAL_EXPO_TEXT},
        {"*/*", GAL_EXPO_TEXT},
        {"text/plain", GAL_EXPO_TEXT},
        {"text/html,application/xhtml+xml,*/*;q=0.8", GAL_EXPO_TEXT},
        {OPEN, GAL_EXPO_OPENMETRICS},
        {OPEN ";version=1.0.0;q=0.75," OPEN ";version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.2",
         GAL_EXPO_OPENMETRICS},
        {OPEN ";version=2.0.0,text/plain;q=0.2", GAL_EXPO_TEXT},
        {OPEN ";q=0", GAL_EXPO_TEXT},
        {OPEN ";q=0.3,text/plain;q=0.31", GAL_EXPO_TEXT},
        {"text/plain;q=0.3," OPEN ";q=0.31", GAL_EXPO_OPENMETRICS},
        {"text/plain," OPEN, GAL_EXPO_TEXT},
        {OPEN ",text/plain", GAL_EXPO_OPENMETRICS},
        {PROTO "encoding=delimited," OPEN ";version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;"
               "q=0.1",
         GAL_EXPO_PROTOBUF},
        {PROTO "encoding=delimited;q=0.1," OPEN ";q=0.8", GAL_EXPO_OPENMETRICS},
        {"Application/Vnd.Google.Protobuf ; Proto=\"io.prometheus.client.MetricFamily\" ; "
         "encoding = delimited",
         GAL_EXPO_PROTOBUF},
        {PROTO "encoding=text", GAL_EXPO_TEXT},
        {"application/vnd.google.protobuf;proto=x;encoding=delimited", GAL_EXPO_TEXT},
        {"application/vnd.google.protobuf", GAL_EXPO_TEXT},
        {";;;,=,q=,;q=1.9,;q=0.x", GAL_EXPO_TEXT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (gal_expo_choose(gal_str_of(rows[i].accept)) != rows[i].format)
            fail_msg("%s", rows[i].accept);
    assert_int_equal(gal_expo_choose((struct gal_str){NULL, 0}), GAL_EXPO_TEXT);
}

/* --- text --- */

static void begin(struct gal_expo *e, enum gal_expo_format format, struct gal_buf *out)
{
    gal_buf_init(out, 1 << 20);
    gal_expo_init(e, format, out);
}

static void is_text(struct gal_expo *e, const char *wanted)
{
    gal_expo_end(e);
    gal_buf_putc(e->out, '\0');
    assert_false(e->out->failed);
    assert_string_equal(e->out->p, wanted);
    gal_buf_release(e->out);
}

static void write_some(struct gal_expo *e)
{
    uint64_t classic[GAL_BOUNDS_MAX + 1] = {3, 0, 1}, native[GAL_NATIVE_MAX + 1] = {0};
    struct gal_expo_histogram h = {sizes, classic, native, 19};

    classic[sizes->count] = 2;
    native[gal_bucket_native(sizes, 1)] = 3;
    native[gal_bucket_native(sizes, 4)] = 1;
    native[gal_bucket_native(sizes, 2000)] = 2;
    gal_expo_family(e, "a_total", GAL_EXPO_COUNTER, "Counts");
    gal_expo_u64(e, "", 18446744073709551615u);
    gal_expo_family(e, "nv_b", GAL_EXPO_COUNTER, "No total");
    gal_expo_u64(e, "x=\"1\"", 2);
    gal_expo_family(e, "c_ratio", GAL_EXPO_GAUGE, "A gauge");
    gal_expo_f64(e, "x=\"1\"", 0.25);
    gal_expo_f64(e, "x=\"2\"", 3);
    gal_expo_family(e, "d", GAL_EXPO_HISTOGRAM, "Sizes");
    gal_expo_histogram(e, "x=\"1\"", &h);
}

#define BUCKETS(point)                                                                             \
    "d_bucket{x=\"1\",le=\"1" point "\"} 3\n"                                                      \
    "d_bucket{x=\"1\",le=\"2" point "\"} 3\n"                                                      \
    "d_bucket{x=\"1\",le=\"4" point "\"} 4\n"                                                      \
    "d_bucket{x=\"1\",le=\"8" point "\"} 4\n"                                                      \
    "d_bucket{x=\"1\",le=\"16" point "\"} 4\n"                                                     \
    "d_bucket{x=\"1\",le=\"32" point "\"} 4\n"                                                     \
    "d_bucket{x=\"1\",le=\"64" point "\"} 4\n"                                                     \
    "d_bucket{x=\"1\",le=\"128" point "\"} 4\n"                                                    \
    "d_bucket{x=\"1\",le=\"256" point "\"} 4\n"                                                    \
    "d_bucket{x=\"1\",le=\"512" point "\"} 4\n"                                                    \
    "d_bucket{x=\"1\",le=\"1024" point "\"} 4\n"                                                   \
    "d_bucket{x=\"1\",le=\"+Inf\"} 6\n"                                                            \
    "d_sum{x=\"1\"} 19\n"                                                                          \
    "d_count{x=\"1\"} 6\n"

static void the_text_format_is_as_it_was(void **state)
{
    struct gal_expo e;
    struct gal_buf out;

    (void)state;
    begin(&e, GAL_EXPO_TEXT, &out);
    write_some(&e);
    is_text(&e, "# HELP a_total Counts\n# TYPE a_total counter\na_total 18446744073709551615\n"
                "# HELP nv_b No total\n# TYPE nv_b counter\nnv_b{x=\"1\"} 2\n"
                "# HELP c_ratio A gauge\n# TYPE c_ratio gauge\n"
                "c_ratio{x=\"1\"} 0.25\nc_ratio{x=\"2\"} 3\n"
                "# HELP d Sizes\n# TYPE d histogram\n" BUCKETS(""));
}

static void openmetrics_names_counters_and_bounds_its_own_way(void **state)
{
    struct gal_expo e;
    struct gal_buf out;

    (void)state;
    begin(&e, GAL_EXPO_OPENMETRICS, &out);
    write_some(&e);
    is_text(&e, "# HELP a Counts\n# TYPE a counter\na_total 18446744073709551615\n"
                "# HELP nv_b No total\n# TYPE nv_b unknown\nnv_b{x=\"1\"} 2\n"
                "# HELP c_ratio A gauge\n# TYPE c_ratio gauge\n"
                "c_ratio{x=\"1\"} 0.25\nc_ratio{x=\"2\"} 3\n"
                "# HELP d Sizes\n# TYPE d histogram\n" BUCKETS(".0") "# EOF\n");
}

/* --- protobuf, read back --- */

struct sample {
    char labels[512]; /* name=value; unescaped */
    double value;
    uint64_t count, zero, buckets[GAL_NATIVE_MAX + 1]; /* by place, as gal_bucket_native */
    double sum, threshold, bounds[GAL_BOUNDS_MAX];
    uint64_t cumulative[GAL_BOUNDS_MAX];
    size_t bound_count;
    int64_t schema;
};

struct family {
    char name[64], help[128];
    uint64_t type;
    struct sample samples[4];
    size_t count;
};

static int64_t unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static double double_of(uint64_t bits)
{
    double d;
    memcpy(&d, &bits, sizeof(d));
    return d;
}

static bool next(struct gal_str *rest, struct gal_pb_field *f)
{
    enum gal_pb_next got = gal_pb_next(rest, f);
    assert_true(got == GAL_PB_FIELD || got == GAL_PB_END);
    return got == GAL_PB_FIELD;
}

static void read_label(struct gal_str m, struct sample *s)
{
    struct gal_pb_field f;
    size_t n = strlen(s->labels);

    while (next(&m, &f)) {
        assert_true(f.wire == GAL_PB_BYTES && n + f.bytes.n + 2 < sizeof(s->labels));
        memcpy(s->labels + n, f.bytes.p, f.bytes.n);
        n += f.bytes.n;
        s->labels[n++] = f.number == 1 ? '=' : ';';
    }
}

static void read_bucket(struct gal_str m, struct sample *s)
{
    struct gal_pb_field f;

    assert_true(s->bound_count < GAL_BOUNDS_MAX);
    while (next(&m, &f)) {
        if (f.number == 1)
            s->cumulative[s->bound_count] = f.value;
        else
            s->bounds[s->bound_count] = double_of(f.value);
    }
    s->bound_count++;
}

/* Spans, then deltas: where buckets lie, then what they hold. */
static void read_natives(const struct gal_str *spans, size_t span_count, struct gal_str deltas,
                         const struct gal_bucket_list *list, struct sample *s)
{
    int64_t at = 0, value = 0;
    uint64_t raw;

    for (size_t i = 0; i < span_count; i++) {
        struct gal_str span = spans[i];
        struct gal_pb_field f;
        int64_t offset = 0;
        uint64_t length = 0;
        while (next(&span, &f)) {
            if (f.number == 1)
                offset = unzigzag(f.value);
            else
                length = f.value;
        }
        assert_true(length > 0 && (i == 0 || offset > 0));
        at += offset;
        for (; length > 0; length--, at++) {
            assert_true(gal_pb_packed_varint(&deltas, &raw));
            value += unzigzag(raw);
            assert_true(value > 0 && at >= list->native_first &&
                        at < list->native_first + (int)list->native_count);
            s->buckets[at - list->native_first + 1] = (uint64_t)value;
        }
    }
    assert_int_equal(deltas.n, 0);
}

static void read_histogram(struct gal_str m, const struct gal_bucket_list *list, struct sample *s)
{
    struct gal_str spans[GAL_NATIVE_MAX], deltas = {NULL, 0};
    struct gal_pb_field f;
    size_t span_count = 0;

    while (next(&m, &f)) {
        if (f.number == 1)
            s->count = f.value;
        else if (f.number == 2)
            s->sum = double_of(f.value);
        else if (f.number == 3)
            read_bucket(f.bytes, s);
        else if (f.number == 5)
            s->schema = unzigzag(f.value);
        else if (f.number == 6)
            s->threshold = double_of(f.value);
        else if (f.number == 7)
            s->zero = s->buckets[0] = f.value;
        else if (f.number == 12)
            spans[span_count++] = f.bytes;
        else if (f.number == 13)
            deltas = f.bytes;
        else
            fail_msg("field %d of a histogram", (int)f.number);
    }
    read_natives(spans, span_count, deltas, list, s);
}

static void read_metric(struct gal_str m, const struct gal_bucket_list *list, struct family *fam)
{
    struct sample *s = &fam->samples[fam->count++];
    struct gal_pb_field f, value;

    assert_true(fam->count <= 4);
    while (next(&m, &f)) {
        assert_int_equal(f.wire, GAL_PB_BYTES);
        if (f.number == 1) {
            read_label(f.bytes, s);
        } else if (f.number == 7) {
            assert_int_equal(fam->type, 4);
            read_histogram(f.bytes, list, s);
        } else {
            assert_int_equal(f.number, fam->type == 0 ? 3 : 2);
            assert_true(next(&f.bytes, &value) && value.number == 1);
            s->value = double_of(value.value);
        }
    }
}

/* The next family of a page; false at its end. */
static bool read_family(struct gal_str *page, const struct gal_bucket_list *list,
                        struct family *fam)
{
    struct gal_pb_field f;
    struct gal_str m;
    uint64_t length;

    memset(fam, 0, sizeof(*fam));
    fam->type = 99;
    if (page->n == 0)
        return false;
    assert_true(gal_pb_packed_varint(page, &length) && length <= page->n);
    m = (struct gal_str){page->p, length};
    *page = (struct gal_str){page->p + length, page->n - length};
    while (next(&m, &f)) {
        if (f.number == 1)
            memcpy(fam->name, f.bytes.p, f.bytes.n);
        else if (f.number == 2)
            memcpy(fam->help, f.bytes.p, f.bytes.n);
        else if (f.number == 3)
            fam->type = f.value;
        else
            read_metric(f.bytes, list, fam);
    }
    return true;
}

static void protobuf_reads_back(void **state)
{
    struct gal_expo e;
    struct gal_buf out;
    struct family f;
    struct gal_str page;

    (void)state;
    begin(&e, GAL_EXPO_PROTOBUF, &out);
    write_some(&e);
    gal_expo_end(&e);
    assert_false(out.failed);
    page = gal_buf_str(&out);
    assert_true(read_family(&page, sizes, &f));
    assert_string_equal(f.name, "a_total");
    assert_string_equal(f.help, "Counts");
    assert_true(f.type == 0 && f.count == 1 && f.samples[0].value == 18446744073709551615.0);
    assert_string_equal(f.samples[0].labels, "");
    assert_true(read_family(&page, sizes, &f));
    assert_true(f.type == 0 && f.samples[0].value == 2);
    assert_true(read_family(&page, sizes, &f));
    assert_true(f.type == 1 && f.count == 2 && f.samples[0].value == 0.25);
    assert_true(f.samples[1].value == 3);
    assert_string_equal(f.samples[1].labels, "x=2;");
    assert_true(read_family(&page, sizes, &f));
    struct sample *s = &f.samples[0];
    assert_true(f.type == 4 && s->count == 6 && s->sum == 19 && s->schema == 3);
    assert_true(s->threshold == 0.5 && s->zero == 0 && s->bound_count == 11);
    assert_true(s->bounds[2] == 4 && s->cumulative[2] == 4 && s->cumulative[10] == 4);
    assert_int_equal(s->buckets[gal_bucket_native(sizes, 1)], 3);
    assert_int_equal(s->buckets[gal_bucket_native(sizes, 4)], 1);
    assert_int_equal(s->buckets[gal_bucket_native(sizes, 2000)], 2);
    assert_false(read_family(&page, sizes, &f));
    gal_buf_release(&out);
}

static void put_one(struct gal_buf *out, const char *labels, const uint64_t *classic,
                    const uint64_t *native)
{
    struct gal_expo_histogram h = {times, classic, native, UINT64_C(1500000000)};
    struct gal_expo e;

    begin(&e, GAL_EXPO_PROTOBUF, out);
    gal_expo_family(&e, "d_seconds", GAL_EXPO_HISTOGRAM, "Times");
    gal_expo_histogram(&e, labels, &h);
    gal_expo_end(&e);
    assert_false(out->failed);
}

static void any_counts_read_back(void **state)
{
    unsigned seed = 20261128;

    (void)state;
    for (unsigned round = 0; round < 300; round++) {
        uint64_t native[GAL_NATIVE_MAX + 1] = {0}, classic[GAL_BOUNDS_MAX + 1] = {0}, total = 0;
        struct gal_buf out;
        struct family f;
        for (size_t i = 0; i <= times->native_count; i++) {
            if ((unsigned)rand_r(&seed) % 300 < round)
                native[i] = (uint64_t)rand_r(&seed) << (rand_r(&seed) % 30);
            total += native[i];
        }
        put_one(&out, "", classic, native);
        struct gal_str page = gal_buf_str(&out);
        assert_true(read_family(&page, times, &f));
        assert_int_equal(f.samples[0].count, total);
        assert_true(f.samples[0].sum == 1.5);
        assert_memory_equal(f.samples[0].buckets, native, sizeof(native));
        gal_buf_release(&out);
    }
}

static void an_empty_histogram_is_still_a_native_one(void **state)
{
    uint64_t native[GAL_NATIVE_MAX + 1] = {0}, classic[GAL_BOUNDS_MAX + 1] = {0};
    struct gal_buf out;
    struct family f;

    (void)state;
    put_one(&out, "", classic, native);
    struct gal_str page = gal_buf_str(&out);
    assert_true(read_family(&page, times, &f));
    assert_int_equal(f.samples[0].count, 0);
    assert_true(f.samples[0].threshold > 0); /* by which it is known */
    gal_buf_release(&out);
}

static void classic_buckets_never_pass_the_count(void **state)
{
    uint64_t native[GAL_NATIVE_MAX + 1] = {[5] = 7}, classic[GAL_BOUNDS_MAX + 1] = {6, 2, 2};
    struct gal_buf out;
    struct family f;

    (void)state;
    put_one(&out, "", classic, native);
    struct gal_str page = gal_buf_str(&out);
    assert_true(read_family(&page, times, &f));
    assert_int_equal(f.samples[0].count, 7);
    assert_int_equal(f.samples[0].cumulative[0], 6);
    for (size_t i = 1; i < times->count; i++)
        assert_int_equal(f.samples[0].cumulative[i], 7);
    gal_buf_release(&out);
}

static void labels_come_without_their_escapes(void **state)
{
    uint64_t native[GAL_NATIVE_MAX + 1] = {0}, classic[GAL_BOUNDS_MAX + 1] = {0};
    char value[220];
    struct gal_str values[] = {GAL_STR("a\"b\\c\nd,e=\"f\""), {value, sizeof(value)}};
    struct gal_buf out, labels;
    struct family f;

    (void)state;
    memset(value, 'v', sizeof(value)); /* its length takes two bytes */
    gal_buf_init(&labels, 4096);
    gal_expo_put_labels(&labels, "model,model_version", values);
    gal_buf_putc(&labels, '\0');
    put_one(&out, labels.p, classic, native);
    struct gal_str page = gal_buf_str(&out);
    assert_true(read_family(&page, times, &f));
    static const char front[] = "model=a\"b\\c\nd,e=\"f\";model_version=";
    assert_memory_equal(f.samples[0].labels, front, sizeof(front) - 1);
    assert_memory_equal(f.samples[0].labels + sizeof(front) - 1, value, sizeof(value));
    assert_string_equal(f.samples[0].labels + sizeof(front) - 1 + sizeof(value), ";");
    gal_buf_release(&labels);
    gal_buf_release(&out);
}

/* --- failures --- */

static void a_page_that_does_not_fit_says_so(void **state)
{
    (void)state;
    for (int format = GAL_EXPO_TEXT; format <= GAL_EXPO_PROTOBUF; format++) {
        struct gal_buf out;
        struct gal_expo e;
        gal_buf_init(&out, 200);
        gal_expo_init(&e, (enum gal_expo_format)format, &out);
        write_some(&e);
        gal_expo_end(&e);
        assert_true(out.failed);
        gal_buf_release(&out);
    }
}

static void memory_that_runs_out_spoils_no_page_silently(void **state)
{
    (void)state;
    for (int format = GAL_EXPO_TEXT; format <= GAL_EXPO_PROTOBUF; format++) {
        struct gal_buf whole, out;
        struct gal_expo e;
        bool done = false;
        begin(&e, (enum gal_expo_format)format, &whole);
        write_some(&e);
        gal_expo_end(&e);
        for (uint64_t i = 1; !done && i < 1000; i++) {
            gal_alloc_fail_at(i, 1);
            begin(&e, (enum gal_expo_format)format, &out);
            write_some(&e);
            gal_expo_end(&e);
            gal_alloc_fail_at(0, 0);
            done = out.n == whole.n && memcmp(out.p, whole.p, out.n) == 0;
            assert_true(done || out.failed);
            gal_buf_release(&out);
        }
        assert_true(done);
        gal_buf_release(&whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_accept_header_chooses),
        cmocka_unit_test(the_text_format_is_as_it_was),
        cmocka_unit_test(openmetrics_names_counters_and_bounds_its_own_way),
        cmocka_unit_test(protobuf_reads_back),
        cmocka_unit_test(any_counts_read_back),
        cmocka_unit_test(an_empty_histogram_is_still_a_native_one),
        cmocka_unit_test(classic_buckets_never_pass_the_count),
        cmocka_unit_test(labels_come_without_their_escapes),
        cmocka_unit_test(a_page_that_does_not_fit_says_so),
        cmocka_unit_test(memory_that_runs_out_spoils_no_page_silently),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
