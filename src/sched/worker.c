/* SPDX-License-Identifier: Apache-2.0 */
/* The queue of a model and the threads that empty it.
 *
 * A worker, under the lock, asks gal_queue_take what to do: sleep until there is work, sleep until
 * a batch is due, or run a batch; it runs without the lock. `idle` counts those that sleep. Who
 * puts jobs into the queue wakes as many as the jobs need calls; a worker that is busy needs no
 * waking, it takes what waits when it is done. */
#include "base/mem.h"
#include "base/thread.h"
#include "sched/decide.h"
#include "sched/sched_impl.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <time.h>

/* A batch's memory stays with its worker while work comes. */
#define POOL_KEEP_BYTES GAL_BATCH_BYTES_MAX
/* Quiet for so long: memory of the last burst is given back. */
#define TRIM_AFTER_US 1000000u
/* A loop that wakes on the same core comes first; see front.c. */
#define WORKER_SLICE_US 10000u
/* Where the process may use one processor. A loop that has run a while is behind its share, and
 * would not be let in before a worker has had as much, which the kernel looks at with its tick
 * alone (4 ms): with this it is in its rights at once. */
#define WORKER_NICE 15
/* How late a timed sleep may end. */
#define TIMER_SLACK_NS 1000ul
/* Calls that may have ended before an earlier one (keep_order). */
#define ENDED_A_WORKER 16u
/* A model that has run nothing for so many calls' time is measured again. */
#define PROBE_AFTER_CALLS 8u
/* Waiting jobs that are looked at to make room in a full queue. */
#define SWEEP_LOOKS 64u

/* ---- answers ---- */

static void send_late(struct gal_entry_list *late)
{
    struct gal_entry *e;
    while ((e = gal_entries_shift(late)) != NULL) {
        struct gal_job *job = gal_job_of(e);
        gal_job_fail_late(job);
        gal_job_send_home(job);
    }
}

static void send_all(struct gal_entry_list *jobs)
{
    struct gal_entry *e;
    while ((e = gal_entries_shift(jobs)) != NULL)
        gal_job_send_home(gal_job_of(e));
}

/* keep_order: a call's answers leave when all calls before it have sent theirs. Under the lock:
 * posting takes none. */
static void send_in_order(struct gal_sched *s, uint64_t ticket, struct gal_entry_list *jobs)
{
    s->ended[ticket % s->window] = (struct gal_ended){*jobs, true};
    *jobs = (struct gal_entry_list){0};
    struct gal_ended *first = &s->ended[s->next_sent % s->window];
    while (first->used) {
        first->used = false;
        send_all(&first->jobs);
        s->next_sent++;
        first = &s->ended[s->next_sent % s->window];
    }
    pthread_cond_broadcast(&s->work); /* who found the window full */
}

/* The places for calls that have ended early are taken: another must not begin. */
static bool must_hold(const struct gal_sched *s)
{
    return s->o.policy.keep_order && s->next_ticket - s->next_sent == s->window;
}

/* ---- a worker ---- */

/* Under the lock, behind what changes it. What comes joins the queue while that, or a worker, has
 * work, and one takes more now or soon. */
static void note_load(struct gal_sched *s)
{
    bool has_work = s->queue.count > 0, takes_soon = s->idle > 0 || s->started < s->o.workers;
    for (unsigned i = 0; i < s->started; i++) {
        has_work |= s->workers[i].ends_us != 0;
        takes_soon |= !s->workers[i].is_long;
    }
    atomic_store_explicit(&s->is_loaded, has_work && takes_soon, memory_order_relaxed);
}

static void answer_late(struct gal_sched *s, struct gal_entry_list *late)
{
    if (late->count == 0)
        return;
    note_load(s);
    pthread_mutex_unlock(&s->lock);
    send_late(late);
    pthread_mutex_lock(&s->lock);
}

/* Under the lock; until_us 0: for work alone. The scheduler's clock is CLOCK_MONOTONIC where
 * anybody waits for time. */
