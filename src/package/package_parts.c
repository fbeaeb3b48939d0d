/* SPDX-License-Identifier: Apache-2.0 */
/* What a manifest names: the parts of a package, and what each is for. */
#include "package/package_impl.h"

const char *gal_role_name(enum gal_file_role role)
{
    static const char *const names[] = {"weight", "config", "doc", "code", "data"};
    GAL_ASSERT((unsigned)role <= GAL_ROLE_DATA);
    return names[role];
}

struct gal_str gal_role_media_type(enum gal_file_role role)
{
    static const char *const types[] = {
        [GAL_ROLE_WEIGHT] = "application/vnd.cncf.model.weight.v1.raw",
        [GAL_ROLE_CONFIG] = "application/vnd.cncf.model.weight.config.v1.raw",
        [GAL_ROLE_DOC] = "application/vnd.cncf.model.doc.v1.raw",
        [GAL_ROLE_CODE] = "application/vnd.cncf.model.code.v1.raw",
        [GAL_ROLE_DATA] = "application/vnd.cncf.model.dataset.v1.raw",
    };
    GAL_ASSERT((unsigned)role <= GAL_ROLE_DATA);
    return gal_str_of(types[role]);
}

enum gal_file_role gal_role_of(struct gal_str name)
{
    static const struct {
        const char *end;
        enum gal_file_role role;
    } ends[] = {
        {".md", GAL_ROLE_DOC},       {".txt", GAL_ROLE_DOC},
        {".rst", GAL_ROLE_DOC},      {".pdf", GAL_ROLE_DOC},
        {".html", GAL_ROLE_DOC},     {".py", GAL_ROLE_CODE},
        {".ipynb", GAL_ROLE_CODE},   {".sh", GAL_ROLE_CODE},
        {".sql", GAL_ROLE_CODE},     {".r", GAL_ROLE_CODE},
        {".c", GAL_ROLE_CODE},       {".csv", GAL_ROLE_DATA},
        {".parquet", GAL_ROLE_DATA}, {".jsonl", GAL_ROLE_DATA},
        {".npy", GAL_ROLE_DATA},     {".npz", GAL_ROLE_DATA},
        {".onnx", GAL_ROLE_WEIGHT},  {".onnx.data", GAL_ROLE_WEIGHT},
        {".bin", GAL_ROLE_WEIGHT},   {".safetensors", GAL_ROLE_WEIGHT},
    };
    size_t slash = name.n;
    while (slash > 0 && name.p[slash - 1] != '/')
        slash--;
    struct gal_str base = {name.p + slash, name.n - slash};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        if (gal_str_ends(base, gal_str_of(ends[i].end)))
            return ends[i].role;
    }
    if (gal_str_starts(base, GAL_STR("README")) || gal_str_starts(base, GAL_STR("LICEN")) ||
        gal_str_starts(base, GAL_STR("NOTICE")))
        return GAL_ROLE_DOC;
    return GAL_ROLE_CONFIG;
}

/* Files that steps read stand under `file` or a key that ends with `_file`. */
static enum gal_status step_files(const struct gal_yaml *n, // NOLINT(misc-no-recursion): bounded
                                  enum gal_status (*on_part)(struct gal_str name, const char *what,
                                                             enum gal_file_role role, void *ctx),
                                  void *ctx)
{
    for (const struct gal_yaml *c = n ? n->child : NULL; c; c = c->next) {
        bool names_file = c->type == GAL_YAML_SCALAR && c->scalar.n > 0 &&
                          (gal_str_is(c->key, "file") || gal_str_ends(c->key, GAL_STR("_file")));
        enum gal_status status =
            names_file ? on_part(c->scalar, "which a step reads", GAL_ROLE_CONFIG, ctx)
                       : step_files(c, on_part, ctx);
        if (status)
            return status;
    }
    return GAL_OK;
}

enum gal_status gal_package_named(const struct gal_manifest *m,
                                  enum gal_status (*on_part)(struct gal_str name, const char *what,
                                                             enum gal_file_role role, void *ctx),
                                  void *ctx)
{
    enum gal_status status = GAL_OK;
    if (m->model_file.n > 0)
        status = on_part(m->model_file, "the model", GAL_ROLE_WEIGHT, ctx);
    for (size_t i = 0; i < m->model_file_count && !status; i++)
        status = on_part(m->model_files[i], "a file of the model", GAL_ROLE_WEIGHT, ctx);
    if (!status && m->golden_file.n > 0)
        status = on_part(m->golden_file, "the golden cases", GAL_ROLE_CONFIG, ctx);
    if (!status && m->freeze_file.n > 0)
        status = on_part(m->freeze_file, "the freeze list", GAL_ROLE_CODE, ctx);
    if (!status)
        status = step_files(m->before, on_part, ctx);
    if (!status)
        status = step_files(m->after, on_part, ctx);
    for (size_t i = 0; i < m->file_count && !status; i++)
        status = on_part(m->files[i], "one of `files`", gal_role_of(m->files[i]), ctx);
    return status;
}
