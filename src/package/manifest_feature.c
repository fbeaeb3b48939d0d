/* SPDX-License-Identifier: Apache-2.0 */
/* A feature's values by its type, and what its fields say together. */
#include "package/check_impl.h"
#include "package/manifest_fields.h"

#include "base/map.h"

#include <float.h>
#include <math.h>

#define WHOLE_MAX 9007199254740992.0 /* 2^53: above, FP64 has no room for each whole number */

/* --- one value --- */

static enum gal_status read_whole(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                  const struct gal_feature *f, struct gal_literal *out)
{
    struct gal_str s = node->scalar;
    int64_t low, high, v;
    if (s.n > 1 && s.p[0] == '+')
        s = (struct gal_str){s.p + 1, s.n - 1};
    if (gal_str_i64(s, &v)) { /* 1e6 */
        if (out->number != floor(out->number) || fabs(out->number) > WHOLE_MAX)
            return gal_manifest_fail(r, node, "'%.*s' is not a whole number of 64 bits",
                                     GAL_STR_SHOWN(node->scalar));
        v = (int64_t)out->number;
    }
    gal_check_int_range(f->declared, &low, &high);
    if (v < low || v > high) {
        gal_manifest_fail(r, node, "%.*s is no %s", GAL_STR_SHOWN(node->scalar),
                          gal_dtype_name(f->declared));
        gal_err_hint(r->err, "%lld to %lld", (long long)low, (long long)high);
        return GAL_INVALID;
    }
    out->integer = v;
    out->number = (double)v;
    return GAL_OK;
}

static double float_max(enum gal_dtype t)
{
    return t == GAL_DT_FP16   ? 65504.0
           : t == GAL_DT_FP64 ? DBL_MAX
                              : FLT_MAX; /* BF16's is that but for its last bits */
}

static enum gal_status read_number(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                   const struct gal_feature *f, struct gal_literal *out)
{
    if (node->quoted || !gal_manifest_number(node->scalar, &out->number))
        return gal_manifest_fail(r, node, "'%.*s' is not a number", GAL_STR_SHOWN(node->scalar));
    if (f->integral)
        return read_whole(r, node, f, out);
    if (fabs(out->number) > float_max(f->declared))
        return gal_manifest_fail(r, node, "%.*s is beyond %s", GAL_STR_SHOWN(node->scalar),
                                 gal_dtype_name(f->declared));
    return GAL_OK;
}

static enum gal_status read_bool(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                 struct gal_literal *out)
{
    bool yes = gal_str_is(node->scalar, "true");
    if (node->quoted || (!yes && !gal_str_is(node->scalar, "false")))
        return gal_manifest_fail(r, node, "'%.*s' is neither true nor false",
                                 GAL_STR_SHOWN(node->scalar));
    out->integer = yes;
    out->number = yes;
    return GAL_OK;
}

static enum gal_status read_null(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                 const struct gal_feature *f, bool null_is_fine,
                                 struct gal_literal *out)
{
    if (!null_is_fine)
        return gal_manifest_fail(r, node, "must be a value%s",
                                 node->scalar.n ? "; a text 'null' stands in quotes" : "");
    if (!f->nullable) {
        gal_manifest_fail(r, node, "null is not taken");
        gal_err_hint(r->err, "nullable: true");
        return GAL_INVALID;
    }
    *out = (struct gal_literal){.set = true, .null = true, .number = (double)NAN};
    return GAL_OK;
}

enum gal_status gal_manifest_literal(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                     const struct gal_feature *f, bool null_is_fine,
                                     struct gal_literal *out)
{
    if (node->type != GAL_YAML_SCALAR)
        return gal_manifest_fail(r, node, "must be one value");
    if (gal_manifest_is_null(node))
        return read_null(r, node, f, null_is_fine, out);
    *out = (struct gal_literal){.set = true, .text = node->scalar};
    switch (f->type) {
    case GAL_FEATURE_NUMBER:
        return read_number(r, node, f, out);
    case GAL_FEATURE_BOOL:
        return read_bool(r, node, out);
    default:
        return GAL_OK;
    }
}

/* --- the fields together --- */

/* The error is about `field` of the feature. */
static enum gal_status refuse(struct gal_manifest_reader *r, const struct gal_yaml *node,
                              const char *field, const char *what)
{
    const struct gal_yaml *n = gal_yaml_get(node, field);
    return gal_manifest_fail(r, n ? n : node, "%s", what);
}

static enum gal_status only_for(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                bool fits, const char *const *fields, const char *whom)
{
    for (; !fits && *fields; fields++) {
        const struct gal_yaml *n = gal_yaml_get(node, *fields);
        if (n)
            return gal_manifest_fail(r, n, "is for %s", whom);
    }
    return GAL_OK;
}

