/* SPDX-License-Identifier: Apache-2.0 */
/* A model that does not lie in a file of its own: in a container image (an archive, a layout, a
 * registry's), or as a package in a registry. It is fetched and taken out of the image's layers for
 * the length of a command. One thread. */
#ifndef GAL_CLI_STORED_H
#define GAL_CLI_STORED_H

#include "base/file.h"
#include "cli/image_source.h"

struct gal_stored {
    struct gal_image_source source; /* fetched blobs, which a package's files lie in */
    char *unpacked;                 /* temporary directory; NULL: none */
    char path[GAL_PATH_SIZE];       /* of the package or model, as long as this is open */
};

/* True for an archive or a layout that holds an image, and where there is no file for what has a
 * registry's host in front: oci://..., localhost:5000/..., registry.example.com/... Reads an index
 * at most. */
bool gal_stored_is(const char *text);
/* `model`: which one, where an image holds several; NULL: the only one. Of an image for several
 * machines this machine's is taken. NOT_FOUND: the image holds no model, or none of that name. To
 * be closed in any case. */
enum gal_status gal_stored_open(const struct gal_cli *cli, const char *text, const char *model,
                                struct gal_stored *out, struct gal_err *err);
void gal_stored_close(struct gal_stored *s);

#endif
