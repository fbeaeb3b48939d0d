/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of JSON to a model's inputs: every form of a row, every way to be wrong. */
#include "api/native.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* --- models --- */

#define SHAPE(...)                                                                                 \
    (const int64_t[])                                                                              \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define PORT(port_name, type, port_rank, ...)                                                      \
    {                                                                                              \
        .name = {port_name, sizeof(port_name) - 1}, .kind = GAL_KIND_TENSOR,                       \
        .dtype = GAL_DT_##type, .type_text = "tensor", .rank = port_rank,                          \
        .shape = SHAPE(__VA_ARGS__), .shape_known = true                                           \
    }

static const struct gal_port fraud_ports[] = {
    PORT("amount", FP32, 2, -1, 1), PORT("category", BYTES, 2, -1, 1), PORT("age", INT64, 2, -1, 1),
    PORT("hour", INT64, 1, -1)};
static const struct gal_port vector_port = PORT("pixels", FP32, 2, -1, 4);
static const struct gal_port open_port = PORT("tokens", INT64, 2, -1, -1);
static const struct gal_port cube_port = PORT("image", INT32, 3, -1, 2, 3);
static const struct gal_port half_open_port = PORT("series", FP32, 3, -1, -1, 2);
static const struct gal_port text_port = PORT("text", BYTES, 1, -1);
static const struct gal_port fixed_port = PORT("x", FP32, 2, 2, 3);
static const struct gal_port scalar_port = PORT("x", BOOL, 0, 0);
static const struct gal_port mixed_ports[] = {PORT("ids", INT64, 2, -1, 3),
                                              PORT("on", BOOL, 1, -1)};
static const char *const names[] = {"a", "b", "c", "d"};

struct rig {
    struct gal_model m;
    struct gal_model_info info;
    struct gal_arena arena;
    struct gal_native n;
    struct gal_value inputs[1024];
    struct gal_err err;
    char errors[8192]; /* "field type" lines */
};

static struct rig r;

static void use(const struct gal_port *ports, size_t count, bool batch, size_t name_count)
{
    static char name[] = "model";

    memset(&r.m, 0, sizeof(r.m));
    r.info = (struct gal_model_info){.inputs = ports, .input_count = count};
    r.m.name = name;
    r.m.info = &r.info;
    r.m.batch_dim = batch;
    r.m.feature_names = name_count ? names : NULL;
    r.m.feature_count = name_count;
}

static void use_fraud(void)
{
    use(fraud_ports, 4, true, 0);
}

static void say_errors(void)
{
    struct gal_buf out;
    yyjson_val *root, *item;
    size_t i, max, n = 0;

    gal_buf_init(&out, 1 << 20);
    gal_native_put_errors(&r.n.errors, "id", &out);
    assert_int_equal(gal_json_read(gal_buf_str(&out), &r.arena, 32, &root, NULL), GAL_OK);
    r.errors[0] = '\0';
    yyjson_arr_foreach(yyjson_obj_get(root, "detail"), i, max, item)
    {
        assert_string_equal(yyjson_get_str(yyjson_arr_get_first(yyjson_obj_get(item, "loc"))),
                            "body");
        assert_true(yyjson_get_len(yyjson_obj_get(item, "msg")) > 0);
        n += (size_t)snprintf(r.errors + n, sizeof(r.errors) - n, "%s%s %s", i ? "\n" : "",
                              yyjson_get_str(yyjson_obj_get(item, "field")),
                              yyjson_get_str(yyjson_obj_get(item, "type")));
    }
    gal_buf_release(&out);
}

static enum gal_status decode_str(struct gal_str body)
{
    yyjson_val *root;
    enum gal_status st;

    gal_arena_clear(&r.arena);
    gal_err_clear(&r.err);
    r.errors[0] = '\0';
    st = gal_json_read(body, &r.arena, GAL_JSON_DEPTH_MAX, &root, &r.err);
    if (st != GAL_OK)
        return st;
    st = gal_native_envelope(root, false, &r.arena, &r.n);
    if (st == GAL_OK)
        st = gal_native_decode(&r.m, &r.n, &r.arena, r.inputs, &r.err);
    assert_int_equal(st == GAL_INVALID, r.n.errors.count > 0);
    return st;
}

