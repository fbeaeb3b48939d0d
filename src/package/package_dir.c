/* SPDX-License-Identifier: Apache-2.0 */
/* Packages that are directories: a user's, whose files are what its manifest names, and sealed
 * ones, whose files are what the OCI manifest in them tells. */
#include "package/package_impl.h"

#include "backend/onnx.h"
#include "base/digest.h"
#include "base/limits.h"
#include "base/mem.h"

#define DEPTH_MAX 16u /* of directories among `files` */

struct collecting {
    struct gal_opened *o;
    struct gal_err *err;
    char root[GAL_PATH_SIZE]; /* the directory, links followed */
};

/* Reads a small file into the arena. */
static enum gal_status read_member(struct gal_opened *o, const char *name, size_t bytes_max,
                                   struct gal_str *out, struct gal_err *err)
{
    struct gal_buf b;
    char *path = gal_path_join(o->package.path, name);
    if (!path)
        return gal_package_no_memory(o, err);
    enum gal_status status = gal_file_read(path, bytes_max, &b, err);
    gal_free(path);
    if (status)
        return status;
    char *copy = gal_arena_strdup(&o->arena, gal_buf_str(&b));
    *out = (struct gal_str){copy, b.n};
    gal_buf_release(&b);
    return copy ? GAL_OK : gal_package_no_memory(o, err);
}

/* Where a file of the directory lies, and that it does lie in it: links out of it would take into
 * the package what nobody has put there. *is_dir may be NULL: a file is wanted. */
static enum gal_status locate(struct collecting *c, struct gal_str name, const char *what,
                              const char **path, uint64_t *size, bool *is_dir)
{
    struct gal_opened *o = c->o;
    char real[GAL_PATH_SIZE];
    struct gal_file_info info;
    char *joined = gal_arena_printf(&o->arena, "%s/%.*s", o->package.path, GAL_STR_ARG(name));
    if (!joined)
        return gal_package_no_memory(o, c->err);
    enum gal_status status = gal_file_stat(joined, &info, c->err);
    if (status)
        return status;
    if (info.kind == GAL_FILE_NONE)
        return gal_fail(c->err, GAL_NOT_FOUND, "%s: %.*s, %s, is missing", o->package.path,
                        GAL_STR_SHOWN(name), what);
    status = gal_path_real(joined, real, c->err);
    if (status)
        return status;
    size_t n = strlen(c->root);
    if (strncmp(real, c->root, n) != 0 || (real[n] != '/' && n > 1)) {
        (void)gal_fail(c->err, GAL_INVALID, "%s: %.*s is a link to %s, which is not in the package",
                       o->package.path, GAL_STR_SHOWN(name), real);
        gal_err_hint(c->err, "copy the file into it");
        return GAL_INVALID;
    }
    bool wanted = info.kind == GAL_FILE_REGULAR || (is_dir && info.kind == GAL_FILE_DIR);
    if (!wanted)
        return gal_fail(c->err, GAL_INVALID, "%s: %.*s, %s, is no regular file", o->package.path,
                        GAL_STR_SHOWN(name), what);
    if (is_dir)
        *is_dir = info.kind == GAL_FILE_DIR;
    *path = joined;
    *size = info.bytes;
    return GAL_OK;
}

/* --- a user's --- */

static bool is_known(const struct gal_opened *o, struct gal_str name)
{
    for (size_t i = 0; i < o->package.file_count; i++) {
        if (gal_str_eq(o->files[i].name, name))
            return true;
    }
    return false;
}

static enum gal_status add_named(struct collecting *c, struct gal_str name, const char *what,
                                 enum gal_file_role role, unsigned depth);

static enum gal_status add_directory(struct collecting *c, // NOLINT(misc-no-recursion): bounded
                                     struct gal_str name, const char *path, const char *what,
                                     unsigned depth)
{
    char **names;
    size_t count;
    if (depth >= DEPTH_MAX)
        return gal_fail(c->err, GAL_INVALID, "%s: %.*s: directories are too deep",
                        c->o->package.path, GAL_STR_SHOWN(name));
    enum gal_status status = gal_dir_list(path, &names, &count, c->err);
    if (status)
        return status;
    for (size_t i = 0; i < count && !status; i++) {
        char *inner = gal_arena_printf(&c->o->arena, "%.*s/%s", GAL_STR_ARG(name), names[i]);
        status =
            inner ? add_named(c, gal_str_of(inner), what, gal_role_of(gal_str_of(inner)), depth + 1)
                  : gal_package_no_memory(c->o, c->err);
    }
    gal_free(names);
    return status;
}

