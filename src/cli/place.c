/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/place.h"

#include "base/file.h"
#include "base/mem.h"
#include "cli/progress.h"
#include "server/sources.h"

/* A path as such is not looked at: the command says what is wrong with it. */
static bool is_url(const char *text)
{
    return gal_source_kind(gal_str_of(text)) != GAL_SOURCE_PATH || strstr(text, "://") != NULL;
}

const char *gal_place_shown(const struct gal_place *p)
{
    return p->shown[0] ? p->shown : p->text;
}

static void on_progress(const char *what, uint64_t done, uint64_t total, void *ctx)
{
    gal_progress_step(ctx, what, gal_path_base(what), "fetching", done, total);
}

static void hint(enum gal_status status, struct gal_err *err)
{
    if (err->hint[0])
        return;
    if (status == GAL_NOT_FOUND)
        gal_err_hint(err, "is it spelt right, and there? `galley help predict` tells which URLs "
                          "there are");
    else if (status == GAL_UNAUTHENTICATED || status == GAL_FORBIDDEN)
        gal_err_hint(err, "credentials are the environment's, as the store's own tools take them "
                          "(docs/sources.md)");
    else if (status == GAL_UNAVAILABLE || status == GAL_DEADLINE)
        gal_err_hint(err, "is the server up, and to be reached from here? What came is kept: the "
                          "next try goes on with it");
}

enum gal_status gal_place_open(const struct gal_cli *cli, const struct gal_config *config,
                               const char *text, struct gal_place *out, struct gal_err *err)
{
    struct gal_progress_options bars = gal_progress_of(cli->err, cli->env);
    struct gal_source_options o;
    struct gal_progress *progress;
    enum gal_status status;

    *out = (struct gal_place){.text = text, .path = text};
    if (!is_url(text))
        return GAL_OK;
    if (gal_source_shown(text, out->shown, sizeof out->shown) == text)
        out->shown[0] = '\0';
    progress = bars.bars ? gal_progress_new(&bars) : NULL;
    gal_sources_options(config, NULL, &o);
    o.on_progress = progress ? on_progress : NULL;
    o.ctx = progress;
    status = gal_source_open(gal_str_of(text), &o, &out->source, err);
    gal_progress_free(progress);
    if (!status) {
        out->path = gal_source_path(out->source);
        return GAL_OK;
    }
    out->path = gal_place_shown(out); /* nothing is there */
    if (!err->place[0])
        gal_err_place(err, "%s", gal_place_shown(out));
    hint(status, err);
    return status;
}

enum gal_status gal_place_scan(const struct gal_place *p, char **out, struct gal_err *err)
{
    if (p->source)
        return gal_sources_scan_place(p->path, out, err);
    *out = gal_strdup(p->path);
    return *out ? GAL_OK : gal_fail(err, GAL_NO_MEMORY, "no memory for a path");
}

const char *gal_place_origin(const struct gal_place *p)
{
    return p->source ? gal_source_origin(p->source) : gal_place_shown(p);
}

bool gal_place_has(const struct gal_place *p, const char *path)
{
    size_t n = strlen(p->path);
    return p->source && strncmp(path, p->path, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

/* `from` at its first place in a text of an error, as a path or the start of one, becomes `to`. */
static void replace(char *text, size_t size, const char *from, const char *to)
{
    char rest[sizeof((struct gal_err *)0)->message], *at = strstr(text, from);
    if (!at)
        return;
    snprintf(rest, sizeof rest, "%s", at + strlen(from));
    snprintf(at, size - (size_t)(at - text), "%s%s", to, rest);
}

void gal_place_explain(const struct gal_place *p, struct gal_err *err)
{
    if (!p->source)
        return;
    replace(err->place, sizeof err->place, p->path, gal_place_shown(p));
    replace(err->message, sizeof err->message, p->path, gal_place_shown(p));
    replace(err->hint, sizeof err->hint, p->path, gal_place_shown(p));
}

void gal_place_close(struct gal_place *p)
{
    gal_source_close(p->source);
    p->source = NULL;
    p->path = p->text;
}

/* --- several --- */

enum gal_status gal_places_open(const struct gal_cli *cli, const struct gal_config *config,
                                struct gal_places *out, struct gal_err *err)
{
    enum gal_status status = GAL_OK;

    *out = (struct gal_places){.all = gal_calloc(cli->operand_count, sizeof(struct gal_place)),
                               .scans = gal_calloc(cli->operand_count, sizeof(char *))};
    if (!out->all || !out->scans)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for paths");
    for (; !status && out->count < cli->operand_count; out->count++) {
        struct gal_place *p = &out->all[out->count];
        status = gal_place_open(cli, config, cli->operands[out->count], p, err);
        if (!status)
            status = gal_place_scan(p, &out->scans[out->count], err);
    }
    return status;
}

const struct gal_place *gal_places_find(const struct gal_places *p, const char *path)
{
    for (size_t i = 0; i < p->count; i++) {
        if (gal_place_has(&p->all[i], path))
            return &p->all[i];
    }
    return NULL;
}

void gal_places_close(struct gal_places *p)
{
    for (size_t i = 0; i < p->count; i++) {
        gal_place_close(&p->all[i]);
        gal_free(p->scans[i]);
    }
    gal_free(p->all);
    gal_free(p->scans);
    *p = (struct gal_places){.count = 0};
}
