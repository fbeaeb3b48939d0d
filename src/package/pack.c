/* SPDX-License-Identifier: Apache-2.0 */
#include "package/pack.h"

#include "package/plan.h"

#define ARENA_FIRST 65536u
#define ARENA_MAX (256u << 20)

static const struct gal_pack_options no_options;

/* The index names the manifest by its version, as registries do by a tag. */
static enum gal_status finish(struct gal_layout_writer *w, const struct gal_oci_manifest *oci,
                              struct gal_oci_descriptor *d, const struct gal_pack_options *options,
                              struct gal_err *err)
{
    struct gal_oci_annotation name = {GAL_STR("org.opencontainers.image.ref.name"), {NULL, 0}};
    for (size_t i = 0; i < oci->annotation_count; i++) {
        if (gal_str_is(oci->annotations[i].key, "org.opencontainers.image.version"))
            name.value = oci->annotations[i].value;
    }
    d->media_type = GAL_STR(GAL_OCI_MANIFEST);
    d->artifact_type = oci->artifact_type;
    d->annotations = &name;
    d->annotation_count = name.value.n > 0;
    const struct gal_oci_index index = {.manifests = d, .manifest_count = 1};
    return gal_layout_finish(w, &index, options->on_progress, options->ctx, err);
}

static void describe(struct gal_oci_descriptor *d, struct gal_str manifest, const char *digest,
                     struct gal_pack_report *report)
{
    *d = (struct gal_oci_descriptor){.size = manifest.n};
    memcpy(d->digest, digest, sizeof d->digest);
    memcpy(report->digest, digest, sizeof report->digest);
    report->bytes += manifest.n;
}

/* --- a user's directory --- */

/* Bytes are read twice, for digests and for writing: one progress of both. */
struct stages {
    const struct gal_pack_options *options;
    uint64_t before, all;
};

static void on_stage(uint64_t done, uint64_t total, void *ctx)
{
    const struct stages *s = ctx;
    (void)total;
    done += s->before;
    s->options->on_progress(done < s->all ? done : s->all, s->all, s->options->ctx);
}

static struct stages stages_of(const struct gal_package *p, const struct gal_pack_options *options)
{
    struct stages s = {.options = options};
    for (size_t i = 0; i < p->file_count; i++)
        s.all += 2 * p->files[i].size;
    return s;
}

static enum gal_status add_planned(struct gal_layout_writer *w, const struct gal_plan *plan,
                                   struct gal_pack_report *report, struct gal_err *err)
{
    enum gal_status status = gal_layout_add(w, &plan->oci.config, plan->config, err);
    report->bytes += plan->config.n;
    report->files = plan->file_count;
    for (size_t i = 0; i < plan->file_count && !status; i++) {
        const struct gal_plan_file *f = &plan->files[i];
        report->bytes += f->file.size;
        status = f->bytes.p ? gal_layout_add(w, &plan->oci.layers[i], f->bytes, err)
                            : gal_layout_add_file(w, &plan->oci.layers[i], f->file.path,
                                                  f->file.offset, err);
    }
    return status;
}

static enum gal_status pack_plan(struct gal_opened *o, const char *out_path,
                                 const struct gal_pack_options *options,
                                 struct gal_pack_report *report, struct gal_err *err)
{
    struct gal_arena arena;
    struct gal_plan plan;
    struct gal_oci_descriptor d;
    struct gal_layout_writer *w = NULL;
    struct stages stages = stages_of(&o->package, options);
    struct gal_pack_options inner = *options;
    inner.on_progress = options->on_progress ? on_stage : NULL;
    inner.ctx = &stages;
    gal_arena_init(&arena, ARENA_FIRST, 0, ARENA_MAX);
    enum gal_status status = gal_plan_make(o, &inner, &arena, &plan, err);
    stages.before = stages.all / 2;
    if (!status)
        status = gal_layout_create(out_path, GAL_LAYOUT_TAR, &w, err);
    if (!status)
        status = add_planned(w, &plan, report, err);
    if (!status) {
        describe(&d, plan.manifest, plan.digest, report);
        status = gal_layout_add(w, &d, plan.manifest, err);
    }
    if (!status) {
        status = finish(w, &plan.oci, &d, &inner, err);
        w = NULL;
    }
    gal_layout_abandon(w);
    gal_arena_release(&arena);
    return status;
}

/* --- what is sealed --- */

static enum gal_status pack_sealed(struct gal_opened *o, const char *out_path,
                                   const struct gal_pack_options *options,
                                   struct gal_pack_report *report, struct gal_err *err)
{
    struct gal_oci_descriptor d;
    struct gal_layout_writer *w;
    enum gal_status status = gal_layout_create(out_path, GAL_LAYOUT_TAR, &w, err);
    if (status)
        return status;
    report->files = o->package.file_count;
    report->bytes += o->oci_config.n;
    status = gal_layout_add(w, &o->oci.config, o->oci_config, err);
    for (size_t i = 0; i < o->part_count && !status; i++) {
        report->bytes += o->parts[i].size;
        status =
            gal_layout_add_file(w, &o->oci.layers[i], o->parts[i].path, o->parts[i].offset, err);
    }
    describe(&d, o->oci_text, o->package.digest, report);
    if (!status)
        status = gal_layout_add(w, &d, o->oci_text, err);
    if (status) {
        gal_layout_abandon(w);
        return status;
    }
    return finish(w, &o->oci, &d, options, err);
}

enum gal_status gal_pack(struct gal_package *p, const char *out_path,
                         const struct gal_pack_options *options, struct gal_pack_report *report,
                         struct gal_err *err)
{
    struct gal_opened *o = gal_opened_of(p);
    *report = (struct gal_pack_report){.bytes = 0};
    if (!options)
        options = &no_options;
    if (!p->is_sealed)
        return pack_plan(o, out_path, options, report, err);
    /* A damaged file is told as one, not as one that changed while it was packed. */
    enum gal_status status = gal_package_check(p, options->threads, NULL, NULL, err);
    return status ? status : pack_sealed(o, out_path, options, report, err);
}

enum gal_status gal_package_digest(struct gal_package *p, struct gal_err *err)
{
    struct gal_opened *o = gal_opened_of(p);
    struct gal_arena arena;
    struct gal_plan plan;
    const struct gal_pack_options options = {.proved = true};
    if (p->is_sealed)
        return GAL_OK;
    gal_arena_init(&arena, ARENA_FIRST, 0, ARENA_MAX);
    enum gal_status status = gal_plan_make(o, &options, &arena, &plan, err);
    for (size_t i = 0; i < plan.file_count && !status; i++) {
        for (size_t k = 0; k < p->file_count; k++) {
            if (gal_str_eq(o->files[k].name, plan.files[i].file.name))
                memcpy(o->files[k].digest, plan.files[i].file.digest, GAL_DIGEST_SIZE);
        }
    }
    if (!status)
        memcpy(p->digest, plan.digest, sizeof p->digest);
    gal_arena_release(&arena);
    return status;
}
