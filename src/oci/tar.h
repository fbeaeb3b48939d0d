/* SPDX-License-Identifier: Apache-2.0 */
/* tar: written by ourselves (ustar, with a pax record where a name or size needs one; owner and
 * time are the entry's), read through libarchive. Any thread, one a writer or reader. */
#ifndef GAL_OCI_TAR_H
#define GAL_OCI_TAR_H

#include "base/buf.h"

#define GAL_TAR_BLOCK 512u

enum gal_tar_type { GAL_TAR_FILE, GAL_TAR_DIR, GAL_TAR_SYMLINK, GAL_TAR_HARDLINK, GAL_TAR_OTHER };

struct gal_tar_entry {
    const char *path; /* as it stands in the archive; of a directory with or without its last / */
    enum gal_tar_type type;
    const char *target; /* of a link; NULL */
    unsigned mode;      /* 0644 */
    uint64_t uid, gid, size;
    int64_t mtime; /* seconds since 1970 */
};

/* --- writing: each call appends to out; bytes of a file follow its header by the caller --- */
/* INVALID: a name that no tar can hold (empty, longer than 4096 bytes, a device). */
enum gal_status gal_tar_put_header(struct gal_buf *out, const struct gal_tar_entry *e,
                                   struct gal_err *err);
size_t gal_tar_padding(uint64_t size); /* zeros behind a file's bytes */
void gal_tar_put_padding(struct gal_buf *out, uint64_t size);
void gal_tar_put_end(struct gal_buf *out);

/* --- reading --- */
struct gal_tar_source {
    /* More bytes: *piece stays until the next call; empty at the end. */
    enum gal_status (*read)(void *ctx, struct gal_str *piece, struct gal_err *err);
    void *ctx;
};
struct gal_tar_reader;
/* From memory (pieces of files point into it) or from a source. */
enum gal_status gal_tar_open_memory(struct gal_str bytes, struct gal_tar_reader **out,
                                    struct gal_err *err);
enum gal_status gal_tar_open(const struct gal_tar_source *source, struct gal_tar_reader **out,
                             struct gal_err *err);
/* A layer in memory, of whichever compression its media type tells. bytes_max: of all that comes
 * out of it, TOO_LARGE beyond. UNSUPPORTED: a media type that is no tar's. */
enum gal_status gal_tar_open_layer(struct gal_str bytes, struct gal_str media_type,
                                   uint64_t bytes_max, struct gal_tar_reader **out,
                                   struct gal_err *err);
/* The next entry; *end instead when there is none. e's texts stay until the next call. */
enum gal_status gal_tar_next(struct gal_tar_reader *r, struct gal_tar_entry *e, bool *end,
                             struct gal_err *err);
/* Next piece of the entry's bytes; empty at its end. INVALID when they end early. */
enum gal_status gal_tar_data(struct gal_tar_reader *r, struct gal_str *piece, struct gal_err *err);
void gal_tar_close(struct gal_tar_reader *r); /* NULL is fine */

/* False for what must not be unpacked: absolute, empty, a part that is empty, "." or "..", control
 * characters, a backslash at a part's start, longer than 4096 bytes. One "./" in front and one /
 * at the end are fine. */
bool gal_tar_path_safe(const char *path);

#endif
