/* SPDX-License-Identifier: Apache-2.0 */
/* Steps over the last axis: softmax, normalize, argmax, pick, top_k. */
#include "package/step_impl.h"

#include <math.h>

struct axis {
    size_t width; /* of the last axis */
    size_t index; /* pick: the place; top_k: how many */
    unsigned norm;
    const struct gal_str *names; /* top_k: of the places; NULL: their numbers */
};

/* The source's last axis, which must have a size that is known. */
static enum gal_status find_axis(struct gal_step_compiler *c, struct gal_step *step,
                                 struct gal_column *column, struct axis **out)
{
    struct axis *a = gal_arena_small(c->arena, sizeof(*a));
    enum gal_status st = gal_step_source(c, &step->in);

    *out = a;
    if (a == NULL)
        return gal_step_no_memory(c->arena, c->err);
    if (st == GAL_OK)
        st = gal_step_want_numbers(c, step->in);
    if (st != GAL_OK)
        return st;
    *column = *gal_step_column(c, step->in);
    *a = (struct axis){.width = 1};
    if (column->rank == 0 || column->shape[column->rank - 1] <= 0)
        return gal_step_refuse(c, c->line, "%s: '%.*s' has no last axis of a known size",
                               c->kind->name, GAL_STR_SHOWN(column->name));
    a->width = (size_t)column->shape[column->rank - 1];
    step->out_more = SIZE_MAX;
    step->state = a;
    return GAL_OK;
}

static enum gal_status add(struct gal_step_compiler *c, struct gal_step *step,
                           struct gal_column *column)
{
    enum gal_status st;

    column->name = gal_step_to(c, step->in);
    st = gal_step_make(c, column, &step->out);
    return st == GAL_OK ? gal_step_add(c, step) : st;
}

static enum gal_status failed(const struct gal_step_run *r)
{
    return r->err != NULL && r->err->code != GAL_OK ? r->err->code : GAL_NO_MEMORY;
}

/* Memory for one row of the last axis. */
static double *row_of(const struct axis *a, struct gal_step_run *r)
{
    double *v = gal_arena_array(r->arena, a->width, sizeof(*v));

    if (v == NULL)
        gal_step_no_memory(r->arena, r->err);
    return v;
}

/* --- softmax --- */

static void softmax(double *v, size_t n)
{
    double most = -(double)INFINITY, sum = 0;

    for (size_t i = 0; i < n; i++)
        most = v[i] > most || isnan(v[i]) ? v[i] : most;
    for (size_t i = 0; i < n; i++) {
        v[i] = exp(v[i] - most);
        sum += v[i];
    }
    for (size_t i = 0; i < n; i++)
        v[i] /= sum;
}

static enum gal_status run_softmax(const struct gal_step *s, struct gal_step_run *r)
{
    const struct axis *a = s->state;
    const struct gal_tensor *t = gal_step_in(r, s->in);
    void *out = gal_step_out(r, s->out, t);
    double *v = out != NULL ? row_of(a, r) : NULL;

    if (v == NULL)
        return failed(r);
    for (size_t at = 0; at < t->count; at += a->width) {
        gal_step_load(v, t, at, a->width);
        softmax(v, a->width);
        gal_step_store(out, r->slots[s->out].tensor.dtype, at, v, a->width);
    }
    return GAL_OK;
}

enum gal_status gal_step_make_softmax(struct gal_step_compiler *c)
{
    struct gal_step step = {.run = run_softmax};
    struct gal_column column;
    struct axis *a;
    enum gal_status st = find_axis(c, &step, &column, &a);

    if (st != GAL_OK)
        return st;
    column.dtype = gal_step_real(column.dtype);
    return add(c, &step, &column);
}

/* --- normalize: sklearn.preprocessing.Normalizer; a row of zeros stays --- */

enum { NORM_L2, NORM_L1, NORM_MAX };

static double length_of(const double *v, size_t n, unsigned norm)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++) {
        if (norm == NORM_L2)
            sum += v[i] * v[i];
        else if (norm == NORM_L1)
            sum += fabs(v[i]);
        else
            sum = fabs(v[i]) > sum ? fabs(v[i]) : sum;
    }
    return norm == NORM_L2 ? sqrt(sum) : sum;
}

static enum gal_status run_normalize(const struct gal_step *s, struct gal_step_run *r)
{
    const struct axis *a = s->state;
    const struct gal_tensor *t = gal_step_in(r, s->in);
    void *out = gal_step_out(r, s->out, t);
    double *v = out != NULL ? row_of(a, r) : NULL;

