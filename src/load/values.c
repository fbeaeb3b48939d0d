/* SPDX-License-Identifier: Apache-2.0 */
#include "load/values.h"

#define TEXT "a"

static enum gal_status set_shape(struct gal_load_tensor *t, const struct gal_load_input *in,
                                 const int64_t *shape, size_t rank, uint64_t rows,
                                 struct gal_err *err)
{
    bool given = shape != NULL;

    t->rank = given ? rank : in->rank;
    if (t->rank)
        memcpy(t->shape, given ? shape : in->shape, t->rank * sizeof t->shape[0]);
    if (t->rank && rows && (in->rank == 0 || in->shape[0] == -1))
        t->shape[0] = (int64_t)rows;
    else if (t->rank && t->shape[0] == -1)
        t->shape[0] = 1;
    for (size_t i = 0; i < t->rank; i++) {
        if (t->shape[i] != -1)
            continue;
        (void)gal_fail(err, GAL_INVALID, "input %.*s has an open size at place %zu",
                       GAL_STR_ARG(in->name), i);
        gal_err_hint(err, "say it: --shape %.*s:1x128, all sizes with an x between",
                     GAL_STR_ARG(in->name));
        return GAL_INVALID;
    }
    return GAL_OK;
}

enum gal_status gal_values_make(const struct gal_load_input *in, const int64_t *shape, size_t rank,
                                uint64_t rows, struct gal_random *random, struct gal_arena *arena,
                                struct gal_load_tensor *out, struct gal_err *err)
{
    enum gal_status status;

    *out = (struct gal_load_tensor){.name = in->name, .dtype = in->dtype};
    status = set_shape(out, in, shape, rank, rows, err);
    if (status == GAL_OK)
        status = gal_shape_count(out->shape, out->rank, out->dtype, &out->count, err);
    if (status != GAL_OK || out->dtype == GAL_DT_BYTES)
        return status;
    out->values = gal_arena_array(arena, out->count, sizeof *out->values);
    if (!out->values)
        return gal_arena_fail(arena, out->count * sizeof *out->values, "made-up inputs", err);
    for (size_t i = 0; i < out->count; i++) {
        uint64_t r = gal_random_next(random) >> 32;
        out->values[i] = gal_dtype_is_float(out->dtype) ? ((double)(r % 20001) - 10000) / 10000
                                                        : (double)(r & 1);
    }
    return GAL_OK;
}

void gal_values_put_json(struct gal_buf *out, const struct gal_load_tensor *t, size_t index)
{
    if (t->dtype == GAL_DT_BYTES)
        gal_buf_puts(out, "\"" TEXT "\"");
    else if (t->dtype == GAL_DT_BOOL)
        gal_buf_puts(out, t->values[index] != 0 ? "true" : "false");
    else if (gal_dtype_is_float(t->dtype))
        gal_json_put_f32(out, (float)t->values[index]);
    else
        gal_json_put_i64(out, (int64_t)t->values[index]);
}

size_t gal_values_raw_size(const struct gal_load_tensor *t)
{
    return t->count * (t->dtype == GAL_DT_BYTES ? 4 + sizeof TEXT - 1 : gal_dtype_size(t->dtype));
}

static void put_u16(struct gal_buf *out, uint16_t v)
{
    gal_buf_put(out, &v, sizeof v);
}

static void put_float(struct gal_buf *out, enum gal_dtype dtype, double v)
{
    const float f = (float)v;

    if (dtype == GAL_DT_FP64)
        gal_buf_put(out, &v, sizeof v);
    else if (dtype == GAL_DT_FP32)
        gal_buf_put(out, &f, sizeof f);
    else
        put_u16(out, dtype == GAL_DT_FP16 ? gal_fp16_from_fp32(f) : gal_bf16_from_fp32(f));
}

void gal_values_put_raw(struct gal_buf *out, const struct gal_load_tensor *t)
{
    static const char text[] = {sizeof TEXT - 1, 0, 0, 0, TEXT[0]};

    for (size_t i = 0; i < t->count; i++) {
        if (t->dtype == GAL_DT_BYTES) {
            gal_buf_put(out, text, sizeof text);
        } else if (gal_dtype_is_float(t->dtype)) {
            put_float(out, t->dtype, t->values[i]);
        } else {
            uint64_t whole = (uint64_t)t->values[i]; /* 0 or 1: one layout for all widths */
            gal_buf_put(out, &whole, gal_dtype_size(t->dtype));
        }
    }
}
