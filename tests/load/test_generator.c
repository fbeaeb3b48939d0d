/* SPDX-License-Identifier: Apache-2.0 */
/* The load generator against servers that do one thing, on the same loop, by a clock that goes a
 * step each time it is read. */
#include "base/mem.h"
#include "load/load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#define MS UINT64_C(1000000)
#define REQUEST "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

/* What the server does with a request; answer NULL: nothing. */
struct server {
    const char *answer;
    bool closes;        /* behind the answer */
    bool any;           /* whatever it is sent, in pieces of any size */
    size_t silent_from; /* the so-many-th request on is not answered; 0: all are */
    size_t requests, connections;
};

struct peer {
    struct server *server;
    struct gal_stream *stream;
    char space[4096];
};

static void *peer_open(struct gal_stream *s, void *ctx)
{
    struct peer *p = gal_calloc(1, sizeof *p);
    p->server = ctx;
    p->stream = s;
    p->server->connections++;
    return p;
}

static char *peer_space(void *user, size_t *n)
{
    struct peer *p = user;
    *n = sizeof p->space;
    return p->space;
}

/* A request comes whole: it is short, and the next waits for the answer. */
static void peer_data(void *user, size_t n)
{
    struct peer *p = user;
    struct server *s = p->server;

    if (!s->any) {
        assert_int_equal(n, sizeof REQUEST - 1);
        assert_memory_equal(p->space, REQUEST, n);
    }
    s->requests++;
    if (s->answer && (!s->silent_from || s->requests < s->silent_from)) {
        struct gal_str answer = gal_str_of(s->answer);
        (void)gal_stream_write(p->stream, &answer, 1);
    }
    if (s->closes)
        gal_stream_finish(p->stream);
}

static void peer_close(void *user)
{
    gal_free(user);
}

static const struct gal_stream_ops peer_ops = {
    .on_open = peer_open, .on_space = peer_space, .on_data = peer_data, .on_close = peer_close};

/* --- a run --- */

struct run {
    struct gal_loop *loop;
    struct gal_listener *listener;
    struct gal_load *load;
    uint64_t now, step;
    unsigned ticks;
    uint64_t stop_at; /* the clock's time for gal_load_stop; 0: never */
};

static uint64_t read_clock(void *ctx)
{
    struct run *r = ctx;
    return r->now += r->step;
}

static void on_tick(const struct gal_load_live *live, void *ctx)
{
    struct run *r = ctx;

    r->ticks++;
    assert_true(live->elapsed_ns <= live->total_ns);
    if (r->stop_at && r->now >= r->stop_at)
        gal_load_stop(r->load);
}

static struct gal_endpoint loopback(uint16_t port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct gal_endpoint e;

    gal_endpoint_set(&e, (struct sockaddr *)&a, sizeof a);
    return e;
}

static const struct gal_str requests[] = {{REQUEST, sizeof REQUEST - 1}};

static struct gal_load_options options_for(struct run *r, size_t connections, double rate)
{
    return (struct gal_load_options){
        .wire = &gal_wire_http1,
        .requests = requests,
        .request_count = 1,
        .connections = connections,
        .rate = rate,
        .warmup_ns = 5 * MS,
        .duration_ns = 20 * MS,
        .timeout_ns = 10 * MS,
        .now_ns = read_clock,
        .on_tick = on_tick,
        .ctx = r,
    };
}

/* The result lives until run_end. */
static const struct gal_load_result *run(struct run *r, struct server *s,
                                         struct gal_load_options *o)
{
    if (r->step == 0)
        r->step = 5000;
    assert_int_equal(gal_loop_new(&r->loop, NULL), GAL_OK);
    assert_int_equal(
        gal_listener_new(r->loop, "127.0.0.1", 0, 64, &peer_ops, s, &r->listener, NULL), GAL_OK);
    o->target = loopback(gal_listener_port(r->listener));
    assert_int_equal(gal_load_new(r->loop, o, &r->load, NULL), GAL_OK);
    return gal_load_run(r->load);
}

static void run_end(struct run *r)
{
    gal_load_free(r->load);
    gal_listener_free(r->listener);
    gal_loop_free(r->loop);
}

