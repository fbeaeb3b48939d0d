/* SPDX-License-Identifier: Apache-2.0 */
/* Categories: one_hot and ordinal over one table of what is known, built while compiling. */
#include "package/step_impl.h"

#include "base/limits.h"

#include <math.h>

/* Open addressing in the arena, at most half full. What is looked up comes from outside, what is in
 * it does not: nobody can make its runs long, so a plain hash is enough. Numbers are kept as the 8
 * bytes of their value. */
struct entry {
    struct gal_str key;
    uint64_t number;
    int64_t place; /* -1: empty */
};

struct category {
    struct entry *entries;
    size_t mask;
    bool of_text, is_float;
    const struct gal_str *values; /* as written */
    size_t count;
    int64_t *place_of; /* one_hot: by value, -1: dropped */
    size_t width;
    bool strict;    /* another value is an error */
    double unknown; /* ordinal: its number */
};

static size_t hash_text(struct gal_str s)
{
    return gal_murmur3_32(s, 0);
}

static size_t hash_number(uint64_t v)
{
    v *= 0x9e3779b97f4a7c15u;
    return (size_t)(v ^ (v >> 32));
}

static inline int64_t find_text(const struct category *k, struct gal_str s)
{
    for (size_t i = hash_text(s) & k->mask; k->entries[i].place >= 0; i = (i + 1) & k->mask)
        if (gal_str_eq(k->entries[i].key, s))
            return k->entries[i].place;
    return -1;
}

static inline int64_t find_number(const struct category *k, uint64_t v)
{
    for (size_t i = hash_number(v) & k->mask; k->entries[i].place >= 0; i = (i + 1) & k->mask)
        if (k->entries[i].number == v)
            return k->entries[i].place;
    return -1;
}

/* One form for equal floats: 0 without a sign, NaN without a payload. */
static uint64_t bits_of(double v)
{
    uint64_t bits;

    v = isnan(v) ? (double)NAN : v + 0.0;
    memcpy(&bits, &v, sizeof(bits));
    return bits;
}

static uint64_t number_at(const struct category *k, const struct gal_tensor *t, size_t i)
{
    double v;

    if (t->dtype == GAL_DT_INT64 || t->dtype == GAL_DT_UINT64)
        return ((const uint64_t *)t->data)[i];
    gal_step_load(&v, t, i, 1);
    return k->is_float ? bits_of(v) : (uint64_t)(int64_t)v;
}

static int64_t find_at(const struct category *k, const struct gal_tensor *t, size_t i)
{
    return k->of_text ? find_text(k, ((const struct gal_str *)t->data)[i])
                      : find_number(k, number_at(k, t, i));
}

/* --- errors of a row --- */

static enum gal_status refuse_value(const struct category *k, const struct gal_step *s,
                                    struct gal_step_run *r, size_t row)
{
    const struct gal_tensor *t = gal_step_in(r, s->in);
    char known[200], text[40];
    double v;

    gal_step_list(k->values, k->count, known, sizeof(known));
    if (k->of_text)
        return gal_step_fail_at(r, s->in, row, "'%.*s' is none of %s",
                                GAL_STR_SHOWN(((const struct gal_str *)t->data)[row]), known);
    if (t->dtype == GAL_DT_UINT64)
        *gal_u64_write(text, ((const uint64_t *)t->data)[row]) = '\0';
    else if (!k->is_float)
        *gal_i64_write(text, (int64_t)number_at(k, t, row)) = '\0';
    else {
        gal_step_load(&v, t, row, 1);
        (void)snprintf(text, sizeof(text), "%g", v);
    }
    return gal_step_fail_at(r, s->in, row, "%s is none of %s", text, known);
}

/* --- the table --- */

/* A value of the manifest as the column would hold it. */
static bool to_number(const struct category *k, enum gal_dtype dtype, struct gal_str text,
                      uint64_t *out)
{
    double v;
    int64_t whole;

    if (k->is_float) {
        if (!gal_step_to_number(text, &v))
            return false;
        *out = bits_of(gal_step_narrow(v, dtype));
        return true;
    }
    if (dtype == GAL_DT_BOOL && (gal_str_is(text, "true") || gal_str_is(text, "false"))) {
        *out = text.n == 4;
        return true;
    }
    if (gal_str_i64(text, &whole) != GAL_OK)
        return gal_str_u64(text, out) == GAL_OK;
    *out = (uint64_t)whole;
    return true;
}

