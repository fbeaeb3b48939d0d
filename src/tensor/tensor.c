/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/tensor.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "the binary layout is memory's layout; a big-endian port swaps here");

#define LENGTH_BYTES 4 /* of a BYTES element's length */

enum gal_status gal_shape_count(const int64_t *shape, size_t rank, enum gal_dtype t, size_t *count,
                                struct gal_err *err)
{
    size_t product = 1;
    bool empty = false, overflow = false;
    for (size_t i = 0; i < rank; i++) {
        if (shape[i] < 0)
            return gal_fail(err, GAL_INVALID, "dimension %zu is negative: %" PRId64, i, shape[i]);
        /* A zero anywhere makes the product zero, however large the others are. */
        empty |= shape[i] == 0;
        overflow |= __builtin_mul_overflow(product, (uint64_t)shape[i], &product);
    }
    size_t bytes;
    if (!empty && (overflow || __builtin_mul_overflow(product, gal_dtype_size(t), &bytes))) {
        char text[128];
        return gal_fail(err, GAL_TOO_LARGE, "shape %s is too large",
                        gal_shape_format(shape, rank, text, sizeof text));
    }
    *count = empty ? 0 : product;
    return GAL_OK;
}

bool gal_shape_fits(const int64_t *shape, size_t rank, const int64_t *spec, size_t spec_rank)
{
    if (rank != spec_rank)
        return false;
    for (size_t i = 0; i < rank; i++)
        if (spec[i] != -1 && spec[i] != shape[i])
            return false;
    return true;
}

char *gal_shape_format(const int64_t *shape, size_t rank, char *out, size_t size)
{
    if (size == 0)
        return out;
    char text[24]; /* a comma, 20 characters, a bracket, a NUL */
    size_t n = 0;
    for (size_t i = 0; i <= rank; i++) {
        char *end = text;
        if (i == 0)
            *end++ = '[';
        else if (i < rank)
            *end++ = ',';
        if (i < rank)
            end = gal_i64_write(end, shape[i]);
        else
            *end++ = ']';
        size_t bytes = (size_t)(end - text);
        if (bytes >= size - n)
            bytes = size - n - 1;
        memcpy(out + n, text, bytes);
        n += bytes;
    }
    out[n] = '\0';
    return out;
}

static enum gal_status fail_size(const struct gal_tensor *t, size_t want, size_t got,
                                 struct gal_err *err)
{
    return gal_fail(err, GAL_INVALID,
                    "tensor '%.*s': %zu bytes of binary data expected (%zu elements of %s), got "
                    "%zu",
                    GAL_STR_ARG(t->name), want, t->count, gal_dtype_name(t->dtype), got);
}

static uint32_t length_at(const char *p)
{
    uint32_t n;
    memcpy(&n, p, sizeof n);
    return n;
}

static enum gal_status bytes_from_raw(struct gal_tensor *t, struct gal_str raw,
                                      struct gal_arena *arena, struct gal_err *err)
{
    /* Looked at before memory is taken: each element has its length at least. */
    if (t->count > raw.n / LENGTH_BYTES)
        return gal_fail(err, GAL_INVALID,
                        "tensor '%.*s': %zu elements of BYTES take %d bytes each at least, got %zu "
                        "bytes in all",
                        GAL_STR_ARG(t->name), t->count, LENGTH_BYTES, raw.n);
    struct gal_str *items = gal_arena_array(arena, t->count, sizeof *items);
    if (!items)
        return gal_arena_fail(arena, t->count * sizeof *items, "tensor data", err);
    size_t at = 0;
    for (size_t i = 0; i < t->count; i++) {
        if (raw.n - at < LENGTH_BYTES || length_at(raw.p + at) > raw.n - at - LENGTH_BYTES)
            return gal_fail(err, GAL_INVALID,
                            "tensor '%.*s': element %zu of BYTES passes the end of the %zu bytes "
                            "of binary data",
                            GAL_STR_ARG(t->name), i, raw.n);
        items[i] = (struct gal_str){raw.p + at + LENGTH_BYTES, length_at(raw.p + at)};
        at += LENGTH_BYTES + items[i].n;
    }
    if (at != raw.n)
        return fail_size(t, at, raw.n, err);
    t->data = items;
    return GAL_OK;
}

