/* SPDX-License-Identifier: Apache-2.0 */
/* JSON inference requests. Oracles: what was decoded, written and decoded again is the same; the
 * short way for arrays of numbers and the long way agree, in what they refuse too. */
#include "api/oip.h"
#include "codec/tensor_json.h"

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

static void check_same(const struct gal_tensor *a, const struct gal_tensor *b)
{
    GAL_ASSERT(gal_str_eq(a->name, b->name) && a->dtype == b->dtype && a->count == b->count);
    GAL_ASSERT(a->rank == b->rank &&
               (a->rank == 0 || memcmp(a->shape, b->shape, a->rank * sizeof(*a->shape)) == 0));
    GAL_ASSERT((a->data == NULL) ==
               (b->data == NULL)); /* what lies in shared memory has none yet */
    GAL_ASSERT(a->dtype == GAL_DT_BYTES || a->count == 0 || a->data == NULL ||
               memcmp(a->data, b->data, a->count * gal_dtype_size(a->dtype)) == 0);
}

static void check_agree(const struct gal_oip_request *req, enum gal_status st,
                        const struct gal_err *err, struct gal_str text)
{
    struct gal_oip_request tree;
    struct gal_arena arena;
    struct gal_err why;

    gal_arena_init(&arena, 4096, 0, 64 << 20);
    GAL_ASSERT(st == gal_oip_decode_tree(GAL_STR("m"), text, (struct gal_str){NULL, 0}, &arena,
                                         &tree, &why));
    if (st != GAL_OK) {
        GAL_ASSERT(strcmp(err->message, why.message) == 0 && strcmp(err->place, why.place) == 0);
    } else {
        GAL_ASSERT(req->input_count == tree.input_count && gal_str_eq(req->id, tree.id) &&
                   req->output_count == tree.output_count);
        for (size_t i = 0; i < req->input_count; i++)
            check_same(&req->inputs[i], &tree.inputs[i]);
    }
    gal_arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct gal_str text = {(const char *)data, size};
    struct gal_oip_request req;
    struct gal_arena arena;
    struct gal_buf out;
    struct gal_err err;
    enum gal_status st;

    if (size > 65536)
        return 0;
    gal_arena_init(&arena, 4096, 0, 64 << 20);
    gal_buf_init(&out, 64 << 20);
    st = gal_oip_decode(GAL_STR("m"), text, (struct gal_str){NULL, 0}, &arena, &req, &err);
    check_agree(&req, st, &err, text);
    for (size_t i = 0; st == GAL_OK && i < req.input_count; i++)
        if (req.input_places == NULL || req.input_places[i].region.p == NULL)
            check_tensor(&req.inputs[i], &arena, &out);
    GAL_ASSERT(st == GAL_OK || err.message[0] != '\0');
    gal_buf_release(&out);
    gal_arena_release(&arena);
    return 0;
}
