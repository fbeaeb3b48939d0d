/* SPDX-License-Identifier: Apache-2.0 */
/* JSON to tensors. Loops over elements are written for each datatype and only say which element
 * does not fit; the sentence about it is made afterwards, off the hot path. */
#include "codec/tensor_json.h"

#include "base/limits.h"

#include <math.h>
#include <stdio.h>

#define TAG_UINT (YYJSON_TYPE_NUM | YYJSON_SUBTYPE_UINT)
#define TAG_SINT (YYJSON_TYPE_NUM | YYJSON_SUBTYPE_SINT)
#define TAG_REAL (YYJSON_TYPE_NUM | YYJSON_SUBTYPE_REAL)
#define TAG_TRUE (YYJSON_TYPE_BOOL | YYJSON_SUBTYPE_TRUE)
#define TAG_FALSE (YYJSON_TYPE_BOOL | YYJSON_SUBTYPE_FALSE)

/* --- runs: n values that lie side by side into n elements; the index of the first that does not
 * fit, n when all do. Children of an array that are no containers lie side by side, and a run
 * stops at a container before it looks past it. --- */

static size_t run_bool(yyjson_val *v, size_t n, uint8_t *out)
{
    for (size_t i = 0; i < n; i++) {
        switch (unsafe_yyjson_get_tag(v + i)) {
        case TAG_TRUE:
            out[i] = 1;
            break;
        case TAG_FALSE:
            out[i] = 0;
            break;
        case TAG_UINT:
            if (unsafe_yyjson_get_uint(v + i) > 1)
                return i;
            out[i] = (uint8_t)unsafe_yyjson_get_uint(v + i);
            break;
        default:
            return i;
        }
    }
    return n;
}

/* Inlined with constants: one loop a width. Little-endian: the low bytes come first. */
static inline size_t run_int(yyjson_val *v, size_t n, void *out, size_t size, int64_t min,
                             uint64_t max)
{
    char *to = out;

    for (size_t i = 0; i < n; i++, to += size) {
        uint8_t tag = unsafe_yyjson_get_tag(v + i);
        uint64_t bits = unsafe_yyjson_get_uint(v + i);

        if (tag == TAG_UINT ? bits > max : tag != TAG_SINT || (int64_t)bits < min)
            return i;
        memcpy(to, &bits, size);
    }
    return n;
}

/* A JSON number, or one of the three strings for what JSON has no number for. */
static bool get_number(yyjson_val *v, double *out)
{
    switch (unsafe_yyjson_get_tag(v)) {
    case TAG_REAL:
        *out = unsafe_yyjson_get_real(v);
        return true;
    case TAG_UINT:
        *out = (double)unsafe_yyjson_get_uint(v);
        return true;
    case TAG_SINT:
        *out = (double)unsafe_yyjson_get_sint(v);
        return true;
    default:
        if (!unsafe_yyjson_is_str(v))
            return false;
    }
    if (unsafe_yyjson_equals_str(v, "NaN"))
        *out = (double)NAN;
    else if (unsafe_yyjson_equals_str(v, "Infinity"))
        *out = (double)INFINITY;
    else if (unsafe_yyjson_equals_str(v, "-Infinity"))
        *out = -(double)INFINITY;
    else
        return false;
    return true;
}

static size_t run_fp32(yyjson_val *v, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++) {
        double d;

        if (unsafe_yyjson_get_tag(v + i) == TAG_REAL)
            d = unsafe_yyjson_get_real(v + i);
        else if (!get_number(v + i, &d))
            return i;
        out[i] = (float)d;
        if (isinf(out[i]) && !isinf(d))
            return i;
    }
    return n;
}

static size_t run_fp64(yyjson_val *v, size_t n, double *out)
{
    for (size_t i = 0; i < n; i++) {
        if (unsafe_yyjson_get_tag(v + i) == TAG_REAL)
            out[i] = unsafe_yyjson_get_real(v + i);
        else if (!get_number(v + i, &out[i]))
            return i;
    }
    return n;
}

static size_t run_16(yyjson_val *v, size_t n, uint16_t *out, uint16_t (*from)(double),
                     uint16_t infinity)
{
    for (size_t i = 0; i < n; i++) {
        double d;

        if (!get_number(v + i, &d))
            return i;
        out[i] = from(d);
        if ((out[i] & 0x7fff) == infinity && !isinf(d))
            return i;
    }
    return n;
}

static size_t run_bytes(yyjson_val *v, size_t n, struct gal_str *out)
{
    for (size_t i = 0; i < n; i++) {
        if (!unsafe_yyjson_is_str(v + i))
            return i;
        out[i] = (struct gal_str){unsafe_yyjson_get_str(v + i), unsafe_yyjson_get_len(v + i)};
    }
    return n;
}

