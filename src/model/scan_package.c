/* SPDX-License-Identifier: Apache-2.0 */
/* Packages among the models of a scan. One that cannot be opened is a model whose load fails: the
 * others are served. */
#include "base/file.h"
#include "base/mem.h"
#include "model/scan_impl.h"

#include <limits.h>
#include <stdio.h>

#define SUFFIX GAL_STR(".galley")

bool gal_scan_is_package_file(const char *path)
{
    struct gal_str base = gal_str_of(gal_path_base(path));
    return base.n > SUFFIX.n && gal_str_ends(base, SUFFIX);
}

/* "fraud" of fraud.galley and of a directory fraud. */
static void stem(const char *path, char out[PATH_MAX])
{
    struct gal_str s = gal_str_of(path);
    while (s.n > 1 && s.p[s.n - 1] == '/')
        s.n--;
    const char *slash = memrchr(s.p, '/', s.n);
    if (slash)
        s = (struct gal_str){slash + 1, s.n - (size_t)(slash + 1 - s.p)};
    if (gal_scan_is_package_file(path))
        s.n -= SUFFIX.n;
    snprintf(out, PATH_MAX, "%.*s", GAL_STR_ARG(s));
}

static enum gal_status disagrees(const struct gal_manifest *m, const char *what, struct gal_str has,
                                 const char *told, struct gal_err *err)
{
    gal_fail(err, GAL_CONFLICT, "the directory says that this is %s %.64s, its manifest %.*s", what,
             told, GAL_STR_SHOWN(has));
    gal_err_hint(err, "rename the one or the other");
    (void)m;
    return GAL_CONFLICT;
}

enum gal_status gal_scan_package(struct gal_found *f, const char *path, const char *name,
                                 const char *version)
{
    struct gal_package *p = NULL;
    struct gal_err err;
    char own_name[PATH_MAX];
    enum gal_status status = gal_package_open(path, &p, &err);
    if (status == GAL_NO_MEMORY) {
        *f->err = err;
        return status;
    }
    const struct gal_manifest *m = p ? p->manifest : NULL;
    stem(path, own_name);
    if (m && version && !gal_str_is(m->version, version))
        status = disagrees(m, "version", m->version, version, &err);
    else if (m && name && !gal_str_is(m->name, name))
        status = disagrees(m, "model", m->name, name, &err);
    const char *as_name = name ? name : m ? m->name.p : own_name;
    const char *as_version = version ? version : m ? m->version.p : "1";
    f->manifest = m;
    enum gal_status added = gal_found_add(f, as_name, as_version, path, NULL);
    f->manifest = NULL;
    if (added) {
        gal_package_close(p);
        return added;
    }
    struct gal_model *model = f->models[f->count - 1];
    model->package = p;
    if (status && !model->error.code) {
        model->error = err;
        if (!err.place[0])
            gal_err_place(&model->error, "%s", path);
    }
    return GAL_OK;
}

/* --- versions of one model --- */

/* VERSION, or VERSION.galley, of an entry that is a package; false: it is none. */
static bool version_of(const char *path, const char *entry, char out[PATH_MAX])
{
    stem(entry, out);
    return gal_version_valid(gal_str_of(out)) && gal_package_is(path);
}

static bool is_served(const struct gal_found *f, const struct gal_model_config *c, size_t first,
                      size_t at)
{
    uint64_t number;
    size_t newer = 0;
    for (size_t i = first; i < f->count; i++) {
        if (gal_version_compare(gal_str_of(f->models[i]->version),
                                gal_str_of(f->models[at]->version)) > 0)
            newer++;
    }
    if (gal_str_u64(gal_str_of(f->models[at]->version), &number))
        number = UINT64_MAX;
    return gal_model_config_serves(c, number, newer);
}

/* Those that the configuration does not serve go again. */
static void drop_unserved(struct gal_found *f, size_t first)
{
    bool served[GAL_VERSION_LIST_MAX * 16];
    size_t kept = first, count = f->count;
    for (size_t i = first; i < count && i - first < sizeof served; i++)
        served[i - first] = is_served(f, &f->models[i]->config, first, i);
    for (size_t i = first; i < count; i++) {
        if (i - first >= sizeof served || served[i - first])
            f->models[kept++] = f->models[i];
        else
            gal_model_unref(f->models[i]);
    }
    f->count = kept;
}

enum gal_status gal_scan_package_versions(struct gal_found *f, const char *dir, const char *name,
                                          char *const *entries, size_t count)
{
    enum gal_status status = GAL_OK;
    size_t first = f->count;
    for (size_t i = 0; i < count && !status; i++) {
        char version[PATH_MAX], *path = gal_path_join(dir, entries[i]);
        if (!path)
            return gal_found_no_memory(f);
        if (version_of(path, entries[i], version))
            status = gal_scan_package(f, path, name, version);
        gal_free(path);
    }
    if (!status)
        drop_unserved(f, first);
    return status;
}
