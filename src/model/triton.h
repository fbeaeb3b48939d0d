/* SPDX-License-Identifier: Apache-2.0 */
/* Triton's config.pbtxt as a model's configuration. Every field of its ModelConfig is a row of a
 * table and is taken, noted (it changes nothing here: gal_model_config.notes), or refused with its
 * line and what to do. What the file leaves out stays as it was in the configuration, but for two
 * things that Triton's users rely on: a file with max_batch_size but without dynamic_batching turns
 * batching off, and one without version_policy serves the latest version unless `versions` was
 * told.
 *
 * docs/triton.md is the user's side of it. */
#ifndef GAL_MODEL_TRITON_H
#define GAL_MODEL_TRITON_H

#include "model/config.h"

#define GAL_TRITON_FILE "config.pbtxt"

/* Reads `text`, the content of `path`, into c, which has the defaults. `dir` is the model's
 * directory (warm-up files lie in its warmup/) and `name` what it is called. INVALID or UNSUPPORTED
 * with `PATH:LINE` as place. Memory is the arena's. */
enum gal_status gal_triton_read(struct gal_str text, const char *path, const char *dir,
                                const char *name, struct gal_model_config *c,
                                struct gal_arena *arena, struct gal_err *err);

/* The same of a ModelConfig in JSON, as GET .../config shows it and a load may bring it: one table,
 * two syntaxes. `source` stands for the file; the place of an error is `SOURCE.input[0].dims`. */
enum gal_status gal_triton_read_json(struct gal_str text, const char *source, const char *dir,
                                     const char *name, struct gal_model_config *c,
                                     struct gal_arena *arena, struct gal_err *err);

/* "TYPE_FP32"; "TYPE_INVALID" for NONE. */
const char *gal_triton_type_name(enum gal_dtype t);

#endif
