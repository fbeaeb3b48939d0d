/* SPDX-License-Identifier: Apache-2.0 */
#include "api/faults.h"
#include "api/tfs.h"
#include "api/validate.h"

#include "base/base64.h"
#include "codec/tensor_json.h"

static struct gal_str text_of(yyjson_val *v)
{
    return (struct gal_str){unsafe_yyjson_get_str(v), unsafe_yyjson_get_len(v)};
}

/* {"b64": "..."}: the text; p NULL when v is something else. */
static struct gal_str b64_of(yyjson_val *v)
{
    yyjson_val *text =
        unsafe_yyjson_is_obj(v) && unsafe_yyjson_get_len(v) == 1 ? yyjson_obj_get(v, "b64") : NULL;

    return text != NULL && unsafe_yyjson_is_str(text) ? text_of(text) : (struct gal_str){NULL, 0};
}

/* --- one tensor --- */

struct filler {
    struct gal_tensor *t;
    struct gal_arena *arena;
    char *data;
    size_t next; /* element */
    int64_t shape[GAL_RANK_MAX];
    size_t rank;
};

/* Sizes by the first of each level; what differs is found when the elements are read. */
static enum gal_status find_shape(struct filler *f, yyjson_val *v, struct gal_err *err)
{
    f->rank = 0;
    while (unsafe_yyjson_is_arr(v)) {
        if (f->rank == GAL_RANK_MAX)
            return gal_fail(err, GAL_INVALID, "arrays lie deeper than %u levels", GAL_RANK_MAX);
        f->shape[f->rank++] = (int64_t)unsafe_yyjson_get_len(v);
        if (unsafe_yyjson_get_len(v) == 0)
            return GAL_OK;
        v = unsafe_yyjson_get_first(v);
    }
    return GAL_OK;
}

static enum gal_status take_bytes(struct filler *f, struct gal_str b64, struct gal_err *err)
{
    struct gal_str *elements = (struct gal_str *)(void *)f->data;

    return gal_base64_decode(b64, f->arena, &elements[f->next], err);
}

static enum gal_status take_element(struct filler *f, yyjson_val *v, struct gal_err *err)
{
    struct gal_str b64 = f->t->dtype == GAL_DT_BYTES ? b64_of(v) : (struct gal_str){NULL, 0};
    enum gal_status st =
        b64.p != NULL ? take_bytes(f, b64, err)
                      : gal_element_from_json(v, f->t->dtype, f->data, f->next, f->arena, err);

    f->next++;
    return st;
}

/* Depth is bounded by the rank, and that by GAL_RANK_MAX. */
static enum gal_status take_level(struct filler *f, yyjson_val *v, size_t level,
                                  struct gal_err *err)
{
    size_t n;
    enum gal_status st = GAL_OK;

    if (level == f->rank)
        return take_element(f, v, err);
    if (!unsafe_yyjson_is_arr(v))
        return gal_fail(err, GAL_INVALID, "an array of %lld is expected, got %s",
                        (long long)f->shape[level], gal_json_type_name(v));
    n = unsafe_yyjson_get_len(v);
    if ((int64_t)n != f->shape[level])
        return gal_fail(err, GAL_INVALID,
                        "arrays of one level differ in length: %lld before, then %zu",
                        (long long)f->shape[level], n);
    v = n > 0 ? unsafe_yyjson_get_first(v) : NULL;
    for (size_t i = 0; i < n && st == GAL_OK; i++, v = unsafe_yyjson_get_next(v))
        st = take_level(f, v, level + 1, err);
    return st;
}

static enum gal_status reserve(struct filler *f, struct gal_err *err)
{
    struct gal_tensor *t = f->t;
    int64_t *shape = gal_arena_small(f->arena, (f->rank + 1) * sizeof(*shape));
    enum gal_status st;

    if (shape == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a shape");
    memcpy(shape, f->shape, f->rank * sizeof(*shape));
    t->shape = shape;
    t->rank = f->rank;
    st = gal_shape_count(shape, f->rank, t->dtype, &t->count, err);
    if (st != GAL_OK)
        return st;
    f->data = gal_arena_array(f->arena, t->count > 0 ? t->count : 1, gal_dtype_size(t->dtype));
    t->data = f->data;
    return f->data != NULL
               ? GAL_OK
               : gal_arena_fail(f->arena, t->count * gal_dtype_size(t->dtype), "the tensor", err);
}

/* A last size of 1 may be left out. */
static void complete_shape(struct filler *f, const struct gal_port *port)
{
    int64_t *shape = (int64_t *)(uintptr_t)f->t->shape; /* reserved with room for one more */

    if (!port->shape_known || shape == NULL || f->t->rank + 1 != port->rank ||
        port->shape[port->rank - 1] != 1)
        return;
    shape[f->t->rank++] = 1;
}

/* i: of `name` among the model's inputs; SIZE_MAX: it is none. */
static const struct gal_port *port_at(struct gal_exchange *x, size_t i, struct gal_str name,
                                      struct gal_err *err)
{
    const struct gal_model_info *info = x->model->info;

