/* SPDX-License-Identifier: Apache-2.0 */
/* What a request says of its time and its rank: headers and parameters, right and wrong. */
#include "api/desk.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static const struct desk_model models[] = {
    {"m", "1", "input x FP32 [-1,1]\noutput y FP32 [-1,1]\n"}};

static struct desk d;

static int start(void **state)
{
    (void)state;
    desk_open(&d, models, 1, false);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    desk_close(&d);
    return 0;
}

struct say {
    const char *own_ms, *proxy_ms, *priority; /* headers; NULL: absent */
    const char *parameters;                   /* of the body; NULL: absent */
};

static void set(enum gal_known_header header, const char *value)
{
    if (value)
        d.req.known[header] = gal_str_of(value);
}

static int ask(const struct say *s)
{
    char body[256];
    snprintf(
        body, sizeof body,
        "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1,1],\"data\":[1]}]%s%s}",
        s->parameters ? ",\"parameters\":" : "", s->parameters ? s->parameters : "");
    set(GAL_HDR_X_REQUEST_TIMEOUT_MS, s->own_ms);
    set(GAL_HDR_X_ENVOY_TIMEOUT_MS, s->proxy_ms);
    set(GAL_HDR_X_REQUEST_PRIORITY, s->priority);
    return desk_ask(&d, GAL_METHOD_POST, "/v2/models/m/infer", body);
}

/* left_us: from the request's arrival to its deadline; 0: none. */
static void expect(const struct say *s, uint64_t left_us, unsigned priority)
{
    assert_int_equal(ask(s), 200);
    if (left_us == UINT64_MAX)
        assert_true(d.x.job.deadline_us == UINT64_MAX);
    else
        assert_int_equal(d.x.job.deadline_us, left_us ? d.now_us + left_us : 0);
    assert_int_equal(d.x.job.priority, priority);
    desk_next(&d);
}

static void the_shortest_time_that_is_told_counts(void **state)
{
    (void)state;
    d.options.request_timeout_us = 0;
    expect(&(struct say){0}, 0, 0);
    expect(&(struct say){.own_ms = "5"}, 5000, 0);
    expect(&(struct say){.proxy_ms = "7"}, 7000, 0);
    expect(&(struct say){.own_ms = "9", .proxy_ms = "8"}, 8000, 0);
    expect(&(struct say){.own_ms = "0", .proxy_ms = "0"}, 0, 0);
    expect(&(struct say){.own_ms = "0", .parameters = "{\"timeout\":0}"}, 0, 0);
    expect(&(struct say){.own_ms = "2", .parameters = "{\"timeout\":1999}"}, 1999, 0);
    expect(&(struct say){.own_ms = "2", .parameters = "{\"timeout\":2001}"}, 2000, 0);
    expect(&(struct say){.own_ms = "999999999999999"}, UINT64_C(999999999999999000), 0);
}

static void a_request_shortens_the_server_s_time_and_never_lengthens_it(void **state)
{
    (void)state;
    d.options.request_timeout_us = 60000;
    expect(&(struct say){0}, 60000, 0);
    expect(&(struct say){.own_ms = "59"}, 59000, 0);
    expect(&(struct say){.own_ms = "61"}, 60000, 0);
    expect(&(struct say){.parameters = "{\"timeout\":18446744073709551615}"}, 60000, 0);
    d.options.request_timeout_us = 0;
}

static void queue_policies_stand_between_a_parameter_and_the_deadline(void **state)
{
    struct gal_model_config *c = &d.models[0]->config;

    (void)state;
    c->queue_policies = true;
    expect(&(struct say){.parameters = "{\"timeout\":1999}"}, 0, 0);
    assert_int_equal(ask(&(struct say){.own_ms = "5", .parameters = "{\"timeout\":1999}"}), 200);
    assert_int_equal(d.x.job.timeout_us, 1999); /* what the queue is told */
    assert_int_equal(d.x.job.deadline_us, d.now_us + 5000);
    desk_next(&d);
    c->queue_policies = false;
    expect(&(struct say){.parameters = "{\"timeout\":1999}"}, 1999, 0);
}

static void a_time_beyond_all_time_is_no_deadline_in_the_past(void **state)
{
    (void)state;
    expect(&(struct say){.parameters = "{\"timeout\":18446744073709551615}"}, UINT64_MAX, 0);
}

static void the_body_s_priority_comes_before_the_header_s(void **state)
{
    (void)state;
    expect(&(struct say){.priority = "3"}, 0, 3);
    expect(&(struct say){.priority = "3", .parameters = "{\"priority\":2}"}, 0, 2);
    expect(&(struct say){.priority = "3", .parameters = "{\"priority\":0}"}, 0, 3);
    expect(&(struct say){.priority = "999999999999999"}, 0, UINT_MAX);
    expect(&(struct say){.parameters = "{\"priority\":18446744073709551615}"}, 0, UINT_MAX);
}

static void refuses(const struct say *s, const char *words)
{
    const uint64_t before = desk_runs(&d, 0);
    assert_int_equal(ask(s), 400);
    if (strstr(d.body.p, words) == NULL)
        fail_msg("no '%s' in %s", words, d.body.p);
    desk_next(&d);
    assert_int_equal(desk_runs(&d, 0), before);
}

static void what_is_no_number_is_refused_by_name(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "", "a", "-1", "+1", "1.5", "1 ", "0x1", "1e3", "1111111111111111"};
    char words[128];
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        snprintf(words, sizeof words, " must be a whole number, got '%s'", wrong[i]);
        refuses(&(struct say){.own_ms = wrong[i]}, "X-Request-Timeout-Ms");
        refuses(&(struct say){.own_ms = wrong[i]}, words);
        refuses(&(struct say){.proxy_ms = wrong[i]}, "X-Envoy-Expected-Rq-Timeout-Ms");
        refuses(&(struct say){.priority = wrong[i]}, "X-Request-Priority");
    }
    refuses(&(struct say){.parameters = "{\"timeout\":-1}"}, "parameters.timeout");
    refuses(&(struct say){.parameters = "{\"timeout\":1.5}"}, "parameters.timeout");
    refuses(&(struct say){.parameters = "{\"priority\":\"1\"}"}, "parameters.priority");
}

static void the_native_way_has_the_headers_too(void **state)
{
    (void)state;
    set(GAL_HDR_X_REQUEST_TIMEOUT_MS, "4");
    set(GAL_HDR_X_REQUEST_PRIORITY, "2");
    assert_int_equal(desk_ask(&d, GAL_METHOD_POST, "/v1/models/m/predict", "{\"x\":1}"), 200);
    assert_int_equal(d.x.job.deadline_us, d.now_us + 4000);
    assert_int_equal(d.x.job.priority, 2);
    desk_next(&d);
    set(GAL_HDR_X_REQUEST_TIMEOUT_MS, "soon");
    assert_int_equal(desk_ask(&d, GAL_METHOD_POST, "/v1/models/m/predict", "{\"x\":1}"), 422);
    assert_non_null(strstr(d.body.p, "X-Request-Timeout-Ms"));
    desk_next(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shortest_time_that_is_told_counts),
        cmocka_unit_test(a_request_shortens_the_server_s_time_and_never_lengthens_it),
        cmocka_unit_test(queue_policies_stand_between_a_parameter_and_the_deadline),
        cmocka_unit_test(a_time_beyond_all_time_is_no_deadline_in_the_past),
        cmocka_unit_test(the_body_s_priority_comes_before_the_header_s),
        cmocka_unit_test(what_is_no_number_is_refused_by_name),
        cmocka_unit_test(the_native_way_has_the_headers_too),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