static uint64_t sum_of(const struct gal_load_counts *c)
{
    uint64_t sum = c->unsent + c->unanswered + c->broken + c->malformed + c->unfinished;

    for (int i = 0; i < GAL_LOAD_STATUSES; i++)
        sum += c->by_status[i];
    return sum;
}

/* --- closed loop --- */

static void a_closed_loop_asks_when_it_has_its_answer(void **state)
{
    struct server s = {.answer = OK};
    struct run r = {0};
    struct gal_load_options o = options_for(&r, 4, 0);
    const struct gal_load_result *result = run(&r, &s, &o);

    (void)state;
    assert_int_equal(s.connections, 4);
    assert_int_equal(result->opened, 4);
    assert_true(result->counts.offered > 100);
    assert_int_equal(gal_load_ok(&result->counts), result->counts.offered);
    assert_int_equal(result->done_ok, result->counts.offered);
    assert_int_equal(result->latency.count, result->counts.offered);
    assert_int_equal(result->delay.max, 0); /* meant when sent */
    assert_int_equal(result->measured_ns, 20 * MS);
    assert_true(gal_load_rate(result) == (double)result->done_ok * 50);
    assert_true(s.requests > result->counts.offered); /* the warm-up's */
    assert_int_equal(result->bytes_in % (sizeof OK - 1), 0);
    assert_false(result->stopped);
    run_end(&r);
}

static void refusals_are_counted_by_status_and_one_is_kept(void **state)
{
    struct server s = {.answer = "HTTP/1.1 429 Busy\r\nContent-Length: 11\r\n\r\ntry \"later\""};
    struct run r = {0};
    struct gal_load_options o = options_for(&r, 2, 0);
    const struct gal_load_result *result = run(&r, &s, &o);

    (void)state;
    assert_int_equal(gal_load_ok(&result->counts), 0);
    assert_true(result->counts.by_status[429] > 50);
    assert_int_equal(result->counts.by_status[429], gal_load_failed(&result->counts));
    assert_int_equal(result->latency.count, 0);
    assert_int_equal(result->sample_status, 429);
    assert_string_equal(result->sample, "try \"later\"");
    run_end(&r);
}

static void a_server_that_closes_each_time_is_connected_to_each_time(void **state)
{
    struct server s = {.answer = OK, .closes = true};
    struct run r = {0};
    struct gal_load_options o = options_for(&r, 2, 0);
    const struct gal_load_result *result = run(&r, &s, &o);

    (void)state;
    assert_true(s.connections > 10);
    assert_true(gal_load_ok(&result->counts) > 5);
    assert_int_equal(sum_of(&result->counts), result->counts.offered);
    run_end(&r);
}

static void what_is_no_http_ends_its_connection(void **state)
{
    static const char *const answers[] = {"banana\r\n\r\n", OK OK, OK "x"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct server s = {.answer = answers[i]};
        struct run r = {.step = MS};
        struct gal_load_options o = options_for(&r, 2, 0);
        const struct gal_load_result *result;
        o.duration_ns = 100 * MS; /* pauses between connections grow */
        result = run(&r, &s, &o);
        assert_true(result->counts.malformed > 0);
        assert_int_equal(result->counts.malformed, result->counts.offered);
        run_end(&r);
    }
}

/* What becomes of calls of gRPC on servers that do not speak it. */
static void what_is_no_grpc_ends_its_connection(void **state)
{
    static const struct {
        const char *answer;
        bool closes;
        size_t counted; /* where, in struct gal_load_counts */
    } all[] = {{OK, false, offsetof(struct gal_load_counts, malformed)},
               {NULL, true, offsetof(struct gal_load_counts, broken)},
               {NULL, false, offsetof(struct gal_load_counts, unanswered)}};

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        struct server s = {.answer = all[i / 2].answer, .closes = all[i / 2].closes, .any = true};
        struct run r = {.step = MS};
        struct gal_load_options o = options_for(&r, 2, i % 2 ? 100 : 0);
        const struct gal_load_result *result;
        uint64_t count;
        o.wire = &gal_wire_grpc;
        o.authority = "h";
        o.duration_ns = 200 * MS;
        o.timeout_ns = 50 * MS;
        result = run(&r, &s, &o);
        memcpy(&count, (const char *)&result->counts + all[i / 2].counted, sizeof count);
        assert_true(count > 0);
        assert_int_equal(count + result->counts.unsent, result->counts.offered);
        assert_int_equal(sum_of(&result->counts), result->counts.offered);
        assert_int_equal(result->sample_status, 0);
        run_end(&r);
    }
}

