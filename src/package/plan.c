/* SPDX-License-Identifier: Apache-2.0 */
#include "package/plan.h"

#include "backend/onnx_weights.h"
#include "base/limits.h"
#include "base/mem.h"
#include "package/digests.h"

#include <inttypes.h>
#include <stdio.h>

#define DOCUMENT_MAX (16u << 20) /* the lock, the SBOM: some hundred bytes a file and package */

static enum gal_status no_memory(const struct gal_opened *o, struct gal_err *err)
{
    return gal_package_no_memory(o, err);
}

/* --- the model, ready to be mapped --- */

struct aligning {
    struct gal_opened *o;
    struct gal_err *err;
};

static enum gal_status write_piece(struct gal_str piece, void *ctx)
{
    const struct aligning *a = ctx;
    a->o->aligned_bytes += piece.n;
    return gal_file_write(a->o->aligned, piece, a->err);
}

/* Large weights of a model in one file are moved to where they can be used as they lie. The model
 * with them is a file of its own while the package is open. */
static enum gal_status align_model(struct gal_opened *o, struct gal_err *err)
{
    const struct gal_manifest *m = o->package.manifest;
    const struct gal_package_file *f = gal_package_find(&o->package, m->model_file);
    struct gal_str bytes;
    if (!f || o->aligned || (m->model_format.n > 0 && !gal_str_is(m->model_format, "onnx")))
        return GAL_OK;
    enum gal_status status = gal_package_bytes(&o->package, f, &bytes, err);
    if (status || !gal_onnx_is_ragged(bytes, GAL_ONNX_WEIGHTS_MIN))
        return status;
    struct aligning a = {o, err};
    status = gal_file_create_scratch(f->path, &o->aligned, err);
    if (!status)
        status = gal_onnx_align(bytes, GAL_ONNX_WEIGHTS_MIN, write_piece, &a);
    if (status)
        gal_err_hint(err,
                     "the model is written once more to move its weights: %" PRIu64
                     " bytes, beside it or in /tmp",
                     f->size);
    return status;
}

static struct gal_package_file file_to_pack(const struct gal_opened *o, size_t i)
{
    struct gal_package_file f = o->package.files[i];
    if (o->aligned && gal_str_eq(f.name, o->package.manifest->model_file)) {
        f.path = gal_file_writer_path(o->aligned);
        f.offset = 0;
        f.size = o->aligned_bytes;
    }
    return f;
}

/* --- digests of what is there --- */

static enum gal_status digest_files(struct gal_opened *o, const struct gal_pack_options *options,
                                    struct gal_plan *plan, struct gal_err *err)
{
    size_t count = o->package.file_count;
    enum gal_status status;
    struct gal_digest_job *jobs = gal_calloc(count + 1, sizeof *jobs);
    if (!jobs)
        return no_memory(o, err);
    for (size_t i = 0; i < count; i++) {
        plan->files[i] = (struct gal_plan_file){.file = file_to_pack(o, i)};
        const struct gal_package_file *f = &plan->files[i].file;
        jobs[i] = (struct gal_digest_job){.label = o->package.files[i].path,
                                          .path = f->path,
                                          .offset = f->offset,
                                          .size = f->size};
    }
    status = gal_digest_all(jobs, count, true, options->threads, options->on_progress, options->ctx,
                            err);
    for (size_t i = 0; i < count && !status; i++) {
        (void)snprintf(plan->files[i].file.digest, GAL_DIGEST_SIZE, "sha256:%s", jobs[i].sha256);
        memcpy(plan->files[i].sha1, jobs[i].sha1, GAL_SHA1_HEX_SIZE);
    }
    plan->file_count = status ? 0 : count;
    gal_free(jobs);
    return status;
}

static const struct gal_plan_file *find(const struct gal_plan *plan, struct gal_str name)
{
    for (size_t i = 0; i < plan->file_count; i++) {
        if (gal_str_eq(plan->files[i].file.name, name))
            return &plan->files[i];
    }
    return NULL;
}

/* The manifest that was read is the one that is packed. */
static enum gal_status check_manifest(const struct gal_opened *o, const struct gal_plan *plan,
                                      struct gal_err *err)
{
    char digest[GAL_DIGEST_SIZE];
    const struct gal_plan_file *f = find(plan, GAL_STR(GAL_MANIFEST_FILE));
    gal_oci_digest(o->package.manifest_text, digest);
    if (f && strcmp(f->file.digest, digest) == 0)
        return GAL_OK;
    return gal_fail(err, GAL_CONFLICT, "%s: " GAL_MANIFEST_FILE " has changed meanwhile",
                    o->package.path);
}

/* --- what is made --- */

