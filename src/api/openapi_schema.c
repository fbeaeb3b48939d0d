/* SPDX-License-Identifier: Apache-2.0 */
/* JSON Schema (2020-12, as OpenAPI 3.1 has it) of requests and answers. */
#include "api/native.h"
#include "api/openapi.h"
#include "api/validate.h"

/* --- writing --- */

/* A comma, unless something has just been opened. What ends in one of these characters inside a
 * text has the text's quote behind it. */
static void separate(struct gal_buf *out)
{
    char last = out->n > 0 ? out->p[out->n - 1] : '{';

    if (last != '{' && last != '[' && last != ':' && last != ',')
        gal_buf_putc(out, ',');
}

static void put_key(struct gal_buf *out, const char *key)
{
    separate(out);
    if (key == NULL)
        return;
    gal_json_put_str(out, gal_str_of(key));
    gal_buf_putc(out, ':');
}

void gal_doc_open(struct gal_buf *out, const char *key, char bracket)
{
    put_key(out, key);
    gal_buf_putc(out, bracket);
}

void gal_doc_close(struct gal_buf *out, char bracket)
{
    gal_buf_putc(out, bracket);
}

void gal_doc_str(struct gal_buf *out, const char *key, struct gal_str text)
{
    put_key(out, key);
    gal_json_put_str(out, text);
}

void gal_doc_text(struct gal_buf *out, const char *key, const char *text)
{
    gal_doc_str(out, key, gal_str_of(text));
}

void gal_doc_raw(struct gal_buf *out, const char *key, const char *json)
{
    put_key(out, key);
    gal_buf_puts(out, json);
}

static void put_int(struct gal_buf *out, const char *key, int64_t v)
{
    put_key(out, key);
    gal_buf_put_i64(out, v);
}

/* A reference alone, without braces around it. */
static void put_ref(struct gal_buf *out, const char *section, const char *prefix, const char *name)
{
    gal_buf_puts(out, "\"$ref\":\"#/components/");
    gal_buf_puts(out, section);
    gal_buf_putc(out, '/');
    gal_buf_puts(out, prefix);
    gal_buf_puts(out, name);
    gal_buf_putc(out, '"');
}

void gal_doc_ref(struct gal_buf *out, const char *key, const char *section, const char *prefix,
                 const char *name)
{
    gal_doc_open(out, key, '{');
    put_ref(out, section, prefix, name);
    gal_doc_close(out, '}');
}

/* --- elements and tensors --- */

static const char *scalar_schema(enum gal_dtype dtype)
{
    static const char *const schema[GAL_DT_COUNT] = {
        [GAL_DT_BOOL] = "{\"type\":\"boolean\"}",
        [GAL_DT_UINT8] = "{\"type\":\"integer\",\"minimum\":0,\"maximum\":255}",
        [GAL_DT_UINT16] = "{\"type\":\"integer\",\"minimum\":0,\"maximum\":65535}",
        [GAL_DT_UINT32] = "{\"type\":\"integer\",\"minimum\":0,\"maximum\":4294967295}",
        [GAL_DT_UINT64] = "{\"type\":\"integer\",\"format\":\"uint64\",\"minimum\":0}",
        [GAL_DT_INT8] = "{\"type\":\"integer\",\"minimum\":-128,\"maximum\":127}",
        [GAL_DT_INT16] = "{\"type\":\"integer\",\"minimum\":-32768,\"maximum\":32767}",
        [GAL_DT_INT32] = "{\"type\":\"integer\",\"format\":\"int32\"}",
        [GAL_DT_INT64] = "{\"type\":\"integer\",\"format\":\"int64\"}",
        [GAL_DT_FP16] = "{\"type\":\"number\"}",
        [GAL_DT_BF16] = "{\"type\":\"number\"}",
        [GAL_DT_FP32] = "{\"type\":\"number\",\"format\":\"float\"}",
        [GAL_DT_FP64] = "{\"type\":\"number\",\"format\":\"double\"}",
        [GAL_DT_BYTES] = "{\"type\":\"string\"}",
    };

    return schema[dtype] != NULL ? schema[dtype] : "{}";
}

