/* SPDX-License-Identifier: Apache-2.0 */
/* Packages in image layouts: a layer is a file (galley's own packages), or a tar of files,
 * compressed or not, as other tools for ModelPacks write them. */
#include "package/package_impl.h"

#include "base/limits.h"
#include "oci/tar.h"

#define MODEL_PREFIX "application/vnd.cncf.model."
#define FILEPATH "org.cncf.model.filepath"

enum gal_status gal_layer_type(struct gal_str media_type, enum gal_file_role *role, bool *is_raw,
                               struct gal_err *err)
{
    static const struct {
        const char *name;
        enum gal_file_role role;
    } roles[] = {{"weight.config.v1.", GAL_ROLE_CONFIG},
                 {"weight.v1.", GAL_ROLE_WEIGHT},
                 {"doc.v1.", GAL_ROLE_DOC},
                 {"code.v1.", GAL_ROLE_CODE},
                 {"dataset.v1.", GAL_ROLE_DATA}};
    static const char *const forms[] = {"raw", "tar", "tar+gzip", "tar+zstd"};
    struct gal_str rest = media_type;
    if (gal_str_starts(rest, GAL_STR(MODEL_PREFIX))) {
        rest.p += sizeof MODEL_PREFIX - 1;
        rest.n -= sizeof MODEL_PREFIX - 1;
    }
    for (size_t i = 0; i < sizeof roles / sizeof *roles && rest.p != media_type.p; i++) {
        size_t n = strlen(roles[i].name);
        if (!gal_str_starts(rest, gal_str_of(roles[i].name)))
            continue;
        *role = roles[i].role;
        for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
            *is_raw = f == 0;
            if (gal_str_is((struct gal_str){rest.p + n, rest.n - n}, forms[f]))
                return GAL_OK;
        }
    }
    return gal_fail(err, GAL_INVALID, "\"%.*s\" is not the media type of a model's layer",
                    GAL_STR_SHOWN(media_type));
}

enum gal_status gal_package_read_oci(struct gal_opened *o, struct gal_str text, struct gal_err *err)
{
    o->oci_text = text;
    enum gal_status status = gal_oci_manifest_read(text, &o->arena, &o->oci, err);
    if (status)
        return status;
    if (gal_str_is(o->oci.config.media_type, GAL_MODEL_CONFIG) &&
        (o->oci.artifact_type.n == 0 || gal_str_is(o->oci.artifact_type, GAL_MODEL_ARTIFACT)))
        return GAL_OK;
    struct gal_str is =
        o->oci.artifact_type.n > 0 && !gal_str_is(o->oci.artifact_type, GAL_MODEL_ARTIFACT)
            ? o->oci.artifact_type
            : o->oci.config.media_type;
    (void)gal_fail(err, GAL_INVALID, "no model package: it is \"%.*s\"", GAL_STR_SHOWN(is));
    if (gal_str_is(is, GAL_OCI_CONFIG))
        gal_err_hint(err, "it is a container image: galley image audit looks into it");
    return GAL_INVALID;
}

/* --- layers of several files --- */

struct unpacking {
    struct gal_opened *o;
    const struct gal_oci_descriptor *d;
    size_t index;
    enum gal_file_role role;
    struct gal_str bytes; /* of the layer */
    const char *path;     /* where they lie */
    uint64_t offset;
    bool compressed;
};

/* A file that lies in an uncompressed layer, in place. */
static enum gal_status place_in_layer(const struct unpacking *u, struct gal_tar_reader *r,
                                      struct gal_package_file *f, struct gal_err *err)
{
    struct gal_str piece;
    enum gal_status status = gal_tar_data(r, &piece, err);
    if (status || f->size == 0)
        return status;
    uintptr_t from = (uintptr_t)u->bytes.p, at = (uintptr_t)piece.p;
    if (piece.n != f->size || at < from || at - from > u->bytes.n - piece.n)
        return gal_fail(err, GAL_INVALID, "\"%.*s\" does not lie in one piece",
                        GAL_STR_SHOWN(f->name));
    f->offset = u->offset + (at - from);
    return GAL_OK;
}

