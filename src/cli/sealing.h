/* SPDX-License-Identifier: Apache-2.0 */
/* What comes before a package is sealed, whichever command seals it: `galley pack`, `galley push`
 * and `galley image build` of a directory that nobody has packed. One thread. */
#ifndef GAL_CLI_SEALING_H
#define GAL_CLI_SEALING_H

#include "cli/command.h"
#include "package/package.h"

/* Loads the model of the package at `path` as it is to be served, and runs its golden cases.
 * *proved: there were some; without any nothing is loaded. INVALID as of gal_golden_prove. */
enum gal_status gal_seal_prove(struct gal_cli *cli, const struct gal_config *config,
                               const char *path, bool *proved, struct gal_err *err);
/* SOURCE_DATE_EPOCH; 0 when it is not set. INVALID: not a number. */
enum gal_status gal_cli_epoch(const struct gal_cli *cli, int64_t *out, struct gal_err *err);

#endif
