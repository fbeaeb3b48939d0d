/* SPDX-License-Identifier: Apache-2.0 */
/* Requests through the response cache: who computes, who waits, and how each ends. */
#include "api/cached.h"
#include "api/desk.h"
#include "backend/fake.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define MODEL "input x FP32 [-1,3]\noutput y FP32 [-1,3]\n"
#define PATH "/v2/models/one/infer"
#define BODY                                                                                       \
    "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1,3],\"data\":[1,2,3]}]}"
#define OTHER                                                                                      \
    "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1,3],\"data\":[1,2,4]}]}"
#define ANSWER "\"data\":[2.0,4.0,6.0]"
#define CLIENTS 4
#define SECOND_US 1000000u

static struct desk d;
static struct gal_cache *cache;

/* ---- one after the other, inline ---- */

static void open_desk(const char *text)
{
    const struct desk_model m = {"one", "1", text};
    const struct gal_cache_options o = {.bytes_max = 1 << 20};

    desk_open(&d, &m, 1, true);
    assert_int_equal(gal_cache_new(&o, &cache, NULL), GAL_OK);
    d.api.cache = cache;
    d.models[0]->config.cache.on = true;
}

static void close_desk(void)
{
    gal_cache_check(cache);
    desk_close(&d);
    gal_cache_free(cache);
}

static void expect(const char *body, const char *how, const char *part)
{
    const char *said;

    assert_int_equal(desk_ask(&d, GAL_METHOD_POST, PATH, body), 200);
    said = desk_header(&d, "X-Galley-Cache");
    if ((said == NULL) != (how == NULL) || (how != NULL && strcmp(said, how) != 0))
        fail_msg("%s, not %s", said ? said : "none", how ? how : "none");
    if (strstr(d.body.p, part) == NULL)
        fail_msg("%s has no %s", d.body.p, part);
    desk_next(&d);
}

static void the_second_time_is_a_hit(void **state)
{
    struct gal_cache_stats s;

    (void)state;
    open_desk(MODEL);
    expect(BODY, "miss", ANSWER);
    expect(OTHER, "miss", "[2.0,4.0,8.0]");
    expect(BODY, "hit", ANSWER);
    expect(OTHER, "hit", "[2.0,4.0,8.0]");
    assert_int_equal(desk_runs(&d, 0), 1 + 2); /* the first is the warm-up */
    gal_cache_stats(cache, &s);
    assert_int_equal(s.hits, 2);
    assert_int_equal(s.misses, 2);
    assert_int_equal(s.entries, 2);
    assert_int_equal(desk_ask(&d, GAL_METHOD_GET, "/metrics", NULL), 200);
    assert_non_null(strstr(d.body.p,
                           "galley_cache_requests_total{model=\"one\",model_version=\"1\","
                           "result=\"hit\"} 2\n"));
    close_desk();
}

static void it_can_be_off(void **state)
{
    (void)state;
    open_desk(MODEL);
    d.models[0]->config.cache.on = false;
    expect(BODY, NULL, ANSWER);
    expect(BODY, NULL, ANSWER);
    d.models[0]->config.cache.on = true;
    d.api.cache = NULL;
    expect(BODY, NULL, ANSWER);
    assert_int_equal(desk_runs(&d, 0), 1 + 3);
    close_desk();
}

static void an_answer_ends_with_its_time(void **state)
{
    (void)state;
    open_desk(MODEL);
    d.models[0]->config.cache.ttl_us = SECOND_US;
    expect(BODY, "miss", ANSWER);
    d.now_us += SECOND_US - 1;
    expect(BODY, "hit", ANSWER);
    d.now_us += 1;
    expect(BODY, "miss", ANSWER);
    close_desk();
}

static void the_answer_stays_until_the_exchange_ends(void **state)
{
    (void)state;
    open_desk(MODEL);
    expect(BODY, "miss", ANSWER);
    assert_int_equal(desk_ask(&d, GAL_METHOD_POST, PATH, BODY), 200);
    gal_cache_forget(cache, d.models[0]->index); /* the entry lives by the exchange alone now */
    assert_true(((const float *)d.x.infer->outputs[0].tensor.data)[2] == 6);
    desk_next(&d);
    close_desk();
}

