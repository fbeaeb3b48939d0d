/* SPDX-License-Identifier: Apache-2.0 */
/* AWS signature version 4 of a request without a body. Of our own, because libcurl's encodes
 * queries and paths differently from version to version. Pure: time is an argument. */
#ifndef GAL_SOURCE_SIGV4_H
#define GAL_SOURCE_SIGV4_H

#include "base/arena.h"
#include "base/buf.h"

struct gal_aws_keys {
    const char *id, *secret, *token; /* token: NULL when the keys are lasting ones */
};

struct gal_sigv4 {
    const struct gal_aws_keys *keys;
    const char *region, *service;
    uint64_t wall_us;
};

#define GAL_SIGV4_DATE_SIZE 17 /* "20130524T000000Z" */
#define GAL_SIGV4_EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

struct gal_sigv4_headers {
    char date[GAL_SIGV4_DATE_SIZE]; /* x-amz-date */
    const char *authorization;      /* the arena's */
};

/* The URL is encoded, its query's parts sorted by name. Signed are host, x-amz-content-sha256
 * (GAL_SIGV4_EMPTY), x-amz-date, and x-amz-security-token where there is one: send them. */
enum gal_status gal_sigv4_sign(const struct gal_sigv4 *how, const char *method, struct gal_str url,
                               struct gal_arena *arena, struct gal_sigv4_headers *out,
                               struct gal_err *err);

#endif
