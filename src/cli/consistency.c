/* SPDX-License-Identifier: Apache-2.0 */
/* The same inputs through two of anything: do they answer alike? */
#include "cli/cases.h"
#include "cli/command.h"
#include "cli/print.h"
#include "cli/proof_table.h"
#include "cli/read.h"
#include "cli/subject.h"
#include "text/json.h"

#define JSON_BYTES_MAX (64u << 20)
#define ANSWERS_BYTES_MAX (2u << 30)
#define INPUTS_BYTES_MAX (512u << 20)
#define EXIT_DIFFERENT 1 /* as diff's own */
#define EXIT_TROUBLE 2

struct comparison {
    struct gal_subject a, b;
    struct gal_golden *asked;    /* inputs */
    struct gal_golden *answered; /* with A's answers */
    struct gal_str *names;       /* outputs that are compared */
    size_t name_count;
    const char *only_a, *only_b; /* outputs that one alone has: "x, y"; empty: none */
    struct gal_proof proof;      /* of B against A's answers */
    bool ran;                    /* B has been asked */
    struct gal_err difference;   /* code OK: they agree */
    struct gal_arena arena;
};

/* --- which inputs --- */

static enum gal_status find_inputs(struct gal_cli *cli, struct comparison *c, struct gal_buf *text,
                                   struct gal_err *err)
{
    const char *path = gal_cli_value(cli, "inputs");
    const struct gal_subject *from = c->a.package || !c->b.package ? &c->a : &c->b;
    const struct gal_manifest *m = from->package ? from->package->manifest : NULL;
    double rtol = m ? m->rtol : 1e-5, atol = m ? m->atol : 1e-6;
    enum gal_status status = gal_cli_tolerance(cli, &rtol, &atol, err);

    if (!status && path) {
        status = gal_cli_read(cli, path, INPUTS_BYTES_MAX, text, err);
        if (!status)
            status = gal_cases_read(gal_buf_str(text), path, c->a.model, rtol, atol, &c->arena,
                                    &c->asked, err);
    } else if (!status) {
        status = gal_subject_golden(&c->a, &c->arena, &c->asked, err);
        if (!status && !c->asked)
            status = gal_subject_golden(&c->b, &c->arena, &c->asked, err);
    }
    if (!status && (!c->asked || c->asked->case_count == 0)) {
        gal_fail(err, GAL_INVALID, "there is nothing to ask: neither has golden cases");
        gal_err_hint(err, "give --inputs FILE: rows, requests or golden cases");
        return GAL_INVALID;
    }
    if (!status && (gal_cli_has(cli, "rtol") || gal_cli_has(cli, "atol")))
        gal_cases_tolerate(c->asked, rtol, atol);
    return status;
}

/* --- which outputs --- */

static const struct gal_model_info *info_of(const struct gal_subject *s)
{
    return s->ops->info(s->session);
}

static enum gal_status no_memory(struct comparison *c, struct gal_err *err)
{
    return gal_arena_fail(&c->arena, 0, "the outputs", err);
}

/* Names of x's outputs that y has not. */
static const char *only_in(struct comparison *c, const struct gal_model_info *x,
                           const struct gal_model_info *y)
{
    const char *text = "";

    for (size_t i = 0; i < x->output_count && text; i++) {
        struct gal_str name = x->outputs[i].name;
        if (gal_port_find(y->outputs, y->output_count, name) == SIZE_MAX)
            text = gal_arena_printf(&c->arena, "%s%s%.*s", text, text[0] ? ", " : "",
                                    GAL_STR_SHOWN(name));
    }
    return text;
}

/* Those of --outputs, "a,b". */
static enum gal_status told_outputs(struct comparison *c, struct gal_str list, struct gal_err *err)
{
    c->names = gal_arena_array(&c->arena, list.n + 1, sizeof *c->names);
    if (!c->names)
        return no_memory(c, err);
    while (list.n > 0) {
        const char *comma = memchr(list.p, ',', list.n);
        size_t n = comma ? (size_t)(comma - list.p) : list.n;
        struct gal_str name = gal_str_trim((struct gal_str){list.p, n});
        n += comma != NULL;
        list = (struct gal_str){list.p + n, list.n - n};
        if (name.n)
            c->names[c->name_count++] = name;
    }
    c->only_a = c->only_b = "";
    return c->name_count ? GAL_OK : gal_fail(err, GAL_INVALID, "--outputs names none");
}

