/* SPDX-License-Identifier: Apache-2.0 */
/* A ModelInferRequest in a gRPC frame: galley's reader and protobuf-c's see the same. */
#include "support/grpc_peer.h"

static void check(struct gal_str message, struct gal_arena *arena)
{
    size_t whole = gal_grpc_raw_at(message);
    struct gal_err err;
    bool peer_read;

    /* A beginning says where the raw contents are, or nothing. */
    for (size_t n = 0; n < message.n; n += message.n / 16 + 1) {
        size_t at = gal_grpc_raw_at((struct gal_str){message.p, n});
        GAL_ASSERT(at == 0 || at == whole);
    }
    (void)grpc_peer_check(message, arena, &peer_read, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gal_str body = {(const char *)data, size}, message;
    struct gal_grpc_frame frame;
    struct gal_arena arena;
    struct gal_err err;

    if (size > 1u << 16)
        return 0;
    gal_arena_init(&arena, 1u << 16, 0, 1u << 26);
    if (gal_grpc_only(body, 1u << 16, &frame, &err) == GAL_OK &&
        gal_grpc_unpack(&frame, GAL_STR("gzip"), 1u << 20, &arena, &message, &err) == GAL_OK)
        check(message, &arena);
    gal_arena_release(&arena);
    return 0;
}
