/* SPDX-License-Identifier: Apache-2.0 */
/* oci://REFERENCE: an artifact of a registry, pulled and then unpacked as a package's directory. */
#include "base/file_write.h"
#include "base/mem.h"
#include "oci/parts.h"
#include "package/pack.h"
#include "package/package.h"
#include "source/plan.h"

#include <stdio.h>

#define MANIFESTS_BYTES_MAX (256u << 20) /* of an index's, as a pull takes them */

static void on_progress(const struct gal_oci_descriptor *d, enum gal_transfer_step step,
                        uint64_t done, uint64_t total, void *ctx)
{
    const struct gal_source_run *r = ctx;
    const struct gal_source_options *o = r->options;
    struct gal_str file = gal_oci_annotation(d, "org.cncf.model.filepath");
    char what[128];
    if (step != GAL_TRANSFER_DOWNLOADING || !o->on_progress)
        return;
    (void)snprintf(what, sizeof what, "%.*s", GAL_STR_SHOWN(file.n ? file : gal_str_of(d->digest)));
    o->on_progress(what, done, total, o->ctx);
}

static enum gal_status open_registry(struct gal_source_run *r, struct gal_reference *ref,
                                     struct gal_registry_options *o, struct gal_registry **out,
                                     struct gal_err *err)
{
    *out = NULL;
    enum gal_status status = gal_reference_parse(r->url.text, ref, err);
    *o = r->options->registry;
    o->env = o->env ? o->env : r->options->env;
    o->reads = true;
    o->parallel = r->options->parallel;
    o->on_progress = on_progress;
    o->ctx = r;
    return status ? status : gal_registry_open(ref, o, out, err);
}

/* "2", "2.1.0": what stands as a directory's name for a version. */
static bool is_version(const char *tag)
{
    if (tag[0] < '0' || tag[0] > '9')
        return false;
    return tag[strspn(tag, "0123456789.")] == '\0';
}

static uint64_t plus(uint64_t a, uint64_t b)
{
    return b < UINT64_MAX - a ? a + b : UINT64_MAX;
}

struct top {
    struct gal_registry *registry;
    struct gal_oci_descriptor d;
    struct gal_str text;
    struct gal_arena arena; /* of the others' texts */
};

static enum gal_status read_manifest(const struct gal_oci_descriptor *d, struct gal_str *text,
                                     void *ctx, struct gal_err *err)
{
    struct top *top = ctx;
    struct gal_oci_descriptor got;
    if (strcmp(d->digest, top->d.digest) == 0) {
        *text = top->text;
        return GAL_OK;
    }
    return gal_registry_manifest(top->registry, d->digest, &top->arena, &got, text, err);
}

/* Of all that a pull brings, each once: blobs and manifests, of an index those that it names. */
static enum gal_status count_bytes(struct gal_registry *registry, const char *digest, uint64_t *sum,
                                   struct gal_err *err)
{
    struct top top = {.registry = registry};
    struct gal_parts parts = {0};
    *sum = 0;
    gal_arena_init(&top.arena, 16384, 0, MANIFESTS_BYTES_MAX);
    enum gal_status status =
        gal_registry_manifest(registry, digest, &top.arena, &top.d, &top.text, err);
    if (!status)
        status = gal_parts_make(&parts, &top.d, read_manifest, &top, err);
    for (size_t i = 0; !status && i < parts.blob_count; i++)
        *sum = plus(*sum, parts.blobs[i].size);
    for (size_t i = 0; !status && i < parts.manifest_count; i++)
        *sum = plus(*sum, parts.manifests[i].text.n);
    gal_parts_release(&parts);
    gal_arena_release(&top.arena);
    return status;
}

enum gal_status gal_plan_oci(struct gal_source_run *r, struct gal_err *err)
{
    struct gal_registry_options o;
    struct gal_reference ref;
    struct gal_registry *registry;
    struct gal_oci_descriptor d;
    struct gal_str manifest;
    char text[768];
    enum gal_status status = open_registry(r, &ref, &o, &registry, err);
    if (!status)
        status =
            gal_registry_manifest(registry, gal_reference_name(&ref), r->arena, &d, &manifest, err);
    gal_registry_close(registry);
    if (status)
        return status;
    (void)snprintf(ref.digest, sizeof ref.digest, "%s", d.digest);
    r->plan.origin =
        gal_arena_printf(r->arena, "oci://%s", gal_reference_text(&ref, text, sizeof text));
    const char *base = strrchr(ref.repository, '/');
    base = base ? base + 1 : ref.repository;
    r->plan.root = is_version(ref.tag) ? gal_arena_printf(r->arena, "%s/%s", base, ref.tag)
                                       : gal_arena_printf(r->arena, "%s", base);
    r->plan.identity =
        gal_arena_printf(r->arena, "%s %s", d.digest, r->plan.root ? r->plan.root : "");
    return r->plan.origin && r->plan.root && r->plan.identity ? GAL_OK : gal_plan_no_memory(err);
}

/* Blobs and the files out of them lie there together for a while. */
static enum gal_status make_room(const struct gal_source_run *r, uint64_t blobs, uint64_t files,
                                 struct gal_err *err)
{
    return gal_shelf_room(r->shelf, r->hold, plus(blobs, files), r->options->cache_bytes_max, err);
}

/* What was counted on is less than its files where layers are compressed. */
static enum gal_status unpack(const struct gal_source_run *r, const char *layout, uint64_t blobs,
                              const char *to, struct gal_err *err)
{
    uint64_t files = 0;
    struct gal_package *p;
    char *parent = gal_strndup(to, (size_t)(strrchr(to, '/') - to));
    enum gal_status status = parent ? gal_dir_make_all(parent, err) : gal_plan_no_memory(err);
    gal_free(parent);
    if (!status)
        status = gal_package_open_bare(layout, &p, err);
    if (status)
        return status;
    for (size_t i = 0; i < p->file_count; i++)
        files = plus(files, p->files[i].size);
    if (files > blobs)
        status = make_room(r, blobs, files, err);
    if (!status)
        status = gal_unpack(p, to, err);
    gal_package_close(p);
    return status;
}

enum gal_status gal_pull_oci(struct gal_source_run *r, const char *dir, struct gal_err *err)
{
    struct gal_registry_options o;
    struct gal_registry *registry = NULL;
    struct gal_reference ref;
    struct gal_transfer moved;
    uint64_t blobs = 0;
    char *layout = gal_path_join(dir, "layout"), *files = gal_path_join(dir, GAL_SHELF_FILES);
    char *to = files ? gal_path_join(files, r->plan.root) : NULL;
    const char *digest = strrchr(r->plan.origin, '@') + 1;
    enum gal_status status =
        to && layout ? open_registry(r, &ref, &o, &registry, err) : gal_plan_no_memory(err);
    if (!status)
        status = count_bytes(registry, digest, &blobs, err);
    if (!status)
        status = make_room(r, blobs, blobs, err);
    if (!status)
        status = gal_registry_pull(registry, digest, NULL, layout, &moved, err);
    if (to && layout && !status)
        status = gal_dir_remove(files, err);
    if (!status)
        status = unpack(r, layout, blobs, to, err);
    if (!status)
        status = gal_dir_remove(layout, err);
    if (to && layout)
        gal_registry_close(registry);
    gal_free(to);
    gal_free(files);
    gal_free(layout);
    return status;
}