/* Without --outputs those that both have; what one alone has is a difference. */
static enum gal_status choose_outputs(const struct gal_cli *cli, struct comparison *c,
                                      struct gal_err *err)
{
    const struct gal_model_info *a = info_of(&c->a), *b = info_of(&c->b);

    if (gal_cli_has(cli, "outputs"))
        return told_outputs(c, gal_str_of(gal_cli_value(cli, "outputs")), err);
    c->names = gal_arena_array(&c->arena, a->output_count + 1, sizeof *c->names);
    c->only_a = only_in(c, a, b);
    c->only_b = only_in(c, b, a);
    if (!c->names || !c->only_a || !c->only_b)
        return no_memory(c, err);
    for (size_t i = 0; i < a->output_count; i++) {
        if (gal_port_find(b->outputs, b->output_count, a->outputs[i].name) != SIZE_MAX)
            c->names[c->name_count++] = a->outputs[i].name;
    }
    if (c->name_count > 0)
        return GAL_OK;
    return gal_fail(err, GAL_INVALID,
                    "they have no output in common: A gives %.120s; B gives %.120s", c->only_a,
                    c->only_b);
}

/* --- comparing --- */

static enum gal_status compare(struct gal_cli *cli, const struct gal_config *config,
                               struct comparison *c, struct gal_buf *text, struct gal_err *err)
{
    const char *model = gal_cli_value(cli, "model");
    enum gal_status status = gal_subject_open(cli, config, cli->operands[0], model, &c->a, err);

    if (!status)
        status = gal_subject_open(cli, config, cli->operands[1], model, &c->b, err);
    if (!status)
        status = find_inputs(cli, c, text, err);
    if (!status)
        status = choose_outputs(cli, c, err);
    if (!status)
        status = gal_golden_record(c->asked, c->a.ops, c->a.session, c->names, c->name_count,
                                   &c->arena, &c->answered, err);
    if (status)
        return status;
    c->ran = true;
    if (gal_golden_prove(c->answered, c->b.ops, c->b.session, &c->arena, &c->proof,
                         &c->difference) == GAL_OK &&
        (c->only_a[0] || c->only_b[0]))
        gal_fail(&c->difference, GAL_INVALID, "outputs that one alone has: A %.120s; B %.120s",
                 c->only_a[0] ? c->only_a : "none", c->only_b[0] ? c->only_b : "none");
    return GAL_OK;
}

/* --- telling --- */

static void print_text(struct gal_cli *cli, const struct comparison *c)
{
    fprintf(cli->out, "A %s\nB %s\n", c->a.text, c->b.text);
    fprintf(cli->out, "  %zu of %zu cases agree\n", c->proof.cases - c->proof.failed_cases,
            c->proof.cases);
    gal_proof_print(cli->out, &c->proof, c->answered);
    if (c->only_a[0])
        fprintf(cli->out, "  only A has %s\n", c->only_a);
    if (c->only_b[0])
        fprintf(cli->out, "  only B has %s\n", c->only_b);
    fputs(c->difference.code == GAL_OK ? "  consistent\n" : "  NOT consistent\n", cli->out);
}

static void print_json(struct gal_cli *cli, const struct comparison *c)
{
    struct gal_buf out;

    gal_buf_init(&out, JSON_BYTES_MAX);
    gal_buf_puts(&out, "{\"a\":");
    gal_json_put_str(&out, gal_str_of(c->a.text));
    gal_buf_puts(&out, ",\"b\":");
    gal_json_put_str(&out, gal_str_of(c->b.text));
    gal_buf_puts(&out,
                 c->difference.code == GAL_OK ? ",\"consistent\":true," : ",\"consistent\":false,");
    gal_proof_json(&out, &c->proof, c->answered);
    gal_buf_puts(&out, ",\"only_a\":");
    gal_json_put_str(&out, gal_str_of(c->only_a));
    gal_buf_puts(&out, ",\"only_b\":");
    gal_json_put_str(&out, gal_str_of(c->only_b));
    if (c->difference.code != GAL_OK) {
        gal_buf_puts(&out, ",\"error\":");
        gal_json_put_str(&out, gal_str_of(c->difference.message));
    }
    gal_buf_putc(&out, '}');
    gal_print_json(cli->out, gal_buf_str(&out), false);
    gal_buf_release(&out);
}

