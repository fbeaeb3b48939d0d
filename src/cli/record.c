/* SPDX-License-Identifier: Apache-2.0 */
/* Golden cases out of inputs: what a package answers today is what it is to answer from now on. */
#include "base/file_write.h"
#include "cli/cases.h"
#include "cli/command.h"
#include "cli/print.h"
#include "cli/read.h"
#include "cli/subject.h"

#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECORD_BYTES_MAX (1u << 30)
#define INPUTS_BYTES_MAX (512u << 20)
#define EMPTY_BYTES_MAX 4096u /* of a file that may hold no cases; a larger one holds some */
#define NO_CASES "{\"cases\": []}\n"
#define UNTOLD GAL_STR("golden.json")
#define NAMING "golden: golden.json\n"
/* As `galley init` has prepared it (package/draft.c). */
#define PREPARED "\n# golden: {file: golden.json}"

/* Where the cases go, and what the package's own manifest says of it. */
struct target {
    char path[GAL_PATH_SIZE];  /* that is written */
    char named[GAL_PATH_SIZE]; /* that galley.yaml names, or would */
    bool is_named;
    bool placed; /* an empty file stands at `named`, so that the package can be opened */
    bool added;  /* the manifest names it now */
};

/* --- where to --- */

static enum gal_status read_manifest(const char *dir, struct gal_arena *arena,
                                     struct gal_manifest **out, struct gal_err *err)
{
    char path[GAL_PATH_SIZE];
    struct gal_buf text;
    const char *copy;
    enum gal_status status;

    snprintf(path, sizeof path, "%s/" GAL_MANIFEST_FILE, dir);
    status = gal_file_read(path, INPUTS_BYTES_MAX, &text, err);
    if (status)
        return status;
    copy = gal_arena_strdup(arena, gal_buf_str(&text));
    status = copy ? gal_manifest_read(gal_str_of(copy), GAL_MANIFEST_FILE, arena, out, err)
                  : gal_arena_fail(arena, text.n, "the manifest", err);
    gal_buf_release(&text);
    return status;
}

static bool is_there(const char *path)
{
    struct gal_file_info info;
    return gal_file_stat(path, &info, NULL) == GAL_OK && info.kind != GAL_FILE_NONE;
}

/* A file without cases: of an earlier call that was interrupted, or written by hand. */
static bool is_empty(const char *path)
{
    struct gal_golden *golden = NULL;
    struct gal_arena arena;
    struct gal_buf text;
    bool none;

    if (gal_file_read(path, EMPTY_BYTES_MAX, &text, NULL) != GAL_OK)
        return false;
    gal_arena_init(&arena, 4096, 0, 64u << 10);
    none = gal_golden_read(gal_buf_str(&text), path, 0, 0, &arena, &golden, NULL) == GAL_OK &&
           golden->case_count == 0;
    gal_arena_release(&arena);
    gal_buf_release(&text);
    return none;
}

/* The manifest may name golden cases that this command is to make: without them the package would
 * not open. */
static enum gal_status prepare(const struct gal_cli *cli, struct gal_arena *arena, struct target *t,
                               struct gal_err *err)
{
    const char *dir = cli->operands[0], *output = gal_cli_value(cli, "output");
    struct gal_manifest *m = NULL;
    struct gal_file_info info;
    enum gal_status status = gal_file_stat(dir, &info, err);

    if (status)
        return status;
    if (info.kind != GAL_FILE_DIR && !output) {
        gal_fail(err, GAL_INVALID, "%.200s is packed: it does not change", dir);
        gal_err_hint(err, "record the directory that it was packed from, or say -o FILE");
        return GAL_INVALID;
    }
    if (info.kind == GAL_FILE_DIR) {
        status = read_manifest(dir, arena, &m, err);
        if (status || !m)
            return status;
        t->is_named = m->golden_file.n > 0;
        snprintf(t->named, sizeof t->named, "%s/%.*s", dir,
                 GAL_STR_ARG(t->is_named ? m->golden_file : UNTOLD));
    }
    snprintf(t->path, sizeof t->path, "%s", output ? output : t->named);
    if (is_there(t->path) && !gal_cli_has(cli, "force") && !is_empty(t->path)) {
        gal_fail(err, GAL_CONFLICT, "%.200s is there already", t->path);
        gal_err_hint(err, "--force records it anew; -o FILE writes another file");
        return GAL_CONFLICT;
    }
    if (t->is_named && !is_there(t->named)) {
        status = gal_file_put(t->named, gal_str_of(NO_CASES), err);
        t->placed = status == GAL_OK;
    }
    return status;
}

