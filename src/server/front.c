/* SPDX-License-Identifier: Apache-2.0 */
#include "server/front.h"

#include "api/account.h"
#include "api/openapi.h"
#include "base/mem.h"
#include "base/thread.h"
#include "sched/turn.h"
#include "server/caching.h"
#include "server/h2_conn.h"
#include "server/grpc_stream.h"

#include <stdio.h>

#define BACKLOG 1024
/* On a core that workers share a loop takes its turn at once: requests of cheap models do not wait
 * for dear ones. */
#define LOOP_SLICE_US 100u
/* Access lines gathered in one turn of the loop; what does not fit is counted as dropped. */
#define LOG_LINES_BYTES_MAX (4u << 20)
#define LOG_LINES_KEEP_BYTES (64u << 10)

static void end_turn(void *ctx)
{
    struct gal_front *f = ctx;
    struct gal_buf *lines = &f->api.log_lines;
    bool lost;

    if (gal_turn_gathers(f->api.turn)) {
        gal_outbox_send(&f->outbox);
        gal_loop_again(f->loop);
        return;
    }
    do { /* behind an answer a pipelined request may wait, which is a job again */
        gal_turn_run(f->api.turn);
        gal_outbox_send(&f->outbox);
    } while (gal_turn_waits(f->api.turn));
    lost = lines->failed;
    if (lines->n > 0)
        lost |= !gal_log_flush(f->api.log, gal_buf_str(lines));
    if (lost)
        gal_shard_add(f->api.shard, f->log_dropped, 1);
    if (lines->n > 0 || lost)
        gal_buf_clear(lines, LOG_LINES_KEEP_BYTES);
}

static void make_series(struct gal_front *f)
{
    struct gal_metrics *m = f->api.metrics;
    struct gal_str full = GAL_STR("connections"), abuse = GAL_STR("abuse"),
                   slow = GAL_STR("timeout"), bad = GAL_STR("bad"), memory = GAL_STR("memory");

    f->received = gal_metrics_series(m, GAL_METRIC_HTTP_RECEIVED, NULL);
    f->sent = gal_metrics_series(m, GAL_METRIC_HTTP_SENT, NULL);
    f->refused_memory = gal_metrics_series(m, GAL_METRIC_HTTP_REFUSED, &memory);
    f->rests_begun = gal_metrics_series(m, GAL_METRIC_HTTP_PAUSES, NULL);
    f->log_dropped = gal_metrics_series(m, GAL_METRIC_LOG_DROPPED, NULL);
    f->refused_full = gal_metrics_series(m, GAL_METRIC_HTTP_REFUSED, &full);
    f->refused_slow = gal_metrics_series(m, GAL_METRIC_HTTP_REFUSED, &slow);
    f->refused_abuse = gal_metrics_series(m, GAL_METRIC_HTTP_REFUSED, &abuse);
    f->refused_bad = gal_metrics_series(m, GAL_METRIC_HTTP_REFUSED, &bad);
    gal_ws_front_init(f);
}

static void make_tls_series(struct gal_front *f)
{
    static const char *const versions[] = {"1.2", "1.3"}, *const resumed[] = {"no", "yes"};
    struct gal_metrics *m = f->api.metrics;

    for (size_t v = 0; v < 2; v++) {
        for (size_t r = 0; r < 2; r++) {
            struct gal_str labels[] = {gal_str_of(versions[v]), gal_str_of(resumed[r])};
            f->handshakes[v][r] = gal_metrics_series(m, GAL_METRIC_TLS_HANDSHAKES, labels);
        }
    }
    for (size_t i = GAL_TLS_FAIL_NONE + 1; i < GAL_TLS_FAIL_COUNT; i++) {
        struct gal_str label = gal_str_of(gal_tls_failure_name((enum gal_tls_failure)i));
        f->handshake_failures[i] = gal_metrics_series(m, GAL_METRIC_TLS_FAILURES, &label);
    }
}

enum gal_status gal_front_new(const struct gal_front_setup *setup, struct gal_front **out,
                              struct gal_err *err)
{
    struct gal_front *f = gal_calloc(1, sizeof(*f));
    enum gal_status st;

