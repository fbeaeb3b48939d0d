/* SPDX-License-Identifier: Apache-2.0 */
/* CloudEvents: structured events read, both modes answered, each error in the endpoint's dialect,
 * memory that fails. */
#include "api/cloudevents.h"
#include "api/desk.h"
#include "base/mem.h"
#include "text/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define OLD "\"id\":\"7\",\"source\":\"/a\",\"type\":\"t\""
#define HEAD "\"specversion\":\"1.0\"," OLD
#define EVENTS_JSON "application/cloudevents+json"

static const struct desk_model models[] = {
    {"wide b", "1",
     "input v FP32 [-1,3]\noutput w FP32 [-1,3]\nmeta feature_names [\"a\",\"b\",\"c\"]\n"},
};

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

/* ---- gal_event_read ---- */

static const struct {
    const char *text, *type, *data;
    bool is_json;
} good[] = {
    {"{" HEAD ",\"data\":{\"a\":[1,{}]}}", "application/json", "{\"a\":[1,{}]}", true},
    {"\n{ \"data\" :\t\"x\\\"}\" , " HEAD " }\n", "application/json", "\"x\\\"}\"", true},
    {"{" HEAD ",\"data\":-1.50e3,\"subject\":\"s\",\"n\":{\"data\":1}}", "application/json",
     "-1.50e3", true},
    {"{" HEAD ",\"d\\u0061ta\":[]}", "application/json", "[]", true},
    {"{" HEAD ",\"data\":null}", "application/json", "null", true},
    {"{" HEAD ",\"datacontenttype\":null}", "application/json", "", false},
    {"{" HEAD ",\"datacontenttype\":\"text/csv\",\"data\":\"a,b\\n1,\\u0032\"}", "text/csv",
     "a,b\n1,2", false},
    {"{" HEAD ",\"data_base64\":\"aGk\\u003d\"}", "application/json", "hi", false},
    {"{\"data_base64\":\"\",\"datacontenttype\":\"image/png\"," HEAD "}", "image/png", "", false},
};

static void an_event_is_read(void **state)
{
    struct gal_event_data data;
    struct gal_arena arena;
    struct gal_err err;

    (void)state;
    gal_arena_init(&arena, 4096, 0, 1 << 20);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        enum gal_status st = gal_event_read(gal_str_of(good[i].text), &arena, &data, &err);

        if (st != GAL_OK)
            fail_msg("%s: %s", good[i].text, err.message);
        assert_true(gal_str_is(data.type, good[i].type));
        assert_true(gal_str_is(data.text, good[i].data));
        assert_int_equal(data.is_json, good[i].is_json);
    }
    gal_arena_release(&arena);
}

static const struct {
    const char *text, *message;
} bad[] = {
    {"", "no JSON object"},
    {"[]", "no JSON object"},
    {"{\"specversion\":\"1.0\"", "no JSON"},
    {"{" HEAD ",\"data\":}", "no JSON object: see byte"},
    {"{" HEAD ",\"data\"}", "no JSON object: see byte"},
    {"{" HEAD ",,\"data\":1}", "no JSON: "},
    {"{" HEAD " \"data\":1}", "no JSON: "},
    {"{" HEAD ",\"data\":1}}", "no JSON: "},
    {"{" HEAD ",\"data\":\"open", "no JSON: "},
    {"{" HEAD ",\"data\":[[1]", "no JSON: "},
    {"{" OLD ",\"data\":1}", "attribute specversion is missing"},
    {"{\"specversion\":\"0.3\"," OLD "}", "attribute specversion is '0.3'"},
    {"{\"specversion\":1.0," OLD "}", "attribute specversion: expected a string, got number"},
    {"{\"specversion\":\"1.0\",\"source\":\"/\",\"type\":\"t\"}", "attribute id is missing"},
    {"{\"specversion\":\"1.0\",\"id\":\"1\",\"type\":\"t\"}", "attribute source is missing"},
    {"{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/\"}", "attribute type is missing"},
    {"{\"specversion\":\"1.0\",\"id\":\"\",\"source\":\"/\",\"type\":\"t\"}",
     "attribute id is empty"},
    {"{" HEAD ",\"id\":\"8\"}", "attribute id is there twice"},
    {"{" HEAD ",\"datacontenttype\":\"\"}", "attribute datacontenttype is empty"},
    {"{" HEAD ",\"data\":1,\"data_base64\":\"\"}", "both data and data_base64"},
    {"{\"data_base64\":\"\"," HEAD ",\"data\":1}", "both data and data_base64"},
    {"{" HEAD ",\"data\":1,\"d\\u0061ta\":1}", "data twice"},
    {"{" HEAD ",\"data_base64\":1}", "data_base64: expected a string"},
    {"{" HEAD ",\"data_base64\":\"a\"}", "data_base64: "},
    {"{" HEAD ",\"datacontenttype\":\"text/csv\",\"data\":{}}", "data: expected a string"},
};