static enum gal_status add_made(struct gal_opened *o, struct gal_arena *arena,
                                struct gal_plan *plan, const char *name, enum gal_file_role role,
                                struct gal_buf *text, struct gal_err *err)
{
    struct gal_plan_file *f = &plan->files[plan->file_count];
    enum gal_status status = GAL_OK;
    char *copy = text->failed ? NULL : gal_arena_strdup(arena, gal_buf_str(text));
    if (text->failed && !text->starved)
        status = gal_fail(err, GAL_TOO_LARGE, "%s: %s is larger than %u bytes", o->package.path,
                          name, DOCUMENT_MAX);
    else if (!copy)
        status = no_memory(o, err);
    if (status)
        return status;
    *f = (struct gal_plan_file){.file = {.name = gal_str_of(name), .role = role, .size = text->n},
                                .bytes = {copy, text->n}};
    gal_oci_digest(f->bytes, f->file.digest);
    plan->file_count++;
    return gal_sha1_hex(f->bytes, f->sha1, err);
}

static int compare(const void *a, const void *b)
{
    const struct gal_plan_file *x = a, *y = b;
    size_t n = x->file.name.n < y->file.name.n ? x->file.name.n : y->file.name.n;
    int order = n ? memcmp(x->file.name.p, y->file.name.p, n) : 0;
    return order ? order : (x->file.name.n > y->file.name.n) - (x->file.name.n < y->file.name.n);
}

static enum gal_status make_documents(struct gal_opened *o, const struct gal_pack_options *options,
                                      struct gal_arena *arena, struct gal_plan *plan,
                                      struct gal_err *err)
{
    const struct gal_manifest *m = o->package.manifest;
    struct gal_buf text;
    gal_buf_init(&text, DOCUMENT_MAX);
    gal_lock_write(&text, m, plan, options);
    enum gal_status status = add_made(o, arena, plan, GAL_LOCK_FILE, GAL_ROLE_CONFIG, &text, err);
    if (!status) {
        char lock[GAL_DIGEST_SIZE];
        memcpy(lock, plan->files[plan->file_count - 1].file.digest, sizeof lock);
        qsort(plan->files, plan->file_count, sizeof *plan->files, compare);
        gal_buf_clear(&text, SIZE_MAX);
        status = gal_sbom_write(&text, m, plan, options->epoch, lock + strlen("sha256:"), err);
    }
    if (!status)
        status = add_made(o, arena, plan, GAL_SBOM_FILE, GAL_ROLE_DOC, &text, err);
    if (!status)
        qsort(plan->files, plan->file_count, sizeof *plan->files, compare);
    gal_buf_release(&text);
    return status;
}

static enum gal_status keep(struct gal_opened *o, struct gal_arena *arena, struct gal_buf *text,
                            const char *what, struct gal_str *out, struct gal_err *err)
{
    if (text->failed && !text->starved)
        return gal_fail(err, GAL_TOO_LARGE, "%s: %s is larger than %u bytes: fewer files, please",
                        o->package.path, what, GAL_OCI_JSON_BYTES_MAX);
    char *copy = text->failed ? NULL : gal_arena_strdup(arena, gal_buf_str(text));
    if (!copy)
        return no_memory(o, err);
    *out = (struct gal_str){copy, text->n};
    return GAL_OK;
}

enum gal_status gal_plan_make(struct gal_opened *o, const struct gal_pack_options *options,
                              struct gal_arena *arena, struct gal_plan *out, struct gal_err *err)
{
    struct gal_buf text;
    *out = (struct gal_plan){.file_count = 0};
    out->files = gal_arena_array(arena, o->package.file_count + 2, sizeof *out->files);
    if (!out->files)
        return no_memory(o, err);
    gal_buf_init(&text, GAL_OCI_JSON_BYTES_MAX);
    enum gal_status status = align_model(o, err);
    if (!status)
        status = digest_files(o, options, out, err);
    if (!status)
        status = check_manifest(o, out, err);
    if (!status)
        status = gal_package_environment(&o->package, arena, &out->environment, err);
    if (!status)
        status = make_documents(o, options, arena, out, err);
    if (!status) {
        gal_artifact_config(&text, o->package.manifest, out);
        status = keep(o, arena, &text, "its config", &out->config, err);
    }
    if (!status) {
        gal_buf_clear(&text, SIZE_MAX);
        status = gal_artifact_manifest(&text, o->package.manifest, out, arena, err);
    }
    if (!status)
        status = keep(o, arena, &text, "its OCI manifest", &out->manifest, err);
    if (!status)
        gal_oci_digest(out->manifest, out->digest);
    gal_buf_release(&text);
    return status;
}
