/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/image_target.h"

#include "base/file_write.h"
#include "base/limits.h"
#include "base/mem.h"
#include "cli/print.h"
#include "net/loop.h"
#include "text/json.h"

#include <stdlib.h>
#include <unistd.h>

/* --- options --- */

static const char *env_of(const struct gal_cli *cli, const char *name)
{
    size_t n = strlen(name);
    for (char *const *e = cli->env; e && *e; e++) {
        if (strncmp(*e, name, n) == 0 && (*e)[n] == '=' && (*e)[n + 1])
            return *e + n + 1;
    }
    return NULL;
}

enum gal_status gal_platform_parse(const char *text, struct gal_oci_platform *out,
                                   struct gal_err *err)
{
    struct gal_str rest = gal_str_of(text);
    *out = (struct gal_oci_platform){.os = {NULL, 0}};
    gal_str_cut(&rest, '/', &out->os);
    gal_str_cut(&rest, '/', &out->architecture);
    out->variant = rest;
    if (gal_str_is(out->os, "linux") && out->architecture.n)
        return GAL_OK;
    gal_fail(err, GAL_INVALID, "--platform: '%.64s' is not linux/ARCHITECTURE[/VARIANT]", text);
    gal_err_hint(err, "as OCI calls them: linux/amd64, linux/arm64");
    return GAL_INVALID;
}

enum gal_status gal_layer_folder(const struct gal_cli *cli, char out[GAL_PATH_SIZE],
                                 struct gal_err *err)
{
    const char *own = gal_cli_value(cli, "cache"), *xdg = env_of(cli, "XDG_CACHE_HOME");
    const char *home = env_of(cli, "HOME");
    enum gal_status status;
    int n;
    if (own)
        n = snprintf(out, GAL_PATH_SIZE, "%s", own);
    else if (xdg)
        n = snprintf(out, GAL_PATH_SIZE, "%s/galley/layers", xdg);
    else if (home)
        n = snprintf(out, GAL_PATH_SIZE, "%s/.cache/galley/layers", home);
    else
        n = snprintf(out, GAL_PATH_SIZE, "/tmp/galley-%u/layers", (unsigned)geteuid());
    if (n >= GAL_PATH_SIZE)
        return gal_fail(err, GAL_INVALID, "the path of the cache is too long");
    status = gal_dir_make_all(out, err);
    if (status)
        gal_err_hint(err, "layers are kept there: --cache DIR names another place");
    return status;
}

static enum gal_status take_name(struct gal_image_target *t, struct gal_err *err)
{
    const char *text = gal_cli_value(t->cli, "tag");
    struct gal_str shown;
    bool has_tag;
    enum gal_status status;
    if (!text)
        return gal_fail(err, GAL_INVALID, "-t REFERENCE is missing: what the image is called");
    status = gal_reference_parse(gal_str_of(text), &t->ref, err);
    if (!status && t->ref.digest[0])
        status = gal_fail(err, GAL_INVALID, "--tag: a digest is what comes out, not what goes in");
    if (status)
        return status;
    shown = gal_str_of(text);
    if (gal_str_starts(shown, GAL_STR("oci://")))
        shown = (struct gal_str){shown.p + 6, shown.n - 6};
    has_tag = gal_str_ends(shown, gal_str_of(t->ref.tag)) && shown.n > strlen(t->ref.tag) &&
              shown.p[shown.n - strlen(t->ref.tag) - 1] == ':';
    snprintf(t->name, sizeof t->name, "%.*s%s%s", GAL_STR_ARG(shown), has_tag ? "" : ":",
             has_tag ? "" : t->ref.tag);
    return GAL_OK;
}

static enum gal_status make_temporary(struct gal_image_target *t, struct gal_err *err)
{
    enum gal_status status = gal_dir_make_temporary("image", &t->temporary, err);
    if (!status && strlen(t->temporary) >= sizeof t->path)
        status = gal_fail(err, GAL_INVALID, "TMPDIR is too long a path");
    if (!status)
        memcpy(t->path, t->temporary, strlen(t->temporary) + 1);
    t->kind = GAL_LAYOUT_DIR;
    return status;
}

