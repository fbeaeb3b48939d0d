/* SPDX-License-Identifier: Apache-2.0 */
#include "support/onnx_case.h"

#include "text/protobuf.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

/* Field numbers: onnx.proto of the ONNX project. */
enum {
    TENSOR_DIMS = 1,
    TENSOR_TYPE = 2,
    TENSOR_FLOATS = 4,
    TENSOR_INT32S = 5,
    TENSOR_STRINGS = 6,
    TENSOR_INT64S = 7,
    TENSOR_RAW = 9,
    TENSOR_DOUBLES = 10,
    TENSOR_UINT64S = 11
};
enum { SEQUENCE_TENSORS = 3 };
enum { OPTIONAL_KIND = 2, OPTIONAL_TENSOR = 3, OPTIONAL_SEQUENCE = 5 };

static const enum gal_dtype types[] = {
    [1] = GAL_DT_FP32,    [2] = GAL_DT_UINT8, [3] = GAL_DT_INT8,  [4] = GAL_DT_UINT16,
    [5] = GAL_DT_INT16,   [6] = GAL_DT_INT32, [7] = GAL_DT_INT64, [8] = GAL_DT_BYTES,
    [9] = GAL_DT_BOOL,    [10] = GAL_DT_FP16, [11] = GAL_DT_FP64, [12] = GAL_DT_UINT32,
    [13] = GAL_DT_UINT64, [16] = GAL_DT_BF16,
};

/* ---- decoding ---- */

struct tensor_parts {
    int64_t shape[GAL_RANK_MAX];
    size_t rank;
    uint64_t type;
    struct gal_str raw;
    uint8_t *data; /* filled element by element where the file has no raw data */
    size_t n, size;
};

static void put_element(struct tensor_parts *t, uint64_t bits)
{
    memcpy(t->data + t->n * t->size, &bits, t->size);
    t->n++;
}

static void put_string(struct tensor_parts *t, struct gal_str s)
{
    memcpy(t->data + t->n * sizeof s, &s, sizeof s);
    t->n++;
}

/* A repeated number field, packed or not. Fixed-size ones have width 4 or 8, varints 0. */
static void put_numbers(struct tensor_parts *t, const struct gal_pb_field *f, size_t width,
                        size_t count)
{
    struct gal_str rest = f->bytes;
    uint64_t v;
    if (f->wire != GAL_PB_BYTES) {
        if (t->n < count)
            put_element(t, f->value);
        return;
    }
    while (t->n < count && width == 0 && gal_pb_packed_varint(&rest, &v))
        put_element(t, v);
    for (; t->n < count && width > 0 && rest.n >= width; rest.p += width, rest.n -= width) {
        v = 0;
        memcpy(&v, rest.p, width);
        put_element(t, v);
    }
}

static void read_dims(struct tensor_parts *t, const struct gal_pb_field *f)
{
    struct gal_str rest = f->bytes;
    uint64_t v;
    if (f->wire == GAL_PB_VARINT && t->rank < GAL_RANK_MAX)
        t->shape[t->rank++] = (int64_t)f->value;
    while (f->wire == GAL_PB_BYTES && t->rank < GAL_RANK_MAX && gal_pb_packed_varint(&rest, &v))
        t->shape[t->rank++] = (int64_t)v;
}

/* Shape, datatype and raw data first: the order of fields is the writer's. */
static enum gal_status read_head(struct gal_str bytes, struct tensor_parts *t, struct gal_err *err)
{
    struct gal_pb_field f;
    enum gal_pb_next r;
    while ((r = gal_pb_next(&bytes, &f)) == GAL_PB_FIELD) {
        if (f.number == TENSOR_DIMS)
            read_dims(t, &f);
        else if (f.number == TENSOR_TYPE)
            t->type = f.value;
        else if (f.number == TENSOR_RAW)
            t->raw = f.bytes;
    }
    return r == GAL_PB_END ? GAL_OK : gal_fail(err, GAL_INVALID, "broken tensor in the test data");
}

