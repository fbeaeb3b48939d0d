/* SPDX-License-Identifier: Apache-2.0 */
/* Layers of an image as files: cargo packed to a tar and compressed. They are kept in a folder
 * under a key of all that they are made from, so that what has not changed is not made again. The
 * folder may be shared by processes: a layer is there whole or not at all. */
#ifndef GAL_SHIP_LAYER_H
#define GAL_SHIP_LAYER_H

#include "oci/compress.h"
#include "oci/descriptor.h"
#include "ship/cargo.h"

struct gal_layer {
    char digest[GAL_DIGEST_SIZE], diff_id[GAL_DIGEST_SIZE]; /* as it moves; of the tar */
    uint64_t size, unpacked;                                /* bytes of each */
    enum gal_compression compression;                       /* that it has */
    const char *path;                                       /* the file; the arena's */
    bool was_there;                                         /* taken from the folder, not made */
};

struct gal_layer_options {
    const char *dir;                  /* is there */
    enum gal_compression compression; /* wanted: content that does not shrink is kept as it is */
    int64_t epoch;                    /* time of all files, seconds since 1970 */
    unsigned threads;                 /* 0: one a processor */
    /* A layer is done. Calls come one at a time, from any thread; may be NULL. */
    void (*on_layer)(const struct gal_cargo *cargo, const struct gal_layer *layer, void *ctx);
    void *ctx;
};

const char *gal_layer_media_type(enum gal_compression compression);
/* All of them, several at once; cargo is sealed. The first (by place) that fails is told. */
enum gal_status gal_layers_make(struct gal_cargo *const *cargo, size_t count,
                                const struct gal_layer_options *options, struct gal_arena *arena,
                                struct gal_layer *out, struct gal_err *err);
/* Removes the layers that have not been used for longest until at most bytes_max are left; those of
 * the last hour stay. now: seconds since 1970. Failures are of no consequence. */
void gal_layers_trim(const char *dir, uint64_t bytes_max, int64_t now);

#endif
