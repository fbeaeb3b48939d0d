/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "cli/sealing.h"
#include "package/golden.h"
#include "package/pack.h"
#include "text/json.h"

#include <inttypes.h>

#define JSON_BYTES_MAX (8u << 20)
#define ARENA_MAX (64u << 20)
#define GOLDEN_BYTES_MAX (1u << 30)

struct packing {
    struct gal_cli *cli;
    struct gal_package *package; /* owned */
    bool has_no_cases;           /* the file of golden cases that it names is empty */
    struct gal_environment environment;
    const char *path; /* of the file; arena's */
    struct gal_pack_options options;
    struct gal_pack_report report;
    struct gal_err err;
};

/* --- what is missing or flagged --- */

/* The parts that a package may do without, and what then is not known (PKG-02). */
static size_t list_missing(const struct packing *k, const char *out[4])
{
    const struct gal_manifest *m = k->package->manifest;
    size_t n = 0;
    if (m->feature_count == 0)
        out[n++] = "no features: requests are held against the model's own inputs alone";
    if (m->golden_file.n == 0)
        out[n++] = "no golden cases: nothing proves that the model still predicts what it did "
                   "(galley record makes them)";
    else if (k->has_no_cases)
        out[n++] = "the file of golden cases holds none: nothing proves that the model still "
                   "predicts what it did (galley record makes them)";
    if (m->freeze_file.n == 0)
        out[n++] = "no freeze list (provenance.freeze): nobody knows what it was trained with";
    return n;
}

/* What cannot be read is told of where the cases are run. */
static bool has_no_cases(struct gal_package *p)
{
    struct gal_golden *golden = NULL;
    struct gal_arena arena;
    gal_arena_init(&arena, 65536, 0, GOLDEN_BYTES_MAX);
    bool none =
        gal_package_golden(p, &arena, &golden, NULL) == GAL_OK && golden && golden->case_count == 0;
    gal_arena_release(&arena);
    return none;
}

/* Prints all; returns how many. */
static size_t print_findings(const struct packing *k)
{
    const char *missing[4];
    size_t n = list_missing(k, missing);
    FILE *err = k->cli->err;
    for (size_t i = 0; i < n; i++)
        fprintf(err, "note: %s\n", missing[i]);
    for (size_t i = 0; i < k->environment.finding_count; i++) {
        fputs("note: ", err);
        gal_print_text(err, k->environment.findings[i]);
        fputc('\n', err);
    }
    return n + k->environment.finding_count;
}

/* --- the proof --- */

/* Of a package that nobody has sealed: what was sealed keeps the lock that it has. */
static enum gal_status prove(struct packing *k)
{
    struct gal_config config;
    gal_config_init(&config);
    enum gal_status status = gal_cli_config(k->cli, &config, &k->err);
    if (!status)
        status = gal_seal_prove(k->cli, &config, k->cli->operands[0], &k->options.proved, &k->err);
    if (status) {
        struct gal_err inner = k->err;
        (void)gal_fail(&k->err, status, "not packed: %s", inner.message);
        gal_err_place(&k->err, "%s", inner.place);
        gal_err_hint(&k->err, "%s",
                     inner.hint[0] ? inner.hint : "--no-verify packs it all the same");
    }
    gal_config_release(&config);
    return status;
}

/* --- options --- */

static enum gal_status choose_path(struct packing *k)
{
    const struct gal_manifest *m = k->package->manifest;
    k->path = gal_cli_value(k->cli, "output");
    if (!k->path)
        k->path = gal_arena_printf(&k->cli->arena, "%.*s-%.*s.galley", GAL_STR_ARG(m->name),
                                   GAL_STR_ARG(m->version));
    return k->path ? GAL_OK : gal_fail(&k->err, GAL_NO_MEMORY, "out of memory");
}

/* --- what was packed --- */

static void print_json(const struct packing *k)
{
    const struct gal_manifest *m = k->package->manifest;
    const char *missing[4];
    size_t n = list_missing(k, missing);
    struct gal_buf b;
    gal_buf_init(&b, JSON_BYTES_MAX);
    gal_json_put_member(&b, "{", "file", gal_str_of(k->path));
    gal_json_put_member(&b, ",", "name", m->name);
    gal_json_put_member(&b, ",", "version", m->version);
    gal_json_put_member(&b, ",", "digest", gal_str_of(k->report.digest));
    gal_buf_printf(&b, ",\"bytes\":%" PRIu64 ",\"files\":%zu,\"findings\":[", k->report.bytes,
                   k->report.files);
    for (size_t i = 0; i < n + k->environment.finding_count; i++) {
        gal_buf_puts(&b, i ? "," : "");
        gal_json_put_str(&b, i < n ? gal_str_of(missing[i]) : k->environment.findings[i - n]);
    }
    gal_buf_puts(&b, "]}");
    gal_print_json(k->cli->out, gal_buf_str(&b), false);
    gal_buf_release(&b);
}

