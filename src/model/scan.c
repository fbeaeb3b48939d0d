/* SPDX-License-Identifier: Apache-2.0 */
/* Which model files lie under the PATHs of the command line. */
#include "model/catalog.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define MODEL_FILE "model.onnx"
#define SUFFIX GAL_STR(".onnx")

/* What has been found so far. */
struct found {
    struct gal_model **models;
    size_t count, cap;
    struct gal_err *err;
};

static enum gal_status no_memory(struct found *f)
{
    gal_fail(f->err, GAL_NO_MEMORY, "no memory for the list of models");
    return GAL_NO_MEMORY;
}

static enum gal_status grow(struct found *f)
{
    size_t cap = f->cap ? 2 * f->cap : 8;
    struct gal_model **models = gal_realloc(f->models, cap * sizeof(struct gal_model *));
    if (!models)
        return no_memory(f);
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

static enum gal_status add(struct found *f, const char *name, const char *version, const char *path)
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
    f->count += !status;
    return status;
}

static void drop_all(struct found *f)
{
    for (size_t i = 0; i < f->count; i++)
        gal_model_unref(f->models[i]);
    gal_free(f->models);
}

/* Adds DIR/model.onnx when it is there: as NAME, VERSION. */
static enum gal_status add_file_of(struct found *f, const char *dir, const char *name,
                                   const char *version)
{
    struct gal_file_info info;
    char *path = gal_path_join(dir, MODEL_FILE);
    if (!path)
        return no_memory(f);
    enum gal_status status = gal_file_stat(path, &info, f->err);
    if (!status && info.kind == GAL_FILE_REGULAR)
        status = add(f, name, version, path);
    gal_free(path);
    return status;
}

/* Adds DIR/VERSION/model.onnx for each version. */
static enum gal_status add_versions(struct found *f, const char *dir, const char *name,
                                    char *const *entries, size_t count)
{
    enum gal_status status = GAL_OK;
    for (size_t i = 0; i < count && !status; i++) {
        if (!gal_version_valid(gal_str_of(entries[i])))
            continue;
        char *sub = gal_path_join(dir, entries[i]);
        status = sub ? add_file_of(f, sub, name, entries[i]) : no_memory(f);
        gal_free(sub);
    }
    return status;
}

