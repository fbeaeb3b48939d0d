/* SPDX-License-Identifier: Apache-2.0 */
/* The report as one page: no script, nothing from elsewhere, light and dark as the reader's system
 * has it. Everything that is drawn stands in the table too. */
#include "base/mem.h"
#include "cli/bench.h"
#include "cli/bench_chart.h"

#include <errno.h>
#include <math.h>

#define LABEL_SIZE 96

static const char style[] =
    ":root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--soft:#57606a;--line:#d8dee4;--card:"
    "#f6f8fa;--c0:#0a5fb4;--c1:#c2410c;--c2:#0f766e;--c3:#86198f;--c4:#57606a;--c5:#a16207}\n"
    "@media(prefers-color-scheme:dark){:root{--bg:#0d1117;--fg:#e6edf3;--soft:#9aa4af;--line:"
    "#30363d;--card:#161b22;--c0:#6cb6ff;--c1:#ff9a62;--c2:#5ad1c2;--c3:#e09bf0;--c4:#9aa4af;--c5:"
    "#e3b341}}\n"
    "body{margin:0 auto;max-width:1120px;padding:24px 16px 48px;background:var(--bg);color:var(--fg"
    ");font:15px/1.5 system-ui,sans-serif}\n"
    "h1{font-size:22px;margin:0 0 4px}h2{font-size:17px;margin:32px 0 8px}p{margin:4px 0}\n"
    ".soft,figcaption{color:var(--soft)}code{font-size:13px;overflow-wrap:anywhere}\n"
    ".cards{display:flex;flex-wrap:wrap;gap:12px;margin:16px 0}\n"
    ".card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:10px "
    "16px;min-width:120px}.card b{display:block;font-size:22px;font-variant-numeric:tabular-nums}\n"
    ".charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:"
    "16px}figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:8px;"
    "padding:8px}figcaption{text-align:center;font-size:13px}\n"
    "svg{width:100%;height:auto;display:block}svg text{fill:var(--fg);font:12px "
    "system-ui,sans-serif}svg .name{fill:var(--soft)}.grid{stroke:var(--line)}\n"
    ".l{fill:none;stroke-width:2}.m{stroke:none}\n"
    ".l.s0{stroke:var(--c0)}.l.s1{stroke:var(--c1)}.l.s2{stroke:var(--c2)}.l.s3{stroke:var(--c3)}"
    ".l.s4{stroke:var(--c4)}.l.s5{stroke:var(--c5)}.m.s0{fill:var(--c0)}.m.s1{fill:var(--c1)}.m.s2"
    "{fill:var(--c2)}.m.s3{fill:var(--c3)}.m.s4{fill:var(--c4)}.m.s5{fill:var(--c5)}\n"
    ".wide{overflow-x:auto}table{font-size:14px;border-collapse:collapse;font-variant-numeric:"
    "tabular-nums;width:"
    "100%}caption{text-align:left;color:var(--soft)}th,td{padding:4px 8px;text-align:right;"
    "border-bottom:1px solid var(--line);white-space:nowrap}thead th{color:var(--soft);"
    "font-weight:600}.bad{color:var(--c1);font-weight:600}\n";

static bool is_open(const struct gal_bench *b)
{
    return b->plan.rate.count > 0;
}

static const char *side_name(const struct gal_bench *b, size_t side)
{
    return b->side_count == 1 ? "" : side ? "B " : "A ";
}

static void put_load(const struct gal_bench *b, size_t step, char *out, size_t size)
{
    const struct gal_bench_step *s = &b->steps[step];
    char load[GAL_SHORT_SIZE], rows[32] = "";

    gal_short_count(s->rate > 0 ? s->rate : (double)s->connections, load);
    if (b->plan.rows.count > 1)
        snprintf(rows, sizeof(rows), ", %llu rows", (unsigned long long)s->rows);
    snprintf(out, size, "%s %s%s", s->rate > 0 ? "rate" : "concurrency", load, rows);
}

/* --- charts --- */

struct points {
    struct gal_chart_point *at; /* for all series of a chart; owned */
    char (*labels)[LABEL_SIZE]; /* owned */
    size_t used;
};

static bool points_init(struct points *p, size_t count)
{
    p->used = 0;
    p->at = gal_calloc(count, sizeof(*p->at));
    p->labels = gal_calloc(count, sizeof(*p->labels));
    return p->at && p->labels;
}

static void points_release(struct points *p)
{
    gal_free(p->at);
    gal_free(p->labels);
}

static struct gal_chart_series *begin_series(struct gal_chart *c, struct points *p,
                                             const char *side, const char *name)
{
    struct gal_chart_series *s = &c->series[c->series_count++];

    snprintf(s->name, sizeof(s->name), "%s%s", side, name);
    s->points = p->at + p->used;
    return s;
}

