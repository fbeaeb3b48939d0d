/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/thread.h"
#include "sched/stats.h"

#define SECOND UINT64_C(1000000)

static struct gal_stats *open_stats(unsigned threads)
{
    struct gal_stats *s;
    assert_int_equal(gal_stats_new(threads, &s, NULL), GAL_OK);
    return s;
}

static struct gal_sched_stats read_at(const struct gal_stats *s, uint64_t now_us)
{
    struct gal_sched_stats out = {0};
    gal_stats_read(s, now_us, 1000 * SECOND + now_us, &out);
    return out;
}

static void end_job(struct gal_stats *s, enum gal_status status, size_t rows, uint64_t at_us,
                    uint64_t latency_us)
{
    struct gal_job job = {.status = status,
                          .rows = rows,
                          .submitted_us = at_us - latency_us,
                          .started_us = at_us - latency_us + latency_us / 4};
    gal_stats_job(s, &job, at_us);
}

static void assert_span(struct gal_span span, uint64_t count, uint64_t ns)
{
    assert_int_equal(span.count, count);
    assert_int_equal(span.ns, ns);
}

/* ---- jobs ---- */

static void what_is_new_has_counted_nothing(void **state)
{
    (void)state;
    static const struct gal_sched_stats nothing;
    struct gal_stats *s = open_stats(0);
    struct gal_batch_stats b[1];
    struct gal_sched_stats out = read_at(s, 5 * SECOND);
    assert_memory_equal(&out, &nothing, sizeof out);
    assert_int_equal(gal_stats_batches(s, b, 1), 0);
    gal_stats_free(s);
    gal_stats_free(NULL);
}

static void reading_leaves_alone_what_others_know(void **state)
{
    (void)state;
    struct gal_stats *s = open_stats(1);
    struct gal_sched_stats out = {
        .waiting = 3, .waiting_bytes = 4, .workers = 5, .rows_max = 6, .delay_us = 7};
    gal_stats_read(s, 1, 1, &out);
    assert_int_equal(out.waiting, 3);
    assert_int_equal(out.waiting_bytes, 4);
    assert_int_equal(out.workers, 5);
    assert_int_equal(out.rows_max, 6);
    assert_int_equal(out.delay_us, 7);
    gal_stats_free(s);
}

static void a_successful_job_counts_its_rows_and_all_its_times(void **state)
{
    (void)state;
    struct gal_stats *s = open_stats(1);
    struct gal_job job = {.status = GAL_OK,
                          .rows = 3,
                          .submitted_us = 100,
                          .started_us = 140,
                          .finished_us = 190,
                          .input_ns = 11,
                          .infer_ns = 22,
                          .output_ns = 33};
    gal_stats_job(s, &job, 200);
    gal_stats_job(s, &job, 250);
    struct gal_sched_stats out = read_at(s, 300);
    assert_int_equal(out.success, 2);
    assert_int_equal(out.rows, 6);
    assert_span(out.success_time, 2, 250 * 1000);
    assert_span(out.fail_time, 0, 0);
    assert_span(out.queue, 2, 80 * 1000);
    assert_span(out.input, 2, 22);
    assert_span(out.infer, 2, 44);
    assert_span(out.output, 2, 66);
    assert_int_equal(out.executions, 0); /* that is told by calls */
    gal_stats_free(s);
}

static void every_end_has_its_count_and_failures_have_no_rows(void **state)
{
    (void)state;
    static const enum gal_status ends[] = {GAL_INTERNAL, GAL_INVALID,   GAL_OVERLOADED,
                                           GAL_DEADLINE, GAL_CANCELLED, GAL_NO_MEMORY};
    struct gal_stats *s = open_stats(2);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        struct gal_job job = {.status = ends[i], .rows = 1, .submitted_us = 10, .infer_ns = 5};
        gal_stats_job(s, &job, 17);
    }
    struct gal_sched_stats out = read_at(s, 20);
    assert_int_equal(out.success, 0);
    assert_int_equal(out.failed, 3);
    assert_int_equal(out.rejected, 1);
    assert_int_equal(out.expired, 1);
    assert_int_equal(out.cancelled, 1);
    assert_int_equal(out.rows, 0);
    assert_span(out.fail_time, 6, 6 * 7000);
    assert_span(out.queue, 0, 0); /* none of them started */
    assert_span(out.infer, 0, 0);
    assert_int_equal(out.p99_us, 0); /* of successes alone */
    gal_stats_free(s);
}

