/* SPDX-License-Identifier: Apache-2.0 */
/* Where a job goes:
 *
 *     submit -> inline: run -> on_done, all inside submit
 *            -> queue  -> worker: run -> post -> home loop: on_done
 *                      -> late or cancelled  -> post -> home loop: on_done
 *            -> full: on_done inside submit
 *
 * Locks: `lock` guards the queue and the workers' counts; nothing is called under it but
 * pthread_create. The inline path takes none: it reads one number (inline_rows_max) and counts in
 * a cell that its thread has almost to itself. */
#include "sched/sched.h"

#include "base/mem.h"
#include "base/thread.h"
#include "sched/decide.h"
#include "sched/sched_impl.h"
#include "sched/stats.h"

#include <pthread.h>
#include <stdatomic.h>

/* On the inline path one run in so many is measured for the estimate, besides every dear one. */
#define OBSERVE_EVERY 16

struct gal_sched {
    struct gal_sched_options o;
    _Atomic size_t inline_rows_max; /* jobs of at most so many rows run inline */
    atomic_flag is_observing;       /* guards cost; who finds it taken skips its sample */
    struct gal_cost cost;
    _Atomic bool stacks; /* jobs of one turn may run as one call */
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct gal_job *head, *tail;
    size_t waiting;
    unsigned started, idle;
    bool stopping;
    pthread_t *threads;      /* o.workers */
    struct gal_stats *stats; /* owned */
};

/* ---- cost ---- */

static void set_inline_rows(struct gal_sched *s)
{
    size_t rows = s->o.mode == GAL_SCHED_INLINE ? SIZE_MAX
                  : s->o.mode == GAL_SCHED_WORKERS
                      ? 0
                      : gal_cost_inline_rows_max(&s->cost, s->o.inline_us_max);
    atomic_store_explicit(&s->inline_rows_max, rows, memory_order_relaxed);
}

void gal_sched_observe(struct gal_sched *s, size_t rows, uint64_t cost_us)
{
    if (atomic_flag_test_and_set_explicit(&s->is_observing, memory_order_acquire))
        return;
    gal_cost_observe(&s->cost, rows, cost_us);
    set_inline_rows(s);
    atomic_flag_clear_explicit(&s->is_observing, memory_order_release);
}

void gal_sched_stack(struct gal_sched *s)
{
    atomic_store_explicit(&s->stacks, true, memory_order_relaxed);
}

size_t gal_sched_rows_max(const struct gal_sched *s)
{
    return atomic_load_explicit(&s->inline_rows_max, memory_order_relaxed);
}

const struct gal_sched_options *gal_sched_options(const struct gal_sched *s)
{
    return &s->o;
}

bool gal_sched_is_inline(const struct gal_sched *s, size_t rows)
{
    return rows <= atomic_load_explicit(&s->inline_rows_max, memory_order_relaxed);
}

/* ---- one job ---- */

enum gal_status gal_sched_call(struct gal_sched *s, struct gal_call *call, struct gal_err *err)
{
    gal_stats_begin(s->stats);
    enum gal_status status = s->o.ops->run(s->o.session, call->inputs, call->wanted,
                                           call->output_count, call->arena, call->outputs, err);
    call->finished_us = gal_mono_us(s->o.clock);
    uint64_t cost_us = call->finished_us - call->started_us;
    gal_stats_end(s->stats, &(struct gal_stats_call){.rows = call->rows,
                                                     .infer_ns = cost_us * 1000,
                                                     .finished_us = call->finished_us,
                                                     .failed = status != GAL_OK});
    static _Thread_local unsigned calls;
    bool is_dear = cost_us > s->o.inline_us_max;
    if (!status && (is_dear || calls++ % OBSERVE_EVERY == 0 || !gal_sched_is_inline(s, call->rows)))
        gal_sched_observe(s, call->rows, cost_us);
    return status;
}

bool gal_job_begin(struct gal_job *job, uint64_t now_us)
{
    if (atomic_load_explicit(&job->cancelled, memory_order_relaxed)) {
        job->status = gal_fail(&job->err, GAL_CANCELLED, "the client has gone");
        return false;
    }
    if (gal_job_is_late(job->deadline_us, now_us)) {
        job->status =
            gal_fail(&job->err, GAL_DEADLINE, "the request's deadline passed before it ran");
        return false;
    }
    job->started_us = now_us;
    return true;
}

