/* SPDX-License-Identifier: Apache-2.0 */
/* Row assembly. Arrays of numbers for a model with one input go the short way: the whole list
 * straight into one tensor. All else, and every list in which something is wrong, goes row by row
 * and collects what is wrong with each value. */
#include "api/native.h"

#include "api/validate.h"
#include "codec/tensor_json.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Tables of more names are searched by a sorted index. */
#define LINEAR_MAX 16u

/* What one value of a row is put into. */
struct field {
    struct gal_str name;
    enum gal_dtype dtype;
    size_t rank;
    const int64_t *shape;              /* of a row; open sizes are those of the first row */
    size_t count;                      /* elements a row */
    char *data;                        /* of row 0; NULL: values are checked and dropped */
    size_t stride;                     /* bytes between rows */
    bool absent;                       /* optional and not in the first row */
    bool unsettled;                    /* open sizes that the first row does not tell */
    size_t seen;                       /* the last row that had it, and 1 */
    const struct gal_feature *feature; /* of a package; NULL: none */
};

/* The names that an object may have. */
struct table {
    struct field *fields;
    struct field **sorted; /* by name; NULL until needed */
    size_t count, required;
};

struct decode {
    const struct gal_model *m;
    struct gal_native *n;
    struct gal_arena *arena;
    struct table inputs;   /* a field an input */
    struct table names;    /* a field an element of the only input; count 0: it has no names */
    struct field **mapped; /* the columns' fields; NULL: rows have none */
    struct gal_str root;
    size_t row;
};

/* Where in the present row: a key, an index, or the row itself. */
struct at {
    struct gal_str key;
    size_t index;
};
static const struct at at_row = {{NULL, 0}, SIZE_MAX};

static bool has_default(const struct field *f)
{
    return f->feature != NULL && f->feature->absent.set;
}

static bool is_full(const struct decode *d)
{
    return d->n->errors.count == GAL_NATIVE_ERRORS_MAX;
}

__attribute__((format(printf, 5, 6))) static void wrong(struct decode *d, const struct at *at,
                                                        const char *indexes, const char *type,
                                                        const char *format, ...)
{
    static const struct gal_str roots[] = {
        [GAL_NATIVE_FEATURES] = {"features", 8},
        [GAL_NATIVE_FLAT] = {NULL, 0},
        [GAL_NATIVE_INSTANCES] = {"instances", 9},
    };
    char text[400];
    struct gal_native_error *e;
    va_list args;

    if (is_full(d))
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    gal_native_wrong(d->n, d->arena, d->root.p != NULL ? d->root : roots[d->n->form], type, text);
    e = &d->n->errors.at[d->n->errors.count - 1];
    if (d->n->form == GAL_NATIVE_INSTANCES)
        e->row = d->row;
    e->key = at->key;
    if (at->index != SIZE_MAX)
        indexes = gal_arena_printf(d->arena, "[%zu]%s", at->index, indexes);
    else /* the caller's may be gone before the answer is written, an empty one too */
        indexes = gal_arena_strdup(d->arena, gal_str_of(indexes));
    e->indexes = indexes != NULL ? indexes : "";
}

/* --- values --- */

static const char *type_of(yyjson_val *v, enum gal_dtype dtype)
{
    if (yyjson_is_arr(v))
        return "length";
    if ((gal_dtype_is_float(dtype) && yyjson_is_num(v)) ||
        (gal_dtype_is_int(dtype) && yyjson_is_int(v)))
        return "range";
    return "type";
}

static void put_element(struct decode *d, const struct field *f, const struct at *at, yyjson_val *v,
                        size_t i, bool indexed)
{
    _Alignas(8) char dropped[16];
    size_t row = f->data != NULL ? d->row * f->stride : 0;
    struct gal_err err;
    char index[32] = "";

    if (gal_element_from_json(v, f->dtype, f->data != NULL ? f->data + row : dropped,
                              f->data != NULL ? i : 0, d->arena, &err) == GAL_OK)
        return;
    if (indexed)
        snprintf(index, sizeof(index), "[%zu]", i);
    wrong(d, at, index, yyjson_is_arr(v) ? "type" : type_of(v, f->dtype), "%s", err.message);
}

