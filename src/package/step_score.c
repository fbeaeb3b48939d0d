/* SPDX-License-Identifier: Apache-2.0 */
/* Steps over the last axis of scores: softmax, normalize, pick, argmax, top_k. */
#include "package/step_impl.h"

#include <math.h>

#define TOP_K_MAX 1000 /* each place is looked at k times at worst */

struct axis {
    size_t n, outer; /* values of the last axis, and how many such runs there are */
};

static struct axis axis_of(const struct gal_tensor *t)
{
    size_t n = t->rank > 0 ? (size_t)t->shape[t->rank - 1] : 0;

    return (struct axis){n, n > 0 ? t->count / n : 0};
}

/* Numbers, with an axis to go over. */
static enum gal_status want_axis(struct gal_step_compiler *c, size_t slot)
{
    enum gal_status st = gal_step_want_numbers(c, slot);

    if (st == GAL_OK && gal_step_column(c, slot)->rank == 0)
        st = gal_step_refuse(c, c->line, "%s takes several values a row, '%.*s' has one",
                             c->kind->name, GAL_STR_SHOWN(gal_step_column(c, slot)->name));
    return st;
}

/* --- softmax, normalize: a row of FP64 in place --- */

struct rows {
    void (*apply)(double *v, size_t n, size_t norm);
    size_t norm;
    bool whole_row; /* all of a row, not its last axis */
};

static void apply_softmax(double *v, size_t n, size_t norm)
{
    double most = v[0], sum = 0;

    (void)norm;
    for (size_t i = 1; i < n; i++)
        most = v[i] > most ? v[i] : most;
    for (size_t i = 0; i < n; i++) {
        v[i] = exp(v[i] - most);
        sum += v[i];
    }
    for (size_t i = 0; i < n; i++)
        v[i] /= sum;
}

static void apply_norm(double *v, size_t n, size_t norm)
{
    double size = 0;

    for (size_t i = 0; i < n; i++) {
        double a = fabs(v[i]);

        size = norm == 0 ? size + a * a : norm == 1 ? size + a : a > size || isnan(a) ? a : size;
    }
    size = norm == 0 ? sqrt(size) : size;
    for (size_t i = 0; size != 0 && i < n; i++)
        v[i] /= size;
}

static enum gal_status run_rows(const struct gal_step *s, struct gal_step_run *r)
{
    const struct rows *k = s->state;
    const struct gal_tensor *t = gal_step_in(r, s->in);
    void *out = gal_step_out(r, s->out, t);
    struct axis axis = axis_of(t);
    double *v;

    if (k->whole_row && r->rows > 0)
        axis = (struct axis){t->count / r->rows, t->count > 0 ? r->rows : 0};
    if (out == NULL)
        return gal_step_no_out(r);
    v = gal_arena_array(r->arena, axis.n, sizeof(*v));
    if (v == NULL)
        return gal_step_no_memory(r->arena, r->err);
    for (size_t i = 0; i < axis.outer; i++) {
        gal_step_load(v, t, i * axis.n, axis.n);
        k->apply(v, axis.n, k->norm);
        gal_step_store(out, r->slots[s->out].tensor.dtype, i * axis.n, v, axis.n);
    }
    return GAL_OK;
}

static enum gal_status make_rows(struct gal_step_compiler *c, struct rows rows)
{
    struct rows *k = gal_arena_small(c->arena, sizeof(*k));
    struct gal_step step = {.run = run_rows, .out_more = SIZE_MAX, .state = k};
    struct gal_column column;
    enum gal_status st = gal_step_source(c, &step.in);

