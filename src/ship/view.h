/* SPDX-License-Identifier: Apache-2.0 */
/* An image as a reader sees it: manifest, configuration (image-spec 1.1 config.md and Docker's
 * Healthcheck), history and the files of each layer. Nothing is unpacked, nothing is believed:
 * layers are read through bounded decompression. One thread. */
#ifndef GAL_SHIP_VIEW_H
#define GAL_SHIP_VIEW_H

#include "oci/layout.h"
#include "oci/tar.h"

#define GAL_VIEW_BYTES_MAX (64ull << 30) /* of all layers, unpacked */
#define GAL_VIEW_CONTENT_MAX (64u << 10) /* of a file whose content is shown */

struct gal_view_layer {
    struct gal_oci_descriptor blob; /* size: compressed */
    struct gal_str diff_id;
    struct gal_str created_by; /* of the history; empty: unknown */
};

/* A line of the history; the lines that made no layer too. */
struct gal_view_step {
    struct gal_str created, created_by, comment;
    size_t layer; /* index; SIZE_MAX: it made none */
};

struct gal_view {
    struct gal_layout *layout; /* borrowed */
    struct gal_arena arena;
    struct gal_oci_descriptor top; /* of the manifest */
    struct gal_oci_manifest manifest;
    struct gal_str architecture, os, created, user, working_dir;
    struct gal_str *env, *entrypoint, *cmd, *ports, *healthcheck;
    size_t env_count, entrypoint_count, cmd_count, port_count, healthcheck_count;
    struct gal_oci_annotation *labels;
    size_t label_count;
    struct gal_view_layer *layers;
    size_t layer_count;
    uint64_t unpacked, unpacked_max; /* what walks have unpacked, and may: GAL_VIEW_BYTES_MAX */
    struct gal_view_step *steps;
    size_t step_count;
};

/* name and platform as gal_layout_manifest's. INVALID: not an image, or a damaged one: says what.
 * The view is to be released in any case. */
enum gal_status gal_view_open(struct gal_layout *layout, const char *name,
                              const struct gal_oci_platform *platform, struct gal_view *out,
                              struct gal_err *err);
void gal_view_release(struct gal_view *v);
/* Value of a label; empty when there is none. */
struct gal_str gal_view_label(const struct gal_view *v, const char *key);

/* Every entry of a layer in its order. path has no "./" or "/" in front and no "/" behind. content
 * has p NULL but for files of at most GAL_VIEW_CONTENT_MAX bytes; data, of larger ones, may be read
 * by gal_tar_data in on_entry, or left. A status from on_entry ends the walk. The layer's bytes are
 * held against digest and diff_id on the way: INVALID when they differ. TOO_LARGE when all walks
 * together unpack more than unpacked_max. */
struct gal_view_entry {
    const char *path;
    const struct gal_tar_entry *tar;
    struct gal_str content;
    struct gal_tar_reader *data; /* NULL: content has all */
};
enum gal_status gal_view_walk(struct gal_view *v, size_t layer,
                              enum gal_status (*on_entry)(const struct gal_view_entry *e, void *ctx,
                                                          struct gal_err *err),
                              void *ctx, struct gal_err *err);

#endif