static void a_clock_that_reads_the_same_twice_is_no_time(void **state)
{
    (void)state;
    struct gal_stats *s = open_stats(1);
    struct gal_job job = {
        .status = GAL_OK, .rows = 1, .submitted_us = 500, .started_us = 500, .finished_us = 500};
    gal_stats_job(s, &job, 499); /* another core's clock */
    struct gal_sched_stats out = read_at(s, 500);
    assert_span(out.success_time, 1, 0);
    assert_span(out.queue, 1, 0);
    gal_stats_free(s);
}

static void a_job_is_in_flight_from_its_coming_to_its_end(void **state)
{
    (void)state;
    struct gal_stats *s = open_stats(1);
    gal_stats_submit(s);
    gal_stats_submit(s);
    gal_stats_submit(s);
    assert_int_equal(read_at(s, 10).in_flight, 3);
    end_job(s, GAL_OK, 1, 20, 5);
    end_job(s, GAL_CANCELLED, 1, 20, 5);
    assert_int_equal(read_at(s, 20).in_flight, 1);
    end_job(s, GAL_INTERNAL, 1, 20, 5);
    assert_int_equal(read_at(s, 20).in_flight, 0);
    gal_stats_free(s);
}

/* ---- calls ---- */

static void run_call(struct gal_stats *s, size_t rows, bool failed, uint64_t finished_us)
{
    gal_stats_begin(s);
    gal_stats_end(s, &(struct gal_stats_call){.rows = rows,
                                              .input_ns = 1,
                                              .infer_ns = 10 * rows,
                                              .output_ns = 2,
                                              .failed = failed,
                                              .finished_us = finished_us});
}

static void a_call_is_running_from_its_beginning_to_its_end(void **state)
{
    (void)state;
    struct gal_stats *s = open_stats(1);
    struct gal_stats_call call = {.rows = 1, .infer_ns = 9, .finished_us = 70};
    gal_stats_begin(s);
    gal_stats_begin(s);
    assert_int_equal(read_at(s, 60).running, 2);
    assert_int_equal(read_at(s, 60).executions, 0);
    assert_int_equal(read_at(s, 60).last_finished_wall_us, 0);
    gal_stats_end(s, &call);
    assert_int_equal(read_at(s, 80).running, 1);
    call.finished_us = 75;
    gal_stats_end(s, &call);
    struct gal_sched_stats out = read_at(s, 80);
    assert_int_equal(out.running, 0);
    assert_int_equal(out.executions, 2);
    assert_int_equal(out.busy_ns, 18);
    assert_int_equal(out.last_finished_wall_us, 1000 * SECOND + 75);
    gal_stats_free(s);
}

static void batches_come_by_size_and_failed_calls_are_not_among_them(void **state)
{
    (void)state;
    static const size_t sizes[] = {40, 1, 32, 33, 1, 1024, 5000, 40, 40};
    struct gal_stats *s = open_stats(4);
    struct gal_batch_stats b[8];
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        run_call(s, sizes[i], false, i + 1);
    run_call(s, 7, true, 10);
    assert_int_equal(gal_stats_batches(s, b, 8), 5);
    static const struct {
        size_t rows, calls, infer_ns;
    } want[] = {{1, 2, 20}, {32, 1, 320}, {33, 1, 330}, {40, 3, 1200}, {1024, 2, 60240}};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(b[i].rows, want[i].rows);
        assert_span(b[i].input, want[i].calls, want[i].calls);
        assert_span(b[i].infer, want[i].calls, want[i].infer_ns);
        assert_span(b[i].output, want[i].calls, 2 * want[i].calls);
    }
    assert_int_equal(read_at(s, 20).executions, 10);
    assert_int_equal(read_at(s, 20).busy_ns, 62110 + 70);
    gal_stats_free(s);
}