static char *add_point(struct gal_chart_series *s, struct points *p, double x, double y)
{
    p->at[p->used] = (struct gal_chart_point){x, y, p->labels[p->used]};
    s->count++;
    return p->labels[p->used++];
}

static double percentile(const struct gal_latencies *l, size_t which)
{
    const uint64_t all[] = {l->p50, l->p90, l->p99, l->p999};
    return (double)all[which];
}

/* All four percentiles of one side; of two sides the two that tell most. */
static void latency_series(const struct gal_bench *b, struct gal_chart *c, struct points *p,
                           size_t side)
{
    static const char *const names[] = {"p50", "p90", "p99", "p99.9"};

    for (size_t which = 0; which < 4; which++) {
        struct gal_chart_series *s;
        if (b->side_count == 2 && which % 2 == 1)
            continue;
        s = begin_series(c, p, side_name(b, side), names[which]);
        s->dashed = side == 1;
        for (size_t i = 0; i < b->steps_done; i++) {
            const struct gal_load_summary *r = gal_bench_median(b, i, side);
            char ns[GAL_SHORT_SIZE], rate[GAL_SHORT_SIZE], load[64], *label;
            if (r->ok == 0)
                continue;
            put_load(b, i, load, sizeof(load));
            label = add_point(s, p, r->rate, fmax(percentile(&r->latency, which), 1));
            snprintf(label, LABEL_SIZE, "%s at %s requests/s (%s)",
                     gal_short_ns(percentile(&r->latency, which), ns),
                     gal_short_count(r->rate, rate), load);
        }
    }
}

static void put_latency_chart(const struct gal_bench *b, FILE *out)
{
    struct gal_chart c = {.id = "latency",
                          .title = "Latency against rate",
                          .sum = "Percentiles of latency, logarithmic, over good answers a second; "
                                 "the table has the values",
                          .x_name = "good answers a second",
                          .y_name = "latency",
                          .log_y = true};
    struct points p;

    if (points_init(&p, b->steps_done * 8)) {
        for (size_t side = 0; side < b->side_count; side++)
            latency_series(b, &c, &p, side);
        if (p.used)
            gal_chart_put(out, &c);
    }
    points_release(&p);
}

static void put_rate_chart(const struct gal_bench *b, FILE *out)
{
    struct gal_chart c = {.id = "rate",
                          .title = is_open(b) ? "Answered against offered" : "Rate by concurrency",
                          .sum = "Good answers a second of each step; the table has the values",
                          .x_name = is_open(b) ? "offered, requests a second" : "concurrency",
                          .y_name = "good answers a second"};
    struct points p;

    if (points_init(&p, b->steps_done * 2)) {
        for (size_t side = 0; side < b->side_count; side++) {
            struct gal_chart_series *s =
                begin_series(&c, &p, side_name(b, side), side_name(b, side)[0] ? "" : "answered");
            for (size_t i = 0; i < b->steps_done; i++) {
                const struct gal_load_summary *r = gal_bench_median(b, i, side);
                double x = is_open(b) ? r->offered_rate : (double)r->connections;
                char rate[GAL_SHORT_SIZE], load[64];
                put_load(b, i, load, sizeof(load));
                snprintf(add_point(s, &p, x, r->rate), LABEL_SIZE, "%s requests/s at %s",
                         gal_short_count(r->rate, rate), load);
            }
        }
        gal_chart_put(out, &c);
    }
    points_release(&p);
}

/* The percentile curves of the first, the middle and the last step; of two sides, of the last. */
static void put_curve_chart(const struct gal_bench *b, FILE *out)
{
    struct gal_chart c = {.id = "curve",
                          .title = "How many wait how long",
                          .sum = "Latency, logarithmic, that a share of the requests does not pass",
                          .x_name = "share of the requests",
                          .y_name = "latency",
                          .log_y = true,
                          .nines = true};
    const size_t steps[] = {0, b->steps_done / 2, b->steps_done - 1};
    size_t first = b->side_count == 1 ? 0 : 2 * b->side_count;
    struct points p;

    if (points_init(&p, (size_t)3 * 2 * GAL_CURVE_POINTS)) {
        for (size_t i = first; i < 3 * b->side_count; i++) {
            size_t step = steps[i / b->side_count], side = i % b->side_count;
            const struct gal_load_summary *r = gal_bench_median(b, step, side);
            struct gal_chart_series *s;
            char load[64];
            if (r->ok == 0 || (i > first && b->side_count == 1 && step == steps[i - 1]))
                continue;
            put_load(b, step, load, sizeof(load));
            s = begin_series(&c, &p, side_name(b, side), load);
            s->dashed = side == 1;
            for (size_t k = 0; k < GAL_CURVE_POINTS && (double)k / 16 <= log10((double)r->ok);
                 k++) {
                (void)add_point(s, &p, (double)k / 16, fmax(r->curve[k], 1));
                p.at[p.used - 1].label = NULL;
            }
        }
        if (p.used)
            gal_chart_put(out, &c);
    }
    points_release(&p);
}

