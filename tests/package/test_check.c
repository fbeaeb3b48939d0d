/* SPDX-License-Identifier: Apache-2.0 */
/* Columns against a manifest: what is found, where, in which words. */
#include "package/check.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

static struct gal_arena arena, own;
static struct gal_findings found;
static struct gal_err err;

static const struct gal_manifest *manifest(const char *features)
{
    char text[4096];
    struct gal_manifest *m;
    snprintf(text, sizeof text, "galley: 1\nname: a\nversion: 1.0.0\nmodel: m\n%s", features);
    gal_arena_clear(&own);
    if (gal_manifest_read(gal_str_of(text), "galley.yaml", &own, &m, &err))
        fail_msg("%s: %s", err.place, err.message);
    return m;
}

static const struct gal_manifest *one(const char *fields)
{
    char text[1024];
    snprintf(text, sizeof text, "features: [{name: x, %s}]\n", fields);
    return manifest(text);
}

static struct gal_value column(enum gal_dtype dtype, const void *data, size_t rows)
{
    static int64_t shapes[16][2];
    static size_t next;
    int64_t *shape = shapes[next++ % 16];
    shape[0] = (int64_t)rows;
    shape[1] = 1;
    return (struct gal_value){
        .kind = GAL_KIND_TENSOR,
        .tensor = {.dtype = dtype, .rank = 2, .shape = shape, .count = rows, .data = data}};
}

static enum gal_status check(const struct gal_manifest *m, const struct gal_value *values)
{
    gal_arena_clear(&arena);
    gal_err_clear(&err);
    size_t before = arena.used;
    enum gal_status status = gal_check_features(m, values, &arena, &found, &err);
    if (found.count == 0)
        assert_int_equal(arena.used, before); /* the good path takes no memory */
    assert_int_equal(status != GAL_OK, found.refused > 0);
    return status;
}

/* One value: NULL where it is fine, else type and message. */
static void check_one(const char *fields, enum gal_dtype dtype, const void *data, const char *type,
                      const char *message)
{
    struct gal_value v = column(dtype, data, 1);
    check(one(fields), &v);
    if (!type) {
        if (found.count)
            fail_msg("%s: %s", fields, found.at[0].message);
        return;
    }
    assert_int_equal(found.count, 1);
    assert_string_equal(found.at[0].type, type);
    assert_string_equal(found.at[0].message, message);
}

#define FLOAT(fields, value, type, message)                                                        \
    check_one(fields, GAL_DT_FP32, &(float){value}, type, message)
#define INT(fields, value, type, message)                                                          \
    check_one(fields, GAL_DT_INT64, &(int64_t){value}, type, message)
#define TEXT(fields, value, type, message)                                                         \
    check_one(fields, GAL_DT_BYTES, &(struct gal_str){value, sizeof value - 1}, type, message)

