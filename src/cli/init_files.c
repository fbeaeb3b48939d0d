/* SPDX-License-Identifier: Apache-2.0 */
/* The files of `galley init`: copies, texts written whole. */
#include "base/file.h"
#include "base/mem.h"
#include "cli/init.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE_BYTES (64u << 20)

static enum gal_status failed(const char *path, const char *what, struct gal_err *err)
{
    gal_fail(err, GAL_IO, "%s: %s", what, strerror(errno));
    gal_err_place(err, "%s", path);
    return GAL_IO;
}

static bool write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t w = write(fd, p, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return false;
        p += w;
        n -= (size_t)w;
    }
    return true;
}

enum gal_status gal_init_write(const char *path, struct gal_str text, struct gal_err *err)
{
    char part[4200];
    int fd;

    snprintf(part, sizeof(part), "%s.part", path);
    fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return failed(path, "cannot be written", err);
    if (!write_all(fd, text.p, text.n) || close(fd) != 0) {
        enum gal_status status = failed(path, "cannot be written", err);
        (void)unlink(part);
        return status;
    }
    return rename(part, path) == 0 ? GAL_OK : failed(path, "cannot be written", err);
}

/* By the kernel, which shares the blocks where the file system can. */
static bool copy_bytes(int from, int to)
{
    char *buffer;
    ssize_t n;
    bool ok = true;

    while ((n = copy_file_range(from, NULL, to, NULL, PIECE_BYTES, 0)) > 0)
        continue;
    if (n == 0)
        return true;
    if (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
        return false;
    buffer = gal_alloc(1u << 20);
    while (buffer && ok && (n = read(from, buffer, 1u << 20)) != 0)
        ok = n > 0 ? write_all(to, buffer, (size_t)n) : errno == EINTR;
    gal_free(buffer);
    return buffer && ok;
}

static enum gal_status copy(const char *from, const char *to, struct gal_err *err)
{
    char part[4200];
    int in = open(from, O_RDONLY | O_CLOEXEC), out;
    bool ok;

    if (in < 0)
        return failed(from, "cannot be read", err);
    snprintf(part, sizeof(part), "%s.part", to);
    out = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    ok = out >= 0 && copy_bytes(in, out);
    if (out >= 0)
        ok = close(out) == 0 && ok;
    close(in);
    if (ok && rename(part, to) == 0)
        return GAL_OK;
    failed(to, "cannot be written", err);
    (void)unlink(part);
    return GAL_IO;
}

static bool is_same(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static enum gal_status make_dirs(const char *path, struct gal_err *err)
{
    char dir[4096];
    size_t n = strlen(path);

    if (n >= sizeof(dir))
        return gal_fail(err, GAL_INVALID, "the path is too long");
    memcpy(dir, path, n + 1);
    for (size_t i = 1; i <= n; i++) {
        if (dir[i] != '/' && dir[i] != '\0')
            continue;
        dir[i] = '\0';
        if (mkdir(dir, 0755) != 0 && errno != EEXIST)
            return failed(dir, "no directory can be made", err);
        dir[i] = path[i];
    }
    return GAL_OK;
}

static enum gal_status taken(const char *path, struct gal_err *err)
{
    gal_fail(err, GAL_CONFLICT, "it is there already");
    gal_err_place(err, "%s", path);
    gal_err_hint(err, "--force writes it anew; -o DIR writes elsewhere");
    return GAL_CONFLICT;
}

enum gal_status gal_init_place(struct gal_init *in, bool force, struct gal_err *err)
{
    enum gal_status status = make_dirs(in->dir, err);

    if (status == GAL_OK && !force && gal_init_exists(in, in->dir, "galley.yaml"))
        status = taken(gal_init_path(in, in->dir, "galley.yaml"), err);
    /* First a look at all, so that a refusal leaves nothing half done. */
    for (unsigned pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < in->file_count && status == GAL_OK; i++) {
            const struct gal_init_file *f = &in->files[i];
            const char *to = gal_init_path(in, in->dir, f->name.p);
            char *slash;
            if (!to)
                return gal_fail(err, GAL_NO_MEMORY, "no memory for a path");
            if (is_same(f->from, to))
                continue;
            if (pass == 0 && !force && access(to, F_OK) == 0)
                status = taken(to, err);
            if (pass == 0)
                continue;
            slash = strrchr((char *)(uintptr_t)to, '/');
            *slash = '\0';
            status = make_dirs(to, err);
            *slash = '/';
            if (status == GAL_OK)
                status = copy(f->from, to, err);
        }
    }
    return status;
}
