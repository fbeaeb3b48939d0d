/* SPDX-License-Identifier: Apache-2.0 */
/* Methods of gRPC besides inference: a byte that chooses one, then its message. Oracle: each ends
 * once, with a status; one that ends well answers one frame of protobuf, one that does not has
 * words that a header can carry. What is changed lives for one input. */
#include "api/control.h"
#include "api/exchange.h"
#include "api/grpc.h"
#include "api/route.h"
#include "api/shm.h"
#include "api/trace_log.h"

#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const enum gal_route_id methods[] = {
    GAL_ROUTE_GRPC_LOAD,
    GAL_ROUTE_GRPC_UNLOAD,
    GAL_ROUTE_GRPC_INDEX,
    GAL_ROUTE_GRPC_TRACE,
    GAL_ROUTE_GRPC_LOG,
    GAL_ROUTE_GRPC_SHM_REGISTER,
    GAL_ROUTE_GRPC_SHM_STATUS,
    GAL_ROUTE_GRPC_SHM_UNREGISTER,
    GAL_ROUTE_GRPC_REFLECTION,
    GAL_ROUTE_GRPC_REFLECTION_ALPHA,
    GAL_ROUTE_GRPC_HEALTH_CHECK,
    GAL_ROUTE_GRPC_HEALTH_WATCH,
    GAL_ROUTE_GRPC_SERVER_LIVE,
    GAL_ROUTE_GRPC_SERVER_READY,
    GAL_ROUTE_GRPC_MODEL_READY,
    GAL_ROUTE_GRPC_SERVER_METADATA,
    GAL_ROUTE_GRPC_MODEL_METADATA,
    GAL_ROUTE_GRPC_MODEL_CONFIG,
    GAL_ROUTE_GRPC_STATISTICS,
    GAL_ROUTE_GRPC_CUDA_REGISTER,
};
#define METHODS (sizeof(methods) / sizeof(methods[0]))

static struct gal_process process = {.loaded = true};
static struct gal_api_options options = {.body_bytes_max = 1u << 16, .client_settings = true};
static unsigned finished;

static uint64_t read_clock(void *ctx)
{
    (void)ctx;
    return 1705328621123000;
}

static void touch(struct gal_str s)
{
    static volatile uint8_t sum;

    for (size_t i = 0; i < s.n; i++)
        sum = (uint8_t)(sum + (uint8_t)s.p[i]);
}

/* What would load a model: all that it is given can be read. */
static void on_submit(void *ctx, struct gal_control_request *r)
{
    (void)ctx;
    touch(r->model);
    touch(r->config);
    for (size_t i = 0; i < r->file_count; i++) {
        touch(r->files[i].path);
        touch(r->files[i].bytes);
    }
    r->status = r->file_count == 1 ? gal_fail(&r->err, GAL_INVALID, "no model") : GAL_OK;
    r->on_done(r);
}

static void check_message(struct gal_str body)
{
    struct gal_grpc_frame frame;
    struct gal_pb_field f;
    enum gal_pb_next r;

    GAL_ASSERT(gal_grpc_only(body, 1u << 26, &frame, NULL) == GAL_OK);
    while ((r = gal_pb_next(&frame.bytes, &f)) == GAL_PB_FIELD)
        GAL_ASSERT(f.number > 0);
    GAL_ASSERT(r == GAL_PB_END);
}

static void on_finished(struct gal_exchange *x)
{
    const struct gal_http_response *r = &x->resp;
    struct gal_buf body;

    GAL_ASSERT(finished++ == 0 && r->status == 200 && r->trailer_count > 0);
    GAL_ASSERT(gal_str_is(r->trailers[0].name, "grpc-status"));
    if (!gal_str_is(r->trailers[0].value, "0")) {
        GAL_ASSERT(r->trailer_count > 1 && r->trailers[1].value.n > 0);
        for (size_t i = 0; i < r->trailers[1].value.n; i++)
            GAL_ASSERT(r->trailers[1].value.p[i] >= ' ' && r->trailers[1].value.p[i] <= '~');
        return;
    }
    gal_buf_init(&body, 1u << 26);
    for (size_t i = 0; i < r->part_count; i++)
        gal_buf_put_str(&body, r->parts[i]);
    GAL_ASSERT(body.n == r->body_bytes);
    check_message(gal_buf_str(&body));
    gal_buf_release(&body);
}

static void ask(struct gal_api *api, enum gal_route_id id, struct gal_str message)
{
    static char frame[(1u << 16) + GAL_GRPC_PREFIX_BYTES];
    struct gal_exchange x;
    struct gal_http_request req = {.method = GAL_METHOD_POST, .version_major = 2};

    gal_grpc_prefix(frame, false, message.n);
    memcpy(frame + GAL_GRPC_PREFIX_BYTES, message.p, message.n);
    req.path = req.target = gal_str_of(gal_routes[id].pattern);
    req.known[GAL_HDR_CONTENT_TYPE] = GAL_TYPE_GRPC;
    req.body = (struct gal_str){frame, GAL_GRPC_PREFIX_BYTES + message.n};
    finished = 0;
    gal_exchange_init(&x, api);
    x.req = &req;
    x.on_finished = on_finished;
    gal_api_handle(&x);
    GAL_ASSERT(finished == 1);
    gal_exchange_release(&x);
}

static struct gal_catalog *make_catalog(void)
{
    struct gal_model *m = NULL;
    struct gal_catalog *c = NULL;

    GAL_ASSERT(gal_model_new("m", "1", "/nowhere", &m, NULL) == GAL_OK);
    GAL_ASSERT(gal_catalog_new(&m, 1, &c, NULL) == GAL_OK);
    return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct gal_clock clock = {.mono_us = read_clock, .wall_us = read_clock};
    static const struct gal_control_ops control = {.submit = on_submit};
    static struct gal_api api;
    struct gal_log log;

    if (size == 0 || size > 1u << 16)
        return 0;
    if (api.options == NULL) {
        api = (struct gal_api){.options = &options, .process = &process, .clock = &clock};
        api.control = &control;
        api.catalog = make_catalog();
        gal_rng_seed(&api.rng);
        GAL_ASSERT(gal_metrics_new(&api.metrics, NULL) == GAL_OK);
        GAL_ASSERT(gal_metrics_shard(api.metrics, &api.shard, NULL) == GAL_OK);
        gal_buf_init(&api.log_lines, 1u << 20);
    }
    gal_log_init(&log, -1, GAL_LOG_INFO, GAL_LOG_JSON, false, &clock);
    api.log = &log;
    api.shm = gal_shm_new();
    GAL_ASSERT(gal_trace_new("", &api.trace, NULL) == GAL_OK && api.shm != NULL);
    ask(&api, methods[data[0] % METHODS], (struct gal_str){(const char *)data + 1, size - 1});
    gal_trace_free(api.trace);
    gal_shm_free(api.shm);
    gal_buf_clear(&api.log_lines, 1u << 16);
    return 0;
}
