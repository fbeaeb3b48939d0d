/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/dtype.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

static void names_and_types_agree(void **state)
{
    (void)state;
    for (int t = 1; t < GAL_DT_COUNT; t++) {
        enum gal_dtype dtype = (enum gal_dtype)t;
        const char *name = gal_dtype_name(dtype);
        assert_int_equal(gal_dtype_parse(gal_str_of(name)), dtype);
        assert_true(gal_dtype_size(dtype) > 0);
        bool number = gal_dtype_is_int(dtype) || gal_dtype_is_float(dtype);
        assert_int_equal(number, dtype != GAL_DT_BOOL && dtype != GAL_DT_BYTES);
        assert_false(gal_dtype_is_int(dtype) && gal_dtype_is_float(dtype));
    }
    assert_int_equal(gal_dtype_parse(GAL_STR("fp32")), GAL_DT_NONE);
    assert_int_equal(gal_dtype_parse(GAL_STR("NONE")), GAL_DT_NONE);
    assert_int_equal(gal_dtype_parse(GAL_STR("")), GAL_DT_NONE);
    assert_string_equal(gal_dtype_name(GAL_DT_NONE), "NONE");
    assert_int_equal(gal_dtype_size(GAL_DT_NONE), 0);
}

static void sizes_are_those_of_the_protocol(void **state)
{
    (void)state;
    assert_int_equal(gal_dtype_size(GAL_DT_BOOL), 1);
    assert_int_equal(gal_dtype_size(GAL_DT_UINT16), 2);
    assert_int_equal(gal_dtype_size(GAL_DT_INT64), 8);
    assert_int_equal(gal_dtype_size(GAL_DT_FP16), 2);
    assert_int_equal(gal_dtype_size(GAL_DT_BF16), 2);
    assert_int_equal(gal_dtype_size(GAL_DT_FP64), 8);
    assert_int_equal(gal_dtype_size(GAL_DT_BYTES), sizeof(struct gal_str));
}

/* A 16-bit format, told by its definition: the value of a bit pattern without sign; the pattern of
 * infinity stands for the power of two that would come next. */
struct half {
    int mantissa_bits, bias;
    uint16_t infinity;
    float (*widen)(uint16_t);
    uint16_t (*from_float)(float);
    uint16_t (*from_double)(double);
};

static const struct half fp16 = {
    10, 15, 0x7c00, gal_fp16_to_fp32, gal_fp16_from_fp32, gal_fp16_from_fp64};
static const struct half bf16 = {
    7, 127, 0x7f80, gal_bf16_to_fp32, gal_bf16_from_fp32, gal_bf16_from_fp64};

static double value_of(const struct half *f, unsigned bits)
{
    int mantissa = (int)(bits & ((1u << f->mantissa_bits) - 1));
    int exponent = (int)(bits >> f->mantissa_bits);
    if (exponent == 0)
        return ldexp(mantissa, 1 - f->bias - f->mantissa_bits);
    return ldexp(mantissa + (1 << f->mantissa_bits), exponent - f->bias - f->mantissa_bits);
}

static void check_all_patterns(const struct half *f)
{
    for (unsigned bits = 0; bits <= 0xffff; bits++) {
        uint16_t h = (uint16_t)bits;
        unsigned magnitude = bits & 0x7fff;
        float wide = f->widen(h);
        assert_int_equal(signbit(wide) != 0, bits >> 15);
        if (magnitude > f->infinity) {
            assert_true(isnan(wide));
            uint16_t back = f->from_float(wide);
            assert_true((back & 0x7fff) > f->infinity && back >> 15 == bits >> 15);
            continue;
        }
        if (magnitude == f->infinity)
            assert_true(isinf(wide));
        else
            assert_true(fabs((double)wide) == value_of(f, magnitude));
        assert_int_equal(f->from_float(wide), h);
        assert_int_equal(f->from_double((double)wide), h);
    }
}

static void every_half_widens_to_its_value_and_back(void **state)
{
    (void)state;
    check_all_patterns(&fp16);
    check_all_patterns(&bf16);
}

/* Around the middle between each value and the next: below goes down, above up, the tie to even.
 * Middles and their neighbours are exact doubles. */
static void check_middles(const struct half *f)
{
    for (unsigned low = 0; low < f->infinity; low++) {
        double middle = (value_of(f, low) + value_of(f, low + 1)) / 2;
        uint16_t even = (uint16_t)(low + (low & 1));
        assert_int_equal(f->from_double(nextafter(middle, 0)), low);
        assert_int_equal(f->from_double(nextafter(middle, INFINITY)), low + 1);
        assert_int_equal(f->from_double(middle), even);
        assert_int_equal(f->from_double(-middle), even | 0x8000);
        float narrow = (float)middle;
        if ((double)narrow != middle)
            continue;
        assert_int_equal(f->from_float(narrow), even);
        assert_int_equal(f->from_float(nextafterf(narrow, 0)), low);
        assert_int_equal(f->from_float(nextafterf(narrow, INFINITY)), low + 1);
    }
}

static void rounding_is_to_the_nearest_with_ties_to_even(void **state)
{
    (void)state;
    check_middles(&fp16);
    check_middles(&bf16);
}

static void the_ends_of_the_range_are_zero_and_infinity(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        const struct half *f = i ? &bf16 : &fp16;
        assert_int_equal(f->from_double(INFINITY), f->infinity);
        assert_int_equal(f->from_double(-INFINITY), f->infinity | 0x8000);
        assert_int_equal(f->from_double(1e300), f->infinity);
        assert_int_equal(f->from_double(5e-324), 0);
        assert_int_equal(f->from_double(-1e-60), 0x8000);
        assert_true((f->from_double((double)NAN) & 0x7fff) > f->infinity);
    }
    assert_int_equal(gal_fp16_from_fp32(65519.996f), 0x7bff);
    assert_int_equal(gal_fp16_from_fp32(65520.0f), 0x7c00);
}

static void doubles_are_rounded_once(void **state)
{
    (void)state;
    /* Just over a tie by less than a float can tell: by way of a float it would go to even. */
    double d = 1.0 + 0x1p-11 + 0x1p-40;
    assert_int_equal(gal_fp16_from_fp64(d), 0x3c01);
    assert_int_equal(gal_fp16_from_fp32((float)d), 0x3c00);
    d = 1.0 + 0x1p-8 + 0x1p-40;
    assert_int_equal(gal_bf16_from_fp64(d), 0x3f81);
    assert_int_equal(gal_bf16_from_fp32((float)d), 0x3f80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_types_agree),
        cmocka_unit_test(sizes_are_those_of_the_protocol),
        cmocka_unit_test(every_half_widens_to_its_value_and_back),
        cmocka_unit_test(rounding_is_to_the_nearest_with_ties_to_even),
        cmocka_unit_test(the_ends_of_the_range_are_zero_and_infinity),
        cmocka_unit_test(doubles_are_rounded_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
