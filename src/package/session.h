/* SPDX-License-Identifier: Apache-2.0 */
/* A package as a session of the backend interface: its inputs are the features, its outputs what
 * the last step leaves; between them run the steps before, the model and the steps after, on whole
 * batches. The floors above see a model like any other.
 *
 * Binding: a model input takes the column of its name (cast where the datatypes differ and nothing
 * is lost); a single model input without such a column takes all columns that nobody else takes,
 * put together in the order of the features. Anything else is an error of the load, which names the
 * columns that are left. */
#ifndef GAL_PACKAGE_SESSION_H
#define GAL_PACKAGE_SESSION_H

#include "backend/backend.h"
#include "package/package.h"

/* Ops whose sessions come from gal_packed_new; their `load` is UNSUPPORTED. */
extern const struct gal_backend_ops gal_packed_ops;

/* Takes the inner session (it is freed with the new one, and on failure). The package is borrowed
 * and outlives the session. */
enum gal_status gal_packed_new(struct gal_package *package, const struct gal_backend_ops *inner_ops,
                               struct gal_session *inner, struct gal_session **out,
                               struct gal_err *err);
/* Of such a session: its steps make rows as long as the longest of a call. */
bool gal_packed_pads(const struct gal_session *session);

#endif
