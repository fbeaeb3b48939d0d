/* SPDX-License-Identifier: Apache-2.0 */
/* libjpeg-turbo behind one file. Its errors are jumps: they end in gal_image_decode_jpeg, which
 * destroys what it has made. */
#include "image/image.h"

#include "base/limits.h"

#include <setjmp.h>
#include <stdio.h> /* jpeglib.h wants FILE */

#include <jpeglib.h>
#include <jerror.h>

struct reader {
    struct jpeg_decompress_struct jpeg; /* first: libjpeg hands it back */
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    struct jpeg_source_mgr source;
    uint64_t pixels_max;
    struct gal_arena *arena;
    struct gal_image *out;
    struct gal_err *err;
    size_t charged; /* of the arena's budget, for coefficients that libjpeg keeps */
    jmp_buf jump;
};

static _Noreturn void stop(struct reader *r, enum gal_status code, const char *text)
{
    gal_fail(r->err, code, "%s", text);
    longjmp(r->jump, 1);
}

static _Noreturn void on_error(j_common_ptr c)
{
    struct reader *r = (struct reader *)(void *)c;
    char text[JMSG_LENGTH_MAX], sentence[JMSG_LENGTH_MAX + 32];

    c->err->format_message(c, text);
    snprintf(sentence, sizeof(sentence), "the JPEG cannot be read: %.180s", text);
    stop(r, c->err->msg_code == JERR_OUT_OF_MEMORY ? GAL_NO_MEMORY : GAL_INVALID, sentence);
}

static void on_message(j_common_ptr c, int level)
{
    (void)c; /* a decoder that goes on as others do: warnings are theirs too */
    (void)level;
}

/* --- the source: one run of bytes --- */

static void on_source(j_decompress_ptr jpeg)
{
    (void)jpeg;
}

static boolean on_empty(j_decompress_ptr jpeg)
{
    stop((struct reader *)(void *)jpeg, GAL_INVALID, "the JPEG ends early");
    return FALSE;
}

static void on_skip(j_decompress_ptr jpeg, long n)
{
    if (n <= 0)
        return;
    if ((size_t)n > jpeg->src->bytes_in_buffer)
        on_empty(jpeg);
    jpeg->src->next_input_byte += n;
    jpeg->src->bytes_in_buffer -= (size_t)n;
}

/* Each scan of a progressive file goes over the whole image. */
static void on_progress(j_common_ptr c)
{
    struct reader *r = (struct reader *)(void *)c;

    if (r->jpeg.input_scan_number > GAL_IMAGE_SCANS_MAX)
        stop(r, GAL_INVALID, "the JPEG has too many scans");
}

/* --- pixels --- */

static uint8_t mul_255(unsigned a, unsigned b)
{
    unsigned t = a * b + 128;

    return (uint8_t)(((t >> 8) + t) >> 8);
}

/* Four bytes a pixel in the row's own place become three elsewhere. */
static void from_cmyk(const uint8_t *in, size_t width, bool inverted, uint8_t *out)
{
    for (size_t x = 0; x < width; x++, in += 4)
        for (size_t c = 0; c < 3; c++) {
            unsigned ink = inverted ? 255u - in[c] : in[c];
            unsigned light = inverted ? in[3] : 255u - in[3];
            unsigned taken = mul_255(ink, light);

            *out++ = (uint8_t)(light > taken ? light - taken : 0);
        }
}

static void read_rows(struct reader *r)
{
    struct gal_image *out = r->out;
    bool cmyk = r->jpeg.out_color_space == JCS_CMYK;
    uint8_t *line = cmyk ? gal_arena_array(r->arena, out->width, 4) : NULL;

    if (cmyk && line == NULL)
        stop(r, GAL_NO_MEMORY, "no memory for an image");
    while (r->jpeg.output_scanline < r->jpeg.output_height) {
        uint8_t *row = out->pixels + r->jpeg.output_scanline * out->width * out->channels;
        JSAMPROW at[1] = {cmyk ? line : row};

        jpeg_read_scanlines(&r->jpeg, at, 1);
        if (cmyk)
            from_cmyk(line, out->width, r->jpeg.saw_Adobe_marker, row);
    }
}

