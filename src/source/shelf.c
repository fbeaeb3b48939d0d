/* SPDX-License-Identifier: Apache-2.0 */
#include "source/shelf.h"

#include "base/file_write.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENTRIES "e"

static enum gal_status io(struct gal_err *err, const char *what, const char *path)
{
    return gal_fail(err, errno == ENOSPC ? GAL_TOO_LARGE : GAL_IO, "cannot %s %.200s: %s", what,
                    path, strerror(errno));
}

static char *format_path(const char *dir, const char *name, const char *suffix)
{
    size_t n = strlen(dir) + strlen(name) + strlen(suffix) + 2;
    char *out = gal_alloc(n);
    if (out)
        (void)snprintf(out, n, "%s/%s%s", dir, name, suffix);
    return out;
}

/* --- locks --- */

static int lock_fd(int fd, int how)
{
    int rc;
    do
        rc = flock(fd, how);
    while (rc != 0 && errno == EINTR);
    return rc;
}

/* Opens and locks a file that others may remove: the one that is locked is the one that is there.
 * *fd stays -1 when `how` has LOCK_NB and somebody else has it. */
static enum gal_status lock_path(const char *path, int how, int *fd, struct gal_err *err)
{
    for (;;) {
        struct stat mine, there;
        *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (*fd < 0)
            return io(err, "open", path);
        if (lock_fd(*fd, how) != 0) {
            enum gal_status status = errno == EWOULDBLOCK ? GAL_OK : io(err, "lock", path);
            close(*fd);
            *fd = -1;
            return status;
        }
        if (fstat(*fd, &mine) == 0 && stat(path, &there) == 0 && mine.st_ino == there.st_ino &&
            mine.st_dev == there.st_dev)
            return GAL_OK;
        close(*fd);
    }
}

