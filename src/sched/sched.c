/* SPDX-License-Identifier: Apache-2.0 */
/* Where a job goes, what a call costs, how it ends. The queue and its threads are in worker.c.
 *
 * Locks: `lock` guards the queue, the workers' counts, the cost curve and the goal; nothing is
 * called under it but pthread_create. The inline path never waits for it: it reads numbers that
 * are stored under it (inline_rows_max, alone_...), and leaves a sample out when it is taken. */
#include "sched/sched.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/thread.h"
#include "sched/decide.h"
#include "sched/sched_impl.h"
#include "sched/turn.h"

#include <stdatomic.h>

/* On the inline path one run in so many is measured for the estimate, besides every dear one. */
#define OBSERVE_EVERY 16u

/* ---- cost ---- */

/* The share of the goal that plans may use. Under the lock. */
static uint64_t goal_us(const struct gal_sched *s)
{
    return (uint64_t)((double)s->o.policy.target_us * s->goal.margin);
}

/* Of a call on the loop of a model that is asked alone. Where there is a goal a request may wait
 * for the call under way, then for its own, and for the reading and writing of both: each gets a
 * third. Under the lock. */
static uint64_t alone_us_max(const struct gal_sched *s)
{
    uint64_t third_us = goal_us(s) / 3;
    return third_us != 0 && third_us < GAL_ALONE_US_MAX ? third_us : GAL_ALONE_US_MAX;
}

/* To put a row beside others costs a copy, and one out of the caches where it is large. It pays
 * where the call becomes cheaper by more than that; small rows are not worth the question. Where
 * the queue has settings of its own, rows share calls in any case. */
#define STACKED_BYTES_MIN (64u << 10)
#define COPY_BYTES_PER_NS 8u

static void set_stacked_bytes(struct gal_sched *s)
{
    uint64_t saved_ns = gal_cost_saved_ns(&s->cost);
    size_t bytes = SIZE_MAX;
    if (gal_policy_needs_queue(&s->o.policy, NULL) == 0 && saved_ns < SIZE_MAX / COPY_BYTES_PER_NS)
        bytes = saved_ns * COPY_BYTES_PER_NS;
    if (bytes < STACKED_BYTES_MIN)
        bytes = STACKED_BYTES_MIN;
    atomic_store_explicit(&s->stacked_bytes_max, bytes, memory_order_relaxed);
}

/* By hope: sizes that one bad moment made seem too dear would else never run here again, and so
 * never be put right. */
static void set_inline_rows(struct gal_sched *s)
{
    size_t rows = 0, alone = 0;
    if (s->o.mode == GAL_SCHED_INLINE)
        rows = SIZE_MAX;
    else if (s->o.mode == GAL_SCHED_AUTO && gal_policy_needs_queue(&s->o.policy, NULL) == 0)
        rows = gal_cost_rows_hoped(&s->cost, s->o.inline_us_max, SIZE_MAX);
    if (s->o.one_core && s->o.mode == GAL_SCHED_AUTO &&
        gal_policy_needs_queue(&s->o.policy, NULL) == 0)
        alone = gal_cost_rows_hoped(&s->cost, alone_us_max(s), s->o.policy.rows_max);
    atomic_store_explicit(&s->inline_rows_max, rows, memory_order_relaxed);
    atomic_store_explicit(&s->alone_rows_max, alone, memory_order_relaxed);
    atomic_store_explicit(&s->alone_us, gal_cost_hope_ns(&s->cost, alone) / 1000,
                          memory_order_relaxed);
    atomic_store_explicit(&s->alone_goal_us, goal_us(s), memory_order_relaxed);
}

/* What follows from the costs, for who reads it without the lock. */
static void set_bounds(struct gal_sched *s)
{
    set_inline_rows(s);
    set_stacked_bytes(s);
}

void gal_sched_replan(struct gal_sched *s)
{
    set_bounds(s);
    if (s->o.policy.target_us == 0)
        return;
    struct gal_goal_plan plan = gal_goal_plan(&s->goal, &s->cost, s->o.workers, &s->o.policy);
    gal_queue_bound(&s->queue, plan.rows_max, plan.delay_us);
}

