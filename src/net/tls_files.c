/* SPDX-License-Identifier: Apache-2.0 */
/* The PEM files of a context. Each error names the file, what is wrong with it and what to do. */
#include "base/file.h"
#include "base/mem.h"
#include "net/tls_context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define FILE_BYTES_MAX (1u << 20) /* thousands of certificates */
#define CERTIFICATES_MAX 1000

static enum gal_status read_file(const char *path, const char *what, struct gal_buf *out,
                                 struct gal_err *err)
{
    enum gal_status st = gal_file_read(path, FILE_BYTES_MAX, out, err);

    if (st == GAL_OK)
        return st;
    gal_err_place(err, "%s", path);
    if (st == GAL_NOT_FOUND)
        gal_err_hint(err, "%s names a PEM file; give its whole path", what);
    else
        gal_err_hint(err, "%s names a PEM file that this user must be able to read (`ls -l`)",
                     what);
    return st;
}

/* OpenSSL's own words for what it has just refused; empties its list of errors. */
static const char *reason(void)
{
    unsigned long e = ERR_peek_last_error();
    const char *text = ERR_reason_error_string(e);

    ERR_clear_error();
    return text != NULL ? text : "it gives no reason";
}

static enum gal_status refuse(struct gal_err *err, const char *path, const char *what)
{
    (void)gal_fail(err, GAL_INVALID, "%s: %s", what, reason());
    gal_err_place(err, "%s", path);
    return GAL_INVALID;
}

/* --- certificates --- */

/* Hands each certificate of the text to `take`, which owns it then. */
static enum gal_status each_certificate(const char *path, struct gal_str text,
                                        enum gal_status (*take)(struct gal_tls *t, X509 *x, int at,
                                                                const char *path,
                                                                struct gal_err *err),
                                        struct gal_tls *t, struct gal_err *err)
{
    BIO *bio = BIO_new_mem_buf(text.p != NULL ? text.p : "", (int)text.n);
    enum gal_status st = GAL_OK;
    int count = 0;
    X509 *x;

    if (bio == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for certificates");
    while (st == GAL_OK && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        if (count == CERTIFICATES_MAX) {
            X509_free(x);
            st = gal_fail(err, GAL_TOO_LARGE, "more than %d certificates", CERTIFICATES_MAX);
            gal_err_place(err, "%s", path);
        } else {
            st = take(t, x, count++, path, err);
        }
    }
    BIO_free(bio);
    if (st != GAL_OK)
        return st;
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return refuse(err, path, "a certificate cannot be read");
    ERR_clear_error();
    if (count > 0)
        return GAL_OK;
    (void)gal_fail(err, GAL_INVALID, "there is no certificate in PEM form");
    gal_err_place(err, "%s", path);
    gal_err_hint(err,
                 "one begins with -----BEGIN CERTIFICATE-----; from DER: openssl x509 -inform "
                 "der -in %s -out cert.pem",
                 gal_path_base(path));
    return GAL_INVALID;
}

static int64_t seconds_of(const ASN1_TIME *time)
{
    ASN1_TIME *zero = ASN1_TIME_set(NULL, 0);
    int days = 0, seconds = 0;

    if (zero != NULL)
        (void)ASN1_TIME_diff(&days, &seconds, zero, time);
    ASN1_TIME_free(zero);
    return (int64_t)days * 86400 + seconds;
}

static void note_subject(struct gal_tls *t, X509 *x)
{
    BIO *bio = BIO_new(BIO_s_mem());
    const char *text = NULL;
    long n;

    t->begins_s = seconds_of(X509_get0_notBefore(x));
    t->expires_s = seconds_of(X509_get0_notAfter(x));
    if (bio == NULL)
        return;
    (void)X509_NAME_print_ex(bio, X509_get_subject_name(x), 0, XN_FLAG_ONELINE);
    n = BIO_get_mem_data(bio, &text);
    if (n > 0 && n < (long)sizeof(t->subject))
        memcpy(t->subject, text, (size_t)n);
    BIO_free(bio);
}

/* The first is the server's own, the others lead to a root that clients know. */
static enum gal_status take_own(struct gal_tls *t, X509 *x, int at, const char *path,
                                struct gal_err *err)
{
    enum gal_status st = GAL_OK;

    if (at == 0) {
        if (SSL_CTX_use_certificate(t->ctx, x) != 1) {
            st = refuse(err, path, "the certificate is not taken");
            gal_err_hint(err, "use an RSA key of 2048 bits or more, or an ECDSA key on P-256");
        } else {
            note_subject(t, x);
        }
        X509_free(x);
    } else if (SSL_CTX_add0_chain_cert(t->ctx, x) != 1) {
        X509_free(x);
        st = refuse(err, path, "a certificate of the chain is not taken");
        gal_err_hint(err, "sign with SHA-256 and an RSA key of 2048 bits or more");
    }
    return st;
}

static enum gal_status take_ca(struct gal_tls *t, X509 *x, int at, const char *path,
                               struct gal_err *err)
{
    bool taken = X509_STORE_add_cert(SSL_CTX_get_cert_store(t->ctx), x) == 1 &&
                 SSL_CTX_add_client_CA(t->ctx, x) == 1;

