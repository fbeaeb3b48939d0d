/* SPDX-License-Identifier: Apache-2.0 */
/* Scripts for shells, written from the table of commands. */
#include "cli/options.h"

static bool takes_files(const char *arg)
{
    return strcmp(arg, "FILE") == 0 || strcmp(arg, "PATH") == 0;
}

/* What may stand behind `galley` (group NULL; a group counts as a command) or behind a group. */
static void put_commands(FILE *out, const struct gal_command_group *group)
{
    const struct gal_command_group *last = NULL;
    const char *blank = "";

    for (size_t i = 0; gal_commands[i]; i++) {
        const struct gal_command_group *of = gal_group_of(gal_commands[i]);
        if (group ? of == group : !of || of != last) {
            fprintf(out, "%s%s", blank,
                    of && !group ? of->name : gal_command_leaf(gal_commands[i]));
            blank = " ";
        }
        last = of;
    }
}

/* "a|b" with blanks between; "COMMAND" stands for the commands' names. */
static void put_words(FILE *out, const char *words)
{
    if (strcmp(words, "COMMAND") != 0) {
        for (; *words; words++)
            fputc(*words == '|' ? ' ' : *words, out);
        return;
    }
    put_commands(out, NULL);
}

/* Text within a shell's single quotes; bytes of `special` get a backslash. */
static void put_escaped(FILE *out, const char *text, const char *special)
{
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", out);
        else if (strchr(special, *text))
            fprintf(out, "\\%c", *text);
        else
            fputc(*text, out);
    }
}

/* --- bash --- */

/* Quoted, as a name may have a blank. */
static void bash_pattern(FILE *out, const char *command, const struct gal_option_view *o)
{
    fprintf(out, "'%s:--%s'", command, o->name);
    if (o->alias)
        fprintf(out, " | '%s:--%s'", command, o->alias);
    if (o->letter)
        fprintf(out, " | '%s:-%c'", command, o->letter);
}

/* What may follow an option that takes a value: words, files, or (one arm for all) free text. */
static void bash_values(FILE *out, const struct gal_command *c)
{
    struct gal_option_view o;
    bool has_free = false;

    for (size_t i = 0; gal_option_at(c, i, &o); i++) {
        const char *words = gal_option_words(&o);
        if (!o.arg || (!words && !takes_files(o.arg)))
            continue;
        fputs("        ", out);
        bash_pattern(out, c->name, &o);
        fputs(words ? ") words='" : ") files=1", out);
        if (words)
            put_words(out, words);
        fputs(words ? "' ;;\n" : " ;;\n", out);
    }
    for (size_t i = 0; gal_option_at(c, i, &o); i++) {
        if (!o.arg || gal_option_words(&o) || takes_files(o.arg))
            continue;
        fputs(has_free ? " | " : "        ", out);
        bash_pattern(out, c->name, &o);
        has_free = true;
    }
    fputs(has_free ? ") return ;;\n" : "", out);
}

static void bash_operands(FILE *out, const struct gal_command *c)
{
    struct gal_option_view o;

    fprintf(out, "            '%s:-'*) words='", c->name);
    for (size_t i = 0; gal_option_at(c, i, &o); i++)
        fprintf(out, "%s--%s", i ? " " : "", o.name);
    fputs("' ;;\n", out);
    if (takes_files(c->words)) {
        fprintf(out, "            '%s:'*) files=1 ;;\n", c->name);
    } else if (c->words[0]) {
        fprintf(out, "            '%s:'*) words='", c->name);
        put_words(out, c->words);
        fputs("' ;;\n", out);
    }
}

/* Behind a group comes a command, and both are its name. */
static void bash_group(FILE *out, const struct gal_command_group *group)
{
    fprintf(out,
            "    if [[ $command == %s ]] && ((COMP_CWORD == 2)); then\n"
            "        mapfile -t COMPREPLY < <(compgen -W '",
            group->name);
    put_commands(out, group);
    fprintf(out,
            "' -- \"$cur\")\n"
            "        return\n"
            "    fi\n"
            "    [[ $command != %s ]] || command+=\" ${COMP_WORDS[2]}\"\n",
            group->name);
}