static void read_elements(struct gal_str bytes, struct tensor_parts *t, size_t count)
{
    struct gal_pb_field f;
    while (gal_pb_next(&bytes, &f) == GAL_PB_FIELD) {
        if (f.number == TENSOR_FLOATS)
            put_numbers(t, &f, 4, count);
        else if (f.number == TENSOR_DOUBLES)
            put_numbers(t, &f, 8, count);
        else if (f.number == TENSOR_INT32S || f.number == TENSOR_INT64S ||
                 f.number == TENSOR_UINT64S)
            put_numbers(t, &f, 0, count);
        else if (f.number == TENSOR_STRINGS && t->n < count)
            put_string(t, f.bytes);
    }
}

static enum gal_status decode_tensor(struct gal_str bytes, enum gal_dtype meant,
                                     struct gal_arena *arena, struct gal_value *out,
                                     struct gal_err *err)
{
    struct tensor_parts t = {.rank = 0};
    struct gal_tensor *v = &out->tensor;
    enum gal_status status = read_head(bytes, &t, err);
    if (status)
        return status;
    out->kind = GAL_KIND_TENSOR;
    v->dtype = t.type < sizeof types / sizeof *types ? types[t.type] : GAL_DT_NONE;
    if (v->dtype == GAL_DT_UINT16 && meant == GAL_DT_BF16)
        v->dtype = GAL_DT_BF16;
    if (v->dtype == GAL_DT_NONE)
        return gal_fail(err, GAL_UNSUPPORTED, "test data of ONNX type %" PRIu64, t.type);
    int64_t *shape = gal_arena_array(arena, t.rank, sizeof *shape);
    v->rank = t.rank;
    v->shape = shape;
    if (t.rank > 0)
        memcpy(shape, t.shape, t.rank * sizeof *shape);
    status = gal_shape_count(v->shape, v->rank, v->dtype, &v->count, err);
    if (status)
        return status;
    t.size = gal_dtype_size(v->dtype);
    t.data = gal_arena_array(arena, v->count, t.size);
    if (!t.data)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for test data");
    v->data = t.data;
    if (t.raw.n > 0 && t.raw.n == v->count * t.size) {
        memcpy(t.data, t.raw.p, t.raw.n);
        return GAL_OK;
    }
    read_elements(bytes, &t, v->count);
    return t.n == v->count
               ? GAL_OK
               : gal_fail(err, GAL_INVALID, "test data has %zu of %zu elements", t.n, v->count);
}

static enum gal_status decode_sequence(struct gal_str bytes, enum gal_dtype meant,
                                       struct gal_arena *arena, struct gal_value *out,
                                       struct gal_err *err)
{
    struct gal_str rest = bytes;
    struct gal_pb_field f;
    size_t count = 0;
    while (gal_pb_next(&rest, &f) == GAL_PB_FIELD)
        count += f.number == SEQUENCE_TENSORS;
    out->kind = GAL_KIND_SEQUENCE;
    out->items = gal_arena_array(arena, count, sizeof *out->items);
    if (!out->items)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for test data");
    enum gal_status status = GAL_OK;
    while (!status && gal_pb_next(&bytes, &f) == GAL_PB_FIELD) {
        if (f.number != SEQUENCE_TENSORS)
            continue;
        struct gal_value *item = &out->items[out->count++];
        *item = (struct gal_value){.kind = GAL_KIND_TENSOR};
        status = decode_tensor(f.bytes, meant, arena, item, err);
    }
    return status;
}

static enum gal_status decode_optional(struct gal_str bytes, enum gal_dtype meant,
                                       struct gal_arena *arena, struct gal_value *out,
                                       struct gal_err *err)
{
    struct gal_pb_field f;
    while (gal_pb_next(&bytes, &f) == GAL_PB_FIELD) {
        if (f.number == OPTIONAL_TENSOR)
            return decode_tensor(f.bytes, meant, arena, out, err);
        if (f.number == OPTIONAL_SEQUENCE)
            return decode_sequence(f.bytes, meant, arena, out, err);
    }
    return GAL_OK; /* nothing in it: kind NONE */
}

