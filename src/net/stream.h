/* SPDX-License-Identifier: Apache-2.0 */
/* Listeners and connections: bytes in order, nothing of what they mean. A plain TCP socket, or TLS
 * in its place (net/tls.h), which users need not know. All calls on the loop's thread.
 *
 * A connection lives from on_open to on_close; after on_close it is gone. It owns no buffers: it
 * asks its user where to read (on_space) and reads at most what fits.
 *
 * States: OPEN -> CLOSING [gal_stream_close, peer reset, write error, deadline without handler]
 *         -> closed [on_close]. EOF from the peer is reported by on_eof and leaves writing open. */
#ifndef GAL_NET_STREAM_H
#define GAL_NET_STREAM_H

#include "base/str.h"
#include "net/loop.h"

struct gal_stream;
struct gal_listener;

/* All but on_open, on_space, on_data and on_close may be NULL: then an end of file or a passed
 * deadline closes. Any of them may call any function of the stream. */
struct gal_stream_ops {
    /* A peer has connected. Returns the user's object for the other calls, NULL to refuse (the
     * connection is closed, on_close is not called). listener_ctx as given to gal_listener_new. */
    void *(*on_open)(struct gal_stream *s, void *listener_ctx);
    /* Where the next bytes go; *n bytes may be written. NULL or *n = 0 stops reading until
     * gal_stream_read_resume. Called just before a read, so idle connections hold nothing. */
    char *(*on_space)(void *user, size_t *n);
    /* n bytes were put where on_space said; n > 0. */
    void (*on_data)(void *user, size_t n);
    void (*on_eof)(void *user);
    /* The deadline set by gal_stream_deadline has passed (it is cleared first). */
    void (*on_deadline)(void *user);
    /* A gal_stream_write that returned false has finished: its bytes are with the kernel. */
    void (*on_written)(void *user);
    void (*on_close)(void *user);
    /* The process is about to stop: end when no request is under way. By gal_loop_drain_streams. */
    void (*on_drain)(void *user);
};

/* Listens on host:port (numeric address or name; port 0 lets the system choose) with SO_REUSEPORT,
 * so that every loop has a listener of its own on one port. `host` "" or "::" is all addresses, of
 * IPv4 too. Of a name, the first address that this machine has.
 * IO with the address and the reason, hint what to do when the port is taken. When the process has
 * no descriptor or memory for a peer, accepting rests for 100 ms; the peer waits in the backlog. */
enum gal_status gal_listener_new(struct gal_loop *loop, const char *host, uint16_t port,
                                 int backlog, const struct gal_stream_ops *ops, void *ctx,
                                 struct gal_listener **out, struct gal_err *err);
uint16_t gal_listener_port(const struct gal_listener *l);
/* Refuses to share a port with another process (tries an exclusive bind first): call once before
 * the loops listen, so that two galleys do not silently split traffic. */
enum gal_status gal_listener_probe(const char *host, uint16_t port, struct gal_err *err);
void gal_listener_free(struct gal_listener *l); /* stops accepting; open connections go on */

/* Writes the parts in order without copying. True: the kernel took all at once and on_written is
 * not called. False: the rest follows; the parts' bytes must stay until on_written or on_close.
 * The array `parts` itself may go at once. At most GAL_STREAM_PARTS_MAX parts a call; one write at
 * a time. A broken connection counts as false and ends in on_close. */
#define GAL_STREAM_PARTS_MAX 64
bool gal_stream_write(struct gal_stream *s, const struct gal_str *parts, size_t count);
/* Bytes written that the peer has not acknowledged, the kernel's among them; about so many under
 * TLS. A system call. */
size_t gal_stream_unsent(const struct gal_stream *s);
/* Shuts down after pending writes, throws away what the peer still sends until its end (at most a
 * second), closes: the peer reads all of the answer even when it still sends. Only on_close is
 * called from here on; a deadline that is set holds for the pending writes (30 s when none is). */
void gal_stream_finish(struct gal_stream *s);
/* At once, from any callback; on_close comes later, never inside. Nothing else is called. Both this
 * and finish may be called again. */
void gal_stream_close(struct gal_stream *s);
void gal_stream_read_stop(struct gal_stream *s);
void gal_stream_read_resume(struct gal_stream *s);
/* Absolute, gal_loop_turn_us's clock; 0 clears. Coarse: fires up to 100 ms late. Setting it is a
 * store. */
void gal_stream_deadline(struct gal_stream *s, uint64_t at_us);
/* Another protocol takes the connection over, between two bytes: from here on `ops` are called with
 * `user`; the former user hears no more of it, and frees itself. Not while a write is pending. What
 * the former user has read beyond its own, it hands to the new one. */
void gal_stream_switch(struct gal_stream *s, const struct gal_stream_ops *ops, void *user);
struct gal_loop *gal_stream_loop(const struct gal_stream *s);
/* "127.0.0.1:51234" of the peer; NUL-terminated, computed on first call. */
const char *gal_stream_peer(struct gal_stream *s);
/* What both sides agreed to speak ("h2", "http/1.1": ALPN, RFC 7301), from the handshake's end on;
 * empty: they did not, or there is no TLS. */
struct gal_str gal_stream_protocol(const struct gal_stream *s);
/* The client's name by its verified certificate: its first URI, else its first DNS name, else its
 * common name. p is NULL when it has shown none; lives as long as the stream. */
struct gal_str gal_stream_client_name(const struct gal_stream *s);
/* Open connections of a loop. */
size_t gal_loop_streams(const struct gal_loop *loop);
/* Calls on_drain of each that is not closing, where there is one. */
void gal_loop_drain_streams(struct gal_loop *loop);

#endif
