/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/fake.h"
#include "base/mem.h"
#include "support/onnx_model.h"

#include <pthread.h>

static const struct gal_backend_ops *const ops = &gal_backend_fake;
static const struct gal_backend_options options;

static enum gal_status load(const char *text, struct gal_session **s, struct gal_err *err)
{
    return ops->load(test_file_write("fake.txt", gal_str_of(text)), &options, s, err);
}

static enum gal_status run(struct gal_session *s, const struct gal_value *in, struct gal_arena *a,
                           struct gal_value *out)
{
    static const size_t wanted[] = {0};
    return ops->run(s, in, wanted, 1, a, out, NULL);
}

static void its_file_says_what_it_is(void **state)
{
    (void)state;
    struct gal_session *s;
    assert_int_equal(load("# a comment\n\ninput x FP32 [-1,4]\noptional w INT64 # scalar\n"
                          "output y FP32 [-1,4]\r\nmeta feature_names [\"a\", \"b\"]\n",
                          &s, NULL),
                     GAL_OK);
    const struct gal_model_info *i = ops->info(s);
    assert_true(i->input_count == 2 && i->output_count == 1 && i->meta_count == 1);
    assert_true(i->inputs[0].rank == 2 && i->inputs[0].shape[0] == -1 &&
                i->inputs[0].shape[1] == 4);
    assert_true(i->inputs[1].optional && i->inputs[1].rank == 0);
    assert_true(gal_str_is(i->meta[0].value, "[\"a\", \"b\"]"));
    ops->free(s);
}

static void a_wrong_file_names_its_line(void **state)
{
    (void)state;
    static const char *const files[] = {
        "input x FP32\noutput\n",          "input x FP32\nnonsense 1\n",
        "input x FP32\noutput y FLOAT\n",  "input x FP32\noutput y FP32 [2\n",
        "input x FP32\ncost_us many\n",    "input x FP32\noutput y FP32 [-2]\n",
        "input x FP32\nload_fails broken",
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct gal_session *s;
        struct gal_err err;
        assert_int_equal(load(files[i], &s, &err), GAL_INVALID);
        assert_string_equal(err.place, "line 2");
        assert_null(s);
    }
    struct gal_session *s;
    assert_int_equal(load("input x FP32\n", &s, NULL), GAL_INVALID);
    assert_int_equal(load("input x FP32\noutput y INT8\n", &s, NULL), GAL_INVALID);
    assert_int_equal(ops->load("/nowhere", &options, &s, NULL), GAL_NOT_FOUND);
}

static void numbers_are_doubled_and_texts_said_twice(void **state)
{
    (void)state;
    struct gal_session *s;
    struct gal_arena a;
    struct gal_value out;
    const int64_t shape[] = {2};
    const int32_t x[] = {-3, INT32_MAX};
    const struct gal_str t[] = {GAL_STR("ab"), GAL_STR("")};
    gal_arena_init(&a, 4096, 0, 1u << 20);
    assert_int_equal(load("input x INT32 [-1]\noutput y INT32 [-1]\n", &s, NULL), GAL_OK);
    struct gal_value in = {
        .kind = GAL_KIND_TENSOR,
        .tensor = {.dtype = GAL_DT_INT32, .rank = 1, .shape = shape, .count = 2, .data = x}};
    assert_int_equal(run(s, &in, &a, &out), GAL_OK);
    assert_true(((const int32_t *)out.tensor.data)[0] == -6 &&
                ((const int32_t *)out.tensor.data)[1] == -2);
    assert_true(gal_str_is(out.tensor.name, "y"));
    ops->free(s);
    assert_int_equal(load("input x BYTES [2]\noutput y BYTES [2]\n", &s, NULL), GAL_OK);
    assert_int_equal(run(s, &in, &a, &out), GAL_INVALID);
    in.tensor.dtype = GAL_DT_BYTES;
    in.tensor.data = t;
    assert_int_equal(run(s, &in, &a, &out), GAL_OK);
    assert_true(gal_str_is(((const struct gal_str *)out.tensor.data)[0], "abab"));
    assert_true(((const struct gal_str *)out.tensor.data)[1].n == 0);
    ops->free(s);
    gal_arena_release(&a);
}

static void it_fails_and_refuses_on_command(void **state)
{
    (void)state;
    struct gal_session *s;
    struct gal_arena a;
    struct gal_value out;
    const float x = 1;
    const struct gal_value in = {.kind = GAL_KIND_TENSOR,
                                 .tensor = {.dtype = GAL_DT_FP32, .count = 1, .data = &x}};
    static const enum gal_status expected[] = {GAL_OK,      GAL_INVALID, GAL_INTERNAL,
                                               GAL_INVALID, GAL_OK,      GAL_INTERNAL};
    gal_arena_init(&a, 4096, 0, 1u << 20);
    assert_int_equal(
        load("input x FP32\noutput y FP32\nfail_every 3\nrefuse_every 2\ncost_us 1\n", &s, NULL),
        GAL_OK);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(run(s, &in, &a, &out), expected[i]);
    assert_int_equal(gal_fake_runs(s), 6);
    assert_int_equal(gal_fake_trims(s), 0);
    gal_backend_fake.trim(s);
    assert_int_equal(gal_fake_trims(s), 1);
    ops->free(s);
    gal_arena_release(&a);
}

static void *run_one(void *arg)
{
    struct gal_arena a;
    struct gal_value out;
    const float x = 1;
    const struct gal_value in = {.kind = GAL_KIND_TENSOR,
                                 .tensor = {.dtype = GAL_DT_FP32, .count = 1, .data = &x}};
    gal_arena_init(&a, 4096, 0, 1u << 20);
    assert_int_equal(run(arg, &in, &a, &out), GAL_OK);
    gal_arena_release(&a);
    return NULL;
}

static void its_gate_holds_runs_back(void **state)
{
    (void)state;
    struct gal_session *s;
    pthread_t threads[2];
    assert_int_equal(load("input x FP32\noutput y FP32\n", &s, NULL), GAL_OK);
    gal_fake_gate_close(s);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_one, s), 0);
    gal_fake_gate_await(s, 2);
    gal_fake_gate_open(s);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    ops->free(s);
}

static void memory_that_runs_out_is_an_error(void **state)
{
    (void)state;
    const char *path =
        test_file_write("oom.txt", GAL_STR("input x FP32 [2]\noutput y FP32 [2]\nmeta a b\n"));
    enum gal_status status = GAL_NO_MEMORY;
    for (uint64_t i = 1; status; i++) {
        struct gal_session *s = NULL;
        gal_alloc_fail_at(i, 1);
        status = ops->load(path, &options, &s, NULL);
        gal_alloc_fail_at(0, 0);
        assert_true(status == GAL_OK || status == GAL_NO_MEMORY || status == GAL_IO);
        ops->free(s);
        assert_true(i < 50);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_file_says_what_it_is),
        cmocka_unit_test(a_wrong_file_names_its_line),
        cmocka_unit_test(numbers_are_doubled_and_texts_said_twice),
        cmocka_unit_test(it_fails_and_refuses_on_command),
        cmocka_unit_test(its_gate_holds_runs_back),
        cmocka_unit_test(memory_that_runs_out_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
