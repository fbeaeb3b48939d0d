/* SPDX-License-Identifier: Apache-2.0 */
/* An inference's way through the response cache (cache/cache.h), between the checks of its request
 * and the scheduler. It is one of these, by gal_cached_begin:
 *
 *   answered at once          X-Galley-Cache: hit
 *   asking Redis              then answered (hit), or computed (miss)
 *   waiting for an equal one  then answered (wait); or it takes the place of one that failed (miss)
 *   computed                  X-Galley-Cache: miss, and kept, when it goes well
 *
 * or does not use the cache: it is off for the model, an input is no tensor, an output has a
 * datatype that the protocols lack, the inputs are larger than GAL_CACHE_KEY_BYTES_MAX, or memory
 * is out. Loop's thread. */
#ifndef GAL_API_CACHED_H
#define GAL_API_CACHED_H

#include "api/infer.h"
#include "cache/cache.h"

/* The job is filled, x->submitted and x->job_running are set. True: the cache has the request, and
 * answers it or submits the job itself, at once or later. False: the caller submits. */
bool gal_cached_begin(struct gal_exchange *x);
/* The first thing in the job's on_done, while its outputs are there. */
void gal_cached_done(struct gal_exchange *x);
/* CANCELLED or DEADLINE: a request that waits for another's answer or for Redis ends so, from the
 * loop, not from inside this call. False when its job is with the scheduler. */
bool gal_cached_end_wait(struct gal_exchange *x, enum gal_status why);
/* The answer is written: gives back what it borrowed. */
void gal_cached_release(struct gal_exchange *x);
/* Brings the metrics up to date. */
void gal_cached_show(struct gal_api *api);
/* A gal_api.cache_spans. */
void gal_cached_spans(const struct gal_api *api, const struct gal_model *m,
                      struct gal_cache_spans *out);

#endif
