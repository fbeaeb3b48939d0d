/* SPDX-License-Identifier: Apache-2.0 */
/* What the OpenAPI document says of KServe v1 and of TensorFlow Serving's REST API. */
#include "api/cloudevents.h"
#include "api/openapi.h"
#include "api/route.h"

enum kind { NONE, PREDICT, CLASSIFY, REGRESS, EXPLAIN, MODELS, STATE, METADATA };

static enum kind kind_of(const struct gal_route *r)
{
    static const struct {
        void (*handle)(struct gal_exchange *x);
        enum kind kind;
    } rows[] = {
        {gal_handle_tfs_predict, PREDICT},   {gal_handle_tfs_label_predict, PREDICT},
        {gal_handle_tfs_classify, CLASSIFY}, {gal_handle_tfs_label_classify, CLASSIFY},
        {gal_handle_tfs_regress, REGRESS},   {gal_handle_tfs_label_regress, REGRESS},
        {gal_handle_v1_explain, EXPLAIN},    {gal_handle_v1_models, MODELS},
        {gal_handle_v1_model, STATE},        {gal_handle_v1_label, STATE},
        {gal_handle_tfs_metadata, METADATA}, {gal_handle_tfs_label_metadata, METADATA},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].handle == r->handle)
            return rows[i].kind;
    return NONE;
}

bool gal_doc_tfs_runs(const struct gal_route *r)
{
    enum kind k = kind_of(r);

    return k == PREDICT || k == CLASSIFY || k == REGRESS;
}

/* --- examples --- */

/* Has every output that this protocol carries? */
static bool is_carried(const struct gal_model *m)
{
    for (size_t i = 0; i < m->info->output_count; i++) {
        const struct gal_port *p = &m->info->outputs[i];

        if (p->kind != GAL_KIND_TENSOR && p->kind != GAL_KIND_MAP && !p->of_maps)
            return false;
    }
    return true;
}

static bool has_rows(const struct gal_model *m)
{
    const struct gal_model_info *info = m->info;

    if (!m->batch_dim || !is_carried(m))
        return false;
    for (size_t i = 0; i < info->input_count; i++)
        if (!info->inputs[i].shape_known || info->inputs[i].rank == 0)
            return false;
    for (size_t i = 0; i < info->output_count; i++)
        if (!gal_doc_is_in_row(m, &info->outputs[i]))
            return false;
    return true;
}

static bool has_scores(const struct gal_model *m)
{
    for (size_t i = 0; i < m->info->output_count; i++) {
        const struct gal_port *p = &m->info->outputs[i];

        if (p->of_maps ||
            (p->kind == GAL_KIND_TENSOR && p->rank == 2 && gal_dtype_is_float(p->dtype)))
            return true;
    }
    return false;
}

static bool has_number(const struct gal_model *m)
{
    const struct gal_port *p = &m->info->outputs[0];

    return m->info->output_count == 1 && gal_doc_is_bare(m, p) && p->dtype != GAL_DT_BYTES;
}

static void put_example(struct gal_buf *out, const char *name, const struct gal_model *m,
                        enum gal_doc_form form)
{
    size_t before = out->n;

    gal_doc_open(out, name, '{');
    gal_doc_raw(out, "value", "");
    if (gal_doc_example(out, m, form))
        gal_doc_close(out, '}');
    else if (!out->failed)
        out->n = before;
}

static void put_examples(struct gal_buf *out, enum kind k, const struct gal_model *m)
{
    bool rows = has_rows(m);

    gal_doc_open(out, "examples", '{');
    if (k == PREDICT && rows)
        put_example(out, "rows", m, GAL_DOC_ROWS);
    if (k == PREDICT && is_carried(m))
        put_example(out, "columns", m, GAL_DOC_COLUMNS);
    if (rows && ((k == CLASSIFY && has_scores(m)) || (k == REGRESS && has_number(m))))
        put_example(out, "examples", m, GAL_DOC_EXAMPLES);
    gal_doc_close(out, '}');
}

/* --- operations --- */

static void put_request(struct gal_buf *out, const struct gal_route *r, enum kind k,
                        const struct gal_model *m)
{
    gal_doc_open(out, "requestBody", '{');
    gal_doc_raw(out, "required", k == EXPLAIN ? "false" : "true");
    gal_doc_open(out, "content", '{');
    gal_doc_open(out, "application/json", '{');
    if (k == EXPLAIN)
        gal_doc_raw(out, "schema", "{\"type\":\"object\"}");
    else
        gal_doc_ref(out, "schema", "schemas", "",
                    k == PREDICT ? "V1PredictRequest" : "V1ExamplesRequest");
    if (m != NULL && k != EXPLAIN)
        put_examples(out, k, m);
    gal_doc_close(out, '}');
    if (gal_event_takes(r))
        gal_doc_event_content(out, false);
    gal_doc_close(out, '}');
    gal_doc_close(out, '}');
}

static void put_answer(struct gal_buf *out, const struct gal_route *r, enum kind k)
{
    static const char *const schemas[] = {
        [PREDICT] = "V1PredictResponse", [CLASSIFY] = "V1ClassifyResponse",
        [REGRESS] = "V1RegressResponse", [MODELS] = "V1Models",
        [STATE] = "V1ModelState",        [METADATA] = "V1Metadata"};

    gal_doc_open(out, "200", '{');
    gal_doc_text(out, "description", r->summary);
    if (gal_event_takes(r)) {
        gal_doc_open(out, "headers", '{');
        gal_doc_event_headers(out);
        gal_doc_close(out, '}');
    }
    gal_doc_open(out, "content", '{');
    gal_doc_open(out, "application/json", '{');
    gal_doc_ref(out, "schema", "schemas", "", schemas[k]);
    gal_doc_close(out, '}');
    if (gal_event_takes(r))
        gal_doc_event_content(out, true);
    gal_doc_close(out, '}');
    gal_doc_close(out, '}');
}

