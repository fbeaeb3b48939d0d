/* SPDX-License-Identifier: Apache-2.0 */
/* Loading and warm-up: with the fake backend for what goes wrong on command, with ONNX Runtime for
 * what models really refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/fake.h"
#include "backend/onnx.h"
#include "base/limits.h"
#include "base/mem.h"
#include "model/model.h"
#include "support/onnx_model.h"

#include <stdatomic.h>
#include <stdio.h>

/* Each look at the clock takes 3 us. */
static _Atomic uint64_t now_us;

static uint64_t read_now(void *ctx)
{
    (void)ctx;
    return atomic_fetch_add(&now_us, 3) + 3;
}

static const struct gal_clock ticking = {.mono_us = read_now, .wall_us = read_now};

static struct gal_model_options options(const struct gal_backend_ops *ops, unsigned warmup_runs)
{
    struct gal_model_options o = {.ops = ops, .clock = &ticking};
    gal_model_config_init(&o.config);
    o.config.warmup_runs = warmup_runs;
    o.config.workers = 1;
    o.config.policy.jobs_max = 4;
    return o;
}

static enum gal_status load_file(const struct gal_backend_ops *ops, unsigned warmup_runs,
                                 const char *path, struct gal_model **m, struct gal_err *err)
{
    const struct gal_model_options o = options(ops, warmup_runs);
    assert_int_equal(gal_model_new("m", "1", path, m, NULL), GAL_OK);
    return gal_model_load(*m, &o, err);
}

static enum gal_status load_fake(const char *text, unsigned warmup_runs, struct gal_model **m,
                                 struct gal_err *err)
{
    return load_file(&gal_backend_fake, warmup_runs, test_file_write("m.onnx", gal_str_of(text)), m,
                     err);
}

static void a_good_model_is_ready_and_measured(void **state)
{
    (void)state;
    struct gal_model *m;
    struct gal_err err;
    assert_int_equal(load_fake("input x FP32 [-1,2]\noutput y FP32 [-1,2]\n", 10, &m, &err),
                     GAL_OK);
    assert_int_equal(gal_model_state(m), GAL_MODEL_READY);
    assert_int_equal(gal_fake_runs(m->session), 14); /* 10, and 4 that try its rows */
    assert_true(gal_sched_is_inline(m->sched, 1));
    assert_true(m->batch_dim && m->load_us > 0 && m->loaded_wall_us > 0);
    assert_int_equal(m->file_bytes, 41);
    assert_int_equal(strlen(m->sha256), 64);
    assert_string_equal(m->error.message, "");
    gal_model_unref(m);
}

static void without_warm_up_nothing_runs_and_nothing_is_known(void **state)
{
    (void)state;
    struct gal_model *m;
    assert_int_equal(load_fake("input x FP32\noutput y FP32\nfail_every 1\n", 0, &m, NULL), GAL_OK);
    assert_int_equal(gal_fake_runs(m->session), 0);
    assert_false(gal_sched_is_inline(m->sched, 1));
    assert_false(m->batch_dim);
    gal_model_unref(m);
}

static void a_model_that_fails_keeps_its_reason(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
        enum gal_status status;
    } rows[] = {
        {"input x FP32\noutput y FP32\nload_fails no such operator\n", "no such operator",
         GAL_INVALID},
        {"input x FP32\noutput y FP32\nfail_every 1\n", "fake failure of run 1", GAL_INTERNAL},
        {"input x FP32\noutput y FP32\nfail_every 7\n", "fake failure of run 7", GAL_INTERNAL},
        {"input x FP32\noutput y FP32\nrefuse_every 1\n", "fake refusal of run 1", GAL_INVALID},
        {"input x FP32 [1,3]\noutput y FP32\nmeta feature_names [\"a\",\"b\"]\n", "takes 3",
         GAL_INVALID},
        {"input x FP32 [1,2]\noutput y FP32\nmeta feature_names [\"a\",\"a\"]\n", "twice",
         GAL_INVALID},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gal_model *m;
        struct gal_err err;
        assert_int_equal(load_fake(rows[i].text, 10, &m, &err), rows[i].status);
        assert_int_equal(gal_model_state(m), GAL_MODEL_FAILED);
        assert_non_null(strstr(m->error.message, rows[i].says));
        assert_string_equal(err.message, m->error.message);
        assert_true(m->error.place[0] != '\0');
        assert_null(m->session);
        assert_null(m->sched);
        assert_null(m->info);
        gal_model_unref(m);
    }
}

