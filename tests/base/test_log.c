/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* 2024-01-15T14:23:41.123456Z */
static uint64_t fixed_us(void *ctx)
{
    (void)ctx;
    return UINT64_C(1705328621123456);
}

static const struct gal_clock fixed_clock = {.mono_us = fixed_us, .wall_us = fixed_us};

static void check_timestamp(uint64_t wall_us, const char *want)
{
    char text[GAL_TIMESTAMP_SIZE];
    gal_timestamp_format(wall_us, text);
    assert_string_equal(text, want);
}

static void timestamps_are_iso_8601_in_utc(void **state)
{
    (void)state;
    check_timestamp(fixed_us(NULL), "2024-01-15T14:23:41.123Z");
    check_timestamp(0, "1970-01-01T00:00:00.000Z");
    check_timestamp(UINT64_C(951827696999999), "2000-02-29T12:34:56.999Z");
    check_timestamp(UINT64_C(253402300799999999), "9999-12-31T23:59:59.999Z");
    check_timestamp(UINT64_MAX, "9999-12-31T23:59:59.551Z");
}

/* A pipe that a log writes to. */
struct wire {
    int ends[2];
    struct gal_log log;
    char text[2 * PIPE_BUF];
};

static void wire_init(struct wire *w, enum gal_log_level level, enum gal_log_format format,
                      bool colour)
{
    assert_int_equal(pipe(w->ends), 0);
    assert_int_equal(fcntl(w->ends[0], F_SETFL, O_NONBLOCK), 0);
    gal_log_init(&w->log, w->ends[1], level, format, colour, &fixed_clock);
}

/* What was written since the last look. */
static const char *wire_read(struct wire *w)
{
    ssize_t n = read(w->ends[0], w->text, sizeof w->text - 1);
    w->text[n > 0 ? n : 0] = '\0';
    return w->text;
}

static void wire_release(struct wire *w)
{
    (void)close(w->ends[0]);
    (void)close(w->ends[1]);
}

#define TEXT(literal)                                                                              \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

static const struct gal_log_field sample[] = {
    {"model", TEXT("iris"), false}, {"rows", TEXT("3"), true},
    {"path", TEXT("/a b"), false},  {"bad", TEXT("x\ny\"\x1b\xff"), false},
    {"none", {NULL, 0}, false},
};
#define SAMPLE_COUNT (sizeof sample / sizeof *sample)

static void json_lines_hold_all_fields_escaped(void **state)
{
    (void)state;
    struct wire w;
    wire_init(&w, GAL_LOG_INFO, GAL_LOG_JSON, true);
    gal_log_write(&w.log, GAL_LOG_WARN, "request", sample, SAMPLE_COUNT);
    assert_string_equal(wire_read(&w),
                        "{\"time\":\"2024-01-15T14:23:41.123Z\",\"level\":\"warn\","
                        "\"event\":\"request\",\"model\":\"iris\",\"rows\":3,\"path\":\"/a b\","
                        "\"bad\":\"x\\ny\\\"\\u001b\xef\xbf\xbd\",\"none\":\"\"}\n");
    gal_log_msg(&w.log, GAL_LOG_INFO, "start", "port %d", 8080);
    assert_string_equal(wire_read(&w), "{\"time\":\"2024-01-15T14:23:41.123Z\",\"level\":\"info\","
                                       "\"event\":\"start\",\"message\":\"port 8080\"}\n");
    wire_release(&w);
}

static void console_lines_are_one_line_each(void **state)
{
    (void)state;
    struct wire w;
    wire_init(&w, GAL_LOG_INFO, GAL_LOG_CONSOLE, false);
    gal_log_write(&w.log, GAL_LOG_INFO, "request", sample, SAMPLE_COUNT);
    assert_string_equal(wire_read(&w), "14:23:41.123 INFO  request model=iris rows=3 path=\"/a b\" "
                                       "bad=\"x\\ny\\\"\\u001b\xef\xbf\xbd\" none=\"\"\n");
    w.log.colour = true;
    gal_log_write(&w.log, GAL_LOG_ERROR, "oops", NULL, 0);
    assert_string_equal(wire_read(&w), "14:23:41.123 \033[31mERROR\033[0m oops\n");
    wire_release(&w);
}

