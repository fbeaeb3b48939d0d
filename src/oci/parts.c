/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/parts.h"

#include "base/limits.h"
#include "oci/registry_impl.h"

#define DEPTH_MAX 4u /* indexes inside of indexes */
#define PARTS_MAX 20000u

struct walk {
    struct gal_parts *parts;
    enum gal_status (*read)(const struct gal_oci_descriptor *d, struct gal_str *text, void *ctx,
                            struct gal_err *err);
    void *ctx;
    struct gal_err *err;
};

/* Room for one more; NULL when there is none. */
static void *grow(struct gal_arena *arena, void *p, size_t count, size_t *room, size_t bytes)
{
    size_t more = *room ? 2 * *room : 16;
    if (count < *room)
        return p;
    void *q = p ? gal_arena_grow(arena, p, *room * bytes, more * bytes)
                : gal_arena_alloc(arena, more * bytes);
    *room = q ? more : *room;
    return q;
}

static enum gal_status add_blob(struct walk *w, const struct gal_oci_descriptor *d)
{
    struct gal_parts *parts = w->parts;
    for (size_t i = 0; i < parts->blob_count; i++) {
        if (strcmp(parts->blobs[i].digest, d->digest) != 0)
            continue;
        return parts->blobs[i].size == d->size
                   ? GAL_OK
                   : gal_fail(w->err, GAL_INVALID, "blob %s is named with two sizes", d->digest);
    }
    if (parts->blob_count == PARTS_MAX)
        return gal_fail(w->err, GAL_TOO_LARGE, "more than %u blobs", PARTS_MAX);
    struct gal_oci_descriptor *blobs =
        grow(&parts->arena, parts->blobs, parts->blob_count, &parts->blob_room, sizeof *blobs);
    if (!blobs)
        return gal_arena_fail(&parts->arena, sizeof *blobs, "a list of blobs", w->err);
    parts->blobs = blobs;
    parts->blobs[parts->blob_count++] = *d;
    return GAL_OK;
}

static bool is_planned(const struct gal_parts *parts, const char *digest)
{
    for (size_t i = 0; i < parts->manifest_count; i++) {
        if (strcmp(parts->manifests[i].d.digest, digest) == 0)
            return true;
    }
    return false;
}

static enum gal_status add_manifest(struct walk *w, const struct gal_oci_descriptor *d,
                                    struct gal_str text)
{
    struct gal_parts *parts = w->parts;
    if (parts->manifest_count == PARTS_MAX)
        return gal_fail(w->err, GAL_TOO_LARGE, "more than %u manifests", PARTS_MAX);
    struct gal_parts_manifest *all = grow(&parts->arena, parts->manifests, parts->manifest_count,
                                          &parts->manifest_room, sizeof *all);
    if (!all)
        return gal_arena_fail(&parts->arena, sizeof *all, "a list of manifests", w->err);
    parts->manifests = all;
    parts->manifests[parts->manifest_count++] = (struct gal_parts_manifest){*d, text};
    return GAL_OK;
}

static enum gal_status visit_blobs(struct walk *w, struct gal_str text)
{
    struct gal_oci_manifest m;
    enum gal_status status = gal_oci_manifest_read(text, &w->parts->arena, &m, w->err);
    if (!status)
        status = add_blob(w, &m.config);
    for (size_t i = 0; i < m.layer_count && !status; i++)
        status = add_blob(w, &m.layers[i]);
    return status;
}

static enum gal_status visit(struct walk *w, const struct gal_oci_descriptor *d, unsigned depth)
{
    struct gal_oci_index x;
    struct gal_str text;
    enum gal_status status;
    if (is_planned(w->parts, d->digest))
        return GAL_OK;
    if (depth == DEPTH_MAX)
        return gal_fail(w->err, GAL_TOO_LARGE, "indexes are nested deeper than %u", DEPTH_MAX);
    if (d->size > GAL_OCI_MANIFEST_BYTES_MAX)
        return gal_fail(w->err, GAL_TOO_LARGE, "manifest %s is larger than %u bytes", d->digest,
                        GAL_OCI_MANIFEST_BYTES_MAX);
    status = w->read(d, &text, w->ctx, w->err);
    if (status)
        return status;
    if (!gal_oci_is_index(text)) {
        status = visit_blobs(w, text);
        return status ? status : add_manifest(w, d, text);
    }
    status = gal_oci_index_read(text, &w->parts->arena, &x, w->err);
    for (size_t i = 0; !status && i < x.manifest_count; i++)
        status = visit(w, &x.manifests[i], depth + 1);
    return status ? status : add_manifest(w, d, text);
}

enum gal_status gal_parts_make(struct gal_parts *parts, const struct gal_oci_descriptor *top,
                               enum gal_status (*read)(const struct gal_oci_descriptor *d,
                                                       struct gal_str *text, void *ctx,
                                                       struct gal_err *err),
                               void *ctx, struct gal_err *err)
{
    struct walk w = {.parts = parts, .read = read, .ctx = ctx, .err = err};
    memset(parts, 0, sizeof *parts);
    gal_arena_init(&parts->arena, 16384, 0, 256u << 20);
    return visit(&w, top, 0);
}

void gal_parts_release(struct gal_parts *parts)
{
    gal_arena_release(&parts->arena);
}
