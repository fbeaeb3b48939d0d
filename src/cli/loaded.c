/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/loaded.h"

#include "backend/onnx.h"
#include "base/mem.h"
#include "cli/print.h"

enum gal_status gal_cli_load_model(struct gal_model *m, const struct gal_config *config,
                                   bool unproven, struct gal_err *err)
{
    struct gal_model_options options = {
        .ops = &gal_backend_onnx, .clock = &gal_clock_system, .unproven = unproven};
    enum gal_status status;

    gal_model_config_init(&options.config);
    options.config.backend = gal_cli_backend(config);
    /* One request, here and now: nothing is warmed, nothing waits. */
    m->config.mode = GAL_SCHED_INLINE;
    m->config.workers = 1;
    m->config.policy.rows_max = 1;
    m->config.policy.preferred_count = 0;
    m->config.warmup_runs = 0;
    m->config.warmup_count = 0;
    if (unproven)
        m->config.verify = GAL_VERIFY_OFF;
    status = gal_model_load(m, &options, err);

    if (status != GAL_OK && err->place[0] == '\0')
        gal_err_place(err, "%s", m->path);
    return status;
}

enum gal_status gal_cli_load(const struct gal_config *config, const struct gal_loading *what,
                             struct gal_catalog **catalog, struct gal_model **model,
                             struct gal_err *err)
{
    struct gal_model **models = NULL;
    size_t count = 0;
    enum gal_status status;

    *catalog = NULL;
    *model = NULL;
    status = gal_cli_scan(config, &what->path, 1, &models, &count, err);
    if (status == GAL_OK)
        status = gal_catalog_new(models, count, catalog, err);
    if (status == GAL_OK && what->name.n == 0)
        status = gal_catalog_default(*catalog, what->name, model, err);
    if (status == GAL_OK && (what->name.n || what->version.n))
        status = gal_catalog_model(*catalog, what->name.n ? what->name : gal_str_of((*model)->name),
                                   what->version, model, err);
    if (status == GAL_OK)
        status = gal_cli_load_model(*model, config, what->unproven, err);
    for (size_t i = 0; i < count; i++)
        gal_model_unref(models[i]);
    gal_free(models);
    return status;
}