void gal_sched_observe(struct gal_sched *s, size_t rows, uint64_t cost_ns)
{
    if (pthread_mutex_trylock(&s->lock) != 0)
        return;
    gal_cost_observe(&s->cost, rows, cost_ns);
    gal_sched_replan(s);
    pthread_mutex_unlock(&s->lock);
}

void gal_sched_stack(struct gal_sched *s)
{
    atomic_store_explicit(&s->stacks, true, memory_order_relaxed);
}

const struct gal_sched_options *gal_sched_options(const struct gal_sched *s)
{
    return &s->o;
}

bool gal_sched_is_inline(const struct gal_sched *s, size_t rows)
{
    return rows <= atomic_load_explicit(&s->inline_rows_max, memory_order_relaxed);
}

bool gal_sched_hands_over(const struct gal_sched *s, size_t rows)
{
    return s->o.mode == GAL_SCHED_AUTO && !s->o.one_core && !gal_sched_is_inline(s, rows);
}

/* ---- one call ---- */

static bool is_observed(struct gal_sched *s, const struct gal_call *c)
{
    static _Thread_local unsigned calls; /* of all models: a loop's own count, shared with nobody */
    unsigned n = calls++;
    return n % OBSERVE_EVERY == 0 || c->infer_ns > s->o.inline_us_max * 1000 ||
           !gal_sched_is_inline(s, c->rows);
}

enum gal_status gal_sched_call(struct gal_sched *s, struct gal_call *c, struct gal_err *err)
{
    gal_stats_begin(s->stats);
    uint64_t start_ns = gal_mono_ns(s->o.clock);
    enum gal_status status = s->o.ops->run(s->o.session, c->inputs, c->wanted, c->output_count,
                                           c->arena, c->outputs, err);
    uint64_t end_ns = gal_mono_ns(s->o.clock);
    c->infer_ns = end_ns - start_ns;
    c->finished_us = end_ns / 1000;
    c->ran = status == GAL_OK;
    if (!c->ran) {
        const struct gal_stats_call failed = {c->rows, c->input_ns,    c->infer_ns,
                                              0,       c->finished_us, true};
        gal_stats_end(s->stats, &failed);
    } else if (is_observed(s, c)) {
        gal_sched_observe(s, c->rows, c->infer_ns);
    }
    return status;
}

void gal_sched_count_call(struct gal_sched *s, const struct gal_call *c, uint64_t output_ns)
{
    const struct gal_stats_call call = {c->rows,   c->input_ns,    c->infer_ns,
                                        output_ns, c->finished_us, false};
    gal_stats_end(s->stats, &call);
}

/* ---- one job ---- */

enum gal_status gal_job_fail_gone(struct gal_job *job)
{
    job->status = gal_fail(&job->err, GAL_CANCELLED, "the client has gone");
    return job->status;
}

enum gal_status gal_job_fail_late(struct gal_job *job)
{
    job->status =
        gal_fail(&job->err, GAL_DEADLINE, "no answer was possible before the request's deadline");
    return job->status;
}

bool gal_job_begin(struct gal_job *job, uint64_t now_us)
{
    if (atomic_load_explicit(&job->cancelled, memory_order_relaxed)) {
        gal_job_fail_gone(job);
        return false;
    }
    if (gal_job_is_late(job->deadline_us, now_us)) {
        gal_job_fail_late(job);
        return false;
    }
    job->started_us = now_us;
    return true;
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
        gal_job_fail_gone(job);
    }
    gal_stats_job(s->stats, job, job->finished_us ? job->finished_us : gal_mono_us(s->o.clock));
    job->on_done(job);
}

static void on_task(struct gal_task *task)
{
    gal_job_finish((struct gal_job *)((char *)task - offsetof(struct gal_job, task)));
}

void gal_job_send_home(struct gal_job *job)
{
    job->task.run = on_task;
    gal_loop_post(job->home, &job->task);
}

/* ---- interface ---- */

static void run_now(struct gal_job *job)
{
    if (gal_job_begin(job, job->submitted_us)) {
        struct gal_batch_pool none;
        struct gal_entry_list one = {0};
        gal_batch_pool_init(&none, 0);
        gal_entries_push(&one, &job->entry);
        gal_batch_run(&none, &one); /* a lone job takes nothing from the pool */
    }
    gal_job_finish(job);
}

