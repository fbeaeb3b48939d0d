/* SPDX-License-Identifier: Apache-2.0 */
/* Several builds of one image become one name for several architectures. */
#include "base/limits.h"
#include "base/mem.h"
#include "cli/image_source.h"
#include "cli/image_target.h"
#include "cli/print.h"
#include "ship/view.h"

#define IMAGES_MAX 32u

struct joined {
    struct gal_image_target target;
    struct gal_image_source sources[IMAGES_MAX];
    struct gal_view views[IMAGES_MAX];
    struct gal_oci_descriptor manifests[IMAGES_MAX];
    size_t count;
    struct gal_oci_descriptor top;
    struct gal_buf text; /* of the index */
};

/* "linux/arm64/v8" */
static void name_platform(const struct gal_oci_platform *p, char *out, size_t size)
{
    snprintf(out, size, "%.*s/%.*s%s%.*s", GAL_STR_SHOWN(p->os), GAL_STR_SHOWN(p->architecture),
             p->variant.n ? "/" : "", GAL_STR_SHOWN(p->variant));
}

static bool same_platform(const struct gal_oci_platform *a, const struct gal_oci_platform *b)
{
    return gal_str_eq(a->os, b->os) && gal_str_eq(a->architecture, b->architecture) &&
           gal_str_eq(a->variant, b->variant);
}

static enum gal_status open_one(struct joined *j, const char *text, struct gal_err *err)
{
    size_t i = j->count;
    struct gal_view *v = &j->views[i];
    struct gal_oci_descriptor *d = &j->manifests[i];
    char name[256];
    enum gal_status status = gal_image_source_open(j->target.cli, text, NULL, &j->sources[i], err);
    j->count++;
    if (!status)
        status = gal_view_open(j->sources[i].layout, NULL, NULL, v, err);
    if (status) {
        if (err && !err->place[0])
            gal_err_place(err, "%s", text);
        return status;
    }
    *d = (struct gal_oci_descriptor){.media_type = v->manifest.media_type, .size = v->top.size};
    if (d->media_type.n == 0)
        d->media_type = GAL_STR(GAL_OCI_MANIFEST);
    memcpy(d->digest, v->top.digest, sizeof d->digest);
    d->platform = (struct gal_oci_platform){
        .os = v->os, .architecture = v->architecture, .variant = v->top.platform.variant};
    for (size_t k = 0; k < i; k++) {
        if (!same_platform(&j->manifests[k].platform, &d->platform))
            continue;
        name_platform(&d->platform, name, sizeof name);
        gal_fail(err, GAL_CONFLICT, "%s and %s are both for %s: who pulls gets one of them",
                 j->target.cli->operands[k], text, name);
        return GAL_CONFLICT;
    }
    return GAL_OK;
}

/* A blob of a source's layout, which its reader has mapped or may read from a file. */
static enum gal_status add_blob(struct gal_layout_writer *w, struct gal_layout *layout,
                                const struct gal_oci_descriptor *d, struct gal_err *err)
{
    const char *path;
    uint64_t offset;
    enum gal_status status = gal_layout_place(layout, d, &path, &offset, err);
    return status ? status : gal_layout_add_file(w, d, path, offset, err);
}

static enum gal_status add_all(struct gal_layout_writer *w, struct joined *j, struct gal_err *err)
{
    enum gal_status status = gal_layout_add(w, &j->top, gal_buf_str(&j->text), err);
    for (size_t i = 0; i < j->count && !status; i++) {
        struct gal_view *v = &j->views[i];
        status = add_blob(w, v->layout, &v->top, err);
        if (!status)
            status = add_blob(w, v->layout, &v->manifest.config, err);
        for (size_t k = 0; k < v->layer_count && !status; k++)
            status = add_blob(w, v->layout, &v->layers[k].blob, err);
    }
    return status;
}

static enum gal_status write_index(struct joined *j, struct gal_err *err)
{
    const struct gal_oci_index index = {.manifests = j->manifests, .manifest_count = j->count};
    const struct gal_oci_annotation names[] = {
        {GAL_STR("org.opencontainers.image.ref.name"), gal_str_of(j->target.ref.tag)},
        {GAL_STR("io.containerd.image.name"), gal_str_of(j->target.name)},
    };
    struct gal_oci_descriptor named;
    const struct gal_oci_index outer = {.manifests = &named, .manifest_count = 1};
    struct gal_layout_writer *w = NULL;
    enum gal_status status;
    gal_oci_index_write(&j->text, &index);
    if (j->text.failed)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for an index");
    j->top = gal_oci_describe(GAL_STR(GAL_OCI_INDEX), gal_buf_str(&j->text));
    named = j->top;
    named.annotations = names;
    named.annotation_count = 2;
    status = gal_layout_create(j->target.path, j->target.kind, &w, err);
    if (!status)
        status = add_all(w, j, err);
    if (!status)
        return gal_layout_finish(w, &outer, NULL, NULL, err);
    gal_layout_abandon(w);
    return status;
}

