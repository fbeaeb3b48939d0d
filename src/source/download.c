/* SPDX-License-Identifier: Apache-2.0 */
#include "source/download.h"

#include "base/file_write.h"
#include "base/mem.h"
#include "base/thread.h"
#include "source/download_impl.h"
#include "source/shelf.h"
#include "source/sign.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define PARALLEL 4u
#define PARALLEL_MAX 32u
#define ARENA_BYTES_MAX (4u << 20) /* signatures of one chunk's request */

struct download {
    struct gal_source_run *run;
    const char *dir;
    struct gal_chunk *chunks; /* owned */
    size_t count;
    struct gal_journal journal;
    atomic_size_t next;
    atomic_bool failed;
    _Atomic uint64_t done; /* bytes */
    uint64_t total;        /* 0: not known */
    pthread_mutex_t lock;  /* status, err, progress */
    enum gal_status status;
    struct gal_err err;
};

struct worker {
    struct download *d;
    struct gal_fetcher *fetcher;
    struct gal_arena arena;
    const struct gal_chunk *chunk; /* under way */
    int fd;
    uint64_t end;     /* behind the last byte that was written */
    uint64_t counted; /* bytes of it in d->done */
    struct gal_err err;
};

uint64_t gal_download_bytes(const struct gal_source_plan *plan)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < plan->count; i++) {
        if (!plan->objects[i].size_known ||
            __builtin_add_overflow(sum, plan->objects[i].size, &sum))
            sum += 0;
    }
    return sum;
}

/* --- chunks --- */

static size_t chunks_of(const struct gal_source_object *o)
{
    if (!o->ranges || o->size <= GAL_CHUNK_BYTES)
        return 1;
    return (size_t)((o->size + GAL_CHUNK_BYTES - 1) / GAL_CHUNK_BYTES);
}

static enum gal_status make_chunks(struct download *d, struct gal_err *err)
{
    const struct gal_source_plan *p = &d->run->plan;
    for (size_t i = 0; i < p->count; i++)
        d->count += chunks_of(&p->objects[i]);
    d->chunks = gal_calloc(d->count + 1, sizeof *d->chunks);
    if (!d->chunks)
        return gal_plan_no_memory(err);
    struct gal_chunk *c = d->chunks;
    for (size_t i = 0; i < p->count; i++) {
        const struct gal_source_object *o = &p->objects[i];
        size_t n = chunks_of(o);
        for (size_t k = 0; k < n; k++, c++) {
            uint64_t first = k * GAL_CHUNK_BYTES, left = o->size - first;
            *c = (struct gal_chunk){o, first, left < GAL_CHUNK_BYTES ? left : GAL_CHUNK_BYTES};
            if (!o->ranges)
                c->bytes = 0;
        }
    }
    return GAL_OK;
}

/* --- files --- */

static enum gal_status io(struct gal_err *err, const char *what, const char *path)
{
    enum gal_status code = errno == ENOSPC || errno == EDQUOT ? GAL_TOO_LARGE : GAL_IO;
    return gal_fail(err, code, "cannot %s %.200s: %s", what, path, strerror(errno));
}

static char *path_of(const struct download *d, const struct gal_source_object *o)
{
    size_t n = strlen(d->dir) + strlen(o->place) + sizeof "/" GAL_SHELF_FILES "/";
    char *path = gal_alloc(n);
    if (path)
        (void)snprintf(path, n, "%s/" GAL_SHELF_FILES "/%s", d->dir, o->place);
    return path;
}

static int open_file(const char *path, int flags)
{
    return open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0666);
}

