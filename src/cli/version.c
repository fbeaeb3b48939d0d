/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/onnx.h"
#include "cli/command.h"
#include "cli/print.h"
#include "text/json.h"

/* ONNX Runtime's version; NULL with the reason when it cannot be loaded. */
static const char *engine_version(const struct gal_config *config, struct gal_err *err)
{
    struct gal_backend_options options = gal_cli_backend(config);
    const char *version = NULL;

    gal_err_clear(err);
    return gal_backend_onnx.version(&options, &version, err) == GAL_OK ? version : NULL;
}

static void put_text(struct gal_cli *cli, const char *engine, const struct gal_err *err)
{
    fprintf(cli->out, "galley %s\n", GAL_VERSION);
    fprintf(cli->out, "ONNX Runtime %s%s%s\n", engine ? engine : "missing", engine ? "" : ": ",
            engine ? "" : err->message);
    fprintf(cli->out, "yyjson %s\n", YYJSON_VERSION_STRING);
    fprintf(cli->out, "compiler %s\n", __VERSION__);
}

static void put_member(struct gal_buf *out, const char *key, const char *value)
{
    gal_json_put_key(out, key);
    if (value)
        gal_json_put_str(out, gal_str_of(value));
    else
        gal_buf_puts(out, "null");
}

static void put_json(struct gal_cli *cli, const char *engine, const struct gal_err *err)
{
    struct gal_buf b;

    gal_buf_init(&b, 65536);
    gal_buf_putc(&b, '{');
    put_member(&b, "galley", GAL_VERSION);
    gal_buf_putc(&b, ',');
    put_member(&b, "onnxruntime", engine);
    if (!engine) {
        gal_buf_putc(&b, ',');
        put_member(&b, "onnxruntime_error", err->message);
    }
    gal_buf_putc(&b, ',');
    put_member(&b, "yyjson", YYJSON_VERSION_STRING);
    gal_buf_putc(&b, ',');
    put_member(&b, "compiler", __VERSION__);
    gal_buf_putc(&b, '}');
    gal_print_json(cli->out, gal_buf_str(&b), false);
    gal_buf_release(&b);
}

static int run_version(struct gal_cli *cli)
{
    struct gal_config config;
    struct gal_err err;
    const char *engine;
    int code = GAL_EXIT_OK;

    gal_config_init(&config);
    if (gal_cli_config(cli, &config, &err) != GAL_OK) {
        code = gal_cli_fail(cli, GAL_EXIT_FAILURE, &err);
        goto out;
    }
    engine = engine_version(&config, &err);
    if (gal_cli_has(cli, "json"))
        put_json(cli, engine, &err);
    else
        put_text(cli, engine, &err);
out:
    gal_config_release(&config);
    return code;
}

static const struct gal_option options[] = {
    {"json", '\0', NULL, "Print one JSON object"},
};
static const struct gal_example examples[] = {
    {"galley version", "The versions of galley, of the engine and of what it was built with."},
    {"galley version --json | jq -r .onnxruntime", "One of them, for a script."},
};

const struct gal_command gal_command_version = {
    .name = "version",
    .summary = "Show the versions of galley and of its engine",
    .operands = "",
    .words = "",
    .text = "A missing ONNX Runtime is shown with the reason and is no failure.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .keys = GAL_KEYS(GAL_KEY_ONNXRUNTIME),
    .examples = examples,
    .example_count = sizeof(examples) / sizeof(examples[0]),
    .run = run_version,
};
