/* SPDX-License-Identifier: Apache-2.0 */
/* TLS 1.2 and 1.3 for streams (over OpenSSL): what a listener shows and demands. A context is made
 * whole from files, immutable and counted: a new certificate is a new context, and connections keep
 * the one that they began with. Contexts may be shared by all loops; any thread may take or give a
 * reference. */
#ifndef GAL_NET_TLS_H
#define GAL_NET_TLS_H

#include "base/str.h"
#include "net/stream.h"

/* Keys of session tickets: a client that comes back resumes its session on any loop, and across a
 * change of certificates, without a whole handshake. A key seals new tickets for GAL_TLS_TICKET_US,
 * and opens them for as long again. Counted as contexts are; has a lock of its own. */
#define GAL_TLS_TICKET_US 3600000000u
struct gal_tls_tickets;
enum gal_status gal_tls_tickets_new(const struct gal_clock *clock, struct gal_tls_tickets **out,
                                    struct gal_err *err);
void gal_tls_tickets_unref(struct gal_tls_tickets *t); /* NULL is fine */

enum gal_tls_client_auth {
    GAL_TLS_CLIENT_OFF,
    GAL_TLS_CLIENT_OPTIONAL, /* may show none; a wrong one is refused */
    GAL_TLS_CLIENT_REQUIRE
};

/* Why a handshake failed. */
enum gal_tls_failure {
    GAL_TLS_FAIL_NONE,        /* it did not */
    GAL_TLS_FAIL_TIMEOUT,     /* not done in handshake_timeout_us */
    GAL_TLS_FAIL_CLOSED,      /* the peer went */
    GAL_TLS_FAIL_HTTP,        /* it spoke without TLS */
    GAL_TLS_FAIL_VERSION,     /* no version in common */
    GAL_TLS_FAIL_CIPHER,      /* no cipher, group or signature in common */
    GAL_TLS_FAIL_CERTIFICATE, /* the client's: missing, or not good */
    GAL_TLS_FAIL_REFUSED,     /* the peer refused: it does not trust the certificate, mostly */
    GAL_TLS_FAIL_MALFORMED,   /* no TLS at all */
    GAL_TLS_FAIL_MEMORY,
    GAL_TLS_FAIL_COUNT
};
const char *gal_tls_failure_name(enum gal_tls_failure why); /* "timeout" */

/* How a handshake ended, for counts and the log. */
struct gal_tls_report {
    enum gal_tls_failure why;
    const char *text;    /* the reason in words; of a success "" */
    const char *version; /* "TLSv1.3"; "" when it failed */
    bool resumed;
};

/* All borrowed for the call, but for what is said to stay. */
struct gal_tls_options {
    const char *certificate_file; /* PEM: the server's own first, then what leads to its root */
    const char *key_file;         /* PEM, not encrypted */
    const char *client_ca_file;   /* PEM: who signs clients' certificates; NULL or "": none */
    enum gal_tls_client_auth client_auth;
    bool tls13_only; /* 1.2 is refused */
    bool offer_h2;   /* by ALPN, before http/1.1 */
    uint64_t handshake_timeout_us;
    struct gal_str plain_answer; /* to who sends HTTP without TLS; stays */
    /* On the loop's thread; ctx is the listener's. May be NULL. */
    void (*on_handshake)(void *listener_ctx, struct gal_stream *s, const struct gal_tls_report *r);
    struct gal_tls_tickets *tickets; /* the context takes a reference; NULL: sessions do not
                                        resume */
};

struct gal_tls;

/* Reads and checks the files. NOT_FOUND, IO, INVALID or NO_MEMORY, with the file as place and what
 * to do as hint. A certificate whose time is over, or has not come, is taken: see gal_tls_expires.
 */
enum gal_status gal_tls_new(const struct gal_tls_options *options, struct gal_tls **out,
                            struct gal_err *err);
struct gal_tls *gal_tls_ref(struct gal_tls *t);
void gal_tls_unref(struct gal_tls *t); /* NULL is fine */
/* Of the server's own certificate, seconds since 1970. */
int64_t gal_tls_begins(const struct gal_tls *t);
int64_t gal_tls_expires(const struct gal_tls *t);
const char *gal_tls_subject(const struct gal_tls *t); /* "CN = api.example.com" */

/* A listener of TLS: as gal_listener_new, and each connection's on_open comes before its handshake,
 * its first on_data behind it. The listener takes a reference of its own. */
enum gal_status gal_listener_new_tls(struct gal_loop *loop, const char *host, uint16_t port,
                                     int backlog, struct gal_tls *tls,
                                     const struct gal_stream_ops *ops, void *ctx,
                                     struct gal_listener **out, struct gal_err *err);
/* Connections from here on use this context. The loop's thread. */
void gal_listener_use_tls(struct gal_listener *l, struct gal_tls *tls);

#endif
