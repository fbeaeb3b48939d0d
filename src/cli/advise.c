/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "base/mem.h"
#include "cli/command.h"
#include "cli/print.h"
#include "package/package.h"
#include "ship/advice.h"
#include "text/json.h"

#define DEPTH_MAX 16u
#define JSON_BYTES_MAX (1u << 16)

struct question {
    const char *path;
    enum gal_form form;
    enum gal_use use;
    struct gal_delivery delivery;
    struct gal_advice format, weights;
};

/* --- what it is --- */

static enum gal_status look_at_package(struct question *q, struct gal_err *err)
{
    struct gal_package *p = NULL;
    enum gal_status status = gal_package_open(q->path, &p, err);
    for (size_t i = 0; !status && i < p->file_count; i++) {
        if (p->files[i].role == GAL_ROLE_WEIGHT)
            q->delivery.bytes += p->files[i].size;
    }
    if (!status)
        q->form = gal_form_of(p->manifest->model_file);
    gal_package_close(p);
    return status;
}

/* .json and .txt are many things: in a directory only files that are called a model are one. */
static bool tells(struct gal_str name)
{
    bool is_text = gal_str_ends(name, GAL_STR(".json")) || gal_str_ends(name, GAL_STR(".txt"));
    return !is_text || gal_str_starts(name, GAL_STR("model.")) ||
           gal_str_starts(name, GAL_STR("booster."));
}

/* What names a whole directory stands above its files. */
static enum gal_form more_telling(enum gal_form a, enum gal_form b)
{
    static const unsigned char weights[] = {
        [GAL_FORM_UNKNOWN] = 0, [GAL_FORM_BOOSTER] = 1, [GAL_FORM_ONNX] = 2,
        [GAL_FORM_PICKLE] = 2,  [GAL_FORM_TORCH] = 2,   [GAL_FORM_KERAS] = 2,
        [GAL_FORM_TFLITE] = 2,  [GAL_FORM_MLFLOW] = 4,  [GAL_FORM_SAVED_MODEL] = 3,
    };
    return weights[b] > weights[a] ? b : a;
}

/* A directory is what its most telling file is; all of its files count. */
static enum gal_status look_into(struct question *q, const char *dir, unsigned depth,
                                 struct gal_err *err)
{
    char **names;
    size_t count;
    enum gal_status status = depth > DEPTH_MAX
                                 ? gal_fail(err, GAL_TOO_LARGE, "directories deeper than 16")
                                 : gal_dir_list(dir, &names, &count, err);
    if (status)
        return status;
    for (size_t i = 0; i < count && !status; i++) {
        char *path = gal_path_join(dir, names[i]);
        struct gal_file_info info = {.kind = GAL_FILE_NONE};
        status = path ? gal_file_stat(path, &info, err)
                      : gal_fail(err, GAL_NO_MEMORY, "no memory for a path");
        if (!status && info.kind == GAL_FILE_DIR)
            status = look_into(q, path, depth + 1, err);
        if (!status && info.kind == GAL_FILE_REGULAR) {
            q->delivery.bytes += info.bytes;
            if (tells(gal_str_of(names[i])))
                q->form = more_telling(q->form, gal_form_of(gal_str_of(names[i])));
        }
        gal_free(path);
    }
    gal_free((void *)names);
    return status;
}

static enum gal_status look_at(struct question *q, struct gal_err *err)
{
    struct gal_file_info info = {.kind = GAL_FILE_NONE};
    enum gal_status status = gal_file_stat(q->path, &info, err);
    if (!status && info.kind == GAL_FILE_NONE)
        status = gal_fail(err, GAL_NOT_FOUND, "there is no such file or directory");
    else if (!status && gal_package_is(q->path))
        status = look_at_package(q, err);
    else if (!status && info.kind == GAL_FILE_DIR)
        status = look_into(q, q->path, 0, err);
    else if (!status) {
        q->form = gal_form_of(gal_str_of(gal_path_base(q->path)));
        q->delivery.bytes = info.bytes;
    }
    if (!status && q->form == GAL_FORM_UNKNOWN) {
        gal_fail(err, GAL_INVALID, "it is no model of a format that is known by its name");
        gal_err_hint(err, "ONNX, pickle and joblib, PyTorch, Keras, SavedModel, TFLite, XGBoost, "
                          "LightGBM, MLflow");
        status = GAL_INVALID;
    }
    if (status && err && !err->place[0])
        gal_err_place(err, "%s", q->path);
    return status;
}

/* --- options --- */