    if (v == NULL)
        return failed(r);
    for (size_t at = 0; at < t->count; at += a->width) {
        gal_step_load(v, t, at, a->width);
        double length = length_of(v, a->width, a->norm);
        for (size_t i = 0; i < a->width && length != 0; i++)
            v[i] /= length;
        gal_step_store(out, r->slots[s->out].tensor.dtype, at, v, a->width);
    }
    return GAL_OK;
}

enum gal_status gal_step_make_normalize(struct gal_step_compiler *c)
{
    struct gal_step step = {.run = run_normalize};
    struct gal_column column;
    struct axis *a;
    enum gal_status st = find_axis(c, &step, &column, &a);

    if (st != GAL_OK)
        return st;
    a->norm = (unsigned)gal_step_choice(c, "norm", NORM_L2);
    column.dtype = gal_step_real(column.dtype);
    return add(c, &step, &column);
}

/* --- argmax: the first of equals; NaN is the largest, as numpy has it --- */

static size_t largest(const double *v, size_t n)
{
    size_t best = 0;

    for (size_t i = 1; i < n && !isnan(v[best]); i++) {
        if (v[i] > v[best] || isnan(v[i]))
            best = i;
    }
    return best;
}

static enum gal_status run_argmax(const struct gal_step *s, struct gal_step_run *r)
{
    const struct axis *a = s->state;
    const struct gal_tensor *t = gal_step_in(r, s->in);
    int64_t *out = gal_step_out(r, s->out, t);
    double *v = out != NULL ? row_of(a, r) : NULL;

    if (v == NULL)
        return failed(r);
    for (size_t at = 0; at < t->count; at += a->width) {
        gal_step_load(v, t, at, a->width);
        *out++ = (int64_t)largest(v, a->width);
    }
    return GAL_OK;
}

enum gal_status gal_step_make_argmax(struct gal_step_compiler *c)
{
    struct gal_step step = {.run = run_argmax};
    struct gal_column column;
    struct axis *a;
    enum gal_status st = find_axis(c, &step, &column, &a);

    if (st != GAL_OK)
        return st;
    column.dtype = GAL_DT_INT64;
    column.rank--; /* the names of places are those of the classes now */
    return add(c, &step, &column);
}

/* --- pick --- */

static enum gal_status run_pick(const struct gal_step *s, struct gal_step_run *r)
{
    const struct axis *a = s->state;
    const struct gal_tensor *t = gal_step_in(r, s->in);
    size_t size = gal_dtype_size(t->dtype), count = t->count / a->width;
    char *out = gal_step_out(r, s->out, t);

    if (out == NULL)
        return failed(r);
    for (size_t i = 0; i < count; i++)
        memcpy(out + i * size, (const char *)t->data + (i * a->width + a->index) * size, size);
    return GAL_OK;
}

static enum gal_status place_of(struct gal_step_compiler *c, const struct gal_column *column,
                                struct axis *a)
{
    struct gal_str label = {NULL, 0};
    int64_t index = 0;
    char list[160];

    gal_step_text(c, "label", &label);
    if ((label.p != NULL) == gal_step_integer(c, "index", &index))
        return gal_step_refuse(c, c->line, "pick needs either index or label");
    if (label.p == NULL) {
        int64_t width = (int64_t)a->width;
        if (index < -width || index >= width)
            return gal_step_refuse(c, gal_step_line(c, "index"),
                                   "pick: '%.*s' has the places 0 to %zu",
                                   GAL_STR_SHOWN(column->name), a->width - 1);
        a->index = (size_t)(index < 0 ? index + width : index);
        return GAL_OK;
    }
    for (size_t i = 0; i < column->label_count; i++) {
        if (gal_str_eq(column->labels[i], label)) {
            a->index = i;
            return GAL_OK;
        }
    }
    if (column->label_count == 0)
        return gal_step_refuse(c, gal_step_line(c, "label"),
                               "pick: the places of '%.*s' have no names: say `index`",
                               GAL_STR_SHOWN(column->name));
    return gal_step_refuse(c, gal_step_line(c, "label"),
                           "pick: no place is called '%.*s'; there "
                           "are: %s",
                           GAL_STR_SHOWN(label),
                           gal_step_list(column->labels, column->label_count, list, sizeof(list)));
}

