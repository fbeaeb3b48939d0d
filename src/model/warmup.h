/* SPDX-License-Identifier: Apache-2.0 */
/* Warm-up requests with a configuration's own input (gal_model_config.warmup). */
#ifndef GAL_MODEL_WARMUP_H
#define GAL_MODEL_WARMUP_H

#include "model/config.h"
#include "model/probe.h"

/* Rows of a sample: what a call of it costs is the cost of so many. 1 where the model has no batch
 * dimension. */
size_t gal_warmup_rows(const struct gal_warmup *w);
/* Runs a sample once, whatever its `count`, and throws the outputs away. Where the model's input
 * has one dimension more than the sample's, that is the batch. cost_us (may be NULL): of the run
 * alone. shape_text, size: as gal_probe_run. Every error names the sample, and the place where it
 * has one. INVALID for a sample that does not fit the model or its file, NOT_FOUND for a file that
 * is not there, else the backend's. Any thread. */
enum gal_status gal_warmup_run(const struct gal_probe_target *target,
                               const struct gal_model_config *c, const struct gal_warmup *w,
                               uint64_t *cost_us, char *shape_text, size_t size,
                               struct gal_err *err);

#endif
