/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "base/mem.h"
#include "base/thread.h"
#include "cli/image_engine.h"
#include "cli/image_source.h"
#include "cli/image_target.h"
#include "cli/sealing.h"
#include "net/loop.h"
#include "ship/image_run.h"

#define LAYERS_KEPT_MAX (10ull << 30) /* of the folder of layers, after a build */

static const struct gal_config_row port_row = {
    .name = "port", .type = GAL_CONF_PORT, .min = 1, .max = 65535, .arg = "PORT"};

/* What a build needs from here on, and what is released behind it. */
struct build {
    struct gal_cli *cli;
    struct gal_config config;
    struct gal_ship_options options;
    struct gal_image_target target;
    struct gal_image_source base_source;
    struct gal_view base_view;
    struct gal_ship_base base;
    struct gal_ship image;
    char layers[GAL_PATH_SIZE];
    char galley[GAL_PATH_SIZE];
    struct gal_image_engine engine;
};

/* --- options --- */

/* Values of an option that may come several times. */
static enum gal_status values_of(struct gal_cli *cli, const char *name, const char ***out,
                                 size_t *count, struct gal_err *err)
{
    *count = 0;
    *out = gal_arena_array(&cli->arena, cli->given_count + 1, sizeof(char *));
    if (!*out)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for options");
    for (size_t i = 0; i < cli->given_count; i++) {
        if (cli->given[i].own && strcmp(cli->given[i].own->name, name) == 0)
            (*out)[(*count)++] = cli->given[i].value;
    }
    return GAL_OK;
}

static enum gal_status take_labels(struct build *b, struct gal_err *err)
{
    struct gal_oci_annotation *labels;
    const char **texts;
    size_t count;
    enum gal_status status = values_of(b->cli, "label", &texts, &count, err);
    labels = gal_arena_array(&b->cli->arena, count + 1, sizeof *labels);
    if (status || !labels)
        return status ? status : gal_fail(err, GAL_NO_MEMORY, "no memory for labels");
    for (size_t i = 0; i < count && !status; i++) {
        labels[i].value = gal_str_of(texts[i]);
        gal_str_cut(&labels[i].value, '=', &labels[i].key);
        if (labels[i].key.n == 0 || !strchr(texts[i], '='))
            status = gal_fail(err, GAL_INVALID, "--label: '%.64s' is not KEY=VALUE", texts[i]);
    }
    b->options.labels = labels;
    b->options.label_count = count;
    return status;
}

static enum gal_status take_env(struct build *b, struct gal_err *err)
{
    struct gal_str *env;
    const char **texts;
    size_t count;
    enum gal_status status = values_of(b->cli, "env", &texts, &count, err);
    env = gal_arena_array(&b->cli->arena, count + 1, sizeof *env);
    if (status || !env)
        return status ? status : gal_fail(err, GAL_NO_MEMORY, "no memory for the environment");
    for (size_t i = 0; i < count && !status; i++) {
        env[i] = gal_str_of(texts[i]);
        if (!strchr(texts[i], '=') || texts[i][0] == '=')
            status = gal_fail(err, GAL_INVALID, "--env: '%.64s' is not NAME=VALUE", texts[i]);
    }
    b->options.env = env;
    b->options.env_count = count;
    return status;
}

static enum gal_status take_compression(struct build *b, struct gal_err *err)
{
    const char *text = gal_cli_value(b->cli, "compression");
    b->options.layers.compression = GAL_COMPRESS_GZIP;
    if (!text || strcmp(text, "gzip") == 0)
        return GAL_OK;
    if (strcmp(text, "zstd") == 0)
        b->options.layers.compression = GAL_COMPRESS_ZSTD;
    else if (strcmp(text, "none") == 0)
        b->options.layers.compression = GAL_COMPRESS_NONE;
    else
        return gal_fail(err, GAL_INVALID, "--compression: '%.64s' is not gzip, zstd or none", text);
    return GAL_OK;
}

