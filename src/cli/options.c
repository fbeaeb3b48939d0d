/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

static const struct gal_option help_option = {"help", 'h', NULL, "Show this help"};

/* Short forms of rows. */
static const struct {
    enum gal_config_key key;
    char letter;
    const char *alias;
} short_forms[] = {{GAL_KEY_HTTP_PORT, 'p', "port"}};

static void view_own(const struct gal_option *own, struct gal_option_view *out)
{
    *out = (struct gal_option_view){
        .letter = own->letter, .arg = own->arg, .help = own->help, .own = own};
    snprintf(out->name, sizeof(out->name), "%s", own->name);
}

static void view_row(const struct gal_config_row *row, struct gal_option_view *out)
{
    *out = (struct gal_option_view){.arg = row->arg, .help = row->help, .row = row};
    snprintf(out->name, sizeof(out->name), "%s", row->name);
    for (char *p = out->name; *p; p++)
        *p = *p == '_' ? '-' : *p;
    for (size_t i = 0; i < sizeof(short_forms) / sizeof(short_forms[0]); i++) {
        if (short_forms[i].key == row->key) {
            out->letter = short_forms[i].letter;
            out->alias = short_forms[i].alias;
        }
    }
}

bool gal_option_at(const struct gal_command *command, size_t index, struct gal_option_view *out)
{
    if (index < command->option_count) {
        view_own(&command->options[index], out);
        return true;
    }
    index -= command->option_count;
    if (index == 0) {
        view_own(&help_option, out);
        return true;
    }
    index--;
    if (command->all_keys) {
        if (index >= GAL_KEY_COUNT)
            return false;
        view_row(&gal_config_rows[index], out);
        return true;
    }
    for (const enum gal_config_key *key = command->keys; key && *key != GAL_KEY_COUNT; key++) {
        if (index-- == 0) {
            view_row(&gal_config_rows[*key], out);
            return true;
        }
    }
    return false;
}

const char *gal_option_words(const struct gal_option_view *option)
{
    if (option->arg && strchr(option->arg, '|'))
        return option->arg;
    if (!option->row)
        return NULL;
    switch (option->row->type) {
    case GAL_CONF_BOOL:
    case GAL_CONF_SHARE:
        return "on|off";
    case GAL_CONF_LEVEL:
        return "debug|info|warn|error|off";
    case GAL_CONF_FORMAT:
        return "auto|json|console";
    default:
        return NULL;
    }
}

/* --- parser --- */

static bool find_long(const struct gal_command *command, struct gal_str name,
                      struct gal_option_view *out)
{
    for (size_t i = 0; gal_option_at(command, i, out); i++) {
        if (gal_name_distance(name, out->name) == 0 ||
            (out->alias && gal_name_distance(name, out->alias) == 0))
            return true;
    }
    return false;
}

static bool find_letter(const struct gal_command *command, char letter, struct gal_option_view *out)
{
    for (size_t i = 0; gal_option_at(command, i, out); i++) {
        if (out->letter == letter)
            return true;
    }
    return false;
}

static int unknown(struct gal_cli *cli, struct gal_str name)
{
    struct gal_option_view option;
    char near[GAL_OPTION_NAME_SIZE] = "";
    size_t best = SIZE_MAX;

    for (size_t i = 0; gal_option_at(cli->command, i, &option); i++) {
        const char *names[] = {option.name, option.alias};
        for (size_t n = 0; n < 2 && names[n]; n++) {
            size_t distance = gal_name_distance(name, names[n]);
            if (distance < best) {
                best = distance;
                snprintf(near, sizeof(near), "%s", names[n]);
            }
        }
    }
    return gal_cli_usage(cli, "--%.*s: unknown option%s%s%s", GAL_STR_ARG(name),
                         near[0] ? "; did you mean --" : "", near, near[0] ? "?" : "");
}

/* Checks a row's value while the command line is at hand, so that a wrong one is an error of
 * usage. */
