/* SPDX-License-Identifier: Apache-2.0 */
/* `galley predict` and `galley inspect` on the example models, with the real engine. */
#include "cli/cli_run.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#define IRIS "examples/models/iris"
#define ROW                                                                                        \
    "{\"features\":{\"sepal_length\":4.4,\"sepal_width\":3.2,\"petal_length\":1.3,\"petal_"        \
    "width\":0.2}}"
#define TENSOR(name, value)                                                                        \
    "{\"name\":\"" name "\",\"datatype\":\"FP32\",\"shape\":[1,1],\"data\":[" value "]}"
#define OIP                                                                                        \
    "{\"inputs\":[" TENSOR("sepal_length", "4.4") "," TENSOR("sepal_width", "3.2") "," TENSOR(     \
        "petal_length", "1.3") "," TENSOR("petal_width", "0.2") "]}"

static void check(const char *line, const char *input, int code, const char *out, const char *err)
{
    struct run r = cli_run_with(line, NULL, input);

    if (r.code != code || !strstr(r.out, out) || !strstr(r.err, err))
        fail_msg("galley %s: %d\n%s%s", line, r.code, r.out, r.err);
    assert_true(code == GAL_EXIT_OK ? r.err[0] == '\0' : r.out[0] == '\0');
    run_release(&r);
}

/* --- predict --- */

static void a_row_of_features_is_answered(void **state)
{
    (void)state;
    check("predict " IRIS " -d " ROW, NULL, 0, "\"label\":\"setosa\"", "");
    check("predict --data=@" IRIS "/example.json " IRIS "/model.onnx", NULL, 0, "\"setosa\"", "");
    check("predict " IRIS " -d @-", ROW, 0, "\"setosa\"", "");
    check("predict " IRIS, ROW, 0, "\"setosa\"", "");
}

static void an_open_inference_request_is_answered_in_kind(void **state)
{
    (void)state;
    check("predict " IRIS " -d " OIP, NULL, 0, "\"outputs\":[", "");
}

static void one_of_several_models_is_chosen_by_name(void **state)
{
    (void)state;
    check("predict examples/models -d " ROW, NULL, 1, "", "iris");
    check("predict examples/models --model iris -d " ROW, NULL, 0, "\"setosa\"", "");
    check("predict examples/models -m iris --version 1 -d " ROW, NULL, 0, "\"setosa\"", "");
    check("predict examples/models -m iris --version 2 -d " ROW, NULL, 1, "", "version '2'");
    check("predict examples/models -m rose -d " ROW, NULL, 1, "", "'rose'");
    check("predict " IRIS " -m rose -d " ROW, NULL, 1, "", "'rose'");
}

static void a_refused_request_says_where_and_why(void **state)
{
    (void)state;
    check("predict " IRIS " -d {\"features\":{\"sepal_length\":\"x\"}}", NULL, 1, "",
          "galley: predict: features.sepal_length: ");
    check("predict " IRIS " -d {", NULL, 1, "", "galley: predict: ");
    check("predict " IRIS " -d {\"inputs\":[]}", NULL, 1, "", "galley: predict: ");
    check("predict " IRIS " -d @/nowhere.json", NULL, 1, "", "/nowhere.json");
}

static void a_path_without_a_model_is_named(void **state)
{
    (void)state;
    check("predict /nowhere -d {}", NULL, 1, "", "galley: predict: /nowhere");
    check("predict docs -d {}", NULL, 1, "", "docs");
}

static void a_missing_engine_is_named_with_what_to_do(void **state)
{
    (void)state;
    check("predict " IRIS " --onnxruntime /nowhere.so -d " ROW, NULL, 1, "", "/nowhere.so");
}

/* --- inspect --- */

static void a_model_is_described(void **state)
{
    (void)state;
    check("inspect " IRIS, NULL, 0, "    sepal_length  FP32   [?,1]  tensor(float)\n", "");
    check("inspect " IRIS, NULL, 0, "  sha256       633a66acb0fbaaf0c3ea3156fefb0f6ddfa528fc", "");
    check("inspect " IRIS, NULL, 0, "seq(map(string,float))", "");
    check("inspect --json " IRIS "/model.onnx", NULL, 0,
          "{\"models\":[{\"name\":\"iris\",\"version\":\"1\",", "");
    check("inspect --json " IRIS, NULL, 0,
          "{\"name\":\"sepal_width\",\"datatype\":\"FP32\",\"shape\":[-1,1],", "");
}

static void all_models_of_a_directory_are_described(void **state)
{
    struct run r = cli_run("inspect examples/models");

    (void)state;
    assert_int_equal(r.code, 0);
    assert_true(strstr(r.out, "breast-cancer version 1\n") && strstr(r.out, "\niris version 1\n"));
    run_release(&r);
}

static void a_broken_model_is_shown_and_fails_the_command(void **state)
{
    char folder[] = "/tmp/galley-broken-XXXXXX", file[64], line[256];
    FILE *f;
    struct run r;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(file, sizeof(file), "%s/model.onnx", folder);
    f = fopen(file, "w");
    fputs("this is no model", f);
    fclose(f);
    snprintf(line, sizeof(line), "inspect %s " IRIS, folder);
    r = cli_run(line);
    assert_int_equal(r.code, 1);
    assert_non_null(strstr(r.out, "  broken  "));
    assert_non_null(strstr(r.out, "iris version 1\n")); /* the others are shown all the same */
    assert_non_null(strstr(r.err, file));
    run_release(&r);
    snprintf(line, sizeof(line), "inspect --json %s", folder);
    r = cli_run(line);
    assert_int_equal(r.code, 1);
    assert_non_null(strstr(r.out, ",\"error\":\""));
    run_release(&r);
    unlink(file);
    rmdir(folder);
}

/* --- failures --- */

static void memory_that_runs_out_ends_in_an_error(void **state)
{
    static const char *const lines[] = {"inspect " IRIS, "predict " IRIS " -d " ROW};

    (void)state;
    for (size_t l = 0; l < 2; l++) {
        bool done = false;
        for (uint64_t i = 1; i < 2000 && !done; i++) {
            struct run r;
            gal_alloc_fail_at(i, 1);
            r = cli_run(lines[l]);
            gal_alloc_fail_at(0, 0);
            done = r.code == GAL_EXIT_OK && strstr(r.out, "iris");
            assert_true(done || r.code != GAL_EXIT_OK || r.out[0]);
            assert_true(r.code == GAL_EXIT_OK || r.err[0]);
            run_release(&r);
        }
        assert_true(done);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* first: an engine that is loaded stays */
        cmocka_unit_test(a_missing_engine_is_named_with_what_to_do),
        cmocka_unit_test(a_row_of_features_is_answered),
        cmocka_unit_test(an_open_inference_request_is_answered_in_kind),
        cmocka_unit_test(one_of_several_models_is_chosen_by_name),
        cmocka_unit_test(a_refused_request_says_where_and_why),
        cmocka_unit_test(a_path_without_a_model_is_named),
        cmocka_unit_test(a_model_is_described),
        cmocka_unit_test(all_models_of_a_directory_are_described),
        cmocka_unit_test(a_broken_model_is_shown_and_fails_the_command),
        cmocka_unit_test(memory_that_runs_out_ends_in_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