static void little_room_still_tells_how_many_there_are(void **state)
{
    (void)state;
    struct gal_stats *s = open_stats(1);
    struct gal_batch_stats b[2] = {{.rows = 0}, {.rows = 99}};
    run_call(s, 2, false, 1);
    run_call(s, 4, false, 2);
    run_call(s, 8, false, 3);
    assert_int_equal(gal_stats_batches(s, b, 1), 3);
    assert_int_equal(b[0].rows, 2);
    assert_int_equal(b[1].rows, 99);
    assert_int_equal(gal_stats_batches(s, NULL, 0), 3);
    gal_stats_free(s);
}

/* ---- p99 ---- */

static void buckets_follow_each_other_and_are_narrow(void **state)
{
    (void)state;
    uint64_t start = 0;
    for (size_t i = 0; i < GAL_STATS_BUCKETS; i++) {
        uint64_t end = gal_stats_bucket_end(i);
        assert_int_equal(gal_stats_bucket(start), i);
        assert_int_equal(gal_stats_bucket(end), i);
        assert_true((end - start) * 8 <= start);
        start = end + 1;
    }
    assert_int_equal(start, UINT64_C(1) << 28);
    assert_int_equal(gal_stats_bucket(start), GAL_STATS_BUCKETS - 1);
    assert_int_equal(gal_stats_bucket(UINT64_MAX), GAL_STATS_BUCKETS - 1);
}

static void p99_is_above_99_of_100(void **state)
{
    (void)state;
    struct gal_stats *s = open_stats(1);
    for (size_t i = 0; i < 990; i++)
        end_job(s, GAL_OK, 1, 5 * SECOND, 1000);
    for (size_t i = 0; i < 10; i++)
        end_job(s, GAL_OK, 1, 5 * SECOND, 50000);
    uint64_t us = read_at(s, 5 * SECOND).p99_us;
    assert_true(us >= 1000 * 7 / 8 && us <= 1000 * 9 / 8);
    end_job(s, GAL_OK, 1, 5 * SECOND, 50000);
    us = read_at(s, 5 * SECOND).p99_us;
    assert_true(us >= 50000 * 7 / 8 && us <= 50000 * 9 / 8);
    gal_stats_free(s);
}

static void p99_of_an_even_spread_is_within_an_eighth(void **state)
{
    (void)state;
    struct gal_stats *s = open_stats(3);
    for (uint64_t us = 1; us <= 20000; us++)
        end_job(s, GAL_OK, 1, 30 * SECOND, us);
    uint64_t us = read_at(s, 31 * SECOND).p99_us;
    assert_true(us > 19800 * 7 / 8 && us < 19800 * 9 / 8);
    gal_stats_free(s);
}

static void p99_of_one_job_is_its_latency(void **state)
{
    (void)state;
    struct gal_stats *s = open_stats(1);
    end_job(s, GAL_OK, 1, 1 * SECOND, 5);
    assert_int_equal(read_at(s, 1 * SECOND).p99_us, 5);
    gal_stats_free(s);
    s = open_stats(1);
    end_job(s, GAL_OK, 1, 1 * SECOND, 0);
    assert_int_equal(read_at(s, 1 * SECOND).p99_us, 1); /* 0 says that there was none */
    gal_stats_free(s);
}

static void p99_forgets_what_is_older_than_a_minute(void **state)
{
    (void)state;
    struct gal_stats *s = open_stats(1);
    end_job(s, GAL_OK, 1, 9 * SECOND, 1 * SECOND); /* in the stretch that ends at 10 s */
    assert_true(read_at(s, 59 * SECOND).p99_us > 0);
    assert_int_equal(read_at(s, 60 * SECOND).p99_us, 0);
    end_job(s, GAL_OK, 1, 69 * SECOND, 100); /* takes the old one's slot */
    assert_true(read_at(s, 69 * SECOND).p99_us < 120);
    end_job(s, GAL_OK, 1, 9 * SECOND, 1 * SECOND); /* told far too late: left out */
    assert_true(read_at(s, 69 * SECOND).p99_us < 120);
    assert_int_equal(read_at(s, 69 * SECOND).success, 3);
    gal_stats_free(s);
}

