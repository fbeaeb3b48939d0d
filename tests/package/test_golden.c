/* SPDX-License-Identifier: Apache-2.0 */
/* Golden cases: read, written, compared, proven against the fake backend, which doubles. */
#include "backend/fake.h"
#include "base/file_write.h"
#include "base/mem.h"
#include "package/golden.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <unistd.h>

static struct gal_arena arena;
static struct gal_err err;
static struct gal_session *session;
static char model_path[64];

static int set_up(void **state)
{
    static const char model[] = "input x FP32 [-1,2]\noptional s BYTES [-1,1]\n"
                                "output y FP32 [-1,2]\noutput t BYTES [-1,1]\n";
    const struct gal_backend_options options = {0};
    (void)state;
    gal_arena_init(&arena, 4096, 0, 64u << 20);
    snprintf(model_path, sizeof model_path, "/tmp/galley-golden-%d", (int)getpid());
    assert_int_equal(gal_file_put(model_path, gal_str_of(model), &err), GAL_OK);
    assert_int_equal(gal_backend_fake.load(model_path, &options, &session, &err), GAL_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    gal_backend_fake.free(session);
    unlink(model_path);
    gal_arena_release(&arena);
    return 0;
}

static enum gal_status read_text(const char *json, struct gal_golden **g)
{
    gal_err_clear(&err);
    return gal_golden_read(gal_str_of(json), "golden.json", 1e-5, 1e-6, &arena, g, &err);
}

#define X "{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[2,2],\"data\":[1,2.5,\"NaN\",-4]}"
#define S "{\"name\":\"s\",\"datatype\":\"BYTES\",\"shape\":[2,1],\"data\":[\"ab\",\"c\"]}"
#define Y(a) "{\"name\":\"y\",\"datatype\":\"FP32\",\"shape\":[2,2],\"data\":[2," a ",\"NaN\",-8]}"
#define T(a) "{\"name\":\"t\",\"datatype\":\"BYTES\",\"shape\":[2,1],\"data\":[\"abab\",\"" a "\"]}"
#define CASE(in, out) "{\"cases\":[{\"name\":\"first\",\"inputs\":[" in "],\"outputs\":[" out "]}]}"

static enum gal_status prove(const char *json, struct gal_proof *proof)
{
    struct gal_golden *g;
    assert_int_equal(read_text(json, &g), GAL_OK);
    return gal_golden_prove(g, &gal_backend_fake, session, &arena, proof, &err);
}

static void what_was_recorded_is_reproduced(void **state)
{
    struct gal_proof proof;
    (void)state;
    assert_int_equal(prove(CASE(X "," S, Y("5") "," T("cc")), &proof), GAL_OK);
    assert_int_equal(proof.cases, 1);
    assert_int_equal(proof.failed_cases, 0);
    assert_int_equal(proof.output_count, 2);
    assert_int_equal(proof.outputs[0].elements, 4);
    assert_true(proof.outputs[0].abs_max == 0);
    assert_int_equal(proof.outputs[0].worst_element, SIZE_MAX);
}

static void a_difference_within_tolerance_is_shown_and_passes(void **state)
{
    struct gal_proof proof;
    (void)state;
    assert_int_equal(prove(CASE(X "," S, Y("5.00003")), &proof), GAL_OK);
    assert_true(proof.outputs[0].abs_max > 2e-5 && proof.outputs[0].abs_max < 4e-5);
    assert_int_equal(proof.outputs[0].differing, 0);
}

static void a_difference_beyond_it_names_case_element_and_values(void **state)
{
    struct gal_proof proof;
    (void)state;
    assert_int_equal(prove(CASE(X "," S, Y("5.1") "," T("cc")), &proof), GAL_INVALID);
    assert_string_equal(err.message, "golden case 'first' is not reproduced: y[1] is 5, recorded "
                                     "as 5.0999999; tolerance rtol 1e-05, atol 1e-06");
    assert_int_equal(proof.failed_cases, 1);
    assert_int_equal(proof.outputs[0].worst_case, 0);
    assert_int_equal(proof.outputs[0].worst_element, 1);
    assert_int_equal(proof.outputs[0].differing, 1);
    assert_int_equal(proof.outputs[1].differing, 0);
}

static void text_has_no_tolerance(void **state)
{
    (void)state;
    assert_int_equal(prove(CASE(X "," S, T("cd")), NULL), GAL_INVALID);
    assert_string_equal(err.message, "golden case 'first' is not reproduced: t[1] is \"cc\", "
                                     "recorded as \"cd\"; tolerance rtol 1e-05, atol 1e-06");
}

static void a_number_where_there_was_none_is_a_difference(void **state)
{
    struct gal_value want = {.kind = GAL_KIND_TENSOR}, got = want;
    static const int64_t shape[] = {2};
    const float a[] = {NAN, INFINITY}, b[] = {NAN, 1}, c[] = {NAN, INFINITY};
    struct gal_difference d = {.worst_element = SIZE_MAX};
    (void)state;
    want.tensor =
        (struct gal_tensor){.dtype = GAL_DT_FP32, .rank = 1, .shape = shape, .count = 2, .data = a};
    got.tensor = want.tensor;
    got.tensor.data = b;
    assert_false(gal_golden_compare(&want, &got, 1, 1, &d));
    assert_int_equal(d.worst_element, 1);
    d = (struct gal_difference){.worst_element = SIZE_MAX};
    got.tensor.data = c;
    assert_true(gal_golden_compare(&want, &got, 0, 0, &d));
}

static void another_form_is_a_difference(void **state)
{
    (void)state;
    assert_int_equal(
        prove(CASE(X "," S,
                   "{\"name\":\"y\",\"datatype\":\"FP32\",\"shape\":[4],\"data\":[2,5,3,-8]}"),
              NULL),
        GAL_INVALID);
    assert_string_equal(err.message, "golden case 'first' is not reproduced: y is FP32 [2,2], "
                                     "recorded as FP32 [4]");
}

static void names_that_the_model_has_not_are_said(void **state)
{
    (void)state;
    assert_int_equal(prove(CASE(S, Y("5")), NULL), GAL_INVALID);
    assert_string_equal(err.message, "golden case 'first' lacks the input x");
    assert_int_equal(prove(CASE(X "," T("q"), Y("5")), NULL), GAL_INVALID);
    assert_string_equal(err.message, "golden case 'first' has an input t, which the model has not: "
                                     "it takes x, s");
    assert_int_equal(prove(CASE(X, S), NULL), GAL_INVALID);
    assert_string_equal(err.message, "golden case 'first' has an output s, which the model has "
                                     "not: it gives y, t");
}

static void check_wrong(const char *json, const char *place, const char *message)
{
    struct gal_golden *g;
    assert_int_equal(read_text(json, &g), GAL_INVALID);
    assert_string_equal(err.place, place);
    assert_string_equal(err.message, message);
}

static void what_is_wrong_in_the_file_has_a_place(void **state)
{
    (void)state;
    check_wrong("[]", "golden.json: cases", "golden cases are {\"cases\": [...]}");
    check_wrong("{\"cases\":[],\"x\":1}", "golden.json: cases",
                "unknown key 'x'; there is only cases");
    check_wrong("{\"cases\":[{}]}", "golden.json: cases[0].inputs",
                "a case needs inputs: an array of tensors");
    check_wrong(CASE(X, "{\"name\":\"y\",\"datatype\":\"FP31\",\"shape\":[1],\"data\":[1]}"),
                "golden.json: cases[0].outputs[0]", "unknown datatype 'FP31'");
    check_wrong(CASE(X, "{\"name\":\"y\",\"datatype\":\"FP32\",\"shape\":[-1],\"data\":[1]}"),
                "golden.json: cases[0].outputs[0]", "shape[0] is to be a whole number from 0");
    check_wrong("{\"cases\":[{\"atol\":-1}]}", "golden.json: cases[0].atol",
                "atol is to be a number from 0");
}

static void written_cases_read_back_the_same(void **state)
{
    struct gal_golden *g, *again;
    struct gal_buf first, second;
    (void)state;
    gal_buf_init(&first, 1 << 20);
    gal_buf_init(&second, 1 << 20);
    assert_int_equal(read_text(CASE(X "," S, Y("5") "," T("cc")), &g), GAL_OK);
    assert_int_equal(gal_golden_write(&first, g, &err), GAL_OK);
    gal_buf_putc(&first, '\0');
    assert_int_equal(read_text(first.p, &again), GAL_OK);
    assert_int_equal(gal_golden_write(&second, again, &err), GAL_OK);
    gal_buf_putc(&second, '\0');
    assert_string_equal(first.p, second.p);
    assert_int_equal(prove(second.p, NULL), GAL_OK);
    gal_buf_release(&first);
    gal_buf_release(&second);
}

static void what_is_recorded_proves_itself(void **state)
{
    const struct gal_str only[] = {GAL_STR("t")}, none[] = {GAL_STR("z")};
    struct gal_golden *asked, *made;
    (void)state;
    assert_int_equal(read_text(CASE(X "," S, Y("0")), &asked), GAL_OK);
    assert_int_equal(
        gal_golden_record(asked, &gal_backend_fake, session, NULL, 0, &arena, &made, &err), GAL_OK);
    assert_int_equal(made->case_count, 1);
    assert_true(gal_str_is(made->cases[0].name, "first"));
    assert_int_equal(made->cases[0].output_count, 2);
    assert_true(((const float *)made->cases[0].outputs[0].tensor.data)[1] == 5);
    assert_int_equal(gal_golden_prove(made, &gal_backend_fake, session, &arena, NULL, &err),
                     GAL_OK);
    assert_int_equal(
        gal_golden_record(asked, &gal_backend_fake, session, only, 1, &arena, &made, &err), GAL_OK);
    assert_int_equal(made->cases[0].output_count, 1);
    assert_true(
        gal_str_is(((const struct gal_str *)made->cases[0].outputs[0].tensor.data)[1], "cc"));
    assert_int_equal(
        gal_golden_record(asked, &gal_backend_fake, session, none, 1, &arena, &made, &err),
        GAL_INVALID);
    assert_string_equal(err.message, "there is no output 'z'");
}

static void what_cannot_be_run_is_not_recorded(void **state)
{
    struct gal_golden *asked, *made;
    (void)state;
    assert_int_equal(read_text(CASE(S, Y("0")), &asked), GAL_OK);
    assert_int_equal(
        gal_golden_record(asked, &gal_backend_fake, session, NULL, 0, &arena, &made, &err),
        GAL_INVALID);
    assert_string_equal(err.message, "the input 'x' is missing");
    assert_string_equal(err.place, "first");
}

static void without_memory_nothing_is_read_written_or_proven(void **state)
{
    static const char json[] = CASE(X "," S, Y("5") "," T("cc"));
    enum gal_status status = GAL_NO_MEMORY;
    uint64_t failures = 0;
    (void)state;
    for (uint64_t i = 1; status; i++, failures++) {
        struct gal_golden *g;
        struct gal_proof proof;
        struct gal_buf out;
        assert_true(i < 1000);
        gal_arena_release(&arena);
        gal_arena_init(&arena, 64, 0, 64u << 20); /* small blocks: many calls */
        gal_buf_init(&out, 1u << 20);
        gal_alloc_fail_at(i, 0);
        status = read_text(json, &g);
        assert_true(!status || !g);
        if (!status)
            status = gal_golden_write(&out, g, &err);
        if (!status)
            status = gal_golden_prove(g, &gal_backend_fake, session, &arena, &proof, &err);
        gal_alloc_fail_at(0, 0);
        gal_buf_release(&out);
        if (status)
            assert_true(err.message[0] != '\0');
    }
    assert_true(failures > 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_recorded_is_reproduced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_difference_within_tolerance_is_shown_and_passes, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_difference_beyond_it_names_case_element_and_values,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(text_has_no_tolerance, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_number_where_there_was_none_is_a_difference, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(another_form_is_a_difference, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_that_the_model_has_not_are_said, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_wrong_in_the_file_has_a_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(written_cases_read_back_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_recorded_proves_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_run_is_not_recorded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_memory_nothing_is_read_written_or_proven, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
