/* SPDX-License-Identifier: Apache-2.0 */
#include "server/overlay.h"

#include "base/file_write.h"
#include "base/limits.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct gal_overlay {
    _Atomic uint32_t refs;
    char *dir;           /* what goes with it; owned */
    char path[PATH_MAX]; /* the model's directory in it */
};

void gal_overlay_unref(void *overlay)
{
    struct gal_overlay *o = overlay;

    if (o == NULL || atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) != 1)
        return;
    gal_dir_remove_temporary(o->dir);
    gal_free(o);
}

struct gal_overlay *gal_overlay_ref(struct gal_overlay *o)
{
    atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
    return o;
}

const char *gal_overlay_path(const struct gal_overlay *o)
{
    return o->path;
}

/* --- writing --- */

static enum gal_status refuse_path(struct gal_str path, struct gal_err *err)
{
    gal_fail(err, GAL_INVALID, "'%.*s' cannot be the path of a model's file",
             (int)(path.n < 64 ? path.n : 64), path.p);
    gal_err_place(err, "parameters.file:%.*s", (int)(path.n < 64 ? path.n : 64), path.p);
    gal_err_hint(err, "a path within the model's directory, as in file:1/model.onnx");
    return GAL_INVALID;
}

/* Names that are fine one by one lead nowhere else, as nothing but this makes the directory. */
static bool is_plain_name(struct gal_str name)
{
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] < 0x20 || name.p[i] == 0x7f || name.p[i] == '\\' ||
            name.p[i] == '/')
            return false;
    return name.n > 0 && name.n < NAME_MAX && name.p[0] != '.' && gal_utf8_valid(name);
}

/* Makes the folders of dir/path; the last component is the file's. `at` gets the whole path. */
static enum gal_status make_folders(const char *dir, struct gal_str path, char at[PATH_MAX],
                                    struct gal_err *err)
{
    struct gal_str rest = path, name;
    int n = snprintf(at, PATH_MAX, "%s", dir);

    if (path.n == 0 || path.n > GAL_CONTROL_PATH_BYTES_MAX || path.p[path.n - 1] == '/')
        return refuse_path(path, err);
    while (rest.n > 0 && gal_str_cut(&rest, '/', &name)) {
        if (!is_plain_name(name))
            return refuse_path(path, err);
        if (name.p != path.p && mkdir(at, 0700) != 0 && errno != EEXIST)
            return gal_fail(err, GAL_IO, "cannot make a directory for '%.*s'",
                            (int)(path.n < 64 ? path.n : 64), path.p);
        if ((size_t)n + name.n + 2 > PATH_MAX)
            return refuse_path(path, err);
        n += snprintf(at + n, PATH_MAX - (size_t)n, "/%.*s", GAL_STR_ARG(name));
    }
    return GAL_OK;
}

static enum gal_status write_file(const struct gal_control_file *file, const char *path,
                                  struct gal_err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    size_t done = 0;

    while (fd >= 0 && done < file->bytes.n) {
        ssize_t n = write(fd, file->bytes.p + done, file->bytes.n - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        done += (size_t)n;
    }
    if (fd >= 0 && close(fd) == 0 && done == file->bytes.n)
        return GAL_OK;
    if (fd < 0 && errno == EEXIST)
        return gal_fail(err, GAL_INVALID, "the file '%.*s' is given twice",
                        (int)(file->path.n < 64 ? file->path.n : 64), file->path.p);
    gal_fail(err, GAL_IO, "cannot write the file '%.*s' to the temporary directory: %s",
             (int)(file->path.n < 64 ? file->path.n : 64), file->path.p,
             errno == ENOSPC ? "it is full" : "an input/output error");
    gal_err_hint(err, "TMPDIR names another directory");
    return GAL_IO;
}

static enum gal_status make_dir(struct gal_overlay *o, const char *name, struct gal_err *err)
{
    enum gal_status st = gal_dir_make_temporary("load", &o->dir, err);
    int n;

    if (st != GAL_OK)
        return st;
    n = snprintf(o->path, sizeof(o->path), "%s/%s", o->dir, name);
    if (n > 0 && (size_t)n < sizeof(o->path) && mkdir(o->path, 0700) == 0)
        return GAL_OK;
    return gal_fail(err, GAL_IO, "cannot make a directory for model '%.100s'", name);
}

enum gal_status gal_overlay_new(const char *name, const struct gal_control_file *files,
                                size_t count, struct gal_overlay **out, struct gal_err *err)
{
    struct gal_overlay *o;
    enum gal_status st;

    if (!is_plain_name(gal_str_of(name)))
        return gal_fail(err, GAL_INVALID, "'%.100s' cannot be a model's name with files of its own",
                        name);
    o = gal_calloc(1, sizeof(*o));
    if (o == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a model's files");
    o->refs = 1;
    st = make_dir(o, name, err);
    for (size_t i = 0; i < count && st == GAL_OK; i++) {
        char path[PATH_MAX];

        st = make_folders(o->path, files[i].path, path, err);
        if (st == GAL_OK)
            st = write_file(&files[i], path, err);
    }
    if (st != GAL_OK) {
        gal_overlay_unref(o);
        return st;
    }
    *out = o;
    return GAL_OK;
}
