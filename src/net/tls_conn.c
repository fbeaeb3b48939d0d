/* SPDX-License-Identifier: Apache-2.0 */
/* A connection's TLS between two buffers. OpenSSL reads from the bytes that were fed and writes
 * into the sink, through a BIO of our own that knows no socket: so one read of the socket may bring
 * many records, and many records leave by one write.
 *
 * States: SHAKING -> OPEN [gal_tls_conn_shake] -> DEAF [the peer's end] ; any -> BROKEN */
#include "base/mem.h"
#include "net/tls_context.h"
#include "net/tls_impl.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>

enum conn_state { CONN_SHAKING, CONN_OPEN, CONN_DEAF, CONN_BROKEN };

struct gal_tls_conn {
    SSL *ssl;
    struct gal_tls *tls;       /* owned reference */
    struct gal_tls_sink *sink; /* borrowed */
    const char *in;            /* borrowed: fed and not taken */
    size_t in_n;
    enum conn_state state;
    bool said_end;
    char *client_name; /* owned; NULL: none */
    bool has_client;   /* it has shown a certificate, which is good */
    char protocol[16]; /* by ALPN */
};

/* --- OpenSSL's way to the bytes --- */

static int bio_read(BIO *bio, char *to, size_t size, size_t *n)
{
    struct gal_tls_conn *c = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (c->in_n == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    *n = size < c->in_n ? size : c->in_n;
    memcpy(to, c->in, *n);
    c->in += *n;
    c->in_n -= *n;
    return 1;
}

static int bio_write(BIO *bio, const char *from, size_t size, size_t *n)
{
    struct gal_tls_conn *c = BIO_get_data(bio);
    size_t room = c->sink->cap - c->sink->n;

    BIO_clear_retry_flags(bio);
    if (room == 0) {
        BIO_set_retry_write(bio);
        return 0;
    }
    *n = size < room ? size : room;
    memcpy(c->sink->p + c->sink->n, from, *n);
    c->sink->n += *n;
    return 1;
}

static long bio_ctrl(BIO *bio, int what, long number, void *p)
{
    (void)bio;
    (void)number;
    (void)p;
    return what == BIO_CTRL_FLUSH; /* nothing else means anything here */
}

static BIO_METHOD *method;

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "galley stream");
    if (method == NULL || BIO_meth_set_read_ex(method, bio_read) != 1 ||
        BIO_meth_set_write_ex(method, bio_write) != 1 || BIO_meth_set_ctrl(method, bio_ctrl) != 1) {
        BIO_meth_free(method);
        method = NULL;
    }
}

static BIO *make_bio(struct gal_tls_conn *c)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    BIO *bio;

    (void)pthread_once(&once, make_method);
    bio = method != NULL ? BIO_new(method) : NULL;
    if (bio == NULL)
        return NULL;
    BIO_set_data(bio, c);
    BIO_set_init(bio, 1);
    return bio;
}

/* --- life --- */

enum gal_status gal_tls_conn_new(struct gal_tls *tls, struct gal_tls_sink *sink,
                                 struct gal_tls_conn **out, struct gal_err *err)
{
    struct gal_tls_conn *c = gal_calloc(1, sizeof(*c));
    BIO *bio = NULL;

    if (c != NULL) {
        c->tls = gal_tls_ref(tls);
        c->sink = sink;
        c->ssl = SSL_new(tls->ctx);
        bio = make_bio(c);
    }
    if (c == NULL || c->ssl == NULL || bio == NULL) {
        ERR_clear_error();
        BIO_free(bio);
        gal_tls_conn_free(c);
        return gal_fail(err, GAL_NO_MEMORY, "no memory for TLS");
    }
    SSL_set_bio(c->ssl, bio, bio);
    SSL_set_accept_state(c->ssl);
    *out = c;
    return GAL_OK;
}

void gal_tls_conn_free(struct gal_tls_conn *c)
{
    if (c == NULL)
        return;
    SSL_free(c->ssl);
    gal_tls_unref(c->tls);
    gal_free(c->client_name);
    gal_free(c);
}

const struct gal_tls_options *gal_tls_conn_options(const struct gal_tls_conn *c)
{
    return &c->tls->options;
}

void gal_tls_conn_feed(struct gal_tls_conn *c, const char *p, size_t n)
{
    c->in = p;
    c->in_n = n;
}

struct gal_str gal_tls_conn_rest(const struct gal_tls_conn *c)
{
    return (struct gal_str){c->in, c->in_n};
}

/* --- handshake --- */

static enum gal_tls_failure failure_of(unsigned long e)
{
    int code = ERR_GET_REASON(e);

    switch (code) {
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_UNKNOWN_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_INAPPROPRIATE_FALLBACK:
        return GAL_TLS_FAIL_VERSION;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_APPLICATION_PROTOCOL:
        return GAL_TLS_FAIL_CIPHER;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
        return GAL_TLS_FAIL_CERTIFICATE;
    case ERR_R_MALLOC_FAILURE:
        return GAL_TLS_FAIL_MEMORY;
    default:
        return code >= SSL_AD_REASON_OFFSET ? GAL_TLS_FAIL_REFUSED : GAL_TLS_FAIL_MALFORMED;
    }
}

static void explain(struct gal_tls_conn *c, struct gal_tls_report *report)
{
    unsigned long e = ERR_peek_error();
    const char *text = ERR_reason_error_string(e);

    *report = (struct gal_tls_report){.why = failure_of(e), .version = ""};
    if (ERR_GET_REASON(e) == SSL_R_CERTIFICATE_VERIFY_FAILED)
        text = X509_verify_cert_error_string(SSL_get_verify_result(c->ssl));
    report->text = text != NULL ? text : "";
    ERR_clear_error();
}

