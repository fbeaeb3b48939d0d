/* SPDX-License-Identifier: Apache-2.0 */
/* Which of a layout's manifests is meant. */
#include "oci/layout_impl.h"

#include "base/limits.h"

#include <sys/utsname.h>

#define REF_NAME "org.opencontainers.image.ref.name"
#define INDEXES_MAX 64u /* that are read to find one manifest */

static bool is_type(const struct gal_oci_descriptor *d, const char *a, const char *b)
{
    return gal_str_is(d->media_type, a) || gal_str_is(d->media_type, b);
}

static bool is_index(const struct gal_oci_descriptor *d)
{
    return is_type(d, GAL_OCI_INDEX, "application/vnd.docker.distribution.manifest.list.v2+json");
}

static void this_machine(struct gal_oci_platform *out, struct utsname *name)
{
    *out = (struct gal_oci_platform){.os = GAL_STR("linux"), .architecture = GAL_STR("amd64")};
    if (uname(name) != 0 || strcmp(name->machine, "x86_64") == 0)
        return;
    out->architecture =
        strcmp(name->machine, "aarch64") == 0 ? GAL_STR("arm64") : gal_str_of(name->machine);
}

static bool fits(const struct gal_oci_platform *has, const struct gal_oci_platform *want)
{
    return gal_str_eq(has->os, want->os) && gal_str_eq(has->architecture, want->architecture) &&
           (want->variant.n == 0 || gal_str_eq(has->variant, want->variant));
}

/* A manifest's or an index's bytes, which are small and looked at at once. */
static enum gal_status read_verified(struct gal_layout *l, const struct gal_oci_descriptor *d,
                                     struct gal_str *text, struct gal_err *err)
{
    char digest[GAL_DIGEST_SIZE];
    if (d->size > GAL_OCI_JSON_BYTES_MAX)
        return gal_fail(err, GAL_TOO_LARGE, "%s: manifest %s has more than %u bytes", l->path,
                        d->digest, GAL_OCI_JSON_BYTES_MAX);
    enum gal_status status = gal_layout_blob(l, d, text, err);
    if (status)
        return status;
    gal_oci_digest(*text, digest);
    if (strcmp(digest, d->digest) != 0)
        return gal_fail(err, GAL_INVALID, "%s: damaged: blob %s has the digest %s", l->path,
                        d->digest, digest);
    return GAL_OK;
}

static enum gal_status read_index(struct gal_layout *l, const struct gal_oci_descriptor *d,
                                  struct gal_oci_index *out, struct gal_err *err)
{
    struct gal_str text;
    enum gal_status status = read_verified(l, d, &text, err);
    if (status)
        return status;
    pthread_mutex_lock(&l->lock);
    status = gal_oci_index_read(text, &l->arena, out, err);
    pthread_mutex_unlock(&l->lock);
    return gal_layout_name_path(l, status, err);
}

static enum gal_status by_platform(const struct gal_layout *l, const struct gal_oci_index *x,
                                   const struct gal_oci_platform *want,
                                   struct gal_oci_descriptor *d, struct gal_err *err)
{
    if (x->manifest_count == 1 && x->manifests[0].platform.os.n == 0) {
        *d = x->manifests[0];
        return GAL_OK;
    }
    for (size_t i = 0; i < x->manifest_count; i++) {
        if (!fits(&x->manifests[i].platform, want))
            continue;
        *d = x->manifests[i];
        return GAL_OK;
    }
    return gal_fail(err, GAL_NOT_FOUND, "%s: nothing in it is for %.*s/%.*s", l->path,
                    GAL_STR_SHOWN(want->os), GAL_STR_SHOWN(want->architecture));
}

/* By digest, in the index and those inside, of which at most *left are read: they could all be
 * each other. */
