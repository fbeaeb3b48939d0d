/* SPDX-License-Identifier: Apache-2.0 */
/* A manifest or index of a layout, with all that it names, to a registry. */
#include "base/limits.h"
#include "oci/parts.h"
#include "oci/registry_impl.h"

struct push {
    struct gal_layout *layout;
    const struct gal_parts *parts;
    pthread_mutex_t lock;
    struct gal_transfer *out;
};

/* Manifests come out of the layout, and each is held against its digest. */
static enum gal_status read_manifest(const struct gal_oci_descriptor *d, struct gal_str *text,
                                     void *ctx, struct gal_err *err)
{
    struct gal_layout *layout = ctx;
    enum gal_status status = gal_layout_blob(layout, d, text, err);
    return status ? status : gal_layout_check(layout, d, err);
}

static enum gal_status push_one(struct gal_registry *r, size_t index, void *ctx,
                                struct gal_err *err)
{
    struct push *p = ctx;
    const struct gal_oci_descriptor *d = &p->parts->blobs[index];
    struct gal_blob_source source = {.bytes = {NULL, 0}};
    uint64_t moved = 0;
    enum gal_status status = gal_layout_place(p->layout, d, &source.path, &source.offset, err);
    if (!status)
        status = gal_registry_push_blob(r, d, &source, &moved, err);
    pthread_mutex_lock(&p->lock);
    p->out->bytes_moved += moved;
    p->out->blobs_moved += moved > 0;
    pthread_mutex_unlock(&p->lock);
    return status;
}

enum gal_status gal_registry_push(struct gal_registry *r, struct gal_layout *layout,
                                  const struct gal_oci_descriptor *top, const char *tag,
                                  struct gal_transfer *out, struct gal_err *err)
{
    struct gal_parts parts;
    struct push p = {
        .layout = layout, .parts = &parts, .lock = PTHREAD_MUTEX_INITIALIZER, .out = out};
    memset(out, 0, sizeof *out);
    gal_err_clear(err);
    enum gal_status status = gal_parts_make(&parts, top, read_manifest, layout, err);
    if (status)
        goto out;
    out->blobs_all = parts.blob_count;
    for (size_t i = 0; i < parts.blob_count; i++)
        out->bytes_all += parts.blobs[i].size;
    status = gal_registry_crew(
        r, &(struct gal_crew_job){.run = push_one, .ctx = &p, .count = parts.blob_count}, err);
    for (size_t i = 0; i < parts.manifest_count && !status; i++) {
        const struct gal_parts_manifest *m = &parts.manifests[i];
        bool is_top = i + 1 == parts.manifest_count;
        status = gal_registry_push_manifest(r, m->d.media_type, m->text, is_top ? tag : NULL, err);
    }
    memcpy(out->digest, top->digest, sizeof out->digest);
out:
    gal_parts_release(&parts);
    return status;
}
