/* SPDX-License-Identifier: Apache-2.0 */
/* The native endpoints from the request to the answer, over the fake backend (it doubles). */
#include "api/desk.h"
#include "base/mem.h"
#include "text/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static const struct desk_model models[] = {
    {"twice", "2", "input x FP32 [-1,1]\noutput y FP32 [-1,1]\n"},
    {"twice", "1", "input x FP32 [-1,1]\noutput y FP32 [-1,1]\n"},
    {"wide", "1", "input v FP32 [-1,3]\noutput w FP32 [-1,3]\n"},
    {"moody", "1", "input x FP32 [-1,1]\noutput y FP32 [-1,1]\nfail_every 2\n"},
    {"late", "1", NULL},
    {"bad", "1", "load_fails the file is broken\n"},
};
enum { TWICE = 0, WIDE = 2 };

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

static int post(const char *path, const char *body)
{
    return desk_ask(&d, GAL_METHOD_POST, path, body);
}

static void expect(int status, const char *part)
{
    if (d.x.resp.status != status || strstr(d.body.p, part) == NULL)
        fail_msg("%d %s, not %d %s", d.x.resp.status, d.body.p, status, part);
    desk_next(&d);
}

static void a_row_and_many_rows_are_answered(void **state)
{
    (void)state;
    post("/v1/models/twice/predict", "{\"features\":{\"x\":1.5}}");
    assert_string_equal(desk_header(&d, "Content-Type"), "application/json");
    expect(200, "\"model_name\":\"twice\",\"model_version\":\"2\",\"predictions\":[3.0],"
                "\"prediction\":3.0,\"processing_time_ms\":0.000,"
                "\"timestamp\":\"2024-01-15T14:23:41.123Z\",\"device\":\"cpu\"}");
    post("/v1/models/wide/predict", "{\"instances\":[[1,2,3],[4,5,6]]}");
    expect(200, "\"predictions\":[{\"w\":[2.0,4.0,6.0]},{\"w\":[8.0,10.0,12.0]}],\"proc");
    post("/v1/models/twice/predict/batch", "{\"instances\":[1,[2],{\"x\":3}]}");
    expect(200, "\"predictions\":[2.0,4.0,6.0],");
    assert_int_equal(d.x.rows, 0);
}

static void a_version_comes_from_path_body_or_header(void **state)
{
    (void)state;
    post("/v1/models/twice/versions/1/predict", "{\"x\":1}");
    expect(200, "\"model_version\":\"1\"");
    post("/v1/models/twice/predict", "{\"features\":[1],\"model_version\":\"1\"}");
    expect(200, "\"model_version\":\"1\"");
    d.req.known[GAL_HDR_X_MODEL_VERSION] = GAL_STR("1");
    post("/v1/models/twice/predict", "{\"features\":[1]}");
    expect(200, "\"model_version\":\"1\"");
    post("/v1/models/twice/versions/1/predict/batch",
         "{\"instances\":[1],\"model_version\":\"1\"}");
    expect(200, "\"model_version\":\"1\"");
    post("/v1/models/twice/versions/1/predict", "{\"features\":[1],\"model_version\":\"2\"}");
    expect(422, "\"field\":\"model_version\"");
    post("/v1/models/twice/predict", "{\"features\":[1],\"model_version\":\"9\"}");
    expect(404, "9");
}

static void the_default_model_needs_no_name(void **state)
{
    (void)state;
    post("/predict", "{\"x\":1}");
    expect(404, "several models");
    d.options.default_model = GAL_STR("wide");
    post("/predict", "{\"v\":[1,2,3]}");
    expect(200, "\"model_name\":\"wide\"");
    post("/v1/predict", "{\"features\":[1,2,3]}");
    expect(200, "\"model_name\":\"wide\"");
    post("/v1/predict/batch", "{\"instances\":[[1,2,3]]}");
    expect(200, "\"model_name\":\"wide\"");
    d.options.default_model = (struct gal_str){NULL, 0};
}

/* VAL-06 */
static void a_wrong_request_never_reaches_the_model(void **state)
{
    uint64_t before = desk_runs(&d, TWICE);

    (void)state;
    d.req.known[GAL_HDR_X_REQUEST_ID] = GAL_STR("req-9f7c3e2a");
    post("/v1/models/twice/predict", "{\"instances\":[1,2,3,{\"x\":\"wide\"}]}");
    expect(422, "{\"detail\":[{\"loc\":[\"body\",\"instances\",3,\"x\"],"
                "\"field\":\"instances[3].x\",\"msg\":\"");
    post("/v1/models/twice/predict", "{\"y\":1}");
    expect(422, "\"type\":\"unknown\"");
    post("/v1/models/wide/predict", "{\"features\":[1,\"2\",3]}");
    expect(422, "{\"loc\":[\"body\",\"features\",1],\"field\":\"features[1]\"");
    post("/v1/models/twice/predict/batch", "{\"features\":[1]}");
    expect(422, "\"field\":\"features\"");
    assert_int_equal(desk_runs(&d, TWICE), before);
    assert_int_equal(d.x.outcome, GAL_OK); /* and nothing is left of it */
}

