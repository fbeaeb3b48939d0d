/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include "base/word.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>

static void comparison_ignores_case_of_ascii_only(void **state)
{
    (void)state;
    assert_true(gal_str_ieq(GAL_STR("Content-Type"), GAL_STR("content-tYPE")));
    assert_false(gal_str_ieq(GAL_STR("a"), GAL_STR("ab")));
    assert_false(gal_str_ieq(GAL_STR("@"), GAL_STR("`")));
    assert_false(gal_str_ieq(GAL_STR("\xc9"), GAL_STR("\xe9")));
    assert_true(gal_str_ieq(gal_str_of(NULL), GAL_STR("")));
    assert_true(gal_str_eq(gal_str_of(NULL), GAL_STR("")));
    assert_true(gal_str_is(GAL_STR("x"), "x"));
    assert_false(gal_str_is(GAL_STR("x"), NULL));
}

static void prefix_and_suffix_are_found(void **state)
{
    (void)state;
    struct gal_str s = GAL_STR("model.onnx");
    assert_true(gal_str_starts(s, GAL_STR("model")) && gal_str_ends(s, GAL_STR(".onnx")));
    assert_true(gal_str_starts(s, s) && gal_str_ends(s, s));
    assert_true(gal_str_starts(s, GAL_STR("")) && gal_str_ends(s, gal_str_of(NULL)));
    assert_true(gal_str_ends(gal_str_of(NULL), gal_str_of(NULL)));
    assert_false(gal_str_starts(s, GAL_STR("onnx")));
    assert_false(gal_str_ends(s, GAL_STR("model")));
    assert_false(gal_str_ends(GAL_STR("x"), GAL_STR(".onnx")));
    assert_false(gal_str_starts(GAL_STR("x"), s));
}

static void trimming_takes_white_space_of_both_ends(void **state)
{
    (void)state;
    assert_true(gal_str_is(gal_str_trim(GAL_STR(" \t\r\na b\n\r\t ")), "a b"));
    assert_int_equal(gal_str_trim(GAL_STR(" \t ")).n, 0);
    assert_int_equal(gal_str_trim(gal_str_of(NULL)).n, 0);
    assert_int_equal(gal_str_trim(GAL_STR("\v")).n, 1);
}

static void check_cut(const char *text, const char *const *want)
{
    struct gal_str rest = gal_str_of(text), part;
    for (; *want; want++) {
        assert_true(gal_str_cut(&rest, ',', &part));
        assert_true(gal_str_is(part, *want));
    }
    assert_false(gal_str_cut(&rest, ',', &part));
}

static void cutting_gives_every_part_once(void **state)
{
    (void)state;
    check_cut("a,b,c", (const char *[]){"a", "b", "c", NULL});
    check_cut(",a,,", (const char *[]){"", "a", "", "", NULL});
    check_cut("abc", (const char *[]){"abc", NULL});
    check_cut("", (const char *[]){"", NULL});
    check_cut(NULL, (const char *[]){NULL});
}

static void whole_numbers_are_read_within_their_range(void **state)
{
    (void)state;
    uint64_t u = 7;
    int64_t i = 7;
    static const char *const refused[] = {"",
                                          " 1",
                                          "1 ",
                                          "+1",
                                          "1.0",
                                          "0x1",
                                          "1e3",
                                          "-",
                                          "--1",
                                          "18446744073709551616",
                                          "184467440737095516150"};
    for (size_t k = 0; k < sizeof refused / sizeof *refused; k++) {
        assert_int_equal(gal_str_u64(gal_str_of(refused[k]), &u), GAL_INVALID);
        assert_int_equal(gal_str_i64(gal_str_of(refused[k]), &i), GAL_INVALID);
    }
    assert_int_equal(gal_str_u64(GAL_STR("-1"), &u), GAL_INVALID);
    assert_int_equal(gal_str_i64(GAL_STR("9223372036854775808"), &i), GAL_INVALID);
    assert_int_equal(gal_str_i64(GAL_STR("-9223372036854775809"), &i), GAL_INVALID);
    assert_true(u == 7 && i == 7);
    assert_int_equal(gal_str_u64(GAL_STR("18446744073709551615"), &u), GAL_OK);
    assert_true(u == UINT64_MAX);
    assert_int_equal(gal_str_u64(GAL_STR("007"), &u), GAL_OK);
    assert_true(u == 7);
    assert_int_equal(gal_str_i64(GAL_STR("-9223372036854775808"), &i), GAL_OK);
    assert_true(i == INT64_MIN);
    assert_int_equal(gal_str_i64(GAL_STR("9223372036854775807"), &i), GAL_OK);
    assert_true(i == INT64_MAX);
    assert_int_equal(gal_str_i64(GAL_STR("-0"), &i), GAL_OK);
    assert_true(i == 0);
}

