/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/tensor_json.h"
#include "base/limits.h"
#include "base/mem.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct bench {
    struct gal_arena arena;
    struct gal_buf out;
    struct gal_tensor t;
    struct gal_err err;
};

static int open_bench(void **state)
{
    static struct bench b;

    gal_arena_init(&b.arena, 4096, 1 << 16, 1 << 24);
    gal_buf_init(&b.out, 1 << 22);
    *state = &b;
    return 0;
}

static int close_bench(void **state)
{
    struct bench *b = *state;

    gal_arena_release(&b->arena);
    gal_buf_release(&b->out);
    return 0;
}

static enum gal_status read_as(struct bench *b, enum gal_dtype dtype, size_t rank,
                               const int64_t *shape, const char *json)
{
    yyjson_val *root;

    gal_arena_clear(&b->arena);
    gal_err_clear(&b->err);
    memset(&b->t, 0, sizeof(b->t));
    b->t.name = GAL_STR("x");
    b->t.dtype = dtype;
    b->t.rank = rank;
    b->t.shape = shape;
    assert_int_equal(gal_shape_count(shape, rank, dtype, &b->t.count, NULL), GAL_OK);
    assert_int_equal(gal_json_read(gal_str_of(json), &b->arena, GAL_JSON_DEPTH_MAX, &root, NULL),
                     GAL_OK);
    return gal_tensor_from_json(root, &b->t, "data", &b->arena, &b->err);
}

static enum gal_status read_row(struct bench *b, enum gal_dtype dtype, int64_t n, const char *json)
{
    static int64_t shape[1];

    shape[0] = n;
    return read_as(b, dtype, 1, shape, json);
}

static const char *written(struct bench *b)
{
    gal_buf_putc(&b->out, '\0');
    assert_false(b->out.failed);
    return b->out.p;
}

static const char *write_flat(struct bench *b)
{
    gal_buf_clear(&b->out, SIZE_MAX);
    assert_int_equal(gal_tensor_to_json(&b->t, false, &b->out, &b->err), GAL_OK);
    return written(b);
}

static const char *write_nested(struct bench *b)
{
    gal_buf_clear(&b->out, SIZE_MAX);
    assert_int_equal(gal_tensor_to_json(&b->t, true, &b->out, &b->err), GAL_OK);
    return written(b);
}

static void elements_of_every_datatype_arrive_as_their_bytes(void **state)
{
    struct bench *b = *state;

    assert_int_equal(read_row(b, GAL_DT_BOOL, 4, "[true,false,1,0]"), GAL_OK);
    assert_memory_equal(b->t.data, ((uint8_t[]){1, 0, 1, 0}), 4);
    assert_int_equal(read_row(b, GAL_DT_UINT8, 2, "[0,255]"), GAL_OK);
    assert_memory_equal(b->t.data, ((uint8_t[]){0, 255}), 2);
    assert_int_equal(read_row(b, GAL_DT_UINT16, 2, "[7,65535]"), GAL_OK);
    assert_memory_equal(b->t.data, ((uint16_t[]){7, 65535}), 4);
    assert_int_equal(read_row(b, GAL_DT_UINT32, 1, "[4294967295]"), GAL_OK);
    assert_memory_equal(b->t.data, ((uint32_t[]){UINT32_MAX}), 4);
    assert_int_equal(read_row(b, GAL_DT_UINT64, 1, "[18446744073709551615]"), GAL_OK);
    assert_memory_equal(b->t.data, ((uint64_t[]){UINT64_MAX}), 8);
    assert_int_equal(read_row(b, GAL_DT_INT8, 2, "[-128,127]"), GAL_OK);
    assert_memory_equal(b->t.data, ((int8_t[]){-128, 127}), 2);
    assert_int_equal(read_row(b, GAL_DT_INT16, 2, "[-32768,32767]"), GAL_OK);
    assert_memory_equal(b->t.data, ((int16_t[]){-32768, 32767}), 4);
    assert_int_equal(read_row(b, GAL_DT_INT32, 2, "[-2147483648,2147483647]"), GAL_OK);
    assert_memory_equal(b->t.data, ((int32_t[]){INT32_MIN, INT32_MAX}), 8);
    assert_int_equal(read_row(b, GAL_DT_INT64, 2, "[-9223372036854775808,9223372036854775807]"),
                     GAL_OK);
    assert_memory_equal(b->t.data, ((int64_t[]){INT64_MIN, INT64_MAX}), 16);
    assert_int_equal(read_row(b, GAL_DT_FP16, 3, "[1,-0.5,65504]"), GAL_OK);
    assert_memory_equal(b->t.data, ((uint16_t[]){0x3c00, 0xb800, 0x7bff}), 6);
    assert_int_equal(read_row(b, GAL_DT_BF16, 2, "[1,-2.5]"), GAL_OK);
    assert_memory_equal(b->t.data, ((uint16_t[]){0x3f80, 0xc020}), 4);
    assert_int_equal(read_row(b, GAL_DT_FP32, 3, "[0.1,-3,16777217]"), GAL_OK);
    assert_memory_equal(b->t.data, ((float[]){0.1f, -3.0f, 16777216.0f}), 12);
    assert_int_equal(read_row(b, GAL_DT_FP64, 3, "[0.1,-3,1e300]"), GAL_OK);
    assert_memory_equal(b->t.data, ((double[]){0.1, -3.0, 1e300}), 24);
}

