/* SPDX-License-Identifier: Apache-2.0 */
/* Models that treat rows apart and models that do not, told in a few lines each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/fake.h"
#include "backend/onnx.h"
#include "base/mem.h"
#include "model/rows.h"
#include "support/onnx_model.h"

#include <stdio.h>

/* ---- a backend that counts the outputs that are out ---- */

static const struct gal_backend_ops *behind;
static struct gal_backend_ops counting;
static size_t live, runs;

static enum gal_status count_run(struct gal_session *s, const struct gal_value *inputs,
                                 const size_t *wanted, size_t output_count, struct gal_arena *arena,
                                 struct gal_value *outputs, struct gal_err *err)
{
    enum gal_status status = behind->run(s, inputs, wanted, output_count, arena, outputs, err);
    runs++;
    live += status ? 0 : output_count;
    return status;
}

static void count_release(struct gal_session *s, struct gal_value *v)
{
    live--;
    behind->release_output(s, v);
}

static void count_over(const struct gal_backend_ops *ops)
{
    behind = ops;
    counting = *ops;
    counting.run = count_run;
    counting.release_output = count_release;
    live = runs = 0;
}

static bool are_apart(const struct gal_backend_ops *ops, const char *path)
{
    const struct gal_backend_options options = {.intra_op_threads = 1};
    struct gal_session *session;
    struct gal_err err;
    count_over(ops);
    if (ops->load(path, &options, &session, &err))
        fail_msg("%s: %s", path, err.message);
    bool apart = gal_rows_are_apart(&counting, session, 1);
    assert_int_equal(live, 0);
    ops->free(session);
    return apart;
}

static bool onnx_apart(struct onnx_model *m)
{
    return are_apart(&gal_backend_onnx, onnx_model_write(m, "rows.onnx"));
}

static bool fake_apart(const char *says)
{
    return are_apart(&gal_backend_fake, test_file_write("rows.txt", gal_str_of(says)));
}

/* x[-1,4] -> y[-1,4], both numbers. */
static void begin(struct onnx_model *m, const char *output_shape)
{
    onnx_model_begin(m);
    onnx_input(m, "x", ONNX_FLOAT, "-1,4");
    onnx_output(m, "y", ONNX_FLOAT, output_shape);
}

static void number(struct onnx_model *m, const char *name, float value)
{
    onnx_initializer(m, name, ONNX_FLOAT, "", &value, sizeof value, NULL);
}

static void over_rows(struct onnx_model *m, const char *op, const char *inputs, const char *outputs)
{
    const int64_t axis = 0;
    onnx_attr_int_list(m, "axes", &axis, 1);
    onnx_node(m, "", op, inputs, outputs);
}

/* ---- apart ---- */

static void identities_are_apart(void **state)
{
    (void)state;
    static const int elements[] = {ONNX_FLOAT, ONNX_INT32, ONNX_INT64, ONNX_BOOL};
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++)
        assert_true(are_apart(&gal_backend_onnx,
                              onnx_identity_model(elements[i], "-1,4", "identity.onnx")));
    assert_int_equal(runs, 4);
    assert_true(
        are_apart(&gal_backend_onnx, onnx_identity_model(ONNX_FLOAT, "-1", "identity.onnx")));
    assert_true(
        are_apart(&gal_backend_onnx, onnx_identity_model(ONNX_FLOAT, "-1,2,3", "identity.onnx")));
}

static void every_numeric_datatype_is_tried(void **state)
{
    (void)state;
    static const char *const names[] = {"BOOL", "UINT8", "UINT16", "UINT32", "UINT64",
                                        "INT8", "INT16", "INT32",  "INT64",  "FP16",
                                        "BF16", "FP32",  "FP64"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char says[128];
        snprintf(says, sizeof says, "input x %s [-1,3]\noutput y %s [-1,3]\n", names[i], names[i]);
        assert_true(fake_apart(says));
    }
}

