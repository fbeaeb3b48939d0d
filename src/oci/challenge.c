/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/challenge.h"

/* Where reading stands. */
struct cursor {
    const char *p, *end;
};

static bool is_token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* Skips spaces and, between challenges and parameters, commas. */
static void skip(struct cursor *c, bool commas)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\t' || (commas && *c->p == ',')))
        c->p++;
}

static struct gal_str token(struct cursor *c)
{
    const char *begin = c->p;
    while (c->p < c->end && is_token_char(*c->p))
        c->p++;
    return (struct gal_str){begin, (size_t)(c->p - begin)};
}

/* A token, or a quoted string without its quotes and backslashes, NUL-terminated; false when it
 * does not end, does not fit, or holds control bytes. */
static bool value(struct cursor *c, char *out, size_t size)
{
    size_t n = 0;
    bool quoted = c->p < c->end && *c->p == '"';
    c->p += quoted;
    while (c->p < c->end && (quoted ? *c->p != '"' : is_token_char(*c->p))) {
        if (quoted && *c->p == '\\' && ++c->p == c->end)
            return false;
        if ((unsigned char)*c->p < 0x20 || *c->p == 0x7f || n + 1 >= size)
            return false;
        out[n++] = *c->p++;
    }
    out[n] = '\0';
    if (!quoted)
        return n > 0;
    if (c->p == c->end)
        return false;
    c->p++;
    return true;
}

/* One "name=value" of the challenge; a name that is not known is read over. */
static bool param(struct cursor *c, struct gal_str name, struct gal_challenge *into)
{
    struct {
        const char *name;
        char *to;
        size_t size;
    } known[] = {{"realm", into->realm, sizeof into->realm},
                 {"service", into->service, sizeof into->service},
                 {"scope", into->scope, sizeof into->scope},
                 {"error", into->error, sizeof into->error}};
    char other[2048];
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (gal_str_ieq(name, gal_str_of(known[i].name)))
            return known[i].to[0] == '\0' && value(c, known[i].to, known[i].size);
    }
    return value(c, other, sizeof other);
}

/* Parameters up to the next challenge. False: something in them cannot be read. */
static bool params(struct cursor *c, struct gal_challenge *into)
{
    for (;;) {
        skip(c, true);
        struct cursor before = *c;
        struct gal_str name = token(c);
        skip(c, false);
        if (name.n == 0)
            return c->p == c->end;
        if (c->p == c->end || *c->p != '=') {
            *c = before; /* the next scheme */
            return true;
        }
        c->p++;
        skip(c, false);
        if (!param(c, name, into))
            return false;
    }
}

void gal_challenge_parse(struct gal_str text, struct gal_challenge *out)
{
    struct cursor c = {text.p, text.p ? text.p + text.n : NULL};
    for (;;) {
        struct gal_challenge next = {.kind = GAL_CHALLENGE_NONE};
        skip(&c, true);
        struct gal_str scheme = token(&c);
        if (scheme.n == 0)
            return;
        if (gal_str_ieq(scheme, GAL_STR("Bearer")))
            next.kind = GAL_CHALLENGE_BEARER;
        else if (gal_str_ieq(scheme, GAL_STR("Basic")))
            next.kind = GAL_CHALLENGE_BASIC;
        if (!params(&c, &next))
            return;
        if (next.kind == GAL_CHALLENGE_BEARER && next.realm[0] == '\0')
            next.kind = GAL_CHALLENGE_NONE;
        if (next.kind > out->kind)
            *out = next;
    }
}
