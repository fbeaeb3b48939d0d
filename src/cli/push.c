/* SPDX-License-Identifier: Apache-2.0 */
/* A package, or whatever lies in an OCI layout, to a registry. */
#include "base/file_write.h"
#include "base/mem.h"
#include "cli/sealing.h"
#include "cli/transfer.h"
#include "package/pack.h"

/* What is pushed, and what is to be removed afterwards. */
struct pushed {
    struct gal_layout *layout;
    char *dir;  /* temporary; NULL: none */
    char *path; /* of the file in it */
};

static enum gal_status make_room(struct pushed *p, struct gal_err *err)
{
    enum gal_status status = gal_dir_make_temporary("push", &p->dir, err);
    if (status)
        return status;
    p->path = gal_path_join(p->dir, "package.galley");
    return p->path ? GAL_OK : gal_fail(err, GAL_NO_MEMORY, "no memory for a path");
}

/* What `galley pack` has to know of a directory that nobody has packed: the time, and that its
 * golden cases are reproduced. */
static enum gal_status prove(struct gal_cli *cli, const char *path, struct gal_pack_options *o,
                             struct gal_err *err)
{
    struct gal_config config;
    gal_config_init(&config);
    enum gal_status status = gal_cli_epoch(cli, &o->epoch, err);
    if (!status)
        status = gal_cli_config(cli, &config, err);
    if (!status)
        status = gal_seal_prove(cli, &config, path, &o->proved, err);
    if (status) {
        struct gal_err inner = *err;
        (void)gal_fail(err, status, "not pushed: %s", inner.message);
        gal_err_place(err, "%s", inner.place);
        gal_err_hint(err, "%s",
                     inner.hint[0] ? inner.hint
                                   : "galley pack --no-verify packs it all the same; push that");
    }
    gal_config_release(&config);
    return status;
}

/* A package's directory becomes the file that it came from, to the byte, or the one that
 * `galley pack` would make. */
static enum gal_status pack(struct gal_cli *cli, const char *path, struct pushed *p,
                            struct gal_err *err)
{
    struct gal_package *package = NULL;
    struct gal_pack_options options = {.proved = false};
    struct gal_pack_report report;
    enum gal_status status = gal_package_open(path, &package, err);
    if (!status && !package->is_sealed)
        status = prove(cli, path, &options, err);
    if (!status)
        status = make_room(p, err);
    if (!status)
        status = gal_pack(package, p->path, &options, &report, err);
    gal_package_close(package);
    return status ? status : gal_layout_open(p->path, &p->layout, err);
}

static enum gal_status open_source(struct gal_cli *cli, const char *path, struct pushed *p,
                                   struct gal_err *err)
{
    struct gal_file_info info = {.kind = GAL_FILE_NONE};
    char *manifest = gal_path_join(path, "galley.yaml");
    enum gal_status status = manifest ? gal_file_stat(manifest, &info, err)
                                      : gal_fail(err, GAL_NO_MEMORY, "out of memory");
    gal_free(manifest);
    if (status)
        return status;
    if (info.kind == GAL_FILE_REGULAR)
        return pack(cli, path, p, err);
    return gal_layout_open(path, &p->layout, err);
}

static void release(struct pushed *p)
{
    gal_layout_close(p->layout);
    gal_dir_remove_temporary(p->dir);
    gal_free(p->path);
}

/* Which of a layout's manifests: the only one, or that of the name that is given, or the tag's. */
static const struct gal_oci_descriptor *choose(const struct gal_layout *layout, const char *name,
                                               const struct gal_reference *ref, struct gal_err *err)
{
    const struct gal_oci_index *x = gal_layout_index(layout);
    const char *wanted = name ? name : ref->tag;
    if (x->manifest_count == 1 && !name)
        return &x->manifests[0];
    for (size_t i = 0; i < x->manifest_count; i++) {
        struct gal_str own =
            gal_oci_annotation(&x->manifests[i], "org.opencontainers.image.ref.name");
        if (gal_str_is(own, wanted) || strcmp(x->manifests[i].digest, wanted) == 0)
            return &x->manifests[i];
    }
    gal_fail(err, GAL_NOT_FOUND, "of its %zu manifests none is named %s", x->manifest_count,
             wanted);
    gal_err_hint(err, "--name NAME says which: a name or a digest of its index");
    return NULL;
}

