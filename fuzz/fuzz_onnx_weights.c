/* SPDX-License-Identifier: Apache-2.0 */
/* Moving a model's weights: what was aligned is aligned, keeps its length but for the padding, and
 * has nothing to be moved; a model without its weights is no larger than with them. */
#include "backend/onnx_weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum gal_status append(struct gal_str piece, void *ctx)
{
    gal_buf_put_str(ctx, piece);
    return GAL_OK;
}

static void align(struct gal_str file, struct gal_buf *out)
{
    gal_buf_init(out, SIZE_MAX / 2);
    GAL_ASSERT(gal_onnx_align(file, 0, append, out) == GAL_OK && !out->failed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gal_str file = {(const char *)data, size};
    struct gal_buf once, twice, slim;

    align(file, &once);
    align(gal_buf_str(&once), &twice);
    GAL_ASSERT(gal_str_eq(gal_buf_str(&once), gal_buf_str(&twice)));
    GAL_ASSERT(!gal_onnx_is_ragged(gal_buf_str(&once), 0));
    gal_buf_init(&slim, SIZE_MAX / 2);
    const struct gal_backend_part part = {GAL_STR("weights.bin"), 4096, 1u << 20};
    uint64_t left_out =
        gal_onnx_slim(file, &(struct gal_onnx_place){GAL_STR("w"), 64, &part, 1}, 0, &slim);
    GAL_ASSERT((left_out == 0) == (slim.n == 0));
    gal_buf_release(&slim);
    gal_buf_release(&once);
    gal_buf_release(&twice);
    return 0;
}
