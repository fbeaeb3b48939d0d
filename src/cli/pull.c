/* SPDX-License-Identifier: Apache-2.0 */
/* A package, or an image, from a registry: as one file, or unpacked. */
#include "base/file_write.h"
#include "base/mem.h"
#include "cli/transfer.h"
#include "oci/parts.h"
#include "package/pack.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <unistd.h>

/* Where it goes. */
struct target {
    char path[PATH_MAX];
    char stage[PATH_MAX]; /* beside it; blobs lie there until all have come */
    bool is_dir;
};

static enum gal_status name_target(const struct gal_cli *cli, const struct gal_reference *ref,
                                   struct target *t, struct gal_err *err)
{
    const char *given = gal_cli_value(cli, "output"), *base = gal_path_base(ref->repository);
    struct gal_file_info info;
    size_t n = given ? strlen(given) : 0;
    if (n + 300 > sizeof t->path)
        return gal_fail(err, GAL_INVALID, "--output: too long a path");
    if (!given) /* "fraud-2.1.0.galley"; a digest is cut */
        snprintf(t->path, sizeof t->path, "%s-%.*s.galley", base, ref->tag[0] ? 128 : 12,
                 ref->tag[0] ? ref->tag : ref->digest + 7);
    else
        snprintf(t->path, sizeof t->path, "%s", given);
    enum gal_status status = gal_file_stat(t->path, &info, err);
    if (status)
        return status;
    t->is_dir = (n && given[n - 1] == '/') || info.kind == GAL_FILE_DIR;
    if (t->is_dir && info.kind == GAL_FILE_DIR) {
        char **names = NULL;
        size_t count = 0;
        status = gal_dir_list(t->path, &names, &count, err);
        gal_free(names);
        if (!status && count > 0)
            status = gal_fail(err, GAL_CONFLICT, "%s: there is something in it", t->path);
        if (status)
            return status;
    }
    while (n > 1 && t->path[n - 1] == '/')
        t->path[--n] = '\0';
    base = gal_path_base(t->path);
    snprintf(t->stage, sizeof t->stage, "%.*s.%.200s.pull", (int)(base - t->path), t->path, base);
    return GAL_OK;
}

/* --- one file --- */

static enum gal_status read_manifest(const struct gal_oci_descriptor *d, struct gal_str *text,
                                     void *ctx, struct gal_err *err)
{
    return gal_layout_blob(ctx, d, text, err);
}

static enum gal_status add_parts(struct gal_layout *from, const struct gal_parts *parts,
                                 struct gal_layout_writer *to, struct gal_err *err)
{
    enum gal_status status = GAL_OK;
    for (size_t i = 0; i < parts->manifest_count && !status; i++)
        status = gal_layout_add(to, &parts->manifests[i].d, parts->manifests[i].text, err);
    for (size_t i = 0; i < parts->blob_count && !status; i++) {
        const char *path;
        uint64_t offset;
        status = gal_layout_place(from, &parts->blobs[i], &path, &offset, err);
        if (!status)
            status = gal_layout_add_file(to, &parts->blobs[i], path, offset, err);
    }
    return status;
}

/* The layout's directory becomes one tar of it. */
static enum gal_status write_file(const struct target *t, struct gal_layout *layout,
                                  struct gal_err *err)
{
    const struct gal_oci_index *x = gal_layout_index(layout);
    struct gal_layout_writer *w = NULL;
    struct gal_parts parts;
    enum gal_status status = gal_parts_make(&parts, &x->manifests[0], read_manifest, layout, err);
    if (!status)
        status = gal_layout_create(t->path, GAL_LAYOUT_TAR, &w, err);
    if (!status)
        status = add_parts(layout, &parts, w, err);
    if (!status)
        status = gal_layout_finish(w, x, NULL, NULL, err);
    else
        gal_layout_abandon(w);
    gal_parts_release(&parts);
    return status;
}

static enum gal_status write_dir(const struct target *t, struct gal_err *err)
{
    struct gal_package *package = NULL;
    enum gal_status status = gal_package_open_bare(t->stage, &package, err);
    if (!status)
        status = gal_unpack(package, t->path, err);
    else
        gal_err_hint(err, "-o FILE keeps it as a file");
    gal_package_close(package);
    return status;
}

static enum gal_status place(const struct target *t, struct gal_err *err)
{
    struct gal_layout *layout = NULL;
    if (t->is_dir)
        return write_dir(t, err);
    enum gal_status status = gal_layout_open(t->stage, &layout, err);
    if (!status)
        status = write_file(t, layout, err);
    gal_layout_close(layout);
    return status;
}

/* --- the command --- */

static bool read_platform(const char *text, struct gal_oci_platform *out)
{
    struct gal_str rest = gal_str_of(text);
    memset(out, 0, sizeof *out);
    return gal_str_cut(&rest, '/', &out->os) && out->os.n &&
           gal_str_cut(&rest, '/', &out->architecture) && out->architecture.n &&
           (!rest.p || (rest.n && !memchr(rest.p, '/', rest.n) && ((out->variant = rest), true)));
}

