/* SPDX-License-Identifier: Apache-2.0 */
/* Golden cases of `galley init`: those of a framework are held against the converted model; rows
 * that a user gives are run through the model and recorded. A draft has no steps but `unzip`, so
 * that features are the model's inputs, or the elements of its only one. */
#include "backend/onnx.h"
#include "base/file_write.h"
#include "base/limits.h"
#include "cli/init.h"
#include "codec/tensor_json.h"
#include "package/golden.h"
#include "text/json.h"

#include <math.h>

#define GOLDEN "golden.json"
#define ROWS_MAX 10000u

/* --- from features to inputs --- */

static size_t width_of(const struct gal_tensor *t, size_t rows)
{
    return rows ? t->count / rows : 0;
}

/* The column under the port's shape. */
static struct gal_tensor as_port(const struct gal_tensor *column, const struct gal_port *p)
{
    struct gal_tensor t = *column;

    t.name = p->name;
    if (p->rank == 1 && t.rank == 2)
        t.rank = 1;
    return t;
}

/* All columns side by side: [rows, n]. */
static enum gal_status assemble(const struct gal_value *columns, size_t count,
                                const struct gal_port *p, struct gal_arena *arena,
                                struct gal_tensor *out, struct gal_err *err)
{
    size_t size = gal_dtype_size(p->dtype), rows = count ? (size_t)columns[0].tensor.shape[0] : 0;
    int64_t *shape = gal_arena_array(arena, 2, sizeof(*shape));
    char *data = gal_arena_array(arena, rows * count + 1, size ? size : 1);

    if (!shape || !data)
        return gal_arena_fail(arena, rows * count * size, "the model's input", err);
    for (size_t c = 0; c < count; c++) {
        const struct gal_tensor *t = &columns[c].tensor;
        if (t->dtype != p->dtype || width_of(t, rows) != 1 || (size_t)t->shape[0] != rows)
            return gal_fail(err, GAL_INVALID, "%.*s is no column of %s", GAL_STR_ARG(t->name),
                            p->name.p);
        for (size_t r = 0; r < rows; r++)
            memcpy(data + (r * count + c) * size, (const char *)t->data + r * size, size);
    }
    shape[0] = (int64_t)rows;
    shape[1] = (int64_t)count;
    *out = (struct gal_tensor){.name = p->name,
                               .dtype = p->dtype,
                               .rank = 2,
                               .shape = shape,
                               .count = rows * count,
                               .data = data};
    return GAL_OK;
}

static const struct gal_tensor *find_column(const struct gal_value *columns, size_t count,
                                            struct gal_str name)
{
    for (size_t i = 0; i < count; i++) {
        if (gal_str_eq(columns[i].tensor.name, name))
            return &columns[i].tensor;
    }
    return NULL;
}

/* Values for all inputs, in the order of the model's. */
static enum gal_status bind(const struct gal_model_info *info, const struct gal_value *columns,
                            size_t count, struct gal_arena *arena, struct gal_value **out,
                            struct gal_err *err)
{
    struct gal_value *v = gal_arena_array(arena, info->input_count + 1, sizeof(*v));
    enum gal_status status = GAL_OK;

    if (!v)
        return gal_arena_fail(arena, 0, "the model's inputs", err);
    for (size_t i = 0; i < info->input_count && status == GAL_OK; i++) {
        const struct gal_port *p = &info->inputs[i];
        const struct gal_tensor *column = find_column(columns, count, p->name);
        v[i] = (struct gal_value){.kind = GAL_KIND_TENSOR};
        if (column)
            v[i].tensor = as_port(column, p);
        else if (info->input_count == 1)
            status = assemble(columns, count, p, arena, &v[i].tensor, err);
        else
            status = gal_fail(err, GAL_INVALID, "there is no value for the input %s", p->name.p);
    }
    *out = v;
    return status;
}

/* --- a framework's cases --- */

enum gal_status gal_init_prove(struct gal_init *in, struct gal_session *session,
                               struct gal_err *err)
{
    const struct gal_model_info *info = gal_backend_onnx.info(session);
    const char *path = gal_init_path(in, in->work, "out/" GOLDEN);
    struct gal_golden *golden = NULL;
    struct gal_golden_case *bound;
    struct gal_proof proof = {0};
    struct gal_buf text;
    double worst = 0;
    enum gal_status status = gal_file_read(path, GAL_INIT_JSON_BYTES_MAX, &text, err);

