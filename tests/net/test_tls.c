/* SPDX-License-Identifier: Apache-2.0 */
/* A stream of TLS is a stream: what OpenSSL's own client sees of one, and what the user does. */
#include "base/mem.h"
#include "net/tls_peer.h"

#include <openssl/err.h>
#include <setjmp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct pki pki;
static struct gal_tls *tls;
static SSL_CTX *any;

static int setup(void **state)
{
    (void)state;
    pki_make(&pki);
    assert_int_equal(gal_tls_new(&pki.options, &tls, NULL), GAL_OK);
    any = client_ctx(0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    SSL_CTX_free(any);
    gal_tls_unref(tls);
    pki_clean(&pki);
    return 0;
}

static void end(struct server *s)
{
    wait_closed(s);
    stop(s);
    clean(s);
}

/* Waits until so many handshakes have ended so. */
static void wait_shaken(enum gal_tls_failure why, int count)
{
    while (atomic_load(&shaken.count[why]) < count)
        shaken_wait();
    assert_int_equal(atomic_load(&shaken.count[why]), count);
}

/* --- bytes there and back --- */

static void check_echo(int version)
{
    struct server s;
    static char back[SPACE_BYTES];
    char *big = pattern();
    SSL_CTX *ctx = client_ctx(version);
    start_tls(&s, echo, tls);
    SSL *c = client_dial(ctx, s.port, NULL);
    assert_non_null(c);
    /* Sizes around a record's, and what fills the server's place. */
    static const size_t sizes[] = {1, 2, 16383, 16384, 16385, SPACE_BYTES, 100, 5};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        client_send(c, big + i, sizes[i]);
        client_read(c, back, sizes[i]);
        assert_memory_equal(back, big + i, sizes[i]);
    }
    client_close(c);
    end(&s);
    SSL_CTX_free(ctx);
    free(big);
}

static void what_is_sent_comes_back_in_both_versions(void **state)
{
    (void)state;
    check_echo(TLS1_2_VERSION);
    check_echo(TLS1_3_VERSION);
    assert_int_equal(atomic_load(&shaken.count[GAL_TLS_FAIL_NONE]), 2);
}

/* The answer to a byte: all of `big` in as many parts as are allowed, some empty, some small. */
static void answer_big(struct peer *p, enum event e, size_t n)
{
    struct gal_str parts[GAL_STREAM_PARTS_MAX];
    size_t at = 0;
    (void)n;
    if (e == EV_WRITTEN)
        gal_stream_finish(p->stream);
    if (e != EV_DATA)
        return;
    for (size_t i = 0; i < GAL_STREAM_PARTS_MAX; i++) {
        size_t more = i % 5 == 3 ? 0 : i % 2 ? 1 + i * 100 : BIG_BYTES / 40;
        if (i == GAL_STREAM_PARTS_MAX - 1 || more > BIG_BYTES - at)
            more = BIG_BYTES - at;
        parts[i] = (struct gal_str){p->server->big + at, more};
        at += more;
    }
    /* Where encrypting is slow (a sanitizer), the client keeps up and nothing waits. */
    if (gal_stream_write(p->stream, parts, GAL_STREAM_PARTS_MAX))
        gal_stream_finish(p->stream);
    memset(parts, 0xff, sizeof parts); /* the array may go at once */
}

