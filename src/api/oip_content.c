/* SPDX-License-Identifier: Apache-2.0 */
/* MLServer's content types: what a client has packed becomes what the model takes. */
#include "api/oip_content.h"

#include "base/base64.h"

#include "api/native.h"
#include "api/oip.h"
#include "codec/tensor_json.h"

#include <math.h>

enum content { PLAIN, NUMPY, TEXT, BASE64, DATETIME, PANDAS };

static enum content parse(struct gal_str type)
{
    static const char *const names[] = {"np", "str", "base64", "datetime", "pd"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (gal_str_is(type, names[i]))
            return (enum content)(NUMPY + i);
    return PLAIN;
}

enum gal_status gal_oip_note_content(struct gal_oip_request *req, struct gal_str type,
                                     size_t inputs_max, struct gal_arena *arena,
                                     struct gal_err *err)
{
    size_t bytes = inputs_max * sizeof(*req->content_types);

    if (req->content_types == NULL) {
        req->content_types = gal_arena_small(arena, bytes);
        if (req->content_types == NULL)
            return gal_fail(err, GAL_NO_MEMORY, "no memory for content types");
        memset(req->content_types, 0, bytes);
    }
    req->content_types[req->input_count] = type;
    return GAL_OK;
}

enum gal_status gal_oip_check_output_content(struct gal_str type, struct gal_err *err)
{
    if (gal_str_is(type, "np") || gal_str_is(type, "str"))
        return GAL_OK;
    return gal_fail(err, GAL_UNSUPPORTED, "outputs have the content types np and str");
}

struct gal_str gal_oip_output_content(enum gal_dtype dtype)
{
    return dtype == GAL_DT_BYTES ? GAL_STR("str") : GAL_STR("np");
}

bool gal_oip_has_content(const struct gal_oip_request *req)
{
    return req->content_type.p != NULL || req->content_types != NULL;
}

/* --- one input --- */

/* Its own type, else the request's. */
static enum gal_status find_content(const struct gal_oip_request *req, size_t i, enum content *out,
                                    struct gal_err *err)
{
    struct gal_str own = {NULL, 0};

    if (req->content_types != NULL)
        own = req->content_types[i];
    *out = parse(own.p != NULL ? own : req->content_type);
    if (own.p == NULL && *out == PANDAS)
        *out = PLAIN; /* its columns need no type of their own */
    if (own.p == NULL || (*out != PLAIN && *out != PANDAS))
        return GAL_OK;
    return gal_fail(err, GAL_INVALID,
                    "unknown content type '%.*s' of an input; there are np, str, base64 and "
                    "datetime",
                    GAL_STR_SHOWN(own));
}

static enum gal_status fail_element(size_t i, const char *expected, struct gal_str got,
                                    struct gal_err *err)
{
    gal_fail(err, GAL_INVALID, "expected %s, got '%.*s'", expected, GAL_STR_SHOWN(got));
    if (err != NULL)
        gal_err_place(err, "data[%zu]", i);
    return GAL_INVALID;
}

static enum gal_status check_utf8(const struct gal_tensor *t, struct gal_err *err)
{
    const struct gal_str *v = t->data;

    for (size_t i = 0; i < t->count; i++) {
        if (gal_utf8_valid(v[i]))
            continue;
        gal_fail(err, GAL_INVALID, "content type str: the element is not UTF-8");
        if (err != NULL)
            gal_err_place(err, "data[%zu]", i);
        return GAL_INVALID;
    }
    return GAL_OK;
}

static enum gal_status decode_base64(struct gal_tensor *t, struct gal_arena *arena,
                                     struct gal_err *err)
{
    const struct gal_str *from = t->data;
    struct gal_str *to = gal_arena_array(arena, t->count, sizeof(*to));

    if (to == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for input '%.*s'", GAL_STR_SHOWN(t->name));
    for (size_t i = 0; i < t->count; i++) {
        enum gal_status st = gal_base64_decode(from[i], arena, &to[i], NULL);

        if (st == GAL_INVALID)
            return fail_element(i, "base64", from[i], err);
        if (st != GAL_OK)
            return gal_fail(err, st, "no memory for input '%.*s'", GAL_STR_SHOWN(t->name));
    }
    t->data = to;
    return GAL_OK;
}

/* As what the model takes time: INT64 nanoseconds, FP64 and FP32 seconds since 1970, BYTES text. */
static enum gal_status decode_datetime(struct gal_tensor *t, enum gal_dtype wanted,
                                       struct gal_arena *arena, struct gal_err *err)
{
    const struct gal_str *from = t->data;
    enum gal_dtype dtype = wanted;
    char *to = gal_arena_array(arena, t->count, 8);

