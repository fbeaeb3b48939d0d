/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "base/file_write.h"
#include "base/mem.h"
#include "oci/layout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define BYTES_MAX (1u << 20)

static char dir[64];
static char path[96];
static char part[96]; /* a file of which a blob is a part */

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/galley-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/layout", dir);
    snprintf(part, sizeof part, "%s/part", dir);
    return gal_file_put(part, GAL_STR("...in the middle..."), NULL) == GAL_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return gal_dir_remove(dir, NULL) == GAL_OK ? 0 : -1;
}

static void on_progress(uint64_t done, uint64_t total, void *ctx)
{
    assert_true(done <= total);
    *(uint64_t *)ctx = done;
}

/* A manifest with two layers, one from memory, one from a part of a file, under the name "one".
 * `swapped`: in the other order. */
static enum gal_status make(enum gal_layout_kind kind, bool swapped, struct gal_err *err)
{
    struct gal_oci_descriptor layers[] = {
        gal_oci_describe(GAL_STR("a/a"), GAL_STR("first")),
        gal_oci_describe(GAL_STR("a/b"), GAL_STR("in the middle")),
    };
    const struct gal_oci_annotation name = {GAL_STR("org.opencontainers.image.ref.name"),
                                            GAL_STR("one")};
    struct gal_oci_manifest m = {.config = gal_oci_describe(GAL_STR(GAL_OCI_EMPTY), GAL_STR("{}")),
                                 .layers = layers,
                                 .layer_count = 2};
    struct gal_layout_writer *w = NULL;
    struct gal_buf text;
    uint64_t done = 0;
    gal_buf_init(&text, BYTES_MAX);
    gal_oci_manifest_write(&text, &m);
    struct gal_oci_descriptor d = gal_oci_describe(GAL_STR(GAL_OCI_MANIFEST), gal_buf_str(&text));
    d.annotations = &name;
    d.annotation_count = 1;
    const struct gal_oci_index index = {.manifests = &d, .manifest_count = 1};
    enum gal_status status =
        text.failed ? gal_fail(err, GAL_NO_MEMORY, "text") : gal_layout_create(path, kind, &w, err);
    if (!status && swapped)
        status = gal_layout_add_file(w, &layers[1], part, 3, err);
    if (!status)
        status = gal_layout_add(w, &layers[0], GAL_STR("first"), err);
    if (!status)
        status = gal_layout_add(w, &m.config, GAL_STR("{}"), err);
    if (!status && !swapped)
        status = gal_layout_add_file(w, &layers[1], part, 3, err);
    if (!status)
        status = gal_layout_add(w, &d, gal_buf_str(&text), err);
    if (!status)
        status = gal_layout_add(w, &m.config, GAL_STR("{}"), err); /* twice is fine */
    if (!status) {
        status = gal_layout_finish(w, &index, on_progress, &done, err);
        assert_true(status || done > 0);
    } else {
        gal_layout_abandon(w);
    }
    gal_buf_release(&text);
    return status;
}

static void check(void)
{
    struct gal_layout *l;
    struct gal_oci_descriptor d;
    struct gal_oci_manifest m;
    struct gal_arena arena;
    struct gal_str text, bytes;
    struct gal_err err;
    gal_arena_init(&arena, 4096, 0, BYTES_MAX);
    if (gal_layout_open(path, &l, &err) != GAL_OK)
        fail_msg("%s", err.message);
    assert_int_equal(gal_layout_index(l)->manifest_count, 1);
    assert_int_equal(gal_layout_manifest(l, NULL, NULL, &d, &text, NULL), GAL_OK);
    assert_int_equal(gal_layout_manifest(l, "one", NULL, &d, &text, NULL), GAL_OK);
    assert_int_equal(gal_layout_manifest(l, d.digest, NULL, &d, &text, NULL), GAL_OK);
    assert_int_equal(gal_oci_manifest_read(text, &arena, &m, NULL), GAL_OK);
    assert_int_equal(gal_layout_blob(l, &m.layers[0], &bytes, NULL), GAL_OK);
    assert_true(gal_str_is(bytes, "first"));
    assert_int_equal(gal_layout_blob(l, &m.layers[1], &bytes, NULL), GAL_OK);
    assert_true(gal_str_is(bytes, "in the middle"));
    assert_int_equal(gal_layout_check(l, &m.layers[1], NULL), GAL_OK);
    struct gal_oci_descriptor other = m.layers[1];
    other.size++;
    assert_int_equal(gal_layout_blob(l, &other, &bytes, &err), GAL_INVALID);
    assert_non_null(strstr(err.message, "has 13 bytes, 14 were promised"));
    other.digest[10] = other.digest[10] == '0' ? '1' : '0';
    assert_int_equal(gal_layout_blob(l, &other, &bytes, &err), GAL_NOT_FOUND);
    assert_int_equal(gal_layout_manifest(l, "two", NULL, &d, &text, &err), GAL_NOT_FOUND);
    assert_string_equal(err.hint, "it has: one");
    gal_layout_close(l);
    gal_arena_release(&arena);
}

static size_t count_files(void)
{
    size_t count;
    char **names;
    char command[160];
    assert_int_equal(gal_dir_list(dir, &names, &count, NULL), GAL_OK);
    gal_free(names);
    /* Hidden ones too: what was begun is not left behind. */
    snprintf(command, sizeof command, "test -z \"$(find %s -name '.*.part')\"", dir);
    assert_int_equal(system(command), 0);
    return count;
}

