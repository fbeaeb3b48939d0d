/* SPDX-License-Identifier: Apache-2.0 */
/* What MLflow calls a model: a directory with a file MLmodel, which tells its flavors. */
#ifndef GAL_SOURCE_MLFLOW_H
#define GAL_SOURCE_MLFLOW_H

#include "source/plan.h"

/* The file of the flavor onnx, in the arena, by the text of MLmodel. UNSUPPORTED names the flavors
 * that there are instead. */
enum gal_status gal_mlmodel_read(struct gal_str text, struct gal_arena *arena, const char **out,
                                 struct gal_err *err);
/* A directory as it was fetched: its model is called model.onnx afterwards, by a link where MLmodel
 * calls it otherwise. One without an MLmodel is left as it is. */
enum gal_status gal_mlmodel_settle(const char *dir, struct gal_arena *arena, struct gal_err *err);

#endif
