/* SPDX-License-Identifier: Apache-2.0 */
#include "model/pad.h"

#include "base/limits.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

/* What stands for one element that was not there, little-endian as all of galley's tensors. */
struct fill {
    uint64_t bits;
    bool is_set;
};

struct axis {
    struct gal_str name;        /* symbolic; empty: the one dimension that follows */
    size_t input, index;        /* of a nameless one */
    size_t mask;                /* an input; SIZE_MAX: none */
    struct gal_padding padding; /* the arena's text */
};

struct gal_pad {
    const struct gal_model_info *info;
    size_t axis_count;
    struct axis axes[GAL_PADDINGS_MAX];
    struct fill *fills; /* one an input */
};

/* ---- where an axis is ---- */

static bool is_open(const struct gal_port *port, size_t dim)
{
    return port->shape[dim] < 0;
}

static bool is_padded(const struct gal_port *port)
{
    return port->kind == GAL_KIND_TENSOR && port->shape_known;
}

static bool is_named(const struct gal_port *port, size_t dim, struct gal_str name)
{
    return name.n > 0 && is_open(port, dim) && gal_str_is(name, port->dims[dim]);
}

static bool carries_in(const struct axis *a, const struct gal_model_info *info, size_t input,
                       size_t dim)
{
    if (!is_padded(&info->inputs[input]))
        return false;
    if (a->name.n > 0)
        return is_named(&info->inputs[input], dim, a->name);
    return a->input == input && a->index == dim;
}

static bool carries_anywhere(const struct axis *a, const struct gal_model_info *info, size_t input)
{
    for (size_t d = 0; d < info->inputs[input].rank; d++) {
        if (carries_in(a, info, input, d))
            return true;
    }
    return false;
}

/* Some input carries the axis in this place. */
static bool is_place(const struct axis *a, const struct gal_model_info *info, size_t dim)
{
    for (size_t i = 0; i < info->input_count; i++) {
        if (dim < info->inputs[i].rank && carries_in(a, info, i, dim))
            return true;
    }
    return false;
}

static bool carries_out(const struct axis *a, const struct gal_model_info *info, size_t output,
                        size_t dim)
{
    const struct gal_port *port = &info->outputs[output];
    if (!is_padded(port) || dim >= port->rank || !is_open(port, dim))
        return false;
    if (port->dims[dim][0] != '\0')
        return gal_str_is(a->name, port->dims[dim]);
    return is_place(a, info, dim);
}

/* ---- at load ---- */

static enum gal_status fail_unknown(const struct gal_model_info *info, struct gal_str axis,
                                    struct gal_err *err)
{
    gal_fail(err, GAL_INVALID, "no input of the model has a dimension '%.*s'", GAL_STR_ARG(axis));
    for (size_t i = 0; i < info->input_count; i++) {
        const struct gal_port *port = &info->inputs[i];
        for (size_t d = port->rank; is_padded(port) && d-- > 0;) {
            if (!is_open(port, d))
                continue;
            if (port->dims[d][0] != '\0')
                gal_err_hint(err, "one that it has: '%.64s' (%.64s:%zu)", port->dims[d],
                             port->name.p, d);
            else
                gal_err_hint(err, "one that it has: '%.64s:%zu'", port->name.p, d);
            return GAL_INVALID;
        }
    }
    gal_err_hint(err, "all its dimensions are fixed");
    return GAL_INVALID;
}

static enum gal_status find_place(struct axis *a, const struct gal_model_info *info,
                                  struct gal_str text, struct gal_err *err)
{
    const char *colon = text.n > 0 ? memrchr(text.p, ':', text.n) : NULL;
    if (!colon)
        return fail_unknown(info, text, err);
    struct gal_str name = {text.p, (size_t)(colon - text.p)};
    uint64_t index;
    size_t i = gal_port_find(info->inputs, info->input_count, name);
    if (i == SIZE_MAX || gal_str_u64((struct gal_str){colon + 1, text.n - name.n - 1}, &index))
        return fail_unknown(info, text, err);
    const struct gal_port *port = &info->inputs[i];
    if (!is_padded(port))
        return gal_fail(err, GAL_INVALID, "input '%s' is a %s whose dimensions are not known",
                        port->name.p, port->type_text);
    if (index >= port->rank)
        return gal_fail(err, GAL_INVALID, "input '%s' has %zu dimensions, counted from 0",
                        port->name.p, port->rank);
    if (!is_open(port, index))
        return gal_fail(err, GAL_INVALID,
                        "dimension %zu of input '%s' is not open: it is always %" PRId64,
                        (size_t)index, port->name.p, port->shape[index]);
    a->input = i;
    a->index = index;
    a->name = gal_str_of(port->dims[index]);
    return GAL_OK;
}

