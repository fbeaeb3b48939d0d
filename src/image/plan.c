/* SPDX-License-Identifier: Apache-2.0 */
#include "image/plan.h"

#include "base/limits.h"

#include <math.h>

static enum gal_status check_dtype(enum gal_dtype dtype, struct gal_err *err)
{
    if (dtype == GAL_DT_FP32 || dtype == GAL_DT_FP16 || dtype == GAL_DT_UINT8)
        return GAL_OK;
    return gal_fail(err, GAL_INVALID, "images become FP32, FP16 or UINT8, the input is %s",
                    gal_dtype_name(dtype));
}

/* A size of the tensor against the configured one (0: none). */
static enum gal_status settle(int64_t has, size_t told, const char *what, size_t *out,
                              struct gal_err *err)
{
    *out = told != 0 ? told : has > 0 ? (size_t)has : 0;
    if (has < 0 || (size_t)has == *out)
        return GAL_OK;
    return gal_fail(err, GAL_INVALID, "the model's %s is %lld, not %zu", what, (long long)has,
                    told);
}

enum gal_status gal_image_plan(const struct gal_image_config *c, enum gal_dtype dtype,
                               const int64_t *shape, size_t rank, struct gal_image_plan *out,
                               struct gal_err *err)
{
    size_t channels = c->color == GAL_IMAGE_GRAY ? 1 : 3, first;
    bool nchw = c->layout == GAL_IMAGE_NCHW;
    char text[96];
    enum gal_status st = check_dtype(dtype, err);

    *out = (struct gal_image_plan){.config = c, .dtype = dtype, .rank = rank};
    if (st != GAL_OK)
        return st;
    if ((rank != 3 && rank != 4) || (rank == 4 && shape[0] > 1) || shape[0] == 0)
        return gal_fail(err, GAL_INVALID, "an image fills a tensor of %s, the input's shape is %s",
                        nchw ? "[1,C,H,W] or [C,H,W]" : "[1,H,W,C] or [H,W,C]",
                        gal_shape_format(shape, rank, text, sizeof(text)));
    first = rank - 3;
    st = settle(shape[first + (nchw ? 0 : 2)], channels, "number of channels", &out->channels, err);
    if (st == GAL_OK)
        st = settle(shape[first + (nchw ? 1 : 0)], c->height, "height", &out->height, err);
    if (st == GAL_OK)
        st = settle(shape[first + (nchw ? 2 : 1)], c->width, "width", &out->width, err);
    if (st == GAL_OK && (out->width == 0) != (out->height == 0))
        return gal_fail(err, GAL_INVALID,
                        "the model leaves one of height and width open: say both");
    return st;
}

/* --- sizes --- */

static size_t scaled(size_t side, double by)
{
    double v = floor((double)side * by + 0.5);

    return v < 1 ? 1 : (size_t)v;
}

/* The whole image within the size, the rest filled. */
static enum gal_status fit(const struct gal_image_plan *p, struct gal_image *image,
                           struct gal_arena *arena, struct gal_err *err)
{
    double by_width = (double)p->width / (double)image->width;
    double by_height = (double)p->height / (double)image->height;
    double by = by_width < by_height ? by_width : by_height;
    size_t width = scaled(image->width, by), height = scaled(image->height, by), left, top, n;
    enum gal_status st;
    uint8_t *out;

    width = width < p->width ? width : p->width;
    height = height < p->height ? height : p->height;
    st = gal_image_resize(image, width, height, arena, err);
    if (st != GAL_OK || (width == p->width && height == p->height))
        return st;
    n = image->channels;
    out = gal_image_pixels(p->width, p->height, n, arena, err);
    if (out == NULL)
        return err != NULL ? err->code : GAL_NO_MEMORY;
    memset(out, (int)p->config->pad, p->width * p->height * n);
    left = (p->width - width) / 2;
    top = (p->height - height) / 2;
    for (size_t y = 0; y < height; y++)
        memcpy(out + ((top + y) * p->width + left) * n, image->pixels + y * width * n, width * n);
    image->pixels = out;
    image->width = p->width;
    image->height = p->height;
    return GAL_OK;
}

static void cut_middle(struct gal_image *image, size_t width, size_t height)
{
    size_t left = (image->width - width) / 2, top = (image->height - height) / 2;
    size_t n = image->channels;

    for (size_t y = 0; y < height; y++) /* to the front, never past what is still to be read */
        memmove(image->pixels + y * width * n,
                image->pixels + ((top + y) * image->width + left) * n, width * n);
    image->width = width;
    image->height = height;
}

static enum gal_status crop(const struct gal_image_plan *p, struct gal_image *image,
                            struct gal_arena *arena, struct gal_err *err)
{
    size_t side = p->config->short_side, width, height;
    double by_width = (double)p->width / (double)image->width;
    double by_height = (double)p->height / (double)image->height;
    double by = by_width > by_height ? by_width : by_height;
    bool wide = image->width > image->height;
    enum gal_status st;

    if (side != 0) { /* the longer side is cut to a whole number, as torchvision does */
        width = wide ? side * image->width / image->height : side;
        height = wide ? side : side * image->height / image->width;
    } else {
        width = scaled(image->width, by);
        height = scaled(image->height, by);
        width = width > p->width ? width : p->width;
        height = height > p->height ? height : p->height;
    }
    if (width < p->width || height < p->height)
        return gal_fail(err, GAL_INVALID,
                        "an image of %zu x %zu with short_side %zu is smaller than %zu x %zu",
                        image->width, image->height, side, p->width, p->height);
    if (width > GAL_IMAGE_SIDE_MAX || height > GAL_IMAGE_SIDE_MAX)
        return gal_fail(err, GAL_INVALID, "an image of %zu x %zu is too long to be cropped",
                        image->width, image->height);
    st = gal_image_resize(image, width, height, arena, err);
    if (st == GAL_OK)
        cut_middle(image, p->width, p->height);
    return st;
}