static void a_wrong_request_is_told_with_its_id(void **state)
{
    (void)state;
    d.req.known[GAL_HDR_X_REQUEST_ID] = GAL_STR("req-9f7c3e2a");
    post("/v1/models/twice/predict", "{\"features\":{}}");
    assert_int_equal(d.x.outcome, GAL_INVALID);
    assert_string_equal(d.x.outcome_text, "x: missing field");
    expect(422, "\"type\":\"missing\"}],\"request_id\":\"req-9f7c3e2a\"}");
    d.req.known[GAL_HDR_X_REQUEST_ID] = GAL_STR("req-1");
    post("/v1/models/twice/predict", "{\"features\":");
    expect(400, ",\"request_id\":\"req-1\"}");
}

static void what_is_no_json_is_400(void **state)
{
    static const char *const bodies[] = {"{", "nothing", "{\"features\":[1],}", "\xff", "{} {}"};

    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
        post("/v1/models/twice/predict", bodies[i]);
        expect(400, "{\"detail\":\"the body is no JSON: ");
    }
    post("/v1/models/twice/predict", "");
    expect(400, "{\"detail\":\"the body is empty");
}

static void bodies_of_other_types_are_415(void **state)
{
    static const char *const good[] = {"application/json", "Application/JSON; charset=utf-8",
                                       "application/vnd.x+json",
                                       "application/x-www-form-urlencoded"};
    static const char *const wrong[] = {"text/xml", "multipart/form-data; boundary=x",
                                        "application/octet-stream", ";", "+json"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        d.req.known[GAL_HDR_CONTENT_TYPE] = gal_str_of(good[i]);
        post("/v1/models/twice/predict", "{\"x\":1}");
        expect(200, "");
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        d.req.known[GAL_HDR_CONTENT_TYPE] = gal_str_of(wrong[i]);
        post("/v1/models/twice/predict", "{\"x\":1}");
        expect(415, "application/json");
    }
}

static void instances_are_bounded(void **state)
{
    (void)state;
    d.options.instances_max = 2;
    post("/v1/models/twice/predict", "{\"instances\":[1,2]}");
    expect(200, "");
    post("/v1/models/twice/predict", "{\"instances\":[1,2,3]}");
    expect(422, "\"field\":\"instances\",\"msg\":\"3 instances; a request may have 2");
    d.options.instances_max = 1000;
}

static void models_that_cannot_answer_say_why(void **state)
{
    (void)state;
    post("/v1/models/nobody/predict", "{\"x\":1}");
    expect(404, "nobody");
    post("/v1/models/late/predict", "{\"x\":1}");
    expect(503, "Model not loaded");
    post("/v1/models/bad/predict", "{\"x\":1}");
    expect(503, "the file is broken");
    d.process.refusing = true;
    post("/v1/models/twice/predict", "{\"x\":1}");
    expect(503, "Service shutting down");
    d.process.refusing = false;
    d.req.known[GAL_HDR_X_REQUEST_ID] = GAL_STR("req-500");
    post("/v1/models/moody/predict", "{\"x\":1}"); /* the second run: the first was the warm-up */
    expect(500, "\"request_id\":\"req-500\"");
    post("/v1/models/moody/predict", "{\"x\":1}");
    expect(200, "");
}

static void every_failing_allocation_ends_in_an_answer(void **state)
{
    int status = 0;

    (void)state;
    for (uint64_t i = 1; status != 200 && i < 200; i++) {
        gal_exchange_release(&d.x); /* no memory kept from before */
        struct gal_exchange fresh = d.x;
        gal_exchange_init(&d.x, &d.api);
        d.x.req = fresh.req;
        d.x.on_finished = fresh.on_finished;
        d.x.carrier = fresh.carrier;
        gal_alloc_fail_at(i, 1);
        desk_begin(&d, GAL_METHOD_POST, "/v1/models/wide/predict",
                   "{\"instances\":[[1,2,3],[4,5,6]]}");
        gal_alloc_fail_at(0, 0);
        assert_int_equal(d.finished, 1);
        status = d.x.resp.status;
        assert_true(status == 200 || status == 503 || status == 500 || status == 413);
        desk_next(&d);
    }
    assert_int_equal(status, 200);
}

/* The steady state of a request makes no allocation. */
static void a_second_request_allocates_nothing(void **state)
{
    uint64_t before;

    (void)state;
    desk_begin(&d, GAL_METHOD_POST, "/v1/models/wide/predict", "{\"instances\":[[1,2,3]]}");
    gal_exchange_reset(&d.x);
    before = gal_alloc_count();
    for (int i = 0; i < 10; i++) {
        desk_begin(&d, GAL_METHOD_POST, "/v1/models/wide/predict", "{\"instances\":[[1,2,3]]}");
        assert_int_equal(d.x.resp.status, 200);
        gal_exchange_reset(&d.x);
        desk_begin(&d, GAL_METHOD_POST, "/v1/models/twice/predict", "{\"x\":1}");
        assert_int_equal(d.x.resp.status, 200);
        gal_exchange_reset(&d.x);
    }
    assert_int_equal(gal_alloc_count(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_and_many_rows_are_answered),
        cmocka_unit_test(a_version_comes_from_path_body_or_header),
        cmocka_unit_test(the_default_model_needs_no_name),
        cmocka_unit_test(a_wrong_request_never_reaches_the_model),
        cmocka_unit_test(a_wrong_request_is_told_with_its_id),
        cmocka_unit_test(what_is_no_json_is_400),
        cmocka_unit_test(bodies_of_other_types_are_415),
        cmocka_unit_test(instances_are_bounded),
        cmocka_unit_test(models_that_cannot_answer_say_why),
        cmocka_unit_test(every_failing_allocation_ends_in_an_answer),
        cmocka_unit_test(a_second_request_allocates_nothing),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
