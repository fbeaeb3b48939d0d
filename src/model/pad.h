/* SPDX-License-Identifier: Apache-2.0 */
/* Padding: requests whose size on a named axis differs are filled up to the next bucket, so that
 * they run together and the engine meets few shapes, and their answers are cut back to the size
 * that each came with.
 *
 * An axis is a symbolic dimension of the model ("sequence": every dimension of that name), or one
 * dimension of one input (INPUT:INDEX, from 0), which stands for its name when it has one.
 *
 * In: the inputs of one request must agree on the size of an axis. A size that is 0, a bucket, or
 * beyond the last bucket runs as it is, as does a request that leaves out the mask. What is added
 * has the padding's value (empty text in BYTES), in the mask 0.
 *
 * Out: an output that carries the name is cut on it where it has the bucket's size. A nameless open
 * dimension of an output is cut when it has the bucket's size at the very place that the axis has
 * in an input; one of another name is left as it is.
 *
 * Pure; any thread may use a gal_pad, which is immutable, with tensors and an arena of its own. */
#ifndef GAL_MODEL_PAD_H
#define GAL_MODEL_PAD_H

#include "model/config.h"

struct gal_pad;

/* What was done to one request. Zeroed: nothing. */
struct gal_padded {
    int64_t from[GAL_PADDINGS_MAX]; /* the request's own size on the axis */
    int64_t to[GAL_PADDINGS_MAX];   /* the bucket; 0: not padded */
    bool any;
};

/* Finds the axes in the model. info is borrowed for the pad's life, which is the arena's; paddings
 * for the call. batch_dim: the first dimension of all inputs is the batch, which cannot be
 * padded. *out is NULL when count is 0. INVALID, with the axis as place: it is no dimension of the
 * model, or not an open one, or the batch; the mask is no input or does not carry it; no bucket, or
 * buckets that do not ascend; a value that an input's datatype cannot hold. */
enum gal_status gal_pad_new(const struct gal_padding *paddings, size_t count,
                            const struct gal_model_info *info, bool batch_dim,
                            struct gal_arena *arena, struct gal_pad **out, struct gal_err *err);

/* Replaces those of the inputs (info->input_count, in the model's order) that are to be padded by
 * larger copies in the arena. p NULL: does nothing. INVALID when two inputs disagree on an axis;
 * TOO_LARGE and NO_MEMORY from the arena. On failure the inputs are as they were. */
enum gal_status gal_pad_in(const struct gal_pad *p, struct gal_value *inputs,
                           struct gal_arena *arena, struct gal_padded *state, struct gal_err *err);
/* Cuts outputs (in the order of wanted) back: shape, count and data are replaced, the handle stays.
 * Nothing is copied where only the outermost dimension that is not 1 is cut. On failure some may be
 * cut and others not; all are still to be released. */
enum gal_status gal_pad_out(const struct gal_pad *p, const struct gal_padded *state,
                            const size_t *wanted, size_t output_count, struct gal_value *outputs,
                            struct gal_arena *arena, struct gal_err *err);

#endif
