/* SPDX-License-Identifier: Apache-2.0 */
/* golden.json, there and back. */
#include "package/golden.h"

#include "base/limits.h"
#include "codec/tensor_json.h"

#include <stdio.h>

#define DEPTH_MAX 40u

/* --- reading --- */

struct reader {
    struct gal_arena *arena;
    const char *path;
    struct gal_err *err;
    double rtol, atol; /* of cases that bring none */
};

/* "golden.json: cases[3].outputs[0]" before what place says already. */
__attribute__((format(printf, 3, 4))) static enum gal_status
at(struct reader *r, enum gal_status status, const char *format, ...)
{
    char where[128], inner[sizeof r->err->place];
    va_list args;

    if (!r->err)
        return status;
    memcpy(inner, r->err->place, sizeof inner);
    va_start(args, format);
    vsnprintf(where, sizeof where, format, args);
    va_end(args);
    gal_err_place(r->err, "%s: %s%s", r->path, where, inner);
    return status;
}

static enum gal_status no_memory(struct reader *r)
{
    return gal_arena_fail(r->arena, 0, "golden cases", r->err);
}

static bool all_known(yyjson_val *object, const char *const *keys, size_t count, const char **odd)
{
    yyjson_val *key, *value;
    size_t i, n;

    yyjson_obj_foreach(object, i, n, key, value)
    {
        size_t k = 0;
        while (k < count && strcmp(keys[k], yyjson_get_str(key)) != 0)
            k++;
        if (k == count) {
            *odd = yyjson_get_str(key);
            return false;
        }
    }
    return true;
}

static enum gal_status read_shape(struct reader *r, yyjson_val *v, struct gal_tensor *t)
{
    yyjson_val *item;
    size_t i, n;
    int64_t *shape;

    if (!yyjson_is_arr(v) || yyjson_arr_size(v) > GAL_RANK_MAX)
        return gal_fail(r->err, GAL_INVALID, "shape is to be an array of at most %u sizes",
                        GAL_RANK_MAX);
    shape = gal_arena_array(r->arena, yyjson_arr_size(v) + 1, sizeof *shape);
    if (!shape)
        return no_memory(r);
    yyjson_arr_foreach(v, i, n, item)
    {
        if (!yyjson_is_uint(item) || yyjson_get_uint(item) > INT64_MAX)
            return gal_fail(r->err, GAL_INVALID, "shape[%zu] is to be a whole number from 0", i);
        shape[i] = (int64_t)yyjson_get_uint(item);
    }
    t->rank = yyjson_arr_size(v);
    t->shape = shape;
    return gal_shape_count(t->shape, t->rank, t->dtype, &t->count, r->err);
}

static enum gal_status read_tensor(struct reader *r, yyjson_val *v, struct gal_value *out)
{
    static const char *const keys[] = {"name", "datatype", "shape", "data"};
    struct gal_tensor *t = &out->tensor;
    yyjson_val *name, *datatype;
    const char *odd = NULL;

    *out = (struct gal_value){.kind = GAL_KIND_TENSOR};
    if (!yyjson_is_obj(v))
        return gal_fail(r->err, GAL_INVALID, "a tensor is to be an object, got %s",
                        gal_json_type_name(v));
    if (!all_known(v, keys, sizeof keys / sizeof *keys, &odd))
        return gal_fail(r->err, GAL_INVALID,
                        "unknown key '%.64s'; a tensor has name, datatype, shape and data", odd);
    name = yyjson_obj_get(v, "name");
    datatype = yyjson_obj_get(v, "datatype");
    if (!yyjson_is_str(name) || !yyjson_is_str(datatype))
        return gal_fail(r->err, GAL_INVALID, "name and datatype are to be text");
    t->name = (struct gal_str){
        gal_arena_strdup(r->arena, (struct gal_str){yyjson_get_str(name), yyjson_get_len(name)}),
        yyjson_get_len(name)};
    if (!t->name.p)
        return no_memory(r);
    t->dtype =
        gal_dtype_parse((struct gal_str){yyjson_get_str(datatype), yyjson_get_len(datatype)});
    if (t->dtype == GAL_DT_NONE)
        return gal_fail(r->err, GAL_INVALID, "unknown datatype '%.32s'", yyjson_get_str(datatype));
    enum gal_status status = read_shape(r, yyjson_obj_get(v, "shape"), t);
    if (status)
        return status;
    if (!yyjson_is_arr(yyjson_obj_get(v, "data")))
        return gal_fail(r->err, GAL_INVALID, "data is to be an array");
    return gal_tensor_from_json(yyjson_obj_get(v, "data"), t, ".data", r->arena, r->err);
}

