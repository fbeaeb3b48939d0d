/* SPDX-License-Identifier: Apache-2.0 */
/* The statistics extension and the metrics page, without sockets. */
#include "api/desk.h"
#include "base/mem.h"
#include "text/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static const struct desk_model models[] = {
    {"bad", "1", "load_fails the file is broken\n"},
    {"iris", "2", "input x FP32 [-1,4]\noutput y FP32 [-1,4]\n"},
    {"iris", "1", "input x FP32 [-1,4]\noutput y FP32 [-1,4]\n"},
    {"late", "1", NULL},
};

static struct desk d;

static int start(void **state)
{
    (void)state;
    desk_open(&d, models, sizeof(models) / sizeof(*models), false);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    desk_close(&d);
    return 0;
}

static int get(const char *target)
{
    return desk_ask(&d, GAL_METHOD_GET, target, NULL);
}

static void has(const char *part)
{
    if (strstr(d.body.p, part) == NULL)
        fail_msg("no %s in %s", part, d.body.p);
}

static void infer(const char *target, const char *rows)
{
    char body[256];

    snprintf(body, sizeof(body),
             "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[%s,4],\"data\":"
             "[1,2,3,4,5,6,7,8]}]}",
             rows);
    assert_int_equal(desk_ask(&d, GAL_METHOD_POST, target, body), 200);
    desk_next(&d);
}

static void what_is_fresh_has_done_nothing(void **state)
{
    (void)state;
    assert_int_equal(get("/v2/models/iris/versions/1/stats"), 200);
    assert_string_equal(
        d.body.p,
        "{\"model_stats\":[{\"name\":\"iris\",\"version\":\"1\",\"last_inference\":0,"
        "\"inference_count\":0,\"execution_count\":0,\"inference_stats\":{"
        "\"success\":{\"count\":0,\"ns\":0},\"fail\":{\"count\":0,\"ns\":0},"
        "\"queue\":{\"count\":0,\"ns\":0},\"compute_input\":{\"count\":0,\"ns\":0},"
        "\"compute_infer\":{\"count\":0,\"ns\":0},\"compute_output\":{\"count\":0,\"ns\":0},"
        "\"cache_hit\":{\"count\":0,\"ns\":0},\"cache_miss\":{\"count\":0,\"ns\":0}},"
        "\"response_stats\":{},\"batch_stats\":[],\"memory_usage\":[]}]}");
    desk_next(&d);
}

static void calls_are_counted_by_their_rows(void **state)
{
    (void)state;
    infer("/v2/models/iris/versions/2/infer", "2");
    infer("/v2/models/iris/versions/2/infer", "2");
    assert_int_equal(get("/v2/models/iris/versions/2/stats"), 200);
    has("\"last_inference\":1705328621123,\"inference_count\":4,\"execution_count\":2,");
    has("\"success\":{\"count\":2,");
    has("\"batch_stats\":[{\"batch_size\":2,\"compute_input\":{\"count\":2,");
    desk_next(&d);
}

static void only_versions_that_serve_are_listed(void **state)
{
    const char *two, *one;

    (void)state;
    assert_int_equal(get("/v2/models/stats"), 200);
    two = strstr(d.body.p, "{\"name\":\"iris\",\"version\":\"2\"");
    one = strstr(d.body.p, ",{\"name\":\"iris\",\"version\":\"1\"");
    assert_true(two != NULL && one > two);
    assert_null(strstr(d.body.p, "\"bad\""));
    assert_null(strstr(d.body.p, "\"late\""));
    desk_next(&d);
    assert_int_equal(get("/v2/models/iris/stats"), 200);
    has("\"version\":\"2\"");
    has("\"version\":\"1\"");
    desk_next(&d);
}

static void who_does_not_serve_has_no_statistics(void **state)
{
    (void)state;
    assert_int_equal(get("/v2/models/bad/stats"), 503);
    has("{\"error\":\"model 'bad' version 1 is not ready: it has no statistics\"");
    desk_next(&d);
    assert_int_equal(get("/v2/models/late/versions/1/stats"), 503);
    desk_next(&d);
    assert_int_equal(get("/v2/models/nobody/stats"), 404);
    desk_next(&d);
    assert_int_equal(get("/v2/models/iris/versions/3/stats"), 404);
    desk_next(&d);
}

