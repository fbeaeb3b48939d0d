/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "base/mem.h"
#include "source/mlflow.h"
#include "text/yaml.h"

#include <errno.h>
#include <unistd.h>

#define FILE_BYTES_MAX (1u << 20)

static enum gal_status refuse(const struct gal_yaml *flavors, struct gal_err *err)
{
    struct gal_buf names;
    gal_buf_init(&names, 200);
    for (const struct gal_yaml *f = flavors ? flavors->child : NULL; f; f = f->next) {
        gal_buf_puts(&names, names.n ? ", " : "");
        gal_buf_put_str(&names, f->key);
    }
    gal_fail(err, GAL_UNSUPPORTED, "a model of MLflow without the flavor onnx (its flavors: %.*s)",
             GAL_STR_ARG(gal_buf_str(&names)));
    gal_err_hint(err, "log it with mlflow.onnx.log_model");
    gal_buf_release(&names);
    return GAL_UNSUPPORTED;
}

enum gal_status gal_mlmodel_read(struct gal_str text, struct gal_arena *arena, const char **out,
                                 struct gal_err *err)
{
    struct gal_yaml *root;
    enum gal_status status = gal_yaml_parse(text, "MLmodel", arena, &root, err);
    if (status)
        return status;
    const struct gal_yaml *flavors =
        root->type == GAL_YAML_MAP ? gal_yaml_get(root, "flavors") : NULL;
    bool maps = flavors && flavors->type == GAL_YAML_MAP;
    const struct gal_yaml *onnx = maps ? gal_yaml_get(flavors, "onnx") : NULL;
    if (!onnx || onnx->type != GAL_YAML_MAP)
        return refuse(maps ? flavors : NULL, err);
    const struct gal_yaml *data = gal_yaml_get(onnx, "data");
    struct gal_str name =
        data && data->type == GAL_YAML_SCALAR ? data->scalar : GAL_STR("model.onnx");
    if (!gal_source_name_safe(name))
        return gal_fail(err, GAL_INVALID, "MLmodel: flavors.onnx.data is no name of a file");
    *out = gal_arena_strdup(arena, name);
    return *out ? GAL_OK : gal_fail(err, GAL_NO_MEMORY, "no memory for MLmodel");
}

enum gal_status gal_mlmodel_settle(const char *dir, struct gal_arena *arena, struct gal_err *err)
{
    struct gal_file_info info;
    struct gal_buf text;
    const char *data = NULL;
    char *path = gal_path_join(dir, "MLmodel"), *model = gal_path_join(dir, "model.onnx");
    enum gal_status status =
        path && model ? gal_file_read(path, FILE_BYTES_MAX, &text, err) : gal_plan_no_memory(err);
    if (status == GAL_NOT_FOUND) {
        status = GAL_OK;
    } else if (!status) {
        status = gal_mlmodel_read(gal_buf_str(&text), arena, &data, err);
        gal_buf_release(&text);
    }
    if (!status && data)
        status = gal_file_stat(model, &info, err);
    if (!status && data && info.kind == GAL_FILE_NONE && symlink(data, model) != 0)
        status = gal_fail(err, GAL_IO, "cannot link %.200s: %s", model, strerror(errno));
    gal_free(path);
    gal_free(model);
    return status;
}
