/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that speak WebSocket: taken over from HTTP/1.1 behind the answer 101. All calls on
 * the front's loop. */
#ifndef GAL_SERVER_WS_CONN_H
#define GAL_SERVER_WS_CONN_H

#include "net/stream.h"
#include "server/ws_slot.h"

struct gal_front;

/* A front's part of it; zeroed, then gal_ws_front_init. */
struct gal_ws_front {
    struct gal_ws_conn *free_conns; /* owned, recycled */
    struct gal_ws_slots slots;
    gal_series in[2], out[2]; /* messages: text, binary */
};

void gal_ws_front_init(struct gal_front *f);
/* x has ended with 101, and that answer is with the kernel: from here on the connection is this
 * part's, and the caller forgets it. `rest` is what was read behind the request. False when memory
 * is out: the stream is still the caller's, to close. */
bool gal_ws_adopt(struct gal_front *f, struct gal_stream *stream, const struct gal_exchange *x,
                  struct gal_str rest);
void gal_ws_free_pools(struct gal_front *f);

#endif