static enum gal_status take_source(struct build *b, struct gal_err *err)
{
    const char *source = gal_cli_value(b->cli, "source");
    bool without = gal_cli_has(b->cli, "without-weights");
    b->options.runtime.with_sources = gal_cli_has(b->cli, "with-sources");
    if (without && !source) {
        gal_fail(err, GAL_INVALID, "--without-weights needs --source URL: where they come from");
        gal_err_hint(err, "e.g. --source oci://registry.example.com/models/fraud:2.1.0");
        return GAL_INVALID;
    }
    if (source && !without)
        return gal_fail(err, GAL_INVALID, "--source goes with --without-weights");
    b->options.source = source;
    return GAL_OK;
}

/* "interval=30s,timeout=5s,start-period=2m,retries=3", in any order, or "off". */
static enum gal_status take_health(struct build *b, struct gal_err *err)
{
    static const struct gal_config_row time = {
        .name = "health", .type = GAL_CONF_DURATION, .min = 1000000, .max = 3600000000, .arg = ""};
    static const struct gal_config_row count = {
        .name = "health", .type = GAL_CONF_COUNT, .min = 1, .max = 100, .arg = "N"};
    struct gal_ship_health *h = &b->options.health;
    struct gal_str rest = gal_str_of(gal_cli_value(b->cli, "health")), part, key;
    enum gal_status status = GAL_OK;
    h->is_off = gal_str_is(rest, "off");
    while (!h->is_off && !status && rest.n && gal_str_cut(&rest, ',', &part)) {
        struct gal_config_value value = {.number = 0};
        char text[32];
        gal_str_cut(&part, '=', &key);
        snprintf(text, sizeof text, "%.*s", (int)(part.n < 31 ? part.n : 31), part.n ? part.p : "");
        status = gal_config_parse(gal_str_is(key, "retries") ? &count : &time, text, &value, err);
        if (!status && !gal_str_is(key, "retries") && value.number % 1000000)
            status = gal_fail(err, GAL_INVALID, "'%s': whole seconds are expected", text);
        if (gal_str_is(key, "interval"))
            h->interval_s = value.number / 1000000;
        else if (gal_str_is(key, "timeout"))
            h->timeout_s = value.number / 1000000;
        else if (gal_str_is(key, "start-period"))
            h->start_s = value.number / 1000000;
        else if (gal_str_is(key, "retries"))
            h->retries = value.number;
        else
            status = gal_fail(err, GAL_INVALID,
                              "'%.*s' is not interval, timeout, start-period or retries",
                              GAL_STR_SHOWN(key));
    }
    if (status)
        gal_err_place(err, "--health");
    return status;
}

static enum gal_status take_rest(struct build *b, struct gal_err *err)
{
    struct gal_cli *cli = b->cli;
    const char *platform = gal_cli_value(cli, "platform"), *port = gal_cli_value(cli, "port");
    struct gal_config_value value;
    uint64_t uid, gid;
    enum gal_status status = GAL_OK;
    b->options.user = gal_cli_value(cli, "user");
    status = gal_ship_user(b->options.user, gal_cli_has(cli, "base"), &uid, &gid, err);
    if (status)
        gal_err_place(err, "--user");
    if (!status && platform)
        status = gal_platform_parse(platform, &b->options.platform, err);
    if (!status && port) {
        status = gal_config_parse(&port_row, port, &value, err);
        if (status)
            gal_err_place(err, "--port");
        b->options.port = (unsigned)value.number;
    }
    b->options.runtime.root = gal_cli_value(cli, "sysroot");
    if (!status)
        status = take_health(b, err);
    if (!status) {
        const char **dirs;
        status = values_of(cli, "library-path", &dirs, &b->options.runtime.dir_count, err);
        b->options.runtime.dirs = dirs;
    }
    return status;
}

static enum gal_status take_options(struct build *b, struct gal_err *err)
{
    enum gal_status status;
    b->options.models = (struct gal_models_options){
        .path = b->cli->operands[0], .place = "models", .under_its_name = true};
    status = gal_image_target_init(&b->target, b->cli, err);
    if (!status)
        status = take_compression(b, err);
    if (!status)
        status = take_source(b, err);
    if (!status)
        status = take_labels(b, err);
    if (!status)
        status = take_env(b, err);
    if (!status)
        status = take_rest(b, err);
    return status ? status : gal_cli_epoch(b->cli, &b->options.epoch, err);
}