static void a_slow_reader_gets_twenty_megabytes_and_then_the_end(void **state)
{
    struct server s;
    (void)state;
    char *big = pattern(), *all = malloc(BIG_BYTES), byte;
    start_tls(&s, answer_big, tls);
    s.big = big;
    SSL *c = client_dial(any, s.port, NULL);
    assert_non_null(c);
    client_send(c, "x", 1);
    client_read(c, all, BIG_BYTES);
    assert_memory_equal(all, big, BIG_BYTES);
    assert_true(SSL_read(c, &byte, 1) <= 0);
    assert_int_equal(SSL_get_shutdown(c) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
    client_close(c);
    wait_closed(&s);
    stop(&s);
    assert_true(s.peers[0]->seen[EV_WRITTEN] <= 1);
    assert_int_equal(s.peers[0]->seen[EV_CLOSE], 1);
    clean(&s);
    free(all);
    free(big);
}

/* Takes nothing for a while when the first bytes are there, twice. */
static void dawdle(struct peer *p, enum event e, size_t n)
{
    struct gal_str all = {p->space, n};
    if (e == EV_DATA) {
        assert_memory_equal(p->space, p->server->big + p->received - n, n);
        if (++p->step <= 2) {
            p->silent = true;
            gal_stream_deadline(p->stream, gal_loop_now_us(gal_stream_loop(p->stream)) + 30000);
        }
        if (p->received == 300000) {
            all = GAL_STR("all");
            (void)gal_stream_write(p->stream, &all, 1);
        }
    } else if (e == EV_DEADLINE) {
        assert_true(p->received < 300000);
        p->silent = false;
        gal_stream_read_resume(p->stream);
        gal_stream_read_resume(p->stream);
    } else if (e == EV_EOF) {
        gal_stream_finish(p->stream);
    }
}

static void what_the_user_has_no_room_for_waits(void **state)
{
    struct server s;
    char answer[3];
    char *big = pattern();
    (void)state;
    start_tls(&s, dawdle, tls);
    s.big = big;
    SSL *c = client_dial(any, s.port, NULL);
    assert_non_null(c);
    client_send(c, big, 100000);
    for (int i = 0; i < 2000; i++) /* many small records */
        client_send(c, big + 100000 + i * 100, 100);
    client_read(c, answer, 3);
    assert_memory_equal(answer, "all", 3);
    client_close(c);
    wait_closed(&s);
    stop(&s);
    assert_int_equal(s.peers[0]->received, 300000);
    assert_int_equal(s.peers[0]->seen[EV_EOF], 1);
    clean(&s);
    free(big);
}

/* --- records in pieces --- */

/* A client whose bytes pass through the test. */
struct wire {
    SSL *ssl;
    BIO *in, *out;
    int fd;
};

static void wire_open(struct wire *w, uint16_t port)
{
    w->fd = dial(port, 0);
    w->ssl = SSL_new(any);
    w->in = BIO_new(BIO_s_mem());
    w->out = BIO_new(BIO_s_mem());
    SSL_set_bio(w->ssl, w->in, w->out);
    SSL_set_connect_state(w->ssl);
}

/* Sends what the client has to say, `step` bytes at a time; returns how many. */
static size_t wire_push(struct wire *w, size_t step)
{
    char bytes[65536];
    int n = BIO_read(w->out, bytes, sizeof bytes);
    for (int i = 0; i < n; i += (int)step)
        send_all(w->fd, bytes + i, (size_t)(n - i) < step ? (size_t)(n - i) : step);
    return n > 0 ? (size_t)n : 0;
}

static bool wire_pull(struct wire *w)
{
    char bytes[65536];
    ssize_t n = recv(w->fd, bytes, sizeof bytes, 0);
    if (n > 0)
        BIO_write(w->in, bytes, (int)n);
    return n > 0;
}

static void wire_shake(struct wire *w, size_t step)
{
    int rc;
    while ((rc = SSL_do_handshake(w->ssl)) != 1) {
        assert_int_equal(SSL_get_error(w->ssl, rc), SSL_ERROR_WANT_READ);
        wire_push(w, step);
        assert_true(wire_pull(w));
    }
    wire_push(w, step);
}

static void wire_close(struct wire *w)
{
    SSL_free(w->ssl);
    close(w->fd);
}

static size_t wire_read(struct wire *w, char *p, size_t size)
{
    size_t n = 0, more;
    while (n < size) {
        if (SSL_read_ex(w->ssl, p + n, size - n, &more) == 1)
            n += more;
        else if (!wire_pull(w))
            break;
    }
    return n;
}

static void records_may_come_byte_by_byte(void **state)
{
    struct server s;
    struct wire w;
    char back[5];
    (void)state;
    start_tls(&s, echo, tls);
    wire_open(&w, s.port);
    wire_shake(&w, 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(SSL_write(w.ssl, "hello", 5), 5);
        wire_push(&w, 1);
        assert_int_equal(wire_read(&w, back, 5), 5);
        assert_memory_equal(back, "hello", 5);
    }
    wire_close(&w);
    wait_closed(&s);
    stop(&s);
    /* Asked for room once a message, and not for pieces of records. */
    assert_int_equal(s.peers[0]->seen[EV_SPACE], s.peers[0]->seen[EV_DATA]);
    assert_int_equal(s.peers[0]->received, 15);
    clean(&s);
}

static void a_changed_record_ends_its_connection_only(void **state)
{
    struct server s;
    struct wire w;
    char record[64], back[2];
    (void)state;
    start_tls(&s, echo, tls);
    SSL *well = client_dial(any, s.port, NULL);
    assert_non_null(well);
    wire_open(&w, s.port);
    wire_shake(&w, 65536);
    assert_int_equal(SSL_write(w.ssl, "hello", 5), 5);
    int n = BIO_read(w.out, record, sizeof record);
    assert_true(n > 20);
    record[n - 1] ^= 1;
    send_all(w.fd, record, (size_t)n);
    while (wire_pull(&w)) /* tickets, an alert, the end */
        ;
    wire_close(&w);
    wait_closed(&s);
    client_send(well, "ok", 2);
    client_read(well, back, 2);
    client_close(well);
    end(&s);
}

static void keys_may_be_changed_on_the_way(void **state)
{
    struct server s;
    char back[5];
    SSL_CTX *ctx = client_ctx(TLS1_3_VERSION);
    (void)state;
    start_tls(&s, echo, tls);
    SSL *c = client_dial(ctx, s.port, NULL);
    assert_non_null(c);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(SSL_key_update(c, SSL_KEY_UPDATE_REQUESTED), 1);
        client_send(c, "again", 5);
        client_read(c, back, 5);
        assert_memory_equal(back, "again", 5);
    }
    client_close(c);
    end(&s);
    SSL_CTX_free(ctx);
}

