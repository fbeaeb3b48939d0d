/* SPDX-License-Identifier: Apache-2.0 */
#include "package/package_impl.h"

#include "base/digest.h"
#include "base/limits.h"
#include "base/mem.h"
#include "oci/tar.h"

#include <stdio.h>

#define ARENA_FIRST 65536u
#define ARENA_MAX (256u << 20)

/* A mapped file of which files of the package are parts. */
struct gal_package_map {
    struct gal_package_map *next;
    const char *path;
    struct gal_str bytes;
};

enum gal_status gal_package_name_path(const struct gal_opened *o, enum gal_status status,
                                      struct gal_err *err)
{
    const char *path = o->package.path;
    if (!status || !err || strncmp(err->message, path, strlen(path)) == 0)
        return status;
    struct gal_err inner = *err;
    (void)gal_fail(err, status, "%s: %s", path, inner.message);
    gal_err_place(err, "%s", inner.place);
    gal_err_hint(err, "%s", inner.hint);
    return status;
}

#undef gal_package_no_memory /* the analyzer's, see base/status.h */
enum gal_status gal_package_no_memory(const struct gal_opened *o, struct gal_err *err)
{
    return gal_fail(err, GAL_NO_MEMORY, "%s: out of memory", o->package.path);
}

/* --- files --- */

enum gal_status gal_package_check_name(const struct gal_opened *o, struct gal_str name,
                                       struct gal_err *err)
{
    char text[GAL_TAR_NAME_BYTES_MAX + 1];
    bool ok = name.n > 0 && name.n < sizeof text && memchr(name.p, '\0', name.n) == NULL &&
              gal_utf8_valid(name);
    if (ok) {
        memcpy(text, name.p, name.n);
        text[name.n] = '\0';
        ok = gal_tar_path_safe(text) && name.p[name.n - 1] != '/' &&
             !gal_str_starts(name, GAL_STR("./"));
    }
    if (!ok)
        return gal_fail(err, GAL_INVALID, "%s: \"%.*s\" is no name of a file in a package",
                        o->package.path, GAL_STR_SHOWN(name));
    if (gal_str_is(name, GAL_SEAL_DIR) || gal_str_starts(name, GAL_STR(GAL_SEAL_DIR "/")))
        return gal_fail(err, GAL_INVALID, "%s: \"%.*s\": " GAL_SEAL_DIR " is galley's own",
                        o->package.path, GAL_STR_SHOWN(name));
    return GAL_OK;
}

enum gal_status gal_package_add(struct gal_opened *o, const struct gal_package_file *f,
                                struct gal_err *err)
{
    size_t count = o->package.file_count;
    if (count >= GAL_PACKAGE_FILES_MAX)
        return gal_fail(err, GAL_TOO_LARGE, "%s: more than %u files", o->package.path,
                        GAL_PACKAGE_FILES_MAX);
    if (count == o->file_cap) {
        size_t cap = o->file_cap ? 2 * o->file_cap : 32;
        void *grown = gal_realloc(o->files, cap * sizeof *o->files);
        if (!grown)
            return gal_package_no_memory(o, err);
        o->files = grown;
        o->file_cap = cap;
    }
    o->files[count] = *f;
    o->package.files = o->files;
    o->package.file_count++;
    return GAL_OK;
}

static int compare_text(struct gal_str a, struct gal_str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.p, b.p, n) : 0;
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

static int compare_files(const void *a, const void *b)
{
    const struct gal_package_file *x = a, *y = b;
    return compare_text(x->name, y->name);
}

const struct gal_package_file *gal_package_find(const struct gal_package *p, struct gal_str name)
{
    const struct gal_package_file key = {.name = name};
    return p->file_count == 0 ? NULL
                              : bsearch(&key, p->files, p->file_count, sizeof key, compare_files);
}

enum gal_status gal_package_settle(struct gal_opened *o, struct gal_err *err)
{
    size_t count = o->package.file_count;
    if (count > 0)
        qsort(o->files, count, sizeof *o->files, compare_files);
    for (size_t i = 0; i < count; i++) {
        struct gal_str name = o->files[i].name;
        if (i > 0 && gal_str_eq(o->files[i - 1].name, name))
            return gal_fail(err, GAL_INVALID, "%s: \"%.*s\" is there twice", o->package.path,
                            GAL_STR_SHOWN(name));
        for (size_t k = 0; k < name.n; k++) {
            if (name.p[k] == '/' && gal_package_find(&o->package, (struct gal_str){name.p, k}))
                return gal_fail(err, GAL_INVALID, "%s: \"%.*s\" is both a file and a directory",
                                o->package.path, GAL_STR_SHOWN(((struct gal_str){name.p, k})));
        }
    }
    return GAL_OK;
}

