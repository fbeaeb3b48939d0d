/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/layout.h"

#include "base/digest.h"
#include "base/file_write.h"
#include "base/limits.h"
#include "base/mem.h"
#include "oci/tar.h"

#include <stdio.h>

#define LAYOUT_TEXT "{\"imageLayoutVersion\":\"1.0.0\"}"
#define NAME_SIZE 128u

/* A blob, or a file beside index.json (digest empty). */
struct piece {
    char digest[GAL_DIGEST_SIZE];
    char *name;  /* of the latter; owned */
    char *bytes; /* owned; NULL: from the file */
    char *path;  /* owned */
    uint64_t offset, size;
};

struct gal_layout_writer {
    enum gal_layout_kind kind;
    char *path;
    char *dir;                    /* DIR: where it is made; owned */
    struct gal_file_writer *file; /* TAR: the tar; DIR: the file that is written */
    struct gal_buf pieces;        /* struct piece */
    struct gal_sha256 *sha;
    uint64_t done, total;
    void (*on_progress)(uint64_t done, uint64_t total, void *ctx);
    void *ctx;
    struct gal_err *err; /* of the call that is under way */
};

static struct piece *pieces_of(const struct gal_layout_writer *w, size_t *count)
{
    *count = w->pieces.n / sizeof(struct piece);
    return (struct piece *)(void *)w->pieces.p;
}

static void release(struct piece *p)
{
    gal_free(p->name);
    gal_free(p->bytes);
    gal_free(p->path);
}

void gal_layout_abandon(struct gal_layout_writer *w)
{
    if (!w)
        return;
    size_t count;
    struct piece *pieces = pieces_of(w, &count);
    for (size_t i = 0; i < count; i++)
        release(&pieces[i]);
    gal_buf_release(&w->pieces);
    gal_file_abandon(w->file);
    if (w->dir)
        (void)gal_dir_remove(w->dir, NULL);
    gal_free(w->dir);
    gal_free(w->path);
    gal_sha256_free(w->sha);
    gal_free(w);
}

enum gal_status gal_layout_create(const char *path, enum gal_layout_kind kind,
                                  struct gal_layout_writer **out, struct gal_err *err)
{
    struct gal_layout_writer *w = gal_calloc(1, sizeof *w);
    enum gal_status status = GAL_OK;
    *out = NULL;
    if (!w)
        return gal_fail(err, GAL_NO_MEMORY, "%s: out of memory", path);
    gal_buf_init(&w->pieces, sizeof(struct piece) * (size_t)GAL_OCI_ENTRIES_MAX);
    w->kind = kind;
    w->path = gal_strdup(path);
    w->sha = gal_sha256_new();
    if (!w->path || !w->sha)
        status = gal_fail(err, GAL_NO_MEMORY, "%s: out of memory", path);
    else if (kind == GAL_LAYOUT_DIR)
        status = gal_dir_make_beside(path, &w->dir, err);
    else
        status = gal_file_create(path, &w->file, err);
    if (status)
        gal_layout_abandon(w);
    else
        *out = w;
    return status;
}

/* --- collecting --- */

static enum gal_status add(struct gal_layout_writer *w, const char *digest, const char *name,
                           struct gal_str bytes, const char *path, uint64_t offset, uint64_t size,
                           struct gal_err *err)
{
    struct piece p = {.offset = offset, .size = size};
    bool ok = true;
    if (digest && !gal_oci_digest_valid(gal_str_of(digest)))
        return gal_fail(err, GAL_INVALID, "no digest: \"%s\"", digest);
    if (digest)
        memcpy(p.digest, digest, sizeof p.digest);
    if (name)
        ok = (p.name = gal_strdup(name)) != NULL;
    if (ok && path)
        ok = (p.path = gal_strdup(path)) != NULL;
    else if (ok)
        ok = (p.bytes = gal_strndup(bytes.n ? bytes.p : "", bytes.n)) != NULL;
    if (ok) {
        gal_buf_put(&w->pieces, &p, sizeof p);
        ok = !w->pieces.failed;
    }
    if (!ok)
        release(&p);
    return ok ? GAL_OK : gal_fail(err, GAL_NO_MEMORY, "no memory for a layout's blobs");
}

