/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tls_peer.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct shaken shaken;

void on_handshake(void *ctx, struct gal_stream *s, const struct gal_tls_report *r)
{
    (void)ctx;
    (void)s;
    if (r->resumed)
        atomic_fetch_add(&shaken.resumed, 1);
    atomic_fetch_add(&shaken.count[r->why], 1);
    sem_post(&shaken.ended);
}

void shaken_wait(void)
{
    struct timespec end = {.tv_sec = (time_t)(gal_wall_us(&gal_clock_system) / 1000000 + 60)};
    int rc;
    do
        rc = sem_timedwait(&shaken.ended, &end);
    while (rc != 0 && errno == EINTR);
    assert_int_equal(rc, 0);
}

/* --- certificates --- */

static void add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(e);
    assert_int_equal(X509_add_ext(x, e, -1), 1);
    X509_EXTENSION_free(e);
}

static void write_pem(const char *path, X509 *x, EVP_PKEY *key)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    if (x)
        assert_int_equal(PEM_write_X509(f, x), 1);
    if (key)
        assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(f);
}

static X509 *read_certificate(const char *path)
{
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    X509 *x = PEM_read_X509(f, NULL, NULL, NULL);
    fclose(f);
    assert_non_null(x);
    return x;
}

static EVP_PKEY *read_key(const char *path)
{
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    EVP_PKEY *key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    fclose(f);
    assert_non_null(key);
    return key;
}

void certificate_write(const struct certificate_spec *spec, const char *cert, const char *key_path)
{
    static long serial = 1000;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    assert_non_null(key);
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
    X509_gmtime_adj(X509_getm_notBefore(x), spec->begins_s);
    X509_gmtime_adj(X509_getm_notAfter(x), spec->ends_s ? spec->ends_s : 86400);
    X509_NAME *name = X509_get_subject_name(x);
    if (spec->cn)
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)spec->cn, -1,
                                   -1, 0);
    X509_set_pubkey(x, key);
    X509 *issuer = spec->issuer ? read_certificate(spec->issuer) : x;
    EVP_PKEY *signer = spec->issuer ? read_key(spec->issuer_key) : key;
    X509_set_issuer_name(x, X509_get_subject_name(issuer));
    if (spec->san)
        add_extension(x, issuer, NID_subject_alt_name, spec->san);
    if (spec->is_ca)
        add_extension(x, issuer, NID_basic_constraints, "critical,CA:TRUE");
    assert_true(X509_sign(x, signer, EVP_sha256()) > 0);
    write_pem(cert, x, NULL);
    write_pem(key_path, NULL, key);
    if (issuer != x) {
        X509_free(issuer);
        EVP_PKEY_free(signer);
    }
    X509_free(x);
    EVP_PKEY_free(key);
}

static void place(struct pki *p, char out[96], const char *name)
{
    snprintf(out, 96, "%s/%s", p->dir, name);
}

void pki_make(struct pki *p)
{
    char ca_key[96];
    memset(p, 0, sizeof *p);
    memset(&shaken, 0, sizeof shaken);
    assert_int_equal(sem_init(&shaken.ended, 0, 0), 0);
    snprintf(p->dir, sizeof p->dir, "/tmp/galley-tls-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    place(p, p->cert, "cert.pem");
    place(p, p->key, "key.pem");
    place(p, p->ca, "ca.pem");
    place(p, ca_key, "ca-key.pem");
    place(p, p->client, "client.pem");
    place(p, p->client_key, "client-key.pem");
    place(p, p->other, "other.pem");
    place(p, p->other_key, "other-key.pem");
    certificate_write(&(struct certificate_spec){.cn = "localhost", .san = "DNS:localhost"},
                      p->cert, p->key);
    certificate_write(&(struct certificate_spec){.cn = "clients", .is_ca = true}, p->ca, ca_key);
    certificate_write(
        &(struct certificate_spec){.cn = "client-7", .issuer = p->ca, .issuer_key = ca_key},
        p->client, p->client_key);
    certificate_write(&(struct certificate_spec){.cn = "stranger"}, p->other, p->other_key);
    p->options = (struct gal_tls_options){.certificate_file = p->cert,
                                          .key_file = p->key,
                                          .client_ca_file = "",
                                          .offer_h2 = true,
                                          .handshake_timeout_us = 20000000,
                                          .plain_answer = GAL_STR("HTTP/1.1 400 Bad\r\n\r\n"),
                                          .on_handshake = on_handshake};
}

void pki_clean(struct pki *p)
{
    static const char *const names[] = {"cert.pem",   "key.pem",       "ca.pem",
                                        "ca-key.pem", "client.pem",    "client-key.pem",
                                        "other.pem",  "other-key.pem", "more.pem"};
    char path[96];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        place(p, path, names[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(p->dir), 0);
}

/* --- the client --- */

SSL_CTX *client_ctx(int version)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    assert_non_null(ctx);
    SSL_CTX_set_security_level(ctx, 0);
    SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
    if (version) {
        assert_int_equal(SSL_CTX_set_min_proto_version(ctx, version), 1);
        assert_int_equal(SSL_CTX_set_max_proto_version(ctx, version), 1);
    }
    return ctx;
}

SSL *client_dial(SSL_CTX *ctx, uint16_t port, SSL_SESSION *session)
{
    SSL *ssl = SSL_new(ctx);
    int fd = dial(port, 0);
    assert_non_null(ssl);
    assert_int_equal(SSL_set_fd(ssl, fd), 1);
    if (session)
        assert_int_equal(SSL_set_session(ssl, session), 1);
    if (SSL_connect(ssl) == 1)
        return ssl;
    ERR_clear_error();
    client_drop(ssl);
    return NULL;
}

void client_drop(SSL *ssl)
{
    int fd = SSL_get_fd(ssl);
    SSL_free(ssl);
    close(fd);
}

void client_close(SSL *ssl)
{
    char piece[4096];
    if (SSL_shutdown(ssl) == 0) /* in 1.3 tickets may come before the server's end */
        while (SSL_read(ssl, piece, sizeof piece) > 0)
            ;
    ERR_clear_error();
    shutdown(SSL_get_fd(ssl), SHUT_WR);
    (void)is_ended(SSL_get_fd(ssl));
    client_drop(ssl);
}

void client_send(SSL *ssl, const char *p, size_t n)
{
    while (n > 0) {
        size_t sent;
        assert_int_equal(SSL_write_ex(ssl, p, n, &sent), 1);
        p += sent;
        n -= sent;
    }
}

void client_read(SSL *ssl, char *p, size_t n)
{
    while (n > 0) {
        size_t got;
        assert_int_equal(SSL_read_ex(ssl, p, n, &got), 1);
        p += got;
        n -= got;
    }
}
