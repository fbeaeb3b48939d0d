/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs and manifests that go. A blob is begun by POST, which names a place; small ones go there in
 * one PUT, larger ones by PATCH, in one or several pieces. When that is cut, the place is asked how
 * much it has; when it has forgotten (Docker's registry does), the upload begins anew. */
#include "base/limits.h"
#include "oci/registry_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define RESTARTS_MAX 4u
#define RESUMES_MAX 100u /* each has got on by something */

struct upload {
    struct gal_registry *r;
    const struct gal_oci_descriptor *d;
    const struct gal_blob_source *source;
    int fd;
    char place[GAL_URL_BYTES_MAX]; /* where the next piece goes */
    uint64_t at;                   /* bytes that the registry has */
    uint64_t chunk;                /* a piece at most; 0: all */
    uint64_t moved;
    struct gal_err *err;
};

static enum gal_status learn_place(struct upload *u, const struct gal_fetch_response *answer)
{
    struct gal_str location = gal_fetch_header(answer, "location");
    char text[GAL_URL_BYTES_MAX];
    if (location.n == 0 || location.n >= sizeof text)
        return gal_fail(u->err, GAL_INVALID, "%s: names no place for an upload",
                        u->r->shared->ref.host);
    snprintf(text, sizeof text, "%.*s", GAL_STR_ARG(location));
    return gal_fetch_resolve(u->r->fetcher, answer->url, text, u->place, sizeof u->place, u->err);
}

/* "0-1023" of what the registry has, so that 1024 comes next; "0-0" is nothing. */
static bool learn_range(const struct gal_fetch_response *answer, uint64_t *next)
{
    struct gal_str range = gal_str_trim(gal_fetch_header(answer, "range")), first;
    uint64_t last;
    if (gal_str_starts(range, GAL_STR("bytes=")))
        range = (struct gal_str){range.p + 6, range.n - 6};
    if (!gal_str_cut(&range, '-', &first) || !gal_str_is(first, "0") ||
        gal_str_u64(range, &last) != GAL_OK || last == UINT64_MAX)
        return false;
    *next = last ? last + 1 : 0;
    return true;
}

/* Is it worth another go? */
static bool is_passing(enum gal_status status, int http)
{
    if (status)
        return status == GAL_UNAVAILABLE || status == GAL_DEADLINE;
    return http == 404 || http == 408 || http == 409 || http == 413 || http == 416 || http == 429 ||
           http >= 500;
}

static void on_progress(uint64_t done, uint64_t total, void *ctx)
{
    const struct upload *u = ctx;
    (void)total;
    if (done > u->d->size - u->at)
        done = u->d->size - u->at;
    gal_registry_tell(u->r, u->d, GAL_TRANSFER_UPLOADING, u->at + done, u->d->size);
}

/* Bytes [at, at + n) of the blob as a request's body. */
static void set_body(const struct upload *u, uint64_t n, struct gal_fetch_request *q)
{
    if (u->source->bytes.p) {
        q->body = (struct gal_str){u->source->bytes.p + u->at, (size_t)n};
        return;
    }
    q->body_from_fd = true;
    q->body_fd = u->fd;
    q->body_offset = u->source->offset + u->at;
    q->body_bytes = n;
}

/* --- steps --- */

/* POST: a place, or *mounted. */
static enum gal_status begin(struct upload *u, bool *mounted)
{
    struct gal_fetch_response answer;
    const char *from = u->r->shared->options.mount_from;
    uint64_t least;
    char url[GAL_REGISTRY_URL_SIZE];
    if (from && strcmp(from, u->r->shared->ref.repository) != 0)
        gal_registry_url(u->r, url, "blobs/uploads/?mount=%s&from=%s", u->d->digest, from);
    else
        gal_registry_url(u->r, url, "blobs/uploads/");
    struct gal_fetch_request q = {.method = "POST", .url = url};
    enum gal_status status = gal_registry_call(u->r, true, &q, &answer, u->err);
    *mounted = !status && answer.status == 201;
    if (!status && answer.status != 201 && answer.status != 202)
        status = gal_registry_failed(u->r, &q, &answer, u->err);
    u->at = 0;
    if (!status && !*mounted)
        status = learn_place(u, &answer);
    if (!status && u->chunk &&
        gal_str_u64(gal_fetch_header(&answer, "oci-chunk-min-length"), &least) == GAL_OK &&
        least > u->chunk)
        u->chunk = least;
    gal_fetch_response_release(&answer);
    return status;
}

/* PUT: the last, or the only, piece and the digest. */
static enum gal_status finish(struct upload *u, int *http)
{
    struct gal_fetch_response answer;
    struct gal_fetch_header type = {"Content-Type", "application/octet-stream"};
    char url[GAL_URL_BYTES_MAX + 128];
    snprintf(url, sizeof url, "%s%cdigest=sha256%%3A%s", u->place,
             strchr(u->place, '?') ? '&' : '?', u->d->digest + 7);
    struct gal_fetch_request q = {.method = "PUT",
                                  .url = url,
                                  .headers = &type,
                                  .header_count = 1,
                                  .no_retry = true,
                                  .on_progress = on_progress,
                                  .ctx = u};
    if (u->at < u->d->size)
        set_body(u, u->d->size - u->at, &q);
    enum gal_status status = gal_registry_call(u->r, true, &q, &answer, u->err);
    *http = status ? 0 : answer.status;
    if (!status && answer.status >= 300)
        (void)gal_registry_failed(u->r, &q, &answer, u->err);
    if (!status && answer.status < 300) {
        u->moved += u->d->size - u->at;
        u->at = u->d->size;
    }
    gal_fetch_response_release(&answer);
    return status;
}

/* PATCH: one piece. */
static enum gal_status send_piece(struct upload *u, int *http)
{
    struct gal_fetch_response answer;
    uint64_t left = u->d->size - u->at, n = u->chunk && u->chunk < left ? u->chunk : left;
    uint64_t next = u->at + n, told;
    char range[64];
    struct gal_fetch_header headers[] = {{"Content-Type", "application/octet-stream"},
                                         {"Content-Range", range}};
    snprintf(range, sizeof range, "%llu-%llu", (unsigned long long)u->at,
             (unsigned long long)(u->at + n - 1));
    struct gal_fetch_request q = {.method = "PATCH",
                                  .url = u->place,
                                  .headers = headers,
                                  .header_count = 2,
                                  .no_retry = true,
                                  .on_progress = on_progress,
                                  .ctx = u};
    set_body(u, n, &q);
    enum gal_status status = gal_registry_call(u->r, true, &q, &answer, u->err);
    *http = status ? 0 : answer.status;
    if (!status && answer.status >= 300)
        (void)gal_registry_failed(u->r, &q, &answer, u->err);
    if (!status && answer.status < 300) {
        if (learn_range(&answer, &told) && told > 0)
            next = told;
        if (next <= u->at || next > u->d->size)
            status = gal_fail(u->err, GAL_INVALID, "blob %s: the registry says it has %llu bytes",
                              u->d->digest, (unsigned long long)next);
        else
            status = learn_place(u, &answer);
        u->moved += status ? 0 : next - u->at;
        u->at = status ? u->at : next;
    }
    gal_fetch_response_release(&answer);
    return status;
}

/* GET: how far it has come. False: the place is gone, or knows nothing of use. */
static bool ask_place(struct upload *u)
{
    struct gal_fetch_response answer;
    struct gal_fetch_request q = {.url = u->place};
    uint64_t next = 0;
    bool known = gal_registry_call(u->r, true, &q, &answer, NULL) == GAL_OK &&
                 answer.status >= 200 && answer.status < 300 && learn_range(&answer, &next) &&
                 next > u->at && next <= u->d->size;
    if (known && gal_fetch_header(&answer, "location").n)
        known = learn_place(u, &answer) == GAL_OK;
    if (known) {
        u->moved += next - u->at;
        u->at = next;
        gal_registry_tell(u->r, u->d, GAL_TRANSFER_RESUMED, u->at, u->d->size);
    }
    gal_fetch_response_release(&answer);
    return known;
}

/* --- a blob --- */

/* From begin to end, resumed as long as that gets on. *again: all of it may be tried once more. */
static enum gal_status one_go(struct upload *u, bool *mounted, bool *again)
{
    int http = 0;
    bool there = false;
    *again = false;
    enum gal_status status = begin(u, mounted);
    if (status || *mounted)
        return status;
    for (unsigned resumes = 0; u->at < u->d->size || u->d->size == 0;) {
        bool whole = u->d->size <= GAL_UPLOAD_WHOLE_BYTES && u->at == 0 &&
                     (!u->chunk || u->d->size <= u->chunk);
        status = whole ? finish(u, &http) : send_piece(u, &http);
        if (!status && http < 300 && whole)
            return GAL_OK;
        if (!status && http < 300)
            continue;
        if (http == 413 && (!u->chunk || u->chunk > GAL_UPLOAD_CHUNK_BYTES))
            u->chunk = GAL_UPLOAD_CHUNK_BYTES;
        *again = is_passing(status, http);
        if (!*again || whole || ++resumes > RESUMES_MAX || !ask_place(u))
            goto lost;
        gal_err_clear(u->err);
    }
    *again = false;
    status = finish(u, &http);
    if (!status && http < 300)
        return GAL_OK;
    *again = is_passing(status, http);
lost:
    /* The answer may have been lost, not the blob. */
    if (*again && gal_registry_has_blob(u->r, u->d->digest, &there, NULL) == GAL_OK && there) {
        gal_err_clear(u->err);
        return GAL_OK;
    }
    return status ? status : u->err ? u->err->code : GAL_UNAVAILABLE;
}

static enum gal_status upload(struct upload *u)
{
    bool mounted = false, again = true;
    enum gal_status status = GAL_OK;
    for (unsigned turn = 0; again && turn < RESTARTS_MAX; turn++) {
        gal_err_clear(u->err);
        status = one_go(u, &mounted, &again);
        if (!status)
            break;
    }
    gal_registry_tell(u->r, u->d,
                      status    ? GAL_TRANSFER_FAILED
                      : mounted ? GAL_TRANSFER_MOUNTED
                                : GAL_TRANSFER_DONE,
                      u->at, u->d->size);
    return status;
}

enum gal_status gal_registry_push_blob(struct gal_registry *r, const struct gal_oci_descriptor *d,
                                       const struct gal_blob_source *source, uint64_t *moved,
                                       struct gal_err *err)
{
    struct gal_err own;
    struct upload u = {.r = r,
                       .d = d,
                       .source = source,
                       .fd = -1,
                       .chunk = r->shared->options.chunk_bytes,
                       .err = err ? err : &own};
    bool there;
    enum gal_status status = gal_registry_has_blob(r, d->digest, &there, u.err);
    if (moved)
        *moved = 0;
    if (status)
        return status;
    if (there) {
        gal_registry_tell(r, d, GAL_TRANSFER_EXISTS, d->size, d->size);
        return GAL_OK;
    }
    if (!source->bytes.p) {
        u.fd = open(source->path, O_RDONLY | O_CLOEXEC);
        if (u.fd < 0)
            return gal_fail(err, errno == ENOENT ? GAL_NOT_FOUND : GAL_IO, "%s: %s", source->path,
                            strerror(errno));
    }
    status = upload(&u);
    if (u.fd >= 0)
        close(u.fd);
    if (moved)
        *moved = u.moved;
    return status;
}