static void what_is_wrong_is_named(void **state)
{
    struct gal_event_data data;
    struct gal_arena arena;
    struct gal_err err;

    (void)state;
    gal_arena_init(&arena, 4096, 0, 1 << 20);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        enum gal_status st = gal_event_read(gal_str_of(bad[i].text), &arena, &data, &err);

        if (st != GAL_INVALID || strstr(err.message, bad[i].message) == NULL)
            fail_msg("%s: %s", bad[i].text, st == GAL_OK ? "is read" : err.message);
    }
    gal_arena_release(&arena);
}

/* Data of any size takes none of the arena; what stands beside it is bounded. */
static void only_data_may_be_large(void **state)
{
    enum { LARGE = 1 << 20 };
    struct gal_event_data data;
    struct gal_arena arena;
    struct gal_buf text;
    struct gal_err err;

    (void)state;
    for (int beside = 0; beside < 2; beside++) {
        gal_arena_init(&arena, 4096, 0, LARGE / 4);
        gal_buf_init(&text, 2 * LARGE);
        gal_buf_puts(&text, beside ? "{" HEAD ",\"x\":\"" : "{" HEAD ",\"data\":\"");
        memset(gal_buf_reserve(&text, LARGE), 'x', LARGE);
        text.n += LARGE;
        gal_buf_puts(&text, "\"}");
        if (beside) {
            assert_int_equal(gal_event_read(gal_buf_str(&text), &arena, &data, &err), GAL_INVALID);
            assert_non_null(strstr(err.message, "more than 16384 bytes beside its data"));
        } else {
            assert_int_equal(gal_event_read(gal_buf_str(&text), &arena, &data, &err), GAL_OK);
            assert_int_equal(data.text.n, LARGE + 2);
        }
        gal_buf_release(&text);
        gal_arena_release(&arena);
    }
}

/* ---- endpoints ---- */

#define INFER "/v2/models/wide%20b/infer"
#define NATIVE "/v1/models/wide%20b/predict"
#define TENSOR                                                                                     \
    "{\"inputs\":[{\"name\":\"v\",\"shape\":[1,3],\"datatype\":\"FP32\",\"data\":[1,2,3]}]}"

static void binary(const char *specversion, const char *id, const char *source, const char *type)
{
    d.req.known[GAL_HDR_CE_SPECVERSION] = gal_str_of(specversion);
    d.req.known[GAL_HDR_CE_ID] = gal_str_of(id);
    d.req.known[GAL_HDR_CE_SOURCE] = gal_str_of(source);
    d.req.known[GAL_HDR_CE_TYPE] = gal_str_of(type);
}

static int ask(const char *path, const char *type, const char *body)
{
    d.req.known[GAL_HDR_CONTENT_TYPE] = gal_str_of(type);
    return desk_ask(&d, GAL_METHOD_POST, path, body);
}

static void next(void)
{
    desk_next(&d);
    binary(NULL, NULL, NULL, NULL);
}