/* One element of a port; texts that the model knows stand as examples, since only its encoder can
 * say whether it refuses others. */
static void put_scalar(struct gal_buf *out, const char *key, const struct gal_port *port,
                       const struct gal_feature *f)
{
    size_t shown =
        port->value_count < GAL_PORT_VALUES_MAX ? port->value_count : GAL_PORT_VALUES_MAX;

    if (f != NULL) {
        gal_doc_feature(out, key, f);
        return;
    }
    if (port->dtype != GAL_DT_BYTES || port->values == NULL) {
        gal_doc_raw(out, key, scalar_schema(port->dtype));
        return;
    }
    gal_doc_open(out, key, '{');
    gal_doc_text(out, "type", "string");
    gal_doc_open(out, "examples", '[');
    for (size_t i = 0; i < shown; i++)
        gal_doc_str(out, NULL, port->values[i]);
    gal_doc_close(out, ']');
    gal_doc_close(out, '}');
}

/* Nested arrays of this shape. */
static void put_nested(struct gal_buf *out, const char *key, const struct gal_port *port,
                       const struct gal_feature *f, const int64_t *shape, size_t rank)
{
    for (size_t i = 0; i < rank; i++) {
        gal_doc_open(out, i == 0 ? key : "items", '{');
        gal_doc_text(out, "type", "array");
        if (shape[i] >= 0) {
            put_int(out, "minItems", shape[i]);
            put_int(out, "maxItems", shape[i]);
        } else {
            put_int(out, "minItems", 1);
        }
    }
    put_scalar(out, rank == 0 ? key : "items", port, f);
    for (size_t i = 0; i < rank; i++)
        gal_doc_close(out, '}');
}

/* The value of an input in a row: bare, an array, nested arrays or all their values in one. */
static void put_row_value(struct gal_buf *out, const char *key, const struct gal_model *m,
                          const struct gal_port *port)
{
    int64_t count = 1;
    size_t rank;
    const int64_t *shape = gal_native_row_shape(m, port, &rank);
    const struct gal_feature *f = gal_validate_feature(m, (size_t)(port - m->info->inputs));

    if (port->kind != GAL_KIND_TENSOR || !port->shape_known) {
        gal_doc_raw(out, key, "{}");
        return;
    }
    if (gal_native_is_bare(m, port))
        rank = 0;
    if (rank < 2) {
        put_nested(out, key, port, f, shape, rank);
        return;
    }
    for (size_t i = 0; i < rank; i++)
        if (shape[i] < 0 || __builtin_mul_overflow(count, shape[i], &count))
            count = -1;
    gal_doc_open(out, key, '{');
    gal_doc_open(out, "anyOf", '[');
    put_nested(out, NULL, port, f, shape, rank);
    put_nested(out, NULL, port, f, &(const int64_t){count < 0 ? -1 : count}, 1);
    gal_doc_close(out, ']');
    gal_doc_close(out, '}');
}

/* --- native requests --- */

bool gal_doc_has_names(const struct gal_model *m)
{
    return m->info->input_count != 1 || gal_native_name_count(m) > 0 ||
           gal_native_is_bare(m, &m->info->inputs[0]);
}

static void put_object_end(struct gal_buf *out, bool more)
{
    gal_doc_raw(out, "additionalProperties", more ? "true" : "false");
    gal_doc_close(out, '}');
}

