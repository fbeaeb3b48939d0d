/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "base/mem.h"
#include "support/arena.h"
#include "text/pbtxt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

static struct gal_err err;

static enum gal_status parse(struct gal_str text, struct gal_pbtxt **root)
{
    gal_arena_clear(&arena);
    gal_err_clear(&err);
    *root = NULL;
    char *copy = malloc(text.n ? text.n : 1);
    assert_non_null(copy);
    if (text.n > 0)
        memcpy(copy, text.p, text.n);
    enum gal_status status =
        gal_pbtxt_parse((struct gal_str){copy, text.n}, "config.pbtxt", &arena, root, &err);
    free(copy); /* nothing borrows from it */
    assert_int_equal(status == GAL_OK, *root != NULL);
    return status;
}

static const struct gal_pbtxt *must_parse(const char *text)
{
    struct gal_pbtxt *root;
    if (parse(gal_str_of(text), &root) != GAL_OK)
        fail_msg("%s: %s: %s", text, err.place, err.message);
    assert_int_equal(root->type, GAL_PBTXT_MESSAGE);
    return root;
}

static void check(const struct gal_pbtxt *n, enum gal_pbtxt_type type, const char *name,
                  const char *text, unsigned line)
{
    assert_non_null(n);
    assert_int_equal(n->type, type);
    assert_string_equal(n->name.p, name);
    assert_int_equal(n->name.n, strlen(name));
    if (text) {
        assert_true(gal_str_is(n->text, text));
        assert_int_equal(n->text.p[n->text.n], '\0');
    }
    assert_int_equal(n->line, line);
}

static void a_configuration_becomes_a_tree_with_lines(void **state)
{
    (void)state;
    const struct gal_pbtxt *root = must_parse("# a model\n"
                                              "name: \"iris\"\n"
                                              "max_batch_size: 8;\n"
                                              "input [\n"
                                              "  { name: 'x' dims: [ -1, 4 ] },\n"
                                              "  {\n"
                                              "    name: \"z\"\n"
                                              "  }\n"
                                              "]\n"
                                              "dynamic_batching < >\n"
                                              "group { kind: KIND_CPU }, # behind\n"
                                              "group: { kind: KIND_GPU }\n");
    const struct gal_pbtxt *n = root->child;
    check(n, GAL_PBTXT_TEXT, "name", "iris", 2);
    check(n = n->next, GAL_PBTXT_WORD, "max_batch_size", "8", 3);
    check(n = n->next, GAL_PBTXT_LIST, "input", NULL, 4);
    const struct gal_pbtxt *x = n->child;
    check(x, GAL_PBTXT_MESSAGE, "input", NULL, 5);
    check(x->child, GAL_PBTXT_TEXT, "name", "x", 5);
    check(x->child->next, GAL_PBTXT_LIST, "dims", NULL, 5);
    check(x->child->next->child, GAL_PBTXT_WORD, "dims", "-1", 5);
    check(x->child->next->child->next, GAL_PBTXT_WORD, "dims", "4", 5);
    assert_null(x->child->next->child->next->next);
    check(x->next, GAL_PBTXT_MESSAGE, "input", NULL, 6);
    check(x->next->child, GAL_PBTXT_TEXT, "name", "z", 7);
    check(n = n->next, GAL_PBTXT_MESSAGE, "dynamic_batching", NULL, 10);
    assert_null(n->child);
    check(n = n->next, GAL_PBTXT_MESSAGE, "group", NULL, 11);
    check(n = n->next, GAL_PBTXT_MESSAGE, "group", NULL, 12);
    check(n->child, GAL_PBTXT_WORD, "kind", "KIND_GPU", 12);
    assert_null(n->next);
    check(gal_pbtxt_get(root, "group"), GAL_PBTXT_MESSAGE, "group", NULL, 11);
    assert_null(gal_pbtxt_get(root, "grou"));
}

static void nothing_is_an_empty_message(void **state)
{
    (void)state;
    assert_null(must_parse("")->child);
    assert_null(must_parse("\n # only a comment")->child);
    assert_null(must_parse("\xef\xbb\xbf\r\n\t\v\f ")->child);
    check(must_parse("a: []")->child, GAL_PBTXT_LIST, "a", NULL, 1);
}

static void literals_are_joined_and_escapes_taken_off(void **state)
{
    (void)state;
    static const struct {
        const char *text, *value;
        size_t n;
    } rows[] = {
        {"a: \"\"", "", 0},
        {"a: 'it''s'", "its", 3},
        {"a: \"x\" # and\n 'y'\n\"z\"", "xyz", 3},
        {"a: \"\\a\\b\\f\\n\\r\\t\\v\\?\\\\\\'\\\"\"", "\a\b\f\n\r\t\v?\\'\"", 11},
        {"a: \"\\x41\\101\\1\\xf\"", "AA\1\xf", 4},
        {"a: \"\\u00e9\\U0001F600\\u20ac\"", "\xc3\xa9\xf0\x9f\x98\x80\xe2\x82\xac", 9},
        {"a: \"\\0\"", "\0", 1},
        {"a: \"\\377\"", "\xff", 1},
        {"a: \"# no comment { [\"", "# no comment { [", 16},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct gal_pbtxt *n = must_parse(rows[i].text)->child;
        assert_int_equal(n->type, GAL_PBTXT_TEXT);
        assert_int_equal(n->text.n, rows[i].n);
        assert_memory_equal(n->text.p, rows[i].value, rows[i].n);
    }
}

