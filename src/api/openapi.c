/* SPDX-License-Identifier: Apache-2.0 */
/* The document: a path for each route, and for each model and version where the route names one. */
#include "api/openapi.h"

#include "api/cloudevents.h"
#include "api/links.h"
#include "base/map.h"
#include "base/mem.h"

#define DOCUMENT_BYTES_MAX (256ul << 20) /* thousands of models */
#define SERVER_TAG "galley server"

/* A loop's copy and what it was made from. */
struct gal_openapi {
    struct gal_buf text;
    const struct gal_catalog *catalog; /* compared only; catalog_age tells successors apart */
    uint64_t age;
    size_t ready, failed;
};

struct doc {
    struct gal_buf *out;
    const struct gal_api *api; /* what it serves; NULL: everything */
    const struct gal_catalog *catalog;
    const struct gal_model *fallback; /* the default model; NULL: none */
    const char *fallback_prefix;
    const char ***prefixes; /* [entry][version]: of the names of its schemas, "iris_1." */
};

/* --- names of schemas --- */

/* "NAME_VERSION." of plain characters, with a number behind it when that is taken. */
static const char *make_prefix(const struct gal_model *m, struct gal_map *used,
                               struct gal_arena *arena)
{
    char *plain = gal_arena_printf(arena, "%s_%s", m->name, m->version);

    if (plain == NULL)
        return NULL;
    for (char *p = plain; *p != '\0'; p++)
        if (!((*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') ||
              *p == '_' || *p == '-'))
            *p = '_';
    for (unsigned n = 1;; n++) {
        const char *key = n == 1 ? plain : gal_arena_printf(arena, "%s_%u", plain, n);

        if (key == NULL)
            return NULL;
        if (gal_map_get(used, gal_str_of(key)) != NULL)
            continue;
        if (gal_map_set(used, gal_str_of(key), plain) != GAL_OK)
            return NULL;
        return gal_arena_printf(arena, "%s.", key);
    }
}

static enum gal_status make_prefixes(struct doc *d, struct gal_arena *arena, struct gal_err *err)
{
    const struct gal_catalog *c = d->catalog;
    bool done = true;
    struct gal_map used;

    gal_map_init(&used);
    d->prefixes = gal_arena_array(arena, c->count, sizeof(*d->prefixes));
    done = d->prefixes != NULL;
    for (size_t i = 0; done && i < c->count; i++) {
        const struct gal_catalog_entry *e = &c->entries[i];

        d->prefixes[i] = gal_arena_array(arena, e->version_count, sizeof(**d->prefixes));
        done = d->prefixes[i] != NULL;
        for (size_t k = 0; done && k < e->version_count; k++) {
            d->prefixes[i][k] = make_prefix(e->versions[k], &used, arena);
            done = d->prefixes[i][k] != NULL;
        }
    }
    gal_map_release(&used);
    return done ? GAL_OK : gal_fail(err, GAL_NO_MEMORY, "no memory for the OpenAPI document");
}

/* Index of the version that answers where none is asked for. */
static size_t serving(const struct gal_catalog_entry *e)
{
    for (size_t k = 0; k < e->version_count; k++)
        if (gal_model_state(e->versions[k]) == GAL_MODEL_READY)
            return k;
    return 0;
}

static void find_fallback(struct doc *d, struct gal_str name)
{
    struct gal_model *m = NULL;
    size_t i, k = 0;

    if (gal_catalog_default(d->catalog, name, &m, NULL) != GAL_OK)
        return;
    i = (size_t)(gal_catalog_find(d->catalog, gal_str_of(m->name)) - d->catalog->entries);
    while (d->catalog->entries[i].versions[k] != m)
        k++;
    d->fallback = m;
    d->fallback_prefix = d->prefixes[i][k];
}

/* --- operations --- */

/* What an operation is about: a model (NULL: none, or one that is not known) and its schemas. */
struct subject {
    const struct gal_model *model;
    const char *prefix;
};

static bool is_ready(const struct gal_model *m)
{
    return m != NULL && gal_model_state(m) == GAL_MODEL_READY;
}

static void put_example(struct doc *d, const char *name, const struct gal_model *m,
                        enum gal_doc_form form)
{
    size_t before = d->out->n;

