/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a side of a rule. Oracle: what is read has its bounds, and gives a row the same
 * value alone as among others. */
#include "package/expression.h"

#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t find(void *ctx, struct gal_str name, const char **problem)
{
    (void)ctx;
    *problem = "is no feature";
    return gal_str_is(name, "a") ? 0 : gal_str_is(name, "b c") ? 1 : SIZE_MAX;
}

static void compute(const struct gal_expression *e)
{
    static const double a[] = {1.5, -2, (double)NAN};
    static const int64_t b[] = {0, 3, INT64_MAX};
    const struct gal_value values[] = {
        {.tensor = {.dtype = GAL_DT_FP64, .count = 3, .data = a}},
        {.tensor = {.dtype = GAL_DT_INT64, .count = 3, .data = b}},
    };
    double all[GAL_EXPRESSION_ROWS], one[GAL_EXPRESSION_ROWS];
    gal_expression_values(e, values, 0, 3, all);
    for (size_t i = 0; i < 3; i++) {
        gal_expression_values(e, values, i, 1, one);
        GAL_ASSERT(one[0] == all[i] || (isnan(one[0]) && isnan(all[i])));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gal_arena arena;
    struct gal_expression e;
    struct gal_err err;
    gal_arena_init(&arena, 4096, 0, 1u << 20);
    gal_err_clear(&err);
    if (gal_expression_read((struct gal_str){(const char *)data, size}, find, NULL, &arena, &e,
                            &err)) {
        GAL_ASSERT(err.code == GAL_INVALID && err.message[0]);
    } else {
        GAL_ASSERT(e.count > 0 && e.count <= GAL_EXPRESSION_TERMS_MAX);
        compute(&e);
    }
    gal_arena_release(&arena);
    return 0;
}
