/* SPDX-License-Identifier: Apache-2.0 */
#include "api/shm.h"

#include "base/limits.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHM_DIR "/dev/shm/"
#define KEY_BYTES_MAX 255u

struct gal_shm_region {
    _Atomic uint32_t refs; /* the table's and one a use */
    int fd;
    uint64_t offset, byte_size;
    size_t name_bytes, key_bytes;
    char text[]; /* name, key */
};

struct gal_shm {
    pthread_mutex_t lock;
    struct gal_shm_region *regions[GAL_SHM_REGIONS_MAX]; /* by name */
    size_t count;
};

static struct gal_str name_of(const struct gal_shm_region *r)
{
    return (struct gal_str){r->text, r->name_bytes};
}

static struct gal_str key_of(const struct gal_shm_region *r)
{
    return (struct gal_str){r->text + r->name_bytes, r->key_bytes};
}

struct gal_shm *gal_shm_new(void)
{
    struct gal_shm *s = gal_calloc(1, sizeof(*s));

    if (s != NULL)
        pthread_mutex_init(&s->lock, NULL);
    return s;
}

void gal_shm_region_unref(struct gal_shm_region *r)
{
    if (r == NULL || atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
        return;
    close(r->fd);
    gal_free(r);
}

void gal_shm_free(struct gal_shm *s)
{
    if (s == NULL)
        return;
    gal_shm_unregister(s, (struct gal_str){NULL, 0});
    pthread_mutex_destroy(&s->lock);
    gal_free(s);
}

static int compare(struct gal_str a, struct gal_str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n > 0 ? memcmp(a.p, b.p, n) : 0;

    return c != 0 ? c : (a.n > b.n) - (a.n < b.n);
}

/* Where the name stands, or would. Under the lock. */
static size_t find(const struct gal_shm *s, struct gal_str name, bool *there)
{
    size_t low = 0, high = s->count;

    while (low < high) {
        size_t mid = (low + high) / 2;

        if (compare(name_of(s->regions[mid]), name) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    *there = low < s->count && gal_str_eq(name_of(s->regions[low]), name);
    return low;
}

/* --- opening --- */

/* A key is a file's name directly below /dev/shm: it leads nowhere else. */
static enum gal_status check_key(struct gal_str key, struct gal_str *file, struct gal_err *err)
{
    *file = key;
    if (file->n > 0 && file->p[0] == '/')
        *file = (struct gal_str){key.p + 1, key.n - 1};
    if (file->n > 0 && file->n <= KEY_BYTES_MAX && !memchr(file->p, '/', file->n) &&
        !memchr(file->p, '\0', file->n) && !gal_str_is(*file, ".") && !gal_str_is(*file, ".."))
        return GAL_OK;
    gal_fail(err, GAL_INVALID, "'%.*s' is no key of shared memory", GAL_STR_SHOWN(key));
    if (err != NULL) {
        gal_err_place(err, "key");
        gal_err_hint(err, "what shm_open was given: \"/name\", without a second slash");
    }
    return GAL_INVALID;
}

static enum gal_status check_file(int fd, struct gal_str name, uint64_t offset, uint64_t byte_size,
                                  struct gal_err *err)
{
    struct stat st;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return gal_fail(err, GAL_INVALID, "'%.*s': the key names no shared memory",
                        GAL_STR_SHOWN(name));
    if (byte_size > 0 && offset <= (uint64_t)st.st_size &&
        byte_size <= (uint64_t)st.st_size - offset)
        return GAL_OK;
    return gal_fail(err, GAL_INVALID,
                    "failed to register shared memory region '%.*s': byte_size %llu at offset %llu "
                    "does not lie within its %llu bytes",
                    GAL_STR_SHOWN(name), (unsigned long long)byte_size, (unsigned long long)offset,
                    (unsigned long long)st.st_size);
}

/* *out is owned. */
static enum gal_status open_region(struct gal_str name, struct gal_str key, uint64_t offset,
                                   uint64_t byte_size, struct gal_shm_region **out,
                                   struct gal_err *err)
{
    char path[sizeof(SHM_DIR) + KEY_BYTES_MAX];
    struct gal_shm_region *r;
    struct gal_str file;
    enum gal_status st = check_key(key, &file, err);
    int fd;

    if (st != GAL_OK)
        return st;
    snprintf(path, sizeof(path), SHM_DIR "%.*s", GAL_STR_ARG(file));
    fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return gal_fail(err, errno == ENOENT ? GAL_NOT_FOUND : GAL_INVALID,
                        "unable to open shared memory region '%.*s': %s", GAL_STR_SHOWN(key),
                        errno == ENOENT   ? "there is none of this key"
                        : errno == EACCES ? "galley may not read and write it"
                                          : "it cannot be opened");
    st = check_file(fd, name, offset, byte_size, err);
    r = st == GAL_OK ? gal_calloc(1, sizeof(*r) + name.n + key.n) : NULL;
    if (r == NULL) {
        close(fd);
        return st != GAL_OK ? st : gal_fail(err, GAL_NO_MEMORY, "no memory for a region");
    }
    r->refs = 1;
    r->fd = fd;
    r->offset = offset;
    r->byte_size = byte_size;
    r->name_bytes = name.n;
    r->key_bytes = key.n;
    memcpy(r->text, name.p, name.n);
    memcpy(r->text + name.n, key.p, key.n);
    *out = r;
    return GAL_OK;
}

static enum gal_status insert(struct gal_shm *s, struct gal_shm_region *r, struct gal_err *err)
{
    bool there;
    size_t at = find(s, name_of(r), &there);

    if (there)
        return gal_fail(err, GAL_CONFLICT, "shared memory region '%.*s' already in manager",
                        GAL_STR_SHOWN(name_of(r)));
    if (s->count == GAL_SHM_REGIONS_MAX)
        return gal_fail(err, GAL_TOO_LARGE, "more than %u shared memory regions",
                        GAL_SHM_REGIONS_MAX);
    memmove(&s->regions[at + 1], &s->regions[at],
            (s->count - at) * sizeof(struct gal_shm_region *));
    s->regions[at] = r;
    s->count++;
    return GAL_OK;
}

enum gal_status gal_shm_register(struct gal_shm *s, struct gal_str name, struct gal_str key,
                                 uint64_t offset, uint64_t byte_size, struct gal_err *err)
{
    struct gal_shm_region *r = NULL;
    enum gal_status st;

    if (name.n == 0 || name.n > GAL_NAME_BYTES_MAX)
        return gal_fail(err, GAL_INVALID, "a region's name has 1 to %u bytes, this one %zu",
                        GAL_NAME_BYTES_MAX, name.n);
    st = open_region(name, key, offset, byte_size, &r, err);
    if (st != GAL_OK || r == NULL)
        return st;
    pthread_mutex_lock(&s->lock);
    st = insert(s, r, err);
    pthread_mutex_unlock(&s->lock);
    if (st != GAL_OK)
        gal_shm_region_unref(r);
    return st;
}

void gal_shm_unregister(struct gal_shm *s, struct gal_str name)
{
    bool there = true;
    size_t at = 0;

    pthread_mutex_lock(&s->lock);
    if (name.n > 0)
        at = find(s, name, &there);
    for (size_t i = at; there && i < (name.n > 0 ? at + 1 : s->count); i++)
        gal_shm_region_unref(s->regions[i]);
    if (name.n == 0) {
        s->count = 0;
    } else if (there) {
        s->count--;
        memmove(&s->regions[at], &s->regions[at + 1],
                (s->count - at) * sizeof(struct gal_shm_region *));
    }
    pthread_mutex_unlock(&s->lock);
}

/* --- looking --- */

static enum gal_status fail_unknown(struct gal_str name, struct gal_err *err)
{
    return gal_fail(err, GAL_NOT_FOUND, "unable to find system shared memory region: '%.*s'",
                    GAL_STR_SHOWN(name));
}

static bool copy_row(const struct gal_shm_region *r, struct gal_arena *arena,
                     struct gal_shm_status *out)
{
    *out = (struct gal_shm_status){.offset = r->offset, .byte_size = r->byte_size};
    out->name = (struct gal_str){gal_arena_strdup(arena, name_of(r)), r->name_bytes};
    out->key = (struct gal_str){gal_arena_strdup(arena, key_of(r)), r->key_bytes};
    return out->name.p != NULL && out->key.p != NULL;
}

enum gal_status gal_shm_status(struct gal_shm *s, struct gal_str name, struct gal_arena *arena,
                               struct gal_shm_status **out, size_t *count, struct gal_err *err)
{
    struct gal_shm_status *rows;
    size_t at = 0, n = 0;
    bool there = true;

    pthread_mutex_lock(&s->lock);
    if (name.n > 0)
        at = find(s, name, &there);
    n = name.n > 0 ? there : s->count;
    rows = gal_arena_array(arena, n > 0 ? n : 1, sizeof(*rows));
    for (size_t i = 0; rows != NULL && i < n; i++)
        if (!copy_row(s->regions[at + i], arena, &rows[i]))
            rows = NULL;
    pthread_mutex_unlock(&s->lock);
    if (!there)
        return fail_unknown(name, err);
    if (rows == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the regions' status");
    *out = rows;
    *count = n;
    return GAL_OK;
}

/* --- use --- */

enum gal_status gal_shm_use(struct gal_shm *s, struct gal_str name, uint64_t offset, uint64_t size,
                            struct gal_shm_region **region, struct gal_err *err)
{
    struct gal_shm_region *r = NULL;
    bool there;
    size_t at;

    *region = NULL;
    pthread_mutex_lock(&s->lock);
    at = find(s, name, &there);
    if (there) {
        r = s->regions[at];
        atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    }
    pthread_mutex_unlock(&s->lock);
    if (r == NULL)
        return fail_unknown(name, err);
    if (offset > r->byte_size || size > r->byte_size - offset) {
        gal_fail(
            err, GAL_INVALID,
            "invalid offset + byte size for shared memory region '%.*s': %llu bytes at %llu do "
            "not lie within its %llu bytes",
            GAL_STR_SHOWN(name), (unsigned long long)size, (unsigned long long)offset,
            (unsigned long long)r->byte_size);
        gal_shm_region_unref(r);
        return GAL_INVALID;
    }
    *region = r;
    return GAL_OK;
}

static enum gal_status fail_shrunk(const struct gal_shm_region *r, struct gal_err *err)
{
    return gal_fail(err, GAL_INVALID,
                    "shared memory region '%.*s' is smaller than it was when it was registered",
                    GAL_STR_SHOWN(name_of(r)));
}

enum gal_status gal_shm_read(const struct gal_shm_region *r, uint64_t offset, void *to, size_t size,
                             struct gal_err *err)
{
    size_t done = 0;

    GAL_ASSERT(offset <= r->byte_size && size <= r->byte_size - offset);
    while (done < size) {
        ssize_t n =
            pread(r->fd, (char *)to + done, size - done, (off_t)(r->offset + offset + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fail_shrunk(r, err);
        done += (size_t)n;
    }
    return GAL_OK;
}

enum gal_status gal_shm_write(const struct gal_shm_region *r, uint64_t offset, const void *from,
                              size_t size, struct gal_err *err)
{
    size_t done = 0;
    struct stat st;

    GAL_ASSERT(offset <= r->byte_size && size <= r->byte_size - offset);
    /* A write would make a file that has been shrunk grow again, with bytes that nobody reads. */
    if (fstat(r->fd, &st) != 0 || (uint64_t)st.st_size < r->offset + offset + size)
        return fail_shrunk(r, err);
    while (done < size) {
        ssize_t n = pwrite(r->fd, (const char *)from + done, size - done,
                           (off_t)(r->offset + offset + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fail_shrunk(r, err);
        done += (size_t)n;
    }
    return GAL_OK;
}