    gal_doc_open(d->out, name, '{');
    gal_doc_raw(d->out, "value", "");
    if (gal_doc_example(d->out, m, form))
        gal_doc_close(d->out, '}');
    else if (!d->out->failed)
        d->out->n = before;
}

/* What a body may be beside JSON. */
static void put_other_types(struct doc *d, const struct gal_route *r, const struct gal_model *m)
{
    if (r->dialect == GAL_DIALECT_OIP)
        gal_doc_raw(d->out, "application/octet-stream", "{}");
    if (r->dialect == GAL_DIALECT_MLFLOW) {
        gal_doc_raw(d->out, "text/csv", "{\"schema\":{\"type\":\"string\"}}");
        gal_doc_raw(d->out, "application/jsonlines", "{\"schema\":{\"type\":\"string\"}}");
    }
    if (is_ready(m) && m->config.image.on && r->handle != gal_handle_predict_batch) {
        gal_doc_raw(d->out, "image/png", "{}");
        gal_doc_raw(d->out, "image/jpeg", "{}");
    }
}

static void put_request(struct doc *d, const struct gal_route *r, const struct subject *s)
{
    bool oip = r->dialect == GAL_DIALECT_OIP, mlflow = r->dialect == GAL_DIALECT_MLFLOW;
    bool batch = r->handle == gal_handle_predict_batch;

    gal_doc_open(d->out, "requestBody", '{');
    gal_doc_raw(d->out, "required", "true");
    gal_doc_open(d->out, "content", '{');
    gal_doc_open(d->out, "application/json", '{');
    gal_doc_ref(d->out, "schema", "schemas", is_ready(s->model) && !mlflow ? s->prefix : "",
                mlflow  ? "ScoringRequest"
                : oip   ? "InferRequest"
                : batch ? "PredictBatchRequest"
                        : "PredictRequest");
    if (is_ready(s->model)) {
        gal_doc_open(d->out, "examples", '{');
        if (oip)
            put_example(d, "row", s->model, GAL_DOC_INFER);
        else if (!batch && !mlflow)
            put_example(d, "row", s->model, GAL_DOC_FEATURES);
        if (!oip)
            put_example(d, "instances", s->model, GAL_DOC_INSTANCES);
        gal_doc_close(d->out, '}');
    }
    gal_doc_close(d->out, '}');
    put_other_types(d, r, s->model);
    if (gal_event_takes(r))
        gal_doc_event_content(d->out, false);
    gal_doc_close(d->out, '}');
    gal_doc_close(d->out, '}');
}

/* How components/responses begin in a dialect. */
static const char *error_prefix(const struct gal_route *r)
{
    if (r->dialect == GAL_DIALECT_MLFLOW)
        return "Scoring";
    return r->dialect == GAL_DIALECT_OIP ? "Infer" : "Native";
}

static void put_errors(struct gal_buf *out, const struct gal_route *r, const char *const *codes)
{
    for (; *codes != NULL; codes++)
        gal_doc_ref(out, *codes, "responses", error_prefix(r), *codes);
}

static void put_answers(struct doc *d, const struct gal_route *r, const struct subject *s)
{
    static const char *const native[] = {"400", "404", "413", "415", "422", "429",
                                         "500", "501", "503", "504", NULL};
    static const char *const oip[] = {"400", "404", "413", "415", "429",
                                      "500", "501", "503", "504", NULL};
    bool is_oip = r->dialect == GAL_DIALECT_OIP, mlflow = r->dialect == GAL_DIALECT_MLFLOW;

    gal_doc_open(d->out, "responses", '{');
    gal_doc_open(d->out, "200", '{');
    gal_doc_text(d->out, "description", "The model's answer");
    gal_doc_open(d->out, "headers", '{');
    gal_doc_ref(d->out, "X-Request-ID", "headers", "", "RequestId");
    if (gal_event_takes(r))
        gal_doc_event_headers(d->out);
    gal_doc_close(d->out, '}');
    gal_doc_open(d->out, "content", '{');
    gal_doc_open(d->out, "application/json", '{');
    gal_doc_ref(d->out, "schema", "schemas", is_ready(s->model) && !mlflow ? s->prefix : "",
                mlflow   ? "ScoringResponse"
                : is_oip ? "InferResponse"
                         : "PredictResponse");
    gal_doc_close(d->out, '}');
    if (mlflow)
        gal_doc_raw(d->out, "text/csv", "{\"schema\":{\"type\":\"string\"}}");
    else if (is_oip)
        gal_doc_raw(d->out, "application/octet-stream", "{}");
    if (gal_event_takes(r))
        gal_doc_event_content(d->out, true);
    gal_doc_close(d->out, '}');
    gal_doc_close(d->out, '}');
    put_errors(d->out, r, is_oip || mlflow ? oip : native);
    gal_doc_close(d->out, '}');
}

static bool is_stats(const struct gal_route *r)
{
    return r->handle == gal_handle_oip_stats || r->handle == gal_handle_oip_model_stats;
}

/* What a 200 of a route without a request body holds. */
static void put_plain_content(struct doc *d, const struct gal_route *r)
{
    const char *type = "application/json";

    if (r->id == GAL_ROUTE_METRICS || r->id == GAL_ROUTE_VERSION || r->id == GAL_ROUTE_PING)
        type = "text/plain";
    else if (r->id == GAL_ROUTE_DOCS)
        type = "text/html";
    gal_doc_open(d->out, "content", '{');
    gal_doc_open(d->out, type, '{');
    if (is_stats(r))
        gal_doc_ref(d->out, "schema", "schemas", "", "Statistics");
    else if (r->handle == gal_handle_oip_config)
        gal_doc_ref(d->out, "schema", "schemas", "", "ModelConfig");
    else
        gal_doc_raw(d->out, "schema",
                    type[0] == 't' ? "{\"type\":\"string\"}" : "{\"type\":\"object\"}");
    gal_doc_close(d->out, '}');
    if (r->id == GAL_ROUTE_ROOT)
        gal_doc_raw(d->out, "text/html", "{\"schema\":{\"type\":\"string\"}}");
    if (r->id == GAL_ROUTE_METRICS)
        gal_doc_raw(d->out, "application/openmetrics-text",
                    "{\"schema\":{\"type\":\"string\"}},\"application/vnd.google.protobuf\":{}");
    gal_doc_close(d->out, '}');
}

static void put_plain_answers(struct doc *d, const struct gal_route *r)
{
    static const char *const model[] = {"404", "503", NULL};
    bool upgrades = r->handle == gal_handle_websocket;

    gal_doc_open(d->out, "responses", '{');
    gal_doc_open(d->out, upgrades ? "101" : "200", '{');
    gal_doc_text(d->out, "description", r->summary);
    if (!upgrades)
        put_plain_content(d, r);
    gal_doc_close(d->out, '}');
    if (upgrades)
        gal_doc_raw(d->out, "426",
                    "{\"description\":\"The request is no WebSocket handshake of version 13\"}");
    if (gal_link_has(r, "{model}"))
        put_errors(d->out, r, model);
    else if (r->handle == gal_handle_health || r->handle == gal_handle_ready ||
             r->handle == gal_handle_startup || r->handle == gal_handle_oip_ready ||
             r->handle == gal_handle_ping)
        gal_doc_raw(d->out, "503",
                    "{\"description\":\"Not so; the body says why\",\"content\":{"
                    "\"application/json\":{\"schema\":{\"type\":\"object\"}}}}");
    gal_doc_close(d->out, '}');
}

/* An inference, with a body that the model's schemas describe? */
static bool is_inference(const struct gal_route *r)
{
    return r->handle == gal_handle_oip_infer || r->handle == gal_handle_predict ||
           r->handle == gal_handle_predict_batch || r->dialect == GAL_DIALECT_MLFLOW;
}

static bool is_generate(const struct gal_route *r)
{
    return r->handle == gal_handle_generate || r->handle == gal_handle_generate_stream;
}

/* The body of what manages the server, and generate's: an object, which the documentation tells. */
static void put_object_request(struct doc *d, const struct gal_route *r)
{
    gal_doc_open(d->out, "requestBody", '{');
    gal_doc_raw(d->out, "required", is_generate(r) ? "true" : "false");
    gal_doc_open(d->out, "content", '{');
    gal_doc_raw(d->out, "application/json", "{\"schema\":{\"type\":\"object\"}}");
    if (gal_event_takes(r))
        gal_doc_event_content(d->out, false);
    gal_doc_close(d->out, '}');
    gal_doc_close(d->out, '}');
}

static void put_managing_answers(struct doc *d, const struct gal_route *r)
{
    static const char *const codes[] = {"400", "404", "500", "501", "503", NULL};

    gal_doc_open(d->out, "responses", '{');
    gal_doc_open(d->out, "200", '{');
    gal_doc_text(d->out, "description", r->summary);
    gal_doc_open(d->out, "content", '{');
    if (r->handle == gal_handle_generate_stream)
        gal_doc_raw(d->out, "text/event-stream", "{\"schema\":{\"type\":\"string\"}}");
    else if (r->handle == gal_handle_repository_index || r->handle == gal_handle_shm_status)
        gal_doc_raw(d->out, "application/json",
                    "{\"schema\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}}");
    else
        gal_doc_raw(d->out, "application/json", "{\"schema\":{\"type\":\"object\"}}");
    if (gal_event_takes(r))
        gal_doc_event_content(d->out, true);
    gal_doc_close(d->out, '}');
    gal_doc_close(d->out, '}');
    put_errors(d->out, r, codes);
    gal_doc_close(d->out, '}');
}

/* `{region}`: the path stands as a template. */
static void put_path_parameters(struct doc *d, const struct gal_route *r)
{
    const char *p = r->pattern;

    while ((p = strchr(p, '{')) != NULL) {
        size_t n = strcspn(++p, "}");

        if (strncmp(p, "model}", 6) == 0 || strncmp(p, "version}", 8) == 0)
            continue;
        gal_doc_open(d->out, NULL, '{');
        gal_doc_str(d->out, "name", (struct gal_str){p, n});
        gal_doc_raw(d->out, "in", "\"path\",\"required\":true,\"schema\":{\"type\":\"string\"}");
        if (strncmp(p, "label}", 6) == 0)
            gal_doc_text(d->out, "example", "latest");
        gal_doc_close(d->out, '}');
    }
}

static bool manages(const struct gal_route *r)
{
    return (r->method == GAL_METHOD_POST && !is_inference(r)) || r->handle == gal_handle_shm_status;
}

static void put_parameters(struct doc *d, const struct gal_route *r)
{
    bool runs = is_inference(r) || is_generate(r) || gal_doc_tfs_runs(r);

    gal_doc_open(d->out, "parameters", '[');
    gal_doc_ref(d->out, NULL, "parameters", "", "RequestId");
    gal_doc_ref(d->out, NULL, "parameters", "", "CorrelationId");
    put_path_parameters(d, r);
    if (runs && !gal_link_has(r, "{version}") && !gal_link_has(r, "{label}"))
        gal_doc_ref(d->out, NULL, "parameters", "", "ModelVersion");
    if (runs) {
        gal_doc_ref(d->out, NULL, "parameters", "", "Timeout");
        gal_doc_ref(d->out, NULL, "parameters", "", "ProxyTimeout");
        gal_doc_ref(d->out, NULL, "parameters", "", "Priority");
    }
    if (gal_event_takes(r))
        gal_doc_event_parameters(d->out);
    if (r->handle == gal_handle_health)
        gal_doc_ref(d->out, NULL, "parameters", "", "Deep");
    if (r->handle == gal_handle_websocket)
        gal_doc_ref(d->out, NULL, "parameters", "", "Ordered");
    gal_doc_close(d->out, ']');
}

/* "v1_version_predict/iris/2": a model's name holds no slash. */
static void put_operation_id(struct doc *d, const struct gal_route *r, const struct gal_model *m)
{
    gal_doc_raw(d->out, "operationId", "\"");
    gal_link_put_id(d->out, r);
    if (gal_link_has(r, "{model}"))
        gal_link_put_tail(d->out, m->name);
    if (gal_link_has(r, "{version}"))
        gal_link_put_tail(d->out, m->version);
    gal_buf_putc(d->out, '"');
}

static void put_operation(struct doc *d, const struct gal_route *r, const struct subject *s)
{
    bool named = gal_link_has(r, "{model}");

    gal_doc_open(d->out, r->method == GAL_METHOD_GET ? "get" : "post", '{');
    gal_doc_open(d->out, "tags", '[');
    gal_doc_text(d->out, NULL, named ? s->model->name : SERVER_TAG);
    gal_doc_close(d->out, ']');
    gal_doc_text(d->out, "summary", r->summary);
    put_operation_id(d, r, s->model);
    put_parameters(d, r);
    if (gal_doc_tfs(d->out, r, is_ready(s->model) ? s->model : NULL)) {
        gal_doc_close(d->out, '}');
        return;
    }
    if (r->method == GAL_METHOD_POST && is_inference(r))
        put_request(d, r, s);
    else if (r->method == GAL_METHOD_POST)
        put_object_request(d, r);
    if (manages(r))
        put_managing_answers(d, r);
    else if (r->method == GAL_METHOD_POST)
        put_answers(d, r, s);
    else
        put_plain_answers(d, r);
    gal_doc_close(d->out, '}');
}

/* The route's path with every method that it has; nothing when an earlier route has said it. */
static void put_path(struct doc *d, const struct gal_route *r, const struct subject *s)
{
    bool named = gal_link_has(r, "{model}");
    struct gal_str none = {NULL, 0};

    GAL_ASSERT(!named || s->model != NULL);
    for (size_t i = 0; i < r->id; i++)
        if (strcmp(gal_routes[i].pattern, r->pattern) == 0)
            return;
    gal_doc_raw(d->out, NULL, "\"");
    gal_link_put_path(d->out, r, named ? gal_str_of(s->model->name) : none,
                      named ? gal_str_of(s->model->version) : none);
    gal_buf_puts(d->out, "\":{");
    for (size_t i = r->id; i < GAL_ROUTE_COUNT; i++)
        if (strcmp(gal_routes[i].pattern, r->pattern) == 0 &&
            gal_link_serves(d->api, &gal_routes[i]))
            put_operation(d, &gal_routes[i], s);
    gal_buf_putc(d->out, '}');
}

static void put_model_paths(struct doc *d, const struct gal_route *r)
{
    for (size_t i = 0; i < d->catalog->count; i++) {
        const struct gal_catalog_entry *e = &d->catalog->entries[i];
        bool all = gal_link_has(r, "{version}");

        for (size_t k = all ? 0 : serving(e); k < e->version_count; k++) {
            put_path(d, r, &(struct subject){e->versions[k], d->prefixes[i][k]});
            if (!all)
                break;
        }
    }
}

static void put_paths(struct doc *d)
{
    gal_doc_open(d->out, "paths", '{');
    for (size_t i = 0; i < GAL_ROUTE_COUNT; i++) {
        const struct gal_route *r = &gal_routes[i];

        if (gal_link_has(r, "{asset}") || !gal_link_serves(d->api, r))
            continue;
        if (gal_link_has(r, "{model}"))
            put_model_paths(d, r);
        else
            put_path(d, r, &(struct subject){d->fallback, d->fallback_prefix});
    }
    gal_doc_close(d->out, '}');
}

/* --- the rest of the document --- */

static void put_tags(struct doc *d)
{
    gal_doc_open(d->out, "tags", '[');
    for (size_t i = 0; i < d->catalog->count; i++) {
        const struct gal_catalog_entry *e = &d->catalog->entries[i];
        const struct gal_model *m = e->versions[serving(e)];

        gal_doc_open(d->out, NULL, '{');
        gal_doc_str(d->out, "name", e->name);
        if (is_ready(m) && m->info->description != NULL && m->info->description[0] != '\0')
            gal_doc_text(d->out, "description", m->info->description);
        else if (!is_ready(m))
            gal_doc_text(d->out, "description", gal_state_text(m));
        gal_doc_close(d->out, '}');
    }
    if (gal_catalog_find(d->catalog, GAL_STR(SERVER_TAG)) == NULL)
        gal_doc_raw(d->out, NULL, "{\"name\":\"" SERVER_TAG "\"}");
    gal_doc_close(d->out, ']');
}

static void put_responses(struct gal_buf *out)
{
    static const char *const rows[][2] = {
        {"400", "The body cannot be read, or does not fit the model"},
        {"404", "No such model or version"},
        {"413", "The body is too large"},
        {"415", "The body's type or content coding is not supported"},
        {"422", "The body does not fit the model; each wrong field is named"},
        {"429", "Too many requests wait for the model"},
        {"500", "The inference failed"},
        {"501", "The model has an input or output that this protocol cannot carry"},
        {"503", "The model is not ready, or the server is shutting down"},
        {"504", "The deadline passed"},
    };

    static const char *const dialects[][2] = {
        {"Native", "Error"}, {"Infer", "InferError"}, {"Scoring", "ScoringError"}};

    gal_doc_open(out, "responses", '{');
    for (size_t k = 0; k < sizeof(dialects) / sizeof(dialects[0]); k++)
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            gal_doc_raw(out, NULL, "\"");
            gal_buf_puts(out, dialects[k][0]);
            gal_buf_puts(out, rows[i][0]);
            gal_buf_puts(out, "\":{");
            gal_doc_text(out, "description", rows[i][1]);
            gal_doc_raw(out, "content", "{\"application/json\":{\"schema\":");
            gal_doc_ref(out, NULL, "schemas", "", dialects[k][1]);
            gal_buf_puts(out, "}}}");
        }
    gal_doc_close(out, '}');
}

