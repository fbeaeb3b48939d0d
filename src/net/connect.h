/* SPDX-License-Identifier: Apache-2.0 */
/* Outgoing connections: any number of streams that lead to one endpoint.
 * Loop's thread only, but for the endpoint, which is plain data. */
#ifndef GAL_NET_CONNECT_H
#define GAL_NET_CONNECT_H

#include "net/stream.h"

#define GAL_ENDPOINT_BYTES 28
#define GAL_ENDPOINT_TEXT_SIZE 56

struct gal_endpoint {
    _Alignas(8) unsigned char address[GAL_ENDPOINT_BYTES]; /* a socket address; net/'s own */
};

/* From a socket address of IP, as getaddrinfo and accept give it. */
struct sockaddr;
void gal_endpoint_set(struct gal_endpoint *e, const struct sockaddr *address, size_t bytes);
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
