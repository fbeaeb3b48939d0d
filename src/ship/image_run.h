/* SPDX-License-Identifier: Apache-2.0 */
/* How a container of an image runs: user, environment, command, health, port, labels; on top of
 * those of a base. */
#ifndef GAL_SHIP_IMAGE_RUN_H
#define GAL_SHIP_IMAGE_RUN_H

#include "ship/image.h"
#include "ship/image_config.h"

/* "65532", "1000:1000" to numbers; INVALID, with a base UNSUPPORTED is no error: false. */
enum gal_status gal_ship_user(const char *text, bool has_base, uint64_t *uid, uint64_t *gid,
                              struct gal_err *err);
/* Fills c but for platform, steps and diff_ids. Everything lies in image's arena or is borrowed. */
enum gal_status gal_ship_run(const struct gal_ship_options *options, struct gal_ship *image,
                             struct gal_ship_config *c, struct gal_err *err);
/* PKG-07: the CUDA that the freeze list was made with and that of the base image. Adds a warning
 * where that cannot be told. */
enum gal_status gal_ship_check_cuda(const struct gal_ship_options *options, struct gal_ship *image,
                                    struct gal_err *err);
/* Warnings of a base that is larger than it has to be, or named by a tag that moves. */
void gal_ship_advise_base(const struct gal_ship_options *options, struct gal_ship *image);

#endif