static void strings_arrive_with_their_length(void **state)
{
    struct bench *b = *state;
    const struct gal_str *v;

    assert_int_equal(read_row(b, GAL_DT_BYTES, 3, "[\"\",\"a\\u0000b\",\"\\u00e9\"]"), GAL_OK);
    v = b->t.data;
    assert_int_equal(v[0].n, 0);
    assert_int_equal(v[1].n, 3);
    assert_memory_equal(v[1].p, "a\0b", 3);
    assert_int_equal(v[2].n, 2);
    assert_string_equal(write_flat(b), "[\"\",\"a\\u0000b\",\"\xc3\xa9\"]");
}

static void tensors_lie_where_a_backend_can_read_them(void **state)
{
    struct bench *b = *state;

    assert_int_equal(read_row(b, GAL_DT_FP32, 3, "[1,2,3]"), GAL_OK);
    assert_int_equal((uintptr_t)b->t.data % GAL_ARENA_ALIGN, 0);
}

static void floats_take_what_json_has_no_number_for_as_strings(void **state)
{
    static const enum gal_dtype floats[] = {GAL_DT_FP16, GAL_DT_BF16, GAL_DT_FP32, GAL_DT_FP64};
    struct bench *b = *state;

    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(read_row(b, floats[i], 3, "[\"NaN\",\"Infinity\",\"-Infinity\"]"), GAL_OK);
        assert_string_equal(write_flat(b), "[\"NaN\",\"Infinity\",\"-Infinity\"]");
        assert_int_equal(read_row(b, floats[i], 1, "[\"nan\"]"), GAL_INVALID);
        assert_non_null(strstr(b->err.message, "\"-Infinity\" for"));
    }
}

static void minus_zero_keeps_its_sign(void **state)
{
    struct bench *b = *state;

    assert_int_equal(read_row(b, GAL_DT_FP32, 1, "[-0.0]"), GAL_OK);
    assert_true(signbit(*(const float *)b->t.data));
    assert_int_equal(read_row(b, GAL_DT_INT32, 1, "[-0]"), GAL_OK);
    assert_int_equal(*(const int32_t *)b->t.data, 0);
}

struct refusal {
    enum gal_dtype dtype;
    const char *json; /* two elements, the second one is wrong */
    const char *message;
};

