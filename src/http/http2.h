/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2 (RFC 9113) of a server over nghttp2 as protocol code: bytes in, requests out; answers in,
 * bytes out. No sockets, no clock. One for a connection, behind its preface or with it.
 *
 * What nghttp2 checks (frames, HPACK, states, flow control, pseudo headers, small letters in names,
 * headers of the connection, Content-Length against the body) ends the stream or the connection as
 * the RFC says. What it lets pass and costs only us (resets, pings, settings, empty frames) is
 * counted against a credit that answers and time renew; who has none left gets GOAWAY
 * ENHANCE_YOUR_CALM.
 *
 * Memory: nghttp2's own comes from a pool that the sessions of a loop share; requests are gathered
 * in the carrier's buffers; bodies of answers are sent from where they are.
 *
 * A call's callbacks come in this order: on_open, on_head, then on_request or on_fault (unless it
 * was claimed in on_head), on_close. on_fault may come without on_head. All come from within
 * gal_http2_feed, but on_close, which may come from gal_http2_sent and gal_http2_free too. They may
 * call all functions but feed, gather, sent and free. */
#ifndef GAL_HTTP_HTTP2_H
#define GAL_HTTP_HTTP2_H

#include "http/call.h"

struct gal_http2;
struct gal_http2_pool;

struct gal_http2_limits {
    size_t head_bytes_max; /* names, values and 4 bytes for each header */
    size_t body_bytes_max;
    unsigned streams_max;   /* open at once */
    uint32_t stream_window; /* bytes of a body ahead of gal_call_consume */
    uint32_t connection_window;
};

struct gal_http2_ops {
    /* A stream begins. Returns the call that stands for it until on_close, with empty `head` and
     * `body`; NULL refuses it, and the client may try again. */
    struct gal_call *(*on_open)(void *user);
    /* The head is whole and right. The carrier may claim the call here, or refuse it by
     * gal_http2_refuse (with its own answer). */
    void (*on_head)(void *user, struct gal_call *call);
    /* The first bytes of a unary request's body: so many are left free before it, that what lies in
     * it is aligned as the carrier wants it (its buffer's memory is, to 16). May be NULL. */
    size_t (*on_body)(void *user, struct gal_call *call, struct gal_str begin);
    /* A unary request is whole; gal_http2_answer is to follow, now or later. */
    void (*on_request)(void *user, struct gal_call *call);
    /* The request is refused: answer with the error. call->req holds what has come. */
    void (*on_fault)(void *user, struct gal_call *call, const struct gal_err *err);
    /* The stream is over and none of its bytes are borrowed any more: the call is the carrier's
     * again. */
    void (*on_close)(void *user, struct gal_call *call, uint32_t code);
    /* Something waits for gal_http2_gather, put there by other functions than feed, gather and sent
     * (behind those, ask gal_http2_wants_send). */
    void (*on_output)(void *user);
};

/* The memory of nghttp2's sessions: small pieces, kept for later up to a bound. One a loop. */
enum gal_status gal_http2_pool_new(struct gal_http2_pool **out, struct gal_err *err);
void gal_http2_pool_free(struct gal_http2_pool *pool); /* behind its sessions; NULL is fine */

/* pool, limits and ops are borrowed; limits may go at once. */
enum gal_status gal_http2_new(struct gal_http2 **out, struct gal_http2_pool *pool,
                              const struct gal_http2_limits *limits,
                              const struct gal_http2_ops *ops, void *user, struct gal_err *err);
/* Closes all calls first (on_close with GAL_CALL_CANCEL). NULL is fine. */
void gal_http2_free(struct gal_http2 *h);

/* The first 24 bytes of a connection. */
struct gal_str gal_http2_preface(void);

/* The next bytes from the peer, its preface first. False: the connection is to end, behind what
 * gal_http2_gather still gives. */
bool gal_http2_feed(struct gal_http2 *h, const char *p, size_t n, uint64_t now_us);
/* Fills `parts` with what goes out next and returns how many they are; 0: nothing now. They stay
 * until gal_http2_sent, which must come before the next gather. Room for
 * GAL_HTTP2_PARTS_MAX. */
#define GAL_HTTP2_PARTS_MAX 64
size_t gal_http2_gather(struct gal_http2 *h, struct gal_str *parts);
/* All of it is with the kernel. Chunks that were in it hear on_sent. */
void gal_http2_sent(struct gal_http2 *h);
bool gal_http2_wants_send(const struct gal_http2 *h);
/* Nothing more will come in or go out: close. */
bool gal_http2_is_over(const struct gal_http2 *h);
/* It ended because of what the peer cost (ENHANCE_YOUR_CALM). */
bool gal_http2_is_abused(const struct gal_http2 *h);

/* GOAWAY. `notice`: no new streams, please, but those on their way are taken; else: none is. The
 * streams that are open end well. */
void gal_http2_shut_down(struct gal_http2 *h, bool notice);
/* GOAWAY with an error: what has been gathered and this are the last bytes. */
void gal_http2_abort(struct gal_http2 *h, enum gal_call_code code);

/* "100 Continue", when the request asks for it and its body is still to come. */
void gal_http2_continue(struct gal_call *call);
/* From on_head only: what comes of the body is thrown away, and neither on_request nor on_fault
 * follows. gal_http2_answer is to. */
void gal_http2_refuse(struct gal_call *call);
/* The whole answer of a call that nobody has claimed; r, its parts and headers are borrowed until
 * on_close. Trailers are sent behind the body; an answer without one
 * has them in its head. `date` as http1.h has it, copied. The client is told to stop sending when
 * its request has not ended. */
void gal_http2_answer(struct gal_call *call, const struct gal_http_response *r,
                      struct gal_str date);
/* Open calls, newest first; linked by next. */
struct gal_call *gal_http2_calls(const struct gal_http2 *h);
/* When the oldest head that has not ended began; 0: none such. */
uint64_t gal_http2_head_since_us(const struct gal_http2 *h);

#endif
