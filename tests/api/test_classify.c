/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/oip.h"

#include <stdio.h>
#include <stdlib.h>

static struct gal_arena arena;
static struct gal_err err;

static int set_up(void **state)
{
    (void)state;
    gal_arena_init(&arena, 4096, 0, 64 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    gal_arena_release(&arena);
    return 0;
}

static const struct gal_str *classify(const struct gal_tensor *t, bool batched, uint32_t k,
                                      const struct gal_labels *labels, struct gal_value *out)
{
    const struct gal_value v = {.kind = GAL_KIND_TENSOR, .tensor = *t};

    assert_int_equal(gal_oip_classify(&v, batched, k, labels, &arena, out, &err), GAL_OK);
    assert_int_equal(out->tensor.dtype, GAL_DT_BYTES);
    return out->tensor.data;
}

/* The k-th by counting those before it. */
static size_t ranked(const int32_t *row, size_t n, size_t k)
{
    for (size_t i = 0; i < n; i++) {
        size_t before = 0;

        for (size_t j = 0; j < n; j++)
            before += row[j] > row[i] || (row[j] == row[i] && j < i);
        if (before == k)
            return i;
    }
    abort();
}

static void the_best_come_first_and_equal_ones_in_their_order(void **state)
{
    uint64_t seed = 7;

    (void)state;
    for (unsigned round = 0; round < 300; round++) {
        size_t rows = 1 + round % 3, n = 1 + round % 37, k = round % 41;
        int64_t shape[2] = {(int64_t)rows, (int64_t)n};
        int32_t *data = gal_arena_array(&arena, rows * n, sizeof(*data));
        struct gal_tensor t = {GAL_STR("y"), GAL_DT_INT32, 2, shape, rows * n, data};
        struct gal_value out;
        const struct gal_str *got;
        size_t shown = k < n ? k : n;

        for (size_t i = 0; i < rows * n; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            data[i] = (int32_t)(seed >> 60) - 8; /* many are equal */
        }
        got = classify(&t, true, (uint32_t)k, NULL, &out);
        assert_int_equal(out.tensor.shape[0], rows);
        assert_int_equal(out.tensor.shape[1], shown);
        assert_int_equal(out.tensor.count, rows * shown);
        for (size_t i = 0; i < rows * shown; i++) {
            size_t index = ranked(data + i / shown * n, n, i % shown);
            char text[48];

            snprintf(text, sizeof(text), "%d:%zu", data[i / shown * n + index], index);
            assert_true(gal_str_is(got[i], text));
        }
    }
}

static void every_numeric_datatype_has_classes(void **state)
{
    static const int64_t shape[1] = {2};
    static const uint16_t fp16[2] = {0x3c00, 0xc100}, bf16[2] = {0x3f80, 0xc020};
    static const double fp64[2] = {1, -2.5};
    static const float fp32[2] = {1, -2.5f};
    static const int8_t i8[2] = {1, -128};
    static const uint8_t u8[2] = {255, 0}, truth[2] = {1, 0};
    static const int16_t i16[2] = {1, -32768};
    static const uint16_t u16[2] = {65535, 0};
    static const uint32_t u32[2] = {4294967295u, 0};
    static const int64_t i64[2] = {1, INT64_MIN};
    static const uint64_t u64[2] = {UINT64_MAX, 0};
    const struct {
        enum gal_dtype dtype;
        const void *data;
        const char *first, *second;
    } rows[] = {
        {GAL_DT_FP16, fp16, "1.0:0", "-2.5:1"},
        {GAL_DT_BF16, bf16, "1.0:0", "-2.5:1"},
        {GAL_DT_FP32, fp32, "1.0:0", "-2.5:1"},
        {GAL_DT_FP64, fp64, "1.0:0", "-2.5:1"},
        {GAL_DT_INT8, i8, "1:0", "-128:1"},
        {GAL_DT_UINT8, u8, "255:0", "0:1"},
        {GAL_DT_BOOL, truth, "1:0", "0:1"},
        {GAL_DT_INT16, i16, "1:0", "-32768:1"},
        {GAL_DT_UINT16, u16, "65535:0", "0:1"},
        {GAL_DT_UINT32, u32, "4294967295:0", "0:1"},
        {GAL_DT_INT64, i64, "1:0", "-9223372036854775808:1"},
        {GAL_DT_UINT64, u64, "18446744073709551615:0", "0:1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const struct gal_tensor t = {GAL_STR("y"), rows[i].dtype, 1, shape, 2, rows[i].data};
        struct gal_value out;
        const struct gal_str *got = classify(&t, false, 5, NULL, &out);

        assert_int_equal(out.tensor.rank, 1);
        assert_int_equal(out.tensor.shape[0], 2);
        if (!gal_str_is(got[0], rows[i].first) || !gal_str_is(got[1], rows[i].second))
            fail_msg("%s: %.*s %.*s", gal_dtype_name(rows[i].dtype), GAL_STR_ARG(got[0]),
                     GAL_STR_ARG(got[1]));
    }
}

static void labels_name_the_classes_that_they_have(void **state)
{
    static const float data[3] = {1, 3, 2};
    static const int64_t shape[2] = {1, 3};
    static const struct gal_str names[2] = {{"cat", 3}, {"", 0}};
    const struct gal_labels labels = {names, 2};
    const struct gal_tensor t = {GAL_STR("y"), GAL_DT_FP32, 2, shape, 3, data};
    struct gal_value out;
    const struct gal_str *got;

    (void)state;
    got = classify(&t, true, 3, &labels, &out);
    assert_true(gal_str_is(got[0], "3.0:1"));
    assert_true(gal_str_is(got[1], "2.0:2"));
    assert_true(gal_str_is(got[2], "1.0:0:cat"));
}

static void text_has_no_order(void **state)
{
    const struct gal_value text = {.kind = GAL_KIND_TENSOR, .tensor = {.dtype = GAL_DT_BYTES}},
                           none = {.kind = GAL_KIND_NONE};
    struct gal_value out;

    (void)state;
    assert_int_equal(gal_oip_classify(&text, false, 1, NULL, &arena, &out, &err), GAL_UNSUPPORTED);
    assert_int_equal(gal_oip_classify(&none, false, 1, NULL, &arena, &out, &err), GAL_UNSUPPORTED);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_best_come_first_and_equal_ones_in_their_order),
        TEST(every_numeric_datatype_has_classes),
        TEST(labels_name_the_classes_that_they_have),
        TEST(text_has_no_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