static void a_layout_is_written_and_read(void **state)
{
    (void)state;
    assert_int_equal(make(GAL_LAYOUT_TAR, false, NULL), GAL_OK);
    check();
    assert_int_equal(make(GAL_LAYOUT_TAR, false, NULL), GAL_OK); /* in its place */
    check();
    assert_int_equal(count_files(), 2);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(make(GAL_LAYOUT_DIR, false, NULL), GAL_OK);
    check();
    struct gal_err err;
    assert_int_equal(make(GAL_LAYOUT_DIR, false, &err), GAL_CONFLICT);
    assert_non_null(strstr(err.message, "layout: exists already"));
    check();
    assert_int_equal(count_files(), 2);
}

static void equal_content_has_equal_bytes(void **state)
{
    (void)state;
    struct gal_buf a, b;
    assert_int_equal(make(GAL_LAYOUT_TAR, false, NULL), GAL_OK);
    assert_int_equal(gal_file_read(path, BYTES_MAX, &a, NULL), GAL_OK);
    mode_t before = umask(077);
    assert_int_equal(make(GAL_LAYOUT_TAR, true, NULL), GAL_OK);
    (void)umask(before);
    assert_int_equal(gal_file_read(path, BYTES_MAX, &b, NULL), GAL_OK);
    assert_true(gal_str_eq(gal_buf_str(&a), gal_buf_str(&b)));
    gal_buf_release(&a);
    gal_buf_release(&b);
}

static void a_file_that_changed_meanwhile_is_a_conflict(void **state)
{
    (void)state;
    struct gal_err err;
    assert_int_equal(gal_file_put(part, GAL_STR("...in the muddle..."), NULL), GAL_OK);
    assert_int_equal(make(GAL_LAYOUT_TAR, false, &err), GAL_CONFLICT);
    assert_non_null(strstr(err.message, "part: changed while it was read"));
    assert_int_equal(count_files(), 1);
    assert_int_equal(gal_file_put(part, GAL_STR("...in"), NULL), GAL_OK);
    assert_int_equal(make(GAL_LAYOUT_DIR, false, &err), GAL_IO);
    assert_non_null(strstr(err.message, "part: ends 11 bytes early"));
    assert_int_equal(count_files(), 1);
}

static void damage_is_found(void **state)
{
    (void)state;
    struct gal_buf whole;
    struct gal_err err;
    assert_int_equal(make(GAL_LAYOUT_TAR, false, NULL), GAL_OK);
    assert_int_equal(gal_file_read(path, BYTES_MAX, &whole, NULL), GAL_OK);
    /* Cut anywhere: an error at once, or a blob that is missing. */
    for (size_t n = 0; n<whole.n; n += n % 512> 1 ? 170 : 1) {
        struct gal_layout *l;
        assert_int_equal(gal_file_put(path, (struct gal_str){whole.p, n}, NULL), GAL_OK);
        assert_int_equal(gal_layout_open(path, &l, &err), GAL_INVALID);
        assert_null(l);
        assert_non_null(strstr(err.message, path));
    }
    gal_buf_release(&whole);
}

static void failures_leave_nothing_behind(void **state)
{
    (void)state;
    for (int kind = GAL_LAYOUT_TAR; kind <= GAL_LAYOUT_DIR; kind++) {
        enum gal_status status = GAL_IO;
        uint64_t i;
        for (i = 1; status; i++) {
            struct gal_err err;
            gal_file_fail_at(i);
            status = make((enum gal_layout_kind)kind, false, &err);
            gal_file_fail_at(0);
            assert_true(status == GAL_OK || (status == GAL_IO && err.message[0]));
            if (status) { /* the rename may have been done: only the sync behind it failed */
                size_t count = count_files();
                assert_true(count == 1 || count == 2);
                (void)gal_dir_remove(path, NULL);
                (void)unlink(path);
            }
            assert_true(i < 1000);
        }
        assert_true(i > 5);
        check();
        (void)gal_dir_remove(path, NULL);
        (void)unlink(path);
        status = GAL_NO_MEMORY;
        for (i = 1; status; i++) {
            struct gal_err err;
            gal_alloc_fail_at(i, 1);
            status = make((enum gal_layout_kind)kind, false, &err);
            gal_alloc_fail_at(0, 0);
            assert_true(status == GAL_OK || (status != GAL_OK && err.message[0]));
            (void)count_files();
            if (status) {
                (void)gal_dir_remove(path, NULL);
                (void)unlink(path);
            }
            assert_true(i < 1000);
        }
        check();
        (void)gal_dir_remove(path, NULL);
        (void)unlink(path);
    }
}

static void reading_fails_cleanly(void **state)
{
    (void)state;
    for (int kind = GAL_LAYOUT_TAR; kind <= GAL_LAYOUT_DIR; kind++) {
        assert_int_equal(make((enum gal_layout_kind)kind, false, NULL), GAL_OK);
        for (int memory = 0; memory < 2; memory++) {
            enum gal_status status = GAL_IO;
            for (uint64_t i = 1; status; i++) {
                struct gal_layout *l;
                struct gal_oci_descriptor d;
                struct gal_str text;
                struct gal_err err;
                gal_err_clear(&err);
                if (memory)
                    gal_alloc_fail_at(i, 1);
                else
                    gal_file_fail_at(i);
                status = gal_layout_open(path, &l, &err);
                if (!status)
                    status = gal_layout_manifest(l, NULL, NULL, &d, &text, &err);
                if (!status)
                    status = gal_layout_check(l, &d, &err);
                gal_alloc_fail_at(0, 0);
                gal_file_fail_at(0);
                gal_layout_close(l);
                assert_true(status == GAL_OK || err.message[0]);
                assert_true(i < 1000);
            }
        }
        (void)gal_dir_remove(path, NULL);
        (void)unlink(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_layout_is_written_and_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(equal_content_has_equal_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_changed_meanwhile_is_a_conflict, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(damage_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(failures_leave_nothing_behind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reading_fails_cleanly, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
