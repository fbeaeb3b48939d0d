/* SPDX-License-Identifier: Apache-2.0 */
/* JSON inference requests. Oracle: what was decoded, written and decoded again is the same. */
#include "api/oip.h"
#include "api/tensor_json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_tensor(const struct gal_tensor *t, struct gal_arena *arena, struct gal_buf *out)
{
    struct gal_tensor back = *t;
    yyjson_val *root;

    for (int nested = 0; nested < (t->count > 0 ? 2 : 1); nested++) {
        gal_buf_clear(out, SIZE_MAX);
        GAL_ASSERT(gal_tensor_to_json(t, nested != 0, out, NULL) == GAL_OK && !out->failed);
        GAL_ASSERT(gal_json_read(gal_buf_str(out), arena, 64, &root, NULL) == GAL_OK);
        GAL_ASSERT(gal_tensor_from_json(root, &back, "data", arena, NULL) == GAL_OK);
        for (size_t i = 0; t->dtype == GAL_DT_BYTES && i < t->count; i++)
            GAL_ASSERT(gal_str_eq(((const struct gal_str *)t->data)[i],
                                  ((const struct gal_str *)back.data)[i]));
        GAL_ASSERT(t->dtype == GAL_DT_BYTES || t->count == 0 ||
                   memcmp(t->data, back.data, t->count * gal_dtype_size(t->dtype)) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gal_oip_request req;
    struct gal_arena arena;
    struct gal_buf out;
    struct gal_err err;

    if (size > 65536)
        return 0;
    gal_arena_init(&arena, 4096, 0, 64 << 20);
    gal_buf_init(&out, 64 << 20);
    if (gal_oip_decode(GAL_STR("m"), (struct gal_str){(const char *)data, size},
                       (struct gal_str){NULL, 0}, &arena, &req, &err) != GAL_OK) {
        GAL_ASSERT(err.message[0] != '\0');
        req.input_count = 0;
    }
    for (size_t i = 0; i < req.input_count; i++)
        if (req.input_places == NULL || req.input_places[i].region.p == NULL)
            check_tensor(&req.inputs[i], &arena, &out);
    gal_buf_release(&out);
    gal_arena_release(&arena);
    return 0;
}
