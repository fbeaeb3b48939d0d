/* SPDX-License-Identifier: Apache-2.0 */
#include "base/digest.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/cache.h"
#include "cli/print.h"
#include "text/json.h"

#define JSON_BYTES_MAX (64u << 20)
#define DEPTH_MAX 16u

/* The file below dir when it is the only one; owned, NULL otherwise. */
static char *only_file(const char *dir, unsigned depth)
{
    struct gal_file_info info;
    char **names = NULL, *below, *found = NULL;
    size_t count = 0;

    if (depth == DEPTH_MAX || gal_dir_list(dir, &names, &count, NULL) != GAL_OK)
        return NULL;
    below = count == 1 ? gal_path_join(dir, names[0]) : NULL;
    gal_free(names);
    if (!below || gal_file_stat(below, &info, NULL) != GAL_OK || info.kind == GAL_FILE_REGULAR)
        return below;
    if (info.kind == GAL_FILE_DIR)
        found = only_file(below, depth + 1);
    gal_free(below);
    return found;
}

/* "sha256:HEX" into out, empty when it is not known: what the source's name tells, else (--digests)
 * of the one file that there is. */
static void digest_of(const struct gal_cache *c, const struct gal_shelf_entry *e,
                      char out[GAL_SHA256_HEX_SIZE + 8])
{
    const char *told = strstr(e->origin, "@sha256:");
    char hex[GAL_SHA256_HEX_SIZE] = "", *files, *file;

    out[0] = '\0';
    if (told && strlen(told) == 8 + GAL_SHA256_HEX_SIZE - 1) {
        snprintf(out, GAL_SHA256_HEX_SIZE + 8, "%s", told + 1);
        return;
    }
    if (!e->complete || !gal_cli_has(c->cli, "digests"))
        return;
    files = gal_shelf_files(c->dir, e->key);
    file = files ? only_file(files, 0) : NULL;
    if (file && gal_sha256_file(file, hex, NULL) == GAL_OK)
        snprintf(out, GAL_SHA256_HEX_SIZE + 8, "sha256:%s", hex);
    gal_free(files);
    gal_free(file);
}

static void print_text(const struct gal_cache *c)
{
    FILE *out = c->cli->out;
    bool whole = gal_cli_has(c->cli, "no-trunc");
    int width = whole ? 64 : (int)GAL_CACHE_KEY_SHOWN;
    char size[32], age[32], digest[GAL_SHA256_HEX_SIZE + 8];

    if (c->count)
        fprintf(out, "%-*s  %10s  %-12s  %-8s  %-*s  SOURCE\n", width, "KEY", "SIZE", "LAST USED",
                "STATE", width, "SHA256");
    for (size_t i = 0; i < c->count; i++) {
        const struct gal_shelf_entry *e = &c->entries[i];
        digest_of(c, e, digest);
        fprintf(out, "%-*.*s  %10s  %-12s  %-8s  %-*.*s  ", width, width, e->key,
                gal_humane_bytes(e->bytes, size, sizeof size), gal_cache_age(c, e, age, sizeof age),
                gal_cache_state(e), width, width, digest[0] ? digest + strlen("sha256:") : "-");
        gal_print_text(out, gal_str_of(e->origin[0] ? e->origin : "-"));
        fputc('\n', out);
    }
    fprintf(out, "%zu %s, %s", c->count, c->count == 1 ? "entry" : "entries",
            gal_humane_bytes(c->bytes, size, sizeof size));
    fprintf(out, " of at most %s, in %s\n", gal_humane_bytes(c->bytes_max, size, sizeof size),
            c->dir);
}

static void print_json(const struct gal_cache *c)
{
    char digest[GAL_SHA256_HEX_SIZE + 8];
    struct gal_buf b;

    gal_buf_init(&b, JSON_BYTES_MAX);
    gal_buf_puts(&b, "{\"dir\":");
    gal_json_put_str(&b, gal_str_of(c->dir));
    gal_buf_puts(&b, ",\"bytes\":");
    gal_json_put_u64(&b, c->bytes);
    gal_buf_puts(&b, ",\"bytes_max\":");
    gal_json_put_u64(&b, c->bytes_max);
    gal_buf_puts(&b, ",\"entries\":[");
    for (size_t i = 0; i < c->count; i++) {
        char *files = gal_shelf_files(c->dir, c->entries[i].key);
        digest_of(c, &c->entries[i], digest);
        gal_buf_puts(&b, i ? ",{" : "{");
        gal_cache_put(&b, &c->entries[i]);
        gal_buf_puts(&b, ",\"digest\":");
        if (digest[0])
            gal_json_put_str(&b, gal_str_of(digest));
        else
            gal_buf_puts(&b, "null");
        gal_buf_puts(&b, ",\"path\":");
        gal_json_put_str(&b, gal_str_of(files ? files : ""));
        gal_buf_putc(&b, '}');
        gal_free(files);
    }
    gal_buf_puts(&b, "]}");
    gal_print_json(c->cli->out, gal_buf_str(&b), false);
    gal_buf_release(&b);
}

static int run_cache_ls(struct gal_cli *cli)
{
    struct gal_cache c;
    struct gal_err err;
    int code = GAL_EXIT_OK;

    if (gal_cache_open(cli, &c, &err) != GAL_OK)
        code = gal_cli_fail(cli, GAL_EXIT_FAILURE, &err);
    else if (gal_cli_has(cli, "json"))
        print_json(&c);
    else
        print_text(&c);
    gal_cache_close(&c);
    return code;
}

static const struct gal_option options[] = {
    {"json", '\0', NULL, "Print one JSON object, with paths"},
    {"digests", '\0', NULL, "Compute the SHA-256 of entries of one file: reads them all"},
    {"no-trunc", '\0', NULL, "Do not cut keys and digests"},
};
static const struct gal_example examples[] = {
    {"galley cache ls", "What is there, the most lately used first."},
    {"galley cache ls --cache-dir /var/cache/galley", "Of a server with a cache of its own."},
    {"galley cache ls --json | jq '[.entries[] | select(.in_use | not) | .bytes] | add'",
     "How much could go."},
};

const struct gal_command gal_command_cache_ls = {
    .name = "cache ls",
    .summary = "List what was fetched by URL",
    .operands = "",
    .words = "",
    .text =
        "Servers and commands that take URLs keep what they fetch in one cache: cache_dir, else "
        "$XDG_CACHE_HOME/galley, ~/.cache/galley or /tmp/galley-UID. An entry is one version of "
        "one source; its key is a digest of the source's name and version. STATE is `in use` "
        "while a process serves it, `fetching` while one fetches it, `partial` when a fetch was "
        "cut off (the next one goes on with it), else `-`. SHA256 is known of what comes from "
        "registries; --digests computes it of files.\n\nThe cache makes room by itself "
        "(cache_size): nothing has to be removed by hand.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .keys = GAL_KEYS(GAL_KEY_CACHE_DIR, GAL_KEY_CACHE_SIZE),
    .examples = examples,
    .example_count = sizeof(examples) / sizeof(examples[0]),
    .run = run_cache_ls,
};
