/* SPDX-License-Identifier: Apache-2.0 */
/* Outputs to predictions: one value a row, whatever the model gives. */
#include "api/native.h"
#include "base/mem.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define SHAPE(...)                                                                                 \
    (const int64_t[])                                                                              \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define NAME(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
#define PORT(port_name, type, port_rank, ...)                                                      \
    {                                                                                              \
        .name = NAME(port_name), .kind = GAL_KIND_TENSOR, .dtype = GAL_DT_##type,                  \
        .type_text = "tensor", .rank = port_rank, .shape = SHAPE(__VA_ARGS__), .shape_known = true \
    }
#define TENSOR(type, values, n, value_rank, ...)                                                   \
    {                                                                                              \
        .kind = GAL_KIND_TENSOR, .tensor = {                                                       \
            .dtype = GAL_DT_##type,                                                                \
            .rank = value_rank,                                                                    \
            .shape = SHAPE(__VA_ARGS__),                                                           \
            .count = n,                                                                            \
            .data = values                                                                         \
        }                                                                                          \
    }

static struct gal_model_info info;
static struct gal_model model;
static struct gal_buf out;
static struct gal_err err;

static enum gal_status encode(const struct gal_port *ports, const struct gal_value *values,
                              size_t count, size_t rows, bool batch, bool single)
{
    static char name[] = "m", version[] = "2";
    const struct gal_native_answer a = {.request_id = "r\"1",
                                        .model = &model,
                                        .outputs = values,
                                        .output_count = count,
                                        .rows = rows,
                                        .single = single,
                                        .start_us = 1000,
                                        .now_us = 2234,
                                        .wall_us = 1705328621123000};

    info = (struct gal_model_info){.outputs = ports, .output_count = count};
    model.name = name;
    model.version = version;
    model.info = &info;
    model.batch_dim = batch;
    gal_buf_clear(&out, SIZE_MAX);
    return gal_native_encode(&a, &out, &err);
}

/* The answer's part between the model and the times. */
static void says(const struct gal_port *ports, const struct gal_value *values, size_t count,
                 size_t rows, bool batch, bool single, const char *expected)
{
    char all[2048];

    assert_int_equal(encode(ports, values, count, rows, batch, single), GAL_OK);
    gal_buf_putc(&out, '\0');
    assert_false(out.failed);
    snprintf(all, sizeof(all),
             "{\"request_id\":\"r\\\"1\",\"model_name\":\"m\",\"model_version\":\"2\",%s,"
             "\"processing_time_ms\":1.234,\"timestamp\":\"2024-01-15T14:23:41.123Z\"%s}",
             expected, single ? ",\"device\":\"cpu\"" : "");
    assert_string_equal(out.p, all);
}

static const float scores[] = {0.25f, 0.75f, 1, 0};
static const int64_t labels[] = {1, 0};

static void one_element_a_row_is_bare(void **state)
{
    const struct gal_port column = PORT("y", FP32, 2, -1, 1), flat = PORT("y", INT64, 1, -1);
    const struct gal_value v = TENSOR(FP32, scores, 3, 2, 3, 1), w = TENSOR(INT64, labels, 2, 1, 2);
    const struct gal_value one = TENSOR(FP32, scores, 1, 2, 1, 1);

    (void)state;
    says(&column, &v, 1, 3, true, false, "\"predictions\":[0.25,0.75,1.0]");
    says(&flat, &w, 1, 2, true, false, "\"predictions\":[1,0]");
    says(&column, &one, 1, 1, true, true, "\"predictions\":[0.25],\"prediction\":0.25");
}

static void an_open_size_stays_an_array_when_it_is_1(void **state)
{
    const struct gal_port open = PORT("y", FP32, 2, -1, -1);
    const struct gal_value v = TENSOR(FP32, scores, 2, 2, 2, 1);

    (void)state;
    says(&open, &v, 1, 2, true, false, "\"predictions\":[{\"y\":[0.25]},{\"y\":[0.75]}]");
}

static void several_outputs_are_an_object_by_name(void **state)
{
    const struct gal_port ports[] = {PORT("label", INT64, 1, -1),
                                     PORT("probabilities", FP32, 2, -1, 2),
                                     PORT("cube", FP32, 3, -1, 1, 2)};
    const struct gal_value values[] = {TENSOR(INT64, labels, 2, 1, 2),
                                       TENSOR(FP32, scores, 4, 2, 2, 2),
                                       TENSOR(FP32, scores, 4, 3, 2, 1, 2)};

    (void)state;
    says(ports, values, 3, 2, true, false,
         "\"predictions\":[{\"label\":1,\"probabilities\":[0.25,0.75],\"cube\":[[0.25,0.75]]},"
         "{\"label\":0,\"probabilities\":[1.0,0.0],\"cube\":[[1.0,0.0]]}]");
}

static void zipmap_is_an_object_of_scores(void **state)
{
    static const struct gal_str names[] = {NAME("setosa"), NAME("a\"b")};
    static const int64_t numbers[] = {0, -1};
    struct gal_value keys = TENSOR(BYTES, names, 2, 1, 2), first = TENSOR(FP32, scores, 2, 1, 2);
    struct gal_value ints = TENSOR(INT64, numbers, 2, 1, 2);
    struct gal_value map0[2] = {keys, first}, map1[2] = {ints, first};
    struct gal_value maps[2] = {{.kind = GAL_KIND_MAP, .items = map0, .count = 2},
                                {.kind = GAL_KIND_MAP, .items = map1, .count = 2}};
    const struct gal_port ports[] = {
        PORT("output_label", INT64, 1, -1),
        {.name = NAME("output_probability"), .kind = GAL_KIND_SEQUENCE, .of_maps = true}};
    const struct gal_value values[] = {TENSOR(INT64, labels, 2, 1, 2),
                                       {.kind = GAL_KIND_SEQUENCE, .items = maps, .count = 2}};

    (void)state;
    says(ports, values, 2, 2, true, false,
         "\"predictions\":[{\"output_label\":1,\"output_probability\":{\"setosa\":0.25,"
         "\"a\\\"b\":0.75}},{\"output_label\":0,\"output_probability\":{\"0\":0.25,\"-1\":0.75}}]");
}

static void what_belongs_to_no_row_stands_apart(void **state)
{
    const struct gal_port ports[] = {PORT("y", FP32, 2, -1, 1), PORT("boxes", FP32, 2, -1, 2)};
    const struct gal_value values[] = {TENSOR(FP32, scores, 1, 2, 1, 1),
                                       TENSOR(FP32, scores, 4, 2, 2, 2)};
    const struct gal_value none[] = {TENSOR(FP32, scores, 0, 2, 0, 2)};

    (void)state;
    says(ports, values, 2, 1, true, true,
         "\"predictions\":[{\"y\":0.25}],\"prediction\":{\"y\":0.25},"
         "\"outputs\":{\"boxes\":[[0.25,0.75],[1.0,0.0]]}");
    says(&ports[1], none, 1, 1, true, true, "\"predictions\":[],\"outputs\":{\"boxes\":[]}");
}

static void without_batch_dimension_the_row_is_the_whole(void **state)
{
    const struct gal_port matrix = PORT("y", FP32, 2, 2, 2), row = PORT("y", FP32, 2, 1, 2);
    const struct gal_port scalar = PORT("y", FP32, 0, 0);
    const struct gal_value v = TENSOR(FP32, scores, 4, 2, 2, 2),
                           w = TENSOR(FP32, scores, 2, 2, 1, 2);
    const struct gal_value s = TENSOR(FP32, scores, 1, 0, 0);

    (void)state;
    says(&matrix, &v, 1, 1, false, false, "\"predictions\":[{\"y\":[[0.25,0.75],[1.0,0.0]]}]");
    says(&row, &w, 1, 1, false, false, "\"predictions\":[{\"y\":[0.25,0.75]}]");
    says(&scalar, &s, 1, 1, false, true, "\"predictions\":[0.25],\"prediction\":0.25");
}

static void an_absent_optional_output_is_left_out(void **state)
{
    const struct gal_port ports[] = {PORT("y", FP32, 2, -1, 1), PORT("z", FP32, 2, -1, 1)};
    const struct gal_value values[] = {TENSOR(FP32, scores, 1, 2, 1, 1), {.kind = GAL_KIND_NONE}};

    (void)state;
    says(ports, values, 2, 1, true, false, "\"predictions\":[{\"y\":0.25}]");
}

static void sequences_give_a_row_an_item_when_they_are_as_many(void **state)
{
    struct gal_value items[2] = {TENSOR(FP32, scores, 2, 1, 2), TENSOR(FP32, scores, 1, 1, 1)};
    const struct gal_port port = {.name = NAME("s"), .kind = GAL_KIND_SEQUENCE};
    const struct gal_value v = {.kind = GAL_KIND_SEQUENCE, .items = items, .count = 2};

    (void)state;
    says(&port, &v, 1, 2, true, false, "\"predictions\":[{\"s\":[0.25,0.75]},{\"s\":[0.25]}]");
    says(&port, &v, 1, 1, true, false,
         "\"predictions\":[],\"outputs\":{\"s\":[[0.25,0.75],[0.25]]}");
    says(&port, &v, 1, 1, false, false, "\"predictions\":[{\"s\":[[0.25,0.75],[0.25]]}]");
}

static void numbers_that_json_lacks_are_texts(void **state)
{
    static float odd[3];
    const struct gal_port port = PORT("y", FP32, 2, -1, 3);
    const struct gal_value v = TENSOR(FP32, odd, 3, 2, 1, 3);

    (void)state;
    odd[0] = NAN;
    odd[1] = INFINITY;
    odd[2] = 0.1f;
    says(&port, &v, 1, 1, true, false, "\"predictions\":[{\"y\":[\"NaN\",\"Infinity\",0.1]}]");
}

static void bytes_that_are_no_text_are_an_error(void **state)
{
    static const struct gal_str raw[] = {NAME("\xff\xfe")};
    const struct gal_port port = PORT("y", BYTES, 1, -1);
    const struct gal_value v = TENSOR(BYTES, raw, 1, 1, 1);

    (void)state;
    assert_int_equal(encode(&port, &v, 1, 1, true, true), GAL_INVALID);
    assert_non_null(strstr(err.message, "UTF-8"));
}

static void a_buffer_that_is_full_fails_and_holds(void **state)
{
    const struct gal_port port = PORT("y", FP32, 2, -1, 1);
    const struct gal_value v = TENSOR(FP32, scores, 1, 2, 1, 1);

    (void)state;
    for (size_t max = 0; max < 400; max++) {
        gal_buf_release(&out);
        gal_buf_init(&out, max);
        assert_int_equal(encode(&port, &v, 1, 1, true, true), GAL_OK);
        if (!out.failed)
            break;
        assert_true(out.n <= max);
    }
    assert_false(out.failed);
    gal_buf_release(&out);
    gal_buf_init(&out, 1 << 20);
}

static int start(void **state)
{
    (void)state;
    gal_buf_init(&out, 1 << 20);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    gal_buf_release(&out);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_element_a_row_is_bare),
        cmocka_unit_test(an_open_size_stays_an_array_when_it_is_1),
        cmocka_unit_test(several_outputs_are_an_object_by_name),
        cmocka_unit_test(zipmap_is_an_object_of_scores),
        cmocka_unit_test(what_belongs_to_no_row_stands_apart),
        cmocka_unit_test(without_batch_dimension_the_row_is_the_whole),
        cmocka_unit_test(an_absent_optional_output_is_left_out),
        cmocka_unit_test(sequences_give_a_row_an_item_when_they_are_as_many),
        cmocka_unit_test(numbers_that_json_lacks_are_texts),
        cmocka_unit_test(bytes_that_are_no_text_are_an_error),
        cmocka_unit_test(a_buffer_that_is_full_fails_and_holds),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