/* The object of named features; {"INPUT": value} for a model without names. */
static void put_features(struct gal_buf *out, const struct gal_model *m, const char *key)
{
    const struct gal_model_info *info = m->info;
    size_t names = gal_native_name_count(m);

    gal_doc_open(out, key, '{');
    gal_doc_text(out, "type", "object");
    gal_doc_open(out, "properties", '{');
    for (size_t i = 0; i < names; i++)
        put_scalar(out, m->feature_names[i], &info->inputs[0], NULL);
    for (size_t i = 0; names == 0 && i < info->input_count; i++)
        put_row_value(out, info->inputs[i].name.p, m, &info->inputs[i]);
    gal_doc_close(out, '}');
    gal_doc_open(out, "required", '[');
    for (size_t i = 0; i < names; i++)
        gal_doc_text(out, NULL, m->feature_names[i]);
    for (size_t i = 0; names == 0 && i < info->input_count; i++)
        if (!info->inputs[i].optional)
            gal_doc_str(out, NULL, info->inputs[i].name);
    gal_doc_close(out, ']');
    put_object_end(out, gal_validate_ignores(m));
}

/* The array form of a row. */
static void put_vector(struct gal_buf *out, const char *key, const struct gal_model *m)
{
    const struct gal_model_info *info = m->info;

    if (info->input_count == 1 && !gal_native_is_bare(m, &info->inputs[0])) {
        put_row_value(out, key, m, &info->inputs[0]);
        return;
    }
    gal_doc_open(out, key, '{');
    gal_doc_text(out, "description", "values in the order of the inputs");
    gal_doc_text(out, "type", "array");
    if (info->input_count > 0) {
        gal_doc_open(out, "prefixItems", '[');
        for (size_t i = 0; i < info->input_count; i++)
            put_row_value(out, NULL, m, &info->inputs[i]);
        gal_doc_close(out, ']');
    }
    gal_doc_raw(out, "items", "{}");
    put_int(out, "minItems", (int64_t)info->input_count);
    put_int(out, "maxItems", (int64_t)info->input_count);
    gal_doc_close(out, '}');
}

/* `bare`: an instance may be one value too. */
static void put_row(struct gal_buf *out, const char *key, const struct gal_model *m,
                    const char *prefix, bool bare)
{
    gal_doc_open(out, key, '{');
    gal_doc_open(out, "anyOf", '[');
    gal_doc_ref(out, NULL, "schemas", prefix, "Features");
    put_vector(out, NULL, m);
    if (bare && m->info->input_count == 1 && gal_native_is_bare(m, &m->info->inputs[0]))
        put_scalar(out, NULL, &m->info->inputs[0], gal_validate_feature(m, 0));
    gal_doc_close(out, ']');
    gal_doc_close(out, '}');
}

/* {"features": row} or {"instances": [row, ...]}, with model_version. */
static void put_envelope(struct gal_buf *out, const char *key, const struct gal_model *m,
                         const char *prefix, bool instances)
{
    const char *member = instances ? "instances" : "features";

    gal_doc_open(out, key, '{');
    gal_doc_text(out, "description", instances ? "many rows" : "one row");
    gal_doc_text(out, "type", "object");
    gal_doc_open(out, "properties", '{');
    if (instances) {
        gal_doc_open(out, member, '{');
        gal_doc_text(out, "type", "array");
        put_int(out, "minItems", 1);
        if (!m->batch_dim)
            put_int(out, "maxItems", 1);
        put_row(out, "items", m, prefix, true);
        gal_doc_close(out, '}');
    } else {
        put_row(out, member, m, prefix, false);
    }
    gal_doc_raw(out, "model_version", "{\"type\":[\"string\",\"null\"]}");
    gal_doc_close(out, '}');
    gal_doc_open(out, "required", '[');
    gal_doc_text(out, NULL, member);
    gal_doc_close(out, ']');
    put_object_end(out, false);
}