    if (to == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for input '%.*s'", GAL_STR_SHOWN(t->name));
    if (dtype != GAL_DT_INT64 && dtype != GAL_DT_FP64 && dtype != GAL_DT_FP32 &&
        dtype != GAL_DT_BYTES)
        return gal_fail(err, GAL_INVALID,
                        "content type datetime is for inputs of INT64, FP64, FP32 or BYTES; '%.*s' "
                        "is %s",
                        GAL_STR_SHOWN(t->name), gal_dtype_name(wanted));
    for (size_t i = 0; i < t->count; i++) {
        int64_t ns;

        if (gal_datetime_parse(from[i], &ns) != GAL_OK)
            return fail_element(i, "a date and time as in 2024-01-15T14:23:41+00:00", from[i], err);
        if (dtype == GAL_DT_INT64)
            ((int64_t *)(void *)to)[i] = ns;
        else if (dtype == GAL_DT_FP64)
            ((double *)(void *)to)[i] = (double)ns / 1e9;
        else if (dtype == GAL_DT_FP32)
            ((float *)(void *)to)[i] = (float)((double)ns / 1e9);
    }
    if (dtype == GAL_DT_BYTES)
        return GAL_OK;
    t->data = to;
    t->dtype = dtype;
    return GAL_OK;
}

static enum gal_status decode(struct gal_tensor *t, enum content content, enum gal_dtype wanted,
                              struct gal_arena *arena, struct gal_err *err)
{
    if (content == PLAIN || content == NUMPY)
        return GAL_OK;
    if (t->dtype != GAL_DT_BYTES)
        return gal_fail(err, GAL_INVALID, "content type %s is for datatype BYTES, got %s",
                        content == TEXT     ? "str"
                        : content == BASE64 ? "base64"
                                            : "datetime",
                        gal_dtype_name(t->dtype));
    if (content == TEXT)
        return check_utf8(t, err);
    return content == BASE64 ? decode_base64(t, arena, err)
                             : decode_datetime(t, wanted, arena, err);
}

/* --- shapes and datatypes --- */

/* [n] and [n,1] are one: codecs write a list as either. */
static enum gal_status fit_rank(struct gal_tensor *t, const struct gal_port *port,
                                struct gal_arena *arena, struct gal_err *err)
{
    int64_t *shape;

    if (!port->shape_known || t->rank == 0)
        return GAL_OK;
    if (t->rank == 2 && port->rank == 1 && t->shape[1] == 1) {
        t->rank = 1;
        return GAL_OK;
    }
    if (t->rank != 1 || port->rank != 2)
        return GAL_OK;
    shape = gal_arena_small(arena, 2 * sizeof(*shape));
    if (shape == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a shape");
    shape[0] = t->shape[0];
    shape[1] = 1;
    t->shape = shape;
    t->rank = 2;
    return GAL_OK;
}

/* One element as JSON has it: what a number may become is decided in one place. */
static void to_json(const struct gal_tensor *t, size_t i, yyjson_val *v)
{
    const char *at = (const char *)t->data + i * gal_dtype_size(t->dtype);
    size_t size = gal_dtype_size(t->dtype);
    double d = 0;
    uint64_t bits = 0;
    uint16_t half = 0;
    float f = 0;

    memset(v, 0, sizeof(*v));
    memcpy(&bits, at, size <= sizeof(bits) ? size : 0);
    memcpy(&half, at, sizeof(half) <= size ? sizeof(half) : 0);
    memcpy(&f, at, sizeof(f) <= size ? sizeof(f) : 0);
    if (t->dtype == GAL_DT_BOOL) {
        unsafe_yyjson_set_uint(v, bits);
        return;
    }
    if (gal_dtype_is_int(t->dtype)) {
        bool is_signed = t->dtype >= GAL_DT_INT8 && t->dtype <= GAL_DT_INT64;
        unsigned spare = 64 - 8 * (unsigned)size;
        int64_t n = (int64_t)(bits << spare) >> spare;

        if (is_signed && n < 0)
            unsafe_yyjson_set_sint(v, n);
        else
            unsafe_yyjson_set_uint(v, bits);
        return;
    }
    memcpy(&d, at, t->dtype == GAL_DT_FP64 ? sizeof(d) : 0);
    if (t->dtype == GAL_DT_FP32)
        d = (double)f;
    else if (t->dtype == GAL_DT_FP16)
        d = (double)gal_fp16_to_fp32(half);
    else if (t->dtype == GAL_DT_BF16)
        d = (double)gal_bf16_to_fp32(half);
    if (isnan(d))
        unsafe_yyjson_set_str(v, "NaN");
    else if (isinf(d))
        unsafe_yyjson_set_str(v, d > 0 ? "Infinity" : "-Infinity");
    else
        unsafe_yyjson_set_real(v, d);
}

/* Element i of t into element `to` of data, which is of another datatype, maybe. */
static enum gal_status put_element(const struct gal_tensor *t, size_t i, enum gal_dtype dtype,
                                   void *data, size_t to, struct gal_arena *arena,
                                   struct gal_err *err)
{
    size_t size = gal_dtype_size(dtype);
    enum gal_status st;
    yyjson_val v;

