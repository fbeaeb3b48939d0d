/* SPDX-License-Identifier: Apache-2.0 */
/* A package's features before inference, in each protocol that has a codec of its own: what is
 * wrong is named, the model does not run. */
#include "api/account.h"
#include "api/desk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct desk_model models[] = {
    {"fraud", "1",
     "input transaction_amount FP32 [-1,1]\ninput merchant_category BYTES [-1,1]\n"
     "input user_account_age_days FP64 [-1,1]\noptional hour_of_day INT64 [-1,1]\n"
     "optional history FP32 [-1,2]\n"
     "output y FP32 [-1,1]\noutput y2 BYTES [-1,1]\noutput y3 FP64 [-1,1]\n"
     "output y4 INT64 [-1,1]\noutput y5 FP32 [-1,2]\n"},
};
static const char manifest_text[] =
    "galley: 1\nname: fraud\nversion: 1.0.0\nmodel: m.onnx\n"
    "features:\n"
    "- {name: transaction_amount, type: float, gt: 0, lt: 1000000,"
    " outlier: {above: 50000, action: flag}}\n"
    "- {name: merchant_category, type: text, min_length: 1, max_length: 50,"
    " values: [electronics, grocery], message: Category must be one of electronics and grocery}\n"
    "- {name: user_account_age_days, type: int, ge: 0, le: 36500, nullable: true}\n"
    "- {name: hour_of_day, type: int, ge: 0, le: 23, default: 12}\n"
    "- {name: history, type: float, shape: [2], le: 9, default: 1}\n"
    "outputs: [{name: y, description: how much, labels: [small]}, y2, y3, y4, y5]\n"
    "confidence: {output: y, min: 4}\n"
    "rules: [{left: user_account_age_days, op: '>=', right: hour_of_day}]\n";

static struct desk d;
static struct gal_arena arena;

static int start(void **state)
{
    struct gal_manifest *m;
    struct gal_err err;
    (void)state;
    desk_open(&d, models, sizeof(models) / sizeof(models[0]), false);
    gal_arena_init(&arena, 4096, 0, 1 << 20);
    if (gal_manifest_read(gal_str_of(manifest_text), "galley.yaml", &arena, &m, &err) != GAL_OK)
        fail_msg("%s: %s", err.place, err.message);
    d.models[0]->manifest = m;
    assert_int_equal(gal_account_new(&d.api, NULL), GAL_OK);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    d.models[0]->manifest = NULL;
    gal_account_free(&d.api);
    gal_arena_release(&arena);
    desk_close(&d);
    return 0;
}

/* The answer's status and a part of it; one that is refused runs nothing. */
static void check(const char *path, const char *body, int want, const char *part)
{
    uint64_t runs = desk_runs(&d, 0);
    int status = desk_ask(&d, GAL_METHOD_POST, path, body);

    if (status != want || strstr(d.body.p, part) == NULL)
        fail_msg("%s %s\nwant %d %s\ngot %d %s", path, body, want, part, status, d.body.p);
    assert_int_equal(desk_runs(&d, 0) > runs, want == 200);
    desk_next(&d);
}

#define GOOD                                                                                       \
    "\"transaction_amount\":5,\"merchant_category\":\"grocery\",\"user_account_age_days\":100"
#define NATIVE "/predict"

static void a_good_row_runs(void **state)
{
    (void)state;
    check(NATIVE, "{" GOOD ",\"hour_of_day\":3,\"history\":[1,2]}", 200, "\"y4\":6");
    check(NATIVE, "{\"features\":{" GOOD ",\"hour_of_day\":0}}", 200, "\"y4\":0");
}

static void defaults_stand_for_what_is_left_out(void **state)
{
    (void)state;
    check(NATIVE, "{" GOOD "}", 200, "\"y4\":24,\"y5\":[2.0,2.0]");
    check(NATIVE, "{\"instances\":[{" GOOD "},{" GOOD ",\"hour_of_day\":1,\"history\":[3,4]}]}",
          200, "\"y4\":24,\"y5\":[2.0,2.0]},");
    check(NATIVE, "{\"instances\":[{" GOOD "},{" GOOD ",\"hour_of_day\":1,\"history\":[3,4]}]}",
          200, "\"y4\":2,\"y5\":[6.0,8.0]}");
    check(NATIVE, "{\"instances\":[{" GOOD ",\"hour_of_day\":1},{" GOOD "}]}", 200, "\"y4\":24");
}

