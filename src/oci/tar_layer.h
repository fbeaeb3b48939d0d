/* SPDX-License-Identifier: Apache-2.0 */
/* A layer in memory, whichever its compression, as the source of a tar reader, which owns it. */
#ifndef GAL_OCI_TAR_LAYER_H
#define GAL_OCI_TAR_LAYER_H

#include "oci/tar.h"

struct gal_tar_unpacked;
/* The bytes stay the caller's. UNSUPPORTED: a media type that is no tar's. */
enum gal_status gal_tar_unpacked_new(struct gal_str bytes, struct gal_str media_type,
                                     uint64_t bytes_max, struct gal_tar_unpacked **out,
                                     struct gal_err *err);
enum gal_status gal_tar_unpacked_read(void *unpacked, struct gal_str *piece, struct gal_err *err);
void gal_tar_unpacked_free(struct gal_tar_unpacked *u); /* NULL is fine */

#endif
