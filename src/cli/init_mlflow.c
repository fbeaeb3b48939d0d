/* SPDX-License-Identifier: Apache-2.0 */
/* An MLflow model directory: MLmodel, its signature and input example, its environment. */
#include "base/file.h"
#include "cli/init.h"
#include "text/json.h"
#include "text/yaml.h"

bool gal_init_is_mlflow(const char *path)
{
    char file[4200];
    struct gal_file_info info;

    snprintf(file, sizeof(file), "%s/MLmodel", path);
    return gal_file_stat(file, &info, NULL) == GAL_OK && info.kind == GAL_FILE_REGULAR;
}

static struct gal_str text_of(const struct gal_yaml *map, const char *key)
{
    const struct gal_yaml *v = map ? gal_yaml_get(map, key) : NULL;
    bool is_null = !v || v->type != GAL_YAML_SCALAR ||
                   (!v->quoted && (gal_str_is(v->scalar, "null") || gal_str_is(v->scalar, "~")));
    return is_null ? (struct gal_str){NULL, 0} : v->scalar;
}

/* signature.inputs is JSON in a YAML text: a list of columns {name, type}, or of tensors. Named
 * columns are the names of a matrix's elements. */
static void take_signature(struct gal_init *in, const struct gal_yaml *root)
{
    struct gal_str text = text_of(gal_yaml_get(root, "signature"), "inputs");
    yyjson_val *list, *item;
    struct gal_str *names;
    size_t i, n, count = 0;

    if (text.n == 0 || gal_json_read(text, &in->arena, 32, &list, NULL) != GAL_OK ||
        !yyjson_is_arr(list))
        return;
    names = gal_arena_array(&in->arena, yyjson_arr_size(list) + 1, sizeof(*names));
    yyjson_arr_foreach(list, i, n, item)
    {
        yyjson_val *name = yyjson_obj_get(item, "name");
        if (!names || !yyjson_is_str(name) ||
            yyjson_equals_str(yyjson_obj_get(item, "type"), "tensor"))
            return;
        names[count++] = (struct gal_str){yyjson_get_str(name), yyjson_get_len(name)};
    }
    in->names = names;
    in->name_count = count;
}

static void take_facts(struct gal_init *in, const struct gal_yaml *root)
{
    static const char *const keys[] = {"mlflow_version", "run_id", "model_id", "model_uuid",
                                       "utc_time_created"};
    struct gal_draft_pairs *p = &in->draft.provenance;
    const struct gal_yaml *flavors = gal_yaml_get(root, "flavors"), *python;

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        gal_draft_pair(p, gal_str_of(keys[i]), text_of(root, keys[i]), "of MLmodel");
    python = flavors ? gal_yaml_get(flavors, "python_function") : NULL;
    gal_draft_pair(p, GAL_STR("python"), text_of(python, "python_version"), "of MLmodel");
    for (const struct gal_yaml *f = flavors ? flavors->child : NULL; f; f = f->next) {
        const char *key = gal_arena_printf(&in->arena, "%.*s_version", GAL_STR_ARG(f->key));
        struct gal_str version = key ? text_of(f, key) : (struct gal_str){NULL, 0};
        version = version.n
                      ? version
                      : text_of(f, gal_str_is(f->key, "sklearn") ? "sklearn_version" : "version");
        if (version.n && !gal_str_is(f->key, "python_function"))
            gal_draft_pair(p, f->key, version, "of MLmodel");
    }
}

/* requirements.txt becomes the freeze list; the input example gives rows for golden cases. */
static enum gal_status take_files(struct gal_init *in, const struct gal_yaml *root,
                                  struct gal_err *err)
{
    enum gal_status status = GAL_OK;
    struct gal_str example =
        text_of(gal_yaml_get(root, "saved_input_example_info"), "artifact_path");

    if (gal_init_exists(in, in->source, "requirements.txt")) {
        status = gal_init_add(in, gal_init_path(in, in->source, "requirements.txt"),
                              GAL_STR("requirements.txt"), err);
        gal_draft_pair(&in->draft.provenance, GAL_STR("freeze"), GAL_STR("requirements.txt"),
                       "the environment of its training");
    }
    if (!in->rows && example.n && !memchr(example.p, '/', example.n) &&
        gal_init_exists(in, in->source, example.p))
        in->rows = gal_init_path(in, in->source, example.p);
    return status;
}

/* The file of the flavour that galley can take: ONNX as it is, others through a converter. */
static enum gal_status take_flavor(struct gal_init *in, const struct gal_yaml *flavors,
                                   struct gal_err *err)
{
    static const struct {
        const char *flavor, *key;
    } known[] = {{"onnx", "data"},
                 {"sklearn", "pickled_model"},
                 {"xgboost", "data"},
                 {"lightgbm", "data"},
                 {"tensorflow", "data"}};
    struct gal_str all = {NULL, 0};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        const struct gal_yaml *f = flavors ? gal_yaml_get(flavors, known[i].flavor) : NULL;
        struct gal_str file = f ? text_of(f, known[i].key) : (struct gal_str){NULL, 0};
        const char *path = file.n ? gal_init_path(in, in->source, file.p) : NULL;
        if (!path)
            continue;
        if (file.p[0] == '/' || strstr(file.p, ".."))
            return gal_fail(err, GAL_INVALID, "MLmodel names a file outside its directory: %s",
                            file.p);
        return i == 0 ? gal_init_take_model(in, path, err) : gal_init_convert(in, path, err);
    }
    for (const struct gal_yaml *f = flavors ? flavors->child : NULL; f; f = f->next)
        all = gal_str_of(gal_arena_printf(&in->arena, "%.*s%s%.*s", GAL_STR_ARG(all),
                                          all.n ? ", " : "", GAL_STR_ARG(f->key)));
    gal_fail(err, GAL_UNSUPPORTED, "no flavour of it can be taken: %.*s", GAL_STR_ARG(all));
    gal_err_hint(err, "log the model as ONNX: mlflow.onnx.log_model(...)");
    return GAL_UNSUPPORTED;
}

enum gal_status gal_init_mlflow(struct gal_init *in, struct gal_err *err)
{
    const char *path = gal_init_path(in, in->source, "MLmodel");
    struct gal_yaml *root = NULL;
    struct gal_buf text;
    enum gal_status status = gal_file_read(path, GAL_YAML_BYTES_MAX, &text, err);

    if (status != GAL_OK)
        return status;
    status = gal_yaml_parse(gal_init_copy(in, text.p, text.n), path, &in->arena, &root, err);
    gal_buf_release(&text);
    if (status != GAL_OK)
        return status;
    in->draft.made_from =
        gal_arena_printf(&in->arena, "the MLflow model %.*s", GAL_STR_ARG(in->draft.name));
    take_signature(in, root);
    take_facts(in, root);
    status = take_files(in, root, err);
    if (status == GAL_OK)
        status = take_flavor(in, gal_yaml_get(root, "flavors"), err);
    if (status != GAL_OK && err && err->place[0] == '\0')
        gal_err_place(err, "%s", in->source);
    return status;
}
