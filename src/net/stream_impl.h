/* SPDX-License-Identifier: Apache-2.0 */
/* A stream as its two files know it: net/stream.c, and net/secure.c for those of TLS. */
#ifndef GAL_NET_STREAM_IMPL_H
#define GAL_NET_STREAM_IMPL_H

#include "net/net_impl.h"

struct gal_secure;
struct gal_tls;

struct gal_stream {
    uv_tcp_t tcp;
    uv_write_t write;
    uv_shutdown_t shutdown;
    struct gal_loop *loop;
    struct gal_stream *next, *prev; /* in the loop's list; next in its kept ones */
    const struct gal_stream_ops *ops;
    void *user;           /* NULL before on_open has returned it */
    uint64_t deadline_us; /* 0: none */
    bool reading;         /* bytes are wanted */
    bool eof;
    bool asking;     /* on_space is on the stack: libuv does not bear a stop or close there, */
    bool close_soon; /* so this waits for the call that follows */
    bool closing, finishing;
    bool fin_sent;
    bool writing;              /* parts are left */
    struct gal_secure *secure; /* owned; NULL: plain TCP */
    unsigned part, part_count;
    uv_buf_t parts[GAL_STREAM_PARTS_MAX];
    union gal_address peer;
    char peer_text[GAL_ADDRESS_TEXT_SIZE]; /* empty until asked for */
};

static inline uv_stream_t *gal_stream_uv(struct gal_stream *s)
{
    return (uv_stream_t *)&s->tcp;
}

/* --- net/stream.c --- */
/* Takes n bytes off the front of the parts. */
void gal_stream_advance(struct gal_stream *s, size_t n);
/* All that was to be written is with the kernel. */
void gal_stream_wrote(struct gal_stream *s);
/* The peer sends no more. */
void gal_stream_ended(struct gal_stream *s);
void gal_stream_listen(struct gal_stream *s); /* libuv reads again */
/* Also where the user's own deadline does not hold: during a handshake. */
void gal_stream_set_deadline(struct gal_stream *s, uint64_t at_us);

/* --- net/secure.c --- */
/* TLS from the first byte on. Before on_open. */
enum gal_status gal_secure_begin(struct gal_stream *s, struct gal_tls *tls, void *listener_ctx);
/* Behind on_open: the handshake's time runs. */
void gal_secure_start_time(struct gal_stream *s);
void gal_secure_free(struct gal_stream *s);
bool gal_secure_is_shaking(const struct gal_stream *s);
/* The deadline that the user wants: holds from the handshake's end on. */
void gal_secure_defer_deadline(struct gal_stream *s, uint64_t at_us);
char *gal_secure_space(struct gal_stream *s, size_t *n);
void gal_secure_take(struct gal_stream *s, const char *p, size_t n);
/* The user reads again: true when the socket is to be read, false when older bytes come first. */
bool gal_secure_resume(struct gal_stream *s);
/* As gal_stream_write, of the stream's parts. */
bool gal_secure_write(struct gal_stream *s);
/* Tells the peer that no more comes; true when all is with the kernel. */
bool gal_secure_say_end(struct gal_stream *s);
/* The connection ends during the handshake. */
void gal_secure_give_up(struct gal_stream *s, bool in_time);
void gal_secure_loop_free(struct gal_loop *loop);
/* Every 100 ms: streams that rest give buffers back. */
void gal_secure_tick(struct gal_loop *loop);
/* Goes on with the streams that have older bytes to read. */
void gal_secure_run_waiting(struct gal_loop *loop);

#endif