static void a_hit_allocates_nothing(void **state)
{
    uint64_t before;

    (void)state;
    open_desk(MODEL);
    expect(BODY, "miss", ANSWER);
    expect(BODY, "hit", ANSWER);
    before = gal_alloc_count();
    for (int i = 0; i < 10; i++) {
        desk_begin(&d, GAL_METHOD_POST, PATH, BODY);
        assert_int_equal(d.x.resp.status, 200);
        desk_next(&d);
    }
    assert_int_equal(gal_alloc_count(), before);
    close_desk();
}

static void failing_allocations_cost_no_wrong_answer(void **state)
{
    bool done = false;

    (void)state;
    for (unsigned at = 1; !done; at++) {
        uint64_t start;
        open_desk(MODEL);
        start = gal_alloc_count();
        gal_alloc_fail_at(at, 1);
        for (int i = 0; i < 2; i++) {
            desk_begin(&d, GAL_METHOD_POST, PATH, BODY);
            assert_int_equal(d.finished, 1);
            if (d.x.resp.status == 200)
                assert_non_null(
                    memmem(d.x.resp.parts[0].p, d.x.resp.parts[0].n, ANSWER, sizeof(ANSWER) - 1));
            desk_next(&d);
        }
        done = gal_alloc_count() - start < at;
        gal_alloc_fail_at(0, 0);
        expect(BODY, "hit", ANSWER);
        close_desk();
        assert_true(at < 200);
    }
}

/* ---- at the same time, on a worker ---- */

struct client {
    struct gal_exchange x;
    struct gal_http_request req;
    struct client *cancels; /* when it ends, this one goes */
    unsigned finished;
};
static struct client clients[CLIENTS];
static unsigned wanted;
static struct gal_session *session;

static void on_finished(struct gal_exchange *x)
{
    struct client *c = x->carrier;

    c->finished++;
    if (c->cancels != NULL)
        gal_exchange_cancel(&c->cancels->x);
    if (wanted > 0 && --wanted == 0)
        gal_loop_stop(d.api.loop);
}

static void load_on_a_worker(const char *text)
{
    struct gal_model_options options = {.ops = &gal_backend_fake, .clock = &d.clock};
    FILE *file = fopen(d.models[0]->path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    gal_model_config_init(&options.config);
    options.config.warmup_runs = 1;
    options.config.mode = GAL_SCHED_WORKERS;
    options.config.workers = 1;
    options.config.policy.rows_max = 1;
    assert_int_equal(gal_model_load(d.models[0], &options, NULL), GAL_OK);
    d.models[0]->config.cache.on = true;
    session = d.models[0]->session;
}

static void open_many(const char *text)
{
    open_desk(NULL);
    load_on_a_worker(text);
    for (size_t i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){.finished = 0};
        gal_exchange_init(&clients[i].x, &d.api);
        clients[i].x.req = &clients[i].req;
        clients[i].x.carrier = &clients[i];
        clients[i].x.on_finished = on_finished;
    }
}

static void close_many(void)
{
    for (size_t i = 0; i < CLIENTS; i++)
        gal_exchange_release(&clients[i].x);
    close_desk();
}

static void send(size_t i, const char *body)
{
    clients[i].req = (struct gal_http_request){.method = GAL_METHOD_POST,
                                               .version_major = 1,
                                               .version_minor = 1,
                                               .target = GAL_STR(PATH),
                                               .path = GAL_STR(PATH),
                                               .body = gal_str_of(body),
                                               .content_length = -1};
    gal_api_handle(&clients[i].x);
}

/* The first computes, and is held before the model; the others wait for it. */
static void send_all(void)
{
    gal_fake_gate_close(session);
    for (size_t i = 0; i < CLIENTS; i++) {
        send(i, BODY);
        if (i == 0)
            gal_fake_gate_await(session, 1);
    }
    gal_cache_check(cache);
}

static void await(unsigned ends)
{
    wanted = ends;
    gal_loop_run(d.api.loop);
}

static const char *how(size_t i)
{
    const struct gal_http_response *r = &clients[i].x.resp;

    for (size_t k = 0; k < r->header_count; k++)
        if (gal_str_is(r->headers[k].name, "X-Galley-Cache"))
            return r->headers[k].value.p;
    return "none";
}

