/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "watch/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define PAGE_BYTES_MAX (64u << 20)

/* --- a reader of the text format, strict --- */

struct page {
    char family[128], type[16];
    char buckets_of[512]; /* labels of the histogram series under way, without le */
    double last_bucket;
};

/* Cuts the next line off the text; false at its end. Pages are long: nothing here may look at the
 * rest of one for each line. */
static bool next_line(struct gal_str *rest, char line[1024])
{
    struct gal_str part;

    if (rest->n == 0)
        return false;
    assert_true(rest->p[rest->n - 1] == '\n');
    gal_str_cut(rest, '\n', &part);
    assert_true(part.n < 1024);
    memcpy(line, part.p, part.n);
    line[part.n] = '\0';
    return true;
}

static void check_sample(struct page *p, const char *line)
{
    size_t name = strcspn(line, "{ "), family = strlen(p->family);
    const char *value = strrchr(line, ' '), *le = strstr(line, "le=\"");
    char *end;
    double number = strtod(value + 1, &end);

    assert_true(*end == '\0' && end != value + 1);
    assert_true(name >= family && memcmp(line, p->family, family) == 0);
    if (strcmp(p->type, "histogram") != 0) {
        assert_int_equal(name, family);
        return;
    }
    if (strncmp(line + family, "_bucket", 7) == 0) {
        assert_non_null(le);
        char series[512];
        snprintf(series, sizeof(series), "%.*s", (int)(le - line), line);
        if (strcmp(series, p->buckets_of) != 0)
            p->last_bucket = 0;
        snprintf(p->buckets_of, sizeof(p->buckets_of), "%s", series);
        assert_true(number >= p->last_bucket);
        p->last_bucket = number;
    } else if (strncmp(line + family, "_count", 6) == 0) {
        assert_true(number == p->last_bucket); /* le="+Inf" came just before */
    } else {
        assert_int_equal(strncmp(line + family, "_sum", 4), 0);
    }
}

/* Every line is HELP, TYPE or a sample of the family announced last. */
static void check_page(const char *text)
{
    struct page p = {.family = ""};
    struct gal_str rest = gal_str_of(text);
    char line[1024], name[128];

    while (next_line(&rest, line)) {
        if (sscanf(line, "# HELP %127s", name) == 1) {
            assert_string_not_equal(name, p.family);
            snprintf(p.family, sizeof(p.family), "%s", name);
        } else if (sscanf(line, "# TYPE %127s %15s", name, p.type) == 2) {
            assert_string_equal(name, p.family);
        } else {
            check_sample(&p, line);
        }
    }
}

/* The value of a sample, by name and labels as they stand; -1 when it is not there. */
static double value_of(const char *text, const char *sample)
{
    struct gal_str rest = gal_str_of(text);
    size_t n = strlen(sample);
    char line[1024];

    while (next_line(&rest, line)) {
        if (strncmp(line, sample, n) == 0 && line[n] == ' ')
            return strtod(line + n + 1, NULL);
    }
    return -1;
}

static void render_into(struct gal_metrics *m, struct gal_buf *b)
{
    struct gal_expo e;

    gal_expo_init(&e, GAL_EXPO_TEXT, b);
    gal_metrics_render(m, &e);
    gal_expo_end(&e);
}

static char *render(struct gal_metrics *m)
{
    struct gal_buf b;
    char *text;

    gal_buf_init(&b, PAGE_BYTES_MAX);
    render_into(m, &b);
    assert_false(b.failed);
    gal_buf_putc(&b, '\0');
    text = strdup(b.p);
    gal_buf_release(&b);
    check_page(text);
    return text;
}

/* --- fixtures --- */

struct state {
    struct gal_metrics *m;
    struct gal_shard *shard;
};

static int set_up(void **state)
{
    struct state *s = calloc(1, sizeof(*s));

    assert_int_equal(gal_metrics_new(&s->m, NULL), GAL_OK);
    assert_int_equal(gal_metrics_shard(s->m, &s->shard, NULL), GAL_OK);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct state *s = *state;

    gal_metrics_free(s->m);
    free(s);
    return 0;
}