void gal_job_run(struct gal_job *job, uint64_t now_us)
{
    struct gal_call call = {job->inputs,
                            job->wanted,
                            job->output_count,
                            job->rows,
                            job->arena,
                            job->outputs,
                            now_us,
                            0};
    job->status = gal_sched_call(job->sched, &call, &job->err);
    job->finished_us = call.finished_us;
    job->call_rows = job->rows;
    job->led = true;
    job->infer_ns = (call.finished_us - call.started_us) * 1000;
}

/* Runs the job, or finds why not; any thread. */
static void run(struct gal_job *job, uint64_t now_us)
{
    if (gal_job_begin(job, now_us))
        gal_job_run(job, now_us);
}

void gal_job_release(struct gal_job *job)
{
    const struct gal_sched_options *o = &job->sched->o;
    if (job->batch)
        gal_batch_unref(job->batch);
    for (size_t i = 0; !job->batch && i < job->output_count; i++)
        o->ops->release_output(o->session, &job->outputs[i]);
    job->batch = NULL;
}

void gal_job_finish(struct gal_job *job)
{
    struct gal_sched *s = job->sched;
    if (atomic_load_explicit(&job->cancelled, memory_order_relaxed) &&
        job->status != GAL_CANCELLED) {
        if (!job->status)
            gal_job_release(job);
        job->status = gal_fail(&job->err, GAL_CANCELLED, "the client has gone");
    }
    gal_stats_job(s->stats, job, job->finished_us ? job->finished_us : gal_mono_us(s->o.clock));
    job->on_done(job);
}

static void on_task(struct gal_task *task)
{
    gal_job_finish((struct gal_job *)((char *)task - offsetof(struct gal_job, task)));
}

static void send_home(struct gal_job *job)
{
    job->task.run = on_task;
    gal_loop_post(job->home, &job->task);
}

/* ---- queue; all under the lock ---- */

static void push(struct gal_sched *s, struct gal_job *job)
{
    job->queued = true;
    job->next = NULL;
    job->prev = s->tail;
    if (s->tail)
        s->tail->next = job;
    else
        s->head = job;
    s->tail = job;
    s->waiting++;
}

static void unlink_job(struct gal_sched *s, struct gal_job *job)
{
    if (job->prev)
        job->prev->next = job->next;
    else
        s->head = job->next;
    if (job->next)
        job->next->prev = job->prev;
    else
        s->tail = job->prev;
    job->queued = false;
    s->waiting--;
}

/* Takes late jobs from the front, where the oldest are: a list over next. */
static struct gal_job *take_late(struct gal_sched *s, uint64_t now_us)
{
    struct gal_job *first = NULL, **end = &first;
    while (s->head && gal_job_is_late(s->head->deadline_us, now_us)) {
        struct gal_job *job = s->head;
        unlink_job(s, job);
        job->next = NULL;
        *end = job;
        end = &job->next;
    }
    return first;
}

/* ---- workers ---- */