enum gal_status gal_layout_add(struct gal_layout_writer *w, const struct gal_oci_descriptor *d,
                               struct gal_str bytes, struct gal_err *err)
{
    if (bytes.n != d->size)
        return gal_fail(err, GAL_INVALID, "blob %s has %zu bytes, %llu were told", d->digest,
                        bytes.n, (unsigned long long)d->size);
    return add(w, d->digest, NULL, bytes, NULL, 0, d->size, err);
}

enum gal_status gal_layout_add_file(struct gal_layout_writer *w, const struct gal_oci_descriptor *d,
                                    const char *path, uint64_t offset, struct gal_err *err)
{
    return add(w, d->digest, NULL, (struct gal_str){NULL, 0}, path, offset, d->size, err);
}

enum gal_status gal_layout_add_extra(struct gal_layout_writer *w, const char *name,
                                     struct gal_str bytes, struct gal_err *err)
{
    GAL_ASSERT(w->kind == GAL_LAYOUT_TAR);
    return add(w, NULL, name, bytes, NULL, 0, bytes.n, err);
}

/* --- writing --- */

static enum gal_status put(struct gal_layout_writer *w, struct gal_str bytes)
{
    enum gal_status status = gal_file_write(w->file, bytes, w->err);
    w->done += bytes.n;
    if (!status && w->on_progress)
        w->on_progress(w->done < w->total ? w->done : w->total, w->total, w->ctx);
    return status;
}

static enum gal_status on_content(struct gal_str bytes, void *ctx)
{
    struct gal_layout_writer *w = ctx;
    enum gal_status status = gal_sha256_add(w->sha, bytes);
    return status ? gal_fail(w->err, status, "SHA-256 cannot be computed") : put(w, bytes);
}

static enum gal_status put_content(struct gal_layout_writer *w, const struct piece *p)
{
    char hex[GAL_SHA256_HEX_SIZE];
    enum gal_status status =
        p->path ? gal_file_scan_part(p->path, p->offset, p->size, on_content, w, w->err)
                : on_content((struct gal_str){p->bytes, (size_t)p->size}, w);
    if (!status && gal_sha256_end(w->sha, hex) != GAL_OK)
        status = gal_fail(w->err, GAL_INTERNAL, "SHA-256 cannot be computed");
    if (status || !p->digest[0] || strcmp(hex, p->digest + 7) == 0)
        return status;
    if (p->path)
        return gal_fail(w->err, GAL_CONFLICT, "%s: changed while it was read: %s became sha256:%s",
                        p->path, p->digest, hex);
    return gal_fail(w->err, GAL_INVALID, "blob %s has the digest sha256:%s", p->digest, hex);
}

static enum gal_status put_tar_head(struct gal_layout_writer *w, const char *name,
                                    enum gal_tar_type type, uint64_t size)
{
    const struct gal_tar_entry e = {
        .path = name, .type = type, .mode = type == GAL_TAR_DIR ? 0755 : 0644, .size = size};
    struct gal_buf head;
    gal_buf_init(&head, 65536);
    enum gal_status status = gal_tar_put_header(&head, &e, w->err);
    if (!status)
        status = gal_file_write(w->file, gal_buf_str(&head), w->err);
    gal_buf_release(&head);
    return status;
}

static enum gal_status put_zeros(struct gal_layout_writer *w, size_t n)
{
    static const char zeros[2 * GAL_TAR_BLOCK];
    return gal_file_write(w->file, (struct gal_str){zeros, n}, w->err);
}

static enum gal_status put_piece(struct gal_layout_writer *w, const char *name,
                                 const struct piece *p)
{
    enum gal_status status;
    if (w->kind == GAL_LAYOUT_TAR) {
        status = put_tar_head(w, name, GAL_TAR_FILE, p->size);
        if (!status)
            status = put_content(w, p);
        return status ? status : put_zeros(w, gal_tar_padding(p->size));
    }
    char *path = gal_path_join(w->dir, name);
    if (!path)
        return gal_fail(w->err, GAL_NO_MEMORY, "%s: out of memory", w->path);
    status = gal_file_create_new(path, &w->file, w->err);
    gal_free(path);
    if (!status)
        status = put_content(w, p);
    if (status)
        return status;
    struct gal_file_writer *file = w->file;
    w->file = NULL;
    return gal_file_commit(file, w->err);
}

static enum gal_status put_directory(struct gal_layout_writer *w, const char *name)
{
    if (w->kind == GAL_LAYOUT_TAR)
        return put_tar_head(w, name, GAL_TAR_DIR, 0);
    char *path = gal_path_join(w->dir, name);
    enum gal_status status = path ? gal_dir_make(path, w->err)
                                  : gal_fail(w->err, GAL_NO_MEMORY, "%s: out of memory", w->path);
    gal_free(path);
    return status;
}

