/* SPDX-License-Identifier: Apache-2.0 */
/* The report for programs; docs/benchmark.md has its shape. Names carry their unit, times are
 * microseconds. Fields may be added, none is renamed or removed within a `schema`. */
#include "cli/bench.h"
#include "text/json.h"

#define JSON_BYTES_MAX (256u << 20)
#define SCHEMA 1

static void put_us(struct gal_buf *out, const char *key, double ns)
{
    gal_json_put_key(out, key);
    gal_json_put_f64(out, (double)(uint64_t)(ns + 0.5) / 1000);
}

static void put_u64(struct gal_buf *out, const char *key, uint64_t v)
{
    gal_json_put_key(out, key);
    gal_json_put_u64(out, v);
}

static void put_f64(struct gal_buf *out, const char *key, double v)
{
    gal_json_put_key(out, key);
    gal_json_put_f64(out, v);
}

static void put_text(struct gal_buf *out, const char *key, struct gal_str s)
{
    gal_json_put_key(out, key);
    gal_json_put_str(out, s);
}

static void put_latencies(struct gal_buf *out, const char *key, const struct gal_latencies *l)
{
    const struct {
        const char *key;
        double ns;
    } all[] = {{"min", (double)l->min},    {"mean", l->mean},       {"p50", (double)l->p50},
               {"p90", (double)l->p90},    {"p95", (double)l->p95}, {"p99", (double)l->p99},
               {"p99.9", (double)l->p999}, {"max", (double)l->max}};

    gal_json_put_key(out, key);
    gal_buf_putc(out, '{');
    put_u64(out, "count", l->count);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        gal_buf_putc(out, ',');
        put_us(out, all[i].key, all[i].ns);
    }
    gal_buf_putc(out, '}');
}

static void put_counts(struct gal_buf *out, const struct gal_load_summary *s)
{
    const struct gal_load_counts *c = &s->counts;
    bool first = true;

    put_u64(out, "offered", c->offered);
    gal_buf_putc(out, ',');
    put_u64(out, "ok", s->ok);
    gal_buf_putc(out, ',');
    put_u64(out, "failed", s->failed);
    gal_buf_puts(out, ",\"by_status\":{");
    for (int status = 0; status < GAL_LOAD_STATUSES; status++) {
        if (c->by_status[status]) {
            gal_buf_printf(out, "%s\"%d\":%llu", first ? "" : ",", status,
                           (unsigned long long)c->by_status[status]);
            first = false;
        }
    }
    gal_buf_puts(out, "},");
    put_u64(out, "timed_out", c->unanswered);
    gal_buf_putc(out, ',');
    put_u64(out, "timed_out_unsent", c->unsent);
    gal_buf_putc(out, ',');
    put_u64(out, "connection_lost", c->broken);
    gal_buf_putc(out, ',');
    put_u64(out, "not_http", c->malformed);
    gal_buf_putc(out, ',');
    put_u64(out, "unfinished", c->unfinished);
    gal_buf_putc(out, ',');
    put_u64(out, "waited_for_connection", s->held);
}

static void put_curve(struct gal_buf *out, const struct gal_load_summary *s)
{
    gal_buf_puts(out, "\"latency_curve\":[");
    for (size_t i = 0; i < GAL_CURVE_POINTS && s->latency.count; i++) {
        gal_buf_puts(out, i ? ",[" : "[");
        gal_json_put_f64(out, gal_curve_share(i));
        gal_buf_putc(out, ',');
        gal_json_put_f64(out, (double)(uint64_t)s->curve[i] / 1000);
        gal_buf_putc(out, ']');
    }
    gal_buf_putc(out, ']');
}

/* null when the server keeps no such statistics. */
static void put_server(struct gal_buf *out, const struct gal_server_stats *s)
{
    const double n = s->success ? (double)s->success : 1;

    gal_json_put_key(out, "server");
    if (!s->known) {
        gal_buf_puts(out, "null");
        return;
    }
    gal_buf_putc(out, '{');
    put_u64(out, "requests", s->success);
    gal_buf_putc(out, ',');
    put_u64(out, "failed", s->fail);
    gal_buf_putc(out, ',');
    put_u64(out, "rows", s->inferences);
    gal_buf_putc(out, ',');
    put_u64(out, "executions", s->executions);
    gal_buf_putc(out, ',');
    put_us(out, "queue_us", (double)s->queue_ns / n);
    gal_buf_putc(out, ',');
    put_us(out, "compute_input_us", (double)s->input_ns / n);
    gal_buf_putc(out, ',');
    put_us(out, "compute_us", (double)s->infer_ns / n);
    gal_buf_putc(out, ',');
    put_us(out, "compute_output_us", (double)s->output_ns / n);
    gal_buf_puts(out, ",\"batches\":[");
    for (size_t i = 0; i < s->batch_count; i++) {
        gal_buf_puts(out, i ? ",{" : "{");
        put_u64(out, "rows", s->batch[i].size);
        gal_buf_putc(out, ',');
        put_u64(out, "executions", s->batch[i].count);
        gal_buf_putc(out, ',');
        put_us(out, "compute_us",
               (double)s->batch[i].infer_ns / (double)(s->batch[i].count ? s->batch[i].count : 1));
        gal_buf_putc(out, '}');
    }
    gal_buf_puts(out, "]}");
}