static enum gal_status take_output(struct gal_image_target *t, struct gal_err *err)
{
    const char *text = gal_cli_value(t->cli, "output");
    struct gal_str path = gal_str_of(text);
    struct gal_file_info info;
    enum gal_status status;
    t->keeps = text || !t->pushes;
    if (!t->keeps)
        return make_temporary(t, err);
    if (!text)
        snprintf(t->path, sizeof t->path, "%s-%s.tar", gal_path_base(t->ref.repository),
                 t->ref.tag);
    else if (path.n == 0 || path.n >= sizeof t->path)
        return gal_fail(err, GAL_INVALID, "--output: not a path");
    else
        memcpy(t->path, text, path.n + 1);
    status = gal_file_stat(t->path, &info, err);
    t->kind = GAL_LAYOUT_TAR;
    if (!status && (info.kind == GAL_FILE_DIR || gal_str_ends(path, GAL_STR("/"))))
        t->kind = GAL_LAYOUT_DIR;
    for (size_t n = strlen(t->path); n > 1 && t->path[n - 1] == '/'; n--)
        t->path[n - 1] = '\0';
    return status;
}

enum gal_status gal_image_target_init(struct gal_image_target *t, struct gal_cli *cli,
                                      struct gal_err *err)
{
    enum gal_status status;
    *t = (struct gal_image_target){.cli = cli, .pushes = gal_cli_has(cli, "push")};
    status = gal_transfer_init(&t->transfer, cli, err);
    t->transfer.sent = "uploaded";
    if (!status)
        status = take_name(t, err);
    return status ? status : take_output(t, err);
}

void gal_image_target_release(struct gal_image_target *t)
{
    gal_transfer_release(&t->transfer);
    gal_dir_remove_temporary(t->temporary);
    t->temporary = NULL;
}

/* --- delivery --- */

enum gal_status gal_image_target_push(struct gal_image_target *t,
                                      const struct gal_oci_descriptor *top, struct gal_err *err)
{
    struct gal_registry *registry = NULL;
    struct gal_layout *layout = NULL;
    enum gal_status status = gal_layout_open(t->path, &layout, err);
    if (!status)
        status = gal_registry_open(&t->ref, &t->transfer.options, &registry, err);
    if (!status)
        status = gal_registry_push(registry, layout, top, t->ref.tag, &t->moved, err);
    gal_registry_close(registry);
    gal_layout_close(layout);
    return status;
}

/* The bill of materials stands beside the image, found by who asks for its referrers. */
static enum gal_status push_sbom(struct gal_image_target *t, const struct gal_ship *image,
                                 struct gal_err *err)
{
    struct gal_registry *registry = NULL;
    struct gal_registry_options options = t->transfer.options;
    struct gal_oci_descriptor empty = gal_oci_describe(GAL_STR(GAL_OCI_EMPTY), GAL_STR("{}"));
    const struct gal_blob_source nothing = {.bytes = GAL_STR("{}")}, sbom = {.bytes = image->sbom};
    struct gal_buf manifest;
    enum gal_status status;
    options.on_progress = NULL;
    gal_buf_init(&manifest, GAL_OCI_JSON_BYTES_MAX);
    status = gal_ship_sbom_manifest(image, &manifest, err);
    if (!status)
        status = gal_registry_open(&t->ref, &options, &registry, err);
    if (!status)
        status = gal_registry_push_blob(registry, &empty, &nothing, NULL, err);
    if (!status)
        status = gal_registry_push_blob(registry, &image->sbom_d, &sbom, NULL, err);
    if (!status)
        status = gal_registry_push_manifest(registry, GAL_STR(GAL_OCI_MANIFEST),
                                            gal_buf_str(&manifest), NULL, err);
    gal_registry_close(registry);
    gal_buf_release(&manifest);
    return status;
}

static void on_written(uint64_t done, uint64_t total, void *ctx)
{
    struct gal_image_target *t = ctx;
    gal_progress_step(t->transfer.progress, "write", gal_path_base(t->path), "writing", done,
                      total);
}

enum gal_status gal_image_deliver(struct gal_image_target *t, const struct gal_ship *image,
                                  struct gal_err *err)
{
    enum gal_status status =
        gal_ship_write(image, t->path, t->kind, t->name, t->ref.tag, on_written, t, err);
    if (!status && t->keeps)
        gal_progress_done(t->transfer.progress, "write", gal_path_base(t->path), "written",
                          image->bytes);
    if (!status && t->pushes)
        status = gal_image_target_push(t, &image->manifest_d, err);
    if (!status && t->pushes)
        status = push_sbom(t, image, err);
    return status;
}

/* --- what was made --- */

