/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/queue.h"

#include "base/status.h"

#define LATE GAL_LEVELS_MAX /* the lane of the late */

static uint64_t time_plus(uint64_t a, uint64_t b)
{
    return a < UINT64_MAX - b ? a + b : UINT64_MAX;
}

static uint64_t time_min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void append(struct gal_entry_list *list, struct gal_entry *e)
{
    e->next = NULL;
    e->prev = list->tail;
    if (list->tail)
        list->tail->next = e;
    else
        list->head = e;
    list->tail = e;
    list->count++;
}

static void unlink_entry(struct gal_entry_list *list, struct gal_entry *e)
{
    if (e->prev)
        e->prev->next = e->next;
    else
        list->head = e->next;
    if (e->next)
        e->next->prev = e->prev;
    else
        list->tail = e->prev;
    e->next = e->prev = NULL;
    list->count--;
}

static unsigned lane_of(const struct gal_entry *e)
{
    return e->late ? LATE : e->level - 1;
}

/* The lanes in line: the levels, then the late. GAL_LANES: no more. */
static unsigned lane_next(const struct gal_queue *q, unsigned lane)
{
    return lane + 1 == q->policy->levels ? LATE : lane + 1;
}

void gal_queue_init(struct gal_queue *q, const struct gal_policy *policy)
{
    *q = (struct gal_queue){.policy = policy};
    gal_queue_bound(q, policy->rows_max, policy->delay_us_max);
}

void gal_queue_bound(struct gal_queue *q, size_t rows_max, uint64_t delay_us)
{
    q->rows_max = rows_max < q->policy->rows_max ? rows_max : q->policy->rows_max;
    if (q->rows_max == 0)
        q->rows_max = 1;
    q->delay_us = delay_us;
}

static unsigned level_meant(const struct gal_queue *q, unsigned level)
{
    if (level == 0)
        return q->policy->default_level;
    return level < q->policy->levels ? level : q->policy->levels;
}

static void set_times(const struct gal_queue *q, struct gal_entry *e, uint64_t now_us)
{
    const struct gal_level_policy *l = &q->policy->level[e->level - 1];
    const struct gal_entry *older = q->lane[e->level - 1].list.tail;
    e->since_us = older && older->since_us > now_us ? older->since_us : now_us;
    e->expires_us = e->deadline_us;
    e->demotes_us = 0;
    uint64_t timeout = l->timeout_us;
    if (l->override && e->timeout_us && (timeout == 0 || e->timeout_us < timeout))
        timeout = e->timeout_us;
    if (timeout == 0)
        return;
    uint64_t end = time_plus(e->since_us, timeout);
    if (l->action == GAL_TIMEOUT_DELAY)
        e->demotes_us = end;
    else if (e->expires_us == 0 || end < e->expires_us)
        e->expires_us = end;
}

enum gal_admit gal_queue_admit(struct gal_queue *q, struct gal_entry *e, uint64_t now_us)
{
    const struct gal_policy *p = q->policy;
    GAL_ASSERT(!e->waiting && e->rows > 0);
    unsigned level = level_meant(q, e->level);
    size_t level_max = p->level[level - 1].jobs_max;
    if (e->deadline_us && now_us >= e->deadline_us)
        return GAL_ADMIT_LATE;
    if (q->count >= p->jobs_max)
        return GAL_ADMIT_FULL;
    if (level_max && q->level_count[level - 1] >= level_max)
        return GAL_ADMIT_LEVEL_FULL;
    if (q->count > 0 && (q->bytes > p->bytes_max || e->bytes > p->bytes_max - q->bytes))
        return GAL_ADMIT_BYTES;
    e->level = level;
    set_times(q, e, now_us);
    e->waiting = true;
    e->late = false;
    append(&q->lane[level - 1].list, e);
    q->lane[level - 1].rows += e->rows;
    q->level_count[level - 1]++;
    q->count++;
    q->rows += e->rows;
    q->bytes += e->bytes;
    return GAL_ADMITTED;
}

