/* SPDX-License-Identifier: Apache-2.0 */
/* A ModelInferRequest in a gRPC frame: galley's reader and protobuf-c's see the same. */
#include "support/grpc_peer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gal_str body = {(const char *)data, size}, message;
    struct gal_grpc_frame frame;
    struct gal_arena arena;
    struct gal_err err;
    bool peer_read;

    if (size > 1u << 16)
        return 0;
    gal_arena_init(&arena, 1u << 16, 0, 1u << 26);
    if (gal_grpc_only(body, 1u << 16, &frame, &err) == GAL_OK &&
        gal_grpc_unpack(&frame, GAL_STR("gzip"), 1u << 20, &arena, &message, &err) == GAL_OK)
        (void)grpc_peer_check(message, &arena, &peer_read, &err);
    gal_arena_release(&arena);
    return 0;
}