static void words_are_numbers_in_every_base(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_u64, is_i64, is_f64;
        uint64_t u;
        int64_t i;
        double d;
    } rows[] = {
        {"0", true, true, true, 0, 0, 0},
        {"17", true, true, true, 17, 17, 17},
        {"017", true, true, true, 15, 15, 15},
        {"0x1F", true, true, true, 31, 31, 31},
        {"-3", false, true, true, 0, -3, -3},
        {"- 0x10", false, true, true, 0, -16, -16},
        {"18446744073709551615", true, false, true, UINT64_MAX, 0, 18446744073709551615.0},
        {"18446744073709551616", false, false, true, 0, 0, 18446744073709551616.0},
        {"-9223372036854775808", false, true, true, 0, INT64_MIN, -9223372036854775808.0},
        {"-9223372036854775809", false, false, true, 0, 0, -9223372036854775808.0},
        {"1.5", false, false, true, 0, 0, 1.5},
        {".5", false, false, true, 0, 0, 0.5},
        {"5.", false, false, true, 0, 0, 5},
        {"-2.5e-1", false, false, true, 0, 0, -0.25},
        {"1E+2f", false, false, true, 0, 0, 100},
        {"10f", false, false, true, 0, 0, 10},
        {"-inf", false, false, true, 0, 0, -INFINITY},
        {"Infinity", false, false, true, 0, 0, INFINITY},
        {"KIND_CPU", false, false, false, 0, 0, 0},
        {"true", false, false, false, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[64];
        uint64_t u = 0;
        int64_t s = 0;
        double d = 0;
        snprintf(text, sizeof text, "a: %s", rows[i].text);
        const struct gal_pbtxt *n = must_parse(text)->child;
        assert_int_equal(gal_pbtxt_u64(n, &u), rows[i].is_u64);
        assert_int_equal(gal_pbtxt_i64(n, &s), rows[i].is_i64);
        assert_int_equal(gal_pbtxt_f64(n, &d), rows[i].is_f64);
        assert_true(!rows[i].is_u64 || u == rows[i].u);
        assert_true(!rows[i].is_i64 || s == rows[i].i);
        assert_true(!rows[i].is_f64 || d == rows[i].d);
    }
    double d;
    assert_true(gal_pbtxt_f64(must_parse("a: nan")->child, &d) && isnan(d));
    uint64_t u;
    assert_false(gal_pbtxt_u64(must_parse("a: '17'")->child, &u)); /* a text is no number */
}

static void words_are_bools(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int value; /* -1: none */
    } rows[] = {{"true", 1}, {"True", 1}, {"t", 1},  {"1", 1},     {"false", 0}, {"False", 0},
                {"f", 0},    {"0", 0},    {"2", -1}, {"TRUE", -1}, {"yes", -1},  {"'true'", -1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[32];
        bool b = false;
        snprintf(text, sizeof text, "a: %s", rows[i].text);
        bool is_bool = gal_pbtxt_bool(must_parse(text)->child, &b);
        assert_int_equal(is_bool ? (int)b : -1, rows[i].value);
    }
}

