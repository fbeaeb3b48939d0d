/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include "cli/help.h"
#include "cli/options.h"
#include "cli/print.h"

const struct gal_command *const gal_commands[] = {
    &gal_command_serve,      &gal_command_predict, &gal_command_inspect,
    &gal_command_health,     &gal_command_bench,   &gal_command_version,
    &gal_command_completion, &gal_command_help,    NULL,
};

const struct gal_command *gal_command_find(struct gal_str name)
{
    for (size_t i = 0; gal_commands[i]; i++) {
        if (gal_str_is(name, gal_commands[i]->name))
            return gal_commands[i];
    }
    return NULL;
}

/* --- errors --- */

static void put_prefix(struct gal_cli *cli)
{
    fprintf(cli->err, "galley: %s%s", cli->command ? cli->command->name : "",
            cli->command ? ": " : "");
}

static void put_see(struct gal_cli *cli)
{
    fprintf(cli->err, "see: galley help%s%s\n", cli->command ? " " : "",
            cli->command ? cli->command->name : "");
}

int gal_cli_fail(struct gal_cli *cli, int code, const struct gal_err *err)
{
    put_prefix(cli);
    gal_print_text(cli->err, gal_str_of(err->place));
    fputs(err->place[0] ? ": " : "", cli->err);
    gal_print_text(cli->err, gal_str_of(err->message));
    fputc('\n', cli->err);
    if (err->hint[0]) {
        gal_print_text(cli->err, gal_str_of(err->hint));
        fputc('\n', cli->err);
    } else if (code == GAL_EXIT_USAGE) {
        put_see(cli);
    }
    return code;
}

int gal_cli_usage(struct gal_cli *cli, const char *format, ...)
{
    va_list args;

    put_prefix(cli);
    va_start(args, format);
    vfprintf(cli->err, format, args);
    va_end(args);
    fputc('\n', cli->err);
    put_see(cli);
    return GAL_EXIT_USAGE;
}

/* --- options given --- */

const char *gal_cli_value(const struct gal_cli *cli, const char *name)
{
    const char *value = NULL;

    for (size_t i = 0; i < cli->given_count; i++) {
        if (cli->given[i].own && strcmp(cli->given[i].own->name, name) == 0)
            value = cli->given[i].value;
    }
    return value;
}

bool gal_cli_has(const struct gal_cli *cli, const char *name)
{
    for (size_t i = 0; i < cli->given_count; i++) {
        if (cli->given[i].own && strcmp(cli->given[i].own->name, name) == 0)
            return true;
    }
    return false;
}

enum gal_status gal_cli_config(const struct gal_cli *cli, struct gal_config *c, struct gal_err *err)
{
    enum gal_status status = GAL_OK;

    c->file = gal_cli_value(cli, "config");
    for (size_t i = 0; i < cli->given_count && status == GAL_OK; i++) {
        const struct gal_given *g = &cli->given[i];
        if (g->row)
            status = gal_config_set(c, g->row, GAL_FROM_FLAG, g->value, g->where, err);
    }
    if (status == GAL_OK)
        status = gal_config_read_env(c, cli->env, err);
    if (status == GAL_OK && c->file)
        status = gal_config_read_file(c, c->file, err);
    return status;
}

/* --- dispatch --- */

static int unknown_command(struct gal_cli *cli, const char *typed)
{
    const char *near = NULL;
    size_t best = 3;

    for (size_t i = 0; gal_commands[i]; i++) {
        size_t distance = gal_name_distance(gal_str_of(typed), gal_commands[i]->name);
        if (distance < best) {
            best = distance;
            near = gal_commands[i]->name;
        }
    }
    if (near)
        return gal_cli_usage(cli, "%s: unknown command; did you mean %s?", typed, near);
    return gal_cli_usage(cli, "%s: unknown command", typed);
}

/* `--version` and `--help` in place of a command are what people try first. */
static const struct gal_command *command_of(const char *typed)
{
    if (strcmp(typed, "--help") == 0 || strcmp(typed, "-h") == 0)
        return &gal_command_help;
    if (strcmp(typed, "--version") == 0 || strcmp(typed, "-V") == 0)
        return &gal_command_version;
    return gal_command_find(gal_str_of(typed));
}

static int run(struct gal_cli *cli, int argc, char *const *argv)
{
    int code = gal_options_parse(cli, argc, argv);

    if (code != GAL_EXIT_OK)
        return code;
    if (cli->help_wanted) {
        gal_help_command(cli->out, cli->command);
        return GAL_EXIT_OK;
    }
    return cli->command->run(cli);
}

static int dispatch(struct gal_cli *cli, int argc, char *const *argv)
{
    const struct gal_command *command;
    int code;

    if (argc < 2) {
        gal_help_overview(cli->err);
        return GAL_EXIT_USAGE;
    }
    cli->command = command = command_of(argv[1]);
    if (!cli->command)
        return unknown_command(cli, argv[1]);
    code = run(cli, argc - 2, argv + 2);
    return code == GAL_EXIT_USAGE && command->fails_with_1 ? GAL_EXIT_FAILURE : code;
}

int gal_cli_main(int argc, char *const *argv, char *const *env, FILE *in, FILE *out, FILE *err)
{
    struct gal_cli cli = {.in = in, .out = out, .err = err, .env = env};
    int code;

    gal_arena_init(&cli.arena, 4096, 0, 16u << 20);
    code = dispatch(&cli, argc, argv);
    if (fflush(out) != 0 || ferror(out)) {
        fputs("galley: standard output could not be written\n", err);
        code = code == GAL_EXIT_OK ? GAL_EXIT_FAILURE : code;
    }
    gal_arena_release(&cli.arena);
    return code;
}