struct gal_entry *gal_queue_displaced(const struct gal_queue *q, const struct gal_entry *e)
{
    const struct gal_policy *p = q->policy;
    unsigned level = level_meant(q, e->level);
    size_t level_max = p->level[level - 1].jobs_max;
    struct gal_entry *last = NULL;
    for (unsigned lane = lane_next(q, level - 1); lane < GAL_LANES; lane = lane_next(q, lane))
        if (q->lane[lane].list.count > p->jobs_max / p->levels)
            last = q->lane[lane].list.tail;
    if (!last || (level_max && q->level_count[level - 1] >= level_max) ||
        (q->count > 1 && q->bytes - last->bytes + e->bytes > p->bytes_max))
        return NULL;
    return last;
}

void gal_queue_remove(struct gal_queue *q, struct gal_entry *e)
{
    GAL_ASSERT(e->waiting);
    struct gal_lane *lane = &q->lane[lane_of(e)];
    unlink_entry(&lane->list, e);
    lane->rows -= e->rows;
    q->level_count[e->level - 1]--;
    q->count--;
    q->rows -= e->rows;
    q->bytes -= e->bytes;
    e->waiting = e->late = false;
}

static void move_out(struct gal_queue *q, struct gal_entry *e, struct gal_entry_list *out)
{
    gal_queue_remove(q, e);
    append(out, e);
}

static void demote(struct gal_queue *q, struct gal_entry *e)
{
    struct gal_lane *lane = &q->lane[lane_of(e)];
    unlink_entry(&lane->list, e);
    lane->rows -= e->rows;
    e->late = true;
    append(&q->lane[LATE].list, e);
    q->lane[LATE].rows += e->rows;
}

static bool has_expired(const struct gal_entry *e, uint64_t now_us)
{
    return e->expires_us && now_us >= e->expires_us;
}

void gal_queue_sweep(struct gal_queue *q, uint64_t now_us, size_t looks, struct gal_entry_list *out)
{
    for (unsigned lane = 0; lane < GAL_LANES; lane = lane_next(q, lane)) {
        struct gal_entry *e = q->lane[lane].list.head;
        for (size_t i = 0; e && i < looks; i++) {
            struct gal_entry *next = e->next;
            if (has_expired(e, now_us))
                move_out(q, e, out);
            e = next;
        }
    }
}

size_t gal_queue_rows_ahead(const struct gal_queue *q, unsigned level)
{
    size_t rows = 0;
    level = level_meant(q, level);
    for (unsigned i = 0; i < level; i++)
        rows += q->lane[i].rows;
    return rows;
}

uint64_t gal_queue_oldest_us(const struct gal_queue *q, unsigned level, uint64_t now_us)
{
    uint64_t since = now_us;
    level = level_meant(q, level);
    for (unsigned i = 0; i < level; i++)
        if (q->lane[i].list.head)
            since = time_min(since, q->lane[i].list.head->since_us);
    return now_us - since;
}

/* One take under way. */
struct take {
    struct gal_queue *q;
    const struct gal_cost *cost; /* NULL: unknown */
    uint64_t now_us;
    struct gal_taken *out;
};

/* e, or the first behind it that has neither expired nor become late; those are put where they
 * belong, which costs each of them once. */
static struct gal_entry *settle(struct take *t, struct gal_entry *e)
{
    while (e) {
        struct gal_entry *next = e->next;
        if (has_expired(e, t->now_us))
            move_out(t->q, e, &t->out->late);
        else if (!e->late && e->demotes_us && t->now_us >= e->demotes_us)
            demote(t->q, e);
        else
            break;
        e = next;
    }
    return e;
}

/* The line, as a batch sees it: those of its key. */
struct walk {
    unsigned lane;
    struct gal_entry *at; /* the next to look at in the lane */
    const struct gal_entry *head;
    size_t looks;
};

static struct walk walk_start(const struct take *t, const struct gal_entry *head)
{
    return (struct walk){.lane = 0, .at = t->q->lane[0].list.head, .head = head};
}

/* The next in line that goes with the head; NULL: none, or none within the looks. The entry may
 * leave the queue before the next call. */
static struct gal_entry *walk_next(struct take *t, struct walk *w)
{
    while (w->lane < GAL_LANES && w->looks < GAL_TAKE_LOOKS_MAX) {
        struct gal_entry *e = settle(t, w->at);
        if (!e) {
            w->lane = lane_next(t->q, w->lane);
            w->at = w->lane < GAL_LANES ? t->q->lane[w->lane].list.head : NULL;
            continue;
        }
        w->at = e->next;
        if (e == w->head)
            continue;
        if (e->key == w->head->key && !e->alone)
            return e;
        w->looks++;
    }
    return NULL;
}

