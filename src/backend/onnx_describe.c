/* SPDX-License-Identifier: Apache-2.0 */
/* What a session says of its inputs and outputs, in galley's words. */
#include "backend/onnx_internal.h"

#include "base/limits.h"

#include <stdio.h>

#define TYPE_TEXT_MAX 128

/* What one OrtTypeInfo boils down to. */
struct type {
    enum gal_kind kind;
    bool is_optional, of_maps, shape_known;
    ONNXTensorElementDataType element, key;
    size_t rank;
    int64_t shape[GAL_RANK_MAX];
    const char *dims[GAL_RANK_MAX]; /* the type info's */
    char text[TYPE_TEXT_MAX];
};

/* Describes one session; `status` is the first failure, after which steps do nothing. */
struct describer {
    struct gal_ort_session *s;
    const OrtApi *api;
    struct gal_err *err;
};

static enum gal_status check(const struct describer *d, OrtStatus *status)
{
    return gal_ort_check(d->s->ort, status, GAL_ORT_LOAD, d->err);
}

static const char *element_name(ONNXTensorElementDataType e)
{
    static const char *const names[] = {
        "undefined",      "float",      "uint8",          "int8",       "uint16",   "int16",
        "int32",          "int64",      "string",         "bool",       "float16",  "double",
        "uint32",         "uint64",     "complex64",      "complex128", "bfloat16", "float8e4m3fn",
        "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "uint4",      "int4",     "float4e2m1",
        "uint2",          "int2",       "float8e8m0",
    };
    return (size_t)e < sizeof names / sizeof *names ? names[e] : "unknown";
}

/* Puts "WORD(" and ")" around the text. */
static void wrap_text(struct type *t, const char *before)
{
    char inner[TYPE_TEXT_MAX];
    memcpy(inner, t->text, sizeof inner);
    snprintf(t->text, sizeof t->text, "%s%.*s)", before, TYPE_TEXT_MAX - 24, inner);
}

static enum gal_status read_tensor(const struct describer *d, const OrtTensorTypeAndShapeInfo *info,
                                   struct type *t)
{
    t->kind = GAL_KIND_TENSOR;
    enum gal_status status = check(d, d->api->GetTensorElementType(info, &t->element));
    if (!status)
        status = check(d, d->api->GetDimensionsCount(info, &t->rank));
    if (status)
        return status;
    snprintf(t->text, sizeof t->text, "tensor(%s)", element_name(t->element));
    if (t->rank > GAL_RANK_MAX)
        return gal_fail(d->err, GAL_UNSUPPORTED, "a tensor of rank %zu; %u is the most", t->rank,
                        GAL_RANK_MAX);
    /* Before API 24 a scalar and an unknown rank look alike: unknown is the safe reading. */
    const OrtApi *recent = d->s->ort->recent;
    t->shape_known = t->rank > 0 || (recent && recent->TensorTypeAndShape_HasShape(info));
    status = check(d, d->api->GetDimensions(info, t->shape, t->rank));
    if (!status)
        status = check(d, d->api->GetSymbolicDimensions(info, t->dims, t->rank));
    return status;
}

static enum gal_status read_type(const struct describer *d, const OrtTypeInfo *info, unsigned depth,
                                 struct type *t);

/* A sequence's and an optional's element is a type of its own. */
static enum gal_status read_sequence(const struct describer *d, const OrtTypeInfo *info,
                                     unsigned depth, struct type *t)
{
    const OrtSequenceTypeInfo *sequence = NULL;
    OrtTypeInfo *element = NULL;
    enum gal_status status = check(d, d->api->CastTypeInfoToSequenceTypeInfo(info, &sequence));
    if (!status)
        status = check(d, d->api->GetSequenceElementType(sequence, &element));
    if (!status)
        status = read_type(d, element, depth + 1, t);
    if (!status && t->kind == GAL_KIND_SEQUENCE)
        status = gal_fail(d->err, GAL_UNSUPPORTED, "a sequence of sequences");
    t->of_maps = t->kind == GAL_KIND_MAP;
    t->kind = GAL_KIND_SEQUENCE;
    wrap_text(t, "seq(");
    /* Symbolic names belong to `element`: they go with it. */
    for (size_t i = 0; i < t->rank; i++)
        t->dims[i] = "";
    if (element)
        d->api->ReleaseTypeInfo(element);
    return status;
}

static enum gal_status read_optional(const struct describer *d, const OrtTypeInfo *info,
                                     unsigned depth, struct type *t)
{
    const OrtOptionalTypeInfo *optional = NULL;
    OrtTypeInfo *inner = NULL;
    enum gal_status status = check(d, d->api->CastTypeInfoToOptionalTypeInfo(info, &optional));
    if (!status)
        status = check(d, d->api->GetOptionalContainedTypeInfo(optional, &inner));
    if (!status)
        status = read_type(d, inner, depth + 1, t);
    t->is_optional = true;
    wrap_text(t, "optional(");
    for (size_t i = 0; i < t->rank; i++)
        t->dims[i] = "";
    if (inner)
        d->api->ReleaseTypeInfo(inner);
    return status;
}

