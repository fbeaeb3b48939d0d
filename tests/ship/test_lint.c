/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "ship/lint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#define GOOD_END "USER 65532\nHEALTHCHECK CMD [\"galley\", \"health\"]\n"
#define SLIM "FROM python:3.12.8-slim-bookworm\n"

static struct gal_arena arena;

static int set_up(void **state)
{
    (void)state;
    gal_arena_init(&arena, 65536, 0, 64u << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    gal_arena_release(&arena);
    return 0;
}

/* "code:line code:line" of the findings. */
static const char *codes(const char *text, bool has_ignore)
{
    struct gal_lint l;
    const char *out = "";
    struct gal_err err;
    if (gal_lint_dockerfile(gal_str_of(text), has_ignore, &arena, &l, &err))
        return gal_arena_printf(&arena, "%s", err.message);
    for (size_t i = 0; i < l.count; i++)
        out = gal_arena_printf(&arena, "%s%s%s:%u", out, i ? " " : "", l.findings[i].code,
                               l.findings[i].line);
    return out;
}

static void assert_codes(const char *text, const char *want)
{
    assert_string_equal(codes(text, true), want);
}

static void a_good_file_has_no_findings(void **state)
{
    (void)state;
    assert_codes("# syntax=docker/dockerfile:1\nARG V=1\n"
                 "FROM python:3.12.8-bookworm AS builder\nCOPY requirements.txt .\n"
                 "RUN apt-get update && apt-get install -y gcc\n"
                 "RUN pip wheel --wheel-dir /wheels -r requirements.txt\n" SLIM
                 "COPY --from=builder /wheels /wheels\n"
                 "RUN pip install --no-cache-dir --no-index --find-links /wheels app==1.0\n"
                 "COPY . .\n" GOOD_END "ENTRYPOINT [\"galley\", \"serve\"]\n",
                 "");
}

static void bases_are_judged_by_their_names(void **state)
{
    static const struct {
        const char *image, *want;
    } rows[] = {
        {"python:3.12.8-slim", ""},
        {"python:3.10", "floating-base:1 full-base:1"},
        {"python:3.10.12", "full-base:1"},
        {"python", "floating-base:1"},
        {"python@sha256:aa", ""},
        {"nvidia/cuda:12.1.0-cudnn8-devel-ubuntu22.04", "devel-base:1"},
        {"nvidia/cuda:12.1.0-cudnn8-runtime-ubuntu22.04", ""},
        {"python:3.12.8-alpine3.20", "alpine-base:1"},
        {"debian:12.12-slim", ""},
        {"debian:12-slim", "floating-base:1"},
        {"scratch", ""},
        {"$BASE", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_codes(gal_arena_printf(&arena, "FROM %s\n" GOOD_END, rows[i].image), rows[i].want);
}

static void what_a_builder_has_is_not_shipped(void **state)
{
    (void)state;
    assert_codes("FROM nvidia/cuda:12.1.0-devel AS b\nRUN apt-get install gcc\n" SLIM GOOD_END, "");
    assert_codes("FROM nvidia/cuda:12.1.0-devel AS b\nFROM b\n" GOOD_END, "devel-base:1");
}

static void layers_keep_what_a_run_leaves(void **state)
{
    (void)state;
    assert_codes(SLIM "RUN apt-get update && \\\n # why\n apt-get -y install curl\n" GOOD_END,
                 "apt-recommends:2 package-lists:2");
    assert_codes(SLIM "RUN apt-get install --no-install-recommends gcc=4:12 libx-dev && rm -rf "
                      "/var/lib/apt/lists/*\n" GOOD_END,
                 "one-stage:1 compiler:2 compiler:2");
    assert_codes(SLIM "RUN pip install -r requirements.txt\n" GOOD_END, "package-cache:2");
    assert_codes(SLIM
                 "ENV PIP_NO_CACHE_DIR=1\nRUN pip install numpy torch==2.2.0 ./x a.whl\n" GOOD_END,
                 "unpinned:3");
    assert_codes(SLIM
                 "RUN <<EOF\napt-get install curl\npython3 -m pip install -q x\nEOF\n" GOOD_END,
                 "apt-recommends:2 package-cache:2 package-lists:2 unpinned:2");
}

static void what_only_looks_like_something_is_nothing(void **state)
{
    (void)state;
    assert_codes(SLIM "RUN python -c \"print(1 <<2)\"\n" GOOD_END, "");
    assert_codes(SLIM "RUN pip install --no-cache-dir --root-user-action ignore numpy==1.2 > "
                      "/dev/null 2>&1\n" GOOD_END,
                 "");
    assert_codes("FROM python:3.12.8-alpine3.20 AS b\n" SLIM GOOD_END, "");
}

static void the_order_of_copies_and_installs_counts(void **state)
{
    (void)state;
    assert_codes(SLIM "COPY . /app\nRUN pip install --no-cache-dir -r requirements.txt\n"
                      "RUN pip install --no-cache-dir x==1\n" GOOD_END,
                 "cache-order:3");
    assert_string_equal(codes(SLIM "COPY . /app\nADD . /b\n" GOOD_END, false), "no-dockerignore:2");
    assert_string_equal(codes(SLIM "COPY src /app\n" GOOD_END, false), "");
}

static void who_runs_it_and_who_asks_for_its_health(void **state)
{
    (void)state;
    assert_codes(SLIM, "no-healthcheck:0 root-user:0");
    assert_codes(SLIM "USER app\nUSER root\nHEALTHCHECK CMD x\n", "root-user:0");
    assert_codes(SLIM "USER app\nHEALTHCHECK CMD x\nHEALTHCHECK NONE\n", "no-healthcheck:0");
    assert_codes(SLIM "USER app\nHEALTHCHECK CMD x\nCMD python a.py\n", "shell-form:4");
    assert_codes(SLIM "USER app\n" SLIM "HEALTHCHECK CMD x\n", "root-user:0");
    assert_codes("FROM python:3.12.8-slim AS b\nUSER app\nFROM b\nHEALTHCHECK CMD x\n", "");
}

static void secrets_and_urls_are_told_without_their_values(void **state)
{
    struct gal_lint l;
    (void)state;
    const char *text =
        SLIM "ENV DB_PASSWORD=hunter2 MODE=x\nARG API_TOKEN\nARG HF_TOKEN=$T\n" GOOD_END;
    assert_int_equal(gal_lint_dockerfile(gal_str_of(text), true, &arena, &l, NULL), GAL_OK);
    assert_int_equal(l.count, 1);
    assert_string_equal(l.findings[0].code, "secret-env");
    assert_non_null(strstr(l.findings[0].message, "DB_PASSWORD"));
    assert_null(strstr(l.findings[0].message, "hunter2"));
    assert_codes(SLIM "ENV API_KEY sk-12345\nENV MODE fast\n" GOOD_END, "secret-env:2");
    assert_codes(SLIM "ADD https://x/y /z\nADD --checksum=sha256:a https://x/y /z\n" GOOD_END,
                 "add-url:2");
}

static void an_escape_directive_changes_how_lines_go_on(void **state)
{
    (void)state;
    assert_codes("# escape=`\n" SLIM "RUN pip `\n install x==1\n" GOOD_END, "package-cache:3");
}

static void what_is_no_dockerfile_is_told_with_its_line(void **state)
{
    (void)state;
    assert_codes("RUN x\n", "it has no FROM");
    assert_codes("FROM x\n\nMAKE all\n", "line 3: 'MAKE' is no instruction of a Dockerfile");
    assert_codes("FROM --platform=a\n", "line 1: FROM names no image");
    assert_codes("FROM x\nRUN <<EOF\nls\n", "line 2: the here document EOF has no end");
}

static void without_memory_it_is_an_error(void **state)
{
    static const char text[] = "FROM python:3.10\nCOPY . .\nRUN <<EOF\npip install a b c\nEOF\n";
    struct gal_lint l = {.count = 0};
    uint64_t i;
    (void)state;
    for (i = 1; i < 1000; i++) {
        struct gal_arena own;
        gal_arena_init(&own, 64, 0, 1u << 20);
        gal_alloc_fail_at(i, 1);
        enum gal_status status = gal_lint_dockerfile(gal_str_of(text), false, &own, &l, NULL);
        gal_alloc_fail_at(0, 0);
        size_t count = l.count;
        gal_arena_release(&own);
        assert_true(status == GAL_OK || status == GAL_NO_MEMORY);
        if (status == GAL_OK) {
            assert_int_equal(count, 10);
            break;
        }
    }
    assert_in_range(i, 2, 999);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_good_file_has_no_findings),
        TEST(bases_are_judged_by_their_names),
        TEST(what_a_builder_has_is_not_shipped),
        TEST(layers_keep_what_a_run_leaves),
        TEST(the_order_of_copies_and_installs_counts),
        TEST(who_runs_it_and_who_asks_for_its_health),
        TEST(what_only_looks_like_something_is_nothing),
        TEST(secrets_and_urls_are_told_without_their_values),
        TEST(an_escape_directive_changes_how_lines_go_on),
        TEST(what_is_no_dockerfile_is_told_with_its_line),
        TEST(without_memory_it_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
