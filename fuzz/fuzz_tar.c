/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a layer (the first says of which type): entries within bounds, or an error. */
#include "base/limits.h"
#include "oci/tar.h"

#define OUT_MAX (8u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const types[] = {"application/vnd.oci.image.layer.v1.tar",
                                        "application/vnd.oci.image.layer.v1.tar+gzip",
                                        "application/vnd.oci.image.layer.v1.tar+zstd"};
    struct gal_tar_reader *r = NULL;
    struct gal_tar_entry e;
    struct gal_str piece;
    struct gal_err err;
    bool end = false;
    uint64_t all = 0;
    if (size < 1)
        return 0;
    enum gal_status status = gal_tar_open_layer((struct gal_str){(const char *)data + 1, size - 1},
                                                gal_str_of(types[data[0] % 3]), OUT_MAX, &r, &err);
    while (!status && (status = gal_tar_next(r, &e, &end, &err)) == GAL_OK && !end) {
        GAL_ASSERT(strlen(e.path) <= GAL_TAR_NAME_BYTES_MAX);
        GAL_ASSERT((e.type == GAL_TAR_SYMLINK || e.type == GAL_TAR_HARDLINK) == (e.target != NULL));
        (void)gal_tar_path_safe(e.path);
        do {
            status = gal_tar_data(r, &piece, &err);
            all += status ? 0 : piece.n;
        } while (!status && piece.n > 0 && all < OUT_MAX); /* holes may be as large as they like */
    }
    GAL_ASSERT(!status || err.message[0]);
    gal_tar_close(r);
    return 0;
}
