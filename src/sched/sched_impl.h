/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the scheduler share: sched.c (submit, cost, counts), turn.c (a loop's turn),
 * worker.c (the queue and its threads), batch.c (several jobs as one call). Not for other parts. */
#ifndef GAL_SCHED_SCHED_IMPL_H
#define GAL_SCHED_SCHED_IMPL_H

#include "sched/batch.h"
#include "sched/burst.h"
#include "sched/goal.h"
#include "sched/sched.h"
#include "sched/stats.h"

#include <pthread.h>

/* A thread that runs calls. */
struct gal_worker {
    struct gal_sched *sched;
    pthread_t thread;
    struct gal_batch_pool pool;
    uint64_t ends_us;    /* expected end of its call; 0: it runs none. Under the lock */
    bool is_long;        /* its call is: nobody waits for the end of that of his own accord */
    uint64_t trim_at_us; /* memory of a burst is given back then; 0: nothing to give */
    unsigned tidied;     /* of the scheduler's `tidyings`, those that it has followed */
};

/* A call that has ended before one that began earlier (keep_order). */
struct gal_ended {
    struct gal_entry_list jobs;
    bool used;
};

struct gal_sched {
    struct gal_sched_options o;
    struct gal_stats *stats;
    _Atomic size_t inline_rows_max; /* jobs of at most so many rows run on their loop */
    _Atomic size_t alone_rows_max;  /* the same, where one_core and no other model is asked */
    _Atomic uint64_t alone_us;      /* what such a call of the most rows costs */
    _Atomic uint64_t alone_goal_us; /* of such jobs, from the moment they may have come; 0: none */
    _Atomic bool stacks;            /* rows are apart: jobs may share a call */
    _Atomic size_t stacked_bytes_max; /* of a row: beyond it calls of several rows do not pay */
    _Atomic bool is_loaded; /* workers have work, and soon take more: what comes joins it */
    pthread_mutex_t lock;   /* guards all below */
    pthread_cond_t work;
    struct gal_cost cost;
    struct gal_goal goal;
    struct gal_queue queue;
    struct gal_worker *workers; /* o.workers of them */
    unsigned started, idle;
    uint64_t ran_us; /* end of the last worker's call */
    bool stopping;
    struct gal_burst burst; /* noted by who runs calls; gal_sched_tidy's. Not under the lock */
    unsigned tidyings;      /* how often workers were told to give memory of a burst back */
    bool untidy;            /* none has given the session's back since the last time */
    uint64_t next_ticket, next_sent; /* keep_order: of calls begun, of calls answered */
    struct gal_ended *ended;         /* keep_order: ring of `window`, by ticket */
    unsigned window;
};

/* One call of the backend. */
struct gal_call {
    const struct gal_value *inputs;
    const size_t *wanted;
    size_t output_count, rows;
    struct gal_arena *arena;
    struct gal_value *outputs;
    uint64_t finished_us, input_ns, infer_ns;
    bool ran; /* it succeeded: gal_sched_count_call is to follow, once */
};

/* sched.c */
/* Runs it and learns its cost; counts it when it fails. Any thread, without the lock. */
enum gal_status gal_sched_call(struct gal_sched *s, struct gal_call *c, struct gal_err *err);
/* Counts a call that succeeded. */
void gal_sched_count_call(struct gal_sched *s, const struct gal_call *c, uint64_t output_ns);
/* True when the job is to run now; else its status says why it was dropped. */
bool gal_job_begin(struct gal_job *job, uint64_t now_us);
/* The job's last step, on its home: after on_done neither job nor scheduler may be there. */
void gal_job_finish(struct gal_job *job);
/* The answers of a call that has run on its loop: what the goal learns from them. */
void gal_sched_learn(struct gal_sched *s, const struct gal_entry_list *jobs);
/* Posts it to its home, where it finishes; from here on it is not the caller's. */
void gal_job_send_home(struct gal_job *job);
enum gal_status gal_job_fail_late(struct gal_job *job);
enum gal_status gal_job_fail_gone(struct gal_job *job);
const struct gal_sched_options *gal_sched_options(const struct gal_sched *s);
/* Under the lock: what follows from cost and goal. */
void gal_sched_replan(struct gal_sched *s);

/* Do jobs of a turn, of so many rows together, go to workers? Where those cost more than may run on
 * a loop; not on a single core, whose loop would only be held up otherwise, and a worker there
 * gives way to everybody. */
bool gal_sched_hands_over(const struct gal_sched *s, size_t rows);

/* turn.c: puts a job behind those that wait for the turn's end; inline, or for the queue. */
void gal_turn_add(struct gal_turn *t, struct gal_job *job);
void gal_turn_add_queued(struct gal_turn *t, struct gal_job *job);
/* Rows that wait for the turn's end. */
size_t gal_turn_rows(const struct gal_turn *t);
/* Notes how long a job has waited; true when none has waited less than `calm_us` for a while: what
 * waits is no burst, it stands, and serves nobody. */
bool gal_turn_stands(struct gal_turn *t, uint64_t waited_us, uint64_t calm_us, uint64_t now_us);
/* Nothing has come in this turn before the job. */
bool gal_turn_begins(const struct gal_turn *t, const struct gal_job *job);
/* Notes that a job of this scheduler has come; true when the loop has had none of another one for
 * a second. */
bool gal_turn_is_alone(struct gal_turn *t, const struct gal_sched *s, uint64_t now_us);

/* worker.c */
/* Puts jobs of this scheduler (linked by entry.next; the list is empty afterwards) into the queue
 * and wakes who shall run them. Those that are refused finish inside; of them, those that find no
 * room and may_stay come behind `stay` instead. Their home's thread. */
void gal_sched_enqueue(struct gal_sched *s, struct gal_entry_list *jobs,
                       struct gal_entry_list *stay);
/* Takes a job out of the queue; false when it is not there (any more). */
bool gal_sched_withdraw(struct gal_job *job);
enum gal_status gal_workers_new(struct gal_sched *s, struct gal_err *err);
/* Waits for all threads. */
void gal_workers_free(struct gal_sched *s);

#endif
