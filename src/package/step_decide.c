/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that make decisions of numbers: threshold, bands, labels. */
#include "package/step_impl.h"

#include <inttypes.h>
#include <math.h>

/* --- conditions --- */

/* True between the bounds; NaN is nowhere. */
struct condition {
    double low, high;
    bool low_counts, high_counts; /* the bound itself is inside */
};

static const char *const condition_names[] = {"above", "at_least", "below", "at_most"};

/* A bound is held as the column's datatype holds it: what prints as 0.7 is at least 0.7. */
static void set_bound(struct condition *k, size_t which, double v, enum gal_dtype t)
{
    v = gal_step_narrow(v, t);
    if (which < 2) {
        k->low = v;
        k->low_counts = which == 1;
    } else {
        k->high = v;
        k->high_counts = which == 3;
    }
}

static inline bool holds(const struct condition *k, double v)
{
    return (k->low_counts ? v >= k->low : v > k->low) &&
           (k->high_counts ? v <= k->high : v < k->high);
}

static const struct condition anything = {-(double)INFINITY, (double)INFINITY, true, true};

/* --- threshold --- */

static enum gal_status run_threshold(const struct gal_step *s, struct gal_step_run *r)
{
    const struct condition *k = s->state;
    const struct gal_tensor *t = gal_step_in(r, s->in);
    void *out = gal_step_out(r, s->out, t);
    double v[GAL_STEP_BLOCK];

    if (out == NULL)
        return gal_step_no_out(r);
    for (size_t at = 0, n; (n = gal_step_block(v, t, at)) > 0; at += n) {
        for (size_t i = 0; i < n; i++)
            v[i] = holds(k, v[i]);
        gal_step_store(out, r->slots[s->out].tensor.dtype, at, v, n);
    }
    return GAL_OK;
}

enum gal_status gal_step_make_threshold(struct gal_step_compiler *c)
{
    struct condition *k = gal_arena_small(c->arena, sizeof(*k));
    struct gal_step step = {.run = run_threshold, .out_more = SIZE_MAX, .state = k};
    struct gal_column column;
    bool some = false;
    double v;
    enum gal_status st = gal_step_source(c, &step.in);

    if (k == NULL)
        return gal_step_no_memory(c->arena, c->err);
    if (st == GAL_OK)
        st = gal_step_want_numbers(c, step.in);
    if (st != GAL_OK)
        return st;
    column = *gal_step_column(c, step.in);
    *k = anything;
    for (size_t i = 0; i < 4; i++) {
        if (!gal_step_number(c, condition_names[i], &v))
            continue;
        some = true;
        set_bound(k, i, v, column.dtype);
    }
    if (!some)
        return gal_step_refuse(c, c->line, "threshold needs above, at_least, below or at_most");
    column.name = gal_step_to(c, step.in);
    column.dtype = gal_step_dtype(c, GAL_DT_BOOL);
    column.labels = NULL;
    if (column.dtype == GAL_DT_BYTES)
        return gal_step_refuse(c, gal_step_line(c, "type"), "threshold makes numbers, not BYTES");
    return gal_step_finish(c, &column, &step);
}

/* --- bands --- */

struct band {
    struct condition when;
    struct gal_str is;
};

struct bands {
    struct band *at;
    size_t count;
    struct gal_str otherwise;
};

static enum gal_status run_bands(const struct gal_step *s, struct gal_step_run *r)
{
    const struct bands *b = s->state;
    const struct gal_tensor *t = gal_step_in(r, s->in);
    struct gal_str *out = gal_step_out(r, s->out, t);
    double v[GAL_STEP_BLOCK];

    if (out == NULL)
        return gal_step_no_out(r);
    for (size_t at = 0, n; (n = gal_step_block(v, t, at)) > 0; at += n) {
        for (size_t i = 0; i < n; i++) {
            size_t j = 0;

            while (j < b->count && !(holds(&b->at[j].when, v[i])))
                j++;
            out[at + i] = j < b->count ? b->at[j].is : b->otherwise;
        }
    }
    return GAL_OK;
}

static enum gal_status read_band(struct gal_step_compiler *c, const struct gal_yaml *item,
                                 enum gal_dtype t, struct band *out)
{
    bool some = false;
    double v;