/* --- what goes in --- */

static enum gal_status find_engine(struct build *b, struct gal_err *err)
{
    enum gal_status status = gal_image_engine_find(&b->config, &b->engine, err);
    b->options.runtime.engine = b->engine.path;
    b->options.runtime.engine_version = b->engine.version[0] ? b->engine.version : NULL;
    return status;
}

static enum gal_status find_galley(struct build *b, struct gal_err *err)
{
    const char *own = gal_cli_value(b->cli, "galley");
    enum gal_status status = gal_path_real(own ? own : "/proc/self/exe", b->galley, err);
    b->options.runtime.galley = b->galley;
    return status;
}

/* Untold it is galley's own: of a base for many machines only that one is fetched. */
static enum gal_status find_platform(struct build *b, struct gal_err *err)
{
    struct gal_oci_platform *p = &b->options.platform;
    struct gal_elf elf;
    struct gal_str bytes;
    enum gal_status status;
    if (p->os.n)
        return GAL_OK;
    status = gal_file_map(b->galley, &bytes, err);
    if (status)
        return status;
    status = gal_elf_read(bytes, &b->cli->arena, &elf, err);
    gal_file_unmap(bytes);
    if (status)
        gal_err_place(err, "%s", b->galley);
    *p = (struct gal_oci_platform){.os = GAL_STR("linux")};
    p->architecture = gal_str_of(status ? NULL : gal_elf_architecture(&elf));
    return status;
}

static enum gal_status open_base(struct build *b, struct gal_err *err)
{
    const char *text = gal_cli_value(b->cli, "base");
    const struct gal_oci_platform *platform = &b->options.platform;
    enum gal_status status;
    if (!text)
        return GAL_OK;
    status = gal_image_source_open(b->cli, text, platform, &b->base_source, err);
    if (!status)
        status =
            gal_view_open(b->base_source.layout, b->base_source.name, platform, &b->base_view, err);
    b->base = (struct gal_ship_base){.view = &b->base_view,
                                     .name = gal_str_of(b->base_source.fetched ? text : NULL)};
    b->options.base = &b->base;
    if (status && err && !err->place[0])
        gal_err_place(err, "--base");
    return status;
}

static void on_layer(const struct gal_cargo *cargo, const struct gal_layer *layer, void *ctx)
{
    struct build *b = ctx;
    gal_progress_done(b->target.transfer.progress, layer->path, cargo->name,
                      layer->was_there ? "there already" : "packed", layer->size);
}

static enum gal_status build(struct build *b, struct gal_err *err)
{
    enum gal_status status = gal_layer_folder(b->cli, b->layers, err);
    b->options.layers.dir = b->layers;
    b->options.layers.on_layer = on_layer;
    b->options.layers.ctx = b;
    if (!status)
        status = find_galley(b, err);
    if (!status)
        status = find_engine(b, err);
    if (!status)
        status = find_platform(b, err);
    if (!status)
        status = open_base(b, err);
    if (!status)
        status = gal_image_engine_prove(b->cli, &b->config, &b->engine, b->cli->operands[0],
                                        &b->options.models.proved, err);
    if (!status)
        status = gal_ship_build(&b->options, &b->image, err);
    if (!status)
        status = gal_image_deliver(&b->target, &b->image, err);
    if (!status)
        gal_layers_trim(b->layers, LAYERS_KEPT_MAX,
                        (int64_t)(gal_wall_us(&gal_clock_system) / 1000000));
    return status;
}

static void release(struct build *b)
{
    gal_ship_release(&b->image);
    gal_view_release(&b->base_view);
    gal_image_source_close(&b->base_source);
    gal_image_target_release(&b->target);
    gal_config_release(&b->config);
    gal_free(b);
}