/* --- text --- */

static void put_card(FILE *out, const char *value, const char *name)
{
    fprintf(out, "<div class=\"card\"><b>%s</b>%s</div>\n", value, name);
}

static void put_cards(const struct gal_bench *b, FILE *out)
{
    const struct gal_load_summary *best = gal_bench_median(b, 0, 0);
    char text[GAL_SHORT_SIZE];

    for (size_t i = 1; i < b->steps_done; i++) {
        const struct gal_load_summary *s = gal_bench_median(b, i, 0);
        best = s->rate > best->rate ? s : best;
    }
    fputs("<div class=\"cards\">\n", out);
    put_card(out, gal_short_count(best->rate, text), "requests/s at most");
    put_card(out, gal_short_ns((double)best->latency.p50, text), "p50 there");
    put_card(out, gal_short_ns((double)best->latency.p99, text), "p99 there");
    if (best->server.known)
        put_card(out, gal_short_count(gal_server_stats_rows(&best->server), text),
                 "rows a call there");
    if (best->server_rss_bytes)
        put_card(out, gal_short_count((double)best->server_rss_bytes / 1048576, text),
                 "MiB of the server");
    fputs("</div>\n", out);
}

static void put_target(const struct gal_bench *b, FILE *out, size_t side)
{
    const struct gal_bench_side *s = &b->sides[side];
    bool raw = s->spec.protocol == GAL_PROTOCOL_HTTP;

    fprintf(out, "<p>%s<code>http://", side_name(b, side));
    gal_html_text(out, s->authority);
    gal_html_text(out, raw ? s->target.path : "");
    if (s->child.pid > 0) {
        fputs("</code>, started as <code>galley serve ", out);
        gal_html_text(out, s->operand);
        for (size_t i = 0; i < s->arg_count; i++) {
            fputc(' ', out);
            gal_html_text(out, s->args[i]);
        }
    }
    fputs("</code>", out);
    if (!raw) {
        char name[GAL_NAME_BYTES_MAX + 1];
        snprintf(name, sizeof(name), "%.*s", GAL_STR_ARG(s->spec.model));
        fputs(", model <b>", out);
        gal_html_text(out, name);
        fprintf(out, "</b>, %s", gal_protocol_name(s->spec.protocol));
    }
    fprintf(out, ", %zu bytes a request</p>\n", s->request_count ? s->requests[0].n : 0);
}

static void put_method(const struct gal_bench *b, FILE *out)
{
    char duration[GAL_SHORT_SIZE], warmup[GAL_SHORT_SIZE];

    gal_short_ns((double)b->plan.duration_ns, duration);
    gal_short_ns((double)b->plan.warmup_ns, warmup);
    fprintf(out, "<p class=\"soft\">%s; %s a step behind %s of warm-up; %zu %s; galley %s%s</p>\n",
            is_open(b) ? "Open loop: requests start at times of their own, and latency counts from "
                         "the intended start"
                       : "Closed loop: each connection sends its next request when it has its "
                         "answer",
            duration, warmup, b->plan.rounds, b->plan.rounds == 1 ? "round" : "rounds", GAL_VERSION,
            b->interrupted ? "; interrupted" : "");
}

/* --- the table --- */

static bool has_server(const struct gal_bench *b)
{
    for (size_t i = 0; i < b->steps_done * b->side_count; i++) {
        if (gal_bench_median(b, i / b->side_count, i % b->side_count)->server.known)
            return true;
    }
    return false;
}

