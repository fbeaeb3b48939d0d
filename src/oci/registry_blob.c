/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs that come: by digest, so that a part that is there is worth something however old. */
#include "base/digest.h"
#include "base/file_write.h"
#include "base/mem.h"
#include "oci/registry_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE_BYTES (1u << 20)

struct download {
    struct gal_registry *r;
    const struct gal_oci_descriptor *d;
    const char *part;
    int fd;
    struct gal_sha256 *sha;
    uint64_t have; /* bytes of the blob that lie in the file and are in sha */
    uint64_t moved;
    struct gal_err *err;
};

enum gal_status gal_registry_has_blob(struct gal_registry *r, const char *digest, bool *there,
                                      struct gal_err *err)
{
    struct gal_fetch_response answer;
    char url[GAL_REGISTRY_URL_SIZE];
    gal_registry_url(r, url, "blobs/%s", digest);
    struct gal_fetch_request q = {.method = "HEAD", .url = url};
    gal_err_clear(err);
    enum gal_status status = gal_registry_call(r, false, &q, &answer, err);
    *there = !status && answer.status == 200;
    if (!status && answer.status != 200 && answer.status != 404)
        status = gal_registry_failed(r, &q, &answer, err);
    gal_fetch_response_release(&answer);
    return status;
}

static enum gal_status not_as_told(const struct gal_oci_descriptor *d, const char *digest,
                                   struct gal_err *err)
{
    gal_fail(err, GAL_INVALID, "blob %s: the registry's bytes have the digest %s", d->digest,
             digest);
    gal_err_hint(err, "what it holds is damaged, or it is not what it says; nothing was kept");
    return GAL_INVALID;
}

static enum gal_status no_blob(struct gal_registry *r, const struct gal_oci_descriptor *d,
                               const struct gal_fetch_request *q,
                               const struct gal_fetch_response *answer, struct gal_err *err)
{
    if (answer->status != 404)
        return gal_registry_failed(r, q, answer, err);
    return gal_fail(err, GAL_NOT_FOUND, "%s/%s: the registry has no blob %s", r->shared->ref.host,
                    r->shared->ref.repository, d->digest);
}

/* --- into memory --- */

enum gal_status gal_registry_blob(struct gal_registry *r, const struct gal_oci_descriptor *d,
                                  size_t bytes_max, struct gal_arena *arena, struct gal_str *out,
                                  struct gal_err *err)
{
    struct gal_fetch_response answer;
    char url[GAL_REGISTRY_URL_SIZE], digest[GAL_DIGEST_SIZE];
    *out = (struct gal_str){NULL, 0};
    gal_err_clear(err);
    if (d->size > bytes_max)
        return gal_fail(err, GAL_TOO_LARGE, "blob %s has %llu bytes, more than %zu", d->digest,
                        (unsigned long long)d->size, bytes_max);
    gal_registry_url(r, url, "blobs/%s", d->digest);
    struct gal_fetch_request q = {.url = url, .body_max = d->size ? (size_t)d->size : 1};
    enum gal_status status = gal_registry_call(r, false, &q, &answer, err);
    if (!status && answer.status != 200)
        status = no_blob(r, d, &q, &answer, err);
    if (!status) {
        gal_oci_digest(gal_buf_str(&answer.body), digest);
        if (strcmp(digest, d->digest) != 0)
            status = not_as_told(d, digest, err);
    }
    if (!status) {
        const char *copy = gal_arena_strdup(arena, gal_buf_str(&answer.body));
        *out = (struct gal_str){copy, answer.body.n};
        status = copy ? GAL_OK : gal_arena_fail(arena, answer.body.n, "a blob", err);
    }
    gal_fetch_response_release(&answer);
    return status;
}

/* --- into a file --- */

