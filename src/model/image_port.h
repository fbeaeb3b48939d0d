/* SPDX-License-Identifier: Apache-2.0 */
/* Which of a model's inputs an encoded image fills. */
#ifndef GAL_MODEL_IMAGE_PORT_H
#define GAL_MODEL_IMAGE_PORT_H

#include "backend/backend.h"
#include "image/plan.h"

/* The input that the configuration names, else the only one that must be given. INVALID when there
 * is none such, it is no tensor of known rank, or another input must be given too. */
enum gal_status gal_image_port(const struct gal_image_config *c, const struct gal_model_info *info,
                               const struct gal_port **out, struct gal_err *err);
/* Does the configuration fit the model? INVALID says why not; fine when it has no images. */
enum gal_status gal_image_check(const struct gal_image_config *c, const struct gal_model_info *info,
                                struct gal_err *err);
/* Appends the configuration as a JSON object. */
struct gal_buf;
void gal_image_config_json(struct gal_buf *out, const struct gal_image_config *c);

#endif
