/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/meter.h"

#include <stdbool.h>

void gal_meter_add(struct gal_meter *m, const struct gal_meter_sample *s)
{
    m->samples[m->next] = *s;
    m->next = (m->next + 1) % GAL_METER_SAMPLES;
    if (m->count < GAL_METER_SAMPLES)
        m->count++;
}

/* What came between the oldest sample and the newest; false while there are not two. */
static bool span(const struct gal_meter *m, struct gal_meter_sample *out)
{
    const struct gal_meter_sample *last, *first;

    if (m->count < 2)
        return false;
    last = &m->samples[(m->next + GAL_METER_SAMPLES - 1) % GAL_METER_SAMPLES];
    first = &m->samples[(m->next + GAL_METER_SAMPLES - m->count) % GAL_METER_SAMPLES];
    *out = (struct gal_meter_sample){last->at_us - first->at_us, last->busy_ns - first->busy_ns,
                                     last->calls - first->calls, last->rows - first->rows};
    return true;
}

double gal_meter_busy(const struct gal_meter *m, unsigned workers)
{
    struct gal_meter_sample d;
    double share;

    if (!span(m, &d) || d.at_us == 0 || workers == 0)
        return 0;
    share = (double)d.busy_ns / ((double)d.at_us * 1000.0 * workers);
    return share < 1 ? share : 1;
}

double gal_meter_rows(const struct gal_meter *m)
{
    struct gal_meter_sample d;

    if (!span(m, &d) || d.calls == 0)
        return 0;
    return (double)d.rows / (double)d.calls;
}
