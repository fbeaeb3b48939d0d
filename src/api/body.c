/* SPDX-License-Identifier: Apache-2.0 */
#include "api/body.h"

enum gal_status gal_body_object(struct gal_exchange *x, yyjson_val **out, struct gal_err *err)
{
    enum gal_status st;

    *out = NULL;
    if (gal_str_trim(x->body).n == 0)
        return GAL_OK;
    st = gal_json_read(x->body, &x->arena, GAL_JSON_DEPTH_MAX, out, err);
    if (st != GAL_OK || yyjson_is_obj(*out))
        return st;
    return gal_fail(err, GAL_INVALID, "expected an object, got %s", gal_json_type_name(*out));
}

enum gal_status gal_body_fail_type(yyjson_val *v, const char *expected, struct gal_str place,
                                   struct gal_err *err)
{
    int n = (int)(place.n < 64 ? place.n : 64);

    if (v == NULL)
        gal_fail(err, GAL_INVALID, "'%.*s' is missing, expected %s", n, place.p, expected);
    else
        gal_fail(err, GAL_INVALID, "expected %s, got %s", expected, gal_json_type_name(v));
    gal_err_place(err, "%.*s", n, place.p);
    return GAL_INVALID;
}