static void bounds_are_exclusive_or_inclusive(void **state)
{
    (void)state;
    FLOAT("type: float, gt: 0, lt: 1000000", 0.0f, "range", "x must be greater than 0");
    FLOAT("type: float, gt: 0, lt: 1000000", -0.0f, "range", "x must be greater than 0");
    FLOAT("type: float, gt: 0, lt: 1000000", 1e-45f, NULL, NULL);
    FLOAT("type: float, gt: 0, lt: 1000000", 999999.94f, NULL, NULL);
    FLOAT("type: float, gt: 0, lt: 1000000", 1e6f, "range", "x must be less than 1000000");
    FLOAT("type: float, ge: 0.1, le: 0.7", 0.1f, NULL, NULL); /* as FP32 holds the bound */
    FLOAT("type: float, ge: 0.1, le: 0.7", 0.7f, NULL, NULL);
    FLOAT("type: float, gt: 0.1", 0.1f, "range", "x must be greater than 0.1");
    FLOAT("type: float, le: 0.7", 0.70000005f, "range", "x must be at most 0.7");
    FLOAT("type: float", INFINITY, NULL, NULL);
    FLOAT("type: float, lt: 3e38", INFINITY, "range", "x must be less than 3e38");
    INT("type: int, ge: 0, le: 23", -1, "range", "x must be at least 0");
    INT("type: int, ge: 0, le: 23", 0, NULL, NULL);
    INT("type: int, ge: 0, le: 23", 23, NULL, NULL);
    INT("type: int, ge: 0, le: 23", 24, "range", "x must be at most 23");
    INT("type: int, gt: 0, lt: 3", 0, "range", "x must be greater than 0");
    INT("type: int, gt: 0, lt: 3", 3, "range", "x must be less than 3");
    INT("type: int, ge: 9007199254740993", 9007199254740992, "range",
        "x must be at least 9007199254740993");
    check_one("type: uint8, lt: 5", GAL_DT_UINT8, &(uint8_t){5}, "range", "x must be less than 5");
    check_one("type: uint64, le: 5", GAL_DT_UINT64, &(uint64_t){UINT64_MAX}, "range",
              "x must be at most 5");
    check_one("type: uint64, ge: 5", GAL_DT_UINT64, &(uint64_t){UINT64_MAX}, NULL, NULL);
    check_one("type: double, lt: 0.1", GAL_DT_FP64, &(double){0.1}, "range",
              "x must be less than 0.1");
    check_one("type: half, le: 0.1", GAL_DT_FP16, &(uint16_t){0x2e66}, NULL, NULL);
    check_one("type: half, le: 0.1", GAL_DT_FP16, &(uint16_t){0x2e67}, "range",
              "x must be at most 0.1");
    check_one("type: BF16, gt: 1", GAL_DT_BF16, &(uint16_t){0x3f80}, "range",
              "x must be greater than 1");
    check_one("type: bool, values: [true]", GAL_DT_BOOL, &(uint8_t){0}, "value",
              "x must be one of true");
}

static void lengths_are_of_characters(void **state)
{
    (void)state;
    TEXT("type: text, min_length: 1, max_length: 3", "", "length",
         "x must have at least 1 character");
    TEXT("type: text, min_length: 1, max_length: 3", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", NULL,
         NULL);
    TEXT("type: text, max_length: 3", "abcd", "length", "x must have at most 3 characters");
    TEXT("type: text", "\xff", "type", "x must be UTF-8 text");
    TEXT("type: text, pattern: '[A-Z]+'", "ab", "pattern", "x must match [A-Z]+");
    TEXT("type: text, pattern: '[A-Z]+', message: capitals please", "ab", "pattern",
         "capitals please");
}

static void enumerations_name_their_values(void **state)
{
    (void)state;
    TEXT("type: text, values: [a, b, c]", "b", NULL, NULL);
    TEXT("type: text, values: [a, b, c]", "B", "value", "x must be one of a, b, c");
    TEXT("type: text, values: [a], message: Category must be one of a", "b", "value",
         "Category must be one of a");
    INT("type: int, values: [1, 2, 3]", 4, "value", "x must be one of 1, 2, 3");
    INT("type: int, values: [1, 2, 3]", 3, NULL, NULL);
    FLOAT("type: float, values: [0.1, 0]", 0.1f, NULL, NULL);
    FLOAT("type: float, values: [0.1, 0]", -0.0f, NULL, NULL);
    FLOAT("type: float, values: [0.1, 0]", 0.2f, "value", "x must be one of 0.1, 0");
}

static void null_is_taken_where_it_is_told(void **state)
{
    (void)state;
    FLOAT("type: float", NAN, "null", "x must be a number, not NaN");
    FLOAT("type: float, ge: 1", NAN, "null", "x must be a number, not NaN");
    FLOAT("type: float, nullable: true, ge: 1", NAN, NULL, NULL);
    FLOAT("type: float, nullable: true, ge: 1", 0.0f, "range", "x must be at least 1");
    TEXT("type: text, nullable: true, values: [a]", "", NULL, NULL);
    TEXT("type: text, nullable: true, min_length: 3", "", NULL, NULL);
#define NULLABLE(value, type, message)                                                             \
    check_one("type: int, nullable: true, ge: 0", GAL_DT_FP64, &(double){value}, type, message)
    NULLABLE(NAN, NULL, NULL);
    NULLABLE(3, NULL, NULL);
    NULLABLE(3.5, "type", "x must be a whole number");
    NULLABLE(1e300, "type", "x must be a whole number");
    NULLABLE(INFINITY, "type", "x must be a whole number");
    NULLABLE(-1, "range", "x must be at least 0");
    check_one("type: int8, nullable: true", GAL_DT_FP64, &(double){200}, "range",
              "x must fit INT8");
}

