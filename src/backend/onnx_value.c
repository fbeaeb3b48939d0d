/* SPDX-License-Identifier: Apache-2.0 */
/* Values on their way into the engine and out of it. Numeric tensors are borrowed both ways. */
#include "backend/onnx_internal.h"

#include "base/limits.h"

static const ONNXTensorElementDataType elements[GAL_DT_COUNT] = {
    [GAL_DT_NONE] = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED,
    [GAL_DT_BOOL] = ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL,
    [GAL_DT_UINT8] = ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8,
    [GAL_DT_UINT16] = ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16,
    [GAL_DT_UINT32] = ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32,
    [GAL_DT_UINT64] = ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64,
    [GAL_DT_INT8] = ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8,
    [GAL_DT_INT16] = ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16,
    [GAL_DT_INT32] = ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32,
    [GAL_DT_INT64] = ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64,
    [GAL_DT_FP16] = ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16,
    [GAL_DT_FP32] = ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
    [GAL_DT_FP64] = ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE,
    [GAL_DT_BYTES] = ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING,
    [GAL_DT_BF16] = ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16,
};

ONNXTensorElementDataType gal_ort_element(enum gal_dtype dtype)
{
    return elements[dtype];
}

enum gal_dtype gal_ort_dtype(ONNXTensorElementDataType type)
{
    for (unsigned t = GAL_DT_NONE + 1; t < GAL_DT_COUNT; t++) {
        if (elements[t] == type)
            return (enum gal_dtype)t;
    }
    return GAL_DT_NONE;
}

static enum gal_status check(const struct gal_ort *ort, OrtStatus *status, struct gal_err *err)
{
    return gal_ort_check(ort, status, GAL_ORT_RUN, err);
}

static enum gal_status no_memory(struct gal_err *err)
{
    return gal_fail(err, GAL_NO_MEMORY, "no memory for the inference's values");
}

/* ---- in ---- */

/* Each element is written in place: they may hold NULs, which the C API's other ways cut at. */
static enum gal_status strings_in(const struct gal_ort *ort, const struct gal_tensor *t,
                                  OrtValue **out, struct gal_err *err)
{
    const OrtApi *api = ort->api;
    const struct gal_str *s = t->data;
    OrtValue *value = NULL;
    enum gal_status status =
        check(ort,
              api->CreateTensorAsOrtValue(ort->allocator, t->shape, t->rank,
                                          ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING, &value),
              err);
    for (size_t i = 0; !status && i < t->count; i++) {
        char *p = NULL;
        status = check(ort, api->GetResizedStringTensorElementBuffer(value, i, s[i].n, &p), err);
        if (!status && s[i].n > 0)
            memcpy(p, s[i].p, s[i].n);
    }
    if (status && value)
        api->ReleaseValue(value);
    else
        *out = value;
    return status;
}

static enum gal_status tensor_in(const struct gal_ort *ort, const struct gal_tensor *t,
                                 OrtValue **out, struct gal_err *err)
{
    if (t->dtype == GAL_DT_BYTES)
        return strings_in(ort, t, out, err);
    static char nothing; /* an address for a tensor of no bytes */
    /* The engine's signature asks for writable memory; inputs are only read. */
    union {
        const void *from;
        void *to;
    } data = {.from = t->data ? t->data : &nothing};
    return check(ort,
                 ort->api->CreateTensorWithDataAsOrtValue(
                     ort->cpu, data.to, t->count * gal_dtype_size(t->dtype), t->shape, t->rank,
                     elements[t->dtype], out),
                 err);
}

/* A sequence or map: its items first, then the value that holds them. The engine copies or shares
 * them, so ours are released either way. */
