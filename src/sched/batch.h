/* SPDX-License-Identifier: Apache-2.0 */
/* Several jobs as one call of the engine: their inputs are put behind each other, each gets its
 * rows of the outputs, which all share until the last has given its share back. Used at the end of
 * a loop's turn (turn.c) and by workers (worker.c); not for other parts.
 *
 * Threads: a pool belongs to one thread, which runs batches; outputs may be given back by any. */
#ifndef GAL_SCHED_BATCH_H
#define GAL_SCHED_BATCH_H

#include "base/arena.h"
#include "sched/queue.h"
#include "sched/sched.h"

/* Inputs and outputs of a model that are stacked; a job with more runs alone. */
#define GAL_BATCH_PORTS_MAX 16u
/* Stacked inputs of one call, and what the engine's outputs need beside them. */
#define GAL_BATCH_BYTES_MAX (256ul << 20)

struct gal_batch;

struct gal_batch_pool {
    struct gal_batch *free;               /* the owner's */
    _Atomic(struct gal_batch *) returned; /* given back by other threads */
    size_t free_count;
    size_t out;        /* taken and not yet seen back; the owner's */
    size_t keep_bytes; /* of a free batch's arena */
};

void gal_batch_pool_init(struct gal_batch_pool *p, size_t keep_bytes);
/* Frees what is free. What is out stays whole and comes back to the pool, which is to be released
 * again then: `out` tells. */
void gal_batch_pool_release(struct gal_batch_pool *p);

/* Fills the job's entry, but for bytes: rows, key of what must agree, whether it can share a call:
 * only where a row of its inputs has at most row_bytes_max bytes; 0: in no case. */
void gal_batch_classify(struct gal_job *job, size_t row_bytes_max);
/* Memory of its inputs, or what it holds in all, where that is more. */
size_t gal_batch_bytes(const struct gal_job *job);
/* True when two jobs whose entries have one key may share a call (a key is a hash). */
bool gal_batch_agrees(const struct gal_job *a, const struct gal_job *b);

/* Runs jobs that have begun (gal_job_begin), linked by entry.next: as one call those that agree
 * with the first, alone the others, and alone each when the common call fails, so that a bad one
 * fails alone. Sets status, err, finished_us and the call's numbers of each; finishes none. */
void gal_batch_run(struct gal_batch_pool *pool, struct gal_entry_list *jobs);
/* Gives back a job's share of a batch's outputs; any thread. */
void gal_batch_unref(struct gal_batch *b);

static inline struct gal_job *gal_job_of(struct gal_entry *e)
{
    return (struct gal_job *)((char *)e - offsetof(struct gal_job, entry));
}
/* Puts an entry that is in no queue at a list's end. */
static inline void gal_entries_push(struct gal_entry_list *list, struct gal_entry *e)
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
/* Takes the first; NULL when there is none. */
static inline struct gal_entry *gal_entries_shift(struct gal_entry_list *list)
{
    struct gal_entry *e = list->head;
    if (!e)
        return NULL;
    list->head = e->next;
    if (list->head)
        list->head->prev = NULL;
    else
        list->tail = NULL;
    list->count--;
    e->next = e->prev = NULL;
    return e;
}

#endif
