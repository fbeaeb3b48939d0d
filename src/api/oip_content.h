/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that MLServer's content types stand for. Pure. */
#ifndef GAL_API_OIP_CONTENT_H
#define GAL_API_OIP_CONTENT_H

#include "base/arena.h"

/* Nanoseconds since 1970 of an ISO 8601 date, or date and time: 2024-01-15,
 * 2024-01-15T14:23:41.123456789+01:00; a space may stand for the T, Z for +00:00; without a zone it
 * is UTC. INVALID for any other form and beyond the years 1678 to 2261. */
enum gal_status gal_datetime_parse(struct gal_str text, int64_t *ns);

#endif