static void lines_below_the_level_are_not_written(void **state)
{
    (void)state;
    struct wire w;
    wire_init(&w, GAL_LOG_WARN, GAL_LOG_CONSOLE, false);
    gal_log_msg(&w.log, GAL_LOG_INFO, "x", "y");
    gal_log_write(&w.log, GAL_LOG_DEBUG, "x", NULL, 0);
    assert_string_equal(wire_read(&w), "");
    w.log.level = GAL_LOG_DEBUG;
    gal_log_write(&w.log, GAL_LOG_DEBUG, "x", NULL, 0);
    assert_string_equal(wire_read(&w), "14:23:41.123 DEBUG x\n");
    w.log.level = GAL_LOG_OFF;
    gal_log_write(&w.log, GAL_LOG_ERROR, "x", NULL, 0);
    assert_string_equal(wire_read(&w), "");
    gal_log_write(NULL, GAL_LOG_ERROR, "x", NULL, 0);
    gal_log_msg(NULL, GAL_LOG_ERROR, "x", "y");
    wire_release(&w);
}

static void a_line_too_long_for_one_write_says_so(void **state)
{
    (void)state;
    struct wire w;
    static char wide[PIPE_BUF];
    memset(wide, 'a', sizeof wide);
    const struct gal_log_field field = {"x", {wide, sizeof wide}, false};
    wire_init(&w, GAL_LOG_INFO, GAL_LOG_JSON, false);
    gal_log_write(&w.log, GAL_LOG_INFO, "big", &field, 1);
    assert_string_equal(wire_read(&w), "{\"time\":\"2024-01-15T14:23:41.123Z\",\"level\":\"info\","
                                       "\"event\":\"big\",\"truncated\":true}\n");
    gal_log_msg(&w.log, GAL_LOG_INFO, "cut", "%.*s", (int)sizeof wide, wide);
    size_t n = strlen(wire_read(&w));
    assert_true(n > 1000 && n < 1200);
    wire_release(&w);
}

static void writing_takes_no_memory(void **state)
{
    (void)state;
    struct wire w;
    wire_init(&w, GAL_LOG_INFO, GAL_LOG_JSON, false);
    gal_alloc_fail_at(1, 0);
    gal_log_write(&w.log, GAL_LOG_INFO, "request", sample, SAMPLE_COUNT);
    gal_log_msg(&w.log, GAL_LOG_INFO, "x", "y");
    gal_alloc_fail_at(0, 0);
    assert_non_null(strstr(wire_read(&w), "\"y\"}\n"));
    wire_release(&w);
}

static void rendering_appends_whole_lines_or_nothing(void **state)
{
    (void)state;
    struct gal_log log;
    struct gal_buf out;
    gal_log_init(&log, -1, GAL_LOG_INFO, GAL_LOG_CONSOLE, false, &fixed_clock);
    gal_buf_init(&out, 50);
    gal_log_render(&log, &out, GAL_LOG_INFO, "a", NULL, 0);
    gal_log_render(&log, &out, GAL_LOG_INFO, "b", NULL, 0);
    gal_log_render(&log, &out, GAL_LOG_INFO, "c", NULL, 0);
    assert_true(out.failed);
    assert_true(gal_str_is(gal_buf_str(&out), "14:23:41.123 INFO  a\n14:23:41.123 INFO  b\n"));
    gal_buf_release(&out);
}

