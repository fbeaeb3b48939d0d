/* SPDX-License-Identifier: Apache-2.0 */
/* `model_warmup` of a config.pbtxt: samples that a model answers before it is ready. */
#include "model/triton_fields.h"

#define WARMUP_RUNS_MAX 10000 /* of one sample */

/* ---- inputs ---- */

/* An entry of the map `inputs`. */
struct input {
    struct gal_warmup_input *w;
    unsigned sources; /* of zero_data, random_data, input_data_file */
    bool has_type;
};

static enum gal_status take_type(struct gal_triton *t, const struct gal_pbtxt *n,
                                 const struct gal_triton_value *v, void *to)
{
    struct input *in = to;
    in->has_type = true;
    return gal_triton_take_type(t, n, v->text, &in->w->dtype);
}

static enum gal_status take_dim(struct gal_triton *t, const struct gal_pbtxt *n,
                                const struct gal_triton_value *v, void *to)
{
    struct gal_warmup_input *w = ((struct input *)to)->w;
    if (v->i < 1)
        return gal_triton_refuse(t, n,
                                 "model_warmup.inputs.value.dims: %lld is no size: a sample "
                                 "has none that is open",
                                 (long long)v->i);
    if (w->rank == GAL_RANK_MAX - 1)
        return gal_triton_refuse(t, n, "model_warmup.inputs.value.dims: more than %u",
                                 GAL_RANK_MAX - 1);
    w->shape[w->rank++] = v->i;
    return GAL_OK;
}

static enum gal_status take_zero(struct gal_triton *t, const struct gal_pbtxt *n,
                                 const struct gal_triton_value *v, void *to)
{
    struct input *in = to;
    (void)t, (void)n;
    in->sources += v->b;
    if (v->b)
        in->w->from = GAL_WARMUP_ZEROS;
    return GAL_OK;
}

static enum gal_status take_random(struct gal_triton *t, const struct gal_pbtxt *n,
                                   const struct gal_triton_value *v, void *to)
{
    struct input *in = to;
    (void)t, (void)n;
    in->sources += v->b;
    if (v->b)
        in->w->from = GAL_WARMUP_RANDOM;
    return GAL_OK;
}

static enum gal_status take_file(struct gal_triton *t, const struct gal_pbtxt *n,
                                 const struct gal_triton_value *v, void *to)
{
    struct input *in = to;
    if (v->text.n == 0 || v->text.p[0] == '/' || strstr(v->text.p, ".."))
        return gal_triton_refuse(t, n, "input_data_file: a file's name within the model's warmup/");
    in->sources++;
    in->w->from = GAL_WARMUP_FILE;
    in->w->file = gal_arena_printf(t->arena, "%s/warmup/%s", t->dir, v->text.p);
    return in->w->file ? GAL_OK : gal_triton_no_memory(t);
}

static const struct gal_triton_field value_fields[] = {
    {"data_type", GAL_TRITON_WORD, GAL_TRITON_ONCE, take_type, NULL, NULL},
    {"dims", GAL_TRITON_INT, GAL_TRITON_MANY, take_dim, NULL, NULL},
    {"zero_data", GAL_TRITON_FLAG, GAL_TRITON_ONCE, take_zero, NULL, NULL},
    {"random_data", GAL_TRITON_FLAG, GAL_TRITON_ONCE, take_random, NULL, NULL},
    {"input_data_file", GAL_TRITON_TEXT, GAL_TRITON_ONCE, take_file, NULL, NULL},
};
static const struct gal_triton_table value_table =
    GAL_TRITON_TABLE("model_warmup.inputs.value.", value_fields);

static enum gal_status take_input_key(struct gal_triton *t, const struct gal_pbtxt *n,
                                      const struct gal_triton_value *v, void *to)
{
    struct gal_warmup_input *w = ((struct input *)to)->w;
    (void)n;
    w->name = (struct gal_str){gal_arena_strdup(t->arena, v->text), v->text.n};
    return w->name.p ? GAL_OK : gal_triton_no_memory(t);
}

static enum gal_status take_input_value(struct gal_triton *t, const struct gal_pbtxt *n,
                                        const struct gal_triton_value *v, void *to)
{
    (void)v;
    return gal_triton_read_message(t, n, &value_table, to);
}

static const struct gal_triton_field entry_fields[] = {
    {"key", GAL_TRITON_TEXT, GAL_TRITON_ONCE, take_input_key, NULL, NULL},
    {"value", GAL_TRITON_MESSAGE, GAL_TRITON_ONCE, take_input_value, NULL, NULL},
};
static const struct gal_triton_table entry_table =
    GAL_TRITON_TABLE("model_warmup.inputs.", entry_fields);

