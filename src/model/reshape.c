/* SPDX-License-Identifier: Apache-2.0 */
#include "model/reshape.h"

#include "base/mem.h"

#define VIEW_BYTES_MAX (16u << 20) /* ports and shapes */

/* One port that has another shape inside. Sizes that are open come in the same order in both. */
struct turn {
    bool is_on;
    const int64_t *inner; /* the model's; -1: open */
    size_t inner_rank;
};

struct view {
    const struct gal_backend_ops *ops; /* the inner one's */
    struct gal_session *session;       /* owned */
    struct gal_model_info info;        /* with the clients' shapes */
    struct gal_port *inputs, *outputs;
    struct turn *in, *out;
    struct gal_arena arena;
};

static struct view *own(struct gal_session *s)
{
    return (struct view *)s;
}

/* ---- shapes ---- */

/* The shape that `to` (-1: open) has where `from` has the sizes of `shape`: open sizes are carried
 * over in their order. NULL when memory is out. */
static int64_t *carry(const int64_t *from, size_t from_rank, const int64_t *shape,
                      const int64_t *to, size_t to_rank, struct gal_arena *arena)
{
    int64_t *out = gal_arena_array(arena, to_rank, sizeof *out);
    size_t at = 0;
    for (size_t i = 0; out && i < to_rank; i++) {
        out[i] = to[i];
        if (to[i] >= 0)
            continue;
        while (at < from_rank && from[at] >= 0)
            at++;
        out[i] = at < from_rank ? shape[at++] : 1;
    }
    return out;
}

/* ---- the slots ---- */

static enum gal_status view_version(const struct gal_backend_options *options, const char **out,
                                    struct gal_err *err)
{
    (void)options;
    *out = NULL;
    return gal_fail(err, GAL_UNSUPPORTED, "a view has no engine of its own");
}

static enum gal_status view_load(const char *path, const struct gal_backend_options *options,
                                 struct gal_session **out, struct gal_err *err)
{
    (void)options;
    *out = NULL;
    return gal_fail(err, GAL_UNSUPPORTED, "%s: a view is made of a session, not of a file", path);
}

static void view_free(struct gal_session *session)
{
    struct view *v = own(session);
    if (!v)
        return;
    if (v->session)
        v->ops->free(v->session);
    gal_arena_release(&v->arena);
    gal_free(v);
}

static const struct gal_model_info *view_info(const struct gal_session *session)
{
    return &((const struct view *)session)->info;
}

static enum gal_status turn_in(const struct view *v, const struct gal_value *inputs,
                               struct gal_value *to, struct gal_arena *arena, struct gal_err *err)
{
    for (size_t i = 0; i < v->info.input_count; i++) {
        const struct gal_port *p = &v->inputs[i];
        const struct gal_tensor *t = &inputs[i].tensor;
        to[i] = inputs[i];
        if (!v->in[i].is_on || inputs[i].kind != GAL_KIND_TENSOR)
            continue;
        if (!gal_shape_fits(t->shape, t->rank, p->shape, p->rank))
            return gal_fail(err, GAL_INVALID, "input '%.100s' has the wrong shape", p->name.p);
        to[i].tensor.rank = v->in[i].inner_rank;
        to[i].tensor.shape =
            carry(p->shape, p->rank, t->shape, v->in[i].inner, v->in[i].inner_rank, arena);
        if (!to[i].tensor.shape)
            return gal_fail(err, GAL_NO_MEMORY, "no memory for a shape");
    }
    return GAL_OK;
}

static enum gal_status turn_out(const struct view *v, size_t index, struct gal_value *output,
                                struct gal_arena *arena, struct gal_err *err)
{
    const struct turn *turn = &v->out[index];
    const struct gal_port *p = &v->outputs[index];
    struct gal_tensor *t = &output->tensor;
    if (!turn->is_on || output->kind != GAL_KIND_TENSOR)
        return GAL_OK;
    size_t count = 1;
    int64_t *shape = t->rank == turn->inner_rank
                         ? carry(turn->inner, t->rank, t->shape, p->shape, p->rank, arena)
                         : NULL;
    if (!shape && t->rank == turn->inner_rank)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a shape");
    if (!shape || gal_shape_count(shape, p->rank, t->dtype, &count, NULL) || count != t->count)
        return gal_fail(err, GAL_INTERNAL,
                        "output '%.100s' came in a shape that its dims do not fit", p->name.p);
    t->shape = shape;
    t->rank = p->rank;
    return GAL_OK;
}

