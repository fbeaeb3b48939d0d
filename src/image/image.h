/* SPDX-License-Identifier: Apache-2.0 */
/* Encoded images as 8-bit pixels: PNG and JPEG, told apart by their first bytes. Bounded before
 * memory is taken: the header's size is looked at before a pixel is read. Memory from the arena,
 * but for libjpeg's own, of which what grows with the image is charged to the arena's budget.
 *
 * One form for all kinds of files, as Pillow's convert("RGB") makes it: of 16 bits the upper 8,
 * palettes resolved, alpha dropped, grey values scaled to 0..255, CMYK (Adobe's inverted one too)
 * by R = (255-C)(255-K)/255. Colour profiles and gamma are not applied. Any thread. */
#ifndef GAL_IMAGE_IMAGE_H
#define GAL_IMAGE_IMAGE_H

#include "base/arena.h"

struct gal_image {
    size_t width, height;
    size_t channels;      /* 1: grey; 3: red, green, blue */
    uint8_t *pixels;      /* rows from the top, no padding */
    unsigned orientation; /* EXIF's, 1 to 8; 1 where the file tells none */
};

enum gal_image_type { GAL_IMAGE_NONE, GAL_IMAGE_PNG, GAL_IMAGE_JPEG };
enum gal_image_type gal_image_type(struct gal_str bytes);

/* INVALID: the file is damaged, or ends early; TOO_LARGE: more than pixels_max pixels, or a side of
 * more than GAL_IMAGE_SIDE_MAX; MEDIA_TYPE: neither PNG nor JPEG. */
enum gal_status gal_image_decode(struct gal_str bytes, uint64_t pixels_max, struct gal_arena *arena,
                                 struct gal_image *out, struct gal_err *err);
/* Turns and mirrors as the orientation says, which is 1 afterwards. */
enum gal_status gal_image_upright(struct gal_image *image, struct gal_arena *arena,
                                  struct gal_err *err);
/* Grey to colour (three equal channels), colour to grey (ITU-R 601 luma, rounded). */
enum gal_status gal_image_to_channels(struct gal_image *image, size_t channels,
                                      struct gal_arena *arena, struct gal_err *err);
/* To another size, with the arithmetic of Pillow's BILINEAR: a triangle filter that is widened
 * where the image shrinks, rows first, 22-bit fixed point, rounded to 8 bits after each
 * direction. (From version 13 on Pillow does columns first where that is cheaper: 1 of 255 apart.)
 */
enum gal_status gal_image_resize(struct gal_image *image, size_t width, size_t height,
                                 struct gal_arena *arena, struct gal_err *err);
/* width * height * channels bytes of pixels, or NULL with err. */
uint8_t *gal_image_pixels(size_t width, size_t height, size_t channels, struct gal_arena *arena,
                          struct gal_err *err);

/* --- between the decoders --- */

enum gal_status gal_image_check_size(uint64_t width, uint64_t height, uint64_t pixels_max,
                                     struct gal_err *err);
enum gal_status gal_image_decode_png(struct gal_str bytes, uint64_t pixels_max,
                                     struct gal_arena *arena, struct gal_image *out,
                                     struct gal_err *err);
enum gal_status gal_image_decode_jpeg(struct gal_str bytes, uint64_t pixels_max,
                                      struct gal_arena *arena, struct gal_image *out,
                                      struct gal_err *err);
/* The orientation in an EXIF block (from its TIFF header on); 1 when it tells none that is valid.
 */
unsigned gal_image_exif_orientation(struct gal_str exif);

#endif
