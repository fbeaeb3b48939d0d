/* SPDX-License-Identifier: Apache-2.0 */
#include "api/mlflow.h"

#include "api/faults.h"
#include "api/validate.h"
#include "codec/tensor_json.h"

#include <stdio.h>

#define FORMS "dataframe_split, dataframe_records, instances or inputs"

static struct gal_str text_of(yyjson_val *v)
{
    return (struct gal_str){yyjson_get_str(v), yyjson_get_len(v)};
}

static enum gal_status fail_at(const char *place, enum gal_status st, struct gal_err *err)
{
    if (err != NULL)
        gal_err_place(err, "%s", place);
    return st;
}

static enum gal_status fail_type(yyjson_val *v, const char *expected, const char *place,
                                 struct gal_err *err)
{
    if (v == NULL)
        gal_fail(err, GAL_INVALID, "missing, expected %s", expected);
    else
        gal_fail(err, GAL_INVALID, "expected %s, got %s", expected, gal_json_type_name(v));
    return fail_at(place, GAL_INVALID, err);
}

/* --- the envelope --- */

static void set_rows(struct gal_mlflow *out, struct gal_str root, yyjson_val *data)
{
    out->rows.form = GAL_NATIVE_INSTANCES;
    out->rows.root = root;
    out->rows.data = data;
    out->rows.rows = yyjson_arr_size(data);
}

static enum gal_status take_rows(struct gal_mlflow *out, struct gal_str root, yyjson_val *data,
                                 struct gal_err *err)
{
    if (!yyjson_is_arr(data))
        return fail_type(data, "an array of rows", root.p, err);
    if (yyjson_arr_size(data) == 0)
        return fail_at(root.p, gal_fail(err, GAL_INVALID, "expected at least one row"), err);
    set_rows(out, root, data);
    return GAL_OK;
}

/* pandas numbers the columns that nobody has named. */
static bool are_numbered(yyjson_val *list)
{
    size_t i, max;
    yyjson_val *v;

    yyjson_arr_foreach(list, i, max, v)
    {
        if (!yyjson_is_uint(v) || yyjson_get_uint(v) != i)
            return false;
    }
    return true;
}

static enum gal_status take_columns(struct gal_mlflow *out, yyjson_val *list,
                                    struct gal_arena *arena, struct gal_err *err)
{
    struct gal_str *names;
    size_t i, max;
    yyjson_val *v;

    if (list == NULL || yyjson_is_null(list))
        return GAL_OK;
    if (!yyjson_is_arr(list))
        return fail_type(list, "an array of names", "dataframe_split.columns", err);
    if (are_numbered(list))
        return GAL_OK;
    names = gal_arena_array(arena, yyjson_arr_size(list), sizeof(*names));
    if (names == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the request");
    yyjson_arr_foreach(list, i, max, v)
    {
        if (!yyjson_is_str(v)) {
            fail_type(v, "a name", "", err);
            if (err != NULL)
                gal_err_place(err, "dataframe_split.columns[%zu]", i);
            return GAL_INVALID;
        }
        names[i] = text_of(v);
    }
    out->rows.columns = names;
    out->rows.column_count = yyjson_arr_size(list);
    out->rows.columns_root = GAL_STR("dataframe_split.columns");
    return GAL_OK;
}

static enum gal_status take_split(struct gal_mlflow *out, yyjson_val *v, struct gal_arena *arena,
                                  struct gal_err *err)
{
    yyjson_val *columns = NULL, *data = NULL, *index = NULL, *key, *member;
    size_t i, max;
    enum gal_status st;

    if (!yyjson_is_obj(v))
        return fail_type(v, "an object with data and columns", "dataframe_split", err);
    yyjson_obj_foreach(v, i, max, key, member)
    {
        yyjson_val **at = yyjson_equals_str(key, "columns") ? &columns
                          : yyjson_equals_str(key, "data")  ? &data
                          : yyjson_equals_str(key, "index") ? &index
                                                            : NULL;
        if (at == NULL || *at != NULL) {
            gal_fail(err, GAL_INVALID, "%s '%.*s'; dataframe_split has columns, index and data",
                     at == NULL ? "unknown key" : "repeated key", GAL_STR_SHOWN(text_of(key)));
            return fail_at("dataframe_split", GAL_INVALID, err);
        }
        *at = member;
    }
    st = take_rows(out, GAL_STR("dataframe_split.data"), data, err);
    if (st == GAL_OK && index != NULL && !yyjson_is_null(index) &&
        (!yyjson_is_arr(index) || yyjson_arr_size(index) != out->rows.rows)) {
        gal_fail(err, GAL_INVALID, "expected an array of %zu, one a row of data", out->rows.rows);
        return fail_at("dataframe_split.index", GAL_INVALID, err);
    }
    return st == GAL_OK ? take_columns(out, columns, arena, err) : st;
}

static enum gal_status take_records(struct gal_mlflow *out, yyjson_val *v, struct gal_err *err)
{
    enum gal_status st = take_rows(out, GAL_STR("dataframe_records"), v, err);
    size_t i, max;
    yyjson_val *row;

