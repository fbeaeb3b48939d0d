/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of MLServer's content types. Oracle: a datetime that is read lies within its years, and
 * base64 that is read is as long as its text says. */
#include "base/base64.h"
#include "api/oip_content.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gal_str text = {(const char *)data, size}, bytes;
    struct gal_arena arena;
    int64_t ns;

    if (size > 4096)
        return 0;
    if (gal_datetime_parse(text, &ns) == GAL_OK)
        GAL_ASSERT(size >= 10 && ns > -9215000000000000000 && ns < 9215000000000000000);
    gal_arena_init(&arena, 64, 0, 1 << 20);
    if (gal_base64_decode(text, &arena, &bytes, NULL) == GAL_OK)
        GAL_ASSERT(size % 4 == 0 && bytes.n <= size / 4 * 3 && bytes.n + 2 >= size / 4 * 3);
    gal_arena_release(&arena);
    return 0;
}
