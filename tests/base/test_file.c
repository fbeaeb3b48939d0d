/* SPDX-License-Identifier: Apache-2.0 */
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

/* A folder of its own: a.txt "hello", big (100000 bytes), empty, .hidden, sub/. */
struct place {
    char dir[64];
};

static char *path_in(const struct place *p, const char *name)
{
    char *path = gal_path_join(p->dir, name);
    assert_non_null(path);
    return path;
}

static void write_file(const struct place *p, const char *name, size_t n)
{
    char *path = path_in(p, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    for (size_t i = 0; i < n; i++)
        assert_true(fputc((int)("hello"[i % 5]), f) >= 0);
    assert_int_equal(fclose(f), 0);
    gal_free(path);
}

static int set_up(void **state)
{
    static struct place p;
    snprintf(p.dir, sizeof p.dir, "/tmp/galley-test-XXXXXX");
    assert_non_null(mkdtemp(p.dir));
    write_file(&p, "a.txt", 5);
    write_file(&p, "big", 100000);
    write_file(&p, "empty", 0);
    write_file(&p, ".hidden", 1);
    char *sub = path_in(&p, "sub");
    assert_int_equal(mkdir(sub, 0700), 0);
    gal_free(sub);
    *state = &p;
    return 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"a.txt", "big", "empty", ".hidden", "sub"};
    const struct place *p = *state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = path_in(p, names[i]);
        (void)remove(path);
        gal_free(path);
    }
    return rmdir(p->dir);
}

static void check_kind(const struct place *p, const char *name, enum gal_file_kind kind,
                       uint64_t bytes)
{
    struct gal_file_info info;
    char *path = path_in(p, name);
    assert_int_equal(gal_file_stat(path, &info, NULL), GAL_OK);
    assert_int_equal(info.kind, kind);
    if (kind == GAL_FILE_REGULAR) {
        assert_int_equal(info.bytes, bytes);
        assert_true(info.inode != 0);
        assert_true(info.mtime_ns > INT64_C(1600000000) * 1000000000);
    }
    gal_free(path);
}

static void a_path_is_told_by_its_kind(void **state)
{
    struct gal_file_info info;
    check_kind(*state, "a.txt", GAL_FILE_REGULAR, 5);
    check_kind(*state, "empty", GAL_FILE_REGULAR, 0);
    check_kind(*state, "sub", GAL_FILE_DIR, 0);
    check_kind(*state, "missing", GAL_FILE_NONE, 0);
    check_kind(*state, "a.txt/below", GAL_FILE_NONE, 0);
    assert_int_equal(gal_file_stat("/dev/null", &info, NULL), GAL_OK);
    assert_int_equal(info.kind, GAL_FILE_OTHER);
}

static enum gal_status try_read(const struct place *p, const char *name, size_t bytes_max,
                                struct gal_buf *out, struct gal_err *err)
{
    char *path = path_in(p, name);
    enum gal_status status = gal_file_read(path, bytes_max, out, err);
    gal_free(path);
    return status;
}

static void files_are_read_whole_with_a_nul_behind(void **state)
{
    struct gal_buf b;
    assert_int_equal(try_read(*state, "a.txt", 5, &b, NULL), GAL_OK);
    assert_true(gal_str_is(gal_buf_str(&b), "hello"));
    assert_int_equal(b.p[5], 0);
    gal_buf_release(&b);
    assert_int_equal(try_read(*state, "empty", 0, &b, NULL), GAL_OK);
    assert_int_equal(b.n, 0);
    assert_int_equal(b.p[0], 0);
    gal_buf_release(&b);
    assert_int_equal(try_read(*state, "big", 1 << 20, &b, NULL), GAL_OK);
    assert_int_equal(b.n, 100000);
    assert_int_equal(b.p[99999], 'o');
    gal_buf_release(&b);
}

