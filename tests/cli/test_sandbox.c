/* SPDX-License-Identifier: Apache-2.0 */
/* What a process in the sandbox can see and do: a shell tells. */
#include "cli/sandbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static char dir[] = "/tmp/galley-test-sandbox-XXXXXX";
static char outside[64];

struct result {
    enum gal_status status;
    int code;
    struct gal_err err;
    char log[4096];
};

static struct result run(const char *program, const char *script, struct gal_sandbox box)
{
    const char *argv[] = {program, "-c", script, NULL};
    static char path[] = "PATH=/usr/bin:/bin", lang[] = "LANG=C.UTF-8",
                secret[] = "AWS_SECRET_ACCESS_KEY=secret", python[] = "PYTHONPATH=/evil",
                proxy[] = "https_proxy=http://p:1", home[] = "HOME=/root",
                blas[] = "OPENBLAS_CORETYPE=Zen";
    char *env[] = {path, lang, secret, python, proxy, home, blas, NULL};
    struct result r = {.code = -1};
    struct gal_buf log;

    gal_buf_init(&log, sizeof(r.log) - 1);
    box.argv = argv;
    box.dir = dir;
    box.env = env;
    box.timeout_us = box.timeout_us ? box.timeout_us : 60000000;
    r.status = gal_sandbox_run(&box, &r.code, &log, &r.err);
    if (log.n)
        memcpy(r.log, log.p, log.n);
    gal_buf_release(&log);
    /* A system that closes namespaces to this user refuses: that is the promise too, but leaves
     * nothing to test. */
    if (r.status == GAL_UNSUPPORTED) {
        print_message("no network namespace here: %s\n", r.err.message);
        skip();
    }
    return r;
}

static struct result shell(const char *script)
{
    return run("/bin/sh", script, (struct gal_sandbox){0});
}

static void what_it_says_and_its_exit_code_come_back(void **state)
{
    struct result r = shell("echo out; echo err >&2; exit 3");

    (void)state;
    assert_int_equal(r.status, GAL_OK);
    assert_int_equal(r.code, 3);
    assert_string_equal(r.log, "out\nerr\n");
    r = shell("kill -9 $$");
    assert_int_equal(r.code, 128 + 9);
}

static void it_has_no_network(void **state)
{
    struct result r = shell("grep -c : /proc/net/dev; grep : /proc/net/dev");

    (void)state;
    assert_int_equal(r.status, GAL_OK);
    assert_int_equal(r.log[0], '1');
    assert_non_null(strstr(r.log, "lo:"));
}

static void its_environment_holds_no_secrets(void **state)
{
    struct result r = shell("env");

    (void)state;
    assert_null(strstr(r.log, "secret"));
    assert_null(strstr(r.log, "PYTHONPATH"));
    assert_null(strstr(r.log, "proxy"));
    assert_null(strstr(r.log, "HOME=/root"));
    assert_non_null(strstr(r.log, dir));
    assert_non_null(strstr(r.log, "OPENBLAS_CORETYPE=Zen"));
}

static void it_writes_in_its_directory_alone(void **state)
{
    char script[256];
    struct result r =
        shell("mkdir -p a b && echo x > a/in && mv a/in b/in && cat b/in && pwd && rm -r a b");

    (void)state;
    assert_int_equal(r.code, 0);
    assert_int_equal(strncmp(r.log, "x\n/tmp/", 7), 0);
    if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 2) {
        print_message("the kernel has no Landlock: writing outside is not prevented\n");
        return;
    }
    snprintf(script, sizeof(script), "echo x > %s && echo written", outside);
    r = shell(script);
    assert_null(strstr(r.log, "written"));
    assert_int_not_equal(access(outside, F_OK), 0);
}

static void it_ends_in_time_with_all_it_started(void **state)
{
    struct result r =
        run("/bin/sh", "sleep 100 & sleep 100", (struct gal_sandbox){.timeout_us = 300000});

    (void)state;
    assert_int_equal(r.status, GAL_DEADLINE);
    assert_non_null(strstr(r.err.message, "has not ended"));
}

static void its_memory_is_bounded(void **state)
{
    const char *hungry = "x=$(head -c 400000000 /dev/zero | tr '\\0' a); echo ${#x}";
    struct result r = run("/bin/sh", hungry, (struct gal_sandbox){.memory_bytes = 100u << 20});

    (void)state;
    assert_int_equal(r.status, GAL_OK);
    assert_null(strstr(r.log, "400000000"));
}

static void a_program_that_is_not_there_is_an_error(void **state)
{
    struct result r = run("/nowhere/python", "", (struct gal_sandbox){0});

    (void)state;
    assert_int_equal(r.status, GAL_NOT_FOUND);
    assert_non_null(strstr(r.err.message, "/nowhere/python"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_says_and_its_exit_code_come_back),
        cmocka_unit_test(it_has_no_network),
        cmocka_unit_test(its_environment_holds_no_secrets),
        cmocka_unit_test(it_writes_in_its_directory_alone),
        cmocka_unit_test(it_ends_in_time_with_all_it_started),
        cmocka_unit_test(its_memory_is_bounded),
        cmocka_unit_test(a_program_that_is_not_there_is_an_error),
    };
    int failed;

    if (!mkdtemp(dir))
        return 1;
    snprintf(outside, sizeof(outside), "%.40s-outside", dir);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)unlink(outside);
    (void)rmdir(dir);
    return failed;
}
