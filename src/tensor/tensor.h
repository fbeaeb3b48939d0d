/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors as every floor above sees them: datatype, shape, bytes; row-major, contiguous, host
 * memory, native (little) endian. A BYTES tensor's data is an array of struct gal_str. Structures
 * borrow: shape, name and data belong to a request's arena or to a backend's value. */
#ifndef GAL_TENSOR_TENSOR_H
#define GAL_TENSOR_TENSOR_H

#include "base/arena.h"
#include "tensor/dtype.h"

struct gal_tensor {
    struct gal_str name; /* borrowed */
    enum gal_dtype dtype;
    size_t rank;          /* 0 for a scalar; at most GAL_RANK_MAX */
    const int64_t *shape; /* rank sizes, each >= 0; borrowed; may be NULL when rank is 0 */
    size_t count;         /* elements: the product of shape */
    const void *data;     /* count * gal_dtype_size bytes; borrowed; may be NULL when count is 0 */
};

/* What a backend gives or takes beyond tensors: ONNX sequences, maps and absent optionals. */
enum gal_kind { GAL_KIND_TENSOR, GAL_KIND_SEQUENCE, GAL_KIND_MAP, GAL_KIND_NONE };

struct gal_value {
    enum gal_kind kind;
    struct gal_tensor tensor; /* TENSOR; for all kinds tensor.name is the value's name */
    struct gal_value *items;  /* SEQUENCE: count items; MAP: items[0] keys, items[1] values, both
                                 tensors of rank 1 and one length */
    size_t count;             /* SEQUENCE: items; MAP: 2 */
    void *handle;             /* a backend's owner of the bytes; NULL when an arena owns them */
};

/* Product of the sizes. INVALID for a negative size, TOO_LARGE when count or bytes overflow. */
enum gal_status gal_shape_count(const int64_t *shape, size_t rank, enum gal_dtype t, size_t *count,
                                struct gal_err *err);
/* True when `shape` fits `spec` (same rank; -1 in spec stands for any size). */
bool gal_shape_fits(const int64_t *shape, size_t rank, const int64_t *spec, size_t spec_rank);
/* "[-1,30]" into out, cut when it does not fit; returns out. */
char *gal_shape_format(const int64_t *shape, size_t rank, char *out, size_t size);

/* Element i as a double: exact but for whole numbers beyond 2^53, which are rounded. BOOL is 0 or
 * 1; NaN of what is no number. */
double gal_tensor_number(const struct gal_tensor *t, size_t i);

/* The Triton binary tensor layout, little-endian, unpadded; BYTES = u32 length + bytes an element.
 *
 * Decode: fills t->data from `raw` for t's dtype and count (set by the caller). Numeric data is
 * borrowed from raw when its address suits the datatype, else copied into the arena. INVALID with
 * a message that names the tensor, the bytes expected and the bytes got. BOOL bytes other than 0
 * and 1 are refused. BYTES elements borrow from raw. TOO_LARGE or NO_MEMORY from the arena. */
enum gal_status gal_tensor_from_raw(struct gal_tensor *t, struct gal_str raw,
                                    struct gal_arena *arena, struct gal_err *err);
/* Bytes that the binary layout takes for t. */
size_t gal_tensor_raw_size(const struct gal_tensor *t);
/* Writes exactly gal_tensor_raw_size(t) bytes. A BYTES element is shorter than 4 GiB: the bound on
 * a response, checked when room for it is made, sees to that. */
void gal_tensor_to_raw(const struct gal_tensor *t, void *out);

#endif