static void a_request_without_an_answer_times_out(void **state)
{
    struct server s = {.answer = OK, .silent_from = 1};
    struct run r = {.step = 200000};
    struct gal_load_options o = options_for(&r, 3, 0);
    const struct gal_load_result *result = run(&r, &s, &o);

    (void)state;
    assert_true(result->counts.unanswered >= 3);
    assert_int_equal(result->counts.unanswered, result->counts.offered);
    assert_true(s.connections >= 6); /* each was opened again */
    run_end(&r);
}

static void a_connection_that_breaks_is_counted(void **state)
{
    struct server s = {.answer = NULL, .closes = true};
    struct run r = {.step = MS};
    struct gal_load_options o = options_for(&r, 2, 0);
    const struct gal_load_result *result;

    (void)state;
    o.duration_ns = 100 * MS;
    result = run(&r, &s, &o);
    assert_true(result->counts.broken > 0);
    assert_int_equal(result->counts.broken, result->counts.offered);
    run_end(&r);
}

/* --- open loop --- */

static void an_open_loop_sends_every_arrival(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        struct server s = {.answer = OK};
        struct run r = {0};
        struct gal_load_options o = options_for(&r, 8, 10000);
        o.arrivals = (enum gal_arrival_kind)kind;
        o.seed = 3;
        const struct gal_load_result *result = run(&r, &s, &o);
        struct gal_arrivals a;
        uint64_t want = 0, first = 0, at;
        gal_arrivals_init(&a, o.arrivals, o.rate, o.seed, 0);
        for (at = gal_arrivals_next(&a); at < 25 * MS; at = gal_arrivals_next(&a)) {
            want += at >= 5 * MS;
            first++;
        }
        assert_int_equal(result->counts.offered, want); /* those meant for the measurement */
        assert_int_equal(gal_load_ok(&result->counts), want);
        assert_int_equal(s.requests, first);
        assert_int_equal(result->latency.count, want);
        assert_int_equal(result->delay.count, want);
        run_end(&r);
    }
}

static void latency_counts_from_the_intended_start(void **state)
{
    struct server s = {.answer = OK};
    struct run r = {.step = 50000}; /* a slow machine: three looks at the clock a request */
    struct gal_load_options o = options_for(&r, 1, 50000);
    const struct gal_load_result *result;

    (void)state;
    o.timeout_ns = 1000 * MS;
    result = run(&r, &s, &o);
    assert_int_equal(result->counts.unsent, 0);
    assert_int_equal(gal_load_ok(&result->counts), result->counts.offered);
    assert_true(result->held > result->counts.offered / 2);
    assert_true(result->latency.max > 20 * MS); /* it fell behind more and more */
    assert_true(result->service.max < 5 * MS);  /* which the service time does not show */
    assert_true(result->done_ok < result->counts.offered / 2);
    run_end(&r);
}

static void an_overload_is_bounded_by_the_time_limit(void **state)
{
    struct server s = {.answer = OK};
    struct run r = {.step = 50000};
    struct gal_load_options o = options_for(&r, 1, 100000);
    const struct gal_load_result *result;

    (void)state;
    o.timeout_ns = 2 * MS;
    result = run(&r, &s, &o);
    assert_in_range(result->counts.offered, 1800, 2200); /* 100,000 a second for 20 ms */
    assert_true(result->counts.unsent > result->counts.offered / 2);
    assert_int_equal(sum_of(&result->counts), result->counts.offered);
    assert_true(result->latency.max < 3 * MS);
    run_end(&r);
}

static void a_server_that_falls_silent_costs_its_requests_only(void **state)
{
    struct server s = {.answer = OK, .silent_from = 30};
    struct run r = {.step = 50000};
    struct gal_load_options o = options_for(&r, 4, 2000);
    const struct gal_load_result *result = run(&r, &s, &o);

    (void)state;
    assert_true(gal_load_ok(&result->counts) > 0);
    assert_true(result->counts.unanswered > 0);
    assert_true(result->counts.unsent > 0);
    assert_int_equal(sum_of(&result->counts), result->counts.offered);
    run_end(&r);
}

/* --- the ends --- */

