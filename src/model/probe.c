/* SPDX-License-Identifier: Apache-2.0 */
#include "model/probe.h"

#include "base/limits.h"

#include <stdio.h>

#define PROBE_BYTES_MAX (256ul << 20)

struct
try {
    bool ones;
    int64_t dim;  /* of open dimensions behind the first */
    int64_t rows; /* the first dimension, where it is open */
};

static const struct try tries[GAL_PROBE_TRIES] = {
    {false, 1, 1}, {true, 1, 1},   {false, 2, 1}, {true, 2, 1},    {false, 16, 1},
    {true, 16, 1}, {false, 32, 1}, {true, 32, 1}, {false, 224, 1}, {true, 224, 1},
};

static void fill_ones(enum gal_dtype dtype, void *data, size_t count)
{
    uint64_t bits = 1;
    double d = 1.0;
    float f = 1.0f;
    if (dtype == GAL_DT_FP64)
        memcpy(&bits, &d, sizeof d);
    else if (dtype == GAL_DT_FP32)
        memcpy(&bits, &f, sizeof f);
    else if (dtype == GAL_DT_FP16)
        bits = gal_fp16_from_fp32(1.0f);
    else if (dtype == GAL_DT_BF16)
        bits = gal_bf16_from_fp32(1.0f);
    size_t size = gal_dtype_size(dtype);
    for (size_t i = 0; i < count; i++)
        memcpy((char *)data + i * size, &bits,
               size); /* little-endian, as all of galley's tensors */
}

/* A text that the model knows where it tells one: encoders may refuse any other. */
static struct gal_str made_up_text(const struct gal_port *port, const struct try *try)
{
    if (port->values)
        return port->values[0];
    return try->ones ? GAL_STR("1") : GAL_STR("");
}

static enum gal_status fill(struct gal_tensor *t, const struct gal_port *port,
                            const struct try *try, struct gal_arena *arena, struct gal_err *err)
{
    enum gal_status status = gal_shape_count(t->shape, t->rank, t->dtype, &t->count, err);
    if (status)
        return GAL_NO_MEMORY;
    void *data = gal_arena_array(arena, t->count, gal_dtype_size(t->dtype));
    if (!data)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a made-up input");
    t->data = data;
    if (t->dtype == GAL_DT_BYTES) {
        for (size_t i = 0; i < t->count; i++)
            ((struct gal_str *)data)[i] = made_up_text(port, try);
    } else if (try->ones) {
        fill_ones(t->dtype, data, t->count);
    } else if (t->count > 0) {
        memset(data, 0, t->count * gal_dtype_size(t->dtype));
    }
    return GAL_OK;
}

/* The port's tensor, or its sequence's element. */
static enum gal_status make_tensor(const struct gal_port *port, const struct try *try,
                                   struct gal_arena *arena, struct gal_value *v,
                                   struct gal_err *err)
{
    size_t rank = port->shape_known ? port->rank : try->dim == 1 ? 1 : 2;
    int64_t *shape = gal_arena_array(arena, rank, sizeof *shape);
    if (!shape)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a made-up input");
    for (size_t i = 0; i < rank; i++) {
        bool is_open = !port->shape_known || port->shape[i] < 0;
        shape[i] = !is_open ? port->shape[i] : i == 0 ? try->rows : try->dim;
    }
    *v = (struct gal_value){
        .kind = GAL_KIND_TENSOR,
        .tensor = {.name = port->name, .dtype = port->dtype, .rank = rank, .shape = shape}};
    return fill(&v->tensor, port, try, arena, err);
}

static enum gal_status make_items(struct gal_value *v, enum gal_kind kind, size_t count,
                                  struct gal_arena *arena, struct gal_err *err)
{
    v->items = gal_arena_array(arena, count, sizeof *v->items);
    if (!v->items)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a made-up input");
    v->kind = kind;
    v->count = count;
    return GAL_OK;
}