static void put_requests(struct gal_buf *out, const struct gal_model *m, const char *prefix)
{
    put_key(out, NULL);
    gal_buf_printf(out, "\"%sPredictBatchRequest\":", prefix);
    put_envelope(out, NULL, m, prefix, true);
    gal_buf_printf(out, ",\"%sPredictRequest\":", prefix);
    gal_doc_open(out, NULL, '{');
    gal_doc_open(out, "anyOf", '[');
    put_envelope(out, NULL, m, prefix, false);
    gal_doc_ref(out, NULL, "schemas", prefix, "PredictBatchRequest");
    gal_doc_ref(out, NULL, "schemas", prefix, "Features");
    gal_doc_close(out, ']');
    gal_doc_close(out, '}');
}

/* --- native answers --- */

bool gal_doc_is_bare(const struct gal_model *m, const struct gal_port *port)
{
    size_t first = m->batch_dim ? 1 : 0;

    if (port->kind != GAL_KIND_TENSOR || !port->shape_known)
        return false;
    for (size_t i = first; i < port->rank; i++)
        if (port->shape[i] != 1)
            return false;
    return true;
}

static void put_output_form(struct gal_buf *out, const char *key, const struct gal_model *m,
                            const struct gal_port *port)
{
    /* Without a batch dimension a leading 1 counts as one, and any open size may be 1. */
    bool skip = port->rank > 0 && (m->batch_dim || port->shape[0] == 1);

    if (port->kind == GAL_KIND_SEQUENCE && port->of_maps && m->batch_dim) {
        gal_doc_open(out, key, '{');
        gal_doc_text(out, "type", "object");
        gal_doc_raw(out, "additionalProperties", scalar_schema(port->dtype));
        gal_doc_close(out, '}');
    } else if (port->kind != GAL_KIND_TENSOR || !port->shape_known ||
               (!m->batch_dim && port->rank > 0 && port->shape[0] < 0)) {
        gal_doc_raw(out, key, "{}");
    } else if (gal_doc_is_bare(m, port)) {
        put_scalar(out, key, port, NULL);
    } else {
        put_nested(out, key, port, NULL, port->shape + skip, port->rank - skip);
    }
}

static void put_output(struct gal_buf *out, const char *key, const struct gal_model *m,
                       const struct gal_port *port)
{
    const struct gal_output *told = gal_doc_output(m, port->name);

    if (told == NULL || (told->description.n == 0 && told->label_count == 0)) {
        put_output_form(out, key, m, port);
        return;
    }
    gal_doc_open(out, key, '{');
    if (told->description.n > 0)
        gal_doc_str(out, "description", told->description);
    if (told->label_count > 0) {
        gal_doc_open(out, "x-labels", '[');
        for (size_t i = 0; i < told->label_count; i++)
            gal_doc_str(out, NULL, told->labels[i]);
        gal_doc_close(out, ']');
    }
    gal_doc_open(out, "allOf", '[');
    put_output_form(out, NULL, m, port);
    gal_doc_close(out, ']');
    gal_doc_close(out, '}');
}

/* An output stands in every prediction unless its first dimension bears another name than the
 * input's: then it may belong to no row. */
bool gal_doc_is_in_row(const struct gal_model *m, const struct gal_port *port)
{
    const struct gal_port *in = m->info->input_count > 0 ? &m->info->inputs[0] : NULL;

    if (!m->batch_dim)
        return port->kind == GAL_KIND_TENSOR;
    if (port->kind == GAL_KIND_SEQUENCE)
        return port->of_maps;
    if (port->kind != GAL_KIND_TENSOR || !port->shape_known || port->rank == 0 || in == NULL)
        return false;
    if (in->rank == 0 || in->dims == NULL || port->dims == NULL || in->dims[0][0] == '\0' ||
        port->dims[0][0] == '\0')
        return true;
    return strcmp(in->dims[0], port->dims[0]) == 0;
}

