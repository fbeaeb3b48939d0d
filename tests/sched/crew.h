/* SPDX-License-Identifier: Apache-2.0 */
/* A toy model with workers, a loop and its turn on the test's thread, and jobs. The clock stands
 * far ahead of the system's, so that no timed sleep of a worker ends by itself, or behind it
 * (crew_low_clock), so that each ends at once and the worker looks at the clock again and again. */
#ifndef TESTS_SCHED_CREW_H
#define TESTS_SCHED_CREW_H

#include "toy.h"

enum { CREW_JOBS = 128 };
#define CREW_START_US (UINT64_C(1) << 50)

struct crew {
    struct toy toy;
    struct gal_sched_options options;
    struct gal_sched *sched;
    struct gal_loop *loop;
    struct gal_turn *turn;
    struct work works[CREW_JOBS];
    size_t count;
};

/* The options may be changed before crew_open. */
struct crew *crew_new(unsigned workers);
/* So many jobs of a row, of which the i-th's first element is i + 1. */
void crew_open(struct crew *c, size_t count);
void crew_low_clock(void);
void crew_rows(struct crew *c, size_t i, size_t rows);     /* job i gets so many */
void crew_send(struct crew *c, size_t from, size_t count); /* as one turn */
void crew_finish(struct crew *c);                          /* until all that were sent are done */
void crew_turn(struct crew *c);                            /* the loop runs what was posted to it */
void crew_expect(const struct crew *c, size_t i, enum gal_status status);
void crew_expect_all(const struct crew *c, enum gal_status status);
/* The k-th call began with the job `first` and had so many rows. */
void crew_expect_call(const struct crew *c, size_t k, size_t first, size_t rows);
struct gal_sched_stats crew_stats(const struct crew *c);
/* Every job was answered once, on this thread; counts are exact; all outputs come back. */
void crew_close(struct crew *c);

#endif