    if (t->dtype == dtype) {
        memcpy((char *)data + to * size, (const char *)t->data + i * size, size);
        return GAL_OK;
    }
    if (t->dtype == GAL_DT_BYTES || dtype == GAL_DT_BYTES)
        return gal_fail(err, GAL_INVALID, "column '%.*s' is %s, the model takes %s",
                        GAL_STR_SHOWN(t->name), gal_dtype_name(t->dtype), gal_dtype_name(dtype));
    to_json(t, i, &v);
    st = gal_element_from_json(&v, dtype, data, to, arena, err);
    if (st != GAL_OK && err != NULL)
        gal_err_place(err, "data[%zu]", i);
    return st;
}

/* A data frame's column has the datatype that pandas chose; the model's stands above it. */
static enum gal_status cast(struct gal_tensor *t, enum gal_dtype dtype, struct gal_arena *arena,
                            struct gal_err *err)
{
    void *data;

    if (t->dtype == dtype || dtype == GAL_DT_NONE)
        return GAL_OK;
    data = gal_arena_array(arena, t->count, gal_dtype_size(dtype));
    if (data == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for input '%.*s'", GAL_STR_SHOWN(t->name));
    for (size_t i = 0; i < t->count; i++)
        if (put_element(t, i, dtype, data, i, arena, err) != GAL_OK)
            return err != NULL ? err->code : GAL_INVALID;
    t->data = data;
    t->dtype = dtype;
    return GAL_OK;
}

/* --- data frames whose columns are a vector's features --- */

struct frame {
    struct gal_exchange *x;
    const struct gal_port *port;
    size_t rows, features;
    void *data;
};

static size_t find_feature(const struct gal_model *m, struct gal_str name)
{
    size_t i = 0;

    while (i < m->feature_count && !gal_str_is(name, m->feature_names[i]))
        i++;
    return i;
}

static enum gal_status put_column(struct frame *f, const struct gal_tensor *t, bool *seen,
                                  struct gal_err *err)
{
    size_t at = find_feature(f->x->model, t->name);

