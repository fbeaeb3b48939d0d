/* SPDX-License-Identifier: Apache-2.0 */
/* Sides of rules: what they are worth, and what is no such thing. */
#include "package/expression.h"

#include "base/mem.h"
#include "support/arena.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

static struct gal_err err;
static const char *const names[] = {"a", "b", "mean radius", "x-y", "größe", "e5"};
static const double numbers[] = {6, 4, 10, 100, 7, 9};

static size_t find(void *ctx, struct gal_str name, const char **problem)
{
    (void)ctx;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (gal_str_is(name, names[i]))
            return i;
    }
    *problem = "is no feature";
    return SIZE_MAX;
}

static enum gal_status read_text(const char *text, struct gal_expression *e)
{
    gal_err_clear(&err);
    return gal_expression_read(gal_str_of(text), find, NULL, &arena, e, &err);
}

static double worth(const char *text)
{
    struct gal_value values[6];
    struct gal_expression e;
    double out[GAL_EXPRESSION_ROWS];
    for (size_t i = 0; i < 6; i++)
        values[i] =
            (struct gal_value){.tensor = {.dtype = GAL_DT_FP64, .count = 1, .data = &numbers[i]}};
    if (read_text(text, &e))
        fail_msg("%s: %s", text, err.message);
    gal_expression_values(&e, values, 0, 1, out);
    return out[0];
}

static void arithmetic_is_as_everywhere(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } rows[] = {
        {"a", 6},           {"2", 2},
        {"a + b * 2", 14},  {"(a + b) * 2", 20},
        {"a - b - 1", 1},   {"a / b / 2", 0.75},
        {"a - (b - 1)", 3}, {"-a + b", -2},
        {"a - -b", 10},     {"-(a - b)", -2},
        {"--a", 6},         {"1.5e1*a", 90},
        {".5*a", 3},        {"2e-1 * b", 0.8},
        {"e5 + 1", 10},     {"a*b", 24},
        {" a\t*  b ", 24},  {"größe*2", 14},
        {"`x-y` - a", 94},  {"1e3", 1000},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (worth(rows[i].text) != rows[i].value)
            fail_msg("%s is %g", rows[i].text, worth(rows[i].text));
    }
    assert_true(isinf(worth("a / (b - 4)")) && isnan(worth("(b - 4) / (b - 4)")));
}

static void a_whole_name_is_the_feature(void **state)
{
    struct gal_expression e;
    (void)state;
    assert_true(worth("x-y") == 100 && worth("mean radius") == 10);
    assert_int_equal(read_text("x-y", &e), GAL_OK);
    assert_int_equal(gal_expression_feature(&e), 3);
    assert_int_equal(read_text("a + b", &e), GAL_OK);
    assert_int_equal(gal_expression_feature(&e), SIZE_MAX);
}

static void what_is_wrong_is_said(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"", "ends where a feature or a number should be"},
        {"a +", "ends where a feature or a number should be"},
        {"(a", "ends where a ) or a sign should be"},
        {"a b", "'b' at place 3, where a sign or the end should be"},
        {"a)", "')' at place 2, where a sign or the end should be"},
        {"a ** b", "'* b' at place 4, where a feature or a number should be"},
        {"a > b", "'> b' at place 3, where a sign or the end should be"},
        {"a + colour", "'colour' is no feature"},
        {"exp(a)", "'exp' is no feature"},
        {"`mean", "has a backtick without its other one"},
        {"``", "'' is no feature"},
        {"1.2.3 * a", "'1.2.3' is no number"},
        {"0x10 * a", "'0x10' is no number"},
        {"1e999 * a", "'1e999' is no number"},
        {"2a", "'2a' is no number"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gal_expression e;
        if (read_text(rows[i].text, &e) != GAL_INVALID || strcmp(err.message, rows[i].message) != 0)
            fail_msg("'%s': got '%s'", rows[i].text, err.message);
    }
}

static const char *repeat(const char *what, size_t n)
{
    const char *text = "";
    for (size_t i = 0; i < n; i++)
        text = gal_arena_printf(&arena, "%s%s", text, what);
    return text;
}

/* The least n for which OPEN n times, a, CLOSE n times is refused. */
static size_t refused_from(const char *open, const char *close, const char *message)
{
    struct gal_expression e;
    for (size_t n = 1; n < 100; n++) {
        if (read_text(gal_arena_printf(&arena, "%sa%s", repeat(open, n), repeat(close, n)), &e)) {
            assert_string_equal(err.message, message);
            return n;
        }
    }
    return 0;
}

static void it_is_bounded(void **state)
{
    (void)state;
    assert_int_equal(refused_from("a+", "", "has more than 64 features, numbers and signs"), 32);
    assert_int_equal(refused_from("(", ")", "is nested too deeply"), 16);
    assert_int_equal(refused_from("-", "", "is nested too deeply"), 16);
    assert_int_equal(refused_from("a+(", ")", "is nested too deeply"), 16);
}

static void many_rows_are_computed_together(void **state)
{
    static double a[GAL_EXPRESSION_ROWS + 10], out[GAL_EXPRESSION_ROWS];
    struct gal_value values[] = {{.tensor = {.dtype = GAL_DT_FP64, .data = a}}};
    struct gal_expression e;
    (void)state;
    for (size_t i = 0; i < sizeof a / sizeof *a; i++)
        a[i] = (double)i;
    assert_int_equal(read_text("3 * a - (a + 1) / 2", &e), GAL_OK);
    gal_expression_values(&e, values, 10, GAL_EXPRESSION_ROWS, out);
    for (size_t i = 0; i < GAL_EXPRESSION_ROWS; i++)
        assert_true(out[i] == 3 * a[i + 10] - (a[i + 10] + 1) / 2);
}

static void without_memory_it_is_said(void **state)
{
    struct gal_arena none;
    struct gal_expression e;
    (void)state;
    gal_arena_init(&none, 64, 0, 1 << 16);
    gal_alloc_fail_at(1, 0);
    assert_int_equal(gal_expression_read(GAL_STR("a + 1"), find, NULL, &none, &e, &err),
                     GAL_NO_MEMORY);
    gal_alloc_fail_at(0, 0);
    gal_arena_release(&none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arithmetic_is_as_everywhere),
        cmocka_unit_test(a_whole_name_is_the_feature),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(it_is_bounded),
        cmocka_unit_test(many_rows_are_computed_together),
        cmocka_unit_test(without_memory_it_is_said),
    };
    return cmocka_run_group_tests(tests, arena_set_up, arena_tear_down);
}
