/* SPDX-License-Identifier: Apache-2.0 */
/* A command's options, its own and the configuration's, as one list; and the parser over it. */
#ifndef GAL_CLI_OPTIONS_H
#define GAL_CLI_OPTIONS_H

#include "cli/command.h"

#define GAL_OPTION_NAME_SIZE 40

/* One option as help and completion show it. */
struct gal_option_view {
    char name[GAL_OPTION_NAME_SIZE]; /* "http-port" */
    const char *alias;               /* "port"; NULL: none */
    char letter;                     /* '\0': none */
    const char *arg;                 /* NULL: a switch */
    const char *help;
    const struct gal_option *own;     /* NULL when it is a row */
    const struct gal_config_row *row; /* NULL when it is the command's own */
};

/* The index-th option: the command's own, --help, then rows. False behind the last. */
bool gal_option_at(const struct gal_command *command, size_t index, struct gal_option_view *out);
/* Words that a value is chosen from, "on|off"; NULL when it is free text. */
const char *gal_option_words(const struct gal_option_view *option);

/* Fills cli->given, operands and help_wanted from the arguments behind the command's name. Takes
 * --key value, --key=value, -k value, -kvalue, - or _ inside names, operands anywhere, `--` before
 * operands that begin with a dash. Values of rows are checked here. Returns GAL_EXIT_OK, or
 * GAL_EXIT_USAGE after it has printed what is wrong. */
int gal_options_parse(struct gal_cli *cli, int argc, char *const *argv);

#endif
