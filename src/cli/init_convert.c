/* SPDX-License-Identifier: Apache-2.0 */
/* Other frameworks' files: converted by a Python of the user's in a sandbox. Request and answer are
 * JSON files in the temporary directory (src/cli/convert/main.py reads and writes them). */
#include "base/file_write.h"
#include "cli/convert.h"
#include "cli/init.h"
#include "cli/sandbox.h"
#include "text/json.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define RESULT_BYTES_MAX (16u << 20)
#define LOG_BYTES_MAX (1u << 20)
#define GOLDEN "golden.json"
#define FREEZE "requirements.txt"
#define OWN_FREEZE "requirements-conversion.txt"

/* --- the request --- */

struct bounds {
    uint64_t timeout_us, memory_bytes, rows, opset;
    double rtol, atol;
};

static enum gal_status number_of(struct gal_init *in, const char *name, enum gal_config_type type,
                                 uint64_t untold, uint64_t max, uint64_t *out, struct gal_err *err)
{
    const char *text = gal_cli_value(in->cli, name);
    struct gal_config_row row = {.name = name, .type = type, .min = 1, .max = max};
    struct gal_config_value value;
    enum gal_status status;

    *out = untold;
    if (!text)
        return GAL_OK;
    status = gal_config_parse(&row, text, &value, err);
    if (status != GAL_OK && err)
        gal_err_place(err, "--%s", name);
    *out = value.number;
    return status;
}

static enum gal_status tolerance_of(struct gal_init *in, const char *name, double untold,
                                    double *out, struct gal_err *err)
{
    const char *text = gal_cli_value(in->cli, name);
    char *end = NULL;

    *out = text ? strtod(text, &end) : untold;
    if (!text || (end != text && *end == '\0' && *out >= 0 && *out <= 1e6))
        return GAL_OK;
    gal_fail(err, GAL_INVALID, "'%s' is no tolerance: a number as 1e-4", text);
    gal_err_place(err, "--%s", name);
    return GAL_INVALID;
}

static enum gal_status read_bounds(struct gal_init *in, struct bounds *b, struct gal_err *err)
{
    enum gal_status status =
        number_of(in, "timeout", GAL_CONF_DURATION, 600000000, 86400000000, &b->timeout_us, err);

    if (status == GAL_OK)
        status =
            number_of(in, "memory", GAL_CONF_BYTES, 16ull << 30, 1ull << 44, &b->memory_bytes, err);
    if (status == GAL_OK)
        status = number_of(in, "rows", GAL_CONF_COUNT, 16, 10000, &b->rows, err);
    if (status == GAL_OK)
        status = number_of(in, "opset", GAL_CONF_COUNT, 17, 30, &b->opset, err);
    if (status == GAL_OK)
        status = tolerance_of(in, "rtol", 1e-4, &b->rtol, err);
    if (status == GAL_OK)
        status = tolerance_of(in, "atol", 1e-5, &b->atol, err);
    return status;
}

static void put_member(struct gal_buf *out, const char *key, const char *value)
{
    gal_buf_putc(out, ',');
    gal_json_put_key(out, key);
    if (value)
        gal_json_put_str(out, gal_str_of(value));
    else
        gal_buf_puts(out, "null");
}

/* The path without links, in the arena; NULL when there is none. */
static const char *absolute(struct gal_init *in, const char *path)
{
    char *real = path ? realpath(path, NULL) : NULL;
    const char *copy = real ? gal_init_copy(in, real, strlen(real)).p : NULL;

    (free)(real); /* the C library gave it */
    return copy;
}

/* FILE.py:CLASS with an absolute FILE: the process has another working directory. */
static const char *class_of(struct gal_init *in)
{
    const char *text = gal_cli_value(in->cli, "class");
    const char *colon = text ? strrchr(text, ':') : NULL;
    const char *file;

    if (!colon)
        return text;
    file = absolute(in, gal_init_copy(in, text, (size_t)(colon - text)).p);
    return file ? gal_arena_printf(&in->arena, "%s%s", file, colon) : text;
}

