/* SPDX-License-Identifier: Apache-2.0 */
/* Runs galley's command line inside the test, with streams of its own. */
#ifndef GAL_TESTS_CLI_RUN_H
#define GAL_TESTS_CLI_RUN_H

#include "cli/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct run {
    int code;
    char *out, *err; /* owned; NUL-terminated */
};

/* line: arguments behind `galley`, separated by single blanks; env: "A=b" strings, NULL at the
 * end, or NULL; input: standard input or NULL. */
static inline struct run cli_run_with(const char *line, char *const *env, const char *input)
{
    static char *const no_env[] = {NULL};
    char name[] = "galley", *copy = strdup(line), *argv[64] = {name}, *rest = copy;
    struct run r = {0};
    size_t out_size, err_size;
    FILE *in = fmemopen(NULL, 65536, "w+");
    FILE *out = open_memstream(&r.out, &out_size), *err = open_memstream(&r.err, &err_size);
    int argc = 1;

    if (input)
        fputs(input, in);
    fflush(in);
    rewind(in);
    for (char *arg; (arg = strsep(&rest, " ")) && argc < 63;)
        if (*arg)
            argv[argc++] = arg;
    r.code = gal_cli_main(argc, argv, env ? env : no_env, in, out, err);
    fclose(in);
    fclose(out);
    fclose(err);
    free(copy);
    return r;
}

static inline struct run cli_run(const char *line)
{
    return cli_run_with(line, NULL, NULL);
}

static inline void run_release(struct run *r)
{
    free(r->out);
    free(r->err);
}

#endif
