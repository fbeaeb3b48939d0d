/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of an encoded image before a model gets it: a model's `image` configuration, held
 * against the tensor that it fills. Any thread. */
#ifndef GAL_IMAGE_PLAN_H
#define GAL_IMAGE_PLAN_H

#include "image/image.h"
#include "tensor/tensor.h"

enum gal_image_layout { GAL_IMAGE_NCHW, GAL_IMAGE_NHWC };
enum gal_image_fit {
    GAL_IMAGE_STRETCH, /* to the size, whatever that does to the proportions */
    GAL_IMAGE_FIT,     /* whole within the size, the rest filled with `pad` */
    GAL_IMAGE_CROP,    /* so that it covers the size, then its middle */
    GAL_IMAGE_EXACT,   /* only images of the size are taken */
};
enum gal_image_color { GAL_IMAGE_RGB, GAL_IMAGE_BGR, GAL_IMAGE_GRAY };

/* Filled by the configuration; all zero: the model takes no images. */
struct gal_image_config {
    bool on;
    struct gal_str input; /* empty: the only one that must be given */
    enum gal_image_layout layout;
    enum gal_image_fit fit;
    enum gal_image_color color;
    bool as_stored;       /* EXIF's orientation is not looked at */
    size_t width, height; /* 0: the model's, and where it is open the image's own */
    size_t short_side; /* CROP: pixels of the shorter side before the middle is cut; 0: as needed */
    double scale;      /* of a pixel's 0..255; 0: 1/255, for whole numbers 1 */
    double mean[3], std[3]; /* of the channels in their order in the tensor; std 0 stands for 1 */
    unsigned pad;           /* 0..255 */
    uint64_t pixels_max;    /* 0: GAL_IMAGE_PIXELS_MAX */
};

/* Sizes of the tensor, 0: the image's own. */
struct gal_image_plan {
    const struct gal_image_config *config; /* borrowed */
    enum gal_dtype dtype;
    size_t rank, width, height, channels;
};

/* Does the configuration fit a tensor of this datatype and shape (-1: open)? INVALID says why not.
 */
enum gal_status gal_image_plan(const struct gal_image_config *c, enum gal_dtype dtype,
                               const int64_t *shape, size_t rank, struct gal_image_plan *out,
                               struct gal_err *err);
/* Decodes, turns, resizes and fills t (all but its name), in arena memory. */
enum gal_status gal_image_to_tensor(const struct gal_image_plan *p, struct gal_str bytes,
                                    struct gal_arena *arena, struct gal_tensor *t,
                                    struct gal_err *err);

#endif
