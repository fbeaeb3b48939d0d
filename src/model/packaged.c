/* SPDX-License-Identifier: Apache-2.0 */
#include "model/packaged.h"

#include "base/file_write.h"
#include "base/mem.h"
#include "base/thread.h"
#include "package/golden.h"
#include "package/pack.h"
#include "package/session.h"

#include <stdatomic.h>
#include <stdio.h>

/* --- digests, beside the load --- */

struct checking {
    struct gal_package *package;
    pthread_t thread;
    enum gal_status status;
    struct gal_err err;
    bool skip; /* sealed, and looked at later or never */
};

static void *check(void *arg)
{
    struct checking *c = arg;

    if (!c->package->is_sealed) /* its digest is what its content gives */
        c->status = gal_package_digest(c->package, &c->err);
    else if (!c->skip)
        c->status = gal_package_check(c->package, gal_cpu_count(), NULL, NULL, &c->err);
    return NULL;
}

/* --- the model's file --- */

/* The model's other files, by the names that it has for them, out of one `.galley` file. NULL:
 * there is no memory, or no such file. */
static const struct gal_backend_part *find_parts(struct gal_model *m,
                                                 const struct gal_package_file *file, size_t *count)
{
    const struct gal_package *p = m->package;
    const char *slash = strrchr(file->name.p, '/');
    size_t dir = slash ? (size_t)(slash - file->name.p) + 1 : 0;
    struct gal_backend_part *parts = gal_arena_array(&m->arena, p->file_count, sizeof *parts);

    *count = 0;
    for (size_t i = 0; parts && i < p->file_count; i++) {
        const struct gal_package_file *f = &p->files[i];
        if (strcmp(f->path, file->path) != 0 || f->name.n <= dir ||
            memcmp(f->name.p, file->name.p, dir) != 0)
            continue;
        parts[(*count)++] =
            (struct gal_backend_part){{f->name.p + dir, f->name.n - dir}, f->offset, f->size};
    }
    return parts;
}

/* From an unpacked copy, for a model of several files in one .galley file: the engine opens them by
 * name. What it has mapped stays when the copy is gone. */
static enum gal_status load_aside(struct gal_model *m, const struct gal_model_options *o,
                                  const struct gal_backend_options *options,
                                  const struct gal_package_file *file, struct gal_err *err)
{
    char *temporary, *copy = NULL, *path = NULL;
    enum gal_status status = gal_dir_make_temporary("package", &temporary, err);

    if (status)
        return status;
    copy = gal_path_join(temporary, "unpacked"); /* of what mode it likes, in one that is ours */
    path = copy ? gal_path_join(copy, file->name.p) : NULL;
    if (path)
        status = gal_unpack(m->package, copy, err);
    else
        status = gal_fail(err, GAL_NO_MEMORY, "no memory for a path");
    if (!status)
        status = o->ops->load(path, options, &m->session, err);
    gal_free(path);
    gal_free(copy);
    gal_dir_remove_temporary(temporary);
    return status;
}

static enum gal_status load_model(struct gal_model *m, const struct gal_model_options *o,
                                  const struct gal_package_file *file, struct gal_err *err)
{
    const struct gal_manifest *manifest = m->package->manifest;
    struct gal_backend_options options = o->config.backend;

    m->file_bytes = file->size;
    if (m->package->is_sealed) {
        options.place = file->path;
        options.place_offset = file->offset;
    }
    if (m->package->is_dir && file->offset == 0)
        return o->ops->load(file->path, &options, &m->session, err);
    if (manifest->model_file_count == 0) {
        enum gal_status status = gal_package_bytes(m->package, file, &options.bytes, err);
        return status ? status : o->ops->load(m->package->path, &options, &m->session, err);
    }
    options.parts = find_parts(m, file, &options.part_count);
    if (options.place && options.parts &&
        !gal_package_bytes(m->package, file, &options.bytes, NULL) &&
        !o->ops->load(m->package->path, &options, &m->session, NULL))
        return GAL_OK;
    options = o->config.backend; /* what cannot be mapped, and what is wrong with it */
    return load_aside(m, o, &options, file, err);
}

static enum gal_status check_format(const struct gal_manifest *m, struct gal_err *err)
{
    if (m->require_cuda) {
        gal_fail(err, GAL_UNAVAILABLE,
                 "GPU not available: the package requires cuda, and this galley runs models on "
                 "CPUs only");
        gal_err_hint(err, "take `require: cuda` out of its galley.yaml, or serve it where there is "
                          "a GPU");
        return GAL_UNAVAILABLE;
    }
    if (m->model_format.n && !gal_str_is(m->model_format, "onnx"))
        return gal_fail(err, GAL_UNSUPPORTED, "the model's format is %.*s: only onnx is served",
                        GAL_STR_SHOWN(m->model_format));
    return GAL_OK;
}

