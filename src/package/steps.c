/* SPDX-License-Identifier: Apache-2.0 */
/* A list of steps is compiled to operations on slots, and run. */
#include "package/step_impl.h"

#include "base/limits.h"
#include "base/name.h"

#include <stdint.h>

/* --- compiling --- */

static enum gal_status refuse_kind(struct gal_step_compiler *c, const struct gal_yaml *node)
{
    const char *nearest = NULL;
    size_t count, best = SIZE_MAX;
    const struct gal_step_kind *kinds = gal_step_kinds(&count);
    enum gal_status st;

    for (size_t i = 0; i < count; i++) {
        size_t d = gal_name_distance(node->key, kinds[i].name);

        if (d < best) {
            best = d;
            nearest = kinds[i].name;
        }
    }
    st = gal_step_refuse(c, node->line, "'%.*s' is no step", GAL_STR_SHOWN(node->key));
    if (c->err != NULL && nearest != NULL)
        gal_err_hint(c->err, "did you mean '%s'?", nearest);
    else if (c->err != NULL)
        gal_err_hint(c->err, "docs/transforms.md lists the steps");
    return st;
}

static enum gal_status check_place(struct gal_step_compiler *c)
{
    enum gal_steps_place place = c->context->place;

    if ((place == GAL_STEPS_BEFORE && !c->kind->before) ||
        (place == GAL_STEPS_AFTER && !c->kind->after))
        return gal_step_refuse(c, c->line, "the step '%s' stands in `%s`, not in `%s`",
                               c->kind->name, c->kind->before ? "before" : "after",
                               c->kind->before ? "after" : "before");
    return GAL_OK;
}

/* One item of the list: a map of one key, the step's name. */
static enum gal_status compile_step(struct gal_step_compiler *c, const struct gal_yaml *item)
{
    const struct gal_yaml *node = item->child;
    size_t count, i = 0;
    const struct gal_step_kind *kinds = gal_step_kinds(&count);
    enum gal_status st;

    if (item->type != GAL_YAML_MAP || node == NULL || node->next != NULL) {
        st = gal_step_refuse(c, item->line, "a step is one operation with its parameters");
        if (c->err != NULL)
            gal_err_hint(c->err, "as in: - clip: {features: [amount], min: 0}");
        return st;
    }
    while (i < count && !gal_str_is(node->key, kinds[i].name))
        i++;
    if (i == count)
        return refuse_kind(c, node);
    c->kind = &kinds[i];
    c->line = node->line;
    c->node = node;
    st = check_place(c);
    if (st == GAL_OK)
        st = gal_step_check_params(c);
    return st == GAL_OK ? gal_step_make_kind(c->kind, c) : st;
}

static enum gal_status add_inputs(struct gal_step_compiler *c, const struct gal_column *in,
                                  size_t count)
{
    c->reads = gal_arena_small(c->arena, count + 1);
    if (c->reads == NULL)
        return gal_step_no_memory(c->arena, c->err);
    memset(c->reads, 0, count + 1);
    for (size_t i = 0; i < count; i++) {
        size_t slot;
        enum gal_status st = gal_step_make(c, &in[i], &slot);

        if (st != GAL_OK)
            return st;
        c->slots[slot].made = false;
        c->slots[slot].column.aside = in[i].aside;
    }
    c->in_count = count;
    c->shape_count = 0;
    return GAL_OK;
}

static enum gal_status finish(const struct gal_step_compiler *c, struct gal_steps **out)
{
    struct gal_steps *s = gal_arena_small(c->arena, sizeof(*s));
    struct gal_column *columns = gal_arena_array(c->arena, c->name_count + 1, sizeof(*columns));
    size_t *slots = gal_arena_array(c->arena, c->name_count + 1, sizeof(*slots)), n = 0;

    if (s == NULL || columns == NULL || slots == NULL)
        return gal_step_no_memory(c->arena, c->err);
    for (size_t i = 0; i < c->name_count; i++) {
        if (c->names[i].slot == SIZE_MAX || c->slots[c->names[i].slot].column.aside)
            continue;
        slots[n] = c->names[i].slot;
        columns[n] = c->slots[slots[n]].column;
        columns[n++].name = c->names[i].name;
    }
    *s = (struct gal_steps){.steps = c->steps,
                            .step_count = c->step_count,
                            .slots = c->slots,
                            .slot_count = c->slot_count,
                            .in_count = c->in_count,
                            .shape_count = c->shape_count,
                            .columns = columns,
                            .column_slots = slots,
                            .column_count = n,
                            .reads = c->reads,
                            .pads = c->pads};
    *out = s;
    return GAL_OK;
}

enum gal_status gal_steps_compile(const struct gal_yaml *list, const struct gal_column *in,
                                  size_t in_count, const struct gal_steps_context *context,
                                  struct gal_arena *arena, struct gal_steps **out,
                                  struct gal_err *err)
{
    struct gal_step_compiler c = {.context = context, .arena = arena, .err = err};
    enum gal_status st;

