/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "base/mem.h"
#include "cli/help.h"
#include "cli/print.h"
#include "cli/read.h"
#include "ship/lint.h"
#include "text/json.h"

#define JSON_BYTES_MAX (4u << 20)

static void print_text(FILE *out, const struct gal_lint *l)
{
    static const char *const colours[] = {"", "\033[33m", "\033[31m"};
    bool colour = gal_colour_wanted(out);
    for (size_t i = 0; i < l->count; i++) {
        const struct gal_lint_finding *f = &l->findings[i];
        if (f->line)
            fprintf(out, "line %u: ", f->line);
        fprintf(out, "%s%s%s %s: ", colour ? colours[f->severity] : "",
                gal_severity_name(f->severity), colour && f->severity ? "\033[0m" : "", f->code);
        gal_print_text(out, gal_str_of(f->message));
        fprintf(out, "\n  %s\n", f->remedy);
    }
    fprintf(out, "%zu errors, %zu warnings, %zu findings in all\n", l->errors, l->warnings,
            l->count);
}

static void print_json(FILE *out, const struct gal_lint *l)
{
    struct gal_buf b;
    gal_buf_init(&b, JSON_BYTES_MAX);
    gal_buf_printf(&b, "{\"errors\":%zu,\"warnings\":%zu,\"findings\":[", l->errors, l->warnings);
    for (size_t i = 0; i < l->count; i++) {
        const struct gal_lint_finding *f = &l->findings[i];
        gal_buf_printf(&b, "%s{\"severity\":\"%s\",\"code\":\"%s\",\"message\":", i ? "," : "",
                       gal_severity_name(f->severity), f->code);
        gal_json_put_str(&b, gal_str_of(f->message));
        gal_buf_puts(&b, ",\"remedy\":");
        gal_json_put_str(&b, gal_str_of(f->remedy));
        if (f->line)
            gal_buf_printf(&b, ",\"line\":%u", f->line);
        gal_buf_putc(&b, '}');
    }
    gal_buf_puts(&b, "]}");
    gal_print_json(out, gal_buf_str(&b), false);
    gal_buf_release(&b);
}

/* FILE.dockerignore, which BuildKit takes first, or .dockerignore in its folder. */
static enum gal_status look_beside(const char *file, bool *has_ignore, struct gal_err *err)
{
    const char *base = gal_path_base(file);
    char path[GAL_PATH_SIZE];
    struct gal_file_info info = {.kind = GAL_FILE_NONE};
    enum gal_status status = GAL_OK;
    *has_ignore = false;
    if (snprintf(path, sizeof path, "%s.dockerignore", file) < (int)sizeof path)
        status = gal_file_stat(path, &info, err);
    *has_ignore = info.kind == GAL_FILE_REGULAR;
    if (!status && !*has_ignore &&
        snprintf(path, sizeof path, "%.*s.dockerignore", (int)(base - file), file) <
            (int)sizeof path)
        status = gal_file_stat(path, &info, err);
    *has_ignore = info.kind == GAL_FILE_REGULAR;
    return status;
}

static int run_lint(struct gal_cli *cli)
{
    const char *file = cli->operand_count ? cli->operands[0] : "Dockerfile";
    struct gal_lint lint = {.count = 0};
    struct gal_buf text;
    struct gal_err err;
    bool has_ignore = true, strict = gal_cli_has(cli, "strict");
    enum gal_status status = gal_cli_read(cli, file, GAL_DOCKER_BYTES_MAX, &text, &err);
    if (!status && strcmp(file, "-") != 0)
        status = look_beside(file, &has_ignore, &err);
    if (!status)
        status = gal_lint_dockerfile(gal_buf_str(&text), has_ignore, &cli->arena, &lint, &err);
    gal_buf_release(&text);
    if (status) {
        if (!err.place[0])
            gal_err_place(&err, "%s", file);
        return gal_cli_fail(cli, GAL_EXIT_FAILURE, &err);
    }
    if (gal_cli_has(cli, "json"))
        print_json(cli->out, &lint);
    else
        print_text(cli->out, &lint);
    return lint.errors || (strict && lint.warnings) ? GAL_EXIT_FAILURE : GAL_EXIT_OK;
}

static const struct gal_option options[] = {
    {"json", '\0', NULL, "Print one JSON object"},
    {"strict", '\0', NULL, "Warnings too make the exit code 1"},
};
static const struct gal_example examples[] = {
    {"galley image lint", "Dockerfile in this folder; the exit code is 1 when there is an error."},
    {"galley image lint --strict --json deploy/Dockerfile | jq .findings", "In a pipeline."},
};

const struct gal_command gal_command_image_lint = {
    .name = "image lint",
    .summary = "Find what a Dockerfile does wrong",
    .operands = "[DOCKERFILE]",
    .words = "PATH",
    .operands_min = 0,
    .operands_max = 1,
    .text =
        "Reads a Dockerfile (- is standard input) and tells, with lines: bases that move, that are "
        "CUDA's -devel, Alpine or full images; root; no health check; what apt-get and pip leave "
        "in layers; versions that are not pinned; compilers in the last stage; copying all before "
        "installing; secrets in ENV and ARG; a shell in front of the server; no .dockerignore. "
        "Each comes with what to do. Nothing is built, no image is looked at: galley image audit "
        "does that.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .examples = examples,
    .example_count = sizeof(examples) / sizeof(examples[0]),
    .run = run_lint,
};
