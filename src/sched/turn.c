/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/turn.h"

#include "base/limits.h"
#include "base/mem.h"
#include "sched/sched_impl.h"

#define ALONE_AFTER_US 1000000u
#define STANDS_AFTER_US 50000u

struct gal_turn {
    const struct gal_clock *clock;
    struct gal_entry_list jobs;    /* to run here */
    struct gal_entry_list queued;  /* to go into their models' queues */
    size_t rows;                   /* of jobs */
    uint64_t arrived_us;           /* of the latest job */
    uint64_t low_us, low_since_us; /* the shortest wait since then */
    uint64_t last_us;              /* when a wait was noted last */
    bool stands;                   /* as found in the window before */
    bool running;
    struct gal_batch_pool pool;
    const struct gal_sched *last; /* whose job came last; compared, not looked into */
    uint64_t last_since_us;       /* since when only its jobs have come; 0: ever */
    size_t seen;                  /* jobs at the end of the last turn that gathered */
    unsigned gathers;             /* turns in a row */
};

enum gal_status gal_turn_new(const struct gal_clock *clock, struct gal_turn **out,
                             struct gal_err *err)
{
    struct gal_turn *t = gal_calloc(1, sizeof *t);
    if (!t)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a loop's turn");
    t->clock = clock;
    gal_batch_pool_init(&t->pool, GAL_ARENA_KEEP_BYTES);
    *out = t;
    return GAL_OK;
}

void gal_turn_free(struct gal_turn *t)
{
    if (!t)
        return;
    GAL_ASSERT(t->jobs.count == 0 && t->queued.count == 0);
    gal_batch_pool_release(&t->pool);
    gal_free(t);
}

/* Takes the first job and all that go with it out of the list; returns their rows. */
static size_t take_group(struct gal_entry_list *jobs, struct gal_entry_list *group)
{
    struct gal_entry_list left = {0};
    struct gal_entry *e = gal_entries_shift(jobs);
    struct gal_job *first = gal_job_of(e);
    size_t rows = first->entry.rows, rows_max = first->rows_limit;
    *group = (struct gal_entry_list){0};
    gal_entries_push(group, e);
    while ((e = gal_entries_shift(jobs)) != NULL) {
        struct gal_job *job = gal_job_of(e);
        bool fits = rows + job->entry.rows <= rows_max && gal_batch_agrees(first, job);
        rows += fits ? job->entry.rows : 0;
        gal_entries_push(fits ? group : &left, e);
    }
    *jobs = left;
    return rows;
}

static void run_group(struct gal_turn *t, struct gal_entry_list *group)
{
    uint64_t now_us = gal_mono_us(t->clock);
    struct gal_entry_list ready = {0}, dropped = {0};
    struct gal_entry *e;
    while ((e = gal_entries_shift(group)) != NULL)
        gal_entries_push(gal_job_begin(gal_job_of(e), now_us) ? &ready : &dropped, e);
    if (ready.count > 0) {
        gal_batch_run(&t->pool, &ready);
        gal_sched_learn(gal_job_of(ready.head)->sched, &ready);
    }
    while ((e = gal_entries_shift(&dropped)) != NULL)
        gal_job_finish(gal_job_of(e));
    while ((e = gal_entries_shift(&ready)) != NULL)
        gal_job_finish(gal_job_of(e));
}

/* The first's and all of the same model, out of the list; returns their rows. */
static size_t take_same(struct gal_entry_list *jobs, struct gal_entry_list *same)
{
    const struct gal_sched *s = gal_job_of(jobs->head)->sched;
    struct gal_entry_list left = {0};
    struct gal_entry *e;
    size_t rows = 0;
    *same = (struct gal_entry_list){0};
    while ((e = gal_entries_shift(jobs)) != NULL) {
        bool is_same = gal_job_of(e)->sched == s;
        rows += is_same ? e->rows : 0;
        gal_entries_push(is_same ? same : &left, e);
    }
    *jobs = left;
    return rows;
}

/* Each model's jobs go into its queue under one lock, and wake its workers once. What was to run
 * here and finds no room there goes back behind jobs. */
static void send_queued(struct gal_turn *t, struct gal_entry_list *jobs)
{
    struct gal_entry_list all = t->queued;
    t->queued = (struct gal_entry_list){0};
    while (all.head) {
        struct gal_sched *s = gal_job_of(all.head)->sched;
        struct gal_entry_list same;
        (void)take_same(&all, &same);
        struct gal_entry_list stay = {0};
        gal_sched_enqueue(s, &same, &stay);
        struct gal_entry *e;
        while ((e = gal_entries_shift(&stay)) != NULL) {
            t->rows += e->rows;
            gal_entries_push(jobs, e);
        }
    }
}

