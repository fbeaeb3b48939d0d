/* SPDX-License-Identifier: Apache-2.0 */
/* Requests as they are sent, each in one run of bytes, made before the clock starts: whole requests
 * of HTTP/1.1, or messages of gRPC. Pure. */
#ifndef GAL_LOAD_REQUEST_H
#define GAL_LOAD_REQUEST_H

#include "load/values.h"

enum gal_protocol {
    GAL_PROTOCOL_OIP_BINARY, /* /v2/models/NAME/infer, tensors as bytes both ways */
    GAL_PROTOCOL_OIP_JSON,   /* the same as JSON */
    GAL_PROTOCOL_NATIVE,     /* /v1/models/NAME/predict with "instances" */
    GAL_PROTOCOL_GRPC,       /* GAL_GRPC_INFER, tensors as raw contents */
    GAL_PROTOCOL_HTTP,       /* the path as it is: GET, or POST with a body */
    GAL_PROTOCOL_COUNT
};
#define GAL_GRPC_INFER "/inference.GRPCInferenceService/ModelInfer"
const char *gal_protocol_name(enum gal_protocol p); /* "oip-binary" */
/* GAL_PROTOCOL_COUNT when the name is none. */
enum gal_protocol gal_protocol_find(struct gal_str name);

struct gal_request_spec {
    enum gal_protocol protocol;
    const char *host;       /* for Host: "127.0.0.1:8080" */
    const char *path;       /* HTTP only */
    struct gal_str model;   /* the others */
    struct gal_str version; /* empty: the server chooses */
    uint64_t timeout_us;    /* the `timeout` parameter (gRPC has it in its head); 0: none */
};

/* Append one request to out; out->failed says that it did not fit. All tensors have the same first
 * size where the protocol has rows. */
void gal_request_put(struct gal_buf *out, const struct gal_request_spec *spec,
                     const struct gal_load_tensor *tensors, size_t count);
/* ModelInferRequest in gRPC's frame; what gal_request_put does for GRPC. */
void gal_request_put_grpc(struct gal_buf *out, const struct gal_request_spec *spec,
                          const struct gal_load_tensor *tensors, size_t count);
/* With this JSON body as it is; p NULL and GAL_PROTOCOL_HTTP: a GET. */
void gal_request_put_body(struct gal_buf *out, const struct gal_request_spec *spec,
                          struct gal_str body);
/* What a user's JSON body asks for: the protocol (OIP_JSON when it has "inputs", NATIVE when
 * "instances" or "features") and its rows; INVALID when it is neither. */
enum gal_status gal_request_inspect(struct gal_str body, struct gal_arena *arena,
                                    enum gal_protocol *protocol, uint64_t *rows,
                                    struct gal_err *err);

#endif
