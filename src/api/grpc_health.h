/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.health.v1: services are the server (an empty name, or inference.GRPCInferenceService) and
 * each model by its name. */
#ifndef GAL_API_GRPC_HEALTH_H
#define GAL_API_GRPC_HEALTH_H

#include "api/exchange.h"

/* The numbers are the protocol's. */
enum gal_grpc_health {
    GAL_GRPC_HEALTH_UNKNOWN = 0,
    GAL_GRPC_HEALTH_SERVING = 1,
    GAL_GRPC_HEALTH_NOT_SERVING = 2,
    GAL_GRPC_HEALTH_SERVICE_UNKNOWN = 3
};

/* As the catalog has it now; without a deep check. */
enum gal_grpc_health gal_grpc_health_of(const struct gal_api *api, struct gal_str service);
/* `service` of a HealthCheckRequest. */
enum gal_status gal_grpc_health_read(struct gal_str message, struct gal_str *service,
                                     struct gal_err *err);
/* A HealthCheckResponse as a frame: 7 bytes. */
#define GAL_GRPC_HEALTH_BYTES 7u
void gal_grpc_health_frame(enum gal_grpc_health health, char out[GAL_GRPC_HEALTH_BYTES]);

#endif