static void a_binary_event_is_answered_by_one(void **state)
{
    (void)state;
    binary("1.0", "7", "/a", "t");
    assert_int_equal(ask("/invocations", "text/csv", "a,b,c\n1,2,3\n"), 200);
    assert_string_equal(d.body.p, "{\"predictions\":[{\"w\":[2.0,4.0,6.0]}]}");
    assert_string_equal(desk_header(&d, "ce-specversion"), "1.0");
    assert_int_equal(strlen(desk_header(&d, "ce-id")), 36);
    assert_string_equal(desk_header(&d, "ce-source"), "io.kserve.inference.wide%20b");
    assert_string_equal(desk_header(&d, "ce-type"), "io.kserve.inference.response");
    assert_int_equal(strlen(desk_header(&d, "ce-time")), 24);
    assert_string_equal(desk_header(&d, "Content-Type"), "application/json");
    next();
    assert_int_equal(ask(INFER, "application/json", TENSOR), 200);
    assert_null(desk_header(&d, "ce-id"));
    next();
}

static void a_structured_event_is_answered_by_one(void **state)
{
    static const char head[] = "{\"specversion\":\"1.0\",\"id\":\"";
    const char *tail;

    (void)state;
    assert_int_equal(ask("/invocations", EVENTS_JSON "; charset=utf-8",
                         "{" HEAD
                         ",\"datacontenttype\":\"text/csv\",\"data\":\"a,b,c\\n1,2,3\\n\"}"),
                     200);
    assert_string_equal(desk_header(&d, "Content-Type"), EVENTS_JSON);
    assert_memory_equal(d.body.p, head, sizeof(head) - 1);
    tail = strstr(d.body.p, "\",\"source\":");
    assert_non_null(tail);
    assert_non_null(strstr(tail, "\"source\":\"io.kserve.inference.wide%20b\",\"type\":"
                                 "\"io.kserve.inference.response\",\"time\":\""));
    tail = strstr(tail, "\",\"datacontenttype\":");
    assert_non_null(tail);
    assert_string_equal(tail, "\",\"datacontenttype\":\"application/json\",\"data\":"
                              "{\"predictions\":[{\"w\":[2.0,4.0,6.0]}]}}");
    assert_null(desk_header(&d, "ce-id"));
    next();
    d.req.known[GAL_HDR_ACCEPT] = GAL_STR("text/csv");
    assert_int_equal(ask("/invocations", EVENTS_JSON, "{" HEAD ",\"data\":{\"inputs\":[1,2,3]}}"),
                     200);
    d.req.known[GAL_HDR_ACCEPT] = (struct gal_str){NULL, 0};
    assert_non_null(strstr(d.body.p, "\"datacontenttype\":\"text/csv; charset=utf-8\","
                                     "\"data\":\"2.0,4.0,6.0\\n\"}"));
    next();
}

static void binary_tensors_travel_as_base64(void **state)
{
    static const char json[] =
        "{\"inputs\":[{\"name\":\"v\",\"shape\":[1,3],\"datatype\":\"FP32\",\"data\":[1,2,3]}],"
        "\"outputs\":[{\"name\":\"w\",\"parameters\":{\"binary_data\":true}}]}";
    char text[512];

    (void)state;
    snprintf(text, sizeof(text), "{" HEAD ",\"data\":%s}", json);
    assert_int_equal(ask(INFER, EVENTS_JSON, text), 200);
    assert_string_equal(desk_header(&d, "Content-Type"), EVENTS_JSON);
    assert_non_null(desk_header(&d, "Inference-Header-Content-Length"));
    assert_non_null(
        strstr(d.body.p, "\"datacontenttype\":\"application/octet-stream\",\"data_base64\":\""));
    next();
    d.req.known[GAL_HDR_INFERENCE_HEADER_CONTENT_LENGTH] = GAL_STR("9");
    assert_int_equal(ask(INFER, EVENTS_JSON, text), 400);
    assert_non_null(strstr(d.body.p, "data_base64"));
    d.req.known[GAL_HDR_INFERENCE_HEADER_CONTENT_LENGTH] = (struct gal_str){NULL, 0};
    next();
}