enum gal_status onnx_case_decode(struct gal_str file, const struct gal_port *port,
                                 struct gal_arena *arena, struct gal_value *out,
                                 struct gal_err *err)
{
    *out = (struct gal_value){.kind = GAL_KIND_NONE, .tensor.name = port->name};
    if (strncmp(port->type_text, "optional", 8) == 0)
        return decode_optional(file, port->dtype, arena, out, err);
    if (port->kind == GAL_KIND_SEQUENCE)
        return decode_sequence(file, port->dtype, arena, out, err);
    if (port->kind == GAL_KIND_TENSOR)
        return decode_tensor(file, port->dtype, arena, out, err);
    return gal_fail(err, GAL_UNSUPPORTED, "test data of type %s", port->type_text);
}

/* ---- comparing ---- */

static bool is_close(double expected, double got, double rtol, double atol)
{
    if (isnan(expected) || isnan(got))
        return isnan(expected) && isnan(got);
    if (isinf(expected) || isinf(got))
        return isinf(expected) && isinf(got) && signbit(expected) == signbit(got);
    return fabs(got - expected) <= atol + rtol * fabs(expected);
}

static enum gal_status compare_strings(const struct gal_tensor *e, const struct gal_tensor *g,
                                       struct gal_err *err)
{
    const struct gal_str *x = e->data, *y = g->data;
    for (size_t i = 0; i < e->count; i++) {
        if (!gal_str_eq(x[i], y[i]))
            return gal_fail(err, GAL_INTERNAL, "element %zu is \"%.*s\", not \"%.*s\"", i,
                            GAL_STR_ARG(y[i]), GAL_STR_ARG(x[i]));
    }
    return GAL_OK;
}

static enum gal_status compare_tensors(const struct gal_tensor *e, const struct gal_tensor *g,
                                       double rtol, double atol, struct gal_err *err)
{
    char want[128], have[128];
    if (e->dtype != g->dtype)
        return gal_fail(err, GAL_INTERNAL, "datatype %s, not %s", gal_dtype_name(g->dtype),
                        gal_dtype_name(e->dtype));
    if (!gal_shape_fits(g->shape, g->rank, e->shape, e->rank))
        return gal_fail(err, GAL_INTERNAL, "shape %s, not %s",
                        gal_shape_format(g->shape, g->rank, have, sizeof have),
                        gal_shape_format(e->shape, e->rank, want, sizeof want));
    if (e->dtype == GAL_DT_BYTES)
        return compare_strings(e, g, err);
    for (size_t i = 0; i < e->count; i++) {
        double x = gal_tensor_number(e, i), y = gal_tensor_number(g, i);
        if (!is_close(x, y, rtol, atol))
            return gal_fail(err, GAL_INTERNAL, "element %zu of %zu is %.9g, not %.9g", i, e->count,
                            y, x);
    }
    return GAL_OK;
}

enum gal_status onnx_case_compare(const struct gal_value *expected, const struct gal_value *got,
                                  double rtol, double atol, struct gal_err *err)
{
    if (expected->kind != got->kind || expected->count != got->count)
        return gal_fail(err, GAL_INTERNAL, "kind %d with %zu items, not kind %d with %zu",
                        (int)got->kind, got->count, (int)expected->kind, expected->count);
    if (expected->kind == GAL_KIND_TENSOR)
        return compare_tensors(&expected->tensor, &got->tensor, rtol, atol, err);
    enum gal_status status = GAL_OK;
    for (size_t i = 0; i < expected->count && !status; i++)
        status = onnx_case_compare(&expected->items[i], &got->items[i], rtol, atol, err);
    return status;
}

/* ---- running ---- */

/* One data set under way. */
struct set {
    const struct gal_backend_ops *ops;
    struct gal_session *session;
    const struct gal_model_info *info;
    const char *dir; /* .../test_data_set_0 */
    double atol;
    struct gal_arena *arena;
    struct gal_err *err;
};