static void a_layered_network_is_apart(void **state)
{
    (void)state;
    struct onnx_model m;
    float w[4 * 6], v[6 * 4];
    for (size_t i = 0; i < 24; i++) {
        w[i] = (float)((i * 7) % 11) / 11 - 0.4f;
        v[i] = (float)((i * 5) % 13) / 13 - 0.5f;
    }
    begin(&m, "-1,4");
    onnx_output(&m, "label", ONNX_INT64, "-1");
    onnx_initializer(&m, "w", ONNX_FLOAT, "4,6", w, sizeof w, NULL);
    onnx_initializer(&m, "v", ONNX_FLOAT, "6,4", v, sizeof v, NULL);
    onnx_node(&m, "", "MatMul", "x,w", "a");
    onnx_node(&m, "", "Relu", "a", "b");
    onnx_node(&m, "", "MatMul", "b,v", "c");
    onnx_attr_int(&m, "axis", 1);
    onnx_node(&m, "", "Softmax", "c", "y");
    onnx_attr_int(&m, "axis", 1);
    onnx_attr_int(&m, "keepdims", 0);
    onnx_node(&m, "", "ArgMax", "y", "label");
    assert_true(onnx_apart(&m));
}

static void two_inputs_that_meet_row_by_row_are_apart(void **state)
{
    (void)state;
    struct onnx_model m;
    begin(&m, "-1,4");
    onnx_input(&m, "z", ONNX_FLOAT, "-1,1");
    onnx_node(&m, "", "Add", "x,z", "y");
    assert_true(onnx_apart(&m));
}

static void a_lookup_in_a_table_is_apart(void **state)
{
    (void)state;
    static const float table[] = {0.5f, 1.5f, 2.5f};
    struct onnx_model m;
    onnx_model_begin(&m);
    onnx_input(&m, "x", ONNX_INT64, "-1,1");
    onnx_output(&m, "y", ONNX_FLOAT, "-1,1");
    onnx_initializer(&m, "table", ONNX_FLOAT, "3", table, sizeof table, NULL);
    onnx_node(&m, "", "Gather", "table,x", "y");
    assert_true(onnx_apart(&m));
}

/* ---- not apart ---- */

static void a_softmax_over_rows_is_not_apart(void **state)
{
    (void)state;
    struct onnx_model m;
    begin(&m, "-1,4");
    onnx_attr_int(&m, "axis", 0);
    onnx_node(&m, "", "Softmax", "x", "y");
    assert_false(onnx_apart(&m));
}

static void a_sum_over_the_rows_before_is_not_apart(void **state)
{
    (void)state;
    static const int64_t axis = 0;
    static const int elements[] = {ONNX_FLOAT, ONNX_INT32, ONNX_INT64};
    for (size_t i = 0; i < 3; i++) {
        struct onnx_model m;
        onnx_model_begin(&m);
        onnx_input(&m, "x", elements[i], "-1,1");
        onnx_output(&m, "y", elements[i], "-1,1");
        onnx_initializer(&m, "axis", ONNX_INT64, "", &axis, sizeof axis, NULL);
        onnx_node(&m, "", "CumSum", "x,axis", "y");
        assert_false(onnx_apart(&m));
    }
}

static void a_maximum_over_rows_is_not_apart(void **state)
{
    (void)state;
    struct onnx_model m;
    begin(&m, "-1,4"); /* it says -1 and means 1 */
    over_rows(&m, "ReduceMax", "x", "y");
    assert_false(onnx_apart(&m));
    begin(&m, "-1,4");
    over_rows(&m, "ReduceMax", "x", "most");
    onnx_node(&m, "", "Sub", "x,most", "y");
    assert_false(onnx_apart(&m));
    begin(&m, "1,4");
    over_rows(&m, "ReduceMax", "x", "y");
    assert_false(onnx_apart(&m));
    assert_int_equal(runs, 0);
}

/* Small rows look apart; a large one among them tells. */
static void a_scale_that_only_large_rows_change_is_not_apart(void **state)
{
    (void)state;
    struct onnx_model m;
    begin(&m, "-1,4");
    number(&m, "one", 1);
    onnx_node(&m, "", "Abs", "x", "size");
    onnx_attr_int(&m, "keepdims", 0);
    onnx_node(&m, "", "ReduceMax", "size", "most");
    onnx_node(&m, "", "Max", "most,one", "scale");
    onnx_node(&m, "", "Div", "x,scale", "y");
    assert_false(onnx_apart(&m));
}

static void quantising_all_rows_by_one_scale_is_not_apart(void **state)
{
    (void)state;
    struct onnx_model m;
    begin(&m, "-1,4");
    onnx_node(&m, "", "DynamicQuantizeLinear", "x", "q,scale,zero");
    onnx_node(&m, "", "DequantizeLinear", "q,scale,zero", "y");
    assert_false(onnx_apart(&m));
}

