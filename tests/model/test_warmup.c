/* SPDX-License-Identifier: Apache-2.0 */
/* Warm-up samples of a configuration, against the fake backend. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/fake.h"
#include "base/mem.h"
#include "model/model.h"
#include "model/triton.h"
#include "model/warmup.h"
#include "support/onnx_model.h"

#include <stdio.h>

static uint64_t read_now(void *ctx)
{
    return *(uint64_t *)ctx += 3;
}

static uint64_t now_us;
static const struct gal_clock ticking = {.mono_us = read_now, .wall_us = read_now, .ctx = &now_us};

/* A model of the fake backend with this config.pbtxt; its warm-up files lie in the test's folder.
 */
static struct gal_model *make(const char *model, const char *pbtxt)
{
    struct gal_model *m;
    struct gal_err err;
    const char *path = test_file_write("m.onnx", gal_str_of(model));
    assert_int_equal(gal_model_new("m", "1", path, &m, NULL), GAL_OK);
    gal_model_config_init(&m->config);
    if (gal_triton_read(gal_str_of(pbtxt), "config.pbtxt", test_folder(), "m", &m->config,
                        &m->arena, &err) ||
        gal_model_config_settle(&m->config, gal_str_of(pbtxt), &err))
        fail_msg("%s: %s", err.place, err.message);
    m->configured = true;
    return m;
}

static enum gal_status load(struct gal_model *m, struct gal_err *err)
{
    struct gal_model_options o = {.ops = &gal_backend_fake, .clock = &ticking};
    gal_model_config_init(&o.config);
    return gal_model_load(m, &o, err);
}

#define SAMPLE(more)                                                                               \
    "model_warmup { name: \"s\" " more " inputs { key: \"x\" value { data_type: TYPE_FP32 dims: "  \
    "2 random_data: true } } }"

static void samples_run_in_place_of_made_up_input(void **state)
{
    (void)state;
    struct gal_err err;
    char shape[64];
    struct gal_model *m =
        make("input x FP32 [-1,2]\noutput y FP32 [-1,2]\n",
             "max_batch_size: 8\n" SAMPLE("count: 3 batch_size: 4") "\n" SAMPLE("count: 2"));
    assert_int_equal(load(m, &err), GAL_OK);
    assert_int_equal(gal_fake_runs(m->session), 5);
    assert_int_equal(gal_model_probe(m, &ticking, shape, sizeof shape, &err), GAL_OK);
    assert_string_equal(shape, "[4,2]"); /* deep health asks what the user gave */
    gal_model_unref(m);
    m = make("input x FP32 [2]\noutput y FP32 [2]\n", SAMPLE("batch_size: 1"));
    assert_int_equal(load(m, &err), GAL_OK); /* no dimension is added where the model has none */
    gal_model_unref(m);
}

static void made_up_values_fit_every_datatype(void **state)
{
    (void)state;
    for (enum gal_dtype t = GAL_DT_NONE + 1; t < GAL_DT_COUNT; t++) {
        for (int is_random = 0; is_random < 2; is_random++) {
            char model[128], pbtxt[256];
            struct gal_err err;
            snprintf(model, sizeof model, "input x %s [-1,3]\noutput y %s [-1,3]\n",
                     gal_dtype_name(t), gal_dtype_name(t));
            snprintf(pbtxt, sizeof pbtxt,
                     "model_warmup { name: \"s\" inputs { key: \"x\" value { data_type: %s dims: 3 "
                     "%s: true } } }",
                     gal_triton_type_name(t), is_random ? "random_data" : "zero_data");
            struct gal_model *m = make(model, pbtxt);
            if (load(m, &err))
                fail_msg("%s: %s", gal_dtype_name(t), err.message);
            gal_model_unref(m);
        }
    }
}

static void a_sample_that_fails_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *model, *pbtxt, *says;
        enum gal_status status;
    } rows[] = {
        {"input x FP32 [-1,2]\noutput y FP32 [-1,2]\nfail_every 2\n", SAMPLE("count: 2"),
         "warm-up sample 's': fake failure of run 2", GAL_INTERNAL},
        {"input x FP32 [-1,3]\noutput y FP32 [-1,3]\n", SAMPLE(""),
         "input 'x' has the shape [1,2], the model takes [-1,3]", GAL_INVALID},
        {"input x FP64 [-1,2]\noutput y FP64 [-1,2]\n", SAMPLE(""),
         "input 'x' is FP64 in the model, not FP32", GAL_INVALID},
        {"input z FP32 [-1,2]\noutput y FP32 [-1,2]\n", SAMPLE(""), "the model has no input 'x'",
         GAL_INVALID},
        {"input x FP32 [-1,2]\ninput z FP32 [-1,2]\noutput y FP32 [-1,2]\n", SAMPLE(""),
         "input 'z' is missing", GAL_INVALID},
        {"input x FP32 [-1,2]\noutput y FP32 [-1,2]\n",
         "model_warmup { name: \"s\" inputs { key: \"x\" value { data_type: TYPE_FP32 dims: 2 "
         "input_data_file: \"gone\" } } }",
         "warm-up sample 's'", GAL_NOT_FOUND},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gal_err err;
        struct gal_model *m = make(rows[i].model, rows[i].pbtxt);
        assert_int_equal(load(m, &err), rows[i].status);
        if (!strstr(err.message, rows[i].says) || !strstr(err.message, "'s'"))
            fail_msg("says: %s", err.message);
        assert_string_equal(err.place, "config.pbtxt:1");
        gal_model_unref(m);
    }
}

static void every_failed_allocation_is_told(void **state)
{
    (void)state;
    enum gal_status status = GAL_NO_MEMORY;
    struct gal_err err;
    struct gal_model *m =
        make("input x FP32 [-1,2]\noutput y FP32 [-1,2]\n", "max_batch_size: 8\n" SAMPLE(""));
    assert_int_equal(load(m, &err), GAL_OK);
    const struct gal_probe_target t = {m->ops, m->session, &ticking, 1};
    for (uint64_t n = 1; status; n++) {
        gal_err_clear(&err);
        gal_alloc_fail_at(n, 0);
        status = gal_warmup_run(&t, &m->config, &m->config.warmup[0], NULL, NULL, 0, &err);
        gal_alloc_fail_at(0, 0);
        assert_true(status == GAL_OK || (status == GAL_NO_MEMORY && strstr(err.message, "'s'")));
        assert_true(n < 50);
    }
    gal_model_unref(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_run_in_place_of_made_up_input),
        cmocka_unit_test(made_up_values_fit_every_datatype),
        cmocka_unit_test(a_sample_that_fails_is_named),
        cmocka_unit_test(every_failed_allocation_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