    if (i < info->input_count && info->inputs[i].kind == GAL_KIND_TENSOR &&
        info->inputs[i].dtype != GAL_DT_NONE)
        return &info->inputs[i];
    gal_fail(err, i < info->input_count ? GAL_UNSUPPORTED : GAL_INVALID,
             i < info->input_count ? "input '%.*s' of model '%s' is no tensor"
                                   : "'%.*s' is no input of model '%s'",
             (int)(name.n < 128 ? name.n : 128), name.p, x->model->name);
    gal_err_hint(err, "GET /v1/models/%s/metadata lists the inputs", x->model->name);
    return NULL;
}

/* The name of the only input. */
static enum gal_status only_input(struct gal_exchange *x, struct gal_str *name, struct gal_err *err)
{
    const struct gal_model_info *info = x->model->info;

    if (info->input_count != 1) {
        gal_fail(err, GAL_INVALID, "model '%s' has %zu inputs: each value needs its input's name",
                 x->model->name, info->input_count);
        gal_err_hint(err, "send objects, {\"%s\": ...}",
                     info->input_count > 0 ? info->inputs[0].name.p : "name");
        return GAL_INVALID;
    }
    *name = info->inputs[0].name;
    return GAL_OK;
}

static const struct gal_port *find_port(struct gal_exchange *x, struct gal_str name,
                                        struct gal_err *err)
{
    const struct gal_model_info *info = x->model->info;

    return port_at(x, gal_port_find(info->inputs, info->input_count, name), name, err);
}

static enum gal_status fill_whole(struct gal_exchange *x, struct gal_infer *inf,
                                  struct gal_str name, yyjson_val *v, struct gal_err *err)
{
    const struct gal_port *port = find_port(x, name, err);
    struct gal_tensor t = {.name = name};
    struct filler f = {.t = &t, .arena = &x->arena};
    enum gal_status st;

    if (port == NULL)
        return gal_validate_ignores(x->model) && err->code == GAL_INVALID ? GAL_OK : err->code;
    gal_validate_nulls(gal_validate_feature(x->model, (size_t)(port - x->model->info->inputs)), v);
    t.dtype = port->dtype;
    st = find_shape(&f, v, err);
    if (st == GAL_OK)
        st = reserve(&f, err);
    if (st == GAL_OK)
        st = take_level(&f, v, 0, err);
    if (st != GAL_OK)
        return st;
    complete_shape(&f, port);
    return gal_infer_set(x, inf, &t, err);
}

/* --- forms --- */

static enum gal_status fill_columns(struct gal_exchange *x, struct gal_infer *inf, yyjson_val *v,
                                    struct gal_err *err)
{
    enum gal_status st = GAL_OK;
    struct gal_str name;
    size_t i, n;
    yyjson_val *key, *value;

