/* SPDX-License-Identifier: Apache-2.0 */
/* The `image:` block of a model's entry in the configuration file. */
#ifndef GAL_SERVER_CONFIG_IMAGE_H
#define GAL_SERVER_CONFIG_IMAGE_H

#include "image/plan.h"
#include "text/yaml.h"

/* Texts are copied into the arena. INVALID with FILE:LINE as place. */
enum gal_status gal_config_read_image(const struct gal_yaml *node, const char *file,
                                      struct gal_arena *arena, struct gal_image_config *out,
                                      struct gal_err *err);

#endif