static enum gal_status write_request(struct gal_init *in, const char *model, const char *out_dir,
                                     const struct bounds *b, struct gal_err *err)
{
    struct gal_buf json;
    enum gal_status status;
    const char *rows = absolute(in, in->rows);

    if (in->rows && !rows) {
        gal_fail(err, GAL_NOT_FOUND, "there is no such file");
        gal_err_place(err, "%s", in->rows);
        return GAL_NOT_FOUND;
    }
    gal_buf_init(&json, RESULT_BYTES_MAX);
    gal_buf_puts(&json, "{\"model\":");
    gal_json_put_str(&json, gal_str_of(model));
    put_member(&json, "out", out_dir);
    put_member(&json, "inputs", rows);
    put_member(&json, "class", class_of(in));
    put_member(&json, "args", gal_cli_value(in->cli, "args"));
    put_member(&json, "shape", gal_cli_value(in->cli, "shape"));
    gal_buf_printf(&json, ",\"rows\":%llu,\"opset\":%llu,\"seed\":0,\"rtol\":",
                   (unsigned long long)b->rows, (unsigned long long)b->opset);
    gal_json_put_f64(&json, b->rtol);
    gal_buf_puts(&json, ",\"atol\":");
    gal_json_put_f64(&json, b->atol);
    gal_buf_putc(&json, '}');
    status = gal_init_write(gal_init_path(in, in->work, "request.json"), gal_buf_str(&json), err);
    gal_buf_release(&json);
    return status;
}

static enum gal_status write_modules(struct gal_init *in, struct gal_err *err)
{
    const struct {
        const char *name;
        const unsigned char *bytes;
        size_t size;
    } modules[] = {
        {"main.py", gal_asset_convert_main, gal_asset_convert_main_size},
        {"common.py", gal_asset_convert_common, gal_asset_convert_common_size},
        {"pickles.py", gal_asset_convert_pickles, gal_asset_convert_pickles_size},
        {"classic.py", gal_asset_convert_classic, gal_asset_convert_classic_size},
        {"boosters.py", gal_asset_convert_boosters, gal_asset_convert_boosters_size},
        {"neural.py", gal_asset_convert_neural, gal_asset_convert_neural_size},
        {"tensors.py", gal_asset_convert_tensors, gal_asset_convert_tensors_size},
    };
    enum gal_status status = GAL_OK;

    for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]) && status == GAL_OK; i++)
        status =
            gal_init_write(gal_init_path(in, in->work, modules[i].name),
                           (struct gal_str){(const char *)modules[i].bytes, modules[i].size}, err);
    return status;
}

/* --- Python --- */

/* The program's path: as it is when it has a slash, else the first of PATH. */
static enum gal_status find_python(struct gal_init *in, const char **out, struct gal_err *err)
{
    const char *wanted = gal_cli_value(in->cli, "python");
    struct gal_str path = {NULL, 0}, dir;

    wanted = wanted ? wanted : "python3";
    if (strchr(wanted, '/')) {
        /* Not realpath: a virtual environment's python is a link, and its place tells Python so. */
        char cwd[4096];
        *out = wanted[0] == '/'           ? wanted
               : getcwd(cwd, sizeof(cwd)) ? gal_init_path(in, cwd, wanted)
                                          : wanted;
        if (access(*out, X_OK) == 0)
            return GAL_OK;
    }
    for (char *const *e = in->cli->env; e && *e && !strchr(wanted, '/'); e++) {
        if (strncmp(*e, "PATH=", 5) == 0)
            path = gal_str_of(*e + 5);
    }
    while (path.n && gal_str_cut(&path, ':', &dir)) {
        *out = gal_arena_printf(&in->arena, "%.*s/%s", GAL_STR_ARG(dir), wanted);
        if (*out && dir.n && (*out)[0] == '/' && access(*out, X_OK) == 0)
            return GAL_OK;
    }
    gal_fail(err, GAL_NOT_FOUND, "there is no Python called %s", wanted);
    gal_err_hint(err, "--python PROGRAM names the one that has the framework, as venv/bin/python");
    return GAL_NOT_FOUND;
}

/* The last line that says something. */
static struct gal_str last_line(struct gal_str log)
{
    struct gal_str line, last = {NULL, 0};

    while (log.n && gal_str_cut(&log, '\n', &line)) {
        line = gal_str_trim(line);
        last = line.n ? line : last;
    }
    last.n = last.n > 240 ? 240 : last.n;
    return last;
}