    if (!unsafe_yyjson_is_obj(v) || b64_of(v).p != NULL) {
        st = only_input(x, &name, err);
        if (st == GAL_OK)
            st = fill_whole(x, inf, name, v, err);
        if (st != GAL_OK && err->place[0] == '\0')
            gal_err_place(err, "inputs");
        return st;
    }
    yyjson_obj_foreach(v, i, n, key, value)
    {
        if (gal_faults_stop(x))
            return GAL_OK;
        name = text_of(key);
        st = fill_whole(x, inf, name, value, err);
        if (st != GAL_OK) {
            gal_err_place(err, "inputs.%.*s", (int)(name.n < 128 ? name.n : 128), name.p);
            if (!gal_faults_take(x, name, err))
                return st;
        }
    }
    return GAL_OK;
}

/* A feature's default as JSON; NULL when memory is out, or it has several elements. */
static yyjson_val *default_of(const struct gal_feature *f, struct gal_arena *arena)
{
    yyjson_val *v = f->rank == 0 ? gal_arena_small(arena, sizeof(*v)) : NULL;

    if (v == NULL)
        return NULL;
    memset(v, 0, sizeof(*v));
    if (f->absent.null)
        gal_json_set_str(v, f->type == GAL_FEATURE_TEXT ? GAL_STR("") : GAL_STR("NaN"));
    else if (f->type == GAL_FEATURE_TEXT)
        gal_json_set_str(v, f->absent.text);
    else if (f->type == GAL_FEATURE_BOOL)
        unsafe_yyjson_set_bool(v, f->absent.integer != 0);
    else if (f->integral)
        unsafe_yyjson_set_sint(v, f->absent.integer);
    else
        unsafe_yyjson_set_real(v, f->absent.number);
    return v;
}

#define PATTERN_ROWS_MAX 64u /* of which one is to have the sizes of all */

/* One input of all instances, which are objects: its values become the rows of a tensor. */
struct column {
    const struct gal_port *port;
    const struct gal_feature *feature; /* NULL: none */
    yyjson_val *context;
    yyjson_val *pattern; /* has the sizes of all rows; NULL: the first row there is has them */
    struct gal_tensor t;
    struct filler f;
};

static yyjson_val *value_in(const struct column *c, yyjson_val *row)
{
    struct gal_str name = c->port->name;
    yyjson_val *v = unsafe_yyjson_is_obj(row) ? yyjson_obj_getn(row, name.p, name.n) : NULL;

    if (v == NULL && c->context != NULL)
        v = yyjson_obj_getn(c->context, name.p, name.n);
    if (v == NULL && c->feature != NULL && c->feature->absent.set)
        v = default_of(c->feature, c->f.arena);
    gal_validate_nulls(c->feature, v);
    return v;
}

/* Memory for `count` rows like v (NULL: of one value each). */
static enum gal_status reserve_rows(struct column *c, yyjson_val *v, size_t count,
                                    struct gal_err *err)
{
    struct filler *f = &c->f;
    enum gal_status st = v != NULL ? find_shape(f, v, err) : GAL_OK;

    if (st == GAL_OK && f->rank == GAL_RANK_MAX)
        st = gal_fail(err, GAL_INVALID, "arrays lie deeper than %u levels", GAL_RANK_MAX);
    if (st != GAL_OK)
        return st;
    memmove(f->shape + 1, f->shape, f->rank * sizeof(*f->shape));
    f->shape[0] = (int64_t)count;
    f->rank++;
    return reserve(f, err);
}

/* With one more size of 1, too: see complete_shape. */
static bool fits_row(const struct gal_port *port, const struct filler *f)
{
    if (!port->shape_known || port->rank == 0)
        return true;
    return gal_shape_fits(f->shape, f->rank, port->shape + 1, port->rank - 1) ||
           (port->rank >= 2 && port->shape[port->rank - 1] == 1 &&
            gal_shape_fits(f->shape, f->rank, port->shape + 1, port->rank - 2));
}

/* The first row's value that the input has room for: one that is wrong is not what others are held
 * against. NULL: none is of those that are looked at. */
static yyjson_val *pattern_of(const struct column *c, yyjson_val *rows)
{
    size_t count = unsafe_yyjson_get_len(rows);
    yyjson_val *row = unsafe_yyjson_get_first(rows);

    for (size_t i = 0; i < count && i < PATTERN_ROWS_MAX; i++, row = unsafe_yyjson_get_next(row)) {
        yyjson_val *v = value_in(c, row);
        struct filler f;

        if (v != NULL && find_shape(&f, v, NULL) == GAL_OK && fits_row(c->port, &f))
            return v;
    }
    return NULL;
}

static enum gal_status take_row(struct column *c, yyjson_val *row, size_t count,
                                struct gal_err *err)
{
    yyjson_val *v = value_in(c, row);
    enum gal_status st = GAL_OK;

    if (v == NULL)
        st = gal_fail(err, GAL_INVALID, "input '%.*s' is missing%s",
                      (int)(c->port->name.n < 128 ? c->port->name.n : 128), c->port->name.p,
                      c->port->optional ? " here, and there in another row" : "");
    if (c->f.data == NULL &&
        (v != NULL || c->pattern != NULL || (c->feature != NULL && c->feature->rank == 0))) {
        struct gal_err why;
        enum gal_status reserved =
            reserve_rows(c, c->pattern != NULL ? c->pattern : v, count, &why);

        if (reserved != GAL_OK) {
            *err = why;
            return reserved;
        }
    }
    return st == GAL_OK ? take_level(&c->f, v, 1, err) : st;
}

/* Something stands in the row's place, and the next row comes. False: there is no place yet. */
static bool pass_over(struct column *c, size_t row)
{
    size_t rows = c->f.rank > 0 ? (size_t)c->f.shape[0] : 0, a_row, size;

    if (c->f.data == NULL || rows == 0)
        return false;
    a_row = c->t.count / rows;
    size = gal_dtype_size(c->t.dtype);
    memset(c->f.data + row * a_row * size, 0, a_row * size);
    c->f.next = (row + 1) * a_row;
    return true;
}

static enum gal_status fill_feature(struct gal_exchange *x, struct gal_infer *inf, size_t input,
                                    yyjson_val *rows, yyjson_val *context, const char *where,
                                    struct gal_err *err)
{
    struct gal_str name = x->model->info->inputs[input].name;
    struct column c = {.port = port_at(x, input, name, err),
                       .feature = gal_validate_feature(x->model, input),
                       .context = context,
                       .t = {.name = name}};
    size_t count = unsafe_yyjson_get_len(rows);
    yyjson_val *row = unsafe_yyjson_get_first(rows);

