/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that move values and change none: assemble, cast, constant, rename. What a datatype cannot
 * hold is an error of its row. */
#include "package/step_impl.h"

#include "base/limits.h"

#include <math.h>

/* --- numbers of one datatype into another --- */

struct range {
    double least, beyond; /* least <= v < beyond */
};

static struct range range_of(enum gal_dtype t)
{
    int bits = (int)gal_dtype_size(t) * 8;

    if (t == GAL_DT_BOOL)
        return (struct range){0, 2};
    if (t >= GAL_DT_INT8 && t <= GAL_DT_INT64)
        return (struct range){-ldexp(1, bits - 1), ldexp(1, bits - 1)};
    return (struct range){0, ldexp(1, bits)};
}

/* The first of n values that a whole datatype cannot hold; n: none. */
static size_t first_misfit(const double *v, size_t n, enum gal_dtype to)
{
    struct range r = range_of(to);

    for (size_t i = 0; i < n; i++)
        if (!(v[i] >= r.least && v[i] < r.beyond) || v[i] != rint(v[i]))
            return i;
    return n;
}

/* 64-bit whole numbers do not pass through FP64. */
static bool is_wide(enum gal_dtype t)
{
    return t == GAL_DT_INT64 || t == GAL_DT_UINT64;
}

static enum gal_status fail_misfit(struct gal_step_run *r, size_t slot, size_t at,
                                   enum gal_dtype to)
{
    const struct gal_tensor *t = gal_step_in(r, slot);
    char text[40];
    double v;

    if (t->dtype == GAL_DT_INT64)
        *gal_i64_write(text, ((const int64_t *)t->data)[at]) = '\0';
    else if (t->dtype == GAL_DT_UINT64)
        *gal_u64_write(text, ((const uint64_t *)t->data)[at]) = '\0';
    else {
        gal_step_load(&v, t, at, 1);
        (void)snprintf(text, sizeof(text), "%.9g", v);
    }
    return gal_step_fail_at(r, slot, at, "%s does not fit %s", text, gal_dtype_name(to));
}

/* n values of a slot from element `at` on, into `to` (of datatype dtype, at its start). */
static enum gal_status convert(struct gal_step_run *r, size_t slot, size_t at, size_t n, void *to,
                               enum gal_dtype dtype)
{
    const struct gal_tensor *t = gal_step_in(r, slot);
    double v[GAL_STEP_BLOCK];

    if (t->dtype == dtype) {
        size_t size = gal_dtype_size(dtype);

        if (n > 0)
            memcpy(to, (const char *)t->data + at * size, n * size);
        return GAL_OK;
    }
    for (size_t i = 0; is_wide(t->dtype) && is_wide(dtype) && i < n; i++) {
        int64_t whole = ((const int64_t *)t->data)[at + i];

        if (whole < 0) /* of one it is negative, of the other too large */
            return fail_misfit(r, slot, at + i, dtype);
        ((int64_t *)to)[i] = whole;
    }
    for (size_t i = 0; !(is_wide(t->dtype) && is_wide(dtype)) && i < n; i += GAL_STEP_BLOCK) {
        size_t some = n - i < GAL_STEP_BLOCK ? n - i : GAL_STEP_BLOCK, misfit;

        gal_step_load(v, t, at + i, some);
        misfit = gal_dtype_is_float(dtype) ? some : first_misfit(v, some, dtype);
        if (misfit < some)
            return fail_misfit(r, slot, at + i + misfit, dtype);
        gal_step_store(to, dtype, i, v, some);
    }
    return GAL_OK;
}

/* --- assemble --- */

struct part {
    size_t slot, width, at; /* place of the first value in a row */
};

struct assembly {
    const struct part *parts;
    size_t count, width;
};

/* A block of one column into its places of as many rows. */
static void scatter(char *to, size_t row_bytes, const char *from, size_t size, size_t width,
                    size_t rows)
{
    size_t bytes = size * width;

    for (size_t i = 0; bytes == 4 && i < rows; i++)
        memcpy(to + i * row_bytes, from + i * 4, 4);
    for (size_t i = 0; bytes == 8 && i < rows; i++)
        memcpy(to + i * row_bytes, from + i * 8, 8);
    for (size_t i = 0; bytes != 4 && bytes != 8 && i < rows; i++)
        memcpy(to + i * row_bytes, from + i * bytes, bytes);
}

/* Room for a block of any datatype. */
union block {
    double f64[GAL_STEP_BLOCK];
    char bytes[GAL_STEP_BLOCK * 8];
};