static const struct refusal refusals[] = {
    {GAL_DT_BOOL, "[1,2]", "expected true or false for BOOL, got 2"},
    {GAL_DT_BOOL, "[true,\"true\"]", "expected true or false for BOOL, got \"true\""},
    {GAL_DT_BOOL, "[true,null]", "expected true or false for BOOL, got null"},
    {GAL_DT_UINT8, "[0,256]", "expected an integer that fits UINT8, got 256"},
    {GAL_DT_UINT8, "[0,-1]", "expected an integer that fits UINT8, got -1"},
    {GAL_DT_UINT16, "[0,65536]", "expected an integer that fits UINT16, got 65536"},
    {GAL_DT_UINT32, "[0,4294967296]", "expected an integer that fits UINT32, got 4294967296"},
    {GAL_DT_UINT64, "[0,-1]", "expected an integer that fits UINT64, got -1"},
    {GAL_DT_UINT64, "[0,18446744073709551616]", "expected an integer for UINT64, got "},
    {GAL_DT_INT8, "[0,128]", "expected an integer that fits INT8, got 128"},
    {GAL_DT_INT8, "[0,-129]", "expected an integer that fits INT8, got -129"},
    {GAL_DT_INT16, "[0,-32769]", "expected an integer that fits INT16, got -32769"},
    {GAL_DT_INT32, "[0,2147483648]", "expected an integer that fits INT32, got 2147483648"},
    {GAL_DT_INT64, "[0,9223372036854775808]", "expected an integer that fits INT64, got 92"},
    {GAL_DT_INT64, "[0,1.0]", "expected an integer for INT64, got 1.0"},
    {GAL_DT_INT64, "[0,\"1\"]", "expected an integer for INT64, got \"1\""},
    {GAL_DT_INT64, "[0,true]", "expected an integer for INT64, got "},
    {GAL_DT_FP16, "[0,65520]", "expected a number that fits FP16, got 65520"},
    {GAL_DT_FP16, "[0,[1]]", "expected a number, \"NaN\", \"Infinity\" or \"-Infinity\" for FP16"},
    {GAL_DT_BF16, "[0,-1e39]", "expected a number that fits BF16, got "},
    {GAL_DT_FP32, "[0,1e39]", "expected a number that fits FP32, got "},
    {GAL_DT_FP32, "[0,true]", "expected a number, \"NaN\", \"Infinity\" or \"-Infinity\" for FP32"},
    {GAL_DT_FP64, "[0,{}]", "expected a number, \"NaN\", \"Infinity\" or \"-Infinity\" for FP64"},
    {GAL_DT_BYTES, "[\"a\",5]", "expected a string for BYTES, got 5"},
};

static void an_element_that_does_not_fit_is_named_with_its_index(void **state)
{
    struct bench *b = *state;

    for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
        const struct refusal *r = &refusals[i];

        assert_int_equal(read_row(b, r->dtype, 2, r->json), GAL_INVALID);
        if (strstr(b->err.message, r->message) == NULL)
            fail_msg("%s: %s, not %s", r->json, b->err.message, r->message);
        assert_string_equal(b->err.place, "data[1]");
    }
}

struct nesting {
    size_t rank;
    int64_t shape[3];
    const char *json;
    const char *place; /* NULL: fits */
};

static const struct nesting nestings[] = {
    {0, {0}, "5", NULL},
    {0, {0}, "[5]", NULL},
    {0, {0}, "[]", "data"},
    {0, {0}, "[[5]]", "data"},
    {0, {0}, "null", "data"},
    {1, {3, 0, 0}, "[1,2,3]", NULL},
    {1, {3, 0, 0}, "[1,2]", "data"},
    {1, {3, 0, 0}, "[1,2,3,4]", "data"},
    {1, {3, 0, 0}, "[]", "data"},
    {1, {3, 0, 0}, "[[1,2,3]]", "data"},
    {1, {1, 0, 0}, "5", "data"},
    {1, {1, 0, 0}, "{}", "data"},
    {1, {1, 0, 0}, "\"x\"", "data"},
    {2, {1, 3, 0}, "[1,2,3]", NULL},
    {2, {1, 3, 0}, "[[1,2,3]]", NULL},
    {2, {3, 1, 0}, "[[1],[2],[3]]", NULL},
    {2, {3, 1, 0}, "[1,2,3]", NULL},
    {2, {3, 1, 0}, "[[1,2,3]]", "data"},
    {2, {2, 2, 0}, "[[1,2],[3,4]]", NULL},
    {2, {2, 2, 0}, "[[1,2],[3]]", "data[1]"},
    {2, {2, 2, 0}, "[[1,2],[3,4,5]]", "data[1]"},
    {2, {2, 2, 0}, "[[1,2],3]", "data[1]"},
    {2, {2, 2, 0}, "[[1,2],[3,null]]", "data[1][1]"},
    {2, {2, 2, 0}, "[1,2,[3,4]]", "data"},
    {2, {2, 2, 0}, "[[1,2,3,4]]", "data"},
    {2, {2, 2, 0}, "[[],[]]", "data"},
    {2, {2, 2, 0}, "[[[1,2]],[[3,4]]]", "data"},
    {3, {2, 1, 2}, "[1,2,3,4]", NULL},
    {3, {2, 1, 2}, "[[1,2],[3,4]]", NULL},
    {3, {2, 1, 2}, "[[[1,2]],[[3,4]]]", NULL},
    {3, {2, 1, 2}, "[[[1,2]],[[3,\"x\"]]]", "data[1][0][1]"},
    {3, {2, 1, 2}, "[[[1,2]],[[3,4],[5,6]]]", "data[1]"},
    {3, {2, 1, 2}, "[[1],[2],[3],[4]]", "data"},
    {3, {2, 2, 1}, "[[1,2],[3,4]]", NULL},
    {2, {0, 3, 0}, "[]", NULL},
    {2, {0, 3, 0}, "[[]]", "data"},
    {2, {2, 0, 0}, "[]", NULL},
    {2, {2, 0, 0}, "[[],[]]", NULL},
    {2, {2, 0, 0}, "[[],[1]]", "data"},
    {2, {2, 0, 0}, "[[]]", "data"},
    {1, {0, 0, 0}, "[1]", "data"},
};