static void a_file_that_is_gone_is_not_found(void **state)
{
    (void)state;
    struct gal_model *m;
    assert_int_equal(load_file(&gal_backend_fake, 1, "/nowhere/model.onnx", &m, NULL),
                     GAL_NOT_FOUND);
    gal_model_unref(m);
}

static void rows_may_be_stacked_only_when_every_first_size_is_open(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_batch;
    } rows[] = {
        {"input x FP32 [-1,2]\ninput z INT64 [-1]\noutput y FP32 [-1,2]\n", true},
        {"input x FP32 [-1,2]\noptional z INT64 [3]\noutput y FP32 [-1,2]\n", true},
        {"input x FP32 [1,2]\noutput y FP32 [-1,2]\n", false},
        {"input x FP32 [-1,2]\noutput y FP32 [1,2]\n", false},
        {"input x FP32\noutput y FP32 [-1]\n", false},
        {"input x FP32 [-1]\noutput y FP32\n", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gal_model *m;
        assert_int_equal(load_fake(rows[i].text, 1, &m, NULL), GAL_OK);
        assert_int_equal(m->batch_dim, rows[i].is_batch);
        gal_model_unref(m);
    }
}

static void feature_names_come_from_the_metadata_of_one_vector(void **state)
{
    (void)state;
    struct gal_model *m;
    assert_int_equal(
        load_fake(
            "input x FP32 [-1,2]\noutput y FP32\nmeta feature_names [\"age\", \"h\xc3\xb6he\"]\n",
            1, &m, NULL),
        GAL_OK);
    assert_int_equal(m->feature_count, 2);
    assert_string_equal(m->feature_names[0], "age");
    assert_string_equal(m->feature_names[1], "h\xc3\xb6he");
    gal_model_unref(m);
    static const char *const without[] = {
        "input x FP32 [-1,2]\noutput y FP32\n",
        "input x FP32 [-1,2]\noutput y FP32\nmeta feature_names age,height\n", /* another tool's */
        "input x FP32 [-1,2]\noutput y FP32\nmeta feature_names {\"0\": \"a\"}\n",
        "input x FP32 [-1,2]\noutput y FP32\nmeta feature_names [1, 2]\n",
        "input x FP32 [-1,2]\noutput y FP32\nmeta feature_names []\n",
        "input x FP32 [-1]\ninput z FP32 [-1]\noutput y FP32\nmeta feature_names [\"a\", \"b\"]\n",
    };
    for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
        assert_int_equal(load_fake(without[i], 1, &m, NULL), GAL_OK);
        assert_int_equal(m->feature_count, 0);
        assert_null(m->feature_names);
        gal_model_unref(m);
    }
}

static void a_goal_begins_with_the_cost_of_the_largest_call(void **state)
{
    (void)state;
    struct gal_model *m;
    struct gal_model_options o = options(&gal_backend_fake, 10);
    struct gal_sched_stats s;
    o.config.policy.target_us = 20000;
    o.config.policy.rows_max = 0;
    assert_int_equal(
        gal_model_new(
            "m", "1",
            test_file_write("goal.onnx", GAL_STR("input x FP32 [-1,2]\noutput y FP32 [-1,2]\n")),
            &m, NULL),
        GAL_OK);
    assert_int_equal(gal_model_load(m, &o, NULL), GAL_OK);
    assert_int_equal(gal_fake_runs(m->session), 14 + 1 + 3);
    gal_sched_stats(m->sched, &s);
    assert_int_equal(s.rows_max, GAL_BATCH_ROWS_MAX);
    gal_model_unref(m);
}

