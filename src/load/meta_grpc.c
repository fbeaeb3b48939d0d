/* SPDX-License-Identifier: Apache-2.0 */
/* What a server says of its models over gRPC (proto/inference.proto). */
#include "load/meta.h"
#include "text/protobuf.h"

enum metadata_field { METADATA_NAME = 1, METADATA_VERSIONS = 2, METADATA_INPUTS = 4 };
enum tensor_field { TENSOR_NAME = 1, TENSOR_DATATYPE = 2, TENSOR_SHAPE = 3 };
enum index_field { INDEX_MODELS = 1, INDEX_NAME = 1 };

static enum gal_status fail_wire(struct gal_err *err)
{
    return gal_fail(err, GAL_INVALID, "the server's answer is not the message that was asked for");
}

/* Sizes stand packed, or one a field. */
static enum gal_status take_sizes(const struct gal_pb_field *f, struct gal_load_input *in,
                                  struct gal_err *err)
{
    struct gal_str rest = f->bytes;
    uint64_t size = f->value;
    bool more = f->wire == GAL_PB_VARINT || gal_pb_packed_varint(&rest, &size);

    while (more) {
        if (in->rank == GAL_RANK_MAX)
            return gal_fail(err, GAL_INVALID, "an input has more than %d sizes", GAL_RANK_MAX);
        in->shape[in->rank++] = (int64_t)size < 0 ? -1 : (int64_t)size;
        more = f->wire == GAL_PB_BYTES && gal_pb_packed_varint(&rest, &size);
    }
    return GAL_OK;
}

static enum gal_status take_input(struct gal_str rest, struct gal_load_input *in,
                                  struct gal_err *err)
{
    struct gal_str type = {NULL, 0};
    struct gal_pb_field f;
    enum gal_pb_next r;
    enum gal_status status = GAL_OK;

    *in = (struct gal_load_input){.rank = 0};
    while (status == GAL_OK && (r = gal_pb_next(&rest, &f)) != GAL_PB_END) {
        if (r != GAL_PB_FIELD)
            return fail_wire(err);
        if (f.number == TENSOR_NAME)
            in->name = f.bytes;
        else if (f.number == TENSOR_DATATYPE)
            type = f.bytes;
        else if (f.number == TENSOR_SHAPE)
            status = take_sizes(&f, in, err);
    }
    in->dtype = gal_dtype_parse(type);
    if (status == GAL_OK && in->dtype == GAL_DT_NONE)
        return gal_fail(err, GAL_UNSUPPORTED, "input %.*s has the datatype %.*s",
                        GAL_STR_ARG(in->name), GAL_STR_ARG(type));
    return status;
}

/* How often the field is there; SIZE_MAX: the message is broken. */
static size_t count_of(struct gal_str rest, uint64_t number)
{
    struct gal_pb_field f;
    enum gal_pb_next r;
    size_t n = 0;

    while ((r = gal_pb_next(&rest, &f)) == GAL_PB_FIELD)
        n += f.number == number;
    return r == GAL_PB_END ? n : SIZE_MAX;
}

enum gal_status gal_meta_parse_grpc(struct gal_str message, struct gal_arena *arena,
                                    struct gal_load_model *out, struct gal_err *err)
{
    size_t count = count_of(message, METADATA_INPUTS);
    struct gal_pb_field f;
    enum gal_status status = GAL_OK;

    *out = (struct gal_load_model){.input_count = 0};
    if (count > GAL_TENSORS_MAX)
        return fail_wire(err);
    out->inputs = gal_arena_array(arena, count + 1, sizeof *out->inputs);
    if (!out->inputs)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the model's inputs");
    while (status == GAL_OK && gal_pb_next(&message, &f) == GAL_PB_FIELD) {
        if (f.number == METADATA_NAME)
            out->name = f.bytes;
        else if (f.number == METADATA_VERSIONS)
            out->version = f.bytes;
        else if (f.number == METADATA_INPUTS)
            status = take_input(f.bytes, &out->inputs[out->input_count++], err);
    }
    if (status == GAL_OK && !out->name.n)
        return gal_fail(err, GAL_INVALID, "the server's metadata names no model");
    return status;
}

static bool is_listed(const struct gal_str *names, size_t count, struct gal_str name)
{
    size_t i = 0;

    while (i < count && !gal_str_eq(names[i], name))
        i++;
    return i < count;
}

/* The model has an entry for each of its versions. */
enum gal_status gal_meta_names_grpc(struct gal_str message, struct gal_arena *arena,
                                    struct gal_str **names, size_t *count, struct gal_err *err)
{
    size_t most = count_of(message, INDEX_MODELS);
    struct gal_pb_field f, name;

    *count = 0;
    if (most == SIZE_MAX)
        return fail_wire(err);
    *names = gal_arena_array(arena, most + 1, sizeof **names);
    if (!*names)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the list of models");
    while (gal_pb_next(&message, &f) == GAL_PB_FIELD) {
        struct gal_str rest = f.bytes;
        if (f.number != INDEX_MODELS)
            continue;
        while (gal_pb_next(&rest, &name) == GAL_PB_FIELD) {
            if (name.number == INDEX_NAME && !is_listed(*names, *count, name.bytes)) {
                (*names)[(*count)++] = name.bytes;
                break;
            }
        }
    }
    return GAL_OK;
}
