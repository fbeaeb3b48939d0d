/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/layout_impl.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "oci/tar.h"
#include "text/json.h"

#include <stdio.h>

#define BLOB_PREFIX "blobs/sha256/"
#define ARENA_FIRST 16384u
#define ARENA_MAX (256u << 20)

/* A blob of a tar. */
struct blob {
    char digest[GAL_DIGEST_SIZE];
    uint64_t offset, size;
};

/* --- opening a tar --- */

struct found {
    struct gal_str layout, index;
    bool has_layout, has_index;
};

static const struct blob *blobs_of(const struct gal_layout *l, size_t *count)
{
    *count = l->blobs.n / sizeof(struct blob);
    return (const struct blob *)(const void *)l->blobs.p;
}

/* The entry's bytes as a part of the map. */
static enum gal_status entry_bytes(const struct gal_layout *l, struct gal_tar_reader *r,
                                   const struct gal_tar_entry *e, struct gal_str *out,
                                   struct gal_err *err)
{
    enum gal_status status = gal_tar_data(r, out, err);
    if (status || e->size == 0)
        return status;
    uintptr_t from = (uintptr_t)l->tar.p, at = (uintptr_t)out->p;
    if (out->n != e->size || at < from || at - from > l->tar.n - out->n)
        return gal_fail(err, GAL_INVALID, "\"%.128s\" does not lie in one piece", e->path);
    return GAL_OK;
}

static enum gal_status add_blob(struct gal_layout *l, const char *digits, struct gal_str bytes,
                                struct gal_err *err)
{
    struct blob b = {.size = bytes.n, .offset = bytes.n ? (uint64_t)(bytes.p - l->tar.p) : 0};
    (void)snprintf(b.digest, sizeof b.digest, "sha256:%.64s", digits);
    if (strlen(digits) != 64 || !gal_oci_digest_valid(gal_str_of(b.digest)))
        return gal_fail(err, GAL_INVALID, "\"" BLOB_PREFIX "%.96s\" is no digest's name", digits);
    if (l->blobs.n / sizeof b >= GAL_OCI_ENTRIES_MAX)
        return gal_fail(err, GAL_TOO_LARGE, "more than %u blobs", GAL_OCI_ENTRIES_MAX);
    gal_buf_put(&l->blobs, &b, sizeof b);
    return l->blobs.failed ? gal_fail(err, GAL_NO_MEMORY, "no memory for its blobs") : GAL_OK;
}

static enum gal_status once(bool *seen, const char *name, struct gal_err *err)
{
    if (*seen)
        return gal_fail(err, GAL_INVALID, "\"%s\" is there twice", name);
    *seen = true;
    return GAL_OK;
}

/* What docker and podman put beside an index. */
static bool is_extra(const char *name)
{
    return strcmp(name, "manifest.json") == 0 || strcmp(name, "repositories") == 0;
}

static enum gal_status take_entry(struct gal_layout *l, struct gal_tar_reader *r,
                                  const struct gal_tar_entry *e, struct found *f,
                                  struct gal_err *err)
{
    const char *name = strncmp(e->path, "./", 2) == 0 ? e->path + 2 : e->path;
    struct gal_str bytes;
    if (e->type == GAL_TAR_DIR && (!*name || !strcmp(name, "blobs") || !strcmp(name, "blobs/") ||
                                   !strcmp(name, "blobs/sha256") || !strcmp(name, "blobs/sha256/")))
        return GAL_OK;
    if (e->type == GAL_TAR_SYMLINK || e->type == GAL_TAR_HARDLINK)
        return gal_fail(err, GAL_INVALID, "\"%.128s\" is a link to \"%.64s\"", e->path, e->target);
    if (e->type != GAL_TAR_FILE)
        return gal_fail(err, GAL_INVALID, "\"%.128s\" does not belong into an image layout",
                        e->path);
    enum gal_status status = entry_bytes(l, r, e, &bytes, err);
    if (status)
        return status;
    if (strncmp(name, BLOB_PREFIX, strlen(BLOB_PREFIX)) == 0)
        return add_blob(l, name + strlen(BLOB_PREFIX), bytes, err);
    if (strcmp(name, "oci-layout") == 0) {
        f->layout = bytes;
        return once(&f->has_layout, name, err);
    }
    if (strcmp(name, "index.json") == 0) {
        f->index = bytes;
        return once(&f->has_index, name, err);
    }
    if (is_extra(name))
        return GAL_OK;
    return gal_fail(err, GAL_INVALID, "\"%.128s\" does not belong into an image layout", e->path);
}

