/* SPDX-License-Identifier: Apache-2.0 */
/* What a modelcar has beside its models: KServe runs it as a sidecar with
 * `sh -c "ln -sf /proc/$$/root/models /mnt/ && sleep infinity"`. */
#ifndef GAL_SHIP_MODELCAR_H
#define GAL_SHIP_MODELCAR_H

#include "ship/image.h"

/* A static busybox with those names; NULL when the system has none. Borrowed, static. */
const char *gal_modelcar_busybox(void);
/* Puts it into the image's first layer. UNSUPPORTED: it is not static. */
enum gal_status gal_modelcar_tools(const char *busybox, struct gal_ship *image,
                                   struct gal_err *err);

#endif
