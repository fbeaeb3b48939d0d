/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/onnx_weights.h"

#include "backend/onnx.h"
#include "text/protobuf.h"

#include <string.h>

enum { MODEL_GRAPH = 7, GRAPH_INITIALIZER = 5 };
enum {
    TENSOR_DATA_TYPE = 2,
    TENSOR_RAW_DATA = 9,
    TENSOR_DOC = 12,
    TENSOR_EXTERNAL = 13,
    TENSOR_LOCATION = 14,
};
enum { LOCATION_EXTERNAL = 1 };
enum { ENTRY_KEY = 1, ENTRY_VALUE = 2 };

/* A tensor whose bytes are one field of their own. */
struct weight {
    struct gal_str tensor; /* its message */
    struct gal_str field;  /* raw_data with tag and length */
    struct gal_str raw;
    struct gal_str doc; /* the last; without spaces at its end */
    size_t doc_bytes;   /* of all doc_string fields */
    uint64_t data_type;
};

/* The field that was read between two places of one message. */
static struct gal_str field_between(struct gal_str before, struct gal_str behind)
{
    return (struct gal_str){before.p, before.n - behind.n};
}

static struct gal_str without_padding(struct gal_str doc)
{
    while (doc.n > 0 && doc.p[doc.n - 1] == ' ')
        doc.n--;
    return doc;
}

/* False: small, of several parts, or external already. */
static bool read_weight(struct gal_str tensor, struct weight *w)
{
    struct gal_str rest = tensor, before = tensor;
    struct gal_pb_field f;
    enum gal_pb_next next;
    unsigned raws = 0;
    *w = (struct weight){.tensor = tensor};
    for (; (next = gal_pb_next(&rest, &f)) == GAL_PB_FIELD; before = rest) {
        struct gal_str field = field_between(before, rest);
        if (f.number == TENSOR_DATA_TYPE && f.wire == GAL_PB_VARINT) {
            w->data_type = f.value;
        } else if (f.number == TENSOR_RAW_DATA && f.wire == GAL_PB_BYTES) {
            w->field = field;
            w->raw = f.bytes;
            raws++;
        } else if (f.number == TENSOR_DOC && f.wire == GAL_PB_BYTES) {
            w->doc = without_padding(f.bytes);
            w->doc_bytes += field.n;
        } else if (f.number == TENSOR_RAW_DATA || f.number == TENSOR_DOC ||
                   f.number == TENSOR_EXTERNAL || f.number == TENSOR_LOCATION) {
            return false;
        }
    }
    return next == GAL_PB_END && raws == 1 && w->raw.n >= GAL_ONNX_WEIGHT_MIN;
}

/* The model's one graph and its field; false when there is none or it comes in parts. */
static bool find_graph(struct gal_str file, struct gal_str *graph, struct gal_str *field)
{
    struct gal_str rest = file, before = file;
    struct gal_pb_field f;
    enum gal_pb_next next;
    unsigned graphs = 0;
    for (; (next = gal_pb_next(&rest, &f)) == GAL_PB_FIELD; before = rest) {
        if (f.number != MODEL_GRAPH || f.wire != GAL_PB_BYTES)
            continue;
        *graph = f.bytes;
        *field = field_between(before, rest);
        graphs++;
    }
    return next == GAL_PB_END && graphs == 1;
}

/* ---- a model whose weights are aligned ---- */

struct out {
    uint64_t at; /* how much was written */
    bool ragged; /* a weight came to lie elsewhere than it did */
    enum gal_status (*write)(struct gal_str piece, void *ctx); /* NULL: count */
    void *ctx;
    enum gal_status status;
};

static void put(struct out *o, struct gal_str piece)
{
    o->at += piece.n;
    if (o->write && !o->status && piece.n > 0)
        o->status = o->write(piece, o->ctx);
}

static void put_head(struct out *o, uint32_t number, uint64_t n)
{
    char head[20];
    char *end = gal_pb_varint_write(head, (uint64_t)number << 3 | GAL_PB_BYTES);
    end = gal_pb_varint_write(end, n);
    put(o, (struct gal_str){head, (size_t)(end - head)});
}

static size_t doc_field_bytes(size_t text)
{
    return text == 0 ? 0 : gal_pb_bytes_size(TENSOR_DOC, text);
}