/* One key with its value. */
static enum gal_status make_map(const struct gal_port *port, const struct try *try,
                                struct gal_arena *arena, struct gal_value *v, struct gal_err *err)
{
    static const int64_t one[] = {1};
    enum gal_status status = make_items(v, GAL_KIND_MAP, 2, arena, err);
    for (size_t i = 0; !status && i < 2; i++) {
        v->items[i] = (struct gal_value){
            .kind = GAL_KIND_TENSOR,
            .tensor = {.dtype = i ? port->dtype : port->key_dtype, .rank = 1, .shape = one}};
        status = fill(&v->items[i].tensor, port, try, arena, err);
    }
    return status;
}

static enum gal_status make_input(const struct gal_port *port, const struct try *try,
                                  struct gal_arena *arena, struct gal_value *v, struct gal_err *err)
{
    *v = (struct gal_value){.kind = GAL_KIND_NONE, .tensor.name = port->name};
    if (port->optional)
        return GAL_OK;
    if (port->dtype == GAL_DT_NONE)
        return gal_fail(err, GAL_UNSUPPORTED, "input %s is a %s: no datatype of the protocol",
                        port->name.p, port->type_text);
    if (port->kind == GAL_KIND_TENSOR)
        return make_tensor(port, try, arena, v, err);
    if (port->kind == GAL_KIND_MAP)
        return make_map(port, try, arena, v, err);
    enum gal_status status = make_items(v, GAL_KIND_SEQUENCE, 1, arena, err);
    if (status)
        return status;
    return port->of_maps ? make_map(port, try, arena, &v->items[0], err)
                         : make_tensor(port, try, arena, &v->items[0], err);
}

static void say_shape(const struct gal_value *v, char *text, size_t size)
{
    if (v->kind == GAL_KIND_TENSOR)
        gal_shape_format(v->tensor.shape, v->tensor.rank, text, size);
    else
        snprintf(text, size, "[%zu]", v->count);
}

enum gal_status gal_probe_call(const struct gal_probe_target *t, const struct gal_value *inputs,
                               struct gal_arena *arena, uint64_t *cost_us, char *shape_text,
                               size_t size, struct gal_err *err)
{
    size_t out = t->ops->info(t->session)->output_count;
    struct gal_value *outputs = gal_arena_array(arena, out, sizeof *outputs);
    size_t *wanted = gal_arena_array(arena, out, sizeof *wanted);
    if (!outputs || !wanted)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a made-up input");
    for (size_t i = 0; i < out; i++)
        wanted[i] = i;
    uint64_t start_us = gal_mono_us(t->clock);
    enum gal_status status = t->ops->run(t->session, inputs, wanted, out, arena, outputs, err);
    if (cost_us)
        *cost_us = gal_mono_us(t->clock) - start_us;
    if (!status && shape_text && out > 0)
        say_shape(&outputs[0], shape_text, size);
    for (size_t i = 0; !status && i < out; i++)
        t->ops->release_output(t->session, &outputs[i]);
    return status;
}

static enum gal_status run(const struct gal_probe_target *t, const struct try *try,
                           struct gal_arena *arena, uint64_t *cost_us, char *shape_text,
                           size_t size, struct gal_err *err)
{
    const struct gal_model_info *info = t->ops->info(t->session);
    struct gal_value *inputs = gal_arena_array(arena, info->input_count, sizeof *inputs);
    enum gal_status status = GAL_OK;
    if (!inputs)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a made-up input");
    for (size_t i = 0; !status && i < info->input_count; i++)
        status = make_input(&info->inputs[i], try, arena, &inputs[i], err);
    return status ? status : gal_probe_call(t, inputs, arena, cost_us, shape_text, size, err);
}

enum gal_status gal_probe_run(const struct gal_probe_target *target, unsigned try,
                              uint64_t *cost_us, char *shape_text, size_t size, struct gal_err *err)
{
    GAL_ASSERT(try < GAL_PROBE_TRIES);
    struct try made_up = tries[try];
    struct gal_arena arena;
    if (target->rows > 1)
        made_up.rows = (int64_t)target->rows;
    gal_arena_init(&arena, GAL_ARENA_FIRST_BYTES, 0, PROBE_BYTES_MAX);
    enum gal_status status = run(target, &made_up, &arena, cost_us, shape_text, size, err);
    gal_arena_release(&arena);
    return status;
}

int64_t gal_probe_open_size(unsigned try)
{
    GAL_ASSERT(try < GAL_PROBE_TRIES);
    return tries[try].dim;
}
