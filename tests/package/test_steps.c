/* SPDX-License-Identifier: Apache-2.0 */
/* Errors of lists and of rows, edges of batches, failing memory. That the numbers are right is
 * test_steps_sklearn.py's. */
#include "package/steps.h"

#include "base/mem.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct gal_arena arena;
static struct gal_err err;
static const struct gal_column columns[] = {
    {.name = {"x", 1}, .dtype = GAL_DT_FP32},
    {.name = {"city", 4}, .dtype = GAL_DT_BYTES},
    {.name = {"n", 1}, .dtype = GAL_DT_INT64},
};

static int start(void **state)
{
    (void)state;
    gal_arena_init(&arena, 4096, 1 << 16, 256 << 20);
    gal_err_clear(&err);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    gal_arena_release(&arena);
    return 0;
}

static enum gal_status compile(const char *text, enum gal_steps_place place, struct gal_steps **out)
{
    const struct gal_steps_context context = {.path = "galley.yaml", .place = place};
    struct gal_yaml *list;
    enum gal_status st = gal_yaml_parse(gal_str_of(text), "galley.yaml", &arena, &list, &err);

    return st == GAL_OK ? gal_steps_compile(list, columns, 3, &context, &arena, out, &err) : st;
}

static struct gal_value value(enum gal_dtype t, size_t rows, const void *data)
{
    int64_t *shape = gal_arena_small(&arena, sizeof(*shape));

    assert_non_null(shape);
    *shape = (int64_t)rows;
    return (struct gal_value){
        .kind = GAL_KIND_TENSOR,
        .tensor = {.dtype = t, .rank = 1, .shape = shape, .count = rows, .data = data}};
}

static enum gal_status run(const struct gal_steps *s, size_t rows, const float *x,
                           const struct gal_str *city, const int64_t *n, struct gal_value *out)
{
    const struct gal_value in[] = {value(GAL_DT_FP32, rows, x), value(GAL_DT_BYTES, rows, city),
                                   value(GAL_DT_INT64, rows, n)};

    return gal_steps_run(s, in, &arena, out, &err);
}

static void a_wrong_list_is_refused_with_its_line(void **state)
{
    static const struct {
        const char *text, *message, *place, *hint;
        enum gal_steps_place where;
    } rows[] = {
        {"- clipp: {}", "'clipp' is no step", "galley.yaml:1", "did you mean 'clip'?", 0},
        {"- clip: {features: [x], mni: 0}", "clip has no parameter 'mni'", "galley.yaml:1",
         "did you mean 'min'?", 0},
        {"- clip: {features: [x]}", "clip needs min, max or both", "galley.yaml:1", "", 0},
        {"- clip: {min: 0}", "clip needs `features`", "galley.yaml:1", "", 0},
        {"\n- clip:\n    features: [y]\n    min: 0", "clip: there is no column 'y' here",
         "galley.yaml:3", "there are: x, city, n", 0},
        {"- clip: {features: [x], min: low}", "clip: `min`: 'low' is not a number", "galley.yaml:1",
         "", 0},
        {"- clip: {features: [x], min: 2, max: 1}", "clip: min 2 and max 1 leave nothing",
         "galley.yaml:1", "", 0},
        {"- clip: {features: [n], min: 0.5}", "clip: 'n' is INT64: 0.5 and inf do not bound it",
         "galley.yaml:1", "", 0},
        {"- scale: {features: [city], mean: 1}", "scale takes numbers, and 'city' is BYTES",
         "galley.yaml:1", "", 0},
        {"- scale: {features: [x], mean: [1, 2]}", "scale: `mean` has 2 numbers for 1 columns",
         "galley.yaml:1", "", 0},
        {"- scale: {features: [x], std: -1}", "scale: `std` holds -1, which cannot be",
         "galley.yaml:1", "", 0},
        {"- text: {features: [x], lower: true}", "text takes texts, and 'x' is FP32",
         "galley.yaml:1", "", 0},
        {"- text: {features: [city], lower: yes}", "text: `lower`: 'yes' is not true or false",
         "galley.yaml:1", "", 0},
        {"- one_hot: {feature: city, values: [a, a]}", "one_hot: 'a' stands twice in `values`",
         "galley.yaml:1", "", 0},
        {"- one_hot: {feature: n, values: [a]}", "one_hot: 'a' is no value of a column of INT64",
         "galley.yaml:1", "", 0},
        {"- bucketize: {feature: x, edges: [1, 1]}", "bucketize: `edges` rise, and 1 does not",
         "galley.yaml:1", "", 0},
        {"- assemble: {from: [x, city], to: y}",
         "assemble: 'city' is BYTES, which does not become FP32", "galley.yaml:1",
         "one_hot, ordinal and hash make numbers of texts", 0},
        {"- softmax: {output: x}", "softmax takes several values a row, 'x' has one",
         "galley.yaml:1", "", 0},
        {"- softmax: {output: x}", "the step 'softmax' stands in `after`, not in `before`",
         "galley.yaml:1", "", GAL_STEPS_BEFORE},
        {"- one_hot: {feature: city, values: [a]}",
         "the step 'one_hot' stands in `before`, not in `after`", "galley.yaml:1", "",
         GAL_STEPS_AFTER},
        {"clip: {features: [x]}", "steps are a list", "galley.yaml:1", "begin each with '- '", 0},
        {"- clip", "a step is one operation with its parameters", "galley.yaml:1",
         "as in: - clip: {features: [amount], min: 0}", 0},
    };
    struct gal_steps *s;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(compile(rows[i].text, rows[i].where, &s), GAL_INVALID);
        assert_string_equal(err.message, rows[i].message);
        assert_string_equal(err.place, rows[i].place);
        assert_string_equal(err.hint, rows[i].hint);
    }
}

