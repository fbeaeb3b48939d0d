/* SPDX-License-Identifier: Apache-2.0 */
/* MLflow's scoring protocol and SageMaker's container contract, which share their paths: bodies
 * become the model's inputs, its outputs become {"predictions": ...} or CSV. Codecs are pure;
 * memory from the arena. Columns are named or in order; see docs/mlflow.md. */
#ifndef GAL_API_MLFLOW_H
#define GAL_API_MLFLOW_H

#include "api/native.h"

struct gal_mlflow {
    struct gal_native rows; /* where `inputs` is NULL */
    yyjson_val *inputs;     /* whole tensors: an object by name, or the only input's */
    yyjson_val *params;     /* an object; NULL: none, or an empty one */
    bool table;             /* answered by rows: dataframe_split, dataframe_records, CSV */
};

/* Takes a JSON body apart, before the model is known. `sagemaker`: a bare array stands for
 * instances, and {"features": row} for a row. INVALID in err. */
enum gal_status gal_mlflow_envelope(yyjson_val *root, bool sagemaker, struct gal_arena *arena,
                                    struct gal_mlflow *out, struct gal_err *err);
/* CSV as rows for m. `header`: the first line names the columns. */
enum gal_status gal_mlflow_csv(struct gal_str text, bool header, const struct gal_model *m,
                               struct gal_arena *arena, struct gal_mlflow *out,
                               struct gal_err *err);
/* JSON Lines as one JSON array, in the arena. */
enum gal_status gal_mlflow_json_lines(struct gal_str text, struct gal_arena *arena,
                                      struct gal_str *out, struct gal_err *err);
/* Fills inf's inputs for x->model, which is resolved. INVALID has the first thing that is wrong,
 * and how many there are. */
enum gal_status gal_mlflow_decode(struct gal_exchange *x, struct gal_mlflow *in,
                                  struct gal_infer *inf, struct gal_err *err);

enum gal_mlflow_answer {
    GAL_MLFLOW_RECORDS, /* {"predictions": [{"OUTPUT": value}, ...]} */
    GAL_MLFLOW_VALUES,  /* the same, bare values where one output has one element a row */
    GAL_MLFLOW_WHOLE,   /* {"predictions": {"OUTPUT": [...]}} */
    GAL_MLFLOW_CSV,     /* a line a row, all outputs' elements in order; no header */
};
/* Appends the answer; rows become WHOLE where an output has no part for each row, for CSV that is
 * UNSUPPORTED. */
enum gal_status gal_mlflow_encode(const struct gal_native_answer *a, enum gal_mlflow_answer form,
                                  struct gal_buf *out, struct gal_err *err);

#endif
