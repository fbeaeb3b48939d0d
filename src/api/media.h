/* SPDX-License-Identifier: Apache-2.0 */
/* Media types of Content-Type and Accept headers. Pure. */
#ifndef GAL_API_MEDIA_H
#define GAL_API_MEDIA_H

#include "base/str.h"

/* "text/csv; header=absent" into its type and the text behind it (parameters). */
struct gal_str gal_media_type(struct gal_str header, struct gal_str *parameters);
/* A parameter's value, without quotes; p NULL when there is none. */
struct gal_str gal_media_parameter(struct gal_str parameters, const char *name);
/* True for application/json, text/json and whatever ends in +json. */
bool gal_media_is_json(struct gal_str type);
/* Index of the type (NULL-terminated list) that an Accept header likes best: by q, then by its own
 * order; a range (star) stands for the first that it covers. `none` where it names none of them or
 * is empty. */
size_t gal_media_choose(struct gal_str accept, const char *const *types, size_t none);

#endif
