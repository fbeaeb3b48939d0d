/* SPDX-License-Identifier: Apache-2.0 */
/* Models that their first request loads (`load: lazy`). A request that meets one which is not
 * loaded is parked on its loop; the main thread is asked once a loop and version to load it, and
 * loads it once for all (server/lazy.c); then the parked requests are handled anew, as if they had
 * just come, or all fail with the reason of the load. Nothing of a failure is kept but the reason:
 * the next request is a next try.
 *
 *     handled -> parked [gal_lazy_park] -> handled | failed [the load's end]
 *                parked -> failed       [gal_lazy_end_wait: its client went, its deadline passed]
 *
 * All on the exchange's loop. */
#ifndef GAL_API_LAZY_H
#define GAL_API_LAZY_H

#include "api/exchange.h"

/* For who finds m in the catalog and needs it loaded: UNAVAILABLE, whatever it is. Where m's load
 * is to be had by asking, the gal_exchange_fail that follows parks the request instead. */
enum gal_status gal_lazy_want(struct gal_exchange *x, struct gal_model *m, struct gal_err *err);
/* False: x wants nothing that could come, or memory is out; it is to fail as it was told. */
bool gal_lazy_park(struct gal_exchange *x);
/* CANCELLED or DEADLINE for one that is parked; its end comes with the loop's next turn. False: it
 * is not parked. */
bool gal_lazy_end_wait(struct gal_exchange *x, enum gal_status why);
void gal_lazy_reset(struct gal_exchange *x);

#endif
