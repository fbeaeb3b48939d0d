/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread.h"
#include "net/peers.h"

#include <setjmp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* --- bytes there and back --- */

struct reader {
    struct server *server;
    int fd;
    const char *want;
    size_t n;
};

static void *read_in_thread(void *arg)
{
    struct reader *r = arg;
    wait_wrote(r->server); /* so that something waits */
    r->n = read_all(r->fd, r->want);
    return NULL;
}

static void twenty_megabytes_come_back_through_partial_writes(void **state)
{
    (void)state;
    struct server s;
    char *big = pattern();
    pthread_t thread;
    start(&s, echo);
    struct reader r = {&s, dial(s.port, 4096), big, 0};
    assert_int_equal(gal_thread_start(&thread, "reader", read_in_thread, &r, NULL), GAL_OK);
    send_all(r.fd, big, BIG_BYTES);
    shutdown(r.fd, SHUT_WR);
    pthread_join(thread, NULL);
    assert_int_equal(r.n, BIG_BYTES);
    wait_closed(&s);
    stop(&s);
    assert_int_equal(s.peers[0]->received, BIG_BYTES);
    assert_true(s.peers[0]->seen[EV_WRITTEN] > 0); /* some did not go at once */
    assert_int_equal(s.peers[0]->seen[EV_EOF], 1);
    assert_int_equal(s.peers[0]->seen[EV_CLOSE], 1);
    close(r.fd);
    clean(&s);
    free(big);
}

/* The answer to a byte: all of `big` in as many parts as are allowed, some of them empty. */
static bool write_big(struct peer *p)
{
    struct gal_str parts[GAL_STREAM_PARTS_MAX];
    const char *at = p->server->big;
    size_t left = BIG_BYTES;
    for (size_t i = 0; i < GAL_STREAM_PARTS_MAX; i++) {
        size_t n = i % 5 == 3 ? 0 : i % 2 ? 1 : BIG_BYTES / 40;
        if (i == GAL_STREAM_PARTS_MAX - 1 || n > left)
            n = left;
        parts[i] = (struct gal_str){at, n};
        at += n;
        left -= n;
    }
    bool sent = gal_stream_write(p->stream, parts, GAL_STREAM_PARTS_MAX);
    memset(parts, 0xff, sizeof parts); /* the array may go at once */
    if (!sent)
        sem_post(&p->server->wrote);
    return sent;
}

static void answer_big(struct peer *p, enum event e, size_t n)
{
    (void)n;
    if (e == EV_DATA && write_big(p))
        p->step = 1;
    if (e == EV_WRITTEN) {
        struct gal_str end = GAL_STR("end");
        p->step = 2;
        if (gal_stream_write(p->stream, &end, 1)) {
            p->step = 3;
            gal_stream_finish(p->stream);
        }
    }
}

static void many_parts_arrive_in_order_and_on_written_tells_their_end(void **state)
{
    (void)state;
    struct server s;
    char *big = pattern();
    start(&s, answer_big);
    s.big = big;
    int fd = dial(s.port, 65536);
    send_all(fd, "x", 1);
    wait_wrote(&s);
    static char tail[4];
    size_t n = 0;
    char *all = malloc(BIG_BYTES + 4);
    assert_non_null(all);
    for (ssize_t got; n < BIG_BYTES + 4 && (got = recv(fd, all + n, BIG_BYTES + 4 - n, 0)) > 0;)
        n += (size_t)got;
    assert_int_equal(n, BIG_BYTES + 3);
    assert_memory_equal(all, big, BIG_BYTES);
    memcpy(tail, all + BIG_BYTES, 3);
    assert_string_equal(tail, "end");
    close(fd);
    wait_closed(&s);
    stop(&s);
    assert_int_equal(s.peers[0]->step, 3);
    assert_int_equal(s.peers[0]->seen[EV_WRITTEN], 1);
    clean(&s);
    free(all);
    free(big);
}

static void answer_at_eof(struct peer *p, enum event e, size_t n)
{
    (void)n;
    struct gal_str parts[] = {GAL_STR("late "), {NULL, 0}, GAL_STR("answer")};
    if (e == EV_EOF) {
        gal_stream_read_resume(p->stream); /* there is nothing to resume */
        if (gal_stream_write(p->stream, parts, 3) && gal_stream_write(p->stream, NULL, 0))
            gal_stream_finish(p->stream);
    }
}