static enum gal_status take_input(struct gal_triton *t, const struct gal_pbtxt *n,
                                  const struct gal_triton_value *v, void *to)
{
    struct gal_warmup *w = to;
    struct input in = {.w = &w->inputs[w->input_count]};
    (void)v;
    *in.w = (struct gal_warmup_input){0};
    enum gal_status status = gal_triton_read_message(t, n, &entry_table, &in);
    if (status)
        return status;
    if (in.w->name.n == 0)
        return gal_triton_refuse(t, n, "model_warmup.inputs: key, the input's name, is missing");
    if (!in.has_type)
        return gal_triton_refuse(t, n, "model_warmup.inputs: '%s' has no data_type", in.w->name.p);
    if (in.sources != 1)
        return gal_triton_refuse(t, n,
                                 "model_warmup.inputs: '%s' takes one of zero_data, "
                                 "random_data and input_data_file",
                                 in.w->name.p);
    for (size_t i = 0; i < w->input_count; i++) {
        if (gal_str_eq(w->inputs[i].name, in.w->name))
            return gal_triton_refuse(t, n, "model_warmup.inputs: '%s' stands twice", in.w->name.p);
    }
    w->input_count++;
    return GAL_OK;
}

/* ---- samples ---- */

static enum gal_status take_name(struct gal_triton *t, const struct gal_pbtxt *n,
                                 const struct gal_triton_value *v, void *to)
{
    struct gal_warmup *w = to;
    (void)n;
    w->name = (struct gal_str){gal_arena_strdup(t->arena, v->text), v->text.n};
    return w->name.p ? GAL_OK : gal_triton_no_memory(t);
}

static enum gal_status take_batch(struct gal_triton *t, const struct gal_pbtxt *n,
                                  const struct gal_triton_value *v, void *to)
{
    if (v->u > GAL_BATCH_ROWS_MOST)
        return gal_triton_refuse(t, n, "model_warmup.batch_size: %llu is more than %u",
                                 (unsigned long long)v->u, GAL_BATCH_ROWS_MOST);
    ((struct gal_warmup *)to)->batch_size = (size_t)v->u;
    return GAL_OK;
}

static enum gal_status take_count(struct gal_triton *t, const struct gal_pbtxt *n,
                                  const struct gal_triton_value *v, void *to)
{
    if (v->u > WARMUP_RUNS_MAX)
        return gal_triton_refuse(t, n, "model_warmup.count: %llu is more than %d",
                                 (unsigned long long)v->u, WARMUP_RUNS_MAX);
    ((struct gal_warmup *)to)->count = v->u ? (unsigned)v->u : 1;
    return GAL_OK;
}

static const struct gal_triton_field warmup_fields[] = {
    {"name", GAL_TRITON_TEXT, GAL_TRITON_ONCE, take_name, NULL, NULL},
    {"batch_size", GAL_TRITON_UINT, GAL_TRITON_ONCE, take_batch, NULL, NULL},
    {"inputs", GAL_TRITON_MESSAGE, GAL_TRITON_MAP, take_input, NULL, NULL},
    {"count", GAL_TRITON_UINT, GAL_TRITON_ONCE, take_count, NULL, NULL},
};
static const struct gal_triton_table warmup_table =
    GAL_TRITON_TABLE("model_warmup.", warmup_fields);

enum gal_status gal_triton_take_warmup(struct gal_triton *t, const struct gal_pbtxt *n,
                                       const struct gal_triton_value *v, void *to)
{
    struct gal_model_config *c = t->c;
    size_t inputs = gal_triton_count(n, "inputs");
    (void)v, (void)to;
    if (c->warmup_count == GAL_WARMUPS_MAX)
        return gal_triton_refuse(t, n, "model_warmup: more than %u samples", GAL_WARMUPS_MAX);
    struct gal_warmup *w = &c->warmup[c->warmup_count];
    *w = (struct gal_warmup){.name = GAL_STR(""), .count = 1, .line = n->line};
    w->inputs = gal_arena_array(t->arena, inputs ? inputs : 1, sizeof *w->inputs);
    if (!w->inputs)
        return gal_triton_no_memory(t);
    enum gal_status status = gal_triton_read_message(t, n, &warmup_table, w);
    if (!status && w->input_count == 0)
        return gal_triton_refuse(t, n, "model_warmup: inputs are missing");
    c->warmup_count++;
    return status;
}
