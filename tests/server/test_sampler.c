/* SPDX-License-Identifier: Apache-2.0 */
/* The sampler over models of the fake backend; seconds pass when the test says so. */
#include "backend/fake.h"
#include "base/mem.h"
#include "server/sampler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { MODELS = 3 };
#define SECOND UINT64_C(1000000)

static uint64_t now_us;

static uint64_t read_clock(void *ctx)
{
    (void)ctx;
    return now_us;
}

static const struct gal_clock test_clock = {.mono_us = read_clock, .wall_us = read_clock};

/* --- a backend whose runs take time --- */

static uint64_t cost_us;
static struct gal_backend_ops dear; /* the fake's but for run */

static enum gal_status run_dear(struct gal_session *session, const struct gal_value *inputs,
                                const size_t *wanted, size_t output_count, struct gal_arena *arena,
                                struct gal_value *outputs, struct gal_err *err)
{
    now_us += cost_us;
    return gal_backend_fake.run(session, inputs, wanted, output_count, arena, outputs, err);
}

struct state {
    struct gal_metrics *metrics;
    struct gal_sampler *sampler;
    struct gal_model *models[MODELS];
    char path[40];
};

static struct gal_model *load(struct state *s, const char *name)
{
    struct gal_model_options o = {.ops = &dear, .clock = &test_clock};
    struct gal_model *m;

    gal_model_config_init(&o.config);
    o.config.mode = GAL_SCHED_INLINE;
    o.config.workers = 2;
    o.config.policy.rows_max = 8;
    assert_int_equal(gal_model_new(name, "1", s->path, &m, NULL), GAL_OK);
    assert_int_equal(gal_model_load(m, &o, NULL), GAL_OK);
    return m;
}

static int set_up(void **state)
{
    static const char *const names[MODELS] = {"a", "b", "c"};
    struct state *s = calloc(1, sizeof(*s));
    FILE *file;
    int fd;

    snprintf(s->path, sizeof(s->path), "/tmp/galley-sampler-XXXXXX");
    fd = mkstemp(s->path);
    assert_true(fd >= 0);
    file = fdopen(fd, "w");
    fputs("input x FP32 [-1,1]\noutput y FP32 [-1,1]\n", file);
    fclose(file);
    now_us = 100 * SECOND;
    dear = gal_backend_fake;
    dear.run = run_dear;
    cost_us = 0;
    assert_int_equal(gal_metrics_new(&s->metrics, NULL), GAL_OK);
    assert_int_equal(gal_sampler_new(s->metrics, &s->sampler, NULL), GAL_OK);
    for (size_t i = 0; i < MODELS; i++)
        s->models[i] = load(s, names[i]);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct state *s = *state;

    for (size_t i = 0; i < MODELS; i++)
        gal_model_unref(s->models[i]);
    gal_sampler_free(s->sampler);
    gal_metrics_free(s->metrics);
    unlink(s->path);
    free(s);
    return 0;
}

static void take(struct state *s, struct gal_model *const *models, size_t count)
{
    struct gal_catalog *c;

    assert_int_equal(gal_catalog_new(models, count, &c, NULL), GAL_OK);
    now_us += SECOND;
    gal_sampler_take(s->sampler, c, now_us);
    gal_catalog_unref(c);
}

static void on_done(struct gal_job *job)
{
    assert_int_equal(job->status, GAL_OK);
    gal_job_release(job);
}

/* One inference of `rows` rows that takes `us`. */
static void infer(struct gal_model *m, size_t rows, uint64_t us)
{
    static const size_t wanted[] = {0};
    float data[64] = {0};
    const int64_t shape[] = {(int64_t)rows, 1};
    struct gal_value in = {
        .kind = GAL_KIND_TENSOR,
        .tensor = {.dtype = GAL_DT_FP32, .rank = 2, .shape = shape, .count = rows, .data = data}};
    struct gal_value out;
    struct gal_arena arena;
    struct gal_job job = {.inputs = &in,
                          .wanted = wanted,
                          .output_count = 1,
                          .rows = rows,
                          .arena = &arena,
                          .outputs = &out,
                          .on_done = on_done};

    cost_us = us;
    gal_arena_init(&arena, 4096, 0, 1 << 20);
    gal_sched_submit(m->sched, &job);
    gal_arena_release(&arena);
}

