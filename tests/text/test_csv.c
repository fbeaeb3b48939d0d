/* SPDX-License-Identifier: Apache-2.0 */
#include "text/csv.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct gal_arena arena;

static int start(void **state)
{
    (void)state;
    gal_arena_init(&arena, 256, 4096, 1 << 20);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    gal_arena_release(&arena);
    return 0;
}

/* Reads all of the text: records end with `;`, fields with `|`, quoted ones stand in quotes. */
static const char *read_all(const char *text, size_t n, struct gal_err *err)
{
    static char out[256];
    struct gal_csv_field *fields;
    struct gal_csv csv;
    size_t count, line, used = 0;

    gal_csv_init(&csv, (struct gal_str){text, n});
    out[0] = '\0';
    for (;;) {
        if (gal_csv_next(&csv, &arena, &fields, &count, &line, err) != GAL_OK)
            return NULL;
        if (count == 0)
            return out;
        used += (size_t)snprintf(out + used, sizeof(out) - used, "%zu:", line);
        for (size_t i = 0; i < count; i++)
            used += (size_t)snprintf(out + used, sizeof(out) - used, "%s%.*s%s|",
                                     fields[i].quoted ? "'" : "", GAL_STR_ARG(fields[i].text),
                                     fields[i].quoted ? "'" : "");
        used += (size_t)snprintf(out + used, sizeof(out) - used, ";");
    }
}

static void records_and_fields_are_told_apart(void **state)
{
    static const char *const rows[][2] = {
        {"", ""},
        {"\n\r\n", ""},
        {"a", "1:a|;"},
        {"a,b\nc,d", "1:a|b|;2:c|d|;"},
        {"a,b\r\nc,d\r\n", "1:a|b|;2:c|d|;"},
        {"a,\n,b\n", "1:a||;2:|b|;"},
        {"\n\na\n\nb\n", "3:a|;5:b|;"},
        {"\xef\xbb\xbf"
         "a",
         "1:a|;"},
        {"\"a\",\"b,\"\"c\"\"\"\n\"d\ne\",f", "1:'a'|'b,\"c\"'|;2:'d\ne'|f|;"},
        {"\"\"\n\"x\n\ny\"\nz", "1:''|;2:'x\n\ny'|;5:z|;"},
        {" a , b ", "1: a | b |;"},
        {"a\rb\n", "1:a\rb|;"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct gal_err err;

        assert_string_equal(read_all(rows[i][0], strlen(rows[i][0]), &err), rows[i][1]);
    }
}

static void what_is_wrong_is_told_with_its_line(void **state)
{
    static const char *const rows[][3] = {
        {"a\n\"b", "a quoted field is not closed", "line 2"},
        {"\"a\"b", "text behind the quote that closes a field", "line 1"},
        {"a\nb\"", "a quote inside a field that does not begin with one", "line 2"},
        {"a,b\n\n\"x\ny\"", "expected 2 fields as in the first line, got 1", "line 3"},
        {"a\nb,c", "expected 1 field as in the first line, got 2", "line 2"},
        {"\"a\"\r", "text behind the quote that closes a field", "line 1"},
    };
    struct gal_err err;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_null(read_all(rows[i][0], strlen(rows[i][0]), &err));
        assert_int_equal(err.code, GAL_INVALID);
        assert_string_equal(err.message, rows[i][1]);
        assert_string_equal(err.place, rows[i][2]);
    }
    assert_null(read_all("a\0b", 3, &err));
    assert_string_equal(err.message, "a NUL byte in a field");
    assert_null(read_all("\"a\0b\"", 5, &err));
    assert_string_equal(err.message, "a NUL byte in a field");
}

static void many_fields_fit(void **state)
{
    char text[2000];
    struct gal_csv_field *fields;
    struct gal_csv csv;
    size_t count, line;

    (void)state;
    memset(text, ',', sizeof(text));
    gal_csv_init(&csv, (struct gal_str){text, sizeof(text)});
    assert_int_equal(gal_csv_next(&csv, &arena, &fields, &count, &line, NULL), GAL_OK);
    assert_int_equal(count, sizeof(text) + 1);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(fields[i].text.n, 0);
}

static void an_allocation_that_fails_is_an_error(void **state)
{
    static const char text[] = "\"a\"\"b\",c\nd,\"e\"\"\"\n";

    (void)state;
    for (uint64_t i = 1;; i++) {
        struct gal_err err;
        const char *read;

        gal_arena_release(&arena);
        gal_arena_init(&arena, 16, 0, 1 << 20);
        gal_alloc_fail_at(i, 1);
        read = read_all(text, sizeof(text) - 1, &err);
        gal_alloc_fail_at(0, 0);
        if (read != NULL) {
            assert_string_equal(read, "1:'a\"b'|c|;2:d|'e\"'|;");
            assert_true(i > 1);
            return;
        }
        assert_int_equal(err.code, GAL_NO_MEMORY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(records_and_fields_are_told_apart, start, stop),
        cmocka_unit_test_setup_teardown(what_is_wrong_is_told_with_its_line, start, stop),
        cmocka_unit_test_setup_teardown(many_fields_fit, start, stop),
        cmocka_unit_test_setup_teardown(an_allocation_that_fails_is_an_error, start, stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