static void put_flat(struct decode *d, const struct field *f, const struct at *at, yyjson_val *v)
{
    size_t i, max;
    yyjson_val *item;

    if (yyjson_arr_size(v) != f->count) {
        wrong(d, at, "", "length", "expected %zu value%s, got %zu", f->count,
              f->count == 1 ? "" : "s", yyjson_arr_size(v));
        return;
    }
    yyjson_arr_foreach(v, i, max, item)
    {
        put_element(d, f, at, item, i, true);
        if (is_full(d))
            return;
    }
}

/* The value that indexes "[1][0]" lead to. */
static yyjson_val *follow(yyjson_val *v, const char *indexes)
{
    while (*indexes == '[') {
        char *end;
        size_t i = strtoul(indexes + 1, &end, 10);

        v = yyjson_arr_get(v, i);
        indexes = *end == ']' ? end + 1 : "";
    }
    return v;
}

static void put_nested(struct decode *d, const struct field *f, const struct at *at, yyjson_val *v)
{
    struct gal_tensor t = {
        .name = f->name, .dtype = f->dtype, .rank = f->rank, .shape = f->shape, .count = f->count};
    size_t bytes = f->count * gal_dtype_size(f->dtype);
    struct gal_err err;

    gal_err_clear(&err);
    if (gal_tensor_from_json(v, &t, "", d->arena, &err) == GAL_OK) {
        if (f->data != NULL && bytes > 0)
            memcpy(f->data + d->row * f->stride, t.data, bytes);
        return;
    }
    wrong(d, at, err.place, type_of(follow(v, err.place), f->dtype), "%s", err.message);
}

static void put_value(struct decode *d, const struct field *f, const struct at *at, yyjson_val *v)
{
    char shape[128];

    gal_validate_nulls(f->feature, v);
    if (f->unsettled) {
        wrong(d, at, "", "type", "expected nested arrays with a value at least, of shape %s",
              gal_shape_format(f->shape, f->rank, shape, sizeof(shape)));
    } else if (!yyjson_is_arr(v)) {
        if (f->count == 1 && !yyjson_is_obj(v))
            put_element(d, f, at, v, 0, false);
        else if (f->count == 1)
            wrong(d, at, "", "type", "expected one value (%s), got an object",
                  gal_dtype_name(f->dtype));
        else
            wrong(d, at, "", "type", "expected an array of %zu values, got %s", f->count,
                  gal_json_type_name(v));
    } else if (f->rank == 0 && (at->key.p != NULL || at->index != SIZE_MAX)) {
        put_element(d, f, at, v, 0, false); /* tells that one value was expected */
    } else if (yyjson_is_arr(yyjson_arr_get_first(v))) {
        put_nested(d, f, at, v);
    } else {
        put_flat(d, f, at, v);
    }
}

/* The feature's default stands for what the row leaves out; false when it has none. */
static bool put_default(const struct decode *d, const struct field *f)
{
    size_t size = gal_dtype_size(f->dtype);

    if (!has_default(f))
        return false;
    for (size_t i = 0; f->data != NULL && i < f->count; i++)
        gal_check_put(f->feature, &f->feature->absent, f->data + d->row * f->stride + i * size);
    return true;
}

/* --- named rows --- */

static int by_name(const void *a, const void *b)
{
    struct gal_str x = (*(struct field *const *)a)->name, y = (*(struct field *const *)b)->name;

    if (x.n != y.n)
        return x.n < y.n ? -1 : 1;
    return x.n > 0 ? memcmp(x.p, y.p, x.n) : 0;
}

static struct field *find_sorted(struct decode *d, struct table *t, struct gal_str name)
{
    struct field key = {.name = name}, *wanted = &key, **found;