static void sleep_until(struct gal_sched *s, uint64_t until_us)
{
    s->idle++;
    if (until_us == 0) {
        pthread_cond_wait(&s->work, &s->lock);
    } else {
        const struct timespec t = {(time_t)(until_us / 1000000), (long)(until_us % 1000000) * 1000};
        (void)pthread_cond_timedwait(&s->work, &s->lock, &t);
    }
    s->idle--;
}

/* Under the lock, released meanwhile: what a burst has left goes back to the system. Outputs that
 * slow clients still hold do so after a while more. */
static void trim(struct gal_worker *w, uint64_t now_us)
{
    struct gal_sched *s = w->sched;
    pthread_mutex_unlock(&s->lock);
    gal_batch_pool_release(&w->pool);
    s->o.ops->trim(s->o.session);
    pthread_mutex_lock(&s->lock);
    w->trim_at_us = w->pool.out > 0 ? now_us + TRIM_AFTER_US : 0;
}

/* As trim, told so by gal_sched_tidy: other workers may go on meanwhile, with small calls. */
static void tidy(struct gal_worker *w)
{
    struct gal_sched *s = w->sched;
    bool is_first = s->untidy;
    w->tidied = s->tidyings;
    s->untidy = false;
    pthread_mutex_unlock(&s->lock);
    gal_batch_pool_release(&w->pool);
    if (is_first)
        s->o.ops->trim(s->o.session);
    pthread_mutex_lock(&s->lock);
}

static void rest(struct gal_worker *w, uint64_t now_us)
{
    if (w->trim_at_us != 0 && now_us >= w->trim_at_us)
        trim(w, now_us);
    else
        sleep_until(w->sched, w->trim_at_us);
}

/* Jobs that cannot run any more are sent off, the others begin. */
static void begin_all(struct gal_entry_list *jobs, struct gal_entry_list *ready, uint64_t now_us)
{
    struct gal_entry_list dropped = {0};
    struct gal_entry *e;
    while ((e = gal_entries_shift(jobs)) != NULL)
        gal_entries_push(gal_job_begin(gal_job_of(e), now_us) ? ready : &dropped, e);
    send_all(&dropped);
}

static void learn(struct gal_sched *s, const struct gal_entry_list *jobs, uint64_t now_us)
{
    for (const struct gal_entry *e = jobs->head; e; e = e->next) {
        const struct gal_job *job = gal_job_of((struct gal_entry *)e);
        if (!job->status)
            gal_goal_on_answer(&s->goal, job->finished_us - job->submitted_us, now_us);
    }
    gal_sched_replan(s);
}

/* Under the lock, released while the call runs. */
static void run_batch(struct gal_worker *w, struct gal_taken *taken, uint64_t now_us)
{
    struct gal_sched *s = w->sched;
    struct gal_entry_list ready = {0};
    uint64_t ticket = s->next_ticket++;
    w->ends_us = now_us + gal_cost_estimate_us(&s->cost, taken->rows) + 1;
    w->is_long = w->ends_us - now_us > GAL_ALONE_US_MAX;
    note_load(s);
    if (s->queue.count > 0 && s->idle > 0)
        pthread_cond_signal(&s->work); /* more than this call takes */
    pthread_mutex_unlock(&s->lock);
    send_late(&taken->late);
    begin_all(&taken->batch, &ready, now_us);
    if (ready.count > 0)
        gal_batch_run(&w->pool, &ready);
    uint64_t end_us = gal_mono_us(s->o.clock);
    if (s->o.policy.keep_order || s->o.policy.target_us > 0) {
        pthread_mutex_lock(&s->lock);
        if (s->o.policy.target_us > 0)
            learn(s, &ready, end_us);
        if (s->o.policy.keep_order)
            send_in_order(s, ticket, &ready);
        pthread_mutex_unlock(&s->lock);
    }
    send_all(&ready); /* from here on the jobs are not ours */
    pthread_mutex_lock(&s->lock);
    w->ends_us = 0;
    w->is_long = false;
    note_load(s);
    w->trim_at_us = end_us + TRIM_AFTER_US;
    s->ran_us = end_us;
}

