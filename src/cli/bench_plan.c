/* SPDX-License-Identifier: Apache-2.0 */
/* The options of `galley bench`, read into a plan. */
#include "cli/bench.h"

#define CONNECTIONS_MAX 65536u /* what one loopback address has ports for, about */
#define RATE_MAX 10000000u
#define ROWS_MAX 1000000u
#define ROUNDS_MAX GAL_PAIRS_MAX
#define DISTINCT_MAX 65536u

/* Rows as the configuration has them: the same spelling and the same errors. */
static const struct gal_config_row time_row = {
    .name = "time", .type = GAL_CONF_DURATION, .min = 1, .max = 3600000000u * 24, .arg = "TIME"};
static const struct gal_config_row pause_row = {
    .name = "time", .type = GAL_CONF_DURATION, .min = 0, .max = 3600000000u, .arg = "TIME"};

static int wrong(struct gal_cli *cli, const char *option, struct gal_err *err)
{
    gal_err_place(err, "--%s", option);
    return gal_cli_fail(cli, GAL_EXIT_USAGE, err);
}

static int read_time(struct gal_cli *cli, const char *option, const char *otherwise,
                     const struct gal_config_row *row, uint64_t *us)
{
    const char *text = gal_cli_value(cli, option);
    struct gal_config_value value;
    struct gal_err err;

    if (gal_config_parse(row, text ? text : otherwise, &value, &err) != GAL_OK)
        return wrong(cli, option, &err);
    *us = value.number;
    return GAL_EXIT_OK;
}

static int read_number(struct gal_cli *cli, const char *option, uint64_t otherwise, uint64_t min,
                       uint64_t max, uint64_t *out)
{
    const char *text = gal_cli_value(cli, option);

    *out = otherwise;
    if (!text)
        return GAL_EXIT_OK;
    if (gal_str_u64(gal_str_of(text), out) != GAL_OK || *out < min || *out > max)
        return gal_cli_usage(cli, "--%s: '%s' is not a whole number within %llu..%llu", option,
                             text, (unsigned long long)min, (unsigned long long)max);
    return GAL_EXIT_OK;
}

static int read_sweep(struct gal_cli *cli, const char *option, const char *otherwise, uint64_t max,
                      struct gal_sweep *out)
{
    const char *text = gal_cli_value(cli, option);
    struct gal_err err;

    out->count = 0;
    text = text ? text : otherwise;
    if (text && gal_sweep_parse(gal_str_of(text), 1, max, out, &err) != GAL_OK)
        return wrong(cli, option, &err);
    return GAL_EXIT_OK;
}

static int read_words(struct gal_cli *cli, struct gal_bench_plan *p)
{
    struct gal_str protocol = gal_str_of(gal_cli_value(cli, "protocol"));
    struct gal_str arrivals = gal_str_of(gal_cli_value(cli, "arrivals"));

    p->protocol = protocol.n ? gal_protocol_find(protocol) : GAL_PROTOCOL_COUNT;
    if (protocol.n && !gal_str_is(protocol, "auto") && p->protocol >= GAL_PROTOCOL_HTTP)
        return gal_cli_usage(cli,
                             "--protocol: '%.*s' is none of auto, oip-binary, oip-json, native, "
                             "grpc",
                             GAL_STR_ARG(protocol));
    if (arrivals.n && !gal_str_is(arrivals, "poisson") && !gal_str_is(arrivals, "constant"))
        return gal_cli_usage(cli, "--arrivals: '%.*s' is none of poisson, constant",
                             GAL_STR_ARG(arrivals));
    p->arrivals = gal_str_is(arrivals, "constant") ? GAL_ARRIVALS_CONSTANT : GAL_ARRIVALS_POISSON;
    return GAL_EXIT_OK;
}

static int read_shapes(struct gal_cli *cli, struct gal_bench_plan *p)
{
    struct gal_err err;

    for (size_t i = 0; i < cli->given_count; i++) {
        const struct gal_given *g = &cli->given[i];
        struct gal_bench_shape *s = &p->shapes[p->shape_count];
        if (!g->own || strcmp(g->own->name, "shape") != 0)
            continue;
        if (p->shape_count == GAL_BENCH_SHAPES_MAX)
            return gal_cli_usage(cli, "--shape: more than %u are given", GAL_BENCH_SHAPES_MAX);
        if (gal_shape_spec_parse(gal_str_of(g->value), &s->name, s->shape, &s->rank, &err) !=
            GAL_OK)
            return wrong(cli, "shape", &err);
        p->shape_count++;
    }
    return GAL_EXIT_OK;
}

static int read_objectives(struct gal_cli *cli, struct gal_bench_plan *p)
{
    const char *text = gal_cli_value(cli, "slo");
    struct gal_err err;

    if (text && gal_objectives_parse(gal_str_of(text), &p->objectives, &err) != GAL_OK)
        return wrong(cli, "slo", &err);
    return GAL_EXIT_OK;
}

