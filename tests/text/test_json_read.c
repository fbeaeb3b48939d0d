/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "text/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#define DEPTH 64
#define TOO_DEEP "JSON is nested deeper than 64 levels"

static struct gal_arena arena;
static struct gal_err err;

static int set_up(void **state)
{
    (void)state;
    gal_arena_init(&arena, 4096, 1 << 20, 1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    gal_arena_release(&arena);
    return 0;
}

/* Reads from memory of the text's own size, so that a sanitizer sees one byte too many. */
static enum gal_status read_text(struct gal_str s, yyjson_val **root)
{
    gal_arena_clear(&arena);
    gal_err_clear(&err);
    char *copy = malloc(s.n ? s.n : 1);
    if (s.n > 0)
        memcpy(copy, s.p, s.n);
    *root = NULL;
    enum gal_status status = gal_json_read((struct gal_str){copy, s.n}, &arena, DEPTH, root, &err);
    free(copy); /* nothing borrows from it */
    assert_int_equal(status == GAL_OK, *root != NULL);
    return status;
}

static yyjson_val *must_read(const char *text)
{
    yyjson_val *root;
    assert_int_equal(read_text(gal_str_of(text), &root), GAL_OK);
    return root;
}

static void values_are_read_with_their_types(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"null", "null"},   {" true ", "boolean"},   {"-1.5e3", "number"}, {"\"a\"", "string"},
        {"[1,2]", "array"}, {"{\"a\":1}", "object"}, {"\t[\n]", "array"},  {"0", "number"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(gal_json_type_name(must_read(rows[i][0])), rows[i][1]);
    assert_string_equal(gal_json_type_name(NULL), "nothing");
    yyjson_val *root = must_read("{\"a\":[1,-2,3.5,\"\\u20ac\\n\"]}");
    yyjson_val *a = yyjson_obj_get(root, "a");
    assert_int_equal(yyjson_get_uint(yyjson_arr_get(a, 0)), 1);
    assert_int_equal(yyjson_get_sint(yyjson_arr_get(a, 1)), -2);
    assert_true(yyjson_get_real(yyjson_arr_get(a, 2)) == 3.5);
    assert_string_equal(yyjson_get_str(yyjson_arr_get(a, 3)), "\u20ac\n");
}

static void integers_beyond_64_bits_are_doubles(void **state)
{
    (void)state;
    assert_true(yyjson_is_uint(must_read("18446744073709551615")));
    assert_true(yyjson_is_real(must_read("18446744073709551616")));
    assert_true(yyjson_is_sint(must_read("-9223372036854775808")));
    assert_true(yyjson_is_real(must_read("-9223372036854775809")));
    assert_true(yyjson_is_real(must_read("1.0")));
}

static void what_is_no_json_is_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        " ",
        "\n",
        "[",
        "]",
        "[1,]",
        "{\"a\":1,}",
        "[1 2]",
        "{a:1}",
        "'a'",
        "01",
        "+1",
        ".5",
        "1.",
        "1e",
        "0x1",
        "NaN",
        "Infinity",
        "-",
        "1e999",
        "nul",
        "True",
        "\"a",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\t\"",
        "[1]x",
        "1 2",
        "// c\n1",
        "/* c */1",
        "\"\xff\"",
        "\xef\xbb\xbf 1",
        "\"\\ud800\"",
        "{\"a\"}",
        "{1:2}",
        "[\"a\":1]",
        "{,}",
        "[,1]",
        "\"\xed\xa0\x80\"",
    };
    yyjson_val *root;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(read_text(gal_str_of(rows[i]), &root), GAL_INVALID);
        assert_true(strlen(err.message) > 10);
    }
    assert_int_equal(read_text(gal_str_of(NULL), &root), GAL_INVALID);
    assert_int_equal(read_text(GAL_STR("[1\0]"), &root), GAL_INVALID);
}

static void errors_tell_line_and_column(void **state)
{
    (void)state;
    yyjson_val *root;
    assert_int_equal(read_text(GAL_STR("{\n  \"a\": tru\n}"), &root), GAL_INVALID);
    assert_string_equal(err.place, "2:8");
    assert_int_equal(memcmp(err.message, "invalid JSON: ", 14), 0);
    assert_int_equal(read_text(GAL_STR("[1,2"), &root), GAL_INVALID);
    assert_string_equal(err.place, "1:5");
}

static char *nested(size_t depth, char open, char close, size_t *n)
{
    char *text = malloc(2 * depth + 1);
    memset(text, open, depth);
    memset(text + depth, close, depth);
    *n = 2 * depth;
    return text;
}

static void nesting_is_bounded_exactly(void **state)
{
    (void)state;
    yyjson_val *root;
    size_t n;
    char *text = nested(DEPTH + 1, '[', ']', &n);
    assert_int_equal(read_text((struct gal_str){text + 1, n - 2}, &root), GAL_OK);
    assert_int_equal(read_text((struct gal_str){text, n}, &root), GAL_INVALID);
    assert_string_equal(err.message, TOO_DEEP);
    assert_string_equal(err.place, "1:65");
    free(text);
}