static int compare_blobs(const void *a, const void *b)
{
    const struct blob *x = a, *y = b;
    return strcmp(x->digest, y->digest);
}

static enum gal_status sort_blobs(struct gal_layout *l, struct gal_err *err)
{
    size_t count;
    const struct blob *blobs = blobs_of(l, &count);
    if (count > 0)
        qsort(l->blobs.p, count, sizeof *blobs, compare_blobs);
    for (size_t i = 1; i < count; i++) {
        if (compare_blobs(&blobs[i - 1], &blobs[i]) == 0)
            return gal_fail(err, GAL_INVALID, "blob %s is there twice", blobs[i].digest);
    }
    return GAL_OK;
}

/* A tar ends with two blocks of zeros: one that does not was cut. */
static enum gal_status check_end(struct gal_str tar, struct gal_err *err)
{
    bool whole = tar.n >= (size_t)2 * GAL_TAR_BLOCK && tar.n % GAL_TAR_BLOCK == 0;
    for (size_t i = tar.n - 2 * GAL_TAR_BLOCK; whole && i < tar.n; i++)
        whole = tar.p[i] == 0;
    return whole ? GAL_OK : gal_fail(err, GAL_INVALID, "the file ends early");
}

static enum gal_status scan_tar(struct gal_layout *l, struct found *f, struct gal_err *err)
{
    struct gal_tar_reader *r;
    struct gal_tar_entry e;
    bool end = false;
    enum gal_status status = gal_tar_open_memory(l->tar, &r, err);
    if (status)
        return status;
    while (!status) {
        status = gal_tar_next(r, &e, &end, err);
        if (status || end)
            break;
        status = take_entry(l, r, &e, f, err);
    }
    gal_tar_close(r);
    if (!status)
        status = check_end(l->tar, err);
    return status ? status : sort_blobs(l, err);
}

static enum gal_status open_tar(struct gal_layout *l, struct found *f, struct gal_err *err)
{
    gal_buf_init(&l->blobs, sizeof(struct blob) * (size_t)GAL_OCI_ENTRIES_MAX);
    enum gal_status status = gal_file_map(l->path, &l->tar, err);
    if (status)
        return status;
    status = scan_tar(l, f, err);
    if (status == GAL_INVALID && l->tar.n > 2 && memcmp(l->tar.p, "\x1f\x8b", 2) == 0)
        gal_err_hint(err, "it is compressed with gzip: gunzip it first");
    return status;
}

/* --- opening a directory --- */

static enum gal_status read_member(const struct gal_layout *l, const char *name, size_t bytes_max,
                                   struct gal_buf *out, bool *there, struct gal_err *err)
{
    char *path = gal_path_join(l->path, name);
    if (!path)
        return gal_fail(err, GAL_NO_MEMORY, "out of memory");
    enum gal_status status = gal_file_read(path, bytes_max, out, err);
    gal_free(path);
    *there = status == GAL_OK;
    return status == GAL_NOT_FOUND ? GAL_OK : status;
}

/* --- both --- */

static enum gal_status check_version(struct gal_layout *l, struct gal_str text, struct gal_err *err)
{
    yyjson_val *root;
    enum gal_status status = gal_json_read(text, &l->arena, 4, &root, err);
    if (status)
        return gal_fail(err, GAL_INVALID, "\"oci-layout\" is not JSON");
    yyjson_val *v = yyjson_obj_get(root, "imageLayoutVersion");
    if (!yyjson_is_str(v) || strncmp(yyjson_get_str(v), "1.", 2) != 0)
        return gal_fail(err, GAL_INVALID, "\"oci-layout\" does not say version 1");
    return GAL_OK;
}

