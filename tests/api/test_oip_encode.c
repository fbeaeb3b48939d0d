/* SPDX-License-Identifier: Apache-2.0 */
#include "api/oip.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define OUTPUTS_MAX 4

/* One answer: what the model gave, what was asked for, what came of it. */
struct bench {
    struct gal_arena arena;
    struct gal_buf out, body;
    struct gal_port ports[OUTPUTS_MAX];
    struct gal_value values[OUTPUTS_MAX];
    size_t count;
    struct gal_oip_request req;
    struct gal_oip_answer answer;
    struct gal_err err;
};

static int open_bench(void **state)
{
    static struct bench b;

    memset(&b, 0, sizeof(b));
    gal_arena_init(&b.arena, 4096, 1 << 16, 1 << 24);
    gal_buf_init(&b.out, 1 << 20);
    gal_buf_init(&b.body, 1 << 20);
    *state = &b;
    return 0;
}

static int close_bench(void **state)
{
    struct bench *b = *state;

    gal_arena_release(&b->arena);
    gal_buf_release(&b->out);
    gal_buf_release(&b->body);
    return 0;
}

static enum gal_status encode(struct bench *b)
{
    static char name[] = "m\"x", version[] = "2";
    size_t wanted[OUTPUTS_MAX] = {0, 1, 2, 3};
    struct gal_infer inf = {.wanted = wanted, .wanted_count = b->count, .outputs = b->values};
    struct gal_model_info info = {.outputs = b->ports, .output_count = b->count};
    struct gal_model m = {.name = name, .version = version, .info = &info};

    gal_arena_clear(&b->arena);
    gal_buf_clear(&b->out, SIZE_MAX);
    gal_err_clear(&b->err);
    return gal_oip_encode(&m, &b->req, &inf, &b->arena, &b->out, &b->answer, &b->err);
}

static const char *json(struct bench *b)
{
    assert_int_equal(encode(b), GAL_OK);
    gal_buf_clear(&b->body, SIZE_MAX);
    gal_buf_put_str(&b->body, b->answer.parts[0]);
    gal_buf_putc(&b->body, '\0');
    return b->body.p;
}

static struct gal_value tensor(const char *name, enum gal_dtype dtype, size_t rank,
                               const int64_t *shape, const void *data)
{
    struct gal_value v = {.kind = GAL_KIND_TENSOR};

    v.tensor = (struct gal_tensor){gal_str_of(name), dtype, rank, shape, 1, data};
    for (size_t i = 0; i < rank; i++)
        v.tensor.count *= (size_t)shape[i];
    return v;
}

static void give(struct bench *b, struct gal_value v)
{
    b->ports[b->count] = (struct gal_port){
        .name = v.tensor.name, .kind = v.kind, .dtype = v.tensor.dtype, .type_text = "test"};
    b->values[b->count++] = v;
}

static const int64_t row3[2] = {1, 3}, row1[1] = {1}, row2[1] = {2}, none[2] = {0, 3};
static const float floats[3] = {0.5f, 1.0f, -2.5f};

#define HEAD "\"model_name\":\"m\\\"x\",\"model_version\":\"2\",\"outputs\":["

static void an_answer_is_json_when_nothing_else_is_asked_for(void **state)
{
    struct bench *b = *state;
    uint8_t flag = 1;

    give(b, tensor("y", GAL_DT_FP32, 2, row3, floats));
    give(b, tensor("flag", GAL_DT_BOOL, 1, row1, &flag));
    b->req.id = GAL_STR("a\"b");
    assert_string_equal(
        json(b), "{\"id\":\"a\\\"b\"," HEAD "{\"name\":\"y\",\"datatype\":\"FP32\",\"shape\":[1,3],"
                 "\"data\":[0.5,1.0,-2.5]},"
                 "{\"name\":\"flag\",\"datatype\":\"BOOL\",\"shape\":[1],\"data\":[true]}]}");
    assert_false(b->answer.binary);
    assert_int_equal(b->answer.part_count, 1);
}

static void a_model_without_outputs_answers_an_empty_list(void **state)
{
    struct bench *b = *state;

    assert_string_equal(json(b), "{" HEAD "]}");
}