static void put_components(struct doc *d)
{
    gal_doc_open(d->out, "components", '{');
    gal_doc_open(d->out, "schemas", '{');
    gal_doc_shared_schemas(d->out);
    gal_doc_event_schemas(d->out);
    for (size_t i = 0; i < d->catalog->count; i++)
        for (size_t k = 0; k < d->catalog->entries[i].version_count; k++)
            if (is_ready(d->catalog->entries[i].versions[k]))
                gal_doc_model_schemas(d->out, d->catalog->entries[i].versions[k],
                                      d->prefixes[i][k]);
    gal_doc_close(d->out, '}');
    put_responses(d->out);
    gal_doc_raw(
        d->out, "parameters",
        "{\"RequestId\":{\"name\":\"X-Request-ID\",\"in\":\"header\",\"required\":false,"
        "\"description\":\"comes back; one is made when there is none\",\"schema\":{\"type\":"
        "\"string\",\"maxLength\":128}},\"CorrelationId\":{\"name\":\"X-Correlation-ID\",\"in\":"
        "\"header\",\"required\":false,\"schema\":{\"type\":\"string\",\"maxLength\":128}},"
        "\"ModelVersion\":{\"name\":\"X-Model-Version\",\"in\":\"header\",\"required\":false,"
        "\"description\":\"the newest unless given\",\"schema\":{\"type\":\"string\"}},"
        "\"Timeout\":{\"name\":\"X-Request-Timeout-Ms\",\"in\":\"header\",\"required\":false,"
        "\"description\":\"milliseconds from the request's arrival in which the model is to begin "
        "it, else 504; can only shorten the server's; 0 says nothing\",\"schema\":{\"type\":"
        "\"integer\",\"minimum\":0,\"maximum\":999999999999999}},"
        "\"ProxyTimeout\":{\"name\":\"X-Envoy-Expected-Rq-Timeout-Ms\",\"in\":\"header\","
        "\"required\":false,\"description\":\"the same, as Envoy sends it; the shortest counts\","
        "\"schema\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":999999999999999}},"
        "\"Priority\":{\"name\":\"X-Request-Priority\",\"in\":\"header\",\"required\":false,"
        "\"description\":\"1 is the most urgent; 0: the model's default; beyond the model's "
        "levels: "
        "the last\",\"schema\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":"
        "999999999999999}},\"Deep\":{"
        "\"name\":\"deep\",\"in\":\"query\",\"required\":false,\"description\":\"1 runs the "
        "models\",\"schema\":{\"type\":\"string\",\"enum\":[\"0\",\"1\"]}},\"Ordered\":{"
        "\"name\":\"ordered\",\"in\":\"query\",\"required\":false,\"description\":\"true: answers "
        "come in the order of the requests\",\"schema\":{\"type\":\"boolean\"}}");
    gal_doc_event_parameter_list(d->out);
    gal_doc_close(d->out, '}');
    gal_doc_open(d->out, "headers", '{');
    gal_doc_raw(d->out, "RequestId",
                "{\"description\":\"the request's identifier\",\"schema\":{\"type\":\"string\"}}");
    gal_doc_event_header_list(d->out);
    gal_doc_close(d->out, '}');
    gal_doc_close(d->out, '}');
}