static gal_series model_series(struct gal_metrics *m, enum gal_metric metric, const char *model,
                               const char *status)
{
    struct gal_str labels[3] = {gal_str_of(model), GAL_STR("1"), gal_str_of(status)};
    return gal_metrics_series(m, metric, labels);
}

/* --- tests --- */

static void a_counter_shows_what_was_added(void **state)
{
    struct state *s = *state;
    gal_series ok = model_series(s->m, GAL_METRIC_INFERENCE_REQUESTS, "iris", "success");
    gal_series bad = model_series(s->m, GAL_METRIC_INFERENCE_REQUESTS, "iris", "error");
    char *page;

    gal_shard_add(s->shard, ok, 2);
    gal_shard_add(s->shard, bad, 1);
    gal_shard_add(s->shard, ok, 40);
    page = render(s->m);
    assert_true(value_of(page, "inference_requests_total{model=\"iris\",model_version=\"1\","
                               "status=\"success\"}") == 42);
    assert_true(value_of(page, "inference_requests_total{model=\"iris\",model_version=\"1\","
                               "status=\"error\"}") == 1);
    assert_non_null(strstr(page, "# TYPE inference_requests_total counter\n"));
    free(page);
}

static void shards_are_summed(void **state)
{
    struct state *s = *state;
    gal_series received = gal_metrics_series(s->m, GAL_METRIC_HTTP_RECEIVED, NULL);
    struct gal_shard *other;
    char *page;

    assert_int_equal(gal_metrics_shard(s->m, &other, NULL), GAL_OK);
    gal_shard_add(s->shard, received, 5);
    gal_shard_add(other, received, 7);
    page = render(s->m);
    assert_true(value_of(page, "http_received_bytes_total") == 12);
    free(page);
}

static void rows_without_labels_are_there_from_the_start(void **state)
{
    char *page = render(((struct state *)*state)->m);

    assert_true(value_of(page, "http_requests_in_flight") == 0);
    assert_true(value_of(page, "http_sent_bytes_total") == 0);
    assert_null(strstr(page, "inference_requests_total")); /* it has labels and no series yet */
    free(page);
}

static void a_series_is_made_once_and_known_by_its_labels(void **state)
{
    struct state *s = *state;
    gal_series a = model_series(s->m, GAL_METRIC_MODEL_LOADS, "a", "x");

    assert_true(a != 0);
    assert_int_equal(model_series(s->m, GAL_METRIC_MODEL_LOADS, "a", "x"), a);
    assert_int_not_equal(model_series(s->m, GAL_METRIC_MODEL_LOADS, "a", "y"), a);
    assert_int_not_equal(model_series(s->m, GAL_METRIC_MODEL_LOADS, "b", "x"), a);
    assert_int_not_equal(model_series(s->m, GAL_METRIC_INFERENCE_REQUESTS, "a", "x"), a);
}

static void series_are_sorted_by_label(void **state)
{
    struct state *s = *state;
    static const char *const names[] = {"mm", "a", "zz", "b", "z"};
    char *page, *last = NULL;

    for (size_t i = 0; i < 5; i++)
        model_series(s->m, GAL_METRIC_MODEL_LOADS, names[i], "x");
    page = render(s->m);
    for (const char *const *n = (const char *const[]){"a", "b", "mm", "z", "zz", NULL}; *n; n++) {
        char sample[64], *at;
        snprintf(sample, sizeof(sample), "loads_total{model=\"%s\"", *n);
        at = strstr(page, sample);
        assert_non_null(at);
        assert_true(at > last);
        last = at;
    }
    free(page);
}

static void label_values_are_escaped(void **state)
{
    struct state *s = *state;
    char *page;

    model_series(s->m, GAL_METRIC_MODEL_LOADS, "a\"b\\c\nd", "\xff\xfe!");
    model_series(s->m, GAL_METRIC_MODEL_LOADS, "caf\xc3\xa9", "x");
    page = render(s->m);
    assert_non_null(
        strstr(page, "{model=\"a\\\"b\\\\c\\nd\",model_version=\"1\",status=\"?\?!\"}"));
    assert_non_null(strstr(page, "{model=\"caf\xc3\xa9\","));
    assert_true(gal_utf8_valid(gal_str_of(page)));
    free(page);
}

