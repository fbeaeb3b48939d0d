/* SPDX-License-Identifier: Apache-2.0 */
/* One connection's TLS without a socket: bytes of the network in, bytes of the network out. What it
 * sends goes into a sink that the loop's connections share, and that its caller empties before
 * anybody else writes. Loop's thread only. */
#ifndef GAL_NET_TLS_IMPL_H
#define GAL_NET_TLS_IMPL_H

#include "net/tls.h"

/* RFC 8446 5.1 and RFC 5246 6.2.1: the text of a record, and what is around it at most. */
#define GAL_TLS_RECORD_BYTES 16384u
#define GAL_TLS_AROUND_BYTES 256u

struct gal_tls_sink {
    char *p; /* owned by the loop */
    size_t n, cap;
};

/* True while one more record fits whole. */
static inline bool gal_tls_sink_has_room(const struct gal_tls_sink *s)
{
    return s->cap - s->n >= GAL_TLS_RECORD_BYTES + GAL_TLS_AROUND_BYTES;
}

enum gal_tls_step {
    GAL_TLS_DONE,
    GAL_TLS_MORE, /* wants more of the network's bytes, or, where the sink is full, to empty it */
    GAL_TLS_END,  /* the peer has said that it sends no more */
    GAL_TLS_FAILED
};

struct gal_tls_conn;

/* Server's side. Borrows sink; takes a reference of its own to the context. */
enum gal_status gal_tls_conn_new(struct gal_tls *tls, struct gal_tls_sink *sink,
                                 struct gal_tls_conn **out, struct gal_err *err);
void gal_tls_conn_free(struct gal_tls_conn *c); /* NULL is fine */
const struct gal_tls_options *gal_tls_conn_options(const struct gal_tls_conn *c);

/* The network's next bytes, borrowed until the next feed; what is left of the last ones is dropped.
 */
void gal_tls_conn_feed(struct gal_tls_conn *c, const char *p, size_t n);
/* What it has not taken yet of them. */
struct gal_str gal_tls_conn_rest(const struct gal_tls_conn *c);

/* Goes on with the handshake; DONE once, then gal_tls_conn_is_open. On FAILED an alert may be in
 * the sink. report->text lives as long as c. */
enum gal_tls_step gal_tls_conn_shake(struct gal_tls_conn *c, struct gal_tls_report *report);
bool gal_tls_conn_is_open(const struct gal_tls_conn *c);
/* True when the peer began with bytes that are a text and no record of TLS. Before the handshake's
 * first step. */
bool gal_tls_conn_is_plain(const struct gal_tls_conn *c);

/* DONE when text is there to be read. */
enum gal_tls_step gal_tls_conn_peek(struct gal_tls_conn *c);
/* Decrypts into `to` as much as is there, over records. Behind a peek that said DONE: n > 0. */
size_t gal_tls_conn_read(struct gal_tls_conn *c, char *to, size_t size);
/* True when bytes that have been decrypted are not read yet. */
bool gal_tls_conn_holds(const struct gal_tls_conn *c);

/* One record of at most GAL_TLS_RECORD_BYTES into the sink, which must have room. False: broken. */
bool gal_tls_conn_write(struct gal_tls_conn *c, const char *p, size_t n);
/* Tells the peer that no more comes. Nothing where the connection is not open. */
void gal_tls_conn_say_end(struct gal_tls_conn *c);

/* Whether its buffers, two of 17 KB, stay when they are empty. They do not at first: an idle
 * connection is small, but taking them anew for each record costs a small request 10 %. */
void gal_tls_conn_keep_buffers(struct gal_tls_conn *c, bool keep);

struct gal_str gal_tls_conn_client_name(const struct gal_tls_conn *c);
/* As gal_stream_protocol. */
struct gal_str gal_tls_conn_protocol(const struct gal_tls_conn *c);

#endif
