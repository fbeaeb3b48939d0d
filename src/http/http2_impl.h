/* SPDX-License-Identifier: Apache-2.0 */
/* What the http2*.c know of one another. */
#ifndef GAL_HTTP_HTTP2_IMPL_H
#define GAL_HTTP_HTTP2_IMPL_H

#include "http/http2.h"
#include "http/http2_frames.h"
#include "http/http2_ids.h"

#include <nghttp2/nghttp2.h>

/* What goes out next. Taken from the pool to gather, given back when all is with the kernel. */
#define GAL_HTTP2_OUT_BYTES 65536u
/* Of a frame that goes out, where the peer takes such: a large tensor is not cut into hundreds. */
#define GAL_HTTP2_FRAME_BYTES_MAX (64u << 10) /* nghttp2 sets as much aside a connection */
struct gal_http2_out {
    struct gal_http2_out *next; /* in the pool */
    size_t n, count, borrowed;  /* bytes copied; parts; bytes of parts that are borrowed */
    struct gal_str parts[GAL_HTTP2_PARTS_MAX];
    char bytes[GAL_HTTP2_OUT_BYTES]; /* of frames, and of small pieces */
};

struct gal_http2 {
    nghttp2_session *session;
    struct gal_http2_pool *pool; /* borrowed */
    const struct gal_http2_ops *ops;
    void *user;
    struct gal_http2_limits limits;
    struct gal_call *calls;                   /* open */
    struct gal_call *latest;                  /* one of them, asked for last; NULL: none */
    struct gal_call *closed;                  /* over, whose bytes are in `out` */
    struct gal_http2_out *out;                /* NULL: nothing is gathered */
    struct gal_call_chunk *sent, **sent_tail; /* whose last bytes are in `out` */
    uint64_t now_us;
    int64_t credit, credit_max; /* for frames that only cost */
    uint64_t credit_us;         /* renewed then */
    uint64_t head_since_us;     /* a header block that has not ended; 0: none */
    struct gal_http2_frames frames;
    struct gal_http2_ids ids;
    uint32_t error;         /* of a frame that nghttp2 has not been shown; 0: none */
    unsigned continuations; /* of the present head */
    bool head_ends;         /* the header block ends with the present frame */
    bool failed;            /* nothing more is read */
    bool inside;            /* feed or gather is on the stack */
    bool abused;            /* the credit has run out */
    bool broken;            /* memory was out where nothing else helps */
};

/* --- http2_pool.c --- */
nghttp2_mem *gal_http2_pool_mem(struct gal_http2_pool *pool);
struct gal_http2_out *gal_http2_out_take(struct gal_http2_pool *pool);
void gal_http2_out_give(struct gal_http2_pool *pool, struct gal_http2_out *out); /* NULL is fine */

/* --- http2_head.c --- */
/* Adds a header; the call's head_failed says that it did not fit. False when the peer sends so much
 * beyond all limits that the connection should end. */
bool gal_http2_head_add(struct gal_call *call, size_t bytes_max, struct gal_str name,
                        struct gal_str value);
/* All headers are there. */
enum gal_status gal_http2_head_end(struct gal_call *call, const struct gal_http2_limits *limits,
                                   struct gal_err *err);

/* --- http2_answer.c --- */
/* Name and value are not copied; the name is in small letters. */
nghttp2_nv gal_http2_nv(const struct gal_header *header);

/* --- http2_out.c --- */
/* Copies n bytes, for which there is room; bytes that follow those of the last part lengthen it. */
void gal_http2_out_put(struct gal_http2_out *out, const void *p, size_t n);
ssize_t gal_http2_on_read_length(nghttp2_session *session, uint8_t type, int32_t id,
                                 int32_t session_window, int32_t stream_window, uint32_t frame_max,
                                 void *user);
ssize_t gal_http2_on_read(nghttp2_session *session, int32_t id, uint8_t *buf, size_t length,
                          uint32_t *flags, nghttp2_data_source *source, void *user);
int gal_http2_on_send_data(nghttp2_session *session, nghttp2_frame *frame,
                           const uint8_t *frame_head, size_t length, nghttp2_data_source *source,
                           void *user);
/* Tells each chunk that is queued that it will not be sent. */
void gal_http2_drop_chunks(struct gal_call *call);

/* --- http2.c --- */
/* The stream is over and nothing is borrowed. */
void gal_http2_close_call(struct gal_http2 *h, struct gal_call *call);
/* Something was put into the session. rc: nghttp2's, negative when it was not. */
void gal_http2_touch(struct gal_http2 *h, int rc);

#endif
