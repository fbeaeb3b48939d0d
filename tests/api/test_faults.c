/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with the fields of one request, in one text: what is told beside what, what stands
 * in for what could not be read and is not judged, and very much of it. */
#include "api/desk.h"
#include "api/faults.h"
#include "api/oip.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static const struct desk_model models[] = {
    {"fields", "1",
     "input a FP32 [-1,1]\ninput t BYTES [-1,1]\ninput v FP32 [-1,3]\n"
     "output y FP32 [-1,1]\noutput u BYTES [-1,1]\noutput w FP32 [-1,3]\n"},
    {"vector", "1",
     "input v FP32 [-1,3]\noutput w FP32 [-1,3]\nmeta feature_names [\"a\",\"b\",\"c\"]\n"},
};
static const char *const manifests[] = {
    "galley: 1\nname: fields\nversion: 1.0.0\nmodel: m.onnx\nfeatures:\n"
    "- {name: a, type: float, ge: 0}\n- {name: t, type: text, min_length: 1}\n"
    "- {name: v, type: float, shape: [3], ge: 1}\noutputs: [y, u, w]\n",
    "galley: 1\nname: vector\nversion: 1.0.0\nmodel: m.onnx\n"
    "features: [{name: v, type: float, shape: [3], ge: 1}]\noutputs: [w]\n",
};

static struct desk d;
static struct gal_arena arena;

static int start(void **state)
{
    (void)state;
    desk_open(&d, models, sizeof(models) / sizeof(models[0]), false);
    gal_arena_init(&arena, 4096, 0, 1 << 20);
    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
        struct gal_manifest *m;
        struct gal_err err;

        if (gal_manifest_read(gal_str_of(manifests[i]), "galley.yaml", &arena, &m, &err) != GAL_OK)
            fail_msg("%s: %s", err.place, err.message);
        d.models[i]->manifest = m;
    }
    return 0;
}

static int stop(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++)
        d.models[i]->manifest = NULL;
    gal_arena_release(&arena);
    desk_close(&d);
    return 0;
}

/* After one that has failed, too. */
static int settle(void **state)
{
    (void)state;
    desk_next(&d);
    return 0;
}

#define OIP "/v2/models/fields/infer"
#define TFS "/v1/models/fields:predict"
#define GOOD "\"a\":1,\"t\":\"x\",\"v\":[1,2,3]"
#define INPUT(name, type, shape, data)                                                             \
    "{\"name\":\"" name "\",\"datatype\":\"" type "\",\"shape\":" shape ",\"data\":" data "}"
#define INPUT_A INPUT("a", "FP32", "[1,1]", "[1]")
#define INPUT_T INPUT("t", "BYTES", "[1,1]", "[\"x\"]")
#define INPUT_V INPUT("v", "FP32", "[1,3]", "[1,2,3]")
#define WRONG_A INPUT("a", "FP32", "[1,1]", "[\"x\"]")

/* Refused, with each of `told` (up to a NULL) in the text and none of `untold`. */
static void refuse(const char *path, const char *body, int status, const char *const told[4],
                   const char *const untold[4])
{
    uint64_t runs = desk_runs(&d, 0) + desk_runs(&d, 1);
    int got = desk_ask(&d, GAL_METHOD_POST, path, body);

    for (size_t i = 0; i < 4 && told[i] != NULL; i++)
        if (got != status || strstr(d.body.p, told[i]) == NULL)
            fail_msg("%.500s: %d %.900s, not %d %s", body, got, d.body.p, status, told[i]);
    for (size_t i = 0; untold != NULL && i < 4 && untold[i] != NULL; i++)
        if (strstr(d.body.p, untold[i]) != NULL)
            fail_msg("%.500s: %s in %.900s", body, untold[i], d.body.p);
    assert_int_equal(desk_runs(&d, 0) + desk_runs(&d, 1), runs);
    desk_next(&d);
}
#define TEXTS(...) ((const char *const[4]){__VA_ARGS__})

/* A right row beside the wrong one, so that there is an input for the model; the blocks' size moves
 * where one is taken. */