/* Extras first, by name, then blobs, by digest. */
static int compare(const void *a, const void *b)
{
    const struct piece *x = a, *y = b;
    if (!x->name != !y->name)
        return x->name ? -1 : 1;
    return x->name ? strcmp(x->name, y->name) : strcmp(x->digest, y->digest);
}

/* Sorts, drops what is there twice, adds up. */
static enum gal_status settle(struct gal_layout_writer *w)
{
    size_t count, kept = 0;
    struct piece *p = pieces_of(w, &count);
    enum gal_status status = GAL_OK;
    if (count > 0)
        qsort(p, count, sizeof *p, compare);
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && compare(&p[kept - 1], &p[i]) == 0) {
            if (p[kept - 1].size != p[i].size && !status)
                status = gal_fail(w->err, GAL_INVALID, "blob %s: two sizes were told", p[i].digest);
            release(&p[i]);
            continue;
        }
        p[kept] = p[i];
        w->total += p[kept++].size;
    }
    w->pieces.n = kept * sizeof *p;
    return status;
}

static enum gal_status put_text(struct gal_layout_writer *w, const char *name, struct gal_str text)
{
    const struct piece p = {.bytes = (char *)(uintptr_t)text.p, .size = text.n};
    return put_piece(w, name, &p);
}

static enum gal_status put_index(struct gal_layout_writer *w, const struct gal_oci_index *index)
{
    struct gal_buf text;
    gal_buf_init(&text, GAL_OCI_JSON_BYTES_MAX);
    gal_oci_index_write(&text, index);
    enum gal_status status =
        text.failed ? gal_fail(w->err, GAL_TOO_LARGE, "%s: its index is too large", w->path)
                    : put_text(w, "index.json", gal_buf_str(&text));
    gal_buf_release(&text);
    return status;
}

static enum gal_status put_all(struct gal_layout_writer *w, const struct gal_oci_index *index)
{
    size_t count, i = 0;
    char name[NAME_SIZE];
    const struct piece *p = pieces_of(w, &count);
    enum gal_status status = put_text(w, "oci-layout", GAL_STR(LAYOUT_TEXT));
    if (!status)
        status = put_index(w, index);
    for (; i < count && p[i].name && !status; i++)
        status = put_piece(w, p[i].name, &p[i]);
    if (!status)
        status = put_directory(w, "blobs");
    if (!status)
        status = put_directory(w, "blobs/sha256");
    for (; i < count && !status; i++) {
        (void)snprintf(name, sizeof name, "blobs/sha256/%s", p[i].digest + 7);
        status = put_piece(w, name, &p[i]);
    }
    if (!status && w->kind == GAL_LAYOUT_TAR)
        status = put_zeros(w, (size_t)2 * GAL_TAR_BLOCK);
    return status;
}

/* Names in the directories are on the disk, then the whole is put in place. */
static enum gal_status place_directory(struct gal_layout_writer *w)
{
    static const char *const dirs[] = {"blobs/sha256", "blobs", "."};
    enum gal_status status = GAL_OK;
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs && !status; i++) {
        char *path = gal_path_join(w->dir, dirs[i]);
        status = path ? gal_dir_sync(path, w->err)
                      : gal_fail(w->err, GAL_NO_MEMORY, "%s: out of memory", w->path);
        gal_free(path);
    }
    if (!status)
        status = gal_dir_place(w->dir, w->path, w->err);
    if (!status) {
        gal_free(w->dir);
        w->dir = NULL;
    }
    return status;
}

enum gal_status gal_layout_finish(struct gal_layout_writer *w, const struct gal_oci_index *index,
                                  void (*on_progress)(uint64_t done, uint64_t total, void *ctx),
                                  void *ctx, struct gal_err *err)
{
    w->on_progress = on_progress;
    w->ctx = ctx;
    w->err = err;
    enum gal_status status = settle(w);
    if (!status)
        status = put_all(w, index);
    if (!status && w->kind == GAL_LAYOUT_DIR) {
        status = place_directory(w);
    } else if (!status) {
        status = gal_file_commit(w->file, err);
        w->file = NULL;
    }
    gal_layout_abandon(w);
    return status;
}
