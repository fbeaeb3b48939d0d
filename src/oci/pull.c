/* SPDX-License-Identifier: Apache-2.0 */
/* A manifest or index of a registry, with all that it names, into a layout directory: blobs first,
 * index.json last, so that a layout that has one is whole. */
#include "base/digest.h"
#include "base/file_write.h"
#include "base/limits.h"
#include "base/mem.h"
#include "oci/parts.h"
#include "oci/registry_impl.h"

#include <stdio.h>

struct pull {
    struct gal_registry *r;
    const char *dir;
    struct gal_parts parts;
    struct gal_arena arena; /* texts of manifests */
    struct gal_oci_descriptor top;
    struct gal_str top_text;
    pthread_mutex_t lock;
    struct gal_transfer *out;
};

/* "DIR/blobs/sha256/HEX", owned. */
static char *blob_path(const struct pull *p, const char *digest, struct gal_err *err)
{
    size_t size = strlen(p->dir) + 90;
    char *path = gal_alloc(size);
    if (path)
        snprintf(path, size, "%s/blobs/sha256/%s", p->dir, digest + 7);
    else
        gal_fail(err, GAL_NO_MEMORY, "out of memory");
    return path;
}

static enum gal_status put_blob(struct pull *p, const char *digest, struct gal_str bytes,
                                struct gal_err *err)
{
    char *path = blob_path(p, digest, err);
    enum gal_status status = path ? gal_file_put(path, bytes, err) : GAL_NO_MEMORY;
    gal_free(path);
    return status;
}

/* Manifests are few and small: each is asked for, and kept, as it is met. */
static enum gal_status read_manifest(const struct gal_oci_descriptor *d, struct gal_str *text,
                                     void *ctx, struct gal_err *err)
{
    struct pull *p = ctx;
    struct gal_oci_descriptor got;
    enum gal_status status = GAL_OK;
    if (strcmp(d->digest, p->top.digest) == 0)
        *text = p->top_text;
    else
        status = gal_registry_manifest(p->r, d->digest, &p->arena, &got, text, err);
    if (!status && text->n != d->size)
        status = gal_fail(err, GAL_INVALID, "manifest %s has %zu bytes, not %llu", d->digest,
                          text->n, (unsigned long long)d->size);
    return status ? status : put_blob(p, d->digest, *text, err);
}

/* Is the blob there already, byte for byte? */
static bool is_there(const struct gal_oci_descriptor *d, const char *path)
{
    struct gal_file_info info;
    char hex[GAL_SHA256_HEX_SIZE];
    return gal_file_stat_link(path, &info, NULL) == GAL_OK && info.kind == GAL_FILE_REGULAR &&
           info.bytes == d->size && gal_sha256_file(path, hex, NULL) == GAL_OK &&
           strcmp(hex, d->digest + 7) == 0;
}

/* Does a layout that the caller has hold the blob? Then it is copied from there. */
static bool copy_from_layout(struct gal_registry *r, const struct gal_oci_descriptor *d,
                             const char *path)
{
    struct gal_layout *have = r->shared->options.have;
    struct gal_str bytes;
    return have && gal_layout_blob(have, d, &bytes, NULL) == GAL_OK &&
           gal_layout_check(have, d, NULL) == GAL_OK && gal_file_put(path, bytes, NULL) == GAL_OK;
}

static enum gal_status pull_one(struct gal_registry *r, size_t index, void *ctx,
                                struct gal_err *err)
{
    struct pull *p = ctx;
    const struct gal_oci_descriptor *d = &p->parts.blobs[index];
    uint64_t moved = 0;
    char *path = blob_path(p, d->digest, err);
    enum gal_status status = path ? GAL_OK : GAL_NO_MEMORY;
    if (!status && (is_there(d, path) || copy_from_layout(r, d, path)))
        gal_registry_tell(r, d, GAL_TRANSFER_EXISTS, d->size, d->size);
    else if (!status)
        status = gal_registry_blob_file(r, d, path, &moved, err);
    gal_free(path);
    pthread_mutex_lock(&p->lock);
    p->out->bytes_moved += moved;
    p->out->blobs_moved += moved > 0;
    pthread_mutex_unlock(&p->lock);
    return status;
}

/* --- which one of an index --- */

static bool fits(const struct gal_oci_platform *have, const struct gal_oci_platform *want)
{
    return gal_str_eq(have->os, want->os) && gal_str_eq(have->architecture, want->architecture) &&
           (want->variant.n == 0 || gal_str_eq(have->variant, want->variant));
}

