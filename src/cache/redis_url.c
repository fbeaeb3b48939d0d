/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/redis_url.h"

#define HINT "write redis://[user:password@]host[:port][/db], for example redis://cache:6379/0"
#define DB_MAX 1000000u

static enum gal_status fail(struct gal_err *err, enum gal_status code, const char *what)
{
    gal_fail(err, code, "%s", what);
    gal_err_hint(err, HINT);
    return code;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decodes into `out` with a NUL; false when it does not fit, is cut, or holds a NUL. */
static bool decode(struct gal_str s, char out[GAL_REDIS_TEXT_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (c == '%') {
            if (s.n - i < 3 || hex(s.p[i + 1]) < 0 || hex(s.p[i + 2]) < 0)
                return false;
            c = (char)(hex(s.p[i + 1]) * 16 + hex(s.p[i + 2]));
            i += 2;
        }
        if (c == '\0' || n + 1 >= GAL_REDIS_TEXT_MAX)
            return false;
        out[n++] = c;
    }
    out[n] = '\0';
    return true;
}

/* The place of the last `c`; n when there is none. */
static size_t find_last(struct gal_str s, char c)
{
    size_t at = s.n;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == c)
            at = i;
    return at;
}

static bool take_login(struct gal_str *rest, struct gal_redis_url *out)
{
    size_t at = find_last(*rest, '@'), colon = 0;
    struct gal_str user, password = {NULL, 0};

    if (at == rest->n)
        return true;
    user = (struct gal_str){rest->p, at};
    while (colon < at && user.p[colon] != ':')
        colon++;
    if (colon < at) {
        user.n = colon;
        password = (struct gal_str){user.p + colon + 1, at - colon - 1};
    }
    rest->p += at + 1;
    rest->n -= at + 1;
    return decode(user, out->user) && decode(password, out->password);
}

static bool take_db(struct gal_str *rest, struct gal_redis_url *out)
{
    size_t slash = find_last(*rest, '/');
    struct gal_str db;
    uint64_t n = 0;

    if (slash == rest->n)
        return true;
    db = (struct gal_str){rest->p + slash + 1, rest->n - slash - 1};
    rest->n = slash;
    if (db.n > 0 && (gal_str_u64(db, &n) != GAL_OK || n > DB_MAX))
        return false;
    out->db = (unsigned)n;
    return true;
}

static bool take_port(struct gal_str *rest, struct gal_redis_url *out)
{
    size_t colon = find_last(*rest, ':'), bracket = find_last(*rest, ']');
    uint64_t port;

    if (colon == rest->n || (bracket < rest->n && colon < bracket))
        return true;
    if (gal_str_u64((struct gal_str){rest->p + colon + 1, rest->n - colon - 1}, &port) != GAL_OK ||
        port == 0 || port > UINT16_MAX)
        return false;
    out->port = (uint16_t)port;
    rest->n = colon;
    return true;
}

static bool take_host(struct gal_str host, struct gal_redis_url *out)
{
    bool is_v6 = host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';

    if (is_v6)
        host = (struct gal_str){host.p + 1, host.n - 2};
    if (host.n == 0 || host.n >= GAL_REDIS_TEXT_MAX)
        return false;
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];
        bool is_name = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '.' || c == '-' || c == '_';
        if (!is_name && !(is_v6 && (c == ':' || c == '%')))
            return false;
    }
    memcpy(out->host, host.p, host.n);
    out->host[host.n] = '\0';
    return true;
}

enum gal_status gal_redis_url_parse(struct gal_str text, struct gal_redis_url *out,
                                    struct gal_err *err)
{
    *out = (struct gal_redis_url){.port = GAL_REDIS_PORT};
    if (gal_str_starts(text, GAL_STR("rediss://")))
        return fail(err, GAL_UNSUPPORTED, "rediss:// (TLS) is not supported in this version");
    if (gal_str_starts(text, GAL_STR("unix://")))
        return fail(err, GAL_UNSUPPORTED, "a Redis is reached over TCP, not by a unix socket");
    if (!gal_str_starts(text, GAL_STR("redis://")))
        return fail(err, GAL_INVALID, "a Redis URL begins with redis://");
    text.p += 8;
    text.n -= 8;
    if (!take_login(&text, out))
        return fail(err, GAL_INVALID, "user or password of the Redis URL cannot be read");
    if (out->user[0] != '\0' && out->password[0] == '\0')
        return fail(err, GAL_INVALID, "the Redis URL has a user without a password");
    if (!take_db(&text, out))
        return fail(err, GAL_INVALID, "the database of a Redis URL is a number");
    if (!take_port(&text, out))
        return fail(err, GAL_INVALID, "the port of a Redis URL is a number from 1 to 65535");
    if (!take_host(text, out))
        return fail(err, GAL_INVALID, "the Redis URL's host is no name and no address");
    return GAL_OK;
}