static void a_label_without_end_makes_no_series(void **state)
{
    struct state *s = *state;
    char *endless = malloc(10001);

    memset(endless, 'x', 10000);
    endless[10000] = '\0';
    assert_int_equal(model_series(s->m, GAL_METRIC_MODEL_LOADS, endless, "x"), 0);
    free(endless);
}

static void a_value_on_a_bound_falls_into_its_bucket(void **state)
{
    struct state *s = *state;
    gal_series d = model_series(s->m, GAL_METRIC_INFERENCE_DURATION, "m", NULL);
    char *page;

    gal_shard_observe_us(s->shard, d, 0);
    gal_shard_observe_us(s->shard, d, 10);
    gal_shard_observe_us(s->shard, d, 11);
    gal_shard_observe_us(s->shard, d, 2500000);
    gal_shard_observe_us(s->shard, d, 2500001);
    page = render(s->m);
#define BUCKET(le)                                                                                 \
    "inference_duration_seconds_bucket{model=\"m\",model_version=\"1\",le=\"" le "\"}"
    assert_true(value_of(page, BUCKET("0.00001")) == 2);
    assert_true(value_of(page, BUCKET("0.000025")) == 3);
    assert_true(value_of(page, BUCKET("1")) == 3);
    assert_true(value_of(page, BUCKET("2.5")) == 4);
    assert_true(value_of(page, BUCKET("+Inf")) == 5);
    assert_non_null(
        strstr(page, "inference_duration_seconds_sum{model=\"m\",model_version=\"1\"} 5.000022\n"));
    free(page);
}

static void the_bounds_that_others_query_are_there(void **state)
{
    struct state *s = *state;
    static const char *const http[] = {"0.005", "0.01", "0.025", "0.05", "0.1", "0.25",
                                       "0.5",   "1",    "2.5",   "5",    "10",  "+Inf"};
    static const char *const inference[] = {"0.01", "0.025", "0.05", "0.1", "0.25",
                                            "0.5",  "1",     "2.5",  "+Inf"};
    struct gal_str labels[3] = {GAL_STR("GET"), GAL_STR("/"), GAL_STR("200")};
    char *page, sample[256];

    gal_metrics_series(s->m, GAL_METRIC_HTTP_DURATION, labels);
    model_series(s->m, GAL_METRIC_INFERENCE_DURATION, "m", NULL);
    model_series(s->m, GAL_METRIC_PREDICTION_DURATION, "m", NULL);
    page = render(s->m);
    for (size_t i = 0; i < sizeof(http) / sizeof(http[0]); i++) {
        snprintf(sample, sizeof(sample),
                 "http_request_duration_seconds_bucket{method=\"GET\",path=\"/\",status=\"200\","
                 "le=\"%s\"}",
                 http[i]);
        assert_true(value_of(page, sample) == 0);
        snprintf(sample, sizeof(sample),
                 "ml_prediction_duration_seconds_bucket{model=\"m\",model_version=\"1\",le=\"%s\"}",
                 http[i]);
        assert_true(value_of(page, sample) == 0);
    }
    for (size_t i = 0; i < sizeof(inference) / sizeof(inference[0]); i++) {
        snprintf(sample, sizeof(sample),
                 "inference_duration_seconds_bucket{model=\"m\",model_version=\"1\",le=\"%s\"}",
                 inference[i]);
        assert_true(value_of(page, sample) == 0);
    }
    free(page);
}