enum gal_status gal_openapi_write(const struct gal_api *api, const struct gal_catalog *catalog,
                                  struct gal_str default_model, struct gal_arena *arena,
                                  struct gal_buf *out, struct gal_err *err)
{
    struct doc d = {.out = out, .api = api, .catalog = catalog};

    if (make_prefixes(&d, arena, err) != GAL_OK)
        return GAL_NO_MEMORY;
    find_fallback(&d, default_model);
    gal_doc_open(out, NULL, '{');
    gal_doc_text(out, "openapi", "3.1.0");
    gal_doc_raw(
        out, "info",
        "{\"title\":\"galley\",\"version\":\"" GAL_VERSION
        "\",\"description\":\"Predictions by the models that this server has loaded: native "
        "REST, the Open Inference Protocol, MLflow's and SageMaker's "
        "scoring, KServe v1 and TensorFlow Serving.\",\"license\":{\"name\":\"Apache-2.0\","
        "\"identifier\":\"Apache-2.0\"}}");
    gal_doc_raw(out, "servers", "[{\"url\":\"/\"}]");
    put_tags(&d);
    put_paths(&d);
    put_components(&d);
    gal_doc_close(out, '}');
    if (out->failed)
        return gal_fail(err, GAL_TOO_LARGE, "the OpenAPI document does not fit into memory");
    return GAL_OK;
}