    if (t->sorted == NULL) {
        t->sorted = gal_arena_array(d->arena, t->count, sizeof(struct field *));
        for (size_t i = 0; t->sorted != NULL && i < t->count; i++)
            t->sorted[i] = &t->fields[i];
        if (t->sorted != NULL)
            qsort(t->sorted, t->count, sizeof(struct field *), by_name);
    }
    if (t->sorted == NULL)
        return NULL;
    found = bsearch(&wanted, t->sorted, t->count, sizeof(struct field *), by_name);
    return found != NULL ? *found : NULL;
}

/* `next` is the field behind the last one: clients mostly send the model's order. */
static struct field *find(struct decode *d, struct table *t, struct gal_str name, size_t next)
{
    if (next < t->count && gal_str_eq(t->fields[next].name, name))
        return &t->fields[next];
    if (t->count > LINEAR_MAX)
        return find_sorted(d, t, name);
    for (size_t i = 0; i < t->count; i++)
        if (gal_str_eq(t->fields[i].name, name))
            return &t->fields[i];
    return NULL;
}

static void wrong_unknown(struct decode *d, const struct table *t, const struct at *at)
{
    char names[200];
    size_t n = 0;

    names[0] = '\0';
    for (size_t i = 0; i < t->count && i < 8 && n < sizeof(names); i++)
        n += (size_t)snprintf(names + n, sizeof(names) - n, "%s%.*s", i > 0 ? ", " : "",
                              GAL_STR_ARG(t->fields[i].name));
    wrong(d, at, "", "unknown", "unknown field; the features are %s%s", names,
          t->count > 8 || n >= sizeof(names) ? ", ..." : "");
}

static void put_named(struct decode *d, struct table *t, yyjson_val *row)
{
    size_t i, max, next = 0, required = 0;
    yyjson_val *k, *v;

    yyjson_obj_foreach(row, i, max, k, v)
    {
        struct at at = {{yyjson_get_str(k), yyjson_get_len(k)}, SIZE_MAX};
        struct field *f = find(d, t, at.key, next);

        if (is_full(d))
            return;
        if (f == NULL) {
            if (!gal_validate_ignores(d->m))
                wrong_unknown(d, t, &at);
            continue;
        }
        next = (size_t)(f - t->fields) + 1;
        if (f->seen == d->row + 1) {
            wrong(d, &at, "", "duplicate", "the field is given twice");
        } else if (f->absent) {
            wrong(d, &at, "", "unknown",
                  "the first instance leaves this optional field out: all "
                  "or none must have it");
        } else {
            required++;
            put_value(d, f, &at, v);
        }
        f->seen = d->row + 1;
    }
    for (i = 0; required < t->required && i < t->count && !is_full(d); i++) {
        const struct field *f = &t->fields[i];
        const struct at at = {f->name, SIZE_MAX};

        if (f->seen != d->row + 1 && !f->absent && !put_default(d, f))
            wrong(d, &at, "", "missing", "missing field");
    }
}

/* An object for a model whose only input has neither names nor a single element. */
static void refuse_names(struct decode *d, yyjson_val *row)
{
    const struct field *f = &d->inputs.fields[0];
    const char *form = d->n->form == GAL_NATIVE_INSTANCES ? "" : "\"features\": ";
    char size[32] = "";
    size_t i, max;
    yyjson_val *k, *v;

    if (!f->unsettled)
        snprintf(size, sizeof(size), "%zu ", f->count);
    if (d->n->form != GAL_NATIVE_FLAT || yyjson_obj_size(row) == 0) {
        wrong(d, &at_row, "", "type",
              "model '%s' has no feature names: send %s[%svalues] or {\"%.*s\": [%svalues]}",
              d->m->name, form, size, GAL_STR_ARG(f->name), size);
        return;
    }
    yyjson_obj_foreach(row, i, max, k, v)
    {
        const struct at at = {{yyjson_get_str(k), yyjson_get_len(k)}, SIZE_MAX};

        wrong(d, &at, "", "unknown",
              "unknown field; model '%s' has no feature names: send {%s[%svalues]} or "
              "{\"%.*s\": [%svalues]}",
              d->m->name, form, size, GAL_STR_ARG(f->name), size);
        if (is_full(d))
            return;
    }
}

