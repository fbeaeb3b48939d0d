/* SPDX-License-Identifier: Apache-2.0 */
/* What a package looks like from outside, and its steps between that and the model. */
#include "base/limits.h"
#include "package/session_impl.h"
#include "package/stability.h"

static enum gal_status no_memory(struct gal_err *err)
{
    return gal_fail(err, GAL_NO_MEMORY, "no memory for a package's description");
}

static const char *type_text(enum gal_dtype t)
{
    static const char *const texts[GAL_DT_COUNT] = {
        [GAL_DT_NONE] = "tensor",           [GAL_DT_BOOL] = "tensor(bool)",
        [GAL_DT_UINT8] = "tensor(uint8)",   [GAL_DT_UINT16] = "tensor(uint16)",
        [GAL_DT_UINT32] = "tensor(uint32)", [GAL_DT_UINT64] = "tensor(uint64)",
        [GAL_DT_INT8] = "tensor(int8)",     [GAL_DT_INT16] = "tensor(int16)",
        [GAL_DT_INT32] = "tensor(int32)",   [GAL_DT_INT64] = "tensor(int64)",
        [GAL_DT_FP16] = "tensor(float16)",  [GAL_DT_FP32] = "tensor(float)",
        [GAL_DT_FP64] = "tensor(double)",   [GAL_DT_BYTES] = "tensor(string)",
        [GAL_DT_BF16] = "tensor(bfloat16)",
    };
    return texts[t];
}

/* A tensor port of rows: [-1, shape...], a single value a row as [-1,1]. */
static enum gal_status make_port(struct gal_packed *p, struct gal_str name, enum gal_dtype dtype,
                                 const int64_t *row, size_t rank, struct gal_port *out,
                                 struct gal_err *err)
{
    size_t whole = rank ? rank + 1 : 2;
    int64_t *shape = gal_arena_array(&p->arena, whole, sizeof *shape);
    const char **dims = gal_arena_array(&p->arena, whole, sizeof *dims);

    if (!shape || !dims)
        return no_memory(err);
    shape[0] = -1;
    dims[0] = "batch";
    for (size_t i = 1; i < whole; i++) {
        shape[i] = rank ? row[i - 1] : 1;
        dims[i] = "";
    }
    *out = (struct gal_port){.name = name,
                             .kind = GAL_KIND_TENSOR,
                             .dtype = dtype,
                             .shape_known = true,
                             .type_text = type_text(dtype),
                             .rank = whole,
                             .shape = shape,
                             .dims = dims};
    return GAL_OK;
}

/* Texts that are allowed, where the manifest tells them. */
static enum gal_status put_values(struct gal_packed *p, const struct gal_feature *f,
                                  struct gal_port *port, struct gal_err *err)
{
    size_t n = f->value_count < GAL_PORT_VALUES_MAX ? f->value_count : GAL_PORT_VALUES_MAX;
    struct gal_str *values;

    if (f->type != GAL_FEATURE_TEXT || f->value_count == 0)
        return GAL_OK;
    values = gal_arena_array(&p->arena, n, sizeof *values);
    if (!values)
        return no_memory(err);
    for (size_t i = 0; i < n; i++)
        values[i] = f->values[i].text;
    port->values = values;
    port->value_count = f->value_count;
    return GAL_OK;
}

static enum gal_status describe_features(struct gal_packed *p, struct gal_err *err)
{
    const struct gal_manifest *m = p->manifest;
    struct gal_port *ports = gal_arena_array(&p->arena, m->feature_count, sizeof *ports);
    enum gal_status status = GAL_OK;

    if (!ports)
        return no_memory(err);
    for (size_t i = 0; !status && i < m->feature_count; i++) {
        const struct gal_feature *f = &m->features[i];
        status = make_port(p, f->name, f->dtype, f->shape, f->rank, &ports[i], err);
        ports[i].optional = f->absent.set;
        if (!status)
            status = put_values(p, f, &ports[i], err);
    }
    p->info.inputs = ports;
    p->info.input_count = m->feature_count;
    return status;
}

/* --- columns --- */

/* A port's rows as a column; false: it has none (a scalar, or a first dimension that is fixed). */
static bool column_of(const struct gal_port *port, struct gal_column *out)
{
    *out = (struct gal_column){.name = port->name, .kind = port->kind, .dtype = port->dtype};
    if (port->kind == GAL_KIND_SEQUENCE)
        return port->of_maps;
    if (port->kind != GAL_KIND_TENSOR || !port->shape_known || port->rank == 0)
        return false;
    if (port->rank > 2 || (port->rank == 2 && port->shape[1] != 1)) {
        out->rank = port->rank - 1;
        out->shape = port->shape + 1;
    }
    return true;
}

static enum gal_status columns_of(struct gal_packed *p, const struct gal_port *ports, size_t count,
                                  struct gal_column **out, struct gal_err *err)
{
    struct gal_column *columns = gal_arena_array(&p->arena, count + 1, sizeof *columns);

