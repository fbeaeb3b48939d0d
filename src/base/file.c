/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file_impl.h"

#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE_BYTES 65536u
#define PART_PIECE_BYTES (1u << 20) /* of a part, which may be large: fewer calls */
#define DIR_BYTES_MAX (16u << 20)   /* names of one directory; a model repository has thousands */

static _Atomic uint64_t calls_to_failure; /* 0: off */

void gal_file_fail_at(uint64_t n)
{
    atomic_store(&calls_to_failure, n);
}

bool gal_file_fails(void)
{
    uint64_t n = atomic_load_explicit(&calls_to_failure, memory_order_relaxed);
    if (n == 0 || atomic_fetch_sub(&calls_to_failure, 1) != 1)
        return false;
    errno = EIO;
    return true;
}

#undef gal_file_errno /* the analyzer's, see base/status.h */
enum gal_status gal_file_errno(struct gal_err *err, const char *path, int code)
{
    enum gal_status status = code == ENOENT || code == ENOTDIR ? GAL_NOT_FOUND
                             : code == ENOMEM                  ? GAL_NO_MEMORY
                                                               : GAL_IO;
    return gal_fail(err, status, "%s: %s", path, strerror(code));
}

void gal_file_close(int fd)
{
    int code = errno;
    if (fd >= 0)
        (void)close(fd);
    errno = code;
}

static enum gal_status stat_at(const char *path, int flags, struct gal_file_info *out,
                               struct gal_err *err)
{
    struct stat st;
    *out = (struct gal_file_info){.kind = GAL_FILE_NONE};
    if (gal_file_fails() || fstatat(AT_FDCWD, path, &st, flags) != 0)
        return errno == ENOENT || errno == ENOTDIR ? GAL_OK : gal_file_errno(err, path, errno);
    out->kind = S_ISREG(st.st_mode)   ? GAL_FILE_REGULAR
                : S_ISDIR(st.st_mode) ? GAL_FILE_DIR
                : S_ISLNK(st.st_mode) ? GAL_FILE_LINK
                                      : GAL_FILE_OTHER;
    out->bytes = (uint64_t)st.st_size;
    out->mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    out->inode = st.st_ino;
    return GAL_OK;
}

enum gal_status gal_file_stat(const char *path, struct gal_file_info *out, struct gal_err *err)
{
    return stat_at(path, 0, out, err);
}

enum gal_status gal_file_stat_link(const char *path, struct gal_file_info *out, struct gal_err *err)
{
    return stat_at(path, AT_SYMLINK_NOFOLLOW, out, err);
}

static int open_to_read(const char *path)
{
    return gal_file_fails() ? -1 : open(path, O_RDONLY | O_CLOEXEC);
}

ssize_t gal_file_read_some(int fd, char *to, size_t n)
{
    ssize_t got;
    do
        got = gal_file_fails() ? -1 : read(fd, to, n);
    while (got < 0 && errno == EINTR);
    return got;
}

ssize_t gal_file_read_at(int fd, char *to, size_t n, uint64_t offset)
{
    ssize_t got;
    do
        got = gal_file_fails() ? -1 : pread(fd, to, n, (off_t)offset);
    while (got < 0 && errno == EINTR);
    return got;
}

enum gal_status gal_file_scan_part(const char *path, uint64_t offset, uint64_t bytes,
                                   enum gal_status (*on_piece)(struct gal_str piece, void *ctx),
                                   void *ctx, struct gal_err *err)
{
    enum gal_status status = GAL_OK;
    int fd = -1;
    char *piece = gal_alloc(PART_PIECE_BYTES);
    if (!piece)
        return gal_fail(err, GAL_NO_MEMORY, "%s: out of memory", path);
    fd = open_to_read(path);
    if (fd < 0) {
        status = gal_file_errno(err, path, errno);
        goto out;
    }
    while (bytes > 0 && !status) {
        size_t want = bytes < PART_PIECE_BYTES ? (size_t)bytes : PART_PIECE_BYTES;
        ssize_t got = gal_file_read_at(fd, piece, want, offset);
        if (got < 0)
            status = gal_file_errno(err, path, errno);
        else if (got == 0)
            status =
                gal_fail(err, GAL_IO, "%s: ends %llu bytes early", path, (unsigned long long)bytes);
        else
            status = on_piece((struct gal_str){piece, (size_t)got}, ctx);
        offset += got > 0 ? (uint64_t)got : 0;
        bytes -= got > 0 ? (uint64_t)got : 0;
    }
out:
    gal_file_close(fd);
    gal_free(piece);
    return status;
}

enum gal_status gal_file_scan(const char *path,
                              enum gal_status (*on_piece)(struct gal_str piece, void *ctx),
                              void *ctx, struct gal_err *err)
{
    enum gal_status status = GAL_OK;
    int fd = -1;
    char *piece = gal_alloc(PIECE_BYTES);
    if (!piece)
        return gal_fail(err, GAL_NO_MEMORY, "%s: out of memory", path);
    fd = open_to_read(path);
    if (fd < 0) {
        status = gal_file_errno(err, path, errno);
        goto out;
    }
    for (ssize_t got = 1; got > 0 && !status;) {
        got = gal_file_read_some(fd, piece, PIECE_BYTES);
        if (got < 0)
            status = gal_file_errno(err, path, errno);
        else if (got > 0)
            status = on_piece((struct gal_str){piece, (size_t)got}, ctx);
    }
out:
    gal_file_close(fd);
    gal_free(piece);
    return status;
}

