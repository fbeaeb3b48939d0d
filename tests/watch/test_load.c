/* SPDX-License-Identifier: Apache-2.0 */
/* Rates of the last seconds, load gauges, Triton's names. */
#include "watch/load.h"
#include "watch/meter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* --- meter --- */

static void add(struct gal_meter *m, uint64_t second, uint64_t busy_ms, uint64_t calls,
                uint64_t rows)
{
    gal_meter_add(
        m, &(struct gal_meter_sample){second * 1000000 + 17, busy_ms * 1000000, calls, rows});
}

static void assert_near(double a, double b)
{
    assert_true(a > b - 1e-9 && a < b + 1e-9);
}

static void one_sample_is_no_rate(void **state)
{
    struct gal_meter m = {.count = 0};

    (void)state;
    assert_near(gal_meter_busy(&m, 2), 0);
    add(&m, 1, 500, 5, 10);
    assert_near(gal_meter_busy(&m, 2), 0);
    assert_near(gal_meter_rows(&m), 0);
}

static void busy_is_the_share_of_all_workers(void **state)
{
    struct gal_meter m = {.count = 0};

    (void)state;
    add(&m, 1, 0, 0, 0);
    add(&m, 2, 500, 10, 40);
    assert_near(gal_meter_busy(&m, 1), 0.5);
    assert_near(gal_meter_busy(&m, 4), 0.125);
    assert_near(gal_meter_rows(&m), 4);
    add(&m, 3, 2500, 20, 60); /* inline calls beside the workers' */
    assert_near(gal_meter_busy(&m, 1), 1);
    assert_near(gal_meter_busy(&m, 0), 0);
    assert_near(gal_meter_rows(&m), 3);
}

static void the_window_is_ten_seconds(void **state)
{
    struct gal_meter m = {.count = 0};

    (void)state;
    for (uint64_t s = 0; s <= 100; s++)
        add(&m, s, s <= 50 ? s * 1000 : 50000, s <= 50 ? s : 50, s <= 50 ? 8 * s : 400);
    assert_near(gal_meter_busy(&m, 1), 0); /* it has been idle for long */
    assert_near(gal_meter_rows(&m), 0);
    for (uint64_t s = 101; s <= 105; s++)
        add(&m, s, 50000 + (s - 100) * 1000, 50 + (s - 100), 400 + (s - 100) * 2);
    assert_near(gal_meter_busy(&m, 1), 0.5);
    assert_near(gal_meter_rows(&m), 2);
    for (uint64_t s = 106; s <= 110; s++)
        add(&m, s, 50000 + (s - 100) * 1000, 50 + (s - 100), 400 + (s - 100) * 2);
    assert_near(gal_meter_busy(&m, 1), 1);
}

static void samples_of_the_same_moment_divide_by_nothing(void **state)
{
    struct gal_meter m = {.count = 0};

    (void)state;
    add(&m, 1, 0, 0, 0);
    add(&m, 1, 100, 1, 1);
    assert_near(gal_meter_busy(&m, 1), 0);
    assert_near(gal_meter_rows(&m), 1);
}

/* --- pages --- */

static char *render(bool triton, const struct gal_load *loads, size_t count)
{
    struct gal_expo e;
    struct gal_buf out;
    char *text;

    gal_buf_init(&out, 1 << 20);
    gal_expo_init(&e, GAL_EXPO_TEXT, &out);
    if (triton)
        gal_triton_render(&e, loads, count, 0.375);
    else
        gal_load_render(&e, loads, count);
    gal_expo_end(&e);
    assert_false(out.failed);
    gal_buf_putc(&out, '\0');
    text = strdup(out.p);
    gal_buf_release(&out);
    return text;
}

static const struct gal_load two[] = {
    {.labels = "model=\"a\",model_version=\"1\"",
     .triton_labels = "model=\"a\",version=\"1\"",
     .stats = {.success = 7,
               .failed = 1,
               .rejected = 2,
               .expired = 3,
               .cancelled = 4,
               .rows = 70,
               .executions = 6,
               .success_time = {7, 7000999},
               .queue = {8, 8000000},
               .input = {7, 100000},
               .infer = {7, 200000},
               .output = {7, 300000},
               .waiting = 11,
               .waiting_bytes = 1200,
               .in_flight = 13,
               .running = 2,
               .workers = 4,
               .rows_max = 64,
               .delay_us = 1500,
               .p99_us = 250000},
     .cache = {{5, 50000}, {6, 60000}},
     .executions = 5,
     .refused = 9,
     .load_us = 1250000},
    {.labels = "model=\"b\",model_version=\"2\"", .triton_labels = "model=\"b\",version=\"2\""},
};

static void has(const char *text, const char *line)
{
    if (strstr(text, line) == NULL)
        fail_msg("no %s in %s", line, text);
}