static void a_full_pipe_loses_lines_and_does_not_block(void **state)
{
    (void)state;
    struct wire w;
    wire_init(&w, GAL_LOG_INFO, GAL_LOG_CONSOLE, false); /* the writing end blocks */
    struct gal_buf lines;
    gal_buf_init(&lines, 1 << 20);
    for (int i = 0; i < 10000; i++)
        gal_log_render(&w.log, &lines, GAL_LOG_INFO, "event", NULL, 0);
    assert_false(lines.failed);
    gal_log_flush(&w.log, gal_buf_str(&lines)); /* nobody reads */
    size_t got = 0;
    for (ssize_t n; (n = read(w.ends[0], w.text, sizeof w.text)) > 0; got += (size_t)n)
        assert_memory_equal(w.text, lines.p + got, (size_t)n);
    assert_true(got >= PIPE_BUF && got < lines.n);
    assert_int_equal(lines.p[got - 1], '\n'); /* cut between lines */
    gal_buf_release(&lines);
    wire_release(&w);
}

static void a_broken_pipe_and_a_closed_file_are_survived(void **state)
{
    (void)state;
    struct wire w;
    (void)signal(SIGPIPE, SIG_IGN);
    wire_init(&w, GAL_LOG_INFO, GAL_LOG_CONSOLE, false);
    (void)close(w.ends[0]);
    gal_log_write(&w.log, GAL_LOG_INFO, "x", NULL, 0);
    (void)close(w.ends[1]);
    gal_log_write(&w.log, GAL_LOG_INFO, "x", NULL, 0);
}

#define WRITERS 4
#define LINES_EACH 200

static void *write_lines(void *arg)
{
    for (int i = 0; i < LINES_EACH; i++)
        gal_log_msg(arg, GAL_LOG_INFO, "event", "%0100d", 7);
    return NULL;
}

static void lines_of_threads_never_mix(void **state)
{
    (void)state;
    struct wire w;
    pthread_t threads[WRITERS];
    size_t line = strlen("14:23:41.123 INFO  event message=\n") + 100, got = 0;
    static char all[WRITERS * LINES_EACH * 200];
    wire_init(&w, GAL_LOG_INFO, GAL_LOG_CONSOLE, false);
    assert_int_equal(fcntl(w.ends[0], F_SETFL, 0), 0);
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, &w.log), 0);
    while (got < line * WRITERS * LINES_EACH) {
        ssize_t n = read(w.ends[0], all + got, sizeof all - got);
        assert_true(n > 0);
        got += (size_t)n;
    }
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (size_t at = line; at < got; at += line)
        assert_memory_equal(all + at, all, line);
    wire_release(&w);
}

static void levels_and_formats_are_read_by_name(void **state)
{
    (void)state;
    enum gal_log_level level = GAL_LOG_OFF;
    enum gal_log_format format = GAL_LOG_JSON;
    assert_int_equal(gal_log_level_parse(GAL_STR("Debug"), &level), GAL_OK);
    assert_int_equal(level, GAL_LOG_DEBUG);
    assert_int_equal(gal_log_level_parse(GAL_STR("off"), &level), GAL_OK);
    assert_int_equal(level, GAL_LOG_OFF);
    assert_int_equal(gal_log_level_parse(GAL_STR("warning"), &level), GAL_INVALID);
    assert_int_equal(gal_log_format_parse(GAL_STR("console"), &format), GAL_OK);
    assert_int_equal(format, GAL_LOG_CONSOLE);
    assert_int_equal(gal_log_format_parse(GAL_STR("JSON"), &format), GAL_OK);
    assert_int_equal(format, GAL_LOG_JSON);
    assert_int_equal(gal_log_format_parse(GAL_STR(""), &format), GAL_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timestamps_are_iso_8601_in_utc),
        cmocka_unit_test(json_lines_hold_all_fields_escaped),
        cmocka_unit_test(console_lines_are_one_line_each),
        cmocka_unit_test(lines_below_the_level_are_not_written),
        cmocka_unit_test(a_line_too_long_for_one_write_says_so),
        cmocka_unit_test(writing_takes_no_memory),
        cmocka_unit_test(rendering_appends_whole_lines_or_nothing),
        cmocka_unit_test(a_full_pipe_loses_lines_and_does_not_block),
        cmocka_unit_test(a_broken_pipe_and_a_closed_file_are_survived),
        cmocka_unit_test(lines_of_threads_never_mix),
        cmocka_unit_test(levels_and_formats_are_read_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
