/* SPDX-License-Identifier: Apache-2.0 */
#include "package/diff.h"

#include "cli/command.h"
#include "cli/print.h"
#include "text/json.h"

#include <math.h>
#include <stdlib.h>

#define JSON_BYTES_MAX (64u << 20)
#define ARENA_MAX (256u << 20)
#define VALUE_SHOWN 100u
#define DIGEST_CHARS 71u /* "sha256:" and 64 */
#define DIGEST_SHOWN 19u
#define EXIT_DIFFERENT 1 /* as diff's own */
#define EXIT_TROUBLE 2

/* --- JSON --- */

static void put_value(struct gal_buf *out, const char *separator, const char *key,
                      struct gal_str value)
{
    gal_buf_puts(out, separator);
    gal_json_put_key(out, key);
    if (value.p)
        gal_json_put_str(out, value);
    else
        gal_buf_puts(out, "null");
}

static void put_side(struct gal_buf *out, const char *key, const struct gal_package *p)
{
    gal_buf_putc(out, ',');
    gal_json_put_key(out, key);
    put_value(out, "{", "path", gal_str_of(p->path));
    put_value(out, ",", "name", p->manifest->name);
    put_value(out, ",", "version", p->manifest->version);
    put_value(out, ",", "digest", gal_str_of(p->digest));
    gal_buf_putc(out, '}');
}

static void print_json(struct gal_cli *cli, const struct gal_package *a,
                       const struct gal_package *b, const struct gal_diff *d, bool same)
{
    struct gal_buf out;
    gal_buf_init(&out, JSON_BYTES_MAX);
    gal_buf_puts(&out, same ? "{\"same\":true" : "{\"same\":false");
    put_side(&out, "a", a);
    put_side(&out, "b", b);
    gal_buf_puts(&out, ",\"changes\":[");
    for (size_t i = 0; i < d->count; i++) {
        const struct gal_change *c = &d->changes[i];
        put_value(&out, i ? ",{" : "{", "section", gal_str_of(gal_section_name(c->section)));
        put_value(&out, ",", "what", c->what);
        put_value(&out, ",", "a", c->a);
        put_value(&out, ",", "b", c->b);
        gal_buf_putc(&out, '}');
    }
    gal_buf_puts(&out, "]}");
    gal_print_json(cli->out, gal_buf_str(&out), false);
    gal_buf_release(&out);
}

/* --- text --- */

static void print_value(FILE *out, struct gal_str value)
{
    if (gal_str_starts(value, GAL_STR("sha256:")) && value.n >= DIGEST_CHARS) {
        gal_print_text(out, (struct gal_str){value.p, DIGEST_SHOWN});
        value = (struct gal_str){value.p + DIGEST_CHARS, value.n - DIGEST_CHARS};
    }
    bool is_long = value.n > VALUE_SHOWN;
    size_t shown = is_long ? VALUE_SHOWN : value.n;
    while (is_long && shown > 0 && ((unsigned char)value.p[shown] & 0xc0) == 0x80)
        shown--; /* never half a character */
    gal_print_text(out, (struct gal_str){value.p, shown});
    fputs(is_long ? "..." : "", out);
}

static bool is_number(struct gal_str s, double *out)
{
    char copy[40], *end;
    if (!s.p || s.n == 0 || s.n >= sizeof copy)
        return false;
    memcpy(copy, s.p, s.n);
    copy[s.n] = '\0';
    *out = strtod(copy, &end);
    return *end == '\0' && isfinite(*out);
}

static void print_change(FILE *out, const struct gal_change *c)
{
    double a, b;
    fputs(!c->a.p ? "  + " : !c->b.p ? "  - " : "  ~ ", out);
    gal_print_text(out, c->what);
    fputs(": ", out);
    if (c->a.p)
        print_value(out, c->a);
    fputs(c->a.p && c->b.p ? " -> " : "", out);
    if (c->b.p)
        print_value(out, c->b);
    if (c->section == GAL_SECTION_METRICS && is_number(c->a, &a) && is_number(c->b, &b))
        fprintf(out, " (%+.6g)", b - a);
    fputc('\n', out);
}

static void print_side(FILE *out, const char *mark, const struct gal_package *p)
{
    fprintf(out, "%s ", mark);
    gal_print_text(out, p->manifest->name);
    fputc(' ', out);
    gal_print_text(out, p->manifest->version);
    fprintf(out, " %s  %s\n", p->digest, p->path);
}

static void print_text(struct gal_cli *cli, const struct gal_package *a,
                       const struct gal_package *b, const struct gal_diff *d, bool same)
{
    if (same)
        return; /* as diff does */
    print_side(cli->out, "---", a);
    print_side(cli->out, "+++", b);
    for (size_t i = 0; i < d->count; i++) {
        if (i == 0 || d->changes[i].section != d->changes[i - 1].section)
            fprintf(cli->out, "%s\n", gal_section_name(d->changes[i].section));
        print_change(cli->out, &d->changes[i]);
    }
    if (d->count == 0)
        fputs("only what packing adds differs (lock.json, sbom.spdx.json, media types)\n",
              cli->out);
}

static int run_diff(struct gal_cli *cli)
{
    struct gal_package *a = NULL, *b = NULL;
    struct gal_arena arena;
    struct gal_diff d;
    struct gal_err err;
    int code = EXIT_TROUBLE;
    gal_arena_init(&arena, 65536, 0, ARENA_MAX);
    if (gal_package_open(cli->operands[0], &a, &err) != GAL_OK ||
        gal_package_open(cli->operands[1], &b, &err) != GAL_OK ||
        gal_package_diff(a, b, &arena, &d, &err) != GAL_OK) {
        (void)gal_cli_fail(cli, EXIT_TROUBLE, &err);
    } else {
        bool same = strcmp(a->digest, b->digest) == 0;
        if (gal_cli_has(cli, "json"))
            print_json(cli, a, b, &d, same);
        else
            print_text(cli, a, b, &d, same);
        code = same ? GAL_EXIT_OK : EXIT_DIFFERENT;
    }
    gal_package_close(a);
    gal_package_close(b);
    gal_arena_release(&arena);
    return code;
}

static const struct gal_option options[] = {
    {"json", '\0', NULL, "Print one JSON object"},
};
static const struct gal_example examples[] = {
    {"galley diff fraud-2.0.0.galley fraud-2.1.0.galley", "What changed between two versions."},
    {"galley diff fraud-2.1.0.galley fraud/", "What changed since it was packed."},
    {"galley diff --json a.galley b.galley | jq '.changes[] | select(.section == \"environment\")'",
     "Every version that differs, CUDA and BLAS, for a script."},
};

const struct gal_command gal_command_diff = {
    .name = "diff",
    .summary = "Show in what two packages differ",
    .operands = "A B",
    .words = "PATH",
    .operands_min = 2,
    .operands_max = 2,
    .text = "Features, steps, weights, every version of the environment (CUDA and the BLAS library "
            "among them), metrics, golden cases, settings, other files. A and B are files or "
            "directories.\n\n"
            "The exit code is 0 when they are the same package, 1 when they differ, 2 when one "
            "cannot be read.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .examples = examples,
    .example_count = sizeof(examples) / sizeof(examples[0]),
    .run = run_diff,
};
