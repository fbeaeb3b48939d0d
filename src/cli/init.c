/* SPDX-License-Identifier: Apache-2.0 */
/* A first galley.yaml from a model. */
#include "cli/init.h"

#include "backend/onnx.h"
#include "base/file_write.h"
#include "cli/print.h"
#include "package/manifest.h"
#include "text/json.h"

#include <stdlib.h>
#include <unistd.h>

#define ARENA_BYTES_MAX (256u << 20)
#define YAML_BYTES_MAX (8u << 20)

/* --- what sources share --- */

struct gal_str gal_init_copy(struct gal_init *in, const char *text, size_t n)
{
    char *copy = gal_arena_strdup(&in->arena, (struct gal_str){text, n});
    return copy ? (struct gal_str){copy, n} : (struct gal_str){NULL, 0};
}

const char *gal_init_path(struct gal_init *in, const char *dir, const char *name)
{
    size_t n = strlen(dir);
    return gal_arena_printf(&in->arena, "%s%s%s", dir, n && dir[n - 1] == '/' ? "" : "/", name);
}

bool gal_init_exists(struct gal_init *in, const char *dir, const char *name)
{
    const char *path = gal_init_path(in, dir, name);
    return path && access(path, F_OK) == 0;
}

void gal_init_note(struct gal_init *in, const char *text)
{
    if (text && in->note_count < sizeof(in->notes) / sizeof(in->notes[0]))
        in->notes[in->note_count++] = text;
}

enum gal_status gal_init_add(struct gal_init *in, const char *from, struct gal_str name,
                             struct gal_err *err)
{
    if (!from || !name.p)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a path");
    if (in->file_count == GAL_INIT_FILES_MAX)
        return gal_fail(err, GAL_TOO_LARGE, "the model has more than %u files", GAL_INIT_FILES_MAX);
    in->files[in->file_count++] = (struct gal_init_file){from, name};
    return GAL_OK;
}

/* The directory of a path: "." when it names none. */
static const char *dir_of(struct gal_init *in, const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return ".";
    return slash == path ? "/" : gal_init_copy(in, path, (size_t)(slash - path)).p;
}

enum gal_status gal_init_take_model(struct gal_init *in, const char *path, struct gal_err *err)
{
    const char *dir = dir_of(in, path);
    struct gal_str map;
    enum gal_status status = gal_file_map(path, &map, err);

    in->model = path;
    in->draft.model_file = gal_str_of(gal_path_base(path));
    if (status != GAL_OK)
        return status;
    status = gal_draft_external(map, &in->arena, &in->draft.model_files,
                                &in->draft.model_file_count, err);
    gal_file_unmap(map);
    if (status == GAL_OK)
        status = gal_init_add(in, path, in->draft.model_file, err);
    for (size_t i = 0; i < in->draft.model_file_count && status == GAL_OK; i++)
        status = gal_init_add(in, gal_init_path(in, dir, in->draft.model_files[i].p),
                              in->draft.model_files[i], err);
    return status;
}

enum gal_status gal_init_onnx(struct gal_init *in, const char *path, struct gal_err *err)
{
    in->draft.made_from = gal_path_base(path);
    if (!in->dir) {
        in->dir = dir_of(in, path);
        in->dir_beside = true;
    }
    return gal_init_take_model(in, path, err);
}

/* --- the source --- */

static enum gal_status open_source(struct gal_init *in, struct gal_err *err)
{
    struct gal_file_info info;
    enum gal_status status = gal_file_stat(in->source, &info, err);
    struct gal_str path = gal_str_of(in->source);

    if (status != GAL_OK)
        return status;
    if (info.kind == GAL_FILE_NONE) {
        gal_fail(err, GAL_NOT_FOUND, "there is no such file or directory");
        gal_err_place(err, "%s", in->source);
        return GAL_NOT_FOUND;
    }
    if (info.kind == GAL_FILE_DIR) {
        if (gal_init_is_mlflow(in->source))
            return gal_init_mlflow(in, err);
        if (gal_init_exists(in, in->source, "saved_model.pb"))
            return gal_init_convert(in, in->source, err);
        return gal_init_repository(in, err);
    }
    if (gal_str_ends(path, GAL_STR(".onnx")))
        return gal_init_onnx(in, in->source, err);
    return gal_init_convert(in, in->source, err);
}

