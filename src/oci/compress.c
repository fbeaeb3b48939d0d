/* SPDX-License-Identifier: Apache-2.0 */
#define ZSTD_STATIC_LINKING_ONLY /* for contexts over our allocator */
#include "oci/compress.h"

#include "base/mem.h"

#include <limits.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#define GZIP_WINDOW (15 + 16) /* zlib's manual: 32 KiB window, gzip's frame */
#define GZIP_MEMORY 9         /* the most: 400 KiB, faster and smaller */
#define GZIP_LEVEL 6
#define GZIP_OS_UNKNOWN 255
#define ZSTD_LEVEL 9
#define STEP_BYTES 65536u

static voidpf zlib_alloc(voidpf opaque, uInt items, uInt size)
{
    (void)opaque;
    return gal_calloc(items, size);
}

static void zlib_free(voidpf opaque, voidpf p)
{
    (void)opaque;
    gal_free(p);
}

static void *zstd_alloc(void *opaque, size_t bytes)
{
    (void)opaque;
    return gal_alloc(bytes ? bytes : 1);
}

static void zstd_free(void *opaque, void *p)
{
    (void)opaque;
    gal_free(p);
}

static const ZSTD_customMem zstd_memory = {zstd_alloc, zstd_free, NULL};

static uInt part(size_t n)
{
    return n < UINT_MAX ? (uInt)n : UINT_MAX;
}

/* --- compressing --- */

struct gal_compressor {
    enum gal_compression kind;
    z_stream z;
    bool has_z;
    gz_header head;
    ZSTD_CCtx *zstd;
};

static enum gal_status open_gzip(struct gal_compressor *c, int level)
{
    c->z.zalloc = zlib_alloc;
    c->z.zfree = zlib_free;
    if (deflateInit2(&c->z, level ? level : GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return GAL_NO_MEMORY;
    c->has_z = true;
    c->head.os = GZIP_OS_UNKNOWN;
    return deflateSetHeader(&c->z, &c->head) == Z_OK ? GAL_OK : GAL_INTERNAL;
}

static enum gal_status open_zstd(struct gal_compressor *c, int level)
{
    c->zstd = ZSTD_createCCtx_advanced(zstd_memory);
    if (!c->zstd)
        return GAL_NO_MEMORY;
    size_t a = ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_compressionLevel, level ? level : ZSTD_LEVEL);
    size_t b = ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_checksumFlag, 1);
    return ZSTD_isError(a) || ZSTD_isError(b) ? GAL_INTERNAL : GAL_OK;
}

enum gal_status gal_compressor_new(enum gal_compression kind, int level,
                                   struct gal_compressor **out, struct gal_err *err)
{
    struct gal_compressor *c = gal_calloc(1, sizeof *c);
    enum gal_status status = c ? GAL_OK : GAL_NO_MEMORY;
    *out = NULL;
    if (c) {
        c->kind = kind;
        status = kind == GAL_COMPRESS_GZIP   ? open_gzip(c, level)
                 : kind == GAL_COMPRESS_ZSTD ? open_zstd(c, level)
                                             : GAL_OK;
    }
    if (status) {
        gal_compressor_free(c);
        return gal_fail(err, status, "no memory to compress");
    }
    *out = c;
    return GAL_OK;
}

void gal_compressor_free(struct gal_compressor *c)
{
    if (!c)
        return;
    if (c->has_z)
        (void)deflateEnd(&c->z);
    ZSTD_freeCCtx(c->zstd);
    gal_free(c);
}

static enum gal_status gzip_some(struct gal_compressor *c, struct gal_str *piece, bool last,
                                 char *to, size_t room, size_t *made, bool *done)
{
    c->z.next_in = (z_const Bytef *)(uintptr_t)piece->p;
    c->z.avail_in = part(piece->n);
    c->z.next_out = (Bytef *)to;
    c->z.avail_out = part(room);
    uInt had = c->z.avail_in;
    int rc = deflate(&c->z, last && had == piece->n ? Z_FINISH : Z_NO_FLUSH);
    if (rc == Z_STREAM_ERROR)
        return GAL_INTERNAL;
    piece->p += had - c->z.avail_in;
    piece->n -= had - c->z.avail_in;
    *made = room - c->z.avail_out;
    *done = last ? rc == Z_STREAM_END : piece->n == 0 && c->z.avail_out > 0;
    return GAL_OK;
}

