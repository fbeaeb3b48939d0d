/* SPDX-License-Identifier: Apache-2.0 */
/* `reshape` of a config.pbtxt: clients see an input or output in one shape (`dims`), the model
 * has it in another (`reshape.shape`) of as many elements. A session behind another that the rest
 * of galley uses as any: its description has the clients' shapes, and each run gives tensors the
 * model's shape on the way in and the clients' on the way out. No data is copied. */
#ifndef GAL_MODEL_RESHAPE_H
#define GAL_MODEL_RESHAPE_H

#include "model/config.h"

/* Replaces *ops and *session, which is taken, by a view of it when a declared input or output has a
 * reshape; leaves them as they are otherwise, and on failure. The configuration has been compared
 * with the model (gal_model_config_check). NO_MEMORY. */
enum gal_status gal_reshape_wrap(const struct gal_model_config *c,
                                 const struct gal_backend_ops **ops, struct gal_session **session,
                                 struct gal_err *err);

#endif
