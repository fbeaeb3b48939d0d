/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a galley.yaml: a manifest whose features can be checked, or an error with a place.
 */
#include "package/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Columns of defaults and examples: what the manifest takes, the check takes. */
static void check(const struct gal_manifest *m, struct gal_arena *arena)
{
    static struct gal_findings found;
    struct gal_value *values = gal_arena_array(arena, m->feature_count + 1, sizeof *values);
    for (size_t i = 0; values && i < m->feature_count; i++)
        values[i] = (struct gal_value){.kind = GAL_KIND_NONE};
    if (!values || gal_check_fill(m, 2, values, arena, NULL))
        return;
    (void)gal_check_features(m, values, arena, &found, NULL);
    for (size_t i = 0; i < found.count; i++) /* only rules can find a default wrong, or flags */
        GAL_ASSERT(found.at[i].flag || strcmp(found.at[i].type, "rule") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gal_arena arena;
    struct gal_manifest *m;
    struct gal_err err;
    gal_arena_init(&arena, 65536, 0, 64u << 20);
    gal_err_clear(&err);
    if (gal_manifest_read((struct gal_str){(const char *)data, size}, "f", &arena, &m, &err)) {
        GAL_ASSERT(err.code != GAL_OK && err.message[0] && !m);
    } else {
        for (size_t i = 0; i < m->feature_count; i++)
            GAL_ASSERT(m->features[i].name.n && m->features[i].check);
        check(m, &arena);
    }
    gal_arena_release(&arena);
    return 0;
}
