/* SPDX-License-Identifier: Apache-2.0 */
/* Class scores of classifiers exported with ZipMap: a sequence of maps, one a row. */
#include "api/infer.h"

static bool same_keys(const struct gal_tensor *a, const struct gal_tensor *b)
{
    const struct gal_str *x = a->data, *y = b->data;

    if (a->dtype != b->dtype || a->count != b->count)
        return false;
    if (a->dtype != GAL_DT_BYTES)
        return memcmp(a->data, b->data, a->count * gal_dtype_size(a->dtype)) == 0;
    for (size_t i = 0; i < a->count; i++)
        if (!gal_str_eq(x[i], y[i]))
            return false;
    return true;
}

static bool is_map(const struct gal_value *v)
{
    return v->kind == GAL_KIND_MAP && v->count == 2 &&
           v->items[0].tensor.count == v->items[1].tensor.count;
}

enum gal_status gal_value_zipmap(const struct gal_value *v, struct gal_arena *arena,
                                 struct gal_tensor *labels, struct gal_tensor *scores,
                                 struct gal_err *err)
{
    const struct gal_value *maps = v->kind == GAL_KIND_MAP ? v : v->items;
    size_t rows = v->kind == GAL_KIND_MAP ? 1 : v->count;
    const struct gal_tensor *keys, *first;
    size_t row_bytes;
    int64_t *shape;
    char *data;

    if (rows == 0 || !is_map(&maps[0]))
        return gal_fail(err, GAL_INVALID, "output '%.*s' is no sequence of maps",
                        GAL_STR_ARG(v->tensor.name));
    keys = &maps[0].items[0].tensor;
    first = &maps[0].items[1].tensor;
    row_bytes = first->count * gal_dtype_size(first->dtype);
    shape = gal_arena_small(arena, 2 * sizeof(*shape));
    data = gal_arena_array(arena, rows, row_bytes > 0 ? row_bytes : 1);
    if (shape == NULL || data == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the scores of %zu rows", rows);
    for (size_t i = 0; i < rows; i++) {
        if (!is_map(&maps[i]) || !same_keys(keys, &maps[i].items[0].tensor) ||
            maps[i].items[1].tensor.dtype != first->dtype)
            return gal_fail(err, GAL_INVALID,
                            "output '%.*s': the maps of rows 0 and %zu differ in "
                            "their keys",
                            GAL_STR_ARG(v->tensor.name), i);
        memcpy(data + i * row_bytes, maps[i].items[1].tensor.data, row_bytes);
    }
    shape[0] = (int64_t)rows;
    shape[1] = (int64_t)first->count;
    *labels = *keys;
    *scores = (struct gal_tensor){.name = v->tensor.name,
                                  .dtype = first->dtype,
                                  .rank = 2,
                                  .shape = shape,
                                  .count = rows * first->count,
                                  .data = data};
    return GAL_OK;
}