static enum gal_status run_python(struct gal_init *in, const char *python, const struct bounds *b,
                                  int *code, struct gal_buf *log, struct gal_err *err)
{
    const char *argv[] = {python,
                          "-I",
                          "-B",
                          gal_init_path(in, in->work, "main.py"),
                          gal_init_path(in, in->work, "request.json"),
                          NULL};
    struct gal_sandbox box = {.argv = argv,
                              .dir = in->work,
                              .env = in->cli->env,
                              .allow_network = gal_cli_has(in->cli, "allow-network"),
                              .timeout_us = b->timeout_us,
                              .memory_bytes = b->memory_bytes};
    enum gal_status status = gal_sandbox_run(&box, code, log, err);

    if (status == GAL_DEADLINE)
        gal_err_hint(err, "--timeout 30m gives it longer");
    return status;
}

/* --- the answer --- */

static struct gal_str member(struct gal_init *in, yyjson_val *o, const char *key)
{
    yyjson_val *v = yyjson_obj_get(o, key);
    return yyjson_is_str(v) ? gal_init_copy(in, yyjson_get_str(v), yyjson_get_len(v))
                            : (struct gal_str){NULL, 0};
}

static enum gal_status texts(struct gal_init *in, yyjson_val *list, struct gal_str **out,
                             size_t *count, struct gal_err *err)
{
    size_t i, n;
    yyjson_val *item;

    *count = 0;
    *out = gal_arena_array(&in->arena, yyjson_arr_size(list) + 1, sizeof(**out));
    if (!*out)
        return gal_arena_fail(&in->arena, 0, "names", err);
    yyjson_arr_foreach(list, i, n, item)
    {
        if (yyjson_is_str(item))
            (*out)[(*count)++] = (struct gal_str){yyjson_get_str(item), yyjson_get_len(item)};
    }
    return GAL_OK;
}

static enum gal_status take_features(struct gal_init *in, yyjson_val *list, struct gal_err *err)
{
    size_t i, n, room = yyjson_arr_size(list) + 1;
    struct gal_str *names = gal_arena_array(&in->arena, room, sizeof(*names));
    yyjson_val *item;
    enum gal_status status = GAL_OK;

    in->hints = gal_arena_array(&in->arena, room, sizeof(*in->hints));
    if (!names || !in->hints)
        return gal_arena_fail(&in->arena, room, "features", err);
    yyjson_arr_foreach(list, i, n, item)
    {
        struct gal_init_hint *h = &in->hints[in->hint_count];
        yyjson_val *values = yyjson_obj_get(item, "values"), *e = yyjson_obj_get(item, "example");
        struct gal_str *known;
        *h = (struct gal_init_hint){.name = member(in, item, "name"),
                                    .nullable = yyjson_get_bool(yyjson_obj_get(item, "nullable")),
                                    .values_open = yyjson_arr_size(values) == 0};
        if (status == GAL_OK)
            status = texts(in, values, &known, &h->value_count, err);
        if (status == GAL_OK)
            h->values = known;
        if (e && !yyjson_is_null(e)) {
            struct gal_buf text;
            gal_buf_init(&text, 65536);
            if (yyjson_is_str(e))
                gal_json_put_str(&text, (struct gal_str){yyjson_get_str(e), yyjson_get_len(e)});
            else if (yyjson_is_int(e))
                gal_json_put_i64(&text, yyjson_get_sint(e));
            else if (yyjson_is_real(e))
                gal_json_put_f64(&text, yyjson_get_real(e));
            h->example = gal_init_copy(in, text.p, text.n);
            gal_buf_release(&text);
        }
        names[in->hint_count++] = h->name;
    }
    if (in->name_count == 0 || in->hint_count) {
        in->names = names;
        in->name_count = in->hint_count;
    }
    return status;
}

static bool has_file(const struct gal_init *in, struct gal_str name)
{
    for (size_t i = 0; i < in->file_count; i++) {
        if (gal_str_eq(in->files[i].name, name))
            return true;
    }
    return false;
}

