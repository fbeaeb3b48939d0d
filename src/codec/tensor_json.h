/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors as JSON: numbers, booleans and strings, flat or nested in row-major order. */
#ifndef GAL_CODEC_TENSOR_JSON_H
#define GAL_CODEC_TENSOR_JSON_H

#include "tensor/tensor.h"
#include "text/json_numbers.h"

/* Decodes `data` for t's dtype, rank, shape and count (set by the caller, bounded by it) into arena
 * memory and sets t->data. Flat, or nested exactly as the shape says (also any depth between, when
 * the order is row-major and lengths agree: count must match). Strict: BOOL takes true, false (and
 * 0, 1); integers take JSON integers in range (1.0 is refused); floats take numbers, and "NaN",
 * "Infinity", "-Infinity"; BYTES takes strings. INVALID with place = "`where`[i]" style index of
 * the offending element and what was expected and found. */
enum gal_status gal_tensor_from_json(yyjson_val *data, struct gal_tensor *t, const char *where,
                                     struct gal_arena *arena, struct gal_err *err);
/* The same for numbers read past the tree; they become the tensor's data where they are. False when
 * gal_tensor_from_json would refuse them: it knows why. */
bool gal_tensor_from_numbers(struct gal_json_numbers *numbers, struct gal_tensor *t);
/* True when arrays of these lengths, level by level, are t's shape: flat, or its sizes,
 * neighbouring ones possibly joined. */
bool gal_levels_fit(const struct gal_tensor *t, const size_t *lens, size_t depth);
/* One JSON scalar into element `index` of t's writable data; the rules above. Used by row
 * assembly. */
enum gal_status gal_element_from_json(yyjson_val *v, enum gal_dtype dtype, void *data, size_t index,
                                      struct gal_arena *arena, struct gal_err *err);

/* Appends a JSON array: flat, or nested by shape. BYTES that are not UTF-8 make it INVALID (ask
 * for binary data instead). FP16 and BF16 as the shortest number that reads back the same. */
enum gal_status gal_tensor_to_json(const struct gal_tensor *t, bool nested, struct gal_buf *out,
                                   struct gal_err *err);
/* Appends one element. */
enum gal_status gal_element_to_json(const struct gal_tensor *t, size_t index, struct gal_buf *out,
                                    struct gal_err *err);
/* Appends elements [from, from+count) as nested arrays of the trailing `rank` dimensions. */
enum gal_status gal_slice_to_json(const struct gal_tensor *t, size_t from, const int64_t *shape,
                                  size_t rank, struct gal_buf *out, struct gal_err *err);

#endif
