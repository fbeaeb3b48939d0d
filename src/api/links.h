/* SPDX-License-Identifier: Apache-2.0 */
/* URLs made from the table of routes, and text for documents and pages. Pure. */
#ifndef GAL_API_LINKS_H
#define GAL_API_LINKS_H

#include "api/route.h"

/* The row's id in lower case, "v1_model_predict". */
void gal_link_put_id(struct gal_buf *out, const struct gal_route *route);
/* The route's pattern with {model} and {version} percent-encoded in their places; any other
 * parameter stays. */
void gal_link_put_path(struct gal_buf *out, const struct gal_route *route, struct gal_str model,
                       struct gal_str version);
/* A slash and the text, percent-encoded. */
void gal_link_put_tail(struct gal_buf *out, const char *text);
/* The pattern has this parameter, "{model}". */
bool gal_link_has(const struct gal_route *route, const char *parameter);
/* Does this server do it, or is there but an answer that says why not? api NULL: one with all that
 * can be configured. */
bool gal_link_serves(const struct gal_api *api, const struct gal_route *route);
/* Text of an HTML element or of an attribute in quotes. */
void gal_html_put(struct gal_buf *out, struct gal_str text);
/* "LOADING", "READY", "FAILED". */
const char *gal_state_text(const struct gal_model *m);

#endif