static enum gal_status put_part(struct gal_step_run *r, const struct part *p, char *out,
                                size_t row_bytes, enum gal_dtype dtype)
{
    const struct gal_tensor *t = gal_step_in(r, p->slot);
    size_t size = gal_dtype_size(dtype), rows = GAL_STEP_BLOCK / (p->width > 0 ? p->width : 1);
    union block block;
    enum gal_status st = GAL_OK;

    out += p->at * size;
    if (t->dtype == dtype) {
        if (p->width > 0)
            scatter(out, row_bytes, t->data, size, p->width, r->rows);
        return GAL_OK;
    }
    for (size_t row = 0; rows == 0 && st == GAL_OK && row < r->rows; row++) /* a wide one */
        st = convert(r, p->slot, row * p->width, p->width, out + row * row_bytes, dtype);
    for (size_t row = 0; rows > 0 && st == GAL_OK && row < r->rows; row += rows) {
        size_t n = r->rows - row < rows ? r->rows - row : rows;

        st = convert(r, p->slot, row * p->width, n * p->width, &block, dtype);
        if (st == GAL_OK)
            scatter(out + row * row_bytes, row_bytes, block.bytes, size, p->width, n);
    }
    return st;
}

static enum gal_status run_assemble(const struct gal_step *s, struct gal_step_run *r)
{
    const struct assembly *a = s->state;
    char *out = gal_step_out(r, s->out, NULL);
    enum gal_dtype dtype = r->slots[s->out].tensor.dtype;
    enum gal_status st = GAL_OK;

    if (out == NULL)
        return gal_step_no_out(r);
    for (size_t i = 0; st == GAL_OK && i < a->count; i++)
        st = put_part(r, &a->parts[i], out, a->width * gal_dtype_size(dtype), dtype);
    return st;
}

/* May a column of one datatype become another? Values are looked at as they come. */
static enum gal_status check_pair(struct gal_step_compiler *c, size_t slot, enum gal_dtype to)
{
    const struct gal_column *column = gal_step_column(c, slot);
    bool same = column->kind == GAL_KIND_TENSOR && column->dtype == to && !column->encoded;
    const char *hint = column->dtype == GAL_DT_BYTES
                           ? (column->encoded ? "the step image makes numbers of images"
                                              : "one_hot, ordinal and hash make numbers of texts")
                           : NULL;
    enum gal_status st;

    if (same || (column->kind == GAL_KIND_TENSOR && column->dtype != GAL_DT_BYTES &&
                 column->dtype != GAL_DT_NONE && to != GAL_DT_BYTES))
        return GAL_OK;
    st = gal_step_refuse(c, c->line, "%s: '%.*s' is %s, which does not become %s", c->kind->name,
                         GAL_STR_SHOWN(column->name),
                         column->kind == GAL_KIND_TENSOR ? gal_dtype_name(column->dtype)
                                                         : "a sequence of maps",
                         gal_dtype_name(to));
    if (c->err != NULL && hint != NULL)
        gal_err_hint(c->err, "%s", hint);
    return st;
}

static enum gal_status add_part(struct gal_step_compiler *c, struct assembly *a, struct part *part,
                                size_t slot, enum gal_dtype dtype)
{
    const struct gal_column *column = gal_step_column(c, slot);
    bool open = false;
    char text[96];
    enum gal_status st = check_pair(c, slot, dtype);

    for (size_t i = 0; i < column->rank; i++)
        open |= column->shape[i] < 0;
    *part = (struct part){slot, gal_column_width(column), a->width};
    if (st == GAL_OK && open)
        return gal_step_refuse(c, c->line, "assemble: a row of '%.*s' is %s: its size is open",
                               GAL_STR_SHOWN(column->name),
                               gal_shape_format(column->shape, column->rank, text, sizeof(text)));
    if (st == GAL_OK && part->width > GAL_STEP_WIDTH_MAX - a->width)
        return gal_step_refuse(c, c->line, "assemble: a row has more than %u values",
                               GAL_STEP_WIDTH_MAX);
    a->width += part->width;
    return st;
}

enum gal_status gal_step_make_assemble(struct gal_step_compiler *c)
{
    struct assembly *a = gal_arena_small(c->arena, sizeof(*a));
    struct gal_column column = {.rank = 1, .dtype = gal_step_dtype(c, GAL_DT_FP32)};
    struct gal_step step = {.run = run_assemble, .out_more = SIZE_MAX, .state = a};
    struct part *parts;
    size_t *slots, count;
    int64_t width;
    enum gal_status st = gal_step_sources(c, &slots, &count);

