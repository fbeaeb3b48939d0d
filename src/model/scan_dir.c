/* SPDX-License-Identifier: Apache-2.0 */
/* One model's directory: which versions it has, and which of them its configuration serves. */
#include "base/file.h"
#include "base/mem.h"
#include "model/scan_impl.h"
#include "model/triton.h"

#include <stdio.h>

#define CONFIG_BYTES_MAX (4u << 20) /* texts of one configuration */

struct dir {
    const char *path, *name;
    char *const *entries;
    size_t count;
    const struct gal_found_config *file; /* its config.pbtxt; NULL: none */
    struct gal_model_config config;      /* to choose versions by */
    struct gal_arena arena;
    bool wrong; /* the configuration is; every version's load will say so */
    bool *has;  /* of entries: a version, with a model in it; owned */
    size_t has_count;
};

/* ---- config.pbtxt ---- */

/* A model is called as its directory, unless its path or the configuration names it. */
static bool is_overridden(const struct gal_found *f, const char *name)
{
    const struct gal_scan_options *o = f->options;
    const char *wanted = o->override_name;
    if (!o->override_json.p)
        return false;
    if (f->path->name && f->path->name[0])
        return strcmp(wanted, f->path->name) == 0;
    return strcmp(wanted, name) == 0 || (o->name && strcmp(wanted, o->name) == 0);
}

static enum gal_status take_override(struct gal_found *f, struct gal_found_config *out)
{
    gal_buf_init(&out->text, SIZE_MAX);
    gal_buf_put_str(&out->text, f->options->override_json);
    out->path = out->text.failed ? NULL : gal_strdup(f->options->override_source);
    out->is_json = true;
    return out->path ? GAL_OK : gal_found_no_memory(f);
}

static enum gal_status read_config(struct gal_found *f, const char *dir, const char *name,
                                   char *const *entries, size_t count, struct gal_found_config *out)
{
    struct gal_file_info info = {.kind = GAL_FILE_NONE};
    enum gal_status status = GAL_OK;
    bool is_there = false;
    for (size_t i = 0; i < count; i++)
        is_there = is_there || strcmp(entries[i], GAL_TRITON_FILE) == 0;
    *out = (struct gal_found_config){.dir = dir};
    gal_buf_init(&out->text, 0);
    if (is_overridden(f, name))
        return take_override(f, out);
    if (!is_there)
        return GAL_OK;
    char *path = gal_path_join(dir, GAL_TRITON_FILE);
    if (!path)
        return gal_found_no_memory(f);
    status = gal_file_stat(path, &info, f->err);
    if (!status && info.kind == GAL_FILE_REGULAR)
        status = gal_file_read(path, GAL_PBTXT_BYTES_MAX, &out->text, f->err);
    if (status || info.kind != GAL_FILE_REGULAR)
        gal_free(path);
    else
        out->path = path;
    return status;
}

/* ---- versions ---- */

static const char *file_name(const struct dir *d)
{
    return d->config.file_name ? d->config.file_name : GAL_MODEL_FILE;
}

/* DIR/VERSION/FILE, or DIR/FILE without a version. Owned; NULL when memory is out. */
static char *file_path(const struct dir *d, const char *version)
{
    char *dir = version ? gal_path_join(d->path, version) : gal_strdup(d->path);
    char *path = dir ? gal_path_join(dir, file_name(d)) : NULL;
    gal_free(dir);
    return path;
}

static enum gal_status has_file(struct gal_found *f, const struct dir *d, const char *version,
                                bool *out)
{
    struct gal_file_info info;
    char *path = file_path(d, version);
    if (!path)
        return gal_found_no_memory(f);
    enum gal_status status = gal_file_stat(path, &info, f->err);
    *out = !status && info.kind == GAL_FILE_REGULAR;
    gal_free(path);
    return status;
}

/* Beside a config.pbtxt versions are whole numbers, and everything else is passed over. */
static bool is_version(const struct dir *d, const char *entry)
{
    return gal_version_valid(gal_str_of(entry)) && (!d->file || !strchr(entry, '.'));
}

static enum gal_status find_versions(struct gal_found *f, struct dir *d)
{
    enum gal_status status = GAL_OK;
    d->has = gal_calloc(d->count ? d->count : 1, sizeof *d->has);
    if (!d->has)
        return gal_found_no_memory(f);
    for (size_t i = 0; i < d->count && !status; i++) {
        if (!is_version(d, d->entries[i]))
            continue;
        status = has_file(f, d, d->entries[i], &d->has[i]);
        d->has[i] = d->has[i] || d->wrong;
        d->has_count += d->has[i];
    }
    return status;
}

