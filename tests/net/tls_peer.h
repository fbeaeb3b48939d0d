/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates made for a test, and OpenSSL as the client. */
#ifndef TESTS_NET_TLS_PEER_H
#define TESTS_NET_TLS_PEER_H

#include "peers.h"

#include <openssl/ssl.h>

/* Files in a folder of their own, and the options that name them. */
struct pki {
    char dir[64];
    char cert[96], key[96];          /* of "localhost", signed by itself */
    char ca[96];                     /* who signs clients */
    char client[96], client_key[96]; /* of CN "client-7", signed by ca */
    char other[96], other_key[96];   /* signed by nobody that is known */
    struct gal_tls_options options;
};

void pki_make(struct pki *p);
void pki_clean(struct pki *p);

/* A certificate of a new P-256 key. san: "DNS:a,URI:b", or NULL; issuer files NULL: by itself. */
struct certificate_spec {
    const char *cn, *san;
    const char *issuer, *issuer_key;
    long begins_s, ends_s; /* from now */
    bool is_ca;
};
void certificate_write(const struct certificate_spec *spec, const char *cert, const char *key);

/* How the last handshakes of a server ended. */
struct shaken {
    atomic_int count[GAL_TLS_FAIL_COUNT];
    atomic_int resumed;
    sem_t ended; /* posted by each */
};
extern struct shaken shaken;
void shaken_wait(void); /* until one more has ended; at most a minute */
void on_handshake(void *ctx, struct gal_stream *s, const struct gal_tls_report *r);

SSL_CTX *client_ctx(int version); /* of exactly this version; trusts all; 0: any */
/* Connects and shakes hands. NULL where that fails. session may be NULL. */
SSL *client_dial(SSL_CTX *ctx, uint16_t port, SSL_SESSION *session);
void client_close(SSL *ssl); /* with close_notify and FIN, waits for the server's */
void client_drop(SSL *ssl);  /* closes the socket without a word */
void client_send(SSL *ssl, const char *p, size_t n);
/* Reads exactly n bytes. */
void client_read(SSL *ssl, char *p, size_t n);

#endif
