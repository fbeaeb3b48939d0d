/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of turns and workers: a backend that counts its calls and the outputs that are out,
 * and spoils an output when it comes back, so that who reads one too late reads rubbish; and a job
 * with all that it needs. Output i is input i, numbers doubled. A gate holds calls until a test
 * lets them go on. */
#ifndef TESTS_SCHED_TOY_H
#define TESTS_SCHED_TOY_H

#include "sched/turn.h"

#include <pthread.h>
#include <stdatomic.h>

enum { INPUTS = 2, ROWS_MAX = 4, COLS = 3 };
#define BAD 666.0f /* an element that the toy refuses */
enum { TOY_CALLS_MAX = 256 };

extern _Atomic uint64_t toy_now_us; /* the clock stands until it is moved */
extern _Atomic uint64_t toy_reads;  /* how often it was read */
extern const struct gal_clock toy_clock;
extern const struct gal_backend_ops toy_ops;

struct toy {
    struct gal_model_info info;
    _Atomic uint64_t runs, live, trims; /* live: outputs not given back */
    _Atomic uint64_t rows_seen;         /* of input 0, the largest */
    uint64_t row_cost_us;               /* moves the clock */
    size_t odd_output; /* this one has one row, however many came; SIZE_MAX: none */
    /* under the lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_closed;
    float holds;        /* closed: calls with this element; 0: all */
    size_t held, calls; /* held: calls at the gate; calls: all that came */
    struct {
        float first; /* element of input 0 */
        size_t rows;
    } call[TOY_CALLS_MAX]; /* the first of them, in the order in which they came */
};

/* Sets the toy up anew, for a scheduler with a worker; what a test wants else it changes. */
struct gal_sched_options toy_options(struct toy *toy, enum gal_sched_mode mode);
/* A scheduler of a model whose rows are apart. */
struct gal_sched *toy_start(const struct gal_sched_options *options);
struct gal_sched *toy_open(struct toy *toy, enum gal_sched_mode mode); /* both */

void toy_gate_close(struct toy *toy, float holds);
void toy_gate_open(struct toy *toy);
void toy_gate_await(struct toy *toy, size_t held); /* until so many calls are held */
void toy_await_calls(struct toy *toy, size_t calls);
void toy_await_trims(struct toy *toy, size_t trims);

struct work {
    struct gal_job job;
    struct gal_arena arena;
    struct gal_value inputs[INPUTS], outputs[INPUTS];
    int64_t shape[2];
    float x[INPUTS][ROWS_MAX * COLS];
    bool submitted, released;
    unsigned done;  /* calls of on_done */
    unsigned order; /* of all answers */
    pthread_t ran_on;
    /* what on_done does */
    struct work *cancels, *next;
    size_t next_count;
    struct gal_sched *sched;
};

extern const size_t toy_both[], toy_turned[]; /* outputs wanted: 0 and 1, 1 and 0 */

/* Elements begin at x and differ. */
void work_init(struct work *w, float x, size_t rows);
void work_submit(struct work *w);
/* Makes it a job that goes with no plain one; how: 0..WORK_ODDS-1. Of one row. */
enum { WORK_ODDS = 10 };
void work_make_odd(struct work *w, int how);
void work_give_back(struct work *w);
/* Every output is the job's own: shape, count, values. */
void work_check(const struct work *w);

#endif
