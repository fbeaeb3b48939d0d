/* SPDX-License-Identifier: Apache-2.0 */
#include "ship/image.h"

#include "base/limits.h"
#include "ship/image_run.h"
#include "ship/modelcar.h"

#include <stdio.h>

#define CONFIG_MAX (16u << 20)
#define SBOM_MAX (64u << 20)
#define LAYERS_MAX 127u /* what runtimes can stack */

static enum gal_status no_memory(struct gal_err *err)
{
    return gal_fail(err, GAL_NO_MEMORY, "no memory for an image");
}

/* A buffer's text as the arena's; releases the buffer. p NULL when memory is out. */
static struct gal_str keep(struct gal_arena *arena, struct gal_buf *b)
{
    struct gal_str text = {b->failed ? NULL : gal_arena_strdup(arena, gal_buf_str(b)), b->n};
    gal_buf_release(b);
    return text;
}

/* --- layers --- */

static enum gal_status list_cargo(struct gal_ship *image, struct gal_err *err)
{
    struct gal_runtime *r = &image->runtime;
    struct gal_cargo *const fixed[] = {&r->system, &r->runtime, &r->engine, &r->galley};
    size_t room = 4 + image->models.cargo_count;
    image->cargo = gal_arena_array(&image->arena, room, sizeof(struct gal_cargo *));
    image->layers = gal_arena_array(&image->arena, room, sizeof *image->layers);
    if (!image->cargo || !image->layers)
        return no_memory(err);
    for (size_t i = 0; i < 4; i++) {
        if (fixed[i]->count)
            image->cargo[image->layer_count++] = fixed[i];
    }
    for (size_t i = 0; i < image->models.cargo_count; i++)
        image->cargo[image->layer_count++] = &image->models.cargo[i];
    return GAL_OK;
}

/* A base's layer may have Docker's name for the same bytes, which an OCI manifest must not hold. */
static struct gal_oci_descriptor as_oci(struct gal_oci_descriptor blob)
{
    enum gal_compression kind;
    if (gal_compression_of(blob.media_type, &kind))
        blob.media_type = gal_str_of(gal_layer_media_type(kind));
    return blob;
}

static enum gal_status describe_layers(struct gal_ship *image, struct gal_err *err)
{
    const struct gal_view *base = image->base ? image->base->view : NULL;
    size_t n = base ? base->layer_count : 0;
    if (n + image->layer_count > LAYERS_MAX)
        return gal_fail(err, GAL_TOO_LARGE, "%zu layers: container runtimes take at most %u",
                        n + image->layer_count, LAYERS_MAX);
    image->descriptors =
        gal_arena_array(&image->arena, n + image->layer_count, sizeof *image->descriptors);
    if (!image->descriptors)
        return no_memory(err);
    for (size_t i = 0; i < n; i++)
        image->descriptors[i] = as_oci(base->layers[i].blob);
    for (size_t i = 0; i < image->layer_count; i++) {
        const struct gal_layer *l = &image->layers[i];
        struct gal_oci_descriptor *d = &image->descriptors[n + i];
        *d = (struct gal_oci_descriptor){
            .media_type = gal_str_of(gal_layer_media_type(l->compression)), .size = l->size};
        memcpy(d->digest, l->digest, sizeof d->digest);
    }
    image->descriptor_count = n + image->layer_count;
    for (size_t i = 0; i < image->descriptor_count; i++)
        image->bytes += image->descriptors[i].size;
    return GAL_OK;
}

/* --- configuration --- */

/* One step of the history and one diff id a layer, the base's as they were. */
static enum gal_status fill_history(struct gal_ship *image, struct gal_ship_config *c,
                                    struct gal_err *err)
{
    const struct gal_view *base = image->base ? image->base->view : NULL;
    size_t n = base ? base->step_count : 0, layers = base ? base->layer_count : 0;
    struct gal_ship_step *steps =
        gal_arena_array(&image->arena, n + image->layer_count, sizeof *steps);
    struct gal_str *diff_ids =
        gal_arena_array(&image->arena, layers + image->layer_count, sizeof *diff_ids);
    if (!steps || !diff_ids)
        return no_memory(err);
    for (size_t i = 0; i < n; i++)
        steps[i] = (struct gal_ship_step){.created = base->steps[i].created,
                                          .created_by = base->steps[i].created_by,
                                          .comment = base->steps[i].comment,
                                          .empty_layer = base->steps[i].layer == SIZE_MAX};
    for (size_t i = 0; i < layers; i++)
        diff_ids[i] = base->layers[i].diff_id;
    for (size_t i = 0; i < image->layer_count; i++) {
        steps[n + i] =
            (struct gal_ship_step){.created_by = gal_str_of(image->cargo[i]->created_by)};
        diff_ids[layers + i] = gal_str_of(image->layers[i].diff_id);
    }
    c->steps = steps;
    c->step_count = n + image->layer_count;
    c->diff_ids = diff_ids;
    c->diff_id_count = layers + image->layer_count;
    return GAL_OK;
}

