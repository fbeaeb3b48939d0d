/* SPDX-License-Identifier: Apache-2.0 */
/* Columns and their elements against a feature's conditions. */
#include "package/check_impl.h"

#include "base/map.h"

#include <math.h>

#define WHOLE_MAX 9007199254740992.0 /* 2^53: up to here FP64 holds each whole number */

/* --- whole columns --- */

/* Counts instead of leaving at the first: the compiler makes vectors of it. A NaN compares false.
 */
#define ALL_BETWEEN(name, type, wide)                                                              \
    static bool name(const void *data, size_t n, wide low, wide high)                              \
    {                                                                                              \
        const type *p = data;                                                                      \
        size_t good = 0;                                                                           \
        for (size_t i = 0; i < n; i++)                                                             \
            good += (wide)p[i] >= low && (wide)p[i] <= high;                                       \
        return good == n;                                                                          \
    }
ALL_BETWEEN(all_int8, int8_t, int64_t)
ALL_BETWEEN(all_int16, int16_t, int64_t)
ALL_BETWEEN(all_int32, int32_t, int64_t)
ALL_BETWEEN(all_int64, int64_t, int64_t)
ALL_BETWEEN(all_uint8, uint8_t, int64_t)
ALL_BETWEEN(all_uint16, uint16_t, int64_t)
ALL_BETWEEN(all_uint32, uint32_t, int64_t)
ALL_BETWEEN(all_fp32, float, double)
ALL_BETWEEN(all_fp64, double, double)

static bool all_whole(const struct gal_tensor *t, int64_t low, int64_t high)
{
    switch (t->dtype) {
    case GAL_DT_INT8:
        return all_int8(t->data, t->count, low, high);
    case GAL_DT_INT16:
        return all_int16(t->data, t->count, low, high);
    case GAL_DT_INT32:
        return all_int32(t->data, t->count, low, high);
    case GAL_DT_INT64:
        return all_int64(t->data, t->count, low, high);
    case GAL_DT_BOOL:
    case GAL_DT_UINT8:
        return all_uint8(t->data, t->count, low, high);
    case GAL_DT_UINT16:
        return all_uint16(t->data, t->count, low, high);
    case GAL_DT_UINT32:
        return all_uint32(t->data, t->count, low, high);
    default:
        return false; /* UINT64: an element at a time */
    }
}

bool gal_check_at_once(const struct gal_feature *f, const struct gal_tensor *t)
{
    const struct gal_feature_check *c = f->check;
    if (c->table || t->count == 0)
        return t->count == 0;
    double low = fmax(c->real_low, c->odd_real_low), high = fmin(c->real_high, c->odd_real_high);
    if (t->dtype == GAL_DT_FP32)
        return all_fp32(t->data, t->count, low, high);
    if (t->dtype == GAL_DT_FP64)
        return !f->integral && all_fp64(t->data, t->count, low, high);
    if (gal_dtype_is_float(t->dtype) || t->dtype == GAL_DT_BYTES)
        return false;
    return all_whole(t, c->low > c->odd_low ? c->low : c->odd_low,
                     c->high < c->odd_high ? c->high : c->odd_high);
}

/* --- elements --- */

/* Place of a value in `values`, by the bytes that stand for it. */
static bool is_listed(const struct gal_feature *f, struct gal_str key)
{
    const struct gal_feature_check *c = f->check;
    for (size_t at = (size_t)gal_hash_bytes(key) & c->mask; c->table[at]; at = (at + 1) & c->mask) {
        const struct gal_literal *v = &f->values[c->table[at] - 1];
        union gal_check_key own;
        if (gal_str_eq(key, gal_check_key(f, v, &own)))
            return true;
    }
    return false;
}

static enum gal_verdict judge_whole(const struct gal_feature *f, int64_t v)
{
    const struct gal_feature_check *c = f->check;
    if (v < c->low)
        return GAL_VERDICT_LOW;
    if (v > c->high)
        return GAL_VERDICT_HIGH;
    if (c->table && !is_listed(f, (struct gal_str){(const char *)&v, sizeof v}))
        return GAL_VERDICT_VALUE;
    return v < c->odd_low || v > c->odd_high ? GAL_VERDICT_OUTLIER : GAL_VERDICT_FINE;
}

static enum gal_verdict judge_real(const struct gal_feature *f, double v)
{
    const struct gal_feature_check *c = f->check;
    if (isnan(v))
        return f->nullable ? GAL_VERDICT_FINE : GAL_VERDICT_NULL;
    if (f->integral) {
        if (fabs(v) > WHOLE_MAX || v != (double)(int64_t)v)
            return GAL_VERDICT_WHOLE;
        return judge_whole(f, (int64_t)v);
    }
    if (v < c->real_low)
        return GAL_VERDICT_LOW;
    if (v > c->real_high)
        return GAL_VERDICT_HIGH;
    v += 0.0; /* -0 is 0 */
    if (c->table && !is_listed(f, (struct gal_str){(const char *)&v, sizeof v}))
        return GAL_VERDICT_VALUE;
    return v < c->odd_real_low || v > c->odd_real_high ? GAL_VERDICT_OUTLIER : GAL_VERDICT_FINE;
}

static enum gal_verdict judge_text(const struct gal_feature *f, struct gal_str s)
{
    const struct gal_feature_check *c = f->check;
    size_t characters = 0;
    if (s.n == 0 && f->nullable)
        return GAL_VERDICT_FINE;
    if (c->table)
        return is_listed(f, s) ? GAL_VERDICT_FINE : GAL_VERDICT_VALUE;
    if (!gal_utf8_valid(s))
        return GAL_VERDICT_UTF8;
    for (size_t i = 0; i < s.n; i++)
        characters += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    if (characters < f->length_min)
        return GAL_VERDICT_SHORT;
    if (characters > f->length_max)
        return GAL_VERDICT_LONG;
    return c->pattern && !gal_pattern_fits(c->pattern, s) ? GAL_VERDICT_PATTERN : GAL_VERDICT_FINE;
}

enum gal_verdict gal_check_element(const struct gal_feature *f, const struct gal_tensor *t,
                                   size_t i)
{
    if (t->dtype == GAL_DT_BYTES)
        return f->type == GAL_FEATURE_IMAGE ? GAL_VERDICT_FINE
                                            : judge_text(f, ((const struct gal_str *)t->data)[i]);
    if (t->dtype == GAL_DT_INT64)
        return judge_whole(f, ((const int64_t *)t->data)[i]);
    if (t->dtype == GAL_DT_UINT64) {
        uint64_t v = ((const uint64_t *)t->data)[i];
        if (v <= INT64_MAX)
            return judge_whole(f, (int64_t)v);
        return f->lt.set || f->le.set ? GAL_VERDICT_HIGH /* bounds are below */
               : f->check->table      ? GAL_VERDICT_VALUE
               : f->outlier_above.set ? GAL_VERDICT_OUTLIER
                                      : GAL_VERDICT_FINE;
    }
    double v = gal_tensor_number(t, i);
    return gal_dtype_is_float(t->dtype) ? judge_real(f, v) : judge_whole(f, (int64_t)v);
}