static void expect_answer(size_t i, const char *want)
{
    const struct gal_str *part = clients[i].x.resp.parts;

    assert_int_equal(clients[i].finished, 1);
    assert_int_equal(clients[i].x.resp.status, 200);
    assert_string_equal(how(i), want);
    assert_non_null(memmem(part->p, part->n, ANSWER, sizeof(ANSWER) - 1));
}

static void expect_end(size_t i, enum gal_status outcome)
{
    assert_int_equal(clients[i].finished, 1);
    assert_int_equal(clients[i].x.outcome, outcome);
    assert_string_equal(how(i), "none");
}

static uint64_t computed(void)
{
    return gal_fake_runs(session) - 1; /* without the warm-up */
}

static void equal_requests_run_once(void **state)
{
    (void)state;
    open_many(MODEL);
    send_all();
    gal_fake_gate_open(session);
    await(CLIENTS);
    expect_answer(0, "miss");
    for (size_t i = 1; i < CLIENTS; i++)
        expect_answer(i, "wait");
    assert_int_equal(computed(), 1);
    close_many();
}

static void one_that_waits_can_go(void **state)
{
    (void)state;
    open_many(MODEL);
    send_all();
    gal_exchange_cancel(&clients[1].x);
    gal_exchange_expire(&clients[2].x);
    gal_exchange_cancel(&clients[2].x); /* it has ended already, as late */
    assert_int_equal(clients[1].finished + clients[2].finished, 0); /* from the loop alone */
    await(2);
    expect_end(1, GAL_CANCELLED);
    expect_end(2, GAL_DEADLINE);
    gal_fake_gate_open(session);
    await(2);
    expect_answer(0, "miss");
    expect_answer(3, "wait");
    assert_int_equal(computed(), 1);
    close_many();
}

static void when_the_leader_goes_the_next_computes(void **state)
{
    (void)state;
    open_many(MODEL);
    send_all();
    gal_exchange_cancel(&clients[0].x);
    gal_fake_gate_open(session);
    await(CLIENTS);
    expect_end(0, GAL_CANCELLED);
    expect_answer(1, "miss");
    expect_answer(2, "wait");
    expect_answer(3, "wait");
    assert_int_equal(computed(), 2);
    close_many();
}

static void when_the_leader_fails_the_next_computes(void **state)
{
    (void)state;
    open_many(MODEL "fail_every 2\n");
    send_all();
    gal_fake_gate_open(session);
    await(CLIENTS);
    expect_end(0, GAL_INTERNAL);
    expect_answer(1, "miss");
    expect_answer(2, "wait");
    assert_int_equal(computed(), 2);
    close_many();
}

static void an_heir_that_goes_passes_it_on(void **state)
{
    (void)state;
    open_many(MODEL "fail_every 2\n");
    clients[0].cancels = &clients[1]; /* which leads by then, and has not heard of it */
    send_all();
    gal_fake_gate_open(session);
    await(CLIENTS);
    expect_end(0, GAL_INTERNAL);
    expect_end(1, GAL_CANCELLED);
    expect_answer(2, "miss");
    expect_answer(3, "wait");
    assert_int_equal(computed(), 2);
    close_many();
}

static void an_answer_comes_to_one_that_has_just_gone(void **state)
{
    (void)state;
    open_many(MODEL);
    clients[0].cancels = &clients[1]; /* whose answer is on its way */
    send_all();
    gal_fake_gate_open(session);
    await(CLIENTS);
    expect_answer(0, "miss");
    expect_answer(1, "wait");
    close_many();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_second_time_is_a_hit),
        cmocka_unit_test(it_can_be_off),
        cmocka_unit_test(an_answer_ends_with_its_time),
        cmocka_unit_test(the_answer_stays_until_the_exchange_ends),
        cmocka_unit_test(a_hit_allocates_nothing),
        cmocka_unit_test(failing_allocations_cost_no_wrong_answer),
        cmocka_unit_test(equal_requests_run_once),
        cmocka_unit_test(one_that_waits_can_go),
        cmocka_unit_test(when_the_leader_goes_the_next_computes),
        cmocka_unit_test(when_the_leader_fails_the_next_computes),
        cmocka_unit_test(an_heir_that_goes_passes_it_on),
        cmocka_unit_test(an_answer_comes_to_one_that_has_just_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
