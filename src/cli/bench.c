/* SPDX-License-Identifier: Apache-2.0 */
/* The command: what to load, how, and what the end of it is worth as an exit code. */
#include "base/file.h"
#include "base/mem.h"
#include "cli/bench.h"
#include "net/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define AGAINST_ARGS_MAX 64u

/* --- Ctrl-C --- */

/* The first ends the benchmark with what there is, the second ends everything. */
static void on_signal(int signum, void *ctx)
{
    struct gal_bench *b = ctx;

    (void)signum;
    if (b->interrupted)
        _exit(GAL_EXIT_INTERRUPTED);
    b->interrupted = true;
    if (b->load)
        gal_load_stop(b->load);
}

static bool is_interrupted(void *ctx)
{
    struct gal_bench *b = ctx;

    gal_loop_poll(b->loop);
    return b->interrupted;
}

/* --- set-up --- */

/* URL|PATH [-- SETTING...] */
static int read_operands(struct gal_cli *cli, struct gal_bench *b)
{
    const char *against = gal_cli_value(cli, "against"), *text = gal_cli_value(cli, "against-args");
    const char **args;
    struct gal_str rest = gal_str_of(text), part;
    size_t count = 0;

    if (cli->operand_count > 1 && cli->operands[1][0] != '-')
        return gal_cli_usage(cli,
                             "'%s' is one argument too many; settings of the server stand "
                             "behind --",
                             cli->operands[1]);
    gal_bench_side_init(&b->sides[0], cli->operands[0], cli->operands + 1, cli->operand_count - 1);
    b->side_count = 1;
    if (!against)
        return GAL_EXIT_OK;
    args = gal_arena_array(&cli->arena, AGAINST_ARGS_MAX, sizeof(*args));
    while (args && rest.n && gal_str_cut(&rest, ' ', &part)) {
        if (count == AGAINST_ARGS_MAX)
            return gal_cli_usage(cli, "--against-args: more than %u words", AGAINST_ARGS_MAX);
        if (part.n)
            args[count++] = gal_arena_strdup(&cli->arena, part);
    }
    gal_bench_side_init(&b->sides[1], against, args, count);
    b->side_count = 2;
    return GAL_EXIT_OK;
}

/* Who wants no colour wants plain text. */
static bool speaks_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    const char *plain = getenv("NO_COLOR");

    if (plain && plain[0])
        return false;
    for (size_t i = 0; i < 3; i++) {
        const char *value = getenv(names[i]);
        if (value && value[0])
            return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
    }
    return false;
}

static enum gal_status lay_out(struct gal_bench *b, struct gal_err *err)
{
    const struct gal_bench_plan *p = &b->plan;
    const struct gal_sweep *loads = p->rate.count ? &p->rate : &p->concurrency;
    size_t count = loads->count * p->rows.count;

    if (count > GAL_BENCH_STEPS_MAX)
        return gal_fail(err, GAL_TOO_LARGE, "these are %zu steps; %u are the most", count,
                        GAL_BENCH_STEPS_MAX);
    b->steps = gal_arena_array(&b->cli->arena, count, sizeof(*b->steps));
    b->rounds_done = gal_arena_array(&b->cli->arena, count, sizeof(*b->rounds_done));
    b->results = gal_calloc(count * p->rounds * b->side_count, sizeof(*b->results));
    if (!b->steps || !b->rounds_done || !b->results)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the results of %zu steps", count);
    for (size_t row = 0; row < p->rows.count; row++) {
        for (size_t i = 0; i < loads->count; i++) {
            bool open = p->rate.count > 0;
            b->steps[b->step_count++] = (struct gal_bench_step){
                .rows = p->rows.at[row],
                .connections = open ? p->connections : (size_t)loads->at[i],
                .rate = open ? (double)loads->at[i] : 0,
            };
        }
    }
    memset(b->rounds_done, 0, count * sizeof(*b->rounds_done));
    return GAL_OK;
}

static enum gal_status open_sides(struct gal_bench *b, struct gal_err *err)
{
    enum gal_status status = gal_loop_on_signal(b->loop, SIGINT, on_signal, b, err);

