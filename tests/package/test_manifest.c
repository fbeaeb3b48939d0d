/* SPDX-License-Identifier: Apache-2.0 */
/* Each field of galley.yaml as it should be, and as it should not. */
#include "base/file.h"
#include "package/manifest.h"
#include "support/arena.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

static struct gal_err err;

static enum gal_status read_text(const char *text, struct gal_manifest **m)
{
    gal_arena_clear(&arena);
    gal_err_clear(&err);
    enum gal_status status = gal_manifest_read(gal_str_of(text), "galley.yaml", &arena, m, &err);
    assert_int_equal(status == GAL_OK, *m != NULL);
    return status;
}

static const struct gal_manifest *must_read(const char *text)
{
    struct gal_manifest *m;
    if (read_text(text, &m))
        fail_msg("%s: %s (%s)", err.place, err.message, err.hint);
    return m;
}

#define HEAD "galley: 1\nname: fraud\nversion: 2.1.0\nmodel: model.onnx\n" /* 4 lines */

/* HEAD with `more` behind it is refused at that line with words of the message. */
static void check_refused(const char *more, unsigned line, const char *words)
{
    char text[4096], place[64];
    struct gal_manifest *m;
    snprintf(text, sizeof text, "%s%s", HEAD, more);
    snprintf(place, sizeof place, "galley.yaml:%u", line);
    if (read_text(text, &m) != GAL_INVALID)
        fail_msg("taken: %s", more);
    if (!strstr(err.message, words) || strcmp(err.place, place) != 0)
        fail_msg("%s\ngot %s: %s\nwant %s: %s", more, err.place, err.message, place, words);
}

static const struct gal_feature *feature(const char *fields)
{
    char text[4096];
    snprintf(text, sizeof text, "%sfeatures:\n  - {name: x, %s}\n", HEAD, fields);
    return &must_read(text)->features[0];
}

static void check_feature_refused(const char *fields, const char *words)
{
    char text[4096];
    snprintf(text, sizeof text, "features:\n  - {name: x, %s}\n", fields);
    check_refused(text, 6, words);
}

/* --- the file --- */

static void the_smallest_manifest_has_what_is_untold(void **state)
{
    (void)state;
    const struct gal_manifest *m = must_read(HEAD);
    assert_true(gal_str_is(m->name, "fraud"));
    assert_true(gal_str_is(m->version, "2.1.0"));
    assert_true(gal_str_is(m->model_file, "model.onnx"));
    assert_true(gal_str_is(m->model_format, "onnx"));
    assert_null(m->features);
    assert_null(m->before);
    assert_null(m->after);
    assert_null(m->outputs);
    assert_null(m->serving);
    assert_int_equal(m->golden_file.n, 0);
    assert_true(m->rtol == 1e-5 && m->atol == 1e-6);
    assert_true(isnan(m->confidence_min));
    assert_int_equal(m->unknown_features, GAL_UNKNOWN_REFUSE);
    assert_false(m->require_cuda);
    assert_string_equal(m->path, "galley.yaml");
}

static void needed_fields_are_asked_for(void **state)
{
    (void)state;
    struct gal_manifest *m;
    assert_int_equal(read_text("", &m), GAL_INVALID);
    assert_non_null(strstr(err.message, "needs `galley`"));
    assert_int_equal(read_text("galley: 1\nname: a\nversion: 1.0.0\n", &m), GAL_INVALID);
    assert_non_null(strstr(err.message, "needs `model`"));
    assert_int_equal(read_text("- a\n", &m), GAL_INVALID);
    assert_int_equal(read_text("galley: 2\nname: a\nversion: 1.0.0\nmodel: m\n", &m), GAL_INVALID);
    assert_string_equal(err.place, "galley.yaml:1");
    check_refused("model_: {}\n", 5, "unknown field");
    check_refused("featurs: []\n", 5, "unknown field");
    assert_string_equal(err.hint, "did you mean features?");
}

/* --- features --- */