    gal_map_init(&c.by_name);
    st = add_inputs(&c, in, in_count);
    if (st == GAL_OK && list != NULL && list->type != GAL_YAML_LIST &&
        (list->type == GAL_YAML_SCALAR ? list->scalar.n > 0 : list->child != NULL)) {
        st = gal_step_refuse(&c, list->line, "steps are a list");
        if (err != NULL)
            gal_err_hint(err, "begin each with '- '");
    }
    for (const struct gal_yaml *n = list != NULL ? list->child : NULL; st == GAL_OK && n != NULL;
         n = n->next)
        st = compile_step(&c, n);
    if (st == GAL_OK)
        st = finish(&c, out);
    gal_map_release(&c.by_name);
    return st;
}

const struct gal_column *gal_steps_columns(const struct gal_steps *s, size_t *count)
{
    *count = s->column_count;
    return s->columns;
}

bool gal_steps_reads(const struct gal_steps *s, size_t in)
{
    return in < s->in_count && s->reads[in];
}

bool gal_steps_pads(const struct gal_steps *s)
{
    return s->pads;
}

/* --- running --- */

static size_t rows_of(const struct gal_value *v)
{
    if (v->kind == GAL_KIND_SEQUENCE)
        return v->count;
    if (v->kind == GAL_KIND_MAP)
        return 1;
    return v->kind == GAL_KIND_TENSOR && v->tensor.rank > 0 ? (size_t)v->tensor.shape[0] : SIZE_MAX;
}

static bool shape_fits(const struct gal_column *c, const struct gal_tensor *t)
{
    if (c->rank == 0)
        return t->rank == 1 || (t->rank == 2 && t->shape[1] == 1);
    return t->rank == c->rank + 1 && gal_shape_fits(t->shape + 1, c->rank, c->shape, c->rank);
}

/* Operations trust their slots: what a caller brings is looked at here. */
static enum gal_status check_input(const struct gal_step_run *r, size_t i,
                                   const struct gal_value *v)
{
    const struct gal_column *c = &r->steps->slots[i].column;
    char has[96], wants[96];

    if (c->kind == GAL_KIND_SEQUENCE && (v->kind == GAL_KIND_SEQUENCE || v->kind == GAL_KIND_MAP))
        return GAL_OK;
    if (v->kind != GAL_KIND_TENSOR || c->kind != GAL_KIND_TENSOR)
        return gal_fail(r->err, GAL_INVALID, "'%.*s' is missing or of another kind",
                        GAL_STR_SHOWN(c->name));
    if (v->tensor.dtype != c->dtype)
        return gal_fail(r->err, GAL_INVALID, "'%.*s' is %s, not %s", GAL_STR_SHOWN(c->name),
                        gal_dtype_name(v->tensor.dtype), gal_dtype_name(c->dtype));
    if (!shape_fits(c, &v->tensor))
        return gal_fail(r->err, GAL_INVALID, "'%.*s' has the shape %s, its rows are %s",
                        GAL_STR_SHOWN(c->name),
                        gal_shape_format(v->tensor.shape, v->tensor.rank, has, sizeof(has)),
                        gal_shape_format(c->shape, c->rank, wants, sizeof(wants)));
    return GAL_OK;
}

static enum gal_status take_inputs(struct gal_step_run *r, const struct gal_value *in)
{
    r->rows = SIZE_MAX;
    for (size_t i = 0; i < r->steps->in_count && r->rows == SIZE_MAX; i++)
        r->rows = rows_of(&in[i]);
    if (r->rows == SIZE_MAX)
        r->rows = 0;
    for (size_t i = 0; i < r->steps->in_count; i++) {
        enum gal_status st;

        r->slots[i] = in[i];
        if (!r->steps->reads[i])
            continue;
        st = check_input(r, i, &in[i]);
        if (st == GAL_OK && rows_of(&in[i]) != r->rows)
            st = gal_fail(r->err, GAL_INVALID, "'%.*s' has %zu rows, others have %zu",
                          GAL_STR_SHOWN(r->steps->slots[i].column.name), rows_of(&in[i]), r->rows);
        if (st != GAL_OK)
            return st;
    }
    return GAL_OK;
}

enum gal_status gal_steps_run(const struct gal_steps *s, const struct gal_value *in,
                              struct gal_arena *arena, struct gal_value *out, struct gal_err *err)
{
    struct gal_step_run r = {.steps = s, .arena = arena, .err = err};
    enum gal_status st;

    r.slots = gal_arena_array(arena, s->slot_count + 1, sizeof(*r.slots));
    r.shapes = gal_arena_array(arena, s->shape_count + 1, sizeof(*r.shapes));
    if (r.slots == NULL || r.shapes == NULL)
        return gal_step_no_memory(arena, err);
    st = take_inputs(&r, in);
    for (size_t i = 0; st == GAL_OK && i < s->step_count; i++)
        st = s->steps[i].run(&s->steps[i], &r);
    for (size_t i = 0; st == GAL_OK && i < s->column_count; i++) {
        out[i] = r.slots[s->column_slots[i]];
        out[i].tensor.name = s->columns[i].name;
    }
    return st;
}
