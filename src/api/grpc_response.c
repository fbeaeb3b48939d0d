/* SPDX-License-Identifier: Apache-2.0 */
/* ModelInferResponse. All sizes are known before the first byte is written: the tensors' bytes are
 * not copied, but for small ones, which cost less in one piece with the head. */
#include "api/grpc.h"
#include "codec/tensor_json.h"

enum response_field {
    RESPONSE_MODEL = 1,
    RESPONSE_VERSION = 2,
    RESPONSE_ID = 3,
    RESPONSE_PARAMETERS = 4,
    RESPONSE_OUTPUTS = 5,
    RESPONSE_RAW = 6
};
enum output_field { OUTPUT_NAME = 1, OUTPUT_DATATYPE = 2, OUTPUT_SHAPE = 3, OUTPUT_PARAMETERS = 4 };
enum stream_field { STREAM_RESPONSE = 2 };
enum entry_field { ENTRY_KEY = 1, ENTRY_VALUE = 2 };

/* Outputs of up to so many bytes are copied behind the head. */
#define JOIN_BYTES_MAX 2048u

/* {"triton_final_response": true} as one entry of the parameters' map. */
static const char final_response[] = "\x0a\x15triton_final_response\x12\x02\x08\x01";

/* What one output of the answer is made of. */
struct item {
    struct gal_str name;
    const struct gal_tensor *t;
    struct gal_str labels;             /* JSON text; p NULL: none */
    struct gal_str content_type;       /* p NULL: none */
    const struct gal_oip_place *place; /* where its bytes are; NULL: in the message */
    size_t raw_bytes, shape_bytes, head_bytes;
};

struct encoder {
    const struct gal_model *m;
    const struct gal_oip_request *req;
    struct gal_arena *arena;
    struct gal_buf *out;
    struct item *items;
    size_t count;
    struct gal_str *parts;
    size_t part_count;
    size_t joined; /* where the part that is being written begins in out */
};

/* --- which outputs there are --- */

static enum gal_status fail_memory(struct gal_err *err)
{
    return gal_fail(err, GAL_NO_MEMORY, "no memory for the answer");
}

static enum gal_status add_item(struct encoder *e, struct gal_str name, const struct gal_tensor *t,
                                struct gal_err *err)
{
    if (gal_dtype_size(t->dtype) == 0)
        return gal_fail(err, GAL_UNSUPPORTED,
                        "output '%.*s' has a datatype that the Open Inference Protocol lacks",
                        GAL_STR_ARG(name));
    e->items[e->count] = (struct item){.name = name, .t = t};
    if (gal_oip_has_content(e->req))
        e->items[e->count].content_type = gal_oip_output_content(t->dtype);
    e->count++;
    return GAL_OK;
}

/* The labels' text is written into out and moved to the arena: parameters are plain. */
static enum gal_status set_labels(struct encoder *e, const struct gal_tensor *labels,
                                  struct gal_err *err)
{
    enum gal_status st = gal_tensor_to_json(labels, false, e->out, err);
    char *copy;

    if (st != GAL_OK)
        return st;
    copy = e->out->failed ? NULL : gal_arena_strdup(e->arena, gal_buf_str(e->out));
    if (copy == NULL)
        return fail_memory(err);
    e->items[e->count - 1].labels = (struct gal_str){copy, e->out->n};
    e->out->n = 0;
    return GAL_OK;
}

static enum gal_status add_maps(struct encoder *e, const struct gal_value *v,
                                const struct gal_port *port, struct gal_err *err)
{
    static const int64_t nothing[2] = {0, 0};
    struct gal_tensor *t = gal_arena_array(e->arena, 2, sizeof(*t)); /* scores, labels */
    bool empty = v->kind == GAL_KIND_SEQUENCE && v->count == 0;
    enum gal_status st = GAL_OK;

    if (t == NULL)
        return fail_memory(err);
    t[0] = (struct gal_tensor){v->tensor.name, port->dtype, 2, nothing, 0, NULL};
    if (!empty)
        st = gal_value_zipmap(v, e->arena, &t[1], &t[0], err);
    if (st == GAL_OK)
        st = add_item(e, v->tensor.name, &t[0], err);
    return st != GAL_OK || empty ? st : set_labels(e, &t[1], err);
}