/* The value of {"INPUT": value} for a model with one input, unless INPUT is a feature's name. */
static yyjson_val *only_input(const struct decode *d, yyjson_val *row)
{
    struct gal_str name = d->m->info->inputs[0].name;

    if (d->m->info->input_count != 1 || yyjson_obj_size(row) != 1)
        return NULL;
    for (size_t i = 0; i < d->names.count; i++)
        if (gal_str_eq(d->names.fields[i].name, name))
            return NULL;
    return yyjson_obj_getn(row, name.p, name.n);
}

static void put_object(struct decode *d, yyjson_val *row)
{
    struct at at = {{NULL, 0}, SIZE_MAX};
    yyjson_val *whole = only_input(d, row);

    if (whole != NULL) {
        at.key = d->inputs.fields[0].name;
        put_value(d, &d->inputs.fields[0], &at, whole);
    } else if (d->names.count > 0) {
        put_named(d, &d->names, row);
    } else if (d->inputs.count == 1 && !gal_native_is_bare(d->m, &d->m->info->inputs[0])) {
        refuse_names(d, row);
    } else {
        put_named(d, &d->inputs, row);
    }
}

/* --- rows --- */

/* The row that {UNWRAP: row} stands for, else the row itself. */
static yyjson_val *unwrap(const struct gal_native *n, yyjson_val *row)
{
    yyjson_val *inner = NULL;

    if (n->unwrap.p != NULL && yyjson_is_obj(row) && yyjson_obj_size(row) == 1)
        inner = yyjson_obj_getn(row, n->unwrap.p, n->unwrap.n);
    return inner != NULL ? inner : row;
}

static void put_mapped(struct decode *d, yyjson_val *row)
{
    size_t i, max;
    yyjson_val *v;

    if (!yyjson_is_arr(row) || yyjson_arr_size(row) != d->n->column_count) {
        wrong(d, &at_row, "", yyjson_is_arr(row) ? "length" : "type",
              "expected an array of %zu values, one a column", d->n->column_count);
        return;
    }
    yyjson_arr_foreach(row, i, max, v)
    {
        const struct at at = {d->n->columns[i], SIZE_MAX};

        if (d->mapped[i] != NULL)
            put_value(d, d->mapped[i], &at, v);
        if (is_full(d))
            return;
    }
    for (i = 0; i < d->inputs.count; i++)
        if (d->inputs.fields[i].seen == 0)
            (void)put_default(d, &d->inputs.fields[i]);
}

static void put_columns(struct decode *d, yyjson_val *row)
{
    size_t i, max;
    yyjson_val *v;

    if (yyjson_arr_size(row) != d->inputs.count) {
        wrong(d, &at_row, "", "length", "expected %zu values, one a feature, got %zu",
              d->inputs.count, yyjson_arr_size(row));
        return;
    }
    yyjson_arr_foreach(row, i, max, v)
    {
        const struct at at = {{NULL, 0}, i};

        put_value(d, &d->inputs.fields[i], &at, v);
        if (is_full(d))
            return;
    }
}

static void put_row(struct decode *d, yyjson_val *row)
{
    row = unwrap(d->n, row);
    if (d->mapped != NULL)
        put_mapped(d, row);
    else if (yyjson_is_obj(row))
        put_object(d, row);
    else if (d->inputs.count == 1)
        put_value(d, &d->inputs.fields[0], &at_row, row);
    else if (yyjson_is_arr(row))
        put_columns(d, row);
    else
        wrong(d, &at_row, "", "type", "expected an object or an array of %zu features, got %s",
              d->inputs.count, gal_json_type_name(row));
}

static void put_rows(struct decode *d)
{
    size_t i, max;
    yyjson_val *row;

    d->row = 0;
    if (d->n->form != GAL_NATIVE_INSTANCES) {
        put_row(d, d->n->data);
        return;
    }
    yyjson_arr_foreach(d->n->data, i, max, row)
    {
        d->row = i;
        put_row(d, row);
        if (is_full(d))
            return;
    }
}

/* --- inputs --- */

static yyjson_val *first_row(const struct gal_native *n)
{
    return unwrap(n, n->form == GAL_NATIVE_INSTANCES ? yyjson_arr_get_first(n->data) : n->data);
}

