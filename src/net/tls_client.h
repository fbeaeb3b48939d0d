/* SPDX-License-Identifier: Apache-2.0 */
/* The client's side of TLS over a socket of the caller's, for commands that ask a server something
 * and may wait: no loop. One thread at a time. */
#ifndef GAL_NET_TLS_CLIENT_H
#define GAL_NET_TLS_CLIENT_H

#include "base/status.h"

/* Texts are borrowed for gal_tls_client_new. */
struct gal_tls_trust {
    const char *ca_file;                     /* PEM; NULL: the system's */
    const char *certificate_file, *key_file; /* PEM, of the client; NULL: it shows none */
    bool insecure;                           /* any certificate, of any name, will do */
};

enum gal_tls_io {
    GAL_TLS_IO_DONE,
    GAL_TLS_IO_READ,  /* again, when the socket can be read */
    GAL_TLS_IO_WRITE, /* when it can be written */
    GAL_TLS_IO_END,   /* the peer sends no more */
    GAL_TLS_IO_FAILED /* gal_tls_client_explain tells why */
};

struct gal_tls_client;

/* host: a name or an address, which the server's certificate must have. Borrows fd. The process
 * ignores SIGPIPE from here on. */
enum gal_status gal_tls_client_new(const struct gal_tls_trust *trust, const char *host, int fd,
                                   struct gal_tls_client **out, struct gal_err *err);
void gal_tls_client_free(struct gal_tls_client *c); /* NULL is fine */
/* Both shake hands first. *n: bytes, where DONE. */
enum gal_tls_io gal_tls_client_send(struct gal_tls_client *c, const char *p, size_t size,
                                    size_t *n);
enum gal_tls_io gal_tls_client_receive(struct gal_tls_client *c, char *p, size_t size, size_t *n);
/* UNAVAILABLE with the reason, and what to do. */
enum gal_status gal_tls_client_explain(const struct gal_tls_client *c, struct gal_err *err);

#endif
