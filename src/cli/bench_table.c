/* SPDX-License-Identifier: Apache-2.0 */
/* The report on a terminal or in a log: a row a step as it ends, then what it means. */
#include "cli/bench.h"
#include "cli/print.h"

#include <errno.h>

static bool is_open(const struct gal_bench *b)
{
    return b->plan.rate.count > 0;
}

static char side_letter(size_t side)
{
    return side ? 'B' : 'A';
}

/* --- head --- */

static void put_side(struct gal_bench *b, size_t i)
{
    FILE *out = b->cli->out;
    const struct gal_bench_side *s = &b->sides[i];
    bool raw = s->spec.protocol == GAL_PROTOCOL_HTTP;

    if (b->side_count == 2)
        fprintf(out, "%c  ", side_letter(i));
    fprintf(out, "http://%s%s", s->authority, raw ? s->target.path : "");
    if (s->child.pid > 0)
        fprintf(out, "  (galley serve %s", s->operand);
    for (size_t k = 0; s->child.pid > 0 && k < s->arg_count; k++)
        fprintf(out, " %s", s->args[k]);
    fputs(s->child.pid > 0 ? ")\n" : "\n", out);
    fputs(b->side_count == 2 ? "   " : "", out);
    if (!raw) {
        fputs("model ", out);
        gal_print_text(out, s->spec.model);
        fprintf(out, ", %s, ", gal_protocol_name(s->spec.protocol));
    }
    fprintf(out, "%zu %s of %zu bytes", s->request_count,
            s->request_count == 1 ? "request" : "different requests", s->requests[0].n);
    fputc('\n', out);
}

void gal_bench_table_head(struct gal_bench *b)
{
    FILE *out = b->cli->out;
    char duration[GAL_SHORT_SIZE], warmup[GAL_SHORT_SIZE];

    if (b->plan.json)
        return;
    for (size_t i = 0; i < b->side_count; i++)
        put_side(b, i);
    gal_short_ns((double)b->plan.duration_ns, duration);
    gal_short_ns((double)b->plan.warmup_ns, warmup);
    if (is_open(b))
        fprintf(out,
                "open loop, %s arrivals, up to %zu connections; latency counts from the "
                "intended start\n",
                b->plan.arrivals == GAL_ARRIVALS_POISSON ? "Poisson" : "constant",
                b->plan.connections);
    else
        fputs("closed loop: each connection sends its next request when it has its answer\n", out);
    fprintf(out, "%s a step behind %s of warm-up", duration, warmup);
    if (b->plan.rounds > 1)
        fprintf(out, ", %zu rounds; rows show the median one", b->plan.rounds);
    fputs("\n", out);
    fflush(out);
}

static void put_titles(struct gal_bench *b, bool server)
{
    FILE *out = b->cli->out;

    fprintf(out, "\n%s%8s ", b->side_count == 2 ? "  " : "", is_open(b) ? "offered" : "conc");
    if (b->plan.rows.count > 1)
        fprintf(out, "%6s ", "rows");
    fprintf(out, "%10s ", "req/s");
    if (b->sides[0].rows > 1 || b->plan.rows.count > 1)
        fprintf(out, "%10s ", "rows/s");
    fprintf(out, "%8s %8s %8s %8s %8s %8s %8s %9s %8s", "p50", "p90", "p95", "p99", "p99.9", "max",
            "mean", "failed", "MB/s");
    if (server)
        fprintf(out, " | %8s %8s %7s", "queue", "compute", "rows/x");
    fputc('\n', out);
}

/* --- rows --- */

static void put_ns(FILE *out, double ns, bool known)
{
    char text[GAL_SHORT_SIZE];
    fprintf(out, "%8s ", known ? gal_short_ns(ns, text) : "-");
}

static void put_latencies(FILE *out, const struct gal_latencies *l)
{
    const uint64_t values[] = {l->p50, l->p90, l->p95, l->p99, l->p999, l->max};

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        put_ns(out, (double)values[i], l->count > 0);
    put_ns(out, l->mean, l->count > 0);
}

