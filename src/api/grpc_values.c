/* SPDX-License-Identifier: Apache-2.0 */
/* The small messages within a ModelInferRequest: parameters and typed contents. */
#include "api/grpc.h"

#include <inttypes.h>

enum entry_field { ENTRY_KEY = 1, ENTRY_VALUE = 2 };

static enum gal_status read_choice(struct gal_str bytes, struct gal_grpc_param *out,
                                   struct gal_err *err)
{
    static const enum gal_pb_wire wires[] = {
        [GAL_GRPC_PARAM_BOOL] = GAL_PB_VARINT,   [GAL_GRPC_PARAM_INT64] = GAL_PB_VARINT,
        [GAL_GRPC_PARAM_STRING] = GAL_PB_BYTES,  [GAL_GRPC_PARAM_DOUBLE] = GAL_PB_FIXED64,
        [GAL_GRPC_PARAM_UINT64] = GAL_PB_VARINT,
    };
    struct gal_pb_field f;
    enum gal_pb_next r;

    while ((r = gal_pb_next(&bytes, &f)) == GAL_PB_FIELD) {
        if (f.number > GAL_GRPC_PARAM_UINT64)
            continue;
        if (f.wire != wires[f.number])
            return gal_grpc_fail_wire(GAL_PB_BAD, "parameters", err);
        out->kind = (enum gal_grpc_param_kind)f.number;
        out->bits = out->kind == GAL_GRPC_PARAM_BOOL ? f.value != 0 : f.value;
        out->text = f.bytes;
    }
    return r == GAL_PB_END ? GAL_OK : gal_grpc_fail_wire(r, "parameters", err);
}

enum gal_status gal_grpc_read_param(struct gal_str entry, struct gal_grpc_param *out,
                                    struct gal_err *err)
{
    struct gal_pb_field f;
    enum gal_pb_next r;

    memset(out, 0, sizeof(*out));
    while ((r = gal_pb_next(&entry, &f)) == GAL_PB_FIELD) {
        enum gal_status st = GAL_OK;

        if (f.number > ENTRY_VALUE)
            continue;
        if (f.wire != GAL_PB_BYTES)
            return gal_grpc_fail_wire(GAL_PB_BAD, "parameters", err);
        if (f.number == ENTRY_KEY)
            out->key = f.bytes;
        else
            st = read_choice(f.bytes, out, err);
        if (st != GAL_OK)
            return st;
    }
    return r == GAL_PB_END ? GAL_OK : gal_grpc_fail_wire(r, "parameters", err);
}

/* --- typed contents --- */

enum contents_field {
    CONTENTS_NONE = 0,
    CONTENTS_BOOL = 1,
    CONTENTS_INT = 2,
    CONTENTS_INT64 = 3,
    CONTENTS_UINT = 4,
    CONTENTS_UINT64 = 5,
    CONTENTS_FP32 = 6,
    CONTENTS_FP64 = 7,
    CONTENTS_BYTES = 8
};
static const char *const field_names[] = {
    "",
    "bool_contents",
    "int_contents",
    "int64_contents",
    "uint_contents",
    "uint64_contents",
    "fp32_contents",
    "fp64_contents",
    "bytes_contents",
};

static enum contents_field field_of(enum gal_dtype t)
{
    static const enum contents_field fields[GAL_DT_COUNT] = {
        [GAL_DT_BOOL] = CONTENTS_BOOL,     [GAL_DT_INT8] = CONTENTS_INT,
        [GAL_DT_INT16] = CONTENTS_INT,     [GAL_DT_INT32] = CONTENTS_INT,
        [GAL_DT_INT64] = CONTENTS_INT64,   [GAL_DT_UINT8] = CONTENTS_UINT,
        [GAL_DT_UINT16] = CONTENTS_UINT,   [GAL_DT_UINT32] = CONTENTS_UINT,
        [GAL_DT_UINT64] = CONTENTS_UINT64, [GAL_DT_FP32] = CONTENTS_FP32,
        [GAL_DT_FP64] = CONTENTS_FP64,     [GAL_DT_BYTES] = CONTENTS_BYTES,
    };
    return fields[t];
}