static void a_wrong_row_is_named(void **state)
{
    static const struct {
        const char *text, *message, *place;
    } rows[] = {
        {"- one_hot: {feature: city, values: [Rome]}", "'Oslo' is none of Rome", "city[1]"},
        {"- ordinal: {feature: n, values: [1, 2]}", "-3 is none of 1, 2", "n[1]"},
        {"- log: {features: x}", "-5 has no logarithm", "x[1]"},
        {"- cast: {features: n, type: UINT8}", "-3 does not fit UINT8", "n[1]"},
        {"- cast: {features: x, type: INT64}", "1.5 does not fit INT64", "x[0]"},
    };
    const float x[] = {1.5f, -5};
    const struct gal_str city[] = {GAL_STR("Rome"), GAL_STR("Oslo")};
    const int64_t n[] = {2, -3};
    struct gal_value out[8];
    struct gal_steps *s;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(compile(rows[i].text, 0, &s), GAL_OK);
        assert_int_equal(run(s, 2, x, city, n, out), GAL_INVALID);
        assert_string_equal(err.message, rows[i].message);
        assert_string_equal(err.place, rows[i].place);
    }
}

static const char whole[] =
    "- impute: {features: [x], with: 2}\n"
    "- text: {features: city, lower: true, strip: true, normalize: NFKC}\n"
    "- scale: {features: [x, n], mean: [1, 2], std: [2, 4]}\n"
    "- one_hot: {feature: city, values: [rome, oslo], unknown: zeros, to: place}\n"
    "- hash: {feature: city, buckets: 8, prefix: 'city=', to: bucket}\n"
    "- assemble: {from: [x, place, n], to: features}\n"
    "- pick: {feature: features, index: 0, to: first}\n"
    "- threshold: {feature: first, above: 0.25, to: more}\n"
    "- rename: {from: n, to: number}\n";

static void batches_of_no_one_and_many_rows(void **state)
{
    static float x[10000];
    static struct gal_str city[10000];
    static int64_t n[10000];
    static const size_t sizes[] = {0, 1, 255, 256, 257, 10000};
    struct gal_value out[8];
    struct gal_steps *s;
    const struct gal_column *made;
    size_t count;

    (void)state;
    for (size_t i = 0; i < 10000; i++) {
        x[i] = i % 3 == 0 ? NAN : (float)(i % 7);
        city[i] = i % 2 == 0 ? GAL_STR(" ROME") : i % 5 == 0 ? GAL_STR("") : GAL_STR("Oslo");
        n[i] = (int64_t)i;
    }
    assert_int_equal(compile(whole, 0, &s), GAL_OK);
    made = gal_steps_columns(s, &count);
    assert_int_equal(count, 8);
    assert_true(gal_str_is(made[2].name, "number") && gal_str_is(made[5].name, "features"));
    for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
        assert_int_equal(run(s, sizes[k], x, city, n, out), GAL_OK);
        assert_int_equal(out[5].tensor.shape[0], sizes[k]);
        assert_int_equal(out[5].tensor.shape[1], 4);
        for (size_t i = 0; i < sizes[k]; i++) {
            const float *row = (const float *)out[5].tensor.data + 4 * i;
            float want = ((i % 3 == 0 ? 2.0f : x[i]) - 1) / 2;

            assert_true(row[0] == want && row[3] == (float)(((double)i - 2) / 4));
            assert_true(row[1] == (i % 2 == 0) && row[2] == (i % 2 == 1 && i % 5 != 0));
            assert_int_equal(((const uint8_t *)out[7].tensor.data)[i], want > 0.25f);
        }
    }
}