/* The batch that begins with an entry, were it taken now. */
struct plan {
    size_t rows;        /* all that it can have */
    size_t preferred;   /* the largest preferred number of rows that it can have; 0: none */
    bool full;          /* no company is to come */
    uint64_t oldest_us; /* since_us of its oldest */
    size_t rows_max;    /* bound of rows: q's, and what the lives of its entries allow */
    uint64_t life_us;   /* the shortest time from admission to deadline of its entries */
    uint64_t spare2_us; /* the least since + expires of its entries: see plan_due_us */
    uint64_t call_us;   /* its call takes probably no longer; 0: unknown */
};

static bool is_preferred(const struct gal_policy *p, size_t rows)
{
    for (size_t i = 0; i < p->preferred_count; i++)
        if (p->preferred[i] == rows)
            return true;
    return false;
}

/* Rows of a call that takes at most half of the life of each in it. Else, with more than a call's
 * rows waiting, a call could be too long for everyone's deadline. */
static void plan_bound(const struct take *t, struct plan *p, const struct gal_entry *e)
{
    if (!t->cost || !e->deadline_us || e->deadline_us - e->since_us >= p->life_us)
        return;
    p->life_us = e->deadline_us - e->since_us;
    if (gal_cost_most_us(t->cost, p->rows_max) * 2 > p->life_us)
        p->rows_max = gal_cost_rows_within_most(t->cost, p->life_us / 2, p->rows_max);
}

static void plan_add(struct plan *p, const struct gal_policy *policy, const struct gal_entry *e)
{
    p->rows += e->rows;
    p->oldest_us = time_min(p->oldest_us, e->since_us);
    if (e->expires_us)
        p->spare2_us = time_min(p->spare2_us, time_plus(e->since_us, e->expires_us));
    if (is_preferred(policy, p->rows))
        p->preferred = p->rows;
}

static struct plan make_plan(struct take *t, const struct gal_entry *head)
{
    const struct gal_queue *q = t->q;
    struct plan p = {.rows_max = q->rows_max,
                     .oldest_us = UINT64_MAX,
                     .life_us = UINT64_MAX,
                     .spare2_us = UINT64_MAX};
    plan_bound(t, &p, head);
    plan_add(&p, q->policy, head);
    p.full = head->alone || p.rows >= p.rows_max;
    struct walk w = walk_start(t, head);
    while (!p.full) {
        const struct gal_entry *e = walk_next(t, &w);
        if (!e)
            break;
        plan_bound(t, &p, e);
        p.full = p.rows >= p.rows_max || e->rows > p.rows_max - p.rows;
        if (!p.full) {
            plan_add(&p, q->policy, e);
            p.full = p.rows == p.rows_max;
        }
    }
    p.call_us = t->cost ? gal_cost_most_us(t->cost, p.rows) : 0;
    return p;
}

/* From when on the batch is due though more might come. Who expires waits for company at most half
 * the time that is left beside its call: since + (expires - since - call) / 2. */
static uint64_t plan_due_us(const struct gal_queue *q, const struct plan *p)
{
    uint64_t due = time_plus(p->oldest_us, q->delay_us);
    if (p->spare2_us == UINT64_MAX)
        return due;
    uint64_t spare = p->spare2_us > p->call_us ? (p->spare2_us - p->call_us) / 2 : 0;
    return time_min(due, spare);
}

/* The rows to take now; 0: not due. */
static size_t plan_take(const struct take *t, const struct plan *p, const struct gal_entry *head)
{
    const struct gal_queue *q = t->q;
    bool passed = q->delay_us > 0 && t->now_us >= time_plus(p->oldest_us, q->delay_us);
    if (p->preferred && !passed)
        return p->preferred;
    if (q->delay_us == 0 || p->full || head->late || t->now_us >= plan_due_us(q, p))
        return p->rows;
    return 0;
}

