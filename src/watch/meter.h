/* SPDX-License-Identifier: Apache-2.0 */
/* Rates of the last ten seconds from sums that only grow: one sample a second goes in, so that what
 * comes out does not depend on who scrapes, or how often. Pure; one thread. Zeroed: no samples. */
#ifndef GAL_WATCH_METER_H
#define GAL_WATCH_METER_H

#include <stdint.h>

#define GAL_METER_SAMPLES 11u
#define GAL_METER_PERIOD_US 1000000u

struct gal_meter_sample {
    uint64_t at_us;   /* monotonic */
    uint64_t busy_ns; /* of all workers */
    uint64_t calls, rows;
};

struct gal_meter {
    struct gal_meter_sample samples[GAL_METER_SAMPLES]; /* a ring */
    unsigned count, next;
};

void gal_meter_add(struct gal_meter *m, const struct gal_meter_sample *s);
/* Share of the workers' time that calls took, 0 to 1. A call counts when it ends: where one takes
 * longer than the window, the share swings between 0 and 1. */
double gal_meter_busy(const struct gal_meter *m, unsigned workers);
/* Mean rows a call; 0 without calls. */
double gal_meter_rows(const struct gal_meter *m);

#endif
