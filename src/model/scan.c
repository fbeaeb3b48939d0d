/* SPDX-License-Identifier: Apache-2.0 */
/* Which model files lie under the PATHs of the command line. */
#include "model/catalog.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "model/scan_impl.h"
#include "model/triton.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define MODEL_FILE GAL_MODEL_FILE
#define SUFFIX GAL_STR(".onnx")

enum gal_status gal_found_no_memory(struct gal_found *f)
{
    return gal_fail(f->err, GAL_NO_MEMORY, "no memory for the list of models");
}

static enum gal_status grow(struct gal_found *f)
{
    size_t cap = f->cap ? 2 * f->cap : 8;
    struct gal_model **models = gal_realloc(f->models, cap * sizeof(struct gal_model *));
    if (!models)
        return gal_found_no_memory(f);
    f->models = models;
    f->cap = cap;
    return GAL_OK;
}

static bool is_name(struct gal_str name)
{
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];
        if (c < 0x20 || c == 0x7f || c == '/')
            return false;
    }
    return name.n > 0 && name.n <= GAL_NAME_BYTES_MAX && gal_utf8_valid(name);
}

enum gal_status gal_found_configure(const struct gal_found *f, const char *name,
                                    const struct gal_found_config *config,
                                    struct gal_model_config *c, struct gal_arena *arena,
                                    struct gal_err *err)
{
    struct gal_str text = {NULL, 0};
    enum gal_status status = GAL_OK;
    if (f->options->base)
        *c = *f->options->base;
    else
        gal_model_config_init(c);
    if (config) {
        text = gal_buf_str(&config->text);
        status = (config->is_json ? gal_triton_read_json : gal_triton_read)(
            text, config->path, config->dir, config->is_json ? f->options->override_name : name, c,
            arena, err);
    }
    if (!status && f->manifest && f->manifest->serving && f->options->serving)
        status = f->options->serving(f->manifest->serving, f->manifest->path, c,
                                     f->options->serving_ctx, err);
    if (!status && f->path->configure)
        status = f->path->configure(c, arena, f->path->ctx, err);
    return status ? status : gal_model_config_settle(c, text, err);
}

/* A configuration that is wrong is the model's matter: the others are served. */
static enum gal_status configure(struct gal_found *f, struct gal_model *m,
                                 const struct gal_found_config *config)
{
    struct gal_err err;
    enum gal_status status = gal_found_configure(f, m->name, config, &m->config, &m->arena, &err);
    m->configured = true;
    if (!status)
        return GAL_OK;
    if (!err.place[0])
        gal_err_place(&err, "%s", config ? config->path : m->path);
    if (status == GAL_NO_MEMORY || status == GAL_INTERNAL) {
        *f->err = err;
        return status;
    }
    m->error = err;
    return GAL_OK;
}

enum gal_status gal_found_add(struct gal_found *f, const char *name, const char *version,
                              const char *path, const struct gal_found_config *config)
{
    if (!is_name(gal_str_of(name))) {
        gal_fail(f->err, GAL_INVALID,
                 "'%.100s' cannot be a model's name: 1 to %u bytes of UTF-8 text without '/'", name,
                 GAL_NAME_BYTES_MAX);
        gal_err_place(f->err, "%s", path);
        return GAL_INVALID;
    }
    if (f->count == GAL_MODELS_MAX)
        return gal_fail(f->err, GAL_TOO_LARGE, "more than %u models", GAL_MODELS_MAX);
    enum gal_status status = f->count == f->cap ? grow(f) : GAL_OK;
    if (!status)
        status = gal_model_new(name, version, path, &f->models[f->count], f->err);
    if (status)
        return status;
    f->count++;
    return configure(f, f->models[f->count - 1], config);
}

static void drop_all(struct gal_found *f)
{
    for (size_t i = 0; i < f->count; i++)
        gal_model_unref(f->models[i]);
    gal_free(f->models);
}

