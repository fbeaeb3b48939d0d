/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/shm.h"
#include "base/limits.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static struct gal_shm *shm;
static struct gal_arena arena;
static struct gal_err err;
static char key[64], path[96];

static int set_up(void **state)
{
    int fd;

    (void)state;
    shm = gal_shm_new();
    gal_arena_init(&arena, 4096, 0, 1 << 20);
    snprintf(key, sizeof(key), "/galley-test-shm-%d", (int)getpid());
    snprintf(path, sizeof(path), "/dev/shm%s", key);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, 4096) != 0)
        return -1;
    close(fd);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    gal_shm_free(shm);
    gal_arena_release(&arena);
    return 0;
}

static enum gal_status add(const char *name, uint64_t offset, uint64_t size)
{
    return gal_shm_register(shm, gal_str_of(name), gal_str_of(key), offset, size, &err);
}

static void what_is_written_is_read(void **state)
{
    struct gal_shm_region *r;
    char got[8];

    (void)state;
    assert_int_equal(add("r", 16, 64), GAL_OK);
    assert_int_equal(gal_shm_use(shm, GAL_STR("r"), 8, 8, &r, &err), GAL_OK);
    assert_int_equal(gal_shm_write(r, 8, "abcdefg", 8, &err), GAL_OK);
    assert_int_equal(gal_shm_read(r, 8, got, 8, &err), GAL_OK);
    assert_string_equal(got, "abcdefg");
    gal_shm_region_unref(r);
    /* another region of the same object sees it where it lies */
    assert_int_equal(add("whole", 0, 4096), GAL_OK);
    assert_int_equal(gal_shm_use(shm, GAL_STR("whole"), 24, 8, &r, &err), GAL_OK);
    assert_int_equal(gal_shm_read(r, 24, got, 8, &err), GAL_OK);
    assert_string_equal(got, "abcdefg");
    gal_shm_region_unref(r);
}

static void bounds_are_kept(void **state)
{
    struct gal_shm_region *r;

    (void)state;
    assert_int_equal(add("r", 0, 4097), GAL_INVALID);
    assert_int_equal(add("r", 1, 4096), GAL_INVALID);
    assert_int_equal(add("r", 0, 0), GAL_INVALID);
    assert_int_equal(add("r", UINT64_MAX, UINT64_MAX), GAL_INVALID);
    assert_int_equal(add("", 0, 8), GAL_INVALID);
    assert_int_equal(add("r", 4032, 64), GAL_OK);
    assert_int_equal(add("r", 0, 64), GAL_CONFLICT);
    assert_int_equal(gal_shm_use(shm, GAL_STR("r"), 0, 64, &r, &err), GAL_OK);
    gal_shm_region_unref(r);
    assert_int_equal(gal_shm_use(shm, GAL_STR("r"), 0, 65, &r, &err), GAL_INVALID);
    assert_null(r);
    assert_int_equal(gal_shm_use(shm, GAL_STR("r"), 64, 0, &r, &err), GAL_OK);
    gal_shm_region_unref(r);
    assert_int_equal(gal_shm_use(shm, GAL_STR("r"), 65, 0, &r, &err), GAL_INVALID);
    assert_int_equal(gal_shm_use(shm, GAL_STR("r"), UINT64_MAX, 2, &r, &err), GAL_INVALID);
    assert_int_equal(gal_shm_use(shm, GAL_STR("x"), 0, 1, &r, &err), GAL_NOT_FOUND);
}

static void a_use_outlives_its_unregister(void **state)
{
    struct gal_shm_region *r;
    char got[4];

    (void)state;
    assert_int_equal(add("r", 0, 64), GAL_OK);
    assert_int_equal(gal_shm_use(shm, GAL_STR("r"), 0, 4, &r, &err), GAL_OK);
    gal_shm_unregister(shm, GAL_STR("r"));
    gal_shm_unregister(shm, GAL_STR("r"));
    assert_int_equal(gal_shm_read(r, 0, got, 4, &err), GAL_OK);
    gal_shm_region_unref(r);
    assert_int_equal(add("r", 0, 64), GAL_OK);
}

static void memory_that_has_shrunk_is_an_error(void **state)
{
    struct gal_shm_region *r;
    char got[4096] = {0};

    (void)state;
    assert_int_equal(add("r", 0, 4096), GAL_OK);
    assert_int_equal(gal_shm_use(shm, GAL_STR("r"), 0, 4096, &r, &err), GAL_OK);
    assert_int_equal(truncate(path, 10), 0);
    assert_int_equal(gal_shm_read(r, 0, got, 10, &err), GAL_OK);
    assert_int_equal(gal_shm_read(r, 0, got, 11, &err), GAL_INVALID);
    assert_int_equal(gal_shm_write(r, 0, got, 4096, &err), GAL_INVALID);
    gal_shm_region_unref(r);
}

static void the_status_is_by_name(void **state)
{
    struct gal_shm_status *rows;
    size_t count;

    (void)state;
    assert_int_equal(add("b", 0, 8), GAL_OK);
    assert_int_equal(add("a", 8, 16), GAL_OK);
    assert_int_equal(add("ab", 0, 8), GAL_OK);
    assert_int_equal(gal_shm_status(shm, (struct gal_str){NULL, 0}, &arena, &rows, &count, &err),
                     GAL_OK);
    assert_int_equal(count, 3);
    assert_true(gal_str_is(rows[0].name, "a") && gal_str_is(rows[1].name, "ab") &&
                gal_str_is(rows[2].name, "b"));
    assert_int_equal(rows[0].offset, 8);
    assert_int_equal(rows[0].byte_size, 16);
    assert_true(gal_str_is(rows[0].key, key));
    assert_int_equal(gal_shm_status(shm, GAL_STR("c"), &arena, &rows, &count, &err), GAL_NOT_FOUND);
    gal_shm_unregister(shm, (struct gal_str){NULL, 0});
    assert_int_equal(gal_shm_status(shm, (struct gal_str){NULL, 0}, &arena, &rows, &count, &err),
                     GAL_OK);
    assert_int_equal(count, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_is_written_is_read),       TEST(bounds_are_kept),
        TEST(a_use_outlives_its_unregister), TEST(memory_that_has_shrunk_is_an_error),
        TEST(the_status_is_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
