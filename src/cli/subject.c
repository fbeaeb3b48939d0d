/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/subject.h"

#include "base/file.h"
#include "cli/flat.h"
#include "cli/loaded.h"
#include "cli/remote.h"

static enum gal_status open_remote(const struct gal_cli *cli, struct gal_subject *s,
                                   struct gal_err *err)
{
    const struct gal_fetch_options fetch = {.ca_file = gal_cli_value(cli, "ca"),
                                            .insecure = gal_cli_has(cli, "insecure")};
    enum gal_status status = gal_remote_new(s->text, &fetch, &s->session, err);
    const struct gal_model_info *info;
    bool batch = true;

    if (status)
        return status;
    s->ops = &gal_remote_ops;
    info = s->ops->info(s->session);
    for (size_t i = 0; i < info->input_count; i++)
        batch = batch && info->inputs[i].rank > 0 && info->inputs[i].shape[0] < 0;
    s->remote.name = (char *)s->text;
    s->remote.info = info;
    s->remote.batch_dim = batch;
    s->model = &s->remote;
    return GAL_OK;
}

enum gal_status gal_subject_package(const char *text, struct gal_subject *out, struct gal_err *err)
{
    *out = (struct gal_subject){.text = text, .path = text};
    return gal_package_open(text, &out->package, err);
}

enum gal_status gal_subject_load(const struct gal_config *config, struct gal_subject *s,
                                 struct gal_err *err)
{
    const struct gal_loading what = {.path = s->path, .unproven = true};
    struct gal_model *model;
    enum gal_status status = gal_cli_load(config, &what, &s->catalog, &model, err);

    if (!status)
        status = gal_flat_new(model->ops, model->session, &s->session, err);
    if (status)
        return status;
    s->ops = &gal_flat_ops;
    s->model = model;
    return GAL_OK;
}

enum gal_status gal_subject_open(const struct gal_cli *cli, const struct gal_config *config,
                                 const char *text, const char *model, struct gal_subject *out,
                                 struct gal_err *err)
{
    enum gal_status status = GAL_OK;
    *out = (struct gal_subject){.text = text, .path = text};
    if (gal_remote_is(text))
        return open_remote(cli, out, err);
    if (gal_stored_is(text)) {
        status = gal_stored_open(cli, text, model, &out->stored, err);
        out->path = out->stored.path;
    }
    if (!status && gal_package_is(out->path))
        status = gal_package_open(out->path, &out->package, err);
    if (!status)
        status = gal_subject_load(config, out, err);
    if (status && out->path != text) /* a temporary path tells nothing */
        gal_err_place(err, "%s", text);
    return status;
}

void gal_subject_close(struct gal_subject *s)
{
    if (s->session)
        s->ops->free(s->session);
    if (s->catalog)
        gal_catalog_unref(s->catalog);
    gal_package_close(s->package);
    gal_stored_close(&s->stored);
    s->session = NULL;
    s->catalog = NULL;
    s->package = NULL;
}

enum gal_status gal_subject_golden(struct gal_subject *s, struct gal_arena *arena,
                                   struct gal_golden **out, struct gal_err *err)
{
    *out = NULL;
    return s->package ? gal_package_golden(s->package, arena, out, err) : GAL_OK;
}

enum gal_status gal_subject_prove(struct gal_subject *s, struct gal_arena *arena,
                                  struct gal_golden **golden, struct gal_proof *proof,
                                  struct gal_err *err)
{
    *golden = NULL;
    return s->package ? gal_package_prove(s->package, s->ops, s->session, arena, golden, proof, err)
                      : GAL_OK;
}