static void put_prediction(struct gal_buf *out, const struct gal_model *m)
{
    const struct gal_model_info *info = m->info;

    if (info->output_count == 1 && gal_doc_is_bare(m, &info->outputs[0])) {
        put_output(out, NULL, m, &info->outputs[0]);
        return;
    }
    gal_doc_open(out, NULL, '{');
    gal_doc_text(out, "type", "object");
    gal_doc_open(out, "properties", '{');
    for (size_t i = 0; i < info->output_count; i++)
        put_output(out, info->outputs[i].name.p, m, &info->outputs[i]);
    gal_doc_close(out, '}');
    gal_doc_open(out, "required", '[');
    for (size_t i = 0; i < info->output_count; i++)
        if (gal_doc_is_in_row(m, &info->outputs[i]))
            gal_doc_str(out, NULL, info->outputs[i].name);
    gal_doc_close(out, ']');
    gal_doc_close(out, '}');
}

static void put_predict_response(struct gal_buf *out, const char *prefix)
{
    gal_doc_open(out, NULL, '{');
    gal_doc_open(out, "allOf", '[');
    gal_doc_ref(out, NULL, "schemas", "", "PredictResponse");
    gal_doc_open(out, NULL, '{');
    gal_doc_text(out, "type", "object");
    gal_doc_open(out, "properties", '{');
    gal_doc_raw(out, "predictions", "{\"type\":\"array\",\"items\":{");
    put_ref(out, "schemas", prefix, "Prediction");
    gal_buf_puts(out, "}}");
    gal_doc_ref(out, "prediction", "schemas", prefix, "Prediction");
    for (int i = 0; i < 2; i++)
        gal_doc_close(out, '}');
    gal_doc_close(out, ']');
    gal_doc_close(out, '}');
}

/* --- Open Inference Protocol --- */

/* A tensor of this port, as an item of inputs or outputs. */
static void put_tensor(struct gal_buf *out, const struct gal_port *port)
{
    gal_doc_open(out, NULL, '{');
    gal_doc_text(out, "type", "object");
    gal_doc_open(out, "properties", '{');
    gal_doc_open(out, "name", '{');
    gal_doc_str(out, "const", port->name);
    gal_doc_close(out, '}');
    gal_doc_open(out, "datatype", '{');
    gal_doc_text(out, "const", gal_dtype_name(port->dtype));
    gal_doc_close(out, '}');
    gal_doc_open(out, "shape", '{');
    gal_doc_text(out, "type", "array");
    gal_doc_raw(out, "items", "{\"type\":\"integer\",\"minimum\":0}");
    if (port->kind == GAL_KIND_TENSOR && port->shape_known) {
        put_int(out, "minItems", (int64_t)port->rank);
        put_int(out, "maxItems", (int64_t)port->rank);
    }
    gal_doc_close(out, '}');
    gal_doc_raw(out, "data",
                "{\"type\":\"array\",\"items\":{},\"description\":\"flat in row-major order, or "
                "nested\"}");
    gal_doc_raw(out, "parameters", "{\"type\":\"object\"}");
    gal_doc_close(out, '}');
    gal_doc_raw(out, "required", "[\"name\",\"shape\",\"datatype\"]");
    gal_doc_close(out, '}');
}

/* Sequences of tensors are answered as NAME.0, NAME.1: no fixed names. */
static bool is_named(const struct gal_port *port)
{
    return port->kind != GAL_KIND_SEQUENCE || port->of_maps;
}

static void put_tensors(struct gal_buf *out, const char *key, const struct gal_port *ports,
                        size_t count)
{
    bool named = count > 0;

    for (size_t i = 0; i < count; i++)
        named = named && is_named(&ports[i]);
    gal_doc_open(out, key, '{');
    gal_doc_text(out, "type", "array");
    if (!named) {
        gal_doc_ref(out, "items", "schemas", "", "Tensor");
    } else {
        gal_doc_open(out, "items", '{');
        gal_doc_open(out, "oneOf", '[');
        for (size_t i = 0; i < count; i++)
            put_tensor(out, &ports[i]);
        gal_doc_close(out, ']');
        gal_doc_close(out, '}');
    }
    gal_doc_close(out, '}');
}

