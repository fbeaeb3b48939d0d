/* SPDX-License-Identifier: Apache-2.0 */
/* Once a second, on the main thread: what each model's scheduler has done since, for the gauges
 * that autoscalers read. So the figures do not depend on who scrapes, or how often. */
#ifndef GAL_SERVER_SAMPLER_H
#define GAL_SERVER_SAMPLER_H

#include "model/catalog.h"
#include "watch/metrics.h"

struct gal_sampler;

enum gal_status gal_sampler_new(struct gal_metrics *metrics, struct gal_sampler **out,
                                struct gal_err *err);
void gal_sampler_free(struct gal_sampler *s); /* NULL is fine */
/* Takes a sample of every READY version and sets its gauges; a version that is not in the catalog
 * any more loses them. Where memory is out, the sample is left out. */
void gal_sampler_take(struct gal_sampler *s, const struct gal_catalog *catalog, uint64_t now_us);

#endif
