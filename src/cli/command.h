/* SPDX-License-Identifier: Apache-2.0 */
/* The command line as data: a command is one struct gal_command in one file, and help, completion
 * and the parser are made from it. To add one: its file, a line below, a line in command.c's table.
 *
 * Exit codes: 0 ok, 1 failure, 2 the command line was wrong. An error is one line on stderr,
 * `galley: serve: --http-prot: unknown option; did you mean --http-port?`, then a line that says
 * what to do. One thread. */
#ifndef GAL_CLI_COMMAND_H
#define GAL_CLI_COMMAND_H

#include "server/config.h"

#include <stdio.h>

enum gal_exit {
    GAL_EXIT_OK,
    GAL_EXIT_FAILURE,
    GAL_EXIT_USAGE,
    GAL_EXIT_MISSED = 3,       /* bench: an objective was not kept */
    GAL_EXIT_INTERRUPTED = 130 /* bench: Ctrl-C, as shells count it */
};

/* An option of one command. Rows of the configuration become options by gal_command.keys. */
struct gal_option {
    const char *name; /* "data"; typed --data, and - or _ inside are the same */
    char letter;      /* 'd'; '\0': none */
    const char
        *arg; /* "JSON"; NULL: a switch. "FILE" and "PATH" complete to files, "a|b" to words */
    const char *help;
};

struct gal_example {
    const char *line, *meaning;
};

struct gal_cli;

#define GAL_COMMAND_NAME_SIZE 256 /* of both words as they are typed */

/* For gal_command.keys, at file scope. */
#define GAL_KEYS(...) ((const enum gal_config_key[]){__VA_ARGS__, GAL_KEY_COUNT})

struct gal_command {
    const char *name;     /* "serve"; "image build": of a group */
    const char *summary;  /* one line without a full stop */
    const char *operands; /* in usage: "PATH...", "[URL]", "" */
    const char *words;    /* what completes an operand: "PATH", "a|b", "" */
    size_t operands_min, operands_max;
    bool fails_with_1; /* a wrong command line too ends with 1: probes know 0 and 1 alone */
    const char *text;  /* for help: what it does, paragraphs separated by \n\n */
    const struct gal_option *options;
    size_t option_count;
    const enum gal_config_key *keys; /* rows that are options too, GAL_KEYS(...); NULL: none */
    bool all_keys;                   /* every row is */
    const struct gal_example *examples;
    size_t example_count;
    int (*run)(struct gal_cli *cli); /* returns the exit code */
};

/* Commands of two words, "image build", share their first one. */
struct gal_command_group {
    const char *name, *summary; /* as a command's */
};
extern const struct gal_command_group gal_command_groups[]; /* name NULL at the end */

#define GAL_COMMAND(name) extern const struct gal_command gal_command_##name;
#include "cli/commands.def"
#undef GAL_COMMAND
/* All of them in the order of help, a group's together; NULL at the end. */
extern const struct gal_command *const gal_commands[];

/* An option as it was given. */
struct gal_given {
    const struct gal_option *own;     /* NULL when row is set */
    const struct gal_config_row *row; /* NULL when own is set */
    const char *value;                /* borrowed from argv; NULL for a switch */
    const char *where;                /* "--http-port", as typed; cli's arena */
};

/* One call of galley. */
struct gal_cli {
    const struct gal_command *command; /* NULL until it is known */
    FILE *in, *out, *err;              /* borrowed */
    char *const *env;                  /* borrowed; NULL-terminated */
    struct gal_given *given;           /* in argv's order; arena's */
    size_t given_count;
    const char **operands; /* arena's; borrowed from argv */
    size_t operand_count;
    bool help_wanted; /* --help was among the options */
    struct gal_arena arena;
};

/* The whole program; returns the exit code. */
int gal_cli_main(int argc, char *const *argv, char *const *env, FILE *in, FILE *out, FILE *err);
const struct gal_command *gal_command_find(struct gal_str name); /* NULL when unknown */
const struct gal_command_group *gal_group_find(struct gal_str name);
/* NULL: a command of one word. */
const struct gal_command_group *gal_group_of(const struct gal_command *command);
/* Its name within its group: "build"; the whole of one word. */
const char *gal_command_leaf(const struct gal_command *command);

/* Prints the error and returns code. */
int gal_cli_fail(struct gal_cli *cli, int code, const struct gal_err *err);
/* Prints `galley: COMMAND: message` and where to read on; returns GAL_EXIT_USAGE. */
int gal_cli_usage(struct gal_cli *cli, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Value of an option of the command's own, the last when given twice; NULL when absent. */
const char *gal_cli_value(const struct gal_cli *cli, const char *name);
bool gal_cli_has(const struct gal_cli *cli, const char *name);
/* Fills c, which the caller has initialised and releases in any case: flags over environment over
 * file over defaults. The file is --config's or GALLEY_CONFIG's. */
enum gal_status gal_cli_config(const struct gal_cli *cli, struct gal_config *c,
                               struct gal_err *err);

#endif