/* The shared schema, with the model's own tensors. */
static void put_oip(struct gal_buf *out, const char *base, const char *key,
                    const struct gal_port *ports, size_t count)
{
    gal_doc_open(out, NULL, '{');
    gal_doc_open(out, "allOf", '[');
    gal_doc_ref(out, NULL, "schemas", "", base);
    gal_doc_open(out, NULL, '{');
    gal_doc_text(out, "type", "object");
    gal_doc_open(out, "properties", '{');
    put_tensors(out, key, ports, count);
    for (int i = 0; i < 2; i++)
        gal_doc_close(out, '}');
    gal_doc_close(out, ']');
    gal_doc_close(out, '}');
}

void gal_doc_model_schemas(struct gal_buf *out, const struct gal_model *m, const char *prefix)
{
    const struct gal_model_info *info = m->info;

    put_key(out, NULL);
    gal_buf_printf(out, "\"%sFeatures\":", prefix);
    put_features(out, m, NULL);
    put_requests(out, m, prefix);
    gal_buf_printf(out, ",\"%sPrediction\":", prefix);
    put_prediction(out, m);
    gal_buf_printf(out, ",\"%sPredictResponse\":", prefix);
    put_predict_response(out, prefix);
    gal_buf_printf(out, ",\"%sInferRequest\":", prefix);
    put_oip(out, "InferRequest", "inputs", info->inputs, info->input_count);
    gal_buf_printf(out, ",\"%sInferResponse\":", prefix);
    put_oip(out, "InferResponse", "outputs", info->outputs, info->output_count);
}

/* --- shared --- */

static void put_statistics_schemas(struct gal_buf *out)
{
#define SPAN "{\"$ref\":\"#/components/schemas/Duration\"}"
#define COUNT "{\"type\":\"integer\",\"minimum\":0}"
    gal_doc_raw(out, "Duration",
                "{\"type\":\"object\",\"properties\":{\"count\":" COUNT ",\"ns\":" COUNT
                "},\"required\":[\"count\",\"ns\"]}");
    gal_doc_raw(
        out, "ModelStatistics",
        "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"version\":{\"type\":"
        "\"string\"},\"last_inference\":{\"type\":\"integer\",\"description\":\"milliseconds since "
        "1970; 0: none\"},\"inference_count\":{\"type\":\"integer\",\"description\":\"rows\"},"
        "\"execution_count\":{\"type\":\"integer\",\"description\":\"calls of the engine\"},"
        "\"inference_stats\":{\"type\":\"object\",\"properties\":{\"success\":" SPAN
        ",\"fail\":" SPAN ",\"queue\":" SPAN ",\"compute_input\":" SPAN ",\"compute_infer\":" SPAN
        ",\"compute_output\":" SPAN ",\"cache_hit\":" SPAN ",\"cache_miss\":" SPAN
        "}},\"response_stats\":{\"type\":\"object\"},\"batch_stats\":{"
        "\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"batch_size\":" COUNT
        ",\"compute_input\":" SPAN ",\"compute_infer\":" SPAN ",\"compute_output\":" SPAN
        "}}},\"memory_usage\":{\"type\":\"array\",\"items\":{}}},\"required\":[\"name\","
        "\"version\",\"last_inference\",\"inference_count\",\"execution_count\","
        "\"inference_stats\",\"batch_stats\"]}");
    gal_doc_raw(out, "Statistics",
                "{\"type\":\"object\",\"properties\":{\"model_stats\":{\"type\":\"array\","
                "\"items\":{\"$ref\":\"#/components/schemas/ModelStatistics\"}}},"
                "\"required\":[\"model_stats\"]}");
#undef SPAN
#undef COUNT
}