static enum gal_status by_digest(struct gal_layout *l, // NOLINT(misc-no-recursion): bounded
                                 const struct gal_oci_index *x, const char *digest, unsigned *left,
                                 struct gal_oci_descriptor *d, struct gal_err *err)
{
    struct gal_oci_index inner;
    for (size_t i = 0; i < x->manifest_count; i++) {
        if (strcmp(x->manifests[i].digest, digest) == 0) {
            *d = x->manifests[i];
            return GAL_OK;
        }
    }
    for (size_t i = 0; i<x->manifest_count && * left> 0; i++) {
        if (!is_index(&x->manifests[i]))
            continue;
        --*left;
        if (read_index(l, &x->manifests[i], &inner, NULL) == GAL_OK &&
            by_digest(l, &inner, digest, left, d, NULL) == GAL_OK)
            return GAL_OK;
    }
    return gal_fail(err, GAL_NOT_FOUND, "%s: there is no manifest %s in it", l->path, digest);
}

static void hint_names(const struct gal_oci_index *x, struct gal_err *err)
{
    struct gal_buf names;
    gal_buf_init(&names, 160);
    for (size_t i = 0; i < x->manifest_count; i++) {
        struct gal_str name = gal_oci_annotation(&x->manifests[i], REF_NAME);
        gal_buf_puts(&names, names.n ? ", " : "");
        gal_buf_put_str(&names, name.n ? name : gal_str_of(x->manifests[i].digest));
    }
    if (names.n > 0)
        gal_err_hint(err, "it has: %.*s%s", GAL_STR_ARG(gal_buf_str(&names)),
                     names.failed ? ", ..." : "");
    gal_buf_release(&names);
}

static enum gal_status by_name(const struct gal_layout *l, const char *name,
                               struct gal_oci_descriptor *d, struct gal_err *err)
{
    for (size_t i = 0; i < l->index.manifest_count; i++) {
        if (gal_str_is(gal_oci_annotation(&l->index.manifests[i], REF_NAME), name)) {
            *d = l->index.manifests[i];
            return GAL_OK;
        }
    }
    (void)gal_fail(err, GAL_NOT_FOUND, "%s: nothing in it is named \"%s\"", l->path, name);
    hint_names(&l->index, err);
    return GAL_NOT_FOUND;
}

static enum gal_status the_only(const struct gal_layout *l, const struct gal_oci_platform *want,
                                struct gal_oci_descriptor *d, struct gal_err *err)
{
    const struct gal_oci_index *x = &l->index;
    size_t with_platform = 0;
    if (x->manifest_count == 0)
        return gal_fail(err, GAL_INVALID, "%s: there is no manifest in it", l->path);
    if (x->manifest_count == 1) {
        *d = x->manifests[0];
        return GAL_OK;
    }
    for (size_t i = 0; i < x->manifest_count; i++)
        with_platform += x->manifests[i].platform.os.n > 0;
    if (with_platform == x->manifest_count)
        return by_platform(l, x, want, d, err);
    (void)gal_fail(err, GAL_INVALID, "%s: there are %zu manifests in it, say which", l->path,
                   x->manifest_count);
    hint_names(x, err);
    return GAL_INVALID;
}

enum gal_status gal_layout_manifest(struct gal_layout *l, const char *name,
                                    const struct gal_oci_platform *platform,
                                    struct gal_oci_descriptor *d, struct gal_str *text,
                                    struct gal_err *err)
{
    struct gal_oci_platform want;
    struct utsname machine;
    unsigned left = INDEXES_MAX;
    enum gal_status status;
    if (platform)
        want = *platform;
    else
        this_machine(&want, &machine);
    if (!name)
        status = the_only(l, &want, d, err);
    else if (gal_oci_digest_valid(gal_str_of(name)))
        status = by_digest(l, &l->index, name, &left, d, err);
    else
        status = by_name(l, name, d, err);
    for (unsigned depth = 0; !status && is_index(d); depth++) {
        struct gal_oci_index inner;
        if (depth == GAL_OCI_INDEX_DEPTH_MAX)
            return gal_fail(err, GAL_INVALID, "%s: indexes within indexes", l->path);
        status = read_index(l, d, &inner, err);
        if (!status)
            status = by_platform(l, &inner, &want, d, err);
    }
    if (!status &&
        !is_type(d, GAL_OCI_MANIFEST, "application/vnd.docker.distribution.manifest.v2+json"))
        status = gal_fail(err, GAL_INVALID, "%s: \"%.*s\" is not a manifest's media type", l->path,
                          GAL_STR_SHOWN(d->media_type));
    return status ? status : read_verified(l, d, text, err);
}