/* Empty files of their final sizes, in directories that are there. */
static enum gal_status make_file(const struct download *d, const struct gal_source_object *o,
                                 struct gal_err *err)
{
    char *path = path_of(d, o), *slash = path ? strrchr(path, '/') : NULL;
    if (!path)
        return gal_plan_no_memory(err);
    *slash = '\0';
    enum gal_status status = gal_dir_make_all(path, err);
    *slash = '/';
    int fd = status ? -1 : open_file(path, O_WRONLY | O_CREAT);
    if (!status && (fd < 0 || (o->size_known && ftruncate(fd, (off_t)o->size) != 0)))
        status = io(err, "write", path);
    if (fd >= 0)
        close(fd);
    gal_free(path);
    return status;
}

static enum gal_status make_files(struct download *d, struct gal_err *err)
{
    const struct gal_source_plan *p = &d->run->plan;
    enum gal_status status = GAL_OK;
    for (size_t i = 0; i < p->count && !status; i++)
        status = make_file(d, &p->objects[i], err);
    return status;
}

/* --- one chunk --- */

static void count(struct worker *w, uint64_t now)
{
    if (now > w->counted)
        w->d->done += now - w->counted;
    else
        w->d->done -= w->counted - now;
    w->counted = now;
}

static enum gal_status on_piece(uint64_t offset, struct gal_str piece, void *ctx)
{
    struct worker *w = ctx;
    const struct gal_chunk *c = w->chunk;
    uint64_t limit = w->d->run->options->cache_bytes_max;
    if (w->d->failed)
        return gal_fail(&w->err, GAL_CANCELLED, "another part failed");
    if (c->bytes && (offset < c->first || offset + piece.n > c->first + c->bytes))
        return gal_fail(&w->err, GAL_CONFLICT, "%s: changed while it was fetched",
                        c->object->place);
    if (!c->bytes &&
        (offset + piece.n > limit || (c->object->size_known && offset + piece.n > c->object->size)))
        return gal_fail(&w->err, c->object->size_known ? GAL_CONFLICT : GAL_TOO_LARGE,
                        "%s: more bytes came than %s", c->object->place,
                        c->object->size_known ? "were told" : "the cache may hold");
    for (size_t at = 0; at < piece.n;) {
        ssize_t n = pwrite(w->fd, piece.p + at, piece.n - at, (off_t)(offset + at));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return io(&w->err, "write", c->object->place);
        at += (size_t)n;
    }
    w->end = offset + piece.n;
    count(w, w->end - c->first);
    return GAL_OK;
}

static void tell(struct download *d)
{
    const struct gal_source_options *o = d->run->options;
    if (o->on_progress)
        o->on_progress(d->run->plan.origin, d->done, d->total, o->ctx);
}

static void on_progress(uint64_t done, uint64_t total, void *ctx)
{
    struct worker *w = ctx;
    (void)done;
    (void)total;
    if (pthread_mutex_trylock(&w->d->lock) != 0)
        return;
    tell(w->d);
    pthread_mutex_unlock(&w->d->lock);
}

static bool same(const char *told, struct gal_str now)
{
    return !told || now.n == 0 || gal_str_is(now, told);
}

/* Is the answer of the object that was planned, all of the chunk, and nothing else? */
static enum gal_status check_answer(const struct worker *w, const struct gal_fetch_request *q,
                                    const struct gal_fetch_response *a, struct gal_err *err)
{
    const struct gal_source_object *o = w->chunk->object;
    struct gal_str range = gal_fetch_header(a, "content-range"), part;
    uint64_t size = o->size, want = w->chunk->first + w->chunk->bytes;
    if (a->status == 412 || (a->status == 416 && o->size > 0))
        return gal_fail(err, GAL_CONFLICT, "%s: changed while it was fetched", o->place);
    if (a->status < 200 || a->status > 299)
        return gal_fetch_failed(q, a, err);
    if (range.n) {
        gal_str_cut(&range, '/', &part);
        if (gal_str_u64(range, &size) != GAL_OK)
            size = o->size;
    }
    if ((o->size_known && size != o->size) || !same(o->etag, gal_fetch_header(a, "etag")) ||
        !same(o->modified, gal_fetch_header(a, "last-modified")) ||
        (a->status == 200 && w->chunk->bytes && w->chunk->bytes != o->size))
        return gal_fail(err, GAL_CONFLICT, "%s: changed while it was fetched", o->place);
    if (!w->chunk->bytes)
        want = o->size_known ? o->size : w->end;
    if (w->end != want)
        return gal_fail(err, GAL_UNAVAILABLE, "%s: %llu bytes came, %llu were told", o->place,
                        (unsigned long long)w->end, (unsigned long long)want);
    return GAL_OK;
}

