/* SPDX-License-Identifier: Apache-2.0 */
/* A view on a session whose outputs are tensors alone, as the Open Inference Protocol shows them: a
 * sequence of maps (ZipMap) is the matrix of its values. So can a bare model be compared with what
 * a server answers. Borrows the session below. */
#ifndef GAL_CLI_FLAT_H
#define GAL_CLI_FLAT_H

#include "backend/backend.h"

extern const struct gal_backend_ops gal_flat_ops;

enum gal_status gal_flat_new(const struct gal_backend_ops *ops, struct gal_session *session,
                             struct gal_session **out, struct gal_err *err);

#endif