static void reset(struct gal_sched *s, struct gal_job *job)
{
    job->sched = s;
    job->status = GAL_OK;
    gal_err_clear(&job->err);
    job->retry_us = 0;
    job->submitted_us = gal_mono_us(s->o.clock);
    job->started_us = job->finished_us = 0;
    job->call_rows = 0;
    job->led = job->is_dear = job->is_alone = job->stays = job->may_stay = false;
    job->input_ns = job->infer_ns = job->output_ns = 0;
    gal_stats_submit(s->stats);
    job->batch = NULL;
}

/* May the job run on its loop? Sets its rows_limit. What comes while workers have work makes their
 * calls larger, which is cheaper than one more of its own. */
static bool runs_inline(struct gal_sched *s, struct gal_job *job, bool stacks)
{
    size_t most = atomic_load_explicit(&s->inline_rows_max, memory_order_relaxed);
    job->rows_limit = most < s->o.policy.rows_max ? most : s->o.policy.rows_max;
    if (s->o.one_core && job->turn && gal_turn_is_alone(job->turn, s, job->submitted_us) &&
        stacks) {
        size_t alone = atomic_load_explicit(&s->alone_rows_max, memory_order_relaxed);
        if (job->rows <= alone) {
            job->rows_limit = alone;
            job->is_dear = job->rows > most;
            job->is_alone = alone > most;
            job->stays = true;
            return true;
        }
    }
    if (job->home && stacks && !s->o.one_core &&
        atomic_load_explicit(&s->is_loaded, memory_order_relaxed))
        return false;
    return job->rows <= most;
}

/* How long it has waited, at most: turns under load are about as long as those before, and who is
 * read early in this one came early in that one. */
static uint64_t waited_us(const struct gal_job *job)
{
    bool known = job->arrived_us != 0 && job->arrived_us < job->submitted_us;
    uint64_t us = known ? job->submitted_us - job->arrived_us : 0;
    return us > job->waited_us ? us : job->waited_us;
}

/* On a loop whose turns have become so long that its answer would miss the goal: behind its wait
 * come the calls of those that were read before it, its own, and the writing of its answers, which
 * gets half as long. What finds the loop free runs whatever it costs.
 *
 * A burst may use all of the goal. A wait that does not end by itself may not: it brings no
 * throughput (hundreds of requests under way at once cost a core some of its caches), so it is cut
 * to what fills calls: one under way, its own, and the writing (the idea of CoDel, RFC 8289). */
static bool is_shed(const struct gal_sched *s, const struct gal_job *job)
{
    uint64_t limit_us = atomic_load_explicit(&s->alone_goal_us, memory_order_relaxed);
    if (limit_us == 0 || !job->is_alone || job->arrived_us == 0)
        return false;
    uint64_t most_us = atomic_load_explicit(&s->alone_us, memory_order_relaxed);
    uint64_t wait_us = waited_us(job);
    size_t rows = gal_turn_rows(job->turn) + job->entry.rows, ahead = (rows - 1) / job->rows_limit;
    uint64_t call_us = most_us * (rows - ahead * job->rows_limit) / job->rows_limit;
    if (gal_turn_stands(job->turn, wait_us, most_us + most_us / 2, job->submitted_us) &&
        3 * most_us < limit_us)
        limit_us = 3 * most_us;
    return wait_us + ahead * most_us + call_us + call_us / 2 > limit_us &&
           !gal_turn_begins(job->turn, job);
}

void gal_sched_learn(struct gal_sched *s, const struct gal_entry_list *jobs)
{
    if (s->o.policy.target_us == 0 || pthread_mutex_trylock(&s->lock) != 0)
        return;
    for (const struct gal_entry *e = jobs->head; e; e = e->next) {
        const struct gal_job *job = gal_job_of((struct gal_entry *)e);
        if (job->is_alone && job->status == GAL_OK)
            gal_goal_on_answer(&s->goal, waited_us(job) + job->finished_us - job->submitted_us,
                               job->finished_us);
    }
    pthread_mutex_unlock(&s->lock);
}

static void shed(struct gal_job *job)
{
    job->status = gal_fail(&job->err, GAL_OVERLOADED,
                           "the request has waited up to %.1f ms: its answer would come beyond the "
                           "model's latency target",
                           (double)waited_us(job) / 1000.0);
    gal_job_finish(job);
}

