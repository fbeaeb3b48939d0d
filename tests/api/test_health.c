/* SPDX-License-Identifier: Apache-2.0 */
/* Live, ready, startup, and the deep check behind them (HLT-01 to HLT-10). */
#include "api/desk.h"
#include "backend/fake.h"
#include "text/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define MODEL "input x FP32 [-1,3]\noutput y FP32 [-1,3]\n"
#define SECOND_US 1000000u

static struct desk d;

static void open_one(const char *text)
{
    const struct desk_model m = {"one", "3", text};

    desk_open(&d, &m, 1, true);
}

static int get(const char *target)
{
    return desk_ask(&d, GAL_METHOD_GET, target, NULL);
}

static void expect(int status, const char *part)
{
    if (d.x.resp.status != status || strstr(d.body.p, part) == NULL)
        fail_msg("%d %s, not %d %s", d.x.resp.status, d.body.p, status, part);
    desk_next(&d);
}

static void live_is_200_whatever_the_models_do(void **state)
{
    static const char *const paths[] = {"/health", "/health/live", "/live", "/health?deep=0"};
    const struct desk_model models[] = {{"late", "1", NULL}, {"bad", "1", "load_fails broken\n"}};

    (void)state;
    desk_open(&d, models, 2, true);
    d.process.draining = true;
    d.process.loaded = false;
    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
        get(paths[i]);
        assert_string_equal(desk_header(&d, "Cache-Control"), "no-store");
        expect(200, "{\"status\":\"healthy\",\"timestamp\":\"2024-01-15T14:23:41.123Z\"}");
    }
    desk_close(&d);
}

static void startup_ends_with_the_first_load(void **state)
{
    (void)state;
    open_one(NULL);
    d.process.loaded = false;
    get("/startup");
    expect(503, "{\"status\":\"starting\",\"detail\":\"Still loading model\"}");
    d.process.loaded = true;
    get("/startup");
    expect(200, "{\"status\":\"started\"}");
    get("/health/startup");
    expect(200, "{\"status\":\"started\"}");
    desk_close(&d);
}

static void ready_tells_version_uptime_and_models(void **state)
{
    (void)state;
    open_one(MODEL);
    get("/ready");
    expect(200, "{\"status\":\"ready\",\"model_version\":\"3\",\"uptime_seconds\":5,"
                "\"model_loaded\":true,\"gpu_available\":false,"
                "\"models\":[{\"name\":\"one\",\"version\":\"3\",\"state\":\"READY\"}]}");
    get("/health/ready");
    expect(200, "\"status\":\"ready\"");
    desk_close(&d);
}

static void not_ready_tells_why(void **state)
{
    const struct desk_model models[] = {
        {"a", "1", NULL}, {"b", "1", "load_fails the file is broken\n"}, {"c", "1", MODEL}};

    (void)state;
    desk_open(&d, models, 1, true);
    get("/ready");
    expect(503, "{\"status\":\"not_ready\",\"detail\":\"model loading\"");
    assert_int_equal(desk_load(&d, 0, MODEL), GAL_OK);
    get("/ready");
    expect(200, "\"ready\"");
    d.process.draining = true;
    get("/ready");
    expect(503, "\"detail\":\"draining");
    desk_close(&d);
    desk_open(&d, models, 3, true); /* what failed is told before what loads */
    get("/ready");
    expect(503, "\"detail\":\"model 'b' version 1 failed to load: ");
    desk_close(&d);
}

/* HLT-07: the warm-up was the first run. */
static void ready_runs_each_model_once_a_period(void **state)
{
    const struct desk_model models[] = {{"a", "1", MODEL}, {"b", "1", MODEL}};

    (void)state;
    desk_open(&d, models, 2, true);
    for (int i = 0; i < 5; i++) {
        get("/ready");
        expect(200, "\"ready\"");
    }
    assert_int_equal(desk_runs(&d, 0), 2);
    assert_int_equal(desk_runs(&d, 1), 2);
    d.now_us += 29 * SECOND_US;
    get("/ready");
    expect(200, "\"ready\"");
    assert_int_equal(desk_runs(&d, 0), 2);
    d.now_us += SECOND_US;
    get("/ready");
    expect(200, "\"ready\"");
    assert_int_equal(desk_runs(&d, 0), 3);
    d.process.catalog_age++; /* a reload: what was found was found about others */
    get("/ready");
    expect(200, "\"ready\"");
    assert_int_equal(desk_runs(&d, 0), 4);
    assert_int_equal(desk_runs(&d, 1), 4);
    desk_close(&d);
}