static enum gal_status find_axis(struct axis *a, const struct gal_model_info *info, bool batch_dim,
                                 struct gal_err *err)
{
    struct gal_str text = a->padding.axis;
    enum gal_status status = GAL_OK;
    bool found = false;
    a->name = text;
    for (size_t i = 0; !found && text.n > 0 && i < info->input_count; i++)
        found = carries_anywhere(a, info, i);
    if (!found)
        status = find_place(a, info, text, err);
    if (!status && batch_dim && is_place(a, info, 0)) {
        status = gal_fail(err, GAL_INVALID, "'%.*s' is the batch dimension", GAL_STR_ARG(text));
        gal_err_hint(err, "name another one: the batch is filled by requests");
    }
    return status;
}

static enum gal_status find_mask(struct axis *a, const struct gal_model_info *info,
                                 struct gal_err *err)
{
    struct gal_str name = a->padding.mask;
    a->mask = SIZE_MAX;
    if (name.n == 0)
        return GAL_OK;
    a->mask = gal_port_find(info->inputs, info->input_count, name);
    if (a->mask == SIZE_MAX)
        return gal_fail(err, GAL_INVALID, "the mask '%.*s' is no input of the model",
                        GAL_STR_ARG(name));
    const struct gal_port *port = &info->inputs[a->mask];
    if (!carries_anywhere(a, info, a->mask))
        return gal_fail(err, GAL_INVALID, "the mask '%s' has no dimension '%.*s'", port->name.p,
                        GAL_STR_ARG(a->padding.axis));
    if (port->dtype == GAL_DT_BYTES)
        return gal_fail(err, GAL_INVALID, "the mask '%s' holds text", port->name.p);
    return GAL_OK;
}

static enum gal_status check_buckets(const struct gal_padding *padding, struct gal_err *err)
{
    if (padding->bucket_count == 0 || padding->bucket_count > GAL_BUCKETS_MAX) {
        gal_fail(err, GAL_INVALID, "there are %zu buckets, not 1 to %u", padding->bucket_count,
                 GAL_BUCKETS_MAX);
        gal_err_hint(err, "name the sizes that requests are filled up to: 16, 32, 64");
        return GAL_INVALID;
    }
    for (size_t i = 0; i < padding->bucket_count; i++) {
        int64_t before = i > 0 ? padding->buckets[i - 1] : 0;
        if (padding->buckets[i] <= before)
            return gal_fail(err, GAL_INVALID,
                            "buckets ascend from 1: %" PRId64 " does not come behind %" PRId64,
                            padding->buckets[i], before);
    }
    return GAL_OK;
}

/* The bounds of an integer type: [-2^low, 2^high). */
static bool fits_int(enum gal_dtype dtype, double value)
{
    bool is_signed = dtype >= GAL_DT_INT8 && dtype <= GAL_DT_INT64;
    int bits = 8 * (int)gal_dtype_size(dtype) - is_signed;
    if (dtype == GAL_DT_BOOL)
        return value == 0 || value == 1;
    return value == floor(value) && value < ldexp(1, bits) &&
           value >= (is_signed ? -ldexp(1, bits) : 0);
}

static bool make_bits(enum gal_dtype dtype, double value, uint64_t *out)
{
    float single = (float)value;
    *out = 0;
    switch (dtype) {
    case GAL_DT_FP64:
        memcpy(out, &value, sizeof value);
        return true;
    case GAL_DT_FP32:
        memcpy(out, &single, sizeof single);
        return true;
    case GAL_DT_FP16:
        *out = gal_fp16_from_fp64(value);
        return true;
    case GAL_DT_BF16:
        *out = gal_bf16_from_fp64(value);
        return true;
    case GAL_DT_BYTES:
    case GAL_DT_NONE:
        return true;
    default: /* two's complement: the low bytes of 64 bits */
        if (!fits_int(dtype, value))
            return false;
        *out = value < 0 ? (uint64_t)(int64_t)value : (uint64_t)value;
        return true;
    }
}