/* Under the lock. */
static enum gal_status map_of(struct gal_opened *o, const char *path, struct gal_str *out,
                              struct gal_err *err)
{
    for (struct gal_package_map *m = o->maps; m; m = m->next) {
        if (strcmp(m->path, path) == 0) {
            *out = m->bytes;
            return GAL_OK;
        }
    }
    struct gal_package_map *m = gal_calloc(1, sizeof *m);
    if (!m)
        return gal_package_no_memory(o, err);
    enum gal_status status = gal_file_map(path, &m->bytes, err);
    if (status) {
        gal_free(m);
        return status;
    }
    m->path = path;
    m->next = o->maps;
    o->maps = m;
    *out = m->bytes;
    return GAL_OK;
}

enum gal_status gal_package_bytes(struct gal_package *p, const struct gal_package_file *f,
                                  struct gal_str *out, struct gal_err *err)
{
    struct gal_opened *o = gal_opened_of(p);
    struct gal_str whole = {NULL, 0};
    *out = (struct gal_str){NULL, 0};
    pthread_mutex_lock(&o->lock);
    enum gal_status status = map_of(o, f->path, &whole, err);
    pthread_mutex_unlock(&o->lock);
    if (status)
        return status;
    if (f->offset > whole.n || f->size > whole.n - f->offset ||
        (p->is_dir && !o->layout && f->size != whole.n))
        return gal_fail(err, GAL_INVALID, "%s: %.*s has changed since the package was opened",
                        p->path, GAL_STR_ARG(f->name));
    if (f->size > 0)
        *out = (struct gal_str){whole.p + f->offset, (size_t)f->size};
    return GAL_OK;
}

/* --- the manifest --- */

enum gal_status gal_package_read_manifest(struct gal_opened *o, struct gal_str text,
                                          struct gal_err *err)
{
    struct gal_manifest *m;
    char *place = gal_arena_printf(&o->arena, "%s/" GAL_MANIFEST_FILE, o->package.path);
    char *copy = gal_arena_strdup(&o->arena, text);
    if (!place || !copy)
        return gal_package_no_memory(o, err);
    o->package.manifest_text = (struct gal_str){copy, text.n};
    enum gal_status status = gal_manifest_read(o->package.manifest_text, place, &o->arena, &m, err);
    o->package.manifest = status ? NULL : m;
    return status;
}

static bool has_part(const struct gal_package *p, struct gal_str name)
{
    if (gal_package_find(p, name))
        return true;
    /* A directory among `files`. */
    while (name.n > 1 && name.p[name.n - 1] == '/')
        name.n--;
    for (size_t i = 0; i < p->file_count; i++) {
        struct gal_str has = p->files[i].name;
        if (has.n > name.n && has.p[name.n] == '/' && gal_str_starts(has, name))
            return true;
    }
    return false;
}

struct missing {
    const struct gal_package *package;
    struct gal_err *err;
};

/* A package that others have put together may lack what its manifest names. */
static enum gal_status check_named(struct gal_str name, const char *what, enum gal_file_role role,
                                   void *ctx)
{
    const struct missing *m = ctx;
    (void)role;
    if (has_part(m->package, name))
        return GAL_OK;
    return gal_fail(m->err, GAL_INVALID, "%s: %.*s, %s, is missing", m->package->path,
                    GAL_STR_SHOWN(name), what);
}

/* --- open and close --- */

static bool has_member(const char *path, const char *name)
{
    struct gal_file_info info = {.kind = GAL_FILE_NONE};
    char *member = gal_path_join(path, name);
    if (member)
        (void)gal_file_stat(member, &info, NULL);
    gal_free(member);
    return info.kind == GAL_FILE_REGULAR;
}

static bool is_layout(const char *path)
{
    return has_member(path, "oci-layout") && has_member(path, "index.json") &&
           !has_member(path, GAL_MANIFEST_FILE);
}

bool gal_package_is(const char *path)
{
    struct gal_file_info info;
    if (gal_file_stat(path, &info, NULL) != GAL_OK)
        return false;
    if (info.kind == GAL_FILE_DIR)
        return has_member(path, GAL_MANIFEST_FILE) || is_layout(path);
    return info.kind == GAL_FILE_REGULAR && gal_str_ends(gal_str_of(path), GAL_STR(".galley"));
}

