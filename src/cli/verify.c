/* SPDX-License-Identifier: Apache-2.0 */
/* Does a package hold what it promises? The same proof that a server asks for at load. */
#include "base/thread.h"
#include "cli/command.h"
#include "cli/place.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "cli/proof_table.h"
#include "cli/subject.h"
#include "text/json.h"

#include <inttypes.h>

#define JSON_BYTES_MAX (64u << 20)
#define GOLDEN_BYTES_MAX (1u << 30)
#define CHECK_THREADS_MAX 8u

/* One package. */
struct verdict {
    struct gal_place place;
    struct gal_subject subject;
    struct gal_golden *golden; /* NULL: none */
    struct gal_proof proof;
    bool digests_hold, loads, proven; /* how far it came */
    struct gal_err err;               /* code OK: all is well */
    struct gal_arena arena;
};

static void on_progress(uint64_t done, uint64_t total, void *ctx)
{
    gal_progress_step(ctx, "digests", "digests", "checking", done, total);
}

static enum gal_status check_digests(struct gal_cli *cli, struct verdict *v)
{
    struct gal_progress_options o = gal_progress_of(cli->err, cli->env);
    struct gal_progress *progress = o.bars ? gal_progress_new(&o) : NULL;
    unsigned threads = gal_cpu_count();
    enum gal_status status;

    status = gal_package_check(v->subject.package,
                               threads < CHECK_THREADS_MAX ? threads : CHECK_THREADS_MAX,
                               on_progress, progress, &v->err);
    gal_progress_free(progress);
    v->digests_hold = status == GAL_OK;
    return status ? status : gal_package_digest(v->subject.package, &v->err);
}

/* From the cheapest to the dearest; the first that fails ends it. */
static void verify(struct gal_cli *cli, const struct gal_config *config, struct verdict *v)
{
    enum gal_status status = gal_place_open(cli, config, v->place.text, &v->place, &v->err);

    if (!status && !gal_package_is(v->place.path)) {
        status = gal_fail(&v->err, GAL_INVALID, "%.200s is no package", gal_place_shown(&v->place));
        gal_err_hint(&v->err, "a package is a directory with a galley.yaml or a .galley file; "
                              "`galley init` writes a first galley.yaml");
    }
    if (!status)
        status = gal_subject_package(v->place.path, &v->subject, &v->err);
    if (!status)
        status = check_digests(cli, v);
    if (!status)
        status = gal_subject_load(config, &v->subject, &v->err);
    v->loads = status == GAL_OK;
    if (!status)
        status = gal_subject_prove(&v->subject, &v->arena, &v->golden, &v->proof, &v->err);
    v->proven = status == GAL_OK;
    if (status && !v->err.place[0])
        gal_err_place(&v->err, "%s", gal_place_shown(&v->place));
    if (status)
        gal_place_explain(&v->place, &v->err);
}

/* --- text --- */

static void print_digests(FILE *out, const struct verdict *v)
{
    const struct gal_package *p = v->subject.package;
    uint64_t bytes = 0;
    char size[32];

    for (size_t i = 0; i < p->file_count; i++)
        bytes += p->files[i].size;
    fprintf(out, "  digests   %zu files, %s%s\n", p->file_count,
            gal_humane_bytes(bytes, size, sizeof size),
            p->is_sealed ? "" : "; not packed yet, so there is nothing to hold them against");
}

static size_t steps_of(const struct gal_yaml *list)
{
    size_t count = 0;
    for (const struct gal_yaml *c = list ? list->child : NULL; c; c = c->next)
        count++;
    return count;
}

static void print_verdict(FILE *out, const struct verdict *v)
{
    const struct gal_package *p = v->subject.package;
    const struct gal_manifest *m = p ? p->manifest : NULL;
    const char *origin = gal_place_origin(&v->place);

    if (m) {
        gal_print_text(out, m->name);
        fputc(' ', out);
        gal_print_text(out, m->version);
        fprintf(out, "  %s%s%s\n", p->digest, p->digest[0] ? "  " : "", origin);
    } else {
        fprintf(out, "%s\n", origin);
    }
    if (p && v->digests_hold)
        print_digests(out, v);
    if (m && v->loads)
        fprintf(out, "  schema    %zu features, %zu steps before the model, %zu behind it\n",
                m->feature_count, steps_of(m->before), steps_of(m->after));
    if (v->golden)
        fprintf(out, "  golden    %zu of %zu cases reproduced\n",
                v->proof.cases - v->proof.failed_cases, v->proof.cases);
    else if (v->proven)
        fputs(
            "  golden    no cases: nothing shows that it predicts what it should; `galley record` "
            "makes some\n",
            out);
    if (v->golden)
        gal_proof_print(out, &v->proof, v->golden);
    fputs(v->err.code == GAL_OK ? "  verified\n" : "  NOT verified\n", out);
}

