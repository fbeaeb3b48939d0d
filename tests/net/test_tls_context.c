/* SPDX-License-Identifier: Apache-2.0 */
/* Files, clients' certificates and sessions that resume. */
#include "net/tls_peer.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static struct pki pki;

static int setup(void **state)
{
    (void)state;
    pki_make(&pki);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pki_clean(&pki);
    return 0;
}

/* --- files --- */

static void check_refused(const struct gal_tls_options *o, const char *place, const char *message,
                          const char *hint)
{
    struct gal_err err;
    struct gal_tls *tls = NULL;
    gal_err_clear(&err);
    assert_int_not_equal(gal_tls_new(o, &tls, &err), GAL_OK);
    assert_null(tls);
    assert_non_null(strstr(err.message, message));
    assert_string_equal(err.place, place);
    assert_non_null(strstr(err.hint, hint));
}

static void put(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void encrypt_key(const char *path)
{
    FILE *f = fopen(pki.key, "r");
    EVP_PKEY *key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    fclose(f);
    f = fopen(path, "w");
    assert_int_equal(PEM_write_PKCS8PrivateKey(f, key, EVP_aes_256_cbc(), "secret", 6, NULL, NULL),
                     1);
    fclose(f);
    EVP_PKEY_free(key);
}

static void wrong_files_are_named_with_what_to_do(void **state)
{
    struct gal_tls_options o = pki.options;
    char more[128];
    (void)state;
    snprintf(more, sizeof more, "%s/more.pem", pki.dir);
    o.certificate_file = more;
    check_refused(&o, more, "", "tls_certificate");
    put(more, "");
    check_refused(&o, more, "no certificate", "BEGIN CERTIFICATE");
    put(more, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    check_refused(&o, more, "cannot be read", "");
    o = pki.options;
    o.key_file = pki.dir;
    check_refused(&o, pki.dir, "", "tls_key");
    o.key_file = pki.cert;
    check_refused(&o, pki.cert, "no private key", "BEGIN PRIVATE KEY");
    o.key_file = pki.other_key;
    check_refused(&o, pki.other_key, "not that of the first certificate", "belongs to it");
    encrypt_key(more);
    o.key_file = more;
    check_refused(&o, more, "encrypted", "openssl pkey");
    o = pki.options;
    o.client_auth = GAL_TLS_CLIENT_REQUIRE;
    o.client_ca_file = pki.key;
    check_refused(&o, pki.key, "no certificate", "BEGIN CERTIFICATE");
    assert_int_equal(ERR_peek_error(), 0);
}

static void a_context_tells_of_its_certificate(void **state)
{
    int64_t now_s = (int64_t)(gal_wall_us(&gal_clock_system) / 1000000);
    struct gal_tls *tls;
    (void)state;
    certificate_write(
        &(struct certificate_spec){.cn = "old.example", .begins_s = -7200, .ends_s = -3600},
        pki.cert, pki.key);
    assert_int_equal(gal_tls_new(&pki.options, &tls, NULL), GAL_OK);
    assert_in_range(now_s - 3600 - gal_tls_expires(tls) + 60, 0, 120);
    assert_in_range(now_s - 7200 - gal_tls_begins(tls) + 60, 0, 120);
    assert_string_equal(gal_tls_subject(tls), "CN = old.example");
    gal_tls_unref(tls);
}

/* --- clients --- */

static void keep_name(struct peer *p, enum event e, size_t n)
{
    if (e == EV_DATA) {
        struct gal_str name = gal_stream_client_name(p->stream);
        snprintf(p->name, sizeof p->name, "%s%.*s", name.p ? "=" : "none", GAL_STR_ARG(name));
    }
    echo(p, e, n);
}

/* Returns the name that the server has seen, NULL when the client was refused. */
static char *visit(struct gal_tls *tls, const char *cert, const char *key, int version)
{
    static char name[64];
    struct server s;
    SSL_CTX *ctx = client_ctx(version);
    char back = 0;
    if (cert) {
        assert_int_equal(SSL_CTX_use_certificate_file(ctx, cert, SSL_FILETYPE_PEM), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM), 1);
    }
    start_tls(&s, keep_name, tls);
    SSL *c = client_dial(ctx, s.port, NULL);
    /* In TLS 1.3 the client's side ends before the server has looked. */
    bool served = c && SSL_write(c, "x", 1) == 1 && SSL_read(c, &back, 1) == 1 && back == 'x';
    ERR_clear_error();
    if (c)
        client_drop(c);
    wait_closed(&s);
    stop(&s);
    snprintf(name, sizeof name, "%s", s.peers[0]->name);
    clean(&s);
    SSL_CTX_free(ctx);
    return served ? name : NULL;
}

static void clients_show_who_they_are_where_that_is_wanted(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct gal_tls *required, *optional, *off;
    (void)state;
    assert_int_equal(gal_tls_new(&pki.options, &off, NULL), GAL_OK);
    pki.options.client_ca_file = pki.ca;
    pki.options.client_auth = GAL_TLS_CLIENT_REQUIRE;
    assert_int_equal(gal_tls_new(&pki.options, &required, NULL), GAL_OK);
    pki.options.client_auth = GAL_TLS_CLIENT_OPTIONAL;
    assert_int_equal(gal_tls_new(&pki.options, &optional, NULL), GAL_OK);
    for (size_t i = 0; i < 2; i++) {
        int v = versions[i];
        assert_string_equal(visit(required, pki.client, pki.client_key, v), "=client-7");
        assert_null(visit(required, NULL, NULL, v));
        assert_null(visit(required, pki.other, pki.other_key, v));
        assert_string_equal(visit(optional, pki.client, pki.client_key, v), "=client-7");
        assert_string_equal(visit(optional, NULL, NULL, v), "none");
        assert_null(visit(optional, pki.other, pki.other_key, v));
        assert_string_equal(visit(off, pki.client, pki.client_key, v), "none");
    }
    assert_int_equal(atomic_load(&shaken.count[GAL_TLS_FAIL_CERTIFICATE]), 6);
    gal_tls_unref(off);
    gal_tls_unref(required);
    gal_tls_unref(optional);
}

static void a_name_is_the_first_uri_else_dns_else_common(void **state)
{
    static const struct {
        const char *cn, *san, *name;
    } cases[] = {
        {"a", "DNS:x.example,URI:spiffe://d/one,URI:spiffe://d/two", "=spiffe://d/one"},
        {"a", "email:m@example.com,DNS:x.example,DNS:y.example", "=x.example"},
        {"B\xc3\xa4r", "email:m@example.com", "=B\xc3\xa4r"},
        {"line\nend", NULL, "="}, /* such a name is none */
        {NULL, "IP:127.0.0.1", "="},
    };
    char ca_key[128];
    struct gal_tls *tls;
    (void)state;
    snprintf(ca_key, sizeof ca_key, "%s/ca-key.pem", pki.dir);
    pki.options.client_ca_file = pki.ca;
    pki.options.client_auth = GAL_TLS_CLIENT_REQUIRE;
    assert_int_equal(gal_tls_new(&pki.options, &tls, NULL), GAL_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        certificate_write(
            &(struct certificate_spec){
                .cn = cases[i].cn, .san = cases[i].san, .issuer = pki.ca, .issuer_key = ca_key},
            pki.client, pki.client_key);
        assert_string_equal(visit(tls, pki.client, pki.client_key, 0), cases[i].name);
    }
    gal_tls_unref(tls);
}

/* --- sessions --- */

static uint64_t fake_us;

static uint64_t fake_mono(void *ctx)
{
    (void)ctx;
    return fake_us;
}

static const struct gal_clock fake_clock = {fake_mono, fake_mono, NULL, fake_mono};

static SSL_SESSION *kept;

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    SSL_SESSION_free(kept);
    kept = session;
    return 1;
}

