/* SPDX-License-Identifier: Apache-2.0 */
/* The client's side of unary gRPC calls over HTTP/2 with prior knowledge, over nghttp2: messages
 * and bytes in, bytes and answers out. No sockets, no clock. One for a connection, one call at a
 * time.
 *
 * It is there to measure servers, and must not be what is measured: its windows are the largest
 * that the protocol has, it takes frames of up to 1 MiB, sends frames as large as the server takes,
 * and messages from where they lie. Once a connection is under way, memory comes from the pool, but
 * for what nghttp2 sets aside, once, for its largest frame.
 *
 * States: IDLE -> ASKED [gal_http2_client_ask] -> IDLE [gal_http2_client_feed says DONE]
 *         any -> IDLE [gal_http2_client_open];  any -> over [feed says OVER or ERROR] */
#ifndef GAL_HTTP_HTTP2_CLIENT_H
#define GAL_HTTP_HTTP2_CLIENT_H

#include "http/http2.h"

struct gal_http2_client;

/* What all calls of a client have in common; the texts are borrowed. */
struct gal_http2_client_head {
    const char *authority; /* "127.0.0.1:8080" */
    const char *path;      /* "/package.Service/Method" */
    uint64_t timeout_us;   /* grpc-timeout; 0: none */
};

/* What came of a call. */
struct gal_http2_client_answer {
    int http_status;        /* 0: none came */
    int code;               /* grpc-status; -1: none came, or it is no number */
    uint32_t reset;         /* error of HTTP/2 with which the stream was cut; 0: it was not */
    bool framed;            /* the body is one message in its frame, as it says */
    struct gal_str message; /* grpc-message, decoded, as far as it is short; until the next call */
};

enum gal_http2_client_step {
    GAL_HTTP2_CLIENT_MORE,
    GAL_HTTP2_CLIENT_DONE, /* the call is over; gal_http2_client_answer tells how */
    GAL_HTTP2_CLIENT_OVER, /* nothing is asked, and the server takes no more calls: close */
    GAL_HTTP2_CLIENT_ERROR /* this is no HTTP/2, or memory is out: close */
};

/* pool is borrowed; head may go at once. */
enum gal_status gal_http2_client_new(struct gal_http2_client **out, struct gal_http2_pool *pool,
                                     const struct gal_http2_client_head *head, struct gal_err *err);
void gal_http2_client_free(struct gal_http2_client *c); /* NULL is fine */
/* A new connection: all that was is forgotten. False: no memory. */
bool gal_http2_client_open(struct gal_http2_client *c);
/* The bodies of answers are appended to `body` (borrowed) as far as it holds them; NULL: thrown
 * away. */
void gal_http2_client_keep(struct gal_http2_client *c, struct gal_buf *body);

/* Begins a call. `message` stands behind its prefix of five bytes, and is borrowed until the call
 * is over and what gather has given is written. False: this connection carries no more calls. */
bool gal_http2_client_ask(struct gal_http2_client *c, struct gal_str message);
bool gal_http2_client_may_ask(const struct gal_http2_client *c);
/* Fills `parts` (room for GAL_HTTP2_PARTS_MAX) with what goes out next, returns how many they are;
 * 0: nothing now. They stay until the next gather, which says that they are written. */
size_t gal_http2_client_gather(struct gal_http2_client *c, struct gal_str *parts);
/* The next bytes from the server. */
enum gal_http2_client_step gal_http2_client_feed(struct gal_http2_client *c, const char *p,
                                                 size_t n);
/* After DONE, until the next ask. */
void gal_http2_client_answer(const struct gal_http2_client *c, struct gal_http2_client_answer *out);

#endif