static void a_feature_of_each_type_has_its_datatype(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        enum gal_feature_type is;
        enum gal_dtype dtype;
        bool integral;
    } cases[] = {
        {"float", GAL_FEATURE_NUMBER, GAL_DT_FP32, false},
        {"double", GAL_FEATURE_NUMBER, GAL_DT_FP64, false},
        {"half", GAL_FEATURE_NUMBER, GAL_DT_FP16, false},
        {"BF16", GAL_FEATURE_NUMBER, GAL_DT_BF16, false},
        {"int", GAL_FEATURE_NUMBER, GAL_DT_INT64, true},
        {"uint8", GAL_FEATURE_NUMBER, GAL_DT_UINT8, true},
        {"INT32", GAL_FEATURE_NUMBER, GAL_DT_INT32, true},
        {"bool", GAL_FEATURE_BOOL, GAL_DT_BOOL, false},
        {"text", GAL_FEATURE_TEXT, GAL_DT_BYTES, false},
        {"string", GAL_FEATURE_TEXT, GAL_DT_BYTES, false},
        {"BYTES", GAL_FEATURE_TEXT, GAL_DT_BYTES, false},
        {"image", GAL_FEATURE_IMAGE, GAL_DT_BYTES, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char fields[64];
        snprintf(fields, sizeof fields, "type: %s", cases[i].type);
        const struct gal_feature *f = feature(fields);
        assert_int_equal(f->type, cases[i].is);
        assert_int_equal(f->dtype, cases[i].dtype);
        assert_int_equal(f->declared, cases[i].dtype);
        assert_int_equal(f->integral, cases[i].integral);
        assert_int_equal(f->length_max, UINT64_MAX);
        assert_false(f->absent.set || f->gt.set || f->nullable || f->values);
        assert_int_equal(f->line, 6);
    }
    check_feature_refused("type: flot", "features[0].type: 'flot' is no type");
    assert_string_equal(err.hint, "did you mean float?");
    check_feature_refused("unit: EUR", "features[0]: needs `type`");
    check_feature_refused("type: [float]", "must be a type");
}

static void bounds_are_numbers_of_the_feature(void **state)
{
    (void)state;
    const struct gal_feature *f = feature("type: float, gt: 0, lt: 1e6");
    assert_true(f->gt.set && f->gt.number == 0 && f->lt.set && f->lt.number == 1e6);
    f = feature("le: 23, ge: -5, type: int"); /* the type may stand behind */
    assert_true(f->ge.integer == -5 && f->le.integer == 23);
    f = feature("type: int, le: 9223372036854775807");
    assert_true(f->le.integer == INT64_MAX);
    f = feature("type: uint8, lt: 1e2");
    assert_true(f->lt.integer == 100);
    check_feature_refused("type: int, ge: 0.5", "features[0].ge: '0.5' is not a whole number");
    check_feature_refused("type: uint8, ge: -1", "-1 is no UINT8");
    check_feature_refused("type: float, ge: 1e39", "1e39 is beyond FP32");
    check_feature_refused("type: float, ge: '1'", "is not a number");
    check_feature_refused("type: float, ge: .nan", "is not a number");
    check_feature_refused("type: float, ge: 1e999", "is not a number");
    check_feature_refused("type: float, ge: 0x10", "is not a number");
    check_feature_refused("type: float, ge: null", "must be a value");
    check_feature_refused("type: float, ge: [1]", "must be one value");
    check_feature_refused("type: float, gt: 1, ge: 1", "gt stands already");
    check_feature_refused("type: float, lt: 1, le: 1", "lt stands already");
    check_feature_refused("type: float, gt: 1, le: 1", "leaves no value");
    check_feature_refused("type: int, ge: 2, le: 1", "leaves no value");
    feature("type: int, ge: 1, le: 1");
    check_feature_refused("type: text, ge: 1", "features[0].ge: is for numbers");
    check_feature_refused("type: bool, unit: EUR", "is for numbers");
}

