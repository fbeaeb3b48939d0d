/* SPDX-License-Identifier: Apache-2.0 */
/* An image into an OCI layout. */
#include "ship/image.h"

#include "oci/reference.h"
#include "text/json.h"

#define EXTRA_MAX (1u << 20)

/* Layers of a base lie in its layout, the others in the folder of layers. */
static enum gal_status add_layers(struct gal_layout_writer *w, const struct gal_ship *image,
                                  struct gal_err *err)
{
    const struct gal_view *base = image->base ? image->base->view : NULL;
    size_t n = base ? base->layer_count : 0;
    enum gal_status status = GAL_OK;
    for (size_t i = 0; i < n && !status; i++) {
        const char *path;
        uint64_t offset;
        status = gal_layout_place(base->layout, &base->layers[i].blob, &path, &offset, err);
        if (!status)
            status = gal_layout_add_file(w, &image->descriptors[i], path, offset, err);
    }
    for (size_t i = 0; i < image->layer_count && !status; i++)
        status = gal_layout_add_file(w, &image->descriptors[n + i], image->layers[i].path, 0, err);
    return status;
}

static void put_blob_path(struct gal_buf *out, const char *digest)
{
    gal_buf_printf(out, "\"blobs/sha256/%s\"", digest + strlen("sha256:"));
}

/* What `docker load` of every version reads. */
static enum gal_status add_docker(struct gal_layout_writer *w, const struct gal_ship *image,
                                  const char *reference, struct gal_err *err)
{
    struct gal_buf text;
    enum gal_status status;
    gal_buf_init(&text, EXTRA_MAX);
    gal_buf_puts(&text, "[{\"Config\":");
    put_blob_path(&text, image->config_d.digest);
    gal_buf_puts(&text, ",\"RepoTags\":[");
    gal_json_put_str(&text, gal_str_of(reference));
    gal_buf_puts(&text, "],\"Layers\":[");
    for (size_t i = 0; i < image->descriptor_count; i++) {
        gal_buf_puts(&text, i ? "," : "");
        put_blob_path(&text, image->descriptors[i].digest);
    }
    gal_buf_puts(&text, "]}]\n");
    status = text.failed ? gal_fail(err, GAL_NO_MEMORY, "no memory for an archive")
                         : gal_layout_add_extra(w, "manifest.json", gal_buf_str(&text), err);
    gal_buf_release(&text);
    return status;
}

enum gal_status gal_ship_write(const struct gal_ship *image, const char *path,
                               enum gal_layout_kind kind, const char *reference, const char *tag,
                               void (*on_progress)(uint64_t done, uint64_t total, void *ctx),
                               void *ctx, struct gal_err *err)
{
    const struct gal_oci_annotation names[] = {
        {GAL_STR("org.opencontainers.image.ref.name"), gal_str_of(tag)},
        {GAL_STR("io.containerd.image.name"), gal_str_of(reference)},
    };
    struct gal_oci_descriptor top = image->manifest_d;
    struct gal_oci_index index = {.manifests = &top, .manifest_count = 1};
    struct gal_layout_writer *w = NULL;
    enum gal_status status = gal_layout_create(path, kind, &w, err);
    top.annotations = names;
    top.annotation_count = 2;
    if (!status)
        status = gal_layout_add(w, &image->config_d, image->config, err);
    if (!status)
        status = gal_layout_add(w, &image->manifest_d, image->manifest, err);
    if (!status)
        status = add_layers(w, image, err);
    if (!status && kind == GAL_LAYOUT_TAR)
        status = add_docker(w, image, reference, err);
    if (!status)
        return gal_layout_finish(w, &index, on_progress, ctx, err);
    gal_layout_abandon(w);
    return status;
}