static enum gal_status open_form(struct gal_opened *o, const char *path, struct gal_err *err)
{
    struct gal_file_info info;
    enum gal_status status = gal_file_stat(path, &info, err);
    if (status)
        return status;
    if (info.kind == GAL_FILE_NONE)
        return gal_fail(err, GAL_NOT_FOUND, "%s: no such file or directory", path);
    o->package.is_dir = info.kind == GAL_FILE_DIR;
    if (!o->package.is_dir || is_layout(path))
        return gal_package_open_layout(o, err);
    if (has_member(path, GAL_SEAL_MANIFEST))
        return gal_package_open_sealed(o, err);
    return gal_package_open_dir(o, err);
}

static enum gal_status no_manifest(const struct gal_opened *o, struct gal_err *err)
{
    (void)gal_fail(err, o->package.is_dir && !o->layout ? GAL_NOT_FOUND : GAL_INVALID,
                   "%s: there is no " GAL_MANIFEST_FILE " in it", o->package.path);
    gal_err_hint(err, o->layout ? "galley unpack writes its files; galley init makes a manifest"
                                : "galley init makes one from the model");
    return o->package.is_dir && !o->layout ? GAL_NOT_FOUND : GAL_INVALID;
}

static enum gal_status open_any(const char *path, bool bare, struct gal_package **out,
                                struct gal_err *err)
{
    struct gal_opened *o = gal_calloc(1, sizeof *o);
    *out = NULL;
    if (!o)
        return gal_fail(err, GAL_NO_MEMORY, "%s: out of memory", path);
    pthread_mutex_init(&o->lock, NULL);
    gal_arena_init(&o->arena, ARENA_FIRST, 0, ARENA_MAX);
    o->one_by_one = true;
    o->package.path = gal_arena_strdup(&o->arena, gal_str_of(path));
    enum gal_status status = o->package.path
                                 ? open_form(o, path, err)
                                 : gal_fail(err, GAL_NO_MEMORY, "%s: out of memory", path);
    if (!status && !o->package.manifest && !bare)
        status = no_manifest(o, err);
    if (!status && o->package.manifest)
        status = gal_package_named(o->package.manifest, check_named,
                                   &(struct missing){&o->package, err});
    if (status) {
        gal_package_close(&o->package);
        return status;
    }
    *out = &o->package;
    return GAL_OK;
}

enum gal_status gal_package_open(const char *path, struct gal_package **out, struct gal_err *err)
{
    return open_any(path, false, out, err);
}

enum gal_status gal_package_open_bare(const char *path, struct gal_package **out,
                                      struct gal_err *err)
{
    return open_any(path, true, out, err);
}

void gal_package_close(struct gal_package *p)
{
    if (!p)
        return;
    struct gal_opened *o = gal_opened_of(p);
    while (o->maps) {
        struct gal_package_map *m = o->maps;
        o->maps = m->next;
        gal_file_unmap(m->bytes);
        gal_free(m);
    }
    gal_layout_close(o->layout);
    gal_file_abandon(o->scratch);
    gal_file_abandon(o->aligned);
    gal_free(o->files);
    gal_arena_release(&o->arena);
    pthread_mutex_destroy(&o->lock);
    gal_free(o);
}

bool gal_package_seal(struct gal_package *p, struct gal_str *manifest, struct gal_str *config)
{
    const struct gal_opened *o = gal_opened_of(p);
    *manifest = o->oci_text;
    *config = o->oci_config;
    return p->is_sealed && o->one_by_one;
}

enum gal_status gal_package_environment(struct gal_package *p, struct gal_arena *arena,
                                        struct gal_environment *out, struct gal_err *err)
{
    const struct gal_opened *o = gal_opened_of(p);
    struct gal_str name = p->manifest ? p->manifest->freeze_file : (struct gal_str){NULL, 0};
    struct gal_str text;
    const struct gal_package_file *f = name.n ? gal_package_find(p, name) : NULL;
    *out = (struct gal_environment){.count = 0};
    if (!f)
        return GAL_OK;
    enum gal_status status = gal_package_bytes(p, f, &text, err);
    const char *path = gal_arena_strdup(arena, name);
    if (status || !path)
        return status ? status : gal_package_no_memory(o, err);
    return gal_package_name_path(o, gal_environment_read(text, path, arena, out, err), err);
}
