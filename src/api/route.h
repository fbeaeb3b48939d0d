/* SPDX-License-Identifier: Apache-2.0 */
/* The table of endpoints (api/routes.def): one row each, from which dispatch, 405 with Allow, the
 * discovery document, metrics' path label and OpenAPI are made. */
#ifndef GAL_API_ROUTE_H
#define GAL_API_ROUTE_H

#include "api/exchange.h"

enum gal_route_id {
#define GAL_ROUTE_ROW(id, method, pattern, dialect, handler, summary) GAL_ROUTE_##id,
#include "api/routes.def"
#undef GAL_ROUTE_ROW
    GAL_ROUTE_COUNT
};

struct gal_route {
    enum gal_route_id id;
    enum gal_method method; /* HEAD is answered wherever GET is */
    const char *pattern;    /* "/v2/models/{model}/versions/{version}/infer" */
    size_t pattern_bytes;
    enum gal_dialect dialect;
    void (*handle)(struct gal_exchange *x);
    const char *summary; /* for OpenAPI and the discovery page */
};

extern const struct gal_route gal_routes[GAL_ROUTE_COUNT];

/* Finds the route for a method and a path; parameters are raw slices of the path. A trailing slash
 * is forgiven. METHOD fills `allow` ("GET, HEAD, POST"); NOT_FOUND names the path. Pure. */
enum gal_status gal_route_find(enum gal_method method, struct gal_str path,
                               const struct gal_route **out,
                               struct gal_str params[GAL_PATH_PARAMS_MAX], char allow[64],
                               struct gal_err *err);

/* Every handler has this form; declared for the table. */
#define GAL_ROUTE_ROW(id, method, pattern, dialect, handler, summary)                              \
    void handler(struct gal_exchange *x);
#include "api/routes.def"
#undef GAL_ROUTE_ROW

#endif