static void deep_nesting_is_refused_before_memory_is_taken(void **state)
{
    (void)state;
    yyjson_val *root;
    size_t n;
    for (int half = 0; half < 2; half++) {
        char *text = nested(250000, '[', ']', &n);
        assert_int_equal(read_text((struct gal_str){text, half ? n / 2 : n}, &root), GAL_INVALID);
        assert_string_equal(err.message, TOO_DEEP);
        assert_int_equal(arena.used, 0);
        free(text);
    }
    struct gal_buf b;
    gal_buf_init(&b, 4 << 20);
    for (int i = 0; i < 250000; i++)
        gal_buf_puts(&b, "{\"a\":");
    assert_int_equal(read_text(gal_buf_str(&b), &root), GAL_INVALID);
    assert_string_equal(err.message, TOO_DEEP);
    gal_buf_release(&b);
}

/* Depth by a machine of one byte at a time. */
static bool deeper_than(const char *p, size_t n, size_t max)
{
    size_t depth = 0;
    bool in_string = false, escaped = false;
    for (size_t i = 0; i < n; i++) {
        if (in_string) {
            in_string = escaped || p[i] != '"';
            escaped = !escaped && p[i] == '\\';
        } else if (p[i] == '"') {
            in_string = true;
        } else if ((p[i] == '[' || p[i] == '{') && ++depth > max) {
            return true;
        } else if ((p[i] == ']' || p[i] == '}') && depth > 0) {
            depth--;
        }
    }
    return false;
}

static void depth_is_counted_outside_strings_only(void **state)
{
    (void)state;
    static const char letters[] = "[[[{{]}\"\"\\1,: zZ;\x7b\xdb\xa2";
    uint64_t x = 88172645463325252u;
    int deep = 0, flat = 0;
    for (int i = 0; i < 20000; i++) {
        char text[256];
        size_t n = 0;
        for (; n < sizeof text; n++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            text[n] = letters[(x >> 32) % (sizeof letters - 1)];
        }
        n -= (size_t)(i % 9);
        yyjson_val *root;
        enum gal_status status = gal_json_read((struct gal_str){text, n}, &arena, 16, &root, &err);
        assert_int_equal(status, GAL_INVALID);
        bool said = strstr(err.message, "nested deeper than 16 levels") != NULL;
        assert_int_equal(said, deeper_than(text, n, 16));
        deep += said;
        flat += !said;
        gal_arena_clear(&arena);
    }
    assert_true(deep > 1000 && flat > 1000);
    yyjson_val *root = must_read("[\"[[[[[[[[[[\\\\\\\"[[[[[[[[[\",\"\\\\\",\"]]]{{{\"]");
    assert_int_equal(yyjson_arr_size(root), 3);
}

static void the_document_lives_in_the_arena(void **state)
{
    (void)state;
    struct gal_buf b;
    yyjson_val *root;
    gal_buf_init(&b, 1 << 20);
    gal_buf_puts(&b, "[0");
    for (int i = 1; i < 20000; i++)
        gal_buf_puts(&b, ",1"); /* more values than the reader expects of so many bytes */
    gal_buf_putc(&b, ']');
    struct gal_arena large;
    gal_arena_init(&large, 4096, 4 << 20, 4 << 20);
    for (int round = 0; round < 3; round++) {
        uint64_t calls = gal_alloc_count();
        assert_int_equal(gal_json_read(gal_buf_str(&b), &large, DEPTH, &root, &err), GAL_OK);
        assert_int_equal(yyjson_arr_size(root), 20000);
        assert_true(round == 0 || gal_alloc_count() == calls);
        gal_arena_clear(&large);
    }
    gal_arena_release(&large);
    gal_buf_release(&b);
}

static void the_arena_bounds_and_fails_cleanly(void **state)
{
    (void)state;
    struct gal_arena small;
    yyjson_val *root;
    struct gal_str text = GAL_STR("[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]");
    gal_arena_init(&small, 64, 64, 512);
    assert_int_equal(gal_json_read(text, &small, DEPTH, &root, &err), GAL_TOO_LARGE);
    gal_arena_release(&small);
    for (uint64_t i = 1;; i++) {
        gal_arena_init(&small, 64, 64, 1 << 20);
        gal_alloc_fail_at(i, 1);
        enum gal_status status = gal_json_read(text, &small, DEPTH, &root, &err);
        gal_alloc_fail_at(0, 0);
        gal_arena_release(&small);
        if (!status) {
            assert_true(i > 3);
            return;
        }
        assert_int_equal(status, GAL_NO_MEMORY);
        assert_true(i < 50);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_read_with_their_types),
        cmocka_unit_test(integers_beyond_64_bits_are_doubles),
        cmocka_unit_test(what_is_no_json_is_refused),
        cmocka_unit_test(errors_tell_line_and_column),
        cmocka_unit_test(nesting_is_bounded_exactly),
        cmocka_unit_test(deep_nesting_is_refused_before_memory_is_taken),
        cmocka_unit_test(depth_is_counted_outside_strings_only),
        cmocka_unit_test(the_document_lives_in_the_arena),
        cmocka_unit_test(the_arena_bounds_and_fails_cleanly),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
