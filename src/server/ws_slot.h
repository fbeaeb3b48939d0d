/* SPDX-License-Identifier: Apache-2.0 */
/* What one message of a WebSocket needs: its bytes, its exchange, the head of its answer. Slots are
 * recycled by their front, so that a message in steady state allocates nothing. */
#ifndef GAL_SERVER_WS_SLOT_H
#define GAL_SERVER_WS_SLOT_H

#include "api/exchange.h"
#include "http/ws.h"

/* A body of at most this many bytes is copied behind its head: one buffer costs the kernel less
 * than two. */
#define GAL_WS_JOIN_BYTES_MAX 4096u

struct gal_ws_conn;

struct gal_ws_slot {
    struct gal_ws_slot *next, *prev; /* in a list of its connection; next in the pool */
    struct gal_ws_conn *conn;
    struct gal_buf in; /* the message's bytes, or those that its connection is reading */
    struct gal_http_request req;
    struct gal_exchange x;
    struct gal_buf head; /* of the answer's frame, and the answer when it is small */
    bool answered;
    bool cancelled, expired; /* its exchange has been told */
    bool head_sent;
    size_t parts_sent; /* of the answer */
};

struct gal_ws_list {
    struct gal_ws_slot *first, *last;
};
void gal_ws_list_add(struct gal_ws_list *l, struct gal_ws_slot *s);
void gal_ws_list_remove(struct gal_ws_list *l, struct gal_ws_slot *s);

/* One a front; zeroed: none is kept. */
struct gal_ws_slots {
    struct gal_ws_slot *free;
    unsigned count;
};
/* NULL when memory is out. `in` is empty and holds at most in_max bytes. */
struct gal_ws_slot *gal_ws_slot_take(struct gal_ws_slots *slots, struct gal_api *api,
                                     size_t in_max);
/* Ends the slot's exchange. NULL is fine. */
void gal_ws_slot_give(struct gal_ws_slots *slots, struct gal_ws_slot *s);
void gal_ws_slots_free(struct gal_ws_slots *slots); /* those that are kept */
/* Frames the answer of s->x. False when memory is out. */
bool gal_ws_slot_frame(struct gal_ws_slot *s);

#endif