    if (status == GAL_OK)
        status = gal_loop_on_signal(b->loop, SIGTERM, on_signal, b, err);
    for (size_t i = 0; i < b->side_count && status == GAL_OK; i++) {
        status = gal_bench_side_open(&b->sides[i], &b->plan, is_interrupted, b, err);
        if (status == GAL_OK && is_interrupted(b))
            status = gal_fail(err, GAL_CANCELLED, "interrupted");
    }
    return status;
}

/* --- the end --- */

static int verdict(const struct gal_bench *b)
{
    bool answered = false;

    for (size_t i = 0; i < b->steps_done; i++)
        for (size_t side = 0; side < b->side_count; side++)
            answered = answered || gal_bench_median(b, i, side)->ok > 0;
    if (b->interrupted)
        return GAL_EXIT_INTERRUPTED;
    if (!answered)
        return GAL_EXIT_FAILURE;
    for (size_t i = 0; i < b->steps_done; i++) {
        if (gal_bench_missed(b, gal_bench_median(b, i, 0)))
            return GAL_EXIT_MISSED;
    }
    return GAL_EXIT_OK;
}

static int report(struct gal_bench *b)
{
    struct gal_err err;

    if (b->plan.json)
        gal_bench_json(b, b->cli->out);
    else if (b->steps_done) {
        gal_bench_plot(b);
        gal_bench_table_end(b);
    }
    if (b->plan.html && gal_bench_html(b, &err) != GAL_OK)
        return gal_cli_fail(b->cli, GAL_EXIT_FAILURE, &err);
    return verdict(b);
}

/* Told before the load, not after it; the file is written at the end. */
static enum gal_status check_html(const struct gal_bench *b, struct gal_err *err)
{
    FILE *out = b->plan.html ? fopen(b->plan.html, "a") : NULL;

    if (b->plan.html && !out)
        return gal_fail(err, GAL_IO, "%s cannot be written: %s", b->plan.html, strerror(errno));
    if (out)
        (void)fclose(out);
    return GAL_OK;
}

static int bench(struct gal_bench *b)
{
    struct gal_err err;
    int code = GAL_EXIT_FAILURE;

    gal_file_raise_limit();
    if (gal_loop_new(&b->loop, &err) != GAL_OK || lay_out(b, &err) != GAL_OK ||
        check_html(b, &err) != GAL_OK || open_sides(b, &err) != GAL_OK) {
        gal_cli_fail(b->cli, b->interrupted ? GAL_EXIT_INTERRUPTED : code, &err);
        code = b->interrupted                ? GAL_EXIT_INTERRUPTED
               : err.code == GAL_UNSUPPORTED ? GAL_EXIT_USAGE
                                             : code;
    } else {
        enum gal_status status = gal_bench_run(b, &err);
        if (b->steps_done || status == GAL_OK)
            code = report(b);
        if (status != GAL_OK)
            code = gal_cli_fail(b->cli, GAL_EXIT_FAILURE, &err);
    }
    return code;
}

static int run_bench(struct gal_cli *cli)
{
    struct gal_bench *b = gal_calloc(1, sizeof(*b));
    struct gal_err err;
    int code;

    if (!b) {
        gal_fail(&err, GAL_NO_MEMORY, "no memory for the benchmark");
        return gal_cli_fail(cli, GAL_EXIT_FAILURE, &err);
    }
    b->cli = cli;
    code = gal_bench_plan_read(cli, &b->plan);
    if (code == GAL_EXIT_OK)
        code = read_operands(cli, b);
    if (code == GAL_EXIT_OK && b->plan.client_cores &&
        gal_cores_pin(b->plan.client_cores, &err) != GAL_OK) {
        gal_err_place(&err, "--client-cores");
        code = gal_cli_fail(cli, GAL_EXIT_USAGE, &err);
    }
    b->progress = !b->plan.quiet && isatty(fileno(cli->err));
    b->utf8 = speaks_utf8();
    if (code == GAL_EXIT_OK)
        code = bench(b);
    for (size_t i = 0; i < b->side_count; i++)
        gal_bench_side_release(&b->sides[i]);
    gal_loop_free(b->loop);
    gal_free(b->results);
    gal_free(b);
    return code;
}