static enum gal_status add_named(struct collecting *c, // NOLINT(misc-no-recursion): bounded
                                 struct gal_str name, const char *what, enum gal_file_role role,
                                 unsigned depth)
{
    struct gal_package_file f = {.role = role, .media_type = gal_role_media_type(role)};
    bool is_dir = false;
    while (name.n > 1 && name.p[name.n - 1] == '/')
        name.n--;
    f.name = name;
    enum gal_status status = gal_package_check_name(c->o, name, c->err);
    if (status)
        return status;
    if (gal_str_is(name, GAL_LOCK_FILE) || gal_str_is(name, GAL_SBOM_FILE)) {
        (void)gal_fail(c->err, GAL_INVALID, "%s: %.*s is made by packing", c->o->package.path,
                       GAL_STR_ARG(name));
        gal_err_hint(c->err, "take it out of the manifest");
        return GAL_INVALID;
    }
    if (is_known(c->o, name))
        return GAL_OK;
    status = locate(c, name, what, &f.path, &f.size, &is_dir);
    if (status)
        return status;
    return is_dir ? add_directory(c, name, f.path, what, depth) : gal_package_add(c->o, &f, c->err);
}

static enum gal_status on_part(struct gal_str name, const char *what, enum gal_file_role role,
                               void *ctx)
{
    return add_named(ctx, name, what, role, 0);
}

/* External data lies beside the model, wherever in the package that is. */
static enum gal_status on_external(struct gal_str name, void *ctx)
{
    struct collecting *c = ctx;
    struct gal_str model = c->o->package.manifest->model_file;
    while (model.n > 0 && model.p[model.n - 1] != '/')
        model.n--;
    char *path = gal_arena_printf(&c->o->arena, "%.*s%.*s", GAL_STR_ARG(model), GAL_STR_ARG(name));
    return path ? add_named(c, gal_str_of(path), "which the model refers to", GAL_ROLE_WEIGHT, 0)
                : gal_package_no_memory(c->o, c->err);
}

static enum gal_status add_external(struct collecting *c)
{
    const struct gal_opened *o = c->o;
    struct gal_str bytes;
    for (size_t i = 0; i < o->package.file_count; i++) {
        if (!gal_str_eq(o->files[i].name, o->package.manifest->model_file))
            continue;
        enum gal_status status = gal_file_map(o->files[i].path, &bytes, c->err);
        if (status)
            return status;
        status = gal_onnx_external_files(bytes, on_external, c);
        gal_file_unmap(bytes);
        return status;
    }
    return GAL_OK;
}

enum gal_status gal_package_open_dir(struct gal_opened *o, struct gal_err *err)
{
    struct collecting c = {.o = o, .err = err};
    struct gal_str text;
    enum gal_status status = read_member(o, GAL_MANIFEST_FILE, GAL_YAML_BYTES_MAX, &text, err);
    if (status == GAL_NOT_FOUND)
        return GAL_OK; /* the caller says so */
    if (!status)
        status = gal_path_real(o->package.path, c.root, err);
    if (!status)
        status = gal_package_read_manifest(o, text, err);
    if (!status)
        status = add_named(&c, GAL_STR(GAL_MANIFEST_FILE), "the manifest", GAL_ROLE_CONFIG, 0);
    if (!status)
        status = gal_package_named(o->package.manifest, on_part, &c);
    if (!status)
        status = add_external(&c);
    return status ? status : gal_package_settle(o, err);
}

/* --- sealed --- */

