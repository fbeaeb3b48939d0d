/* SPDX-License-Identifier: Apache-2.0 */
/* What HTTP/1.1 (RFC 9112, RFC 9110) asks of a request head beyond its grammar: request line,
 * target forms, Host, framing, Expect. Part of http1.c's work; pure. */
#ifndef GAL_HTTP_HTTP1_HEAD_H
#define GAL_HTTP_HTTP1_HEAD_H

#include "http/http1.h"

/* `r` has method, version, target and headers, all pointing into the head at `base`; the rest is
 * zero. Fills known, path, query, content_length, chunked and expect_continue, as far as it came
 * when it refuses. The error names the header and its offset from base. */
enum gal_status gal_http1_check_head(struct gal_http_request *r, const char *base,
                                     const struct gal_http1_limits *limits, struct gal_err *err);

#endif