/* DIR/OTHER/model.onnx where OTHER is no version: a slip that would leave the model out. */
static enum gal_status refuse_slips(struct gal_found *f, const char *dir, char *const *entries,
                                    size_t count)
{
    enum gal_status status = GAL_OK;
    for (size_t i = 0; i < count && !status; i++) {
        struct gal_file_info info = {.kind = GAL_FILE_NONE};
        char *sub = gal_path_join(dir, entries[i]);
        char *path = sub ? gal_path_join(sub, MODEL_FILE) : NULL;
        if (!path)
            status = gal_found_no_memory(f);
        else if (gal_file_stat(path, &info, NULL) == GAL_OK && info.kind == GAL_FILE_REGULAR) {
            status = gal_fail(f->err, GAL_INVALID, "'%.60s' is no version", entries[i]);
            gal_err_place(f->err, "%s", path);
            gal_err_hint(f->err,
                         "name the directory with an integer (3) or MAJOR.MINOR.PATCH (2.1.0)");
        }
        gal_free(path);
        gal_free(sub);
    }
    return status;
}

/* Each directory below a repository is a model, or is passed over. */
static enum gal_status add_repository(struct gal_found *f, const char *dir, char *const *entries,
                                      size_t count)
{
    enum gal_status status = GAL_OK;
    for (size_t i = 0; i < count && !status; i++) {
        struct gal_file_info info;
        char **inner = NULL;
        size_t inner_count = 0;
        if (strcmp(entries[i], "lost+found") == 0)
            continue; /* of a mounted volume; only root may look into it */
        char *sub = gal_path_join(dir, entries[i]);
        if (!sub)
            return gal_found_no_memory(f);
        status = gal_file_stat(sub, &info, f->err);
        if (!status && info.kind == GAL_FILE_REGULAR && gal_scan_is_package_file(sub)) {
            status = gal_scan_package(f, sub, NULL, NULL);
        } else if (!status && info.kind == GAL_FILE_DIR && gal_package_is(sub)) {
            status = gal_scan_package(f, sub, NULL, NULL);
        } else if (!status && info.kind == GAL_FILE_DIR) {
            status = gal_dir_list(sub, &inner, &inner_count, f->err);
            size_t before = f->count;
            if (!status)
                status = gal_scan_model_dir(f, sub, entries[i], inner, inner_count);
            if (!status && f->count == before)
                status = refuse_slips(f, sub, inner, inner_count);
            gal_free(inner);
        }
        gal_free(sub);
    }
    return status;
}

/* "digits" of "/models/digits/"; of "." the name of the directory it stands for. */
static enum gal_status dir_name(struct gal_found *f, const char *dir, char out[PATH_MAX])
{
    struct gal_str s = gal_str_of(dir);
    while (s.n > 1 && s.p[s.n - 1] == '/')
        s.n--;
    const char *slash = memrchr(s.p, '/', s.n);
    struct gal_str base = slash ? (struct gal_str){slash + 1, s.n - (size_t)(slash + 1 - s.p)} : s;
    char real[PATH_MAX];
    if (base.n == 0 || gal_str_is(base, ".") || gal_str_is(base, "..")) {
        if (!realpath(dir, real))
            return gal_fail(f->err, GAL_IO, "cannot resolve %.200s", dir);
        base = gal_str_of(gal_path_base(real));
    }
    if (base.n == 0)
        base = GAL_STR("model"); /* the root directory */
    snprintf(out, PATH_MAX, "%.*s", GAL_STR_ARG(base));
    return GAL_OK;
}

