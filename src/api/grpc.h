/* SPDX-License-Identifier: Apache-2.0 */
/* inference.GRPCInferenceService: its inference messages from and to what oip.h shares with REST,
 * and how a method of gRPC begins and ends. Codecs are pure: bytes in, structures out, memory from
 * the arena; names, text and raw tensors are borrowed from the message. Numbers of fields:
 * proto/inference.proto. */
#ifndef GAL_API_GRPC_H
#define GAL_API_GRPC_H

#include "api/oip.h"
#include "http/grpc.h"
#include "text/protobuf.h"

#define GAL_TYPE_GRPC GAL_STR("application/grpc")

/* --- ModelInferRequest --- */

/* What stands at the top of it. Later fields of a name replace earlier ones. */
struct gal_grpc_head {
    struct gal_str model, version, id;
    size_t inputs, outputs, raws; /* how many */
};
enum gal_status gal_grpc_scan(struct gal_str message, struct gal_grpc_head *head,
                              struct gal_err *err);
/* Where the first raw contents stand in a message of which the beginning is there; 0: it does not
 * say so yet. */
size_t gal_grpc_raw_at(struct gal_str begin);
/* The rest of what has been scanned; `model` is for messages. In a stream, parameters of streams
 * are allowed. INVALID carries the place, `inputs[0].contents.fp32_contents`. */
enum gal_status gal_grpc_decode(struct gal_str message, const struct gal_grpc_head *head,
                                struct gal_str model, bool in_stream, struct gal_arena *arena,
                                struct gal_oip_request *out, struct gal_err *err);

/* One value of map<string, InferParameter>. */
enum gal_grpc_param_kind {
    GAL_GRPC_PARAM_NONE, /* the oneof is empty */
    GAL_GRPC_PARAM_BOOL,
    GAL_GRPC_PARAM_INT64,
    GAL_GRPC_PARAM_STRING,
    GAL_GRPC_PARAM_DOUBLE,
    GAL_GRPC_PARAM_UINT64
};
struct gal_grpc_param {
    struct gal_str key;
    enum gal_grpc_param_kind kind;
    uint64_t bits; /* BOOL, INT64, UINT64, DOUBLE */
    struct gal_str text;
};
enum gal_status gal_grpc_read_param(struct gal_str entry, struct gal_grpc_param *out,
                                    struct gal_err *err);
/* InferTensorContents into t, whose datatype, shape and count are known. Called for each piece of
 * contents with *at elements read before; t->data is taken from the arena at first, when the count
 * is not beyond bytes_max, the size of the message that the elements are in. */
enum gal_status gal_grpc_read_contents(struct gal_str contents, struct gal_tensor *t, size_t *at,
                                       size_t bytes_max, struct gal_arena *arena,
                                       struct gal_err *err);

/* Fails with "no protobuf" and where. */
enum gal_status gal_grpc_fail_wire(enum gal_pb_next why, const char *place, struct gal_err *err);

/* --- ModelInferResponse --- */

/* Frames of a message: the head in `out`, which must be empty, outputs in the backend's memory or
 * behind it. in_stream: as ModelStreamInferResponse. What outputs that are no tensors become:
 * gal_oip_encode. */
enum gal_status gal_grpc_encode(const struct gal_model *m, const struct gal_oip_request *req,
                                const struct gal_infer *inf, bool in_stream,
                                struct gal_arena *arena, struct gal_buf *out,
                                const struct gal_str **parts, size_t *part_count,
                                struct gal_err *err);

/* --- a method --- */

/* The request's message: framing and compression taken off. */
enum gal_status gal_grpc_begin(struct gal_exchange *x, struct gal_str *message,
                               struct gal_err *err);
/* Ends well with a framed message in parts, or with the message (no frame) in x->out. */
void gal_grpc_finish_parts(struct gal_exchange *x, const struct gal_str *parts, size_t count);
void gal_grpc_finish(struct gal_exchange *x);
/* Ends with a status; gal_exchange_fail's part for this dialect. */
void gal_grpc_fail(struct gal_exchange *x, const struct gal_err *err);

#endif
