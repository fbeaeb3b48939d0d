/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file_write.h"
#include "base/mem.h"
#include "cli/command.h"
#include "ship/dockerfile.h"

#define TEXT_BYTES_MAX (1u << 20)

/* Writes DIR/name, which must not be there unless --force says so. */
static enum gal_status put_file(struct gal_cli *cli, const char *dir, const char *name,
                                struct gal_str text, struct gal_err *err)
{
    struct gal_file_info info;
    char *path = gal_path_join(dir, name);
    if (!path)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a path");
    enum gal_status status = gal_file_stat(path, &info, err);
    if (!status && info.kind != GAL_FILE_NONE && !gal_cli_has(cli, "force")) {
        status = gal_fail(err, GAL_CONFLICT, "%s is there already", path);
        gal_err_hint(err, "--force replaces it");
    }
    if (!status)
        status = gal_file_put(path, text, err);
    if (!status)
        fprintf(cli->err, "wrote %s\n", path);
    gal_free(path);
    return status;
}

/* Where the package lies in the build context, which is the folder that the Dockerfile is written
 * to: docker reads nothing outside it. */
static enum gal_status place_package(struct gal_cli *cli, const char **out, struct gal_err *err)
{
    const char *dir = gal_cli_value(cli, "output"), *given = cli->operands[0], *path;
    char context[GAL_PATH_SIZE], package[GAL_PATH_SIZE];
    enum gal_status status = gal_path_real(dir ? dir : ".", context, err);
    if (!status)
        status = gal_path_real(given, package, err);
    if (status)
        return status;
    size_t n = strcmp(context, "/") == 0 ? 0 : strlen(context);
    bool inside = strncmp(package, context, n) == 0;
    if (inside && package[n] == '\0') {
        gal_fail(err, GAL_INVALID, "%.200s is the folder of the Dockerfile itself", given);
        gal_err_hint(err, "write it above: -o DIR, of which the package is a part");
        return GAL_INVALID;
    }
    inside = inside && package[n] == '/';
    path = inside ? &package[n + 1] : gal_path_base(package);
    for (const char *c = path; *c; c++) {
        if ((unsigned char)*c < ' ' || strchr("$*?[\\\"", *c)) {
            gal_fail(err, GAL_INVALID, "'%.200s' is a name that a Dockerfile cannot copy", path);
            gal_err_hint(err, "rename it: none of $ * ? [ \\ \" and control characters");
            return GAL_INVALID;
        }
    }
    /* COPY reads options and here-documents by how a word begins. */
    *out =
        gal_arena_printf(&cli->arena, "%s%s", path[0] == '-' || path[0] == '<' ? "./" : "", path);
    if (!*out)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a path");
    if (!inside)
        fprintf(cli->err, "put %s into the build context, as %s: docker reads nothing outside it\n",
                given, path);
    return GAL_OK;
}

static enum gal_status write_both(struct gal_cli *cli, const struct gal_package *p,
                                  struct gal_err *err)
{
    const char *dir = gal_cli_value(cli, "output");
    struct gal_dockerfile_options options = {
        .base = gal_cli_value(cli, "base"),
        .galley = gal_cli_value(cli, "galley-image"),
        .without_weights = gal_cli_has(cli, "without-weights"),
    };
    struct gal_file_info info;
    struct gal_buf text;
    enum gal_status status = gal_file_stat(p->path, &info, err);

    if (!status && !options.without_weights)
        status = place_package(cli, &options.package, err);
    if (status)
        return status;
    options.is_dir = info.kind == GAL_FILE_DIR;
    gal_buf_init(&text, TEXT_BYTES_MAX);
    gal_dockerfile(&text, p->manifest, &options);
    if (!dir) {
        fwrite(text.p, 1, text.n, cli->out);
    } else {
        status = put_file(cli, dir, "Dockerfile", gal_buf_str(&text), err);
        gal_buf_clear(&text, SIZE_MAX);
        gal_dockerignore(&text);
        if (!status)
            status = put_file(cli, dir, ".dockerignore", gal_buf_str(&text), err);
    }
    gal_buf_release(&text);
    return status;
}

static int run_dockerfile(struct gal_cli *cli)
{
    struct gal_package *package;
    struct gal_err err;
    enum gal_status status = gal_package_open(cli->operands[0], &package, &err);

    if (!status)
        status = write_both(cli, package, &err);
    gal_package_close(package);
    return status ? gal_cli_fail(cli, GAL_EXIT_FAILURE, &err) : GAL_EXIT_OK;
}

static const struct gal_option options[] = {
    {"output", 'o', "DIR",
     "Write Dockerfile and .dockerignore there, the build context; without it the Dockerfile is "
     "printed"},
    {"base", '\0', "REF", "Debian that the image stands on; debian:12.12-slim untold"},
    {"galley-image", '\0', "REF",
     "An image of `galley image build` that galley, the engine and their libraries are copied "
     "from; without it galley and lib/libonnxruntime.so.1 lie in the build context"},
    {"without-weights", '\0', NULL, "The model is fetched at the start (MODEL_PATH)"},
    {"force", '\0', NULL, "Replace files that are there"},
};
static const struct gal_example examples[] = {
    {"galley image dockerfile fraud-2.1.0.galley -o .", "Then: docker build -t fraud:2.1.0 ."},
};

const struct gal_command gal_command_image_dockerfile = {
    .name = "image dockerfile",
    .summary = "Write a Dockerfile for teams that must use one",
    .operands = "PACKAGE",
    .words = "PATH",
    .operands_min = 1,
    .operands_max = 1,
    .text =
        "A multi-stage Dockerfile: the first stage is the runtime, one on top of it proves the "
        "package against its golden cases and unpacks it, the last is the runtime and the model, "
        "as a user without rights, with a health check. galley image build makes a smaller image "
        "without docker.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .examples = examples,
    .example_count = sizeof(examples) / sizeof(examples[0]),
    .run = run_dockerfile,
};