    (void)at;
    X509_free(x);
    return taken ? GAL_OK : refuse(err, path, "a certificate is not taken");
}

static enum gal_status read_certificates(struct gal_tls *t, const char *path, struct gal_err *err)
{
    struct gal_buf text;
    enum gal_status st = read_file(path, "tls_certificate", &text, err);

    if (st == GAL_OK) {
        st = each_certificate(path, gal_buf_str(&text), take_own, t, err);
        gal_buf_release(&text);
    }
    return st;
}

/* --- key --- */

/* Nobody is there to type a password. */
static int on_password(char *out, int size, int writes, void *asked)
{
    (void)out;
    (void)size;
    (void)writes;
    *(bool *)asked = true;
    return -1;
}

static enum gal_status use_key(struct gal_tls *t, EVP_PKEY *key, const char *path,
                               const char *certificate_path, struct gal_err *err)
{
    if (X509_check_private_key(SSL_CTX_get0_certificate(t->ctx), key) != 1) {
        ERR_clear_error();
        (void)gal_fail(err, GAL_INVALID, "the key is not that of the first certificate in %s",
                       certificate_path);
        gal_err_place(err, "%s", path);
        gal_err_hint(err, "give the key that belongs to it; a chain begins with the server's own "
                          "certificate");
        return GAL_INVALID;
    }
    if (SSL_CTX_use_PrivateKey(t->ctx, key) != 1)
        return refuse(err, path, "the key is not taken");
    return GAL_OK;
}

static enum gal_status read_key(struct gal_tls *t, const char *path, const char *certificate_path,
                                struct gal_err *err)
{
    struct gal_buf text;
    enum gal_status st = read_file(path, "tls_key", &text, err);
    bool asked = false;
    EVP_PKEY *key = NULL;
    BIO *bio = NULL;

    if (st != GAL_OK)
        return st;
    bio = BIO_new_mem_buf(text.p != NULL ? text.p : "", (int)text.n);
    if (bio != NULL)
        key = PEM_read_bio_PrivateKey(bio, NULL, on_password, &asked);
    BIO_free(bio);
    if (text.p != NULL)
        OPENSSL_cleanse(text.p, text.n);
    gal_buf_release(&text);
    if (key != NULL) {
        st = use_key(t, key, path, certificate_path, err);
        EVP_PKEY_free(key);
        return st;
    }
    if (asked) {
        ERR_clear_error();
        st = gal_fail(err, GAL_INVALID, "the key is encrypted with a password");
        gal_err_hint(err,
                     "take it off: openssl pkey -in %s -out plain.pem; and keep the file "
                     "readable by galley's user only",
                     gal_path_base(path));
    } else {
        st = gal_fail(err, GAL_INVALID, "there is no private key in PEM form: %s", reason());
        gal_err_hint(err, "one begins with -----BEGIN PRIVATE KEY-----");
    }
    gal_err_place(err, "%s", path);
    return st;
}

/* --- clients --- */

/* Sessions of other demands do not resume here: the client shows its certificate anew. */
static enum gal_status set_session_context(struct gal_tls *t, struct gal_str ca,
                                           struct gal_err *err)
{
    unsigned char id[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool done = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
                EVP_DigestUpdate(md, &t->options.client_auth, sizeof(t->options.client_auth)) &&
                (ca.n == 0 || EVP_DigestUpdate(md, ca.p, ca.n)) &&
                EVP_DigestFinal_ex(md, id, &n) == 1 &&
                SSL_CTX_set_session_id_context(t->ctx, id, n) == 1;

    EVP_MD_CTX_free(md);
    return done ? GAL_OK : gal_fail(err, GAL_INTERNAL, "OpenSSL: %s", reason());
}

static enum gal_status read_client_ca(struct gal_tls *t, const char *path, struct gal_err *err)
{
    struct gal_buf text;
    enum gal_status st;
    bool demands = t->options.client_auth == GAL_TLS_CLIENT_REQUIRE;

    if (t->options.client_auth == GAL_TLS_CLIENT_OFF)
        return set_session_context(t, GAL_STR(""), err);
    st = read_file(path, "tls_client_ca", &text, err);
    if (st != GAL_OK)
        return st;
    st = each_certificate(path, gal_buf_str(&text), take_ca, t, err);
    if (st == GAL_OK)
        st = set_session_context(t, gal_buf_str(&text), err);
    gal_buf_release(&text);
    /* Who is in the file is trusted, be it a root or not. */
    (void)X509_STORE_set_flags(SSL_CTX_get_cert_store(t->ctx), X509_V_FLAG_PARTIAL_CHAIN);
    SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER | (demands ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                       NULL);
    return st;
}

enum gal_status gal_tls_read_files(struct gal_tls *t, const struct gal_tls_options *o,
                                   struct gal_err *err)
{
    enum gal_status st = read_certificates(t, o->certificate_file, err);

    if (st == GAL_OK)
        st = read_key(t, o->key_file, o->certificate_file, err);
    if (st == GAL_OK)
        st = read_client_ca(t, o->client_ca_file, err);
    return st;
}
