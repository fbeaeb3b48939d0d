/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a manifest or an index: data within bounds that writes to a text that reads the
 * same, or an error with a message. */
#include "base/limits.h"
#include "oci/descriptor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_manifest(struct gal_str text, struct gal_arena *arena, bool again)
{
    struct gal_oci_manifest m;
    struct gal_buf out;
    struct gal_err err;
    if (gal_oci_manifest_read(text, arena, &m, &err) != GAL_OK) {
        GAL_ASSERT(!again && err.message[0]);
        return;
    }
    GAL_ASSERT(m.layer_count <= GAL_OCI_LAYERS_MAX &&
               gal_oci_digest_valid(gal_str_of(m.config.digest)));
    gal_buf_init(&out, 64u << 20);
    gal_oci_manifest_write(&out, &m);
    GAL_ASSERT(!again || gal_str_eq(text, gal_buf_str(&out)));
    if (!again && out.n <= GAL_OCI_JSON_BYTES_MAX)
        check_manifest(gal_buf_str(&out), arena, true);
    gal_buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct gal_str text = {(const char *)data, size};
    struct gal_oci_index x;
    struct gal_arena arena;
    gal_arena_init(&arena, 4096, 0, 256u << 20);
    (void)gal_oci_is_index(text);
    (void)gal_oci_index_read(text, &arena, &x, NULL);
    check_manifest(text, &arena, false);
    gal_arena_release(&arena);
    return 0;
}