static void outliers_are_refused_or_flagged(void **state)
{
    (void)state;
    FLOAT("type: float, outlier: {above: 500000}", 500001.0f, "outlier", "x value suspicious");
    assert_int_equal(found.refused, 1);
    FLOAT("type: float, outlier: {above: 500000}", 500000.0f, NULL, NULL);
    FLOAT("type: float, outlier: {below: 1, action: flag, message: odd}", 0.5f, "outlier", "odd");
    assert_true(found.at[0].flag && found.refused == 0 && found.flagged == 1);
    INT("type: int, outlier: {above: 5}, le: 9", 6, "outlier", "x value suspicious");
    INT("type: int, outlier: {above: 5}, le: 9", 10, "range", "x must be at most 9");
}

static void each_wrong_value_has_its_place(void **state)
{
    (void)state;
    const struct gal_manifest *m = manifest("features:\n"
                                            "- {name: a, type: float, lt: 10}\n"
                                            "- {name: b, type: int, ge: 0}\n"
                                            "- {name: v, type: float, shape: [2], le: 1}\n");
    int64_t shape[] = {3, 2};
    struct gal_value values[] = {
        column(GAL_DT_FP32, (float[]){1, 11, 12}, 3),
        column(GAL_DT_INT64, (int64_t[]){-1, 0, -2}, 3),
        {.kind = GAL_KIND_TENSOR,
         .tensor = {.dtype = GAL_DT_FP32,
                    .rank = 2,
                    .shape = shape,
                    .count = 6,
                    .data = (float[]){0, 0, 0, 2, 0, 0}}},
    };
    assert_int_equal(check(m, values), GAL_INVALID);
    static const size_t want[][3] = {{0, 1, 0}, {1, 0, 0}, {1, 2, 1}, {2, 0, 0}, {2, 1, 0}};
    assert_int_equal(found.count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(found.at[i].row, want[i][0]);
        assert_int_equal(found.at[i].feature, want[i][1]);
        assert_int_equal(found.at[i].element, want[i][2]);
    }
    assert_non_null(strstr(err.message, "instance 0: b must be at least 0; instance 1: a must be"));
    values[0].kind = values[2].kind = GAL_KIND_NONE; /* passed over */
    check(m, values);
    assert_int_equal(found.count, 2);
}

static void findings_are_bounded_and_one_that_is_refused_is_told(void **state)
{
    (void)state;
    static float many[1000];
    for (size_t i = 0; i < 1000; i++)
        many[i] = 7;
    many[999] = 20;
    struct gal_value v = column(GAL_DT_FP32, many, 1000);
    assert_int_equal(check(one("type: float, lt: 10, outlier: {above: 5, action: flag}"), &v),
                     GAL_INVALID);
    assert_int_equal(found.count, GAL_FINDINGS_MAX);
    assert_true(found.more && found.refused == 1 && found.flagged == 999);
    assert_non_null(strstr(err.message, "instance 999: x must be less than 10"));
    many[999] = 7;
    assert_int_equal(check(one("type: float, lt: 10, outlier: {above: 5, action: flag}"), &v),
                     GAL_OK);
}

static void rules_compare_features(void **state)
{
    (void)state;
    const struct gal_manifest *m =
        manifest("features: [{name: a, type: float, nullable: true}, {name: b, type: int}]\n"
                 "rules:\n- {left: a, op: '<', right: b, field: b}\n"
                 "- {left: b, op: '!=', right: 7, message: not seven}\n");
    struct gal_value values[] = {column(GAL_DT_FP32, (float[]){1, 2, NAN, 1}, 4),
                                 column(GAL_DT_INT64, (int64_t[]){2, 2, 0, 7}, 4)};
    assert_int_equal(check(m, values), GAL_INVALID);
    assert_int_equal(found.count, 2);
    assert_true(found.at[0].row == 1 && found.at[0].feature == 1);
    assert_string_equal(found.at[0].message, "a must be less than b");
    assert_string_equal(found.at[0].type, "rule");
    assert_true(found.at[1].row == 3);
    assert_string_equal(found.at[1].message, "not seven");
}