    if (!columns)
        return no_memory(err);
    for (size_t i = 0; i < count; i++) {
        if (!column_of(&ports[i], &columns[i]))
            return gal_fail(
                err, GAL_INVALID,
                "%.*s (%s) has no rows that steps could work on: its first dimension is "
                "not one of a tensor's rows",
                GAL_STR_SHOWN(ports[i].name), ports[i].type_text);
    }
    *out = columns;
    return GAL_OK;
}

/* --- the package's files, for steps that name one --- */

static enum gal_status file_of(struct gal_str name, struct gal_str *out, void *ctx,
                               struct gal_err *err)
{
    struct gal_packed *p = ctx;
    const struct gal_package_file *f = gal_package_find(p->package, name);

    if (!f)
        return gal_fail(err, GAL_NOT_FOUND, "the package holds no file %.*s", GAL_STR_SHOWN(name));
    return gal_package_bytes(p->package, f, out, err);
}

static enum gal_status compile(struct gal_packed *p, const struct gal_yaml *list,
                               enum gal_steps_place place, const struct gal_column *in,
                               size_t count, struct gal_steps **out, struct gal_err *err)
{
    const struct gal_steps_context context = {
        .path = p->manifest->path, .place = place, .file = file_of, .ctx = p};

    return gal_steps_compile(list, in, count, &context, &p->arena, out, err);
}

static enum gal_status describe_before(struct gal_packed *p, struct gal_err *err)
{
    struct gal_column *in;
    enum gal_status status = columns_of(p, p->info.inputs, p->info.input_count, &in, err);

    for (size_t i = 0; !status && i < p->manifest->feature_count; i++)
        in[i].encoded = p->manifest->features[i].type == GAL_FEATURE_IMAGE;
    if (!status)
        status = compile(p, p->manifest->before, GAL_STEPS_BEFORE, in, p->info.input_count,
                         &p->before, err);
    if (!status)
        p->columns = gal_steps_columns(p->before, &p->column_count);
    return status;
}

/* --- outputs --- */

static const char *list_names(struct gal_packed *p, const struct gal_port *ports, size_t count)
{
    const char *text = "";

    for (size_t i = 0; i < count && text; i++)
        text = gal_arena_printf(&p->arena, "%s%s%.*s", text, i ? ", " : "",
                                GAL_STR_SHOWN(ports[i].name));
    return text ? text : "";
}

/* --- what an answer is judged by --- */

static enum gal_status fail_judged(const struct gal_packed *p, const char *section,
                                   struct gal_str output, const char *what, struct gal_err *err)
{
    gal_fail(err, GAL_INVALID, "%s.output: %.*s %s", section, GAL_STR_SHOWN(output), what);
    gal_err_place(err, "%s", p->manifest->path);
    return GAL_INVALID;
}

static enum gal_status check_confidence(const struct gal_packed *p, struct gal_err *err)
{
    struct gal_str name = p->manifest->confidence_of;
    size_t i = gal_port_find(p->info.outputs, p->info.output_count, name);

    if (name.n == 0)
        return GAL_OK;
    if (i == SIZE_MAX)
        return fail_judged(p, "confidence", name, "is none of the outputs", err);
    if (p->info.outputs[i].kind != GAL_KIND_TENSOR || p->info.outputs[i].dtype == GAL_DT_BYTES)
        return fail_judged(p, "confidence", name, "is not of numbers", err);
    return GAL_OK;
}

/* Elements of a row; 0: not known. */
static size_t width_of(const struct gal_port *port)
{
    size_t width = 1;

    for (size_t d = 1; port->shape_known && d < port->rank; d++) {
        if (port->shape[d] < 0 || __builtin_mul_overflow(width, (size_t)port->shape[d], &width))
            return 0;
    }
    return port->shape_known ? width : 0;
}

/* The output of the server's own, behind the last that is answered: a share of copies a row. */
static enum gal_status add_stability(struct gal_packed *p, struct gal_port *own,
                                     struct gal_err *err)
{
    const struct gal_model_info *inner = p->inner_info;
    struct gal_str name = p->manifest->stability.output;
    size_t i = gal_port_find(p->info.outputs, p->info.output_count, name);

    p->info.own_count = 0;
    if (name.n == 0)
        return GAL_OK;
    if (i == SIZE_MAX)
        return fail_judged(p, "stability", name, "is none of the outputs", err);
    if (p->info.outputs[i].kind != GAL_KIND_TENSOR ||
        !gal_stability_decides(p->info.outputs[i].dtype, width_of(&p->info.outputs[i])))
        return fail_judged(p, "stability", name,
                           "is no decision: name a label, a truth, or the scores of all classes "
                           "(`threshold`, `bands` and `argmax` make decisions)",
                           err);
    p->decision = i;
    for (size_t k = 0; k < inner->input_count; k++)
        p->rows_fixed |= inner->inputs[k].shape_known && inner->inputs[k].rank > 0 &&
                         inner->inputs[k].shape[0] >= 0;
    p->info.own_count = 1;
    return make_port(p, GAL_STR("stability"), GAL_DT_FP32, NULL, 0, own, err);
}

