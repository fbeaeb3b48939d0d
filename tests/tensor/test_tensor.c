/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "tensor/tensor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

static size_t count_of(const int64_t *shape, size_t rank, enum gal_dtype t)
{
    size_t count = 77;
    assert_int_equal(gal_shape_count(shape, rank, t, &count, NULL), GAL_OK);
    return count;
}

static void a_shape_counts_its_elements(void **state)
{
    (void)state;
    assert_int_equal(count_of(NULL, 0, GAL_DT_FP32), 1);
    assert_int_equal(count_of((int64_t[]){2, 3, 4}, 3, GAL_DT_FP32), 24);
    assert_int_equal(count_of((int64_t[]){2, 0, 4}, 3, GAL_DT_FP32), 0);
    assert_int_equal(count_of((int64_t[]){INT64_MAX, INT64_MAX, 0}, 3, GAL_DT_FP64), 0);
    assert_int_equal(count_of((int64_t[]){INT64_MAX}, 1, GAL_DT_UINT8), INT64_MAX);
}

static void impossible_shapes_are_refused(void **state)
{
    (void)state;
    struct gal_err err;
    size_t count;
    int64_t negative[] = {2, -1}, hidden[] = {0, -5}, wide[] = {INT64_MAX, 3};
    assert_int_equal(gal_shape_count(negative, 2, GAL_DT_FP32, &count, &err), GAL_INVALID);
    assert_string_equal(err.message, "dimension 1 is negative: -1");
    assert_int_equal(gal_shape_count(hidden, 2, GAL_DT_FP32, &count, &err), GAL_INVALID);
    assert_int_equal(gal_shape_count(wide, 2, GAL_DT_UINT8, &count, &err), GAL_TOO_LARGE);
    assert_string_equal(err.message, "shape [9223372036854775807,3] is too large");
    assert_int_equal(gal_shape_count(wide, 1, GAL_DT_FP64, &count, &err), GAL_TOO_LARGE);
}

static void a_shape_fits_its_specification(void **state)
{
    (void)state;
    const int64_t shape[] = {5, 30}, open[] = {-1, 30}, other[] = {-1, 31}, zero[] = {0, 30};
    assert_true(gal_shape_fits(shape, 2, open, 2));
    assert_true(gal_shape_fits(shape, 2, shape, 2));
    assert_true(gal_shape_fits(zero, 2, open, 2));
    assert_false(gal_shape_fits(shape, 2, other, 2));
    assert_false(gal_shape_fits(shape, 2, zero, 2));
    assert_false(gal_shape_fits(shape, 2, open, 1));
    assert_true(gal_shape_fits(NULL, 0, NULL, 0));
}

static void shapes_are_written_within_the_room(void **state)
{
    (void)state;
    char out[64];
    const int64_t shape[] = {-1, 30, 7}, least[] = {INT64_MIN, INT64_MIN};
    assert_string_equal(gal_shape_format(shape, 3, out, sizeof out), "[-1,30,7]");
    assert_string_equal(gal_shape_format(NULL, 0, out, sizeof out), "[]");
    assert_string_equal(gal_shape_format(least, 2, out, sizeof out),
                        "[-9223372036854775808,-9223372036854775808]");
    for (size_t size = 1; size <= 10; size++) {
        char *exact = malloc(size);
        gal_shape_format(shape, 3, exact, size);
        assert_int_equal(strlen(exact), size - 1);
        assert_memory_equal(exact, "[-1,30,7]", size - 1);
        free(exact);
    }
}

static struct gal_arena arena;

static int set_up(void **state)
{
    (void)state;
    gal_arena_init(&arena, 1024, 65536, 65536);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    gal_arena_release(&arena);
    return 0;
}

static struct gal_tensor tensor_of(enum gal_dtype t, size_t count)
{
    return (struct gal_tensor){.name = GAL_STR("x"), .dtype = t, .rank = 1, .count = count};
}

static void aligned_numbers_are_borrowed_and_others_copied(void **state)
{
    (void)state;
    _Alignas(8) char bytes[33] = "0123456789abcdef0123456789abcdef";
    for (size_t shift = 0; shift < 2; shift++) {
        struct gal_tensor t = tensor_of(GAL_DT_FP64, 3), byte = tensor_of(GAL_DT_INT8, 24);
        const char *p = bytes + shift;
        assert_int_equal(gal_tensor_from_raw(&t, (struct gal_str){p, 24}, &arena, NULL), GAL_OK);
        assert_int_equal(t.data == p, shift == 0);
        assert_int_equal((uintptr_t)t.data % 8, 0);
        assert_memory_equal(t.data, p, 24);
        assert_int_equal(gal_tensor_from_raw(&byte, (struct gal_str){p, 24}, &arena, NULL), GAL_OK);
        assert_ptr_equal(byte.data, p);
    }
    struct gal_tensor none = tensor_of(GAL_DT_FP32, 0);
    assert_int_equal(gal_tensor_from_raw(&none, gal_str_of(NULL), &arena, NULL), GAL_OK);
}