    *out = (struct band){.when = anything};
    if (item->type != GAL_YAML_MAP)
        return gal_step_refuse(c, item->line, "bands: a band is {above: NUMBER, is: TEXT}");
    for (const struct gal_yaml *n = item->child; n != NULL; n = n->next) {
        size_t i = 0;

        if (gal_str_is(n->key, "is") && n->type == GAL_YAML_SCALAR) {
            out->is = (struct gal_str){gal_arena_strdup(c->arena, n->scalar), n->scalar.n};
            if (out->is.p == NULL)
                return gal_step_no_memory(c->arena, c->err);
            continue;
        }
        while (i < 4 && !gal_str_is(n->key, condition_names[i]))
            i++;
        if (i == 4)
            return gal_step_refuse(c, n->line,
                                   "bands: '%.*s' is none of above, at_least, below, at_most, is",
                                   GAL_STR_SHOWN(n->key));
        if (n->type != GAL_YAML_SCALAR || !gal_step_to_number(n->scalar, &v))
            return gal_step_refuse(c, n->line, "bands: `%s` takes a number", condition_names[i]);
        set_bound(&out->when, i, v, t);
        some = true;
    }
    if (out->is.p == NULL || !some)
        return gal_step_refuse(c, item->line, "bands: a band needs %s",
                               some ? "`is`" : "above, at_least, below or at_most");
    return GAL_OK;
}

enum gal_status gal_step_make_bands(struct gal_step_compiler *c)
{
    struct bands *b = gal_arena_small(c->arena, sizeof(*b));
    const struct gal_yaml *list = gal_step_get(c, "bands");
    struct gal_step step = {.run = run_bands, .out_more = SIZE_MAX, .state = b};
    struct gal_column column;
    struct gal_str *otherwise;
    size_t count;
    enum gal_status st = gal_step_source(c, &step.in);

    if (b == NULL)
        return gal_step_no_memory(c->arena, c->err);
    if (st == GAL_OK)
        st = gal_step_want_numbers(c, step.in);
    if (st == GAL_OK)
        st = gal_step_texts(c, "else", &otherwise, &count);
    if (st != GAL_OK)
        return st;
    column = *gal_step_column(c, step.in);
    *b = (struct bands){NULL, 0, otherwise[0]};
    for (const struct gal_yaml *n = list->child; n != NULL; n = n->next)
        b->count++;
    b->at = gal_arena_array(c->arena, b->count, sizeof(*b->at));
    if (b->at == NULL)
        return gal_step_no_memory(c->arena, c->err);
    count = 0;
    for (const struct gal_yaml *n = list->child; st == GAL_OK && n != NULL; n = n->next)
        st = read_band(c, n, column.dtype, &b->at[count++]);
    column.name = gal_step_to(c, step.in);
    column.dtype = GAL_DT_BYTES;
    column.labels = NULL;
    return st == GAL_OK ? gal_step_finish(c, &column, &step) : st;
}

/* --- labels --- */

struct labels {
    const struct gal_str *names;
    size_t count;
};

static enum gal_status run_labels(const struct gal_step *s, struct gal_step_run *r)
{
    const struct labels *l = s->state;
    const struct gal_tensor *t = gal_step_in(r, s->in);
    struct gal_str *out = gal_step_out(r, s->out, t);
    double v[GAL_STEP_BLOCK];

    if (out == NULL)
        return gal_step_no_out(r);
    for (size_t at = 0, n; (n = gal_step_block(v, t, at)) > 0; at += n) {
        for (size_t i = 0; i < n; i++) {
            if (!(v[i] >= 0 && v[i] < (double)l->count) || v[i] != rint(v[i]))
                return gal_step_fail_at(r, s->in, at + i, "%.9g is the number of none of %zu names",
                                        v[i], l->count);
            out[at + i] = l->names[(size_t)v[i]];
        }
    }
    return GAL_OK;
}

enum gal_status gal_step_make_labels(struct gal_step_compiler *c)
{
    struct labels *l = gal_arena_small(c->arena, sizeof(*l));
    struct gal_step step = {.run = run_labels, .out_more = SIZE_MAX, .state = l};
    struct gal_column column;
    struct gal_str *names;
    enum gal_status st = gal_step_source(c, &step.in);

    if (l == NULL)
        return gal_step_no_memory(c->arena, c->err);
    if (st == GAL_OK)
        st = gal_step_want_numbers(c, step.in);
    if (st == GAL_OK)
        st = gal_step_texts(c, "names", &names, &l->count);
    if (st != GAL_OK)
        return st;
    column = *gal_step_column(c, step.in);
    l->names = names != NULL ? names : column.labels;
    l->count = names != NULL ? l->count : column.label_count;
    if (l->names == NULL)
        return gal_step_refuse(c, c->line, "labels: '%.*s' brings no names of its own: say `names`",
                               GAL_STR_SHOWN(column.name));
    column.name = gal_step_to(c, step.in);
    column.dtype = GAL_DT_BYTES;
    column.labels = l->names; /* the classes there are */
    column.label_count = l->count;
    return gal_step_finish(c, &column, &step);
}
