/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 4648's base64, with padding. Pure. */
#ifndef GAL_BASE_BASE64_H
#define GAL_BASE_BASE64_H

#include "base/arena.h"
#include "base/buf.h"

/* INVALID for anything but whole groups of the standard alphabet. The bytes are the arena's. */
enum gal_status gal_base64_decode(struct gal_str text, struct gal_arena *arena, struct gal_str *out,
                                  struct gal_err *err);
/* Appends bytes as base64, with padding. */
void gal_base64_put(struct gal_buf *out, struct gal_str bytes);

#endif