static enum gal_status to_size(const struct gal_image_plan *p, struct gal_image *image,
                               struct gal_arena *arena, struct gal_err *err)
{
    if (p->width == 0)
        return GAL_OK;
    switch (p->config->fit) {
    case GAL_IMAGE_FIT:
        return fit(p, image, arena, err);
    case GAL_IMAGE_CROP:
        return crop(p, image, arena, err);
    case GAL_IMAGE_STRETCH:
        return gal_image_resize(image, p->width, p->height, arena, err);
    case GAL_IMAGE_EXACT:
        break;
    }
    if (image->width == p->width && image->height == p->height)
        return GAL_OK;
    return gal_fail(err, GAL_INVALID, "the image has %zu x %zu pixels, the model takes %zu x %zu",
                    image->width, image->height, p->width, p->height);
}

/* --- numbers --- */

/* What each of a channel's 256 values becomes, in the tensor's datatype. */
struct table {
    union {
        float f32[256];
        uint16_t f16[256];
        uint8_t u8[256];
    } of;
};

static void make_table(const struct gal_image_plan *p, size_t channel, struct table *t)
{
    const struct gal_image_config *c = p->config;
    double scale = c->scale, std = c->std[channel] != 0 ? c->std[channel] : 1;

    if (scale == 0)
        scale = p->dtype == GAL_DT_UINT8 ? 1 : 1.0 / 255;
    for (unsigned i = 0; i < 256; i++) {
        /* A multiple of 1/255 is rounded once: i / 255, not i * (1 / 255). */
        double v = scale == 1.0 / 255 ? i / 255.0 : i * scale;

        v = (v - c->mean[channel]) / std;
        if (p->dtype == GAL_DT_FP32)
            t->of.f32[i] = (float)v;
        else if (p->dtype == GAL_DT_FP16)
            t->of.f16[i] = gal_fp16_from_fp64(v);
        else
            t->of.u8[i] = v < 0 ? 0 : v > 255 ? 255 : (uint8_t)lround(v);
    }
}

/* One channel of the tensor: every `step`-th element from `to`. */
static void put_channel(const struct gal_image *image, size_t from, const struct table *t,
                        enum gal_dtype dtype, void *data, size_t to, size_t step)
{
    size_t count = image->width * image->height, n = image->channels;
    const uint8_t *in = image->pixels + from;

    for (size_t i = 0; dtype == GAL_DT_FP32 && i < count; i++)
        ((float *)data)[to + i * step] = t->of.f32[in[i * n]];
    for (size_t i = 0; dtype == GAL_DT_FP16 && i < count; i++)
        ((uint16_t *)data)[to + i * step] = t->of.f16[in[i * n]];
    for (size_t i = 0; dtype == GAL_DT_UINT8 && i < count; i++)
        ((uint8_t *)data)[to + i * step] = t->of.u8[in[i * n]];
}

static enum gal_status put_tensor(const struct gal_image_plan *p, const struct gal_image *image,
                                  struct gal_arena *arena, struct gal_tensor *t,
                                  struct gal_err *err)
{
    bool nchw = p->config->layout == GAL_IMAGE_NCHW;
    size_t count = image->width * image->height, first = p->rank - 3;
    int64_t *shape = gal_arena_small(arena, p->rank * sizeof(*shape));
    struct table *table = gal_arena_small(arena, sizeof(*table));
    void *data = gal_arena_array(arena, count * p->channels, gal_dtype_size(p->dtype));

    if (shape == NULL || table == NULL || data == NULL)
        return gal_arena_fail(arena, count * p->channels * gal_dtype_size(p->dtype), "an image",
                              err);
    shape[0] = 1;
    shape[first + (nchw ? 0 : 2)] = (int64_t)p->channels;
    shape[first + (nchw ? 1 : 0)] = (int64_t)image->height;
    shape[first + (nchw ? 2 : 1)] = (int64_t)image->width;
    for (size_t c = 0; c < p->channels; c++) {
        make_table(p, c, table);
        put_channel(image, p->config->color == GAL_IMAGE_BGR ? 2 - c : c, table, p->dtype, data,
                    nchw ? c * count : c, nchw ? 1 : p->channels);
    }
    t->dtype = p->dtype;
    t->rank = p->rank;
    t->shape = shape;
    t->count = count * p->channels;
    t->data = data;
    return GAL_OK;
}

enum gal_status gal_image_to_tensor(const struct gal_image_plan *p, struct gal_str bytes,
                                    struct gal_arena *arena, struct gal_tensor *t,
                                    struct gal_err *err)
{
    uint64_t most = p->config->pixels_max != 0 ? p->config->pixels_max : GAL_IMAGE_PIXELS_MAX;
    struct gal_image image;
    enum gal_status st = gal_image_decode(bytes, most, arena, &image, err);

    if (st == GAL_OK && !p->config->as_stored)
        st = gal_image_upright(&image, arena, err);
    if (st == GAL_OK)
        st = gal_image_to_channels(&image, p->channels, arena, err);
    if (st == GAL_OK)
        st = to_size(p, &image, arena, err);
    return st == GAL_OK ? put_tensor(p, &image, arena, t, err) : st;
}