/* --- JSON --- */

static void put_verdict(struct gal_buf *out, const struct verdict *v)
{
    const struct gal_package *p = v->subject.package;

    gal_json_put_member(out, "{", "path", gal_str_of(v->place.path));
    if (v->place.source)
        gal_json_put_member(out, ",", "source", gal_str_of(gal_place_origin(&v->place)));
    if (p) {
        gal_json_put_member(out, ",", "name", p->manifest->name);
        gal_json_put_member(out, ",", "version", p->manifest->version);
        gal_json_put_member(out, ",", "digest", gal_str_of(p->digest));
        gal_buf_puts(out, p->is_sealed ? ",\"sealed\":true" : ",\"sealed\":false");
    }
    gal_buf_puts(out, v->err.code == GAL_OK ? ",\"verified\":true" : ",\"verified\":false");
    gal_buf_puts(out, v->digests_hold ? ",\"digests\":true" : ",\"digests\":false");
    gal_buf_puts(out, v->loads ? ",\"loads\":true" : ",\"loads\":false");
    if (v->golden) {
        gal_buf_puts(out, ",\"golden\":{");
        gal_proof_json(out, &v->proof, v->golden);
        gal_buf_putc(out, '}');
    } else {
        gal_buf_puts(out, ",\"golden\":null");
    }
    if (v->err.code != GAL_OK)
        gal_json_put_member(out, ",", "error", gal_str_of(v->err.message));
    gal_buf_putc(out, '}');
}

/* --- the command --- */

static int verify_all(struct gal_cli *cli, const struct gal_config *config)
{
    bool as_json = gal_cli_has(cli, "json");
    int code = GAL_EXIT_OK;
    struct gal_buf json;

    gal_buf_init(&json, JSON_BYTES_MAX);
    gal_buf_puts(&json, "{\"packages\":[");
    for (size_t i = 0; i < cli->operand_count; i++) {
        struct verdict v = {.place = {.text = cli->operands[i]}};
        gal_err_clear(&v.err);
        gal_arena_init(&v.arena, 65536, 0, GOLDEN_BYTES_MAX);
        verify(cli, config, &v);
        gal_buf_puts(&json, i ? "," : "");
        if (as_json)
            put_verdict(&json, &v);
        else
            print_verdict(cli->out, &v);
        if (v.err.code != GAL_OK)
            code = gal_cli_fail(cli, GAL_EXIT_FAILURE, &v.err);
        gal_subject_close(&v.subject);
        gal_place_close(&v.place);
        gal_arena_release(&v.arena);
    }
    gal_buf_puts(&json, code == GAL_EXIT_OK ? "],\"verified\":true}" : "],\"verified\":false}");
    if (as_json)
        gal_print_json(cli->out, gal_buf_str(&json), false);
    gal_buf_release(&json);
    return code;
}

static int run_verify(struct gal_cli *cli)
{
    struct gal_config config;
    struct gal_err err;
    int code;

    gal_config_init(&config);
    if (gal_cli_config(cli, &config, &err) != GAL_OK)
        code = gal_cli_fail(cli, GAL_EXIT_FAILURE, &err);
    else
        code = verify_all(cli, &config);
    gal_config_release(&config);
    return code;
}

static const struct gal_option options[] = {
    {"json", '\0', NULL, "Print one JSON object"},
};
static const struct gal_example examples[] = {
    {"galley verify fraud/", "A package that is being written: schema and golden cases."},
    {"galley verify fraud-2.1.0.galley", "A packed one: its digests too."},
    {"galley verify oci://registry.example.com/models/fraud:2.1.0",
     "What a registry hands out, before it is deployed."},
    {"galley verify --json *.galley | jq .verified", "In CI; the exit code says it as well."},
};

const struct gal_command gal_command_verify = {
    .name = "verify",
    .summary = "Hold a package against its digests and golden cases",
    .operands = "SOURCE...",
    .words = "PATH",
    .operands_min = 1,
    .operands_max = SIZE_MAX,
    .text =
        "Every file of a packed package is held against its digest; the manifest is checked and "
        "the model loaded with its steps; then every golden case is run and compared with what "
        "was recorded, within its tolerance (rtol * |expected| + atol). The table has a row an "
        "output: its values, how many are beyond tolerance, the worst absolute and relative "
        "difference.\n\nA server asks for the same when it loads a package. The exit code is 1 "
        "when one package fails.\n\n" GAL_PLACE_HELP,
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .keys = GAL_KEYS(GAL_KEY_ONNXRUNTIME, GAL_KEY_INTRA_OP_THREADS, GAL_PLACE_KEYS),
    .examples = examples,
    .example_count = sizeof(examples) / sizeof(examples[0]),
    .run = run_verify,
};
