/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/help.h"
#include "cli/image_source.h"
#include "cli/print.h"
#include "ship/audit.h"
#include "text/json.h"

#define JSON_BYTES_MAX (64u << 20)

/* --- JSON --- */

static void put_finding(struct gal_buf *out, const struct gal_audit_finding *f)
{
    gal_buf_printf(out, "{\"severity\":\"%s\",\"code\":\"%s\",\"message\":",
                   gal_severity_name(f->severity), f->code);
    gal_json_put_str(out, gal_str_of(f->message));
    gal_buf_puts(out, ",\"remedy\":");
    gal_json_put_str(out, gal_str_of(f->remedy));
    if (f->path) {
        gal_buf_puts(out, ",\"path\":");
        gal_json_put_str(out, gal_str_of(f->path));
    }
    if (f->layer != SIZE_MAX)
        gal_buf_printf(out, ",\"layer\":%zu", f->layer);
    if (f->bytes)
        gal_buf_printf(out, ",\"bytes\":%llu", (unsigned long long)f->bytes);
    gal_buf_putc(out, '}');
}

static void put_json(struct gal_buf *out, const struct gal_view *v, const struct gal_audit *a)
{
    gal_buf_printf(out,
                   "{\"digest\":\"%s\",\"bytes\":%llu,\"unpacked_bytes\":%llu,"
                   "\"hidden_bytes\":%llu,\"errors\":%zu,\"warnings\":%zu,\"layers\":[",
                   v->top.digest, (unsigned long long)a->packed, (unsigned long long)a->unpacked,
                   (unsigned long long)a->hidden, a->errors, a->warnings);
    for (size_t i = 0; i < a->layer_count; i++) {
        const struct gal_audit_layer *l = &a->layers[i];
        gal_buf_printf(out,
                       "%s{\"digest\":\"%s\",\"bytes\":%llu,\"unpacked_bytes\":%llu,"
                       "\"hidden_bytes\":%llu,\"files\":%zu,\"created_by\":",
                       i ? "," : "", v->layers[i].blob.digest, (unsigned long long)l->packed,
                       (unsigned long long)l->unpacked, (unsigned long long)l->hidden, l->files);
        gal_json_put_str(out, v->layers[i].created_by);
        gal_buf_putc(out, '}');
    }
    gal_buf_puts(out, "],\"findings\":[");
    for (size_t i = 0; i < a->finding_count; i++) {
        gal_buf_puts(out, i ? "," : "");
        put_finding(out, &a->findings[i]);
    }
    gal_buf_puts(out, "]}");
}

/* --- text --- */

static void print_layers(FILE *out, const struct gal_view *v, const struct gal_audit *a)
{
    char packed[32], unpacked[32], hidden[32];

    fprintf(out, "%5s  %10s  %10s  %10s  %7s  %s\n", "LAYER", "MOVED", "UNPACKED", "HIDDEN",
            "FILES", "CREATED BY");
    for (size_t i = 0; i < a->layer_count; i++) {
        const struct gal_audit_layer *l = &a->layers[i];
        struct gal_str words = v->layers[i].created_by;
        words.n = words.n > 50 ? 50 : words.n;
        fprintf(out, "%5zu  %10s  %10s  %10s  %7zu  ", i,
                gal_humane_bytes(l->packed, packed, sizeof packed),
                gal_humane_bytes(l->unpacked, unpacked, sizeof unpacked),
                gal_humane_bytes(l->hidden, hidden, sizeof hidden), l->files);
        gal_print_text(out, words);
        fputc('\n', out);
    }
    fprintf(out, "%5s  %10s  %10s  %10s\n", "all",
            gal_humane_bytes(a->packed, packed, sizeof packed),
            gal_humane_bytes(a->unpacked, unpacked, sizeof unpacked),
            gal_humane_bytes(a->hidden, hidden, sizeof hidden));
}