static enum gal_status put_value(struct gal_step_compiler *c, struct category *k,
                                 enum gal_dtype dtype, size_t i)
{
    struct gal_str text = k->values[i];
    uint64_t number = 0;
    size_t at;

    if (!k->of_text && !to_number(k, dtype, text, &number))
        return gal_step_refuse(c, gal_step_line(c, "values"),
                               "%s: '%.*s' is no value of a column of %s", c->kind->name,
                               GAL_STR_SHOWN(text), gal_dtype_name(dtype));
    if ((k->of_text ? find_text(k, text) : find_number(k, number)) >= 0)
        return gal_step_refuse(c, gal_step_line(c, "values"), "%s: '%.*s' stands twice in `values`",
                               c->kind->name, GAL_STR_SHOWN(text));
    at = (k->of_text ? hash_text(text) : hash_number(number)) & k->mask;
    while (k->entries[at].place >= 0)
        at = (at + 1) & k->mask;
    k->entries[at] = (struct entry){text, number, (int64_t)i};
    return GAL_OK;
}

static enum gal_status make_table(struct gal_step_compiler *c, size_t slot, struct category **out)
{
    const struct gal_column *column = gal_step_column(c, slot);
    struct category *k = gal_arena_small(c->arena, sizeof(*k));
    struct gal_str *values;
    size_t cap = 8;
    enum gal_status st;

    if (k == NULL)
        return gal_step_no_memory(c->arena, c->err);
    *k = (struct category){.of_text = column->dtype == GAL_DT_BYTES,
                           .is_float = gal_dtype_is_float(column->dtype)};
    st = k->of_text ? gal_step_want_text(c, slot) : gal_step_want_numbers(c, slot);
    if (st == GAL_OK)
        st = gal_step_want_single(c, slot);
    if (st == GAL_OK)
        st = gal_step_texts(c, "values", &values, &k->count);
    if (st != GAL_OK)
        return st;
    k->values = values;
    while (cap < 2 * k->count)
        cap *= 2;
    k->mask = cap - 1;
    k->entries = gal_arena_array(c->arena, cap, sizeof(*k->entries));
    if (k->entries == NULL)
        return gal_step_no_memory(c->arena, c->err);
    for (size_t i = 0; i < cap; i++)
        k->entries[i] = (struct entry){.place = -1};
    for (size_t i = 0; st == GAL_OK && i < k->count; i++)
        st = put_value(c, k, column->dtype, i);
    *out = k;
    return st;
}

/* --- one_hot --- */

static enum gal_status run_one_hot(const struct gal_step *s, struct gal_step_run *r)
{
    const struct category *k = s->state;
    const struct gal_tensor *t = gal_step_in(r, s->in);
    void *out = gal_step_out(r, s->out, t);
    enum gal_dtype dtype = r->slots[s->out].tensor.dtype;
    size_t size = gal_dtype_size(dtype);
    uint64_t one = 0;
    const double v = 1;

    if (out == NULL)
        return gal_step_no_out(r);
    gal_step_store(&one, dtype, 0, &v, 1);
    memset(out, 0, r->rows * k->width * size);
    for (size_t row = 0; row < r->rows; row++) {
        int64_t value = find_at(k, t, row), place = value >= 0 ? k->place_of[value] : -1;

        if (value < 0 && k->strict)
            return refuse_value(k, s, r, row);
        if (place < 0)
            continue;
        if (size == sizeof(float))
            memcpy((char *)out + (row * k->width + (size_t)place) * sizeof(float), &one,
                   sizeof(float));
        else
            memcpy((char *)out + (row * k->width + (size_t)place) * size, &one, size);
    }
    return GAL_OK;
}

/* Which values have a place of their own. */
static enum gal_status settle_places(struct gal_step_compiler *c, struct category *k)
{
    struct gal_str drop = {NULL, 0};
    size_t dropped = SIZE_MAX, choice = gal_step_choice(c, "drop", SIZE_MAX);

    gal_step_text(c, "drop", &drop);
    if (choice == 0 || (choice == 1 && k->count == 2))
        dropped = 0;
    for (size_t i = 0; choice == 2 && i < k->count; i++)
        if (gal_str_eq(k->values[i], drop))
            dropped = i;
    if (choice == 2 && dropped == SIZE_MAX)
        return gal_step_refuse(c, gal_step_line(c, "drop"), "one_hot: '%.*s' is none of `values`",
                               GAL_STR_SHOWN(drop));
    k->place_of = gal_arena_array(c->arena, k->count, sizeof(*k->place_of));
    if (k->place_of == NULL)
        return gal_step_no_memory(c->arena, c->err);
    for (size_t i = 0; i < k->count; i++)
        k->place_of[i] = i == dropped ? -1 : (int64_t)k->width++;
    return GAL_OK;
}

