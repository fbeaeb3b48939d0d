/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cache.h"

#include "base/mem.h"
#include "cli/print.h"
#include "server/sources.h"
#include "text/json.h"

#include <inttypes.h>

#define JSON_BYTES_MAX (64u << 20)
#define NS_PER_S 1000000000

enum gal_status gal_cache_open(struct gal_cli *cli, struct gal_cache *c, struct gal_err *err)
{
    struct gal_source_options o;
    enum gal_status status;

    *c = (struct gal_cache){.cli = cli, .now_ns = (int64_t)gal_wall_us(&gal_clock_system) * 1000};
    gal_config_init(&c->config);
    status = gal_cli_config(cli, &c->config, err);
    if (!status) {
        gal_sources_options(&c->config, NULL, &o);
        c->bytes_max = o.cache_bytes_max;
        status = gal_source_cache_dir(&o, &cli->arena, &c->dir, err);
    }
    if (!status)
        status = gal_shelf_list(c->dir, &c->entries, &c->count, err);
    for (size_t i = 0; i < c->count; i++)
        c->bytes += c->entries[i].bytes;
    return status;
}

void gal_cache_close(struct gal_cache *c)
{
    gal_free(c->entries);
    gal_config_release(&c->config);
    c->entries = NULL;
}

char *gal_cache_age(const struct gal_cache *c, const struct gal_shelf_entry *e, char *out,
                    size_t size)
{
    int64_t s = (c->now_ns - e->used_ns) / NS_PER_S;
    s = s > 0 ? s : 0;
    if (s < 120)
        snprintf(out, size, "%" PRId64 " s ago", s);
    else if (s < 7200)
        snprintf(out, size, "%" PRId64 " min ago", s / 60);
    else if (s < 172800)
        snprintf(out, size, "%" PRId64 " h ago", s / 3600);
    else
        snprintf(out, size, "%" PRId64 " d ago", s / 86400);
    return out;
}

const char *gal_cache_state(const struct gal_shelf_entry *e)
{
    if (e->complete)
        return e->in_use ? "in use" : "-";
    return e->in_use ? "fetching" : "partial";
}

void gal_cache_put(struct gal_buf *out, const struct gal_shelf_entry *e)
{
    char time[GAL_TIMESTAMP_SIZE];

    gal_timestamp_format((uint64_t)(e->used_ns > 0 ? e->used_ns : 0) / 1000, time);
    gal_json_put_key(out, "key");
    gal_json_put_str(out, gal_str_of(e->key));
    gal_buf_puts(out, ",\"source\":");
    if (e->origin[0])
        gal_json_put_str(out, gal_str_of(e->origin));
    else
        gal_buf_puts(out, "null");
    gal_buf_puts(out, ",\"bytes\":");
    gal_json_put_u64(out, e->bytes);
    gal_buf_puts(out, ",\"last_used\":");
    gal_json_put_str(out, gal_str_of(time));
    gal_buf_puts(out, e->in_use ? ",\"in_use\":true" : ",\"in_use\":false");
    gal_buf_puts(out, e->complete ? ",\"complete\":true" : ",\"complete\":false");
}

/* --- removals --- */

void gal_cache_removal_init(struct gal_cache_removal *r, struct gal_cache *c)
{
    *r = (struct gal_cache_removal){.cache = c,
                                    .dry_run = gal_cli_has(c->cli, "dry-run"),
                                    .as_json = gal_cli_has(c->cli, "json")};
    gal_buf_init(&r->removed, JSON_BYTES_MAX);
    gal_buf_init(&r->kept, JSON_BYTES_MAX);
}

static void tell(struct gal_cache_removal *r, const struct gal_shelf_entry *e)
{
    FILE *out = r->cache->cli->out;
    char size[32];

    if (r->as_json)
        return;
    fprintf(out, "%s  %.*s  %s  ", r->dry_run ? "would remove" : "removed",
            (int)GAL_CACHE_KEY_SHOWN, e->key, gal_humane_bytes(e->bytes, size, sizeof size));
    gal_print_text(out, gal_str_of(e->origin[0] ? e->origin : "-"));
    fputc('\n', out);
}

static void put(struct gal_buf *list, const struct gal_shelf_entry *e, const char *why)
{
    gal_buf_puts(list, list->n ? ",{" : "{");
    gal_cache_put(list, e);
    if (why) {
        gal_buf_puts(list, ",\"reason\":");
        gal_json_put_str(list, gal_str_of(why));
    }
    gal_buf_putc(list, '}');
}

enum gal_status gal_cache_remove(struct gal_cache_removal *r, const struct gal_shelf_entry *e,
                                 struct gal_err *err)
{
    enum gal_status status = GAL_OK;

    if (!r->dry_run)
        status = gal_shelf_remove(r->cache->dir, e->key, err);
    else if (e->in_use)
        status = gal_fail(err, GAL_CONFLICT, "%.80s is in use", e->key);
    if (!status || status == GAL_NOT_FOUND)
        r->gone += e->bytes;
    if (status == GAL_NOT_FOUND) /* another was faster: it is gone as was wanted */
        return GAL_OK;
    if (status) {
        r->kept_count++;
        put(&r->kept, e, status == GAL_CONFLICT ? "in use" : err->message);
        return status;
    }
    r->count++;
    r->bytes += e->bytes;
    put(&r->removed, e, NULL);
    tell(r, e);
    return GAL_OK;
}

static void print_end(const struct gal_cache_removal *r)
{
    char size[32];

    fprintf(r->cache->cli->out, "%s %zu of %zu entries, %s",
            r->dry_run ? "would remove" : "removed", r->count, r->cache->count,
            gal_humane_bytes(r->bytes, size, sizeof size));
    if (r->kept_count)
        fprintf(r->cache->cli->out, "; %zu stay%s", r->kept_count, r->kept_count == 1 ? "s" : "");
    fputc('\n', r->cache->cli->out);
}

void gal_cache_removal_end(struct gal_cache_removal *r)
{
    struct gal_buf b;

    gal_buf_init(&b, 2 * JSON_BYTES_MAX + 4096);
    gal_buf_puts(&b, r->dry_run ? "{\"dry_run\":true,\"bytes\":" : "{\"dry_run\":false,\"bytes\":");
    gal_json_put_u64(&b, r->bytes);
    gal_buf_puts(&b, ",\"removed\":[");
    gal_buf_put_str(&b, gal_buf_str(&r->removed));
    gal_buf_puts(&b, "],\"kept\":[");
    gal_buf_put_str(&b, gal_buf_str(&r->kept));
    gal_buf_puts(&b, "]}");
    if (r->as_json)
        gal_print_json(r->cache->cli->out, gal_buf_str(&b), false);
    else
        print_end(r);
    gal_buf_release(&b);
    gal_buf_release(&r->removed);
    gal_buf_release(&r->kept);
}