/* A file out of a compressed one, into the scratch file. */
static enum gal_status spill(const struct unpacking *u, struct gal_tar_reader *r,
                             struct gal_package_file *f, struct gal_err *err)
{
    struct gal_opened *o = u->o;
    struct gal_str piece;
    enum gal_status status = GAL_OK;
    if (!o->scratch)
        status = gal_file_create_scratch(u->path, &o->scratch, err);
    if (status)
        return status;
    f->path = gal_file_writer_path(o->scratch);
    f->offset = o->scratch_bytes;
    do {
        status = gal_tar_data(r, &piece, err);
        if (!status)
            status = gal_file_write(o->scratch, piece, err);
        o->scratch_bytes += piece.n;
    } while (!status && piece.n > 0);
    return status;
}

static enum gal_status take_entry(const struct unpacking *u, struct gal_tar_reader *r,
                                  const struct gal_tar_entry *e, struct gal_err *err)
{
    struct gal_opened *o = u->o;
    struct gal_package_file f = {
        .role = u->role, .size = e->size, .path = u->path, .media_type = u->d->media_type};
    if (e->type == GAL_TAR_DIR)
        return GAL_OK;
    if (e->type == GAL_TAR_SYMLINK || e->type == GAL_TAR_HARDLINK)
        return gal_fail(err, GAL_INVALID, "\"%.128s\" is a link to \"%.64s\"", e->path, e->target);
    if (e->type != GAL_TAR_FILE)
        return gal_fail(err, GAL_INVALID, "\"%.128s\" is no regular file", e->path);
    const char *name = strncmp(e->path, "./", 2) == 0 ? e->path + 2 : e->path;
    f.name = gal_str_of(gal_arena_strdup(&o->arena, gal_str_of(name)));
    if (!f.name.p)
        return gal_package_no_memory(o, err);
    enum gal_status status = gal_package_check_name(o, f.name, err);
    if (!status)
        status = u->compressed ? spill(u, r, &f, err) : place_in_layer(u, r, &f, err);
    return status ? status : gal_package_add(o, &f, err);
}

uint64_t gal_package_unpacked_max(uint64_t size)
{
    return GAL_PACKAGE_FREE_BYTES + (size < UINT64_MAX / (2 * GAL_PACKAGE_RATIO_MAX)
                                         ? size * GAL_PACKAGE_RATIO_MAX
                                         : UINT64_MAX / 2);
}

static enum gal_status add_tar(struct unpacking *u, struct gal_err *err)
{
    struct gal_tar_reader *r;
    struct gal_tar_entry e;
    bool end = false;
    u->compressed = !gal_str_ends(u->d->media_type, GAL_STR(".tar"));
    u->o->one_by_one = false;
    /* Nothing is unpacked, nor a name looked at, before the digest is right. */
    enum gal_status status = gal_layout_check(u->o->layout, u->d, err);
    if (!status)
        status = u->compressed ? gal_tar_open_layer(u->bytes, u->d->media_type,
                                                    gal_package_unpacked_max(u->d->size), &r, err)
                               : gal_tar_open_memory(u->bytes, &r, err);
    if (status)
        return status;
    while (!status) {
        status = gal_tar_next(r, &e, &end, err);
        if (status || end)
            break;
        status = take_entry(u, r, &e, err);
    }
    gal_tar_close(r);
    return status;
}

/* --- all layers --- */

static enum gal_status add_raw(const struct unpacking *u, struct gal_err *err)
{
    struct gal_package_file f = {.name = gal_oci_annotation(u->d, FILEPATH),
                                 .role = u->role,
                                 .size = u->d->size,
                                 .path = u->path,
                                 .offset = u->offset,
                                 .media_type = u->d->media_type};
    if (f.name.n == 0)
        return gal_fail(err, GAL_INVALID, "it has no annotation " FILEPATH);
    memcpy(f.digest, u->d->digest, sizeof f.digest);
    enum gal_status status = gal_package_check_name(u->o, f.name, err);
    return status ? status : gal_package_add(u->o, &f, err);
}

