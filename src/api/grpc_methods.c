/* SPDX-License-Identifier: Apache-2.0 */
/* Methods that tell of the server and its models: their REST forms in other words. */
#include "api/grpc_json.h"
#include "api/route.h"

#include <proto/inference.pb-c.h>

/* As if they had stood in the path. */
static void set_model(struct gal_exchange *x, const char *name, const char *version)
{
    x->params[0] = gal_str_of(name);
    x->params[1] = gal_str_of(version);
}

void gal_handle_grpc_server_live(struct gal_exchange *x)
{
    if (gal_grpc_request(x, &inference__server_live_request__descriptor) != NULL)
        gal_grpc_answer_as(x, &inference__server_live_response__descriptor, 0, gal_handle_oip_live);
}

void gal_handle_grpc_server_ready(struct gal_exchange *x)
{
    if (gal_grpc_request(x, &inference__server_ready_request__descriptor) != NULL)
        gal_grpc_answer_as(x, &inference__server_ready_response__descriptor, 0,
                           gal_handle_oip_ready);
}

void gal_handle_grpc_server_metadata(struct gal_exchange *x)
{
    if (gal_grpc_request(x, &inference__server_metadata_request__descriptor) != NULL)
        gal_grpc_answer_as(x, &inference__server_metadata_response__descriptor, 0,
                           gal_handle_oip_server);
}

/* As REST's, but for a model that is not there: with Triton that is no error, it is not ready. */
static void answer_model_ready(struct gal_exchange *x)
{
    struct gal_model *m;

    if (gal_catalog_model(x->api->catalog, x->params[0], x->params[1], &m, NULL) == GAL_OK) {
        gal_handle_oip_model_ready(x);
        return;
    }
    gal_buf_puts(&x->out, "{\"ready\":false}");
    gal_exchange_finish(x, 200, GAL_TYPE_JSON);
}

void gal_handle_grpc_model_ready(struct gal_exchange *x)
{
    const Inference__ModelReadyRequest *r =
        gal_grpc_request(x, &inference__model_ready_request__descriptor);

    if (r == NULL)
        return;
    set_model(x, r->name, r->version);
    gal_grpc_answer_as(x, &inference__model_ready_response__descriptor, 0, answer_model_ready);
}

void gal_handle_grpc_model_metadata(struct gal_exchange *x)
{
    const Inference__ModelMetadataRequest *r =
        gal_grpc_request(x, &inference__model_metadata_request__descriptor);

    if (r == NULL)
        return;
    set_model(x, r->name, r->version);
    gal_grpc_answer_as(x, &inference__model_metadata_response__descriptor, 0, gal_handle_oip_model);
}

void gal_handle_grpc_model_config(struct gal_exchange *x)
{
    const Inference__ModelConfigRequest *r =
        gal_grpc_request(x, &inference__model_config_request__descriptor);

    if (r == NULL)
        return;
    set_model(x, r->name, r->version);
    gal_grpc_answer_as(x, &inference__model_config__descriptor, 1, gal_handle_oip_config);
}

void gal_handle_grpc_model_statistics(struct gal_exchange *x)
{
    const Inference__ModelStatisticsRequest *r =
        gal_grpc_request(x, &inference__model_statistics_request__descriptor);

    if (r == NULL)
        return;
    set_model(x, r->name, r->version);
    gal_grpc_answer_as(x, &inference__model_statistics_response__descriptor, 0,
                       r->name[0] != '\0' ? gal_handle_oip_model_stats : gal_handle_oip_stats);
}
