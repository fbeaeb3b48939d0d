/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file_write.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];

static const char *in(const char *name)
{
    static char paths[8][160];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/galley-test-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return gal_dir_remove(dir, NULL) == GAL_OK ? 0 : -1;
}

static size_t count_names(void)
{
    size_t count = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    while (readdir(d))
        count++;
    (void)closedir(d);
    return count - 2;
}

static void check_content(const char *name, const char *want)
{
    struct gal_buf b;
    assert_int_equal(gal_file_read(in(name), 4096, &b, NULL), GAL_OK);
    assert_true(gal_str_is(gal_buf_str(&b), want));
    gal_buf_release(&b);
}

static enum gal_file_kind kind_of(const char *name)
{
    struct gal_file_info info;
    assert_int_equal(gal_file_stat_link(in(name), &info, NULL), GAL_OK);
    return info.kind;
}

static void a_file_is_there_when_it_is_whole(void **state)
{
    (void)state;
    struct gal_file_writer *w;
    assert_int_equal(gal_file_put(in("a"), GAL_STR("before"), NULL), GAL_OK);
    assert_int_equal(gal_file_create(in("a"), &w, NULL), GAL_OK);
    assert_int_equal(gal_file_write(w, GAL_STR("af"), NULL), GAL_OK);
    check_content("a", "before");
    assert_int_equal(gal_file_write(w, GAL_STR("ter"), NULL), GAL_OK);
    assert_int_equal(gal_file_commit(w, NULL), GAL_OK);
    check_content("a", "after");
    assert_int_equal(gal_file_create(in("b"), &w, NULL), GAL_OK);
    gal_file_abandon(w);
    gal_file_abandon(NULL);
    assert_int_equal(count_names(), 1);
    assert_int_equal(gal_file_create(in("none/b"), &w, NULL), GAL_NOT_FOUND);
    assert_null(w);
}

static void a_link_is_replaced_not_followed(void **state)
{
    (void)state;
    struct gal_file_writer *w;
    struct gal_err err;
    assert_int_equal(gal_file_put(in("target"), GAL_STR("mine"), NULL), GAL_OK);
    assert_int_equal(symlink("target", in("link")), 0);
    assert_int_equal(gal_file_create_new(in("link"), &w, &err), GAL_CONFLICT);
    assert_int_equal(gal_file_put(in("link"), GAL_STR("new"), NULL), GAL_OK);
    check_content("target", "mine");
    check_content("link", "new");
    assert_int_equal(kind_of("link"), GAL_FILE_REGULAR);
}

static void a_scratch_file_has_no_name(void **state)
{
    (void)state;
    struct gal_file_writer *w;
    struct gal_buf b;
    assert_int_equal(gal_file_create_scratch(in("beside"), &w, NULL), GAL_OK);
    assert_int_equal(gal_file_write(w, GAL_STR("gone soon"), NULL), GAL_OK);
    assert_int_equal(gal_file_read(gal_file_writer_path(w), 100, &b, NULL), GAL_OK);
    assert_true(gal_str_is(gal_buf_str(&b), "gone soon"));
    gal_buf_release(&b);
    assert_int_equal(count_names(), 0);
    gal_file_abandon(w);
    assert_int_equal(gal_file_create_scratch("/nowhere/at/all", &w, NULL), GAL_OK); /* in /tmp */
    gal_file_abandon(w);
}

static void directories_are_placed_whole(void **state)
{
    (void)state;
    char *made;
    struct gal_err err;
    assert_int_equal(gal_dir_make_beside(in("d/"), &made, NULL), GAL_OK);
    assert_int_equal(kind_of("d"), GAL_FILE_NONE);
    assert_int_equal(gal_dir_place(made, in("d"), NULL), GAL_OK);
    gal_free(made);
    assert_int_equal(kind_of("d"), GAL_FILE_DIR);
    assert_int_equal(gal_dir_make_beside(in("d"), &made, NULL), GAL_OK);
    assert_int_equal(gal_dir_place(made, in("d"), NULL), GAL_OK); /* an empty one gives way */
    gal_free(made);
    assert_int_equal(gal_file_put(in("d/file"), GAL_STR("x"), NULL), GAL_OK);
    assert_int_equal(gal_dir_make_beside(in("d"), &made, NULL), GAL_OK);
    assert_int_equal(gal_dir_place(made, in("d"), &err), GAL_CONFLICT);
    assert_int_equal(gal_dir_place(made, in("d/file"), &err), GAL_CONFLICT);
    assert_int_equal(gal_dir_remove(made, NULL), GAL_OK);
    gal_free(made);
    assert_int_equal(count_names(), 1);
}

