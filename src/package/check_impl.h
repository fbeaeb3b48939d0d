/* SPDX-License-Identifier: Apache-2.0 */
/* What check*.c share. */
#ifndef GAL_PACKAGE_CHECK_IMPL_H
#define GAL_PACKAGE_CHECK_IMPL_H

#include "package/check.h"
#include "package/pattern.h"

/* A feature's conditions in the form in which columns are looked at. All bounds are inclusive. */
struct gal_feature_check {
    int64_t low, high;          /* whole numbers and bools */
    int64_t odd_low, odd_high;  /* what lies beyond is an outlier */
    double real_low, real_high; /* floats, rounded as the datatype holds them */
    double odd_real_low, odd_real_high;
    const struct gal_pattern *pattern; /* NULL: none */
    const uint32_t
        *table;  /* `values` by hash: place in them and 1, 0 where free; NULL: any value */
    size_t mask; /* of the table */
};

enum gal_verdict {
    GAL_VERDICT_FINE,
    GAL_VERDICT_NULL,  /* NaN */
    GAL_VERDICT_WHOLE, /* a fraction, or beyond what is exact */
    GAL_VERDICT_LOW,
    GAL_VERDICT_HIGH,
    GAL_VERDICT_SHORT,
    GAL_VERDICT_LONG,
    GAL_VERDICT_VALUE,
    GAL_VERDICT_PATTERN,
    GAL_VERDICT_UTF8,
    GAL_VERDICT_OUTLIER,
    GAL_VERDICT_COUNT
};

/* The bytes by which a value is found in the table: text, or the number. */
union gal_check_key {
    int64_t integer;
    double number;
};
struct gal_str gal_check_key(const struct gal_feature *f, const struct gal_literal *v,
                             union gal_check_key *own);
/* Of whole numbers and bools; of UINT64 what int64_t holds. */
void gal_check_int_range(enum gal_dtype t, int64_t *low, int64_t *high);
/* A number as a float datatype holds it. */
double gal_check_round(enum gal_dtype t, double v);

/* One element of a column of f's datatype. */
enum gal_verdict gal_check_element(const struct gal_feature *f, const struct gal_tensor *t,
                                   size_t i);
/* Is all of the column plainly fine? False: maybe not. */
bool gal_check_at_once(const struct gal_feature *f, const struct gal_tensor *t);
/* Behind the others, or counted where there is no more room. */
void gal_check_add(struct gal_findings *out, struct gal_finding finding);
/* Rows that break the rule. */
void gal_check_rule(const struct gal_manifest *m, const struct gal_rule *r,
                    const struct gal_value *values, struct gal_findings *out);
const char *gal_check_message(const struct gal_feature *f, enum gal_verdict v,
                              struct gal_arena *arena);

#endif