/* The first byte is answered with all of `big`, further ones are only taken. */
static void answer_once(struct peer *p, enum event e, size_t n)
{
    if (e == EV_DATA && p->step++ > 0)
        return;
    answer_big(p, e, n);
}

static void change_keys(SSL *c)
{
    assert_int_equal(SSL_key_update(c, SSL_KEY_UPDATE_REQUESTED), 1);
    (void)SSL_do_handshake(c);
}

/* What the server has to say meanwhile comes behind the records that are on their way. */
static void keys_may_be_changed_while_an_answer_waits(void **state)
{
    struct server s;
    SSL_CTX *ctx = client_ctx(TLS1_3_VERSION);
    char *big = pattern(), *all = malloc(BIG_BYTES);
    (void)state;
    start_tls(&s, answer_once, tls);
    s.big = big;
    SSL *c = client_dial(ctx, s.port, NULL);
    assert_non_null(c);
    client_send(c, "x", 1);
    client_read(c, all, 1000);
    for (int i = 0; i < 50; i++)
        change_keys(c);
    client_send(c, "y", 1);
    client_read(c, all + 1000, BIG_BYTES - 1000);
    assert_memory_equal(all, big, BIG_BYTES);
    client_close(c);
    wait_closed(&s);
    stop(&s);
    /* Where all of it had gone before `y` came, nobody took that. */
    assert_in_range(s.peers[0]->received, 1, 2);
    clean(&s);
    SSL_CTX_free(ctx);
    free(all);
    free(big);
}

static void who_asks_for_keys_and_reads_nothing_is_closed(void **state)
{
    struct server s;
    SSL_CTX *ctx = client_ctx(TLS1_3_VERSION);
    char *big = pattern();
    (void)state;
    start_tls(&s, answer_once, tls);
    s.big = big;
    SSL *c = client_dial(ctx, s.port, NULL);
    assert_non_null(c);
    client_send(c, "x", 1);
    for (int i = 0; i < 3000; i++) {
        assert_int_equal(SSL_key_update(c, SSL_KEY_UPDATE_REQUESTED), 1);
        if (SSL_do_handshake(c) != 1)
            break;
    }
    wait_closed(&s); /* by the server: this client still has its socket open */
    ERR_clear_error();
    client_drop(c);
    stop(&s);
    assert_int_equal(s.peers[0]->seen[EV_WRITTEN], 0);
    clean(&s);
    SSL_CTX_free(ctx);
    free(big);
}

static void nobody_renegotiates(void **state)
{
    struct server s;
    char back[4];
    SSL_CTX *ctx = client_ctx(TLS1_2_VERSION);
    (void)state;
    start_tls(&s, echo, tls);
    SSL *c = client_dial(ctx, s.port, NULL);
    assert_non_null(c);
    client_send(c, "one", 3);
    client_read(c, back, 3);
    assert_int_equal(SSL_renegotiate(c), 1);
    assert_true(SSL_do_handshake(c) != 1);
    ERR_clear_error();
    client_drop(c);
    end(&s);
    assert_int_equal(atomic_load(&shaken.count[GAL_TLS_FAIL_NONE]), 1);
    SSL_CTX_free(ctx);
}

/* --- ends --- */