static enum gal_status fetch_chunk(struct worker *w, struct gal_err *err)
{
    const struct gal_chunk *c = w->chunk;
    struct gal_source_run *r = w->d->run;
    struct gal_fetch_response answer;
    struct gal_auth_room room;
    struct gal_fetch_request q = {.url = c->object->url,
                                  .range_first = c->first,
                                  .range_bytes = c->bytes,
                                  .immutable = c->object->versioned || c->object->sha256[0],
                                  .on_piece = on_piece,
                                  .on_progress = on_progress,
                                  .ctx = w};
    if (c->bytes == c->object->size)
        q.range_bytes = 0; /* the whole: servers like that better */
    memset(&answer, 0, sizeof answer);
    gal_err_clear(&w->err);
    gal_arena_clear(&w->arena);
    w->end = c->first;
    w->counted = 0;
    enum gal_status status = gal_auth_apply(&r->plan.auth, r->clock, &q, &room, &w->arena, err);
    if (!status)
        status = gal_fetch(w->fetcher, &q, &answer, err);
    if (status && w->err.code != GAL_OK)
        *err = w->err;
    else if (!status)
        status = check_answer(w, &q, &answer, err);
    gal_fetch_response_release(&answer);
    if (status)
        count(w, 0);
    return status;
}

static enum gal_status one_chunk(struct worker *w, size_t i, struct gal_err *err)
{
    struct download *d = w->d;
    w->chunk = &d->chunks[i];
    char *path = path_of(d, w->chunk->object);
    if (!path)
        return gal_plan_no_memory(err);
    enum gal_status status = GAL_OK;
    w->fd = open_file(path, O_WRONLY);
    if (w->fd < 0)
        status = io(err, "write", path);
    if (!status && w->chunk->object->size_known && w->chunk->object->size == 0)
        w->end = 0;
    else if (!status)
        status = fetch_chunk(w, err);
    if (!status) /* on its way to the disk while the next part comes: the end waits for all of it */
        (void)sync_file_range(w->fd, (off_t)w->chunk->first, (off_t)(w->end - w->chunk->first),
                              SYNC_FILE_RANGE_WRITE);
    if (!status && !w->chunk->object->size_known && ftruncate(w->fd, (off_t)w->end) != 0)
        status = io(err, "write", path);
    if (w->fd >= 0)
        close(w->fd);
    gal_free(path);
    if (!status)
        gal_journal_mark(&d->journal, i);
    return status;
}

/* --- threads --- */

static void fail(struct download *d, enum gal_status status, const struct gal_err *err)
{
    pthread_mutex_lock(&d->lock);
    if (!d->status) {
        d->status = status;
        d->err = *err;
    }
    d->failed = true;
    pthread_mutex_unlock(&d->lock);
}

static void *run(void *arg)
{
    struct download *d = arg;
    struct worker w = {.d = d, .fd = -1};
    struct gal_err err;
    gal_arena_init(&w.arena, 4096, ARENA_BYTES_MAX, ARENA_BYTES_MAX);
    enum gal_status status = gal_fetcher_new(&d->run->options->registry.fetch, &w.fetcher, &err);
    while (!status && !d->failed) {
        size_t i = d->next++;
        if (i >= d->count)
            break;
        if (d->journal.done[i] == '0')
            status = one_chunk(&w, i, &err);
    }
    if (status)
        fail(d, status, &err);
    gal_fetcher_free(w.fetcher);
    gal_arena_release(&w.arena);
    return NULL;
}

