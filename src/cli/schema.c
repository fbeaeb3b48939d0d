/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"
#include "cli/print.h"
#include "package/manifest.h"
#include "package/steps.h"

#define SCHEMA_BYTES_MAX (4u << 20)

/* What a key's value looks like in YAML. */
static const char *schema_of(const struct gal_config_row *row)
{
    switch (row->type) {
    case GAL_CONF_COUNT:
        return "\"type\":\"integer\"";
    case GAL_CONF_BOOL:
        return "\"type\":[\"boolean\",\"string\"]";
    case GAL_CONF_SHARE:
    case GAL_CONF_BYTES:
    case GAL_CONF_DURATION:
        return "\"type\":[\"number\",\"string\"]";
    case GAL_CONF_LIST:
        return "\"type\":[\"array\",\"integer\",\"string\"]";
    default:
        return "\"type\":[\"string\",\"number\",\"boolean\"]";
    }
}

static int run_schema(struct gal_cli *cli)
{
    struct gal_manifest_key keys[GAL_KEY_COUNT + 2];
    struct gal_manifest_parts parts = {.serving = keys};
    struct gal_buf text;
    int code = GAL_EXIT_OK;

    for (size_t i = 0; i < GAL_KEY_COUNT; i++) {
        const struct gal_config_row *row = &gal_config_rows[i];
        if (row->scope == GAL_SCOPE_MODEL)
            keys[parts.serving_count++] =
                (struct gal_manifest_key){row->name, row->help, schema_of(row)};
    }
    keys[parts.serving_count++] = (struct gal_manifest_key){
        "padding", "Axes whose sizes are filled up to buckets", "\"type\":[\"object\",\"array\"]"};
    keys[parts.serving_count++] = (struct gal_manifest_key){
        "image", "How encoded images become the model's input", "\"type\":\"object\""};
    parts.steps = gal_step_kinds(&parts.step_count);
    gal_buf_init(&text, SCHEMA_BYTES_MAX);
    if (gal_cli_has(cli, "text"))
        gal_manifest_describe(&text, &parts);
    else
        gal_manifest_schema(&text, &parts);
    if (text.failed) {
        struct gal_err err;
        gal_fail(&err, GAL_NO_MEMORY, "no memory for the schema");
        code = gal_cli_fail(cli, GAL_EXIT_FAILURE, &err);
    } else if (gal_cli_has(cli, "text")) {
        fwrite(text.p, 1, text.n, cli->out);
    } else {
        gal_print_json(cli->out, gal_buf_str(&text), gal_cli_has(cli, "raw"));
    }
    gal_buf_release(&text);
    return code;
}

static const struct gal_option options[] = {
    {"text", '\0', NULL, "Print all fields as text for people"},
    {"raw", '\0', NULL, "Print the schema on one line on a terminal too"},
};
static const struct gal_example examples[] = {
    {"galley schema --text | less", "Every field of galley.yaml with what it means."},
    {"galley schema > galley.schema.json",
     "For an editor: `# yaml-language-server: $schema=galley.schema.json` as the first line of "
     "galley.yaml completes and checks its fields."},
};

const struct gal_command gal_command_schema = {
    .name = "schema",
    .summary = "Print the JSON Schema of galley.yaml, or its fields as text",
    .operands = "",
    .words = "",
    .text = "The schema (JSON Schema, draft 2020-12) is of this version of galley. Editors that "
            "know schemas complete and check galley.yaml by it; what fields say of each other is "
            "checked when the package is read.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .examples = examples,
    .example_count = sizeof(examples) / sizeof(examples[0]),
    .run = run_schema,
};
