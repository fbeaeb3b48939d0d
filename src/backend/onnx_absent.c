/* SPDX-License-Identifier: Apache-2.0 */
/* Models of one node, for values that the C API cannot make. Field numbers: onnx.proto. */
#include "backend/onnx_internal.h"

struct writer {
    uint8_t *p;
    size_t n;
};

static void put_number(struct writer *w, unsigned field, unsigned value)
{
    GAL_ASSERT(field < 16 && value < 128 && w->n + 2 <= GAL_ORT_ABSENT_MAX);
    w->p[w->n++] = (uint8_t)(field << 3);
    w->p[w->n++] = (uint8_t)value;
}

static void put_bytes(struct writer *w, unsigned field, const void *bytes, size_t n)
{
    /* Numbers from 16 on take a tag of two bytes. */
    GAL_ASSERT(n < 128 && w->n + n + 3 <= GAL_ORT_ABSENT_MAX);
    unsigned tag = field << 3 | 2;
    if (tag > 127) {
        w->p[w->n++] = (uint8_t)(tag | 0x80);
        tag >>= 7;
    }
    w->p[w->n++] = (uint8_t)tag;
    w->p[w->n++] = (uint8_t)n;
    memcpy(w->p + w->n, bytes, n);
    w->n += n;
}

static void put_text(struct writer *w, unsigned field, const char *text)
{
    put_bytes(w, field, text, strlen(text));
}

/* TypeProto: tensor_type 1, sequence_type 4, optional_type 9, each with elem_type 1. */
enum { TYPE_TENSOR = 1, TYPE_SEQUENCE = 4, TYPE_OPTIONAL = 9, TYPE_ELEMENT = 1 };

static void put_tensor_type(struct writer *w, unsigned element)
{
    uint8_t b[GAL_ORT_ABSENT_MAX];
    struct writer tensor = {b, 0};
    put_number(&tensor, TYPE_ELEMENT, element);
    put_bytes(w, TYPE_TENSOR, b, tensor.n);
}

/* Wraps the type in w into a sequence or an optional. */
static void wrap_type(struct writer *w, unsigned kind)
{
    uint8_t b[GAL_ORT_ABSENT_MAX];
    struct writer inner = {b, 0};
    put_bytes(&inner, TYPE_ELEMENT, w->p, w->n);
    w->n = 0;
    put_bytes(w, kind, b, inner.n);
}

/* AttributeProto: name 1, i 3, tp 14, type 20 (INT = 2, TYPE_PROTO = 13). */
static void put_attribute(struct writer *node, const char *name, unsigned element,
                          const struct writer *type)
{
    enum { NAME = 1, I = 3, TP = 14, KIND = 20, KIND_INT = 2, KIND_TYPE_PROTO = 13, ATTRIBUTE = 5 };
    uint8_t b[GAL_ORT_ABSENT_MAX];
    struct writer a = {b, 0};
    put_text(&a, NAME, name);
    if (type)
        put_bytes(&a, TP, type->p, type->n);
    else
        put_number(&a, I, element);
    const uint8_t kind_tag[] = {(KIND << 3 & 0x7f) | 0x80, KIND << 3 >> 7,
                                type ? KIND_TYPE_PROTO : KIND_INT};
    memcpy(a.p + a.n, kind_tag, sizeof kind_tag);
    a.n += sizeof kind_tag;
    put_bytes(node, ATTRIBUTE, b, a.n);
}

size_t gal_ort_absent_model(enum gal_ort_absent what, ONNXTensorElementDataType element,
                            uint8_t out[GAL_ORT_ABSENT_MAX])
{
    /* The C API's element types are onnx.proto's numbers up to BFLOAT16, but for float8. */
    unsigned type = (unsigned)element;
    bool is_optional = what != GAL_ORT_EMPTY_SEQUENCE;
    uint8_t type_b[GAL_ORT_ABSENT_MAX], node_b[GAL_ORT_ABSENT_MAX], value_b[GAL_ORT_ABSENT_MAX],
        graph_b[GAL_ORT_ABSENT_MAX], opset_b[8];
    struct writer t = {type_b, 0}, node = {node_b, 0}, value = {value_b, 0}, graph = {graph_b, 0},
                  opset = {opset_b, 0}, model = {out, 0};
    put_tensor_type(&t, type);
    if (what != GAL_ORT_NO_TENSOR)
        wrap_type(&t, TYPE_SEQUENCE);

    put_text(&node, 2, "y"); /* NodeProto: output 2, op_type 4, attribute 5 */
    put_text(&node, 4, is_optional ? "Optional" : "SequenceEmpty");
    put_attribute(&node, is_optional ? "type" : "dtype", type, is_optional ? &t : NULL);

    if (is_optional)
        wrap_type(&t, TYPE_OPTIONAL);
    put_text(&value, 1, "y"); /* ValueInfoProto: name 1, type 2 */
    put_bytes(&value, 2, t.p, t.n);

    put_bytes(&graph, 1, node.p, node.n); /* GraphProto: node 1, name 2, output 12 */
    put_text(&graph, 2, "g");
    put_bytes(&graph, 12, value.p, value.n);

    put_number(&opset, 2, 15); /* OperatorSetIdProto: version 2; Optional came with 15 */
    put_number(&model, 1, 8);  /* ModelProto: ir_version 1, graph 7, opset_import 8 */
    put_bytes(&model, 7, graph.p, graph.n);
    put_bytes(&model, 8, opset.p, opset.n);
    return model.n;
}