static void a_gauge_is_set_and_added_to(void **state)
{
    struct state *s = *state;
    gal_series flight = gal_metrics_series(s->m, GAL_METRIC_HTTP_IN_FLIGHT, NULL);
    gal_series ready = model_series(s->m, GAL_METRIC_MODEL_READY, "m", NULL);
    gal_series load = model_series(s->m, GAL_METRIC_MODEL_LOAD, "m", NULL);
    char *page;

    gal_gauge_add(s->m, flight, 3);
    gal_gauge_add(s->m, flight, -1);
    gal_gauge_set(s->m, ready, 1);
    gal_gauge_set(s->m, load, 0.1);
    page = render(s->m);
    assert_non_null(strstr(page, "http_requests_in_flight 2\n"));
    assert_true(value_of(page, "galley_model_ready{model=\"m\",model_version=\"1\"}") == 1);
    assert_non_null(
        strstr(page, "galley_model_load_duration_seconds{model=\"m\",model_version=\"1\"} 0.1\n"));
    free(page);
    gal_gauge_set(s->m, load, -1.0 / 0.0);
    page = render(s->m);
    assert_non_null(strstr(page, "{model=\"m\",model_version=\"1\"} -Inf\n"));
    free(page);
}

static void a_hidden_gauge_is_left_out_until_it_is_set_again(void **state)
{
    struct state *s = *state;
    gal_series ready = model_series(s->m, GAL_METRIC_MODEL_READY, "m", NULL);
    char *page;

    gal_gauge_set(s->m, ready, 1);
    gal_gauge_hide(s->m, ready);
    page = render(s->m);
    assert_null(strstr(page, "galley_model_ready{"));
    free(page);
    gal_gauge_set(s->m, ready, 0);
    page = render(s->m);
    assert_non_null(strstr(page, "galley_model_ready{model=\"m\",model_version=\"1\"} 0\n"));
    free(page);
}

static void beyond_the_cap_nothing_is_counted_and_nothing_breaks(void **state)
{
    struct state *s = *state;
    char name[16], *page;
    unsigned made = 0;

    for (unsigned i = 0; i < GAL_SERIES_MAX + 10; i++) {
        snprintf(name, sizeof(name), "m%u", i);
        gal_series d = model_series(s->m, GAL_METRIC_INFERENCE_DURATION, name, NULL);
        made += d != 0;
        gal_shard_observe_us(s->shard, d, 7);
    }
    assert_true(made > GAL_SERIES_MAX - 20 && made <= GAL_SERIES_MAX);
    assert_int_equal(model_series(s->m, GAL_METRIC_MODEL_READY, "late", NULL), 0);
    gal_gauge_set(s->m, 0, 5);
    gal_gauge_add(s->m, 0, 5);
    gal_shard_add(s->shard, 0, 5);
    page = render(s->m);
    snprintf(name, sizeof(name), "m%u", made - 1);
    assert_non_null(strstr(page, name));
    free(page);
}

static void counting_allocates_only_at_first_use(void **state)
{
    struct state *s = *state;
    gal_series d = model_series(s->m, GAL_METRIC_INFERENCE_DURATION, "m", NULL);
    uint64_t before;

    gal_shard_observe_us(s->shard, d, 1);
    before = gal_alloc_count();
    for (uint64_t us = 0; us < 10000; us++)
        gal_shard_observe_us(s->shard, d, us);
    assert_int_equal(gal_alloc_count(), before);
}

/* --- threads --- */

#define WRITERS 3
#define ROUNDS 20000u

struct writer {
    struct gal_metrics *m;
    unsigned index;
    pthread_t thread;
};

static void *write_much(void *arg)
{
    struct writer *w = arg;
    struct gal_shard *shard = NULL;
    gal_series flight = gal_metrics_series(w->m, GAL_METRIC_HTTP_IN_FLIGHT, NULL);
    char name[16];

    gal_metrics_shard(w->m, &shard, NULL);
    for (unsigned i = 0; i < ROUNDS; i++) {
        snprintf(name, sizeof(name), "m%u", i / 100);
        gal_shard_observe_us(shard, model_series(w->m, GAL_METRIC_INFERENCE_DURATION, name, NULL),
                             i);
        gal_gauge_add(w->m, flight, 1);
    }
    return NULL;
}

