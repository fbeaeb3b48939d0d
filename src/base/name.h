/* SPDX-License-Identifier: Apache-2.0 */
/* How near a typed name is to a known one: for "did you mean". Pure; any thread. */
#ifndef GAL_BASE_NAME_H
#define GAL_BASE_NAME_H

#include "base/str.h"

/* How far a typed name is from a known one: 0 when equal (case and - or _ aside), small for a slip
 * of the fingers or when `typed` is the end of `known` ("port", "http_port"); SIZE_MAX when they
 * are not near. */
size_t gal_name_distance(struct gal_str typed, const char *known);
/* Equal but for case and - or _. */
bool gal_name_same(struct gal_str a, const char *b);

#endif
