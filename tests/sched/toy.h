/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of a turn: a backend that counts its calls and the outputs that are out, and spoils
 * an output when it comes back, so that who reads one too late reads rubbish; and a job with all
 * that it needs. Output i is input i, numbers doubled. */
#ifndef TESTS_SCHED_TOY_H
#define TESTS_SCHED_TOY_H

#include "sched/turn.h"

#include <stdatomic.h>

enum { INPUTS = 2, ROWS_MAX = 4, COLS = 3 };
#define BAD 666.0f /* an element that the toy refuses */

extern _Atomic uint64_t toy_now_us; /* the clock stands until it is moved */
extern const struct gal_clock toy_clock;
extern const struct gal_backend_ops toy_ops;

struct toy {
    struct gal_model_info info;
    _Atomic uint64_t runs, live, trims; /* live: outputs not given back */
    _Atomic uint64_t rows_seen;         /* of input 0, the largest */
    uint64_t row_cost_us;               /* moves the clock */
    size_t odd_output; /* this one has one row, however many came; SIZE_MAX: none */
};

/* A scheduler of a model whose rows are apart; the toy is set up anew. */
struct gal_sched *toy_open(struct toy *toy, enum gal_sched_mode mode);

struct work {
    struct gal_job job;
    struct gal_arena arena;
    struct gal_value inputs[INPUTS], outputs[INPUTS];
    int64_t shape[2];
    float x[INPUTS][ROWS_MAX * COLS];
    bool submitted, released;
    unsigned done; /* calls of on_done */
    /* what on_done does */
    struct work *cancels, *next;
    size_t next_count;
    struct gal_sched *sched;
};

extern const size_t toy_both[], toy_turned[]; /* outputs wanted: 0 and 1, 1 and 0 */

/* Elements begin at x and differ. */
void work_init(struct work *w, float x, size_t rows);
void work_submit(struct work *w);
void work_give_back(struct work *w);
/* Every output is the job's own: shape, count, values. */
void work_check(const struct work *w);

#endif