static void rules_compute(void **state)
{
    enum { MANY = 200 };
    static float income[MANY], loan[MANY];
    static int64_t age[MANY];
    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        income[i] = 100;
        loan[i] = i == 130 ? 1001 : 999;
        age[i] = i == 7 ? -1 : i == 8 ? 61 : 30;
    }
    loan[9] = NAN;
    const struct gal_manifest *m = manifest(
        "features: [{name: income, type: float}, {name: loan amount, type: float, nullable: true}, "
        "{name: age, type: int, ge: 0}]\n"
        "rules:\n"
        "- {left: income, op: '>=', right: 0.1 * `loan amount`, message: the loan is too large}\n"
        "- {left: 2 * age + 1, op: '<', right: 120, field: loan amount}\n"
        "- {left: 1000, op: '>', right: age / 2}\n");
    struct gal_value values[] = {column(GAL_DT_FP32, income, MANY), column(GAL_DT_FP32, loan, MANY),
                                 column(GAL_DT_INT64, age, MANY)};
    assert_int_equal(check(m, values), GAL_INVALID);
    assert_int_equal(found.count, 3);
    assert_true(found.at[0].row == 7 && found.at[0].feature == 2);
    assert_string_equal(found.at[0].type, "range"); /* wrong by itself: it breaks no rule */
    assert_true(found.at[1].row == 8 && found.at[1].feature == 1);
    assert_string_equal(found.at[1].message, "2 * age + 1 must be less than 120");
    assert_true(found.at[2].row == 130 && found.at[2].feature == 0);
    assert_string_equal(found.at[2].message, "the loan is too large");
    values[0].kind = GAL_KIND_NONE; /* what is not there breaks no rule either */
    assert_int_equal(check(m, values), GAL_INVALID);
    assert_int_equal(found.count, 2);
}

static void defaults_fill_absent_columns(void **state)
{
    (void)state;
    const struct gal_manifest *m =
        manifest("features:\n"
                 "- {name: a, type: int, default: 12}\n"
                 "- {name: b, type: text, default: other}\n"
                 "- {name: c, type: float, nullable: true, default: null, shape: [3]}\n"
                 "- {name: d, type: half, default: 1.5}\n"
                 "- {name: e, type: bool, default: true}\n"
                 "- {name: f, type: float}\n");
    struct gal_value values[6] = {{.kind = GAL_KIND_NONE}};
    for (size_t i = 0; i < 6; i++)
        values[i].kind = GAL_KIND_NONE;
    assert_int_equal(gal_check_fill(m, 2, values, &arena, &err), GAL_OK);
    assert_int_equal(((const int64_t *)values[0].tensor.data)[1], 12);
    assert_true(gal_str_is(((const struct gal_str *)values[1].tensor.data)[1], "other"));
    assert_int_equal(values[2].tensor.count, 6);
    assert_true(isnan(((const float *)values[2].tensor.data)[5]));
    assert_true(gal_fp16_to_fp32(((const uint16_t *)values[3].tensor.data)[1]) == 1.5f);
    assert_int_equal(((const uint8_t *)values[4].tensor.data)[1], 1);
    assert_int_equal(values[5].kind, GAL_KIND_NONE);
    gal_err_clear(&err);
    assert_int_equal(gal_check_features(m, values, &arena, &found, &err), GAL_OK);
}

static int set_up(void **state)
{
    (void)state;
    gal_arena_init(&arena, 4096, 1 << 20, 64 << 20);
    gal_arena_init(&own, 4096, 1 << 20, 64 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    gal_arena_release(&arena);
    gal_arena_release(&own);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_are_exclusive_or_inclusive),
        cmocka_unit_test(lengths_are_of_characters),
        cmocka_unit_test(enumerations_name_their_values),
        cmocka_unit_test(null_is_taken_where_it_is_told),
        cmocka_unit_test(outliers_are_refused_or_flagged),
        cmocka_unit_test(each_wrong_value_has_its_place),
        cmocka_unit_test(findings_are_bounded_and_one_that_is_refused_is_told),
        cmocka_unit_test(rules_compare_features),
        cmocka_unit_test(rules_compute),
        cmocka_unit_test(defaults_fill_absent_columns),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