static void data_is_flat_or_nested_as_the_shape_says(void **state)
{
    struct bench *b = *state;

    for (size_t i = 0; i < sizeof(nestings) / sizeof(*nestings); i++) {
        const struct nesting *n = &nestings[i];
        enum gal_status st = read_as(b, GAL_DT_INT32, n->rank, n->shape, n->json);

        if (st != (n->place == NULL ? GAL_OK : GAL_INVALID))
            fail_msg("%s for rank %zu: %s", n->json, n->rank, b->err.message);
        if (n->place != NULL)
            assert_string_equal(b->err.place, n->place);
        for (size_t k = 0; n->place == NULL && n->rank > 0 && k < b->t.count; k++)
            assert_int_equal(((const int32_t *)b->t.data)[k], k + 1);
    }
}

static void a_shape_that_lies_about_the_data_takes_no_memory(void **state)
{
    struct bench *b = *state;

    /* Root and first child are as long as the shape says, the other children are not there. */
    gal_buf_clear(&b->out, SIZE_MAX);
    gal_buf_puts(&b->out, "[[");
    for (int i = 0; i < 1000; i++)
        gal_buf_puts(&b->out, "1,");
    b->out.n--;
    gal_buf_puts(&b->out, "]");
    for (int i = 1; i < 1000; i++)
        gal_buf_puts(&b->out, ",1");
    gal_buf_puts(&b->out, "]");
    assert_int_equal(read_as(b, GAL_DT_INT32, 2, ((int64_t[]){1000, 1000}), written(b)),
                     GAL_INVALID);
    assert_true(b->arena.used < 1000000);
}

static void single_elements_are_read_by_the_same_rules(void **state)
{
    struct bench *b = *state;
    yyjson_val *root;
    float to[2] = {0, 0};

    assert_int_equal(gal_json_read(GAL_STR("2.5"), &b->arena, 4, &root, NULL), GAL_OK);
    assert_int_equal(gal_element_from_json(root, GAL_DT_FP32, to, 1, &b->arena, &b->err), GAL_OK);
    assert_true(to[0] == 0 && to[1] == 2.5f);
    assert_int_equal(gal_element_from_json(root, GAL_DT_INT8, to, 0, &b->arena, &b->err),
                     GAL_INVALID);
    assert_string_equal(b->err.message, "expected an integer for INT8, got 2.5");
    assert_int_equal(gal_element_from_json(root, GAL_DT_INT8, to, 0, &b->arena, NULL), GAL_INVALID);
    assert_int_equal(gal_element_from_json(root, GAL_DT_NONE, to, 0, &b->arena, &b->err),
                     GAL_UNSUPPORTED);
}

static void every_datatype_is_written_so_that_it_reads_back(void **state)
{
    static const struct {
        enum gal_dtype dtype;
        const char *json;
    } cases[] = {
        {GAL_DT_BOOL, "[true,false]"},
        {GAL_DT_UINT8, "[0,255]"},
        {GAL_DT_UINT16, "[0,65535]"},
        {GAL_DT_UINT32, "[0,4294967295]"},
        {GAL_DT_UINT64, "[0,18446744073709551615]"},
        {GAL_DT_INT8, "[-128,127]"},
        {GAL_DT_INT16, "[-32768,32767]"},
        {GAL_DT_INT32, "[-2147483648,2147483647]"},
        {GAL_DT_INT64, "[-9223372036854775808,9223372036854775807]"},
        {GAL_DT_FP16, "[0.1,-2.5]"},
        {GAL_DT_BF16, "[0.1,-2.5]"},
        {GAL_DT_FP32, "[0.1,-2.5]"},
        {GAL_DT_FP64, "[0.1,-2.5]"},
        {GAL_DT_BYTES, "[\"a\",\"\\\"\"]"},
    };
    struct bench *b = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_int_equal(read_row(b, cases[i].dtype, 2, cases[i].json), GAL_OK);
        assert_string_equal(write_flat(b), cases[i].json);
    }
}

