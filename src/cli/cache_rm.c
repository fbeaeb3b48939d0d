/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cache.h"
#include "source/source.h"

#define KEY_CHARS_MIN 4u

/* A source as it was typed, or one of its versions: what follows tells only which. */
static bool is_of_source(const struct gal_shelf_entry *e, const char *text)
{
    char shown[512]; /* as the cache notes it */
    text = gal_source_shown(text, shown, sizeof shown);
    size_t n = strlen(text);
    return strncmp(e->origin, text, n) == 0 &&
           (e->origin[n] == '\0' || strchr("@#? ", e->origin[n]));
}

static bool is_by_key(const struct gal_shelf_entry *e, const char *text)
{
    size_t n = strlen(text);
    return n >= KEY_CHARS_MIN && strncmp(e->key, text, n) == 0;
}

/* All entries that an operand names. NOT_FOUND; CONFLICT: in use, the last one that is. */
static enum gal_status remove_named(struct gal_cache_removal *r, const char *text,
                                    struct gal_err *err)
{
    const struct gal_cache *c = r->cache;
    enum gal_status worst = GAL_OK;
    size_t by_key = 0, found = 0;

    for (size_t i = 0; i < c->count; i++)
        by_key += is_by_key(&c->entries[i], text);
    if (by_key > 1) {
        gal_fail(err, GAL_INVALID, "%zu entries have a key that begins so", by_key);
        gal_err_hint(err, "more of the key tells them apart: galley cache ls --no-trunc");
        return GAL_INVALID;
    }
    for (size_t i = 0; i < c->count; i++) {
        if (!is_by_key(&c->entries[i], text) && !is_of_source(&c->entries[i], text))
            continue;
        enum gal_status status = gal_cache_remove(r, &c->entries[i], err);
        worst = status ? status : worst;
        found++;
    }
    if (found == 0) {
        gal_fail(err, GAL_NOT_FOUND, "there is no such entry in %.200s", c->dir);
        gal_err_hint(err, "galley cache ls lists keys and sources");
        return GAL_NOT_FOUND;
    }
    if (worst == GAL_CONFLICT)
        gal_err_hint(err, "a process serves or fetches it: it can go when that has ended");
    return worst;
}

static int run_cache_rm(struct gal_cli *cli)
{
    struct gal_cache_removal r;
    struct gal_cache c;
    struct gal_err err;
    int code = GAL_EXIT_OK;

    if (gal_cache_open(cli, &c, &err) != GAL_OK) {
        gal_cache_close(&c);
        return gal_cli_fail(cli, GAL_EXIT_FAILURE, &err);
    }
    gal_cache_removal_init(&r, &c);
    for (size_t i = 0; i < cli->operand_count; i++) {
        gal_err_clear(&err);
        if (remove_named(&r, cli->operands[i], &err) == GAL_OK)
            continue;
        gal_err_place(&err, "%s", cli->operands[i]);
        code = gal_cli_fail(cli, GAL_EXIT_FAILURE, &err);
    }
    gal_cache_removal_end(&r);
    gal_cache_close(&c);
    return code;
}

static const struct gal_option options[] = {
    {"dry-run", 'n', NULL, "Say what would go; remove nothing"},
    {"json", '\0', NULL, "Print one JSON object: what went, what stays and why"},
};
static const struct gal_example examples[] = {
    {"galley cache rm 3f1c9a", "The entry whose key begins so."},
    {"galley cache rm s3://models/fraud/3/model.onnx", "All versions of a source."},
    {"galley cache rm --dry-run oci://registry.example.com/models/fraud:2.1.0", "Which ones?"},
};

const struct gal_command gal_command_cache_rm = {
    .name = "cache rm",
    .summary = "Remove entries by key or source",
    .operands = "KEY|SOURCE...",
    .words = "",
    .operands_min = 1,
    .operands_max = SIZE_MAX,
    .text = "KEY is the start of a key that `galley cache ls` shows, at least 4 characters; SOURCE "
            "is one that it shows, with or without its version. What a process uses is never "
            "removed, whoever "
            "asks: servers may run meanwhile. The exit code is 1 when something stays or is not "
            "there.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .keys = GAL_KEYS(GAL_KEY_CACHE_DIR),
    .examples = examples,
    .example_count = sizeof(examples) / sizeof(examples[0]),
    .run = run_cache_rm,
};
