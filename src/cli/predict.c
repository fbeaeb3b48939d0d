/* SPDX-License-Identifier: Apache-2.0 */
/* A prediction without a server: the request takes the same road as over HTTP, from the route's
 * handler to the encoder, on this thread. */
#include "api/account.h"
#include "api/exchange.h"
#include "base/mem.h"
#include "cli/command.h"
#include "cli/loaded.h"
#include "cli/place.h"
#include "cli/print.h"
#include "cli/read.h"
#include "http/url.h"
#include "text/json.h"

#include <unistd.h>

#define PREDICT_BODY_BYTES_MAX GAL_BODY_BYTES_MAX

/* --- input --- */

/* -d TEXT, -d @FILE, -d @- or, without -d, standard input. out is owned by the caller. */
/* What stands behind SOURCE; NULL: nothing. */
static const char *behind_path(const struct gal_cli *cli)
{
    return cli->operand_count > 1 ? cli->operands[1] : NULL;
}

/* What -d says, or stands behind SOURCE; NULL: standard input. */
static const char *data_of(const struct gal_cli *cli)
{
    return gal_cli_has(cli, "data") ? gal_cli_value(cli, "data") : behind_path(cli);
}

static enum gal_status read_body(struct gal_cli *cli, struct gal_buf *out, struct gal_err *err)
{
    const char *data = data_of(cli);

    if (!data || data[0] == '@')
        return gal_cli_read(cli, data ? data + 1 : "-", PREDICT_BODY_BYTES_MAX, out, err);
    gal_buf_init(out, PREDICT_BODY_BYTES_MAX);
    gal_buf_puts(out, data);
    return out->failed ? gal_fail(err, GAL_TOO_LARGE, "the data is too large") : GAL_OK;
}

/* An object with an array `inputs` is an Open Inference Protocol request. What is no JSON is for
 * the handler to refuse. */
static bool is_oip(struct gal_str body)
{
    struct gal_arena arena;
    yyjson_val *root;
    bool result;

    gal_arena_init(&arena, 65536, 0, GAL_ARENA_BYTES_MAX);
    result = gal_json_read(body, &arena, GAL_JSON_DEPTH_MAX, &root, NULL) == GAL_OK &&
             yyjson_is_arr(yyjson_obj_get(root, "inputs"));
    gal_arena_release(&arena);
    return result;
}

/* --- request --- */

static void put_path(struct gal_buf *out, const struct gal_model *m, bool oip)
{
    gal_buf_puts(out, oip ? "/v2/models/" : "/v1/models/");
    gal_url_put_segment(out, gal_str_of(m->name));
    gal_buf_puts(out, "/versions/");
    gal_url_put_segment(out, gal_str_of(m->version));
    gal_buf_puts(out, oip ? "/infer" : "/predict");
}

static void on_finished(struct gal_exchange *x)
{
    *(bool *)x->carrier = true;
}

/* `error`, or `detail`: a text or a list of {field, msg}. Falls back on the body as it is. */
static void print_refusal(struct gal_cli *cli, struct gal_exchange *x, struct gal_str body)
{
    yyjson_val *root = NULL, *text, *detail;

    fprintf(cli->err, "galley: predict: ");
    if (gal_json_read(body, &x->arena, GAL_JSON_DEPTH_MAX, &root, NULL) != GAL_OK)
        root = NULL;
    text = yyjson_obj_get(root, "error");
    detail = yyjson_obj_get(root, "detail");
    if (yyjson_is_arr(detail)) {
        yyjson_val *first = yyjson_arr_get_first(detail);
        const char *field = yyjson_get_str(yyjson_obj_get(first, "field"));
        text = yyjson_obj_get(first, "msg");
        if (field && field[0] != '\0') { /* empty: the body as a whole */
            gal_print_text(cli->err, gal_str_of(field));
            fputs(": ", cli->err);
        }
    } else if (!text) {
        text = detail;
    }
    if (yyjson_is_str(text))
        body = (struct gal_str){yyjson_get_str(text), yyjson_get_len(text)};
    gal_print_text(cli->err, body);
    fputc('\n', cli->err);
}

static int print_answer(struct gal_cli *cli, struct gal_exchange *x)
{
    struct gal_buf body;
    int code = GAL_EXIT_OK;

    gal_buf_init(&body, GAL_RESPONSE_BYTES_MAX);
    for (size_t i = 0; i < x->resp.part_count; i++)
        gal_buf_put_str(&body, x->resp.parts[i]);
    if (x->resp.status == 200 && !body.failed) {
        gal_print_json(cli->out, gal_buf_str(&body), gal_cli_has(cli, "raw"));
    } else {
        print_refusal(cli, x, gal_buf_str(&body));
        code = GAL_EXIT_FAILURE;
    }
    gal_buf_release(&body);
    return code;
}

static int ask(struct gal_cli *cli, struct gal_api *api, const struct gal_model *m,
               struct gal_str body)
{
    struct gal_http_request *req = gal_calloc(1, sizeof(*req));
    struct gal_exchange *x = gal_calloc(1, sizeof(*x));
    bool finished = false;
    struct gal_buf path;
    int code = GAL_EXIT_FAILURE;

    gal_buf_init(&path, GAL_HTTP_TARGET_BYTES_MAX);
    put_path(&path, m, is_oip(body));
    if (!req || !x || path.failed) {
        struct gal_err err;
        gal_fail(&err, GAL_NO_MEMORY, "no memory for the request");
        gal_cli_fail(cli, code, &err);
        goto out;
    }
    gal_exchange_init(x, api);
    req->method = GAL_METHOD_POST;
    req->version_major = 1;
    req->version_minor = 1;
    req->target = req->path = gal_buf_str(&path);
    req->known[GAL_HDR_CONTENT_TYPE] = GAL_TYPE_JSON;
    req->content_length = (int64_t)body.n;
    req->body = body;
    x->req = req;
    x->on_finished = on_finished;
    x->carrier = &finished;
    gal_api_handle(x);
    GAL_ASSERT(finished); /* without a loop a job runs at once */
    code = print_answer(cli, x);
    gal_exchange_release(x);
out:
    gal_buf_release(&path);
    gal_free(x);
    gal_free(req);
    return code;
}

