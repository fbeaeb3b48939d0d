/* SPDX-License-Identifier: Apache-2.0 */
/* Grammar: distribution specification 1.1, "Pulling manifests"; which part is the host: as docker
 * tells it. */
#include "oci/reference.h"

#include <stdio.h>

#define DOCKER_HUB "docker.io"
#define AS_IN "as in registry.example.com/models/fraud:2.1.0"

static bool is_lower(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_word(char c)
{
    return is_lower(c) || (c >= 'A' && c <= 'Z') || c == '_';
}

/* Letters and digits, between them one of "." "_" "__" or any number of "-". */
static bool is_component(struct gal_str s)
{
    if (s.n == 0 || !is_lower(s.p[0]) || !is_lower(s.p[s.n - 1]))
        return false;
    for (size_t i = 1; i < s.n; i++) {
        size_t begin = i;
        while (!is_lower(s.p[i])) {
            if (s.p[i] != s.p[begin] || (s.p[i] != '.' && s.p[i] != '_' && s.p[i] != '-'))
                return false;
            i++;
        }
        size_t run = i - begin;
        if (run > 0 && ((s.p[begin] == '.' && run > 1) || (s.p[begin] == '_' && run > 2)))
            return false;
    }
    return true;
}

bool gal_repository_valid(struct gal_str s)
{
    struct gal_str part;
    if (s.n == 0 || s.n > 255)
        return false;
    while (gal_str_cut(&s, '/', &part)) {
        if (!is_component(part))
            return false;
    }
    return true;
}

bool gal_tag_valid(struct gal_str s)
{
    if (s.n == 0 || s.n > 128 || !is_word(s.p[0]))
        return false;
    for (size_t i = 1; i < s.n; i++) {
        if (!is_word(s.p[i]) && s.p[i] != '.' && s.p[i] != '-')
            return false;
    }
    return true;
}

/* --- hosts --- */

static bool is_port(struct gal_str s)
{
    uint64_t port;
    return s.n <= 5 && gal_str_u64(s, &port) == GAL_OK && port > 0 && port < 65536;
}

/* Names, IPv4 addresses, IPv6 addresses in brackets. */
static bool is_host(struct gal_str s)
{
    const char *end = s.n && s.p[0] == '[' ? memchr(s.p, ']', s.n) : NULL;
    struct gal_str name = s, port = {NULL, 0};
    if (end) {
        name.n = (size_t)(end - s.p) + 1;
        if (name.n < s.n && s.p[name.n] != ':')
            return false;
        if (name.n < s.n)
            port = (struct gal_str){end + 2, s.n - name.n - 1};
        for (size_t i = 1; i + 1 < name.n; i++) {
            if (!strchr("0123456789abcdefABCDEF:.", name.p[i]))
                return false;
        }
        return name.n > 3 && (!port.p || is_port(port));
    }
    port = s;
    gal_str_cut(&port, ':', &name);
    for (size_t i = 0; i < name.n; i++) {
        if (!is_word(name.p[i]) && name.p[i] != '.' && name.p[i] != '-')
            return false;
    }
    return name.n > 0 && name.p[0] != '.' && name.p[0] != '-' && name.p[name.n - 1] != '-' &&
           (!port.p || is_port(port));
}

static void lower(char *s)
{
    for (; *s; s++)
        *s = *s >= 'A' && *s <= 'Z' ? (char)(*s + 32) : *s;
}

static bool take_host(struct gal_str s, char host[256])
{
    if (s.n == 0 || s.n > 255 || memchr(s.p, '\0', s.n) || !is_host(s))
        return false;
    memset(host, 0, 256); /* so that equal references are equal bytes */
    if (gal_str_ieq(s, GAL_STR("index.docker.io")) ||
        gal_str_ieq(s, GAL_STR("registry-1.docker.io")))
        s = GAL_STR(DOCKER_HUB);
    memcpy(host, s.p, s.n);
    lower(host);
    return true;
}

enum gal_status gal_registry_host_parse(struct gal_str text, char host[256], struct gal_err *err)
{
    struct gal_str s = text, name;
    if (gal_str_starts(s, GAL_STR("https://")))
        s = (struct gal_str){s.p + 8, s.n - 8};
    else if (gal_str_starts(s, GAL_STR("http://")))
        s = (struct gal_str){s.p + 7, s.n - 7};
    if (gal_str_cut(&s, '/', &name) && take_host(name, host))
        return GAL_OK;
    gal_fail(err, GAL_INVALID, "%.*s: not the name of a registry", GAL_STR_SHOWN(text));
    gal_err_hint(err, "as in registry.example.com or localhost:5000");
    return GAL_INVALID;
}

bool gal_registry_host_is_loopback(const char *host)
{
    struct gal_str rest = gal_str_of(host), name;
    unsigned dots = 0;
    if (gal_str_starts(rest, GAL_STR("[::1]")))
        return host[5] == '\0' || host[5] == ':';
    if (!gal_str_cut(&rest, ':', &name))
        return false;
    for (size_t i = 0; i < name.n; i++) {
        dots += name.p[i] == '.';
        if (name.p[i] != '.' && (name.p[i] < '0' || name.p[i] > '9'))
            return gal_str_is(name, "localhost") || gal_str_ends(name, GAL_STR(".localhost"));
    }
    return dots == 3 && gal_str_starts(name, GAL_STR("127."));
}

/* --- references --- */

static enum gal_status refuse(struct gal_str text, const char *why, struct gal_err *err)
{
    gal_fail(err, GAL_INVALID, "%.*s: %s", (int)(text.n < 200 ? text.n : 200), text.n ? text.p : "",
             why);
    gal_err_hint(err, AS_IN);
    return GAL_INVALID;
}

/* Splits the host off when there is one. */
static bool split_host(struct gal_str *rest, char host[256])
{
    const char *slash = rest->n ? memchr(rest->p, '/', rest->n) : NULL;
    struct gal_str first = {rest->p, slash ? (size_t)(slash - rest->p) : 0};
    bool is_name = first.n && (memchr(first.p, '.', first.n) || memchr(first.p, ':', first.n) ||
                               gal_str_ieq(first, GAL_STR("localhost")));
    if (!is_name) {
        snprintf(host, 256, DOCKER_HUB);
        return true;
    }
    *rest = (struct gal_str){slash + 1, rest->n - first.n - 1};
    return take_host(first, host);
}

static enum gal_status take_repository(struct gal_str text, struct gal_str rest,
                                       struct gal_reference *out, struct gal_err *err)
{
    bool is_bare = strcmp(out->host, DOCKER_HUB) == 0 && rest.n && !memchr(rest.p, '/', rest.n);
    for (size_t i = 0; i < rest.n; i++) {
        if (rest.p[i] >= 'A' && rest.p[i] <= 'Z')
            return refuse(text, "a repository has no capital letters", err);
    }
    if (!gal_repository_valid(rest) || rest.n + (is_bare ? 8 : 0) > 255)
        return refuse(text, "not a reference of a registry", err);
    snprintf(out->repository, sizeof out->repository, "%s%.*s", is_bare ? "library/" : "",
             GAL_STR_ARG(rest));
    return GAL_OK;
}

enum gal_status gal_reference_parse(struct gal_str text, struct gal_reference *out,
                                    struct gal_err *err)
{
    struct gal_str rest = text;
    memset(out, 0, sizeof *out);
    gal_err_clear(err);
    if (gal_str_starts(rest, GAL_STR("oci://")))
        rest = (struct gal_str){rest.p + 6, rest.n - 6};
    if (rest.n == 0)
        return refuse(text, "a reference is missing", err);
    if (!split_host(&rest, out->host))
        return refuse(text, "the name of its host is none", err);
    const char *at = rest.n ? memchr(rest.p, '@', rest.n) : NULL;
    if (at) {
        struct gal_str digest = {at + 1, (size_t)(rest.p + rest.n - at) - 1};
        if (!gal_oci_digest_valid(digest))
            return refuse(text, "behind @ belongs sha256: and 64 hexadecimal digits", err);
        snprintf(out->digest, sizeof out->digest, "%.*s", GAL_STR_ARG(digest));
        rest.n = (size_t)(at - rest.p);
    }
    const char *colon = rest.n ? memchr(rest.p, ':', rest.n) : NULL;
    if (colon) {
        struct gal_str tag = {colon + 1, (size_t)(rest.p + rest.n - colon) - 1};
        if (!gal_tag_valid(tag))
            return refuse(text, "a tag has up to 128 letters, digits, '_', '.' and '-'", err);
        snprintf(out->tag, sizeof out->tag, "%.*s", GAL_STR_ARG(tag));
        rest.n = (size_t)(colon - rest.p);
    }
    if (!at && !colon)
        snprintf(out->tag, sizeof out->tag, "latest");
    return take_repository(text, rest, out, err);
}

char *gal_reference_text(const struct gal_reference *r, char *out, size_t size)
{
    snprintf(out, size, "%s/%s%s%s%s%s", r->host, r->repository, r->tag[0] ? ":" : "", r->tag,
             r->digest[0] ? "@" : "", r->digest);
    return out;
}
