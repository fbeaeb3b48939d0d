/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/compress.h"
#include "oci/tar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#define ARCHIVE_MAX (4u << 20)

static char long_name[301], long_target[200];

static const struct gal_tar_entry entries[] = {
    {.path = "dir", .type = GAL_TAR_DIR, .mode = 0755},
    {.path = "dir/file", .type = GAL_TAR_FILE, .mode = 0644, .size = 1000, .mtime = 1700000000},
    {.path = "dir/link", .type = GAL_TAR_SYMLINK, .mode = 0777, .target = "../elsewhere"},
    {.path = "hard", .type = GAL_TAR_HARDLINK, .mode = 0644, .target = "dir/file"},
    {.path = "empty", .type = GAL_TAR_FILE, .mode = 0600, .uid = 65532, .gid = 65532},
    {.path = long_name, .type = GAL_TAR_FILE, .mode = 0644, .size = 3},
    {.path = "models/\xc3\xa9t\xc3\xa9.onnx", .type = GAL_TAR_FILE, .mode = 04755, .size = 1},
    {.path = "far", .type = GAL_TAR_FILE, .mode = 0644, .uid = 3000000000, .gid = 3000000000},
    {.path = "old", .type = GAL_TAR_SYMLINK, .mode = 0777, .target = long_target, .mtime = -5},
    {.path = "past100/0123456789012345678901234567890123456789012345678901234567890123456789"
             "0123456789012345678901234567890123456789",
     .type = GAL_TAR_FILE,
     .mode = 0644,
     .size = 512},
};
#define ENTRIES (sizeof entries / sizeof *entries)

static void write_all(struct gal_buf *out)
{
    gal_buf_init(out, ARCHIVE_MAX);
    for (size_t i = 0; i < sizeof long_name - 1; i++)
        long_name[i] = i % 30 == 29 ? '/' : 'n';
    memset(long_target, 't', sizeof long_target - 1);
    long_name[sizeof long_name - 2] = 'n';
    for (size_t i = 0; i < ENTRIES; i++) {
        assert_int_equal(gal_tar_put_header(out, &entries[i], NULL), GAL_OK);
        for (uint64_t k = 0; k < entries[i].size; k++)
            gal_buf_putc(out, (char)('a' + (char)(k % 26)));
        gal_tar_put_padding(out, entries[i].size);
    }
    gal_tar_put_end(out);
    assert_false(out->failed);
    assert_int_equal(out->n % GAL_TAR_BLOCK, 0);
}

static uint64_t read_bytes(struct gal_tar_reader *r)
{
    uint64_t n = 0;
    struct gal_str piece;
    do {
        assert_int_equal(gal_tar_data(r, &piece, NULL), GAL_OK);
        for (size_t k = 0; k < piece.n; k++)
            assert_int_equal(piece.p[k], 'a' + (char)((n + k) % 26));
        n += piece.n;
    } while (piece.n > 0);
    return n;
}

static void check_all(struct gal_tar_reader *r)
{
    struct gal_tar_entry e;
    struct gal_err err;
    bool end;
    for (size_t i = 0; i < ENTRIES; i++) {
        const struct gal_tar_entry *want = &entries[i];
        if (gal_tar_next(r, &e, &end, &err) != GAL_OK)
            fail_msg("%s", err.message);
        assert_false(end);
        size_t n = strlen(want->path);
        assert_memory_equal(e.path, want->path, n);
        assert_string_equal(e.path + n, want->type == GAL_TAR_DIR ? "/" : "");
        assert_int_equal(e.type, want->type);
        if (want->target)
            assert_string_equal(e.target, want->target);
        else
            assert_null(e.target);
        assert_int_equal(e.mode, want->mode);
        assert_int_equal(e.uid, want->uid);
        assert_int_equal(e.gid, want->gid);
        assert_int_equal(e.size, want->size);
        assert_int_equal(e.mtime, want->mtime);
        assert_int_equal(read_bytes(r), want->size);
    }
    assert_int_equal(gal_tar_next(r, &e, &end, &err), GAL_OK);
    assert_true(end);
}

static void what_is_written_is_read_again(void **state)
{
    (void)state;
    struct gal_buf tar;
    struct gal_tar_reader *r;
    write_all(&tar);
    assert_int_equal(gal_tar_open_memory(gal_buf_str(&tar), &r, NULL), GAL_OK);
    check_all(r);
    gal_tar_close(r);
    gal_buf_release(&tar);
}

/* A source of one byte, then two, three, ... */
struct drip {
    struct gal_str left;
    size_t n;
    bool fails;
};

static enum gal_status read_drip(void *ctx, struct gal_str *piece, struct gal_err *err)
{
    struct drip *d = ctx;
    if (d->fails && d->n > 100)
        return gal_fail(err, GAL_CANCELLED, "nobody wants it");
    size_t n = ++d->n < d->left.n ? d->n : d->left.n;
    *piece = (struct gal_str){d->left.p, n};
    d->left = (struct gal_str){d->left.p + n, d->left.n - n};
    return GAL_OK;
}

static void pieces_of_any_size_are_read(void **state)
{
    (void)state;
    struct gal_buf tar;
    struct gal_tar_reader *r;
    write_all(&tar);
    struct drip d = {gal_buf_str(&tar), 0, false};
    const struct gal_tar_source source = {read_drip, &d};
    assert_int_equal(gal_tar_open(&source, &r, NULL), GAL_OK);
    check_all(r);
    gal_tar_close(r);
    gal_buf_release(&tar);
}