static void load_gauges_say_what_a_scheduler_says(void **state)
{
    char *text = render(false, two, 2);

    (void)state;
    has(text, "# TYPE inference_queue_requests gauge\n");
    has(text, "\ninference_queue_requests{model=\"a\",model_version=\"1\"} 11\n");
    has(text, "\ninference_queue_requests{model=\"b\",model_version=\"2\"} 0\n");
    has(text, "\ninference_queue_bytes{model=\"a\",model_version=\"1\"} 1200\n");
    has(text, "\ninference_requests_in_flight{model=\"a\",model_version=\"1\"} 13\n");
    has(text, "\ninference_calls_running{model=\"a\",model_version=\"1\"} 2\n");
    has(text, "\ninference_workers{model=\"a\",model_version=\"1\"} 4\n");
    has(text, "\ninference_p99_latency_seconds{model=\"a\",model_version=\"1\"} 0.25\n");
    has(text, "\ninference_p99_latency_seconds{model=\"b\",model_version=\"2\"} 0\n");
    has(text, "\ninference_batch_rows_max{model=\"a\",model_version=\"1\"} 64\n");
    has(text, "\ninference_batch_delay_seconds{model=\"a\",model_version=\"1\"} 0.0015\n");
    free(text);
}

static void tritons_names_say_it_in_microseconds(void **state)
{
    char *text = render(true, two, 2);

    (void)state;
#define A "{model=\"a\",version=\"1\"}"
    has(text, "\nnv_inference_request_success" A " 12\n"); /* those from the cache too */
    has(text, "\nnv_inference_request_duration_us" A " 7050\n");
    has(text, "\nnv_inference_count" A " 70\n");
    has(text, "\nnv_inference_exec_count" A " 5\n");
    has(text, "\nnv_inference_queue_duration_us" A " 8000\n");
    has(text, "\nnv_inference_compute_input_duration_us" A " 100\n");
    has(text, "\nnv_inference_compute_infer_duration_us" A " 200\n");
    has(text, "\nnv_inference_compute_output_duration_us" A " 300\n");
    has(text, "\nnv_inference_pending_request_count" A " 11\n");
    has(text, "\nnv_model_load_duration_secs" A " 1.25\n");
    has(text, "\nnv_cache_num_hits_per_model" A " 5\n");
    has(text, "\nnv_cache_num_misses_per_model" A " 6\n");
    has(text, "\nnv_cache_hit_duration_per_model" A " 50\n");
    has(text, "\nnv_cache_miss_duration_per_model" A " 60\n");
#define FAILED "\nnv_inference_request_failure{model=\"a\",version=\"1\",reason="
    has(text, FAILED "\"REJECTED\"} 5\n");
    has(text, FAILED "\"CANCELED\"} 4\n");
    has(text, FAILED "\"BACKEND\"} 1\n");
    has(text, FAILED "\"OTHER\"} 9\n");
    has(text, "\nnv_cpu_utilization 0.375\n");
    has(text, "\nnv_cpu_memory_total_bytes ");
    has(text, "\nnv_cpu_memory_used_bytes ");
    free(text);
}

static void without_models_there_are_no_families_of_models(void **state)
{
    char *text = render(false, NULL, 0);

    (void)state;
    assert_string_equal(text, "");
    free(text);
    text = render(true, NULL, 0);
    assert_null(strstr(text, "nv_inference"));
    has(text, "nv_cpu_utilization");
    free(text);
}

/* --- the machine --- */

static void processor_ticks_are_read_or_refused(void **state)
{
    uint64_t busy, total;

    (void)state;
    assert_true(gal_cpu_parse(
        GAL_STR("cpu  100 2 30 400 50 6 7 8 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\n"), &busy, &total));
    assert_int_equal(total, 603);
    assert_int_equal(busy, 153);
    assert_true(gal_cpu_parse(GAL_STR("cpu  1 2 3 4 5\n"), &busy, &total));
    assert_int_equal(busy, 6);
    assert_false(gal_cpu_parse(GAL_STR("cpu  1 2 3\n"), &busy, &total));
    assert_false(gal_cpu_parse(GAL_STR("cpu  1 2 x 4 5\n"), &busy, &total));
    assert_false(gal_cpu_parse(GAL_STR("intr 1 2 3 4 5\n"), &busy, &total));
    assert_false(gal_cpu_parse(GAL_STR(""), &busy, &total));
}

static void the_first_sample_of_the_processors_says_nothing(void **state)
{
    struct gal_cpu_meter m = {.total = 0};
    double share;

    (void)state;
    assert_true(gal_cpu_sample(&m) == 0);
    assert_true(m.total > 0);
    share = gal_cpu_sample(&m);
    assert_true(share >= 0 && share <= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_sample_is_no_rate),
        cmocka_unit_test(busy_is_the_share_of_all_workers),
        cmocka_unit_test(the_window_is_ten_seconds),
        cmocka_unit_test(samples_of_the_same_moment_divide_by_nothing),
        cmocka_unit_test(load_gauges_say_what_a_scheduler_says),
        cmocka_unit_test(tritons_names_say_it_in_microseconds),
        cmocka_unit_test(without_models_there_are_no_families_of_models),
        cmocka_unit_test(processor_ticks_are_read_or_refused),
        cmocka_unit_test(the_first_sample_of_the_processors_says_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
