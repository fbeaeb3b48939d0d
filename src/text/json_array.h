/* SPDX-License-Identifier: Apache-2.0 */
/* One array of numbers from JSON's text. For json_numbers.c. */
#ifndef GAL_TEXT_JSON_ARRAY_H
#define GAL_TEXT_JSON_ARRAY_H

#include "text/json_numbers.h"

/* Reads the array that begins at text.p + at, nested evenly at most `depth_max` deep, into `out`
 * (values from the arena) and returns the offset behind it; 0 when it is anything else: other
 * values, empty arrays, arrays of several lengths, bad grammar, a number beyond a double, no
 * memory. */
size_t gal_json_read_array(struct gal_str text, size_t at, unsigned depth_max,
                           struct gal_arena *arena, struct gal_json_numbers *out);

#endif