static enum gal_status read_tensors(struct reader *r, size_t index, yyjson_val *c, const char *key,
                                    const struct gal_value **out, size_t *count)
{
    yyjson_val *list = yyjson_obj_get(c, key), *item;
    struct gal_value *values;
    size_t i, n;

    if (!yyjson_is_arr(list) || yyjson_arr_size(list) == 0) {
        gal_fail(r->err, GAL_INVALID, "a case needs %s: an array of tensors", key);
        return at(r, GAL_INVALID, "cases[%zu].%s", index, key);
    }
    values = gal_arena_array(r->arena, yyjson_arr_size(list), sizeof *values);
    if (!values)
        return no_memory(r);
    yyjson_arr_foreach(list, i, n, item)
    {
        enum gal_status status = read_tensor(r, item, &values[i]);
        if (status)
            return at(r, status, "cases[%zu].%s[%zu]", index, key, i);
    }
    *out = values;
    *count = yyjson_arr_size(list);
    return GAL_OK;
}

static enum gal_status read_tolerance(struct reader *r, size_t index, yyjson_val *c,
                                      const char *key, double untold, double *out)
{
    yyjson_val *v = yyjson_obj_get(c, key);

    *out = v ? yyjson_get_num(v) : untold;
    if (!v || (yyjson_is_num(v) && *out >= 0))
        return GAL_OK;
    gal_fail(r->err, GAL_INVALID, "%s is to be a number from 0", key);
    return at(r, GAL_INVALID, "cases[%zu].%s", index, key);
}

static enum gal_status read_case(struct reader *r, size_t index, yyjson_val *c,
                                 struct gal_golden_case *out)
{
    static const char *const keys[] = {"name", "inputs", "outputs", "rtol", "atol"};
    yyjson_val *name = yyjson_obj_get(c, "name");
    const char *odd = NULL;
    enum gal_status status = GAL_OK;

    *out = (struct gal_golden_case){.name = {NULL, 0}};
    if (!yyjson_is_obj(c) || (name && !yyjson_is_str(name)))
        status = gal_fail(r->err, GAL_INVALID, "a case is to be an object, its name text");
    else if (!all_known(c, keys, sizeof keys / sizeof *keys, &odd))
        status =
            gal_fail(r->err, GAL_INVALID,
                     "unknown key '%.64s'; a case has name, inputs, outputs, rtol and atol", odd);
    if (status)
        return at(r, status, "cases[%zu]", index);
    const char *text = name ? gal_arena_strdup(r->arena, (struct gal_str){yyjson_get_str(name),
                                                                          yyjson_get_len(name)})
                            : gal_arena_printf(r->arena, "case %zu", index);
    if (!text)
        return no_memory(r);
    out->name = gal_str_of(text);
    status = read_tolerance(r, index, c, "rtol", r->rtol, &out->rtol);
    if (!status)
        status = read_tolerance(r, index, c, "atol", r->atol, &out->atol);
    if (!status)
        status = read_tensors(r, index, c, "inputs", &out->inputs, &out->input_count);
    if (!status)
        status = read_tensors(r, index, c, "outputs", &out->outputs, &out->output_count);
    return status;
}

enum gal_status gal_golden_read(struct gal_str json, const char *path, double rtol, double atol,
                                struct gal_arena *arena, struct gal_golden **out,
                                struct gal_err *err)
{
    struct reader r = {arena, path, err, rtol, atol};
    yyjson_val *root, *cases, *item;
    struct gal_golden_case *list;
    const char *odd = NULL;
    static const char *const keys[] = {"cases"};
    size_t i, n;

