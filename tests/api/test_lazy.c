/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that wait for the load of their model: parked, ended early, handled anew, refused. Who
 * loads is the test. */
#include "api/control.h"
#include "api/desk.h"
#include "api/infer.h"
#include "api/lazy.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#define MODEL "input x FP32 [-1,3]\noutput y FP32 [-1,3]\n"
#define PATH "/v2/models/one/infer"
#define LABEL_PATH "/v1/models/one/labels/latest:predict"
#define BODY                                                                                       \
    "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1,3],\"data\":[1,2,4]}]}"
#define CLIENTS 4

struct client {
    struct gal_exchange x;
    struct gal_http_request req;
    unsigned finished;
    bool takes_others_along; /* its answer closes a connection, which had more requests */
    uint64_t told_us;        /* by on_deadline; 0: it was not called */
};

static struct desk d;
static struct client clients[CLIENTS];
static struct gal_control_request *asked[CLIENTS];
static size_t asked_count;

static void submit(void *ctx, struct gal_control_request *r)
{
    assert_ptr_equal(ctx, &d);
    assert_true(asked_count < CLIENTS);
    asked[asked_count++] = r;
}

static const struct gal_control_ops loads = {submit, &d};

static void on_finished(struct gal_exchange *x)
{
    struct client *c = x->carrier;

    c->finished++;
    for (size_t i = 0; i < CLIENTS && c->takes_others_along; i++)
        gal_exchange_cancel(&clients[i].x);
}

static void on_deadline(struct gal_exchange *x)
{
    ((struct client *)x->carrier)->told_us = x->job.expires_us;
}

static void open_desk(void)
{
    const struct desk_model m = {"one", "1", NULL};

    desk_open(&d, &m, 1, true);
    d.models[0]->on_demand = true;
    d.models[0]->state = GAL_MODEL_IDLE;
    d.api.lazy = &loads;
    asked_count = 0;
    for (size_t i = 0; i < CLIENTS; i++) {
        struct client *c = &clients[i];
        memset(c, 0, sizeof(*c));
        gal_exchange_init(&c->x, &d.api);
        c->x.req = &c->req;
        c->x.on_finished = on_finished;
        c->x.on_deadline = on_deadline;
        c->x.carrier = c;
    }
}

static void close_desk(void)
{
    assert_null(d.api.lazy_waits);
    for (size_t i = 0; i < CLIENTS; i++)
        gal_exchange_release(&clients[i].x);
    desk_close(&d);
}

static void begin(size_t i, const char *path, const char *body)
{
    struct client *c = &clients[i];

    c->req.method = GAL_METHOD_POST;
    c->req.version_major = c->req.version_minor = 1;
    c->req.target = c->req.path = gal_str_of(path);
    c->req.body = gal_str_of(body);
    gal_api_handle(&c->x);
}

static bool says(size_t i, int status, const char *text)
{
    const struct gal_http_response *r = &clients[i].x.resp;

    return clients[i].finished == 1 && r->status == status && r->part_count > 0 &&
           memmem(r->parts[0].p, r->parts[0].n, text, strlen(text)) != NULL;
}

static void all_that_come_meanwhile_share_one_load(void **state)
{
    (void)state;
    open_desk();
    for (size_t i = 0; i < 3; i++)
        begin(i, PATH, BODY);
    begin(3, LABEL_PATH, "{\"instances\":[[1,2,4]]}"); /* whose handler changes its parameters */
    assert_int_equal(asked_count, 1);
    assert_int_equal(asked[0]->action, GAL_CONTROL_DEMAND);
    assert_true(gal_str_is(asked[0]->model, "one") && gal_str_is(asked[0]->version, "1"));
    for (size_t i = 0; i < CLIENTS; i++)
        assert_true(clients[i].finished == 0 && clients[i].x.job_running);
    assert_int_equal(desk_load(&d, 0, MODEL), GAL_OK);
    asked[0]->status = GAL_OK;
    asked[0]->on_done(asked[0]);
    for (size_t i = 0; i < 3; i++)
        assert_true(says(i, 200, "\"data\":[2.0,4.0,8.0]"));
    assert_true(says(3, 200, "\"predictions\""));
    close_desk();
}

