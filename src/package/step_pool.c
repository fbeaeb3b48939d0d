/* SPDX-License-Identifier: Apache-2.0 */
/* The step pool: the tokens' vectors of a text, [length, width] a row, become the text's one. What
 * the mask says is padding does not count. */
#include "package/step_impl.h"

#include <math.h>

#define MASKED (-1e9)     /* a padded place for max, as sentence-transformers has it */
#define LEAST_WEIGHT 1e-9 /* what a sum of no tokens is divided by */

enum pooling { POOL_MEAN, POOL_CLS, POOL_MAX };
struct pool {
    enum pooling method;
    size_t mask; /* slot; SIZE_MAX: none */
};

/* One row: `v` has room for a token's vector, `sum` becomes the text's. */
static void pool_row(enum pooling method, const struct gal_tensor *t, const struct gal_tensor *mask,
                     size_t row, size_t width, double *v, double *sum)
{
    size_t length = (size_t)t->shape[1];
    double all = 0, weight = 1;

    for (size_t k = 0; k < width; k++)
        sum[k] = method == POOL_MAX ? MASKED : 0;
    if (method == POOL_CLS)
        length = length > 0 ? 1 : 0;
    for (size_t i = 0; i < length; i++) {
        if (method != POOL_CLS)
            gal_step_load(&weight, mask, row * length + i, 1);
        if (weight == 0)
            continue;
        all += weight;
        gal_step_load(v, t, (row * (size_t)t->shape[1] + i) * width, width);
        for (size_t k = 0; k < width; k++) {
            if (method != POOL_MAX)
                sum[k] += v[k] * weight;
            else if (v[k] > sum[k] || isnan(v[k]))
                sum[k] = v[k];
        }
    }
    for (size_t k = 0; method == POOL_MEAN && k < width; k++)
        sum[k] /= all > LEAST_WEIGHT ? all : LEAST_WEIGHT;
}

static enum gal_status run_pool(const struct gal_step *s, struct gal_step_run *r)
{
    const struct pool *p = s->state;
    const struct gal_tensor *t = gal_step_in(r, s->in);
    const struct gal_tensor *mask = p->mask != SIZE_MAX ? gal_step_in(r, p->mask) : NULL;
    size_t width = (size_t)t->shape[2];
    int64_t shape[2] = {(int64_t)r->rows, t->shape[2]};
    const struct gal_tensor like = {.rank = 2, .shape = shape};
    void *out;
    double *v;

    if (mask != NULL && (mask->rank != 2 || mask->shape[1] != t->shape[1]))
        return gal_fail(r->err, GAL_INVALID, "'%.*s' has %lld tokens a row, its mask %lld",
                        GAL_STR_SHOWN(t->name), (long long)t->shape[1],
                        mask->rank == 2 ? (long long)mask->shape[1] : 1LL);
    out = gal_step_out(r, s->out, &like);
    if (out == NULL)
        return gal_step_no_out(r);
    v = gal_arena_array(r->arena, 2 * width + 1, sizeof(*v));
    if (v == NULL)
        return gal_step_no_memory(r->arena, r->err);
    for (size_t i = 0; i < r->rows; i++) {
        pool_row(p->method, t, mask, i, width, v, v + width);
        gal_step_store(out, r->slots[s->out].tensor.dtype, i * width, v + width, width);
    }
    return GAL_OK;
}

static enum gal_status find_mask(struct gal_step_compiler *c, struct pool *p)
{
    struct gal_str name = GAL_STR("attention_mask");
    enum gal_status st;

    p->mask = SIZE_MAX;
    if (p->method == POOL_CLS)
        return GAL_OK;
    gal_step_text(c, "mask", &name);
    st = gal_step_find(c, name, c->line, &p->mask);
    if (st == GAL_OK)
        st = gal_step_want_numbers(c, p->mask);
    if (st == GAL_OK && gal_step_column(c, p->mask)->rank != 1)
        st = gal_step_refuse(c, c->line, "pool: a row of the mask '%.*s' is no list of tokens",
                             GAL_STR_SHOWN(name));
    return st;
}

enum gal_status gal_step_make_pool(struct gal_step_compiler *c)
{
    struct pool *p = gal_arena_small(c->arena, sizeof(*p));
    struct gal_step step = {.run = run_pool, .out_more = SIZE_MAX, .state = p};
    struct gal_column column;
    enum gal_status st = gal_step_source(c, &step.in);

    if (p == NULL)
        return gal_step_no_memory(c->arena, c->err);
    p->method = (enum pooling)gal_step_choice(c, "method", POOL_MEAN);
    if (st == GAL_OK)
        st = gal_step_want_numbers(c, step.in);
    if (st == GAL_OK)
        st = find_mask(c, p);
    if (st != GAL_OK)
        return st;
    column = *gal_step_column(c, step.in);
    if (column.rank != 2)
        return gal_step_refuse(c, c->line,
                               "pool takes rows of [tokens, values], and a row of '%.*s' has %zu "
                               "dimensions",
                               GAL_STR_SHOWN(column.name), column.rank);
    column.name = gal_step_to(c, step.in);
    column.dtype = gal_step_dtype(c, gal_step_real(column.dtype));
    column.rank = 1;
    column.shape++;
    if (!gal_dtype_is_float(column.dtype))
        return gal_step_refuse(c, gal_step_line(c, "type"), "pool makes floats, and %s is none",
                               gal_dtype_name(column.dtype));
    return gal_step_finish(c, &column, &step);
}