/* All are one model's, and may run here: nearly every turn. */
static bool is_light(const struct gal_turn *t, const struct gal_entry_list *jobs)
{
    const struct gal_job *first = gal_job_of(jobs->head);
    for (const struct gal_entry *e = jobs->head->next; e; e = e->next) {
        if (gal_job_of((struct gal_entry *)e)->sched != first->sched)
            return false;
    }
    return first->stays || !gal_sched_hands_over(first->sched, t->rows);
}

/* What costs more than may run here, all of a model's together, goes to its workers. */
static void hand_over(struct gal_turn *t, struct gal_entry_list *jobs)
{
    struct gal_entry_list stay = {0}, same;
    struct gal_entry *e;
    if (!jobs->head || is_light(t, jobs))
        return;
    while (jobs->head) {
        size_t rows = take_same(jobs, &same);
        const struct gal_job *first = gal_job_of(same.head);
        bool goes = !first->stays && gal_sched_hands_over(first->sched, rows);
        t->rows -= goes ? rows : 0;
        while ((e = gal_entries_shift(&same)) != NULL) {
            if (goes)
                e->bytes = gal_batch_bytes(gal_job_of(e));
            gal_job_of(e)->may_stay = goes;
            gal_entries_push(goes ? &t->queued : &stay, e);
        }
    }
    *jobs = stay;
}

bool gal_turn_gathers(struct gal_turn *t)
{
    struct gal_entry *first = t->jobs.head;
    bool gathers = first && gal_job_of(first)->is_dear && t->jobs.count > t->seen &&
                   t->gathers < GAL_TURN_GATHERS_MAX &&
                   t->jobs.count < gal_job_of(first)->rows_limit && t->queued.count == 0;
    t->seen = gathers ? t->jobs.count : 0;
    t->gathers = gathers ? t->gathers + 1 : 0;
    return gathers;
}

void gal_turn_run(struct gal_turn *t)
{
    if (t->running)
        return; /* the caller above takes what came meanwhile */
    t->running = true;
    t->seen = 0;
    while (t->jobs.count > 0 || t->queued.count > 0) {
        struct gal_entry_list jobs = t->jobs;
        t->jobs = (struct gal_entry_list){0};
        hand_over(t, &jobs);
        send_queued(t, &jobs); /* first: workers run beside what runs here */
        while (jobs.head) {
            struct gal_entry_list group;
            t->rows -= take_group(&jobs, &group);
            run_group(t, &group);
        }
    }
    t->running = false;
}

bool gal_turn_waits(const struct gal_turn *t)
{
    return t->jobs.count > 0 || t->queued.count > 0;
}

size_t gal_turn_rows(const struct gal_turn *t)
{
    return t->rows;
}

bool gal_turn_stands(struct gal_turn *t, uint64_t waited_us, uint64_t calm_us, uint64_t now_us)
{
    /* When the last one came this one had not: nothing waited in between. */
    uint64_t low_us = now_us - t->last_us > waited_us ? 0 : waited_us;
    t->last_us = now_us;
    if (low_us < t->low_us)
        t->low_us = low_us;
    if (t->low_us <= calm_us)
        t->stands = false;
    if (now_us - t->low_since_us >= STANDS_AFTER_US) {
        t->stands = t->low_us > calm_us;
        t->low_since_us = now_us;
        t->low_us = waited_us;
    }
    return t->stands;
}

bool gal_turn_begins(const struct gal_turn *t, const struct gal_job *job)
{
    return t->rows == 0 && t->arrived_us != job->arrived_us;
}

bool gal_turn_is_alone(struct gal_turn *t, const struct gal_sched *s, uint64_t now_us)
{
    if (t->last != s) {
        t->last_since_us = t->last ? now_us : 0;
        t->last = s;
    }
    return now_us - t->last_since_us >= ALONE_AFTER_US;
}

void gal_turn_add(struct gal_turn *t, struct gal_job *job)
{
    gal_entries_push(&t->jobs, &job->entry);
    t->rows += job->entry.rows;
    t->arrived_us = job->arrived_us;
    if (t->jobs.count >= GAL_TURN_JOBS_MAX)
        gal_turn_run(t);
}

void gal_turn_add_queued(struct gal_turn *t, struct gal_job *job)
{
    gal_entries_push(&t->queued, &job->entry);
    if (t->queued.count >= GAL_TURN_JOBS_MAX)
        send_queued(t, &t->jobs);
}
