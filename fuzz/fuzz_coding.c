/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte chooses: what comes is decoded as gzip or deflate, or coded and decoded again. */
#include "base/limits.h"
#include "http/coding.h"

#include <stdlib.h>

#define INPUT_BYTES_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(enum gal_coding c, struct gal_str in, struct gal_arena *arena)
{
    struct gal_buf coded;
    struct gal_str out = {NULL, 0};
    struct gal_str parts[2] = {{in.p, in.n / 3}, {in.p + in.n / 3, in.n - in.n / 3}};
    gal_buf_init(&coded, 4 * INPUT_BYTES_MAX);
    if (gal_deflate(c, parts, 2, arena, &coded, NULL) != GAL_OK)
        abort();
    if (gal_inflate(c, gal_buf_str(&coded), INPUT_BYTES_MAX, arena, &out, NULL) != GAL_OK ||
        !gal_str_eq(in, out))
        abort();
    gal_buf_release(&coded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > INPUT_BYTES_MAX)
        return 0;
    struct gal_arena arena;
    struct gal_str in = {(const char *)data + 1, size - 1};
    struct gal_str out = {NULL, 0};
    enum gal_coding c = data[0] & 1 ? GAL_CODING_GZIP : GAL_CODING_DEFLATE;
    gal_arena_init(&arena, 65536, 65536, 64u << 20);
    if (data[0] & 2) {
        round_trip(c, in, &arena);
    } else if (gal_inflate(c, in, 1u << 20, &arena, &out, NULL) == GAL_OK) {
        volatile char last = out.n ? out.p[out.n - 1] : 0; /* every byte is there */
        (void)last;
        if (out.n > in.n * GAL_INFLATE_RATIO_MAX + 65536)
            abort();
    }
    (void)gal_coding_choose(in);
    gal_arena_release(&arena);
    return 0;
}