static void bash(FILE *out)
{
    fputs("# galley completion for bash: source <(galley completion bash)\n"
          "_galley() {\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words='' "
          "files=''\n"
          "    local command=${COMP_WORDS[1]}\n"
          "    # bash cuts --key=value into three words\n"
          "    [[ $prev == = ]] && prev=${COMP_WORDS[COMP_CWORD - 2]}\n"
          "    [[ $cur == = ]] && cur=''\n"
          "    COMPREPLY=()\n",
          out);
    for (const struct gal_command_group *g = gal_command_groups; g->name; g++)
        bash_group(out, g);
    fputs("    if ((COMP_CWORD == 1)); then\n"
          "        words='",
          out);
    put_commands(out, NULL);
    fputs("'\n"
          "    else\n"
          "        case $command:$prev in\n",
          out);
    for (size_t i = 0; gal_commands[i]; i++)
        bash_values(out, gal_commands[i]);
    fputs("        *)\n"
          "            case $command:$cur in\n",
          out);
    for (size_t i = 0; gal_commands[i]; i++)
        bash_operands(out, gal_commands[i]);
    fputs("            esac\n"
          "            ;;\n"
          "        esac\n"
          "    fi\n"
          "    if [[ $words ]]; then\n"
          "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
          "    elif [[ $files ]]; then\n"
          "        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
          "        compopt -o filenames 2>/dev/null\n"
          "    fi\n"
          "}\n"
          "complete -F _galley galley\n",
          out);
}

/* --- zsh --- */

static void zsh_option(FILE *out, const struct gal_option_view *o)
{
    const char *words = gal_option_words(o), *value = o->arg ? "=" : "";

    fputs(" \\\n            '", out);
    if (o->letter) {
        fprintf(out, "(-%c --%s%s%s)'{-%c%s,--%s%s", o->letter, o->name, o->alias ? " --" : "",
                o->alias ? o->alias : "", o->letter, o->arg ? "+" : "", o->name, value);
        if (o->alias)
            fprintf(out, ",--%s%s", o->alias, value);
        fputs("}'", out);
    } else {
        fprintf(out, "--%s%s", o->name, value);
    }
    fputc('[', out);
    put_escaped(out, o->help, "[]\\");
    fputc(']', out);
    if (words) {
        fputs(":value:(", out);
        put_words(out, words);
        fputc(')', out);
    } else if (o->arg) {
        fprintf(out, ":%s:%s", o->arg, takes_files(o->arg) ? "_files" : "");
    }
    fputc('\'', out);
}

static void zsh_command(FILE *out, const struct gal_command *c)
{
    struct gal_option_view o;

    fprintf(out, "    '%s')\n        _arguments", c->name);
    for (size_t i = 0; gal_option_at(c, i, &o); i++)
        zsh_option(out, &o);
    if (takes_files(c->words)) {
        fputs(" \\\n            '*:path:_files'", out);
    } else if (c->words[0]) {
        fputs(" \\\n            '1:word:(", out);
        put_words(out, c->words);
        fputs(")'", out);
    }
    fputs("\n        ;;\n", out);
}

static void zsh_name(FILE *out, const char *name, const char *summary)
{
    fprintf(out, "        '%s:", name);
    put_escaped(out, summary, "\\");
    fputs("'\n", out);
}

static void zsh_names(FILE *out)
{
    const struct gal_command_group *last = NULL;

    for (size_t i = 0; gal_commands[i]; i++) {
        const struct gal_command_group *group = gal_group_of(gal_commands[i]);
        if (!group)
            zsh_name(out, gal_commands[i]->name, gal_commands[i]->summary);
        else if (group != last)
            zsh_name(out, group->name, group->summary);
        last = group;
    }
}

static void zsh_group(FILE *out, const struct gal_command_group *group)
{
    fprintf(out, "    if [[ $command == %s ]]; then\n        commands=(\n", group->name);
    for (size_t i = 0; gal_commands[i]; i++) {
        if (gal_group_of(gal_commands[i]) == group)
            zsh_name(out, gal_command_leaf(gal_commands[i]), gal_commands[i]->summary);
    }
    fputs("        )\n"
          "        if (( CURRENT == 2 )); then\n"
          "            _describe command commands\n"
          "            return\n"
          "        fi\n"
          "        command+=\" $words[2]\"\n"
          "        shift words\n"
          "        (( CURRENT-- ))\n"
          "    fi\n",
          out);
}

static void zsh(FILE *out)
{
    fputs("#compdef galley\n"
          "# galley completion for zsh: galley completion zsh > \"${fpath[1]}/_galley\"\n"
          "_galley() {\n"
          "    local -a commands=(\n",
          out);
    zsh_names(out);
    fputs("    )\n"
          "    if (( CURRENT == 2 )); then\n"
          "        _describe command commands\n"
          "        return\n"
          "    fi\n"
          "    local command=$words[2]\n"
          "    shift words\n"
          "    (( CURRENT-- ))\n",
          out);
    for (const struct gal_command_group *g = gal_command_groups; g->name; g++)
        zsh_group(out, g);
    fputs("    case $command in\n", out);
    for (size_t i = 0; gal_commands[i]; i++)
        zsh_command(out, gal_commands[i]);
    fputs(
        "    esac\n"
        "}\n"
        "if [[ $funcstack[1] == _galley ]]; then _galley \"$@\"; else compdef _galley galley; fi\n",
        out);
}