static void tell(struct joined *j)
{
    struct gal_cli *cli = j->target.cli;
    char name[256];
    bool is_quiet = !j->target.transfer.progress;
    gal_transfer_release(&j->target.transfer);
    for (size_t i = 0; i < j->count && !is_quiet; i++) {
        name_platform(&j->manifests[i].platform, name, sizeof name);
        fputs("  ", cli->err);
        gal_print_text(cli->err, gal_str_of(name));
        fprintf(cli->err, "  %s\n", j->manifests[i].digest);
    }
    if (!is_quiet && j->target.keeps) {
        fputs("it lies in ", cli->err);
        gal_print_text(cli->err, gal_str_of(j->target.path));
        fputc('\n', cli->err);
    }
    if (gal_cli_has(cli, "json")) {
        struct gal_buf json;
        gal_buf_init(&json, GAL_OCI_JSON_BYTES_MAX + 4096);
        gal_buf_puts(&json, "{\"reference\":");
        gal_buf_put_quoted(&json, gal_str_of(j->target.name));
        gal_buf_printf(&json, ",\"digest\":\"%s\",\"index\":", j->top.digest);
        gal_buf_put_str(&json, gal_buf_str(&j->text));
        gal_buf_putc(&json, '}');
        gal_print_json(cli->out, gal_buf_str(&json), false);
        gal_buf_release(&json);
    } else {
        fprintf(cli->out, "%s@%s\n", j->target.name, j->top.digest);
    }
}

static enum gal_status join(struct joined *j, struct gal_err *err)
{
    struct gal_cli *cli = j->target.cli;
    enum gal_status status = GAL_OK;
    for (size_t i = 0; i < cli->operand_count && !status; i++)
        status = open_one(j, cli->operands[i], err);
    if (!status)
        status = write_index(j, err);
    if (!status && j->target.pushes)
        status = gal_image_target_push(&j->target, &j->top, err);
    return status;
}

static int run_index(struct gal_cli *cli)
{
    struct joined *j = gal_calloc(1, sizeof *j);
    struct gal_err err;
    int code = GAL_EXIT_USAGE;
    enum gal_status status;
    gal_err_clear(&err);
    if (!j) {
        gal_fail(&err, GAL_NO_MEMORY, "no memory");
        return gal_cli_fail(cli, GAL_EXIT_FAILURE, &err);
    }
    gal_buf_init(&j->text, GAL_OCI_JSON_BYTES_MAX);
    status = gal_image_target_init(&j->target, cli, &err);
    if (!status) {
        code = GAL_EXIT_FAILURE;
        status = join(j, &err);
    }
    if (!status)
        tell(j);
    for (size_t i = 0; i < j->count; i++) {
        gal_view_release(&j->views[i]);
        gal_image_source_close(&j->sources[i]);
    }
    gal_buf_release(&j->text);
    gal_image_target_release(&j->target);
    gal_free(j);
    return status ? gal_cli_fail(cli, code, &err) : GAL_EXIT_OK;
}

static const struct gal_option options[] = {GAL_IMAGE_TARGET_OPTIONS};
static const struct gal_example examples[] = {
    {"galley image index fraud-amd64.tar fraud-arm64.tar -t r.example.com/fraud:2.1.0 --push",
     "Who pulls r.example.com/fraud:2.1.0 gets what is for their machine."},
    {"galley image index r.example.com/fraud:2.1.0-amd64 r.example.com/fraud:2.1.0-arm64 "
     "-t r.example.com/fraud:2.1.0 --push",
     "The same of images that are in a registry already."},
};

const struct gal_command gal_command_image_index = {
    .name = "image index",
    .summary = "Join builds for several architectures under one name",
    .operands = "IMAGE...",
    .words = "PATH",
    .operands_min = 1,
    .operands_max = IMAGES_MAX,
    .text =
        "Each IMAGE is an archive or layout that galley image build wrote, or a reference into a "
        "registry. Their configurations say what they are for; two for the same are an error.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .examples = examples,
    .example_count = sizeof(examples) / sizeof(examples[0]),
    .run = run_index,
};
