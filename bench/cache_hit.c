/* SPDX-License-Identifier: Apache-2.0 */
/* What a hit of the response cache costs beside an inline inference of the same model: the whole
 * way of a request from its bytes to its answer's, without sockets, on one thread.
 * usage: cache_hit LIBRARY MODEL COLUMNS [ROUNDS]; prints processor time a request in nanoseconds,
 * medians of the rounds, which take turns. */
#include "api/cached.h"
#include "api/exchange.h"
#include "backend/onnx.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define REQUESTS 20000
#define ROUNDS_MAX 99
#define BODY_BYTES 65536

enum way { INFERENCE, HIT, MISS, ASK, WAYS };
static const char *const names[WAYS] = {"inline inference, cache off", "hit", "miss",
                                        "hit, the cache's part alone"};

struct bench {
    struct gal_process process;
    struct gal_api_options options;
    struct gal_api api;
    struct gal_exchange x;
    struct gal_http_request req;
    struct gal_model *model;
    char body[BODY_BYTES];
    size_t json_bytes, columns;
    float *row; /* in body */
    char length[24];
    double ns[WAYS][ROUNDS_MAX];
};

static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* others may be busy here */
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void must(enum gal_status st, const struct gal_err *err)
{
    if (st == GAL_OK)
        return;
    fprintf(stderr, "cache_hit: %s\n", err->message);
    exit(1);
}

static void on_finished(struct gal_exchange *x)
{
    if (x->resp.status == 200)
        return;
    fprintf(stderr, "cache_hit: %d %.*s\n", x->resp.status, GAL_STR_ARG(gal_buf_str(&x->out)));
    exit(1);
}

static void load(struct bench *b, const char *library, const char *path)
{
    struct gal_model_options o = {.ops = &gal_backend_onnx, .clock = &gal_clock_system};
    struct gal_err err;

    gal_model_config_init(&o.config);
    o.config.backend.library = library;
    o.config.backend.intra_op_threads = o.config.backend.inter_op_threads = 1;
    o.config.mode = GAL_SCHED_INLINE;
    o.config.policy.rows_max = 1;
    must(gal_model_new("m", "1", path, &b->model, &err), &err);
    must(gal_model_load(b->model, &o, &err), &err);
}

static void open_api(struct bench *b)
{
    const struct gal_cache_options o = {.bytes_max = 64 << 20, .seed = 1};
    struct gal_err err;

    b->process.loaded = true;
    b->options = (struct gal_api_options){.body_bytes_max = BODY_BYTES, .instances_max = 1};
    b->api.options = &b->options;
    b->api.process = &b->process;
    b->api.clock = &gal_clock_system;
    gal_rng_seed(&b->api.rng);
    must(gal_catalog_new(&b->model, 1, &b->api.catalog, &err), &err);
    must(gal_metrics_new(&b->api.metrics, &err), &err);
    must(gal_metrics_shard(b->api.metrics, &b->api.shard, &err), &err);
    must(gal_loop_new(&b->api.loop, &err), &err);
    must(gal_cache_new(&o, &b->api.cache, &err), &err);
    gal_exchange_init(&b->x, &b->api);
    b->x.req = &b->req;
    b->x.on_finished = on_finished;
}

/* One row by the binary extension. */
static void write_body(struct bench *b)
{
    int n = snprintf(b->body, 512,
                     "{\"inputs\":[{\"name\":\"%s\",\"datatype\":\"FP32\",\"shape\":[1,%zu],"
                     "\"parameters\":{\"binary_data_size\":%zu}}],"
                     "\"parameters\":{\"binary_data_output\":true}}",
                     b->model->info->inputs[0].name.p, b->columns, b->columns * sizeof(float));

    while (n % 64 != 0)
        b->body[n++] = ' ';
    b->json_bytes = (size_t)n;
    b->row = (float *)(void *)(b->body + n);
    for (size_t i = 0; i < b->columns; i++)
        b->row[i] = (float)i / 7;
    snprintf(b->length, sizeof(b->length), "%zu", b->json_bytes);
    b->req.method = GAL_METHOD_POST;
    b->req.version_major = b->req.version_minor = 1;
    b->req.path = b->req.target = GAL_STR("/v2/models/m/infer");
    b->req.body = (struct gal_str){b->body, b->json_bytes + b->columns * sizeof(float)};
    b->req.known[GAL_HDR_INFERENCE_HEADER_CONTENT_LENGTH] = gal_str_of(b->length);
    b->req.content_length = -1;
}

static double request_ns(struct bench *b, enum way way)
{
    double start = now_ns();

    b->model->config.cache.on = way != INFERENCE;
    for (int i = 0; i < REQUESTS; i++) {
        if (way == MISS)
            b->row[0] += 1;
        gal_api_handle(&b->x);
        gal_exchange_reset(&b->x);
    }
    return (now_ns() - start) / REQUESTS;
}

static double ask_ns(struct bench *b)
{
    struct gal_cache_model *m = gal_cache_find_model(b->api.cache, b->model->index);
    static char key[256];
    struct gal_cache_ask first = {.model = m, .key = {key, sizeof(key)}};
    const struct gal_value y = {.tensor = {.dtype = GAL_DT_FP32, .count = 1, .data = key}};
    struct gal_cache_entry *e;
    double start;

    if (gal_cache_ask(b->api.cache, &first, 1) == GAL_CACHE_HIT) {
        gal_cache_entry_unref(first.entry);
    } else {
        must(gal_cache_entry_new(first.key, &y, 1, &e, NULL), NULL);
        gal_cache_settle(b->api.cache, &first, e, 0, 1);
        gal_cache_entry_unref(e);
    }
    start = now_ns();
    for (int i = 0; i < REQUESTS; i++) {
        struct gal_cache_ask ask = {.model = m, .key = {key, sizeof(key)}};
        (void)gal_cache_ask(b->api.cache, &ask, 1);
        gal_cache_entry_unref(ask.entry);
    }
    return (now_ns() - start) / REQUESTS;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    static struct bench b;
    int rounds = argc > 4 ? (int)strtol(argv[4], NULL, 10) : 15;

    if (argc < 4 || rounds < 1 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "usage: cache_hit LIBRARY MODEL COLUMNS [ROUNDS]\n");
        return 2;
    }
    b.columns = strtoul(argv[3], NULL, 10);
    if (b.columns == 0 || b.columns > (BODY_BYTES - 512) / sizeof(float))
        return 2;
    load(&b, argv[1], argv[2]);
    open_api(&b);
    write_body(&b);
    for (int r = -1; r < rounds; r++) /* the first is thrown away */
        for (int way = 0; way < WAYS; way++)
            b.ns[way][r < 0 ? 0 : r] = way == ASK ? ask_ns(&b) : request_ns(&b, (enum way)way);
    for (int way = 0; way < WAYS; way++) {
        qsort(b.ns[way], (size_t)rounds, sizeof(double), compare);
        printf("%-28s %8.0f ns\n", names[way], b.ns[way][rounds / 2]);
    }
    return 0;
}