static enum gal_status read_map(const struct describer *d, const OrtTypeInfo *info, struct type *t)
{
    const OrtMapTypeInfo *map = NULL;
    const OrtTensorTypeAndShapeInfo *tensor = NULL;
    OrtTypeInfo *value = NULL;
    enum gal_status status = check(d, d->api->CastTypeInfoToMapTypeInfo(info, &map));
    if (!status)
        status = check(d, d->api->GetMapKeyType(map, &t->key));
    if (!status)
        status = check(d, d->api->GetMapValueType(map, &value));
    if (!status)
        status = check(d, d->api->CastTypeInfoToTensorInfo(value, &tensor));
    if (!status && !tensor)
        status = gal_fail(d->err, GAL_UNSUPPORTED, "a map whose values are no tensors");
    if (!status)
        status = check(d, d->api->GetTensorElementType(tensor, &t->element));
    t->kind = GAL_KIND_MAP;
    snprintf(t->text, sizeof t->text, "map(%s,%s)", element_name(t->key), element_name(t->element));
    if (value)
        d->api->ReleaseTypeInfo(value);
    return status;
}

static enum gal_status read_type(const struct describer *d, const OrtTypeInfo *info, unsigned depth,
                                 struct type *t)
{
    enum ONNXType type = ONNX_TYPE_UNKNOWN;
    const OrtTensorTypeAndShapeInfo *tensor = NULL;
    enum gal_status status = check(d, d->api->GetOnnxTypeFromTypeInfo(info, &type));
    if (status)
        return status;
    if (type == ONNX_TYPE_SEQUENCE && depth < 3)
        return read_sequence(d, info, depth, t);
    if (type == ONNX_TYPE_OPTIONAL && depth < 3)
        return read_optional(d, info, depth, t);
    if (type == ONNX_TYPE_MAP)
        return read_map(d, info, t);
    if (type != ONNX_TYPE_TENSOR)
        return gal_fail(d->err, GAL_UNSUPPORTED, "a value that is no tensor, sequence or map");
    status = check(d, d->api->CastTypeInfoToTensorInfo(info, &tensor));
    return status ? status : read_tensor(d, tensor, t);
}

static const char *keep(struct gal_arena *a, const char *text)
{
    return text && text[0] ? gal_arena_strdup(a, gal_str_of(text)) : "";
}

/* Copies a type into a port; the arena takes everything over. */
static enum gal_status fill_port(const struct describer *d, const char *name, const struct type *t,
                                 struct gal_port *port)
{
    struct gal_arena *a = &d->s->arena;
    int64_t *shape = gal_arena_array(a, t->rank, sizeof *shape);
    const char **dims = gal_arena_array(a, t->rank, sizeof *dims);
    *port = (struct gal_port){
        .name = gal_str_of(keep(a, name)),
        .kind = t->kind,
        .dtype = gal_ort_dtype(t->element),
        .key_dtype = gal_ort_dtype(t->key),
        .of_maps = t->of_maps,
        .optional = t->is_optional,
        .type_text = keep(a, t->text),
        .rank = t->rank,
        .shape = shape,
        .dims = dims,
        .shape_known = t->shape_known,
    };
    bool is_whole = shape && dims && port->name.p && port->type_text;
    for (size_t i = 0; is_whole && i < t->rank; i++) {
        shape[i] = t->shape[i] < 0 ? -1 : t->shape[i];
        dims[i] = keep(a, t->dims[i]);
        is_whole = dims[i] != NULL;
    }
    return is_whole ? GAL_OK
                    : gal_fail(d->err, GAL_NO_MEMORY, "no memory for the model's description");
}

typedef OrtStatus *(ORT_API_CALL *get_name)(const OrtSession *, size_t, OrtAllocator *, char **);
typedef OrtStatus *(ORT_API_CALL *get_type)(const OrtSession *, size_t, OrtTypeInfo **);

static enum gal_status read_ports(const struct describer *d, get_name name_at, get_type type_at,
                                  size_t count, struct gal_port *ports)
{
    enum gal_status status = GAL_OK;
    for (size_t i = 0; i < count && !status; i++) {
        struct type t = {.kind = GAL_KIND_TENSOR};
        OrtAllocator *allocator = d->s->ort->allocator;
        OrtTypeInfo *info = NULL;
        char *name = NULL;
        status = check(d, name_at(d->s->session, i, allocator, &name));
        if (!status)
            status = check(d, type_at(d->s->session, i, &info));
        if (!status)
            status = read_type(d, info, 0, &t);
        if (!status)
            status = fill_port(d, name, &t, &ports[i]);
        if (status && name)
            gal_err_place(d->err, "%.100s", name);
        if (info)
            d->api->ReleaseTypeInfo(info);
        if (name)
            allocator->Free(allocator, name);
    }
    return status;
}