static void files_that_cannot_be_read_say_why(void **state)
{
    struct gal_buf b;
    struct gal_err err;
    assert_int_equal(try_read(*state, "big", 99999, &b, &err), GAL_TOO_LARGE);
    assert_null(b.p);
    assert_non_null(strstr(err.message, "/big: larger than 99999 bytes"));
    assert_int_equal(try_read(*state, "missing", 10, &b, &err), GAL_NOT_FOUND);
    assert_non_null(strstr(err.message, "/missing: No such file"));
    assert_int_equal(try_read(*state, "sub", 10, &b, &err), GAL_IO);
    assert_null(b.p);
}

static enum gal_status stop_at_once(struct gal_str piece, void *ctx)
{
    assert_true(piece.n > 0);
    ++*(int *)ctx;
    return GAL_CANCELLED;
}

static void a_scan_ends_when_told(void **state)
{
    int calls = 0;
    char *path = path_in(*state, "big");
    assert_int_equal(gal_file_scan(path, stop_at_once, &calls, NULL), GAL_CANCELLED);
    assert_int_equal(calls, 1);
    gal_free(path);
}

static void directories_are_listed_sorted_without_hidden_names(void **state)
{
    const struct place *p = *state;
    static const char *const want[] = {"a.txt", "big", "empty", "sub"};
    char **names;
    size_t count;
    assert_int_equal(gal_dir_list(p->dir, &names, &count, NULL), GAL_OK);
    assert_int_equal(count, 4);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(names[i], want[i]);
    gal_free(names);
    char *path = path_in(p, "sub");
    assert_int_equal(gal_dir_list(path, &names, &count, NULL), GAL_OK);
    assert_int_equal(count, 0);
    gal_free(names);
    gal_free(path);
    path = path_in(p, "missing");
    assert_int_equal(gal_dir_list(path, &names, &count, NULL), GAL_NOT_FOUND);
    assert_null(names);
    gal_free(path);
    path = path_in(p, "a.txt");
    assert_int_not_equal(gal_dir_list(path, &names, &count, NULL), GAL_OK);
    gal_free(path);
}

static enum gal_status try_map(const struct place *p, const char *name, struct gal_str *out)
{
    char *path = path_in(p, name);
    enum gal_status status = gal_file_map(path, out, NULL);
    gal_free(path);
    return status;
}

static void files_are_mapped(void **state)
{
    struct gal_str map;
    assert_int_equal(try_map(*state, "a.txt", &map), GAL_OK);
    assert_true(gal_str_is(map, "hello"));
    gal_file_unmap(map);
    assert_int_equal(try_map(*state, "empty", &map), GAL_OK);
    assert_true(map.p == NULL && map.n == 0);
    gal_file_unmap(map);
    assert_int_equal(try_map(*state, "missing", &map), GAL_NOT_FOUND);
    assert_int_equal(try_map(*state, "sub", &map), GAL_IO);
    assert_true(map.p == NULL && map.n == 0);
}

static void paths_are_joined_and_cut(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"/", "b", "/b"}, {"", "b", "b"}, {"a", "", "a/"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *path = gal_path_join(rows[i][0], rows[i][1]);
        assert_string_equal(path, rows[i][2]);
        gal_free(path);
    }
    assert_string_equal(gal_path_base("/a/b.onnx"), "b.onnx");
    assert_string_equal(gal_path_base("b"), "b");
    assert_string_equal(gal_path_base("a/"), "");
}

/* Every call once; what it took is given back. */
static enum gal_status scenario(const struct place *p, struct gal_err *err)
{
    struct gal_file_info info;
    struct gal_buf content = {0};
    struct gal_str map = {NULL, 0};
    char **names = NULL;
    size_t count;
    char *path = gal_path_join(p->dir, "big");
    if (!path)
        return gal_fail(err, GAL_NO_MEMORY, "out of memory");
    enum gal_status status = gal_file_stat(path, &info, err);
    if (!status)
        status = gal_file_read(path, 1 << 20, &content, err);
    if (!status)
        status = gal_dir_list(p->dir, &names, &count, err);
    if (!status)
        status = gal_file_map(path, &map, err);
    gal_file_unmap(map);
    gal_free(names);
    gal_buf_release(&content);
    gal_free(path);
    return status;
}