static enum gal_status view_run(struct gal_session *session, const struct gal_value *inputs,
                                const size_t *wanted, size_t output_count, struct gal_arena *arena,
                                struct gal_value *outputs, struct gal_err *err)
{
    const struct view *v = own(session);
    struct gal_value *turned = gal_arena_array(arena, v->info.input_count, sizeof *turned);
    if (!turned)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a shape");
    enum gal_status status = turn_in(v, inputs, turned, arena, err);
    if (!status)
        status = v->ops->run(v->session, turned, wanted, output_count, arena, outputs, err);
    if (status)
        return status;
    for (size_t i = 0; i < output_count && !status; i++)
        status = turn_out(v, wanted[i], &outputs[i], arena, err);
    for (size_t i = 0; status && i < output_count; i++)
        v->ops->release_output(v->session, &outputs[i]);
    return status;
}

static void view_release_output(struct gal_session *session, struct gal_value *output)
{
    struct view *v = own(session);
    v->ops->release_output(v->session, output);
}

static void view_trim(struct gal_session *session)
{
    struct view *v = own(session);
    v->ops->trim(v->session);
}

static const struct gal_backend_ops view_ops = {
    .abi = GAL_BACKEND_ABI,
    .name = "reshape",
    .version = view_version,
    .load = view_load,
    .free = view_free,
    .info = view_info,
    .run = view_run,
    .release_output = view_release_output,
    .trim = view_trim,
};

/* ---- making one ---- */

/* The clients' shape of a port: the batch where the model has it, then `dims`. */
static bool turn_port(struct view *v, struct gal_port *p, const struct gal_declared *d,
                      struct turn *turn)
{
    bool rows = p->rank == d->reshape_rank + 1;
    int64_t *shape = gal_arena_array(&v->arena, d->rank + rows, sizeof *shape);
    const char **dims = gal_arena_array(&v->arena, d->rank + rows, sizeof *dims);
    if (!shape || !dims)
        return false;
    *turn = (struct turn){true, p->shape, p->rank};
    for (size_t i = 0; i < d->rank + rows; i++) {
        shape[i] = rows && i == 0 ? p->shape[0] : d->shape[i - rows];
        dims[i] = rows && i == 0 && p->dims ? p->dims[0] : "";
    }
    p->shape = shape;
    p->dims = dims;
    p->rank = d->rank + rows;
    return true;
}

static bool turn_ports(struct view *v, const struct gal_model_config *c, bool is_output,
                       struct gal_port *ports, size_t count, struct turn *turns)
{
    for (size_t i = 0; i < count; i++) {
        const struct gal_declared *d = gal_model_config_declared(c, ports[i].name, is_output);
        turns[i] = (struct turn){0};
        if (d && d->has_reshape && ports[i].shape_known && !turn_port(v, &ports[i], d, &turns[i]))
            return false;
    }
    return true;
}

static bool copy_ports(struct view *v, const struct gal_port *from, size_t count,
                       struct gal_port **ports, struct turn **turns)
{
    *ports = gal_arena_array(&v->arena, count, sizeof **ports);
    *turns = gal_arena_array(&v->arena, count, sizeof **turns);
    if (!*ports || !*turns)
        return false;
    if (count)
        memcpy(*ports, from, count * sizeof **ports);
    return true;
}

static bool has_reshape(const struct gal_model_config *c)
{
    for (const struct gal_declared *d = c->declared; d; d = d->next) {
        if (d->has_reshape)
            return true;
    }
    return false;
}

enum gal_status gal_reshape_wrap(const struct gal_model_config *c,
                                 const struct gal_backend_ops **ops, struct gal_session **session,
                                 struct gal_err *err)
{
    const struct gal_model_info *info = (*ops)->info(*session);
    struct view *v = has_reshape(c) ? gal_calloc(1, sizeof *v) : NULL;
    if (!has_reshape(c))
        return GAL_OK;
    if (!v)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a model's shapes");
    gal_arena_init(&v->arena, 4096, 0, VIEW_BYTES_MAX);
    v->ops = *ops;
    v->info = *info;
    if (!copy_ports(v, info->inputs, info->input_count, &v->inputs, &v->in) ||
        !copy_ports(v, info->outputs, info->output_count, &v->outputs, &v->out) ||
        !turn_ports(v, c, false, v->inputs, info->input_count, v->in) ||
        !turn_ports(v, c, true, v->outputs, info->output_count, v->out)) {
        view_free((struct gal_session *)v);
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a model's shapes");
    }
    v->info.inputs = v->inputs;
    v->info.outputs = v->outputs;
    v->info.own_count = 0;
    v->session = *session;
    *session = (struct gal_session *)v;
    *ops = &view_ops;
    return GAL_OK;
}