static void *work(void *arg)
{
    struct gal_sched *s = arg;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        while (!s->head && !s->stopping) {
            s->idle++;
            pthread_cond_wait(&s->work, &s->lock);
            s->idle--;
        }
        struct gal_job *job = s->head;
        if (!job)
            break;
        unlink_job(s, job);
        pthread_mutex_unlock(&s->lock);
        run(job, gal_mono_us(s->o.clock));
        send_home(job); /* from here on the job is not ours */
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* Under the lock. Fails only when no worker runs at all: one that is there will come to the job. */
static enum gal_status want_worker(struct gal_sched *s, struct gal_err *err)
{
    if (!gal_workers_want_one(s->waiting, s->idle, s->started, s->o.workers))
        return GAL_OK;
    enum gal_status status =
        gal_thread_start(&s->threads[s->started], "galley-worker", work, s, err);
    s->started += !status;
    return s->started ? GAL_OK : status;
}

static void enqueue(struct gal_sched *s, struct gal_job *job)
{
    struct gal_job *late = NULL;
    enum gal_status status = GAL_OK;
    pthread_mutex_lock(&s->lock);
    if (s->waiting >= s->o.queue_max)
        late = take_late(s, job->submitted_us);
    if (s->waiting >= s->o.queue_max) {
        status = gal_fail(&job->err, GAL_OVERLOADED, "the model's queue is full: %zu requests wait",
                          s->waiting);
    } else {
        push(s, job);
        status = want_worker(s, &job->err);
        if (status)
            unlink_job(s, job);
        else
            pthread_cond_signal(&s->work);
    }
    pthread_mutex_unlock(&s->lock);
    /* A queued job is no longer ours: a worker may have sent it home already. */
    while (late) {
        struct gal_job *next = late->next;
        late->status =
            gal_fail(&late->err, GAL_DEADLINE, "the request's deadline passed before it ran");
        send_home(late);
        late = next;
    }
    if (status) {
        job->status = status;
        gal_job_finish(job);
    }
}

/* ---- interface ---- */

void gal_sched_submit(struct gal_sched *s, struct gal_job *job)
{
    job->sched = s;
    job->queued = false;
    job->status = GAL_OK;
    gal_err_clear(&job->err);
    job->started_us = job->finished_us = 0;
    job->call_rows = 0;
    job->led = false;
    job->input_ns = job->infer_ns = job->output_ns = 0;
    job->submitted_us = gal_mono_us(s->o.clock);
    job->batch = NULL;
    bool is_inline = gal_sched_is_inline(s, job->rows);
    if (is_inline && job->turn && atomic_load_explicit(&s->stacks, memory_order_relaxed)) {
        gal_turn_add(job->turn, job);
    } else if (!job->home || is_inline) {
        run(job, job->submitted_us);
        gal_job_finish(job);
    } else {
        enqueue(s, job);
    }
}

/* Takes the job out of the queue; false when it is not there (any more). */
static bool withdraw(struct gal_job *job)
{
    struct gal_sched *s = job->sched;
    pthread_mutex_lock(&s->lock);
    bool is_mine = job->queued;
    if (is_mine)
        unlink_job(s, job);
    pthread_mutex_unlock(&s->lock);
    return is_mine;
}

void gal_job_cancel(struct gal_job *job)
{
    atomic_store_explicit(&job->cancelled, true, memory_order_relaxed);
    if (job->sched && withdraw(job)) {
        job->status = gal_fail(&job->err, GAL_CANCELLED, "the client has gone");
        send_home(job);
    }
}

void gal_job_expire(struct gal_job *job)
{
    if (job->sched && withdraw(job)) {
        job->status =
            gal_fail(&job->err, GAL_DEADLINE, "the request's deadline passed before it ran");
        send_home(job);
    }
}

void gal_sched_stats(const struct gal_sched *s, struct gal_sched_stats *out)
{
    struct gal_sched *open = (struct gal_sched *)s; /* the lock is no part of its value */
    *out = (struct gal_sched_stats){.workers = s->o.workers, .rows_max = gal_sched_rows_max(s)};
    gal_stats_read(s->stats, gal_mono_us(s->o.clock), gal_wall_us(s->o.clock), out);
    pthread_mutex_lock(&open->lock);
    out->waiting = s->waiting;
    pthread_mutex_unlock(&open->lock);
}

size_t gal_sched_batch_stats(const struct gal_sched *s, struct gal_batch_stats *out, size_t room)
{
    return gal_stats_batches(s->stats, out, room);
}

enum gal_status gal_sched_new(const struct gal_sched_options *options, struct gal_sched **out,
                              struct gal_err *err)
{
    struct gal_sched *s = gal_calloc(1, sizeof *s);
    *out = NULL;
    if (!s)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a scheduler");
    s->o = *options;
    if (s->o.workers == 0)
        s->o.workers = 1;
    s->threads = gal_calloc(s->o.workers, sizeof *s->threads);
    if (!s->threads) {
        gal_free(s);
        return gal_fail(err, GAL_NO_MEMORY, "no memory for %u workers", options->workers);
    }
    if (gal_stats_new(2 * s->o.workers, &s->stats, err) != GAL_OK) {
        gal_free(s->threads);
        gal_free(s);
        return GAL_NO_MEMORY;
    }
    atomic_flag_clear(&s->is_observing);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->work, NULL);
    set_inline_rows(s);
    *out = s;
    return GAL_OK;
}

void gal_sched_free(struct gal_sched *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    GAL_ASSERT(!s->head);
    s->stopping = true;
    pthread_cond_broadcast(&s->work);
    pthread_mutex_unlock(&s->lock);
    for (unsigned i = 0; i < s->started; i++)
        pthread_join(s->threads[i], NULL);
    pthread_cond_destroy(&s->work);
    pthread_mutex_destroy(&s->lock);
    gal_stats_free(s->stats);
    gal_free(s->threads);
    gal_free(s);
}
