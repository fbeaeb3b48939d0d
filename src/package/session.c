/* SPDX-License-Identifier: Apache-2.0 */
/* The slots of a package's session. */
#include "package/session.h"

#include "base/limits.h"
#include "base/mem.h"
#include "package/check.h"
#include "package/session_impl.h"

#define DESCRIPTION_BYTES_MAX (256u << 20) /* vocabularies are most of it */

/* What the model has answered, kept while an output that may borrow from it is held. */
struct held {
    _Atomic size_t refs;
    struct gal_value *outputs;
    size_t count;
};

static struct gal_packed *own(struct gal_session *s)
{
    return (struct gal_packed *)s;
}

static enum gal_status packed_version(const struct gal_backend_options *options, const char **out,
                                      struct gal_err *err)
{
    (void)options;
    *out = NULL;
    return gal_fail(err, GAL_UNSUPPORTED, "a package has no engine of its own");
}

static enum gal_status packed_load(const char *path, const struct gal_backend_options *options,
                                   struct gal_session **out, struct gal_err *err)
{
    (void)options;
    *out = NULL;
    return gal_fail(err, GAL_UNSUPPORTED, "%s: a package's session is made of a model's", path);
}

static void packed_free(struct gal_session *session)
{
    struct gal_packed *p = own(session);

    if (!p)
        return;
    if (p->inner)
        p->ops->free(p->inner);
    gal_arena_release(&p->arena);
    gal_free(p);
}

static const struct gal_model_info *packed_info(const struct gal_session *session)
{
    return &((const struct gal_packed *)session)->info;
}

/* ---- run ---- */

static enum gal_status no_memory(struct gal_err *err)
{
    return gal_fail(err, GAL_NO_MEMORY, "no memory for the request");
}

bool gal_packed_rows(const struct gal_value *inputs, size_t count, size_t *rows)
{
    bool found = false;

    *rows = 1; /* of a request that leaves everything to defaults */
    for (size_t i = 0; i < count; i++) {
        const struct gal_tensor *t = &inputs[i].tensor;
        if (inputs[i].kind != GAL_KIND_TENSOR)
            continue;
        if (t->rank == 0 || (found && (size_t)t->shape[0] != *rows))
            return false;
        *rows = (size_t)t->shape[0];
        found = true;
    }
    return true;
}

/* The request's inputs as the model's, and the columns that they were made of. */
static enum gal_status go_in(const struct gal_packed *p, const struct gal_value *inputs,
                             struct gal_arena *arena, const struct gal_value **out,
                             const struct gal_value **before, struct gal_err *err)
{
    size_t n = p->info.input_count, rows;
    struct gal_value *filled, *columns, *fed;
    enum gal_status status = GAL_OK;

    *out = inputs;
    *before = NULL;
    if (!p->bindings)
        return GAL_OK;
    filled = gal_arena_array(arena, n + 1, sizeof *filled);
    columns = gal_arena_array(arena, p->column_count + 1, sizeof *columns);
    fed = gal_arena_array(arena, p->inner_info->input_count + 1, sizeof *fed);
    if (!filled || !columns || !fed)
        return no_memory(err);
    memcpy(filled, inputs, n * sizeof *filled);
    if (!gal_packed_rows(filled, n, &rows))
        return gal_fail(err, GAL_INVALID, "the inputs have different numbers of rows");
    if (p->manifest->feature_count)
        status = gal_check_fill(p->manifest, rows, filled, arena, err);
    if (!status)
        status = gal_steps_run(p->before, filled, arena, columns, err);
    if (!status)
        status = gal_packed_feed(p, columns, rows, arena, fed, err);
    *out = fed;
    *before = columns;
    return status;
}

/* Steps see one value a row as [rows,1], the model may give [rows]. */
static enum gal_status as_columns(const struct gal_packed *p, const struct gal_value *outputs,
                                  struct gal_arena *arena, struct gal_value *in,
                                  struct gal_err *err)
{
    for (size_t i = 0; i < p->inner_info->output_count; i++) {
        int64_t *shape;
        in[i] = outputs[i];
        if (outputs[i].kind != GAL_KIND_TENSOR || outputs[i].tensor.rank != 1)
            continue;
        shape = gal_arena_array(arena, 2, sizeof *shape);
        if (!shape)
            return no_memory(err);
        shape[0] = outputs[i].tensor.shape[0];
        shape[1] = 1;
        in[i].tensor.shape = shape;
        in[i].tensor.rank = 2;
    }
    return GAL_OK;
}

static void let_go(const struct gal_packed *p, struct gal_value *outputs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        p->ops->release_output(p->inner, &outputs[i]);
}

/* The model's outputs, with the columns before it, through the steps after it. */
static enum gal_status come_out(const struct gal_packed *p, struct held *held,
                                const struct gal_value *before, const size_t *wanted, size_t count,
                                struct gal_arena *arena, struct gal_value *outputs,
                                struct gal_err *err)
{
    struct gal_value *in = gal_arena_array(arena, held->count + p->carried_count + 1, sizeof *in);
    struct gal_value *columns = gal_arena_array(arena, p->after_count + 1, sizeof *columns);
    enum gal_status status = in && columns ? GAL_OK : no_memory(err);