static bool is_hopeless(const struct take *t, const struct gal_entry *e, uint64_t call_us)
{
    return e->deadline_us && e->deadline_us < time_plus(t->now_us, call_us);
}

/* The lane whose turn it is whatever its level; GAL_LANES: none. */
static unsigned aged_lane(const struct gal_queue *q)
{
    unsigned best = GAL_LANES;
    if (q->streak + 1 < GAL_STARVE_BATCHES)
        return best;
    for (unsigned lane = 0; lane < GAL_LANES; lane = lane_next(q, lane))
        if (q->lane[lane].list.head &&
            (best == GAL_LANES || q->lane[lane].begun < q->lane[best].begun))
            best = lane;
    return best;
}

/* A beginning, its plan and what to take of it. */
struct choice {
    struct gal_entry *head; /* NULL: no batch is due */
    bool aged;              /* by the turn of its lane */
    struct plan plan;
    size_t rows;
    uint64_t wait_until_us; /* UINT64_MAX: nothing waits */
};

/* Whether the batch of this beginning is due; notes when it will be. */
static bool try_head(struct take *t, struct gal_entry *head, struct choice *c)
{
    c->plan = make_plan(t, head);
    c->rows = plan_take(t, &c->plan, head);
    if (c->rows == 0) {
        c->wait_until_us = time_min(c->wait_until_us, plan_due_us(t->q, &c->plan));
        return false;
    }
    c->head = head;
    if (c->rows < c->plan.rows)
        c->plan.call_us = t->cost ? gal_cost_most_us(t->cost, c->rows) : 0;
    return true;
}

static bool try_lane(struct take *t, unsigned lane, struct choice *c)
{
    struct gal_entry *head = settle(t, t->q->lane[lane].list.head);
    return head && try_head(t, head, c);
}

/* Batches of other keys than those of the first in their lanes, of which one may be full. */
static bool try_groups(struct take *t, struct choice *c)
{
    uint64_t keys[GAL_TAKE_GROUPS_MAX];
    size_t known = 0;
    size_t looks = 0;
    for (unsigned lane = 0; lane < GAL_LANES; lane = lane_next(t->q, lane)) {
        struct gal_entry *e = settle(t, t->q->lane[lane].list.head);
        while (e && looks++ < GAL_TAKE_LOOKS_MAX) {
            size_t k = 0;
            while (k < known && (keys[k] != e->key || e->alone))
                k++;
            if (k == known) {
                bool is_first = e == t->q->lane[lane].list.head; /* tried already */
                if (!is_first && try_head(t, e, c))
                    return true;
                if (known == GAL_TAKE_GROUPS_MAX)
                    return false;
                keys[known++] = e->key;
            }
            e = settle(t, e->next);
        }
    }
    return false;
}

static struct choice choose(struct take *t)
{
    struct choice c = {.wait_until_us = UINT64_MAX};
    unsigned aged = aged_lane(t->q);
    if (aged < GAL_LANES && try_lane(t, aged, &c)) {
        c.aged = true;
        return c;
    }
    for (unsigned lane = 0; lane < GAL_LANES; lane = lane_next(t->q, lane))
        if (try_lane(t, lane, &c))
            return c;
    if (t->q->delay_us > 0 && t->q->count > 1)
        (void)try_groups(t, &c);
    return c;
}

/* Takes the batch out; entries that its call would make late go as such, others fill their place.
 */
static void gather(struct take *t, const struct choice *c)
{
    struct gal_taken *out = t->out;
    out->rows = c->head->rows;
    move_out(t->q, c->head, &out->batch);
    struct walk w = walk_start(t, c->head);
    while (!c->head->alone && out->rows < c->rows) {
        struct gal_entry *e = walk_next(t, &w);
        if (!e)
            break;
        if (is_hopeless(t, e, c->plan.call_us)) {
            move_out(t->q, e, &out->late);
            continue;
        }
        if (e->rows > c->rows - out->rows)
            break;
        out->rows += e->rows;
        move_out(t->q, e, &out->batch);
    }
}

/* Lets the head go as late, and those behind it that would be late in the same call: as long as
 * there are enough for such a call, it need not be planned anew for each. */