/* Two pulls to one place would take each other's parts away. */
static enum gal_status lock_stage(const struct target *t, int *fd, struct gal_err *err)
{
    enum gal_status status = gal_dir_make_all(t->stage, err);
    if (status)
        return status;
    *fd = open(t->stage, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd >= 0 && flock(*fd, LOCK_EX | LOCK_NB) == 0)
        return GAL_OK;
    return gal_fail(err, GAL_CONFLICT, "%s: another galley is pulling to it", t->path);
}

/* What is left of a pull that failed: of who has lied nothing, and what is no package becomes none
 * by another try; the rest is worth keeping. */
static void clear_stage(const struct target *t, enum gal_status status, struct gal_err *err)
{
    struct gal_file_info info;
    if (!status || status == GAL_INVALID)
        (void)gal_dir_remove(t->stage, NULL);
    else
        (void)rmdir(t->stage); /* when it is empty */
    if ((status == GAL_UNAVAILABLE || status == GAL_DEADLINE) && !err->hint[0] &&
        gal_file_stat(t->stage, &info, NULL) == GAL_OK && info.kind == GAL_FILE_DIR)
        gal_err_hint(err, "what has come is kept in %.120s; the next try goes on from there",
                     t->stage);
}

static enum gal_status pull(struct gal_cli_transfer *t, const struct gal_reference *ref,
                            const struct target *target, const struct gal_oci_platform *platform,
                            struct gal_err *err)
{
    struct gal_registry *registry = NULL;
    struct gal_transfer result;
    int lock = -1;
    enum gal_status status = lock_stage(target, &lock, err);
    if (status)
        goto out;
    /* What an older version has in common with this one does not move. */
    if (!target->is_dir)
        (void)gal_layout_open(target->path, &t->options.have, NULL);
    t->options.reads = true;
    status = gal_registry_open(ref, &t->options, &registry, err);
    if (!status)
        status = gal_registry_pull(registry, gal_reference_name(ref), platform, target->stage,
                                   &result, err);
    gal_registry_close(registry);
    gal_layout_close(t->options.have);
    t->options.have = NULL;
    if (!status)
        status = place(target, err);
    clear_stage(target, status, err);
    if (!status)
        gal_transfer_print(t, ref, &result, target->path);
out:
    if (lock >= 0)
        close(lock);
    return status;
}

static int run_pull(struct gal_cli *cli)
{
    const char *platform_text = gal_cli_value(cli, "platform");
    struct gal_oci_platform platform;
    struct gal_cli_transfer t;
    struct gal_reference ref;
    struct target target;
    struct gal_err err;
    int code = GAL_EXIT_USAGE;
    enum gal_status status = gal_transfer_init(&t, cli, &err);
    t.sent = "downloaded";
    if (!status)
        status = gal_reference_parse(gal_str_of(cli->operands[0]), &ref, &err);
    if (!status && platform_text && !read_platform(platform_text, &platform))
        status =
            gal_fail(&err, GAL_INVALID,
                     "--platform: '%s' is not OS/ARCHITECTURE, as in linux/amd64", platform_text);
    if (!status) {
        code = GAL_EXIT_OK;
        if (name_target(cli, &ref, &target, &err) != GAL_OK ||
            pull(&t, &ref, &target, platform_text ? &platform : NULL, &err) != GAL_OK)
            code = GAL_EXIT_FAILURE;
    }
    gal_transfer_release(&t);
    return code == GAL_EXIT_OK ? code : gal_cli_fail(cli, code, &err);
}

static const struct gal_option options[] = {
    {"output", 'o', "PATH", "The file to write, or DIR/ to unpack into [NAME-TAG.galley]"},
    {"platform", '\0', "OS/ARCH", "Of an image for several, this one alone [all]"},
    GAL_TRANSFER_OPTIONS,
};
static const struct gal_example examples[] = {
    {"galley pull registry.example.com/models/fraud:2.1.0", "To fraud-2.1.0.galley."},
    {"galley pull localhost:5000/fraud -o models/fraud/", "Unpacked, for looking into it."},
    {"galley pull r.example.com/fraud@sha256:3f1c... -o fraud.galley", "Exactly these bytes."},
};

const struct gal_command gal_command_pull = {
    .name = "pull",
    .summary = "Download a package or an image from a registry",
    .operands = "REFERENCE",
    .words = "",
    .operands_min = 1,
    .operands_max = 1,
    .text = "REFERENCE is [HOST[:PORT]/]REPOSITORY[:TAG][@DIGEST]. What comes is held against its "
            "digests; a path never holds part of a package. With -o DIR/ the package is unpacked "
            "into a new directory, sealed: the server and galley verify hold its files against "
            "their digests.\n\n"
            "Several blobs move at once. Those that the file at the path has already do not move, "
            "and a pull that was cut goes on where it stood (.NAME.pull beside the path holds what "
            "has come). Credentials are those of docker and podman; galley login keeps them. The "
            "last line of output is the reference with its digest.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .examples = examples,
    .example_count = sizeof(examples) / sizeof(examples[0]),
    .run = run_pull,
};