static void put_server(FILE *out, const struct gal_server_stats *s)
{
    char rows[GAL_SHORT_SIZE];
    double requests = s->success ? (double)s->success : 1;

    if (!s->known)
        return;
    fputs(" | ", out);
    put_ns(out, (double)s->queue_ns / requests, s->success > 0);
    put_ns(out, (double)s->infer_ns / requests, s->success > 0);
    fprintf(out, "%7s", s->executions ? gal_short_count(gal_server_stats_rows(s), rows) : "-");
}

/* "429: 12  timed out: 3" */
static void put_failures(FILE *out, const struct gal_load_counts *c)
{
    const struct {
        const char *name;
        uint64_t count;
    } losses[] = {{"timed out", c->unanswered},
                  {"timed out unsent", c->unsent},
                  {"connection lost", c->broken},
                  {"not of the protocol", c->malformed},
                  {"unfinished", c->unfinished}};
    char text[GAL_SHORT_SIZE];

    for (int status = 0; status < GAL_LOAD_STATUSES; status++) {
        if (c->by_status[status] && (status < 200 || status >= 300))
            fprintf(out, "  %d: %s", status, gal_short_count((double)c->by_status[status], text));
    }
    for (size_t i = 0; i < sizeof(losses) / sizeof(losses[0]); i++) {
        if (losses[i].count)
            fprintf(out, "  %s: %s", losses[i].name,
                    gal_short_count((double)losses[i].count, text));
    }
}

static void put_row(struct gal_bench *b, const struct gal_load_summary *s, size_t side)
{
    FILE *out = b->cli->out;
    char text[GAL_SHORT_SIZE];

    if (b->side_count == 2)
        fprintf(out, "%c ", side_letter(side));
    fprintf(out, "%8s ",
            gal_short_count(is_open(b) ? s->offered_rate : (double)s->connections, text));
    if (b->plan.rows.count > 1)
        fprintf(out, "%6llu ", (unsigned long long)s->rows);
    fprintf(out, "%10s ", gal_short_count(s->rate, text));
    if (b->sides[0].rows > 1 || b->plan.rows.count > 1)
        fprintf(out, "%10s ", gal_short_count(s->rows_rate, text));
    put_latencies(out, &s->latency);
    fprintf(out, "%9s ", s->failed ? gal_short_count((double)s->failed, text) : "0");
    fprintf(out, "%8s", gal_short_count((s->bytes_in + s->bytes_out) / 1e6, text));
    put_server(out, &s->server);
    fputc('\n', out);
    if (s->failed) {
        fprintf(out, "%*s of %llu", b->side_count == 2 ? 11 : 9, "",
                (unsigned long long)s->counts.offered);
        put_failures(out, &s->counts);
        fputc('\n', out);
    }
}

void gal_bench_table_step(struct gal_bench *b, size_t step)
{
    if (b->plan.json)
        return;
    for (size_t i = 0; i < b->side_count; i++) {
        const struct gal_load_summary *s = gal_bench_median(b, step, i);
        if (!b->table_begun)
            put_titles(b, s->server.known);
        b->table_begun = true;
        put_row(b, s, i);
    }
    fflush(b->cli->out);
}

/* --- what it means --- */

static const char *label_of(const struct gal_bench *b, const struct gal_bench_step *s, char *out,
                            size_t size)
{
    char load[GAL_SHORT_SIZE], rows[32] = "";

    gal_short_count(s->rate > 0 ? s->rate : (double)s->connections, load);
    if (b->plan.rows.count > 1)
        snprintf(rows, sizeof(rows), ", %llu rows", (unsigned long long)s->rows);
    snprintf(out, size, "%s %s%s", s->rate > 0 ? "rate" : "concurrency", load, rows);
    return out;
}