    if (at == f->features)
        return gal_fail(err, GAL_INVALID, "the model has no feature '%.*s'",
                        GAL_STR_SHOWN(t->name));
    if (seen[at])
        return gal_fail(err, GAL_INVALID, "column '%.*s' is given twice", GAL_STR_SHOWN(t->name));
    if (t->count != f->rows || t->rank == 0 || (size_t)t->shape[0] != f->rows)
        return gal_fail(err, GAL_INVALID, "column '%.*s' has %zu values, the first one has %zu",
                        GAL_STR_SHOWN(t->name), t->count, f->rows);
    seen[at] = true;
    for (size_t i = 0; i < f->rows; i++)
        if (put_element(t, i, f->port->dtype, f->data, i * f->features + at, &f->x->arena, err) !=
            GAL_OK)
            return err->code;
    return GAL_OK;
}

static enum gal_status put_columns(struct frame *f, const struct gal_oip_request *req, bool *seen,
                                   struct gal_err *err)
{
    for (size_t i = 0; i < req->input_count; i++) {
        struct gal_tensor t = req->inputs[i];
        enum content content;
        enum gal_status st = find_content(req, i, &content, err);

        if (st == GAL_OK)
            st = decode(&t, content, f->port->dtype, &f->x->arena, err);
        if (st == GAL_OK)
            st = put_column(f, &t, seen, err);
        if (st != GAL_OK && err != NULL) {
            char place[sizeof(err->place)];

            memcpy(place, err->place, sizeof(place));
            gal_err_place(err, "inputs[%zu]%s%s", i, place[0] != '\0' ? "." : "", place);
        }
        if (st != GAL_OK)
            return st;
    }
    for (size_t i = 0; i < f->features; i++)
        if (!seen[i])
            return gal_fail(err, GAL_INVALID, "column '%s' is missing",
                            f->x->model->feature_names[i]);
    return GAL_OK;
}

static enum gal_status fill_features(struct gal_exchange *x, struct gal_infer *inf,
                                     const struct gal_oip_request *req, struct gal_err *err)
{
    struct frame f = {x, &x->model->info->inputs[0], req->inputs[0].count, x->model->feature_count,
                      NULL};
    int64_t *shape = gal_arena_small(&x->arena, (f.port->rank + 1) * sizeof(*shape));
    bool *seen = gal_arena_small(&x->arena, f.features * sizeof(*seen));
    struct gal_tensor t = {f.port->name, f.port->dtype, f.port->rank, shape, 0, NULL};
    enum gal_status st;

    if (__builtin_mul_overflow(f.rows, f.features, &t.count))
        return gal_fail(err, GAL_TOO_LARGE, "the data frame is too large");
    f.data = gal_arena_array(&x->arena, t.count, gal_dtype_size(t.dtype));
    if (shape == NULL || seen == NULL || f.data == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the request");
    memset(seen, 0, f.features * sizeof(*seen));
    st = put_columns(&f, req, seen, err);
    if (st != GAL_OK)
        return st;
    for (size_t i = 0; i < t.rank; i++)
        shape[i] = f.port->shape[i] < 0 ? (int64_t)f.features : f.port->shape[i];
    if (x->model->batch_dim)
        shape[0] = (int64_t)f.rows;
    else if (f.rows != 1)
        return gal_fail(err, GAL_INVALID, "this model has no batch dimension: it takes one row");
    t.data = f.data;
    return gal_infer_set(x, inf, &t, err);
}

/* --- the request --- */

/* The request codecs np and str are of one input, whatever it is called. */
static bool is_only(const struct gal_oip_request *req, const struct gal_model_info *info)
{
    return req->content_type.p != NULL && parse(req->content_type) != PANDAS &&
           req->input_count == 1 && info->input_count == 1;
}

static enum gal_status fill_one(struct gal_exchange *x, struct gal_infer *inf,
                                const struct gal_oip_request *req, size_t i, bool frame,
                                struct gal_err *err)
{
    const struct gal_model_info *info = x->model->info;
    struct gal_tensor t = req->inputs[i];

    if (is_only(req, info))
        t.name = info->inputs[0].name;
    size_t index = gal_port_find(info->inputs, info->input_count, t.name);
    const struct gal_port *port = index != SIZE_MAX ? &info->inputs[index] : NULL;
    enum content content;
    enum gal_status st = find_content(req, i, &content, err);

    if (st == GAL_OK && port != NULL)
        st = decode(&t, content, port->dtype, &x->arena, err);
    if (st == GAL_OK && port != NULL)
        st = fit_rank(&t, port, &x->arena, err);
    if (st == GAL_OK && port != NULL && frame)
        st = cast(&t, port->dtype, &x->arena, err);
    return st == GAL_OK ? gal_infer_set(x, inf, &t, err) : st; /* which knows all names */
}

enum gal_status gal_oip_fill_content(struct gal_exchange *x, struct gal_infer *inf,
                                     const struct gal_oip_request *req, struct gal_err *err)
{
    const struct gal_model_info *info = x->model->info;
    enum content whole = parse(req->content_type);
    bool frame = whole == PANDAS;

    gal_err_clear(err);
    if (req->content_type.p != NULL && whole != NUMPY && whole != TEXT && whole != PANDAS) {
        gal_fail(err, GAL_INVALID,
                 "unknown content type '%.*s' of a request; there are np, str and pd",
                 GAL_STR_SHOWN(req->content_type));
        gal_err_place(err, "parameters.content_type");
        return GAL_INVALID;
    }
    if (frame && req->input_count > 0 && gal_native_name_count(x->model) > 0 &&
        !gal_str_eq(req->inputs[0].name, info->inputs[0].name))
        return fill_features(x, inf, req, err);
    for (size_t i = 0; i < req->input_count; i++) {
        enum gal_status st = fill_one(x, inf, req, i, frame, err);

        if (st != GAL_OK && err != NULL) {
            char place[sizeof(err->place)];

            memcpy(place, err->place, sizeof(place));
            gal_err_place(err, "inputs[%zu]%s%s", i, place[0] != '\0' ? "." : "", place);
        }
        if (st != GAL_OK)
            return st;
    }
    return GAL_OK;
}