static void directories_are_made_and_removed(void **state)
{
    (void)state;
    struct gal_err err;
    assert_int_equal(gal_dir_make(in("a/b"), &err), GAL_NOT_FOUND);
    assert_int_equal(gal_dir_make_all(in("a/b//c/"), NULL), GAL_OK);
    assert_int_equal(gal_dir_make_all(in("a/b/c"), NULL), GAL_OK);
    assert_int_equal(kind_of("a/b/c"), GAL_FILE_DIR);
    assert_int_equal(gal_file_put(in("kept"), GAL_STR("x"), NULL), GAL_OK);
    assert_int_equal(gal_file_put(in("a/.hidden"), GAL_STR("x"), NULL), GAL_OK);
    assert_int_equal(symlink("../../kept", in("a/b/link")), 0);
    assert_int_equal(symlink("..", in("a/b/up")), 0);
    assert_int_equal(gal_dir_make(in("kept"), &err), GAL_IO);
    assert_int_equal(gal_dir_make_all(in("kept/a"), &err), GAL_IO);
    assert_int_equal(gal_dir_remove(in("a"), NULL), GAL_OK);
    assert_int_equal(gal_dir_remove(in("a"), NULL), GAL_OK);
    assert_int_equal(kind_of("a"), GAL_FILE_NONE);
    check_content("kept", "x");
    /* A link to a directory is no directory. */
    assert_int_equal(gal_dir_make(in("real"), NULL), GAL_OK);
    assert_int_equal(symlink("real", in("alias")), 0);
    assert_int_not_equal(gal_dir_remove(in("alias"), NULL), GAL_OK);
    assert_int_equal(kind_of("real"), GAL_FILE_DIR);
}

/* Deeper than gal_dir_remove goes. */
static void make_deep(const char *path)
{
    char at[2048];
    size_t n = (size_t)snprintf(at, sizeof at, "%s", path);
    for (unsigned i = 0; i < 200; i++) {
        n += (size_t)snprintf(at + n, sizeof at - n, "/d");
        assert_int_equal(mkdir(at, 0700), 0);
    }
    (void)snprintf(at + n, sizeof at - n, "/file");
    assert_int_equal(gal_file_put(at, GAL_STR("x"), NULL), GAL_OK);
}

static void a_temporary_directory_is_ours_and_goes_whole(void **state)
{
    (void)state;
    char *one, *two;
    struct stat st;
    assert_int_equal(gal_file_put(in("kept"), GAL_STR("x"), NULL), GAL_OK);
    assert_int_equal(setenv("TMPDIR", dir, 1), 0);
    assert_int_equal(gal_dir_make_temporary("test", &one, NULL), GAL_OK);
    assert_int_equal(gal_dir_make_temporary("test", &two, NULL), GAL_OK);
    assert_string_not_equal(one, two);
    assert_memory_equal(one, in("galley-test-"), strlen(in("galley-test-")));
    assert_int_equal(stat(one, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    make_deep(one);
    char link[160];
    (void)snprintf(link, sizeof link, "%s/link", two);
    assert_int_equal(symlink(in("kept"), link), 0);
    assert_int_equal(count_names(), 3);
    gal_dir_remove_temporary(one);
    gal_dir_remove_temporary(two);
    gal_dir_remove_temporary(NULL);
    assert_int_equal(count_names(), 1);
    check_content("kept", "x");
}

static void a_temporary_directory_that_cannot_be_made_is_told(void **state)
{
    (void)state;
    char *made;
    struct gal_err err;
    assert_int_equal(setenv("TMPDIR", in("none"), 1), 0);
    assert_int_equal(gal_dir_make_temporary("test", &made, &err), GAL_IO);
    assert_null(made);
    assert_non_null(strstr(err.message, in("none")));
    assert_non_null(strstr(err.hint, "TMPDIR"));
    assert_int_equal(setenv("TMPDIR", dir, 1), 0);
    gal_file_fail_at(1);
    assert_int_equal(gal_dir_make_temporary("test", &made, &err), GAL_IO);
    gal_file_fail_at(0);
    gal_alloc_fail_at(1, 1);
    assert_int_equal(gal_dir_make_temporary("test", &made, &err), GAL_NO_MEMORY);
    gal_alloc_fail_at(0, 0);
    assert_int_equal(count_names(), 0);
    /* Of a place that depends on where one stands nobody else would know. */
    assert_int_equal(setenv("TMPDIR", "relative", 1), 0);
    assert_int_equal(gal_dir_make_temporary("test", &made, &err), GAL_OK);
    assert_memory_equal(made, "/tmp/galley-test-", 17);
    gal_dir_remove_temporary(made);
}

static void failures_keep_what_was_there(void **state)
{
    (void)state;
    enum gal_status status = GAL_IO;
    assert_int_equal(gal_file_put(in("a"), GAL_STR("before"), NULL), GAL_OK);
    for (uint64_t i = 1; status; i++) {
        struct gal_err err;
        gal_file_fail_at(i);
        status = gal_file_put(in("a"), GAL_STR("after"), &err);
        gal_file_fail_at(0);
        assert_true(status == GAL_OK || (status == GAL_IO && strstr(err.message, "/a: ")));
        struct gal_buf b;
        assert_int_equal(gal_file_read(in("a"), 100, &b, NULL), GAL_OK);
        assert_true(gal_str_is(gal_buf_str(&b), "before") || gal_str_is(gal_buf_str(&b), "after"));
        gal_buf_release(&b);
        assert_int_equal(count_names(), 1);
        assert_true(i < 20);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_is_there_when_it_is_whole),
        TEST(a_link_is_replaced_not_followed),
        TEST(a_scratch_file_has_no_name),
        TEST(directories_are_placed_whole),
        TEST(directories_are_made_and_removed),
        TEST(failures_keep_what_was_there),
        TEST(a_temporary_directory_is_ours_and_goes_whole),
        TEST(a_temporary_directory_that_cannot_be_made_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
