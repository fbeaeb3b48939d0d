/* SPDX-License-Identifier: Apache-2.0 */
/* unzip: ZipMap's sequence of maps, one a row, as a tensor of their values. */
#include "package/step_impl.h"

#include <inttypes.h>
#include <stdio.h>

struct unzip {
    const struct gal_str *labels; /* in the order of the places; NULL: as the first map has them */
    size_t count;
};

static enum gal_status failed(const struct gal_step_run *r)
{
    return r->err != NULL && r->err->code != GAL_OK ? r->err->code : GAL_NO_MEMORY;
}

/* A key as text; number keys in `room`. */
static struct gal_str key_at(const struct gal_tensor *keys, size_t i, char room[24])
{
    if (keys->dtype == GAL_DT_BYTES)
        return ((const struct gal_str *)keys->data)[i];
    (void)snprintf(room, 24, "%" PRId64, ((const int64_t *)keys->data)[i]);
    return gal_str_of(room);
}

static size_t find_key(const struct gal_tensor *keys, struct gal_str label, size_t guess)
{
    char room[24];

    if (guess < keys->count && gal_str_eq(key_at(keys, guess, room), label))
        return guess;
    for (size_t i = 0; i < keys->count; i++) {
        if (gal_str_eq(key_at(keys, i, room), label))
            return i;
    }
    return SIZE_MAX;
}

/* One map into `width` places from `at` on. */
static enum gal_status put_map(struct gal_step_run *r, const struct gal_step *s, size_t row,
                               const struct gal_value *map, void *out, size_t width)
{
    const struct unzip *u = s->state;
    const struct gal_tensor *keys = &map->items[0].tensor, *values = &map->items[1].tensor;
    double v;

    for (size_t i = 0; i < width; i++) {
        size_t at = u->labels != NULL ? find_key(keys, u->labels[i], i) : i;
        if (at == SIZE_MAX || at >= values->count)
            return gal_fail(r->err, GAL_INVALID, "row %zu of '%.*s' has no class '%.*s'", row,
                            GAL_STR_SHOWN(r->steps->slots[s->in].column.name),
                            GAL_STR_SHOWN(u->labels != NULL ? u->labels[i] : GAL_STR("")));
        gal_step_load(&v, values, at, 1);
        gal_step_store(out, r->slots[s->out].tensor.dtype, row * width + i, &v, 1);
    }
    return GAL_OK;
}

static enum gal_status run_unzip(const struct gal_step *s, struct gal_step_run *r)
{
    const struct unzip *u = s->state;
    const struct gal_value *seq = &r->slots[s->in];
    size_t width = u->count;
    enum gal_status st = GAL_OK;

    if (seq->kind != GAL_KIND_SEQUENCE)
        return gal_fail(r->err, GAL_INTERNAL, "unzip: the model gave no sequence of maps");
    for (size_t i = 0; i < seq->count; i++) {
        if (seq->items[i].kind != GAL_KIND_MAP || seq->items[i].count != 2)
            return gal_fail(r->err, GAL_INTERNAL, "unzip: the model gave no sequence of maps");
        if (u->labels == NULL && i == 0)
            width = seq->items[0].items[0].tensor.count;
        if (u->labels == NULL && seq->items[i].items[0].tensor.count != width)
            return gal_fail(r->err, GAL_INVALID,
                            "row %zu has %zu classes, the first has %zu: name them with `labels`",
                            i, seq->items[i].items[0].tensor.count, width);
    }
    const int64_t shape[2] = {(int64_t)seq->count, (int64_t)width};
    const struct gal_tensor like = {.rank = 2, .shape = shape};
    void *out = gal_step_out(r, s->out, &like);
    if (out == NULL)
        return failed(r);
    for (size_t row = 0; st == GAL_OK && row < seq->count; row++)
        st = put_map(r, s, row, &seq->items[row], out, width);
    return st;
}

enum gal_status gal_step_make_unzip(struct gal_step_compiler *c)
{
    struct unzip *u = gal_arena_small(c->arena, sizeof(*u));
    int64_t *shape = gal_arena_array(c->arena, 1, sizeof(*shape));
    struct gal_step step = {.run = run_unzip, .out_more = SIZE_MAX, .state = u};
    struct gal_str *labels;
    struct gal_column column;
    enum gal_status st = gal_step_source(c, &step.in);

    if (u == NULL || shape == NULL)
        return gal_step_no_memory(c->arena, c->err);
    if (st != GAL_OK)
        return st;
    column = *gal_step_column(c, step.in);
    if (column.kind != GAL_KIND_SEQUENCE)
        return gal_step_refuse(c, c->line, "unzip: '%.*s' is a tensor already",
                               GAL_STR_SHOWN(column.name));
    *u = (struct unzip){column.labels, column.labels != NULL ? column.label_count : 0};
    st = gal_step_texts(c, "labels", &labels, &column.label_count);
    if (st != GAL_OK)
        return st;
    if (labels != NULL)
        *u = (struct unzip){labels, column.label_count};
    *shape = u->labels != NULL ? (int64_t)u->count : -1;
    column.kind = GAL_KIND_TENSOR;
    column.rank = 1;
    column.shape = shape;
    column.labels = u->labels;
    column.label_count = u->count;
    column.name = gal_step_to(c, step.in);
    st = gal_step_make(c, &column, &step.out);
    return st == GAL_OK ? gal_step_add(c, &step) : st;
}
