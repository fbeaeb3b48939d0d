/* SPDX-License-Identifier: Apache-2.0 */
/* `optimization` and `parameters` of a config.pbtxt: how ONNX Runtime runs the model. */
#include "model/triton_fields.h"

#define ENTRIES_MAX 64u /* parameters of one model */

/* ---- optimization ---- */

static enum gal_status take_level(struct gal_triton *t, const struct gal_pbtxt *n,
                                  const struct gal_triton_value *v, void *to)
{
    struct gal_backend_options *b = &t->c->backend;
    (void)to;
    if (v->i < -1 || v->i > 2)
        return gal_triton_refuse(t, n,
                                 "optimization.graph.level: %lld is none of -1 (basic), 0 (all), 1 "
                                 "(extended), 2 (off)",
                                 (long long)v->i);
    b->graph_level = v->i == -1  ? GAL_GRAPH_BASIC
                     : v->i == 0 ? GAL_GRAPH_ALL
                     : v->i == 1 ? GAL_GRAPH_EXTENDED
                                 : GAL_GRAPH_OFF;
    return GAL_OK;
}

static const struct gal_triton_field graph_fields[] = {
    {"level", GAL_TRITON_INT, GAL_TRITON_ONCE, take_level, NULL, NULL}};
static const struct gal_triton_table graph_table =
    GAL_TRITON_TABLE("optimization.graph.", graph_fields);

static enum gal_status take_graph(struct gal_triton *t, const struct gal_pbtxt *n,
                                  const struct gal_triton_value *v, void *to)
{
    (void)v, (void)to;
    return gal_triton_read_message(t, n, &graph_table, NULL);
}

static const char on_cpus[] = "this galley runs models by ONNX Runtime on CPUs: take it out";
static const char no_gpu[] = "there is no GPU to copy to";
static const struct gal_triton_field accelerator_fields[] = {
    {"gpu_execution_accelerator", GAL_TRITON_MESSAGE, GAL_TRITON_MANY, NULL, NULL, on_cpus},
    {"cpu_execution_accelerator", GAL_TRITON_MESSAGE, GAL_TRITON_MANY, NULL, NULL, on_cpus},
};
static const struct gal_triton_table accelerator_table =
    GAL_TRITON_TABLE("optimization.execution_accelerators.", accelerator_fields);

static enum gal_status take_accelerators(struct gal_triton *t, const struct gal_pbtxt *n,
                                         const struct gal_triton_value *v, void *to)
{
    (void)v, (void)to;
    return gal_triton_read_message(t, n, &accelerator_table, NULL);
}

static const struct gal_triton_field optimization_fields[] = {
    {"graph", GAL_TRITON_MESSAGE, GAL_TRITON_ONCE, take_graph, NULL, NULL},
    {"priority", GAL_TRITON_WORD, GAL_TRITON_ONCE, NULL, "models have workers of their own", NULL},
    {"cuda", GAL_TRITON_MESSAGE, GAL_TRITON_ONCE, NULL, NULL, on_cpus},
    {"execution_accelerators", GAL_TRITON_MESSAGE, GAL_TRITON_ONCE, take_accelerators, NULL, NULL},
    {"input_pinned_memory", GAL_TRITON_MESSAGE, GAL_TRITON_ONCE, NULL, no_gpu, NULL},
    {"output_pinned_memory", GAL_TRITON_MESSAGE, GAL_TRITON_ONCE, NULL, no_gpu, NULL},
    {"gather_kernel_buffer_threshold", GAL_TRITON_UINT, GAL_TRITON_ONCE, NULL, no_gpu, NULL},
    {"eager_batching", GAL_TRITON_FLAG, GAL_TRITON_ONCE, NULL,
     "batches are put together while others run in any case", NULL},
};
static const struct gal_triton_table optimization_table =
    GAL_TRITON_TABLE("optimization.", optimization_fields);

enum gal_status gal_triton_take_optimization(struct gal_triton *t, const struct gal_pbtxt *n,
                                             const struct gal_triton_value *v, void *to)
{
    (void)v, (void)to;
    return gal_triton_read_message(t, n, &optimization_table, NULL);
}

