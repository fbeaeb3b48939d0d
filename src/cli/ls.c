/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"
#include "cli/print.h"
#include "package/package.h"
#include "text/json.h"

#define JSON_BYTES_MAX (16u << 20)
#define DIGEST_SHOWN 12u /* hexadecimal digits, as git and docker show them */

static uint64_t total(const struct gal_package *p)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < p->file_count; i++)
        bytes += p->files[i].size;
    return bytes;
}

static void print_json(struct gal_cli *cli, const struct gal_package *p)
{
    struct gal_buf b;
    gal_buf_init(&b, JSON_BYTES_MAX);
    gal_json_put_member(&b, "{", "path", gal_str_of(p->path));
    if (p->manifest) {
        gal_json_put_member(&b, ",", "name", p->manifest->name);
        gal_json_put_member(&b, ",", "version", p->manifest->version);
    }
    gal_json_put_member(&b, ",", "digest", gal_str_of(p->digest));
    gal_buf_puts(&b, p->is_sealed ? ",\"sealed\":true,\"bytes\":" : ",\"sealed\":false,\"bytes\":");
    gal_buf_put_u64(&b, total(p));
    gal_buf_puts(&b, ",\"files\":[");
    for (size_t i = 0; i < p->file_count; i++) {
        const struct gal_package_file *f = &p->files[i];
        gal_json_put_member(&b, i ? ",{" : "{", "name", f->name);
        gal_json_put_member(&b, ",", "role", gal_str_of(gal_role_name(f->role)));
        gal_buf_puts(&b, ",\"size\":");
        gal_buf_put_u64(&b, f->size);
        if (f->digest[0])
            gal_json_put_member(&b, ",", "digest", gal_str_of(f->digest));
        gal_json_put_member(&b, ",", "media_type", f->media_type);
        gal_buf_putc(&b, '}');
    }
    gal_buf_puts(&b, "]}");
    gal_print_json(cli->out, gal_buf_str(&b), false);
    gal_buf_release(&b);
}

static void print_text(struct gal_cli *cli, const struct gal_package *p)
{
    char size[32];
    FILE *out = cli->out;
    int width = 4;
    for (size_t i = 0; i < p->file_count; i++)
        width = (int)p->files[i].name.n > width ? (int)p->files[i].name.n : width;
    width = width < 48 ? width : 48;
    if (p->manifest) {
        gal_print_text(out, p->manifest->name);
        fputc(' ', out);
        gal_print_text(out, p->manifest->version);
        fputc(' ', out);
    }
    fprintf(out, "%s\n%-*s  %10s  %-*s  %s\n", p->digest, width, "FILE", "SIZE", (int)DIGEST_SHOWN,
            "SHA256", "TYPE");
    for (size_t i = 0; i < p->file_count; i++) {
        const struct gal_package_file *f = &p->files[i];
        gal_print_text(out, f->name);
        fprintf(out, "%*s  %10s  %-*.*s  ", (int)f->name.n < width ? width - (int)f->name.n : 0, "",
                gal_humane_bytes(f->size, size, sizeof size), (int)DIGEST_SHOWN, (int)DIGEST_SHOWN,
                f->digest[0] ? f->digest + strlen("sha256:") : "-");
        gal_print_text(out, f->media_type);
        fputc('\n', out);
    }
    fprintf(out, "%zu files, %s\n", p->file_count, gal_humane_bytes(total(p), size, sizeof size));
}

static int run_ls(struct gal_cli *cli)
{
    struct gal_package *p = NULL;
    struct gal_err err;
    int code = GAL_EXIT_OK;
    if (gal_package_open_bare(cli->operands[0], &p, &err) != GAL_OK)
        return gal_cli_fail(cli, GAL_EXIT_FAILURE, &err);
    if (p->manifest && gal_package_digest(p, &err) != GAL_OK)
        code = gal_cli_fail(cli, GAL_EXIT_FAILURE, &err);
    else if (gal_cli_has(cli, "json"))
        print_json(cli, p);
    else
        print_text(cli, p);
    gal_package_close(p);
    return code;
}

static const struct gal_option options[] = {
    {"json", '\0', NULL, "Print one JSON object"},
};
static const struct gal_example examples[] = {
    {"galley ls fraud-2.1.0.galley", "What is in it: files, sizes, digests, media types."},
    {"galley ls fraud/", "What would be packed, and the digest that it would have."},
    {"galley ls --json fraud-2.1.0.galley | jq -r .digest", "The digest, for a script."},
};

const struct gal_command gal_command_ls = {
    .name = "ls",
    .summary = "List a package's files",
    .operands = "FILE|DIR",
    .words = "PATH",
    .operands_min = 1,
    .operands_max = 1,
    .text = "Of a directory that is not sealed the digests are computed first; its own is the one "
            "that `galley pack` gives. Digests of a file are told, not checked: `galley verify` "
            "checks. Model packages of other tools are listed too.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .examples = examples,
    .example_count = sizeof(examples) / sizeof(examples[0]),
    .run = run_ls,
};
