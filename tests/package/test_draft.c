/* SPDX-License-Identifier: Apache-2.0 */
/* What a draft says is read back by the manifest's reader. */
#include "package/draft.h"

#include "package/manifest.h"
#include "text/protobuf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct desk {
    struct gal_arena arena;
    struct gal_buf yaml;
    struct gal_manifest *m;
    struct gal_draft d;
};

static void open_desk(struct desk *k)
{
    *k = (struct desk){.d = {.name = GAL_STR("fraud"),
                             .version = GAL_STR("1.0.0"),
                             .model_file = GAL_STR("model.onnx")}};
    gal_arena_init(&k->arena, 65536, 0, 64u << 20);
    gal_buf_init(&k->yaml, 8u << 20);
}

static void close_desk(struct desk *k)
{
    gal_buf_release(&k->yaml);
    gal_arena_release(&k->arena);
}

static void read_back(struct desk *k)
{
    struct gal_err err = {0};

    gal_draft_write(&k->d, &k->yaml);
    assert_false(k->yaml.failed);
    if (gal_manifest_read(gal_buf_str(&k->yaml), "galley.yaml", &k->arena, &k->m, &err) != GAL_OK)
        fail_msg("%s: %s (%s)\n%.*s", err.place, err.message, err.hint,
                 GAL_STR_ARG(gal_buf_str(&k->yaml)));
}

static void from_model(struct desk *k, const struct gal_model_info *info)
{
    struct gal_err err;
    assert_int_equal(gal_draft_from_model(&k->d, info, NULL, 0, &k->arena, &err), GAL_OK);
    read_back(k);
}

/* Opens the desk, and drafts of a model that has these ports and nothing to say of itself. */
static void from_ports(struct desk *k, const struct gal_port *in, size_t in_count,
                       const struct gal_port *out, size_t out_count)
{
    const struct gal_model_info info = {
        .inputs = in, .input_count = in_count, .outputs = out, .output_count = out_count};
    open_desk(k);
    from_model(k, &info);
}

#define TENSOR(n, t, r, s)                                                                         \
    {                                                                                              \
        .name = GAL_STR(n), .kind = GAL_KIND_TENSOR, .dtype = (t), .shape_known = true,            \
        .type_text = "tensor(float)", .rank = (r), .shape = (s)                                    \
    }

static const int64_t rows_only[] = {-1}, column[] = {-1, 1}, matrix[] = {-1, 3}, two[] = {-1, 2},
                     picture[] = {-1, 3, 224, 224}, fixed[] = {1, 3};

static void columns_become_features_of_their_types(void **state)
{
    static const struct gal_str values[] = {{"DE", 2}, {"no", 2}, {"a: b #c", 7}};
    struct gal_port in[] = {
        TENSOR("amount", GAL_DT_FP32, 2, column), TENSOR("country", GAL_DT_BYTES, 1, rows_only),
        TENSOR("hour", GAL_DT_INT64, 2, column), TENSOR("null", GAL_DT_UINT8, 2, column)};
    struct gal_port out[] = {TENSOR("label", GAL_DT_INT64, 1, rows_only)};
    struct gal_model_info info = {.inputs = in,
                                  .input_count = 4,
                                  .outputs = out,
                                  .output_count = 1,
                                  .producer = "skl2onnx 1.20"};
    struct desk k;

    (void)state;
    in[1].values = values;
    in[1].value_count = 3;
    open_desk(&k);
    from_model(&k, &info);
    assert_int_equal(k.m->feature_count, 4);
    assert_true(gal_str_is(k.m->features[0].name, "amount"));
    assert_int_equal(k.m->features[0].dtype, GAL_DT_FP32);
    assert_int_equal(k.m->features[1].type, GAL_FEATURE_TEXT);
    assert_int_equal(k.m->features[1].value_count, 3);
    assert_true(gal_str_is(k.m->features[1].values[1].text, "no"));
    assert_true(gal_str_is(k.m->features[1].values[2].text, "a: b #c"));
    assert_int_equal(k.m->features[2].dtype, GAL_DT_INT64);
    assert_true(gal_str_is(k.m->features[3].name, "null"));
    assert_int_equal(k.m->features[3].dtype, GAL_DT_UINT8);
    assert_int_equal(k.m->output_count, 1);
    close_desk(&k);
}