    if (f == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for an event loop");
    f->options = setup->options;
    f->api.options = setup->api_options;
    f->api.process = setup->process;
    f->api.metrics = setup->metrics;
    f->api.log = setup->log;
    f->api.clock = &gal_clock_system;
    f->api.catalog = gal_catalog_ref(setup->catalog);
    f->api.control = setup->control;
    f->api.repository = setup->repository;
    f->api.lazy = setup->lazy;
    f->api.shm = setup->shm;
    f->api.trace = setup->trace;
    f->no_request.method = GAL_METHOD_OTHER;
    f->no_request.version_major = f->no_request.version_minor = 1;
    f->no_request.content_length = -1;
    gal_buf_init(&f->api.log_lines, LOG_LINES_BYTES_MAX);
    gal_rng_seed(&f->api.rng);
    st = gal_loop_new(&f->loop, err);
    gal_outbox_init(&f->outbox, f->loop);
    if (st == GAL_OK)
        st = gal_rests_init(&f->rests, f->loop, err);
    if (st == GAL_OK)
        st = gal_metrics_shard(setup->metrics, &f->api.shard, err);
    if (st == GAL_OK)
        st = gal_account_new(&f->api, err);
    if (st == GAL_OK)
        st = gal_turn_new(&gal_clock_system, &f->api.turn, err);
    f->api.loop = f->loop;
    f->api.claim = gal_grpc_claim;
    if (st == GAL_OK)
        st = gal_caching_join(setup->caching, &f->api, err);
    if (st != GAL_OK) {
        gal_front_free(f);
        return st;
    }
    make_series(f);
    gal_loop_on_turn(f->loop, end_turn, f);
    *out = f;
    return GAL_OK;
}

enum gal_status gal_front_listen(struct gal_front *f, const char *host, uint16_t port,
                                 struct gal_err *err)
{
    return gal_listener_new(f->loop, host, port, BACKLOG, &gal_http_stream_ops, f, &f->listener,
                            err);
}

enum gal_status gal_front_listen_grpc(struct gal_front *f, const char *host, uint16_t port,
                                      struct gal_err *err)
{
    return gal_listener_new(f->loop, host, port, BACKLOG, &gal_h2_stream_ops, f, &f->rpc, err);
}

enum gal_status gal_front_listen_tls(struct gal_front *f, const char *host, uint16_t port,
                                     struct gal_tls *tls, struct gal_err *err)
{
    make_tls_series(f);
    return gal_listener_new_tls(f->loop, host, port, BACKLOG, tls, &gal_http_stream_ops, f,
                                &f->secure, err);
}

void gal_front_shaken(void *front, struct gal_stream *stream, const struct gal_tls_report *r)
{
    struct gal_front *f = front;
    const struct gal_log_field fields[] = {
        {"reason", gal_str_of(gal_tls_failure_name(r->why)), false},
        {"error", gal_str_of(r->text), false},
        {"peer", gal_str_of(gal_stream_peer(stream)), false},
    };

    if (r->why == GAL_TLS_FAIL_NONE) {
        bool is_13 = strcmp(r->version, "TLSv1.3") == 0;
        gal_shard_add(f->api.shard, f->handshakes[is_13][r->resumed], 1);
        return;
    }
    gal_shard_add(f->api.shard, f->handshake_failures[r->why], 1);
    if (f->api.log != NULL && gal_log_on(f->api.log, GAL_LOG_DEBUG))
        gal_log_write(f->api.log, GAL_LOG_DEBUG, "tls_handshake_failed", fields, 3);
}

static void *run(void *arg)
{
    struct gal_front *f = arg;

    gal_thread_slice(LOOP_SLICE_US);
    gal_loop_run(f->loop);
    return NULL;
}

enum gal_status gal_front_start(struct gal_front *f, unsigned number, struct gal_err *err)
{
    char name[16];
    enum gal_status st;

    snprintf(name, sizeof(name), "galley-loop-%u", number % 1000);
    st = gal_thread_start(&f->thread, name, run, f, err);
    f->started = st == GAL_OK;
    return st;
}

void gal_front_join(struct gal_front *f)
{
    if (!f->started)
        return;
    gal_loop_stop(f->loop);
    pthread_join(f->thread, NULL);
    f->started = false;
}

void gal_front_free(struct gal_front *f)
{
    if (f == NULL)
        return;
    GAL_ASSERT(!f->started);
    gal_listener_free(f->listener);
    gal_listener_free(f->secure);
    gal_listener_free(f->rpc);
    gal_rests_release(&f->rests);
    gal_redis_free(f->api.redis);
    gal_loop_free(f->loop);
    gal_outbox_send(&f->outbox); /* none has a stream now: this gives the connections back */
    gal_http_free_pools(f);
    gal_ws_free_pools(f);
    gal_http2_pool_free(f->h2_pool);
    gal_free(f->h2_input);
    gal_turn_free(f->api.turn);
    gal_account_free(&f->api);
    gal_openapi_free(&f->api);
    gal_catalog_unref(f->api.catalog);
    gal_buf_release(&f->api.log_lines);
    gal_free(f);
}

void gal_front_refuse(struct gal_front *f)
{
    gal_listener_free(f->listener);
    gal_listener_free(f->secure);
    gal_listener_free(f->rpc);
    f->listener = f->secure = f->rpc = NULL;
    gal_loop_drain_streams(f->loop);
}

uint64_t gal_front_body_due(const struct gal_front *f, uint64_t begun_us, uint64_t last_us,
                            size_t received)
{
    uint64_t by_last_us = last_us + f->options->body_timeout_us;
    uint64_t by_rate_us =
        begun_us + f->options->body_timeout_us + received * 1000000 / GAL_BODY_RATE_MIN;

    return by_last_us < by_rate_us ? by_last_us : by_rate_us;
}

bool gal_front_write_goes_on(const struct gal_front *f, size_t unsent, size_t *before)
{
    uint64_t least = f->options->write_timeout_us * GAL_WRITE_RATE_MIN / 1000000;
    bool more = unsent > *before || (unsent < *before && *before - unsent >= least);

    *before = unsent;
    return more;
}

struct gal_str gal_front_date(struct gal_front *f)
{
    uint64_t turn_us = gal_loop_turn_us(f->loop), now_s;

    if (turn_us != f->date_turn_us) { /* one look at the clock a turn */
        f->date_turn_us = turn_us;
        now_s = gal_wall_us(f->api.clock) / 1000000;
        if (now_s != f->date_s)
            gal_http_date(now_s * 1000000, f->date);
        f->date_s = now_s;
    }
    return (struct gal_str){f->date, GAL_HTTP_DATE_SIZE - 1};
}
