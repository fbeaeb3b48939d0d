/* SPDX-License-Identifier: Apache-2.0 */
/* A feature's conditions made ready, and held against each other. */
#include "package/check_impl.h"

#include "base/map.h"

#include <math.h>

double gal_check_round(enum gal_dtype t, double v)
{
    switch (t) {
    case GAL_DT_FP32:
        return (double)(float)v;
    case GAL_DT_FP16:
        return (double)gal_fp16_to_fp32(gal_fp16_from_fp64(v));
    case GAL_DT_BF16:
        return (double)gal_bf16_to_fp32(gal_bf16_from_fp64(v));
    default:
        return v;
    }
}

struct gal_str gal_check_key(const struct gal_feature *f, const struct gal_literal *v,
                             union gal_check_key *own)
{
    if (f->type == GAL_FEATURE_TEXT)
        return v->text;
    if (f->integral || f->type == GAL_FEATURE_BOOL)
        own->integer = v->integer;
    else
        own->number = gal_check_round(f->dtype, v->number) + 0.0; /* -0 is 0 */
    return (struct gal_str){(const char *)own, sizeof *own};
}

/* --- bounds --- */

void gal_check_int_range(enum gal_dtype t, int64_t *low, int64_t *high)
{
    static const struct {
        int64_t low, high;
    } ranges[GAL_DT_COUNT] = {
        [GAL_DT_BOOL] = {0, 1},
        [GAL_DT_UINT8] = {0, UINT8_MAX},
        [GAL_DT_UINT16] = {0, UINT16_MAX},
        [GAL_DT_UINT32] = {0, UINT32_MAX},
        [GAL_DT_UINT64] = {0, INT64_MAX},
        [GAL_DT_INT8] = {INT8_MIN, INT8_MAX},
        [GAL_DT_INT16] = {INT16_MIN, INT16_MAX},
        [GAL_DT_INT32] = {INT32_MIN, INT32_MAX},
        [GAL_DT_INT64] = {INT64_MIN, INT64_MAX},
    };
    *low = ranges[t].low;
    *high = ranges[t].high;
}

static void set_whole(const struct gal_feature *f, struct gal_feature_check *c)
{
    gal_check_int_range(f->declared, &c->low, &c->high);
    if (f->gt.set)
        c->low = f->gt.integer == INT64_MAX ? INT64_MAX : f->gt.integer + 1;
    if (f->ge.set)
        c->low = f->ge.integer;
    if (f->lt.set)
        c->high = f->lt.integer == INT64_MIN ? INT64_MIN : f->lt.integer - 1;
    if (f->le.set)
        c->high = f->le.integer;
    c->odd_low = f->outlier_below.set ? f->outlier_below.integer : INT64_MIN;
    c->odd_high = f->outlier_above.set ? f->outlier_above.integer : INT64_MAX;
}

static void set_real(const struct gal_feature *f, struct gal_feature_check *c)
{
    enum gal_dtype t = f->dtype;
    double inf = (double)INFINITY;
    c->real_low = f->gt.set   ? nextafter(gal_check_round(t, f->gt.number), inf)
                  : f->ge.set ? gal_check_round(t, f->ge.number)
                              : -inf;
    c->real_high = f->lt.set   ? nextafter(gal_check_round(t, f->lt.number), -inf)
                   : f->le.set ? gal_check_round(t, f->le.number)
                               : inf;
    c->odd_real_low = f->outlier_below.set ? gal_check_round(t, f->outlier_below.number) : -inf;
    c->odd_real_high = f->outlier_above.set ? gal_check_round(t, f->outlier_above.number) : inf;
}

/* --- values --- */

