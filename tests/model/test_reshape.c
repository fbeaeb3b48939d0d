/* SPDX-License-Identifier: Apache-2.0 */
/* A view of a session in which inputs and outputs have other shapes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/fake.h"
#include "base/mem.h"
#include "model/reshape.h"
#include "model/triton.h"
#include "support/onnx_model.h"

static struct gal_arena arena;
static struct gal_model_config config;
static const struct gal_backend_ops *ops;
static struct gal_session *session;
static struct gal_err err;

static void open_model(const char *model, const char *pbtxt)
{
    const struct gal_backend_options options = {0};
    gal_arena_init(&arena, 4096, 0, 16 << 20);
    gal_model_config_init(&config);
    ops = &gal_backend_fake;
    assert_int_equal(
        ops->load(test_file_write("m.onnx", gal_str_of(model)), &options, &session, &err), GAL_OK);
    if (gal_triton_read(gal_str_of(pbtxt), "c", "d", "m", &config, &arena, &err) ||
        gal_model_config_check(&config, ops->info(session), &err))
        fail_msg("%s: %s", err.place, err.message);
}

static void close_model(void)
{
    ops->free(session);
    gal_arena_release(&arena);
}

#define TURNED                                                                                     \
    "max_batch_size: 4\n"                                                                          \
    "input { name: \"x\" data_type: TYPE_FP32 dims: [ 2, -1, 2 ] reshape { shape: [ -1, 4 ] } }\n" \
    "output { name: \"y\" data_type: TYPE_FP32 dims: [ 4, -1 ] reshape { shape: [ -1, 4 ] } }\n"

static void without_a_reshape_a_session_stays_as_it_is(void **state)
{
    (void)state;
    open_model("input x FP32 [-1,4]\noutput y FP32 [-1,4]\n",
               "max_batch_size: 4 input { name: \"x\" data_type: TYPE_FP32 dims: 4 }");
    struct gal_session *before = session;
    assert_int_equal(gal_reshape_wrap(&config, &ops, &session, &err), GAL_OK);
    assert_ptr_equal(session, before);
    assert_ptr_equal(ops, &gal_backend_fake);
    close_model();
}

static void shapes_are_turned_on_the_way_in_and_out(void **state)
{
    (void)state;
    static const int64_t shape[] = {3, 2, 5, 2}, wrong[] = {3, 2, 5, 3};
    static float data[60];
    static const size_t wanted[] = {0};
    open_model("input x FP32 [-1,-1,4]\noutput y FP32 [-1,-1,4]\n", TURNED);
    assert_int_equal(gal_reshape_wrap(&config, &ops, &session, &err), GAL_OK);
    const struct gal_model_info *info = ops->info(session);
    char text[64];
    assert_string_equal(gal_shape_format(info->inputs[0].shape, info->inputs[0].rank, text, 64),
                        "[-1,2,-1,2]");
    assert_string_equal(gal_shape_format(info->outputs[0].shape, info->outputs[0].rank, text, 64),
                        "[-1,4,-1]");
    for (size_t i = 0; i < 60; i++)
        data[i] = (float)i;
    struct gal_value out,
        in = {.kind = GAL_KIND_TENSOR, .tensor = {GAL_STR("x"), GAL_DT_FP32, 4, shape, 60, data}};
    assert_int_equal(ops->run(session, &in, wanted, 1, &arena, &out, &err), GAL_OK);
    assert_string_equal(gal_shape_format(out.tensor.shape, out.tensor.rank, text, 64), "[3,4,5]");
    assert_true(((const float *)out.tensor.data)[59] == 118);
    ops->release_output(session, &out);
    in.tensor.shape = wrong;
    assert_int_equal(ops->run(session, &in, wanted, 1, &arena, &out, &err), GAL_INVALID);
    ops->trim(session);
    close_model();
}

static void an_output_of_another_size_than_declared_is_told(void **state)
{
    (void)state;
    static const int64_t shape[] = {1, 3};
    static const float data[3];
    static const size_t wanted[] = {0};
    /* the fake answers with its input's shape: [1,3], where the output's dims say 4 elements */
    open_model("input x FP32 [-1,3]\noutput y FP32 [-1,-1]\n",
               "max_batch_size: 4 output { name: \"y\" data_type: TYPE_FP32 dims: [ 2, 2 ] "
               "reshape { shape: 4 } }");
    assert_int_equal(gal_reshape_wrap(&config, &ops, &session, &err), GAL_OK);
    struct gal_value out,
        in = {.kind = GAL_KIND_TENSOR, .tensor = {GAL_STR("x"), GAL_DT_FP32, 2, shape, 3, data}};
    assert_int_equal(ops->run(session, &in, wanted, 1, &arena, &out, &err), GAL_INTERNAL);
    assert_non_null(strstr(err.message, "'y'"));
    close_model();
}

static void every_failed_allocation_leaves_the_session(void **state)
{
    (void)state;
    open_model("input x FP32 [-1,-1,4]\noutput y FP32 [-1,-1,4]\n", TURNED);
    struct gal_session *before = session;
    enum gal_status status = GAL_NO_MEMORY;
    for (uint64_t n = 1; status; n++) {
        gal_alloc_fail_at(n, 0);
        status = gal_reshape_wrap(&config, &ops, &session, &err);
        gal_alloc_fail_at(0, 0);
        assert_true(status == GAL_OK || (status == GAL_NO_MEMORY && session == before));
        assert_true(n < 20);
    }
    close_model();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_reshape_a_session_stays_as_it_is),
        cmocka_unit_test(shapes_are_turned_on_the_way_in_and_out),
        cmocka_unit_test(an_output_of_another_size_than_declared_is_told),
        cmocka_unit_test(every_failed_allocation_leaves_the_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