static enum gal_status fill_inputs(struct gal_pad *p, const struct axis *a, struct gal_err *err)
{
    for (size_t i = 0; i < p->info->input_count; i++) {
        const struct gal_port *port = &p->info->inputs[i];
        double value = i == a->mask ? 0 : a->padding.value;
        uint64_t bits;
        if (!carries_anywhere(a, p->info, i))
            continue;
        if (!make_bits(port->dtype, value, &bits))
            return gal_fail(err, GAL_INVALID, "input '%s' of %s cannot be filled with %g",
                            port->name.p, gal_dtype_name(port->dtype), value);
        if (p->fills[i].is_set && p->fills[i].bits != bits)
            return gal_fail(err, GAL_INVALID,
                            "input '%s' has two padded axes that fill it with different values",
                            port->name.p);
        p->fills[i] = (struct fill){bits, true};
    }
    return GAL_OK;
}

/* Two paddings of one dimension would each want it at another size. */
static enum gal_status check_distinct(const struct gal_pad *p, const struct axis *a,
                                      struct gal_err *err)
{
    for (size_t k = 0; k < p->axis_count; k++) {
        const struct axis *b = &p->axes[k];
        for (size_t i = 0; i < p->info->input_count; i++) {
            for (size_t d = 0; d < p->info->inputs[i].rank; d++) {
                if (carries_in(a, p->info, i, d) && carries_in(b, p->info, i, d))
                    return gal_fail(err, GAL_INVALID, "dimension %zu of input '%s' is padded twice",
                                    d, p->info->inputs[i].name.p);
            }
        }
    }
    return GAL_OK;
}

static enum gal_status add_axis(struct gal_pad *p, const struct gal_padding *padding,
                                bool batch_dim, struct gal_arena *arena, struct gal_err *err)
{
    struct axis *a = &p->axes[p->axis_count];
    a->padding = *padding;
    a->padding.axis.p = gal_arena_strdup(arena, padding->axis);
    if (!a->padding.axis.p)
        return gal_arena_fail(arena, padding->axis.n, "padding", err);
    enum gal_status status = check_buckets(padding, err);
    if (!status)
        status = find_axis(a, p->info, batch_dim, err);
    if (!status)
        status = check_distinct(p, a, err);
    if (!status)
        status = find_mask(a, p->info, err);
    if (!status)
        status = fill_inputs(p, a, err);
    if (status)
        gal_err_place(err, "padding of '%.*s'", GAL_STR_ARG(padding->axis));
    p->axis_count++;
    return status;
}

enum gal_status gal_pad_new(const struct gal_padding *paddings, size_t count,
                            const struct gal_model_info *info, bool batch_dim,
                            struct gal_arena *arena, struct gal_pad **out, struct gal_err *err)
{
    *out = NULL;
    if (count == 0)
        return GAL_OK;
    if (count > GAL_PADDINGS_MAX)
        return gal_fail(err, GAL_INVALID, "more than %u padded axes", GAL_PADDINGS_MAX);
    struct gal_pad *p = gal_arena_small(arena, sizeof *p);
    struct fill *fills = gal_arena_array(arena, info->input_count, sizeof *fills);
    if (!p || !fills)
        return gal_arena_fail(arena, sizeof *p, "padding", err);
    *p = (struct gal_pad){.info = info, .fills = fills};
    if (info->input_count > 0)
        memset(fills, 0, info->input_count * sizeof *fills);
    enum gal_status status = GAL_OK;
    for (size_t i = 0; !status && i < count; i++)
        status = add_axis(p, &paddings[i], batch_dim, arena, err);
    *out = status ? NULL : p;
    return status;
}

/* ---- boxes ---- */

/* Copies the elements that both shapes have, which is all of the smaller one: shapes of one rank,
 * one at most the other in every dimension. Row-major, `size` bytes an element. */