    if (st != GAL_OK)
        return st;
    parts = gal_arena_array(c->arena, count, sizeof(*parts));
    if (a == NULL || parts == NULL)
        return gal_step_no_memory(c->arena, c->err);
    *a = (struct assembly){parts, count, 0};
    for (size_t i = 0; st == GAL_OK && i < count; i++)
        st = add_part(c, a, &parts[i], slots[i], column.dtype);
    width = (int64_t)a->width;
    column.shape = &width;
    gal_step_text(c, "to", &column.name);
    step.in = slots[0];
    return st == GAL_OK ? gal_step_finish(c, &column, &step) : st;
}

/* --- cast --- */

static enum gal_status run_cast(const struct gal_step *s, struct gal_step_run *r)
{
    const struct gal_tensor *t = gal_step_in(r, s->in);
    void *out = gal_step_out(r, s->out, t);

    if (out == NULL)
        return gal_step_no_out(r);
    return convert(r, s->in, 0, t->count, out, r->slots[s->out].tensor.dtype);
}

enum gal_status gal_step_make_cast(struct gal_step_compiler *c)
{
    size_t *slots, count;
    enum gal_status st = gal_step_sources(c, &slots, &count);

    for (size_t i = 0; st == GAL_OK && i < count; i++) {
        struct gal_column column = *gal_step_column(c, slots[i]);
        struct gal_step step = {.run = run_cast, .in = slots[i], .out_more = SIZE_MAX};

        column.name = gal_step_to(c, slots[i]);
        column.dtype = gal_step_dtype(c, GAL_DT_FP32);
        st = check_pair(c, slots[i], column.dtype);
        if (st == GAL_OK)
            st = gal_step_finish(c, &column, &step);
    }
    return st;
}

/* --- constant --- */

union constant {
    struct gal_str text;
    double number;
    int64_t whole;
    uint64_t natural;
};

static enum gal_status run_constant(const struct gal_step *s, struct gal_step_run *r)
{
    const union constant *k = s->state;
    void *out = gal_step_out(r, s->out, NULL);
    enum gal_dtype dtype = r->slots[s->out].tensor.dtype;

    if (out == NULL)
        return gal_step_no_out(r);
    for (size_t i = 0; i < r->rows; i++) {
        if (dtype == GAL_DT_BYTES)
            ((struct gal_str *)out)[i] = k->text;
        else if (is_wide(dtype))
            ((int64_t *)out)[i] = k->whole;
        else
            gal_step_store(out, dtype, i, &k->number, 1);
    }
    return GAL_OK;
}

static bool read_constant(struct gal_str text, enum gal_dtype dtype, union constant *out)
{
    if (dtype == GAL_DT_INT64)
        return gal_str_i64(text, &out->whole) == GAL_OK;
    if (dtype == GAL_DT_UINT64)
        return gal_str_u64(text, &out->natural) == GAL_OK;
    if (dtype == GAL_DT_BOOL && (gal_str_is(text, "true") || gal_str_is(text, "false"))) {
        out->number = text.n == 4;
        return true;
    }
    return gal_step_to_number(text, &out->number) &&
           (gal_dtype_is_float(dtype) || first_misfit(&out->number, 1, dtype) == 1);
}

enum gal_status gal_step_make_constant(struct gal_step_compiler *c)
{
    union constant *k = gal_arena_small(c->arena, sizeof(*k));
    struct gal_column column = {.rank = 0, .dtype = gal_step_dtype(c, GAL_DT_FP32)};
    struct gal_step step = {.run = run_constant, .in = SIZE_MAX, .out_more = SIZE_MAX, .state = k};
    struct gal_str *text;
    size_t count;
    enum gal_status st = gal_step_texts(c, "value", &text, &count);

    if (st == GAL_OK && k == NULL)
        return gal_step_no_memory(c->arena, c->err);
    gal_step_text(c, "to", &column.name);
    if (st == GAL_OK && column.dtype == GAL_DT_BYTES)
        k->text = text[0];
    else if (st == GAL_OK && !read_constant(text[0], column.dtype, k))
        st = gal_step_refuse(c, gal_step_line(c, "value"), "constant: '%.*s' is no %s",
                             GAL_STR_SHOWN(text[0]), gal_dtype_name(column.dtype));
    return st == GAL_OK ? gal_step_finish(c, &column, &step) : st;
}

/* --- rename --- */

enum gal_status gal_step_make_rename(struct gal_step_compiler *c)
{
    struct gal_str from = {NULL, 0}, to = {NULL, 0};

    gal_step_text(c, "from", &from);
    gal_step_text(c, "to", &to);
    return gal_step_rename(c, from, to, gal_step_line(c, "from"));
}