    if (status != GAL_OK)
        return status;
    status = gal_golden_read(gal_init_copy(in, text.p, text.n), GOLDEN, in->draft.rtol,
                             in->draft.atol, &in->arena, &golden, err);
    gal_buf_release(&text);
    if (status != GAL_OK)
        return status;
    bound = (struct gal_golden_case *)(uintptr_t)golden->cases; /* the arena's, made just now */
    for (size_t i = 0; i < golden->case_count && status == GAL_OK; i++) {
        struct gal_value *inputs = NULL;
        status = bind(info, bound[i].inputs, bound[i].input_count, &in->arena, &inputs, err);
        bound[i].inputs = inputs;
        bound[i].input_count = info->input_count;
    }
    if (status == GAL_OK)
        status = gal_golden_prove(golden, &gal_backend_onnx, session, &in->arena, &proof, err);
    if (status != GAL_OK) {
        gal_err_hint(err, "the converted model does not answer as the framework does: nothing was "
                          "written. --rtol and --atol say what is near enough");
        return status;
    }
    for (size_t i = 0; i < proof.output_count; i++)
        worst = proof.outputs[i].abs_max > worst ? proof.outputs[i].abs_max : worst;
    gal_init_note(in, gal_arena_printf(&in->arena,
                                       "the converted model answers as the framework does: %s; "
                                       "the largest difference is %.2g",
                                       in->draft.golden_note, worst));
    return GAL_OK;
}

/* --- rows of a user's --- */

/* Rows in one of the forms that people have: objects, lists with or without names beside them. */
struct rows {
    yyjson_val *list;    /* array: of a row each */
    yyjson_val *columns; /* array of texts: names of a row's elements; NULL: none */
    yyjson_val *by_name; /* object of columns, in the place of rows; else NULL */
    size_t count;
};

static bool find_rows(yyjson_val *root, struct rows *out)
{
    static const char *const wraps[] = {"dataframe_split", "instances", "dataframe_records", "rows",
                                        "inputs"};

    *out = (struct rows){0};
    for (size_t i = 0; i < sizeof(wraps) / sizeof(wraps[0]) && yyjson_is_obj(root); i++) {
        yyjson_val *inner = yyjson_obj_get(root, wraps[i]);
        root = inner ? inner : root;
    }
    if (yyjson_is_obj(root) && yyjson_is_arr(yyjson_obj_get(root, "data"))) {
        out->columns = yyjson_obj_get(root, "columns");
        out->columns = yyjson_is_arr(out->columns) ? out->columns : NULL;
        root = yyjson_obj_get(root, "data");
    }
    if (yyjson_is_obj(root)) {
        yyjson_val *key;
        yyjson_obj_iter it;
        if (!yyjson_obj_iter_init(root, &it) || !(key = yyjson_obj_iter_next(&it)))
            return false;
        out->by_name = root;
        out->count = yyjson_arr_size(yyjson_obj_iter_get_val(key));
    } else {
        out->list = root;
        out->count = yyjson_arr_size(root);
    }
    return out->count > 0 && out->count <= ROWS_MAX;
}

/* The value of feature f in a row; NULL: it has none. */
static yyjson_val *cell(const struct rows *r, size_t row, struct gal_str name, size_t index,
                        size_t features)
{
    yyjson_val *v, *column;
    size_t i, n;

    if (r->by_name)
        return yyjson_arr_get(yyjson_obj_getn(r->by_name, name.p, name.n), row);
    v = yyjson_arr_get(r->list, row);
    if (yyjson_is_obj(v))
        return yyjson_obj_getn(v, name.p, name.n);
    if (r->columns && yyjson_is_arr(v)) {
        yyjson_arr_foreach(r->columns, i, n, column)
        {
            if (yyjson_equals_strn(column, name.p, name.n))
                return yyjson_arr_get(v, i);
        }
    }
    if (r->columns && features > 1)
        return NULL;
    return features == 1 ? v : yyjson_is_arr(v) ? yyjson_arr_get(v, index) : NULL;
}

/* One scalar, or the scalars of a nested array, behind *at. */
static enum gal_status put_cells(yyjson_val *v, unsigned depth, struct gal_tensor *t, size_t *at,
                                 struct gal_arena *arena, struct gal_err *err)
{
    enum gal_status status = GAL_OK;
    yyjson_val *item;
    size_t i, n;

