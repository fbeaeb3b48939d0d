/* SPDX-License-Identifier: Apache-2.0 */
/* The key of an inference: all that decides its outputs, as bytes, so that two requests are the
 * same exactly when their keys are. Which model it is stands beside the key, not in it.
 *
 * Layout, native byte order, unpadded: u32 number of outputs wanted, u32 index each; then for each
 * input of the model in its order u32 kind (gal_kind), and where it is a tensor u32 datatype, u32
 * rank, i64 a dimension, u64 elements, data. An element of BYTES is u64 length and its bytes.
 * Numbers are compared as bytes: 0.0 and -0.0 differ, equal NaNs are equal. */
#ifndef GAL_CACHE_KEY_H
#define GAL_CACHE_KEY_H

#include "base/arena.h"
#include "tensor/tensor.h"

struct gal_key_parts {
    const struct gal_value *inputs; /* tensors and NONE (left out) alone */
    size_t input_count;
    const size_t *wanted; /* indexes of outputs, in the order asked for */
    size_t output_count;
};

/* Bytes of the key; 0 when an input is a sequence or a map, or when the size overflows. */
size_t gal_key_size(const struct gal_key_parts *parts);
/* Writes the gal_key_size bytes that were asked for before. */
void gal_key_write(const struct gal_key_parts *parts, char *out);

#endif
