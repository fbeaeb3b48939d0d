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

#include "load/load.h"

#define GAL_OBJECTIVES_MAX 16u

struct gal_objective {
    char name[8];    /* "p99" */
    char text[32];   /* "p99=20ms", as written */
    double quantile; /* of a latency; -1: the mean */
    double bound;    /* ns, share or requests a second */
    enum { GAL_OBJECTIVE_LATENCY, GAL_OBJECTIVE_ERRORS, GAL_OBJECTIVE_RATE } kind;
};

struct gal_objectives {
    struct gal_objective at[GAL_OBJECTIVES_MAX];
    size_t count;
};

enum gal_status gal_objectives_parse(struct gal_str text, struct gal_objectives *out,
                                     struct gal_err *err);
/* What the result has of it, in the unit of `bound`. */
double gal_objective_value(const struct gal_objective *o, const struct gal_load_result *r);
/* A step without a good answer keeps no latency. */
bool gal_objective_kept(const struct gal_objective *o, const struct gal_load_result *r);
/* "20ms", "200us", "1.5s" into ns, above 0; INVALID without a unit. */
enum gal_status gal_time_parse(struct gal_str text, double *ns, struct gal_err *err);

#endif
