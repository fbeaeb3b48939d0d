/* SPDX-License-Identifier: Apache-2.0 */
#include "package/diff_impl.h"

#include <stdio.h>

static const struct gal_str absent = {NULL, 0};

const char *gal_section_name(enum gal_section section)
{
    static const char *const names[] = {"package", "schema", "steps",   "weights",  "environment",
                                        "metrics", "golden", "serving", "metadata", "files"};
    GAL_ASSERT((unsigned)section < GAL_SECTION_COUNT);
    return names[section];
}

/* --- the list --- */

static bool copy(const struct gal_differ *d, struct gal_str from, struct gal_str *out)
{
    *out = absent;
    if (!from.p)
        return true;
    char *p = gal_arena_strdup(d->arena, from);
    *out = (struct gal_str){p, from.n};
    return p != NULL;
}

enum gal_status gal_diff_add(const struct gal_differ *d, enum gal_section section,
                             struct gal_str what, struct gal_str a, struct gal_str b)
{
    struct gal_diff *out = d->out;
    struct gal_change c = {.section = section};
    if (out->count == out->cap) {
        size_t cap = out->cap ? 2 * out->cap : 32;
        struct gal_change *grown = gal_arena_array(d->arena, cap, sizeof *grown);
        if (!grown)
            return gal_arena_fail(d->arena, cap * sizeof *grown, "list of differences", d->err);
        if (out->count > 0)
            memcpy(grown, out->changes, out->count * sizeof *grown);
        out->changes = grown;
        out->cap = cap;
    }
    if (!copy(d, what, &c.what) || !copy(d, a, &c.a) || !copy(d, b, &c.b))
        return gal_arena_fail(d->arena, what.n + a.n + b.n, "list of differences", d->err);
    out->changes[out->count++] = c;
    return GAL_OK;
}

enum gal_status gal_diff_text(const struct gal_differ *d, enum gal_section section,
                              struct gal_str what, struct gal_str a, struct gal_str b)
{
    return !a.p == !b.p && gal_str_eq(a, b) ? GAL_OK : gal_diff_add(d, section, what, a, b);
}

/* --- files --- */

static bool is_made(struct gal_str name)
{
    return gal_str_is(name, GAL_LOCK_FILE) || gal_str_is(name, GAL_SBOM_FILE);
}

static enum gal_section section_of(const struct gal_package_file *f)
{
    return f->role == GAL_ROLE_WEIGHT ? GAL_SECTION_WEIGHTS : GAL_SECTION_FILES;
}

/* "sha256:HEX, 123 bytes"; of none, absent. */
static struct gal_str file_text(const struct gal_package_file *f, char *out, size_t size)
{
    if (!f)
        return absent;
    (void)snprintf(out, size, "%s, %llu bytes", f->digest, (unsigned long long)f->size);
    return gal_str_of(out);
}

/* Its content has been compared already, and its differences are in the list. */
static bool is_told(const struct gal_differ *d, struct gal_str name)
{
    struct gal_str freeze = d->a->manifest->freeze_file, golden = d->a->manifest->golden_file;
    bool manifest = gal_str_is(name, GAL_MANIFEST_FILE);
    for (size_t i = 0; i < d->out->count; i++) {
        const struct gal_change *c = &d->out->changes[i];
        bool is_version = c->section == GAL_SECTION_ENVIRONMENT &&
                          !gal_str_starts(c->what, GAL_STR("provenance"));
        if (manifest && !is_version)
            return true;
        if ((gal_str_eq(name, freeze) && is_version) ||
            (gal_str_eq(name, golden) && c->section == GAL_SECTION_GOLDEN))
            return true;
    }
    return false;
}

static enum gal_status diff_files(const struct gal_differ *d)
{
    const struct gal_package *a = d->a, *b = d->b;
    char x[GAL_DIGEST_SIZE + 40], y[GAL_DIGEST_SIZE + 40];
    enum gal_status status = GAL_OK;
    for (size_t i = 0; i < a->file_count && !status; i++) {
        const struct gal_package_file *f = &a->files[i], *g = gal_package_find(b, f->name);
        if (!is_made(f->name) && (!g || strcmp(f->digest, g->digest) != 0) && !is_told(d, f->name))
            status = gal_diff_add(d, section_of(f), f->name, file_text(f, x, sizeof x),
                                  file_text(g, y, sizeof y));
    }
    for (size_t i = 0; i < b->file_count && !status; i++) {
        const struct gal_package_file *g = &b->files[i];
        if (!is_made(g->name) && !gal_package_find(a, g->name))
            status = gal_diff_add(d, section_of(g), g->name, absent, file_text(g, y, sizeof y));
    }
    return status;
}

/* --- environments --- */

static struct gal_str version_of(const struct gal_pinned *p)
{
    return !p ? absent : p->pinned ? p->version : p->written;
}

static struct gal_str or_absent(struct gal_str s)
{
    return s.n > 0 ? s : absent;
}

static enum gal_status diff_environments(const struct gal_differ *d)
{
    struct gal_environment a, b;
    enum gal_status status = gal_package_environment(d->a, d->arena, &a, d->err);
    if (!status)
        status = gal_package_environment(d->b, d->arena, &b, d->err);
    if (status || a.count == 0 || b.count == 0)
        return status; /* that there is none shows in the manifest */
    status = gal_diff_text(d, GAL_SECTION_ENVIRONMENT, GAL_STR("CUDA"), or_absent(a.cuda),
                           or_absent(b.cuda));
    if (!status)
        status = gal_diff_text(d, GAL_SECTION_ENVIRONMENT, GAL_STR("BLAS"), or_absent(a.blas),
                               or_absent(b.blas));
    for (size_t i = 0; i < a.count && !status; i++)
        status = gal_diff_text(d, GAL_SECTION_ENVIRONMENT, a.packages[i].name,
                               version_of(&a.packages[i]),
                               version_of(gal_environment_find(&b, a.packages[i].name)));
    for (size_t i = 0; i < b.count && !status; i++) {
        if (!gal_environment_find(&a, b.packages[i].name))
            status = gal_diff_add(d, GAL_SECTION_ENVIRONMENT, b.packages[i].name, absent,
                                  version_of(&b.packages[i]));
    }
    return status;
}

/* --- all --- */

/* By section; within one they stay as they are. */
static enum gal_status sort(const struct gal_differ *d)
{
    struct gal_diff *out = d->out;
    size_t n = 0;
    struct gal_change *sorted = gal_arena_array(d->arena, out->count + 1, sizeof *sorted);
    if (!sorted)
        return gal_arena_fail(d->arena, (out->count + 1) * sizeof *sorted, "list of differences",
                              d->err);
    for (int section = 0; section < GAL_SECTION_COUNT; section++) {
        for (size_t i = 0; i < out->count; i++) {
            if (out->changes[i].section == (enum gal_section)section)
                sorted[n++] = out->changes[i];
        }
    }
    out->changes = sorted;
    return GAL_OK;
}

enum gal_status gal_package_diff(struct gal_package *a, struct gal_package *b,
                                 struct gal_arena *arena, struct gal_diff *out, struct gal_err *err)
{
    const struct gal_differ d = {a, b, arena, out, err};
    *out = (struct gal_diff){.count = 0};
    enum gal_status status = gal_package_digest(a, err);
    if (!status)
        status = gal_package_digest(b, err);
    if (status || strcmp(a->digest, b->digest) == 0)
        return status;
    status = gal_diff_manifests(&d);
    if (!status)
        status = diff_environments(&d);
    if (!status)
        status = gal_diff_golden(&d);
    if (!status)
        status = diff_files(&d);
    return status ? status : sort(&d);
}
