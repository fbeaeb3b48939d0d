/* SPDX-License-Identifier: Apache-2.0 */
#include "ship/advice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MB UINT64_C(1000000)

static void forms_are_told_by_names(void **state)
{
    static const struct {
        const char *name;
        enum gal_form form;
    } rows[] = {{"model.onnx", GAL_FORM_ONNX},
                {"churn_v7.pkl", GAL_FORM_PICKLE},
                {"model.joblib", GAL_FORM_PICKLE},
                {"net.pth", GAL_FORM_TORCH},
                {"x.keras", GAL_FORM_KERAS},
                {"x.tflite", GAL_FORM_TFLITE},
                {"saved_model.pb", GAL_FORM_SAVED_MODEL},
                {"MLmodel", GAL_FORM_MLFLOW},
                {"b.ubj", GAL_FORM_BOOSTER},
                {"README.md", GAL_FORM_UNKNOWN},
                {"onnx", GAL_FORM_UNKNOWN}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(gal_form_of(gal_str_of(rows[i].name)), rows[i].form);
}

/* The document's own table (FMT-14). */
static void each_context_has_its_format(void **state)
{
    static const struct {
        enum gal_form form;
        enum gal_use use;
        const char *choice;
    } rows[] = {
        {GAL_FORM_PICKLE, GAL_USE_PYTHON, "joblib"},
        {GAL_FORM_PICKLE, GAL_USE_SERVER, "onnx"},
        {GAL_FORM_TORCH, GAL_USE_SERVER, "onnx"},
        {GAL_FORM_TORCH, GAL_USE_PYTHON, "state_dict"},
        {GAL_FORM_TFLITE, GAL_USE_EDGE, "tflite"},
        {GAL_FORM_KERAS, GAL_USE_EDGE, "tflite"},
        {GAL_FORM_TORCH, GAL_USE_EDGE, "onnx"},
        {GAL_FORM_ONNX, GAL_USE_EDGE, "onnx"},
        {GAL_FORM_PICKLE, GAL_USE_REGISTRY, "native"},
        {GAL_FORM_ONNX, GAL_USE_REGISTRY, "native"},
        {GAL_FORM_SAVED_MODEL, GAL_USE_LANGUAGES, "savedmodel"},
        {GAL_FORM_TORCH, GAL_USE_LANGUAGES, "onnx"},
        {GAL_FORM_BOOSTER, GAL_USE_PYTHON, "native"},
        {GAL_FORM_ONNX, GAL_USE_SERVER, "onnx"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(gal_advise_format(rows[i].form, rows[i].use).choice, rows[i].choice);
}

static void every_advice_has_a_reason_and_a_way(void **state)
{
    (void)state;
    for (int form = GAL_FORM_UNKNOWN; form <= GAL_FORM_MLFLOW; form++) {
        assert_non_null(gal_form_name((enum gal_form)form));
        for (int use = 0; use < GAL_USE_COUNT; use++) {
            struct gal_advice a = gal_advise_format((enum gal_form)form, (enum gal_use)use);
            assert_true(a.choice[0] && a.reason[0] && a.how[0]);
        }
    }
}

static const char *delivery(struct gal_delivery d)
{
    struct gal_advice a = gal_advise_delivery(&d);
    assert_true(a.reason[0] && a.how[0]);
    return a.choice;
}

/* WGT-15, with its bounds to the byte. */
static void size_and_life_decide_how_weights_travel(void **state)
{
    (void)state;
    assert_string_equal(delivery((struct gal_delivery){.bytes = 0}), "bake");
    assert_string_equal(delivery((struct gal_delivery){.bytes = 500 * MB - 1}), "bake");
    assert_string_equal(delivery((struct gal_delivery){.bytes = 500 * MB}), "pull");
    assert_string_equal(delivery((struct gal_delivery){.bytes = 1000 * MB, .is_shared = true}),
                        "pull");
    assert_string_equal(delivery((struct gal_delivery){.bytes = 1000 * MB + 1, .is_shared = true}),
                        "mount");
    assert_string_equal(delivery((struct gal_delivery){.bytes = 3000 * MB}), "pull");
    assert_string_equal(delivery((struct gal_delivery){.bytes = 1, .is_frequent = true}), "pull");
    assert_string_equal(delivery((struct gal_delivery){.bytes = 1, .many_environments = true}),
                        "pull");
    assert_string_equal(delivery((struct gal_delivery){.bytes = 1, .is_tracked = true}),
                        "registry");
}

static void what_cannot_be_fetched_is_baked_whatever_else_is_so(void **state)
{
    (void)state;
    assert_string_equal(delivery((struct gal_delivery){.bytes = 9000 * MB,
                                                       .is_air_gapped = true,
                                                       .is_tracked = true,
                                                       .is_frequent = true,
                                                       .is_shared = true}),
                        "bake");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_are_told_by_names),
        cmocka_unit_test(each_context_has_its_format),
        cmocka_unit_test(every_advice_has_a_reason_and_a_way),
        cmocka_unit_test(size_and_life_decide_how_weights_travel),
        cmocka_unit_test(what_cannot_be_fetched_is_baked_whatever_else_is_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