static void writing_goes_on_after_the_peer_s_end(void **state)
{
    (void)state;
    struct server s;
    char text[32] = "";
    start(&s, answer_at_eof);
    int fd = dial(s.port, 0);
    send_all(fd, "abc", 3);
    shutdown(fd, SHUT_WR);
    assert_int_equal(recv(fd, text, sizeof text - 1, MSG_WAITALL), 11);
    assert_string_equal(text, "late answer");
    wait_closed(&s);
    stop(&s);
    assert_int_equal(s.peers[0]->received, 3);
    assert_int_equal(s.peers[0]->seen[EV_EOF], 1);
    close(fd);
    clean(&s);
}

/* --- reading on demand --- */

static void read_one_at_a_time(struct peer *p, enum event e, size_t n)
{
    (void)n;
    if (e == EV_OPEN) {
        gal_stream_read_stop(p->stream);
        gal_stream_deadline(p->stream, gal_loop_turn_us(p->server->loop) + 1);
    } else if (e == EV_DEADLINE) { /* a while later */
        p->step = p->seen[EV_SPACE] == 0 ? 1 : -1;
        gal_stream_read_resume(p->stream);
    } else if (e == EV_DATA && p->step == 1) {
        p->step = 2;
        p->silent = true;
        sem_post(&p->server->wrote);
    } else if (e == EV_SPACE && p->silent) {
        sem_post(&p->server->wrote);
    }
}

static void stop_in_space(struct peer *p, enum event e, size_t n)
{
    (void)n;
    if (e == EV_SPACE && p->step == 0) {
        p->step = 1;
        gal_stream_read_stop(p->stream); /* and yet gives space */
        gal_stream_deadline(p->stream, gal_loop_turn_us(p->server->loop) + 1);
    } else if (e == EV_DEADLINE) {
        p->step = p->seen[EV_DATA] == 0 && p->seen[EV_SPACE] == 1 ? 2 : -1;
        gal_stream_read_resume(p->stream);
    } else if (e == EV_DATA) {
        gal_stream_close(p->stream);
    }
}

static void nothing_is_read_while_reading_is_stopped(void **state)
{
    (void)state;
    struct server s;
    start(&s, read_one_at_a_time);
    int fd = dial(s.port, 0);
    send_all(fd, "abc", 3);
    wait_wrote(&s);
    send_all(fd, "d", 1);
    wait_wrote(&s); /* on_space gave nothing: the stream stays, and asks no more */
    struct timeval limit = {.tv_usec = 400000};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    char c;
    assert_int_equal(recv(fd, &c, 1, 0), -1);
    stop(&s);
    assert_int_equal(s.peers[0]->step, 2);
    assert_int_equal(s.peers[0]->received, 3);
    assert_int_equal(s.peers[0]->seen[EV_SPACE], 2);
    close(fd);
    clean(&s);
}

static void reading_may_be_stopped_where_space_is_asked_for(void **state)
{
    (void)state;
    struct server s;
    start(&s, stop_in_space);
    int fd = dial(s.port, 0);
    send_all(fd, "abc", 3);
    assert_true(is_ended(fd));
    wait_closed(&s);
    stop(&s);
    assert_int_equal(s.peers[0]->step, 2);
    assert_int_equal(s.peers[0]->received, 3);
    close(fd);
    clean(&s);
}

/* --- closing --- */

static enum event close_at;

static void close_there(struct peer *p, enum event e, size_t n)
{
    (void)n;
    if (p->step) /* closed before: only on_close may come */
        p->step += e == EV_CLOSE ? 1 : 100;
    if (e == EV_OPEN)
        gal_stream_deadline(p->stream, gal_loop_turn_us(p->server->loop) + 1000);
    if (e == EV_DATA && close_at == EV_WRITTEN)
        (void)write_big(p);
    if (e == close_at && p->step == 0 && e != EV_CLOSE) {
        p->step = 1;
        gal_stream_close(p->stream);
        gal_stream_close(p->stream);
        gal_stream_finish(p->stream);
        gal_stream_read_stop(p->stream);
        gal_stream_read_resume(p->stream);
        gal_stream_deadline(p->stream, 1);
        struct gal_str text = GAL_STR("text");
        if (gal_stream_write(p->stream, &text, 1))
            p->step = 1000;
    }
}

