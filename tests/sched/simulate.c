/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/simulate.h"

#include "sched/judge.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define WORKERS_MAX 64u
#define JUMP_US 10000000u
/* Calls a worker that may have ended before an earlier one (keep_order); so few that they are not
 * enough at times. */
#define ENDED_A_WORKER 2u

enum job_state { JOB_NEW, JOB_WAITING, JOB_RUNNING, JOB_DONE };
enum outcome { ANSWERED, SHED, REFUSED, EXPIRED, CANCELLED, FAILED };

struct job {
    struct gal_entry entry; /* first: an entry is its job */
    enum job_state state;
    bool gone; /* its client */
    uint64_t submitted_us;
    enum outcome how; /* it will leave */
};

enum event_kind { EVENT_ARRIVAL, EVENT_DONE, EVENT_WAKE, EVENT_CANCEL, EVENT_EXPIRE };
struct event {
    uint64_t at_us, order;
    enum event_kind kind;
    size_t which; /* worker or job */
};

struct worker {
    bool busy, fails;
    struct gal_entry *jobs;    /* of the call under way */
    struct gal_entry *singles; /* of a call that failed, to be run one by one */
    size_t rows;
    uint64_t started_us, ends_us, expected_us;
    uint64_t ticket; /* of its batch */
};

/* A batch whose answers wait for those of earlier ones (keep_order). */
struct ended {
    struct gal_entry_list jobs;
    bool whole; /* it runs no more */
};

struct series {
    uint32_t *us;
    size_t count, room;
};

struct sim {
    const struct sim_options *o;
    struct sim_result r;
    struct gal_queue q;
    struct gal_cost cost;
    struct gal_goal goal;
    struct judge judge;
    struct job *jobs;
    size_t submitted, done;
    struct worker worker[WORKERS_MAX];
    unsigned running;
    struct event *heap;
    size_t events, room;
    uint64_t orders, wake_us;
    uint64_t now_us, draws;
    double
        arrival_us; /* of the last arrival, with its fraction: rates may pass one a microsecond */
    uint64_t busy_us;
    uint64_t next_ticket, next_sent;
    struct ended ended[ENDED_A_WORKER * WORKERS_MAX]; /* by ticket */
    struct series latency[SIM_PHASES];
};

