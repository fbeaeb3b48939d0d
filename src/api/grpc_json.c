/* SPDX-License-Identifier: Apache-2.0 */
#include "api/grpc_json.h"

#include "api/route.h"

#include <proto/inference.pb-c.h>

/* Messages within messages of an answer: a bound for the recursion. */
#define DEPTH_MAX 16u

enum entry_field { ENTRY_KEY = 1, ENTRY_VALUE = 2 };

/* --- requests --- */

static void *take(void *arena, size_t bytes)
{
    return gal_arena_small(arena, bytes);
}

static void leave(void *arena, void *p)
{
    (void)arena;
    (void)p; /* goes with the exchange */
}

const void *gal_grpc_request(struct gal_exchange *x, const ProtobufCMessageDescriptor *d)
{
    ProtobufCAllocator allocator = {take, leave, &x->arena};
    struct gal_str message;
    struct gal_err err;
    const void *r = NULL;

    if (gal_grpc_begin(x, &message, &err) == GAL_OK) {
        r = protobuf_c_message_unpack(d, &allocator, message.n, (const uint8_t *)message.p);
        if (r == NULL)
            gal_fail(&err, GAL_INVALID, "the message is not a %s", d->name);
    }
    if (r == NULL)
        gal_exchange_fail(x, &err);
    return r;
}

/* --- answers --- */

static enum gal_status put_value(const ProtobufCFieldDescriptor *f, yyjson_val *v, unsigned depth,
                                 struct gal_buf *out, struct gal_err *err);

static enum gal_status fail_kind(const ProtobufCFieldDescriptor *f, yyjson_val *v,
                                 struct gal_err *err)
{
    gal_fail(err, GAL_INTERNAL, "the answer has %s where %s is", gal_json_type_name(v), f->name);
    if (err != NULL)
        gal_err_place(err, "%s", f->name);
    return GAL_INTERNAL;
}

static bool get_integer(yyjson_val *v, uint64_t *bits)
{
    struct gal_str text = {yyjson_get_str(v), yyjson_get_len(v)};
    int64_t n;

    if (yyjson_is_uint(v))
        *bits = yyjson_get_uint(v);
    else if (yyjson_is_sint(v))
        *bits = (uint64_t)yyjson_get_sint(v);
    else if (text.p == NULL)
        return false;
    else if (gal_str_u64(text, bits) != GAL_OK) {
        if (gal_str_i64(text, &n) != GAL_OK)
            return false;
        *bits = (uint64_t)n;
    }
    return true;
}

static bool get_enum(const ProtobufCFieldDescriptor *f, yyjson_val *v, uint64_t *bits)
{
    const char *name = yyjson_get_str(v);
    const ProtobufCEnumValue *value;

    if (name == NULL)
        return get_integer(v, bits);
    value = protobuf_c_enum_descriptor_get_value_by_name(f->descriptor, name);
    if (value == NULL)
        return false;
    *bits = (uint64_t)value->value;
    return true;
}

/* A parameter, which JSON has as a plain value, is a message with a field a kind. */
static enum gal_status put_parameter(yyjson_val *v, unsigned depth, struct gal_buf *out,
                                     struct gal_err *err)
{
    const char *name = yyjson_is_bool(v)   ? "bool_param"
                       : yyjson_is_sint(v) ? "int64_param"
                       : yyjson_is_uint(v) ? "uint64_param"
                       : yyjson_is_real(v) ? "double_param"
                                           : "string_param";

    if (yyjson_is_uint(v) && yyjson_get_uint(v) <= INT64_MAX)
        name = "int64_param";
    return put_value(protobuf_c_message_descriptor_get_field_by_name(
                         &inference__infer_parameter__descriptor, name),
                     v, depth, out, err);
}

static enum gal_status put_message(const ProtobufCMessageDescriptor *d, yyjson_val *v,
                                   unsigned depth, struct gal_buf *out, struct gal_err *err)
{
    yyjson_obj_iter it;
    yyjson_val *key;

    if (d == &inference__infer_parameter__descriptor && !yyjson_is_ctn(v) && depth > 0)
        return put_parameter(v, depth - 1, out, err);
    if (!yyjson_is_obj(v) || depth == 0)
        return gal_fail(err, GAL_INTERNAL, "the answer has %s where a %s is", gal_json_type_name(v),
                        d->name);
    yyjson_obj_iter_init(v, &it);
    while ((key = yyjson_obj_iter_next(&it)) != NULL) {
        const ProtobufCFieldDescriptor *f =
            protobuf_c_message_descriptor_get_field_by_name(d, yyjson_get_str(key));
        yyjson_val *value = yyjson_obj_iter_get_val(key);
        enum gal_status st = GAL_OK;

        if (f != NULL && !yyjson_is_null(value))
            st = put_value(f, value, depth - 1, out, err);
        if (st != GAL_OK)
            return st;
    }
    return GAL_OK;
}

/* A map is a list of entries: messages of a key and a value. */
static enum gal_status put_map(const ProtobufCFieldDescriptor *f, yyjson_val *v, unsigned depth,
                               struct gal_buf *out, struct gal_err *err)
{
    const ProtobufCMessageDescriptor *entry = f->descriptor;
    const ProtobufCFieldDescriptor *fields[2] = {
        protobuf_c_message_descriptor_get_field(entry, ENTRY_KEY),
        protobuf_c_message_descriptor_get_field(entry, ENTRY_VALUE),
    };
    yyjson_obj_iter it;
    yyjson_val *key;

