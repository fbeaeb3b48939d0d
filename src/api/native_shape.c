/* SPDX-License-Identifier: Apache-2.0 */
/* Shapes of rows: what the model says of them, and what a row's JSON tells. */
#include "api/native.h"

const int64_t *gal_native_row_shape(const struct gal_model *m, const struct gal_port *port,
                                    size_t *rank)
{
    size_t skip = m->batch_dim && port->rank > 0 ? 1 : 0;

    *rank = port->rank - skip;
    return port->shape + skip;
}

bool gal_native_is_bare(const struct gal_model *m, const struct gal_port *port)
{
    size_t rank;
    const int64_t *shape = gal_native_row_shape(m, port, &rank);

    if (!port->shape_known)
        return false;
    for (size_t i = 0; i < rank; i++)
        if (shape[i] != 1)
            return false;
    return true;
}

size_t gal_native_name_count(const struct gal_model *m)
{
    size_t rank, count = 1, open = 0;
    const int64_t *shape;

    if (m->feature_count == 0 || m->info->input_count != 1 || !m->info->inputs[0].shape_known)
        return 0;
    shape = gal_native_row_shape(m, &m->info->inputs[0], &rank);
    for (size_t i = 0; i < rank; i++) {
        if (shape[i] < 0)
            open++;
        else if (__builtin_mul_overflow(count, (size_t)shape[i], &count))
            return 0;
    }
    if (open == 1 && count == 1)
        return m->feature_count;
    return open == 0 && count == m->feature_count ? count : 0;
}

size_t gal_native_nesting(yyjson_val *v, size_t lens[GAL_RANK_MAX])
{
    size_t depth = 0;

    while (yyjson_is_arr(v) && depth < GAL_RANK_MAX) {
        lens[depth++] = yyjson_arr_size(v);
        v = yyjson_arr_get_first(v);
    }
    return depth;
}

bool gal_native_settle(const int64_t *spec, size_t rank, yyjson_val *v, int64_t *out)
{
    size_t lens[GAL_RANK_MAX], depth = gal_native_nesting(v, lens), open = 0, last = 0, known = 1;
    bool told = true;

    for (size_t i = 0; i < rank; i++) {
        out[i] = spec[i];
        if (spec[i] < 0) {
            out[i] = 1;
            last = i;
            open++;
        } else if (__builtin_mul_overflow(known, (size_t)spec[i], &known)) {
            known = 0;
        }
    }
    if (open == 0)
        return true;
    for (size_t i = 0; depth == rank && i < rank; i++)
        if (spec[i] < 0 && (told = told && lens[i] > 0))
            out[i] = (int64_t)lens[i];
    if (depth == 1 && rank > 1 && open == 1 && known > 0 && lens[0] >= known) {
        out[last] = (int64_t)(lens[0] / known);
        return true;
    }
    return told && depth == rank;
}