    if (st != GAL_OK)
        return st;
    yyjson_arr_foreach(v, i, max, row)
    {
        if (yyjson_is_obj(row))
            continue;
        fail_type(row, "an object of columns", "", err);
        if (err != NULL)
            gal_err_place(err, "dataframe_records[%zu]", i);
        return GAL_INVALID;
    }
    return GAL_OK;
}

static enum gal_status take_form(struct gal_mlflow *out, yyjson_val *key, yyjson_val *v,
                                 struct gal_arena *arena, struct gal_err *err)
{
    out->table = yyjson_get_len(key) > 9; /* dataframe_... */
    if (yyjson_equals_str(key, "dataframe_split"))
        return take_split(out, v, arena, err);
    if (yyjson_equals_str(key, "dataframe_records"))
        return take_records(out, v, err);
    if (yyjson_equals_str(key, "instances"))
        return take_rows(out, GAL_STR("instances"), v, err);
    if (!yyjson_is_ctn(v))
        return fail_type(v, "an object of tensors by name, or an array", "inputs", err);
    out->inputs = v;
    return GAL_OK;
}

static bool is_form(yyjson_val *key)
{
    return yyjson_equals_str(key, "dataframe_split") ||
           yyjson_equals_str(key, "dataframe_records") || yyjson_equals_str(key, "instances") ||
           yyjson_equals_str(key, "inputs");
}

static enum gal_status take_object(struct gal_mlflow *out, yyjson_val *root,
                                   struct gal_arena *arena, struct gal_err *err)
{
    yyjson_val *form = NULL, *params = NULL, *key, *v;
    size_t i, max;

    yyjson_obj_foreach(root, i, max, key, v)
    {
        bool is_params = yyjson_equals_str(key, "params");

        if (!is_params && !is_form(key)) {
            gal_fail(err, GAL_INVALID, "unknown key '%.*s'", GAL_STR_SHOWN(text_of(key)));
            if (err != NULL)
                gal_err_hint(err, "a request has one of " FORMS ", and may have params");
            return GAL_INVALID;
        }
        if (is_params ? params != NULL : form != NULL)
            return gal_fail(err, GAL_INVALID,
                            "a request has exactly one of " FORMS ", and params once");
        if (is_params)
            params = v;
        else
            form = key;
    }
    if (form == NULL)
        return gal_fail(err, GAL_INVALID, "a request has exactly one of " FORMS);
    if (params != NULL && !yyjson_is_null(params) && !yyjson_is_obj(params))
        return fail_type(params, "an object", "params", err);
    out->params = yyjson_obj_size(params) > 0 ? params : NULL;
    return take_form(out, form, unsafe_yyjson_get_next(form), arena, err);
}

enum gal_status gal_mlflow_envelope(yyjson_val *root, bool sagemaker, struct gal_arena *arena,
                                    struct gal_mlflow *out, struct gal_err *err)
{
    memset(out, 0, sizeof(*out));
    if (sagemaker)
        out->rows.unwrap = GAL_STR("features");
    if (sagemaker && yyjson_is_arr(root))
        return take_rows(out, GAL_STR("body"), root, err);
    if (!yyjson_is_obj(root))
        return fail_type(root, "an object with " FORMS, "", err);
    return take_object(out, root, arena, err);
}

/* --- whole tensors --- */

static enum gal_status set_tensor(struct gal_exchange *x, struct gal_infer *inf,
                                  const struct gal_port *port, yyjson_val *v, const char *root,
                                  struct gal_err *err)
{
    struct gal_tensor t = {.name = port->name, .dtype = port->dtype, .rank = port->rank};
    const char *place = gal_arena_printf(&x->arena, "%s%s%s", root, *root ? "." : "", port->name.p);
    size_t lens[GAL_RANK_MAX];
    int64_t *shape;
    enum gal_status st;