/* How long the doc_string becomes so that the weight of a tensor that is written at `at` is
 * aligned. */
static size_t padded_doc(const struct weight *w, uint64_t at)
{
    size_t rest = w->tensor.n - w->doc_bytes;
    size_t before = (size_t)(w->field.p - w->tensor.p); /* without doc_strings that stand there */
    struct gal_str head = {w->tensor.p, before}, from = head;
    struct gal_pb_field f;
    while (gal_pb_next(&head, &f) == GAL_PB_FIELD) {
        before -= f.number == TENSOR_DOC ? field_between(from, head).n : 0;
        from = head;
    }
    before += (size_t)(w->raw.p - w->field.p);
    /* Each space more moves it by one, but for the first, which brings tag and length. */
    size_t text = w->doc.n, last = text + 2 * GAL_ONNX_ALIGNMENT;
    for (; text < last; text++) {
        size_t doc = doc_field_bytes(text);
        uint64_t data = at + gal_pb_bytes_size(GRAPH_INITIALIZER, rest + doc) - rest + before;
        if (data % GAL_ONNX_ALIGNMENT == 0)
            break;
    }
    return text;
}

static void put_doc(struct out *o, const struct weight *w, size_t text)
{
    static const char spaces[2 * GAL_ONNX_ALIGNMENT + 1] =
        "                                                                "
        "                                                                ";
    if (text == 0)
        return;
    put_head(o, TENSOR_DOC, text);
    put(o, w->doc);
    put(o, (struct gal_str){spaces, text - w->doc.n});
}

static void put_weight(struct out *o, const struct weight *w, const char *front)
{
    size_t text = padded_doc(w, o->at);
    struct gal_str rest = w->tensor, before = rest;
    struct gal_pb_field f;
    put_head(o, GRAPH_INITIALIZER, w->tensor.n - w->doc_bytes + doc_field_bytes(text));
    for (; gal_pb_next(&rest, &f) == GAL_PB_FIELD; before = rest) {
        if (f.number == TENSOR_RAW_DATA) {
            put_doc(o, w, text);
            put(o, field_between(before, rest));
            if (o->at - w->raw.n != (uint64_t)(w->raw.p - front))
                o->ragged = true;
        } else if (f.number != TENSOR_DOC) {
            put(o, field_between(before, rest));
        }
    }
}

/* The graph's message; its weights' bytes in all. */
static uint64_t put_graph(struct out *o, struct gal_str graph, const char *front)
{
    struct gal_str rest = graph, before = graph;
    struct gal_pb_field f;
    struct weight w;
    uint64_t bytes = 0;
    for (; gal_pb_next(&rest, &f) == GAL_PB_FIELD; before = rest) {
        if (f.number == GRAPH_INITIALIZER && f.wire == GAL_PB_BYTES && read_weight(f.bytes, &w)) {
            put_weight(o, &w, front);
            bytes += w.raw.n;
        } else {
            put(o, field_between(before, rest));
        }
    }
    return bytes;
}

/* Where the aligned model's parts come to lie. */
struct layout {
    struct gal_str graph, field; /* of the file */
    uint64_t graph_bytes;        /* of the new one */
    bool ragged;
};

/* The graph's length stands before it, and how long that is moves what follows. */
static bool lay_out(struct gal_str file, uint64_t total_min, struct layout *l)
{
    *l = (struct layout){.ragged = false};
    if (!find_graph(file, &l->graph, &l->field))
        return false;
    uint64_t front = (uint64_t)(l->field.p - file.p) + 1; /* the tag is one byte */
    for (size_t length = 1; length <= 5; length++) {
        struct out o = {.at = front + length};
        uint64_t weights = put_graph(&o, l->graph, file.p);
        l->graph_bytes = o.at - front - length;
        l->ragged = o.ragged;
        if (weights == 0 || weights < total_min)
            return false;
        if (gal_pb_varint_size(l->graph_bytes) == length)
            return file.n - l->field.n + l->graph_bytes < GAL_ONNX_FILE_MAX - 16;
    }
    return false;
}

bool gal_onnx_is_ragged(struct gal_str file, uint64_t total_min)
{
    struct layout l;
    return lay_out(file, total_min, &l) && l.ragged;
}