/* One connection to a server of this context; true when `kept` was resumed. */
static bool resume(struct gal_tls *tls, SSL_CTX *ctx)
{
    struct server s;
    char back;
    start_tls(&s, echo, tls);
    SSL *c = client_dial(ctx, s.port, kept);
    assert_non_null(c);
    client_send(c, "x", 1);
    client_read(c, &back, 1);
    bool resumed = SSL_session_reused(c) == 1;
    client_close(c);
    wait_closed(&s);
    stop(&s);
    clean(&s);
    return resumed;
}

static void check_sessions(int version)
{
    struct gal_tls *first, *second, *strict;
    struct gal_tls_tickets *tickets;
    SSL_CTX *ctx = client_ctx(version);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, keep_session);
    assert_int_equal(SSL_CTX_use_certificate_file(ctx, pki.client, SSL_FILETYPE_PEM), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(ctx, pki.client_key, SSL_FILETYPE_PEM), 1);
    fake_us = 1000000;
    assert_int_equal(gal_tls_tickets_new(&fake_clock, &tickets, NULL), GAL_OK);
    pki.options.tickets = tickets;
    assert_int_equal(gal_tls_new(&pki.options, &first, NULL), GAL_OK);
    assert_int_equal(gal_tls_new(&pki.options, &second, NULL), GAL_OK);
    pki.options.client_ca_file = pki.ca;
    pki.options.client_auth = GAL_TLS_CLIENT_OPTIONAL;
    assert_int_equal(gal_tls_new(&pki.options, &strict, NULL), GAL_OK);
    pki.options.client_ca_file = "";
    pki.options.client_auth = GAL_TLS_CLIENT_OFF;
    pki.options.tickets = NULL;

    assert_false(resume(first, ctx));
    assert_true(resume(first, ctx));
    assert_true(resume(second, ctx));  /* after a reload */
    assert_false(resume(strict, ctx)); /* whose demands differ */
    assert_true(resume(strict, ctx));
    assert_false(resume(first, ctx));
    SSL_SESSION *old = kept;
    SSL_SESSION_up_ref(old);
    fake_us += GAL_TLS_TICKET_US + 1000000; /* another key seals; the one before opens */
    assert_true(resume(first, ctx));
    SSL_SESSION_free(kept);
    kept = old;
    fake_us += GAL_TLS_TICKET_US;
    assert_false(resume(first, ctx)); /* its key is gone */
    assert_true(resume(first, ctx));
    fake_us += 10 * (uint64_t)GAL_TLS_TICKET_US; /* nobody came for long */
    assert_false(resume(first, ctx));

    SSL_SESSION_free(kept);
    kept = NULL;
    gal_tls_tickets_unref(tickets); /* contexts hold it */
    assert_false(resume(first, ctx));
    gal_tls_unref(first);
    gal_tls_unref(second);
    gal_tls_unref(strict);
    SSL_SESSION_free(kept);
    kept = NULL;
    SSL_CTX_free(ctx);
}