/* "fraud" from models/fraud.onnx, from fraud/model.onnx, or from fraud/. */
static struct gal_str found_name(struct gal_init *in)
{
    char *real = realpath(in->source, NULL);
    struct gal_str path = gal_init_copy(in, real ? real : "", real ? strlen(real) : 0), base;
    struct gal_file_info info;

    (free)(real); /* the C library gave it */
    for (unsigned depth = 0; path.n > 1 && depth < 3; depth++) {
        size_t slash = path.n, dot;
        while (slash > 0 && path.p[slash - 1] != '/')
            slash--;
        base = (struct gal_str){path.p + slash, path.n - slash};
        for (dot = base.n; dot > 0 && base.p[dot - 1] != '.'; dot--)
            continue;
        if (depth == 0 && dot > 1 && gal_file_stat(in->source, &info, NULL) == GAL_OK &&
            info.kind == GAL_FILE_REGULAR)
            base.n = dot - 1;
        if (!gal_str_is(base, "model") && !gal_str_is(base, "artifacts"))
            return gal_draft_name(base, &in->arena);
        path.n = slash > 1 ? slash - 1 : 0;
    }
    return GAL_STR("model");
}

/* --- the draft --- */

static void apply_hints(struct gal_init *in)
{
    struct gal_draft_feature *features = (struct gal_draft_feature *)(uintptr_t)in->draft.features;
    struct gal_draft_output *outputs = (struct gal_draft_output *)(uintptr_t)in->draft.outputs;

    for (size_t h = 0; h < in->hint_count; h++) {
        const struct gal_init_hint *hint = &in->hints[h];
        for (size_t i = 0; i < in->draft.feature_count; i++) {
            struct gal_draft_feature *f = &features[i];
            if (!gal_str_eq(f->name, hint->name))
                continue;
            f->nullable = f->nullable || hint->nullable;
            f->values = hint->value_count ? hint->values : f->values;
            f->value_count = hint->value_count ? hint->value_count : f->value_count;
            f->values_open = hint->values_open;
            f->example = hint->example;
            f->note = hint->note ? hint->note : f->note;
        }
    }
    for (size_t i = 0; in->labels && i < in->draft.output_count; i++) {
        if (gal_str_eq(outputs[i].name, in->labels_of)) {
            outputs[i].labels = in->labels;
            outputs[i].label_count = in->label_count;
        }
    }
}

/* The tokenizer of a language model usually lies beside it: it goes along, and the draft says how
 * it is used. */
static enum gal_status take_tokenizer(struct gal_init *in, struct gal_err *err)
{
    static const char *const names[] = {"tokenizer.json", "vocab.txt"};
    const char *dir = dir_of(in, in->model);
    size_t tokens = 0;

    for (size_t i = 0; i < in->draft.feature_count; i++)
        tokens += gal_str_is(in->draft.features[i].name, "input_ids") ||
                  gal_str_is(in->draft.features[i].name, "attention_mask");
    for (size_t i = 0; tokens == 2 && i < sizeof(names) / sizeof(names[0]); i++) {
        if (!gal_init_exists(in, dir, names[i]))
            continue;
        in->draft.tokenizer = gal_str_of(names[i]);
        return gal_init_add(in, gal_init_path(in, dir, names[i]), in->draft.tokenizer, err);
    }
    return GAL_OK;
}

/* As the reader of manifests takes it: what it refuses would be our own mistake. */
static enum gal_status write_manifest(struct gal_init *in, struct gal_buf *yaml,
                                      struct gal_err *err)
{
    struct gal_manifest *m;
    enum gal_status status;

    gal_draft_write(&in->draft, yaml);
    if (yaml->failed)
        return gal_fail(err, GAL_TOO_LARGE, "the manifest would be larger than %u bytes",
                        YAML_BYTES_MAX);
    status = gal_manifest_read(gal_buf_str(yaml), GAL_MANIFEST_FILE, &in->arena, &m, err);
    if (status != GAL_OK)
        gal_err_hint(err, "this model needs a manifest written by hand: galley schema");
    return status;
}

static enum gal_status describe(struct gal_init *in, struct gal_err *err)
{
    struct gal_backend_options options = gal_cli_backend(&in->config);
    struct gal_session *session = NULL;
    struct gal_buf yaml;
    enum gal_status status;

