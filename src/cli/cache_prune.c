/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cache.h"

/* What may go: all that is said holds together. */
struct wanted {
    uint64_t age_us; /* not used for so long; 0: any */
    uint64_t bytes;  /* until the cache holds no more than this; UINT64_MAX: not asked */
    bool partial;    /* only what is not complete */
};

static const struct gal_config_row age_row = {
    .name = "older-than", .type = GAL_CONF_DURATION, .max = UINT64_C(36500) * 86400000000};
static const struct gal_config_row to_row = {
    .name = "to", .type = GAL_CONF_BYTES, .max = UINT64_C(1) << 50};

static enum gal_status number_of(const struct gal_cli *cli, const struct gal_config_row *row,
                                 uint64_t *out, struct gal_err *err)
{
    const char *text = gal_cli_value(cli, row->name);
    struct gal_config_value value;
    enum gal_status status;

    if (!text)
        return GAL_OK;
    status = gal_config_parse(row, text, &value, err);
    if (status)
        gal_err_place(err, "--%s", row->name);
    else
        *out = value.number;
    return status;
}

static bool may_go(const struct gal_cache *c, const struct gal_shelf_entry *e,
                   const struct wanted *w)
{
    int64_t unused_ns = c->now_ns - e->used_ns;
    bool is_old = w->age_us == 0 || (unused_ns > 0 && (uint64_t)unused_ns / 1000 >= w->age_us);
    return is_old && (!w->partial || !e->complete);
}

/* From the least lately used on. What is in use stays, and that is no failure. */
static enum gal_status prune(struct gal_cache_removal *r, const struct wanted *w,
                             struct gal_err *err)
{
    const struct gal_cache *c = r->cache;
    enum gal_status worst = GAL_OK;

    for (size_t i = c->count; i-- > 0;) {
        if (w->bytes != UINT64_MAX && c->bytes - r->gone <= w->bytes)
            break;
        if (!may_go(c, &c->entries[i], w))
            continue;
        struct gal_err one;
        enum gal_status status = gal_cache_remove(r, &c->entries[i], &one);
        if (status && status != GAL_CONFLICT)
            *err = one;
        worst = status && status != GAL_CONFLICT ? status : worst;
    }
    return worst;
}

static int run_cache_prune(struct gal_cli *cli)
{
    struct wanted w = {.bytes = UINT64_MAX, .partial = gal_cli_has(cli, "partial")};
    struct gal_cache_removal r;
    struct gal_cache c;
    struct gal_err err;
    int code = GAL_EXIT_OK;

    if (number_of(cli, &age_row, &w.age_us, &err) || number_of(cli, &to_row, &w.bytes, &err))
        return gal_cli_fail(cli, GAL_EXIT_USAGE, &err);
    if (!gal_cli_has(cli, "older-than") && !gal_cli_has(cli, "to") && !w.partial &&
        !gal_cli_has(cli, "all"))
        return gal_cli_usage(cli, "what may go? --older-than 30d, --to 5GiB, --partial or --all");
    if (gal_cache_open(cli, &c, &err) != GAL_OK) {
        gal_cache_close(&c);
        return gal_cli_fail(cli, GAL_EXIT_FAILURE, &err);
    }
    gal_cache_removal_init(&r, &c);
    if (prune(&r, &w, &err) != GAL_OK)
        code = gal_cli_fail(cli, GAL_EXIT_FAILURE, &err);
    gal_cache_removal_end(&r);
    gal_cache_close(&c);
    return code;
}

static const struct gal_option options[] = {
    {"older-than", '\0', "TIME", "What was not used for so long: 12h, 30d"},
    {"to", '\0', "SIZE", "Until the cache holds at most this: 5GiB; the least lately used first"},
    {"partial", '\0', NULL, "What was cut off while it was fetched, and is not gone on with"},
    {"all", '\0', NULL, "Everything that nobody uses"},
    {"dry-run", 'n', NULL, "Say what would go; remove nothing"},
    {"json", '\0', NULL, "Print one JSON object: what went, what stays and why"},
};
static const struct gal_example examples[] = {
    {"galley cache prune --older-than 30d", "What nobody has used for a month."},
    {"galley cache prune --to 2GiB --dry-run", "What would go, to come down to 2 GiB?"},
    {"galley cache prune --partial --older-than 1d", "Left-overs of fetches that were given up."},
};

const struct gal_command gal_command_cache_prune = {
    .name = "cache prune",
    .summary = "Remove what nobody uses",
    .operands = "",
    .words = "",
    .text = "At least one option says what may go; several narrow each other down. What a process "
            "serves or fetches always stays, and is counted as staying: that is no failure. What "
            "goes is fetched anew when it is wanted again.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .keys = GAL_KEYS(GAL_KEY_CACHE_DIR),
    .examples = examples,
    .example_count = sizeof(examples) / sizeof(examples[0]),
    .run = run_cache_prune,
};
