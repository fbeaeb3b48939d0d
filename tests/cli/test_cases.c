/* SPDX-License-Identifier: Apache-2.0 */
/* Files of inputs as cases: every form, every mistake with its place, every allocation that fails.
 */
#include "cli/cases.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ROW "{\"x\":1.5,\"t\":\"a\"}"
#define X(shape, data)                                                                             \
    "{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":" shape ",\"data\":" data "}"
#define T "{\"name\":\"t\",\"datatype\":\"BYTES\",\"shape\":[1,1],\"data\":[\"a\"]}"

static const char manifest_text[] = "galley: 1\nname: f\nversion: 1.0.0\nmodel: m\nfeatures:\n"
                                    "- {name: x, type: float, ge: 0}\n- {name: n, type: int, "
                                    "default: 7}\n- {name: t, type: text}\n";
static const int64_t column[] = {-1, 1};
static const struct gal_port ports[] = {
    {.name = {"x", 1}, .dtype = GAL_DT_FP32, .rank = 2, .shape = column, .shape_known = true},
    {.name = {"n", 1},
     .dtype = GAL_DT_INT64,
     .rank = 2,
     .shape = column,
     .shape_known = true,
     .optional = true},
    {.name = {"t", 1}, .dtype = GAL_DT_BYTES, .rank = 2, .shape = column, .shape_known = true},
};
static struct gal_arena arena, own;
static struct gal_err err;
static char name[] = "m", version[] = "1";
static const struct gal_model_info info = {.inputs = ports, .input_count = 3};
static struct gal_model model = {
    .name = name, .version = version, .info = &info, .batch_dim = true};

static enum gal_status read_cases(const char *text, struct gal_golden **g)
{
    gal_err_clear(&err);
    return gal_cases_read(gal_str_of(text), "rows.json", &model, 0.5, 0.25, &arena, g, &err);
}

/* x of the first row of each case. */
static void check(const char *text, size_t count, const float *x, const size_t *rows)
{
    struct gal_golden *g;
    gal_arena_clear(&arena);
    if (read_cases(text, &g))
        fail_msg("%s\n%s: %s", text, err.place, err.message);
    assert_int_equal(g->case_count, count);
    for (size_t i = 0; i < count; i++) {
        const struct gal_tensor *t = &g->cases[i].inputs[0].tensor;
        assert_true(gal_str_is(t->name, "x") && ((const float *)t->data)[0] == x[i]);
        assert_int_equal(t->count, rows[i]);
        assert_true(g->cases[i].rtol == 0.5 && g->cases[i].atol == 0.25);
    }
}

static void every_form_is_read(void **state)
{
    static const float x[] = {1.5f, 2, 3};
    static const size_t one[] = {1, 1, 1}, two[] = {2};
    (void)state;
    check(ROW, 1, x, one);
    check("{\"features\":" ROW "}", 1, x, one);
    check("{\"instances\":[" ROW ",{\"x\":2,\"t\":\"b\",\"n\":3}]}", 1, x, two);
    check("{\"inputs\":[" X("[1,1]", "[1.5]") "," T "]}", 1, x, one);
    check("[" ROW ",{\"features\":{\"x\":2,\"t\":\"b\"}},{\"x\":3,\"t\":\"\"}]", 3, x, one);
    check(ROW "\n\n{\"inputs\":[" X("[1,1]", "[2]") "," T "]}\n[{\"x\":3,\"t\":\"c\"}]\n", 3, x,
          one);
}

static void a_mistake_has_its_place(void **state)
{
    static const struct {
        const char *text, *place, *message;
    } rows[] = {
        {"", "rows.json", ""},
        {"[]", "rows.json", "expected 3 values"},
        {"7", "rows.json", "expected an object or an array"},
        {"{\"x\":-1,\"t\":\"a\"}", "rows.json", "x must be at least 0"},
        {"[" ROW ",{\"x\":\"2\",\"t\":\"a\"}]", "rows.json: [1]", ""},
        {ROW "\n{\"x\":1}\n", "rows.json: line 2", ""},
        {ROW "\n{\"x\":1,", "rows.json: line 2", ""},
        {ROW "\n" ROW "\n[{\"x\":1,\"t\":\"a\",\"y\":2}]", "rows.json: line 3[0]", ""},
        {"[{\"inputs\":[" X("[1,1]", "[1]") "]}]", "rows.json: [0]", "stand in no array"},
        {"{\"inputs\":[" X("[1,2]", "[1,2]") "]}", "rows.json", "got FP32 [1,2]"},
        {"{\"inputs\":[{\"name\":\"y\",\"datatype\":\"FP32\",\"shape\":[1],\"data\":[1]}]}",
         "rows.json", "the model has no input 'y'"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gal_golden *g;
        gal_arena_clear(&arena);
        if (read_cases(rows[i].text, &g) == GAL_OK || g || !strstr(err.message, rows[i].message) ||
            strncmp(err.place, rows[i].place, strlen(rows[i].place)) != 0)
            fail_msg("%s\n%s: %s", rows[i].text, err.place, err.message);
    }
}

static void without_memory_there_are_no_cases(void **state)
{
    static const char *const texts[] = {
        "[" ROW "," ROW "," ROW "]",
        ROW "\n{\"inputs\":[" X("[1,1]", "[2]") "," T "]}\n{\"instances\":[" ROW "]}\n",
        "{\"cases\":[{\"name\":\"a\",\"inputs\":[" X("[1,1]", "[1]") "," T "],\"outputs\":[" X(
            "[1,1]", "[1]") "]}]}",
    };
    (void)state;
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
        enum gal_status status = GAL_NO_MEMORY;
        uint64_t failures = 0;
        for (uint64_t i = 1; status; i++, failures++) {
            struct gal_golden *g;
            assert_true(i < 1000);
            gal_arena_release(&arena);
            gal_arena_init(&arena, 64, 0, 1u << 24); /* small blocks: many calls */
            gal_alloc_fail_at(i, 0);
            status = read_cases(texts[k], &g);
            gal_alloc_fail_at(0, 0);
            if (status && (status != GAL_NO_MEMORY || g || !err.message[0]))
                fail_msg("%s\ncall %llu: %s", texts[k], (unsigned long long)i, err.message);
        }
        assert_true(failures > 3);
    }
}

static int set_up(void **state)
{
    struct gal_manifest *m;
    (void)state;
    gal_arena_init(&arena, 4096, 0, 1u << 24);
    gal_arena_init(&own, 4096, 0, 1u << 24);
    assert_int_equal(gal_manifest_read(gal_str_of(manifest_text), "f", &own, &m, &err), GAL_OK);
    model.manifest = m;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    gal_arena_release(&arena);
    gal_arena_release(&own);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_is_read),
        cmocka_unit_test(a_mistake_has_its_place),
        cmocka_unit_test(without_memory_there_are_no_cases),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