struct writer {
    struct gal_tensor *t;
    void *data; /* t's, while it is written */
    size_t *at;
    struct gal_arena *arena;
};

static enum gal_status fail_contents(const struct gal_tensor *t, uint64_t field,
                                     struct gal_err *err)
{
    if (field_of(t->dtype) == CONTENTS_NONE)
        gal_fail(err, GAL_INVALID,
                 "contents cannot carry %s: send input '%.*s' in "
                 "raw_input_contents",
                 gal_dtype_name(t->dtype), (int)(t->name.n < 64 ? t->name.n : 64), t->name.p);
    else
        gal_fail(err, GAL_INVALID, "input '%.*s' is %s: its elements belong into %s, not into %s",
                 (int)(t->name.n < 64 ? t->name.n : 64), t->name.p, gal_dtype_name(t->dtype),
                 field_names[field_of(t->dtype)], field_names[field]);
    if (err != NULL)
        gal_err_place(err, "contents.%s", field_names[field]);
    return GAL_INVALID;
}

static enum gal_status fail_count(const struct writer *w, struct gal_err *err)
{
    gal_fail(err, GAL_INVALID, "input '%.*s' has more elements in its contents than its shape, %zu",
             (int)(w->t->name.n < 64 ? w->t->name.n : 64), w->t->name.p, w->t->count);
    if (err != NULL)
        gal_err_place(err, "contents");
    return GAL_INVALID;
}

/* One integer as the datatype has it; int32 and uint32 fields are cut to 32 bits as the protocol
 * says, smaller datatypes must fit. */
static enum gal_status put_integer(struct writer *w, uint64_t v, struct gal_err *err)
{
    size_t i = *w->at;
    int32_t low = (int32_t)(uint32_t)v;
    uint32_t ulow = (uint32_t)v;
    bool fits = true;

    if (i == w->t->count)
        return fail_count(w, err);
    switch (w->t->dtype) {
    case GAL_DT_BOOL:
        ((uint8_t *)w->data)[i] = v != 0;
        break;
    case GAL_DT_INT8:
        fits = low >= INT8_MIN && low <= INT8_MAX;
        ((int8_t *)w->data)[i] = (int8_t)low;
        break;
    case GAL_DT_INT16:
        fits = low >= INT16_MIN && low <= INT16_MAX;
        ((int16_t *)w->data)[i] = (int16_t)low;
        break;
    case GAL_DT_UINT8:
        fits = ulow <= UINT8_MAX;
        ((uint8_t *)w->data)[i] = (uint8_t)ulow;
        break;
    case GAL_DT_UINT16:
        fits = ulow <= UINT16_MAX;
        ((uint16_t *)w->data)[i] = (uint16_t)ulow;
        break;
    case GAL_DT_INT32:
    case GAL_DT_UINT32:
        ((uint32_t *)w->data)[i] = ulow;
        break;
    default:
        ((uint64_t *)w->data)[i] = v;
        break;
    }
    ++*w->at;
    if (fits)
        return GAL_OK;
    gal_fail(err, GAL_INVALID, "element %zu does not fit %s", i, gal_dtype_name(w->t->dtype));
    if (err != NULL)
        gal_err_place(err, "contents.%s[%zu]", field_names[field_of(w->t->dtype)], i);
    return GAL_INVALID;
}

static enum gal_status put_integers(struct writer *w, const struct gal_pb_field *f,
                                    struct gal_err *err)
{
    struct gal_str rest = f->bytes;
    enum gal_status st = GAL_OK;
    uint64_t v;

    if (f->wire == GAL_PB_VARINT)
        return put_integer(w, f->value, err);
    if (f->wire != GAL_PB_BYTES)
        return gal_grpc_fail_wire(GAL_PB_BAD, "contents", err);
    while (st == GAL_OK && gal_pb_packed_varint(&rest, &v))
        st = put_integer(w, v, err);
    if (st == GAL_OK && rest.n > 0)
        st = gal_grpc_fail_wire(GAL_PB_SHORT, "contents", err);
    return st;
}