    if (k == NULL)
        return gal_step_no_memory(c->arena, c->err);
    *k = rows;
    if (st == GAL_OK)
        st = want_axis(c, step.in);
    if (st != GAL_OK)
        return st;
    column = *gal_step_column(c, step.in);
    column.name = gal_step_to(c, step.in);
    column.dtype = gal_step_dtype(c, gal_step_real(column.dtype));
    if (!gal_dtype_is_float(column.dtype))
        return gal_step_refuse(c, gal_step_line(c, "type"), "%s makes floats, and %s is none",
                               c->kind->name, gal_dtype_name(column.dtype));
    return gal_step_finish(c, &column, &step);
}

enum gal_status gal_step_make_softmax(struct gal_step_compiler *c)
{
    return make_rows(c, (struct rows){.apply = apply_softmax});
}

enum gal_status gal_step_make_normalize(struct gal_step_compiler *c)
{
    return make_rows(c, (struct rows){.apply = apply_norm,
                                      .norm = gal_step_choice(c, "norm", 0),
                                      .whole_row = true});
}

/* --- pick --- */

struct place {
    int64_t index;
    struct gal_str label; /* looked for in the keys of the run where it has text */
};

/* SIZE_MAX: there is none. */
static size_t place_of(const struct gal_step *s, const struct gal_step_run *r, size_t n)
{
    const struct place *p = s->state;
    int64_t at = p->index < 0 ? (int64_t)n + p->index : p->index;

    if (p->label.p != NULL)
        return gal_step_key(r, s->in, p->label);
    return at >= 0 && (uint64_t)at < n ? (size_t)at : SIZE_MAX;
}

static enum gal_status run_pick(const struct gal_step *s, struct gal_step_run *r)
{
    const struct place *p = s->state;
    const struct gal_tensor *t = gal_step_in(r, s->in);
    char *out = gal_step_out(r, s->out, t);
    struct axis axis = axis_of(t);
    size_t size = gal_dtype_size(t->dtype), at = place_of(s, r, axis.n);

    if (out == NULL)
        return gal_step_no_out(r);
    if (axis.outer == 0 && r->slots[s->out].tensor.count == 0)
        return GAL_OK;
    if (at == SIZE_MAX && p->label.p != NULL)
        return gal_fail(r->err, GAL_INVALID, "'%.*s' has no class '%.*s'", GAL_STR_SHOWN(t->name),
                        GAL_STR_SHOWN(p->label));
    if (at == SIZE_MAX)
        return gal_fail(r->err, GAL_INVALID, "'%.*s' has %zu places, none of them %lld",
                        GAL_STR_SHOWN(t->name), axis.n, (long long)p->index);
    for (size_t i = 0; i < axis.outer; i++)
        memcpy(out + i * size, (const char *)t->data + (i * axis.n + at) * size, size);
    return GAL_OK;
}

static enum gal_status read_place(struct gal_step_compiler *c, size_t slot, struct place *p)
{
    const struct gal_column *column = gal_step_column(c, slot);
    bool by_index = gal_step_integer(c, "index", &p->index);
    int64_t width = column->shape[column->rank - 1];
    char known[160];
    struct gal_str *label;
    size_t count;
    enum gal_status st = gal_step_texts(c, "label", &label, &count);

    if (st != GAL_OK)
        return st;
    if (by_index == (label != NULL))
        return gal_step_refuse(c, c->line, "pick needs either `index` or `label`");
    if (by_index && width >= 0 && (p->index >= width || p->index < -width))
        return gal_step_refuse(c, gal_step_line(c, "index"), "pick: '%.*s' has %lld places, from 0",
                               GAL_STR_SHOWN(column->name), (long long)width);
    if (by_index)
        return GAL_OK;
    if (column->labels == NULL) {
        p->label = label[0]; /* the model tells its classes with each answer */
        return GAL_OK;
    }
    for (size_t i = 0; i < column->label_count; i++) {
        if (gal_str_eq(column->labels[i], label[0])) {
            p->index = (int64_t)i;
            return GAL_OK;
        }
    }
    gal_step_list(column->labels, column->label_count, known, sizeof(known));
    return gal_step_refuse(c, gal_step_line(c, "label"), "pick: '%.*s' is none of %s",
                           GAL_STR_SHOWN(label[0]), known);
}