static void null_is_taken_of_what_is_nullable(void **state)
{
    (void)state;
    check(NATIVE,
          "{\"transaction_amount\":5,\"merchant_category\":\"grocery\","
          "\"user_account_age_days\":null}",
          200, "\"y3\":\"NaN\"");
    check(NATIVE,
          "{\"transaction_amount\":null,\"merchant_category\":\"grocery\","
          "\"user_account_age_days\":null}",
          422, "\"field\":\"transaction_amount\"");
    check(NATIVE,
          "{\"transaction_amount\":5,\"merchant_category\":\"grocery\","
          "\"user_account_age_days\":1.5}",
          422, "\"msg\":\"user_account_age_days must be a whole number\",\"type\":\"type\"");
}

static void every_wrong_field_is_named(void **state)
{
    (void)state;
    check(NATIVE, "{" GOOD ",\"hour_of_day\":24}", 422,
          "{\"detail\":[{\"loc\":[\"body\",\"hour_of_day\"],\"field\":\"hour_of_day\",\"msg\":"
          "\"hour_of_day must be at most 23\",\"type\":\"range\"}],");
    check(NATIVE,
          "{\"instances\":[{" GOOD "},{\"transaction_amount\":0,\"merchant_category\":\"x\","
          "\"user_account_age_days\":-1,\"hour_of_day\":-2,\"history\":[1,10]}]}",
          422,
          "\"field\":\"instances[1].transaction_amount\",\"msg\":\"transaction_amount must be "
          "greater than 0\",\"type\":\"range\"},{\"loc\":[\"body\",\"instances\",1,"
          "\"merchant_category\"],\"field\":\"instances[1].merchant_category\",\"msg\":\"Category "
          "must be one of electronics and grocery\",\"type\":\"value\"},");
    check(NATIVE, "{\"features\":{" GOOD ",\"history\":[1,10]}}", 422,
          "\"loc\":[\"body\",\"features\",\"history\",1],\"field\":\"features.history[1]\"");
    check(NATIVE, "{" GOOD ",\"age\":1}", 422, "\"type\":\"unknown\"");
    check(NATIVE,
          "{\"transaction_amount\":5,\"merchant_category\":\"grocery\","
          "\"user_account_age_days\":5}",
          422, "user_account_age_days must be at least hour_of_day");
}

static void missing_mistyped_and_wrong_fields_are_in_one_list(void **state)
{
    (void)state;
    static const char body[] = "{\"transaction_amount\":\"5\",\"user_account_age_days\":-1,"
                               "\"hour_of_day\":24}";
    check(NATIVE, body, 422, "\"field\":\"transaction_amount\"");
    check(NATIVE, body, 422, "\"field\":\"merchant_category\",\"msg\":\"missing field\"");
    check(NATIVE, body, 422, "\"msg\":\"user_account_age_days must be at least 0\"");
    check(NATIVE, body, 422, "\"msg\":\"hour_of_day must be at most 23\"");
    check(NATIVE,
          "{\"instances\":[{" GOOD ",\"hour_of_day\":\"a\"},{" GOOD ",\"hour_of_day\":99}]}", 422,
          "\"field\":\"instances[1].hour_of_day\"");
    /* what is mistyped is not wrong a second time */
    desk_ask(&d, GAL_METHOD_POST, NATIVE,
             "{\"transaction_amount\":\"5\",\"merchant_category\":\"grocery\","
             "\"user_account_age_days\":100}");
    assert_null(strstr(strstr(d.body.p, "transaction_amount") + 1, "must be greater"));
    desk_next(&d);
}

#define COLUMN(name, type, data)                                                                   \
    "{\"name\":\"" name "\",\"datatype\":\"" type "\",\"shape\":[2,1],\"data\":" data "}"