static void an_output_that_counts_the_rows_is_not_apart(void **state)
{
    (void)state;
    struct onnx_model m;
    begin(&m, "-1,4");
    onnx_attr_int(&m, "start", 0);
    onnx_attr_int(&m, "end", 1);
    onnx_node(&m, "", "Shape", "x", "rows");
    onnx_attr_int(&m, "to", ONNX_FLOAT);
    onnx_node(&m, "", "Cast", "rows", "rows_f");
    onnx_node(&m, "", "Mul", "x,rows_f", "y");
    assert_false(onnx_apart(&m));
}

static void an_output_of_another_length_is_not_apart(void **state)
{
    (void)state;
    struct onnx_model m;
    begin(&m, "-1,4");
    onnx_attr_int(&m, "axis", 0);
    onnx_node(&m, "", "Concat", "x,x", "y");
    assert_false(onnx_apart(&m));
    begin(&m, "4,-1");
    onnx_node(&m, "", "Transpose", "x", "y");
    assert_false(onnx_apart(&m));
    assert_int_equal(runs, 0);
}

static void one_output_that_is_not_apart_is_enough(void **state)
{
    (void)state;
    struct onnx_model m;
    begin(&m, "-1,4");
    onnx_output(&m, "z", ONNX_FLOAT, "-1,4");
    onnx_node(&m, "", "Identity", "x", "y");
    onnx_attr_int(&m, "axis", 0);
    onnx_node(&m, "", "Softmax", "x", "z");
    assert_false(onnx_apart(&m));
}

/* Square roots of what is below 0: all answers alike say nothing. */
static void answers_that_are_no_numbers_prove_nothing(void **state)
{
    (void)state;
    static const char *const ops[] = {"Sqrt", "Exp"};
    static const float shifts[] = {-100, 1000};
    for (size_t i = 0; i < 2; i++) {
        struct onnx_model m;
        begin(&m, "-1,4");
        number(&m, "shift", shifts[i]);
        onnx_node(&m, "", "Add", "x,shift", "shifted");
        onnx_node(&m, "", ops[i], "shifted", "root");
        over_rows(&m, "ReduceMax", "root", "most");
        onnx_node(&m, "", "Add", "root,most", "y");
        assert_false(onnx_apart(&m));
        assert_true(runs > 0);
    }
}

/* y[i] = the sum of x[i] under its mask, through how much of it the mask lets. */
static void add_masked_mean(struct onnx_model *m, const char *mean)
{
    const int64_t axis = 1, to = ONNX_FLOAT;
    onnx_model_begin(m);
    onnx_input(m, "x", ONNX_FLOAT, "-1,2");
    onnx_input(m, "mask", ONNX_INT64, "-1,2");
    onnx_output(m, "y", ONNX_FLOAT, "-1,1");
    onnx_attr_int(m, "to", to);
    onnx_node(m, "", "Cast", "mask", "open");
    onnx_node(m, "", "Mul", "x,open", "seen");
    onnx_attr_int_list(m, "axes", &axis, 1);
    onnx_node(m, "", "ReduceMean", "seen", "sum");
    onnx_attr_int_list(m, "axes", &axis, 1);
    onnx_node(m, "", "ReduceMean", "open", "count");
    onnx_node(m, "", "Div", "sum,count", mean);
}

static void masks_that_hide_everything_are_not_the_last_word(void **state)
{
    (void)state;
    struct onnx_model m;
    add_masked_mean(&m, "y");
    assert_true(onnx_apart(&m));
    assert_int_equal(runs, 8);
    add_masked_mean(&m, "mean");
    over_rows(&m, "ReduceMax", "mean", "most");
    onnx_node(&m, "", "Sub", "mean,most", "y");
    assert_false(onnx_apart(&m));
    assert_int_equal(runs, 4);
}

/* ---- not tried ---- */

static void texts_and_open_sizes_are_tried_too(void **state)
{
    (void)state;
    static const char *const says[] = {
        "input x BYTES [-1]\noutput y BYTES [-1]\n",
        "input x FP32 [-1]\ninput t BYTES [-1]\noutput y FP32 [-1]\noutput z BYTES [-1]\n",
        "input x FP32 [-1,-1]\noutput y FP32 [-1,-1]\n",
    };
    for (size_t i = 0; i < sizeof says / sizeof *says; i++) {
        assert_true(fake_apart(says[i]));
        assert_int_equal(runs, 4);
    }
}

