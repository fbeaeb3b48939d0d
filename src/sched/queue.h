/* SPDX-License-Identifier: Apache-2.0 */
/* What waits for one model, and which of it runs next: priorities, batches, delay, bounds,
 * deadlines. Pure: no clock, no lock, no memory of its own beyond the struct; the caller's lock
 * guards it and the caller's entries are linked into it. All times are monotonic microseconds; a
 * clock that differs a little from thread to thread does no harm.
 *
 * An entry is out of the queue or waiting, in its level's lane or, once late, in the lane of the
 * late; gal_queue_* move it:
 *
 *   out -> waiting   [gal_queue_admit, when it answers GAL_ADMITTED]
 *   waiting -> late  [gal_queue_take, to whose notice its demotes_us has passed]
 *   waiting -> out   [gal_queue_remove; gal_queue_sweep; gal_queue_take, as too late]
 *   waiting -> out   [gal_queue_take, as part of a batch]
 *
 * Order. Entries stand in line level by level, oldest first; the late (GAL_TIMEOUT_DELAY) behind
 * all others, in the order in which they were found to be. A batch begins with the first in line
 * and goes on with those of its key, in line, up to the first that does not fit: within a level and
 * a key nobody overtakes. An entry of more than rows_max rows runs alone; one that is `alone` is
 * passed by.
 *
 * Ageing. While several lanes wait, every GAL_STARVE_BATCHES-th batch begins in that which has
 * begun none for longest, whatever its level. So a lane that waits with N others begins one of any
 * GAL_STARVE_BATCHES * N batches that follow (with a delay: once its batch is due), and as who
 * begins is the lane's oldest, everyone's turn comes.
 *
 * When. Without delay a batch is due at once: who waits is taken. With one, a batch is due when it
 * is full (rows_max, or the next of its key does not fit), or can have a preferred number of rows,
 * or the oldest in it has waited that long; or when one in it has waited half the time that it can
 * spare before it expires; or when it begins with a late entry. When the first in line is not due,
 * the first of each level are tried, then those of other keys within the looks.
 *
 * How many. The largest preferred number that can be had, unless the delay has passed or none can:
 * then all up to rows_max, as long as the call takes (by the cost curve) at most half the time from
 * admission to deadline of each in it. */
#ifndef GAL_SCHED_QUEUE_H
#define GAL_SCHED_QUEUE_H

#include "sched/cost.h"
#include "sched/policy.h"

#define GAL_STARVE_BATCHES 8u
/* Entries that putting a batch together looks at beyond those it takes, so that a queue of many
 * keys does not make it long. Who is not seen becomes the first in line in time. */
#define GAL_TAKE_LOOKS_MAX 256u
/* Batches that a take tries behind the first of each level, when those are not due. */
#define GAL_TAKE_GROUPS_MAX 8u
#define GAL_LANES (GAL_LEVELS_MAX + 1u)

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
    /* filled by admit, which also sets level to what it stands for */
    uint64_t since_us;   /* admitted; never before an older entry of its level */
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

struct gal_lane {
    struct gal_entry_list list;
    size_t rows;
    uint64_t begun; /* number of the last batch that began here */
};

struct gal_queue {
    const struct gal_policy *policy;    /* borrowed; may be replaced while nothing waits */
    struct gal_lane lane[GAL_LANES];    /* level 1 at [0]; the last is that of the late */
    size_t count, rows, bytes;          /* waiting in all */
    size_t level_count[GAL_LEVELS_MAX]; /* waiting of a level, its late ones too */
    uint64_t batches;                   /* taken so far */
    unsigned streak;   /* batches that began by urgency while several lanes waited */
    size_t rows_max;   /* min(policy's, the goal's); set by gal_queue_bound */
    uint64_t delay_us; /* the same */
};

void gal_queue_init(struct gal_queue *q, const struct gal_policy *policy);
/* What a goal has chosen (sched/goal.h) in place of the policy's rows_max and delay. rows_max is
 * cut to the policy's. At any time. */
void gal_queue_bound(struct gal_queue *q, size_t rows_max, uint64_t delay_us);

enum gal_admit {
    GAL_ADMITTED,
    GAL_ADMIT_FULL,       /* jobs_max wait */
    GAL_ADMIT_LEVEL_FULL, /* the level's jobs_max */
    GAL_ADMIT_BYTES,      /* bytes_max would be passed; an empty queue admits any size */
    GAL_ADMIT_LATE,       /* its deadline has passed */
};
/* The entry must be out of the queue; it stays so unless the answer is GAL_ADMITTED. */
enum gal_admit gal_queue_admit(struct gal_queue *q, struct gal_entry *e, uint64_t now_us);
/* Who has to go so that `e`, which was GAL_ADMIT_FULL, can be admitted: the last of the least
 * urgent lane behind e's level that holds more than its share, jobs_max / levels. So those who
 * hurry come into a queue that others have filled, and those others keep places all the same. It
 * stays in the queue until it is removed. NULL: nobody, or e would not be admitted in its place. */
struct gal_entry *gal_queue_displaced(const struct gal_queue *q, const struct gal_entry *e);
/* Takes a waiting entry out (cancelled, expired, displaced). */
void gal_queue_remove(struct gal_queue *q, struct gal_entry *e);
/* Appends to `out` and removes entries that have expired, at most `looks` entries being looked at
 * from the front of each lane: makes room when the queue is full. */
void gal_queue_sweep(struct gal_queue *q, uint64_t now_us, size_t looks,
                     struct gal_entry_list *out);
/* Rows that stand in line before an entry of this level that comes now. */
size_t gal_queue_rows_ahead(const struct gal_queue *q, unsigned level);
/* How long the oldest of those has waited; 0: nobody. */
uint64_t gal_queue_oldest_us(const struct gal_queue *q, unsigned level, uint64_t now_us);

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
/* What a free worker does now; starts a batch at most, and is to be asked again after it as long as
 * workers are free. With a cost curve (may be NULL) an entry is late as soon as the call that it
 * would share will probably end behind its deadline (gal_cost_most_us): it is answered instead of
 * run in vain, and its place goes to one that can be on time. */
enum gal_take gal_queue_take(struct gal_queue *q, const struct gal_cost *cost, uint64_t now_us,
                             struct gal_taken *out);
/* Asserts every invariant (counts, rows, bytes, order by since_us within a live lane, flags); for
 * tests and debugging. */
void gal_queue_check(const struct gal_queue *q);

#endif