static void texts_have_lengths_patterns_and_values(void **state)
{
    (void)state;
    const struct gal_feature *f = feature(
        "type: text, min_length: 1, max_length: 50, values: [a, 'null', 3], pattern: '[a-z]+|3'");
    assert_true(f->length_min == 1 && f->length_max == 50 && f->value_count == 3);
    assert_true(gal_str_is(f->values[1].text, "null") && gal_str_is(f->values[2].text, "3"));
    assert_string_equal(f->pattern, "[a-z]+|3");
    check_feature_refused("type: text, min_length: 5, max_length: 4", "less than min_length");
    check_feature_refused("type: text, min_length: -1", "not a whole number");
    check_feature_refused("type: text, max_length: 1000000001", "out of range");
    check_feature_refused("type: text, values: []", "must not be empty");
    check_feature_refused("type: text, values: a", "must be a list");
    check_feature_refused("type: text, values: [a, null]",
                          "features[0].values[1]: must be a value");
    check_feature_refused("type: text, values: [a, b, a]", "'a' stands twice");
    check_feature_refused("type: int, values: [1, 1e0]", "stands twice");
    check_feature_refused("type: int, pattern: a", "is for texts");
    check_feature_refused("type: text, pattern: 'a('", "features[0].pattern: ");
    check_feature_refused("type: text, values: [ab], max_length: 1",
                          "features[0].values: ab is not");
    check_feature_refused("type: text, values: [a], default: b", "x must be one of a");
    check_feature_refused("type: float, ge: 1, default: 0", "features[0].default: 0 is not taken");
    check_feature_refused("type: int, lt: 5, example: 5", "features[0].example: 5 is not taken");
    check_feature_refused("type: int, outlier: {above: 5}, example: 6", "6 is not taken");
    feature("type: int, outlier: {above: 5, action: flag}, example: 6");
    check_feature_refused("type: image, values: [a]", "is for all but images");
}

static void nullable_features_are_carried_where_there_is_a_null(void **state)
{
    (void)state;
    const struct gal_feature *f = feature("type: int, nullable: true, ge: 1");
    assert_true(f->nullable && f->integral && f->dtype == GAL_DT_FP64);
    assert_int_equal(f->declared, GAL_DT_INT64);
    assert_int_equal(f->ge.integer, 1);
    f = feature("type: float, nullable: true, default: null");
    assert_true(f->dtype == GAL_DT_FP32 && f->absent.set && f->absent.null &&
                isnan(f->absent.number));
    f = feature("type: text, nullable: true, default: ~");
    assert_true(f->absent.null && f->absent.text.n == 0);
    assert_false(feature("type: int, nullable: false")->nullable);
    check_feature_refused("type: float, default: null", "null is not taken");
    check_feature_refused("type: bool, nullable: true", "is for numbers and texts");
    check_feature_refused("type: int, nullable: yes", "neither true nor false");
    check_feature_refused("type: int, nullable: 'true'", "neither true nor false");
}

static void defaults_examples_and_shapes(void **state)
{
    (void)state;
    const struct gal_feature *f = feature("type: int, default: 12, example: 3");
    assert_true(f->absent.set && f->absent.integer == 12 && f->example.integer == 3);
    f = feature("type: bool, default: true");
    assert_true(f->absent.integer == 1 && f->absent.number == 1);
    f = feature("type: float, shape: [30, -1]");
    assert_true(f->rank == 2 && f->shape[0] == 30 && f->shape[1] == -1);
    assert_true(feature("type: float, shape: [3], default: 0")->absent.set);
    check_feature_refused("type: float, shape: [-1], default: 0", "can have none");
    check_feature_refused("type: float, shape: []", "must not be empty");
    check_feature_refused("type: float, shape: [0]", "features[0].shape[0]: must be a size");
    check_feature_refused("type: float, shape: [-2]", "must be a size");
    check_feature_refused("type: float, shape: 3", "must be a list");
    check_feature_refused("type: float, shape: [100000, 100000]", "too many values");
    check_feature_refused("type: bool, default: 1", "neither true nor false");
    check_feature_refused("type: int, example: a", "is not a number");
}

