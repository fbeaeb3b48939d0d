/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/dtype.h"

struct row {
    const char *name;
    size_t size;
    bool is_float, is_int;
};

static const struct row rows[GAL_DT_COUNT] = {
    [GAL_DT_NONE] = {"NONE", 0, false, false},
    [GAL_DT_BOOL] = {"BOOL", 1, false, false},
    [GAL_DT_UINT8] = {"UINT8", 1, false, true},
    [GAL_DT_UINT16] = {"UINT16", 2, false, true},
    [GAL_DT_UINT32] = {"UINT32", 4, false, true},
    [GAL_DT_UINT64] = {"UINT64", 8, false, true},
    [GAL_DT_INT8] = {"INT8", 1, false, true},
    [GAL_DT_INT16] = {"INT16", 2, false, true},
    [GAL_DT_INT32] = {"INT32", 4, false, true},
    [GAL_DT_INT64] = {"INT64", 8, false, true},
    [GAL_DT_FP16] = {"FP16", 2, true, false},
    [GAL_DT_FP32] = {"FP32", 4, true, false},
    [GAL_DT_FP64] = {"FP64", 8, true, false},
    [GAL_DT_BYTES] = {"BYTES", sizeof(struct gal_str), false, false},
    [GAL_DT_BF16] = {"BF16", 2, true, false},
};

static const struct row *row_of(enum gal_dtype t)
{
    GAL_ASSERT((unsigned)t < GAL_DT_COUNT);
    return &rows[t];
}

const char *gal_dtype_name(enum gal_dtype t)
{
    return row_of(t)->name;
}

enum gal_dtype gal_dtype_parse(struct gal_str name)
{
    for (int t = GAL_DT_NONE + 1; t < GAL_DT_COUNT; t++)
        if (name.n > 0 && name.p[0] == rows[t].name[0] && gal_str_is(name, rows[t].name))
            return (enum gal_dtype)t;
    return GAL_DT_NONE;
}

size_t gal_dtype_size(enum gal_dtype t)
{
    return row_of(t)->size;
}

bool gal_dtype_is_float(enum gal_dtype t)
{
    return row_of(t)->is_float;
}

bool gal_dtype_is_int(enum gal_dtype t)
{
    return row_of(t)->is_int;
}
