/* SPDX-License-Identifier: Apache-2.0 */
/* Requests in a file as cases: the inputs of a model, one case a request. */
#ifndef GAL_CLI_CASES_H
#define GAL_CLI_CASES_H

#include "model/catalog.h"
#include "package/golden.h"

/* What stands in a file of inputs, in one of these forms:
 * - a request of the native API: {"features": ROW}, {"instances": [ROW, ...]}, a ROW that is an
 *   object of features;
 * - a request of the Open Inference Protocol: {"inputs": [TENSOR, ...]};
 * - an array of rows and native requests; one that holds numbers or texts is a row itself;
 * - golden cases, {"cases": [...]};
 * - JSON lines: any of these but golden cases on each line.
 * Read as the server reads them: a package's defaults stand for what is left out, and what its
 * features refuse is INVALID with the place in the file ("rows.jsonl: line 3: instances[0].age").
 * rtol and atol are put into each case, but golden ones. Memory from the arena; `text` is borrowed
 * as long. */
enum gal_status gal_cases_read(struct gal_str text, const char *path, const struct gal_model *m,
                               double rtol, double atol, struct gal_arena *arena,
                               struct gal_golden **out, struct gal_err *err);
/* Other tolerances for all of them. */
void gal_cases_tolerate(struct gal_golden *g, double rtol, double atol);

#endif