static enum gal_status zstd_some(struct gal_compressor *c, struct gal_str *piece, bool last,
                                 char *to, size_t room, size_t *made, bool *done)
{
    ZSTD_inBuffer in = {piece->p, piece->n, 0};
    ZSTD_outBuffer put = {to, room, 0};
    size_t left = ZSTD_compressStream2(c->zstd, &put, &in, last ? ZSTD_e_end : ZSTD_e_continue);
    if (ZSTD_isError(left))
        return ZSTD_getErrorCode(left) == ZSTD_error_memory_allocation ? GAL_NO_MEMORY
                                                                       : GAL_INTERNAL;
    piece->p += in.pos;
    piece->n -= in.pos;
    *made = put.pos;
    *done = last ? left == 0 : piece->n == 0 && put.pos < room;
    return GAL_OK;
}

enum gal_status gal_compress(struct gal_compressor *c, struct gal_str piece, bool last,
                             struct gal_buf *out, struct gal_err *err)
{
    bool done = false;
    if (!piece.p)
        piece.p = "";
    if (c->kind == GAL_COMPRESS_NONE) {
        gal_buf_put_str(out, piece);
        done = true;
    }
    while (!done) {
        char *to = gal_buf_reserve(out, STEP_BYTES);
        size_t made = 0;
        if (!to)
            break;
        enum gal_status status = c->kind == GAL_COMPRESS_GZIP
                                     ? gzip_some(c, &piece, last, to, STEP_BYTES, &made, &done)
                                     : zstd_some(c, &piece, last, to, STEP_BYTES, &made, &done);
        if (status)
            return gal_fail(err, status, "compressing failed");
        out->n += made;
    }
    if (out->failed)
        return gal_fail(err, out->starved ? GAL_NO_MEMORY : GAL_TOO_LARGE,
                        "the compressed bytes do not fit into %zu", out->max);
    return GAL_OK;
}

/* --- decompressing --- */

struct gal_decompressor {
    enum gal_compression kind;
    uint64_t bytes_max, bytes; /* that may and did come out */
    z_stream z;
    bool has_z;
    ZSTD_DCtx *zstd;
    bool begun; /* a member or frame has begun and not ended */
    bool any;   /* one has ended */
};

enum gal_status gal_decompressor_new(enum gal_compression kind, uint64_t bytes_max,
                                     struct gal_decompressor **out, struct gal_err *err)
{
    struct gal_decompressor *d = gal_calloc(1, sizeof *d);
    bool ok = d != NULL;
    *out = NULL;
    if (d) {
        d->kind = kind;
        d->bytes_max = bytes_max;
        d->z.zalloc = zlib_alloc;
        d->z.zfree = zlib_free;
        if (kind == GAL_COMPRESS_GZIP)
            ok = d->has_z = inflateInit2(&d->z, GZIP_WINDOW) == Z_OK;
        else if (kind == GAL_COMPRESS_ZSTD)
            ok = (d->zstd = ZSTD_createDCtx_advanced(zstd_memory)) != NULL;
    }
    if (!ok) {
        gal_decompressor_free(d);
        return gal_fail(err, GAL_NO_MEMORY, "no memory to decompress");
    }
    *out = d;
    return GAL_OK;
}

void gal_decompressor_free(struct gal_decompressor *d)
{
    if (!d)
        return;
    if (d->has_z)
        (void)inflateEnd(&d->z);
    ZSTD_freeDCtx(d->zstd);
    gal_free(d);
}

/* Both take some of *piece, write up to `room` bytes and say how many; *pending: there may be more
 * to come without more input. */
static enum gal_status inflate_some(struct gal_decompressor *d, struct gal_str *piece, char *to,
                                    size_t room, size_t *made, bool *pending, struct gal_err *err)
{
    d->z.next_in = (z_const Bytef *)(uintptr_t)piece->p;
    d->z.avail_in = part(piece->n);
    d->z.next_out = (Bytef *)to;
    d->z.avail_out = part(room);
    uInt had = d->z.avail_in;
    int rc = inflate(&d->z, Z_NO_FLUSH);
    uInt took = had - d->z.avail_in;
    piece->p += took;
    piece->n -= took;
    *made = room - d->z.avail_out;
    *pending = rc == Z_OK && d->z.avail_out == 0;
    d->begun = d->begun || took > 0;
    if (rc == Z_STREAM_END) {
        d->begun = false;
        d->any = true;
        rc = inflateReset(&d->z);
    }
    if (rc == Z_MEM_ERROR)
        return gal_fail(err, GAL_NO_MEMORY, "no memory to decompress");
    if (rc != Z_OK && rc != Z_BUF_ERROR)
        return gal_fail(err, GAL_INVALID, "broken gzip: %s", d->z.msg ? d->z.msg : "bad data");
    return GAL_OK;
}

