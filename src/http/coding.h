/* SPDX-License-Identifier: Apache-2.0 */
/* Content codings gzip and deflate (RFC 9110 8.4.1) over zlib, and their negotiation. Pure. */
#ifndef GAL_HTTP_CODING_H
#define GAL_HTTP_CODING_H

#include "base/arena.h"
#include "base/buf.h"

enum gal_coding { GAL_CODING_IDENTITY, GAL_CODING_GZIP, GAL_CODING_DEFLATE, GAL_CODING_UNKNOWN };

/* Value of a Content-Encoding header (one coding; a list is UNKNOWN; absent is IDENTITY). */
enum gal_coding gal_coding_parse(struct gal_str value);
const char *gal_coding_name(enum gal_coding c);
/* Best of gzip, deflate, identity for an Accept-Encoding value (RFC 9110 12.5.3 with q values);
 * ties go to gzip, identity when the header is absent or names nothing we have. */
enum gal_coding gal_coding_choose(struct gal_str accept_encoding);

/* Whole body. INVALID for broken or trailing data, TOO_LARGE past bytes_max or past
 * GAL_INFLATE_RATIO_MAX. `deflate` is zlib's format; raw deflate, which some clients send, is taken
 * too. zlib's own memory comes from the arena. The result lies in the arena. */
enum gal_status gal_inflate(enum gal_coding c, struct gal_str in, size_t bytes_max,
                            struct gal_arena *arena, struct gal_str *out, struct gal_err *err);
/* Appends the coded form of the parts to out (level 1: speed). */
enum gal_status gal_deflate(enum gal_coding c, const struct gal_str *parts, size_t count,
                            struct gal_arena *arena, struct gal_buf *out, struct gal_err *err);

#endif