static void put_config_schemas(struct gal_buf *out)
{
    gal_doc_raw(
        out, "ModelConfig",
        "{\"type\":\"object\",\"description\":\"Triton's ModelConfig\",\"properties\":{"
        "\"name\":{\"type\":\"string\"},\"platform\":{\"type\":\"string\"},\"backend\":{"
        "\"type\":\"string\"},\"version_policy\":{\"type\":\"object\"},\"max_batch_size\":{"
        "\"type\":\"integer\",\"minimum\":0,\"description\":\"above 0, dims leave out the "
        "first dimension\"},\"input\":{\"type\":\"array\",\"items\":{\"$ref\":"
        "\"#/components/schemas/ModelPort\"}},\"output\":{\"type\":\"array\",\"items\":{"
        "\"$ref\":\"#/components/schemas/ModelPort\"}},\"dynamic_batching\":{\"type\":"
        "\"object\"},\"instance_group\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},"
        "\"optimization\":{\"type\":\"object\"},\"parameters\":{\"type\":\"object\"},"
        "\"model_warmup\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},"
        "\"response_cache\":{\"type\":\"object\"}},\"required\":[\"name\",\"platform\","
        "\"max_batch_size\",\"input\",\"output\"]}");
    gal_doc_raw(
        out, "ModelPort",
        "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"data_type\":{"
        "\"type\":\"string\",\"examples\":[\"TYPE_FP32\"]},\"dims\":{\"type\":\"array\","
        "\"items\":{\"type\":\"integer\",\"minimum\":-1}}},\"required\":[\"name\","
        "\"data_type\",\"dims\"]}");
}

static void put_scoring_schemas(struct gal_buf *out)
{
#define LIST "{\"type\":\"array\",\"items\":{}}"
#define ROWS "{\"type\":\"array\",\"items\":{},\"minItems\":1}"
    gal_doc_raw(out, "ScoringRequest",
                "{\"type\":\"object\",\"description\":\"exactly one of dataframe_split, "
                "dataframe_records, instances and inputs\",\"properties\":{\"dataframe_split\":{"
                "\"type\":\"object\",\"properties\":{\"columns\":" LIST ",\"index\":" LIST
                ",\"data\":" ROWS "},\"required\":[\"data\"]},\"dataframe_records\":" ROWS
                ",\"instances\":" ROWS ",\"inputs\":{\"description\":\"tensors by name, or the "
                "only input's\"},\"params\":{\"type\":[\"object\",\"null\"]}},"
                "\"additionalProperties\":false}");
#undef ROWS
#undef LIST
    gal_doc_raw(out, "ScoringResponse",
                "{\"type\":\"object\",\"properties\":{\"predictions\":{\"description\":\"an item "
                "a row, or whole tensors by name for instances and inputs\"}},\"required\":["
                "\"predictions\"]}");
    gal_doc_raw(out, "ScoringError",
                "{\"type\":\"object\",\"properties\":{\"error_code\":{\"type\":\"string\"},"
                "\"message\":{\"type\":\"string\"}},\"required\":[\"error_code\",\"message\"]}");
}

static void put_error_schemas(struct gal_buf *out)
{
    gal_doc_raw(out, "Error",
                "{\"type\":\"object\",\"properties\":{\"detail\":{\"anyOf\":[{\"type\":\"string\"},"
                "{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/FieldError\"}}]},"
                "\"request_id\":{\"type\":\"string\"}},\"required\":[\"detail\"]}");
    gal_doc_raw(out, "FieldError",
                "{\"type\":\"object\",\"properties\":{\"loc\":{\"type\":\"array\",\"items\":{"
                "\"type\":[\"string\",\"integer\"]}},\"field\":{\"type\":\"string\",\"examples\":["
                "\"instances[3].hour_of_day\"]},\"msg\":{\"type\":\"string\"},\"type\":{\"type\":"
                "\"string\"}},\"required\":[\"loc\",\"msg\",\"type\"]}");
    gal_doc_raw(
        out, "Flag",
        "{\"type\":\"object\",\"description\":\"an outlier, an answer of low confidence, or one "
        "that "
        "changes when numbers change a little\","
        "\"properties\":{\"instance\":{\"type\":\"integer\"},\"field\":{\"type\":\"string\"},"
        "\"msg\":{\"type\":\"string\"},\"type\":{\"enum\":[\"outlier\",\"confidence\","
        "\"stability\"]}},"
        "\"required\":[\"instance\",\"field\",\"msg\",\"type\"]}");
    gal_doc_raw(out, "InferError",
                "{\"type\":\"object\",\"properties\":{\"error\":{\"type\":\"string\"}},"
                "\"required\":[\"error\"]}");
}

