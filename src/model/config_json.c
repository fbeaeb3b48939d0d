/* SPDX-License-Identifier: Apache-2.0 */
/* A model's configuration as galley's keys: for `galley inspect`, and to tell two apart. */
#include "model/config.h"

#include "model/image_port.h"
#include "text/json.h"

static void key(struct gal_buf *out, const char *name)
{
    char last = out->n ? out->p[out->n - 1] : '{';
    if (last != '{' && last != '[')
        gal_buf_putc(out, ',');
    gal_json_put_key(out, name);
}

static void put_u64(struct gal_buf *out, const char *name, uint64_t v)
{
    key(out, name);
    gal_json_put_u64(out, v);
}

static void put_bool(struct gal_buf *out, const char *name, bool v)
{
    key(out, name);
    gal_buf_puts(out, v ? "true" : "false");
}

static void put_text(struct gal_buf *out, const char *name, struct gal_str v)
{
    key(out, name);
    gal_json_put_str(out, v);
}

static void put_sizes(struct gal_buf *out, const char *name, const int64_t *v, size_t n)
{
    key(out, name);
    gal_buf_putc(out, '[');
    for (size_t i = 0; i < n; i++) {
        gal_buf_puts(out, i ? "," : "");
        gal_json_put_i64(out, v[i]);
    }
    gal_buf_putc(out, ']');
}

/* ---- batches and queue ---- */

static void put_level(struct gal_buf *out, const struct gal_level_policy *l)
{
    gal_buf_putc(out, '{');
    put_u64(out, "max_queue_size", l->jobs_max);
    put_u64(out, "queue_timeout", l->timeout_us);
    put_text(out, "queue_timeout_action",
             l->action == GAL_TIMEOUT_DELAY ? GAL_STR("delay") : GAL_STR("reject"));
    put_bool(out, "allow_timeout_override", l->override);
    gal_buf_putc(out, '}');
}

static void put_policy(struct gal_buf *out, const struct gal_policy *p)
{
    int64_t preferred[GAL_PREFERRED_MAX];
    for (size_t i = 0; i < p->preferred_count; i++)
        preferred[i] = (int64_t)p->preferred[i];
    put_sizes(out, "preferred_batch_sizes", preferred, p->preferred_count);
    put_u64(out, "max_queue_delay", p->delay_us_max);
    put_bool(out, "preserve_ordering", p->keep_order);
    put_u64(out, "priority_levels", p->levels);
    put_u64(out, "default_priority", p->default_level);
    put_u64(out, "max_queue_size", p->jobs_max);
    put_u64(out, "max_queue_bytes", p->bytes_told ? p->bytes_max : 0);
    put_u64(out, "latency_target", p->target_us);
    key(out, "levels");
    gal_buf_putc(out, '[');
    for (size_t i = 0; i < p->levels; i++) {
        gal_buf_puts(out, i ? "," : "");
        put_level(out, &p->level[i]);
    }
    gal_buf_putc(out, ']');
}

/* ---- the engine ---- */

static void put_backend(struct gal_buf *out, const struct gal_backend_options *b)
{
    static const char *const levels[] = {[GAL_GRAPH_ALL] = "all",
                                         [GAL_GRAPH_EXTENDED] = "extended",
                                         [GAL_GRAPH_BASIC] = "basic",
                                         [GAL_GRAPH_OFF] = "off"};
    put_u64(out, "intra_op_threads", b->intra_op_threads);
    put_u64(out, "inter_op_threads", b->inter_op_threads);
    put_u64(out, "model_memory_limit", b->memory_bytes_max);
    put_bool(out, "share_weights", b->share_weights);
    put_text(out, "graph_optimization", gal_str_of(levels[b->graph_level]));
    put_bool(out, "parallel_execution", b->parallel || b->inter_op_threads > 1);
    put_bool(out, "mem_pattern", !b->no_mem_pattern);
    put_bool(out, "mem_arena", !b->no_mem_arena);
    put_bool(out, "mem_arena_shrinkage", b->shrink_arena);
    key(out, "session_options");
    gal_buf_putc(out, '{');
    for (size_t i = 0; i < b->entry_count; i++) {
        gal_buf_puts(out, i ? "," : "");
        gal_json_put_str(out, gal_str_of(b->entries[i].key));
        gal_buf_putc(out, ':');
        gal_json_put_str(out, gal_str_of(b->entries[i].value));
    }
    gal_buf_putc(out, '}');
}