static void tell_layer(FILE *out, const char *name, const struct gal_layer *l)
{
    static const char *const words[] = {"not compressed", "gzip", "zstd"};
    char size[24], unpacked[24];
    fprintf(out, "  %-8s  %10s  of %10s  %s%s\n", name,
            gal_humane_bytes(l->size, size, sizeof size),
            gal_humane_bytes(l->unpacked, unpacked, sizeof unpacked), words[l->compression],
            l->was_there ? ", kept from before" : "");
}

static void tell_text(struct gal_image_target *t, const struct gal_ship *image)
{
    FILE *out = t->cli->err;
    char size[24], moved[24];
    for (size_t i = 0; i < image->layer_count; i++)
        tell_layer(out, image->cargo[i]->name, &image->layers[i]);
    fprintf(out, "%s in %zu layers", gal_humane_bytes(image->bytes, size, sizeof size),
            image->descriptor_count);
    if (image->descriptor_count > image->layer_count)
        fprintf(out, ", %zu of them the base's", image->descriptor_count - image->layer_count);
    fputc('\n', out);
    if (t->keeps) {
        fputs("it lies in ", out);
        gal_print_text(out, gal_str_of(t->path));
        fputc('\n', out);
    }
    if (t->pushes)
        fprintf(out, "%s moved (%zu of %zu blobs)\n",
                gal_humane_bytes(t->moved.bytes_moved, moved, sizeof moved), t->moved.blobs_moved,
                t->moved.blobs_all);
}

static void put_text(struct gal_buf *b, const char *key, struct gal_str value)
{
    gal_json_put_key(b, key);
    gal_json_put_str(b, value);
}

static void put_layers(struct gal_buf *b, const struct gal_ship *image)
{
    size_t base = image->descriptor_count - image->layer_count;
    gal_buf_puts(b, ",\"layers\":[");
    for (size_t i = 0; i < image->descriptor_count; i++) {
        const struct gal_oci_descriptor *d = &image->descriptors[i];
        gal_buf_puts(b, i ? ",{" : "{");
        put_text(b, "name", i < base ? GAL_STR("base") : gal_str_of(image->cargo[i - base]->name));
        gal_buf_printf(b, ",\"digest\":\"%s\",\"size\":%llu,", d->digest,
                       (unsigned long long)d->size);
        put_text(b, "media_type", d->media_type);
        if (i >= base)
            gal_buf_printf(b, ",\"unpacked\":%llu,\"kept\":%s",
                           (unsigned long long)image->layers[i - base].unpacked,
                           image->layers[i - base].was_there ? "true" : "false");
        gal_buf_putc(b, '}');
    }
    gal_buf_putc(b, ']');
}

static void tell_json(struct gal_image_target *t, const struct gal_ship *image)
{
    struct gal_buf b;
    gal_buf_init(&b, 16u << 20);
    gal_buf_putc(&b, '{');
    put_text(&b, "reference", gal_str_of(t->name));
    gal_buf_printf(&b, ",\"digest\":\"%s\",\"bytes\":%llu,", image->manifest_d.digest,
                   (unsigned long long)image->bytes);
    put_text(&b, "architecture", image->platform.architecture);
    put_layers(&b, image);
    if (t->keeps) {
        gal_buf_putc(&b, ',');
        put_text(&b, "path", gal_str_of(t->path));
    }
    if (t->pushes)
        gal_buf_printf(&b, ",\"bytes_moved\":%llu,\"blobs_moved\":%zu",
                       (unsigned long long)t->moved.bytes_moved, t->moved.blobs_moved);
    gal_buf_puts(&b, ",\"warnings\":[");
    for (size_t i = 0; i < image->warning_count; i++) {
        gal_buf_puts(&b, i ? "," : "");
        gal_json_put_str(&b, gal_str_of(image->warnings[i]));
    }
    gal_buf_puts(&b, "]}");
    gal_print_json(t->cli->out, gal_buf_str(&b), false);
    gal_buf_release(&b);
}

void gal_image_told(struct gal_image_target *t, const struct gal_ship *image)
{
    bool is_quiet = !t->transfer.progress;
    gal_transfer_release(&t->transfer);
    for (size_t i = 0; i < image->warning_count; i++)
        fprintf(t->cli->err, "warning: %s\n", image->warnings[i]);
    if (!is_quiet)
        tell_text(t, image);
    if (gal_cli_has(t->cli, "json"))
        tell_json(t, image);
    else
        fprintf(t->cli->out, "%s@%s\n", t->name, image->manifest_d.digest);
}
