/* SPDX-License-Identifier: Apache-2.0 */
/* A request's body as a JSON object, for the endpoints that manage the server. */
#ifndef GAL_API_BODY_H
#define GAL_API_BODY_H

#include "api/exchange.h"
#include "text/json.h"

/* *out NULL for an empty body. INVALID when it is no object. */
enum gal_status gal_body_object(struct gal_exchange *x, yyjson_val **out, struct gal_err *err);
/* Fills the error: `place` is not the type that is expected; v NULL: it is missing. */
enum gal_status gal_body_fail_type(yyjson_val *v, const char *expected, struct gal_str place,
                                   struct gal_err *err);
static inline struct gal_str gal_body_text(yyjson_val *v)
{
    return (struct gal_str){yyjson_get_str(v), yyjson_get_len(v)};
}

#endif
