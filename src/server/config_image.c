/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config_image.h"

#include "base/limits.h"

#include <math.h>
#include <stdlib.h>

#define KEYS                                                                                       \
    "input, layout, resize, color, orientation, width, height, short_side, scale, mean, std, pad " \
    "and max_pixels"

static enum gal_status fail_at(const char *file, const struct gal_yaml *node, const char *message,
                               struct gal_err *err)
{
    if (gal_str_is(node->key, "image"))
        gal_fail(err, GAL_INVALID, "image: %s", message);
    else
        gal_fail(err, GAL_INVALID, "image: %.*s: %s", GAL_STR_ARG(node->key), message);
    gal_err_place(err, "%s:%u", file, node->line);
    return GAL_INVALID;
}

/* Index of the word, `words` NULL-terminated; SIZE_MAX: none of them. */
static size_t find_word(const struct gal_yaml *node, const char *const *words)
{
    for (size_t i = 0; node->type == GAL_YAML_SCALAR && words[i] != NULL; i++)
        if (gal_str_is(node->scalar, words[i]))
            return i;
    return SIZE_MAX;
}

static bool read_number(const struct gal_yaml *node, double *out)
{
    char *end = NULL;

    if (node->type != GAL_YAML_SCALAR || node->scalar.n == 0)
        return false;
    *out = strtod(node->scalar.p, &end);
    if (*end == '/') { /* 1/255 */
        const char *below = end + 1;
        double by = strtod(below, &end);

        if (end == below || by == 0)
            return false;
        *out /= by;
    }
    return *end == '\0' && isfinite(*out);
}

/* One number for all channels, or a list of one a channel. Returns how many were told, 0: wrong. */
static size_t read_channels(const struct gal_yaml *node, double out[3])
{
    size_t n = 0;

    if (node->type == GAL_YAML_SCALAR) {
        if (!read_number(node, &out[0]))
            return 0;
        out[1] = out[2] = out[0];
        return 1;
    }
    if (node->type != GAL_YAML_LIST)
        return 0;
    for (const struct gal_yaml *item = node->child; item != NULL; item = item->next, n++)
        if (n == 3 || !read_number(item, &out[n]))
            return 0;
    if (n == 1)
        out[1] = out[2] = out[0];
    return n == 1 || n == 3 ? n : 0;
}

static bool read_count(const struct gal_yaml *node, uint64_t most, uint64_t *out)
{
    return node->type == GAL_YAML_SCALAR && gal_str_u64(node->scalar, out) == GAL_OK && *out >= 1 &&
           *out <= most;
}

static const char *read_word(const struct gal_yaml *n, struct gal_image_config *c)
{
    static const char *const layouts[] = {"NCHW", "NHWC", NULL};
    static const char *const fits[] = {"stretch", "fit", "crop", "exact", NULL};
    static const char *const colors[] = {"rgb", "bgr", "gray", NULL};
    static const char *const turns[] = {"exif", "ignore", NULL};
    size_t i;

    if (gal_str_is(n->key, "layout")) {
        i = find_word(n, layouts);
        c->layout = (enum gal_image_layout)(i != SIZE_MAX ? i : 0);
        return i != SIZE_MAX ? NULL : "must be NCHW or NHWC";
    }
    if (gal_str_is(n->key, "resize")) {
        i = find_word(n, fits);
        c->fit = (enum gal_image_fit)(i != SIZE_MAX ? i : 0);
        return i != SIZE_MAX ? NULL : "must be stretch, fit, crop or exact";
    }
    if (gal_str_is(n->key, "color")) {
        i = find_word(n, colors);
        c->color = (enum gal_image_color)(i != SIZE_MAX ? i : 0);
        return i != SIZE_MAX ? NULL : "must be rgb, bgr or gray";
    }
    i = find_word(n, turns);
    c->as_stored = i == 1;
    return i != SIZE_MAX ? NULL : "must be exif or ignore";
}

static const char *read_size(const struct gal_yaml *n, struct gal_image_config *c)
{
    size_t *to = gal_str_is(n->key, "width")    ? &c->width
                 : gal_str_is(n->key, "height") ? &c->height
                                                : &c->short_side;
    uint64_t v;

    if (!read_count(n, GAL_IMAGE_SIDE_MAX, &v))
        return "must be a whole number of pixels from 1 to 65500";
    *to = (size_t)v;
    return NULL;
}

static const char *read_amount(const struct gal_yaml *n, struct gal_image_config *c)
{
    uint64_t pad;

    if (gal_str_is(n->key, "scale"))
        return read_number(n, &c->scale) && c->scale > 0 ? NULL
                                                         : "must be a number above 0, as 1/255";
    if (gal_str_is(n->key, "mean"))
        return read_channels(n, c->mean) > 0 ? NULL : "must be a number, or a list of three";
    if (gal_str_is(n->key, "std"))
        return read_channels(n, c->std) > 0 && c->std[0] > 0 && c->std[1] > 0 && c->std[2] > 0
                   ? NULL
                   : "must be a number above 0, or a list of three";
    if (n->type != GAL_YAML_SCALAR || gal_str_u64(n->scalar, &pad) != GAL_OK || pad > 255)
        return "must be a whole number from 0 to 255";
    c->pad = (unsigned)pad;
    return NULL;
}

/* What is wrong with the entry; NULL: nothing. */
static const char *read_entry(const struct gal_yaml *n, struct gal_arena *arena,
                              struct gal_image_config *c)
{
    if (gal_str_is(n->key, "layout") || gal_str_is(n->key, "resize") ||
        gal_str_is(n->key, "color") || gal_str_is(n->key, "orientation"))
        return read_word(n, c);
    if (gal_str_is(n->key, "width") || gal_str_is(n->key, "height") ||
        gal_str_is(n->key, "short_side"))
        return read_size(n, c);
    if (gal_str_is(n->key, "scale") || gal_str_is(n->key, "mean") || gal_str_is(n->key, "std") ||
        gal_str_is(n->key, "pad"))
        return read_amount(n, c);
    if (gal_str_is(n->key, "max_pixels"))
        return read_count(n, GAL_IMAGE_PIXELS_MOST, &c->pixels_max)
                   ? NULL
                   : "must be a whole number from 1 to 268435456";
    if (!gal_str_is(n->key, "input"))
        return "unknown key; there are " KEYS;
    if (n->type != GAL_YAML_SCALAR || n->scalar.n == 0)
        return "must be the name of an input";
    c->input = (struct gal_str){gal_arena_strdup(arena, n->scalar), n->scalar.n};
    return c->input.p != NULL ? NULL : "no memory for it";
}

enum gal_status gal_config_read_image(const struct gal_yaml *node, const char *file,
                                      struct gal_arena *arena, struct gal_image_config *out,
                                      struct gal_err *err)
{
    *out = (struct gal_image_config){.on = true};
    if (node->type != GAL_YAML_MAP)
        return fail_at(file, node, "must be a mapping of " KEYS, err);
    for (const struct gal_yaml *n = node->child; n != NULL; n = n->next) {
        const char *wrong = read_entry(n, arena, out);

        if (wrong != NULL)
            return fail_at(file, n, wrong, err);
    }
    if (out->short_side != 0 && out->fit != GAL_IMAGE_CROP)
        return fail_at(file, node, "short_side is for resize: crop", err);
    return GAL_OK;
}