static void a_stream_may_be_closed_in_every_callback(void **state)
{
    (void)state;
    char *big = pattern();
    for (close_at = EV_OPEN; close_at < EV_CLOSE; close_at++) {
        struct server s;
        start(&s, close_there);
        s.big = big;
        int fd = dial(s.port, 4096); /* so that EV_WRITTEN comes */
        if (close_at != EV_DEADLINE)
            (void)send(fd, "abc", 3, MSG_NOSIGNAL);
        if (close_at == EV_EOF)
            shutdown(fd, SHUT_WR);
        if (close_at == EV_WRITTEN)
            wait_wrote(&s);
        (void)read_all(fd, NULL);
        wait_closed(&s);
        stop(&s);
        assert_int_equal(s.peers[0]->seen[EV_CLOSE], 1);
        assert_int_equal(s.peers[0]->step, 2);
        close(fd);
        clean(&s);
    }
    free(big);
}

static void a_refused_peer_is_closed_without_on_close(void **state)
{
    (void)state;
    struct server s;
    start_on(&s, NULL, "127.0.0.1");
    s.refuse = true;
    run_in_thread(&s);
    int fd = dial(s.port, 0);
    assert_true(is_ended(fd));
    stop(&s);
    assert_int_equal(atomic_load(&s.opened), 1);
    assert_int_equal(s.peers[0]->seen[EV_CLOSE], 0);
    close(fd);
    clean(&s);
}

static void finish_at_data(struct peer *p, enum event e, size_t n)
{
    (void)n;
    struct gal_str no = GAL_STR("no");
    if (p->step && e != EV_CLOSE)
        p->step = 100;
    if (e == EV_DATA && p->step == 0) {
        p->step = 1;
        p->at_us = gal_loop_now_us(p->server->loop);
        if (!gal_stream_write(p->stream, &no, 1))
            p->step = 100;
        gal_stream_finish(p->stream);
        gal_stream_finish(p->stream);
    } else if (e == EV_CLOSE) {
        p->at_us = gal_loop_now_us(p->server->loop) - p->at_us;
    }
}

/* False: it was not, within the second that it is given. */
static bool is_heard_out(const char *big)
{
    struct server s;
    char text[8] = "";
    start(&s, finish_at_data);
    int fd = dial(s.port, 0);
    bool all = sends_all(fd, big, BIG_BYTES); /* more than any buffer: somebody reads it */
    if (all) {
        assert_int_equal(recv(fd, text, sizeof text - 1, 0), 2);
        assert_true(is_ended(fd));
    }
    shutdown(fd, SHUT_WR);
    wait_closed(&s);
    stop(&s);
    assert_int_equal(s.peers[0]->step, 1);
    assert_true(s.peers[0]->received <= SPACE_BYTES);
    close(fd);
    clean(&s);
    return all;
}

static void a_finished_stream_hears_the_peer_out(void **state)
{
    (void)state;
    char *big = pattern();
    bool all = false;
    for (int i = 0; i < 3 && !all; i++) /* a machine may halt us for the second */
        all = is_heard_out(big);
    assert_true(all);
    free(big);
}

static void a_finished_stream_waits_a_second_at_most(void **state)
{
    (void)state;
    struct server s;
    start(&s, finish_at_data);
    int fd = dial(s.port, 0);
    send_all(fd, "x", 1);
    wait_closed(&s); /* though the client neither sends nor ends */
    stop(&s);
    assert_int_equal(s.peers[0]->step, 1);
    assert_true(s.peers[0]->at_us >= 990000);
    close(fd);
    clean(&s);
}

static void finish_big(struct peer *p, enum event e, size_t n)
{
    (void)n;
    if (e == EV_DATA && p->step == 0) {
        p->step = write_big(p) ? 100 : 1;
        gal_stream_finish(p->stream);
    } else if (e != EV_SPACE && e != EV_OPEN && e != EV_CLOSE) {
        p->step = 100;
    }
}

static void a_finished_stream_sends_what_is_pending(void **state)
{
    (void)state;
    struct server s;
    char *big = pattern();
    start(&s, finish_big);
    s.big = big;
    int fd = dial(s.port, 65536);
    send_all(fd, "x", 1);
    wait_wrote(&s);
    assert_int_equal(read_all(fd, big), BIG_BYTES);
    close(fd);
    wait_closed(&s);
    stop(&s);
    assert_int_equal(s.peers[0]->step, 1);
    clean(&s);
    free(big);
}

static void reset(int fd)
{
    struct linger now = {.l_onoff = 1};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    close(fd);
}