static void nested_output_has_the_brackets_of_the_shape(void **state)
{
    static const int64_t shape[3] = {2, 1, 2}, empty[2] = {2, 0}, none[2] = {0, 5};
    struct bench *b = *state;

    assert_int_equal(read_as(b, GAL_DT_INT8, 3, shape, "[1,2,3,4]"), GAL_OK);
    assert_string_equal(write_nested(b), "[[[1,2]],[[3,4]]]");
    assert_string_equal(write_flat(b), "[1,2,3,4]");
    assert_int_equal(read_as(b, GAL_DT_INT8, 2, empty, "[]"), GAL_OK);
    assert_string_equal(write_nested(b), "[[],[]]");
    assert_string_equal(write_flat(b), "[]");
    assert_int_equal(read_as(b, GAL_DT_BYTES, 2, none, "[]"), GAL_OK);
    assert_string_equal(write_nested(b), "[]");
    assert_int_equal(read_as(b, GAL_DT_INT8, 0, NULL, "5"), GAL_OK);
    assert_string_equal(write_nested(b), "5");
    assert_string_equal(write_flat(b), "[5]");
}

static void a_slice_is_written_as_its_trailing_dimensions(void **state)
{
    static const int64_t shape[2] = {3, 2};
    struct bench *b = *state;

    assert_int_equal(read_as(b, GAL_DT_INT8, 2, shape, "[1,2,3,4,5,6]"), GAL_OK);
    gal_buf_clear(&b->out, SIZE_MAX);
    assert_int_equal(gal_slice_to_json(&b->t, 2, shape + 1, 1, &b->out, &b->err), GAL_OK);
    assert_int_equal(gal_slice_to_json(&b->t, 5, NULL, 0, &b->out, &b->err), GAL_OK);
    assert_int_equal(gal_element_to_json(&b->t, 0, &b->out, &b->err), GAL_OK);
    assert_string_equal(written(b), "[3,4]61");
}

static void long_tensors_are_written_whole(void **state)
{
    struct bench *b = *state;
    float v[1000], back;
    int64_t shape[1] = {1000};
    const char *p;
    char *end;

    for (int i = 0; i < 1000; i++)
        v[i] = (float)i * 0.37f - 100.0f;
    b->t = (struct gal_tensor){GAL_STR("x"), GAL_DT_FP32, 1, shape, 1000, v};
    p = write_flat(b);
    for (int i = 0; i < 1000; i++, p = end) {
        assert_int_equal(*p, i == 0 ? '[' : ',');
        back = strtof(p + 1, &end);
        assert_true(back == v[i]);
    }
    assert_string_equal(p, "]");
}

static void text_that_is_not_utf8_is_refused_with_the_way_out(void **state)
{
    struct bench *b = *state;
    struct gal_str v[2] = {GAL_STR("ok"), GAL_STR("\xff\xfe")};
    int64_t shape[1] = {2};

    b->t = (struct gal_tensor){GAL_STR("y"), GAL_DT_BYTES, 1, shape, 2, v};
    gal_buf_clear(&b->out, SIZE_MAX);
    assert_int_equal(gal_tensor_to_json(&b->t, false, &b->out, &b->err), GAL_INVALID);
    assert_non_null(strstr(b->err.message, "element 1 of 'y' is not UTF-8"));
    assert_non_null(strstr(b->err.hint, "binary"));
}

static void a_buffer_that_is_full_says_so(void **state)
{
    struct bench *b = *state;
    struct gal_buf small;

    gal_buf_init(&small, 16);
    assert_int_equal(read_row(b, GAL_DT_FP64, 3, "[1.25,2.25,3.25]"), GAL_OK);
    gal_tensor_to_json(&b->t, false, &small, &b->err);
    assert_true(small.failed);
    gal_buf_release(&small);
}

