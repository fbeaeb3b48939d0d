/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors from one datatype to another, where that says the same: whole numbers and BOOL to floats
 * (rounded to the nearest), floats to floats, whole numbers to whole ones that hold them, floats
 * that are whole numbers to whole ones. Any thread. */
#ifndef GAL_PACKAGE_CAST_H
#define GAL_PACKAGE_CAST_H

#include "tensor/tensor.h"

/* Can values of `from` ever become `to`? */
bool gal_cast_may(enum gal_dtype from, enum gal_dtype to);
/* Fills t->dtype and t->data (arena's) for `to` from t; the same datatype is left as it is. INVALID
 * names element and value: one that `to` cannot hold. */
enum gal_status gal_cast(struct gal_tensor *t, enum gal_dtype to, struct gal_arena *arena,
                         struct gal_err *err);
/* Elements [from, from + count) of t as FP32 or FP64 numbers to out, `stride` elements apart. */
void gal_cast_copy(const struct gal_tensor *t, size_t from, size_t count, enum gal_dtype to,
                   void *out, size_t out_at);

#endif
