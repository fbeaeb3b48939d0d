/* SPDX-License-Identifier: Apache-2.0 */
/* A model's directory made from a request's files (`file:1/model.onnx`): below a fresh directory of
 * TMPDIR that only this user may enter. Counted by the models that were loaded from it; the last
 * one takes it along. Any thread. */
#ifndef GAL_SERVER_OVERLAY_H
#define GAL_SERVER_OVERLAY_H

#include "api/control.h"

struct gal_overlay;

/* Writes the files below DIR/NAME. INVALID for a path that is not plain: relative, without empty
 * components, "." and "..", hidden names and control characters. One reference. */
enum gal_status gal_overlay_new(const char *name, const struct gal_control_file *files,
                                size_t count, struct gal_overlay **out, struct gal_err *err);
const char *gal_overlay_path(const struct gal_overlay *o); /* DIR/NAME */
struct gal_overlay *gal_overlay_ref(struct gal_overlay *o);
void gal_overlay_unref(void *overlay); /* the form of gal_model.on_gone; NULL is fine */

#endif
