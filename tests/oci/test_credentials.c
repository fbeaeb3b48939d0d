/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/credentials.h"

#include "base/file.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ME "bWU6cHc=" /* me:pw */

/* A directory of the test's own, and an environment that knows it alone. */
struct box {
    char dir[64], home[96], path[96];
    char *env[3];
    struct gal_arena arena;
    struct gal_credential_places places;
};

static void box_open(struct box *b)
{
    snprintf(b->dir, sizeof b->dir, "/tmp/galley-test-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    snprintf(b->home, sizeof b->home, "DOCKER_CONFIG=%s", b->dir);
    snprintf(b->path, sizeof b->path, "%s/config.json", b->dir);
    b->env[0] = b->home;
    b->env[1] = NULL;
    gal_arena_init(&b->arena, 4096, 0, 1 << 20);
    b->places = (struct gal_credential_places){.env = b->env};
}

static void box_close(struct box *b)
{
    gal_arena_release(&b->arena);
    unlink(b->path);
    assert_int_equal(rmdir(b->dir), 0);
}

static struct gal_credential read_text(const char *text, const char *host, const char *repository,
                                       enum gal_status expected)
{
    static struct gal_arena arena;
    struct gal_credential c;
    const char *helper;
    gal_arena_release(&arena);
    gal_arena_init(&arena, 4096, 0, 1 << 20);
    assert_int_equal(
        gal_credentials_read(gal_str_of(text), host, repository, &arena, &c, &helper, NULL),
        expected);
    return c;
}

static void entries_are_found_under_all_their_names(void **state)
{
    static const struct {
        const char *key, *host, *repository;
        bool found;
    } rows[] = {
        {"r.example.com", "r.example.com", "a/b", true},
        {"https://r.example.com", "r.example.com", NULL, true},
        {"https://r.example.com/v2/", "r.example.com", "a/b", true},
        {"R.EXAMPLE.COM/", "r.example.com", NULL, true},
        {"https://index.docker.io/v1/", "docker.io", "library/a", true},
        {"r.example.com/a", "r.example.com", "a/b", true},
        {"r.example.com/a/b", "r.example.com", "a/b", true},
        {"r.example.com/a/b", "r.example.com", "a/bc", false},
        {"r.example.com/a/b", "r.example.com", NULL, false},
        {"r.example.com:5000", "r.example.com", "a", false},
        {"r.example.co", "r.example.com", "a", false},
        {"", "r.example.com", "a", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[200];
        snprintf(text, sizeof text, "{\"auths\":{\"%s\":{\"auth\":\"" ME "\"}}}", rows[i].key);
        struct gal_credential c = read_text(text, rows[i].host, rows[i].repository, GAL_OK);
        assert_int_equal(c.user != NULL, rows[i].found);
        if (rows[i].found) {
            assert_string_equal(c.user, "me");
            assert_string_equal(c.password, "pw");
        }
    }
}

static void the_entry_that_names_most_counts(void **state)
{
    static const char text[] = "{\"auths\":{\"h.io/a\":{\"username\":\"two\",\"password\":\"x\"},"
                               "\"h.io\":{\"username\":\"one\",\"password\":\"x\"},"
                               "\"h.io/a/b\":{\"username\":\"three\",\"password\":\"x\"}}}";
    (void)state;
    assert_string_equal(read_text(text, "h.io", "a/b", GAL_OK).user, "three");
    assert_string_equal(read_text(text, "h.io", "a/c", GAL_OK).user, "two");
    assert_string_equal(read_text(text, "h.io", "c", GAL_OK).user, "one");
}

static void tokens_take_the_place_of_passwords(void **state)
{
    (void)state;
    struct gal_credential c = read_text("{\"auths\":{\"h.io\":{\"auth\":\"" ME
                                        "\",\"identitytoken\":\"it\",\"registrytoken\":"
                                        "\"rt\"}}}",
                                        "h.io", NULL, GAL_OK);
    assert_string_equal(c.identity_token, "it");
    assert_string_equal(c.registry_token, "rt");
}

static void files_that_are_none_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{",
        "null",
        "{\"auths\":{\"h.io\":{\"auth\":\"?\"}}}",
        "{\"auths\":{\"h.io\":{\"auth\":\"bm9jb2xvbg==\"}}}", /* nocolon */
        "{\"auths\":{\"h.io\":{\"auth\":\"bQA6cA==\"}}}",     /* m NUL : p */
    };
    static const char *const odd[] = {
        "{\"auths\":[]}",
        "{\"auths\":{\"h.io\":7}}",
        "{\"auths\":{\"h.io\":{\"auth\":7}}}",
        "{\"auths\":{\"h.io\":{}},\"credsStore\":\"\",\"credHelpers\":{\"h.io\":3}}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        read_text(bad[i], "h.io", NULL, GAL_INVALID);
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
        assert_null(read_text(odd[i], "h.io", NULL, GAL_OK).user);
}

static void what_is_stored_is_found_and_erased(void **state)
{
    struct box b;
    struct gal_credential c;
    struct gal_err err;
    struct stat st;
    const char *path, *helper;
    bool found;
    (void)state;
    box_open(&b);
    assert_int_equal(gal_credentials_find(&b.places, "h.io", NULL, &b.arena, &c, &err), GAL_OK);
    assert_null(c.origin);
    for (int i = 0; i < 2; i++)
        assert_int_equal(gal_credentials_store(&b.places, i ? "docker.io" : "h.io", "me", "p:w\"",
                                               &b.arena, &path, &helper, &err),
                         GAL_OK);
    assert_string_equal(path, b.path);
    assert_string_equal(helper, "");
    assert_int_equal(stat(b.path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(gal_credentials_find(&b.places, "docker.io", NULL, &b.arena, &c, &err),
                     GAL_OK);
    assert_string_equal(c.user, "me");
    assert_string_equal(c.password, "p:w\"");
    assert_string_equal(c.origin, b.path);
    assert_int_equal(gal_credentials_erase(&b.places, "h.io", &b.arena, &path, &found, &err),
                     GAL_OK);
    assert_true(found);
    assert_int_equal(gal_credentials_erase(&b.places, "h.io", &b.arena, &path, &found, &err),
                     GAL_OK);
    assert_false(found);
    assert_int_equal(gal_credentials_find(&b.places, "h.io", NULL, &b.arena, &c, &err), GAL_OK);
    assert_null(c.origin);
    box_close(&b);
}

static void memory_that_is_out_loses_no_file(void **state)
{
    struct box b;
    struct gal_buf before, after;
    const char *path, *helper;
    enum gal_status status = GAL_NO_MEMORY;
    (void)state;
    box_open(&b);
    assert_int_equal(
        gal_credentials_store(&b.places, "h.io", "me", "pw", &b.arena, &path, &helper, NULL),
        GAL_OK);
    assert_int_equal(gal_file_read(b.path, 65536, &before, NULL), GAL_OK);
    for (uint64_t i = 1; status != GAL_OK; i++) {
        assert_true(i < 200);
        gal_arena_clear(&b.arena);
        gal_alloc_fail_at(i, 1);
        status = gal_credentials_store(&b.places, "other.io", "me", "pw", &b.arena, &path, &helper,
                                       NULL);
        gal_alloc_fail_at(0, 0);
        assert_int_equal(gal_file_read(b.path, 65536, &after, NULL), GAL_OK);
        /* As it was, or whole: what failed last may lie behind the renaming. */
        assert_true(gal_str_eq(gal_buf_str(&before), gal_buf_str(&after)) ||
                    (memmem(after.p, after.n, "\"h.io\"", 6) &&
                     memmem(after.p, after.n, "\"other.io\"", 10)));
        gal_buf_release(&after);
    }
    gal_buf_release(&before);
    box_close(&b);
}

/* Time leaps ten seconds a look. */
static uint64_t leap(void *ctx)
{
    return *(uint64_t *)ctx += 10000000;
}

static void a_helper_that_hangs_is_ended(void **state)
{
    struct box b;
    uint64_t now = 0;
    struct gal_clock clock = {.mono_us = leap, .wall_us = leap, .ctx = &now};
    char script[96], search[8192];
    struct gal_str out;
    struct gal_err err;
    bool ok;
    (void)state;
    box_open(&b);
    snprintf(script, sizeof script, "%s/docker-credential-slow", b.dir);
    FILE *f = fopen(script, "w");
    assert_non_null(f);
    fputs("#!/bin/sh\nexec sleep 1000\n", f);
    fclose(f);
    chmod(script, 0755);
    snprintf(search, sizeof search, "%s:%s", b.dir, getenv("PATH"));
    char *was = strdup(getenv("PATH"));
    setenv("PATH", search, 1); /* the one that spawning searches */
    b.places.clock = &clock;
    b.places.env = environ;
    assert_int_equal(
        gal_credential_helper(&b.places, "slow", "get", GAL_STR("h.io"), &b.arena, &out, &ok, &err),
        GAL_DEADLINE);
    assert_false(ok);
    assert_int_equal(gal_credential_helper(&b.places, "../../bin/sh", "get", GAL_STR("h.io"),
                                           &b.arena, &out, &ok, &err),
                     GAL_INVALID);
    setenv("PATH", was, 1);
    free(was);
    unlink(script);
    box_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_found_under_all_their_names),
        cmocka_unit_test(the_entry_that_names_most_counts),
        cmocka_unit_test(tokens_take_the_place_of_passwords),
        cmocka_unit_test(files_that_are_none_are_refused),
        cmocka_unit_test(what_is_stored_is_found_and_erased),
        cmocka_unit_test(memory_that_is_out_loses_no_file),
        cmocka_unit_test(a_helper_that_hangs_is_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