static void what_cannot_be_made_up_is_not_tried(void **state)
{
    (void)state;
    static const char *const says[] = {
        "input x FP32 [-1]\noptional z FP32 [-1]\noutput y FP32 [-1]\n",
        "input x FP32 [-1,0]\noutput y FP32 [-1,0]\n",
        "input x FP32 [3,2]\noutput y FP32 [-1,2]\n",
        "input x FP32 [-1,2]\noutput y FP32 [3,2]\n",
        "input x FP32\noutput y FP32\n",
        "input x FP32 [-1]\ninput z FP32\noutput y FP32 [-1]\n",
        "input x FP32 [-1,262145]\noutput y FP32 [-1,262145]\n",
    };
    for (size_t i = 0; i < sizeof says / sizeof *says; i++) {
        assert_false(fake_apart(says[i]));
        assert_int_equal(runs, 0);
    }
    assert_true(fake_apart("input x FP32 [-1,262144]\noutput y FP32 [-1,262144]\n"));
}

static void inputs_that_need_more_than_the_trials_memory_are_not_apart(void **state)
{
    (void)state;
    char says[1024];
    size_t n = 0;
    for (int i = 0; i < 24; i++)
        n += (size_t)snprintf(says + n, sizeof says - n, "input x%d FP32 [-1,262144]\n", i);
    snprintf(says + n, sizeof says - n, "output y FP32 [-1,262144]\n");
    assert_false(fake_apart(says));
}

static void a_model_that_refuses_a_row_is_not_apart(void **state)
{
    (void)state;
    char says[128];
    for (unsigned every = 1; every <= 5; every++) {
        snprintf(says, sizeof says, "input x FP32 [-1]\noutput y FP32 [-1]\n%s_every %u\n",
                 every % 2 ? "fail" : "refuse", every);
        assert_true(fake_apart(says) == (every > 4));
        assert_int_equal(runs, every < 4 ? every : 4);
    }
}

static void memory_that_runs_out_is_a_no(void **state)
{
    (void)state;
    const struct gal_backend_options options = {.intra_op_threads = 1};
    struct gal_session *session;
    bool apart = false;
    count_over(&gal_backend_onnx);
    assert_int_equal(counting.load(onnx_identity_model(ONNX_FLOAT, "-1,40000", "identity.onnx"),
                                   &options, &session, NULL),
                     GAL_OK);
    for (uint64_t i = 1; !apart; i++) {
        gal_alloc_fail_at(i, i % 2 == 0);
        apart = gal_rows_are_apart(&counting, session, 1);
        gal_alloc_fail_at(0, 0);
        assert_int_equal(live, 0);
        assert_true(i < 50);
    }
    counting.free(session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identities_are_apart),
        cmocka_unit_test(every_numeric_datatype_is_tried),
        cmocka_unit_test(a_layered_network_is_apart),
        cmocka_unit_test(two_inputs_that_meet_row_by_row_are_apart),
        cmocka_unit_test(a_lookup_in_a_table_is_apart),
        cmocka_unit_test(a_softmax_over_rows_is_not_apart),
        cmocka_unit_test(a_sum_over_the_rows_before_is_not_apart),
        cmocka_unit_test(a_maximum_over_rows_is_not_apart),
        cmocka_unit_test(a_scale_that_only_large_rows_change_is_not_apart),
        cmocka_unit_test(quantising_all_rows_by_one_scale_is_not_apart),
        cmocka_unit_test(an_output_that_counts_the_rows_is_not_apart),
        cmocka_unit_test(an_output_of_another_length_is_not_apart),
        cmocka_unit_test(one_output_that_is_not_apart_is_enough),
        cmocka_unit_test(answers_that_are_no_numbers_prove_nothing),
        cmocka_unit_test(masks_that_hide_everything_are_not_the_last_word),
        cmocka_unit_test(texts_and_open_sizes_are_tried_too),
        cmocka_unit_test(what_cannot_be_made_up_is_not_tried),
        cmocka_unit_test(inputs_that_need_more_than_the_trials_memory_are_not_apart),
        cmocka_unit_test(a_model_that_refuses_a_row_is_not_apart),
        cmocka_unit_test(memory_that_runs_out_is_a_no),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
