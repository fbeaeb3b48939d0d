/* SPDX-License-Identifier: Apache-2.0 */
/* What http_conn.c (requests) and http_answer.c (answers) know of a connection that speaks
 * HTTP/1.1. The states are described in http_conn.c. */
#ifndef GAL_SERVER_HTTP_CONN_H
#define GAL_SERVER_HTTP_CONN_H

#include "server/slot.h"

enum gal_conn_state {
    CONN_IDLE,
    CONN_READING,
    CONN_HANDLING,
    CONN_WRITING,
    CONN_RESTING,
    CONN_CLOSING
};

struct gal_conn {
    struct gal_conn *next; /* in the pool */
    struct gal_outbox_item outbox;
    struct gal_rest rest;
    struct gal_front *front;
    struct gal_stream *stream; /* NULL once closed */
    struct gal_slot *slot;     /* NULL while idle */
    enum gal_conn_state state;
    bool fresh;             /* what has come may still be the preface of HTTP/2 */
    bool eof;               /* the peer sends no more */
    bool keep_alive;        /* after the present answer */
    bool read_stopped;      /* on_space had no room */
    bool pumping;           /* gal_conn_pump is on the stack */
    bool handling;          /* gal_api_handle is */
    bool continue_sent;     /* 100-continue */
    uint64_t body_since_us; /* first wait for the present body; 0: none yet */
    bool head_sent;         /* of the answer */
    size_t parts_sent;      /* of the answer's body */
    bool in_flight;         /* counted in the process's requests in flight */
    bool unread;            /* the present request is refused before all of it has come */
    size_t unsent;          /* of the answer, at the last look */
    uint64_t rest_us;       /* pause behind the present answer */
};

void gal_conn_set_state(struct gal_conn *c, enum gal_conn_state to);
void gal_conn_deadline_in(struct gal_conn *c, uint64_t us); /* 0: none */
/* Handles what has been read. */
void gal_conn_pump(struct gal_conn *c);
/* Its request is in flight, if it was not yet; is no longer. */
void gal_conn_enter_flight(struct gal_conn *c);
void gal_conn_leave_flight(struct gal_conn *c);
/* Back to the front's pool, with its slot. */
void gal_conn_give(struct gal_conn *c);
void gal_conn_close_now(struct gal_conn *c);
void gal_conn_close_softly(struct gal_conn *c);

/* Answers: on_finished of the exchange, on_written of the stream, send and on_end of the items. */
void gal_conn_on_finished(struct gal_exchange *x);
void gal_conn_on_written(void *conn);
void gal_conn_send(void *conn);
void gal_conn_on_rest_end(void *conn);

#endif