static void numbers_in_binary_stay_where_the_backend_has_them(void **state)
{
    struct bench *b = *state;

    give(b, tensor("y", GAL_DT_FP32, 2, row3, floats));
    give(b, tensor("empty", GAL_DT_FP32, 2, none, NULL));
    b->req.binary_output = true;
    assert_string_equal(json(b), "{" HEAD "{\"name\":\"y\",\"datatype\":\"FP32\",\"shape\":[1,3],"
                                 "\"parameters\":{\"binary_data_size\":12}},"
                                 "{\"name\":\"empty\",\"datatype\":\"FP32\",\"shape\":[0,3],"
                                 "\"parameters\":{\"binary_data_size\":0}}]}");
    assert_true(b->answer.binary);
    assert_int_equal(b->answer.part_count, 2);
    assert_ptr_equal(b->answer.parts[1].p, floats);
    assert_int_equal(b->answer.parts[1].n, 12);
}

static void each_output_has_the_form_it_was_asked_for_in(void **state)
{
    struct bench *b = *state;
    struct gal_oip_output outputs[2] = {{.name = GAL_STR("y")},
                                        {.name = GAL_STR("s"), .binary = true}};
    struct gal_str text[2] = {GAL_STR("ab"), GAL_STR("\xff")};

    give(b, tensor("y", GAL_DT_FP32, 2, row3, floats));
    give(b, tensor("s", GAL_DT_BYTES, 1, row2, text));
    b->req.outputs = outputs;
    b->req.output_count = 2;
    assert_string_equal(json(b), "{" HEAD "{\"name\":\"y\",\"datatype\":\"FP32\",\"shape\":[1,3],"
                                 "\"data\":[0.5,1.0,-2.5]},"
                                 "{\"name\":\"s\",\"datatype\":\"BYTES\",\"shape\":[2],"
                                 "\"parameters\":{\"binary_data_size\":11}}]}");
    assert_int_equal(b->answer.part_count, 2);
    assert_int_equal(b->answer.parts[1].n, 11);
    assert_memory_equal(b->answer.parts[1].p, "\2\0\0\0ab\1\0\0\0\xff", 11);
    outputs[1].binary = false;
    assert_int_equal(encode(b), GAL_INVALID);
    assert_non_null(strstr(b->err.hint, "binary"));
}

/* --- what is no tensor --- */

static struct gal_value make_map(struct gal_value items[2], const char *name)
{
    struct gal_value v = {.kind = GAL_KIND_MAP, .items = items, .count = 2};

    v.tensor.name = gal_str_of(name);
    v.tensor.dtype = GAL_DT_FP32;
    return v;
}

static void maps_become_a_matrix_with_labels(void **state)
{
    struct bench *b = *state;
    struct gal_str keys[2] = {GAL_STR("no"), GAL_STR("\"yes\"")};
    float scores[2][2] = {{0.25f, 0.75f}, {1.0f, 0.0f}};
    struct gal_value first[2] = {tensor("k", GAL_DT_BYTES, 1, row2, keys),
                                 tensor("v", GAL_DT_FP32, 1, row2, scores[0])};
    struct gal_value second[2] = {first[0], tensor("v", GAL_DT_FP32, 1, row2, scores[1])};
    struct gal_value maps[2] = {make_map(first, ""), make_map(second, "")};
    struct gal_value all = {.kind = GAL_KIND_SEQUENCE, .items = maps, .count = 2};

    all.tensor.name = GAL_STR("p");
    all.tensor.dtype = GAL_DT_FP32;
    give(b, all);
    b->ports[0].of_maps = true;
    give(b, make_map(first, "one"));
    assert_string_equal(json(b),
                        "{" HEAD "{\"name\":\"p\",\"datatype\":\"FP32\",\"shape\":[2,2],"
                        "\"parameters\":{\"labels\":\"[\\\"no\\\",\\\"\\\\\\\"yes\\\\\\\"\\\"]\"},"
                        "\"data\":[0.25,0.75,1.0,0.0]},"
                        "{\"name\":\"one\",\"datatype\":\"FP32\",\"shape\":[1,2],"
                        "\"parameters\":{\"labels\":\"[\\\"no\\\",\\\"\\\\\\\"yes\\\\\\\"\\\"]\"},"
                        "\"data\":[0.25,0.75]}]}");
    b->req.binary_output = true;
    assert_non_null(strstr(json(b), "\\\"]\",\"binary_data_size\":16}}"));
    assert_memory_equal(b->answer.parts[1].p, scores, 16);
    b->req.binary_output = false;
    b->values[0].count = 0;
    assert_non_null(strstr(json(b), "{\"name\":\"p\",\"datatype\":\"FP32\",\"shape\":[0,0],"
                                    "\"data\":[]}"));
}

