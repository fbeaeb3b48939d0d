/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON of TensorFlow Serving's REST API and of KServe's protocol version 1, which is its row
 * form: requests to tensors and back. https://www.tensorflow.org/tfx/serving/api_rest. Codecs are
 * pure; memory from the arena.
 *
 * Shapes come from the text: arrays within arrays. A tensor with one size less than the model wants
 * gets a last size of 1 where the model has one (TensorFlow's columns of features). Text stands as
 * it is, bytes as {"b64": "..."}. */
#ifndef GAL_API_TFS_H
#define GAL_API_TFS_H

#include "api/infer.h"
#include "text/json.h"

enum gal_tfs_form {
    GAL_TFS_ROWS,     /* `instances` -> `predictions` */
    GAL_TFS_COLUMNS,  /* `inputs` -> `outputs` */
    GAL_TFS_CLASSIFY, /* `examples` -> `results`: [[label, score], ...] a row */
    GAL_TFS_REGRESS,  /* `examples` -> `results`: a number a row */
};

/* Reads the body into the model's inputs (all given so far are none). `examples` says that the form
 * of classify and regress is wanted. INVALID with place, `instances[3].x`. */
enum gal_status gal_tfs_decode(yyjson_val *root, bool examples, struct gal_exchange *x,
                               struct gal_infer *inf, enum gal_tfs_form *form, struct gal_err *err);

/* Appends the answer's JSON. An output without a row for each instance makes it INVALID where rows
 * are wanted. */
enum gal_status gal_tfs_encode(const struct gal_model *m, enum gal_tfs_form form,
                               const struct gal_infer *inf, size_t rows, struct gal_arena *arena,
                               struct gal_buf *out, struct gal_err *err);

/* `inputs` and `outputs` of a signature as TensorFlow Serving's metadata shows them. */
void gal_tfs_put_signature(struct gal_buf *out, const struct gal_model *m);

#endif
