/* SPDX-License-Identifier: Apache-2.0 */
/* What is missing: NaN of numbers, the empty text of texts, or a value that stands for nothing. */
#include "package/step_impl.h"

#include <math.h>

struct gap {
    bool told; /* `missing` is written: `mark` stands for nothing */
    double mark, with;
    int64_t whole_mark, whole_with; /* of 64-bit columns */
    struct gal_str text_mark, text_with;
};

static bool is_wide(enum gal_dtype t)
{
    return t == GAL_DT_INT64 || t == GAL_DT_UINT64;
}

static inline bool is_gap(const struct gap *g, double v)
{
    return g->told && !isnan(g->mark) ? v == g->mark : isnan(v);
}

/* Of a column that has no NaN and no mark, nothing is missing. */
static bool never(const struct gap *g, enum gal_dtype t)
{
    return t != GAL_DT_BYTES && !gal_dtype_is_float(t) && (!g->told || isnan(g->mark));
}

static enum gal_status run_impute(const struct gal_step *s, struct gal_step_run *r)
{
    const struct gap *g = s->state;
    const struct gal_tensor *t = gal_step_in(r, s->in);
    void *out;
    double v[GAL_STEP_BLOCK];

    if (never(g, t->dtype)) {
        r->slots[s->out] = r->slots[s->in];
        return GAL_OK;
    }
    out = gal_step_out(r, s->out, t);
    if (out == NULL)
        return gal_step_no_out(r);
    for (size_t i = 0; t->dtype == GAL_DT_BYTES && i < t->count; i++) {
        struct gal_str text = ((const struct gal_str *)t->data)[i];

        ((struct gal_str *)out)[i] = gal_str_eq(text, g->text_mark) ? g->text_with : text;
    }
    for (size_t i = 0; is_wide(t->dtype) && i < t->count; i++) {
        int64_t whole = ((const int64_t *)t->data)[i];

        ((int64_t *)out)[i] = whole == g->whole_mark ? g->whole_with : whole;
    }
    if (t->dtype == GAL_DT_BYTES || is_wide(t->dtype))
        return GAL_OK;
    for (size_t at = 0, n; (n = gal_step_block(v, t, at)) > 0; at += n) {
        for (size_t i = 0; i < n; i++)
            v[i] = is_gap(g, v[i]) ? g->with : v[i];
        gal_step_store(out, t->dtype, at, v, n);
    }
    return GAL_OK;
}

/* A value of the manifest for a column of this datatype. */
static bool read_value(struct gal_str text, enum gal_dtype t, double *number, int64_t *whole)
{
    double bound = ldexp(1, (int)gal_dtype_size(t) * 8);
    uint64_t natural;

    if (t == GAL_DT_UINT64) {
        bool fits = gal_str_u64(text, &natural) == GAL_OK;

        *number = fits ? (double)natural : 0;
        *whole = fits ? (int64_t)natural : 0;
        return fits;
    }
    if (t == GAL_DT_INT64) {
        bool fits = gal_str_i64(text, whole) == GAL_OK;

        *number = fits ? (double)*whole : 0;
        return fits;
    }
    if (!gal_step_to_number(text, number))
        return false;
    if (gal_dtype_is_float(t)) {
        *number = gal_step_narrow(*number, t);
        return true;
    }
    if (t == GAL_DT_BOOL)
        return *number == 0 || *number == 1;
    if (t >= GAL_DT_INT8 && t <= GAL_DT_INT64)
        return *number == rint(*number) && *number >= -bound / 2 && *number < bound / 2;
    return *number == rint(*number) && *number >= 0 && *number < bound;
}

static enum gal_status read_gap(struct gal_step_compiler *c, enum gal_dtype t, struct gal_str with,
                                struct gap *g)
{
    struct gal_str *mark;
    size_t count;
    bool nan = false;
    enum gal_status st = gal_step_texts(c, "missing", &mark, &count);