static void the_open_inference_protocol_is_checked(void **state)
{
    (void)state;
#define OIP "/v2/models/fraud/infer"
#define OIP_BODY(amount, category, age)                                                            \
    "{\"inputs\":[" COLUMN("transaction_amount", "FP32", amount) "," COLUMN(                       \
        "merchant_category", "BYTES", category) "," COLUMN("user_account_age_days", "FP64",        \
                                                           age) "]}"
    check(OIP, OIP_BODY("[1,2]", "[\"grocery\",\"grocery\"]", "[null,30]"), 200, "\"NaN\"");
    check(OIP, OIP_BODY("[1,-2]", "[\"a\",\"grocery\"]", "[1.5,30]"), 400,
          "{\"error\":\"instance 0: Category must be one of electronics and grocery; instance 0: "
          "user_account_age_days must be a whole number; instance 1: transaction_amount must be "
          "greater than 0\"}");
    check(OIP, OIP_BODY("[1,null]", "[\"grocery\",\"grocery\"]", "[50,30]"), 400, "data[1]");
}

static void tensorflow_serving_and_mlflow_are_checked(void **state)
{
    (void)state;
#define TFS "/v1/models/fraud:predict"
    check(TFS, "{\"instances\":[{" GOOD "},{" GOOD ",\"hour_of_day\":1}]}", 200, "\"y4\":[24]");
    check(TFS,
          "{\"instances\":[{\"transaction_amount\":5,\"merchant_category\":\"grocery\","
          "\"user_account_age_days\":null}]}",
          200, "\"NaN\"");
    check(TFS, "{\"instances\":[{" GOOD ",\"hour_of_day\":24}]}", 400,
          "hour_of_day must be at most 23");
#define MLFLOW "/invocations"
    check(MLFLOW, "{\"dataframe_records\":[{" GOOD "}]}", 200, "\"y4\":24");
    check(MLFLOW, "{\"dataframe_records\":[{" GOOD ",\"hour_of_day\":24}]}", 400,
          "hour_of_day must be at most 23");
    check(MLFLOW,
          "{\"dataframe_split\":{\"columns\":[\"transaction_amount\",\"merchant_category\","
          "\"user_account_age_days\"],\"data\":[[5,\"grocery\",null],[6,\"grocery\",50]]}}",
          200, "\"y4\":24");
    check(MLFLOW,
          "{\"inputs\":{\"transaction_amount\":[[0]],\"merchant_category\":[[\"grocery\"]],"
          "\"user_account_age_days\":[[null]]}}",
          400, "transaction_amount must be greater than 0");
}

static void unknown_features_pass_where_they_are_to_be_ignored(void **state)
{
    (void)state;
    struct gal_manifest *m = (struct gal_manifest *)(uintptr_t)d.models[0]->manifest;

    m->unknown_features = GAL_UNKNOWN_IGNORE;
    check(NATIVE, "{" GOOD ",\"age\":1,\"other\":{\"a\":[]}}", 200, "\"y4\":24");
    check(TFS, "{\"instances\":[{" GOOD ",\"age\":1}]}", 200, "\"y4\":[24]");
    check(MLFLOW,
          "{\"dataframe_split\":{\"columns\":[\"age\",\"transaction_amount\","
          "\"merchant_category\",\"user_account_age_days\"],"
          "\"data\":[[1,5,\"grocery\",50]]}}",
          200, "\"y4\":24");
    check(OIP,
          "{\"inputs\":[" COLUMN("age", "FP32", "[1,2]") "," COLUMN(
              "transaction_amount", "FP32",
              "[1,2]") "," COLUMN("merchant_category", "BYTES",
                                  "[\"grocery\",\"grocery\"]") "," COLUMN("user_account_age_days",
                                                                          "FP64", "[20,30]") "]}",
          200, "\"outputs\"");
    m->unknown_features = GAL_UNKNOWN_REFUSE;
}

