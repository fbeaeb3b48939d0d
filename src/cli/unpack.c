/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"
#include "package/pack.h"

/* NAME-VERSION of a package with a manifest. */
static const char *choose_dir(struct gal_cli *cli, const struct gal_package *p, struct gal_err *err)
{
    if (cli->operand_count > 1)
        return cli->operands[1];
    if (!p->manifest) {
        (void)gal_fail(err, GAL_INVALID, "%s: there is no galley.yaml in it", p->path);
        gal_err_hint(err, "say where to: galley unpack %s DIR", p->path);
        return NULL;
    }
    const char *dir = gal_arena_printf(&cli->arena, "%.*s-%.*s", GAL_STR_ARG(p->manifest->name),
                                       GAL_STR_ARG(p->manifest->version));
    if (!dir)
        (void)gal_fail(err, GAL_NO_MEMORY, "out of memory");
    return dir;
}

static int run_unpack(struct gal_cli *cli)
{
    struct gal_package *p;
    struct gal_err err;
    int code = GAL_EXIT_OK;
    if (gal_package_open_bare(cli->operands[0], &p, &err) != GAL_OK)
        return gal_cli_fail(cli, GAL_EXIT_FAILURE, &err);
    const char *dir = choose_dir(cli, p, &err);
    if (!dir || gal_unpack(p, dir, &err) != GAL_OK) {
        code = gal_cli_fail(cli, GAL_EXIT_FAILURE, &err);
    } else {
        fprintf(cli->err, "%s: %zu files\n", dir, p->file_count);
        fprintf(cli->out, "%s\n", p->digest);
    }
    gal_package_close(p);
    return code;
}

static const struct gal_example examples[] = {
    {"galley unpack fraud-2.1.0.galley fraud/", "Its files in a new directory."},
    {"galley pack fraud/ -o again.galley",
     "And back: the same bytes, unless something was changed."},
};

const struct gal_command gal_command_unpack = {
    .name = "unpack",
    .summary = "Write a package's files into a directory",
    .operands = "FILE [DIR]",
    .words = "PATH",
    .operands_min = 1,
    .operands_max = 2,
    .text =
        "DIR (default NAME-VERSION) must not be there, or be empty. Every file is held against its "
        "digest on the way; nothing is written outside DIR, and on failure DIR does not come to "
        "be. The directory is sealed by DIR/.galley: a file that is changed afterwards is found. "
        "Remove .galley to go on with it as a package of your own.\n\n"
        "Model packages that other tools have made are unpacked too, also without a galley.yaml.",
    .examples = examples,
    .example_count = sizeof(examples) / sizeof(examples[0]),
    .run = run_unpack,
};