static void an_end_is_told_once_said_or_not(void **state)
{
    struct server s;
    char back[4], byte;
    (void)state;
    for (int said = 0; said < 2; said++) {
        start_tls(&s, echo, tls);
        SSL *c = client_dial(any, s.port, NULL);
        assert_non_null(c);
        client_send(c, "last", 4);
        client_read(c, back, 4);
        if (said) {
            SSL_shutdown(c);
            assert_true(SSL_read(c, &byte, 1) <= 0); /* the server's end is said, too */
            assert_int_equal(SSL_get_shutdown(c) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
        } else {
            shutdown(SSL_get_fd(c), SHUT_WR);
        }
        assert_true(is_ended(SSL_get_fd(c)) || !said);
        client_drop(c);
        wait_closed(&s);
        stop(&s);
        assert_int_equal(s.peers[0]->seen[EV_EOF], 1);
        assert_int_equal(s.peers[0]->seen[EV_CLOSE], 1);
        clean(&s);
    }
}

/* What a bare peer of the TLS port gets. */
static size_t exchange(struct server *s, const char *bytes, size_t n, char *out, size_t size)
{
    int fd = dial(s->port, 0);
    size_t got = 0;
    ssize_t more;
    send_all(fd, bytes, n);
    while (got < size && (more = recv(fd, out + got, size - got, 0)) > 0)
        got += (size_t)more;
    close(fd);
    return got;
}

static void who_speaks_no_tls_is_told_and_counted(void **state)
{
    struct server s;
    char out[256];
    (void)state;
    start_tls(&s, echo, tls);
    size_t n = exchange(&s, "GET / HTTP/1.1\r\n\r\n", 18, out, sizeof out);
    assert_int_equal(n, 20);
    assert_memory_equal(out, "HTTP/1.1 400 Bad\r\n\r\n", 20);
    (void)exchange(&s, "\0\1\2\3garbage garbage", 19, out, sizeof out);
    (void)exchange(&s, "\x16\3\1\0\5hello", 10, out, sizeof out);
    for (int i = 0; i < 3; i++)
        wait_closed(&s);
    stop(&s);
    assert_int_equal(atomic_load(&shaken.count[GAL_TLS_FAIL_HTTP]), 1);
    assert_int_equal(atomic_load(&shaken.count[GAL_TLS_FAIL_MALFORMED]), 2);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(s.peers[i]->seen[EV_DATA], 0);
        assert_int_equal(s.peers[i]->seen[EV_SPACE], 0);
        assert_int_equal(s.peers[i]->seen[EV_CLOSE], 1);
    }
    clean(&s);
}

static void a_handshake_has_its_time(void **state)
{
    struct gal_tls *hasty;
    struct server s;
    (void)state;
    pki.options.handshake_timeout_us = 1000000;
    assert_int_equal(gal_tls_new(&pki.options, &hasty, NULL), GAL_OK);
    start_tls(&s, echo, hasty);
    int silent = dial(s.port, 0), gone = dial(s.port, 0);
    send_all(gone, "\x16\3\1", 3);
    close(gone);
    assert_true(is_ended(silent));
    close(silent);
    wait_closed(&s);
    end(&s);
    assert_int_equal(atomic_load(&shaken.count[GAL_TLS_FAIL_TIMEOUT]), 1);
    assert_int_equal(atomic_load(&shaken.count[GAL_TLS_FAIL_CLOSED]), 1);
    gal_tls_unref(hasty);
}

/* Sets a deadline and writes before anybody has shaken hands. */
static void greet(struct peer *p, enum event e, size_t n)
{
    struct gal_str hello = GAL_STR("hello");
    (void)n;
    if (e == EV_OPEN) {
        p->at_us = gal_loop_now_us(gal_stream_loop(p->stream)) + 100000;
        gal_stream_deadline(p->stream, p->at_us);
        assert_false(gal_stream_write(p->stream, &hello, 1));
    } else if (e == EV_DEADLINE) {
        gal_stream_finish(p->stream);
    }
}

static void what_the_user_wants_before_the_handshake_comes_behind_it(void **state)
{
    struct server s;
    char text[6] = "";
    (void)state;
    start_tls(&s, greet, tls);
    SSL *c = client_dial(any, s.port, NULL);
    assert_non_null(c);
    client_read(c, text, 5);
    assert_string_equal(text, "hello");
    assert_true(SSL_read(c, text, 1) <= 0);
    client_close(c);
    wait_closed(&s);
    stop(&s);
    assert_int_equal(s.peers[0]->seen[EV_WRITTEN], 1);
    assert_int_equal(s.peers[0]->seen[EV_DEADLINE], 1);
    clean(&s);
}

/* --- what is spoken --- */

