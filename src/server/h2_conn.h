/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that speak HTTP/2 (h2_conn.c) and their requests (h2_call.c): bytes from net/stream.h
 * into http/http2.h, requests to api/exchange.h, answers back. Each stream has a slot, from the
 * same pool as HTTP/1.1's. The loop's thread. */
#ifndef GAL_SERVER_H2_CONN_H
#define GAL_SERVER_H2_CONN_H

#include "http/http2.h"
#include "server/slot.h"

struct gal_h2_conn {
    struct gal_outbox_item outbox;
    struct gal_rest rest;
    struct gal_front *front;
    struct gal_stream *stream; /* NULL once closed */
    struct gal_http2 *http2;
    uint64_t deadline_us;   /* the stream's: of the first thing that may be due; 0: none */
    uint64_t idle_since_us; /* no call is open since then, when none is */
    uint64_t write_due_us;  /* of the write that is pending */
    size_t unsent;          /* of it, at the last look */
    uint64_t rest_us;       /* pause behind the present answers */
    bool reading;           /* gal_http2_feed is on the stack */
    bool walking; /* gal_h2_check_calls is: what ends there is sent, and closed, behind it */
    bool writing; /* the kernel has not taken all: gal_stream_write's on_written follows */
    bool read_stopped;
    bool failed;     /* what the peer sent was wrong: nothing more is read */
    bool closing;    /* only on_close is left */
    bool told_drain; /* the client knows that the process is about to stop */
};

/* Another protocol's connection becomes HTTP/2's (net/stream.h, gal_stream_switch): that of
 * HTTP/1.1 whose first bytes are the preface, or TLS's that agreed on "h2". `bytes` were read of it
 * already, from the preface on; they are borrowed for the call. The caller frees its own object
 * when this returns true; false: no memory, nothing has changed. The connection stays counted in
 * the process's. */
bool gal_h2_adopt(struct gal_front *f, struct gal_stream *stream, struct gal_str bytes);
/* Of a listener whose connections are HTTP/2 from their first byte; its ctx is the front. */
extern const struct gal_stream_ops gal_h2_stream_ops;

/* --- between h2_conn.c and h2_call.c --- */

extern const struct gal_http2_ops gal_h2_ops; /* its user is the connection */
/* Something is due then. */
void gal_h2_arm(struct gal_h2_conn *c, uint64_t at_us);
/* Ends what is due of the open calls, and arms the next. */
void gal_h2_check_calls(struct gal_h2_conn *c, uint64_t now_us);
/* Tells calls that are claimed that the process is about to stop. */
void gal_h2_drain_calls(struct gal_h2_conn *c);

#endif
