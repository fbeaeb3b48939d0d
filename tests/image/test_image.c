/* SPDX-License-Identifier: Apache-2.0 */
/* Pixels without files, and files under failing memory; equality with Pillow is the wire tests'. */
#include "image/plan.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static struct gal_arena arena;

static int start(void **state)
{
    (void)state;
    gal_arena_init(&arena, 4096, 1 << 16, 64 << 20);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    gal_arena_release(&arena);
    return 0;
}

static struct gal_image make(size_t width, size_t height, size_t channels, const uint8_t *pixels)
{
    struct gal_image image = {width, height, channels, NULL, 1};

    image.pixels = gal_image_pixels(width, height, channels, &arena, NULL);
    assert_non_null(image.pixels);
    memcpy(image.pixels, pixels, width * height * channels);
    return image;
}

/* a b c
 * d e f */
static void an_orientation_is_turned_upright(void **state)
{
    static const struct {
        unsigned orientation;
        size_t width, height;
        const char *pixels;
    } rows[] = {
        {1, 3, 2, "abcdef"}, {2, 3, 2, "cbafed"}, {3, 3, 2, "fedcba"}, {4, 3, 2, "defabc"},
        {5, 2, 3, "adbecf"}, {6, 2, 3, "daebfc"}, {7, 2, 3, "fcebda"}, {8, 2, 3, "cfbead"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct gal_image image = make(3, 2, 1, (const uint8_t *)"abcdef");

        image.orientation = rows[i].orientation;
        assert_int_equal(gal_image_upright(&image, &arena, NULL), GAL_OK);
        assert_int_equal(image.width, rows[i].width);
        assert_int_equal(image.height, rows[i].height);
        assert_memory_equal(image.pixels, rows[i].pixels, 6);
        assert_int_equal(image.orientation, 1);
    }
}

static void exif_tells_an_orientation_in_both_byte_orders(void **state)
{
#define TEXT(literal)                                                                              \
    {                                                                                              \
        "" literal, sizeof(literal) - 1                                                            \
    }
#define LITTLE "II*\0\x08\0\0\0"
#define BIG "MM\0*\0\0\0\x08"
    static const struct {
        struct gal_str exif;
        unsigned orientation;
    } rows[] = {
        {TEXT(LITTLE "\1\0\x12\1\3\0\1\0\0\0\6\0\0\0"), 6},
        {TEXT(BIG "\0\1\1\x12\0\3\0\0\0\1\0\x08\0\0"), 8},
        {TEXT(LITTLE "\2\0\0\1\3\0\1\0\0\0\6\0\0\0\x12\1\3\0\1\0\0\0\3\0\0\0"), 3},
        {TEXT(LITTLE "\1\0\x12\1\3\0\1\0\0\0\x09\0\0\0"), 1}, /* there is no 9 */
        {TEXT(LITTLE "\1\0\x12\1\4\0\1\0\0\0\6\0\0\0"), 1},   /* not a SHORT */
        {TEXT(LITTLE "\xff\xff\x12\1\3\0\1\0\0"), 1},         /* cut */
        {TEXT("II*\0\xff\xff\xff\xff\0\0"), 1},               /* beyond the end */
        {TEXT("II*\0\x08\0\0\0\0"), 1},
        {TEXT("XX*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0"), 1},
        {TEXT(""), 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(gal_image_exif_orientation(rows[i].exif), rows[i].orientation);
}

static void colours_become_grey_by_their_luma_and_grey_three_equal_channels(void **state)
{
    static const uint8_t colours[] = {255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255};
    static const uint8_t luma[] = {76, 150, 29, 255};
    struct gal_image image = make(2, 2, 3, colours);

    (void)state;
    assert_int_equal(gal_image_to_channels(&image, 1, &arena, NULL), GAL_OK);
    assert_memory_equal(image.pixels, luma, 4);
    assert_int_equal(gal_image_to_channels(&image, 3, &arena, NULL), GAL_OK);
    for (size_t i = 0; i < 12; i++)
        assert_int_equal(image.pixels[i], luma[i / 3]);
}

/* The weights of a window add up to 1, so one colour stays that colour, whatever the sizes. */
static void one_colour_stays_one_colour(void **state)
{
    static const size_t sizes[] = {1, 2, 3, 7, 64, 255};
    uint8_t white[64 * 3];

    (void)state;
    memset(white, 255, sizeof(white));
    for (size_t i = 0; i < 6; i++)
        for (size_t k = 0; k < 6; k++) {
            struct gal_image image = make(16, 4, 3, white);

            assert_int_equal(gal_image_resize(&image, sizes[i], sizes[k], &arena, NULL), GAL_OK);
            assert_int_equal(image.width, sizes[i]);
            assert_int_equal(image.height, sizes[k]);
            for (size_t p = 0; p < sizes[i] * sizes[k] * 3; p++)
                assert_int_equal(image.pixels[p], 255);
        }
}

static void shrinking_looks_at_every_pixel(void **state)
{
    static const uint8_t stripes[] = {0, 255, 0, 255, 0, 255, 0, 255};
    struct gal_image image = make(8, 1, 1, stripes);

    (void)state;
    assert_int_equal(gal_image_resize(&image, 1, 1, &arena, NULL), GAL_OK);
    assert_in_range(image.pixels[0], 127, 128);
}

static const struct gal_image_config plain = {.on = true};

static enum gal_status plan(const struct gal_image_config *c, const int64_t *shape, size_t rank,
                            struct gal_err *err)
{
    struct gal_image_plan p;

    return gal_image_plan(c, GAL_DT_FP32, shape, rank, &p, err);
}

static void a_configuration_is_held_against_the_tensor(void **state)
{
    static const int64_t good[] = {-1, 3, 8, 6}, open[] = {3, -1, -1}, half[] = {1, 3, 8, -1},
                         many[] = {2, 3, 8, 6}, last[] = {1, 8, 6, 3};
    struct gal_image_config c = plain;
    struct gal_err err;

    (void)state;
    assert_int_equal(plan(&c, good, 4, &err), GAL_OK);
    assert_int_equal(plan(&c, open, 3, &err), GAL_OK);
    assert_int_equal(plan(&c, half, 4, &err), GAL_INVALID);
    assert_int_equal(plan(&c, many, 4, &err), GAL_INVALID);
    assert_int_equal(plan(&c, last, 4, &err), GAL_INVALID);
    assert_string_equal(err.message, "the model's number of channels is 8, not 3");
    c.width = 6;
    assert_int_equal(plan(&c, half, 4, &err), GAL_OK);
    c.layout = GAL_IMAGE_NHWC;
    assert_int_equal(plan(&c, last, 4, &err), GAL_OK);
    c.width = 7;
    assert_int_equal(plan(&c, last, 4, &err), GAL_INVALID);
    assert_string_equal(err.message, "the model's width is 6, not 7");
}

static void no_allocation_that_fails_is_lost(void **state)
{
    static const char *const files[] = {
        "fuzz/corpus/png/rgb",          "fuzz/corpus/png/palette", "fuzz/corpus/png/adam7",
        "fuzz/corpus/png/exif",         "fuzz/corpus/jpeg/rgb",    "fuzz/corpus/jpeg/cmyk",
        "fuzz/corpus/jpeg/progressive",
    };
    static const int64_t shape[] = {1, 3, 5, 7};
    struct gal_image_config config = plain;
    struct gal_image_plan p;

    (void)state;
    config.fit = GAL_IMAGE_FIT;
    assert_int_equal(gal_image_plan(&config, GAL_DT_FP16, shape, 4, &p, NULL), GAL_OK);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        struct gal_buf file;

        assert_int_equal(gal_file_read(files[i], 1 << 20, &file, NULL), GAL_OK);
        for (uint64_t n = 1;; n++) {
            struct gal_tensor t;
            struct gal_err err;
            enum gal_status st;

            gal_arena_release(&arena);
            gal_arena_init(&arena, 64, 0, 64 << 20);
            gal_err_clear(&err);
            gal_alloc_fail_at(n, 1);
            st = gal_image_to_tensor(&p, gal_buf_str(&file), &arena, &t, &err);
            gal_alloc_fail_at(0, 0);
            if (st == GAL_OK) {
                assert_true(n > 2);
                assert_int_equal(t.count, 3 * 5 * 7);
                break;
            }
            /* libpng has a sentence of its own for it */
            assert_true(st == GAL_NO_MEMORY || st == GAL_INVALID);
            assert_true(err.message[0] != '\0');
        }
        gal_buf_release(&file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_orientation_is_turned_upright, start, stop),
        cmocka_unit_test(exif_tells_an_orientation_in_both_byte_orders),
        cmocka_unit_test_setup_teardown(
            colours_become_grey_by_their_luma_and_grey_three_equal_channels, start, stop),
        cmocka_unit_test_setup_teardown(one_colour_stays_one_colour, start, stop),
        cmocka_unit_test_setup_teardown(shrinking_looks_at_every_pixel, start, stop),
        cmocka_unit_test_setup_teardown(a_configuration_is_held_against_the_tensor, start, stop),
        cmocka_unit_test_setup_teardown(no_allocation_that_fails_is_lost, start, stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