static size_t run(yyjson_val *v, size_t n, enum gal_dtype dtype, void *out)
{
    switch (dtype) {
    case GAL_DT_BOOL:
        return run_bool(v, n, out);
    case GAL_DT_UINT8:
        return run_int(v, n, out, 1, 0, UINT8_MAX);
    case GAL_DT_UINT16:
        return run_int(v, n, out, 2, 0, UINT16_MAX);
    case GAL_DT_UINT32:
        return run_int(v, n, out, 4, 0, UINT32_MAX);
    case GAL_DT_UINT64:
        return run_int(v, n, out, 8, 0, UINT64_MAX);
    case GAL_DT_INT8:
        return run_int(v, n, out, 1, INT8_MIN, INT8_MAX);
    case GAL_DT_INT16:
        return run_int(v, n, out, 2, INT16_MIN, INT16_MAX);
    case GAL_DT_INT32:
        return run_int(v, n, out, 4, INT32_MIN, INT32_MAX);
    case GAL_DT_INT64:
        return run_int(v, n, out, 8, INT64_MIN, INT64_MAX);
    case GAL_DT_FP16:
        return run_16(v, n, out, gal_fp16_from_fp64, 0x7c00);
    case GAL_DT_FP32:
        return run_fp32(v, n, out);
    case GAL_DT_FP64:
        return run_fp64(v, n, out);
    case GAL_DT_BYTES:
        return run_bytes(v, n, out);
    case GAL_DT_BF16:
        return run_16(v, n, out, gal_bf16_from_fp64, 0x7f80);
    case GAL_DT_NONE:
    case GAL_DT_COUNT:
        break;
    }
    return 0;
}

/* --- what is wrong, in words --- */

/* The value as the user wrote it when it is short, else what it is. */
static const char *describe(yyjson_val *v, char *out, size_t size)
{
    char *end = out;

    switch (unsafe_yyjson_get_tag(v)) {
    case TAG_UINT:
        end = gal_json_write_u64(out, unsafe_yyjson_get_uint(v));
        break;
    case TAG_SINT:
        end = gal_json_write_i64(out, unsafe_yyjson_get_sint(v));
        break;
    case TAG_REAL:
        end = gal_json_write_f64(out, unsafe_yyjson_get_real(v));
        break;
    default:
        if (!unsafe_yyjson_is_str(v) || unsafe_yyjson_get_len(v) > 40)
            return gal_json_type_name(v);
        snprintf(out, size, "\"%.*s\"", (int)unsafe_yyjson_get_len(v), unsafe_yyjson_get_str(v));
        return out;
    }
    *end = '\0';
    return out;
}

static const char *wanted_for(enum gal_dtype dtype, yyjson_val *got)
{
    if (dtype == GAL_DT_BOOL)
        return "true or false for";
    if (dtype == GAL_DT_BYTES)
        return "a string for";
    if (!gal_dtype_is_float(dtype))
        return unsafe_yyjson_is_int(got) ? "an integer that fits" : "an integer for";
    return unsafe_yyjson_is_num(got) ? "a number that fits"
                                     : "a number, \"NaN\", \"Infinity\" or \"-Infinity\" for";
}

static enum gal_status fail_element(yyjson_val *v, enum gal_dtype dtype, struct gal_err *err)
{
    char got[64];

    if (gal_dtype_size(dtype) == 0)
        return gal_fail(err, GAL_UNSUPPORTED, "the datatype has no form in JSON");
    return gal_fail(err, GAL_INVALID, "expected %s %s, got %s", wanted_for(dtype, v),
                    gal_dtype_name(dtype), describe(v, got, sizeof(got)));
}

/* --- arrays --- */

struct walk {
    const struct gal_tensor *t;
    char *out;
    size_t lens[GAL_RANK_MAX]; /* length of the arrays of each level of nesting */
    size_t depth;              /* levels; the last one holds the elements */
    size_t done;               /* elements read */
    const char *where;
};

/* Adds "where[1][0]" to err: the indexes of element `done`, `levels` of them. */
static void put_place(const struct walk *w, size_t levels, struct gal_err *err)
{
    char text[sizeof(err->place)];
    size_t n = 0;

    if (err == NULL)
        return;
    text[0] = '\0';
    for (size_t l = 0; l < levels && n < sizeof(text); l++) {
        size_t stride = 1;

        for (size_t k = l + 1; k < w->depth; k++)
            stride *= w->lens[k];
        n += (size_t)snprintf(text + n, sizeof(text) - n, "[%zu]", w->done / stride % w->lens[l]);
    }
    gal_err_place(err, "%s%s", w->where, text);
}

static enum gal_status fail_count(const struct walk *w, yyjson_val *data, struct gal_err *err)
{
    const struct gal_tensor *t = w->t;
    yyjson_val *first = unsafe_yyjson_get_first(data);
    size_t n = unsafe_yyjson_get_len(data);
    char shape[96];

    gal_shape_format(t->shape, t->rank, shape, sizeof(shape));
    if (n > 0 && unsafe_yyjson_is_arr(first))
        gal_fail(err, GAL_INVALID, "the nesting of the data does not fit shape %s", shape);
    else
        gal_fail(err, GAL_INVALID, "expected %zu values for shape %s, got %zu", t->count, shape, n);
    if (err != NULL)
        gal_err_place(err, "%s", w->where);
    return GAL_INVALID;
}

