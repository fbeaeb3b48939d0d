/* SPDX-License-Identifier: Apache-2.0 */
/* The step unzip: the maps of a classifier exported with ZipMap, one a row, become rows of numbers.
 */
#include "package/step_impl.h"

struct unzip {
    const struct gal_str *labels; /* NULL: the first map's keys, in their order */
    size_t count;
};

static bool key_is(const struct gal_tensor *keys, size_t i, struct gal_str label)
{
    char text[GAL_I64_CHARS_MAX];

    if (keys->dtype == GAL_DT_BYTES)
        return gal_str_eq(((const struct gal_str *)keys->data)[i], label);
    return gal_str_eq(
        (struct gal_str){text,
                         (size_t)(gal_i64_write(text, ((const int64_t *)keys->data)[i]) - text)},
        label);
}

size_t gal_step_key(const struct gal_step_run *r, size_t slot, struct gal_str label)
{
    const struct gal_tensor *keys = r->keys != NULL ? r->keys[slot] : NULL;

    for (size_t i = 0; keys != NULL && i < keys->count; i++)
        if (key_is(keys, i, label))
            return i;
    return SIZE_MAX;
}

static bool same_keys(const struct gal_tensor *a, const struct gal_tensor *b)
{
    const struct gal_str *x = a->data, *y = b->data;

    if (a->dtype != b->dtype || a->count != b->count)
        return false;
    if (a->dtype == GAL_DT_INT64)
        return a->count == 0 || memcmp(a->data, b->data, a->count * sizeof(int64_t)) == 0;
    for (size_t i = 0; i < a->count; i++)
        if (!gal_str_eq(x[i], y[i]))
            return false;
    return true;
}

/* A map of classes to numbers. */
static bool is_map(const struct gal_value *v)
{
    const struct gal_tensor *keys, *values;

    if (v->kind != GAL_KIND_MAP || v->count != 2)
        return false;
    keys = &v->items[0].tensor;
    values = &v->items[1].tensor;
    return (keys->dtype == GAL_DT_INT64 || keys->dtype == GAL_DT_BYTES) &&
           keys->count == values->count && values->dtype != GAL_DT_BYTES &&
           values->dtype != GAL_DT_NONE;
}

/* Where in the maps each place's value lies. */
static enum gal_status find_places(const struct unzip *u, struct gal_step_run *r,
                                   const struct gal_tensor *name, const struct gal_tensor *keys,
                                   size_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        from[i] = i;
        for (size_t j = 0; u->labels != NULL; j++) {
            if (j == keys->count)
                return gal_fail(r->err, GAL_INVALID, "'%.*s' has no class '%.*s'",
                                GAL_STR_SHOWN(name->name), GAL_STR_SHOWN(u->labels[i]));
            if (!key_is(keys, j, u->labels[i]))
                continue;
            from[i] = j;
            break;
        }
    }
    if (u->labels != NULL && keys->count != n)
        return gal_fail(r->err, GAL_INVALID, "'%.*s' has %zu classes, `labels` names %zu",
                        GAL_STR_SHOWN(name->name), keys->count, n);
    return GAL_OK;
}

static enum gal_status copy_rows(const struct gal_step *s, struct gal_step_run *r,
                                 const struct gal_value *maps, void *out, const size_t *from,
                                 size_t n)
{
    const struct gal_tensor *name = &r->slots[s->in].tensor;

    for (size_t row = 0; row < r->rows; row++) {
        double v;

        if (!is_map(&maps[row]) || !same_keys(&maps[0].items[0].tensor, &maps[row].items[0].tensor))
            return gal_fail(r->err, GAL_INVALID, "'%.*s': the maps of rows 0 and %zu differ",
                            GAL_STR_SHOWN(name->name), row);
        for (size_t i = 0; i < n; i++) {
            gal_step_load(&v, &maps[row].items[1].tensor, from[i], 1);
            gal_step_store(out, r->slots[s->out].tensor.dtype, row * n + i, &v, 1);
        }
    }
    return GAL_OK;
}

static enum gal_status run_unzip(const struct gal_step *s, struct gal_step_run *r)
{
    const struct unzip *u = s->state;
    const struct gal_value *in = &r->slots[s->in];
    const struct gal_value *maps = in->kind == GAL_KIND_MAP ? in : in->items;
    const struct gal_tensor *keys = NULL;
    size_t n = u->count, *from;
    int64_t shape[2];
    void *out;
    enum gal_status st;

    if (r->rows > 0 && !is_map(&maps[0]))
        return gal_fail(r->err, GAL_INVALID, "'%.*s' is no sequence of maps to numbers",
                        GAL_STR_SHOWN(in->tensor.name));
    keys = r->rows > 0 ? &maps[0].items[0].tensor : NULL;
    if (u->labels == NULL)
        n = keys != NULL ? keys->count : 0;
    shape[0] = (int64_t)r->rows;
    shape[1] = (int64_t)n;
    out = gal_step_out(r, s->out, &(struct gal_tensor){.rank = 2, .shape = shape});
    from = gal_arena_array(r->arena, n, sizeof(*from));
    if (r->keys == NULL) {
        r->keys = gal_arena_array(r->arena, r->steps->slot_count, sizeof(void *));
        for (size_t i = 0; r->keys != NULL && i < r->steps->slot_count; i++)
            r->keys[i] = NULL;
    }
    if (out == NULL || from == NULL || r->keys == NULL)
        return out == NULL && r->err != NULL ? r->err->code : gal_step_no_memory(r->arena, r->err);
    if (keys == NULL)
        return GAL_OK;
    if (u->labels == NULL)
        r->keys[s->out] = keys;
    st = find_places(u, r, &in->tensor, keys, from, n);
    return st == GAL_OK ? copy_rows(s, r, maps, out, from, n) : st;
}

enum gal_status gal_step_make_unzip(struct gal_step_compiler *c)
{
    struct unzip *u = gal_arena_small(c->arena, sizeof(*u));
    struct gal_step step = {.run = run_unzip, .out_more = SIZE_MAX, .state = u};
    struct gal_column column;
    struct gal_str *labels;
    int64_t width;
    enum gal_status st = gal_step_source(c, &step.in);

    if (u == NULL)
        return gal_step_no_memory(c->arena, c->err);
    if (st == GAL_OK)
        st = gal_step_texts(c, "labels", &labels, &u->count);
    if (st != GAL_OK)
        return st;
    column = *gal_step_column(c, step.in);
    if (column.kind == GAL_KIND_TENSOR)
        return gal_step_refuse(c, c->line, "unzip takes maps, and '%.*s' is a tensor already",
                               GAL_STR_SHOWN(column.name));
    u->labels = labels != NULL ? labels : column.labels;
    u->count = labels != NULL ? u->count : column.label_count;
    width = u->labels != NULL ? (int64_t)u->count : -1;
    column.name = gal_step_to(c, step.in);
    column.kind = GAL_KIND_TENSOR;
    column.dtype = gal_step_real(column.dtype);
    column.rank = 1;
    column.shape = &width;
    column.labels = u->labels;
    column.label_count = u->count;
    return gal_step_finish(c, &column, &step);
}
