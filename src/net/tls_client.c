/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tls_client.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

struct gal_tls_client {
    SSL_CTX *ctx;
    SSL *ssl;
    char host[256];
    bool shows; /* a certificate of its own */
    char reason[160];
};

static const char *reason(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_error());

    ERR_clear_error();
    return text != NULL ? text : "it gives no reason";
}

static enum gal_status refuse(struct gal_err *err, const char *file, const char *what)
{
    (void)gal_fail(err, GAL_INVALID, "%s: %s", what, reason());
    gal_err_place(err, "%s", file);
    return GAL_INVALID;
}

static enum gal_status set_trust(struct gal_tls_client *c, const struct gal_tls_trust *t,
                                 struct gal_err *err)
{
    if (t->ca_file != NULL && SSL_CTX_load_verify_file(c->ctx, t->ca_file) != 1)
        return refuse(err, t->ca_file, "no certificates can be read");
    if (t->ca_file == NULL)
        (void)SSL_CTX_set_default_verify_paths(c->ctx);
    SSL_CTX_set_verify(c->ctx, t->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    if (t->certificate_file == NULL)
        return GAL_OK;
    c->shows = true;
    if (SSL_CTX_use_certificate_chain_file(c->ctx, t->certificate_file) != 1)
        return refuse(err, t->certificate_file, "no certificate can be read");
    if (SSL_CTX_use_PrivateKey_file(c->ctx, t->key_file, SSL_FILETYPE_PEM) != 1)
        return refuse(err, t->key_file, "the certificate's key cannot be read");
    return GAL_OK;
}

/* An address stands among a certificate's addresses, and is no name to ask for. */
static bool set_host(struct gal_tls_client *c, const char *host)
{
    unsigned char address[16];

    (void)snprintf(c->host, sizeof(c->host), "%s", host);
    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(c->ssl), host) == 1;
    return SSL_set1_host(c->ssl, host) == 1 && SSL_set_tlsext_host_name(c->ssl, host) == 1;
}

enum gal_status gal_tls_client_new(const struct gal_tls_trust *trust, const char *host, int fd,
                                   struct gal_tls_client **out, struct gal_err *err)
{
    struct gal_tls_client *c = gal_calloc(1, sizeof(*c));
    enum gal_status st = GAL_OK;

    (void)signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    if (c != NULL)
        c->ctx = SSL_CTX_new(TLS_client_method());
    if (c == NULL || c->ctx == NULL)
        st = gal_fail(err, GAL_NO_MEMORY, "no memory for TLS");
    if (st == GAL_OK && c != NULL)
        st = set_trust(c, trust, err);
    if (st == GAL_OK && c != NULL) {
        (void)SSL_CTX_set_min_proto_version(c->ctx, TLS1_2_VERSION);
        c->ssl = SSL_new(c->ctx);
        if (c->ssl == NULL || !set_host(c, host) || SSL_set_fd(c->ssl, fd) != 1)
            st = gal_fail(err, GAL_NO_MEMORY, "no memory for TLS");
    }
    if (st != GAL_OK || c == NULL) {
        ERR_clear_error();
        gal_tls_client_free(c);
        return st;
    }
    SSL_set_connect_state(c->ssl);
    *out = c;
    return GAL_OK;
}

void gal_tls_client_free(struct gal_tls_client *c)
{
    if (c == NULL)
        return;
    SSL_free(c->ssl);
    SSL_CTX_free(c->ctx);
    gal_free(c);
}

static enum gal_tls_io outcome(struct gal_tls_client *c, int rc)
{
    long verdict = SSL_get_verify_result(c->ssl);

    if (rc == 1)
        return GAL_TLS_IO_DONE;
    switch (SSL_get_error(c->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
        return GAL_TLS_IO_READ;
    case SSL_ERROR_WANT_WRITE:
        return GAL_TLS_IO_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return GAL_TLS_IO_END;
    case SSL_ERROR_SYSCALL:
        (void)snprintf(c->reason, sizeof(c->reason), "the connection broke");
        break;
    default:
        (void)snprintf(c->reason, sizeof(c->reason), "%s",
                       ERR_GET_REASON(ERR_peek_error()) == SSL_R_CERTIFICATE_VERIFY_FAILED
                           ? X509_verify_cert_error_string(verdict)
                           : ERR_reason_error_string(ERR_peek_error()));
    }
    ERR_clear_error();
    return GAL_TLS_IO_FAILED;
}

enum gal_tls_io gal_tls_client_send(struct gal_tls_client *c, const char *p, size_t size, size_t *n)
{
    ERR_clear_error();
    return outcome(c, SSL_write_ex(c->ssl, p, size, n));
}

enum gal_tls_io gal_tls_client_receive(struct gal_tls_client *c, char *p, size_t size, size_t *n)
{
    ERR_clear_error();
    return outcome(c, SSL_read_ex(c->ssl, p, size, n));
}

enum gal_status gal_tls_client_explain(const struct gal_tls_client *c, struct gal_err *err)
{
    bool distrusts = SSL_get_verify_mode(c->ssl) != SSL_VERIFY_NONE &&
                     SSL_get_verify_result(c->ssl) != X509_V_OK;

    (void)gal_fail(err, GAL_UNAVAILABLE, "%s: TLS: %s", c->host, c->reason);
    if (distrusts)
        gal_err_hint(err, "give the certificate that signs the server's with --ca");
    else if (!c->shows && strstr(c->reason, "certificate required") != NULL)
        gal_err_hint(err, "the server wants to know who asks: give --cert and --key");
    return GAL_UNAVAILABLE;
}