static void what_could_not_be_noted_is_refused_all_the_same(void **state)
{
    static const struct {
        const char *path, *body;
    } rows[] = {
        {OIP, "{\"inputs\":[" WRONG_A "," INPUT_T "," INPUT_V "]}"},
        {TFS, "{\"instances\":[{\"a\":\"x\",\"t\":\"x\",\"v\":[1,2,3]},{" GOOD "}]}"},
        {TFS, "{\"inputs\":{\"a\":[\"x\"],\"t\":[\"x\"],\"v\":[[1,2,3]]}}"},
    };
    uint64_t runs = desk_runs(&d, 0);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t first = 64; first < 12288; first += 64) {
            for (uint64_t n = 1; n < 24; n++) {
                int status;

                gal_arena_release(&d.x.arena);
                gal_arena_init(&d.x.arena, first, 0, 1 << 20);
                gal_alloc_fail_at(n, 1);
                status = desk_ask(&d, GAL_METHOD_POST, rows[i].path, rows[i].body);
                gal_alloc_fail_at(0, 0);
                assert_true(status == 400 || status == 503 || status == 500);
                desk_next(&d);
            }
        }
    }
    assert_int_equal(desk_runs(&d, 0), runs);
}

static void a_text_that_is_not_there_is_counted(void **state)
{
    struct gal_err err;

    (void)state;
    refuse(OIP, "{\"inputs\":[]}", 400, TEXTS("'a' is missing"), NULL);
    desk_ask(&d, GAL_METHOD_POST, OIP, "{\"inputs\":[" INPUT_A "," INPUT_T "," INPUT_V "]}");
    assert_int_equal(d.x.resp.status, 200);
    gal_faults_add(&d.x, NULL);
    gal_fail(&err, GAL_INVALID, "a is wrong");
    assert_true(gal_faults_take(&d.x, GAL_STR("a"), &err));
    assert_int_equal(d.x.faults->count, 2);
    assert_null(gal_faults_text(&d.x).p);
    assert_int_equal(gal_faults_settle(&d.x, d.x.infer, &err), GAL_INVALID);
    assert_string_equal(err.message, "2 fields are wrong; there is no memory to say which");
    desk_next(&d);
}

static void right_inputs_beside_a_content_type_are_not_missing(void **state)
{
    (void)state;
    refuse(OIP,
           "{\"parameters\":{\"content_type\":\"np\"},\"inputs\":[" WRONG_A "," INPUT_T "," INPUT_V
           "]}",
           400, TEXTS("inputs[0].data[0]"), TEXTS("missing", "more"));
    refuse(OIP,
           "{\"inputs\":[" WRONG_A "," INPUT(
               "t", "INT32", "[1,1]", "[\"x\"]") ",{\"name\":\"v\","
                                                 "\"datatype\":\"FP32\",\"shape\":[1,3],"
                                                 "\"parameters\":{\"shared_memory_region\":\"r\","
                                                 "\"shared_memory_byte_size\":12}}]}",
           400, TEXTS("inputs[0].data[0]", "inputs[1].data[0]"), TEXTS("missing"));
}

static void what_ends_reading_is_told_alone(void **state)
{
    (void)state;
    refuse(OIP, "{\"inputs\":[" WRONG_A ",{\"name\":7}," INPUT_T "," INPUT_V "]}", 400,
           TEXTS("expected a string, got number (at inputs[1].name)"), TEXTS("missing", "data[0]"));
    refuse(OIP,
           "{\"inputs\":[" WRONG_A
           "," INPUT("t", "BYTES", "[9000000000000000000,9]", "[]") "," INPUT_V "]}",
           413, TEXTS("is too large (at inputs[1].shape)"), TEXTS("missing", "data[0]"));
}

static void more_wrong_inputs_than_are_noted_end_reading(void **state)
{
    struct gal_buf body;

    (void)state;
    gal_buf_init(&body, 1 << 20);
    gal_buf_puts(&body, "{\"inputs\":[");
    for (size_t i = 0; i < GAL_OIP_WRONG_MAX + 1; i++)
        gal_buf_puts(&body, WRONG_A ",");
    gal_buf_puts(&body, INPUT_T "," INPUT_V "]}");
    gal_buf_putc(&body, '\0');
    refuse(OIP, body.p, 400, TEXTS("inputs[0].data[0]", "; and more\""), TEXTS("missing"));
    gal_buf_release(&body);
}

static void what_comes_behind_noted_fields_is_told_with_them(void **state)
{
    (void)state;
    refuse(TFS, "{\"instances\":[{" GOOD ",\"colour\":1},7]}", 400,
           TEXTS("'colour' is no input", "an object is expected, got number (at instances[1])"),
           NULL);
    refuse(OIP,
           "{\"inputs\":[" WRONG_A "," INPUT_T "," INPUT_V "],\"outputs\":[{\"name\":\"zz\"}]}",
           400, TEXTS("inputs[0].data[0]", "unexpected inference output 'zz'"), NULL);
}

