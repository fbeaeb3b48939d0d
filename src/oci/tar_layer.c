/* SPDX-License-Identifier: Apache-2.0 */
/* A compressed layer as a tar's source. */
#include "oci/tar_layer.h"

#include "base/mem.h"
#include "oci/compress.h"

struct gal_tar_unpacked {
    struct gal_decompressor *d;
    struct gal_str left; /* of the layer */
    struct gal_buf plain;
    bool more;
};

enum gal_status gal_tar_unpacked_new(struct gal_str bytes, struct gal_str media_type,
                                     uint64_t bytes_max, struct gal_tar_unpacked **out,
                                     struct gal_err *err)
{
    enum gal_compression kind;
    *out = NULL;
    if (!gal_compression_of(media_type, &kind) || gal_str_ends(media_type, GAL_STR(".raw")))
        return gal_fail(err, GAL_UNSUPPORTED, "a layer of type \"%.*s\" is not read",
                        GAL_STR_SHOWN(media_type));
    struct gal_tar_unpacked *u = gal_calloc(1, sizeof *u);
    if (!u)
        return gal_fail(err, GAL_NO_MEMORY, "no memory to read a layer");
    enum gal_status status = gal_decompressor_new(kind, bytes_max, &u->d, err);
    if (status) {
        gal_free(u);
        return status;
    }
    gal_buf_init(&u->plain, 2 * GAL_DECOMPRESS_STEP);
    u->left = bytes;
    u->more = bytes.n > 0;
    *out = u;
    return GAL_OK;
}

enum gal_status gal_tar_unpacked_read(void *ctx, struct gal_str *piece, struct gal_err *err)
{
    struct gal_tar_unpacked *u = ctx;
    enum gal_status status = GAL_OK;
    gal_buf_clear(&u->plain, SIZE_MAX);
    while (!status && u->plain.n == 0 && u->more)
        status = gal_decompress(u->d, &u->left, &u->plain, &u->more, err);
    if (!status && u->plain.n == 0)
        status = gal_decompress_end(u->d, err);
    *piece = gal_buf_str(&u->plain);
    return status;
}

void gal_tar_unpacked_free(struct gal_tar_unpacked *u)
{
    if (!u)
        return;
    gal_decompressor_free(u->d);
    gal_buf_release(&u->plain);
    gal_free(u);
}