static void put_usage(struct gal_buf *out, const struct gal_load_summary *s)
{
    gal_json_put_key(out, "client_cores");
    gal_json_put_f64(out, s->client_busy);
    gal_buf_puts(out, ",\"server_cores\":");
    if (s->server_busy < 0)
        gal_buf_puts(out, "null,\"server_rss_bytes\":null");
    else
        gal_json_put_f64(out, s->server_busy);
    if (s->server_busy >= 0) {
        gal_buf_putc(out, ',');
        put_u64(out, "server_rss_bytes", s->server_rss_bytes);
    }
}

static void put_result(struct gal_buf *out, const struct gal_load_summary *s)
{
    gal_buf_putc(out, '{');
    put_f64(out, "requests_per_s", s->rate);
    gal_buf_putc(out, ',');
    put_f64(out, "rows_per_s", s->rows_rate);
    gal_buf_putc(out, ',');
    put_f64(out, "bytes_in_per_s", s->bytes_in);
    gal_buf_putc(out, ',');
    put_f64(out, "bytes_out_per_s", s->bytes_out);
    gal_buf_putc(out, ',');
    put_f64(out, "measured_s", s->measured_s);
    gal_buf_printf(out, ",\"interrupted\":%s,", s->stopped ? "true" : "false");
    put_counts(out, s);
    gal_buf_putc(out, ',');
    put_latencies(out, "latency_us", &s->latency);
    gal_buf_putc(out, ',');
    put_latencies(out, "service_us", &s->service);
    gal_buf_putc(out, ',');
    put_latencies(out, "send_delay_us", &s->delay);
    gal_buf_putc(out, ',');
    put_curve(out, s);
    gal_buf_putc(out, ',');
    put_server(out, &s->server);
    gal_buf_putc(out, ',');
    put_usage(out, s);
    gal_buf_putc(out, '}');
}

static double rate_of(const struct gal_load_summary *s)
{
    return s->rate;
}

static double p50_of(const struct gal_load_summary *s)
{
    return (double)s->latency.p50;
}

static double p99_of(const struct gal_load_summary *s)
{
    return (double)s->latency.p99;
}

static void put_comparison(struct gal_buf *out, const struct gal_bench *b, size_t step)
{
    static const struct {
        const char *key;
        double (*value)(const struct gal_load_summary *s);
    } all[] = {{"requests_per_s", rate_of}, {"p50", p50_of}, {"p99", p99_of}};
    struct gal_ratio r;

    gal_buf_puts(out, ",\"ratio_a_to_b\":{");
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        gal_bench_compare(b, step, all[i].value, &r);
        gal_buf_puts(out, i ? "," : "");
        gal_json_put_key(out, all[i].key);
        gal_buf_putc(out, '{');
        put_f64(out, "median", r.median);
        gal_buf_putc(out, ',');
        put_f64(out, "low", r.low);
        gal_buf_putc(out, ',');
        put_f64(out, "high", r.high);
        gal_buf_putc(out, ',');
        put_u64(out, "pairs", r.pairs);
        gal_buf_putc(out, '}');
    }
    gal_buf_putc(out, '}');
}

static void put_objectives(struct gal_buf *out, const struct gal_bench *b, size_t step)
{
    const struct gal_objectives *all = &b->plan.objectives;
    const struct gal_load_summary *s = gal_bench_median(b, step, 0);

    gal_buf_puts(out, ",\"objectives\":[");
    for (size_t i = 0; i < all->count; i++) {
        const struct gal_objective *o = &all->at[i];
        bool is_time = o->kind != GAL_OBJECTIVE_ERRORS && o->kind != GAL_OBJECTIVE_RATE;
        gal_buf_puts(out, i ? ",{" : "{");
        put_text(out, "objective", gal_str_of(o->text));
        gal_buf_printf(out, ",\"kept\":%s,", gal_objective_kept(o, s) ? "true" : "false");
        if (is_time)
            put_us(out, "value_us", gal_objective_value(o, s));
        else
            put_f64(out, "value", gal_objective_value(o, s));
        gal_buf_putc(out, '}');
    }
    gal_buf_putc(out, ']');
}