/* Names of the places, for who looks at the column. */
static const struct gal_str *labels_of(struct gal_step_compiler *c, const struct category *k)
{
    struct gal_str *labels = gal_arena_array(c->arena, k->width + 1, sizeof(*labels));

    for (size_t i = 0; labels != NULL && i < k->count; i++)
        if (k->place_of[i] >= 0)
            labels[k->place_of[i]] = k->values[i];
    return labels;
}

static enum gal_status check_dtype(struct gal_step_compiler *c, enum gal_dtype dtype)
{
    return dtype != GAL_DT_BYTES ? GAL_OK
                                 : gal_step_refuse(c, gal_step_line(c, "type"),
                                                   "%s makes numbers, not BYTES", c->kind->name);
}

enum gal_status gal_step_make_one_hot(struct gal_step_compiler *c)
{
    struct category *k = NULL;
    struct gal_column column = {.rank = 1, .dtype = gal_step_dtype(c, GAL_DT_FP32)};
    struct gal_step step = {.run = run_one_hot, .out_more = SIZE_MAX};
    int64_t width;
    enum gal_status st = gal_step_source(c, &step.in);

    if (st == GAL_OK)
        st = make_table(c, step.in, &k);
    if (st == GAL_OK)
        st = settle_places(c, k);
    if (st == GAL_OK)
        st = check_dtype(c, column.dtype);
    if (st != GAL_OK)
        return st;
    k->strict = gal_step_choice(c, "unknown", 0) == 0;
    width = (int64_t)k->width;
    column.name = gal_step_to(c, step.in);
    column.shape = &width;
    column.labels = labels_of(c, k);
    column.label_count = k->width;
    step.state = k;
    if (column.labels == NULL)
        return gal_step_no_memory(c->arena, c->err);
    return gal_step_finish(c, &column, &step);
}

/* --- ordinal --- */

static enum gal_status run_ordinal(const struct gal_step *s, struct gal_step_run *r)
{
    const struct category *k = s->state;
    const struct gal_tensor *t = gal_step_in(r, s->in);
    void *out = gal_step_out(r, s->out, t);
    enum gal_dtype dtype = r->slots[s->out].tensor.dtype;
    double v[GAL_STEP_BLOCK];

    if (out == NULL)
        return gal_step_no_out(r);
    for (size_t at = 0; at < r->rows; at += GAL_STEP_BLOCK) {
        size_t n = r->rows - at < GAL_STEP_BLOCK ? r->rows - at : GAL_STEP_BLOCK;

        for (size_t i = 0; i < n; i++) {
            int64_t value = find_at(k, t, at + i);

            if (value < 0 && k->strict)
                return refuse_value(k, s, r, at + i);
            v[i] = value >= 0 ? (double)value : k->unknown;
        }
        gal_step_store(out, dtype, at, v, n);
    }
    return GAL_OK;
}

enum gal_status gal_step_make_ordinal(struct gal_step_compiler *c)
{
    struct category *k = NULL;
    struct gal_column column = {.rank = 0};
    struct gal_step step = {.run = run_ordinal, .out_more = SIZE_MAX};
    double unknown = 0, most;
    bool told = gal_step_number(c, "unknown", &unknown);
    enum gal_status st = gal_step_source(c, &step.in);

    column.dtype = gal_step_dtype(c, unknown == rint(unknown) ? GAL_DT_INT64 : GAL_DT_FP32);
    if (st == GAL_OK)
        st = make_table(c, step.in, &k);
    if (st == GAL_OK)
        st = check_dtype(c, column.dtype);
    if (st != GAL_OK)
        return st;
    most = ldexp(1, (int)gal_dtype_size(column.dtype) * 8 - 1);
    if (!gal_dtype_is_float(column.dtype) &&
        (unknown != rint(unknown) || !(fabs(unknown) < most) || (double)k->count > most ||
         (unknown < 0 && column.dtype < GAL_DT_INT8)))
        return gal_step_refuse(c, gal_step_line(c, "type"),
                               "ordinal: %s does not hold all the numbers",
                               gal_dtype_name(column.dtype));
    k->strict = !told;
    k->unknown = unknown;
    column.name = gal_step_to(c, step.in);
    column.labels = k->values;
    column.label_count = k->count;
    step.state = k;
    return gal_step_finish(c, &column, &step);
}