    gal_validate_nulls(gal_validate_feature(x->model, (size_t)(port - x->model->info->inputs)), v);
    if (!port->shape_known)
        t.rank = gal_native_nesting(v, lens);
    shape = gal_arena_small(&x->arena, (t.rank + 1) * sizeof(*shape));
    if (place == NULL || shape == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the request");
    for (size_t i = 0; !port->shape_known && i < t.rank; i++)
        shape[i] = (int64_t)lens[i];
    if (port->shape_known && !gal_native_settle(port->shape, port->rank, v, shape)) {
        char text[128];

        gal_fail(err, GAL_INVALID, "expected nested arrays of shape %s",
                 gal_shape_format(port->shape, port->rank, text, sizeof(text)));
        return fail_at(place, GAL_INVALID, err);
    }
    t.shape = shape;
    if (port->kind == GAL_KIND_TENSOR) {
        st = gal_shape_count(shape, t.rank, t.dtype, &t.count, err);
        if (st == GAL_OK)
            st = gal_tensor_from_json(v, &t, place, &x->arena, err);
        if (st != GAL_OK)
            return st;
    }
    return gal_infer_set(x, inf, &t, err);
}

static enum gal_status fail_unknown(const struct gal_exchange *x, struct gal_str name,
                                    const char *root, const char *unknown, struct gal_err *err)
{
    const struct gal_model_info *info = x->model->info;

    gal_fail(err, GAL_INVALID, "%s '%.*s'", unknown, GAL_STR_SHOWN(name));
    gal_err_hint(err, "model '%.60s' has the input%s '%s'%s", x->model->name,
                 info->input_count == 1 ? "" : "s",
                 info->input_count > 0 ? info->inputs[0].name.p : "",
                 info->input_count > 1 ? " and others" : "");
    return fail_at(root, GAL_INVALID, err);
}

static enum gal_status set_named(struct gal_exchange *x, struct gal_infer *inf, yyjson_val *object,
                                 const char *root, const char *unknown, struct gal_err *err)
{
    const struct gal_model_info *info = x->model->info;
    size_t i, max;
    yyjson_val *key, *v;
    enum gal_status st = GAL_OK;

    yyjson_obj_foreach(object, i, max, key, v)
    {
        size_t index = gal_port_find(info->inputs, info->input_count, text_of(key));

        if (gal_faults_stop(x))
            return GAL_OK;
        if (index == SIZE_MAX && gal_validate_ignores(x->model))
            continue;
        st = index != SIZE_MAX ? set_tensor(x, inf, &info->inputs[index], v, root, err)
                               : fail_unknown(x, text_of(key), root, unknown, err);
        if (st != GAL_OK && gal_faults_take(x, text_of(key), err))
            st = GAL_OK;
        if (st != GAL_OK)
            return st;
    }
    return st;
}

/* --- columns of features: turned into rows --- */

/* {"FEATURE": [value, ...], ...} for a model whose input has names for its elements. */
static bool are_features(const struct gal_model *m, yyjson_val *inputs)
{
    struct gal_str only = m->info->input_count > 0 ? m->info->inputs[0].name : GAL_STR("");

    return yyjson_is_obj(inputs) && gal_native_name_count(m) > 0 &&
           yyjson_obj_getn(inputs, only.p, only.n) == NULL;
}

static enum gal_status check_column(yyjson_val *key, yyjson_val *v, size_t rows,
                                    struct gal_err *err)
{
    if (yyjson_is_arr(v) && yyjson_arr_size(v) == rows && rows > 0)
        return GAL_OK;
    if (yyjson_is_arr(v))
        gal_fail(err, GAL_INVALID, "expected %zu values as in the first column, got %zu",
                 rows > 0 ? rows : 1, yyjson_arr_size(v));
    else
        gal_fail(err, GAL_INVALID, "expected an array, a value a row, got %s",
                 gal_json_type_name(v));
    if (err != NULL)
        gal_err_place(err, "inputs.%.*s", GAL_STR_SHOWN(text_of(key)));
    return GAL_INVALID;
}

/* One column into column `at` of rows that lie `stride` nodes apart. A value may stand in an array
 * of its own, [[1],[2]]. */
static enum gal_status put_column(yyjson_val *key, yyjson_val *column, yyjson_val *to,
                                  size_t stride, struct gal_err *err)
{
    size_t i, max;
    yyjson_val *v;

    yyjson_arr_foreach(column, i, max, v)
    {
        yyjson_val *cell =
            yyjson_is_arr(v) && yyjson_arr_size(v) == 1 ? yyjson_arr_get_first(v) : v;

        if (yyjson_is_ctn(cell)) {
            gal_fail(err, GAL_INVALID, "expected one value, got %s", gal_json_type_name(cell));
            if (err != NULL)
                gal_err_place(err, "inputs.%.*s[%zu]", GAL_STR_SHOWN(text_of(key)), i);
            return GAL_INVALID;
        }
        to[i * stride] = *cell;
    }
    return GAL_OK;
}

static enum gal_status turn_columns(struct gal_mlflow *in, struct gal_arena *arena,
                                    struct gal_err *err)
{
    size_t count = yyjson_obj_size(in->inputs), i, max, rows, nodes = 0;
    yyjson_val *key = unsafe_yyjson_get_first(in->inputs), *v, *tree = NULL;
    struct gal_str *names = gal_arena_array(arena, count, sizeof(*names));