/* --- recording --- */

static enum gal_status write_cases(const struct target *t, const struct gal_golden *g,
                                   struct gal_err *err)
{
    struct gal_buf text;
    enum gal_status status;

    gal_buf_init(&text, RECORD_BYTES_MAX);
    status = gal_golden_write(&text, g, err);
    if (!status)
        status = gal_file_put(t->path, gal_buf_str(&text), err);
    gal_buf_release(&text);
    return status;
}

/* The manifest's text with a line that names the cases: the one that is prepared in a comment, or
 * one more at the end. */
static void put_named(struct gal_buf *out, struct gal_str text)
{
    const char *at = memmem(text.p, text.n, PREPARED, sizeof PREPARED - 1);
    size_t n = at ? (size_t)(at - text.p) + 1 : text.n;

    gal_buf_put(out, text.p, n);
    if (at) {
        gal_buf_put(out, at + 3, text.n - n - 2);
        return;
    }
    if (n > 0 && text.p[n - 1] != '\n')
        gal_buf_putc(out, '\n');
    gal_buf_puts(out, NAMING);
}

/* Cases that galley.yaml does not name prove nothing. Where it cannot be written so that it still
 * reads as it did, it stays, and the user is told what to add. */
static void name_cases(struct target *t, const char *dir, struct gal_arena *arena)
{
    char path[GAL_PATH_SIZE];
    struct gal_buf text, named;
    struct gal_manifest *m = NULL;
    struct stat before;

    snprintf(path, sizeof path, "%s/" GAL_MANIFEST_FILE, dir);
    if (lstat(path, &before) != 0 || !S_ISREG(before.st_mode) ||
        gal_file_read(path, INPUTS_BYTES_MAX, &text, NULL) != GAL_OK)
        return;
    gal_buf_init(&named, INPUTS_BYTES_MAX);
    put_named(&named, gal_buf_str(&text));
    t->added =
        !named.failed &&
        gal_manifest_read(gal_buf_str(&named), GAL_MANIFEST_FILE, arena, &m, NULL) == GAL_OK && m &&
        gal_str_eq(m->golden_file, UNTOLD) &&
        gal_file_put(path, gal_buf_str(&named), NULL) == GAL_OK;
    if (t->added)
        (void)chmod(path, before.st_mode & 0777);
    gal_buf_release(&named);
    gal_buf_release(&text);
}

static enum gal_status record(struct gal_cli *cli, struct gal_subject *s, const struct target *t,
                              struct gal_arena *arena, struct gal_golden **made,
                              struct gal_err *err)
{
    const char *path = gal_cli_value(cli, "inputs");
    const struct gal_manifest *m = s->package->manifest;
    double rtol = m->rtol, atol = m->atol;
    struct gal_golden *asked;
    struct gal_buf text;
    enum gal_status status = gal_cli_tolerance(cli, &rtol, &atol, err);

    if (status)
        return status;
    status = gal_cli_read(cli, path, INPUTS_BYTES_MAX, &text, err);
    if (!status)
        status = gal_cases_read(gal_buf_str(&text), path, s->model, rtol, atol, arena, &asked, err);
    if (!status && (gal_cli_has(cli, "rtol") || gal_cli_has(cli, "atol")))
        gal_cases_tolerate(asked, rtol, atol);
    if (!status)
        status = gal_golden_record(asked, s->ops, s->session, NULL, 0, arena, made, err);
    if (!status)
        status = write_cases(t, *made, err);
    gal_buf_release(&text);
    return status;
}