/* The directory of a file; "." when the path names none. */
static void dir_of(const char *path, char out[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    snprintf(out, PATH_MAX, "%.*s", slash ? (int)(n ? n : 1) : 1, slash ? path : ".");
}

/* The directory above: by its name, since a version may be a link to what lies elsewhere. */
static void dir_above(const char *dir, char out[PATH_MAX + 4])
{
    const char *base = gal_path_base(dir);
    if (base > dir + 1 && strcmp(base, ".") != 0 && strcmp(base, "..") != 0)
        snprintf(out, PATH_MAX + 4, "%.*s", (int)(base - dir - 1), dir);
    else
        snprintf(out, PATH_MAX + 4, "%s/..", dir);
}

/* x.onnx is "x"; NAME/model.onnx is NAME, NAME/VERSION/model.onnx is VERSION of NAME. */
static enum gal_status add_file(struct gal_found *f, const char *path)
{
    char dir[PATH_MAX], up[PATH_MAX + 4], name[PATH_MAX], version[PATH_MAX] = "1";
    struct gal_str base = gal_str_of(gal_path_base(path));
    if (!gal_str_ends(base, SUFFIX) || base.n == SUFFIX.n)
        return gal_fail(f->err, GAL_NOT_FOUND,
                        "%.200s is no model: a model's file ends in .onnx, a package's in .galley",
                        path);
    if (!gal_str_is(base, MODEL_FILE)) {
        snprintf(name, sizeof name, "%.*s", (int)(base.n - SUFFIX.n), base.p);
        return gal_found_add(f, name, version, path, NULL);
    }
    dir_of(path, dir);
    enum gal_status status = dir_name(f, dir, name);
    if (!status && gal_version_valid(gal_str_of(name))) {
        memcpy(version, name, sizeof version);
        dir_above(dir, up);
        status = dir_name(f, up, name);
    }
    return status ? status : gal_found_add(f, name, version, path, NULL);
}

static enum gal_status add_dir(struct gal_found *f, const char *path)
{
    char **entries = NULL, name[PATH_MAX];
    size_t count = 0, before = f->count;
    enum gal_status status = dir_name(f, path, name);
    if (!status)
        status = gal_dir_list(path, &entries, &count, f->err);
    if (!status)
        status = gal_scan_model_dir(f, path, name, entries, count);
    if (!status && f->count == before)
        status = add_repository(f, path, entries, count);
    if (!status && f->count == before && !f->options->may_be_empty) {
        bool has_other = false;
        for (size_t i = 0; i < count; i++)
            has_other |= gal_str_ends(gal_str_of(entries[i]), SUFFIX);
        status = gal_fail(f->err, GAL_NOT_FOUND,
                          "no model in %.150s: looked for " MODEL_FILE ", VERSION/" MODEL_FILE
                          ", NAME/" MODEL_FILE " and NAME/VERSION/" MODEL_FILE,
                          path);
        if (has_other)
            gal_err_hint(f->err, "it holds other .onnx files: name them one by one");
    }
    gal_free(entries);
    return status;
}

static enum gal_status add_path(struct gal_found *f, const char *path)
{
    struct gal_file_info info;
    if (strlen(path) >= PATH_MAX)
        return gal_fail(f->err, GAL_INVALID, "a path of more than %d bytes", PATH_MAX - 1);
    enum gal_status status = gal_file_stat(path, &info, f->err);
    if (status)
        return status;
    if (info.kind == GAL_FILE_NONE)
        return gal_fail(f->err, GAL_NOT_FOUND, "%.200s does not exist", path);
    if (info.kind == GAL_FILE_DIR ? gal_package_is(path) : gal_scan_is_package_file(path))
        return gal_scan_package(f, path, NULL, NULL);
    return info.kind == GAL_FILE_DIR ? add_dir(f, path) : add_file(f, path);
}

/* Gives the only model among those from `first` on its name. */
static enum gal_status rename_single(struct gal_found *f, size_t first, const char *name, bool must)
{
    for (size_t i = first + 1; i < f->count; i++) {
        if (strcmp(f->models[i]->name, f->models[first]->name) == 0)
            continue;
        return must ? gal_fail(f->err, GAL_INVALID,
                               "%.150s holds several models: the name %.100s is for one alone",
                               f->path->path, name)
                    : GAL_OK;
    }
    if (!is_name(gal_str_of(name)))
        return gal_fail(f->err, GAL_INVALID, "'%.100s' cannot be a model's name", name);
    for (size_t i = first; i < f->count; i++) {
        char *copy = gal_strdup(name);
        if (!copy)
            return gal_found_no_memory(f);
        gal_free(f->models[i]->name);
        f->models[i]->name = copy;
    }
    return GAL_OK;
}

static enum gal_status scan_path(struct gal_found *f, const struct gal_scan_path *path)
{
    size_t before = f->count;
    f->path = path;
    enum gal_status status = add_path(f, path->path);
    if (!status && path->name && path->name[0])
        status = rename_single(f, before, path->name, true);
    return status;
}

enum gal_status gal_catalog_scan(const struct gal_scan_options *options, struct gal_model ***models,
                                 size_t *count, struct gal_err *err)
{
    struct gal_err own;
    struct gal_found f = {.options = options, .err = err ? err : &own};
    enum gal_status status = GAL_OK;
    *models = NULL;
    *count = 0;
    for (size_t i = 0; i < options->path_count && !status; i++)
        status = scan_path(&f, &options->paths[i]);
    if (!status && options->name && options->name[0])
        status = rename_single(&f, 0, options->name, false);
    if (status) {
        drop_all(&f);
        return status;
    }
    *models = f.models;
    *count = f.count;
    return GAL_OK;
}