static enum gal_status decode(const char *body)
{
    enum gal_status st = decode_str(gal_str_of(body));

    if (st == GAL_INVALID)
        say_errors();
    return st;
}

static void good(const char *body, size_t rows)
{
    if (decode(body) != GAL_OK)
        fail_msg("%s: %s %s", body, r.err.message, r.errors);
    assert_int_equal(r.n.rows, rows);
}

static void bad(const char *body, const char *errors)
{
    assert_int_equal(decode(body), GAL_INVALID);
    if (strcmp(r.errors, errors) != 0)
        fail_msg("%s: got\n%s\nnot\n%s", body, r.errors, errors);
}

static void has_floats(size_t input, const float *expected, size_t count)
{
    const struct gal_tensor *t = &r.inputs[input].tensor;

    assert_int_equal(r.inputs[input].kind, GAL_KIND_TENSOR);
    assert_int_equal(t->count, count);
    assert_memory_equal(t->data, expected, count * sizeof(*expected));
}

static void has_ints(size_t input, const int64_t *expected, size_t count)
{
    const struct gal_tensor *t = &r.inputs[input].tensor;

    assert_int_equal(t->dtype, GAL_DT_INT64);
    assert_int_equal(t->count, count);
    assert_memory_equal(t->data, expected, count * sizeof(*expected));
}

static void has_shape(size_t input, const char *shape)
{
    char text[64];
    const struct gal_tensor *t = &r.inputs[input].tensor;

    assert_string_equal(gal_shape_format(t->shape, t->rank, text, sizeof(text)), shape);
}

static int start(void **state)
{
    (void)state;
    gal_arena_init(&r.arena, GAL_ARENA_FIRST_BYTES, GAL_ARENA_KEEP_BYTES, GAL_ARENA_BYTES_MAX);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    gal_arena_release(&r.arena);
    return 0;
}

/* --- forms --- */

#define FRAUD "{\"amount\":1.5,\"category\":\"travel\",\"age\":7,\"hour\":23}"

static void expect_fraud(void)
{
    const struct gal_str *category = r.inputs[1].tensor.data;

    has_shape(0, "[1,1]");
    has_shape(3, "[1]");
    has_floats(0, &(float){1.5f}, 1);
    assert_true(gal_str_is(category[0], "travel"));
    has_ints(2, &(int64_t){7}, 1);
    has_ints(3, &(int64_t){23}, 1);
}

static void named_features_go_where_their_names_say(void **state)
{
    (void)state;
    use_fraud();
    good("{\"features\":" FRAUD "}", 1);
    expect_fraud();
    good("{\"features\":{\"hour\":23,\"age\":7,\"category\":\"travel\",\"amount\":1.5}}", 1);
    expect_fraud();
    good(FRAUD, 1);
    assert_int_equal(r.n.form, GAL_NATIVE_FLAT);
    expect_fraud();
    good("{\"features\":[1.5,\"travel\",7,23]}", 1);
    expect_fraud();
    good("{\"instances\":[" FRAUD "],\"model_version\":null}", 1);
    assert_int_equal(r.n.version.n, 0);
    expect_fraud();
}

static void instances_may_mix_objects_and_arrays(void **state)
{
    (void)state;
    use_fraud();
    good("{\"instances\":[" FRAUD ",[2,\"x\",8,1]," FRAUD "],\"model_version\":\"3\"}", 3);
    assert_true(gal_str_is(r.n.version, "3"));
    has_shape(0, "[3,1]");
    has_floats(0, (float[]){1.5f, 2, 1.5f}, 3);
    has_ints(3, (int64_t[]){23, 1, 23}, 3);
}