static void what_is_wrong_is_told_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned line;
        const char *says;
    } rows[] = {
        {"a: 1\nb 2", 2, "b: ':' is missing before '2'"},
        {"a \"x\"", 1, "':' is missing"},
        {"a: [ 1,\n 2 3 ]", 2, "',' or ']' is expected, not '3'"},
        {"a [ 1 ]", 1, "':' is missing"},
        {"a: [ 1, ]", 1, "a value is missing before ']'"},
        {"a: [ [ 1 ] ]", 1, "a list in a list"},
        {"a {\n b: 1\n", 3, "a, begun in line 1, is not closed: '}' is missing"},
        {"a <\n b: 1\n}", 3, "a field's name is expected, not '}'"},
        {"a: [\n1", 2, "']' is missing"},
        {"a: \"x\ny\"", 1, "not closed on its line"},
        {"a: \"x", 1, "a text is not closed"},
        {"a: \"x\\", 1, "a text is not closed"},
        {"a: '\\q'", 1, "a backslash before 'q' is no escape"},
        {"a: '\\x'", 1, "a backslash before 'x' is no escape"},
        {"a: '\\400'", 1, "more than a byte"},
        {"a: '\\ud800'", 1, "no character"},
        {"a: '\\u12'", 1, "4 hexadecimal digits"},
        {"a: '\\U00110000'", 1, "no character"},
        {"a:", 1, "a value is missing before the end of the file"},
        {"a: \n\n}", 3, "a value is missing before '}'"},
        {"a: 1.2.3", 1, "'1.2.3' is no number"},
        {"a: 09", 1, "'09' is no number"},
        {"a: 0x", 1, "'0x' is no number"},
        {"a: 12abc", 1, "'12abc' is no number"},
        {"a: 1e", 1, "'1e' is no number"},
        {"a: -KIND", 1, "'-' stands before 'KIND'"},
        {"a: --1", 1, "a value is missing before '-'"},
        {"a: 1,, b: 2", 1, "',' without a field before it"},
        {"; a: 1", 1, "';' without a field before it"},
        {"[x.y]: 1", 1, "extensions and Any"},
        {"7: 1", 1, "a field's name is expected, not '7'"},
        {"a: 1 }", 1, "a field's name is expected, not '}'"},
        {"a: 1\n\x01", 2, "a field's name is expected, not byte 0x01"},
        {"a: @", 1, "a value is missing before '@'"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gal_pbtxt *root;
        char place[32];
        if (parse(gal_str_of(rows[i].text), &root) != GAL_INVALID)
            fail_msg("taken: %s", rows[i].text);
        if (!strstr(err.message, rows[i].says))
            fail_msg("%s: says: %s", rows[i].text, err.message);
        snprintf(place, sizeof place, "config.pbtxt:%u", rows[i].line);
        assert_string_equal(err.place, place);
    }
    struct gal_pbtxt *root;
    assert_int_equal(parse(GAL_STR("a: \"x\0\""), &root), GAL_INVALID);
    assert_non_null(strstr(err.message, "NUL"));
}

/* `count` times `text` between two ends. */
static struct gal_str repeated(char *out, const char *text, size_t count, const char *end)
{
    size_t n = strlen(text);
    for (size_t i = 0; i < count; i++)
        memcpy(out + i * n, text, n);
    memcpy(out + count * n, end, strlen(end));
    return (struct gal_str){out, count * n + strlen(end)};
}

static void size_depth_and_nodes_are_bounded(void **state)
{
    (void)state;
    struct gal_pbtxt *root;
    char *text = malloc(2 * GAL_PBTXT_BYTES_MAX);
    assert_non_null(text);
    assert_int_equal(parse(repeated(text, " ", GAL_PBTXT_BYTES_MAX, ""), &root), GAL_OK);
    assert_int_equal(parse(repeated(text, " ", GAL_PBTXT_BYTES_MAX + 1, ""), &root), GAL_TOO_LARGE);
    char closes[GAL_PBTXT_DEPTH_MAX];
    memset(closes, '}', sizeof closes - 1); /* the root is a level too */
    closes[sizeof closes - 1] = '\0';
    assert_int_equal(parse(repeated(text, "a{", GAL_PBTXT_DEPTH_MAX - 1, closes), &root), GAL_OK);
    assert_int_equal(parse(repeated(text, "a{", GAL_PBTXT_DEPTH_MAX, closes), &root), GAL_INVALID);
    assert_non_null(strstr(err.message, "deep"));
    assert_int_equal(parse(repeated(text, "a{}", GAL_PBTXT_NODES_MAX - 1, ""), &root), GAL_OK);
    assert_int_equal(parse(repeated(text, "a{}", GAL_PBTXT_NODES_MAX, ""), &root), GAL_INVALID);
    assert_non_null(strstr(err.message, "values in one file"));
    char long_name[GAL_NAME_BYTES_MAX + 8];
    assert_int_equal(parse(repeated(long_name, "n", GAL_NAME_BYTES_MAX + 1, ":1"), &root),
                     GAL_INVALID);
    free(text);
}

static void every_failed_allocation_is_told(void **state)
{
    (void)state;
    const char *text = "name: \"a\" 'b' input [ { dims: [ 1, 2 ] } ] x { y: -1 }";
    enum gal_status status = GAL_NO_MEMORY;
    uint64_t n = 0;
    while (status) {
        struct gal_arena small;
        struct gal_pbtxt *root;
        gal_arena_init(&small, 64, 0, 1 << 20);
        gal_err_clear(&err);
        gal_alloc_fail_at(++n, 0);
        status = gal_pbtxt_parse(gal_str_of(text), "f", &small, &root, &err);
        gal_alloc_fail_at(0, 0);
        assert_true(status == GAL_OK || (status == GAL_NO_MEMORY && err.message[0] && !root));
        gal_arena_release(&small);
        assert_true(n < 100);
    }
    assert_true(n > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_configuration_becomes_a_tree_with_lines),
        cmocka_unit_test(nothing_is_an_empty_message),
        cmocka_unit_test(literals_are_joined_and_escapes_taken_off),
        cmocka_unit_test(words_are_numbers_in_every_base),
        cmocka_unit_test(words_are_bools),
        cmocka_unit_test(what_is_wrong_is_told_with_its_line),
        cmocka_unit_test(size_depth_and_nodes_are_bounded),
        cmocka_unit_test(every_failed_allocation_is_told),
    };
    return cmocka_run_group_tests(tests, arena_set_up, arena_tear_down);
}