static enum gal_status add_layer(struct gal_opened *o, size_t index, struct gal_err *err)
{
    struct unpacking u = {.o = o, .d = &o->oci.layers[index], .index = index};
    bool is_raw;
    enum gal_status status = gal_layer_type(u.d->media_type, &u.role, &is_raw, err);
    if (!status)
        status = gal_layout_blob(o->layout, u.d, &u.bytes, err);
    if (!status)
        status = gal_layout_place(o->layout, u.d, &u.path, &u.offset, err);
    if (!status)
        status = is_raw ? add_raw(&u, err) : add_tar(&u, err);
    if (!status) {
        struct gal_sealed_part *p = &o->parts[o->part_count++];
        *p = (struct gal_sealed_part){.path = u.path, .offset = u.offset, .size = u.d->size};
        memcpy(p->digest, u.d->digest, sizeof p->digest);
        struct gal_str name = gal_oci_annotation(u.d, FILEPATH);
        p->label = is_raw ? gal_arena_strdup(&o->arena, name)
                          : gal_arena_printf(&o->arena, "layer %zu", index);
        return p->label ? GAL_OK : gal_package_no_memory(o, err);
    }
    if (err && strncmp(err->message, o->package.path, strlen(o->package.path)) != 0) {
        struct gal_err inner = *err;
        (void)gal_fail(err, status, "%s: layer %zu: %s", o->package.path, index, inner.message);
        gal_err_hint(err, "%s", inner.hint);
    }
    return status;
}

/* The manifest is read before anything else, so it is checked before. */
static enum gal_status read_manifest(struct gal_opened *o, struct gal_err *err)
{
    struct gal_str text;
    char digest[GAL_DIGEST_SIZE];
    const struct gal_package_file *f = gal_package_find(&o->package, GAL_STR(GAL_MANIFEST_FILE));
    if (!f)
        return GAL_OK; /* the caller says so */
    if (f->size > GAL_YAML_BYTES_MAX)
        return gal_fail(err, GAL_TOO_LARGE, "%s: " GAL_MANIFEST_FILE ": larger than %u bytes",
                        o->package.path, GAL_YAML_BYTES_MAX);
    enum gal_status status = gal_package_bytes(&o->package, f, &text, err);
    if (status)
        return status;
    gal_oci_digest(text, digest);
    if (f->digest[0] && strcmp(digest, f->digest) != 0)
        return gal_fail(err, GAL_INVALID,
                        "%s: damaged: " GAL_MANIFEST_FILE " has the digest %s, %s was promised",
                        o->package.path, digest, f->digest);
    return gal_package_read_manifest(o, text, err);
}

enum gal_status gal_package_open_layout(struct gal_opened *o, struct gal_err *err)
{
    struct gal_oci_descriptor d;
    struct gal_str text;
    char digest[GAL_DIGEST_SIZE];
    enum gal_status status = gal_layout_open(o->package.path, &o->layout, err);
    if (!status)
        status = gal_layout_manifest(o->layout, NULL, NULL, &d, &text, err);
    if (!status)
        status = gal_package_read_oci(o, text, err);
    if (!status)
        status = gal_layout_blob(o->layout, &o->oci.config, &o->oci_config, err);
    if (status)
        return gal_package_name_path(o, status, err);
    gal_oci_digest(o->oci_config, digest);
    if (strcmp(digest, o->oci.config.digest) != 0)
        return gal_fail(err, GAL_INVALID,
                        "%s: damaged: its config has the digest %s, %s was promised",
                        o->package.path, digest, o->oci.config.digest);
    memcpy(o->package.digest, d.digest, sizeof d.digest);
    o->package.is_sealed = true;
    o->parts = gal_arena_array(&o->arena, o->oci.layer_count + 1, sizeof *o->parts);
    if (!o->parts)
        return gal_package_no_memory(o, err);
    for (size_t i = 0; i < o->oci.layer_count && !status; i++)
        status = add_layer(o, i, err);
    if (!status)
        status = gal_package_settle(o, err);
    return status ? status : read_manifest(o, err);
}