    if (!yyjson_is_arr(v)) {
        if (*at >= t->count)
            return gal_fail(err, GAL_INVALID, "there are more values than the shape has places");
        if (yyjson_is_null(v) && t->dtype == GAL_DT_FP32) {
            ((float *)(uintptr_t)t->data)[(*at)++] = NAN;
            return GAL_OK;
        }
        return gal_element_from_json(v, t->dtype, (void *)(uintptr_t)t->data, (*at)++, arena, err);
    }
    if (depth == 0)
        return gal_fail(err, GAL_INVALID, "the values are nested too deeply");
    yyjson_arr_foreach(v, i, n, item)
    {
        if (status == GAL_OK)
            status = put_cells(item, depth - 1, t, at, arena, err);
    }
    return status;
}

/* A column's tensor of the feature's type, empty. */
static enum gal_status make_column(struct gal_init *in, const struct gal_model_info *info,
                                   const struct gal_draft_feature *f, size_t rows,
                                   struct gal_tensor *t, struct gal_err *err)
{
    size_t port = gal_port_find(info->inputs, info->input_count, f->name);
    size_t rank = f->rank ? f->rank + 1 : 2;
    int64_t *shape = gal_arena_array(&in->arena, rank, sizeof(*shape));
    enum gal_status status;

    if (!shape)
        return gal_arena_fail(&in->arena, rank, "a column", err);
    *t = (struct gal_tensor){.name = f->name,
                             .dtype = info->inputs[port == SIZE_MAX ? 0 : port].dtype,
                             .rank = rank,
                             .shape = shape};
    shape[0] = (int64_t)rows;
    shape[1] = 1;
    for (size_t i = 0; i < f->rank; i++) {
        if (f->shape[i] < 0)
            return gal_fail(err, GAL_UNSUPPORTED,
                            "%.*s has open sizes: record its golden cases by `galley record`",
                            GAL_STR_ARG(f->name));
        shape[i + 1] = f->shape[i];
    }
    status = gal_shape_count(shape, rank, t->dtype, &t->count, err);
    if (status == GAL_OK)
        t->data = gal_arena_array(&in->arena, t->count + 1, gal_dtype_size(t->dtype));
    return status != GAL_OK || t->data ? status
                                       : gal_arena_fail(&in->arena, t->count, "a column", err);
}

static enum gal_status read_column(struct gal_init *in, const struct rows *r, size_t index,
                                   struct gal_tensor *t, struct gal_err *err)
{
    size_t at = 0, width = t->count / r->count;

    for (size_t row = 0; row < r->count; row++) {
        yyjson_val *v = cell(r, row, t->name, index, in->draft.feature_count);
        enum gal_status status = v ? put_cells(v, GAL_RANK_MAX, t, &at, &in->arena, err)
                                   : gal_fail(err, GAL_INVALID, "there is no such value");
        if (status == GAL_OK && at != (row + 1) * width)
            status = gal_fail(err, GAL_INVALID, "%.*s has %zu values in place of %zu",
                              GAL_STR_ARG(t->name), at - row * width, width);
        if (status != GAL_OK) {
            gal_err_place(err, "%s: row %zu: %.*s", gal_path_base(in->rows), row,
                          GAL_STR_ARG(t->name));
            return status;
        }
    }
    return GAL_OK;
}

static enum gal_status read_columns(struct gal_init *in, const struct gal_model_info *info,
                                    struct gal_value **out, struct gal_err *err)
{
    size_t count = in->draft.feature_count;
    struct gal_value *columns = gal_arena_array(&in->arena, count + 1, sizeof(*columns));
    struct gal_buf text;
    yyjson_val *root;
    struct rows r;
    enum gal_status status = gal_file_read(in->rows, GAL_INIT_JSON_BYTES_MAX, &text, err);

