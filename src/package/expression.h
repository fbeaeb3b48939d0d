/* SPDX-License-Identifier: Apache-2.0 */
/* The sides of a rule: features and numbers with + - * /, minus and parentheses, as in
 * `0.1 * (income + bonus)`. No variables, calls or conditions: an expression is read once into at
 * most 64 terms behind each other (reverse Polish), and takes for each row as long as it has terms.
 *
 * A feature is called by its name where that is letters, digits, _ and . and begins with no digit;
 * any other name stands between backticks. A text that is a feature's name as a whole is that
 * feature, whatever it is made of. Arithmetic is FP64: null is NaN, and so is 0/0; 1/0 is infinity.
 * Immutable; any thread. */
#ifndef GAL_PACKAGE_EXPRESSION_H
#define GAL_PACKAGE_EXPRESSION_H

#include "base/arena.h"
#include "tensor/tensor.h"

#define GAL_EXPRESSION_TERMS_MAX 64u
#define GAL_EXPRESSION_DEPTH_MAX 16u /* of parentheses and minus signs, and of values that wait */
#define GAL_EXPRESSION_ROWS 64u      /* rows whose values are computed together */

enum gal_term_kind {
    GAL_TERM_NUMBER,
    GAL_TERM_FEATURE,
    GAL_TERM_ADD,
    GAL_TERM_SUBTRACT,
    GAL_TERM_MULTIPLY,
    GAL_TERM_DIVIDE,
    GAL_TERM_NEGATE,
};
struct gal_term {
    enum gal_term_kind kind;
    double number;  /* NUMBER */
    size_t feature; /* FEATURE: index */
};
struct gal_expression {
    const struct gal_term *terms; /* arena's */
    size_t count;
};

/* Index of the feature of that name; SIZE_MAX: none, or none that may stand here, with what is
 * wrong of it in *problem ("is no feature"; static). */
typedef size_t (*gal_expression_find)(void *ctx, struct gal_str name, const char **problem);

/* INVALID: a sentence without a place ("'bonus' is no feature"). */
enum gal_status gal_expression_read(struct gal_str text, gal_expression_find find, void *ctx,
                                    struct gal_arena *arena, struct gal_expression *out,
                                    struct gal_err *err);
/* The feature that it is and nothing else; SIZE_MAX: it is more, or a number. */
size_t gal_expression_feature(const struct gal_expression *e);
/* Its values for rows first .. first + count - 1; count <= GAL_EXPRESSION_ROWS. Each feature in it
 * is a tensor of one number a row. */
void gal_expression_values(const struct gal_expression *e, const struct gal_value *values,
                           size_t first, size_t count, double out[GAL_EXPRESSION_ROWS]);

#endif
