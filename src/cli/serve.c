/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "cli/command.h"
#include "cli/help.h"
#include "net/loop.h"
#include "server/server.h"
#include "source/env.h"
#include "source/source.h"

#include <malloc.h>
#include <unistd.h>

#define MODELS "/models"

#ifdef M_MMAP_THRESHOLD
/* Freed at once, and kept by each thread's heap. */
#define LARGE_BYTES (4 << 20)
#define KEPT_BYTES (8 << 20)

/* The engine takes memory for each inference's outputs. Taken from the system and given back each
 * time, an image's costs more in page faults than in all else, so heaps keep what is not large;
 * what a large request took goes back to the system with it. */
static void keep_memory(void)
{
    mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
}
#else
static void keep_memory(void)
{
}
#endif

/* MODEL_PATH and its kin, where no path is named otherwise. */
static enum gal_status read_model_env(struct gal_config *c, char *const *env, struct gal_err *err)
{
    const char *source, *name = gal_env(env, "MODEL_NAME");
    enum gal_status status = gal_source_from_env(env, &c->arena, &source, err);

    if (status != GAL_OK || source == NULL)
        return status;
    if (name != NULL)
        status = gal_config_set(c, &gal_config_rows[GAL_KEY_MODEL_NAME], GAL_FROM_DEFAULT, name,
                                "MODEL_NAME", err);
    return status == GAL_OK ? gal_config_add_path(c, GAL_FROM_ENV, gal_str_of(source), err)
                            : status;
}

/* What images and charts mount, where nothing else is named. */
static enum gal_status add_default(struct gal_config *c, struct gal_err *err)
{
    struct gal_file_info info;

    if (gal_file_stat(MODELS, &info, NULL) != GAL_OK || info.kind != GAL_FILE_DIR)
        return GAL_OK;
    return gal_config_add_path(c, GAL_FROM_DEFAULT, GAL_STR(MODELS), err);
}

/* Flags, environment and file, as at the start: the server calls it again on SIGHUP. */
static enum gal_status read_config(struct gal_config *c, void *ctx, struct gal_err *err)
{
    const struct gal_cli *cli = ctx;
    enum gal_status status = gal_cli_config(cli, c, err);

    for (size_t i = 0; i < cli->operand_count && status == GAL_OK; i++)
        status = gal_config_add_path(c, GAL_FROM_FLAG, gal_str_of(cli->operands[i]), err);
    for (size_t i = 0; i < cli->given_count && status == GAL_OK; i++) {
        const struct gal_given *g = &cli->given[i];
        if (g->own && strcmp(g->own->name, "model-dir") == 0)
            status = gal_config_add_path(c, GAL_FROM_FLAG, gal_str_of(g->value), err);
    }
    if (status == GAL_OK && c->path_count == 0)
        status = read_model_env(c, cli->env, err);
    if (status == GAL_OK && c->path_count == 0)
        status = add_default(c, err);
    return status;
}

static void open_log(struct gal_cli *cli, const struct gal_config *c, struct gal_log *log)
{
    uint64_t format = c->values[GAL_KEY_LOG_FORMAT].number;
    int fd = fileno(cli->err);

    if (format == GAL_CONF_FORMAT_AUTO)
        format = isatty(fd) ? GAL_LOG_CONSOLE : GAL_LOG_JSON;
    gal_log_init(log, fd, (enum gal_log_level)c->values[GAL_KEY_LOG_LEVEL].number,
                 (enum gal_log_format)format, gal_colour_wanted(cli->err), &gal_clock_system);
}

static void log_listening(struct gal_log *log, const struct gal_config *c, const char *scheme,
                          uint16_t port)
{
    const char *host = c->values[GAL_KEY_HOST].text;
    bool is_v6 = strchr(host, ':') != NULL;
    char url[320], pid[24];
    struct gal_log_field fields[3] = {{"version", GAL_STR(GAL_VERSION), false}};

    if (port == 0)
        return;
    snprintf(url, sizeof(url), "%s://%s%s%s:%u", scheme, is_v6 ? "[" : "", host, is_v6 ? "]" : "",
             port);
    snprintf(pid, sizeof(pid), "%ld", (long)getpid());
    fields[1] = (struct gal_log_field){"url", gal_str_of(url), false};
    fields[2] = (struct gal_log_field){"pid", gal_str_of(pid), true};
    gal_log_write(log, GAL_LOG_INFO, "listening", fields, 3);
}

