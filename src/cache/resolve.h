/* SPDX-License-Identifier: Apache-2.0 */
/* The address of a host's name, without blocking who asks: the system's resolver runs on a thread
 * of its own, and who asks comes back to look. */
#ifndef GAL_CACHE_RESOLVE_H
#define GAL_CACHE_RESOLVE_H

#include "base/status.h"

#define GAL_ADDRESS_SIZE 64

struct gal_resolve; /* shared by who asks and the thread; the last of the two frees it */

enum gal_status gal_resolve_start(const char *host, struct gal_resolve **out, struct gal_err *err);
/* True when it has ended: `address` is the numeric address, or empty when there is none. */
bool gal_resolve_ended(struct gal_resolve *q, char address[GAL_ADDRESS_SIZE]);
void gal_resolve_drop(struct gal_resolve *q); /* NULL is fine */
/* True for numeric addresses, which need no resolving. */
bool gal_resolve_is_numeric(const char *host);

#endif
