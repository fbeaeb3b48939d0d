/* SPDX-License-Identifier: Apache-2.0 */
#include "source/env.h"

#include "base/file.h"
#include "source/source.h"

#define BAKED "models"
#define VOLUME "/data/models"

const char *gal_env(char *const *env, const char *name)
{
    size_t n = strlen(name);
    for (; env && *env; env++) {
        if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
            return (*env)[n + 1] ? *env + n + 1 : NULL;
    }
    return NULL;
}

const char *gal_env_path(char *const *env, const char *path, struct gal_arena *arena)
{
    const char *home = gal_env(env, "HOME");
    if (strncmp(path, "~/", 2) == 0 && home)
        return gal_arena_printf(arena, "%s/%s", home, path + 2);
    return gal_arena_strdup(arena, gal_str_of(path));
}

/* --- MODEL_... --- */

static enum gal_status needs(const char *name, const char *why, struct gal_err *err)
{
    gal_fail(err, GAL_INVALID, "%s is not set", name);
    gal_err_hint(err, "%s", why);
    return GAL_INVALID;
}

/* NAME/VERSION, which become parts of paths and keys. */
static enum gal_status name_and_version(char *const *env, struct gal_arena *arena, const char **out,
                                        struct gal_err *err)
{
    const char *name = gal_env(env, "MODEL_NAME"), *version = gal_env(env, "MODEL_VERSION");
    if (!name)
        return needs("MODEL_NAME", "a baked, volume or s3 model lies in NAME/VERSION/", err);
    if (!version)
        return needs("MODEL_VERSION", "a baked, volume or s3 model lies in NAME/VERSION/", err);
    *out = gal_arena_printf(arena, "%s/%s", name, version);
    return *out ? GAL_OK : gal_fail(err, GAL_NO_MEMORY, "out of memory");
}

/* A package's directory, or the model file in it. */
static enum gal_status local(const char *root, const char *tail, bool is_volume,
                             struct gal_arena *arena, const char **out, struct gal_err *err)
{
    struct gal_file_info info;
    const char *file = gal_arena_printf(arena, "%s/%s/model.onnx", root, tail);
    const char *package = gal_arena_printf(arena, "%s/%s/galley.yaml", root, tail);
    if (!file || !package)
        return gal_fail(err, GAL_NO_MEMORY, "out of memory");
    if (gal_file_stat(package, &info, NULL) == GAL_OK && info.kind == GAL_FILE_REGULAR) {
        *out = gal_arena_printf(arena, "%s/%s", root, tail);
        return *out ? GAL_OK : gal_fail(err, GAL_NO_MEMORY, "out of memory");
    }
    enum gal_status status = gal_file_stat(file, &info, err);
    if (status)
        return status;
    *out = file;
    if (info.kind != GAL_FILE_NONE)
        return GAL_OK;
    if (is_volume)
        return gal_fail(
            err, GAL_NOT_FOUND,
            "Model not found in volume at %.200s. Ensure the volume is mounted and contains "
            "the model.",
            file);
    return gal_fail(
        err, GAL_NOT_FOUND,
        "Baked model not found at %.200s. Ensure the model was copied during docker build.", file);
}

static enum gal_status from_source(const char *source, char *const *env, struct gal_arena *arena,
                                   const char **out, struct gal_err *err)
{
    const char *tail = NULL, *volume = gal_env(env, "MODEL_VOLUME_PATH");
    const char *bucket = gal_env(env, "MODEL_S3_BUCKET");
    bool is_s3 = strcmp(source, "s3") == 0, is_volume = strcmp(source, "volume") == 0;
    if (!is_s3 && !is_volume && strcmp(source, "baked") != 0) {
        gal_fail(err, GAL_INVALID, "Unknown MODEL_SOURCE: %.100s", source);
        gal_err_hint(err, "baked, volume or s3");
        return GAL_INVALID;
    }
    enum gal_status status = name_and_version(env, arena, &tail, err);
    if (status)
        return status;
    if (is_s3) {
        if (!bucket)
            return needs("MODEL_S3_BUCKET", "the bucket that MODEL_SOURCE=s3 reads from", err);
        *out = gal_arena_printf(arena, "s3://%s/models/%s/model.onnx", bucket, tail);
        return *out ? GAL_OK : gal_fail(err, GAL_NO_MEMORY, "out of memory");
    }
    return local(!is_volume ? "./" BAKED
                 : volume   ? volume
                            : VOLUME,
                 tail, is_volume, arena, out, err);
}

/* MODEL_BUCKET/VERSION/: a bucket's name, or a URL of any store. */
static enum gal_status from_bucket(const char *bucket, char *const *env, struct gal_arena *arena,
                                   const char **out, struct gal_err *err)
{
    const char *version = gal_env(env, "MODEL_VERSION");
    const char *scheme = strstr(bucket, "://") ? "" : "s3://";
    size_t n = strlen(bucket);
    if (!version)
        return needs("MODEL_VERSION", "MODEL_BUCKET holds each version in a directory VERSION/",
                     err);
    while (n > 0 && bucket[n - 1] == '/')
        n--;
    *out = gal_arena_printf(arena, "%s%.*s/%s/", scheme, (int)n, bucket, version);
    return *out ? GAL_OK : gal_fail(err, GAL_NO_MEMORY, "out of memory");
}

enum gal_status gal_source_from_env(char *const *env, struct gal_arena *arena, const char **out,
                                    struct gal_err *err)
{
    const char *source = gal_env(env, "MODEL_SOURCE"), *path = gal_env(env, "MODEL_PATH");
    const char *bucket = gal_env(env, "MODEL_BUCKET"), *built_in = gal_env(env, GAL_MODEL_DEFAULT);
    *out = NULL;
    gal_err_clear(err);
    if (source)
        return from_source(source, env, arena, out, err);
    if (path) {
        *out = gal_arena_strdup(arena, gal_str_of(path));
        return *out ? GAL_OK : gal_fail(err, GAL_NO_MEMORY, "out of memory");
    }
    if (bucket)
        return from_bucket(bucket, env, arena, out, err);
    if (gal_env(env, "MODEL_S3_BUCKET"))
        return from_source("s3", env, arena, out, err);
    if (gal_env(env, "MODEL_NAME") && gal_env(env, "MODEL_VERSION"))
        return from_source("baked", env, arena, out, err);
    if (built_in)
        *out = gal_arena_strdup(arena, gal_str_of(built_in));
    return !built_in || *out ? GAL_OK : gal_fail(err, GAL_NO_MEMORY, "out of memory");
}
