/* SPDX-License-Identifier: Apache-2.0 */
/* What `galley inspect` tells of a package beside its model. */
#ifndef GAL_CLI_INSPECT_PACKAGE_H
#define GAL_CLI_INSPECT_PACKAGE_H

#include "base/buf.h"
#include "package/package.h"

#include <stdio.h>

/* Features, rules, steps, outputs, golden cases, metadata. p's digest is shown where it is known.
 */
void gal_inspect_print_package(FILE *out, struct gal_package *p);
/* The same as the members of a JSON object: {"path": ..., "digest": ..., "features": [...], ...}.
 */
void gal_inspect_put_package(struct gal_buf *out, struct gal_package *p);

#endif