static const struct gal_option options[] = {
    {"concurrency", 'c', "LIST", "Closed loop: so many requests in flight [1..64]"},
    {"rate", 'r', "LIST", "Open loop: so many requests start a second, whatever comes back"},
    {"rows", '\0', "LIST", "Rows of a request [1]"},
    {"duration", 'd', "TIME", "Measured time of a step [3s]"},
    {"warmup", '\0', "TIME", "Time before that, not measured [500ms]"},
    {"arrivals", '\0', "poisson|constant", "Gaps between the starts of an open loop [poisson]"},
    {"connections", '\0', "N", "Most connections of an open loop [256]"},
    {"client-timeout", '\0', "TIME", "A request not answered by then has failed [10s]"},
    {"timeout", '\0', "TIME", "Deadline that requests ask the server to keep"},
    {"model", 'm', "NAME", "Which model, when the server has several"},
    {"model-version", '\0', "VERSION", "Which version [the server's choice]"},
    {"protocol", '\0', "auto|oip-binary|oip-json|native|grpc",
     "How requests are written; auto is the quickest over REST that the server names [auto]"},
    {"input", 'i', "FILE", "Send these: a request's JSON body, or one a line"},
    {"shape", '\0', "NAME:SIZES",
     "Shape of an input with open sizes, such as ids:1x128; again for "
     "each"},
    {"distinct", '\0', "N", "Different requests to make up [64]"},
    {"seed", '\0', "N", "Of inputs and arrivals [1]"},
    {"against", '\0', "PATH", "A second server, URL or PATH: both are loaded in turn and compared"},
    {"against-args", '\0', "TEXT", "Settings of the second server, in quotes"},
    {"rounds", '\0', "N", "Runs of each step; rows show the median [1; 5 with --against]"},
    {"slo", '\0', "LIST", "Objectives, such as p99=20ms,errors=0.1%: exit code 3 when missed"},
    {"server-cores", '\0', "LIST", "Cores of a server that is started, such as 0 or 0,2-3"},
    {"client-cores", '\0', "LIST", "Cores of the load generator; one is enough"},
    {"json", '\0', NULL, "Print the report as JSON"},
    {"html", '\0', "FILE", "Write the report with plots as a page too"},
    {"quiet", 'q', NULL, "No progress bar"},
    {"allow-remote", '\0', NULL, "The target may be another machine"},
};
static const struct gal_example examples[] = {
    {"galley bench model.onnx", "Start a server for the model, and raise the load step by step."},
    {"galley bench http://127.0.0.1:8080 --model iris -c 32 -d 10s",
     "A server that runs: 32 requests in flight for 10 seconds."},
    {"galley bench http://127.0.0.1:8080 --rate 1000:20000:1000",
     "How latency grows with the rate of requests that arrive by themselves."},
    {"galley bench model.onnx --rate 5k --slo p99=5ms,errors=0.1%",
     "In a pipeline: fails when the objective is missed."},
    {"galley bench model.onnx -c 32 --server-cores 0 --client-cores 1 -- --threads 1",
     "One core for the server, with a setting of its own."},
    {"galley bench model.onnx --against model.onnx --against-args='--batching off' -c 32",
     "What does a setting bring?"},
};

const struct gal_command gal_command_bench = {
    .name = "bench",
    .summary = "Load a server and measure it",
    .operands = "URL|PATH [-- SETTING...]",
    .words = "PATH",
    .operands_min = 1,
    .operands_max = SIZE_MAX,
    .text =
        "URL is a server that speaks the Open Inference Protocol, such as galley or Triton, or any "
        "HTTP server when it has a path (GET, or POST with --input). PATH is a model or a "
        "directory of models: galley serves it on a port of its own, with the settings behind --, "
        "and stops it at the end. --protocol grpc is for a port that speaks gRPC without TLS; "
        "galley's "
        "does both.\n\n"
        "A closed loop (--concurrency) waits for each answer before it asks again: it finds what "
        "the server can do. An open loop (--rate) starts requests at times of their own, as "
        "independent clients do, and counts latency from the intended start: it finds what clients "
        "would see. A LIST is 8, or 1,2,4, or 8..64 (doubling), or 1000:5000:500 (in steps).\n\n"
        "Inputs are made up from the model's metadata unless --input brings them. The exit code is "
        "0 when requests were answered, 1 when none was, 2 for a wrong command line, 3 when an "
        "objective was missed, 130 for Ctrl-C, which ends with the report of what was measured.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .examples = examples,
    .example_count = sizeof(examples) / sizeof(examples[0]),
    .run = run_bench,
};
