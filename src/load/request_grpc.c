/* SPDX-License-Identifier: Apache-2.0 */
/* ModelInferRequest of proto/inference.proto, written field by field. */
#include "http/grpc.h"
#include "load/request.h"
#include "text/protobuf.h"

enum request_field { REQUEST_MODEL = 1, REQUEST_VERSION = 2, REQUEST_INPUTS = 5, REQUEST_RAW = 7 };
enum input_field { INPUT_NAME = 1, INPUT_DATATYPE = 2, INPUT_SHAPE = 3 };

static void put_input(struct gal_buf *out, const struct gal_load_tensor *t)
{
    size_t start = out->n, sizes;

    gal_pb_put_bytes(out, INPUT_NAME, t->name);
    gal_pb_put_bytes(out, INPUT_DATATYPE, gal_str_of(gal_dtype_name(t->dtype)));
    sizes = out->n;
    for (size_t i = 0; i < t->rank; i++)
        gal_pb_put_varint(out, (uint64_t)t->shape[i]);
    if (t->rank && !out->failed)
        gal_pb_wrap(out, sizes, INPUT_SHAPE);
    if (!out->failed)
        gal_pb_wrap(out, start, REQUEST_INPUTS);
}

void gal_request_put_grpc(struct gal_buf *out, const struct gal_request_spec *spec,
                          const struct gal_load_tensor *tensors, size_t count)
{
    char prefix[GAL_GRPC_PREFIX_BYTES] = {0};
    size_t start = out->n;

    gal_buf_put(out, prefix, sizeof prefix);
    gal_pb_put_bytes(out, REQUEST_MODEL, spec->model);
    if (spec->version.n)
        gal_pb_put_bytes(out, REQUEST_VERSION, spec->version);
    for (size_t i = 0; i < count; i++)
        put_input(out, &tensors[i]);
    for (size_t i = 0; i < count; i++) {
        gal_pb_put_head(out, REQUEST_RAW, gal_values_raw_size(&tensors[i]));
        gal_values_put_raw(out, &tensors[i]);
    }
    if (out->failed)
        return;
    gal_grpc_prefix(prefix, false, out->n - start - sizeof prefix);
    memcpy(out->p + start, prefix, sizeof prefix);
}
