/* SPDX-License-Identifier: Apache-2.0 */
/* Reading, over libarchive's tar reader. Of the library only that is linked: no filters (layers are
 * decompressed by oci/compress.h), no other formats, no writer. */
#include "oci/tar.h"

#include "base/limits.h"
#include "base/mem.h"
#include "oci/tar_layer.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>

#define ZEROS_BYTES 65536u

static const char zeros[ZEROS_BYTES]; /* what a sparse file does not hold */

struct gal_tar_reader {
    struct archive *archive;
    struct gal_tar_source source; /* read NULL: memory */
    struct gal_err err;           /* of the source, while the library is on the stack */
    bool source_failed;
    struct gal_tar_unpacked *unpacked; /* a layer that it owns; NULL */
    uint64_t size, at;                 /* bytes of the entry, and of them handed on */
    struct gal_str piece;
    uint64_t piece_at; /* where `piece` lies in the entry */
    bool has_data;
};

static la_ssize_t on_read(struct archive *a, void *ctx, const void **bytes)
{
    struct gal_tar_reader *r = ctx;
    struct gal_str piece = {NULL, 0};
    if (r->source_failed || r->source.read(r->source.ctx, &piece, &r->err) != GAL_OK) {
        r->source_failed = true;
        archive_set_error(a, EIO, "the source failed");
        return ARCHIVE_FATAL;
    }
    *bytes = piece.p;
    return (la_ssize_t)piece.n;
}

/* The source's own error, or what the library says. */
static enum gal_status fail(const struct gal_tar_reader *r, struct gal_err *err)
{
    const char *words = archive_error_string(r->archive);
    if (r->source_failed) {
        if (err)
            *err = r->err;
        return r->err.code;
    }
    if (archive_errno(r->archive) == ENOMEM)
        return gal_fail(err, GAL_NO_MEMORY, "no memory to read a tar");
    return gal_fail(err, GAL_INVALID, "not a sound tar: %s", words ? words : "unknown reason");
}

static enum gal_status open_reader(const struct gal_tar_source *source, struct gal_str bytes,
                                   struct gal_tar_reader **out, struct gal_err *err)
{
    enum gal_status status = GAL_OK;
    struct gal_tar_reader *r = gal_calloc(1, sizeof *r);
    *out = NULL;
    if (!r)
        return gal_fail(err, GAL_NO_MEMORY, "no memory to read a tar");
    r->archive = archive_read_new();
    if (!r->archive) {
        gal_free(r);
        return gal_fail(err, GAL_NO_MEMORY, "no memory to read a tar");
    }
    int rc = archive_read_support_format_tar(r->archive);
    if (rc == ARCHIVE_OK && source) {
        r->source = *source;
        rc = archive_read_open(r->archive, r, NULL, on_read, NULL);
    } else if (rc == ARCHIVE_OK) {
        rc = archive_read_open_memory(r->archive, bytes.p ? bytes.p : "", bytes.n);
    }
    if (rc != ARCHIVE_OK) {
        status = fail(r, err);
        gal_tar_close(r);
        return status;
    }
    *out = r;
    return GAL_OK;
}

enum gal_status gal_tar_open_memory(struct gal_str bytes, struct gal_tar_reader **out,
                                    struct gal_err *err)
{
    return open_reader(NULL, bytes, out, err);
}

enum gal_status gal_tar_open(const struct gal_tar_source *source, struct gal_tar_reader **out,
                             struct gal_err *err)
{
    return open_reader(source, (struct gal_str){NULL, 0}, out, err);
}

enum gal_status gal_tar_open_layer(struct gal_str bytes, struct gal_str media_type,
                                   uint64_t bytes_max, struct gal_tar_reader **out,
                                   struct gal_err *err)
{
    struct gal_tar_unpacked *u;
    *out = NULL;
    enum gal_status status = gal_tar_unpacked_new(bytes, media_type, bytes_max, &u, err);
    if (status)
        return status;
    const struct gal_tar_source source = {gal_tar_unpacked_read, u};
    status = open_reader(&source, bytes, out, err);
    if (*out)
        (*out)->unpacked = u;
    else
        gal_tar_unpacked_free(u);
    return status;
}

void gal_tar_close(struct gal_tar_reader *r)
{
    if (!r)
        return;
    (void)archive_read_free(r->archive);
    gal_tar_unpacked_free(r->unpacked);
    gal_free(r);
}

static enum gal_tar_type type_of(struct archive_entry *entry)
{
    if (archive_entry_hardlink(entry))
        return GAL_TAR_HARDLINK;
    switch (archive_entry_filetype(entry)) {
    case AE_IFREG:
        return GAL_TAR_FILE;
    case AE_IFDIR:
        return GAL_TAR_DIR;
    case AE_IFLNK:
        return GAL_TAR_SYMLINK;
    default:
        return GAL_TAR_OTHER;
    }
}

