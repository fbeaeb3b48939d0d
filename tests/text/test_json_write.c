/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "text/json.h"
#include "text/json_float.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * 2685821657736338717u;
}

static float float_of_bits(uint32_t bits)
{
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static double double_of_bits(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* JSON's grammar of a number with a fraction or an exponent: what reads back as a float. */
static void check_grammar(const char *p)
{
    const char *start = p;
    p += *p == '-';
    size_t whole = strspn(p, "0123456789");
    assert_true(whole == 1 || (whole > 1 && *p != '0'));
    p += whole;
    bool fraction = *p == '.';
    if (fraction) {
        size_t digits = strspn(++p, "0123456789");
        assert_true(digits > 0);
        p += digits;
    }
    if (*p == 'e') {
        p += 1 + (p[1] == '-');
        assert_true(strspn(p, "0123456789") > 0);
        p += strspn(p, "0123456789");
    } else {
        assert_true(fraction);
    }
    assert_int_equal(*p, '\0');
    assert_true(p - start <= GAL_JSON_NUMBER_MAX);
}

/* Digits that carry information. */
static int significant_digits(const char *p)
{
    int count = 0, zeros = 0;
    for (; *p && *p != 'e'; p++) {
        if (*p < '0' || *p > '9' || (*p == '0' && count == 0))
            continue;
        zeros = *p == '0' ? zeros + 1 : 0;
        count++;
    }
    return count - zeros;
}

/* True when the best text of so many digits reads back as the same value. */
static bool reads_back(double v, int digits, bool narrow)
{
    char text[64];
    snprintf(text, sizeof text, "%.*e", digits - 1, v);
    return narrow ? strtof(text, NULL) == (float)v : strtod(text, NULL) == v;
}

/* `regular`: both neighbours are equally far, so that the nearest text of a length is the one that
 * reads back when any of that length does. */
static void check_shortest(const char *text, double v, bool narrow, bool regular)
{
    char nearest[64];
    check_grammar(text);
    int digits = significant_digits(text);
    if (!regular || v == 0)
        return;
    assert_true(digits == 1 || !reads_back(v, digits - 1, narrow));
    snprintf(nearest, sizeof nearest, "%.*e", digits - 1, v);
    assert_true(strtod(nearest, NULL) == strtod(text, NULL));
}

static void check_f32(uint32_t bits)
{
    float v = float_of_bits(bits);
    char text[GAL_JSON_NUMBER_MAX + 1];
    if (!isfinite(v))
        return;
    *gal_json_write_f32(text, v) = '\0';
    float back = strtof(text, NULL);
    assert_memory_equal(&back, &v, sizeof v);
    check_shortest(text, (double)v, true, (bits & 0x7fffff) != 0);
}

/* All bit patterns were compared once with C++'s std::to_chars, which found no difference. */
static void floats_have_the_shortest_text_that_reads_back(void **state)
{
    (void)state;
    for (uint32_t exponent = 0; exponent < 255; exponent++)
        for (uint32_t i = 0; i < 8; i++) {
            check_f32(exponent << 23 | i);
            check_f32((exponent << 23 | 0x7fffff) - i);
            check_f32(UINT32_C(1) << 31 | exponent << 23 | i);
        }
    for (int i = 0; i < 1000000; i++)
        check_f32((uint32_t)(next_random() >> 32));
    for (int i = 0; i < 200000; i++) { /* what models answer: probabilities */
        float v = (float)(next_random() >> 40) / 16777216.0f;
        uint32_t bits;
        memcpy(&bits, &v, sizeof bits);
        check_f32(bits);
    }
}

/* Numbers one by one are those above; many at once have the same texts, by every processor. */
static void check_many(const float *v, size_t n)
{
    char one[100 * (GAL_JSON_NUMBER_MAX + 1)], many[sizeof one], plain[sizeof one], *end = one;
    assert_true(n <= 100);
    for (size_t i = 0; i < n; i++) {
        end = gal_json_write_f32(end, v[i]);
        *end++ = ',';
    }
    size_t bytes = (size_t)(end - one);
    assert_int_equal(gal_json_write_f32s(many, v, n) - many, bytes);
    assert_memory_equal(one, many, bytes);
    assert_int_equal(gal_json_write_f32s_plain(plain, v, n) - plain, bytes);
    assert_memory_equal(one, plain, bytes);
}

/* All bit patterns were compared once. */
static void many_floats_have_the_texts_of_each(void **state)
{
    (void)state;
    float v[100];
    for (size_t n = 0; n <= 100; n++) { /* runs, zeros and powers of two among them */
        for (size_t i = 0; i < n; i++)
            v[i] = i % 7 == 0 ? 0 : i % 5 == 0 ? -0.5f : (float)i / 3.0f;
        check_many(v, n);
    }
    for (uint32_t exponent = 0; exponent < 512; exponent++) /* the sign among it */
        for (uint32_t i = 0; i < 100; i++) {
            uint32_t near = i % 3 == 0 ? i / 3 : i % 3 == 1 ? 0x7fffff - i / 3 : 0x400000 ^ i;
            v[i] = float_of_bits(exponent << 23 | near);
            if (i == 99)
                check_many(v, 100);
        }
    for (int i = 0; i < 60000; i++) {
        for (size_t k = 0; k < 100; k++) { /* any; in the range that is told fast; with ties */
            uint32_t r = (uint32_t)(next_random() >> 32);
            v[k] = i % 3 == 0   ? float_of_bits(r)
                   : i % 3 == 1 ? float_of_bits((r & 0x807fffff) | (77 + (r >> 23) % 73) << 23)
                                : (float)(r >> 8) / (float)(1u << r % 16);
        }
        check_many(v, 100);
    }
}

static void check_f64(uint64_t bits)
{
    double v = double_of_bits(bits);
    char text[GAL_JSON_NUMBER_MAX + 1];
    if (!isfinite(v))
        return;
    *gal_json_write_f64(text, v) = '\0';
    double back = strtod(text, NULL);
    assert_memory_equal(&back, &v, sizeof v);
    check_shortest(text, v, false, (bits & ((UINT64_C(1) << 52) - 1)) != 0);
}

static void doubles_have_the_shortest_text_that_reads_back(void **state)
{
    (void)state;
    for (uint64_t exponent = 0; exponent < 2047; exponent++)
        for (uint64_t i = 0; i < 4; i++) {
            check_f64(exponent << 52 | i);
            check_f64((exponent << 52 | ((UINT64_C(1) << 52) - 1)) - i);
        }
    for (int i = 0; i < 300000; i++)
        check_f64(next_random());
    for (int i = 0; i < 100000; i++) {
        double v = (double)(next_random() >> 11) / 9007199254740992.0;
        uint64_t bits;
        memcpy(&bits, &v, sizeof bits);
        check_f64(bits);
    }
}

static void check_text_f32(float v, const char *want)
{
    char text[GAL_JSON_NUMBER_MAX + 1];
    *gal_json_write_f32(text, v) = '\0';
    assert_string_equal(text, want);
}

static void check_text_f64(double v, const char *want)
{
    char text[GAL_JSON_NUMBER_MAX + 1];
    *gal_json_write_f64(text, v) = '\0';
    assert_string_equal(text, want);
}

static void both_widths_have_one_layout(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "0.0",       "-0.0",
        "1.0",       "-1.0",
        "0.1",       "100.0",
        "123456.0",  "0.5",
        "3.14",      "1e-7",
        "0.000001",  "0.00000123",
        "1.5e-7",    "1e21",
        "1.25e22",   "1e22",
        "1e-30",     "16777216.0",
        "0.3333",    "1e20",
        "12345.678", "99999990000000000000.0",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[64];
        *gal_json_write_f64(text, strtod(rows[i], NULL)) = '\0';
        check_text_f32(strtof(rows[i], NULL), text);
    }
    check_text_f32(0.1f, "0.1");
    check_text_f32(1.0f, "1.0");
    check_text_f32(-0.0f, "-0.0");
    check_text_f32(16777216.0f, "16777216.0");
    check_text_f32(FLT_MAX, "3.4028235e38");
    check_text_f32(1e-45f, "1e-45");
    check_text_f64(0.1, "0.1");
    check_text_f64(DBL_MAX, "1.7976931348623157e308");
}

static void json_has_no_nan_and_no_infinity_so_they_are_strings(void **state)
{
    (void)state;
    check_text_f32(NAN, "\"NaN\"");
    check_text_f32(-NAN, "\"NaN\"");
    check_text_f32(INFINITY, "\"Infinity\"");
    check_text_f32(-INFINITY, "\"-Infinity\"");
    check_text_f64((double)NAN, "\"NaN\"");
    check_text_f64((double)INFINITY, "\"Infinity\"");
    check_text_f64((double)-INFINITY, "\"-Infinity\"");
}

static void put_all(struct gal_buf *b)
{
    gal_buf_putc(b, '{');
    gal_json_put_key(b, "a");
    gal_json_put_f32(b, 0.1f);
    gal_buf_putc(b, ',');
    gal_json_put_key(b, "b");
    gal_json_put_f64(b, -1e300);
    gal_buf_putc(b, ',');
    gal_json_put_key(b, "c");
    gal_json_put_i64(b, INT64_MIN);
    gal_buf_putc(b, ',');
    gal_json_put_key(b, "d");
    gal_json_put_u64(b, UINT64_MAX);
    gal_buf_putc(b, ',');
    gal_json_put_key(b, "e");
    gal_json_put_str(b, GAL_STR("x\"\n\xff"));
    gal_buf_putc(b, '}');
}

#define PUT_ALL                                                                                    \
    "{\"a\":0.1,\"b\":-1e300,\"c\":-9223372036854775808,\"d\":18446744073709551615,"               \
    "\"e\":\"x\\\"\\n\ufffd\"}"

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct gal_buf b;
    struct gal_arena arena;
    yyjson_val *root;
    gal_buf_init(&b, 1024);
    put_all(&b);
    assert_false(b.failed);
    assert_true(gal_str_is(gal_buf_str(&b), PUT_ALL));
    gal_arena_init(&arena, 1024, 0, 1 << 20);
    assert_int_equal(gal_json_read(gal_buf_str(&b), &arena, 4, &root, NULL), GAL_OK);
    assert_true(yyjson_get_uint(yyjson_obj_get(root, "d")) == UINT64_MAX);
    gal_arena_release(&arena);
    gal_buf_release(&b);
}

