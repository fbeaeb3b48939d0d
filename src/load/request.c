/* SPDX-License-Identifier: Apache-2.0 */
#include "load/request.h"

#include "http/url.h"

static const char *const names[] = {"oip-binary", "oip-json", "native", "grpc", "http"};

const char *gal_protocol_name(enum gal_protocol p)
{
    return p < GAL_PROTOCOL_COUNT ? names[p] : "?";
}

enum gal_protocol gal_protocol_find(struct gal_str name)
{
    int p = 0;

    while (p < GAL_PROTOCOL_COUNT && !gal_str_is(name, names[p]))
        p++;
    return (enum gal_protocol)p;
}

/* --- bodies --- */

static void put_shape(struct gal_buf *out, const struct gal_load_tensor *t)
{
    gal_buf_putc(out, '[');
    for (size_t i = 0; i < t->rank; i++) {
        gal_buf_puts(out, i ? "," : "");
        gal_json_put_i64(out, t->shape[i]);
    }
    gal_buf_putc(out, ']');
}

static void put_oip_tensor(struct gal_buf *out, const struct gal_load_tensor *t, bool binary)
{
    gal_buf_puts(out, "{\"name\":");
    gal_json_put_str(out, t->name);
    gal_buf_puts(out, ",\"shape\":");
    put_shape(out, t);
    gal_buf_printf(out, ",\"datatype\":\"%s\",", gal_dtype_name(t->dtype));
    if (binary) {
        gal_buf_printf(out, "\"parameters\":{\"binary_data_size\":%zu}}", gal_values_raw_size(t));
        return;
    }
    gal_buf_puts(out, "\"data\":[");
    for (size_t i = 0; i < t->count && !out->failed; i++) {
        gal_buf_puts(out, i ? "," : "");
        gal_values_put_json(out, t, i);
    }
    gal_buf_puts(out, "]}");
}

/* The JSON of an Open Inference Protocol request. */
static void put_oip(struct gal_buf *out, const struct gal_request_spec *spec,
                    const struct gal_load_tensor *tensors, size_t count)
{
    bool binary = spec->protocol == GAL_PROTOCOL_OIP_BINARY;

    gal_buf_putc(out, '{');
    if (binary || spec->timeout_us) {
        gal_buf_puts(out, "\"parameters\":{");
        gal_buf_puts(out, binary ? "\"binary_data_output\":true" : "");
        gal_buf_puts(out, binary && spec->timeout_us ? "," : "");
        if (spec->timeout_us)
            gal_buf_printf(out, "\"timeout\":%llu", (unsigned long long)spec->timeout_us);
        gal_buf_puts(out, "},");
    }
    gal_buf_puts(out, "\"inputs\":[");
    for (size_t i = 0; i < count; i++) {
        gal_buf_puts(out, i ? "," : "");
        put_oip_tensor(out, &tensors[i], binary);
    }
    gal_buf_puts(out, "]}");
}

/* The part of t from `from` on that lies within its dimensions from `dim` on, as nested arrays;
 * returns the index behind it. */
static size_t put_nested(struct gal_buf *out, const struct gal_load_tensor *t, size_t dim,
                         size_t from)
{
    if (dim >= t->rank) {
        gal_values_put_json(out, t, from);
        return from + 1;
    }
    gal_buf_putc(out, '[');
    for (int64_t i = 0; i < t->shape[dim] && !out->failed; i++) {
        gal_buf_puts(out, i ? "," : "");
        from = put_nested(out, t, dim + 1, from);
    }
    gal_buf_putc(out, ']');
    return from;
}

/* One input: an instance is its row. Several: an object of rows by name. */
static void put_native(struct gal_buf *out, const struct gal_load_tensor *tensors, size_t count)
{
    int64_t rows = count && tensors[0].rank ? tensors[0].shape[0] : 1;

    gal_buf_puts(out, "{\"instances\":[");
    for (int64_t row = 0; row < rows && !out->failed; row++) {
        gal_buf_puts(out, row ? "," : "");
        gal_buf_puts(out, count > 1 ? "{" : "");
        for (size_t i = 0; i < count; i++) {
            const struct gal_load_tensor *t = &tensors[i];
            if (count > 1) {
                gal_buf_puts(out, i ? "," : "");
                gal_json_put_str(out, t->name);
                gal_buf_putc(out, ':');
            }
            (void)put_nested(out, t, 1, (size_t)row * (t->count / (size_t)rows));
        }
        gal_buf_puts(out, count > 1 ? "}" : "");
    }
    gal_buf_puts(out, "]}");
}

