/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"
#include "support/arena.h"
#include "text/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

static struct gal_err err;

static enum gal_status parse(struct gal_str text, struct gal_yaml **root)
{
    gal_arena_clear(&arena);
    gal_err_clear(&err);
    *root = NULL;
    char *copy = malloc(text.n ? text.n : 1);
    if (text.n > 0)
        memcpy(copy, text.p, text.n);
    enum gal_status status =
        gal_yaml_parse((struct gal_str){copy, text.n}, "galley.yaml", &arena, root, &err);
    free(copy); /* nothing borrows from it */
    assert_int_equal(status == GAL_OK, *root != NULL);
    return status;
}

static const struct gal_yaml *must_parse(const char *text)
{
    struct gal_yaml *root;
    assert_int_equal(parse(gal_str_of(text), &root), GAL_OK);
    return root;
}

static void check_scalar(const struct gal_yaml *n, const char *want, unsigned line, bool quoted)
{
    assert_non_null(n);
    assert_int_equal(n->type, GAL_YAML_SCALAR);
    assert_true(gal_str_is(n->scalar, want));
    assert_int_equal(n->scalar.p[n->scalar.n], '\0');
    assert_int_equal(n->line, line);
    assert_int_equal(n->quoted, quoted);
}

static void a_configuration_becomes_a_tree_with_lines(void **state)
{
    (void)state;
    const struct gal_yaml *root = must_parse("# comment\n"
                                             "http_port: 8080\n"
                                             "host: \"::\"\n"
                                             "models:\n"
                                             "  - a.onnx\n"
                                             "  - 'b c.onnx'\n"
                                             "limits: {body: 1MiB, head: }\n"
                                             "note: |\n"
                                             "  two\n"
                                             "  lines\n");
    assert_int_equal(root->type, GAL_YAML_MAP);
    assert_int_equal(root->line, 2);
    check_scalar(gal_yaml_get(root, "http_port"), "8080", 2, false);
    check_scalar(gal_yaml_get(root, "host"), "::", 3, true);
    const struct gal_yaml *models = gal_yaml_get(root, "models");
    assert_int_equal(models->type, GAL_YAML_LIST);
    assert_int_equal(models->line, 5);
    check_scalar(models->child, "a.onnx", 5, false);
    check_scalar(models->child->next, "b c.onnx", 6, true);
    assert_null(models->child->next->next);
    assert_int_equal(models->child->key.n, 0);
    const struct gal_yaml *limits = gal_yaml_get(root, "limits");
    check_scalar(gal_yaml_get(limits, "body"), "1MiB", 7, false);
    check_scalar(gal_yaml_get(limits, "head"), "", 7, false);
    check_scalar(gal_yaml_get(root, "note"), "two\nlines\n", 8, true);
    assert_null(gal_yaml_get(root, "missing"));
    assert_null(gal_yaml_get(models, "a.onnx"));
}

static void children_keep_their_order(void **state)
{
    (void)state;
    const struct gal_yaml *n = must_parse("c: 1\na: [x, [], {}]\nb: {}\n")->child;
    assert_true(gal_str_is(n->key, "c"));
    n = n->next;
    assert_true(gal_str_is(n->key, "a"));
    assert_int_equal(n->child->next->type, GAL_YAML_LIST);
    assert_null(n->child->next->child);
    assert_int_equal(n->child->next->next->type, GAL_YAML_MAP);
    n = n->next;
    assert_true(gal_str_is(n->key, "b"));
    assert_null(n->next);
}

static void an_empty_document_is_an_empty_map(void **state)
{
    (void)state;
    static const char *const rows[] = {"", "\n", "# only\n# comments\n", "---\n", "---\n...\n"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct gal_yaml *root = must_parse(rows[i]);
        assert_int_equal(root->type, GAL_YAML_MAP);
        assert_null(root->child);
    }
    assert_int_equal(must_parse("\"\"")->type, GAL_YAML_SCALAR);
    assert_int_equal(must_parse("text")->type, GAL_YAML_SCALAR);
}

static void check_refused(struct gal_str text, const char *message, const char *place)
{
    struct gal_yaml *root;
    assert_int_equal(parse(text, &root), GAL_INVALID);
    assert_non_null(strstr(err.message, message));
    assert_string_equal(err.place, place);
}

static void what_configurations_need_not_have_is_refused(void **state)
{
    (void)state;
    check_refused(GAL_STR("a: 1\nb: &x 2\n"), "anchors", "galley.yaml:2");
    check_refused(GAL_STR("a: 1\nb: *x\n"), "aliases", "galley.yaml:2");
    check_refused(GAL_STR("a: &x\n  b: 1\n"), "anchors", "galley.yaml:1");
    check_refused(GAL_STR("a: !!str 1\n"), "tags", "galley.yaml:1");
    check_refused(GAL_STR("a: !x [1]\n"), "tags", "galley.yaml:1");
    check_refused(GAL_STR("a: 1\n---\nb: 1\n"), "more than one document", "galley.yaml:2");
    check_refused(GAL_STR("a: 1\nb: 2\n\na: 3\n"), "'a' stands twice", "galley.yaml:4");
    check_refused(GAL_STR("x:\n  ? [1]\n  : 2\n"), "a key must be text", "galley.yaml:2");
    check_refused(GAL_STR("{{a: 1}: 2}\n"), "a key must be text", "galley.yaml:1");
    check_refused(GAL_STR("a: \"x\\0y\"\n"), "NUL", "galley.yaml:1");
}