    if (st != GAL_OK)
        return st;
    *g = (struct gap){.told = mark != NULL, .mark = (double)NAN, .text_with = with};
    if (t == GAL_DT_BYTES) {
        g->text_mark = mark != NULL ? mark[0] : (struct gal_str){NULL, 0};
        return GAL_OK;
    }
    if (mark != NULL && gal_step_to_number(mark[0], &g->mark) && isnan(g->mark))
        nan = true;
    if (mark != NULL && !nan && !read_value(mark[0], t, &g->mark, &g->whole_mark))
        return gal_step_refuse(c, gal_step_line(c, "missing"), "impute: '%.*s' is no %s",
                               GAL_STR_SHOWN(mark[0]), gal_dtype_name(t));
    if (!read_value(with, t, &g->with, &g->whole_with) || isnan(g->with))
        return gal_step_refuse(c, gal_step_line(c, "with"), "impute: '%.*s' is no %s",
                               GAL_STR_SHOWN(with), gal_dtype_name(t));
    return GAL_OK;
}

enum gal_status gal_step_make_impute(struct gal_step_compiler *c)
{
    struct gal_str *with;
    size_t *slots, count, values;
    enum gal_status st = gal_step_sources(c, &slots, &count);

    if (st == GAL_OK)
        st = gal_step_texts(c, "with", &with, &values);
    if (st == GAL_OK && values != 1 && values != count)
        st = gal_step_refuse(c, gal_step_line(c, "with"),
                             "impute: `with` has %zu values for %zu columns", values, count);
    for (size_t i = 0; st == GAL_OK && i < count; i++) {
        struct gal_column column = *gal_step_column(c, slots[i]);
        struct gap *g = gal_arena_small(c->arena, sizeof(*g));
        struct gal_step step = {
            .run = run_impute, .in = slots[i], .out_more = SIZE_MAX, .state = g};

        if (g == NULL)
            return gal_step_no_memory(c->arena, c->err);
        st = column.dtype == GAL_DT_BYTES ? gal_step_want_text(c, slots[i])
                                          : gal_step_want_numbers(c, slots[i]);
        if (st == GAL_OK)
            st = read_gap(c, column.dtype, with[values == 1 ? 0 : i], g);
        column.name = gal_step_to(c, slots[i]);
        if (st == GAL_OK)
            st = gal_step_finish(c, &column, &step);
    }
    return st;
}

/* --- missing --- */

static enum gal_status run_missing(const struct gal_step *s, struct gal_step_run *r)
{
    const struct gal_tensor *t = gal_step_in(r, s->in);
    void *out = gal_step_out(r, s->out, t);
    double v[GAL_STEP_BLOCK];

    if (out == NULL)
        return gal_step_no_out(r);
    for (size_t at = 0; at < t->count; at += GAL_STEP_BLOCK) {
        size_t n = t->count - at < GAL_STEP_BLOCK ? t->count - at : GAL_STEP_BLOCK;

        if (t->dtype != GAL_DT_BYTES)
            gal_step_load(v, t, at, n);
        for (size_t i = 0; i < n; i++)
            v[i] = t->dtype == GAL_DT_BYTES ? ((const struct gal_str *)t->data)[at + i].n == 0
                                            : isnan(v[i]);
        gal_step_store(out, r->slots[s->out].tensor.dtype, at, v, n);
    }
    return GAL_OK;
}

enum gal_status gal_step_make_missing(struct gal_step_compiler *c)
{
    size_t *slots, count;
    enum gal_status st = gal_step_sources(c, &slots, &count);

    for (size_t i = 0; st == GAL_OK && i < count; i++) {
        struct gal_column column = *gal_step_column(c, slots[i]);
        struct gal_step step = {.run = run_missing, .in = slots[i], .out_more = SIZE_MAX};

        st = column.dtype == GAL_DT_BYTES ? gal_step_want_text(c, slots[i])
                                          : gal_step_want_numbers(c, slots[i]);
        column.name = gal_step_to(c, slots[i]);
        column.dtype = gal_step_dtype(c, GAL_DT_BOOL);
        column.labels = NULL;
        if (st == GAL_OK && column.dtype == GAL_DT_BYTES)
            st = gal_step_refuse(c, gal_step_line(c, "type"), "missing makes numbers, not BYTES");
        if (st == GAL_OK)
            st = gal_step_finish(c, &column, &step);
    }
    return st;
}
