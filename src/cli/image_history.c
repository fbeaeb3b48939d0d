/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/help.h"
#include "cli/image_source.h"
#include "cli/print.h"
#include "ship/view.h"
#include "text/json.h"

#include <unistd.h>

#define JSON_BYTES_MAX (16u << 20)
#define COMMAND_WIDTH 60u

static void put_step_json(struct gal_buf *out, const struct gal_view *v,
                          const struct gal_view_step *s)
{
    gal_buf_puts(out, "{\"created\":");
    gal_json_put_str(out, s->created);
    gal_buf_puts(out, ",\"created_by\":");
    gal_json_put_str(out, s->created_by);
    if (s->layer == SIZE_MAX) {
        gal_buf_puts(out, ",\"size\":0}");
        return;
    }
    gal_buf_printf(out, ",\"size\":%llu,\"digest\":\"%s\",\"diff_id\":",
                   (unsigned long long)v->layers[s->layer].blob.size,
                   v->layers[s->layer].blob.digest);
    gal_json_put_str(out, v->layers[s->layer].diff_id);
    gal_buf_putc(out, '}');
}

static void put_json(struct gal_buf *out, const struct gal_view *v)
{
    gal_buf_printf(out, "{\"digest\":\"%s\",\"architecture\":", v->top.digest);
    gal_json_put_str(out, v->architecture);
    gal_buf_puts(out, ",\"os\":");
    gal_json_put_str(out, v->os);
    gal_buf_puts(out, ",\"user\":");
    gal_json_put_str(out, v->user);
    gal_buf_puts(out, ",\"labels\":{");
    for (size_t i = 0; i < v->label_count; i++) {
        gal_buf_puts(out, i ? "," : "");
        gal_json_put_str(out, v->labels[i].key);
        gal_buf_putc(out, ':');
        gal_json_put_str(out, v->labels[i].value);
    }
    gal_buf_puts(out, "},\"history\":[");
    for (size_t i = 0; i < v->step_count; i++) {
        gal_buf_puts(out, i ? "," : "");
        put_step_json(out, v, &v->steps[i]);
    }
    gal_buf_puts(out, "]}");
}

static void print_row(FILE *out, const struct gal_view *v, size_t layer, struct gal_str words,
                      bool whole)
{
    char size[32] = "0 B";
    const char *digest = layer == SIZE_MAX ? "" : v->layers[layer].blob.digest + 7;

    if (layer != SIZE_MAX)
        gal_humane_bytes(v->layers[layer].blob.size, size, sizeof size);
    if (!whole && words.n > COMMAND_WIDTH)
        words.n = COMMAND_WIDTH;
    fprintf(out, "%-12.12s  %10s  ", digest, size);
    gal_print_text(out, words);
    fputc('\n', out);
}

/* The newest first, as docker history has it. */
static void print_text(FILE *out, const struct gal_view *v, bool whole)
{
    uint64_t bytes = 0;
    char size[32];

    fprintf(out, "%-12s  %10s  %s\n", "LAYER", "SIZE", "CREATED BY");
    for (size_t i = v->step_count; i-- > 0;)
        print_row(out, v, v->steps[i].layer, v->steps[i].created_by, whole);
    for (size_t i = v->layer_count; i-- > 0;) {
        bytes += v->layers[i].blob.size;
        if (v->step_count == 0)
            print_row(out, v, i, GAL_STR("(the image has no history)"), whole);
    }
    fprintf(out, "\n%zu layers, %s as they are moved\n%s\n", v->layer_count,
            gal_humane_bytes(bytes, size, sizeof size), v->top.digest);
}

static int run_history(struct gal_cli *cli)
{
    struct gal_image_source source;
    struct gal_view view;
    struct gal_buf json;
    struct gal_err err;
    int code = GAL_EXIT_OK;

    if (gal_image_source_open(cli, cli->operands[0], NULL, &source, &err))
        return gal_cli_fail(cli, GAL_EXIT_FAILURE, &err);
    gal_buf_init(&json, JSON_BYTES_MAX);
    if (gal_view_open(source.layout, source.name, NULL, &view, &err)) {
        code = gal_cli_fail(cli, GAL_EXIT_FAILURE, &err);
    } else if (gal_cli_has(cli, "json")) {
        put_json(&json, &view);
        gal_print_json(cli->out, gal_buf_str(&json), false);
    } else {
        print_text(cli->out, &view, gal_cli_has(cli, "no-trunc"));
    }
    gal_buf_release(&json);
    gal_view_release(&view);
    gal_image_source_close(&source);
    return code;
}

static const struct gal_option options[] = {
    {"json", '\0', NULL, "Print one JSON object, with labels"},
    {"no-trunc", '\0', NULL, "Do not cut long commands"},
    GAL_REGISTRY_OPTIONS,
};
static const struct gal_example examples[] = {
    {"galley image history fraud.tar", "An archive of galley image build, skopeo or docker save."},
    {"galley image history localhost:5000/fraud:2.1.0", "An image in a registry."},
};

const struct gal_command gal_command_image_history = {
    .name = "image history",
    .summary = "Show an image's layers with their sizes",
    .operands = "IMAGE",
    .words = "PATH",
    .operands_min = 1,
    .operands_max = 1,
    .text = "IMAGE is an OCI layout, an archive, or a reference into a registry. The newest layer "
            "comes first; sizes are those that are moved and stored (compressed).",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .examples = examples,
    .example_count = sizeof(examples) / sizeof(examples[0]),
    .run = run_history,
};
