/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "oci/compress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#define BYTES 700000u

static char plain[BYTES];

static void fill(void)
{
    uint32_t x = 1;
    for (size_t i = 0; i < BYTES; i++) {
        x = x * 1664525 + 1013904223;
        plain[i] = i % 5 ? (char)(x >> 28) : (char)(x >> 20);
    }
}

static enum gal_status compress(enum gal_compression kind, size_t step, struct gal_buf *out,
                                struct gal_err *err)
{
    struct gal_compressor *c;
    gal_buf_init(out, 4 * BYTES);
    enum gal_status status = gal_compressor_new(kind, 0, &c, err);
    for (size_t i = 0; i < BYTES && !status; i += step) {
        size_t n = BYTES - i < step ? BYTES - i : step;
        status = gal_compress(c, (struct gal_str){plain + i, n}, i + n == BYTES, out, err);
    }
    gal_compressor_free(c);
    return status;
}

static enum gal_status decompress(enum gal_compression kind, struct gal_str in, size_t step,
                                  uint64_t max, struct gal_buf *out, struct gal_err *err)
{
    struct gal_decompressor *d;
    gal_buf_init(out, 4 * BYTES);
    enum gal_status status = gal_decompressor_new(kind, max, &d, err);
    for (size_t i = 0; i < in.n && !status; i += step) {
        struct gal_str piece = {in.p + i, in.n - i < step ? in.n - i : step};
        bool more = true;
        while (more && !status) {
            size_t before = out->n;
            status = gal_decompress(d, &piece, out, &more, err);
            assert_true(out->n - before <= GAL_DECOMPRESS_STEP);
        }
        assert_true(status || piece.n == 0);
    }
    if (!status)
        status = gal_decompress_end(d, err);
    gal_decompressor_free(d);
    return status;
}

static void what_goes_in_comes_out(void **state)
{
    (void)state;
    static const size_t steps[] = {1 << 20, 1000, 7};
    for (int kind = GAL_COMPRESS_NONE; kind <= GAL_COMPRESS_ZSTD; kind++) {
        struct gal_buf first;
        assert_int_equal(compress((enum gal_compression)kind, BYTES, &first, NULL), GAL_OK);
        assert_true(kind == GAL_COMPRESS_NONE || first.n < BYTES * 8 / 10);
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
            struct gal_buf coded, out;
            assert_int_equal(compress((enum gal_compression)kind, BYTES, &coded, NULL), GAL_OK);
            assert_true(gal_str_eq(gal_buf_str(&coded), gal_buf_str(&first)));
            gal_buf_release(&coded);
            assert_int_equal(compress((enum gal_compression)kind, steps[i], &coded, NULL), GAL_OK);
            assert_int_equal(decompress((enum gal_compression)kind, gal_buf_str(&coded), steps[i],
                                        BYTES, &out, NULL),
                             GAL_OK);
            assert_int_equal(out.n, BYTES);
            assert_memory_equal(out.p, plain, BYTES);
            gal_buf_release(&coded);
            gal_buf_release(&out);
        }
        gal_buf_release(&first);
    }
}

static void gzip_has_no_time_and_no_name(void **state)
{
    (void)state;
    struct gal_buf coded;
    assert_int_equal(compress(GAL_COMPRESS_GZIP, BYTES, &coded, NULL), GAL_OK);
    assert_memory_equal(coded.p, "\x1f\x8b\x08\x00\x00\x00\x00\x00", 8); /* RFC 1952 2.3 */
    assert_int_equal((unsigned char)coded.p[9], 255);
    gal_buf_release(&coded);
}

static void members_and_frames_may_follow_each_other(void **state)
{
    (void)state;
    for (int kind = GAL_COMPRESS_GZIP; kind <= GAL_COMPRESS_ZSTD; kind++) {
        struct gal_buf coded, out;
        assert_int_equal(compress((enum gal_compression)kind, BYTES, &coded, NULL), GAL_OK);
        struct gal_str one = gal_buf_str(&coded);
        char *copy = gal_strndup(one.p, one.n);
        gal_buf_put(&coded, copy, one.n);
        gal_free(copy);
        assert_int_equal(decompress((enum gal_compression)kind, gal_buf_str(&coded), 4096,
                                    2 * BYTES, &out, NULL),
                         GAL_OK);
        assert_int_equal(out.n, 2 * BYTES);
        gal_buf_release(&out);
        gal_buf_puts(&coded, "garbage");
        assert_int_equal(decompress((enum gal_compression)kind, gal_buf_str(&coded), 4096,
                                    2 * BYTES, &out, NULL),
                         GAL_INVALID);
        gal_buf_release(&out);
        gal_buf_release(&coded);
    }
}