static void flags_are_told_and_counted(void **state)
{
    (void)state;
    check(NATIVE, "{" GOOD "}", 200, "\"predictions\"");
    desk_ask(&d, GAL_METHOD_POST, NATIVE, "{" GOOD "}");
    assert_null(strstr(d.body.p, "flags"));
    assert_null(desk_header(&d, "X-Galley-Review"));
    desk_next(&d);
    static const char body[] = "{\"instances\":[{\"transaction_amount\":60000,"
                               "\"merchant_category\":\"grocery\",\"user_account_age_days\":50},"
                               "{\"transaction_amount\":1,\"merchant_category\":\"grocery\","
                               "\"user_account_age_days\":50}]}";
    check(NATIVE, body, 200,
          "\"review\":true,\"flags\":[{\"instance\":0,\"field\":\"transaction_amount\",\"msg\":"
          "\"transaction_amount value suspicious\",\"type\":\"outlier\"},{\"instance\":1,"
          "\"field\":\"y\",\"msg\":\"y is below 4\",\"type\":\"confidence\"}]");
    desk_ask(&d, GAL_METHOD_POST, NATIVE, body);
    assert_string_equal(desk_header(&d, "X-Galley-Review"), "outlier, confidence");
    desk_next(&d);
    desk_ask(&d, GAL_METHOD_POST, "/invocations",
             "{\"dataframe_records\":[{\"transaction_amount\":60000,\"merchant_category\":"
             "\"grocery\",\"user_account_age_days\":50}]}");
    assert_string_equal(desk_header(&d, "X-Galley-Review"), "outlier");
    desk_next(&d);
    desk_ask(&d, GAL_METHOD_GET, "/metrics", NULL);
    if (strstr(d.body.p, "reason=\"outlier\"} 3\n") == NULL ||
        strstr(d.body.p, "reason=\"confidence\"} ") == NULL)
        fail_msg("%s", strstr(d.body.p, "inference_flagged"));
    desk_next(&d);
}

static void the_openapi_document_shows_features(void **state)
{
    static const char *const parts[] = {
        "\"transaction_amount\":{\"type\":\"number\",\"exclusiveMinimum\":0.0,"
        "\"exclusiveMaximum\":1000000.0}",
        "\"merchant_category\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":50,\"enum\":["
        "\"electronics\",\"grocery\"]}",
        "\"user_account_age_days\":{\"type\":[\"integer\",\"null\"],\"minimum\":0,\"maximum\":"
        "36500}",
        "\"hour_of_day\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":23,\"default\":12}",
        "\"required\":[\"transaction_amount\",\"merchant_category\",\"user_account_age_days\"]",
        "\"y\":{\"description\":\"how much\",\"x-labels\":[\"small\"],\"allOf\":[",
        "{\"features\":{\"transaction_amount\":500000.0,\"merchant_category\":\"electronics\","
        "\"user_account_age_days\":0}}",
    };
    (void)state;
    assert_int_equal(desk_ask(&d, GAL_METHOD_GET, "/openapi.json", NULL), 200);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (strstr(d.body.p, parts[i]) == NULL) {
            const char *near = strstr(d.body.p, "\"transaction_amount\":");
            fail_msg("no %s\n%.1500s", parts[i], near != NULL ? near : d.body.p);
        }
    desk_next(&d);
}

static void metadata_tells_of_features(void **state)
{
    (void)state;
    assert_int_equal(desk_ask(&d, GAL_METHOD_GET, "/v2/models/fraud", NULL), 200);
    assert_non_null(
        strstr(d.body.p, "{\"name\":\"merchant_category\",\"datatype\":\"BYTES\",\"shape\":[-1,1],"
                         "\"parameters\":{\"min_length\":1,\"max_length\":50,\"values\":"
                         "\"[\\\"electronics\\\",\\\"grocery\\\"]\"}}"));
    assert_non_null(strstr(d.body.p, "\"parameters\":{\"ge\":0,\"le\":23,\"default\":12}}"));
    assert_non_null(strstr(d.body.p, "\"parameters\":{\"description\":\"how much\"}}"));
    desk_next(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_row_runs),
        cmocka_unit_test(defaults_stand_for_what_is_left_out),
        cmocka_unit_test(null_is_taken_of_what_is_nullable),
        cmocka_unit_test(every_wrong_field_is_named),
        cmocka_unit_test(missing_mistyped_and_wrong_fields_are_in_one_list),
        cmocka_unit_test(the_open_inference_protocol_is_checked),
        cmocka_unit_test(tensorflow_serving_and_mlflow_are_checked),
        cmocka_unit_test(unknown_features_pass_where_they_are_to_be_ignored),
        cmocka_unit_test(flags_are_told_and_counted),
        cmocka_unit_test(the_openapi_document_shows_features),
        cmocka_unit_test(metadata_tells_of_features),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
