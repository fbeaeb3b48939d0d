/* SPDX-License-Identifier: Apache-2.0 */
/* ModelInfer, and each message of ModelStreamInfer. */
#include "api/grpc.h"
#include "api/route.h"

static bool in_stream(const struct gal_exchange *x)
{
    return x->route->id == GAL_ROUTE_GRPC_STREAM_INFER;
}

static void encode(struct gal_exchange *x, struct gal_infer *inf)
{
    const struct gal_str *parts;
    struct gal_err err;
    size_t count;

    if (gal_grpc_encode(x->model, inf->state, inf, in_stream(x), &x->arena, &x->out, &parts, &count,
                        &err) == GAL_OK)
        gal_grpc_finish_parts(x, parts, count);
    else
        gal_exchange_fail(x, &err);
}

static enum gal_status read_timeout(struct gal_exchange *x, struct gal_infer *inf,
                                    struct gal_err *err)
{
    struct gal_str value = x->req->known[GAL_HDR_GRPC_TIMEOUT];
    uint64_t us = 0;

    if (value.p == NULL)
        return GAL_OK;
    if (gal_grpc_timeout(value, &us, err) != GAL_OK)
        return GAL_INVALID;
    if (us == 0)
        return gal_fail(err, GAL_DEADLINE, "the deadline had passed before the request came");
    inf->limit_us = us;
    return GAL_OK;
}

static void infer(struct gal_exchange *x)
{
    struct gal_oip_request *req = gal_arena_small(&x->arena, sizeof(*req));
    struct gal_grpc_head head;
    struct gal_str message;
    struct gal_infer *inf;
    struct gal_err err;
    enum gal_status st = gal_grpc_begin(x, &message, &err);

    if (st == GAL_OK && req == NULL)
        st = gal_fail(&err, GAL_NO_MEMORY, "no memory for the request");
    if (st == GAL_OK)
        st = gal_grpc_scan(message, &head, &err);
    if (st != GAL_OK || req == NULL) {
        gal_exchange_fail(x, &err);
        return;
    }
    inf = gal_oip_open(x, head.model, head.version, &err);
    if (inf != NULL &&
        gal_grpc_decode(message, &head, gal_str_of(x->model->name), in_stream(x), &x->arena, req,
                        &err) == GAL_OK &&
        read_timeout(x, inf, &err) == GAL_OK)
        gal_oip_run(x, inf, req, encode);
    else
        gal_exchange_fail(x, &err);
}

void gal_handle_grpc_infer(struct gal_exchange *x)
{
    infer(x);
}

void gal_handle_grpc_stream_infer(struct gal_exchange *x)
{
    infer(x);
}
