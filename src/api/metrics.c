/* SPDX-License-Identifier: Apache-2.0 */
#include "api/cached.h"
#include "api/load.h"
#include "api/route.h"

/* Gauges that the process counts for itself are set when they are asked for. */
static void set_gauges(struct gal_metrics *m, const struct gal_process *p)
{
    gal_gauge_set(m, gal_metrics_series(m, GAL_METRIC_HTTP_IN_FLIGHT, NULL), (double)p->in_flight);
    gal_gauge_set(m, gal_metrics_series(m, GAL_METRIC_HTTP_CONNECTIONS, NULL),
                  (double)p->connections);
    gal_gauge_set(m, gal_metrics_series(m, GAL_METRIC_WEBSOCKET_CONNECTIONS, NULL),
                  (double)p->websockets);
    gal_gauge_set(m, gal_metrics_series(m, GAL_METRIC_REQUEST_MEMORY, NULL),
                  (double)p->memory.used);
}

void gal_handle_metrics(struct gal_exchange *x)
{
    enum gal_expo_format format = gal_expo_choose(x->req->known[GAL_HDR_ACCEPT]);
    const struct gal_process *p = x->api->process;
    struct gal_load *loads;
    struct gal_expo e;
    struct gal_err err;
    size_t count;

    if (gal_load_gather(x, &loads, &count, &err) != GAL_OK) {
        gal_exchange_fail(x, &err);
        return;
    }
    set_gauges(x->api->metrics, p);
    gal_cached_show(x->api);
    gal_expo_init(&e, format, &x->out);
    gal_metrics_render(x->api->metrics, &e);
    gal_load_render(&e, loads, count);
    if (x->api->options->triton_metrics)
        gal_triton_render(&e, loads, count, (double)p->cpu_ppm / 1e6);
    gal_metrics_render_process(&e, p->start_wall_us);
    gal_expo_end(&e);
    gal_exchange_header(x, GAL_STR("Vary"), GAL_STR("Accept"));
    gal_exchange_finish(x, 200, gal_expo_content_type(format));
}