uint64_t gal_job_ends_us(const struct gal_sched *s, const struct gal_job *job, uint64_t now_us)
{
    const struct gal_entry e = {
        .level = job->priority, .timeout_us = job->timeout_us, .deadline_us = job->deadline_us};
    return gal_wait_ends_us(&s->o.policy, &e, now_us);
}

/* What shares its call with nobody, and is no worker's, gains nothing from the turn's end: its
 * inputs are in the caches now. But where there is a goal the turn knows what was before it. */
static bool runs_at_once(const struct gal_sched *s, const struct gal_job *job)
{
    return job->entry.alone && s->o.one_core && !job->is_dear && s->o.policy.target_us == 0;
}

void gal_sched_submit(struct gal_sched *s, struct gal_job *job)
{
    bool stacks = atomic_load_explicit(&s->stacks, memory_order_relaxed);
    reset(s, job);
    gal_batch_classify(
        job, stacks ? atomic_load_explicit(&s->stacked_bytes_max, memory_order_relaxed) : 0);
    job->expires_us = gal_job_ends_us(s, job, job->submitted_us);
    bool is_inline = runs_inline(s, job, stacks);
    if (!is_inline)
        job->entry.bytes = gal_batch_bytes(job);
    if (is_inline && is_shed(s, job)) {
        shed(job);
    } else if (is_inline && job->turn && stacks && !runs_at_once(s, job)) {
        gal_turn_add(job->turn, job);
    } else if (is_inline || !job->home) {
        run_now(job);
    } else if (job->turn) {
        gal_turn_add_queued(job->turn, job);
    } else {
        struct gal_entry_list one = {0};
        gal_entries_push(&one, &job->entry);
        gal_sched_enqueue(s, &one, NULL);
    }
}

void gal_job_cancel(struct gal_job *job)
{
    atomic_store_explicit(&job->cancelled, true, memory_order_relaxed);
    if (job->sched && gal_sched_withdraw(job)) {
        gal_job_fail_gone(job);
        gal_job_send_home(job);
    }
}

void gal_job_expire(struct gal_job *job)
{
    if (job->sched && gal_sched_withdraw(job)) {
        gal_job_fail_late(job);
        gal_job_send_home(job);
    }
}

void gal_sched_stats(const struct gal_sched *s, struct gal_sched_stats *out)
{
    struct gal_sched *open = (struct gal_sched *)s; /* the lock is no part of its value */
    *out = (struct gal_sched_stats){.workers = s->o.workers};
    gal_stats_read(s->stats, gal_mono_us(s->o.clock), gal_wall_us(s->o.clock), out);
    pthread_mutex_lock(&open->lock);
    out->waiting = s->queue.count;
    out->waiting_bytes = s->queue.bytes;
    out->rows_max = s->queue.rows_max;
    out->delay_us = s->queue.delay_us;
    pthread_mutex_unlock(&open->lock);
}

size_t gal_sched_batch_stats(const struct gal_sched *s, struct gal_batch_stats *out, size_t room)
{
    return gal_stats_batches(s->stats, out, room);
}

/* ---- life ---- */

enum gal_status gal_sched_new(const struct gal_sched_options *options, struct gal_sched **out,
                              struct gal_err *err)
{
    *out = NULL;
    enum gal_status status = gal_policy_check(&options->policy, err);
    if (status)
        return status;
    struct gal_sched *s = gal_calloc(1, sizeof *s);
    if (!s)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a scheduler");
    s->o = *options;
    if (s->o.workers == 0)
        s->o.workers = 1;
    pthread_mutex_init(&s->lock, NULL);
    gal_queue_init(&s->queue, &s->o.policy);
    gal_goal_init(&s->goal, s->o.policy.target_us);
    status = gal_workers_new(s, err);
    if (!status)
        status = gal_stats_new(gal_cpu_count() + s->o.workers, &s->stats, err);
    if (status) {
        gal_sched_free(s);
        return status;
    }
    set_bounds(s);
    *out = s;
    return GAL_OK;
}

void gal_sched_free(struct gal_sched *s)
{
    if (!s)
        return;
    gal_workers_free(s);
    gal_stats_free(s->stats);
    pthread_mutex_destroy(&s->lock);
    gal_free(s);
}