static void a_reset_by_the_peer_closes(void **state)
{
    (void)state;
    struct server s;
    char *big = pattern();
    start(&s, answer_big);
    s.big = big;
    int idle = dial(s.port, 0);
    reset(idle);
    wait_closed(&s);
    int writing = dial(s.port, 4096);
    send_all(writing, "x", 1);
    char c;
    assert_int_equal(recv(writing, &c, 1, 0), 1);
    reset(writing);
    wait_closed(&s);
    stop(&s);
    assert_int_equal(s.peers[0]->seen[EV_CLOSE], 1);
    assert_int_equal(s.peers[1]->seen[EV_CLOSE], 1);
    assert_int_equal(s.peers[1]->seen[EV_WRITTEN], 0);
    clean(&s);
    free(big);
}

/* Writes at each deadline, with reading stopped, until the write fails. */
static void write_blindly(struct peer *p, enum event e, size_t n)
{
    (void)n;
    struct gal_str text = GAL_STR("text");
    if (e == EV_OPEN)
        gal_stream_read_stop(p->stream);
    if (e == EV_DEADLINE && !gal_stream_write(p->stream, &text, 1))
        p->step = 1;
    if ((e == EV_OPEN || e == EV_DEADLINE) && p->step == 0)
        gal_stream_deadline(p->stream, gal_loop_turn_us(p->server->loop) + 1);
}

static void a_write_to_a_broken_connection_is_false_and_closes(void **state)
{
    (void)state;
    struct server s;
    start(&s, write_blindly);
    reset(dial(s.port, 0));
    wait_closed(&s);
    stop(&s);
    assert_int_equal(s.peers[0]->step, 1);
    assert_int_equal(s.peers[0]->seen[EV_WRITTEN], 0);
    clean(&s);
}

/* --- deadlines --- */

static void count_deadlines(struct peer *p, enum event e, size_t n)
{
    uint64_t now = gal_loop_turn_us(p->server->loop);
    (void)n;
    if (e == EV_OPEN) {
        p->at_us = now + 30000;
        gal_stream_deadline(p->stream, now + 3600000000u);
        gal_stream_deadline(p->stream, p->at_us);
    } else if (e == EV_DEADLINE) {
        if (now < p->at_us || now > p->at_us + 5000000)
            p->step = 100;
        p->at_us = now + 150000;
        gal_stream_deadline(p->stream, p->at_us);
        if (++p->step == 3)
            gal_stream_close(p->stream);
    } else if (e == EV_DATA) {
        gal_stream_deadline(p->stream, 0);
    }
}

static void deadlines_fire_and_may_be_set_again(void **state)
{
    (void)state;
    struct server s;
    start(&s, count_deadlines);
    int fd = dial(s.port, 0);
    assert_true(is_ended(fd));
    wait_closed(&s);
    stop(&s);
    assert_int_equal(s.peers[0]->step, 3);
    close(fd);
    clean(&s);
}

static void a_cleared_deadline_does_not_fire(void **state)
{
    (void)state;
    struct server s;
    start(&s, count_deadlines);
    int quiet = dial(s.port, 0);
    send_all(quiet, "x", 1);
    int loud = dial(s.port, 0);
    assert_true(is_ended(loud)); /* after three deadlines of its own */
    wait_closed(&s);
    stop(&s);
    assert_true(s.peers[0]->seen[EV_DEADLINE] <= 1); /* the byte may come late */
    assert_int_equal(s.peers[1]->seen[EV_DEADLINE], 3);
    close(quiet);
    close(loud);
    clean(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(twenty_megabytes_come_back_through_partial_writes),
        cmocka_unit_test(many_parts_arrive_in_order_and_on_written_tells_their_end),
        cmocka_unit_test(writing_goes_on_after_the_peer_s_end),
        cmocka_unit_test(nothing_is_read_while_reading_is_stopped),
        cmocka_unit_test(reading_may_be_stopped_where_space_is_asked_for),
        cmocka_unit_test(a_stream_may_be_closed_in_every_callback),
        cmocka_unit_test(a_refused_peer_is_closed_without_on_close),
        cmocka_unit_test(a_finished_stream_hears_the_peer_out),
        cmocka_unit_test(a_finished_stream_waits_a_second_at_most),
        cmocka_unit_test(a_finished_stream_sends_what_is_pending),
        cmocka_unit_test(a_reset_by_the_peer_closes),
        cmocka_unit_test(a_write_to_a_broken_connection_is_false_and_closes),
        cmocka_unit_test(deadlines_fire_and_may_be_set_again),
        cmocka_unit_test(a_cleared_deadline_does_not_fire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