static void a_vector_is_an_array(void **state)
{
    (void)state;
    use(&vector_port, 1, true, 0);
    good("{\"features\":[1,2.5,-3,4]}", 1);
    has_shape(0, "[1,4]");
    has_floats(0, (float[]){1, 2.5f, -3, 4}, 4);
    good("{\"instances\":[[1,2,3,4],[5,6,7,8]]}", 2);
    has_shape(0, "[2,4]");
    has_floats(0, (float[]){1, 2, 3, 4, 5, 6, 7, 8}, 8);
    good("{\"features\":{\"pixels\":[1,2,3,4]}}", 1);
    has_floats(0, (float[]){1, 2, 3, 4}, 4);
    good("{\"pixels\":[1,2,3,4]}", 1);
    good("{\"instances\":[[1,2,3,4],{\"pixels\":[5,6,7,8]}]}", 2);
    has_floats(0, (float[]){1, 2, 3, 4, 5, 6, 7, 8}, 8);
}

static void metadata_names_the_elements_of_a_vector(void **state)
{
    (void)state;
    use(&vector_port, 1, true, 4);
    good("{\"features\":{\"d\":4,\"a\":1,\"c\":3,\"b\":2}}", 1);
    has_floats(0, (float[]){1, 2, 3, 4}, 4);
    good("{\"a\":1,\"b\":2,\"c\":3,\"d\":4}", 1);
    good("{\"instances\":[{\"a\":1,\"b\":2,\"c\":3,\"d\":4},[5,6,7,8],{\"pixels\":[9,9,9,9]}]}", 3);
    has_floats(0, (float[]){1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9}, 12);
    bad("{\"features\":{\"a\":1,\"b\":\"x\",\"e\":2}}",
        "features.b type\nfeatures.e unknown\nfeatures.c missing\nfeatures.d missing");
    bad("{\"features\":{\"a\":[1],\"b\":2,\"c\":3,\"d\":4}}", "features.a type");
    use(&open_port, 1, true, 3);
    good("{\"a\":1,\"b\":2,\"c\":3}", 1);
    has_shape(0, "[1,3]");
    has_ints(0, (int64_t[]){1, 2, 3}, 3);
}

static void open_sizes_are_those_of_the_first_row(void **state)
{
    (void)state;
    use(&open_port, 1, true, 0);
    good("{\"instances\":[[1,2,3],[4,5,6]]}", 2);
    has_shape(0, "[2,3]");
    bad("{\"instances\":[[1,2,3],[4,5]]}", "instances[1] length");
    bad("{\"features\":[]}", "features type");
    bad("{\"instances\":[1,2]}", "instances[0] type\ninstances[1] type");
    use(&half_open_port, 1, true, 0);
    good("{\"features\":[[1,2],[3,4],[5,6]]}", 1);
    has_shape(0, "[1,3,2]");
    good("{\"features\":[1,2,3,4]}", 1);
    has_shape(0, "[1,2,2]");
    bad("{\"features\":[1,2,3]}", "features length");
}

static void higher_ranks_are_nested_or_flat(void **state)
{
    (void)state;
    use(&cube_port, 1, true, 0);
    good("{\"features\":[[1,2,3],[4,5,6]]}", 1);
    has_shape(0, "[1,2,3]");
    good("{\"instances\":[[1,2,3,4,5,6],[[1,2,3],[4,5,6]]]}", 2);
    assert_memory_equal(r.inputs[0].tensor.data, ((int32_t[]){1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6}),
                        48);
    bad("{\"instances\":[[[1,2,3],[4,5.5,6]]]}", "instances[0][1][1] type");
    bad("{\"instances\":[[1,2,3,4,5]]}", "instances[0] length");
    bad("{\"instances\":[[[1,2],[3,4]]]}", "instances[0] length");
    bad("{\"instances\":[[[1,2,3],7]]}", "instances[0] length");
}

