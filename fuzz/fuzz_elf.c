/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an ELF file: an error, or texts that lie within them; what slimming makes of it is
 * one too, and needs the same. */
#include "ship/elf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(struct gal_str all, struct gal_str part)
{
    GAL_ASSERT(part.n == 0 || (part.p >= all.p && part.p + part.n <= all.p + all.n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gal_str bytes = {(const char *)data, size};
    struct gal_elf e, again;
    struct gal_arena arena;
    struct gal_buf slim;
    gal_arena_init(&arena, 65536, 0, 64u << 20);
    gal_buf_init(&slim, 16u << 20);
    if (size <= 1u << 20 && gal_elf_read(bytes, &arena, &e, NULL) == GAL_OK) {
        inside(bytes, e.interpreter);
        inside(bytes, e.soname);
        inside(bytes, e.rpath);
        for (size_t i = 0; i < e.library_count; i++)
            inside(bytes, e.libraries[i]);
        for (size_t i = 0; i < e.need_count; i++)
            inside(bytes, e.needs[i].name);
        for (size_t i = 0; i < e.offer_count; i++)
            inside(bytes, e.offers[i].name);
        if (gal_elf_slim(bytes, "/x", &slim, NULL) == GAL_OK &&
            gal_elf_read(gal_buf_str(&slim), &arena, &again, NULL) == GAL_OK)
            GAL_ASSERT(again.machine == e.machine);
    }
    gal_buf_release(&slim);
    gal_arena_release(&arena);
    return 0;
}
