/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a freeze list: packages in order with names and versions of theirs, or an error with
 * its line. */
#include "package/environment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gal_environment e;
    struct gal_arena arena;
    struct gal_err err;
    size_t unpinned = 0;
    gal_arena_init(&arena, 4096, 0, 256u << 20);
    gal_err_clear(&err);
    if (gal_environment_read((struct gal_str){(const char *)data, size}, "f", &arena, &e, &err)) {
        GAL_ASSERT(err.message[0] && (err.code != GAL_INVALID || err.place[0]));
        e = (struct gal_environment){.count = 0};
    }
    GAL_ASSERT(e.count <= GAL_FREEZE_PACKAGES_MAX && gal_utf8_valid(e.cuda));
    for (size_t i = 0; i < e.count; i++) {
        const struct gal_pinned *p = &e.packages[i];
        GAL_ASSERT(p->name.n > 0 && p->written.n > 0 && gal_utf8_valid(p->written));
        GAL_ASSERT(p->pinned == (p->version.n > 0));
        GAL_ASSERT(gal_environment_find(&e, p->name) != NULL);
        unpinned += !p->pinned;
    }
    GAL_ASSERT(unpinned == e.unpinned && e.finding_count >= unpinned);
    gal_arena_release(&arena);
    return 0;
}
