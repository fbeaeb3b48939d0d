/* SPDX-License-Identifier: Apache-2.0 */
/* Requests without JSON: the body is the bytes of the model's only input. */
#include "api/oip.h"

/* The port's shape with its open sizes filled in for `bytes` bytes of data. */
static enum gal_status guess_shape(const struct gal_model *m, const struct gal_port *port,
                                   size_t bytes, int64_t *shape, struct gal_err *err)
{
    size_t open = 0, at = 0, row = gal_dtype_size(port->dtype);
    bool overflow = false;

    for (size_t i = 0; i < port->rank; i++)
        open += port->shape[i] < 0;
    for (size_t i = 0; i < port->rank; i++) {
        shape[i] = port->shape[i];
        if (shape[i] >= 0)
            overflow |= __builtin_mul_overflow(row, (size_t)shape[i], &row);
        else if (i == 0 && open > 1 && m->batch_dim)
            open--, shape[i] = 1;
        else
            at = i;
    }
    if (open > 1)
        return gal_fail(err, GAL_INVALID,
                        "the shape of the raw input '%s' can not be deduced because there is more "
                        "than one variable-sized dimension",
                        port->name.p);
    if (open == 0)
        return GAL_OK;
    if (port->dtype == GAL_DT_BYTES) {
        shape[at] = 1;
        return GAL_OK;
    }
    if (overflow || row == 0 || bytes == 0 || bytes % row != 0)
        return gal_fail(err, GAL_INVALID,
                        "the shape of the raw input '%s' can not be deduced: %zu bytes are no "
                        "multiple of %zu",
                        port->name.p, bytes, row);
    shape[at] = (int64_t)(bytes / row);
    return GAL_OK;
}

static enum gal_status raw_text(struct gal_tensor *t, struct gal_str body, struct gal_arena *arena,
                                struct gal_err *err)
{
    struct gal_str *text = gal_arena_small(arena, sizeof(*text));

    if (t->count != 1)
        return gal_fail(err, GAL_INVALID,
                        "for BYTES datatype raw input '%.*s', the model must have input shape [1]",
                        GAL_STR_ARG(t->name));
    if (text == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the raw input");
    *text = body;
    t->data = text;
    return GAL_OK;
}

enum gal_status gal_oip_decode_raw(const struct gal_model *m, struct gal_str body,
                                   struct gal_arena *arena, struct gal_oip_request *out,
                                   struct gal_err *err)
{
    const struct gal_port *port = m->info->inputs;
    struct gal_tensor *t = gal_arena_small(arena, sizeof(*t));
    enum gal_status st = GAL_OK;
    int64_t *shape;

    memset(out, 0, sizeof(*out));
    out->binary_output = true;
    if (m->info->input_count != 1)
        return gal_fail(err, GAL_INVALID,
                        "a raw request must only have 1 input to be deduced but model '%s' has %zu",
                        m->name, m->info->input_count);
    if (port->kind != GAL_KIND_TENSOR || !port->shape_known)
        return gal_fail(err, GAL_INVALID,
                        "the shape of the raw input '%s' can not be deduced: the "
                        "model does not tell it",
                        port->name.p);
    shape = gal_arena_small(arena, port->rank * sizeof(*shape));
    if (t == NULL || shape == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the raw input");
    *t = (struct gal_tensor){port->name, port->dtype, port->rank, shape, 0, NULL};
    st = guess_shape(m, port, body.n, shape, err);
    if (st == GAL_OK)
        st = gal_shape_count(shape, t->rank, t->dtype, &t->count, err);
    if (st == GAL_OK)
        st = t->dtype == GAL_DT_BYTES ? raw_text(t, body, arena, err)
                                      : gal_tensor_from_raw(t, body, arena, err);
    out->inputs = t;
    out->input_count = 1;
    return st;
}