static int check_pairs(struct gal_cli *cli, const struct gal_bench_plan *p)
{
    if (p->rate.count && gal_cli_has(cli, "concurrency"))
        return gal_cli_usage(cli, "--rate and --concurrency exclude each other: a rate fixes when "
                                  "requests start, a concurrency how many are in flight");
    if (!p->rate.count && gal_cli_has(cli, "connections"))
        return gal_cli_usage(cli, "--connections goes with --rate; say --concurrency");
    if (!p->rate.count && gal_cli_has(cli, "arrivals"))
        return gal_cli_usage(cli, "--arrivals goes with --rate");
    if (p->input && (p->rows_given || p->shape_count))
        return gal_cli_usage(cli, "--input says the requests as they are: --rows and --shape are "
                                  "for made-up ones");
    if (p->input && p->timeout_us)
        return gal_cli_usage(cli, "--timeout is put into made-up requests: write it into the "
                                  "\"parameters\" of --input");
    if (p->timeout_us && p->protocol == GAL_PROTOCOL_NATIVE)
        return gal_cli_usage(cli, "--timeout is the Open Inference Protocol's: choose --protocol "
                                  "oip-binary, oip-json or grpc");
    if (p->input && p->protocol == GAL_PROTOCOL_GRPC)
        return gal_cli_usage(cli, "--input is JSON, which --protocol grpc does not send: its "
                                  "requests are made up (--rows, --shape)");
    if (gal_cli_has(cli, "against-args") && !gal_cli_has(cli, "against"))
        return gal_cli_usage(cli, "--against-args goes with --against PATH");
    return GAL_EXIT_OK;
}

static int read_numbers(struct gal_cli *cli, struct gal_bench_plan *p)
{
    uint64_t duration, warmup, client, connections, distinct, rounds;
    int code = read_time(cli, "duration", "3s", &time_row, &duration);

    if (code == GAL_EXIT_OK)
        code = read_time(cli, "warmup", "500ms", &pause_row, &warmup);
    if (code == GAL_EXIT_OK)
        code = read_time(cli, "client-timeout", "10s", &time_row, &client);
    if (code == GAL_EXIT_OK)
        code = read_time(cli, "timeout", "0s", &pause_row, &p->timeout_us);
    if (code == GAL_EXIT_OK)
        code = read_number(cli, "connections", 256, 1, CONNECTIONS_MAX, &connections);
    if (code == GAL_EXIT_OK)
        code = read_number(cli, "distinct", 64, 1, DISTINCT_MAX, &distinct);
    if (code == GAL_EXIT_OK)
        code = read_number(cli, "seed", 1, 0, UINT64_MAX, &p->seed);
    if (code == GAL_EXIT_OK)
        code =
            read_number(cli, "rounds", gal_cli_has(cli, "against") ? 5 : 1, 1, ROUNDS_MAX, &rounds);
    if (code != GAL_EXIT_OK)
        return code;
    p->duration_ns = duration * 1000;
    p->warmup_ns = warmup * 1000;
    p->client_timeout_ns = client * 1000;
    p->connections = (size_t)connections;
    p->distinct = (size_t)distinct;
    p->rounds = (size_t)rounds;
    return GAL_EXIT_OK;
}

int gal_bench_plan_read(struct gal_cli *cli, struct gal_bench_plan *p)
{
    int code;

    *p = (struct gal_bench_plan){
        .model = gal_str_of(gal_cli_value(cli, "model")),
        .version = gal_str_of(gal_cli_value(cli, "model-version")),
        .input = gal_cli_value(cli, "input"),
        .html = gal_cli_value(cli, "html"),
        .server_cores = gal_cli_value(cli, "server-cores"),
        .client_cores = gal_cli_value(cli, "client-cores"),
        .rows_given = gal_cli_has(cli, "rows"),
        .json = gal_cli_has(cli, "json"),
        .quiet = gal_cli_has(cli, "quiet"),
        .allow_remote = gal_cli_has(cli, "allow-remote"),
    };
    code = read_numbers(cli, p);
    if (code == GAL_EXIT_OK)
        code = read_sweep(cli, "rate", NULL, RATE_MAX, &p->rate);
    if (code == GAL_EXIT_OK)
        code = read_sweep(cli, "concurrency", "1..64", CONNECTIONS_MAX, &p->concurrency);
    if (code == GAL_EXIT_OK)
        code = read_sweep(cli, "rows", "1", ROWS_MAX, &p->rows);
    if (code == GAL_EXIT_OK)
        code = read_words(cli, p);
    if (code == GAL_EXIT_OK)
        code = read_shapes(cli, p);
    if (code == GAL_EXIT_OK)
        code = read_objectives(cli, p);
    if (code == GAL_EXIT_OK)
        code = check_pairs(cli, p);
    return code;
}
