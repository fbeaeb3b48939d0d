/* SPDX-License-Identifier: Apache-2.0 */
/* One blocking GET with a deadline over everything, for commands that ask a server something. */
#ifndef GAL_CLI_FETCH_H
#define GAL_CLI_FETCH_H

#include "base/buf.h"
#include "net/connect.h"
#include "net/tls_client.h"

struct gal_target {
    char host[256], port[8], path[1024]; /* path begins with a slash, or is empty when parsed so */
    bool tls;
    struct gal_tls_trust trust; /* of TLS; texts are borrowed */
};

/* "http://HOST[:PORT][/PATH]", or https; the scheme and the path may be left out; an IPv6 address
 * stands in brackets. INVALID. */
enum gal_status gal_target_parse(const char *url, struct gal_target *out, struct gal_err *err);
/* "127.0.0.1:8080", "[::1]:8080"; returns out. */
char *gal_target_authority(const struct gal_target *t, char *out, size_t size);

/* Sends `GET t->path` and appends what comes until the peer closes, head and body, to answer; more
 * than its maximum is cut off. UNAVAILABLE with the place and the reason. */
enum gal_status gal_target_fetch_raw(const struct gal_target *t, uint64_t timeout_us,
                                     struct gal_buf *answer, struct gal_err *err);
/* The same with another path, as status and body; body is cleared first. */
enum gal_status gal_target_fetch(const struct gal_target *t, const char *path, uint64_t timeout_us,
                                 int *status, struct gal_buf *body, struct gal_err *err);
/* The first of the host's addresses that takes a connection. */
enum gal_status gal_target_reach(const struct gal_target *t, uint64_t timeout_us,
                                 struct gal_endpoint *out, struct gal_err *err);

#endif
