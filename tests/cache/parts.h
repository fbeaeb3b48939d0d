/* SPDX-License-Identifier: Apache-2.0 */
/* Values and keys that the tests of the cache are made of. Static storage of the caller's. */
#ifndef TESTS_CACHE_PARTS_H
#define TESTS_CACHE_PARTS_H

#include "cache/cache.h"

/* A float tensor [n] whose elements are first, first + 1, ...; at most PART_FLOATS. */
#define PART_FLOATS 64
struct part {
    struct gal_value value;
    int64_t shape[1];
    float data[PART_FLOATS];
};

static inline const struct gal_value *part_make(struct part *p, float first, size_t n)
{
    p->shape[0] = (int64_t)n;
    for (size_t i = 0; i < n; i++)
        p->data[i] = first + (float)i;
    p->value = (struct gal_value){
        .kind = GAL_KIND_TENSOR,
        .tensor = {GAL_STR("y"), GAL_DT_FP32, 1, p->shape, n, p->data},
    };
    return &p->value;
}

static inline bool part_is(const struct gal_value *v, float first, size_t n)
{
    const float *data = v->tensor.data;

    if (v->kind != GAL_KIND_TENSOR || v->handle != NULL || v->tensor.dtype != GAL_DT_FP32 ||
        v->tensor.rank != 1 || v->tensor.count != n || v->tensor.shape[0] != (int64_t)n ||
        !gal_str_is(v->tensor.name, "y"))
        return false;
    for (size_t i = 0; i < n; i++)
        if (data[i] != first + (float)i)
            return false;
    return true;
}

#endif