/* --- the command --- */

/* Everything that a loop has, without the loop. */
static int predict(struct gal_cli *cli, struct gal_catalog *catalog, const struct gal_model *m,
                   struct gal_str body)
{
    const struct gal_api_options options = {.body_bytes_max = PREDICT_BODY_BYTES_MAX,
                                            .instances_max = GAL_INSTANCES_MAX};
    struct gal_process process = {.loaded = true};
    struct gal_api api = {
        .options = &options, .process = &process, .catalog = catalog, .clock = &gal_clock_system};
    struct gal_err err;
    int code = GAL_EXIT_FAILURE;

    gal_rng_seed(&api.rng);
    gal_buf_init(&api.log_lines, 65536);
    if (gal_metrics_new(&api.metrics, &err) != GAL_OK ||
        gal_metrics_shard(api.metrics, &api.shard, &err) != GAL_OK ||
        gal_account_new(&api, &err) != GAL_OK)
        gal_cli_fail(cli, code, &err);
    else
        code = ask(cli, &api, m, body);
    gal_account_free(&api);
    gal_metrics_free(api.metrics);
    gal_buf_release(&api.log_lines);
    return code;
}

/* Fetches when it has to. place is to be closed in any case. */
static enum gal_status load(struct gal_cli *cli, const struct gal_config *config,
                            struct gal_place *place, struct gal_catalog **catalog,
                            struct gal_model **model, struct gal_err *err)
{
    struct gal_loading what = {.name = gal_str_of(gal_cli_value(cli, "model")),
                               .version = gal_str_of(gal_cli_value(cli, "version"))};
    char *scan = NULL;
    enum gal_status status = gal_place_open(cli, config, cli->operands[0], place, err);

    if (!status)
        status = gal_place_scan(place, &scan, err);
    what.path = scan;
    if (!status)
        status = gal_cli_load(config, &what, catalog, model, err);
    if (status)
        gal_place_explain(place, err);
    gal_free(scan);
    return status;
}

static int run_predict(struct gal_cli *cli)
{
    struct gal_place place = {.text = NULL};
    struct gal_catalog *catalog = NULL;
    struct gal_model *model = NULL;
    struct gal_config config;
    struct gal_buf body;
    struct gal_err err;
    const char *more = behind_path(cli);
    int code = GAL_EXIT_FAILURE;

    if (!data_of(cli) && isatty(fileno(cli->in)))
        return gal_cli_usage(cli, "no data: give -d JSON, @FILE, or pipe it in");
    if (more && (gal_cli_has(cli, "data") || (*more != '@' && *more != '{' && *more != '[')))
        return gal_cli_usage(cli, "'%s' is one argument too many; data is JSON or @FILE", more);
    gal_config_init(&config);
    gal_buf_init(&body, PREDICT_BODY_BYTES_MAX);
    if (gal_cli_config(cli, &config, &err) != GAL_OK || read_body(cli, &body, &err) != GAL_OK ||
        load(cli, &config, &place, &catalog, &model, &err) != GAL_OK)
        gal_cli_fail(cli, code, &err);
    else
        code = predict(cli, catalog, model, gal_buf_str(&body));
    if (catalog)
        gal_catalog_unref(catalog);
    gal_place_close(&place);
    gal_buf_release(&body);
    gal_config_release(&config);
    return code;
}

static const struct gal_option options[] = {
    {"data", 'd', "JSON", "The request; @FILE reads a file, @- standard input (the default)"},
    {"model", 'm', "NAME", "Which model, when SOURCE holds several"},
    {"version", '\0', "VERSION", "Which version; the newest unless given"},
    {"raw", '\0', NULL, "Print the answer as it would be sent, on a terminal too"},
};
static const struct gal_example examples[] = {
    {"galley predict model.onnx -d '{\"instances\": [[5.1, 3.5, 1.4, 0.2]]}'",
     "One row of numbers."},
    {"galley predict model.onnx -d '{\"features\": {\"age\": 42, \"country\": \"FR\"}}'",
     "Named features, for a model that has names."},
    {"galley predict models/ --model iris -d @request.json",
     "One of several models, with a request from a file. An Open Inference Protocol request "
     "works too."},
    {"galley predict models/iris @request.json", "The same without -d."},
    {"galley predict models:/fraud@champion @request.json", "A model of an MLflow server."},
    {"jq -c .row data.json | galley predict model.onnx | jq .predictions", "In a pipe."},
};

const struct gal_command gal_command_predict = {
    .name = "predict",
    .summary = "Ask a model once, without a server",
    .operands = "SOURCE [@FILE|JSON]",
    .words = "PATH",
    .operands_min = 1,
    .operands_max = 2,
    .text = "The request is what /v1/models/NAME/predict takes, or /v2/models/NAME/infer when it "
            "has \"inputs\"; the answer is the server's. The exit code is 0 for an answer, 1 for "
            "an error.\n\n" GAL_PLACE_HELP,
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .keys = GAL_KEYS(GAL_KEY_ONNXRUNTIME, GAL_KEY_INTRA_OP_THREADS, GAL_PLACE_KEYS),
    .examples = examples,
    .example_count = sizeof(examples) / sizeof(examples[0]),
    .run = run_predict,
};