static void assert_rooted(const struct place *p, const char *path, const char *real)
{
    char out[GAL_PATH_SIZE], want[GAL_PATH_SIZE];
    snprintf(want, sizeof want, "%s%s", p->dir, real);
    assert_int_equal(gal_path_real_in(p->dir, path, out, NULL), GAL_OK);
    assert_string_equal(out, want);
}

static void links_stay_in_a_directory_that_stands_for_the_root(void **state)
{
    static const char *const links[][2] = {{"/sub", "whole"},         {"../../../sub", "up"},
                                           {"a.txt", "near"},         {"sub/../near", "two"},
                                           {"loop", "loop"},          {"/nothing", "lost"},
                                           {"/up/./../whole/", "far"}};
    const struct place *p = *state;
    char out[GAL_PATH_SIZE], real[GAL_PATH_SIZE];
    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++) {
        char *path = path_in(p, links[i][1]);
        assert_int_equal(symlink(links[i][0], path), 0);
        gal_free(path);
    }
    assert_rooted(p, "/a.txt", "/a.txt");
    assert_rooted(p, "//./sub/../a.txt", "/a.txt");
    assert_rooted(p, "/../../a.txt", "/a.txt");
    assert_rooted(p, "/whole", "/sub");
    assert_rooted(p, "/up/", "/sub");
    assert_rooted(p, "/far", "/sub");
    assert_rooted(p, "/two", "/a.txt");
    assert_rooted(p, "/", "");
    assert_int_equal(gal_path_real_in(p->dir, "/lost", out, NULL), GAL_NOT_FOUND);
    assert_int_equal(gal_path_real_in(p->dir, "/a.txt/x", out, NULL), GAL_NOT_FOUND);
    assert_int_equal(gal_path_real_in(p->dir, "/loop", out, NULL), GAL_IO);
    char *near = path_in(p, "near");
    assert_int_equal(gal_path_real_in("", near, out, NULL), GAL_OK);
    assert_int_equal(gal_path_real(near, real, NULL), GAL_OK);
    assert_string_equal(out, real);
    assert_int_equal(gal_path_real_in("", "/", out, NULL), GAL_OK);
    assert_string_equal(out, "/");
    gal_free(near);
    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++) {
        char *path = path_in(p, links[i][1]);
        assert_int_equal(unlink(path), 0);
        gal_free(path);
    }
}

static void failing_file_calls_are_survived(void **state)
{
    struct gal_err err;
    for (uint64_t i = 1;; i++) {
        gal_file_fail_at(i);
        enum gal_status status = scenario(*state, &err);
        gal_file_fail_at(0);
        if (!status) {
            assert_true(i > 10);
            return;
        }
        assert_int_equal(status, GAL_IO);
        assert_non_null(strstr(err.message, "nput/output error"));
        assert_true(i < 100);
    }
}

static void failing_allocations_are_survived(void **state)
{
    struct gal_err err;
    for (uint64_t i = 1;; i++) {
        gal_alloc_fail_at(i, 1);
        enum gal_status status = scenario(*state, &err);
        gal_alloc_fail_at(0, 0);
        if (!status) {
            assert_true(i > 5);
            return;
        }
        assert_int_equal(status, GAL_NO_MEMORY);
        assert_true(i < 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_told_by_its_kind),
        cmocka_unit_test(files_are_read_whole_with_a_nul_behind),
        cmocka_unit_test(files_that_cannot_be_read_say_why),
        cmocka_unit_test(a_scan_ends_when_told),
        cmocka_unit_test(directories_are_listed_sorted_without_hidden_names),
        cmocka_unit_test(files_are_mapped),
        cmocka_unit_test(paths_are_joined_and_cut),
        cmocka_unit_test(links_stay_in_a_directory_that_stands_for_the_root),
        cmocka_unit_test(failing_file_calls_are_survived),
        cmocka_unit_test(failing_allocations_are_survived),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