/* What was checked, what the engine has mapped and what is open here are one file. */
static enum gal_status check_same(const char *path, const struct gal_file_info *before,
                                  struct gal_err *err)
{
    struct gal_file_info now;
    enum gal_status status = gal_file_stat(path, &now, err);

    if (status)
        return status;
    if (now.inode != before->inode || now.bytes != before->bytes ||
        now.mtime_ns != before->mtime_ns)
        return gal_fail(err, GAL_CONFLICT, "%s was changed while it was loaded", path);
    return GAL_OK;
}

static enum gal_status load_beside_check(struct gal_model *m, const struct gal_model_options *o,
                                         const struct gal_package_file *file, struct gal_err *err)
{
    struct checking c = {.package = m->package, .skip = m->config.verify != GAL_VERIFY_BEFORE};
    struct gal_file_info before;
    enum gal_status status = gal_file_stat(file->path, &before, err);

    if (!status)
        status = gal_thread_start(&c.thread, "galley-check", check, &c, err);
    if (status)
        return status;
    status = load_model(m, o, file, err);
    pthread_join(c.thread, NULL);
    if (c.status && err) /* a damaged file is why the engine may have refused it */
        *err = c.err;
    if (!status && !c.status)
        status = check_same(file->path, &before, err);
    return c.status ? c.status : status;
}

enum gal_status gal_packaged_open(struct gal_model *m, const struct gal_model_options *o,
                                  struct gal_err *err)
{
    const struct gal_manifest *manifest = m->package->manifest;
    const struct gal_package_file *file = gal_package_find(m->package, manifest->model_file);
    enum gal_status status = check_format(manifest, err);

    if (status)
        return status;
    if (!file)
        return gal_fail(err, GAL_NOT_FOUND, "the package holds no file %.*s, its model",
                        GAL_STR_SHOWN(manifest->model_file));
    status = load_beside_check(m, o, file, err);
    if (status)
        return status;
    snprintf(m->package_digest, sizeof m->package_digest, "%s", m->package->digest);
    snprintf(m->sha256, sizeof m->sha256, "%s", m->package->digest + 7);
    m->engine_ops = m->ops;
    m->engine_session = m->session;
    m->session = NULL; /* taken, whatever comes of it */
    status = gal_packed_new(m->package, m->engine_ops, m->engine_session, &m->session, err);
    if (status)
        return status;
    m->ops = &gal_packed_ops;
    m->manifest = manifest;
    return GAL_OK;
}

/* --- golden cases --- */

/* The first case's inputs in the model's order: what is known to work. */
static enum gal_status take_sample(struct gal_model *m, const struct gal_golden *g,
                                   struct gal_err *err)
{
    const struct gal_model_info *info = m->ops->info(m->session);
    const struct gal_golden_case *c = &g->cases[0];
    struct gal_value *sample = gal_arena_array(&m->arena, info->input_count + 1, sizeof *sample);

    if (!sample)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a golden case");
    for (size_t i = 0; i < info->input_count; i++) {
        sample[i] = (struct gal_value){.kind = GAL_KIND_NONE, .tensor.name = info->inputs[i].name};
        for (size_t k = 0; k < c->input_count; k++) {
            if (gal_str_eq(c->inputs[k].tensor.name, info->inputs[i].name))
                sample[i] = c->inputs[k];
        }
    }
    m->sample = sample;
    return GAL_OK;
}

enum gal_status gal_packaged_prove(struct gal_model *m, struct gal_err *err)
{
    struct gal_golden *golden;
    enum gal_status status =
        gal_package_prove(m->package, m->ops, m->session, &m->arena, &golden, NULL, err);

    return !status && golden && golden->case_count ? take_sample(m, golden, err) : status;
}

void gal_model_verify(struct gal_model *m)
{
    struct gal_err err;

    if (!m->package || !m->package->is_sealed || m->config.verify != GAL_VERIFY_AFTER ||
        gal_model_state(m) != GAL_MODEL_READY)
        return;
    if (gal_package_check(m->package, 1, NULL, NULL, &err) == GAL_OK)
        return;
    m->error = err;
    atomic_store_explicit(&m->state, GAL_MODEL_FAILED, memory_order_release);
}