static void check_number(uint64_t v)
{
    char want[32], got[GAL_I64_CHARS_MAX + 1];
    snprintf(want, sizeof want, "%" PRIu64, v);
    *gal_u64_write(got, v) = 0;
    assert_string_equal(got, want);
    snprintf(want, sizeof want, "%" PRId64, (int64_t)v);
    *gal_i64_write(got, (int64_t)v) = 0;
    assert_string_equal(got, want);
}

static void whole_numbers_are_written_as_printf_does(void **state)
{
    (void)state;
    uint64_t power = 1;
    for (int i = 0; i < 20; i++, power *= 10) {
        check_number(power);
        check_number(power - 1);
        check_number(0 - power);
    }
    for (int bit = 0; bit < 64; bit++) {
        check_number(UINT64_C(1) << bit);
        check_number((UINT64_C(1) << bit) - 1);
    }
    check_number(UINT64_MAX);
    uint64_t x = 88172645463325252u;
    for (int i = 0; i < 100000; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        check_number(x >> (x & 63));
    }
}

/* Straight from RFC 3629: decodes and checks the value. */
static bool valid_by_value(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t step = p[i] < 0x80       ? 1
                      : p[i] >> 5 == 6  ? 2
                      : p[i] >> 4 == 14 ? 3
                      : p[i] >> 3 == 30 ? 4
                                        : 0;
        static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
        if (step == 0 || step > n - i)
            return false;
        uint32_t c = step == 1 ? p[i] : p[i] & (0x7fu >> step);
        for (size_t k = 1; k < step; k++) {
            if (p[i + k] >> 6 != 2)
                return false;
            c = c << 6 | (p[i + k] & 63u);
        }
        if (c < least[step] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
            return false;
        i += step;
    }
    return true;
}

static void utf8_is_judged_by_rfc_3629(void **state)
{
    (void)state;
    static const unsigned char bytes[] = {0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0,
                                          0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xed,
                                          0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff};
    enum { COUNT = sizeof bytes };
    int valid = 0;
    for (size_t k = 0; k < (size_t)COUNT * COUNT * COUNT * COUNT; k++) {
        /* Behind eight letters, so that the fast path is passed too. */
        unsigned char text[12] = "abcdefgh";
        size_t rest = k;
        for (size_t i = 8; i < 12; i++, rest /= COUNT)
            text[i] = bytes[rest % COUNT];
        bool want = valid_by_value(text, sizeof text);
        assert_int_equal(gal_utf8_valid((struct gal_str){(const char *)text, 12}), want);
        assert_int_equal(gal_utf8_valid((struct gal_str){(const char *)text + 8, 4}), want);
        valid += want;
    }
    assert_true(valid > 1000);
    assert_true(gal_utf8_valid(gal_str_of(NULL)));
    assert_int_equal(gal_utf8_next("", 0), 0);
    assert_int_equal(gal_utf8_next("\xe2\x82\xac", 3), 3);
    assert_int_equal(gal_utf8_next("\xe2\x82\xac", 2), 0);
}

static void a_byte_is_found_among_64_in_both_ways(void **state)
{
    (void)state;
    char text[64];
    uint64_t random = 88172645463325252u;
    for (int round = 0; round < 100000; round++) {
        uint64_t want = 0;
        char b = (char)(round % 257);
        for (unsigned i = 0; i < 64; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            uint64_t r = random >> 33;
            text[i] = (char)(r % 3 == 0   ? b
                             : r % 3 == 1 ? b ^ (char)(1 << r / 3 % 8)
                                          : (char)(r >> 8));
            want |= (uint64_t)(text[i] == b) << i;
        }
        assert_true(gal_find_64(text, b) == want);
        assert_true(gal_find_64_plain(text, b) == want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_byte_is_found_among_64_in_both_ways),
        cmocka_unit_test(comparison_ignores_case_of_ascii_only),
        cmocka_unit_test(prefix_and_suffix_are_found),
        cmocka_unit_test(trimming_takes_white_space_of_both_ends),
        cmocka_unit_test(cutting_gives_every_part_once),
        cmocka_unit_test(whole_numbers_are_read_within_their_range),
        cmocka_unit_test(whole_numbers_are_written_as_printf_does),
        cmocka_unit_test(utf8_is_judged_by_rfc_3629),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
