/* SPDX-License-Identifier: Apache-2.0 */
/* What waits for one model, and which of it runs next: priorities, batches, delay, bounds,
 * deadlines. Pure: no clock, no lock, no memory of its own beyond the struct; the caller's lock
 * guards it and the caller's entries are linked into it. All times are monotonic microseconds.
 *
 * An entry is out of the queue, waiting (live or late), or taken; gal_queue_* move it:
 *
 *   out -> waiting  [gal_queue_admit, when it answers GAL_ADMITTED]
 *   waiting -> out  [gal_queue_remove; gal_queue_take as late]
 *   waiting -> out  [gal_queue_take as part of a batch]
 *
 * Order. A batch begins with the oldest entry of the most urgent level that has one, and takes
 * entries that go with it, level by level, oldest first. So that urgent work does not starve the
 * rest, every GAL_STARVE_BATCHES-th batch begins with the oldest entry of all the other levels (the
 * one that waits longest) when there is one. Entries whose timeout passed under
 * GAL_TIMEOUT_DELAY come behind all live ones of every level.
 *
 * When. Untold, a batch is due at once: who waits is taken. With delay_us_max a batch is due when it is
 * full (rows_max, or no further waiting entry fits), or holds a preferred number of rows, or its
 * oldest entry has waited delay_us_max. At its due time it takes as many rows as it can: the largest
 * preferred number it can reach when there is one and the delay has not passed, else up to rows_max.
 * Without delay, preferred sizes choose how many rows are taken (the largest reachable; when none
 * is, all that wait). */
#ifndef GAL_SCHED_QUEUE_H
#define GAL_SCHED_QUEUE_H

#include "sched/cost.h"
#include "sched/policy.h"

#define GAL_STARVE_BATCHES 8u
/* Entries that a take looks at beyond those it takes, so that a queue of many shapes does not make
 * it long. */
#define GAL_TAKE_LOOKS_MAX 256u

/* In the caller's job. */
struct gal_entry {
    /* filled by the caller before admit */
    unsigned level;       /* 1..levels; 0 stands for the default. Beyond levels: the last */
    size_t rows;          /* at least 1 */
    size_t bytes;         /* of its inputs */
    uint64_t key;         /* entries of different keys never share a batch */
    bool alone;           /* shares a batch with nobody */
    uint64_t timeout_us;  /* the request's own longest wait; 0: none */
    uint64_t deadline_us; /* its answer is of no use from then on; 0: none */
    /* filled by admit */
    uint64_t since_us;   /* admitted */
    uint64_t expires_us; /* leaves the queue then, unanswered: deadline or timeout; 0: never */
    uint64_t demotes_us; /* counts as late from then on (GAL_TIMEOUT_DELAY); 0: never */
    /* the queue's */
    struct gal_entry *next, *prev;
    bool waiting, late;
};

struct gal_entry_list {
    struct gal_entry *head, *tail;
    size_t count;
};

struct gal_queue {
    const struct gal_policy *policy; /* borrowed; may be replaced while nothing waits */
    struct gal_entry_list live[GAL_LEVELS_MAX];
    struct gal_entry_list late; /* demoted, oldest demotion first */
    size_t count, rows, bytes;  /* waiting in all */
    size_t level_count[GAL_LEVELS_MAX];
    unsigned urgent_streak; /* batches since the last that began outside the most urgent level */
    uint64_t rows_max;      /* min(policy's, the goal's); set by gal_queue_bound */
    uint64_t delay_us;      /* policy's, or the goal's */
};

void gal_queue_init(struct gal_queue *q, const struct gal_policy *policy);
/* What a goal has chosen (sched/goal.h) in place of the policy's rows_max and delay. */
void gal_queue_bound(struct gal_queue *q, size_t rows_max, uint64_t delay_us);

enum gal_admit {
    GAL_ADMITTED,
    GAL_ADMIT_FULL,       /* jobs_max wait */
    GAL_ADMIT_LEVEL_FULL, /* the level's jobs_max */
    GAL_ADMIT_BYTES,      /* bytes_max would be passed; an empty queue admits any size */
    GAL_ADMIT_LATE,       /* its deadline has passed */
};
enum gal_admit gal_queue_admit(struct gal_queue *q, struct gal_entry *e, uint64_t now_us);
/* Takes a waiting entry out (cancelled, expired). */
void gal_queue_remove(struct gal_queue *q, struct gal_entry *e);
/* Appends to `out` and removes entries that have expired, at most `looks` entries being looked at
 * from the front of each level: makes room when the queue is full. */
void gal_queue_sweep(struct gal_queue *q, uint64_t now_us, size_t looks,
                     struct gal_entry_list *out);

enum gal_take {
    GAL_TAKE_NOTHING, /* nothing waits */
    GAL_TAKE_WAIT,    /* no batch is due before out->wait_until_us */
    GAL_TAKE_BATCH,   /* out->batch is to run now, as one call */
};
struct gal_taken {
    struct gal_entry_list batch; /* linked by next, in the order taken; out of the queue */
    size_t rows;
    struct gal_entry_list late; /* expired, or sure to end behind their deadline: to be answered
                                   DEADLINE; filled in every case */
    uint64_t wait_until_us;
};
/* What a free worker does now. cost (may be NULL): an entry whose deadline lies before now plus the
 * estimated cost of the batch is late already. Starts a batch at most. */
enum gal_take gal_queue_take(struct gal_queue *q, const struct gal_cost *cost, uint64_t now_us,
                             struct gal_taken *out);
/* Asserts every invariant (counts, bytes, order by since_us within a live level, flags); for tests
 * and debugging. */
void gal_queue_check(const struct gal_queue *q);

#endif
