/* SPDX-License-Identifier: Apache-2.0 */
#include "model/warmup.h"

#include "base/file.h"

#define SAMPLE_BYTES_MAX (256ul << 20) /* decoded inputs of one sample */
#define RANDOM_TEXT_BYTES 8u

/* One sample on its way. */
struct sample {
    const struct gal_warmup *w;
    const struct gal_model_info *info;
    struct gal_value *inputs; /* the model's, in its order */
    struct gal_buf *files;    /* what inputs borrow from; as many as w->input_count */
    struct gal_rng rng;
    struct gal_arena arena;
    struct gal_err *err;
};

size_t gal_warmup_rows(const struct gal_warmup *w)
{
    return w->batch_size ? w->batch_size : 1;
}

static enum gal_status no_memory(struct sample *s)
{
    return gal_fail(s->err, GAL_NO_MEMORY, "no memory for it");
}

/* ---- data ---- */

/* Numbers from 0 to 1 for floats, all bits for whole numbers, so that each sample of one name is
 * the same in every process. */
static void fill_random(struct sample *s, enum gal_dtype dtype, void *data, size_t count)
{
    size_t size = gal_dtype_size(dtype);
    for (size_t i = 0; i < count; i++) {
        uint64_t bits = gal_rng_next(&s->rng);
        double d = (double)(bits >> 11) / 9007199254740992.0;
        float f = (float)d;
        if (dtype == GAL_DT_FP64)
            memcpy(&bits, &d, sizeof d);
        else if (dtype == GAL_DT_FP32)
            memcpy(&bits, &f, sizeof f);
        else if (dtype == GAL_DT_FP16)
            bits = gal_fp16_from_fp32(f);
        else if (dtype == GAL_DT_BF16)
            bits = gal_bf16_from_fp32(f);
        else if (dtype == GAL_DT_BOOL)
            bits &= 1;
        memcpy((char *)data + i * size, &bits, size); /* little-endian */
    }
}

static bool fill_texts(struct sample *s, struct gal_str *texts, size_t count, bool is_random)
{
    for (size_t i = 0; i < count; i++) {
        texts[i] = GAL_STR("");
        if (!is_random)
            continue;
        uint64_t bits = gal_rng_next(&s->rng);
        char *p = gal_arena_small(&s->arena, RANDOM_TEXT_BYTES);
        if (!p)
            return false;
        for (size_t k = 0; k < RANDOM_TEXT_BYTES; k++)
            p[k] = (char)('a' + (bits >> (8 * k) & 0xff) % 26);
        texts[i] = (struct gal_str){p, RANDOM_TEXT_BYTES};
    }
    return true;
}

static enum gal_status fill_made_up(struct sample *s, const struct gal_warmup_input *in,
                                    struct gal_tensor *t)
{
    void *data = gal_arena_array(&s->arena, t->count, gal_dtype_size(t->dtype));
    bool is_random = in->from == GAL_WARMUP_RANDOM;
    if (!data)
        return no_memory(s);
    t->data = data;
    if (t->dtype == GAL_DT_BYTES)
        return fill_texts(s, data, t->count, is_random) ? GAL_OK : no_memory(s);
    if (is_random)
        fill_random(s, t->dtype, data, t->count);
    else
        memset(data, 0, t->count * gal_dtype_size(t->dtype));
    return GAL_OK;
}

static enum gal_status fill(struct sample *s, size_t i, struct gal_tensor *t)
{
    const struct gal_warmup_input *in = &s->w->inputs[i];
    if (in->from != GAL_WARMUP_FILE)
        return fill_made_up(s, in, t);
    enum gal_status status = gal_file_read(in->file, SAMPLE_BYTES_MAX, &s->files[i], s->err);
    if (status) {
        gal_buf_init(&s->files[i], 0);
        return status;
    }
    status = gal_tensor_from_raw(t, gal_buf_str(&s->files[i]), &s->arena, s->err);
    if (status)
        gal_err_hint(s->err, "%.150s holds another number of bytes, or other values", in->file);
    return status;
}

/* ---- inputs ---- */

/* The sample's shape, behind its batch where the model has one dimension more. */
static enum gal_status make_shape(struct sample *s, const struct gal_warmup_input *in,
                                  const struct gal_port *port, struct gal_tensor *t)
{
    char told[96], model[96];
    bool rows = port->shape_known ? port->rank == in->rank + 1 : s->w->batch_size > 0;
    int64_t *shape = gal_arena_array(&s->arena, in->rank + rows, sizeof *shape);
    if (!shape)
        return no_memory(s);
    if (rows)
        shape[0] = (int64_t)gal_warmup_rows(s->w);
    if (in->rank > 0)
        memcpy(shape + rows, in->shape, in->rank * sizeof *shape);
    t->shape = shape;
    t->rank = in->rank + rows;
    if (port->shape_known && !gal_shape_fits(shape, t->rank, port->shape, port->rank))
        return gal_fail(s->err, GAL_INVALID, "input '%s' has the shape %s, the model takes %s",
                        port->name.p, gal_shape_format(shape, t->rank, told, sizeof told),
                        gal_shape_format(port->shape, port->rank, model, sizeof model));
    return GAL_OK;
}

