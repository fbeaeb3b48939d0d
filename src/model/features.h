/* SPDX-License-Identifier: Apache-2.0 */
/* The names of a vector's features, as the model file's metadata gives them. */
#ifndef GAL_MODEL_FEATURES_H
#define GAL_MODEL_FEATURES_H

#include "backend/backend.h"

/* Reads metadata `feature_names`, a JSON array of text, of a model with one tensor that must be
 * given. None, or another tool's format: NULL and 0. INVALID when it is an array of text that does
 * not fit the input (another count, a name twice). All lies in the arena. */
enum gal_status gal_features_read(const struct gal_model_info *info, struct gal_arena *arena,
                                  const char *const **names, size_t *count, struct gal_err *err);

#endif
