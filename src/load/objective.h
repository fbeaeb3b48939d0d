/* SPDX-License-Identifier: Apache-2.0 */
/* What a step has to keep: "p99=20ms,errors=0.1%,rate=5000". Pure.
 *
 *   p50 p90 p95 p99 p99.9 mean max = TIME   latency at most TIME (us, ms, s)
 *   errors = SHARE                          requests without a good answer, "0.1%" or "0.001"
 *   rate = NUMBER                           good answers a second, at least
 *
 * Latency is that of good answers: say `errors` too where refusals must not hide a miss. */
#ifndef GAL_LOAD_OBJECTIVE_H
#define GAL_LOAD_OBJECTIVE_H

#include "load/summary.h"

#define GAL_OBJECTIVES_MAX 16u

enum gal_objective_kind {
    GAL_OBJECTIVE_P50,
    GAL_OBJECTIVE_P90,
    GAL_OBJECTIVE_P95,
    GAL_OBJECTIVE_P99,
    GAL_OBJECTIVE_P999,
    GAL_OBJECTIVE_MEAN,
    GAL_OBJECTIVE_MAX,
    GAL_OBJECTIVE_ERRORS,
    GAL_OBJECTIVE_RATE,
    GAL_OBJECTIVE_COUNT
};

struct gal_objective {
    char name[8];  /* "p99" */
    char text[32]; /* "p99=20ms", as written */
    enum gal_objective_kind kind;
    double bound; /* ns, share or requests a second */
};

struct gal_objectives {
    struct gal_objective at[GAL_OBJECTIVES_MAX];
    size_t count;
};

enum gal_status gal_objectives_parse(struct gal_str text, struct gal_objectives *out,
                                     struct gal_err *err);
/* What the step has of it, in the unit of `bound`. */
double gal_objective_value(const struct gal_objective *o, const struct gal_load_summary *s);
/* A step without a good answer keeps no latency. */
bool gal_objective_kept(const struct gal_objective *o, const struct gal_load_summary *s);
/* "20ms", "200us", "1.5s" into ns, above 0; INVALID without a unit. */
enum gal_status gal_time_parse(struct gal_str text, double *ns, struct gal_err *err);

#endif