static void writers_and_readers_do_not_disturb_each_other(void **state)
{
    struct state *s = *state;
    struct writer writers[WRITERS];
    struct gal_str rest;
    double count = 0;
    char *page, line[1024];

    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.m = s->m, .index = i};
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_much, &writers[i]), 0);
    }
    for (unsigned i = 0; i < 20; i++)
        free(render(s->m)); /* each page agrees with itself */
    for (unsigned i = 0; i < WRITERS; i++)
        pthread_join(writers[i].thread, NULL);
    page = render(s->m);
    rest = gal_str_of(page);
    while (next_line(&rest, line)) {
        if (strncmp(line, "inference_duration_seconds_count{", 33) == 0)
            count += strtod(strchr(line, ' '), NULL);
    }
    assert_true(count == WRITERS * ROUNDS);
    assert_true(value_of(page, "http_requests_in_flight") == WRITERS * ROUNDS);
    free(page);
}

/* --- failures --- */

static bool use_all(void)
{
    struct gal_metrics *m;
    struct gal_shard *shard;
    struct gal_err err;
    const struct gal_str counted = GAL_STR("_count{model=\"m\",model_version=\"1\"} 1\n");
    struct gal_buf b;
    bool all = false;

    if (gal_metrics_new(&m, &err) != GAL_OK) {
        assert_int_equal(err.code, GAL_NO_MEMORY);
        return false;
    }
    gal_buf_init(&b, PAGE_BYTES_MAX);
    if (gal_metrics_shard(m, &shard, &err) == GAL_OK) {
        gal_series d = model_series(m, GAL_METRIC_INFERENCE_DURATION, "m", NULL);
        gal_series g = model_series(m, GAL_METRIC_MODEL_READY, "m", NULL);
        gal_shard_observe_us(shard, d, 5);
        gal_gauge_set(m, g, 1);
        render_into(m, &b);
        all = d && g && !b.failed && memmem(b.p, b.n, counted.p, counted.n);
    }
    gal_buf_release(&b);
    gal_metrics_free(m);
    return all;
}

static void memory_that_runs_out_loses_counts_only(void **state)
{
    (void)state;
    for (uint64_t i = 1; i < 1000; i++) {
        bool all;
        gal_alloc_fail_at(i, 1);
        all = use_all();
        gal_alloc_fail_at(0, 0);
        if (all)
            return;
    }
    fail_msg("never succeeded");
}

/* --- the process --- */

static void the_process_shows_its_figures(void **state)
{
    static const char *const names[] = {"process_cpu_seconds_total",
                                        "process_resident_memory_bytes",
                                        "process_virtual_memory_bytes",
                                        "process_open_fds",
                                        "process_max_fds",
                                        "process_threads",
                                        "galley_allocations_total",
                                        "galley_build_info{version=\"" GAL_VERSION "\"}"};
    struct gal_buf b;
    struct gal_expo e;
    char *text;

    (void)state;
    gal_buf_init(&b, 65536);
    gal_expo_init(&e, GAL_EXPO_TEXT, &b);
    gal_metrics_render_process(&e, UINT64_C(1700000000123456));
    gal_expo_end(&e);
    gal_buf_putc(&b, '\0');
    text = strdup(b.p);
    gal_buf_release(&b);
    check_page(text);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_true(value_of(text, names[i]) >= (i ? 1 : 0));
    assert_non_null(strstr(text, "process_start_time_seconds 1700000000.123456\n"));
    assert_true(value_of(text, "process_open_fds") >= 3);
    assert_true(value_of(text, "process_resident_memory_bytes") <
                value_of(text, "process_virtual_memory_bytes"));
    free(text);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_counter_shows_what_was_added),
        TEST(shards_are_summed),
        TEST(rows_without_labels_are_there_from_the_start),
        TEST(a_series_is_made_once_and_known_by_its_labels),
        TEST(series_are_sorted_by_label),
        TEST(label_values_are_escaped),
        TEST(a_label_without_end_makes_no_series),
        TEST(a_value_on_a_bound_falls_into_its_bucket),
        TEST(the_bounds_that_others_query_are_there),
        TEST(a_gauge_is_set_and_added_to),
        TEST(a_hidden_gauge_is_left_out_until_it_is_set_again),
        TEST(beyond_the_cap_nothing_is_counted_and_nothing_breaks),
        TEST(counting_allocates_only_at_first_use),
        TEST(writers_and_readers_do_not_disturb_each_other),
        cmocka_unit_test(memory_that_runs_out_loses_counts_only),
        cmocka_unit_test(the_process_shows_its_figures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