static void what_is_broken_is_found(void **state)
{
    (void)state;
    for (int kind = GAL_COMPRESS_GZIP; kind <= GAL_COMPRESS_ZSTD; kind++) {
        struct gal_buf coded, out;
        struct gal_err err;
        assert_int_equal(compress((enum gal_compression)kind, BYTES, &coded, NULL), GAL_OK);
        for (size_t n = 0; n < coded.n; n += coded.n / 7 + 1) {
            assert_int_equal(decompress((enum gal_compression)kind, (struct gal_str){coded.p, n},
                                        9999, BYTES, &out, &err),
                             GAL_INVALID);
            assert_string_equal(err.message, "the compressed bytes end early");
            gal_buf_release(&out);
        }
        assert_int_equal(decompress((enum gal_compression)kind, gal_buf_str(&coded), 9999,
                                    BYTES - 1, &out, &err),
                         GAL_TOO_LARGE);
        assert_string_equal(err.message, "more than 699999 bytes come out of it");
        gal_buf_release(&out);
        coded.p[coded.n / 2] = (char)(coded.p[coded.n / 2] ^ 1);
        assert_int_equal(
            decompress((enum gal_compression)kind, gal_buf_str(&coded), 9999, BYTES, &out, &err),
            GAL_INVALID);
        assert_non_null(strstr(err.message, "broken "));
        gal_buf_release(&out);
        gal_buf_release(&coded);
    }
}

static void memory_may_be_out(void **state)
{
    (void)state;
    for (int kind = GAL_COMPRESS_NONE; kind <= GAL_COMPRESS_ZSTD; kind++) {
        enum gal_status status = GAL_NO_MEMORY;
        for (uint64_t i = 1; status; i++) {
            struct gal_buf coded, out = {NULL, 0, 0, 0, false, false, NULL};
            struct gal_err err;
            gal_alloc_fail_at(i, 1);
            status = compress((enum gal_compression)kind, BYTES, &coded, &err);
            if (!status)
                status = decompress((enum gal_compression)kind, gal_buf_str(&coded), BYTES, BYTES,
                                    &out, &err);
            gal_alloc_fail_at(0, 0);
            assert_true(status == GAL_OK || (status == GAL_NO_MEMORY && err.message[0]));
            assert_true(status || (out.n == BYTES && memcmp(out.p, plain, BYTES) == 0));
            gal_buf_release(&coded);
            gal_buf_release(&out);
            assert_true(i < 500);
        }
    }
}

static void layers_tell_their_compression(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        enum gal_compression kind;
    } rows[] = {
        {"application/vnd.oci.image.layer.v1.tar", GAL_COMPRESS_NONE},
        {"application/vnd.oci.image.layer.v1.tar+gzip", GAL_COMPRESS_GZIP},
        {"application/vnd.oci.image.layer.v1.tar+zstd", GAL_COMPRESS_ZSTD},
        {"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", GAL_COMPRESS_GZIP},
        {"application/vnd.docker.image.rootfs.diff.tar.gzip", GAL_COMPRESS_GZIP},
        {"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", GAL_COMPRESS_GZIP},
        {"application/vnd.cncf.model.weight.config.v1.raw", GAL_COMPRESS_NONE},
        {"application/vnd.cncf.model.doc.v1.tar+zstd", GAL_COMPRESS_ZSTD},
    };
    enum gal_compression kind;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_true(gal_compression_of(gal_str_of(rows[i].type), &kind));
        assert_int_equal(kind, rows[i].kind);
    }
    assert_false(gal_compression_of(GAL_STR("application/vnd.oci.image.layer.v1.tar+lz4"), &kind));
    assert_false(gal_compression_of(GAL_STR("text/plain"), &kind));
    assert_false(gal_compression_of(GAL_STR("x.tar"), &kind));
    assert_false(gal_compression_of((struct gal_str){NULL, 0}, &kind));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_comes_out),
        cmocka_unit_test(gzip_has_no_time_and_no_name),
        cmocka_unit_test(members_and_frames_may_follow_each_other),
        cmocka_unit_test(what_is_broken_is_found),
        cmocka_unit_test(memory_may_be_out),
        cmocka_unit_test(layers_tell_their_compression),
    };
    fill();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