static void put_best(struct gal_bench *b, size_t side)
{
    const struct gal_load_summary *best = NULL;
    char label[64], rate[GAL_SHORT_SIZE], p50[GAL_SHORT_SIZE], p99[GAL_SHORT_SIZE];
    size_t at = 0;

    for (size_t i = 0; i < b->steps_done; i++) {
        const struct gal_load_summary *s = gal_bench_median(b, i, side);
        if (!best || s->rate > best->rate) {
            best = s;
            at = i;
        }
    }
    if (!best || best->ok == 0)
        return;
    if (b->side_count == 2)
        fprintf(b->cli->out, "%c  ", side_letter(side));
    fprintf(b->cli->out, "highest rate: %s requests/s at %s, p50 %s, p99 %s\n",
            gal_short_count(best->rate, rate), label_of(b, &b->steps[at], label, sizeof(label)),
            gal_short_ns((double)best->latency.p50, p50),
            gal_short_ns((double)best->latency.p99, p99));
}

static void put_range(FILE *out, uint64_t from, uint64_t to, const char *share)
{
    fprintf(out, "  %llu", (unsigned long long)from);
    if (to > from)
        fprintf(out, "-%llu", (unsigned long long)to);
    fprintf(out, ": %s", share);
}

/* By doublings: 1, 2, 3-4, 5-8, ... */
static void put_batches(struct gal_bench *b, size_t step, size_t side)
{
    const struct gal_server_stats *s = &gal_bench_median(b, step, side)->server;
    char label[64], share[GAL_SHORT_SIZE];
    uint64_t total = 0;
    size_t at = 0;

    for (size_t i = 0; i < s->batch_count; i++)
        total += s->batch[i].count;
    if (!s->known || total == 0)
        return;
    fprintf(b->cli->out, "rows of the server's calls at %s:",
            label_of(b, &b->steps[step], label, sizeof(label)));
    for (uint64_t from = 1, to = 1; at < s->batch_count; from = to + 1, to *= 2) {
        uint64_t count = 0;
        for (; at < s->batch_count && s->batch[at].size <= to; at++)
            count += s->batch[at].count;
        if (count)
            put_range(b->cli->out, from, to, gal_short_share((double)count / (double)total, share));
    }
    fputc('\n', b->cli->out);
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

static void put_ratio(struct gal_bench *b, const char *what, const struct gal_ratio *r,
                      const char *none, const char *more, const char *less)
{
    bool apart = r->low > 1 || r->high < 1;
    const char *words = r->median > 1 ? more : less;

    if (r->pairs == 0)
        return;
    fprintf(b->cli->out, "  %s: A/B %.3f (%.3f to %.3f in %zu pairs): %s\n", what, r->median,
            r->low, r->high, r->pairs,
            r->pairs < 3 ? "too few pairs to tell"
            : apart      ? words
                         : none);
}

static void put_comparison(struct gal_bench *b)
{
    struct gal_ratio rate, p50, p99;
    char label[64];

    for (size_t i = 0; i < b->steps_done; i++) {
        fprintf(b->cli->out, "\nA against B at %s\n",
                label_of(b, &b->steps[i], label, sizeof(label)));
        gal_bench_compare(b, i, rate_of, &rate);
        gal_bench_compare(b, i, p50_of, &p50);
        gal_bench_compare(b, i, p99_of, &p99);
        put_ratio(b, "requests/s", &rate, "no clear difference", "A answers more",
                  "A answers fewer");
        put_ratio(b, "p50", &p50, "no clear difference", "A is slower", "A is faster");
        put_ratio(b, "p99", &p99, "no clear difference", "A is slower", "A is faster");
    }
    if (b->plan.rounds < 3)
        fputs("  give it more rounds: --rounds 5\n", b->cli->out);
}

static void put_objectives(struct gal_bench *b)
{
    const struct gal_objectives *all = &b->plan.objectives;
    char label[64], value[GAL_SHORT_SIZE];

    if (all->count)
        fputs("\nobjectives\n", b->cli->out);
    for (size_t i = 0; i < b->steps_done && all->count; i++) {
        const struct gal_load_summary *s = gal_bench_median(b, i, 0);
        fprintf(b->cli->out, "  %-24s", label_of(b, &b->steps[i], label, sizeof(label)));
        for (size_t k = 0; k < all->count; k++) {
            const struct gal_objective *o = &all->at[k];
            double have = gal_objective_value(o, s);
            if (o->kind == GAL_OBJECTIVE_ERRORS)
                gal_short_share(have, value);
            else if (o->kind == GAL_OBJECTIVE_RATE)
                gal_short_count(have, value);
            else
                gal_short_ns(have, value);
            fprintf(b->cli->out, "  %s: %s %s", o->text,
                    gal_objective_kept(o, s) ? "kept," : "MISSED,", value);
        }
        fputc('\n', b->cli->out);
    }
}

/* --- notes: what a reader should know before believing the figures --- */

static void put_refusal(struct gal_bench *b, const struct gal_load_summary *s)
{
    if (!s->sample_status)
        return;
    fprintf(b->cli->out, "note: the first answer %d said: ", s->sample_status);
    gal_print_text(b->cli->out, gal_str_of(s->sample));
    fputc('\n', b->cli->out);
    if ((s->sample_status == 400 || s->sample_status == 422) && !b->plan.input)
        fputs("      inputs are made up; if the model does not take such, bring some: --input "
              "FILE\n",
              b->cli->out);
}

/* What a reader should know of one step; NULL when it is as it should be. */
static const char *interrupted(const struct gal_load_summary *s)
{
    return s->stopped ? "the run was interrupted: the figures are of a part" : NULL;
}

static const char *short_of_connections(const struct gal_load_summary *s)
{
    if (s->opened == s->connections)
        return NULL;
    return s->connect_error == EMFILE || s->connect_error == ENFILE
               ? "fewer connections than wanted: this process may not open more files (ulimit -n)"
               : "the target took fewer connections than wanted within a second";
}

static const char *held(const struct gal_load_summary *s)
{
    return s->held * 100 > s->counts.offered
               ? "more than 1 % of the requests waited in the client until a connection was free; "
                 "raise --connections, unless the target is overloaded"
               : NULL;
}

static const char *late(const struct gal_load_summary *s)
{
    return s->offered_rate > 0 && !held(s) && s->delay.p99 > 1000000 &&
                   s->delay.p99 * 4 > s->latency.p99
               ? "the client itself sent late, which latency contains; give it a core of its own "
                 "(--client-cores)"
               : NULL;
}

static const char *busy(const struct gal_load_summary *s)
{
    return s->offered_rate <= 0 && s->client_busy > 0.97
               ? "the client's core was busy all the time: the rate may be the client's limit, not "
                 "the target's"
               : NULL;
}

/* One line for all steps that it is true of. */
static void put_note(struct gal_bench *b, size_t side,
                     const char *(*judge)(const struct gal_load_summary *s))
{
    const char *text = NULL;
    char label[64];

    for (size_t i = 0; i < b->steps_done; i++) {
        const char *one = judge(gal_bench_median(b, i, side));
        if (!one)
            continue;
        fprintf(b->cli->out, "%s%s",
                text                 ? ", "
                : b->side_count == 1 ? "note: at "
                                     : "note: ",
                text || b->side_count == 1 ? ""
                : side                     ? "B at "
                                           : "A at ");
        fputs(label_of(b, &b->steps[i], label, sizeof(label)), b->cli->out);
        text = one;
    }
    if (text)
        fprintf(b->cli->out, ": %s\n", text);
}

static void put_notes(struct gal_bench *b)
{
    for (size_t side = 0; side < b->side_count; side++) {
        size_t i = 0;
        put_note(b, side, interrupted);
        put_note(b, side, short_of_connections);
        put_note(b, side, held);
        put_note(b, side, late);
        put_note(b, side, busy);
        while (i < b->steps_done && !gal_bench_median(b, i, side)->sample_status)
            i++;
        if (i < b->steps_done)
            put_refusal(b, gal_bench_median(b, i, side));
    }
}

void gal_bench_table_end(struct gal_bench *b)
{
    if (b->plan.json || b->steps_done == 0)
        return;
    fputc('\n', b->cli->out);
    for (size_t i = 0; i < b->side_count; i++) {
        put_best(b, i);
        if (b->side_count == 1)
            put_batches(b, b->steps_done - 1, i);
    }
    if (b->side_count == 2)
        put_comparison(b);
    put_objectives(b);
    put_notes(b);
}
