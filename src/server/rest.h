/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that are not read from for a while, because a request of theirs was refused and the
 * loop refuses enough already (server/pace.h). They go on in the order in which they began to rest,
 * or all at once when nothing is refused any more. One list a loop; the loop's thread. */
#ifndef GAL_SERVER_REST_H
#define GAL_SERVER_REST_H

#include "api/exchange.h"
#include "net/loop.h"
#include "server/pace.h"

/* In the connection. */
struct gal_rest {
    struct gal_rest *next, *prev;
    uint64_t until_us;
    bool resting;               /* in the list */
    void (*on_end)(void *conn); /* the pause is over; it is out of the list */
    void *conn;
};

struct gal_rests {
    struct gal_loop *loop; /* borrowed */
    struct gal_pace pace;
    struct gal_rest *first, *last;
    struct gal_timer *timer; /* owned; NULL before init and behind release */
};

enum gal_status gal_rests_init(struct gal_rests *r, struct gal_loop *loop, struct gal_err *err);
void gal_rests_release(struct gal_rests *r);
/* A request has its answer: how long its connection is to rest; 0 where it was not refused, or the
 * loop refuses little. `handling`: who handles it is on the stack, all time since has been work. */
uint64_t gal_rest_pause_us(struct gal_rests *r, const struct gal_exchange *x, bool handling);
void gal_rest_begin(struct gal_rests *r, struct gal_rest *rest, uint64_t us);
/* Out of the list without on_end; nothing when it is in none. */
void gal_rest_leave(struct gal_rests *r, struct gal_rest *rest);

#endif