    if (status != GAL_OK)
        return status;
    status = gal_json_read(gal_init_copy(in, text.p, text.n), &in->arena, GAL_JSON_DEPTH_MAX, &root,
                           err);
    gal_buf_release(&text);
    if (status == GAL_OK && !columns)
        status = gal_arena_fail(&in->arena, count, "columns", err);
    if (status == GAL_OK && !find_rows(root, &r))
        status = gal_fail(err, GAL_INVALID,
                          "there are no rows, or more than %u: [[1, 2], [3, 4]] or [{\"a\": 1}]",
                          ROWS_MAX);
    for (size_t i = 0; i < count && status == GAL_OK; i++) {
        columns[i] = (struct gal_value){.kind = GAL_KIND_TENSOR};
        status = make_column(in, info, &in->draft.features[i], r.count, &columns[i].tensor, err);
        if (status == GAL_OK)
            status = read_column(in, &r, i, &columns[i].tensor, err);
    }
    if (status != GAL_OK && err && err->place[0] == '\0')
        gal_err_place(err, "%s", in->rows);
    *out = columns;
    return status;
}

static enum gal_status write_case(struct gal_init *in, const struct gal_golden_case *c,
                                  struct gal_err *err)
{
    struct gal_golden golden = {.cases = c, .case_count = 1};
    const char *path;
    struct gal_buf json;
    enum gal_status status = in->work ? GAL_OK : gal_dir_make_temporary("init", &in->work, err);

    gal_buf_init(&json, GAL_INIT_JSON_BYTES_MAX);
    path = status == GAL_OK ? gal_init_path(in, in->work, GOLDEN) : NULL;
    if (status == GAL_OK)
        status = gal_golden_write(&json, &golden, err);
    if (status == GAL_OK)
        status = gal_init_write(path, gal_buf_str(&json), err);
    if (status == GAL_OK)
        status = gal_init_add(in, path, GAL_STR(GOLDEN), err);
    gal_buf_release(&json);
    return status;
}

static enum gal_status run_and_write(struct gal_init *in, struct gal_session *session,
                                     const struct gal_value *columns, struct gal_err *err)
{
    const struct gal_model_info *info = gal_backend_onnx.info(session);
    size_t *wanted = gal_arena_array(&in->arena, info->output_count + 1, sizeof(*wanted)), n = 0;
    struct gal_value *outputs =
        gal_arena_array(&in->arena, info->output_count + 1, sizeof(*outputs));
    struct gal_value *inputs = NULL;
    struct gal_golden_case c = {.name = GAL_STR("recorded from the model"),
                                .inputs = columns,
                                .input_count = in->draft.feature_count,
                                .rtol = in->draft.rtol,
                                .atol = in->draft.atol};
    enum gal_status status;

    if (!wanted || !outputs)
        return gal_arena_fail(&in->arena, info->output_count, "outputs", err);
    for (size_t i = 0; i < info->output_count; i++) {
        if (info->outputs[i].kind == GAL_KIND_TENSOR)
            wanted[n++] = i;
        else
            gal_init_note(in, gal_arena_printf(&in->arena,
                                               "note: %s is no tensor and stands in no golden case",
                                               info->outputs[i].name.p));
    }
    status = bind(info, columns, in->draft.feature_count, &in->arena, &inputs, err);
    if (status == GAL_OK)
        status = gal_backend_onnx.run(session, inputs, wanted, n, &in->arena, outputs, err);
    if (status != GAL_OK)
        return status;
    c.outputs = outputs;
    c.output_count = n;
    status = write_case(in, &c, err);
    for (size_t i = 0; i < n; i++)
        gal_backend_onnx.release_output(session, &outputs[i]);
    return status;
}

enum gal_status gal_init_record(struct gal_init *in, struct gal_session *session,
                                struct gal_err *err)
{
    struct gal_value *columns = NULL;
    enum gal_status status;

    if (in->draft.feature_count == 0) {
        gal_fail(err, GAL_UNSUPPORTED, "golden cases need features, and there are none: %s",
                 in->draft.no_features ? in->draft.no_features : "the model has no inputs");
        gal_err_place(err, "%s", in->rows);
        return GAL_UNSUPPORTED;
    }
    in->draft.rtol = 1e-5;
    in->draft.atol = 1e-6;
    status = read_columns(in, gal_backend_onnx.info(session), &columns, err);
    if (status == GAL_OK)
        status = run_and_write(in, session, columns, err);
    if (status != GAL_OK)
        return status;
    in->draft.golden_file = GAL_STR(GOLDEN);
    in->draft.golden_note = gal_arena_printf(
        &in->arena, "recorded from this model with the rows of %s", gal_path_base(in->rows));
    gal_init_note(in, "note: the golden cases are the model's own answers: they show that it stays "
                      "as it is, not that it is as it was trained");
    return GAL_OK;
}