/* The gauge of a model; -1 when the page does not have it. */
static double gauge(struct state *s, const char *name, const char *model)
{
    char sample[128];
    const char *at;
    struct gal_expo e;
    struct gal_buf out;
    double v = -1;

    gal_buf_init(&out, 1 << 20);
    gal_expo_init(&e, GAL_EXPO_TEXT, &out);
    gal_metrics_render(s->metrics, &e);
    gal_expo_end(&e);
    gal_buf_putc(&out, '\0');
    snprintf(sample, sizeof(sample), "\n%s{model=\"%s\",model_version=\"1\"} ", name, model);
    at = strstr(out.p, sample);
    if (at != NULL)
        v = strtod(at + strlen(sample), NULL);
    gal_buf_release(&out);
    return v;
}

static void a_version_has_its_gauges_from_the_first_sample(void **state)
{
    struct state *s = *state;

    take(s, s->models, MODELS);
    assert_true(gauge(s, "inference_busy_ratio", "a") == 0);
    assert_true(gauge(s, "inference_batch_fill_ratio", "c") == 0);
}

static void busy_is_told_by_model(void **state)
{
    struct state *s = *state;

    take(s, s->models, MODELS);
    infer(s->models[1], 1, 500000); /* of 2 workers' 1.5 s */
    take(s, s->models, MODELS);
    assert_true(gauge(s, "inference_busy_ratio", "a") == 0);
    assert_true(gauge(s, "inference_busy_ratio", "b") > 0.16);
    assert_true(gauge(s, "inference_busy_ratio", "b") < 0.17);
    for (size_t i = 0; i < 12; i++)
        take(s, s->models, MODELS);
    assert_true(gauge(s, "inference_busy_ratio", "b") == 0);
}

static void samples_stay_with_their_model_when_others_come_and_go(void **state)
{
    struct state *s = *state;
    struct gal_model *last_two[] = {s->models[1], s->models[2]};

    take(s, last_two, 2);
    infer(s->models[2], 1, 1000000);
    take(s, last_two, 2);
    double before = gauge(s, "inference_busy_ratio", "c");
    assert_true(before > 0.2);
    now_us -= SECOND;
    take(s, s->models, MODELS); /* a comes before them */
    assert_true(gauge(s, "inference_busy_ratio", "c") == before);
    assert_true(gauge(s, "inference_busy_ratio", "a") == 0);
    take(s, last_two, 2); /* and leaves */
    assert_true(gauge(s, "inference_busy_ratio", "a") == -1);
    assert_true(gauge(s, "inference_batch_fill_ratio", "a") == -1);
    assert_true(gauge(s, "inference_busy_ratio", "c") > 0);
}

static void a_version_that_came_anew_starts_anew(void **state)
{
    struct state *s = *state;
    struct gal_model *fresh = load(s, "a");

    take(s, s->models, 1);
    infer(s->models[0], 1, 1000000);
    take(s, s->models, 1);
    assert_true(gauge(s, "inference_busy_ratio", "a") > 0.2);
    take(s, &fresh, 1);
    assert_true(gauge(s, "inference_busy_ratio", "a") == 0);
    gal_model_unref(fresh);
}

static void without_memory_a_sample_is_left_out(void **state)
{
    struct state *s = *state;
    struct gal_sampler *none = s->sampler;
    struct gal_catalog *c;
    bool done = false;

    gal_alloc_fail_at(1, 1);
    assert_int_equal(gal_sampler_new(s->metrics, &none, NULL), GAL_NO_MEMORY);
    gal_alloc_fail_at(0, 0);
    assert_null(none);
    assert_int_equal(gal_catalog_new(s->models, MODELS, &c, NULL), GAL_OK);
    for (uint64_t i = 1; !done && i < 100; i++) {
        gal_alloc_fail_at(i, 1);
        gal_sampler_take(s->sampler, c, now_us);
        gal_alloc_fail_at(0, 0);
        done = gauge(s, "inference_busy_ratio", "a") == 0 &&
               gauge(s, "inference_busy_ratio", "b") == 0 &&
               gauge(s, "inference_busy_ratio", "c") == 0;
        gal_sampler_free(s->sampler);
        assert_int_equal(gal_sampler_new(s->metrics, &s->sampler, NULL), GAL_OK);
    }
    assert_true(done);
    gal_catalog_unref(c);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_version_has_its_gauges_from_the_first_sample),
        TEST(busy_is_told_by_model),
        TEST(samples_stay_with_their_model_when_others_come_and_go),
        TEST(a_version_that_came_anew_starts_anew),
        TEST(without_memory_a_sample_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
