/* SPDX-License-Identifier: Apache-2.0 */
/* Paths and queries (RFC 3986). Pure. */
#ifndef GAL_HTTP_URL_H
#define GAL_HTTP_URL_H

#include "base/arena.h"
#include "base/buf.h"

/* Percent-decodes one path segment or query part. The result borrows s when nothing is encoded,
 * else lies in the arena. INVALID for a broken escape or an encoded NUL. `plus` turns + to space.
 */
enum gal_status gal_url_decode(struct gal_str s, bool plus, struct gal_arena *arena,
                               struct gal_str *out, struct gal_err *err);
/* Value of `name` in a query, decoded; false when absent. `name` alone (no =) gives an empty value.
 */
bool gal_query_get(struct gal_str query, const char *name, struct gal_arena *arena,
                   struct gal_str *out);
/* Appends s as one path segment: percent-encoded but for letters, digits and -._~ */
void gal_url_put_segment(struct gal_buf *out, struct gal_str s);

#endif
