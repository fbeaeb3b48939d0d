/* SPDX-License-Identifier: Apache-2.0 */
/* Which files a model keeps its weights in beside its own. Field numbers: onnx.proto of the ONNX
 * project. What holds a tensor is walked through, whatever else there is passed over unread. */
#include "backend/onnx.h"

#include "text/protobuf.h"

#define DEPTH_MAX 32u /* graphs in attributes of nodes of graphs */

enum message {
    MODEL,
    GRAPH,
    FUNCTION,
    NODE,
    ATTRIBUTE,
    SPARSE,
    TENSOR,
    ENTRY,
};

/* Field `number` of `in` is an `inner`. */
static const struct {
    enum message in;
    unsigned number;
    enum message inner;
} edges[] = {
    {MODEL, 7, GRAPH},         {MODEL, 25, FUNCTION},   {GRAPH, 1, NODE},
    {GRAPH, 5, TENSOR},        {GRAPH, 15, SPARSE},     {FUNCTION, 7, NODE},
    {FUNCTION, 11, ATTRIBUTE}, {NODE, 5, ATTRIBUTE},    {ATTRIBUTE, 5, TENSOR},
    {ATTRIBUTE, 6, GRAPH},     {ATTRIBUTE, 10, TENSOR}, {ATTRIBUTE, 11, GRAPH},
    {ATTRIBUTE, 22, SPARSE},   {ATTRIBUTE, 23, SPARSE}, {SPARSE, 1, TENSOR},
    {SPARSE, 2, TENSOR},       {TENSOR, 13, ENTRY},
};
enum { ENTRY_KEY = 1, ENTRY_VALUE = 2 };

struct walk {
    enum gal_status (*on_file)(struct gal_str name, void *ctx);
    void *ctx;
    struct gal_str last; /* the same file again and again, as a rule */
};

static enum gal_status take_entry(struct walk *w, struct gal_str bytes)
{
    struct gal_pb_field f;
    struct gal_str key = {NULL, 0}, value = {NULL, 0};
    while (gal_pb_next(&bytes, &f) == GAL_PB_FIELD) {
        if (f.wire == GAL_PB_BYTES && f.number == ENTRY_KEY)
            key = f.bytes;
        else if (f.wire == GAL_PB_BYTES && f.number == ENTRY_VALUE)
            value = f.bytes;
    }
    if (!gal_str_is(key, "location") || (w->last.p && gal_str_eq(value, w->last)))
        return GAL_OK;
    w->last = value;
    return w->on_file(value, w->ctx);
}

static enum gal_status walk(struct walk *w, // NOLINT(misc-no-recursion): bounded
                            enum message in, struct gal_str bytes, unsigned depth)
{
    struct gal_pb_field f;
    enum gal_status status = GAL_OK;
    if (in == ENTRY)
        return take_entry(w, bytes);
    while (!status && depth < DEPTH_MAX && gal_pb_next(&bytes, &f) == GAL_PB_FIELD) {
        for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
            if (f.wire != GAL_PB_BYTES || edges[i].in != in || edges[i].number != f.number)
                continue;
            status = walk(w, edges[i].inner, f.bytes, depth + 1);
            break;
        }
    }
    return status;
}

enum gal_status gal_onnx_external_files(struct gal_str file,
                                        enum gal_status (*on_file)(struct gal_str name, void *ctx),
                                        void *ctx)
{
    struct walk w = {.on_file = on_file, .ctx = ctx};
    return walk(&w, MODEL, file, 0);
}