static enum gal_status write_config(const struct gal_ship_options *o, struct gal_ship *image,
                                    struct gal_ship_config *c, struct gal_err *err)
{
    struct gal_buf text;
    enum gal_status status = gal_ship_run(o, image, c, err);
    c->platform = image->platform;
    if (!status)
        status = fill_history(image, c, err);
    if (status)
        return status;
    gal_buf_init(&text, CONFIG_MAX);
    status = gal_ship_config_write(&text, c, err);
    image->config = keep(&image->arena, &text);
    if (!status && !image->config.p)
        status = no_memory(err);
    if (!status)
        image->config_d = gal_oci_describe(GAL_STR(GAL_OCI_CONFIG), image->config);
    return status;
}

/* --- manifest --- */

/* Of the labels those that registries show without fetching the configuration. */
static size_t pick_annotations(const struct gal_ship_config *c, struct gal_oci_annotation *out)
{
    size_t n = 0;
    for (size_t i = 0; i < c->label_count; i++) {
        if (gal_str_starts(c->labels[i].key, GAL_STR("org.opencontainers.image.")) ||
            gal_str_is(c->labels[i].key, "ai.galley.package.digest"))
            out[n++] = c->labels[i];
    }
    return n;
}

static enum gal_status write_manifest(struct gal_ship *image, const struct gal_ship_config *c,
                                      struct gal_err *err)
{
    struct gal_oci_manifest m = {.media_type = GAL_STR(GAL_OCI_MANIFEST),
                                 .config = image->config_d,
                                 .layers = image->descriptors,
                                 .layer_count = image->descriptor_count};
    struct gal_oci_annotation *annotations =
        gal_arena_array(&image->arena, c->label_count + 1, sizeof *annotations);
    struct gal_buf text;
    if (!annotations)
        return no_memory(err);
    m.annotation_count = pick_annotations(c, annotations);
    m.annotations = annotations;
    gal_buf_init(&text, GAL_OCI_JSON_BYTES_MAX);
    gal_oci_manifest_write(&text, &m);
    image->manifest = keep(&image->arena, &text);
    if (!image->manifest.p)
        return no_memory(err);
    image->manifest_d = gal_oci_describe(GAL_STR(GAL_OCI_MANIFEST), image->manifest);
    image->manifest_d.platform = image->platform;
    image->bytes += image->config.n + image->manifest.n;
    return GAL_OK;
}

/* --- bill of materials --- */

static enum gal_status write_sbom(const struct gal_ship_options *o, struct gal_ship *image,
                                  struct gal_err *err)
{
    const struct gal_models *m = &image->models;
    struct gal_str name = gal_str_of(m->name), version = gal_str_of(m->version);
    struct gal_bill_package root = {.name = name,
                                    .version = version,
                                    .purl = gal_bill_purl(&image->arena, "oci", name,
                                                          gal_str_of(image->manifest_d.digest),
                                                          image->platform.architecture),
                                    .purpose = "CONTAINER"};
    struct gal_bill_package model = {
        .name = name,
        .version = version,
        .purl = gal_bill_purl(&image->arena, "generic", name, version, (struct gal_str){NULL, 0}),
        .purpose = "DATA"};
    struct gal_buf text;
    enum gal_status status;
    if (m->package)
        model.licence = m->package->manifest->licence;
    if (!o->source)
        gal_bill_package(&image->runtime.bill, model);
    gal_buf_init(&text, SBOM_MAX);
    status = gal_bill_write(&text, &image->runtime.bill, m->name, &root, o->epoch, err);
    image->sbom = keep(&image->arena, &text);
    if (!status && !image->sbom.p)
        status = no_memory(err);
    if (!status)
        image->sbom_d = gal_oci_describe(GAL_STR(GAL_SPDX_TYPE), image->sbom);
    return status;
}