static void a_model_without_batch_dimension_takes_its_whole_tensor(void **state)
{
    (void)state;
    use(&fixed_port, 1, false, 0);
    good("{\"features\":[[1,2,3],[4,5,6]]}", 1);
    has_shape(0, "[2,3]");
    good("{\"instances\":[[1,2,3,4,5,6]]}", 1);
    has_floats(0, (float[]){1, 2, 3, 4, 5, 6}, 6);
    good("{\"x\":[1,2,3,4,5,6]}", 1);
    bad("{\"instances\":[[1],[2]]}", "instances length");
    use(&scalar_port, 1, false, 0);
    good("{\"x\":true}", 1);
    good("{\"features\":[false]}", 1);
    good("{\"instances\":[true]}", 1);
    has_shape(0, "[]");
}

static void a_text_model_takes_text(void **state)
{
    const struct gal_str *t;

    (void)state;
    use(&text_port, 1, true, 0);
    good("{\"text\":\"hello\"}", 1);
    good("{\"instances\":[\"a\",{\"text\":\"b\"},[\"c\"]]}", 3);
    t = r.inputs[0].tensor.data;
    assert_true(gal_str_is(t[0], "a") && gal_str_is(t[1], "b") && gal_str_is(t[2], "c"));
    good("{\"instances\":[\"a\",\"b\"]}", 2);
    bad("{\"texts\":\"hello\"}", "texts unknown\ntext missing");
    bad("{\"instances\":[\"a\",5]}", "instances[1] type");
}

static void mixed_inputs_take_arrays_by_name(void **state)
{
    (void)state;
    use(mixed_ports, 2, true, 0);
    good("{\"instances\":[{\"ids\":[1,2,3],\"on\":true},{\"on\":0,\"ids\":[4,5,6]}]}", 2);
    has_ints(0, (int64_t[]){1, 2, 3, 4, 5, 6}, 6);
    assert_memory_equal(r.inputs[1].tensor.data, "\1\0", 2);
    good("{\"features\":[[1,2,3],true]}", 1);
    bad("{\"features\":{\"ids\":1,\"on\":[true]}}", "features.ids type\nfeatures.on type");
    bad("{\"features\":[[1,2],[true]]}", "features[0] length\nfeatures[1] type");
}

static void optional_inputs_are_in_all_rows_or_in_none(void **state)
{
    struct gal_port ports[] = {mixed_ports[0], mixed_ports[1]};

    (void)state;
    ports[1].optional = true;
    use(ports, 2, true, 0);
    good("{\"instances\":[{\"ids\":[1,2,3]},{\"ids\":[4,5,6]}]}", 2);
    assert_int_equal(r.inputs[1].kind, GAL_KIND_NONE);
    good("{\"ids\":[1,2,3],\"on\":true}", 1);
    assert_int_equal(r.inputs[1].kind, GAL_KIND_TENSOR);
    bad("{\"instances\":[{\"ids\":[1,2,3]},{\"ids\":[4,5,6],\"on\":true}]}",
        "instances[1].on unknown");
    bad("{\"instances\":[{\"ids\":[1,2,3],\"on\":true},{\"ids\":[4,5,6]}]}",
        "instances[1].on missing");
}

static void thousands_of_names_in_any_order_find_their_place(void **state)
{
    static struct gal_port ports[1000];
    static char labels[1000][8];
    struct gal_buf body;

    (void)state;
    for (size_t i = 0; i < 1000; i++) {
        snprintf(labels[i], sizeof(labels[i]), "f%zu", i);
        ports[i] = fraud_ports[0];
        ports[i].name = gal_str_of(labels[i]);
    }
    use(ports, 1000, true, 0);
    gal_buf_init(&body, 1 << 20);
    for (size_t i = 0; i < 1000; i++) /* 389 and 1000 have no common divisor */
        gal_buf_printf(&body, "%s\"f%zu\":%zu", i ? "," : "{\"features\":{", i * 389 % 1000,
                       i * 389 % 1000);
    gal_buf_puts(&body, "}}");
    assert_int_equal(decode_str(gal_buf_str(&body)), GAL_OK);
    for (size_t i = 0; i < 1000; i++)
        has_floats(i, &(float){(float)i}, 1);
    gal_buf_release(&body);
}

/* --- errors --- */

