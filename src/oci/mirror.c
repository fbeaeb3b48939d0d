/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/mirror.h"

#include <stdio.h>

static enum gal_status wrong(struct gal_str entry, const char *what, struct gal_err *err)
{
    gal_fail(err, GAL_INVALID, GAL_MIRRORS_ENV ": '%.*s': %s", GAL_STR_SHOWN(entry), what);
    gal_err_hint(err,
                 "e.g. " GAL_MIRRORS_ENV "=docker.io=localhost:5000,ghcr.io=harbor.example.com/"
                 "ghcr");
    return GAL_INVALID;
}

/* "harbor.example.com/ghcr" and "models/fraud": a reference of both. */
static enum gal_status join(struct gal_str entry, struct gal_str mirror,
                            const struct gal_reference *ref, struct gal_reference *out,
                            struct gal_err *err)
{
    struct gal_str rest = mirror, host;
    char text[600];
    int n = snprintf(text, sizeof text, "%.*s/%s", GAL_STR_ARG(mirror), ref->repository);
    gal_str_cut(&rest, '/', &host);
    if (!memchr(host.p, '.', host.n) && !memchr(host.p, ':', host.n) &&
        !gal_str_is(host, "localhost"))
        return wrong(entry, "a mirror is a host with a dot or a port", err);
    if (n >= (int)sizeof text || gal_reference_parse(gal_str_of(text), out, NULL))
        return wrong(entry, "that is no place for repositories", err);
    memcpy(out->tag, ref->tag, sizeof out->tag);
    memcpy(out->digest, ref->digest, sizeof out->digest);
    return GAL_OK;
}

enum gal_status gal_mirror_of(const char *setting, const struct gal_reference *ref,
                              struct gal_reference *out, bool *there, struct gal_err *err)
{
    struct gal_str rest = gal_str_of(setting), entry;
    enum gal_status status = GAL_OK;
    *there = false;
    while (!status && rest.n && gal_str_cut(&rest, ',', &entry)) {
        struct gal_str mirror = gal_str_trim(entry), host;
        char parsed[256];
        if (mirror.n == 0)
            continue;
        gal_str_cut(&mirror, '=', &host);
        if (mirror.n == 0 || gal_registry_host_parse(host, parsed, NULL))
            return wrong(entry, "HOST=MIRROR is expected", err);
        if (*there || strcmp(parsed, ref->host) != 0)
            continue;
        status = join(entry, mirror, ref, out, err);
        *there = !status;
    }
    return status;
}