    *out = NULL;
    enum gal_status status = gal_json_read(json, arena, DEPTH_MAX, &root, err);
    if (status) {
        char place[sizeof err->place];
        if (err) {
            memcpy(place, err->place, sizeof place);
            gal_err_place(err, "%s%s%s", path, place[0] ? ":" : "", place);
        }
        return status;
    }
    cases = yyjson_obj_get(root, "cases");
    if (!yyjson_is_arr(cases))
        gal_fail(err, GAL_INVALID, "golden cases are {\"cases\": [...]}");
    else if (!all_known(root, keys, 1, &odd))
        gal_fail(err, GAL_INVALID, "unknown key '%.64s'; there is only cases", odd);
    if (!yyjson_is_arr(cases) || odd)
        return at(&r, GAL_INVALID, "%s", "cases");
    struct gal_golden *g = gal_arena_small(arena, sizeof *g);
    list = gal_arena_array(arena, yyjson_arr_size(cases) + 1, sizeof *list);
    if (!g || !list)
        return no_memory(&r);
    *g = (struct gal_golden){list, yyjson_arr_size(cases)};
    yyjson_arr_foreach(cases, i, n, item)
    {
        status = read_case(&r, i, item, &list[i]);
        if (status)
            return status;
    }
    *out = g;
    return GAL_OK;
}

/* --- writing --- */

static enum gal_status put_tensors(struct gal_buf *out, const char *key,
                                   const struct gal_value *values, size_t count,
                                   struct gal_err *err)
{
    enum gal_status status = GAL_OK;

    gal_buf_printf(out, ",\n   \"%s\": [", key);
    for (size_t i = 0; !status && i < count; i++) {
        const struct gal_tensor *t = &values[i].tensor;
        if (values[i].kind != GAL_KIND_TENSOR)
            return gal_fail(err, GAL_UNSUPPORTED,
                            "%.*s is no tensor: sequences and maps cannot be golden; the step "
                            "`unzip` makes a tensor of them",
                            GAL_STR_SHOWN(t->name));
        gal_buf_puts(out, i ? ",\n    {\"name\": " : "\n    {\"name\": ");
        gal_json_put_str(out, t->name);
        gal_buf_printf(out, ", \"datatype\": \"%s\", \"shape\": [", gal_dtype_name(t->dtype));
        for (size_t d = 0; d < t->rank; d++) {
            gal_buf_puts(out, d ? ", " : "");
            gal_buf_put_i64(out, t->shape[d]);
        }
        gal_buf_puts(out, "], \"data\": ");
        status = gal_tensor_to_json(t, false, out, err);
        gal_buf_putc(out, '}');
    }
    gal_buf_puts(out, "]");
    return status;
}

enum gal_status gal_golden_write(struct gal_buf *out, const struct gal_golden *g,
                                 struct gal_err *err)
{
    enum gal_status status = GAL_OK;

    gal_buf_puts(out, "{\"cases\": [");
    for (size_t i = 0; !status && i < g->case_count; i++) {
        const struct gal_golden_case *c = &g->cases[i];
        gal_buf_puts(out, i ? ",\n  {\"name\": " : "\n  {\"name\": ");
        gal_json_put_str(out, c->name);
        gal_buf_puts(out, ", \"rtol\": ");
        gal_json_put_f64(out, c->rtol);
        gal_buf_puts(out, ", \"atol\": ");
        gal_json_put_f64(out, c->atol);
        status = put_tensors(out, "inputs", c->inputs, c->input_count, err);
        if (!status)
            status = put_tensors(out, "outputs", c->outputs, c->output_count, err);
        gal_buf_putc(out, '}');
    }
    gal_buf_puts(out, "\n]}\n");
    if (!status && out->failed)
        status = gal_fail(err, GAL_TOO_LARGE, "the golden cases are too large to be written");
    return status;
}