static void every_wrong_field_is_named(void **state)
{
    (void)state;
    use_fraud();
    bad("{\"features\":{\"amount\":\"1\",\"category\":5,\"age\":1.0,\"hour\":null}}",
        "features.amount type\nfeatures.category type\nfeatures.age type\nfeatures.hour type");
    bad("{\"instances\":[" FRAUD "," FRAUD "," FRAUD
        ",{\"amount\":1e60,\"category\":\"\",\"age\":9223372036854775808,\"hour\":{}}]}",
        "instances[3].amount range\ninstances[3].age range\ninstances[3].hour type");
    bad("{\"amount\":1,\"amont\":1}", "amont unknown\ncategory missing\nage missing\nhour missing");
    bad("{\"features\":{\"amount\":1,\"amount\":2,\"category\":\"a\",\"age\":1,\"hour\":1}}",
        "features.amount duplicate");
    bad("{\"features\":[1,\"a\",2]}", "features length");
    bad("{\"features\":[1,\"a\",2,\"b\"]}", "features[3] type");
    bad("{\"instances\":[" FRAUD ",null,5,[]]}",
        "instances[1] type\ninstances[2] type\ninstances[3] length");
    bad("{\"input\":[1,2,3,4]}",
        "input unknown\namount missing\ncategory missing\nage missing\nhour missing");
    bad("{}", "amount missing\ncategory missing\nage missing\nhour missing");
}

static void every_wrong_element_of_a_vector_is_named(void **state)
{
    (void)state;
    use(&vector_port, 1, true, 0);
    bad("{\"instances\":[[1,2,3,4],[1,\"x\",3,null],[1,2,3]]}",
        "instances[1][1] type\ninstances[1][3] type\ninstances[2] length");
    bad("{\"features\":[1,2,3,{}]}", "features[3] type");
    bad("{\"features\":[[1,2,3,4],[5,6,7,8]]}", "features length");
    bad("{\"features\":{\"a\":1}}", "features type");
    bad("{\"a\":1,\"b\":2}", "a unknown\nb unknown");
    bad("{\"instances\":[5]}", "instances[0] type");
}

static void the_envelope_is_checked(void **state)
{
    (void)state;
    use_fraud();
    bad("[]", " type");
    bad("5", " type");
    bad("{\"features\":null}", "features type");
    bad("{\"features\":\"none\"}", "features type");
    bad("{\"instances\":{}}", "instances type");
    bad("{\"instances\":[]}", "instances length");
    bad("{\"features\":" FRAUD ",\"instances\":[]}", "instances duplicate");
    bad("{\"features\":" FRAUD ",\"feature\":1}", "feature unknown");
    bad("{\"features\":" FRAUD ",\"model_version\":3}", "model_version type");
    bad("{\"features\":" FRAUD ",\"model_version\":null,\"model_version\":null}",
        "model_version duplicate");
}

static void at_most_64_errors_are_told(void **state)
{
    struct gal_buf body;

    (void)state;
    use_fraud();
    gal_buf_init(&body, 1 << 20);
    for (size_t i = 0; i < 1000; i++)
        gal_buf_puts(&body, i ? ",{}" : "{\"instances\":[{}");
    gal_buf_puts(&body, "]}");
    assert_int_equal(decode_str(gal_buf_str(&body)), GAL_INVALID);
    assert_int_equal(r.n.errors.count, GAL_NATIVE_ERRORS_MAX);
    gal_buf_release(&body);
}

static void keys_of_a_client_are_cut_in_errors(void **state)
{
    static char body[4096];
    size_t n;

    (void)state;
    use_fraud();
    n = (size_t)snprintf(body, sizeof(body), "{\"features\":{\"");
    memset(body + n, 'k', 3000);
    snprintf(body + n + 3000, sizeof(body) - n - 3000, "\":1}}");
    assert_int_equal(decode(body), GAL_INVALID);
    assert_true(strcspn(r.errors, "\n") < 200);
}