static void a_wrong_length_names_the_tensor_and_both_sizes(void **state)
{
    (void)state;
    struct gal_err err;
    struct gal_tensor t = tensor_of(GAL_DT_FP32, 3);
    assert_int_equal(gal_tensor_from_raw(&t, GAL_STR("12345678901"), &arena, &err), GAL_INVALID);
    assert_string_equal(
        err.message, "tensor 'x': 12 bytes of binary data expected (3 elements of FP32), got 11");
    t.count = SIZE_MAX / 2;
    assert_int_equal(gal_tensor_from_raw(&t, GAL_STR("1234"), &arena, &err), GAL_INVALID);
    t = tensor_of(GAL_DT_NONE, 1);
    assert_int_equal(gal_tensor_from_raw(&t, GAL_STR("1"), &arena, &err), GAL_INVALID);
}

static void booleans_are_zero_or_one(void **state)
{
    (void)state;
    struct gal_err err;
    struct gal_tensor t = tensor_of(GAL_DT_BOOL, 3);
    assert_int_equal(gal_tensor_from_raw(&t, GAL_STR("\0\1\0"), &arena, &err), GAL_OK);
    assert_int_equal(gal_tensor_from_raw(&t, GAL_STR("\0\1\2"), &arena, &err), GAL_INVALID);
    assert_string_equal(err.message, "tensor 'x': element 2 of BOOL is 2, not 0 or 1");
}

static void texts_are_borrowed_with_their_lengths(void **state)
{
    (void)state;
    struct gal_str raw = GAL_STR("\3\0\0\0abc\0\0\0\0\1\0\0\0\0");
    struct gal_tensor t = tensor_of(GAL_DT_BYTES, 3);
    assert_int_equal(gal_tensor_from_raw(&t, raw, &arena, NULL), GAL_OK);
    const struct gal_str *items = t.data;
    assert_true(gal_str_is(items[0], "abc") && items[0].p == raw.p + 4);
    assert_int_equal(items[1].n, 0);
    assert_true(gal_str_eq(items[2], GAL_STR("\0")));
    char back[16];
    assert_int_equal(gal_tensor_raw_size(&t), raw.n);
    gal_tensor_to_raw(&t, back);
    assert_memory_equal(back, raw.p, raw.n);
    t = tensor_of(GAL_DT_BYTES, 0);
    assert_int_equal(gal_tensor_from_raw(&t, gal_str_of(NULL), &arena, NULL), GAL_OK);
    assert_int_equal(gal_tensor_raw_size(&t), 0);
}

/* Every prefix of a good text, in memory of its own size, is refused without a byte read beyond. */
static void truncated_texts_are_refused(void **state)
{
    (void)state;
    struct gal_err err;
    struct gal_str raw = GAL_STR("\3\0\0\0abc\5\0\0\0hello");
    for (size_t n = 0; n < raw.n; n++) {
        char *copy = malloc(n ? n : 1);
        memcpy(copy, raw.p, n);
        struct gal_tensor t = tensor_of(GAL_DT_BYTES, 2);
        assert_int_equal(gal_tensor_from_raw(&t, (struct gal_str){copy, n}, &arena, &err),
                         GAL_INVALID);
        assert_non_null(strstr(err.message, "'x'"));
        free(copy);
    }
    struct gal_tensor t = tensor_of(GAL_DT_BYTES, 1);
    assert_int_equal(gal_tensor_from_raw(&t, raw, &arena, &err), GAL_INVALID);
    t.count = SIZE_MAX / 8; /* refused before memory is taken */
    size_t used = arena.used;
    assert_int_equal(gal_tensor_from_raw(&t, raw, &arena, &err), GAL_INVALID);
    t.count = raw.n / 4 + 1;
    assert_int_equal(gal_tensor_from_raw(&t, raw, &arena, &err), GAL_INVALID);
    assert_int_equal(arena.used, used);
    assert_int_equal(gal_tensor_from_raw(&t, GAL_STR("\xff\xff\xff\xff"), &arena, &err),
                     GAL_INVALID);
}