static void maps_that_differ_in_their_keys_are_an_error(void **state)
{
    struct bench *b = *state;
    int64_t keys[2] = {0, 1}, others[2] = {0, 2};
    struct gal_value first[2] = {tensor("k", GAL_DT_INT64, 1, row2, keys),
                                 tensor("v", GAL_DT_FP32, 1, row2, floats)};
    struct gal_value second[2] = {tensor("k", GAL_DT_INT64, 1, row2, others), first[1]};
    struct gal_value maps[2] = {make_map(first, ""), make_map(second, "")};
    struct gal_value all = {.kind = GAL_KIND_SEQUENCE, .items = maps, .count = 2};

    all.tensor.name = GAL_STR("p");
    give(b, all);
    b->ports[0].of_maps = true;
    assert_int_equal(encode(b), GAL_INVALID);
    b->values[0].count = 1;
    assert_non_null(strstr(json(b), "\"labels\":\"[0,1]\""));
}

static void a_sequence_is_one_output_an_item(void **state)
{
    struct bench *b = *state;
    struct gal_value items[3] = {tensor("a", GAL_DT_FP32, 2, row3, floats),
                                 {.kind = GAL_KIND_NONE},
                                 tensor("b", GAL_DT_FP32, 1, row2, floats)};
    struct gal_value all = {.kind = GAL_KIND_SEQUENCE, .items = items, .count = 3};

    all.tensor.name = GAL_STR("s");
    give(b, all);
    give(b, (struct gal_value){.kind = GAL_KIND_NONE});
    assert_string_equal(json(b), "{" HEAD "{\"name\":\"s.0\",\"datatype\":\"FP32\",\"shape\":[1,3],"
                                 "\"data\":[0.5,1.0,-2.5]},"
                                 "{\"name\":\"s.2\",\"datatype\":\"FP32\",\"shape\":[2],"
                                 "\"data\":[0.5,1.0]}]}");
    b->req.binary_output = true;
    assert_int_equal(encode(b), GAL_OK);
    assert_int_equal(b->answer.part_count, 3);
    items[1].kind = GAL_KIND_SEQUENCE;
    assert_int_equal(encode(b), GAL_UNSUPPORTED);
}

static void a_datatype_that_the_protocol_lacks_is_named(void **state)
{
    struct bench *b = *state;

    give(b, tensor("odd", GAL_DT_NONE, 1, row1, floats));
    assert_int_equal(encode(b), GAL_UNSUPPORTED);
    assert_non_null(strstr(b->err.message, "'odd'"));
}

static void an_answer_beyond_its_limit_is_an_error(void **state)
{
    struct bench *b = *state;

    give(b, tensor("y", GAL_DT_FP32, 2, row3, floats));
    b->out.max = 64;
    assert_int_equal(encode(b), GAL_NO_MEMORY);
    b->out.max = 1 << 20;
    assert_int_equal(encode(b), GAL_OK);
}

static void encoding_survives_any_allocation_that_fails(void **state)
{
    struct bench *b = *state;
    struct gal_str text[2] = {GAL_STR("ab"), GAL_STR("c")};
    enum gal_status st = GAL_NO_MEMORY;
    int refused = 0;

    give(b, tensor("y", GAL_DT_FP32, 2, row3, floats));
    give(b, tensor("s", GAL_DT_BYTES, 1, row2, text));
    b->req.binary_output = true;
    for (uint64_t i = 1; st != GAL_OK; i++) {
        close_bench(state);
        gal_arena_init(&b->arena, 64, 0, 1 << 20);
        gal_buf_init(&b->out, 1 << 20);
        gal_buf_init(&b->body, 1 << 20);
        gal_alloc_fail_at(i, 1);
        st = encode(b);
        gal_alloc_fail_at(0, 0);
        refused += st != GAL_OK;
        assert_true(st == GAL_OK || st == GAL_NO_MEMORY);
    }
    assert_true(refused > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_bench, close_bench)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_answer_is_json_when_nothing_else_is_asked_for),
        TEST(a_model_without_outputs_answers_an_empty_list),
        TEST(numbers_in_binary_stay_where_the_backend_has_them),
        TEST(each_output_has_the_form_it_was_asked_for_in),
        TEST(maps_become_a_matrix_with_labels),
        TEST(maps_that_differ_in_their_keys_are_an_error),
        TEST(a_sequence_is_one_output_an_item),
        TEST(a_datatype_that_the_protocol_lacks_is_named),
        TEST(an_answer_beyond_its_limit_is_an_error),
        TEST(encoding_survives_any_allocation_that_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