    if (c.port == NULL)
        return err->code;
    c.t.dtype = c.port->dtype;
    c.f = (struct filler){.t = &c.t, .arena = &x->arena};
    c.pattern = c.feature != NULL ? pattern_of(&c, rows) : NULL;
    for (size_t i = 0; i < count; i++, row = unsafe_yyjson_get_next(row)) {
        enum gal_status st;

        if (gal_faults_stop(x))
            return GAL_OK;
        st = take_row(&c, row, count, err);
        if (st == GAL_OK)
            continue;
        gal_err_place(err, "%s[%zu].%.*s", where, i, (int)(name.n < 128 ? name.n : 128), name.p);
        if (!pass_over(&c, i))
            return gal_faults_take(x, name, err) ? GAL_OK : st;
        if (!gal_faults_take_row(x, input, i, err))
            return st;
    }
    complete_shape(&c.f, c.port);
    enum gal_status st = gal_infer_set(x, inf, &c.t, err);
    return st != GAL_OK && gal_faults_take(x, name, err) ? GAL_OK : st;
}

static void place_row(struct gal_err *err, const char *where, size_t row)
{
    if (row == SIZE_MAX)
        gal_err_place(err, "%s", where);
    else
        gal_err_place(err, "%s[%zu]", where, row);
}

/* All keys are inputs, unless the model's package says that others do not matter. `row`: which one
 * of `where`; SIZE_MAX: that itself. */
static enum gal_status check_keys(struct gal_exchange *x, yyjson_val *object, const char *where,
                                  size_t row, struct gal_err *err)
{
    yyjson_val *key, *value;
    size_t i, n;

    if (!unsafe_yyjson_is_obj(object)) {
        gal_fail(err, GAL_INVALID, "an object is expected, got %s", gal_json_type_name(object));
        place_row(err, where, row);
        return GAL_INVALID;
    }
    if (gal_validate_ignores(x->model))
        return GAL_OK;
    yyjson_obj_foreach(object, i, n, key, value)
    {
        if (gal_faults_stop(x))
            return GAL_OK;
        if (find_port(x, text_of(key), err) != NULL)
            continue;
        place_row(err, where, row);
        if (!gal_faults_take(x, text_of(key), err))
            return err->code;
    }
    return GAL_OK;
}

static enum gal_status check_rows(struct gal_exchange *x, yyjson_val *rows, const char *where,
                                  struct gal_err *err)
{
    size_t count = unsafe_yyjson_get_len(rows);
    yyjson_val *row = unsafe_yyjson_get_first(rows);
    enum gal_status st = GAL_OK;

    for (size_t i = 0; i < count && st == GAL_OK && !gal_faults_stop(x);
         i++, row = unsafe_yyjson_get_next(row))
        st = check_keys(x, row, where, i, err);
    return st;
}

/* An optional input that no row has, nor what stands for all of them, is left out. */
static bool is_left_out(const struct gal_exchange *x, size_t input, yyjson_val *rows,
                        yyjson_val *context)
{
    const struct gal_port *port = &x->model->info->inputs[input];
    const struct gal_feature *feature = gal_validate_feature(x->model, input);
    struct gal_str name = port->name;
    size_t count = unsafe_yyjson_get_len(rows);
    yyjson_val *row = unsafe_yyjson_get_first(rows);

    if (!port->optional || (feature != NULL && feature->absent.set && feature->rank == 0) ||
        (context != NULL && yyjson_obj_getn(context, name.p, name.n) != NULL))
        return false;
    for (size_t i = 0; i < count; i++, row = unsafe_yyjson_get_next(row))
        if (yyjson_obj_getn(row, name.p, name.n) != NULL)
            return false;
    return true;
}

static enum gal_status fill_objects(struct gal_exchange *x, struct gal_infer *inf, yyjson_val *rows,
                                    yyjson_val *context, const char *where, struct gal_err *err)
{
    const struct gal_model_info *info = x->model->info;
    enum gal_status st = check_rows(x, rows, where, err);

    for (size_t i = 0; i < info->input_count && st == GAL_OK && !gal_faults_stop(x); i++)
        if (!is_left_out(x, i, rows, context))
            st = fill_feature(x, inf, i, rows, context, where, err);
    return st;
}

static enum gal_status fill_rows(struct gal_exchange *x, struct gal_infer *inf, yyjson_val *rows,
                                 struct gal_err *err)
{
    yyjson_val *first;
    struct gal_str name;
    enum gal_status st;

