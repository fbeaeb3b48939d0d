/* SPDX-License-Identifier: Apache-2.0 */
/* Rules over several features (VAL-05). */
#include "package/check_impl.h"

#include <math.h>

static bool holds(enum gal_rule_op op, int order)
{
    switch (op) {
    case GAL_RULE_LT:
        return order < 0;
    case GAL_RULE_LE:
        return order <= 0;
    case GAL_RULE_GT:
        return order > 0;
    case GAL_RULE_GE:
        return order >= 0;
    case GAL_RULE_EQ:
        return order == 0;
    case GAL_RULE_NE:
        return order != 0;
    }
    return true;
}

/* A value that is wrong by itself breaks no rule. */
static bool is_wrong(const struct gal_findings *out, size_t feature, size_t row)
{
    for (size_t i = 0; i < out->count; i++) {
        if (out->at[i].feature == feature && out->at[i].row == row && !out->at[i].flag)
            return true;
    }
    return false;
}

static bool has_wrong(const struct gal_expression *e, const struct gal_findings *out, size_t row)
{
    for (size_t i = 0; i < e->count; i++) {
        if (e->terms[i].kind == GAL_TERM_FEATURE && is_wrong(out, e->terms[i].feature, row))
            return true;
    }
    return false;
}

static void broken(const struct gal_manifest *m, const struct gal_rule *r, size_t row,
                   struct gal_findings *out)
{
    if (!has_wrong(&r->left, out, row) && !has_wrong(&r->right, out, row))
        gal_check_add(out, (struct gal_finding){gal_manifest_feature(m, r->field), row, 0, "rule",
                                                r->message, false});
}

/* Rows of the features in e, the same for all; false: one is not there. */
static bool count_rows(const struct gal_expression *e, const struct gal_value *values, size_t *rows)
{
    for (size_t i = 0; i < e->count; i++) {
        const struct gal_value *v = &values[e->terms[i].feature];
        if (e->terms[i].kind != GAL_TERM_FEATURE)
            continue;
        if (v->kind != GAL_KIND_TENSOR || (*rows != SIZE_MAX && v->tensor.count != *rows))
            return false;
        *rows = v->tensor.count;
    }
    return true;
}

/* The column that a side is, where it is one of 64-bit integers: FP64 does not tell all apart. */
static const int64_t *whole_column(const struct gal_expression *e, const struct gal_value *values)
{
    size_t feature = gal_expression_feature(e);
    if (feature == SIZE_MAX || values[feature].tensor.dtype != GAL_DT_INT64)
        return NULL;
    return values[feature].tensor.data;
}

/* Rows first .. first + count - 1. Null is neither less nor more: the rule holds. */
static void check_block(const struct gal_manifest *m, const struct gal_rule *r,
                        const struct gal_value *values, size_t first, size_t count,
                        struct gal_findings *out)
{
    double left[GAL_EXPRESSION_ROWS], right[GAL_EXPRESSION_ROWS];
    gal_expression_values(&r->left, values, first, count, left);
    gal_expression_values(&r->right, values, first, count, right);
    for (size_t i = 0; i < count; i++) {
        if (!isnan(left[i]) && !isnan(right[i]) &&
            !holds(r->op, (left[i] > right[i]) - (left[i] < right[i])))
            broken(m, r, first + i, out);
    }
}

void gal_check_rule(const struct gal_manifest *m, const struct gal_rule *r,
                    const struct gal_value *values, struct gal_findings *out)
{
    size_t rows = SIZE_MAX;
    if (!count_rows(&r->left, values, &rows) || !count_rows(&r->right, values, &rows))
        return;
    const int64_t *a = whole_column(&r->left, values), *b = whole_column(&r->right, values);
    for (size_t row = 0; a && b && row < rows; row++) {
        if (!holds(r->op, (a[row] > b[row]) - (a[row] < b[row])))
            broken(m, r, row, out);
    }
    for (size_t row = 0; !(a && b) && row < rows; row += GAL_EXPRESSION_ROWS) {
        size_t left = rows - row;
        check_block(m, r, values, row, left < GAL_EXPRESSION_ROWS ? left : GAL_EXPRESSION_ROWS,
                    out);
    }
}