static enum gal_status zstd_take(struct gal_decompressor *d, struct gal_str *piece, char *to,
                                 size_t room, size_t *made, bool *pending, struct gal_err *err)
{
    ZSTD_inBuffer in = {piece->p, piece->n, 0};
    ZSTD_outBuffer put = {to, room, 0};
    size_t left = ZSTD_decompressStream(d->zstd, &put, &in);
    if (ZSTD_isError(left)) {
        if (ZSTD_getErrorCode(left) == ZSTD_error_memory_allocation)
            return gal_fail(err, GAL_NO_MEMORY, "no memory to decompress");
        return gal_fail(err, GAL_INVALID, "broken zstd: %s", ZSTD_getErrorName(left));
    }
    piece->p += in.pos;
    piece->n -= in.pos;
    *made = put.pos;
    *pending = left != 0 && put.pos == room;
    d->begun = left != 0;
    d->any = d->any || left == 0;
    return GAL_OK;
}

enum gal_status gal_decompress(struct gal_decompressor *d, struct gal_str *piece,
                               struct gal_buf *out, bool *more, struct gal_err *err)
{
    enum gal_status status = GAL_OK;
    size_t made = 0, room = GAL_DECOMPRESS_STEP;
    bool pending = false;
    *more = false;
    if (piece->n == 0 && !d->begun)
        return GAL_OK;
    /* One byte more than the bound shows that there is more. */
    if (room > d->bytes_max - d->bytes)
        room = (size_t)(d->bytes_max - d->bytes) + 1;
    if (d->kind == GAL_COMPRESS_NONE && room > piece->n)
        room = piece->n;
    char *to = room > 0 ? gal_buf_reserve(out, room) : NULL;
    if (room > 0 && !to)
        return gal_fail(err, out->starved ? GAL_NO_MEMORY : GAL_TOO_LARGE,
                        "the decompressed bytes do not fit into %zu", out->max);
    if (!piece->p)
        piece->p = "";
    if (d->kind == GAL_COMPRESS_GZIP) {
        status = inflate_some(d, piece, to, room, &made, &pending, err);
    } else if (d->kind == GAL_COMPRESS_ZSTD) {
        status = zstd_take(d, piece, to, room, &made, &pending, err);
    } else if (room > 0) {
        memcpy(to, piece->p, room);
        made = room;
        piece->p += room;
        piece->n -= room;
    }
    d->bytes += made;
    if (!status && d->bytes > d->bytes_max)
        status = gal_fail(err, GAL_TOO_LARGE, "more than %llu bytes come out of it",
                          (unsigned long long)d->bytes_max);
    if (!status)
        out->n += made;
    *more = !status && (piece->n > 0 || pending);
    return status;
}

enum gal_status gal_decompress_end(struct gal_decompressor *d, struct gal_err *err)
{
    if (d->kind == GAL_COMPRESS_NONE || (d->any && !d->begun))
        return GAL_OK;
    return gal_fail(err, GAL_INVALID, "the compressed bytes end early");
}

/* --- media types --- */

bool gal_compression_of(struct gal_str media_type, enum gal_compression *out)
{
    static const struct {
        const char *end;
        enum gal_compression kind;
    } ends[] = {
        {".tar+gzip", GAL_COMPRESS_GZIP}, {".tar+zstd", GAL_COMPRESS_ZSTD},
        {".tar.gzip", GAL_COMPRESS_GZIP}, {".tar.zstd", GAL_COMPRESS_ZSTD},
        {".tar", GAL_COMPRESS_NONE},      {".v1.raw", GAL_COMPRESS_NONE},
    };
    static const char *const families[] = {
        "application/vnd.oci.image.layer.",
        "application/vnd.docker.image.rootfs.",
        "application/vnd.cncf.model.",
    };
    for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
        if (!gal_str_starts(media_type, gal_str_of(families[f])))
            continue;
        for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
            *out = ends[i].kind;
            if (gal_str_ends(media_type, gal_str_of(ends[i].end)))
                return true;
        }
    }
    return false;
}
