/* SPDX-License-Identifier: Apache-2.0 */
/* A model's configuration as Triton's clients read it. Fields that mean nothing here stand with
 * their defaults, as Triton shows them: clients look some of them up without asking. */
#include "api/oip.h"
#include "api/route.h"
#include "base/thread.h"
#include "model/triton.h"
#include "text/json.h"

/* --- members --- */

static void put_key(struct gal_buf *out, const char *key)
{
    char last = out->n > 0 ? out->p[out->n - 1] : '{';

    if (last != '{' && last != '[')
        gal_buf_putc(out, ',');
    gal_json_put_key(out, key);
}

/* A key that somebody else has named. */
static void put_named(struct gal_buf *out, struct gal_str name)
{
    if (out->n > 0 && out->p[out->n - 1] != '{')
        gal_buf_putc(out, ',');
    gal_json_put_str(out, name);
    gal_buf_putc(out, ':');
}

static void put_u64(struct gal_buf *out, const char *key, uint64_t v)
{
    put_key(out, key);
    gal_json_put_u64(out, v);
}

static void put_i64(struct gal_buf *out, const char *key, int64_t v)
{
    put_key(out, key);
    gal_json_put_i64(out, v);
}

static void put_bool(struct gal_buf *out, const char *key, bool v)
{
    put_key(out, key);
    gal_buf_puts(out, v ? "true" : "false");
}

static void put_str(struct gal_buf *out, const char *key, struct gal_str v)
{
    put_key(out, key);
    gal_json_put_str(out, v);
}

static void put_text(struct gal_buf *out, const char *key, const char *v)
{
    put_str(out, key, gal_str_of(v));
}

static void put_raw(struct gal_buf *out, const char *key, const char *json)
{
    put_key(out, key);
    gal_buf_puts(out, json);
}

static void open_item(struct gal_buf *out, size_t index)
{
    gal_buf_puts(out, index > 0 ? ",{" : "{");
}

static void put_sizes(struct gal_buf *out, const char *key, const int64_t *v, size_t n)
{
    put_key(out, key);
    gal_buf_putc(out, '[');
    for (size_t i = 0; i < n; i++) {
        gal_buf_puts(out, i > 0 ? "," : "");
        gal_json_put_i64(out, v[i]);
    }
    gal_buf_putc(out, ']');
}

/* --- parts --- */

/* 0: shapes are whole, nothing is put together. */
static size_t batch_size(const struct gal_model *m)
{
    const struct gal_model_config *c = &m->config;

    if (c->batch_told == GAL_BATCH_ROWS)
        return c->max_batch_size;
    return c->batch_told == GAL_BATCH_UNTOLD && m->batch_dim && c->policy.rows_max > 1
               ? c->policy.rows_max
               : 0;
}

static void put_policy(struct gal_buf *out, const struct gal_model_config *c)
{
    put_key(out, "version_policy");
    if (c->versions == GAL_VERSIONS_ALL) {
        gal_buf_puts(out, "{\"all\":{}}");
        return;
    }
    if (c->versions == GAL_VERSIONS_LATEST) {
        gal_buf_puts(out, "{\"latest\":{");
        put_u64(out, "num_versions", c->version_latest);
        gal_buf_puts(out, "}}");
        return;
    }
    gal_buf_puts(out, "{\"specific\":{\"versions\":[");
    for (size_t i = 0; i < c->version_list_count; i++) {
        gal_buf_puts(out, i > 0 ? "," : "");
        gal_json_put_u64(out, c->version_list[i]);
    }
    gal_buf_puts(out, "]}}");
}

/* What model metadata shows, without the batch. */
static void put_dims(struct gal_buf *out, const struct gal_port *p, bool batched)
{
    static const int64_t open[] = {-1, -1};
    bool maps = p->kind == GAL_KIND_MAP || p->of_maps;
    bool known = p->kind == GAL_KIND_TENSOR && p->shape_known;
    const int64_t *shape = known ? p->shape : open;
    size_t rank = known ? p->rank : maps ? 2 : 1;
    size_t skip = batched && rank > 0 ? 1 : 0;

    put_sizes(out, "dims", shape + skip, rank - skip);
}

