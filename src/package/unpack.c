/* SPDX-License-Identifier: Apache-2.0 */
#include "package/pack.h"

#include "base/digest.h"
#include "base/mem.h"
#include "package/package_impl.h"

struct unpacking {
    struct gal_opened *o;
    char *dir; /* where files are written; owned */
    struct gal_sha256 *sha;
    struct gal_file_writer *file;
    struct gal_err *err;
};

/* "dir/a/b" of "a/b", with the directory it is in. Names have been checked: none leads out. */
static enum gal_status place(struct unpacking *u, struct gal_str name, char **out)
{
    enum gal_status status = GAL_OK;
    char *text = gal_strndup(name.p, name.n);
    *out = text ? gal_path_join(u->dir, text) : NULL;
    gal_free(text);
    if (!*out)
        return gal_package_no_memory(u->o, u->err);
    if (memchr(name.p, '/', name.n)) {
        char *slash = strrchr(*out, '/');
        *slash = '\0';
        status = gal_dir_make_all(*out, u->err);
        *slash = '/';
    }
    return status;
}

static enum gal_status on_piece(struct gal_str piece, void *ctx)
{
    struct unpacking *u = ctx;
    enum gal_status status = gal_sha256_add(u->sha, piece);
    return status ? gal_fail(u->err, status, "SHA-256 cannot be computed")
                  : gal_file_write(u->file, piece, u->err);
}

static enum gal_status check_digest(const struct unpacking *u, const struct gal_package_file *f)
{
    char hex[GAL_SHA256_HEX_SIZE];
    if (gal_sha256_end(u->sha, hex) != GAL_OK)
        return gal_fail(u->err, GAL_INTERNAL, "SHA-256 cannot be computed");
    if (!f->digest[0] || strcmp(hex, f->digest + strlen("sha256:")) == 0)
        return GAL_OK;
    return gal_fail(u->err, GAL_INVALID,
                    "%s: damaged: %.*s has the digest sha256:%s, %s was promised",
                    u->o->package.path, GAL_STR_SHOWN(f->name), hex, f->digest);
}

static enum gal_status write_file(struct unpacking *u, const struct gal_package_file *f)
{
    char *path;
    enum gal_status status = place(u, f->name, &path);
    if (!status)
        status = gal_file_create_new(path, &u->file, u->err);
    if (!status)
        status = gal_file_scan_part(f->path, f->offset, f->size, on_piece, u, u->err);
    if (!status)
        status = check_digest(u, f);
    if (!status) {
        struct gal_file_writer *file = u->file;
        u->file = NULL;
        status = gal_file_commit(file, u->err);
    }
    gal_free(path);
    return status;
}

static enum gal_status write_text(struct unpacking *u, const char *name, struct gal_str text)
{
    char *path;
    enum gal_status status = place(u, gal_str_of(name), &path);
    if (!status)
        status = gal_file_put(path, text, u->err);
    gal_free(path);
    return status;
}

static enum gal_status write_all(struct unpacking *u)
{
    const struct gal_opened *o = u->o;
    enum gal_status status = GAL_OK;
    for (size_t i = 0; i < o->package.file_count && !status; i++)
        status = write_file(u, &o->package.files[i]);
    if (!o->package.is_sealed || !o->one_by_one)
        return status;
    if (!status)
        status = write_text(u, GAL_SEAL_MANIFEST, o->oci_text);
    return status ? status : write_text(u, GAL_SEAL_CONFIG, o->oci_config);
}

enum gal_status gal_unpack(struct gal_package *p, const char *dir, struct gal_err *err)
{
    struct unpacking u = {.o = gal_opened_of(p), .err = err};
    struct gal_file_info info;
    enum gal_status status = gal_file_stat_link(dir, &info, err);
    if (status)
        return status;
    if (info.kind != GAL_FILE_NONE && info.kind != GAL_FILE_DIR)
        return gal_fail(err, GAL_CONFLICT, "%s: exists already", dir);
    u.sha = gal_sha256_new();
    status = u.sha ? gal_dir_make_beside(dir, &u.dir, err) : gal_package_no_memory(u.o, err);
    if (!status)
        status = write_all(&u);
    if (!status)
        status = gal_dir_sync(u.dir, err);
    if (!status)
        status = gal_dir_place(u.dir, dir, err);
    if (status && u.dir)
        (void)gal_dir_remove(u.dir, NULL);
    gal_file_abandon(u.file);
    gal_sha256_free(u.sha);
    gal_free(u.dir);
    return status;
}
