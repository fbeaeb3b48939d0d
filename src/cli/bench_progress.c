/* SPDX-License-Identifier: Apache-2.0 */
/* One line on stderr, where that is a terminal. */
#include "cli/bench.h"

#define BAR_WIDTH 24u

static void put_bar(struct gal_bench *b, double share)
{
    unsigned full = (unsigned)(share * BAR_WIDTH + 0.5);

    for (unsigned i = 0; i < BAR_WIDTH; i++) {
        if (b->utf8)
            fputs(i < full ? "\u2588" : "\u2591", b->cli->err);
        else
            fputc(i < full ? '#' : '.', b->cli->err);
    }
}

void gal_bench_progress(struct gal_bench *b, const struct gal_bench_step *step, size_t index,
                        size_t round, size_t side, const struct gal_load_live *live)
{
    static const char *const phases[] = {"connecting", "warm-up", "measuring", "last answers"};
    double share = live->total_ns ? (double)live->elapsed_ns / (double)live->total_ns : 0;
    double seconds = (double)live->elapsed_ns / 1e9;
    char rate[GAL_SHORT_SIZE], p99[GAL_SHORT_SIZE], load[GAL_SHORT_SIZE];

    if (!b->progress)
        return;
    gal_short_count(seconds > 0 ? (double)live->answered / seconds : 0, rate);
    gal_short_ns((double)gal_histogram_quantile(live->latency, 0.99), p99);
    gal_short_count(step->rate > 0 ? step->rate : (double)step->connections, load);
    fputs("\r\033[K", b->cli->err);
    put_bar(b, share);
    fprintf(b->cli->err, " %zu/%zu  %s %s", index + 1, b->step_count,
            step->rate > 0 ? "rate" : "concurrency", load);
    if (b->plan.rounds > 1)
        fprintf(b->cli->err, "  round %zu/%zu", round + 1, b->plan.rounds);
    if (b->side_count > 1)
        fprintf(b->cli->err, "  %c", side ? 'B' : 'A');
    fprintf(b->cli->err, "  %s  %s/s  p99 %s", phases[live->phase], rate,
            live->latency->count ? p99 : "-");
    if (live->failed)
        fprintf(b->cli->err, "  %llu failed", (unsigned long long)live->failed);
    fflush(b->cli->err);
}

void gal_bench_progress_clear(struct gal_bench *b)
{
    if (!b->progress)
        return;
    fputs("\r\033[K", b->cli->err);
    fflush(b->cli->err);
}