/* --- the loop's copy --- */

static void count_states(const struct gal_catalog *c, size_t *ready, size_t *failed)
{
    *ready = *failed = 0;
    for (size_t i = 0; i < c->count; i++)
        for (size_t k = 0; k < c->entries[i].version_count; k++) {
            enum gal_model_state state = gal_model_state(c->entries[i].versions[k]);

            *ready += state == GAL_MODEL_READY;
            *failed += state == GAL_MODEL_FAILED;
        }
}

/* States are read before the document is made: one that changes meanwhile makes it anew. */
static enum gal_status refresh(struct gal_exchange *x, struct gal_openapi *o, struct gal_err *err)
{
    struct gal_api *api = x->api;
    uint64_t age = api->process->catalog_age;
    size_t ready, failed;
    enum gal_status st;

    count_states(api->catalog, &ready, &failed);
    if (o->text.n > 0 && o->catalog == api->catalog && o->age == age && o->ready == ready &&
        o->failed == failed)
        return GAL_OK;
    gal_buf_clear(&o->text, DOCUMENT_BYTES_MAX);
    st =
        gal_openapi_write(api, api->catalog, api->options->default_model, &x->arena, &o->text, err);
    if (st != GAL_OK) {
        gal_buf_clear(&o->text, 0);
        return st;
    }
    o->catalog = api->catalog;
    o->age = age;
    o->ready = ready;
    o->failed = failed;
    return GAL_OK;
}

void gal_openapi_free(struct gal_api *api)
{
    if (api->openapi != NULL)
        gal_buf_release(&api->openapi->text);
    gal_free(api->openapi);
    api->openapi = NULL;
}

void gal_handle_openapi(struct gal_exchange *x)
{
    struct gal_api *api = x->api;
    struct gal_err err;

    if (api->openapi == NULL) {
        api->openapi = gal_calloc(1, sizeof(*api->openapi));
        if (api->openapi != NULL)
            gal_buf_init(&api->openapi->text, DOCUMENT_BYTES_MAX);
    }
    if (api->openapi == NULL) {
        gal_fail(&err, GAL_NO_MEMORY, "no memory for the OpenAPI document");
        gal_exchange_fail(x, &err);
    } else if (refresh(x, api->openapi, &err) != GAL_OK) {
        gal_exchange_fail(x, &err);
    } else {
        /* A copy: the loop's own may be made anew while this answer is on its way. */
        gal_buf_put_str(&x->out, gal_buf_str(&api->openapi->text));
        gal_exchange_finish(x, 200, GAL_TYPE_JSON);
    }
}
