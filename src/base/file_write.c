/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file_write.h"

#include "base/digest.h"
#include "base/file_impl.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIES 16u
#define DEPTH_MAX 64u /* of a directory that is removed: ours are not deep */
#define FOLDERS_OPEN_MAX 16

struct gal_file_writer {
    int fd;
    char *path; /* where it will stand */
    char *now;  /* where it is written; of a new file the same, of a scratch file NULL */
    bool replaces;
};

/* --- names --- */

/* "dir/.name.0123456789abcdef.part" of "dir/name"; NULL when memory is out. */
static char *name_beside(const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    char *whole = gal_strndup(path, n);
    size_t room = n + 32;
    char *name = whole ? gal_alloc(room) : NULL;
    if (name) {
        struct gal_rng rng;
        gal_rng_seed(&rng);
        const char *base = gal_path_base(whole);
        (void)snprintf(name, room, "%.*s.%s.%016llx.part", (int)(base - whole), whole, base,
                       (unsigned long long)gal_rng_next(&rng));
    }
    gal_free(whole);
    return name;
}

static int sync_fd(int fd)
{
    int rc;
    do
        rc = gal_file_fails() ? -1 : fsync(fd);
    while (rc != 0 && errno == EINTR);
    return rc;
}

/* Some file systems cannot do that for directories (EINVAL): then it is as good as it gets. */
static int sync_directory(const char *path)
{
    int fd = gal_file_fails() ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 ? -1 : sync_fd(fd);
    gal_file_close(fd);
    return rc != 0 && errno == EINVAL ? 0 : rc;
}

/* The directory that holds `path`: a rename in it is on the disk only then. */
static int sync_directory_of(const char *path)
{
    const char *base = gal_path_base(path);
    char *dir = base > path ? gal_strndup(path, (size_t)(base - path)) : gal_strdup(".");
    if (!dir) {
        errno = ENOMEM;
        return -1;
    }
    int rc = sync_directory(dir);
    gal_free(dir);
    return rc;
}

/* --- files --- */

void gal_file_abandon(struct gal_file_writer *w)
{
    if (!w)
        return;
    if (w->fd >= 0) {
        gal_file_close(w->fd);
        if (w->now)
            (void)unlink(w->now);
    }
    gal_free(w->path);
    gal_free(w->now);
    gal_free(w);
}

