/* SPDX-License-Identifier: Apache-2.0 */
/* Methods that are not in a hurry say what their REST forms say: requests are read by protobuf-c,
 * answers made of the REST handler's JSON by the message's descriptor. So both have one source. */
#ifndef GAL_API_GRPC_JSON_H
#define GAL_API_GRPC_JSON_H

#include "api/grpc.h"
#include "text/json.h"

#include <protobuf-c/protobuf-c.h>

/* The request's message, its memory the arena's; NULL, and the exchange has failed, when it is not
 * one. */
const void *gal_grpc_request(struct gal_exchange *x, const ProtobufCMessageDescriptor *d);

/* Calls a REST handler, whose JSON answer becomes the message `d`; wrap is the number of the field
 * that the JSON is the value of, 0: it is the message itself. Errors are gRPC's. */
void gal_grpc_answer_as(struct gal_exchange *x, const ProtobufCMessageDescriptor *d, uint32_t wrap,
                        void (*handle)(struct gal_exchange *x));

/* Appends v, an object, as the message d. Members are found by name (maps as objects, enums by name
 * or number, integers also as text); those that d does not know are left out. INVALID for a value
 * of the wrong kind, with the member as place. */
enum gal_status gal_grpc_put_json(const ProtobufCMessageDescriptor *d, yyjson_val *v,
                                  struct gal_buf *out, struct gal_err *err);

#endif