static void outliers_are_refused_unless_told(void **state)
{
    (void)state;
    const struct gal_feature *f = feature("type: float, outlier: {above: 5}");
    assert_int_equal(f->outlier, GAL_OUTLIER_REFUSE);
    assert_true(f->outlier_above.set && !f->outlier_below.set && !f->outlier_message);
    f = feature("type: float, outlier: {below: 1, above: 5, action: flag, message: odd}");
    assert_int_equal(f->outlier, GAL_OUTLIER_FLAG);
    assert_string_equal(f->outlier_message, "odd");
    assert_int_equal(feature("type: int, outlier: {above: 5, action: refuse}")->outlier,
                     GAL_OUTLIER_REFUSE);
    check_feature_refused("type: float, outlier: {}", "features[0].outlier: needs `above`");
    check_feature_refused("type: float, outlier: 5", "must be a mapping");
    check_feature_refused("type: float, outlier: {above: a}",
                          "features[0].outlier.above: 'a' is not a number");
    check_feature_refused("type: float, outlier: {above: 1, action: drop}", "none of refuse|flag");
    check_feature_refused("type: float, outlier: {above: 1, below: 2}", "below is more than above");
    check_feature_refused("type: text, outlier: {above: 1}", "features[0].outlier: is for numbers");
}

static void names_are_told_apart(void **state)
{
    (void)state;
    const struct gal_manifest *m = must_read(
        HEAD "features:\n- {name: sepal length (cm), type: float}\n- {name: b, type: text}\n");
    assert_int_equal(gal_manifest_feature(m, GAL_STR("b")), 1);
    assert_int_equal(gal_manifest_feature(m, GAL_STR("c")), SIZE_MAX);
    check_refused("features:\n- {name: a, type: int}\n- {name: a, type: int}\n", 7,
                  "features[1].name: another feature has this name");
    check_refused("features: []\n", 5, "must not be empty");
    check_refused("features: {}\n", 5, "must be a list");
    check_refused("features: [a]\n", 5, "features[0]: must be a mapping");
    check_refused("features:\n- {name: '', type: int}\n", 6, "must not be empty");
    check_refused("features:\n- {name: \"a\\tb\", type: int}\n", 6, "one line of plain text");
}

/* --- the rest --- */

static void rules_name_features(void **state)
{
    (void)state;
#define TWO "features: [{name: a, type: int}, {name: b, type: float}, {name: c, type: text}]\n"
    const struct gal_manifest *m =
        must_read(HEAD TWO "rules:\n"
                           "- {left: a, op: '<=', right: b}\n"
                           "- {left: b, op: '!=', right: 2.5, field: a, message: no}\n");
    assert_int_equal(m->rule_count, 2);
    assert_true(gal_expression_feature(&m->rules[0].left) == 0 &&
                gal_expression_feature(&m->rules[0].right) == 1);
    assert_int_equal(m->rules[0].op, GAL_RULE_LE);
    assert_string_equal(m->rules[0].message, "a must be at most b");
    assert_true(gal_str_is(m->rules[0].field, "a"));
    assert_true(m->rules[1].right.count == 1 && m->rules[1].right.terms[0].number == 2.5);
    assert_true(gal_str_is(m->rules[1].field, "a"));
    assert_string_equal(m->rules[1].message, "no");
    check_refused(TWO "rules: [{left: z, op: <, right: b}]\n", 6,
                  "rules[0].left: 'z' is no feature");
    check_refused(TWO "rules: [{left: c, op: <, right: b}]\n", 6, "not a feature of one number");
    check_refused(TWO "rules: [{left: a, op: <, right: z}]\n", 6,
                  "rules[0].right: 'z' is no feature");
    check_refused(TWO "rules: [{left: a, op: =, right: b}]\n", 6, "'=' is none of");
    check_refused(TWO "rules: [{left: a, op: <, right: b, field: z}]\n", 6, "is no feature");
    check_refused(TWO "rules: [{left: a, op: <}]\n", 6, "rules[0]: needs `right`");
    check_refused(TWO "rules: [{left: 1, op: <, right: 2}]\n", 6, "a rule needs a feature");
    check_refused(TWO "rules: [{left: a, op: <, right: 2 * }]\n", 6,
                  "rules[0].right: ends where a feature or a number should be");
    check_refused(TWO "rules: [{left: a, op: <, right: a ^ b}]\n", 6,
                  "rules[0].right: '^ b' at place 3, where a sign or the end should be");
}

