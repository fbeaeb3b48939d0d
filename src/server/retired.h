/* SPDX-License-Identifier: Apache-2.0 */
/* Models that are served no more, until their last request has left: freeing one joins its workers
 * and gives its session back, which takes time that no event loop has. The main thread's. */
#ifndef GAL_SERVER_RETIRED_H
#define GAL_SERVER_RETIRED_H

#include "model/catalog.h"

/* Zero-initialised: none. */
struct gal_retired {
    struct gal_model **models; /* a reference each; owned */
    size_t count, cap;
};

/* Keeps the models of `old` that `fresh` does not hold. Where memory is out they are not kept: then
 * whoever leaves last frees them. */
void gal_retired_add(struct gal_retired *r, const struct gal_catalog *old,
                     const struct gal_catalog *fresh);
/* Frees those that nobody else holds any more. */
void gal_retired_sweep(struct gal_retired *r);
void gal_retired_release(struct gal_retired *r);

#endif