/* ---- the rest ---- */

static void put_warmup(struct gal_buf *out, const struct gal_model_config *c)
{
    put_u64(out, "warmup", c->warmup_runs);
    key(out, "warmup_samples");
    gal_buf_putc(out, '[');
    for (size_t i = 0; i < c->warmup_count; i++) {
        gal_buf_puts(out, i ? ",{" : "{");
        put_text(out, "name", c->warmup[i].name);
        put_u64(out, "batch_size", c->warmup[i].batch_size);
        put_u64(out, "count", c->warmup[i].count);
        gal_buf_putc(out, '}');
    }
    gal_buf_putc(out, ']');
}

static void put_padding(struct gal_buf *out, const struct gal_model_config *c)
{
    key(out, "padding");
    gal_buf_putc(out, '[');
    for (size_t i = 0; i < c->padding_count; i++) {
        const struct gal_padding *p = &c->padding[i];
        gal_buf_puts(out, i ? ",{" : "{");
        put_text(out, "axis", p->axis);
        put_sizes(out, "buckets", p->buckets, p->bucket_count);
        key(out, "value");
        gal_json_put_f64(out, p->value);
        put_text(out, "mask", p->mask);
        gal_buf_putc(out, '}');
    }
    gal_buf_putc(out, ']');
}

static void put_versions(struct gal_buf *out, const struct gal_model_config *c)
{
    key(out, "versions");
    gal_buf_putc(out, '"');
    if (c->versions == GAL_VERSIONS_ALL)
        gal_buf_puts(out, "all");
    else if (c->versions == GAL_VERSIONS_LATEST)
        gal_buf_printf(out, "latest:%llu", (unsigned long long)c->version_latest);
    for (size_t i = 0; c->versions == GAL_VERSIONS_LISTED && i < c->version_list_count; i++) {
        gal_buf_puts(out, i ? "," : "");
        gal_buf_put_u64(out, c->version_list[i]);
    }
    gal_buf_putc(out, '"');
}

/* Only where there are any: most models have none. */
static void put_labels(struct gal_buf *out, const struct gal_model_config *c)
{
    if (c->label_count == 0)
        return;
    key(out, "version_labels");
    for (size_t i = 0; i < c->label_count; i++) {
        gal_buf_puts(out, i ? "," : "\"");
        gal_buf_puts(out, c->labels[i].name);
        gal_buf_putc(out, '=');
        gal_buf_puts(out, c->labels[i].version);
    }
    gal_buf_putc(out, '"');
}

void gal_model_config_json(struct gal_buf *out, const struct gal_model_config *c)
{
    static const char *const verifies[] = {
        [GAL_VERIFY_BEFORE] = "before", [GAL_VERIFY_AFTER] = "after", [GAL_VERIFY_OFF] = "off"};
    static const char *const modes[] = {
        [GAL_SCHED_AUTO] = "auto", [GAL_SCHED_INLINE] = "inline", [GAL_SCHED_WORKERS] = "workers"};
    gal_buf_putc(out, '{');
    if (c->source)
        put_text(out, "source", gal_str_of(c->source));
    put_bool(out, "batching", c->batching && c->batch_told != GAL_BATCH_NONE);
    put_u64(out, "max_batch_size", c->policy.rows_max);
    put_policy(out, &c->policy);
    put_text(out, "schedule", gal_str_of(modes[c->mode]));
    put_text(out, "verify", gal_str_of(verifies[c->verify]));
    put_text(out, "load", c->lazy ? GAL_STR("lazy") : GAL_STR("eager"));
    put_u64(out, "workers", c->workers);
    put_u64(out, "inline_limit", c->inline_us_max);
    put_backend(out, &c->backend);
    put_warmup(out, c);
    put_padding(out, c);
    if (c->image.on) {
        key(out, "image");
        gal_image_config_json(out, &c->image);
    }
    put_bool(out, "response_cache", c->cache.on);
    put_u64(out, "response_cache_ttl", c->cache.ttl_us);
    key(out, "request_timeout");
    if (c->timeout_us == GAL_NO_TIMEOUT)
        gal_buf_puts(out, "0");
    else if (c->timeout_us == 0)
        gal_buf_puts(out, "null");
    else
        gal_json_put_u64(out, c->timeout_us);
    if (c->queue_policies)
        put_bool(out, "timeout_by_queue_policy", true);
    put_versions(out, c);
    put_labels(out, c);
    gal_buf_putc(out, '}');
}