static void drop_hopeless(struct take *t, const struct choice *c)
{
    struct gal_queue *q = t->q;
    const struct gal_entry_list *list = &q->lane[lane_of(c->head)].list;
    uint64_t key = c->head->key;
    struct gal_entry *next = c->head->next;
    bool shares = list->head == c->head && !c->head->alone && c->head->rows <= q->rows_max;
    move_out(q, c->head, &t->out->late);
    if (!shares)
        return;
    while ((next = settle(t, next)) && next->key == key && !next->alone && q->rows > c->rows &&
           next->rows <= q->rows_max && is_hopeless(t, next, c->plan.call_us)) {
        struct gal_entry *e = next;
        next = e->next;
        move_out(q, e, &t->out->late);
    }
}

/* Counts the batch towards the turns of the lanes; before it leaves its lane. */
static void count_batch(struct gal_queue *q, const struct choice *c)
{
    unsigned waiting = 0;
    for (unsigned lane = 0; lane < GAL_LANES; lane = lane_next(q, lane))
        waiting += q->lane[lane].list.head != NULL;
    if (c->aged || waiting < 2)
        q->streak = 0;
    else if (q->streak + 1 < GAL_STARVE_BATCHES) /* else its turn has come, but no due batch */
        q->streak++;
    q->lane[lane_of(c->head)].begun = ++q->batches;
}

enum gal_take gal_queue_take(struct gal_queue *q, const struct gal_cost *cost, uint64_t now_us,
                             struct gal_taken *out)
{
    struct take t = {.q = q, .cost = cost, .now_us = now_us, .out = out};
    *out = (struct gal_taken){0};
    for (;;) {
        struct choice c = choose(&t);
        if (!c.head && q->count == 0)
            return GAL_TAKE_NOTHING;
        if (!c.head) {
            out->wait_until_us = c.wait_until_us;
            return GAL_TAKE_WAIT;
        }
        if (is_hopeless(&t, c.head, c.plan.call_us)) {
            drop_hopeless(&t, &c);
            continue;
        }
        count_batch(q, &c);
        gather(&t, &c);
        return GAL_TAKE_BATCH;
    }
}

static void check_lane(const struct gal_queue *q, unsigned lane, size_t *level_count, size_t *bytes)
{
    const struct gal_entry_list *list = &q->lane[lane].list;
    const struct gal_entry *last = NULL;
    size_t count = 0;
    size_t rows = 0;
    for (const struct gal_entry *e = list->head; e; last = e, e = e->next) {
        GAL_ASSERT(e->waiting && e->late == (lane == LATE) && e->prev == last);
        GAL_ASSERT(e->level >= 1 && e->level <= q->policy->levels);
        GAL_ASSERT(e->late || e->level == lane + 1);
        GAL_ASSERT(!e->late || e->demotes_us);
        GAL_ASSERT(e->late || !last || last->since_us <= e->since_us);
        level_count[e->level - 1]++;
        count++;
        rows += e->rows;
        *bytes += e->bytes;
    }
    GAL_ASSERT(list->tail == last && list->count == count);
    GAL_ASSERT(q->lane[lane].rows == rows && q->lane[lane].begun <= q->batches);
}

void gal_queue_check(const struct gal_queue *q)
{
    const struct gal_policy *p = q->policy;
    size_t level_count[GAL_LEVELS_MAX] = {0};
    size_t count = 0;
    size_t rows = 0;
    size_t bytes = 0;
    for (unsigned lane = 0; lane < GAL_LANES; lane++) {
        check_lane(q, lane, level_count, &bytes);
        count += q->lane[lane].list.count;
        rows += q->lane[lane].rows;
    }
    GAL_ASSERT(q->count == count && q->rows == rows && q->bytes == bytes);
    GAL_ASSERT(count <= p->jobs_max && (bytes <= p->bytes_max || count <= 1));
    for (unsigned i = 0; i < GAL_LEVELS_MAX; i++) {
        GAL_ASSERT(q->level_count[i] == level_count[i]);
        GAL_ASSERT(p->level[i].jobs_max == 0 || level_count[i] <= p->level[i].jobs_max);
    }
    GAL_ASSERT(q->rows_max >= 1 && q->rows_max <= p->rows_max);
    GAL_ASSERT(q->streak < GAL_STARVE_BATCHES);
}