static void take_provenance(struct gal_init *in, yyjson_val *result, const char *path)
{
    struct gal_draft_pairs *p = &in->draft.provenance;
    yyjson_val *libraries = yyjson_obj_get(result, "libraries"), *key, *value;
    struct gal_buf text;
    size_t i, n;

    gal_draft_pair(p, GAL_STR("converted_from"), gal_str_of(gal_path_base(path)), NULL);
    gal_draft_pair(p, GAL_STR("framework"), member(in, result, "framework"),
                   "that read the model and gave the golden cases");
    gal_draft_pair(p, GAL_STR("trained_with"), member(in, result, "trained_with"),
                   "another version than the one that read it");
    gal_draft_pair(p, GAL_STR("estimator"), member(in, result, "estimator"), NULL);
    gal_draft_pair(p, GAL_STR("python"), member(in, result, "python"), NULL);
    gal_buf_init(&text, 65536);
    yyjson_obj_foreach(libraries, i, n, key, value)
    {
        gal_buf_puts(&text, i ? ", " : "{");
        gal_draft_put_scalar(&text, gal_str_of(yyjson_get_str(key)));
        gal_buf_puts(&text, ": ");
        gal_draft_put_scalar(&text, gal_str_of(yyjson_get_str(value)));
    }
    if (text.n) {
        gal_buf_putc(&text, '}');
        size_t before = p->count;
        gal_draft_pair(p, GAL_STR("libraries"), gal_init_copy(in, text.p, text.n), NULL);
        if (p->count > before)
            p->at[before].literal = true;
    }
    gal_buf_release(&text);
    /* A source may have brought the list of its training: freeze is that one. */
    if (has_file(in, GAL_STR(FREEZE)))
        gal_draft_pair(p, GAL_STR("conversion_freeze"), GAL_STR(OWN_FREEZE),
                       "every package of the Python that converted it");
    gal_draft_pair(p, GAL_STR("freeze"), GAL_STR(FREEZE), "every package of that Python");
}

static enum gal_status take_result(struct gal_init *in, yyjson_val *result, const char *path,
                                   const char *out_dir, const struct bounds *b, struct gal_err *err)
{
    yyjson_val *notes = yyjson_obj_get(result, "notes"), *note;
    struct gal_str framework = member(in, result, "framework");
    unsigned long long rows = yyjson_get_uint(yyjson_obj_get(result, "rows"));
    bool given = yyjson_get_bool(yyjson_obj_get(result, "given"));
    enum gal_status status = take_features(in, yyjson_obj_get(result, "features"), err);
    bool has_freeze = has_file(in, GAL_STR(FREEZE));
    size_t i, n;

    take_provenance(in, result, path);

    if (status == GAL_OK)
        status = texts(in, yyjson_obj_get(result, "classes"), &in->labels, &in->label_count, err);
    if (status == GAL_OK)
        status = gal_init_take_model(in, gal_init_path(in, out_dir, "model.onnx"), err);
    if (status == GAL_OK)
        status = gal_init_add(in, gal_init_path(in, out_dir, GOLDEN), GAL_STR(GOLDEN), err);
    if (status == GAL_OK)
        status = gal_init_add(in, gal_init_path(in, out_dir, FREEZE),
                              has_freeze ? GAL_STR(OWN_FREEZE) : GAL_STR(FREEZE), err);
    if (status == GAL_OK && has_freeze) {
        static const struct gal_str more[] = {{OWN_FREEZE, sizeof(OWN_FREEZE) - 1}};
        in->draft.files = more;
        in->draft.file_count = 1;
    }
    in->labels_of = GAL_STR("probabilities");
    if (in->label_count == 0)
        in->labels = NULL;
    in->proven = true;
    in->rows = NULL;
    in->draft.golden_file = GAL_STR(GOLDEN);
    in->draft.golden_note =
        gal_arena_printf(&in->arena, "outputs of %.*s for %llu %s rows", GAL_STR_ARG(framework),
                         rows, given ? "given" : "drawn");
    in->draft.rtol = b->rtol;
    in->draft.atol = b->atol;
    yyjson_arr_foreach(notes, i, n, note)
    {
        if (yyjson_is_str(note))
            gal_init_note(in, gal_init_copy(in, yyjson_get_str(note), yyjson_get_len(note)).p);
    }
    return status;
}

/* "Install: PYTHON -m pip ..." names the Python that was asked. */
static void put_hint(const char *hint, const char *python, struct gal_err *err)
{
    const char *at = hint ? strstr(hint, "PYTHON") : NULL;

    if (at)
        gal_err_hint(err, "%.*s%s%s", (int)(at - hint), hint, python, at + 6);
    else if (hint && hint[0])
        gal_err_hint(err, "%s", hint);
}