static void files_stay_in_the_package(void **state)
{
    (void)state;
    static const char *const bad[] = {"/etc/passwd", "../a",      "a/../b", "a//b", "./a",
                                      "a/",          ".galley/a", "'a\\b'", "''"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[128];
        snprintf(text, sizeof text, "files: [%s]\n", bad[i]);
        check_refused(text, 5, "files[0]: ");
        snprintf(text, sizeof text, "golden: %s\n", bad[i]);
        check_refused(text, 5, "golden: ");
        snprintf(text, sizeof text, "provenance: {freeze: %s}\n", bad[i]);
        check_refused(text, 5, "provenance.freeze: ");
    }
    const struct gal_manifest *m =
        must_read(HEAD "files: [docs/card.md, ..a]\ngolden: g/golden.json\n"
                       "provenance: {freeze: requirements.txt}\n");
    assert_true(m->file_count == 2 && gal_str_is(m->files[0], "docs/card.md"));
    assert_true(gal_str_is(m->golden_file, "g/golden.json"));
    assert_true(gal_str_is(m->freeze_file, "requirements.txt"));
}

static void pairs_are_flattened(void **state)
{
    (void)state;
    const struct gal_manifest *m =
        must_read(HEAD "metadata: {owner: risk, license: MIT, metrics: {auc: 0.9}, tags: [a, b]}\n"
                       "resources: {cpu: \"1\", memory: 512Mi}\n");
    assert_int_equal(m->metadata_count, 5);
    assert_true(gal_str_is(m->metadata[2].key, "metrics.auc"));
    assert_true(gal_str_is(m->metadata[2].value, "0.9"));
    assert_true(gal_str_is(m->metadata[4].key, "tags.1"));
    assert_true(gal_str_is(m->owner, "risk") && gal_str_is(m->licence, "MIT"));
    assert_int_equal(m->resource_count, 2);
    check_refused("resources: {cpus: 1}\n", 5, "resources.cpus: unknown field");
    check_refused("resources: {cpu: one}\n", 5, "'one' is no quantity");
    check_refused("resources: {cpu: 1.}\n", 5, "is no quantity");
    check_refused("resources: {memory: 5MB}\n", 5, "is no quantity");
    check_refused("resources: {cpu: [1]}\n", 5, "must be a quantity");
    check_refused("metadata: a\n", 5, "must be a mapping");
    check_refused("metadata: {'': a}\n", 5, "must not be empty");
}

