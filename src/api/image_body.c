/* SPDX-License-Identifier: Apache-2.0 */
#include "api/image_body.h"

#include "api/media.h"
#include "model/image_port.h"

bool gal_image_is_type(struct gal_str type)
{
    struct gal_str kind = type;

    if (gal_str_ieq(type, GAL_STR("application/x-image")))
        return true;
    kind.n = kind.n < 6 ? kind.n : 6;
    return gal_str_ieq(kind, GAL_STR("image/"));
}

bool gal_image_is_body(const struct gal_exchange *x)
{
    struct gal_str parameters;

    return gal_image_is_type(gal_media_type(x->req->known[GAL_HDR_CONTENT_TYPE], &parameters));
}

enum gal_status gal_image_decode_body(struct gal_exchange *x, struct gal_infer *inf,
                                      struct gal_err *err)
{
    const struct gal_model *m = x->model;
    const struct gal_port *port;
    struct gal_image_plan plan;
    struct gal_tensor t;
    enum gal_status st;

    if (!m->config.image.on) {
        gal_fail(err, GAL_MEDIA_TYPE, "model '%.100s' takes no images", m->name);
        gal_err_hint(err, "give it an image block in galley's configuration, or send its tensors");
        return GAL_MEDIA_TYPE;
    }
    st = gal_image_port(&m->config.image, m->info, &port, err);
    if (st == GAL_OK)
        st = gal_image_plan(&m->config.image, port->dtype, port->shape, port->rank, &plan, err);
    if (st == GAL_OK)
        st = gal_image_to_tensor(&plan, x->body, &x->arena, &t, err);
    if (st != GAL_OK)
        return st;
    t.name = port->name;
    return gal_infer_set(x, inf, &t, err);
}