static enum gal_status put_floats(struct writer *w, const struct gal_pb_field *f,
                                  struct gal_err *err)
{
    size_t size = gal_dtype_size(w->t->dtype);
    enum gal_pb_wire single = size == 4 ? GAL_PB_FIXED32 : GAL_PB_FIXED64;
    struct gal_str bytes = f->bytes;
    uint64_t bits = f->value;

    if (f->wire == single) /* little-endian, as tensors are */
        bytes = (struct gal_str){(const char *)&bits, size};
    else if (f->wire != GAL_PB_BYTES || bytes.n % size != 0)
        return gal_grpc_fail_wire(GAL_PB_BAD, "contents", err);
    if (bytes.n / size > w->t->count - *w->at)
        return fail_count(w, err);
    if (bytes.n > 0)
        memcpy((char *)w->data + *w->at * size, bytes.p, bytes.n);
    *w->at += bytes.n / size;
    return GAL_OK;
}

static enum gal_status put_elements(struct writer *w, const struct gal_pb_field *f,
                                    struct gal_err *err)
{
    switch (field_of(w->t->dtype)) {
    case CONTENTS_FP32:
    case CONTENTS_FP64:
        return put_floats(w, f, err);
    case CONTENTS_BYTES:
        if (f->wire != GAL_PB_BYTES)
            return gal_grpc_fail_wire(GAL_PB_BAD, "contents", err);
        if (*w->at == w->t->count)
            return fail_count(w, err);
        ((struct gal_str *)w->data)[(*w->at)++] = f->bytes;
        return GAL_OK;
    default:
        return put_integers(w, f, err);
    }
}

/* Each element takes a byte of the message at least: a shape that claims more than is there gets no
 * memory. */
static enum gal_status make_room(struct gal_tensor *t, size_t at, size_t bytes,
                                 struct gal_arena *arena, struct gal_err *err)
{
    if (t->data != NULL)
        return GAL_OK;
    if (t->count > bytes) {
        gal_fail(err, GAL_INVALID,
                 "input '%.*s' has less elements in its contents than its shape, "
                 "%zu",
                 (int)(t->name.n < 64 ? t->name.n : 64), t->name.p, t->count);
        if (err != NULL)
            gal_err_place(err, "contents");
        return GAL_INVALID;
    }
    GAL_ASSERT(at == 0);
    t->data = gal_arena_array(arena, t->count, gal_dtype_size(t->dtype));
    if (t->data == NULL)
        return gal_arena_fail(arena, t->count * gal_dtype_size(t->dtype), "tensor data", err);
    return GAL_OK;
}

enum gal_status gal_grpc_read_contents(struct gal_str contents, struct gal_tensor *t, size_t *at,
                                       size_t bytes_max, struct gal_arena *arena,
                                       struct gal_err *err)
{
    struct writer w = {t, NULL, at, arena};
    struct gal_pb_field f;
    enum gal_pb_next r;
    enum gal_status st = GAL_OK;

    while (st == GAL_OK && (r = gal_pb_next(&contents, &f)) == GAL_PB_FIELD) {
        if (f.number > CONTENTS_BYTES ||
            (f.wire == GAL_PB_BYTES && f.bytes.n == 0 && f.number != CONTENTS_BYTES))
            continue;
        if (f.number != (uint64_t)field_of(t->dtype))
            return fail_contents(t, f.number, err);
        st = make_room(t, *at, bytes_max, arena, err);
        if (st == GAL_OK) {
            w.data = (void *)(uintptr_t)t->data;
            st = put_elements(&w, &f, err);
        }
    }
    if (st == GAL_OK && r != GAL_PB_END)
        st = gal_grpc_fail_wire(r, "contents", err);
    return st;
}
