/* SPDX-License-Identifier: Apache-2.0 */
#include "http/target.h"

#include "base/word.h"

static size_t offset(const char *base, struct gal_str s)
{
    return (size_t)(s.p - base);
}

/* Bytes of the target, by whole words, that hold nothing forbidden. */
static size_t skip_clean_words(struct gal_str target)
{
    size_t i = 0;
    for (; target.n - i >= sizeof(uint64_t); i += sizeof(uint64_t)) {
        uint64_t w;
        memcpy(&w, target.p + i, sizeof w);
        uint64_t low = (w - GAL_EACH_BYTE(0x21)) & ~w, high = w | (w + GAL_EACH_BYTE(1));
        if (((low | high) & GAL_EACH_BYTE(0x80)) || gal_word_zero(w ^ GAL_EACH_BYTE('#')))
            break;
    }
    return i;
}

static enum gal_status check_target_bytes(struct gal_str target, const char *base,
                                          struct gal_err *err)
{
    for (size_t i = skip_clean_words(target); i < target.n; i++) {
        unsigned char c = (unsigned char)target.p[i];
        if (c <= ' ' || c >= 0x7f || c == '#')
            return gal_fail(err, GAL_INVALID,
                            "the request target holds the byte 0x%02x, which must be "
                            "percent-encoded (byte %zu)",
                            c, offset(base, target) + i);
    }
    return GAL_OK;
}

/* Cuts scheme and authority off an absolute target (RFC 9112 3.2.2); false when it has none. */
static bool cut_authority(struct gal_str *target)
{
    static const struct gal_str schemes[] = {{"http://", 7}, {"https://", 8}};
    for (size_t i = 0; i < 2; i++) {
        struct gal_str scheme = schemes[i];
        if (target->n <= scheme.n || !gal_str_ieq((struct gal_str){target->p, scheme.n}, scheme))
            continue;
        size_t at = scheme.n;
        while (at < target->n && target->p[at] != '/' && target->p[at] != '?')
            at++;
        *target = (struct gal_str){target->p + at, target->n - at};
        return at > scheme.n;
    }
    return false;
}

enum gal_status gal_http_split_target(struct gal_http_request *r, const char *base,
                                      struct gal_err *err)
{
    enum gal_status status = check_target_bytes(r->target, base, err);
    if (status != GAL_OK)
        return status;
    struct gal_str rest = r->target;
    bool asterisk = gal_str_is(rest, "*");
    if (asterisk && r->method != GAL_METHOD_OPTIONS)
        return gal_fail(err, GAL_INVALID, "the request target * is for OPTIONS only");
    if (!asterisk && rest.p[0] != '/' && !cut_authority(&rest))
        return gal_fail(err, GAL_INVALID,
                        "the request target must begin with / or be a whole http:// address "
                        "(byte %zu)",
                        offset(base, r->target));
    const char *mark = rest.n ? memchr(rest.p, '?', rest.n) : NULL;
    r->path = (struct gal_str){rest.p, mark ? (size_t)(mark - rest.p) : rest.n};
    r->query = (struct gal_str){NULL, 0};
    if (mark)
        r->query = (struct gal_str){mark + 1, rest.n - r->path.n - 1};
    if (r->path.n == 0)
        r->path = GAL_STR("/"); /* "http://host" and "http://host?query" */
    return GAL_OK;
}

enum gal_status gal_http_check_host(struct gal_str host, const char *what, const char *base,
                                    struct gal_err *err)
{
    for (size_t i = 0; i < host.n; i++) {
        unsigned char c = (unsigned char)host.p[i];
        if (c <= ' ' || c >= 0x7f || c == '/' || c == '?' || c == '#' || c == '@' || c == '\\' ||
            c == ',')
            return gal_fail(err, GAL_INVALID, "the %s is not a host name and port (byte %zu)", what,
                            offset(base, host) + i);
    }
    return GAL_OK;
}
