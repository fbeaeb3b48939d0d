/* SPDX-License-Identifier: Apache-2.0 */
/* The carrier of WebSocket messages: bytes from net/stream.h into http/ws.h, each message as an
 * exchange to api/exchange.h, answers back as they come (or in the order of the requests, when the
 * client asked for that). So many requests are under way at once; then reading rests.
 *
 * States, one setter (gal_ws_conn_set_state):
 *   OPEN     messages are taken
 *   ENDING   the server drains: no more are taken, the Close follows the last answer
 *   CLOSING  our Close is on its way, or sent and the peer's is waited for
 *   DONE     only on_close is left
 * OPEN -> ENDING [on_drain] -> CLOSING [gal_ws_out_close] -> DONE [gal_ws_conn_finish];
 * OPEN -> CLOSING [gal_ws_out_close]; any -> DONE [gal_ws_conn_cut, on_close]
 *
 * A slot is in one place at a time:
 *   filling -> running [dispatch] -> answers [on_finished] -> sending [gather] -> pool
 *   [gal_ws_in_release] */
#ifndef GAL_SERVER_WS_CONN_IMPL_H
#define GAL_SERVER_WS_CONN_IMPL_H

#include "server/front.h"

enum gal_ws_conn_state { GAL_WS_OPEN, GAL_WS_ENDING, GAL_WS_CLOSING, GAL_WS_DONE };

struct gal_ws_conn {
    struct gal_ws_conn *next; /* in the pool */
    struct gal_outbox_item outbox;
    struct gal_rest rest; /* refused too often */
    struct gal_front *front;
    struct gal_stream *stream; /* NULL once closed */
    enum gal_ws_conn_state state;
    struct gal_ws ws;
    struct gal_ws_slot *filling; /* what was read and not taken; NULL: nothing */
    struct gal_ws_list running, answers, sending;
    unsigned slots;    /* in these lists */
    bool ordered;      /* answers come in the order of the requests */
    bool pumping;      /* pump is on the stack */
    bool read_stopped; /* on_space had no room */
    bool held;         /* on_close is on the stack */
    bool writing;      /* the kernel has not taken all yet */
    bool pinged;       /* and nothing has come since */
    bool ping_wanted, pong_wanted;
    bool close_sent;   /* it is in `control` */
    bool close_awaits; /* the peer's Close, behind ours */
    bool close_heard;
    bool in_flight;    /* counted as a request: the drain waits for the peer's Close */
    unsigned controls; /* control frames since controls_since_us */
    unsigned close_code, end_code;
    uint64_t controls_since_us, heard_us, pinged_us;
    uint64_t partial_us; /* part of a message is here since then; 0: none */
    uint64_t expires_us; /* no running job's is earlier; 0: none */
    uint64_t write_until_us, close_until_us;
    size_t unsent; /* of the pending write, at the last look */
    char pong[GAL_WS_CONTROL_BYTES_MAX];
    size_t pong_n;
    char reason[GAL_WS_CONTROL_BYTES_MAX - 2]; /* of our Close */
    size_t reason_n;
    char control[3 * GAL_WS_CONTROL_FRAME_MAX]; /* frames of the present write */
    size_t control_n;
    /* of the handshake, for each message's request; bytes in `text` */
    struct gal_buf text;
    struct gal_str target, path, query, known[GAL_HDR_COUNT];
    struct gal_str client_name;
    char peer[64];
};

void gal_ws_conn_set_state(struct gal_ws_conn *c, enum gal_ws_conn_state to);
static inline uint64_t gal_ws_conn_turn_us(const struct gal_ws_conn *c)
{
    return gal_loop_turn_us(c->front->loop);
}

/* The earlier of two times, where 0 is none. */
static inline void gal_ws_lower(uint64_t *at, uint64_t to)
{
    if (to != 0 && to < *at)
        *at = to;
}

/* --- ws_conn.c: life --- */
/* Back to the pool, when neither the stream nor a request is left. */
void gal_ws_conn_give(struct gal_ws_conn *c);
/* Ends it in order: behind what is written. */
void gal_ws_conn_finish(struct gal_ws_conn *c);
void gal_ws_conn_cut(struct gal_ws_conn *c); /* ends it at once */
void gal_ws_conn_set_deadline(struct gal_ws_conn *c);

/* --- ws_in.c: what comes --- */
#define GAL_WS_READ_BYTES_MAX 65536u
/* A slot with room for so many bytes; NULL, and the connection closes, when memory is out. */
struct gal_ws_slot *gal_ws_in_slot(struct gal_ws_conn *c, size_t bytes);
size_t gal_ws_in_max(const struct gal_ws_conn *c); /* bytes of a buffer */
/* Takes what was read, as far as may be. */
void gal_ws_in_pump(struct gal_ws_conn *c);
/* There is room again for what the peer sends. */
void gal_ws_in_go_on(struct gal_ws_conn *c);
/* Nobody wants the answers any more; their slots come back as their exchanges finish. */
void gal_ws_in_cancel(struct gal_ws_conn *c);
/* Requests whose time is over end. */
void gal_ws_in_expire(struct gal_ws_conn *c, uint64_t now_us);
/* Gives the slot back, which is in no list any more. */
void gal_ws_in_release(struct gal_ws_slot *s);
void gal_ws_in_release_all(struct gal_ws_list *l);

/* --- ws_out.c: what goes --- */
/* There is something to send at the end of this turn: answers of so many bytes, or a control frame
 * (count 0). */
void gal_ws_out_queue(struct gal_ws_conn *c, unsigned count, size_t bytes);
void gal_ws_out_send(void *conn); /* send of the outbox's item */
/* A running exchange has its answer. */
void gal_ws_out_answer(struct gal_ws_conn *c, struct gal_ws_slot *s);
/* The kernel has taken all of the last write. */
void gal_ws_out_written(struct gal_ws_conn *c);
/* Ends the connection by a Close; what is under way is not answered any more. */
void gal_ws_out_close(struct gal_ws_conn *c, unsigned code, struct gal_str reason);

#endif
