/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/judge.h"

#include <stdio.h>
#include <stdlib.h>

#define LATE GAL_LEVELS_MAX
#define KEYS_MAX GAL_TAKE_GROUPS_MAX

_Noreturn void judge_failed(const char *file, int line, const char *expr)
{
    fprintf(stderr, "%s:%d: a rule is broken: %s\n", file, line, expr);
    abort();
}

void judge_init(struct judge *j)
{
    *j = (struct judge){0};
}

/* ---- admission ---- */

static uint64_t soonest(uint64_t a, uint64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

struct judge_admit judge_before_admit(const struct gal_queue *q, const struct gal_entry *e,
                                      uint64_t now_us)
{
    const struct gal_policy *p = q->policy;
    struct judge_admit a = {.verdict = GAL_ADMITTED, .level = e->level, .now_us = now_us};
    if (a.level == 0)
        a.level = p->default_level;
    if (a.level > p->levels)
        a.level = p->levels;
    size_t count = 0, same = 0, bytes = 0;
    for (unsigned lane = 0; lane < GAL_LANES; lane++) {
        for (const struct gal_entry *w = q->lane[lane].list.head; w; w = w->next) {
            count++;
            same += w->level == a.level;
            bytes += w->bytes;
        }
    }
    const struct gal_level_policy *l = &p->level[a.level - 1];
    uint64_t timeout = soonest(l->timeout_us, l->override ? e->timeout_us : 0);
    uint64_t end = timeout ? now_us + timeout : 0;
    a.demotes_us = l->action == GAL_TIMEOUT_DELAY ? end : 0;
    a.expires_us = l->action == GAL_TIMEOUT_DELAY ? e->deadline_us : soonest(e->deadline_us, end);
    if (e->deadline_us && e->deadline_us <= now_us)
        a.verdict = GAL_ADMIT_LATE;
    else if (count == p->jobs_max)
        a.verdict = GAL_ADMIT_FULL;
    else if (l->jobs_max && same == l->jobs_max)
        a.verdict = GAL_ADMIT_LEVEL_FULL;
    else if (count > 0 && bytes + e->bytes > p->bytes_max)
        a.verdict = GAL_ADMIT_BYTES;
    return a;
}

void judge_admitted(const struct gal_entry *e, const struct judge_admit *wanted,
                    enum gal_admit verdict)
{
    JUDGE(verdict == wanted->verdict);
    JUDGE(e->waiting == (verdict == GAL_ADMITTED));
    if (verdict != GAL_ADMITTED)
        return;
    JUDGE(e->level == wanted->level);
    JUDGE((e->expires_us == 0) == (wanted->expires_us == 0));
    JUDGE((e->demotes_us == 0) == (wanted->demotes_us == 0));
    JUDGE(e->since_us >= wanted->now_us);
    if (e->since_us == wanted->now_us)
        JUDGE(e->expires_us == wanted->expires_us && e->demotes_us == wanted->demotes_us);
    JUDGE(e->deadline_us == 0 || e->expires_us <= e->deadline_us);
}

void judge_swept(const struct gal_entry_list *late, uint64_t now_us)
{
    for (const struct gal_entry *e = late->head; e; e = e->next)
        JUDGE(e->expires_us && now_us >= e->expires_us);
}

/* ---- a take ---- */

struct view {
    const struct gal_queue *q;
    const struct gal_cost *cost;
    uint64_t now_us;
    const struct gal_taken *t;
    const struct gal_entry *head; /* of the batch */
    bool small;                   /* so few that the looks do not matter */
};

static bool has_expired(const struct view *v, const struct gal_entry *e)
{
    return e->expires_us && v->now_us >= e->expires_us;
}

/* Where an entry belongs now, whether the queue has found out or not. */
static unsigned lane_of(const struct view *v, const struct gal_entry *e)
{
    bool late = e->late || (e->demotes_us && v->now_us >= e->demotes_us);
    return late ? LATE : e->level - 1;
}

static bool goes_with(const struct gal_entry *e, const struct gal_entry *head)
{
    return e->key == head->key && !e->alone && !head->alone;
}

static bool is_preferred(const struct gal_queue *q, size_t rows)
{
    for (size_t i = 0; i < q->policy->preferred_count; i++)
        if (q->policy->preferred[i] == rows)
            return true;
    return false;
}

static void judge_late(const struct view *v)
{
    for (const struct gal_entry *e = v->t->late.head; e; e = e->next) {
        size_t rows = e->rows > v->q->rows_max ? e->rows : v->q->rows_max;
        uint64_t call = v->cost ? gal_cost_most_us(v->cost, rows) : 0;
        JUDGE(!e->waiting);
        JUDGE(has_expired(v, e) || (e->deadline_us && e->deadline_us < v->now_us + call));
    }
}

/* Bounds, keys, deadlines: what a batch may consist of. */
static void judge_members(const struct view *v)
{
    size_t rows = 0, count = 0;
    for (const struct gal_entry *e = v->head; e; e = e->next) {
        rows += e->rows;
        count++;
    }
    uint64_t call = v->cost ? gal_cost_most_us(v->cost, rows) : 0;
    for (const struct gal_entry *e = v->head; e; e = e->next) {
        JUDGE(!e->waiting && !has_expired(v, e));
        JUDGE(e->key == v->head->key && (count == 1 || !e->alone));
        JUDGE(e->deadline_us == 0 || e->deadline_us >= v->now_us + call);
    }
    JUDGE(count >= 1 && count == v->t->batch.count && rows == v->t->rows);
    JUDGE(rows <= v->q->rows_max || count == 1);
}

static bool is_before(unsigned lane, const struct gal_entry *e, unsigned other_lane,
                      const struct gal_entry *other)
{
    return lane != other_lane ? lane < other_lane : lane != LATE && e < other;
}

/* Behind the head, a batch is the front of the line of its key: sorted, and nobody is passed by. */
static void judge_order(const struct view *v)
{
    const struct gal_entry *last = NULL;
    for (const struct gal_entry *e = v->head->next; e; last = e, e = e->next)
        JUDGE(!last || !is_before(lane_of(v, e), e, lane_of(v, last), last));
    unsigned head_lane = lane_of(v, v->head);
    for (unsigned lane = 0; lane < GAL_LANES; lane++) {
        for (const struct gal_entry *e = v->q->lane[lane].list.head; e; e = e->next) {
            unsigned l = lane_of(v, e);
            if (has_expired(v, e) || e->key != v->head->key || e->alone != v->head->alone)
                continue;
            JUDGE(l != head_lane || l == LATE || e > v->head);
            JUDGE(!last || !v->small || !is_before(l, e, lane_of(v, last), last));
        }
    }
}

/* What of all that is left could have gone with the batch. */
struct rest {
    bool any, misfits, deadlines;
};

static struct rest rest_of(const struct view *v)
{
    struct rest r = {0};
    for (const struct gal_entry *e = v->head; e; e = e->next)
        r.deadlines = r.deadlines || e->deadline_us;
    for (unsigned lane = 0; lane < GAL_LANES; lane++) {
        for (const struct gal_entry *e = v->q->lane[lane].list.head; e; e = e->next) {
            if (has_expired(v, e) || !goes_with(e, v->head))
                continue;
            r.any = true;
            r.misfits =
                r.misfits || v->t->rows >= v->q->rows_max || e->rows > v->q->rows_max - v->t->rows;
            r.deadlines = r.deadlines || e->deadline_us;
        }
    }
    return r;
}

/* Untold, a batch takes all that it can. */
static void judge_fill(const struct view *v)
{
    struct rest r = rest_of(v);
    bool by_deadlines = v->cost && (r.deadlines || v->t->late.count > 0);
    if (!v->small || v->q->policy->preferred_count > 0 || by_deadlines)
        return;
    JUDGE(!r.any || r.misfits);
}

/* A batch that could have waited for company has a reason not to. */
static void judge_reason(const struct view *v)
{
    const struct gal_queue *q = v->q;
    bool passed = false, hurries = false, long_enough = false;
    uint64_t call = v->cost ? gal_cost_most_us(v->cost, q->rows_max) : 0;
    for (const struct gal_entry *e = v->head; e; e = e->next) {
        passed = passed || v->now_us >= e->since_us + q->delay_us;
        long_enough = long_enough || (v->cost && e->deadline_us &&
                                      gal_cost_most_us(v->cost, v->t->rows + 1) * 2 >
                                          e->deadline_us - e->since_us);
        hurries =
            hurries || (e->expires_us && 2 * v->now_us + 1 + call >= e->since_us + e->expires_us);
    }
    bool full = v->head->alone || long_enough || v->t->rows >= q->rows_max || rest_of(v).any;
    bool dropped = v->t->late.count > 0; /* it was full before */
    JUDGE(full || passed || hurries || dropped || is_preferred(q, v->t->rows) ||
          lane_of(v, v->head) == LATE);
}

/* Whose turn it was. With a delay, who is not due passes: turns are counted, not judged. */
static void judge_turn(struct judge *j, const struct view *v)
{
    bool waits[GAL_LANES] = {false}, left[GAL_LANES] = {false};
    unsigned head = lane_of(v, v->head);
    unsigned urgent = GAL_LANES, lanes = 0;
    for (const struct gal_entry *e = v->head; e; e = e->next)
        waits[lane_of(v, e)] = true;
    for (unsigned lane = 0; lane < GAL_LANES; lane++) {
        for (const struct gal_entry *e = v->q->lane[lane].list.head; e; e = e->next) {
            left[lane] = left[lane] || (!has_expired(v, e) && lane_of(v, e) == lane);
            waits[lane] = true; /* the queue may not have looked at it yet */
        }
    }
    for (unsigned lane = 0; lane < GAL_LANES; lane++) {
        lanes += waits[lane];
        if (urgent == GAL_LANES && (left[lane] || lane == head))
            urgent = lane;
    }
    bool delays = v->q->delay_us > 0;
    if (head != urgent && !delays)
        JUDGE(j->urgent_since >= GAL_STARVE_BATCHES - 1);
    bool others = lanes > 1 || v->t->late.count > 0;
    j->urgent_since = (head == urgent || delays) && others ? j->urgent_since + 1 : 0;
    for (unsigned lane = 0; lane < GAL_LANES; lane++) {
        bool passed_over = left[lane] && lane != head && !delays;
        j->passed_over[lane] = passed_over ? j->passed_over[lane] + 1 : 0;
        /* Of the levels and the late, all but this one may be served before it. */
        JUDGE(j->passed_over[lane] <= (uint64_t)GAL_STARVE_BATCHES * v->q->policy->levels);
    }
}

/* Nothing was due: not by time, and no key has enough. */
static void judge_wait(const struct view *v)
{
    const struct gal_queue *q = v->q;
    uint64_t keys[KEYS_MAX];
    size_t rows[KEYS_MAX], known = 0;
    JUDGE(q->delay_us > 0 && v->t->wait_until_us > v->now_us);
    for (unsigned lane = 0; lane < GAL_LANES; lane++) {
        for (const struct gal_entry *e = q->lane[lane].list.head; e; e = e->next) {
            if (!v->small)
                continue;
            JUDGE(!e->alone && !has_expired(v, e) && lane_of(v, e) != LATE);
            JUDGE(v->t->wait_until_us <= e->since_us + q->delay_us);
            JUDGE(e->expires_us == 0 || v->t->wait_until_us < e->expires_us);
            size_t k = 0;
            while (k < known && keys[k] != e->key)
                k++;
            if (k == KEYS_MAX)
                return;
            if (k == known) {
                rows[known] = 0;
                keys[known++] = e->key;
            }
            rows[k] += e->rows;
            JUDGE(rows[k] < q->rows_max && !is_preferred(q, rows[k]));
        }
    }
}

void judge_take(struct judge *j, const struct gal_queue *q, const struct gal_cost *cost,
                uint64_t now_us, enum gal_take took, const struct gal_taken *t)
{
    struct view v = {.q = q, .cost = cost, .now_us = now_us, .t = t, .head = t->batch.head};
    v.small = q->count + t->batch.count <= GAL_TAKE_LOOKS_MAX;
    judge_late(&v);
    JUDGE((took == GAL_TAKE_BATCH) == (t->batch.count > 0));
    if (took == GAL_TAKE_NOTHING)
        JUDGE(q->count == 0);
    if (took == GAL_TAKE_WAIT)
        judge_wait(&v);
    if (took != GAL_TAKE_BATCH)
        return;
    judge_members(&v);
    judge_order(&v);
    judge_turn(j, &v);
    if (q->delay_us == 0)
        judge_fill(&v);
    else
        judge_reason(&v);
}

/* ---- answers ---- */

void judge_leave(struct judge *j, const struct gal_entry *e)
{
    if (e->alone || e->demotes_us)
        return;
    JUDGE(e->key < JUDGE_KEYS);
    const struct gal_entry **last = &j->left[e->level - 1][e->key];
    JUDGE(e > *last);
    *last = e;
}
