/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "cli/image_target.h"
#include "cli/sealing.h"
#include "net/loop.h"
#include "ship/image_run.h"
#include "ship/modelcar.h"

#include <sys/utsname.h>

struct modelcar {
    struct gal_cli *cli;
    struct gal_ship_options options;
    struct gal_image_target target;
    struct gal_ship image;
    char layers[GAL_PATH_SIZE];
    const char *architecture; /* this machine's */
};

/* Data has no machine of its own, but an image must name one: untold, this one. */
static enum gal_status take_platform(struct modelcar *m, struct gal_err *err)
{
    static const char *const known[][2] = {
        {"x86_64", "amd64"}, {"aarch64", "arm64"}, {"ppc64le", "ppc64le"}};
    const char *text = gal_cli_value(m->cli, "platform");
    struct utsname u;
    if (text)
        return gal_platform_parse(text, &m->options.platform, err);
    if (m->options.busybox)
        return GAL_OK; /* its machine */
    m->options.platform.os = GAL_STR("linux");
    if (uname(&u) != 0)
        return gal_fail(err, GAL_INTERNAL, "this machine's architecture is not known: --platform");
    m->architecture = gal_arena_strdup(&m->cli->arena, gal_str_of(u.machine));
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(u.machine, known[i][0]) == 0)
            m->architecture = known[i][1];
    }
    m->options.platform.architecture = gal_str_of(m->architecture);
    return GAL_OK;
}

static enum gal_status take_busybox(struct modelcar *m, struct gal_err *err)
{
    if (gal_cli_has(m->cli, "native"))
        return GAL_OK;
    m->options.busybox = gal_cli_value(m->cli, "busybox");
    if (!m->options.busybox)
        m->options.busybox = gal_modelcar_busybox();
    if (m->options.busybox)
        return GAL_OK;
    gal_fail(err, GAL_NOT_FOUND,
             "there is no static busybox, of which KServe's sidecar runs sh, ln and sleep");
    gal_err_hint(err,
                 "install busybox-static, name one (--busybox FILE), or leave it out for image "
                 "volumes (--native)");
    return GAL_NOT_FOUND;
}

static enum gal_status take_options(struct modelcar *m, struct gal_err *err)
{
    uint64_t uid, gid;
    enum gal_status status;
    m->options.data_only = true;
    m->options.models = (struct gal_models_options){.path = m->cli->operands[0], .place = "models"};
    m->options.layers.compression = GAL_COMPRESS_GZIP;
    m->options.user = gal_cli_value(m->cli, "user");
    status = gal_image_target_init(&m->target, m->cli, err);
    if (!status)
        status = gal_ship_user(m->options.user, false, &uid, &gid, err);
    return status ? status : gal_cli_epoch(m->cli, &m->options.epoch, err);
}

static void on_layer(const struct gal_cargo *cargo, const struct gal_layer *layer, void *ctx)
{
    struct modelcar *m = ctx;
    gal_progress_done(m->target.transfer.progress, layer->path, cargo->name,
                      layer->was_there ? "there already" : "packed", layer->size);
}

static enum gal_status make(struct modelcar *m, struct gal_err *err)
{
    enum gal_status status = gal_layer_folder(m->cli, m->layers, err);
    m->options.layers.dir = m->layers;
    m->options.layers.on_layer = on_layer;
    m->options.layers.ctx = m;
    if (!status)
        status = take_busybox(m, err);
    if (!status)
        status = take_platform(m, err);
    if (!status)
        status = gal_ship_build(&m->options, &m->image, err);
    return status ? status : gal_image_deliver(&m->target, &m->image, err);
}

static int run_modelcar(struct gal_cli *cli)
{
    struct modelcar *m = gal_calloc(1, sizeof *m);
    struct gal_err err;
    int code = GAL_EXIT_USAGE;
    enum gal_status status;
    gal_err_clear(&err);
    if (!m) {
        gal_fail(&err, GAL_NO_MEMORY, "no memory");
        return gal_cli_fail(cli, GAL_EXIT_FAILURE, &err);
    }
    m->cli = cli;
    status = take_options(m, &err);
    if (!status) {
        code = GAL_EXIT_FAILURE;
        status = make(m, &err);
    }
    if (!status)
        gal_image_told(&m->target, &m->image);
    gal_ship_release(&m->image);
    gal_image_target_release(&m->target);
    gal_free(m);
    return status ? gal_cli_fail(cli, code, &err) : GAL_EXIT_OK;
}

static const struct gal_option options[] = {
    GAL_IMAGE_TARGET_OPTIONS,
    {"native", '\0', NULL, "Data alone, for image volumes: no sh, ln and sleep"},
    {"busybox", '\0', "FILE", "The static busybox that goes in [this system's]"},
    {"platform", '\0', "linux/ARCH", "What the image says that it is for [this machine]"},
    {"user", '\0', "UID[:GID]", "Who the sidecar runs as [65532:65532]"},
    {"cache", '\0', "DIR", "Where layers are kept from build to build [~/.cache/galley/layers]"},
};
static const struct gal_example examples[] = {
    {"galley image modelcar fraud-2.1.0.galley -t r.example.com/models/fraud:2.1.0 --push",
     "Then in an InferenceService: storageUri: oci://r.example.com/models/fraud:2.1.0"},
    {"galley image modelcar fraud/ -t r.example.com/models/fraud:2.1.0 --native --push",
     "For image volumes of Kubernetes, which need no sidecar."},
};

const struct gal_command gal_command_image_modelcar = {
    .name = "image modelcar",
    .summary = "Build the image of data that KServe mounts",
    .operands = "PACKAGE",
    .words = "PATH",
    .operands_min = 1,
    .operands_max = 1,
    .text = "The image has the files of PACKAGE (as galley image build takes it) right under "
            "/models, and no server. KServe starts it beside a server's container with a shell "
            "that links /models to where the server looks; for that a static busybox goes in. "
            "With --native there is nothing but data, which Kubernetes mounts by itself as an "
            "image volume.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .examples = examples,
    .example_count = sizeof(examples) / sizeof(examples[0]),
    .run = run_modelcar,
};
