/* SPDX-License-Identifier: Apache-2.0 */
/* A call: one request and its answer on a stream of HTTP/2. Most are unary: the codec
 * (http/http2.h) gathers the whole request, and gal_http2_answer sends the whole answer. A call
 * whose pieces matter by themselves, as those of a gRPC stream do, is claimed at the end of its
 * head (gal_call_claim, from the carrier's on_head) and then tells its pieces to its claimer.
 *
 * Life of a claimed call: gal_call_claim; then, in this order on the wire,
 *   in:  on_data any number of times, on_end at most once
 *   out: gal_call_head once, gal_call_send any number of times, gal_call_end once
 * both ways at the same time. The last thing that the claimer hears is on_close, always, once: the
 * answer has ended and the client has too, or one of them has reset the call, or the connection has
 * gone. Behind it the call is somebody else's. on_close never comes from within a function of
 * this header; all functions below may be called from any callback.
 *
 * Flow control: what a client may send at once is the limit's stream_window; it sends more as
 * gal_call_consume says that bytes have been dealt with. What we send waits for the client's window
 * and for the socket; on_sent of each chunk tells when it has gone, so who bounds its chunks that
 * are under way bounds its memory. Nothing is copied but small chunks.
 *
 * All calls on the loop's thread. */
#ifndef GAL_HTTP_CALL_H
#define GAL_HTTP_CALL_H

#include "base/buf.h"
#include "http/message.h"

struct gal_call;
struct gal_http2;

/* Why a call ends early (RFC 9113, 7). */
enum gal_call_code {
    GAL_CALL_NO_ERROR = 0x0,
    GAL_CALL_PROTOCOL_ERROR = 0x1,
    GAL_CALL_INTERNAL_ERROR = 0x2,
    GAL_CALL_STREAM_CLOSED = 0x5,
    GAL_CALL_REFUSED = 0x7, /* nothing was done: the client may send it again */
    GAL_CALL_CANCEL = 0x8,
    GAL_CALL_CALM = 0xb, /* the client sends what only costs */
};

/* on_data and on_close must be there, the others may be NULL. */
struct gal_call_ops {
    /* Bytes of the request's body, borrowed for this call only. They count against the stream's
     * window until gal_call_consume. */
    void (*on_data)(void *user, const char *p, size_t n);
    /* The client has sent all. Trailers are read over. */
    void (*on_end)(void *user);
    /* The process is about to stop: end when that is well. At the latest with its grace period the
     * connection is cut. */
    void (*on_drain)(void *user);
    /* Last of all; code is GAL_CALL_NO_ERROR when both sides have ended well, else who reset says
     * why. Chunks that were not sent have had their on_sent before this. */
    void (*on_close)(void *user, uint32_t code);
};

/* Bytes to send, borrowed until on_sent; owned by the caller, put into a queue without allocating.
 */
struct gal_call_chunk {
    struct gal_call_chunk *next; /* the call's while queued */
    const struct gal_str *parts; /* in order; array and bytes are borrowed */
    size_t count;
    /* The bytes are with the kernel (ok) or will never be sent (the call is over). NULL: nobody
     * wants to know, the bytes live until on_close. The chunk may be sent again from here. */
    void (*on_sent)(struct gal_call_chunk *chunk, bool ok);
    void *user; /* on_sent's */
};

/* From the codec's on_head only: the call's pieces go to ops from here on. What of the body comes
 * is not gathered. */
void gal_call_claim(struct gal_call *call, const struct gal_call_ops *ops, void *user);
/* Status and headers of r (and nothing else of it: parts and trailers are not looked at). Names may
 * have capitals; values are borrowed until on_close. No Content-Length is added. */
void gal_call_head(struct gal_call *call, const struct gal_http_response *r);
/* Behind gal_call_head. An empty chunk is sent at once. */
void gal_call_send(struct gal_call *call, struct gal_call_chunk *chunk);
/* Behind all chunks: the trailers (none: count 0), names in small letters, borrowed until on_close.
 * Without gal_call_head before it, it is an answer without a body: `status 200`, the trailers are
 * its headers (gRPC's Trailers-Only; give content-type with them). */
void gal_call_end(struct gal_call *call, const struct gal_header *trailers, size_t count);
/* Ends the call at once in both directions; on_close comes. */
void gal_call_reset(struct gal_call *call, enum gal_call_code code);
/* The client's windows let some bytes through. */
bool gal_call_may_send(const struct gal_call *call);
/* Bytes of chunks that wait for the client's windows, or for their turn on the connection; how many
 * have gone before is call->sent. */
size_t gal_call_queued(const struct gal_call *call);
/* n bytes that on_data has told are dealt with: the client may send so many more. */
void gal_call_consume(struct gal_call *call, size_t n);

/* The call as its carrier holds it (in a slot, recycled): the carrier sets `head` and `body` before
 * it gives the call to the codec, everything else is the codec's. */
struct gal_call {
    struct gal_http_request req; /* whole at on_request; but for its body at on_head */
    struct gal_buf *head;        /* the headers' text; owned by the carrier */
    struct gal_buf *body;        /* of a unary call; owned by the carrier; may have a budget */
    struct gal_http2 *h2;
    struct gal_call *next, *prev; /* among the open ones of the connection, newest first */
    int32_t id;                   /* of the stream */
    uint32_t code;                /* once closed */
    uint64_t opened_us, data_us;  /* its begin; the last byte of the request */
    size_t received;              /* bytes of the body so far */
    size_t body_at;               /* where in `body` it begins */
    /* While the head comes: where in `head` things lie. */
    size_t head_bytes, path_at, path_n, authority_at, authority_n;
    uint32_t header_at[GAL_HTTP_HEADERS_MAX];
    bool has_path, has_authority;
    bool head_failed;               /* more headers or bytes than are taken */
    bool ended;                     /* the client has sent all */
    bool faulted;                   /* what still comes of the body is thrown away */
    bool answered;                  /* its head is on its way */
    bool out_ended;                 /* no chunk comes behind those that are queued */
    bool deferred;                  /* nghttp2 waits for a chunk */
    bool closed;                    /* the stream is over */
    const struct gal_call_ops *ops; /* NULL: unary */
    void *user;
    struct gal_call_chunk *out, **out_tail; /* queued */
    size_t part, part_at;                   /* of the first of them: sent so far */
    size_t sent;                            /* bytes of chunks that have been framed */
    const struct gal_header *trailers;
    size_t trailer_count;
    struct gal_call_chunk answer; /* a unary answer's body */
};

#endif
