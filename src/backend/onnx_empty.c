/* SPDX-License-Identifier: Apache-2.0 */
/* A model of one node, for the one value that the C API cannot make: an empty sequence of tensors.
 * Field numbers: onnx.proto of the ONNX project. */
#include "backend/onnx_internal.h"

struct writer {
    uint8_t *p;
    size_t n;
};

static void put_number(struct writer *w, unsigned field, unsigned value)
{
    GAL_ASSERT(field < 16 && value < 128 && w->n + 2 <= GAL_ORT_EMPTY_MAX);
    w->p[w->n++] = (uint8_t)(field << 3);
    w->p[w->n++] = (uint8_t)value;
}

static void put_bytes(struct writer *w, unsigned field, const void *bytes, size_t n)
{
    GAL_ASSERT(field < 16 && n < 128 && w->n + n + 2 <= GAL_ORT_EMPTY_MAX);
    w->p[w->n++] = (uint8_t)(field << 3 | 2);
    w->p[w->n++] = (uint8_t)n;
    memcpy(w->p + w->n, bytes, n);
    w->n += n;
}

static void put_text(struct writer *w, unsigned field, const char *text)
{
    put_bytes(w, field, text, strlen(text));
}

/* Wraps what w holds into a message with it as field. */
static void wrap(struct writer *w, unsigned field)
{
    uint8_t inner[GAL_ORT_EMPTY_MAX];
    size_t n = w->n;
    memcpy(inner, w->p, n);
    w->n = 0;
    put_bytes(w, field, inner, n);
}

size_t gal_ort_empty_model(ONNXTensorElementDataType element, uint8_t out[GAL_ORT_EMPTY_MAX])
{
    uint8_t node_b[GAL_ORT_EMPTY_MAX], attribute_b[GAL_ORT_EMPTY_MAX], type_b[GAL_ORT_EMPTY_MAX],
        output_b[GAL_ORT_EMPTY_MAX], graph_b[GAL_ORT_EMPTY_MAX], opset_b[GAL_ORT_EMPTY_MAX];
    struct writer node = {node_b, 0}, attribute = {attribute_b, 0}, type = {type_b, 0},
                  output = {output_b, 0}, graph = {graph_b, 0}, opset = {opset_b, 0},
                  model = {out, 0};
    /* The C API's element types are onnx.proto's numbers, up to BFLOAT16. */
    unsigned number = (unsigned)element;
    put_text(&attribute, 1, "dtype"); /* AttributeProto: name 1, i 3, type 20 (INT is 2) */
    put_number(&attribute, 3, number);
    static const uint8_t is_int[] = {(20 << 3 & 0x7f) | 0x80, 20 << 3 >> 7, 2};
    memcpy(attribute.p + attribute.n, is_int, sizeof is_int);
    attribute.n += sizeof is_int;

    put_text(&node, 2, "y"); /* NodeProto: output 2, op_type 4, attribute 5 */
    put_text(&node, 4, "SequenceEmpty");
    put_bytes(&node, 5, attribute.p, attribute.n);

    put_number(&type, 1, number); /* TypeProto: tensor_type 1, sequence_type 4; elem_type 1 */
    wrap(&type, 1);
    wrap(&type, 1);
    wrap(&type, 4);
    put_text(&output, 1, "y"); /* ValueInfoProto: name 1, type 2 */
    put_bytes(&output, 2, type.p, type.n);

    put_bytes(&graph, 1, node.p, node.n); /* GraphProto: node 1, name 2, output 12 */
    put_text(&graph, 2, "g");
    put_bytes(&graph, 12, output.p, output.n);

    put_number(&opset, 2, 11); /* OperatorSetIdProto: version 2; SequenceEmpty came with 11 */
    put_number(&model, 1, 6);  /* ModelProto: ir_version 1, graph 7, opset_import 8 */
    put_bytes(&model, 7, graph.p, graph.n);
    put_bytes(&model, 8, opset.p, opset.n);
    return model.n;
}
