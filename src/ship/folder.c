/* SPDX-License-Identifier: Apache-2.0 */
#include "ship/folder.h"

#include "base/file_write.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"
#include "package/package.h"

/* The layers are gone through from the last one down, so that what is met first is what stays, and
 * each file is written once. What is known of a path from the layers above: */
struct mark {
    size_t layer; /* the highest that has it */
    bool is_dir;  /* there; else a file's, or deleted */
    bool told;    /* by an entry of its own, no whiteout */
    bool shuts;   /* layers below `shut_at` have nothing under it */
    size_t shut_at;
};

struct extraction {
    struct gal_view *view;
    const char *folder, *dir;
    struct gal_map marks; /* path -> struct mark */
    size_t layer, files;
    uint64_t bytes, bytes_max; /* of files */
};

static enum gal_status no_memory(struct gal_err *err)
{
    return gal_fail(err, GAL_NO_MEMORY, "no memory for the files of an image");
}

/* --- what layers do to each other --- */

/* In the folder, it itself, or one of those that it lies in. */
static bool concerns(const struct extraction *x, struct gal_str path)
{
    struct gal_str folder = gal_str_of(x->folder);
    if (path.n == 0)
        return true;
    if (path.n < folder.n)
        return gal_str_starts(folder, path) && folder.p[path.n] == '/';
    return gal_str_starts(path, folder) && (path.n == folder.n || path.p[folder.n] == '/');
}

/* The mark of a path, made when there is none: at the layer that is read, not a directory. */
static struct mark *mark_of(struct extraction *x, struct gal_str path)
{
    struct mark *m = gal_map_get(&x->marks, path);
    if (m)
        return m;
    m = gal_arena_small(&x->view->arena, sizeof *m);
    if (!m)
        return NULL;
    *m = (struct mark){.layer = x->layer};
    return gal_map_set(&x->marks, path, m) ? NULL : m;
}

static enum gal_status shut(struct extraction *x, struct gal_str path, struct gal_err *err)
{
    struct mark *m = mark_of(x, path);
    if (!m)
        return no_memory(err);
    if (!m->shuts)
        m->shut_at = x->layer;
    m->shuts = true;
    return GAL_OK;
}

/* False: the entry is none. */
static bool white_out(struct extraction *x, const char *path, enum gal_status *status,
                      struct gal_err *err)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *target;
    struct gal_str parent = {path, slash ? (size_t)(slash - path) : 0}, gone;
    *status = GAL_OK;
    if (strncmp(name, ".wh.", 4) != 0)
        return false;
    if (strcmp(name, ".wh..wh..opq") == 0) {
        if (concerns(x, parent))
            *status = shut(x, parent, err);
        return true;
    }
    target = gal_arena_printf(&x->view->arena, "%.*s%s%s", GAL_STR_ARG(parent), slash ? "/" : "",
                              name + 4);
    if (!target) {
        *status = no_memory(err);
        return true;
    }
    gone = gal_str_of(target);
    if (concerns(x, gone))
        *status = shut(x, gone, err);
    return true;
}

/* A layer above has it, or has replaced or deleted what it lies in. */
static bool is_covered(const struct extraction *x, struct gal_str path, bool is_dir)
{
    const struct mark *m = gal_map_get(&x->marks, path);
    if (m && m->layer > x->layer && !(m->is_dir && is_dir))
        return true;
    if (m && m->shuts && m->shut_at > x->layer)
        return true;
    for (size_t n = path.n; n-- > 0;) {
        if (path.p[n] != '/' && n > 0)
            continue;
        m = gal_map_get(&x->marks, (struct gal_str){path.p, n});
        if (m && m->shuts && m->shut_at > x->layer)
            return true;
    }
    return false;
}

/* The entry stays: it, and the directories that it lies in, cover what is below. */
static enum gal_status cover(struct extraction *x, struct gal_str path, bool is_dir,
                             struct gal_err *err)
{
    struct mark *m = mark_of(x, path);
    if (m) {
        m->is_dir = is_dir;
        m->told = true;
    }
    for (size_t n = path.n; m && n-- > 1;) {
        if (path.p[n] != '/')
            continue;
        m = mark_of(x, (struct gal_str){path.p, n});
        if (m)
            m->is_dir = true;
    }
    if (!m)
        return no_memory(err);
    return is_dir ? GAL_OK : shut(x, path, err);
}

/* --- files --- */