static void a_probe_tells_the_first_outputs_shape(void **state)
{
    (void)state;
    struct gal_model *m;
    char shape[64];
    assert_int_equal(load_fake("input x BYTES [-1,3]\noutput y BYTES [-1,3]\n", 2, &m, NULL),
                     GAL_OK);
    assert_int_equal(gal_model_probe(m, &ticking, shape, sizeof shape, NULL), GAL_OK);
    assert_string_equal(shape, "[1,3]");
    assert_int_equal(gal_model_probe(m, &ticking, NULL, 0, NULL), GAL_OK);
    assert_int_equal(gal_fake_runs(m->session), 8); /* 4 of them try its rows */
    gal_model_unref(m);
}

/* ---- with ONNX Runtime ---- */

static void zeros_that_a_model_refuses_are_followed_by_ones(void **state)
{
    (void)state;
    struct onnx_model o;
    struct gal_model *m;
    struct gal_err err = {.message = ""};
    const float table[] = {1, 2};
    /* Index x - 3 of a table of two is out of range for 0 and in range for 1 (counted from the
     * end). */
    static const int64_t three = 3;
    onnx_model_begin(&o);
    onnx_input(&o, "x", ONNX_INT64, "n");
    onnx_output(&o, "y", ONNX_FLOAT, "n");
    onnx_initializer(&o, "three", ONNX_INT64, "", &three, sizeof three, NULL);
    onnx_initializer(&o, "table", ONNX_FLOAT, "2", table, sizeof table, NULL);
    onnx_node(&o, "", "Sub", "x,three", "i");
    onnx_node(&o, "", "Gather", "table,i", "y");
    enum gal_status status =
        load_file(&gal_backend_onnx, 10, onnx_model_write(&o, "gather.onnx"), &m, &err);
    if (status)
        fail_msg("%s", err.message);
    assert_int_equal(m->probe_try, 1);
    assert_string_equal(m->error.message, "");
    char shape[64];
    assert_int_equal(gal_model_probe(m, &ticking, shape, sizeof shape, NULL), GAL_OK);
    assert_string_equal(shape, "[1]");
    gal_model_unref(m);
}

static void open_sizes_grow_until_the_model_takes_them(void **state)
{
    (void)state;
    struct onnx_model o;
    struct gal_model *m;
    struct gal_err err = {.message = ""};
    const int64_t shape[] = {1, 4, 4};
    onnx_model_begin(&o);
    onnx_input(&o, "x", ONNX_FLOAT, "batch,pixels");
    onnx_output(&o, "y", ONNX_FLOAT, "1,4,4");
    onnx_initializer(&o, "shape", ONNX_INT64, "3", shape, sizeof shape, NULL);
    onnx_node(&o, "", "Reshape", "x,shape", "y");
    enum gal_status status =
        load_file(&gal_backend_onnx, 3, onnx_model_write(&o, "grow.onnx"), &m, &err);
    if (status)
        fail_msg("%s", err.message);
    assert_true(m->probe_try > 1);
    gal_model_unref(m);
}

static void a_model_that_takes_nothing_made_up_is_failed(void **state)
{
    (void)state;
    struct onnx_model o;
    struct gal_model *m;
    struct gal_err err;
    const int64_t shape[] = {7, 11};
    onnx_model_begin(&o);
    onnx_input(&o, "x", ONNX_FLOAT, "batch,pixels");
    onnx_output(&o, "y", ONNX_FLOAT, "7,11");
    onnx_initializer(&o, "shape", ONNX_INT64, "2", shape, sizeof shape, NULL);
    onnx_node(&o, "", "Reshape", "x,shape", "y");
    const char *path = onnx_model_write(&o, "never.onnx");
    assert_int_equal(load_file(&gal_backend_onnx, 3, path, &m, &err), GAL_INVALID);
    assert_int_equal(gal_model_state(m), GAL_MODEL_FAILED);
    assert_non_null(strstr(m->error.message, "{1,1}")); /* the first refusal, the plainest */
    assert_non_null(strstr(m->error.hint, "warm-up"));
    gal_model_unref(m);
    assert_int_equal(load_file(&gal_backend_onnx, 0, path, &m, &err), GAL_OK);
    gal_model_unref(m);
}