static void an_element_that_is_none_is_not_judged_by_its_zero(void **state)
{
    (void)state;
    refuse("/v1/models/vector/predict", "{\"instances\":[{\"a\":\"x\",\"b\":2,\"c\":3}]}", 422,
           TEXTS("instances[0].a"), TEXTS("at least 1"));
    refuse("/v1/models/vector/predict",
           "{\"instances\":[{\"a\":\"x\",\"b\":2,\"c\":3},{\"a\":1,\"b\":0,\"c\":3}]}", 422,
           TEXTS("instances[0].a", "instances[1].v[1]"), TEXTS("instances[0].v"));
}

static void the_row_that_is_wrong_is_named_though_it_is_the_first(void **state)
{
#define ROW(a, v) "{\"t\":\"x\",\"a\":" a ",\"v\":" v "}"
    (void)state;
    refuse(TFS,
           "{\"instances\":[" ROW("[1,2]",
                                  "[1,2,3]") "," ROW("3", "[1,2,3]") "," ROW("4", "[1,2,3]") "]}",
           400, TEXTS("instances[0].a"), TEXTS("instances[1]", "instances[2]", "shape"));
    refuse(TFS, "{\"instances\":[" ROW("[1,2]", "[1,2,3]") "," ROW("[3]", "[1,2,3]") "]}", 400,
           TEXTS("instances[0].a"), TEXTS("instances[1]", "shape"));
    refuse(
        TFS,
        "{\"instances\":[" ROW("1", "[1,2]") "," ROW("3", "[1,2,3]") "," ROW("3", "[0,2,3]") "]}",
        400, TEXTS("instances[0].v"), TEXTS("instances[1]", "instances[2].v"));
    refuse(TFS, "{\"instances\":[{\"t\":\"x\",\"a\":1}," ROW("-1", "[1,2,3]") "]}", 400,
           TEXTS("'v' is missing", "instance 1: a must be at least 0"), TEXTS("instances[1]"));
}

static void very_many_wrong_keys_are_not_all_looked_at(void **state)
{
    struct gal_buf body;

    (void)state;
    gal_buf_init(&body, 1 << 20);
    gal_buf_puts(&body, "{\"instances\":[{" GOOD);
    for (size_t i = 0; i < 1000; i++)
        gal_buf_printf(&body, ",\"k%zu\":1", i);
    gal_buf_puts(&body, "}]}");
    gal_buf_putc(&body, '\0');
    refuse(TFS, body.p, 400, TEXTS("'k1' is no input", "; and more\""), TEXTS("missing"));
    gal_buf_clear(&body, SIZE_MAX);
    gal_buf_puts(&body, "{\"instances\":[");
    for (size_t i = 0; i < 1000; i++)
        gal_buf_puts(&body, i > 0 ? ",{\"a\":\"x\"}" : "{\"a\":\"x\"}");
    gal_buf_puts(&body, "]}");
    gal_buf_putc(&body, '\0');
    refuse(TFS, body.p, 400, TEXTS("instances[9].a", "; and more\""), TEXTS("missing"));
    gal_buf_release(&body);
}

/* 64 findings of the row that stands for one that could not be read are none. */
static void what_stands_for_a_row_is_not_counted(void **state)
{
    struct gal_buf body;

    (void)state;
    gal_buf_init(&body, 1 << 20);
    gal_buf_puts(&body, "{\"instances\":[" ROW("-1", "[1,2,3]"));
    for (size_t i = 0; i < 40; i++)
        gal_buf_puts(&body, "," ROW("1", "[1,2,\"x\"]"));
    gal_buf_puts(&body, "]}");
    gal_buf_putc(&body, '\0');
    refuse(TFS, body.p, 400, TEXTS("instances[40].v", "instance 0: a must be at least 0"),
           TEXTS("more"));
    gal_buf_release(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(what_could_not_be_noted_is_refused_all_the_same, settle),
        cmocka_unit_test_teardown(a_text_that_is_not_there_is_counted, settle),
        cmocka_unit_test_teardown(right_inputs_beside_a_content_type_are_not_missing, settle),
        cmocka_unit_test_teardown(what_ends_reading_is_told_alone, settle),
        cmocka_unit_test_teardown(more_wrong_inputs_than_are_noted_end_reading, settle),
        cmocka_unit_test_teardown(what_comes_behind_noted_fields_is_told_with_them, settle),
        cmocka_unit_test_teardown(an_element_that_is_none_is_not_judged_by_its_zero, settle),
        cmocka_unit_test_teardown(the_row_that_is_wrong_is_named_though_it_is_the_first, settle),
        cmocka_unit_test_teardown(very_many_wrong_keys_are_not_all_looked_at, settle),
        cmocka_unit_test_teardown(what_stands_for_a_row_is_not_counted, settle),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