static int push(struct gal_cli_transfer *t, const struct gal_reference *ref, struct gal_err *err)
{
    struct gal_cli *cli = t->cli;
    struct pushed source = {.layout = NULL};
    struct gal_registry *registry = NULL;
    struct gal_transfer result;
    const struct gal_oci_descriptor *top = NULL;
    enum gal_status status = open_source(cli, cli->operands[0], &source, err);
    if (!status) {
        top = choose(source.layout, gal_cli_value(cli, "name"), ref, err);
        status = top ? GAL_OK : err->code;
    }
    if (top && ref->digest[0] && strcmp(ref->digest, top->digest) != 0)
        status = gal_fail(err, GAL_INVALID, "%s has the digest %s, not the reference's",
                          cli->operands[0], top->digest);
    if (!status)
        status = gal_registry_open(ref, &t->options, &registry, err);
    if (!status)
        status = gal_registry_push(registry, source.layout, top, ref->tag[0] ? ref->tag : NULL,
                                   &result, err);
    gal_registry_close(registry);
    if (!status)
        gal_transfer_print(t, ref, &result, NULL);
    release(&source);
    return status ? GAL_EXIT_FAILURE : GAL_EXIT_OK;
}

static int run_push(struct gal_cli *cli)
{
    struct gal_cli_transfer t;
    struct gal_reference ref;
    struct gal_err err;
    int code = GAL_EXIT_USAGE;
    enum gal_status status = gal_transfer_init(&t, cli, &err);
    if (!status)
        status = gal_reference_parse(gal_str_of(cli->operands[1]), &ref, &err);
    t.options.mount_from = gal_cli_value(cli, "from");
    t.sent = "uploaded";
    if (!status && t.options.mount_from && !gal_repository_valid(gal_str_of(t.options.mount_from)))
        status =
            gal_fail(&err, GAL_INVALID, "--from: %s is not a repository", t.options.mount_from);
    if (!status)
        code = push(&t, &ref, &err);
    gal_transfer_release(&t);
    return code == GAL_EXIT_OK ? code : gal_cli_fail(cli, code, &err);
}

static const struct gal_option options[] = {
    {"name", '\0', "NAME", "Which manifest, where FILE holds several: its name or digest"},
    {"from", '\0', "REPOSITORY", "Another repository of the registry that may have blobs already"},
    {"chunk-size", '\0', "SIZE", "Upload in requests of this size at most [all at once]"},
    GAL_TRANSFER_OPTIONS,
};
static const struct gal_example examples[] = {
    {"galley push fraud-2.1.0.galley registry.example.com/models/fraud:2.1.0",
     "A package; what the registry has already does not move."},
    {"galley push fraud-2.1.0.galley localhost:5000/fraud", "To a registry on this machine."},
    {"kubectl set image deploy/fraud fraud=$(galley push -q image.tar r.example.com/fraud:2)",
     "The last line of output names it by digest."},
};

const struct gal_command gal_command_push = {
    .name = "push",
    .summary = "Upload a package or an image to a registry",
    .operands = "FILE|DIR REFERENCE",
    .words = "PATH",
    .operands_min = 2,
    .operands_max = 2,
    .text =
        "FILE is a .galley file, an image that galley built, or any other OCI image layout: a "
        "tar of it or its directory. A package's directory is packed on the way, as galley pack "
        "does it: one that nobody has packed proves its golden cases first. REFERENCE is "
        "[HOST[:PORT]/]REPOSITORY[:TAG].\n\n"
        "Only blobs that the registry does not have move, several at once; an upload that was "
        "cut goes on where it stands, if the registry remembers it. Credentials are those of "
        "docker and podman, their helpers included; galley login keeps them. The last line of "
        "output is the reference with its digest.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .keys = GAL_KEYS(GAL_KEY_ONNXRUNTIME),
    .examples = examples,
    .example_count = sizeof(examples) / sizeof(examples[0]),
    .run = run_push,
};