static enum gal_status check_bool(const struct gal_tensor *t, struct gal_str raw,
                                  struct gal_err *err)
{
    for (size_t i = 0; i < raw.n; i++)
        if ((unsigned char)raw.p[i] > 1)
            return gal_fail(err, GAL_INVALID,
                            "tensor '%.*s': element %zu of BOOL is %u, not 0 or 1",
                            GAL_STR_ARG(t->name), i, (unsigned)(unsigned char)raw.p[i]);
    return GAL_OK;
}

enum gal_status gal_tensor_from_raw(struct gal_tensor *t, struct gal_str raw,
                                    struct gal_arena *arena, struct gal_err *err)
{
    size_t size = gal_dtype_size(t->dtype), bytes;
    if (t->dtype == GAL_DT_BYTES)
        return bytes_from_raw(t, raw, arena, err);
    if (t->dtype == GAL_DT_NONE || __builtin_mul_overflow(t->count, size, &bytes))
        return gal_fail(err, GAL_INVALID, "tensor '%.*s' has no binary form", GAL_STR_ARG(t->name));
    if (raw.n != bytes)
        return fail_size(t, bytes, raw.n, err);
    if (t->dtype == GAL_DT_BOOL && check_bool(t, raw, err))
        return GAL_INVALID;
    t->data = raw.p;
    if (bytes == 0 || (uintptr_t)raw.p % size == 0)
        return GAL_OK;
    void *copy = gal_arena_alloc(arena, bytes);
    if (!copy)
        return gal_arena_fail(arena, bytes, "tensor data", err);
    memcpy(copy, raw.p, bytes);
    t->data = copy;
    return GAL_OK;
}

size_t gal_tensor_raw_size(const struct gal_tensor *t)
{
    if (t->dtype != GAL_DT_BYTES)
        return t->count * gal_dtype_size(t->dtype);
    const struct gal_str *items = t->data;
    size_t bytes = LENGTH_BYTES * t->count;
    for (size_t i = 0; i < t->count; i++)
        bytes += items[i].n;
    return bytes;
}

void gal_tensor_to_raw(const struct gal_tensor *t, void *out)
{
    if (t->dtype != GAL_DT_BYTES) {
        if (t->count > 0)
            memcpy(out, t->data, gal_tensor_raw_size(t));
        return;
    }
    const struct gal_str *items = t->data;
    char *p = out;
    for (size_t i = 0; i < t->count; i++) {
        GAL_ASSERT(items[i].n <= UINT32_MAX);
        uint32_t n = (uint32_t)items[i].n;
        memcpy(p, &n, sizeof n);
        p += sizeof n;
        if (n > 0)
            memcpy(p, items[i].p, n);
        p += n;
    }
}

double gal_tensor_number(const struct gal_tensor *t, size_t i)
{
    switch (t->dtype) {
    case GAL_DT_BOOL:
    case GAL_DT_UINT8:
        return ((const uint8_t *)t->data)[i];
    case GAL_DT_UINT16:
        return ((const uint16_t *)t->data)[i];
    case GAL_DT_UINT32:
        return ((const uint32_t *)t->data)[i];
    case GAL_DT_UINT64:
        return (double)((const uint64_t *)t->data)[i];
    case GAL_DT_INT8:
        return ((const int8_t *)t->data)[i];
    case GAL_DT_INT16:
        return ((const int16_t *)t->data)[i];
    case GAL_DT_INT32:
        return ((const int32_t *)t->data)[i];
    case GAL_DT_INT64:
        return (double)((const int64_t *)t->data)[i];
    case GAL_DT_FP16:
        return (double)gal_fp16_to_fp32(((const uint16_t *)t->data)[i]);
    case GAL_DT_BF16:
        return (double)gal_bf16_to_fp32(((const uint16_t *)t->data)[i]);
    case GAL_DT_FP32:
        return (double)((const float *)t->data)[i];
    case GAL_DT_FP64:
        return ((const double *)t->data)[i];
    default:
        return (double)NAN;
    }
}