static void nothing_and_infinity_pass_where_they_have_a_place(void **state)
{
    const float x[] = {NAN, INFINITY, -INFINITY};
    const struct gal_str city[3] = {{NULL, 0}};
    const int64_t n[3] = {0};
    struct gal_value out[4];
    struct gal_steps *s;
    const float *got;

    (void)state;
    assert_int_equal(compile("- clip: {features: x, min: -1, max: 1}", 0, &s), GAL_OK);
    assert_true(gal_steps_reads(s, 0) && !gal_steps_reads(s, 1));
    assert_int_equal(run(s, 3, x, city, n, out), GAL_OK);
    got = out[0].tensor.data;
    assert_true(isnan(got[0]) && got[1] == 1 && got[2] == -1);
    assert_int_equal(compile("- bucketize: {feature: x, edges: [0]}", 0, &s), GAL_OK);
    assert_int_equal(run(s, 3, x, city, n, out), GAL_INVALID);
    assert_string_equal(err.place, "x[0]");
}

static void the_hash_is_the_published_one(void **state)
{
    (void)state;
    assert_int_equal(gal_murmur3_32(GAL_STR(""), 0), 0);
    assert_int_equal(gal_murmur3_32(GAL_STR(""), 1), 0x514E28B7u);
    assert_int_equal(gal_murmur3_32(GAL_STR("test"), 0x9747b28cu), 0x704b81dcu);
    assert_int_equal(gal_murmur3_32(GAL_STR("Hello, world!"), 0x9747b28cu), 0x24884CBAu);
}

static void memory_that_fails_ends_in_a_status(void **state)
{
    const float x[] = {1};
    const struct gal_str city[] = {GAL_STR("RÖME")};
    const int64_t n[] = {1};
    enum gal_status st = GAL_NO_MEMORY;

    (void)state;
    for (uint64_t i = 1; st != GAL_OK; i++) {
        struct gal_value out[8];
        struct gal_steps *s;

        assert_true(i < 1000);
        gal_arena_release(&arena);
        gal_arena_init(&arena, 64, 0, 64 << 20); /* small blocks: many calls */
        struct gal_value in[] = {value(GAL_DT_FP32, 1, x), value(GAL_DT_BYTES, 1, city),
                                 value(GAL_DT_INT64, 1, n)};

        gal_alloc_fail_at(i, 0);
        st = compile(whole, 0, &s);
        if (st == GAL_OK)
            st = gal_steps_run(s, in, &arena, out, &err);
        gal_alloc_fail_at(0, 0);
        assert_true(st == GAL_OK || st == GAL_NO_MEMORY);
    }
}

/* A row of the document's table a kind, with where it may stand. */
static void the_document_knows_every_step(void **state)
{
    size_t count, n;
    const struct gal_step_kind *kinds = gal_step_kinds(&count);
    char *text = gal_arena_alloc(&arena, 1 << 16), row[96];
    FILE *f = fopen("docs/transforms.md", "rb");

    (void)state;
    assert_true(f != NULL && text != NULL);
    n = fread(text, 1, (1 << 16) - 1, f);
    (void)fclose(f);
    text[n] = '\0';
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(row, sizeof(row), "\n| `%s` | %s | ", kinds[i].name,
                       kinds[i].before && kinds[i].after ? "both"
                       : kinds[i].before                 ? "before"
                                                         : "after");
        if (strstr(text, row) == NULL)
            fail_msg("docs/transforms.md has no row%s", row);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_wrong_list_is_refused_with_its_line, start, stop),
        cmocka_unit_test_setup_teardown(a_wrong_row_is_named, start, stop),
        cmocka_unit_test_setup_teardown(batches_of_no_one_and_many_rows, start, stop),
        cmocka_unit_test_setup_teardown(nothing_and_infinity_pass_where_they_have_a_place, start,
                                        stop),
        cmocka_unit_test_setup_teardown(the_hash_is_the_published_one, start, stop),
        cmocka_unit_test_setup_teardown(the_document_knows_every_step, start, stop),
        cmocka_unit_test_setup_teardown(memory_that_fails_ends_in_a_status, start, stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