static enum gal_status write_all(struct download *w, struct gal_str piece)
{
    while (piece.n > 0) {
        ssize_t n = pwrite(w->fd, piece.p, piece.n, (off_t)w->have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return gal_fail(w->err, GAL_IO, "%s: %s", w->part, strerror(errno));
        if (gal_sha256_add(w->sha, (struct gal_str){piece.p, (size_t)n}) != GAL_OK)
            return gal_fail(w->err, GAL_INTERNAL, "SHA-256 cannot be computed");
        w->have += (uint64_t)n;
        w->moved += (uint64_t)n;
        piece = (struct gal_str){piece.p + n, piece.n - (size_t)n};
    }
    return GAL_OK;
}

/* A server that began anew sends what is there already: the digest tells whether it is the same. */
static enum gal_status on_piece(uint64_t offset, struct gal_str piece, void *ctx)
{
    struct download *w = ctx;
    if (atomic_load(&w->r->shared->stop))
        return gal_fail(w->err, GAL_CANCELLED, "cancelled");
    if (offset > w->have)
        return gal_fail(w->err, GAL_INVALID, "blob %s: bytes are left out", w->d->digest);
    if (offset + piece.n <= w->have)
        return GAL_OK;
    size_t known = (size_t)(w->have - offset);
    if (offset + piece.n > w->d->size)
        return gal_fail(w->err, GAL_INVALID, "blob %s: the registry sends more than its %llu bytes",
                        w->d->digest, (unsigned long long)w->d->size);
    return write_all(w, (struct gal_str){piece.p + known, piece.n - known});
}

static void on_progress(uint64_t done, uint64_t total, void *ctx)
{
    struct download *w = ctx;
    (void)done, (void)total;
    gal_registry_tell(w->r, w->d, GAL_TRANSFER_DOWNLOADING, w->have, w->d->size);
}

/* What an earlier try has left goes into the digest. */
static enum gal_status take_part(struct download *w)
{
    struct stat st;
    if (fstat(w->fd, &st) != 0)
        return gal_fail(w->err, GAL_IO, "%s: %s", w->part, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return gal_fail(w->err, GAL_INVALID, "%s: not a file", w->part);
    if ((uint64_t)st.st_size > w->d->size) { /* of something else */
        if (ftruncate(w->fd, 0) != 0)
            return gal_fail(w->err, GAL_IO, "%s: %s", w->part, strerror(errno));
        return GAL_OK;
    }
    char *piece = gal_alloc(PIECE_BYTES);
    if (!piece)
        return gal_fail(w->err, GAL_NO_MEMORY, "out of memory");
    enum gal_status status = GAL_OK;
    for (ssize_t n = 1; n > 0 && !status;) {
        n = pread(w->fd, piece, PIECE_BYTES, (off_t)w->have);
        if (n < 0)
            status = gal_fail(w->err, GAL_IO, "%s: %s", w->part, strerror(errno));
        else if (gal_sha256_add(w->sha, (struct gal_str){piece, (size_t)n}) != GAL_OK)
            status = gal_fail(w->err, GAL_INTERNAL, "SHA-256 cannot be computed");
        else
            w->have += (uint64_t)n;
    }
    gal_free(piece);
    return status;
}

static enum gal_status fetch_rest(struct download *w)
{
    struct gal_fetch_response answer;
    char url[GAL_REGISTRY_URL_SIZE];
    gal_registry_url(w->r, url, "blobs/%s", w->d->digest);
    struct gal_fetch_request q = {.url = url,
                                  .range_first = w->have,
                                  .immutable = true,
                                  .on_piece = on_piece,
                                  .on_progress = on_progress,
                                  .ctx = w};
    enum gal_status status = gal_registry_call(w->r, false, &q, &answer, w->err);
    if (!status && answer.status != 200 && answer.status != 206)
        status = no_blob(w->r, w->d, &q, &answer, w->err);
    gal_fetch_response_release(&answer);
    if (!status && w->have < w->d->size)
        status =
            gal_fail(w->err, GAL_INVALID, "blob %s: ends after %llu of %llu bytes", w->d->digest,
                     (unsigned long long)w->have, (unsigned long long)w->d->size);
    return status;
}

static enum gal_status check(struct download *w)
{
    char hex[GAL_SHA256_HEX_SIZE], digest[GAL_DIGEST_SIZE];
    if (gal_sha256_end(w->sha, hex) != GAL_OK)
        return gal_fail(w->err, GAL_INTERNAL, "SHA-256 cannot be computed");
    snprintf(digest, sizeof digest, "sha256:%s", hex);
    if (strcmp(digest, w->d->digest) != 0) {
        (void)unlink(w->part);
        return not_as_told(w->d, digest, w->err);
    }
    int rc;
    do
        rc = fdatasync(w->fd);
    while (rc != 0 && errno == EINTR);
    return rc == 0 ? GAL_OK : gal_fail(w->err, GAL_IO, "%s: %s", w->part, strerror(errno));
}

static enum gal_status open_part(struct download *w)
{
    w->fd = open(w->part, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (w->fd < 0)
        return gal_fail(w->err, GAL_IO, "%s: %s", w->part, strerror(errno));
    if (flock(w->fd, LOCK_EX | LOCK_NB) != 0)
        return gal_fail(w->err, GAL_UNAVAILABLE, "%s: another process is fetching it", w->part);
    w->sha = gal_sha256_new();
    return w->sha ? GAL_OK : gal_fail(w->err, GAL_NO_MEMORY, "out of memory");
}

enum gal_status gal_registry_blob_file(struct gal_registry *r, const struct gal_oci_descriptor *d,
                                       const char *path, uint64_t *moved, struct gal_err *err)
{
    struct download w = {.r = r, .d = d, .fd = -1, .err = err};
    size_t size = strlen(path) + 6;
    char *part = gal_alloc(size);
    enum gal_status status = GAL_OK;
    gal_err_clear(err);
    if (!part)
        return gal_fail(err, GAL_NO_MEMORY, "out of memory");
    snprintf(part, size, "%s.part", path);
    w.part = part;
    status = open_part(&w);
    if (!status)
        status = take_part(&w);
    if (!status && w.have > 0)
        gal_registry_tell(r, d, GAL_TRANSFER_RESUMED, w.have, d->size);
    if (!status && (w.have < d->size || d->size == 0))
        status = fetch_rest(&w);
    if (!status)
        status = check(&w);
    if (!status)
        status = gal_path_rename(part, path, err);
    gal_registry_tell(r, d, status ? GAL_TRANSFER_FAILED : GAL_TRANSFER_DONE, w.have, d->size);
    if (moved)
        *moved = w.moved;
    gal_sha256_free(w.sha);
    if (w.fd >= 0)
        close(w.fd); /* and the lock with it */
    gal_free(part);
    return status;
}