static int run_serve(struct gal_cli *cli)
{
    struct gal_server *server = NULL;
    struct gal_config config;
    struct gal_log log;
    struct gal_err err;
    int code = GAL_EXIT_FAILURE;

    keep_memory();
    gal_config_init(&config);
    if (read_config(&config, cli, &err) != GAL_OK) {
        gal_cli_fail(cli, code, &err);
        goto out;
    }
    if (config.path_count == 0) {
        code = gal_cli_usage(cli,
                             "nothing to serve: name a model file, a directory of models or a URL "
                             "(there is no " MODELS " either)");
        goto out;
    }
    open_log(cli, &config, &log);
    if (gal_server_new(&config, read_config, cli, &log, &server, &err) != GAL_OK) {
        gal_cli_fail(cli, code, &err);
        goto out;
    }
    log_listening(&log, &config, "http", gal_server_port(server));
    log_listening(&log, &config, "https", gal_server_https_port(server));
    log_listening(&log, &config, "grpc", gal_server_grpc_port(server));
    code = gal_server_run(server);
    if (gal_server_failure(server) != NULL)
        gal_cli_fail(cli, code, gal_server_failure(server));
    gal_server_free(server);
out:
    gal_config_release(&config);
    return code;
}

static const struct gal_option options[] = {
    {"config", '\0', "FILE", "Read settings from a YAML file"},
    {"model-dir", '\0', "PATH", "One more PATH, as KServe names it"},
};
static const struct gal_example examples[] = {
    {"galley serve model.onnx", "Serve one model; POST to http://127.0.0.1:8080/v1/predict."},
    {"galley serve models/ --host 0.0.0.0 -p 9000",
     "Serve each models/NAME/model.onnx and models/NAME/VERSION/model.onnx, to all the network."},
    {"galley serve model.onnx --model-name fraud --log-level warn --access-log 0.01",
     "Choose the name, and keep the log short: one request in a hundred."},
    {"GALLEY_MODELS=/models GALLEY_HOST=0.0.0.0 galley serve",
     "The same by environment, as in a container."},
    {"galley serve s3://models/fraud/ --source-poll 30s",
     "Fetch a directory of a bucket, and load what changes in it."},
    {"galley serve --config galley.yaml",
     "The same by file. kill -HUP reads it again and loads what is new."},
};

const struct gal_command gal_command_serve = {
    .name = "serve",
    .summary = "Serve models over HTTP",
    .operands = "PATH...",
    .words = "PATH",
    .operands_max = SIZE_MAX,
    .text = "PATH is a .onnx file, a directory that holds model.onnx, or a directory of models: "
            "NAME/model.onnx, or NAME/VERSION/model.onnx with versions such as 3 or 2.1.0, of "
            "which the newest answers by default. It may be a URL: https://, s3://, gs://, az://, "
            "oci://, models:/NAME@ALIAS of an MLflow server; what it names is fetched first, and "
            "galley is not ready before. With no PATH at all, MODEL_PATH names it, or MODEL_SOURCE "
            "(baked, volume, s3) with MODEL_NAME and MODEL_VERSION, or MODEL_BUCKET with "
            "MODEL_VERSION, or MODEL_DEFAULT, which images have, or it is /models.\n\n"
            "galley speaks the Open Inference Protocol (/v2) and plain JSON (/v1/predict), and "
            "shows both at /docs. It is ready (/health/ready) when every model has answered its "
            "warm-up. SIGTERM and Ctrl-C finish what is in flight and stop; SIGHUP reads "
            "settings and models again.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .all_keys = true,
    .examples = examples,
    .example_count = sizeof(examples) / sizeof(examples[0]),
    .run = run_serve,
};