/* --- the command --- */

static int run_consistency(struct gal_cli *cli)
{
    struct comparison c = {.only_a = "", .only_b = ""};
    struct gal_config config;
    struct gal_buf text;
    struct gal_err err;
    enum gal_status status;
    int code = GAL_EXIT_OK;

    gal_config_init(&config);
    gal_buf_init(&text, INPUTS_BYTES_MAX);
    gal_arena_init(&c.arena, 65536, 0, ANSWERS_BYTES_MAX);
    gal_err_clear(&c.difference);
    status = gal_cli_config(cli, &config, &err);
    if (!status)
        status = compare(cli, &config, &c, &text, &err);
    if (status)
        code = gal_cli_fail(cli, EXIT_TROUBLE, &err);
    else if (gal_cli_has(cli, "json"))
        print_json(cli, &c);
    else
        print_text(cli, &c);
    if (!status && c.difference.code != GAL_OK) /* else B could not be asked, midway */
        code = gal_cli_fail(cli, c.difference.code == GAL_INVALID ? EXIT_DIFFERENT : EXIT_TROUBLE,
                            &c.difference);
    gal_subject_close(&c.a);
    gal_subject_close(&c.b);
    gal_arena_release(&c.arena);
    gal_buf_release(&text);
    gal_config_release(&config);
    return code;
}

static const struct gal_option options[] = {
    {"inputs", 'i', "FILE", "What to ask; the golden cases of A, else of B, unless given"},
    {"outputs", '\0', "NAME,...", "Compare these alone; else all, and both have to have them"},
    {"rtol", '\0', "NUMBER", "Relative tolerance; the cases' unless given, else 1e-5"},
    {"atol", '\0', "NUMBER", "Absolute tolerance; the cases' unless given, else 1e-6"},
    {"model", '\0', "NAME", "Which model, of an image that has several"},
    GAL_REGISTRY_OPTIONS,
    {"json", '\0', NULL, "Print one JSON object"},
};
static const struct gal_example examples[] = {
    {"galley consistency fraud-2.0.0.galley fraud-2.1.0.galley",
     "Does the new version answer the old one's golden cases as the old one did?"},
    {"galley consistency fraud/ http://localhost:8080/v2/models/fraud",
     "Does the server answer as the package does here?"},
    {"galley consistency model.onnx quantized.onnx -i rows.jsonl --atol 0.01",
     "What did quantization cost?"},
    {"galley consistency fraud-2.1.0.galley registry.example.com/fraud:2.1.0",
     "Does the image that was pushed hold the model that was proved?"},
    {"galley consistency http://staging:8080/v2/models/fraud http://prod:8080/v2/models/fraud "
     "-i rows.jsonl --json",
     "Two servers, in CI: exit code 0 when they agree, 1 when they differ, 2 when one could not be "
     "asked."},
};

const struct gal_command gal_command_consistency = {
    .name = "consistency",
    .summary = "Run the same inputs through two models, packages, images or servers",
    .operands = "A B",
    .words = "PATH",
    .operands_min = 2,
    .operands_max = 2,
    .text = "A and B are each a package, a model file or directory, a container image (an archive, "
            "an OCI layout, or a reference with its registry), or a model of a running server "
            "(http://HOST:PORT/v2/models/NAME, of any server that speaks the Open Inference "
            "Protocol). An image's model is read out of its layers, held against their digests, "
            "and run by this galley. Inputs go through A, then through B, and B's answers are held "
            "against A's: "
            "|b - a| <= atol + rtol * |a|; texts and whole numbers have to be equal. Files of "
            "inputs are those of `galley record`.\n\nThe exit code is 0 when they agree, 1 when "
            "they differ, 2 when one of them could not be asked.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .keys = GAL_KEYS(GAL_KEY_ONNXRUNTIME, GAL_KEY_INTRA_OP_THREADS),
    .examples = examples,
    .example_count = sizeof(examples) / sizeof(examples[0]),
    .run = run_consistency,
};