enum gal_status gal_step_make_pick(struct gal_step_compiler *c)
{
    struct gal_step step = {.run = run_pick};
    struct gal_column column;
    struct axis *a;
    enum gal_status st = find_axis(c, &step, &column, &a);

    if (st == GAL_OK)
        st = place_of(c, &column, a);
    if (st != GAL_OK)
        return st;
    column.rank--;
    column.labels = NULL;
    return add(c, &step, &column);
}

/* --- top_k --- */

/* The k largest, the first of equals first; `taken` is the row's own. */
static void best_of(double *v, size_t n, size_t k, size_t *at, double *score)
{
    for (size_t j = 0; j < k; j++) {
        size_t best = 0;
        while (isnan(v[best]) && best + 1 < n)
            best++;
        for (size_t i = best + 1; i < n; i++) {
            if (v[i] > v[best])
                best = i;
        }
        at[j] = best;
        score[j] = v[best];
        v[best] = (double)NAN; /* it is taken */
    }
}

static void put_places(const struct axis *a, const size_t *at, void *out, size_t first)
{
    for (size_t j = 0; j < a->index; j++) {
        if (a->names != NULL)
            ((struct gal_str *)out)[first + j] = a->names[at[j]];
        else
            ((int64_t *)out)[first + j] = (int64_t)at[j];
    }
}

static enum gal_status run_top_k(const struct gal_step *s, struct gal_step_run *r)
{
    const struct axis *a = s->state;
    const struct gal_tensor *t = gal_step_in(r, s->in);
    void *out = gal_step_out(r, s->out, t);
    void *scores = out != NULL && s->out_more != SIZE_MAX ? gal_step_out(r, s->out_more, t) : NULL;
    double *v = row_of(a, r), *score = v != NULL ? row_of(a, r) : NULL;
    size_t *at = gal_arena_array(r->arena, a->width, sizeof(*at)), row = 0;

    if (out == NULL || score == NULL || at == NULL || (s->out_more != SIZE_MAX && scores == NULL))
        return failed(r);
    for (size_t from = 0; from < t->count; from += a->width, row++) {
        gal_step_load(v, t, from, a->width);
        best_of(v, a->width, a->index, at, score);
        put_places(a, at, out, row * a->index);
        if (scores != NULL)
            gal_step_store(scores, r->slots[s->out_more].tensor.dtype, row * a->index, score,
                           a->index);
    }
    return GAL_OK;
}

static enum gal_status read_names(struct gal_step_compiler *c, const struct gal_column *column,
                                  struct axis *a)
{
    struct gal_str *names;
    size_t count;
    enum gal_status st = gal_step_texts(c, "names", &names, &count);

    if (st != GAL_OK)
        return st;
    if (names != NULL && count != a->width)
        return gal_step_refuse(c, gal_step_line(c, "names"),
                               "top_k: '%.*s' has %zu places, there are %zu names",
                               GAL_STR_SHOWN(column->name), a->width, count);
    a->names = names != NULL ? names : column->label_count == a->width ? column->labels : NULL;
    return GAL_OK;
}

enum gal_status gal_step_make_top_k(struct gal_step_compiler *c)
{
    struct gal_step step = {.run = run_top_k};
    struct gal_column column, scores;
    struct gal_str name = {NULL, 0};
    struct axis *a;
    int64_t k = 0, *shape;
    enum gal_status st = find_axis(c, &step, &column, &a);

    if (st == GAL_OK)
        st = read_names(c, &column, a);
    if (st != GAL_OK)
        return st;
    if (!gal_step_integer(c, "k", &k) || k < 1 || (uint64_t)k > a->width)
        return gal_step_refuse(c, gal_step_line(c, "k"), "top_k: k is 1 to %zu", a->width);
    a->index = (size_t)k;
    shape = gal_arena_array(c->arena, column.rank, sizeof(*shape));
    if (shape == NULL)
        return gal_step_no_memory(c->arena, c->err);
    memcpy(shape, column.shape, column.rank * sizeof(*shape));
    shape[column.rank - 1] = k;
    column.shape = shape;
    column.labels = NULL;
    scores = column;
    scores.dtype = gal_step_real(column.dtype);
    gal_step_text(c, "scores", &name);
    scores.name = name;
    column.dtype = a->names != NULL ? GAL_DT_BYTES : GAL_DT_INT64;
    if (name.p != NULL)
        st = gal_step_make(c, &scores, &step.out_more);
    return st == GAL_OK ? add(c, &step, &column) : st;
}