static void the_arena_bounds_and_fails_cleanly(void **state)
{
    (void)state;
    static char zeros[80001];
    struct gal_err err;
    struct gal_tensor t = tensor_of(GAL_DT_BYTES, 20000);
    assert_int_equal(gal_tensor_from_raw(&t, (struct gal_str){zeros, 80000}, &arena, &err),
                     GAL_TOO_LARGE);
    t = tensor_of(GAL_DT_FP32, 20000);
    assert_int_equal(gal_tensor_from_raw(&t, (struct gal_str){zeros + 1, 80000}, &arena, &err),
                     GAL_TOO_LARGE);
    struct gal_arena small;
    gal_arena_init(&small, 64, 1024, 1 << 20);
    gal_alloc_fail_at(1, 0);
    assert_int_equal(gal_tensor_from_raw(&t, (struct gal_str){zeros + 1, 80000}, &small, &err),
                     GAL_NO_MEMORY);
    t = tensor_of(GAL_DT_BYTES, 20000);
    assert_int_equal(gal_tensor_from_raw(&t, (struct gal_str){zeros, 80000}, &small, &err),
                     GAL_NO_MEMORY);
    gal_alloc_fail_at(0, 0);
    gal_arena_release(&small);
}

static void numbers_are_written_as_they_lie(void **state)
{
    (void)state;
    static const uint16_t values[] = {1, 0x203};
    struct gal_tensor t = tensor_of(GAL_DT_UINT16, 2);
    char out[4];
    t.data = values;
    assert_int_equal(gal_tensor_raw_size(&t), 4);
    gal_tensor_to_raw(&t, out);
    assert_memory_equal(out, "\1\0\3\2", 4);
    t = tensor_of(GAL_DT_FP32, 0);
    gal_tensor_to_raw(&t, NULL);
}

static void an_element_of_any_datatype_is_a_number(void **state)
{
    static const uint8_t u8[] = {9, 1};
    static const uint16_t u16[] = {9, 65535};
    static const uint32_t u32[] = {9, UINT32_MAX};
    static const uint64_t u64[] = {9, UINT64_C(1) << 63};
    static const int8_t i8[] = {9, -128};
    static const int16_t i16[] = {9, -32768};
    static const int32_t i32[] = {9, INT32_MIN};
    static const int64_t i64[] = {9, -((INT64_C(1) << 53) + 1)}; /* is rounded */
    static const uint16_t fp16[] = {9, 0x3e00}, bf16[] = {9, 0x3fc0};
    static const float fp32[] = {9, -0.5f};
    static const double fp64[] = {9, 1e300};
    static const struct gal_str text[] = {{"9", 1}, {"1", 1}};
    static const struct {
        enum gal_dtype dtype;
        const void *data;
        double want; /* of the second */
    } rows[] = {{GAL_DT_BOOL, u8, 1},         {GAL_DT_UINT8, u8, 1},
                {GAL_DT_UINT16, u16, 65535},  {GAL_DT_UINT32, u32, 4294967295},
                {GAL_DT_UINT64, u64, 0x1p63}, {GAL_DT_INT8, i8, -128},
                {GAL_DT_INT16, i16, -32768},  {GAL_DT_INT32, i32, -0x1p31},
                {GAL_DT_INT64, i64, -0x1p53}, {GAL_DT_FP16, fp16, 1.5},
                {GAL_DT_BF16, bf16, 1.5},     {GAL_DT_FP32, fp32, -0.5},
                {GAL_DT_FP64, fp64, 1e300}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gal_tensor t = tensor_of(rows[i].dtype, 2);
        t.data = rows[i].data;
        assert_true(gal_tensor_number(&t, 1) == rows[i].want);
    }
    struct gal_tensor t = tensor_of(GAL_DT_BYTES, 2);
    t.data = text;
    assert_true(gal_tensor_number(&t, 1) != gal_tensor_number(&t, 1)); /* NaN */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shape_counts_its_elements),
        cmocka_unit_test(impossible_shapes_are_refused),
        cmocka_unit_test(a_shape_fits_its_specification),
        cmocka_unit_test(shapes_are_written_within_the_room),
        cmocka_unit_test(aligned_numbers_are_borrowed_and_others_copied),
        cmocka_unit_test(a_wrong_length_names_the_tensor_and_both_sizes),
        cmocka_unit_test(booleans_are_zero_or_one),
        cmocka_unit_test(texts_are_borrowed_with_their_lengths),
        cmocka_unit_test(truncated_texts_are_refused),
        cmocka_unit_test(the_arena_bounds_and_fails_cleanly),
        cmocka_unit_test(numbers_are_written_as_they_lie),
        cmocka_unit_test(an_element_of_any_datatype_is_a_number),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