enum gal_status gal_onnx_align(struct gal_str file, uint64_t total_min,
                               enum gal_status (*write)(struct gal_str piece, void *ctx), void *ctx)
{
    struct layout l;
    struct out o = {.write = write, .ctx = ctx};
    if (!lay_out(file, total_min, &l)) {
        put(&o, file);
        return o.status;
    }
    size_t before = (size_t)(l.field.p - file.p), behind = before + l.field.n;
    put(&o, (struct gal_str){file.p, before});
    put_head(&o, MODEL_GRAPH, l.graph_bytes);
    (void)put_graph(&o, l.graph, file.p);
    put(&o, (struct gal_str){file.p + behind, file.n - behind});
    return o.status;
}

/* ---- a model without its weights ---- */

/* TensorProto.DataType; what is not listed has elements of at most one byte or is not for us. */
static uint64_t alignment_of(uint64_t data_type)
{
    static const uint8_t bytes[] = {
        [1] = 4,  [2] = 1,  [3] = 1,  [4] = 2,  [5] = 2,  [6] = 4,  [7] = 8,  [9] = 1,
        [10] = 2, [11] = 8, [12] = 4, [13] = 8, [14] = 8, [15] = 8, [16] = 2, [17] = 1,
        [18] = 1, [19] = 1, [20] = 1, [21] = 1, [22] = 1, [23] = 1};
    return data_type < sizeof bytes && bytes[data_type] ? bytes[data_type] : UINT64_MAX;
}

static void put_entry(struct gal_buf *out, struct gal_str key, struct gal_str value)
{
    size_t start = out->n;
    gal_pb_put_bytes(out, ENTRY_KEY, key);
    gal_pb_put_bytes(out, ENTRY_VALUE, value);
    gal_pb_wrap(out, start, TENSOR_EXTERNAL);
}

static void put_number(struct gal_buf *out, struct gal_str key, uint64_t n)
{
    char digits[GAL_U64_CHARS_MAX];
    char *end = gal_u64_write(digits, n);
    put_entry(out, key, (struct gal_str){digits, (size_t)(end - digits)});
}

static void put_place(struct gal_buf *out, struct gal_str name, uint64_t at, uint64_t bytes)
{
    put_entry(out, GAL_STR("location"), name);
    put_number(out, GAL_STR("offset"), at);
    put_number(out, GAL_STR("length"), bytes);
}

static void put_outside(struct gal_buf *out, const struct weight *w, struct gal_str name,
                        uint64_t at)
{
    struct gal_str rest = w->tensor, before = rest;
    struct gal_pb_field f;
    size_t start = out->n;
    for (; gal_pb_next(&rest, &f) == GAL_PB_FIELD; before = rest) {
        if (f.number != TENSOR_RAW_DATA && f.number != TENSOR_DOC)
            gal_buf_put_str(out, field_between(before, rest));
    }
    put_place(out, name, at, w->raw.n);
    gal_pb_put_u64(out, TENSOR_LOCATION, LOCATION_EXTERNAL);
    gal_pb_wrap(out, start, GRAPH_INITIALIZER);
}

/* Where a tensor has its bytes in another file. */
struct outside {
    struct gal_str location;
    uint64_t offset, length;
    bool is_external, is_bad;
};

static void read_entry(struct gal_str entry, struct outside *o)
{
    struct gal_pb_field f;
    struct gal_str key = {NULL, 0}, value = {NULL, 0};
    while (gal_pb_next(&entry, &f) == GAL_PB_FIELD) {
        if (f.wire == GAL_PB_BYTES && f.number == ENTRY_KEY)
            key = f.bytes;
        else if (f.wire == GAL_PB_BYTES && f.number == ENTRY_VALUE)
            value = f.bytes;
    }
    if (gal_str_is(key, "location"))
        o->location = value;
    else if (gal_str_is(key, "offset"))
        o->is_bad = o->is_bad || gal_str_u64(value, &o->offset) != GAL_OK;
    else if (gal_str_is(key, "length"))
        o->is_bad = o->is_bad || gal_str_u64(value, &o->length) != GAL_OK;
}

