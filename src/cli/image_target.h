/* SPDX-License-Identifier: Apache-2.0 */
/* Where an image that was made goes: an archive, a layout's directory, a registry; and what is told
 * of it. Shared by `image build`, `image index` and `image modelcar`. */
#ifndef GAL_CLI_IMAGE_TARGET_H
#define GAL_CLI_IMAGE_TARGET_H

#include "base/file.h"
#include "cli/transfer.h"
#include "ship/image.h"

#define GAL_IMAGE_TARGET_OPTIONS                                                                   \
    {"tag", 't', "REFERENCE", "The image's name: [HOST[:PORT]/]REPOSITORY[:TAG]; needed"},         \
        {"output", 'o', "PATH",                                                                    \
         "Write it here: a file (a tar that docker load, podman load, ctr import and skopeo "      \
         "take), or a directory (with a / at its end, or there and empty): an OCI layout"},        \
        {"push", '\0', NULL, "Upload it to its registry"}, GAL_TRANSFER_OPTIONS

struct gal_image_target {
    struct gal_cli *cli;
    struct gal_cli_transfer transfer;
    struct gal_reference ref;
    char name[GAL_REFERENCE_SIZE]; /* as the user wrote it, with its tag */
    char path[GAL_PATH_SIZE];      /* that is written */
    char *temporary;               /* the same, owned, when it is only pushed; else NULL */
    enum gal_layout_kind kind;
    bool keeps, pushes; /* path is the user's; it goes to the registry */
    struct gal_transfer moved;
};

/* Reads the options. INVALID: exit with GAL_EXIT_USAGE. To be released in any case. */
enum gal_status gal_image_target_init(struct gal_image_target *t, struct gal_cli *cli,
                                      struct gal_err *err);
void gal_image_target_release(struct gal_image_target *t);
/* Writes and pushes. */
enum gal_status gal_image_deliver(struct gal_image_target *t, const struct gal_ship *image,
                                  struct gal_err *err);
/* Uploads the layout at t->path. */
enum gal_status gal_image_target_push(struct gal_image_target *t,
                                      const struct gal_oci_descriptor *top, struct gal_err *err);
/* "linux/arm64/v8"; the texts are borrowed. INVALID. */
enum gal_status gal_platform_parse(const char *text, struct gal_oci_platform *out,
                                   struct gal_err *err);
/* The folder of layers, made when missing: --cache DIR, $XDG_CACHE_HOME/galley/layers,
 * $HOME/.cache/galley/layers, /tmp/galley-UID/layers. */
enum gal_status gal_layer_folder(const struct gal_cli *cli, char out[GAL_PATH_SIZE],
                                 struct gal_err *err);
/* What was made: layers and sizes on stderr, "NAME@sha256:..." (or JSON) on stdout. */
void gal_image_told(struct gal_image_target *t, const struct gal_ship *image);

#endif
