/* SPDX-License-Identifier: Apache-2.0 */
/* Golden cases made by a session. */
#include "base/limits.h"
#include "package/golden.h"

#define RUN_BYTES_MAX (1ull << 30) /* of one case's outputs */

struct recorder {
    const struct gal_backend_ops *ops;
    struct gal_session *session;
    const struct gal_model_info *info;
    size_t *wanted; /* indexes of the outputs that are kept */
    size_t wanted_count;
    struct gal_arena *arena;
    struct gal_err *err;
};

static enum gal_status no_memory(const struct recorder *r)
{
    return gal_arena_fail(r->arena, 0, "golden cases", r->err);
}

static enum gal_status choose(struct recorder *r, const struct gal_str *names, size_t count)
{
    r->wanted_count = names ? count : r->info->output_count;
    r->wanted = gal_arena_array(r->arena, r->wanted_count + 1, sizeof *r->wanted);
    if (!r->wanted)
        return no_memory(r);
    for (size_t i = 0; i < r->wanted_count; i++) {
        r->wanted[i] = names ? gal_port_find(r->info->outputs, r->info->output_count, names[i]) : i;
        if (r->wanted[i] == SIZE_MAX)
            return gal_fail(r->err, GAL_INVALID, "there is no output '%.*s'",
                            GAL_STR_SHOWN(names[i]));
    }
    return GAL_OK;
}

/* The inputs in the order of the session's ports. */
static enum gal_status place(const struct recorder *r, const struct gal_golden_case *c,
                             struct gal_value *inputs)
{
    for (size_t i = 0; i < r->info->input_count; i++)
        inputs[i] =
            (struct gal_value){.kind = GAL_KIND_NONE, .tensor.name = r->info->inputs[i].name};
    for (size_t i = 0; i < c->input_count; i++) {
        size_t at = gal_port_find(r->info->inputs, r->info->input_count, c->inputs[i].tensor.name);
        if (at == SIZE_MAX)
            return gal_fail(r->err, GAL_INVALID, "there is no input '%.*s'",
                            GAL_STR_SHOWN(c->inputs[i].tensor.name));
        inputs[at] = c->inputs[i];
    }
    for (size_t i = 0; i < r->info->input_count; i++) {
        if (inputs[i].kind == GAL_KIND_NONE && !r->info->inputs[i].optional)
            return gal_fail(r->err, GAL_INVALID, "the input '%.*s' is missing",
                            GAL_STR_SHOWN(r->info->inputs[i].name));
    }
    return GAL_OK;
}

/* A tensor of the arena's own. */
static enum gal_status keep(const struct recorder *r, const struct gal_value *from,
                            struct gal_value *to)
{
    const struct gal_tensor *t = &from->tensor;
    size_t bytes = t->count * gal_dtype_size(t->dtype);
    char *name = gal_arena_strdup(r->arena, t->name);
    int64_t *shape = gal_arena_array(r->arena, t->rank + 1, sizeof *shape);
    char *data = gal_arena_alloc(r->arena, bytes + 1);

    if (from->kind != GAL_KIND_TENSOR)
        return gal_fail(r->err, GAL_UNSUPPORTED,
                        "output '%.*s' is no tensor: sequences and maps cannot be golden; the step "
                        "`unzip` makes a tensor of them",
                        GAL_STR_SHOWN(t->name));
    if (!name || !shape || !data)
        return no_memory(r);
    for (size_t d = 0; d < t->rank; d++)
        shape[d] = t->shape[d];
    if (bytes)
        memcpy(data, t->data, bytes);
    for (size_t i = 0; t->dtype == GAL_DT_BYTES && i < t->count; i++) {
        struct gal_str *text = &((struct gal_str *)(void *)data)[i];
        text->p = gal_arena_strdup(r->arena, *text);
        if (!text->p)
            return no_memory(r);
    }
    *to = (struct gal_value){.kind = GAL_KIND_TENSOR, .tensor = *t};
    to->tensor.name.p = name;
    to->tensor.shape = shape;
    to->tensor.data = data;
    return GAL_OK;
}

static enum gal_status run(const struct recorder *r, const struct gal_golden_case *c,
                           struct gal_arena *run_arena, struct gal_value *kept)
{
    size_t n = r->wanted_count;
    struct gal_value *inputs = gal_arena_array(run_arena, r->info->input_count + 1, sizeof *inputs);
    struct gal_value *outputs = gal_arena_array(run_arena, n + 1, sizeof *outputs);
    enum gal_status status = inputs && outputs ? place(r, c, inputs) : no_memory(r);

    if (!status)
        status = r->ops->run(r->session, inputs, r->wanted, n, run_arena, outputs, r->err);
    if (status)
        return status;
    for (size_t i = 0; i < n; i++) {
        if (!status)
            status = keep(r, &outputs[i], &kept[i]);
        r->ops->release_output(r->session, &outputs[i]);
    }
    return status;
}

static enum gal_status record_case(const struct recorder *r, const struct gal_golden_case *c,
                                   struct gal_golden_case *to)
{
    struct gal_value *kept = gal_arena_array(r->arena, r->wanted_count + 1, sizeof *kept);
    struct gal_arena run_arena;

    if (!kept)
        return no_memory(r);
    gal_arena_init(&run_arena, 65536, 0, RUN_BYTES_MAX);
    enum gal_status status = run(r, c, &run_arena, kept);
    gal_arena_release(&run_arena);
    *to = *c;
    to->outputs = kept;
    to->output_count = r->wanted_count;
    if (status && r->err && !r->err->place[0])
        gal_err_place(r->err, "%.*s", GAL_STR_SHOWN(c->name));
    return status;
}

enum gal_status gal_golden_record(const struct gal_golden *asked, const struct gal_backend_ops *ops,
                                  struct gal_session *session, const struct gal_str *names,
                                  size_t name_count, struct gal_arena *arena,
                                  struct gal_golden **out, struct gal_err *err)
{
    struct recorder r = {
        .ops = ops, .session = session, .info = ops->info(session), .arena = arena, .err = err};
    struct gal_golden_case *cases = gal_arena_array(arena, asked->case_count + 1, sizeof *cases);
    enum gal_status status;

    *out = gal_arena_small(arena, sizeof **out);
    status = cases && *out ? choose(&r, names, name_count) : no_memory(&r);
    for (size_t i = 0; !status && i < asked->case_count; i++)
        status = record_case(&r, &asked->cases[i], &cases[i]);
    if (!status)
        **out = (struct gal_golden){cases, asked->case_count};
    return status;
}