static enum gal_status add_items(struct encoder *e, const struct gal_value *v, struct gal_err *err)
{
    enum gal_status st = GAL_OK;

    for (size_t i = 0; i < v->count && st == GAL_OK; i++) {
        const char *name;

        if (v->items[i].kind == GAL_KIND_NONE)
            continue;
        if (v->items[i].kind != GAL_KIND_TENSOR)
            return gal_fail(err, GAL_UNSUPPORTED,
                            "output '%.*s' is a sequence of what this protocol cannot carry",
                            GAL_STR_ARG(v->tensor.name));
        name = gal_arena_printf(e->arena, "%.*s.%zu", GAL_STR_ARG(v->tensor.name), i);
        if (name == NULL)
            return fail_memory(err);
        st = add_item(e, gal_str_of(name), &v->items[i].tensor, err);
    }
    return st;
}

static enum gal_status add_value(struct encoder *e, const struct gal_value *v,
                                 const struct gal_port *port, struct gal_err *err)
{
    switch (v->kind) {
    case GAL_KIND_TENSOR:
        return add_item(e, v->tensor.name, &v->tensor, err);
    case GAL_KIND_MAP:
        return add_maps(e, v, port, err);
    case GAL_KIND_SEQUENCE:
        return port->of_maps ? add_maps(e, v, port, err) : add_items(e, v, err);
    case GAL_KIND_NONE:
        break;
    }
    return GAL_OK;
}

static enum gal_status list_items(struct encoder *e, const struct gal_infer *inf,
                                  struct gal_err *err)
{
    size_t max = 1;
    enum gal_status st = GAL_OK;

    for (size_t i = 0; i < inf->wanted_count; i++)
        max += inf->outputs[i].kind == GAL_KIND_SEQUENCE ? inf->outputs[i].count + 1 : 1;
    e->items = gal_arena_array(e->arena, max, sizeof(*e->items));
    e->parts = gal_arena_array(e->arena, 2 * max, sizeof(*e->parts));
    if (e->items == NULL || e->parts == NULL)
        return fail_memory(err);
    for (size_t i = 0; i < inf->wanted_count && st == GAL_OK; i++) {
        st = add_value(e, &inf->outputs[i], &e->m->info->outputs[inf->wanted[i]], err);
        if (st == GAL_OK && e->req->output_count > 0 && e->req->outputs[i].place.region.p != NULL &&
            e->count > 0)
            e->items[e->count - 1].place = &e->req->outputs[i].place;
    }
    return st;
}

/* --- parameters, of an output or of the whole --- */

static size_t text_param_bytes(const char *key, struct gal_str text)
{
    size_t value = gal_pb_bytes_size(GAL_GRPC_PARAM_STRING, text.n);

    return gal_pb_bytes_size(ENTRY_KEY, strlen(key)) + gal_pb_bytes_size(ENTRY_VALUE, value);
}

static void put_text_param(struct gal_buf *out, uint32_t number, const char *key,
                           struct gal_str text)
{
    gal_pb_put_head(out, number, text_param_bytes(key, text));
    gal_pb_put_bytes(out, ENTRY_KEY, gal_str_of(key));
    gal_pb_put_head(out, ENTRY_VALUE, gal_pb_bytes_size(GAL_GRPC_PARAM_STRING, text.n));
    gal_pb_put_bytes(out, GAL_GRPC_PARAM_STRING, text);
}

static size_t int_param_bytes(const char *key, uint64_t v)
{
    return gal_pb_bytes_size(ENTRY_KEY, strlen(key)) +
           gal_pb_bytes_size(ENTRY_VALUE, 1 + gal_pb_varint_size(v));
}

static void put_int_param(struct gal_buf *out, const char *key, uint64_t v)
{
    gal_pb_put_head(out, OUTPUT_PARAMETERS, int_param_bytes(key, v));
    gal_pb_put_bytes(out, ENTRY_KEY, gal_str_of(key));
    gal_pb_put_head(out, ENTRY_VALUE, 1 + gal_pb_varint_size(v));
    gal_pb_put_u64(out, GAL_GRPC_PARAM_INT64, v);
}