static void an_input_that_json_cannot_carry_is_not_supported(void **state)
{
    struct gal_port port = vector_port;

    (void)state;
    port.kind = GAL_KIND_SEQUENCE;
    port.type_text = "seq(tensor(float))";
    use(&port, 1, true, 0);
    assert_int_equal(decode("{\"features\":[1]}"), GAL_UNSUPPORTED);
    assert_non_null(strstr(r.err.message, "seq(tensor(float))"));
}

/* 50,000 empty rows for a model of 150,528 values a row would be 30 GB. */
static void memory_is_not_taken_for_values_that_are_not_there(void **state)
{
    struct gal_port port = PORT("image", FP32, 4, -1, 3, 224, 224);
    struct gal_port two[2] = {port, fraud_ports[0]};
    struct gal_buf body;

    (void)state;
    gal_buf_init(&body, 1 << 20);
    for (size_t i = 0; i < 50000; i++)
        gal_buf_puts(&body, i ? ",[]" : "{\"instances\":[[]");
    gal_buf_puts(&body, "]}");
    use(&port, 1, true, 0);
    assert_int_equal(decode_str(gal_buf_str(&body)), GAL_INVALID);
    assert_true(r.arena.used < 64 * body.n);
    use(two, 2, true, 0);
    assert_int_equal(decode_str(gal_buf_str(&body)), GAL_INVALID);
    assert_true(r.arena.used < 64 * body.n);
    gal_buf_release(&body);
}

static void sizes_that_overflow_are_an_error(void **state)
{
    struct gal_port port = PORT("x", FP64, 3, -1, 4611686018427387904, 4);

    (void)state;
    use(&port, 1, true, 0);
    assert_int_not_equal(decode("{\"instances\":[[1],[2]]}"), GAL_OK);
}

static void every_failing_allocation_is_survived(void **state)
{
    static const char *const bodies[] = {
        "{\"instances\":[" FRAUD "," FRAUD "]}",
        "{\"features\":{\"amount\":\"1\",\"category\":5}}",
    };

    (void)state;
    use_fraud();
    for (size_t k = 0; k < 2; k++) {
        enum gal_status st = GAL_NO_MEMORY;

        for (uint64_t i = 1; i < 100; i++) {
            gal_arena_release(&r.arena); /* a first block of 512 bytes: many allocations */
            gal_arena_init(&r.arena, 512, 0, GAL_ARENA_BYTES_MAX);
            gal_alloc_fail_at(i, 0);
            st = decode_str(gal_str_of(bodies[k]));
            gal_alloc_fail_at(0, 0);
            if (st == (k == 0 ? GAL_OK : GAL_INVALID) && i > 3)
                break;
            assert_true(st == GAL_NO_MEMORY || st == GAL_TOO_LARGE || k == 1);
        }
        assert_int_equal(st, k == 0 ? GAL_OK : GAL_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(named_features_go_where_their_names_say),
        cmocka_unit_test(instances_may_mix_objects_and_arrays),
        cmocka_unit_test(a_vector_is_an_array),
        cmocka_unit_test(metadata_names_the_elements_of_a_vector),
        cmocka_unit_test(open_sizes_are_those_of_the_first_row),
        cmocka_unit_test(higher_ranks_are_nested_or_flat),
        cmocka_unit_test(a_model_without_batch_dimension_takes_its_whole_tensor),
        cmocka_unit_test(a_text_model_takes_text),
        cmocka_unit_test(mixed_inputs_take_arrays_by_name),
        cmocka_unit_test(optional_inputs_are_in_all_rows_or_in_none),
        cmocka_unit_test(thousands_of_names_in_any_order_find_their_place),
        cmocka_unit_test(every_wrong_field_is_named),
        cmocka_unit_test(every_wrong_element_of_a_vector_is_named),
        cmocka_unit_test(the_envelope_is_checked),
        cmocka_unit_test(at_most_64_errors_are_told),
        cmocka_unit_test(keys_of_a_client_are_cut_in_errors),
        cmocka_unit_test(an_input_that_json_cannot_carry_is_not_supported),
        cmocka_unit_test(memory_is_not_taken_for_values_that_are_not_there),
        cmocka_unit_test(sizes_that_overflow_are_an_error),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
