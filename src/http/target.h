/* SPDX-License-Identifier: Apache-2.0 */
/* What every version of HTTP asks of a request's target and of its host (RFC 9110 4, 7.1). Pure.
 * Errors name the byte by its distance from `base`. */
#ifndef GAL_HTTP_TARGET_H
#define GAL_HTTP_TARGET_H

#include "http/message.h"

/* r has method and target; fills path and query. */
enum gal_status gal_http_split_target(struct gal_http_request *r, const char *base,
                                      struct gal_err *err);
/* `what` names where it stood: "header Host". */
enum gal_status gal_http_check_host(struct gal_str host, const char *what, const char *base,
                                    struct gal_err *err);

#endif
