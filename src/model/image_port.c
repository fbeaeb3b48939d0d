/* SPDX-License-Identifier: Apache-2.0 */
#include "model/image_port.h"

#include "text/json.h"

enum gal_status gal_image_port(const struct gal_image_config *c, const struct gal_model_info *info,
                               const struct gal_port **out, struct gal_err *err)
{
    const struct gal_port *found = NULL;
    size_t required = 0;

    for (size_t i = 0; i < info->input_count; i++) {
        const struct gal_port *p = &info->inputs[i];

        required += !p->optional;
        if (c->input.n > 0 ? gal_str_eq(p->name, c->input) : !p->optional)
            found = p;
    }
    if (found == NULL && c->input.n > 0)
        return gal_fail(err, GAL_INVALID, "image: the model has no input '%.*s'",
                        GAL_STR_ARG(c->input));
    if (found == NULL || required > (found->optional ? 0u : 1u))
        return gal_fail(err, GAL_INVALID,
                        "image: an image fills one input, and the model has %zu that must be given",
                        required);
    if (found->kind != GAL_KIND_TENSOR || !found->shape_known)
        return gal_fail(err, GAL_INVALID, "image: the input '%s' is no tensor of a known rank",
                        found->name.p);
    *out = found;
    return GAL_OK;
}

enum gal_status gal_image_check(const struct gal_image_config *c, const struct gal_model_info *info,
                                struct gal_err *err)
{
    const struct gal_port *port = NULL;
    struct gal_image_plan plan;
    struct gal_err why;
    enum gal_status st;

    if (!c->on)
        return GAL_OK;
    st = gal_image_port(c, info, &port, err);
    if (st != GAL_OK || port == NULL)
        return st;
    gal_err_clear(&why);
    st = gal_image_plan(c, port->dtype, port->shape, port->rank, &plan, &why);
    return st == GAL_OK ? st : gal_fail(err, st, "image: %s", why.message);
}

static void put_three(struct gal_buf *out, const char *key, const double v[3])
{
    gal_json_put_key(out, key);
    gal_buf_putc(out, '[');
    for (size_t i = 0; i < 3; i++) {
        gal_buf_puts(out, i > 0 ? "," : "");
        gal_json_put_f64(out, v[i]);
    }
    gal_buf_puts(out, "],");
}

void gal_image_config_json(struct gal_buf *out, const struct gal_image_config *c)
{
    static const char *const layouts[] = {"NCHW", "NHWC"}, *const colors[] = {"rgb", "bgr", "gray"};
    static const char *const fits[] = {"stretch", "fit", "crop", "exact"};

    if (!c->on) {
        gal_buf_puts(out, "null");
        return;
    }
    gal_buf_puts(out, "{\"input\":");
    gal_json_put_str(out, c->input);
    gal_buf_printf(
        out, ",\"layout\":\"%s\",\"resize\":\"%s\",\"color\":\"%s\",\"orientation\":\"%s\",",
        layouts[c->layout], fits[c->fit], colors[c->color], c->as_stored ? "ignore" : "exif");
    gal_buf_printf(out, "\"width\":%zu,\"height\":%zu,\"short_side\":%zu,\"pad\":%u,", c->width,
                   c->height, c->short_side, c->pad);
    put_three(out, "mean", c->mean);
    put_three(out, "std", c->std);
    gal_json_put_key(out, "scale");
    gal_json_put_f64(out, c->scale);
    gal_buf_puts(out, ",\"max_pixels\":");
    gal_buf_put_u64(out, c->pixels_max);
    gal_buf_putc(out, '}');
}