    gal_buf_init(&yaml, YAML_BYTES_MAX);
    status = gal_backend_onnx.load(in->model, &options, &session, err);
    if (status != GAL_OK && err && err->place[0] == '\0')
        gal_err_place(err, "%s", in->model);
    if (status == GAL_OK)
        status = gal_draft_from_model(&in->draft, gal_backend_onnx.info(session), in->names,
                                      in->name_count, &in->arena, err);
    if (status == GAL_OK)
        status = take_tokenizer(in, err);
    if (status == GAL_OK) {
        apply_hints(in);
        if (gal_cli_has(in->cli, "data"))
            status = gal_init_data(in, gal_cli_value(in->cli, "data"), err);
    }
    if (status == GAL_OK) {
        status = in->proven ? gal_init_prove(in, session, err)
                 : in->rows ? gal_init_record(in, session, err)
                            : GAL_OK;
    }
    if (status == GAL_OK)
        status = write_manifest(in, &yaml, err);
    if (status == GAL_OK)
        status = gal_init_place(in, gal_cli_has(in->cli, "force"), err);
    if (status == GAL_OK)
        status =
            gal_init_write(gal_init_path(in, in->dir, GAL_MANIFEST_FILE), gal_buf_str(&yaml), err);
    gal_backend_onnx.free(session);
    gal_buf_release(&yaml);
    return status == GAL_OK ? gal_init_check(in, err) : status;
}

/* --- the command --- */

static void tell(struct gal_init *in)
{
    struct gal_cli *cli = in->cli;

    if (gal_cli_has(cli, "json")) {
        struct gal_buf json;
        gal_buf_init(&json, GAL_INIT_JSON_BYTES_MAX);
        gal_buf_puts(&json, "{\"dir\":");
        gal_json_put_str(&json, gal_str_of(in->dir));
        gal_buf_puts(&json, ",\"name\":");
        gal_json_put_str(&json, in->draft.name);
        gal_buf_puts(&json, ",\"version\":");
        gal_json_put_str(&json, in->draft.version);
        gal_buf_puts(&json, ",\"files\":[\"galley.yaml\"");
        for (size_t i = 0; i < in->file_count; i++) {
            gal_buf_putc(&json, ',');
            gal_json_put_str(&json, in->files[i].name);
        }
        gal_buf_puts(&json, in->draft.golden_file.n ? "],\"golden\":true" : "],\"golden\":false");
        gal_buf_puts(&json, ",\"notes\":[");
        for (size_t i = 0; i < in->note_count; i++) {
            gal_buf_puts(&json, i ? "," : "");
            gal_json_put_str(&json, gal_str_of(in->notes[i]));
        }
        gal_buf_puts(&json, "]}");
        gal_print_json(cli->out, gal_buf_str(&json), false);
        gal_buf_release(&json);
        return;
    }
    fprintf(cli->out, "wrote %s/galley.yaml", strcmp(in->dir, "/") == 0 ? "" : in->dir);
    for (size_t i = 0; i < in->file_count && !in->dir_beside; i++) {
        fputs(", ", cli->out);
        gal_print_text(cli->out, in->files[i].name);
    }
    fputc('\n', cli->out);
    for (size_t i = 0; i < in->note_count; i++) {
        gal_print_text(cli->out, gal_str_of(in->notes[i]));
        fputc('\n', cli->out);
    }
    if (in->draft.golden_file.n > 0)
        fprintf(cli->out, "next: galley verify %s; galley serve %s\n", in->dir, in->dir);
    else
        fprintf(cli->out, "next: galley record %s --inputs ROWS.json; galley serve %s\n", in->dir,
                in->dir);
}

static enum gal_status init(struct gal_init *in, struct gal_err *err)
{
    const char *name = gal_cli_value(in->cli, "name"), *version = gal_cli_value(in->cli, "version");
    enum gal_status status = gal_cli_config(in->cli, &in->config, err);

    in->dir = gal_cli_value(in->cli, "output");
    in->rows = gal_cli_value(in->cli, "inputs");
    in->draft.name = name ? gal_str_of(name) : found_name(in);
    in->draft.version = version ? gal_str_of(version) : GAL_STR("1.0.0");
    if (status == GAL_OK)
        status = open_source(in, err);
    if (status == GAL_OK && !in->dir)
        in->dir = in->draft.name.p;
    return status == GAL_OK ? describe(in, err) : status;
}

