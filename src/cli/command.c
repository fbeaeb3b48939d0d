/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include "cli/help.h"
#include "cli/options.h"
#include "cli/print.h"

const struct gal_command *const gal_commands[] = {
#define GAL_COMMAND(name) &gal_command_##name,
#include "cli/commands.def"
#undef GAL_COMMAND
    NULL,
};

const struct gal_command_group gal_command_groups[] = {
    {"cache", "List and remove what was fetched by URL"},
    {"image", "Build and examine container images"},
    {NULL, NULL},
};

const struct gal_command *gal_command_find(struct gal_str name)
{
    for (size_t i = 0; gal_commands[i]; i++) {
        if (gal_str_is(name, gal_commands[i]->name))
            return gal_commands[i];
    }
    return NULL;
}

const struct gal_command_group *gal_group_find(struct gal_str name)
{
    for (const struct gal_command_group *g = gal_command_groups; g->name; g++) {
        if (gal_str_is(name, g->name))
            return g;
    }
    return NULL;
}

const struct gal_command_group *gal_group_of(const struct gal_command *command)
{
    struct gal_str first = {.p = command->name, .n = strcspn(command->name, " ")};

    return command->name[first.n] ? gal_group_find(first) : NULL;
}

const char *gal_command_leaf(const struct gal_command *command)
{
    const char *blank = strchr(command->name, ' ');

    return blank ? blank + 1 : command->name;
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

/* The nearest name of a group's commands, or (group NULL) of commands and groups. */
static const char *nearest(const struct gal_command_group *group, const char *typed)
{
    const char *near = NULL;
    size_t best = 3;

    for (size_t i = 0; gal_commands[i]; i++) {
        const struct gal_command_group *of = gal_group_of(gal_commands[i]);
        const char *name = of && !group ? of->name : gal_command_leaf(gal_commands[i]);
        size_t distance;
        if (group && of != group)
            continue;
        distance = gal_name_distance(gal_str_of(typed), name);
        if (distance < best) {
            best = distance;
            near = name;
        }
    }
    return near;
}

static int unknown_command(struct gal_cli *cli, const struct gal_command_group *group,
                           const char *typed)
{
    const char *near = nearest(group, typed), *first = group ? group->name : "";

    fprintf(cli->err, "galley: %s%s%s: unknown command", first, group ? " " : "", typed);
    if (near)
        fprintf(cli->err, "; did you mean %s%s%s?", first, group ? " " : "", near);
    fprintf(cli->err, "\nsee: galley help%s%s\n", group ? " " : "", first);
    return GAL_EXIT_USAGE;
}

static bool is_help(const char *typed)
{
    return strcmp(typed, "--help") == 0 || strcmp(typed, "-h") == 0;
}

/* `--version` and `--help` in place of a command are what people try first. */
static const struct gal_command *command_of(const char *typed)
{
    if (is_help(typed))
        return &gal_command_help;
    if (strcmp(typed, "--version") == 0 || strcmp(typed, "-V") == 0)
        return &gal_command_version;
    return gal_command_find(gal_str_of(typed));
}

/* The command that argv begins with, its words cut off. NULL: printed what is wrong, or what there
 * is; *code is the exit's. */
static const struct gal_command *take_command(struct gal_cli *cli, int *argc, char *const **argv,
                                              int *code)
{
    const struct gal_command_group *group = gal_group_find(gal_str_of((*argv)[0]));
    const struct gal_command *command = command_of((*argv)[0]);
    char name[GAL_COMMAND_NAME_SIZE];
    int words = group ? 2 : 1;

    if (group && (*argc < 2 || is_help((*argv)[1]))) {
        gal_help_group(*argc < 2 ? cli->err : cli->out, group);
        *code = *argc < 2 ? GAL_EXIT_USAGE : GAL_EXIT_OK;
        return NULL;
    }
    if (group) {
        snprintf(name, sizeof(name), "%s %s", group->name, (*argv)[1]);
        command = gal_command_find(gal_str_of(name));
    }
    if (!command) {
        *code = unknown_command(cli, group, (*argv)[words - 1]);
        return NULL;
    }
    *argc -= words;
    *argv += words;
    return command;
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
    argc--;
    argv++;
    cli->command = command = take_command(cli, &argc, &argv, &code);
    if (!command)
        return code;
    code = run(cli, argc, argv);
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
