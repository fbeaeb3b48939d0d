/* SPDX-License-Identifier: Apache-2.0 */
#include "api/exchange.h"
#include "api/route.h"

#define TYPE_METRICS GAL_STR("text/plain; version=0.0.4; charset=utf-8")

/* Gauges that the process counts for itself are set when they are asked for. */
static void set_gauges(struct gal_metrics *m, const struct gal_process *p)
{
    gal_gauge_set(m, gal_metrics_series(m, GAL_METRIC_HTTP_IN_FLIGHT, NULL), (double)p->in_flight);
    gal_gauge_set(m, gal_metrics_series(m, GAL_METRIC_HTTP_CONNECTIONS, NULL),
                  (double)p->connections);
}

void gal_handle_metrics(struct gal_exchange *x)
{
    set_gauges(x->api->metrics, x->api->process);
    gal_metrics_render(x->api->metrics, &x->out);
    gal_metrics_render_process(&x->out, x->api->process->start_wall_us);
    gal_exchange_finish(x, 200, TYPE_METRICS);
}