/* Digits of the shortest %.Ne form that reads back; what we write may not need more. */
static int digits_needed(double v, uint16_t h, uint16_t (*from)(double))
{
    char text[32];

    for (int n = 1; n < 17; n++) {
        snprintf(text, sizeof(text), "%.*e", n - 1, v);
        if (from(strtod(text, NULL)) == h)
            return n;
    }
    return 17;
}

static int digits_in(const char *p)
{
    int n = 0, zeros = 0;
    bool leading = true;

    for (; *p != '\0' && *p != 'e' && *p != 'E' && *p != ']'; p++) {
        if (*p < '0' || *p > '9')
            continue;
        leading = leading && *p == '0';
        zeros = *p == '0' ? zeros + 1 : 0;
        n += !leading;
    }
    return n > zeros ? n - zeros : n;
}

static void all_65536(struct bench *b, enum gal_dtype dtype, float (*to)(uint16_t),
                      uint16_t (*from)(double))
{
    static const int64_t shape[1] = {1};

    for (uint32_t i = 0; i < 65536; i++) {
        uint16_t h = (uint16_t)i;
        double v = (double)to(h);
        const char *text;

        if (isnan(v))
            continue;
        b->t = (struct gal_tensor){GAL_STR("x"), dtype, 1, shape, 1, &h};
        text = write_flat(b);
        if (!isinf(v) && from(strtod(text + 1, NULL)) != h)
            fail_msg("%04x is written %s", i, text);
        if (!isinf(v) && v != 0 && digits_in(text) > digits_needed(v, h, from))
            fail_msg("%04x is written %s", i, text);
    }
}

static void every_fp16_and_bf16_is_written_in_the_fewest_digits_that_read_back(void **state)
{
    all_65536(*state, GAL_DT_FP16, gal_fp16_to_fp32, gal_fp16_from_fp64);
    all_65536(*state, GAL_DT_BF16, gal_bf16_to_fp32, gal_bf16_from_fp64);
}

static void reading_survives_any_allocation_that_fails(void **state)
{
    static const int64_t shape[2] = {2, 3};
    struct gal_arena arena;
    enum gal_status st = GAL_NO_MEMORY;
    int refused = 0;

    (void)state;
    for (uint64_t i = 1; st != GAL_OK; i++) {
        struct gal_tensor t = {GAL_STR("x"), GAL_DT_FP32, 2, shape, 6, NULL};
        yyjson_val *root;

        gal_arena_init(&arena, 64, 0, 1 << 20);
        gal_alloc_fail_at(i, 1);
        st = gal_json_read(GAL_STR("[[1,2,3],[4,5,6]]"), &arena, 8, &root, NULL);
        if (st == GAL_OK)
            st = gal_tensor_from_json(root, &t, "data", &arena, NULL);
        gal_alloc_fail_at(0, 0);
        if (st == GAL_OK)
            assert_true(((const float *)t.data)[5] == 6);
        refused += st != GAL_OK;
        gal_arena_release(&arena);
    }
    assert_true(refused > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_of_every_datatype_arrive_as_their_bytes),
        cmocka_unit_test(strings_arrive_with_their_length),
        cmocka_unit_test(tensors_lie_where_a_backend_can_read_them),
        cmocka_unit_test(floats_take_what_json_has_no_number_for_as_strings),
        cmocka_unit_test(minus_zero_keeps_its_sign),
        cmocka_unit_test(an_element_that_does_not_fit_is_named_with_its_index),
        cmocka_unit_test(data_is_flat_or_nested_as_the_shape_says),
        cmocka_unit_test(a_shape_that_lies_about_the_data_takes_no_memory),
        cmocka_unit_test(single_elements_are_read_by_the_same_rules),
        cmocka_unit_test(every_datatype_is_written_so_that_it_reads_back),
        cmocka_unit_test(nested_output_has_the_brackets_of_the_shape),
        cmocka_unit_test(a_slice_is_written_as_its_trailing_dimensions),
        cmocka_unit_test(long_tensors_are_written_whole),
        cmocka_unit_test(text_that_is_not_utf8_is_refused_with_the_way_out),
        cmocka_unit_test(a_buffer_that_is_full_says_so),
        cmocka_unit_test(every_fp16_and_bf16_is_written_in_the_fewest_digits_that_read_back),
        cmocka_unit_test(reading_survives_any_allocation_that_fails),
    };

    return cmocka_run_group_tests(tests, open_bench, close_bench);
}