struct reading {
    struct gal_buf *out;
    size_t bytes_max;
    const char *path;
    struct gal_err *err;
};

static enum gal_status append(struct gal_str piece, void *ctx)
{
    struct reading *r = ctx;
    if (piece.n > r->bytes_max - r->out->n)
        return gal_fail(r->err, GAL_TOO_LARGE, "%s: larger than %zu bytes", r->path, r->bytes_max);
    gal_buf_put_str(r->out, piece);
    return r->out->failed ? gal_fail(r->err, GAL_NO_MEMORY, "%s: out of memory", r->path) : GAL_OK;
}

enum gal_status gal_file_read(const char *path, size_t bytes_max, struct gal_buf *out,
                              struct gal_err *err)
{
    struct reading r = {out, bytes_max, path, err};
    gal_buf_init(out, bytes_max + 1);
    enum gal_status status = gal_file_scan(path, append, &r, err);
    if (!status) {
        char *end = gal_buf_reserve(out, 1);
        if (end)
            *end = '\0';
        else
            status = gal_fail(err, GAL_NO_MEMORY, "%s: out of memory", path);
    }
    if (status)
        gal_buf_release(out);
    return status;
}

/* Appends the names to `out`, each with its NUL. Returns errno's value, 0 when all is well. */
static int read_names(DIR *dir, struct gal_buf *out, size_t *count)
{
    for (;;) {
        errno = 0;
        const struct dirent *e = gal_file_fails() ? NULL : readdir(dir);
        if (!e)
            return errno;
        if (e->d_name[0] == '.')
            continue;
        gal_buf_put(out, e->d_name, strlen(e->d_name) + 1);
        if (out->failed)
            return ENOMEM;
        (*count)++;
    }
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* One allocation: the pointers, then what they point to. */
static char **pack_names(struct gal_str names, size_t count)
{
    char **list = gal_alloc((count + 1) * sizeof *list + names.n);
    if (!list)
        return NULL;
    char *text = (char *)(list + count + 1);
    if (names.n > 0)
        memcpy(text, names.p, names.n);
    for (size_t i = 0; i < count; i++) {
        list[i] = text;
        text += strlen(text) + 1;
    }
    list[count] = NULL;
    qsort(list, count, sizeof *list, compare_names);
    return list;
}

enum gal_status gal_dir_list(const char *path, char ***names, size_t *count, struct gal_err *err)
{
    enum gal_status status = GAL_OK;
    struct gal_buf text;
    *names = NULL;
    *count = 0;
    gal_buf_init(&text, DIR_BYTES_MAX);
    DIR *dir = gal_file_fails() ? NULL : opendir(path);
    int code = dir ? read_names(dir, &text, count) : errno;
    if (code) {
        status = gal_file_errno(err, path, code);
        goto out;
    }
    *names = pack_names(gal_buf_str(&text), *count);
    if (!*names)
        status = gal_fail(err, GAL_NO_MEMORY, "%s: out of memory", path);
out:
    if (status)
        *count = 0;
    if (dir)
        (void)closedir(dir);
    gal_buf_release(&text);
    return status;
}

enum gal_status gal_file_map(const char *path, struct gal_str *out, struct gal_err *err)
{
    enum gal_status status = GAL_OK;
    struct stat st;
    *out = (struct gal_str){NULL, 0};
    int fd = open_to_read(path);
    if (fd < 0 || gal_file_fails() || fstat(fd, &st) != 0) {
        status = gal_file_errno(err, path, errno);
        goto out;
    }
    if (!S_ISREG(st.st_mode)) {
        status = gal_fail(err, GAL_IO, "%s: not a regular file", path);
        goto out;
    }
    if (st.st_size == 0)
        goto out;
    void *p = gal_file_fails() ? MAP_FAILED
                               : mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        status = gal_file_errno(err, path, errno);
    else
        *out = (struct gal_str){p, (size_t)st.st_size};
out:
    gal_file_close(fd);
    return status;
}

void gal_file_unmap(struct gal_str map)
{
    if (map.n > 0)
        (void)munmap((void *)(uintptr_t)map.p, map.n);
}

void gal_file_raise_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

static void on_cut_map(int number)
{
    static const char text[] =
        "galley: a mapped file (a model's, or shared memory) was cut short while it was in use, "
        "and "
        "what it held is gone: put new files in place by renaming (mv, galley pack), not by "
        "writing over old ones (cp)\n";
    ssize_t n = write(STDERR_FILENO, text, sizeof text - 1);
    (void)n;
    (void)raise(number); /* SA_RESETHAND: this one kills */
}

void gal_file_explain_cuts(void)
{
    struct sigaction action = {.sa_handler = on_cut_map, .sa_flags = (int)SA_RESETHAND};
    (void)sigaction(SIGBUS, &action, NULL);
}

char *gal_path_join(const char *dir, const char *name)
{
    size_t a = strlen(dir), b = strlen(name);
    bool slash = a > 0 && dir[a - 1] != '/';
    char *path = gal_alloc(a + slash + b + 1);
    if (!path)
        return NULL;
    memcpy(path, dir, a);
    if (slash)
        path[a++] = '/';
    memcpy(path + a, name, b + 1);
    return path;
}

const char *gal_path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

enum gal_status gal_path_real(const char *path, char out[GAL_PATH_SIZE], struct gal_err *err)
{
    _Static_assert(GAL_PATH_SIZE >= PATH_MAX, "realpath writes up to PATH_MAX bytes");
    if (gal_file_fails() || !realpath(path, out))
        return gal_file_errno(err, path, errno);
    return GAL_OK;
}
