/* SPDX-License-Identifier: Apache-2.0 */
/* What a server counts of a model, in the JSON of Triton's statistics extension (GET
 * /v2/models/NAME/stats): read before and after a step, the difference is the step's. Pure. */
#ifndef GAL_LOAD_STATS_H
#define GAL_LOAD_STATS_H

#include "base/str.h"

#define GAL_STATS_BATCHES_MAX 256u /* sizes that are told apart; the rest count as the last */

struct gal_server_batch {
    uint64_t size, count; /* rows of an execution; executions of that size */
    uint64_t infer_ns;    /* of those executions */
};

struct gal_server_stats {
    bool known;
    uint64_t inferences, executions;                            /* rows; calls of the engine */
    uint64_t success, fail;                                     /* requests */
    uint64_t queue_ns, input_ns, infer_ns, output_ns, total_ns; /* summed over requests */
    struct gal_server_batch batch[GAL_STATS_BATCHES_MAX];       /* by size, ascending */
    size_t batch_count;
};

struct gal_arena;
/* Sums the versions of the model that are listed, or takes the one named (empty: all). INVALID when
 * the answer has another shape. */
enum gal_status gal_server_stats_parse(struct gal_str json, struct gal_str version,
                                       struct gal_arena *arena, struct gal_server_stats *out,
                                       struct gal_err *err);
/* after - before; unknown when one is, or when a count went down (the server was restarted). */
void gal_server_stats_since(const struct gal_server_stats *before,
                            const struct gal_server_stats *after, struct gal_server_stats *out);
double gal_server_stats_rows(const struct gal_server_stats *s); /* mean rows of an execution */

#endif