static void put_row(const struct gal_bench *b, FILE *out, size_t step, size_t side)
{
    const struct gal_load_summary *s = gal_bench_median(b, step, side);
    const struct gal_latencies *l = &s->latency;
    const double ns[] = {(double)l->p50,  (double)l->p90, (double)l->p95, (double)l->p99,
                         (double)l->p999, (double)l->max, l->mean};
    char text[GAL_SHORT_SIZE], load[64];

    put_load(b, step, load, sizeof(load));
    fprintf(out, "<tr><th scope=\"row\">%s%s</th><td>%s</td>", side_name(b, side), load,
            gal_short_count(s->rate, text));
    for (size_t i = 0; i < sizeof(ns) / sizeof(ns[0]); i++)
        fprintf(out, "<td>%s</td>", l->count ? gal_short_ns(ns[i], text) : "-");
    fprintf(out, "<td%s>%s</td>", s->failed ? " class=\"bad\"" : "",
            gal_short_count((double)s->failed, text));
    if (s->server.known) {
        double n = s->server.success ? (double)s->server.success : 1;
        fprintf(out, "<td>%s</td>", gal_short_ns((double)s->server.queue_ns / n, text));
        fprintf(out, "<td>%s</td>", gal_short_ns((double)s->server.infer_ns / n, text));
        fprintf(out, "<td>%s</td>", gal_short_count(gal_server_stats_rows(&s->server), text));
    } else if (has_server(b)) {
        fputs("<td>-</td><td>-</td><td>-</td>", out);
    }
    fputs("</tr>\n", out);
}

static void put_table(const struct gal_bench *b, FILE *out)
{
    static const char *const titles[] = {"load",  "requests/s", "p50",      "p90",  "p95",
                                         "p99",   "p99.9",      "max",      "mean", "failed",
                                         "queue", "compute",    "rows/call"};

    fputs("<h2>Steps</h2>\n<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Steps\">"
          "<table><caption>Latencies are those of good answers; queue, compute and rows a call are "
          "the server's own statistics.</caption>\n<thead><tr>",
          out);
    for (size_t i = 0; i < (has_server(b) ? sizeof(titles) / sizeof(titles[0]) : 10); i++)
        fprintf(out, "<th scope=\"col\">%s</th>", titles[i]);
    fputs("</tr></thead>\n<tbody>\n", out);
    for (size_t i = 0; i < b->steps_done; i++)
        for (size_t side = 0; side < b->side_count; side++)
            put_row(b, out, i, side);
    fputs("</tbody></table></div>\n", out);
}

static double rate_of(const struct gal_load_summary *s)
{
    return s->rate;
}

static double p99_of(const struct gal_load_summary *s)
{
    return (double)s->latency.p99;
}

static void put_ratio_cell(FILE *out, const struct gal_ratio *r)
{
    if (r->pairs)
        fprintf(out, "<td>%.3f (%.3f to %.3f)</td>", r->median, r->low, r->high);
    else
        fputs("<td>-</td>", out);
}

static void put_comparison(const struct gal_bench *b, FILE *out)
{
    struct gal_ratio rate, p99;
    char load[64];

    fputs("<h2>A against B</h2>\n<div class=\"wide\"><table><caption>Ratio of each round of A to "
          "the same round of B: median, lowest, highest.</caption>\n<thead><tr><th "
          "scope=\"col\">load</th><th scope=\"col\">requests/s</th><th "
          "scope=\"col\">p99</th></tr></thead>\n<tbody>\n",
          out);
    for (size_t i = 0; i < b->steps_done; i++) {
        put_load(b, i, load, sizeof(load));
        gal_bench_compare(b, i, rate_of, &rate);
        gal_bench_compare(b, i, p99_of, &p99);
        fprintf(out, "<tr><th scope=\"row\">%s</th>", load);
        put_ratio_cell(out, &rate);
        put_ratio_cell(out, &p99);
        fputs("</tr>\n", out);
    }
    fputs("</tbody></table></div>\n", out);
}

static void put_page(const struct gal_bench *b, FILE *out)
{
    fprintf(out,
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
            "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
            "<title>galley bench</title>\n<style>\n%s</style></head>\n<body><main>\n"
            "<h1>galley bench</h1>\n",
            style);
    for (size_t i = 0; i < b->side_count; i++)
        put_target(b, out, i);
    put_method(b, out);
    if (b->steps_done) {
        put_cards(b, out);
        fputs("<div class=\"charts\">\n", out);
        if (b->steps_done > 1) {
            put_latency_chart(b, out);
            put_rate_chart(b, out);
        }
        put_curve_chart(b, out);
        fputs("</div>\n", out);
        put_table(b, out);
        if (b->side_count == 2)
            put_comparison(b, out);
    }
    fputs("</main></body></html>\n", out);
}

enum gal_status gal_bench_html(const struct gal_bench *b, struct gal_err *err)
{
    FILE *out = fopen(b->plan.html, "w");
    bool wrong;

    if (!out)
        return gal_fail(err, GAL_IO, "%s cannot be written: %s", b->plan.html, strerror(errno));
    put_page(b, out);
    wrong = ferror(out) != 0;
    if (fclose(out) != 0 || wrong)
        return gal_fail(err, GAL_IO, "%s could not be written whole", b->plan.html);
    return GAL_OK;
}