static void sequences_and_maps_are_made_up_too(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b"};
    struct onnx_model o;
    struct gal_buf type;
    struct gal_model *m;
    struct gal_err err = {.message = ""};
    onnx_model_begin(&o);
    onnx_type_map(&type, ONNX_STRING, ONNX_FLOAT);
    onnx_model_input(&o, "features", &type);
    onnx_type_tensor(&type, ONNX_FLOAT, "k");
    onnx_type_wrap(&type, ONNX_SEQUENCE);
    onnx_model_input(&o, "parts", &type);
    onnx_output(&o, "y", ONNX_FLOAT, "1,2");
    onnx_output(&o, "n", ONNX_INT64, "");
    onnx_attr_string_list(&o, "string_vocabulary", names, 2);
    onnx_node(&o, "ai.onnx.ml", "DictVectorizer", "features", "y");
    onnx_node(&o, "", "SequenceLength", "parts", "n");
    enum gal_status status =
        load_file(&gal_backend_onnx, 2, onnx_model_write(&o, "kinds.onnx"), &m, &err);
    if (status)
        fail_msg("%s", err.message);
    assert_false(m->batch_dim);
    gal_model_unref(m);
}

static void a_classifier_with_maps_can_be_stacked(void **state)
{
    (void)state;
    static const int64_t labels[] = {0, 1};
    struct onnx_model o;
    struct gal_buf type;
    struct gal_model *m;
    onnx_model_begin(&o);
    onnx_input(&o, "x", ONNX_FLOAT, "n,2");
    onnx_type_map(&type, ONNX_INT64, ONNX_FLOAT);
    onnx_type_wrap(&type, ONNX_SEQUENCE);
    onnx_model_output(&o, "p", &type);
    onnx_attr_int_list(&o, "classlabels_int64s", labels, 2);
    onnx_node(&o, "ai.onnx.ml", "ZipMap", "x", "p");
    assert_int_equal(load_file(&gal_backend_onnx, 2, onnx_model_write(&o, "zip.onnx"), &m, NULL),
                     GAL_OK);
    assert_true(m->batch_dim);
    char shape[64];
    assert_int_equal(gal_model_probe(m, &ticking, shape, sizeof shape, NULL), GAL_OK);
    assert_string_equal(shape, "[1]");
    gal_model_unref(m);
}

static void memory_that_runs_out_leaves_a_failed_model(void **state)
{
    (void)state;
    char path[256];
    snprintf(
        path, sizeof path, "%s",
        test_file_write(
            "oom.onnx",
            GAL_STR(
                "input x FP32 [-1,2]\noutput y FP32 [-1,2]\nmeta feature_names [\"a\",\"b\"]\n")));
    enum gal_status status = GAL_NO_MEMORY;
    for (uint64_t i = 1; status; i++) {
        struct gal_model *m = NULL;
        const struct gal_model_options o = options(&gal_backend_fake, 2);
        gal_alloc_fail_at(i, 1);
        status = gal_model_new("m", "1", path, &m, NULL);
        if (!status)
            status = gal_model_load(m, &o, NULL);
        gal_alloc_fail_at(0, 0);
        if (m)
            assert_int_equal(gal_model_state(m), status ? GAL_MODEL_FAILED : GAL_MODEL_READY);
        gal_model_unref(m);
        assert_true(i < 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_model_is_ready_and_measured),
        cmocka_unit_test(without_warm_up_nothing_runs_and_nothing_is_known),
        cmocka_unit_test(a_model_that_fails_keeps_its_reason),
        cmocka_unit_test(a_file_that_is_gone_is_not_found),
        cmocka_unit_test(rows_may_be_stacked_only_when_every_first_size_is_open),
        cmocka_unit_test(feature_names_come_from_the_metadata_of_one_vector),
        cmocka_unit_test(a_goal_begins_with_the_cost_of_the_largest_call),
        cmocka_unit_test(a_probe_tells_the_first_outputs_shape),
        cmocka_unit_test(zeros_that_a_model_refuses_are_followed_by_ones),
        cmocka_unit_test(open_sizes_grow_until_the_model_takes_them),
        cmocka_unit_test(a_model_that_takes_nothing_made_up_is_failed),
        cmocka_unit_test(sequences_and_maps_are_made_up_too),
        cmocka_unit_test(a_classifier_with_maps_can_be_stacked),
        cmocka_unit_test(memory_that_runs_out_leaves_a_failed_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