    if (!status)
        status = as_columns(p, held->outputs, arena, in, err);
    for (size_t i = 0; !status && before && i < p->carried_count; i++)
        in[held->count + i] = before[p->carried[i]];
    if (!status)
        status = gal_steps_run(p->after, in, arena, columns, err);
    if (status)
        return status;
    held->refs = count;
    for (size_t i = 0; i < count; i++) {
        outputs[i] = columns[p->chosen[wanted[i]]];
        outputs[i].tensor.name = p->info.outputs[wanted[i]].name;
        outputs[i].handle = held;
    }
    return GAL_OK;
}

/* Nothing is changed behind the model: its outputs are the package's. */
static enum gal_status run_through(const struct gal_packed *p, const struct gal_value *inputs,
                                   const size_t *wanted, size_t count, struct gal_arena *arena,
                                   struct gal_value *outputs, struct gal_err *err)
{
    size_t *inner = gal_arena_array(arena, count + 1, sizeof *inner);

    if (!inner)
        return no_memory(err);
    for (size_t i = 0; i < count; i++)
        inner[i] = p->chosen[wanted[i]];
    return p->ops->run(p->inner, inputs, inner, count, arena, outputs, err);
}

enum gal_status gal_packed_ask(const struct gal_packed *p, const struct gal_value *inputs,
                               const size_t *wanted, size_t output_count, struct gal_arena *arena,
                               struct gal_value *outputs, struct gal_err *err)
{
    const struct gal_value *fed, *before;
    enum gal_status status = go_in(p, inputs, arena, &fed, &before, err);

    if (status)
        return status;
    if (!p->after)
        return run_through(p, fed, wanted, output_count, arena, outputs, err);
    struct held *held = gal_arena_alloc(arena, sizeof *held);
    size_t all = p->inner_info->output_count;
    if (held)
        *held = (struct held){.outputs = gal_arena_array(arena, all + 1, sizeof *held->outputs),
                              .count = all};
    if (!held || !held->outputs)
        return no_memory(err);
    status = p->ops->run(p->inner, fed, p->all_outputs, all, arena, held->outputs, err);
    if (status)
        return status;
    status = come_out(p, held, before, wanted, output_count, arena, outputs, err);
    if (status || output_count == 0)
        let_go(p, held->outputs, all);
    return status;
}

static enum gal_status packed_run(struct gal_session *session, const struct gal_value *inputs,
                                  const size_t *wanted, size_t output_count,
                                  struct gal_arena *arena, struct gal_value *outputs,
                                  struct gal_err *err)
{
    const struct gal_packed *p = own(session);

    for (size_t i = 0; p->info.own_count > 0 && i < output_count; i++) {
        if (wanted[i] == p->info.output_count)
            return gal_packed_judge(p, inputs, wanted, output_count, arena, outputs, err);
    }
    return gal_packed_ask(p, inputs, wanted, output_count, arena, outputs, err);
}

void gal_packed_release(const struct gal_packed *p, struct gal_value *output)
{
    struct held *held = output->handle;

    if (!p->after) {
        p->ops->release_output(p->inner, output);
        return;
    }
    if (!held) /* the stability, which is the arena's */
        return;
    if (atomic_fetch_sub_explicit(&held->refs, 1, memory_order_acq_rel) == 1)
        let_go(p, held->outputs, held->count);
    output->handle = NULL;
}

static void packed_release_output(struct gal_session *session, struct gal_value *output)
{
    gal_packed_release(own(session), output);
}

static void packed_trim(struct gal_session *session)
{
    struct gal_packed *p = own(session);

    p->ops->trim(p->inner);
}

const struct gal_backend_ops gal_packed_ops = {
    .abi = GAL_BACKEND_ABI,
    .name = "package",
    .version = packed_version,
    .load = packed_load,
    .free = packed_free,
    .info = packed_info,
    .run = packed_run,
    .release_output = packed_release_output,
    .trim = packed_trim,
};

bool gal_packed_pads(const struct gal_session *session)
{
    const struct gal_packed *p = (const struct gal_packed *)session;

    return p->before && gal_steps_pads(p->before);
}

enum gal_status gal_packed_new(struct gal_package *package, const struct gal_backend_ops *inner_ops,
                               struct gal_session *inner, struct gal_session **out,
                               struct gal_err *err)
{
    struct gal_packed *p = gal_calloc(1, sizeof *p);

    *out = NULL;
    if (!p) {
        inner_ops->free(inner);
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a package's session");
    }
    gal_arena_init(&p->arena, 4096, 0, DESCRIPTION_BYTES_MAX);
    p->ops = inner_ops;
    p->inner = inner;
    p->inner_info = inner_ops->info(inner);
    p->package = package;
    p->manifest = package->manifest;
    enum gal_status status = gal_packed_describe(p, err);
    if (status) {
        packed_free((struct gal_session *)p);
        return status;
    }
    *out = (struct gal_session *)p;
    return GAL_OK;
}