/* The calling thread is one of them: fewer threads do as well. */
static void run_all(struct download *d)
{
    pthread_t threads[PARALLEL_MAX];
    unsigned n = d->run->options->parallel ? d->run->options->parallel : PARALLEL, started = 0;
    size_t left = 0;
    for (size_t i = 0; i < d->count; i++)
        left += d->journal.done[i] == '0';
    n = n < PARALLEL_MAX ? n : PARALLEL_MAX;
    n = left < n ? (unsigned)left : n;
    while (started + 1 < n &&
           gal_thread_start(&threads[started], "galley-fetch", run, d, NULL) == GAL_OK)
        started++;
    run(d);
    while (started > 0)
        pthread_join(threads[--started], NULL);
}

/* --- the end --- */

static enum gal_status compare(const struct gal_source_object *o, const char *kind,
                               const char *want, const char *got, struct gal_err *err)
{
    if (strcmp(want, got) == 0)
        return GAL_OK;
    gal_fail(err, GAL_INVALID, "%.100s: its bytes have %s %s, not %s", o->place, kind, got, want);
    gal_err_hint(err, "the bytes were damaged on the way, or the digest is another file's");
    return GAL_INVALID;
}

static enum gal_status check_file(const struct download *d, const struct gal_source_object *o,
                                  struct gal_err *err)
{
    char sha256[GAL_SHA256_HEX_SIZE], md5[33], *path = path_of(d, o);
    if (!path)
        return gal_plan_no_memory(err);
    enum gal_status status = GAL_OK;
    if (o->sha256[0])
        status = gal_sha256_file(path, sha256, err);
    if (!status && o->sha256[0])
        status = compare(o, "SHA-256", o->sha256, sha256, err);
    if (!status && o->md5[0] && !o->sha256[0])
        status = gal_md5_file(path, md5, err);
    if (!status && o->md5[0] && !o->sha256[0])
        status = compare(o, "MD5", o->md5, md5, err);
    int fd = status ? -1 : open_file(path, O_RDONLY);
    if (!status && (fd < 0 || fsync(fd) != 0))
        status = io(err, "write", path);
    if (fd >= 0)
        close(fd);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    if (!status)
        status = gal_dir_sync(path, err);
    gal_free(path);
    return status;
}

static enum gal_status fetch_all(struct download *d, struct gal_err *err)
{
    const struct gal_source_plan *p = &d->run->plan;
    d->total = gal_download_bytes(p);
    for (size_t i = 0; i < d->count; i++)
        d->done += d->journal.done[i] == '1' ? d->chunks[i].bytes : 0;
    tell(d);
    run_all(d);
    if (d->status) {
        *err = d->err;
        return d->status;
    }
    tell(d);
    enum gal_status status = GAL_OK;
    for (size_t i = 0; i < p->count && !status; i++)
        status = check_file(d, &p->objects[i], err);
    return status;
}

enum gal_status gal_download(struct gal_source_run *r, const char *dir, struct gal_err *err)
{
    struct download d = {.run = r, .dir = dir, .journal = {.fd = -1}};
    bool fresh = true;
    char *files = gal_path_join(dir, GAL_SHELF_FILES);
    if (!files)
        return gal_plan_no_memory(err);
    pthread_mutex_init(&d.lock, NULL);
    enum gal_status status = make_chunks(&d, err);
    if (!status)
        status = gal_journal_open(dir, r->plan.identity, d.count, &d.journal, &fresh, err);
    if (!status && fresh)
        status = gal_dir_remove(files, err);
    if (!status)
        status = make_files(&d, err);
    if (!status)
        status = fetch_all(&d, err);
    gal_journal_close(&d.journal);
    pthread_mutex_destroy(&d.lock);
    gal_free(d.chunks);
    gal_free(files);
    return status;
}