    if (!unsafe_yyjson_is_arr(rows) || unsafe_yyjson_get_len(rows) == 0) {
        gal_fail(err, GAL_INVALID, "an array of at least one instance is expected");
        gal_err_place(err, "instances");
        return GAL_INVALID;
    }
    first = unsafe_yyjson_get_first(rows);
    if (unsafe_yyjson_is_obj(first) && b64_of(first).p == NULL)
        return fill_objects(x, inf, rows, NULL, "instances", err);
    st = only_input(x, &name, err);
    if (st == GAL_OK)
        st = fill_whole(x, inf, name, rows, err);
    if (st != GAL_OK && err->place[0] == '\0')
        gal_err_place(err, "instances");
    return st;
}

static enum gal_status fill_examples(struct gal_exchange *x, struct gal_infer *inf,
                                     yyjson_val *root, struct gal_err *err)
{
    yyjson_val *rows = yyjson_obj_get(root, "examples"), *context = yyjson_obj_get(root, "context");

    if (rows == NULL || !unsafe_yyjson_is_arr(rows) || unsafe_yyjson_get_len(rows) == 0) {
        gal_fail(err, GAL_INVALID, "an array of at least one example is expected");
        gal_err_place(err, "examples");
        return GAL_INVALID;
    }
    if (context != NULL && check_keys(x, context, "context", SIZE_MAX, err) != GAL_OK)
        return err->code;
    return fill_objects(x, inf, rows, context, "examples", err);
}

/* There is one signature. */
static enum gal_status check_members(yyjson_val *root, bool examples, struct gal_err *err)
{
    size_t i, n;
    yyjson_val *key, *value;

    if (!unsafe_yyjson_is_obj(root))
        return gal_fail(err, GAL_INVALID, "the body must be an object, got %s",
                        gal_json_type_name(root));
    yyjson_obj_foreach(root, i, n, key, value)
    {
        struct gal_str name = text_of(key);
        bool known = examples ? gal_str_is(name, "examples") || gal_str_is(name, "context")
                              : gal_str_is(name, "instances") || gal_str_is(name, "inputs");

        if (gal_str_is(name, "signature_name")) {
            if (unsafe_yyjson_is_str(value) && (unsafe_yyjson_get_len(value) == 0 ||
                                                gal_str_is(text_of(value), "serving_default")))
                continue;
            gal_fail(err, GAL_INVALID, "the only signature is \"serving_default\"");
        } else if (known) {
            continue;
        } else {
            gal_fail(err, GAL_INVALID, "unknown member '%.*s'", (int)(name.n < 64 ? name.n : 64),
                     name.p);
        }
        gal_err_place(err, "%.*s", (int)(name.n < 64 ? name.n : 64), name.p);
        return GAL_INVALID;
    }
    return GAL_OK;
}

enum gal_status gal_tfs_decode(yyjson_val *root, bool examples, struct gal_exchange *x,
                               struct gal_infer *inf, enum gal_tfs_form *form, struct gal_err *err)
{
    enum gal_status st = check_members(root, examples, err);
    yyjson_val *rows, *columns;

    if (st != GAL_OK)
        return st;
    if (examples)
        return fill_examples(x, inf, root, err);
    rows = yyjson_obj_get(root, "instances");
    columns = yyjson_obj_get(root, "inputs");
    if ((rows == NULL) == (columns == NULL)) {
        gal_fail(err, GAL_INVALID, "the body has %s 'instances' (rows) %s 'inputs' (columns)",
                 rows == NULL ? "neither" : "both", rows == NULL ? "nor" : "and");
        return GAL_INVALID;
    }
    *form = rows != NULL ? GAL_TFS_ROWS : GAL_TFS_COLUMNS;
    return rows != NULL ? fill_rows(x, inf, rows, err) : fill_columns(x, inf, columns, err);
}