static void say_recorded(struct gal_cli *cli, const struct target *t, const struct gal_golden *g)
{
    uint64_t rows = 0;

    for (size_t i = 0; i < g->case_count; i++) {
        const struct gal_tensor *first = &g->cases[i].inputs[0].tensor;
        rows += g->cases[i].input_count && first->rank ? (uint64_t)first->shape[0] : 1;
    }
    fprintf(cli->out, "%s: %zu case%s, %" PRIu64 " row%s\n", t->path, g->case_count,
            g->case_count == 1 ? "" : "s", rows, rows == 1 ? "" : "s");
    if (t->added)
        fputs("galley.yaml names it now: the package proves itself by them.\n", cli->out);
    else if (!t->is_named && strcmp(t->path, t->named) == 0)
        fputs("Add `golden: golden.json` to galley.yaml: then the package proves itself by them.\n",
              cli->out);
}

static int run_record(struct gal_cli *cli)
{
    struct gal_subject subject = {.text = NULL};
    struct gal_golden *made = NULL;
    struct target target = {.is_named = false};
    struct gal_config config;
    struct gal_arena arena;
    struct gal_err err;
    enum gal_status status;
    int code = GAL_EXIT_OK;

    if (!gal_cli_has(cli, "inputs"))
        return gal_cli_usage(cli,
                             "no inputs: give --inputs FILE, or --inputs - for standard input");
    gal_config_init(&config);
    gal_arena_init(&arena, 65536, 0, RECORD_BYTES_MAX);
    status = gal_cli_config(cli, &config, &err);
    if (!status)
        status = prepare(cli, &arena, &target, &err);
    if (!status)
        status = gal_subject_package(cli->operands[0], &subject, &err);
    if (!status)
        status = gal_subject_load(&config, &subject, &err);
    if (!status)
        status = record(cli, &subject, &target, &arena, &made, &err);
    if (target.placed && (status || strcmp(target.path, target.named) != 0))
        unlink(target.named);
    if (!status && !target.is_named && strcmp(target.path, target.named) == 0)
        name_cases(&target, cli->operands[0], &arena);
    if (status)
        code = gal_cli_fail(cli, GAL_EXIT_FAILURE, &err);
    else
        say_recorded(cli, &target, made);
    gal_subject_close(&subject);
    gal_arena_release(&arena);
    gal_config_release(&config);
    return code;
}

static const struct gal_option options[] = {
    {"inputs", 'i', "FILE", "Requests: native JSON, JSON lines, or Open Inference Protocol"},
    {"output", 'o', "FILE", "Write here; the file that galley.yaml names unless given"},
    {"force", 'f', NULL, "Replace golden cases that are there"},
    {"rtol", '\0', "NUMBER", "Relative tolerance of the cases; the package's unless given"},
    {"atol", '\0', "NUMBER", "Absolute tolerance of the cases; the package's unless given"},
};
static const struct gal_example examples[] = {
    {"galley record fraud/ --inputs rows.jsonl",
     "A case for each line, into fraud/golden.json; galley.yaml names it from then on."},
    {"galley record fraud/ -i fraud/golden.json --force",
     "The same inputs again, after a change that is meant to change answers."},
    {"echo '[5.1, 3.5, 1.4, 0.2]' | galley record iris/ -i - -o one.json", "One row, elsewhere."},
};

const struct gal_command gal_command_record = {
    .name = "record",
    .summary = "Make golden cases of a package from inputs",
    .operands = "PKG",
    .words = "PATH",
    .operands_min = 1,
    .operands_max = 1,
    .text =
        "Runs each request through the package, steps and model, and writes inputs and answers "
        "as golden cases: from then on `galley verify` and every server hold the package "
        "against them. Record what training has confirmed: a case proves that answers stay the "
        "same, not that they are right.\n\nA file of inputs holds one request, an array of rows, "
        "or one of either on each line: rows as objects of features or arrays of values, native "
        "requests, Open Inference Protocol requests; or golden cases, whose inputs are taken. "
        "Inputs that the package's features refuse are an error.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .keys = GAL_KEYS(GAL_KEY_ONNXRUNTIME, GAL_KEY_INTRA_OP_THREADS),
    .examples = examples,
    .example_count = sizeof(examples) / sizeof(examples[0]),
    .run = run_record,
};