bool gal_doc_tfs(struct gal_buf *out, const struct gal_route *r, const struct gal_model *m)
{
    static const char *const run[] = {"400", "404", "413", "415", "429",
                                      "500", "501", "503", "504", NULL};
    static const char *const look[] = {"404", "503", NULL}, *const none[] = {NULL},
                             *const explain[] = {"501", NULL};
    enum kind k = kind_of(r);
    const char *const *codes = gal_doc_tfs_runs(r) ? run
                               : k == EXPLAIN      ? explain
                               : k == MODELS       ? none
                                                   : look;

    if (k == NONE)
        return false;
    if (r->method == GAL_METHOD_POST)
        put_request(out, r, k, m);
    gal_doc_open(out, "responses", '{');
    if (k != EXPLAIN)
        put_answer(out, r, k);
    for (; *codes != NULL; codes++)
        gal_doc_ref(out, *codes, "responses", "Infer", *codes);
    gal_doc_close(out, '}');
    return true;
}

/* --- schemas --- */

static void put_state_schemas(struct gal_buf *out)
{
#define TEXT "{\"type\":\"string\"}"
    gal_doc_raw(
        out, "V1Models",
        "{\"type\":\"object\",\"properties\":{\"models\":{\"type\":\"array\",\"items\":" TEXT
        "}},\"required\":[\"models\"]}");
    gal_doc_raw(
        out, "V1ModelState",
        "{\"type\":\"object\",\"properties\":{\"name\":" TEXT
        ",\"ready\":{\"type\":\"boolean\"},\"model_version_status\":{\"type\":\"array\","
        "\"items\":{\"type\":\"object\",\"properties\":{\"version\":" TEXT
        ",\"state\":{\"enum\":[\"AVAILABLE\",\"LOADING\",\"START\",\"END\"]},\"status\":{\"type\":"
        "\"object\",\"properties\":{\"error_code\":" TEXT ",\"error_message\":" TEXT
        "},\"required\":[\"error_code\",\"error_message\"]}},\"required\":[\"version\","
        "\"state\",\"status\"]}}},\"required\":[\"name\",\"ready\","
        "\"model_version_status\"]}");
    gal_doc_raw(out, "V1Metadata",
                "{\"type\":\"object\",\"properties\":{\"model_spec\":{\"type\":\"object\","
                "\"properties\":{\"name\":" TEXT ",\"signature_name\":" TEXT ",\"version\":" TEXT
                "},\"required\":[\"name\",\"version\"]},\"metadata\":{\"type\":\"object\","
                "\"properties\":{\"signature_def\":{\"type\":\"object\"}},\"required\":["
                "\"signature_def\"]}},\"required\":[\"model_spec\",\"metadata\"]}");
#undef TEXT
}

void gal_doc_tfs_schemas(struct gal_buf *out)
{
#define SIGNATURE "\"signature_name\":{\"enum\":[\"\",\"serving_default\"]}"
#define ROWS "{\"type\":\"array\",\"minItems\":1,\"items\":"
    gal_doc_raw(out, "V1PredictRequest",
                "{\"type\":\"object\",\"properties\":{" SIGNATURE ",\"instances\":" ROWS
                "{\"description\":\"the only input's value, or inputs by name\"}},\"inputs\":{"
                "\"description\":\"the only input's whole tensor, or tensors by name\"}},"
                "\"oneOf\":[{\"required\":[\"instances\"]},{\"required\":[\"inputs\"]}],"
                "\"additionalProperties\":false}");
    gal_doc_raw(
        out, "V1PredictResponse",
        "{\"type\":\"object\",\"properties\":{\"predictions\":{\"type\":\"array\",\"items\":{"
        "\"description\":\"the only output's value, or outputs by name\"}},\"outputs\":{"
        "\"description\":\"the only output's whole tensor, or tensors by name\"}},"
        "\"oneOf\":[{\"required\":[\"predictions\"]},{\"required\":[\"outputs\"]}]}");
    gal_doc_raw(out, "V1ExamplesRequest",
                "{\"type\":\"object\",\"properties\":{" SIGNATURE
                ",\"context\":{\"type\":\"object\",\"description\":\"inputs that examples leave "
                "out\"},\"examples\":" ROWS "{\"type\":\"object\",\"description\":\"inputs by "
                "name\"}}},\"required\":[\"examples\"],\"additionalProperties\":false}");
    gal_doc_raw(out, "V1ClassifyResponse",
                "{\"type\":\"object\",\"properties\":{\"results\":{\"type\":\"array\",\"items\":{"
                "\"type\":\"array\",\"items\":{\"type\":\"array\",\"description\":\"label, score\","
                "\"prefixItems\":[{\"type\":\"string\"},{\"type\":[\"number\",\"string\"]}],"
                "\"items\":{},\"minItems\":2,\"maxItems\":2}}}},\"required\":[\"results\"]}");
    gal_doc_raw(out, "V1RegressResponse",
                "{\"type\":\"object\",\"properties\":{\"results\":{\"type\":\"array\",\"items\":{"
                "\"type\":[\"number\",\"string\",\"boolean\"]}}},\"required\":[\"results\"]}");
#undef ROWS
#undef SIGNATURE
    put_state_schemas(out);
}
