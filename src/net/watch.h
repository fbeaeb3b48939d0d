/* SPDX-License-Identifier: Apache-2.0 */
/* Watches a socket that somebody else reads and writes (a client library with an event interface of
 * its own). Loop's thread only. */
#ifndef GAL_NET_WATCH_H
#define GAL_NET_WATCH_H

#include "net/loop.h"

struct gal_watch;

/* on_ready may free the watch. The descriptor is borrowed: it must stay open until gal_watch_free
 * has been called. */
enum gal_status gal_watch_new(struct gal_loop *loop, int fd,
                              void (*on_ready)(void *ctx, bool readable, bool writable), void *ctx,
                              struct gal_watch **out, struct gal_err *err);
/* What is waited for; neither: nothing is. */
void gal_watch_set(struct gal_watch *w, bool readable, bool writable);
void gal_watch_free(struct gal_watch *w); /* no on_ready comes behind it; NULL is fine */

#endif
