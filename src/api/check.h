/* SPDX-License-Identifier: Apache-2.0 */
/* The deep health check: one inference with made-up input by the newest version of each model.
 *
 * It runs on a thread of its own, one at a time in the process, beside the schedulers: a costly
 * model never blocks a loop, and a check does not wait behind the requests that a model's queue
 * holds. The loop that asked gets the result posted back. What the last check found is kept and
 * answers for as long as the asker allows, so that probes from many sides cost one inference a
 * model and period. */
#ifndef GAL_API_CHECK_H
#define GAL_API_CHECK_H

#include "base/status.h"

#include <stdint.h>

struct gal_exchange;

/* A check that has not ended by then counts as a failure: a probe's whole budget (HLT-08). */
#define GAL_CHECK_US_MAX 10000000u

struct gal_check_result {
    bool failed;
    char text[400]; /* failed: why */
    char shape[64]; /* of the first output of the first model, "[1,3]"; empty when unknown */
};

/* What the process knows; all zero at first. One who sets `busy` (it was false) may use the rest
 * until it clears it: the thread that checks, or a loop that reads for a moment. Nobody waits. */
struct gal_check {
    _Atomic bool busy;
    _Atomic uint64_t started_us; /* monotonic; of the check under way, 0: none */
    _Atomic uint64_t ended_us;   /* of the last one, 0: never */
    _Atomic uint64_t age;        /* the process's catalog_age that it was for */
    _Atomic bool failed;         /* its result */
    struct gal_check_result last;
};

/* Calls `answer` once, now or later on x's loop: with the last result when it is at most
 * age_us_max old and of this catalog, else with that of a new check. While another check runs, the
 * last result stands, and when there is none it is that of the models' warm-up: fine. All models
 * of the catalog must be READY. An inference that the engine refuses for its content (INVALID,
 * UNSUPPORTED) is an answer too: a model that was loaded without warm-up may want other input. */
void gal_check_run(struct gal_exchange *x, uint64_t age_us_max,
                   void (*answer)(struct gal_exchange *x, const struct gal_check_result *result));

#endif
