/* SPDX-License-Identifier: Apache-2.0 */
#include "api/grpc_health.h"

#include "api/grpc.h"
#include "api/route.h"
#include "text/json.h"

enum request_field { REQUEST_SERVICE = 1 };

static bool is_server(struct gal_str service)
{
    return service.n == 0 || gal_str_is(service, "inference.GRPCInferenceService");
}

enum gal_status gal_grpc_health_read(struct gal_str message, struct gal_str *service,
                                     struct gal_err *err)
{
    struct gal_pb_field f;
    enum gal_pb_next r;

    *service = (struct gal_str){NULL, 0};
    while ((r = gal_pb_next(&message, &f)) == GAL_PB_FIELD)
        if (f.number == REQUEST_SERVICE && f.wire == GAL_PB_BYTES)
            *service = f.bytes;
    return r == GAL_PB_END ? GAL_OK : gal_grpc_fail_wire(r, "", err);
}

enum gal_grpc_health gal_grpc_health_of(const struct gal_api *api, struct gal_str service)
{
    bool stopping = api->process->draining || api->process->refusing;
    struct gal_model *m = NULL;
    bool ready;

    if (is_server(service))
        ready = api->process->loaded && gal_catalog_ready(api->catalog, NULL);
    else if (gal_catalog_model(api->catalog, service, (struct gal_str){NULL, 0}, &m, NULL) !=
             GAL_OK)
        return GAL_GRPC_HEALTH_SERVICE_UNKNOWN;
    else
        ready = gal_model_takes(m);
    return ready && !stopping ? GAL_GRPC_HEALTH_SERVING : GAL_GRPC_HEALTH_NOT_SERVING;
}

void gal_grpc_health_frame(enum gal_grpc_health health, char out[GAL_GRPC_HEALTH_BYTES])
{
    gal_grpc_prefix(out, false, 2);
    out[5] = 1 << 3;
    out[6] = (char)health;
}

static void answer(struct gal_exchange *x, enum gal_grpc_health health)
{
    gal_buf_clear(&x->out, GAL_ARENA_KEEP_BYTES);
    gal_pb_put_u64(&x->out, 1, health);
    gal_grpc_finish(x);
}

/* What the REST form of readiness, with its deep check, has said. */
static void render(struct gal_exchange *x)
{
    yyjson_val *root = NULL;
    struct gal_str text = gal_buf_str(&x->out);
    struct gal_err err;
    bool ready;

    x->resp.header_count = 0;
    if (gal_json_read(text, &x->arena, GAL_JSON_DEPTH_MAX, &root, &err) != GAL_OK) {
        gal_exchange_fail(x, &err);
        return;
    }
    ready = yyjson_get_bool(yyjson_obj_get(root, "ready"));
    answer(x, ready ? GAL_GRPC_HEALTH_SERVING : GAL_GRPC_HEALTH_NOT_SERVING);
}

static bool read_service(struct gal_exchange *x, struct gal_str *service)
{
    struct gal_str message;
    struct gal_err err;

    if (gal_grpc_begin(x, &message, &err) == GAL_OK &&
        gal_grpc_health_read(message, service, &err) == GAL_OK)
        return true;
    gal_exchange_fail(x, &err);
    return false;
}

void gal_handle_grpc_health_check(struct gal_exchange *x)
{
    struct gal_str service;
    struct gal_err err;
    enum gal_grpc_health health;

    if (!read_service(x, &service))
        return;
    if (is_server(service)) {
        x->render = render;
        gal_handle_oip_ready(x);
        return;
    }
    health = gal_grpc_health_of(x->api, service);
    if (health != GAL_GRPC_HEALTH_SERVICE_UNKNOWN) {
        answer(x, health);
        return;
    }
    gal_fail(&err, GAL_NOT_FOUND, "unknown service '%.*s'", (int)(service.n < 64 ? service.n : 64),
             service.p);
    gal_err_hint(&err, "an empty name is the server, others are models");
    gal_exchange_fail(x, &err);
}

/* The first answer; the carrier sends the changes. */
void gal_handle_grpc_health_watch(struct gal_exchange *x)
{
    struct gal_str service;

    if (read_service(x, &service))
        answer(x, gal_grpc_health_of(x->api, service));
}
