/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/key.h"

#define NUMBER_BYTES sizeof(uint32_t)

static bool add(size_t *sum, size_t n)
{
    return !__builtin_add_overflow(*sum, n, sum);
}

static bool add_data(const struct gal_tensor *t, size_t *sum)
{
    size_t bytes;

    if (t->dtype != GAL_DT_BYTES)
        return !__builtin_mul_overflow(t->count, gal_dtype_size(t->dtype), &bytes) &&
               add(sum, bytes);
    for (size_t i = 0; i < t->count; i++)
        if (!add(sum, sizeof(uint64_t)) || !add(sum, ((const struct gal_str *)t->data)[i].n))
            return false;
    return true;
}

size_t gal_key_size(const struct gal_key_parts *parts)
{
    size_t sum = NUMBER_BYTES + parts->output_count * NUMBER_BYTES;

    for (size_t i = 0; i < parts->input_count; i++) {
        const struct gal_value *v = &parts->inputs[i];

        if (!add(&sum, NUMBER_BYTES))
            return 0;
        if (v->kind == GAL_KIND_NONE)
            continue;
        if (v->kind != GAL_KIND_TENSOR || gal_dtype_size(v->tensor.dtype) == 0 ||
            !add(&sum, 2 * NUMBER_BYTES + v->tensor.rank * sizeof(int64_t) + sizeof(uint64_t)) ||
            !add_data(&v->tensor, &sum))
            return 0;
    }
    return sum;
}

static char *put(char *to, const void *from, size_t n)
{
    if (n > 0)
        memcpy(to, from, n);
    return to + n;
}

static char *put_u32(char *to, size_t v)
{
    uint32_t n = (uint32_t)v;
    return put(to, &n, sizeof(n));
}

static char *put_u64(char *to, uint64_t v)
{
    return put(to, &v, sizeof(v));
}

static char *put_tensor(char *to, const struct gal_tensor *t)
{
    to = put_u32(to, t->dtype);
    to = put_u32(to, t->rank);
    to = put(to, t->shape, t->rank * sizeof(*t->shape));
    to = put_u64(to, t->count);
    if (t->dtype != GAL_DT_BYTES)
        return put(to, t->data, t->count * gal_dtype_size(t->dtype));
    for (size_t i = 0; i < t->count; i++) {
        const struct gal_str s = ((const struct gal_str *)t->data)[i];
        to = put_u64(to, s.n);
        to = put(to, s.p, s.n);
    }
    return to;
}

void gal_key_write(const struct gal_key_parts *parts, char *out)
{
    char *to = put_u32(out, parts->output_count);

    for (size_t i = 0; i < parts->output_count; i++)
        to = put_u32(to, parts->wanted[i]);
    for (size_t i = 0; i < parts->input_count; i++) {
        to = put_u32(to, parts->inputs[i].kind);
        if (parts->inputs[i].kind == GAL_KIND_TENSOR)
            to = put_tensor(to, &parts->inputs[i].tensor);
    }
}