    if (fields[0] == NULL || fields[1] == NULL)
        return fail_kind(f, v, err);
    yyjson_obj_iter_init(v, &it);
    while ((key = yyjson_obj_iter_next(&it)) != NULL) {
        size_t start = out->n;
        enum gal_status st = put_value(fields[0], key, depth, out, err);

        if (st == GAL_OK)
            st = put_value(fields[1], yyjson_obj_iter_get_val(key), depth, out, err);
        if (st != GAL_OK)
            return st;
        gal_pb_wrap(out, start, f->id);
    }
    return GAL_OK;
}

static enum gal_status put_list(const ProtobufCFieldDescriptor *f, yyjson_val *v, unsigned depth,
                                struct gal_buf *out, struct gal_err *err)
{
    ProtobufCFieldDescriptor one = *f;
    yyjson_arr_iter it;
    yyjson_val *item;

    one.label = PROTOBUF_C_LABEL_NONE;
    /* An element is there even when it is zero. */
    one.flags |= PROTOBUF_C_FIELD_FLAG_ONEOF;
    if (!yyjson_is_arr(v))
        return yyjson_is_obj(v) && f->type == PROTOBUF_C_TYPE_MESSAGE
                   ? put_map(f, v, depth, out, err)
                   : fail_kind(f, v, err);
    yyjson_arr_iter_init(v, &it);
    while ((item = yyjson_arr_iter_next(&it)) != NULL) {
        enum gal_status st = put_value(&one, item, depth, out, err);

        if (st != GAL_OK)
            return st;
    }
    return GAL_OK;
}

/* Proto3 leaves out zeros, except of a oneof. */
static void put_bits(const ProtobufCFieldDescriptor *f, uint64_t bits, struct gal_buf *out)
{
    if (bits != 0 || (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
        gal_pb_put_u64(out, f->id, bits);
}

static void put_double(const ProtobufCFieldDescriptor *f, double v, struct gal_buf *out)
{
    if (v == 0 && (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0)
        return;
    gal_pb_put_tag(out, f->id, GAL_PB_FIXED64);
    gal_buf_put(out, (const char *)&v, sizeof(v)); /* little-endian, as this machine is */
}

static enum gal_status put_value(const ProtobufCFieldDescriptor *f, yyjson_val *v, unsigned depth,
                                 struct gal_buf *out, struct gal_err *err)
{
    size_t start = out->n;
    uint64_t bits = 0;
    enum gal_status st;

    if (f->label == PROTOBUF_C_LABEL_REPEATED)
        return put_list(f, v, depth, out, err);
    switch (f->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        st = put_message(f->descriptor, v, depth, out, err);
        gal_pb_wrap(out, start, f->id);
        return st;
    case PROTOBUF_C_TYPE_STRING:
        if (!yyjson_is_str(v))
            return fail_kind(f, v, err);
        gal_pb_put_bytes(out, f->id, (struct gal_str){yyjson_get_str(v), yyjson_get_len(v)});
        return GAL_OK;
    case PROTOBUF_C_TYPE_BOOL:
        if (!yyjson_is_bool(v))
            return fail_kind(f, v, err);
        put_bits(f, yyjson_get_bool(v), out);
        return GAL_OK;
    case PROTOBUF_C_TYPE_ENUM:
        if (!get_enum(f, v, &bits))
            return fail_kind(f, v, err);
        put_bits(f, bits, out);
        return GAL_OK;
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
        if (!get_integer(v, &bits))
            return fail_kind(f, v, err);
        put_bits(f, bits, out);
        return GAL_OK;
    case PROTOBUF_C_TYPE_DOUBLE:
        if (!yyjson_is_num(v))
            return fail_kind(f, v, err);
        put_double(f, yyjson_get_num(v), out);
        return GAL_OK;
    default: /* the answers have no other */
        return fail_kind(f, v, err);
    }
}

enum gal_status gal_grpc_put_json(const ProtobufCMessageDescriptor *d, yyjson_val *v,
                                  struct gal_buf *out, struct gal_err *err)
{
    return put_message(d, v, DEPTH_MAX, out, err);
}

/* --- both --- */

struct answer {
    const ProtobufCMessageDescriptor *d;
    uint32_t wrap;
};

static void render(struct gal_exchange *x)
{
    const struct answer *a = x->state;
    yyjson_val *root = NULL;
    struct gal_str text;
    struct gal_err err;
    char *copy = x->out.failed ? NULL : gal_arena_strdup(&x->arena, gal_buf_str(&x->out));
    enum gal_status st;

    if (copy == NULL) {
        gal_fail(&err, GAL_NO_MEMORY, "no memory for the answer");
        gal_exchange_fail(x, &err);
        return;
    }
    text = (struct gal_str){copy, x->out.n};
    st = gal_json_read(text, &x->arena, GAL_JSON_DEPTH_MAX, &root, &err);
    gal_buf_clear(&x->out, GAL_ARENA_KEEP_BYTES);
    if (st == GAL_OK)
        st = gal_grpc_put_json(a->d, root, &x->out, &err);
    if (st == GAL_OK && a->wrap != 0)
        gal_pb_wrap(&x->out, 0, a->wrap);
    x->resp.header_count = 0; /* REST's own */
    if (st == GAL_OK)
        gal_grpc_finish(x);
    else
        gal_exchange_fail(x, &err);
}

void gal_grpc_answer_as(struct gal_exchange *x, const ProtobufCMessageDescriptor *d, uint32_t wrap,
                        void (*handle)(struct gal_exchange *x))
{
    struct answer *a = gal_arena_small(&x->arena, sizeof(*a));
    struct gal_err err;

    if (a == NULL) {
        gal_fail(&err, GAL_NO_MEMORY, "no memory for the answer");
        gal_exchange_fail(x, &err);
        return;
    }
    *a = (struct answer){d, wrap};
    x->state = a;
    x->render = render;
    handle(x);
}