/* Input i in the first row; NULL when it is not there, or by names of its elements. */
static yyjson_val *sample_of(const struct decode *d, size_t i)
{
    yyjson_val *row = first_row(d->n);
    const struct gal_str *name = &d->m->info->inputs[i].name;

    if (d->m->info->input_count > 1 &&
        d->n->column_count > d->m->info->input_count + GAL_NATIVE_ERRORS_MAX)
        return NULL; /* they do not fit, which is told below: not worth the time */
    for (size_t k = 0; k < d->n->column_count; k++)
        if (gal_str_eq(d->n->columns[k], *name))
            return yyjson_arr_get(row, k);
    if (d->n->column_count > 0 && d->m->info->input_count > 1)
        return NULL;
    if (d->m->info->input_count == 1)
        return yyjson_is_obj(row) ? only_input(d, row) : row;
    if (yyjson_is_obj(row))
        return yyjson_obj_getn(row, name->p, name->n);
    return yyjson_arr_get(row, i);
}

static enum gal_status prepare_shape(struct decode *d, size_t i, struct gal_value *in,
                                     struct gal_err *err)
{
    const struct gal_port *port = &d->m->info->inputs[i];
    struct field *f = &d->inputs.fields[i];
    size_t rank = port->rank, lens[GAL_RANK_MAX], skip = d->m->batch_dim && rank > 0 ? 1 : 0;
    bool open = !port->shape_known;
    yyjson_val *sample;
    int64_t *shape;

    for (size_t k = skip; k < rank; k++)
        open = open || port->shape[k] < 0;

    sample = open || (port->optional && !has_default(f)) ? sample_of(d, i) : NULL;
    if (!port->shape_known)
        rank = gal_native_nesting(sample, lens);
    shape = gal_arena_small(d->arena, (rank + 1) * sizeof(*shape));
    if (shape == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the request");
    if (skip)
        shape[0] = (int64_t)d->n->rows;
    for (size_t k = 0; !port->shape_known && k < rank; k++)
        shape[k] = (int64_t)lens[k];
    if (port->shape_known &&
        !gal_native_settle(port->shape + skip, rank - skip, sample, shape + skip)) {
        size_t names = gal_native_name_count(d->m);

        f->unsettled = names == 0 || sample != NULL;
        for (size_t k = skip; names > 0 && k < rank; k++)
            if (port->shape[k] < 0)
                shape[k] = (int64_t)names;
    }
    in->tensor.rank = rank;
    in->tensor.shape = shape;
    f->shape = f->unsettled ? port->shape + skip : shape + skip;
    f->rank = rank - skip;
    f->absent = port->optional && sample == NULL && !has_default(f);
    return gal_shape_count(shape + skip, rank - skip, port->dtype, &f->count, err);
}

static enum gal_status prepare_input(struct decode *d, size_t i, struct gal_value *in,
                                     struct gal_err *err)
{
    const struct gal_port *port = &d->m->info->inputs[i];
    struct field *f = &d->inputs.fields[i];
    bool carried = port->kind == GAL_KIND_TENSOR && port->dtype != GAL_DT_NONE;

    *in = (struct gal_value){.kind = GAL_KIND_NONE};
    *f = (struct field){
        .name = port->name, .dtype = port->dtype, .feature = gal_validate_feature(d->m, i)};
    if (!carried && !port->optional)
        return gal_fail(err, GAL_UNSUPPORTED,
                        "input '%s' of model '%s' is a %s, which this protocol cannot carry",
                        port->name.p, d->m->name, port->type_text);
    f->absent = !carried;
    if (carried && prepare_shape(d, i, in, err) != GAL_OK)
        return err->code;
    if (f->absent)
        return GAL_OK;
    d->inputs.required++;
    in->kind = GAL_KIND_TENSOR;
    in->tensor.name = port->name;
    in->tensor.dtype = port->dtype;
    if (__builtin_mul_overflow(f->count, d->n->rows, &in->tensor.count))
        return gal_fail(err, GAL_TOO_LARGE, "input '%s' has too many elements", port->name.p);
    f->stride = f->count * gal_dtype_size(port->dtype);
    return GAL_OK;
}

/* Memory is taken only when the text holds as many values as the inputs: without it something is
 * wrong, and the rows are only checked. */
static enum gal_status take_memory(struct decode *d, struct gal_value *inputs, struct gal_err *err)
{
    size_t values = 0, nodes = (size_t)(unsafe_yyjson_get_next(d->n->data) - d->n->data);