static void copy_box(char *to, const int64_t *to_shape, const char *from, const int64_t *from_shape,
                     size_t rank, size_t size)
{
    int64_t at[GAL_RANK_MAX] = {0}, box[GAL_RANK_MAX];
    size_t inner = rank; /* dimensions from here on are the same in both: one run of bytes */
    for (size_t d = 0; d < rank; d++) {
        box[d] = to_shape[d] < from_shape[d] ? to_shape[d] : from_shape[d];
        if (box[d] == 0)
            return;
    }
    while (inner > 0 && to_shape[inner - 1] == from_shape[inner - 1])
        size *= (size_t)box[--inner];
    size_t run = inner > 0 ? size * (size_t)box[inner - 1] : size;
    for (;;) {
        size_t to_at = 0, from_at = 0;
        for (size_t d = 0; d < inner; d++) {
            to_at = to_at * (size_t)to_shape[d] + (size_t)at[d];
            from_at = from_at * (size_t)from_shape[d] + (size_t)at[d];
        }
        memcpy(to + to_at * size, from + from_at * size, run);
        size_t d = inner > 0 ? inner - 1 : 0; /* at[inner - 1] stays 0: the run covers it */
        while (d > 0 && ++at[d - 1] == box[d - 1])
            at[--d] = 0;
        if (d == 0)
            return;
    }
}

static void fill_all(void *to, size_t count, enum gal_dtype dtype, const struct fill *fill)
{
    size_t size = gal_dtype_size(dtype);
    if (dtype == GAL_DT_BYTES) {
        for (size_t i = 0; i < count; i++)
            ((struct gal_str *)to)[i] = GAL_STR("");
    } else if (fill->bits == 0) {
        memset(to, 0, count * size);
    } else {
        for (size_t i = 0; i < count; i++)
            memcpy((char *)to + i * size, &fill->bits, size);
    }
}

/* ---- in ---- */

static int64_t bucket_of(const struct gal_padding *padding, int64_t size)
{
    for (size_t i = 0; size > 0 && i < padding->bucket_count; i++) {
        if (padding->buckets[i] >= size)
            return padding->buckets[i] > size ? padding->buckets[i] : 0;
    }
    return 0;
}

static bool is_given(const struct gal_pad *p, const struct gal_value *inputs, size_t i)
{
    return inputs[i].kind == GAL_KIND_TENSOR && inputs[i].tensor.rank == p->info->inputs[i].rank;
}

/* The request's size on the axis; 0 when no input that is given carries it. */
static enum gal_status measure(const struct gal_pad *p, const struct axis *a,
                               const struct gal_value *inputs, int64_t *out, struct gal_err *err)
{
    const char *first = NULL;
    *out = 0;
    for (size_t i = 0; i < p->info->input_count; i++) {
        const struct gal_tensor *t = &inputs[i].tensor;
        for (size_t d = 0; is_given(p, inputs, i) && d < t->rank; d++) {
            if (!carries_in(a, p->info, i, d))
                continue;
            if (first && *out != t->shape[d])
                return gal_fail(err, GAL_INVALID,
                                "inputs '%.100s' and '%.100s' differ on '%.*s': %" PRId64
                                " and %" PRId64,
                                first, p->info->inputs[i].name.p, GAL_STR_ARG(a->padding.axis),
                                *out, t->shape[d]);
            first = p->info->inputs[i].name.p;
            *out = t->shape[d];
        }
    }
    return GAL_OK;
}

static enum gal_status measure_all(const struct gal_pad *p, const struct gal_value *inputs,
                                   struct gal_padded *state, struct gal_err *err)
{
    for (size_t k = 0; k < p->axis_count; k++) {
        const struct axis *a = &p->axes[k];
        enum gal_status status = measure(p, a, inputs, &state->from[k], err);
        if (status)
            return status;
        if (a->mask == SIZE_MAX || is_given(p, inputs, a->mask))
            state->to[k] = bucket_of(&a->padding, state->from[k]);
        state->any |= state->to[k] > 0;
    }
    return GAL_OK;
}

/* Makes room for a tensor of this shape, which takes t's place. */
static enum gal_status make_room(const struct gal_tensor *t, const int64_t *shape,
                                 struct gal_arena *arena, struct gal_tensor *out,
                                 struct gal_err *err)
{
    size_t count;
    enum gal_status status = gal_shape_count(shape, t->rank, t->dtype, &count, err);
    if (status)
        return status;
    int64_t *own = gal_arena_array(arena, t->rank, sizeof *own);
    void *data = own ? gal_arena_array(arena, count, gal_dtype_size(t->dtype)) : NULL;
    if (!data)
        return gal_arena_fail(arena, count * gal_dtype_size(t->dtype), "padding", err);
    memcpy(own, shape, t->rank * sizeof *own);
    *out = *t;
    out->shape = own;
    out->count = count;
    out->data = data;
    return GAL_OK;
}

