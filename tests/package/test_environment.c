/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "package/environment.h"
#include "support/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

static struct gal_environment read_ok(const char *text)
{
    struct gal_environment e;
    struct gal_err err;
    if (gal_environment_read(gal_str_of(text), "requirements.txt", &arena, &e, &err) != GAL_OK)
        fail_msg("%s: %s", err.place, err.message);
    return e;
}

static void check_one(const char *text, const char *name, const char *version)
{
    struct gal_environment e = read_ok(text);
    assert_int_equal(e.count, 1);
    if (!gal_str_is(e.packages[0].name, name) || !gal_str_is(e.packages[0].version, version))
        fail_msg("%s: %.*s %.*s", text, GAL_STR_ARG(e.packages[0].name),
                 GAL_STR_ARG(e.packages[0].version));
    assert_int_equal(e.packages[0].pinned, version[0] != '\0');
    assert_int_equal(e.unpinned, version[0] == '\0');
}

static void requirements_are_read_as_pip_reads_them(void **state)
{
    (void)state;
    check_one("numpy==1.24.3", "numpy", "1.24.3");
    check_one("  Scikit_Learn == 1.8.0  # the trainer\n", "scikit-learn", "1.8.0");
    check_one("zope.interface===5.0\r\n", "zope-interface", "5.0");
    check_one("torch==2.2.0+cu121\n", "torch", "2.2.0+cu121");
    check_one("uvicorn[standard,x]==0.30.1; python_version < '3.13'", "uvicorn", "0.30.1");
    check_one("a==1!2.0.post1 --hash=sha256:00 --hash=sha256:11", "a", "1!2.0.post1");
    check_one("a==1.0 \\\n    --hash=sha256:00 \\\n    --hash=sha256:11\n", "a", "1.0");
    check_one("numpy=1.26.4=py311h64a7726_0\n", "numpy", "1.26.4"); /* conda list --export */
}

static void what_is_not_pinned_is_flagged(void **state)
{
    (void)state;
    static const char *const floating[] = {
        "torch",
        "torch>=2",
        "torch~=2.1",
        "torch==2.*",
        "torch==2.1,<3",
        "torch<3",
        "torch!=2.0",
        "torch=2.1",
        "torch ; python_version < '3'",
        "torch @ https://example.com/torch-2.0-py3-none-any.whl",
    };
    for (size_t i = 0; i < sizeof floating / sizeof *floating; i++)
        check_one(floating[i], "torch", "");
    struct gal_environment e = read_ok("# comment\n\nnumpy==1.0\ntorch>=2 # newer\n");
    assert_int_equal(e.finding_count, 1);
    assert_true(
        gal_str_is(e.findings[0], "requirements.txt:4: torch>=2 is not pinned to a version"));
    check_one("-e git+https://example.com/x.git@main#egg=My_Tool", "my-tool", "");
    check_one("git+https://example.com/x#egg=A_b&subdirectory=c", "a-b", "");
    check_one("-e git+https://example.com#egg=", "-e git+https://example.com#egg=", "");
    check_one("./wheels/a.whl", "./wheels/a.whl", "");
    e = read_ok("a==1\nA==2\na==1\n");
    assert_int_equal(e.finding_count, 2);
    assert_true(gal_str_is(e.findings[0], "requirements.txt:2: A==2 contradicts line 1"));
}

static void options_are_kept(void **state)
{
    (void)state;
    struct gal_environment e =
        read_ok("--extra-index-url https://example.com/cu121\n-r other.txt\n");
    assert_int_equal(e.count, 0);
    assert_int_equal(e.option_count, 2);
    assert_true(gal_str_is(e.options[0], "--extra-index-url https://example.com/cu121"));
}