static void what_is_no_yaml_is_refused_with_its_line(void **state)
{
    (void)state;
    check_refused(GAL_STR("a: 1\nb: [1\n"), "invalid YAML: ", "galley.yaml:3");
    check_refused(GAL_STR("a: 1\n\tb: 2\n"), "invalid YAML: ", "galley.yaml:2");
    check_refused(GAL_STR("a: 'x\n"), "invalid YAML: ", "galley.yaml:2");
    check_refused(GAL_STR("a: b: c\n"), "invalid YAML: ", "galley.yaml:1");
    check_refused(GAL_STR("a: 1\n - 2\n]\n"), "invalid YAML: ", "galley.yaml:3");
    struct gal_yaml *root;
    assert_int_equal(parse(GAL_STR("a: \xff\n"), &root), GAL_INVALID);
    assert_int_equal(parse(GAL_STR("a: \x01\n"), &root), GAL_INVALID);
}

static void equal_keys_of_different_maps_are_fine(void **state)
{
    (void)state;
    const struct gal_yaml *root = must_parse("a: {a: {a: 1}}\nb: {a: 2}\n");
    check_scalar(gal_yaml_get(gal_yaml_get(gal_yaml_get(root, "a"), "a"), "a"), "1", 1, false);
}

static void nesting_is_bounded_exactly(void **state)
{
    (void)state;
    char text[2 * (GAL_YAML_DEPTH_MAX + 1)];
    struct gal_yaml *root;
    for (size_t depth = GAL_YAML_DEPTH_MAX; depth <= GAL_YAML_DEPTH_MAX + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        assert_int_equal(parse((struct gal_str){text, 2 * depth}, &root),
                         depth > GAL_YAML_DEPTH_MAX ? GAL_INVALID : GAL_OK);
    }
    assert_string_equal(err.message, "nested too deep");
    char *deep = malloc(GAL_YAML_BYTES_MAX);
    static const char *const openers[] = {"[", "{", "- ", "? ", "{a: "};
    for (size_t i = 0; i < sizeof openers / sizeof *openers; i++) {
        size_t step = strlen(openers[i]), n = 0;
        for (; n + step <= GAL_YAML_BYTES_MAX; n += step)
            memcpy(deep + n, openers[i], step);
        assert_int_equal(parse((struct gal_str){deep, n}, &root), GAL_INVALID);
    }
    free(deep);
}

static void bytes_and_values_are_bounded(void **state)
{
    (void)state;
    struct gal_yaml *root;
    struct gal_buf b;
    gal_buf_init(&b, GAL_YAML_BYTES_MAX + 1);
    gal_buf_putc(&b, '[');
    while (b.n + 2 <= GAL_YAML_BYTES_MAX / 2)
        gal_buf_puts(&b, "1,");
    gal_buf_puts(&b, "1]");
    assert_int_equal(parse(gal_buf_str(&b), &root), GAL_TOO_LARGE);
    assert_string_equal(err.message, "too many values in one file");
    gal_buf_clear(&b, b.cap);
    while (b.n <= GAL_YAML_BYTES_MAX)
        gal_buf_putc(&b, '\n');
    assert_int_equal(parse(gal_buf_str(&b), &root), GAL_TOO_LARGE);
    b.n--;
    assert_int_equal(parse(gal_buf_str(&b), &root), GAL_OK);
    gal_buf_release(&b);
}

static void failing_allocations_are_survived(void **state)
{
    (void)state;
    struct gal_str text = GAL_STR("a: 1\nb: [1, {c: 2}]\nd: 'x'\n");
    for (uint64_t i = 1;; i++) {
        struct gal_arena small;
        struct gal_yaml *root;
        gal_arena_init(&small, 64, 0, 1 << 20);
        gal_alloc_fail_at(i, 1);
        enum gal_status status = gal_yaml_parse(text, "f", &small, &root, &err);
        gal_alloc_fail_at(0, 0);
        gal_arena_release(&small);
        if (!status) {
            assert_true(i > 5);
            break;
        }
        assert_int_equal(status, GAL_NO_MEMORY);
        assert_true(i < 100);
    }
    struct gal_arena tiny;
    struct gal_yaml *root;
    gal_arena_init(&tiny, 64, 0, 200);
    assert_int_equal(gal_yaml_parse(text, "f", &tiny, &root, &err), GAL_TOO_LARGE);
    gal_arena_release(&tiny);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_configuration_becomes_a_tree_with_lines),
        cmocka_unit_test(children_keep_their_order),
        cmocka_unit_test(an_empty_document_is_an_empty_map),
        cmocka_unit_test(what_configurations_need_not_have_is_refused),
        cmocka_unit_test(what_is_no_yaml_is_refused_with_its_line),
        cmocka_unit_test(equal_keys_of_different_maps_are_fine),
        cmocka_unit_test(nesting_is_bounded_exactly),
        cmocka_unit_test(bytes_and_values_are_bounded),
        cmocka_unit_test(failing_allocations_are_survived),
    };
    return cmocka_run_group_tests(tests, arena_set_up, arena_tear_down);
}