/* *out is the input itself when no axis of it is padded. */
static enum gal_status pad_one(const struct gal_pad *p, const struct gal_padded *state, size_t i,
                               const struct gal_tensor *t, struct gal_arena *arena,
                               struct gal_tensor *out, struct gal_err *err)
{
    int64_t shape[GAL_RANK_MAX];
    bool grows = false;
    *out = *t;
    for (size_t d = 0; d < t->rank; d++) {
        shape[d] = t->shape[d];
        for (size_t k = 0; k < p->axis_count; k++) {
            if (state->to[k] == 0 || !carries_in(&p->axes[k], p->info, i, d))
                continue;
            shape[d] = state->to[k];
            grows = true;
        }
    }
    if (!grows)
        return GAL_OK;
    enum gal_status status = make_room(t, shape, arena, out, err);
    if (status)
        return status;
    void *data = (void *)(uintptr_t)out->data; /* the arena's, from make_room */
    fill_all(data, out->count, t->dtype, &p->fills[i]);
    copy_box(data, out->shape, t->data, t->shape, t->rank, gal_dtype_size(t->dtype));
    return GAL_OK;
}

enum gal_status gal_pad_in(const struct gal_pad *p, struct gal_value *inputs,
                           struct gal_arena *arena, struct gal_padded *state, struct gal_err *err)
{
    *state = (struct gal_padded){.any = false};
    if (!p)
        return GAL_OK;
    size_t count = p->info->input_count;
    enum gal_status status = measure_all(p, inputs, state, err);
    if (status || !state->any)
        return status;
    struct gal_tensor *padded = gal_arena_array(arena, count, sizeof *padded);
    if (!padded)
        return gal_arena_fail(arena, count * sizeof *padded, "padding", err);
    for (size_t i = 0; !status && i < count; i++) {
        if (is_given(p, inputs, i))
            status = pad_one(p, state, i, &inputs[i].tensor, arena, &padded[i], err);
    }
    for (size_t i = 0; !status && i < count; i++) {
        if (is_given(p, inputs, i))
            inputs[i].tensor = padded[i];
    }
    return status;
}

/* ---- out ---- */

/* All that the shape keeps lies at the front of what is there. */
static bool is_front(const int64_t *shape, const int64_t *whole, size_t rank)
{
    size_t d = 0;
    while (d < rank && whole[d] == shape[d] && shape[d] == 1)
        d++;
    for (d = d + 1; d < rank; d++) {
        if (shape[d] != whole[d])
            return false;
    }
    return true;
}

static enum gal_status cut_one(struct gal_tensor *t, const int64_t *shape, struct gal_arena *arena,
                               struct gal_err *err)
{
    struct gal_tensor cut = *t;
    if (is_front(shape, t->shape, t->rank)) {
        int64_t *own = gal_arena_array(arena, t->rank, sizeof *own);
        if (!own)
            return gal_arena_fail(arena, t->rank * sizeof *own, "padding", err);
        memcpy(own, shape, t->rank * sizeof *own);
        cut.shape = own;
        cut.count = 1;
        for (size_t d = 0; d < t->rank; d++)
            cut.count *= (size_t)shape[d];
    } else {
        enum gal_status status = make_room(t, shape, arena, &cut, err);
        if (status)
            return status;
        copy_box((void *)(uintptr_t)cut.data, cut.shape, t->data, t->shape, t->rank,
                 gal_dtype_size(t->dtype));
    }
    *t = cut;
    return GAL_OK;
}

enum gal_status gal_pad_out(const struct gal_pad *p, const struct gal_padded *state,
                            const size_t *wanted, size_t output_count, struct gal_value *outputs,
                            struct gal_arena *arena, struct gal_err *err)
{
    enum gal_status status = GAL_OK;
    if (!p || !state->any)
        return GAL_OK;
    for (size_t i = 0; !status && i < output_count; i++) {
        struct gal_tensor *t = &outputs[i].tensor;
        int64_t shape[GAL_RANK_MAX];
        bool shrinks = false;
        for (size_t d = 0; outputs[i].kind == GAL_KIND_TENSOR && d < t->rank; d++) {
            shape[d] = t->shape[d];
            for (size_t k = 0; k < p->axis_count; k++) {
                if (state->to[k] == 0 || t->shape[d] != state->to[k] ||
                    !carries_out(&p->axes[k], p->info, wanted[i], d))
                    continue;
                shape[d] = state->from[k];
                shrinks = true;
            }
        }
        if (shrinks)
            status = cut_one(t, shape, arena, err);
    }
    return status;
}
