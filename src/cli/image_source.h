/* SPDX-License-Identifier: Apache-2.0 */
/* The image that a command is about: an OCI layout (a directory, or an archive as docker save,
 * skopeo and galley write it), or a reference into a registry, whose blobs are fetched into a
 * temporary directory for the length of the command. */
#ifndef GAL_CLI_IMAGE_SOURCE_H
#define GAL_CLI_IMAGE_SOURCE_H

#include "cli/transfer.h"

struct gal_image_source {
    struct gal_layout *layout; /* owned */
    char *fetched;             /* temporary directory; NULL: the user's own layout */
    const char *name;          /* for gal_layout_manifest; NULL: the only image */
};

/* From GAL_REGISTRY_OPTIONS and the environment. */
struct gal_registry_options gal_cli_registry(const struct gal_cli *cli);
/* text is a path when there is something at it, else a reference, of whose index what is for
 * `platform` is fetched, all when NULL. On failure nothing is open. */
enum gal_status gal_image_source_open(const struct gal_cli *cli, const char *text,
                                      const struct gal_oci_platform *platform,
                                      struct gal_image_source *out, struct gal_err *err);
void gal_image_source_close(struct gal_image_source *s);

#endif
