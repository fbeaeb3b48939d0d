/* SPDX-License-Identifier: Apache-2.0 */
/* Outgoing connections: a name becomes an endpoint once, then any number of streams lead there.
 * Loop's thread only, but for the endpoint, which is plain data. */
#ifndef GAL_NET_CONNECT_H
#define GAL_NET_CONNECT_H

#include "net/stream.h"

#define GAL_ENDPOINT_BYTES 28
#define GAL_ENDPOINT_TEXT_SIZE 56

struct gal_endpoint {
    _Alignas(8) unsigned char address[GAL_ENDPOINT_BYTES]; /* a socket address; net/'s own */
};

/* Addresses of host (a numeric address or a name) in the system's order, at most `max`; *count is
 * at least 1 on OK. Blocks while a name is looked up. UNAVAILABLE with the reason. */
enum gal_status gal_endpoint_resolve(const char *host, uint16_t port, struct gal_endpoint *out,
                                     size_t max, size_t *count, struct gal_err *err);
/* 127.0.0.0/8, ::1 and their v4-in-v6 forms: nothing that leaves this machine. */
bool gal_endpoint_is_loopback(const struct gal_endpoint *e);
/* "127.0.0.1:80", "[::1]:80"; returns out. */
char *gal_endpoint_text(const struct gal_endpoint *e, char out[GAL_ENDPOINT_TEXT_SIZE]);

/* Begins to connect. Later, never inside the call, either ops->on_open(stream, ctx) is called, and
 * the stream lives as one of a listener's does, or on_failed with an errno. A status other than OK
 * (no descriptor, no memory, refused at once) means that neither comes. gal_loop_free ends attempts
 * silently. */
enum gal_status gal_stream_connect(struct gal_loop *loop, const struct gal_endpoint *to,
                                   const struct gal_stream_ops *ops,
                                   void (*on_failed)(int error, void *ctx), void *ctx,
                                   struct gal_err *err);
/* Ends all attempts that carry this ctx, silently: for a user who goes before they are over. */
void gal_connect_cancel(struct gal_loop *loop, const void *ctx);

#endif
