/* SPDX-License-Identifier: Apache-2.0 */
/* The files that AWS's tools keep profiles in: [section], then `key = value` lines. Comments begin
 * with # or ; at a line's start, nested values (lines that begin with space) are passed over. Pure.
 */
#ifndef GAL_SOURCE_INI_H
#define GAL_SOURCE_INI_H

#include "base/str.h"

/* The last value of `key` in the sections of that name; false when there is none. A section's name
 * may have "profile " in front. Borrows text. */
bool gal_ini_get(struct gal_str text, const char *section, const char *key, struct gal_str *out);
bool gal_ini_has(struct gal_str text, const char *section);

#endif