static void put_step(struct gal_buf *out, const struct gal_bench *b, size_t step)
{
    const struct gal_bench_step *s = &b->steps[step];

    gal_buf_putc(out, '{');
    if (s->rate > 0)
        put_f64(out, "rate", s->rate);
    else
        put_u64(out, "concurrency", s->connections);
    gal_buf_putc(out, ',');
    put_u64(out, "rows", gal_bench_median(b, step, 0)->rows);
    gal_buf_puts(out, ",\"targets\":[");
    for (size_t side = 0; side < b->side_count; side++) {
        gal_buf_puts(out, side ? ",{\"median\":" : "{\"median\":");
        put_result(out, gal_bench_median(b, step, side));
        gal_buf_puts(out, ",\"rounds\":[");
        for (size_t i = 0; i < b->rounds_done[step] && b->plan.rounds > 1; i++) {
            gal_buf_puts(out, i ? "," : "");
            put_result(out, gal_bench_result(b, step, i, side));
        }
        gal_buf_puts(out, "]}");
    }
    gal_buf_putc(out, ']');
    if (b->side_count == 2)
        put_comparison(out, b, step);
    put_objectives(out, b, step);
    gal_buf_putc(out, '}');
}

static void put_target(struct gal_buf *out, const struct gal_bench_side *s)
{
    bool raw = s->spec.protocol == GAL_PROTOCOL_HTTP;

    gal_buf_printf(out, "{\"url\":\"http://%s\",", s->authority);
    put_text(out, "path", gal_str_of(raw ? s->target.path : ""));
    gal_buf_printf(out, ",\"started\":%s,", s->child.pid > 0 ? "true" : "false");
    put_text(out, "operand", gal_str_of(s->operand));
    gal_buf_puts(out, ",\"arguments\":[");
    for (size_t i = 0; i < s->arg_count; i++) {
        gal_buf_puts(out, i ? "," : "");
        gal_json_put_str(out, gal_str_of(s->args[i]));
    }
    gal_buf_puts(out, "],");
    put_text(out, "model", s->spec.model);
    gal_buf_putc(out, ',');
    put_text(out, "protocol", gal_str_of(gal_protocol_name(s->spec.protocol)));
    gal_buf_putc(out, ',');
    put_u64(out, "request_bytes", s->request_count ? s->requests[0].n : 0);
    gal_buf_putc(out, ',');
    put_u64(out, "distinct_requests", s->request_count);
    gal_buf_putc(out, '}');
}

static void put_all(struct gal_buf *out, const struct gal_bench *b)
{
    gal_buf_printf(out, "{\"schema\":%d,\"galley\":\"" GAL_VERSION "\",\"loop\":\"%s\",", SCHEMA,
                   b->plan.rate.count ? "open" : "closed");
    if (b->plan.rate.count) {
        put_text(out, "arrivals",
                 gal_str_of(b->plan.arrivals == GAL_ARRIVALS_POISSON ? "poisson" : "constant"));
        gal_buf_putc(out, ',');
        put_u64(out, "connections", b->plan.connections);
        gal_buf_putc(out, ',');
    }
    put_f64(out, "duration_s", (double)b->plan.duration_ns / 1e9);
    gal_buf_putc(out, ',');
    put_f64(out, "warmup_s", (double)b->plan.warmup_ns / 1e9);
    gal_buf_putc(out, ',');
    put_f64(out, "client_timeout_s", (double)b->plan.client_timeout_ns / 1e9);
    gal_buf_putc(out, ',');
    put_u64(out, "timeout_us", b->plan.timeout_us);
    gal_buf_putc(out, ',');
    put_u64(out, "seed", b->plan.seed);
    gal_buf_putc(out, ',');
    put_u64(out, "rounds", b->plan.rounds);
    gal_buf_printf(out, ",\"interrupted\":%s,\"targets\":[", b->interrupted ? "true" : "false");
    for (size_t i = 0; i < b->side_count; i++) {
        gal_buf_puts(out, i ? "," : "");
        put_target(out, &b->sides[i]);
    }
    gal_buf_puts(out, "],\"steps\":[");
    for (size_t i = 0; i < b->steps_done; i++) {
        gal_buf_puts(out, i ? "," : "");
        put_step(out, b, i);
    }
    gal_buf_puts(out, "]}\n");
}

void gal_bench_json(struct gal_bench *b, FILE *out)
{
    struct gal_buf text;

    gal_buf_init(&text, JSON_BYTES_MAX);
    put_all(&text, b);
    if (text.failed)
        fputs("galley: bench: the report does not fit into memory\n", b->cli->err);
    else
        fwrite(text.p, 1, text.n, out);
    gal_buf_release(&text);
}