enum gal_status gal_ship_sbom_manifest(const struct gal_ship *image, struct gal_buf *out,
                                       struct gal_err *err)
{
    struct gal_oci_manifest m = {.media_type = GAL_STR(GAL_OCI_MANIFEST),
                                 .artifact_type = GAL_STR(GAL_SPDX_TYPE),
                                 .config = gal_oci_describe(GAL_STR(GAL_OCI_EMPTY), GAL_STR("{}")),
                                 .layers = &image->sbom_d,
                                 .layer_count = 1,
                                 .has_subject = true};
    m.subject = image->manifest_d;
    m.subject.platform = (struct gal_oci_platform){.os = {NULL, 0}};
    gal_oci_manifest_write(out, &m);
    return out->failed ? no_memory(err) : GAL_OK;
}

/* --- all of it --- */

static enum gal_status set_platform(const struct gal_ship_options *o, struct gal_ship *image,
                                    struct gal_err *err)
{
    const char *architecture = gal_elf_architecture(&image->runtime.galley_elf);
    image->platform = o->platform;
    if (o->data_only && !o->busybox)
        return GAL_OK;
    if (!architecture)
        return gal_fail(err, GAL_UNSUPPORTED, "%s is of an architecture that OCI has no name for",
                        o->data_only ? o->busybox : o->runtime.galley);
    image->platform = (struct gal_oci_platform){.os = GAL_STR("linux"),
                                                .architecture = gal_str_of(architecture),
                                                .variant = o->platform.variant};
    if (o->base && !gal_str_is(o->base->view->architecture, architecture))
        return gal_fail(err, GAL_CONFLICT, "the base image is for %.*s, %s for %s",
                        GAL_STR_SHOWN(o->base->view->architecture), o->runtime.galley,
                        architecture);
    if (o->platform.architecture.n == 0 || gal_str_is(o->platform.architecture, architecture))
        return GAL_OK;
    gal_fail(err, GAL_CONFLICT, "the platform is %.*s, and %s is of %s",
             GAL_STR_SHOWN(o->platform.architecture), o->data_only ? o->busybox : o->runtime.galley,
             architecture);
    gal_err_hint(err, o->data_only ? "name one for it: --busybox FILE"
                                   : "name one for it, its engine and libraries: --galley, "
                                     "--onnxruntime, --sysroot");
    return GAL_CONFLICT;
}

/* Of a modelcar: models, and what its sidecar runs. */
static enum gal_status gather_data(const struct gal_ship_options *o, struct gal_ship *image,
                                   struct gal_err *err)
{
    struct gal_models_options models = o->models;
    enum gal_status status;
    models.epoch = o->epoch;
    models.under_its_name = false;
    gal_bill_init(&image->runtime.bill, &image->arena);
    status = gal_models_gather(&models, &image->models, err);
    return status || !o->busybox ? status : gal_modelcar_tools(o->busybox, image, err);
}

static enum gal_status gather(const struct gal_ship_options *o, struct gal_ship *image,
                              struct gal_err *err)
{
    struct gal_runtime_options runtime = o->runtime;
    struct gal_models_options models = o->models;
    enum gal_status status =
        gal_ship_user(o->user, o->base != NULL, &runtime.uid, &runtime.gid, err);
    runtime.has_base = o->base != NULL;
    runtime.epoch = models.epoch = o->epoch;
    runtime.with_sources = runtime.with_sources || o->source;
    models.without_weights = o->source != NULL;
    if (!status)
        status = gal_models_gather(&models, &image->models, err);
    if (!status)
        status = gal_ship_check_cuda(o, image, err);
    if (!status)
        gal_ship_advise_base(o, image);
    return status ? status : gal_runtime_gather(&runtime, &image->runtime, err);
}

enum gal_status gal_ship_build(const struct gal_ship_options *options, struct gal_ship *out,
                               struct gal_err *err)
{
    struct gal_layer_options layers = options->layers;
    struct gal_ship_config c = {.epoch = options->epoch};
    enum gal_status status;
    *out = (struct gal_ship){.base = options->base};
    gal_arena_init(&out->arena, 65536, 0, 1ull << 30);
    layers.epoch = options->epoch;
    status = options->data_only ? gather_data(options, out, err) : gather(options, out, err);
    if (!status)
        status = set_platform(options, out, err);
    if (!status)
        status = list_cargo(out, err);
    if (!status)
        status =
            gal_layers_make(out->cargo, out->layer_count, &layers, &out->arena, out->layers, err);
    if (!status)
        status = describe_layers(out, err);
    if (!status)
        status = write_config(options, out, &c, err);
    if (!status)
        status = write_manifest(out, &c, err);
    return status ? status : write_sbom(options, out, err);
}

void gal_ship_release(struct gal_ship *image)
{
    gal_runtime_release(&image->runtime);
    gal_models_release(&image->models);
    gal_arena_release(&image->arena);
}