/* Would nothing run, because the curve says that all would end too late? A curve that is wrong
 * would then never be put right: now and then one runs all the same, and is measured. */
static bool probes(const struct gal_sched *s, struct gal_taken *taken, uint64_t now_us)
{
    struct gal_entry_list late = taken->late;
    struct gal_entry *e;
    if (late.count == 0 ||
        now_us - s->ran_us <= PROBE_AFTER_CALLS * gal_cost_estimate_us(&s->cost, 1))
        return false;
    taken->late = (struct gal_entry_list){0};
    while ((e = gal_entries_shift(&late)) != NULL) {
        bool is_it = taken->batch.count == 0 && (e->expires_us == 0 || now_us < e->expires_us);
        taken->rows = is_it ? e->rows : taken->rows;
        gal_entries_push(is_it ? &taken->batch : &taken->late, e);
    }
    return taken->batch.count > 0;
}

static void *work(void *arg)
{
    struct gal_worker *w = arg;
    struct gal_sched *s = w->sched;
    (void)prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS, 0, 0, 0);
    gal_thread_slice(WORKER_SLICE_US); /* it was started by a loop, and has its pieces */
    if (s->o.one_core && gal_cpu_affinity() == 1)
        gal_thread_give_way(WORKER_NICE);
    pthread_mutex_lock(&s->lock);
    for (;;) {
        struct gal_taken taken;
        uint64_t now_us = gal_mono_us(s->o.clock);
        if (w->tidied != s->tidyings) {
            tidy(w);
            continue;
        }
        if (must_hold(s)) {
            sleep_until(s, 0);
            continue;
        }
        enum gal_take what = gal_queue_take(&s->queue, &s->cost, now_us, &taken);
        if (what != GAL_TAKE_BATCH && probes(s, &taken, now_us))
            what = GAL_TAKE_BATCH;
        switch (what) {
        case GAL_TAKE_BATCH:
            run_batch(w, &taken, now_us);
            break;
        case GAL_TAKE_WAIT:
            if (taken.late.count > 0)
                answer_late(s, &taken.late);
            else
                sleep_until(s, taken.wait_until_us);
            break;
        case GAL_TAKE_NOTHING:
            if (taken.late.count > 0)
                answer_late(s, &taken.late);
            else if (s->stopping)
                goto out;
            else
                rest(w, now_us);
            break;
        }
    }
out:
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* ---- into the queue ---- */

/* Under the lock. Fails only when no worker runs at all: one that is there will come to the job. */
static enum gal_status want_worker(struct gal_sched *s, struct gal_err *err)
{
    if (!gal_workers_want_one(s->queue.count, s->idle, s->started, s->o.workers))
        return GAL_OK;
    struct gal_worker *w = &s->workers[s->started];
    enum gal_status status = gal_thread_start(&w->thread, "galley-worker", work, w, err);
    s->started += !status;
    return s->started ? GAL_OK : status;
}

static struct gal_goal_view view_of(const struct gal_sched *s, const struct gal_job *job,
                                    uint64_t now_us)
{
    struct gal_goal_view v = {.rows = job->entry.rows,
                              .rows_ahead = gal_queue_rows_ahead(&s->queue, job->entry.level),
                              .rows_max = s->queue.rows_max,
                              .workers = s->o.workers,
                              .delay_us = s->queue.delay_us,
                              .oldest_us =
                                  gal_queue_oldest_us(&s->queue, job->entry.level, now_us)};
    for (unsigned i = 0; i < s->started; i++) {
        if (s->workers[i].ends_us == 0)
            continue;
        v.running++;
        v.rest_us += s->workers[i].ends_us > now_us ? s->workers[i].ends_us - now_us : 0;
    }
    v.rest_us /= v.running ? v.running : 1;
    return v;
}