/* ---- parameters ---- */

/* An entry of the map. */
struct entry {
    struct gal_str key, value;
    bool has_value;
    const struct gal_pbtxt *at;
};

static enum gal_status take_key(struct gal_triton *t, const struct gal_pbtxt *n,
                                const struct gal_triton_value *v, void *to)
{
    (void)t, (void)n;
    ((struct entry *)to)->key = v->text;
    return GAL_OK;
}

static enum gal_status take_string(struct gal_triton *t, const struct gal_pbtxt *n,
                                   const struct gal_triton_value *v, void *to)
{
    struct entry *e = to;
    (void)t;
    e->value = v->text;
    e->has_value = true;
    e->at = n;
    return GAL_OK;
}

static const struct gal_triton_field value_fields[] = {
    {"string_value", GAL_TRITON_TEXT, GAL_TRITON_ONCE, take_string, NULL, NULL}};
static const struct gal_triton_table value_table =
    GAL_TRITON_TABLE("parameters.value.", value_fields);

static enum gal_status take_value(struct gal_triton *t, const struct gal_pbtxt *n,
                                  const struct gal_triton_value *v, void *to)
{
    (void)v;
    return gal_triton_read_message(t, n, &value_table, to);
}

static const struct gal_triton_field entry_fields[] = {
    {"key", GAL_TRITON_TEXT, GAL_TRITON_ONCE, take_key, NULL, NULL},
    {"value", GAL_TRITON_MESSAGE, GAL_TRITON_ONCE, take_value, NULL, NULL},
};
static const struct gal_triton_table entry_table = GAL_TRITON_TABLE("parameters.", entry_fields);

static enum gal_status refuse_value(struct gal_triton *t, const struct entry *e, const char *wanted)
{
    return gal_triton_refuse(t, e->at, "parameters: %.*s: \"%.*s\" is not %s", GAL_STR_ARG(e->key),
                             e->value.n < 64 ? (int)e->value.n : 64, e->value.p, wanted);
}

/* Triton takes 0 as "as many as there are cores"; so many threads are ONNX Runtime's 0 too. */
static enum gal_status read_threads(struct gal_triton *t, const struct entry *e, unsigned *out)
{
    uint64_t v;
    if (gal_str_u64(e->value, &v) || v > 1024)
        return refuse_value(t, e, "a number of threads from 0 to 1024");
    if (v == 0)
        return gal_triton_note(t, e->at->line, "parameters: a thread count of 0",
                               "galley's own number of threads is used");
    *out = (unsigned)v;
    return GAL_OK;
}

static enum gal_status set_intra(struct gal_triton *t, const struct entry *e)
{
    return read_threads(t, e, &t->c->backend.intra_op_threads);
}

static enum gal_status set_inter(struct gal_triton *t, const struct entry *e)
{
    return read_threads(t, e, &t->c->backend.inter_op_threads);
}

static enum gal_status read_switch(struct gal_triton *t, const struct entry *e, bool *out)
{
    if (!gal_str_is(e->value, "0") && !gal_str_is(e->value, "1"))
        return refuse_value(t, e, "0 or 1");
    *out = e->value.p[0] == '1';
    return GAL_OK;
}

static enum gal_status set_parallel(struct gal_triton *t, const struct entry *e)
{
    return read_switch(t, e, &t->c->backend.parallel);
}

static enum gal_status set_pattern(struct gal_triton *t, const struct entry *e)
{
    bool on = true;
    enum gal_status status = read_switch(t, e, &on);
    t->c->backend.no_mem_pattern = !on;
    return status;
}

static enum gal_status set_arena(struct gal_triton *t, const struct entry *e)
{
    bool on = true;
    enum gal_status status = read_switch(t, e, &on);
    t->c->backend.no_mem_arena = !on;
    return status;
}