static enum gal_status no_platform(const struct gal_oci_index *x,
                                   const struct gal_oci_platform *want, struct gal_err *err)
{
    char text[160];
    size_t n = 0;
    text[0] = '\0';
    for (size_t i = 0; i < x->manifest_count && n + 64 < sizeof text; i++) {
        const struct gal_oci_platform *have = &x->manifests[i].platform;
        if (have->os.n && have->os.n < 24 && have->architecture.n < 24)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%.*s/%.*s", n ? ", " : "",
                                  GAL_STR_ARG(have->os), GAL_STR_ARG(have->architecture));
    }
    gal_fail(err, GAL_NOT_FOUND, "the index has nothing for %.*s/%.*s", GAL_STR_SHOWN(want->os),
             GAL_STR_SHOWN(want->architecture));
    if (text[0])
        gal_err_hint(err, "it has: %s", text);
    return GAL_NOT_FOUND;
}

static enum gal_status choose(struct pull *p, const struct gal_oci_platform *want,
                              struct gal_err *err)
{
    struct gal_oci_index x;
    if (!want || !gal_oci_is_index(p->top_text))
        return GAL_OK;
    enum gal_status status = gal_oci_index_read(p->top_text, &p->arena, &x, err);
    for (size_t i = 0; !status && i < x.manifest_count; i++) {
        if (!fits(&x.manifests[i].platform, want))
            continue;
        char digest[GAL_DIGEST_SIZE];
        memcpy(digest, x.manifests[i].digest, sizeof digest);
        return gal_registry_manifest(p->r, digest, &p->arena, &p->top, &p->top_text, err);
    }
    return status ? status : no_platform(&x, want, err);
}

/* --- the layout --- */

static enum gal_status make_dirs(const struct pull *p, struct gal_err *err)
{
    char *blobs = gal_path_join(p->dir, "blobs/sha256");
    enum gal_status status =
        blobs ? gal_dir_make_all(blobs, err) : gal_fail(err, GAL_NO_MEMORY, "out of memory");
    gal_free(blobs);
    return status;
}

static enum gal_status put_named(const struct pull *p, const char *name, struct gal_str bytes,
                                 struct gal_err *err)
{
    char *path = gal_path_join(p->dir, name);
    enum gal_status status =
        path ? gal_file_put(path, bytes, err) : gal_fail(err, GAL_NO_MEMORY, "out of memory");
    gal_free(path);
    return status;
}

static enum gal_status put_index(struct pull *p, const char *name, struct gal_err *err)
{
    struct gal_oci_annotation tag = {GAL_STR("org.opencontainers.image.ref.name"),
                                     gal_str_of(name)};
    struct gal_oci_index x = {.manifests = &p->top, .manifest_count = 1};
    struct gal_buf text;
    if (!strchr(name, ':')) {
        p->top.annotations = &tag;
        p->top.annotation_count = 1;
    }
    gal_buf_init(&text, 65536);
    gal_oci_index_write(&text, &x);
    enum gal_status status =
        put_named(p, "oci-layout", GAL_STR("{\"imageLayoutVersion\":\"1.0.0\"}"), err);
    if (!status)
        status = put_named(p, "index.json", gal_buf_str(&text), err);
    gal_buf_release(&text);
    return status;
}

enum gal_status gal_registry_pull(struct gal_registry *r, const char *tag_or_digest,
                                  const struct gal_oci_platform *platform, const char *dir,
                                  struct gal_transfer *out, struct gal_err *err)
{
    struct pull p = {.r = r, .dir = dir, .lock = PTHREAD_MUTEX_INITIALIZER, .out = out};
    memset(out, 0, sizeof *out);
    gal_err_clear(err);
    gal_arena_init(&p.arena, 16384, 0, 256u << 20);
    enum gal_status status =
        gal_registry_manifest(r, tag_or_digest, &p.arena, &p.top, &p.top_text, err);
    memcpy(out->digest, p.top.digest, sizeof out->digest);
    if (!status)
        status = choose(&p, platform, err);
    if (!status)
        status = make_dirs(&p, err);
    if (status)
        goto out;
    status = gal_parts_make(&p.parts, &p.top, read_manifest, &p, err);
    out->blobs_all = p.parts.blob_count;
    for (size_t i = 0; i < p.parts.blob_count; i++)
        out->bytes_all += p.parts.blobs[i].size;
    if (!status)
        status = gal_registry_crew(
            r, &(struct gal_crew_job){.run = pull_one, .ctx = &p, .count = p.parts.blob_count},
            err);
    if (!status)
        status = put_index(&p, tag_or_digest, err);
    gal_parts_release(&p.parts);
out:
    gal_arena_release(&p.arena);
    return status;
}