static int add(struct gal_cli *cli, const struct gal_option_view *option, struct gal_str where,
               const char *value)
{
    struct gal_config_value ignored;
    struct gal_err err;
    char *copy = gal_arena_strdup(&cli->arena, where);

    if (!copy) {
        gal_fail(&err, GAL_NO_MEMORY, "no memory for the command line");
        return gal_cli_fail(cli, GAL_EXIT_FAILURE, &err);
    }
    if (option->own == &help_option) {
        cli->help_wanted = true;
        return GAL_EXIT_OK;
    }
    if (option->row && gal_config_parse(option->row, value, &ignored, &err) != GAL_OK) {
        gal_err_place(&err, "%s", copy);
        return gal_cli_fail(cli, GAL_EXIT_USAGE, &err);
    }
    cli->given[cli->given_count++] = (struct gal_given){option->own, option->row, value, copy};
    return GAL_EXIT_OK;
}

/* The value that follows, or NULL: another option is no value. */
static const char *next_value(int argc, char *const *argv, int *i)
{
    if (*i + 1 >= argc || strncmp(argv[*i + 1], "--", 2) == 0)
        return NULL;
    return argv[++*i];
}

static int missing(struct gal_cli *cli, struct gal_str where, const struct gal_option_view *option)
{
    return gal_cli_usage(cli, "%.*s: a value is missing: --%s %s", GAL_STR_ARG(where), option->name,
                         option->arg);
}

static int parse_long(struct gal_cli *cli, int argc, char *const *argv, int *i)
{
    const char *equals = strchr(argv[*i], '=');
    struct gal_str where = {argv[*i], equals ? (size_t)(equals - argv[*i]) : strlen(argv[*i])};
    struct gal_str name = {where.p + 2, where.n - 2};
    const char *value = equals ? equals + 1 : NULL;
    struct gal_option_view option;

    if (!find_long(cli->command, name, &option))
        return unknown(cli, name);
    if (!option.arg && value)
        return gal_cli_usage(cli, "%.*s: takes no value", GAL_STR_ARG(where));
    if (option.arg && !value && !(value = next_value(argc, argv, i)))
        return missing(cli, where, &option);
    return add(cli, &option, where, value);
}

static int parse_short(struct gal_cli *cli, int argc, char *const *argv, int *i)
{
    const char *arg = argv[*i];
    struct gal_str where = {arg, 2};
    const char *value = arg[2] ? arg + 2 : NULL;
    struct gal_option_view option;

    if (!find_letter(cli->command, arg[1], &option))
        return gal_cli_usage(cli, "%s: unknown option", arg);
    if (!option.arg && value)
        return gal_cli_usage(cli, "%s: %.*s takes no value", arg, GAL_STR_ARG(where));
    if (value && value[0] == '=')
        value++;
    if (option.arg && !value && !(value = next_value(argc, argv, i)))
        return missing(cli, where, &option);
    return add(cli, &option, where, value);
}

static int check_operands(struct gal_cli *cli)
{
    const struct gal_command *c = cli->command;

    if (cli->help_wanted)
        return GAL_EXIT_OK;
    if (cli->operand_count < c->operands_min)
        return gal_cli_usage(cli, "%.*s is missing", (int)strcspn(c->operands, ". "), c->operands);
    if (cli->operand_count > c->operands_max)
        return gal_cli_usage(cli, "'%s' is one argument too many", cli->operands[c->operands_max]);
    return GAL_EXIT_OK;
}

int gal_options_parse(struct gal_cli *cli, int argc, char *const *argv)
{
    bool operands_only = false;
    int code = GAL_EXIT_OK;

    cli->given = gal_arena_array(&cli->arena, (size_t)argc + 1, sizeof(*cli->given));
    cli->operands = gal_arena_array(&cli->arena, (size_t)argc + 1, sizeof(*cli->operands));
    if (!cli->given || !cli->operands) {
        struct gal_err err;
        gal_fail(&err, GAL_NO_MEMORY, "no memory for the command line");
        return gal_cli_fail(cli, GAL_EXIT_FAILURE, &err);
    }
    for (int i = 0; i < argc && code == GAL_EXIT_OK; i++) {
        if (!operands_only && strcmp(argv[i], "--") == 0)
            operands_only = true;
        else if (operands_only || argv[i][0] != '-' || argv[i][1] == '\0')
            cli->operands[cli->operand_count++] = argv[i];
        else if (argv[i][1] == '-')
            code = parse_long(cli, argc, argv, &i);
        else
            code = parse_short(cli, argc, argv, &i);
    }
    return code != GAL_EXIT_OK ? code : check_operands(cli);
}
