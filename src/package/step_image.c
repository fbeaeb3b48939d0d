/* SPDX-License-Identifier: Apache-2.0 */
/* The step image: encoded pictures to rows of one size. */
#include "package/step_impl.h"

#include "base/limits.h"
#include "image/plan.h"

struct picture {
    struct gal_image_config config;
    struct gal_image_plan plan;
    size_t bytes; /* of a row */
};

static enum gal_status run_image(const struct gal_step *s, struct gal_step_run *r)
{
    const struct picture *p = s->state;
    const struct gal_tensor *t = gal_step_in(r, s->in);
    char *out = gal_step_out(r, s->out, t);

    if (out == NULL)
        return gal_step_no_out(r);
    for (size_t i = 0; i < r->rows; i++) {
        struct gal_arena_mark mark = gal_arena_mark(r->arena);
        struct gal_tensor row;
        struct gal_err why;
        enum gal_status st;

        gal_err_clear(&why);
        st = gal_image_to_tensor(&p->plan, ((const struct gal_str *)t->data)[i], r->arena, &row,
                                 &why);
        if (st == GAL_OK)
            memcpy(out + i * p->bytes, row.data, p->bytes);
        gal_arena_rewind(r->arena, mark); /* pixels of one picture at a time */
        if (st == GAL_OK)
            continue;
        (void)gal_step_fail_at(r, s->in, i, "%s", why.message);
        if (r->err != NULL)
            r->err->code = st;
        return st;
    }
    return GAL_OK;
}

static enum gal_status read_size(struct gal_step_compiler *c, const char *name, size_t *out)
{
    int64_t v = (int64_t)*out;

    if (!gal_step_integer(c, name, &v))
        return GAL_OK;
    if (v < 1 || v > (int64_t)GAL_IMAGE_SIDE_MAX)
        return gal_step_refuse(c, gal_step_line(c, name), "image: `%s` is from 1 to %u pixels",
                               name, GAL_IMAGE_SIDE_MAX);
    *out = (size_t)v;
    return GAL_OK;
}

/* One number for all channels, or one each. */
static enum gal_status read_channels(struct gal_step_compiler *c, const char *name, size_t channels,
                                     double out[3])
{
    double *v;
    size_t count;
    enum gal_status st = gal_step_numbers(c, name, &v, &count);

    if (st != GAL_OK || v == NULL)
        return st;
    if (count != 1 && count != channels)
        return gal_step_refuse(c, gal_step_line(c, name),
                               "image: `%s` has %zu numbers for %zu "
                               "channels",
                               name, count, channels);
    for (size_t i = 0; i < channels; i++)
        out[i] = v[count == 1 ? 0 : i];
    return GAL_OK;
}

static enum gal_status read_config(struct gal_step_compiler *c, struct gal_image_config *g)
{
    size_t channels;
    int64_t pad = 0;
    enum gal_status st;

    *g = (struct gal_image_config){
        .on = true,
        .layout = (enum gal_image_layout)gal_step_choice(c, "layout", GAL_IMAGE_NCHW),
        .fit = (enum gal_image_fit)gal_step_choice(c, "fit", GAL_IMAGE_STRETCH),
        .color = (enum gal_image_color)gal_step_choice(c, "color", GAL_IMAGE_RGB),
        .as_stored = gal_step_choice(c, "orientation", 0) == 1,
    };
    channels = g->color == GAL_IMAGE_GRAY ? 1 : 3;
    (void)gal_step_number(c, "scale", &g->scale);
    (void)gal_step_integer(c, "pad", &pad);
    st = read_size(c, "width", &g->width);
    if (st == GAL_OK)
        st = read_size(c, "height", &g->height);
    if (st == GAL_OK)
        st = read_size(c, "short_side", &g->short_side);
    if (st == GAL_OK)
        st = read_channels(c, "mean", channels, g->mean);
    if (st == GAL_OK)
        st = read_channels(c, "std", channels, g->std);
    if (st == GAL_OK && (pad < 0 || pad > 255))
        st = gal_step_refuse(c, gal_step_line(c, "pad"), "image: `pad` is from 0 to 255");
    if (st == GAL_OK && (g->std[0] < 0 || g->std[1] < 0 || g->std[2] < 0))
        st = gal_step_refuse(c, gal_step_line(c, "std"), "image: `std` is more than 0");
    g->pad = (unsigned)pad;
    return st;
}

enum gal_status gal_step_make_image(struct gal_step_compiler *c)
{
    struct picture *p = gal_arena_small(c->arena, sizeof(*p));
    struct gal_step step = {.run = run_image, .out_more = SIZE_MAX, .state = p};
    struct gal_column column = {.rank = 3, .dtype = gal_step_dtype(c, GAL_DT_FP32)};
    int64_t shape[3] = {-1, -1, -1};
    struct gal_err why;
    enum gal_status st = gal_step_source(c, &step.in);

    if (p == NULL)
        return gal_step_no_memory(c->arena, c->err);
    if (st == GAL_OK && gal_step_column(c, step.in)->dtype != GAL_DT_BYTES)
        st = gal_step_refuse(c, c->line, "image takes an image, and '%.*s' is %s",
                             GAL_STR_SHOWN(gal_step_column(c, step.in)->name),
                             gal_dtype_name(gal_step_column(c, step.in)->dtype));
    if (st == GAL_OK)
        st = gal_step_want_single(c, step.in);
    if (st == GAL_OK)
        st = read_config(c, &p->config);
    if (st != GAL_OK)
        return st;
    gal_err_clear(&why);
    if (gal_image_plan(&p->config, column.dtype, shape, 3, &p->plan, &why) != GAL_OK)
        return gal_step_refuse(c, c->line, "image: %s", why.message);
    shape[p->config.layout == GAL_IMAGE_NCHW ? 0 : 2] = (int64_t)p->plan.channels;
    shape[p->config.layout == GAL_IMAGE_NCHW ? 1 : 0] = (int64_t)p->plan.height;
    shape[p->config.layout == GAL_IMAGE_NCHW ? 2 : 1] = (int64_t)p->plan.width;
    p->bytes = p->plan.channels * p->plan.height * p->plan.width * gal_dtype_size(column.dtype);
    column.name = gal_step_to(c, step.in);
    column.shape = shape;
    return gal_step_finish(c, &column, &step);
}