static void unlock(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* --- holding --- */

static bool is_dir(const char *path)
{
    struct gal_file_info info;
    return gal_file_stat(path, &info, NULL) == GAL_OK && info.kind == GAL_FILE_DIR;
}

enum gal_status gal_shelf_take(const char *root, const char *key, struct gal_shelf_hold *h,
                               struct gal_err *err)
{
    *h = (struct gal_shelf_hold){.lock_fd = -1, .fetch_fd = -1};
    char *below = gal_path_join(root, ENTRIES);
    if (below) {
        h->dir = format_path(below, key, "");
        h->part = format_path(below, key, ".part");
        h->lock = format_path(below, key, ".lock");
    }
    enum gal_status status = h->lock && h->part && h->dir
                                 ? gal_dir_make_all(below, err)
                                 : gal_fail(err, GAL_NO_MEMORY, "out of memory");
    gal_free(below);
    if (status) {
        gal_err_hint(err, "cache_dir names where what is fetched goes");
        return status;
    }
    status = lock_path(h->lock, LOCK_SH, &h->lock_fd, err);
    if (status)
        return status;
    (void)futimens(h->lock_fd, NULL);
    h->complete = is_dir(h->dir);
    return GAL_OK;
}

static enum gal_status note_origin(const char *part, const char *origin, struct gal_err *err)
{
    char *note = gal_path_join(part, "origin");
    enum gal_status status = note ? gal_file_put(note, gal_str_of(origin), err)
                                  : gal_fail(err, GAL_NO_MEMORY, "out of memory");
    gal_free(note);
    return status;
}

enum gal_status gal_shelf_begin(struct gal_shelf_hold *h, const char *origin, struct gal_err *err)
{
    if (h->complete)
        return GAL_OK;
    size_t n = strlen(h->dir) + sizeof ".fetch";
    char *path = gal_alloc(n);
    if (!path)
        return gal_fail(err, GAL_NO_MEMORY, "out of memory");
    (void)snprintf(path, n, "%s.fetch", h->dir);
    enum gal_status status = lock_path(path, LOCK_EX, &h->fetch_fd, err);
    gal_free(path);
    if (status)
        return status;
    h->complete = is_dir(h->dir);
    if (!h->complete) {
        status = gal_dir_make(h->part, err);
        return status ? status : note_origin(h->part, origin, err);
    }
    unlock(&h->fetch_fd);
    return GAL_OK;
}

/* KEY or KEY.part goes: under another name at once, then file by file. Alone, by a lock. */
static enum gal_status remove_dir(const char *dir, const char *gone, struct gal_err *err)
{
    enum gal_status status = gal_dir_remove(gone, err);
    if (!status)
        status = gal_path_rename(dir, gone, err);
    if (status == GAL_NOT_FOUND)
        return GAL_OK;
    return status ? status : gal_dir_remove(gone, err);
}

enum gal_status gal_shelf_restart(struct gal_shelf_hold *h, struct gal_err *err)
{
    size_t n = strlen(h->dir) + sizeof ".gone";
    char *gone = gal_alloc(n);
    if (!gone)
        return gal_fail(err, GAL_NO_MEMORY, "out of memory");
    (void)snprintf(gone, n, "%s.gone", h->dir);
    enum gal_status status = remove_dir(h->part, gone, err);
    gal_free(gone);
    return status ? status : gal_dir_make(h->part, err);
}

enum gal_status gal_shelf_finish(struct gal_shelf_hold *h, const char *origin, struct gal_err *err)
{
    enum gal_status status = note_origin(h->part, origin, err);
    if (!status)
        status = gal_path_rename(h->part, h->dir, err);
    h->complete = !status;
    unlock(&h->fetch_fd);
    return status;
}

void gal_shelf_release(struct gal_shelf_hold *h)
{
    unlock(&h->fetch_fd);
    unlock(&h->lock_fd);
    gal_free(h->dir);
    gal_free(h->part);
    gal_free(h->lock);
    *h = (struct gal_shelf_hold){.lock_fd = -1, .fetch_fd = -1};
}

/* --- what is there --- */

#define DEPTH_MAX 16u

/* Sizes as files tell them: one that will be filled counts whole. */
static uint64_t size_of(const char *path, unsigned depth)
{
    struct gal_file_info info;
    char **names = NULL;
    size_t count = 0;
    uint64_t sum = 0;
    if (gal_file_stat_link(path, &info, NULL) != GAL_OK)
        return 0;
    if (info.kind != GAL_FILE_DIR || depth == DEPTH_MAX)
        return info.kind == GAL_FILE_REGULAR ? info.bytes : 0;
    if (gal_dir_list(path, &names, &count, NULL) != GAL_OK)
        return 0;
    for (size_t i = 0; i < count; i++) {
        char *sub = gal_path_join(path, names[i]);
        sum += sub ? size_of(sub, depth + 1) : 0;
        gal_free(sub);
    }
    gal_free(names);
    return sum;
}

static bool is_locked(const char *lock)
{
    int fd = open(lock, O_RDWR | O_CLOEXEC);
    bool locked = fd >= 0 && lock_fd(fd, LOCK_EX | LOCK_NB) != 0;
    unlock(&fd);
    return locked;
}

static void describe(const char *below, const char *key, struct gal_shelf_entry *e)
{
    char *dir = format_path(below, key, ""), *part = format_path(below, key, ".part");
    char *lock = format_path(below, key, ".lock"), *gone = format_path(below, key, ".gone"),
         *note = NULL;
    struct gal_file_info info = {0};
    struct gal_buf text;
    *e = (struct gal_shelf_entry){0};
    (void)snprintf(e->key, sizeof e->key, "%s", key);
    if (dir && part && lock && gone) {
        e->complete = is_dir(dir);
        note = gal_path_join(e->complete ? dir : part, "origin");
        e->bytes = size_of(dir, 0) + size_of(part, 0) + size_of(gone, 0);
        e->in_use = is_locked(lock);
        if (gal_file_stat(lock, &info, NULL) == GAL_OK)
            e->used_ns = info.mtime_ns;
        if (note && gal_file_read(note, sizeof e->origin, &text, NULL) == GAL_OK) {
            (void)snprintf(e->origin, sizeof e->origin, "%.*s", GAL_STR_ARG(gal_buf_str(&text)));
            gal_buf_release(&text);
        }
    }
    gal_free(dir);
    gal_free(part);
    gal_free(lock);
    gal_free(gone);
    gal_free(note);
}

static int later_first(const void *a, const void *b)
{
    const struct gal_shelf_entry *x = a, *y = b;
    return x->used_ns == y->used_ns ? 0 : x->used_ns > y->used_ns ? -1 : 1;
}

enum gal_status gal_shelf_list(const char *root, struct gal_shelf_entry **out, size_t *count,
                               struct gal_err *err)
{
    char *below = gal_path_join(root, ENTRIES), **names = NULL;
    size_t n = 0;
    enum gal_status status = GAL_OK;
    *out = NULL;
    *count = 0;
    if (!below)
        return gal_fail(err, GAL_NO_MEMORY, "out of memory");
    if (is_dir(below))
        status = gal_dir_list(below, &names, &n, err);
    if (!status && n > 0) {
        *out = gal_calloc(n, sizeof **out);
        if (!*out)
            status = gal_fail(err, GAL_NO_MEMORY, "out of memory");
    }
    for (size_t i = 0; *out && !status && i < n; i++) {
        struct gal_str name = gal_str_of(names[i]), suffix = GAL_STR(".lock");
        if (!gal_str_ends(name, suffix) || name.n - suffix.n >= sizeof(*out)->key)
            continue;
        names[i][name.n - suffix.n] = '\0';
        describe(below, names[i], &(*out)[(*count)++]);
    }
    if (*count > 0)
        qsort(*out, *count, sizeof **out, later_first);
    gal_free(names);
    gal_free(below);
    return status;
}

char *gal_shelf_files(const char *root, const char *key)
{
    char *below = gal_path_join(root, ENTRIES);
    char *files = below ? format_path(below, key, "/" GAL_SHELF_FILES) : NULL;
    gal_free(below);
    return files;
}

/* --- removing --- */

/* Under KEY.lock, alone. */
static enum gal_status remove_all(const char *below, const char *key, struct gal_err *err)
{
    static const char *const suffixes[] = {"", ".part"};
    static const char *const files[] = {".fetch", ".lock"};
    char *gone = format_path(below, key, ".gone");
    enum gal_status status = GAL_OK;
    for (size_t i = 0; !status && i < 2; i++) {
        char *path = format_path(below, key, suffixes[i]);
        status = path && gone ? remove_dir(path, gone, err)
                              : gal_fail(err, GAL_NO_MEMORY, "out of memory");
        gal_free(path);
    }
    gal_free(gone);
    for (size_t i = 0; !status && i < 2; i++) {
        char *path = format_path(below, key, files[i]);
        if (path)
            (void)unlink(path);
        gal_free(path);
    }
    return status;
}

static enum gal_status remove_key(const char *root, const char *key, bool *removed,
                                  struct gal_err *err)
{
    char *below = gal_path_join(root, ENTRIES);
    char *lock = below ? format_path(below, key, ".lock") : NULL;
    enum gal_status status = lock ? GAL_OK : gal_fail(err, GAL_NO_MEMORY, "out of memory");
    int fd = -1;
    if (lock && !status)
        status = lock_path(lock, LOCK_EX | LOCK_NB, &fd, err);
    *removed = below && !status && fd >= 0;
    if (*removed)
        status = remove_all(below, key, err);
    unlock(&fd);
    gal_free(lock);
    gal_free(below);
    return status;
}

enum gal_status gal_shelf_remove(const char *root, const char *key, struct gal_err *err)
{
    struct gal_shelf_entry *entries;
    size_t count;
    bool found = false, removed = false;
    enum gal_status status = gal_shelf_list(root, &entries, &count, err);
    for (size_t i = 0; !status && i < count; i++)
        found = found || strcmp(entries[i].key, key) == 0;
    gal_free(status ? NULL : entries);
    if (status)
        return status;
    if (!found)
        return gal_fail(err, GAL_NOT_FOUND, "the cache has no %.80s", key);
    status = remove_key(root, key, &removed, err);
    return status || removed ? status : gal_fail(err, GAL_CONFLICT, "%.80s is in use", key);
}

/* Under ROOT/lock. */
static enum gal_status make_room(const char *root, const char *own, uint64_t bytes,
                                 uint64_t bytes_max, struct gal_err *err)
{
    struct gal_shelf_entry *entries;
    size_t count;
    uint64_t sum = bytes;
    enum gal_status status = gal_shelf_list(root, &entries, &count, err);
    if (status)
        return status;
    for (size_t i = 0; i < count; i++)
        sum += strcmp(entries[i].key, own) == 0 ? 0 : entries[i].bytes;
    for (size_t i = count; i-- > 0 && sum > bytes_max && !status;) {
        bool removed = false;
        if (strcmp(entries[i].key, own) == 0)
            continue;
        status = remove_key(root, entries[i].key, &removed, err);
        sum -= removed ? entries[i].bytes : 0;
    }
    gal_free(entries);
    if (status || sum <= bytes_max)
        return status;
    gal_fail(err, GAL_TOO_LARGE,
             "%llu bytes do not fit into the cache: what else is in it (%llu bytes) is in use",
             (unsigned long long)bytes, (unsigned long long)(sum - bytes));
    gal_err_hint(err, "raise cache_size, or stop what uses the cache");
    return GAL_TOO_LARGE;
}

enum gal_status gal_shelf_room(const char *root, const struct gal_shelf_hold *h, uint64_t bytes,
                               uint64_t bytes_max, struct gal_err *err)
{
    int fd = -1;
    if (bytes > bytes_max) {
        gal_fail(err, GAL_TOO_LARGE, "%llu bytes are more than the cache may hold (%llu)",
                 (unsigned long long)bytes, (unsigned long long)bytes_max);
        gal_err_hint(err, "raise cache_size");
        return GAL_TOO_LARGE;
    }
    char *lock = gal_path_join(root, "lock");
    enum gal_status status =
        lock ? lock_path(lock, LOCK_EX, &fd, err) : gal_fail(err, GAL_NO_MEMORY, "out of memory");
    if (!status)
        status = make_room(root, gal_path_base(h->dir), bytes, bytes_max, err);
    unlock(&fd);
    gal_free(lock);
    return status;
}