static enum gal_status set_table(const struct gal_feature *f, struct gal_feature_check *c,
                                 struct gal_arena *arena, struct gal_err *err)
{
    size_t size = 8;
    while (size < 2 * f->value_count)
        size *= 2;
    uint32_t *table = gal_arena_array(arena, size, sizeof *table);
    if (!table)
        return gal_arena_fail(arena, size * sizeof *table, "a feature's values", err);
    memset(table, 0, size * sizeof *table);
    for (size_t i = 0; i < f->value_count; i++) {
        union gal_check_key own;
        size_t at = (size_t)gal_hash_bytes(gal_check_key(f, &f->values[i], &own)) & (size - 1);
        while (table[at])
            at = (at + 1) & (size - 1);
        table[at] = (uint32_t)i + 1;
    }
    c->table = table;
    c->mask = size - 1;
    return GAL_OK;
}

/* --- the feature's own values --- */

void gal_check_put(const struct gal_feature *f, const struct gal_literal *v, void *out)
{
    size_t size = gal_dtype_size(f->dtype);
    float single;
    uint16_t half;
    switch (f->dtype) {
    case GAL_DT_BYTES:
        memcpy(out, &v->text, sizeof v->text);
        return;
    case GAL_DT_FP32:
        single = (float)v->number;
        memcpy(out, &single, sizeof single);
        return;
    case GAL_DT_FP16:
        half = gal_fp16_from_fp64(v->number);
        memcpy(out, &half, sizeof half);
        return;
    case GAL_DT_BF16:
        half = gal_bf16_from_fp64(v->number);
        memcpy(out, &half, sizeof half);
        return;
    case GAL_DT_FP64:
        memcpy(out, &v->number, sizeof v->number);
        return;
    default:
        memcpy(out, &v->integer, size); /* the low bytes, on this little-endian machine */
    }
}

/* A value of the manifest itself, as `default`, held against the feature. */
static enum gal_status check_own(const struct gal_feature *f, const struct gal_literal *v,
                                 struct gal_arena *arena, struct gal_err *err)
{
    union {
        double number;
        int64_t integer;
        struct gal_str text;
    } data;
    struct gal_tensor t = {.dtype = f->dtype, .count = 1, .data = &data};
    if (!v->set || v->null)
        return GAL_OK;
    gal_check_put(f, v, &data);
    enum gal_verdict verdict = gal_check_element(f, &t, 0);
    if (verdict == GAL_VERDICT_FINE ||
        (verdict == GAL_VERDICT_OUTLIER && f->outlier == GAL_OUTLIER_FLAG))
        return GAL_OK;
    return gal_fail(err, GAL_INVALID, "%.*s is not taken: %s", GAL_STR_SHOWN(v->text),
                    gal_check_message(f, verdict, arena));
}

static enum gal_status check_owns(struct gal_feature *f, struct gal_feature_check *c,
                                  struct gal_arena *arena, const char **field, struct gal_err *err)
{
    const uint32_t *table = c->table;
    enum gal_status status = GAL_OK;
    *field = "values"; /* held against the other conditions alone */
    c->table = NULL;
    for (size_t i = 0; i < f->value_count && !status; i++)
        status = check_own(f, &f->values[i], arena, err);
    c->table = table;
    if (status)
        return status;
    *field = "default";
    status = check_own(f, &f->absent, arena, err);
    if (status)
        return status;
    *field = "example";
    return check_own(f, &f->example, arena, err);
}

enum gal_status gal_check_prepare(struct gal_feature *f, struct gal_arena *arena,
                                  const char **field, struct gal_err *err)
{
    struct gal_feature_check *c = gal_arena_small(arena, sizeof *c);
    enum gal_status status = GAL_OK;
    *field = "";
    if (!c)
        return gal_arena_fail(arena, sizeof *c, "a feature", err);
    memset(c, 0, sizeof *c);
    f->check = c;
    set_whole(f, c);
    set_real(f, c);
    if (f->pattern) {
        struct gal_pattern *pattern;
        *field = "pattern";
        status = gal_pattern_new(gal_str_of(f->pattern), arena, &pattern, err);
        c->pattern = pattern;
    }
    if (!status && f->value_count)
        status = set_table(f, c, arena, err);
    return status ? status : check_owns(f, c, arena, field, err);
}