static int run_build(struct gal_cli *cli)
{
    struct build *b = gal_calloc(1, sizeof *b);
    struct gal_err err;
    int code = GAL_EXIT_USAGE;
    enum gal_status status;
    gal_err_clear(&err);
    if (!b) {
        gal_fail(&err, GAL_NO_MEMORY, "no memory");
        return gal_cli_fail(cli, GAL_EXIT_FAILURE, &err);
    }
    b->cli = cli;
    gal_config_init(&b->config);
    status = take_options(b, &err);
    if (!status) {
        code = GAL_EXIT_FAILURE;
        status = gal_cli_config(cli, &b->config, &err);
    }
    if (!status)
        status = build(b, &err);
    if (!status)
        gal_image_told(&b->target, &b->image);
    release(b);
    return status ? gal_cli_fail(cli, code, &err) : GAL_EXIT_OK;
}

static const struct gal_option options[] = {
    GAL_IMAGE_TARGET_OPTIONS,
    {"base", '\0', "REFERENCE",
     "Stand on this image, of a registry or an OCI layout: its layers and settings stay"},
    {"platform", '\0', "linux/ARCH", "What it is for, and what of --base is taken [this machine]"},
    {"without-weights", '\0', NULL, "Leave the models out: they come from --source at the start"},
    {"source", '\0', "URL",
     "Where they come from, unless the environment names another (MODEL_PATH, MODEL_BUCKET, ...)"},
    {"with-sources", '\0', NULL, "What fetching needs is in it (libcurl, certificates)"},
    {"label", '\0', "KEY=VALUE", "A label more; several times"},
    {"env", 'e', "NAME=VALUE", "A variable more; several times"},
    {"user", '\0', "UID[:GID]", "Who it runs as [65532:65532]"},
    {"port", '\0', "PORT", "Where it listens [8080]"},
    {"health", '\0', "LIST|off",
     "When Docker and podman ask for its health "
     "[interval=30s,timeout=10s,start-period=60s,retries=3]"},
    {"compression", '\0', "gzip|zstd|none",
     "Of layers [gzip]; weights that do not shrink have none"},
    {"galley", '\0', "FILE", "The galley that goes in [this one]"},
    {"sysroot", '\0', "DIR", "Where its libraries come from, for another system or machine [/]"},
    {"library-path", '\0', "DIR", "Look for libraries here first; several times"},
    {"cache", '\0', "DIR", "Where layers are kept from build to build [~/.cache/galley/layers]"},
};
static const struct gal_example examples[] = {
    {"galley image build fraud-2.1.0.galley -t fraud:2.1.0 -o fraud.tar",
     "An archive; docker load -i fraud.tar, then docker run -p 8080:8080 fraud:2.1.0."},
    {"galley image build fraud-2.1.0.galley -t registry.example.com/fraud:2.1.0 --push",
     "To a registry; only layers that it does not have move."},
    {"galley image build fraud-2.1.0.galley -t r.example.com/fraud:2.1.0-cuda --push "
     "--base nvidia/cuda:12.4.1-cudnn-runtime-ubuntu22.04",
     "On an image with CUDA; its version is held against the package's freeze list."},
    {"galley image build fraud-2.1.0.galley -t r.example.com/galley:1 --push --without-weights "
     "--source oci://r.example.com/models/fraud:2.1.0",
     "The server alone: the model comes when it starts, and may be another by MODEL_PATH, or by "
     "MODEL_BUCKET and MODEL_VERSION."},
};

const struct gal_command gal_command_image_build = {
    .name = "image build",
    .summary = "Build a container image without docker",
    .operands = "PACKAGE",
    .words = "PATH",
    .operands_min = 1,
    .operands_max = 1,
    .text =
        "PACKAGE is a .galley file or a package's directory; a model file, a model's directory or "
        "a "
        "directory of models will do too. Needs no daemon, no Dockerfile and no root.\n\n"
        "The image holds this galley (without symbols), its engine, the libraries of this system "
        "that both need, and the models under /models; nothing else, not even a shell. Layers "
        "stand in the order of how often they change, and equal input gives an equal digest "
        "(times are SOURCE_DATE_EPOCH's, or 1970). It runs as nobody in particular, listens on "
        "port 8080, and knows how to be asked for its health.\n\n"
        "Without -o and --push it is written to REPOSITORY-TAG.tar. The last line of output is "
        "the reference with its digest.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .keys = GAL_KEYS(GAL_KEY_ONNXRUNTIME),
    .examples = examples,
    .example_count = sizeof(examples) / sizeof(examples[0]),
    .run = run_build,
};
