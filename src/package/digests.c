/* SPDX-License-Identifier: Apache-2.0 */
/* Digests of many parts, several at once. */
#include "package/digests.h"

#include "base/digest.h"
#include "base/mem.h"
#include "base/thread.h"
#include "package/package_impl.h"

#include <stdatomic.h>

#define THREADS_MAX 64u
#define HEX_AT 7u /* behind "sha256:" */

struct crew {
    struct gal_digest_job *jobs;
    size_t count;
    bool with_sha1;
    _Atomic size_t next;
    pthread_mutex_t lock; /* the rest */
    uint64_t done, total;
    void (*on_progress)(uint64_t done, uint64_t total, void *ctx);
    void *ctx;
    size_t failed; /* the first job that failed, by its place; SIZE_MAX: none */
    enum gal_status status;
    struct gal_err err;
};

static void report(struct crew *c, size_t index, enum gal_status status, const struct gal_err *err)
{
    pthread_mutex_lock(&c->lock);
    c->done += c->jobs[index].size;
    if (status && index < c->failed) { /* the same one, however the threads ran */
        c->failed = index;
        c->status = status;
        c->err = *err;
    }
    if (c->on_progress && !status)
        c->on_progress(c->done, c->total, c->ctx);
    pthread_mutex_unlock(&c->lock);
}

static enum gal_status run_job(const struct crew *c, struct gal_digest_job *j, struct gal_err *err)
{
    if (c->with_sha1)
        return gal_sha256_sha1_part(j->path, j->offset, j->size, j->sha256, j->sha1, err);
    return gal_sha256_part(j->path, j->offset, j->size, j->sha256, err);
}

static void *work(void *arg)
{
    struct crew *c = arg;
    for (;;) {
        size_t i = atomic_fetch_add(&c->next, 1);
        struct gal_err err;
        if (i >= c->count)
            return NULL;
        struct gal_digest_job *j = &c->jobs[i];
        enum gal_status status = run_job(c, j, &err);
        if (!status && j->want && strcmp(j->want + HEX_AT, j->sha256) != 0)
            status = gal_fail(&err, GAL_INVALID,
                              "damaged: %s has the digest sha256:%s, %s was "
                              "promised",
                              j->label, j->sha256, j->want);
        report(c, i, status, &err);
    }
}

enum gal_status gal_digest_all(struct gal_digest_job *jobs, size_t count, bool with_sha1,
                               unsigned threads,
                               void (*on_progress)(uint64_t done, uint64_t total, void *ctx),
                               void *ctx, struct gal_err *err)
{
    struct crew c = {.jobs = jobs,
                     .count = count,
                     .with_sha1 = with_sha1,
                     .on_progress = on_progress,
                     .ctx = ctx,
                     .failed = SIZE_MAX};
    pthread_t others[THREADS_MAX];
    unsigned started = 0;
    if (threads == 0)
        threads = gal_cpu_count();
    threads = threads < THREADS_MAX ? threads : THREADS_MAX;
    pthread_mutex_init(&c.lock, NULL);
    for (size_t i = 0; i < count; i++)
        c.total += jobs[i].size;
    /* A thread that does not start is no loss but of time: this one works too. */
    while (started + 1 < threads && started + 1 < count &&
           gal_thread_start(&others[started], "galley-digest", work, &c, NULL) == GAL_OK)
        started++;
    (void)work(&c);
    for (unsigned i = 0; i < started; i++)
        (void)pthread_join(others[i], NULL);
    pthread_mutex_destroy(&c.lock);
    if (c.status && err)
        *err = c.err;
    return c.status;
}

enum gal_status gal_package_check(struct gal_package *p, unsigned threads,
                                  void (*on_progress)(uint64_t done, uint64_t total, void *ctx),
                                  void *ctx, struct gal_err *err)
{
    struct gal_opened *o = gal_opened_of(p);
    if (!p->is_sealed || o->part_count == 0)
        return GAL_OK;
    struct gal_digest_job *jobs = gal_calloc(o->part_count, sizeof *jobs);
    if (!jobs)
        return gal_package_no_memory(o, err);
    for (size_t i = 0; i < o->part_count; i++)
        jobs[i] = (struct gal_digest_job){.label = o->parts[i].label,
                                          .path = o->parts[i].path,
                                          .offset = o->parts[i].offset,
                                          .size = o->parts[i].size,
                                          .want = o->parts[i].digest};
    enum gal_status status =
        gal_digest_all(jobs, o->part_count, false, threads, on_progress, ctx, err);
    gal_free(jobs);
    return gal_package_name_path(o, status, err);
}