static void print_finding(FILE *out, const struct gal_audit_finding *f, bool colour)
{
    static const char *const colours[] = {"", "\033[33m", "\033[31m"};
    char size[32];

    fprintf(out, "\n%s%s%s %s: ", colour ? colours[f->severity] : "",
            gal_severity_name(f->severity), colour && f->severity ? "\033[0m" : "", f->code);
    gal_print_text(out, gal_str_of(f->message));
    fputc('\n', out);
    if (f->path) {
        fprintf(out, "  in layer %zu: ", f->layer);
        gal_print_text(out, gal_str_of(f->path));
        if (f->bytes)
            fprintf(out, " (%s)", gal_humane_bytes(f->bytes, size, sizeof size));
        fputc('\n', out);
    }
    fprintf(out, "  %s\n", f->remedy);
}

static void print_text(FILE *out, const struct gal_view *v, const struct gal_audit *a)
{
    bool colour = gal_colour_wanted(out);

    print_layers(out, v, a);
    for (size_t i = 0; i < a->finding_count; i++)
        print_finding(out, &a->findings[i], colour);
    fprintf(out, "\n%zu errors, %zu warnings, %zu findings in all\n", a->errors, a->warnings,
            a->finding_count);
}

/* --- the command --- */

static int audit(struct gal_cli *cli, struct gal_view *view, const char *reference)
{
    struct gal_audit found;
    struct gal_err err;
    struct gal_buf json;

    if (gal_audit(view, reference, &found, &err))
        return gal_cli_fail(cli, GAL_EXIT_FAILURE, &err);
    if (gal_cli_has(cli, "json")) {
        gal_buf_init(&json, JSON_BYTES_MAX);
        put_json(&json, view, &found);
        gal_print_json(cli->out, gal_buf_str(&json), false);
        gal_buf_release(&json);
    } else {
        print_text(cli->out, view, &found);
    }
    bool strict = gal_cli_has(cli, "strict");
    return found.errors || (strict && found.warnings) ? GAL_EXIT_FAILURE : GAL_EXIT_OK;
}

static int run_audit(struct gal_cli *cli)
{
    struct gal_image_source source;
    struct gal_view view;
    struct gal_err err;
    int code;

    if (gal_image_source_open(cli, cli->operands[0], NULL, &source, &err))
        return gal_cli_fail(cli, GAL_EXIT_FAILURE, &err);
    if (gal_view_open(source.layout, source.name, NULL, &view, &err))
        code = gal_cli_fail(cli, GAL_EXIT_FAILURE, &err);
    else
        code = audit(cli, &view, source.fetched ? cli->operands[0] : NULL);
    gal_view_release(&view);
    gal_image_source_close(&source);
    return code;
}

static const struct gal_option options[] = {
    {"json", '\0', NULL, "Print one JSON object"},
    {"strict", '\0', NULL, "Warnings too make the exit code 1"},
    GAL_REGISTRY_OPTIONS,
};
static const struct gal_example examples[] = {
    {"galley image audit fraud.tar", "In a pipeline: the exit code is 1 when there is an error."},
    {"galley image audit --json localhost:5000/fraud:2.1.0 | jq .hidden_bytes",
     "Bytes that are moved for nothing."},
};

const struct gal_command gal_command_image_audit = {
    .name = "image audit",
    .summary = "Find what an image should not have",
    .operands = "IMAGE",
    .words = "PATH",
    .operands_min = 1,
    .operands_max = 1,
    .text =
        "Reads every file of every layer and reports bytes that later layers delete or replace, "
        "compilers, test frameworks, notebooks, package caches, secrets in files and in the "
        "environment, private keys, pickles, root, tags that move, and size, each with what to "
        "do about it.\n\nAny image will do, whoever built it. Layers are read through bounds "
        "and held against their digests; nothing is unpacked.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .examples = examples,
    .example_count = sizeof(examples) / sizeof(examples[0]),
    .run = run_audit,
};
