/* SPDX-License-Identifier: Apache-2.0 */
/* Resampling by a triangle filter in fixed point; see gal_image_resize. Each output pixel is a sum
 * of the source pixels that the filter's window covers, with weights that add up to 1. */
#include "image/image.h"

#include <math.h>

#define FRACTION_BITS 22 /* 32 bits, less 8 of a pixel, less 2 for sums beyond 1 */

/* The weights of one direction. */
struct window {
    size_t from, count; /* source pixels */
};
struct weights {
    struct window *windows; /* an output pixel */
    uint32_t *w;            /* `room` an output pixel */
    size_t room;
};

static enum gal_status make_weights(size_t in, size_t out, struct gal_arena *arena,
                                    struct weights *to, struct gal_err *err)
{
    double scale = (double)in / (double)out, widened = scale > 1 ? scale : 1;
    double *row;

    to->room = (size_t)ceil(widened) * 2 + 1;
    to->windows = gal_arena_array(arena, out, sizeof(*to->windows));
    to->w = gal_arena_array(arena, out, to->room * sizeof(*to->w));
    row = gal_arena_array(arena, to->room, sizeof(*row));
    if (to->windows == NULL || to->w == NULL || row == NULL)
        return gal_arena_fail(arena, out * to->room * sizeof(*to->w), "resizing", err);
    for (size_t x = 0; x < out; x++) {
        double centre = ((double)x + 0.5) * scale, sum = 0;
        double first = centre - widened + 0.5, last = centre + widened + 0.5;
        size_t from = first > 0 ? (size_t)first : 0;
        size_t end = last < (double)in ? (size_t)last : in;
        size_t count = end - from < to->room ? end - from : to->room;

        for (size_t i = 0; i < count; i++) {
            double at = fabs(((double)(from + i) - centre + 0.5) * (1 / widened));

            row[i] = at < 1 ? 1 - at : 0;
            sum += row[i];
        }
        for (size_t i = 0; i < count; i++)
            to->w[x * to->room + i] =
                (uint32_t)(0.5 + (sum != 0 ? row[i] / sum : row[i]) * (1 << FRACTION_BITS));
        to->windows[x] = (struct window){from, count};
    }
    return GAL_OK;
}

/* A sum is below 2^31: 255 times weights of 2^22 in all, and what their rounding adds. */
static inline uint8_t rounded(uint32_t sum)
{
    sum = (sum + (1u << (FRACTION_BITS - 1))) >> FRACTION_BITS;
    return sum > 255 ? 255 : (uint8_t)sum;
}

/* One output row from one source row: n channels. */
static void run_row(const uint8_t *in, size_t n, const struct weights *w, size_t width,
                    uint8_t *out)
{
    for (size_t x = 0; x < width; x++) {
        const uint32_t *k = w->w + x * w->room;
        const uint8_t *p = in + w->windows[x].from * n;
        uint32_t sums[3] = {0, 0, 0};

        GAL_ASSERT(n <= 3);
        for (size_t i = 0; i < w->windows[x].count; i++, p += n)
            for (size_t c = 0; c < n; c++)
                sums[c] += k[i] * p[c];
        for (size_t c = 0; c < n; c++)
            *out++ = rounded(sums[c]);
    }
}

/* One output row from several source rows of `bytes` bytes. */
static void run_column(const uint8_t *in, size_t bytes, const uint32_t *k, struct window window,
                       uint32_t *sums, uint8_t *out)
{
    memset(sums, 0, bytes * sizeof(*sums));
    for (size_t i = 0; i < window.count; i++) {
        const uint8_t *p = in + (window.from + i) * bytes;

        for (size_t b = 0; b < bytes; b++)
            sums[b] += k[i] * p[b];
    }
    for (size_t b = 0; b < bytes; b++)
        out[b] = rounded(sums[b]);
}

static enum gal_status resize_rows(struct gal_image *image, size_t width, struct gal_arena *arena,
                                   struct gal_err *err)
{
    struct weights w;
    size_t n = image->channels;
    enum gal_status st = make_weights(image->width, width, arena, &w, err);
    uint8_t *out = st == GAL_OK ? gal_image_pixels(width, image->height, n, arena, err) : NULL;

    if (out == NULL)
        return err != NULL ? err->code : GAL_NO_MEMORY;
    for (size_t y = 0; y < image->height; y++)
        run_row(image->pixels + y * image->width * n, n, &w, width, out + y * width * n);
    image->pixels = out;
    image->width = width;
    return GAL_OK;
}

static enum gal_status resize_columns(struct gal_image *image, size_t height,
                                      struct gal_arena *arena, struct gal_err *err)
{
    struct weights w;
    size_t bytes = image->width * image->channels;
    enum gal_status st = make_weights(image->height, height, arena, &w, err);
    uint32_t *sums = st == GAL_OK ? gal_arena_array(arena, bytes, sizeof(*sums)) : NULL;
    uint8_t *out;

    if (st == GAL_OK && sums == NULL)
        gal_arena_fail(arena, bytes * sizeof(*sums), "resizing", err);
    out = sums != NULL ? gal_image_pixels(image->width, height, image->channels, arena, err) : NULL;
    if (out == NULL)
        return err != NULL ? err->code : GAL_NO_MEMORY;
    for (size_t y = 0; y < height; y++)
        run_column(image->pixels, bytes, w.w + y * w.room, w.windows[y], sums, out + y * bytes);
    image->pixels = out;
    image->height = height;
    return GAL_OK;
}

enum gal_status gal_image_resize(struct gal_image *image, size_t width, size_t height,
                                 struct gal_arena *arena, struct gal_err *err)
{
    enum gal_status st = GAL_OK;

    if (image->width != width)
        st = resize_rows(image, width, arena, err);
    if (st == GAL_OK && image->height != height)
        st = resize_columns(image, height, arena, err);
    return st;
}