static enum gal_status make_input(struct sample *s, size_t i)
{
    const struct gal_warmup_input *in = &s->w->inputs[i];
    size_t at = gal_port_find(s->info->inputs, s->info->input_count, in->name);
    if (at == SIZE_MAX)
        return gal_fail(s->err, GAL_INVALID, "the model has no input '%.100s'", in->name.p);
    const struct gal_port *port = &s->info->inputs[at];
    if (port->kind != GAL_KIND_TENSOR || port->dtype != in->dtype)
        return gal_fail(s->err, GAL_INVALID, "input '%s' is %s in the model, not %s", port->name.p,
                        port->kind == GAL_KIND_TENSOR ? gal_dtype_name(port->dtype)
                                                      : port->type_text,
                        gal_dtype_name(in->dtype));
    struct gal_value *v = &s->inputs[at];
    *v = (struct gal_value){.kind = GAL_KIND_TENSOR,
                            .tensor = {.name = port->name, .dtype = in->dtype}};
    enum gal_status status = make_shape(s, in, port, &v->tensor);
    if (!status)
        status =
            gal_shape_count(v->tensor.shape, v->tensor.rank, in->dtype, &v->tensor.count, s->err);
    return status ? status : fill(s, i, &v->tensor);
}

static enum gal_status make_inputs(struct sample *s)
{
    enum gal_status status = GAL_OK;
    for (size_t i = 0; i < s->info->input_count; i++)
        s->inputs[i] =
            (struct gal_value){.kind = GAL_KIND_NONE, .tensor = {.name = s->info->inputs[i].name}};
    for (size_t i = 0; !status && i < s->w->input_count; i++)
        status = make_input(s, i);
    for (size_t i = 0; !status && i < s->info->input_count; i++) {
        if (s->inputs[i].kind == GAL_KIND_NONE && !s->info->inputs[i].optional)
            status =
                gal_fail(s->err, GAL_INVALID, "input '%s' is missing", s->info->inputs[i].name.p);
    }
    return status;
}

/* ---- the run ---- */

static enum gal_status run(const struct gal_probe_target *t, struct sample *s, uint64_t *cost_us,
                           char *shape_text, size_t size)
{
    s->inputs = gal_arena_array(&s->arena, s->info->input_count, sizeof *s->inputs);
    if (!s->inputs)
        return no_memory(s);
    enum gal_status status = make_inputs(s);
    return status ? status
                  : gal_probe_call(t, s->inputs, &s->arena, cost_us, shape_text, size, s->err);
}

/* "warm-up sample 'x': ..." around what went wrong. */
static void name_sample(const struct gal_model_config *c, const struct gal_warmup *w,
                        const struct gal_err *cause, struct gal_err *err)
{
    gal_fail(err, cause->code, "warm-up sample '%.*s': %s%s%s",
             w->name.n < 64 ? (int)w->name.n : 64, w->name.p, cause->message,
             cause->place[0] ? ", at " : "", cause->place);
    if (c->source)
        gal_err_place(err, "%s:%u", c->source, w->line);
    if (cause->hint[0])
        gal_err_hint(err, "%s", cause->hint);
}

enum gal_status gal_warmup_run(const struct gal_probe_target *target,
                               const struct gal_model_config *c, const struct gal_warmup *w,
                               uint64_t *cost_us, char *shape_text, size_t size,
                               struct gal_err *err)
{
    struct gal_err cause;
    struct sample s = {.w = w, .info = target->ops->info(target->session), .rng = {{1, 2, 3, 4}}};
    s.err = &cause;
    gal_arena_init(&s.arena, GAL_ARENA_FIRST_BYTES, 0, SAMPLE_BYTES_MAX);
    s.files = gal_arena_array(&s.arena, w->input_count, sizeof *s.files);
    enum gal_status status = s.files ? GAL_OK : no_memory(&s);
    for (size_t i = 0; s.files && i < w->input_count; i++)
        gal_buf_init(&s.files[i], 0);
    if (!status)
        status = run(target, &s, cost_us, shape_text, size);
    for (size_t i = 0; s.files && i < w->input_count; i++)
        gal_buf_release(&s.files[i]);
    gal_arena_release(&s.arena);
    if (status)
        name_sample(c, w, &cause, err);
    return status;
}