static void read_orientation(struct reader *r)
{
    for (jpeg_saved_marker_ptr m = r->jpeg.marker_list; m != NULL; m = m->next) {
        struct gal_str data = {(const char *)m->data, m->data_length};

        if (m->marker != JPEG_APP0 + 1 || !gal_str_starts(data, GAL_STR("Exif\0\0")))
            continue;
        data.p += 6;
        data.n -= 6;
        r->out->orientation = gal_image_exif_orientation(data);
        return;
    }
}

/* What libjpeg will keep of a file of several scans: 2 bytes a sample, at most 4 components. */
static void charge(struct reader *r)
{
    size_t bytes = 2 * (size_t)r->jpeg.num_components * r->out->width * r->out->height;

    if (!jpeg_has_multiple_scans(&r->jpeg))
        return;
    if (!gal_budget_charge(r->arena->budget, bytes))
        stop(r, GAL_NO_MEMORY, "no memory for an image of several scans");
    r->charged = bytes;
}

static void read_image(struct reader *r)
{
    struct jpeg_decompress_struct *jpeg = &r->jpeg;
    struct gal_image *out = r->out;

    jpeg_create_decompress(jpeg);
    jpeg->src = &r->source;
    jpeg->progress = &r->progress;
    jpeg_save_markers(jpeg, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(jpeg, TRUE);
    out->width = jpeg->image_width;
    out->height = jpeg->image_height;
    if (gal_image_check_size(out->width, out->height, r->pixels_max, r->err) != GAL_OK)
        longjmp(r->jump, 1);
    read_orientation(r);
    if (jpeg->jpeg_color_space == JCS_GRAYSCALE)
        jpeg->out_color_space = JCS_GRAYSCALE;
    else if (jpeg->num_components == 4)
        jpeg->out_color_space = JCS_CMYK;
    else
        jpeg->out_color_space = JCS_RGB;
    out->channels = jpeg->out_color_space == JCS_GRAYSCALE ? 1 : 3;
    charge(r);
    out->pixels = gal_image_pixels(out->width, out->height, out->channels, r->arena, r->err);
    if (out->pixels == NULL)
        longjmp(r->jump, 1);
    jpeg_start_decompress(jpeg);
    read_rows(r);
    jpeg_finish_decompress(jpeg);
}

enum gal_status gal_image_decode_jpeg(struct gal_str bytes, uint64_t pixels_max,
                                      struct gal_arena *arena, struct gal_image *out,
                                      struct gal_err *err)
{
    struct gal_err own;
    struct reader *r = gal_arena_small(arena, sizeof(*r));
    enum gal_status st = GAL_OK;

    if (r == NULL)
        return gal_arena_fail(arena, sizeof(*r), "an image", err);
    memset(r, 0, sizeof(*r));
    r->pixels_max = pixels_max;
    r->arena = arena;
    r->out = out;
    r->err = err != NULL ? err : &own;
    r->jpeg.err = jpeg_std_error(&r->errors);
    r->errors.error_exit = on_error;
    r->errors.emit_message = on_message;
    r->progress.progress_monitor = on_progress;
    r->source = (struct jpeg_source_mgr){.next_input_byte = (const JOCTET *)bytes.p,
                                         .bytes_in_buffer = bytes.n,
                                         .init_source = on_source,
                                         .fill_input_buffer = on_empty,
                                         .skip_input_data = on_skip,
                                         .resync_to_restart = jpeg_resync_to_restart,
                                         .term_source = on_source};
    if (setjmp(r->jump) == 0)
        read_image(r);
    else
        st = r->err->code;
    jpeg_destroy_decompress(&r->jpeg);
    gal_budget_release(arena->budget, r->charged);
    return st;
}