/* Which of `ports` are answered, by the manifest's `outputs`. */
static enum gal_status choose(struct gal_packed *p, const struct gal_port *ports, size_t count,
                              struct gal_err *err)
{
    const struct gal_manifest *m = p->manifest;
    size_t n = m->output_count ? m->output_count : count;
    struct gal_port *out = gal_arena_array(&p->arena, n + 1, sizeof *out);
    size_t *chosen = gal_arena_array(&p->arena, n + 1, sizeof *chosen);

    if (!out || !chosen)
        return no_memory(err);
    for (size_t i = 0; i < n; i++) {
        chosen[i] = m->output_count ? gal_port_find(ports, count, m->outputs[i].name) : i;
        if (chosen[i] == SIZE_MAX) {
            gal_fail(err, GAL_INVALID, "there is no output %.*s; there are: %.200s",
                     GAL_STR_SHOWN(m->outputs[i].name), list_names(p, ports, count));
            gal_err_place(err, "%s:%u", m->path, m->outputs[i].line);
            return GAL_INVALID;
        }
        out[i] = ports[chosen[i]];
    }
    p->chosen = chosen;
    p->info.outputs = out;
    p->info.output_count = n;
    enum gal_status status = check_confidence(p, err);
    return status ? status : add_stability(p, &out[n], err);
}

/* A column as a port: what `unzip` has not taken stays a sequence of maps, with its own port. */
static enum gal_status port_of(struct gal_packed *p, const struct gal_column *c,
                               struct gal_port *out, struct gal_err *err)
{
    size_t i = gal_port_find(p->inner_info->outputs, p->inner_info->output_count, c->name);

    if (c->kind == GAL_KIND_TENSOR)
        return make_port(p, c->name, c->dtype, c->shape, c->rank, out, err);
    if (i == SIZE_MAX)
        return gal_fail(err, GAL_INTERNAL, "a column that nobody made: %.*s",
                        GAL_STR_SHOWN(c->name));
    *out = p->inner_info->outputs[i];
    return GAL_OK;
}

/* What stands before the model is there for the steps after it (the mask of `pool`), but for names
 * that the model's outputs have. */
static enum gal_status carry(struct gal_packed *p, const struct gal_column *outputs,
                             struct gal_column **in, size_t *count, struct gal_err *err)
{
    size_t n = p->inner_info->output_count, room = n + p->column_count + 1;
    struct gal_column *all = gal_arena_array(&p->arena, room, sizeof *all);
    size_t *carried = gal_arena_array(&p->arena, p->column_count + 1, sizeof *carried);

    if (!all || !carried)
        return no_memory(err);
    memcpy(all, outputs, n * sizeof *all);
    for (size_t i = 0; i < p->column_count; i++) {
        if (gal_port_find(p->inner_info->outputs, n, p->columns[i].name) != SIZE_MAX)
            continue;
        all[n + p->carried_count] = p->columns[i];
        all[n + p->carried_count].aside = true;
        carried[p->carried_count++] = i;
    }
    p->carried = carried;
    *in = all;
    *count = n + p->carried_count;
    return GAL_OK;
}

static enum gal_status describe_after(struct gal_packed *p, struct gal_err *err)
{
    const struct gal_model_info *inner = p->inner_info;
    struct gal_column *outputs, *in;
    const struct gal_column *columns;
    struct gal_port *ports;
    enum gal_status status;
    size_t in_count = 0;

    if (!p->manifest->after)
        return choose(p, inner->outputs, inner->output_count, err);
    status = columns_of(p, inner->outputs, inner->output_count, &outputs, err);
    if (!status)
        status = carry(p, outputs, &in, &in_count, err);
    if (!status)
        status = compile(p, p->manifest->after, GAL_STEPS_AFTER, in, in_count, &p->after, err);
    if (status)
        return status;
    columns = gal_steps_columns(p->after, &p->after_count);
    ports = gal_arena_array(&p->arena, p->after_count + 1, sizeof *ports);
    if (!ports)
        return no_memory(err);
    for (size_t i = 0; !status && i < p->after_count; i++)
        status = port_of(p, &columns[i], &ports[i], err);
    return status ? status : choose(p, ports, p->after_count, err);
}

enum gal_status gal_packed_describe(struct gal_packed *p, struct gal_err *err)
{
    const struct gal_model_info *inner = p->inner_info;
    bool has_features = p->manifest->feature_count > 0;
    enum gal_status status = GAL_OK;

    p->info = *inner;
    p->all_outputs = gal_arena_array(&p->arena, inner->output_count + 1, sizeof *p->all_outputs);
    if (!p->all_outputs)
        return no_memory(err);
    for (size_t i = 0; i < inner->output_count; i++)
        p->all_outputs[i] = i;
    if (has_features)
        status = describe_features(p, err);
    if (!status && (has_features || p->manifest->before))
        status = describe_before(p, err);
    if (!status && (has_features || p->manifest->before))
        status = gal_packed_bind(p, err);
    return status ? status : describe_after(p, err);
}
