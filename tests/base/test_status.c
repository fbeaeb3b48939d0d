/* SPDX-License-Identifier: Apache-2.0 */
#include "base/status.h"
#include "base/str.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static void every_row_has_its_columns(void **state)
{
    (void)state;
    for (int s = 0; s < GAL_STATUS_COUNT; s++) {
        enum gal_status status = (enum gal_status)s;
        assert_true(strlen(gal_status_name(status)) > 1);
        assert_true(strlen(gal_status_text(status)) > 1);
        assert_in_range(gal_status_http(status), 200, 599);
        assert_in_range(gal_status_grpc(status), 0, 16);
        assert_true(status != GAL_OK || gal_status_http(status) == 200);
        assert_true(status == GAL_OK || gal_status_http(status) >= 400);
        assert_int_equal(gal_status_grpc(status) == 0, status == GAL_OK);
    }
}

static void columns_are_those_of_the_table(void **state)
{
    (void)state;
    assert_string_equal(gal_status_name(GAL_OVERLOADED), "OVERLOADED");
    assert_string_equal(gal_status_text(GAL_OVERLOADED), "overloaded");
    assert_int_equal(gal_status_http(GAL_OVERLOADED), 429);
    assert_int_equal(gal_status_grpc(GAL_OVERLOADED), 8);
    assert_true(gal_status_retryable(GAL_OVERLOADED));
    assert_false(gal_status_retryable(GAL_INVALID));
}

static void a_failure_returns_its_code_and_fills_the_error(void **state)
{
    (void)state;
    struct gal_err err;
    memset(&err, 7, sizeof err);
    assert_int_equal(gal_fail(&err, GAL_TOO_LARGE, "%d bytes", 12), GAL_TOO_LARGE);
    assert_int_equal(err.code, GAL_TOO_LARGE);
    assert_string_equal(err.message, "12 bytes");
    assert_string_equal(err.place, "");
    assert_string_equal(err.hint, "");
    gal_err_place(&err, "%s:%d", "galley.yaml", 14);
    gal_err_hint(&err, "use %s", "less");
    assert_string_equal(err.place, "galley.yaml:14");
    assert_string_equal(err.hint, "use less");
    assert_string_equal(err.message, "12 bytes");
    gal_err_clear(&err);
    assert_int_equal(err.code, GAL_OK);
    assert_string_equal(err.message, "");
    assert_string_equal(err.place, "");
    assert_string_equal(err.hint, "");
}

static void an_absent_error_is_fine_everywhere(void **state)
{
    (void)state;
    assert_int_equal(gal_fail(NULL, GAL_IO, "x"), GAL_IO);
    gal_err_place(NULL, "x");
    gal_err_hint(NULL, "x");
    gal_err_clear(NULL);
}

/* Fills the message with `pad` letters and then copies of a character, so that the cut falls on
 * each of its bytes in turn. */
static void check_cut(const char *character)
{
    for (size_t pad = 0; pad < 5; pad++) {
        char text[1024] = "abcde";
        struct gal_err err;
        size_t step = strlen(character), n = pad;
        for (; n + step < 600; n += step)
            memcpy(text + n, character, step);
        text[n] = 0;
        gal_fail(&err, GAL_INVALID, "%s", text);
        size_t got = strlen(err.message);
        assert_true(got > sizeof err.message - 1 - step);
        assert_true(gal_utf8_valid(gal_str_of(err.message)));
        assert_memory_equal(err.message, text, got);
    }
}

static void long_text_is_cut_between_characters(void **state)
{
    (void)state;
    check_cut("x");
    check_cut("\u00e9");
    check_cut("\u20ac");
    check_cut("\U0001f600");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_has_its_columns),
        cmocka_unit_test(columns_are_those_of_the_table),
        cmocka_unit_test(a_failure_returns_its_code_and_fills_the_error),
        cmocka_unit_test(an_absent_error_is_fine_everywhere),
        cmocka_unit_test(long_text_is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