static int run_init(struct gal_cli *cli)
{
    struct gal_init in = {.cli = cli, .source = cli->operands[0]};
    struct gal_err err;
    int code = GAL_EXIT_OK;

    gal_config_init(&in.config);
    gal_arena_init(&in.arena, 65536, 0, ARENA_BYTES_MAX);
    if (init(&in, &err) != GAL_OK)
        code = gal_cli_fail(cli, GAL_EXIT_FAILURE, &err);
    else
        tell(&in);
    gal_dir_remove_temporary(in.work);
    gal_arena_release(&in.arena);
    gal_config_release(&in.config);
    return code;
}

static const struct gal_option options[] = {
    {"output", 'o', "DIR", "Where the package goes; untold: beside an .onnx file, else ./NAME"},
    {"force", '\0', NULL, "Write over files that are there"},
    {"name", '\0', "NAME", "Name of the package; untold: found from the path"},
    {"version", '\0', "VERSION", "Its version; 1.0.0 untold"},
    {"inputs", '\0', "FILE", "Rows (JSON) from which golden cases are made"},
    {"data", '\0', "FILE.csv", "Training data with a header: the bounds of outliers"},
    {"convert", '\0', NULL, "Turn another framework's file into ONNX, in an isolated process"},
    {"python", '\0', "PROGRAM", "The Python that has the framework; python3 untold"},
    {"class", '\0', "FILE.py:CLASS", "PyTorch: the class whose parameters a state_dict holds"},
    {"args", '\0', "JSON", "PyTorch: arguments of the class, {\"hidden\": 16}"},
    {"shape", '\0', "SHAPE", "PyTorch: of a row of the input, 3,32,32 or \"x=3,32 n=4:int64\""},
    {"rows", '\0', "N", "Rows that are drawn for golden cases where none are given; 16 untold"},
    {"rtol", '\0', "X", "Relative tolerance of the comparison with the framework; 1e-4 untold"},
    {"atol", '\0', "X", "Absolute tolerance beside it; 1e-5 untold"},
    {"opset", '\0', "N", "ONNX operator set to convert to; 17 untold"},
    {"timeout", '\0', "TIME", "Bound on the conversion; 10m untold"},
    {"memory", '\0', "SIZE", "Bound on its memory; 16G untold"},
    {"allow-network", '\0', NULL, "Convert even where the network cannot be closed off"},
    {"json", '\0', NULL, "Print one JSON object"},
};
static const struct gal_example examples[] = {
    {"galley init model.onnx", "galley.yaml beside the model, from what the model says of itself."},
    {"galley init model.onnx -o fraud --inputs rows.json",
     "A package directory of its own, with golden cases recorded from the rows."},
    {"galley init model.onnx -o fraud --data train.csv",
     "Values beyond the 1st and 99th percentile of the training data are outliers."},
    {"galley init mlruns/1/models/m-123/artifacts -o fraud",
     "An MLflow model directory: signature, input example, environment."},
    {"galley init models/resnet50", "A Triton model directory: config.pbtxt becomes galley.yaml."},
    {"galley init churn.joblib --convert --python venv/bin/python",
     "scikit-learn: looked through, converted in isolation, compared, golden cases kept."},
    {"galley init model.pt --convert --shape 3,224,224", "A TorchScript archive."},
    {"galley init weights.pth --convert --class net.py:Net --args '{\"classes\": 10}' --shape "
     "3,32,32",
     "A PyTorch state_dict with the class that it belongs to."},
};

const struct gal_command gal_command_init = {
    .name = "init",
    .summary = "Write a first galley.yaml for a model",
    .operands = "SOURCE",
    .words = "PATH",
    .operands_min = 1,
    .operands_max = 1,
    .text =
        "SOURCE is an ONNX file, an MLflow or Triton model directory or, with --convert, a model "
        "of scikit-learn (.pkl, .joblib), XGBoost (.json, .ubj), LightGBM (.txt), PyTorch (.pt, "
        ".pth), TensorFlow (a SavedModel, .keras, .h5) or TFLite. It asks nothing: what the model "
        "tells becomes galley.yaml, each line with a comment, suggestions as comments.\n\n"
        "A pickle is a program. It is never loaded without --convert, and then only when every "
        "name in it is on a list of what model files need, by a Python of your choice without "
        "network, with a scrubbed environment, in a directory that is removed afterwards. The "
        "framework's own outputs become golden cases, by which the package proves itself.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .keys = GAL_KEYS(GAL_KEY_ONNXRUNTIME),
    .examples = examples,
    .example_count = sizeof(examples) / sizeof(examples[0]),
    .run = run_init,
};
