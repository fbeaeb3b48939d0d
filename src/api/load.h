/* SPDX-License-Identifier: Apache-2.0 */
/* What the models of a loop's catalog are under and have done, gathered for metrics and statistics.
 * The loop's thread. */
#ifndef GAL_API_LOAD_H
#define GAL_API_LOAD_H

#include "api/exchange.h"
#include "watch/load.h"

/* All READY versions, by name, newest first, in the exchange's arena; NULL with NO_MEMORY (out of
 * memory) or with *count 0 and OK (none is READY). What gal_triton_render alone wants is there only
 * where the options say triton_metrics. */
enum gal_status gal_load_gather(struct gal_exchange *x, struct gal_load **out, size_t *count,
                                struct gal_err *err);
/* What a response cache has done for m: zero unless api->cache_spans says otherwise. */
struct gal_cache_spans gal_load_cache(const struct gal_api *api, const struct gal_model *m);

#endif