static enum gal_status compound_in(const struct gal_ort *ort, const struct gal_value *v,
                                   OrtValue **out, struct gal_err *err)
{
    const OrtApi *api = ort->api;
    OrtValue **items =
        (OrtValue **)ort->allocator->Alloc(ort->allocator, v->count * sizeof(OrtValue *));
    if (!items)
        return no_memory(err);
    size_t made = 0;
    enum gal_status status = GAL_OK;
    for (; !status && made < v->count; made += !status)
        status = gal_ort_value_in(ort, &v->items[made], &items[made], err);
    if (!status)
        status = check(
            ort,
            api->CreateValue((const OrtValue *const *)items, v->count,
                             v->kind == GAL_KIND_MAP ? ONNX_TYPE_MAP : ONNX_TYPE_SEQUENCE, out),
            err);
    for (size_t i = 0; i < made; i++)
        api->ReleaseValue(items[i]);
    ort->allocator->Free(ort->allocator, items);
    return status;
}

enum gal_status gal_ort_value_in(const struct gal_ort *ort, const struct gal_value *v,
                                 OrtValue **out, struct gal_err *err)
{
    switch (v->kind) {
    case GAL_KIND_TENSOR:
        return tensor_in(ort, &v->tensor, out, err);
    case GAL_KIND_SEQUENCE:
        if (v->count == 0)
            return gal_fail(err, GAL_UNSUPPORTED, "an empty sequence of this type");
        return compound_in(ort, v, out, err);
    case GAL_KIND_MAP:
        return compound_in(ort, v, out, err);
    case GAL_KIND_NONE:
        break;
    }
    return gal_fail(err, GAL_INVALID, "a value of no kind");
}

/* ---- out ---- */

/* The shape lies in the value itself (recent API) or is copied to the arena. */
static enum gal_status read_shape(const struct gal_ort *ort, const OrtValue *value,
                                  struct gal_arena *arena, struct gal_tensor *t,
                                  ONNXTensorElementDataType *element, struct gal_err *err)
{
    const OrtApi *api = ort->api;
    if (ort->recent)
        return check(ort,
                     ort->recent->GetTensorElementTypeAndShapeDataReference(value, element,
                                                                            &t->shape, &t->rank),
                     err);
    OrtTensorTypeAndShapeInfo *info = NULL;
    enum gal_status status = check(ort, api->GetTensorTypeAndShape(value, &info), err);
    if (!status)
        status = check(ort, api->GetTensorElementType(info, element), err);
    if (!status)
        status = check(ort, api->GetDimensionsCount(info, &t->rank), err);
    if (!status) {
        int64_t *shape = gal_arena_array(arena, t->rank, sizeof *shape);
        t->shape = shape;
        status = shape ? check(ort, api->GetDimensions(info, shape, t->rank), err) : no_memory(err);
    }
    if (info)
        api->ReleaseTensorTypeAndShapeInfo(info);
    return status;
}

/* Copies all strings into the arena: one run of bytes and an array of slices. */
static enum gal_status strings_out(const struct gal_ort *ort, const OrtValue *value,
                                   struct gal_arena *arena, struct gal_tensor *t,
                                   struct gal_err *err)
{
    const OrtApi *api = ort->api;
    size_t bytes = 0;
    if (t->count == 0)
        return GAL_OK;
    enum gal_status status = check(ort, api->GetStringTensorDataLength(value, &bytes), err);
    if (status)
        return status;
    struct gal_str *s = gal_arena_array(arena, t->count, sizeof *s);
    size_t *offsets = gal_arena_array(arena, t->count, sizeof *offsets);
    char *text = gal_arena_alloc(arena, bytes + 1);
    if (!s || !offsets || !text)
        return no_memory(err);
    status = check(ort, api->GetStringTensorContent(value, text, bytes, offsets, t->count), err);
    for (size_t i = 0; !status && i < t->count; i++) {
        size_t end = i + 1 < t->count ? offsets[i + 1] : bytes;
        s[i] = (struct gal_str){text + offsets[i], end - offsets[i]};
    }
    t->data = s;
    return status;
}