static void tell_cache(const struct gal_api *api, const struct gal_model *m,
                       struct gal_cache_spans *out)
{
    (void)api;
    if (strcmp(m->version, "2") == 0)
        *out = (struct gal_cache_spans){.hit = {3, 300}, .miss = {4, 4000}};
}

static void a_cache_adds_its_answers(void **state)
{
    (void)state;
    d.api.cache_spans = tell_cache;
    infer("/v2/models/iris/versions/2/infer", "2");
    assert_int_equal(get("/v2/models/iris/versions/2/stats"), 200);
    has("\"inference_count\":2,");
    has("\"success\":{\"count\":4,\"ns\":300}");
    has("\"cache_hit\":{\"count\":3,\"ns\":300},\"cache_miss\":{\"count\":4,\"ns\":4000}");
    desk_next(&d);
    assert_int_equal(get("/v2/models/iris/versions/1/stats"), 200);
    has("\"cache_hit\":{\"count\":0,\"ns\":0}");
    desk_next(&d);
}

static void the_page_has_gauges_of_those_that_serve(void **state)
{
    (void)state;
    assert_int_equal(get("/metrics"), 200);
    has("\ninference_queue_requests{model=\"iris\",model_version=\"2\"} 0\n");
    has("\ninference_queue_requests{model=\"iris\",model_version=\"1\"} 0\n");
    has("\ninference_requests_refused_total{model=\"iris\",model_version=\"1\"} 0\n");
    assert_null(strstr(d.body.p, "model=\"late\""));
    assert_null(strstr(d.body.p, "nv_"));
    assert_string_equal(desk_header(&d, "Vary"), "Accept");
    desk_next(&d);
    d.options.triton_metrics = true;
    d.process.cpu_ppm = 250000;
    assert_int_equal(get("/metrics"), 200);
    has("\nnv_inference_count{model=\"iris\",version=\"2\"} 0\n");
    has("\nnv_cpu_utilization 0.25\n");
    desk_next(&d);
}

static void formats_follow_the_accept_header(void **state)
{
    (void)state;
    d.req.known[GAL_HDR_ACCEPT] = GAL_STR("application/openmetrics-text");
    assert_int_equal(get("/metrics"), 200);
    assert_string_equal(desk_header(&d, "Content-Type"),
                        "application/openmetrics-text; version=1.0.0; charset=utf-8");
    has("\n# EOF\n");
    desk_next(&d);
    d.req.known[GAL_HDR_ACCEPT] = GAL_STR("application/vnd.google.protobuf; encoding=delimited; "
                                          "proto=io.prometheus.client.MetricFamily");
    assert_int_equal(get("/metrics"), 200);
    assert_string_equal(desk_header(&d, "Content-Type"),
                        "application/vnd.google.protobuf; "
                        "proto=io.prometheus.client.MetricFamily; encoding=delimited");
    desk_next(&d);
}

/* Every allocation of a scrape fails once: an error or a whole page, never half a one. */
static void a_scrape_without_memory_is_an_error(void **state)
{
    bool done = false;

    (void)state;
    d.options.triton_metrics = true;
    for (uint64_t i = 1; !done && i < 1000; i++) {
        int status;
        d.req.known[GAL_HDR_ACCEPT] = GAL_STR("application/openmetrics-text");
        gal_alloc_fail_at(i, 1);
        status = get("/metrics");
        gal_alloc_fail_at(0, 0);
        assert_true(status == 200 || status >= 500);
        done = status == 200 && d.body.n > 7 &&
               strcmp(d.body.p + strlen(d.body.p) - 7, "\n# EOF\n") == 0;
        assert_true(done || status != 200);
        gal_exchange_release(&d.x); /* the next one is to allocate again */
        desk_next(&d);
    }
    assert_true(done);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_fresh_has_done_nothing),
        TEST(calls_are_counted_by_their_rows),
        TEST(only_versions_that_serve_are_listed),
        TEST(who_does_not_serve_has_no_statistics),
        TEST(a_cache_adds_its_answers),
        TEST(the_page_has_gauges_of_those_that_serve),
        TEST(formats_follow_the_accept_header),
        TEST(a_scrape_without_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