    for (size_t i = 0; i < d->inputs.count; i++)
        if (!d->inputs.fields[i].absent && !has_default(&d->inputs.fields[i]) &&
            __builtin_add_overflow(values, inputs[i].tensor.count, &values))
            return GAL_OK;
    if (values > nodes)
        return GAL_OK;
    for (size_t i = 0; i < d->inputs.count; i++) {
        struct field *f = &d->inputs.fields[i];

        if (f->absent)
            continue;
        f->data = gal_arena_array(d->arena, inputs[i].tensor.count, gal_dtype_size(f->dtype));
        if (f->data == NULL)
            return gal_fail(err, GAL_NO_MEMORY, "no memory for input '%s'", f->name.p);
        if (f->feature != NULL) /* where a value is wrong the others are looked at too */
            memset(f->data, 0, inputs[i].tensor.count * gal_dtype_size(f->dtype));
        inputs[i].tensor.data = f->data;
    }
    return GAL_OK;
}

/* The only input has no names for its elements, and there is a column for each: their order counts.
 */
static bool columns_are_elements(const struct decode *d)
{
    const struct gal_port *port = &d->m->info->inputs[0];

    return d->n->columns != NULL && d->inputs.count == 1 && !gal_native_is_bare(d->m, port) &&
           !(d->n->column_count == 1 && gal_str_eq(d->n->columns[0], port->name)) &&
           d->n->column_count == d->inputs.fields[0].count;
}

static enum gal_status prepare_names(struct decode *d, struct gal_err *err)
{
    const struct field *whole = &d->inputs.fields[0];
    size_t size, count = gal_native_name_count(d->m);
    bool by_order = count == 0 && columns_are_elements(d);