static enum gal_status set_shrinkage(struct gal_triton *t, const struct entry *e)
{
    struct gal_str rest = e->value, part;
    bool cpu = false;
    while (rest.n && gal_str_cut(&rest, ';', &part))
        cpu = cpu || gal_str_is(part, "cpu:0");
    if (!cpu)
        return refuse_value(t, e, "cpu:0, the only memory there is");
    t->c->backend.shrink_arena = true;
    return GAL_OK;
}

static const struct {
    const char *key;
    enum gal_status (*set)(struct gal_triton *t, const struct entry *e);
} known[] = {
    {"intra_op_thread_count", set_intra}, {"inter_op_thread_count", set_inter},
    {"execution_mode", set_parallel},     {"enable_mem_pattern", set_pattern},
    {"enable_mem_arena", set_arena},      {"memory.enable_memory_arena_shrinkage", set_shrinkage},
};

/* session.*: handed to the engine as it is. */
static enum gal_status add_setting(struct gal_triton *t, const struct gal_meta *m)
{
    struct gal_backend_options *b = &t->c->backend;
    struct gal_backend_entry *entries =
        gal_arena_array(t->arena, b->entry_count + 1, sizeof *entries);
    if (!entries)
        return gal_triton_no_memory(t);
    if (b->entry_count)
        memcpy(entries, b->entries, b->entry_count * sizeof *entries);
    entries[b->entry_count++] = (struct gal_backend_entry){m->key.p, m->value.p};
    b->entries = entries;
    return GAL_OK;
}

/* The parameter as written, for GET .../config; NULL when memory is out. */
static const struct gal_meta *keep(struct gal_triton *t, const struct entry *e)
{
    struct gal_model_config *c = t->c;
    struct gal_meta *all = gal_arena_array(t->arena, c->parameter_count + 1, sizeof *all);
    char *key = gal_arena_strdup(t->arena, e->key), *value = gal_arena_strdup(t->arena, e->value);
    if (!all || !key || !value)
        return NULL;
    if (c->parameter_count)
        memcpy(all, c->parameters, c->parameter_count * sizeof *all);
    struct gal_meta *m = &all[c->parameter_count++];
    *m = (struct gal_meta){{key, e->key.n}, {value, e->value.n}};
    c->parameters = all;
    return m;
}

static enum gal_status check_entry(struct gal_triton *t, const struct gal_pbtxt *n,
                                   const struct entry *e)
{
    if (e->key.n == 0)
        return gal_triton_refuse(t, n, "parameters: key is missing");
    if (!e->has_value) {
        gal_triton_refuse(t, n, "parameters: %.*s has no value", GAL_STR_ARG(e->key));
        gal_err_hint(t->err, "value: { string_value: \"...\" }, numbers too");
        return GAL_INVALID;
    }
    if (t->c->parameter_count == ENTRIES_MAX)
        return gal_triton_refuse(t, n, "parameters: more than %u", ENTRIES_MAX);
    for (size_t i = 0; i < t->c->parameter_count; i++) {
        if (gal_str_eq(t->c->parameters[i].key, e->key))
            return gal_triton_refuse(t, n, "parameters: %.*s stands twice", GAL_STR_ARG(e->key));
    }
    return GAL_OK;
}

enum gal_status gal_triton_take_parameter(struct gal_triton *t, const struct gal_pbtxt *n,
                                          const struct gal_triton_value *v, void *to)
{
    struct entry e = {.at = n};
    (void)v, (void)to;
    enum gal_status status = gal_triton_read_message(t, n, &entry_table, &e);
    if (!status)
        status = check_entry(t, n, &e);
    if (status)
        return status;
    const struct gal_meta *m = keep(t, &e);
    if (!m)
        return gal_triton_no_memory(t);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (gal_str_is(e.key, known[i].key))
            return known[i].set(t, &e);
    }
    if (gal_str_starts(e.key, GAL_STR("session.")))
        return add_setting(t, m);
    char *field = gal_arena_printf(t->arena, "parameters: %s", m->key.p);
    return field ? gal_triton_note(t, n->line, field, "galley does not know this parameter")
                 : gal_triton_no_memory(t);
}
