/* SPDX-License-Identifier: Apache-2.0 */
/* Made-up inputs: random by a seed, small, and short as text. Floats are within -1..1 with four
 * decimals, integers and BOOL are 0 or 1 (an index into any table), BYTES are "a". Pure. */
#ifndef GAL_LOAD_VALUES_H
#define GAL_LOAD_VALUES_H

#include "load/arrivals.h"
#include "load/meta.h"
#include "text/json.h"

struct gal_load_tensor {
    struct gal_str name;
    enum gal_dtype dtype;
    size_t rank;
    int64_t shape[GAL_RANK_MAX];
    size_t count;
    double *values; /* arena's; for BYTES NULL */
};

/* A tensor of shape `shape`, or of the input's own, in which an open first size is `rows`, and one
 * that is given replaces the first when `rows` is not 0. INVALID when another size is open, with
 * the option that says it as hint. */
enum gal_status gal_values_make(const struct gal_load_input *in, const int64_t *shape, size_t rank,
                                uint64_t rows, struct gal_random *random, struct gal_arena *arena,
                                struct gal_load_tensor *out, struct gal_err *err);
/* The element as JSON. */
void gal_values_put_json(struct gal_buf *out, const struct gal_load_tensor *t, size_t index);
/* All in the binary layout, little-endian. */
void gal_values_put_raw(struct gal_buf *out, const struct gal_load_tensor *t);
size_t gal_values_raw_size(const struct gal_load_tensor *t);

#endif