uint64_t sim_draw(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

double sim_draw_share(uint64_t *state)
{
    return (double)(sim_draw(state) >> 11) / 9007199254740992.0;
}

double sim_capacity(const struct sim_options *o)
{
    double rows = (double)o->policy.rows_max;
    double call_us = (o->base_us + o->row_us * rows) * (1.0 + o->noise) / 2.0;
    return (double)o->workers * rows * 1e6 / call_us;
}

static bool draws_share(struct sim *s, double share)
{
    return share > 0.0 && sim_draw_share(&s->draws) < share;
}

static void *grown(void *p, size_t *room, size_t size)
{
    *room = *room ? *room * 2 : 256;
    void *more = realloc(p, *room * size);
    if (!more)
        abort();
    return more;
}

/* ---- events ---- */

static bool is_before(const struct event *a, const struct event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void schedule(struct sim *s, uint64_t at_us, enum event_kind kind, size_t which)
{
    if (s->events == s->room)
        s->heap = grown(s->heap, &s->room, sizeof *s->heap);
    struct event e = {at_us, s->orders++, kind, which};
    size_t i = s->events++;
    while (i > 0 && is_before(&e, &s->heap[(i - 1) / 2])) {
        s->heap[i] = s->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    s->heap[i] = e;
}

static struct event next_event(struct sim *s)
{
    struct event first = s->heap[0];
    struct event last = s->heap[--s->events];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= s->events)
            break;
        if (child + 1 < s->events && is_before(&s->heap[child + 1], &s->heap[child]))
            child++;
        if (!is_before(&s->heap[child], &last))
            break;
        s->heap[i] = s->heap[child];
        i = child;
    }
    s->heap[i] = last;
    return first;
}

/* ---- arrivals ---- */

static unsigned phase_at(const struct sim_options *o, uint64_t us)
{
    unsigned i = 0;
    while (i + 1 < SIM_PHASES && o->phase[i].until_us && us >= o->phase[i].until_us)
        i++;
    return i;
}

static uint64_t phase_start(const struct sim_options *o, unsigned i)
{
    return i ? o->phase[i - 1].until_us : 0;
}

/* Schedules all that come next: one, or a burst. */
static void schedule_arrivals(struct sim *s)
{
    const struct sim_options *o = s->o;
    double rate = o->phase[phase_at(o, s->now_us)].rate;
    unsigned burst = o->arrivals == SIM_BURSTS ? 1 + (unsigned)(sim_draw(&s->draws) % 32) : 1;
    if (o->arrivals == SIM_CLOSED)
        return;
    if (o->arrivals == SIM_ON_OFF)
        rate *= 2.0;
    double gap = -log(1.0 - sim_draw_share(&s->draws)) * 1e6 * (double)burst / rate;
    s->arrival_us = fmax(s->arrival_us, (double)s->now_us) + gap;
    uint64_t at = (uint64_t)s->arrival_us;
    if (o->arrivals == SIM_ON_OFF && at / 10000 % 2)
        at += 10000;
    for (unsigned i = 0; i < burst; i++)
        schedule(s, at, EVENT_ARRIVAL, i + 1 == burst);
}

static uint64_t draw_time(struct sim *s, double share, uint64_t most_us)
{
    if (!draws_share(s, share))
        return 0;
    if (s->o->exact)
        return most_us;
    return most_us / 4 + sim_draw(&s->draws) % (most_us - most_us / 4);
}

static void make_job(struct sim *s, struct job *j)
{
    const struct sim_options *o = s->o;
    struct gal_entry *e = &j->entry;
    e->level =
        draws_share(s, o->urgent) ? 1 : (unsigned)(sim_draw(&s->draws) % (o->policy.levels + 2));
    e->rows = 1 + (size_t)(sim_draw(&s->draws) % o->rows_most);
    e->bytes = o->bytes_most ? (size_t)(sim_draw(&s->draws) % o->bytes_most) : 0;
    e->key = o->keys > 1 ? sim_draw(&s->draws) % o->keys : 0;
    e->alone = draws_share(s, o->alone);
    e->timeout_us = draw_time(s, o->with_timeout, o->timeout_us);
    uint64_t life = draw_time(s, o->with_deadline, o->deadline_us);
    e->deadline_us = life ? s->now_us + life : 0;
    j->submitted_us = s->now_us;
}

/* ---- answers ---- */

static int compare_us(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void measure_answer(struct sim *s, const struct job *j, unsigned phase)
{
    struct sim_measure *m = &s->r.phase[phase];
    struct series *l = &s->latency[phase];
    uint64_t us = s->now_us - j->submitted_us;
    bool in_time = (j->entry.deadline_us == 0 || s->now_us <= j->entry.deadline_us) &&
                   (s->o->policy.target_us == 0 || us <= s->o->policy.target_us);
    m->answered++;
    m->in_time += in_time;
    if (l->count == l->room)
        l->us = grown(l->us, &l->room, sizeof *l->us);
    l->us[l->count++] = (uint32_t)us;
}

static void answer(struct sim *s, struct job *j, enum outcome how)
{
    const struct sim_options *o = s->o;
    unsigned phase = phase_at(o, j->submitted_us);
    struct sim_measure *m = &s->r.phase[phase];
    JUDGE(j->state != JOB_DONE); /* nobody is answered twice */
    JUDGE(!j->entry.waiting);
    j->state = JOB_DONE;
    s->done++;
    s->r.answered += how == ANSWERED;
    s->r.not_run += how == SHED || how == REFUSED || how == EXPIRED || how == CANCELLED;
    if (o->arrivals == SIM_CLOSED)
        schedule(s, s->now_us, EVENT_ARRIVAL, 0);
    if (j->submitted_us < phase_start(o, phase) + o->settle_us)
        return;
    m->submitted++;
    switch (how) {
    case ANSWERED:
        measure_answer(s, j, phase);
        break;
    case SHED:
        m->shed++;
        break;
    case REFUSED:
        m->refused++;
        break;
    case EXPIRED:
        m->expired++;
        break;
    case CANCELLED:
        m->cancelled++;
        break;
    case FAILED:
        m->failed++;
        break;
    }
}

static void answer_all(struct sim *s, struct gal_entry *e, enum outcome how)
{
    while (e) {
        struct gal_entry *next = e->next;
        answer(s, (struct job *)e, how);
        e = next;
    }
}

/* ---- order ---- */

static struct ended *ended_of(struct sim *s, uint64_t ticket)
{
    return &s->ended[ticket % (ENDED_A_WORKER * s->o->workers)];
}

static bool must_hold(const struct sim *s)
{
    return s->o->policy.keep_order &&
           s->next_ticket - s->next_sent == (uint64_t)ENDED_A_WORKER * s->o->workers;
}

/* Jobs of a worker's batch have run. */
static void leave(struct sim *s, const struct worker *w, struct gal_entry *e, enum outcome how)
{
    if (!s->o->policy.keep_order) {
        answer_all(s, e, how);
        return;
    }
    struct gal_entry_list *all = &ended_of(s, w->ticket)->jobs;
    for (struct gal_entry *next; e; e = next) {
        next = e->next;
        e->next = NULL;
        ((struct job *)e)->how = how;
        if (all->tail)
            all->tail->next = e;
        else
            all->head = e;
        all->tail = e;
    }
}

/* All of it has run: what no earlier batch holds up any more is answered. */
static void end_batch(struct sim *s, const struct worker *w)
{
    if (!s->o->policy.keep_order)
        return;
    ended_of(s, w->ticket)->whole = true;
    for (struct ended *b; (b = ended_of(s, s->next_sent))->whole; s->next_sent++) {
        struct gal_entry *e = b->jobs.head;
        *b = (struct ended){0};
        for (struct gal_entry *next; e; e = next) {
            next = e->next;
            if (s->o->check)
                judge_leave(&s->judge, e);
            answer(s, (struct job *)e, ((struct job *)e)->how);
        }
    }
}

/* ---- calls ---- */

static void replan(struct sim *s)
{
    if (s->o->policy.target_us == 0)
        return;
    struct gal_goal_plan p = gal_goal_plan(&s->goal, &s->cost, s->o->workers, &s->o->policy);
    gal_queue_bound(&s->q, p.rows_max, p.delay_us);
}

static void start_call(struct sim *s, size_t which, struct gal_entry *jobs, size_t rows)
{
    const struct sim_options *o = s->o;
    struct worker *w = &s->worker[which];
    double noise = 1.0 + (o->noise - 1.0) * sim_draw_share(&s->draws);
    uint64_t us = 1 + (uint64_t)((o->base_us + o->row_us * (double)rows) * noise);
    bool injected = o->inject == SIM_CALL_FAILS && s->r.steps == o->inject_step;
    w->busy = true;
    w->fails = injected || draws_share(s, o->fails);
    w->jobs = jobs;
    w->rows = rows;
    w->started_us = s->now_us;
    w->ends_us = s->now_us + us;
    w->expected_us = s->now_us + gal_cost_estimate_us(&s->cost, rows);
    s->busy_us += us;
    s->r.calls++;
    s->r.rows += rows;
    for (struct gal_entry *e = jobs; e; e = e->next)
        ((struct job *)e)->state = JOB_RUNNING;
    schedule(s, w->ends_us, EVENT_DONE, which);
}

static void next_single(struct sim *s, size_t which)
{
    struct worker *w = &s->worker[which];
    struct gal_entry *e = w->singles;
    if (!e) {
        w->busy = false;
        s->running--;
        end_batch(s, w);
        return;
    }
    w->singles = e->next;
    e->next = NULL;
    start_call(s, which, e, e->rows);
}

static void end_call(struct sim *s, size_t which)
{
    struct worker *w = &s->worker[which];
    struct gal_entry *jobs = w->jobs;
    w->jobs = NULL;
    if (!w->fails) {
        gal_cost_observe(&s->cost, w->rows, (w->ends_us - w->started_us) * 1000);
        if (s->o->policy.target_us)
            for (const struct gal_entry *e = jobs; e; e = e->next)
                gal_goal_on_answer(&s->goal, s->now_us - ((const struct job *)e)->submitted_us,
                                   s->now_us);
        replan(s);
    }
    if (w->fails && jobs->next) { /* one of them spoilt it: each for itself */
        w->singles = jobs;
    } else {
        struct job *j = (struct job *)jobs;
        enum outcome how = w->fails ? FAILED : ANSWERED;
        if (!jobs->next && j->gone)
            how = CANCELLED;
        leave(s, w, jobs, how);
    }
    next_single(s, which);
}

/* Free workers take what is due. */
static void dispatch(struct sim *s)
{
    for (size_t i = 0; i < s->o->workers; i++) {
        struct gal_taken t;
        if (s->worker[i].busy)
            continue;
        if (must_hold(s))
            return;
        const struct gal_cost *cost = s->o->with_cost ? &s->cost : NULL;
        enum gal_take took = gal_queue_take(&s->q, cost, s->now_us, &t);
        if (s->o->check)
            judge_take(&s->judge, &s->q, cost, s->now_us, took, &t);
        answer_all(s, t.late.head, EXPIRED);
        if (took == GAL_TAKE_WAIT && t.wait_until_us < s->wake_us) {
            s->wake_us = t.wait_until_us;
            schedule(s, t.wait_until_us, EVENT_WAKE, 0);
        }
        if (took != GAL_TAKE_BATCH)
            return;
        s->running++;
        s->worker[i].ticket = s->next_ticket++;
        start_call(s, i, t.batch.head, t.rows);
    }
}

/* ---- requests ---- */

static bool is_shed(struct sim *s, const struct job *j)
{
    struct gal_goal_view v = {.rows = j->entry.rows,
                              .rows_ahead = gal_queue_rows_ahead(&s->q, j->entry.level),
                              .rows_max = s->q.rows_max,
                              .workers = s->o->workers,
                              .running = s->running,
                              .delay_us = s->q.delay_us,
                              .oldest_us = gal_queue_oldest_us(&s->q, j->entry.level, s->now_us)};
    if (s->o->policy.target_us == 0)
        return false;
    for (size_t i = 0; i < s->o->workers; i++)
        if (s->worker[i].busy && s->worker[i].expected_us > s->now_us)
            v.rest_us += s->worker[i].expected_us - s->now_us;
    v.rest_us /= v.running ? v.running : 1;
    gal_goal_on_arrival(&s->goal, j->entry.rows, s->now_us);
    return gal_goal_sheds(&s->goal, &s->cost, &v);
}

static enum gal_admit admit(struct sim *s, struct job *j, uint64_t now_us)
{
    if (!s->o->check)
        return gal_queue_admit(&s->q, &j->entry, now_us);
    struct judge_admit wanted = judge_before_admit(&s->q, &j->entry, now_us);
    enum gal_admit a = gal_queue_admit(&s->q, &j->entry, now_us);
    judge_admitted(&j->entry, &wanted, a);
    return a;
}

static void submit(struct sim *s)
{
    const struct sim_options *o = s->o;
    struct job *j = &s->jobs[s->submitted++];
    make_job(s, j);
    if (is_shed(s, j)) {
        answer(s, j, SHED);
        return;
    }
    uint64_t behind = o->stale_us ? sim_draw(&s->draws) % o->stale_us : 0;
    uint64_t now = s->now_us > behind ? s->now_us - behind : 0;
    enum gal_admit a = admit(s, j, now);
    if (a == GAL_ADMIT_FULL || a == GAL_ADMIT_LEVEL_FULL || a == GAL_ADMIT_BYTES) {
        struct gal_entry_list late = {0};
        gal_queue_sweep(&s->q, s->now_us, 16, &late);
        judge_swept(&late, s->now_us);
        answer_all(s, late.head, EXPIRED);
        a = admit(s, j, now);
    }
    if (a == GAL_ADMITTED && o->inject == SIM_ADMIT_FAILS && s->r.steps == o->inject_step) {
        gal_queue_remove(&s->q, &j->entry);
        a = GAL_ADMIT_FULL;
    }
    if (a != GAL_ADMITTED) {
        answer(s, j, a == GAL_ADMIT_LATE ? EXPIRED : REFUSED);
        return;
    }
    j->state = JOB_WAITING;
    if (o->timers && j->entry.expires_us)
        schedule(s, j->entry.expires_us, EVENT_EXPIRE, s->submitted - 1);
    if (draws_share(s, o->cancelled))
        schedule(s, now + sim_draw(&s->draws) % 20000, EVENT_CANCEL, s->submitted - 1);
}

static void take_out(struct sim *s, struct job *j, enum outcome how)
{
    if (!j->entry.waiting)
        return;
    gal_queue_remove(&s->q, &j->entry);
    answer(s, j, how);
}

static void cancel(struct sim *s, struct job *j)
{
    j->gone = true;
    take_out(s, j, CANCELLED);
}

/* The oldest or the youngest of the first lane that has one. */
static struct job *some_waiting(struct sim *s, bool oldest)
{
    for (unsigned i = 0; i < GAL_LANES; i++) {
        const struct gal_entry_list *l = &s->q.lane[i].list;
        if (l->head)
            return (struct job *)(oldest ? l->head : l->tail);
    }
    return NULL;
}

static void inject(struct sim *s)
{
    if (s->r.steps != s->o->inject_step)
        return;
    if (s->o->inject == SIM_CLOCK_JUMPS)
        s->now_us += JUMP_US;
    if (s->o->inject != SIM_CANCEL && s->o->inject != SIM_CANCEL_YOUNG)
        return;
    struct job *j = some_waiting(s, s->o->inject == SIM_CANCEL);
    if (j)
        cancel(s, j);
}

/* ---- the run ---- */

static void handle(struct sim *s, const struct event *e)
{
    switch (e->kind) {
    case EVENT_ARRIVAL:
        if (s->submitted == s->o->requests)
            return;
        submit(s);
        if (e->which) /* the last of a burst */
            schedule_arrivals(s);
        break;
    case EVENT_DONE:
        end_call(s, e->which);
        break;
    case EVENT_WAKE:
        if (e->at_us == s->wake_us)
            s->wake_us = UINT64_MAX;
        break;
    case EVENT_CANCEL:
        cancel(s, &s->jobs[e->which]);
        break;
    case EVENT_EXPIRE:
        take_out(s, &s->jobs[e->which], EXPIRED);
        break;
    }
}

static void note_recovery(struct sim *s)
{
    unsigned last = SIM_PHASES - 1;
    while (last > 0 && s->o->phase[last - 1].until_us == 0)
        last--;
    uint64_t start = phase_start(s->o, last);
    if (s->r.empty_after_us == UINT64_MAX && s->now_us >= start && s->q.count == 0)
        s->r.empty_after_us = s->now_us - start;
}

static void finish(struct sim *s)
{
    for (unsigned i = 0; i < SIM_PHASES; i++) {
        struct series *l = &s->latency[i];
        struct sim_measure *m = &s->r.phase[i];
        if (l->count > 0) {
            qsort(l->us, l->count, sizeof *l->us, compare_us);
            m->p50_us = l->us[l->count / 2];
            m->p99_us = l->us[(l->count * 99 + 99) / 100 - 1];
            m->most_us = l->us[l->count - 1];
        }
        uint64_t end = s->o->phase[i].until_us ? s->o->phase[i].until_us : s->now_us;
        uint64_t start = phase_start(s->o, i) + s->o->settle_us;
        m->span_us = end > start ? end - start : 0;
        m->rate = m->span_us ? (double)m->in_time * 1e6 / (double)m->span_us : 0.0;
        free(l->us);
    }
    s->r.requests = s->submitted;
    s->r.busy = s->now_us ? (double)s->busy_us / (double)s->now_us / (double)s->o->workers : 0.0;
    s->r.margin = s->goal.margin;
    s->r.rows_max = s->q.rows_max;
    s->r.delay_us = s->q.delay_us;
}

struct sim_result sim_run(const struct sim_options *o)
{
    static struct sim sim; /* too large for a stack */
    struct sim *s = &sim;
    JUDGE(o->workers >= 1 && o->workers <= WORKERS_MAX);
    *s = (struct sim){.o = o, .draws = o->seed, .wake_us = UINT64_MAX, .now_us = 1};
    s->r.empty_after_us = UINT64_MAX;
    s->jobs = calloc(o->requests, sizeof *s->jobs);
    if (!s->jobs)
        abort();
    gal_queue_init(&s->q, &o->policy);
    gal_goal_init(&s->goal, o->policy.target_us);
    judge_init(&s->judge);
    if (o->arrivals == SIM_CLOSED)
        for (unsigned i = 0; i < o->clients; i++)
            schedule(s, s->now_us, EVENT_ARRIVAL, 0);
    else
        schedule(s, s->now_us, EVENT_ARRIVAL, 1);
    while (s->events > 0) {
        struct event e = next_event(s);
        if (e.at_us > s->now_us)
            s->now_us = e.at_us;
        inject(s);
        handle(s, &e);
        if (!o->turns || s->events == 0 || s->heap[0].at_us > s->now_us)
            dispatch(s);
        if (o->check)
            gal_queue_check(&s->q);
        note_recovery(s);
        s->r.steps++;
    }
    JUDGE(s->submitted == o->requests && s->done == o->requests); /* nothing is lost */
    JUDGE(s->q.count == 0 && s->running == 0);
    finish(s);
    free(s->jobs);
    free(s->heap);
    return s->r;
}
