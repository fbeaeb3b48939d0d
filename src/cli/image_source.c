/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/image_source.h"

#include "base/file_write.h"
#include "base/mem.h"
#include "net/loop.h"

struct gal_registry_options gal_cli_registry(const struct gal_cli *cli)
{
    struct gal_registry_options options = {.fetch = {.clock = &gal_clock_system}};
    gal_transfer_trust(cli, &options);
    return options;
}

static enum gal_status fetch(const struct gal_cli *cli, const char *text,
                             const struct gal_oci_platform *platform, const char *dir,
                             struct gal_err *err)
{
    struct gal_registry_options options = gal_cli_registry(cli);
    struct gal_reference ref;
    struct gal_registry *registry = NULL;
    struct gal_transfer moved;
    enum gal_status status = gal_reference_parse(gal_str_of(text), &ref, err);

    options.reads = true;
    if (!status)
        status = gal_registry_open(&ref, &options, &registry, err);
    if (!status)
        status = gal_registry_pull(registry, ref.digest[0] ? ref.digest : ref.tag, platform, dir,
                                   &moved, err);
    gal_registry_close(registry);
    return status;
}

enum gal_status gal_image_source_open(const struct gal_cli *cli, const char *text,
                                      const struct gal_oci_platform *platform,
                                      struct gal_image_source *out, struct gal_err *err)
{
    struct gal_file_info info;
    enum gal_status status = gal_file_stat(text, &info, err);

    *out = (struct gal_image_source){.layout = NULL};
    if (status)
        return status;
    if (info.kind != GAL_FILE_NONE)
        return gal_layout_open(text, &out->layout, err);
    status = gal_dir_make_temporary("image", &out->fetched, err);
    if (!status)
        status = fetch(cli, text, platform, out->fetched, err);
    if (!status)
        status = gal_layout_open(out->fetched, &out->layout, err);
    if (status) {
        if (err && err->hint[0] == '\0')
            gal_err_hint(err, "there is no file %.100s, so it was taken for a registry's reference",
                         text);
        gal_image_source_close(out);
    }
    return status;
}

void gal_image_source_close(struct gal_image_source *s)
{
    gal_layout_close(s->layout);
    gal_dir_remove_temporary(s->fetched);
    *s = (struct gal_image_source){.layout = NULL};
}
