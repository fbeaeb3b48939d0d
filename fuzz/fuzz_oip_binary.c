/* SPDX-License-Identifier: Apache-2.0 */
/* Requests with binary data: two bytes of header length, then the body; length 0 is a raw request.
 * Oracle: the inputs, laid out again, account for all bytes. */
#include "api/oip.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const int64_t shape[3] = {-1, 3, -1};
static const struct gal_port port = {
    .name = {"x", 1}, .dtype = GAL_DT_FP32, .rank = 3, .shape = shape, .shape_known = true};
static const struct gal_model_info info = {.inputs = &port, .input_count = 1};

static enum gal_status decode(struct gal_str body, size_t header, struct gal_arena *arena,
                              struct gal_oip_request *req, struct gal_err *err)
{
    static char name[] = "m";
    struct gal_model m = {.name = name, .info = &info, .batch_dim = true};

    if (header == 0)
        return gal_oip_decode_raw(&m, body, arena, req, err);
    return gal_oip_decode(GAL_STR("m"), (struct gal_str){body.p, header},
                          (struct gal_str){body.p + header, body.n - header}, arena, req, err);
}

static void check_bytes(const struct gal_oip_request *req, struct gal_str rest, bool raw)
{
    size_t sum = 0;

    for (size_t i = 0; i < req->input_count; i++) {
        size_t bytes = gal_tensor_raw_size(&req->inputs[i]);
        char *copy = malloc(bytes + 1);

        GAL_ASSERT(copy != NULL);
        gal_tensor_to_raw(&req->inputs[i], copy);
        GAL_ASSERT(!raw || (bytes == rest.n && memcmp(copy, rest.p, bytes) == 0));
        sum += bytes;
        free(copy);
    }
    GAL_ASSERT(sum >= rest.n); /* inputs may be JSON too, but no byte may be left over */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gal_str body = {(const char *)data + 2, size - 2};
    struct gal_oip_request req;
    struct gal_arena arena;
    struct gal_err err;
    size_t header;

    if (size < 2 || size > 65536)
        return 0;
    header = (size_t)data[0] | (size_t)data[1] << 8;
    if (header > body.n)
        return 0;
    gal_arena_init(&arena, 4096, 0, 64 << 20);
    if (decode(body, header, &arena, &req, &err) == GAL_OK)
        check_bytes(&req, (struct gal_str){body.p + header, body.n - header}, header == 0);
    else
        GAL_ASSERT(err.message[0] != '\0');
    gal_arena_release(&arena);
    return 0;
}