enum gal_status gal_step_make_pick(struct gal_step_compiler *c)
{
    struct place *p = gal_arena_small(c->arena, sizeof(*p));
    struct gal_step step = {.run = run_pick, .out_more = SIZE_MAX, .state = p};
    struct gal_column column;
    enum gal_status st = gal_step_source(c, &step.in);

    if (p == NULL)
        return gal_step_no_memory(c->arena, c->err);
    *p = (struct place){0};
    if (st == GAL_OK)
        st = want_axis(c, step.in);
    if (st == GAL_OK)
        st = read_place(c, step.in, p);
    if (st != GAL_OK)
        return st;
    column = *gal_step_column(c, step.in);
    column.name = gal_step_to(c, step.in);
    column.rank--;
    column.labels = NULL;
    return gal_step_finish(c, &column, &step);
}

/* --- argmax --- */

/* The first of the largest, or the first NaN, as NumPy has it. */
static size_t largest(const double *v, size_t n)
{
    size_t best = 0;

    for (size_t i = 1; i < n && !isnan(v[best]); i++)
        if (v[i] > v[best] || isnan(v[i]))
            best = i;
    return best;
}

static enum gal_status run_argmax(const struct gal_step *s, struct gal_step_run *r)
{
    const struct gal_tensor *t = gal_step_in(r, s->in);
    int64_t *out = gal_step_out(r, s->out, t);
    struct axis axis = axis_of(t);
    double *v;

    if (out == NULL)
        return gal_step_no_out(r);
    if (axis.n == 0 && r->slots[s->out].tensor.count > 0)
        return gal_fail(r->err, GAL_INVALID, "'%.*s' has no value to choose from",
                        GAL_STR_SHOWN(t->name));
    v = gal_arena_array(r->arena, axis.n, sizeof(*v));
    if (v == NULL)
        return gal_step_no_memory(r->arena, r->err);
    for (size_t i = 0; i < axis.outer; i++) {
        gal_step_load(v, t, i * axis.n, axis.n);
        out[i] = (int64_t)largest(v, axis.n);
    }
    return GAL_OK;
}

enum gal_status gal_step_make_argmax(struct gal_step_compiler *c)
{
    struct gal_step step = {.run = run_argmax, .out_more = SIZE_MAX};
    struct gal_column column;
    enum gal_status st = gal_step_source(c, &step.in);

    if (st == GAL_OK)
        st = want_axis(c, step.in);
    if (st != GAL_OK)
        return st;
    column = *gal_step_column(c, step.in); /* with the names of the places */
    column.name = gal_step_to(c, step.in);
    column.dtype = GAL_DT_INT64;
    column.rank--;
    return gal_step_finish(c, &column, &step);
}

/* --- top_k --- */

struct top {
    size_t k;
    const struct gal_str *names; /* NULL: numbers */
    size_t name_count;
};

/* The k best places of n, best first, the first of equals first; NaN behind all. */
static void find_best(const double *v, size_t n, size_t *best, size_t k)
{
    size_t found = 0;

    for (size_t i = 0; i < n; i++) {
        size_t at = found;

        while (at > 0 && (v[i] > v[best[at - 1]] || (isnan(v[best[at - 1]]) && !isnan(v[i])))) {
            if (at < k)
                best[at] = best[at - 1];
            at--;
        }
        if (at < k)
            best[at] = i;
        found += found < k;
    }
}

static enum gal_status run_top_k(const struct gal_step *s, struct gal_step_run *r)
{
    const struct top *top = s->state;
    const struct gal_tensor *t = gal_step_in(r, s->in);
    void *out = gal_step_out(r, s->out, t);
    char *scores = s->out_more != SIZE_MAX ? gal_step_out(r, s->out_more, t) : NULL;
    struct axis axis = axis_of(t);
    size_t size = gal_dtype_size(t->dtype), *best;
    double *v = gal_arena_array(r->arena, axis.n, sizeof(*v));