static enum gal_status check_kinds(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                   const struct gal_feature *f)
{
    static const char *const numbers[] = {"gt", "ge", "lt", "le", "outlier", "unit", NULL};
    static const char *const texts[] = {"min_length", "max_length", "pattern", NULL};
    static const char *const values[] = {"values", "default", "example", NULL};
    static const char *const nulls[] = {"nullable", NULL};
    bool is_text = f->type == GAL_FEATURE_TEXT, is_number = f->type == GAL_FEATURE_NUMBER;
    enum gal_status status = only_for(r, node, is_number, numbers, "numbers");
    if (!status)
        status = only_for(r, node, is_text, texts, "texts");
    if (!status)
        status = only_for(r, node, f->type != GAL_FEATURE_IMAGE, values, "all but images");
    if (!status)
        status =
            only_for(r, node, is_text || is_number || !f->nullable, nulls, "numbers and texts");
    return status;
}

static enum gal_status check_bounds(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                    const struct gal_feature *f)
{
    const struct gal_literal *low = f->gt.set ? &f->gt : &f->ge;
    const struct gal_literal *high = f->lt.set ? &f->lt : &f->le;
    const char *high_name = f->lt.set ? "lt" : "le";
    if (f->gt.set && f->ge.set)
        return refuse(r, node, "ge", "gt stands already: one of them");
    if (f->lt.set && f->le.set)
        return refuse(r, node, "le", "lt stands already: one of them");
    if (low->set && high->set) {
        bool touches = f->ge.set && f->le.set;
        bool empty = f->integral ? low->integer > high->integer : low->number > high->number;
        bool equal = f->integral ? low->integer == high->integer : low->number == high->number;
        if (empty || (equal && !touches))
            return refuse(r, node, high_name, "leaves no value above the lower bound");
    }
    if (f->length_min > f->length_max)
        return refuse(r, node, "max_length", "is less than min_length");
    if (f->outlier_above.set && f->outlier_below.set &&
        f->outlier_below.number > f->outlier_above.number)
        return refuse(r, node, "outlier", "below is more than above");
    return GAL_OK;
}

static enum gal_status check_twice(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                   const struct gal_feature *f)
{
    struct gal_map seen;
    enum gal_status status = GAL_OK;
    gal_map_init(&seen);
    for (size_t i = 0; i < f->value_count && !status; i++) {
        const struct gal_literal *v = &f->values[i];
        struct gal_str key = v->text;
        if (f->integral)
            key = (struct gal_str){(const char *)&v->integer, sizeof v->integer};
        else if (f->type == GAL_FEATURE_NUMBER)
            key = (struct gal_str){(const char *)&v->number, sizeof v->number};
        if (gal_map_get(&seen, key)) {
            const struct gal_yaml *n = gal_yaml_get(node, "values");
            status = gal_manifest_fail(r, n, "'%.*s' stands twice", GAL_STR_SHOWN(v->text));
        } else if (gal_map_set(&seen, key, r)) {
            status = gal_manifest_no_memory(r);
        }
    }
    gal_map_release(&seen);
    return status;
}

static enum gal_status check_shape(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                   const struct gal_feature *f)
{
    uint64_t count = 1;
    for (size_t i = 0; i < f->rank; i++) {
        if (f->shape[i] < 0 && f->absent.set)
            return refuse(r, node, "default", "a feature of any size can have none");
        if (__builtin_mul_overflow(count, (uint64_t)(f->shape[i] < 0 ? 1 : f->shape[i]), &count) ||
            count > INT32_MAX)
            return refuse(r, node, "shape", "a row has too many values");
    }
    return GAL_OK;
}

static enum gal_status prepare(struct gal_manifest_reader *r, const struct gal_yaml *node,
                               struct gal_feature *f)
{
    const char *field;
    struct gal_err err;
    if (!gal_check_prepare(f, r->arena, &field, &err))
        return GAL_OK;
    if (err.code == GAL_NO_MEMORY)
        return gal_manifest_no_memory(r);
    return refuse(r, node, field, err.message);
}

enum gal_status gal_manifest_feature_done(struct gal_manifest_reader *r,
                                          const struct gal_yaml *node, struct gal_feature *f)
{
    struct gal_yaml nameless = *node;
    nameless.key = GAL_STR("");
    const struct gal_yaml *outlier = gal_yaml_get(node, "outlier");
    enum gal_status status = check_kinds(r, &nameless, f);
    if (!status && outlier && !f->outlier_above.set && !f->outlier_below.set)
        status = gal_manifest_fail(r, outlier, "needs `above` or `below`");
    if (!status)
        status = check_bounds(r, &nameless, f);
    if (!status)
        status = check_twice(r, node, f);
    if (!status)
        status = check_shape(r, &nameless, f);
    if (outlier && f->outlier == GAL_OUTLIER_NONE)
        f->outlier = GAL_OUTLIER_REFUSE;
    if (f->nullable && f->integral)
        f->dtype = GAL_DT_FP64;
    return status ? status : prepare(r, &nameless, f);
}
