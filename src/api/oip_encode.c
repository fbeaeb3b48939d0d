/* SPDX-License-Identifier: Apache-2.0 */
#include "api/oip.h"

#include "codec/tensor_json.h"

struct encoder {
    struct gal_arena *arena;
    struct gal_buf *out;
    struct gal_str *parts;
    size_t part_count;
    bool binary; /* some output is */
    bool typed;  /* outputs have MLServer's content types, as the request has */
};

static void put_shape(struct gal_buf *out, const int64_t *shape, size_t rank)
{
    gal_buf_puts(out, ",\"shape\":[");
    for (size_t i = 0; i < rank; i++) {
        if (i > 0)
            gal_buf_putc(out, ',');
        gal_json_put_i64(out, shape[i]);
    }
    gal_buf_putc(out, ']');
}

/* The binary form of t as the next part. Numbers stay where they are; text is laid out anew. */
static enum gal_status add_part(struct encoder *e, const struct gal_tensor *t, size_t bytes,
                                struct gal_err *err)
{
    struct gal_str *part = &e->parts[e->part_count];
    char *copy;

    e->binary = true;
    if (bytes == 0)
        return GAL_OK;
    *part = (struct gal_str){t->data, bytes};
    e->part_count++;
    if (t->dtype != GAL_DT_BYTES)
        return GAL_OK;
    copy = gal_arena_small(e->arena, bytes);
    if (copy == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for output '%.*s'", GAL_STR_ARG(t->name));
    gal_tensor_to_raw(t, copy);
    part->p = copy;
    return GAL_OK;
}

/* `labels`: a string that holds a JSON array, as parameters are plain. */
static enum gal_status put_labels(struct encoder *e, const struct gal_tensor *labels,
                                  struct gal_err *err)
{
    size_t start = e->out->n;
    enum gal_status st = gal_tensor_to_json(labels, false, e->out, err);
    struct gal_str text = {NULL, e->out->n - start};
    char *copy;

    if (st != GAL_OK || e->out->failed)
        return st;
    copy = gal_arena_small(e->arena, text.n);
    if (copy == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the labels");
    memcpy(copy, e->out->p + start, text.n);
    text.p = copy;
    e->out->n = start;
    gal_buf_puts(e->out, "\"labels\":");
    gal_json_put_str(e->out, text);
    return GAL_OK;
}

static void put_parameter(struct gal_buf *out, const char *key, uint64_t v)
{
    gal_buf_puts(out, ",\"");
    gal_buf_puts(out, key);
    gal_buf_puts(out, "\":");
    gal_buf_put_u64(out, v);
}

/* An output that lies in the client's memory already. */
static void put_placed(struct gal_buf *out, const struct gal_tensor *t,
                       const struct gal_oip_place *place)
{
    gal_buf_puts(out, "{\"name\":");
    gal_json_put_str(out, t->name);
    gal_buf_puts(out, ",\"datatype\":\"");
    gal_buf_puts(out, gal_dtype_name(t->dtype));
    gal_buf_putc(out, '"');
    put_shape(out, t->shape, t->rank);
    gal_buf_puts(out, ",\"parameters\":{\"shared_memory_region\":");
    gal_json_put_str(out, place->region);
    if (place->offset > 0)
        put_parameter(out, "shared_memory_offset", place->offset);
    put_parameter(out, "shared_memory_byte_size", place->bytes);
    gal_buf_puts(out, "}},");
}

static enum gal_status put_tensor(struct encoder *e, const struct gal_tensor *t,
                                  struct gal_str name, const struct gal_tensor *labels, bool binary,
                                  struct gal_err *err)
{
    struct gal_buf *out = e->out;
    enum gal_status st = GAL_OK;
    size_t bytes;

