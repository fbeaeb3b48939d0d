/* SPDX-License-Identifier: Apache-2.0 */
#include "package/cast.h"

#include <inttypes.h>
#include <math.h>

bool gal_cast_may(enum gal_dtype from, enum gal_dtype to)
{
    if (from == to)
        return true;
    if (from == GAL_DT_BYTES || to == GAL_DT_BYTES || from == GAL_DT_NONE || to == GAL_DT_NONE)
        return false;
    return to != GAL_DT_BOOL;
}

/* --- reading an element --- */

/* Of a whole-number tensor, exact; UINT64 beyond INT64's range: false. */
static bool whole_at(const struct gal_tensor *t, size_t i, int64_t *out)
{
    if (t->dtype == GAL_DT_INT64) {
        *out = ((const int64_t *)t->data)[i];
        return true;
    }
    if (t->dtype == GAL_DT_UINT64) {
        uint64_t v = ((const uint64_t *)t->data)[i];
        *out = (int64_t)v;
        return v <= INT64_MAX;
    }
    double v = gal_tensor_number(t, i);
    if (!(v >= -9223372036854775808.0 && v < 9223372036854775808.0) || v != trunc(v))
        return false;
    *out = (int64_t)v;
    return true;
}

/* --- writing one --- */

static bool put_whole(enum gal_dtype to, void *data, size_t i, int64_t v)
{
    switch (to) {
    case GAL_DT_INT64:
        ((int64_t *)data)[i] = v;
        return true;
    case GAL_DT_INT32:
        ((int32_t *)data)[i] = (int32_t)v;
        return v >= INT32_MIN && v <= INT32_MAX;
    case GAL_DT_INT16:
        ((int16_t *)data)[i] = (int16_t)v;
        return v >= INT16_MIN && v <= INT16_MAX;
    case GAL_DT_INT8:
        ((int8_t *)data)[i] = (int8_t)v;
        return v >= INT8_MIN && v <= INT8_MAX;
    case GAL_DT_UINT64:
        ((uint64_t *)data)[i] = (uint64_t)v;
        return v >= 0;
    case GAL_DT_UINT32:
        ((uint32_t *)data)[i] = (uint32_t)v;
        return v >= 0 && v <= UINT32_MAX;
    case GAL_DT_UINT16:
        ((uint16_t *)data)[i] = (uint16_t)v;
        return v >= 0 && v <= UINT16_MAX;
    default: /* UINT8 */
        ((uint8_t *)data)[i] = (uint8_t)v;
        return v >= 0 && v <= UINT8_MAX;
    }
}

static void put_float(enum gal_dtype to, void *data, size_t i, double v)
{
    switch (to) {
    case GAL_DT_FP64:
        ((double *)data)[i] = v;
        break;
    case GAL_DT_FP16:
        ((uint16_t *)data)[i] = gal_fp16_from_fp64(v);
        break;
    case GAL_DT_BF16:
        ((uint16_t *)data)[i] = gal_bf16_from_fp64(v);
        break;
    default: /* FP32 */
        ((float *)data)[i] = (float)v;
        break;
    }
}

void gal_cast_copy(const struct gal_tensor *t, size_t from, size_t count, enum gal_dtype to,
                   void *out, size_t out_at)
{
    if (t->dtype == to) {
        size_t size = gal_dtype_size(to);
        memcpy((char *)out + out_at * size, (const char *)t->data + from * size, count * size);
        return;
    }
    for (size_t i = 0; i < count; i++)
        put_float(to, out, out_at + i, gal_tensor_number(t, from + i));
}

static enum gal_status to_whole(const struct gal_tensor *t, enum gal_dtype to, void *data,
                                struct gal_err *err)
{
    int64_t v;

    for (size_t i = 0; i < t->count; i++) {
        if (!whole_at(t, i, &v) || !put_whole(to, data, i, v))
            return gal_fail(err, GAL_INVALID, "%.*s[%zu] is %g, which the model cannot take as %s",
                            GAL_STR_SHOWN(t->name), i, gal_tensor_number(t, i), gal_dtype_name(to));
    }
    return GAL_OK;
}

enum gal_status gal_cast(struct gal_tensor *t, enum gal_dtype to, struct gal_arena *arena,
                         struct gal_err *err)
{
    enum gal_status status = GAL_OK;

    if (t->dtype == to)
        return GAL_OK;
    void *data = gal_arena_array(arena, t->count, gal_dtype_size(to));
    if (!data)
        return gal_arena_fail(arena, t->count * gal_dtype_size(to), "a tensor", err);
    if (gal_dtype_is_float(to))
        gal_cast_copy(t, 0, t->count, to, data, 0);
    else
        status = to_whole(t, to, data, err);
    t->dtype = to;
    t->data = data;
    return status;
}
