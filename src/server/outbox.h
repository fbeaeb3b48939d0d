/* SPDX-License-Identifier: Apache-2.0 */
/* Connections whose answers wait for the end of the loop's turn. Answers of one turn go out
 * together: a peer on this machine is woken once and not for each (a wake-up costs more than an
 * answer), and what goes to one connection is one write. Only so many answers wait, of so many
 * bytes, and the first of them for so long. One outbox a loop; the loop's thread. */
#ifndef GAL_SERVER_OUTBOX_H
#define GAL_SERVER_OUTBOX_H

#include "net/loop.h"

/* In the connection. */
struct gal_outbox_item {
    struct gal_outbox_item *next;
    bool waits; /* in the list: must be sent before it is freed */
    void (*send)(void *conn);
    void *conn;
};

struct gal_outbox {
    struct gal_loop *loop; /* borrowed */
    struct gal_outbox_item *first, **end;
    unsigned count;    /* answers */
    uint64_t since_us; /* the first of them waits since then */
    size_t bytes;      /* of their bodies */
    bool sending;      /* gal_outbox_send is on the stack */
};

void gal_outbox_init(struct gal_outbox *o, struct gal_loop *loop);
/* The item has one more answer, of so many bytes: all that wait may be sent at once, from inside.
 * Or (count 0) it has something else to send, at the end of the turn: the caller may be amid what
 * sending would change. */
void gal_outbox_add(struct gal_outbox *o, struct gal_outbox_item *item, unsigned count,
                    size_t bytes);
/* Calls send of each item that waits, and of those that are added meanwhile. Within itself it does
 * nothing: the caller above takes what was added. */
void gal_outbox_send(struct gal_outbox *o);

#endif