static void a_full_buffer_fails_and_keeps_its_bound(void **state)
{
    (void)state;
    for (size_t max = 0; max < sizeof PUT_ALL + GAL_JSON_NUMBER_MAX; max++) {
        struct gal_buf b;
        gal_buf_init(&b, max);
        put_all(&b);
        assert_true(b.n <= max);
        assert_true(b.failed || gal_str_is(gal_buf_str(&b), PUT_ALL));
        assert_true(b.failed || max >= sizeof PUT_ALL - 1);
        gal_buf_release(&b);
    }
    for (uint64_t i = 1;; i++) {
        struct gal_buf b;
        gal_buf_init(&b, 1024);
        gal_alloc_fail_at(i, 1);
        put_all(&b);
        gal_alloc_fail_at(0, 0);
        bool failed = b.failed;
        gal_buf_release(&b);
        assert_true(i < 10);
        if (!failed)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floats_have_the_shortest_text_that_reads_back),
        cmocka_unit_test(many_floats_have_the_texts_of_each),
        cmocka_unit_test(doubles_have_the_shortest_text_that_reads_back),
        cmocka_unit_test(both_widths_have_one_layout),
        cmocka_unit_test(json_has_no_nan_and_no_infinity_so_they_are_strings),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(a_full_buffer_fails_and_keeps_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