/* --- heads --- */

static void put_target(struct gal_buf *out, const struct gal_request_spec *spec)
{
    bool native = spec->protocol == GAL_PROTOCOL_NATIVE;

    if (spec->protocol == GAL_PROTOCOL_HTTP) {
        gal_buf_puts(out, spec->path);
        return;
    }
    gal_buf_puts(out, native ? "/v1/models/" : "/v2/models/");
    gal_url_put_segment(out, spec->model);
    if (spec->version.n) {
        gal_buf_puts(out, "/versions/");
        gal_url_put_segment(out, spec->version);
    }
    gal_buf_puts(out, native ? "/predict" : "/infer");
}

/* json_bytes: of the JSON in front of binary tensors; SIZE_MAX: all is JSON. */
static void put_head(struct gal_buf *out, const struct gal_request_spec *spec, const char *method,
                     size_t body_bytes, size_t json_bytes)
{
    gal_buf_puts(out, method);
    gal_buf_putc(out, ' ');
    put_target(out, spec);
    gal_buf_puts(out, " HTTP/1.1\r\nHost: ");
    gal_buf_puts(out, spec->host);
    gal_buf_puts(out, "\r\nUser-Agent: galley-bench/" GAL_VERSION "\r\n");
    if (json_bytes != SIZE_MAX)
        gal_buf_printf(out,
                       "Content-Type: application/octet-stream\r\n"
                       "Inference-Header-Content-Length: %zu\r\n",
                       json_bytes);
    else if (body_bytes)
        gal_buf_puts(out, "Content-Type: application/json\r\n");
    if (body_bytes)
        gal_buf_printf(out, "Content-Length: %zu\r\n", body_bytes);
    gal_buf_puts(out, "\r\n");
}

void gal_request_put_body(struct gal_buf *out, const struct gal_request_spec *spec,
                          struct gal_str body)
{
    put_head(out, spec, body.p ? "POST" : "GET", body.n, SIZE_MAX);
    gal_buf_put_str(out, body);
}

void gal_request_put(struct gal_buf *out, const struct gal_request_spec *spec,
                     const struct gal_load_tensor *tensors, size_t count)
{
    bool binary = spec->protocol == GAL_PROTOCOL_OIP_BINARY;
    size_t raw = 0;
    struct gal_buf body;

    if (spec->protocol == GAL_PROTOCOL_GRPC) {
        gal_request_put_grpc(out, spec, tensors, count);
        return;
    }
    gal_buf_init(&body, out->max);
    if (spec->protocol == GAL_PROTOCOL_NATIVE)
        put_native(&body, tensors, count);
    else
        put_oip(&body, spec, tensors, count);
    for (size_t i = 0; i < count && binary; i++)
        raw += gal_values_raw_size(&tensors[i]);
    put_head(out, spec, "POST", body.n + raw, binary ? body.n : SIZE_MAX);
    gal_buf_put_str(out, gal_buf_str(&body));
    for (size_t i = 0; i < count && binary; i++)
        gal_values_put_raw(out, &tensors[i]);
    out->failed = out->failed || body.failed;
    gal_buf_release(&body);
}

/* --- a user's body --- */

enum gal_status gal_request_inspect(struct gal_str body, struct gal_arena *arena,
                                    enum gal_protocol *protocol, uint64_t *rows,
                                    struct gal_err *err)
{
    yyjson_val *root, *list;
    enum gal_status status = gal_json_read(body, arena, GAL_JSON_DEPTH_MAX, &root, err);

    if (status != GAL_OK)
        return status;
    list = yyjson_obj_get(root, "inputs");
    if (yyjson_is_arr(list)) {
        yyjson_val *size =
            yyjson_arr_get_first(yyjson_obj_get(yyjson_arr_get_first(list), "shape"));
        *protocol = GAL_PROTOCOL_OIP_JSON;
        *rows = yyjson_is_uint(size) ? yyjson_get_uint(size) : 1;
        return GAL_OK;
    }
    list = yyjson_obj_get(root, "instances");
    if (yyjson_is_arr(list) || yyjson_obj_get(root, "features")) {
        *protocol = GAL_PROTOCOL_NATIVE;
        *rows = yyjson_is_arr(list) ? yyjson_arr_size(list) : 1;
        return GAL_OK;
    }
    (void)gal_fail(err, GAL_INVALID, "the body has neither \"inputs\" nor \"instances\"");
    gal_err_hint(err, "give the URL with its path to send any JSON: http://HOST:PORT/path");
    return GAL_INVALID;
}