static enum gal_status refuse(struct gal_sched *s, struct gal_job *job, enum gal_admit why)
{
    switch (why) {
    case GAL_ADMITTED:
        return GAL_OK;
    case GAL_ADMIT_LATE:
        return gal_job_fail_late(job);
    case GAL_ADMIT_BYTES:
        return gal_fail(&job->err, GAL_OVERLOADED,
                        "the model's queue is full: %zu bytes of requests wait", s->queue.bytes);
    case GAL_ADMIT_LEVEL_FULL:
    case GAL_ADMIT_FULL:
        break;
    }
    return gal_fail(&job->err, GAL_OVERLOADED, "the model's queue is full: %zu requests wait%s",
                    s->queue.count,
                    why == GAL_ADMIT_LEVEL_FULL ? " in all, too many of this priority" : "");
}

/* Under the lock: how long the workers will take for what waits; 0: not known. */
static uint64_t drain_us(const struct gal_sched *s)
{
    bool stacks = atomic_load_explicit(&s->stacks, memory_order_relaxed);
    size_t rows = stacks ? s->queue.rows : s->queue.count;
    size_t a_call = stacks ? s->queue.rows_max : 1;
    if (a_call > rows)
        a_call = rows;
    if (a_call == 0)
        return 0;
    uint64_t calls = (rows + a_call - 1) / a_call;
    return calls * gal_cost_estimate_us(&s->cost, a_call) / s->o.workers;
}

static bool has_no_room(enum gal_admit verdict)
{
    return verdict != GAL_ADMITTED && verdict != GAL_ADMIT_LATE;
}

/* Jobs that leave the queue when another comes. */
struct leaving {
    struct gal_entry_list late, displaced;
};

/* Under the lock: a less urgent job makes room; false when none does. */
static bool displace(struct gal_sched *s, const struct gal_job *job, struct leaving *out)
{
    struct gal_entry *e = gal_queue_displaced(&s->queue, &job->entry);
    if (!e)
        return false;
    struct gal_job *gone = gal_job_of(e);
    gal_queue_remove(&s->queue, e);
    gone->status = gal_fail(&gone->err, GAL_OVERLOADED,
                            "the model's queue is full: a more urgent request took the place");
    gone->retry_us = drain_us(s);
    gal_entries_push(&out->displaced, e);
    return true;
}

/* Under the lock. OK: it waits. *verdict: the queue's, GAL_ADMITTED when it was not asked. */
static enum gal_status admit(struct gal_sched *s, struct gal_job *job, struct leaving *out,
                             enum gal_admit *verdict)
{
    *verdict = GAL_ADMITTED;
    uint64_t now_us = job->submitted_us;
    if (atomic_load_explicit(&job->cancelled, memory_order_relaxed))
        return gal_job_fail_gone(job);
    if (s->o.policy.target_us > 0) {
        gal_goal_on_arrival(&s->goal, job->entry.rows, now_us);
        struct gal_goal_view view = view_of(s, job, now_us);
        if (gal_goal_sheds(&s->goal, &s->cost, &view))
            return gal_fail(
                &job->err, GAL_OVERLOADED,
                "the answer would come after %.1f ms, beyond the model's latency target",
                (double)gal_goal_predict_us(&s->cost, &view) / 1000.0);
    }
    *verdict = gal_queue_admit(&s->queue, &job->entry, now_us);
    if (has_no_room(*verdict)) {
        gal_queue_sweep(&s->queue, now_us, SWEEP_LOOKS, &out->late);
        *verdict = gal_queue_admit(&s->queue, &job->entry, now_us);
    }
    if (*verdict == GAL_ADMIT_FULL && displace(s, job, out))
        *verdict = gal_queue_admit(&s->queue, &job->entry, now_us);
    enum gal_status status = refuse(s, job, *verdict);
    if (!status)
        status = want_worker(s, &job->err);
    if (status && *verdict == GAL_ADMITTED)
        gal_queue_remove(&s->queue, &job->entry);
    return status;
}