#define CONTENT_TYPE "content_type"
#define REGION "shared_memory_region"
#define OFFSET "shared_memory_offset"
#define BYTE_SIZE "shared_memory_byte_size"

static size_t params_bytes(const struct item *it)
{
    size_t n = 0;

    if (it->content_type.p != NULL)
        n += gal_pb_bytes_size(OUTPUT_PARAMETERS, text_param_bytes(CONTENT_TYPE, it->content_type));
    if (it->labels.p != NULL)
        n += gal_pb_bytes_size(OUTPUT_PARAMETERS, text_param_bytes("labels", it->labels));
    if (it->place == NULL)
        return n;
    n += gal_pb_bytes_size(OUTPUT_PARAMETERS, text_param_bytes(REGION, it->place->region));
    n += gal_pb_bytes_size(OUTPUT_PARAMETERS, int_param_bytes(OFFSET, it->place->offset));
    return n + gal_pb_bytes_size(OUTPUT_PARAMETERS, int_param_bytes(BYTE_SIZE, it->place->bytes));
}

static void put_params(struct gal_buf *out, const struct item *it)
{
    if (it->content_type.p != NULL)
        put_text_param(out, OUTPUT_PARAMETERS, CONTENT_TYPE, it->content_type);
    if (it->labels.p != NULL)
        put_text_param(out, OUTPUT_PARAMETERS, "labels", it->labels);
    if (it->place == NULL)
        return;
    put_text_param(out, OUTPUT_PARAMETERS, REGION, it->place->region);
    put_int_param(out, OFFSET, it->place->offset);
    put_int_param(out, BYTE_SIZE, it->place->bytes);
}

/* --- the message --- */

static size_t text_bytes(uint32_t number, struct gal_str s)
{
    return s.n > 0 ? gal_pb_bytes_size(number, s.n) : 0;
}

static void put_text(struct gal_buf *out, uint32_t number, struct gal_str s)
{
    if (s.n > 0)
        gal_pb_put_bytes(out, number, s);
}

static void measure_item(struct item *it)
{
    it->raw_bytes = it->place == NULL ? gal_tensor_raw_size(it->t) : 0;
    for (size_t i = 0; i < it->t->rank; i++)
        it->shape_bytes += gal_pb_varint_size((uint64_t)it->t->shape[i]);
    it->head_bytes = text_bytes(OUTPUT_NAME, it->name) +
                     gal_pb_bytes_size(OUTPUT_DATATYPE, strlen(gal_dtype_name(it->t->dtype))) +
                     params_bytes(it);
    if (it->shape_bytes > 0)
        it->head_bytes += gal_pb_bytes_size(OUTPUT_SHAPE, it->shape_bytes);
}

static size_t measure(struct encoder *e, bool in_stream)
{
    size_t n = text_bytes(RESPONSE_MODEL, gal_str_of(e->m->name)) +
               text_bytes(RESPONSE_VERSION, gal_str_of(e->m->version)) +
               text_bytes(RESPONSE_ID, e->req->id);

    if (in_stream)
        n += gal_pb_bytes_size(RESPONSE_PARAMETERS, sizeof(final_response) - 1);
    if (e->req->content_type.p != NULL)
        n += gal_pb_bytes_size(RESPONSE_PARAMETERS,
                               text_param_bytes(CONTENT_TYPE, e->req->content_type));
    for (size_t i = 0; i < e->count; i++) {
        measure_item(&e->items[i]);
        n += gal_pb_bytes_size(RESPONSE_OUTPUTS, e->items[i].head_bytes) +
             gal_pb_bytes_size(RESPONSE_RAW, e->items[i].raw_bytes);
    }
    return n;
}

static void put_item(struct gal_buf *out, const struct item *it)
{
    gal_pb_put_head(out, RESPONSE_OUTPUTS, it->head_bytes);
    put_text(out, OUTPUT_NAME, it->name);
    gal_pb_put_bytes(out, OUTPUT_DATATYPE, gal_str_of(gal_dtype_name(it->t->dtype)));
    if (it->shape_bytes > 0)
        gal_pb_put_head(out, OUTPUT_SHAPE, it->shape_bytes);
    for (size_t i = 0; i < it->t->rank; i++)
        gal_pb_put_varint(out, (uint64_t)it->t->shape[i]);
    put_params(out, it);
}