static enum gal_status tensor_out(const struct gal_ort *ort, OrtValue *value,
                                  struct gal_arena *arena, struct gal_value *out,
                                  struct gal_err *err)
{
    struct gal_tensor *t = &out->tensor;
    ONNXTensorElementDataType element = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    enum gal_status status = read_shape(ort, value, arena, t, &element, err);
    if (status)
        return status;
    t->dtype = gal_ort_dtype(element);
    if (t->dtype == GAL_DT_NONE)
        return gal_fail(err, GAL_UNSUPPORTED, "the output's type has no datatype in the protocol");
    status = gal_shape_count(t->shape, t->rank, t->dtype, &t->count, err);
    if (status)
        return status;
    void *data = NULL;
    if (t->dtype == GAL_DT_BYTES) {
        status = strings_out(ort, value, arena, t, err);
    } else {
        status = check(ort, ort->api->GetTensorMutableData(value, &data), err);
        t->data = data;
    }
    /* Of strings all is copied, but the shape may still be the value's own. */
    out->handle = status ? NULL : value;
    return status;
}

static enum gal_kind kind_of(enum ONNXType type)
{
    switch (type) {
    case ONNX_TYPE_TENSOR:
        return GAL_KIND_TENSOR;
    case ONNX_TYPE_SEQUENCE:
        return GAL_KIND_SEQUENCE;
    case ONNX_TYPE_MAP:
        return GAL_KIND_MAP;
    default:
        return GAL_KIND_NONE;
    }
}

/* Item i of a sequence or map, as a value of its own. */
static enum gal_status item_out(const struct gal_ort *ort, const OrtValue *value, size_t i,
                                struct gal_arena *arena, struct gal_value *out, struct gal_err *err)
{
    OrtValue *item = NULL;
    enum gal_status status =
        check(ort, ort->api->GetValue(value, (int)i, ort->allocator, &item), err);
    if (status)
        return status;
    enum ONNXType type = ONNX_TYPE_UNKNOWN;
    status = check(ort, ort->api->GetValueType(item, &type), err);
    if (!status)
        status = gal_ort_value_out(ort, item, kind_of(type), arena, out, err);
    if (status)
        ort->api->ReleaseValue(item);
    return status;
}

static enum gal_status compound_out(const struct gal_ort *ort, OrtValue *value,
                                    struct gal_arena *arena, struct gal_value *out,
                                    struct gal_err *err)
{
    size_t count = 0;
    enum gal_status status = check(ort, ort->api->GetValueCount(value, &count), err);
    if (status)
        return status;
    out->items = gal_arena_array(arena, count, sizeof *out->items);
    if (!out->items)
        return no_memory(err);
    while (out->count < count) {
        status = item_out(ort, value, out->count, arena, &out->items[out->count], err);
        if (status)
            break;
        out->count++;
    }
    if (status) {
        gal_ort_value_release(ort, out);
        return status;
    }
    ort->api->ReleaseValue(value); /* items hold their own share or copy */
    return GAL_OK;
}

enum gal_status gal_ort_value_out(const struct gal_ort *ort, OrtValue *value, enum gal_kind kind,
                                  struct gal_arena *arena, struct gal_value *out,
                                  struct gal_err *err)
{
    *out = (struct gal_value){.kind = kind};
    switch (kind) {
    case GAL_KIND_TENSOR:
        return tensor_out(ort, value, arena, out, err);
    case GAL_KIND_SEQUENCE:
    case GAL_KIND_MAP:
        return compound_out(ort, value, arena, out, err);
    case GAL_KIND_NONE:
        break;
    }
    return gal_fail(err, GAL_UNSUPPORTED, "an output that is no tensor, sequence or map");
}

void gal_ort_value_release(const struct gal_ort *ort, struct gal_value *v)
{
    if (v->handle)
        ort->api->ReleaseValue(v->handle);
    v->handle = NULL;
    for (size_t i = 0; i < v->count; i++)
        gal_ort_value_release(ort, &v->items[i]);
    v->count = 0;
}