/* Inputs with a default in the file come last. Exporters may list every weight as one: beyond the
 * limit they are left out, which they may be. */
static enum gal_status read_inputs(const struct describer *d)
{
    struct gal_model_info *info = &d->s->info;
    size_t count = 0, defaults = 0;
    enum gal_status status = check(d, d->api->SessionGetInputCount(d->s->session, &count));
    if (!status)
        status = check(d, d->api->SessionGetOverridableInitializerCount(d->s->session, &defaults));
    if (!status && count > GAL_TENSORS_MAX)
        status = gal_fail(d->err, GAL_UNSUPPORTED, "the model has %zu inputs; %u is the most",
                          count, GAL_TENSORS_MAX);
    if (status)
        return status;
    if (defaults > GAL_TENSORS_MAX - count)
        defaults = 0;
    struct gal_port *ports = gal_arena_array(&d->s->arena, count + defaults, sizeof *ports);
    OrtValue **empty = gal_arena_array(&d->s->arena, count + defaults, sizeof(OrtValue *));
    if (!ports || !empty)
        return gal_fail(d->err, GAL_NO_MEMORY, "no memory for the model's description");
    memset(empty, 0, (count + defaults) * sizeof(OrtValue *));
    info->inputs = ports;
    d->s->ports = ports;
    info->input_count = count + defaults;
    d->s->empty = empty;
    status =
        read_ports(d, d->api->SessionGetInputName, d->api->SessionGetInputTypeInfo, count, ports);
    if (!status)
        status =
            read_ports(d, d->api->SessionGetOverridableInitializerName,
                       d->api->SessionGetOverridableInitializerTypeInfo, defaults, ports + count);
    for (size_t i = count; i < count + defaults; i++)
        ports[i].optional = true;
    return status;
}

static enum gal_status read_outputs(const struct describer *d)
{
    struct gal_model_info *info = &d->s->info;
    size_t count = 0;
    enum gal_status status = check(d, d->api->SessionGetOutputCount(d->s->session, &count));
    if (!status && count > GAL_TENSORS_MAX)
        status = gal_fail(d->err, GAL_UNSUPPORTED, "the model has %zu outputs; %u is the most",
                          count, GAL_TENSORS_MAX);
    if (status)
        return status;
    struct gal_port *ports = gal_arena_array(&d->s->arena, count, sizeof *ports);
    if (!ports)
        return gal_fail(d->err, GAL_NO_MEMORY, "no memory for the model's description");
    info->outputs = ports;
    info->output_count = count;
    return read_ports(d, d->api->SessionGetOutputName, d->api->SessionGetOutputTypeInfo, count,
                      ports);
}

/* The file's text is mapped only while it is loaded. */
static enum gal_status copy_head(const struct describer *d, const struct gal_onnx_head *head)
{
    struct gal_arena *a = &d->s->arena;
    struct gal_model_info *info = &d->s->info;
    struct gal_meta *meta = gal_arena_array(a, head->meta_count, sizeof *meta);
    info->platform = "onnxruntime_onnx";
    info->producer =
        gal_arena_printf(a, "%.*s%s%.*s", GAL_STR_ARG(head->producer),
                         head->producer_version.n ? " " : "", GAL_STR_ARG(head->producer_version));
    info->graph_name = gal_arena_strdup(a, head->graph_name);
    info->description = gal_arena_strdup(a, head->description);
    info->domain = gal_arena_strdup(a, head->domain);
    info->model_version = head->model_version;
    info->ir_version = head->ir_version;
    info->opsets = head->opsets;
    info->meta = meta;
    bool is_whole = meta && info->producer && info->graph_name && info->description && info->domain;
    for (size_t i = 0; is_whole && i < head->meta_count; i++) {
        meta[i].key = (struct gal_str){gal_arena_strdup(a, head->meta[i].key), head->meta[i].key.n};
        meta[i].value =
            (struct gal_str){gal_arena_strdup(a, head->meta[i].value), head->meta[i].value.n};
        is_whole = meta[i].key.p && meta[i].value.p;
        info->meta_count = i + 1;
    }
    return is_whole ? GAL_OK
                    : gal_fail(d->err, GAL_NO_MEMORY, "no memory for the model's description");
}

enum gal_status gal_ort_describe(struct gal_ort_session *s, const struct gal_onnx_head *head,
                                 struct gal_err *err)
{
    const struct describer d = {s, s->ort->api, err};
    enum gal_status status = copy_head(&d, head);
    if (!status)
        status = read_inputs(&d);
    if (!status)
        status = read_outputs(&d);
    return status;
}
