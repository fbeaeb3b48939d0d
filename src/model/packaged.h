/* SPDX-License-Identifier: Apache-2.0 */
/* A model that comes as a package: its session between the package's steps, its digests, its golden
 * cases. For model/model.c. */
#ifndef GAL_MODEL_PACKAGED_H
#define GAL_MODEL_PACKAGED_H

#include "model/model.h"

/* Loads m->package's model and makes the package's session of it: m->ops, m->session, m->manifest,
 * m->sha256, m->package_digest. The bytes are held against their digests beside the load, and
 * before it returns unless the configuration says otherwise. INVALID: damaged, or it does not fit.
 */
enum gal_status gal_packaged_open(struct gal_model *m, const struct gal_model_options *o,
                                  struct gal_err *err);
/* Runs the golden cases: INVALID, with the difference, when one is not reproduced. Their first
 * inputs become m->sample. */
enum gal_status gal_packaged_prove(struct gal_model *m, struct gal_err *err);

#endif
