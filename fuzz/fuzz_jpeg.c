/* SPDX-License-Identifier: Apache-2.0 */
/* A JPEG file through its decoder and on into a tensor. Oracle: what is decoded has the pixels that
 * it says, every one of them can be read, and what is refused has words. */
#include "image/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PIXELS_MAX (1u << 18)

static void use(struct gal_str file, struct gal_arena *arena)
{
    static const struct gal_image_config config = {
        .on = true, .fit = GAL_IMAGE_FIT, .pixels_max = PIXELS_MAX};
    static const int64_t shape[] = {1, 3, 7, 5};
    struct gal_image_plan plan;
    struct gal_image image;
    struct gal_tensor t;
    struct gal_err err;
    uint64_t sum = 0;

    gal_err_clear(&err);
    if (gal_image_decode_jpeg(file, PIXELS_MAX, arena, &image, &err) != GAL_OK) {
        GAL_ASSERT(err.message[0] != '\0');
        return;
    }
    GAL_ASSERT(image.width * image.height <= PIXELS_MAX);
    for (size_t i = 0; i < image.width * image.height * image.channels; i++)
        sum += image.pixels[i];
    GAL_ASSERT(sum <= 255ull * 3 * PIXELS_MAX);
    GAL_ASSERT(gal_image_plan(&config, GAL_DT_FP32, shape, 4, &plan, &err) == GAL_OK);
    if (gal_image_type(file) != GAL_IMAGE_NONE)
        GAL_ASSERT(gal_image_to_tensor(&plan, file, arena, &t, &err) == GAL_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gal_arena arena;

    if (size > 65536)
        return 0;
    gal_arena_init(&arena, 4096, 0, 64 << 20);
    use((struct gal_str){(const char *)data, size}, &arena);
    gal_arena_release(&arena);
    return 0;
}
