/* SPDX-License-Identifier: Apache-2.0 */
/* A package's features in requests, whatever the protocol: what stands for null and for what is
 * left out, what is refused before the model sees it. A model without a manifest is untouched. */
#ifndef GAL_API_VALIDATE_H
#define GAL_API_VALIDATE_H

#include "api/infer.h"
#include "package/check.h"
#include "text/json.h"

/* Input i of the model as its manifest describes it; NULL: nothing is told. */
const struct gal_feature *gal_validate_feature(const struct gal_model *m, size_t i);
/* Features that the manifest does not know are passed over. */
bool gal_validate_ignores(const struct gal_model *m);
/* null in v, or in arrays in it, becomes what a column of a nullable feature has for it; f NULL or
 * not nullable: it stays. */
void gal_validate_nulls(const struct gal_feature *f, yyjson_val *v);
/* Fills what is left out and checks inf->inputs into inf->findings; INVALID when it is refused.
 * Called by gal_infer_run, before the response cache and the queue. */
enum gal_status gal_validate(struct gal_exchange *x, struct gal_infer *inf, struct gal_err *err);

/* Adds the outputs by which the answer will be judged to those that the client wants. */
void gal_validate_extend(struct gal_exchange *x, struct gal_infer *inf);
/* Flags what the answer is in doubt for (confidence, stability), or refuses it: INVALID, with
 * inf->findings as of gal_validate. Called when the outputs are there. Tells of flags in the header
 * X-Galley-Review: those of "outlier", "confidence" and "stability" that there are. */
enum gal_status gal_validate_answer(struct gal_exchange *x, struct gal_infer *inf,
                                    struct gal_err *err);

#endif
