/* SPDX-License-Identifier: Apache-2.0 */
/* A model file's first level, and the search for the categories of its text inputs. */
#include "backend/onnx_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gal_str file = {(const char *)data, size};
    struct gal_onnx_head head;
    struct gal_arena arena;
    const struct gal_str *values;
    size_t count, bytes = 0;
    gal_arena_init(&arena, 4096, 0, 1u << 20);
    if (!gal_onnx_head_read(file, &arena, &head, NULL)) {
        for (size_t i = 0; i < head.meta_count; i++)
            bytes += head.meta[i].key.n + head.meta[i].value.n;
        GAL_ASSERT(bytes <= size && strlen(head.opsets.p) == head.opsets.n);
        if (!gal_onnx_categories(file, GAL_STR("x"), &arena, &values, &count, NULL))
            GAL_ASSERT((values == NULL) == (count == 0));
    }
    gal_arena_release(&arena);
    return 0;
}
