/* SPDX-License-Identifier: Apache-2.0 */
/* Docker's files of credentials, for a host and for one of its repositories. Oracle: a password
 * comes with a user, and there is always an answer to who is to be asked. */
#include "base/limits.h"
#include "oci/credentials.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gal_str text = {(const char *)data, size};
    struct gal_credential whole, part;
    struct gal_arena arena;
    const char *helper;

    if (size > 65536)
        return 0;
    gal_arena_init(&arena, 4096, 0, 4u << 20);
    if (gal_credentials_read(text, "h.io", NULL, &arena, &whole, &helper, NULL) == GAL_OK) {
        GAL_ASSERT(helper && !whole.origin && (!whole.password || whole.user));
        GAL_ASSERT(gal_credentials_read(text, "h.io", "a/b", &arena, &part, &helper, NULL) !=
                       GAL_OK ||
                   !part.password || part.user);
    }
    gal_arena_release(&arena);
    return 0;
}
