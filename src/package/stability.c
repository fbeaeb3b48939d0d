/* SPDX-License-Identifier: Apache-2.0 */
#include "package/stability.h"

#include "base/random.h"
#include "package/check.h"
#include "package/check_impl.h"

#include <math.h>

#define SEED 0x67616c6c65792e31u /* "galley.1": other answers than before are another version */
#define EXACT_MAX 0x1p53         /* larger whole numbers are names rather than amounts */

/* --- chance --- */

/* In [-1,1), 2^53 values. */
static double chance(uint64_t *state)
{
    return (double)(gal_random_split(state) >> 11) * 0x1p-52 - 1;
}

/* FNV-1a, 64 bits. */
static uint64_t mix(uint64_t h, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

/* Of a row's values, in the order of the features. */
static uint64_t hash_row(const struct gal_manifest *m, const struct gal_value *values, size_t rows,
                         size_t row)
{
    uint64_t h = 0xcbf29ce484222325u ^ SEED;
    for (size_t i = 0; i < m->feature_count; i++) {
        const struct gal_tensor *t = &values[i].tensor;
        size_t width = values[i].kind == GAL_KIND_TENSOR ? t->count / rows : 0;
        size_t size = gal_dtype_size(t->dtype);
        const struct gal_str *texts = t->data;
        if (t->dtype != GAL_DT_BYTES && width > 0) {
            h = mix(h, (const char *)t->data + row * width * size, width * size);
            continue;
        }
        for (size_t k = 0; k < width; k++) {
            uint64_t n = texts[row * width + k].n;
            h = mix(h, &n, sizeof n);
            h = mix(h, texts[row * width + k].p, n);
        }
    }
    return h;
}

/* --- copies --- */

/* As the column holds it; false: it is out of the feature's bounds. */
static bool fits(const struct gal_feature *f, double *to)
{
    if (f->integral) {
        *to = nearbyint(*to);
        return fabs(*to) <= EXACT_MAX && *to >= (double)f->check->low &&
               *to <= (double)f->check->high;
    }
    *to = gal_check_round(f->dtype, *to);
    return *to >= f->check->real_low && *to <= f->check->real_high;
}

/* Beyond a bound it goes the other way; where that is beyond one too, it stays. */
static void move(const struct gal_feature *f, double v, double by, void *out)
{
    double to = v * (1 + by);
    if (!fits(f, &to)) {
        to = v * (1 - by);
        if (!fits(f, &to))
            return;
    }
    gal_check_put(f, &(struct gal_literal){.number = to, .integer = f->integral ? (int64_t)to : 0},
                  out);
}

static bool is_named(const struct gal_stability *s, struct gal_str name)
{
    for (size_t i = 0; i < s->feature_count; i++) {
        if (gal_str_eq(s->features[i], name))
            return true;
    }
    return s->feature_count == 0;
}

/* One copy of a column's rows into `to`; states: of each row's chance. */
static void move_column(const struct gal_feature *f, const struct gal_tensor *t, size_t rows,
                        double noise, uint64_t *states, char *to)
{
    size_t width = t->count / rows, size = gal_dtype_size(t->dtype);
    for (size_t i = 0; i < t->count; i++) {
        double v = gal_tensor_number(t, i), by = noise * chance(&states[i / width]);
        /* What is no number, or not exactly one in FP64, stays to the bit. */
        if (isfinite(v) && v != 0 && !(f->integral && fabs(v) > EXACT_MAX))
            move(f, v, by, to + i * size);
    }
}

static enum gal_status copy_column(const struct gal_tensor *t, size_t count,
                                   struct gal_arena *arena, struct gal_tensor *out,
                                   struct gal_err *err)
{
    size_t size = gal_dtype_size(t->dtype), bytes = t->count * size;
    int64_t *shape = gal_arena_array(arena, t->rank + 1, sizeof *shape);
    char *data = gal_arena_array(arena, t->count * count, size);
    if (!shape || !data)
        return gal_arena_fail(arena, bytes * count, "a row's copies", err);
    memcpy(shape, t->shape, t->rank * sizeof *shape);
    shape[0] *= (int64_t)count;
    for (size_t i = 0; bytes > 0 && i < count; i++)
        memcpy(data + i * bytes, t->data, bytes);
    *out = *t;
    out->shape = shape;
    out->count = t->count * count;
    out->data = data;
    return GAL_OK;
}

/* The chance of copy `sample`: rows[i] is a row's hash. */
static void start(const uint64_t *hashes, size_t rows, size_t sample, uint64_t *states)
{
    for (size_t i = 0; i < rows; i++) {
        states[i] = hashes[i] + sample;
        states[i] = gal_random_split(&states[i]); /* copies of neighbouring numbers share nothing */
    }
}

static bool moves(const struct gal_manifest *m, const struct gal_value *values, size_t feature)
{
    return values[feature].kind == GAL_KIND_TENSOR && values[feature].tensor.count > 0 &&
           gal_feature_moves(&m->features[feature]) &&
           is_named(&m->stability, m->features[feature].name);
}

const uint64_t *gal_stability_hashes(const struct gal_manifest *m, const struct gal_value *values,
                                     size_t rows, struct gal_arena *arena)
{
    uint64_t *hashes = gal_arena_array(arena, rows, sizeof *hashes);
    for (size_t i = 0; hashes && i < rows; i++)
        hashes[i] = hash_row(m, values, rows, i);
    return hashes;
}

enum gal_status gal_stability_copies(const struct gal_manifest *m, const struct gal_value *values,
                                     const uint64_t *hashes, size_t rows, size_t first,
                                     size_t count, struct gal_arena *arena, struct gal_value *out,
                                     struct gal_err *err)
{
    uint64_t *states = gal_arena_array(arena, rows, sizeof *states);
    bool *moving = gal_arena_array(arena, m->feature_count, sizeof *moving);
    enum gal_status status = GAL_OK;
    if (!states || !moving)
        return gal_arena_fail(arena, rows * sizeof *states, "a row's copies", err);
    for (size_t i = 0; i < m->feature_count && !status; i++) {
        out[i] = values[i];
        moving[i] = moves(m, values, i);
        if (values[i].kind == GAL_KIND_TENSOR)
            status = copy_column(&values[i].tensor, count, arena, &out[i].tensor, err);
    }
    for (size_t c = 0; c < count && !status; c++) {
        start(hashes, rows, first + c, states);
        for (size_t i = 0; i < m->feature_count; i++) {
            const struct gal_tensor *t = &values[i].tensor;
            size_t bytes = t->count * gal_dtype_size(t->dtype);
            if (moving[i])
                move_column(&m->features[i], t, rows, m->stability.noise, states,
                            (char *)(uintptr_t)out[i].tensor.data + c * bytes);
        }
    }
    return status;
}

/* --- decisions --- */

bool gal_stability_decides(enum gal_dtype dtype, size_t width)
{
    return dtype != GAL_DT_NONE && (!gal_dtype_is_float(dtype) || width != 1);
}

/* Place of the largest; NaN is none. */
static size_t largest(const struct gal_tensor *t, size_t from, size_t width)
{
    size_t best = 0;
    for (size_t i = 1; i < width; i++) {
        if (gal_tensor_number(t, from + i) > gal_tensor_number(t, from + best) ||
            isnan(gal_tensor_number(t, from + best)))
            best = i;
    }
    return best;
}

static bool same(const struct gal_tensor *a, size_t a_from, const struct gal_tensor *b,
                 size_t b_from, size_t width)
{
    size_t size = gal_dtype_size(a->dtype);
    const struct gal_str *x = a->data, *y = b->data;
    if (gal_dtype_is_float(a->dtype))
        return largest(a, a_from, width) == largest(b, b_from, width);
    if (a->dtype != GAL_DT_BYTES)
        return memcmp((const char *)a->data + a_from * size, (const char *)b->data + b_from * size,
                      width * size) == 0;
    for (size_t i = 0; i < width; i++) {
        if (!gal_str_eq(x[a_from + i], y[b_from + i]))
            return false;
    }
    return true;
}

enum gal_status gal_stability_count(const struct gal_tensor *decided,
                                    const struct gal_tensor *moved, float *agree,
                                    struct gal_err *err)
{
    size_t rows = decided->rank > 0 ? (size_t)decided->shape[0] : 0;
    size_t all = moved->rank > 0 ? (size_t)moved->shape[0] : 0;
    size_t width = rows ? decided->count / rows : 0;
    if (rows == 0 && all == 0)
        return GAL_OK;
    if (rows == 0 || all % rows != 0 || moved->dtype != decided->dtype ||
        moved->count != all * width)
        return gal_fail(err, GAL_INVALID, "%.*s has other shapes for other rows: it is no decision",
                        GAL_STR_SHOWN(decided->name));
    for (size_t i = 0; i < all; i++)
        agree[i % rows] += (float)same(decided, i % rows * width, moved, i * width, width);
    return GAL_OK;
}