static void a_stop_leaves_what_was_measured(void **state)
{
    struct server s = {.answer = OK};
    struct run r = {.stop_at = 200 * MS};
    struct gal_load_options o = options_for(&r, 2, 0);
    const struct gal_load_result *result;

    (void)state;
    o.duration_ns = 100000 * MS;
    result = run(&r, &s, &o);
    assert_true(result->stopped);
    assert_in_range(result->measured_ns, 190 * MS, 310 * MS);
    assert_true(gal_load_ok(&result->counts) > 100);
    assert_int_equal(sum_of(&result->counts), result->counts.offered);
    assert_true(r.ticks >= 2);
    run_end(&r);
}

static void nobody_at_the_port_ends_at_once(void **state)
{
    struct run r = {.step = 10 * MS};
    struct gal_load_options o = options_for(&r, 2, 0);
    const struct gal_load_result *result;

    (void)state;
    o.target = loopback(1);
    assert_int_equal(gal_loop_new(&r.loop, NULL), GAL_OK);
    assert_int_equal(gal_load_new(r.loop, &o, &r.load, NULL), GAL_OK);
    result = gal_load_run(r.load);
    assert_int_equal(result->opened, 0);
    assert_true(result->connect_failures > 0);
    assert_true(result->stopped);
    assert_int_equal(result->counts.offered, 0);
    run_end(&r);
}

static void in_steady_state_nothing_is_allocated(void **state)
{
    struct server s = {.answer = OK};
    struct run r = {0};
    struct gal_load_options o = options_for(&r, 4, 0);
    uint64_t before;

    (void)state;
    assert_int_equal(gal_loop_new(&r.loop, NULL), GAL_OK);
    assert_int_equal(gal_listener_new(r.loop, "127.0.0.1", 0, 64, &peer_ops, &s, &r.listener, NULL),
                     GAL_OK);
    o.target = loopback(gal_listener_port(r.listener));
    r.step = 2000;
    assert_int_equal(gal_load_new(r.loop, &o, &r.load, NULL), GAL_OK);
    before = gal_alloc_count();
    assert_true(gal_load_ok(&gal_load_run(r.load)->counts) > 200);
    assert_true(gal_alloc_count() - before < 60); /* connections: a few each */
    run_end(&r);
}

static void check_without_memory(const struct gal_wire_ops *wire)
{
    struct run r = {.step = 1};
    struct gal_load_options o = options_for(&r, 3, 0);
    struct gal_err err;
    enum gal_status status = GAL_NO_MEMORY;

    o.wire = wire;
    o.authority = "h";
    assert_int_equal(gal_loop_new(&r.loop, NULL), GAL_OK);
    for (uint64_t i = 1; status != GAL_OK; i++) {
        gal_alloc_fail_at(i, 1);
        status = gal_load_new(r.loop, &o, &r.load, &err);
        gal_alloc_fail_at(0, 0);
        if (status != GAL_OK)
            assert_int_equal(status, GAL_NO_MEMORY);
        assert_true(i < 20);
    }
    run_end(&r);
}

static void a_generator_without_memory_is_an_error(void **state)
{
    (void)state;
    check_without_memory(&gal_wire_http1);
    check_without_memory(&gal_wire_grpc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_closed_loop_asks_when_it_has_its_answer),
        cmocka_unit_test(refusals_are_counted_by_status_and_one_is_kept),
        cmocka_unit_test(a_server_that_closes_each_time_is_connected_to_each_time),
        cmocka_unit_test(what_is_no_http_ends_its_connection),
        cmocka_unit_test(what_is_no_grpc_ends_its_connection),
        cmocka_unit_test(a_request_without_an_answer_times_out),
        cmocka_unit_test(a_connection_that_breaks_is_counted),
        cmocka_unit_test(an_open_loop_sends_every_arrival),
        cmocka_unit_test(latency_counts_from_the_intended_start),
        cmocka_unit_test(an_overload_is_bounded_by_the_time_limit),
        cmocka_unit_test(a_server_that_falls_silent_costs_its_requests_only),
        cmocka_unit_test(a_stop_leaves_what_was_measured),
        cmocka_unit_test(nobody_at_the_port_ends_at_once),
        cmocka_unit_test(in_steady_state_nothing_is_allocated),
        cmocka_unit_test(a_generator_without_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
