/* SPDX-License-Identifier: Apache-2.0 */
/* Where a Redis is: redis://[user:password@]host[:port][/db]. Pure. */
#ifndef GAL_CACHE_REDIS_URL_H
#define GAL_CACHE_REDIS_URL_H

#include "base/str.h"

#define GAL_REDIS_PORT 6379u
#define GAL_REDIS_TEXT_MAX 256u /* bytes of host, user, password */

struct gal_redis_url {
    char
        host[GAL_REDIS_TEXT_MAX]; /* a name, an IPv4 address, or an IPv6 address without brackets */
    uint16_t port;
    unsigned db;
    char user[GAL_REDIS_TEXT_MAX];     /* empty: the default user */
    char password[GAL_REDIS_TEXT_MAX]; /* empty: none */
};

/* INVALID, with what would be right as hint; UNSUPPORTED for rediss:// (TLS) and unix sockets. A
 * message never has the password. User and password may be percent-encoded. */
enum gal_status gal_redis_url_parse(struct gal_str text, struct gal_redis_url *out,
                                    struct gal_err *err);

#endif