    if (by_order)
        count = d->n->column_count;
    if (count == 0 || count != whole->count)
        return GAL_OK;
    d->names.fields = gal_arena_array(d->arena, count, sizeof(*d->names.fields));
    if (d->names.fields == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the request");
    size = gal_dtype_size(whole->dtype);
    for (size_t i = 0; i < count; i++)
        d->names.fields[i] = (struct field){
            .name = by_order ? d->n->columns[i] : gal_str_of(d->m->feature_names[i]),
            .dtype = whole->dtype,
            .count = 1,
            .data = whole->data != NULL ? whole->data + i * size : NULL,
            .stride = whole->stride,
        };
    d->names.count = d->names.required = count;
    return GAL_OK;
}

/* The short way; false when it does not apply or something is wrong. */
static bool decode_at_once(struct decode *d, struct gal_value *in)
{
    yyjson_val *row = first_row(d->n);
    yyjson_val *data = d->m->batch_dim ? d->n->data : row;

    return d->inputs.count == 1 && d->n->columns == NULL && !d->inputs.fields[0].absent &&
           !d->inputs.fields[0].unsettled && !yyjson_is_obj(row) && !yyjson_is_obj(data) &&
           gal_tensor_from_json(data, &in->tensor, "", d->arena, NULL) == GAL_OK;
}

/* Finds the field of each column; false when something is wrong with them. */
static bool map_columns(struct decode *d)
{
    const struct gal_native *n = d->n;
    struct table *t = d->names.count > 0 ? &d->names : &d->inputs;
    size_t next = 0;

    d->root = n->columns_root;
    d->row = SIZE_MAX; /* no row */
    if (d->inputs.count == 1 && n->column_count == 1 &&
        gal_str_eq(n->columns[0], d->inputs.fields[0].name))
        t = &d->inputs; /* whole rows in one column */
    for (size_t i = 0; i < n->column_count && !is_full(d); i++) {
        const struct at at = {n->columns[i], SIZE_MAX};
        struct field *f = find(d, t, at.key, next);

        d->mapped[i] = f;
        if (f == NULL) {
            if (!gal_validate_ignores(d->m))
                wrong_unknown(d, t, &at);
            continue;
        }
        next = (size_t)(f - t->fields) + 1;
        if (f->seen != 0)
            wrong(d, &at, "", "duplicate", "the column is given twice");
        f->seen = 1;
    }
    for (size_t i = 0; i < t->count && !is_full(d); i++) {
        const struct at at = {t->fields[i].name, SIZE_MAX};

        if (t->fields[i].seen == 0 && !t->fields[i].absent && !has_default(&t->fields[i]))
            wrong(d, &at, "", "missing", "missing column");
    }
    d->root = n->root;
    return n->errors.count == 0;
}

/* The request is refused: what else is wrong with it goes into the same list. */
static void find_more(struct decode *d, const struct gal_value *inputs)
{
    const struct gal_manifest *m = d->m->manifest;
    struct gal_findings *findings;
    struct gal_value *filled;

    if (m == NULL || m->feature_count == 0 || m->feature_count != d->inputs.count)
        return;
    findings = gal_arena_small(d->arena, sizeof(*findings));
    filled = gal_arena_array(d->arena, d->inputs.count, sizeof(*filled));
    if (findings == NULL || filled == NULL)
        return;
    for (size_t i = 0; i < d->inputs.count; i++) {
        filled[i] = inputs[i];
        if (d->inputs.fields[i].data == NULL)
            filled[i].kind = GAL_KIND_NONE;
    }
    (void)gal_check_features(m, filled, d->arena, findings, NULL);
    gal_native_find(d->n, m, findings, d->arena);
}

static enum gal_status decode_rows(struct decode *d, struct gal_value *inputs, struct gal_err *err)
{
    enum gal_status st = take_memory(d, inputs, err);

    if (st == GAL_OK && d->inputs.count == 1)
        st = prepare_names(d, err);
    if (st == GAL_OK && d->n->columns != NULL) {
        d->mapped = gal_arena_array(d->arena, d->n->column_count, sizeof(struct field *));
        if (d->mapped == NULL)
            st = gal_fail(err, GAL_NO_MEMORY, "no memory for the request");
    }
    if (st != GAL_OK)
        return st;
    bool has_rows = d->mapped == NULL || map_columns(d);
    if (has_rows)
        put_rows(d);
    if (d->n->errors.count > 0) {
        if (has_rows)
            find_more(d, inputs);
        return gal_fail(err, GAL_INVALID, "%s", d->n->errors.at[0].message);
    }
    for (size_t i = 0; i < d->inputs.count; i++)
        if (!d->inputs.fields[i].absent && d->inputs.fields[i].data == NULL)
            return gal_fail(err, GAL_INTERNAL, "input '%s' was not filled",
                            inputs[i].tensor.name.p);
    return GAL_OK;
}

enum gal_status gal_native_decode(const struct gal_model *m, struct gal_native *n,
                                  struct gal_arena *arena, struct gal_value *inputs,
                                  struct gal_err *err)
{
    struct decode d = {.m = m, .n = n, .arena = arena, .root = n->root};
    size_t count = m->info->input_count;

    if (!m->batch_dim && n->rows != 1) {
        gal_native_wrong(n, arena, GAL_STR("instances"), "length",
                         "this model has no batch dimension: it takes one instance a request");
        return gal_fail(err, GAL_INVALID, "%s", n->errors.at[0].message);
    }
    d.inputs.count = count;
    d.inputs.fields = gal_arena_array(arena, count, sizeof(*d.inputs.fields));
    if (d.inputs.fields == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the request");
    for (size_t i = 0; i < count; i++)
        if (prepare_input(&d, i, &inputs[i], err) != GAL_OK)
            return err->code;
    if (decode_at_once(&d, &inputs[0]))
        return GAL_OK;
    return decode_rows(&d, inputs, err);
}