static enum gal_status open_either(struct gal_layout *l, struct gal_err *err)
{
    struct found f = {.has_layout = false};
    struct gal_buf version;
    enum gal_status status = GAL_OK;
    gal_buf_init(&version, 0);
    if (l->is_dir) {
        status = read_member(l, "oci-layout", 4096, &version, &f.has_layout, err);
        if (!status)
            status = read_member(l, "index.json", GAL_OCI_JSON_BYTES_MAX, &l->index_text,
                                 &f.has_index, err);
        f.layout = gal_buf_str(&version);
        f.index = gal_buf_str(&l->index_text);
    } else {
        status = open_tar(l, &f, err);
    }
    if (!status && (!f.has_layout || !f.has_index))
        status = gal_fail(err, GAL_INVALID, "no image layout: it has no \"%s\"",
                          f.has_layout ? "index.json" : "oci-layout");
    if (!status)
        status = check_version(l, f.layout, err);
    if (!status)
        status = gal_oci_index_read(f.index, &l->arena, &l->index, err);
    gal_buf_release(&version);
    return status;
}

enum gal_status gal_layout_name_path(const struct gal_layout *l, enum gal_status status,
                                     struct gal_err *err)
{
    if (!status || !err || strncmp(err->message, l->path, strlen(l->path)) == 0)
        return status;
    struct gal_err inner = *err;
    (void)gal_fail(err, status, "%s: %s", l->path, inner.message);
    gal_err_place(err, "%s", inner.place);
    gal_err_hint(err, "%s", inner.hint);
    return status;
}

enum gal_status gal_layout_open(const char *path, struct gal_layout **out, struct gal_err *err)
{
    struct gal_file_info info;
    *out = NULL;
    enum gal_status status = gal_file_stat(path, &info, err);
    if (status)
        return status;
    if (info.kind != GAL_FILE_DIR && info.kind != GAL_FILE_REGULAR)
        return gal_fail(err, info.kind == GAL_FILE_NONE ? GAL_NOT_FOUND : GAL_INVALID, "%s: %s",
                        path, info.kind == GAL_FILE_NONE ? "no such file" : "no regular file");
    struct gal_layout *l = gal_calloc(1, sizeof *l);
    if (!l)
        return gal_fail(err, GAL_NO_MEMORY, "%s: out of memory", path);
    pthread_mutex_init(&l->lock, NULL);
    gal_arena_init(&l->arena, ARENA_FIRST, 0, ARENA_MAX);
    l->is_dir = info.kind == GAL_FILE_DIR;
    l->path = gal_arena_strdup(&l->arena, gal_str_of(path));
    if (!l->path) {
        gal_layout_close(l);
        return gal_fail(err, GAL_NO_MEMORY, "%s: out of memory", path);
    }
    status = gal_layout_name_path(l, open_either(l, err), err);
    if (status)
        gal_layout_close(l);
    else
        *out = l;
    return status;
}

void gal_layout_close(struct gal_layout *l)
{
    if (!l)
        return;
    while (l->maps) {
        struct mapped *m = l->maps;
        l->maps = m->next;
        gal_file_unmap(m->bytes);
        gal_free(m->path);
        gal_free(m);
    }
    gal_file_unmap(l->tar);
    gal_buf_release(&l->blobs);
    gal_buf_release(&l->index_text);
    gal_arena_release(&l->arena);
    pthread_mutex_destroy(&l->lock);
    gal_free(l);
}

const struct gal_oci_index *gal_layout_index(const struct gal_layout *l)
{
    return &l->index;
}

/* --- blobs --- */

static enum gal_status missing(const struct gal_layout *l, const struct gal_oci_descriptor *d,
                               struct gal_err *err)
{
    return gal_fail(err, GAL_NOT_FOUND, "%s: blob %s is missing", l->path, d->digest);
}

static enum gal_status check_size(const struct gal_layout *l, const struct gal_oci_descriptor *d,
                                  uint64_t size, struct gal_err *err)
{
    if (size == d->size)
        return GAL_OK;
    return gal_fail(err, GAL_INVALID, "%s: blob %s has %llu bytes, %llu were promised", l->path,
                    d->digest, (unsigned long long)size, (unsigned long long)d->size);
}

static enum gal_status find_in_tar(const struct gal_layout *l, const struct gal_oci_descriptor *d,
                                   const struct blob **out, struct gal_err *err)
{
    struct blob key;
    size_t count;
    const struct blob *blobs = blobs_of(l, &count);
    memcpy(key.digest, d->digest, sizeof key.digest);
    *out = count > 0 ? bsearch(&key, blobs, count, sizeof key, compare_blobs) : NULL;
    return *out ? check_size(l, d, (*out)->size, err) : missing(l, d, err);
}