/* Reads PREFIX_0.pb, PREFIX_1.pb, ... for the first ports; *found says how many there were. */
static enum gal_status read_values(const struct set *s, const char *prefix,
                                   const struct gal_port *ports, size_t count,
                                   struct gal_value *values, size_t *found)
{
    enum gal_status status = GAL_OK;
    for (*found = 0; *found < count && !status; (*found)++) {
        struct gal_file_info info;
        struct gal_buf text;
        const char *path = gal_arena_printf(s->arena, "%s/%s_%zu.pb", s->dir, prefix, *found);
        status = gal_file_stat(path, &info, s->err);
        if (status || info.kind == GAL_FILE_NONE)
            break;
        status = gal_file_read(path, GAL_BODY_BYTES_MAX, &text, s->err);
        if (status)
            break;
        /* The arena's copy outlives the buffer: strings borrow from it. */
        struct gal_str file = {gal_arena_strdup(s->arena, gal_buf_str(&text)), text.n};
        gal_buf_release(&text);
        status = onnx_case_decode(file, &ports[*found], s->arena, &values[*found], s->err);
    }
    return status;
}

static enum gal_status run_set(const struct set *s)
{
    size_t in = s->info->input_count, out = s->info->output_count, found = 0, expected_count = 0;
    struct gal_value *inputs = gal_arena_array(s->arena, in, sizeof *inputs);
    struct gal_value *expected = gal_arena_array(s->arena, out, sizeof *expected);
    struct gal_value *outputs = gal_arena_array(s->arena, out, sizeof *outputs);
    size_t *wanted = gal_arena_array(s->arena, out, sizeof *wanted);
    for (size_t i = 0; i < in; i++)
        inputs[i] = (struct gal_value){.kind = GAL_KIND_NONE};
    for (size_t i = 0; i < out; i++)
        wanted[i] = i;
    enum gal_status status = read_values(s, "input", s->info->inputs, in, inputs, &found);
    if (!status)
        status = read_values(s, "output", s->info->outputs, out, expected, &expected_count);
    if (!status && expected_count == 0)
        status = gal_fail(s->err, GAL_NOT_FOUND, "no expected output in the test data");
    if (!status)
        status = s->ops->run(s->session, inputs, wanted, out, s->arena, outputs, s->err);
    if (status)
        return status;
    for (size_t i = 0; i < expected_count && !status; i++) {
        status = onnx_case_compare(&expected[i], &outputs[i], ONNX_CASE_RTOL, s->atol, s->err);
        if (status)
            gal_err_place(s->err, "output %.*s", GAL_STR_ARG(outputs[i].tensor.name));
    }
    for (size_t i = 0; i < out; i++)
        s->ops->release_output(s->session, &outputs[i]);
    return status;
}

enum gal_status onnx_case_run(const struct gal_backend_ops *ops,
                              const struct gal_backend_options *options, const char *dir,
                              double atol, struct gal_err *err)
{
    struct gal_session *session = NULL;
    struct gal_arena arena;
    char path[4096];
    snprintf(path, sizeof path, "%s/model.onnx", dir);
    enum gal_status status = ops->load(path, options, &session, err);
    if (status)
        return status;
    gal_arena_init(&arena, GAL_ARENA_FIRST_BYTES, GAL_ARENA_KEEP_BYTES, GAL_ARENA_BYTES_MAX);
    struct set s = {ops, session, ops->info(session), path, atol, &arena, err};
    for (size_t i = 0; !status; i++) {
        struct gal_file_info info;
        snprintf(path, sizeof path, "%s/test_data_set_%zu", dir, i);
        status = gal_file_stat(path, &info, err);
        if (status || info.kind != GAL_FILE_DIR) {
            if (!status && i == 0)
                status = gal_fail(err, GAL_NOT_FOUND, "no test data beside the model");
            break;
        }
        status = run_set(&s);
        gal_arena_clear(&arena);
    }
    gal_arena_release(&arena);
    ops->free(session);
    return status;
}