/* --- fish --- */

/* fish knows \' inside single quotes. */
static void fish_text(FILE *out, const char *text)
{
    for (; *text; text++)
        fprintf(out, *text == '\'' || *text == '\\' ? "\\%c" : "%c", *text);
}

/* The condition that a command has been typed: both words of one of a group. */
static void fish_seen(FILE *out, const struct gal_command *c)
{
    const struct gal_command_group *group = gal_group_of(c);

    fputs("complete -c galley -n '", out);
    if (group)
        fprintf(out, "__fish_seen_subcommand_from %s; and ", group->name);
    fprintf(out, "__fish_seen_subcommand_from %s'", gal_command_leaf(c));
}

static void fish_option(FILE *out, const struct gal_command *c, const struct gal_option_view *o)
{
    const char *words = gal_option_words(o);

    fish_seen(out, c);
    fprintf(out, " -l %s", o->name);
    if (o->alias)
        fprintf(out, " -l %s", o->alias);
    if (o->letter)
        fprintf(out, " -s %c", o->letter);
    if (words) {
        fputs(" -x -a '", out);
        put_words(out, words);
        fputc('\'', out);
    } else if (o->arg) {
        fputs(takes_files(o->arg) ? " -r -F" : " -x", out);
    }
    fputs(" -d '", out);
    fish_text(out, o->help);
    fputs("'\n", out);
}

static void fish_name(FILE *out, const struct gal_command *c)
{
    const struct gal_command_group *group = gal_group_of(c);

    if (group) {
        fprintf(out, "complete -c galley -n '__fish_seen_subcommand_from %s; and not ",
                group->name);
        fputs("__fish_seen_subcommand_from ", out);
        put_commands(out, group);
        fputc('\'', out);
    } else {
        fputs("complete -c galley -n __fish_use_subcommand", out);
    }
    fprintf(out, " -a %s -d '", gal_command_leaf(c));
    fish_text(out, c->summary);
    fputs("'\n", out);
}

static void fish_group(FILE *out, const struct gal_command_group *group)
{
    fprintf(out, "complete -c galley -n __fish_use_subcommand -a %s -d '", group->name);
    fish_text(out, group->summary);
    fputs("'\n", out);
}

static void fish_command(FILE *out, const struct gal_command *c)
{
    struct gal_option_view o;

    fish_name(out, c);
    for (size_t i = 0; gal_option_at(c, i, &o); i++)
        fish_option(out, c, &o);
    if (!c->words[0])
        return;
    fish_seen(out, c);
    if (takes_files(c->words)) {
        fputs(" -F\n", out);
    } else {
        fputs(" -a '", out);
        put_words(out, c->words);
        fputs("'\n", out);
    }
}

static void fish(FILE *out)
{
    fputs("# galley completion for fish: galley completion fish | source\n"
          "complete -c galley -f\n",
          out);
    for (const struct gal_command_group *g = gal_command_groups; g->name; g++)
        fish_group(out, g);
    for (size_t i = 0; gal_commands[i]; i++)
        fish_command(out, gal_commands[i]);
}

/* --- the command --- */

static const struct {
    const char *name;
    void (*print)(FILE *out);
} shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};

static int run_completion(struct gal_cli *cli)
{
    for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++) {
        if (strcmp(shells[i].name, cli->operands[0]) == 0) {
            shells[i].print(cli->out);
            return GAL_EXIT_OK;
        }
    }
    return gal_cli_usage(cli, "%s: unknown shell; known are bash, zsh and fish", cli->operands[0]);
}

static const struct gal_example examples[] = {
    {"source <(galley completion bash)", "For this shell; put the line into ~/.bashrc to keep it."},
    {"galley completion zsh > \"${fpath[1]}/_galley\"", "For zsh, from the next shell on."},
    {"galley completion fish > ~/.config/fish/completions/galley.fish", "For fish."},
};

const struct gal_command gal_command_completion = {
    .name = "completion",
    .summary = "Print a completion script for bash, zsh or fish",
    .operands = "SHELL",
    .words = "bash|zsh|fish",
    .operands_min = 1,
    .operands_max = 1,
    .text = "The script completes commands, options, their values and paths.",
    .examples = examples,
    .example_count = sizeof(examples) / sizeof(examples[0]),
    .run = run_completion,
};
