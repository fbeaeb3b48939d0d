/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of an image as a container of it would find it, put into a directory: layers lie on each
 * other, with what later ones replace and delete (image-spec 1.1 layer.md). One thread. */
#ifndef GAL_SHIP_FOLDER_H
#define GAL_SHIP_FOLDER_H

#include "ship/view.h"

#define GAL_FOLDER_FILES_MAX 100000u
/* Files together are at most GAL_PACKAGE_RATIO_MAX times what the layers are as they move, beyond
 * GAL_PACKAGE_FREE_BYTES: no bombs. */

/* Files of `folder` ("models", no / at either end) go below `dir`, which is there and empty; every
 * layer's bytes are held against its digests. *files: how many there were; 0 is no error.
 * TOO_LARGE: more files or bytes than may be. INVALID: a path that leads elsewhere, a path twice in
 * a layer, a link (none is followed), a damaged layer; what lies in `dir` then is of no use. */
enum gal_status gal_folder_extract(struct gal_view *v, const char *folder, const char *dir,
                                   size_t *files, struct gal_err *err);

#endif