static void sessions_resume_by_tickets_of_keys_that_change(void **state)
{
    (void)state;
    check_sessions(TLS1_2_VERSION);
    check_sessions(TLS1_3_VERSION);
}

static void without_keys_no_session_resumes(void **state)
{
    struct gal_tls *tls;
    SSL_CTX *ctx = client_ctx(0);
    (void)state;
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, keep_session);
    assert_int_equal(gal_tls_new(&pki.options, &tls, NULL), GAL_OK);
    assert_false(resume(tls, ctx));
    assert_false(resume(tls, ctx));
    SSL_SESSION_free(kept);
    kept = NULL;
    gal_tls_unref(tls);
    SSL_CTX_free(ctx);
}

/* --- change --- */

static void new_connections_use_the_new_context(void **state)
{
    struct gal_tls *first, *second;
    struct server s;
    SSL_CTX *ctx = client_ctx(0);
    char name[64], back;
    (void)state;
    assert_int_equal(gal_tls_new(&pki.options, &first, NULL), GAL_OK);
    pki.options.certificate_file = pki.other;
    pki.options.key_file = pki.other_key;
    assert_int_equal(gal_tls_new(&pki.options, &second, NULL), GAL_OK);
    start_tls(&s, echo, first);
    gal_tls_unref(first);
    SSL *old = client_dial(ctx, s.port, NULL);
    assert_non_null(old);
    stop_running(&s);
    gal_listener_use_tls(s.listener, second);
    gal_tls_unref(second);
    run_in_thread(&s);
    SSL *fresh = client_dial(ctx, s.port, NULL);
    assert_non_null(fresh);
    X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_get0_peer_certificate(fresh)),
                              NID_commonName, name, sizeof name);
    assert_string_equal(name, "stranger");
    client_send(old, "x", 1); /* its context lives on */
    client_read(old, &back, 1);
    client_close(old);
    client_close(fresh);
    wait_closed(&s);
    wait_closed(&s);
    stop(&s);
    clean(&s);
    SSL_CTX_free(ctx);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(wrong_files_are_named_with_what_to_do, setup, teardown),
        cmocka_unit_test_setup_teardown(a_context_tells_of_its_certificate, setup, teardown),
        cmocka_unit_test_setup_teardown(clients_show_who_they_are_where_that_is_wanted, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_name_is_the_first_uri_else_dns_else_common, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(sessions_resume_by_tickets_of_keys_that_change, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(without_keys_no_session_resumes, setup, teardown),
        cmocka_unit_test_setup_teardown(new_connections_use_the_new_context, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
