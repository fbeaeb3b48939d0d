/* SPDX-License-Identifier: Apache-2.0 */
#include "image/image.h"

#include "base/limits.h"

enum gal_image_type gal_image_type(struct gal_str bytes)
{
    if (gal_str_starts(bytes, GAL_STR("\x89PNG\r\n\x1a\n")))
        return GAL_IMAGE_PNG;
    if (gal_str_starts(bytes, GAL_STR("\xff\xd8\xff")))
        return GAL_IMAGE_JPEG;
    return GAL_IMAGE_NONE;
}

enum gal_status gal_image_decode(struct gal_str bytes, uint64_t pixels_max, struct gal_arena *arena,
                                 struct gal_image *out, struct gal_err *err)
{
    *out = (struct gal_image){.orientation = 1};
    switch (gal_image_type(bytes)) {
    case GAL_IMAGE_PNG:
        return gal_image_decode_png(bytes, pixels_max, arena, out, err);
    case GAL_IMAGE_JPEG:
        return gal_image_decode_jpeg(bytes, pixels_max, arena, out, err);
    case GAL_IMAGE_NONE:
        break;
    }
    return gal_fail(err, GAL_MEDIA_TYPE,
                    bytes.n == 0 ? "the body is empty, expected an image"
                                 : "the image is neither PNG nor JPEG");
}

enum gal_status gal_image_check_size(uint64_t width, uint64_t height, uint64_t pixels_max,
                                     struct gal_err *err)
{
    if (width == 0 || height == 0)
        return gal_fail(err, GAL_INVALID, "the image has no pixels");
    if (width <= GAL_IMAGE_SIDE_MAX && height <= GAL_IMAGE_SIDE_MAX && width * height <= pixels_max)
        return GAL_OK;
    return gal_fail(err, GAL_TOO_LARGE,
                    "the image has %llu x %llu pixels; at most %llu may be sent (max_pixels), and "
                    "%u a side",
                    (unsigned long long)width, (unsigned long long)height,
                    (unsigned long long)pixels_max, GAL_IMAGE_SIDE_MAX);
}

uint8_t *gal_image_pixels(size_t width, size_t height, size_t channels, struct gal_arena *arena,
                          struct gal_err *err)
{
    uint8_t *p = gal_arena_array(arena, width * height, channels);

    if (p == NULL)
        gal_arena_fail(arena, width * height * channels, "an image", err);
    return p;
}

/* --- turning --- */

/* Where the pixel that comes to (x, y) lies, for an image that is `width` by `height` now. */
static size_t source(unsigned orientation, size_t width, size_t height, size_t x, size_t y)
{
    size_t sx = x, sy = y;

    if (orientation >= 5) { /* rows become columns */
        sx = y;
        sy = x;
    }
    if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8)
        sx = width - 1 - sx;
    if (orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7)
        sy = height - 1 - sy;
    return sy * width + sx;
}

enum gal_status gal_image_upright(struct gal_image *image, struct gal_arena *arena,
                                  struct gal_err *err)
{
    bool turned = image->orientation >= 5;
    size_t width = turned ? image->height : image->width, n = image->channels;
    size_t height = turned ? image->width : image->height;
    uint8_t *out, *to;

    if (image->orientation <= 1)
        return GAL_OK;
    out = gal_image_pixels(width, height, n, arena, err);
    if (out == NULL)
        return err != NULL ? err->code : GAL_NO_MEMORY;
    to = out;
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < width; x++, to += n)
            memcpy(to,
                   image->pixels +
                       n * source(image->orientation, image->width, image->height, x, y),
                   n);
    *image = (struct gal_image){width, height, n, out, 1};
    return GAL_OK;
}

/* --- colours --- */

enum gal_status gal_image_to_channels(struct gal_image *image, size_t channels,
                                      struct gal_arena *arena, struct gal_err *err)
{
    size_t count = image->width * image->height;
    const uint8_t *p = image->pixels;
    uint8_t *out;

    if (image->channels == channels)
        return GAL_OK;
    out = gal_image_pixels(image->width, image->height, channels, arena, err);
    if (out == NULL)
        return err != NULL ? err->code : GAL_NO_MEMORY;
    for (size_t i = 0; channels == 1 && i < count; i++, p += 3)
        out[i] = (uint8_t)((19595u * p[0] + 38470u * p[1] + 7471u * p[2] + 32768u) >> 16);
    for (size_t i = 0; channels == 3 && i < count; i++)
        out[3 * i] = out[3 * i + 1] = out[3 * i + 2] = p[i];
    image->pixels = out;
    image->channels = channels;
    return GAL_OK;
}

/* --- EXIF --- */

static unsigned get16(const uint8_t *p, bool big)
{
    return big ? (unsigned)p[0] << 8 | p[1] : (unsigned)p[1] << 8 | p[0];
}

static uint32_t get32(const uint8_t *p, bool big)
{
    uint32_t a = get16(p, big), b = get16(p + 2, big);

    return big ? a << 16 | b : b << 16 | a;
}

unsigned gal_image_exif_orientation(struct gal_str exif)
{
    enum { ENTRY = 12, TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3 };
    const uint8_t *p = (const uint8_t *)exif.p;
    bool big = gal_str_starts(exif, GAL_STR("MM\0*"));
    size_t at, count;

    if (exif.n < 10 || (!big && !gal_str_starts(exif, GAL_STR("II*\0"))))
        return 1;
    at = get32(p + 4, big);
    if (at > exif.n - 2)
        return 1;
    count = get16(p + at, big);
    at += 2;
    for (size_t i = 0; i < count && exif.n - at >= ENTRY; i++, at += ENTRY) {
        unsigned v = get16(p + at + 8, big);

        if (get16(p + at, big) != TAG_ORIENTATION)
            continue;
        return get16(p + at + 2, big) == TYPE_SHORT && v >= 1 && v <= 8 ? v : 1;
    }
    return 1;
}