/* What of out has not been in a part becomes one. out grows no more: it has been reserved. */
static void close_part(struct encoder *e)
{
    if (e->out->n > e->joined)
        e->parts[e->part_count++] = (struct gal_str){e->out->p + e->joined, e->out->n - e->joined};
    e->joined = e->out->n;
}

static enum gal_status put_raw(struct encoder *e, const struct item *it, struct gal_err *err)
{
    const void *bytes = it->t->data;
    char *laid;

    gal_pb_put_head(e->out, RESPONSE_RAW, it->raw_bytes);
    if (it->raw_bytes <= JOIN_BYTES_MAX) {
        if (it->raw_bytes > 0)
            gal_tensor_to_raw(it->t, e->out->p + e->out->n);
        e->out->n += it->raw_bytes;
        return GAL_OK;
    }
    if (it->t->dtype == GAL_DT_BYTES) {
        laid = gal_arena_small(e->arena, it->raw_bytes);
        if (laid == NULL)
            return fail_memory(err);
        gal_tensor_to_raw(it->t, laid);
        bytes = laid;
    }
    close_part(e);
    e->parts[e->part_count++] = (struct gal_str){bytes, it->raw_bytes};
    return GAL_OK;
}

static enum gal_status put_message(struct encoder *e, bool in_stream, struct gal_err *err)
{
    enum gal_status st = GAL_OK;

    put_text(e->out, RESPONSE_MODEL, gal_str_of(e->m->name));
    put_text(e->out, RESPONSE_VERSION, gal_str_of(e->m->version));
    put_text(e->out, RESPONSE_ID, e->req->id);
    if (in_stream)
        gal_pb_put_bytes(e->out, RESPONSE_PARAMETERS,
                         (struct gal_str){final_response, sizeof(final_response) - 1});
    if (e->req->content_type.p != NULL)
        put_text_param(e->out, RESPONSE_PARAMETERS, CONTENT_TYPE, e->req->content_type);
    for (size_t i = 0; i < e->count; i++)
        put_item(e->out, &e->items[i]);
    for (size_t i = 0; i < e->count && st == GAL_OK; i++)
        st = put_raw(e, &e->items[i], err);
    close_part(e);
    return st;
}

enum gal_status gal_grpc_encode(const struct gal_model *m, const struct gal_oip_request *req,
                                const struct gal_infer *inf, bool in_stream,
                                struct gal_arena *arena, struct gal_buf *out,
                                const struct gal_str **parts, size_t *part_count,
                                struct gal_err *err)
{
    struct encoder e = {.m = m, .req = req, .arena = arena, .out = out};
    enum gal_status st = list_items(&e, inf, err);
    size_t message, whole, far = 0;
    char prefix[GAL_GRPC_PREFIX_BYTES];

    if (st != GAL_OK)
        return st;
    message = measure(&e, in_stream);
    whole = in_stream ? gal_pb_bytes_size(STREAM_RESPONSE, message) : message;
    for (size_t i = 0; i < e.count; i++)
        if (e.items[i].raw_bytes > JOIN_BYTES_MAX)
            far += e.items[i].raw_bytes;
    if (whole > out->max || whole > UINT32_MAX)
        return gal_fail(err, GAL_TOO_LARGE, "the answer is larger than %lu bytes",
                        (unsigned long)GAL_RESPONSE_BYTES_MAX);
    /* gal_pb_put_varint asks for the room of the longest each time. */
    if (gal_buf_reserve(out, GAL_GRPC_PREFIX_BYTES + whole - far + 16) == NULL)
        return fail_memory(err);
    gal_grpc_prefix(prefix, false, whole);
    gal_buf_put(out, prefix, sizeof(prefix));
    if (in_stream)
        gal_pb_put_head(out, STREAM_RESPONSE, message);
    st = put_message(&e, in_stream, err);
    if (st != GAL_OK)
        return st;
    GAL_ASSERT(!out->failed && out->n == GAL_GRPC_PREFIX_BYTES + whole - far);
    *parts = e.parts;
    *part_count = e.part_count;
    return GAL_OK;
}