static void note_client(struct gal_tls_conn *c)
{
    X509 *x = SSL_get0_peer_certificate(c->ssl);

    if (x == NULL || SSL_get_verify_result(c->ssl) != X509_V_OK)
        return;
    c->has_client = true;
    c->client_name = gal_tls_name_of(x);
}

static void note_protocol(struct gal_tls_conn *c)
{
    const unsigned char *name;
    unsigned n;

    SSL_get0_alpn_selected(c->ssl, &name, &n);
    if (n > 0 && n < sizeof(c->protocol))
        memcpy(c->protocol, name, n);
}

enum gal_tls_step gal_tls_conn_shake(struct gal_tls_conn *c, struct gal_tls_report *report)
{
    int rc;

    ERR_clear_error();
    rc = SSL_do_handshake(c->ssl);
    if (rc == 1) {
        c->state = CONN_OPEN;
        note_client(c);
        note_protocol(c);
        *report = (struct gal_tls_report){.why = GAL_TLS_FAIL_NONE,
                                          .text = "",
                                          .version = SSL_get_version(c->ssl),
                                          .resumed = SSL_session_reused(c->ssl) == 1};
        return GAL_TLS_DONE;
    }
    rc = SSL_get_error(c->ssl, rc);
    if (rc == SSL_ERROR_WANT_READ || rc == SSL_ERROR_WANT_WRITE)
        return GAL_TLS_MORE;
    c->state = CONN_BROKEN;
    explain(c, report);
    return GAL_TLS_FAILED;
}

bool gal_tls_conn_is_open(const struct gal_tls_conn *c)
{
    return c->state == CONN_OPEN || c->state == CONN_DEAF;
}

bool gal_tls_conn_is_plain(const struct gal_tls_conn *c)
{
    return c->state == CONN_SHAKING && SSL_in_before(c->ssl) && c->in_n > 0 && c->in[0] >= 'A' &&
           c->in[0] <= 'Z';
}

/* --- reading --- */

/* Why a read has brought nothing. Not by SSL_get_error, which wants the thread's list of errors
 * cleared before each call: that is 1 % of a small request. */
static enum gal_tls_step step_of(struct gal_tls_conn *c)
{
    if (SSL_want_read(c->ssl) || SSL_want_write(c->ssl))
        return GAL_TLS_MORE;
    if (SSL_get_shutdown(c->ssl) & SSL_RECEIVED_SHUTDOWN && ERR_peek_error() == 0) {
        c->state = CONN_DEAF;
        return GAL_TLS_END;
    }
    c->state = CONN_BROKEN;
    ERR_clear_error();
    return GAL_TLS_FAILED;
}

/* The record is decrypted here; the read behind it copies. So a caller is asked for memory only
 * when there is text for it, and not for half a record. */
enum gal_tls_step gal_tls_conn_peek(struct gal_tls_conn *c)
{
    char first;
    size_t n;

    if (c->state != CONN_OPEN)
        return c->state == CONN_DEAF ? GAL_TLS_END : GAL_TLS_FAILED;
    if (c->in_n == 0 && SSL_pending(c->ssl) == 0)
        return GAL_TLS_MORE; /* asked, OpenSSL would take memory to find that out */
    return SSL_peek_ex(c->ssl, &first, 1, &n) == 1 ? GAL_TLS_DONE : step_of(c);
}

size_t gal_tls_conn_read(struct gal_tls_conn *c, char *to, size_t size)
{
    size_t n = 0, more;

    while (n < size && (c->in_n > 0 || SSL_pending(c->ssl) > 0)) {
        if (SSL_read_ex(c->ssl, to + n, size - n, &more) != 1) {
            (void)step_of(c); /* the next peek tells it */
            break;
        }
        n += more;
    }
    return n;
}

bool gal_tls_conn_holds(const struct gal_tls_conn *c)
{
    return SSL_pending(c->ssl) > 0;
}

/* --- writing --- */

bool gal_tls_conn_write(struct gal_tls_conn *c, const char *p, size_t n)
{
    size_t written;

    GAL_ASSERT(n > 0 && n <= GAL_TLS_RECORD_BYTES && gal_tls_sink_has_room(c->sink));
    if (!gal_tls_conn_is_open(c))
        return false;
    if (SSL_write_ex(c->ssl, p, n, &written) == 1 && written == n)
        return true;
    c->state = CONN_BROKEN;
    ERR_clear_error();
    return false;
}

void gal_tls_conn_say_end(struct gal_tls_conn *c)
{
    if (!gal_tls_conn_is_open(c) || c->said_end)
        return;
    c->said_end = true;
    ERR_clear_error();
    if (SSL_shutdown(c->ssl) < 0)
        ERR_clear_error();
}

void gal_tls_conn_keep_buffers(struct gal_tls_conn *c, bool keep)
{
    if (keep) {
        (void)SSL_clear_mode(c->ssl, SSL_MODE_RELEASE_BUFFERS);
    } else {
        (void)SSL_set_mode(c->ssl, SSL_MODE_RELEASE_BUFFERS);
        (void)SSL_free_buffers(c->ssl); /* one with half a record goes when that is whole */
    }
}

/* --- whom it speaks with --- */

struct gal_str gal_tls_conn_protocol(const struct gal_tls_conn *c)
{
    return gal_str_of(c->protocol);
}

struct gal_str gal_tls_conn_client_name(const struct gal_tls_conn *c)
{
    if (!c->has_client)
        return (struct gal_str){NULL, 0};
    return gal_str_of(c->client_name != NULL ? c->client_name : "");
}