static struct outside read_outside(struct gal_str tensor)
{
    struct outside o = {.offset = 0};
    struct gal_pb_field f;
    while (gal_pb_next(&tensor, &f) == GAL_PB_FIELD) {
        if (f.number == TENSOR_EXTERNAL && f.wire == GAL_PB_BYTES)
            read_entry(f.bytes, &o);
        else if (f.number == TENSOR_LOCATION && f.wire == GAL_PB_VARINT)
            o.is_external = f.value == LOCATION_EXTERNAL;
    }
    return o;
}

static const struct gal_backend_part *find_part(const struct gal_onnx_place *place,
                                                const struct outside *o)
{
    struct gal_str name = o->location;
    if (!name.p)
        return NULL;
    if (gal_str_starts(name, GAL_STR("./")))
        name = (struct gal_str){name.p + 2, name.n - 2};
    for (size_t i = 0; i < place->part_count; i++) {
        const struct gal_backend_part *p = &place->parts[i];
        if (gal_str_eq(p->name, name) && o->offset <= p->size && o->length <= p->size - o->offset)
            return p;
    }
    return NULL;
}

/* False: not in a part, or its length is not told. */
static bool put_elsewhere(struct gal_buf *out, struct gal_str tensor, const struct outside *o,
                          const struct gal_onnx_place *place)
{
    const struct gal_backend_part *part = find_part(place, o);
    struct gal_str rest = tensor, before = rest;
    struct gal_pb_field f;
    size_t start = out->n;
    if (!part || o->is_bad || o->length == 0)
        return false;
    for (; gal_pb_next(&rest, &f) == GAL_PB_FIELD; before = rest) {
        if (f.number != TENSOR_EXTERNAL)
            gal_buf_put_str(out, field_between(before, rest));
    }
    put_place(out, place->name, part->offset + o->offset, o->length);
    gal_pb_wrap(out, start, GRAPH_INITIALIZER);
    return true;
}

/* One field of the graph; bytes that lie outside, UINT64_MAX: it cannot be told so. */
static uint64_t put_field(struct gal_buf *out, const struct gal_pb_field *f, struct gal_str field,
                          const struct gal_onnx_place *place, const char *front)
{
    struct weight w;
    if (f->number == GRAPH_INITIALIZER && f->wire == GAL_PB_BYTES) {
        struct outside o = read_outside(f->bytes);
        if (o.is_external)
            return put_elsewhere(out, f->bytes, &o, place) ? o.length : UINT64_MAX;
        if (read_weight(f->bytes, &w)) {
            uint64_t at = place->offset + (uint64_t)(w.raw.p - front);
            if (at % alignment_of(w.data_type) == 0) {
                put_outside(out, &w, place->name, at);
                return w.raw.n;
            }
        }
    }
    gal_buf_put_str(out, field);
    return 0;
}

static enum gal_status is_name(struct gal_str name, void *ctx)
{
    return gal_str_eq(name, *(const struct gal_str *)ctx) ? GAL_OK : GAL_NOT_FOUND;
}

uint64_t gal_onnx_slim(struct gal_str file, const struct gal_onnx_place *place, uint64_t total_min,
                       struct gal_buf *out)
{
    struct gal_str graph = {NULL, 0}, field = {NULL, 0};
    struct gal_pb_field f;
    uint64_t bytes = 0, more = 0;
    size_t front = out->n;
    if (!find_graph(file, &graph, &field))
        return 0;
    gal_buf_put_str(out, (struct gal_str){file.p, (size_t)(field.p - file.p)});
    size_t start = out->n;
    for (struct gal_str rest = graph, before = graph;
         more != UINT64_MAX && gal_pb_next(&rest, &f) == GAL_PB_FIELD; before = rest) {
        more = put_field(out, &f, field_between(before, rest), place, file.p);
        bytes = more == UINT64_MAX ? 0 : bytes + more;
    }
    gal_pb_wrap(out, start, MODEL_GRAPH);
    const char *behind = field.p + field.n;
    gal_buf_put_str(out, (struct gal_str){behind, (size_t)(file.p + file.n - behind)});
    struct gal_str slim = {out->p + front, out->n - front};
    struct gal_str name = place->name;
    /* Tensors elsewhere, in a graph inside a node, may have external data too. */
    if (bytes > 0 && bytes >= total_min && !out->failed &&
        !gal_onnx_external_files(slim, is_name, &name))
        return bytes;
    out->n = front;
    return 0;
}