static void a_load_that_fails_is_told_to_all_and_the_next_request_asks_again(void **state)
{
    (void)state;
    open_desk();
    begin(0, PATH, BODY);
    begin(1, PATH, BODY);
    asked[0]->status = gal_fail(&asked[0]->err, GAL_UNAVAILABLE, "it does not prove itself");
    asked[0]->on_done(asked[0]);
    assert_true(says(0, 503, "it does not prove itself") && says(1, 503, "prove itself"));
    begin(2, PATH, BODY);
    assert_int_equal(asked_count, 2);
    assert_int_equal(desk_load(&d, 0, MODEL), GAL_OK);
    asked[1]->status = GAL_OK;
    asked[1]->on_done(asked[1]);
    assert_true(says(2, 200, "\"data\""));
    close_desk();
}

static void who_goes_or_is_late_ends_alone(void **state)
{
    (void)state;
    open_desk();
    d.options.request_timeout_us = 5000;
    for (size_t i = 0; i < 4; i++)
        begin(i, PATH, BODY);
    assert_int_equal(clients[1].x.job.expires_us, d.now_us + 5000);
    gal_exchange_cancel(&clients[0].x);
    gal_exchange_expire(&clients[3].x);                             /* the last of the list */
    gal_exchange_expire(&clients[0].x);                             /* its end is on the way */
    assert_int_equal(clients[0].finished + clients[3].finished, 0); /* from the loop alone */
    gal_loop_poll(d.api.loop);
    assert_int_equal(clients[0].finished, 1);
    assert_int_equal(clients[0].x.outcome, GAL_CANCELLED);
    assert_true(says(3, 504, "the deadline passed while the model was being loaded"));
    gal_exchange_reset(&clients[3].x);
    clients[3].finished = 0;
    begin(3, PATH, BODY); /* behind those that were left */
    assert_int_equal(asked_count, 1);
    assert_int_equal(desk_load(&d, 0, MODEL), GAL_OK);
    asked[0]->status = GAL_OK;
    asked[0]->on_done(asked[0]);
    for (size_t i = 1; i < 4; i++)
        assert_true(says(i, 200, "\"data\""));
    assert_int_equal(clients[0].finished, 1);
    close_desk();
}

static void an_answer_that_ends_the_wait_of_others_does_it_once(void **state)
{
    (void)state;
    for (int fails = 0; fails < 2; fails++) {
        open_desk();
        clients[0].takes_others_along = true;
        for (size_t i = 0; i < CLIENTS; i++)
            begin(i, PATH, BODY);
        assert_int_equal(desk_load(&d, 0, MODEL), GAL_OK);
        asked[0]->status =
            fails ? gal_fail(&asked[0]->err, GAL_UNAVAILABLE, "it does not load") : GAL_OK;
        asked[0]->on_done(asked[0]);
        assert_int_equal(clients[0].x.outcome, fails ? GAL_UNAVAILABLE : GAL_OK);
        gal_loop_poll(d.api.loop);
        for (size_t i = 0; i < CLIENTS; i++) {
            assert_int_equal(clients[i].finished, 1);
            assert_true(i == 0 || clients[i].x.outcome == GAL_CANCELLED);
        }
        close_desk();
    }
}

