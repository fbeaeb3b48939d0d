/* SPDX-License-Identifier: Apache-2.0 */
#include "api/exchange.h"
#include "api/route.h"

/* Gauges that the process counts for itself are set when they are asked for. */
static void set_gauges(struct gal_metrics *m, const struct gal_process *p)
{
    gal_gauge_set(m, gal_metrics_series(m, GAL_METRIC_HTTP_IN_FLIGHT, NULL), (double)p->in_flight);
    gal_gauge_set(m, gal_metrics_series(m, GAL_METRIC_HTTP_CONNECTIONS, NULL),
                  (double)p->connections);
}

void gal_handle_metrics(struct gal_exchange *x)
{
    enum gal_expo_format format = gal_expo_choose(x->req->known[GAL_HDR_ACCEPT]);
    struct gal_expo e;

    set_gauges(x->api->metrics, x->api->process);
    gal_expo_init(&e, format, &x->out);
    gal_metrics_render(x->api->metrics, &e);
    gal_metrics_render_process(&e, x->api->process->start_wall_us);
    gal_expo_end(&e);
    gal_exchange_header(x, GAL_STR("Vary"), GAL_STR("Accept"));
    gal_exchange_finish(x, 200, gal_expo_content_type(format));
}
