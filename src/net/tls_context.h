/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of TLS know of one another. */
#ifndef GAL_NET_TLS_CONTEXT_H
#define GAL_NET_TLS_CONTEXT_H

#include "net/tls.h"

#include <openssl/ssl.h>
#include <stdatomic.h>

#define GAL_TLS_SUBJECT_SIZE 256

struct gal_tls {
    atomic_uint refs;
    SSL_CTX *ctx;
    struct gal_tls_options options; /* without the names of files */
    struct gal_tls_tickets *tickets;
    int64_t begins_s, expires_s;
    char subject[GAL_TLS_SUBJECT_SIZE];
};

struct gal_tls_tickets *gal_tls_tickets_ref(struct gal_tls_tickets *t);
/* Lets a context's sessions resume by tickets of these keys; they must outlive it. */
enum gal_status gal_tls_tickets_use(struct gal_tls_tickets *t, SSL_CTX *ctx, struct gal_err *err);

/* Reads certificate, chain, key and client CA into the context (net/tls_files.c). */
enum gal_status gal_tls_read_files(struct gal_tls *t, const struct gal_tls_options *o,
                                   struct gal_err *err);
/* The name that a verified certificate gives its owner (net/tls_name.c), owned; NULL when it has
 * none that can be told as text, or memory is out. */
char *gal_tls_name_of(X509 *certificate);

#endif
