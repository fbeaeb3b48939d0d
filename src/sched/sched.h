/* SPDX-License-Identifier: Apache-2.0 */
/* The scheduler of one model: takes jobs from loops, runs them inline or on workers, several as one
 * call where the model treats its rows apart, bounds what waits, drops what is too late, counts.
 *
 *     submit -> inline: at once, or at the end of the loop's turn with the others of that turn
 *                       (turn.h) -> on_done
 *            -> the turn's end -> queue (queue.h) -> worker: a batch -> post -> home: on_done
 *                                       -> late or cancelled         -> post -> home: on_done
 *                              -> refused (full, or its goal is out of reach) -> on_done
 *
 * A job runs inline while its model has been measured to cost less than a thread hop: what a turn
 * has read counts together, and what is more than that goes to the queue as a whole, as does what
 * comes while workers have work. A worker that becomes free takes everything that waits and goes
 * together: batches grow with load, an idle model adds no delay.
 *
 * Threads: gal_sched_submit, gal_job_cancel, gal_job_expire on the job's home loop; the rest any
 * thread. Decisions are pure (queue.h, cost.h, goal.h, decide.h); this part has the effects. */
#ifndef GAL_SCHED_SCHED_H
#define GAL_SCHED_SCHED_H

#include "backend/backend.h"
#include "base/clock.h"
#include "net/loop.h"
#include "sched/queue.h"

struct gal_turn;
struct gal_batch;

enum gal_sched_mode { GAL_SCHED_AUTO, GAL_SCHED_INLINE, GAL_SCHED_WORKERS };

struct gal_sched_options {
    const struct gal_backend_ops *ops; /* borrowed */
    struct gal_session *session;       /* borrowed; outlives the scheduler */
    const struct gal_clock *clock;     /* borrowed */
    enum gal_sched_mode mode;
    unsigned workers;       /* threads, started when first needed; at least 1 */
    uint64_t inline_us_max; /* AUTO: inline while the measured cost is at most this */
    bool one_core; /* the process has one loop and one core: a model that its loop serves alone
                      gains nothing from a worker. AUTO runs it inline at any cost up to
                      GAL_ALONE_US_MAX a call */
    struct gal_policy policy;
};

#define GAL_ALONE_US_MAX 5000u

/* One inference. The caller owns the job and all that it points to, and leaves both alone from
 * submit to on_done. A new job is zeroed. Outputs are there, and to be given back with
 * gal_job_release, only when status is OK. */
struct gal_job {
    /* filled by the caller */
    const struct gal_value *inputs;
    const size_t *wanted;
    size_t output_count;
    size_t rows;               /* batch rows, for statistics and cost; at least 1 */
    unsigned priority;         /* 1 the most urgent; 0: the model's default */
    uint64_t timeout_us;       /* longest wait that the request itself names; 0: none */
    size_t held_bytes;         /* memory that it holds while it waits; 0: its inputs' */
    struct gal_arena *arena;   /* the scheduler's while the job is under way */
    struct gal_value *outputs; /* room for output_count */
    uint64_t deadline_us;      /* monotonic; 0: none */
    uint64_t arrived_us;       /* monotonic, when its loop found it; 0: unknown */
    uint64_t waited_us;        /* before that, at most (gal_loop_waited_us) */
    struct gal_loop *home;     /* loop that on_done runs on; NULL: caller blocks, inline always */
    struct gal_turn *turn;     /* home's; NULL: never together with others */
    void (*on_done)(struct gal_job *job); /* called exactly once, on the home loop, possibly from
                                             inside gal_sched_submit or at the turn's end */
    /* filled by the scheduler before on_done */
    enum gal_status status; /* OVERLOADED, DEADLINE, CANCELLED, or the backend's */
    struct gal_err err;
    uint64_t submitted_us, started_us, finished_us; /* monotonic; started 0 when it never ran */
    uint64_t retry_us;   /* OVERLOADED: how long what waits will take; 0: not known */
    uint64_t expires_us; /* the home loop calls gal_job_expire then; 0: never. Set by submit */
    /* of the call that it ran in; 0 when it never ran */
    size_t call_rows;
    bool led; /* the first of its call: who counts calls counts these */
    uint64_t input_ns, infer_ns, output_ns; /* putting inputs together, the engine, handing out */
    /* the scheduler's own */
    struct gal_task task;
    struct gal_sched *sched;
    struct gal_batch *batch; /* whose outputs it shares; NULL: they are its own */
    size_t rows_limit;       /* inline: of the call it may be part of */
    bool is_dear;            /* inline beyond inline_us_max, see one_core */
    bool is_alone;           /* its call may be */
    bool stays;              /* runs on its loop, whatever the turn brings with it */
    bool may_stay;           /* goes into the queue, and runs on its loop where that is full */
    struct gal_entry entry;  /* its place in a list: the turn's, the queue's, a batch's */
    _Atomic bool cancelled;
};