static void old_versions_and_weak_ciphers_are_refused(void **state)
{
    static const int versions[] = {TLS1_VERSION, TLS1_1_VERSION};
    static const char *const weak[] = {"AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256",
                                       "ECDHE-ECDSA-AES128-SHA", "NULL", "aNULL"};
    struct server s;
    int closes = 0;
    (void)state;
    start_tls(&s, echo, tls);
    for (size_t i = 0; i < 2; i++) {
        SSL_CTX *ctx = client_ctx(versions[i]);
        assert_null(client_dial(ctx, s.port, NULL));
        SSL_CTX_free(ctx);
        wait_shaken(GAL_TLS_FAIL_VERSION, (int)i + 1);
        closes++;
    }
    for (size_t i = 0; i < sizeof weak / sizeof weak[0]; i++) {
        SSL_CTX *ctx = client_ctx(TLS1_2_VERSION);
        if (SSL_CTX_set_cipher_list(ctx, weak[i]) == 1) {
            assert_null(client_dial(ctx, s.port, NULL));
            closes++;
        }
        SSL_CTX_free(ctx);
    }
    assert_true(closes > 2);
    wait_shaken(GAL_TLS_FAIL_CIPHER, closes - 2);
    while (closes-- > 0)
        wait_closed(&s);
    stop(&s);
    clean(&s);
}

static void check_protocol(SSL *c, const char *chosen)
{
    const unsigned char *got = NULL;
    unsigned n = 0;
    SSL_get0_alpn_selected(c, &got, &n);
    assert_int_equal(n, strlen(chosen));
    assert_true(n == 0 || memcmp(got, chosen, n) == 0);
}

static void alpn_is_agreed_on(void **state)
{
    static const struct {
        const char *offer, *chosen; /* NULL: refused */
    } cases[] = {{"\2h2\10http/1.1", "h2"},
                 {"\10http/1.1", "http/1.1"},
                 {"\10http/1.1\2h2", "h2"},
                 {"\6spdy/1", NULL},
                 {NULL, ""}};
    struct server s;
    char back[1];
    (void)state;
    start_tls(&s, echo, tls);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        SSL_CTX *ctx = client_ctx(0);
        if (cases[i].offer)
            SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)cases[i].offer,
                                    (unsigned)strlen(cases[i].offer));
        SSL *c = client_dial(ctx, s.port, NULL);
        if (cases[i].chosen) {
            assert_non_null(c);
            check_protocol(c, cases[i].chosen);
            client_send(c, "x", 1);
            client_read(c, back, 1);
            client_close(c);
        } else {
            assert_null(c);
        }
        wait_closed(&s);
        SSL_CTX_free(ctx);
    }
    stop(&s);
    clean(&s);
}

/* --- when memory is out --- */

static void any_allocation_may_fail(void **state)
{
    struct server s;
    char back[5];
    int well = 0;
    (void)state;
    start_tls(&s, echo, tls);
    for (uint64_t i = 1; i < 30; i++) {
        gal_alloc_fail_at(i, 1);
        SSL *c = client_dial(any, s.port, NULL);
        if (c) {
            if (SSL_write(c, "hello", 5) == 5 && SSL_read(c, back, 5) == 5)
                well++;
            ERR_clear_error();
            client_drop(c);
        }
        gal_alloc_fail_at(0, 0);
    }
    assert_true(well > 5);
    SSL *c = client_dial(any, s.port, NULL);
    assert_non_null(c);
    client_send(c, "hello", 5);
    client_read(c, back, 5);
    client_close(c);
    stop(&s);
    clean(&s);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_sent_comes_back_in_both_versions, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slow_reader_gets_twenty_megabytes_and_then_the_end, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_the_user_has_no_room_for_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(records_may_come_byte_by_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(a_changed_record_ends_its_connection_only, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_may_be_changed_on_the_way, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_may_be_changed_while_an_answer_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(who_asks_for_keys_and_reads_nothing_is_closed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(nobody_renegotiates, setup, teardown),
        cmocka_unit_test_setup_teardown(an_end_is_told_once_said_or_not, setup, teardown),
        cmocka_unit_test_setup_teardown(who_speaks_no_tls_is_told_and_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(a_handshake_has_its_time, setup, teardown),
        cmocka_unit_test_setup_teardown(what_the_user_wants_before_the_handshake_comes_behind_it,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(old_versions_and_weak_ciphers_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(alpn_is_agreed_on, setup, teardown),
        cmocka_unit_test_setup_teardown(any_allocation_may_fail, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