void gal_doc_shared_schemas(struct gal_buf *out)
{
    put_statistics_schemas(out);
    gal_doc_raw(out, "PredictRequest",
                "{\"type\":\"object\",\"description\":\"features, instances, or the named features "
                "themselves; model_version\"}");
    gal_doc_raw(out, "PredictBatchRequest",
                "{\"type\":\"object\",\"properties\":{\"instances\":{\"type\":\"array\","
                "\"items\":{},\"minItems\":1},\"model_version\":{\"type\":[\"string\",\"null\"]}},"
                "\"required\":["
                "\"instances\"]}");
    gal_doc_raw(
        out, "PredictResponse",
        "{\"type\":\"object\",\"properties\":{\"request_id\":{\"type\":\"string\"},"
        "\"model_name\":{\"type\":\"string\"},\"model_version\":{\"type\":\"string\"},"
        "\"package_digest\":{\"type\":\"string\",\"description\":\"of a model that is a package\"},"
        "\"predictions\":{\"type\":\"array\",\"items\":{},\"description\":\"one item an instance, "
        "in "
        "order\"},\"prediction\":{\"description\":\"the only item, when one row was sent\"},"
        "\"outputs\":{\"type\":\"object\",\"description\":\"outputs that belong to no row\"},"
        "\"review\":{\"type\":\"boolean\",\"description\":\"true where there are flags\"},"
        "\"flags\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/Flag\"}},"
        "\"device\":{\"type\":\"string\"},\"processing_time_ms\":{\"type\":\"number\"},"
        "\"timestamp\":{\"type\":\"string\",\"format\":\"date-time\"}},\"required\":["
        "\"request_id\",\"model_name\",\"model_version\",\"predictions\",\"processing_time_ms\","
        "\"timestamp\"]}");
    gal_doc_raw(out, "Tensor",
                "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"datatype\":{"
                "\"type\":\"string\"},\"shape\":{\"type\":\"array\",\"items\":{\"type\":"
                "\"integer\"}},\"data\":{\"type\":\"array\",\"items\":{}},\"parameters\":{\"type\":"
                "\"object\"}},"
                "\"required\":[\"name\",\"shape\",\"datatype\"]}");
    gal_doc_raw(
        out, "InferRequest",
        "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"parameters\":{"
        "\"type\":\"object\"},\"inputs\":{\"type\":\"array\",\"items\":{}},\"outputs\":{\"type\":"
        "\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"name\":{\"type\":"
        "\"string\"},\"parameters\":{\"type\":\"object\"}},\"required\":[\"name\"]}}},"
        "\"required\":[\"inputs\"]}");
    gal_doc_raw(out, "InferResponse",
                "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"model_name\":{"
                "\"type\":\"string\"},\"model_version\":{\"type\":\"string\"},\"parameters\":{"
                "\"type\":\"object\"},\"outputs\":{\"type\":\"array\",\"items\":{}}},\"required\":["
                "\"model_name\",\"outputs\"]}");
    put_error_schemas(out);
    put_scoring_schemas(out);
    gal_doc_tfs_schemas(out);
    put_config_schemas(out);
}
