/* SPDX-License-Identifier: Apache-2.0 */
/* The protocol's statistics extension: what each version has done since it was loaded. Times are
 * nanoseconds. `execution_count` is the sum of batch_stats' counts, `inference_count` counts rows.
 * Requests that a cache answered are successes, but no inferences. */
#include "api/load.h"
#include "api/route.h"
#include "text/json.h"

static void put_number(struct gal_buf *out, const char *key, uint64_t v)
{
    gal_json_put_key(out, key);
    gal_buf_put_u64(out, v);
}

/* `"key":{"count":..,"ns":..}`. */
static void put_span(struct gal_buf *out, const char *key, struct gal_span span)
{
    gal_json_put_key(out, key);
    gal_buf_putc(out, '{');
    put_number(out, "count", span.count);
    gal_buf_putc(out, ',');
    put_number(out, "ns", span.ns);
    gal_buf_putc(out, '}');
}

struct named_span {
    const char *key;
    struct gal_span span;
};

static void put_spans(struct gal_buf *out, const struct named_span *spans, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        gal_buf_puts(out, i > 0 ? "," : "");
        put_span(out, spans[i].key, spans[i].span);
    }
}

static void put_requests(struct gal_buf *out, const struct gal_sched_stats *s,
                         const struct gal_cache_spans *cache)
{
    const struct named_span spans[] = {
        {"success", {s->success_time.count + cache->hit.count, s->success_time.ns + cache->hit.ns}},
        {"fail", s->fail_time},
        {"queue", s->queue},
        {"compute_input", s->input},
        {"compute_infer", s->infer},
        {"compute_output", s->output},
        {"cache_hit", cache->hit},
        {"cache_miss", cache->miss},
    };

    gal_buf_puts(out, ",\"inference_stats\":{");
    put_spans(out, spans, sizeof(spans) / sizeof(spans[0]));
    gal_buf_puts(out, "},\"response_stats\":{},\"batch_stats\":[");
}

static void put_batches(struct gal_buf *out, const struct gal_batch_stats *batches, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct named_span spans[] = {{"compute_input", batches[i].input},
                                           {"compute_infer", batches[i].infer},
                                           {"compute_output", batches[i].output}};

        gal_buf_puts(out, i > 0 ? ",{" : "{");
        put_number(out, "batch_size", batches[i].rows);
        gal_buf_putc(out, ',');
        put_spans(out, spans, sizeof(spans) / sizeof(spans[0]));
        gal_buf_putc(out, '}');
    }
}

static void put_model(struct gal_exchange *x, const struct gal_model *m,
                      struct gal_batch_stats *batches)
{
    struct gal_buf *out = &x->out;
    struct gal_cache_spans cache = gal_load_cache(x->api, m);
    struct gal_sched_stats s;
    uint64_t executions = 0;
    size_t sizes;

    gal_sched_stats(m->sched, &s);
    sizes = gal_sched_batch_stats(m->sched, batches, GAL_BATCH_SIZES_MAX);
    for (size_t i = 0; i < sizes; i++)
        executions += batches[i].infer.count;
    if (out->n > 0 && out->p[out->n - 1] == '}')
        gal_buf_putc(out, ',');
    gal_buf_puts(out, "{\"name\":");
    gal_json_put_str(out, gal_str_of(m->name));
    gal_buf_puts(out, ",\"version\":");
    gal_json_put_str(out, gal_str_of(m->version));
    gal_buf_putc(out, ',');
    put_number(out, "last_inference", s.last_finished_wall_us / 1000);
    gal_buf_putc(out, ',');
    put_number(out, "inference_count", s.rows);
    gal_buf_putc(out, ',');
    put_number(out, "execution_count", executions);
    put_requests(out, &s, &cache);
    put_batches(out, batches, sizes);
    gal_buf_puts(out, "],\"memory_usage\":[]}");
}

static struct gal_batch_stats *begin(struct gal_exchange *x)
{
    struct gal_batch_stats *batches =
        gal_arena_array(&x->arena, GAL_BATCH_SIZES_MAX, sizeof(*batches));
    struct gal_err err;

    if (batches == NULL) {
        gal_fail(&err, GAL_NO_MEMORY, "no memory for statistics");
        gal_exchange_fail(x, &err);
        return NULL;
    }
    gal_buf_puts(&x->out, "{\"model_stats\":[");
    return batches;
}

static void put_ready(struct gal_exchange *x, const struct gal_catalog_entry *e,
                      struct gal_batch_stats *batches)
{
    for (size_t k = 0; k < e->version_count; k++)
        if (gal_model_state(e->versions[k]) == GAL_MODEL_READY)
            put_model(x, e->versions[k], batches);
}

static void end(struct gal_exchange *x)
{
    gal_buf_puts(&x->out, "]}");
    gal_exchange_finish(x, 200, GAL_TYPE_JSON);
}

void gal_handle_oip_stats(struct gal_exchange *x)
{
    const struct gal_catalog *c = x->api->catalog;
    struct gal_batch_stats *batches = begin(x);

    if (batches == NULL)
        return;
    for (size_t i = 0; i < c->count; i++)
        put_ready(x, &c->entries[i], batches);
    end(x);
}

void gal_handle_oip_model_stats(struct gal_exchange *x)
{
    struct gal_str version = x->params[1];
    struct gal_model *m;
    struct gal_err err;
    struct gal_batch_stats *batches;
    enum gal_status st;

    st = gal_catalog_model(x->api->catalog, x->params[0], version, &m, &err);
    if (st == GAL_OK && gal_model_state(m) != GAL_MODEL_READY)
        st = gal_fail(&err, GAL_UNAVAILABLE,
                      "model '%s' version %s is not ready: it has no statistics", m->name,
                      m->version);
    if (st != GAL_OK) {
        gal_exchange_fail(x, &err);
        return;
    }
    batches = begin(x);
    if (batches == NULL)
        return;
    if (version.n > 0)
        put_model(x, m, batches);
    else
        put_ready(x, gal_catalog_find(x->api->catalog, x->params[0]), batches);
    end(x);
}