/* The shortest of what the server, the model and the request's headers say. */
static void the_wait_is_no_longer_than_the_inference_might_be(void **state)
{
    (void)state;
    open_desk();
    d.models[0]->config.timeout_us = 70000;
    d.options.request_timeout_us = 5000; /* of models that say nothing */
    begin(0, PATH, BODY);
    assert_int_equal(clients[0].x.job.expires_us, d.now_us + 70000);
    clients[1].req.known[GAL_HDR_X_REQUEST_TIMEOUT_MS] = GAL_STR("20");
    begin(1, PATH, BODY);
    assert_int_equal(clients[1].x.job.expires_us, d.now_us + 20000);
    clients[2].req.known[GAL_HDR_GRPC_TIMEOUT] = GAL_STR("9m");
    begin(2, PATH, BODY);
    assert_int_equal(clients[2].x.job.expires_us, d.now_us + 70000); /* it is no call of gRPC */
    clients[2].req.version_major = 2;
    clients[2].req.known[GAL_HDR_CONTENT_TYPE] = GAL_STR("application/grpc");
    assert_int_equal(gal_infer_limit_us(&clients[2].x, d.models[0]), 9000);
    d.models[0]->config.timeout_us = GAL_NO_TIMEOUT;
    begin(3, PATH, BODY);
    assert_int_equal(clients[3].x.job.expires_us, 0);
    for (size_t i = 0; i < CLIENTS; i++)
        gal_exchange_cancel(&clients[i].x);
    gal_loop_poll(d.api.loop);
    asked[0]->status = GAL_OK;
    asked[0]->on_done(asked[0]);
    close_desk();
}

/* A reload may have put a model that is not loaded in the place of the one that is. */
static void who_finds_it_gone_again_waits_again(void **state)
{
    (void)state;
    open_desk();
    d.options.request_timeout_us = 5000;
    begin(0, PATH, BODY);
    asked[0]->status = GAL_OK;
    asked[0]->on_done(asked[0]);
    assert_int_equal(clients[0].finished, 0);
    assert_int_equal(clients[0].told_us, d.now_us + 5000);
    assert_int_equal(asked_count, 2);
    assert_int_equal(desk_load(&d, 0, MODEL), GAL_OK);
    asked[1]->status = GAL_OK;
    asked[1]->on_done(asked[1]);
    assert_true(says(0, 200, "\"data\""));
    close_desk();
}

static void nobody_to_ask_is_said_at_once(void **state)
{
    (void)state;
    open_desk();
    d.api.lazy = NULL; /* as on the command line */
    begin(0, PATH, BODY);
    assert_true(says(0, 503, "waits for a request"));
    d.api.lazy = &loads;
    d.models[0]->on_demand = false;
    d.models[0]->state = GAL_MODEL_LOADING; /* a start's own load */
    begin(1, PATH, BODY);
    assert_true(says(1, 503, "is loading"));
    assert_int_equal(asked_count, 0);
    close_desk();
}

/* Each allocation fails once: a request ends with 503, or waits and is answered. */
static void memory_that_runs_out_ends_in_an_answer(void **state)
{
    bool done = false;

    (void)state;
    for (uint64_t n = 1; !done; n++) {
        open_desk();
        uint64_t before = gal_alloc_count();
        gal_alloc_fail_at(n, 1);
        begin(0, PATH, BODY);
        done = gal_alloc_count() - before < n;
        gal_alloc_fail_at(0, 0);
        assert_int_equal(asked_count, clients[0].finished == 0);
        if (asked_count == 1) {
            assert_int_equal(desk_load(&d, 0, MODEL), GAL_OK);
            asked[0]->status = GAL_OK;
            asked[0]->on_done(asked[0]);
        }
        assert_int_equal(clients[0].finished, 1);
        assert_true(clients[0].x.resp.status == 200 || clients[0].x.resp.status == 503);
        close_desk();
        assert_true(n < 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_come_meanwhile_share_one_load),
        cmocka_unit_test(a_load_that_fails_is_told_to_all_and_the_next_request_asks_again),
        cmocka_unit_test(who_goes_or_is_late_ends_alone),
        cmocka_unit_test(an_answer_that_ends_the_wait_of_others_does_it_once),
        cmocka_unit_test(the_wait_is_no_longer_than_the_inference_might_be),
        cmocka_unit_test(who_finds_it_gone_again_waits_again),
        cmocka_unit_test(nobody_to_ask_is_said_at_once),
        cmocka_unit_test(memory_that_runs_out_ends_in_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