static enum gal_status add_sealed(struct collecting *c, size_t index)
{
    struct gal_opened *o = c->o;
    const struct gal_oci_descriptor *d = &o->oci.layers[index];
    struct gal_package_file f = {.name = gal_oci_annotation(d, "org.cncf.model.filepath"),
                                 .media_type = d->media_type};
    uint64_t size;
    bool is_raw;
    enum gal_status status = gal_layer_type(d->media_type, &f.role, &is_raw, c->err);
    if (!status && !is_raw)
        status = gal_fail(c->err, GAL_INVALID, "%s: " GAL_SEAL_MANIFEST ": layer %zu is no file",
                          o->package.path, index);
    if (!status)
        status = gal_package_check_name(o, f.name, c->err);
    if (!status)
        status = locate(c, f.name, "which is sealed", &f.path, &size, NULL);
    if (status)
        return gal_package_name_path(o, status, c->err);
    if (size != d->size) {
        (void)gal_fail(c->err, GAL_INVALID, "%s: %.*s has %llu bytes, %llu are sealed",
                       o->package.path, GAL_STR_SHOWN(f.name), (unsigned long long)size,
                       (unsigned long long)d->size);
        gal_err_hint(c->err, "remove %s/" GAL_SEAL_DIR " to go on with it as a package of your own",
                     o->package.path);
        return GAL_INVALID;
    }
    memcpy(f.digest, d->digest, sizeof f.digest);
    f.size = size;
    struct gal_sealed_part *p = &o->parts[o->part_count++];
    *p = (struct gal_sealed_part){.path = f.path, .size = size};
    p->label = gal_arena_strdup(&o->arena, f.name);
    memcpy(p->digest, d->digest, sizeof p->digest);
    return p->label ? gal_package_add(o, &f, c->err) : gal_package_no_memory(o, c->err);
}

static enum gal_status read_seal(struct gal_opened *o, struct gal_err *err)
{
    struct gal_str text;
    char digest[GAL_DIGEST_SIZE];
    enum gal_status status = read_member(o, GAL_SEAL_MANIFEST, GAL_OCI_JSON_BYTES_MAX, &text, err);
    if (!status)
        status = gal_package_read_oci(o, text, err);
    if (!status)
        status = read_member(o, GAL_SEAL_CONFIG, GAL_OCI_JSON_BYTES_MAX, &o->oci_config, err);
    if (status)
        return gal_package_name_path(o, status, err);
    gal_oci_digest(o->oci_config, digest);
    if (strcmp(digest, o->oci.config.digest) != 0)
        return gal_fail(err, GAL_INVALID, "%s: " GAL_SEAL_CONFIG " has the digest %s, %s is sealed",
                        o->package.path, digest, o->oci.config.digest);
    gal_oci_digest(text, o->package.digest);
    return GAL_OK;
}

enum gal_status gal_package_open_sealed(struct gal_opened *o, struct gal_err *err)
{
    struct collecting c = {.o = o, .err = err};
    struct gal_str text;
    char digest[GAL_DIGEST_SIZE];
    enum gal_status status = read_seal(o, err);
    if (!status)
        status = gal_path_real(o->package.path, c.root, err);
    if (status)
        return status;
    o->parts = gal_arena_array(&o->arena, o->oci.layer_count + 1, sizeof *o->parts);
    if (!o->parts)
        return gal_package_no_memory(o, err);
    for (size_t i = 0; i < o->oci.layer_count && !status; i++)
        status = add_sealed(&c, i);
    if (!status)
        status = gal_package_settle(o, err);
    o->package.is_sealed = true;
    const struct gal_package_file *f =
        status ? NULL : gal_package_find(&o->package, GAL_STR(GAL_MANIFEST_FILE));
    if (!f)
        return status;
    status = read_member(o, GAL_MANIFEST_FILE, GAL_YAML_BYTES_MAX, &text, err);
    if (status)
        return status;
    gal_oci_digest(text, digest);
    if (strcmp(digest, f->digest) != 0) {
        (void)gal_fail(err, GAL_INVALID,
                       "%s: " GAL_MANIFEST_FILE " has the digest %s, %s is sealed", o->package.path,
                       digest, f->digest);
        gal_err_hint(err, "remove %s/" GAL_SEAL_DIR " to go on with it as a package of your own",
                     o->package.path);
        return GAL_INVALID;
    }
    return gal_package_read_manifest(o, text, err);
}