bool gal_levels_fit(const struct gal_tensor *t, const size_t *lens, size_t depth)
{
    size_t d = 0;

    for (size_t level = 0; level < depth; level++) {
        size_t n = lens[level], product = 1;

        if (d == t->rank && (t->rank > 0 || level > 0 || n != 1))
            return false;
        if (d < t->rank) {
            do
                product *= (size_t)t->shape[d++];
            while (product < n && d < t->rank);
        }
        if (product != n)
            return false;
    }
    for (; d < t->rank; d++)
        if (t->shape[d] != 1)
            return false;
    return true;
}

/* Finds the levels of nesting by the first child of each. */
static enum gal_status measure(struct walk *w, yyjson_val *data, struct gal_err *err)
{
    for (yyjson_val *v = data; unsafe_yyjson_is_arr(v); v = unsafe_yyjson_get_first(v)) {
        if (w->depth == GAL_RANK_MAX)
            return fail_count(w, data, err);
        w->lens[w->depth++] = unsafe_yyjson_get_len(v);
        if (unsafe_yyjson_get_len(v) == 0)
            break;
    }
    if (!gal_levels_fit(w->t, w->lens, w->depth))
        return fail_count(w, data, err);
    /* The text must hold as many values as the shape says before memory is taken for them. */
    if ((size_t)(unsafe_yyjson_get_next(data) - data) <= w->t->count)
        return fail_count(w, data, err);
    return GAL_OK;
}

/* At most GAL_RANK_MAX deep. */
static enum gal_status walk(struct walk *w, yyjson_val *v, size_t level, struct gal_err *err)
{
    enum gal_dtype dtype = w->t->dtype;
    size_t n = w->lens[level], fit;

    if (!unsafe_yyjson_is_arr(v) || unsafe_yyjson_get_len(v) != n) {
        char got[64];

        if (unsafe_yyjson_is_arr(v))
            snprintf(got, sizeof(got), "one of %zu", unsafe_yyjson_get_len(v));
        else
            snprintf(got, sizeof(got), "%s", gal_json_type_name(v));
        gal_fail(err, GAL_INVALID, "expected an array of %zu, got %s", n, got);
        put_place(w, level, err);
        return GAL_INVALID;
    }
    v = unsafe_yyjson_get_first(v);
    if (level + 1 == w->depth) {
        fit = run(v, n, dtype, w->out + w->done * gal_dtype_size(dtype));
        w->done += fit;
        if (fit == n)
            return GAL_OK;
        fail_element(v + fit, dtype, err);
        put_place(w, w->depth, err);
        return GAL_INVALID;
    }
    for (size_t i = 0; i < n; i++, v = unsafe_yyjson_get_next(v))
        if (walk(w, v, level + 1, err) != GAL_OK)
            return GAL_INVALID;
    return GAL_OK;
}

/* No elements: [], or arrays as the shape says up to its first 0. */
static bool empty_fits(yyjson_val *v, const int64_t *shape, size_t rank)
{
    size_t n;

    if (rank == 0 || !unsafe_yyjson_is_arr(v))
        return false;
    n = unsafe_yyjson_get_len(v);
    if (shape[0] == 0 || n != (size_t)shape[0])
        return n == 0;
    v = unsafe_yyjson_get_first(v);
    for (size_t i = 0; i < n; i++, v = unsafe_yyjson_get_next(v))
        if (!empty_fits(v, shape + 1, rank - 1))
            return false;
    return true;
}

enum gal_status gal_tensor_from_json(yyjson_val *data, struct gal_tensor *t, const char *where,
                                     struct gal_arena *arena, struct gal_err *err)
{
    struct walk w;
    bool bare = t->rank == 0 && !unsafe_yyjson_is_ctn(data);

    w.t = t;
    w.depth = 0;
    w.done = 0;
    w.where = where;
    t->data = NULL;
    if (!unsafe_yyjson_is_arr(data) && !bare) {
        gal_fail(err, GAL_INVALID, "expected an array, got %s", gal_json_type_name(data));
        put_place(&w, 0, err);
        return GAL_INVALID;
    }
    if (t->count == 0)
        return empty_fits(data, t->shape, t->rank) ? GAL_OK : fail_count(&w, data, err);
    if (!bare && measure(&w, data, err) != GAL_OK)
        return GAL_INVALID;
    w.out = gal_arena_array(arena, t->count, gal_dtype_size(t->dtype));
    if (w.out == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a tensor of %zu elements", t->count);
    t->data = w.out;
    if (!bare)
        return walk(&w, data, 0, err);
    if (run(data, 1, t->dtype, w.out) == 1)
        return GAL_OK;
    fail_element(data, t->dtype, err);
    put_place(&w, 0, err);
    return GAL_INVALID;
}

enum gal_status gal_element_from_json(yyjson_val *v, enum gal_dtype dtype, void *data, size_t index,
                                      struct gal_arena *arena, struct gal_err *err)
{
    (void)arena; /* strings lie in the document, which is the arena's already */
    if (run(v, 1, dtype, (char *)data + index * gal_dtype_size(dtype)) == 1)
        return GAL_OK;
    return fail_element(v, dtype, err);
}