static enum gal_status copy(const struct gal_view_entry *e, struct gal_file_writer *w,
                            struct gal_err *err)
{
    struct gal_str piece = {NULL, 0};
    enum gal_status status;
    if (!e->data)
        return gal_file_write(w, e->content, err);
    do {
        status = gal_tar_data(e->data, &piece, err);
        if (!status && piece.n)
            status = gal_file_write(w, piece, err);
    } while (!status && piece.n);
    return status;
}

static enum gal_status write_file(const struct gal_view_entry *e, const char *path,
                                  struct gal_err *err)
{
    struct gal_file_writer *w = NULL;
    char parent[GAL_PATH_SIZE];
    const char *slash = strrchr(path, '/');
    enum gal_status status;
    snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
    status = gal_dir_make_all(parent, err);
    if (!status)
        status = gal_file_create_new(path, &w, err);
    if (status)
        return status;
    status = copy(e, w, err);
    if (!status)
        return gal_file_commit(w, err);
    gal_file_abandon(w);
    return status;
}

static enum gal_status put(struct extraction *x, const struct gal_view_entry *e,
                           struct gal_err *err)
{
    const char *inside = e->path + strlen(x->folder);
    char path[GAL_PATH_SIZE];
    if (snprintf(path, sizeof path, "%s%s", x->dir, inside) >= (int)sizeof path)
        return gal_fail(err, GAL_TOO_LARGE, "%.200s: the path is too long", e->path);
    if (e->tar->type == GAL_TAR_DIR)
        return gal_dir_make_all(path, err);
    x->bytes += e->tar->size;
    if (e->tar->size > x->bytes_max || x->bytes > x->bytes_max)
        return gal_fail(err, GAL_TOO_LARGE,
                        "/%s of the image unpacks to more than %llu bytes, which is what layers of "
                        "that size may",
                        x->folder, (unsigned long long)x->bytes_max);
    if (++x->files > GAL_FOLDER_FILES_MAX)
        return gal_fail(err, GAL_TOO_LARGE, "/%s of the image has more than %u files", x->folder,
                        GAL_FOLDER_FILES_MAX);
    return write_file(e, path, err);
}

static enum gal_status on_entry(const struct gal_view_entry *e, void *ctx, struct gal_err *err)
{
    struct extraction *x = ctx;
    struct gal_str path = gal_str_of(e->path), folder = gal_str_of(x->folder);
    bool is_dir = e->tar->type == GAL_TAR_DIR;
    enum gal_status status;
    if (white_out(x, e->path, &status, err))
        return status;
    if (!concerns(x, path) || is_covered(x, path, is_dir))
        return GAL_OK;
    if (!gal_tar_path_safe(e->path))
        return gal_fail(err, GAL_INVALID, "layer %zu has a path that leads elsewhere: %.200s",
                        x->layer, e->path);
    if (!is_dir && (path.n <= folder.n || e->tar->type != GAL_TAR_FILE)) {
        gal_fail(err, GAL_INVALID, "/%.200s of the image is %s", e->path,
                 e->tar->type == GAL_TAR_FILE ? "a file" : "a link or a device: none is followed");
        return GAL_INVALID;
    }
    const struct mark *before = gal_map_get(&x->marks, path);
    if (before && before->told && before->layer == x->layer && !(before->is_dir && is_dir))
        return gal_fail(err, GAL_INVALID, "layer %zu has %.200s twice", x->layer, e->path);
    status = cover(x, path, is_dir, err);
    if (status || (is_dir && path.n <= folder.n))
        return status;
    return put(x, e, err);
}

static uint64_t bytes_max(const struct gal_view *v)
{
    uint64_t packed = 0;
    for (size_t i = 0; i < v->layer_count; i++) {
        if (__builtin_add_overflow(packed, v->layers[i].blob.size, &packed))
            return GAL_VIEW_BYTES_MAX;
    }
    uint64_t max = gal_package_unpacked_max(packed);
    return max < GAL_VIEW_BYTES_MAX ? max : GAL_VIEW_BYTES_MAX;
}

enum gal_status gal_folder_extract(struct gal_view *v, const char *folder, const char *dir,
                                   size_t *files, struct gal_err *err)
{
    struct extraction x = {.view = v, .folder = folder, .dir = dir, .bytes_max = bytes_max(v)};
    enum gal_status status = GAL_OK;
    gal_map_init(&x.marks);
    for (size_t i = v->layer_count; i-- > 0 && !status;) {
        x.layer = i;
        status = gal_view_walk(v, i, on_entry, &x, err);
    }
    gal_map_release(&x.marks);
    *files = x.files;
    return status;
}
