/* SPDX-License-Identifier: Apache-2.0 */
/* All that a manifest or an index names: the blobs, each once, and the manifests, those that are
 * named before those that name them. One thread. */
#ifndef GAL_OCI_PARTS_H
#define GAL_OCI_PARTS_H

#include "oci/descriptor.h"

struct gal_parts_manifest {
    struct gal_oci_descriptor d;
    struct gal_str text;
};

struct gal_parts {
    struct gal_arena arena;
    struct gal_oci_descriptor *blobs;
    size_t blob_count, blob_room;
    struct gal_parts_manifest *manifests; /* the top one is the last */
    size_t manifest_count, manifest_room;
};

/* `read` gives a manifest's text, which stays as long as the parts. INVALID: one that is none, a
 * digest twice with two sizes; TOO_LARGE. They are to be released in any case. */
enum gal_status gal_parts_make(struct gal_parts *parts, const struct gal_oci_descriptor *top,
                               enum gal_status (*read)(const struct gal_oci_descriptor *d,
                                                       struct gal_str *text, void *ctx,
                                                       struct gal_err *err),
                               void *ctx, struct gal_err *err);
void gal_parts_release(struct gal_parts *parts);

#endif