void gal_sched_enqueue(struct gal_sched *s, struct gal_entry_list *jobs,
                       struct gal_entry_list *stay)
{
    struct gal_entry_list refused = {0};
    struct leaving out = {0};
    struct gal_entry *e;
    pthread_mutex_lock(&s->lock);
    while ((e = gal_entries_shift(jobs)) != NULL) {
        struct gal_job *job = gal_job_of(e);
        enum gal_admit verdict;
        job->status = admit(s, job, &out, &verdict);
        if (stay && job->may_stay && has_no_room(verdict)) {
            job->status = GAL_OK;
            gal_entries_push(stay, e);
            continue;
        }
        job->retry_us = job->status == GAL_OVERLOADED ? drain_us(s) : 0;
        if (job->status)
            gal_entries_push(&refused, e);
    }
    note_load(s);
    bool stacks = atomic_load_explicit(&s->stacks, memory_order_relaxed);
    unsigned wake = gal_workers_to_wake(stacks ? s->queue.rows : s->queue.count,
                                        stacks ? s->queue.rows_max : 1, s->idle);
    for (unsigned i = 0; i < wake; i++)
        pthread_cond_signal(&s->work);
    pthread_mutex_unlock(&s->lock);
    /* Those that wait are no longer ours: a worker may have sent them home already. */
    send_late(&out.late);
    send_all(&out.displaced);
    while ((e = gal_entries_shift(&refused)) != NULL)
        gal_job_finish(gal_job_of(e));
}

bool gal_sched_withdraw(struct gal_job *job)
{
    struct gal_sched *s = job->sched;
    pthread_mutex_lock(&s->lock);
    bool is_mine = job->entry.waiting;
    if (is_mine)
        gal_queue_remove(&s->queue, &job->entry);
    note_load(s);
    pthread_mutex_unlock(&s->lock);
    return is_mine;
}

/* ---- memory ---- */

void gal_sched_tidy(struct gal_sched *s)
{
    if (!gal_burst_is_over(&s->burst))
        return;
    pthread_mutex_lock(&s->lock);
    bool has_workers = s->started > 0;
    if (has_workers) {
        s->tidyings++;
        s->untidy = true;
        pthread_cond_broadcast(&s->work);
    }
    pthread_mutex_unlock(&s->lock);
    if (!has_workers)
        s->o.ops->trim(s->o.session);
}

/* ---- life ---- */

enum gal_status gal_workers_new(struct gal_sched *s, struct gal_err *err)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->work, &attr);
    pthread_condattr_destroy(&attr);
    s->workers = gal_calloc(s->o.workers, sizeof *s->workers);
    s->window = ENDED_A_WORKER * s->o.workers;
    s->ended = gal_calloc(s->window, sizeof *s->ended);
    if (!s->workers || !s->ended)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for %u workers", s->o.workers);
    for (unsigned i = 0; i < s->o.workers; i++) {
        s->workers[i].sched = s;
        gal_batch_pool_init(&s->workers[i].pool, POOL_KEEP_BYTES);
    }
    return GAL_OK;
}

void gal_workers_free(struct gal_sched *s)
{
    pthread_mutex_lock(&s->lock);
    GAL_ASSERT(s->queue.count == 0);
    s->stopping = true;
    pthread_cond_broadcast(&s->work);
    pthread_mutex_unlock(&s->lock);
    for (unsigned i = 0; i < s->started; i++)
        pthread_join(s->workers[i].thread, NULL);
    for (unsigned i = 0; s->workers && i < s->o.workers; i++)
        gal_batch_pool_release(&s->workers[i].pool);
    pthread_cond_destroy(&s->work);
    gal_free(s->workers);
    gal_free(s->ended);
}