static void print_text(const struct packing *k)
{
    char size[32];
    fprintf(k->cli->err, "%s: %zu files, %s\n", k->path, k->report.files,
            gal_humane_bytes(k->report.bytes, size, sizeof size));
    fprintf(k->cli->out, "%s\n", k->report.digest);
}

/* --- the command --- */

static void on_progress(uint64_t done, uint64_t total, void *ctx)
{
    gal_progress_step(ctx, "pack", "pack", "packing", done, total);
}

/* With a bar on a terminal. */
static enum gal_status write_file(struct packing *k)
{
    struct gal_progress_options o = gal_progress_of(k->cli->err, k->cli->env);
    struct gal_progress *progress = o.bars ? gal_progress_new(&o) : NULL;
    k->options.on_progress = progress ? on_progress : NULL;
    k->options.ctx = progress;
    enum gal_status status = gal_pack(k->package, k->path, &k->options, &k->report, &k->err);
    gal_progress_free(progress);
    return status;
}

static enum gal_status pack(struct packing *k)
{
    struct gal_cli *cli = k->cli;
    enum gal_status status = gal_cli_epoch(cli, &k->options.epoch, &k->err);
    if (!status)
        status = gal_package_open(cli->operands[0], &k->package, &k->err);
    if (!status)
        status = choose_path(k);
    if (!status)
        status = gal_package_environment(k->package, &cli->arena, &k->environment, &k->err);
    if (status)
        return status;
    bool has_golden = !k->package->is_sealed && k->package->manifest->golden_file.n > 0;
    bool proves = has_golden && !gal_cli_has(cli, "no-verify");
    k->has_no_cases = !proves && has_no_cases(k->package); /* proving tells of them itself */
    size_t findings = print_findings(k);
    if (findings > 0 && gal_cli_has(cli, "strict"))
        return gal_fail(&k->err, GAL_INVALID, "%s: not packed: %zu finding%s, see above",
                        k->package->path, findings, findings == 1 ? "" : "s");
    if (has_golden && !proves)
        fputs("note: its golden cases were not run: the lock says so\n", cli->err);
    else if (proves)
        status = prove(k);
    return status ? status : write_file(k);
}

static int run_pack(struct gal_cli *cli)
{
    struct packing k = {.cli = cli};
    int code = GAL_EXIT_OK;
    if (pack(&k) != GAL_OK)
        code = gal_cli_fail(cli, GAL_EXIT_FAILURE, &k.err);
    else if (gal_cli_has(cli, "json"))
        print_json(&k);
    else
        print_text(&k);
    gal_package_close(k.package);
    return code;
}

static const struct gal_option options[] = {
    {"output", 'o', "FILE", "The file to write (default NAME-VERSION.galley here)"},
    {"no-verify", '\0', NULL, "Do not run the golden cases; the lock says so"},
    {"strict", '\0', NULL,
     "What is noted is a failure: a part that is missing, a version that is not pinned"},
    {"json", '\0', NULL, "Print one JSON object"},
};
static const struct gal_example examples[] = {
    {"galley pack fraud/", "The package as one file, fraud-2.1.0.galley; its digest is printed."},
    {"galley pack --strict fraud/ -o out.galley", "In CI: nothing missing, all versions pinned."},
    {"skopeo inspect --raw oci-archive:fraud-2.1.0.galley", "It is an OCI artifact."},
};

const struct gal_command gal_command_pack = {
    .name = "pack",
    .summary = "Make one file of a package",
    .operands = "DIR",
    .words = "PATH",
    .operands_min = 1,
    .operands_max = 1,
    .text =
        "Takes what DIR/galley.yaml names: the model, golden cases, the freeze list, `files`. Adds "
        "lock.json (digests, provenance, versions) and sbom.spdx.json (SPDX 2.3). The file is an "
        "OCI image layout with an artifact by the CNCF ModelPack specification, which registries, "
        "skopeo and oras handle.\n\n"
        "Golden cases are run first: a package that does not reproduce them, or whose file of "
        "cases is empty, is not packed.\n\n"
        "Equal files give equal bytes, on any day and machine. SOURCE_DATE_EPOCH sets the time in "
        "the SBOM, which is 1970 otherwise. A part that is named and not there is an error; one "
        "that a package may do without is noted.",
    .keys = GAL_KEYS(GAL_KEY_ONNXRUNTIME),
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .examples = examples,
    .example_count = sizeof(examples) / sizeof(examples[0]),
    .run = run_pack,
};