/* Under the lock. A link in a blob's place is none of its bytes. */
static enum gal_status map_file(struct gal_layout *l, const struct gal_oci_descriptor *d,
                                struct mapped **out, struct gal_err *err)
{
    struct gal_file_info info = {.kind = GAL_FILE_NONE};
    enum gal_status status = GAL_OK;
    for (*out = l->maps; *out; *out = (*out)->next) {
        if (strcmp((*out)->digest, d->digest) == 0)
            return check_size(l, d, (*out)->bytes.n, err);
    }
    if (!gal_oci_digest_valid(gal_str_of(d->digest)))
        return gal_fail(err, GAL_INVALID, "%s: no digest: \"%s\"", l->path, d->digest);
    struct mapped *m = gal_calloc(1, sizeof *m);
    size_t room = strlen(l->path) + sizeof "/" BLOB_PREFIX + 64;
    if (m)
        m->path = gal_alloc(room);
    if (!m || !m->path) {
        status = gal_fail(err, GAL_NO_MEMORY, "%s: out of memory", l->path);
        goto out;
    }
    (void)snprintf(m->digest, sizeof m->digest, "%s", d->digest);
    (void)snprintf(m->path, room, "%s/" BLOB_PREFIX "%s", l->path, d->digest + 7);
    status = gal_file_stat_link(m->path, &info, err);
    if (!status && info.kind == GAL_FILE_NONE)
        status = missing(l, d, err);
    else if (!status && info.kind != GAL_FILE_REGULAR)
        status = gal_fail(err, GAL_INVALID, "%s: blob %s is %s", l->path, d->digest,
                          info.kind == GAL_FILE_LINK ? "a link" : "no regular file");
    if (!status)
        status = check_size(l, d, info.bytes, err);
    if (!status)
        status = gal_file_map(m->path, &m->bytes, err);
    if (!status)
        status = check_size(l, d, m->bytes.n, err);
out:
    if (status) {
        if (m) {
            gal_file_unmap(m->bytes);
            gal_free(m->path);
        }
        gal_free(m);
        return status;
    }
    m->next = l->maps;
    l->maps = m;
    *out = m;
    return GAL_OK;
}

static enum gal_status find_in_dir(struct gal_layout *l, const struct gal_oci_descriptor *d,
                                   const struct mapped **out, struct gal_err *err)
{
    struct mapped *m = NULL;
    pthread_mutex_lock(&l->lock);
    enum gal_status status = map_file(l, d, &m, err);
    pthread_mutex_unlock(&l->lock);
    *out = m;
    return status;
}

enum gal_status gal_layout_blob(struct gal_layout *l, const struct gal_oci_descriptor *d,
                                struct gal_str *out, struct gal_err *err)
{
    const struct blob *b = NULL;
    const struct mapped *m = NULL;
    *out = (struct gal_str){NULL, 0};
    enum gal_status status = l->is_dir ? find_in_dir(l, d, &m, err) : find_in_tar(l, d, &b, err);
    if (!status && m)
        *out = m->bytes;
    else if (!status && b)
        *out = (struct gal_str){l->tar.p + b->offset, (size_t)b->size};
    return status;
}

enum gal_status gal_layout_place(struct gal_layout *l, const struct gal_oci_descriptor *d,
                                 const char **path, uint64_t *offset, struct gal_err *err)
{
    const struct blob *b;
    const struct mapped *m;
    *path = l->path;
    *offset = 0;
    if (!l->is_dir) {
        enum gal_status status = find_in_tar(l, d, &b, err);
        *offset = status ? 0 : b->offset;
        return status;
    }
    enum gal_status status = find_in_dir(l, d, &m, err);
    *path = status ? l->path : m->path;
    return status;
}

enum gal_status gal_layout_check(struct gal_layout *l, const struct gal_oci_descriptor *d,
                                 struct gal_err *err)
{
    const char *path;
    uint64_t offset;
    char hex[GAL_SHA256_HEX_SIZE];
    enum gal_status status = gal_layout_place(l, d, &path, &offset, err);
    if (!status)
        status = gal_sha256_part(path, offset, d->size, hex, err);
    if (!status && strcmp(hex, d->digest + 7) != 0)
        status = gal_fail(err, GAL_INVALID, "%s: damaged: blob %s has the digest sha256:%s",
                          l->path, d->digest, hex);
    return status;
}
