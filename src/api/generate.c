/* SPDX-License-Identifier: Apache-2.0 */
/* The generate extension: inference by plain names and values. A key of the body that is an input's
 * name is that tensor, a value or a flat list of values; `id` and `parameters` are as in an
 * inference request, and any other key is a parameter. The answer is as flat. */
#include "api/body.h"
#include "api/oip.h"
#include "api/route.h"
#include "codec/tensor_json.h"

#define TYPE_EVENTS GAL_STR("text/event-stream; charset=utf-8")

/* --- the request --- */

/* The port's shape for `count` elements: one open size takes them, the others are 1, the last of
 * them first. */
static enum gal_status guess_shape(const struct gal_port *port, size_t count, int64_t *shape,
                                   struct gal_err *err)
{
    size_t known = 1, open = SIZE_MAX;
    bool overflow = false;

    for (size_t i = 0; i < port->rank; i++) {
        shape[i] = port->shape[i] < 0 ? 1 : port->shape[i];
        if (port->shape[i] < 0)
            open = i;
        else
            overflow |= __builtin_mul_overflow(known, (size_t)port->shape[i], &known);
    }
    if (!overflow && known == count)
        return GAL_OK;
    if (!overflow && open != SIZE_MAX && known > 0 && count % known == 0) {
        shape[open] = (int64_t)(count / known);
        return GAL_OK;
    }
    gal_fail(err, GAL_INVALID, "%zu values do not fill input '%s' of %zu%s", count, port->name.p,
             known, open != SIZE_MAX ? " a row" : "");
    return GAL_INVALID;
}