static void cuda_tags_have_to_agree(void **state)
{
    (void)state;
    struct gal_environment e =
        read_ok("torch==2.2.0+cu121\ntorchvision==0.17.0+cu121\nnvidia-cublas-cu12==12.1.3.1\n");
    assert_true(gal_str_is(e.cuda, "12.1"));
    assert_int_equal(e.finding_count, 0);
    e = read_ok("torch==2.2.0+cu121\ntorchvision==0.17.0+cu118\n");
    assert_int_equal(e.finding_count, 1);
    assert_true(gal_str_is(e.findings[0],
                           "requirements.txt:2: torchvision==0.17.0+cu118 is for CUDA "
                           "11.8, torch==2.2.0+cu121 for CUDA 12.1"));
    e = read_ok("nvidia-cublas-cu11==11.1\ntorch==2.2.0+cu121\n");
    assert_int_equal(e.finding_count, 1);
    e = read_ok("torch==2.2.0+cu121\ntorchaudio==2.2.0+cpu\n");
    assert_int_equal(e.finding_count, 1);
    assert_true(gal_str_is(e.findings[0],
                           "requirements.txt:2: torchaudio==2.2.0+cpu is without CUDA, "
                           "torch==2.2.0+cu121 for CUDA 12.1"));
    e = read_ok("torch==2.2.0+cpu\nnumpy==1.0\n");
    assert_int_equal(e.finding_count, 0);
    assert_true(gal_str_is(e.cuda, ""));
    e = read_ok("curious-custom==1+cuda\nnvidia-cu==1\nx==1+cu1\n");
    assert_true(gal_str_is(e.cuda, ""));
    assert_true(gal_cuda_agrees(GAL_STR("12"), GAL_STR("12.1")));
    assert_true(gal_cuda_agrees(GAL_STR("12.1.105"), GAL_STR("12.1")));
    assert_true(gal_cuda_agrees(GAL_STR(""), GAL_STR("12.1")));
    assert_false(gal_cuda_agrees(GAL_STR("12.1"), GAL_STR("12.10")));
    assert_false(gal_cuda_agrees(GAL_STR("11.8"), GAL_STR("12.1")));
}

static void the_blas_is_told_by_its_packages(void **state)
{
    (void)state;
    assert_true(gal_str_is(read_ok("numpy==1.0\n").blas, "OpenBLAS"));
    assert_true(gal_str_is(read_ok("numpy==1.0\nmkl==2024.0.0\n").blas, "MKL"));
    assert_true(gal_str_is(read_ok("scipy-openblas64==0.3.27\n").blas, "OpenBLAS"));
    assert_true(gal_str_is(read_ok("requests==2.0\n").blas, ""));
}

static void lines_that_are_no_requirements_are_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text, *place, *words;
    } rows[] = {
        {"numpy==1\n<html>", "requirements.txt:2", "no requirement: \"<html>\""},
        {"a[b==1\n", "requirements.txt:1",
         "no requirement: the bracket does not close: \"a[b==1\""},
        {"a b c\n", "requirements.txt:1", "no requirement: \"a b c\""},
        {"a\\\n\\\n  ?\n\n(\n", "requirements.txt:1", "no requirement: \"a  ?\""},
        {"\x80", "requirements.txt:1", "not UTF-8: \"\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gal_environment e;
        struct gal_err err;
        assert_int_equal(
            gal_environment_read(gal_str_of(rows[i].text), "requirements.txt", &arena, &e, &err),
            GAL_INVALID);
        assert_string_equal(err.place, rows[i].place);
        assert_string_equal(err.message, rows[i].words);
    }
}

static void its_size_is_bounded(void **state)
{
    (void)state;
    struct gal_environment e;
    struct gal_err err;
    struct gal_buf b;
    gal_buf_init(&b, 4u << 20);
    for (int i = 0; i <= (int)GAL_FREEZE_PACKAGES_MAX; i++)
        gal_buf_puts(&b, "a==1\n");
    assert_int_equal(gal_environment_read(gal_buf_str(&b), "f", &arena, &e, &err), GAL_INVALID);
    assert_string_equal(err.message, "more than 5000 packages: \"a==1\"");
    assert_string_equal(err.place, "f:5001");
    while (b.n <= GAL_FREEZE_BYTES_MAX)
        gal_buf_puts(&b, "# nothing at all to be seen here\\\n");
    assert_int_equal(gal_environment_read(gal_buf_str(&b), "f", &arena, &e, &err), GAL_TOO_LARGE);
    gal_buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requirements_are_read_as_pip_reads_them),
        cmocka_unit_test(what_is_not_pinned_is_flagged),
        cmocka_unit_test(options_are_kept),
        cmocka_unit_test(cuda_tags_have_to_agree),
        cmocka_unit_test(the_blas_is_told_by_its_packages),
        cmocka_unit_test(lines_that_are_no_requirements_are_errors),
        cmocka_unit_test(its_size_is_bounded),
    };
    return cmocka_run_group_tests(tests, arena_set_up, arena_tear_down);
}
