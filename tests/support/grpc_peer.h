/* SPDX-License-Identifier: Apache-2.0 */
/* A ModelInferRequest as protobuf-c reads it, beside what galley's own reader has made of it. */
#ifndef TESTS_SUPPORT_GRPC_PEER_H
#define TESTS_SUPPORT_GRPC_PEER_H

#include "api/grpc.h"

/* Reads message both ways. Returns galley's status; aborts when protobuf-c reads it too and the two
 * do not agree. *peer_read: protobuf-c took it. */
enum gal_status grpc_peer_check(struct gal_str message, struct gal_arena *arena, bool *peer_read,
                                struct gal_err *err);

#endif