    if (out == NULL || (s->out_more != SIZE_MAX && scores == NULL))
        return gal_step_no_out(r);
    best = gal_arena_array(r->arena, top->k, sizeof(*best));
    if (v == NULL || best == NULL)
        return gal_step_no_memory(r->arena, r->err);
    if (r->rows > 0 && (axis.n < top->k || (top->names != NULL && axis.n > top->name_count)))
        return gal_fail(r->err, GAL_INVALID, "'%.*s' has %zu places for the best %zu of %zu names",
                        GAL_STR_SHOWN(t->name), axis.n, top->k, top->name_count);
    for (size_t i = 0; i < axis.outer; i++) {
        gal_step_load(v, t, i * axis.n, axis.n);
        find_best(v, axis.n, best, top->k);
        for (size_t j = 0; j < top->k; j++) {
            if (top->names != NULL)
                ((struct gal_str *)out)[i * top->k + j] = top->names[best[j]];
            else
                ((int64_t *)out)[i * top->k + j] = (int64_t)best[j];
            if (scores != NULL)
                memcpy(scores + (i * top->k + j) * size,
                       (const char *)t->data + (i * axis.n + best[j]) * size, size);
        }
    }
    return GAL_OK;
}

static enum gal_status read_top(struct gal_step_compiler *c, const struct gal_column *column,
                                struct top *top)
{
    int64_t k = 0, width = column->shape[0];
    struct gal_str *names;
    enum gal_status st = gal_step_texts(c, "names", &names, &top->name_count);

    if (st != GAL_OK)
        return st;
    (void)gal_step_integer(c, "k", &k);
    if (k < 1 || k > TOP_K_MAX || (width >= 0 && k > width))
        return gal_step_refuse(c, gal_step_line(c, "k"), "top_k: `k` is from 1 to %lld",
                               (long long)(width >= 0 && width < TOP_K_MAX ? width : TOP_K_MAX));
    if (names != NULL && width >= 0 && top->name_count != (size_t)width)
        return gal_step_refuse(c, gal_step_line(c, "names"),
                               "top_k: `names` has %zu names for %lld places", top->name_count,
                               (long long)width);
    top->k = (size_t)k;
    top->names = names != NULL ? names : column->labels;
    top->name_count = names != NULL ? top->name_count : column->label_count;
    return GAL_OK;
}

enum gal_status gal_step_make_top_k(struct gal_step_compiler *c)
{
    struct top *top = gal_arena_small(c->arena, sizeof(*top));
    struct gal_step step = {.run = run_top_k, .out_more = SIZE_MAX, .state = top};
    struct gal_column column, more;
    int64_t k;
    enum gal_status st = gal_step_source(c, &step.in);

    if (top == NULL)
        return gal_step_no_memory(c->arena, c->err);
    if (st == GAL_OK)
        st = want_axis(c, step.in);
    if (st == GAL_OK && gal_step_column(c, step.in)->rank != 1)
        st = gal_step_refuse(c, c->line, "top_k takes rows of one axis");
    if (st == GAL_OK)
        st = read_top(c, gal_step_column(c, step.in), top);
    if (st != GAL_OK)
        return st;
    k = (int64_t)top->k;
    column = *gal_step_column(c, step.in);
    column.shape = &k;
    column.labels = NULL;
    more = column;
    column.name = gal_step_to(c, step.in);
    column.dtype = top->names != NULL ? GAL_DT_BYTES : GAL_DT_INT64;
    gal_step_text(c, "scores", &more.name);
    st = gal_step_make(c, &column, &step.out);
    if (st == GAL_OK && gal_step_get(c, "scores") != NULL)
        st = gal_step_make(c, &more, &step.out_more);
    return st == GAL_OK ? gal_step_add(c, &step) : st;
}
