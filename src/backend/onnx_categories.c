/* SPDX-License-Identifier: Apache-2.0 */
/* Which texts an input may hold, found in the model itself: the categories of the encoder that the
 * input runs into (ai.onnx.ml OneHotEncoder, LabelEncoder, CategoryMapper). An encoder told to
 * refuse unknown categories fails on made-up text, so warm-up needs a real one; OpenAPI shows them
 * all. Field numbers: onnx.proto of the ONNX project. */
#include "backend/onnx_internal.h"

#include "text/protobuf.h"

/* Steps from an input to its encoder that are followed. */
#define STEPS_MAX 16

enum { MODEL_GRAPH = 7 };
enum { GRAPH_NODE = 1 };
enum { NODE_INPUT = 1, NODE_OUTPUT = 2, NODE_OP = 4, NODE_ATTRIBUTE = 5 };
enum { ATTRIBUTE_NAME = 1, ATTRIBUTE_STRINGS = 9 };

struct node {
    struct gal_str op, output; /* output: the first */
    struct gal_str first;      /* input */
    size_t input_count;
    struct gal_str body; /* the whole message, for its attributes */
};

static struct node read_node(struct gal_str body)
{
    struct node n = {.body = body};
    struct gal_pb_field f;

    while (gal_pb_next(&body, &f) == GAL_PB_FIELD) {
        if (f.wire != GAL_PB_BYTES)
            continue;
        if (f.number == NODE_OP)
            n.op = f.bytes;
        else if (f.number == NODE_OUTPUT && n.output.p == NULL)
            n.output = f.bytes;
        else if (f.number == NODE_INPUT && n.input_count++ == 0)
            n.first = f.bytes;
    }
    return n;
}

static struct gal_str find_graph(struct gal_str file)
{
    struct gal_pb_field f;

    while (gal_pb_next(&file, &f) == GAL_PB_FIELD)
        if (f.number == MODEL_GRAPH && f.wire == GAL_PB_BYTES)
            return f.bytes;
    return (struct gal_str){NULL, 0};
}

/* The first node that reads `name` as its first input. */
static bool find_reader(struct gal_str graph, struct gal_str name, struct node *out)
{
    struct gal_pb_field f;

    while (gal_pb_next(&graph, &f) == GAL_PB_FIELD) {
        if (f.number != GRAPH_NODE || f.wire != GAL_PB_BYTES)
            continue;
        *out = read_node(f.bytes);
        if (out->input_count > 0 && gal_str_eq(out->first, name))
            return true;
    }
    return false;
}

/* True for a node that hands the texts, or a column of them, on as they are. */
static bool passes_on(const struct node *n)
{
    static const char *const ops[] = {"Identity",
                                      "Reshape",
                                      "Flatten",
                                      "Squeeze",
                                      "Unsqueeze",
                                      "Gather",
                                      "ArrayFeatureExtractor"};

    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
        if (gal_str_is(n->op, ops[i]))
            return true;
    return gal_str_is(n->op, "Concat") && n->input_count == 1;
}

static const char *attribute_of(const struct node *n)
{
    if (gal_str_is(n->op, "OneHotEncoder") || gal_str_is(n->op, "CategoryMapper"))
        return "cats_strings";
    return gal_str_is(n->op, "LabelEncoder") ? "keys_strings" : NULL;
}

/* Calls once a text of the attribute called `name`; returns how many there are, fills up to max. */
static size_t read_strings(struct gal_str node, const char *name, struct gal_str *out, size_t max)
{
    struct gal_pb_field f, a;
    size_t count = 0;

    while (gal_pb_next(&node, &f) == GAL_PB_FIELD) {
        struct gal_str body = f.bytes;
        bool is_it = false;
        if (f.number != NODE_ATTRIBUTE || f.wire != GAL_PB_BYTES)
            continue;
        while (gal_pb_next(&body, &a) == GAL_PB_FIELD)
            is_it |= a.number == ATTRIBUTE_NAME && gal_str_is(a.bytes, name);
        body = f.bytes;
        while (is_it && gal_pb_next(&body, &a) == GAL_PB_FIELD) {
            if (a.number != ATTRIBUTE_STRINGS || a.wire != GAL_PB_BYTES)
                continue;
            if (count < max)
                out[count] = a.bytes;
            count++;
        }
    }
    return count;
}

static bool find_encoder(struct gal_str graph, struct gal_str input, struct node *out)
{
    struct gal_str name = input;

    for (int step = 0; step < STEPS_MAX; step++) {
        if (!find_reader(graph, name, out))
            return false;
        if (attribute_of(out) != NULL)
            return true;
        if (!passes_on(out))
            return false;
        name = out->output;
    }
    return false;
}

enum gal_status gal_onnx_categories(struct gal_str file, struct gal_str input,
                                    struct gal_arena *arena, const struct gal_str **values,
                                    size_t *count, struct gal_err *err)
{
    struct gal_str found[GAL_PORT_VALUES_MAX];
    struct gal_str *copy;
    struct node encoder;

    *values = NULL;
    *count = 0;
    if (!find_encoder(find_graph(file), input, &encoder))
        return GAL_OK;
    size_t n = read_strings(encoder.body, attribute_of(&encoder), found, GAL_PORT_VALUES_MAX);
    size_t kept = n < GAL_PORT_VALUES_MAX ? n : GAL_PORT_VALUES_MAX;
    if (n == 0)
        return GAL_OK;
    copy = gal_arena_array(arena, kept, sizeof(*copy));
    for (size_t i = 0; copy != NULL && i < kept; i++) {
        copy[i] = (struct gal_str){gal_arena_strdup(arena, found[i]), found[i].n};
        if (copy[i].p == NULL)
            copy = NULL;
    }
    if (copy == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the model's categories");
    *values = copy;
    *count = n;
    return GAL_OK;
}