static void the_sources_error_is_handed_on(void **state)
{
    (void)state;
    struct gal_buf tar;
    struct gal_tar_reader *r;
    struct gal_tar_entry e;
    struct gal_err err;
    bool end = false;
    enum gal_status status = GAL_OK;
    write_all(&tar);
    struct drip d = {gal_buf_str(&tar), 0, true};
    const struct gal_tar_source source = {read_drip, &d};
    assert_int_equal(gal_tar_open(&source, &r, &err), GAL_OK);
    while (!status && !end)
        status = gal_tar_next(r, &e, &end, &err);
    assert_int_equal(status, GAL_CANCELLED);
    assert_string_equal(err.message, "nobody wants it");
    gal_tar_close(r);
    gal_buf_release(&tar);
}

static void compressed_layers_are_read(void **state)
{
    (void)state;
    static const struct {
        enum gal_compression kind;
        const char *type;
    } rows[] = {
        {GAL_COMPRESS_NONE, "application/vnd.oci.image.layer.v1.tar"},
        {GAL_COMPRESS_GZIP, "application/vnd.docker.image.rootfs.diff.tar.gzip"},
        {GAL_COMPRESS_ZSTD, "application/vnd.cncf.model.weight.v1.tar+zstd"},
    };
    struct gal_buf tar;
    write_all(&tar);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gal_compressor *c;
        struct gal_tar_reader *r;
        struct gal_buf layer;
        struct gal_err err;
        gal_buf_init(&layer, ARCHIVE_MAX);
        assert_int_equal(gal_compressor_new(rows[i].kind, 0, &c, NULL), GAL_OK);
        assert_int_equal(gal_compress(c, gal_buf_str(&tar), true, &layer, NULL), GAL_OK);
        gal_compressor_free(c);
        assert_int_equal(
            gal_tar_open_layer(gal_buf_str(&layer), gal_str_of(rows[i].type), tar.n, &r, NULL),
            GAL_OK);
        check_all(r);
        gal_tar_close(r);
        enum gal_status status =
            gal_tar_open_layer(gal_buf_str(&layer), gal_str_of(rows[i].type), 2000, &r, &err);
        struct gal_tar_entry e;
        bool end = false;
        while (!status && !end)
            status = gal_tar_next(r, &e, &end, &err);
        assert_int_equal(status, GAL_TOO_LARGE);
        assert_string_equal(err.message, "more than 2000 bytes come out of it");
        gal_tar_close(r);
        gal_buf_release(&layer);
    }
    gal_buf_release(&tar);
}

/* Reads all; a tar that is cut is never taken for a whole one with more bytes than it has. */
static void a_tar_that_is_cut_anywhere_fails_or_has_fewer_entries(void **state)
{
    (void)state;
    struct gal_buf tar;
    write_all(&tar);
    for (size_t n = 0; n<tar.n; n += n % 512> 1 ? 255 : 1) {
        struct gal_tar_reader *r = NULL;
        struct gal_tar_entry e;
        struct gal_err err;
        struct gal_str piece;
        bool end = false;
        size_t whole = 0;
        enum gal_status status = gal_tar_open_memory((struct gal_str){tar.p, n}, &r, &err);
        while (!status && !end) {
            status = gal_tar_next(r, &e, &end, &err);
            uint64_t got = 0;
            do {
                piece.n = 0;
                if (!status && !end)
                    status = gal_tar_data(r, &piece, &err);
                got += piece.n;
            } while (!status && piece.n > 0);
            whole += !status && !end && got == e.size;
            assert_true(status || end || got == e.size);
        }
        assert_true(status == GAL_OK || status == GAL_INVALID);
        assert_true(whole < ENTRIES || n > tar.n - 2048);
        gal_tar_close(r);
    }
    gal_buf_release(&tar);
}

static void names_that_no_tar_holds_are_refused(void **state)
{
    (void)state;
    struct gal_buf out;
    char name[5000];
    memset(name, 'n', sizeof name);
    name[4999] = '\0';
    gal_buf_init(&out, ARCHIVE_MAX);
    assert_int_equal(gal_tar_put_header(&out, &(struct gal_tar_entry){.path = ""}, NULL),
                     GAL_INVALID);
    assert_int_equal(gal_tar_put_header(&out, &(struct gal_tar_entry){.path = name}, NULL),
                     GAL_INVALID);
    assert_int_equal(
        gal_tar_put_header(&out, &(struct gal_tar_entry){.path = "d", .type = GAL_TAR_OTHER}, NULL),
        GAL_INVALID);
    assert_int_equal(out.n, 0);
    gal_buf_release(&out);
}

static void paths_are_safe_or_not(void **state)
{
    (void)state;
    static const char *const safe[] = {"a",   "a/b", "./a",  "a/", "./a/b/",
                                       "..a", "a..", "a/.b", "-"};
    static const char *const bad[] = {"",     "/",      "/etc/passwd", "..",    "../a", "a/..",
                                      "a//b", "a/../b", "a/./b",       "./../", ".",    "./",
                                      "//a",  "a//",    "\\a",         "a/\\b", "a\nb", "a\x7f"};
    for (size_t i = 0; i < sizeof safe / sizeof *safe; i++)
        assert_true(gal_tar_path_safe(safe[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (gal_tar_path_safe(bad[i]))
            fail_msg("\"%s\" passed", bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(pieces_of_any_size_are_read),
        cmocka_unit_test(the_sources_error_is_handed_on),
        cmocka_unit_test(compressed_layers_are_read),
        cmocka_unit_test(a_tar_that_is_cut_anywhere_fails_or_has_fewer_entries),
        cmocka_unit_test(names_that_no_tar_holds_are_refused),
        cmocka_unit_test(paths_are_safe_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