    rows = count > 0 ? yyjson_arr_size(unsafe_yyjson_get_next(key)) : 0;
    if (!__builtin_mul_overflow(rows, count + 1, &nodes))
        tree = gal_arena_array(arena, nodes + 1, sizeof(*tree));
    if (names == NULL || tree == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the request");
    yyjson_obj_foreach(in->inputs, i, max, key, v)
    {
        enum gal_status st = check_column(key, v, rows, err);

        if (st == GAL_OK)
            st = put_column(key, v, tree + 2 + i, count + 1, err);
        if (st != GAL_OK)
            return st;
        names[i] = text_of(key);
    }
    for (size_t k = 0; k < rows; k++)
        gal_json_set_array(tree + 1 + k * (count + 1), count, count);
    gal_json_set_array(tree, rows, nodes);
    set_rows(in, GAL_STR("inputs"), tree);
    in->rows.columns = names;
    in->rows.column_count = count;
    in->rows.columns_root = GAL_STR("inputs");
    return GAL_OK;
}

/* --- the request --- */

static enum gal_status set_whole(struct gal_exchange *x, struct gal_mlflow *in,
                                 struct gal_infer *inf, struct gal_err *err)
{
    const struct gal_model_info *info = x->model->info;

    if (yyjson_is_obj(in->inputs))
        return set_named(x, inf, in->inputs, "inputs", "unknown input", err);
    if (info->input_count == 1)
        return set_tensor(x, inf, &info->inputs[0], in->inputs, "inputs", err);
    gal_fail(err, GAL_INVALID, "model '%.60s' has %zu inputs: send an object of them by name",
             x->model->name, info->input_count);
    return fail_at("inputs", GAL_INVALID, err);
}

/* All that is wrong; the first in err. */
static enum gal_status fail_fields(struct gal_exchange *x, const struct gal_native *n,
                                   struct gal_err *err)
{
    char place[256];

    for (size_t i = 0; i < n->errors.count; i++) {
        const struct gal_native_error *e = &n->errors.at[i];

        gal_native_error_place(e, place, sizeof(place));
        gal_faults_add(x, i == 0 ? gal_arena_printf(&x->arena, "%s (at %s)", e->message, place)
                                 : gal_arena_printf(&x->arena, "%s%s: %s", i == 1 ? "also " : "",
                                                    place, e->message));
    }
    if (n->errors.count == GAL_NATIVE_ERRORS_MAX)
        gal_faults_cut(x);
    gal_native_error_place(&n->errors.at[0], place, sizeof(place));
    gal_fail(err, GAL_INVALID, "%s", n->errors.at[0].message);
    gal_err_place(err, "%s", place);
    return GAL_INVALID;
}

static enum gal_status decode_rows(struct gal_exchange *x, struct gal_mlflow *in,
                                   struct gal_infer *inf, struct gal_err *err)
{
    struct gal_native *n = &in->rows;
    enum gal_status st;

    if (n->rows > x->api->options->instances_max)
        return gal_fail(err, GAL_INVALID, "%zu rows; a request may have %zu (max_instances)",
                        n->rows, x->api->options->instances_max);
    st = gal_native_decode(x->model, n, &x->arena, inf->inputs, err);
    return st == GAL_INVALID && n->errors.count > 0 ? fail_fields(x, n, err) : st;
}

enum gal_status gal_mlflow_decode(struct gal_exchange *x, struct gal_mlflow *in,
                                  struct gal_infer *inf, struct gal_err *err)
{
    enum gal_status st = GAL_OK;

    gal_err_clear(err);
    if (in->inputs != NULL && are_features(x->model, in->inputs)) {
        st = turn_columns(in, &x->arena, err);
        in->inputs = NULL;
    }
    if (st == GAL_OK && in->inputs != NULL)
        st = set_whole(x, in, inf, err);
    else if (st == GAL_OK)
        st = decode_rows(x, in, inf, err);
    if (st == GAL_OK && in->params != NULL)
        st = set_named(x, inf, in->params, "params", "the model takes no parameter", err);
    return st;
}