static void a_matrix_has_the_names_of_the_metadata(void **state)
{
    const struct gal_meta meta[] = {
        {GAL_STR("class_names"), GAL_STR("[\"ok\", \"fraud\"]")},
        {GAL_STR("feature_names"), GAL_STR("[\"a\", \"b b\", \"c\\\"\\n\"]")},
        {GAL_STR("note"), GAL_STR("line one\nline: two")}};
    const struct gal_port in[] = {TENSOR("x", GAL_DT_FP32, 2, matrix)};
    const struct gal_port out[] = {TENSOR("label", GAL_DT_INT64, 1, rows_only),
                                   TENSOR("scores", GAL_DT_FP32, 2, two)};
    const struct gal_model_info info = {.inputs = in,
                                        .input_count = 1,
                                        .outputs = out,
                                        .output_count = 2,
                                        .meta = meta,
                                        .meta_count = 3};
    struct desk k;

    (void)state;
    open_desk(&k);
    k.d.features = NULL;
    assert_int_equal(gal_draft_from_model(&k.d, &info, NULL, 0, &k.arena, NULL), GAL_OK);
    assert_int_equal(k.d.feature_count, 3);
    assert_true(gal_str_is(k.d.features[1].name, "b b"));
    assert_true(gal_str_is(k.d.probabilities, "scores"));
    assert_int_equal(k.d.outputs[1].label_count, 2);
    close_desk(&k);
}

static void a_matrix_without_names_is_one_feature(void **state)
{
    const struct gal_port in[] = {TENSOR("x", GAL_DT_FP32, 2, matrix)};
    const struct gal_port out[] = {TENSOR("y", GAL_DT_FP32, 2, column)};
    struct desk k;

    (void)state;
    from_ports(&k, in, 1, out, 1);
    assert_int_equal(k.m->feature_count, 1);
    assert_int_equal(k.m->features[0].rank, 1);
    assert_int_equal(k.m->features[0].shape[0], 3);
    close_desk(&k);
}

static void a_picture_is_told_of_the_image_step(void **state)
{
    const struct gal_port in[] = {TENSOR("x", GAL_DT_FP32, 4, picture)};
    const struct gal_port out[] = {TENSOR("y", GAL_DT_FP32, 2, two)};
    struct desk k;

    (void)state;
    from_ports(&k, in, 1, out, 1);
    assert_int_equal(k.m->features[0].rank, 3);
    assert_non_null(memmem(k.yaml.p, k.yaml.n, "- image:", 8));
    close_desk(&k);
}

static void inputs_that_are_no_rows_stay_as_they_are(void **state)
{
    const struct gal_port in[] = {TENSOR("x", GAL_DT_FP32, 2, fixed)};
    const struct gal_port out[] = {TENSOR("y", GAL_DT_FP32, 2, fixed)};
    struct desk k;

    (void)state;
    from_ports(&k, in, 1, out, 1);
    assert_int_equal(k.m->feature_count, 0);
    assert_non_null(memmem(k.yaml.p, k.yaml.n, "first dimension of x is fixed", 29));
    close_desk(&k);
}

static void a_zipmap_is_unzipped(void **state)
{
    const struct gal_port in[] = {TENSOR("x", GAL_DT_FP32, 2, matrix)};
    const struct gal_port out[] = {TENSOR("label", GAL_DT_INT64, 1, rows_only),
                                   {.name = GAL_STR("output_probability"),
                                    .kind = GAL_KIND_SEQUENCE,
                                    .of_maps = true,
                                    .dtype = GAL_DT_FP32,
                                    .key_dtype = GAL_DT_INT64,
                                    .type_text = "seq(map(int64,float))"}};
    struct desk k;

    (void)state;
    from_ports(&k, in, 1, out, 2);
    assert_non_null(k.m->after);
    assert_true(gal_str_is(k.m->after->child->child->key, "unzip"));
    assert_true(gal_str_is(k.m->outputs[1].name, "probabilities"));
    close_desk(&k);
}

