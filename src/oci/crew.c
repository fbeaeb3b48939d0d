/* SPDX-License-Identifier: Apache-2.0 */
/* Several blobs at once: threads that take jobs from one list, each with connections of its own. */
#include "base/mem.h"
#include "base/thread.h"
#include "oci/registry_impl.h"

struct crew {
    struct gal_registry *r;
    const struct gal_crew_job *job;
    atomic_size_t next;
    pthread_mutex_t lock; /* of what failed first */
    enum gal_status status;
    struct gal_err err;
};

struct member {
    struct crew *crew;
    struct gal_registry *r;
    pthread_t thread;
};

static void note(struct crew *c, enum gal_status status, const struct gal_err *err)
{
    pthread_mutex_lock(&c->lock);
    /* What others say once they are told to stop is no reason. */
    if (!c->status) {
        c->status = status;
        c->err = *err;
    }
    pthread_mutex_unlock(&c->lock);
    atomic_store(&c->r->shared->stop, true);
}

static void work(struct crew *c, struct gal_registry *r)
{
    for (;;) {
        struct gal_err err;
        size_t index = atomic_fetch_add(&c->next, 1);
        if (index >= c->job->count || atomic_load(&c->r->shared->stop))
            return;
        gal_err_clear(&err);
        enum gal_status status = c->job->run(r, index, c->job->ctx, &err);
        if (status)
            note(c, status, &err);
    }
}

static void *run(void *arg)
{
    struct member *m = arg;
    work(m->crew, m->r);
    return NULL;
}

enum gal_status gal_registry_crew(struct gal_registry *r, const struct gal_crew_job *job,
                                  struct gal_err *err)
{
    struct crew c = {.r = r, .job = job, .lock = PTHREAD_MUTEX_INITIALIZER};
    size_t want =
        r->shared->options.parallel < job->count ? r->shared->options.parallel : job->count;
    struct member *members = gal_calloc(want ? want : 1, sizeof *members);
    size_t count = 0;
    if (!members)
        return gal_fail(err, GAL_NO_MEMORY, "out of memory");
    atomic_store(&r->shared->stop, false);
    /* This thread is one of them. With fewer than were wanted it takes longer, no more. */
    for (; count + 1 < want; count++) {
        struct member *m = &members[count];
        m->crew = &c;
        if (gal_registry_clone(r, &m->r, NULL) != GAL_OK)
            break;
        if (gal_thread_start(&m->thread, "galley-transfer", run, m, NULL) != GAL_OK) {
            gal_registry_close(m->r);
            break;
        }
    }
    work(&c, r);
    for (size_t i = 0; i < count; i++) {
        pthread_join(members[i].thread, NULL);
        gal_registry_close(members[i].r);
    }
    gal_free(members);
    atomic_store(&r->shared->stop, false);
    if (c.status && err)
        *err = c.err;
    return c.status;
}
