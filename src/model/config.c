/* SPDX-License-Identifier: Apache-2.0 */
#include "model/config.h"

#include "base/limits.h"

#include <string.h>

#define INLINE_US_MAX 200u

void gal_model_config_init(struct gal_model_config *c)
{
    memset(c, 0, sizeof *c);
    gal_policy_init(&c->policy);
    c->policy.rows_max = 0;
    c->inline_us_max = INLINE_US_MAX;
    c->warmup_runs = GAL_WARMUP_RUNS;
    c->backend.intra_op_threads = c->backend.inter_op_threads = 1;
}