static void put_reshape(struct gal_buf *out, const struct gal_model_config *c, struct gal_str name,
                        bool is_output)
{
    const struct gal_declared *d = gal_model_config_declared(c, name, is_output);

    if (d == NULL || !d->has_reshape)
        return;
    put_raw(out, "reshape", "{");
    put_sizes(out, "shape", d->reshape, d->reshape_rank);
    gal_buf_putc(out, '}');
}

/* As the file has it: a path within the model's directory. */
static void put_labels(struct gal_buf *out, const struct gal_model_config *c, struct gal_str name)
{
    const struct gal_declared *d = gal_model_config_declared(c, name, true);

    put_text(out, "label_filename", d != NULL && d->label_path != NULL ? d->label_file : "");
}

static void put_ports(struct gal_buf *out, const char *key, const struct gal_model *m,
                      bool is_input, bool batched)
{
    const struct gal_port *ports = is_input ? m->info->inputs : m->info->outputs;
    size_t count = is_input ? m->info->input_count : m->info->output_count;

    put_key(out, key);
    gal_buf_putc(out, '[');
    for (size_t i = 0; i < count; i++) {
        open_item(out, i);
        put_str(out, "name", ports[i].name);
        put_text(out, "data_type", gal_triton_type_name(ports[i].dtype));
        if (is_input)
            put_text(out, "format", "FORMAT_NONE");
        put_dims(out, &ports[i], batched);
        put_reshape(out, &m->config, ports[i].name, !is_input);
        put_bool(out, "is_shape_tensor", false);
        if (is_input) {
            put_bool(out, "allow_ragged_batch", false);
            put_bool(out, "optional", ports[i].optional);
        } else {
            put_labels(out, &m->config, ports[i].name);
        }
        put_bool(out, "is_non_linear_format_io", false);
        gal_buf_putc(out, '}');
    }
    gal_buf_putc(out, ']');
}

static void put_level(struct gal_buf *out, const struct gal_level_policy *l)
{
    gal_buf_putc(out, '{');
    put_text(out, "timeout_action", l->action == GAL_TIMEOUT_DELAY ? "DELAY" : "REJECT");
    put_u64(out, "default_timeout_microseconds", l->timeout_us);
    put_bool(out, "allow_timeout_override", l->override);
    put_u64(out, "max_queue_size", l->jobs_max);
    gal_buf_putc(out, '}');
}

static void put_batching(struct gal_buf *out, const struct gal_policy *p)
{
    int64_t preferred[GAL_PREFERRED_MAX];

    for (size_t i = 0; i < p->preferred_count; i++)
        preferred[i] = (int64_t)p->preferred[i];
    put_raw(out, "dynamic_batching", "{");
    put_sizes(out, "preferred_batch_size", preferred, p->preferred_count);
    put_u64(out, "max_queue_delay_microseconds", p->delay_us_max);
    put_bool(out, "preserve_ordering", p->keep_order);
    put_u64(out, "priority_levels", p->levels > 1 ? p->levels : 0);
    put_u64(out, "default_priority_level", p->levels > 1 ? p->default_level : 0);
    if (p->levels == 1) {
        put_key(out, "default_queue_policy");
        put_level(out, &p->level[0]);
    }
    put_raw(out, "priority_queue_policy", "{");
    for (size_t i = 0; p->levels > 1 && i < p->levels; i++) {
        gal_buf_printf(out, "%s\"%zu\":", i > 0 ? "," : "", i + 1);
        put_level(out, &p->level[i]);
    }
    gal_buf_puts(out, "}}");
}

static void put_optimization(struct gal_buf *out, const struct gal_backend_options *b)
{
    static const int levels[] = {
        [GAL_GRAPH_ALL] = 0, [GAL_GRAPH_EXTENDED] = 1, [GAL_GRAPH_BASIC] = -1, [GAL_GRAPH_OFF] = 2};

    put_raw(out, "optimization", "{\"graph\":{");
    put_i64(out, "level", levels[b->graph_level]);
    gal_buf_puts(out,
                 "},\"priority\":\"PRIORITY_DEFAULT\",\"input_pinned_memory\":{\"enable\":false},"
                 "\"output_pinned_memory\":{\"enable\":false},"
                 "\"gather_kernel_buffer_threshold\":0,\"eager_batching\":false}");
}