/* ---- memory, threads ---- */

static void counting_takes_no_memory(void **state)
{
    (void)state;
    struct gal_stats *s = open_stats(2);
    uint64_t before = gal_alloc_count();
    for (size_t i = 1; i <= 2000; i++) {
        run_call(s, i, i % 3 == 0, i);
        end_job(s, i % 2 ? GAL_OK : GAL_DEADLINE, i, i * SECOND, i);
    }
    assert_int_equal(gal_alloc_count(), before);
    gal_stats_free(s);
}

static void without_memory_there_is_none(void **state)
{
    (void)state;
    struct gal_stats *s = (struct gal_stats *)&state; /* anything but NULL */
    struct gal_err err;
    gal_alloc_fail_at(1, 1);
    assert_int_equal(gal_stats_new(4, &s, &err), GAL_NO_MEMORY);
    gal_alloc_fail_at(0, 0);
    assert_null(s);
}

enum { THREADS = 20, ROUNDS = 5000 };

static void *count_much(void *arg)
{
    struct gal_stats *s = arg;
    for (size_t i = 0; i < ROUNDS; i++) {
        run_call(s, i % 50 + 1, i % 10 == 0, i);
        end_job(s, i % 5 ? GAL_OK : GAL_OVERLOADED, 2, 100 * SECOND + i * 3000, 100);
    }
    return NULL;
}

static void many_threads_count_exactly(void **state)
{
    (void)state;
    struct gal_stats *s = open_stats(3);
    pthread_t threads[THREADS];
    struct gal_batch_stats b[64];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(gal_thread_start(&threads[i], "count", count_much, s, NULL), GAL_OK);
    for (size_t i = 0; i < 50; i++) { /* who reads meanwhile disturbs nobody */
        struct gal_sched_stats out = read_at(s, 110 * SECOND);
        assert_true(out.running <= THREADS);
        gal_stats_batches(s, b, 64);
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    struct gal_sched_stats out = read_at(s, 116 * SECOND);
    assert_int_equal(out.running, 0);
    assert_int_equal(out.executions, THREADS * ROUNDS);
    assert_int_equal(out.success, THREADS * ROUNDS / 5 * 4);
    assert_int_equal(out.rejected, THREADS * ROUNDS / 5);
    assert_int_equal(out.rows, 2 * out.success);
    assert_span(out.success_time, out.success, out.success * 100 * 1000);
    assert_true(out.p99_us >= 96 && out.p99_us <= 104); /* all 100: its bucket */
    uint64_t calls = 0;
    for (size_t i = 0, n = gal_stats_batches(s, b, 64); i < n; i++)
        calls += b[i].infer.count;
    assert_int_equal(calls, THREADS * ROUNDS / 10 * 9);
    gal_stats_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_new_has_counted_nothing),
        cmocka_unit_test(reading_leaves_alone_what_others_know),
        cmocka_unit_test(a_successful_job_counts_its_rows_and_all_its_times),
        cmocka_unit_test(every_end_has_its_count_and_failures_have_no_rows),
        cmocka_unit_test(a_clock_that_reads_the_same_twice_is_no_time),
        cmocka_unit_test(a_job_is_in_flight_from_its_coming_to_its_end),
        cmocka_unit_test(a_call_is_running_from_its_beginning_to_its_end),
        cmocka_unit_test(batches_come_by_size_and_failed_calls_are_not_among_them),
        cmocka_unit_test(little_room_still_tells_how_many_there_are),
        cmocka_unit_test(buckets_follow_each_other_and_are_narrow),
        cmocka_unit_test(p99_is_above_99_of_100),
        cmocka_unit_test(p99_of_an_even_spread_is_within_an_eighth),
        cmocka_unit_test(p99_of_one_job_is_its_latency),
        cmocka_unit_test(p99_forgets_what_is_older_than_a_minute),
        cmocka_unit_test(counting_takes_no_memory),
        cmocka_unit_test(without_memory_there_is_none),
        cmocka_unit_test(many_threads_count_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