static void errors_are_the_endpoints_own(void **state)
{
    static const struct {
        const char *path, *type, *body;
        int status;
        const char *text;
    } rows[] = {
        {NATIVE, EVENTS_JSON, "{\"specversion\":\"1.0\"}", 400, "{\"detail\":\"the event's"},
        {INFER, EVENTS_JSON, "{\"specversion\":\"1.0\"}", 400, "{\"error\":\"the event's"},
        {"/invocations", EVENTS_JSON, "x", 400,
         "{\"error_code\":\"BAD_REQUEST\",\"message\":\"the"},
        {INFER, "application/cloudevents-batch+json", "[]", 400, "batches of events"},
        {INFER, "application/cloudevents+avro", "[]", 415, "is not supported"},
        {INFER, EVENTS_JSON, "{" HEAD "}", 400, "{\"error\":"},
        {NATIVE, EVENTS_JSON, "{" HEAD ",\"data\":[1}}", 400, "the body is no JSON"},
        {NATIVE, EVENTS_JSON, "{" HEAD ",\"data\":{\"features\":[1]}}", 422, "{\"detail\":["},
        {"/v2/models/no/infer", EVENTS_JSON, "{" HEAD ",\"data\":{}}", 404, "{\"error\":"},
        {"/v2/models/no/generate_stream", EVENTS_JSON, "{" HEAD ",\"data\":{}}", 501, "stream"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(ask(rows[i].path, rows[i].type, rows[i].body), rows[i].status);
        if (strstr(d.body.p, rows[i].text) == NULL)
            fail_msg("%zu: %s", i, d.body.p);
        assert_string_equal(desk_header(&d, "Content-Type"), "application/json");
        next();
    }
}

static void a_binary_event_names_what_it_lacks(void **state)
{
    static const struct {
        const char *at[4];
        const char *text;
    } rows[] = {
        {{NULL, "1", "/", "t"}, "ce-specversion is missing"},
        {{"1.0", NULL, "/", "t"}, "ce-id is missing"},
        {{"1.0", "1", NULL, "t"}, "ce-source is missing"},
        {{"1.0", "1", "/", NULL}, "ce-type is missing"},
        {{"1.0", "", "/", "t"}, "ce-id is empty"},
        {{"2.0", "1", "/", "t"}, "ce-specversion is '2.0'"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        binary(rows[i].at[0], rows[i].at[1], rows[i].at[2], rows[i].at[3]);
        assert_int_equal(ask(NATIVE, "application/json", "{\"features\":[1,2,3]}"), 400);
        assert_non_null(strstr(d.body.p, rows[i].text));
        assert_null(desk_header(&d, "ce-id"));
        next();
    }
}

static void other_endpoints_take_no_events(void **state)
{
    (void)state;
    binary("2.0", NULL, NULL, NULL);
    assert_int_equal(desk_ask(&d, GAL_METHOD_GET, "/v2", ""), 200);
    assert_null(desk_header(&d, "ce-id"));
    next();
}

static void every_failing_allocation_ends_in_an_answer(void **state)
{
    (void)state;
    for (int csv = 0; csv < 2; csv++) {
        for (uint64_t n = 1;; n++) {
            int status;

            gal_arena_release(&d.x.arena);
            gal_arena_init(&d.x.arena, 64, 0, 1 << 20);
            gal_buf_release(&d.x.packed);
            d.req.known[GAL_HDR_ACCEPT] = csv ? GAL_STR("text/csv") : GAL_STR("application/json");
            gal_alloc_fail_at(n, 1);
            status = ask("/invocations", EVENTS_JSON,
                         "{" HEAD ",\"data\":{\"inputs\":{\"v\":[1,2,3]}}}");
            gal_alloc_fail_at(0, 0);
            if (status == 200)
                assert_non_null(strstr(d.body.p, csv ? "\"data\":\"2.0" : "\"data\":{\"pred"));
            else
                assert_true(status == 503 || status == 500);
            next();
            if (status == 200 && n > 60)
                break;
            assert_true(n < 1000);
        }
    }
    d.req.known[GAL_HDR_ACCEPT] = (struct gal_str){NULL, 0};
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_read),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(only_data_may_be_large),
        cmocka_unit_test(a_binary_event_is_answered_by_one),
        cmocka_unit_test(a_structured_event_is_answered_by_one),
        cmocka_unit_test(binary_tensors_travel_as_base64),
        cmocka_unit_test(errors_are_the_endpoints_own),
        cmocka_unit_test(a_binary_event_names_what_it_lacks),
        cmocka_unit_test(other_endpoints_take_no_events),
        cmocka_unit_test(every_failing_allocation_ends_in_an_answer),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