static enum gal_status take_options(struct gal_cli *cli, struct question *q, struct gal_err *err)
{
    const char *use = gal_cli_value(cli, "for"), *updates = gal_cli_value(cli, "updates");
    struct gal_delivery *d = &q->delivery;
    q->use = GAL_USE_SERVER;
    for (int i = 0; use && i < GAL_USE_COUNT; i++) {
        q->use = (enum gal_use)i;
        if (strcmp(gal_use_name(q->use), use) == 0)
            use = NULL;
    }
    if (use)
        return gal_fail(err, GAL_INVALID,
                        "--for: '%.64s' is not server, python, edge, registry or languages", use);
    if (updates && strcmp(updates, "rare") != 0 && strcmp(updates, "frequent") != 0)
        return gal_fail(err, GAL_INVALID, "--updates: '%.64s' is not rare or frequent", updates);
    d->is_frequent = updates && strcmp(updates, "frequent") == 0;
    d->is_air_gapped = gal_cli_has(cli, "air-gapped");
    d->is_tracked = gal_cli_has(cli, "tracked");
    d->is_shared = gal_cli_has(cli, "shared");
    d->many_environments = gal_cli_has(cli, "environments");
    return GAL_OK;
}

/* --- telling --- */

static void print_advice(FILE *out, const char *what, const struct gal_advice *a)
{
    fprintf(out, "%-8s %s\n  why    %s\n  how    %s\n", what, a->choice, a->reason, a->how);
}

static void print_text(FILE *out, const struct question *q)
{
    char size[32];
    gal_print_text(out, gal_str_of(q->path));
    fprintf(out, ": %s, %s\n", gal_form_name(q->form),
            gal_humane_bytes(q->delivery.bytes, size, sizeof size));
    print_advice(out, "format", &q->format);
    print_advice(out, "weights", &q->weights);
}

static void put_advice(struct gal_buf *out, const char *key, const struct gal_advice *a)
{
    gal_buf_putc(out, ',');
    gal_json_put_key(out, key);
    gal_json_put_member(out, "{", "choice", gal_str_of(a->choice));
    gal_json_put_member(out, ",", "reason", gal_str_of(a->reason));
    gal_json_put_member(out, ",", "how", gal_str_of(a->how));
    gal_buf_putc(out, '}');
}

static void print_json(FILE *out, const struct question *q)
{
    struct gal_buf b;
    gal_buf_init(&b, JSON_BYTES_MAX);
    gal_json_put_member(&b, "{", "path", gal_str_of(q->path));
    gal_json_put_member(&b, ",", "is", gal_str_of(gal_form_name(q->form)));
    gal_json_put_member(&b, ",", "for", gal_str_of(gal_use_name(q->use)));
    gal_buf_puts(&b, ",\"bytes\":");
    gal_json_put_u64(&b, q->delivery.bytes);
    put_advice(&b, "format", &q->format);
    put_advice(&b, "weights", &q->weights);
    gal_buf_putc(&b, '}');
    gal_print_json(out, gal_buf_str(&b), false);
    gal_buf_release(&b);
}

/* --- the command --- */

static int run_advise(struct gal_cli *cli)
{
    struct question q = {.path = cli->operands[0]};
    struct gal_err err;
    gal_err_clear(&err);
    if (take_options(cli, &q, &err))
        return gal_cli_fail(cli, GAL_EXIT_USAGE, &err);
    if (look_at(&q, &err))
        return gal_cli_fail(cli, GAL_EXIT_FAILURE, &err);
    q.format = gal_advise_format(q.form, q.use);
    q.weights = gal_advise_delivery(&q.delivery);
    if (gal_cli_has(cli, "json"))
        print_json(cli->out, &q);
    else
        print_text(cli->out, &q);
    return GAL_EXIT_OK;
}

static const struct gal_option options[] = {
    {"for", '\0', "WHERE", "server, python, edge (phones, small devices), registry, languages"},
    {"updates", '\0', "rare|frequent", "How often the model changes, beside the server [rare]"},
    {"shared", '\0', NULL, "Several servers of one cluster use the same weights"},
    {"environments", '\0', NULL, "One image goes to several environments, each with its model"},
    {"tracked", '\0', NULL, "Versions are tracked, compared (A/B), rolled back"},
    {"air-gapped", '\0', NULL, "Nothing can be fetched where it runs"},
    {"json", '\0', NULL, "Print one JSON object"},
};
static const struct gal_example examples[] = {
    {"galley advise fraud-2.1.0.galley",
     "How to bring a small model that seldom changes to users."},
    {"galley advise churn.joblib --for python", "In which format to keep it, and why."},
    {"galley advise llm/ --shared --json | jq -r .weights.choice", "For a script: mount."},
};

const struct gal_command gal_command_advise = {
    .name = "advise",
    .summary = "Say which format and which way of delivery fit a model",
    .operands = "PATH",
    .words = "PATH",
    .operands_min = 1,
    .operands_max = 1,
    .text = "PATH is a package, a model file of any framework, or a model's directory; only names "
            "and sizes are looked at. The format depends on what it is and where it goes; the way "
            "of delivery (bake into the image, mount a volume, pull at the start, a registry of "
            "models) on the weights' size and on how the model lives. Each comes with its reason "
            "and a command.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .examples = examples,
    .example_count = sizeof(examples) / sizeof(examples[0]),
    .run = run_advise,
};
