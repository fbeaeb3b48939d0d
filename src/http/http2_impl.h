/* SPDX-License-Identifier: Apache-2.0 */
/* What http2*.c know of one another. */
#ifndef GAL_HTTP_HTTP2_IMPL_H
#define GAL_HTTP_HTTP2_IMPL_H

#include "http/http2.h"

#include <nghttp2/nghttp2.h>

struct gal_http2 {
    nghttp2_session *session;
    const struct gal_http2_ops *ops;
    void *user;
    struct gal_http2_limits limits;
    struct gal_http2_out *out; /* while it is filled */
    size_t calls;
    uint64_t now_us;
    int64_t patience;     /* costly frames that are still forgiven */
    uint64_t patience_us; /* when it was last refilled */
    bool spent;           /* it has run out */
    bool shut;            /* GOAWAY was submitted */
};

/* --- http2_head.c: a request's head --- */

/* Adds one header; slices are offsets until gal_http2_head_end. */
void gal_http2_head_add(struct gal_http2_call *c, size_t bytes_max, struct gal_str name,
                        struct gal_str value);
/* The head is whole: offsets become pointers, known headers are found, the path is split. */
void gal_http2_head_end(struct gal_http2_call *c);

/* --- http2_out.c: answers --- */

/* nghttp2's callbacks. */
ssize_t gal_http2_on_send(nghttp2_session *s, const uint8_t *p, size_t n, int flags, void *user);
int gal_http2_on_send_data(nghttp2_session *s, nghttp2_frame *frame, const uint8_t *frame_head,
                           size_t n, nghttp2_data_source *source, void *user);

#endif