static enum gal_status read_result(struct gal_init *in, const char *out_dir, const char *python,
                                   int code, const struct gal_buf *log, yyjson_val **result,
                                   struct gal_err *err)
{
    struct gal_str last = last_line(gal_buf_str(log));
    struct gal_buf text;
    const char *error;
    enum gal_status status =
        gal_file_read(gal_init_path(in, out_dir, "result.json"), RESULT_BYTES_MAX, &text, err);

    if (status != GAL_OK) {
        gal_fail(err, GAL_UNAVAILABLE, "the conversion ended with %s %d and no result: %.*s",
                 code > 128 ? "signal" : "exit code", code > 128 ? code - 128 : code,
                 GAL_STR_ARG(last));
        gal_err_hint(err, "%s", code > 128 ? "--memory and --timeout bound it" : "");
        return GAL_UNAVAILABLE;
    }
    status = gal_json_read(gal_init_copy(in, text.p, text.n), &in->arena, 16, result, err);
    gal_buf_release(&text);
    if (status != GAL_OK)
        return status;
    error = yyjson_get_str(yyjson_obj_get(*result, "error"));
    if (!error)
        return code == 0 ? GAL_OK
                         : gal_fail(err, GAL_UNAVAILABLE, "the conversion failed: %.*s",
                                    GAL_STR_ARG(last));
    gal_fail(err, GAL_INVALID, "%s", error);
    put_hint(yyjson_get_str(yyjson_obj_get(*result, "hint")), python, err);
    return GAL_INVALID;
}

/* --- the source --- */

static enum gal_status not_asked(const char *path, struct gal_err *err)
{
    static const char *const pickles[] = {".pkl", ".pickle", ".joblib", ".sav",
                                          ".pt",  ".pth",    ".ckpt"};
    struct gal_str name = gal_str_of(path);
    bool is_pickle = false;

    for (size_t i = 0; i < sizeof(pickles) / sizeof(pickles[0]); i++)
        is_pickle = is_pickle || gal_str_ends(name, gal_str_of(pickles[i]));
    if (is_pickle)
        gal_fail(err, GAL_UNSUPPORTED,
                 "the file is a pickle, and a pickle is a program: loading it runs what its author "
                 "put in, so galley does not");
    else
        gal_fail(err, GAL_UNSUPPORTED, "galley serves ONNX; this file needs a conversion");
    gal_err_place(err, "%s", path);
    gal_err_hint(err, "--convert looks through it and converts it by a Python of yours, isolated: "
                      "galley help init");
    return GAL_UNSUPPORTED;
}

static enum gal_status convert(struct gal_init *in, const char *path, struct gal_err *err)
{
    const char *python = NULL, *model = absolute(in, path), *out_dir;
    struct bounds b;
    struct gal_buf log;
    yyjson_val *result = NULL;
    int code = 0;
    enum gal_status status = read_bounds(in, &b, err);

    gal_buf_init(&log, LOG_BYTES_MAX);
    if (status == GAL_OK)
        status = find_python(in, &python, err);
    if (status == GAL_OK)
        status = gal_dir_make_temporary("init", &in->work, err);
    out_dir = status == GAL_OK ? gal_init_path(in, in->work, "out") : NULL;
    if (status == GAL_OK && (!model || !out_dir || mkdir(out_dir, 0700) != 0))
        status = gal_fail(err, GAL_IO, "the temporary directory cannot be used");
    if (status == GAL_OK)
        status = write_modules(in, err);
    if (status == GAL_OK)
        status = write_request(in, model, out_dir, &b, err);
    if (status == GAL_OK)
        status = run_python(in, python, &b, &code, &log, err);
    if (status == GAL_OK)
        status = read_result(in, out_dir, python, code, &log, &result, err);
    if (status == GAL_OK)
        status = take_result(in, result, path, out_dir, &b, err);
    gal_buf_release(&log);
    return status;
}

enum gal_status gal_init_convert(struct gal_init *in, const char *path, struct gal_err *err)
{
    enum gal_status status;

    if (!gal_cli_has(in->cli, "convert"))
        return not_asked(path, err);
    if (!in->draft.made_from)
        in->draft.made_from = gal_path_base(path);
    if (!gal_cli_has(in->cli, "json"))
        fprintf(in->cli->err, "galley: init: converting %s in isolation\n", gal_path_base(path));
    status = convert(in, path, err);
    if (status != GAL_OK && err && err->place[0] == '\0')
        gal_err_place(err, "%s", path);
    return status;
}
