/* SPDX-License-Identifier: Apache-2.0 */
#include "server/pace.h"

#define REQUEST_US 5u      /* a read, a parse and a write, whatever is in them */
#define BYTES_PER_US 1024u /* of a body that was read for nothing */

uint64_t gal_pace_cost(uint64_t handled_us, size_t bytes)
{
    return handled_us + REQUEST_US + bytes / BYTES_PER_US;
}

uint64_t gal_pace_calm_us(const struct gal_pace *p)
{
    return p->last_us + GAL_PACE_CALM_US;
}

uint64_t gal_pace_refused(struct gal_pace *p, uint64_t now_us, uint64_t cost_us)
{
    uint64_t longest_us = now_us + GAL_PACE_PAUSE_US_MAX, pause_us;
    uint64_t credit_us = now_us > GAL_PACE_CREDIT_US ? now_us - GAL_PACE_CREDIT_US : 0;

    if (p->paid_us < credit_us)
        p->paid_us = credit_us;
    if (p->paid_us > now_us && gal_pace_calm_us(p) <= now_us)
        p->paid_us = now_us;
    p->last_us = now_us;
    /* Told by a division: a cost that passes all bounds does not overflow. */
    if (cost_us > (longest_us - p->paid_us) / GAL_PACE_SHARE)
        p->paid_us = longest_us;
    else
        p->paid_us += cost_us * GAL_PACE_SHARE;
    pause_us = p->paid_us > now_us ? p->paid_us - now_us : 0;
    return pause_us < GAL_PACE_PAUSE_US_MIN ? 0 : pause_us;
}