static void put_group(struct gal_buf *out, const struct gal_model *m)
{
    put_raw(out, "instance_group", "[{");
    put_text(out, "name", m->name);
    put_text(out, "kind", "KIND_CPU");
    put_u64(out, "count", m->config.workers ? m->config.workers : gal_cpu_count());
    gal_buf_puts(out, ",\"gpus\":[],\"secondary_devices\":[],\"profile\":[],\"passive\":false,"
                      "\"host_policy\":\"\"}]");
}

static void put_parameters(struct gal_buf *out, const struct gal_model_config *c)
{
    put_raw(out, "parameters", "{");
    for (size_t i = 0; i < c->parameter_count; i++) {
        put_named(out, c->parameters[i].key);
        gal_buf_putc(out, '{');
        put_str(out, "string_value", c->parameters[i].value);
        gal_buf_putc(out, '}');
    }
    gal_buf_putc(out, '}');
}

static void put_warmup(struct gal_buf *out, const struct gal_warmup *w)
{
    put_str(out, "name", w->name);
    put_u64(out, "batch_size", w->batch_size);
    put_raw(out, "inputs", "{");
    for (size_t i = 0; i < w->input_count; i++) {
        const struct gal_warmup_input *in = &w->inputs[i];
        put_named(out, in->name);
        gal_buf_putc(out, '{');
        put_text(out, "data_type", gal_triton_type_name(in->dtype));
        put_sizes(out, "dims", in->shape, in->rank);
        if (in->from == GAL_WARMUP_FILE)
            put_text(out, "input_data_file", strrchr(in->file, '/') + 1);
        else
            put_bool(out, in->from == GAL_WARMUP_RANDOM ? "random_data" : "zero_data", true);
        gal_buf_putc(out, '}');
    }
    gal_buf_putc(out, '}');
    put_u64(out, "count", w->count);
}

static void put_warmups(struct gal_buf *out, const struct gal_model_config *c)
{
    put_raw(out, "model_warmup", "[");
    for (size_t i = 0; i < c->warmup_count; i++) {
        open_item(out, i);
        put_warmup(out, &c->warmup[i]);
        gal_buf_putc(out, '}');
    }
    gal_buf_putc(out, ']');
}

/* --- the whole --- */

void gal_oip_put_config(struct gal_buf *out, const struct gal_model *m)
{
    const struct gal_model_config *c = &m->config;
    const char *slash = strrchr(m->path, '/');
    size_t rows = batch_size(m);

    gal_buf_putc(out, '{');
    put_text(out, "name", m->name);
    put_text(out, "platform", m->info->platform);
    put_str(out, "backend", (struct gal_str){m->info->platform, strcspn(m->info->platform, "_")});
    put_text(out, "runtime", "");
    put_policy(out, c);
    put_u64(out, "max_batch_size", rows);
    put_ports(out, "input", m, true, rows > 0);
    put_ports(out, "output", m, false, rows > 0);
    gal_buf_puts(out, ",\"batch_input\":[],\"batch_output\":[]");
    put_optimization(out, &c->backend);
    if (rows > 0 && c->batching)
        put_batching(out, &c->policy);
    put_group(out, m);
    put_text(out, "default_model_filename", slash ? slash + 1 : m->path);
    gal_buf_puts(out, ",\"cc_model_filenames\":{},\"metric_tags\":{}");
    put_parameters(out, c);
    put_warmups(out, c);
    gal_buf_puts(out, ",\"model_transaction_policy\":{\"decoupled\":false},"
                      "\"model_repository_agents\":{\"agents\":[]}");
    put_raw(out, "response_cache", "{");
    put_bool(out, "enable", c->cache.on);
    gal_buf_puts(out, "}}");
}

void gal_handle_oip_config(struct gal_exchange *x)
{
    const struct gal_model *m = gal_oip_ready_model(x);

    if (m == NULL)
        return;
    gal_oip_put_config(&x->out, m);
    gal_exchange_finish(x, 200, GAL_TYPE_JSON);
}