static enum gal_status read_tensor(struct gal_exchange *x, const struct gal_port *port,
                                   yyjson_val *v, struct gal_tensor *t, struct gal_err *err)
{
    size_t count = yyjson_is_arr(v) ? yyjson_arr_size(v) : 1;
    int64_t *shape;
    char *data;
    enum gal_status st;

    if (port->kind != GAL_KIND_TENSOR || !port->shape_known || port->dtype == GAL_DT_NONE)
        return gal_fail(err, GAL_UNSUPPORTED, "input '%s' has no shape that values could fill",
                        port->name.p);
    shape = gal_arena_small(&x->arena, (port->rank + 1) * sizeof(*shape));
    if (shape == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the request");
    *t = (struct gal_tensor){port->name, port->dtype, port->rank, shape, 0, NULL};
    st = guess_shape(port, count, shape, err);
    if (st == GAL_OK)
        st = gal_shape_count(shape, t->rank, t->dtype, &t->count, err);
    if (st != GAL_OK)
        return st;
    if (yyjson_is_arr(v))
        return gal_tensor_from_json(v, t, port->name.p, &x->arena, err);
    data = gal_arena_alloc(&x->arena, gal_dtype_size(t->dtype) + sizeof(struct gal_str));
    if (data == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the request");
    t->data = data;
    st = gal_element_from_json(v, t->dtype, data, 0, &x->arena, err);
    if (st != GAL_OK)
        gal_err_place(err, "%s", port->name.p);
    return st;
}

/* A parameter at the top or among `parameters`. */
static enum gal_status read_parameters(yyjson_val *object, struct gal_oip_request *req,
                                       struct gal_err *err)
{
    yyjson_val *key, *v;
    size_t i, n;

    yyjson_obj_foreach(object, i, n, key, v)
    {
        enum gal_status st = gal_oip_take_parameter(gal_body_text(key), v, req, err);

        if (st != GAL_OK)
            return st;
    }
    return GAL_OK;
}

static enum gal_status read_member(struct gal_exchange *x, struct gal_str key, yyjson_val *v,
                                   struct gal_oip_request *req, struct gal_err *err)
{
    const struct gal_model_info *info = x->model->info;
    size_t port = gal_port_find(info->inputs, info->input_count, key);

    if (port != SIZE_MAX)
        return read_tensor(x, &info->inputs[port], v, &req->inputs[req->input_count++], err);
    if (gal_str_is(key, "id")) {
        if (!yyjson_is_str(v) || yyjson_get_len(v) > GAL_REQUEST_ID_BYTES_MAX)
            return gal_body_fail_type(v, "a short string", key, err);
        req->id = gal_body_text(v);
        return GAL_OK;
    }
    if (!gal_str_is(key, "parameters"))
        return gal_oip_take_parameter(key, v, req, err);
    if (!yyjson_is_obj(v))
        return gal_body_fail_type(v, "an object", key, err);
    return read_parameters(v, req, err);
}

static enum gal_status read_request(struct gal_exchange *x, struct gal_oip_request *req,
                                    struct gal_err *err)
{
    yyjson_val *root, *key, *v;
    size_t i, n;
    enum gal_status st = gal_body_object(x, &root, err);

    memset(req, 0, sizeof(*req));
    if (st != GAL_OK)
        return st;
    if (root == NULL)
        return gal_fail(err, GAL_INVALID, "JSON expected, got nothing");
    req->inputs = gal_arena_array(&x->arena, yyjson_obj_size(root) + 1, sizeof(*req->inputs));
    if (req->inputs == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the request");
    yyjson_obj_foreach(root, i, n, key, v)
    {
        if (yyjson_is_null(v))
            continue;
        st = read_member(x, gal_body_text(key), v, req, err);
        if (st != GAL_OK)
            return st;
    }
    return GAL_OK;
}

/* --- the answer --- */

/* Maps are their values, as in an inference's answer. */
static enum gal_status put_output(struct gal_exchange *x, const struct gal_value *v,
                                  const struct gal_port *port, struct gal_err *err)
{
    const struct gal_tensor *t = &v->tensor;
    bool is_maps = v->kind == GAL_KIND_MAP || (port->of_maps && v->count > 0);
    struct gal_tensor labels, scores;

    if (v->kind == GAL_KIND_NONE)
        return GAL_OK;
    if (is_maps) {
        if (gal_value_zipmap(v, &x->arena, &labels, &scores, err) != GAL_OK)
            return err->code;
        t = &scores;
    } else if (v->kind != GAL_KIND_TENSOR)
        return gal_fail(err, GAL_UNSUPPORTED, "output '%.*s' is no tensor: use /infer",
                        GAL_STR_ARG(t->name));
    gal_buf_putc(&x->out, ',');
    gal_json_put_str(&x->out, t->name);
    gal_buf_putc(&x->out, ':');
    return t->count == 1 ? gal_element_to_json(t, 0, &x->out, err)
                         : gal_tensor_to_json(t, false, &x->out, err);
}

static enum gal_status put_answer(struct gal_exchange *x, struct gal_infer *inf,
                                  struct gal_err *err)
{
    const struct gal_oip_request *req = inf->state;
    enum gal_status st = GAL_OK;

    gal_buf_putc(&x->out, '{');
    if (req->id.p != NULL) {
        gal_buf_puts(&x->out, "\"id\":");
        gal_json_put_str(&x->out, req->id);
        gal_buf_putc(&x->out, ',');
    }
    gal_buf_puts(&x->out, "\"model_name\":");
    gal_json_put_str(&x->out, gal_str_of(x->model->name));
    gal_buf_puts(&x->out, ",\"model_version\":");
    gal_json_put_str(&x->out, gal_str_of(x->model->version));
    for (size_t i = 0; i < inf->wanted_count && st == GAL_OK; i++)
        st = put_output(x, &inf->outputs[i], &x->model->info->outputs[inf->wanted[i]], err);
    gal_buf_putc(&x->out, '}');
    if (st == GAL_OK && x->out.failed)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the answer");
    return st;
}

static void encode(struct gal_exchange *x, struct gal_infer *inf)
{
    struct gal_err err;

    if (put_answer(x, inf, &err) == GAL_OK)
        gal_exchange_finish(x, 200, GAL_TYPE_JSON);
    else
        gal_exchange_fail(x, &err);
}

/* A model here has one answer: one event. */
static void encode_event(struct gal_exchange *x, struct gal_infer *inf)
{
    struct gal_err err;

    gal_buf_puts(&x->out, "data: ");
    if (put_answer(x, inf, &err) != GAL_OK) {
        gal_exchange_fail(x, &err);
        return;
    }
    gal_buf_puts(&x->out, "\n\n");
    gal_exchange_header(x, GAL_STR("Cache-Control"), GAL_STR("no-store"));
    gal_exchange_finish(x, 200, TYPE_EVENTS);
}

static void generate(struct gal_exchange *x,
                     void (*encode_answer)(struct gal_exchange *x, struct gal_infer *inf))
{
    struct gal_oip_request *req = gal_arena_small(&x->arena, sizeof(*req));
    struct gal_err err;
    struct gal_infer *inf = gal_oip_open(x, x->params[0], x->params[1], &err);

    if (inf != NULL && req == NULL) {
        inf = NULL;
        gal_fail(&err, GAL_NO_MEMORY, "no memory for the request");
    }
    if (inf != NULL && read_request(x, req, &err) == GAL_OK)
        gal_oip_run(x, inf, req, encode_answer);
    else
        gal_exchange_fail(x, &err);
}

void gal_handle_generate(struct gal_exchange *x)
{
    generate(x, encode);
}

void gal_handle_generate_stream(struct gal_exchange *x)
{
    generate(x, encode_event);
}
