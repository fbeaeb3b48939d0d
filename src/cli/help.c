/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/help.h"

#include "cli/options.h"

#include <ctype.h>
#include <stdlib.h>
#include <unistd.h>

#define LINE_WIDTH 88u
#define OPTION_WIDTH 30u /* of the column of names */

bool gal_colour_wanted(FILE *out)
{
    const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");

    return isatty(fileno(out)) && !(no_colour && no_colour[0]) && term && strcmp(term, "dumb") != 0;
}

static void put_title(FILE *out, const char *title)
{
    bool colour = gal_colour_wanted(out);
    fprintf(out, "\n%s%s%s\n", colour ? "\033[1m" : "", title, colour ? "\033[0m" : "");
}

/* Breaks text at spaces; further lines begin at `indent`. The cursor stands at `column`. */
static void put_wrapped(FILE *out, const char *text, unsigned column, unsigned indent)
{
    struct gal_str rest = gal_str_of(text), word;
    bool first = true;

    while (rest.n && gal_str_cut(&rest, ' ', &word)) {
        if (!first && column + 1 + word.n > LINE_WIDTH) {
            fprintf(out, "\n%*s", (int)indent, "");
            column = indent;
            first = true;
        }
        fprintf(out, "%s%.*s", first ? "" : " ", GAL_STR_ARG(word));
        column += (unsigned)word.n + !first;
        first = false;
    }
    fputc('\n', out);
}

/* "Port for HTTP [8080]" */
static void put_meaning(FILE *out, const struct gal_option_view *o)
{
    char text[512];
    bool shows_default = o->row && o->row->default_text[0];

    snprintf(text, sizeof(text), "%s%s%s%s", o->help, shows_default ? " [" : "",
             shows_default ? o->row->default_text : "", shows_default ? "]" : "");
    put_wrapped(out, text, OPTION_WIDTH, OPTION_WIDTH);
}

static void put_option(FILE *out, const struct gal_option_view *o)
{
    char names[128];
    int n;

    if (o->letter)
        n = snprintf(names, sizeof(names), "  -%c, --%s", o->letter, o->name);
    else
        n = snprintf(names, sizeof(names), "      --%s", o->name);
    n += snprintf(names + n, sizeof(names) - (size_t)n, "%s%s", o->arg ? " " : "",
                  o->arg ? o->arg : "");
    if (n + 2 > (int)OPTION_WIDTH)
        fprintf(out, "%s\n%*s", names, (int)OPTION_WIDTH, "");
    else
        fprintf(out, "%-*s", (int)OPTION_WIDTH, names);
    put_meaning(out, o);
}

/* The three spellings of a setting, by the example of one that the command has. */
static void put_places(FILE *out, const char *key)
{
    fputs("\nIn the environment --", out);
    for (const char *p = key; *p; p++)
        fputc(*p == '_' ? '-' : *p, out);
    fputs(" is GALLEY_", out);
    for (const char *p = key; *p; p++)
        fputc(toupper((unsigned char)*p), out);
    fprintf(out, ",\nin a configuration file %s.\n", key);
}

static void put_options(FILE *out, const struct gal_command *c)
{
    struct gal_option_view o;
    const struct gal_config_row *example = NULL; /* the first, or better one of several words */

    put_title(out, "Options");
    for (size_t i = 0; gal_option_at(c, i, &o); i++) {
        if (o.row && !example)
            put_title(out, "Settings (command line, environment, configuration file)");
        if (o.row && (!example || !strchr(example->name, '_')))
            example = o.row;
        put_option(out, &o);
    }
    if (example)
        put_places(out, example->name);
}

static void put_paragraphs(FILE *out, const char *text)
{
    while (*text) {
        const char *end = strstr(text, "\n\n");
        char line[1024];
        snprintf(line, sizeof(line), "%.*s", end ? (int)(end - text) : (int)strlen(text), text);
        fputc('\n', out);
        put_wrapped(out, line, 0, 0);
        text = end ? end + 2 : text + strlen(text);
    }
}

void gal_help_command(FILE *out, const struct gal_command *c)
{
    fprintf(out, "galley %s: %s\n", c->name, c->summary);
    fprintf(out, "\nUsage: galley %s%s%s [OPTIONS]\n", c->name, c->operands[0] ? " " : "",
            c->operands);
    put_paragraphs(out, c->text);
    put_options(out, c);
    if (c->example_count)
        put_title(out, "Examples");
    for (size_t i = 0; i < c->example_count; i++) {
        fprintf(out, "%s  %s\n      ", i ? "\n" : "", c->examples[i].line);
        put_wrapped(out, c->examples[i].meaning, 6, 6);
    }
}

void gal_help_group(FILE *out, const struct gal_command_group *group)
{
    fprintf(out, "galley %s: %s\n\nUsage: galley %s COMMAND [ARGUMENTS]\n", group->name,
            group->summary, group->name);
    put_title(out, "Commands");
    for (size_t i = 0; gal_commands[i]; i++) {
        if (gal_group_of(gal_commands[i]) == group)
            fprintf(out, "  %-18s  %s\n", gal_commands[i]->name, gal_commands[i]->summary);
    }
    fprintf(out, "\nsee: galley help %s COMMAND\n", group->name);
}

/* A group stands once, where its first command does. */
static void put_commands(FILE *out)
{
    const struct gal_command_group *last = NULL;

    for (size_t i = 0; gal_commands[i]; i++) {
        const struct gal_command_group *group = gal_group_of(gal_commands[i]);
        if (!group)
            fprintf(out, "  %-12s  %s\n", gal_commands[i]->name, gal_commands[i]->summary);
        else if (group != last)
            fprintf(out, "  %-12s  %s\n", group->name, group->summary);
        last = group;
    }
}