static void everything_else_is_taken_by_the_reader(void **state)
{
    static const struct gal_str files[] = {{"README.md", 9}}, data[] = {{"w/model.data", 12}};
    struct desk k;

    (void)state;
    open_desk(&k);
    k.d.description = GAL_STR("two\nlines: \"quoted\" # no comment \x07");
    k.d.model_files = data;
    k.d.model_file_count = 1;
    k.d.golden_file = GAL_STR("golden.json");
    k.d.golden_note = "outputs of a framework\nof two lines";
    k.d.rtol = 1e-4;
    k.d.atol = 1e-9;
    k.d.files = files;
    k.d.file_count = 1;
    gal_draft_pair(&k.d.serving, GAL_STR("max_queue_delay"), GAL_STR("2ms"), NULL);
    gal_draft_pair(&k.d.metadata, GAL_STR("on"), GAL_STR("yes"), NULL);
    gal_draft_pair(&k.d.metadata, GAL_STR("empty"), (struct gal_str){NULL, 0}, NULL);
    gal_draft_pair(&k.d.provenance, GAL_STR("libraries"), GAL_STR("{numpy: 2.4.6}"), NULL);
    k.d.provenance.at[0].literal = true;
    gal_draft_pair(&k.d.provenance, GAL_STR("python"), GAL_STR("3.11"), NULL);
    read_back(&k);
    assert_int_equal(k.m->model_file_count, 1);
    assert_true(gal_str_is(k.m->golden_file, "golden.json"));
    assert_true(k.m->rtol == 1e-4 && k.m->atol == 1e-9);
    assert_int_equal(k.m->metadata_count, 1);
    assert_true(gal_str_is(k.m->metadata[0].value, "yes"));
    assert_true(gal_str_is(k.m->provenance[0].key, "libraries.numpy"));
    assert_true(gal_str_is(k.m->provenance[1].value, "3.11"));
    assert_int_equal(k.m->file_count, 1);
    close_desk(&k);
}

static void names_become_what_a_package_may_be_called(void **state)
{
    static const char *const cases[][2] = {{"Fraud Model (v2)", "fraud-model-v2"},
                                           {"..", "model"},
                                           {"iris", "iris"},
                                           {"\xc3\xa9t\xc3\xa9", "t"},
                                           {"a_b.c-", "a_b.c"}};
    struct desk k;

    (void)state;
    open_desk(&k);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct gal_str name = gal_draft_name(gal_str_of(cases[i][0]), &k.arena);
        if (!gal_str_is(name, cases[i][1]))
            fail_msg("%s: %.*s", cases[i][0], GAL_STR_ARG(name));
    }
    close_desk(&k);
}

/* ModelProto{graph{initializer{external_data{location: NAME}}}} */
static enum gal_status external(struct desk *k, const char *name, size_t *count,
                                const struct gal_str **names)
{
    struct gal_buf b;
    enum gal_status status;

    gal_buf_init(&b, 65536);
    gal_pb_put_bytes(&b, 1, GAL_STR("location"));
    gal_pb_put_bytes(&b, 2, gal_str_of(name));
    gal_pb_wrap(&b, 0, 13);
    gal_pb_wrap(&b, 0, 5);
    gal_pb_wrap(&b, 0, 7);
    status = gal_draft_external(gal_buf_str(&b), &k->arena, names, count, NULL);
    gal_buf_release(&b);
    return status;
}

static void weights_beside_the_model_are_found(void **state)
{
    static const char *const outside[] = {"/etc/passwd", "../x", "a/../../b", "", "a//b", "./a"};
    const struct gal_str *names;
    struct desk k;
    size_t count = 9;

    (void)state;
    open_desk(&k);
    assert_int_equal(external(&k, "w/model.data", &count, &names), GAL_OK);
    assert_int_equal(count, 1);
    assert_true(gal_str_is(names[0], "w/model.data"));
    for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++)
        assert_int_equal(external(&k, outside[i], &count, &names), GAL_INVALID);
    assert_int_equal(gal_draft_external(GAL_STR("no model"), &k.arena, &names, &count, NULL),
                     GAL_OK);
    assert_int_equal(count, 0);
    close_desk(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_become_features_of_their_types),
        cmocka_unit_test(a_matrix_has_the_names_of_the_metadata),
        cmocka_unit_test(a_matrix_without_names_is_one_feature),
        cmocka_unit_test(a_picture_is_told_of_the_image_step),
        cmocka_unit_test(inputs_that_are_no_rows_stay_as_they_are),
        cmocka_unit_test(a_zipmap_is_unzipped),
        cmocka_unit_test(everything_else_is_taken_by_the_reader),
        cmocka_unit_test(names_become_what_a_package_may_be_called),
        cmocka_unit_test(weights_beside_the_model_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
