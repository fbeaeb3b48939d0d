/* SPDX-License-Identifier: Apache-2.0 */
/* The names of files that hold a model's weights: none leads out of the model's directory. */
#include "package/draft.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gal_str file = {(const char *)data, size};
    const struct gal_str *names = NULL;
    struct gal_arena arena;
    size_t count = 0;

    gal_arena_init(&arena, 4096, 0, 1u << 20);
    if (!gal_draft_external(file, &arena, &names, &count, NULL)) {
        GAL_ASSERT(count <= GAL_DRAFT_EXTERNAL_MAX);
        for (size_t i = 0; i < count; i++)
            GAL_ASSERT(names[i].n && names[i].p[0] != '/' && strlen(names[i].p) == names[i].n &&
                       !strstr(names[i].p, "../") && strcmp(names[i].p, "..") != 0);
    }
    gal_arena_release(&arena);
    return 0;
}
