/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies that are an encoded image, for models whose configuration takes them (image/plan.h). */
#ifndef GAL_API_IMAGE_BODY_H
#define GAL_API_IMAGE_BODY_H

#include "api/infer.h"

/* image/png, image/jpeg, any other image/..., application/x-image: the bytes say what it is. */
bool gal_image_is_type(struct gal_str type);
/* The same for the request's Content-Type. */
bool gal_image_is_body(const struct gal_exchange *x);
/* Fills the input of x->model that takes images. MEDIA_TYPE: the model takes none. */
enum gal_status gal_image_decode_body(struct gal_exchange *x, struct gal_infer *inf,
                                      struct gal_err *err);

#endif
