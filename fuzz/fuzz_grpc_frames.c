/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of a gRPC stream out of DATA frames: a byte for the largest message, one for the sizes
 * of the pieces, then the stream. Oracle: however it is split, the same messages and the same end;
 * what a frame says of itself is what writes it; a unary body is one whole frame. */
#include "base/buf.h"
#include "http/grpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct told {
    uint64_t digest; /* of messages, in order */
    size_t count, left;
    enum gal_grpc_next end;
    enum gal_status code;
};

static void add(struct told *t, const struct gal_grpc_frame *f)
{
    char prefix[GAL_GRPC_PREFIX_BYTES];

    gal_grpc_prefix(prefix, f->compressed, f->bytes.n);
    GAL_ASSERT(memcmp(prefix, f->bytes.p - sizeof(prefix), sizeof(prefix)) == 0);
    t->digest = t->digest * 31 + f->compressed;
    for (size_t i = 0; i < f->bytes.n; i++)
        t->digest = (t->digest ^ (uint8_t)f->bytes.p[i]) * 1099511628211u; /* FNV-1a */
    t->count++;
}

/* Pieces of 1 to `most` bytes, as server/grpc_stream.c takes them. */
static struct told take(struct gal_str stream, size_t most, size_t bytes_max)
{
    struct told t = {.end = GAL_GRPC_SHORT};
    struct gal_buf in;

    gal_buf_init(&in, 1u << 17);
    for (size_t at = 0, n = 0; at < stream.n && t.end == GAL_GRPC_SHORT; at += n) {
        struct gal_grpc_frame f;
        struct gal_str rest;
        struct gal_err err;

        n = 1 + (at * 7 + (uint8_t)stream.p[at]) % most;
        n = n < stream.n - at ? n : stream.n - at;
        gal_buf_put(&in, stream.p + at, n);
        GAL_ASSERT(!in.failed);
        rest = gal_buf_str(&in);
        while ((t.end = gal_grpc_next(&rest, bytes_max, &f, &err)) == GAL_GRPC_FRAME)
            add(&t, &f);
        t.code = t.end == GAL_GRPC_BAD ? err.code : GAL_OK;
        gal_buf_shift(&in, in.n - rest.n);
    }
    t.left = t.end == GAL_GRPC_SHORT ? in.n : 0;
    gal_buf_release(&in);
    return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gal_str stream;
    struct gal_grpc_frame only;
    struct told whole, pieces;
    struct gal_err err;
    size_t max;

    if (size < 2 || size > 1u << 16)
        return 0;
    stream = (struct gal_str){(const char *)data + 2, size - 2};
    max = (size_t)data[0] * data[0];
    whole = take(stream, SIZE_MAX, max);
    for (size_t most = 1 + data[1], i = 0; i < 2; i++, most = 1) { /* then byte by byte */
        pieces = take(stream, most, max);
        GAL_ASSERT(pieces.digest == whole.digest && pieces.count == whole.count);
        GAL_ASSERT(pieces.end == whole.end && pieces.left == whole.left &&
                   pieces.code == whole.code);
    }
    GAL_ASSERT((gal_grpc_only(stream, max, &only, &err) == GAL_OK) ==
               (whole.count == 1 && whole.end == GAL_GRPC_SHORT && whole.left == 0));
    return 0;
}