static enum gal_status create(const char *path, bool replaces, mode_t mode,
                              struct gal_file_writer **out, struct gal_err *err)
{
    enum gal_status status = GAL_OK;
    struct gal_file_writer *w = gal_calloc(1, sizeof *w);
    *out = NULL;
    if (!w) {
        gal_fail(err, GAL_NO_MEMORY, "%s: out of memory", path);
        return GAL_NO_MEMORY;
    }
    w->fd = -1;
    w->replaces = replaces;
    w->path = gal_strdup(path);
    w->now = replaces ? name_beside(path) : gal_strdup(path);
    if (!w->path || !w->now) {
        status = gal_fail(err, GAL_NO_MEMORY, "%s: out of memory", path);
        goto out;
    }
    w->fd = gal_file_fails()
                ? -1
                : open(w->now, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (w->fd < 0 && errno == EEXIST)
        status = gal_fail(err, GAL_CONFLICT, "%s: exists already", path);
    else if (w->fd < 0)
        status = gal_file_errno(err, path, errno);
out:
    if (status)
        gal_file_abandon(w);
    else
        *out = w;
    return status;
}

enum gal_status gal_file_create(const char *path, struct gal_file_writer **out, struct gal_err *err)
{
    return create(path, true, 0666, out, err);
}

enum gal_status gal_file_create_new(const char *path, struct gal_file_writer **out,
                                    struct gal_err *err)
{
    return create(path, false, 0666, out, err);
}

enum gal_status gal_file_write(struct gal_file_writer *w, struct gal_str bytes, struct gal_err *err)
{
    while (bytes.n > 0) {
        ssize_t put = gal_file_fails() ? -1 : write(w->fd, bytes.p, bytes.n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return gal_file_errno(err, w->path, errno);
        bytes.p += put;
        bytes.n -= (size_t)put;
    }
    return GAL_OK;
}

enum gal_status gal_file_commit(struct gal_file_writer *w, struct gal_err *err)
{
    enum gal_status status = GAL_OK;
    if (sync_fd(w->fd) != 0)
        status = gal_file_errno(err, w->path, errno);
    if (!status && w->replaces) {
        if (gal_file_fails() || rename(w->now, w->path) != 0)
            status = gal_file_errno(err, w->path, errno);
        else if (sync_directory_of(w->path) != 0) /* it stands there, but may be gone tomorrow */
            status = gal_file_errno(err, w->path, errno);
    }
    if (!status) {
        gal_file_close(w->fd);
        w->fd = -1;
    }
    gal_file_abandon(w);
    return status;
}

static enum gal_status put(const char *path, mode_t mode, struct gal_str bytes, struct gal_err *err)
{
    struct gal_file_writer *w;
    enum gal_status status = create(path, true, mode, &w, err);
    if (status)
        return status;
    status = gal_file_write(w, bytes, err);
    if (!status)
        return gal_file_commit(w, err);
    gal_file_abandon(w);
    return status;
}

enum gal_status gal_file_put(const char *path, struct gal_str bytes, struct gal_err *err)
{
    return put(path, 0666, bytes, err);
}

enum gal_status gal_file_put_secret(const char *path, struct gal_str bytes, struct gal_err *err)
{
    return put(path, 0600, bytes, err);
}

/* --- scratch files --- */

/* -1 with errno. Not every file system has files without names: there one loses its name. */
static int open_scratch(const char *dir)
{
    int fd = gal_file_fails() ? -1 : open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
        return fd;
    char *name = gal_path_join(dir, "scratch");
    char *hidden = name ? name_beside(name) : NULL;
    if (hidden)
        fd = open(hidden, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    else
        errno = ENOMEM;
    int code = errno;
    if (fd >= 0)
        (void)unlink(hidden);
    gal_free(name);
    gal_free(hidden);
    errno = code;
    return fd;
}

enum gal_status gal_file_create_scratch(const char *beside, struct gal_file_writer **out,
                                        struct gal_err *err)
{
    struct gal_file_writer *w = gal_calloc(1, sizeof *w);
    char *dir = gal_strndup(beside, (size_t)(gal_path_base(beside) - beside));
    *out = NULL;
    if (w)
        w->path = gal_alloc(40);
    if (!w || !w->path || !dir) {
        gal_free(dir);
        gal_free(w ? w->path : NULL);
        gal_free(w);
        return gal_fail(err, GAL_NO_MEMORY, "%s: out of memory", beside);
    }
    w->fd = open_scratch(dir[0] ? dir : ".");
    if (w->fd < 0)
        w->fd = open_scratch("/tmp");
    gal_free(dir);
    if (w->fd < 0) {
        enum gal_status status = gal_file_errno(err, "/tmp", errno);
        gal_file_abandon(w);
        return status;
    }
    (void)snprintf(w->path, 40, "/proc/self/fd/%d", w->fd);
    *out = w;
    return GAL_OK;
}

const char *gal_file_writer_path(const struct gal_file_writer *w)
{
    return w->path;
}

/* --- directories --- */

enum gal_status gal_dir_make(const char *path, struct gal_err *err)
{
    struct gal_file_info info;
    if (!gal_file_fails() && mkdir(path, 0777) == 0)
        return GAL_OK;
    int code = errno;
    if (code == EEXIST && gal_file_stat(path, &info, NULL) == GAL_OK && info.kind == GAL_FILE_DIR)
        return GAL_OK;
    return gal_file_errno(err, path, code);
}

enum gal_status gal_dir_make_all(const char *path, struct gal_err *err)
{
    enum gal_status status = GAL_OK;
    char *part = gal_strdup(path);
    if (!part)
        return gal_fail(err, GAL_NO_MEMORY, "%s: out of memory", path);
    for (char *p = part + 1; part[0] && *p && !status; p++) {
        if (*p != '/' || p[-1] == '/')
            continue;
        *p = '\0';
        status = gal_dir_make(part, err);
        *p = '/';
    }
    if (!status)
        status = gal_dir_make(part, err);
    gal_free(part);
    return status;
}

enum gal_status gal_dir_make_beside(const char *path, char **out, struct gal_err *err)
{
    *out = NULL;
    for (unsigned i = 0; i < TRIES; i++) {
        char *name = name_beside(path);
        if (!name)
            return gal_fail(err, GAL_NO_MEMORY, "%s: out of memory", path);
        if (!gal_file_fails() && mkdir(name, 0777) == 0) {
            *out = name;
            return GAL_OK;
        }
        int code = errno;
        gal_free(name);
        if (code != EEXIST)
            return gal_file_errno(err, path, code);
    }
    return gal_fail(err, GAL_IO, "%s: no free name beside it", path);
}

enum gal_status gal_dir_make_temporary(const char *what, char **out, struct gal_err *err)
{
    const char *tmp = getenv("TMPDIR");
    size_t room;
    char *path;
    *out = NULL;
    if (!tmp || tmp[0] != '/')
        tmp = "/tmp";
    room = strlen(tmp) + strlen(what) + sizeof "/galley--XXXXXX";
    path = gal_alloc(room);
    if (!path)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a path");
    (void)snprintf(path, room, "%s/galley-%s-XXXXXX", tmp, what);
    if (gal_file_fails() || !mkdtemp(path)) {
        gal_fail(err, GAL_IO, "no temporary directory can be made in %.100s: %s", tmp,
                 strerror(errno));
        gal_err_hint(err, "TMPDIR names another directory");
        gal_free(path);
        return GAL_IO;
    }
    *out = path;
    return GAL_OK;
}

enum gal_status gal_dir_sync(const char *path, struct gal_err *err)
{
    return sync_directory(path) == 0 ? GAL_OK : gal_file_errno(err, path, errno);
}

enum gal_status gal_dir_place(const char *from, const char *to, struct gal_err *err)
{
    if (gal_file_fails() || rename(from, to) != 0) {
        int code = errno;
        if (code == ENOTEMPTY || code == EEXIST || code == ENOTDIR)
            return gal_fail(err, GAL_CONFLICT, "%s: exists already", to);
        return gal_file_errno(err, to, code);
    }
    return sync_directory_of(to) == 0 ? GAL_OK : gal_file_errno(err, to, errno);
}

enum gal_status gal_path_rename(const char *from, const char *to, struct gal_err *err)
{
    if (gal_file_fails() || rename(from, to) != 0)
        return gal_file_errno(err, to, errno);
    return sync_directory_of(to) == 0 ? GAL_OK : gal_file_errno(err, to, errno);
}

/* Empties the directory `name` of `at` and takes it away. Returns errno's value. Below `at` nothing
 * is looked up by path: who swaps a directory for a link meanwhile gains nothing. */
static int remove_tree(int at, const char *name,
                       unsigned depth) // NOLINT(misc-no-recursion): bounded
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno;
    DIR *dir = depth < DEPTH_MAX ? fdopendir(fd) : NULL;
    if (!dir) {
        gal_file_close(fd);
        return depth < DEPTH_MAX ? errno : ELOOP;
    }
    int code = 0;
    const struct dirent *e;
    while (!code && (errno = 0, e = readdir(dir)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (!gal_file_fails() && unlinkat(fd, e->d_name, 0) == 0)
            continue;
        code = errno == EISDIR || errno == EPERM ? remove_tree(fd, e->d_name, depth + 1) : errno;
    }
    code = code ? code : errno;
    (void)closedir(dir);
    if (!code && unlinkat(at, name, AT_REMOVEDIR) != 0)
        code = errno;
    return code;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    (void)remove(path);
    return 0;
}

/* Not by remove_tree: what clients and tools wrote may be deeper than files can be open. */
void gal_dir_remove_temporary(char *path)
{
    if (path)
        (void)nftw(path, remove_one, FOLDERS_OPEN_MAX, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    gal_free(path);
}

enum gal_status gal_dir_remove(const char *path, struct gal_err *err)
{
    int code = remove_tree(AT_FDCWD, path, 0);
    return code == 0 || code == ENOENT ? GAL_OK : gal_file_errno(err, path, code);
}