static void outputs_golden_confidence_and_the_like(void **state)
{
    (void)state;
    const struct gal_manifest *m =
        must_read(HEAD "outputs: [p, {name: label, description: which, labels: [no, 'yes']}]\n"
                       "golden: {file: g.json, rtol: 0, atol: 1e-3}\n"
                       "confidence: {output: p, min: 0.6}\nrequire: cuda\n"
                       "serving: {max_batch_size: 64}\nunknown_features: ignore\n"
                       "before: [{clip: {}}]\nafter: []\n");
    assert_int_equal(m->output_count, 2);
    assert_true(gal_str_is(m->outputs[0].name, "p") && m->outputs[0].line == 5);
    assert_true(m->outputs[1].label_count == 2 && gal_str_is(m->outputs[1].labels[1], "yes"));
    assert_true(m->rtol == 0 && m->atol == 1e-3 && m->confidence_min == 0.6);
    assert_true(m->require_cuda && m->unknown_features == GAL_UNKNOWN_IGNORE);
    assert_non_null(gal_yaml_get(m->serving, "max_batch_size"));
    assert_true(m->before && !m->after);
    check_refused("outputs: [p, p]\n", 5, "outputs[1]: stands twice");
    check_refused("outputs: [[p]]\n", 5, "must be a name, or a mapping");
    check_refused("golden: {file: g, rtol: -1}\n", 5, "golden.rtol: -1 is out of range");
    check_refused("golden: {rtol: 1}\n", 5, "golden: needs `file`");
    check_refused("confidence: {output: p}\n", 5, "confidence: needs `min`");
    check_refused("outputs: [p]\nconfidence: {output: q, min: 1}\n", 6, "none of the outputs");
    check_refused("require: gpu\n", 5, "'gpu' is none of cuda");
    check_refused("serving: 5\n", 5, "must be a mapping");
    check_refused("unknown_features: drop\n", 5, "none of refuse|ignore");
    check_refused("before: {clip: {}}\n", 5, "must be a list of steps");
    check_refused("after: [{a: {}, b: {}}]\n", 5, "after[0]: must be one step");
    check_refused("before: [clip]\n", 5, "before[0]: must be one step");
    check_refused("description: [a]\n", 5, "must be a text, not a list");
}

static void names_and_versions(void **state)
{
    (void)state;
    static const char *const bad_versions[] = {"1",      "2.1",      "1.2.3.4", "1.02.3",
                                               "v1.2.3", "1.2.3-rc", "1.2."};
    static const char *const bad_names[] = {"-a", "a/b", "'a b'", "''", "[a]", "null"};
    struct gal_manifest *m;
    char text[256];
    for (size_t i = 0; i < sizeof bad_versions / sizeof *bad_versions; i++) {
        snprintf(text, sizeof text, "galley: 1\nname: a\nmodel: m\nversion: %s\n", bad_versions[i]);
        assert_int_equal(read_text(text, &m), GAL_INVALID);
        assert_string_equal(err.place, "galley.yaml:4");
    }
    for (size_t i = 0; i < sizeof bad_names / sizeof *bad_names; i++) {
        snprintf(text, sizeof text, "galley: 1\nversion: 1.0.0\nmodel: m\nname: %s\n",
                 bad_names[i]);
        assert_int_equal(read_text(text, &m), GAL_INVALID);
        assert_string_equal(err.place, "galley.yaml:4");
    }
}

static void a_whole_manifest_is_read(void **state)
{
    (void)state;
    struct gal_buf text;
    assert_int_equal(gal_file_read("tests/package/data/full.yaml", 1 << 20, &text, NULL), GAL_OK);
    const struct gal_manifest *m = must_read(text.p);
    assert_int_equal(m->feature_count, 4);
    assert_int_equal(m->features[0].outlier, GAL_OUTLIER_FLAG);
    assert_int_equal(m->rule_count, 1);
    assert_int_equal(m->output_count, 3);
    assert_true(gal_str_is(m->owner, "risk-team"));
    gal_buf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_smallest_manifest_has_what_is_untold),
        cmocka_unit_test(needed_fields_are_asked_for),
        cmocka_unit_test(a_feature_of_each_type_has_its_datatype),
        cmocka_unit_test(bounds_are_numbers_of_the_feature),
        cmocka_unit_test(texts_have_lengths_patterns_and_values),
        cmocka_unit_test(nullable_features_are_carried_where_there_is_a_null),
        cmocka_unit_test(defaults_examples_and_shapes),
        cmocka_unit_test(outliers_are_refused_unless_told),
        cmocka_unit_test(names_are_told_apart),
        cmocka_unit_test(rules_name_features),
        cmocka_unit_test(files_stay_in_the_package),
        cmocka_unit_test(pairs_are_flattened),
        cmocka_unit_test(outputs_golden_confidence_and_the_like),
        cmocka_unit_test(names_and_versions),
        cmocka_unit_test(a_whole_manifest_is_read),
    };
    return cmocka_run_group_tests(tests, arena_set_up, arena_tear_down);
}