/* DIR/OTHER/model.onnx where OTHER is no version: a slip that would leave the model out. */
static enum gal_status refuse_slips(struct found *f, const char *dir, char *const *entries,
                                    size_t count)
{
    enum gal_status status = GAL_OK;
    for (size_t i = 0; i < count && !status; i++) {
        struct gal_file_info info = {.kind = GAL_FILE_NONE};
        char *sub = gal_path_join(dir, entries[i]);
        char *path = sub ? gal_path_join(sub, MODEL_FILE) : NULL;
        if (!path)
            status = no_memory(f);
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

/* One model's directory: model.onnx or versions of it. Adds nothing when it is none. */
static enum gal_status add_model_dir(struct found *f, const char *dir, const char *name,
                                     char *const *entries, size_t count)
{
    size_t before = f->count;
    enum gal_status status = add_file_of(f, dir, name, "1");
    size_t plain = f->count - before;
    if (!status)
        status = add_versions(f, dir, name, entries, count);
    if (status || plain == 0 || f->count == before + plain)
        return status;
    gal_fail(f->err, GAL_CONFLICT, "%.150s has a " MODEL_FILE " beside its version directories",
             dir);
    gal_err_hint(f->err, "move it into a version directory, 1/" MODEL_FILE);
    return GAL_CONFLICT;
}

/* Each directory below a repository is a model, or is passed over. */
static enum gal_status add_repository(struct found *f, const char *dir, char *const *entries,
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
            return no_memory(f);
        status = gal_file_stat(sub, &info, f->err);
        if (!status && info.kind == GAL_FILE_DIR) {
            status = gal_dir_list(sub, &inner, &inner_count, f->err);
            size_t before = f->count;
            if (!status)
                status = add_model_dir(f, sub, entries[i], inner, inner_count);
            if (!status && f->count == before)
                status = refuse_slips(f, sub, inner, inner_count);
            gal_free(inner);
        }
        gal_free(sub);
    }
    return status;
}

/* "digits" of "/models/digits/"; of "." the name of the directory it stands for. */
static enum gal_status dir_name(struct found *f, const char *dir, char out[PATH_MAX])
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

/* x.onnx is "x"; NAME/model.onnx is NAME, NAME/VERSION/model.onnx is VERSION of NAME. */
static enum gal_status add_file(struct found *f, const char *path)
{
    char dir[PATH_MAX], up[PATH_MAX + 4], name[PATH_MAX], version[PATH_MAX] = "1";
    struct gal_str base = gal_str_of(gal_path_base(path));
    if (!gal_str_ends(base, SUFFIX) || base.n == SUFFIX.n)
        return gal_fail(f->err, GAL_NOT_FOUND, "%.200s is no model: a model's file ends in .onnx",
                        path);
    if (!gal_str_is(base, MODEL_FILE)) {
        snprintf(name, sizeof name, "%.*s", (int)(base.n - SUFFIX.n), base.p);
        return add(f, name, version, path);
    }
    dir_of(path, dir);
    enum gal_status status = dir_name(f, dir, name);
    if (!status && gal_version_valid(gal_str_of(name))) {
        memcpy(version, name, sizeof version);
        snprintf(up, sizeof up, "%s/..", dir);
        status = dir_name(f, up, name);
    }
    return status ? status : add(f, name, version, path);
}

static enum gal_status add_dir(struct found *f, const char *path)
{
    char **entries = NULL, name[PATH_MAX];
    size_t count = 0, before = f->count;
    enum gal_status status = dir_name(f, path, name);
    if (!status)
        status = gal_dir_list(path, &entries, &count, f->err);
    if (!status)
        status = add_model_dir(f, path, name, entries, count);
    if (!status && f->count == before)
        status = add_repository(f, path, entries, count);
    if (!status && f->count == before) {
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

static enum gal_status add_path(struct found *f, const char *path)
{
    struct gal_file_info info;
    if (strlen(path) >= PATH_MAX)
        return gal_fail(f->err, GAL_INVALID, "a path of more than %d bytes", PATH_MAX - 1);
    enum gal_status status = gal_file_stat(path, &info, f->err);
    if (status)
        return status;
    if (info.kind == GAL_FILE_NONE)
        return gal_fail(f->err, GAL_NOT_FOUND, "%.200s does not exist", path);
    return info.kind == GAL_FILE_DIR ? add_dir(f, path) : add_file(f, path);
}

/* Gives the only model its name. */
static enum gal_status rename_single(struct found *f, const char *name)
{
    for (size_t i = 1; i < f->count; i++) {
        if (strcmp(f->models[i]->name, f->models[0]->name) != 0)
            return GAL_OK;
    }
    if (!is_name(gal_str_of(name)))
        return gal_fail(f->err, GAL_INVALID, "'%.100s' cannot be a model's name", name);
    for (size_t i = 0; i < f->count; i++) {
        char *copy = gal_strdup(name);
        if (!copy)
            return no_memory(f);
        gal_free(f->models[i]->name);
        f->models[i]->name = copy;
    }
    return GAL_OK;
}

enum gal_status gal_catalog_scan(const char *const *paths, size_t path_count, const char *name,
                                 struct gal_model ***models, size_t *count, struct gal_err *err)
{
    struct found f = {.err = err};
    enum gal_status status = GAL_OK;
    *models = NULL;
    *count = 0;
    for (size_t i = 0; i < path_count && !status; i++)
        status = add_path(&f, paths[i]);
    if (!status && name && name[0])
        status = rename_single(&f, name);
    if (status) {
        drop_all(&f);
        return status;
    }
    *models = f.models;
    *count = f.count;
    return GAL_OK;
}
