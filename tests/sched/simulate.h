/* SPDX-License-Identifier: Apache-2.0 */
/* The scheduler's pure parts (queue, cost, goal) under a virtual clock: seeded arrivals, workers
 * whose calls cost what a curve says and noise, cancels, timeouts, failures. It does what sched.c
 * does with threads: admits, takes when a worker is free, runs, answers. One seed is one run,
 * always the same.
 *
 * With `check`, every step is judged by rules of its own, which know the queue's contract but not
 * its code: who may begin, who may go with it, when, and that everyone is answered once. A breach
 * prints what is wrong and aborts. */
#ifndef GAL_TESTS_SIMULATE_H
#define GAL_TESTS_SIMULATE_H

#include "sched/goal.h"
#include "sched/queue.h"

enum sim_arrivals {
    SIM_POISSON,
    SIM_BURSTS, /* groups of up to 32 at once */
    SIM_ON_OFF, /* 10 ms of twice the rate, 10 ms of nothing */
    SIM_CLOSED, /* `clients` that ask again when they are answered */
};

enum sim_injection {
    SIM_NONE,
    SIM_CALL_FAILS,   /* the call that is started then */
    SIM_ADMIT_FAILS,  /* an admitted request is taken back, as when no thread can be had */
    SIM_CANCEL,       /* the oldest waiting request's client goes */
    SIM_CANCEL_YOUNG, /* the youngest's */
    SIM_CLOCK_JUMPS,  /* ten seconds pass at once */
};

/* A stretch of time with its own rate. */
#define SIM_PHASES 4u
struct sim_phase {
    uint64_t until_us; /* end; 0: the run's */
    double rate;       /* requests a second */
};

struct sim_options {
    uint64_t seed;
    struct gal_policy policy;
    unsigned workers;
    size_t requests;
    enum sim_arrivals arrivals;
    struct sim_phase phase[SIM_PHASES];
    unsigned clients;
    /* requests; shares from 0 to 1 */
    unsigned keys;
    size_t rows_most, bytes_most;
    double alone, urgent, with_timeout, with_deadline, cancelled;
    uint64_t timeout_us, deadline_us; /* at most; drawn from a quarter up, or exact */
    bool exact;
    bool turns;  /* what comes at one moment is admitted before workers look */
    bool timers; /* loops take expired requests out by themselves */
    /* calls */
    double base_us, row_us;
    double noise; /* a call costs the curve times 1..noise */
    double fails; /* share of calls */
    bool with_cost;
    uint64_t stale_us; /* admitting loops' clocks are behind by up to that */
    /* one thing that goes wrong */
    enum sim_injection inject;
    uint64_t inject_step;
    /* judging */
    bool check;
    uint64_t settle_us; /* of each phase, not measured */
};

/* Of requests submitted in a phase, beyond settle_us. */
struct sim_measure {
    size_t submitted, answered, in_time; /* within deadline and target */
    size_t shed, refused, expired, cancelled, failed;
    uint64_t span_us;
    uint64_t p50_us, p99_us, most_us;
    double rate; /* answered in time, a second */
};

struct sim_result {
    struct sim_measure phase[SIM_PHASES];
    size_t requests, answered, not_run;
    uint64_t calls, steps, rows;
    double busy;             /* share of the workers' time */
    uint64_t empty_after_us; /* from the start of the last phase until first nothing waited */
    double margin;           /* of the goal, in the end */
    size_t rows_max;         /* bound of calls, in the end */
    uint64_t delay_us;
};

/* Runs to the end, until every request is answered. Aborts on a breach of a rule. */
struct sim_result sim_run(const struct sim_options *o);
/* Numbers from a seed: the next of a state that is not 0; a share from 0 to 1. */
uint64_t sim_draw(uint64_t *state);
double sim_draw_share(uint64_t *state);
/* Rows a second that the workers can do at most, calls being as dear as they are on average. */
double sim_capacity(const struct sim_options *o);

#endif