/* HLT-10: runs 1 (warm-up) and 3 are well, 2 and 4 fail. */
static void a_model_that_breaks_is_not_ready_and_may_recover(void **state)
{
    (void)state;
    open_one(MODEL "fail_every 2\n");
    get("/ready");
    expect(503, "\"detail\":\"Model inference check failed: model 'one' version 3: fake failure");
    get("/ready"); /* the result stands */
    expect(503, "fake failure");
    get("/health");
    expect(200, "healthy");
    assert_int_equal(desk_runs(&d, 0), 2);
    d.now_us += 30 * SECOND_US;
    get("/ready");
    expect(200, "\"ready\"");
    desk_close(&d);
}

static void an_input_that_is_refused_is_an_answer(void **state)
{
    (void)state;
    open_one(MODEL "refuse_every 2\n");
    get("/ready");
    expect(200, "\"ready\"");
    assert_int_equal(desk_runs(&d, 0), 2);
    desk_close(&d);
}

static void deep_health_runs_the_model_each_time(void **state)
{
    (void)state;
    open_one(MODEL);
    get("/health?deep=1");
    expect(200, "{\"status\":\"healthy\",\"model_loaded\":true,\"output_shape\":[1,3],"
                "\"device\":\"cpu\",\"timestamp\":\"");
    get("/health/live?deep");
    expect(200, "\"model_loaded\":true");
    assert_int_equal(desk_runs(&d, 0), 3);
    desk_close(&d);
    open_one(MODEL "fail_every 2\n");
    get("/health?deep=1");
    expect(503, "\"detail\":\"Model health check failed: model 'one' version 3: fake failure");
    desk_close(&d);
    open_one(NULL);
    get("/health?deep=1");
    expect(503, "\"detail\":\"Model not loaded\"");
    desk_close(&d);
}

static struct gal_exchange other;
static unsigned other_finished;

static void on_other(struct gal_exchange *x)
{
    assert_ptr_equal(x, &other);
    other_finished++;
}

/* The answer of a second request while the first one's check stands at the gate. */
static int ask_other(void)
{
    static struct gal_http_request req;

    req.method = GAL_METHOD_GET;
    req.target = req.path = GAL_STR("/ready");
    other_finished = 0;
    gal_exchange_init(&other, &d.api);
    other.req = &req;
    other.on_finished = on_other;
    gal_api_handle(&other);
    assert_int_equal(other_finished, 1);
    int status = other.resp.status;
    gal_exchange_release(&other);
    return status;
}

static void while_a_check_runs_others_do_not_wait(void **state)
{
    struct gal_session *session;

    (void)state;
    open_one(MODEL);
    session = d.models[0]->session;
    gal_fake_gate_close(session);
    desk_begin(&d, GAL_METHOD_GET, "/ready", NULL);
    gal_fake_gate_await(session, 1);
    assert_int_equal(d.finished, 0);
    assert_true(d.x.job_running);
    assert_int_equal(ask_other(), 200); /* the warm-up's result */
    d.now_us += 9 * SECOND_US;
    assert_int_equal(ask_other(), 200);
    d.now_us += 2 * SECOND_US; /* HLT-08: too long for a probe */
    assert_int_equal(ask_other(), 503);
    gal_fake_gate_open(session);
    desk_await(&d);
    expect(200, "\"ready\"");
    assert_int_equal(desk_runs(&d, 0), 2);
    assert_int_equal(ask_other(), 200);
    desk_close(&d);
}

static void a_client_that_goes_does_not_disturb_its_check(void **state)
{
    struct gal_session *session;

    (void)state;
    open_one(MODEL);
    session = d.models[0]->session;
    desk_ask(&d, GAL_METHOD_POST, "/predict", "{\"features\":[1,2,3]}"); /* a job of old */
    expect(200, "");
    gal_fake_gate_close(session);
    desk_begin(&d, GAL_METHOD_GET, "/ready", NULL);
    gal_fake_gate_await(session, 1);
    gal_exchange_cancel(&d.x);
    gal_fake_gate_open(session);
    desk_await(&d); /* the carrier is told all the same */
    expect(200, "\"ready\"");
    desk_ask(&d, GAL_METHOD_POST, "/predict", "{\"features\":[1,2,3]}");
    expect(200, "[2.0,4.0,6.0]");
    desk_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(live_is_200_whatever_the_models_do),
        cmocka_unit_test(startup_ends_with_the_first_load),
        cmocka_unit_test(ready_tells_version_uptime_and_models),
        cmocka_unit_test(not_ready_tells_why),
        cmocka_unit_test(ready_runs_each_model_once_a_period),
        cmocka_unit_test(a_model_that_breaks_is_not_ready_and_may_recover),
        cmocka_unit_test(an_input_that_is_refused_is_an_answer),
        cmocka_unit_test(deep_health_runs_the_model_each_time),
        cmocka_unit_test(while_a_check_runs_others_do_not_wait),
        cmocka_unit_test(a_client_that_goes_does_not_disturb_its_check),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