/* How often, and how long in all. */
struct gal_span {
    uint64_t count, ns;
};

/* Sums since the start; read at any time, exact at rest. Every job ends in one of the first five.
 */
struct gal_sched_stats {
    uint64_t success, failed, rejected, expired, cancelled;
    uint64_t rows;                           /* of successful jobs */
    uint64_t executions;                     /* runs of the backend, the failed ones too */
    struct gal_span success_time, fail_time; /* submit to end, jobs */
    struct gal_span queue;                   /* submit to start, jobs that started */
    struct gal_span input, infer,
        output;                     /* jobs that succeeded, each counted with its call's time */
    uint64_t busy_ns;               /* of the engine, each call once */
    uint64_t last_finished_wall_us; /* end of the last execution; 0: never */
    size_t waiting, waiting_bytes;  /* jobs in the queue */
    size_t in_flight;               /* jobs submitted whose end has not come */
    size_t running;                 /* calls under way */
    unsigned workers;               /* calls at once, at most */
    size_t rows_max;                /* of a call, as now chosen */
    uint64_t delay_us;              /* for company, as now chosen */
    uint64_t p99_us;                /* submit to end, of the last minute or so; 0: none */
};

/* Calls of one number of rows. */
struct gal_batch_stats {
    size_t rows;
    struct gal_span input, infer, output; /* a call each */
};

struct gal_sched;

enum gal_status gal_sched_new(const struct gal_sched_options *options, struct gal_sched **out,
                              struct gal_err *err);
/* Waits for workers; no job may be under way or submitted. NULL is fine. */
void gal_sched_free(struct gal_sched *s);
/* Never fails by itself: whatever happens is told by on_done. */
void gal_sched_submit(struct gal_sched *s, struct gal_job *job);
/* When a job of this priority, timeout and deadline that comes now is given up by who waits for it:
 * what submit sets expires_us to. 0: never. */
uint64_t gal_job_ends_us(const struct gal_sched *s, const struct gal_job *job, uint64_t now_us);
/* The client has gone: a job still waiting leaves the queue at once and ends as CANCELLED without
 * running; one that runs is finished and ends as CANCELLED. on_done still comes, from the loop,
 * never from inside this call. */
void gal_job_cancel(struct gal_job *job);
/* Gives back the outputs of a job that ended as OK; once, on the home loop, before its arena is
 * cleared. */
void gal_job_release(struct gal_job *job);
/* The deadline has passed: a job still waiting ends as DEADLINE at once instead of when a worker
 * comes to it; one that runs is let finish. The home loop's; between submit and on_done. */
void gal_job_expire(struct gal_job *job);
/* Tells the scheduler what one call of `rows` rows cost: warm-up does. */
void gal_sched_observe(struct gal_sched *s, size_t rows, uint64_t cost_ns);
/* The model treats its rows apart: jobs may share a call. */
void gal_sched_stack(struct gal_sched *s);
bool gal_sched_is_inline(const struct gal_sched *s, size_t rows);
/* Once a second or so, by one thread at a time: where a burst of large calls is over, what it has
 * left goes back to the system, also while small calls go on. Workers do it, where the model has
 * any; else this call, which then blocks as gal_backend_ops.trim does. */
void gal_sched_tidy(struct gal_sched *s);
void gal_sched_stats(const struct gal_sched *s, struct gal_sched_stats *out);
/* Numbers of rows that calls have had, ascending; returns how many there are, of which at most
 * `room` are written. Numbers beyond GAL_BATCH_SIZES_MAX count as that. */
#define GAL_BATCH_SIZES_MAX 1024u
size_t gal_sched_batch_stats(const struct gal_sched *s, struct gal_batch_stats *out, size_t room);

#endif
