/* SPDX-License-Identifier: Apache-2.0 */
#include "api/desk.h"

#include "api/openapi.h"
#include "backend/fake.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static uint64_t read_clock(void *ctx)
{
    return ((struct desk *)ctx)->now_us;
}

static void on_finished(struct gal_exchange *x)
{
    struct desk *d = x->carrier;

    d->finished++;
    if (d->api.loop != NULL)
        gal_loop_stop(d->api.loop);
}

static void model_path(const struct desk *d, size_t index, char *out, size_t size)
{
    snprintf(out, size, "%s/%zu", d->dir, index);
}

enum gal_status desk_load(struct desk *d, size_t index, const char *text)
{
    struct gal_model_options options = {.ops = &gal_backend_fake, .clock = &d->clock};
    FILE *file = fopen(d->models[index]->path, "w");

    gal_model_config_init(&options.config);
    options.config.warmup_runs = 1;
    options.config.mode = GAL_SCHED_INLINE;
    options.config.workers = 1;
    options.config.policy.rows_max = 1;
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    return gal_model_load(d->models[index], &options, NULL);
}

void desk_open(struct desk *d, const struct desk_model *models, size_t count, bool loop)
{
    char path[64];

    memset(d, 0, sizeof(*d));
    snprintf(d->dir, sizeof(d->dir), "/tmp/galley-desk-XXXXXX");
    assert_non_null(mkdtemp(d->dir));
    d->now_us = 1705328621123000; /* 2024-01-15T14:23:41.123Z */
    d->clock = (struct gal_clock){.mono_us = read_clock, .wall_us = read_clock, .ctx = d};
    d->options = (struct gal_api_options){
        .body_bytes_max = 1 << 24, .instances_max = 1000, .readiness_ttl_us = 30000000};
    d->process.start_mono_us = d->process.start_wall_us = d->now_us - 5000000;
    d->process.loaded = true;
    d->count = count;
    for (size_t i = 0; i < count; i++) {
        model_path(d, i, path, sizeof(path));
        assert_int_equal(
            gal_model_new(models[i].name, models[i].version, path, &d->models[i], NULL), GAL_OK);
        if (models[i].text != NULL)
            (void)desk_load(d, i, models[i].text);
    }
    d->api.options = &d->options;
    d->api.process = &d->process;
    d->api.clock = &d->clock;
    gal_rng_seed(&d->api.rng);
    assert_int_equal(gal_catalog_new(d->models, count, &d->api.catalog, NULL), GAL_OK);
    assert_int_equal(gal_metrics_new(&d->api.metrics, NULL), GAL_OK);
    assert_int_equal(gal_metrics_shard(d->api.metrics, &d->api.shard, NULL), GAL_OK);
    if (loop)
        assert_int_equal(gal_loop_new(&d->api.loop, NULL), GAL_OK);
    gal_exchange_init(&d->x, &d->api);
    gal_buf_init(&d->body, 1 << 28);
    d->x.req = &d->req;
    d->x.on_finished = on_finished;
    d->x.carrier = d;
}

void desk_close(struct desk *d)
{
    char path[64];

    gal_exchange_release(&d->x);
    gal_openapi_free(&d->api);
    gal_catalog_unref(d->api.catalog);
    gal_loop_free(d->api.loop);
    gal_metrics_free(d->api.metrics);
    gal_buf_release(&d->body);
    for (size_t i = 0; i < d->count; i++) {
        model_path(d, i, path, sizeof(path));
        (void)unlink(path);
        gal_model_unref(d->models[i]);
    }
    (void)rmdir(d->dir);
}

void desk_begin(struct desk *d, enum gal_method method, const char *target, const char *body)
{
    struct gal_str rest = gal_str_of(target);

    d->finished = 0;
    d->req.method = method;
    d->req.version_major = d->req.version_minor = 1;
    d->req.target = rest;
    gal_str_cut(&rest, '?', &d->req.path);
    d->req.query = rest;
    d->req.body = gal_str_of(body);
    gal_api_handle(&d->x);
}

void desk_await(struct desk *d)
{
    while (d->finished == 0)
        gal_loop_run(d->api.loop);
    assert_int_equal(d->finished, 1);
    gal_buf_clear(&d->body, SIZE_MAX);
    for (size_t i = 0; i < d->x.resp.part_count; i++)
        gal_buf_put_str(&d->body, d->x.resp.parts[i]);
    assert_int_equal(d->body.n, d->x.resp.body_bytes);
    gal_buf_putc(&d->body, '\0');
}

int desk_ask(struct desk *d, enum gal_method method, const char *target, const char *body)
{
    desk_begin(d, method, target, body);
    desk_await(d);
    return d->x.resp.status;
}

const char *desk_header(struct desk *d, const char *name)
{
    for (size_t i = 0; i < d->x.resp.header_count; i++)
        if (gal_str_ieq(d->x.resp.headers[i].name, gal_str_of(name)))
            return gal_arena_strdup(&d->x.arena, d->x.resp.headers[i].value);
    return NULL;
}

void desk_next(struct desk *d)
{
    gal_exchange_reset(&d->x);
    memset(&d->req, 0, sizeof(d->req));
}

uint64_t desk_runs(const struct desk *d, size_t index)
{
    return gal_fake_runs(d->models[index]->session);
}
