/* SPDX-License-Identifier: Apache-2.0 */
/* golden.json. Oracle: what is read is written, and what was written reads and writes the same. */
#include "package/golden.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gal_arena arena;
    struct gal_golden *g, *again;
    struct gal_buf first, second;
    struct gal_err err;

    if (size > 65536)
        return 0;
    gal_arena_init(&arena, 4096, 0, 32u << 20);
    gal_buf_init(&first, 16u << 20);
    gal_buf_init(&second, 16u << 20);
    gal_err_clear(&err);
    enum gal_status status = gal_golden_read((struct gal_str){(const char *)data, size}, "g.json",
                                             1e-5, 1e-6, &arena, &g, &err);
    GAL_ASSERT(status == GAL_OK || err.message[0] != '\0');
    if (status == GAL_OK && gal_golden_write(&first, g, &err) == GAL_OK &&
        gal_golden_read(gal_buf_str(&first), "g.json", 0, 0, &arena, &again, &err) == GAL_OK) {
        GAL_ASSERT(gal_golden_write(&second, again, &err) == GAL_OK);
        GAL_ASSERT(gal_str_eq(gal_buf_str(&first), gal_buf_str(&second)));
    }
    gal_buf_release(&first);
    gal_buf_release(&second);
    gal_arena_release(&arena);
    return 0;
}