void gal_help_overview(FILE *out)
{
    fputs("galley serves trained models.\n\nUsage: galley COMMAND [ARGUMENTS]\n", out);
    put_title(out, "Commands");
    put_commands(out);
    put_title(out, "First steps");
    fputs("  galley serve model.onnx                 then open http://127.0.0.1:8080/docs\n"
          "  galley inspect model.onnx               what it takes and what it gives\n"
          "  galley help serve                       every option, with examples\n",
          out);
}

/* --- the document about the configuration --- */

/* `|` would end a cell. */
static void put_cell(FILE *out, const char *text)
{
    for (; *text; text++)
        fprintf(out, *text == '|' ? "\\%c" : "%c", *text);
}

static void put_values(FILE *out, const struct gal_option_view *o)
{
    char range[64];
    const char *words = gal_option_words(o);

    gal_config_range(o->row, range, sizeof(range));
    if (words) {
        put_cell(out, words);
        if (o->row->type == GAL_CONF_SHARE)
            fputs(", 0..1", out);
    } else {
        fputs(range, out);
    }
}

static void put_markdown_row(FILE *out, const struct gal_option_view *o)
{
    static const char *const applies[] = {
        [GAL_SCOPE_START] = "restart", [GAL_SCOPE_RELOAD] = "at once", [GAL_SCOPE_MODEL] = "model"};
    const char *value = o->row->default_text;

    fprintf(out, "| `%s` | ", o->row->name);
    put_cell(out, o->help);
    fprintf(out, " | %s%s%s | ", value[0] ? "`" : "", value[0] ? value : "none",
            value[0] ? "`" : "");
    put_values(out, o);
    fprintf(out, " | %s |\n", applies[o->row->scope]);
}

static int markdown_config(FILE *out)
{
    struct gal_option_view o;

    fputs("# Configuration\n"
          "\n"
          "<!-- Made by `galley help --markdown config`. Edit src/server/config.def instead. -->\n"
          "\n"
          "Every setting has one name and three places. The first place that has it wins:\n"
          "\n"
          "1. the command line: `galley serve --http-port 9000`\n"
          "2. the environment: `GALLEY_HTTP_PORT=9000`\n"
          "3. the file of `--config FILE` (or `GALLEY_CONFIG`): `http_port: 9000`\n"
          "\n"
          "```yaml\n"
          "# galley.yaml\n"
          "models:\n"
          "  - models/iris.onnx\n"
          "  - models/repository\n"
          "http_port: 9000\n"
          "log_level: warn\n"
          "```\n"
          "\n"
          "`models` lists what to serve, relative to the working directory. Paths on the command "
          "line\n"
          "replace it, and so does `GALLEY_MODELS` (paths with `:` between them). A key that "
          "galley does\n"
          "not know is an error that names its line. An environment variable that is empty counts "
          "as unset.\n"
          "\n"
          "Times are `200us`, `250ms`, `10s`, `2m`, `1h`, `1d`; a bare number is seconds. Sizes "
          "are `65536`,\n"
          "`64KB` (1000), `64KiB` (1024). SIGHUP reads all places again: settings marked *at once* "
          "change\n"
          "then, those marked *model* by loading models anew that they concern, the others at the "
          "next "
          "start.\n"
          "\n"
          "Settings marked *model* are defaults: an entry of `models` may be a mapping with values "
          "of "
          "its own,\n"
          "as [serve-models.md](serve-models.md#settings-of-one-model) shows; it may have "
          "`request_timeout` too.\n"
          "\n"
          "| key | meaning | default | values | a change applies |\n"
          "| --- | --- | --- | --- | --- |\n",
          out);
    for (size_t i = 0; gal_option_at(&gal_command_serve, i, &o); i++) {
        if (o.row)
            put_markdown_row(out, &o);
    }
    return GAL_EXIT_OK;
}

/* --- the command --- */

static int run_help(struct gal_cli *cli)
{
    const struct gal_command *command;
    const struct gal_command_group *group;
    const char *document = gal_cli_value(cli, "markdown");
    char name[GAL_COMMAND_NAME_SIZE];

    if (document && strcmp(document, "config") == 0)
        return markdown_config(cli->out);
    if (document)
        return gal_cli_usage(cli, "--markdown: '%s' is no document; there is: config", document);
    if (cli->operand_count == 0) {
        gal_help_overview(cli->out);
        return GAL_EXIT_OK;
    }
    group = gal_group_find(gal_str_of(cli->operands[0]));
    if (group && cli->operand_count == 1) {
        gal_help_group(cli->out, group);
        return GAL_EXIT_OK;
    }
    snprintf(name, sizeof(name), "%s%s%s", cli->operands[0], cli->operand_count > 1 ? " " : "",
             cli->operand_count > 1 ? cli->operands[1] : "");
    command = gal_command_find(gal_str_of(name));
    if (!command) {
        cli->command = NULL;
        return gal_cli_usage(cli, "%s: unknown command", name);
    }
    gal_help_command(cli->out, command);
    return GAL_EXIT_OK;
}

static const struct gal_option options[] = {
    {"markdown", '\0', "config",
     "Print the document about the configuration (docs/configuration.md)"},
};
static const struct gal_example examples[] = {
    {"galley help", "The commands."},
    {"galley help predict", "All about one of them; galley predict --help is the same."},
    {"galley help image", "The commands of a group."},
};

const struct gal_command gal_command_help = {
    .name = "help",
    .summary = "Show what a command does",
    .operands = "[COMMAND]",
    .words = "COMMAND",
    .operands_max = 2,
    .text = "Without a COMMAND, lists them.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .examples = examples,
    .example_count = sizeof(examples) / sizeof(examples[0]),
    .run = run_help,
};
