/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a Dockerfile: an error, or findings of lines that are there, the same each time. */
#include "ship/lint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gal_str text = {(const char *)data, size};
    struct gal_lint lint, again;
    struct gal_arena arena;
    struct gal_err err;
    unsigned lines = 1;
    gal_arena_init(&arena, 65536, 0, 256u << 20);
    gal_err_clear(&err);
    for (size_t i = 0; i < size; i++)
        lines += data[i] == '\n';
    enum gal_status status = gal_lint_dockerfile(text, false, &arena, &lint, &err);
    GAL_ASSERT(status == GAL_OK || err.message[0]);
    if (status == GAL_OK) {
        for (size_t i = 0; i < lint.count; i++)
            GAL_ASSERT(lint.findings[i].line <= lines && lint.findings[i].remedy[0]);
        GAL_ASSERT(lint.errors + lint.warnings <= lint.count);
        GAL_ASSERT(gal_lint_dockerfile(text, true, &arena, &again, NULL) == GAL_OK);
        GAL_ASSERT(again.count <= lint.count);
    }
    gal_arena_release(&arena);
    return 0;
}
