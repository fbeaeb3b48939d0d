/* SPDX-License-Identifier: Apache-2.0 */
/* libpng behind one file. Its errors are jumps: they end in gal_image_decode_png, and nothing that
 * libpng allocates outlives it, as all of that is the arena's. */
#include "image/image.h"

#include "base/limits.h"

#include <png.h>
#include <setjmp.h>

struct reader {
    struct gal_str rest;
    uint64_t pixels_max;
    struct gal_arena *arena;
    struct gal_image *out;
    struct gal_err *err;
    enum gal_status status;
    png_structp png;
    png_infop info;
    uint8_t **rows;
    jmp_buf jump;
};

static _Noreturn void stop(struct reader *r, enum gal_status status)
{
    r->status = status;
    longjmp(r->jump, 1);
}

static _Noreturn void on_error(png_structp png, png_const_charp text)
{
    struct reader *r = png_get_error_ptr(png);

    gal_fail(r->err, GAL_INVALID, "the PNG cannot be read: %s", text);
    stop(r, GAL_INVALID);
}

static void on_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static void on_read(png_structp png, png_bytep to, size_t n)
{
    struct reader *r = png_get_io_ptr(png);

    if (n > r->rest.n) {
        gal_fail(r->err, GAL_INVALID, "the PNG ends early");
        stop(r, GAL_INVALID);
    }
    memcpy(to, r->rest.p, n);
    r->rest.p += n;
    r->rest.n -= n;
}

static png_voidp on_alloc(png_structp png, png_alloc_size_t n)
{
    struct reader *r = png_get_mem_ptr(png);

    return gal_arena_alloc(r->arena, n);
}

static void on_free(png_structp png, png_voidp p)
{
    (void)png; /* the arena's */
    (void)p;
}

/* 8 bits a channel, grey or colour, no alpha, no palette. Returns the passes that rows take. */
static int set_form(struct reader *r)
{
    png_byte colour = png_get_color_type(r->png, r->info);

    if (colour == PNG_COLOR_TYPE_PALETTE)
        png_set_palette_to_rgb(r->png);
    if (colour == PNG_COLOR_TYPE_GRAY && png_get_bit_depth(r->png, r->info) < 8)
        png_set_expand_gray_1_2_4_to_8(r->png);
    png_set_strip_16(r->png);
    png_set_strip_alpha(r->png);
    return png_set_interlace_handling(r->png);
}

static void read_orientation(struct reader *r)
{
    png_bytep exif = NULL;
    png_uint_32 n = 0;

    if (png_get_eXIf_1(r->png, r->info, &n, &exif) != 0 && exif != NULL)
        r->out->orientation = gal_image_exif_orientation((struct gal_str){(const char *)exif, n});
}

static void read_image(struct reader *r)
{
    struct gal_image *out = r->out;
    int passes;

    png_set_read_fn(r->png, r, on_read);
    png_set_user_limits(r->png, GAL_IMAGE_SIDE_MAX, GAL_IMAGE_SIDE_MAX);
    png_set_chunk_malloc_max(r->png, GAL_IMAGE_CHUNK_BYTES_MAX);
    png_set_chunk_cache_max(r->png, 64);
    png_read_info(r->png, r->info);
    out->width = png_get_image_width(r->png, r->info);
    out->height = png_get_image_height(r->png, r->info);
    if (gal_image_check_size(out->width, out->height, r->pixels_max, r->err) != GAL_OK)
        stop(r, GAL_TOO_LARGE);
    read_orientation(r);
    passes = set_form(r);
    png_read_update_info(r->png, r->info);
    out->channels = png_get_channels(r->png, r->info);
    if ((out->channels != 1 && out->channels != 3) ||
        png_get_rowbytes(r->png, r->info) != out->width * out->channels)
        png_error(r->png, "unexpected form of pixels");
    out->pixels = gal_image_pixels(out->width, out->height, out->channels, r->arena, r->err);
    if (out->pixels == NULL)
        stop(r, GAL_NO_MEMORY);
    for (int pass = 0; pass < passes; pass++)
        for (size_t y = 0; y < out->height; y++)
            png_read_row(r->png, out->pixels + y * out->width * out->channels, NULL);
    png_read_end(r->png, NULL);
}

enum gal_status gal_image_decode_png(struct gal_str bytes, uint64_t pixels_max,
                                     struct gal_arena *arena, struct gal_image *out,
                                     struct gal_err *err)
{
    struct gal_err unused;
    struct reader *r = gal_arena_small(arena, sizeof(*r));

    if (r == NULL)
        return gal_arena_fail(arena, sizeof(*r), "an image", err);
    memset(r, 0, sizeof(*r));
    r->rest = bytes;
    r->pixels_max = pixels_max;
    r->arena = arena;
    r->out = out;
    r->err = err != NULL ? err : &unused;
    if (setjmp(r->jump) != 0)
        return r->status == GAL_OK ? GAL_INVALID : r->err->code;
    r->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, r, on_error, on_warning, r, on_alloc,
                                      on_free);
    r->info = r->png != NULL ? png_create_info_struct(r->png) : NULL;
    if (r->info == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for an image");
    read_image(r);
    png_destroy_read_struct(&r->png, &r->info, NULL);
    return GAL_OK;
}
