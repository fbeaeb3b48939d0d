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

static enum gal_status write_both(struct gal_cli *cli, const struct gal_package *p,
                                  const char *package, struct gal_err *err)
{
    const char *dir = gal_cli_value(cli, "output");
    const struct gal_dockerfile_options options = {
        .base = gal_cli_value(cli, "base"),
        .galley = gal_cli_value(cli, "galley-image"),
        .package = package,
        .without_weights = gal_cli_has(cli, "without-weights"),
    };
    struct gal_buf text;
    enum gal_status status = GAL_OK;

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
        status = write_both(cli, package, cli->operands[0], &err);
    gal_package_close(package);
    return status ? gal_cli_fail(cli, GAL_EXIT_FAILURE, &err) : GAL_EXIT_OK;
}

static const struct gal_option options[] = {
    {"output", 'o', "DIR",
     "Write Dockerfile and .dockerignore there; without it the Dockerfile is printed"},
    {"base", '\0', "REF", "Base of the last stage; debian:12.12-slim untold"},
    {"galley-image", '\0', "REF",
     "Image that galley and the engine are copied from; without it they "
     "lie in the build context"},
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
        "A multi-stage Dockerfile: the first stage checks the package and proves it against its "
        "golden cases, the last holds the runtime, galley and the model, as a user without "
        "rights, with a health check. galley image build makes a smaller image without docker.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .examples = examples,
    .example_count = sizeof(examples) / sizeof(examples[0]),
    .run = run_dockerfile,
};