    if (gal_dtype_size(t->dtype) == 0)
        return gal_fail(err, GAL_UNSUPPORTED,
                        "output '%.*s' has a datatype that the Open Inference Protocol lacks",
                        GAL_STR_ARG(t->name));
    gal_buf_puts(out, "{\"name\":");
    gal_json_put_str(out, name);
    gal_buf_puts(out, ",\"datatype\":\"");
    gal_buf_puts(out, gal_dtype_name(t->dtype));
    gal_buf_putc(out, '"');
    put_shape(out, t->shape, t->rank);
    if (labels != NULL || binary || e->typed)
        gal_buf_puts(out, ",\"parameters\":{");
    if (e->typed) {
        gal_buf_puts(out, "\"content_type\":");
        gal_json_put_str(out, gal_oip_output_content(t->dtype));
        gal_buf_puts(out, labels != NULL || binary ? "," : "");
    }
    if (labels != NULL)
        st = put_labels(e, labels, err);
    if (st == GAL_OK && binary) {
        bytes = gal_tensor_raw_size(t);
        gal_buf_puts(out, labels != NULL ? ",\"binary_data_size\":" : "\"binary_data_size\":");
        gal_buf_put_u64(out, bytes);
        st = add_part(e, t, bytes, err);
    }
    if (labels != NULL || binary || e->typed)
        gal_buf_putc(out, '}');
    if (st == GAL_OK && !binary) {
        gal_buf_puts(out, ",\"data\":");
        st = gal_tensor_to_json(t, false, out, err);
    }
    gal_buf_puts(out, "},");
    return st;
}

static enum gal_status put_maps(struct encoder *e, const struct gal_value *v,
                                const struct gal_port *port, bool binary, struct gal_err *err)
{
    static const int64_t nothing[2] = {0, 0};
    struct gal_tensor labels, scores = {v->tensor.name, port->dtype, 2, nothing, 0, NULL};
    enum gal_status st;

    if (v->kind == GAL_KIND_SEQUENCE && v->count == 0)
        return put_tensor(e, &scores, v->tensor.name, NULL, binary, err);
    st = gal_value_zipmap(v, e->arena, &labels, &scores, err);
    if (st != GAL_OK)
        return st;
    return put_tensor(e, &scores, v->tensor.name, &labels, binary, err);
}

static enum gal_status put_items(struct encoder *e, const struct gal_value *v, bool binary,
                                 struct gal_err *err)
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
            return gal_fail(err, GAL_NO_MEMORY, "no memory for output '%.*s'",
                            GAL_STR_ARG(v->tensor.name));
        st = put_tensor(e, &v->items[i].tensor, gal_str_of(name), NULL, binary, err);
    }
    return st;
}

static enum gal_status put_value(struct encoder *e, const struct gal_value *v,
                                 const struct gal_port *port, const struct gal_oip_output *wanted,
                                 struct gal_err *err)
{
    bool binary = wanted->binary;

    if (wanted->place.region.p != NULL && v->kind == GAL_KIND_TENSOR) {
        put_placed(e->out, &v->tensor, &wanted->place);
        return GAL_OK;
    }
    switch (v->kind) {
    case GAL_KIND_TENSOR:
        return put_tensor(e, &v->tensor, v->tensor.name, NULL, binary, err);
    case GAL_KIND_MAP:
        return put_maps(e, v, port, binary, err);
    case GAL_KIND_SEQUENCE:
        return port->of_maps ? put_maps(e, v, port, binary, err) : put_items(e, v, binary, err);
    case GAL_KIND_NONE:
        break;
    }
    return GAL_OK;
}

static void put_head(struct gal_buf *out, const struct gal_model *m,
                     const struct gal_oip_request *req)
{
    gal_buf_putc(out, '{');
    if (req->id.p != NULL) {
        gal_buf_puts(out, "\"id\":");
        gal_json_put_str(out, req->id);
        gal_buf_putc(out, ',');
    }
    gal_buf_puts(out, "\"model_name\":");
    gal_json_put_str(out, gal_str_of(m->name));
    gal_buf_puts(out, ",\"model_version\":");
    gal_json_put_str(out, gal_str_of(m->version));
    if (req->content_type.p != NULL) {
        gal_buf_puts(out, ",\"parameters\":{\"content_type\":");
        gal_json_put_str(out, req->content_type);
        gal_buf_putc(out, '}');
    }
    gal_buf_puts(out, ",\"outputs\":[");
}

enum gal_status gal_oip_encode(const struct gal_model *m, const struct gal_oip_request *req,
                               const struct gal_infer *inf, struct gal_arena *arena,
                               struct gal_buf *out, struct gal_oip_answer *answer,
                               struct gal_err *err)
{
    const struct gal_oip_output untold = {.binary = req->binary_output};
    struct encoder e = {arena, out, NULL, 1, false, gal_oip_has_content(req)};
    size_t parts_max = 1;
    enum gal_status st = GAL_OK;

    for (size_t i = 0; i < inf->wanted_count; i++)
        parts_max += inf->outputs[i].kind == GAL_KIND_SEQUENCE ? inf->outputs[i].count + 1 : 1;
    e.parts = gal_arena_small(arena, parts_max * sizeof(*e.parts));
    if (e.parts == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the answer");
    put_head(out, m, req);
    for (size_t i = 0; i < inf->wanted_count && st == GAL_OK; i++)
        st = put_value(&e, &inf->outputs[i], &m->info->outputs[inf->wanted[i]],
                       req->output_count > 0 ? &req->outputs[i] : &untold, err);
    if (st != GAL_OK)
        return st;
    if (!out->failed && out->p[out->n - 1] == ',')
        out->n--;
    gal_buf_puts(out, "]}");
    if (out->failed)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the answer, or it is beyond %lu bytes",
                        (unsigned long)out->max);
    e.parts[0] = gal_buf_str(out);
    *answer = (struct gal_oip_answer){e.parts, e.part_count, e.binary};
    return GAL_OK;
}
