/* SPDX-License-Identifier: Apache-2.0 */
/* The names of an output's classes: the lines of its label_filename (config.pbtxt), else the model
 * file's metadata `class_names`, a JSON array of text, for every output. In a model's arena. */
#ifndef GAL_MODEL_LABELS_H
#define GAL_MODEL_LABELS_H

#include "model/config.h"

struct gal_labels {
    const struct gal_str *names; /* by index of the class */
    size_t count;                /* classes beyond have no name */
};

/* One an output, or *out NULL when no output has any. NOT_FOUND names the file. */
enum gal_status gal_labels_read(const struct gal_model_config *c, const struct gal_model_info *info,
                                struct gal_arena *arena, const struct gal_labels **out,
                                struct gal_err *err);

static inline const struct gal_labels *gal_labels_of(const struct gal_labels *labels, size_t output)
{
    return labels ? &labels[output] : NULL;
}

#endif