static size_t count_newer(const struct dir *d, size_t at)
{
    size_t newer = 0;
    for (size_t i = 0; i < d->count; i++) {
        if (d->has[i] &&
            gal_version_compare(gal_str_of(d->entries[i]), gal_str_of(d->entries[at])) > 0)
            newer++;
    }
    return newer;
}

static bool is_served(const struct dir *d, size_t at)
{
    uint64_t number;
    if (d->wrong)
        return true;
    if (gal_str_u64(gal_str_of(d->entries[at]), &number))
        number = UINT64_MAX; /* 2.1.0: in no list */
    return gal_model_config_serves(&d->config, number, count_newer(d, at));
}

static enum gal_status add_version(struct gal_found *f, const struct dir *d, const char *version,
                                   bool in_dir)
{
    char *path = file_path(d, in_dir ? version : NULL);
    enum gal_status status =
        path ? gal_found_add(f, d->name, version, path, d->file) : gal_found_no_memory(f);
    gal_free(path);
    return status;
}

/* A version that the configuration asks for and that is not there: its load fails. */
static enum gal_status add_missing(struct gal_found *f, const struct dir *d, const char *version,
                                   const char *why)
{
    enum gal_status status = add_version(f, d, version, true);
    if (status)
        return status;
    struct gal_err *err = &f->models[f->count - 1]->error;
    if (err->code)
        return GAL_OK; /* the configuration is wrong in itself */
    gal_fail(err, GAL_NOT_FOUND, "%s: there is no %s/%s", why, version, file_name(d));
    gal_err_place(err, "%s", d->file ? d->file->path : d->path);
    return GAL_OK;
}

static enum gal_status add_listed(struct gal_found *f, const struct dir *d)
{
    enum gal_status status = GAL_OK;
    if (d->wrong || d->config.versions != GAL_VERSIONS_LISTED)
        return GAL_OK;
    for (size_t k = 0; k < d->config.version_list_count && !status; k++) {
        char version[GAL_U64_CHARS_MAX + 1];
        bool is_there = false;
        *gal_u64_write(version, d->config.version_list[k]) = '\0';
        for (size_t i = 0; i < d->count; i++)
            is_there = is_there || (d->has[i] && strcmp(d->entries[i], version) == 0);
        if (!is_there)
            status = add_missing(f, d, version, "this version is asked for");
    }
    return status;
}

static enum gal_status add_versions(struct gal_found *f, const struct dir *d)
{
    enum gal_status status = GAL_OK;
    for (size_t i = 0; i < d->count && !status; i++) {
        if (d->has[i] && is_served(d, i))
            status = add_version(f, d, d->entries[i], true);
    }
    return status ? status : add_listed(f, d);
}

/* ---- the directory ---- */

static enum gal_status add_all(struct gal_found *f, struct dir *d)
{
    bool plain = false;
    size_t before = f->count;
    enum gal_status status = find_versions(f, d);
    if (!status)
        status = has_file(f, d, NULL, &plain);
    if (!status && plain && d->has_count > 0 && !d->file) {
        gal_fail(f->err, GAL_CONFLICT,
                 "%.150s has a " GAL_MODEL_FILE " beside its version directories", d->path);
        gal_err_hint(f->err, "move it into a version directory, 1/" GAL_MODEL_FILE);
        return GAL_CONFLICT;
    }
    if (!status && plain && d->has_count == 0)
        return add_version(f, d, "1", false);
    if (!status && (d->has_count > 0 || d->file))
        status = add_versions(f, d);
    if (!status && d->file && f->count == before)
        status = add_missing(f, d, "1", "a model's files lie in version directories");
    return status;
}

enum gal_status gal_scan_model_dir(struct gal_found *f, const char *dir, const char *name,
                                   char *const *entries, size_t count)
{
    struct gal_found_config file;
    size_t before = f->count;
    enum gal_status packages = gal_scan_package_versions(f, dir, name, entries, count);
    if (packages || f->count > before)
        return packages;
    struct dir d = {.path = dir, .name = name, .entries = entries, .count = count};
    enum gal_status status = read_config(f, dir, name, entries, count, &file);
    gal_arena_init(&d.arena, 4096, 0, CONFIG_BYTES_MAX);
    if (!status) {
        d.file = file.path ? &file : NULL;
        status = gal_found_configure(f, name, d.file, &d.config, &d.arena, f->err);
        d.wrong = status == GAL_INVALID || status == GAL_UNSUPPORTED || status == GAL_TOO_LARGE;
    }
    if (!status || d.wrong)
        status = add_all(f, &d);
    gal_arena_release(&d.arena);
    gal_free(d.has);
    gal_free(file.path);
    gal_buf_release(&file.text);
    return status;
}