static uint64_t not_negative(int64_t v)
{
    return v > 0 ? (uint64_t)v : 0;
}

/* A layer goes on behind its tar's end: what is left has to be sound, and bounded, too. */
static enum gal_status drain(const struct gal_tar_reader *r, struct gal_err *err)
{
    struct gal_str piece = {NULL, r->unpacked ? 1 : 0};
    enum gal_status status = GAL_OK;
    while (!status && piece.n > 0)
        status = gal_tar_unpacked_read(r->unpacked, &piece, err);
    return status;
}

enum gal_status gal_tar_next(struct gal_tar_reader *r, struct gal_tar_entry *e, bool *end,
                             struct gal_err *err)
{
    struct archive_entry *entry;
    int rc = archive_read_next_header(r->archive, &entry);
    *e = (struct gal_tar_entry){.path = ""};
    r->has_data = false;
    *end = rc == ARCHIVE_EOF;
    if (*end)
        return drain(r, err);
    /* A warning is about what the locale cannot show or an attribute that nobody asked for. */
    if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
        return fail(r, err);
    e->path = archive_entry_pathname(entry);
    if (!e->path || strlen(e->path) > GAL_TAR_NAME_BYTES_MAX)
        return gal_fail(err, GAL_INVALID, "not a sound tar: an entry's name cannot be read");
    e->type = type_of(entry);
    e->target = e->type == GAL_TAR_HARDLINK  ? archive_entry_hardlink(entry)
                : e->type == GAL_TAR_SYMLINK ? archive_entry_symlink(entry)
                                             : NULL;
    if ((e->type == GAL_TAR_HARDLINK || e->type == GAL_TAR_SYMLINK) && !e->target)
        e->target = "";
    if (archive_entry_size(entry) < 0)
        return gal_fail(err, GAL_INVALID, "not a sound tar: \"%.64s\" has a negative size",
                        e->path);
    e->mode = archive_entry_perm(entry) & 07777;
    e->uid = not_negative(archive_entry_uid(entry));
    e->gid = not_negative(archive_entry_gid(entry));
    e->size = e->type == GAL_TAR_FILE ? (uint64_t)archive_entry_size(entry) : 0;
    e->mtime = archive_entry_mtime(entry);
    r->size = e->size;
    r->at = 0;
    return GAL_OK;
}

enum gal_status gal_tar_data(struct gal_tar_reader *r, struct gal_str *piece, struct gal_err *err)
{
    *piece = (struct gal_str){NULL, 0};
    while (!r->has_data && r->at < r->size) {
        const void *bytes = NULL;
        la_int64_t at = 0;
        int rc = archive_read_data_block(r->archive, &bytes, &r->piece.n, &at);
        if (rc == ARCHIVE_EOF) { /* the rest is a hole */
            r->piece.n = 0;
            at = (la_int64_t)r->size;
        } else if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN) {
            return fail(r, err);
        }
        r->piece.p = bytes;
        if (at < 0 || (uint64_t)at < r->at || (uint64_t)at > r->size ||
            r->piece.n > r->size - (uint64_t)at)
            return gal_fail(err, GAL_INVALID, "not a sound tar: bytes of a file overlap");
        r->piece_at = (uint64_t)at;
        r->has_data = r->piece.n > 0 || rc == ARCHIVE_EOF;
    }
    if (!r->has_data)
        return GAL_OK;
    if (r->at < r->piece_at) { /* a hole */
        uint64_t hole = r->piece_at - r->at;
        *piece = (struct gal_str){zeros, hole < ZEROS_BYTES ? (size_t)hole : ZEROS_BYTES};
    } else {
        *piece = r->piece;
        r->has_data = false;
    }
    r->at += piece->n;
    return GAL_OK;
}

bool gal_tar_path_safe(const char *path)
{
    struct gal_str rest = gal_str_of(path), part;
    if (rest.n > GAL_TAR_NAME_BYTES_MAX)
        return false;
    for (size_t i = 0; i < rest.n; i++) {
        if ((unsigned char)rest.p[i] < 0x20 || rest.p[i] == 0x7f)
            return false;
    }
    if (gal_str_starts(rest, GAL_STR("./")) && rest.n > 2)
        rest = (struct gal_str){rest.p + 2, rest.n - 2};
    if (rest.n > 1 && rest.p[rest.n - 1] == '/')
        rest.n--;
    if (rest.n == 0 || rest.p[rest.n - 1] == '/')
        return false;
    while (gal_str_cut(&rest, '/', &part)) {
        if (part.n == 0 || gal_str_is(part, ".") || gal_str_is(part, "..") || part.p[0] == '\\')
            return false;
    }
    return true;
}
