/* SPDX-License-Identifier: Apache-2.0 */
/* A stored answer as Redis gives it back: any bytes, read as the answer of a model with every form
 * of output. What is accepted is what an entry can hold, and packs to the same bytes. */
#include "cache/entry.h"
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const int64_t open_two[] = {-1, 2};
static const struct gal_port ports[] = {
    {.name = {"a", 1}, .dtype = GAL_DT_FP32, .rank = 2, .shape = open_two, .shape_known = true},
    {.name = {"b", 1}, .dtype = GAL_DT_BYTES},
    {.name = {"c", 1},
     .kind = GAL_KIND_SEQUENCE,
     .dtype = GAL_DT_FP32,
     .key_dtype = GAL_DT_BYTES,
     .of_maps = true},
    {.name = {"d", 1}, .kind = GAL_KIND_SEQUENCE, .dtype = GAL_DT_BOOL},
};
static const size_t wanted[] = {0, 1, 2, 3};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct gal_cache_name name = {{"m", 1}, {"1", 1}, {"s", 1}, {"k", 1}};
    struct gal_cache_entry *e = NULL;
    struct gal_value outputs[4];
    struct gal_arena arena;
    struct gal_buf again;
    uint64_t expires_us;
    gal_arena_init(&arena, 4096, 0, 1u << 24);
    gal_buf_init(&again, 1u << 24);
    if (gal_cache_entry_unpack((struct gal_str){(const char *)data, size}, &name, ports, wanted, 4,
                               &arena, outputs, &expires_us, NULL) == GAL_OK) {
        GAL_ASSERT(gal_cache_entry_new(name.key, outputs, 4, &e, NULL) == GAL_OK);
        gal_cache_entry_pack(e, &name, expires_us, &again);
        GAL_ASSERT(again.n == size && memcmp(again.p, data, size) == 0);
        gal_cache_entry_unref(e);
    }
    gal_buf_release(&again);
    gal_arena_release(&arena);
    return 0;
}
