/* SPDX-License-Identifier: Apache-2.0 */
#include "api/route.h"

#include <stdio.h>

const struct gal_route gal_routes[GAL_ROUTE_COUNT] = {
#define GAL_ROUTE_ROW(id, method, pattern, dialect, handler, summary)                              \
    [GAL_ROUTE_##id] = {GAL_ROUTE_##id,                                                            \
                        GAL_METHOD_##method,                                                       \
                        pattern,                                                                   \
                        sizeof(pattern) - 1,                                                       \
                        GAL_DIALECT_##dialect,                                                     \
                        handler,                                                                   \
                        summary},
#include "api/routes.def"
#undef GAL_ROUTE_ROW
};

/* The verb that ends a pattern's segment, as `:predict` in "{model}:predict". */
static size_t verb_bytes(const char *p)
{
    size_t n = 0;

    while (p[n] != '\0' && p[n] != '/')
        n++;
    return n;
}

/* Walks pattern and path together; a `{name}` takes one non-empty segment, but for the verb that
 * stands behind it in the pattern. A name may have colons: only the verb ends it. */
static bool match(const char *pattern, struct gal_str path,
                  struct gal_str params[GAL_PATH_PARAMS_MAX])
{
    size_t i = 0, found = 0;

    for (const char *p = pattern; *p != '\0'; p++) {
        if (*p != '{') {
            if (i == path.n || path.p[i] != *p)
                return false;
            i++;
            continue;
        }
        size_t from = i, verb;
        while (i < path.n && path.p[i] != '/')
            i++;
        while (*p != '}')
            p++;
        verb = verb_bytes(p + 1);
        if (i - from <= verb)
            return false;
        i -= verb; /* compared by the walk */
        GAL_ASSERT(found < GAL_PATH_PARAMS_MAX);
        params[found++] = (struct gal_str){path.p + from, i - from};
    }
    return i == path.n;
}

/* The short way of a route without parameters. */
static bool is_literally(const struct gal_route *r, struct gal_str path)
{
    return r->pattern_bytes == path.n && memcmp(r->pattern, path.p, path.n) == 0 &&
           memchr(path.p, '{', path.n) == NULL;
}

static bool has_verb(const struct gal_route *r)
{
    return strstr(r->pattern, "}:") != NULL;
}

static void allow_add(char allow[64], const char *name)
{
    size_t n = strlen(allow);

    if (strstr(allow, name) == NULL)
        snprintf(allow + n, 64 - n, "%s%s", n ? ", " : "", name);
}

enum gal_status gal_route_find(enum gal_method method, struct gal_str path,
                               const struct gal_route **out,
                               struct gal_str params[GAL_PATH_PARAMS_MAX], char allow[64],
                               struct gal_err *err)
{
    enum gal_method wanted = method == GAL_METHOD_HEAD ? GAL_METHOD_GET : method;
    bool verb = false; /* a path that ends in a known verb is no name: those routes stand first */

    allow[0] = '\0';
    if (path.n > 1 && path.p[path.n - 1] == '/')
        path.n--;
    for (size_t i = 0; i < GAL_ROUTE_COUNT; i++) {
        const struct gal_route *r = &gal_routes[i];
        if ((verb && !has_verb(r)) || !(is_literally(r, path) || match(r->pattern, path, params)))
            continue;
        verb = has_verb(r);
        if (r->method == wanted) {
            *out = r;
            return GAL_OK;
        }
        allow_add(allow, gal_method_name(r->method));
        if (r->method == GAL_METHOD_GET)
            allow_add(allow, "HEAD");
    }
    if (allow[0] != '\0')
        return gal_fail(err, GAL_METHOD, "%s is not allowed here; use %s",
                        method == GAL_METHOD_OTHER ? "this method" : gal_method_name(method),
                        allow);
    gal_fail(err, GAL_NOT_FOUND, "Not Found");
    gal_err_hint(err, "GET / lists every URL");
    return GAL_NOT_FOUND;
}
