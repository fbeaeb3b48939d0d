/* SPDX-License-Identifier: Apache-2.0 */
/* Contexts: what is spoken, beside the certificates (net/tls_files.c). */
#include "net/tls.h"

#include "base/mem.h"
#include "net/tls_context.h"

#include <openssl/err.h>

/* TLS 1.2: forward secrecy and authenticated encryption only. 128 bits first: enough, and faster.
 * TLS 1.3 has no others, so OpenSSL's own choice stands there. */
static const char tls12_ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                                    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                                    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
#define SECURITY_LEVEL 2 /* 112 bits: RSA of 2048 bits, no SHA-1 */

const char *gal_tls_failure_name(enum gal_tls_failure why)
{
    static const char *const names[] = {
        [GAL_TLS_FAIL_NONE] = "none",
        [GAL_TLS_FAIL_TIMEOUT] = "timeout",
        [GAL_TLS_FAIL_CLOSED] = "closed",
        [GAL_TLS_FAIL_HTTP] = "http",
        [GAL_TLS_FAIL_VERSION] = "version",
        [GAL_TLS_FAIL_CIPHER] = "cipher",
        [GAL_TLS_FAIL_CERTIFICATE] = "certificate",
        [GAL_TLS_FAIL_REFUSED] = "refused",
        [GAL_TLS_FAIL_MALFORMED] = "malformed",
        [GAL_TLS_FAIL_MEMORY] = "memory",
    };
    return names[why];
}

/* --- what is spoken above --- */

static const unsigned char both_protocols[] = "\2h2\10http/1.1";
#define H2_BYTES 3 /* of both_protocols: its first name */

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n,
                   const unsigned char *in, unsigned in_n, void *ctx)
{
    const struct gal_tls *t = ctx;
    const unsigned char *ours = both_protocols + (t->options.offer_h2 ? 0 : H2_BYTES);
    unsigned ours_n = sizeof(both_protocols) - 1 - (t->options.offer_h2 ? 0 : H2_BYTES);
    unsigned char *found;

    (void)ssl;
    if (SSL_select_next_proto(&found, out_n, ours, ours_n, in, in_n) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301 3.2 */
    *out = found;
    return SSL_TLSEXT_ERR_OK;
}

/* --- life --- */

static enum gal_status set_rules(struct gal_tls *t, struct gal_err *err)
{
    SSL_CTX *ctx = t->ctx;
    int least = t->options.tls13_only ? TLS1_3_VERSION : TLS1_2_VERSION;

    SSL_CTX_set_security_level(ctx, SECURITY_LEVEL);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    if (t->tickets == NULL) {
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
        (void)SSL_CTX_set_num_tickets(ctx, 0);
    }
    /* What the file holds is the chain: OpenSSL would look for one at every handshake, and find
     * those that sign clients. */
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_alpn_select_cb(ctx, on_alpn, t);
    if (SSL_CTX_set_min_proto_version(ctx, least) != 1 ||
        SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(ctx, tls12_ciphers) != 1) {
        ERR_clear_error();
        (void)gal_fail(err, GAL_INTERNAL, "this OpenSSL refuses TLS 1.2 and 1.3");
        gal_err_hint(err, "see the system's openssl.cnf");
        return GAL_INTERNAL;
    }
    return t->tickets != NULL ? gal_tls_tickets_use(t->tickets, ctx, err) : GAL_OK;
}

enum gal_status gal_tls_new(const struct gal_tls_options *options, struct gal_tls **out,
                            struct gal_err *err)
{
    struct gal_tls *t = gal_calloc(1, sizeof(*t));
    enum gal_status st;

    if (t == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for TLS");
    atomic_init(&t->refs, 1);
    t->options = *options;
    t->options.certificate_file = t->options.key_file = t->options.client_ca_file = NULL;
    if (options->tickets != NULL)
        t->tickets = gal_tls_tickets_ref(options->tickets);
    t->ctx = SSL_CTX_new(TLS_server_method());
    st = t->ctx != NULL ? set_rules(t, err)
                        : gal_fail(err, GAL_NO_MEMORY, "OpenSSL makes no context for TLS");
    if (st == GAL_OK)
        st = gal_tls_read_files(t, options, err);
    if (st != GAL_OK) {
        ERR_clear_error();
        gal_tls_unref(t);
        return st;
    }
    *out = t;
    return GAL_OK;
}

struct gal_tls *gal_tls_ref(struct gal_tls *t)
{
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

void gal_tls_unref(struct gal_tls *t)
{
    if (t == NULL || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
        return;
    SSL_CTX_free(t->ctx);
    gal_tls_tickets_unref(t->tickets);
    gal_free(t);
}

int64_t gal_tls_begins(const struct gal_tls *t)
{
    return t->begins_s;
}

int64_t gal_tls_expires(const struct gal_tls *t)
{
    return t->expires_s;
}

const char *gal_tls_subject(const struct gal_tls *t)
{
    return t->subject;
}
